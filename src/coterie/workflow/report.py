"""`coterie report`: the page of a finished run, built anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coterie.data.sources import open_source
from coterie.errors import UsageError
from coterie.naming import matched
from coterie.report.page import read_embeddings, write_report
from coterie.runs.assignments import Assignments
from coterie.runs.duplicates import read_duplicates
from coterie.runs.folder import RunFolder
from coterie.runs.images import read_by, strangers
from coterie.runs.lock import only_writer
from coterie.surroundings import in_surroundings
from coterie.text import printable
from coterie.workflow.steps.pictures import take_pictures


@in_surroundings
def rebuild_report(run: Path, source: str | None = None) -> Path:
    """Build `report.html` from the other files of a run; returns where it lies.

    Args:
        source: take the pictures anew from these images, for a run that lacks some; None keeps those it has.

    Raises:
        UsageError: the run is not finished, or the source has none of its images. CoterieError: a file is damaged.
    """
    folder = RunFolder(run)
    summary = folder.read_summary()
    with only_writer(run):
        return _rebuilt(folder, summary, source)


def _rebuilt(folder: RunFolder, summary: dict[str, Any], source: str | None) -> Path:
    if source is not None:
        assignments = Assignments.read(folder.assignments)
        opened = open_source(source, **read_by(folder))
        if not matched(map(printable, opened.keys), assignments.keys):
            raise UsageError(f"{source} has none of the run's images: give the source the run was made of")
        if others := strangers(folder, opened):
            raise UsageError(
                f"{len(others)} images of {source} are not what the run read under these names ({min(others)}): give "
                "the source the run was made of"
            )
        embeddings, scale = read_embeddings(folder, len(assignments.keys)), folder.read_config().data.scale
        first = read_duplicates(folder.duplicates, assignments.keys)
        take_pictures(opened, assignments, embeddings, first=first, scale=scale).save(folder.thumbnails)
    write_report(folder, summary)
    return folder.report
