"""Small pictures for the report, kept in the run so that the page can be rebuilt without the source."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.errors import CoterieError
from coterie.files import write_atomically
from coterie.report.sheets import Sheets, make_sheets, tiles_of
from coterie.runs.pictures import encoded
from coterie.untrusted import open_pack


@dataclass(frozen=True)
class Thumbnails:
    """Encoded pictures for galleries, by row of the run, and sheets with a picture of every image.

    Galleries hold PNG for tiny pictures, else JPEG. Runs made before there were sheets have none.
    """

    encoded: dict[int, bytes]
    sheets: Sheets | None = None

    def add(self, row: int, pixels: npt.NDArray[np.uint8]) -> None:
        """Encode the picture (S, S, 3) of a row."""
        self.encoded[row] = encoded(pixels)

    def uri(self, row: int) -> str | None:
        """The picture as a `data:` address; None where there is none."""
        data = self.encoded.get(row)
        if data is None:
            return None
        kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"

    def every_sheet(self) -> Sheets | None:
        """The sheets, or in older runs sheets of what there is; None for a run without pictures.

        Raises:
            CoterieError: a picture is none.
        """
        if self.sheets is not None or not self.encoded:
            return self.sheets
        rows = sorted(self.encoded)
        try:
            tiles = tiles_of([self.encoded[row] for row in rows])
        except (OSError, ValueError) as error:
            raise CoterieError(f"the run's thumbnails.npz is damaged ({error}): build the page with --source") from None
        return make_sheets(rows, tiles)

    def save(self, path: Path) -> None:
        """Write one `.npz` of plain arrays: rows, offsets and the pictures' bytes, and the same of the sheets."""
        rows = sorted(self.encoded)
        content = {"rows": np.array(rows, dtype=np.int64)} | _joined("", [self.encoded[row] for row in rows])
        if self.sheets is not None:
            content["sheet_layout"] = np.array([self.sheets.side, self.sheets.columns])
            content["sheet_rows"] = np.array(self.sheets.rows, dtype=np.int64)
            content |= _joined("sheet_", self.sheets.images)
        write_atomically(path, lambda stream: np.savez(stream, **content))

    @staticmethod
    def load(path: Path) -> Thumbnails:
        """The pictures in a file.

        Raises:
            CoterieError: the file is missing or damaged.
        """
        try:
            with open_pack(path) as pack:
                encoded = dict(zip(pack["rows"].tolist(), _parted("", pack), strict=True))
                if "sheet_rows" not in pack.files:
                    return Thumbnails(encoded)
                side, columns = map(int, pack["sheet_layout"].tolist())
                return Thumbnails(encoded, Sheets(side, columns, pack["sheet_rows"].tolist(), _parted("sheet_", pack)))
        except Exception:  # Damaged or tampered files raise nearly anything.
            raise CoterieError(f"{path} is missing or damaged: repeat the run's command with --resume") from None


def _joined(prefix: str, parts: Sequence[bytes]) -> dict[str, Any]:
    offsets = np.cumsum([0] + [len(part) for part in parts])
    return {f"{prefix}offsets": offsets, f"{prefix}data": np.frombuffer(b"".join(parts), dtype=np.uint8)}


def _parted(prefix: str, pack: Any) -> list[bytes]:
    offsets, data = pack[f"{prefix}offsets"].tolist(), pack[f"{prefix}data"].tobytes()
    if sorted(offsets) != offsets or offsets[0] < 0 or offsets[-1] > len(data):
        raise ValueError("its pictures overlap")
    return [data[start:end] for start, end in pairwise(offsets)]
