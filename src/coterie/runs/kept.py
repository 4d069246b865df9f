"""`labels.csv` in a run: what a person has said of its images so far, as the page writes and reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError
from coterie.runs.folder import RunFolder
from coterie.runs.labels import read_label_table
from coterie.tables import to_csv, whole

_COLUMNS = ("key", "label", "mixed", "cluster", "said", "split", "part")


@dataclass(frozen=True)
class Kept:
    """What was said of each of N images.

    Args:
        labels: N names of the groups they are in, empty for images of which nothing was said.
        mixed: (N,) bool, whether the group was marked as one no name fits.
        said: (N,) bool, whether the image itself was named, and not its group.
        split: (N,) into how many parts its group is to be split, 0 for none.
        part: (N,) which of these it is in, from 1; 0 for none.
    """

    labels: list[str]
    mixed: npt.NDArray[np.bool_]
    said: npt.NDArray[np.bool_]
    split: npt.NDArray[np.int64]
    part: npt.NDArray[np.int64]

    def over(self, other: Kept) -> Kept:
        """This, and of images of which it says nothing what the other says."""
        silent = np.array([label == "" for label in self.labels])
        labels = [mine or theirs for mine, theirs in zip(self.labels, other.labels, strict=True)]
        names = ("mixed", "said", "split", "part")
        return Kept(labels, *(np.where(silent, getattr(other, name), getattr(self, name)) for name in names))

    def to_csv(self, keys: Sequence[str], clusters: npt.NDArray[np.int64]) -> str:
        """A line for each image of which something was said."""
        columns = (self.mixed.astype(int), clusters, self.said.astype(int), self.split, self.part)
        rows = zip(keys, self.labels, *(column.tolist() for column in columns), strict=True)
        return to_csv(_COLUMNS, ((*row[:5], *(number or "" for number in row[5:])) for row in rows if row[1]))


def read_kept(folder: RunFolder, keys: Sequence[str]) -> Kept | None:
    """What was said of a run whose images have these keys, on its page or by what it learnt from; None for nothing.

    Raises:
        UsageError: a table is none, or names images that are none of these.
    """
    if folder.labels.is_file():
        return kept_in(folder.labels.read_bytes(), folder.labels, keys)
    if not folder.told.is_file():
        return None
    told = kept_in(folder.told.read_bytes(), folder.told, keys)
    return replace(told, said=np.array([label != "" for label in told.labels]))


def kept_in(content: bytes, path: Path, keys: Sequence[str]) -> Kept:
    """What a table says, which `path` is the name of; raises as `read_kept`."""
    table = read_label_table(path, keys, content)
    if table.strange:
        raise UsageError(f"{path}: {table.strangers()}")
    rows: list[Mapping[str, str]] = [table.rows.get(key, {}) for key in table.keys]
    split = np.array([_count(path, row, "split", len(keys)) for row in rows])
    most = [min(parts, _count(path, row, "part", len(keys))) for row, parts in zip(rows, split.tolist(), strict=True)]
    return Kept(
        table.labels,
        np.array([_count(path, row, "mixed", 1) == 1 for row in rows]),
        np.array([_count(path, row, "said", 1) == 1 for row in rows]),
        split,
        np.array(most),
    )


def part_name(row: Mapping[str, str]) -> str:
    """The name of the group that a row puts its image in; that of a part has its number."""
    part = row.get("part", "").strip()
    return f"{row['label']}, part {part}" if row["label"] and part not in ("", "0") else row["label"]


def _count(path: Path, row: Mapping[str, str], column: str, most: int) -> int:
    cell = row.get(column, "").strip() or "0"
    try:
        number = whole(cell)
    except (ValueError, OverflowError):
        number = -1
    if not 0 <= number <= most:
        raise UsageError(
            f"{path}: {column} must be a whole number up to {most}, and is '{cell}' for key '{row['key']}'"
        )
    return number
