"""Decoded images and features kept between runs, so that a second start need not make them again.

Entries lie in `$COTERIE_CACHE`, by default `coterie/images` in the user's cache folder; an empty `COTERIE_CACHE` turns
them off. Each is named after the files it came from (name, size, times of change) and how they were decoded, so that a
changed folder is simply not found. All of them together take no more than `_MOST_BYTES`, nor a quarter of the disk's
free space; those not used for longest go first. Losing one costs nothing but time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.data.base import Skipped, Source
from coterie.data.reading.depth import Scale
from coterie.data.reading.ingest import ingest, is_small
from coterie.data.reading.store import Store

# Part of every entry's name: raise it when decoding changes.
_FORMAT = 3
# Folders that are read faster than this are not worth the disk.
_WORTH_SECONDS = 2.0
_MOST_BYTES = 10 * 10**9
_FREE_SHARE = 0.25
_UNFINISHED = ".part-"
_STALE_SECONDS = 24 * 3600


def read_images(
    source: Source,
    side: int,
    *,
    scale: Scale = (),
    channels: int | None = None,
    scratch: Path | None = None,
    on_image: Callable[[], None] = lambda: None,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[Store, list[Skipped]]:
    """`ingest`, or its result from an earlier time if the source knows its files and none has changed.

    Args:
        source, side, scale, channels, scratch, on_image: see `ingest`.
        note: told when the images come from the cache.

    Raises:
        UsageError: not one image could be read.
    """
    entry = _entry(source, side, scale, channels)
    kept = None if entry is None else _read(entry, source)
    if entry is not None and kept is not None:
        note(f"decoded before: taken from the cache in {entry.parent}")
        for _ in source.keys:
            on_image()
        return kept
    began = time.monotonic()
    store, skipped = ingest(source, side, scale=scale, channels=channels, scratch=scratch, on_image=on_image)
    if entry is not None and time.monotonic() - began >= _WORTH_SECONDS:
        # A full or read-only disk costs the next start its time, nothing else.
        with contextlib.suppress(OSError):
            _keep(entry, store, skipped[len(source.skipped) :])
    return store, skipped


def _entry(source: Source, side: int, scale: Scale, channels: int | None) -> Path | None:
    identity = source.identity()
    return None if identity is None else cache_entry(f"{side} {scale} {channels} {identity}")


def cache_entry(name: str) -> Path | None:
    """The place of what has this name; None where nothing is kept."""
    folder = cache_folder()
    return (
        None if folder is None else folder / hashlib.blake2b(f"{_FORMAT} {name}".encode(), digest_size=16).hexdigest()
    )


def cache_folder() -> Path | None:
    """Where decoded images are kept; None where nothing is."""
    chosen = os.environ.get("COTERIE_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    caches = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(caches) if caches else Path.home() / ".cache") / "coterie" / "images"
    except RuntimeError:  # A user without a home.
        return None


def _read(entry: Path, source: Source) -> tuple[Store, list[Skipped]] | None:
    """An entry's images, in memory where they are small; None if it is not there or not whole."""
    found = kept_values(entry)
    if found is None:
        return None
    images, about = found
    try:
        keys, skipped = [str(key) for key in about["keys"]], [Skipped(str(k), str(r)) for k, r in about["skipped"]]
        places = {key: place for place, key in enumerate(source.keys)}
        rows = np.array([places[key] for key in keys])
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(keys):
            return None
    except Exception:  # Whatever is wrong with it, the source is still there.
        return None
    labels = None if source.labels is None else source.labels[rows]
    return Store(images, keys, labels, source.class_names), [*source.skipped, *skipped]


def _keep(entry: Path, store: Store, skipped: list[Skipped]) -> None:
    keep_values(
        entry, store.images, {"keys": list(store.keys), "skipped": [(each.key, each.reason) for each in skipped]}
    )


def kept_values(entry: Path) -> tuple[Any, Any] | None:
    """What `keep_values` was given, the array mapped where it is large; None if it is not there or not whole."""
    try:
        about = json.loads((entry / "about.json").read_text("utf-8"))
        path = entry / "values.npy"
        values = np.load(path, allow_pickle=False, mmap_mode=None if is_small(path.stat().st_size) else "c")
        os.utime(entry)
    except Exception:  # What is damaged is made again.
        return None
    return values, about


def keep_values(entry: Path, values: npt.NDArray[Any], about: Any) -> None:
    """Write an array, and what JSON can hold about it, beside its place, and move them there in one step.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _make_room(entry.parent, values.nbytes):
        return
    part = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=entry.parent))
    try:
        np.save(part / "values.npy", values)
        (part / "about.json").write_text(json.dumps(about), "utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # A damaged one would stand in the way for good.
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _make_room(folder: Path, size: int) -> bool:
    """Remove what another process left half written, and the entries used longest ago, until `size` bytes fit."""
    entries = []
    for path in folder.iterdir():
        if path.name.startswith(_UNFINISHED) and time.time() - path.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
        elif (path / "values.npy").is_file() and not path.name.startswith(_UNFINISHED):
            entries.append((path.stat().st_mtime, (path / "values.npy").stat().st_size, path))
    taken = sum(each for _, each, _ in entries)
    limit = min(_MOST_BYTES, int(_FREE_SHARE * (shutil.disk_usage(folder).free + taken)))
    if size > limit:
        return False
    for _, each, path in sorted(entries):
        if taken + size <= limit:
            break
        shutil.rmtree(path, ignore_errors=True)
        taken -= each
    return True
