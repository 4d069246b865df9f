"""The papers' figures beside ours: runs every method's recipe on CIFAR-10 for some minutes, and fills docs/results.md.

Run: python benchmarks/results.py CIFAR.npz --runs RUNS --minutes 1.5; what is in RUNS already is not run again. Without
an argument it fills the page from results.json, gpu.json and the recipes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from coterie.plan.recipes import recipe, recipe_names

HERE = Path(__file__).parent
PAGE, RESULTS, GPU = HERE.parent / "docs" / "results.md", HERE / "results.json", HERE / "gpu.json"
_END = "<!-- end -->"
METRICS = ("nmi", "acc", "ari")
# A network and images for a CPU, and batches and rates that teach something in some hundred steps.
_SHORT = ("backbone=convnet-small", "data.side=16", "train.batch_size=128")
_SGD = (*_SHORT, "hidden=1024", "projection=128", "options.momentum=0.99", "train.learning_rate=0.3")
_ADAM = (*_SHORT, "train.learning_rate=0.001")
_FEATURES = ("backbone=efficientnet-lite2", "data.side=128")
SETTINGS = {
    "cifar10-propos": _SGD,
    "cifar10-hadis": _SGD,
    "imagenet10-digpro": _SGD,
    "cifar10-byol": (*_SGD, "momentum_rises=false"),
    "cifar10-moco": (*_SHORT, "queue=2048"),
    "cifar10-pcl": (*_SHORT, "queue=2048", "options.momentum=0.99"),
    "cifar10-simsiam": _SHORT,
    "cifar10-simclr": _ADAM,
    "cifar10-cc": _ADAM,
    "cifar10-cadecl": _ADAM,
    "cifar10-lnscc": _FEATURES,
    "temi": (*_FEATURES, "clusters=10"),
    "turtle": (*_FEATURES, "clusters=10"),
}
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="an .npz with `images` and `labels`")
    parser.add_argument("--runs", type=Path, default=Path("results-runs"))
    parser.add_argument("--recipes", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1.5)
    options = parser.parse_args()
    for name in options.recipes if options.data else ():
        command = [sys.executable, "-m", "coterie", "reproduce", name, "--data", options.data, "--device", "cpu"]
        command += ["--seeds", str(options.seeds), "--minutes", str(options.minutes), "--out", str(options.runs / name)]
        command += [word for setting in SETTINGS[name] for word in ("--set", setting)]
        if subprocess.run(command).returncode == 0:
            keep(row_of(json.loads((options.runs / name / "reproduction.json").read_text())))
    fill()


def row_of(found: Mapping[str, Any]) -> Row:
    """What results.json keeps of a `reproduction.json`; of where the data lay, the name alone."""
    first, runs, source = found["runs"][0], found["runs"], found["command"].split(" --data ")[1].split()[0]
    same = found["paper"]["data"] == "cifar10"
    return {
        "recipe": found["recipe"],
        "data": Path(source).stem,
        "images": first["images"],
        "epochs": first["epochs"],
        "seconds": round(sum(run["seconds"] for run in runs) / len(runs)),
        "machine": first["machine"],
        "seeds": [run["seed"] for run in runs],
        "commit": first["commit"],
        "paper": found["paper"]["scores"] if same else {},
        "ours": found["ours"],
        "baseline": found["baseline"],
        "command": found["command"].replace(source, Path(source).name),
    }


def keep(row: Row) -> None:
    """Put a row into results.json, in the place of an earlier one of its recipe and data."""
    rows = [each for each in load() if (each["recipe"], each["data"]) != (row["recipe"], row["data"])]
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in [*rows, row])
    RESULTS.write_text(f"[\n{lines}\n]\n", "utf-8")


def load() -> list[Row]:
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else []


def fill() -> None:
    """Put the tables between the page's marks."""
    page = PAGE.read_text("utf-8")
    for name, table in tables().items():
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        page = f"{before}{mark}{table}\n{rest[rest.index(_END) :]}"
    PAGE.write_text(page, "utf-8")


