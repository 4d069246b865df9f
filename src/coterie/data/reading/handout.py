"""Images or features as files that the processes of one run read together, so that one alone decodes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from coterie.data.base import Rows
from coterie.data.feeding.features import Features
from coterie.data.reading.store import Store
from coterie.errors import CoterieError
from coterie.files import write_atomically, write_json


def hand_out(rows: Rows, folder: Path) -> None:
    """Write what training needs of `rows` below `folder`, where every process can read it; labels stay behind.

    Raises:
        CoterieError: the folder cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise CoterieError(f"{folder} cannot be made: {error.strerror}") from None
    values = rows.images if isinstance(rows, Store) else rows.values if isinstance(rows, Features) else None
    assert values is not None
    about: dict[str, Any] = {"kind": "images" if isinstance(rows, Store) else "features", "keys": list(rows.keys)}
    if isinstance(values, np.memmap) and values.filename is not None:
        # It lies in a file already, perhaps with room for images that could not be read, or with equal channels.
        about |= {"file": str(Path(values.filename).resolve()), "shape": list(values.shape)}
    else:
        write_atomically(folder / "values.npy", lambda stream: np.save(stream, values))
    if isinstance(rows, Features):
        about |= {"origins": rows.origins, "spaces": rows.spaces}
    write_json(folder / "about.json", about)


def take(folder: Path) -> Rows:
    """What `hand_out` wrote, mapped from its file.

    Raises:
        CoterieError: it cannot be read here.
    """
    try:
        about = json.loads((folder / "about.json").read_text("utf-8"))
        values = np.load(about.get("file", folder / "values.npy"), mmap_mode="c", allow_pickle=False)
        if "shape" in about:
            values = values[tuple(slice(length) for length in about["shape"])]
        if about["kind"] == "features":
            origins, spaces = tuple(about["origins"]), tuple(about["spaces"])
            return Features(np.ascontiguousarray(values), about["keys"], origins=origins, spaces=spaces)
        return Store(values, about["keys"])
    except Exception as error:  # Half-written or tampered files raise nearly anything.
        raise CoterieError(
            f"{folder} cannot be read by this process ({error}): every node needs the run's folder, so give an --out "
            "on a disk they share"
        ) from None
