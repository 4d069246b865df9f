"""A recipe as a person or a program reads it: where it comes from, and every setting with its origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from coterie.config import plain
from coterie.data.feeding.augment import AugmentConfig
from coterie.plan.recipes import Recipe
from coterie.plan.words import flattened, method_options
from coterie.train.config import TrainConfig


def settings(found: Recipe) -> Iterator[tuple[str, Any, str]]:
    """Every setting of a run by the recipe: its full name, its value, and who says so."""
    said = flattened(found.values)
    method = said.get("method")
    options = method_options(str(method)) if method else {}
    below: list[tuple[str, dict[str, Any], str]] = [
        ("options", options, f"method {method}"),
        ("augment", plain(AugmentConfig()), "default"),
        ("train", plain(TrainConfig()), "default"),
    ]
    for name in (name for name in said if not name.startswith(tuple(f"{section}." for section, *_ in below))):
        yield name, said[name], found.origins[name]
    for section, values, origin in below:
        for name, value in ((f"{section}.{name}", value) for name, value in values.items()):
            yield name, said.get(name, value), found.origins.get(name, origin)


def as_json(found: Recipe) -> dict[str, Any]:
    """Everything, as JSON can hold it."""
    told = {name: value for name, value in asdict(found).items() if name not in ("values", "origins")}
    return told | {"settings": {name: {"value": value, "from": origin} for name, value, origin in settings(found)}}
