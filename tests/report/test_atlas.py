"""The map of a page is made once, and kept for just these embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.report import atlas
from coterie.report.atlas import make_atlas


@pytest.fixture
def embeddings() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)


def test_what_is_kept_is_what_was_made(embeddings: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, first = make_atlas(embeddings), make_atlas(embeddings, tmp_path / "map.npz")
    made: list[int] = []
    chart = atlas.chart
    monkeypatch.setattr(atlas, "chart", lambda points: made.append(len(points)) or chart(points))
    again = make_atlas(embeddings, tmp_path / "map.npz")
    assert not made
    for name in ("places", "neighbours", "vectors"):
        for one in (first, again):
            np.testing.assert_array_equal(getattr(one, name), getattr(alone, name))
    other = make_atlas(embeddings[::-1], tmp_path / "map.npz")
    assert made == [60]
    np.testing.assert_array_equal(other.places, make_atlas(embeddings[::-1]).places)


@pytest.mark.parametrize(
    "changed",
    [
        lambda content: content | {"neighbours": np.full_like(content["neighbours"], 60)},
        lambda content: content | {"neighbours": content["neighbours"][:, :3]},
        lambda content: content | {"places": np.full_like(content["places"], np.nan)},
        lambda content: content | {"places": content["places"][:-1]},
        lambda content: {"of": content["of"]},
        lambda content: content | {"of": np.array([object()])},
    ],
)
def test_a_damaged_map_is_made_anew(
    embeddings: np.ndarray, tmp_path: Path, changed: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    right = make_atlas(embeddings, tmp_path / "map.npz")
    written = (tmp_path / "map.npz").read_bytes()
    content = dict(np.load(tmp_path / "map.npz"))
    np.savez(tmp_path / "map.npz", **changed(content))
    np.testing.assert_array_equal(make_atlas(embeddings, tmp_path / "map.npz").places, right.places)
    assert (tmp_path / "map.npz").read_bytes() == written
    (tmp_path / "map.npz").write_bytes(b"PK\x03\x04 and no more")
    np.testing.assert_array_equal(make_atlas(embeddings, tmp_path / "map.npz").neighbours, right.neighbours)
