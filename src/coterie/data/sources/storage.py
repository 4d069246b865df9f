"""Where files lie, as the sources that read them piecewise see it: on this machine, or behind a URL."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from coterie.data.base import Unreadable


@dataclass(frozen=True)
class Entry:
    """A file: its path, its size in bytes, and what changes when it does, None where nothing tells."""

    path: str
    size: int
    stamp: str | None


class Storage(Protocol):
    """Files by path."""

    @property
    def in_flight(self) -> int:
        """How many reads are best under way at a time; 0 for one a core."""
        ...

    def entry(self, path: str) -> Entry | None:
        """The file at `path`; None if there is none."""
        ...

    def matching(self, pattern: str) -> list[Entry]:
        """Files whose path matches a pattern with `*`, `?` and `[…]`, sorted."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A file to read from, from its beginning to its end."""
        ...

    def read(self, path: str, start: int, stop: int | None) -> bytes:
        """Some of a file's bytes, or those from `start` on.

        Raises:
            Unreadable: this file cannot be read. CoterieError: no file can.
        """
        ...


class Disk:
    """Files of this machine."""

    in_flight = 0

    def entry(self, path: str) -> Entry | None:
        place = Path(path)
        return Entry(path, place.stat().st_size, stamp_of(place)) if place.is_file() else None

    def matching(self, pattern: str) -> list[Entry]:
        found = (self.entry(path) for path in sorted(glob.glob(pattern)))  # noqa: PTH207 - patterns may be absolute.
        return [entry for entry in found if entry is not None]

    def open(self, path: str) -> BinaryIO:
        return Path(path).open("rb")

    def read(self, path: str, start: int, stop: int | None) -> bytes:
        try:
            with self.open(path) as stream:
                stream.seek(start)
                return stream.read(-1 if stop is None else stop - start)
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror}") from None


def stamp_of(path: Path) -> str:
    """Size and times of a file; the time of the last change to its entry tells of an edit that set the others back."""
    try:
        status = path.stat()
    except OSError:
        return "gone"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
