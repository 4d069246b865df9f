"""Docstrings are plain text; what reStructuredText would take for markup in them is made literal."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

# A word such as `labels_`, which is no reference; at the beginning of a line Napoleon knows it for an attribute's name.
_FITTED = re.compile(r"(?<=\S)(\s+)(\w+_)(?![`\w])")


def plain(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Called by autodoc for every docstring, before Napoleon."""
    lines[:] = [_FITTED.sub(r"\1``\2``", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", plain, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
