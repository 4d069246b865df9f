"""What shards hold, kept between runs beside decoded images, since finding out takes reading them.

A table is found by the path of its shard and by what changes with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

from coterie.data.base import Skipped
from coterie.data.reading.cache import cache_folder
from coterie.data.sources.storage import Entry
from coterie.data.sources.tars import Contents, Sample
from coterie.errors import CoterieError
from coterie.files import write_text

# Part of every table's name: raise it when samples are told apart otherwise.
_FORMAT = 2
# Shards that are gone through faster than this are not worth the disk.
_WORTH_SECONDS = 0.5
_MOST_TABLES = 10_000


def kept_contents(shard: Entry, read: Callable[[], Contents]) -> Contents:
    """What a shard holds: as it was found earlier if it has not changed since, else by `read`."""
    table = _table(shard)
    found = None if table is None else _read(table)
    if found is not None:
        return found
    began = time.monotonic()
    contents = read()
    if table is not None and contents.samples and time.monotonic() - began >= _WORTH_SECONDS:
        # A full or read-only disk costs the next start its time, nothing else.
        with contextlib.suppress(OSError, CoterieError):
            _keep(table, contents)
    return contents


def _table(shard: Entry) -> Path | None:
    folder = cache_folder()
    if folder is None or shard.stamp is None:
        return None
    name = f"{_FORMAT} {shard.path}\0{shard.stamp}".encode("utf-8", "surrogatepass")
    return folder / "shards" / f"{hashlib.blake2b(name, digest_size=16).hexdigest()}.json"


def _read(table: Path) -> Contents | None:
    """None if it is not there or not whole."""
    try:
        about = json.loads(table.read_text("utf-8"))
        samples = {
            str(key): Sample(str(member), int(start), int(size), str(label))
            for key, (member, start, size, label) in about["samples"].items()
        }
        skipped = [Skipped(str(k), str(r)) for k, r in about["skipped"]]
        passed = Counter({str(name): int(count) for name, count in about["passed"].items()})
        return Contents(samples, skipped, bool(about["compressed"]), passed)
    except Exception:  # Whatever is wrong with it, the shard is still there.
        return None


def _keep(table: Path, contents: Contents) -> None:
    table.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = sorted({*table.parent.iterdir()} - {table}, key=lambda path: path.stat().st_mtime)
    for path in others[: max(0, len(others) - _MOST_TABLES + 1)]:
        path.unlink(missing_ok=True)
    about = {
        "samples": {key: astuple(sample) for key, sample in contents.samples.items()},
        "skipped": [(each.key, each.reason) for each in contents.skipped],
        "compressed": contents.compressed,
        "passed": contents.passed,
    }
    write_text(table, json.dumps(about))
