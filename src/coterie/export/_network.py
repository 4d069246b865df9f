"""A model as one network, and what it takes in numbers and words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coterie.data.feeding.augment import Normalisation
from coterie.errors import UsageError
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
        self.backbones = nn.ModuleList([each.backbone for each in model.backbones])
        self.eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The `OUTPUTS`: (n, d), (n, K), (n,) int64, (n,) and (n,) bool."""
        model = self._model
        inputs = inputs if self._scale == 1 else inputs * self._scale
        normalised = [each.plain(inputs) for each in normalisations_of(model)] or [inputs]
        if len(self.backbones):
            pairs = zip(self.backbones, normalised, strict=True)
            normalised = [torch.cat([backbone(images) for backbone, images in pairs], dim=1)]
        (inputs,) = normalised
        embedded = embed_batch(model.method, inputs)
        probabilities = model.groups.probabilities(embedded.embeddings, embedded.probabilities)
        found = model.group(embedded)
        return embedded.embeddings, probabilities, found.clusters, found.confidence, found.outlier


def normalisations_of(model: Model) -> list[Normalisation]:
    """What is taken out of images, by the model or by each that makes its features; none where it is given features."""
    own = [] if model.normalisation is None else [model.normalisation]
    return [Normalisation(each.mean, each.deviation) for each in model.backbones] or own


def input_shapes(model: Model) -> list[tuple[int, ...]]:
    """Of one input; several where an image is looked at in several sizes."""
    shapes = [(each.channels, each.side, each.side) for each in model.backbones]
    return list(dict.fromkeys(shapes)) or [model.input_shape]


def check_one_shape(model: Model, option: str) -> None:
    """Raise a UsageError for a model that wants every image in several sizes."""
    if len(shapes := input_shapes(model)) > 1:
        sides = " and ".join(str(shape[-1]) for shape in shapes)
        raise UsageError(
            f"{option} holds one network for images of one size, and this run's backbones want {sides} pixels: fit it "
            f"with --size {max(shape[-1] for shape in shapes)}"
        )


def takes_images(model: Model) -> bool:
    return len(model.input_shape) == 3


def describe_input(model: Model, pixels: Pixels) -> str:
    """Name, shape, type and range."""
    shapes = " and ".join(f"(n, {', '.join(map(str, shape))})" for shape in input_shapes(model))
    if not takes_images(model):
        return f"features {shapes} float32"
    return f"images {shapes} {pixels} from 0 to {255 if pixels == 'uint8' else 1}"


def preparation(model: Model) -> str:
    """How a picture becomes an input, as `coterie assign` does it."""
    if not takes_images(model):
        return "features made as those the run learnt from"
    channels, sides = model.input_shape[0], " and ".join(f"{side}×{side}" for _, side, _ in input_shapes(model))
    colours = "RGB" if channels == 3 else "grey (0.299 R + 0.587 G + 0.114 B, rounded)"
    return (
        "turned upright by EXIF, laid over white where transparent, cropped to the central square, resized to "
        f"{sides} by an antialiased bicubic filter (Pillow's BICUBIC), {colours}, channels first"
    )


def examples(model: Model, pixels: Pixels, count: int) -> Tensor:
    """Random inputs (count, …), always the same."""
    shape, draw = (count, *model.input_shape), torch.Generator().manual_seed(0)
    if not takes_images(model):
        return torch.randn(shape, generator=draw)
    images = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
    return images if pixels == "uint8" else images.float() / 255
