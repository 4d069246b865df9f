"""TIFFs of instruments: any number of channels, integers and floats of 8 to 64 bits, in planes, strips, tiles or pages.

Only the tags are read here. Packed data goes through libtiff, by way of Pillow, as if they were grey bytes: what they
mean, predictors and byte order are put back afterwards. After the TIFF 6.0 specification and its technical notes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from coterie.data.base import Unreadable

Values = npt.NDArray[Any]
_MAGIC = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
# Types of values by number: their size in bytes, and their letter for struct.
_TYPES = {1: (1, "B"), 3: (2, "H"), 4: (4, "I"), 13: (4, "I"), 16: (8, "Q")}
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS, _PLANAR = 256, 257, 258, 259, 262, 277, 278, 284
_OFFSETS, _COUNTS, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH = 273, 279, 317, 322, 323
_ORIENTATION, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT = 274, 324, 325, 339
# No packing, LZW, Deflate by either number, PackBits, LZMA, Zstandard.
_PACKED = {1, 5, 8, 32946, 32773, 34925, 50000}
_MOST_TAGS, _MOST_VALUES, _MOST_PAGES = 4096, 4_000_000, 4096


@dataclass(frozen=True)
class Page:
    """One image of a TIFF: what its tags say, each as a tuple of whole numbers; `order` is that of bytes."""

    tags: Mapping[int, tuple[int, ...]]
    order: str

    def one(self, tag: int, default: int) -> int:
        return self.tags.get(tag, (default,))[0]

    @property
    def width(self) -> int:
        return self.one(_WIDTH, 0)

    @property
    def height(self) -> int:
        return self.one(_LENGTH, 0)

    @property
    def channels(self) -> int:
        return self.one(_SAMPLES, 1)

    @property
    def bits(self) -> int:
        return self.one(_BITS, 1)

    @property
    def planar(self) -> bool:
        return self.one(_PLANAR, 1) == 2 and self.channels > 1

    @property
    def is_rgb(self) -> bool:
        return self.one(_PHOTOMETRIC, 1) == 2

    @property
    def orientation(self) -> int:
        """As of EXIF, 1 for upright."""
        return self.one(_ORIENTATION, 1)

    @property
    def white_is_zero(self) -> bool:
        return self.one(_PHOTOMETRIC, 1) == 0

    @property
    def taken_amiss(self) -> bool:
        """Whether Pillow opens it and takes it for something else: negatives, planes of deep colours, great numbers."""
        deep, whole = self.bits > 8, self.one(_FORMAT, 1) == 1
        return deep and (self.white_is_zero or self.planar or (whole and self.bits == 32))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples, as they lie in the file.

        Raises:
            Unreadable: of a kind that is not read.
        """
        kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(self.one(_FORMAT, 1))
        known = kind is not None and self.bits in ((16, 32, 64) if kind == "f" else (8, 16, 32, 64))
        if not known or len({*self.tags.get(_BITS, (1,))}) > 1:
            what = {3: "floats", 5: "complex whole", 6: "complex numbers"}.get(self.one(_FORMAT, 1), "numbers")
            raise Unreadable(f"a TIFF of {what} of {self.bits} bits: save it with 8, 16 or 32 bits")
        return np.dtype(f"{self.order}{kind}{self.bits // 8}")

    @property
    def size(self) -> int:
        """Bytes of its pixels."""
        return self.width * self.height * self.channels * max(1, self.bits // 8)


def pages_of(stream: BinaryIO) -> Iterator[Page]:
    """The pages of a TIFF, as their tags are read; none of what is no TIFF.

    Raises:
        Unreadable: damaged.
    """
    stream.seek(0)
    order, big = _MAGIC.get(stream.read(4), ("", False))
    if not order:
        return
    try:
        stream.seek(8 if big else 4)
        place, seen = _number(stream, f"{order}{'Q' if big else 'I'}"), set[int]()
        while place and place not in seen and len(seen) < _MOST_PAGES:
            seen.add(place)
            stream.seek(place)
            tags, place = _directory(stream, order, big)
            yield Page(tags, order)
    except (struct.error, OSError, OverflowError):
        raise Unreadable("damaged: its directory of tags is cut short") from None


def read_page(stream: BinaryIO, page: Page) -> Values:
    """The pixels of a page: (H, W, C), in the byte order of the machine, white the greatest number.

    Raises:
        Unreadable: damaged, or packed in a way that is not read.
    """
    dtype, tiled = page.dtype, _TILE_OFFSETS in page.tags
    if page.one(_COMPRESSION, 1) not in _PACKED:
        raise Unreadable(f"a TIFF of {page.channels} channels, packed as photographs are: save it with LZW or unpacked")
    offsets, counts = (
        page.tags.get(tag, ()) for tag in ((_TILE_OFFSETS, _TILE_COUNTS) if tiled else (_OFFSETS, _COUNTS))
    )
    planes, samples = (page.channels, 1) if page.planar else (1, page.channels)
    across, down = -(-page.width // page.one(_TILE_WIDTH, 1)) if tiled else 1, page.height
    rows = page.one(_TILE_LENGTH, 0) if tiled else min(page.height, page.one(_ROWS, page.height))
    width = page.one(_TILE_WIDTH, 0) if tiled else page.width
    if min(rows, width, page.height, page.width, samples) < 1:
        raise Unreadable("it has no pixels")
    each = across * -(-down // rows)
    if len(offsets) != each * planes or len(counts) != len(offsets):
        raise Unreadable("damaged: it names no place for some of its pixels")
    length = each // across * rows if tiled else page.height
    found = np.empty((page.height, page.width, page.channels), dtype.newbyteorder("="))
    for plane in range(planes):
        parts = slice(plane * each, (plane + 1) * each)
        data = _unpacked(stream, page, offsets[parts], counts[parts], width * samples * dtype.itemsize, rows,
                         length * across)  # fmt: skip
        lines = _meant(data, page, dtype, width, samples)
        if tiled:
            grid = lines.reshape(each // across, across, rows, width, samples)
            lines = grid.transpose(0, 2, 1, 3, 4).reshape(length, across * width, samples)
        where = slice(plane, plane + 1) if page.planar else slice(None)
        found[..., where] = lines[: page.height, : page.width]
    if page.white_is_zero and dtype.kind == "u":
        found = np.iinfo(found.dtype).max - found
    return found


def colours_of(stream: BinaryIO, page: Page) -> Values:
    """The pixels of a page that is grey (H, W, 1), or in colours (H, W, 3), without what is transparent.

    Raises:
        Unreadable: it is neither, or see `read_page`.
    """
    colours = page.channels >= 3 and page.is_rgb
    if page.channels > 1 and not colours:
        raise Unreadable(
            f"a TIFF of {page.channels} channels: say which of them are looked at, by --channels all or such as 0,1"
        )
    return read_page(stream, page)[..., : 3 if colours else 1]


def _number(stream: BinaryIO, layout: str) -> int:
    return int(struct.unpack(layout, stream.read(struct.calcsize(layout)))[0])


def _directory(stream: BinaryIO, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    """Tags that hold whole numbers, and where the next directory lies."""
    layout = f"{order}HHQ8s" if big else f"{order}HHI4s"
    count = _number(stream, f"{order}{'Q' if big else 'H'}")
    if count > _MOST_TAGS:
        raise Unreadable("damaged: it has too many tags")
    entries = [struct.unpack(layout, stream.read(struct.calcsize(layout))) for _ in range(count)]
    following = _number(stream, f"{order}{'Q' if big else 'I'}")
    tags = {}
    for tag, kind, number, held in entries:
        if kind not in _TYPES or not 0 < number <= _MOST_VALUES:
            continue
        size, letter = _TYPES[kind]
        if size * number > len(held):
            stream.seek(struct.unpack(f"{order}{'Q' if big else 'I'}", held)[0])
            held = stream.read(size * number)
        tags[tag] = struct.unpack_from(f"{order}{number}{letter}", held)
    return tags, following


def _unpacked(
    stream: BinaryIO, page: Page, offsets: tuple[int, ...], counts: tuple[int, ...], row: int, rows: int, length: int
) -> bytes:
    """The bytes of `length` rows of `row` bytes, which lie in strips of `rows`."""
    if sum(counts) > 2 * page.size + 1_000_000:  # Strips that lie over each other would fill the memory.
        raise Unreadable("damaged: its pixels take more room than they could")
    parts = []
    for offset, count in zip(offsets, counts, strict=True):
        stream.seek(offset)
        parts.append(stream.read(count))
    packing = page.one(_COMPRESSION, 1)
    if packing == 1:
        data = b"".join(parts)
    else:
        with Image.open(_as_grey(parts, packing, row, rows, length), formats=("TIFF",)) as image:
            data = image.tobytes()
    if len(data) < row * length:
        raise Unreadable("damaged: some of its pixels are missing")
    return data[: row * length]


def _as_grey(parts: list[bytes], packing: int, row: int, rows: int, length: int) -> io.BytesIO:
    """A TIFF of grey bytes with the same strips."""
    tags = {256: row, 257: length, 258: 8, 259: packing, 262: 1, 277: 1, 278: rows}
    many = len(parts)
    after = 8 + 2 + 12 * (len(tags) + 2) + 4
    begins = np.cumsum([after + 8 * many, *(len(part) for part in parts)])[:-1].astype("<u4")
    lengths = np.array([len(part) for part in parts], dtype="<u4")
    entries = [(tag, 1, value) for tag, value in tags.items()]
    entries.append((273, many, after if many > 1 else int(begins[0])))
    entries.append((279, many, after + 4 * many if many > 1 else int(lengths[0])))
    directory = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in sorted(entries))
    head = struct.pack("<4sIH", b"II*\0", 8, len(entries)) + directory + bytes(4)
    return io.BytesIO(head + begins.tobytes() + lengths.tobytes() + b"".join(parts))


def _meant(data: bytes, page: Page, dtype: np.dtype[Any], width: int, samples: int) -> Values:
    """Samples (rows, width, samples) of unpacked bytes, the predictor undone."""
    predictor = page.one(_PREDICTOR, 1) if page.one(_COMPRESSION, 1) != 1 else 1
    if predictor == 3 and dtype.kind == "f":
        # Bytes of equal rank lie together, the highest first, each less the one before it.
        rows = np.frombuffer(data, np.uint8).reshape(-1, width * dtype.itemsize, samples)
        rows = np.cumsum(rows, axis=1, dtype=np.uint8).reshape(len(rows), dtype.itemsize, width * samples)
        big: Values = np.ascontiguousarray(rows.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))
        return big.reshape(-1, width, samples)
    values: Values = np.frombuffer(data, dtype).reshape(-1, width, samples)
    if predictor == 2 and dtype.kind in "ui":
        values = np.cumsum(values, axis=1, dtype=dtype.newbyteorder("="))
    elif predictor != 1:
        raise Unreadable(f"a TIFF with the predictor {predictor}, which is not read: save it without")
    return values
