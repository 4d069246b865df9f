"""All that has a say in a run's settings, in layers: each is made once, and lies over those before it.

Values go by full names, such as `train.epochs`. From below: what the data suggest, what the method wants, the size a
pretrained backbone wants, the recipe, what the user said, what this machine makes of the device, and the epochs that
fit into the time there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coterie.config import plain, read
from coterie.data.base import Outline
from coterie.errors import UsageError, unknown
from coterie.methods import learns, method_type
from coterie.nn.backbones import backbone_names
from coterie.nn.pretrained import Pretrained, is_pretrained, parts_of
from coterie.nn.pretrained.base import joined_labels
from coterie.nn.pretrained.known import KNOWN
from coterie.plan.defaults import (
    default_augmentation,
    default_options,
    default_side,
    default_train,
    enough_steps,
    short_run,
    why_flipped,
)
from coterie.plan.recipes import SECTIONS
from coterie.plan.request import Request
from coterie.plan.told import Layer, Told
from coterie.plan.words import method_options, nested
from coterie.runs.config import NO_BACKBONE, RunConfig, read_run_config
from coterie.runs.model import embedding_batch
from coterie.train.config import TrainConfig
from coterie.train.runtime import Runtime, choose_runtime


@dataclass(frozen=True)
class Layers:
    """The layers of a run; see above."""

    data: tuple[Layer, ...]
    told: Told
    machine: Layer
    backbone: Layer = field(default_factory=Layer)
    time: Layer = field(default_factory=Layer)

    def seeing(self, backbones: Sequence[Pretrained], *, gpu: bool) -> Layers:
        """With what opened backbones want of their images: a size, or each its own."""
        sides = {each.side for each in backbones} - {0}
        if not sides:
            return self
        side = 0 if len(sides) > 1 else max(sides)
        values = {"data.side": side, "train.embed_batch": embedding_batch(max(sides), gpu=gpu)}
        return replace(self, backbone=Layer(f"backbone {joined_labels(backbones)}", values))


def lay(request: Request, said: Told, outline: Outline) -> Layers:
    """The layers for a source with this outline.

    Raises:
        UsageError: a device or precision that is not to be had.
    """
    asked = {name: str(said.get(name, "auto")) for name in ("device", "precision")}
    runtime = choose_runtime(asked["device"], asked["precision"])
    data = (
        Layer("default", {"method": said.method, "seed": 0}),
        said.by_default,
        *_of_images(said, outline, runtime),
        said.photographs,
    )
    if not said.recipe.origin:  # A recipe stands on the papers' defaults.
        data += _of_method(said, outline, runtime)
    user = {"data.source": request.source, **said.user.values}
    found = {"device": str(runtime.device), "precision": runtime.precision}
    machine = Layer("this machine", {name: value for name, value in found.items() if asked[name] == "auto"})
    return Layers(data, replace(said, user=replace(said.user, values=user)), machine)


def settle(layers: Layers, count: int) -> tuple[RunConfig, dict[str, str]]:
    """The configuration that layers come to for `count` images, and the origin of each of its settings.

    Raises:
        UsageError: an unknown name, a value out of range, or no number of clusters.
    """
    below, _ = stacked([*layers.data, layers.backbone, layers.told.recipe])
    last = (layers.told.user, layers.machine, layers.time)
    values, origins = stacked([*layers.data, layers.backbone, layers.told.recipe, *last])
    if "clusters" not in values:
        raise UsageError("say how many clusters to find: -k K")
    for layer in (_in_proportion(below, {**layers.told.user.values, **layers.time.values}), _no_larger(values, count)):
        values, origins = {**values, **layer.values}, origins | dict.fromkeys(layer.values, layer.origin)
    config = read_run_config({section: {} for section in SECTIONS} | nested(values))
    check_backbone(config.backbone)
    return config, origins


def check_backbone(name: str) -> None:
    """Raise a UsageError if a backbone is neither one of coterie's own, nor pretrained ones, nor none at all."""
    if name in (NO_BACKBONE, *backbone_names()):
        return
    for part in parts_of(name):
        if part in backbone_names():
            raise UsageError(f"--backbone {name}: {part} has learnt nothing yet, and goes with no other")
        if is_pretrained(part):
            continue
        if "/" in part:
            raise UsageError(f"there is no file or run {part}; a model of the hub is written hf:{part}")
        raise unknown("backbone", part, [*backbone_names(), *KNOWN])


