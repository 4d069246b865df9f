"""A finished run as a source: its embeddings are features, with the keys and labels of its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coterie.data.feeding.features import Features, checked_features
from coterie.data.sources.arrays import checked_keys, numbered_labels
from coterie.errors import CoterieError, UsageError
from coterie.tables import read_table
from coterie.untrusted import read_matrix


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run with embeddings; a folder of images may hold a config.yaml of its own."""
    return (path / "config.yaml").is_file() and (path / "embeddings.npy").is_file()


def open_run(path: Path) -> Features:
    """The embeddings (N, d) of a finished run.

    Raises:
        UsageError: the run is not finished. CoterieError: its files are damaged.
    """
    if not (path / "summary.json").is_file():
        raise UsageError(f"{path} is not finished: repeat its command with --resume")
    try:
        values = checked_features(read_matrix(path / "embeddings.npy"), str(path))
        rows = read_table(path / "assignments.csv", ("key",))
        keys = checked_keys([row["key"] for row in rows], len(values), str(path))
        named = [row.get("label", "") for row in rows]
        names = sorted({name for name in named if name})
        place = {name: number for number, name in enumerate(names)}
        given = np.array([place.get(name, -1) for name in named]) if names else None
        labels, class_names = numbered_labels(given, tuple(names), len(values), str(path))
    except (OSError, ValueError, UsageError) as error:
        raise CoterieError(
            f"embeddings.npy or assignments.csv of {path} is missing or damaged ({error}): repeat its command "
            "with --resume"
        ) from None
    return Features(values, keys, labels, class_names)
