from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.data.base import Skipped
from coterie.data.sources.arrays import ArraySource
from coterie.report.sheets import BUDGET, Sheets, make_sheets, side_for, tiles_of
from coterie.report.thumbnails import Thumbnails
from small import finished_run


def tile(sheets: Sheets, number: int) -> np.ndarray:
    """A tile cut out as the page does it."""
    sheet, within = divmod(number, sheets.columns**2)
    row, column = divmod(within, sheets.columns)
    pixels = np.asarray(Image.open(io.BytesIO(sheets.images[sheet])).convert("RGB"))
    return pixels[row * sheets.side : (row + 1) * sheets.side, column * sheets.side : (column + 1) * sheets.side]


def test_tiny_pictures_are_kept_without_loss() -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (1100, 32, 32, 3), dtype=np.uint8)
    sheets = make_sheets(range(1100), tiles)
    assert (sheets.side, sheets.columns, len(sheets.images), sheets.mime) == (32, 32, 2, "image/png")
    for number in (0, 1, 33, 1023, 1024, 1099):
        assert np.array_equal(tile(sheets, number), tiles[number])
    assert Image.open(io.BytesIO(sheets.images[1])).size == (1024, 96)


def test_pictures_do_not_colour_their_neighbours() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (60, 3), dtype=np.uint8)
    tiles = np.broadcast_to(colours[:, None, None, :], (60, 48, 48, 3))
    sheets = make_sheets(range(60), np.ascontiguousarray(tiles))
    assert sheets.mime == "image/jpeg"
    for number, colour in enumerate(colours):
        # Decoders smooth colour over the outermost pixels.
        assert np.abs(tile(sheets, number).astype(int) - colour)[2:-2, 2:-2].max() <= 8


def test_noise_gives_up_quality_and_then_size_for_the_budget() -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (200, 48, 48, 3), dtype=np.uint8)
    rich, poor = (make_sheets(range(200), tiles, budget=budget) for budget in (400_000, 40_000))
    assert rich.side == 48
    assert 4 <= poor.side < 48
    assert sum(map(len, poor.images)) <= 40_000
    with pytest.raises(ValueError, match="do not fit"):
        make_sheets(range(200), tiles, budget=10)


def test_more_pictures_are_smaller() -> None:
    sides = [side_for(count) for count in (1, 100, 2000, 10_000, 20_000, 10**9)]
    assert sides == sorted(sides, reverse=True)
    assert (sides[0], sides[3], sides[-1]) == (112, 48, 16)


def test_runs_without_sheets_make_them_of_what_they_have() -> None:
    thumbnails = Thumbnails({})
    assert thumbnails.every_sheet() is None
    for row, side in ((9, 64), (4, 100)):
        thumbnails.add(row, np.full((side, side, 3), 10 * row, np.uint8))
    sheets = thumbnails.every_sheet()
    assert sheets is not None
    assert (sheets.rows, sheets.side) == ([4, 9], 100)
    assert abs(int(tile(sheets, 1).mean()) - 90) <= 2
    assert tiles_of([thumbnails.encoded[9]]).shape == (1, 64, 64, 3)


def test_ten_thousand_images_of_noise_stay_under_fifteen_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (10_000, 48, 48, 3), dtype=np.uint8)
    keys = [f"{'a folder with a long name/' * 4}picture-{place:06d}.jpg" for place in range(10_000)]
    source = ArraySource(noise, keys=keys, labels=rng.integers(0, 10, 10_000))
    source.skipped = [Skipped(f"damaged-{place}.jpg", "damaged: " + "x" * 200) for place in range(1000)]
    run = finished_run(tmp_path / "run", source, rng.integers(0, 10, 10_000), embeddings=rng.normal(size=(10_000, 2)))
    size = (run / "report.html").stat().st_size
    assert BUDGET < size < 15e6
