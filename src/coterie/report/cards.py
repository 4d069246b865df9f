"""Clusters as the page shows them: facts and galleries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from coterie.report.selection import Selection
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.runs.words import Word, Words

# Bytes of all pictures in galleries; those beyond are shown from the sheets.
_BUDGET = 1_800_000


@dataclass(frozen=True)
class Picture:
    """One image on the page, which stands for some `pictures`; `uri` is None where there is no picture of its own."""

    row: int
    key: str
    name: str
    uri: str | None
    confidence: float
    outlier: bool
    label: str
    pictures: int = 1


@dataclass(frozen=True)
class Card:
    """One cluster on the page."""

    number: int
    colour: str
    size: int
    share: float
    confidence: float
    outliers: int
    majority: str
    purity: float
    words: Sequence[Word]
    typical: list[Picture]
    doubtful: list[Picture]
    outlying: list[Picture]


def make_cards(
    assignments: Assignments,
    selection: Mapping[int, Selection],
    thumbnails: Thumbnails,
    palette: Sequence[str],
    standing: npt.NDArray[np.int64],
    words: Words = (),
) -> list[Card]:
    """A card for each cluster with members.

    Args:
        standing: (N,) by how many pictures each row is shown.
        words: suggested for each cluster, if any are.
    """
    affordable = _affordable(selection, thumbnails)

    def pictures(rows: Sequence[int]) -> list[Picture]:
        return [
            _picture(assignments, thumbnails.uri(row) if row in affordable else None, row, int(standing[row]))
            for row in rows
        ]

    cards = []
    for cluster, picks in selection.items():
        rows = np.flatnonzero(assignments.clusters == cluster)
        majority, purity = _majority(assignments, rows)
        cards.append(
            Card(
                number=cluster,
                colour=palette[cluster],
                size=len(rows),
                share=len(rows) / len(assignments.keys),
                confidence=float(assignments.confidence[rows].mean()),
                outliers=int(assignments.outlier[rows].sum()),
                majority=majority,
                purity=purity,
                words=words[cluster] if cluster < len(words) else (),
                typical=pictures(picks.typical),
                doubtful=pictures(picks.doubtful),
                outlying=pictures(picks.outlying),
            )
        )
    return cards


def _affordable(selection: Mapping[int, Selection], thumbnails: Thumbnails) -> set[int]:
    """Rows whose pictures fit into the budget: the first of every gallery, then the second of every gallery, …"""
    galleries = [rows for picks in selection.values() for rows in (picks.typical, picks.doubtful, picks.outlying)]
    ranked = sorted((rank, row) for rows in galleries for rank, row in enumerate(rows))
    chosen, left = set(), _BUDGET
    for _, row in ranked:
        left -= len(thumbnails.encoded.get(row, b""))
        if left < 0:
            break
        chosen.add(row)
    return chosen


def _majority(assignments: Assignments, rows: npt.NDArray[np.intp]) -> tuple[str, float]:
    """The commonest known label among some rows and its share of the labelled ones; empty where none is known."""
    known = [assignments.labels[row] for row in rows if assignments.labels[row]] if assignments.labels else []
    if not known:
        return "", 0.0
    label, count = Counter(known).most_common(1)[0]
    return label, count / len(known)


def _picture(assignments: Assignments, uri: str | None, row: int, pictures: int) -> Picture:
    key = assignments.keys[row]
    return Picture(
        row=row,
        key=key,
        name=PurePosixPath(key).name,
        uri=uri,
        confidence=float(assignments.confidence[row]),
        outlier=bool(assignments.outlier[row]),
        label=assignments.labels[row] if assignments.labels else "",
        pictures=pictures,
    )
