"""A folder for each group, with copies of its images or links to them."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from coterie.data.base import Skipped
from coterie.data.sources.passed import SORTED_MARK
from coterie.errors import CoterieError, UsageError
from coterie.files import absolute
from coterie.listener import Listener
from coterie.runs.labelled import Labelled
from coterie.text import printable

_FORBIDDEN = frozenset('<>:"/\\|?*')
# Names Windows keeps for devices, with any ending.
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
# Bytes of a name: of a group, and what file systems allow.
_LONGEST, _ALLOWED = 200, 255


@dataclass(frozen=True)
class Sorted:
    """How many files were `placed`, and which were left out because they are `gone`."""

    placed: int
    gone: list[Skipped] = field(default_factory=list)


def check_target(target: Path) -> None:
    """Raise a UsageError unless `target` is a new or an empty folder: nothing is ever written over."""
    # Whoever empties a folder of sorted files may not see the mark.
    if target.exists() and (not target.is_dir() or any(path.name != SORTED_MARK for path in target.iterdir())):
        raise UsageError(f"{target} exists already and is not empty: give a new folder by --to")


def sort_files(
    labelled: Labelled,
    files: dict[str, Path],
    target: Path,
    listener: Listener,
    *,
    link: bool = False,
    others: Collection[str] = (),
) -> Sorted:
    """Place every image in the folder of its group below `target`; groups marked as mixed say so in their name.

    Args:
        files: where the images lie, by key; those without a file are listed as gone.
        target: a new or empty folder.
        link: symbolic links instead of copies.
        others: keys of files that are not what the run read, and are left out.

    Raises:
        UsageError: `target` holds something. CoterieError: it cannot be written; what was placed is kept.
    """
    check_target(target)
    names = [f"{name} (mixed)" if mixed else name for name, mixed in zip(labelled.labels, labelled.mixed, strict=True)]
    folders = _folders(target, names)
    taken: dict[Path, set[str]] = {folder: set() for folder in folders.values()}
    placed, gone, most = 0, [], _longest(target)
    listener.begin("linking" if link else "copying", len(names), "files")
    for key, name in zip(map(printable, labelled.assignments.keys), names, strict=True):
        folder = folders[name]
        if key in others:
            gone.append(Skipped(key, "the file is not the picture that the run grouped"))
        elif key not in files:
            gone.append(Skipped(key, "the file is gone"))
        else:
            reason = _placed(files[key], folder, taken[folder], most, link=link)
            placed += reason is None
            gone += [] if reason is None else [Skipped(key, reason)]
        listener.advance()
    listener.end()
    return Sorted(placed, gone)


def _folders(target: Path, names: Iterable[str]) -> dict[str, Path]:
    """A new folder below `target` for each name."""
    taken: set[str] = set()
    folders = {name: target / unique_name(safe_name(name), taken, whole=True) for name in dict.fromkeys(names)}
    try:
        for folder in folders.values():
            folder.mkdir(parents=True)
        (target / SORTED_MARK).mkdir(exist_ok=True)
    except OSError as error:
        raise CoterieError(f"{error.filename or target} cannot be made: {error.strerror}") from None
    return folders


def _placed(path: Path, folder: Path, taken: set[str], longest: int, *, link: bool) -> str | None:
    """Place a file in a folder; returns why it cannot be, None where it was.

    It keeps its name or, where the drive refuses one with such letters, gets one that any system takes.
    """
    reason = ""
    for name in (path.name, safe_name(path.stem) + path.suffix):
        target = folder / unique_name(name, taken, longest=longest)
        try:
            return _place(path, target, link=link)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG):
                what = "cannot be linked: use --copy" if link else "could not be written"
                raise CoterieError(f"{target} {what} ({error.strerror})") from None
            reason = f"cannot be called so there: {error.strerror}"
    return reason


def _place(path: Path, target: Path, *, link: bool) -> str | None:
    """Copy or link a file to a name that is free; returns why its source cannot be read, None where it could."""
    if link:
        target.symlink_to(absolute(path))
        return None
    try:
        source = path.open("rb")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    with source:
        try:
            with target.open("xb") as copy:
                shutil.copyfileobj(source, copy)
        except OSError:
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)
            raise
    for keep in (_keep_times, shutil.copymode):
        with contextlib.suppress(OSError):  # Not every drive has them, or lets others than its owner set them.
            keep(path, target)
    return None


def _keep_times(path: Path, target: Path) -> None:
    status = path.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _longest(folder: Path) -> int:
    """Bytes that a name may have in a folder: encrypted ones allow fewer than others."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return _ALLOWED


def safe_name(name: str) -> str:
    """A folder name any system takes, from whatever a person calls a group: no path, nothing hidden, not too long."""
    text = unicodedata.normalize("NFC", name)
    text = "".join("_" if letter in _FORBIDDEN or unicodedata.category(letter)[0] == "C" else letter for letter in text)
    text = text.encode("utf-8")[:_LONGEST].decode("utf-8", "ignore").strip().strip(".").strip()
    if text.partition(".")[0].rstrip().lower() in _RESERVED:
        text = f"_{text}"
    return text or "unnamed"


def unique_name(name: str, taken: set[str], *, whole: bool = False, longest: int = _ALLOWED) -> str:
    """`name`, or with the first number from 2 that no name in `taken` has, also for systems blind to case.

    Args:
        taken: folded names, to which the chosen one is added.
        whole: the number follows the whole name, and not its part before the ending.
        longest: bytes it may have; what stands before number and ending is cut.
    """
    path = Path(name)
    stem, suffix = (name, "") if whole else (path.stem, path.suffix)
    chosen, number = _fitted(stem, suffix, longest), 1
    while unicodedata.normalize("NFC", chosen).casefold() in taken:
        number += 1
        chosen = _fitted(stem, f" ({number}){suffix}", longest)
    taken.add(unicodedata.normalize("NFC", chosen).casefold())
    return chosen


def _fitted(stem: str, ending: str, longest: int) -> str:
    room = longest - len(os.fsencode(ending))
    if len(os.fsencode(stem)) <= room:
        return stem + ending
    return os.fsencode(stem)[: max(1, room)].decode("utf-8", "ignore") + ending
