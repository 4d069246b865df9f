"""The contract of a tracker, which shows a run's figures while it lasts.

Each has a file with a class `TRACKER`, built from a `Start`, and a function `check()`, which raises a UsageError where
its package is missing. It may raise whatever it likes: a run goes on without a tracker that fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Start:
    """What a tracker is told when a run begins or goes on.

    Args:
        folder: of the run.
        settings: of the run, nested as in `config.yaml`.
        identity: what an earlier attempt's tracker called the run; None in the first.
        done: epochs that earlier attempts did.
    """

    folder: Path
    settings: Mapping[str, Any]
    identity: str | None = None
    done: int = 0


class Tracker(Protocol):
    """`identity` is what finds the tracker's own record of this run again; None where the folder does."""

    identity: str | None

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Keep figures by name after an epoch, counted from 1. An epoch that a resumed run repeats comes again."""
        ...

    def finish(self, summary: Mapping[str, float], *, failed: bool) -> None:
        """The run is over, with these last figures; none where it `failed` or was interrupted."""
        ...
