"""Which choices help a short run: one at a time, on small images, so that a GPU's minutes begin with the right ones.

Run: OMP_NUM_THREADS=1 python benchmarks/short.py cifar5k.npz [--seeds 2] [--size 16] [--epochs 40]
     python benchmarks/short.py --table

The data are an .npz of `images` and `labels`. Each choice is a change of one thing in `BASES`, the recipe named there
with what a CPU can bear: a smaller encoder, smaller batches and images. Labels score: the groups by the method's own
way, and a vote of the twenty nearest other images, which says what was learnt apart from how it is grouped. Results are
added to benchmarks/short.json one by one; what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).with_suffix(".json")
_SMALL = {
    "train.batch_size": 128, "train.learning_rate": 0.001, "hidden": 512, "groups": "own", "augment.crop": [0.08, 1.0],
}  # fmt: skip
BASES = {"cifar10-propos-fast": _SMALL, "cifar10-simclr-fast": _SMALL}
EITHER: dict[str, dict[str, Any]] = {
    "as it is": {},
    "rate × 3": {"train.learning_rate": 0.003},
    "rate ÷ 3": {"train.learning_rate": 0.0003},
    "SGD, 0.3 a 256 images": {"train.optimizer": "sgd", "train.learning_rate": 0.3, "train.weight_decay": 5e-4},
    "constant rate": {"train.schedule": "constant"},
    "batches of 256": {"train.batch_size": 256},
    "crops from 0.2": {"augment.crop": [0.2, 1.0]},
    "crops from 0.4": {"augment.crop": [0.4, 1.0]},
    "twice as often grey": {"augment.grey": 0.4},
    "projection of 64": {"projection": 64},
}
CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "cifar10-propos-fast": {
        **EITHER,
        "momentum 0.97": {"options.momentum": 0.97},
        "momentum 0.996": {"options.momentum": 0.996},
        "momentum stays": {"momentum_rises": False},
        "warm-up 0.3": {"train.warmup_epochs": 0.3},
        "warm-up 0.6": {"train.warmup_epochs": 0.6},
        "λ 0.3": {"scattering": 0.3},
        "λ 0": {"scattering": 0.0},
    },
    "cifar10-simclr-fast": {
        **EITHER,
        "temperature 0.1": {"temperature": 0.1},
        "temperature 0.5": {"temperature": 0.5},
    },
}
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="an .npz")
    parser.add_argument("--recipes", nargs="*", choices=list(BASES), default=list(BASES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--size", type=int, default=16, help="pixels")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print what is there")
    options = parser.parse_args()
    for seed in range(options.seeds if options.data else 0):
        for recipe in options.recipes:
            for choice in CHOICES[recipe]:
                key = {"recipe": recipe, "choice": choice, "size": options.size, "epochs": options.epochs, "seed": seed}
                if not any(key.items() <= row.items() for row in load(options.results)):
                    run(key, options.data, options.results)
    if options.table:
        print("\n".join(table(load(options.results))))


def load(results: Path) -> list[Row]:
    return json.loads(results.read_text("utf-8")) if results.is_file() else []


def run(key: Row, data: str, results: Path) -> None:
    """Learn with one choice and add how well the groups and the neighbours agree with the labels."""
    from coterie import Clusterer
    from coterie.errors import CoterieError
    from coterie.evaluate.metrics import score

    with np.load(data) as pack:
        images, labels = pack["images"], pack["labels"]
    asked = {**BASES[key["recipe"]], **CHOICES[key["recipe"]][key["choice"]]}
    share = asked.get("train.warmup_epochs", 0.1)
    asked["train.warmup_epochs"] = round(share * key["epochs"])
    clusterer = Clusterer(
        len(np.unique(labels)), recipe=key["recipe"], backbone="convnet-small", epochs=key["epochs"], size=key["size"],
        seed=key["seed"], device="cpu", options=asked,
    )  # fmt: skip
    began = time.process_time()
    try:
        found = score(labels, np.asarray(clusterer.fit(images).labels_))
        outcome: Row = {"acc": round(found.acc, 4), "nmi": round(found.nmi, 4), "neighbours": _vote(clusterer, labels)}
    except CoterieError as error:
        outcome = {"failed": str(error)[:200]}
    row = {**key, **outcome, "seconds": round(time.process_time() - began)}
    print(row, flush=True)
    rows = [*load(results), row]
    results.write_text("[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in rows) + "\n]\n", "utf-8")


def _vote(clusterer: Any, labels: np.ndarray[Any, Any], k: int = 20) -> float:
    """The share of images whose nearest others by direction are mostly of their own kind."""
    from sklearn.neighbors import KNeighborsClassifier

    units = np.asarray(clusterer.embeddings_)
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    nearest = KNeighborsClassifier(k).fit(units, labels).kneighbors(return_distance=False)  # Without the point itself.
    votes = (labels[nearest][:, :, None] == np.unique(labels)).sum(axis=1)
    return round(float((np.unique(labels)[votes.argmax(axis=1)] == labels).mean()), 4)


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown: for each recipe, choices by mean and range over seeds."""
    for recipe in CHOICES:
        found = [row for row in rows if row["recipe"] == recipe and "acc" in row]
        if not found:
            continue
        yield f"| `{recipe}`, {found[0]['size']} pixels, {found[0]['epochs']} epochs | seeds | ACC | NMI | neighbours |"
        yield "|---|---|---|---|---|"
        for choice in CHOICES[recipe]:
            mine = [row for row in found if row["choice"] == choice]
            cells = [_mean([row[name] for row in mine]) for name in ("acc", "nmi", "neighbours")]
            if mine:
                yield f"| {choice} | {len(mine)} | {' | '.join(cells)} |"
        yield ""


def _mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}" if values else ""


if __name__ == "__main__":
    main()
