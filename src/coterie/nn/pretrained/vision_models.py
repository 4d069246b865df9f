"""Vision models of transformers: of the Hugging Face hub, its cache, or a folder in its layout."""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coterie.errors import CoterieError, UsageError
from coterie.extras import require
from coterie.hub import PREFIX, quietly, reason
from coterie.nn.pretrained.base import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    USUAL_SIDE,
    Architecture,
    Pretrained,
    width,
    without_chance,
)
from coterie.nn.pretrained.classifiers import vocabulary_of
from coterie.nn.pretrained.reading import reader_of
from coterie.nn.pretrained.vocabulary import Reader

# Settings whose values go to timm as they are.
_TIMMS = ("model_args", "backbone_kwargs")
_CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")


class VisionModel(nn.Module):
    """Images (n, 3, S, S) to features (n, features), by one of three ways.

    Args:
        model: of transformers.
        pooling: "pooler" for the model's own pooled output, "class" for its class token, "mean" over places or tokens.
        interpolate: stretch position embeddings to the images' size.
        blue_first: the model was trained on channels in the order blue, green, red.
        features: how many it makes.
    """

    def __init__(self, model: Any, *, pooling: str, interpolate: bool, blue_first: bool, features: int) -> None:
        super().__init__()
        self.features = features
        self.model = model
        self.pooling = pooling
        self.further = {"interpolate_pos_encoding": True} if interpolate else {}
        self.blue_first = blue_first
        # Masked autoencoders shuffle their patches, also where none is masked, which shows in the last digits.
        self.shuffles = "noise" in inspect.signature(model.forward).parameters

    def forward(self, images: Tensor) -> Tensor:
        with _same_draws(images.device) if self.shuffles else contextlib.nullcontext():
            output = self.model(pixel_values=images.flip(1) if self.blue_first else images, **self.further)
        if self.pooling == "pooler":
            pooled: Tensor = output.pooler_output
            return pooled.flatten(1)
        hidden: Tensor = output.last_hidden_state
        if self.pooling == "class":
            return hidden[:, 0]
        return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.mean(dim=(2, 3))


