"""A race: everybody has the same images and the same processor time, and only the groups at the end count.

Run: OMP_NUM_THREADS=1 python benchmarks/race.py digits usps=usps.npz --minutes 1 5 --seeds 3
     python benchmarks/race.py --table

Data is `digits` or NAME=PACK.npz with `images` and `labels`; `NAME=PACK.npz@5000:64` takes the first 5 000 and looks at
them at 64 pixels. A minute here is one by the clock on two cores, or two of processor time: contestants run in one
thread each, so that what else the machine does slows nobody. coterie's settings are its defaults; only its epochs are
set, by what an epoch takes of the processor. The others have their documented settings; what goes by epochs has as
many of these as fit, at most as documented, and what cannot be cut is left to its end. Labels score, and nothing else.

Results are added to benchmarks/race.json one by one, with the processor time of the run alone, not of the trials that
say how long an epoch takes; what is there is not run again. `pip install umap-learn clustpy` brings the rivals; those
that are not there are left out, and said so.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rivals import RIVALS, Array, Contestant, Timed

RESULTS = Path(__file__).with_suffix(".json")
METHODS = ("propos", "hadis", "digpro", "byol", "cc", "pcl", "moco", "simclr", "simsiam")
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="digits, or NAME=PACK.npz")
    parser.add_argument("--contestants", nargs="*", choices=list(contestants()), default=list(contestants()))
    parser.add_argument("--minutes", type=float, nargs="*", default=[1.0, 5.0, 20.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the results")
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--picture", type=Path, help="file to draw accuracy over time in")
    options = parser.parse_args()
    for minutes in options.minutes:
        for entry in options.data:
            name, images, labels = read(entry)
            for seed in range(options.seeds):
                for contestant in options.contestants:
                    key = {"data": name, "contestant": contestant, "minutes": minutes, "seed": seed}
                    if not any(key.items() <= row.items() for row in load(options.results)):
                        run(key, images, labels, options.results)
    if options.table:
        print("\n".join(table(load(options.results))))
    if options.picture:
        picture(load(options.results), options.picture)


def load(results: Path) -> list[Row]:
    return json.loads(results.read_text("utf-8")) if results.is_file() else []


def read(entry: str) -> tuple[str, Array, Array]:
    """A set's name, its images (N, C, S, S) uint8 and labels (N,)."""
    from coterie.data.reading.ingest import ingest
    from coterie.data.sources import open_source

    name, _, told = entry.partition("=")
    path, _, how = (told or name).partition("@")
    count, _, side = how.partition(":")
    source = open_source(path)
    store, _ = ingest(source, int(side) if side else source.outline().side)
    most = int(count) if count else len(store)
    return name, np.asarray(store.images[:most]), np.asarray(store.labels[:most])


def run(key: Row, images: Array, labels: Array, results: Path) -> None:
    """Run one contestant and add its result."""
    from coterie.evaluate.metrics import score

    seconds = 120 * key["minutes"]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found, took = contestants()[key["contestant"]](images, len(np.unique(labels)), seconds, key["seed"])
        scored = score(labels, found)
        outcome: Row = {each: round(getattr(scored, each), 4) for each in ("acc", "nmi", "ari")}
        outcome["seconds"] = round(took, 1)
    except ImportError as error:
        print(f"{key['contestant']} is left out: {error}", file=sys.stderr)
        return
    except Exception as error:  # A rival that fails has failed, and the race goes on.
        outcome = {"failed": f"{type(error).__name__}: {error}"[:200]}
    row = {**key, **outcome}
    print(row, flush=True)
    rows = [*load(results), row]
    results.write_text("[\n" + ",\n".join(json.dumps(each) for each in rows) + "\n]\n", "utf-8")


@functools.cache
def contestants() -> dict[str, Contestant]:
    """Each takes images, the number of groups, processor seconds and a seed; gives groups (N,) and what they took."""
    ours: dict[str, Contestant] = {"coterie": _coterie("auto")} | {name: _coterie(name) for name in METHODS}
    return ours | RIVALS


