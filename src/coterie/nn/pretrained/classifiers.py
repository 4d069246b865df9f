"""The classifier that a model of transformers learnt with, and its own names of the classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coterie.hub import quietly
from coterie.nn.pretrained.vocabulary import Vocabulary, imagenet_words

# Of the largest logit: the same sums in another order.
_ROUNDING = 1e-3


def vocabulary_of(library: Any, name: str, config: Any, backbone: Any, side: int) -> Vocabulary | None:
    """What the classifier in a model's files says of a backbone's features; None where it has none that takes them.

    Args:
        library: transformers.
        name: of the model.
        config: of the model, whose code was refused before.
        backbone: of the same files, a `coterie.nn.pretrained.vision_models.VisionModel`.
        side: pixels of an image it is shown.
    """
    kinds = getattr(config, "architectures", None) or ()
    if not any(str(kind).endswith("ForImageClassification") for kind in kinds) or not (words := _names(config)):
        return None
    try:
        with quietly():
            model = library.AutoModelForImageClassification.from_pretrained(
                name, config=config, use_safetensors=True, trust_remote_code=False
            )
    except Exception:  # A library that knows the model, but not how it classifies.
        return None
    model.float().eval()
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = backbone(image)
        given = image.flip(1) if backbone.blue_first else image
        logits = model(pixel_values=given, **backbone.further).logits
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and (layer.out_features, layer.in_features) == (len(words), features.shape[1]):
            weight, bias = layer.weight.detach(), layer.bias
            vocabulary = Vocabulary(words, weight, torch.zeros(len(words)) if bias is None else bias.detach())
            found = features @ weight.T + vocabulary.bias
            if found.shape == logits.shape and (found - logits).abs().max() <= _ROUNDING * logits.abs().max():
                return vocabulary
    return None


def _names(config: Any) -> tuple[str, ...]:
    """A short one for each class: of several that commas part the first, unless two classes then had the same."""
    names = [str(config.id2label.get(place, "")).replace("_", " ").strip() for place in range(config.num_labels)]
    unnamed = all(name in ("", f"LABEL {place}") for place, name in enumerate(names))
    if len(names) == len(imagenet_words()) and (unnamed or names[0].startswith("tench")):
        return imagenet_words()
    if unnamed:
        return ()
    short = tuple(name.partition(",")[0] for name in names)
    return short if len(set(short)) == len(short) else tuple(names)
