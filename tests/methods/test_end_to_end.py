"""Every method from files to a finished run, by the command line and from Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import small
from coterie import Clusterer
from coterie.cli import main
from coterie.methods import method_type


def settings(name: str) -> dict[str, object]:
    return {"train.batch_size": 20, **small.options(name)}


@pytest.mark.parametrize("name", small.LEARNING)
def test_on_grey_and_colour_images(name: str, tmp_path: Path, blobs: tuple) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (24, 32, 32, 3), dtype=np.uint8)
    for kind, images in (("grey", blobs[0]), ("colour", colour)):
        source = small.source(name, images, tmp_path / f"{kind}.npz")
        command = ["fit", str(source), "-k", "3", "--method", name, "--epochs", "2"]
        command += [part for key, value in settings(name).items() for part in ("--set", f"{key}={value}")]
        assert main([*command, "--set", "warmup_epochs=1", "--quiet", "--out", str(tmp_path / kind)]) == 0
        summary = json.loads((tmp_path / kind / "summary.json").read_text())
        assert (summary["method"], summary["images"]) == (name, len(images))


@pytest.mark.parametrize("name", small.LEARNING)
def test_from_python_and_to_the_bit_again(name: str, blobs: tuple) -> None:
    options = {**settings(name), "warmup_epochs": 1}
    data = blobs[0] if method_type(name).inputs == "images" else small.as_features(blobs[0])
    first, again = (Clusterer(3, method=name, epochs=3, options=options, device="cpu").fit(data) for _ in range(2))
    assert np.array_equal(first.embeddings_, again.embeddings_)
    assert np.array_equal(first.predict(data), first.labels_)
