"""A table of labels that somebody gives to images: which rows mean which images, and what to say of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coterie.errors import UsageError
from coterie.naming import class_names, differ_in_capitals, matched, nearest
from coterie.tables import by_key, read_table, whole
from coterie.text import printable


@dataclass(frozen=True)
class LabelTable:
    """The rows of a CSV with the columns key and label.

    Args:
        path: of the CSV.
        keys: N `printable` names of images.
        rows: by the image that their key means; labels are spelt as `class_names` spells them.
        strange: keys in the table that mean no image.
        respelt: how many keys are spelt otherwise than their images.
    """

    path: Path
    keys: list[str]
    rows: dict[str, dict[str, str]]
    strange: list[str]
    respelt: int

    @property
    def labels(self) -> list[str]:
        """A label for each image, empty where there is none."""
        return [self.rows[key]["label"] if key in self.rows else "" for key in self.keys]

    def strangers(self) -> str:
        """The keys that mean no image, in a clause; empty where there are none."""
        if not self.strange:
            return ""
        first, more = min(self.strange), len(self.strange) > 1
        many = f"{len(self.strange)} keys are no images" if more else "a key is no image"
        return f"{many} of the run, '{printable(first)}'{' among them' * more}{nearest(first, self.keys)}"

    def tell(self, note: Callable[[str], None]) -> None:
        """Say what could have been meant otherwise."""
        if self.strange:
            note(f"{self.path}: {self.strangers()}")
        if self.respelt:
            keys = f"{self.respelt} keys are" if self.respelt > 1 else "a key is"
            note(f"{self.path}: {keys} spelt otherwise than the images (accents, blanks, slashes, capitals or zeros)")
        if pair := differ_in_capitals(self.labels):
            note(f"{self.path}: '{pair[0]}' and '{pair[1]}' count as two labels; only capitals tell them apart")


def read_label_table(path: Path, keys: Sequence[str], content: bytes | None = None) -> LabelTable:
    """The labels in a CSV for the images of these keys; `content` is the CSV, where it is at hand.

    Raises:
        UsageError: no such file, other columns, or a key twice.
    """
    table = read_table(path, ("key", "label"), content)
    for row, label in zip(table, class_names(row["label"] for row in table), strict=True):
        row["label"] = label
    rows, shown = by_key(path, table), [printable(key) for key in keys]
    found = matched(rows, shown)
    return LabelTable(
        path,
        shown,
        {key: rows[given] for given, key in found.items()},
        [given for given in rows if given not in found],
        sum(given != key for given, key in found.items()),
    )


def read_labels(path: Path, keys: Sequence[str], note: Callable[[str], None] = lambda _: None) -> list[str]:
    """A label for each key from a CSV with the columns key and label; keys it lacks get the empty label.

    Args:
        note: told of rows that mean no image, and of what could have been meant otherwise.

    Raises:
        UsageError: no such file, other columns, a key twice, or not one key in common.
    """
    table = read_label_table(path, keys)
    if not any(table.labels):
        raise UsageError(f"{path} labels none of the run's images; its keys must be those of assignments.csv")
    table.tell(note)
    return table.labels


def marked(path: Path, key: str, row: dict[str, str], column: str) -> bool:
    """Whether a row is marked in a column of 0 and 1; an empty cell is 0.

    Raises:
        UsageError: it holds something else.
    """
    mark = row.get(column, "").strip() or "0"
    try:
        return {0: False, 1: True}[whole(mark)]
    except (ValueError, KeyError):
        raise UsageError(f"{path}: {column} must be 0 or 1, and is '{mark}' for key '{key}'") from None
