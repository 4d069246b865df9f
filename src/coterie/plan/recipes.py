"""Recipes: partial configurations, shipped as YAML or written by a user."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from coterie.config import shortened
from coterie.errors import UsageError, unknown
from coterie.untrusted import read_yaml

# The options of a configuration that hold options themselves.
SECTIONS = ("data", "augment", "train", "options")


@dataclass(frozen=True)
class Recipe:
    """A name, one sentence about it, and the values it sets."""

    name: str
    about: str
    values: dict[str, Any]


def recipe_names() -> list[str]:
    """The shipped recipes."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("coterie.recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by name, or any YAML file by its path, a run's `config.yaml` among them.

    Raises:
        UsageError: no such recipe, or a file that is not a mapping in YAML.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"there is no recipe file {name}")
        return _parse(path.stem, path.read_text(encoding="utf-8", errors="replace"), where=name)
    if name not in recipe_names():
        raise unknown("recipe", name, recipe_names())
    text = (resources.files("coterie.recipes") / f"{name}.yaml").read_text(encoding="utf-8")
    return _parse(name, text, where=name)


def _parse(name: str, text: str, *, where: str) -> Recipe:
    try:
        values = read_yaml(text)
    except ValueError as error:
        raise UsageError(f"recipe {where} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"recipe {where} must be options and values, like 'train: {{epochs: 100}}'")
    for section in SECTIONS:
        if not isinstance(values.get(section, {}), dict):
            raise UsageError(
                f"recipe {where}: '{section}' must hold options and values, got {shortened(values[section])}"
            )
    for header in ("coterie", "format"):
        values.pop(header, None)
    about = values.pop("about", "")
    if not isinstance(about, str):
        raise UsageError(f"recipe {where}: 'about' must be a sentence, got {shortened(about)}")
    return Recipe(name, about, values)
