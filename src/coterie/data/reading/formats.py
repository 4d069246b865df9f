"""Opening images with the decoders that are let near files of unknown origin, and what of a file they need not see."""

from __future__ import annotations

import functools
import io
from typing import BinaryIO

from PIL import Image, features

# Others that Pillow knows may start programs, as EPS does. A JPEG of several pictures (MPO) begins as any JPEG.
_ALWAYS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
_PNG = b"\x89PNG\r\n\x1a\n"
# Parts of a PNG that hold text or a profile, which may be larger than Pillow takes.
_BESIDE = frozenset((b"tEXt", b"zTXt", b"iTXt", b"iCCP"))
# Brands of files in the container of HEIC and AVIF, at the fifth byte.
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


@functools.cache
def formats() -> tuple[str, ...]:
    """The formats that are read, as Pillow names them: AVIF where it was built with it, HEIF with pillow-heif."""
    found = _ALWAYS + (("AVIF",) if features.check("avif") else ())
    try:
        import pillow_heif
    except ImportError:
        return found
    pillow_heif.register_heif_opener(thumbnails=False)
    return (*found, "HEIF")


def open_image(stream: BinaryIO) -> Image.Image:
    """An opened image, whose pixels are not read yet; raises what Pillow raises."""
    return Image.open(stream, formats=formats())


def without_text(stream: BinaryIO) -> io.BytesIO | None:
    """A PNG without the text and the colour profile it holds; None for one that has neither, and for other files."""
    stream.seek(0)
    if stream.read(len(_PNG)) != _PNG:
        return None
    kept, dropped = [_PNG], False
    while len(head := stream.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in _BESIDE:
            stream.seek(length + 4, io.SEEK_CUR)
            dropped = True
        else:
            kept += [head, stream.read(length + 4)]
    return io.BytesIO(b"".join(kept)) if dropped else None


def missing_decoder(stream: BinaryIO) -> str | None:
    """What would let a file be read that begins as HEIC or AVIF does; None for others."""
    stream.seek(0)
    head = stream.read(12)
    if head[4:8] != b"ftyp":
        return None
    if head[8:12] in _HEIF_BRANDS and "HEIF" not in formats():
        return "an HEIC image: pip install 'coterie[heic]' lets it be read"
    if head[8:12] in (b"avif", b"avis") and "AVIF" not in formats():
        return "an AVIF image: pip install -U pillow brings what reads it"
    return None
