"""A pretrained backbone on disk, so that a model that needs it can do without the hub: safetensors and JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from coterie.config import plain, read
from coterie.errors import CoterieError
from coterie.files import write_atomically, write_json
from coterie.nn.pretrained.base import Architecture, Pretrained
from coterie.nn.pretrained.building import build
from coterie.nn.pretrained.vocabulary import Vocabulary

BACKBONE_FILES = ("backbone.json", "backbone.safetensors")
# Of what its features say in words, among its own tensors.
_VOCABULARY = "vocabulary."


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors, whole or not at all."""
    # A format of plain rows: a copy leaves channels-last strides and shared storage behind.
    packed = safetensors.torch.save(
        {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    )
    write_atomically(path, lambda stream: stream.write(packed))


def check_fits(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Raise a ValueError unless a network has these tensors, without taking memory for it: it might be without end."""
    with torch.device("meta"), _Undrawn():
        wanted = {name: value.shape for name, value in build().state_dict().items()}
    given = {name: value.shape for name, value in tensors.items()}
    for name in wanted.keys() | given.keys():
        if wanted.get(name) != given.get(name):
            raise ValueError(f"its weights are not of the network it describes, as {name} tells")


class _Undrawn(TorchFunctionMode):
    """Weights without values need no drawing; to draw them all the same, torch would import its compiler's parts."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


def save_backbone(pretrained: Pretrained, folder: Path) -> None:
    """Write `backbone.json` and `backbone.safetensors` into `folder`, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CoterieError(f"{folder} cannot be made: {error.strerror}") from None
    vocabulary = pretrained.vocabulary
    tensors = dict(pretrained.backbone.state_dict())
    if vocabulary is not None:
        parts = {name: getattr(vocabulary, name) for name in ("weight", "bias", "projection")}
        tensors |= {f"{_VOCABULARY}{name}": part for name, part in parts.items() if part is not None}
    write_tensors(folder / "backbone.safetensors", tensors)
    write_json(
        folder / "backbone.json",
        {
            "name": pretrained.label,
            "architecture": plain(pretrained.architecture),
            "side": pretrained.side,
            "mean": list(pretrained.mean),
            "deviation": list(pretrained.deviation),
            "words": [] if vocabulary is None else list(vocabulary.words),
        },
    )


def save_backbones(backbones: Sequence[Pretrained], folder: Path) -> None:
    """Write each backbone into a folder of its own within `folder`, the folder of a model."""
    for place, backbone in enumerate(backbones):
        save_backbone(backbone, folder / _named(place))


def backbone_folders(folder: Path) -> list[Path]:
    """Where the backbones of the model in `folder` lie, in their order."""
    paths = (folder / _named(place) for place in itertools.count())
    return list(itertools.takewhile(lambda path: (path / BACKBONE_FILES[0]).is_file(), paths))


def _named(place: int) -> str:
    return f"backbone-{place + 1}" if place else "backbone"


def load_backbone(folder: Path) -> Pretrained:
    """The backbone saved in `folder`. Nothing in its files is executed.

    Raises:
        UsageError: the library that builds it is not installed. CoterieError: its files are damaged.
    """
    try:
        described = json.loads((folder / "backbone.json").read_text(encoding="utf-8"))
        architecture = read(Architecture, described["architecture"])
        tensors = safetensors.torch.load_file(folder / "backbone.safetensors")
        own = [name for name in tensors if name.startswith(_VOCABULARY)]
        parts = {name.removeprefix(_VOCABULARY): tensors.pop(name).float() for name in own}
        check_fits(lambda: build(architecture), tensors)
        backbone = build(architecture)
        backbone.load_state_dict(tensors)
        return Pretrained(
            str(described["name"]),
            architecture,
            backbone.eval(),
            int(described["side"]),
            tuple(described["mean"]),
            tuple(described["deviation"]),
            _vocabulary(described, parts, backbone.features) if parts else None,
        )
    except CoterieError:
        raise
    except Exception as error:  # Half-written or tampered files raise nearly anything.
        reason = " ".join(str(error).split())[:200]
        raise CoterieError(f"the backbone in {folder} is damaged ({reason}): fit the model again") from None


def _vocabulary(described: Mapping[str, Any], parts: Mapping[str, Tensor], features: object) -> Vocabulary:
    found = Vocabulary(tuple(map(str, described["words"])), **parts)
    if found.features != features:
        raise ValueError("its words are of other features")
    return found
