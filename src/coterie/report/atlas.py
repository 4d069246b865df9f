"""Where the shown images lie: places on the map, neighbours, and vectors that tell how alike two are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.cluster.chart import chart, principal_axes
from coterie.files import write_atomically
from coterie.untrusted import open_pack

# Neighbours an image is shown with.
_SHOWN = 8
# Bytes of all vectors, a third more as base64, and the most axes of one.
_VECTORS, _AXES = 786_432, 64


@dataclass(frozen=True)
class Atlas:
    """Where the shown images lie: `places` (n, 2) on a map, `neighbours` (n, k), the nearest first, and `vectors`
    (n, a) int8, in which images that look alike to the model are near."""

    places: npt.NDArray[np.floating[Any]]
    neighbours: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.int8]


def make_atlas(embeddings: npt.NDArray[np.floating[Any]], kept: Path | None = None) -> Atlas:
    """Neighbours by Euclidean distance, and a map that keeps them together.

    Embeddings (n, 2) are places on a map already. Unit vectors are in the same order by cosine.

    Args:
        kept: an `.npz` with the map of these embeddings; where it has none of them, it has one afterwards.
    """
    axes = principal_axes(embeddings, max(2, min(_AXES, _VECTORS // len(embeddings))))
    vectors = np.rint(axes * (127 / max(float(np.abs(axes).max()), 1e-12))).astype(np.int8)
    found = _kept(embeddings, kept)
    if found is None:
        drawn = chart(embeddings)
        found = drawn.places.numpy(), drawn.neighbours[:, 1 : _SHOWN + 1].numpy()
        _keep(embeddings, *found, kept)
    return Atlas(*found, vectors)


_Map = tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.int64]]


def _kept(embeddings: npt.NDArray[np.floating[Any]], path: Path | None) -> _Map | None:
    """Places and neighbours in a file, None unless they are of these embeddings."""
    if path is None:
        return None
    try:
        with open_pack(path) as pack:
            if pack["of"].tobytes() != _digest(embeddings):
                return None
            places, neighbours = pack["places"], pack["neighbours"].astype(np.int64)
    except Exception:  # Damaged or tampered files raise nearly anything, and the map can be made again.
        return None
    count = len(embeddings)
    fits = places.shape == (count, 2) and neighbours.shape == (count, min(_SHOWN, count - 1))
    if not fits or places.dtype.kind != "f" or not np.isfinite(places).all():
        return None
    return (places, neighbours) if ((neighbours >= 0) & (neighbours < count)).all() else None


def _keep(
    embeddings: npt.NDArray[np.floating[Any]], places: npt.NDArray[Any], neighbours: npt.NDArray[Any], path: Path | None
) -> None:
    if path is not None:
        of = np.frombuffer(_digest(embeddings), dtype=np.uint8)
        content: dict[str, Any] = {"of": of, "places": places, "neighbours": neighbours.astype(np.int32)}
        write_atomically(path, lambda stream: np.savez(stream, **content))


def _digest(embeddings: npt.NDArray[np.floating[Any]]) -> bytes:
    values = np.ascontiguousarray(embeddings, dtype="<f4")
    return hashlib.sha256(str(values.shape).encode() + values.tobytes()).digest()
