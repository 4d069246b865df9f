"""`coterie bench`: each part beside a plain baseline, run alternately. One file per part, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator

from coterie.bench.base import Budget, Result
from coterie.errors import unknown

__all__ = ["Budget", "Result", "measure", "part_names"]

_NOT_PARTS = ("base",)


def part_names() -> list[str]:
    """The parts there are, such as `train-step`."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in names if name not in _NOT_PARTS and not name.startswith("_"))


def measure(budget: Budget, only: str | None = None) -> Iterator[Result]:
    """Results, part by part.

    Raises:
        UsageError: `only` names no part.
    """
    if only is not None and only not in part_names():
        raise unknown("part", only, part_names())
    for name in part_names() if only is None else [only]:
        run: Callable[[Budget], Iterator[Result]] = importlib.import_module(
            f"{__name__}.{name.replace('-', '_')}"
        ).measure
        yield from run(budget)
