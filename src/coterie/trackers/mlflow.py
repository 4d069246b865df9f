"""MLflow. Its own settings hold: MLFLOW_TRACKING_URI says where runs are kept, MLFLOW_EXPERIMENT_NAME among which."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from coterie.config import flat
from coterie.extras import require
from coterie.trackers.base import Start

# What MLflow takes at a time, and as one value.
_MOST, _LONGEST = 100, 500


def check() -> None:
    _package()


class MLflow:
    """Goes by the client, as MLflow's plain functions keep the current run in a global."""

    def __init__(self, start: Start) -> None:
        mlflow = _package()
        self._client, self._entities = mlflow.MlflowClient(), mlflow.entities
        if start.identity is not None:
            self.identity = start.identity
            self._client.update_run(self.identity, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "coterie")
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        self.identity = self._client.create_run(experiment, run_name=start.folder.name).info.run_id
        settings = [self._entities.Param(key, str(value)[:_LONGEST]) for key, value in flat(start.settings).items()]
        for first in range(0, len(settings), _MOST):
            self._client.log_batch(self.identity, params=settings[first : first + _MOST])

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        now = int(time.time() * 1000)
        metrics = [self._entities.Metric(name, value, now, epoch) for name, value in values.items()]
        self._client.log_batch(self.identity, metrics=metrics)

    def finish(self, summary: Mapping[str, float], *, failed: bool) -> None:
        self.log({f"final/{name}": value for name, value in summary.items()}, 0)
        self._client.set_terminated(self.identity, "FAILED" if failed else "FINISHED")


def _package() -> Any:
    return require("mlflow", extra="mlflow", what="--track mlflow")


TRACKER = MLflow
