"""Whether what was read is enough, differs, and is what an earlier attempt learnt from."""

from __future__ import annotations

from coterie.data.base import Rows, Skipped
from coterie.data.reading.store import Store
from coterie.data.sources.kinds import unread
from coterie.errors import CoterieError, UsageError
from coterie.listener import Listener
from coterie.plan import Plan, check_enough
from coterie.runs.folder import RunFolder
from coterie.runs.manifest import Manifest
from coterie.workflow.steps.attempt import Attempt


def accept(rows: Rows, skipped: list[Skipped], plan: Plan, attempt: Attempt) -> None:
    """List what was left out; raise an error where too little is left, or not what an earlier attempt learnt from."""
    folder = attempt.folder
    if folder is not None:
        folder.write_skipped(skipped)
        if skipped:
            _tell_skipped(skipped, folder, attempt.listener)
    check_enough(len(rows), plan.config.clusters)
    now = Manifest.of(rows)
    _check_different(now, "images" if isinstance(rows, Store) else "rows", plan.config.clusters)
    if folder is not None:
        _check_unchanged(now, attempt)


def _tell_skipped(skipped: list[Skipped], folder: RunFolder, listener: Listener) -> None:
    files = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
    kinds = f"; among them {found}" if (found := unread(skipped)) and len(skipped) > 1 else ""
    listener.note(
        f"left out {files}, listed in {folder.skipped}; the first: {skipped[0].key}: {skipped[0].reason}{kinds}"
    )


def _check_different(now: Manifest, what: str, clusters: int) -> None:
    """Raise a UsageError where too few images, or rows of features, differ to be told apart."""
    many, different = len(now.keys), now.distinct
    if different == 1 < many:
        raise UsageError(f"all {many} {what} are the same: there is nothing to tell apart")
    if different < clusters:
        raise UsageError(
            f"{many} {what} of which {different} differ cannot form {clusters} clusters: lower -k or add others"
        )


def _check_unchanged(now: Manifest, attempt: Attempt) -> None:
    """Raise a CoterieError that tells which images are not those the checkpoint, or the run to be like, learnt from."""
    folder = attempt.folder
    assert folder is not None
    whose = folder if folder.checkpoint.is_file() or folder.finished else attempt.like
    before = None if whose is None else Manifest.read(whose.manifest)
    compared = before is not None and (whose is folder or before.comparable)
    if whose is not None and before is not None and compared and (changes := before.changes(now)):
        raise CoterieError(
            f"the images are not those {whose.root} was started with: {changes}; restore them to go on, or give "
            "another --out to start anew"
        )
    now.write(folder.manifest)
