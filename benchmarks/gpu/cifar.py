"""A run of CIFAR-10 that lasts longer than a lease: what it has learnt comes out every half minute, in small files.

`python -m gpu.cifar OUT --data PACK.npz` begins it, or goes on from the files in `--first` (default OUT). It prints the
curve and, once there are any, the scores. A signal ends it after the step at hand, with everything carried out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coterie.files import write_atomically
from coterie.runs.folder import RunFolder
from gpu.carry import pack, read_parts, unpack, write_parts

# Files that a run goes on from, beside the checkpoint.
_KEPT = ("config.yaml", "metrics.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=Path, help="the files to go on from (default OUT)")
    parser.add_argument("--data", type=Path, required=True, help="an .npz with `images` or `jpeg`, and `labels`")
    parser.add_argument("--recipe", help="(default: what fit chooses by itself)")
    parser.add_argument("--minutes", type=float, default=12.0, help="of learning, in all leases together")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two times that files come out")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="coterie-") as scratch:
        run = RunFolder(Path(scratch) / "run")
        source = as_arrays(options.data, Path(scratch) / "images.npz")
        fresh = not restored(options.first or options.out, run)
        command = [sys.executable, "-m", "coterie", "fit", str(source), "--out", str(run.root), "--resume", "--quiet"]
        if fresh:
            command += ["-k", "10", "--minutes", str(options.minutes), "--device", options.device]
            command += ["--recipe", options.recipe] if options.recipe else []
            command += [word for setting in options.set for word in ("--set", setting)]
        with ended_by_signals(subprocess.Popen(command)) as process:
            courier, parent = Courier(run, options.out), os.getppid()
            while process.poll() is None and os.getppid() == parent:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(options.every)
                courier.carry()
        courier.carry()
        print(json.dumps({"code": process.returncode, **report(run)}), flush=True)
        sys.exit(0 if run.finished or process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGINT) else 1)


class Courier:
    """Carries what a run has learnt out of its folder, in parts small enough."""

    def __init__(self, run: RunFolder, out: Path) -> None:
        self._run, self._out, self._seen = run, out, 0

    def carry(self) -> None:
        """Copy what is new."""
        path = self._run.checkpoint
        if not path.is_file() or path.stat().st_mtime_ns == self._seen:
            return
        self._seen = path.stat().st_mtime_ns
        for name in _KEPT:
            content = (self._run.root / name).read_bytes()
            write_atomically(self._out / name, lambda stream, content=content: stream.write(content))
        began, state = time.monotonic(), torch.load(path, map_location="cpu", weights_only=True)
        packed = pack(state)
        write_parts(packed, self._out)
        carried = {"epochs": state["epochs"], "bytes": len(packed), "seconds": round(time.monotonic() - began, 2)}
        print(json.dumps({"carried": carried}), flush=True)


def restored(first: Path, run: RunFolder) -> bool:
    """Whether a run's folder was made again from carried files."""
    packed = read_parts(first)
    if packed is None or not all((first / name).is_file() for name in _KEPT):
        return False
    run.root.mkdir(parents=True)
    for name in _KEPT:
        shutil.copy(first / name, run.root / name)
    torch.save(unpack(packed), run.checkpoint)
    return True


def report(run: RunFolder) -> dict[str, Any]:
    """The curve, and the scores of a finished run."""
    metrics = run.read_metrics()
    names = ("epoch", "acc", "nmi", "ari", "knn", "seconds")
    found: dict[str, Any] = {"curve": [[line.get(name) for name in names] for line in metrics], "columns": names}
    if run.config.is_file():
        found["epochs"] = run.read_config().train.epochs
    if run.finished:
        summary = run.read_summary()
        found["scores"] = {name: summary[name] for name in ("acc", "nmi", "ari", "seconds") if name in summary}
    return found


def as_arrays(path: Path, to: Path) -> Path:
    """The pack itself where it holds plain images; else one with its JPEGs decoded."""
    with np.load(path, allow_pickle=False) as pack_:
        if "images" in pack_.files:
            return path
        data, offsets, labels = pack_["jpeg"].tobytes(), pack_["offsets"].tolist(), pack_["labels"]
    with ThreadPoolExecutor() as pool:
        ends = itertools.pairwise(offsets)
        images = np.stack([*pool.map(lambda place: _decoded(data[place[0] : place[1]]), ends)])
    np.savez(to, images=images, labels=labels)
    return to


def _decoded(data: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@contextlib.contextmanager
def ended_by_signals(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Hand a signal on to the run, which ends after the step at hand."""
    before = {number: signal.signal(number, lambda number, _: process.send_signal(number)) for number in
              (signal.SIGTERM, signal.SIGINT)}  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
