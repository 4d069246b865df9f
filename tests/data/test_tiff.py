from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coterie.data.base import Unreadable
from coterie.data.reading.decode import decode_file
from coterie.data.reading.depth import Range
from coterie.data.reading.stored import stored_range, stored_size
from coterie.data.reading.tiff import pages_of, read_page

RNG = np.random.default_rng(0)


def tiff(
    *pages: np.ndarray[Any, Any], photometric: int = 1, planar: int = 1, order: str = "<", **more: int
) -> io.BytesIO:
    """An unpacked TIFF of pages (H, W, C), written by hand; `more` are tags `t…` of one number."""
    content, link = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4)), 4
    for page in pages:
        height, width, channels = page.shape
        kind = {"u": 1, "i": 2, "f": 3, "c": 6}[page.dtype.kind]
        laid = page.transpose(2, 0, 1) if planar == 2 else page
        data = np.ascontiguousarray(laid, page.dtype.newbyteorder(order)).tobytes()
        strips = channels if planar == 2 else 1
        each, start = len(data) // strips, len(content)
        content += data + struct.pack(
            f"{order}{2 * strips}I", *(start + each * n for n in range(strips)), *[each] * strips
        )
        places = start + len(data)
        tags = {256: width, 257: height, 258: 8 * page.itemsize, 259: 1, 262: photometric, 277: channels, 278: height}
        tags |= {284: planar, 339: kind} | {int(name[1:]): value for name, value in more.items()}
        entries = [(tag, 1, value) for tag, value in tags.items()]
        entries += [
            (273, strips, places if strips > 1 else start),
            (279, strips, places + 4 * strips if strips > 1 else each),
        ]
        struct.pack_into(f"{order}I", content, link, len(content))
        content += struct.pack(f"{order}H", len(entries))
        content += b"".join(struct.pack(f"{order}HHII", tag, 4, count, value) for tag, count, value in sorted(entries))
        link = len(content)
        content += bytes(4)
    return io.BytesIO(bytes(content))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i2", "f2", "f4", "f8"])
def test_samples_of_any_kind(kind: str, planar: int, order: str) -> None:
    values = RNG.integers(0, 100, (7, 5, 4)).astype(kind)
    stream = tiff(values, planar=planar, order=order)
    assert np.array_equal(read_page(stream, next(pages_of(stream))), values)


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "raw"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_packed_samples_equal_pillows(packing: str, predictor: int) -> None:
    wide = np.add.outer(np.arange(300), np.arange(200)).astype(np.uint16) * 90
    colours = RNG.integers(0, 256, (300, 200, 3), dtype=np.uint8)
    for values in (colours, wide):
        stream = io.BytesIO()
        tags = {} if packing in ("raw", "packbits") else {317: predictor}
        Image.fromarray(values).save(stream, "TIFF", compression=packing, tiffinfo=tags)
        assert np.array_equal(read_page(stream, next(pages_of(stream))).squeeze(), values)


def test_the_predictor_of_floats() -> None:
    values = RNG.normal(size=(40, 30)).astype(np.float32)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 3})
    assert np.array_equal(read_page(stream, next(pages_of(stream)))[..., 0], values)


@pytest.mark.parametrize("kind", ["f2", "f8"])
def test_grey_and_coloured_floats_are_read(kind: str) -> None:
    grey = np.linspace(0, 1, 64).reshape(8, 8, 1).astype(kind)
    np.testing.assert_allclose(decode_file(tiff(grey), 8)[..., 0], grey[..., 0] * 255, atol=1)
    colours = np.tile(np.array([0.0, 0.5, 1.0], kind), (8, 8, 1))
    np.testing.assert_allclose(decode_file(tiff(colours, photometric=2), 8)[3, 3], [0, 128, 255], atol=1)


def test_white_is_zero_at_any_depth() -> None:
    dark = np.full((8, 8, 1), 12)
    assert decode_file(tiff(dark.astype(np.uint8), photometric=0), 8).max() == 243
    assert decode_file(tiff((dark * 257).astype(np.uint16), photometric=0), 8).max() == 243


def test_planes_of_sixteen_bits_and_great_numbers() -> None:
    ramp = np.repeat(np.linspace(0, 65535, 1024).reshape(32, 32, 1), 3, axis=2).astype(np.uint16)
    assert decode_file(tiff(ramp, photometric=2, planar=2), 32).mean() == pytest.approx(127.5, abs=0.5)
    assert decode_file(tiff(np.full((8, 8, 1), 2**31, np.uint32)), 8).mean() == 128


def test_what_only_tags_tell_is_looked_at_and_scaled_as_all_else() -> None:
    dark = np.repeat(np.linspace(0, 1023, 64).reshape(8, 8, 1), 3, axis=2)
    for stream in (
        tiff(dark.astype(np.uint16), photometric=2, planar=2),
        tiff(dark.astype(np.uint64), photometric=2),
        tiff(dark.astype(np.uint32)[..., :1]),
    ):
        assert stored_range(stream) == Range(0, 1023, True)
        assert decode_file(stream, 8, (0, 4092)).max() == 64
    assert stored_range(tiff(dark[..., :1].astype(np.float16))) == Range(0, 1023, False)
    assert stored_range(tiff(dark.astype(np.uint8))) is None


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (tiff(np.zeros((8, 8, 5), np.uint8)), "a TIFF of 5 channels: .*--channels"),
        (tiff(np.zeros((8, 8, 8), np.uint16)), "a TIFF of 8 channels"),
        (tiff(np.zeros((8, 8, 1), np.complex64)), "complex numbers of 64 bits"),
        (tiff(np.zeros((8, 8, 5), np.uint8), t278=0, t259=7), "5 channels"),
    ],
)
def test_what_is_not_read_is_told_exactly(stream: io.BytesIO, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode_file(stream, 8)


def test_the_orientation_is_that_of_the_tags() -> None:
    values = np.zeros((8, 8, 1), np.float64)
    values[:, :4] = 1
    turned = decode_file(tiff(values, t274=6), 8)
    assert turned[1, 4, 0] == 255
    assert turned[6, 4, 0] == 0
    assert stored_size(tiff(values)) == (8, 8)


@pytest.mark.filterwarnings("ignore")
def test_damage_is_a_reason() -> None:
    good = tiff(RNG.integers(0, 255, (16, 16, 3)).astype(np.float16), photometric=2).getvalue()
    for place in range(0, len(good), 7):
        for content in (good[:place], good[:place] + b"\xff" * 4 + good[place + 4 :]):
            with contextlib.suppress(Unreadable):
                decode_file(io.BytesIO(content), 8)
