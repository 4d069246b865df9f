"""How much a few named images are worth: the rest of a run's images grouped anew, beside plain classifiers.

Run: python benchmarks/corrections.py digits=RUN flowers=RUN --draws 5
     python benchmarks/corrections.py --table

Data is NAME=RUN, a finished run whose images have labels, or NAME=FILE.npz with its `embeddings`, `labels` and
`clusters`. Of every kind 1, 2, 5 and 10 images are named as a person would who looks where the groups are worst: each
image is drawn with the impurity of its group. Scored are the others: groups by `coterie refine`, kinds by k-nearest
neighbours and logistic regression on the same embeddings, and the groups of the run, all by ACC, the best one-to-one
matching; `right` is the share whose name is right. The classifiers are shown at their best: with the k of 1 and 5 and
the C of 0.1, 1, 10, 100 and 1000 that turn out best. Where a run kept features that it was made of, `coterie
fit --labels` on these is scored, too. Seconds are of the processor. Results are added to benchmarks/corrections.json;
what is there is not computed again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression

from coterie import Clusterer
from coterie.evaluate.metrics import score
from coterie.evaluate.neighbours import predict_by_neighbours
from coterie.report.page import read_embeddings
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.said import read_said, unsaid
from coterie.tables import to_csv
from coterie.workflow.refine import grouped_anew
from methods import Row, add, deviation, load, mean

RESULTS = Path(__file__).with_suffix(".json")
NAMED = (1, 2, 5, 10)
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Data:
    """A run's `embeddings` (N, d) and `clusters` (N,), `labels` (N,) from 0, and `features` (N, D) if it kept any."""

    embeddings: Array
    labels: Array
    clusters: Array
    features: Array | None = None

    @property
    def kinds(self) -> int:
        return int(self.labels.max()) + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", metavar="NAME=RUN")
    parser.add_argument("--named", type=int, nargs="*", default=NAMED, help="images named of each kind")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the results")
    parser.add_argument("--table", action="store_true", help="print the table of what is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for entry in options.data:
        name, _, place = entry.partition("=")
        data = opened(Path(place))
        for named in options.named:
            for draw in range(options.draws):
                told = drawn(data, named, np.random.default_rng(draw))
                for way, names_of in ways(data):
                    key = {"data": name, "named": named, "draw": draw, "way": way}
                    if not any(key.items() <= row.items() for row in load(options.results)):
                        add({**key, **scores(data, told, names_of)}, options.results)
    if options.table:
        print(table(load(options.results)))


def opened(place: Path) -> Data:
    """What lies in a run's folder, or in an archive."""
    if place.suffix == ".npz":
        with np.load(place) as kept:
            return Data(kept["embeddings"].astype(np.float32), kept["labels"].astype(int), kept["clusters"].astype(int))
    folder = RunFolder(place)
    table = Assignments.read(folder.assignments)
    _, labels = np.unique(table.labels, return_inverse=True)
    features = np.load(folder.features)["features"] if folder.features.is_file() else None
    return Data(read_embeddings(folder, len(labels)), labels, table.clusters, features)


def drawn(data: Data, named: int, rng: np.random.Generator) -> Array:
    """The kind (N,) of the images that are named, `named` of each, the worse their group the likelier; else −1."""
    sizes = np.zeros((data.clusters.max() + 1, data.kinds))
    np.add.at(sizes, (data.clusters, data.labels), 1)
    impurity = 1 - sizes.max(axis=1) / sizes.sum(axis=1).clip(min=1)
    told = np.full(len(data.labels), -1)
    for kind in range(data.kinds):
        rows = np.flatnonzero(data.labels == kind)
        weights = impurity[data.clusters[rows]] + 1e-9
        chosen = rng.choice(rows, min(named, len(rows) - 1), replace=False, p=weights / weights.sum())
        told[chosen] = kind
    return told


def ways(data: Data) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    """Each way to tell the kinds (N,) of all from those that were told, by name."""
    points = torch.from_numpy(data.embeddings)
    yield "refine", lambda told: refined(data, told)
    if data.features is not None:
        yield "fit --labels", lambda told: fitted(data, told)
    for k in (1, 5):
        yield f"{k} neighbours", lambda told, k=k: by_neighbours(points, told, k)
    for c in (0.1, 1.0, 10.0, 100.0, 1000.0):
        yield f"regression {c:g}", lambda told, c=c: by_regression(data.embeddings, told, c)
    yield "the run", lambda _: data.clusters


def refined(data: Data, told: Array) -> Array:
    """As `coterie refine RUN labels.csv -k K`."""
    keys = [str(row) for row in range(len(told))]
    table = Assignments(keys, data.clusters, np.ones(len(told)), np.zeros(len(told), dtype=bool))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        rows = ((keys[row], f"kind {told[row]}") for row in np.flatnonzero(told >= 0).tolist())
        path.write_text(to_csv(["key", "label"], rows))
        said = read_said(path, table, np.arange(len(told)), unsaid(table))
    found, names = grouped_anew(data.embeddings, said, "cosine", data.kinds)
    return np.array([int(name.removeprefix("kind ")) for name in names])[found.labels.numpy()]


def fitted(data: Data, told: Array) -> Array:
    """As `coterie fit FEATURES --method kmeans --labels labels.csv`."""
    clusterer = Clusterer(data.kinds, method="kmeans", device="cpu").fit(data.features, labels=told)
    return score_by_names(clusterer.labels_, told)


def score_by_names(clusters: Array, told: Array) -> Array:
    """Clusters by the kind that was told of their images."""
    kind = {cluster: known for cluster, known in zip(clusters, told, strict=True) if known >= 0}
    return np.array([kind[cluster] for cluster in clusters])


def by_neighbours(points: torch.Tensor, told: Array, k: int) -> Array:
    known = torch.from_numpy(told) >= 0
    memory = points[known], torch.from_numpy(told)[known]
    found: Array = predict_by_neighbours(*memory, points, k=min(k, int(known.sum()))).numpy()
    return found


def by_regression(embeddings: Array, told: Array, c: float) -> Array:
    known = told >= 0
    found: Array = LogisticRegression(C=c, max_iter=2000).fit(embeddings[known], told[known]).predict(embeddings)
    return found


def scores(data: Data, told: Array, names_of: Callable[[Array], Array]) -> Row:
    """ACC on the images that were not named, the share of them whose name is right, and the seconds it took."""
    rest, began = told < 0, time.process_time()
    found = names_of(told)
    seconds = time.process_time() - began
    row = {"acc": round(score(data.labels[rest], found[rest]).acc, 4), "seconds": round(seconds, 3)}
    right = round(float(np.mean(found[rest] == data.labels[rest])), 4)
    return row if found is data.clusters else {**row, "right": right}


def table(rows: list[Row]) -> str:
    """Markdown: by set and number of images named, the mean accuracy of each way on the others."""
    columns = {"the run": ["the run"], "refine": ["refine"], "fit --labels": ["fit --labels"]}
    every = sorted({row["way"] for row in rows})
    columns |= {family: [way for way in every if family in way] for family in ("neighbours", "regression")}
    heads = ["the run", "`refine`", "`fit --labels`", "nearest neighbours", "logistic regression"]
    lines = [f"| set | named of each kind | {' | '.join(heads)} |", "|---" * 7 + "|"]
    for name in dict.fromkeys(row["data"] for row in rows):
        for named in sorted({row["named"] for row in rows if row["data"] == name}):
            these = [row for row in rows if (row["data"], row["named"]) == (name, named)]
            cells = [best([[row for row in these if row["way"] == way] for way in among]) for among in columns.values()]
            lines.append(f"| {name} | {named} | {' | '.join(cells)} |")
    return "\n".join(lines)


def best(candidates: list[list[Row]]) -> str:
    """The greatest mean among ways, with its deviation; a dash where nothing was measured."""
    runs = max((rows for rows in candidates if rows), key=lambda rows: mean(rows, "acc"), default=[])
    return f"{mean(runs, 'acc'):.3f}{deviation(runs, 'acc')}" if runs else "–"


if __name__ == "__main__":
    main()
