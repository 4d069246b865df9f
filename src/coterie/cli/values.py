"""Values of options, from their text."""

from __future__ import annotations

import argparse
from pathlib import Path

from coterie.files import is_url


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


def shares(text: str) -> tuple[float, ...]:
    """Numbers that commas part."""
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' must be numbers, as in 0.5,0.3,0.2") from None
