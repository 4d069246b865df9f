"""Linear evaluation: how much of the classes a linear layer finds in frozen features (Zhang et al., 1603.08511)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.errors import UsageError
from coterie.evaluate.neighbours import predict_by_neighbours
from coterie.nn.lars import LARS


@dataclass(frozen=True)
class ProbeConfig:
    """How the linear layer is trained.

    Args:
        optimizer: "sgd": rate 30, divided by ten at 60 % and 80 % of 100 epochs, batches of 256, as MoCo does; or
            "lars": rate 0.1 for 256 images, falling by a cosine over 90 epochs, batches of 4096, as SimSiam does.
        epochs: None for the optimiser's own.
        held_out: share of each class that is kept for testing.
        seed: of the split and the order.
        device: where images are encoded and the layer is trained.
    """

    optimizer: str = "sgd"
    epochs: int | None = None
    held_out: float = 0.2
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.optimizer not in ("sgd", "lars"):
            raise UsageError(f"--optimizer is sgd or lars, not '{self.optimizer}'")
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"--epochs must be at least 1, got {self.epochs}")
        if not 0 < self.held_out < 1:
            raise UsageError(f"--held-out lies between 0 and 1, got {self.held_out}")

    @property
    def length(self) -> int:
        return self.epochs or (90 if self.optimizer == "lars" else 100)

    def rate(self, epoch: int, batch_size: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        if self.optimizer == "lars":
            return 0.1 * batch_size / 256 * 0.5 * (1 + math.cos(math.pi * epoch / self.length))
        drops = (epoch >= 0.6 * self.length) + (epoch >= 0.8 * self.length)
        return 30.0 * 0.1**drops


@dataclass(frozen=True)
class ProbeScores:
    """Shares of the `tested` images whose class came first (or among the five first), and by nearest neighbours."""

    top1: float
    top5: float
    knn: float
    trained: int
    tested: int
    classes: int


def probe(features: Tensor, labels: Tensor, config: ProbeConfig, tested: Tensor | None = None) -> ProbeScores:
    """Train a linear layer on a part of some features, and test it and a nearest-neighbour vote on the rest.

    Args:
        features: (N, F), frozen.
        labels: (N,) int64 from 0 without gaps; −1 where unknown, which are left out.
        config: see `ProbeConfig`.
        tested: (N,) bool, those to test on; None draws a share of each class.

    Raises:
        UsageError: fewer than two classes, or a class with fewer than two images.
    """
    known = labels >= 0
    features, labels = features[known], labels[known]
    draw = torch.Generator().manual_seed(config.seed)
    if tested is None:
        tested = held_out_places(labels.cpu(), config.held_out, draw).to(labels.device)
    else:
        tested = _parted(tested[known], labels)
    train, test = features[~tested], features[tested]
    # At unit length on average: a rate of 30 is meant for features of about that size.
    mean, deviation = train.mean(dim=0), train.std(dim=0).clamp(min=1e-6)
    train_x, test_x = ((part - mean) / deviation / math.sqrt(features.shape[1]) for part in (train, test))
    classes = int(labels.max()) + 1
    logits = fit_linear(train_x, labels[~tested], classes, config, draw)(test_x)
    ranked = logits.topk(min(5, classes), dim=1).indices == labels[tested].unsqueeze(1)
    votes = predict_by_neighbours(train, labels[~tested], test)
    return ProbeScores(
        top1=float(ranked[:, 0].float().mean()),
        top5=float(ranked.any(dim=1).float().mean()),
        knn=float((votes == labels[tested]).float().mean()),
        trained=len(train),
        tested=len(test),
        classes=classes,
    )


def _parted(tested: Tensor, labels: Tensor) -> Tensor:
    known = labels[~tested]
    if not tested.any() or not len(known) or bool(known.min() == known.max()):
        raise UsageError("linear evaluation takes labelled images of two classes to learn from, and some to test on")
    return tested


def held_out_places(labels: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Which of the labelled images (N,) to test on: `share` of each class, at least one and never all; (N,) bool."""
    sizes = labels.bincount()
    if len(sizes) < 2 or int(sizes.min()) < 2:
        raise UsageError("linear evaluation takes at least two classes with two images each")
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for members in (torch.nonzero(labels == label).squeeze(1) for label in range(len(sizes))):
        count = min(max(1, round(share * len(members))), len(members) - 1)
        chosen[members[torch.randperm(len(members), generator=draw)[:count]]] = True
    return chosen


def fit_linear(features: Tensor, labels: Tensor, classes: int, config: ProbeConfig, draw: torch.Generator) -> nn.Linear:
    """A linear layer trained on features (n, F) with labels (n,), from weights of N(0, 0.01²)."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(features.shape[1], classes)
    weight = torch.empty(classes, features.shape[1]).normal_(std=0.01, generator=draw)
    layer.load_state_dict({"weight": weight, "bias": torch.zeros(classes)})
    layer.to(features.device)
    batch_size = min(len(features), 4096 if config.optimizer == "lars" else 256)
    optimizer: torch.optim.Optimizer
    if config.optimizer == "lars":
        optimizer = LARS(layer.parameters(), 0.0)
    else:
        optimizer = torch.optim.SGD(layer.parameters(), 0.0, momentum=0.9)
    for epoch in range(config.length):
        for group in optimizer.param_groups:
            group["lr"] = config.rate(epoch, batch_size)
        order = torch.randperm(len(features), generator=draw).to(features.device)
        for part in torch.split(order, batch_size):
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(layer(features[part]), labels[part]))
            optimizer.step()
    return layer.requires_grad_(False)
