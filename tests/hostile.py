"""Folders of malformed images, made from a seed: what disks, downloads and pranksters leave among photographs."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

Rng = np.random.Generator
NAMES = [
    "line\nbreak", "tab\there", "-rf", "--out", "a,b", 'quo"te', "it's", "=1+1", "@SUM(1)", " ", "semi;colon", "50%",
    "\x1b[31mred", "🙈", "e\u0301", "\u202egnp.txt", "CON", "a" * 240, "*?[x]", "<b>bold<", "$(touch x)", "~", "\\back",
]  # fmt: skip
ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}


@dataclass
class Made:
    """Keys by what must become of them: `good` ones are grouped, `bad` ones skipped, of `either` one or the other."""

    good: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    either: list[str] = field(default_factory=list)


def fill(root: Path, *, seed: int, malformed: int, good: int, depth: int) -> Made:
    """A folder with `malformed` odd files and `good` images among them, and folders nested `depth` deep."""
    rng, made = np.random.default_rng(seed), Made()
    corpus = samples(rng)
    root.mkdir()
    for number in range(good):
        key = f"good{number:05d}.png"
        (root / key).write_bytes(_picture(rng, "PNG"))
        made.good.append(key)
    places = [root / f"{letter}" for letter in "abcdefgh"]
    for place in places:
        place.mkdir()
    for number in range(malformed - len(SPECIAL)):
        kind, data = corpus[rng.integers(len(corpus))]
        spoil, fate = SPOILERS[rng.integers(len(SPOILERS))]
        name = f"{number:05d}{NAMES[rng.integers(len(NAMES))] if number % 5 == 0 else ''}"
        path = places[rng.integers(len(places))] / f"{name}{ENDINGS[kind]}"
        path.write_bytes(spoil(data, rng))
        getattr(made, fate).append(path.relative_to(root).as_posix())
    for number, (ending, make) in enumerate(SPECIAL):
        path = root / f"special{number:02d}{ending}"
        make(path)
        if not path.is_dir() or path.is_symlink():
            made.bad.append(path.name)
    _nest(root, depth, made, _picture(rng, "PNG"))
    return made


def samples(rng: Rng) -> list[tuple[str, bytes]]:
    """One whole image of each kind and flavour."""
    found = [(kind, _picture(rng, kind)) for kind in ENDINGS]
    found += [
        ("JPEG", _picture(rng, "JPEG", mode, **options))
        for mode, options in (("L", {}), ("CMYK", {}), ("RGB", {"progressive": True}), ("RGB", {"exif": _exif()}))
    ]
    found += [("PNG", _picture(rng, "PNG", mode)) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")]
    found += [
        ("TIFF", _picture(rng, "TIFF", "RGB", compression=name))
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    found += [("TIFF", _picture(rng, "TIFF", mode)) for mode in ("I;16", "F", "CMYK")]
    found += [("WEBP", _picture(rng, "WEBP", "RGBA", lossless=True))]
    frames = [Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)) for _ in range(3)]
    for kind in ("GIF", "WEBP", "TIFF"):
        stream = io.BytesIO()
        frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
        found.append((kind, stream.getvalue()))
    return found


def _picture(rng: Rng, kind: str, mode: str = "RGB", **options: object) -> bytes:
    height, width = rng.integers(12, 48, 2)
    base = np.clip(rng.integers(0, 255, 3) + rng.integers(-40, 40, (height, width, 3)), 0, 255).astype(np.uint8)
    image = Image.fromarray(base)
    image = Image.fromarray(base[..., 0].astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


# What is done to a whole file --------------------------------------------------------------------------------


def truncated(data: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(1, len(data))]


def flipped(data: bytes, rng: Rng, *, within: int | None = None) -> bytes:
    spoilt = bytearray(data)
    for place in rng.integers(0, min(len(data), within or len(data)), 2 ** rng.integers(0, 7)):
        spoilt[place] ^= 1 << rng.integers(8)
    return bytes(spoilt)


def flipped_header(data: bytes, rng: Rng) -> bytes:
    return flipped(data, rng, within=64)


def spliced(data: bytes, rng: Rng) -> bytes:
    """A part doubled, dropped, or replaced by noise."""
    start, end = sorted(rng.integers(0, len(data), 2))
    part = [data[start:end] * 2, b"", rng.bytes(end - start), b"\xff" * (end - start)][rng.integers(4)]
    return data[:start] + part + data[end:]


def absurd(_: bytes, rng: Rng) -> bytes:
    """A header that declares far more than there is."""
    return [_absurd_png, _absurd_bmp, _absurd_gif, _absurd_tiff, _absurd_jpeg, _absurd_webp][rng.integers(6)](rng)


def _huge(rng: Rng, bits: int) -> int:
    return int(rng.choice([2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 1) - 1, rng.integers(2 ** (bits - 2), 2**bits)]))


def _many(rng: Rng) -> int:
    """The side of a picture that is taken for one, large or very large."""
    return 12_000 if rng.random() < 0.1 else 3_000


def _absurd_png(rng: Rng) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    width, height = (_huge(rng, 32), _huge(rng, 32)) if rng.random() < 0.5 else (_many(rng),) * 2
    head = struct.pack(">IIBBBBB", width, height, 8, int(rng.choice([0, 2, 6])), 0, 0, int(rng.integers(2)))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    if rng.random() < 0.3:  # The length of the chunk itself is absurd.
        pixels = struct.pack(">I", _huge(rng, 32)) + pixels[4:]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels


def _absurd_bmp(rng: Rng) -> bytes:
    sizes = struct.pack("<II", _huge(rng, 32), _huge(rng, 32))
    if rng.random() < 0.5:
        sizes = struct.pack("<ii", _many(rng), -3_000)
    info = struct.pack("<I", 40) + sizes + struct.pack("<HHIIiiII", 1, 24, int(rng.integers(4)), 0, 1, 1, 0, 0)
    return (
        b"BM" + struct.pack("<IHHI", _huge(rng, 32), 0, 0, int(rng.choice([54, _huge(rng, 32)]))) + info + rng.bytes(99)
    )


def _absurd_gif(rng: Rng) -> bytes:
    size = struct.pack("<HH", _huge(rng, 16), _huge(rng, 16))
    return b"GIF89a" + size + b"\xf7\x00\x00" + rng.bytes(768) + b"," + bytes(4) + size + b"\x00\x08" + rng.bytes(200)


def _absurd_tiff(rng: Rng) -> bytes:
    entries = [(256, _huge(rng, 32)), (257, _huge(rng, 32)), (258, 8), (259, int(rng.choice([1, 5, 8]))), (262, 1),
               (273, 8), (277, 1), (278, _huge(rng, 32)), (279, _huge(rng, 32))]  # fmt: skip
    count = len(entries) if rng.random() < 0.7 else _huge(rng, 16)
    body = b"".join(struct.pack("<HHII", tag, 4, int(rng.choice([1, 1, _huge(rng, 32)])), v) for tag, v in entries)
    return b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", count) + body + struct.pack("<I", 8)


def _absurd_jpeg(rng: Rng) -> bytes:
    data = bytearray(_picture(rng, "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", *((65_535, 65_535) if rng.random() < 0.5 else (_many(rng),) * 2))
    return bytes(data)


def _absurd_webp(rng: Rng) -> bytes:
    canvas = b"\x10\x00\x00\x00" + struct.pack("<I", _huge(rng, 24))[:3] + struct.pack("<I", _huge(rng, 24))[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + b"VP8L" + struct.pack("<I", _huge(rng, 32)) + rng.bytes(50)
    return b"RIFF" + struct.pack("<I", int(rng.choice([len(body), _huge(rng, 32)]))) + body


SPOILERS: list[tuple[Callable[[bytes, Rng], bytes], str]] = [
    (truncated, "either"), (truncated, "either"), (flipped, "either"), (flipped, "either"), (flipped_header, "either"),
    (spliced, "either"), (absurd, "either"), (absurd, "either"),
    (lambda data, rng: b"", "bad"),  # noqa: ARG005
    (lambda data, rng: bytes(int(rng.integers(1, 5000))), "bad"),  # noqa: ARG005
    (lambda data, rng: rng.bytes(int(rng.integers(1, 5000))), "either"),  # noqa: ARG005
    (lambda data, rng: b"<!DOCTYPE html><title>404</title>", "bad"),  # noqa: ARG005
]  # fmt: skip


# What is no file at all, or cannot be read ---------------------------------------------------------------------------


def _socket(path: Path) -> None:
    """Bound from its folder: the whole path may be longer than a socket's address."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _locked(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0)


