"""Finding shards by a name with braces or wildcards, and what they and their samples are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from coterie.data.sources.storage import Entry, Storage
from coterie.errors import UsageError

ENDINGS = (".tar", ".tar.gz", ".tgz")
# More than this from one pattern is a slip of the finger.
_MOST = 1_000_000
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def is_shards(name: str) -> bool:
    """Whether a name, or a pattern, is that of tar shards."""
    return name.lower().endswith(ENDINGS) or (".tar" in name and _is_pattern(name))


def find_shards(storage: Storage, pattern: str) -> list[Entry]:
    """The shards a pattern stands for: `{000..012}` and `{a,b}` are each of them, `*`, `?` and `[…]` what there is.

    Raises:
        UsageError: one that is named is not there, or nothing matches.
    """
    found: dict[str, Entry] = {}
    for name in expanded(pattern):
        entry = storage.entry(name)
        if entry is None and not _is_pattern(name):
            raise UsageError(f"there is no {name}" + (f", which {pattern} names" if name != pattern else ""))
        for each in storage.matching(name) if entry is None else [entry]:
            if is_shards(each.path):
                found[each.path] = each
    if not found:
        raise UsageError(f"nothing matches {pattern}")
    return list(found.values())


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def expanded(pattern: str) -> Iterator[str]:
    """The names a pattern with braces stands for, in order.

    Raises:
        UsageError: a range of very many.
    """
    opened = re.search(r"\{([^{}]*)\}", pattern)
    if opened is None:
        yield pattern
        return
    inside, before, after = opened.group(1), pattern[: opened.start()], pattern[opened.end() :]
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        alternatives: Sequence[str] = inside.split(",")
    else:
        first, last = numbers.groups()
        if abs(int(last) - int(first)) > _MOST:
            raise UsageError(f"{pattern} stands for more than {_MOST} shards")
        width = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
        alternatives = [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]
    for alternative in alternatives:
        yield from expanded(before + alternative + after)


def shard_files(shards: Sequence[Entry]) -> list[str]:
    """Their paths below the folder they share."""
    paths = [PurePosixPath(shard.path) for shard in shards]
    shared = os.path.commonpath([path.parent for path in paths])
    return [os.path.relpath(path, shared) if shared else path.as_posix() for path in paths]


def shard_names(shards: Sequence[Entry]) -> list[str]:
    """The same without endings, where that tells them apart."""
    files = shard_files(shards)
    names = [re.sub(r"\.(tar|tgz|tar\.gz)$", "", file, flags=re.IGNORECASE) for file in files]
    return names if len(set(names)) == len(names) else files
