from __future__ import annotations

import numpy as np
import pytest

from coterie.evaluate.reliability import reliability


def test_four_images_worked_by_hand() -> None:
    # Bins: {0.92, 0.98}, both right, 0.05 apart; {0.62, 0.64}, one right, 0.13 apart; each holds half of the images.
    found = reliability(np.array([0.92, 0.98, 0.62, 0.64]), np.array([True, True, True, False]))
    assert found.error == pytest.approx((0.05 + 0.13) / 2)
    assert (found.confidence, found.right) == (pytest.approx(0.79), 0.75)
    levels = {level.confidence: (level.share, level.right) for level in found.levels}
    assert (levels[0.0], levels[0.7], levels[0.95], levels[0.99]) == ((1, 0.75), (0.5, 1), (0.25, 1), (0, None))


def test_what_is_right_as_often_as_it_says_has_no_error() -> None:
    draw = np.random.default_rng(0)
    confidence = draw.random(200_000)
    assert reliability(confidence, draw.random(200_000) < confidence).error < 0.01
    assert reliability(confidence, draw.random(200_000) < confidence**2).error > 0.1
    assert reliability(np.ones(3), np.ones(3, dtype=bool)).error == 0