@contextlib.contextmanager
def _same_draws(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def open_model(name: str, side: int | None) -> Pretrained:
    """The part of a model that sees, with its weights; see `open_pretrained`."""
    full_name = f"{PREFIX}{name}"
    model, missing, processor, reader = _load(name)
    own = _side(processor)
    side = side or own
    settings = {
        "config": json.loads(model.config.to_json_string(use_diff=False)),
        "interpolate": side != own and "interpolate_pos_encoding" in inspect.signature(model.forward).parameters,
        "blue_first": bool(processor.get("do_flip_channel_order", False)),
    }
    settings["pooling"] = _pooling(model, missing, side, settings, full_name)
    settings["features"] = width(_wrapped(model, settings), full_name, 3, side)
    mean, deviation = _normalisation(processor)
    architecture = Architecture("transformers", name, settings)
    backbone = _wrapped(model, settings)
    vocabulary = vocabulary_of(_library(name), name, model.config, backbone, side)
    return Pretrained(full_name, architecture, backbone, side, mean, deviation, vocabulary, reader)


def build(architecture: Architecture) -> nn.Module:
    """A model of this architecture with weights yet to be loaded."""
    transformers = _library(architecture.name)
    values = dict(architecture.settings["config"])
    _check_codeless(values)
    with quietly():
        config = transformers.CONFIG_MAPPING[values.pop("model_type")].from_dict(values)
        _check_codeless(config)
        model = transformers.AutoModel.from_config(config, trust_remote_code=False)
    return _wrapped(without_chance(getattr(model, "vision_model", model)), architecture.settings)


def _library(name: str) -> Any:
    return require("transformers", extra="transformers", what=f"{PREFIX}{name}")


def _load(name: str) -> tuple[Any, list[str], dict[str, Any], Reader | None]:
    """The model, the names of weights its file lacks, what its preprocessor does to images, and a CLIP's reader."""
    transformers = _library(name)
    try:
        with quietly(), _without_bars(transformers):
            config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
            _check_sees(transformers, config, name)
            _check_codeless(config)
            processor, _ = transformers.BaseImageProcessor.get_image_processor_dict(name)
            _silence(getattr(config, "vision_config", config))
            # Weights in pickles could execute code; those on the hub are also there as safetensors.
            model, told = transformers.AutoModel.from_pretrained(
                name, config=config, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
    except UsageError:
        raise
    except Exception as error:  # Of a hub, a network, a disk and three libraries.
        raise CoterieError(f"{PREFIX}{name} cannot be loaded: {_explained(error)}") from None
    missing = sorted(told["missing_keys"])
    reader = None if missing else reader_of(model.float().eval(), transformers, name)
    if hasattr(model, "vision_model"):  # A model of images and text: the part that sees is enough.
        model, prefix = model.vision_model, "vision_model."
        missing = [key.removeprefix(prefix) for key in missing if key.startswith(prefix)]
    lacking = [key for key in missing if "pooler" not in key]
    if lacking:
        raise CoterieError(f"{PREFIX}{name} lacks weights of its own architecture: {', '.join(lacking[:3])}")
    return without_chance(model.float().eval()), missing, processor, reader


def _explained(error: Exception) -> str:
    words = str(error)
    if "safetensors" in words and "pickle" not in words.split("safetensors")[0]:
        return "its weights are not there as safetensors, and pickles, which could execute code, are not read"
    return reason(error)


def _check_sees(transformers: Any, config: Any, name: str) -> None:
    """Raise a UsageError for a model of text or sound."""
    kind = transformers.MODEL_MAPPING.get(type(config), None)
    if not hasattr(config, "vision_config") and getattr(kind, "main_input_name", "") != "pixel_values":
        raise UsageError(f"{PREFIX}{name} is a model of type {config.model_type}, which does not look at images")


def _check_codeless(config: Any) -> None:
    """Raise a CoterieError where a configuration, at any depth, asks for code or for a pickle.

    Those are kernels of the hub, for attention among others, and the path of a checkpoint that timm would unpickle.
    """
    for name, value in _settings(config):
        if "implementation" in name and isinstance(value, str) and "/" in value:
            raise CoterieError(f"a kernel of the hub, {value}, is code, which coterie never executes")
        if name in _TIMMS and value:
            raise CoterieError(f"it hands arguments of its own to timm, by {name}, which might be a pickle's path")


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value of a configuration, and of those within it."""
    values = config if isinstance(config, Mapping) else getattr(config, "__dict__", {})
    for name, value in values.items():
        yield str(name), value
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, Mapping) or hasattr(part, "model_type"):
                yield from _settings(part)


def _silence(config: Any) -> None:
    """Set dropout, stochastic depth and random masking to nothing, as far as a configuration holds them."""
    for key, value in vars(config).items():
        if isinstance(value, float) and ("drop" in key or key == "mask_ratio"):
            setattr(config, key, 0.0)


def _pooling(model: Any, missing: Sequence[str], side: int, settings: Mapping[str, Any], name: str) -> str:
    """The model's own pooled output, unless it has none or its weights are missing, as in many files of classifiers."""
    if not missing:
        probe = _wrapped(model, {**settings, "pooling": "pooler"})
        try:
            width(probe, name, 3, side)
        except AttributeError:
            pass
        else:
            return "pooler"
    return "class" if any(token in key for key in model.state_dict() for token in _CLASS_TOKENS) else "mean"


def _wrapped(model: Any, settings: Mapping[str, Any]) -> VisionModel:
    return VisionModel(
        model,
        pooling=settings["pooling"],
        interpolate=settings["interpolate"],
        blue_first=settings["blue_first"],
        features=settings.get("features", 0),
    )


def _side(processor: Mapping[str, Any]) -> int:
    """The side of the square the model's preprocessor crops or resizes to."""
    size = processor.get("crop_size") if processor.get("do_center_crop", True) else None
    size = size or processor.get("size") or USUAL_SIDE
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or USUAL_SIDE
    return int(size)


def _normalisation(processor: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation in [0, 1] that come to the same as the preprocessor's rescaling and normalisation."""
    scale = float(processor.get("rescale_factor", 1 / 255)) if processor.get("do_rescale", True) else 1.0
    mean, deviation = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if processor.get("do_normalize", "image_mean" in processor):
        mean = tuple(processor.get("image_mean") or IMAGENET_MEAN)
        deviation = tuple(processor.get("image_std") or IMAGENET_DEVIATION)
    full = 255 * scale  # What white becomes.
    return tuple(value / full for value in mean), tuple(value / full for value in deviation)


@contextlib.contextmanager
def _without_bars(transformers: Any) -> Iterator[None]:
    """Without the bar of weights being copied, unless someone watches a terminal."""
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    if shown and not sys.stderr.isatty():
        bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
