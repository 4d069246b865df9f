"""A model as one network, and what it takes in numbers and words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coterie.data.feeding.augment import Normalisation
from coterie.export.base import Pixels
from coterie.runs.model import Model, embed_batch


class Network(nn.Module):
    """Inputs (n, …) to what `coterie assign` tells of them, and what it rests on.

    Args:
        model: on the CPU, in float32.
        pixels: what images come as; of no account to a model that takes features.
    """

    OUTPUTS = ("embedding", "probabilities", "cluster", "confidence", "outlier")

    def __init__(self, model: Model, pixels: Pixels) -> None:
        super().__init__()
        self._model = model
        self._scale = 255 if pixels == "float32" and takes_images(model) else 1
        # A tracer wants to know whose parameters it meets.
        self.method = model.method
        self.backbone = None if model.backbone is None else model.backbone.backbone
        self.eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The `OUTPUTS`: (n, d), (n, K), (n,) int64, (n,) and (n,) bool."""
        model = self._model
        inputs = inputs if self._scale == 1 else inputs * self._scale
        if (normalisation := normalisation_of(model)) is not None:
            inputs = normalisation.plain(inputs)
        if self.backbone is not None:
            inputs = self.backbone(inputs)
        embedded = embed_batch(model.method, inputs)
        probabilities = model.groups.probabilities(embedded.embeddings, embedded.probabilities)
        found = model.group(embedded)
        return embedded.embeddings, probabilities, found.clusters, found.confidence, found.outlier


def normalisation_of(model: Model) -> Normalisation | None:
    """What is taken out of images, by the model or by what makes its features; None where it is given features."""
    kept = model.backbone
    return model.normalisation if kept is None else Normalisation(kept.mean, kept.deviation)


def takes_images(model: Model) -> bool:
    return len(model.input_shape) == 3


def describe_input(model: Model, pixels: Pixels) -> str:
    """Name, shape, type and range."""
    shape = ", ".join(str(size) for size in model.input_shape)
    if not takes_images(model):
        return f"features (n, {shape}) float32"
    return f"images (n, {shape}) {pixels} from 0 to {255 if pixels == 'uint8' else 1}"


def preparation(model: Model) -> str:
    """How a picture becomes an input, as `coterie assign` does it."""
    if not takes_images(model):
        return "features made as those the run learnt from"
    channels, side, _ = model.input_shape
    colours = "RGB" if channels == 3 else "grey (0.299 R + 0.587 G + 0.114 B, rounded)"
    return (
        "turned upright by EXIF, laid over white where transparent, cropped to the central square, resized to "
        f"{side}×{side} by an antialiased bicubic filter (Pillow's BICUBIC), {colours}, channels first"
    )


def examples(model: Model, pixels: Pixels, count: int) -> Tensor:
    """Random inputs (count, …), always the same."""
    shape, draw = (count, *model.input_shape), torch.Generator().manual_seed(0)
    if not takes_images(model):
        return torch.randn(shape, generator=draw)
    images = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
    return images if pixels == "uint8" else images.float() / 255
