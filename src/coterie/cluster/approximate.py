"""Approximate nearest neighbours among very many points, by faiss.

It runs in a process of its own: torch and faiss each bring a runtime of OpenMP, and where both are loaded on macOS or
Windows the process may crash (github.com/faiss-wheels/faiss-wheels/issues/73).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from coterie.errors import CoterieError, UsageError

_PROGRAM = Path(__file__).with_name("inverted_file.py")


def check_faiss(what: str) -> None:
    """Raise a UsageError that gives the command if faiss, which `what` needs, is not installed; it is not imported."""
    if find_spec("faiss") is None:
        raise UsageError(f"{what} needs faiss: pip install 'coterie[atlas]'")


def approximate_neighbours(points: Tensor, k: int, among: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Nearly all of the k nearest neighbours of each point, by Euclidean distance.

    Args:
        points: (N, D) float32, finite, on the CPU.
        k: 1 ≤ k ≤ N, or the number of those `among` which they are sought.
        among: (S,) int64, the points that can be neighbours; None for all.

    Returns:
        Distances (N, k), rising along each row, and places (N, k) int64 among all points; a point that can be one is
        its own first neighbour.

    Raises:
        UsageError: faiss is not installed. CoterieError: it failed.
    """
    check_faiss(f"a map of {len(points)} images")
    with tempfile.TemporaryDirectory(prefix="coterie-") as name:
        folder = Path(name)
        np.save(folder / "points.npy", points.numpy())
        if among is not None:
            np.save(folder / "among.npy", among.numpy())
        command = [sys.executable, str(_PROGRAM), name, str(k), str(torch.get_num_threads())]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            said = ended.stderr.strip().splitlines() or [f"code {ended.returncode}"]
            raise CoterieError(f"faiss failed to find the neighbours of {len(points)} images: {said[-1]}")
        distances, places = (torch.from_numpy(np.load(folder / f"{each}.npy")) for each in ("distances", "places"))
    return _own_first(distances, places, among)


def _own_first(distances: Tensor, places: Tensor, among: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same with each point that can be its own neighbour before its copies."""
    rows = torch.arange(len(places)) if among is None else among
    own = places[rows] == rows.unsqueeze(1)
    own[:, -1] |= ~own.any(dim=1)  # It takes the place of a copy.
    places[rows] = torch.where(own, rows.unsqueeze(1), places[rows])
    distances[rows] = torch.where(own, -1.0, distances[rows])
    distances, order = distances.sort(dim=1, stable=True)
    return distances.clamp_(min=0), places.gather(1, order)
