"""The map as a picture, for readers whose browsers run no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

# Pixels, of which the edge stays free, points drawn at the most, and how much finer they are drawn than shown.
_WIDTH, _HEIGHT, _EDGE = 1000, 640, 24
_MOST_POINTS, _FINER = 20_000, 2


def map_picture(
    places: npt.NDArray[np.floating[Any]], clusters: npt.NDArray[np.int64], palette: Sequence[str]
) -> tuple[str, str]:
    """A `data:` address and a description of places (N, 2), coloured by cluster (N,) and numbered at the medians.

    It has no ground of its own, so that it suits a light page and a dark one.
    """
    shown = np.random.default_rng(0).permutation(len(places))[:_MOST_POINTS]
    picture = Image.new("RGBA", (_FINER * _WIDTH, _FINER * _HEIGHT))
    draw, fitted = ImageDraw.Draw(picture), _fitted(places)
    radius = _FINER * float(np.clip(150 / np.sqrt(max(1, len(shown))), 1.2, 5.0))
    for (x, y), cluster in zip(fitted[shown].tolist(), clusters[shown].tolist(), strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=palette[cluster] + "b0")
    font = ImageFont.load_default(_FINER * 20)
    found = np.unique(clusters)
    for cluster in found.tolist():
        middle = tuple(np.median(fitted[clusters == cluster], axis=0).tolist())
        draw.text(
            middle, str(cluster), "white", font, "mm", stroke_width=_FINER * 3, stroke_fill=palette[cluster]
        )  # fmt: skip
    stream = io.BytesIO()
    picture.resize((_WIDTH, _HEIGHT), Image.Resampling.BOX).quantize(255).save(stream, "png")
    address = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
    return address, f"Scatter plot of {len(shown)} images by their places on the map, in {len(found)} colours."


def _fitted(places: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Places in the picture's pixels, one scale for both axes and the second pointing up."""
    low, high = places.min(axis=0).astype(np.float64), places.max(axis=0).astype(np.float64)
    room = np.array([_WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE])
    scale = float((room / np.maximum(high - low, 1e-12)).min())
    middle = np.array([_WIDTH, _HEIGHT]) / 2
    fitted: npt.NDArray[np.float64] = _FINER * (middle + (places - (low + high) / 2) * scale * [1, -1])
    return fitted
