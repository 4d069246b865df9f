"""How many copies `coterie fit` finds, and how many it takes for copies that are none.

    python benchmarks/copies.py PHOTOS [--images 10000] [--side 64]

Of every photograph below a folder copies are made: half the size, JPEG of quality 60, 95 % of each side, brighter or
darker by up to 30 %. All are read as `fit` reads them, one thread looks for copies, and the result is compared with
what was made.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance

from coterie.data.copies import find_copies
from coterie.data.reading.decode import decode_file
from coterie.data.reading.store import Store
from coterie.data.sources.folder import find_images


def halved(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)


def trimmed(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    width, height = round(0.95 * image.width), round(0.95 * image.height)
    left, top = (int(draw.integers(0, room + 1)) for room in (image.width - width, image.height - height))
    return image.crop((left, top, left + width, top + height))


def lit(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(float(draw.choice([0.75, 0.85, 1.15, 1.3])))


KINDS: dict[str, tuple[Callable[[Image.Image, np.random.Generator], Image.Image], int]] = {
    "half the size": (halved, 90),
    "JPEG 60": (lambda image, _: image, 60),
    "trimmed by 5 %": (trimmed, 90),
    "brightness": (lit, 90),
}


def made(photos: Path, count: int, side: int) -> tuple[Store, np.ndarray, list[str]]:
    """A store of originals and copies, the original of each row, and how each was made."""
    draw, paths = np.random.default_rng(0), find_images(photos)[0]
    images, of, kinds = [], [], []
    for number, path in enumerate(paths):
        images.append(decode_file(path, side))
        of.append(number)
        kinds.append("")
    for number, path in enumerate(paths):
        for kind, (change, quality) in KINDS.items():
            if len(images) >= count:
                break
            content = io.BytesIO()
            with Image.open(path) as image:
                change(image.convert("RGB"), draw).save(content, "JPEG", quality=quality)
            images.append(decode_file(content, side))
            of.append(number)
            kinds.append(kind)
    pixels = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    return Store(pixels, [f"{row:06d}.jpg" for row in range(len(images))]), np.array(of), kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    store, of, kinds = made(options.photos, options.images, options.side)
    began, worked = time.perf_counter(), time.process_time()
    copies = find_copies(store)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    right = of[copies.first] == of
    found = copies.first != np.arange(len(store))
    recall = {
        kind: float(
            np.mean([copies.first[row] == copies.first[of[row]] for row in range(len(store)) if kinds[row] == kind])
        )
        for kind in KINDS
    }
    print(
        json.dumps(
            {
                "images": len(store),
                "originals": int(of.max()) + 1,
                "side": options.side,
                "seconds": round(seconds, 1),
                "processor seconds": round(cpu, 1),
                "precision": round(float(right[found].mean()), 4),
                "recall": {kind: round(value, 4) for kind, value in recall.items()},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
