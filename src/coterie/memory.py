"""How much memory this process may use, which in a container or a job is less than the machine has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_GROUP_ROOT = Path("/sys/fs/cgroup")


def memory() -> int:
    """Bytes: the machine's memory, or what a control group or a resource limit of the process leaves of it."""
    return min([_physical(), *_group_limits(), *_resource_limits()])


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 << 30


def _group_limits() -> Iterator[int]:
    """Of the control groups the process is in, of either version, as containers and job schedulers set them."""
    try:
        lines = _GROUPS.read_text("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = [*line.split(":", 2), "", ""][:3]
        version_2 = not kinds
        if not version_2 and "memory" not in kinds.split(","):
            continue
        root, name = (_GROUP_ROOT, "memory.max") if version_2 else (_GROUP_ROOT / "memory", "memory.limit_in_bytes")
        group = Path(path.lstrip("/"))
        for place in (group, *group.parents):  # A group has no more than those it lies in.
            with contextlib.suppress(OSError, ValueError):  # Version 2 says "max" where there is none.
                yield int((root / place / name).read_text("ascii"))


def _resource_limits() -> Iterator[int]:
    """Of the data segment and the address space, as `ulimit` sets them."""
    try:
        import resource
    except ImportError:  # Windows.
        return
    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            yield soft
