"""Work that an NVIDIA GPU does again at every step, recorded once: one start where every kernel would take its own.

Of small images the kernels are so short that starting them takes longer than they do (CUDA graphs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coterie.processes import processes

# Values in a batch; kernels of larger ones are long, and a recording keeps its memory.
MOST = 1 << 25
_WARM_UP = 2


def recordable(batch: Tensor) -> bool:
    """Whether recording pays, and can be done: on a GPU of one process, for small images."""
    return batch.is_cuda and torch.version.cuda is not None and processes().count == 1 and batch.numel() <= MOST


class Recorded:
    """What `function` makes of a batch, by kernels recorded the first time.

    Args:
        function: tensors from a tensor, always by the same kernels for one shape, and without waiting for the device.
        generator: the one that it draws from, if any; seeded anew it draws what it would without recording.
    """

    def __init__(
        self, function: Callable[[Tensor], Sequence[Tensor]], generator: torch.Generator | None = None
    ) -> None:
        self._function, self._generator = function, generator
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given = torch.empty(0)
        self._made: Sequence[Tensor] = ()

    def __call__(self, batch: Tensor) -> list[Tensor]:
        if not recordable(batch):
            return list(self._function(batch))
        if self._graph is None or _kind(batch) != _kind(self._given):
            self._graph = self._record(batch)
        self._given.copy_(batch)
        self._graph.replay()
        return [made.clone() for made in self._made]

    def _record(self, batch: Tensor) -> torch.cuda.CUDAGraph:
        state = None if self._generator is None else self._generator.get_state()
        self._given = batch.clone()
        aside = torch.cuda.Stream(batch.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(batch.device))
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                self._function(self._given)
        torch.cuda.current_stream(batch.device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        if self._generator is not None:
            graph.register_generator_state(self._generator)
        with torch.cuda.graph(graph):
            self._made = tuple(self._function(self._given))
        if self._generator is not None and state is not None:
            self._generator.set_state(state)
        return graph


class RecordedModule:
    """What a module in training makes of a batch, and the gradient of its weights, by kernels recorded the first time.

    After its weights moved elsewhere the module is recorded again. A batch that comes
    before the gradient of the one before was asked for is left to the module: a recording remembers one. So is all of a
    module that cannot be recorded, as it looks at values or copies from the host.
    """

    def __init__(self) -> None:
        self._for: Any = None
        self._pending = False
        self._recorded: Callable[[Tensor], Tensor] | None = None

    def __call__(self, module: nn.Module, batch: Tensor) -> Tensor:
        if self._pending and torch.is_grad_enabled():
            return module(batch)  # type: ignore[no-any-return]
        weight = next(module.parameters())
        wanted = (_kind(batch), torch.is_grad_enabled(), weight.requires_grad, weight.data_ptr())
        if self._for != wanted:
            self._for = wanted
            try:
                self._recorded = _recorded_module(module, batch)
            except RuntimeError:
                self._recorded = None
        if self._recorded is None:
            return module(batch)  # type: ignore[no-any-return]
        made = self._recorded(batch)
        if made.requires_grad:
            self._pending = True
            made.register_hook(self._asked)  # type: ignore[no-untyped-call]
        return made

    def _asked(self, gradient: Tensor) -> None:  # noqa: ARG002
        self._pending = False


def _recorded_module(module: nn.Module, batch: Tensor) -> Callable[[Tensor], Tensor]:
    # The runs that warm up must not count in the statistics of batch norms.
    kept = [buffer.clone() for buffer in module.buffers()]
    try:
        if torch.is_grad_enabled():
            # Weights outlive the stream that they are first recorded on, which newer torch warns of.
            getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", lambda _: None)(False)
            learning: Any = torch.cuda.make_graphed_callables(Apart(module), (batch.clone(),), allow_unused_input=True)
            return lambda given: learning(given).clone()
        alone = Recorded(lambda given: [module(given)])
        alone(batch)
        return lambda given: alone(given)[0]
    finally:
        for buffer, before in zip(module.buffers(), kept, strict=True):
            buffer.copy_(before)


class Apart(nn.Module):
    """A module whose `forward` can be replaced without touching that of `module`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.train(module.training)

    def forward(self, batch: Tensor) -> Tensor:
        made: Tensor = self.module(batch)
        return made


def _kind(batch: Tensor) -> Any:
    return batch.shape, batch.dtype, batch.device, batch.stride()
