"""ProPos as it is usually written: the plain baseline of a training step.

float32, channels first, one forward for each view and network, a loop over the parameters for the moving average, and
Pillow in a worker process for the views. The losses are ours, which cost next to nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from coterie.bench._pillow import pillow_view
from coterie.losses.alignment import alignment
from coterie.losses.prototypes import prototype_scattering
from coterie.nn.backbones import build_backbone
from coterie.nn.heads import mlp_head

_CLUSTERS, _HIDDEN, _WIDTH = 10, 4096, 256


class _Pairs(Dataset[tuple[int, Any, Any]]):
    def __init__(self, images: Any) -> None:
        self._images = images.transpose(0, 2, 3, 1).copy()
        self._rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, place: int) -> tuple[int, Any, Any]:
        pixels = self._images[place]
        return place, pillow_view(pixels, self._rng), pillow_view(pixels, self._rng)


class PlainProPos:
    """Trains epoch by epoch on images (N, 3, S, S) uint8; a context manager, as its worker lives on between epochs."""

    def __init__(self, images: Any, batch_size: int, device: str, *, workers: int = 1) -> None:
        self._device = torch.device(device)
        self._loader = DataLoader(
            _Pairs(images), batch_size=batch_size, shuffle=True, num_workers=workers, persistent_workers=True,
            drop_last=True,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            backbone = build_backbone("resnet18-small", 3, images.shape[2])
            online = nn.Sequential(backbone, mlp_head(512, _HIDDEN, _WIDTH))
            predictor = mlp_head(_WIDTH, _HIDDEN, _WIDTH)
        self._online, self._predictor = online.to(self._device), predictor.to(self._device)
        self._target = copy.deepcopy(self._online).requires_grad_(False)
        parameters = [*self._online.parameters(), *self._predictor.parameters()]
        self._optimizer = torch.optim.SGD(parameters, 0.025, momentum=0.9, weight_decay=5e-4)
        self._labels = torch.randint(_CLUSTERS, (len(images),), generator=torch.Generator().manual_seed(0))

    def __enter__(self) -> PlainProPos:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._loader

    def epoch(self) -> None:
        for index, first, second in self._batches():
            self._step(first, second, self._labels[index].to(self._device))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for index, first, second in self._loader:
            yield index, first.to(self._device), second.to(self._device)

    def _step(self, first: Tensor, second: Tensor, labels: Tensor) -> None:
        z1, z2 = self._online(first), self._online(second)
        p1, p2 = (self._predictor(z + 0.001 * torch.randn_like(z)) for z in (z1, z2))
        with torch.no_grad():
            t1, t2 = self._target(first), self._target(second)
        loss = 0.5 * (alignment(p1, t2) + alignment(p2, t1))
        for online, target in ((z1, t2), (z2, t1)):
            loss = loss + 0.05 * prototype_scattering(online, target, labels, n_clusters=_CLUSTERS, temperature=0.5)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self._target.parameters(), self._online.parameters(), strict=True):
                slow.mul_(0.996).add_(fast, alpha=0.004)
