"""What is particular to methods that put heads on frozen features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import small
from coterie import Clusterer, load
from coterie.cli import main
from coterie.config import read
from coterie.data.feeding.features import Features
from coterie.errors import UsageError
from coterie.methods import Batch, Method, build_method, method_type
from coterie.schedule import Progress
from coterie.train.checkpoint import Checkpoint
from coterie.train.config import TrainConfig
from coterie.train.loop import Epoch, Loop

HEADS = ("temi", "turtle")
CPU = torch.device("cpu")
WARM = [("temi", {}), ("turtle", {}), ("turtle", {"warm_start": True})]


def built(name: str, *, spaces: tuple[int, ...] = (6,), seed: int = 0, **options: object) -> Method:
    config = read(method_type(name).Config, {**small.options(name), **options})
    return build_method(name, config, backbone="none", shape=spaces, n_clusters=3, seed=seed)


def clouds(count: int = 90, *, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng, kinds = np.random.default_rng(0), np.arange(count) % 3
    values = 0.3 * rng.normal(size=(count, width)) + 2 * np.eye(width)[kinds]
    return values.astype(np.float32), kinds


def loop_for(name: str, values: np.ndarray, **options: object) -> Loop:
    method = built(name, **options)
    assert method.feeding is not None
    features = Features(values, [str(place) for place in range(len(values))])
    feed = method.feeding.feed(features, batch_size=20, device=CPU, seed=0)
    settings = {"optimizer": "adamw", "schedule": "constant", "learning_rate": 0.02, "batch_size": 20}
    return Loop(method, feed, TrainConfig(epochs=4, warmup_epochs=1, **settings), 0, CPU)  # type: ignore[arg-type]


def command(name: str, source: Path, run: Path, *more: str) -> list[str]:
    settings = [part for key, value in small.options(name).items() for part in ("--set", f"{key}={value}")]
    return ["fit", str(source), "-k", "3", "--method", name, "--quiet", *settings, "--out", str(run), *more]


@pytest.mark.parametrize(("name", "options"), WARM)
def test_a_resumed_run_equals_the_undisturbed_one_to_the_bit(name: str, options: dict, tmp_path: Path) -> None:
    whole, saved = loop_for(name, clouds()[0], **options), Checkpoint(tmp_path / "checkpoint.pt", fingerprint=1)

    def save(epoch: Epoch) -> None:
        if epoch.number == 1:
            saved.save(whole.method, whole.optimizer, epochs=2, seconds=1.0, last=False)

    whole.on_epoch = save
    whole.run()
    resumed = loop_for(name, clouds()[0], **options)
    resumed.run(saved.restore(resumed.method, resumed.optimizer)[0])
    for key, value in whole.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[key]), key


@pytest.mark.parametrize("name", HEADS)
def test_by_the_command_line_killed_and_resumed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coterie.workflow.steps.observer import Observer

    values, kinds = clouds()
    np.savez(tmp_path / "features.npz", features=values, labels=kinds)
    epochs = ["--epochs", "8"]
    assert main(command(name, tmp_path / "features.npz", tmp_path / "whole", *epochs)) == 0
    untouched = Observer.__call__

    def stop_after_three(self: Observer, epoch: Epoch) -> None:
        untouched(self, epoch)
        self.checkpoint._last_cost = 0.0  # type: ignore[union-attr]
        if epoch.number == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Observer, "__call__", stop_after_three)
    assert main(command(name, tmp_path / "features.npz", tmp_path / "cut", *epochs)) == 130
    monkeypatch.setattr(Observer, "__call__", untouched)
    assert main(command(name, tmp_path / "features.npz", tmp_path / "cut", *epochs, "--resume")) == 0
    for file in ("assignments.csv", "embeddings.npy", "model/model.safetensors"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    summary = json.loads((tmp_path / "whole" / "summary.json").read_text())
    assert summary["baseline"]["method"] == "k-means on features"
    assert np.array_equal(load(tmp_path / "whole").predict(values), load(tmp_path / "whole").labels_)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("scale", [1e-3, 100.0])
def test_clouds_are_found_at_any_scale(name: str, scale: float) -> None:
    values, kinds = clouds()
    options = {**small.options(name), "batch_size": 30}
    if name == "temi":
        options |= {"epochs": 60, "warmup_epochs": 5, "learning_rate": 0.01, "options.momentum": 0.95}
    found = Clusterer(3, method=name, options=options, device="cpu").fit(values * scale).labels_
    assert len({(label, kind) for label, kind in zip(found.tolist(), kinds.tolist(), strict=True)}) == 3


@pytest.mark.parametrize("name", HEADS)
def test_features_that_are_alike_are_no_collapse(name: str) -> None:
    """Embeddings are the features as they came, so that learning cannot have collapsed them."""
    values = clouds()[0]
    loop_for(name, 1000 + values).run()


@pytest.mark.parametrize("name", HEADS)
def test_embeddings_are_the_features_by_direction(name: str) -> None:
    method, points = built(name), torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(method.embed(points), points / points.norm(dim=1, keepdim=True))
    assert torch.equal(method.features(points), points)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("temi", {"neighbours": 0}), ("temi", {"heads": 0}), ("temi", {"beta": 0.0}), ("temi", {"beta": 1.5}),
        ("temi", {"momentum": 1.0}), ("temi", {"student_temperature": 0.0}), ("temi", {"last_frozen": -1}),
        ("turtle", {"inner_steps": 0}), ("turtle", {"inner_rate": 0.0}), ("turtle", {"gamma": -1.0}),
        ("turtle", {"steps_per_epoch": 0}),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(name: str, wrong: dict) -> None:
    with pytest.raises(UsageError, match=rf"options\.{next(iter(wrong))}"):
        built(name, **wrong)


def batch(step: int, *, steps: int = 4) -> Batch:
    return Batch(torch.arange(8), None, Progress(step, steps, 3), torch.Generator().manual_seed(step))


def test_temis_last_layer_stands_still_in_the_first_epoch() -> None:
    method, views = built("temi"), list(torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(0)))
    for step, moves in ((0, False), (3, False), (4, True)):
        method.zero_grad(set_to_none=True)
        method.losses(views, batch(step))["information"].backward()
        assert (method.student.last.v.grad is not None) == moves
        assert method.student.hidden.weight.grad is not None


def test_temi_assigns_by_the_teacher_of_the_head_with_the_smallest_loss_of_an_epoch() -> None:
    method, views = built("temi"), list(torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(0)))
    method.epoch_losses.copy_(torch.tensor([-9.0, 0.0, 0.0]))
    expected = torch.zeros(3)
    for step in range(4):  # The first step of an epoch begins new sums.
        before = method.probabilities.clone()
        expected += method.head_losses(views).detach()
        method.probabilities.copy_(before)
        method.losses(views, batch(step))
    torch.testing.assert_close(method.epoch_losses, expected)
    best = int(expected.argmin())
    logits = method.teacher(views[0] / views[0].norm(dim=1, keepdim=True) * 6**0.5)[best]
    torch.testing.assert_close(method.assign(views[0]), (logits / 0.1).softmax(dim=1))


def test_temis_biases_do_not_decay_and_its_teachers_do_not_learn() -> None:
    method = built("temi")
    others, biases = method.parameter_groups()
    assert biases["weight_decay"] == 0
    assert len(biases["params"]) == 2
    assert "weight_decay" not in others
    assert not any(parameter.requires_grad for parameter in method.teacher.parameters())


def test_turtle_draws_its_classifiers_from_the_batchs_generator() -> None:
    method, points = built("turtle"), torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    losses = [method.losses([points], batch(step))["prediction"].item() for step in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    warm = built("turtle", warm_start=True)
    assert "learner" in warm.state_dict()
    first, second = (warm.losses([points], batch(step))["prediction"].item() for step in (0, 1))
    assert second < first  # The classifiers went on.


def test_turtles_spaces_are_labelled_apart_and_meet_in_the_mean() -> None:
    method, points = built("turtle", spaces=(4, 2)), torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    own = method.own_labels(method._given(points))
    assert own.shape == (2, 8, 3)
    torch.testing.assert_close(method.assign(points), own.mean(dim=0))
    torch.testing.assert_close(method.embed(points)[:, :4].norm(dim=1), torch.full((8,), 0.5**0.5))
    elsewhere = torch.cat([points[:, :4], points[:, 4:] * 7], dim=1)
    torch.testing.assert_close(method.assign(elsewhere), method.assign(points))  # Each space has its own scale.


def test_few_data_come_to_enough_steps() -> None:
    from coterie.plan.defaults import enough_steps

    states = dict(method_type("temi").train_defaults)
    for count in (100, 1000, 50_000):
        train = {**states, **enough_steps(states, 2000, count, gpu=False)}
        assert train["epochs"] * (count // train["batch_size"]) >= 2000
        assert TrainConfig(**train).base_rate == pytest.approx(4e-4)
        assert train["warmup_epochs"] < train["epochs"]
    assert {**states, **enough_steps(states, 2000, 50_000, gpu=True)} == states
    assert enough_steps(states, 0, 100, gpu=False) == {}
