"""The backbone's weights alone, as safetensors: for another project to start from, without coterie.

Names are the backbone's own, which for a ResNet are torchvision's without the classifier. The header's metadata, all
strings, says:

    architecture    the backbone's name, such as resnet18-small
    features        width of what it gives
    input           shape and range of what it takes, after which `mean` and `std` are taken out of each channel
    preparation     how a picture becomes that
    mean, std       JSON lists, one number for each channel
    centers         JSON, a list of K lists: the clusters' centers
    centers_are     whether they lie among the backbone's features, or among the embeddings made of them by a head,
                    which is not in this file
    clusters        JSON list of K names
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from coterie.errors import UsageError
from coterie.export.base import Format, Subject

if TYPE_CHECKING:
    from torch import nn

    from coterie.data.feeding.augment import Normalisation
    from coterie.runs.model import Model

_OF_FEATURES = {"cosine": "of the features, each of unit length", "euclidean": "of the features as they are"}
_OF_EMBEDDINGS = "of embeddings, which a head makes of the features; the head is not in this file"


def check(subject: Subject) -> None:
    _parts(subject.model)


def write(subject: Subject, target: Path) -> str:
    import safetensors.torch
    import torch

    from coterie.files import write_atomically

    backbone, _ = _parts(subject.model)
    weights = {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in backbone.state_dict().items()
    }
    packed = safetensors.torch.save(weights, metadata=_metadata(subject))
    write_atomically(target, lambda stream: stream.write(packed))
    count = sum(value.numel() for value in weights.values())
    return f"{target}: {count:,} weights of {subject.model.blueprint.backbone}, and the clusters' centers"


def _parts(model: Model) -> tuple[nn.Module, Normalisation]:
    """The network that looks at images, and what is taken out of them before."""
    from coterie.export._network import normalisations_of

    encoder, normalisations = model.method.embedding_encoder, normalisations_of(model)
    backbones = [each.backbone for each in model.backbones] or ([] if encoder is None else [encoder.backbone])
    if len(backbones) > 1:
        raise UsageError(
            f"--safetensors holds one backbone, and this run has {len(backbones)}: export the whole by --onnx or --hub"
        )
    if not backbones or not normalisations:
        raise UsageError(
            f"--safetensors: {model.blueprint.method} learnt from features and has no backbone: export the run they "
            "came from, or the whole by --onnx"
        )
    return backbones[0], normalisations[0]


def _metadata(subject: Subject) -> dict[str, str]:
    import coterie
    from coterie.export._network import describe_input, preparation

    model = subject.model
    backbone, normalisation = _parts(model)
    return {
        "format": "pt",
        "coterie": coterie.__version__,
        "method": model.blueprint.method,
        "architecture": model.blueprint.backbone,
        "features": str(backbone.features),
        "input": describe_input(model, "float32"),
        "preparation": preparation(model),
        "mean": json.dumps(normalisation.mean),
        "std": json.dumps(normalisation.deviation),
        "centers": json.dumps(model.groups.centers.tolist()),
        "centers_are": _OF_FEATURES[model.groups.metric] if _embeds_as_it_is(model) else _OF_EMBEDDINGS,
        "clusters": json.dumps(subject.names),
    }


def _embeds_as_it_is(model: Model) -> bool:
    """Whether embeddings are the backbone's features, but for their length: asked of the networks themselves."""
    import torch
    from torch.nn.functional import normalize

    from coterie.export._network import examples

    backbone, normalisation = _parts(model)
    with torch.inference_mode():
        inputs = normalisation.plain(examples(model, "uint8", 2))
        features = backbone(inputs)
        embeddings = model.method.embed(features if model.backbones else inputs)
    same = features.shape == embeddings.shape
    return same and torch.allclose(normalize(features, dim=1), normalize(embeddings, dim=1), atol=1e-5)


FORMAT = Format("the backbone's weights alone, with what it takes and the clusters' centers", write, check)
