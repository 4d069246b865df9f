"""Where a run stands, and what depends on it: learning rate and target momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A place in a run, counted in steps.

    Args:
        step: steps taken before this one, from 0.
        steps_per_epoch: steps in an epoch.
        epochs: epochs of the whole run.
        warmup_epochs: epochs of linear learning-rate warm-up, in which clustering losses are switched off.
    """

    step: int
    steps_per_epoch: int
    epochs: int
    warmup_epochs: int = 0

    @property
    def epoch(self) -> int:
        return self.step // self.steps_per_epoch

    @property
    def warming_up(self) -> bool:
        return self.epoch < self.warmup_epochs


def learning_rate(progress: Progress, base: float, *, schedule: str) -> float:
    """The rate of a step by the schedule's name: "cosine" or "constant"."""
    return constant_learning_rate(progress, base) if schedule == "constant" else cosine_learning_rate(progress, base)


def constant_learning_rate(progress: Progress, base: float) -> float:
    """Linear rise to `base` over the warm-up epochs, then no change."""
    warmup = progress.warmup_epochs * progress.steps_per_epoch
    return base * (progress.step + 1) / warmup if progress.step < warmup else base


def cosine_learning_rate(progress: Progress, base: float) -> float:
    """Linear rise to `base` over the warm-up epochs, then half a cosine down to 0 at the last step."""
    warmup = progress.warmup_epochs * progress.steps_per_epoch
    total = progress.epochs * progress.steps_per_epoch
    if progress.step < warmup:
        return base * (progress.step + 1) / warmup
    done = (progress.step - warmup) / max(1, total - warmup)
    return base * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def rising_momentum(progress: Progress, base: float) -> float:
    """Target momentum rising from `base` to 1 by half a cosine (BYOL, arXiv 2006.07733, section 3.2)."""
    done = progress.step / (progress.epochs * progress.steps_per_epoch)
    return 1.0 - (1.0 - base) * 0.5 * (math.cos(math.pi * done) + 1.0)
