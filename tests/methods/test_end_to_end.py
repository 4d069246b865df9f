"""Every method from files to a finished run, by the command line and from Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coterie import Clusterer
from coterie.cli import main
from coterie.methods import method_names

SMALL = {"pcl": {"granularities": [6, 9], "queue": 24}, "moco": {"queue": 24}}


def settings(name: str) -> dict[str, object]:
    return {"hidden": 16, "projection": 8, "train.batch_size": 20, **SMALL.get(name, {})}


@pytest.mark.parametrize("name", method_names())
def test_on_grey_and_colour_images(name: str, tmp_path: Path, blobs: tuple) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (24, 32, 32, 3), dtype=np.uint8)
    for kind, images in (("grey", blobs[0]), ("colour", colour)):
        np.savez(tmp_path / f"{kind}.npz", images=images)
        command = ["fit", str(tmp_path / f"{kind}.npz"), "-k", "3", "--method", name, "--epochs", "2"]
        command += [part for key, value in settings(name).items() for part in ("--set", f"{key}={value}")]
        assert main([*command, "--set", "warmup_epochs=1", "--quiet", "--out", str(tmp_path / kind)]) == 0
        summary = json.loads((tmp_path / kind / "summary.json").read_text())
        assert (summary["method"], summary["images"]) == (name, len(images))


@pytest.mark.parametrize("name", method_names())
def test_from_python_and_to_the_bit_again(name: str, blobs: tuple) -> None:
    options = {**settings(name), "warmup_epochs": 1}
    first, again = (Clusterer(3, method=name, epochs=3, options=options, device="cpu").fit(blobs[0]) for _ in range(2))
    assert np.array_equal(first.embeddings_, again.embeddings_)
    assert np.array_equal(first.predict(blobs[0]), first.labels_)
