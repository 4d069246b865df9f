"""Data sets as they are downloaded, in the layout their authors chose; a file for each layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coterie.data.base import Source
from coterie.data.sources.downloads.cifar import open_cifar
from coterie.data.sources.downloads.classes import open_class_folders, open_synsets
from coterie.data.sources.downloads.idx import open_idx
from coterie.data.sources.downloads.stl10 import open_stl10
from coterie.data.sources.downloads.words import Asked
from coterie.errors import UsageError

# Each takes what is asked for, its splits, and whom to tell.
_LAYOUTS: Mapping[str, Callable[[Asked, list[str], Callable[[str], None]], Source]] = {
    "cifar": open_cifar,
    "stl10": open_stl10,
    "idx": open_idx,
    "synsets": open_synsets,
    "folders": open_class_folders,
}


def open_download(asked: Asked, note: Callable[[str], None] = lambda _: None) -> Source:
    """The data set that is asked for.

    Raises:
        UsageError: it is not there, incomplete or damaged, or has no such split.
    """
    try:
        return _LAYOUTS[asked.download.layout](asked, asked.splits, note)
    except UsageError:
        raise
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{asked.word}:{asked.path}: {reason}") from None
