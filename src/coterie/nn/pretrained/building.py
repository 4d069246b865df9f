"""Building a backbone's network from what describes it; no hub is asked."""

from __future__ import annotations

import torch
from torch import nn

from coterie.errors import CoterieError
from coterie.nn.pretrained import state_dicts, timm_models, vision_models
from coterie.nn.pretrained.base import Architecture

_BUILDERS = {"coterie": state_dicts.build, "transformers": vision_models.build, "timm": timm_models.build}


def build(architecture: Architecture) -> nn.Module:
    """A backbone of this architecture, for weights to be loaded into.

    Raises:
        UsageError: its library is not installed. CoterieError: its library is not known.
    """
    if architecture.library not in _BUILDERS:
        raise CoterieError(f"a backbone of '{architecture.library}' cannot be built by this version")
    with torch.random.fork_rng(devices=[]):
        return _BUILDERS[architecture.library](architecture)
