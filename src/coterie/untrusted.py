"""Files that anybody may have written: read within bounds, and without executing anything.

Everything here raises `ValueError` with a reason in one line, or `OSError`; who calls says what to do about it.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from coterie.memory import memory

# Photographs become smaller by a factor of 1.2, Fashion-MNIST by 1.8, drawings of a few lines by up to 62.
_MOST_GROWTH = 100
# What is small anyway may grow as it likes.
_HARMLESS = 1 << 28


def read_yaml(text: str) -> Any:
    """Plain values; tags that would make objects are refused."""
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        # Beside its own errors PyYAML lets through those of dates and numbers that are none.
        raise ValueError(_line(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """Plain values."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@contextlib.contextmanager
def open_pack(file: Path | BinaryIO) -> Iterator[Any]:
    """The arrays of an `.npz`, at a path or open, by name, as `numpy.load` gives them; pickles are refused.

    Whatever else is wrong with a damaged one, its arrays may raise nearly anything when they are read.
    """
    with file.open("rb") if isinstance(file, Path) else contextlib.nullcontext(file) as stream:
        check_growth(stream)
        with np.load(stream, allow_pickle=False) as pack:
            if not isinstance(pack, np.lib.npyio.NpzFile):
                raise ValueError("it is no .npz")
            yield pack


def read_matrix(path: Path) -> npt.NDArray[np.float32]:
    """A matrix (N, d) of finite floats from an `.npy`."""
    # A map shows first whether the file is as long as it says.
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # Of a hostile header.
        raise ValueError(_line(error)) from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f" or 0 in values.shape:
        raise ValueError("it is no matrix of floats")
    matrix = np.array(values, dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise ValueError("some of its values are not finite")
    return matrix


def check_growth(stream: BinaryIO) -> None:
    """Refuse an archive (`.npz`, `.pth`) that would take far more memory than disk; other files pass.

    A bomb of a few kilobytes may declare gigabytes of zeros. What an archive declares is never exceeded when it is
    read, so looking at its table of contents suffices.
    """
    size = stream.seek(0, os.SEEK_END)
    try:
        if not zipfile.is_zipfile(stream):
            return
        with zipfile.ZipFile(stream) as archive:
            grown = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(_line(error)) from None
    finally:
        stream.seek(0)
    check_size(size, grown, "if it is your own, save it again without compression, by numpy.savez")


def most_grown(size: int) -> int:
    """The bytes that a compressed file of `size` bytes may become in memory."""
    return max(_HARMLESS, _MOST_GROWTH * size)


def check_size(size: int, grown: int, remedy: str) -> None:
    """Refuse what takes `size` bytes on the disk and would take `grown` in memory, as a bomb or for want of memory.

    Args:
        remedy: what to do about one's own, as the end of a sentence.
    """
    if grown > most_grown(size):
        raise ValueError(
            f"{size / 1e6:.3g} MB on disk would become {grown / 1e9:.3g} GB in memory, over {_MOST_GROWTH} times as "
            f"much, as in a decompression bomb; {remedy}"
        )
    if grown > memory():
        raise ValueError(f"it takes {grown / 1e9:.3g} GB of memory, and there are {memory() / 1e9:.3g} GB")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
