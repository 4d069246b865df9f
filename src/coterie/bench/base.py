"""What every measurement shares: how long it may take, and alternating medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from coterie.devices import accelerator, wait_for


@dataclass(frozen=True)
class Budget:
    """How thoroughly to measure.

    Args:
        repeats: of each side.
        quick: small problems, to see that everything runs; their ratios mean nothing.
        device: where ours runs; baselines that know no accelerator stay on the CPU.
    """

    repeats: int = 5
    quick: bool = False
    device: str = "cpu"

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True)
class Result:
    """One line: `ours` beside `baseline` in `unit`; a `ratio` above 1 means ours is better, whatever the unit."""

    name: str
    unit: str
    ours: float
    baseline: float
    baseline_name: str
    ratio: float
    note: str = ""


def alternate(
    name: str,
    ours: Callable[[], object],
    baseline: Callable[[], object],
    baseline_name: str,
    budget: Budget,
    *,
    amount: float | None = None,
    unit: str = "seconds",
    note: str = "",
) -> Result:
    """Run both sides in turn, once to warm up and then `repeats` times; medians of seconds, or of `amount` a second."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(budget.repeats + 1):
        for run, kept in ((ours, times[0]), (baseline, times[1])):
            began = time.perf_counter()
            run()
            wait_for(accelerator())
            if repeat or budget.quick:
                kept.append(time.perf_counter() - began)
    first, second = (statistics.median(kept) for kept in times)
    values = (first, second) if amount is None else (amount / first, amount / second)
    rounded = [float(f"{value:.4g}") for value in values]
    return Result(name, unit, rounded[0], rounded[1], baseline_name, round(second / first, 3), note)
