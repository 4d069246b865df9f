"""Standard output and error as they are: in any encoding, closed, or with nobody left to read them."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from coterie.errors import CoterieError
from coterie.failures import disk_reason

# Signs of our own as every encoding has them; names keep theirs as escapes, which can be told apart.
_PLAIN = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "≥": ">=", "≤": "<=", "←": "<-", "→": "->", "×": "x", "·": ".", "…": "...", "━": "-"}
    | dict.fromkeys("“”", '"')
    | dict.fromkeys("‘’", "'")
)


class ReaderGone(Exception):
    """Whoever read standard output has gone, as after `| head`."""


class Results(io.TextIOBase):
    """Standard output; where there is none, what is written is lost.

    Writing raises `ReaderGone`, or a `CoterieError` that says what is wrong with the disk.
    """

    def __init__(self) -> None:
        self._stream = sys.stdout

    def write(self, text: str) -> int:
        with self._failing():
            self._stream.write(text)
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        """Content that programs read, in an encoding of its own."""
        with self._failing():
            self._stream.flush()
            if hasattr(self._stream, "buffer"):
                self._stream.buffer.write(content)
            else:  # Something else that was put in its place, as notebooks do.
                self._stream.write(content.decode("utf-8"))

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return _encoding(self._stream)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        if self._stream is None:
            with contextlib.suppress(AttributeError):
                yield
            return
        try:
            yield
        except OSError as error:
            _lead_nowhere(self._stream)
            if isinstance(error, BrokenPipeError):
                raise ReaderGone from None
            raise CoterieError(f"standard output cannot be written: {disk_reason(error)}") from None


class Words(io.TextIOBase):
    """Standard error, for words that are no results: once it cannot be written, nothing is, and work goes on."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        self._trying("write", text)
        return len(text)

    def flush(self) -> None:
        self._trying("flush")

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        return -1 if self._stream is None else self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return _encoding(self._stream)

    def _trying(self, name: str, *arguments: str) -> None:
        try:
            if self._stream is not None:
                getattr(self._stream, name)(*arguments)
        except OSError:
            _lead_nowhere(self._stream)
            self._stream = None


def prepare() -> None:
    """Make both streams take any letter, and keep what libraries print out of files that get a closed one's number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    codecs.register_error("coterie", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _encoding(stream).lower().startswith("utf"):
            stream.reconfigure(errors="coterie")


def say(text: str) -> None:
    """A line of results."""
    Results().write(f"{text}\n")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end].translate(_PLAIN)
    return letters.encode("ascii", "backslashreplace").decode("ascii"), error.end


def _encoding(stream: TextIO | None) -> str:
    return getattr(stream, "encoding", None) or "utf-8"


def _lead_nowhere(stream: TextIO | None) -> None:
    """Let what is still held back go without an error when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)
