"""`duplicates.csv`: which images of a run are copies of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.data.copies import Copies
from coterie.errors import UsageError
from coterie.files import write_text
from coterie.tables import Decimal, read_table, to_csv
from coterie.text import printable

_COLUMNS = ("key", "copy_of", "likeness", "named")


def write_duplicates(path: Path, keys: Sequence[str], copies: Copies) -> None:
    """A row for each copy: its key, that of the picture it is a copy of, how alike they are, and if the names agree."""
    rows = (
        (keys[row], keys[copies.first[row]], Decimal(copies.likeness[row]), int(copies.named[row]))
        for row in copies.rows
    )
    write_text(path, to_csv(list(_COLUMNS), rows))


def read_duplicates(path: Path, keys: Sequence[str]) -> npt.NDArray[np.int64]:
    """For each key the row of the picture it is a copy of, its own where it is none, or where the table is missing."""
    first = np.arange(len(keys))
    if not path.is_file():
        return first
    place = {printable(key): row for row, key in enumerate(keys)}
    try:
        table = read_table(path, _COLUMNS[:2])
    except UsageError:  # It holds no row, or is damaged: every image then stands for itself.
        return first
    for line in table:
        row, other = place.get(line["key"]), place.get(line["copy_of"])
        if row is not None and other is not None:
            first[row] = other
    # A table of unknown origin may go in circles.
    return np.where(first[first] == first, first, np.arange(len(keys)))


def told(copies: Copies, keys: Sequence[str], path: Path | None, *, collapse: bool) -> str:
    """What a person should know of copies; empty where there are none."""
    found, named = copies.rows, np.flatnonzero(copies.named)
    if not len(found):
        return ""
    many = len(found) > 1
    words = f"{len(found)} image{'s' * many} {'are copies' if many else 'is a copy'} of others"
    words += f", listed in {path}" if path is not None else ""
    if collapse:
        return f"{words}; each is counted once"
    if len(named):
        first = named[0]
        words += f"; {len(named)} that the names tell, too, such as {keys[first]} of {keys[copies.first[first]]}, "
        words += f"{'are' if len(named) > 1 else 'is'} counted once"
    return words if len(named) == len(found) else f"{words}; --collapse-copies counts every picture once"
