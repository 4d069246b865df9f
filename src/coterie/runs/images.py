"""The images a run was made of, where they lie now, and whether they still are what it read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coterie.data.base import Source
from coterie.data.sources.channels import in_channels
from coterie.data.sources.local import FolderSource, NoImages
from coterie.naming import matched
from coterie.runs.folder import RunFolder
from coterie.runs.manifest import Manifest
from coterie.text import printable


def read_by(folder: RunFolder) -> dict[str, Any]:
    """By which channels the images of a run were read: arguments of `open_source`."""
    if not folder.config.is_file():  # What `Clusterer.save` wrote.
        return {}
    data = folder.read_config().data
    return {"channels": data.channels, "ranges": data.ranges}


def found_below(folder: RunFolder, root: Path, keys: Sequence[str]) -> tuple[dict[str, Path], set[str]]:
    """The files below `root` by the `printable` keys that mean them, and keys of those which are not what the run read.

    Only what is found by walking the folder is used: a key is never followed out of it.
    """
    try:
        source = FolderSource(root)
    except NoImages:
        return {}, set()
    places = {printable(key): place for place, key in enumerate(source.keys)}
    meant = matched(places, [printable(key) for key in keys])
    files = {key: source.path(places[name]) for name, key in meant.items()}
    if not files:
        return {}, set()
    others = strangers(folder, in_channels(source, **read_by(folder)))
    return files, {printable(key) for key in others} & files.keys()


def strangers(folder: RunFolder, source: Source) -> set[str]:
    """Keys of a run's images under whose names a source holds others, as far as the run's checksums tell."""
    manifest = Manifest.read(folder.manifest)
    if manifest is None:
        return set()
    data = folder.read_config().data
    return manifest.others(source, data.side, data.scale) if data.side else set()
