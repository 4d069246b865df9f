"""What the parsers of all verbs share."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        if "unrecognized" in message and ".tar" in message:
            message += " - put a pattern such as 'shards-*.tar' in quotes"
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def new_verb(group: Any, name: str, run: Any, about: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = group.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", epilog=f"example:\n  {example}"
    )
    parser.set_defaults(run=run, verb=name)
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")
    return parser


def add_channels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--channels",
        metavar="all|N,N,…",
        help="look at these channels, from 0, of images whose channels are no colours",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("for data sets of the hub, hf:NAME[:SPLIT]")
    group.add_argument("--subset", metavar="NAME", help="of a data set with several")
    group.add_argument("--image-column", metavar="NAME", help="where the images are (default: the only such column)")
    group.add_argument("--label-column", metavar="NAME", help="labels, to evaluate only (default: `label`, if any)")


def reading(options: argparse.Namespace) -> dict[str, Any]:
    """How a source is to be read, as far as it was said."""
    given = {name: getattr(options, name, None) for name in ("subset", "image_column", "label_column", "channels")}
    return {name: value for name, value in given.items() if value is not None}
