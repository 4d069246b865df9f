"""A folder of images on this machine."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.data.base import LOOKED_AT, OneByOne, Outline, Skipped, looked_at, outlined
from coterie.data.reading.decode import decode_file
from coterie.data.reading.depth import Scale
from coterie.data.reading.stored import stored_pages, stored_range, stored_size
from coterie.data.sources.class_folders import folder_labels
from coterie.data.sources.folder import find_images
from coterie.data.sources.kinds import unread, with_companions
from coterie.data.sources.passed import told
from coterie.data.sources.storage import stamp_of
from coterie.errors import UsageError

# Endings of files that may hold several pages.
_PAGED = (".tif", ".tiff")


class NoImages(UsageError):
    """There are no images in a folder; `skipped` is what there is."""

    def __init__(self, folder: str, skipped: list[Skipped]) -> None:
        found = unread(skipped)
        super().__init__(
            f"no images below {folder}: "
            + (f"it holds {found}" if found else "")
            + ("; " if found else "")
            + "a folder may hold JPEG, PNG, WEBP, AVIF, HEIC, GIF, BMP and TIFF files at any depth, or tar shards"
        )
        self.skipped = skipped


class FolderSource(OneByOne):
    """Every image below a folder, or in some folders `within` it only; keys are paths relative to it, with forward
    slashes."""

    def __init__(
        self,
        root: Path,
        *,
        labels_from_folders: bool = False,
        within: Sequence[str] = (),
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        passed: Counter[str] = Counter()
        paths, self.skipped = find_images(root, passed, within)
        if passed:
            note(told(passed))
        self._note = note
        if not paths:
            raise NoImages(str(root), self.skipped)
        self._paths = paths
        self.keys = [path.relative_to(root).as_posix() for path in paths]
        self.skipped = with_companions(self.skipped, self.keys)
        self.labels: npt.NDArray[np.int64] | None = None
        self.class_names: tuple[str, ...] = ()
        if labels_from_folders:
            self.labels, self.class_names = folder_labels(self.keys, str(root), note)

    def outline(self) -> Outline:
        step = max(1, len(self._paths) // 200)
        some = self._paths[::step]
        sides = [min(size) for path in some if (size := stored_size(path)) is not None]
        pages = [count for path in some if path.suffix.lower() in _PAGED and (count := stored_pages(path)) > 1]
        if pages:
            self._note(
                f"only the first of {pages[0]} pages is read of {len(pages)} of {len(some)} images looked at; "
                "where pages are channels: --channels all"
            )
        ranges = map(stored_range, self._paths[:: max(1, len(self._paths) // LOOKED_AT)])
        return outlined(len(self._paths), sides, looked_at(self, len(self._paths), sides), ranges)

    def identity(self) -> str | None:
        files = hashlib.blake2b(digest_size=16)
        for key, path in zip(self.keys, self._paths, strict=True):
            files.update(f"{key}\0{stamp_of(path)}\n".encode("utf-8", "surrogatepass"))
        return files.hexdigest()

    def path(self, place: int) -> Path:
        return self._paths[place]

    def decode(self, place: int, side: int, scale: Scale = ()) -> npt.NDArray[np.uint8]:
        return decode_file(self._paths[place], side, scale)
