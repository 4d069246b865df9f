"""How much memory this process may use, which in a container or a job is less than the machine has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from coterie.control_groups import control_groups


def memory() -> int:
    """Bytes: the machine's memory, or what a control group or a resource limit of the process leaves of it."""
    return min([_physical(), *_group_limits(), *_resource_limits()])


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 << 30


def _group_limits() -> Iterator[int]:
    for group in control_groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # Version 2 says "max" where there is none.
                yield int((group / name).read_text("ascii"))


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
