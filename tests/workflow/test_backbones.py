"""Several backbones at once: what each sees is kept by itself, and a run stands on its own with all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import small
import tiny
from coterie import Clusterer, UsageError, load
from coterie.cli import main
from coterie.nn.pretrained import is_pretrained, open_backbones, open_pretrained, parts_of
from coterie.nn.pretrained.known import KNOWN
from coterie.nn.pretrained.packages import find
from coterie.workflow.steps import look

pytest.importorskip("transformers")

REAL = ("efficientnet-lite2", "mobilenetv2")


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Two tiny models for images of 28 and of 32 pixels."""
    return f"hf:{tiny.dinov2(tmp_path / 'models')}", f"hf:{tiny.vit(tmp_path / 'models')}"


def fit(source: Path, run: Path, *more: str, method: str = "kmeans") -> int:
    settings = [part for key, value in small.options(method).items() for part in ("--set", f"{key}={value}")]
    command = ["fit", str(source), "-k", "2", "--method", method, "--device", "cpu", "--quiet", "--out", str(run)]
    return main([*command, *settings, *more])


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def features(run: Path) -> np.ndarray:
    with np.load(run / "features.npz", allow_pickle=False) as pack:
        return pack["features"]


def never(*_: object) -> None:
    raise AssertionError


def test_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a+b").mkdir()
    (tmp_path / "c+d.pth").write_bytes(b"")
    assert parts_of("mobilenetv2") == ("mobilenetv2",)
    assert parts_of("efficientnet-lite2+mobilenetv2") == ("efficientnet-lite2", "mobilenetv2")
    assert parts_of("a+b") == ("a+b",)
    assert parts_of("mobilenetv2+hf:a+b+c+d.pth+hf:x/y") == ("mobilenetv2", "hf:a+b", "c+d.pth", "hf:x/y")
    assert parts_of("timm:x+") == ("timm:x", "")
    assert is_pretrained("mobilenetv2+hf:x/y")
    assert not any(is_pretrained(name) for name in ("mobilenetv2+", "+", "", "mobilenetv2+resnet18"))


