"""`coterie apply`: a person's labels on the images of a run, and a folder for each group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coterie.data.sources.naming import in_arrays, place_of
from coterie.data.sources.shard_names import is_shards
from coterie.errors import UsageError
from coterie.files import is_url, write_text
from coterie.listener import Listener
from coterie.runs.assignments import Assignments
from coterie.runs.duplicates import read_duplicates
from coterie.runs.folder import RunFolder
from coterie.runs.images import found_below
from coterie.runs.labelled import Labelled, read_labelled
from coterie.runs.lock import only_writer
from coterie.surroundings import in_surroundings
from coterie.workflow.steps.sort_files import Sorted, check_target, sort_files


@dataclass(frozen=True)
class Applied:
    """The labelled images, the file that lists them, and what became of their files if they were to be sorted."""

    labelled: Labelled
    path: Path
    sorted: Sorted | None = None


@in_surroundings
def apply_labels(
    run: Path,
    labels: Path,
    listener: Listener,
    *,
    to: Path | None = None,
    link: bool = False,
    source: Path | None = None,
) -> Applied:
    """Write `labelled.csv` into a finished run, in place of an earlier one, and sort the images into folders if asked.

    Args:
        labels: what the page's "Download labels.csv" gives, or any CSV with the columns key and label.
        to: a new folder for a folder of each group; None sorts nothing.
        link: symbolic links instead of copies.
        source: where the images lie now; None for where the run read them.

    Raises:
        UsageError: the run is not finished, the labels do not fit it, or there is nothing to sort or no place for it;
            nothing is written then. CoterieError: a file is damaged or cannot be written.
    """
    folder = RunFolder(run)
    folder.read_summary()
    assignments = Assignments.read(folder.assignments)
    first = read_duplicates(folder.duplicates, assignments.keys)
    labelled = read_labelled(labels, assignments, first, note=listener.note)
    files: dict[str, Path] = {}
    others: set[str] = set()
    if to is not None:
        check_target(to)
        place = _images_of(folder) if source is None else source
        if not place.is_dir():
            raise UsageError(f"there is no folder {place}: say where the run's images lie by --source")
        files, others = found_below(folder, place, assignments.keys)
        if not files:
            raise UsageError(f"none of the run's images lie below {place}: say where they lie by --source")
        if len(others) == len(files):
            raise UsageError(f"what lies below {place} are other pictures than the run's, of the same names")
    with only_writer(run):
        write_text(folder.labelled, labelled.to_csv())
    placed = None if to is None else sort_files(labelled, files, to, listener, link=link, others=others)
    return Applied(labelled, folder.labelled, placed)


def _images_of(folder: RunFolder) -> Path:
    source = folder.read_config().data.source
    if in_arrays(source):
        raise UsageError(f"the images of {source} lie in an array and not in files: there is nothing to sort by --to")
    if is_url(source) or is_shards(source):
        raise UsageError(
            f"the images of {source} are not files on this machine: fetch or unpack them, and say where by --source; "
            "labelled.csv, which apply writes without --to, has the group of each"
        )
    return place_of(source)
