"""What a source is called wherever the command is given: what a run keeps of the word a person typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from coterie.data.sources.downloads.words import asked_for
from coterie.files import absolute, is_url
from coterie.hub import PREFIX

DIGITS = "sklearn:digits"


def full_name(source: str) -> str:
    """`source` with its path made absolute; URLs, names on the hub and `sklearn:digits` mean the same everywhere.

    Args:
        source: see `coterie.data.sources.open_source`.
    """
    if is_digits(source):
        return DIGITS
    if is_url(source):
        return source
    if (asked := asked_for(source)) is not None:
        return asked.full_name
    if source.startswith(PREFIX):
        name, colon, split = source.removeprefix(PREFIX).partition(":")
        return f"{PREFIX}{absolute(name)}{colon}{split}" if Path(name).exists() else source
    return absolute(source)


def is_digits(source: str) -> bool:
    """Whether a word means scikit-learn's digits: `digits` does where no file and no folder has that name."""
    return source == DIGITS or (source == "digits" and not Path(source).exists())


def shown_name(source: str) -> str:
    """A full name as others may see it: of a path on this machine its last part."""
    if (asked := asked_for(source)) is not None:
        return asked.shown_name
    return Path(source).name if Path(source).is_absolute() else source


def place_of(source: str) -> Path:
    """The path on this machine that a full name holds; of a name without one, a path where nothing is."""
    asked = asked_for(source)
    return Path(source) if asked is None else asked.path


def in_arrays(source: str) -> bool:
    """Whether a full name tells that the images lie in arrays, and not each in a file."""
    asked = asked_for(source)
    return source == DIGITS or source.endswith(".npz") or (asked is not None and asked.download.in_arrays)


def tell_twins(source: str, note: Callable[[str], None]) -> None:
    """Say which is read where a word is the name of two things."""
    if source == "digits" and not is_digits(source):
        note(f"reading ./digits, which is here; scikit-learn's digits are {DIGITS}")
    name = source.removeprefix(PREFIX).partition(":")[0]
    if source.startswith(PREFIX) and not is_url(source) and Path(name).exists():
        note(f"reading {absolute(name)}, which is here, and no data set of the hub called {name}")
