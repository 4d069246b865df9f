"""What lies among pictures and is none of them: what systems and programs keep there, runs and sorted copies."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

# Made by `coterie apply --to`: what lies beside it are copies. A folder, as whoever counts files should count theirs.
SORTED_MARK = ".coterie-sorted"
# Of a NAS, of Windows, macOS, Android and file systems: folders, without regard to case.
_FOLDERS = frozenset(
    (
        "@eadir", "@tmp", "@recycle", "@recently-snapshot", "@__thumb", "@sharebin", "@sharesnap", "#recycle",
        "#snapshot", "$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "lost.dir",
        "lost+found", "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "canonmsc",
    )
)  # fmt: skip
_FILES = frozenset(
    ("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "zbthumbnail.info", "icon\r", "picasa.ini")
)
# Folders that a program keeps previews in, by their endings.
_PREVIEWS = (".lrdata", ".cocatalogdb")
# Libraries of Photos, iPhoto and Aperture by their endings; the originals lie in these folders, all else is derived.
_LIBRARIES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary", ".migratedaplibrary")
_ORIGINALS = frozenset(("originals", "masters"))
# How many names a note gives.
_NAMED = 4
_OWN = re.compile(r"^coterie:", re.MULTILINE)
_HEAD_BYTES = 65_536


def passed_over(parts: Sequence[str], within: str = "") -> str | None:
    """The name by which a path below a source is passed over, and counted; None if it is to be read.

    Args:
        parts: of the path: folders, and the file or folder at its end.
        within: the name of the folder they begin in.
    """
    for folder, name in zip((within, *parts), parts, strict=False):
        folded = name.casefold()
        if name.startswith(".") and name != "..":
            return "._*" if name.startswith("._") else name
        if folded in _FOLDERS or folded in _FILES or folded.endswith(_PREVIEWS):
            return name.strip()
        if folder.casefold().endswith(_LIBRARIES) and folded not in _ORIGINALS:
            return f"{folder}/{name}"
    return None


def made_by_coterie(folder: Path, names: Collection[str]) -> str | None:
    """What coterie left in a folder that holds entries of these names; None if nothing.

    A run is told by its `config.yaml`, as a folder of pictures may hold one of its own.
    """
    if SORTED_MARK in names:
        return "sorted copies"
    if "config.yaml" not in names:
        return None
    try:
        with (folder / "config.yaml").open("rb") as stream:
            head = stream.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    return "a run" if _OWN.search(head) else None


def files_below(folder: Path) -> int:
    """How many files a folder holds at any depth; links are not followed."""
    return sum(len(files) for _, _, files in os.walk(folder))


def told(passed: Counter[str]) -> str:
    """What was passed over, for a person: `passed over 14 files: 12 of @eaDir, 2 of Thumbs.db`."""
    total = passed.total()
    named = [f"{count} of {name}" for name, count in passed.most_common(_NAMED)]
    rest = total - sum(count for _, count in passed.most_common(_NAMED))
    listed = ", ".join(named + ([f"{rest} of others"] if rest else []))
    return f"passed over {total} file{'s' * (total != 1)} of systems, programs and runs: {listed}"
