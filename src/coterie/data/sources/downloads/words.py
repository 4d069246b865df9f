"""Data sets as they are downloaded, by a word: `cifar10:PATH`, or of some splits only, `cifar10:PATH:test`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from coterie.errors import UsageError, unknown
from coterie.files import absolute


@dataclass(frozen=True)
class Download:
    """A data set: how it is laid out, its splits, and those that are read where nothing is said."""

    layout: str
    splits: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()

    @property
    def in_arrays(self) -> bool:
        """Whether its images lie in arrays, and not each in a file."""
        return self.layout not in ("synsets", "folders")


_BOTH = ("train", "test")
_CIFAR, _IDX = (Download(layout, _BOTH, _BOTH) for layout in ("cifar", "idx"))
_SYNSETS = Download("synsets", ("train", "val"), ("train",))
_FOLDERS = Download("folders")
DOWNLOADS = {
    "cifar10": _CIFAR,
    "cifar20": _CIFAR,
    "cifar100": _CIFAR,
    "stl10": Download("stl10", (*_BOTH, "unlabelled"), _BOTH),
    "mnist": _IDX,
    "fashion-mnist": _IDX,
    "imagenet": _SYNSETS,
    "imagenet10": _SYNSETS,
    "imagenet-dogs": _SYNSETS,
    "tiny-imagenet": _SYNSETS,
    "uc-merced": _FOLDERS,
    "rsod": _FOLDERS,
    "siri-whu": _FOLDERS,
}
_DRIVE = re.compile(r"[A-Za-z]")
_SPLITS = re.compile(r"[a-z]+(\+[a-z]+)*")


@dataclass(frozen=True)
class Asked:
    """What a word asks for: `said` are splits as they were written, joined by `+`, empty for the usual ones."""

    word: str
    path: Path
    said: str = ""

    @property
    def download(self) -> Download:
        return DOWNLOADS[self.word]

    @property
    def full_name(self) -> str:
        """The same, from any folder."""
        return f"{self.word}:{absolute(self.path)}{self.said and ':'}{self.said}"

    @property
    def shown_name(self) -> str:
        """The same, as others may see it."""
        return f"{self.word}:{self.path.name}{self.said and ':'}{self.said}"

    @property
    def splits(self) -> list[str]:
        """Those asked for, each once and in the data set's order; raises a UsageError for one it does not have."""
        known, chosen = self.download.splits, self.said.split("+") if self.said else self.download.usual
        for split in chosen:
            if not known:
                raise UsageError(f"{self.word} has no splits: leave ':{self.said}' out")
            if split not in known:
                raise unknown(f"split of {self.word}", split, known)
        return [split for split in known if split in chosen]


def asked_for(source: str) -> Asked | None:
    """What a source asks for by a data set's word; None if it begins with none.

    What stands behind the last colon is splits if nothing of the whole name is there; behind a single letter, which may
    be a drive's, only if there are such splits.
    """
    word, colon, rest = source.partition(":")
    if not colon or word not in DOWNLOADS:
        return None
    before, _, behind = rest.rpartition(":")
    known = {*behind.split("+")} <= {*DOWNLOADS[word].splits}
    if before and _SPLITS.fullmatch(behind) and (known or not _DRIVE.fullmatch(before)) and not _path(rest).exists():
        return Asked(word, _path(before), behind)
    return Asked(word, _path(rest))


def _path(text: str) -> Path:
    """A shell leaves `~` as it is behind a colon."""
    if not text.strip():
        raise UsageError("no path stands behind the data set's word: write it as in cifar10:PATH")
    return Path(text).expanduser()
