"""`coterie reproduce`: its words, and what it does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coterie.cli.asking import add_computing
from coterie.cli.listening import Listening
from coterie.cli.parsing import add_reading, new_verb, reading
from coterie.cli.values import local

if TYPE_CHECKING:
    from rich.console import Console


def add_reproduce(group: Any) -> None:
    parser = new_verb(
        group, "reproduce", reproduce, "run a paper's recipe for several seeds, and set its figures beside the paper's",
        "coterie reproduce cifar10-propos --data cifar10:cifar-10-python.tar.gz\n  "
        "coterie reproduce cifar10-byol --data cifar10.npz --minutes 5 --seeds 1",
    )  # fmt: skip
    parser.add_argument("recipe", metavar="NAME", help="a recipe, see `coterie recipes`")
    parser.add_argument(
        "--data", required=True, metavar="SOURCE", help="labelled images, as for `coterie fit`; labels only evaluate"
    )
    parser.add_argument("--labels-from-folders", action="store_true", help="class folders as labels")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs, of the seeds from 0 (default 3)")
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="of learning and grouping a seed, in place of the recipe's epochs"
    )
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
        help="set any option otherwise than the recipe (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=local, metavar="DIR", help="where runs and comparison lie, and a repeated command goes on "
        "(default reproduction-NAME)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_computing(parser)
    add_reading(parser)


def reproduce(options: argparse.Namespace) -> None:
    from coterie.console import results
    from coterie.files import to_json
    from coterie.plan import Request
    from coterie.workflow.reproduce import reproduce as workflow

    request = Request(
        options.data, recipe=options.recipe, settings=tuple(options.settings), minutes=options.minutes,
        device=options.device, precision=options.precision, labels_from_folders=options.labels_from_folders,
        deterministic=options.deterministic, compiled=options.compile, **reading(options),
    )  # fmt: skip
    out = options.out or Path(f"reproduction-{Path(options.recipe).stem}")
    with Listening(options) as listener:
        found = workflow(request, out, listener, seeds=options.seeds)
    if options.json:
        results().print(to_json(found, plain=True), markup=False, soft_wrap=True)
    else:
        _print(found, out, results())


def _print(found: dict[str, Any], to: Path, out: Console) -> None:
    """The scores in percent beside the paper's, and how much of the paper's data and epochs they are of."""
    from rich.table import Table
    from rich.text import Text

    from coterie.report.reproduction import metrics_of, rows_of
    from coterie.text import in_one_line

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(Text(in_one_line(found["recipe"])))
    for heading in metrics_of(found).values():
        table.add_column(heading, justify="right")
    for name, cells in rows_of(found):
        table.add_row(Text(in_one_line(name)), *cells)
    out.print(table)
    first, paper = found["runs"][0], found["paper"]
    images, epochs = (f" of the paper's {paper[name]}" if paper[name] else "" for name in ("images", "epochs"))
    told = f"{first['images']} images{images}, {first['epochs']} epochs{epochs}; see {to / 'reproduction.md'}"
    out.print(f"\n{told}", markup=False)
