"""Every method under one budget: same images, encoder, augmentation and epochs, several seeds.

Run: python benchmarks/methods.py digits usps=usps.npz --epochs 60 --seeds 3

Data is `digits` or NAME=PACK.npz with `images` and `labels`. Methods that learn from features are given those of the
SimCLR run with the same seed. Results are added to benchmarks/methods.json run by run; what is there already is not run
again, so an interrupted benchmark goes on where it stopped. `--table` prints it. With `--set KEY=VALUE`, every method
is given that setting; say `--results FILE.json` with it, so that these figures are kept apart.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coterie.data.sources import open_source
from coterie.evaluate.metrics import score

RESULTS = Path(__file__).with_suffix(".json")
ON_FEATURES = ["lnscc", "temi", "turtle"]
METHODS = ["propos", "hadis", "digpro", "byol", "cc", "pcl", "moco", "simclr", "simsiam", "cadecl", *ON_FEATURES]
BASELINES = ["k-means on pixels", "mixture on pixels", "spectral on pixels"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """Where runs and results go, and what every method is set to."""

    runs: Path
    results: Path
    settings: list[str]


def load(results: Path = RESULTS) -> list[Row]:
    return json.loads(results.read_text("utf-8")) if results.is_file() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="digits, or NAME=PACK.npz")
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, help="folder to keep the runs in (default: thrown away)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the results")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every method")
    parser.add_argument("--table", action="store_true", help="print the table of what is there")
    options = parser.parse_args()
    if options.set and options.results == RESULTS:
        parser.error("--set makes other figures than those in methods.json: say --results FILE.json")
    plan = Plan(options.runs or Path(tempfile.mkdtemp(prefix="coterie-methods-")), options.results, options.set)
    for entry in options.data:
        name, _, path = entry.partition("=")
        for baseline in BASELINES:
            run_once({"data": name, "method": baseline, "seed": 0, "epochs": 0}, path or name, plan)
        for seed in range(options.seeds):
            for method in options.methods:
                run_once({"data": name, "method": method, "seed": seed, "epochs": options.epochs}, path or name, plan)
    if options.runs is None:
        shutil.rmtree(plan.runs)
    if options.table:
        print(table(load(plan.results)))


def run_once(key: Row, source: str, plan: Plan) -> None:
    """Run what `key` names and add its result, unless it is there."""
    if any(key.items() <= row.items() for row in load(plan.results)):
        return
    try:
        found = (
            baseline_scores(key["method"], source) if key["method"] in BASELINES else fitted_scores(key, source, plan)
        )
    except subprocess.CalledProcessError as error:
        found = {"failed": error.stderr.strip().splitlines()[-1]}
    add({**key, **found}, plan.results)


def add(row: Row, results: Path) -> None:
    """Print a result and add it to the file."""
    print(json.dumps(row, ensure_ascii=False), flush=True)
    # Read anew: another benchmark may have added to it meanwhile.
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in [*load(results), row])
    results.write_text(f"[\n{lines}\n]\n", "utf-8")


def fitted_scores(key: Row, source: str, plan: Plan) -> Row:
    """Scores and seconds of a whole `coterie fit`; for a method with a head also those of k-means on its embeddings."""
    summary = json.loads((fitted(key, source, plan) / "summary.json").read_text())
    scores = {name: round(summary[name], 4) for name in ("acc", "nmi", "ari", "seconds")}
    further = summary.get("further", {}).get("k-means on embeddings", {})
    return {**scores, **{f"{name}_of_embeddings": round(value, 4) for name, value in further.items()}}


def fitted(key: Row, source: str, plan: Plan) -> Path:
    """The folder of the run that `key` names, run unless it is there."""
    out = plan.runs / f"{key['data']}-{key['method']}-{key['epochs']}-{key['seed']}"
    if (out / "summary.json").is_file():
        return out
    clusters = len(np.unique(open_source(source).labels))
    command = [sys.executable, "-m", "coterie", "fit", source, "-k", str(clusters), "--method", key["method"]]
    command += ["--seed", str(key["seed"]), "--device", "cpu", "--quiet", "--resume"]
    if key["method"] in ON_FEATURES:
        command += ["--backbone", str(fitted({**key, "method": "simclr"}, source, plan))]
    else:
        command += ["--epochs", str(key["epochs"])]
    command += [part for setting in plan.settings for part in ("--set", setting)]
    subprocess.run([*command, "--out", str(out)], check=True, stderr=subprocess.PIPE, text=True)
    return out


def baseline_scores(name: str, source: str) -> Row:
    """Scores and seconds of a classical method on pixels in [0, 1]."""
    from sklearn.cluster import KMeans, SpectralClustering
    from sklearn.mixture import GaussianMixture

    opened = open_source(source)
    images = np.stack([opened.decode(place, opened.outline().side) for place in range(len(opened.keys))])
    images = images[..., :1] if opened.outline().grey else images
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    clusters = len(np.unique(opened.labels))
    began = time.perf_counter()
    if name == "k-means on pixels":
        labels = KMeans(clusters, n_init=10, random_state=0).fit_predict(pixels)
    elif name == "mixture on pixels":
        labels = GaussianMixture(clusters, covariance_type="diag", reg_covar=1e-3, random_state=0).fit_predict(pixels)
    else:
        spectral = SpectralClustering(clusters, affinity="nearest_neighbors", n_neighbors=10, random_state=0)
        labels = spectral.fit_predict(pixels)
    seconds = time.perf_counter() - began
    scores = score(opened.labels, labels)
    return {
        "acc": round(scores.acc, 4),
        "nmi": round(scores.nmi, 4),
        "ari": round(scores.ari, 4),
        "seconds": round(seconds, 2),
    }


def table(rows: list[Row]) -> str:
    """Markdown: mean ± deviation over seeds, best first within each data set."""
    lines = ["| data | method | epochs | runs | ACC | NMI | ARI | seconds |", "|---|---|---|---|---|---|---|---|"]
    groups: dict[tuple[str, str, int], list[Row]] = {}
    failed = [row for row in rows if "failed" in row]
    rows = [row for row in rows if "failed" not in row]
    for row in [*rows, *filter(None, map(of_embeddings, rows))]:
        groups.setdefault((row["data"], row["method"], row["epochs"]), []).append(row)
    order = {name: place for place, name in enumerate(dict.fromkeys(row["data"] for row in rows))}
    for key, runs in sorted(groups.items(), key=lambda item: (order[item[0][0]], -mean(item[1], "acc"))):
        cells = [f"{mean(runs, name):.3f}{deviation(runs, name)}" for name in ("acc", "nmi", "ari")]
        cells = [*key[:2], str(key[2] or "–"), str(len(runs)), *cells, f"{mean(runs, 'seconds'):.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\n{row['method']} on {row['data']}, seed {row['seed']}, failed: {row['failed']}" for row in failed]
    return "\n".join(lines)


def of_embeddings(row: Row) -> Row | None:
    """The row for k-means on the embeddings of a method that assigns by a head of its own."""
    if "acc_of_embeddings" not in row or row["method"] in ON_FEATURES:
        return None
    scores = {name: row[f"{name}_of_embeddings"] for name in ("acc", "nmi", "ari")}
    return {**row, **scores, "method": f"{row['method']}, k-means on its embeddings"}


def mean(runs: list[Row], name: str) -> float:
    return statistics.mean(run[name] for run in runs)


def deviation(runs: list[Row], name: str) -> str:
    return f" ± {statistics.stdev(run[name] for run in runs):.3f}" if len(runs) > 1 else ""


if __name__ == "__main__":
    main()
