"""A folder of JPEG files to a store, beside what the decoder alone takes; and again, from the cache."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from coterie.bench.base import Budget, Result, alternate
from coterie.data.reading.cache import read_images
from coterie.data.reading.ingest import ingest
from coterie.data.reading.parallel import in_parallel, small_parts
from coterie.data.sources import open_source

_SIDE = 96
_WIDTH, _HEIGHT = 500, 375
# Files that differ; the folder repeats them under other names.
_KINDS = 50


def measure(budget: Budget) -> Iterator[Result]:
    """Images a second on all cores; the baseline opens, scales down and decodes each file, and does nothing else."""
    count = budget.size(10_000, 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _write(folder, count)

        def baseline() -> None:
            in_parallel(small_parts(paths), lambda part: map(_decode_alone, part))

        yield alternate(
            "decode", lambda: ingest(open_source(folder), _SIDE), baseline, "Pillow's decoder alone", budget,
            amount=count, unit="images/s",
        )  # fmt: skip
        with _cache_in(folder / ".cache"):
            read_images(open_source(folder), _SIDE)
            yield alternate(
                "decode/second-start", lambda: read_images(open_source(folder), _SIDE),
                lambda: ingest(open_source(folder), _SIDE), "decoding again", budget,
            )  # fmt: skip


@contextlib.contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    before = os.environ.get("COTERIE_CACHE")
    os.environ["COTERIE_CACHE"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("COTERIE_CACHE")
        if before is not None:
            os.environ["COTERIE_CACHE"] = before


def _write(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    kinds = []
    for kind in range(_KINDS):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = smooth + rng.normal(0, 12, smooth.shape).astype(np.int16)
        path = folder / f"{kind:05d}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=85)
        kinds.append(path.read_bytes())
    paths = [folder / f"{place:05d}.jpg" for place in range(count)]
    for place, path in enumerate(paths):
        path.write_bytes(kinds[place % _KINDS])
    return paths


def _decode_alone(path: Path) -> int:
    with Image.open(path) as image:
        image.draft("RGB", (_SIDE * _WIDTH // _HEIGHT, _SIDE))
        image.load()
        return int(image.width)
