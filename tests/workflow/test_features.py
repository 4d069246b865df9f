"""Methods on features, from a matrix and from another run's embeddings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import small
from coterie import Clusterer, load
from coterie.cli import main
from coterie.workflow.steps import look

QUICK = ["--epochs", "5", "--set", "neighbours=5", "--set", "steps_per_epoch=4", "--set", "hidden=[16,8]", "--quiet"]


@pytest.fixture
def matrix(tmp_path: Path, blobs: tuple) -> Path:
    path = tmp_path / "features.npz"
    np.savez(path, features=small.as_features(blobs[0]), labels=blobs[1])
    return path


@pytest.fixture
def image_run(tmp_path: Path, blobs: tuple) -> tuple[Path, Path]:
    """A pack of images and a run on it."""
    pack, run = tmp_path / "images.npz", tmp_path / "simclr"
    np.savez(pack, images=blobs[0], labels=blobs[1])
    command = ["fit", str(pack), "-k", "3", "--method", "simclr", "--epochs", "2", "--set", "hidden=16", "--quiet"]
    assert main([*command, "--set", "batch_size=20", "--out", str(run)]) == 0
    return pack, run


def lnscc(source: Path, run: Path, *more: str) -> int:
    return main(["fit", str(source), "-k", "3", "--method", "lnscc", *QUICK, "--out", str(run), *more])


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    capsys.readouterr()
    assert main(arguments) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_matrix_to_groups_and_an_animation(matrix: Path, tmp_path: Path) -> None:
    assert lnscc(matrix, tmp_path / "run") == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["held_out"] == 6
    assert summary["baseline"]["method"] == "k-means on features"
    assert set(summary["further"]) == {"k-means on embeddings", "held-out"}
    assert np.load(tmp_path / "run" / "embeddings.npy").shape == (60, 2)
    with Image.open(tmp_path / "run" / "map.gif") as animation:
        assert animation.n_frames == 5
    page = (tmp_path / "run" / "report.html").read_text()
    assert "data:image/gif;base64" in page
    # Pictures in base64 spell any three letters now and then.
    assert "PCA" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)
    assert not (tmp_path / "run" / "frames.npz").exists()


def test_a_resumed_run_has_the_same_groups_and_all_frames(
    matrix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lnscc(matrix, tmp_path / "whole") == 0
    from coterie.workflow.steps.observer import Observer

    untouched = Observer.__call__

    def stop_after_three(self: Observer, epoch: object) -> None:
        untouched(self, epoch)  # type: ignore[arg-type]
        self.checkpoint._last_cost = 0.0  # type: ignore[union-attr]
        if epoch.number == 2:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    monkeypatch.setattr(Observer, "__call__", stop_after_three)
    assert lnscc(matrix, tmp_path / "cut") == 130
    monkeypatch.setattr(Observer, "__call__", untouched)
    assert lnscc(matrix, tmp_path / "cut", "--resume") == 0
    for name in ("assignments.csv", "embeddings.npy", "map.gif"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_the_embeddings_of_a_run(image_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pack, simclr = image_run
    run = tmp_path / "run"
    assert lnscc(pack, run, "--backbone", str(simclr)) == 0
    with np.load(run / "features.npz", allow_pickle=False) as features:
        values = torch.from_numpy(features["features"])
        # What SimCLR embeds by is its encoder.
        embeddings = torch.from_numpy(np.load(simclr / "embeddings.npy"))
        # Up to the digits of bfloat16, where this processor calculates in it.
        assert float(torch.nn.functional.cosine_similarity(values, embeddings).min()) > 0.999
    # The run stands on its own: what it was made from may go.
    for path in sorted(simclr.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    capsys.readouterr()
    for source in (pack, run / "features.npz"):
        assert main(["assign", str(run), str(source), "--quiet"]) == 0
        clusters = [row.split(",")[1] for row in capsys.readouterr().out.splitlines()]
        saved = [row.split(",")[1] for row in (run / "assignments.csv").read_text().splitlines()]
        assert clusters == saved
    assert load(run).predict(np.load(pack)["images"]).shape == (60,)


def test_features_are_made_once(image_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack, simclr = image_run
    run = tmp_path / "run"
    assert lnscc(pack, run, "--backbone", str(simclr)) == 0
    (run / "summary.json").unlink()

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(look, "_made", never)
    assert lnscc(pack, run, "--backbone", str(simclr), "--resume") == 0


def test_wanted_proportions(matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fit", str(matrix), "--method", "lnscc", *QUICK, "--out", str(tmp_path / "run")]
    assert "3 shares for 2 clusters" in refused([*command, "-k", "2", "--proportions", "1,2,3"], capsys)
    assert "above 0" in refused([*command, "--proportions", "1,0,3"], capsys)
    assert "takes no wanted proportions" in refused(
        ["fit", "digits", "-k", "3", "--proportions", "1,2,3", "--out", str(tmp_path / "run")], capsys
    )
    assert main([*command, "--proportions", "1,2,3"]) == 0
    assert len(json.loads((tmp_path / "run" / "summary.json").read_text())["cluster_sizes"]) == 3


def test_the_wrong_kind_of_data(matrix: Path, image_run: tuple[Path, Path], tmp_path: Path, capsys: object) -> None:
    pack, simclr = image_run
    out = ["--out", str(tmp_path / "run")]
    says = {
        "use --method lnscc": ["fit", str(matrix), "-k", "3", *out],
        "say what makes them by --backbone": ["fit", str(pack), "-k", "3", "--method", "lnscc", *out],
        "holds features already": ["fit", str(matrix), "-k", "3", "--method", "lnscc", "--backbone", str(simclr), *out],
        "there is no file or run": [
            "fit", str(pack), "-k", "3", "--method", "lnscc", "--backbone", str(tmp_path / "none"), *out,
        ],
        "has learnt nothing yet": [
            "fit", str(pack), "-k", "3", "--method", "lnscc", "--backbone", "convnet-small", *out,
        ],
    }  # fmt: skip
    for words, command in says.items():
        assert words in refused(command, capsys)  # type: ignore[arg-type]
        assert not (tmp_path / "run").exists()
    assert lnscc(matrix, tmp_path / "run") == 0
    np.savez(tmp_path / "narrow.npz", features=np.zeros((5, 3), np.float32))
    assert "columns, not 3" in refused(["assign", str(tmp_path / "run"), str(tmp_path / "narrow.npz")], capsys)  # type: ignore[arg-type]


def test_features_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for values, words in (
        (np.zeros((5, 2), np.int64), "must be floats"),
        (np.full((5, 2), np.nan, np.float32), "not finite"),
        (np.zeros((0, 2), np.float32), "no features"),
    ):
        np.savez(tmp_path / "bad.npz", features=values)
        command = ["fit", str(tmp_path / "bad.npz"), "-k", "2", "--method", "lnscc", "--out", str(tmp_path / "run")]
        assert words in refused(command, capsys)


def test_from_python(blobs: tuple, image_run: tuple[Path, Path]) -> None:
    options = {"neighbours": 5, "steps_per_epoch": 4, "hidden": [16, 8]}
    mapped = Clusterer(3, method="lnscc", epochs=3, options=options).fit(small.as_features(blobs[0]))
    assert mapped.transform(small.as_features(blobs[0])).shape == (60, 2)
    chained = Clusterer(3, method="lnscc", epochs=3, options=options, backbone=str(image_run[1])).fit(blobs[0])
    assert np.array_equal(chained.predict(blobs[0]), chained.labels_)
