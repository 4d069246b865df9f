"""Checkpoints: written whole or not at all, and read without executing anything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from coterie.errors import CoterieError
from coterie.failures import translated
from coterie.files import write_atomically
from coterie.methods.base import Method
from coterie.untrusted import check_growth

FORMAT = 1


@dataclass
class Checkpoint:
    """The state of a run after some epochs, kept in one file.

    Saving takes at most about a twentieth of the time: an epoch shorter than twenty saves may go without, and after a
    kill is repeated, to the same result.

    Args:
        path: the file.
        fingerprint: of the data, see `Store.fingerprint`.
    """

    path: Path
    fingerprint: int
    _last_end: float = float("-inf")
    _last_cost: float = 0.0

    def save(
        self, method: Method, optimizer: torch.optim.Optimizer, *, epochs: int, seconds: float, last: bool
    ) -> None:
        """Keep the state after `epochs` epochs and `seconds` of work, unless the latest save was too recent.

        Raises:
            ResourceError: the file cannot be written; the earlier one is kept.
        """
        began = time.perf_counter()
        if not last and began - self._last_end < 20 * self._last_cost:
            return
        state = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "epochs": epochs,
            "seconds": seconds,
            "method": method.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        write_atomically(self.path, lambda stream: torch.save(state, stream))
        self._last_end = time.perf_counter()
        self._last_cost = self._last_end - began

    def restore(self, method: Method, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
        """Take up the saved state; returns the epochs done and the seconds they took, (0, 0.0) without a file.

        Raises:
            CoterieError: the file is damaged, of another version, or belongs to other data or another configuration.
        """
        if not self.path.exists():
            return 0, 0.0
        state = self._load(method.device)
        if state["fingerprint"] != self.fingerprint:
            raise CoterieError(
                f"the images changed since {self.path.parent} was started: restore them, or start a new run"
            )
        try:
            method.load_state_dict(state["method"])
            optimizer.load_state_dict(state["optimizer"])
            _lay_out(optimizer)
        except (RuntimeError, ValueError, KeyError):
            raise CoterieError(f"{self.path} does not fit its config.yaml: start a new run") from None
        return int(state["epochs"]), float(state["seconds"])

    def _load(self, device: torch.device) -> dict[str, Any]:
        try:
            with self.path.open("rb") as stream:
                check_growth(stream)
            state = torch.load(self.path, map_location=device, weights_only=True)
        except Exception as error:  # A damaged archive or a hostile pickle raises nearly anything.
            if (failure := translated(error)) is not None:
                raise failure from None
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CoterieError(f"{self.path} is damaged ({reason}): start a new run") from None
        wanted = {"fingerprint", "epochs", "seconds", "method", "optimizer"}
        if not isinstance(state, dict) or state.get("format") != FORMAT or not wanted <= state.keys():
            raise CoterieError(f"{self.path} is not a checkpoint this version reads: start a new run")
        return state


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give what is kept for a parameter its memory layout, which fused optimisers take for granted.

    The layout of a device that the run was begun on may be another. Raises a ValueError where what is kept has neither
    the parameter's shape nor is a number: torch compares none.
    """
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, torch.Tensor) and value.ndim:
                if value.shape != parameter.shape:
                    raise ValueError(f"{tuple(value.shape)} is kept for {tuple(parameter.shape)}")
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
