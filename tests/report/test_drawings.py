"""What the page draws without its script: training curves and a picture of the map."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from coterie.report.curves import curves, ticks
from coterie.report.palette import colours
from coterie.report.picture import map_picture


def test_curves_by_hand() -> None:
    assert curves([]) == []
    found = curves(
        [
            {"epoch": 1, "losses": {"alignment": -1.0}, "spread": float("nan")},
            {"epoch": 3, "losses": {"alignment": -1.5}, "acc": 0.5},
        ]
    )
    assert [curve.title for curve in found] == ["Alignment loss", "Against the labels"]
    loss, accuracy = found
    assert "ends at -1.500" in loss.alt
    # From the first epoch to the last across, and down as the loss falls.
    assert loss.lines[0].points == [(62, 18), (418, 184)]
    assert loss.lines[0].corners == "62.0,18.0 418.0,184.0"
    assert loss.along == [(62, "1"), (240, "2"), (418, "3")]
    assert [text for _, text in loss.up] == ["-1.5", "-1.4", "-1.3", "-1.2", "-1.1", "-1.0"]
    assert accuracy.lines[0].points == [(240, 101)]
    assert (loss.keyed, accuracy.keyed) == (False, True)  # "Against the labels" does not say what it is.
    assert (accuracy.lines[0].name, accuracy.up) == ("ACC", [(101, "0.5")])


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.031, 0.094, ["0.04", "0.06", "0.08"]),
        (3.9, 5.2, ["4.0", "4.5", "5.0"]),
        (0.0, 1234.0, ["0", "500", "1000"]),
        (-2e-7, 2e-7, ["-0.0000002", "-0.0000001", "0.0000000", "0.0000001", "0.0000002"]),
        (7.0, 7.0, ["7"]),
    ],
)
def test_ticks_are_round_and_few(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in ticks(low, high)] == texts


def test_epochs_are_whole() -> None:
    assert [text for _, text in ticks(1, 2, whole=True)] == ["1", "2"]
    assert [text for _, text in ticks(1, 60, whole=True)] == ["20", "40", "60"]


def test_the_picture_of_the_map_shows_every_group_where_it_lies() -> None:
    places = np.array([[0.0, 0.0]] * 30 + [[10.0, 5.0]] * 30)
    clusters, palette = np.arange(60) // 30, colours(2)
    address, words = map_picture(places, clusters, palette)
    assert words == "Scatter plot of 60 images by their places on the map, in 2 colours."
    picture = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))).convert("RGBA")
    assert picture.getpixel((500, 320))[3] == 0  # Nothing lies between them, and there is no ground.
    seen = np.asarray(picture).astype(int)
    for (x, y), colour in zip(((24, 82), (976, 558)), (palette[1], palette[0]), strict=True):
        x = 1000 - x  # The first group is at the left and below.
        wanted = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        near = seen[y - 20 : y + 20, max(0, x - 20) : x + 20].reshape(-1, 4)
        assert np.abs(near[near[:, 3] > 150, :3] - wanted).sum(axis=1).min() < 20


def test_one_image_and_places_all_the_same_are_drawn() -> None:
    for count in (1, 5):
        assert map_picture(np.zeros((count, 2)), np.zeros(count, np.int64), colours(1))[0].startswith("data:image/png")
