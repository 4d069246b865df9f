"""The command line's words: one function per verb adds its parser."""

from __future__ import annotations

import argparse
from typing import Any

from coterie.cli import verbs
from coterie.cli.asking import add_fit, add_plan
from coterie.cli.backbones import add_backbones
from coterie.cli.opening import add_open
from coterie.cli.parsing import Parser, add_channels, add_reading, new_verb
from coterie.cli.recipes import add_recipes
from coterie.cli.reproducing import add_reproduce
from coterie.cli.values import local, names, parts, path


def build_parser() -> argparse.ArgumentParser:
    """The parser for every verb."""
    import coterie

    parser = Parser(
        prog="coterie",
        description="Group unlabelled images by learning the representation and the groups together.",
        epilog="example:\n  coterie fit photos/ -k 12 --out groups\n  then open groups/report.html",
    )
    parser.add_argument("--version", action="version", version=f"coterie {coterie.__version__}")
    parser.add_argument(
        "--code",
        type=path,
        action="append",
        default=[],
        metavar="FILE.py",
        help="execute this file first: it holds a method of your own, then called FILE:CLASS (repeatable)",
    )
    group = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_demo(group)
    add_fit(group)
    add_plan(group)
    _add_assign(group)
    _add_apply(group)
    _add_refine(group)
    _add_evaluate(group)
    _add_stability(group)
    _add_probe(group)
    add_reproduce(group)
    _add_report(group)
    add_open(group)
    _add_export(group)
    _add_choose_k(group)
    add_recipes(group)
    add_backbones(group)
    _add_bench(group)
    return parser


def _add_demo(group: Any) -> None:
    parser = new_verb(
        group, "demo", verbs.demo, "group 1 797 handwritten digits without a label, in a minute or so",
        "coterie demo --out my-demo",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="same seed, same machine, same result (default 0)")
    parser.add_argument("--out", type=local, metavar="RUN", help="folder for the results (default coterie-demo)")


def _add_assign(group: Any) -> None:
    parser = new_verb(
        group,
        "assign",
        verbs.assign,
        "group new images by a finished run",
        "coterie assign groups new-photos/ --out new.csv",
    )
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run")
    parser.add_argument("source", metavar="SOURCE", help="images, as for `coterie fit`")
    parser.add_argument("--out", type=local, metavar="FILE", help="CSV to write (default: standard output)")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps or xpu")
    add_reading(parser)


def _add_apply(group: Any) -> None:
    parser = new_verb(
        group,
        "apply",
        verbs.apply,
        "put the labels given on the page on the images of a run",
        "coterie apply groups labels.csv\n  coterie apply groups labels.csv --to sorted --copy",
    )
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run; labelled.csv is written into it")
    parser.add_argument("labels", type=path, metavar="CSV", help="from the page, or with columns key and label")
    parser.add_argument("--to", type=local, metavar="FOLDER", help="a new folder, to hold a folder for each group")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_true", help="put copies of the images there")
    how.add_argument("--link", action="store_true", help="put symbolic links to the images there")
    parser.add_argument(
        "--source", type=path, metavar="FOLDER", help="where the images lie (default: where the run read them)"
    )


def _add_refine(group: Any) -> None:
    parser = new_verb(
        group, "refine", verbs.refine, "group a run's images anew under what was said of some, as a run of its own",
        "coterie refine groups labels.csv\n  coterie refine groups --split 3 --merge cats,kittens --out better",
    )  # fmt: skip
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run, which stays as it is")
    parser.add_argument(
        "labels", type=path, nargs="?", metavar="CSV", help="from the page, or with columns key and label"
    )
    parser.add_argument(
        "-k", "--clusters", type=int, metavar="K",
        help="how many groups to have then (default: those there are, and those that the names make)",
    )  # fmt: skip
    parser.add_argument(
        "--split", type=parts, action="append", default=[], metavar="GROUP[=N]",
        help="split a group, by its name or number, into N parts (default 2; repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--merge", type=names, action="append", default=[], metavar="A,B,…", help="make groups one (repeatable)"
    )
    parser.add_argument(
        "--out", type=local, metavar="NEW", help="folder for the new run (default: beside RUN, RUN-refined)"
    )


def _add_evaluate(group: Any) -> None:
    parser = new_verb(
        group, "evaluate", verbs.evaluate, "compare a run's groups with labels",
        "coterie evaluate groups --labels labels.csv",
    )  # fmt: skip
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run")
    parser.add_argument(
        "--labels", type=path, metavar="CSV", help="columns key and label (default: the run's own labels)"
    )


