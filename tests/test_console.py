from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from coterie.console import print_comparison, print_evaluation
from coterie.evaluate.metrics import Scores
from coterie.workflow.evaluate import Evaluation


def test_tables() -> None:
    stream = io.StringIO()
    out = Console(file=stream, width=100)
    scores = {"acc": 0.5, "nmi": 0.25, "ari": 0.125, "seconds": 1.0}
    print_comparison({**scores, "method": "propos", "baseline": {**scores, "method": "k-means on pixels"}}, out)
    table = np.array([[3, 0], [1, 2]])
    evaluation = Evaluation(Scores(0.9, 0.8, 0.7), table, ["cat", "[b]dog"], np.array([0.75, np.nan]), {0: 0, 1: 1}, 6)
    print_evaluation(evaluation, out)
    text = stream.getvalue()
    for part in ("coterie (propos)", "0.125", "ACC 0.9000", "[b]dog", "0.75", "–", "(6 labelled images)"):
        assert part in text
