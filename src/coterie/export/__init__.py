"""One file per format. A format is found by its file's name, so adding one changes nothing here."""

from __future__ import annotations

import importlib
import pkgutil

from coterie.errors import unknown
from coterie.export.base import Format, Pixels, Subject

__all__ = ["Format", "Pixels", "Subject", "format_named", "formats"]


def formats() -> dict[str, Format]:
    """The formats there are, by name. Their files import slow packages late, so that listing them is quick."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: _format(name) for name in names if name != "base" and not name.startswith("_")}


def format_named(name: str) -> Format:
    """The format `name`.

    Raises:
        UsageError: there is no such format.
    """
    known = formats()
    if name not in known:
        raise unknown("format", name, known)
    return known[name]


def _format(name: str) -> Format:
    found: Format = importlib.import_module(f"{__name__}.{name}").FORMAT
    return found
