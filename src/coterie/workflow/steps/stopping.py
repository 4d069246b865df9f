"""How several processes stop for a signal that reached any of them: all at the same place, and none left waiting."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from coterie.errors import CoterieError
from coterie.listener import Listener, Stopped
from coterie.processes import Processes

_EVERY_SECONDS = 0.25


def agree(listener: Listener, group: Processes) -> None:
    """Come here together; raises `Stopped` in all processes if a signal reached one of them."""
    number = group.greatest(listener.stopping)
    if number:
        raise Stopped(number)


def stepped(listener: Listener, group: Processes) -> None:
    """What follows every step that all processes take: a word of progress, and the end of all if one is to end."""
    listener.advance()
    if group.count > 1:
        agree(listener, group)


@contextlib.contextmanager
def hearing(listener: Listener, group: Processes) -> Iterator[None]:
    """While the first process works alone, hear of signals that reached others: the next `advance` stops it."""
    if group.count == 1:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        with contextlib.suppress(CoterieError):  # The others are gone; the first call to them will tell.
            while not done.wait(_EVERY_SECONDS):
                if number := group.stop_called():
                    listener.stopping = number
                    return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
        listener.advance(0)
    finally:
        done.set()
        watcher.join()


def waiting(listener: Listener, group: Processes) -> Callable[[], None]:
    """What a process does while it waits for the first one: sleep a moment, and tell it of a signal."""
    called = False

    def pause() -> None:
        nonlocal called
        time.sleep(_EVERY_SECONDS / 10)
        if listener.stopping and not called:
            called = True
            group.call_stop(listener.stopping)

    return pause
