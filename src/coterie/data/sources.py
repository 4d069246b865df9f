"""Where images come from: folders, `.npz` files, arrays, the hub, and scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.data.arrays import ArraySource
from coterie.data.base import Source
from coterie.data.hub import open_hub
from coterie.data.local import FolderSource
from coterie.data.pack import given_features, read_pack
from coterie.errors import UsageError
from coterie.hub import PREFIX


def open_source(
    source: str | Path | npt.NDArray[Any],
    *,
    labels_from_folders: bool = False,
    subset: str = "",
    image_column: str = "",
    label_column: str = "",
) -> Source:
    """The source a user named, of images or features.

    Args:
        source: a folder, an `.npz` file, the word `digits`, a data set of the hub as `hf:NAME[:SPLIT]`, or an array.
        labels_from_folders: take class folders as labels.
        subset, image_column, label_column: of a data set of the hub, see `coterie.data.hub`; empty chooses.

    Raises:
        UsageError: nothing there that can be read as images or features.
    """
    if isinstance(source, np.ndarray):
        return given_features(source, {}, "features") if source.ndim == 2 else ArraySource(source)
    if str(source).startswith(PREFIX) and not labels_from_folders:
        return open_hub(str(source), subset=subset, image_column=image_column, label_column=label_column)
    if subset or image_column or label_column:
        raise UsageError("--subset, --image-column and --label-column go with a data set of the hub, hf:NAME[:SPLIT]")
    if str(source) == "digits":
        return _digits()
    path = Path(source)
    if path.is_dir():
        return FolderSource(path, labels_from_folders=labels_from_folders)
    if labels_from_folders:
        raise UsageError("--labels-from-folders goes with a folder of class folders")
    if path.is_file() and path.suffix == ".npz":
        with path.open("rb") as stream:
            return read_pack(stream, str(path))
    if path.exists():
        raise UsageError(f"{path} is neither a folder nor an .npz file; give the folder that holds the images")
    raise UsageError(f"there is no {path}: give a folder of images, an .npz file, hf:NAME, or 'digits'")


def _digits() -> ArraySource:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    return ArraySource(images, labels=digits.target, name="digits")
