"""The demo on several seeds: accuracy and seconds of the whole command. Run: python benchmarks/digits.py [SEEDS]"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    rows = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            began = time.perf_counter()
            command = [sys.executable, "-m", "coterie", "demo", "--seed", str(seed), "--out", str(out), "--quiet"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - began
            summary = json.loads((out / "summary.json").read_text())
        rows.append(
            {
                "seed": seed,
                "seconds": round(seconds, 1),
                **{key: round(summary[key], 4) for key in ("acc", "nmi", "ari")},
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    mean = statistics.mean(row["acc"] for row in rows)
    print(
        json.dumps(
            {
                "mean_acc": round(mean, 4),
                "least_acc": min(row["acc"] for row in rows),
                "most_seconds": max(row["seconds"] for row in rows),
            }
        )
    )


if __name__ == "__main__":
    main()
