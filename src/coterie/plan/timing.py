"""How long a step of learning takes here, on a machine that may be busy with other things."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Sequence

from coterie.devices import wait_for
from coterie.train.loop import Loop

# Steps that are tried at least, or seconds that they take.
_STEPS, _SECONDS = 24, 1.5
# Trying goes on while the later half takes less than this share of the earlier, for so many seconds at most.
_FASTER, _LONGEST = 0.85, 10.0


def step_seconds(loop: Loop) -> float:
    """Seconds of a step, the median of the later half of those tried.

    Beside other work the first take many times as long as those after, until the system has found threads their cores.
    """
    times = [time.perf_counter()]

    def tick() -> None:
        wait_for(loop.device.type)
        times.append(time.perf_counter())
        if _settled(times):
            raise _Enough

    loop.on_step = tick
    with contextlib.suppress(_Enough):
        while True:
            loop.maximise(0, None)
    taken = [after - before for before, after in itertools.pairwise(times)]
    return statistics.median(taken[len(taken) // 2 :])


def _settled(times: Sequence[float]) -> bool:
    """Whether steps that ended at these `times` were enough: several, and the later half not faster by far."""
    steps, passed = len(times) - 1, times[-1] - times[0]
    if steps < _STEPS and (steps < 2 or passed < _SECONDS):
        return False
    middle = times[steps // 2]
    earlier, later = (middle - times[0]) / (steps // 2), (times[-1] - middle) / (steps - steps // 2)
    return later > _FASTER * earlier or passed > _LONGEST


class _Enough(Exception):
    """Enough steps were tried."""
