"""What a run will take on this machine: minutes, memory and disk, from a step of it that is tried."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from coterie.data.base import Outline
from coterie.data.feeding.augment import Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.methods import method_type
from coterie.nn.frozen import frozen
from coterie.nn.pretrained import Pretrained
from coterie.runs.config import RunConfig
from coterie.runs.model import Blueprint
from coterie.train.loop import Loop
from coterie.train.runtime import choose_runtime

# A step on so many images tells the pace of large networks; small ones are tried on a whole batch.
_FEW = 8
_QUICK_SECONDS = 0.05
# Of the page and its pictures, and of what Python and torch take by themselves.
_PAGE, _PROCESS = 8_000_000, 450_000_000


@dataclass(frozen=True)
class Estimate:
    """What learning and grouping take, in `seconds`; `memory` and `disk` in bytes. Reading and the page come on top."""

    seconds: float
    memory: int
    disk: int


def estimate(config: RunConfig, outline: Outline, backbones: Sequence[Pretrained]) -> Estimate:
    """Try a step of a run on images of noise; nothing is written, and no state is left changed."""
    if method_type(config.method).inputs == "features":
        seconds = outline.count * sum(_looking(config, each) for each in backbones)
        weights = sum(_size(each.backbone) for each in backbones)
        # Images of one size are held at a time.
        images = outline.count * max((each.channels * each.side**2 for each in backbones), default=0)
        features = 4 * outline.count * max(1024, sum(cast(int, each.backbone.features) for each in backbones))
        return Estimate(seconds, _PROCESS + images + weights + features, _PAGE + weights + features)
    backbone = backbones[0] if backbones else None
    channels = backbone.channels if backbone is not None else outline.bands or (1 if outline.grey else 3)
    shape = (channels, config.data.side, config.data.side)
    images = outline.count * math.prod(shape)
    pace = _Pace(config, shape, outline, backbone)
    epochs = config.train.epochs * (outline.count // pace.batch_size * pace.step_seconds + pace.embedding_seconds)
    embeddings = 4 * pace.features * outline.count
    # Weights, their gradients and momenta; the checkpoint holds two of these, the model one.
    memory = _PROCESS + images + 3 * pace.weights + pace.activations + 3 * embeddings
    return Estimate(epochs, memory, _PAGE + 3 * pace.weights + embeddings)


class _Pace:
    """A method's pace on this machine, found by steps on few images, or on a whole batch where they are quick."""

    def __init__(
        self, config: RunConfig, shape: tuple[int, ...], outline: Outline, backbone: Pretrained | None
    ) -> None:
        self._config, self._shape = config, shape
        self.batch_size = config.train.batch_size
        self._runtime = choose_runtime(config.device, config.precision, deterministic=config.deterministic)
        architecture = None if backbone is None else backbone.architecture
        blueprint = Blueprint(config.method, config.options, config.backbone, shape, config.clusters, architecture)
        given = None if backbone is None else copy.deepcopy(backbone.backbone)
        self._method = blueprint.build(config.seed, backbone=given)
        self._runtime.prepare(self._method)
        self.weights = _size(self._method)
        with self._runtime.rules():
            few = min(_FEW, self.batch_size)
            self.activations = self._kept_by(few) * self.batch_size // few  # This one warms up, too.
            seconds, count = min(self._try(few), self._try(few)), few
            if seconds < _QUICK_SECONDS:
                seconds, count = min(self._try(self.batch_size), self._try(self.batch_size)), self.batch_size
            self.step_seconds = seconds * self.batch_size / count
            self.embedding_seconds = outline.count * self._embed(count)

    def _try(self, count: int) -> float:
        """Seconds of a step on `count` images, as in the warm-up, which needs no E-step."""
        images = torch.randint(0, 256, (count, *self._shape), dtype=torch.uint8, generator=_draw())
        store = Store(images.numpy(), [""] * count)
        feed = ImageFeed(
            store, Normalisation(*store.channel_statistics()), config=self._config.augment, views=self._method.views,
            batch_size=count, device=self._runtime.device, seed=self._config.seed,
        )  # fmt: skip
        train = replace(self._config.train, epochs=2, warmup_epochs=1, batch_size=count, accumulate=1)
        loop = Loop(self._method, feed, train, self._config.seed, self._runtime.device)
        began = time.perf_counter()
        loop.maximise(0, None)
        return time.perf_counter() - began

    def _kept_by(self, count: int) -> int:
        """Bytes that a step on `count` images keeps for its backward pass."""
        kept: dict[int, int] = {}

        def keep(values: Tensor) -> Tensor:
            storage = values.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return values

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values):
            self._try(count)
        return sum(kept.values())

    def _embed(self, count: int) -> float:
        """Seconds of embedding an image."""
        images = torch.rand((count, *self._shape), generator=_draw()).to(self._runtime.device)
        self._method.eval()
        with torch.inference_mode():
            self.features = int(self._method.embed(images).shape[1])
            began = time.perf_counter()
            self._method.embed(images)
        return (time.perf_counter() - began) / count


def _looking(config: RunConfig, backbone: Pretrained) -> float:
    """Seconds that a frozen backbone looks at an image."""
    runtime, shape = choose_runtime(config.device, config.precision), (backbone.channels, backbone.side, backbone.side)
    dtype = torch.bfloat16 if runtime.precision == "bfloat16" else torch.float32
    network = frozen(backbone.backbone, channels=shape[0], side=shape[-1], dtype=dtype).to(runtime.device)
    images = torch.rand((_FEW, *shape), generator=_draw()).to(runtime.device)
    with runtime.rules(), torch.inference_mode():
        network(images[:1])
        began = time.perf_counter()
        float(network(images).sum())  # Read back, as a device may be at work still.
    return (time.perf_counter() - began) / _FEW


def _draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _size(network: nn.Module) -> int:
    """Bytes of the weights."""
    return sum(value.nbytes for value in network.state_dict().values())
