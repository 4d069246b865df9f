"""Methods on frozen features against the figures of the reference implementations; see --parity-dir."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from coterie.data.feeding.pairs import cosine_neighbours
from coterie.evaluate.generalisation import fold_accuracies, generalisation_score
from coterie.losses.temi import agreement, running_probabilities, temi
from coterie.methods.base import Batch
from coterie.methods.temi import TEMI, TEMIConfig
from coterie.methods.turtle import TURTLE, TURTLEConfig
from coterie.schedule import Progress
from coterie.train.config import TrainConfig
from coterie.train.optimizer import build_optimizer

Figures = dict[str, np.ndarray]


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """The file named by the test's `parity` parameter."""
    path: Path = request.config.getoption("--parity-dir") / f"{request.param}.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the reference figures")
    with np.load(path, allow_pickle=False) as pack:
        return {name: pack[name] for name in pack.files}


def close(ours: Tensor | float | None, reference: np.ndarray, *, name: str = "") -> None:
    value = ours.detach().numpy() if isinstance(ours, Tensor) else ours
    # An entry near zero is held to the scale of its array.
    atol = 1e-6 * float(np.abs(reference).max())
    np.testing.assert_allclose(value, reference, rtol=1e-6, atol=atol, err_msg=name)


def tensor(figures: Figures, name: str) -> Tensor:
    return torch.from_numpy(figures[name])


def number(figures: Figures, name: str) -> float:
    return float(figures[name])


@pytest.mark.parametrize("figures", ["temi_loss"], indirect=True)
def test_temi_loss(figures: Figures) -> None:
    warmth = {kind: number(figures, f"{kind}_temperature") for kind in ("student", "teacher")}
    first, second = (tensor(figures, f"teacher{n}") / warmth["teacher"] for n in (1, 2))
    teachers = first.log_softmax(dim=2), second.log_softmax(dim=2)
    certain = [logs.exp() for logs in teachers]
    probabilities = running_probabilities(
        tensor(figures, "probabilities"), torch.cat(certain, 1), momentum=number(figures, "probabilities_momentum")
    )
    close(probabilities, figures["updated_probabilities"])
    close(agreement(*certain), figures["weights"])
    for place, (beta, weighted) in enumerate(zip(figures["beta"], figures["weighted"], strict=True)):
        logits = [tensor(figures, f"student{n}").requires_grad_() for n in (1, 2)]
        one, other = ((each / warmth["student"]).log_softmax(dim=2) for each in logits)
        weights = agreement(*certain) if weighted else 1.0
        losses = temi((one, other), teachers, probabilities, weights, beta=float(beta))
        losses.mean().backward()
        close(losses, figures["loss"][place])
        close(losses.mean(), figures["total"][place])
        for n, each in enumerate(logits, start=1):
            close(each.grad, figures[f"grad_student{n}"][place])


def temi_of(figures: Figures) -> TEMI:
    """TEMI with the weights and settings of a file."""
    heads, hidden, features = figures["param.hidden.weight"].shape
    names = ("beta", "probabilities_momentum", "student_temperature", "teacher_temperature")
    config = TEMIConfig(
        heads=heads, hidden=hidden, scaled=False, bottleneck=figures["param.bottleneck.weight"].shape[1],
        momentum=number(figures, "teacher_momentum"), last_frozen=int(figures["frozen_last_epochs"]),
        **{name: number(figures, name) for name in names},
    )  # fmt: skip
    method = TEMI(config, (features,), n_clusters=figures["param.last.v"].shape[1]).double()
    for name, value in figures.items():
        if name.startswith("param."):
            for network in (method.student, method.teacher):
                network.get_parameter(name.removeprefix("param.")).data.copy_(torch.from_numpy(value))
    method.probabilities.copy_(tensor(figures, "probabilities"))
    return method.train()


