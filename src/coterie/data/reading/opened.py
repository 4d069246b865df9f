"""Files of unknown origin, opened for decoding; anything wrong with one becomes a clear reason."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from coterie.data.base import Unreadable

_REASONS = {
    errno.ENOENT: "gone, or a link to nothing",
    errno.ELOOP: "a link that leads in a circle",
    errno.ENXIO: "not a file, but a socket or a device",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
}


@contextlib.contextmanager
def unreadable_reasons(file: Path | BinaryIO) -> Iterator[None]:
    """Whatever opening and decoding a file raises becomes `Unreadable`, with a reason."""
    try:
        yield
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(
            "the file is empty" if _is_empty(file) else "not an image, or of a kind that is not known"
        ) from None
    except Image.DecompressionBombError:
        raise Unreadable("too large: over 178 megapixels") from None
    except MemoryError:
        raise Unreadable("not enough memory to decode it") from None
    except Exception as error:  # Decoders raise nearly anything on damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(f"damaged: {reason[:200]}") from None


@contextlib.contextmanager
def opened(file: Path | BinaryIO) -> Iterator[BinaryIO]:
    """The file, open, if it is one: a named pipe would keep its reader waiting, a device might never end."""
    if not isinstance(file, Path):
        yield file
        return
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        number = os.open(file, flags)
    except (OSError, ValueError) as error:
        known = _REASONS.get(error.errno or 0) if isinstance(error, OSError) else None
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unreadable(known or f"cannot be opened: {reason}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Unreadable("not a file, but a pipe, a device or a folder")
    with os.fdopen(number, "rb") as stream:
        yield stream


def _is_empty(file: Path | BinaryIO) -> bool:
    return (file.stat().st_size if isinstance(file, Path) else file.seek(0, os.SEEK_END)) == 0
