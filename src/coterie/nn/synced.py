"""Batch norm over the batches of all processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coterie.processes import processes


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of the whole batch, of which each process has an equal share, on any device.

    `torch.nn.SyncBatchNorm` does the same on CUDA alone, by kernels of its own; this is for everything else.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(n, C, H, W) to the same shape and type."""
        group = processes()
        if not self.training or group.count == 1:
            return super().forward(images)
        values = images.float()
        mean = group.sum(values.mean(dim=(0, 2, 3))) / group.count
        centred = values - mean.view(1, -1, 1, 1)
        variance = group.sum(centred.square().mean(dim=(0, 2, 3))) / group.count
        self._remember(mean.detach(), variance.detach(), group.count * values[:, 0].numel())
        normed = centred * torch.rsqrt(variance + self.eps).view(1, -1, 1, 1)
        if self.affine:
            normed = torch.addcmul(self.bias.view(1, -1, 1, 1), normed, self.weight.view(1, -1, 1, 1))
        return normed.to(images.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if not self.track_running_stats or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        assert self.running_mean is not None
        assert self.running_var is not None
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / max(1, count - 1)), share)


def synced(module: nn.Module, device: torch.device) -> nn.Module:
    """`module` with every two-dimensional batch norm replaced by one over all processes, its values kept."""
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return converted
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            other = SyncedBatchNorm(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            other.load_state_dict(child.state_dict())
            other.to(next(iter(child.state_dict().values())).device).train(child.training)
            for mine, its in zip(other.parameters(), child.parameters(), strict=True):
                mine.requires_grad_(its.requires_grad)
            setattr(module, name, other)
        else:
            synced(child, device)
    return module
