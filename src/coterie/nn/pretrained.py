"""Pretrained vision models of the Hugging Face hub, or of a folder in its layout, as frozen feature extractors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coterie.errors import CoterieError, UsageError

PREFIX = "hf:"
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIDE = 224


class Pretrained:
    """A model's features of images: the pooled output where it has one, else the mean over places or tokens.

    Args:
        name: of a model on the hub, or a folder; `hf:facebook/dinov2-small` without the prefix.
        device: where it runs.

    Raises:
        UsageError: transformers is not installed. CoterieError: the model cannot be had.
    """

    channels = 3

    def __init__(self, name: str, device: torch.device) -> None:
        self.name = name
        self._device = device
        self._model, settings = _load(name)
        self._model.eval().to(device)
        self.side = _side(settings)
        scale = settings.get("rescale_factor", 1 / 255)
        mean = settings.get("image_mean") or _IMAGENET_MEAN
        deviation = settings.get("image_std") or _IMAGENET_DEVIATION
        self._scale = float(scale)
        self._mean, self._deviation = (torch.tensor(x, device=device).view(1, 3, 1, 1) for x in (mean, deviation))

    @property
    def network(self) -> nn.Module:
        model: nn.Module = self._model
        return model

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Features (n, D) float32 of images (n, 3, side, side) uint8."""
        pixels = (images.to(self._device).float() * self._scale - self._mean) / self._deviation
        return _pooled(self._model(pixel_values=pixels)).float()


def _load(name: str) -> tuple[Any, dict[str, Any]]:
    """The model, and what its preprocessor does to images."""
    try:
        from transformers import AutoModel, BaseImageProcessor
    except ImportError:
        raise UsageError(f"{PREFIX}{name} needs transformers: pip install 'coterie[transformers]'") from None
    try:
        # Weights in pickles could execute code; those on the hub are also there as safetensors.
        model = AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
        settings, _ = BaseImageProcessor.get_image_processor_dict(name)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CoterieError(f"{PREFIX}{name} cannot be loaded: {reason}") from None
    # A model of images and text: the part that sees is enough.
    return getattr(model, "vision_model", model), settings


def _side(settings: dict[str, Any]) -> int:
    """The side of the square the model's preprocessor crops or resizes to."""
    size = settings.get("crop_size") if settings.get("do_center_crop", True) else None
    size = size or settings.get("size") or _SIDE
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or _SIDE
    return int(size)


def _pooled(output: Any) -> Tensor:
    pooled = getattr(output, "pooler_output", None)
    if pooled is None:
        hidden: Tensor = output.last_hidden_state
        return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.mean(dim=(2, 3))
    flat: Tensor = pooled.flatten(1)
    return flat
