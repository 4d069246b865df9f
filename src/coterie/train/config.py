"""Settings of the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coterie.errors import UsageError


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to learn; the defaults are those the ProPos family states for 32-pixel images.

    Args:
        epochs: passes over the data; 0 for a method that learns nothing.
        warmup_epochs: epochs of linear learning-rate warm-up, in which clustering losses are off.
        batch_size: images in a step, over all processes.
        accumulate: in how many parts, one after another, the encoder takes a process's share of a batch. Losses, heads
            and what is contrasted see the whole batch; the encoder's batch norms take each part's statistics. Needs
            that much less memory for activations, and up to a third more time.
        optimizer: "sgd", "lars" for large batches, "adam", or "adamw", whose weight decay is apart from the gradient.
        learning_rate: for 256 images; a step uses `learning_rate · batch_size / 256` (Adam: as it stands).
        schedule: of the learning rate after warm-up: "cosine", which falls to 0, or "constant".
        backbone_rate: the backbone's learning rate as a multiple of the rest's.
        momentum: of SGD and LARS.
        weight_decay: L2 penalty on every weight.
        embed_batch: images embedded at a time in the E-step.
        attraction: weight of the loss by which images that were named attract those of their name, see `--labels`.
    """

    epochs: int = 1000
    warmup_epochs: int = 50
    batch_size: int = 256
    accumulate: int = 1
    optimizer: Literal["sgd", "lars", "adam", "adamw"] = "sgd"
    learning_rate: float = 0.05
    schedule: Literal["cosine", "constant"] = "cosine"
    backbone_rate: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    embed_batch: int = 1024
    attraction: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch_size", 1), ("accumulate", 1), ("embed_batch", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"option 'train.{name}' must be at least {least}, got {getattr(self, name)}")
        if self.batch_size < 2:
            raise UsageError("option 'train.batch_size' must be at least 2, for batch normalisation")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise UsageError(
                f"option 'train.warmup_epochs' lies between 0 and epochs ({self.epochs}), got {self.warmup_epochs}"
            )
        for name in ("learning_rate", "backbone_rate"):
            if getattr(self, name) <= 0:
                raise UsageError(f"option 'train.{name}' must be above 0, got {getattr(self, name)}")
        if self.weight_decay < 0 or not 0 <= self.momentum < 1:
            raise UsageError("option 'train.weight_decay' must not be negative, and 0 ≤ train.momentum < 1")

    @property
    def base_rate(self) -> float:
        """The learning rate after warm-up."""
        return self.learning_rate * (1.0 if self.optimizer == "adam" else self.batch_size / 256)
