"""Starting several processes of one run, as a launcher does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(command: list[str], count: int, **extra: str) -> list[subprocess.Popen[str]]:
    """`command` as `count` processes of one run, as a launcher would."""
    port = str(free_port())
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return [
        subprocess.Popen(
            [sys.executable, *command],
            env={
                **os.environ, "PYTHONPATH": os.pathsep.join(paths), "RANK": str(rank), "WORLD_SIZE": str(count),
                "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1",
                **extra,
            },
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip


def finish(running: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit codes and what was said on standard error."""
    said = [process.communicate(timeout=300)[1] for process in running]
    return [(process.returncode, text) for process, text in zip(running, said, strict=True)]
