"""Files that would execute something, or fill the memory, if they were read the easy way."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Intruder:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.marker), "w")


def pickled(path: Path, marker: Path) -> Path:
    """A plain pickle, whatever the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(Intruder(marker), protocol=2))
    return path


def objects(marker: Path) -> np.ndarray:
    found = np.empty(3, dtype=object)
    found[:] = Intruder(marker)
    return found


def npy(path: Path, marker: Path) -> Path:
    np.save(path, objects(marker), allow_pickle=True)
    return path


def npz(path: Path, marker: Path, *names: str, **plain: np.ndarray) -> Path:
    """The arrays `names` are objects."""
    np.savez(path, allow_pickle=True, **{name: objects(marker) for name in names}, **plain)
    return path


def saved(path: Path, marker: Path, **plain: Any) -> Path:
    """As torch.save writes it."""
    torch.save({**plain, "state_dict": {"conv1.weight": torch.zeros(2)}, "optimizer": Intruder(marker)}, path)
    return path


def tagged(marker: Path) -> str:
    """YAML's way to an object."""
    return f"!!python/object/apply:builtins.open [{json.dumps(str(marker))}, w]"


def module(path: Path, marker: Path) -> Path:
    """Code that would be executed by being imported."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"open({str(marker)!r}, 'w')\n")
    return path


def grown(path: Path, size: int, *, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    """An `.npz` with zeros for images, which takes `size` bytes of memory and a small part of that on the disk."""
    part = bytes(1 << 24)
    level = 9 if kind == zipfile.ZIP_BZIP2 else 1
    with (
        zipfile.ZipFile(path, "w", kind, compresslevel=level) as archive,
        archive.open("images.npy", "w", force_zip64=True) as stream,
    ):
        header = {"descr": "|u1", "fortran_order": False, "shape": (size // 64, 8, 8)}
        np.lib.format.write_array_header_1_0(stream, header)
        for _ in range(size // len(part)):
            stream.write(part)
    return path


def endless() -> str:
    """A few hundred bytes of YAML for a list that would take 10¹² words to write out."""
    parts = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
    parts += [f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return f"[{', '.join(parts)}]"


@dataclass(frozen=True)
class Place:
    """A copy of the original where a test may spoil things; `marker` is what an intruder would make."""

    folder: Path

    @property
    def marker(self) -> Path:
        return self.folder / "executed"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def bomb(self, path: Path) -> None:
        """Any kind of archive is looked at before it is read."""
        shutil.copy(self.folder / "bomb", path)

    def unfinished(self) -> None:
        (self.run / "summary.json").unlink()

    def edit(self, name: str, **values: object) -> None:
        path = self.run / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
