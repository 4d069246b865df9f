"""Folders of images and `.npz` files behind URLs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from coterie.data.base import Skipped, Source, Unreadable
from coterie.data.sources.class_folders import folder_labels
from coterie.data.sources.encoded import MOST_BYTES, Encoded
from coterie.data.sources.kinds import is_image, why_not, with_companions
from coterie.data.sources.pack import read_pack
from coterie.data.sources.passed import SORTED_MARK, passed_over
from coterie.data.sources.remote import Remote
from coterie.data.sources.storage import Entry
from coterie.errors import CoterieError


class RemoteFolder(Encoded):
    """The images among the files below a folder, fetched one by one; keys are paths relative to it.

    Args:
        remote: where they lie.
        files: by their key.
        skipped: what is no image.
        name: as the user gave it.
        labels_from_folders: take class folders as labels.
    """

    def __init__(
        self,
        remote: Remote,
        files: dict[str, Entry],
        skipped: list[Skipped],
        name: str,
        *,
        labels_from_folders: bool = False,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._remote, self._files = remote, list(files.values())
        self.keys, self.skipped = list(files), skipped
        self.labels: npt.NDArray[np.int64] | None = None
        self.class_names: tuple[str, ...] = ()
        if labels_from_folders:
            self.labels, self.class_names = folder_labels(self.keys, name, note)

    @property
    def in_flight(self) -> int:
        return self._remote.in_flight

    def identity(self) -> str | None:
        return identity_of(self.keys, self._files)

    def parts(self, places: Sequence[int]) -> list[Sequence[int]]:
        return [[place] for place in places]

    def contents(self, part: Sequence[int]) -> Iterator[bytes | Unreadable]:
        for place in part:
            file = self._files[place]
            try:
                yield self._remote.read(file.path, 0, file.size or None)
            except Unreadable as reason:
                yield reason


def identity_of(names: Sequence[str], files: Sequence[Entry]) -> str | None:
    """What changes with any of the files; None if one of them has nothing that does."""
    digest = hashlib.blake2b(digest_size=16)
    for name, file in zip(names, files, strict=True):
        if file.stamp is None:
            return None
        digest.update(f"{name}\0{file.stamp}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def find_remote_images(entries: Sequence[Entry], folder: str) -> tuple[dict[str, Entry], list[Skipped], Counter[str]]:
    """Files that may be images by their key, what was left out, and how much was passed over, by the rules of a folder
    on this machine; a run is told by the names of its files."""
    images: dict[str, Entry] = {}
    skipped: list[Skipped] = []
    passed: Counter[str] = Counter()
    paths = [PurePosixPath(entry.path.removeprefix(folder).lstrip("/")) for entry in entries]
    made = _made_by_coterie(paths)
    for entry, path in zip(entries, paths, strict=True):
        key = path.as_posix()
        if key == ".":
            continue
        within = next((parent for parent in path.parents if parent in made), None)
        if name := str(within) if within is not None else passed_over(path.parts, PurePosixPath(folder).name):
            passed[name] += 1
        elif path.suffix and not is_image(path.suffix):
            skipped.append(Skipped(key, why_not(path.suffix)))
        elif entry.size > MOST_BYTES:
            skipped.append(Skipped(key, f"too large: {entry.size / 1e6:.0f} MB"))
        else:
            images[key] = entry
    return dict(sorted(images.items())), with_companions(skipped, images), passed


def _made_by_coterie(paths: Sequence[PurePosixPath]) -> set[PurePosixPath]:
    """Folders of runs and of sorted copies."""
    there = {*paths}
    runs = {path.parent for path in paths if path.name == "config.yaml" and path.with_name("assignments.csv") in there}
    return (runs | {path.parent for path in paths if path.name == SORTED_MARK}) - {PurePosixPath()}


def read_remote_pack(remote: Remote, path: str, url: str, note: Callable[[str], None]) -> Source:
    """The source in an `.npz` behind a URL.

    Raises:
        UsageError: see `read_pack`. CoterieError: it cannot be fetched.
    """
    try:
        with remote.open(path) as stream:
            return read_pack(stream, url, note)
    except FileNotFoundError:
        raise CoterieError(f"there is no {url}") from None
