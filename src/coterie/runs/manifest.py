"""What a run began with, image by image, to tell which of them changed when it is resumed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from coterie.data.base import Rows
from coterie.files import write_text

_AT_ONCE = 1024


@dataclass(frozen=True)
class Manifest:
    """The N keys of images or feature vectors, and a checksum (N,) uint32 of the values of each, as they were read."""

    keys: Sequence[str]
    checksums: npt.NDArray[np.uint32]

    @staticmethod
    def of(rows: Rows) -> Manifest:
        """That of decoded images or features, read a batch at a time."""
        checksums = np.empty(len(rows), dtype=np.uint32)
        for index in torch.split(torch.arange(len(rows)), _AT_ONCE):
            for place, values in zip(index.tolist(), rows.rows(index).numpy(), strict=True):
                checksums[place] = zlib.crc32(np.ascontiguousarray(values).data)
        return Manifest(rows.keys, checksums)

    def write(self, path: Path) -> None:
        """A line an image: checksum and key.

        Raises:
            ResourceError: the file cannot be written.
        """
        lines = (f"{value:08x} {json.dumps(key)}\n" for value, key in zip(self.checksums, self.keys, strict=True))
        write_text(path, "".join(lines))

    @staticmethod
    def read(path: Path) -> Manifest | None:
        """What `write` wrote; None where it is missing or damaged."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            keys = [str(json.loads(line[9:])) for line in lines]
            return Manifest(keys, np.array([int(line[:8], 16) for line in lines], dtype=np.uint32))
        except (OSError, ValueError):
            return None

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


def _told(keys: Sequence[str], kind: str) -> str:
    many = len(keys) > 1
    verb = "" if kind == "changed" else "are " if many else "is "
    return f"{len(keys)} image{'s' * many} {verb}{kind} ({'the first: ' * many}{keys[0]})"