def _add_stability(group: Any) -> None:
    parser = new_verb(
        group, "stability", verbs.stability, "repeat a run with other seeds, and tell which of its clusters come back",
        "coterie stability groups --seeds 3",
    )  # fmt: skip
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run whose source is still there")
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="further runs (default 3), kept in RUN/stability"
    )
    parser.add_argument("--source", metavar="SOURCE", help="where the images lie (default: where the run read them)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_probe(group: Any) -> None:
    parser = new_verb(
        group, "probe", verbs.probe, "train a linear layer on a run's frozen encoder, and test it on held-out images",
        "coterie probe groups cats-and-dogs/ --labels-from-folders",
    )  # fmt: skip
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run")
    parser.add_argument("source", metavar="SOURCE", help="labelled images, as for `coterie fit`")
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument("--labels-from-folders", action="store_true", help="class folders as labels")
    labels.add_argument("--labels", type=path, metavar="CSV", help="columns key and label")
    parser.add_argument("--recipe", metavar="NAME", help="evaluate as this recipe's paper does")
    parser.add_argument("--optimizer", help="sgd (default), or lars for hundreds of thousands of images")
    parser.add_argument("--epochs", type=int, metavar="N", help="default 100 for sgd, 90 for lars")
    add_reading(parser)
    tested = parser.add_mutually_exclusive_group()
    tested.add_argument("--held-out", type=float, metavar="SHARE", help="of each class, to test on (default 0.2)")
    tested.add_argument("--test", metavar="SOURCE", help="labelled images to test on, such as cifar10:PATH:test")
    parser.add_argument("--seed", type=int, help="of the split and the order (default 0)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps or xpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_report(group: Any) -> None:
    parser = new_verb(group, "report", verbs.report, "build report.html anew", "coterie report groups")
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run")
    parser.add_argument(
        "--source", metavar="SOURCE", help="take the pictures anew from the images, as for runs of older versions"
    )


def _add_export(group: Any) -> None:
    from coterie.export import formats

    parser = new_verb(
        group, "export", verbs.export, "take a run elsewhere, in formats that other programs read",
        "coterie export groups --onnx --coco groups.json\n  coterie export groups --hub card --push me/my-groups",
    )  # fmt: skip
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run, or what Clusterer.save wrote")
    for name, kind in formats().items():
        optional: dict[str, Any] = {} if kind.default is None else {"nargs": "?", "const": verbs.OWN_NAME}
        standard = "" if kind.default is None else f" (default RUN/{kind.default})"
        parser.add_argument(f"--{name}", type=path, metavar=kind.target, help=f"{kind.about}{standard}", **optional)
    parser.add_argument(
        "--pixels", default="uint8", help="what an exported network takes: uint8 from 0 to 255 (default), or float32 "
        "from 0 to 1",
    )  # fmt: skip
    parser.add_argument("--push", metavar="USER/NAME", help="upload what --hub wrote; nothing is uploaded without this")
    parser.add_argument("--force", action="store_true", help="replace what is there")


def _add_choose_k(group: Any) -> None:
    parser = new_verb(
        group, "choose-k", verbs.choose_k, "recommend how many groups to form",
        "coterie choose-k groups --from 2 --to 30 --plot numbers.png",
    )  # fmt: skip
    parser.add_argument("source", metavar="RUN|SOURCE", help="a finished run, an .npz with `features`, or images")
    parser.add_argument("--from", dest="least", type=int, default=2, metavar="K", help="least number (default 2)")
    parser.add_argument(
        "--to", dest="most", type=int, metavar="K", help="greatest number (default 30, or what so few images allow)"
    )
    add_channels(parser)
    add_reading(parser)
    parser.add_argument("--plot", type=path, metavar="FILE", help="PNG to write, every criterion by number")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of every k-means (default 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_bench(group: Any) -> None:
    parser = new_verb(
        group,
        "bench",
        verbs.bench,
        "measure the speed of each part beside a plain baseline",
        "coterie bench --only knn",
    )
    parser.add_argument("--only", metavar="NAME", help="one part, such as train-step or kmeans-10")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="of each side (default 5)")
    parser.add_argument("--device", default="cpu", help="where ours runs: cpu (default) or cuda")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="small problems, to see that everything runs")
