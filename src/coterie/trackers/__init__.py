"""One file per tracker. A tracker is found by its file's name, so adding one changes nothing here."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from coterie.errors import unknown
from coterie.trackers.base import Start, Tracker

__all__ = ["Start", "Tracker", "check_tracker", "start_tracker", "tracker_names"]


def tracker_names() -> list[str]:
    """The trackers there are."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if name != "base" and not name.startswith("_"))


def check_tracker(name: str) -> None:
    """Raise a UsageError if there is no tracker of that name, or its package is not installed."""
    _module(name).check()


def start_tracker(name: str, start: Start) -> Tracker:
    """The tracker `name`, at work."""
    tracker: Tracker = _module(name).TRACKER(start)
    return tracker


def _module(name: str) -> ModuleType:
    if name not in tracker_names():
        raise unknown("tracker", name, tracker_names())
    return importlib.import_module(f"{__name__}.{name}")
