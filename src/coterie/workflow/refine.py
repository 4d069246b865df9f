"""`coterie refine`: a finished run's embeddings grouped anew, under what a person said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coterie.listener import Listener
from coterie.surroundings import in_surroundings


@dataclass(frozen=True)
class Refined:
    """A refined run, and what is different in it.

    Args:
        folder: of the new run.
        names: of its K groups, empty where nobody named one.
        sizes: images in each.
        told: how many images a person named.
        moved: keys of the images that are no longer among those most of their old group went with.
        parts: by what an old group was called, the new groups it was split into.
        ari, nmi: agreement of the new groups with the old.
        follows: the share of the images that the new model, which assigns others, groups as the table does.
        seconds: that grouping took.
    """

    folder: Path
    names: list[str]
    sizes: list[int]
    told: int
    moved: list[str]
    parts: dict[str, list[int]]
    ari: float
    nmi: float
    follows: float
    seconds: float


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
    raise NotImplementedError
