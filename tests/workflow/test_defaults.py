from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from coterie.data.base import Outline
from coterie.errors import UsageError
from coterie.plan import Request, plan
from coterie.plan.defaults import (
    default_augmentation,
    default_batch_size,
    default_epochs,
    default_method,
    default_side,
)
from coterie.plan.recipes import recipe, recipe_names
from coterie.plan.words import flattened, nested, parse_settings
from coterie.runs.config import RunConfig
from coterie.train.runtime import Runtime
from small import settled


def request(**options: object) -> Request:
    return Request(source="photos", clusters=5, device="cpu", **options)  # type: ignore[arg-type]


def test_defaults_follow_the_data() -> None:
    assert [default_side(native, gpu=False) for native in (4, 28, 64, 400)] == [8, 28, 64, 64]
    assert default_side(400, gpu=True) == 96
    assert [default_epochs(count, gpu=False) for count in (100, 5000, 60_000)] == [400, 100, 15]
    assert [default_batch_size(count, gpu=False) for count in (20, 100, 1000, 60_000)] == [32, 32, 128, 128]
    digits = default_augmentation(8, Outline(100, 8, grey=True))
    photos = default_augmentation(64, Outline(100, 64, grey=False))
    assert digits["flip"] == 0.0
    assert digits["crop"] == [0.6, 1.0]
    assert photos == {}


def test_the_method_follows_the_data_unless_somebody_names_one() -> None:
    weighted = {"method": "cc", "options.cluster_weight": 0.5}
    assert default_method(Outline(1000, 28, grey=True), long=False) == (weighted, "a thousand grey images or more")
    assert default_method(Outline(999, 28, grey=True), long=False) == ({"method": "simclr"}, "few grey images")
    assert default_method(Outline(5000, 28, grey=False), long=False) == ({"method": "simclr"}, "images in colour")
    assert default_method(Outline(5000, 28, grey=True), long=True)[0] == {"method": "propos"}

    def planned(**said: Any) -> tuple[str, float | None]:
        config = plan(Request("digits", 10, device="cpu", epochs=1, **said)).config
        return config.method, getattr(config.options, "cluster_weight", None)

    assert planned() == planned(method="auto") == ("cc", 0.5)
    assert planned(settings=("cluster_weight=0.2",)) == ("cc", 0.2)
    assert planned(method="cc") == planned(settings=("method=cc",)) == ("cc", 1.0)
    with pytest.raises(UsageError, match="unknown option 'cluster_weight'"):
        planned(method="simclr", settings=("cluster_weight=0.2",))
    assert planned(method="simclr") == ("simclr", None)
    assert planned(recipe="digits") == ("cc", 0.3)


def test_on_a_gpu_runs_are_short_unless_they_are_asked_to_be_as_long_as_the_papers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Runtime(torch.device("cuda"), "bfloat16")
    for module in ("told", "layers"):
        monkeypatch.setattr(f"coterie.plan.{module}.choose_runtime", lambda *_: gpu)
    many, few = Outline(60_000, 32, grey=False), Outline(2000, 32, grey=False)

    def found(outline: Outline = many, **said: Any) -> RunConfig:
        return settled(Request("photos", 10, **said), outline)

    short = found()
    assert (short.method, short.options.temperature, short.options.hidden) == ("simclr", 0.2, 1024)
    assert (short.train.learning_rate, short.train.epochs, short.train.batch_size) == (1e-3, 166, 256)
    assert short.backbone == "resnet18-small"
    assert found(Outline(60_000, 28, grey=True)).method == "cc"
    for said in ({"epochs": 1000}, {"settings": ("epochs=1000",)}, {"minutes": 90}):
        long = found(**said)
        assert (long.method, long.options.hidden, long.options.momentum) == ("propos", 4096, 0.996)
        assert long.train.learning_rate == 0.05
    assert found(few, epochs=1000).method == "simclr"
    assert found(few, epochs=1000, method="propos").options.momentum == 0.99
    assert found(minutes=10, method="propos").train.learning_rate == 0.3
    assert found(epochs=1000, method="byol").options.momentum == 0.996
    with pytest.raises(UsageError, match="unknown option 'temprature'"):
        found(epochs=1000, settings=("temprature=1",))


def test_later_wins() -> None:
    outline = Outline(2000, 32, grey=False)
    assert settled(request(), outline).train.epochs == 250
    config = settled(request(recipe="digits", settings=("train.epochs=7",)), outline)
    assert (config.train.epochs, config.augment.rotation) == (7, 18.0)
    assert settled(request(recipe="digits", settings=("epochs=7",), epochs=9), outline).train.epochs == 9
    assert settled(request(size=48, seed=3), outline).data.side == 48


