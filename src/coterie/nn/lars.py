"""LARS: layer-wise adaptive rates for large batches (You et al., arXiv 1708.03888)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class LARS(torch.optim.Optimizer):
    """SGD with momentum in which each weight's step is `trust·‖w‖/‖g‖` long, g with its weight decay.

    Biases and the scales of normalisation, of one dimension, take plain steps and no weight decay, as in SimCLR and
    BYOL.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        momentum: of the velocity `v ← m·v + lr·g`.
        weight_decay: L2 penalty on weights of more than one dimension.
        trust: the trust coefficient.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; `closure` is not supported."""
        assert closure is None
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            gradients = _adapted(weights, group)
            velocities = [self.state[w].setdefault("velocity", torch.zeros_like(w)) for w in weights]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, gradients, alpha=group["lr"])
            torch._foreach_sub_(weights, velocities)


def _adapted(weights: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """Gradients with weight decay and the layers' own rates, all at once and without waiting for the device."""
    gradients: list[Tensor] = [weight.grad for weight in weights]  # type: ignore[misc]
    matrices = [place for place, weight in enumerate(weights) if weight.ndim > 1]
    if matrices:
        chosen = [weights[place] for place in matrices]
        decayed = torch._foreach_add([gradients[place] for place in matrices], chosen, alpha=group["weight_decay"])
        norms, lengths = torch._foreach_norm(chosen), torch._foreach_norm(decayed)
        for place, gradient, norm, length in zip(matrices, decayed, norms, lengths, strict=True):
            rate = torch.where((norm > 0) & (length > 0), group["trust"] * norm / length, 1.0)
            gradients[place] = gradient * rate
    return gradients
