"""What a run read, image by image, to tell later whether what has the same name is still the same."""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import torch

from coterie.data.base import Pixels, Rows, Source, Unreadable
from coterie.data.reading.depth import Scale
from coterie.data.reading.ingest import to_grey
from coterie.data.reading.parallel import in_parallel
from coterie.files import write_text
from coterie.naming import matched

_AT_ONCE = 1024


@dataclass(frozen=True)
class Manifest:
    """The N keys of images or feature vectors, and a checksum (N,) uint32 of the values of each, as they were read.

    `reader` tells what decoded them: another version may round otherwise, and its checksums say nothing.
    """

    keys: Sequence[str]
    checksums: npt.NDArray[np.uint32]
    reader: str = ""

    @staticmethod
    def of(rows: Rows) -> Manifest:
        """That of decoded images or features, read a batch at a time."""
        checksums = np.empty(len(rows), dtype=np.uint32)
        for index in torch.split(torch.arange(len(rows)), _AT_ONCE):
            for place, values in zip(index.tolist(), rows.rows(index).numpy(), strict=True):
                checksums[place] = _checksum(values)
        return Manifest(rows.keys, checksums, this_reader())

    def write(self, path: Path) -> None:
        """A line for the reader, then one for each image: checksum and key.

        Raises:
            ResourceError: the file cannot be written.
        """
        lines = (f"{value:08x} {json.dumps(key)}\n" for value, key in zip(self.checksums, self.keys, strict=True))
        write_text(path, "".join([f"{self.reader}\n", *lines]))

    @staticmethod
    def read(path: Path) -> Manifest | None:
        """What `write` wrote; None where it is missing or damaged."""
        try:
            reader, *lines = path.read_text(encoding="utf-8").splitlines()
            keys = [str(json.loads(line[9:])) for line in lines]
            return Manifest(keys, np.array([int(line[:8], 16) for line in lines], dtype=np.uint32), reader)
        except (OSError, ValueError):
            return None

    @property
    def comparable(self) -> bool:
        """Whether what is read now can be compared."""
        return self.reader == this_reader()

    @property
    def distinct(self) -> int:
        """How many differ."""
        return len(np.unique(self.checksums))

    def others(self, source: Source, side: int, scale: Scale) -> set[str]:
        """Keys under which a source holds other images than were read, as far as can be told.

        Args:
            side, scale: how they were read.
        """
        if not self.comparable:
            return set()
        known = dict(zip(self.keys, self.checksums.tolist(), strict=True))
        meant = matched(source.keys, self.keys)
        places = [place for place, key in enumerate(source.keys) if key in meant]
        found: set[str] = set()

        def receive(place: int, pixels: Pixels | Unreadable) -> None:
            key = meant[source.keys[place]]
            if not isinstance(pixels, Unreadable) and known[key] not in _possible(pixels.transpose(2, 0, 1)):
                found.add(key)

        in_parallel(
            source.parts(places), lambda part: source.decode_part(part, side, scale), receive, threads=source.in_flight
        )
        return found

    def changes(self, now: Manifest) -> str:
        """How `now` differs, in words with a name for each kind of difference; empty where it does not."""
        if list(self.keys) == list(now.keys) and np.array_equal(self.checksums, now.checksums):
            return ""
        before, after = (dict(zip(each.keys, each.checksums.tolist(), strict=True)) for each in (self, now))
        kinds = {
            "changed": [key for key in before if key in after and before[key] != after[key]],
            "gone": [key for key in before if key not in after],
            "new": [key for key in after if key not in before],
        }
        found = [_told(keys, kind) for kind, keys in kinds.items() if keys]
        return ", ".join(found) or "their order changed"


def this_reader() -> str:
    """What decodes images here, as far as their last bits depend on it."""
    vectors = torch.backends.cpu.get_cpu_capability()
    return f"Pillow {PIL.__version__}, torch {torch.__version__}, {platform.machine()} {vectors}"


def _possible(channels: Pixels) -> set[int]:
    """Checksums that an image (C, S, S) may have been given: a network that sees no colours was given none."""
    found = {_checksum(channels)}
    return found | {_checksum(to_grey(channels[None], all_grey=False)[0])} if len(channels) == 3 else found


def _checksum(values: npt.NDArray[Any]) -> int:
    """Of an image (C, S, S), a grey one as if it had three channels, or of a vector."""
    whole = np.broadcast_to(values, (3, *values.shape[1:])) if values.ndim == 3 and len(values) == 1 else values
    return zlib.crc32(np.ascontiguousarray(whole).data)


def _told(keys: Sequence[str], kind: str) -> str:
    many = len(keys) > 1
    verb = "" if kind == "changed" else "are " if many else "is "
    return f"{len(keys)} image{'s' * many} {verb}{kind} ({'the first: ' * many}{keys[0]})"
