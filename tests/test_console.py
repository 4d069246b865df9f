from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from coterie import console as module
from coterie.console import ConsoleListener, print_comparison, print_evaluation
from coterie.evaluate.metrics import Scores
from coterie.workflow.evaluate import Evaluation


def listener(*, terminal: bool) -> tuple[ConsoleListener, io.StringIO]:
    stream = io.StringIO()
    made = ConsoleListener()
    made._console = Console(file=stream, force_terminal=terminal, width=120, soft_wrap=True, highlight=False)
    return made, stream


def test_a_terminal_sees_a_bar_with_rate_and_time_left() -> None:
    made, stream = listener(terminal=True)
    made.begin("learning", 10, "steps")
    for _ in range(5):
        made.advance()
    made.describe("epoch 1/2  loss -1.000")
    assert made._bar is not None
    made._bar.refresh()
    made.end()
    text = stream.getvalue()
    assert "50%" in text
    assert "steps/s" in text
    assert "epoch 1/2" in text


def test_elsewhere_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    made, stream = listener(terminal=False)
    clock = iter([float(second) for second in range(0, 1000, 10)])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    made.begin("learning", 10, "steps")
    for _ in range(5):
        made.advance()
    made.end()
    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert "steps" in lines[0]
    assert "s left" in lines[0]


def test_notes_are_text_and_not_markup() -> None:
    made, stream = listener(terminal=False)
    made.note("[red]photos/[1].png")
    assert stream.getvalue() == "[red]photos/[1].png\n"


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
