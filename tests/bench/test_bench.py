from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from coterie.bench import part_names
from coterie.bench._pillow import pillow_view
from coterie.bench.base import Budget, alternate
from coterie.cli import main
from coterie.data.feeding.augment import AugmentConfig, augment


@pytest.mark.parametrize("name", part_names())
def test_every_part_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", name, "--smoke", "--repeats", "1", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["machine"]["cores"] >= 1
    assert name in {result["name"] for result in printed["results"]}
    for result in printed["results"]:
        assert set(result) == {"name", "unit", "ours", "baseline", "baseline_name", "ratio", "note"}
        assert result["name"].split("/")[0] == name
        assert all(math.isfinite(result[key]) and result[key] > 0 for key in ("ours", "baseline", "ratio"))


def test_the_parts_are_those_that_are_spoken_of() -> None:
    wanted = {"train-step", "augment", "kmeans-10", "kmeans-1000", "knn", "decode", "startup", "contention"}
    assert wanted == set(part_names())


def test_a_ratio_above_one_means_ours_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def taking(seconds: float) -> object:
        return lambda: now.__setitem__(0, now[0] + seconds)

    times = alternate("x", taking(2.0), taking(6.0), "plain", Budget(3))  # type: ignore[arg-type]
    assert (times.ours, times.baseline, times.ratio) == (2.0, 6.0, 3.0)
    rates = alternate("x", taking(2.0), taking(6.0), "plain", Budget(3), amount=12, unit="views/s")  # type: ignore[arg-type]
    assert (rates.ours, rates.baseline, rates.ratio) == (6.0, 2.0, 3.0)


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "kmeans"]) == 2
    assert "did you mean 'kmeans-10'?" in capsys.readouterr().err
    assert main(["bench", "--repeats", "0"]) == 2


def test_the_plain_views_are_distributed_like_ours() -> None:
    """The baseline of the augmentation is not given less to do: mean, deviation and grey share agree."""
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    plain = np.stack([pillow_view(smooth, rng) for _ in range(1500)])
    mean, deviation = (np.array(x, dtype=np.float32).reshape(3, 1, 1) for x in ((0.49, 0.48, 0.45), (0.25, 0.24, 0.26)))
    plain = plain * deviation + mean
    raw = torch.from_numpy(smooth.transpose(2, 0, 1).copy()).expand(1500, -1, -1, -1)
    ours = augment(raw, AugmentConfig(), torch.Generator().manual_seed(0)).numpy()
    for statistic in (lambda x: x.mean(axis=(2, 3)).mean(), lambda x: x.mean(axis=(1, 2, 3)).std(), lambda x: x.std()):
        assert statistic(ours) == pytest.approx(statistic(plain), rel=0.1)
    grey = [np.mean((np.ptp(x, axis=1) < 0.02).all(axis=(1, 2))) for x in (ours, plain)]
    assert grey[0] == pytest.approx(0.2, abs=0.05)
    assert grey[1] == pytest.approx(0.2, abs=0.05)
