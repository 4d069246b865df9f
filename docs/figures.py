"""Draw the figures of the documentation from real runs on the digits.

Run: python docs/figures.py --runs RUNS

Every method is fitted to scikit-learn's digits, seed 0, 30 epochs on one thread, as `coterie fit` chooses its settings,
unless RUNS holds that run already; methods on features (LNSCC and TURTLE for a thousand steps) and k-means take the
SimCLR run's. The maps lay the embeddings out in the plane by t-SNE, but for LNSCC, which draws its own; colours and
numbers are the groups found, the pictures their members.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE

from coterie.evaluate.metrics import score
from coterie.methods import learns, method_names, method_type
from coterie.report.palette import colours
from coterie.runs.assignments import Assignments

HERE = Path(__file__).parent / "figures"
_GREY = "#80868f"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder to keep the runs in")
    parser.add_argument("--methods", nargs="*", default=[*sorted(method_names(), key="lnscc".__eq__)])
    options = parser.parse_args()
    for method in options.methods:
        write(HERE / f"{method}.png", map_figure(fitted(method, options.runs), method))
    if "propos" in options.methods:
        write(HERE / "digits.png", groups_figure(fitted("propos", options.runs)), colours=128)


def fitted(method: str, runs: Path) -> Path:
    """The folder of the method's run."""
    out = runs / method
    if (out / "summary.json").is_file():
        return out
    command = [sys.executable, "-m", "coterie", "fit", "digits", "-k", "10", "--method", method, "--seed", "0"]
    command += ["--device", "cpu", "--quiet", "--resume", "--out", str(out)]
    if method_type(method).inputs == "features":
        command += ["--backbone", str(fitted("simclr", runs))]
    if hasattr(method_type(method).Config(), "steps_per_epoch"):
        command += ["--epochs", "10", "--set", "steps_per_epoch=100"]
    elif learns(method):
        command += ["--epochs", "30"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return out


def map_figure(run: Path, method: str) -> Figure:
    """The embeddings in the plane, coloured by group, each group's most typical picture beside its number."""
    digits = load_digits()
    embeddings, clusters = np.load(run / "embeddings.npy"), Assignments.read(run / "assignments.csv").clusters
    planar = embeddings.shape[1] == 2
    places = embeddings if planar else TSNE(metric="cosine", init="pca", random_state=0).fit_transform(embeddings)
    palette = np.array(colours(10))
    figure = Figure(figsize=(6.4, 4.4), layout="tight")
    axes = figure.add_subplot()
    axes.scatter(*places.T, s=5, c=palette[clusters], alpha=0.7, linewidths=0)
    for cluster in range(10):
        members = np.flatnonzero(clusters == cluster)
        middle = np.median(places[members], axis=0)
        typical = members[np.square(places[members] - middle).sum(axis=1).argmin()]
        picture = OffsetImage(16 - digits.images[typical], cmap="gray", zoom=2.2, interpolation="nearest")
        frame = {"edgecolor": palette[cluster], "linewidth": 2.5, "boxstyle": "square,pad=0.05"}
        axes.add_artist(AnnotationBbox(picture, middle, bboxprops=frame))
    axes.set_axis_off()
    accuracy = score(digits.target, clusters).acc
    axes.set_title(f"{method} on the digits: accuracy {accuracy:.3f}", color=_GREY, fontsize=10)
    return figure


def groups_figure(run: Path) -> Figure:
    """A pile of digits, and a row drawn at random from each group that a run found."""
    digits = load_digits()
    clusters = Assignments.read(run / "assignments.csv").clusters
    draw = np.random.default_rng(0)
    figure = Figure(figsize=(10, 4.4), layout="tight")
    pile, groups = figure.subplots(1, 2, width_ratios=(1, 1.28))
    pile.imshow(_tiles(digits.images[draw.choice(len(clusters), 100, replace=False)], 10), cmap="gray_r")
    pile.set_title("images without labels", color=_GREY)
    rows = [draw.choice(np.flatnonzero(clusters == cluster), 13, replace=False) for cluster in range(10)]
    groups.imshow(_tiles(digits.images[np.concatenate(rows)], 13), cmap="gray_r")
    groups.set_title("groups found by coterie, thirteen of each drawn at random", color=_GREY)
    for cluster, colour in enumerate(colours(10)):
        groups.add_patch(_bar(cluster, colour))
    groups.set_xlim(-6, None)
    for axes in (pile, groups):
        axes.set_axis_off()
    return figure


def _bar(cluster: int, colour: str) -> object:
    from matplotlib.patches import Rectangle

    return Rectangle((-5.5, 10 * cluster + 0.5), 3, 9, color=colour, linewidth=0)


def _tiles(images: np.ndarray, columns: int) -> np.ndarray:
    """Images (n, 8, 8) in rows of `columns`, a pixel of paper around each."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows = framed.reshape(-1, columns, 10, 10).transpose(0, 2, 1, 3)
    return rows.reshape(-1, columns * 10)


def write(path: Path, figure: Figure, *, colours: int = 64) -> None:
    """Write a PNG of few colours, which is a third of the size."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, facecolor="white", bbox_inches="tight")
    stream.seek(0)
    picture = Image.open(stream).convert("RGB").quantize(colours)
    path.parent.mkdir(exist_ok=True)
    picture.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
