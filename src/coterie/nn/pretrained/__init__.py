"""Backbones that come with weights: of transformers, of timm, of a finished run, or a file of ResNet weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from coterie.errors import UsageError
from coterie.hub import PREFIX
from coterie.nn.backbones import backbone_names
from coterie.nn.pretrained import state_dicts, timm_models, vision_models
from coterie.nn.pretrained.base import Architecture, Pretrained, width
from coterie.nn.pretrained.building import build
from coterie.nn.pretrained.known import KNOWN
from coterie.nn.pretrained.naming import TIMM
from coterie.nn.pretrained.own_runs import frozen_parts, is_run, read_run
from coterie.nn.pretrained.packages import open_known
from coterie.nn.pretrained.saved import load_backbone

__all__ = ["Architecture", "Pretrained", "build", "is_pretrained", "open_backbones", "open_pretrained", "parts_of"]

_SUFFIXES = (".pth", ".pt", ".safetensors", ".bin", ".tar", ".ckpt")


def parts_of(name: str) -> tuple[str, ...]:
    """The backbones that `A+B` names; a `+` within the path of something that is there belongs to that."""
    pieces = name.split("+")
    joined = ("+".join(pieces[:count]) for count in range(len(pieces), 1, -1))
    first = next((whole for whole in joined if Path(whole.removeprefix(PREFIX)).exists()), pieces[0])
    rest = name[len(first) + 1 :]
    return (first, *parts_of(rest)) if first != name else (first,)


def is_pretrained(name: str) -> bool:
    """Whether a name means weights: of known backbones, `hf:NAME`, `timm:NAME`, files or runs, joined by `+`."""
    return all(_is_one(part) for part in parts_of(name))


def _is_one(name: str) -> bool:
    if not name:
        return False
    if name in KNOWN or name.startswith((PREFIX, TIMM)):
        return True
    if name in backbone_names():
        return False
    return name.endswith(_SUFFIXES) or Path(name).is_file() or is_run(name)


def open_backbones(name: str, *, side: int | None = None) -> tuple[Pretrained, ...]:
    """The backbones a user named, each by a name of `open_pretrained`, joined by `+`; a run passes on all of its own.

    Args:
        side: pixels of the images all will be given; None for those each was trained on.

    Raises:
        UsageError, CoterieError: as `open_pretrained`.
    """
    return tuple(opened for part in parts_of(name) for opened in _open(part, side))


def open_pretrained(name: str, *, side: int | None = None) -> Pretrained:
    """The backbone a user named, with its weights. Nothing in the files it is read from is executed.

    Args:
        name: of a known backbone, see `coterie.nn.pretrained.known`; `hf:NAME` of a vision model of transformers (on
            the hub, in its cache, or a folder), `timm:NAME`, the folder of a finished run, or a file of weights in
            torchvision's or the ProPos reference's layout, see `coterie.nn.pretrained.state_dicts`.
        side: pixels of the images it will be given; None for those it was trained on.

    Raises:
        UsageError: no such model or file, one that does not look at images, or a library that is not installed; or a
            run with several backbones. CoterieError: it cannot be loaded.
    """
    opened, *others = _open(name, side)
    if others:
        raise UsageError(f"{name} has {1 + len(others)} backbones, and one is wanted here")
    return opened


def _open(name: str, side: int | None) -> tuple[Pretrained, ...]:
    # Networks are initialised before their weights are read.
    with torch.random.fork_rng(devices=[]):
        if name in KNOWN:
            return (open_known(name, side),)
        if name.startswith(PREFIX):
            return (vision_models.open_model(name.removeprefix(PREFIX), side),)
        if name.startswith(TIMM):
            return (timm_models.open_model(name.removeprefix(TIMM), side),)
        return _open_run(name, side) if is_run(name) else (state_dicts.open_file(Path(name), side),)


def _open_run(name: str, side: int | None) -> tuple[Pretrained, ...]:
    if frozen := [load_backbone(path) for path in frozen_parts(name)]:
        sized = tuple(replace(kept, side=side or kept.side) for kept in frozen)
        for kept in sized:
            width(kept.backbone, name, kept.channels, kept.side)
        return sized
    architecture, weights, own_side, mean, deviation = read_run(name)
    backbone = build(architecture)
    state_dicts.fit(backbone, weights, f"{name} was made with {architecture.name}")
    side = side or own_side
    width(backbone.eval(), name, len(mean), side)
    return (Pretrained(name, architecture, backbone, side, mean, deviation),)
