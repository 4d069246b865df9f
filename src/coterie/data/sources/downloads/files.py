"""The files of a download by their names, in a folder or in a tar as it was fetched."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from coterie.data.sources.storage import stamp_of
from coterie.data.sources.tars import Damaged, is_compressed, members, uncompressed
from coterie.untrusted import check_size, most_grown

T = TypeVar("T")
Content = npt.NDArray[np.uint8]
_REMEDY = "if it is your own, unpack it"


def read_files(path: Path, names: Sequence[str], take: Callable[[str, Content], T]) -> tuple[dict[str, T], str]:
    """What `take` makes of each file's bytes (size,), by name, and what changes when the files do.

    Args:
        path: of a tar, or of a folder that holds the files or a folder with them; there each may be compressed by gzip.
        names: of the files.
        take: raises ValueError for what it cannot use.

    Raises:
        ValueError: a file is missing, or cannot be used. OSError: it cannot be read.
    """
    if path.is_dir():
        found = _in_folder(path, names)
        contents: Iterator[tuple[str, Content]] = ((name, _content(file)) for name, file in found.items())
        files = sorted(found.values())
    elif path.is_file():
        contents, files = _in_tar(path, names), [path]
    else:
        raise ValueError("there is no such folder or tar")
    taken: dict[str, T] = {}
    for name, content in contents:
        try:
            taken[name] = take(name, content)
        except ValueError as error:
            raise ValueError(f"{name} is not what it should be: {error}") from None
    if missing := [name for name in names if name not in taken]:
        raise ValueError(f"it lacks {', '.join(missing[:3])}{' and more' * (len(missing) > 3)}")
    stamps = "\n".join(f"{file.name} {stamp_of(file)}" for file in files)
    return taken, hashlib.blake2b(f"{names} {stamps}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _in_folder(path: Path, names: Sequence[str]) -> dict[str, Path]:
    """The files as far as they are there, all in one folder."""
    folders = [path, *sorted(each for each in path.iterdir() if each.is_dir())]
    found = ({name: file for name in names if (file := _file(folder, name))} for folder in folders)
    return max(found, key=len)


def _file(folder: Path, name: str) -> Path | None:
    """A file, which browsers and tools may have kept compressed or not."""
    return next((folder / each for each in (name, f"{name}.gz") if (folder / each).is_file()), None)


def _content(file: Path) -> Content:
    """A file's bytes, mapped; or of a compressed one in memory."""
    size = file.stat().st_size
    if not size:
        raise ValueError(f"{file.name} is empty")
    if file.suffix != ".gz":
        return np.memmap(file, dtype=np.uint8, mode="r")
    try:
        with gzip.open(file) as stream:
            content = stream.read(most_grown(size) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{file.name} is truncated or damaged: {error}") from None
    check_size(size, len(content), _REMEDY)
    return np.frombuffer(content, np.uint8)


def _in_tar(path: Path, names: Sequence[str]) -> Iterator[tuple[str, Content]]:
    """The members of a tar by these names, in whatever folder, read in one pass that ends with the last of them."""
    waiting, grown = set(names), 0
    try:
        with path.open("rb") as stream:
            plain = uncompressed(stream) if is_compressed(stream) else stream
            for member in members(plain):
                name = PurePosixPath(member.name).name
                if name not in waiting or not member.isreg():
                    continue
                waiting.remove(name)
                grown += member.size
                check_size(path.stat().st_size, grown, _REMEDY)
                content = plain.read(member.size)
                if len(content) != member.size:
                    raise ValueError(f"it is truncated within {name}")
                yield name, np.frombuffer(content, np.uint8)
                if not waiting:
                    return
    except Damaged as damage:
        raise ValueError(str(damage)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it is truncated or damaged: {error}") from None
