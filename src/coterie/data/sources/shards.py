"""Tar shards as WebDataset writes them, on this machine or behind a URL."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from coterie.data.base import LOOKED_AT, Skipped, Unreadable
from coterie.data.reading.parallel import in_parallel
from coterie.data.sources.bucket import identity_of
from coterie.data.sources.class_folders import folder_labels
from coterie.data.sources.encoded import Encoded
from coterie.data.sources.passed import told
from coterie.data.sources.shard_cache import kept_contents
from coterie.data.sources.shard_names import shard_files, shard_names
from coterie.data.sources.storage import Entry, Storage
from coterie.data.sources.tars import Contents, Sample, read_contents, uncompressed
from coterie.errors import UsageError

# Neighbours in a shard are read together up to so many bytes, and so many that are passed over.
_TOGETHER, _GAP = 4_000_000, 65_536
_MOST_TOGETHER = 32
_SHORT = Unreadable("its shard is damaged, or changed while it was read")


class ShardSource(Encoded):
    """The images in shards; a key is the name of a sample: its path in the tar, up to the first dot of the file name.

    Where two shards have a sample of the same name, every key begins with the name of its shard. A shard is read from
    its beginning to its end once to find out what it holds; then only what is asked for is read, neighbours together,
    or the whole once more where it is compressed.

    Args:
        storage: where they lie.
        shards: the files.
        name: as the user gave it.
        labels_from_folders: take the folders within the tars as labels, and not `.cls` and `.json` members.
        note: told before they are read.

    Raises:
        UsageError: not one image among them. CoterieError: a shard cannot be had.
    """

    def __init__(
        self,
        storage: Storage,
        shards: Sequence[Entry],
        name: str,
        *,
        labels_from_folders: bool = False,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        note(f"looking into {len(shards)} tar shard{'s' * (len(shards) > 1)} of {name}")
        self._storage, self._shards = storage, shards
        contents = _read_all(storage, shards)
        names = shard_names(shards)
        if passed := sum((each.passed for each in contents), Counter()):
            note(told(passed))
        self._compressed = [each.compressed for each in contents]
        self.skipped = [
            Skipped(f"{file}/{each.key}" if each.key else file, each.reason)
            for file, content in zip(shard_files(shards), contents, strict=True)
            for each in content.skipped
        ]
        self._samples = [sample for content in contents for sample in content.samples.values()]
        self._ends = list(accumulate(len(content.samples) for content in contents))
        if not self._samples:
            first = f"; the first: {self.skipped[0].key}: {self.skipped[0].reason}" if self.skipped else ""
            raise UsageError(f"no images in {name}{first}")
        self.keys = _keys(names, contents)
        plain = [key for content in contents for key in content.samples]
        found = folder_labels(plain, name, note) if labels_from_folders else _labels(self._samples)
        self.labels, self.class_names = found

    @property
    def in_flight(self) -> int:
        return self._storage.in_flight

    def identity(self) -> str | None:
        return identity_of(shard_names(self._shards), self._shards)

    def sample(self, most: int = LOOKED_AT) -> Sequence[int]:
        # Far places of a compressed shard cost reading all of it, and its first may be of one kind, however many.
        return range(len(super().sample())) if any(self._compressed) else super().sample(most)

    def parts(self, places: Sequence[int]) -> list[Sequence[int]]:
        parts: list[list[int]] = []
        before: int | None = None
        for place in sorted(places):
            if before is None or not self._together(parts[-1], before, place):
                parts.append([])
            parts[-1].append(place)
            before = place
        return list(parts)

    def contents(self, part: Sequence[int]) -> Iterator[bytes | Unreadable]:
        shard, samples = self._shard(part[0]), [self._samples[place] for place in part]
        if self._compressed[shard]:
            yield from _from_compressed(self._storage, self._shards[shard], samples)
            return
        begin, end = samples[0].start, samples[-1].start + samples[-1].size
        try:
            content = self._storage.read(self._shards[shard].path, begin, end)
        except Unreadable as reason:
            yield from [reason] * len(samples)
            return
        for sample in samples:
            yield _whole(content[sample.start - begin : sample.start - begin + sample.size], sample)

    def _shard(self, place: int) -> int:
        return bisect_right(self._ends, place)

    def _together(self, part: Sequence[int], before: int, place: int) -> bool:
        """Whether a place is read with those of a part that ends with `before`."""
        shard = self._shard(place)
        if self._shard(before) != shard:
            return False
        if self._compressed[shard]:
            return True
        began, last, this = self._samples[part[0]], self._samples[before], self._samples[place]
        gap, length = this.start - last.start - last.size, this.start + this.size - began.start
        return 0 <= gap <= _GAP and length <= _TOGETHER and len(part) < _MOST_TOGETHER


def _read_all(storage: Storage, shards: Sequence[Entry]) -> list[Contents]:
    """What every shard holds, several read at a time; one that is unreadable holds nothing."""
    found: dict[int, Contents] = {}

    def read(shard: Entry) -> Contents:
        try:
            with storage.open(shard.path) as stream:
                return read_contents(stream)
        except OSError as error:
            return Contents({}, [Skipped("", f"cannot be read: {error.strerror or error}")], compressed=False)

    def work(part: Sequence[int]) -> Iterator[Contents]:
        for place in part:
            yield kept_contents(shards[place], partial(read, shards[place]))

    in_parallel([[place] for place in range(len(shards))], work, found.__setitem__, threads=storage.in_flight)
    return [found[place] for place in range(len(shards))]


def _keys(names: Sequence[str], contents: Sequence[Contents]) -> list[str]:
    plain = [key for content in contents for key in content.samples]
    if len(set(plain)) == len(plain):
        return plain
    return [f"{name}/{key}" for name, content in zip(names, contents, strict=True) for key in content.samples]


def _labels(samples: Sequence[Sample]) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels of samples by their names, numbers in their order; None where no sample has one."""
    names = {sample.label for sample in samples} - {""}
    if not names:
        return None, ()
    ordered = sorted(names, key=lambda name: (not name.isdecimal(), len(name) if name.isdecimal() else 0, name))
    numbers = {name: number for number, name in enumerate(ordered)}
    return np.array([numbers.get(sample.label, -1) for sample in samples], dtype=np.int64), tuple(ordered)


def _from_compressed(storage: Storage, shard: Entry, samples: Sequence[Sample]) -> Iterator[bytes | Unreadable]:
    """The images of samples, in the order they stand in."""
    try:
        stream = storage.open(shard.path)
    except OSError as error:
        yield from [Unreadable(f"{shard.path} cannot be read: {error.strerror or error}")] * len(samples)
        return
    with stream:
        plain = uncompressed(stream)
        for sample in samples:
            try:
                plain.seek(sample.start)
                yield _whole(plain.read(sample.size), sample)
            except (OSError, EOFError, zlib.error):
                yield _SHORT


def _whole(content: bytes, sample: Sample) -> bytes | Unreadable:
    return content if len(content) == sample.size else _SHORT
