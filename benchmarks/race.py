"""A race: everybody has the same images and the same processor time, and only the groups at the end count.

Run: OMP_NUM_THREADS=1 python benchmarks/race.py digits usps=usps.npz --minutes 1 5 --seeds 3
     python benchmarks/race.py --table

Data is `digits` or NAME=PACK.npz with `images` and `labels`; `NAME=PACK.npz@5000:64` takes the first 5 000 and looks at
them at 64 pixels. A minute here is one by the clock on two cores, or two of processor time: contestants run in one
thread each, so that what else the machine does slows nobody. coterie's settings are its defaults; only its epochs are
set, by what an epoch takes of the processor. The others have their documented settings; what goes by epochs has as
many of these as fit, at most as documented, and what cannot be cut is left to its end. Labels score, and nothing else.

Results are added to benchmarks/race.json one by one; what is there is not run again. `pip install umap-learn clustpy`
brings the rivals; those that are not there are left out, and said so.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.machinery
import io
import json
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

RESULTS = Path(__file__).with_suffix(".json")
METHODS = ("propos", "hadis", "digpro", "byol", "cc", "pcl", "moco", "simclr", "simsiam")
# Epochs as documented: of the autoencoder, and of clustering.
_PRETRAINING, _CLUSTERING = 100, 150
Row = dict[str, Any]
Array = np.ndarray[Any, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="digits, or NAME=PACK.npz")
    parser.add_argument("--contestants", nargs="*", choices=list(contestants()), default=list(contestants()))
    parser.add_argument("--minutes", type=float, nargs="*", default=[1.0, 5.0, 20.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the results")
    parser.add_argument("--table", action="store_true", help="print what is there")
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

    began, seconds = time.process_time(), 120 * key["minutes"]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = contestants()[key["contestant"]](images, len(np.unique(labels)), seconds, key["seed"])
        scored = score(labels, found)
        outcome: Row = {each: round(getattr(scored, each), 4) for each in ("acc", "nmi", "ari")}
    except ImportError as error:
        print(f"{key['contestant']} is left out: {error}", file=sys.stderr)
        return
    except Exception as error:  # A rival that fails has failed, and the race goes on.
        outcome = {"failed": f"{type(error).__name__}: {error}"[:200]}
    row = {**key, **outcome, "seconds": round(time.process_time() - began, 1)}
    print(row, flush=True)
    rows = [*load(results), row]
    results.write_text("[\n" + ",\n".join(json.dumps(each) for each in rows) + "\n]\n", "utf-8")


Contestant = Callable[[Array, int, float, int], Array]


def contestants() -> dict[str, Contestant]:
    """Each takes images, the number of groups, processor seconds and a seed, and gives the groups (N,)."""
    ours: dict[str, Contestant] = {"coterie": _coterie("auto")} | {name: _coterie(name) for name in METHODS}
    return {
        **ours,
        "k-means on pixels": _kmeans,
        "spectral": _spectral,
        "UMAP + k-means": _umap_kmeans,
        "UMAP + HDBSCAN": _umap_hdbscan,
        **{name: _clustpy(name) for name in ("DEC", "IDEC", "DCN", "ACeDeC", "DipEncoder")},
    }


def _coterie(method: str) -> Contestant:
    """coterie by its defaults, with as many epochs as fit."""

    def compete(images: Array, clusters: int, seconds: float, seed: int) -> Array:
        from coterie import Clusterer

        def fitted(epochs: int) -> tuple[Array, float]:
            began = time.process_time()
            clusterer = Clusterer(clusters, method=method, epochs=epochs, seed=seed, device="cpu")
            labels = np.asarray(clusterer.fit(images.transpose(0, 2, 3, 1)).labels_)
            return labels, time.process_time() - began

        fitted(1)  # Imports and warms up.
        # Of the least of two: what else the machine does only ever adds.
        once, more = (min(fitted(epochs)[1] for _ in range(2)) for epochs in (1, 5))
        epoch, rest = max((more - once) / 4, 0.02 * more), once
        return fitted(max(1, int((seconds - rest) / epoch)))[0]

    return compete


def _flat(images: Array) -> Array:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _kmeans(images: Array, clusters: int, _: float, seed: int) -> Array:
    from sklearn.cluster import KMeans

    found: Array = KMeans(clusters, n_init=10, random_state=seed).fit_predict(_flat(images))
    return found


def _spectral(images: Array, clusters: int, _: float, seed: int) -> Array:
    from sklearn.cluster import SpectralClustering

    found: Array = SpectralClustering(
        clusters, affinity="nearest_neighbors", assign_labels="cluster_qr", random_state=seed
    ).fit_predict(_flat(images))
    return found


def _umap(images: Array, seed: int) -> Array:
    """As UMAP's documentation has it for clustering."""
    import umap

    found: Array = umap.UMAP(n_neighbors=30, min_dist=0.0, n_components=10, random_state=seed).fit_transform(
        _flat(images)
    )
    return found


def _umap_kmeans(images: Array, clusters: int, _: float, seed: int) -> Array:
    from sklearn.cluster import KMeans

    found: Array = KMeans(clusters, n_init=10, random_state=seed).fit_predict(_umap(images, seed))
    return found


def _umap_hdbscan(images: Array, *given: Any) -> Array:
    from sklearn.cluster import HDBSCAN

    found: Array = HDBSCAN(min_samples=10, min_cluster_size=max(10, len(images) // 100)).fit_predict(
        _umap(images, given[-1])
    )
    return found


def _clustpy(name: str) -> Contestant:
    def compete(images: Array, clusters: int, seconds: float, seed: int) -> Array:
        _without_torchvision()
        deep = importlib.import_module("clustpy.deep")
        flat = _flat(images)
        flat = (flat - flat.mean()) / flat.std()  # As its examples scale images.

        def fitted(pretraining: int, clustering: int) -> tuple[Array, float]:
            began = time.process_time()
            made = getattr(deep, name)(
                clusters, pretrain_epochs=pretraining, clustering_epochs=clustering, random_state=seed
            ).fit(flat)
            return made.labels_, time.process_time() - began

        fitted(1, 1)  # Imports and warms up.
        once, twice = fitted(1, 1)[1], fitted(2, 2)[1]
        share = min(1.0, (seconds - once) / (max(twice - once, 0.1 * twice) * (_PRETRAINING + _CLUSTERING) / 2))
        return fitted(max(1, int(share * _PRETRAINING)), max(1, int(share * _CLUSTERING)))[0]

    return compete


def _without_torchvision() -> None:
    """ClustPy imports torchvision for what is not used here; where there is none, it is feigned."""
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        sys.meta_path.append(_Feigned())


class _Feigned(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        made = MagicMock(name=spec.name)
        made.__spec__, made.__path__ = spec, []
        return made  # type: ignore[return-value]

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to execute."""


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown: for each budget, contestants by sets, mean ACC ± deviation."""
    rows = [row for row in rows if "acc" in row]
    sets = list(dict.fromkeys(row["data"] for row in rows))
    for minutes in sorted({row["minutes"] for row in rows}):
        yield f"**{minutes:g} minutes:**\n"
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


if __name__ == "__main__":
    main()
