"""Parts of a lease, one after another: each a command with a time limit of its own, whose results are kept at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coterie.files import write_json
from coterie.untrusted import read_json

# A part that is told to end has so long for it; how often what it has said so far is written down.
_GRACE, _EVERY = 20.0, 2.0
# Less is no use to any part.
_LEAST = 5.0
# Of what a part says to standard error, the end is kept.
_TAIL = 2000


@dataclass(frozen=True)
class Part:
    """A command that prints JSON, one object or one a line, for at most `seconds`, its end included."""

    name: str
    command: Sequence[str]
    seconds: float


class Lease:
    """Runs parts until the time is over, and keeps what they print in `out/results.json`.

    Parts that are done there already are not run again, so that the same call goes on after a kill.

    Args:
        out: a folder, made if need be.
        seconds: in all.
        root: the folder that commands are run in.
    """

    def __init__(self, out: Path, seconds: float, root: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._path, self._root, self._end = out / "results.json", root, time.monotonic() + seconds
        self.results: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            self.results = dict(read_json(self._path))

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self._end - time.monotonic()

    def note(self, name: str, value: Any) -> None:
        """Keep a value beside the parts'."""
        self.results[name] = value
        write_json(self._path, self.results)

    def run(self, part: Part, *, spare: float = 0.0) -> None:
        """Run a part, unless it is done; one for which no time is left, but for `spare` seconds, is left out."""
        if self.results.get(part.name, {}).get("state") == "done":
            return
        limit = min(part.seconds, self.left - spare)
        if limit < _LEAST:
            self.note(part.name, {"state": "left out", "results": []})
            return
        print(f"== {part.name}, at most {limit:.0f} s", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="coterie-") as folder:
            said, errors = Path(folder) / "said", Path(folder) / "errors"
            with said.open("wb") as out, errors.open("wb") as err:
                process = subprocess.Popen(part.command, cwd=self._root, stdout=out, stderr=err, start_new_session=True)
                try:
                    code = self._watched(process, part.name, said, began, limit)
                finally:
                    _end(process)
            state = {0: "done", None: "cut short"}.get(code, "failed")
            told = {"code": process.returncode, "told": errors.read_text("utf-8", "replace")[-_TAIL:].strip()}
            self._keep(part.name, state, said, began, {} if state == "done" else told)
        print(f"{state} after {time.monotonic() - began:.0f} s", flush=True)

    def _watched(
        self, process: subprocess.Popen[bytes], name: str, said: Path, began: float, limit: float
    ) -> int | None:
        """The exit code; None where the time was over. Meanwhile what was said is kept, as anything may end it all."""
        written = 0
        while time.monotonic() - began < limit - min(_GRACE, limit / 4):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_EVERY)
            if (size := said.stat().st_size) > written:
                written = size
                self._keep(name, "running", said, began, {"pid": process.pid})
        _end(process, min(_GRACE, limit / 4))
        return None

    def _keep(self, name: str, state: str, said: Path, began: float, more: dict[str, Any] | None = None) -> None:
        seconds = round(time.monotonic() - began, 1)
        results = objects(said.read_text("utf-8", "replace"))
        self.note(name, {"state": state, "seconds": seconds, **(more or {}), "results": results})


def objects(text: str) -> list[Any]:
    """The JSON of a part: one object over all lines, or one a line among whatever else is said."""
    with contextlib.suppress(ValueError):
        return [json.loads(text)]
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def _end(process: subprocess.Popen[bytes], grace: float = _GRACE) -> None:
    """Let a part end, and those it started; whatever does not is killed."""
    if process.poll() is None:
        _tell(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    _tell(process, signal.SIGKILL)
    process.wait()


def _tell(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
