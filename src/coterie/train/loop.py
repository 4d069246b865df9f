"""The EM loop: cluster the embeddings, learn from the clusters, repeat."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from coterie.errors import CoterieError, UsageError
from coterie.losses.attraction import attraction
from coterie.methods.base import Batch, Method
from coterie.nn.encoder import encoders_of
from coterie.processes import processes
from coterie.recorded import RecordedModule
from coterie.schedule import Progress, learning_rate
from coterie.seeding import generator
from coterie.train.config import TrainConfig
from coterie.train.estep import Expectation, expect
from coterie.train.feed import Feed
from coterie.train.gradients import share_gradients
from coterie.train.monitor import Health, check_sizes, examine
from coterie.train.optimizer import build_optimizer


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: `losses` by name (means over steps), pace, state, and its E-step if it had one."""

    number: int
    losses: dict[str, float]
    learning_rate: float
    seconds: float
    pairs_per_second: float
    health: Health
    expectation: Expectation | None


@dataclass
class Loop:
    """Trains a method on a feed.

    Args:
        method: on its device, see `Runtime.prepare`.
        feed: what to learn from.
        config: how long and how fast.
        seed: of the run.
        device: of the method.
        named: (N,) int64, the name a person gave each image, −1 where none; None for no names at all.
        on_step: called after every step, for a progress display.
        on_epoch: called after every epoch that did not go wrong; may save a checkpoint.

    Raises:
        UsageError: a batch that cannot be divided as `config.accumulate` asks.
    """

    method: Method
    feed: Feed
    config: TrainConfig
    seed: int
    device: torch.device
    named: Tensor | None = None
    on_step: Callable[[], None] = lambda: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None  # noqa: ARG005
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = build_optimizer(self.method, self.config)
        divide_batches(self.method, self.config.accumulate, self.feed.batch_size)
        for encoder in encoders_of(self.method):
            encoder.recorded = RecordedModule()
        if self.named is not None:
            self.named = self.named.to(self.device)
            self.feed.heed(self.named.cpu())

    def run(self, start: int = 0) -> None:
        """Train from epoch `start` to the last.

        Raises:
            CoterieError: a loss or an embedding is no longer finite, or learning collapsed.
        """
        try:
            for number in range(start, self.config.epochs):
                self.on_epoch(self._epoch(number))
        finally:
            for encoder in encoders_of(self.method):
                encoder.recorded = None
            if self.device.type == "cuda":
                gc.collect()  # A recording holds itself, and as much of the device's memory as a step takes.

    def _epoch(self, number: int) -> Epoch:
        began = time.perf_counter()
        expectation = self.expect(number)
        losses, rate = self.maximise(number, expectation)
        check_finite(losses, number)
        health = examine(self.method, self.feed, number)
        seconds = time.perf_counter() - began
        pairs = self.feed.steps_per_epoch * self.feed.batch_size
        return Epoch(number, losses, rate, seconds, pairs / seconds, health, expectation)

    def progress(self, step: int) -> Progress:
        return Progress(step, self.feed.steps_per_epoch, self.config.epochs, self.config.warmup_epochs)

    def expect(self, epoch: int) -> Expectation | None:
        """E-step, if the method asks for one."""
        asked = self.method.e_step(self.progress(epoch * self.feed.steps_per_epoch))
        if asked is None:
            return None
        expectation = expect(
            self.method, self.feed, asked, batch_size=self.config.embed_batch, seed=self.seed, epoch=epoch,
            named=self.named,
        )  # fmt: skip
        check_sizes(expectation, self.method.n_clusters, epoch)
        self.method.receive(expectation.embeddings, expectation.clusterings)
        return expectation

    def maximise(self, epoch: int, expectation: Expectation | None) -> tuple[dict[str, float], float]:
        """M-step: one epoch of gradient steps. Returns the mean losses and the last learning rate of most weights."""
        self.method.train()
        labels = None if expectation is None else expectation.pseudo_labels
        totals: dict[str, Tensor] = {}
        batches = self.feed.batches(epoch, weights=self.method.sampling_weights())
        for step, (index, views) in enumerate(batches, start=epoch * self.feed.steps_per_epoch):
            progress = self.progress(step)
            rate = learning_rate(progress, self.config.base_rate, schedule=self.config.schedule)
            draw = generator(self.device, self.seed, "method", step)
            batch = Batch(index, None if labels is None else labels[index], progress, draw)
            for name, loss in self.step(views, batch, rate).items():
                # Summed on the device: reading a value here would make the device wait for every step.
                totals[name] = totals.get(name, 0.0) + loss.detach()
            self.on_step()
        means = {name: float(total) / self.feed.steps_per_epoch for name, total in totals.items()}
        return means, self.optimizer.param_groups[0]["lr"]

    def step(self, views: list[Tensor], batch: Batch, rate: float) -> dict[str, Tensor]:
        """One gradient step."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * (self.config.base_rate if group.get("constant") else rate)
        losses = self.method.losses(views, batch) | self._attraction(batch)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        share_gradients(self.method)
        self.optimizer.step()
        self.method.after_step(batch.progress)
        return losses

    def _attraction(self, batch: Batch) -> dict[str, Tensor]:
        """The loss among the images of a batch that a person named, of what the encoder makes of all views."""
        encoder = getattr(self.method, "encoder", None)
        if self.named is None or encoder is None or not self.config.attraction:
            return {}
        seen = encoder.seen
        loss = attraction(torch.cat(list(seen)), self.named[batch.index].repeat(len(seen)))
        return {"names": self.config.attraction * loss}


def divide_batches(method: Method, parts: int, batch_size: int) -> None:
    """Let the method's encoders take batches in `parts`.

    Raises:
        UsageError: there is nothing to divide, or too little.
    """
    encoders = encoders_of(method)
    if parts > 1 and not encoders:
        raise UsageError("train.accumulate divides the work of an encoder, which a method on features lacks: set 1")
    most = max(1, batch_size // processes().count // 2)
    if parts > most:
        raise UsageError(
            f"a batch of {batch_size} cannot be taken in {parts} parts of two or more: set train.accumulate={most}"
        )
    for encoder in encoders:
        encoder.parts = parts


def check_finite(losses: dict[str, float], epoch: int) -> None:
    """Raise a CoterieError that names the first loss that is NaN or infinite."""
    for name, value in losses.items():
        if value != value or value in (float("inf"), float("-inf")):
            raise CoterieError(
                f"the {name} loss became {value} in epoch {epoch + 1}: lower train.learning_rate, or use "
                "--precision float32; the last checkpoint is kept"
            )