def test_what_each_has_seen_is_not_looked_at_again(
    two: tuple[str, str], photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COTERIE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(look, "_WORTH_SECONDS", 0.0)
    for name, backbone in zip("ab", two, strict=True):
        assert fit(photo_folder, tmp_path / name, "--backbone", backbone) == 0
    made = look._made
    monkeypatch.setattr(look, "_made", never)
    assert fit(photo_folder, tmp_path / "both", "--backbone", "+".join(two)) == 0
    alone = [features(tmp_path / name) for name in "ab"]
    assert np.array_equal(features(tmp_path / "both"), np.concatenate(alone, axis=1))
    # Resumed, it takes them from its own folder.
    monkeypatch.setenv("COTERIE_CACHE", "")
    (tmp_path / "both" / "summary.json").unlink()
    assert fit(photo_folder, tmp_path / "both", "--backbone", "+".join(two), "--resume") == 0
    # And the other way round.
    monkeypatch.setattr(look, "_made", made)
    monkeypatch.setenv("COTERIE_CACHE", str(tmp_path / "cache2"))
    assert fit(photo_folder, tmp_path / "again", "--backbone", "+".join(two)) == 0
    monkeypatch.setattr(look, "_made", never)
    assert fit(photo_folder, tmp_path / "b again", "--backbone", two[1]) == 0


@pytest.mark.parametrize("method", ["kmeans", "lnscc", "turtle"])
def test_a_run_stands_on_its_own(
    method: str, two: tuple[str, str], photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, more = tmp_path / "run", [] if method == "kmeans" else ["--epochs", "2"]
    assert fit(photo_folder, run, "--backbone", "+".join(two), "--labels-from-folders", *more, method=method) == 0
    described = json.loads((run / "model" / "model.json").read_text())
    assert (described["shape"], described["spaces"], described["backbone"]) == ([32], [16, 16], "hf:dinov2+hf:vit")
    shutil.rmtree(tmp_path / "models")
    capsys.readouterr()
    for source in (photo_folder, run / "features.npz"):
        assert main(["assign", str(run), str(source), "--quiet"]) == 0
        rows = [row.split(",")[1] for row in capsys.readouterr().out.splitlines()]
        assert rows == [row.split(",")[1] for row in (run / "assignments.csv").read_text().splitlines()]
    assert main(["report", str(run), "--quiet"]) == 0
    assert main(["probe", str(run), str(photo_folder), "--labels-from-folders", "--quiet", "--epochs", "1"]) == 0
    assert fit(run / "features.npz", tmp_path / "of features", *more, method=method) == 0
    again = json.loads((tmp_path / "of features" / "model" / "model.json").read_text())
    assert again["spaces"] == [16, 16]
    # It passes on what it looked by.
    assert [each.side for each in open_backbones(f"{run}+{run}")] == [28, 32, 28, 32]
    with pytest.raises(UsageError, match="has 2 backbones"):
        open_pretrained(str(run))


def test_stability_asks_for_each_size_again(two: tuple[str, str], photo_folder: Path, tmp_path: Path) -> None:
    assert fit(photo_folder, tmp_path / "run", "--backbone", "+".join(two)) == 0
    assert main(["stability", str(tmp_path / "run"), "--seeds", "1", "--quiet"]) == 0
    other = tmp_path / "run" / "stability" / "seed-1"
    assert np.array_equal(features(other), features(tmp_path / "run"))


def test_one_size_for_all(two: tuple[str, str], photo_folder: Path) -> None:
    def sides(**options: object) -> list[int]:
        clusterer = Clusterer(2, method="kmeans", device="cpu", **options)  # type: ignore[arg-type]
        labels = clusterer.fit(photo_folder).labels_
        assert np.array_equal(clusterer.predict(photo_folder), labels)
        return [each.side for each in clusterer.model_.backbones]

    assert sides(backbone="+".join(two)) == [28, 32]
    assert sides(backbone="+".join(two), size=56) == [56, 56]
    assert sides(backbone=f"{two[0]}+{two[0]}") == [28, 28]


def test_a_part_that_takes_any_size_takes_the_others(two: tuple[str, str], photo_folder: Path, tmp_path: Path) -> None:
    from coterie.nn.backbones import build_backbone

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(build_backbone("resnet18-small", 1, 32).state_dict(), tmp_path / "grey.pth")
    clusterer = Clusterer(2, method="kmeans", device="cpu", backbone=f"{tmp_path / 'grey.pth'}+{two[1]}")
    clusterer.fit(photo_folder)
    assert [(each.channels, each.side) for each in clusterer.model_.backbones] == [(1, 32), (3, 32)]
    assert np.array_equal(clusterer.predict(photo_folder), clusterer.labels_)


def test_what_a_plan_says(two: tuple[str, str], photo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plan", str(photo_folder), "-k", "2", "--method", "turtle", "--device", "cpu", "--backbone"]
    assert main([*command, "+".join(two)]) == 0
    said = capsys.readouterr().out
    assert "as 32×32 and 28×28 pixels" in said
    assert "backbone hf:dinov2+hf:vit" in said
    assert main([*command, "+".join(two), "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)["estimate"]
    assert estimate["seconds"] >= 0
    assert estimate["memory"] > 0


def test_what_is_refused(
    two: tuple[str, str], photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    says = {
        ("--method", "propos", "--backbone", "+".join(two)): "trains its backbone, and --backbone",
        ("--backbone", f"{two[0]}+"): "unknown backbone ''",
        ("--backbone", f"{two[0]}+convnet-small"): "convnet-small has learnt nothing yet, and goes with no other",
        ("--backbone", f"{two[0]}+mobilnetv2"): "did you mean 'mobilenetv2'",
        ("--backbone", f"{two[0]}+none"): "unknown backbone 'none'",
        ("--backbone", f"{two[0]}+some/where"): "there is no file or run some/where",
        ("--backbone", "+".join(two), "--set", "data.spaces=[16,16]"): "goes with a source of features",
    }
    for asked, words in says.items():
        assert fit(photo_folder, tmp_path / "run", *asked) == 2
        assert words in refused(capsys)
        assert not (tmp_path / "run").exists()
    assert fit(photo_folder, tmp_path / "run", "--backbone", "+".join(two)) == 0
    assert fit(photo_folder, tmp_path / "x", "--backbone", str(tmp_path / "run"), method="byol") == 2
    assert "names 2: name one" in refused(capsys)
    shutil.rmtree(tmp_path / "run" / "model" / "backbone-2")
    assert main(["assign", str(tmp_path / "run"), str(photo_folder), "--quiet"]) == 1
    assert "is damaged (its backbones make other features)" in refused(capsys)


def test_spaces_of_a_matrix(tmp_path: Path, blobs: tuple, capsys: pytest.CaptureFixture[str]) -> None:
    values = small.as_features(blobs[0])
    values[:, 40:] *= 1000
    np.savez(tmp_path / "told.npz", features=values, spaces=[40, 24])
    np.savez(tmp_path / "plain.npz", features=values)
    said = ["--set", "spaces=[40, 24]"]
    found = []
    for name, more in (("told", []), ("plain", said)):
        assert fit(tmp_path / f"{name}.npz", tmp_path / name, "--epochs", "2", *more, method="turtle") == 0
        found.append(np.load(tmp_path / name / "embeddings.npy"))
        assert load(tmp_path / name).model_.blueprint.spaces == (40, 24)
        assert np.array_equal(load(tmp_path / name).predict(values), load(tmp_path / name).labels_)
    assert np.array_equal(*found)
    np.testing.assert_allclose(np.linalg.norm(found[0][:, 40:], axis=1), 0.5**0.5, rtol=1e-5)
    mine = Clusterer(2, method="kmeans", options={"data.spaces": [40, 24], "axes": 0}, device="cpu").fit(values)
    np.testing.assert_allclose(np.linalg.norm(mine.embeddings_[:, 40:], axis=1), 0.5**0.5, rtol=1e-5)
    for wrong in ([40, 25], [64, 0], [-1, 65]):
        assert fit(tmp_path / "plain.npz", tmp_path / "run", "--set", f"spaces={wrong}") == 2
        assert "do not make up 64 features" in refused(capsys)
        np.savez(tmp_path / "wrong.npz", features=values, spaces=wrong)
        assert fit(tmp_path / "wrong.npz", tmp_path / "run") == 2
        assert "do not make up 64 features" in refused(capsys)
    for wrong in (["40", "24"], [40.0, 24.0], [np.nan]):
        np.savez(tmp_path / "wrong.npz", features=values, spaces=wrong)
        assert fit(tmp_path / "wrong.npz", tmp_path / "run") == 2
        assert "spaces must be whole numbers" in refused(capsys)


def test_exports(two: tuple[str, str], photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, hub = tmp_path / "run", tmp_path / "hub"
    assert fit(photo_folder, run, "--backbone", "+".join(two)) == 0
    for option in ("--safetensors", "--onnx"):
        if option == "--onnx":
            pytest.importorskip("onnx")
        assert main(["export", str(run), option, str(tmp_path / "out"), "--quiet"]) == 2
        assert option in refused(capsys)
        assert not (tmp_path / "out").exists()
    assert main(["export", str(run), "--hub", str(hub), "--quiet"]) == 0
    card = (hub / "README.md").read_text()
    assert "The features come from hf:dinov2 and hf:vit" in card
    assert "resized to 28×28 and 32×32 by" in card
    labels = load(run).labels_
    shutil.rmtree(run)
    assert np.array_equal(load(hub).predict(photo_folder), labels)


def test_one_graph_of_two_networks(two: tuple[str, str], photo_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    run = tmp_path / "run"
    assert fit(photo_folder, run, "--backbone", f"{two[0]}+{two[0]}") == 0
    assert main(["export", str(run), "--onnx", str(tmp_path / "model.onnx"), "--quiet"]) == 0
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [3, 28, 28]


@pytest.mark.skipif(any(find(KNOWN[name]) is None for name in REAL), reason="their packages are not installed")
def test_the_real_networks(photo_folder: Path) -> None:
    clusterer = Clusterer(2, method="turtle", backbone="+".join(REAL), epochs=2, device="cpu").fit(photo_folder)
    assert clusterer.model_.blueprint.spaces == (1280, 1280)
    assert [each.side for each in clusterer.model_.backbones] == [260, 224]
    kinds = [key.split("/")[0] for key in clusterer.keys_]
    grouped = Clusterer(2, method="kmeans", backbone="+".join(REAL), device="cpu").fit(photo_folder)
    assert len(set(zip(kinds, grouped.labels_.tolist(), strict=True))) == 2
