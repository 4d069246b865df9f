"""Small pictures for the report, kept in the run so that the page can be rebuilt without the source."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from coterie.errors import CoterieError
from coterie.files import write_atomically

# Pictures up to this side are shown pixel by pixel and kept without loss.
_PIXEL_ART = 32


@dataclass(frozen=True)
class Thumbnails:
    """Encoded pictures by row of the run: PNG for tiny ones, else JPEG."""

    encoded: dict[int, bytes]

    def add(self, row: int, pixels: npt.NDArray[np.uint8]) -> None:
        """Encode the picture (S, S, 3) of a row."""
        stream = io.BytesIO()
        image = Image.fromarray(pixels)
        if pixels.shape[0] <= _PIXEL_ART:
            image.save(stream, "PNG", optimize=True)
        else:
            image.save(stream, "JPEG", quality=85)
        self.encoded[row] = stream.getvalue()

    def uri(self, row: int) -> str | None:
        """The picture as a `data:` address; None where there is none."""
        data = self.encoded.get(row)
        if data is None:
            return None
        kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"

    def save(self, path: Path) -> None:
        """Write one `.npz` of plain arrays: rows, offsets and the pictures' bytes."""
        rows = sorted(self.encoded)
        offsets = np.cumsum([0] + [len(self.encoded[row]) for row in rows])
        joined = np.frombuffer(b"".join(self.encoded[row] for row in rows), dtype=np.uint8)
        write_atomically(
            path,
            lambda stream: np.savez(stream, rows=np.array(rows, dtype=np.int64), offsets=offsets, data=joined),
        )

    @staticmethod
    def load(path: Path) -> Thumbnails:
        """The pictures in a file.

        Raises:
            CoterieError: the file is missing or damaged.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as pack:
                rows, offsets, data = pack["rows"].tolist(), pack["offsets"].tolist(), pack["data"].tobytes()
            ends = zip(rows, offsets, offsets[1:], strict=False)
            return Thumbnails({row: data[start:end] for row, start, end in ends})
        except Exception as error:
            raise CoterieError(f"{path} is missing or damaged: resume the run to write it again") from error
