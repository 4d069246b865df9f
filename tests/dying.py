"""The command line, dying where it is told to: `python dying.py PLACE:WHEN ARGUMENTS…`.

PLACE is one of those below, and WHEN which time of coming there it is, or seconds. It dies by SIGKILL, so that nothing
is tidied up; at `signal`, WHEN is RANK,NUMBER,EPOCH and it goes on with that signal pending.
"""

from __future__ import annotations

import io
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from coterie import files
from coterie.cli import main
from coterie.data.feeding import loader
from coterie.data.reading import cache
from coterie.runs.folder import RunFolder
from coterie.train import checkpoint, estep
from coterie.train.loop import Loop
from coterie.workflow.steps import observer, write


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(call: Callable[..., Any], when: int) -> Callable[..., Any]:
    """`call`, but for the time numbered `when`."""
    times = itertools.count(1)

    def dying(*given: Any, **options: Any) -> Any:
        if next(times) == when:
            die()
        return call(*given, **options)

    return dying


def in_checkpoint(when: int) -> None:
    """Half of the checkpoint is written."""
    times, save = itertools.count(1), torch.save

    def dying(state: Any, stream: Any) -> None:
        if next(times) != when:
            return save(state, stream)
        whole = io.BytesIO()
        save(state, whole)
        stream.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        stream.flush()
        return die()

    checkpoint.torch.save = dying


def at_rename(when: int) -> None:
    """The checkpoint is whole, but beside its place."""
    checkpoint.write_atomically = _before_rename(files.write_atomically, when)


def _before_rename(write: Callable[..., None], when: int) -> Callable[..., None]:
    times = itertools.count(1)

    def dying(path: Any, content: Callable[[Any], Any]) -> None:
        if next(times) == when:
            part = path.with_name(f".{path.name}.part")
            with part.open("wb") as stream:
                content(stream)
            die()
        write(path, content)

    return dying


def in_e_step(when: int) -> None:
    """Everything is embedded, nothing is clustered."""
    estep.kmeans = die_at(estep.kmeans, when)


def in_embedding(when: int) -> None:
    """The first part of an E-step's images is embedded."""
    times, plain = itertools.count(1), loader.ImageFeed.plain

    def dying(feed: Any, batch_size: int) -> Any:
        last = next(times) == when
        for images in plain(feed, batch_size):
            yield images
            if last:
                die()

    loader.ImageFeed.plain = dying


def in_metrics(when: int) -> None:
    """Half a line is written."""
    times, add = itertools.count(1), RunFolder.add_metrics

    def dying(folder: RunFolder, record: dict[str, Any]) -> None:
        if next(times) == when:
            with folder.metrics.open("a") as stream:
                stream.write('{"epoch": 1')
                stream.flush()
                die()
        add(folder, record)

    RunFolder.add_metrics = dying


def in_step(when: int) -> None:
    Loop.step = die_at(Loop.step, when)


def in_reading(_: int) -> None:
    cache.ingest = die_at(cache.ingest, 1)


def in_results(when: int) -> None:
    """The table is there; the model, the pictures, the page or the summary is not."""
    name = ("save_model", "take_pictures", "write_report", "write_json")[when - 1]
    setattr(write, name, die_at(getattr(write, name), 1))


def after(seconds: float) -> None:
    """So long after learning began."""
    run = Loop.run

    def dying(loop: Loop, start: int = 0) -> None:
        threading.Thread(target=lambda: (time.sleep(seconds), die()), daemon=True).start()
        run(loop, start)

    Loop.run = dying


def from_the_start(seconds: float) -> None:
    """So long after the command began."""
    threading.Thread(target=lambda: (time.sleep(seconds), die()), daemon=True).start()


def signalled(rank: int, number: int, epoch: int) -> None:
    """As if a signal reached this process in the midst of an epoch."""
    record = observer.Observer.record

    def then(self: Any, found: Any) -> Any:
        if int(os.environ.get("RANK", "0")) == rank and found.number + 1 == epoch:
            os.kill(os.getpid(), number)
        return record(self, found)

    observer.Observer.record = then


PLACES: dict[str, Callable[[int], None]] = {
    "checkpoint": in_checkpoint, "rename": at_rename, "e-step": in_e_step, "embedding": in_embedding,
    "metrics": in_metrics, "step": in_step, "reading": in_reading, "results": in_results,
}  # fmt: skip


if __name__ == "__main__":
    place, _, when = sys.argv[1].partition(":")
    if place == "signal":
        signalled(*map(int, when.split(",")))
    elif place in ("after", "start"):
        {"after": after, "start": from_the_start}[place](float(when))
    else:
        PLACES[place](int(when))
    sys.exit(main(sys.argv[2:]))
