"""Tensors in few bits, by blocks that each have a scale of their own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 256
# Levels on either side of zero in four bits, and of a logarithm in eight; there 0 stands for zero itself.
_SIGNED, _LOGARITHMIC = 7, 254


def signed(values: Tensor) -> dict[str, Tensor]:
    """Four bits a value, evenly between minus and plus the largest of its block."""
    blocks = _blocks(values)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    codes = (blocks / scale.clamp(min=1e-30) * _SIGNED).round().to(torch.int8) + _SIGNED
    pairs = codes.to(torch.uint8).view(len(blocks), -1, 2)
    return {"codes": pairs[..., 0] | (pairs[..., 1] << 4), "scale": scale.squeeze(1)}


def from_signed(kept: dict[str, Tensor], shape: tuple[int, ...]) -> Tensor:
    """What `signed` kept, within a fourteenth of the largest of each block."""
    codes = torch.stack([kept["codes"] & 15, kept["codes"] >> 4], dim=-1).flatten(1)
    values = (codes.float() - _SIGNED) / _SIGNED * kept["scale"].unsqueeze(1)
    return values.flatten()[: _count(shape)].view(shape)


def logarithmic(values: Tensor) -> dict[str, Tensor]:
    """Eight bits a value, none below zero, evenly between the logarithms of the least and the largest of its block."""
    logs = _blocks(values).log2()
    found = logs.isfinite()
    low = logs.where(found, torch.inf).amin(dim=1, keepdim=True)
    high = logs.amax(dim=1, keepdim=True)
    low, high = (end.where(end.isfinite(), 0.0) for end in (low, high))
    levels = ((logs - low) / (high - low).clamp(min=1e-6) * _LOGARITHMIC).round() + 1
    codes = levels.where(found, 0.0).clamp(0, 255).to(torch.uint8)
    return {"codes": codes, "low": low.squeeze(1), "high": high.squeeze(1)}


def from_logarithmic(kept: dict[str, Tensor], shape: tuple[int, ...]) -> Tensor:
    """What `logarithmic` kept: a value of ten doublings' block within 1.5 %, and zeros as they were."""
    low, high = kept["low"].unsqueeze(1), kept["high"].unsqueeze(1)
    levels = (kept["codes"].float() - 1) / _LOGARITHMIC
    values = torch.where(kept["codes"] > 0, (low + levels * (high - low)).exp2(), 0.0)
    return values.flatten()[: _count(shape)].view(shape)


def _blocks(values: Tensor) -> Tensor:
    flat = values.detach().float().cpu().flatten()
    return F.pad(flat, (0, -len(flat) % _BLOCK)).view(-1, _BLOCK)


def _count(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
