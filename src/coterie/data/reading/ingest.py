"""From a source to a store: decode once, in parallel; what cannot be read is listed and left out."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.data.base import Skipped, Source, Unreadable
from coterie.data.reading.depth import Scale
from coterie.data.reading.parallel import in_parallel
from coterie.data.reading.store import Store, at_once
from coterie.errors import ResourceError, UsageError
from coterie.memory import memory


def ingest(
    source: Source,
    side: int,
    *,
    scale: Scale = (),
    channels: int | None = None,
    scratch: Path | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> tuple[Store, list[Skipped]]:
    """Decode every image of a source to squares of `side` pixels, using all cores.

    Args:
        source: see `coterie.data.sources.open_source`.
        side: pixels.
        scale: black and white of images of more than eight bits; empty for each image's own.
        channels: 1 or 3; None keeps one channel where every image is grey, and three otherwise. Channels that are no
            colours are kept as they are.
        scratch: a file to map the store to when it is too large for memory; None keeps it in memory.
        on_image: called after each image, from the calling thread.

    Returns:
        The store, and everything left out with its reason.

    Raises:
        UsageError: not one image could be read.
    """
    bands = source.bands
    if bands and channels not in (None, bands):
        raise UsageError(
            f"these images have {bands} channel{'s' * (bands > 1)}, and {channels} are wanted: choose as many by "
            "--channels, or a backbone that learns from nothing"
        )
    images = allocate((len(source.keys), bands or 3, side, side), scratch)
    reasons, grey = _decode_into(images, source, side, scale, on_image)
    good = np.array([reason is None for reason in reasons])
    skipped = list(source.skipped)
    skipped += [Skipped(source.keys[place], reason) for place, reason in enumerate(reasons) if reason is not None]
    if not good.any():
        first = skipped[-len(reasons)]
        raise UsageError(f"none of the {len(reasons)} images could be read; the first: {first.key}: {first.reason}")
    if not good.all():
        images = _compacted(images, good)
    all_grey = bool(grey[good].all())
    if not bands and (channels == 1 or (channels is None and all_grey)):
        images = to_grey(images, all_grey=all_grey)
    labels = None if source.labels is None else source.labels[good]
    keys = [key for key, fine in zip(source.keys, good, strict=True) if fine]
    return Store(images, keys, labels, source.class_names), skipped


def _decode_into(
    images: npt.NDArray[np.uint8], source: Source, side: int, scale: Scale, on_image: Callable[[], None]
) -> tuple[list[str | None], npt.NDArray[np.bool_]]:
    """Fill `images` (N, 3, S, S); returns why each could not be read, None where it could, and which are grey."""
    grey = np.zeros(len(images), dtype=bool)
    reasons: list[str | None] = [None] * len(images)

    def work(part: Sequence[int]) -> Iterator[str | None]:
        for place, found in zip(part, source.decode_part(part, side, scale), strict=True):
            if isinstance(found, Unreadable):
                yield str(found)
                continue
            images[place] = found.transpose(2, 0, 1)
            grey[place] = bool((images[place] == images[place, :1]).all())
            yield None

    def receive(place: int, reason: str | None) -> None:
        reasons[place] = reason
        on_image()

    in_parallel(source.parts(range(len(images))), work, receive, threads=source.in_flight)
    return reasons, grey


def allocate(shape: tuple[int, ...], scratch: Path | None) -> npt.NDArray[np.uint8]:
    """A uint8 array: in memory, or mapped to the file `scratch` where it would take over a third of the memory.

    The file's room is taken on the disk at once: a mapped file that cannot grow would end the process without a word.

    Raises:
        ResourceError: the disk has no room for it; nothing is left there.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if scratch is None or is_small(size):
        return np.zeros(shape, dtype=np.uint8)
    try:
        images = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(scratch)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise ResourceError(
            f"{scratch}: no room for {size / 1e9:.1f} GB of images ({error.strerror}): make room, give an --out on "
            "another disk, or a smaller --size"
        ) from None
    return images


def _reserve(path: Path) -> None:
    """Take the room on the disk that a file says it has; raises OSError where there is not so much."""
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
        elif shutil.disk_usage(path.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_small(size: int) -> bool:
    """Whether `size` bytes of images are kept in memory rather than mapped: up to a third of it."""
    return size <= memory() // 3


def _compacted(images: npt.NDArray[np.uint8], good: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """The good rows, moved to the front in place."""
    places = np.flatnonzero(good)
    for target, place in enumerate(places):
        if target != place:
            images[target] = images[place]
    return images[: len(places)]


def to_grey(images: npt.NDArray[np.uint8], *, all_grey: bool) -> npt.NDArray[np.uint8]:
    """Images (N, 3, S, S) as (N, 1, S, S): their luma, or where `all_grey` any of the channels."""
    mapped = isinstance(images, np.memmap)
    if all_grey:
        # Of a memory map only the batches asked for are ever read, so a view does.
        return images[:, :1] if mapped else np.ascontiguousarray(images[:, :1])
    # What is mapped for want of memory becomes grey where it lies.
    grey = images[:, :1] if mapped else np.empty((len(images), 1, *images.shape[2:]), dtype=np.uint8)
    luma = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    step = at_once(images.nbytes // len(images))
    for start in range(0, len(images), step):
        part = images[start : start + step].astype(np.float32)
        grey[start : start + step, 0] = np.rint(np.einsum("nchw,c->nhw", part, luma))
    return grey