SPECIAL: list[tuple[str, Callable[[Path], None]]] = [
    (".jpg", os.mkfifo), ("", os.mkfifo), (".png", _socket), (".gif", _locked),
    (".jpg", lambda path: path.symlink_to("nowhere.jpg")),
    (".jpg", lambda path: path.symlink_to(path.name)),
    ("", lambda path: path.symlink_to(path)),
    (".bmp", lambda path: path.symlink_to("/dev/zero")),
    (".png", lambda path: path.symlink_to("/dev/tty")),
    ("", lambda path: path.symlink_to("a")),
    ("", lambda path: path.symlink_to(".")),
    (".jpg", Path.mkdir),
    (".pdf", lambda path: path.write_bytes(b"%PDF-1.7")),
    (".eps", lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")),
]  # fmt: skip


def _nest(root: Path, depth: int, made: Made, picture: bytes) -> None:
    """Folders within folders, an image at the bottom; made step by step, as the whole path may be too long to say."""
    at = os.open(root, os.O_RDONLY)
    for level in range(depth):
        os.mkdir("n", dir_fd=at)
        below = os.open("n", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
        if level == min(depth, 100) - 1:
            with os.fdopen(os.open("deep.png", os.O_WRONLY | os.O_CREAT, dir_fd=at), "wb") as stream:
                stream.write(picture)
            made.good.append("n/" * (level + 1) + "deep.png")
    os.close(at)
