"""Modules that run their heavy part in the precision and memory layout their device is fastest in."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn


class Mixed(nn.Module):
    """Offers autocast to what it wraps; heads and losses, outside, stay in the parameters' own precision."""

    def __init__(self) -> None:
        super().__init__()
        self.autocast_dtype: torch.dtype | None = None
        self.channels_last = False

    def speed_up(self, *, autocast_dtype: torch.dtype | None, channels_last: bool) -> None:
        """Choose what `coterie.train.runtime` found the device to profit from."""
        self.autocast_dtype, self.channels_last = autocast_dtype, channels_last
        if channels_last:
            # Only weights of four dimensions have such a layout; the call passes over the others.
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def autocast(self, inputs: Tensor) -> contextlib.AbstractContextManager[None]:
        """The context for the heavy part, on the device of the inputs."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(inputs.device.type, dtype=self.autocast_dtype)
