"""What `summary.json` must hold, so that whoever shows it can rely on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from coterie.runs.words import checked_words

_TEXTS = ("method", "device", "precision")
_COUNTS = ("images", "skipped", "clusters", "outliers", "epochs", "seed")
_SCORES = ("acc", "nmi", "ari")


def checked_summary(values: Any) -> dict[str, Any]:
    """`values`, if they are a run's summary.

    Raises:
        ValueError: something is missing or of another kind.
    """
    if not isinstance(values, dict):
        raise ValueError("it is no object")
    texts = [values.get(name) for name in _TEXTS]
    counts = [*(values.get(name) for name in _COUNTS), values.get("named", 0), *_list(values, "cluster_sizes")]
    numbers = [values.get("seconds")]
    if "acc" in values:
        further = _object(values, "further", {})
        baseline = _object(values, "baseline")
        texts += [baseline.get("method"), *further]
        numbers += [baseline.get("seconds", 0.0)]
        numbers += [
            _object({"": row}, "").get(score) for row in (values, baseline, *further.values()) for score in _SCORES
        ]
    texts += [_object(values, "refined", {}).get("before", "")]
    texts += [text for pair in _object(values, "versions").items() for text in pair]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is none")
    if not all(isinstance(count, int) and 0 <= count < 1 << 62 for count in counts):
        raise ValueError("a count is none")
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
        raise ValueError("a number is none")
    checked_words(values.get("words", []), values["clusters"])
    return values


def checked_record(values: Any) -> dict[str, Any]:
    """`values`, if they are a line of `metrics.jsonl`: figures by name, those of the losses among them.

    Raises:
        ValueError: they are not.
    """
    if not isinstance(values, dict) or not isinstance(values.get("epoch"), int):
        raise ValueError("it tells of no epoch")
    figures = [*_object(values, "losses").values(), *(value for name, value in values.items() if name != "losses")]
    if not all(isinstance(figure, (int, float)) for figure in figures):
        raise ValueError("a figure is no number")
    return values


def _object(values: Mapping[str, Any], name: str, default: Any = None) -> dict[str, Any]:
    found = values.get(name, default)
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no object")
    return found


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    found = values.get(name)
    if not isinstance(found, list):
        raise ValueError(f"{name} is no list")
    return found
