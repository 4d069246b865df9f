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
from torch.nn import functional as F

from coterie.data.base import Outline
from coterie.data.feeding.augment import Normalisation
from coterie.data.feeding.features import Features
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.methods import learns, method_type
from coterie.nn.frozen import frozen
from coterie.nn.pretrained import Pretrained
from coterie.plan.timing import step_seconds
from coterie.runs.config import RunConfig
from coterie.runs.model import Blueprint
from coterie.schedule import Progress
from coterie.train.estep import cluster
from coterie.train.loop import Loop
from coterie.train.runtime import choose_runtime

# A step on so many images tells the pace where whole batches would take so long, by that; others are tried on these.
_FEW = 8
_LONG_SECONDS = 20.0
# Whole batches that are tried in turn; points that are grouped.
_BATCHES, _POINTS = 12, 2048
# Images that the monitor looks at.
_LOOKS = 512
# Of the page and its pictures, and of what Python and torch take by themselves.
_PAGE, _PROCESS = 8_000_000, 450_000_000


@dataclass(frozen=True)
class Estimate:
    """What learning and grouping take, in `seconds`; `memory` and `disk` in bytes. Reading and the page come on top."""

    seconds: float
    memory: int
    disk: int


@dataclass(frozen=True)
class Pace:
    """What a run takes on this machine whatever its length, by its `epochs`: seconds of one, and those besides."""

    epoch_seconds: float
    other_seconds: float
    memory: int
    disk: int

    def of(self, epochs: int) -> Estimate:
        """What so many epochs take."""
        return Estimate(self.other_seconds + epochs * self.epoch_seconds, self.memory, self.disk)


def measured(config: RunConfig, outline: Outline, backbones: Sequence[Pretrained], spaces: Sequence[int]) -> Pace:
    """Try a few steps of a run, on noise; nothing is written, and no state is left changed.

    Args:
        spaces: widths of the feature spaces, where the source holds them.
    """
    if method_type(config.method).inputs == "features":
        return _on_features(config, outline, backbones, spaces)
    backbone = backbones[0] if backbones else None
    channels = backbone.channels if backbone is not None else outline.bands or (1 if outline.grey else 3)
    shape = (channels, config.data.side, config.data.side)
    images = outline.count * math.prod(shape)
    trial = _Trial(config, shape, outline, backbone)
    embeddings = 4 * trial.features * outline.count
    # Weights, their gradients and momenta; the checkpoint holds two of these, the model one.
    memory = _PROCESS + images + 3 * trial.weights + trial.activations + 3 * embeddings
    looks = min(_LOOKS, outline.count) / outline.count * trial.embedding_seconds  # After every epoch, at some.
    epoch = outline.count // trial.batch_size * trial.step_seconds + trial.expecting_seconds + looks
    return Pace(epoch, trial.embedding_seconds, memory, _PAGE + 3 * trial.weights + embeddings)


def _on_features(config: RunConfig, outline: Outline, backbones: Sequence[Pretrained], spaces: Sequence[int]) -> Pace:
    """The pace of a method on features, which `backbones` make first where the source holds none."""
    count = outline.count
    looking = count * sum(_looking(config, each) for each in backbones)
    weights = sum(_size(each.backbone) for each in backbones)
    # Images of one size are held at a time.
    images = count * max((each.channels * each.side**2 for each in backbones), default=0)
    spaces = [cast(int, each.backbone.features) for each in backbones] or spaces
    learning = _of_features(config, count, spaces) if learns(config.method) else 0.0
    features = 4 * count * max(1024, sum(spaces))
    return Pace(learning, looking, _PROCESS + images + weights + features, _PAGE + weights + features)


def _of_features(config: RunConfig, count: int, spaces: Sequence[int]) -> float:
    """Seconds of an epoch of a method on feature vectors, tried on some of noise."""
    few = min(count, max(_POINTS, 2 * config.train.batch_size))
    values = torch.randn(few, sum(spaces), generator=_draw()).numpy()
    several = tuple(spaces) if len(spaces) > 1 else ()
    features = Features(values, [str(place) for place in range(few)], spaces=several)
    runtime = choose_runtime(config.device, config.precision, deterministic=config.deterministic)
    method = Blueprint(
        config.method, config.options, config.backbone, features.shape, config.clusters, spaces=several
    ).build(0)
    runtime.prepare(method)
    with runtime.rules():
        method.begin(torch.from_numpy(features.values).to(runtime.device))
        assert method.feeding is not None
        feed = method.feeding.feed(features, batch_size=config.train.batch_size, device=runtime.device, seed=0)
        train = replace(config.train, epochs=2, warmup_epochs=min(1, config.train.warmup_epochs))
        loop = Loop(method, feed, train, 0, runtime.device)
        steps = feed.steps_per_epoch * (1 if hasattr(config.options, "steps_per_epoch") else count / few)
        return steps * step_seconds(loop)


class _Trial:
    """A method on images, tried by steps on few of noise, or on whole batches where these are quick."""

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
            seconds, count = step_seconds(self._loop(few, batches=2)), few
            if seconds * self.batch_size / few < _LONG_SECONDS:
                seconds, count = step_seconds(self._loop(self.batch_size, batches=_BATCHES)), self.batch_size
            self.step_seconds = seconds * self.batch_size / count
            self.embedding_seconds = outline.count * self._embed(count)
            self.expecting_seconds = self._expect(outline.count)

    def _loop(self, count: int, *, batches: int) -> Loop:
        """A warm-up, which needs no E-step, on so many batches of `count` images."""
        shape = (batches * count, *self._shape)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=_draw())
        store = Store(images.numpy(), [""] * len(images))
        feed = ImageFeed(
            store, Normalisation(*store.channel_statistics()), config=self._config.augment, views=self._method.views,
            batch_size=count, device=self._runtime.device, seed=self._config.seed,
        )  # fmt: skip
        train = replace(self._config.train, epochs=2, warmup_epochs=1, batch_size=count, accumulate=1)
        return Loop(self._method, feed, train, self._config.seed, self._runtime.device)

    def _expect(self, count: int) -> float:
        """Seconds of an E-step on `count` images, if the method asks for one: embedding them and grouping some."""
        asked = self._method.e_step(Progress(1, 1, 2, 0))
        if asked is None:
            return 0.0
        some = min(count, max(_POINTS, *asked.granularities))
        # As embeddings are: around centers, and nearly of one length.
        centers = torch.randn(self._config.clusters, self.features, generator=_draw())
        noise = torch.randn(some, self.features, generator=_draw())
        points = centers[torch.arange(some) % len(centers)] + 0.5 * noise
        points = F.normalize(points, dim=1).to(self._runtime.device)
        began = time.perf_counter()
        for n_clusters in asked.granularities:
            cluster(points, some, n_clusters, asked, torch.Generator(points.device).manual_seed(0))
        return self.embedding_seconds + (time.perf_counter() - began) * count / some

    def _kept_by(self, count: int) -> int:
        """Bytes that a step on `count` images keeps for its backward pass."""
        kept: dict[int, int] = {}

        def keep(values: Tensor) -> Tensor:
            storage = values.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return values

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values):
            self._loop(count, batches=1).maximise(0, None)
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
