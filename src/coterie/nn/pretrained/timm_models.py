"""Models of timm by name, with the weights timm fetches for them."""

from __future__ import annotations

from typing import Any

from torch import nn

from coterie.errors import CoterieError, UsageError
from coterie.extras import require
from coterie.hub import quietly, reason
from coterie.nn.pretrained.base import Architecture, Pretrained, width, without_chance


def open_model(name: str, side: int | None) -> Pretrained:
    """A model of timm without its classifier; see `open_pretrained`."""
    timm, full_name = _library(name), f"timm:{name}"
    known = timm.get_pretrained_cfg(name)
    if known is None:
        raise UsageError(f"{full_name}: timm has no such model with weights; timm.list_pretrained() names those it has")
    channels, own, _ = known.input_size
    side = side or own
    # Such models hold a position embedding for one size, which timm stretches while it loads the weights.
    settings = {"img_size": side} if known.fixed_input_size and side != own else {}
    try:
        with quietly():
            model = timm.create_model(name, pretrained=True, num_classes=0, **settings)
    except Exception as error:  # Of a hub, a network, a disk and timm.
        raise CoterieError(f"{full_name} cannot be loaded: {reason(error)}") from None
    backbone = _wrapped(model.float().eval(), full_name, channels, side)
    architecture = Architecture("timm", name, {**settings, "channels": channels, "side": side})
    return Pretrained(full_name, architecture, backbone, side, tuple(known.mean), tuple(known.std))


def build(architecture: Architecture) -> nn.Module:
    """A model of this architecture with weights yet to be loaded."""
    settings = dict(architecture.settings)
    channels, side = settings.pop("channels"), settings.pop("side")
    # Of what timm takes, a checkpoint's path would have it unpickled, and a name with a colon be asked of the hub.
    if ":" in architecture.name or not settings.keys() <= {"img_size"}:
        raise CoterieError(f"timm:{architecture.name} is described by settings that coterie never writes")
    model = _library(architecture.name).create_model(architecture.name, pretrained=False, num_classes=0, **settings)
    return _wrapped(model, f"timm:{architecture.name}", channels, side)


def _wrapped(model: Any, name: str, channels: int, side: int) -> nn.Module:
    backbone: nn.Module = without_chance(model)
    training = backbone.training
    # `num_features` counts what comes before a head that some models keep.
    backbone.features = width(backbone.eval(), name, channels, side)  # type: ignore[assignment]
    return backbone.train(training)


def _library(name: str) -> Any:
    return require("timm", extra="timm", what=f"timm:{name}")
