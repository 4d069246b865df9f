"""Names that say that two files are one picture: `IMG_1.HEIC` and `IMG_1.jpg`, `IMG_1(1).jpg`, `IMG_E1.jpg`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

# What browsers, desktops and phones add to the name of a copy or of an edited picture, without regard to case.
_ADDED = re.compile(
    r"(\s*\(\d{1,3}\)|[\s_-]+(copy|copie|kopie|copia|edited|bearbeitet|modifié|editado|effects)(\s*\(?\d{1,3}\)?)?|~\d{1,3})+$",
    re.IGNORECASE,
)
# A phone's edited picture has an E in its name.
_PHONE = re.compile(r"^(IMG_)E(\d{4,})$", re.IGNORECASE)


def _plain(key: str) -> tuple[str, str]:
    """The folder of a file, and its name without an ending and without what copies add."""
    path = PurePosixPath(key)
    name = _PHONE.sub(r"\1\2", _ADDED.sub("", path.stem) or path.stem)
    return str(path.parent), name.casefold()


def of_one_picture(one: str, other: str) -> bool:
    """Whether two keys name the same picture, if their pixels agree."""
    return _plain(one) == _plain(other)


def plainest(keys: Sequence[str]) -> int:
    """The place of the key that names the picture itself and no copy of it: with least added, of equals the first."""
    return min(range(len(keys)), key=lambda place: len(PurePosixPath(keys[place]).stem) - len(_plain(keys[place])[1]))
