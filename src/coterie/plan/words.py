"""From a user's words to values by the full names of options: `train.epochs`, `options.temperature`, `seed`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from coterie.config import plain, shortened
from coterie.data.feeding.augment import AugmentConfig
from coterie.errors import UsageError, unknown
from coterie.methods import method_type
from coterie.plan.recipes import SECTIONS
from coterie.plan.request import Request
from coterie.runs.config import DataConfig, RunConfig
from coterie.train.config import TrainConfig
from coterie.untrusted import read_yaml

# Arguments of a request by the option each stands for.
_ARGUMENTS = {
    "clusters": "clusters", "seed": "seed", "backbone": "backbone", "epochs": "train.epochs",
    "size": "data.side", "subset": "data.subset", "image_column": "data.image_column",
    "label_column": "data.label_column", "channels": "data.channels", "words": "words", "labels": "labels",
}  # fmt: skip
# Those that only ever switch something on, and those whose default is a word.
_SWITCHES = {
    "deterministic": "deterministic", "compiled": "compiled", "labels_from_folders": "data.labels_from_folders",
    "collapse_copies": "data.collapse_copies",
}  # fmt: skip
_WORDS = ("method", "device", "precision")


def asked_values(request: Request, method: str) -> dict[str, Any]:
    """What a request itself sets: `settings`, then the named arguments, which win.

    Raises:
        UsageError: an unknown option, or one the method does not have.
    """
    asked = parse_settings(request.settings, method)
    asked |= {option: value for name, option in _ARGUMENTS.items() if (value := getattr(request, name)) is not None}
    asked |= {option: True for name, option in _SWITCHES.items() if getattr(request, name)}
    asked |= {name: value for name in _WORDS if (value := getattr(request, name)) != "auto"}
    if request.proportions:
        if "proportions" not in method_options(method):
            raise UsageError(f"--proportions goes with lnscc; {method} takes no wanted proportions")
        asked["options.proportions"] = list(request.proportions)
        asked.setdefault("clusters", len(request.proportions))
    return asked


def parse_settings(settings: Iterable[str], method: str) -> dict[str, Any]:
    """`KEY=VALUE` strings as values by full names.

    Raises:
        UsageError: no `=`, an unknown key, or one that several sections have.
    """
    known = _names(method)
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set wants KEY=VALUE, got '{setting}'")
        try:
            value = read_yaml(text)
        except ValueError:
            raise UsageError(f"--set {key}: '{text}' is not a value YAML can read") from None
        values[_full_name(key.strip(), known)] = value
    return values


def method_options(method: str) -> dict[str, Any]:
    """The method's own options and values."""
    return dict(plain(method_type(method).Config()))


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """By sections again: `{"train.epochs": 5}` becomes `{"train": {"epochs": 5}}`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        section, dot, rest = name.partition(".")
        if dot and section in SECTIONS:
            found.setdefault(section, {})[rest] = value
        else:
            found[name] = value
    return found


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Sections by the full names of their options; whatever else is nested is left for the strict reading to refuse."""
    sections = {name: value for name, value in values.items() if name in SECTIONS}
    found = {f"{section}.{name}": value for section, held in sections.items() for name, value in held.items()}
    return {name: value for name, value in values.items() if name not in SECTIONS} | found


def _names(method: str) -> list[str]:
    sections: dict[str, Any] = {"data": DataConfig, "augment": AugmentConfig, "train": TrainConfig}
    names = [f"{section}.{field.name}" for section, kind in sections.items() for field in fields(kind)]
    names += [f"options.{name}" for name in method_options(method)]
    return names + [field.name for field in fields(RunConfig) if field.name not in SECTIONS]


def _full_name(key: str, known: list[str]) -> str:
    if key in known:
        return key
    matches = [name for name in known if name.rpartition(".")[2] == key]
    if len(matches) > 1:
        raise UsageError(f"--set {key}: say which one: {' or '.join(matches)}")
    if not matches:
        short = {name.rpartition(".")[2] for name in known}
        raise unknown("option", key, known if "." in key else short)
    return matches[0]


def as_settings(options: object) -> tuple[str, ...]:
    """Values by their names as `KEY=VALUE` strings; raises a UsageError for what `--set` cannot say."""
    if not isinstance(options or {}, Mapping):
        raise UsageError(f"options go by name, as in {{'train.batch_size': 64}}, and are no {type(options).__name__}")
    return tuple(f"{name}={_yaml(name, value)}" for name, value in plain(options or {}).items())


def _yaml(name: str, value: Any) -> str:
    import yaml

    try:
        text = str(yaml.safe_dump(value, default_flow_style=True, width=math.inf))
    except yaml.YAMLError:
        raise UsageError(f"option '{name}': {shortened(value)} is neither a number, nor a word, nor a list") from None
    return text.removesuffix("\n").removesuffix("\n...")
