"""One configuration out of defaults, a recipe and what the user set, the later winning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from coterie.config import plain, read
from coterie.data.base import Outline
from coterie.errors import UsageError, unknown
from coterie.methods import method_type
from coterie.nn.backbones import backbone_names
from coterie.nn.pretrained import Pretrained, is_pretrained, open_pretrained
from coterie.runs.config import NO_BACKBONE, READING, DataConfig, RunConfig, read_run_config
from coterie.runs.model import embedding_batch
from coterie.train.config import TrainConfig
from coterie.train.runtime import choose_runtime
from coterie.untrusted import read_yaml
from coterie.workflow.defaults import default_options, default_side, default_values, enough_steps, short_run
from coterie.workflow.listener import Listener
from coterie.workflow.recipes import SECTIONS, load_recipe


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
    deterministic: bool = False
    compiled: bool = False
    features_from: str | None = None
    proportions: tuple[float, ...] = ()
    backbone: str | None = None
    subset: str | None = None
    image_column: str | None = None
    label_column: str | None = None


def open_backbone(
    config: RunConfig, request: Request, outline: Outline, listener: Listener, *, resuming: bool = False
) -> tuple[RunConfig, Pretrained | None]:
    """The pretrained backbone a run starts from, if any, and the configuration with the images' size it decides on.

    That comes last, as fetching it may take long. A run that is resumed keeps its size.

    Raises:
        UsageError: see `open_pretrained`. CoterieError: the backbone cannot be loaded.
    """
    if not is_pretrained(config.backbone):
        return config, None
    listener.note(f"opening {config.backbone}")
    if resuming:
        return config, open_pretrained(config.backbone, side=config.data.side)
    side = merge(recipe_values(request), asked_values(request)).get("data", {}).get("side")
    pretrained = open_pretrained(config.backbone, side=side)
    return assemble(request, outline, own_side=pretrained.side), pretrained


def assemble(request: Request, outline: Outline, *, own_side: int = 0) -> RunConfig:
    """The configuration a request comes to for a source with this outline.

    Args:
        own_side: of the images a pretrained backbone wants; 0 where any will do.

    Raises:
        UsageError: an unknown name, a value out of range, or no number of clusters.
    """
    recipe, asked = recipe_values(request), asked_values(request)
    device = asked.pop("device", recipe.pop("device", request.device))
    precision = asked.pop("precision", recipe.pop("precision", request.precision))
    runtime = choose_runtime(str(device), str(precision))
    gpu = runtime.device.type == "cuda"
    wanted = merge(recipe, asked)
    usual = default_side(outline.side, gpu=gpu)
    side = wanted.get("data", {}).get("side") or own_side or usual
    # Small images that are enlarged for a backbone are still augmented as what they are.
    seen = side if isinstance(side, int) and not own_side else usual
    base = default_values(outline, side=seen, gpu=gpu, pretrained=is_pretrained(str(wanted.get("backbone", ""))))
    if own_side:
        base["train"]["embed_batch"] = embedding_batch(side if isinstance(side, int) else own_side)
    method = str(merge(base, wanted)["method"])
    on_features = method_type(method).inputs == "features"
    if on_features:
        base["backbone"] = NO_BACKBONE
    if request.recipe is None:
        base["options"] = {} if on_features else default_options(_options_of(method), outline.count, gpu=gpu)
        states = dict(method_type(method).train_defaults)
        base["train"] |= states
        base["train"] |= short_run(str(base["train"].get("optimizer")), on_features=on_features, gpu=gpu)
        base["train"] |= enough_steps(base["train"] | states, method_type(method).least_steps, outline.count, gpu=gpu)
    else:
        base["train"], base["augment"] = {}, {}  # A recipe stands on the papers' defaults.
    base |= {"seed": 0, "device": str(runtime.device), "precision": runtime.precision}
    base["data"] = {"source": request.source, "side": side}
    base = merge(base, recipe)
    values = merge(base, asked)
    if "clusters" not in values:
        raise UsageError("say how many clusters to find: -k K")
    values["train"] = _adapted(base["train"], values["train"], asked.get("train", {}), outline.count)
    config = read_run_config(values)
    check_backbone(config.backbone)
    return config


def check_backbone(name: str) -> None:
    """Raise a UsageError if a backbone is neither one of coterie's own, nor pretrained, nor none at all."""
    if name in (NO_BACKBONE, *backbone_names()) or is_pretrained(name):
        return
    if "/" in name:
        raise UsageError(f"there is no file or run {name}; a model of the hub is written hf:{name}")
    raise unknown("backbone", name, backbone_names())


