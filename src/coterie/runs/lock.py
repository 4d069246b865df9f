"""One writer a folder: a file that names the process, given up when that is gone, on whichever machine it ran."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coterie.errors import ResourceError, UsageError
from coterie.failures import disk_reason

NAME = "lock"
# A writer that lives shows it so often; on another machine, one that has not for so long is taken for dead.
_SIGN_SECONDS, _DEAD_SECONDS = 20.0, 300.0
# Marks of the locks that this process holds.
_held_here: set[str] = set()


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only process that writes into a folder, which is made if it is not there, and gone again if left empty.

    Raises:
        UsageError: another process writes there; it is named. ResourceError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{folder} cannot be made: {disk_reason(error)}") from None
    try:
        mark = _taken(folder)
    except OSError as error:
        raise ResourceError(f"{folder} cannot be written: {disk_reason(error)}") from None
    _held_here.add(mark)
    done = threading.Event()
    threading.Thread(target=_show, args=(folder / NAME, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        _held_here.discard(mark)
        with contextlib.suppress(OSError):
            if _read(folder / NAME).get("mark") == mark:
                (folder / NAME).unlink()
            folder.rmdir()


def _taken(folder: Path) -> str:
    """Take the lock; returns its mark."""
    path, mark = folder / NAME, secrets.token_hex(8)
    about = {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid()), "since": time.time()}
    # It comes to its place whole: a second one never meets half of it.
    own = folder / f".{NAME}-{mark}.part"
    own.write_text(json.dumps({**about, "mark": mark}), "utf-8")
    try:
        for _ in range(8):
            if _placed(own, path):
                return mark
            held = _read(path)
            if _lives(held, path, own):
                break
            # Whoever moves it first goes on; what was moved is looked at, as it may be a new one by now.
            aside = folder / f".{NAME}-{mark}.old.part"
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside)
                if _read(aside).get("mark") != held.get("mark"):
                    with contextlib.suppress(OSError):
                        _placed(aside, path)
                aside.unlink(missing_ok=True)
    finally:
        own.unlink(missing_ok=True)
    raise UsageError(f"{folder} is being written by {_named(_read(path))}: wait for it, or end it")


def _placed(own: Path, path: Path) -> bool:
    """Whether a file came to a place where none was."""
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError:  # A disk without links.
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(own.read_text("utf-8"))
        except FileExistsError:
            return False
    return True


def _lives(held: dict[str, Any], path: Path, own: Path) -> bool:
    """Whether the holder of a lock still works, by its process here, or by the signs it gives from elsewhere."""
    if held.get("host") == socket.gethostname() and isinstance(held.get("pid"), int):
        if held["pid"] == os.getpid():  # A disk that went away may have kept the lock of a run that has ended.
            return held.get("mark") in _held_here
        return _exists(held["pid"]) and held.get("born") == _born(held["pid"])
    try:
        os.utime(own)  # Both times are those of the disk's own clock.
        return own.stat().st_mtime - path.stat().st_mtime < _DEAD_SECONDS
    except FileNotFoundError:
        return False


def _show(path: Path, done: threading.Event) -> None:
    while not done.wait(_SIGN_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(path)


def _read(path: Path) -> dict[str, Any]:
    """What a lock says; nothing where it is gone or no lock."""
    try:
        found = json.loads(path.read_text("utf-8")[:1000])
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _named(held: dict[str, Any]) -> str:
    if not isinstance(held.get("since"), (int, float)):
        return "another process"
    since = time.strftime("%d %B, %H:%M", time.localtime(held["since"]))
    return f"process {held.get('pid')} on {held.get('host')} since {since}"


def _exists(pid: int) -> bool:
    if os.name == "nt":  # There a signal 0 would end it.
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # type: ignore[attr-defined]
        ctypes.windll.kernel32.CloseHandle(handle)  # type: ignore[attr-defined]
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _born(pid: int) -> str:
    """What tells a process from a later one of the same number; empty where the system does not say."""
    with contextlib.suppress(OSError, IndexError):
        # The name may hold blanks and brackets; what follows it has none.
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    return ""
