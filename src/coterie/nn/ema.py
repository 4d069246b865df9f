"""Exponential moving averages of weights."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def target_of(online: M) -> M:
    """A copy of `online` that carries no gradient, to be moved by `update`."""
    return copy.deepcopy(online).requires_grad_(False)


@torch.no_grad()
def update(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """Move every parameter of `target` towards `online`: `θ' ← m θ' + (1−m) θ`, in one fused call.

    Buffers are left alone: the target's batch norms keep statistics of their own.
    """
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), weight=1.0 - momentum)
