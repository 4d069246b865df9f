"""`coterie evaluate`: how well a run's clusters agree with labels."""

from __future__ import annotations

from pathlib import Path

from coterie.errors import UsageError
from coterie.evaluate.agreement import Evaluation, compare
from coterie.files import write_atomically, write_json
from coterie.listener import Listener
from coterie.report.plots import reliability_curves
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.labels import read_labels
from coterie.runs.lock import only_writer
from coterie.runs.named import told_of
from coterie.surroundings import in_surroundings


@in_surroundings
def evaluate(run: Path, labels: Path | None = None, listener: Listener | None = None) -> Evaluation:
    """Compare a finished run with the labels it knows, or with those of a CSV (columns key and label).

    Images whose names were given to the run are left out.

    Args:
        listener: told of rows that mean no image, and the like.

    Raises:
        UsageError: no labels are known, or the run is not finished.
    """
    folder = RunFolder(run)
    folder.read_summary()
    assignments = Assignments.read(folder.assignments)
    named = assignments.labels
    if labels is not None:
        named = read_labels(labels, assignments.keys, (listener or Listener()).note)
    if named is None or not any(named):
        raise UsageError(f"{run} knows no labels: give a CSV with the columns key and label by --labels")
    told = told_of(folder, assignments.keys)
    if all(itself or not name for name, itself in zip(named, told.tolist(), strict=True)):
        raise UsageError(f"{run} was told all labels that are known, and none is left to compare with")
    return compare(named, assignments.clusters, assignments.confidence, told=told)


def write_evaluation(evaluation: Evaluation, run: Path) -> tuple[Path, ...]:
    """Write `evaluation.json` and `reliability.png` into the run's folder."""
    folder = RunFolder(run)
    with only_writer(run):
        write_json(folder.evaluation, evaluation.as_json())
        if evaluation.reliability is None:
            return (folder.evaluation,)
        picture = reliability_curves({run.resolve().name: evaluation.reliability})
        write_atomically(folder.reliability, lambda stream: stream.write(picture))
    return folder.evaluation, folder.reliability
