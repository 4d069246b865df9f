from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

import small
from coterie import Clusterer, UsageError, load
from coterie.methods import build_method, method_type
from coterie.nn.backbones import build_backbone
from coterie.workflow.export import export


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def test_a_backbone_alone_with_its_conventions(run: Path, tmp_path: Path) -> None:
    export(run, {"safetensors": tmp_path / "backbone.safetensors"})
    weights, told = read(tmp_path / "backbone.safetensors")
    model = load(run, device="cpu").model_
    backbone = build_backbone(told["architecture"], channels=3, side=16)
    backbone.load_state_dict(weights)  # Strictly: neither a name too many nor one too few.
    images = torch.rand((4, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(json.loads(told[name])).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        features = backbone.eval()((images - mean) / std)
        ours = model.method.target_projector(features)
        wanted = model.method.embed(model.normalisation(images))
    assert features.shape == (4, int(told["features"]))
    torch.testing.assert_close(F.normalize(ours, dim=1), wanted, atol=0.02, rtol=0)  # The run may be in bfloat16.
    assert told["input"] == "images (n, 3, 16, 16) float32 from 0 to 1"
    assert told["centers_are"].startswith("of embeddings, which a head makes")
    np.testing.assert_array_equal(np.array(json.loads(told["centers"]), dtype=np.float32), model.groups.centers)
    assert json.loads(told["clusters"]) == ["Group 0", "Group 1"]


def test_centers_of_the_features_themselves(blobs: tuple, tmp_path: Path) -> None:
    options = {"train.batch_size": 20, **small.options("simclr")}
    clusterer = Clusterer(3, method="simclr", epochs=1, options=options, device="cpu").fit(blobs[0])
    clusterer.export(safetensors=tmp_path / "backbone.safetensors")
    _, told = read(tmp_path / "backbone.safetensors")
    assert told["centers_are"] == "of the features, each of unit length"


def test_features_have_no_backbone(blobs: tuple, tmp_path: Path) -> None:
    clusterer = Clusterer(3, method="lnscc", epochs=2, options=small.options("lnscc"), device="cpu")
    clusterer.fit(small.as_features(blobs[0]))
    with pytest.raises(UsageError, match="has no backbone"):
        clusterer.export(safetensors=tmp_path / "backbone.safetensors", coco=tmp_path / "coco.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in small.LEARNING if method_type(name).inputs == "images"])
def test_embeddings_come_through_the_encoder_that_is_written(name: str) -> None:
    kind = method_type(name)
    method = build_method(
        name,
        kind.Config(**_tuples(small.options(name))),
        backbone="convnet-small",
        shape=(1, 8, 8),
        n_clusters=3,
        seed=0,
    )
    images = torch.rand((2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    method.eval()
    with torch.no_grad():
        before = method.embed(images)
        assert method.embedding_encoder is not None
        for weights in method.embedding_encoder.parameters():
            weights.mul_(0.5).add_(0.01)
        assert not torch.allclose(before, method.embed(images))


def _tuples(options: dict[str, object]) -> dict[str, object]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
