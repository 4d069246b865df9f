"""What `reproduction.json` must hold, so that a repeated command can go on from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coterie.config import shortened
from coterie.errors import UsageError
from coterie.untrusted import read_json

# What is told of a machine.
_TOLD = (str, int, float, type(None))


def kept_runs(path: Path, asked: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """The runs that a `reproduction.json` tells of, by seed; none where it is missing or damaged.

    Raises:
        UsageError: it was asked otherwise than by `asked`; the first difference is named.
    """
    try:
        values = read_json(path)
        was, runs = dict(values["asked"]), {run["seed"]: _checked(run) for run in values["runs"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    for name in {**asked, **was}:
        if was.get(name) != asked.get(name):
            had, wants = (shortened(each[name]) if name in each else "none" for each in (was, asked))
            raise UsageError(f"{path.parent} was begun with {name} {had}, not {wants}: give another --out")
    return runs


def _checked(run: dict[str, Any]) -> dict[str, Any]:
    figures = [run["images"], run["epochs"], run["seconds"], *run["scores"].values()]
    if not isinstance(run["seed"], int) or not all(isinstance(each, (int, float)) for each in figures):
        raise ValueError("a figure is no number")
    told = [run["commit"] or "", *run["machine"].values()]
    if not all(math.isfinite(each) for each in figures) or not all(isinstance(each, _TOLD) for each in told):
        raise ValueError("a figure is not finite, or a text is none")
    return run
