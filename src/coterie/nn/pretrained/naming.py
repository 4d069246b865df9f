"""What a backbone is called wherever the command is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from coterie.files import absolute
from coterie.hub import PREFIX
from coterie.nn.backbones import backbone_names
from coterie.nn.pretrained.known import KNOWN

TIMM = "timm:"


def full_name(name: str) -> str:
    """`name` with the path of a file, a run or a model's folder made absolute.

    Args:
        name: see `coterie.nn.pretrained.open_pretrained`, or one of coterie's own networks.
    """
    if name in KNOWN or name in backbone_names() or name.startswith(TIMM):
        return name
    prefix = PREFIX if name.startswith(PREFIX) else ""
    path = name.removeprefix(prefix)
    return prefix + absolute(path) if path and Path(path).exists() else name


def tell_twins(name: str, note: Callable[[str], None]) -> None:
    """Say which is meant where a network and a file or folder have one name."""
    if (name in KNOWN or name in backbone_names()) and Path(name).exists():
        note(f"{name} is the network of that name; what lies here is ./{name}")
