"""Where images come from: folders, `.npz` files, arrays, and scikit-learn's digits."""

from __future__ import annotations

import contextlib
import statistics
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from coterie.data.decode import Unreadable, decode_file, fit_square, short_side, to_rgb
from coterie.data.folder import Skipped, find_images
from coterie.errors import UsageError


@dataclass(frozen=True)
class Outline:
    """What a look at a source tells before decoding it: `count` of images, median shorter `side`, all `grey` or not."""

    count: int
    side: int
    grey: bool


def looks_grey(source: Source, *, most: int = 64) -> bool:
    """Whether every one of up to `most` evenly spaced images is grey."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Reading the source tells what is wrong with a file.
        for place in range(0, len(source.keys), max(1, len(source.keys) // most)):
            with contextlib.suppress(Unreadable):
                pixels = source.decode(place, 32)
                if not bool((pixels == pixels[..., :1]).all()):
                    return False
    return True


class Source(Protocol):
    """Images that can be decoded one by one to squares."""

    keys: list[str]
    labels: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    skipped: list[Skipped]

    def outline(self) -> Outline: ...

    def decode(self, place: int, side: int) -> npt.NDArray[np.uint8]:
        """Image `place` as (side, side, 3) uint8; raises `Unreadable`."""
        ...


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
        sides = [side for path in self._paths[::step] if (side := short_side(path)) is not None]
        return Outline(len(self._paths), int(statistics.median(sides)) if sides else 32, looks_grey(self))

    def decode(self, place: int, side: int) -> npt.NDArray[np.uint8]:
        return decode_file(self._paths[place], side)


class ArraySource:
    """Images in an array (N, H, W) or (N, H, W, C), uint8, with C of 1 (grey), 3 (RGB) or 4 (RGBA)."""

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        *,
        labels: Any = None,
        keys: list[str] | None = None,
        class_names: tuple[str, ...] = (),
        name: str = "images",
    ) -> None:
        self._images = checked_images(images, name)
        width = max(6, len(str(len(images))))
        self.keys = [f"{place:0{width}d}" for place in range(len(images))] if keys is None else keys
        if len(self.keys) != len(images):
            raise UsageError(f"{name}: {len(images)} images but {len(self.keys)} keys")
        if len(set(self.keys)) != len(self.keys):
            twice = next(key for place, key in enumerate(self.keys) if key in self.keys[:place])
            raise UsageError(f"{name}: key '{twice}' occurs more than once; keys must be distinct")
        self.labels, self.class_names = numbered_labels(labels, class_names, len(images), name)
        self.skipped: list[Skipped] = []

    def outline(self) -> Outline:
        return Outline(len(self._images), min(self._images.shape[1:3]), looks_grey(self))

    def decode(self, place: int, side: int) -> npt.NDArray[np.uint8]:
        pixels = self._images[place]
        image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
        return np.asarray(fit_square(to_rgb(image), side))


def open_source(source: str | Path | npt.NDArray[Any], *, labels_from_folders: bool = False) -> Source:
    """The source a user named: a folder, an `.npz` file, the word `digits`, or an array.

    Raises:
        UsageError: nothing there that can be read as images.
    """
    if isinstance(source, np.ndarray):
        return ArraySource(source)
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
    raise UsageError(f"there is no {path}: give a folder of images, an .npz file, or 'digits'")


def checked_images(images: Any, name: str) -> npt.NDArray[np.uint8]:
    """`images` if they are (N, H, W[, C]) uint8, else a UsageError that says what they are."""
    array = np.asarray(images)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3, 4)):
        raise UsageError(f"{name} must have the shape (N, H, W) or (N, H, W, C) with C of 1, 3 or 4, not {array.shape}")
    if array.dtype != np.uint8:
        raise UsageError(f"{name} must be uint8 (0 to 255), not {array.dtype}: scale and convert them first")
    if 0 in array.shape:
        raise UsageError(f"{name}: no images, the shape is {array.shape}")
    return array


def numbered_labels(
    labels: Any, class_names: tuple[str, ...], count: int, name: str
) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels of any kind as numbers with names; −1 and empty names mean unknown."""
    if labels is None:
        return None, ()
    array = np.asarray(labels)
    if array.shape != (count,):
        raise UsageError(f"{name}: {count} images but labels of shape {array.shape}")
    if array.dtype.kind in "US":
        names = tuple(sorted({str(label) for label in array} - {""}))
        numbers = {label: number for number, label in enumerate(names)}
        return np.array([numbers.get(str(label), -1) for label in array], dtype=np.int64), names
    if array.dtype.kind not in "iub":
        raise UsageError(f"{name}: labels must be whole numbers or strings, not {array.dtype}")
    values = array.astype(np.int64)
    if int(values.max()) >= len(class_names) and class_names:
        raise UsageError(f"{name}: label {values.max()} has no name among the {len(class_names)} class_names")
    return values, class_names or tuple(str(number) for number in range(max(0, int(values.max()) + 1)))


def _digits() -> ArraySource:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    return ArraySource(images, labels=digits.target, name="digits")


def _read_npz(path: Path) -> ArraySource:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as pack:
            if "images" not in pack.files:
                found = ", ".join(pack.files) or "nothing"
                raise UsageError(f"{path} holds no array 'images' (it holds {found})")
            optional = {name: pack[name] for name in ("labels", "keys", "class_names") if name in pack.files}
            images = pack["images"]
    except UsageError:
        raise
    except Exception as error:  # A damaged archive raises nearly anything; object arrays raise ValueError.
        raise UsageError(f"{path} cannot be read as an .npz of plain arrays: {error}") from None
    return ArraySource(
        images,
        labels=optional.get("labels"),
        keys=[str(key) for key in optional["keys"]] if "keys" in optional else None,
        class_names=tuple(str(label) for label in optional.get("class_names", ())),
        name=str(path),
    )
