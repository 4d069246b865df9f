"""Data sets of the Hugging Face hub, or saved in its formats, by the library datasets; decoding stays in our hands.

A source is `hf:NAME[:SPLIT]`. NAME is that of a data set on the hub or in its cache, a folder that `save_to_disk`
wrote, a folder of parquet files or of image folders, or one parquet file. SPLIT is a split as datasets spells it
(`test`, `train+test`, `train[:1000]`); without one the only split is taken, else `train`.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from coterie.data.base import LOOKED_AT, OneByOne, Outline, Skipped, Unreadable, looked_at, outlined
from coterie.data.reading.decode import decode_file
from coterie.data.reading.depth import Range, Scale
from coterie.data.reading.stored import stored_range, stored_size
from coterie.data.sources.arrays import checked_keys, numbered_labels
from coterie.errors import CoterieError, UsageError, unknown
from coterie.extras import require
from coterie.files import absolute
from coterie.hub import PREFIX, quietly, reason


class HubSource(OneByOne):
    """The images in a column of a data set; keys are the numbers of its rows.

    Args:
        table: a `datasets.Dataset`.
        name: as the user gave it.
        image_column: of images, or of encoded images as bytes; empty takes the only such column.
        roots: the folders where files that the table names may lie; None for any.
        label_column: used for evaluation only; empty takes `label`, or the only column of classes, if there is one.

    Raises:
        UsageError: no such column, several that might be meant, or no rows.
    """

    def __init__(
        self,
        table: Any,
        name: str,
        *,
        image_column: str = "",
        label_column: str = "",
        roots: Sequence[Path] | None = None,
    ) -> None:
        self._roots = None if roots is None else [root.resolve() for root in roots]
        self._column = chosen_image_column(table.features, image_column, name)
        if len(table) == 0:
            raise UsageError(f"{name} holds no rows")
        self.keys = checked_keys(None, len(table), name)
        self.labels, self.class_names = _labels(table, chosen_label_column(table.features, label_column), name)
        self.skipped: list[Skipped] = []
        # What datasets names its own cache by: it changes with the files, and with the rows that are chosen.
        fingerprint = getattr(table, "_fingerprint", None)
        self._identity = None if fingerprint is None else f"{fingerprint} {self._column}"
        kept = table.select_columns([self._column])
        if type(table.features[self._column]).__name__ == "Image":
            kept = kept.cast_column(self._column, type(table.features[self._column])(decode=False))
        self._images = kept.with_format(None)

    def outline(self) -> Outline:
        step = max(1, len(self.keys) // 200)
        sides = [side for place in range(0, len(self.keys), step) if (side := self._short_side(place)) is not None]
        ranges = map(self._range, range(0, len(self.keys), max(1, len(self.keys) // LOOKED_AT)))
        return outlined(len(self.keys), sides, looked_at(self, len(self.keys), sides), ranges)

    def identity(self) -> str | None:
        return self._identity

    def decode(self, place: int, side: int, scale: Scale = ()) -> npt.NDArray[np.uint8]:
        return decode_file(self._file(place), side, scale)

    def _short_side(self, place: int) -> int | None:
        with contextlib.suppress(Unreadable):
            size = stored_size(self._file(place))
            return None if size is None else min(size)
        return None

    def _range(self, place: int) -> Range | None:
        with contextlib.suppress(Unreadable):
            return stored_range(self._file(place))
        return None

    def _file(self, place: int) -> Path | BinaryIO:
        held = self._images[place][self._column]
        if isinstance(held, Mapping):
            held = held.get("bytes") or (Path(held["path"]) if held.get("path") else None)
        if held is None:
            raise Unreadable("the row holds no image")
        if isinstance(held, Path) and self._roots is not None and not self._within(held):
            raise Unreadable("the row names a file that is not of this data set")
        return held if isinstance(held, Path) else io.BytesIO(held)

    def _within(self, path: Path) -> bool:
        # The hub's cache holds links to where its files are.
        found = [Path(absolute(path)), path.resolve()]
        return any(place.is_relative_to(root) for place in found for root in self._roots or ())


def open_hub(source: str, *, subset: str = "", image_column: str = "", label_column: str = "") -> HubSource:
    """The source `hf:NAME[:SPLIT]`. No code that comes with a data set is ever executed.

    Args:
        subset: of a data set with several, its configuration.
        image_column, label_column: see `HubSource`.

    Raises:
        UsageError: datasets is not installed, or there is no such data set, subset, split or column.
        CoterieError: it cannot be loaded.
    """
    name, _, split = source.removeprefix(PREFIX).partition(":")
    datasets = require("datasets", extra="datasets", what=source)
    with quietly(), _without_bars(datasets):
        table = _load(datasets, source, name, split, subset)
    roots = _roots(datasets, Path(name))
    return HubSource(table, source, image_column=image_column, label_column=label_column, roots=roots)


def _roots(datasets: Any, path: Path) -> list[Path]:
    """Where a data set's own files lie: a table of unknown origin may name others, such as this user's pictures."""
    from huggingface_hub.constants import HF_HUB_CACHE

    caches = [Path(place).expanduser() for place in (HF_HUB_CACHE, datasets.config.HF_DATASETS_CACHE)]
    return [*caches, *([path if path.is_dir() else path.parent] if path.exists() else [])]


def chosen_image_column(features: Mapping[str, Any], asked: str, name: str) -> str:
    """The column of images: the one asked for, or the only one."""
    columns = [column for column, kind in features.items() if _holds_images(kind)]
    if asked:
        if asked not in features:
            raise unknown("column", asked, features)
        if asked not in columns:
            raise UsageError(f"--image-column: '{asked}' of {name} holds no images but {features[asked]}")
        return asked
    if len(columns) != 1:
        found = " or ".join(columns) if columns else f"none of {', '.join(features)} holds images"
        raise UsageError(f"{name}: say which column holds the images, by --image-column: {found}")
    return columns[0]


def chosen_label_column(features: Mapping[str, Any], asked: str) -> str | None:
    """The column of labels: the one asked for, `label`, the only one of classes, or None."""
    if asked:
        if asked not in features:
            raise unknown("column", asked, features)
        return asked
    classes = [column for column, kind in features.items() if type(kind).__name__ == "ClassLabel"]
    if "label" in features:
        return "label"
    return classes[0] if len(classes) == 1 else None


def _holds_images(kind: Any) -> bool:
    """Images, or the bytes of image files as parquet holds them when nothing is said about their meaning."""
    if isinstance(kind, Mapping):
        return "bytes" in kind
    return type(kind).__name__ == "Image" or getattr(kind, "dtype", "") in ("binary", "large_binary")


def _labels(table: Any, column: str | None, name: str) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    if column is None:
        return None, ()
    values: Sequence[Any] = list(table[column])
    names = tuple(getattr(table.features[column], "names", None) or ())
    return numbered_labels(values, names, len(values), f"{name}, column '{column}'")


def _load(datasets: Any, source: str, name: str, split: str, subset: str) -> Any:
    try:
        path = Path(name)
        if any((path / mark).is_file() for mark in ("state.json", "dataset_dict.json")):
            found = datasets.load_from_disk(name)
        elif path.is_file():
            found = datasets.load_dataset("parquet", data_files=name)
        else:
            # Splits are only known for certain once the data set is there.
            return datasets.load_dataset(name, subset or None, split=split or _usual(datasets, name, subset))
    except CoterieError:
        raise
    except ValueError as error:  # Of a subset or a split, whose names the message lists.
        raise _chosen_wrongly(error, source, split, subset) from None
    except Exception as error:  # Of a hub, a network, a disk and many readers.
        raise CoterieError(f"{source} cannot be loaded: {reason(error)}") from None
    return _chosen_split(datasets, found, split, source)


def _usual(datasets: Any, name: str, subset: str) -> str:
    """The only split, or `train`."""
    splits = datasets.get_dataset_split_names(name, subset or None)
    if len(splits) == 1 or "train" in splits:
        return "train" if "train" in splits else str(splits[0])
    raise UsageError(f"{PREFIX}{name}: say which split: {', '.join(f'{PREFIX}{name}:{split}' for split in splits)}")


def _chosen_split(datasets: Any, found: Any, split: str, source: str) -> Any:
    """Splits by name, several joined by `+`, of what was read from the disk."""
    if not isinstance(found, Mapping):
        if split:
            raise UsageError(f"{source}: a data set saved alone has no splits: leave ':{split}' out")
        return found
    names = split.split("+") if split else (["train"] if "train" in found else list(found))
    if not split and len(names) > 1:
        raise UsageError(f"{source}: say which split: {', '.join(f'{source}:{name}' for name in names)}")
    for name in names:
        if name not in found:
            raise unknown("split", name, found)
    return datasets.concatenate_datasets([found[name] for name in names])


def _chosen_wrongly(error: ValueError, source: str, split: str, subset: str) -> UsageError:
    """datasets names what there is within brackets."""
    words = " ".join(str(error).split())
    listed = re.search(r"\[(.*?)\]", words)
    names = re.findall(r"'([^']+)'", listed.group(1)) if listed else []
    if names and "Config name is missing" in words:
        return UsageError(f"{source}: say which subset, by --subset: {' or '.join(names)}")
    if names and ("BuilderConfig" in words or "Unknown split" in words):
        return unknown("split", split, names) if "Unknown split" in words else unknown("subset", subset, names)
    return UsageError(f"{source}: {words[:300]}")


@contextlib.contextmanager
def _without_bars(datasets: Any) -> Iterator[None]:
    """Without the bars of files being read, unless someone watches a terminal."""
    shown = not datasets.are_progress_bars_disabled()
    if shown and not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
