"""The words of `coterie fit` and `coterie plan`, which ask for the same and do differently with it."""

from __future__ import annotations

import argparse
from typing import Any

from coterie.cli import verbs
from coterie.cli.parsing import add_channels, add_reading, new_verb
from coterie.cli.values import existing, local, shares, words


def add_fit(group: Any) -> None:
    parser = new_verb(
        group, "fit", verbs.fit, "learn to group images, and leave the results in a folder",
        "coterie fit photos/ -k 12 --out groups\n  coterie fit cats-and-dogs/ -k 2 --labels-from-folders "
        "--set train.batch_size=64 --out pets\n  coterie fit photos/ -k 12 --method kmeans --backbone "
        "hf:facebook/dinov2-small --out quick",
    )  # fmt: skip
    parser.add_argument("--out", type=local, required=True, metavar="RUN", help="folder for the results")
    parser.add_argument(
        "--track", action="append", default=[], metavar="NAME",
        help="show the figures of metrics.jsonl in tensorboard, wandb or mlflow too (repeatable)",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on where RUN stopped")
    _add_request(parser)


def add_plan(group: Any) -> None:
    parser = new_verb(
        group, "plan", verbs.plan, "say what fit would do, every setting and its origin, and what it would take here",
        "coterie plan photos/ -k 12\n  coterie plan digits -k 10 --method simclr --json",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _add_request(parser)


def _add_request(parser: argparse.ArgumentParser) -> None:
    """What is asked of a run."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder of images, an .npz with `images` (or `features`), tar shards ('shards-{000..012}.tar', "
        "'shards-*.tar'), any of these as a URL (s3://bucket/photos), hf:NAME[:SPLIT], a data set as downloaded "
        "(cifar10:PATH[:SPLIT]), `digits`, or a finished run, whose embeddings then are the features",
    )
    parser.add_argument("-k", "--clusters", type=int, metavar="K", help="how many groups to find")
    parser.add_argument(
        "--method",
        default="auto",
        help="auto, the default: as the data suggest, one of cc (many grey images), simclr (others), kmeans, which "
        "learns nothing (on features, as of colour photographs), propos (a GPU for an hour); or byol, hadis, digpro, "
        "pcl, moco, simsiam, cadecl; on features lnscc, temi, turtle; or FILE:CLASS with --code",
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help="what looks at the images: resnet18-small, … (default: by the data), or pretrained: hf:NAME, timm:NAME, "
        "a file, a run; methods on images train it, methods on features take its features as they are, "
        "also of several at once: efficientnet-lite2+mobilenetv2",
    )
    parser.add_argument(
        "--proportions", type=shares, default=(), metavar="S,S,…", help="wanted sizes of the groups, for lnscc"
    )
    parser.add_argument(
        "--words", type=words, metavar="FILE", help="words, one a line, that a CLIP may suggest as names of groups "
        "(default: those of ImageNet's classes)",
    )  # fmt: skip
    parser.add_argument(
        "--labels", type=existing, metavar="CSV", help="names given to some images, as the page's labels.csv or with "
        "columns key and label: they are heeded in learning and grouping, and left out of scores",
    )  # fmt: skip
    _add_settings(parser)
    parser.add_argument("--labels-from-folders", action="store_true", help="class folders as labels, to evaluate only")
    parser.add_argument(
        "--collapse-copies", action="store_true", help="learn from every picture once, however often it is there"
    )
    add_channels(parser)
    add_computing(parser)
    add_reading(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What is settled otherwise by the data and the machine."""
    parser.add_argument("--recipe", metavar="NAME", help="settings by name, see `coterie recipes`, or a YAML file")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set any option (repeatable)",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the images")
    parser.add_argument(
        "--minutes", type=float, metavar="M",
        help="choose the epochs so that learning and grouping take about M minutes here, by a pace measured first "
        "(default: about ten minutes)",
    )  # fmt: skip
    parser.add_argument("--size", type=int, metavar="PX", help="side of the square each image becomes")
    parser.add_argument("--seed", type=int, help="same seed, same machine, same result (default 0)")


def add_computing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where and how it is computed")
    group.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps or xpu")
    group.add_argument("--precision", default="auto", help="auto (default), float32 or bfloat16")
    group.add_argument(
        "--deterministic", action="store_true", help="on cuda: the same result every time, if more slowly"
    )
    group.add_argument(
        "--compile", action="store_true", help="let torch compile the encoder: slower to start, faster in long runs"
    )
