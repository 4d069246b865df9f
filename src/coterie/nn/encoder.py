"""A backbone in the precision and memory layout its device is fastest in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from coterie.nn.mixed import Mixed
from coterie.processes import processes
from coterie.recorded import RecordedModule, recordable


class Encoder(Mixed):
    """Runs a backbone under autocast.

    Args:
        backbone: images (n, C, H, W) to features (n, features); has the attribute `features`.

    Attributes:
        parts: in how many parts, one after another, `each` takes a batch.
        seen: what `each` made of the latest batch.
        recorded: what `each` is recorded in while a loop trains, see `coterie.recorded`.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.features = cast(int, backbone.features)
        self.parts = 1
        self.seen: Sequence[Tensor] = ()
        self.recorded: RecordedModule | None = None

    def each(self, views: Sequence[Tensor], *, joint: bool) -> Sequence[Tensor]:
        """Features of several views (n, C, H, W), in one forward if `joint`: faster, with joint batch statistics.

        With several `parts`, the rows are encoded that many parts one after another, each with its own batch
        statistics. Only the last part's activations are kept for the backward pass, which computes the others' again.

        Where processes share a batch, the views are this one's share and the features those of the whole batch.
        """
        rows = list(zip(*(view.tensor_split(self.parts) for view in views), strict=True))
        encoded = [self._again(part, joint) for part in rows[:-1]] + [self._together(rows[-1], joint)]
        self.seen = [processes().gather(torch.cat(view)) for view in zip(*encoded, strict=True)]
        return self.seen

    def _together(self, views: Sequence[Tensor], joint: bool) -> Sequence[Tensor]:
        if not joint:
            return [self(view) for view in views]
        batch = torch.cat(list(views))
        if self.recorded is not None and self.training and self.parts == 1 and recordable(batch):
            return self.recorded(self, batch).chunk(len(views))
        return cast(Tensor, self(batch)).chunk(len(views))

    def _again(self, views: Sequence[Tensor], joint: bool) -> Sequence[Tensor]:
        """`_together`, keeping nothing but the views for the backward pass."""
        if not torch.is_grad_enabled():
            return self._together(views, joint)

        def contexts() -> tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]:
            return contextlib.nullcontext(), remembering_nothing(self.backbone)

        found = checkpoint(self._together, views, joint, use_reentrant=False, context_fn=contexts)
        return cast(Sequence[Tensor], found)

    def forward(self, images: Tensor) -> Tensor:
        if self.channels_last and images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        with self.autocast(images):
            return cast(Tensor, self.backbone(images)).to(next(self.parameters()).dtype)


def encoders_of(module: nn.Module) -> list[Encoder]:
    """All encoders within a module."""
    return [each for each in module.modules() if isinstance(each, Encoder)]


@contextlib.contextmanager
def remembering_nothing(module: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norms as they are: what is computed again was counted already."""
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
