from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from coterie.cli import main
from coterie.errors import CoterieError, UsageError
from coterie.nn.pretrained import Pretrained

transformers = pytest.importorskip("transformers")

SETTINGS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2], "image_processor_type": "BitImageProcessor"}


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    """A tiny DINOv2 for crops of 28 pixels, as the hub would hold it."""
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return saved(transformers.Dinov2Model(config), tmp_path / "dinov2", {"crop_size": {"height": 28, "width": 28}})


def saved(model: torch.nn.Module, folder: Path, size: dict[str, object]) -> Path:
    model.save_pretrained(folder)  # type: ignore[operator]
    (folder / "preprocessor_config.json").write_text(json.dumps({**SETTINGS, **size}))
    return folder


def pictures(count: int, side: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).byte()


def test_features_are_those_of_the_model(dinov2: Path) -> None:
    extractor = Pretrained(str(dinov2), torch.device("cpu"))
    images = pictures(3, 28)
    assert (extractor.side, extractor.channels) == (28, 3)
    found = extractor.features(images)
    mean, deviation = (torch.tensor(SETTINGS[name]).view(3, 1, 1) for name in ("image_mean", "image_std"))
    model = transformers.Dinov2Model.from_pretrained(dinov2).eval()
    with torch.no_grad():
        wanted = model(pixel_values=(images / 255 - mean) / deviation).pooler_output
    torch.testing.assert_close(found, wanted)


def test_models_of_other_shapes(tmp_path: Path) -> None:
    resnet = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    extractor = Pretrained(
        str(saved(transformers.ResNetModel(resnet), tmp_path / "resnet", {"size": {"shortest_edge": 40}})),
        torch.device("cpu"),
    )
    assert extractor.features(pictures(2, extractor.side)).shape == (2, 12)
    text = transformers.CLIPTextConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=20
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    both = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    )
    clip = Pretrained(str(saved(both, tmp_path / "clip", {"crop_size": 32})), torch.device("cpu"))
    assert clip.features(pictures(2, 32)).shape == (2, 16)


def test_lnscc_on_a_pretrained_model_from_folder_to_new_images(
    dinov2: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["fit", str(photo_folder), "-k", "2", "--method", "lnscc", "--features-from", f"hf:{dinov2}"]
    command += ["--epochs", "4", "--set", "neighbours=4", "--set", "steps_per_epoch=3", "--labels-from-folders"]
    assert main([*command, "--quiet", "--out", str(run)]) == 0
    assert json.loads((run / "model" / "model.json").read_text())["extractor"] == f"hf:{dinov2}"
    with np.load(run / "features.npz", allow_pickle=False) as pack:
        assert pack["features"].shape == (24, 16)
    capsys.readouterr()
    assert main(["assign", str(run), str(photo_folder), "--quiet"]) == 0
    table = capsys.readouterr().out.splitlines()
    saved_table = (run / "assignments.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in table] == [row.split(",")[:2] for row in saved_table]


def test_what_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CoterieError, match="cannot be loaded"):
        Pretrained(str(tmp_path / "empty"), torch.device("cpu"))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install 'coterie\[transformers\]'"):
        Pretrained("facebook/dinov2-small", torch.device("cpu"))


def test_weights_in_a_pickle_are_not_loaded(dinov2: Path) -> None:
    weights = dinov2 / "model.safetensors"
    torch.save({}, dinov2 / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(CoterieError, match="cannot be loaded"):
        Pretrained(str(dinov2), torch.device("cpu"))
