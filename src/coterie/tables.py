"""Tables a person may have had in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from coterie.errors import UsageError
from coterie.text import printable

# What a spreadsheet would take for a formula gets an apostrophe, which reading takes off again: at the beginning, and
# after whatever parts cells or rows in the spreadsheets of some countries, where quotes do not always help.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_PARTED = re.compile(r"([;\t\r\n])(?='*[=+\-@\t\r])")
_PARTED_GUARDED = re.compile(r"([;\t\r\n])'(?='*[=+\-@\t\r])")
_QUOTED = re.compile('[",;\t\r\n]')


def guarded(text: str) -> str:
    """Text no spreadsheet takes for a formula."""
    return ("'" if _FORMULA.match(text) else "") + _PARTED.sub(r"\1'", text)


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return _PARTED_GUARDED.sub(r"\1", text[1:] if text.startswith("'") and _FORMULA.match(text) else text)


class Decimal(float):
    """A number that is written with six decimals."""

    def __str__(self) -> str:
        return f"{self:.6f}"


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV of these columns; texts are `printable` and `guarded`, other values are written as they are."""
    lines = [",".join(columns)]
    lines += [",".join(_quoted(cell) if isinstance(cell, str) else str(cell) for cell in row) for row in rows]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    text = guarded(printable(text))
    return '"{}"'.format(text.replace('"', '""')) if _QUOTED.search(text) else text


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV in UTF-8, its cells parted by commas, or by semicolons as in some countries.

    Args:
        columns: those it must have; others may stand beside them.

    Raises:
        UsageError: it cannot be read, lacks a column, holds no row, or has rows of another length than its heading.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:  # Names may hold any kind of line break.
            text = stream.read()
        heading = text.partition("\n")[0]
        delimiter = ";" if ";" in heading and "," not in heading else ","
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
    except UnicodeDecodeError:
        raise UsageError(f"{path} cannot be read as CSV: it is not text in UTF-8") from None
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read as CSV: {reason}") from None
    if not lines or not {*columns} <= {*lines[0]}:
        raise UsageError(f"{path} must be a CSV with the columns {' and '.join(columns)}")
    if len({*lines[0]}) != len(lines[0]):
        raise UsageError(f"{path}: a column occurs more than once in the first line ({', '.join(lines[0])})")
    if len(lines) == 1:
        raise UsageError(f"{path} has no row below its heading")
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(lines[0]):
            raise UsageError(f"{path}: row {number} has {len(cells)} cells, its heading {len(lines[0])}")
    return [dict(zip(lines[0], map(unguarded, cells), strict=True)) for cells in lines[1:]]


def by_key(path: Path, rows: Sequence[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Rows of a table by their cell in the column key.

    Raises:
        UsageError: a key occurs more than once.
    """
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["key"] in found:
            raise UsageError(f"{path}: key '{row['key']}' occurs more than once")
        found[row["key"]] = row
    return found
