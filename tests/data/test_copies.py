from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch.nn import functional as F

from coterie.data.copies import find_copies
from coterie.data.copies.names import of_one_picture, plainest
from coterie.data.reading.decode import decode_file
from coterie.data.reading.store import Store


def picture(seed: int, side: int = 96) -> Image.Image:
    """Clouds of colour at several scales, as detailed as a photograph."""
    draw = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, side, side)
    for cells, strength in ((3, 60), (6, 50), (12, 40), (24, 30), (48, 15)):
        noise = torch.randn(1, 1, cells, cells, generator=draw) + 0.3 * torch.randn(1, 3, cells, cells, generator=draw)
        total += strength * F.interpolate(noise, (side, side), mode="bicubic")
    return Image.fromarray((total[0].permute(1, 2, 0) + 128).clamp(0, 255).to(torch.uint8).numpy())


def saved(image: Image.Image, quality: int = 90) -> np.ndarray:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return decode_file(content, 64)


def store(images: list[np.ndarray], keys: list[str] | None = None) -> Store:
    pixels = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    return Store(pixels, keys or [f"{row:03d}.jpg" for row in range(len(images))])


CHANGES = {
    "half": lambda image: saved(image.resize((48, 48))),
    "jpeg": lambda image: saved(image, 60),
    "trimmed": lambda image: saved(image.crop((4, 1, 95, 92))),
    "darker": lambda image: saved(ImageEnhance.Brightness(image).enhance(0.8)),
    "none": lambda image: saved(image),
}


@pytest.mark.parametrize("change", [*CHANGES])
def test_copies_are_found_and_nothing_else(change: str) -> None:
    originals = [picture(seed) for seed in range(20)]
    copies = find_copies(store([saved(each) for each in originals] + [CHANGES[change](each) for each in originals[:8]]))
    assert copies.rows.tolist() == list(range(20, 28))
    assert copies.first[20:].tolist() == list(range(8))
    assert copies.likeness[20:].min() > 0.8
    assert (copies.likeness[20:] == 1).all() == (change == "none")
    assert not copies.named.any()


def test_drawings_that_resemble_each_other_are_no_copies() -> None:
    draw = np.random.default_rng(0)
    images = []
    for _ in range(60):
        image = np.full((64, 64, 3), 245)
        left, top, width = draw.integers(8, 14, 3)
        image[top : 50 + width - 8, left : 50 + width - 8] = np.array([200, 60, 40]) + draw.integers(-25, 26, 3)
        images.append((image + draw.integers(-8, 9, (64, 64, 1))).clip(0, 255).astype(np.uint8))
    notes: list[str] = []
    assert len(find_copies(store(images), note=notes.append).rows) == 0


def test_other_colours_are_another_picture() -> None:
    red = np.asarray(picture(1))
    assert (
        len(find_copies(store([saved(Image.fromarray(red)), saved(Image.fromarray(red[..., ::-1].copy()))])).rows) == 0
    )


def test_small_pictures_are_copies_only_if_saved_anew(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    images = blobs[0][:, None]
    assert len(find_copies(Store(images, [str(row) for row in range(60)])).rows) == 0
    twice = np.concatenate([images, images[5:7], np.minimum(images[7:8], 254) + 1])
    assert find_copies(Store(twice, [str(row) for row in range(63)])).rows.tolist() == [60, 61, 62]


def test_equal_pictures_are_one() -> None:
    copies = find_copies(Store(np.full((9, 1, 32, 32), 7, np.uint8), [str(row) for row in range(9)]))
    assert copies.first.tolist() == [0] * 9
    assert copies.likeness.tolist() == [1] * 9


def test_names_and_pixels_together_make_one_picture() -> None:
    first, second, third = picture(1), picture(2), picture(3)
    named = {
        "IMG_1(1).jpg": saved(first, 60),
        "IMG_1.HEIC": saved(first),
        "IMG_2(1).jpg": saved(third),
        "IMG_2.jpg": saved(second),
        "again.jpg": saved(second, 60),
    }
    copies = find_copies(store([*named.values()], [*named]))
    assert copies.first.tolist() == [1, 1, 2, 3, 3]
    assert copies.named.tolist() == [True, False, False, False, False]
    assert copies.counted(collapse=False).tolist() == [1, 2, 3, 4]
    assert copies.counted(collapse=True).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    ["a/IMG_1234.HEIC", "a/IMG_1234(1).jpg", "a/IMG_1234 (2).jpg", "a/IMG_E1234.jpg", "a/IMG_1234 copy.jpg",
     "a/IMG_1234 - Kopie.jpg", "a/IMG_1234-edited.jpg", "a/IMG_1234~2.jpg", "a/img_1234.PNG", "a/IMG_1234 copy 2.jpg"],
)  # fmt: skip
def test_names_of_one_picture(other: str) -> None:
    assert of_one_picture("a/IMG_1234.jpg", other)
    assert plainest([other, "a/IMG_1234.jpg"]) == (
        0 if "(" not in other and other.lower().startswith("a/img_1234.") else 1
    )


@pytest.mark.parametrize(
    "other", ["b/IMG_1234.jpg", "a/IMG_1235.jpg", "a/IMG_12345.jpg", "a/XIMG_E1234.jpg", "a/(1).jpg"]
)
def test_names_of_others(other: str) -> None:
    assert not of_one_picture("a/IMG_1234.jpg", other)
