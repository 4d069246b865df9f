"""`coterie evaluate`: how well a run's clusters agree with labels."""

from __future__ import annotations

from pathlib import Path

from coterie.errors import UsageError
from coterie.evaluate.agreement import Evaluation, compare
from coterie.runs.assignments import Assignments, read_labels
from coterie.runs.folder import RunFolder


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
    return compare(named, assignments.clusters)
