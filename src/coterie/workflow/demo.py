"""`coterie demo`: handwritten digits in groups, without a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coterie.data.sources.naming import DIGITS
from coterie.listener import Listener
from coterie.plan import Request
from coterie.workflow.fit import fit


def demo(out: Path | None, listener: Listener, *, seed: int = 0) -> tuple[Path, dict[str, Any]]:
    """Cluster scikit-learn's 1 797 digits on the CPU; returns the run's folder and its summary."""
    folder = free_folder(Path("coterie-demo")) if out is None else out
    request = Request(source=DIGITS, clusters=10, recipe="digits", device="cpu", seed=seed)
    return folder, fit(request, folder, listener)


def free_folder(wanted: Path) -> Path:
    """`wanted`, or with the first number from 2 that makes it a new name."""
    folder, number = wanted, 1
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder
