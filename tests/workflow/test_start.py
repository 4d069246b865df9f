"""Runs that start from a pretrained backbone: as it is, fine-tuned, or for features; and what they leave behind."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import small
import tiny
from coterie import Clusterer, UsageError, load
from coterie.cli import main
from coterie.data.base import Outline
from coterie.data.feeding.augment import Normalisation
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.methods import build_method, method_type
from coterie.nn.backbones import build_backbone
from coterie.nn.pretrained import open_pretrained
from coterie.plan import Request
from coterie.train.config import TrainConfig
from coterie.train.optimizer import build_optimizer
from small import settled

pytest.importorskip("transformers")


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    return tiny.dinov2(tmp_path)


@pytest.fixture
def resnet(tmp_path: Path) -> Path:
    """A small ResNet's weights in a file, and a picture of what they make of an image."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(build_backbone("resnet18-small", 3, 32).state_dict(), tmp_path / "resnet.pth")
    return tmp_path / "resnet.pth"


def fit(source: Path, run: Path, *more: str) -> int:
    return main(["fit", str(source), "-k", "2", "--device", "cpu", "--quiet", "--out", str(run), *more])


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    capsys.readouterr()
    assert main(["fit", *command, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def clusters(table: str) -> list[list[str]]:
    return [row[:2] for row in csv.reader(table.splitlines())]


def test_features_as_they_are(
    dinov2: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["--method", "kmeans", "--backbone", f"hf:{dinov2}", "--labels-from-folders", "--precision", "float32"]
    command += ["--set", "axes=0"]
    assert fit(photo_folder, run, *command) == 0
    assert capsys.readouterr() == ("", "")
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["epochs"], summary["acc"]) == (0, 1.0)  # Reds and blues.
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["backbone"], config["data"]["side"], config["train"]["epochs"]) == (f"hf:{dinov2}", 28, 0)
    opened = open_pretrained(f"hf:{dinov2}")
    pixels = torch.from_numpy(ingest(open_source(photo_folder), 28)[0].images) / 255
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (tiny.MEAN, tiny.DEVIATION))
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(opened.backbone((pixels - mean) / deviation), dim=1)
    np.testing.assert_allclose(np.load(run / "embeddings.npy"), wanted.numpy(), atol=1e-5)
    assert main(["fit", str(photo_folder), "--recipe", str(run / "config.yaml"), "--out", str(tmp_path / "2")]) == 0
    assert (tmp_path / "2" / "assignments.csv").read_bytes() == (run / "assignments.csv").read_bytes()


def test_a_run_needs_neither_hub_nor_file_afterwards(
    dinov2: Path, resnet: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, name in enumerate((f"hf:{dinov2}", str(resnet))):
        run = tmp_path / f"run{place}"
        assert fit(photo_folder, run, "--method", "kmeans", "--backbone", name) == 0
    shutil.rmtree(dinov2)
    resnet.unlink()
    for run in (tmp_path / "run0", tmp_path / "run1"):
        saved = (run / "assignments.csv").read_text()
        capsys.readouterr()
        assert main(["assign", str(run), str(photo_folder), "--quiet"]) == 0
        assert clusters(capsys.readouterr().out) == clusters(saved)
        assert main(["report", str(run), "--quiet"]) == 0
        assert load(run).predict(photo_folder).tolist() == [int(row[1]) for row in clusters(saved)[1:]]
        assert main(["probe", str(run), str(photo_folder), "--labels-from-folders", "--quiet"]) == 0
        assert {path.name for path in (run / "model").iterdir()} == {"backbone", "model.json", "model.safetensors"}


@pytest.mark.parametrize("name", ["propos", "cc"])
def test_fine_tuning(name: str, dinov2: Path, photo_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = [part for key, value in small.options(name).items() for part in ("--set", f"{key}={value}")]
    command = ["--method", name, "--backbone", f"hf:{dinov2}", "--epochs", "2", "--set", "batch_size=12", *options]
    assert fit(photo_folder, run, *command, "--set", "warmup_epochs=1") == 0
    before = open_pretrained(f"hf:{dinov2}").backbone.state_dict()
    after = load_file(run / "model" / "model.safetensors")
    key = next(name for name, value in before.items() if value.ndim == 4)
    moved = (after[f"method.encoder.backbone.{key}"] - before[key]).abs().max()
    assert 0 < float(moved) < 0.05  # Learnt, but not anew.
    shutil.rmtree(dinov2)
    assert load(run).predict(photo_folder).shape == (24,)


def test_a_resumed_run_ends_in_the_same_bytes(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a backbone that has dropout and stochastic depth of its own."""
    command = [
        "--backbone",
        f"hf:{tiny.swin(tmp_path)}",
        "--epochs",
        "3",
        "--set",
        "hidden=16",
        "--set",
        "batch_size=8",
    ]
    assert fit(photo_folder, tmp_path / "whole", *command) == 0
    from coterie.workflow.steps.observer import Observer

    untouched = Observer.__call__

    def stop_after_two(self: Observer, epoch: object) -> None:
        self.checkpoint._last_cost = 0.0  # type: ignore[union-attr]
        untouched(self, epoch)  # type: ignore[arg-type]
        if epoch.number == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    monkeypatch.setattr(Observer, "__call__", stop_after_two)
    assert fit(photo_folder, tmp_path / "cut", *command) == 130
    monkeypatch.setattr(Observer, "__call__", untouched)
    assert fit(photo_folder, tmp_path / "cut", *command, "--resume") == 0
    for name in ("assignments.csv", "embeddings.npy"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_features_for_a_map(
    dinov2: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["--method", "lnscc", "--backbone", f"hf:{dinov2}", "--epochs", "4", "--labels-from-folders"]
    assert fit(photo_folder, run, *command, "--set", "neighbours=4", "--set", "steps_per_epoch=3") == 0
    with np.load(run / "features.npz", allow_pickle=False) as pack:
        assert pack["features"].shape == (24, 16)
    shutil.rmtree(dinov2)
    capsys.readouterr()
    assert main(["assign", str(run), str(photo_folder), "--quiet"]) == 0
    assert clusters(capsys.readouterr().out) == clusters((run / "assignments.csv").read_text())
    (run / "model" / "backbone" / "backbone.json").write_text("{}")
    assert main(["assign", str(run), str(photo_folder), "--quiet"]) == 1
    assert "is damaged" in capsys.readouterr().err


def test_from_python(dinov2: Path, photo_folder: Path, tmp_path: Path) -> None:
    clusterer = Clusterer(2, method="kmeans", backbone=f"hf:{dinov2}", device="cpu").fit(photo_folder)
    clusterer.save(tmp_path / "saved")
    shutil.rmtree(dinov2)
    again = load(tmp_path / "saved")
    assert np.array_equal(again.predict(photo_folder), clusterer.labels_)
    assert np.array_equal(again.transform(photo_folder), clusterer.embeddings_)


def test_grey_images_have_three_channels_for_a_backbone_that_wants_them(dinov2: Path, blobs: tuple) -> None:
    clusterer = Clusterer(3, method="kmeans", backbone=f"hf:{dinov2}", device="cpu").fit(blobs[0])
    assert clusterer.model_.input_shape == (3, 28, 28)
    assert clusterer.predict(blobs[0]).tolist() == clusterer.labels_.tolist()


def test_normalisation_by_name(resnet: Path, photo_folder: Path) -> None:
    found = {}
    for name in ("auto", "cifar10", "images"):
        options = {"data.normalisation": name}
        clusterer = Clusterer(2, method="kmeans", backbone=str(resnet), size=16, options=options, device="cpu")
        (found[name],) = clusterer.fit(photo_folder).model_.backbones
    assert found["auto"].mean == (0.485, 0.456, 0.406)
    assert found["cifar10"].deviation == (0.2023, 0.1994, 0.2010)
    assert found["images"].mean[1] < 0.2  # Reds and blues have little green.
    with pytest.raises(UsageError, match="unknown normalisation 'cifar': did you mean"):
        Clusterer(2, options={"data.normalisation": "cifar"}).fit(photo_folder)


def test_what_is_refused(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(photo_folder), "-k", "2", "--out", str(tmp_path / "run")]
    assert "by --backbone hf:NAME" in refused(capsys, *command, "--method", "kmeans")
    kmeans = [*command, "--method", "kmeans", "--backbone", "hf:a/b"]
    assert "kmeans learns nothing: leave --epochs out" in refused(capsys, *kmeans, "--epochs", "3")
    assert "--method kmeans groups the features" in refused(capsys, *command, "--epochs", "0")
    assert "a model of the hub is written hf:facebook/dino" in refused(capsys, *command, "--backbone", "facebook/dino")
    assert "there is no file of weights lost.pth" in refused(capsys, *command, "--backbone", "lost.pth")
    assert "did you mean 'resnet18'" in refused(capsys, *command, "--backbone", "resnet-18")
    assert "by --backbone hf:NAME" in refused(capsys, *command, "--method", "lnscc")
    assert not (tmp_path / "run").exists()


def test_defaults_for_fine_tuning() -> None:
    asked = Request(source="photos", clusters=5, device="cpu", backbone="hf:a/b")
    config = settled(asked, Outline(2000, 400, grey=False), own_side=224)
    assert (config.data.side, config.train.epochs, config.train.backbone_rate) == (224, 12, 0.1)
    digits = settled(asked, Outline(2000, 8, grey=True), own_side=224)
    assert (digits.data.side, digits.augment.flip) == (224, 0.0)
    plain = settled(Request(source="photos", clusters=5, device="cpu"), Outline(2000, 400, grey=False))
    assert (plain.train.epochs, plain.train.backbone_rate) == (250, 1.0)


def test_the_backbone_has_a_rate_of_its_own() -> None:
    method = build_method(
        "byol", method_type("byol").Config(hidden=16, projection=8), backbone="convnet-small", shape=(1, 8, 8),
        n_clusters=3, seed=0,
    )  # fmt: skip
    groups = build_optimizer(method, TrainConfig(backbone_rate=0.1)).param_groups
    rates = {id(weight): group["rate"] for group in groups for weight in group["params"]}
    assert {rates[id(weight)] for weight in method.encoder.parameters()} == {0.1}
    assert {rates[id(weight)] for weight in method.projector.parameters()} == {1.0}
    assert {rates[id(weight)] for weight in method.predictor.parameters()} == {10.0}
    assert len(rates) == sum(1 for weight in method.parameters() if weight.requires_grad)
    assert len(build_optimizer(method, TrainConfig()).param_groups) == 2


@pytest.mark.parametrize("backbone", ["convnet-small", "hf:"])
def test_a_run_to_start_from(backbone: str, dinov2: Path, photo_folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    backbone = f"hf:{dinov2}" if backbone == "hf:" else backbone
    learn = ["--epochs", "1", "--set", "hidden=16", "--set", "batch_size=12", "--backbone", backbone, "--size", "28"]
    assert fit(photo_folder, first, "--method", "propos", *learn) == 0
    assert fit(photo_folder, second, "--method", "kmeans", "--backbone", str(first)) == 0
    begun, then = (load(run).model_ for run in (first, second))
    (frozen,) = then.backbones
    assert begun.normalisation == Normalisation(frozen.mean, frozen.deviation)
    learnt, taken = begun.method.target_encoder.backbone.state_dict(), frozen.backbone.state_dict()
    assert learnt.keys() == taken.keys()
    assert all(torch.equal(taken[name], value) for name, value in learnt.items())
    shutil.rmtree(first)
    assert load(second).predict(photo_folder).shape == (24,)
    assert main(["report", str(second), "--quiet"]) == 0
    # A run that took a backbone frozen passes it on.
    third = tmp_path / "third"
    assert fit(photo_folder, third, "--method", "kmeans", "--backbone", str(second)) == 0
    assert np.array_equal(np.load(third / "embeddings.npy"), np.load(second / "embeddings.npy"))


def test_a_run_on_features_is_nothing_to_start_from(photo_folder: Path, blobs: tuple, tmp_path: Path) -> None:
    options = small.options("lnscc")
    Clusterer(2, method="lnscc", epochs=2, options=options).fit(small.as_features(blobs[0])).save(tmp_path / "map")
    with pytest.raises(UsageError, match="has no encoder of images"):
        Clusterer(2, method="kmeans", backbone=str(tmp_path / "map")).fit(photo_folder)
