"""`coterie report`: the page of a finished run, built anew."""

from __future__ import annotations

from pathlib import Path

from coterie.data.sources import open_source
from coterie.errors import UsageError
from coterie.report.page import read_embeddings, write_report
from coterie.runs.assignments import Assignments
from coterie.runs.duplicates import read_duplicates
from coterie.runs.folder import RunFolder
from coterie.text import printable
from coterie.workflow.steps.pictures import take_pictures
from coterie.workflow.steps.read import read_by


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
        opened = open_source(source, **read_by(folder))
        if not {printable(key) for key in opened.keys} & set(assignments.keys):
            raise UsageError(f"{source} has none of the run's images: give the source the run was made of")
        embeddings = read_embeddings(folder, len(assignments.keys))
        first = read_duplicates(folder.duplicates, assignments.keys)
        take_pictures(opened, assignments, embeddings, first=first).save(folder.thumbnails)
    write_report(folder, summary)
    return folder.report
