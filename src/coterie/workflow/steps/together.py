"""A run that several processes share: the first one reads, writes and speaks, the others train along."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from coterie.config import plain
from coterie.data.reading.handout import hand_out, take
from coterie.data.reading.store import Store
from coterie.errors import CoterieError
from coterie.listener import Listener
from coterie.plan.plan import reopened
from coterie.processes import processes
from coterie.runs.config import from_yaml, to_yaml
from coterie.runs.folder import RunFolder
from coterie.runs.named import Named
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.group import group
from coterie.workflow.steps.learn import learn
from coterie.workflow.steps.read import Material, once
from coterie.workflow.steps.stopping import waiting
from coterie.workflow.steps.write import handed_over


@contextlib.contextmanager
def awaited() -> Iterator[None]:
    """What the first process does before training, while the others wait; if it fails, they end as it does."""
    try:
        yield
    except BaseException as error:
        code = error.exit_code if isinstance(error, CoterieError) else 1
        if isinstance(error, KeyboardInterrupt):
            code = 128 + getattr(error, "signal", signal.SIGINT)
        with contextlib.suppress(CoterieError):
            excuse_others(code)
        raise


def excuse_others(code: int = 0) -> None:
    """Tell the others that there is nothing to train on, and what to exit with."""
    processes().tell(json.dumps({"ended": code}).encode())


def begin_together(material: Material, folder: RunFolder) -> None:
    """Tell the others what to train on, which rows of it are counted, and which named; one alone has no one to tell."""
    if processes().count > 1:
        hand_out(material.rows, folder.shared)
        message = {
            "root": str(folder.root.resolve()),
            "config": to_yaml(material.plan.config),
            "counted": plain(material.counted),
            "named": plain(material.named),
        }
        processes().tell(json.dumps(message).encode())


def end_together(folder: RunFolder) -> None:
    """Remove what was handed out."""
    shutil.rmtree(folder.shared, ignore_errors=True)


def fit_along(listener: Listener) -> None:
    """What every process but the first does: the same steps of learning and grouping, and hand over what it embedded.

    Raises:
        SystemExit: the first one ended before training; it has said why. CoterieError: training failed.
    """
    every = processes()
    message = json.loads(every.tell(pause=waiting(listener, every)))
    if "ended" in message:
        raise SystemExit(message["ended"])
    folder = RunFolder(Path(message["root"]))
    config = from_yaml(message["config"], where=str(folder.config))
    rows, attempt = take(folder.shared), Attempt(listener, folder)
    # What made features is of use to the first one alone, which keeps the model.
    backbones = reopened(config) if isinstance(rows, Store) else ()
    counted = None if message["counted"] is None else np.array(message["counted"])
    told = message["named"]
    named = None if told is None else Named(tuple(told["names"]), np.array(told["index"]))
    few = None if named is None else named.at(counted)
    learnt = learn(config, once(rows, counted, None), backbones, attempt, few)
    for _ in handed_over(group(config, rows, learnt, attempt, counted, named)):
        pass
