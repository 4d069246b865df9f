"""Where a training step's time goes on a device: `python -m gpu.steps --device cuda` prints one JSON object.

Kernels by their share of the time, how many a step has, and for how much of it the device has nothing to do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from epoch import clock, propos
from torch.profiler import ProfilerActivity, profile

# What a trace calls the device's own work; where the host is the device, its operations.
_DEVICE, _HOST = ("kernel", "gpu_memcpy", "gpu_memset"), ("cpu_op",)
_MOST = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    loop, runtime = propos(options.device, options.batch * options.steps, options.batch)
    on_host = runtime.device.type == "cpu"
    kinds = [ProfilerActivity.CPU] if on_host else [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with runtime.rules():
        expectation = loop.expect(0)
        loop.maximise(0, expectation)  # Warms up.
        clock()
        with profile(activities=kinds) as watched:
            loop.maximise(1, expectation)
            clock()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "trace.json"
        watched.export_chrome_trace(str(path))
        events = json.loads(path.read_text("utf-8", "replace"))["traceEvents"]
    print(json.dumps(told(events, options.steps, _HOST if on_host else _DEVICE)))


def told(events: Iterable[Mapping[str, Any]], steps: int, kinds: tuple[str, ...]) -> dict[str, Any]:
    """What a Chrome trace of `steps` steps says of the work of some kinds, in milliseconds a step.

    Args:
        events: with `cat`, `name`, and `ts` and `dur` in microseconds; nested ones count as the outermost, so that a
            name's time is that of what is not within another of it.
    """
    work = sorted((event for event in events if event.get("cat") in kinds and event.get("ph") == "X"), key=_beginning)
    if not work:
        return {"steps": steps, "kernels": []}
    busy, end, times, calls = 0.0, float(work[0]["ts"]), Counter[str](), Counter[str]()
    for event in work:
        begin, last = float(event["ts"]), float(event["ts"]) + float(event["dur"])
        calls[event["name"]] += 1
        times[event["name"]] += max(0.0, last - max(begin, end))
        busy += max(0.0, last - max(begin, end))
        end = max(end, last)
    whole = end - float(work[0]["ts"])
    scale = 1e-3 / steps
    return {
        "steps": steps,
        "step_ms": round(whole * scale, 3),
        "busy_ms": round(busy * scale, 3),
        "idle_share": round(1 - busy / whole, 4),
        "kernels_a_step": round(len(work) / steps, 1),
        "kernels": [
            {
                "name": name[:120],
                "ms": round(time * scale, 4),
                "share": round(time / busy, 4),
                "calls": calls[name] / steps,
            }
            for name, time in times.most_common(_MOST)
        ],
    }


def _beginning(event: Mapping[str, Any]) -> tuple[float, float]:
    """By when it begins, the longer first."""
    return float(event["ts"]), -float(event["dur"])


if __name__ == "__main__":
    main()
