"""Files of weights, in the layouts they are found in: of ResNets here, of networks for phones in `mobile_layouts`.

A file is safetensors, or what `torch.save` wrote of a state dict, perhaps inside a dictionary under `state_dict`,
`model` or `byol`, and with names that begin with `module.`. The encoder's names begin with one of these, the first that
fits:

| names begin with | written by |
|---|---|
| `encoder_k.` | the ProPos reference's BYOL and ProPos: the target network, whose embeddings it clusters |
| `encoder_k.0.` | its MoCo and PCL |
| `backbone.` | its SimSiam |
| `encoder.0.` | its SimCLR |
| `encoder.` | its CC |
| `encoder_q.`, `encoder_q.0.` | online networks, where no target is there |
| nothing | torchvision, and encoders saved alone |

What follows are torchvision's names (`conv1.weight`, `layer1.0.bn1.bias`, …), or the reference's, which number the
parts of the network in order: 0 and 1 for the stem; the four stages from 4, or from 3 where the stem has no pooling, as
in its networks for small images. torchvision's classifier `fc` gives names to groups; other heads are left out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from coterie.errors import CoterieError, UsageError
from coterie.nn.backbones import build_backbone
from coterie.nn.pretrained.base import IMAGENET_DEVIATION, IMAGENET_MEAN, USUAL_SIDE, Architecture, Pretrained, width
from coterie.nn.pretrained.known import KNOWN, Known
from coterie.nn.pretrained.mobile_layouts import Weights, mobile_weights, recognise_mobile, without_classifier
from coterie.nn.pretrained.vocabulary import of_classifier
from coterie.untrusted import check_growth

_PREFIXES = (
    "encoder_k.", "encoder_k.0.", "backbone.", "encoder.0.", "encoder.", "encoder_q.", "encoder_q.0.",
    "",
)  # fmt: skip
_INSIDE = ("state_dict", "model", "byol")
# Blocks in each stage, and whether they are bottlenecks.
_DEPTHS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
}
_SMALL_SIDE = 32


def open_file(path: Path, side: int | None) -> Pretrained:
    """The encoder in a file of weights, see above; images are normalised as ImageNet's, or as `known` says.

    Raises:
        UsageError: there is no such file, it holds no network of a known layout, or pickled objects.
        CoterieError: it is damaged.
    """
    tensors = read_state_dict(path)
    mobile = mobile_weights(tensors)
    if mobile is not None:
        return open_mobile(mobile, KNOWN[recognise_mobile(mobile, str(path))], str(path), side)
    weights = encoder_weights(tensors, str(path))
    name = recognise(weights, str(path))
    channels = weights["conv1.weight"].shape[1]
    # Networks for small images were trained on 32 pixels as on 96, and the file does not say.
    side = side or (0 if name.endswith("-small") else USUAL_SIDE)
    architecture = Architecture("coterie", name, {"channels": channels, "side": side or _SMALL_SIDE})
    backbone = build(architecture)
    fit(backbone, weights, f"{path} looks like a {name}")
    features = width(backbone.eval(), str(path), channels, side or _SMALL_SIDE)
    mean, deviation = (
        values if channels == 3 else (sum(values) / 3,) * channels for values in (IMAGENET_MEAN, IMAGENET_DEVIATION)
    )
    plain = {key.removeprefix("module."): value for key, value in tensors.items()}
    vocabulary = of_classifier(plain.get("fc.weight"), plain.get("fc.bias"), features)
    return Pretrained(str(path), architecture, backbone, side, mean, deviation, vocabulary)


def open_mobile(weights: Weights, row: Known, name: str, side: int | None) -> Pretrained:
    """A network for phones, and the classifier that came with it.

    Args:
        weights: by the names of `mobile_layouts`.
        row: how it is built and wants its images.
        name: as the user gave it.
        side: pixels of the images it will be given; None for those it was trained on.

    Raises:
        UsageError: the weights are of another network, or it takes no images of this side.
    """
    side = side or row.side
    settings = {"channels": len(row.mean), "side": side} | ({} if row.width == 1 else {"width": row.width})
    architecture = Architecture("coterie", row.name, settings)
    backbone = build(architecture)
    fit(backbone, without_classifier(weights), f"{name} looks like a {row.name}")
    features = width(backbone.eval(), name, len(row.mean), side)
    vocabulary = of_classifier(weights.get("classifier.weight"), weights.get("classifier.bias"), features)
    return Pretrained(name, architecture, backbone, side, row.mean, row.deviation, vocabulary)


def build(architecture: Architecture) -> nn.Module:
    """One of coterie's own backbones."""
    settings = architecture.settings
    return build_backbone(
        architecture.name, settings["channels"], settings["side"], width=float(settings.get("width", 1))
    )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors in a file by name; nothing in it is executed.

    Raises:
        UsageError: no such file, or no state dict in it. CoterieError: it is damaged.
    """
    if not path.is_file():
        raise UsageError(f"there is no file of weights {path}: give a file, a run, hf:NAME or timm:NAME")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with path.open("rb") as stream:
            check_growth(stream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of what a pickle might hold that is not read anyway.
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged archive or a hostile pickle raises nearly anything.
        if "Unsupported" in str(error):
            raise UsageError(
                f"{path} holds pickled objects beside its weights, which could execute code, and is not read: save its "
                "state dict alone, best as safetensors"
            ) from None
        reason = " ".join(str(error).split())[:200]
        raise CoterieError(f"{path} cannot be read as weights, it is damaged or something else ({reason})") from None
    for name in _INSIDE:
        if isinstance(held, dict) and isinstance(held.get(name), dict):
            held = held[name]
    tensors = {str(k): v for k, v in held.items() if isinstance(v, Tensor)} if isinstance(held, dict) else {}
    if not tensors:
        raise UsageError(f"{path} holds no state dict: save the network's state_dict()")
    return tensors


def encoder_weights(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The encoder's weights by torchvision's names.

    Raises:
        UsageError: no known layout fits.
    """
    plain = {name.removeprefix("module."): value for name, value in tensors.items()}
    for prefix in _PREFIXES:
        inner = {name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)}
        if "conv1.weight" in inner:
            named = inner
        elif getattr(inner.get("0.weight"), "ndim", 0) == 4 and "1.running_mean" in inner:
            named = _named(inner)
        else:
            continue
        return {name: value for name, value in named.items() if re.match(r"(conv1|bn1|layer\d)\.", name)}
    first = ", ".join(sorted(plain)[:3])
    raise UsageError(
        f"{where} holds no ResNet in a known layout (it holds {first}, …): give one as torchvision or the ProPos "
        "reference saves it, hf:NAME or timm:NAME"
    )


