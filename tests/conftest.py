"""What several tests need."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.plan import Plan
from coterie.plan.told import Layer

FIXTURES = Path(__file__).parent / "fixtures" / "parity"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--parity-dir", type=Path, default=FIXTURES, help="reference figures to compare with")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("-m"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="a long run: ask for it with -m soak, or make soak"))


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests leave nothing in the user's cache."""
    monkeypatch.setenv("COTERIE_CACHE", "")


@pytest.fixture(autouse=True)
def _no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word about epochs these follow from the number of images, whatever the pace of the machine."""
    monkeypatch.setattr(sys.modules[Plan.__module__], "_by_default", lambda _: Layer())


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Sixty grey 8×8 images in three plain kinds, and their kinds: (60, 8, 8) uint8 and (60,)."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 40, (60, 8, 8))
    for place, label in enumerate(labels):
        images[place, 2 * label : 2 * label + 3, :] += 200
    return images.clip(0, 255).astype(np.uint8), labels


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """A folder with two class folders of twelve small colour pictures each."""
    rng = np.random.default_rng(1)
    for kind, colour in (("reds", (200, 40, 40)), ("blues", (40, 40, 200))):
        folder = tmp_path / "photos" / kind
        folder.mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(np.array(colour) + rng.integers(-30, 30, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return tmp_path / "photos"
