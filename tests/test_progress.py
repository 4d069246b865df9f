"""What is drawn on a terminal of any width, and what is written elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from coterie import progress
from coterie.progress import ConsoleListener, Stage, clock, fitting

WORDS = ("epoch 112/200", "loss -0.978", "spread 0.82", "sizes 120–263", "acc 0.487")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def listener(*, terminal: bool, width: int = 120) -> tuple[ConsoleListener, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=width, soft_wrap=True, highlight=False)
    return ConsoleListener(console), stream


def drawn(stage: Stage, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(stage, end="")
    assert stream.getvalue().count("\n") <= 1
    return stream.getvalue().rstrip("\n")


def test_a_line_for_terminals_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Clock(monkeypatch)
    stage = Stage("learning", 400, "steps")
    watch.now += 150
    stage.done, stage.words = 100, WORDS
    lines = {width: drawn(stage, width) for width in (160, 120, 80, 64, 40, 12)}
    assert all(len(line) <= width for width, line in lines.items())
    for part in (*WORDS, "7:30 left", "25%", "0.7 steps/s", "━━━"):
        assert part in lines[160]
    assert "━" not in lines[120]
    assert "acc 0.487" in lines[120]
    assert lines[80].endswith("learning  epoch 112/200  loss -0.978  spread 0.82  sizes 120–263  7:30 left")
    assert lines[64].endswith("learning  epoch 112/200  loss -0.978  spread 0.82  7:30 left")
    assert lines[40].endswith("learning  epoch 112/200  7:30 left")
    assert lines[12].endswith("…")


def test_fitting_keeps_the_order_of_importance() -> None:
    assert fitting("a", ["bb", "cccccc", "d"], "left", ["x"], 12) == ["a", "bb", "left"]
    assert fitting("a", ["bb"], "left", ["x"], 14) == ["a", "bb", "left", "x"]
    assert fitting("a", [], "", ["x"], 6) == ["a", "x"]


def test_before_the_first_step_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    line = drawn(Stage("reading", 1000, "images"), 80)
    assert "left" not in line
    assert "images/s" not in line


def test_a_terminal_is_left_as_it_was() -> None:
    made, stream = listener(terminal=True)
    made.begin("learning", 10, "steps")
    made.describe("epoch 0/2")
    for _ in range(5):
        made.advance()
    made.describe("epoch 1/2", "loss -1.000")
    made.note("a word between")
    made.end()
    text = stream.getvalue()
    assert "a word between" in text
    assert "learning: epoch 1/2  loss -1.000  in 0:00" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # The cursor is hidden and shown again.


def test_elsewhere_a_line_an_epoch_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Clock(monkeypatch)
    made, stream = listener(terminal=False)
    made.begin("learning", 400, "steps")
    made.describe("epoch 0/100")
    for epoch in range(1, 101):
        for _ in range(4):
            watch.now += 1
            made.advance()
        made.describe(f"epoch {epoch}/100", "loss 1.000")
    made.end()
    lines = stream.getvalue().splitlines()
    # The first epoch, then every 15 seconds, which is every fourth; the last by `end`.
    assert lines[0] == "learning: epoch 1/100  loss 1.000  6:36 left"
    assert lines[1] == "learning: epoch 5/100  loss 1.000  6:20 left"
    assert lines[-1] == "learning: epoch 100/100  loss 1.000  in 6:40"
    assert len(lines) == 26


def test_elsewhere_a_long_epoch_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Clock(monkeypatch)
    made, stream = listener(terminal=False)
    made.begin("learning", 20, "steps")
    made.describe("epoch 0/2")
    for epoch in (1, 2):
        for _ in range(10):
            watch.now += 600
            made.advance()
        made.describe(f"epoch {epoch}/2")
    made.end()
    assert stream.getvalue().splitlines() == ["learning: epoch 1/2  1:40:00 left", "learning: epoch 2/2  in 3:20:00"]


def test_elsewhere_a_stage_without_words_tells_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Clock(monkeypatch)
    made, stream = listener(terminal=False)
    made.begin("reading", 100, "images")
    for _ in range(4):
        watch.now += 10
        made.advance(25)
    made.end()
    assert stream.getvalue() == "reading: 50/100 images, 2.5 images/s  0:20 left\n"


def test_notes_are_text_and_not_markup() -> None:
    made, stream = listener(terminal=False)
    made.note("[red]photos/[1].png")
    assert stream.getvalue() == "[red]photos/[1].png\n"


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (59.4, "0:59"), (125, "2:05"), (3725.6, "1:02:06")])
def test_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words
