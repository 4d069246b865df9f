"""Sets that come as folders of classes: ImageNet and its parts, Tiny-ImageNet, and aerial photographs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from coterie.data.sources.arrays import numbered_labels
from coterie.data.sources.downloads.words import Asked
from coterie.data.sources.local import FolderSource

_SYNSET = re.compile(r"n\d{8}")
# Letters of a list of classes; that of Tiny-ImageNet has half a million.
_LONGEST_LIST = 10_000_000
# The classes of parts of ImageNet; of the others, how many there are.
_SYNSETS = {
    "imagenet10": (
        "n02056570", "n02085936", "n02128757", "n02690373", "n02692877", "n03095699", "n04254680", "n04285008",
        "n04467665", "n07747607",
    ),
    "imagenet-dogs": (
        "n02085936", "n02086646", "n02088238", "n02091467", "n02097130", "n02099601", "n02101388", "n02101556",
        "n02102177", "n02105056", "n02105412", "n02105855", "n02107142", "n02110958", "n02112137",
    ),
}  # fmt: skip
_CLASSES = {"imagenet": 1000, "tiny-imagenet": 200, "uc-merced": 21, "rsod": 4, "siri-whu": 12}


def open_class_folders(asked: Asked, _: list[str], note: Callable[[str], None]) -> FolderSource:
    """The images below a folder, each with that of its class as its label.

    Raises:
        ValueError: no folder, or no class folders in it.
    """
    if not asked.path.is_dir():
        raise ValueError(f"there is no folder {asked.path}: unpack the data set, and give the folder it makes")
    source = FolderSource(asked.path, labels_from_folders=True, note=note)
    _count(asked, source, note)
    return source


def open_synsets(asked: Asked, splits: list[str], note: Callable[[str], None]) -> FolderSource:
    """The images of splits in folders called after synsets, `train/n02056570`; or, without such splits, in these alone.

    Tiny-ImageNet has the images of a class one folder deeper, and the classes of `val` in a list.

    Raises:
        ValueError: no such folders, or some of the classes are missing.
    """
    listed: dict[str, str] = {}
    within = []
    for split in splits:
        folder = asked.path / split
        if (annotations := folder / "val_annotations.txt").is_file():
            listed |= _listed(annotations)
            within.append(f"{split}/images")
            continue
        found = _synsets(asked, folder if folder.is_dir() or asked.said else asked.path)
        within += [each.relative_to(asked.path).as_posix() for each in found]
    source = FolderSource(asked.path, within=within, note=note)
    names = np.array([_synset(key, listed) for key in source.keys])
    source.labels, source.class_names = numbered_labels(names, (), len(names), asked.full_name)
    _count(asked, source, note)
    return source


def _synsets(asked: Asked, folder: Path) -> Sequence[Path]:
    """The folders of the classes, or of the images in them."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}: unpack the data set, and give the folder that holds 'train'")
    there = sorted(each.name for each in folder.iterdir() if _SYNSET.fullmatch(each.name) and each.is_dir())
    wanted = _SYNSETS.get(asked.word, there)
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        some = f"{', '.join(missing[:3])}{' and more' * (len(missing) > 3)}" if missing else "folders such as n02056570"
        raise ValueError(f"{folder} lacks {some}")
    return [inner if (inner := folder / name / "images").is_dir() else folder / name for name in wanted]


def _listed(annotations: Path) -> dict[str, str]:
    """The synset of each file, by the first two columns of a table without a heading."""
    with annotations.open(encoding="utf-8", errors="replace") as stream:
        rows = (line.split("\t") for line in stream.read(_LONGEST_LIST).splitlines())
        return {row[0]: row[1] for row in rows if len(row) > 1 and _SYNSET.fullmatch(row[1])}


def _synset(key: str, listed: dict[str, str]) -> str:
    path = PurePosixPath(key)
    return next((part for part in path.parts if _SYNSET.fullmatch(part)), listed.get(path.name, ""))


def _count(asked: Asked, source: FolderSource, note: Callable[[str], None]) -> None:
    found, usual = len(source.class_names), _CLASSES.get(asked.word, len(source.class_names))
    if found != usual:
        note(f"{asked.word} has {usual} classes, and {asked.path} holds {found}")
