"""How long the command line takes to say what it can do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

from coterie.bench.base import Budget, Result, alternate


def measure(budget: Budget) -> Iterator[Result]:
    """Seconds of `coterie --help` beside Python's own start."""

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    result = alternate(
        "startup", lambda: run("-m", "coterie", "--help"), lambda: run("-c", "pass"), "python -c pass", budget
    )
    yield replace(result, note=f"{result.ours - result.baseline:.3f} seconds more")