def tables() -> dict[str, str]:
    """By the mark that each stands after."""
    made = {
        "papers": of_papers(load()),
        "gpu": of_gpu(json.loads(GPU.read_text("utf-8"))),
        "small": of_rows(load()),
        "commands": commands(load()),
    }
    return {name: "\n".join(lines) for name, lines in made.items()}


def of_papers(rows: Iterable[Row]) -> Iterator[str]:
    """Every recipe with reported figures, and ours where they are of as many images and epochs."""
    ours = {(row["recipe"], row["images"], row["epochs"]): row["ours"] for row in rows}
    yield from head("recipe", "images", "epochs", "paper: NMI", "ACC", "ARI", "here: NMI", "ACC", "ARI")
    for known in map(recipe, recipe_names()):
        if known.reported:
            paper = [percent(known.reported.get(metric)) for metric in METRICS]
            epochs = known.values.get("train", {}).get("epochs", "")
            found = ours.get((known.name, known.images, epochs), {})
            here = [percent(**found.get(metric, {})) for metric in METRICS]
            yield line(f"`{known.name}`", thousands(known.images), epochs, *paper, *here)


def of_gpu(found: Mapping[str, Any]) -> Iterator[str]:
    """CIFAR-10 at full size, for minutes of a GPU."""
    yield from head(
        "command", "card", "seconds", "paper: NMI", "ACC", "ARI", "here: NMI", "ACC", "ARI", "nearest neighbours"
    )
    for run in found["cifar10"]["runs"]:
        method = re.search(r"(?:cifar10-|--method )(\w+)", run["command"])[1]
        reported = recipe(f"cifar10-{method}").reported
        paper = [percent(reported.get(metric)) for metric in METRICS]
        ours = [percent(100 * run[metric]) for metric in (*METRICS, "knn")]
        yield line(f"`{run['command']}`", run["card"], run["seconds"], *paper, *ours)
    versions = sorted({lease["machine"]["torch"] for lease in found["leases"]})
    yield f"\nOne card and one run each, torch {', '.join(versions)}; of {found['cifar10']['data']}."


def of_rows(rows: Iterable[Row]) -> Iterator[str]:
    """What `reproduce` made on a part of CIFAR-10."""
    yield from head(
        "",
        "recipe",
        "epochs",
        "minutes",
        "seeds",
        "paper: NMI",
        "ACC",
        "ARI",
        "here: NMI",
        "ACC",
        "ARI",
        "linear top-1",
        "commit",
    )
    for number, row in enumerate(rows, start=1):
        paper = [percent(row["paper"].get(metric)) for metric in METRICS]
        ours = [percent(**row["ours"].get(metric, {})) for metric in (*METRICS, "top1")]
        seeds = ", ".join(map(str, row["seeds"]))
        yield line(
            number,
            f"`{row['recipe']}`",
            row["epochs"],
            f"{row['seconds'] / 60:.1f}",
            seeds,
            *paper,
            *ours,
            row["commit"] or "",
        )
    for each in {json.dumps([row["baseline"], row["images"], row["data"]]): row for row in rows}.values():
        scores = each["baseline"]["scores"]
        yield line(
            "",
            each["baseline"]["method"],
            "",
            "",
            "",
            "",
            "",
            "",
            *(percent(scores[metric]) for metric in METRICS),
            "",
            "",
        )
    names = ("processor", "cores", "threads", "precision", "torch")
    used = {tuple(row["machine"].get(name) for name in names) for row in rows}
    for processor, cores, threads, precision, torch in sorted(used):
        yield f"\n{processor}, {cores} cores of which {threads} was used, shared; {precision}, torch {torch}."


def commands(rows: Iterable[Row]) -> Iterator[str]:
    yield from (f"{number}. `{row['command']}`" for number, row in enumerate(rows, start=1))


def head(*cells: str) -> tuple[str, str]:
    return line(*cells), "|---" * len(cells) + "|"


def line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def percent(mean: float | None = None, deviation: float | None = None) -> str:
    return "" if mean is None else f"{mean:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")


def thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ") if number else ""


if __name__ == "__main__":
    main()
