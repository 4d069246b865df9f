"""From a source to a store: decode once, in parallel; what cannot be read is listed and left out."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from coterie.data.base import Source
from coterie.data.decode import Unreadable
from coterie.data.folder import Skipped
from coterie.data.store import Store
from coterie.errors import CoterieError, UsageError

T = TypeVar("T")
# Pieces of work handed to a thread at a time.
_AT_ONCE = 8


def ingest(
    source: Source,
    side: int,
    *,
    channels: int | None = None,
    scratch: Path | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> tuple[Store, list[Skipped]]:
    """Decode every image of a source to squares of `side` pixels, using all cores.

    Args:
        source: see `coterie.data.sources.open_source`.
        side: pixels.
        channels: 1 or 3; None keeps one channel where every image is grey, and three otherwise.
        scratch: a file to map the store to when it is too large for memory; None keeps it in memory.
        on_image: called after each image, from the calling thread.

    Returns:
        The store, and everything left out with its reason.

    Raises:
        UsageError: not one image could be read.
    """
    images = allocate((len(source.keys), 3, side, side), scratch)
    reasons, grey = _decode_into(images, source, side, on_image)
    good = np.array([reason is None for reason in reasons])
    skipped = list(source.skipped)
    skipped += [Skipped(source.keys[place], reason) for place, reason in enumerate(reasons) if reason is not None]
    if not good.any():
        first = skipped[-len(reasons)]
        raise UsageError(f"none of the {len(reasons)} images could be read; the first: {first.key}: {first.reason}")
    if not good.all():
        images = _compacted(images, good)
    all_grey = bool(grey[good].all())
    if channels == 1 or (channels is None and all_grey):
        images = _to_grey(images, all_grey=all_grey)
    labels = None if source.labels is None else source.labels[good]
    keys = [key for key, fine in zip(source.keys, good, strict=True) if fine]
    return Store(images, keys, labels, source.class_names), skipped


def _decode_into(
    images: npt.NDArray[np.uint8], source: Source, side: int, on_image: Callable[[], None]
) -> tuple[list[str | None], npt.NDArray[np.bool_]]:
    """Fill `images` (N, 3, S, S); returns why each could not be read, None where it could, and which are grey."""
    grey = np.zeros(len(images), dtype=bool)

    def work(place: int) -> str | None:
        try:
            pixels = source.decode(place, side)
        except Unreadable as reason:
            return str(reason)
        red, green, blue = images[place]
        images[place] = pixels.transpose(2, 0, 1)
        grey[place] = np.array_equal(red, green) and np.array_equal(red, blue)
        return None

    return in_parallel(work, range(len(images)), on_image), grey


def allocate(shape: tuple[int, ...], scratch: Path | None) -> npt.NDArray[np.uint8]:
    """A uint8 array: in memory, or mapped to the file `scratch` where it would take over a third of the memory.

    Raises:
        CoterieError: the disk has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if scratch is None or is_small(size):
        return np.zeros(shape, dtype=np.uint8)
    try:
        return np.lib.format.open_memmap(scratch, mode="w+", dtype=np.uint8, shape=shape)
    except OSError as error:
        raise CoterieError(f"{scratch}: no room for {size / 1e9:.1f} GB of images: {error.strerror}") from None


def is_small(size: int) -> bool:
    """Whether `size` bytes of images are kept in memory rather than mapped: up to a third of it."""
    return size <= _memory() // 3


def in_parallel(work: Callable[[int], T], places: Iterable[int], on_done: Callable[[], None] = lambda: None) -> list[T]:
    """`work` of each place, in order, on all cores; `on_done` is called after each, from the calling thread.

    Meant for decoding: Pillow's warnings about odd but usable files are silenced, a damaged one raises.
    """
    done: list[T] = []
    places = list(places)
    parts = [places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE)]
    with warnings.catch_warnings(), _single_threaded(), ThreadPoolExecutor(cores()) as pool:
        warnings.simplefilter("ignore")
        for results in pool.map(lambda part: [work(place) for place in part], parts):
            for result in results:
                done.append(result)
                on_done()
    return done


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Let the threads started meanwhile each use one core in torch, as there is one of them for every core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compacted(images: npt.NDArray[np.uint8], good: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """The good rows, moved to the front in place."""
    places = np.flatnonzero(good)
    for target, place in enumerate(places):
        if target != place:
            images[target] = images[place]
    return images[: len(places)]


def _to_grey(images: npt.NDArray[np.uint8], *, all_grey: bool) -> npt.NDArray[np.uint8]:
    if all_grey:
        # Of a memory map only the batches asked for are ever read, so a view does.
        return images[:, :1] if isinstance(images, np.memmap) else np.ascontiguousarray(images[:, :1])
    grey = np.empty((len(images), 1, *images.shape[2:]), dtype=np.uint8)
    luma = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    for start in range(0, len(images), 1024):
        part = images[start : start + 1024].astype(np.float32)
        grey[start : start + 1024, 0] = np.rint(np.einsum("nchw,c->nhw", part, luma))
    return grey


def cores() -> int:
    """Cores this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 << 30
