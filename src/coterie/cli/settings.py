"""Plans and recipes as a person reads them, on standard output."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console

from coterie.console import print_json
from coterie.text import in_one_line

if TYPE_CHECKING:  # The names alone would load torch.
    from coterie.plan import Plan
    from coterie.plan.recipes import Recipe

# Of a list of settings; the JSON and the run's configuration have all.
_LONGEST = 80


def print_plan(plan: Plan, out: Console, *, as_json: bool) -> None:
    """Every setting with its origin, and what the run would take."""
    from coterie.plan.announce import as_json as plan_as_json
    from coterie.plan.announce import short, takes

    if as_json:
        print_json(plan_as_json(plan), out)
        return
    for line in short(plan):
        out.print(line, markup=False)
    _print_settings(plan.settings(), out)
    out.print(f"\n{takes(plan)}", markup=False)


def print_recipe(found: Recipe, out: Console, *, as_json: bool) -> None:
    """A recipe's source, what was reported, deviations, and every setting with its origin; or as JSON."""
    from coterie.plan.shown import as_json as recipe_as_json
    from coterie.plan.shown import settings

    if as_json:
        print_json(recipe_as_json(found), out)
        return
    reported = "  ".join(f"{metric.upper()} {value:.1f}" for metric, value in found.reported.items())
    told = [("source", found.source or "our own settings")]
    told += [("data", f"{found.data}:PATH, {found.images} images")] if found.data else []
    told += [("reported", f"{reported} (%)")] if reported else []
    told += [("linear", ", ".join(f"{name} {value}" for name, value in found.linear.items()))] if found.linear else []
    told += [("deviation", words) for words in found.deviations]
    out.print(f"{found.name}: {found.about}", markup=False)
    for name, words in told:
        out.print(f"{name:10} {words}", markup=False)
    _print_settings(settings(found), out)
    out.print(
        f"\ncoterie fit {f'{found.data}:PATH' if found.data else 'SOURCE'} --recipe {found.name} --out RUN",
        markup=False,
    )


def _print_settings(settings: Iterable[tuple[str, Any, str]], out: Console) -> None:
    rows = [(name, _value(value), origin) for name, value, origin in settings]
    widths = [max(len(row[place]) for row in rows) for place in (0, 1)]
    out.print()
    for name, value, origin in rows:
        out.print(f"{name:{widths[0]}}  {value:{min(widths[1], 32)}}  {origin}", markup=False, highlight=False)


def _value(value: object) -> str:
    text = in_one_line(json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value or "-")
    return f"{text[:_LONGEST]}…" if isinstance(value, list) and len(text) > _LONGEST else text
