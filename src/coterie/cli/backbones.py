"""The words of `coterie backbones`, and what it does."""

from __future__ import annotations

import argparse
from typing import Any

from coterie.cli.parsing import new_verb
from coterie.streams import say


def add_backbones(group: Any) -> None:
    parser = new_verb(
        group, "backbones", _list, "list the pretrained backbones that come as packages, and what is at hand",
        "coterie backbones",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _list(options: argparse.Namespace) -> None:
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
