"""The optimiser of a run."""

from __future__ import annotations

from typing import Any

import torch

from coterie.methods.base import Method
from coterie.nn.encoder import encoders_of
from coterie.nn.lars import LARS
from coterie.train.config import TrainConfig


def build_optimizer(method: Method, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser over the method's parameter groups, as fast as there is one."""
    groups = _split(method, config.backbone_rate)
    if config.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        return kind(groups, lr=config.base_rate, weight_decay=config.weight_decay, fused=True)
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


def _split(method: Method, backbone_rate: float) -> list[dict[str, Any]]:
    """The method's parameter groups, with the backbone's weights in groups of their own where their rate differs."""
    groups = method.parameter_groups()
    if backbone_rate == 1:
        return groups
    theirs = {id(weight) for encoder in encoders_of(method) for weight in encoder.parameters()}
    split = []
    for group in groups:
        for inside, rate in ((False, group["rate"]), (True, group["rate"] * backbone_rate)):
            weights = [weight for weight in group["params"] if (id(weight) in theirs) == inside]
            split += [{**group, "params": weights, "rate": rate}] if weights else []
    return split
