"""The verbs that list what there is. Slow imports come late."""

from __future__ import annotations

import argparse

from coterie.streams import say


def recipes(_: argparse.Namespace) -> None:
    from coterie.plan.recipes import load_recipe, recipe_names

    width = max(len(name) for name in recipe_names())
    for name in recipe_names():
        say(f"{name:{width}}  {load_recipe(name).about}")


def backbones(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from coterie.files import to_json
    from coterie.nn.pretrained.packages import known_backbones

    rows = list(known_backbones())
    if options.json:
        say(to_json([{**asdict(row), "at_hand": at_hand} for row, at_hand in rows], indent=2, plain=True))
        return
    for row, at_hand in rows:
        where = "at hand" if at_hand else row.command
        about = f"{row.side} px, {row.size / 1e6:.0f} MB, {row.licence}; learnt from {row.learnt_from}"
        say(f"{row.name:20}{about}\n{'':20}{where}")
    say("\nand hf:NAME, timm:NAME, a file of weights, or a finished run, or several by A+B, see docs/pretrained.md")
