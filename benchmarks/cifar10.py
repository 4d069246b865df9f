"""ProPos against k-means on pixels on 5 000 CIFAR-10 images. Run: benchmarks/cifar10.py PACK.npz OUT [SETTING ...]

PACK.npz holds `images` (5000, 32, 32, 3) uint8 and `labels`, 500 a class. Settings are handed on as `--set`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    pack, out, *settings = sys.argv[1:]
    command = [sys.executable, "-m", "coterie", "fit", pack, "-k", "10", "--device", "cpu", "--out", out]
    command += [part for setting in settings for part in ("--set", setting)]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - began
    summary = json.loads((Path(out) / "summary.json").read_text())
    result = {key: round(summary[key], 4) for key in ("acc", "nmi", "ari")}
    baseline = {key: round(summary["baseline"][key], 4) for key in ("acc", "nmi", "ari")}
    print(
        json.dumps(
            {
                "seconds": round(seconds),
                "coterie": result,
                "pixels": baseline,
                "gain": round(summary["acc"] - summary["baseline"]["acc"], 4),
            }
        )
    )


if __name__ == "__main__":
    main()
