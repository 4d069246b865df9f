"""`coterie stability`: the same run with other seeds, and which of its clusters come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from coterie.data.sources import open_source
from coterie.data.sources.naming import full_name
from coterie.errors import UsageError
from coterie.evaluate.metrics import Labels
from coterie.evaluate.stability import Stability, stability_of
from coterie.listener import Listener
from coterie.naming import matched
from coterie.plan import Request
from coterie.runs.assignments import Assignments
from coterie.runs.config import READING, RunConfig
from coterie.runs.folder import RunFolder
from coterie.runs.lock import only_writer
from coterie.surroundings import in_surroundings
from coterie.workflow.fit import fit


@in_surroundings
def stability(run: Path, listener: Listener | None = None, *, seeds: int = 3, source: str | None = None) -> Stability:
    """Judge a finished run by others of the same configuration with the next `seeds` seeds.

    Args:
        source: where the run's images lie now; None for where it read them.

    They are kept as `RUN/stability/seed-N`, are not trained again, and go on where an interrupt stopped them.

    Raises:
        UsageError: the run is not finished, its source is gone, or what is kept belongs to another configuration.
        CoterieError: a run failed; those before it are kept.
    """
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, got {seeds}")
    listener = listener or Listener()
    folder = RunFolder(run)
    folder.read_summary()
    folder.check_own()
    config = folder.read_config()
    if source is not None:
        config = replace(config, data=replace(config.data, source=full_name(source)))
    wanted = [replace(config, seed=config.seed + place) for place in range(1, seeds + 1)]
    kept = [RunFolder(run / "stability" / f"seed-{one.seed}") for one in wanted]
    with only_writer(run / "stability"):
        for place, (other, one) in enumerate(zip(kept, wanted, strict=True), start=1):
            _check_same(other, one)
            if not other.finished:
                listener.note(f"seed {one.seed}, run {place} of {seeds}, in {other.root}")
                _train(folder, other, one, listener)
    judged = Assignments.read(folder.assignments)
    runs = [judged.clusters, *(_clusters(other, judged.keys, folder) for other in kept)]
    return stability_of(runs, [config.seed, *(one.seed for one in wanted)], config.clusters)


def _check_same(other: RunFolder, wanted: RunConfig) -> None:
    if other.config.is_file() and _less_place(other.read_config()) != _less_place(wanted):
        raise UsageError(f"{other.root} was made with another configuration: delete it, and repeat the command")


def _less_place(config: RunConfig) -> RunConfig:
    """Without where the images lie; which they are is told by their checksums."""
    return replace(config, data=replace(config.data, source=""))


def _train(folder: RunFolder, other: RunFolder, wanted: RunConfig, listener: Listener) -> None:
    request = Request(wanted.data.source, recipe=str(folder.config), seed=wanted.seed)
    try:
        open_source(request.source, **{name: getattr(wanted.data, name) for name in READING})
    except UsageError as error:
        raise UsageError(
            f"{folder.root} was learnt from {wanted.data.source}, which stability needs again: {error}; where they "
            "were moved to is said by --source"
        ) from None
    other.root.parent.mkdir(exist_ok=True)
    fit(request, other.root, listener, resume=True, like=folder)


def _clusters(other: RunFolder, keys: Sequence[str], folder: RunFolder) -> Labels:
    """The clusters another run gives these images, in their order."""
    found = Assignments.read(other.assignments)
    meant = matched(found.keys, keys)
    if not len(meant) == len(found.keys) == len(keys):
        raise UsageError(
            f"the images changed between {folder.root} and {other.root}: fit again, or delete {other.root.parent}"
        )
    by_key = {meant[key]: cluster for key, cluster in zip(found.keys, found.clusters.tolist(), strict=True)}
    return np.array([by_key[key] for key in keys], dtype=np.int64)
