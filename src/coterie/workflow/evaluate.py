"""`coterie evaluate`: how well a run's clusters agree with labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError
from coterie.evaluate.metrics import Scores, confusion, matching, purity, score
from coterie.evaluate.reliability import Reliability, reliability
from coterie.files import write_atomically, write_json
from coterie.report.plots import reliability_curves
from coterie.runs.assignments import Assignments, read_labels
from coterie.runs.folder import RunFolder


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the confusion `table` (classes, clusters) with its class names and the purity of each cluster.

    `matched` maps a cluster to the row of the class that the best one-to-one matching gives it; by it an image is right
    or wrong in `reliability`.
    """

    scores: Scores
    table: npt.NDArray[np.int64]
    classes: list[str]
    purity: npt.NDArray[np.float64]
    matched: dict[int, int]
    labelled: int
    reliability: Reliability

    def as_json(self) -> dict[str, Any]:
        """The content of `evaluation.json`."""
        return {
            "labelled": self.labelled,
            **asdict(self.scores),
            "classes": self.classes,
            "confusion": self.table.tolist(),
            "purity": [None if np.isnan(share) else round(float(share), 6) for share in self.purity],
            "matched": {str(cluster): self.classes[row] for cluster, row in sorted(self.matched.items())},
            "reliability": asdict(self.reliability),
        }


def evaluate(run: Path, labels: Path | None = None) -> Evaluation:
    """Compare a finished run with the labels it knows, or with those of a CSV (columns key and label).

    Raises:
        UsageError: no labels are known, or the run is not finished.
    """
    folder = RunFolder(run)
    folder.read_summary()
    assignments = Assignments.read(folder.assignments)
    named = assignments.labels if labels is None else read_labels(labels, assignments.keys)
    if named is None or not any(named):
        raise UsageError(f"{run} knows no labels: give a CSV with the columns key and label by --labels")
    classes = sorted(set(named) - {""}, key=_in_order)
    numbers = {name: number for number, name in enumerate(classes)}
    numbered = np.array([numbers.get(name, -1) for name in named], dtype=np.int64)
    table = confusion(numbered, assignments.clusters)
    matched, known = matching(table), numbered >= 0
    # A cluster that is matched to no class is right about no image.
    expected = np.array([matched.get(cluster, -1) for cluster in assignments.clusters[known].tolist()])
    return Evaluation(
        score(numbered, assignments.clusters),
        table,
        classes,
        purity(table),
        matched,
        int(table.sum()),
        reliability(assignments.confidence[known], expected == numbered[known]),
    )


def write_evaluation(evaluation: Evaluation, run: Path) -> tuple[Path, Path]:
    """Write `evaluation.json` and `reliability.png` into the run's folder."""
    folder = RunFolder(run)
    picture = reliability_curves({run.resolve().name: evaluation.reliability})
    write_json(folder.evaluation, evaluation.as_json())
    write_atomically(folder.reliability, lambda stream: stream.write(picture))
    return folder.evaluation, folder.reliability


def _in_order(name: str) -> tuple[int, Any]:
    """Numbers by value, before words by letter."""
    return (0, int(name)) if name.isdecimal() else (1, name)
