"""Images that do not belong among the digits, drawn without a network: letters, and patches of photographs.

Both are 8×8, grey, uint8. Tests mix them into the digits too.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Images = npt.NDArray[np.uint8]
# Those that look unlike every digit.
_LETTERS = "ACEFHKLMNPRTUVWXYadefhkmnprtuwxy"
_FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSans-Oblique", "DejaVuSansMono")


def digits() -> tuple[Images, npt.NDArray[np.int64]]:
    """The 1 797 digits (N, 8, 8) and their classes (N,)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.rint(found.images * (255 / 16)).astype(np.uint8), found.target.astype(np.int64)


def letters(count: int, *, seed: int = 0) -> Images:
    """Letters in several fonts, a little turned, on a 32×32 bitmap counted by blocks of 4×4, as the digits were."""
    draw = np.random.default_rng(seed)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = []
    for _ in range(count):
        font = ImageFont.truetype(str(folder / f"{draw.choice(_FONTS)}.ttf"), int(draw.integers(28, 36)))
        page = Image.new("L", (96, 96))
        ImageDraw.Draw(page).text((48, 48), str(draw.choice(list(_LETTERS))), font=font, fill=255, anchor="mm")
        page = page.rotate(float(draw.uniform(-10, 10)), resample=Image.Resampling.BILINEAR)
        page = page.crop(page.getbbox())
        square = Image.new("L", (max(page.size),) * 2)
        square.paste(page, ((square.width - page.width) // 2, (square.height - page.height) // 2))
        bitmap = np.asarray(square.resize((32, 32), Image.Resampling.BILINEAR)) > 127
        found.append(np.rint(bitmap.reshape(8, 4, 8, 4).sum(axis=(1, 3)) * (255 / 16)))
    return np.stack(found).astype(np.uint8)


def patches(count: int, *, seed: int = 0) -> Images:
    """Squares cut from scikit-learn's two photographs and scaled down."""
    from sklearn.datasets import load_sample_images

    draw = np.random.default_rng(seed)
    photographs = [Image.fromarray(pixels).convert("L") for pixels in load_sample_images().images]
    found = []
    for place in range(count):
        photograph, side = photographs[place % 2], int(draw.integers(48, 160))
        x, y = int(draw.integers(photograph.width - side)), int(draw.integers(photograph.height - side))
        square = photograph.crop((x, y, x + side, y + side))
        found.append(np.asarray(square.resize((8, 8), Image.Resampling.BOX)))
    return np.stack(found)


def noise(count: int, *, seed: int = 0) -> Images:
    """Every pixel uniform."""
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8)).astype(np.uint8)


def halves(count: int, *, seed: int = 0) -> Images:
    """The left half of a digit beside the right half of one of another class."""
    images, labels = digits()
    draw = np.random.default_rng(seed)
    found: list[Images] = []
    while len(found) < count:
        left, right = draw.integers(len(images), size=2)
        if labels[left] != labels[right]:
            found.append(np.concatenate([images[left][:, :4], images[right][:, 4:]], axis=1))
    return np.stack(found)
