"""Feature vectors as a source and a store: what methods learn from that do not look at images."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.data.base import OneByOne, Outline, Skipped, Unreadable
from coterie.data.reading.depth import Scale
from coterie.errors import UsageError

# Between these the lengths of vectors, and their products, are ordinary numbers of float32.
_LEAST, _MOST = 1e-9, 1e15


@dataclass(frozen=True)
class Features(OneByOne):
    """A matrix of features with its keys, and labels where they are known.

    Args:
        values: (N, D) float32, finite.
        keys: N distinct names.
        labels: (N,) int64, −1 where unknown; None where no label is known. Only ever used for evaluation.
        class_names: names of the labels 0, 1, …
        skipped: what was left out; nothing.
        origins: for each space a fingerprint of the images and of what made features of them; none if they were given.
        spaces: widths of several spaces that lie side by side in a row, see `coterie.cluster.spaces`; empty for one.
    """

    values: npt.NDArray[np.float32]
    keys: Sequence[str]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    skipped: list[Skipped] = field(default_factory=list)
    origins: tuple[int, ...] = ()
    spaces: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of its spaces, also where it is one."""
        return self.spaces or self.shape

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: (D,)."""
        return self.values.shape[1:]

    def rows(self, index: Tensor) -> Tensor:
        """The features at `index` (n,): (n, D) float32 on the CPU."""
        return torch.from_numpy(self.values[index.cpu().numpy()])

    def fingerprint(self) -> int:
        """A number that changes when a value or a key does, or the images they were made of."""
        told = repr((self.spaces, self.origins)) + "\n".join(self.keys)
        names = zlib.crc32(told.encode("utf-8", "surrogatepass"))
        if self.origins:
            return names  # Made again, the features may differ in their last bits.
        return zlib.crc32(np.ascontiguousarray(self.values).tobytes(), names)

    def identity(self) -> None:
        return None

    def outline(self) -> Outline:
        return Outline(len(self), 0, grey=False)

    def decode(self, place: int, side: int, scale: Scale = ()) -> npt.NDArray[np.uint8]:  # noqa: ARG002
        raise Unreadable("a feature vector has no picture")


def side_by_side(parts: Sequence[Features]) -> Features:
    """What several backbones made of the same images, a space each; images that one of them lacks are left out."""
    if len(parts) == 1:
        return parts[0]
    places = [{key: place for place, key in enumerate(part.keys)} for part in parts]
    keys = [key for key in parts[0].keys if all(key in known for known in places)]
    rows = [np.array([known[key] for key in keys], dtype=np.int64) for known in places]
    return replace(
        parts[0],
        values=np.concatenate([part.values[kept] for part, kept in zip(parts, rows, strict=True)], axis=1),
        keys=keys,
        labels=None if parts[0].labels is None else parts[0].labels[rows[0]],
        origins=sum((part.origins for part in parts), ()),
        spaces=tuple(part.shape[0] for part in parts),
    )


def check_spaces(spaces: Sequence[int], width: int, name: str) -> None:
    """Raise a UsageError unless these are the widths of spaces that make up a row of `width` numbers."""
    if any(each < 1 for each in spaces) or sum(spaces) != width:
        raise UsageError(f"{name}: spaces of {list(spaces)} columns do not make up {width} features")


def checked_features(values: Any, name: str) -> npt.NDArray[np.float32]:
    """`values` as float32 if they are a finite matrix (N, D), else a UsageError that says what they are."""
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise UsageError(f"{name}: features must be floats of shape (N, D), not {array.dtype} of shape {array.shape}")
    if 0 in array.shape:
        raise UsageError(f"{name}: no features, the shape is {array.shape}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise UsageError(f"{name}: some features are not finite (NaN or infinity), or too large for float32")
    largest = float(np.abs(array).max())
    if largest and not _LEAST < largest < _MOST:
        raise UsageError(f"{name}: features of up to {largest:.1e} are out of range: scale them, to about 1")
    return array
