"""FiftyOne's classification labels: `FiftyOneImageClassificationDataset`.

One JSON object, as FiftyOne's user guide ("Loading datasets from disk") lays it down:

    {"classes": [NAME, …], "labels": {KEY: {"label": PLACE IN CLASSES, "confidence": 0–1, "attributes": {…}}, …}}

KEY is an image's path below the images' folder, with forward slashes and without its ending; where two images differ
in nothing but the ending it is the absolute path. FiftyOne reads it so:

    fiftyone.Dataset.from_dir(
        dataset_type=fiftyone.types.FiftyOneImageClassificationDataset, data_path="photos/", labels_path="labels.json"
    )
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from coterie.errors import UsageError
from coterie.export.base import Format, Subject


def check(subject: Subject) -> None:
    _keys(subject.assignments.keys, subject.images)


def write(subject: Subject, target: Path) -> str:
    from coterie.files import write_json
    from coterie.text import printable

    table, (names, places) = subject.assignments, subject.classes
    labels = {
        printable(key): {
            "label": places[place],
            "confidence": float(table.confidence[place]),
            "attributes": {"outlier": bool(table.outlier[place])},
        }
        for place, key in enumerate(_keys(table.keys, subject.images))
    }
    write_json(target, {"classes": names, "labels": labels})
    return f"{target}: {len(labels)} images in {len(names)} classes, for FiftyOne"


def _keys(keys: Sequence[str], images: Path | None) -> list[str]:
    """FiftyOne's names for images."""
    short = [_without_ending(key) for key in keys]
    times = Counter(short)
    found = []
    for key, name in zip(keys, short, strict=True):
        if times[name] > 1 and images is None:
            raise UsageError(
                f"--fiftyone: FiftyOne cannot tell '{key}' from another '{name}': its images are not there"
            )
        found.append(name if times[name] == 1 or images is None else _absolute(images, key))
    return found


def _absolute(images: Path, key: str) -> str:
    from coterie.data.sources.folder import file_below

    path = file_below(images, key)
    if path is None:
        raise UsageError(f"--fiftyone: the key '{key}' leads out of {images}")
    return str(path.resolve())


def _without_ending(key: str) -> str:
    from coterie.data.sources.kinds import HEIF_SUFFIXES, IMAGE_SUFFIXES

    path = PurePosixPath(key)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES | HEIF_SUFFIXES else key


FORMAT = Format("the assignments as FiftyOne's labels.json", write, check)
