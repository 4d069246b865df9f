"""How long a run may take: epochs from a pace, written down as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import small
from coterie.cli import main
from coterie.errors import UsageError
from coterie.plan import Plan, Request, plan
from coterie.plan.budget import asked_for, by_default, round_coarsely, round_finely
from coterie.plan.estimate import Pace
from coterie.plan.plan import _by_default  # The tests' own machine has no pace, see conftest.

TINY = ("hidden=16", "projection=8", "batch_size=20")


def pace(epoch: float, other: float = 0.0) -> Pace:
    return Pace(epoch, other, 1, 1)


def paced(monkeypatch: pytest.MonkeyPatch, epoch: float, other: float = 0.0) -> None:
    monkeypatch.setattr(Plan, "pace", pace(epoch, other))


def test_epochs_fill_the_minutes_asked_for() -> None:
    assert asked_for(pace(10.0), 2) == 11
    assert asked_for(pace(10.0, other=60.0), 2) == 5
    assert asked_for(pace(600.0), 2) == 1
    for epoch in (0.1, 0.37, 1.0, 2.9, 7.0):
        for minutes in (1, 3, 10, 45):
            whole = asked_for(pace(epoch), minutes) * epoch / 60 + 0.1  # Six seconds to start, read and write.
            assert whole == pytest.approx(minutes, rel=0.06)


def test_defaults_aim_at_ten_minutes_and_stay_below_thirty() -> None:
    assert by_default(pace(6.0), gpu=False) == 100
    assert by_default(pace(0.01), gpu=False) == 400
    assert by_default(pace(0.01), gpu=True) == 1000
    assert by_default(pace(60.0), gpu=False) == 15  # Fewer teach too little, and these take fifteen.
    assert by_default(pace(300.0), gpu=False) == 6
    assert by_default(pace(3600.0), gpu=False) == 1


def test_a_pace_a_little_off_mostly_leads_to_the_same_plan() -> None:
    assert [round_coarsely(epochs) for epochs in (0.2, 7.4, 95, 100, 108, 166, 183)] == [1, 7, 100, 100, 100, 150, 200]
    assert [round_finely(epochs) for epochs in (0.2, 19.2, 33.1, 77.7, 143, 487, 777)] == [0, 19, 34, 80, 140, 480, 800]


def test_minutes_become_epochs_and_a_warm_up_in_the_plan(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paced(monkeypatch, 6.0)
    found = plan(Request(str(photo_folder), 2, settings=TINY, minutes=3, device="cpu"))
    settings = {name: (value, origin) for name, value, origin in found.settings()}
    assert settings["train.epochs"] == (28, "3 minutes on this machine")
    assert settings["train.warmup_epochs"] == (2, "in proportion to the epochs")
    assert found.estimate.seconds == 168


def test_without_a_word_a_run_takes_ten_minutes(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paced(monkeypatch, 3.0)
    found = plan(Request(str(photo_folder), 2, settings=TINY, device="cpu"))
    assert _by_default(found).values == {"train.epochs": 200}
    paced(monkeypatch, 60.0)
    found = plan(Request(str(photo_folder), 2, settings=TINY, device="cpu"))
    assert _by_default(found).values == {"train.epochs": 134}  # A third of what their number suggests, at the least.
    paced(monkeypatch, 0.001)
    assert not _by_default(found).values  # As many as so few images profit from.


def test_a_run_within_minutes_writes_numbers_and_repeats_by_them(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paced(monkeypatch, 30.0)
    command = ["fit", str(photo_folder), "-k", "2", *(part for setting in TINY for part in ("--set", setting))]
    assert main([*command, "--minutes", "1", "--out", str(tmp_path / "run")]) == 0
    assert "minutes, not 1: " in capsys.readouterr().err
    paced(monkeypatch, 1.0)
    assert main([*command, "--minutes", "1", "--out", str(tmp_path / "run"), "--resume"]) == 0
    again = ["--recipe", str(tmp_path / "run" / "config.yaml"), "--out", str(tmp_path / "again"), "--quiet"]
    assert main([*command, *again]) == 0
    configs = [(tmp_path / run / "config.yaml").read_text() for run in ("run", "again")]
    assert "epochs: 2\n" in configs[0]
    assert configs[0] == configs[1]
    np.testing.assert_array_equal(*(np.load(tmp_path / run / "embeddings.npy") for run in ("run", "again")))


def test_minutes_that_make_no_sense_are_refused(photo_folder: Path) -> None:
    for wanted, word in (({"minutes": 0.0}, "above 0"), ({"minutes": 1.0, "epochs": 3}, "leave one")):
        with pytest.raises(UsageError, match=word):
            plan(Request(str(photo_folder), 2, settings=TINY, device="cpu", **wanted))  # type: ignore[arg-type]


def test_where_nothing_is_learnt_there_is_nothing_to_choose(tmp_path: Path, blobs: tuple) -> None:
    said: list[str] = []
    pack = small.source("kmeans", blobs[0], tmp_path / "pack.npz")
    plan(Request(str(pack), 3, method="kmeans", minutes=1, device="cpu"), note=said.append)
    assert any("nothing to choose" in line for line in said)


def test_minutes_beside_a_recipe_go_on_as_they_began(
    tmp_path: Path, blobs: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, 30.0)
    np.savez(tmp_path / "pack.npz", images=blobs[0])
    recipe = "{method: simclr, clusters: 3, backbone: convnet-small, train: {epochs: 40, warmup_epochs: 20}}"
    (tmp_path / "mine.yaml").write_text(recipe)
    command = ["fit", str(tmp_path / "pack.npz"), "--recipe", str(tmp_path / "mine.yaml"), "--minutes", "1", "--quiet"]
    settings = [part for setting in TINY for part in ("--set", setting)]
    command += [*settings, "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    (tmp_path / "run" / "summary.json").unlink()
    assert main([*command, "--resume"]) == 0
