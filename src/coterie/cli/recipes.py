"""The words of `coterie recipes`, and what it does."""

from __future__ import annotations

import argparse
from typing import Any

from coterie.cli.parsing import new_verb
from coterie.streams import say


def add_recipes(group: Any) -> None:
    parser = new_verb(
        group, "recipes", _list, "list the shipped recipes, or show one with its source, settings and reported figures",
        "coterie recipes\n  coterie recipes show cifar10-propos",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON, with all there is to show of each")
    further = parser.add_subparsers(metavar="show NAME", help="show one recipe, or a YAML file of your own")
    shown = new_verb(
        further, "show", _show, "show where a recipe comes from, every setting with its origin, and what was reported",
        "coterie recipes show cifar10-propos",
    )  # fmt: skip
    shown.set_defaults(verb="recipes")
    shown.add_argument("name", metavar="NAME", help="a shipped recipe, or a YAML file")
    # Said before `show`, it stands.
    shown.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")


def _list(options: argparse.Namespace) -> None:
    from coterie.files import to_json
    from coterie.plan.recipes import recipe, recipe_names

    found = [recipe(name) for name in recipe_names()]
    if options.json:
        from coterie.plan.shown import as_json

        say(to_json([as_json(each) for each in found], indent=2, plain=True))
        return
    width = max(len(each.name) for each in found)
    for each in found:
        say(f"{each.name:{width}}  {each.about}")


def _show(options: argparse.Namespace) -> None:
    from coterie.cli.settings import print_recipe
    from coterie.console import results
    from coterie.plan.recipes import recipe

    print_recipe(recipe(options.name), results(), as_json=options.json)
