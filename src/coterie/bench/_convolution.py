"""The fastest convolution of this machine: what a training step's arithmetic would take if all of it were that."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from coterie.nn.mixed import Mixed
from coterie.train.runtime import Runtime

# Channels and sides that a ResNet for 32 pixels has.
_SHAPES = ((64, 32), (128, 16), (256, 8), (512, 4))


class BestConvolution:
    """The 3×3 convolution, forward, of the highest rate on a runtime, in its precision and layout.

    Attributes:
        flops: of a call.
    """

    def __init__(self, runtime: Runtime, batch_size: int) -> None:
        calls = [_Convolution(runtime, batch_size, *shape) for shape in _SHAPES]
        self._call = max(calls, key=lambda call: call.rate())
        self.flops = self._call.flops

    def run(self, times: int) -> None:
        for _ in range(times):
            self._call()


class _Convolution(Mixed):
    def __init__(self, runtime: Runtime, batch_size: int, channels: int, side: int) -> None:
        super().__init__()
        self._layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        runtime.prepare(self)
        images = torch.rand(batch_size, channels, side, side, device=runtime.device)
        self._images = images.to(self.autocast_dtype or images.dtype).contiguous(memory_format=torch.channels_last)
        self.flops = counted(self.__call__)

    @torch.no_grad()
    def forward(self) -> float:
        with self.autocast(self._images):
            return float(self._layer(self._images)[0, 0, 0, 0])  # Read back, as a device may be at work still.

    def rate(self) -> float:
        """Operations a second, the better of two trials."""
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            self()
            seconds.append(time.perf_counter() - began)
        return self.flops / min(seconds)


def counted(run: Callable[[], object]) -> int:
    """Floating point operations of what `run` does, a product and its sum being two."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())