def take_step(optimizer: torch.optim.Optimizer, losses: dict[str, Tensor], rate: float) -> None:
    """One step as the loop takes it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("figures", ["temi_train"], indirect=True)
def test_temi_first_gradients(figures: Figures) -> None:
    method, x = temi_of(figures), tensor(figures, "x")
    method.head_losses([x[places] for places in tensor(figures, "pairs")[0]]).mean().backward()
    for name, value in figures.items():
        if name.startswith("grad."):
            close(method.student.get_parameter(name.removeprefix("grad.")).grad, value, name=name)


@pytest.mark.parametrize("figures", ["temi_train"], indirect=True)
def test_temi_training(figures: Figures) -> None:
    method, x = temi_of(figures), tensor(figures, "x")
    k = figures["neighbours"].shape[1]
    assert np.array_equal(cosine_neighbours(x, k).numpy(), figures["neighbours"])
    config = TrainConfig(optimizer="adamw", weight_decay=number(figures, "weight_decay"))
    optimizer, each = build_optimizer(method, config), int(figures["steps_per_epoch"])
    rates = figures["learning_rates"]
    for step, pair in enumerate(tensor(figures, "pairs")):
        progress = Progress(step, each, len(rates) // each)
        before = method.epoch_losses.clone() if step % each else torch.zeros_like(method.epoch_losses)
        batch = Batch(pair[0], None, progress, torch.Generator())
        take_step(optimizer, method.losses([x[places] for places in pair], batch), float(rates[step]))
        method.after_step(progress)
        close(method.epoch_losses - before, figures["losses"][step])
        if step % each == each - 1:
            close(method.epoch_losses / each, figures["epoch_losses"][step // each])
            assert int(method.best_head) == figures["best_heads"][step // each]
    close(method.probabilities, figures["updated_probabilities"])
    for name, value in figures.items():
        if name.startswith(("student.", "teacher.")):
            close(method.get_parameter(name), value, name=name)
    close(method.teacher(x, method.best_head).squeeze(0), figures["logits"])
    assert np.array_equal(method.assign(x).argmax(dim=1).numpy(), figures["assignments"])


class Started(TURTLE):
    """TURTLE whose classifiers start as a file says."""

    starts: list[tuple[Tensor, Tensor]]

    def linear_start(self, draw: torch.Generator | None) -> tuple[Tensor, Tensor]:
        return super().linear_start(draw) if draw is None else self.starts.pop(0)


def numbered(figures: Figures, before: str, after: str) -> list[Tensor]:
    """An array of each space."""
    return [tensor(figures, f"{before}{space}.{after}") for space in (1, 2) if f"features{space}" in figures]


def turtle_of(figures: Figures, *, warm: bool = False) -> Started:
    """TURTLE on spaces side by side, with the weights and settings of a file."""
    widths = tuple(part.shape[1] for part in numbered_features(figures))
    names = {"gamma": "gamma", "inner_rate": "inner_learning_rate"}
    config = TURTLEConfig(
        warm_start=warm, scaled=False, inner_steps=int(figures["inner_steps"]),
        **{ours: number(figures, theirs) for ours, theirs in names.items()},
    )  # fmt: skip
    method = Started(config, widths, n_clusters=figures["param.task1.v"].shape[0]).double()
    method.v.data = torch.cat(numbered(figures, "param.task", "v"), dim=1)
    method.g.data = torch.stack([g.squeeze(1) for g in numbered(figures, "param.task", "g")])
    method.bias.data = torch.stack(numbered(figures, "param.task", "bias"))
    weights, biases = (numbered(figures, "param.inner", name) for name in ("weight", "bias"))
    if weights[0].ndim == 2:
        weights, biases = ([each.unsqueeze(0) for each in arrays] for arrays in (weights, biases))
    method.starts = list(zip(torch.cat(weights, dim=2), torch.stack(biases, dim=1), strict=True))
    if warm:
        weight, bias = method.starts[0]
        method.learner.zero_()
        method.learner[0] = torch.cat([weight, bias.T], dim=1)
    return method


def numbered_features(figures: Figures) -> list[Tensor]:
    return [tensor(figures, name) for name in ("features1", "features2") if name in figures]


def compare_task(method: TURTLE, figures: Figures, before: str, *, gradient: bool = False) -> None:
    v, g, bias = ((p.grad if gradient else p.detach()) for p in (method.v, method.g, method.bias))
    assert v is not None
    assert g is not None
    assert bias is not None
    close(v, torch.cat(numbered(figures, before, "v"), dim=1).numpy())
    close(g, torch.stack([each.squeeze(1) for each in numbered(figures, before, "g")]).numpy())
    close(bias, torch.stack(numbered(figures, before, "bias")).numpy())


def watch_learner(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """What the classifiers come to in every step: weights and biases."""
    import coterie.methods.turtle as module

    found: list[tuple[Tensor, Tensor]] = []
    untouched = module.learn

    def learn(*given: object, rate: float) -> module.Learner:
        learner = untouched(*given, rate=rate)  # type: ignore[arg-type]
        found.append(learner.split(len(given[3])))  # type: ignore[arg-type]
        return learner

    monkeypatch.setattr(module, "learn", learn)
    return found


def compare_learner(learnt: tuple[Tensor, Tensor], figures: Figures) -> None:
    close(learnt[0], torch.cat(numbered(figures, "after.inner", "weight"), dim=1).numpy())
    close(learnt[1], torch.stack(numbered(figures, "after.inner", "bias")).numpy())


@pytest.mark.parametrize("figures", ["turtle_step"], indirect=True)
def test_turtle_step(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    method, z, learnt = turtle_of(figures), torch.cat(numbered_features(figures), dim=1), watch_learner(monkeypatch)
    close(method.assign(z), figures["labels"])
    optimizer = build_optimizer(method, TrainConfig(optimizer="adam", weight_decay=0.0))
    losses = method.losses([z], Batch(torch.arange(len(z)), None, Progress(0, 1, 1), torch.Generator()))
    take_step(optimizer, losses, number(figures, "outer_learning_rate"))
    close(losses["prediction"], figures["prediction_loss"])
    close(losses["balance"], -figures["gamma"] * figures["entropy"])
    close(sum(losses.values(), torch.zeros(())), figures["loss"])
    compare_learner(learnt[-1], figures)
    compare_task(method, figures, "grad.task", gradient=True)
    compare_task(method, figures, "after.task")


@pytest.mark.parametrize("figures", ["turtle_train", "turtle_train_warm"], indirect=True)
def test_turtle_training(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    method, z = turtle_of(figures, warm=bool(figures["warm_start"])), torch.cat(numbered_features(figures), dim=1)
    optimizer = build_optimizer(method, TrainConfig(optimizer="adam", weight_decay=0.0))
    learnt = watch_learner(monkeypatch)
    steps = len(figures["indices"])
    for step, places in enumerate(tensor(figures, "indices")):
        losses = method.losses([z[places]], Batch(places, None, Progress(step, steps, 1), torch.Generator()))
        take_step(optimizer, losses, number(figures, "outer_learning_rate"))
        close(losses["prediction"], figures["prediction_losses"][step])
        close(losses["balance"], -figures["gamma"] * figures["entropies"][step])
        close(sum(losses.values(), torch.zeros(())), figures["losses"][step])
    compare_learner(learnt[-1], figures)
    compare_task(method, figures, "after.task")
    close(method.assign(z), figures["probabilities"])
    assert np.array_equal(method.assign(z).argmax(dim=1).numpy(), figures["assignments"])


@pytest.mark.parametrize("figures", ["turtle_score"], indirect=True)
def test_turtle_score(figures: Figures) -> None:
    spaces = [part.numpy() for part in numbered_features(figures)]
    of_folds = fold_accuracies(spaces, figures["assignments"], figures["folds"], penalty=number(figures, "C"))
    np.testing.assert_allclose(of_folds, figures["accuracies"], rtol=1e-12)
    np.testing.assert_allclose(of_folds.mean(axis=1), figures["space_scores"], rtol=1e-12)
    score = generalisation_score(spaces, figures["assignments"], figures["folds"], penalty=number(figures, "C"))
    assert score == pytest.approx(float(figures["score"]), rel=1e-12)
