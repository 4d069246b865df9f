"""Weights & Biases. Its own settings hold: WANDB_MODE=offline, WANDB_PROJECT, WANDB_ENTITY; files go to RUN/wandb."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Any

from coterie.extras import require
from coterie.trackers.base import Start


def check() -> None:
    _package()


class WeightsAndBiases:
    """A resumed run goes on under the same id; offline, in a second folder, which `wandb sync` joins to the first."""

    def __init__(self, start: Start) -> None:
        wandb = _package()
        self.identity = start.identity or secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "coterie"),
            name=start.folder.name,
            id=self.identity,
            resume="allow",
            dir=str(start.folder),
            config=dict(start.settings),
            # Standard output and error are ours.
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self._run.log(dict(values), step=epoch)

    def finish(self, summary: Mapping[str, float], *, failed: bool) -> None:
        for name, value in summary.items():
            self._run.summary[name] = value
        self._run.finish(exit_code=int(failed))


def _package() -> Any:
    return require("wandb", extra="wandb", what="--track wandb")


TRACKER = WeightsAndBiases
