"""The third step: from images or features to trained networks."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.config import plain
from coterie.data.base import Rows
from coterie.data.feeding.augment import Normalisation
from coterie.data.feeding.edges import EdgeFeed
from coterie.data.feeding.features import Features
from coterie.data.feeding.loader import ImageFeed
from coterie.data.feeding.points import PointFeed
from coterie.data.reading.store import Store
from coterie.failures import translating
from coterie.methods import Method, learns
from coterie.nn.pretrained import Pretrained
from coterie.nn.pretrained.base import joined_labels
from coterie.processes import processes
from coterie.runs.config import RunConfig
from coterie.runs.model import Blueprint
from coterie.runs.named import Named
from coterie.train.checkpoint import Checkpoint
from coterie.train.loop import Loop
from coterie.train.runtime import Runtime, choose_runtime
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.look import normalisation_of
from coterie.workflow.steps.named import unnamed
from coterie.workflow.steps.observer import Observer
from coterie.workflow.steps.stopping import stepped


@dataclass(frozen=True)
class Learnt:
    """Trained networks, how they are built again, what images go through before them, and the seconds it took.

    `seconds` are those of all attempts. `held_out` (N,) bool marks what was kept out of learning; None where nothing
    was. `frozen` are what make features of images, for a method on features.
    """

    blueprint: Blueprint
    method: Method
    normalisation: Normalisation | None
    seconds: float
    held_out: npt.NDArray[np.bool_] | None = None
    frozen: tuple[Pretrained, ...] = ()


def learn(
    config: RunConfig, rows: Rows, backbones: tuple[Pretrained, ...], attempt: Attempt, named: Named | None = None
) -> Learnt:
    """Train on images or features.

    Args:
        config: of the run.
        rows: at least as many as clusters.
        backbones: the pretrained ones, if any: one for a method on images to start from, which is then used up; or
            what made the features.
        attempt: a checkpoint in its folder is resumed.
        named: what a person called some of the rows.

    Raises:
        UsageError: settings that do not fit the data. CoterieError: training failed; the last checkpoint is kept.
        ResourceError: disk, memory or device gave out; so is it then.
    """
    runtime = runtime_of(config)
    attempt.listener.shared = processes().count > 1
    with translating(), runtime.rules(attempt.note):
        trained = backbones[0] if backbones and isinstance(rows, Store) else None
        blueprint = blueprint_of(config, rows, backbones)
        method = blueprint.build(config.seed, backbone=None if trained is None else trained.backbone)
        method.check(len(rows))
        runtime.prepare(method)
        normalisation = normalisation_of(rows, config.data.normalisation, trained) if isinstance(rows, Store) else None
        frozen = () if isinstance(rows, Store) else backbones
        if isinstance(rows, Features):
            method.begin(torch.from_numpy(rows.values).to(runtime.device), _index(named, runtime.device))
        began = time.perf_counter()
        if not learns(config.method):
            return Learnt(blueprint, method, normalisation, 0.0, frozen=frozen)
        feed = feed_for(rows, normalisation, method, config, runtime)
        before = _run_loop(method, feed, unnamed(rows, named), config, attempt, _index(named, runtime.device))
        held_out = feed.held_out.cpu().numpy() if isinstance(feed, EdgeFeed) else None
        return Learnt(blueprint, method, normalisation, before + time.perf_counter() - began, held_out, frozen)


def runtime_of(config: RunConfig) -> Runtime:
    """The device and precision of a run."""
    return choose_runtime(config.device, config.precision, deterministic=config.deterministic, compiled=config.compiled)


def blueprint_of(config: RunConfig, rows: Rows, backbones: tuple[Pretrained, ...]) -> Blueprint:
    """How the networks of a run are built; a pretrained backbone is among them where it learnt from images."""
    name = joined_labels(backbones) or config.backbone
    architecture = backbones[0].architecture if backbones and isinstance(rows, Store) else None
    spaces = rows.spaces if isinstance(rows, Features) else ()
    return Blueprint(config.method, config.options, name, rows.shape, config.clusters, architecture, spaces)


def _index(named: Named | None, device: torch.device) -> Tensor | None:
    return None if named is None else torch.from_numpy(named.index).to(device)


def _run_loop(
    method: Method, feed: ImageFeed | PointFeed, rows: Rows, config: RunConfig, attempt: Attempt, named: Tensor | None
) -> float:
    """Run the loop, from the checkpoint if there is one; returns the seconds that earlier attempts took."""
    group, folder, listener = processes(), attempt.folder, attempt.listener
    loop = Loop(method, feed, config.train, config.seed, feed.device, named, on_step=lambda: stepped(listener, group))
    checkpoint = None if folder is None else Checkpoint(folder.checkpoint, rows.fingerprint())
    done, before = (0, 0.0) if checkpoint is None else checkpoint.restore(method, loop.optimizer)
    if done:
        attempt.note(f"resuming after epoch {done} of {config.train.epochs}")
    group.wait()  # Until everyone has read the checkpoint, which the first one will write over.
    kept = (folder, checkpoint) if group.first else (None, None)
    if attempt.tracking is not None:
        attempt.tracking.begin(plain(config), done)
    began = time.perf_counter()
    loop.on_epoch = Observer(loop, rows, listener, *kept, began - before, done, attempt.tracking)
    listener.begin("learning", (config.train.epochs - done) * feed.steps_per_epoch, "steps")
    listener.describe(f"epoch {done}/{config.train.epochs}")
    loop.run(done)
    listener.end()
    return before


def feed_for(
    rows: Rows, normalisation: Normalisation | None, method: Method, config: RunConfig, runtime: Runtime
) -> ImageFeed | PointFeed:
    """What the method learns from: augmented views of images, or what it makes of features."""
    batch_size, device, seed = config.train.batch_size, runtime.device, config.seed
    if isinstance(rows, Features) and method.feeding is not None:
        return method.feeding.feed(rows, batch_size=batch_size, device=device, seed=seed)
    assert isinstance(rows, Store)
    assert normalisation is not None
    return ImageFeed(
        rows, normalisation, config=config.augment, views=method.views, batch_size=batch_size, device=device, seed=seed
    )
