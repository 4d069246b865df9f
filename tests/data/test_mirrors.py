"""Whether images are flipped, by how they come: alone, in arrays, and in tar shards."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from coterie.data.mirrors import mirrored_farther
from coterie.data.sources import open_source
from coterie.plan import Request, plan

Images = npt.NDArray[np.uint8]
NOT, EITHER = (0.0, "default: they do not come mirrored"), (0.5, "default: they come mirrored")


@pytest.fixture(scope="module")
def slopes() -> Images:
    """Images that all rise to the right."""
    rng = np.random.default_rng(0)
    steps = np.linspace(0, 200, 28)[None, None, :] * rng.uniform(0.5, 1, (150, 28, 1))
    return np.clip(steps + rng.uniform(0, 50, (150, 28, 28)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def either(slopes: Images) -> Images:
    """Every other one falls."""
    return np.where(np.arange(150)[:, None, None] % 2 == 0, slopes, slopes[:, :, ::-1])


def flips(source: Any, **said: Any) -> tuple[float, str]:
    found = plan(Request("array", 2, device="cpu", epochs=1, **said), source=open_source(source))
    return found.config.augment.flip, found.origins["augment.flip"]


def test_what_comes_mirrored_is_flipped(slopes: Images, either: Images) -> None:
    assert flips(slopes) == flips(np.stack([slopes] * 3, -1)) == NOT
    assert flips(either) == flips(np.stack([either] * 3, -1)) == EITHER
    assert flips(either[:100]) == (0.0, "default: grey images of 28 pixels")  # Too few to tell.
    assert flips(either, settings=("augment.flip=0.2",)) == (0.2, "you")
    assert mirrored_farther([np.zeros((32, 32, 3), np.uint8)] * 128) == 0.5
    thrice = np.repeat(either[:70], 3, axis=0)  # Whose nearest others are copies.
    assert flips(thrice)[0] == 0.5


def test_images_in_shards_tell_it_as_well(slopes: Images, either: Images, tmp_path: Path) -> None:
    def shard(name: str, images: Images) -> str:
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as tar:
            for place, image in enumerate(images):
                Image.fromarray(image).save(stream := io.BytesIO(), "PNG")
                about = tarfile.TarInfo(f"{place:03d}.png")
                about.size = len(stream.getvalue())
                tar.addfile(about, io.BytesIO(stream.getvalue()))
        return str(tmp_path / name)

    assert flips(shard("slopes.tar", slopes)) == NOT
    assert flips(shard("either.tar", either)) == EITHER
    # The first of a compressed one may be of one kind, and others are far.
    assert flips(shard("either.tar.gz", either)) == (0.0, "default: grey images of 28 pixels")
