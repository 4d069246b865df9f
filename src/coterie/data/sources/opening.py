"""Where images come from: folders, packs and tar shards, here or behind a URL, arrays, the hub, downloads, digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.data.base import Source
from coterie.data.sources.arrays import PLUS_MINUS, ArraySource
from coterie.data.sources.channels import in_channels
from coterie.data.sources.downloads import open_download
from coterie.data.sources.downloads.words import asked_for
from coterie.data.sources.hub import open_hub
from coterie.data.sources.local import FolderSource, NoImages
from coterie.data.sources.naming import is_digits, tell_twins
from coterie.data.sources.pack import given_features, read_pack
from coterie.data.sources.passed import told
from coterie.data.sources.run import is_run, open_run
from coterie.data.sources.shard_names import find_shards, is_shards
from coterie.data.sources.shards import ShardSource
from coterie.data.sources.storage import Disk
from coterie.errors import UsageError
from coterie.files import is_url
from coterie.hub import PREFIX


def open_source(
    source: str | Path | npt.NDArray[Any],
    *,
    labels_from_folders: bool = False,
    subset: str = "",
    image_column: str = "",
    label_column: str = "",
    channels: str = "",
    ranges: Sequence[float] = (),
    note: Callable[[str], None] = lambda _: None,
) -> Source:
    """The source a user named, of images or features.

    Args:
        source: a folder, an `.npz` file or tar shards (`shards-{000..012}.tar`, `shards-*.tar`), each by its path or as
            a URL (`s3://bucket/photos`); the folder of a finished run, whose embeddings are features;
            `sklearn:digits`, or `digits` where nothing here has that name; a data set of the hub as `hf:NAME[:SPLIT]`;
            one as it was downloaded, such as `cifar10:PATH[:SPLIT]`; or an array.
        labels_from_folders: take class folders as labels.
        subset, image_column, label_column: of a data set of the hub, see `coterie.data.sources.hub`; empty chooses.
        channels: `all`, or numbers such as `0,2,3`, of images whose channels are no colours; empty for colours.
        ranges: black and white of each of these channels in turn; none looks for them.
        note: told what takes long, and what is read one way though it could mean another.

    Raises:
        UsageError: nothing there that can be read as images or features. CoterieError: it is out of reach.
    """
    hub = {"subset": subset, "image_column": image_column, "label_column": label_column}
    found = _opened(source, labels_from_folders, hub, by_channels=bool(channels), note=note)
    return in_channels(found, channels, ranges)


def _opened(
    source: str | Path | npt.NDArray[Any],
    labels_from_folders: bool,
    hub: dict[str, str],
    *,
    by_channels: bool,
    note: Callable[[str], None],
) -> Source:
    if isinstance(source, np.ndarray):
        found = _of_array(source, "images", by_channels)
    else:
        if not str(source).strip():
            raise UsageError("SOURCE is empty: give a folder of images, or '.' for the one you are in")
        tell_twins(str(source), note)
        found = _named(str(source), labels_from_folders, hub, by_channels=by_channels, note=note)
    unknown = 0 if found.labels is None else int((found.labels < 0).sum())
    if unknown:
        note(f"{unknown} of {len(found.keys)} have no label: it is empty or −1, which stands for unknown")
    if found.class_names == PLUS_MINUS:
        note("labels of −1 and 1 are two classes; −1 beside others would stand for unknown")
    return found


def _of_array(values: npt.NDArray[Any], name: str, by_channels: bool) -> Source:
    if values.ndim == 2 and values.dtype.kind == "f":
        return given_features(values, {}, name)
    return ArraySource(values, name=name, by_channels=by_channels)


def _named(
    name: str, labels_from_folders: bool, hub: dict[str, str], *, by_channels: bool, note: Callable[[str], None]
) -> Source:
    if name.startswith(PREFIX) and not labels_from_folders and not is_url(name):
        return open_hub(name, **hub)
    if any(hub.values()):
        raise UsageError("--subset, --image-column and --label-column go with a data set of the hub, hf:NAME[:SPLIT]")
    if is_url(name):
        return _open_url(name, labels_from_folders, note)
    if is_digits(name):
        return _digits()
    if (asked := asked_for(name)) is not None:
        if labels_from_folders:
            raise UsageError(f"{asked.word} brings its labels: leave --labels-from-folders out")
        return open_download(asked, note)
    path = Path(name)
    if is_run(path):
        return open_run(path)
    if path.is_dir():
        return _open_folder(path, labels_from_folders, note)
    if is_shards(name):
        return ShardSource(Disk(), find_shards(Disk(), name), name, labels_from_folders=labels_from_folders, note=note)
    if labels_from_folders:
        raise UsageError("--labels-from-folders goes with a folder of class folders, or with tars that hold some")
    if path.is_file() and path.suffix == ".npz":
        with path.open("rb") as stream:
            return read_pack(stream, name, note, by_channels=by_channels)
    if path.is_file() and path.suffix == ".npy":
        return _read_array(path, by_channels)
    if path.exists():
        raise UsageError(
            f"{path} is neither a folder nor an .npz, .npy or .tar file; give the folder that holds the images"
        )
    raise UsageError(
        f"there is no {path}: give a folder of images, an .npz or .npy file, tar shards, a URL, hf:NAME, or "
        "sklearn:digits"
    )


def _read_array(path: Path, by_channels: bool) -> Source:
    """Images or features in an `.npy` file."""
    try:
        values = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} cannot be read as an .npy of a plain array: {error}") from None
    return _of_array(values, str(path), by_channels)


def _open_folder(path: Path, labels_from_folders: bool, note: Callable[[str], None]) -> Source:
    """The images below a folder, or where there are none, the tar shards."""
    try:
        return FolderSource(path, labels_from_folders=labels_from_folders, note=note)
    except NoImages as none:
        entries = [Disk().entry(str(path / each.key)) for each in none.skipped if is_shards(each.key)]
        if shards := [entry for entry in entries if entry is not None]:
            return ShardSource(Disk(), shards, str(path), labels_from_folders=labels_from_folders, note=note)
        raise


def _open_url(url: str, labels_from_folders: bool, note: Callable[[str], None]) -> Source:
    from coterie.data.sources.bucket import RemoteFolder, find_remote_images, read_remote_pack
    from coterie.data.sources.remote import open_remote

    remote, path = open_remote(url)
    if is_shards(path):
        return ShardSource(remote, find_shards(remote, path), url, labels_from_folders=labels_from_folders, note=note)
    if path.lower().endswith(".npz"):
        if labels_from_folders:
            raise UsageError("--labels-from-folders goes with a folder of class folders, or with tars that hold some")
        return read_remote_pack(remote, path, url, note)
    note(f"looking for images below {url}")
    entries = remote.below(path)
    images, skipped, passed = find_remote_images(entries, path)
    if passed:
        note(told(passed))
    if images:
        return RemoteFolder(remote, images, skipped, url, labels_from_folders=labels_from_folders, note=note)
    if shards := [entry for entry in entries if is_shards(entry.path)]:
        return ShardSource(remote, shards, url, labels_from_folders=labels_from_folders, note=note)
    raise NoImages(url, skipped) if entries else UsageError(f"there is nothing at {url}")


def _digits() -> ArraySource:
    """scikit-learn's digits, out of its file: to import what reads it takes longer than all else before learning."""
    package = find_spec("sklearn")
    assert package is not None
    assert package.submodule_search_locations is not None
    table = np.loadtxt(Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz"), delimiter=",")
    images = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255.0 / 16.0)).astype(np.uint8)
    return ArraySource(images, labels=table[:, -1].astype(np.int64), name="digits")
