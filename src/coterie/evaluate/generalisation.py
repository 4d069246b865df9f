"""How well linear classifiers learn a labelling: a choice among runs without labels (TURTLE, arXiv 2406.07236)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError

Array = npt.NDArray[Any]


def random_folds(count: int, *, folds: int = 10, seed: int = 0) -> npt.NDArray[np.int64]:
    """The fold (N,) that holds each of `count` points out: a random permutation cut in `folds`."""
    order = np.random.default_rng(seed).permutation(count)
    held_out = np.empty(count, dtype=np.int64)
    for fold, part in enumerate(np.array_split(order, folds)):
        held_out[part] = fold
    return held_out


def fold_accuracies(
    spaces: Sequence[Array], assignments: Array, folds: Array, *, penalty: float = 1.0, iterations: int = 1000
) -> npt.NDArray[np.float64]:
    """Accuracies (S, folds), on each fold, of multinomial logistic regression that learnt the assignments without it.

    A labelling with a single cluster is learnt perfectly: compare runs only where all have as many clusters.

    Args:
        spaces: features (N, D_s) in each space, as they are.
        assignments: clusters (N,).
        folds: the fold (N,) that holds each point out, from 0.
        penalty: scikit-learn's C, the inverse of the L2 penalty's strength; the intercept has none.
        iterations: at most.

    Raises:
        UsageError: no space, or other numbers of rows.
    """
    if not spaces or any(len(space) != len(assignments) for space in (*spaces, folds)):
        raise UsageError("every feature space and the folds need a row for each assignment")
    scores = [
        [_held_out_accuracy(space, assignments, folds == fold, penalty, iterations) for fold in range(folds.max() + 1)]
        for space in spaces
    ]
    return np.array(scores)


def generalisation_score(spaces: Sequence[Array], assignments: Array, folds: Array, *, penalty: float = 1.0) -> float:
    """The mean of `fold_accuracies` over folds and spaces."""
    return float(fold_accuracies(spaces, assignments, folds, penalty=penalty).mean())


def _held_out_accuracy(features: Array, assignments: Array, tested: Array, penalty: float, iterations: int) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    learnt = assignments[~tested]
    if len(np.unique(learnt)) == 1:
        return float((assignments[tested] == learnt[0]).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # So many iterations are the definition.
        classifier = LogisticRegression(C=penalty, tol=1e-9, max_iter=iterations).fit(features[~tested], learnt)
    return float(classifier.score(features[tested], assignments[tested]))
