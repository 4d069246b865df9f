"""Whether confidence means what it says, over finished runs whose labels are known.

Run: python benchmarks/reliability.py RUNS/digits-propos-60-* RUNS/usps-propos-40-* --out docs/reliability.png

The runs are those that `python benchmarks/methods.py digits usps=usps.npz --runs RUNS` leaves. Prints a row of Markdown
for each, and draws the mean over the seeds of each kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from coterie.evaluate.reliability import LEVELS, Level, Reliability
from coterie.report.plots import reliability_curves
from coterie.workflow.evaluate import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished runs, named KIND-SEED")
    parser.add_argument("--out", type=Path, help="PNG to write")
    options = parser.parse_args()
    kinds: dict[str, list[Reliability]] = {}
    for run in sorted(options.runs):
        kinds.setdefault(run.name.rpartition("-")[0], []).append(evaluate(run).reliability)
    levels = " | ".join(f"≥ {level:g}" for level in LEVELS[1:])
    print(f"| runs | seeds | right | mean confidence | calibration error | {levels} |")
    print("|---" * (5 + len(LEVELS[1:])) + "|")
    means = {kind: mean(found) for kind, found in kinds.items()}
    for kind, one in means.items():
        cells = [kind, str(len(kinds[kind])), *(f"{value:.3f}" for value in (one.right, one.confidence, one.error))]
        cells += ["–" if level.right is None else f"{level.right:.3f} of {level.share:.2f}" for level in one.levels[1:]]
        print(f"| {' | '.join(cells)} |")
    if options.out is not None:
        options.out.write_bytes(reliability_curves(means))


def mean(found: list[Reliability]) -> Reliability:
    """The mean over seeds; a level that one run does not reach has none."""
    levels = []
    for ours in zip(*(one.levels for one in found), strict=True):
        rights = [level.right for level in ours if level.right is not None]
        right = float(np.mean(rights)) if len(rights) == len(ours) else None
        levels.append(Level(ours[0].confidence, float(np.mean([level.share for level in ours])), right))
    averages = (float(np.mean([getattr(one, name) for one in found])) for name in ("confidence", "right", "error"))
    return Reliability(*averages, tuple(levels))


if __name__ == "__main__":
    main()