def stacked(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of layers, the later winning, and the origin of each."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        values |= layer.values
        origins |= {name: layer.others.get(name, layer.origin) for name in layer.values}
    return values, origins


def _of_images(said: Told, outline: Outline, runtime: Runtime) -> tuple[Layer, ...]:
    """What the images' size and colours suggest, and their number."""
    gpu, on_features = runtime.device.type != "cpu", method_type(said.method).inputs == "features"
    pretrained = is_pretrained(str(said.get("backbone", "")))
    side = default_side(outline.side, gpu=gpu)
    # Small images that are enlarged for a backbone are still augmented as what they are.
    seen = wanted if isinstance(wanted := said.get("data.side"), int) and not pretrained else side
    own = "resnet18-small" if gpu and seen > 16 else "convnet-small"
    values: dict[str, Any] = {"backbone": NO_BACKBONE if on_features else own, "data.side": side}
    values["train.embed_batch"] = embedding_batch(seen, gpu=gpu)
    if outline.scale:
        values["data.scale"] = list(outline.scale)
    if outline.bands:
        values["data.ranges"] = list(outline.ranges)
    if not said.recipe.origin:
        values |= _named("augment", default_augmentation(seen, outline))
    images = f"{'grey ' if outline.grey else ''}images of {outline.side} pixels" if outline.side else "features"
    return (Layer(f"default: {images}", values, why_flipped(outline)),)


def _of_method(said: Told, outline: Outline, runtime: Runtime) -> tuple[Layer, ...]:
    """What so many images suggest, and what the method's paper states, as far as a short run can follow it."""
    kind, gpu = method_type(said.method), runtime.device.type != "cpu"
    on_features, states = kind.inputs == "features", kind.train_defaults
    options = {} if on_features else default_options(said.method, method_options(said.method), outline, long=said.long)
    pretrained = is_pretrained(str(said.get("backbone", ""))) and not on_features
    short = {}
    if learns(said.method):
        short = short_run(str(states.get("optimizer")), on_features=on_features, gpu=gpu, long=said.long)
        short |= enough_steps({**plain(TrainConfig()), **states}, kind.least_steps, outline.count, gpu=gpu)
    many = f"default: {f'{outline.count:,}'.replace(',', ' ')} images on a {'GPU' if gpu else 'CPU'}"
    return (
        Layer(many, _named("train", default_train(outline.count, gpu=gpu, long=said.long, pretrained=pretrained))),
        Layer(f"method {said.method}", _named("train", states)),
        Layer(many, _named("train", short) | _named("options", options)),
    )


def _named(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{name}": value for name, value in values.items()}


def _in_proportion(below: Mapping[str, Any], chosen: Mapping[str, Any]) -> Layer:
    """The warm-up in proportion to epochs that a user or the time there is chose."""
    asked = chosen.get("train.epochs")
    if not isinstance(asked, int) or "train.warmup_epochs" in chosen:
        return Layer()
    standard = read(TrainConfig, nested(below).get("train", {}), where="train")
    found = standard.warmup_epochs * max(0, asked) // max(1, standard.epochs)
    return Layer("in proportion to the epochs", {"train.warmup_epochs": found})


def _no_larger(values: Mapping[str, Any], count: int) -> Layer:
    """No batch larger than the data."""
    size, most = values.get("train.batch_size", TrainConfig().batch_size), max(2, count)
    if not isinstance(size, int) or size <= most:
        return Layer()
    return Layer(f"no more than the {count} images", {"train.batch_size": most})
