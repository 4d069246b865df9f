"""What every step of a run is given beside its inputs: who listens, and where things are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from coterie.listener import Listener
from coterie.runs.folder import RunFolder
from coterie.workflow.steps.tracking import Tracking


@dataclass(frozen=True)
class Attempt:
    """One attempt at a run, perhaps the first of several.

    Args:
        listener: hears of the progress.
        folder: where checkpoints, metrics and results are kept; None keeps nothing.
        tracking: the run's trackers.
        resuming: whether an earlier attempt goes on.
        like: a run whose images these have to be; None for any.
    """

    listener: Listener = field(default_factory=Listener)
    folder: RunFolder | None = None
    tracking: Tracking | None = None
    resuming: bool = False
    like: RunFolder | None = None

    @property
    def note(self) -> Callable[[str], None]:
        return self.listener.note
