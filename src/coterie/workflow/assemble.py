"""One configuration out of defaults, a recipe and what the user set, the later winning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import yaml

from coterie.config import plain
from coterie.data.sources import Outline
from coterie.errors import UsageError, unknown
from coterie.methods import method_type
from coterie.runs.config import RunConfig, read_run_config
from coterie.train.config import TrainConfig
from coterie.train.runtime import choose_runtime
from coterie.workflow.defaults import default_options, default_side, default_values
from coterie.workflow.recipes import load_recipe

_SECTIONS = ("data", "augment", "train", "options")


@dataclass(frozen=True)
class Request:
    """What a user asked for; None leaves the choice to the recipe or the data.

    `settings` are `KEY=VALUE` strings, KEY an option's full name (`train.epochs`) or its last part where that is
    unambiguous.
    """

    source: str
    clusters: int | None = None
    method: str | None = None
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    epochs: int | None = None
    size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    seed: int | None = None
    labels_from_folders: bool = False


def assemble(request: Request, outline: Outline) -> RunConfig:
    """The configuration a request comes to for a source with this outline.

    Raises:
        UsageError: an unknown name, a value out of range, or no number of clusters.
    """
    asked = overrides(request)
    runtime = choose_runtime(asked.pop("device", request.device), asked.pop("precision", request.precision))
    gpu = runtime.device.type == "cuda"
    side = asked.get("data", {}).get("side") or default_side(outline.side, gpu=gpu)
    base = default_values(outline, side=side if isinstance(side, int) else outline.side, gpu=gpu)
    name = asked.get("method", base["method"])
    base["options"] = default_options(set(_option_names(name)), gpu=gpu)
    base |= {"seed": 0, "device": str(runtime.device), "precision": runtime.precision}
    base["data"] = {
        "source": request.source,
        "side": side,
        "labels_from_folders": request.labels_from_folders,
    }
    if request.recipe is not None and not request.recipe.endswith((".yaml", ".yml")):
        base["options"], base["augment"] = {}, {}  # A paper's recipe stands on the papers' defaults.
    values = merge(base, asked)
    if "clusters" not in values:
        raise UsageError("say how many clusters to find: -k K")
    return read_run_config(_fit_to_data(values, asked, outline.count))


def overrides(request: Request) -> dict[str, Any]:
    """What a request sets explicitly: recipe, then `settings`, then the named arguments."""
    asked = dict(load_recipe(request.recipe).values) if request.recipe is not None else {}
    asked.get("data", {}).pop("source", None)
    if request.method is not None:
        if asked.get("method", request.method) != request.method:
            asked.pop("options", None)  # The recipe's options belong to another method.
        asked["method"] = request.method
    method_type(str(asked.get("method", "propos")))
    asked = merge(asked, parse_settings(request.settings, str(asked.get("method", "propos"))))
    named = {"clusters": request.clusters, "seed": request.seed}
    asked |= {key: value for key, value in named.items() if value is not None}
    if request.device != "auto":
        asked["device"] = request.device
    if request.precision != "auto":
        asked["precision"] = request.precision
    if request.epochs is not None:
        asked = merge(asked, {"train": {"epochs": request.epochs}})
    if request.size is not None:
        asked = merge(asked, {"data": {"side": request.size}})
    return asked


def parse_settings(settings: Iterable[str], method: str) -> dict[str, Any]:
    """`KEY=VALUE` strings as nested values.

    Raises:
        UsageError: no `=`, an unknown key, or one that several sections have.
    """
    known = _setting_names(method)
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set wants KEY=VALUE, got '{setting}'")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UsageError(f"--set {key}: '{text}' is not a value YAML can read") from None
        section, _, name = _full_name(key.strip(), known).rpartition(".")
        values = merge(values, {section: {name: value}} if section else {name: value})
    return values


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section."""
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if nested else value
    return merged


def differences(config: RunConfig, request: Request) -> list[str]:
    """The explicitly requested options in which a saved configuration differs: `name (saved, asked)`."""
    asked = overrides(request)
    saved = plain(config)
    found = []
    for key, value in asked.items():
        pairs = value.items() if key in _SECTIONS and isinstance(value, Mapping) else [(None, value)]
        for name, wanted in pairs:
            had = saved[key].get(name) if name is not None else saved.get(key)
            if plain(wanted) != had and str(wanted) != str(had):
                found.append(f"{key}.{name}" if name else key)
    return found


def _fit_to_data(values: dict[str, Any], asked: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Shorten the warm-up with the epochs, and the batch to the data, unless they were set."""
    train = dict(values["train"])
    standard = TrainConfig()
    epochs, warmup = train.get("epochs", standard.epochs), train.get("warmup_epochs", standard.warmup_epochs)
    if isinstance(epochs, int) and isinstance(warmup, int) and warmup > epochs // 5:
        explicit = "warmup_epochs" in asked.get("train", {}) and "epochs" in asked.get("train", {})
        train["warmup_epochs"] = warmup if explicit and warmup <= epochs else epochs // 10
    if isinstance(train.get("batch_size"), int):
        train["batch_size"] = min(train["batch_size"], max(2, count))
    return {**values, "train": train}


def _option_names(method: str) -> list[str]:
    return [option.name for option in fields(method_type(method).Config)]


def _setting_names(method: str) -> list[str]:
    from coterie.data.augment import AugmentConfig
    from coterie.runs.config import DataConfig

    sections: dict[str, Any] = {"data": DataConfig, "augment": AugmentConfig, "train": TrainConfig}
    names = [f"{section}.{field.name}" for section, kind in sections.items() for field in fields(kind)]
    names += [f"options.{name}" for name in _option_names(method)]
    return names + [field.name for field in fields(RunConfig) if field.name not in _SECTIONS]


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
