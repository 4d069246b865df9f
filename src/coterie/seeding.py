"""Randomness without global state: every generator is derived from a seed and a place in the run."""

from __future__ import annotations

import zlib

import numpy as np
import torch


def derive(seed: int, *path: int | str) -> int:
    """A 63-bit seed for one purpose, e.g. `derive(seed, "augment", epoch, step, rank)`.

    Distinct paths give independent streams, so a resumed run draws what the undisturbed run drew.
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    state = np.random.SeedSequence([seed, *words]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def generator(device: torch.device | str, seed: int, *path: int | str) -> torch.Generator:
    """A generator on `device`, seeded by `derive(seed, *path)`."""
    return torch.Generator(device=device).manual_seed(derive(seed, *path))
