"""Every method's graph, run by onnxruntime, against the model itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small
from coterie import Clusterer, CoterieError, UsageError, load
from coterie.methods import method_type

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def fitted(name: str, images: np.ndarray, **options: Any) -> tuple[Clusterer, np.ndarray]:
    """A clusterer and what it learnt from, as the exported network takes it."""
    settings = {"train.batch_size": 20, "warmup_epochs": 0, **small.options(name)}
    data = images if method_type(name).inputs == "images" or options else small.as_features(images)
    made = Clusterer(3, method=name, epochs=2, options=settings, device="cpu", precision="float32", **options)
    return made.fit(data), data if data.ndim == 2 else data[:, None]


def outputs(path: Path, inputs: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: inputs}), strict=True))


def agree(clusterer: Clusterer, found: dict[str, np.ndarray]) -> None:
    scale = max(1.0, float(np.abs(clusterer.embeddings_).max()))
    np.testing.assert_allclose(found["embedding"], clusterer.embeddings_, atol=1e-4 * scale)
    np.testing.assert_allclose(found["confidence"], clusterer.confidence_, atol=1e-4)
    assert np.array_equal(found["cluster"], clusterer.labels_)
    assert np.array_equal(found["outlier"], clusterer.outliers_)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(found["probabilities"].argmax(axis=1), found["cluster"])


@pytest.mark.parametrize("name", small.LEARNING)
def test_onnxruntime_agrees(name: str, blobs: tuple, tmp_path: Path) -> None:
    clusterer, inputs = fitted(name, blobs[0])
    clusterer.export(onnx=tmp_path / "model.onnx")
    agree(clusterer, outputs(tmp_path / "model.onnx", inputs))
    assert outputs(tmp_path / "model.onnx", inputs[:1])["embedding"].shape == clusterer.embeddings_[:1].shape


@pytest.mark.parametrize("name", ["simclr", "cc"])
def test_groups_of_a_mixture_go_along(name: str, blobs: tuple, tmp_path: Path) -> None:
    settings = {"train.batch_size": 20, "warmup_epochs": 0, "groups": "mixture", **small.options(name)}
    clusterer = Clusterer(3, method=name, epochs=2, options=settings, device="cpu", precision="float32").fit(blobs[0])
    groups = clusterer.model_.groups
    assert not groups.by_head
    assert groups.rule.axes is not None
    clusterer.export(onnx=tmp_path / "model.onnx")
    agree(clusterer, outputs(tmp_path / "model.onnx", blobs[0][:, None]))
    clusterer.save(tmp_path / "saved")
    again = load(tmp_path / "saved", device="cpu")
    assert np.array_equal(again.predict(blobs[0]), clusterer.labels_)


def test_pixels_as_floats(blobs: tuple, tmp_path: Path) -> None:
    clusterer, images = fitted("simclr", blobs[0])
    clusterer.export(onnx=tmp_path / "model.onnx", pixels="float32")
    agree(clusterer, outputs(tmp_path / "model.onnx", images.astype(np.float32) / 255))


def test_features_that_another_run_makes(blobs: tuple, tmp_path: Path) -> None:
    first, images = fitted("simclr", blobs[0])
    first.save(tmp_path / "first")
    second, _ = fitted("lnscc", blobs[0], backbone=str(tmp_path / "first"))
    for pixels, inputs in (("uint8", images), ("float32", images.astype(np.float32) / 255)):
        second.export(onnx=tmp_path / "model.onnx", pixels=pixels, force=True)
        agree(second, outputs(tmp_path / "model.onnx", inputs))


def test_features_of_a_pretrained_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dinov2")
    settings = {"crop_size": {"height": 28, "width": 28}, "image_processor_type": "BitImageProcessor"}
    (tmp_path / "dinov2" / "preprocessor_config.json").write_text(json.dumps(settings))
    images = np.random.default_rng(0).integers(0, 255, (30, 28, 28, 3), dtype=np.uint8)
    clusterer, _ = fitted("lnscc", images, backbone=f"hf:{tmp_path / 'dinov2'}")
    clusterer.export(onnx=tmp_path / "model.onnx")
    agree(clusterer, outputs(tmp_path / "model.onnx", images.transpose(0, 3, 1, 2)))


def test_bfloat16_does_not_leak_and_the_metadata_tell_the_conventions(
    blobs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coterie.train import runtime

    options = {"train.batch_size": 20, **small.options("simclr")}
    clusterer = Clusterer(3, method="simclr", epochs=2, options=options, device="cpu", precision="bfloat16")
    clusterer.fit(blobs[0])
    monkeypatch.setattr(runtime, "_profits_from_bfloat16", lambda _: True)
    clusterer.export(onnx=tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(graph, full_check=True)
    assert onnx.TensorProto.BFLOAT16 not in {tensor.data_type for tensor in graph.graph.initializer}
    assert not any(
        attribute.i == onnx.TensorProto.BFLOAT16
        for node in graph.graph.node
        if node.op_type == "Cast"
        for attribute in node.attribute
    )
    told = {entry.key: entry.value for entry in graph.metadata_props}
    assert told["input"] == "images (n, 1, 8, 8) uint8 from 0 to 255"
    assert "resized to 8×8" in told["preparation"]
    assert json.loads(told["clusters"]) == ["Group 0", "Group 1", "Group 2"]
    assert clusterer.model_.precision == "bfloat16"  # What is fitted stays as it is.


def test_the_conventions_are_those_of_assign(run: Path, photos: Path, tmp_path: Path) -> None:
    """A picture prepared by the words of the metadata comes out as `coterie assign` has it."""
    from PIL import Image

    from coterie import load
    from coterie.workflow.export import export

    export(run, {"onnx": tmp_path / "model.onnx"})
    square = []
    for path in sorted(photos.rglob("*.png")):
        with Image.open(path) as image:
            square.append(image.convert("RGB").crop((2, 0, 22, 20)).resize((16, 16), Image.Resampling.BICUBIC))
    images = np.stack([np.asarray(image).transpose(2, 0, 1) for image in square])
    clusterer = load(run, device="cpu")
    found = outputs(tmp_path / "model.onnx", images)
    assert np.array_equal(found["cluster"], clusterer.predict(photos))
    # Two filters that round may differ by one step in 255, and the run may have been made in bfloat16.
    np.testing.assert_allclose(found["embedding"], clusterer.transform(photos), atol=0.05)


def test_without_the_packages(blobs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clusterer, images = fitted("simclr", blobs[0])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    clusterer.export(onnx=tmp_path / "unchecked.onnx")
    monkeypatch.undo()
    agree(clusterer, outputs(tmp_path / "unchecked.onnx", images))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'coterie\[onnx\]'"):
        clusterer.export(onnx=tmp_path / "model.onnx", safetensors=tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


def test_a_wrong_graph_is_not_written(blobs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coterie.export import onnx as module

    clusterer, _ = fitted("simclr", blobs[0])
    untouched = module._traced

    def tampered(network: Any, subject: Any) -> Any:
        graph = untouched(network, subject)
        weights = next(tensor for tensor in graph.graph.initializer if len(tensor.dims) == 4)
        weights.raw_data = torch.zeros(tuple(weights.dims)).numpy().tobytes()
        return graph

    monkeypatch.setattr(module, "_traced", tampered)
    with pytest.raises(CoterieError, match="differ by"):
        clusterer.export(onnx=tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_pretrained_backbone_as_it_is(blobs: tuple, tmp_path: Path) -> None:
    """Its graph is that of a run's encoder, which learns no more."""
    learnt, inputs = fitted("simclr", blobs[0])
    learnt.save(tmp_path / "run")
    frozen = Clusterer(3, method="kmeans", backbone=str(tmp_path / "run"), device="cpu", precision="float32")
    frozen.fit(blobs[0]).export(onnx=tmp_path / "model.onnx")
    agree(frozen, outputs(tmp_path / "model.onnx", inputs))