def reading_of(request: Request) -> dict[str, Any]:
    """How the request and its recipe want the source read: keyword arguments of `open_source`."""
    values = merge(recipe_values(request), asked_values(request)).get("data", {})
    known = read(DataConfig, {**values, "source": request.source, "side": 0}, where="data")
    return {name: getattr(known, name) for name in READING}


def recipe_values(request: Request) -> dict[str, Any]:
    """What the request's recipe sets; its options only if they belong to the method asked for."""
    if request.recipe is None:
        return {}
    values = dict(load_recipe(request.recipe).values)
    values["data"] = {name: value for name, value in values.get("data", {}).items() if name != "source"}
    if request.method not in (None, values.get("method")):
        values.pop("options", None)
    return values


def asked_values(request: Request) -> dict[str, Any]:
    """What the request itself sets: `settings`, then the named arguments."""
    method = request.method or recipe_values(request).get("method", "propos")
    method_type(str(method))
    asked = parse_settings(request.settings, str(method))
    for name in ("method", "clusters", "seed", "backbone"):
        if (value := getattr(request, name)) is not None:
            asked[name] = value
    asked |= {name: value for name in ("device", "precision") if (value := getattr(request, name)) != "auto"}
    if request.epochs is not None:
        asked = merge(asked, {"train": {"epochs": request.epochs}})
    if request.size is not None:
        asked = merge(asked, {"data": {"side": request.size}})
    for name in ("deterministic", "compiled"):
        if getattr(request, name):
            asked = merge(asked, {name: True})
    for name in ("features_from", "subset", "image_column", "label_column"):
        if (value := getattr(request, name)) is not None:
            asked = merge(asked, {"data": {name: value}})
    if request.proportions:
        if "proportions" not in _options_of(str(method)):
            raise UsageError(f"--proportions goes with lnscc; {method} takes no wanted proportions")
        asked = merge(asked, {"options": {"proportions": list(request.proportions)}})
        asked.setdefault("clusters", len(request.proportions))
    if request.labels_from_folders:
        asked = merge(asked, {"data": {"labels_from_folders": True}})
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
            value = read_yaml(text)
        except ValueError:
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


def differences(config: RunConfig, request: Request, outline: Outline) -> list[str]:
    """Names of the options a request or its recipe sets otherwise than a saved configuration has them."""
    wanted = plain(assemble(replace(request, clusters=request.clusters or config.clusters), outline))
    saved = plain(config)
    found = []
    for key, value in merge(recipe_values(request), asked_values(request)).items():
        for name in value if key in SECTIONS else [None]:
            was, wants = (values[key] if name is None else values[key].get(name) for values in (saved, wanted))
            if was != wants:
                found.append(key if name is None else f"{key}.{name}")
    return found


def _adapted(base: Mapping[str, Any], train: Mapping[str, Any], asked: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The training section with the warm-up in proportion to the epochs, and no batch larger than the data."""
    adapted = dict(train)
    standard = read(TrainConfig, base, where="train")
    if isinstance(asked.get("epochs"), int) and "warmup_epochs" not in asked:
        adapted["warmup_epochs"] = standard.warmup_epochs * max(0, asked["epochs"]) // max(1, standard.epochs)
    batch_size = train.get("batch_size", standard.batch_size)
    if isinstance(batch_size, int):
        adapted["batch_size"] = min(batch_size, max(2, count))
    return adapted


def _options_of(method: str) -> dict[str, Any]:
    """The method's own options and values."""
    return dict(plain(method_type(method).Config()))


def _setting_names(method: str) -> list[str]:
    from coterie.data.feeding.augment import AugmentConfig

    sections: dict[str, Any] = {"data": DataConfig, "augment": AugmentConfig, "train": TrainConfig}
    names = [f"{section}.{field.name}" for section, kind in sections.items() for field in fields(kind)]
    names += [f"options.{name}" for name in _options_of(method)]
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
