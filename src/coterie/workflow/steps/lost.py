"""What a finished run has lost since: files that are gone, or that something else changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coterie.errors import CoterieError
from coterie.report.page import read_embeddings
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.model_files import load_model


def lost(folder: RunFolder) -> list[str]:
    """Names of the results of a finished run that are missing or damaged; whether they are is told by reading them."""
    checks: dict[str, Callable[[], Any]] = {
        folder.summary.name: folder.read_summary,
        folder.assignments.name: lambda: Assignments.read(folder.assignments),
        folder.embeddings.name: lambda: read_embeddings(folder, folder.read_summary()["images"]),
        folder.model.name: lambda: load_model(folder.model, device="cpu"),
        folder.thumbnails.name: lambda: Thumbnails.load(folder.thumbnails),
        folder.report.name: lambda: folder.report.stat(),
    }
    return [name for name, check in checks.items() if not _stands(check)]


def _stands(check: Callable[[], Any]) -> bool:
    try:
        check()
    except (CoterieError, OSError):
        return False
    return True
