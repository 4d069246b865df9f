"""Finding the images below a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from coterie.data.base import Skipped
from coterie.data.sources.kinds import is_image, why_not
from coterie.data.sources.passed import files_below, made_by_coterie, passed_over
from coterie.errors import UsageError


def file_below(root: Path, key: str) -> Path | None:
    """The file a key names below `root`; None for a key that leads out of it, as a table of unknown origin may hold."""
    path = Path(key)
    outside = path.is_absolute() or path.drive or ".." in path.parts
    return None if outside else root / path


def find_images(
    root: Path, passed: Counter[str] | None = None, within: Sequence[str] = ()
) -> tuple[list[Path], list[Skipped]]:
    """Files below `root` that may be images, in a fixed order, and what was left out.

    Files without an ending are tried; a folder that several links lead to is read once. Hidden files and folders, and
    those of systems, runs and sorted copies are passed over. However deep the folders, nothing recurses.

    Args:
        passed: to count files that are passed over, by the name of their folder or their own.
        within: folders below `root` to look in only; none for all of it.

    Raises:
        UsageError: `root` itself cannot be read.
    """
    images: list[Path] = []
    skipped: list[Skipped] = []
    seen: set[tuple[int, int]] = set()
    waiting = [root / each for each in reversed(within)] or [root]
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
        if folder != root and (made := made_by_coterie(folder, {entry.name for entry in entries})):
            _count(passed, f"{_relative(folder, root)} ({made})", folder)
            continue
        subfolders = []
        for entry in entries:
            path = Path(folder, entry.name)
            if name := passed_over([entry.name], folder.name):
                _count(passed, name, path)
            elif _is_folder(entry):
                subfolders.append(path)
            elif is_image(path.suffix) or not path.suffix:
                images.append(path)
            else:
                skipped.append(Skipped(_relative(path, root), why_not(path.suffix)))
        waiting += reversed(subfolders)
    return sorted(images, key=lambda path: path.relative_to(root).as_posix()), skipped


def _count(passed: Counter[str] | None, name: str, path: Path) -> None:
    if passed is not None:
        passed[name] += files_below(path) if path.is_dir() and not path.is_symlink() else 1


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
