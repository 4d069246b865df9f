"""Tables that are made from the code and the benchmarks when the pages are built, so that they never go stale.

`{commands}` lists the verbs of the command line, `{settings} METHOD` the options of a method, `{recipes} METHOD` its
shipped recipes, `{measured} METHOD` what benchmarks/methods.json holds of it, `{standings}` all methods side by side,
`{frozen}` heads on frozen features, `{race}` ours and others within one time, `{short}` what helps short runs, and
`{corrections}` what named images are worth. The role {acc}`DATA METHOD` is the mean accuracy of one of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from coterie.cli.parser import build_parser
from coterie.methods import method_type
from coterie.plan.recipes import Recipe, recipe, recipe_names

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
_ARGUMENT = re.compile(r"^    (\w+(?:, \w+)*): (.+)$")


class Table(SphinxDirective):
    """A directive whose content is Markdown made by `text`."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        for name in ("methods", "frozen", "race", "short", "corrections"):
            self.env.note_dependency(str(BENCHMARKS / f"{name}.json"))
        return self.parse_text_to_nodes(self.text(*self.arguments))

    def text(self, *arguments: str) -> str:
        raise NotImplementedError


class Commands(Table):
    """Every verb of the command line with its example and its options."""

    def text(self, *arguments: str) -> str:  # noqa: ARG002
        verbs = next(action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
        about = {choice.dest: choice.help for choice in verbs._choices_actions}
        lines = ["| command | does |", "|---|---|"]
        lines += [f"| [`coterie {name}`](#coterie-{name}) | {about[name]} |" for name in verbs.choices]
        for name, parser in verbs.choices.items():
            example = str(parser.epilog).removeprefix("example:\n")
            lines += ["", f"(coterie-{name})=", f"**coterie {name}**: {about[name]}.", "", "```sh"]
            lines += [textwrap.dedent(example), "```", "", "| | |", "|---|---|"]
            lines += [
                f"| `{words_of(action)}` | {action.help} |" for action in parser._actions if action.dest != "help"
            ]
        return "\n".join(lines)


class Settings(Table):
    """The options of a method: name, default, meaning."""

    def text(self, *arguments: str) -> str:
        config = method_type(arguments[0]).Config()
        if not dataclasses.fields(config):
            return "There is nothing to set."
        meanings = dict(documented(type(config)))
        lines = ["| option | default | meaning |", "|---|---|---|"]
        for field in sorted(dataclasses.fields(config), key=lambda field: list(meanings).index(field.name)):
            lines.append(f"| `{field.name}` | {value(getattr(config, field.name))} | {meanings[field.name]} |")
        return "\n".join(lines)


class Recipes(Table):
    """The shipped recipes of a method."""

    def text(self, *arguments: str) -> str:
        found = [each for each in map(recipe, recipe_names()) if each.values.get("method") == arguments[0]]
        if not found:
            return "There is no recipe for it."
        rows = [f"| `{each.name}` | {each.about} | {reported(each)} |" for each in found]
        return "\n".join(["| recipe | | NMI / ACC / ARI as reported |", "|---|---|---|", *rows])


class Measured(Table):
    """The rows of the benchmark that are about one method, beside k-means on the pixels."""

    def text(self, *arguments: str) -> str:
        rows = [row for row in benchmark().load() if row["method"] in (arguments[0], "k-means on pixels")]
        known = {row["data"] for row in rows if row["method"] == arguments[0]}
        if not known:
            return "Not measured yet."
        return str(benchmark().table([row for row in rows if row["data"] in known]))


class Standings(Table):
    """Mean accuracy of every method on every data set, best on the digits first."""

    def text(self, *arguments: str) -> str:  # noqa: ARG002
        rows = benchmark().load()
        data = list(dict.fromkeys(row["data"] for row in rows))
        methods = sorted({row["method"] for row in rows}, key=lambda name: -mean_accuracy(rows, data[0], name))
        lines = [f"| method | {' | '.join(data)} |", "|---" * (len(data) + 1) + "|"]
        for method in methods:
            name = f"[{method}](methods/{method}.md)" if " " not in method else method
            lines.append(f"| {name} | {' | '.join(accuracy(rows, kind, method) for kind in data)} |")
        return "\n".join(lines)


class Frozen(Table):
    """What benchmarks/frozen.json holds of heads on frozen features."""

    def text(self, *arguments: str) -> str:  # noqa: ARG002
        return str(benchmark("frozen").tables(benchmark("frozen").load(benchmark("frozen").RESULTS)))


class Race(Table):
    """What benchmarks/race.json holds of contestants and budgets."""

    def text(self, *arguments: str) -> str:  # noqa: ARG002
        made = benchmark("race")
        return "\n".join(made.table(made.load(made.RESULTS)))


class Short(Table):
    """What benchmarks/short.json holds of choices for short runs."""

    def text(self, *arguments: str) -> str:  # noqa: ARG002
        made = benchmark("short")
        return "\n".join(made.table(made.load(made.RESULTS)))


class Corrections(Table):
    """What benchmarks/corrections.json holds of named images."""

    def text(self, *arguments: str) -> str:  # noqa: ARG002
        made = benchmark("corrections")
        return str(made.table(made.load(made.RESULTS)))


class Accuracy(SphinxRole):
    """The mean accuracy of a method on a data set."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        data, _, method = self.text.partition(" ")
        found = accuracy(benchmark().load(), data, method)
        if found == "–":
            raise ValueError(f"benchmarks/methods.json has nothing for '{self.text}'")
        return [nodes.Text(found)], []


def reported(found: Recipe) -> str:
    """What a recipe's paper measured; dashes where it says nothing."""
    return " / ".join(f"{found.reported[key]:.1f}" if key in found.reported else "–" for key in ("nmi", "acc", "ari"))


def words_of(action: argparse.Action) -> str:
    """An option as it is written: its names and what follows them."""
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    return f"{', '.join(action.option_strings)} {value}".strip().replace("|", "\\|")


def documented(config: type[Any]) -> Iterator[tuple[str, str]]:
    """Each option of a configuration with its meaning, from the docstrings of its class and those it stands on."""
    seen = set()
    for kind in config.__mro__:
        section = (inspect.getdoc(kind) or "").partition("Args:\n")[2]
        for line in re.sub(r"\n {5,}", " ", section).splitlines():
            match = _ARGUMENT.match(line)
            for name in match[1].split(", ") if match else []:
                if match is not None and name not in seen:
                    seen.add(name)
                    yield name, match[2].replace("|", "\\|")


def value(default: Any) -> str:
    """A default as a user would write it."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{list(default) if isinstance(default, tuple) else default}`"


def benchmark(name: str = "methods") -> ModuleType:
    """The script that made the figures, which also knows how to sum them up."""
    return importlib.import_module(name)


def runs_of(rows: list[dict[str, Any]], data: str, method: str) -> list[dict[str, Any]]:
    """The finished runs of the longest budget."""
    runs = [row for row in rows if (row["data"], row["method"]) == (data, method) and "acc" in row]
    longest = max((row["epochs"] for row in runs), default=0)
    return [row for row in runs if row["epochs"] == longest]


def mean_accuracy(rows: list[dict[str, Any]], data: str, method: str) -> float:
    runs = runs_of(rows, data, method)
    return benchmark().mean(runs, "acc") if runs else 0.0


def accuracy(rows: list[dict[str, Any]], data: str, method: str) -> str:
    """Mean ± deviation; a dash where nothing was measured."""
    runs = runs_of(rows, data, method)
    return f"{benchmark().mean(runs, 'acc'):.3f}{benchmark().deviation(runs, 'acc')}" if runs else "–"


def setup(app: Sphinx) -> dict[str, bool]:
    for directive in (Commands, Settings, Recipes, Measured, Standings, Frozen, Race, Short, Corrections):
        app.add_directive(directive.__name__.lower(), directive)
    app.add_role("acc", Accuracy())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
