"""Whoever wants to hear how a run gets on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coterie.train.loop import Epoch


class Stopped(KeyboardInterrupt):
    """A signal asked for the end, and between two steps nothing is half done; `signal` is its number."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class Listener:
    """Hears of a run's progress; this one keeps silent. Stages follow one another and do not nest.

    Where `stopping` is set, to the number of a signal, the next `advance` raises `Stopped`; not where processes work
    in step, and `shared` is set: they agree first, see `coterie.workflow.steps.stopping`.
    """

    stopping = 0
    # Whether a person reads along, for whom something may be found out that takes a moment.
    read = False
    shared = False

    def note(self, text: str) -> None:
        """Something a person may want to know."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """A stage of `total` steps of `unit` begins."""

    def advance(self, steps: int = 1) -> None:  # noqa: ARG002
        """Some steps are done."""
        if self.stopping and not self.shared:
            raise Stopped(self.stopping)

    def describe(self, *words: str) -> None:
        """How the stage goes, in short words of which the first is the most important."""

    def learnt(self, epoch: Epoch) -> None:
        """An epoch of learning is over; `epoch.health` holds embeddings of some hundred images, the same every time."""

    def end(self) -> None:
        """The stage is over."""

    def close(self) -> None:
        """Nothing more will come, whatever happened."""
