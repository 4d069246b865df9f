"""The optimiser of a run."""

from __future__ import annotations

import torch

from coterie.methods.base import Method
from coterie.nn.lars import LARS
from coterie.train.config import TrainConfig


def build_optimizer(method: Method, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser over the method's parameter groups, as fast as there is one."""
    groups = method.parameter_groups()
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=config.base_rate, weight_decay=config.weight_decay, fused=True)
    if config.optimizer == "lars":
        return LARS(groups, lr=config.base_rate, momentum=config.momentum, weight_decay=config.weight_decay)
    sgd = torch.optim.SGD(
        groups, lr=config.base_rate, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
    )
    if config.momentum:
        # Fused SGD fails where some weights have their first gradient later than others, as a head after warm-up.
        for parameter in (parameter for group in sgd.param_groups for parameter in group["params"]):
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd
