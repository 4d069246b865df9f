"""Packages that are not installed with coterie, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from coterie.errors import UsageError


def require(package: str, *, extra: str, what: str) -> Any:
    """The module `package`.

    Args:
        extra: of coterie, that installs it.
        what: needs it, for the message.

    Raises:
        UsageError: it is not installed; the message gives the command.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise UsageError(f"{what} needs {name}: pip install 'coterie[{extra}]'") from None
