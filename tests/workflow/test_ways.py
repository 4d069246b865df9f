"""How a run's groups are found, from the command to the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import small
from coterie import Clusterer, CoterieError, load
from coterie.cli import main
from coterie.plan.recipes import recipe, recipe_names


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of two long groups by direction, and their labels."""
    draw = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = draw.normal(size=(400, 3)) * [5, 0.5, 0.5] + labels[:, None] * [0, 6, 0] + [0, -3, 30]
    path = tmp_path_factory.mktemp("ways") / "long.npz"
    np.savez(path, features=features.astype(np.float32), labels=labels)
    return path


@pytest.mark.parametrize("way", ["auto", "own", "mixture"])
def test_a_run_says_how_its_groups_were_found(
    way: str, lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["fit", str(lists), "-k", "2", "--method", "kmeans", "--set", "axes=0", "--set", f"groups={way}"]
    assert main([*command, "--device", "cpu", "--out", str(out)]) == 0
    told, summary = "".join(capsys.readouterr()), json.loads((out / "summary.json").read_text())
    grouped = summary["grouped"]
    assert ("grouped by a mixture" in told) == (grouped["by"] != "k-means")
    if way != "mixture":  # A method on features has whitened them as it wants them.
        assert grouped == {"by": "k-means", "silhouettes": {}}
        return
    found = grouped["silhouettes"]
    assert grouped["by"].startswith("a mixture with one covariance on")
    assert set(found) == {grouped["by"], "k-means"}
    assert summary["further"]["k-means"]["acc"] < 0.8
    with np.load(lists) as kept:
        again = load(out, device="cpu").predict(kept["features"])
    assert again.tolist() == np.genfromtxt(out / "assignments.csv", delimiter=",", skip_header=1, usecols=1).tolist()


def test_a_head_decides_unless_a_mixture_does(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    options = {"train.batch_size": 20, "warmup_epochs": 0, **small.options("cc")}
    for groups in ("own", "mixture", "auto"):
        fitted = Clusterer(3, method="cc", epochs=1, options={**options, "groups": groups}, device="cpu").fit(blobs[0])
        assert fitted.model_.groups.by_head == (groups == "own") or groups == "auto"
        assert fitted.predict(blobs[0]).tolist() == fitted.labels_.tolist()


def test_recipes_of_papers_leave_the_groups_as_their_methods_find_them() -> None:
    stated = {each.name: each.values.get("groups") for each in map(recipe, recipe_names()) if each.source}
    assert {*stated.values()} == {"own"}


def test_an_unknown_way_is_refused(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(lists), "-k", "2", "--method", "kmeans", "--set", "groups=mixtur"]) == 2
    assert "mixture" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["origin", "slopes", "intercepts"])
def test_a_rule_that_does_not_fit_is_damage(name: str, lists: Path, tmp_path: Path) -> None:
    with np.load(lists) as kept:
        Clusterer(2, method="kmeans", device="cpu").fit(kept["features"]).save(tmp_path)
    weights = tmp_path / "model" / "model.safetensors"
    tensors = load_file(weights)
    save_file(tensors | {f"rule.{name}": torch.zeros(7)}, weights)
    with pytest.raises(CoterieError, match="damaged"):
        load(tmp_path)
