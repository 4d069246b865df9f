"""Every recipe starts on its data set in miniature, and tells where it comes from."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import miniatures
import small
import tiny
from coterie.cli import main
from coterie.config import read
from coterie.data.sources.downloads.words import DOWNLOADS
from coterie.errors import UsageError
from coterie.evaluate.probe import ProbeConfig
from coterie.methods import method_type
from coterie.nn import backbones
from coterie.nn.resnet import ResNet
from coterie.plan import Request, plan
from coterie.plan.recipes import recipe, recipe_names
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.learn import learn
from coterie.workflow.steps.read import read as read_images

# Methods by the data sets on which a paper reports them.
REPORTED = {
    "cc": ("cifar10", "cifar20", "stl10", "imagenet10", "imagenet-dogs"),
    "moco": ("cifar10", "cifar20", "stl10", "imagenet-dogs"),
    "simsiam": ("cifar10", "cifar20", "stl10", "imagenet10", "imagenet-dogs"),
    "byol": ("cifar10", "cifar20", "stl10", "imagenet10", "imagenet-dogs"),
    "pcl": ("cifar10", "cifar20", "stl10", "imagenet10", "imagenet-dogs"),
    "propos": ("cifar10", "cifar20", "stl10", "imagenet10", "imagenet-dogs"),
    "hadis": ("cifar10", "cifar20", "stl10", "imagenet10", "imagenet-dogs"),
    "digpro": ("imagenet10", "imagenet-dogs", "tiny-imagenet", "uc-merced", "rsod", "siri-whu"),
    "cadecl": ("cifar10",),
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every data set in miniature by its word, features, and a tiny network."""
    root = tmp_path_factory.mktemp("shelf")
    for word in {recipe(name).data for name in recipe_names()} - {"", "cifar100"}:
        miniatures.WRITERS[word](root / word)
    np.savez(root / "features.npz", features=np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32))
    np.savez(root / "images.npz", images=miniatures.pixels(40, 8, 8))
    return root


@pytest.mark.parametrize("name", recipe_names())
def test_it_starts_on_its_miniature(name: str, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "ResNet", partial(ResNet, width=4))  # As deep as it is, but narrow.
    found = recipe(name)
    method = str(found.values["method"])
    on_features = method_type(method).inputs == "features"
    source = f"{found.data}:{shelf / found.data}" if found.data else str(shelf / "images.npz")
    backbone, side = None, 8
    if on_features and found.data:
        pytest.importorskip("transformers")
        backbone, side = f"hf:{tiny.dinov2(shelf)}", 28
    elif on_features:
        source, side = str(shelf / "features.npz"), 0
    settings = {"train.batch_size": 10, "train.warmup_epochs": 0, "data.side": side, **small.options(method)}
    request = Request(
        source, clusters=2, recipe=name, epochs=1, device="cpu", precision="float32", backbone=backbone,
        settings=tuple(f"{key}={value}" for key, value in settings.items() if value != 0 or "side" not in key),
    )  # fmt: skip
    planned = plan(request)
    material = read_images(planned, Attempt())
    learnt = learn(planned.config, material.rows, material.plan.backbones, Attempt())
    assert learnt.blueprint.method == method
    assert planned.origins["train.learning_rate"].startswith(f"recipe {name}")


def test_there_is_one_for_every_reported_figure() -> None:
    for method, data in REPORTED.items():
        for word in data:
            found = recipe(f"{word}-{method}")
            assert (found.values["method"], found.data) == (method, word)
            assert set(found.reported) == ({"nmi", "acc", "ari"} if method != "cadecl" else {"nmi"})
            assert found.source


@pytest.mark.parametrize("name", recipe_names())
def test_it_tells_where_it_comes_from(name: str) -> None:
    found = recipe(name)
    assert found.about
    assert found.data in ("", *DOWNLOADS)
    assert bool(found.data) == bool(found.images)
    assert bool(found.source) != (name.endswith("-fast") or name == "digits")
    assert all(0 < value < 100 for value in found.reported.values())
    read(ProbeConfig, found.linear)


def test_it_stands_on_others(tmp_path: Path) -> None:
    base = recipe("cifar20-propos")
    (tmp_path / "mine.yaml").write_text(
        "base: [cifar20-propos]\ntrain: {epochs: 7}\noptions: {scattering: 0.3}\ndeviations: [shorter]\n"
    )
    mine = recipe(str(tmp_path / "mine.yaml"))
    assert mine.values["train"] == {**base.values["train"], "epochs": 7}
    assert mine.values["options"] == {**base.values["options"], "scattering": 0.3}
    assert (mine.origins["train.epochs"], mine.origins["train.batch_size"]) == ("mine", "cifar20")
    assert (mine.data, mine.images, mine.linear) == (base.data, base.images, base.linear)
    assert mine.deviations == (*base.deviations, "shorter")
    # What a paper reports is not of what stands on it.
    assert (mine.source, mine.reported) == ("", {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("base: [cifar-propos]", "unknown recipe 'cifar-propos'"),
        ("base: cifar10-propos", "'base' wants a list"),
        ("reported: 5", "'reported' must hold options and values"),
        ("reported: {acc: high}", "'reported.acc' wants a number"),
        ("linear: [sgd]", "'linear' must hold options and values"),
        ("images: many", "'images' wants int"),
    ],
)
def test_a_head_that_makes_no_sense_is_explained(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=reason):
        recipe(str(tmp_path / "mine.yaml"))


def test_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", "cifar20-hadis"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "HaDis, arXiv 2401.14038", "cifar20:PATH, 60000 images", "NMI 56.8  ACC 56.3  ARI 41.1", "deviation",
        "coterie fit cifar20:PATH --recipe cifar20-hadis",
    ):  # fmt: skip
        assert words in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["train.batch_size", "256", "cifar20"] in rows
    assert ["train.epochs", "1000", "family"] in rows
    assert ["options.scattering", "0.05", "cifar20-hadis"] in rows
    assert ["options.hidden", "4096", "method", "hadis"] in rows
    for command in (["recipes", "show", "cifar20-hadis", "--json"], ["recipes", "--json", "show", "cifar20-hadis"]):
        assert main(command) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["reported"] == {"nmi": 56.8, "acc": 56.3, "ari": 41.1}
        assert found["settings"]["train.epochs"] == {"value": 1000, "from": "family"}
    assert main(["recipes", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == recipe_names()
    assert main(["recipes", "show", "cifar20-hadi"]) == 2
    assert "did you mean 'cifar20-hadis'" in capsys.readouterr().err
