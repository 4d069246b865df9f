"""One run on a folder of pictures, for every format to be written from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.cli import main


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two class folders of ten pictures, 24 wide and 20 high."""
    rng = np.random.default_rng(1)
    root = tmp_path_factory.mktemp("export") / "photos"
    for kind, colour in (("reds", (200, 40, 40)), ("blues", (40, 40, 200))):
        (root / kind).mkdir(parents=True)
        for number in range(10):
            pixels = np.clip(np.array(colour) + rng.integers(-30, 30, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / kind / f"{number:02d}.png")
    return root


@pytest.fixture(scope="session")
def run(photos: Path) -> Path:
    """A ProPos run in two groups; nobody writes into it."""
    out = photos.parent / "run"
    command = [
        "fit",
        str(photos),
        "-k",
        "2",
        "--method",
        "propos",
        "--epochs",
        "1",
        "--size",
        "16",
        "--labels-from-folders",
        "--device",
        "cpu",
    ]
    for setting in ("hidden=16", "projection=8", "batch_size=10", "warmup_epochs=0"):
        command += ["--set", setting]
    assert main([*command, "--quiet", "--out", str(out)]) == 0
    return out
