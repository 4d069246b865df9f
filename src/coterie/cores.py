"""How many cores this process may use, and how its threads wait for each other. Nothing here imports torch."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, MutableMapping

from coterie.control_groups import control_groups

# How often a waiting thread looks before it sleeps. By default GNU's OpenMP looks 300 000 times, and where the thread
# it waits for has no core, all of them and in every operation; with none, steps alone are as fast. LLVM's and Intel's
# count milliseconds.
_LOOKS, _MILLISECONDS = 0, 0
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def cores() -> int:
    """Cores this process may use: of the machine's, those it is bound to and what its control groups grant."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([bound, *_granted()])


def share_cores(environment: MutableMapping[str, str]) -> None:
    """Let torch's threads be no more than there are cores for them, and wait without keeping others from theirs.

    OpenMP reads the environment once, when torch is loaded; so do processes started from here. What a user has set
    stands.
    """
    if not any(name in environment for name in _WAITING):
        environment.update(GOMP_SPINCOUNT=str(_LOOKS), KMP_BLOCKTIME=str(_MILLISECONDS))
    granted = min(_granted(), default=None)
    if granted is not None and granted < (os.cpu_count() or 1):  # What it is bound to, OpenMP sees by itself.
        environment.setdefault("OMP_NUM_THREADS", str(cores()))


def _granted() -> Iterator[int]:
    """Cores that control groups leave, as a share of time, rounded up."""
    for group in control_groups("cpu"):
        # Where there is no limit, version 2 says "max" and version 1 says -1.
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            if (version_2 := group / "cpu.max").exists():
                quota, period = map(int, version_2.read_text("ascii").split())
            else:
                quota, period = (int((group / f"cpu.cfs_{name}_us").read_text("ascii")) for name in ("quota", "period"))
            if quota > 0:
                yield math.ceil(quota / period)
