"""A person's labels on the images of a run: `labels.csv`, as the page makes it, and `labelled.csv`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError
from coterie.runs.assignments import Assignments
from coterie.runs.kept import part_name
from coterie.runs.labels import marked, read_label_table
from coterie.tables import Decimal, to_csv


@dataclass(frozen=True)
class Labelled:
    """A label for each image of a run.

    Args:
        assignments: of the run.
        labels: N names of groups.
        mixed: (N,) bool, whether the image's group was marked as one no name fits.
        followed: how many images had no row, and took the label most of their cluster have.
    """

    assignments: Assignments
    labels: list[str]
    mixed: npt.NDArray[np.bool_]
    followed: int

    @property
    def names(self) -> dict[int, str]:
        """The commonest label of each cluster."""
        return commonest(self.labels, self.assignments.clusters)

    def to_csv(self) -> str:
        """Columns key, label, mixed (0 or 1), cluster, confidence, outlier, and known: the class, if any is known."""
        table = self.assignments
        columns: dict[str, Iterable[object]] = {
            "key": table.keys,
            "label": self.labels,
            "mixed": self.mixed.astype(int).tolist(),
            "cluster": table.clusters.tolist(),
            "confidence": map(Decimal, table.confidence),
            "outlier": table.outlier.astype(int).tolist(),
        }
        if table.labels is not None:
            columns["known"] = table.labels
        return to_csv([*columns], zip(*columns.values(), strict=True))


def read_labelled(
    path: Path,
    assignments: Assignments,
    first: npt.NDArray[np.int64] | None = None,
    *,
    note: Callable[[str], None] = lambda _: None,
) -> Labelled:
    """The labels that a CSV with the columns key and label, and perhaps mixed, gives to the images of a run.

    A copy without a row, or with an empty label, takes that of the picture it is a copy of, which `first` (N,) tells;
    otherwise an image takes the label that most labelled images of its cluster have; in a cluster without a label,
    "Group" and its number.

    Args:
        first: the row of the picture that each image is a copy of, its own where it is none; None for no copies.
        note: told of what could have been meant otherwise.

    Raises:
        UsageError: not such a table; a key occurs twice or is no image of the run; mixed is neither 0 nor 1.
    """
    table = read_label_table(path, assignments.keys)
    if table.strange:
        raise UsageError(f"{path}: {table.strangers()}")
    for row in table.rows.values():
        row["label"] = part_name(row)
    given = table.labels
    if first is not None:
        given = [label or given[row] for label, row in zip(given, first.tolist(), strict=True)]
    if not any(given):
        raise UsageError(f"{path} gives no image a label")
    table.tell(note)
    usual = commonest(given, assignments.clusters)
    labels = [
        label or usual.get(cluster, f"Group {cluster}")
        for label, cluster in zip(given, assignments.clusters.tolist(), strict=True)
    ]
    mixed_names = _mixed(path, table.rows)
    mixed = np.array([label in mixed_names for label in labels])
    return Labelled(assignments, labels, mixed, given.count(""))


def commonest(labels: Sequence[str], clusters: npt.NDArray[np.int64]) -> dict[int, str]:
    """The commonest label of each cluster that has any; of equals the first."""
    counts: dict[int, Counter[str]] = {}
    for label, cluster in zip(labels, clusters.tolist(), strict=True):
        if label:
            counts.setdefault(cluster, Counter())[label] += 1
    return {cluster: count.most_common(1)[0][0] for cluster, count in counts.items()}


def _mixed(path: Path, rows: dict[str, dict[str, str]]) -> set[str]:
    """Labels of the groups that are marked: one row suffices."""
    return {row["label"] for key, row in rows.items() if marked(path, key, row, "mixed")}
