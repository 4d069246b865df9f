"""The table of assignments, as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.cluster.groups import Grouping
from coterie.errors import CoterieError
from coterie.naming import class_names
from coterie.tables import Decimal, numbers, read_table, to_csv


@dataclass(frozen=True)
class Assignments:
    """One row an image: `keys`, `clusters` (N,), `confidence` (N,) 0–1, `outlier` (N,) bool, and `labels` by name.

    `outlier_score` (N,), above 1 for outliers, is None in tables that lack it; `groups` are the names a person gave the
    clusters, one an image, where they are told.
    """

    keys: Sequence[str]
    clusters: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    outlier: npt.NDArray[np.bool_]
    labels: Sequence[str] | None = None
    outlier_score: npt.NDArray[np.float64] | None = None
    groups: Sequence[str] | None = None

    @staticmethod
    def of(
        keys: Sequence[str],
        grouping: Grouping,
        labels: npt.NDArray[np.int64] | None = None,
        class_names: Sequence[str] = (),
    ) -> Assignments:
        """The table for a grouping; unknown labels (−1) become empty."""
        named = None if labels is None else [class_names[label] if label >= 0 else "" for label in labels]
        # Rounded as the file has it, so that a table read back is the table written.
        confidence, score = (
            np.round(values.cpu().double().numpy(), 6) for values in (grouping.confidence, grouping.outlier_score)
        )
        return Assignments(list(keys), grouping.clusters.cpu().numpy(), confidence, score > 1, named, score)

    def to_csv(self) -> str:
        """Columns key, cluster, confidence, outlier (0 or 1), and outlier_score, group and label if they are known."""
        columns: dict[str, Iterable[object]] = {
            "key": self.keys,
            "cluster": self.clusters.tolist(),
            "confidence": map(Decimal, self.confidence),
            "outlier": self.outlier.astype(int).tolist(),
        }
        if self.outlier_score is not None:
            columns["outlier_score"] = map(Decimal, self.outlier_score)
        if self.groups is not None:
            columns["group"] = self.groups
        if self.labels is not None:
            columns["label"] = self.labels
        return to_csv([*columns], zip(*columns.values(), strict=True))

    @staticmethod
    def read(path: Path) -> Assignments:
        """The table in a file.

        Raises:
            CoterieError: the file is not such a table.
        """
        try:
            rows = read_table(path, ("key", "cluster", "confidence", "outlier"))
            scored = "outlier_score" in rows[0]
            # There are never more clusters than images.
            clusters = _within(numbers([row["cluster"] for row in rows]), len(rows) - 1, whole=True)
            outlier = numbers([row["outlier"] for row in rows])
            return Assignments(
                [row["key"] for row in rows],
                clusters.astype(np.int64),
                _within(numbers([row["confidence"] for row in rows]), 1),
                _within(outlier, 1, whole=True) == 1,
                class_names(row["label"] for row in rows) if "label" in rows[0] else None,
                _within(numbers([row["outlier_score"] for row in rows]), np.inf) if scored else None,
            )
        except ValueError:
            raise CoterieError(f"{path} is missing or damaged: repeat the run's command with --resume") from None


def _within(values: npt.NDArray[np.float64], most: float, *, whole: bool = False) -> npt.NDArray[np.float64]:
    outside = values[~((values >= 0) & (values <= most) & ((values == np.floor(values)) | (not whole)))]
    if len(outside):
        raise ValueError(f"{outside[0]} is no {'whole ' * whole}number between 0 and {most}")
    return values
