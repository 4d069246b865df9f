from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coterie.data.feeding.features import Features
from coterie.data.reading.store import Store
from coterie.runs.manifest import Manifest

KEYS = ["a.png", "b/ü\n.png", "c\udce9.png"]
IMAGES = np.random.default_rng(0).integers(0, 255, (3, 3, 8, 8), dtype=np.uint8)


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    manifest = Manifest.of(Store(IMAGES, KEYS))
    manifest.write(tmp_path / "checksums.txt")
    read = Manifest.read(tmp_path / "checksums.txt")
    assert read is not None
    assert read.keys == KEYS
    assert read.changes(manifest) == ""
    assert len(set(manifest.checksums.tolist())) == 3


@pytest.mark.parametrize("content", ["", "rubbish\n", '0000000g "a"\n', "00000000 [1\n"])
def test_a_damaged_one_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "checksums.txt").write_text(content)
    found = Manifest.read(tmp_path / "checksums.txt")
    assert found is None or len(found.keys) == 0
    assert Manifest.read(tmp_path / "missing.txt") is None


def test_what_changed_is_named() -> None:
    before = Manifest.of(Store(IMAGES, KEYS))
    assert before.changes(Manifest.of(Store(IMAGES[:2], KEYS[:2]))) == "1 image is gone (c\udce9.png)"
    other = IMAGES.copy()
    other[:2, 0, 0, 0] ^= 1
    assert before.changes(Manifest.of(Store(other, KEYS))) == "2 images changed (the first: a.png)"
    renamed = Manifest.of(Store(IMAGES, ["a.png", "x", "y"]))
    assert before.changes(renamed) == "2 images are gone (the first: b/ü\n.png), 2 images are new (the first: x)"
    turned = Manifest.of(Store(IMAGES[::-1], KEYS[::-1]))
    assert before.changes(turned) == "their order changed"


def test_features_and_views_of_images_have_one_too() -> None:
    assert len(Manifest.of(Features(np.eye(3, dtype=np.float32), KEYS)).checksums) == 3
    assert Manifest.of(Store(IMAGES[:, :1], KEYS)).changes(Manifest.of(Store(IMAGES[:, :1].copy(), KEYS))) == ""
