"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from coterie.errors import UsageError
from coterie.failures import translated

_PART = ".part"


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside `path`, flush to the disk, and take the old file's place in one step.

    Raises:
        ResourceError: the disk is full, or the folder cannot be written; what was there is kept.
    """
    part = path.with_name(f".{path.name}{_PART}")
    try:
        part.unlink(missing_ok=True)  # What a kill left; a link, which a run from elsewhere may hold, is not followed.
        with part.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        failure = translated(error, path) if isinstance(error, Exception) else None
        if failure is None:
            raise
        raise failure from None


def is_partial(path: Path) -> bool:
    """Whether a file is what `write_atomically` leaves when it is killed."""
    return path.name.startswith(".") and path.name.endswith(_PART)


def write_text(path: Path, text: str) -> None:
    """`write_atomically` for UTF-8 text."""
    write_atomically(path, lambda stream: stream.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """`write_atomically` for JSON a person can read."""
    write_text(path, to_json(value, indent=2) + "\n")


def to_json(value: Any, *, indent: int | None = None, plain: bool = False) -> str:
    """JSON as every reader takes it: a number that is not finite is null; `plain` is so in any encoding."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=plain, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_new(path: Path, option: str, *, force: bool) -> None:
    """Raise a UsageError if something lies at `path` already, unless it is to be replaced."""
    if path.is_dir():
        raise UsageError(f"{option}: {path} is a folder: give the name of a file")
    if path.exists() and not force:
        raise UsageError(f"{option}: {path} exists already: add --force to replace it, or give another name")


def absolute(path: str | Path) -> str:
    """A path from the root on; links in it are kept, as a person may turn them elsewhere."""
    return os.path.abspath(path)  # noqa: PTH100


def is_url(text: str) -> bool:
    """Whether `text` names something by a scheme, `s3://bucket/photos`, and not by a path on this machine."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.\-]*(::.*)?://", text) is not None
