"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from coterie.errors import CoterieError

_PART = ".part"


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside `path`, flush to the disk, and take the old file's place in one step.

    Raises:
        CoterieError: the disk is full, or the folder cannot be written; what was there is kept.
    """
    part = path.with_name(f".{path.name}{_PART}")
    try:
        part.unlink(missing_ok=True)  # What a kill left; a link, which a run from elsewhere may hold, is not followed.
        with part.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CoterieError(f"{path} could not be written: {error.strerror or error}") from None


def is_partial(path: Path) -> bool:
    """Whether a file is what `write_atomically` leaves when it is killed."""
    return path.name.startswith(".") and path.name.endswith(_PART)


def write_text(path: Path, text: str) -> None:
    """`write_atomically` for UTF-8 text."""
    write_atomically(path, lambda stream: stream.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """`write_atomically` for JSON a person can read."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
