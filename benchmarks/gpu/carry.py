"""A run's checkpoint in a few small files, which are all that comes back from a machine that is lent for minutes.

Weights keep sixteen bits. Of a moving average only how it differs from the weights is kept, in four; of an optimiser's
squares eight bits of their logarithm, of its momentum four. What then does not fit is left out in the order of what a
run misses least: momentum, which comes again within some ten steps, averages, which become the weights, squares.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from coterie.files import write_atomically
from gpu.quantised import from_logarithmic, from_signed, logarithmic, signed

# Bytes in all, and in a file.
ROOM, MOST = 42 << 20, 15 << 20
# Bytes set aside for names and shapes; tensors below this many values stay as they are.
_HEADS, _SMALL = 1 << 18, 4096
_SQUARES, _MOMENTA = ("exp_avg_sq",), ("momentum_buffer", "exp_avg")
# What is left out first where there is no room.
_LEAST_MISSED = ("momentum", "average", "squares")
_Tensors = dict[str, Tensor]


def pack(state: Mapping[str, Any], room: int = ROOM) -> bytes:
    """What `torch.load` makes of a checkpoint, in at most `room` bytes where leaving out what may be can do it."""
    kinds: dict[str, str] = {}
    tensors: dict[str, _Tensors] = {}
    for name, values in _named(state):
        kinds[name] = _kind(name, values, state["method"])
        tensors[name] = _kept(kinds[name], values, state["method"].get(_online(name)))
    for kind in _LEAST_MISSED:
        if sum(each.nbytes for parts in tensors.values() for each in parts.values()) > room - _HEADS:
            for name in [name for name, own in kinds.items() if own == kind]:
                del tensors[name]
                kinds[name] = f"no {kind}"
    about = {
        "kinds": kinds,
        "shapes": {name: list(values.shape) for name, values in _named(state)},
        "groups": state["optimizer"]["param_groups"],
        "rest": {name: value for name, value in state.items() if name not in ("method", "optimizer")},
    }
    flat = {f"{name}\n{part}": each.contiguous() for name, parts in tensors.items() for part, each in parts.items()}
    return save_tensors(flat, {"about": json.dumps(about)})


def unpack(packed: bytes) -> dict[str, Any]:
    """A state that a run goes on from, near the one that was packed."""
    length = int.from_bytes(packed[:8], "little")
    about = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["about"])
    parts: dict[str, _Tensors] = {}
    for flat, values in load_tensors(packed).items():
        name, _, part = flat.partition("\n")
        parts.setdefault(name, {})[part] = values
    method: _Tensors = {}
    kept: dict[int, _Tensors] = {}
    fresh: set[int] = set()
    # Averages come after the weights that they are told by.
    for name, kind in sorted(about["kinds"].items(), key=lambda item: item[1].endswith("average")):
        shape = tuple(about["shapes"][name])
        section, _, rest = name.partition("/")
        if section == "method":
            method[rest] = _taken(kind, parts.get(name, {}), shape, method.get(_online(name)))
        else:
            place, _, which = rest.partition("/")
            kept.setdefault(int(place), {})[which] = _taken(kind, parts.get(name, {}), shape, None)
            fresh |= {int(place)} if kind == "no squares" else set()
    order = {name.partition("/")[2]: place for place, name in enumerate(about["kinds"])}
    state = {place: values for place, values in kept.items() if place not in fresh}
    return {
        **about["rest"],
        "method": dict(sorted(method.items(), key=lambda item: order[item[0]])),
        "optimizer": {"state": state, "param_groups": about["groups"]},
    }


def write_parts(packed: bytes, folder: Path, stem: str = "checkpoint") -> None:
    """Write `folder/STEM.0`, `.1` and so on, each of at most `MOST` bytes; each says of which whole it is a part."""
    chunks = [packed[start : start + MOST] for start in range(0, len(packed), MOST)]
    mark = f"{zlib.crc32(packed):08x}"
    for place, chunk in enumerate(chunks):
        head = json.dumps({"mark": mark, "part": place, "of": len(chunks)}).encode() + b"\n"
        write_atomically(folder / f"{stem}.{place}", lambda stream, whole=head + chunk: stream.write(whole))
    for stale in folder.glob(f"{stem}.[0-9]*"):
        if int(stale.suffix[1:]) >= len(chunks):
            stale.unlink()


def read_parts(folder: Path, stem: str = "checkpoint") -> bytes | None:
    """What `write_parts` wrote; None where there is nothing, or where a kill left parts of two."""
    heads, chunks = [], []
    for path in sorted(folder.glob(f"{stem}.[0-9]*"), key=lambda path: int(path.suffix[1:])):
        head, _, chunk = path.read_bytes().partition(b"\n")
        heads.append(json.loads(head))
        chunks.append(chunk)
    packed = b"".join(chunks)
    whole = heads and len(heads) == heads[0]["of"] and all(head["mark"] == heads[0]["mark"] for head in heads)
    return packed if whole and heads[0]["mark"] == f"{zlib.crc32(packed):08x}" else None


def _named(state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a checkpoint by a name."""
    for name, values in state["method"].items():
        yield f"method/{name}", values
    for place, kept in state["optimizer"]["state"].items():
        for which, values in kept.items():
            yield f"optimizer/{place}/{which}", torch.as_tensor(values)


def _kind(name: str, values: Tensor, method: Mapping[str, Tensor]) -> str:
    """How a tensor is kept."""
    if values.numel() < _SMALL or not values.is_floating_point():
        return "whole"
    section, _, rest = name.partition("/")
    if section == "method":
        online = method.get(_online(name))
        return "average" if online is not None and online.shape == values.shape else "half"
    which = rest.partition("/")[2]
    return "squares" if which in _SQUARES else "momentum" if which in _MOMENTA else "whole"


def _online(name: str) -> str:
    """The weights that `method/target_NAME` is the moving average of; nothing's name for others."""
    return name.removeprefix("method/target_") if name.startswith("method/target_") else ""


def _kept(kind: str, values: Tensor, online: Tensor | None) -> _Tensors:
    if kind == "average" and online is not None:
        return signed(values.float() - _half(online).float())
    if kind in ("squares", "momentum"):
        return logarithmic(values) if kind == "squares" else signed(values)
    return {"values": (values if kind == "whole" else _half(values)).detach().cpu()}


def _taken(kind: str, parts: _Tensors, shape: tuple[int, ...], online: Tensor | None) -> Tensor:
    if kind in ("average", "no average"):
        assert online is not None
        return online + from_signed(parts, shape) if parts else online.clone()
    if kind in ("squares", "momentum"):
        return from_logarithmic(parts, shape) if kind == "squares" else from_signed(parts, shape)
    if not parts:
        return torch.zeros(shape)
    return parts["values"].float() if kind == "half" else parts["values"]


def _half(values: Tensor) -> Tensor:
    """In sixteen bits: of more digits where the range allows it."""
    return values.to(torch.float16 if float(values.abs().max()) < 6e4 else torch.bfloat16)
