from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_score

from coterie.cli import main
from coterie.cluster.kmeans import kmeans
from coterie.cluster.silhouette import silhouette
from coterie.errors import UsageError
from coterie.evaluate.choose_k import Criterion, _recommend, bic, choose_k, prediction_strengths


def groups(count: int, *, width: int = 8, seed: int = 0) -> torch.Tensor:
    points, _ = make_blobs(60 * count, width, centers=count, cluster_std=1.0, center_box=(-12, 12), random_state=seed)
    return torch.from_numpy(points).float()


@pytest.mark.parametrize("count", [4, 7, 12, 20])
def test_separated_groups_are_counted(count: int) -> None:
    choice = choose_k(groups(count), 2, 24)
    assert abs(choice.recommended - count) <= 1
    assert str(choice.recommended) in choice.reason
    assert {criterion.name for criterion in choice.criteria} == {"silhouette", "prediction strength", "BIC", "gap"}


def test_groups_by_direction_are_counted() -> None:
    directions = torch.randn(6, 10, generator=torch.Generator().manual_seed(0)).repeat_interleave(50, dim=0)
    noise = 0.1 * torch.randn(300, 10, generator=torch.Generator().manual_seed(1))
    lengths = torch.rand(300, 1, generator=torch.Generator().manual_seed(2)) + 0.5
    assert abs(choose_k(lengths * (directions + noise), 2, 12, metric="cosine").recommended - 6) <= 1


def test_silhouette_equals_scikit_learns() -> None:
    points, labels = groups(4), torch.arange(240) % 4
    ours = silhouette(torch.cdist(points, points), labels, 4)
    assert ours == pytest.approx(silhouette_score(points.numpy(), labels.numpy()), abs=1e-4)


def test_silhouette_by_hand() -> None:
    # Two pairs at distance 1, ten apart: a = 1, b = 10 or 11 or so.
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    ours = silhouette(torch.cdist(points, points), torch.tensor([0, 0, 1, 1]), 2)
    assert ours == pytest.approx((1 - 1 / 10.5 + 1 - 1 / 9.5) / 2, rel=1e-5)


def test_strength_is_one_for_what_is_there_and_less_for_what_is_not() -> None:
    draw = torch.Generator().manual_seed(0)
    assert prediction_strengths(groups(4), [4], metric="euclidean", draw=draw)[4] > 0.95
    assert prediction_strengths(groups(4), [7], metric="euclidean", draw=draw)[7] < 0.8


def test_complexity_costs() -> None:
    draw = torch.Generator().manual_seed(0)
    points = groups(4)
    starts = {k: kmeans(points, k, generator=draw).labels for k in (2, 4, 12)}
    values = [bic(points, labels, k, metric="euclidean", draw=draw) for k, labels in starts.items()]
    assert values[1] == min(values)


def test_most_votes_win_and_the_silhouette_decides_between_equals() -> None:
    def votes(*choices: int) -> int:
        return _recommend(tuple(Criterion(str(place), {}, k, "") for place, k in enumerate(choices))).recommended

    assert votes(9, 10, 10, 20) == 10
    assert votes(5, 9, 13, 20) == 5
    assert votes(20, 7, 8, 8) == 8


def test_ranges_that_make_no_sense_are_refused() -> None:
    for least, most in ((1, 5), (6, 5)):
        with pytest.raises(UsageError, match="2 ≤ from ≤ to"):
            choose_k(groups(4), least, most)
    with pytest.raises(UsageError, match="too few"):
        choose_k(groups(4)[:50], 2, 20)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], blobs: tuple) -> None:
    np.savez(tmp_path / "features.npz", features=groups(5).numpy())
    plot = tmp_path / "numbers.png"
    command = ["choose-k", str(tmp_path / "features.npz"), "--to", "9", "--quiet"]
    assert main([*command, "--json", "--plot", str(plot)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert abs(printed["recommended"] - 5) <= 1
    assert set(printed["criteria"][0]["values"]) == {str(k) for k in range(2, 10)}
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert main(command) == 0
    assert f"{printed['recommended']} groups: " in capsys.readouterr().out
    np.savez(tmp_path / "images.npz", images=blobs[0])
    assert main(["choose-k", str(tmp_path / "images.npz"), "--to", "6", "--json"]) == 0
    assert abs(json.loads(capsys.readouterr().out)["recommended"] - 3) <= 1
