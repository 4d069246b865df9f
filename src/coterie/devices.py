"""The accelerators torch may know: which are there, what they can do, and what they lack."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

# In the order "auto" looks for them.
ACCELERATORS = ("cuda", "mps", "xpu")
# What torch says when it takes an operation to the CPU.
_FALLBACK = re.compile(r"operator '?([\w:.]+)'? .*fall(?:ing)? ?back", re.DOTALL | re.IGNORECASE)


def available(kind: str) -> bool:
    """Whether an accelerator of this kind is there and torch was built for it."""
    backend = getattr(torch.backends, kind, None) if kind == "mps" else getattr(torch, kind, None)
    return backend is not None and bool(backend.is_available())


def accelerator() -> str:
    """The first kind there is, else "cpu"."""
    return next((kind for kind in ACCELERATORS if available(kind)), "cpu")


def widest(device: torch.device) -> torch.dtype:
    """The floats of most digits that a device has."""
    return torch.float32 if device.type == "mps" else torch.float64


def wide(values: Tensor) -> Tensor:
    """Values in the floats of most digits that their device has."""
    return values.to(widest(values.device))


def precise(values: Tensor) -> Tensor:
    """Values in float64, on the CPU where their device has none."""
    return values.double() if widest(values.device) == torch.float64 else values.cpu().double()


def room(device: torch.device) -> int:
    """Bytes that are free on an accelerator; 0 for the CPU and where torch does not tell."""
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    tell = getattr(getattr(torch, device.type, None), "mem_get_info", None)
    return 0 if tell is None or device.type == "cpu" else int(tell(device)[0])


def wait_for(kind: str) -> None:
    """Return when an accelerator of this kind has done all it was asked to."""
    if kind != "cpu" and available(kind):
        getattr(torch, kind).synchronize()


@contextlib.contextmanager
def telling_of_fallbacks(device: torch.device, note: Callable[[str], None]) -> Iterator[None]:
    """One note when the first operation goes to the CPU, in place of torch's warning for each."""
    told = False
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message: Any, *rest: Any, **more: Any) -> None:
            nonlocal told
            lacking = _FALLBACK.search(str(message))
            if lacking is None:
                show(message, *rest, **more)
            elif not told:
                told = True
                note(f"torch has no {lacking[1]} for {device.type}: it and the like are computed on the CPU")

        warnings.showwarning = tell
        yield
