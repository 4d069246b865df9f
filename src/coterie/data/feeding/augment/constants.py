"""Small constant tensors, made once for each device: copying one to an accelerator would wait for all work on it.

They are kept for good, as recorded work (`coterie.recorded`) reads them where they lie.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


@functools.cache
def constant(values: tuple[Any, ...], device: torch.device) -> Tensor:
    """`values`, numbers or equally long tuples of them, as float32; not to be changed in place."""
    # Made during inference it could not be used in training later.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)
