"""`coterie report`: the page of a finished run, built anew."""

from __future__ import annotations

from pathlib import Path

from coterie.data.sources import open_source
from coterie.errors import UsageError
from coterie.naming import matched
from coterie.report.page import read_embeddings, write_report
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.text import printable
from coterie.workflow.steps.pictures import take_pictures


def rebuild_report(run: Path, source: str | None = None) -> Path:
    """Build `report.html` from the other files of a run; returns where it lies.

    Args:
        source: take the pictures anew from these images, for a run that lacks some; None keeps those it has.

    Raises:
        UsageError: the run is not finished, or the source has none of its images. CoterieError: a file is damaged.
    """
    folder = RunFolder(run)
    summary = folder.read_summary()
    if source is not None:
        assignments = Assignments.read(folder.assignments)
        opened = open_source(source)
        if not matched(map(printable, opened.keys), assignments.keys):
            raise UsageError(f"{source} has none of the run's images: give the source the run was made of")
        take_pictures(opened, assignments, read_embeddings(folder, len(assignments.keys))).save(folder.thumbnails)
    write_report(folder, summary)
    return folder.report
