from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from coterie.data.feeding.features import Features
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.data.sources.arrays import ArraySource
from coterie.report.sheets import Sheets
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.workflow.steps.pictures import take_pictures


def table(keys: list[str]) -> Assignments:
    count = len(keys)
    return Assignments(keys, np.arange(count) % 2, np.full(count, 0.5), np.zeros(count, bool))


def colour(sheets: Sheets, number: int) -> np.ndarray:
    """In the middle of a tile on the first sheet."""
    row, column = divmod(number, sheets.columns)
    pixels = np.asarray(Image.open(io.BytesIO(sheets.images[0])).convert("RGB")).astype(int)
    return pixels[row * sheets.side + sheets.side // 2, column * sheets.side + sheets.side // 2]


def test_pictures_come_from_the_store_where_it_is_large_enough(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    source = ArraySource(blobs[0])
    store, _ = ingest(source, 8)
    assert store.channels == 1
    decoded, stored = (take_pictures(source, table(source.keys), np.eye(60), rows) for rows in (None, store))
    assert isinstance(decoded, Thumbnails)
    assert decoded == stored
    small, _ = ingest(source, 4)
    assert take_pictures(source, table(source.keys), np.eye(60), small) == decoded


def test_an_image_that_vanished_is_left_out(photo_folder: Path) -> None:
    source = open_source(photo_folder)
    (photo_folder / "blues" / "02.png").write_bytes(b"")
    found = take_pictures(source, table(source.keys), np.eye(24))
    assert found.sheets is not None
    assert found.sheets.rows == [row for row in range(24) if row != 2]
    assert 2 not in found.encoded
    blue, red = colour(found.sheets, 0), colour(found.sheets, 22)
    assert blue[2] > blue[0] + 100
    assert red[0] > red[2] + 100


def test_features_have_no_pictures() -> None:
    features = Features(np.eye(6, dtype=np.float32), [str(place) for place in range(6)])
    assert take_pictures(features, table(features.keys), np.eye(6), features) == Thumbnails({})
