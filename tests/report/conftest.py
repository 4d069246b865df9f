"""A browser, and a finished run whose page it opens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from coterie.data.sources import open_source
from coterie.runs.words import Word
from small import finished_run

if TYPE_CHECKING:
    from visiting import Visit

KINDS = ("cat", "dog", "owl")
SUGGESTED = ((Word("tabby", 0.714), Word("Siamese cat", 0.12)), (), (Word("tabby", 0.3), Word("<b>owl</b>", 0.2)))


# Where there is no browser, modules that import `visiting` are skipped, and the others ask for none of this.


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from visiting import launched

    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders of twelve pictures, with names that give trouble."""
    root = tmp_path_factory.mktemp("page") / "photos"
    rng = np.random.default_rng(0)
    for number, kind in enumerate(KINDS):
        (root / kind).mkdir(parents=True)
        for place in range(12):
            pixels = np.clip(80 * np.eye(3)[number] + rng.integers(60, 170, (24, 24, 3)), 0, 255).astype(np.uint8)
            name = {0: "=1+1.png", 1: 'ü, "x"; <b>.png'}.get(place, f"{kind}{place:02d}.png")
            Image.fromarray(pixels).save(root / kind / name)
    shutil.copy(root / "cat" / "cat02.png", root / "=2+2.png")
    return root


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    source = open_source(photos, labels_from_folders=True)
    source.labels[0] = 0  # Of the file beside the folders.
    clusters = np.r_[0, np.arange(36) // 12]
    return finished_run(photos.parent / "run", source, clusters, name=str(photos), words=SUGGESTED)


@pytest.fixture
def visit(browser: Any, run: Path) -> Iterator[Visit]:
    from visiting import Visit

    found = Visit(browser, run / "report.html")
    yield found
    found.context.close()
    assert found.troubles == []
