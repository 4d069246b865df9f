"""One file per method. A method is found by its file's name, so adding one changes nothing here."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import torch
from torch import nn

from coterie.errors import unknown
from coterie.methods.base import Batch, EStep, Method
from coterie.nn.backbones import build_backbone
from coterie.nn.encoder import Encoder
from coterie.seeding import derive

__all__ = ["Batch", "EStep", "Method", "build_method", "method_names", "method_type"]


def method_names() -> list[str]:
    """The methods there are."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if name != "base" and not name.startswith("_"))


def method_type(name: str) -> type[Method]:
    """The class of the method `name`.

    Raises:
        UsageError: no method has that name.
    """
    if name not in method_names():
        raise unknown("method", name, method_names())
    found: type[Method] = importlib.import_module(f"{__name__}.{name}").METHOD
    return found


def build_method(
    name: str, options: Any, *, backbone: str | nn.Module, shape: tuple[int, ...], n_clusters: int, seed: int
) -> Method:
    """A freshly initialised method; the same seed gives the same weights, and no global state is left changed.

    Args:
        name: of the method.
        options: an instance of its `Config`.
        backbone: the encoder's, built already or by name; of no account to a method on features.
        shape: of an image, (C, S, S), or of a feature vector, (D,).
        n_clusters: K.
        seed: of the run.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        kind: Any = method_type(name)
        if kind.inputs == "images" and isinstance(backbone, str):
            backbone = build_backbone(backbone, *shape[:2])
        first = Encoder(backbone) if isinstance(backbone, nn.Module) else shape[0]
        built: Method = kind(options, first, n_clusters=n_clusters)
        return built
