"""Finding the images below a folder."""

from __future__ import annotations

import os
from pathlib import Path

from coterie.data.base import Skipped
from coterie.errors import UsageError

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".mpo")
)


def file_below(root: Path, key: str) -> Path | None:
    """The file a key names below `root`; None for a key that leads out of it, as a table of unknown origin may hold."""
    path = Path(key)
    outside = path.is_absolute() or path.drive or ".." in path.parts
    return None if outside else root / path


def find_images(root: Path) -> tuple[list[Path], list[Skipped]]:
    """Files below `root` that may be images, in a fixed order, and what was passed over.

    Files without an ending are tried; hidden files and folders are ignored; a folder that several links lead to is read
    once. However deep the folders, nothing recurses.

    Raises:
        UsageError: `root` itself cannot be read.
    """
    images: list[Path] = []
    skipped: list[Skipped] = []
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = _entries(folder, seen)
        except OSError as error:
            if folder == root:
                raise UsageError(f"the folder {root} cannot be read: {error.strerror}") from None
            skipped.append(Skipped(_relative(folder, root), f"folder not readable: {error.strerror}"))
            continue
        if entries is None:
            skipped.append(Skipped(_relative(folder, root), "a link to a folder that is read already"))
            continue
        subfolders = []
        for entry in entries:
            path = Path(folder, entry.name)
            if entry.name.startswith(".") or entry.name == "Thumbs.db":
                continue
            if _is_folder(entry):
                subfolders.append(path)
            elif path.suffix.lower() in IMAGE_SUFFIXES or not path.suffix:
                images.append(path)
            else:
                skipped.append(Skipped(_relative(path, root), f"not an image file type ({path.suffix})"))
        waiting += reversed(subfolders)
    return sorted(images, key=lambda path: path.relative_to(root).as_posix()), skipped


def _entries(folder: Path, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]] | None:
    """What a folder holds, by name; None if it is one of those `seen`."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return None
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link that leads in a circle.
        return False


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
