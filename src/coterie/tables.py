"""Tables a person may have had in a spreadsheet."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError
from coterie.naming import class_name
from coterie.text import printable

# What a spreadsheet would take for a formula gets an apostrophe, which reading takes off again: at the beginning, and
# after whatever parts cells or rows in the spreadsheets of some countries, where quotes do not always help.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_PARTED = re.compile(r"([;\t\r\n])(?='*[=+\-@\t\r])")
_PARTED_GUARDED = re.compile(r"([;\t\r\n])'(?='*[=+\-@\t\r])")
_QUOTED = re.compile('[",;\t\r\n]')
# Most cells, which are written as they are.
_PLAIN = re.compile("[A-Za-z0-9_./ ][A-Za-z0-9_./ -]*")
# By such a line a spreadsheet is told what parts the cells.
_SEPARATOR = re.compile('"?sep=([^"\r\n])"?[ ,;\t]*(?=[\r\n])', re.IGNORECASE)
# The heading may stand below so many empty rows.
_FIRST = 16


def guarded(text: str) -> str:
    """Text no spreadsheet takes for a formula."""
    return ("'" if _FORMULA.match(text) else "") + _PARTED.sub(r"\1'", text)


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    if "'" not in text:
        return text
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
    if _PLAIN.fullmatch(text):
        return text
    text = guarded(printable(text))
    return '"{}"'.format(text.replace('"', '""')) if _QUOTED.search(text) else text


def read_table(path: Path, columns: Sequence[str], content: bytes | None = None) -> list[dict[str, str]]:
    """The rows of a CSV as people, spreadsheets and other programs write them.

    Text is in UTF-8, or in UTF-16 as Excel's "Unicode text". Cells are parted by commas, semicolons or tabs, as a first
    line `sep=;` says, or as the heading tells. Names of columns are taken without regard to capitals and blanks;
    columns without a name and rows without content are passed over.

    Args:
        columns: those it must have, in small letters; others may stand beside them.
        content: of the file, where it is at hand.

    Raises:
        UsageError: it cannot be read, lacks a column, holds no row, or has rows of another length than its heading.
    """
    try:
        lines = _lines(_decoded(path.read_bytes() if content is None else content), columns)
    except UnicodeDecodeError:
        raise UsageError(f'{path} cannot be read as CSV: it is not text in UTF-8; save it as "CSV UTF-8"') from None
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read as CSV: {reason}") from None
    filled = [(number, cells) for number, cells in enumerate(lines, start=1) if any(cell.strip() for cell in cells)]
    heading = _heading(filled[0][1]) if filled else []
    if not {*columns} <= {*heading}:
        raise UsageError(f"{path} must be a CSV with the columns {' and '.join(columns)}")
    named = [name for name in heading if name]
    if len({*named}) != len(named):
        raise UsageError(f"{path}: a column occurs more than once in the first line ({', '.join(heading)})")
    if len(filled) == 1:
        raise UsageError(f"{path} has no row below its heading")
    least = max(heading.index(name) for name in columns) + 1
    rows = []
    for number, cells in filled[1:]:
        if len(cells) < least or any(cell.strip() for cell in cells[len(heading) :]):
            raise UsageError(f"{path}: row {number} has {len(cells)} cells, its heading {len(heading)}")
        # Spreadsheets leave out what is empty at the end of a row.
        values = map(unguarded, cells + [""] * (len(heading) - len(cells)))
        rows.append({name: value for name, value in zip(heading, values, strict=False) if name})
    return rows


def _decoded(content: bytes) -> str:
    if content.startswith(b"PK\x03\x04"):
        raise csv.Error('it is a spreadsheet; save it as "CSV UTF-8"')
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    # A heading is in plain letters, of which UTF-16 pairs each with a zero.
    zeros = [content[place : place + 1] == b"\0" for place in (0, 1)]
    return content.decode("utf-16-be" if zeros[0] else "utf-16-le" if zeros[1] else "utf-8-sig")


def _lines(text: str, columns: Sequence[str]) -> list[list[str]]:
    """Rows of cells, parted as the first line says, or by what makes these columns of the heading."""
    said = _SEPARATOR.match(text)
    delimiter, blank = said[1] if said else ",", False
    for candidate in said[1] if said else ",;\t":
        rows = list(itertools.islice(_rows(text, candidate, strict=False), 1 if said else 0, _FIRST))
        heading = next((row for row in rows if any(map(str.strip, row))), [])
        if {*columns} <= {*_heading(heading)}:
            delimiter, blank = candidate, any(cell.startswith(" ") for cell in heading[1:])
            break
    lines = list(_rows(text, delimiter, strict=True, blank=blank))
    return [[], *lines[1:]] if said else lines


def _rows(text: str, delimiter: str, *, strict: bool, blank: bool = False) -> Iterator[list[str]]:
    # Cells may hold any kind of line break.
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=blank)


def _heading(cells: Sequence[str]) -> list[str]:
    return [class_name(cell).casefold() for cell in cells]


def number(text: str) -> float:
    """The number in a cell, its decimals parted by a point or by a comma; raises a ValueError where there is none."""
    return float(text.strip().replace(",", "."))


def numbers(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """The `number` in each of many cells."""
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:  # Decimals parted by commas.
        return np.array([number(text) for text in texts])


def whole(text: str) -> int:
    """The whole number in a cell, `3.0` and `3,0` among them; raises a ValueError for any other."""
    value = number(text)
    if not value.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(value)


def by_key(path: Path, rows: Sequence[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Rows of a table by their cell in the column key; those without one are left out.

    Raises:
        UsageError: a key occurs more than once.
    """
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["key"] in found:
            raise UsageError(f"{path}: key '{row['key']}' occurs more than once")
        if row["key"].strip():
            found[row["key"]] = row
    return found
