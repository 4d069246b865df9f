"""Values of options, from their text."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from coterie.files import absolute, is_url

# As a group's name on the page.
_LONGEST = 120


def local(text: str) -> Path:
    """A path on this machine: runs and tables are only ever written and read here."""
    if is_url(text):
        raise argparse.ArgumentTypeError(f"{text} is a URL, but runs lie on this machine: give a path")
    return path(text)


def path(text: str) -> Path:
    """A path; a variable that is not set makes an empty one, which would mean the folder one is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text)


def existing(text: str) -> str:
    """A file's path from the root on, which means the same in every folder."""
    if not path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return absolute(text)


def parts(text: str) -> tuple[str, int]:
    """A group and into how many parts it is to be split: `GROUP=N`, or `GROUP` for two."""
    group, equals, number = text.rpartition("=")
    if equals and number.isdecimal():
        return group, int(number)
    return text, 2


def names(text: str) -> tuple[str, ...]:
    """Names that commas part, as in a CSV: one that holds a comma stands in quotes."""
    found = tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True), []))
    if len(found) < 2 or not all(found):
        raise argparse.ArgumentTypeError(f"'{text}' must be two groups or more, as in 3,5 or cats,kittens")
    return found


def shares(text: str) -> tuple[float, ...]:
    """Numbers that commas part."""
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' must be numbers, as in 0.5,0.3,0.2") from None


def words(text: str) -> tuple[str, ...]:
    """The lines of a file of words: each once, whatever its case, and no blank ones."""
    try:
        lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(
            f"{text} is no text in UTF-8: give a file with a word or phrase a line"
        ) from None
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error.strerror}") from None
    found: dict[str, str] = {}
    for line in lines:
        word = " ".join(line.split())
        if len(word) > _LONGEST:
            raise argparse.ArgumentTypeError(f"{text} has a line of {len(word)} letters: give a word or phrase a line")
        found.setdefault(word.casefold(), word)
    found.pop("", None)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} holds no words: give one a line")
    return tuple(found.values())
