"""Recipes: partial configurations, shipped as YAML or written by a user, that may stand on others.

A recipe's file holds options of a run, and what a `Head` says of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from coterie.config import coerce, read, shortened
from coterie.errors import UsageError, unknown
from coterie.untrusted import read_yaml

# The options of a configuration that hold options themselves.
SECTIONS = ("data", "augment", "train", "options")


@dataclass(frozen=True)
class Head:
    """What a recipe's file says beside the options of a run.

    Args:
        about: one sentence.
        base: the recipes it stands on, the later over the former, and itself over all of them.
        source: the paper.
        set: the word of the paper's data set as a source, such as `cifar10`.
        images: how many of them the paper takes.
        reported: what the paper measured, in percent.
        deviations: from the paper, a sentence each.
        linear: how the paper evaluates by a linear layer: arguments of `coterie.evaluate.probe.ProbeConfig`.
    """

    about: str = ""
    base: tuple[str, ...] = ()
    source: str = ""
    set: str = ""
    images: int = 0
    reported: Any = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    linear: Any = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """The values a recipe sets, and where they come from.

    Args:
        about: one sentence.
        values: options and values, in sections.
        origins: by full names of options, the recipes that set them: this one, or one it stands on.
        source: the paper; empty for settings of our own.
        data: the word of its data set as a source, such as `cifar10`; empty where it goes with any.
        images: how many the paper takes; 0 where it goes with any number.
        reported: what the paper measured, in percent: `nmi`, `acc`, `ari`.
        deviations: from the paper, a sentence each.
        linear: how the paper evaluates by a linear layer, if it does: arguments of
            `coterie.evaluate.probe.ProbeConfig`.
    """

    name: str
    about: str
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    source: str
    data: str
    images: int
    reported: Mapping[str, float]
    deviations: tuple[str, ...]
    linear: Mapping[str, Any]


def recipe_names() -> list[str]:
    """The shipped recipes."""
    return _names("")


def recipe(name: str) -> Recipe:
    """A shipped recipe by name, or any YAML file by its path, a run's `config.yaml` among them.

    Raises:
        UsageError: no such recipe, or a file that is not a mapping in YAML.
    """
    if not name.endswith((".yaml", ".yml")):
        return _shipped(name, recipe_names())
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"there is no recipe file {name}")
    return _standing(path.stem, path.read_text(encoding="utf-8", errors="replace"), where=name)


def _shipped(name: str, known: Iterable[str]) -> Recipe:
    if name not in known:
        raise unknown("recipe", name, known)
    folder = _folder("bases" if name in _names("bases") else "")
    return _standing(name, (folder / f"{name}.yaml").read_text(encoding="utf-8"), where=name)


def _folder(within: str) -> Any:
    return resources.files("coterie.recipes") / within if within else resources.files("coterie.recipes")


def _names(within: str) -> list[str]:
    names = (entry.name for entry in _folder(within).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _standing(name: str, text: str, *, where: str) -> Recipe:
    """The recipe in a file, with what it stands on below it."""
    head, own = _parsed(text, where)
    below = [_shipped(each, [*_names("bases"), *recipe_names()]) for each in head.base]
    values: Mapping[str, Any] = {}
    origins: dict[str, str] = {}
    for each in below:
        values, origins = _over(values, each.values), {**origins, **each.origins}
    return Recipe(
        name,
        head.about,
        _over(values, own),
        origins | dict.fromkeys(_full_names(own), name),
        head.source,
        head.set or _latest(each.data for each in below) or "",
        head.images or _latest(each.images for each in below) or 0,
        {metric: coerce(value, float, where=f"reported.{metric}") for metric, value in head.reported.items()},
        tuple(one for each in below for one in each.deviations) + head.deviations,
        head.linear or _latest(each.linear for each in below) or {},
    )


def _latest(said: Iterable[Any]) -> Any:
    """The last of what those below say, None where they say nothing."""
    return next(filter(None, reversed([*said])), None)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values over others, section by section."""
    sections = {name: {**below.get(name, {}), **above.get(name, {})} for name in SECTIONS}
    return {**below, **above, **{name: held for name, held in sections.items() if held}}


def _full_names(values: Mapping[str, Any]) -> list[str]:
    within = [f"{section}.{name}" for section in SECTIONS for name in values.get(section, {})]
    return [name for name in values if name not in SECTIONS] + within


def _parsed(text: str, where: str) -> tuple[Head, dict[str, Any]]:
    """What a file says of its options, and these."""
    try:
        values = read_yaml(text)
    except ValueError as error:
        raise UsageError(f"recipe {where} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"recipe {where} must be options and values, like 'train: {{epochs: 100}}'")
    for section in (*SECTIONS, "reported", "linear"):
        if not isinstance(values.get(section, {}), dict):
            raise UsageError(
                f"recipe {where}: '{section}' must hold options and values, got {shortened(values[section])}"
            )
    for header in ("coterie", "format"):
        values.pop(header, None)
    head = {each.name: values.pop(each.name) for each in fields(Head) if each.name in values}
    return read(Head, head), values
