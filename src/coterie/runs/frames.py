"""The map of a run in the making: where some of its points were, from time to time."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from coterie.data.base import Rows
from coterie.files import write_atomically
from coterie.methods.base import Method
from coterie.untrusted import open_pack

# Frames of an animation, and points in each: more would be seen no better.
_MOST_FRAMES, _MOST_POINTS = 40, 4000


@dataclass
class Frames:
    """Places (n, 2) on the map of the points `rows` (n,), after each of some epochs.

    Args:
        path: the `.npz` they are kept in while the run lasts.
        rows: evenly spaced places in the data.
        held_out: (n,) bool, which of them were kept out of learning.
        places: by the number of epochs done.
    """

    path: Path
    rows: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.bool_]
    places: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)

    @staticmethod
    def resume(path: Path, held_out: npt.NDArray[np.bool_], done: int) -> Frames:
        """The frames of the first `done` epochs kept at `path`, as far as they can be read."""
        rows = np.arange(0, len(held_out), -(-len(held_out) // _MOST_POINTS))
        frames = Frames(path, rows, held_out[rows])
        # A missing or damaged animation is no reason to stop a run.
        with contextlib.suppress(Exception), open_pack(path) as kept:
            for epoch, places in zip(kept["epochs"].tolist(), kept["places"], strict=True):
                if epoch <= done and places.shape == (len(rows), 2):
                    frames.places[epoch] = places
        return frames

    @torch.inference_mode()
    def take(self, method: Method, rows: Rows, done: int, total: int) -> None:
        """Keep a frame, if it is time for one."""
        if done != total and done % -(-total // _MOST_FRAMES):
            return
        training = method.training
        method.eval()
        places = method.embed(rows.rows(torch.from_numpy(self.rows)).to(method.device)).cpu().numpy()
        method.train(training)
        if places.shape[1] != 2:
            return  # Only a map in the plane can be shown as it is.
        self.places[done] = places
        content: dict[str, Any] = {
            "epochs": sorted(self.places),
            "places": [self.places[k] for k in sorted(self.places)],
        }
        write_atomically(self.path, lambda stream: np.savez(stream, **content))
