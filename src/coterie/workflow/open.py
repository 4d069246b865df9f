"""`coterie open`: the page of a run, served to this machine alone, so that what is said there is kept and acted on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coterie.listener import Listener
from coterie.live.gate import Answer, serving
from coterie.live.run import OpenRun
from coterie.runs.folder import RunFolder
from coterie.workflow.refine import refine

# Seconds between looks at whether the end is asked for.
_PAUSE = 0.2


def open_run(run: Path, listener: Listener, *, port: int = 0, opened: Callable[[str], object] = lambda _: None) -> None:
    """Serve the page of a finished run until `listener.stopping` is set; what is under way is ended first.

    Args:
        port: of the loopback; 0 for any that is free.
        opened: called with the address, once it is served.

    Raises:
        UsageError: the run is not finished, or the port is taken. CoterieError: a file of the run is damaged.
    """
    runs = OpenRuns(listener)
    first = runs.add(run)
    with serving(runs.answer, port) as address:
        opened(f"{address}{first}/")
        while not listener.stopping:
            time.sleep(_PAUSE)
    runs.end()


class OpenRuns:
    """The runs whose pages are served, by number: the one that was asked for, and those that were refined out of it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._runs: list[OpenRun] = []
        self._refining = threading.Lock()

    def add(self, run: Path) -> int:
        """The number of a run's page, below which it answers."""

        def refined(groups: int | None) -> int:
            return self._refined(RunFolder(run), groups)

        self._runs.append(OpenRun(RunFolder(run), refined))
        return len(self._runs) - 1

    def answer(self, name: str, asked: Any) -> Answer | None:
        """What is at `NUMBER/NAME`; None where there is nothing."""
        number, parted, rest = name.partition("/")
        known = {str(place): run for place, run in enumerate(self._runs)}
        return known[number].answer(rest, asked) if parted and number in known else None

    def end(self) -> None:
        """Wait for what is being made, which hears of the end by the listener."""
        for run in self._runs:
            run.end()

    def _refined(self, folder: RunFolder, groups: int | None) -> int:
        with self._refining, contextlib.closing(self._listener):
            labels = folder.labels if folder.labels.is_file() else None
            made = refine(folder.root, labels, self._listener, clusters=groups)
            self._listener.note(f"refined into {made.folder}")
            return self.add(made.folder)
