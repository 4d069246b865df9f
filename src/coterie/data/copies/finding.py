"""Finding the pictures of a store that are there several times."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.data.copies.confirm import agreement, difference, likeness
from coterie.data.copies.hashes import SIDE, alike, hashes, least_alike, small
from coterie.data.copies.names import of_one_picture, plainest
from coterie.data.reading.store import Store

# Cosines of hashes: of pictures worth laying over each other, and of those that may have the same pixels.
_ALIKE, _SAME = 0.75, 0.98
# Likeness of detail: of copies, of copies as they lie, and what is neither a copy nor clearly none.
_COPY, _AS_IT_LIES, _UNDECIDED = 0.82, 0.92, 0.5
# Grey levels by which re-saved pixels differ at most in the mean.
_RESAVED = 3.0
# Pictures resemble each other by nature where so many pairs are undecided, and lead from one to so many others.
_MANY, _FEW = 1e-3, 10
# Pairs that are worth a look, at least and for each picture, and how many of them tell what pictures are by nature.
_PAIRS, _PAIRS_EACH, _TOLD_BY = 20_000, 8, 1000
_PAIRS_AT_ONCE = 512
# More pictures are not compared with each other: that grows with their square.
_MOST_COMPARED = 200_000


@dataclass(frozen=True)
class Copies:
    """Which pictures are there several times.

    Args:
        first: (N,) the row of the picture that each is a copy of; its own where it is none.
        likeness: (N,) up to 1, of the detail of both; 1 where the pixels are the same.
        named: (N,) bool, whether the names say so, too.
    """

    first: npt.NDArray[np.int64]
    likeness: npt.NDArray[np.float32]
    named: npt.NDArray[np.bool_]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Those that are copies."""
        return np.flatnonzero(self.first != np.arange(len(self.first)))

    def counted(self, *, collapse: bool) -> npt.NDArray[np.int64]:
        """The rows that are learnt from: all but copies, or all but those whose names say so."""
        left_out = (self.first != np.arange(len(self.first))) & (self.named | collapse)
        return np.flatnonzero(~left_out)


def find_copies(store: Store, *, note: Callable[[str], None] = lambda _: None) -> Copies:
    """Copies among images: of the same pixels, or alike by a perceptual hash and confirmed on pixels.

    Where the pictures resemble each other by nature, as digits and drawings do, or are smaller than 32 pixels, only
    those count that were saved anew.

    Args:
        note: told where so many resemble each other.
    """
    same = _of_same_pixels(store)
    unique, pictures = np.unique(same), small(store)
    alike_ones = unique[_alike_on_pixels(pictures[torch.from_numpy(unique)], store.side, note)]
    links = np.concatenate([np.stack([same, np.arange(len(store))]), alike_ones], axis=1)
    return _told_apart(store.keys, same, pictures, _components(links, len(store)))


def _of_same_pixels(store: Store) -> npt.NDArray[np.int64]:
    """For each row the first that has the same pixels."""
    seen: dict[bytes, int] = {}
    found = np.empty(len(store), dtype=np.int64)
    for row in range(len(store)):
        digest = hashlib.blake2b(np.ascontiguousarray(store.images[row]).data, digest_size=16).digest()
        found[row] = seen.setdefault(digest, row)
    return found


def _alike_on_pixels(pictures: Tensor, side: int, note: Callable[[str], None]) -> npt.NDArray[np.int64]:
    """Pairs (2, n) of pictures that are copies of each other; `side` is what they had before they were made small."""
    none: npt.NDArray[np.int64] = np.empty((2, 0), dtype=np.int64)
    if len(pictures) > _MOST_COMPARED:
        note(f"over {_MOST_COMPARED} images: their copies are only those of the same pixels")
        return none
    known, most = hashes(pictures), max(_PAIRS, _PAIRS_EACH * len(pictures))
    least = least_alike(known, _ALIKE if side >= SIDE else _SAME, most)
    if least is None:
        return none
    pairs, cosines = alike(known, least)
    near = pairs[:, cosines >= _SAME]
    anew = near[:, _measured(pictures, near, difference) < _RESAVED].numpy()
    if side < SIDE:
        return anew
    found = _confirmed(pictures, pairs)
    if found is None:
        note("these pictures resemble each other by nature: their copies are only those that were saved anew")
        return anew
    return np.concatenate([anew, found], axis=1)


