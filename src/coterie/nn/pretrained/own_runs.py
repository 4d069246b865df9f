"""The encoder of a finished run of coterie, to start another run from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch

from coterie.config import read, shortened
from coterie.errors import CoterieError, UsageError
from coterie.nn.pretrained.base import IMAGENET_DEVIATION, IMAGENET_MEAN, MOST_CHANNELS, MOST_SIDE, Architecture
from coterie.nn.pretrained.saved import backbone_folders

# The target network, where there is one, is what embeds.
_ENCODERS = ("method.target_encoder.backbone.", "method.encoder.backbone.")


def check_shape(shape: Any) -> None:
    """Raise a ValueError unless `shape` is (C, S, S) or (D,), of a size that memory is there for."""
    if not isinstance(shape, list) or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(f"its shape is {shortened(shape)}")
    images = len(shape) == 3 and shape[0] <= MOST_CHANNELS and shape[1] == shape[2] <= MOST_SIDE
    if len(shape) != 1 and not images:
        raise ValueError(f"its images have the shape {shortened(shape)}")


def is_run(name: str) -> bool:
    """Whether a folder holds a model of coterie."""
    return (Path(name) / "model" / "model.json").is_file()


def frozen_parts(name: str) -> list[Path]:
    """Where a run that took its features from frozen backbones keeps those."""
    return backbone_folders(Path(name) / "model")


def read_run(name: str) -> tuple[Architecture, dict[str, Any], int, tuple[float, ...], tuple[float, ...]]:
    """The architecture and weights of a run's encoder, and the side, mean and deviation of the images it takes.

    Raises:
        UsageError: the run has no encoder of images. CoterieError: its model is damaged.
    """
    folder = Path(name) / "model"
    try:
        described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        shape, normalisation = described["shape"], described["normalisation"] or {}
        check_shape(shape)
        own = Architecture("coterie", described["backbone"], {"channels": shape[0], "side": shape[-1]})
        given = described.get("architecture")
        architecture = own if given is None else read(Architecture, given)
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
    except Exception as error:  # Half-written or tampered files raise nearly anything.
        reason = " ".join(str(error).split())[:200]
        raise CoterieError(f"the model in {folder} is damaged ({reason}): fit it again") from None
    for prefix in _ENCODERS:
        weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if weights:
            mean = tuple(normalisation.get("mean", IMAGENET_MEAN))
            return architecture, weights, shape[-1], mean, tuple(normalisation.get("deviation", IMAGENET_DEVIATION))
    raise UsageError(f"{name} learnt from features and has no encoder of images: give a run that learnt from images")
