"""The gradient of a batch that processes share."""

from __future__ import annotations

import torch
from torch import nn

from coterie.nn.encoder import encoders_of
from coterie.processes import processes


@torch.no_grad()
def share_gradients(method: nn.Module) -> None:
    """Give every process the gradient of the whole batch.

    Each process has its own images' part of the gradient of the encoder, and these are summed. From the features on
    all computed the same from the whole batch; those gradients are averaged, so that no rounding lets them drift.
    """
    group = processes()
    if group.count == 1:
        return
    divided = {id(p) for encoder in encoders_of(method) for p in encoder.parameters()}
    parameters = [p for p in method.parameters() if p.grad is not None]
    scaled = [p.grad.flatten() / (1 if id(p) in divided else group.count) for p in parameters if p.grad is not None]
    parts = torch.split(group.sum(torch.cat(scaled)), [len(part) for part in scaled])
    for parameter, part in zip(parameters, parts, strict=True):
        assert parameter.grad is not None
        parameter.grad.copy_(part.view_as(parameter.grad))
