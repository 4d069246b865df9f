"""What the page's script works with: every shown image in arrays, packed as base64."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.evaluate.agreement import in_order
from coterie.report.atlas import Atlas
from coterie.report.palette import colours
from coterie.report.sheets import Sheets
from coterie.runs.assignments import Assignments
from coterie.runs.kept import Kept

# Groups a person may add to the clusters, each with a colour of its own.
_FURTHER_GROUPS = 40
# The greatest number of two bytes; it stands for "none" among indices.
_TOP = 0xFFFF


def page_content(
    assignments: Assignments,
    rows: Sequence[int],
    atlas: Atlas,
    sheets: Sheets | None,
    standing: npt.NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Plain values for JSON; images are numbered by their place in `rows`, the rows of the run that are shown.

    Args:
        standing: (N,) by how many pictures each row of the run is shown; None for each by one.
    """
    index = np.asarray(rows)
    clusters = int(assignments.clusters.max(initial=0)) + 1
    labels = assignments.labels or []
    classes = in_order({*labels} - {""})
    numbers = {name: number for number, name in enumerate(classes)} | {"": _TOP}
    return {
        "run": fingerprint(assignments),
        "images": len(rows),
        "all": len(assignments.keys),
        "rows": None if len(rows) == len(assignments.keys) else _packed(index, "<u4"),
        "clusters": clusters,
        "palette": colours(clusters + _FURTHER_GROUPS),
        "keys": [assignments.keys[row] for row in rows],
        "cluster": _packed(assignments.clusters[index], "<u2"),
        "confidence": _packed(np.rint(assignments.confidence[index] * _TOP), "<u2"),
        "outlier": _packed(assignments.outlier[index], "u1"),
        "copies": _packed(np.minimum(standing[index], _TOP), "<u2")
        if standing is not None and standing.max() > 1
        else None,
        "classes": classes,
        "label": _packed(np.array([numbers[labels[row]] for row in rows]), "<u2") if classes else None,
        "place": _packed(_squared(atlas.places), "<u2"),
        "neighbours": _packed(atlas.neighbours, "<u2"),
        "perImage": int(atlas.neighbours.shape[1]),
        "vectors": _packed(atlas.vectors, "i1"),
        "axes": int(atlas.vectors.shape[1]),
        "sheets": None if sheets is None else _tiling(sheets, rows),
    }


def said_content(said: Kept | None, rows: Sequence[int]) -> dict[str, Any] | None:
    """What a person has said of the images in `rows`, as `page_content` has its values; None where nothing was said."""
    if said is None:
        return None
    index = np.asarray(rows)
    labels = list(dict.fromkeys(said.labels[row] for row in rows))
    numbers = {label: number for number, label in enumerate(labels)} | {"": _TOP}
    columns = {
        "label": np.array([numbers[said.labels[row]] for row in rows]),
        "mixed": said.mixed[index],
        "said": said.said[index],
        "split": said.split[index],
        "part": said.part[index],
    }
    packed = {name: _packed(column, "<u2") for name, column in columns.items()}
    return {"name": f"{zlib.crc32(repr((labels, packed)).encode()):08x}", "labels": labels, **packed}


def _tiling(sheets: Sheets, rows: Sequence[int]) -> dict[str, Any]:
    tile_of = {row: tile for tile, row in enumerate(sheets.rows)}
    tiles = np.array([tile_of.get(row, _TOP) for row in rows])
    return {"side": sheets.side, "columns": sheets.columns, "tile": _packed(tiles, "<u2"), "type": sheets.mime}


def _squared(places: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Places in a square of whole numbers, one scale for both axes and the second pointing down as on a screen."""
    low, high = places.min(axis=0), places.max(axis=0)
    extent = max(float((high - low).max()), 1e-12)
    centred = (places - (low + high) / 2) / extent + 0.5
    centred[:, 1] = 1 - centred[:, 1]
    squared: npt.NDArray[np.floating[Any]] = np.clip(np.rint(centred * _TOP), 0, _TOP)
    return squared


def _packed(values: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode("ascii")


def fingerprint(assignments: Assignments) -> str:
    """A name for what a person's work on the page belongs to: these keys in these clusters."""
    checksum = zlib.crc32("\n".join(assignments.keys).encode("utf-8", "backslashreplace"))
    return f"{zlib.crc32(assignments.clusters.astype('<i8').tobytes(), checksum):08x}"
