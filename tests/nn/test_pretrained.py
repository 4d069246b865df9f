"""Vision models of transformers as backbones, made tiny and saved as the hub would hold them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

import tiny
from coterie.errors import CoterieError, UsageError
from coterie.nn.pretrained import Pretrained, build, is_pretrained, open_pretrained

transformers = pytest.importorskip("transformers")


def pixels(count: int, side: int) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def features(opened: Pretrained, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = opened.backbone(images)
    assert found.shape == (len(images), opened.backbone.features)
    return found


def test_features_are_those_of_the_model(tmp_path: Path) -> None:
    folder = tiny.dinov2(tmp_path)
    state = torch.get_rng_state()
    opened = open_pretrained(f"hf:{folder}")
    assert torch.equal(state, torch.get_rng_state())
    assert (opened.side, opened.channels) == (28, 3)
    torch.testing.assert_close(torch.tensor([opened.mean, opened.deviation]), torch.tensor([tiny.MEAN, tiny.DEVIATION]))
    images = pixels(3, 28)
    model = transformers.Dinov2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(features(opened, images), model(pixel_values=images).pooler_output)


@pytest.mark.parametrize("kind", ["dinov2", "resnet", "clip", "swin", "mae", "vit"])
def test_any_vision_model_is_built_again_without_its_files(kind: str, tmp_path: Path) -> None:
    opened = open_pretrained(f"hf:{getattr(tiny, kind)(tmp_path)}")
    images = pixels(2, opened.side)
    state = torch.get_rng_state()
    again = build(json_round(opened))
    assert torch.equal(state, torch.get_rng_state())
    assert again.features == opened.backbone.features
    again.load_state_dict(opened.backbone.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(images), features(opened, images))


def json_round(opened: Pretrained) -> object:
    from coterie.config import plain, read
    from coterie.nn.pretrained import Architecture

    return read(Architecture, json.loads(json.dumps(plain(opened.architecture))))


@pytest.mark.parametrize("kind", ["swin", "mae"])
def test_nothing_is_left_to_chance(kind: str, tmp_path: Path) -> None:
    """Swin drops paths in training, and MAE masks patches at random at all times; a resumed run would differ."""
    opened = open_pretrained(f"hf:{getattr(tiny, kind)(tmp_path)}")
    opened.backbone.train()
    images = pixels(2, opened.side)
    assert torch.equal(features(opened, images), features(opened, images))


def test_a_pooler_without_weights_is_not_used(tmp_path: Path) -> None:
    """Files of classifiers lack the pooler, which transformers would draw at random."""
    folder = tiny.vit(tmp_path)
    model = transformers.ViTModel.from_pretrained(folder).eval()
    images = pixels(2, 32)
    with torch.no_grad():
        wanted = model(pixel_values=images)
    torch.testing.assert_close(features(open_pretrained(f"hf:{folder}"), images), wanted.pooler_output)
    transformers.ViTForImageClassification.from_pretrained(folder).save_pretrained(folder)
    opened = open_pretrained(f"hf:{folder}")
    torch.testing.assert_close(features(opened, images), wanted.last_hidden_state[:, 0])


def test_the_part_of_a_model_that_sees(tmp_path: Path) -> None:
    folder = tiny.clip(tmp_path)
    images = pixels(2, 32)
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = model.vision_model(pixel_values=images).pooler_output
    opened = open_pretrained(f"hf:{folder}")
    torch.testing.assert_close(features(opened, images), wanted)
    assert not any("text" in name for name in opened.backbone.state_dict())


def test_other_sizes(tmp_path: Path) -> None:
    opened = open_pretrained(f"hf:{tiny.vit(tmp_path)}", side=48)
    assert opened.side == 48
    features(opened, pixels(2, 48))
    assert open_pretrained(f"hf:{tiny.dinov2(tmp_path)}", side=42).side == 42
    with pytest.raises(UsageError, match=r"takes no images of 8 pixels .*--size"):
        open_pretrained(f"hf:{tiny.vit(tmp_path)}", side=8)


@pytest.mark.parametrize(
    ("processor", "white", "black"),
    [
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}, 2.0, -2.0),
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "rescale_factor": 1 / 127.5}, 6.0, -2.0),
        ({"do_normalize": False, "image_mean": [0.5] * 3}, 1.0, 0.0),
        ({"do_rescale": False, "do_normalize": True, "image_mean": [100.0] * 3, "image_std": [50.0] * 3}, 3.1, -2.0),
    ],
)
def test_normalisation_is_the_processors(processor: dict, white: float, black: float, tmp_path: Path) -> None:
    folder = tiny.dinov2(tmp_path)
    (folder / "preprocessor_config.json").write_text(json.dumps({"crop_size": 28, **processor}))
    opened = open_pretrained(f"hf:{folder}")
    for value, wanted in ((1.0, white), (0.0, black)):
        assert (value - opened.mean[0]) / opened.deviation[0] == pytest.approx(wanted)


def test_channels_in_another_order(tmp_path: Path) -> None:
    folder = tiny.dinov2(tmp_path)
    images = pixels(2, 28)
    usual = features(open_pretrained(f"hf:{folder}"), images)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "do_flip_channel_order": True}))
    torch.testing.assert_close(features(open_pretrained(f"hf:{folder}"), images.flip(1)), usual)


def test_what_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CoterieError, match="cannot be loaded"):
        open_pretrained(f"hf:{tmp_path / 'empty'}")
    with pytest.raises(UsageError, match="of type bert, which does not look at images"):
        open_pretrained(f"hf:{tiny.bert(tmp_path)}")
    dinov2 = tiny.dinov2(tmp_path)
    (dinov2 / "preprocessor_config.json").unlink()
    with pytest.raises(CoterieError, match="cannot be loaded"):
        open_pretrained(f"hf:{dinov2}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install 'coterie\[transformers\]'"):
        open_pretrained("hf:facebook/dinov2-small")


def test_a_name_that_nobody_knows_is_explained_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("couldn't connect") from LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", unreachable)
    with pytest.raises(
        CoterieError, match=r"hf:facebook/dinov9 cannot be loaded: .*the hub cannot be reached"
    ) as caught:
        open_pretrained("hf:facebook/dinov9")
    assert "\n" not in str(caught.value)


def test_weights_in_a_pickle_are_not_loaded(tmp_path: Path) -> None:
    dinov2 = tiny.dinov2(tmp_path)
    torch.save({}, dinov2 / "pytorch_model.bin")
    (dinov2 / "model.safetensors").unlink()
    with pytest.raises(CoterieError, match="pickles, which could execute code, are not read"):
        open_pretrained(f"hf:{dinov2}")


def test_code_of_a_models_own_is_never_executed(tmp_path: Path) -> None:
    dinov2 = tiny.dinov2(tmp_path)
    config = json.loads((dinov2 / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (dinov2 / "config.json").write_text(json.dumps(config))
    (dinov2 / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(CoterieError, match="code of its own, which coterie never executes"):
        open_pretrained(f"hf:{dinov2}")
    assert not (tmp_path / "ran").exists()


def test_kernels_are_code_too(tmp_path: Path) -> None:
    dinov2 = tiny.dinov2(tmp_path)
    config = json.loads((dinov2 / "config.json").read_text())
    (dinov2 / "config.json").write_text(json.dumps({**config, "attn_implementation": "some/kernel"}))
    with pytest.raises(CoterieError, match="a kernel of the hub, some/kernel, is code"):
        open_pretrained(f"hf:{dinov2}")


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    dinov2 = tiny.dinov2(tmp_path)
    weights = load_file(dinov2 / "model.safetensors")
    weights.pop("layernorm.weight")
    save_file(weights, dinov2 / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CoterieError, match=r"lacks weights of its own architecture: layernorm\.weight"):
        open_pretrained(f"hf:{dinov2}")


def test_what_counts_as_pretrained(tmp_path: Path) -> None:
    (tmp_path / "byol-1000").write_bytes(b"")
    assert all(is_pretrained(name) for name in ("hf:a/b", "timm:vit", "x.pth", str(tmp_path / "byol-1000")))
    assert not any(is_pretrained(name) for name in ("resnet18", "none", str(tmp_path)))
