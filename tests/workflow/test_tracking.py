"""Trackers in the course of a run: what they are told, and that none of them can end it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie import trackers
from coterie.cli import main
from coterie.workflow.steps.tracking import figures


class Recorder:
    """A tracker that writes down what it is told; `fails` names the call that goes wrong."""

    begun: list[trackers.Start] = []
    logged: list[tuple[int, dict[str, float]]] = []
    ended: list[tuple[dict[str, float], bool]] = []
    fails = ""

    def __init__(self, start: trackers.Start) -> None:
        self.identity = start.identity or f"run-{len(self.begun)}"
        self.begun.append(start)
        self._perhaps("start")

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self.logged.append((epoch, dict(values)))
        self._perhaps("log")

    def finish(self, summary: Mapping[str, float], *, failed: bool) -> None:
        self.ended.append((dict(summary), failed))
        self._perhaps("finish")

    def _perhaps(self, call: str) -> None:
        if self.fails == call:
            raise ConnectionError("the server\nis on fire")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    """What stands in for TensorBoard."""
    kind = type("Fresh", (Recorder,), {"begun": [], "logged": [], "ended": []})
    module = trackers._module("tensorboard")
    monkeypatch.setattr(module, "TRACKER", kind)
    monkeypatch.setattr(module, "check", lambda: None)
    return kind


@pytest.fixture
def command(tmp_path: Path, blobs: tuple) -> list[str]:
    np.savez(tmp_path / "pack.npz", images=blobs[0], labels=blobs[1])
    settings = ["epochs=4", "warmup_epochs=1", "hidden=16", "projection=8", "batch_size=20"]
    return ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--device", "cpu", "--out", str(tmp_path / "run")] + [
        part for setting in settings for part in ("--set", setting)
    ]


def test_a_tracker_gets_every_figure_of_the_metrics(command: list[str], tmp_path: Path, recorder: Any) -> None:
    assert main([*command, "--track", "tensorboard", "--quiet"]) == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert recorder.logged == [(record["epoch"], figures(record)) for record in records]
    (start,) = recorder.begun
    assert start.settings["train"]["epochs"] == 4
    assert (start.folder, start.identity, start.done) == ((tmp_path / "run").resolve(), None, 0)
    (summary, failed) = recorder.ended[0]
    told = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary == {name: told[name] for name in ("acc", "nmi", "ari", "outliers", "seconds")}
    assert not failed
    assert json.loads((tmp_path / "run" / "tracking.json").read_text()) == {"tensorboard": "run-0"}


def test_names_of_figures() -> None:
    record = {"epoch": 3, "losses": {"alignment": 1.0, "scattering": 0.5}, "smallest": 4, "largest": 9, "acc": 0.5}
    assert figures({**record, "learning_rate": 0.1, "knn": 0.25, "spread": 0.75}) == {
        "losses/alignment": 1.0, "losses/scattering": 0.5, "loss": 1.5, "clusters/smallest": 4.0,
        "clusters/largest": 9.0, "scores/acc": 0.5, "learning_rate": 0.1, "scores/knn": 0.25, "spread": 0.75,
    }  # fmt: skip


def test_without_a_word_nothing_is_tracked(command: list[str], tmp_path: Path, recorder: Any) -> None:
    assert main([*command, "--quiet"]) == 0
    assert recorder.begun == []
    assert not (tmp_path / "run" / "tracking.json").exists()


def test_a_resumed_run_goes_on_in_the_same_record(
    command: list[str], recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coterie.workflow.steps.observer import Observer

    untouched = Observer.__call__

    def stop_after_two(self: Observer, epoch: Any) -> None:
        untouched(self, epoch)
        self.checkpoint._last_cost = 0.0  # type: ignore[union-attr]
        if epoch.number == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Observer, "__call__", stop_after_two)
    assert main([*command, "--track", "tensorboard", "--quiet"]) == 130
    assert recorder.ended == [({}, True)]
    monkeypatch.setattr(Observer, "__call__", untouched)
    # Also where the word is left out.
    assert main([*command, "--resume", "--quiet"]) == 0
    assert [(start.identity, start.done) for start in recorder.begun] == [(None, 0), ("run-0", 2)]
    assert [epoch for epoch, _ in recorder.logged] == [1, 2, 3, 4]


@pytest.mark.parametrize("call", ["start", "log", "finish"])
def test_a_tracker_that_fails_never_ends_a_run(
    call: str, command: list[str], tmp_path: Path, recorder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.fails = call
    assert main([*command, "--track", "tensorboard"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "--track" in line]
    assert lines == [
        "--track tensorboard failed and is left out: the server is on fire; metrics.jsonl has every figure"
    ]
    assert len(recorder.logged) == {"start": 0, "log": 1, "finish": 4}[call]
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 4
    assert (tmp_path / "run" / "summary.json").is_file()


def test_an_unknown_or_missing_tracker_is_told_of_before_anything_is_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*command, "--track", "tensorbord"]) == 2
    assert "did you mean 'tensorboard'" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    assert main([*command, "--track", "mlflow"]) == 2
    assert "pip install 'coterie[mlflow]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
