"""Ask a GPU that is lent for minutes: `benchmarks/gpu.sh first OUT`, then `benchmarks/gpu.sh second OUT FIRST`.

`first` tries whether everything runs, measures how fast, and begins a run of CIFAR-10 with what is left of the time.
`second` goes on with that run from the files in FIRST, and reports. What is worth most comes first; every part has a
time of its own, and what it finds is in OUT at once, in files of at most 16 MiB, eight in all. The same command again
does what is not done yet.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from coterie.machine import commit, machine
from gpu.parts import Lease, Part

ROOT = Path(__file__).parents[2]
# Seconds of a lease, and the share of it that the run of CIFAR-10 gets whatever else is slow.
_SECONDS, _KEPT_FREE = 540.0, 0.45
# On a laptop: more time for each part, and another network.
_PATIENCE = 10
_SMALL = ("backbone=convnet-small", "hidden=32", "projection=16", "train.batch_size=64", "data.side=16")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", choices=("first", "second"))
    parser.add_argument("out", type=Path)
    parser.add_argument("first", type=Path, nargs="?", help="the files that `first` left (default OUT)")
    parser.add_argument("--data", type=Path, default=Path("cifar10.npz"), help="with `images` or `jpeg`, and `labels`")
    parser.add_argument("--recipe", help="of the run of CIFAR-10 (default: what fit chooses by itself)")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="that this lease may take")
    parser.add_argument("--minutes", type=float, default=11.0, help="of learning, in both leases together")
    parser.add_argument("--small", action="store_true", help="small problems, to see on a CPU that everything works")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # Whatever runs is let end.
    lease = Lease(options.out.resolve(), options.seconds, ROOT)
    lease.note("lease", {"which": options.which, "machine": machine(), "commit": commit()})
    if options.which == "first":
        for part in [*_working(options), *_speed(options)]:
            patient = replace(part, seconds=_PATIENCE * part.seconds) if options.small else part
            lease.run(patient, spare=_KEPT_FREE * options.seconds)
    if options.data.is_file():
        lease.run(_learning(options))
    else:
        lease.note("cifar10", {"state": "left out", "told": f"there is no {options.data}", "results": []})


def _working(options: argparse.Namespace) -> Iterator[Part]:
    """Does it run."""
    few = ["--device", options.device, "--images", "384" if options.small else "1024"]
    works = [sys.executable, "-m", "gpu.works"]
    yield Part("methods", [*works, "methods", *few], 60)
    yield Part("agreement", [*works, "agreement", *few], 50)
    tests = ["-m", "pytest", "tests/parity", "-s", "-p", "no:cacheprovider", "-p", "gpu.parity"]
    yield Part("parity", ["env", f"DEVICE={options.device}", sys.executable, *tests], 40)
    yield Part("repeatable", [*works, "repeatable", *few], 45)
    yield Part("recorded", [*works, "recorded", *few], 40)


def _speed(options: argparse.Namespace) -> Iterator[Part]:
    """How fast."""
    on = ["--device", options.device]
    few = ["--images", "128", "--batch", "64", "--epochs", "1"] if options.small else []
    epoch = [sys.executable, str(ROOT / "benchmarks" / "epoch.py"), *on, *few]
    bench = [
        sys.executable,
        "-m",
        "coterie",
        "bench",
        *on,
        "--json",
        *(["--smoke"] if options.small else []),
        "--repeats",
    ]
    steps = ["--batch", "16", "--steps", "2"] if options.small else []
    yield Part("train-step", [*bench, "2", "--only", "train-step"], 60)
    yield Part("profile", [sys.executable, "-m", "gpu.steps", *on, *steps], 30)
    yield Part("epoch", epoch, 60)
    yield Part("kmeans-10", [*bench, "2", "--only", "kmeans-10"], 40)
    yield Part("augment", [*bench, "3", "--only", "augment"], 25)
    yield Part("kmeans-1000", [*bench, "1", "--only", "kmeans-1000"], 75)
    if not options.small:  # Of a CPU the compiler says nothing about a GPU, and it takes minutes.
        yield Part("epoch-compiled", [*epoch, "--compile"], 75)
    yield Part("knn", [*bench, "1", "--only", "knn"], 60)


def _learning(options: argparse.Namespace) -> Part:
    """CIFAR-10 for the rest of the time."""
    command = [sys.executable, "-m", "gpu.cifar", str(options.out.resolve()), "--data", str(options.data.resolve())]
    command += ["--first", str(options.first.resolve())] if options.first else []
    command += ["--device", options.device, "--minutes", str(options.minutes)]
    command += ["--recipe", options.recipe] if options.recipe else []
    command += ["--every", "1" if options.small else "30"]
    command += [word for setting in (_SMALL if options.small else ()) for word in ("--set", setting)]
    return Part("cifar10", command, options.seconds)


if __name__ == "__main__":
    main()