def _coterie(method: str) -> Contestant:
    """coterie by its defaults, with as many epochs as fit."""
    paces: dict[tuple[int, ...], tuple[float, float]] = {}

    def compete(images: Array, clusters: int, seconds: float, seed: int) -> Timed:
        from coterie import Clusterer

        def fitted(epochs: int) -> Timed:
            began = time.process_time()
            clusterer = Clusterer(clusters, method=method, epochs=epochs, seed=seed, device="cpu")
            labels = np.asarray(clusterer.fit(images.transpose(0, 2, 3, 1)).labels_)
            return labels, time.process_time() - began

        def tried() -> tuple[float, float]:
            """Seconds of an epoch, and of the rest."""
            fitted(1)  # Imports and warms up.
            once = fitted(1)[1]
            longer = 1 + max(1, min(4, int(60 / once)))  # Short epochs are told apart from noise by more of them.
            more = fitted(longer)[1]
            return max((more - once) / (longer - 1), more / (10 * longer)), once

        epoch, rest = paces[images.shape] = paces.get(images.shape) or tried()
        return fitted(max(1, int((seconds - rest) / epoch)))

    return compete


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown: for each budget, contestants by sets, mean ACC ± deviation."""
    rows = [row for row in rows if "acc" in row]
    for minutes in sorted({row["minutes"] for row in rows}):
        sets = list(dict.fromkeys(row["data"] for row in rows if row["minutes"] == minutes))
        yield f"**{minutes:g} minute{'s' * (minutes != 1)}:**\n"
        yield f"| | {' | '.join(sets)} |"
        yield "|---" * (len(sets) + 1) + "|"
        for name in contestants():
            cells = []
            for data in sets:
                key = {"data": data, "contestant": name, "minutes": minutes}
                found = [row["acc"] for row in rows if key.items() <= row.items()]
                spread = f" ± {statistics.stdev(found):.3f}" if len(found) > 1 else ""
                cells.append(f"{statistics.mean(found):.3f}{spread}" if found else "–")
            if set(cells) != {"–"}:
                yield f"| {name} | {' | '.join(cells)} |"
        yield ""


def picture(rows: list[Row], path: Path) -> None:
    """Accuracy over processor time, a panel a set: coterie's default as a line, everybody else as marks, by means."""
    from matplotlib.figure import Figure

    found = [row for row in rows if "acc" in row]
    sets = list(dict.fromkeys(row["data"] for row in found))
    names = [name for name in contestants() if any(row["contestant"] == name for row in found)]
    figure = Figure((2.3 * len(sets), 3.0), layout="constrained")
    for panel, data in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
        for place, name in enumerate(names):
            key = {"data": data, "contestant": name}
            points = sorted(_points([row for row in found if key.items() <= row.items()]))
            style = {"color": "black", "linestyle": "-"} if name == "coterie" else {"color": f"C{place % 10}"}
            marker = "o" if name == "coterie" else "sv^<>dPX*"[place % 9]
            seconds, mean, spread = zip(*points, strict=True) if points else ((), (), ())
            panel.errorbar(seconds, mean, yerr=spread, label=name, marker=marker, **{"linestyle": "", **style})
        panel.set(title=data, xscale="log", xlabel="seconds of a processor")
    figure.axes[0].set_ylabel("ACC")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, dpi=100)


def _points(rows: list[Row]) -> Iterator[tuple[float, float, float]]:
    """Seconds, mean ACC and its deviation over seeds, for each budget."""
    for minutes in {row["minutes"] for row in rows}:
        runs = [row for row in rows if row["minutes"] == minutes]
        scores = [row["acc"] for row in runs]
        took = statistics.mean(row.get("seconds", 120 * minutes) for row in runs)
        yield max(took, 0.1), statistics.mean(scores), statistics.stdev(scores) if len(scores) > 1 else 0.0


if __name__ == "__main__":
    main()