def _confirmed(pictures: Tensor, pairs: Tensor) -> npt.NDArray[np.int64] | None:
    """Those of `pairs` that are copies; None where the pictures resemble each other by nature."""
    as_they_lie = _measured(pictures, pairs, agreement)
    sure = as_they_lie > _AS_IT_LIES
    groups = torch.from_numpy(_components(pairs[:, sure].numpy(), len(pictures)))
    # Of two groups one pair suffices, the one that is most alike already.
    order = as_they_lie.argsort(descending=True, stable=True)
    open_pairs = pairs[:, order[~sure[order]]]
    between = groups[open_pairs].sort(dim=0).values
    open_pairs = open_pairs[:, between[0] != between[1]]
    between = between[:, between[0] != between[1]]
    _, kept = np.unique((between[0] * len(pictures) + between[1]).numpy(), return_index=True)
    open_pairs = open_pairs[:, kept]
    for step in (max(1, open_pairs.shape[1] // _TOLD_BY), 1):
        some = open_pairs[:, ::step]
        laid_over = _measured(pictures, some, likeness)
        undecided = (laid_over > _UNDECIDED) & (laid_over <= _COPY)
        if _by_nature(some[:, undecided], len(pictures), step):
            return None
        if step == 1:
            break
    return torch.cat([pairs[:, sure], open_pairs[:, laid_over > _COPY]], dim=1).numpy()


def _by_nature(undecided: Tensor, count: int, step: int) -> bool:
    """Whether many pairs of pictures, of which one in `step` is given, are neither copies nor clearly none, and one
    leads to another."""
    if undecided.shape[1] * step <= _MANY * count * (count - 1) / 2:
        return False
    sizes = np.bincount(_components(undecided.numpy(), count))
    return bool(sizes.max(initial=0) > max(_FEW, count // 20))


def _measured(pictures: Tensor, pairs: Tensor, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A measure (n,) of pairs (2, n) of pictures."""
    parts = [
        measure(pictures[part[0]].float(), pictures[part[1]].float())
        for part in torch.split(pairs, _PAIRS_AT_ONCE, dim=1)
        if part.shape[1]
    ]
    return torch.cat(parts) if parts else torch.empty(0)


def _components(links: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """The number of the group (count,) that links (2, n) put each of `count` in."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(links.shape[1], dtype=np.int8), (links[0], links[1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _told_apart(
    keys: Sequence[str], same: npt.NDArray[np.int64], pictures: Tensor, groups: npt.NDArray[np.int64]
) -> Copies:
    """The first of every group is the one with the plainest name; rows of the `same` number have the same pixels."""
    count = len(groups)
    first, named = np.arange(count), np.zeros(count, dtype=bool)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            _tell(keys, members, first, named)
    alike_by = np.ones(count, dtype=np.float32)
    copies = np.flatnonzero(first != np.arange(count))
    if len(copies):
        pairs = torch.from_numpy(np.stack([first[copies], copies]))
        best = torch.maximum(_measured(pictures, pairs, agreement), _measured(pictures, pairs, likeness))
        alike_by[copies] = np.where(same[first[copies]] == same[copies], 1, best.clamp(0, 1).numpy())
    return Copies(first, alike_by, named)


def _tell(
    keys: Sequence[str], members: npt.NDArray[np.int64], first: npt.NDArray[np.int64], named: npt.NDArray[np.bool_]
) -> None:
    """Choose the first of a group, and mark those whose names are of one picture with it."""
    chosen = members[plainest([keys[row] for row in members])]
    first[members] = chosen
    for row in members:
        named[row] = row != chosen and of_one_picture(keys[chosen], keys[row])
