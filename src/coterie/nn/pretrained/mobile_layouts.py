"""Weights of MobileNetV2 and EfficientNet-Lite by the names of `coterie.nn.inverted`, whatever a file calls them.

| a file's names | written by |
|---|---|
| `features.0.0.weight`, `features.2.conv.0.0.weight`, …, `classifier.1.weight` | torchvision |
| `features.0.0.weight`, `features.2.conv.3.weight`, …, `classifier.weight` | MobileNetV2s from before it |
| `_conv_stem.weight`, `_blocks.1._expand_conv.weight`, …, `_fc.weight` | EfficientNets ported from TensorFlow |
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from coterie.errors import UsageError
from coterie.nn.backbones import build_backbone

Weights = dict[str, Tensor]

_LITES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
_PLAIN = {
    "_conv_stem": "stem.convolution", "_bn0": "stem.norm",
    "_conv_head": "head.convolution", "_bn1": "head.norm", "_fc": "classifier",
}  # fmt: skip
_IN_BLOCK = {
    "_expand_conv": "expand.convolution", "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.convolution", "_bn1": "depthwise.norm",
    "_project_conv": "project.convolution", "_bn2": "project.norm",
}  # fmt: skip
_NUMBERED = re.compile(r"features\.(\d+)\.(?:conv\.)?((?:\d+\.)+)(\w+)")


def mobile_weights(tensors: Mapping[str, Tensor]) -> Weights | None:
    """The weights by their names in `coterie.nn`, a classifier under `classifier`; None of another kind of network."""
    plain = {name.removeprefix("module."): value for name, value in tensors.items()}
    if "_conv_stem.weight" in plain and "_blocks.0._depthwise_conv.weight" in plain:
        return {_ported(name): value for name, value in plain.items()}
    if "features.0.0.weight" in plain and "features.1.conv.1.weight" in plain:
        return _numbered(plain)
    return None


def recognise_mobile(weights: Weights, where: str) -> str:
    """The backbone whose tensors have the shapes of these, for images in colour.

    Raises:
        UsageError: coterie has none.
    """
    shapes = _shapes(without_classifier(weights))
    # Only in EfficientNets do kernels of 5×5 occur.
    lite = any(value.shape[-1] == 5 for value in weights.values() if value.ndim == 4)
    candidates = _LITES if lite else ("mobilenetv2",)
    for name in candidates:
        with torch.device("meta"):
            if _shapes(build_backbone(name, 3, 224).state_dict()) == shapes:
                return name
    raise UsageError(f"{where} holds no network coterie knows, though its names are those of {' or '.join(candidates)}")


def without_classifier(weights: Weights) -> Weights:
    """The backbone's weights alone."""
    return {name: value for name, value in weights.items() if not name.startswith("classifier.")}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in tensors.items() if not name.endswith("num_batches_tracked")}


def _ported(name: str) -> str:
    first, _, rest = name.partition(".")
    if first != "_blocks":
        return f"{_PLAIN.get(first, first)}.{rest}"
    number, part, kind = [*rest.split("."), "", ""][:3]
    return f"blocks.{number}.{_IN_BLOCK.get(part, part)}.{kind}"


def _numbered(plain: Weights) -> Weights:
    """Both layouts name by place: in every part of the network convolutions and batch norms take turns."""
    found = {name: match for name in plain if (match := _NUMBERED.fullmatch(name))}
    places: dict[int, set[tuple[int, ...]]] = {}
    for match in found.values():
        places.setdefault(int(match[1]), set()).add(_place(match[2]))
    last = max(places)
    named = {}
    for name, value in plain.items():
        if (match := found.get(name)) is not None:
            part = int(match[1])
            turn = sorted(places[part]).index(_place(match[2]))
            named[f"{_part(part, last, turn // 2, len(places[part]) // 2)}.{_TURNS[turn % 2]}.{match[3]}"] = value
        else:
            named[re.sub(r"^classifier\.\d+\.", "classifier.", name)] = value
    return named


_TURNS = ("convolution", "norm")


def _place(numbers: str) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers.split(".") if number)


def _part(part: int, last: int, pair: int, pairs: int) -> str:
    if part in (0, last):
        return "stem" if part == 0 else "head"
    # The first block of all has nothing to widen.
    names = ("expand", "depthwise", "project")[max(0, 3 - pairs) :]
    return f"blocks.{part - 1}.{names[pair] if pair < len(names) else pair}"
