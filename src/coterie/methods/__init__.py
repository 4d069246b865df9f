"""One file per method. A method is found by its file's name, so adding one changes nothing here.

A method of a user's own, in a file outside the package, goes by `module:Class`; see `coterie.methods._own`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import torch
from torch import nn

from coterie.errors import UsageError, unknown
from coterie.methods._own import own_method
from coterie.methods.base import Batch, Embedded, EStep, Method
from coterie.nn.backbones import build_backbone
from coterie.nn.encoder import Encoder
from coterie.seeding import derive

__all__ = [
    "Batch", "EStep", "Embedded", "Method", "build_method", "learns", "method_name", "method_names", "method_type",
]  # fmt: skip


def method_names() -> list[str]:
    """The methods there are."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if name != "base" and not name.startswith("_"))


def method_type(name: str) -> type[Method]:
    """The class of the method `name`, which is one of `method_names()` or `module:Class` of a module already imported.

    Raises:
        UsageError: no method has that name.
    """
    if ":" in name:
        return own_method(name)
    if name not in method_names():
        raise unknown("method", name, method_names())
    found: type[Method] = importlib.import_module(f"{__name__}.{name}").METHOD
    return found


def learns(name: str) -> bool:
    """Whether a method has losses; one without groups what it is given as it is."""
    return method_type(name).losses is not Method.losses


def method_name(kind: type[Method]) -> str:
    """The name of a method's class, the inverse of `method_type`.

    Raises:
        UsageError: a class within a function or another class, where it could not be found again.
    """
    package, _, last = kind.__module__.rpartition(".")
    if package == __name__:
        return last
    if "." in kind.__qualname__:
        raise UsageError(
            f"define {kind.__qualname__} at the top of its module, where it can be found again by its name"
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def build_method(
    name: str, options: Any, *, backbone: str | nn.Module, shape: tuple[int, ...], n_clusters: int, seed: int
) -> Method:
    """A freshly initialised method; the same seed gives the same weights, and no global state is left changed.

    Args:
        name: of the method.
        options: an instance of its `Config`.
        backbone: the encoder's, built already or by name; of no account to a method on features.
        shape: of an image, (C, S, S), or the widths of the spaces of a feature vector, (D,) where it is one.
        n_clusters: K.
        seed: of the run.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        kind: Any = method_type(name)
        if kind.inputs == "images" and isinstance(backbone, str):
            backbone = build_backbone(backbone, *shape[:2])
        first = Encoder(backbone) if isinstance(backbone, nn.Module) else shape
        built: Method = kind(options, first, n_clusters=n_clusters)
        return built
