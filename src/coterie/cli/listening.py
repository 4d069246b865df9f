"""Who listens to a command while it works, and what an interrupt does to it."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coterie.listener import Listener


# Two signals within this time are one.
_SAME_SECONDS = 1.0


class Listening:
    """A listener for the length of a command. Ctrl-C and SIGTERM end the command after the step at hand.

    In the middle of a step an interrupt could tear a file that is being written; a second one is taken at its word,
    unless it comes at once: a terminal and a launcher may each pass the same one on.
    """

    def __init__(self, options: argparse.Namespace, *, silent: bool = False) -> None:
        self._silent = silent or options.quiet
        self._asked = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Listener:
        from coterie.listener import Listener
        from coterie.progress import ConsoleListener

        self._listener = Listener() if self._silent else ConsoleListener()
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        return self._listener

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._listener.close()

    def _stop(self, number: int, _: object) -> None:
        from coterie.listener import Stopped

        if self._listener.stopping and time.monotonic() - self._asked > _SAME_SECONDS:
            raise Stopped(number)
        if not self._listener.stopping:
            self._listener.stopping, self._asked = number, time.monotonic()
