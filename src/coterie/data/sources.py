"""Where images come from: folders, `.npz` files, arrays, the hub, and scikit-learn's digits."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.data.arrays import ArraySource, checked_keys, numbered_labels
from coterie.data.base import Outline, Source, looks_grey
from coterie.data.decode import decode_file, stored_size
from coterie.data.features import Features, checked_features
from coterie.data.folder import find_images
from coterie.data.hub import open_hub
from coterie.errors import UsageError
from coterie.hub import PREFIX
from coterie.untrusted import open_pack


class FolderSource:
    """Every image below a folder; keys are paths relative to it, with forward slashes."""

    def __init__(self, root: Path, *, labels_from_folders: bool = False) -> None:
        paths, self.skipped = find_images(root)
        if not paths:
            raise UsageError(
                f"no images below {root}: a folder may hold JPEG, PNG, WEBP, GIF, BMP and TIFF files at any depth"
            )
        self._paths = paths
        self.keys = [path.relative_to(root).as_posix() for path in paths]
        self.labels: npt.NDArray[np.int64] | None = None
        self.class_names: tuple[str, ...] = ()
        if labels_from_folders:
            folders = [path.parent.name if path.parent != root else "" for path in paths]
            self.class_names = tuple(sorted(set(folders) - {""}))
            if not self.class_names:
                raise UsageError(f"--labels-from-folders: {root} has no class folders, only files")
            numbers = {name: number for number, name in enumerate(self.class_names)}
            self.labels = np.array([numbers.get(folder, -1) for folder in folders], dtype=np.int64)

    def outline(self) -> Outline:
        step = max(1, len(self._paths) // 200)
        sides = [min(size) for path in self._paths[::step] if (size := stored_size(path)) is not None]
        return Outline(len(self._paths), int(statistics.median(sides)) if sides else 32, looks_grey(self))

    def identity(self) -> str | None:
        files = hashlib.blake2b(digest_size=16)
        for key, path in zip(self.keys, self._paths, strict=True):
            files.update(f"{key}\0{_stamp(path)}\n".encode("utf-8", "surrogatepass"))
        return files.hexdigest()

    def decode(self, place: int, side: int) -> npt.NDArray[np.uint8]:
        return decode_file(self._paths[place], side)


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
        return _features(source, {}, "features") if source.ndim == 2 else ArraySource(source)
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
        return _read_npz(path)
    if path.exists():
        raise UsageError(f"{path} is neither a folder nor an .npz file; give the folder that holds the images")
    raise UsageError(f"there is no {path}: give a folder of images, an .npz file, hf:NAME, or 'digits'")


def _stamp(path: Path) -> str:
    """Size and times of a file; the time of the last change to its entry tells of an edit that set the others back."""
    try:
        status = path.stat()
    except OSError:
        return "gone"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _digits() -> ArraySource:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    return ArraySource(images, labels=digits.target, name="digits")


def _read_npz(path: Path) -> Source:
    try:
        with open_pack(path) as pack:
            kind = next((name for name in ("images", "features") if name in pack.files), None)
            if kind is None:
                found = ", ".join(pack.files) or "nothing"
                raise UsageError(f"{path} holds no array 'images' or 'features' (it holds {found})")
            values = pack[kind]
            beside: dict[str, Any] = {
                name: pack[name] for name in ("labels", "keys", "class_names") if name in pack.files
            }
    except UsageError:
        raise
    except Exception as error:  # A damaged archive raises nearly anything; object arrays raise ValueError.
        raise UsageError(f"{path} cannot be read as an .npz of plain arrays: {error}") from None
    if "keys" in beside:
        beside["keys"] = [str(key) for key in np.ravel(beside["keys"])]
    beside["class_names"] = tuple(str(label) for label in np.ravel(beside.get("class_names", ())))
    return ArraySource(values, **beside, name=str(path)) if kind == "images" else _features(values, beside, str(path))


def _features(values: Any, beside: Mapping[str, Any], name: str) -> Features:
    values = checked_features(values, name)
    labels, class_names = numbered_labels(beside.get("labels"), beside.get("class_names", ()), len(values), name)
    return Features(values, checked_keys(beside.get("keys"), len(values), name), labels, class_names)
