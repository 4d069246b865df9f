"""A run's trackers: fed with what `metrics.jsonl` gets, and never a reason for a run to end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from coterie.errors import CoterieError
from coterie.files import write_json
from coterie.listener import Listener
from coterie.runs.folder import RunFolder
from coterie.trackers import Start, Tracker, check_tracker, start_tracker
from coterie.untrusted import read_json

# Figures of an epoch that belong together, as trackers show them.
_SECTIONS = {
    "clusters": ("smallest", "median_size", "largest", "largest_share", "agreement"),
    "scores": ("acc", "nmi", "ari", "knn"),
}
_FINAL = ("acc", "nmi", "ari", "outliers", "seconds")


@dataclass
class Tracking:
    """The trackers of a run; to be used as a context, which ends them.

    Args:
        folder: of the run.
        asked: names of trackers; those that an earlier attempt began go on in any case.
        listener: hears of a tracker that failed.

    Raises:
        UsageError: an unknown name, or a package that is not installed.
    """

    folder: RunFolder
    asked: Sequence[str]
    listener: Listener
    _at_work: dict[str, Tracker] = field(init=False, default_factory=dict)
    _summary: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.asked:
            check_tracker(name)

    def begin(self, settings: Mapping[str, Any], done: int) -> None:
        """Start every tracker, after `done` epochs of earlier attempts."""
        known = self._identities()
        for name in dict.fromkeys([*self.asked, *known]):
            start = Start(self.folder.root.resolve(), settings, known.get(name), done if name in known else 0)
            self._guarded(name, partial(self._start, name, start))
        if self._at_work:
            identities = {name: tracker.identity for name, tracker in self._at_work.items()}
            with contextlib.suppress(CoterieError):  # A full disk shows itself soon enough elsewhere.
                write_json(self.folder.tracking, {**known, **identities})

    def log(self, record: Mapping[str, Any]) -> None:
        """A line of `metrics.jsonl`."""
        values = figures(record)
        for name, tracker in [*self._at_work.items()]:
            self._guarded(name, partial(tracker.log, values, record["epoch"]))

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """What the run came to, for the end of the context."""
        self._summary = {name: float(summary[name]) for name in _FINAL if name in summary}

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for name, tracker in [*self._at_work.items()]:
            self._guarded(name, partial(tracker.finish, self._summary, failed=kind is not None))

    def _start(self, name: str, start: Start) -> None:
        self._at_work[name] = start_tracker(name, start)

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # Other people's servers fail in every way.
            self._at_work.pop(name, None)
            reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
            self.listener.note(f"--track {name} failed and is left out: {reason}; metrics.jsonl has every figure")

    def _identities(self) -> dict[str, str | None]:
        """What trackers called this run, by their names; none where the file is missing or damaged."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found = read_json(self.folder.tracking).items()
            return {name: identity for name, identity in found if identity is None or isinstance(identity, str)}
        return {}


def figures(record: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a line of `metrics.jsonl`, by names such as `losses/alignment` and `scores/acc`."""
    section = {name: section for section, names in _SECTIONS.items() for name in names}
    values = {f"losses/{name}": float(value) for name, value in record["losses"].items()}
    values["loss"] = sum(values.values())
    for name, value in record.items():
        if name != "epoch" and isinstance(value, (int, float)):
            values[f"{section[name]}/{name}" if name in section else name] = float(value)
    return values
