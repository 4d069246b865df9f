"""Each tracker for real where its package is installed, and at its boundary everywhere."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from coterie import UsageError
from coterie.trackers import Start, check_tracker, start_tracker, tracker_names

SETTINGS = {"method": "propos", "train": {"epochs": 3, "optimizer": "sgd"}}


def three_epochs_in_two_attempts(name: str, folder: Path) -> Any:
    """The first attempt is killed after logging two epochs, of which one had a checkpoint."""
    first = start_tracker(name, Start(folder, SETTINGS))
    for epoch, loss in ((1, 3.0), (2, 2.0)):
        first.log({"loss": loss, "scores/acc": 0.5}, epoch)
    second = start_tracker(name, Start(folder, SETTINGS, first.identity, done=1))
    assert second.identity == first.identity
    for epoch, loss in ((2, 2.0), (3, 1.0)):
        second.log({"loss": loss, "scores/acc": 0.5}, epoch)
    second.finish({"acc": 0.75}, failed=False)
    return second


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    three_epochs_in_two_attempts("tensorboard", tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert [(event.step, event.value) for event in events.Scalars("final/acc")] == [(3, 0.75)]
    text = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "optimizer: sgd" in text


def test_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = three_epochs_in_two_attempts("wandb", tmp_path)
    kept = {path.name.rpartition("-")[2] for path in (tmp_path / "wandb").glob("offline-run-*")}
    assert kept == {run.identity}
    assert list((tmp_path / "wandb").glob(f"offline-run-*/run-{run.identity}.wandb"))


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = three_epochs_in_two_attempts("mlflow", tmp_path)
    client = mlflow.MlflowClient()
    kept = client.get_run(run.identity)
    assert kept.data.params == {"method": "propos", "train.epochs": "3", "train.optimizer": "sgd"}
    assert kept.info.status == "FINISHED"
    losses = {(metric.step, metric.value) for metric in client.get_metric_history(run.identity, "loss")}
    assert losses == {(1, 3.0), (2, 2.0), (3, 1.0)}
    assert kept.data.metrics["final/acc"] == 0.75


def test_what_is_asked_of_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []
    fake: Any = types.ModuleType("wandb")
    fake.Settings = lambda **options: options
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)

    def init(**options: Any) -> Any:
        asked.append(("init", options))
        return types.SimpleNamespace(
            log=lambda values, step: asked.append(("log", (values, step))),
            finish=lambda exit_code: asked.append(("finish", exit_code)),
            summary={},
        )

    fake.init = init
    three_epochs_in_two_attempts("wandb", tmp_path)
    begun = [options for what, options in asked if what == "init"]
    assert [options["resume"] for options in begun] == ["allow", "allow"]
    assert begun[0]["id"] == begun[1]["id"]
    assert begun[0]["dir"] == str(tmp_path)
    assert begun[0]["project"] == "coterie"
    assert begun[0]["config"] == SETTINGS
    assert begun[0]["settings"]["console"] == "off"
    assert [told[1] for what, told in asked if what == "log"] == [1, 2, 2, 3]
    assert asked[-1] == ("finish", 0)
    start_tracker("wandb", Start(tmp_path, SETTINGS)).finish({}, failed=True)
    assert asked[-1] == ("finish", 1)


def test_what_is_asked_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    class Client:
        def get_experiment_by_name(self, name: str) -> None:
            asked.append(("experiment?", name))

        def create_experiment(self, name: str) -> str:
            asked.append(("experiment", name))
            return "7"

        def create_run(self, experiment: str, run_name: str) -> Any:
            asked.append(("run", experiment, run_name))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc"))

        def update_run(self, run: str, status: str) -> None:
            asked.append(("again", run, status))

        def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
            asked.append(("batch", run, [*metrics], [*params]))

        def set_terminated(self, run: str, status: str) -> None:
            asked.append(("end", run, status))

    fake: Any = types.ModuleType("mlflow")
    fake.MlflowClient = Client
    fake.entities = types.SimpleNamespace(
        Param=lambda key, value: (key, value), Metric=lambda key, value, _, step: (key, value, step)
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    three_epochs_in_two_attempts("mlflow", tmp_path)
    assert asked[:3] == [("experiment?", "mine"), ("experiment", "mine"), ("run", "7", tmp_path.name)]
    assert asked[3] == (
        "batch", "abc", [], [("method", "propos"), ("train.epochs", "3"), ("train.optimizer", "sgd")],
    )  # fmt: skip
    assert asked[4] == ("batch", "abc", [("loss", 3.0, 1), ("scores/acc", 0.5, 1)], [])
    assert ("again", "abc", "RUNNING") in asked
    assert asked[-1] == ("end", "abc", "FINISHED")
    long = {f"option{number}": "x" * 1000 for number in range(150)}
    asked.clear()
    start_tracker("mlflow", Start(tmp_path, long)).finish({}, failed=True)
    batches = [what[3] for what in asked if what[0] == "batch" and what[3]]
    assert [len(batch) for batch in batches] == [100, 50]
    assert len(batches[0][0][1]) == 500
    assert asked[-1] == ("end", "abc", "FAILED")


@pytest.mark.parametrize("name", tracker_names())
def test_a_missing_package_is_named_with_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"--track {name} needs {name}: pip install 'coterie\[{name}\]'"):
        check_tracker(name)


def test_an_unknown_tracker() -> None:
    with pytest.raises(UsageError, match="unknown tracker 'wandbb': did you mean 'wandb'"):
        check_tracker("wandbb")
