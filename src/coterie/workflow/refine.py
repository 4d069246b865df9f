"""`coterie refine`: a finished run's embeddings grouped anew, under what a person said of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from coterie.cluster.kmeans import Metric
from coterie.cluster.taught import Regrouped, ranked, regroup
from coterie.errors import UsageError
from coterie.listener import Listener
from coterie.report.page import read_embeddings
from coterie.runs.assignments import Assignments
from coterie.runs.duplicates import read_duplicates
from coterie.runs.folder import RunFolder
from coterie.runs.lock import only_writer
from coterie.runs.model_files import load_model
from coterie.runs.said import Said, read_said, unsaid
from coterie.seeding import generator
from coterie.surroundings import in_surroundings
from coterie.workflow.steps.refined import Refined, Refining


@in_surroundings
def refine(
    run: Path,
    labels: Path | None = None,
    listener: Listener | None = None,
    *,
    clusters: int | None = None,
    splits: Mapping[str, int] | None = None,
    merges: Sequence[Sequence[str]] | None = None,
    out: Path | None = None,
) -> Refined:
    """Write a new run whose groups heed what was said; the old one stays as it is.

    Args:
        run: a finished run.
        labels: what the page's "Download labels.csv" gives, or any CSV with the columns key and label. Images that were
            named themselves are in the group of that name afterwards, the others follow; see `docs/commands.md`.
        clusters: K, at least as many as there are names; None for as many as there are groups after what was said.
        splits: into how many parts a group, by its name or number, is to be split.
        merges: groups, by name or number, that are to be one.
        out: the new run's folder; None for one beside `run`, called `RUN-refined`, `RUN-refined-2`, …

    Raises:
        UsageError: the run is not finished, or what was said contradicts itself or does not fit it; nothing is written
            then. CoterieError: a file is damaged or cannot be written.
    """
    listener = listener or Listener()
    folder = RunFolder(run)
    folder.read_summary()
    if not (labels or clusters or splits or merges or folder.labels.is_file()):
        raise UsageError("there is nothing to refine by: give a labels.csv, -k, --split or --merge")
    old = Assignments.read(folder.assignments)
    said = _said(folder, old, labels, listener).merged(merges or ()).split(splits or {})
    new = RunFolder(out or _free(run))
    new.check_free()
    embeddings = read_embeddings(folder, len(old.keys))
    model = load_model(folder.model, device="cpu")
    began = time.perf_counter()
    found, names = grouped_anew(embeddings, said, model.groups.metric, clusters, folder.read_config().seed)
    refining = Refining(folder, old, said, embeddings, model, found, names, time.perf_counter() - began)
    with only_writer(new.root):
        new.check_free()  # Another process may have been quicker.
        return refining.write(new)


def _said(folder: RunFolder, old: Assignments, labels: Path | None, listener: Listener) -> Said:
    """What was said by now: kept with the run, and over that in a table."""
    first = read_duplicates(folder.duplicates, old.keys)
    said = unsaid(old)
    for path in (folder.labelled, folder.told, folder.labels):
        if path.is_file():
            said = read_said(path, old, first, said)
    return said if labels is None else read_said(labels, old, first, said, note=listener.note)


def _free(run: Path) -> Path:
    """The first name beside a run that is free."""
    run = run.resolve()
    names = (run.with_name(f"{run.name}-refined{'' if number == 1 else f'-{number}'}") for number in count(1))
    return next(path for path in names if not path.exists())


def grouped_anew(
    embeddings: npt.NDArray[np.floating[Any]], said: Said, metric: Metric, clusters: int | None = None, seed: int = 0
) -> tuple[Regrouped, list[str]]:
    """Groups of embeddings (N, d) under what was said, numbered by size, and the name of each.

    Raises:
        UsageError: too few or too many `clusters`.
    """
    order, further = said.names, sum(parts - 1 for parts in said.parts.values())
    wanted = len(order) + further if clusters is None else clusters
    if wanted < (least := len(said.staying) + further):
        raise UsageError(f"-k {wanted} is too few: {least} groups have names or are split off")
    if not 2 <= wanted <= len(embeddings):
        raise UsageError(f"{wanted} groups of {len(embeddings)} images: at least 2, and no more than there are images")
    kept = order[: wanted - further]
    place = {name: number for number, name in enumerate(kept)}
    start = torch.tensor([place.get(name, -1) for name in said.groups])
    told = torch.where(torch.from_numpy(said.told), start, -1)
    # Names of single images alone, one for every group: nobody has said which of the old groups are whose.
    unseen = not said.of_groups and not said.parts and {*kept} == {name for name in kept if said.title(name)}
    begun = torch.from_numpy(said.clusters) if unseen else start
    found = regroup(
        torch.from_numpy(embeddings), begun, told, wanted, parts={place[name]: n for name, n in said.parts.items()},
        found=unseen, metric=metric, generator=generator("cpu", seed, "refine"),
    )  # fmt: skip
    ranks, new = ranked(found.labels, wanted)
    titles = [said.title(name) for name in kept] + [""] * (wanted - len(kept))
    names = [titles[old] or f"Group {number}" for number, old in enumerate(new.tolist())]
    return Regrouped(ranks, [found.origins[old] for old in new.tolist()], found.rule.ordered(new)), names
