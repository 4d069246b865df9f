"""Batches of views from a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from coterie.data.feeding.augment import AugmentConfig, Normalisation, augment
from coterie.data.feeding.augment.draws import Draws
from coterie.data.reading.store import Store
from coterie.devices import room
from coterie.errors import UsageError
from coterie.processes import processes
from coterie.recorded import Recorded
from coterie.seeding import derive, generator

View = Literal["augmented", "plain"]


class ImageFeed:
    """What a method learns from: shuffled batches of views; and what it is asked about: every image, plain.

    The whole store is moved to an accelerator when it takes less than a quarter of its free memory. Every random
    draw derives from (seed, epoch, step), so that any epoch can be repeated on its own.

    Args:
        store: the images.
        normalisation: applied to every view.
        views: the kinds of views a batch holds, in order.
        batch_size: images in a batch; the last, incomplete batch of an epoch is left out.
        device: where views are made.
        seed: of the run.

    Raises:
        UsageError: the batch cannot be shared evenly by the processes of the run.
    """

    def __init__(
        self,
        store: Store,
        normalisation: Normalisation,
        *,
        config: AugmentConfig,
        views: Sequence[View],
        batch_size: int,
        device: torch.device,
        seed: int,
    ) -> None:
        self.store = store
        self.normalisation = normalisation
        self.config = config
        self.views = tuple(views)
        self.batch_size = min(batch_size, len(store))
        self.device = device
        self.seed = seed
        self._resident = _resident(store, device)
        group = processes()
        if self.batch_size % group.count:
            raise UsageError(
                f"{group.count} processes cannot share a batch of {self.batch_size} evenly: "
                f"set train.batch_size={max(1, self.batch_size // group.count) * group.count}"
            )
        self._share = group.share(self.batch_size)
        self._named = torch.empty(0, dtype=torch.int64)
        self._draw = torch.Generator(device)
        self._seen = Recorded(self._look, self._draw)

    def __len__(self) -> int:
        return len(self.store)

    @property
    def steps_per_epoch(self) -> int:
        return len(self.store) // self.batch_size

    def batches(self, epoch: int, *, weights: Tensor | None = None) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Index (n,) into the store and views (n, C, S, S) of every batch of an epoch.

        Where processes share a run, the views are this one's share of the batch; the index is that of all.

        Args:
            epoch: from 0.
            weights: (N,) draws images with these weights, with replacement, instead of each once.
        """
        order = self._order(epoch, weights)
        if self._resident is not None:
            order = order.to(self.device)  # Once: every copy to a device waits for all work on it.
        for step in range(self.steps_per_epoch):
            index = order[step * self.batch_size : (step + 1) * self.batch_size]
            self._draw.manual_seed(derive(self.seed, "augment", epoch, step))
            yield index.to(self.device), self._seen(self._raw(index[self._share]))

    def heed(self, named: Tensor) -> None:
        """Let up to a quarter of every batch be images that a person named: those of (N,) int64 that are not −1."""
        self._named = (named >= 0).nonzero().squeeze(1)

    def plain(self, batch_size: int) -> Iterator[Tensor]:
        """This process's share of all images once, in order, without augmentation, in batches of up to `batch_size`."""
        for index in torch.split(torch.arange(len(self.store))[processes().share(len(self.store))], batch_size):
            yield self.normalisation.plain(self._raw(index))

    def sample(self, most: int) -> tuple[Tensor, Tensor]:
        """Places (n,) of up to `most` evenly spaced images, and the images without augmentation."""
        index = torch.arange(0, len(self.store), -(-len(self.store) // most))
        return index, self.normalisation.plain(self._raw(index))

    def _order(self, epoch: int, weights: Tensor | None) -> Tensor:
        draw = generator("cpu", self.seed, "order", epoch)
        if weights is None:
            order = torch.randperm(len(self.store), generator=draw)
        else:
            order = torch.multinomial(weights.cpu(), len(self.store), replacement=True, generator=draw)
        most = min(len(self._named), self.batch_size // 4)
        for start in range(0, self.steps_per_epoch * self.batch_size if most else 0, self.batch_size):
            order[start : start + most] = self._named[torch.randperm(len(self._named), generator=draw)[:most]]
        return order

    def _raw(self, index: Tensor) -> Tensor:
        if self._resident is not None:
            return self._resident.index_select(0, index.to(self.device))
        return self.store.rows(index).to(self.device, non_blocking=True)

    def _look(self, raw: Tensor) -> list[Tensor]:
        """All views of a batch."""
        draws = Draws(self._draw, self.batch_size, self._share)
        return [self._view(raw, kind, place, draws) for place, kind in enumerate(self.views)]

    def _view(self, raw: Tensor, kind: View, place: int, draws: Draws) -> Tensor:
        if kind == "plain":
            return self.normalisation.plain(raw)
        return self.normalisation(augment(raw, self.config, draws, view=place))


def _resident(store: Store, device: torch.device) -> Tensor | None:
    if store.images.nbytes > room(device) // 4:
        return None
    return torch.from_numpy(store.images).to(device)
