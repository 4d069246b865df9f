"""The labelling that linear classifiers learn best in several feature spaces (TURTLE, arXiv 2406.07236).

Features of all spaces lie side by side in one matrix (n, D), `widths` columns for each; so do the weights of linear
classifiers, (K, D), with a bias for each space, (S, K).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.spaces import in_spaces

_BETAS, _EPSILON = (0.9, 0.999), 1e-8


def linear_logits(features: Tensor, weight: Tensor, bias: Tensor, widths: Sequence[int]) -> Tensor:
    """A linear classifier's logits in each space, (S, n, K)."""
    spaces = zip(in_spaces(features, widths), in_spaces(weight, widths), bias, strict=True)
    return torch.stack([F.linear(*space) for space in spaces])


def normalised_weight(v: Tensor, g: Tensor, widths: Sequence[int]) -> Tensor:
    """Rows `g_c·v_c/‖v_c‖` of each space, (K, D), for directions (K, D) and lengths (S, K)."""
    parts = zip(in_spaces(v, widths), g, strict=True)
    return torch.cat([length.unsqueeze(1) * F.normalize(part, dim=1) for part, length in parts], dim=1)


def prediction_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """`Σ_s CE(w_s(z_s), t)`, a mean over rows, of logits (S, n, K) and soft labels (n, K)."""
    return -(labels * logits.log_softmax(dim=2)).sum() / len(labels)


def label_entropy(labels: Tensor) -> Tensor:
    """`Σ_s H(mean_rows t_s)`, natural, of each space's own soft labels (S, n, K)."""
    means = labels.mean(dim=1)
    # The slope at a share that vanished from the digits would be infinite times nothing.
    return -(means * means.clamp(min=torch.finfo(means.dtype).tiny).log()).sum()


class Learner(NamedTuple):
    """Linear classifiers in all spaces, with Adam's moments, as one matrix each: (K, D + S), the biases last."""

    parameters: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def fresh(cls, weight: Tensor, bias: Tensor) -> Learner:
        """Classifiers with weights (K, D) and biases (S, K) that have taken no step yet."""
        parameters = torch.cat([weight, bias.T], dim=1)
        return cls(parameters, torch.zeros_like(parameters), torch.zeros_like(parameters))

    def split(self, spaces: int) -> tuple[Tensor, Tensor]:
        """Weights (K, D) and biases (S, K)."""
        return self.parameters[:, :-spaces], self.parameters[:, -spaces:].T


@torch.no_grad()
def learn(
    learner: Learner, features: Tensor, labels: Tensor, widths: Sequence[int], steps: range, *, rate: float
) -> Learner:
    """Adam steps on `prediction_loss` for fixed labels; the learner given is left as it is.

    Args:
        learner: where to start.
        features: (n, D).
        labels: soft, (n, K).
        widths: of the spaces.
        steps: numbers of the steps in the learner's life, from 0: Adam corrects its first ones.
        rate: learning rate.
    """
    spaces, given, wanted = len(widths), in_spaces(features, widths), labels.T.contiguous()
    for step in steps:
        weight, bias = learner.split(spaces)
        # Classes along the rows: a softmax over short rows would take most of the time on a CPU.
        logits = [
            w @ rows.T + b.unsqueeze(1) for w, rows, b in zip(in_spaces(weight, widths), given, bias, strict=True)
        ]
        errors = [each.softmax(dim=0) - wanted for each in logits]
        slopes = [error @ rows for error, rows in zip(errors, given, strict=True)]
        gradient = torch.cat([*slopes, *(error.sum(dim=1, keepdim=True) for error in errors)], dim=1) / len(features)
        learner = _adam(learner, gradient, step, rate)
    return learner


def _adam(learner: Learner, gradient: Tensor, step: int, rate: float) -> Learner:
    """One step of Adam (Kingma, Ba, 1412.6980)."""
    first = torch.lerp(learner.first, gradient, 1 - _BETAS[0])
    second = torch.lerp(learner.second, gradient.square(), 1 - _BETAS[1])
    corrected = [1 - beta ** (step + 1) for beta in _BETAS]
    change = first / ((second / corrected[1]).sqrt() + _EPSILON)
    return Learner(learner.parameters - rate / corrected[0] * change, first, second)
