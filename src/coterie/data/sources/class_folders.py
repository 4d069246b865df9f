"""Labels by the folders that images lie in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from coterie.data.sources.arrays import numbered_labels
from coterie.errors import UsageError


def folder_labels(
    keys: Sequence[str], name: str, note: Callable[[str], None] = lambda _: None
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Labels by the nearest folders that differ among the keys, paths with forward slashes; −1 for keys in none.

    Of `cat/1.jpg` and `dog/2.jpg`, as of `cat/images/1.jpg` and `dog/images/2.jpg`, the classes are cat and dog.

    Args:
        name: of the source.
        note: told which folders are meant where they could be others.

    Raises:
        UsageError: no key lies in a folder, or all in the same.
    """
    folders = [PurePosixPath(key).parent.parts[::-1] for key in keys]
    deepest = max(map(len, folders))
    if not deepest:
        raise UsageError(f"--labels-from-folders: {name} has no class folders, only files")
    level = next((level for level in range(deepest) if len(_named(folders, level)) > 1), None)
    if level is None:
        raise UsageError(
            f"--labels-from-folders: all images of {name} have the same label '{next(filter(None, folders))[0]}'"
        )
    chosen = [parts[level] if level < len(parts) else "" for parts in folders]
    _tell(folders, chosen, level, note)
    labels, names = numbered_labels(np.array(chosen), (), len(keys), name)
    assert labels is not None
    return labels, names


def _named(folders: Sequence[tuple[str, ...]], level: int) -> set[str]:
    return {parts[level] for parts in folders if level < len(parts)}


def _tell(folders: Sequence[tuple[str, ...]], chosen: Sequence[str], level: int, note: Callable[[str], None]) -> None:
    first = [parts[-1] if parts else "" for parts in folders]
    pairs = set(zip(chosen, first, strict=True))
    if level:
        note(f"labels are the folders {_some(chosen)}, as all images lie in '{next(filter(None, folders))[0]}'")
    elif 1 < len(set(first)) != len(pairs) or (len(set(first)) > 1 and len(set(chosen)) != len(pairs)):
        note(f"labels are the folders that images lie in: {_some(chosen)}; not those above: {_some(first)}")


def _some(names: Sequence[str]) -> str:
    found = sorted({*names} - {""})
    return ", ".join(found[:3]) + (f", … ({len(found)})" if len(found) > 3 else "")
