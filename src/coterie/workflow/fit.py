"""`coterie fit`: from a request to a folder of results, in five steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from coterie.config import shortened
from coterie.errors import UsageError
from coterie.listener import Listener
from coterie.methods import learns
from coterie.plan import Plan, Request, plan
from coterie.plan.announce import announce
from coterie.plan.budget import learning_minutes
from coterie.processes import processes
from coterie.runs.folder import RunFolder
from coterie.runs.lock import only_writer
from coterie.surroundings import in_surroundings
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.group import group
from coterie.workflow.steps.learn import learn
from coterie.workflow.steps.lost import lost
from coterie.workflow.steps.read import Material, once, read
from coterie.workflow.steps.stopping import hearing
from coterie.workflow.steps.together import awaited, begin_together, end_together, excuse_others, fit_along
from coterie.workflow.steps.tracking import Tracking
from coterie.workflow.steps.write import clear, write


@in_surroundings
def fit(
    request: Request,
    out: Path,
    listener: Listener,
    *,
    resume: bool = False,
    track: Sequence[str] = (),
    like: RunFolder | None = None,
) -> dict[str, Any]:
    """Run a request in the folder `out`, or go on where an earlier attempt stopped.

    Where several processes share the run, each calls this; all but the first help along and return nothing.

    Args:
        resume: go on, where there is something to go on with.
        like: a run whose images these have to be.
        track: names of trackers to feed, see `coterie.trackers`; a resumed run's earlier ones go on in any case.

    Returns: the summary, as `summary.json` holds it.

    Raises:
        UsageError: the request cannot be met. CoterieError: the run failed; what it had made is kept.
    """
    if not processes().first:
        fit_along(listener)
        return {}
    with contextlib.ExitStack() as held:
        return _fit_first(request, RunFolder(out), listener, held, resume=resume, track=track, like=like)


def _fit_first(
    request: Request,
    folder: RunFolder,
    listener: Listener,
    held: contextlib.ExitStack,
    *,
    resume: bool,
    track: Sequence[str],
    like: RunFolder | None,
) -> dict[str, Any]:
    """What the first process does, or the only one; `held` is given the folder's lock."""
    with awaited():
        tracking = Tracking(folder, track, listener)
        attempt = Attempt(listener, folder, tracking, resuming=resume and folder.config.is_file(), like=like)
        with hearing(listener, processes()):
            material = _planned_and_read(request, attempt, held, check=resume)
        if material is None:
            excuse_others()
            listener.note(f"{folder.root} is finished already, from {folder.read_config().data.source}")
            return folder.read_summary()
        begin_together(material, folder)
    with tracking:
        planned, rows, named = material.plan, material.rows, material.named
        with _withdrawn(attempt):
            apart = once(rows, material.counted, folder.once)
            learnt = learn(planned.config, apart, planned.backbones, attempt, material.few)
            fitted = group(planned.config, rows, learnt, attempt, material.counted, named)
        if request.minutes is not None and not attempt.resuming and learns(planned.config.method):
            _tell_time(request.minutes, fitted.seconds, planned.estimate.seconds, listener)
        summary = write(planned, rows, fitted, attempt, named)
        tracking.conclude(summary)
    clear(folder)
    end_together(folder)
    return summary


def _planned_and_read(
    request: Request, attempt: Attempt, held: contextlib.ExitStack, *, check: bool
) -> Material | None:
    """The first two steps, the run's folder begun and locked; None if it is finished already."""
    folder = attempt.folder
    assert folder is not None
    if check:
        folder.check_own()
    missing: list[str] = []
    if attempt.resuming:
        held.enter_context(only_writer(folder.root))
        missing = lost(folder) if folder.finished else []
        done = folder.finished and not missing
        planned = plan(request, saved=folder.read_config(), note=attempt.note, finished=done)
        _check_agreed(planned, folder)
        if done:
            return None
        if missing:
            attempt.note(
                f"{folder.root} lacks {' and '.join(missing)}, or what is there is damaged: making all results anew"
            )
    else:
        folder.check_free()
        planned = plan(request, note=attempt.note)
        held.enter_context(only_writer(folder.root))
        folder.check_free()  # Another process may have been quicker.
        folder.start(planned.config)
        announce(planned, folder, attempt.listener)
    with _withdrawn(attempt):
        material = read(planned, attempt)
    if attempt.resuming and planned.config != folder.read_config():
        folder.start(planned.config)  # Its images were moved.
    return material


def _check_agreed(planned: Plan, folder: RunFolder) -> None:
    """Raise a UsageError that names the settings in which a request and the run it would resume differ."""
    if planned.differing:
        told = " and ".join(
            f"{name} {_short(was)}, not {_short(wants)}" for name, (was, wants) in planned.differing.items()
        )
        raise UsageError(
            f"{folder.root} was started with {told}: leave that option out to resume, or give another --out"
        )


def _short(value: Any) -> Any:
    return shortened(value) if isinstance(value, list) else value


def _tell_time(minutes: float, seconds: float, expected: float, listener: Listener) -> None:
    """Say where learning and grouping took another time than was asked for, and by how much the pace differed."""
    if abs(seconds / 60 - learning_minutes(minutes)) > 0.1 * minutes:
        listener.note(
            f"learning and grouping took {seconds / 60:.1f} minutes, not {minutes:g}: {seconds / expected:.2f} times "
            "what the pace measured before made of these epochs, as when others use the machine"
        )


@contextlib.contextmanager
def _withdrawn(attempt: Attempt) -> Iterator[None]:
    """Free the name of a run that is refused before it has learnt anything."""
    try:
        yield
    except UsageError:
        folder = attempt.folder
        if folder is not None and not attempt.resuming and not folder.metrics.exists():
            folder.withdraw()
        raise
