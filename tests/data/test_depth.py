"""Images of more than eight bits: one scale for a source, values by planes or together, and which frame is shown."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.data.reading.decode import decode_file
from coterie.data.reading.depth import Range, scale_of
from coterie.data.sources import open_source
from coterie.plan import Request, plan

RAMP = np.linspace(0, 4095, 16 * 16).reshape(16, 16, 1) * np.array([1, 0.5, 0.25])


def tiff(values: np.ndarray, bits: int, *, planar: bool, packed: bool = False, order: str = "<") -> io.BytesIO:
    """An RGB TIFF, written by hand as Pillow writes none of 16 bits."""
    kind = f"{order}u{bits // 8}"
    parts = [values[..., band] for band in range(3)] if planar else [values]
    pixels = [zlib.compress(each.astype(kind).tobytes()) if packed else each.astype(kind).tobytes() for each in parts]
    start, entries, extra = 8 + 2 + 12 * 10 + 4, b"", b""
    room = 6 + (24 if planar else 0)
    offsets = [start + room + sum(map(len, pixels[:place])) for place in range(len(pixels))]
    tags = [
        (256, 4, [values.shape[1]]), (257, 4, [values.shape[0]]), (258, 3, [bits] * 3), (259, 3, [8 if packed else 1]),
        (262, 3, [2]), (273, 4, offsets), (277, 3, [3]), (278, 4, [values.shape[0]]), (279, 4, [*map(len, pixels)]),
        (284, 3, [2 if planar else 1]),
    ]  # fmt: skip
    for tag, size, numbers in tags:
        data = b"".join(struct.pack(order + ("H" if size == 3 else "I"), number) for number in numbers)
        where = data.ljust(4, b"\0")
        if len(data) > 4:
            where, extra = struct.pack(order + "I", start + len(extra)), extra + data
        entries += struct.pack(order + "HHI", tag, size, len(numbers)) + where
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + struct.pack(order + "H", len(tags))
    return io.BytesIO(head + entries + bytes(4) + extra + b"".join(pixels))


def png(values: np.ndarray) -> io.BytesIO:
    """A PNG of 16 bits in colour, with alpha where there are four channels."""
    height, width, channels = values.shape
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if channels == 3 else 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    framed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(framed))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("planar", "packed"), [(False, False), (False, True), (True, False)])
def test_colours_of_twelve_bits_are_as_bright_as_those_of_eight(planar: bool, packed: bool, order: str) -> None:
    wanted = RAMP.mean((0, 1)) / 4095 * 255
    found = decode_file(tiff(RAMP, 16, planar=planar, packed=packed, order=order), 16)
    np.testing.assert_allclose(found.mean((0, 1)), wanted, atol=0.6)
    np.testing.assert_allclose(decode_file(png(RAMP), 16), found, atol=1)
    np.testing.assert_allclose(decode_file(png(RAMP), 16, (0.0, 65535.0)).max(), 16, atol=1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("packed", [False, True])
def test_planes_are_read_as_what_they_are(bits: int, packed: bool) -> None:
    values = RAMP / 4095 * (2**bits - 1)
    found = decode_file(tiff(values, bits, planar=True, packed=packed), 16, (0.0, 65535.0))
    np.testing.assert_allclose(found.mean((0, 1)), RAMP.mean((0, 1)) / 4095 * 255, atol=0.6)


def test_alpha_keeps_its_own_scale() -> None:
    clear = np.dstack([RAMP, np.full((16, 16), 0)])
    solid = np.dstack([RAMP, np.full((16, 16), 65535)])
    assert decode_file(png(clear), 16).min() == 255
    np.testing.assert_allclose(decode_file(png(solid), 16), decode_file(png(RAMP), 16), atol=1)


@pytest.mark.parametrize(
    ("ranges", "whole", "wanted"),
    [
        ([(0, 1000)], True, (0, 1023)),
        ([(0, 60), (3, 4000)], True, (0, 4095)),
        ([(0, 40_000)], True, (0, 65535)),
        ([(0, 7)], True, (0, 255)),
        ([(-900, 3000)], True, (-4095, 4095)),
        ([(0, 1), (0, 1.004)], False, (0, 1)),
        ([(0, 255.4)], False, (0, 255)),
        ([(-1, 1)], False, (-1, 1)),
        ([(-0.02, 1.02)], False, (0, 1)),
        ([(0, 1e-3)], False, (0, 4.0**-5)),
        ([(0, 0)], False, (0, 1)),
        ([], True, ()),
    ],
)
def test_the_scale_of_a_source(ranges: list[tuple[float, float]], whole: bool, wanted: tuple[float, ...]) -> None:
    assert scale_of([Range(low, high, whole) for low, high in ranges]) == pytest.approx(wanted)


def test_a_source_has_one_scale_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for place in range(6):
        values = rng.integers(0, 200 if place else 1000, (8, 8)).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / f"{place}.png")
    source = open_source(tmp_path)
    scale = source.outline().scale
    assert scale == (0, 1023)
    bright, dark = (next(iter(source.decode_part([place], 8, scale))) for place in (0, 1))
    assert isinstance(bright, np.ndarray)
    assert isinstance(dark, np.ndarray)
    assert bright.max() > 200
    assert dark.max() < 60
    planned = plan(Request(str(tmp_path), clusters=2))
    assert planned.config.data.scale == (0, 1023)
    given = plan(Request(str(tmp_path), clusters=2, settings=("data.scale=[0, 4095]",)))
    assert given.config.data.scale == (0, 4095)


def test_pixels_that_overshoot_or_are_no_numbers_leave_the_others_alone() -> None:
    values = np.random.default_rng(0).uniform(0, 1, (32, 32)).astype(np.float32)
    plain = _float(values)
    for odd in (1.004, np.nan, np.inf):
        values[3, 5] = odd
        assert np.abs(_float(values).astype(int) - plain).mean() < 0.5


def _float(values: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF")
    return decode_file(stream, 32)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_that_begins_black_shows_a_later_frame(kind: str) -> None:
    black, picture = Image.new("RGB", (16, 16)), Image.new("RGB", (16, 16), (200, 30, 30))
    picture.paste((20, 200, 20), (0, 0, 8, 16))
    stream = io.BytesIO()
    black.save(stream, kind, save_all=True, append_images=[black, picture, black], duration=40)
    assert decode_file(stream, 16).std() > 40
    black.save(stream := io.BytesIO(), kind, save_all=True, append_images=[black], duration=40)
    assert decode_file(stream, 16).max() < 8
