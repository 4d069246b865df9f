"""Kinds of files by their endings: images that are read, those that are not and what to do, and all others."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from coterie.data.base import Skipped

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".mpo", ".avif")
)
HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
_RAW = frozenset(
    (
        ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos",
        ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
    )
)  # fmt: skip
_FILMS = frozenset(
    (
        ".3gp", ".avi", ".insv", ".lrv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm",
        ".wmv",
    )
)  # fmt: skip
_DRAWN = frozenset((".ai", ".eps", ".pdf", ".ps", ".svg", ".svgz"))
_LAYERED = frozenset((".afphoto", ".clip", ".kra", ".procreate", ".psb", ".psd", ".xcf"))
_OTHER = frozenset(
    (
        ".dds", ".exr", ".hdr", ".icns", ".ico", ".j2k", ".jp2", ".jpf", ".jpx", ".jxl", ".jxr", ".pbm", ".pcx", ".pgm",
        ".pnm", ".ppm", ".qoi", ".tga",
    )
)  # fmt: skip
_MEASURED = frozenset(
    (".czi", ".dcm", ".fit", ".fits", ".ims", ".lif", ".lsm", ".mrxs", ".nd2", ".ndpi", ".nii", ".oib", ".oif", ".svs",
     ".vsi")
)  # fmt: skip
_PACKED = frozenset((".7z", ".gz", ".rar", ".tar", ".tgz", ".zip"))
# What phones and programs write beside a picture: edits, metadata, a small picture.
_BESIDE = frozenset((".aae", ".thm", ".xmp"))
_KINDS = (
    (_RAW, "a raw photograph", "develop it to JPEG first"),
    (_FILMS, "a film", "take pictures from it first"),
    (_DRAWN, "a drawing of lines or a document", "convert it to PNG first"),
    (_LAYERED, "an image in layers", "export it as PNG first"),
    (_OTHER, "an image of a kind that is not read", "convert it to PNG first"),
    (_MEASURED, "of an instrument", "export it as TIFF first"),
    (_PACKED, "an archive", "unpack it first"),
)
_NEEDS_HEIF = "pip install 'coterie[heic]' lets it be read, or convert it to JPEG first"


def reads_heif() -> bool:
    """Whether what reads HEIC is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def is_image(suffix: str) -> bool:
    """Whether files with this ending are read."""
    suffix = suffix.lower()
    return suffix in IMAGE_SUFFIXES or (suffix in HEIF_SUFFIXES and reads_heif())


def why_not(suffix: str) -> str:
    """Why a file with this ending is left out, and what to do."""
    found = _kind(suffix)
    return f"not an image file type ({suffix})" if found is None else f"{found[0]} ({suffix}), not read: {found[1]}"


def with_companions(skipped: Iterable[Skipped], images: Iterable[str]) -> list[Skipped]:
    """What was left out, with a word where it belongs to a picture that is read: a live photo's film, a camera's raw.

    Args:
        images: keys of the images that are read.
    """
    read = {_stem(key): key for key in images}
    found = []
    for entry in skipped:
        suffix, picture = PurePosixPath(entry.key).suffix.lower(), read.get(_stem(entry.key))
        if picture is not None and suffix in (_RAW | _FILMS | _BESIDE):
            what = "the raw" if suffix in _RAW else "the film" if suffix in _FILMS else "metadata"
            entry = Skipped(entry.key, f"{what} of one picture with {PurePosixPath(picture).name}, which is read")
        found.append(entry)
    return found


def _stem(key: str) -> str:
    return str(PurePosixPath(key).with_suffix("")).casefold()


def _kind(suffix: str) -> tuple[str, str] | None:
    """What a file with this ending is, where it shows a picture, and what to do."""
    if suffix.lower() in HEIF_SUFFIXES:
        return "an HEIC image", _NEEDS_HEIF
    return next(((what, advice) for kinds, what, advice in _KINDS if suffix.lower() in kinds), None)


def unread(skipped: Iterable[Skipped]) -> str:
    """How many files that show pictures are not read, by their endings, and what to do; empty where there are none.

    For instance `5 .HEIC and 1 .MOV, which are not read: …`.
    """
    suffixes = (PurePosixPath(entry.key).suffix for entry in skipped)
    counts = Counter(suffix for suffix in suffixes if suffix and not is_image(suffix) and _kind(suffix) is not None)
    if not counts:
        return ""
    listed = [f"{count} {suffix}" for suffix, count in counts.most_common()]
    words = " and ".join([*([", ".join(listed[:-1])] if listed[1:] else []), listed[-1]])
    found = (f"{suffix}: {kind[1]}" for suffix in dict(counts.most_common()) if (kind := _kind(suffix)) is not None)
    return f"{words}, which {'is' if counts.total() == 1 else 'are'} not read ({'; '.join(found)})"
