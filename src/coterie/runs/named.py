"""Images that a person named themselves, and not by way of their group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError
from coterie.runs.folder import RunFolder
from coterie.runs.labels import LabelTable, marked, read_label_table
from coterie.tables import to_csv


@dataclass(frozen=True)
class Named:
    """Names that a person gave to some of a set of images: `index` (N,) int64 among the `names`, −1 where none."""

    names: tuple[str, ...]
    index: npt.NDArray[np.int64]

    @staticmethod
    def of(names: Sequence[str]) -> Named:
        """From the name of each image, empty where none, in the order in which they are first met."""
        met = {name: place for place, name in enumerate(dict.fromkeys(filter(None, names)))}
        return Named((*met,), np.array([met.get(name, -1) for name in names], dtype=np.int64))

    def at(self, rows: npt.NDArray[np.int64] | None) -> Named:
        """Those of some rows (n,), or of all."""
        if rows is None:
            return self
        return Named.of([self.names[place] if place >= 0 else "" for place in self.index[rows].tolist()])

    def to_csv(self, keys: Sequence[str]) -> str:
        """Columns key and label, a row for each image that has a name."""
        rows = zip(keys, self.index.tolist(), strict=True)
        return to_csv(["key", "label"], ((key, self.names[place]) for key, place in rows if place >= 0))


def read_named(path: Path, keys: Sequence[str], *, note: Callable[[str], None] = lambda _: None) -> Named:
    """The images of these keys that a table of labels says were named themselves.

    Raises:
        UsageError: not such a table, or one that names none of them.
    """
    table = read_label_table(path, keys)
    themselves = told_keys(table)
    named = Named.of([table.rows[key]["label"] if key in themselves else "" for key in table.keys])
    if not named.names:
        raise UsageError(
            f"{path} names none of the images themselves: pick or move some on the page, or write key and label"
        )
    table.tell(note)
    return named


def told_of(folder: RunFolder, keys: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which images (N,) of a run were named themselves, as far as it knows."""
    if not folder.told.is_file():
        return np.zeros(len(keys), dtype=bool)
    return read_named(folder.told, keys).index >= 0


def told_keys(table: LabelTable) -> set[str]:
    """The images that were named themselves, and not by way of their group.

    Raises:
        UsageError: a mark that is none.
    """
    rows = {key: row for key, row in table.rows.items() if row["label"]}
    if any("said" in row for row in rows.values()):
        return {key for key, row in rows.items() if marked(table.path, key, row, "said")}
    if any("cluster" in row for row in rows.values()):
        counts: dict[str, Counter[str]] = {}
        for row in rows.values():
            counts.setdefault(row["cluster"], Counter())[row["label"]] += 1
        return {key for key, row in rows.items() if row["label"] != counts[row["cluster"]].most_common(1)[0][0]}
    return {*rows}
