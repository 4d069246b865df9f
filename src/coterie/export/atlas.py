"""A table for Apple's embedding-atlas, which shows millions of points in a browser: one Parquet file, a row an image.

    key, group, label     strings: the image's name, its group's, and the label a person gave, null where none did
    known                 string, the class that was known beforehand, where any was
    x, y                  float32, its place on the map
    cluster, confidence, outlier      int64, float32 from 0 to 1, bool
    neighbours            {ids: [int64], distances: [float32]}: rows of the file, from 0, the image's own first
    picture               {bytes: binary}, a small JPEG or PNG, null where one cannot be read

The two structures are as embedding-atlas's `--neighbors` and `--image` take them. Rows are written in groups, so that
pictures never lie in memory all at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from coterie.errors import CoterieError, UsageError
from coterie.export.base import Format, Subject
from coterie.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from coterie.cluster.chart import Chart
    from coterie.runs.pictures import Pictures

# Rows at a time, sides of a picture in pixels, and images above which the smaller side is taken.
_ROWS, _SIDE, _SMALL_SIDE, _MANY = 4096, 96, 48, 100_000


def check(subject: Subject) -> None:
    from coterie.cluster.approximate import check_faiss
    from coterie.cluster.chart import EXACT

    require("pyarrow", extra="atlas", what="--atlas")
    if len(subject.assignments.keys) > EXACT:
        check_faiss("--atlas of so many images")
    if not subject.folder.embeddings.is_file():
        raise UsageError(f"{subject.folder.root} holds no embeddings.npy to make a map of: give the run it came from")


def write(subject: Subject, target: Path) -> str:
    from coterie.cluster.chart import chart
    from coterie.files import write_atomically

    found = chart(_embeddings(subject))
    pictures = _pictures(subject)
    write_atomically(target, lambda stream: _write(subject, found, pictures, stream))
    pictured = " --image picture" if pictures else ""
    return (
        f"{target}: {len(found.places)} images; embedding-atlas {target} --x x --y y --neighbors neighbours{pictured} "
        f"shows them{'' if pictures else ', without pictures, as there are none where the run found its images'}"
    )


def _embeddings(subject: Subject) -> npt.NDArray[np.float32]:
    from coterie.untrusted import read_matrix

    path = subject.folder.embeddings
    try:
        embeddings = read_matrix(path)
        if len(embeddings) != len(subject.assignments.keys):
            raise ValueError
    except (OSError, ValueError):
        raise CoterieError(f"{path} is damaged: repeat the run's command with --resume") from None
    return embeddings


def _pictures(subject: Subject) -> Pictures | None:
    """The images as far as they are on this machine and still what the run read; None without any."""
    from coterie.data.sources import open_source
    from coterie.data.sources.naming import DIGITS, place_of
    from coterie.runs.images import read_by, strangers
    from coterie.runs.pictures import Pictures

    if subject.config is None:
        return None
    data = subject.config.data
    if data.source != DIGITS and not place_of(data.source).exists():
        return None
    try:
        source = open_source(data.source, **read_by(subject.folder))
    except CoterieError:
        return None
    pictures = Pictures(source, subject.assignments, data.scale)
    return pictures.without(strangers(subject.folder, source)) if pictures.native else None


def _write(subject: Subject, found: Chart, pictures: Pictures | None, stream: Any) -> None:
    import pyarrow.parquet

    schema = _schema(known=subject.assignments.labels is not None, pictures=pictures is not None)
    with pyarrow.parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for start in range(0, len(found.places), _ROWS):
            part = slice(start, min(start + _ROWS, len(found.places)))
            columns = _columns(subject, part) | _mapped(found, part) | _pictured(pictures, part, len(found.places))
            writer.write_table(pyarrow.table({name: columns[name] for name in schema.names}, schema=schema))


def _columns(subject: Subject, part: slice) -> dict[str, Any]:
    from coterie.text import printable

    table, labelled = subject.assignments, subject.labelled
    clusters = table.clusters[part]
    return {
        "key": [printable(key) for key in table.keys[part]],
        "group": [subject.names[cluster] for cluster in clusters.tolist()],
        "label": [None] * len(clusters) if labelled is None else labelled.labels[part],
        "known": None if table.labels is None else [label or None for label in table.labels[part]],
        "cluster": clusters,
        "confidence": table.confidence[part].astype("float32"),
        "outlier": table.outlier[part],
    }


def _mapped(found: Chart, part: slice) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa

    ids, distances = found.neighbours[part], found.distances[part]
    starts = np.arange(0, ids.numel() + 1, ids.shape[1], dtype=np.int32)
    lists = [pa.ListArray.from_arrays(starts, pa.array(values.flatten().numpy())) for values in (ids, distances)]
    neighbours = pa.StructArray.from_arrays(lists, names=["ids", "distances"])
    return {"x": found.places[part, 0].numpy(), "y": found.places[part, 1].numpy(), "neighbours": neighbours}


def _pictured(pictures: Pictures | None, part: slice, count: int) -> dict[str, Any]:
    from coterie.runs.pictures import encoded

    if pictures is None:
        return {}
    found = pictures.decoded(range(part.start, part.stop), _SIDE if count <= _MANY else _SMALL_SIDE)
    return {"picture": [None if pixels is None else {"bytes": encoded(pixels)} for pixels in found]}


def _schema(*, known: bool, pictures: bool) -> Any:
    import pyarrow as pa

    fields = {
        "key": pa.string(), "group": pa.string(), "label": pa.string(), "known": pa.string(),
        "x": pa.float32(), "y": pa.float32(), "cluster": pa.int64(), "confidence": pa.float32(), "outlier": pa.bool_(),
        "neighbours": pa.struct({"ids": pa.list_(pa.int64()), "distances": pa.list_(pa.float32())}),
        "picture": pa.struct({"bytes": pa.binary()}),
    }  # fmt: skip
    absent = {name for name, there in (("known", known), ("picture", pictures)) if not there}
    return pa.schema([(name, kind) for name, kind in fields.items() if name not in absent])


FORMAT = Format("map, groups, neighbours and pictures, for embedding-atlas, a viewer of millions", write, check)