def recognise(weights: Mapping[str, Any], where: str) -> str:
    """The backbone that weights by torchvision's names are of.

    Raises:
        UsageError: coterie has none of that shape.
    """
    blocks = tuple(len({name.split(".")[1] for name in weights if name.startswith(f"layer{n}.")}) for n in range(1, 5))
    found = _DEPTHS.get((blocks, "layer1.0.conv3.weight" in weights))
    name = f"{found}-small" if weights["conv1.weight"].shape[-1] == 3 else found
    if found is None or name == "resnet50-small":
        raise UsageError(
            f"{where} holds a ResNet with {'·'.join(map(str, blocks))} blocks; coterie knows ResNet-18, 34 and 50, and "
            "18 and 34 with the stem for small images"
        )
    return str(name)


def fit(backbone: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Load weights that must be all a backbone has.

    Raises:
        UsageError: some are missing, too many or of another shape; names the first.
    """
    wanted = backbone.state_dict()
    # Files of old versions of torch do not count batches, and nothing depends on it.
    missing = [name for name in wanted if name not in weights and not name.endswith("num_batches_tracked")]
    foreign = [name for name in weights if name not in wanted]
    for verb, names in (("lacks", missing), ("has no place for", foreign)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise UsageError(f"{what}, but {verb} {', '.join(names[:3])}{more}")
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            raise UsageError(f"{what}, but {name} is {tuple(value.shape)} and not {tuple(wanted[name].shape)}")
    backbone.load_state_dict({**wanted, **weights})


def _named(numbered: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's names for the reference's numbers."""
    stages = 3 if any(name.startswith("3.") for name in numbered) else 4
    parts = {"0": "conv1", "1": "bn1", **{str(stages + place): f"layer{place + 1}" for place in range(4)}}
    named = {}
    for name, value in numbered.items():
        number, _, rest = name.partition(".")
        named[f"{parts.get(number, number)}.{rest}"] = value
    return named
