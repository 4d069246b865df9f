"""The control groups this process is in, by which containers and job schedulers limit what it may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def control_groups(kind: str) -> Iterator[Path]:
    """Folders of the groups, of either version, that may limit a kind of resource ("memory", "cpu"), outer ones last.

    A group has no more than those it lies in.
    """
    try:
        lines = _GROUPS.read_text("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = [*line.split(":", 2), "", ""][:3]
        if kinds and kind not in kinds.split(","):  # Of version 1, and about something else.
            continue
        group = Path(path.lstrip("/"))
        root = _ROOT / kind if kinds else _ROOT
        yield from (root / place for place in (group, *group.parents))
