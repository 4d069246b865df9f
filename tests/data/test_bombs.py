"""Images that are small as files and large in memory: what is decoded is bounded, what is not says why."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.data.base import Unreadable
from coterie.data.reading.decode import decode_file
from coterie.data.reading.pixels import fit_square

_MEASURE = """
import json, resource, sys
from pathlib import Path
import torch
from PIL import Image
from coterie.data.base import Unreadable
from coterie.data.reading.decode import decode_file

torch.set_num_threads(1)
Image.init()
found = {}
for path in map(Path, sys.argv[1:]):
    try:
        said = decode_file(path, 32).mean(axis=(0, 1)).tolist()
    except Unreadable as reason:
        said = str(reason)
    found[path.name] = said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if len(found) == 1:  # The first one stands for what every process takes.
        before = found[path.name][1]
print(json.dumps({name: (said, peak - before) for name, (said, peak) in found.items()}))
"""


def measured(paths: list[Path]) -> dict[str, tuple[str | list[float], int]]:
    """What became of each file, and by how many MiB the process had grown at most until then."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *map(str, paths)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def png(path: Path, width: int, height: int, bits: int, colours: int, *, rows: int | None = None) -> Path:
    """Black; with less than all its `rows`, only the header tells of its size."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colours]
    row = bytes(1 + width * samples * bits // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    body = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))
    return path


def gif(path: Path, width: int, height: int) -> Path:
    image = b"\x2c" + struct.pack("<4H", 0, 0, width, height) + b"\x00\x02\x02\x44\x01\x00"
    path.write_bytes(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + image + b"\x3b")
    return path


def webp(path: Path, width: int, height: int) -> Path:
    data = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(99)
    chunk = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunk)) + chunk)
    return path


def tiff(path: Path, side: int, *, tile: int = 0) -> Path:
    """Deflated, in one strip, or in one tile that may be larger than the image."""
    # A row at a time, as the tile would not fit in memory either; only its beginning is there.
    data = zlib.compress(bytes(min(tile or side, 4096) * 64))
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    tags += [(322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, len(data))] if tile else []
    tags += [] if tile else [(273, 4, 8), (278, 4, side), (279, 4, len(data))]
    at = 8 + len(data)
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(tags))
    path.write_bytes(
        b"II*\0" + struct.pack("<I", at) + data + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    )
    return path


def test_bombs_and_large_images_are_bounded_in_memory(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "first.png")
    Image.new("RGB", (10_000, 10_000), (200, 40, 10)).save(tmp_path / "100mp.jpg")
    refused = [
        png(tmp_path / "huge.png", 50_000, 50_000, 8, 2, rows=1),
        png(tmp_path / "large.png", 13_400, 13_400, 8, 2, rows=1),
        gif(tmp_path / "huge.gif", 50_000, 50_000),
        webp(tmp_path / "large.webp", 12_000, 12_000),
        tiff(tmp_path / "huge.tif", 50_000),
        tiff(tmp_path / "large.tif", 13_000, tile=32_000),
        tiff(tmp_path / "tile.tif", 64, tile=40_000),
    ]
    decoded = [tmp_path / "100mp.jpg", png(tmp_path / "deep.png", 6000, 6000, 16, 0)]
    assert all(path.stat().st_size < 400_000 for path in refused)
    found = measured([tmp_path / "first.png", *refused, *decoded])
    for path in refused:
        said, grown = found[path.name]
        assert "too large" in said, path.name
        assert grown < 100, f"{path.name} took {grown} MiB"
    assert found["100mp.jpg"][0] == pytest.approx([200, 40, 10], abs=2)
    assert found["100mp.jpg"][1] < 150  # Decoded at an eighth.
    assert found["deep.png"][0] == [0, 0, 0]
    assert found["deep.png"][1] < 400  # 36 megapixels at once, as float64 with copies, took 1.1 GB.


@pytest.mark.soak
@pytest.mark.parametrize(("bits", "colours"), [(8, 0), (8, 2), (8, 4), (8, 6), (16, 0), (16, 2), (16, 6)])
def test_the_largest_images_of_every_mode_stay_within_their_bound(tmp_path: Path, bits: int, colours: int) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "first.png")
    path = png(tmp_path / "largest.png", 13_300, 13_300, bits, colours)
    said, grown = measured([tmp_path / "first.png", path])["largest.png"]
    assert isinstance(said, list), said
    print(f"{path.stat().st_size} bytes, {bits} bits, colour type {colours}: {grown} MiB")
    assert grown < 1100


def test_kinds_that_start_programs_are_not_tried(tmp_path: Path) -> None:
    # Pillow hands EPS to Ghostscript, a language's interpreter with a history.
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EndProlog\n(x) run\n%%EOF\n"
    (tmp_path / "photo.png").write_bytes(text)
    with Image.open(tmp_path / "photo.png") as image:
        assert image.format == "EPS"
    with pytest.raises(Unreadable, match="not an image, or of a kind that is not known"):
        decode_file(tmp_path / "photo.png", 8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16", "F", "CMYK"])
def test_bands_give_what_the_whole_gives(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    if mode in ("I;16", "F"):
        kind = np.uint16 if mode == "I;16" else np.float32
        image = Image.fromarray((rng.random((150, 170)) * 60_000).astype(kind))
    else:
        samples = {"RGB": 3, "RGBA": 4, "CMYK": 4, "LA": 2}.get(mode, 1)
        pixels = rng.integers(0, 256, (150, 170, samples), dtype=np.uint8)
        image = Image.frombytes(mode, (170, 150), pixels.tobytes())
        if mode == "P":
            image.putpalette(rng.integers(0, 256, 768, dtype=np.uint8).tobytes())
            image.info["transparency"] = 3
    whole = [fit_square(image, side) for side in (8, 40, 150)]
    monkeypatch.setattr("coterie.data.reading.pixels._AT_ONCE", 1000)
    for side, wanted in zip((8, 40, 150), whole, strict=True):
        assert np.array_equal(fit_square(image, side), wanted)
