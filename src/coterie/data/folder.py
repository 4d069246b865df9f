"""Finding the images below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from coterie.errors import UsageError

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".mpo")
)


@dataclass(frozen=True)
class Skipped:
    """A file left out, and why."""

    key: str
    reason: str


def file_below(root: Path, key: str) -> Path | None:
    """The file a key names below `root`; None for a key that leads out of it, as a table of unknown origin may hold."""
    path = Path(key)
    outside = path.is_absolute() or path.drive or ".." in path.parts
    return None if outside else root / path


def find_images(root: Path) -> tuple[list[Path], list[Skipped]]:
    """Files below `root` that may be images, in a fixed order, and what was passed over.

    Files without an ending are tried; hidden files and folders are ignored; links to folders are followed once.

    Raises:
        UsageError: `root` itself cannot be read.
    """
    skipped: list[Skipped] = []

    def unreadable(error: OSError) -> None:
        if error.filename is not None and Path(error.filename) == root:
            raise UsageError(f"the folder {root} cannot be read: {error.strerror}")
        skipped.append(Skipped(_relative(Path(str(error.filename)), root), f"folder not readable: {error.strerror}"))

    images: list[Path] = []
    visited: set[str] = set()
    for folder, subfolders, names in os.walk(root, onerror=unreadable, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or name == "Thumbs.db":
                continue
            if path.suffix.lower() in IMAGE_SUFFIXES or not path.suffix:
                images.append(path)
            else:
                skipped.append(Skipped(_relative(path, root), f"not an image file type ({path.suffix})"))
    return sorted(images, key=lambda path: path.relative_to(root).as_posix()), skipped


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
