"""How well the outlier score finds foreign images that are mixed in: one in twenty, learnt from like the others.

Run: python benchmarks/outliers.py [--seeds 3] [--among HOME.npz --foreign OTHER.npz]

Foreign among scikit-learn's digits: letters, patches of photographs, both, noise, and digits glued from two halves; or
images of one pack among those of another, scaled to their size. Prints a row of Markdown for each: the area under the
ROC curve of the outlier score, of the distance from the own center among the embeddings and of one less the
confidence, and the shares flagged of both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import foreign
import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.metrics import roc_auc_score

from coterie import Clusterer

KINDS = {
    "letters": foreign.letters,
    "patches": foreign.patches,
    "both": lambda count, *, seed: np.concatenate(
        [foreign.letters(count // 2, seed=seed), foreign.patches(count - count // 2, seed=seed)]
    ),
    "noise": foreign.noise,
    "halves": foreign.halves,
}
Images = npt.NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--among", type=Path, help="an .npz with `images` and `labels`")
    parser.add_argument("--foreign", type=Path, help="an .npz with `images`")
    parser.add_argument("--epochs", type=int, help="default: the digits' recipe, or as chosen from the data")
    options = parser.parse_args()
    print("| foreign images | among | seed | outlier score | own center | 1 − confidence | flagged | wrongly |")
    print("|---" * 8 + "|")
    for seed in range(options.seeds):
        if options.among is not None:
            home, strange = packs(options.among, options.foreign, seed)
            clusterer = Clusterer(10, epochs=options.epochs, seed=seed, device="cpu")
            print(row(options.foreign.stem, options.among.stem, seed, clusterer, home, strange), flush=True)
            continue
        home = foreign.digits()[0]
        for kind in options.kinds:
            strange = KINDS[kind](twentieth(home), seed=seed)
            clusterer = Clusterer(10, recipe="digits", epochs=options.epochs, seed=seed, device="cpu")
            print(row(kind, "digits", seed, clusterer, home, strange), flush=True)


def twentieth(home: Images) -> int:
    """How many foreign images make one in twenty of all."""
    return round(len(home) / 19)


def packs(among: Path, other: Path, seed: int) -> tuple[Images, Images]:
    """The images of one pack, and some of another scaled to their size."""
    home, candidates = (np.load(path, allow_pickle=False)["images"] for path in (among, other))
    chosen = np.random.default_rng(seed).choice(len(candidates), twentieth(home), replace=False)
    size = home.shape[2], home.shape[1]
    return home, np.stack(
        [np.asarray(Image.fromarray(candidates[place]).resize(size, Image.Resampling.BOX)) for place in chosen]
    )


def row(kind: str, among: str, seed: int, clusterer: Clusterer, home: Images, strange: Images) -> str:
    """Fit to both kinds, and tell how well they are told apart."""
    clusterer.fit(np.concatenate([home, strange]))
    is_foreign = np.arange(len(home) + len(strange)) >= len(home)
    centers = clusterer.model_.groups.centers.cpu().numpy()
    distances = 1 - (clusterer.embeddings_ * centers[clusterer.labels_]).sum(axis=1)
    scores = (clusterer.outlier_scores_, distances, 1 - clusterer.confidence_)
    cells = [f"{roc_auc_score(is_foreign, score):.3f}" for score in scores]
    flagged = [f"{clusterer.outliers_[part].mean():.3f}" for part in (is_foreign, ~is_foreign)]
    return f"| {' | '.join([kind, among, str(seed), *cells, *flagged])} |"


if __name__ == "__main__":
    main()
