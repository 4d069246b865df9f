from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from coterie.data.base import Unreadable
from coterie.data.reading import formats
from coterie.data.reading.decode import decode_file
from coterie.data.reading.pixels import fit_square
from coterie.data.reading.stored import stored_size


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff"])
def test_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    path = save(Image.new("RGB", (30, 20), (200, 100, 50)), tmp_path / f"image.{suffix}")
    pixels = decode_file(path, 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.reshape(-1, 3), [[200, 100, 50]] * 256, atol=6)


def test_orientation_is_honoured(tmp_path: Path) -> None:
    # Red on the left, blue on the right; orientation 6 says: turn clockwise by 90°, so red comes to the top.
    image = Image.new("RGB", (32, 32), "blue")
    image.paste("red", (0, 0, 16, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode_file(save(image, tmp_path / "turned.png", exif=exif), 32)
    assert pixels[2, 16].tolist() == [255, 0, 0]
    assert pixels[29, 16].tolist() == [0, 0, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_equals_pillows(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(image, tmp_path / "turned.png", exif=exif)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    assert np.array_equal(decode_file(path, 16), expected)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    clear = save(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), tmp_path / "clear.png")
    assert decode_file(clear, 8).min() == 255
    half = save(Image.new("LA", (8, 8), (0, 128)), tmp_path / "half.png")
    assert decode_file(half, 8)[0, 0, 0] == pytest.approx(127, abs=1)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert decode_file(save(palette, tmp_path / "palette.png"), 8)[0, 0].tolist() == [10, 200, 30]
    assert decode_file(save(palette, tmp_path / "clear.gif", transparency=1), 8).min() == 255


def test_sixteen_bits_floats_bilevel_and_cmyk(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = decode_file(save(Image.fromarray(ramp), tmp_path / "deep.png"), 8)
    np.testing.assert_allclose(pixels[..., 0], ramp / 257, atol=1)
    shares = (ramp / 65535).astype(np.float32)
    pixels = decode_file(save(Image.fromarray(shares), tmp_path / "float.tiff"), 8)
    np.testing.assert_allclose(pixels[..., 0], ramp / 257, atol=1)
    assert decode_file(save(Image.new("1", (8, 8), 1), tmp_path / "bilevel.png"), 8).min() == 255
    cyan = decode_file(save(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), tmp_path / "cmyk.jpg"), 8)
    np.testing.assert_allclose(cyan[0, 0], [0, 255, 255], atol=60)


def test_the_middle_of_an_oblong_image_is_kept(tmp_path: Path) -> None:
    image = Image.new("RGB", (90, 30), "black")
    image.paste("white", (30, 0, 60, 30))
    assert decode_file(save(image, tmp_path / "wide.png"), 10).min() == 255


def damaged_files(folder: Path) -> dict[str, Path]:
    good = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(good, "JPEG")
    content = {
        "empty.jpg": b"",
        "text.png": b"this is no image",
        "truncated.jpg": good.getvalue()[: len(good.getvalue()) // 2],
        "bomb.png": _png_header(60_000, 60_000),
        "headless.gif": b"GIF89a",
    }
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in content}


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_damaged_files_give_a_reason(tmp_path: Path) -> None:
    reasons = {}
    for name, path in damaged_files(tmp_path).items():
        with pytest.raises(Unreadable) as caught:
            decode_file(path, 16)
        reasons[name] = str(caught.value)
        assert "\n" not in reasons[name]
    assert reasons["empty.jpg"] == "the file is empty"
    assert "not an image" in reasons["text.png"]
    assert "truncated" in reasons["truncated.jpg"]
    assert "too large" in reasons["bomb.png"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.exists, "gone, or a link to nothing"),
        (lambda path: path.symlink_to("nowhere.png"), "gone, or a link to nothing"),
        (lambda path: path.symlink_to(path.name), "a link that leads in a circle"),
        (lambda path: path.symlink_to("/dev/zero"), "not a file, but a pipe, a device or a folder"),
        (os.mkfifo, "not a file, but a pipe, a device or a folder"),
        (Path.mkdir, "not a file, but a pipe, a device or a folder"),
    ],
)
def test_what_is_no_file_is_neither_waited_for_nor_read(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path / "odd.png")
    with pytest.raises(Unreadable, match=f"^{reason}$"):
        decode_file(tmp_path / "odd.png", 8)
    assert stored_size(tmp_path / "odd.png") is None


@pytest.mark.parametrize("size", [(250, 187), (96, 130), (40, 30), (1500, 1100)])
def test_the_quick_resize_is_that_of_pillow(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    image = coarse.resize(size, Image.Resampling.BICUBIC)
    short = min(size)
    left, top = (size[0] - short) // 2, (size[1] - short) // 2
    square = image.crop((left, top, left + short, top + short))
    wanted = np.asarray(square.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    difference = np.abs(fit_square(image, 64).astype(int) - wanted)
    # Large images are averaged by blocks first, which shifts a grid by less than a pixel of the result.
    assert difference.max() <= (3 if short <= 6 * 64 else 24)
    assert difference.mean() <= (0.6 if short <= 6 * 64 else 3)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "tEXt", "iCCP", "after"])
def test_png_with_much_text_is_read(tmp_path: Path, kind: str) -> None:
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    image.save(tmp_path / "plain.png")
    plain, much = (tmp_path / "plain.png").read_bytes(), b"x" * 3_000_000
    bodies = {
        "zTXt": b"parameters\0\0" + zlib.compress(much),
        "iTXt": b"parameters\0\1\0\0\0" + zlib.compress(much),
        "tEXt": b"parameters\0" + much * 23,
        "iCCP": b"profile\0\0" + zlib.compress(much),
        "after": b"parameters\0\0" + zlib.compress(much),
    }
    name = b"zTXt" if kind == "after" else kind.encode()
    chunk = struct.pack(">I", len(bodies[kind])) + name + bodies[kind]
    chunk += struct.pack(">I", zlib.crc32(name + bodies[kind]))
    place = plain.index(b"IEND") - 4 if kind == "after" else 33
    path = tmp_path / "text.png"
    path.write_bytes(plain[:place] + chunk + plain[place:])
    assert decode_file(path, 8)[0, 0].tolist() == [200, 100, 50]


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif_is_read_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), "blue")
    image.paste("red", (0, 0, 16, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode_file(save(image, tmp_path / "turned.avif", exif=exif), 32)
    np.testing.assert_allclose(pixels[2, 16], [255, 0, 0], atol=8)
    np.testing.assert_allclose(pixels[29, 16], [0, 0, 255], atol=8)


def test_heic_is_read_upright(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.new("RGB", (64, 64), "blue")
    image.paste("red", (0, 0, 32, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.from_pillow(image).save(tmp_path / "turned.heic", exif=exif.tobytes())
    pixels = decode_file(tmp_path / "turned.heic", 32)
    np.testing.assert_allclose(pixels[2, 16], [255, 0, 0], atol=8)
    np.testing.assert_allclose(pixels[29, 16], [0, 0, 255], atol=8)


def test_heic_without_its_decoder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "formats", lambda: ("JPEG", "PNG"))
    with pytest.raises(Unreadable, match=r"an HEIC image: pip install 'coterie\[heic\]'"):
        decode_file(io.BytesIO(b"\0\0\0\x18ftypheic" + b"\0" * 50), 8)
    with pytest.raises(Unreadable, match="an AVIF image"):
        decode_file(io.BytesIO(b"\0\0\0\x18ftypavif" + b"\0" * 50), 8)