def test_the_warm_up_shortens_with_the_epochs() -> None:
    outline = Outline(2000, 32, grey=False)
    assert settled(request(recipe="cifar10-propos", epochs=100), outline).train.warmup_epochs == 5
    assert settled(request(epochs=20), outline).train.warmup_epochs == 2
    chosen = settled(request(settings=("epochs=20", "warmup_epochs=15")), outline)
    assert chosen.train.warmup_epochs == 15
    with pytest.raises(UsageError, match="warmup_epochs"):
        settled(request(settings=("epochs=20", "warmup_epochs=-1")), outline)


def test_the_batch_is_no_larger_than_the_data() -> None:
    assert settled(request(), Outline(20, 32, grey=False)).train.batch_size == 20


def test_every_recipe_is_valid_and_described() -> None:
    for name in recipe_names():
        found = recipe(name)
        assert found.about
        config = settled(request(recipe=name), Outline(60_000, 32, grey=False))
        assert config.method == found.values["method"]


def test_a_papers_recipe_stands_on_the_papers_defaults() -> None:
    config = settled(request(recipe="cifar10-propos"), Outline(60_000, 32, grey=False))
    assert (config.options.momentum, config.options.hidden, config.options.projection) == (0.996, 4096, 256)
    assert (config.train.epochs, config.train.warmup_epochs, config.train.batch_size) == (1000, 50, 512)
    assert config.train.base_rate == pytest.approx(0.1)
    assert (config.augment.crop, config.augment.hue, config.augment.grey) == ((0.08, 1.0), 0.1, 0.2)
    assert config.backbone == "resnet18-small"


def test_another_method_than_the_recipes_drops_its_options() -> None:
    config = settled(request(recipe="cifar10-propos", method="byol"), Outline(60_000, 32, grey=False))
    assert config.method == "byol"


def test_settings_by_full_or_last_name() -> None:
    assert parse_settings(["train.epochs=3", "crop=null", "blur=[0.5, 0.1]", "seed=4"], "propos") == {
        "train.epochs": 3,
        "augment.crop": None,
        "augment.blur": [0.5, 0.1],
        "seed": 4,
    }


def test_sections_and_full_names_are_two_ways_of_saying_the_same() -> None:
    values = {"train": {"epochs": 1}, "options": {"queue": 2}, "seed": 1}
    assert nested(flattened(values)) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: 5", "'train' must hold options"),
        ("[1, 2]", "must be options and values"),
        ("a: [", "not valid YAML"),
        ("method: 3", "unknown method '3'"),
        ("precision: 5", "unknown precision '5'"),
        ("trian: {epochs: 5}", "did you mean 'train'"),
        ("train: {epochs: many}", "'train.epochs' wants int"),
        ("data: {side: big}", "'data.side' wants int"),
        ("backbone: 3", "'backbone' wants str"),
        ("!!python/object/apply:os.system ['false']", "not valid YAML"),
    ],
)
def test_a_bad_recipe_is_explained(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        settled(request(recipe=str(tmp_path / "mine.yaml"), epochs=4), Outline(100, 32, grey=False))


def test_a_recipe_may_take_folders_as_labels(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {labels_from_folders: true, source: elsewhere}")
    mine = request(recipe=str(tmp_path / "mine.yaml"))
    config = settled(mine, Outline(100, 32, grey=False))
    assert (config.data.source, config.data.labels_from_folders) == ("photos", True)


def test_a_method_may_want_an_optimiser_of_its_own() -> None:
    train = settled(request(method="cc"), Outline(2000, 32, grey=False)).train
    assert (train.optimizer, train.learning_rate, train.epochs) == ("adam", 1e-3, 250)
    asked = settled(request(method="cc", settings=("optimizer=sgd",)), Outline(2000, 32, grey=False)).train
    assert asked.optimizer == "sgd"


def test_a_queue_reaches_back_no_more_than_half_an_epoch() -> None:
    queues = [settled(request(method="moco"), Outline(count, 32, grey=False)).options.queue for count in (200, 2007)]
    assert queues == [128, 896]
    assert settled(request(method="moco"), Outline(60_000, 32, grey=False)).options.queue == 4096
    asked = settled(request(method="moco", settings=("queue=4096",)), Outline(2007, 32, grey=False))
    assert asked.options.queue == 4096
    assert settled(request(method="propos"), Outline(2007, 32, grey=False)).options.queue == 0


def test_pcls_prototypes_hold_some_images_each() -> None:
    few = settled(request(method="pcl"), Outline(1797, 8, grey=True)).options
    assert few.granularities == (28, 56, 112)
    assert settled(request(method="pcl"), Outline(60_000, 32, grey=False)).options.granularities == ()
