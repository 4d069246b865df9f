"""Images of channels that are no colours: folders of TIFFs and arrays, from reading to assigning."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from coterie import Clusterer
from coterie.cli import main
from coterie.data.base import Unreadable
from coterie.data.feeding.augment import AugmentConfig
from coterie.data.feeding.augment.colour import colour_maps
from coterie.data.feeding.augment.draws import Draws
from coterie.data.reading.channels import as_colours, chosen, fit_channels, parsed_channels, ranges_of, read_values
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.errors import UsageError
from coterie.runs.folder import RunFolder
from coterie.runs.model_files import load_model
from data.test_tiff import tiff

RNG = np.random.default_rng(0)


def cells(kind: int, draw: np.random.Generator, channels: int = 5) -> np.ndarray:
    """A 12-bit picture whose channel `kind` is bright: (24, 24, C)."""
    image = draw.integers(0, 300, (24, 24, channels))
    image[6:18, 6:18, kind] += 2500
    return image.astype(np.uint16)


@pytest.fixture
def scope(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    (tmp_path / "scope").mkdir()
    for number in range(24):
        (tmp_path / "scope" / f"{number:02d}.tif").write_bytes(tiff(cells(2 * (number % 2), draw)).getvalue())
    return tmp_path / "scope"


def test_channels_are_named() -> None:
    assert parsed_channels("all") == ()
    assert parsed_channels("0,2,3") == (0, 2, 3)
    for text in ("", "1,1", "-1", "red", "0;1"):
        with pytest.raises(UsageError, match="--channels wants"):
            parsed_channels(text)


def test_every_channel_has_its_own_range() -> None:
    low, high = np.zeros((50, 50, 2), np.uint16), np.zeros((50, 50, 2), np.uint16)
    low[...], high[...] = (100, 7), (900, 9)
    assert ranges_of([low, high]) == (100.0, 900.0, 7.0, 9.0)
    pixels = fit_channels(np.where(np.arange(50)[:, None, None] < 25, low, high), (100, 900, 7, 9), 10)
    assert pixels[0, 0].tolist() == [0, 0]
    assert pixels[9, 9].tolist() == [255, 255]
    assert ranges_of([np.zeros((2, 2, 3), np.uint8)]) == (0, 255, 0, 255, 0, 255)
    with pytest.raises(Unreadable, match="it has 2 channels, and not 3"):
        fit_channels(low, (0, 1) * 3, 10)
    with pytest.raises(Unreadable, match="no channel 4"):
        chosen(low, (0, 4))


def test_pages_are_channels(tmp_path: Path) -> None:
    pages = RNG.integers(0, 4096, (3, 10, 12, 1)).astype(np.uint16)
    (tmp_path / "a.tif").write_bytes(tiff(*pages).getvalue())
    assert np.array_equal(read_values(tmp_path / "a.tif"), np.concatenate([*pages], axis=2))


def test_a_folder_is_told_of_its_channels(scope: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["fit", str(scope), "-k", "2", "--out", str(tmp_path / "run")]) == 2
    assert "a TIFF of 5 channels: say which of them are looked at, by --channels" in capsys.readouterr().err
    assert main(["plan", str(scope), "-k", "2", "--channels", "0,9"]) == 2
    assert "it has 5 channels, from 0, and no channel 9" in capsys.readouterr().err
    assert main(["plan", str(scope), "-k", "2", "--channels", "0,2,3", "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings["data.channels"] == {"value": "0,2,3", "from": "you"}
    assert len(settings["data.ranges"]["value"]) == 6
    assert [settings[f"augment.{name}"]["value"] for name in ("hue", "saturation", "grey")] == [0, 0, 0]


@pytest.mark.parametrize(("channels", "count"), [("all", 5), ("0,2", 2), ("2", 1), ("0,2,3", 3)])
def test_from_fit_to_assign(scope: Path, tmp_path: Path, channels: str, count: int) -> None:
    run = tmp_path / "run"
    fit = ["fit", str(scope), "-k", "2", "--epochs", "2", "--channels", channels, "--device", "cpu", "--quiet"]
    assert main([*fit, "--out", str(run)]) == 0
    model = load_model(RunFolder(run).model, device="cpu")
    assert model.input_shape[0] == count
    assert model.normalisation is not None
    assert len(model.normalisation.mean) == count
    assert (run / "report.html").stat().st_size > 10_000
    # New images are read by the run's channels and by its black and white, whatever their own.
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "dim.tif").write_bytes((scope / "00.tif").read_bytes())
    assert main(["assign", str(run), str(tmp_path / "new"), "--out", str(tmp_path / "new.csv"), "--device", "cpu"]) == 0
    with (tmp_path / "new.csv").open() as stream, (run / "assignments.csv").open() as old:
        new, before = next(csv.DictReader(stream)), next(csv.DictReader(old))
    assert (new["cluster"], new["confidence"]) == (before["cluster"], before["confidence"])
    assert main(["report", str(run), "--source", str(scope)]) == 0


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_arrays(tmp_path: Path, ending: str) -> None:
    images = np.stack([cells(place % 2, np.random.default_rng(place)) for place in range(12)])
    path = tmp_path / f"cells.{ending}"
    np.savez(path, images=images) if ending == "npz" else np.save(path, images)
    with pytest.raises(UsageError, match="holds images of 5 channels: say which of them are looked at, by --channels"):
        open_source(path)
    store, _ = ingest(open_source(path, channels="all"), 24)
    assert store.images.shape == (12, 5, 24, 24)
    assert store.images[0, 0, 6:18, 6:18].min() > store.images[0, 1, 6:18, 6:18].max()
    store, _ = ingest(open_source(path, channels="4,0"), 24)
    assert store.images.shape == (12, 2, 24, 24)


def test_a_clusterer_takes_arrays_of_any_channels() -> None:
    images = (np.stack([cells(place % 2, np.random.default_rng(place)) for place in range(24)]) / 16).astype(np.uint8)
    clusterer = Clusterer(2, epochs=1, device="cpu").fit(images)
    assert clusterer.model_.input_shape[0] == 5
    assert clusterer.predict(images).tolist() == clusterer.labels_.tolist()


def test_augmentation_keeps_channels_apart() -> None:
    config = AugmentConfig(saturation=0, hue=0, grey=0)
    matrix, _ = colour_maps(torch.rand(8, 5), config, Draws(torch.Generator().manual_seed(0), 8))
    assert torch.equal(matrix, torch.diag_embed(matrix.diagonal(dim1=1, dim2=2)))
    three, _ = colour_maps(torch.rand(8, 3), config, Draws(torch.Generator().manual_seed(0), 8))
    assert torch.allclose(three, torch.diag_embed(three.diagonal(dim1=1, dim2=2)), atol=1e-5)


def test_pictures_for_people() -> None:
    pixels = RNG.integers(0, 256, (4, 4, 5), dtype=np.uint8)
    assert np.array_equal(as_colours(pixels), pixels[..., :3])
    assert as_colours(pixels[..., :1]).shape == (4, 4, 3)
    assert np.ptp(as_colours(pixels[..., :2]), axis=-1).max() == 0
