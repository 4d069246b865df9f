"""TEMI: heads on frozen features that agree on neighbours (Adaloglou et al., arXiv 2303.17896)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from coterie.data.feeding.pairs import Pairing
from coterie.errors import UsageError
from coterie.losses.temi import agreement, running_probabilities, temi
from coterie.methods._on_features import OnFeatures, at_least, positive
from coterie.methods.base import Batch
from coterie.nn.ema import target_of, update
from coterie.nn.stacked_heads import StackedHeads
from coterie.schedule import Progress


@dataclass(frozen=True)
class TEMIConfig:
    """Settings of TEMI.

    Args:
        neighbours: by cosine, that an image's partner is drawn from; of few images at most half of a mean cluster's.
        heads: that learn side by side; the one of the smallest loss in the last epoch assigns.
        hidden, bottleneck: widths of a head's layers.
        beta: 1 for the plain information between neighbours; less keeps clusters alive.
        weighted: let pairs count by how far the teachers agree on them.
        student_temperature, teacher_temperature: τ of the softmax.
        momentum: of the teachers.
        probabilities_momentum: of the running class probabilities.
        last_frozen: epochs in which the heads' last layer stands still.
        scaled: take each feature vector at the length √D, so that no setting depends on the features' scale.
    """

    neighbours: int = 50
    heads: int = 16
    hidden: int = 512
    bottleneck: int = 256
    beta: float = 0.6
    weighted: bool = True
    student_temperature: float = 0.1
    teacher_temperature: float = 0.1
    momentum: float = 0.996
    probabilities_momentum: float = 0.9
    last_frozen: int = 1
    scaled: bool = True

    def __post_init__(self) -> None:
        at_least(self, neighbours=1, heads=1, hidden=1, bottleneck=1, last_frozen=0)
        positive(self, "student_temperature", "teacher_temperature")
        for name, most in (("beta", "at most 1"), ("momentum", "below 1"), ("probabilities_momentum", "below 1")):
            value, closed = getattr(self, name), name == "beta"
            if not (0 < value <= 1 if closed else 0 <= value < 1):
                raise UsageError(f"option 'options.{name}' lies above 0 and is {most}, got {value}")


class TEMI(OnFeatures):
    """Every head's student on an image is to know what its teacher makes of a neighbour, and the other way round.

    The teachers follow the students after each step. Pairs count by how far all heads' teachers agree on them. The
    sums of the heads' losses over an epoch say which head assigns.
    """

    Config = TEMIConfig
    least_steps: ClassVar[int] = 2000
    train_defaults: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "schedule": "constant",
        "weight_decay": 1e-4,
        "batch_size": 1024,
        "epochs": 100,
        "warmup_epochs": 20,
    }
    probabilities: Tensor
    epoch_losses: Tensor

    def __init__(self, config: TEMIConfig, spaces: Sequence[int], *, n_clusters: int) -> None:
        super().__init__(spaces)
        self.config = config
        self.n_clusters = n_clusters
        self.feeding = Pairing(config.neighbours, n_clusters)
        self.student = StackedHeads(sum(spaces), config.hidden, config.bottleneck, n_clusters, heads=config.heads)
        self.teacher = target_of(self.student)
        self.register_buffer("probabilities", torch.full((config.heads, n_clusters), 1 / n_clusters))
        self.register_buffer("epoch_losses", torch.zeros(config.heads))

    @property
    def best_head(self) -> Tensor:
        """The head (1,) of the smallest loss in the latest epoch."""
        return self.epoch_losses.argmin().view(1)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        of_heads = self.head_losses(views, last_frozen=batch.progress.epoch < self.config.last_frozen)
        if batch.progress.step % batch.progress.steps_per_epoch == 0:
            self.epoch_losses.zero_()
        self.epoch_losses += of_heads.detach()
        return {"information": of_heads.mean()}

    def head_losses(self, views: Sequence[Tensor], *, last_frozen: bool = False) -> Tensor:
        """Each head's loss (H,) on images (n, D) and their partners; the running class probabilities move first."""
        config, both = self.config, self._given(torch.cat(list(views)))
        students = (self.student(both, last_frozen=last_frozen) / config.student_temperature).log_softmax(dim=2)
        with torch.no_grad():
            teachers = (self.teacher(both) / config.teacher_temperature).log_softmax(dim=2)
            certain = teachers.exp()
            moved = running_probabilities(self.probabilities, certain, momentum=config.probabilities_momentum)
            self.probabilities.copy_(moved)
            first, second = certain.chunk(2, dim=1)
            weights = agreement(first, second) if config.weighted else torch.ones_like(first[0, :, 0])
        one, other = students.chunk(2, dim=1)
        pair = cast(tuple[Tensor, Tensor], teachers.chunk(2, dim=1))
        return temi((one, other), pair, moved, weights, beta=config.beta)

    def after_step(self, progress: Progress) -> None:  # noqa: ARG002
        update(self.teacher, self.student, self.config.momentum)

    def assign(self, images: Tensor) -> Tensor:
        """Probabilities (n, K) of the best head's teacher."""
        logits = self.teacher(self._given(images), self.best_head).squeeze(0)
        return cast(Tensor, (logits / self.config.teacher_temperature).softmax(dim=1))

    def parameter_groups(self) -> list[dict[str, Any]]:
        biases = [value for name, value in self.student.named_parameters() if name.endswith("bias")]
        others = [value for name, value in self.student.named_parameters() if not name.endswith("bias")]
        return [{"params": others, "rate": 1.0}, {"params": biases, "rate": 1.0, "weight_decay": 0.0}]

    def _given(self, images: Tensor) -> Tensor:
        return self.at_length(images) if self.config.scaled else self.features(images)


METHOD = TEMI
