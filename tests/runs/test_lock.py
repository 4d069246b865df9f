from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coterie.cli import main
from coterie.errors import UsageError
from coterie.runs import lock
from coterie.runs.lock import only_writer


def test_a_second_writer_is_refused_and_the_first_named(tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    with only_writer(run), pytest.raises(UsageError, match=f"process {os.getpid()} on"), only_writer(run):
        pass
    assert not run.exists()
    with only_writer(run):
        (run / "kept").touch()
    assert [path.name for path in run.iterdir()] == ["kept"]


def held(run: Path, **about: object) -> None:
    run.mkdir(exist_ok=True)
    (run / "lock").write_text(json.dumps({"host": socket.gethostname(), "since": 0.0, "mark": "x", **about}))


def test_what_a_dead_process_held_is_free(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    held(tmp_path / "run", pid=gone.pid, born="1")
    with only_writer(tmp_path / "run"):
        pass
    held(tmp_path / "run", pid=os.getpid(), born="of another with this number")
    with only_writer(tmp_path / "run"):
        pass


def test_a_machine_far_away_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held(tmp_path / "run", pid=1, host="elsewhere")
    with pytest.raises(UsageError, match="process 1 on elsewhere"), only_writer(tmp_path / "run"):
        pass
    before = time.time() - 2 * lock._DEAD_SECONDS
    os.utime(tmp_path / "run" / "lock", (before, before))
    with only_writer(tmp_path / "run"):
        pass
    monkeypatch.setattr(lock, "_SIGN_SECONDS", 0.01)
    with only_writer(tmp_path / "run"):
        os.utime(tmp_path / "run" / "lock", (before, before))
        while (tmp_path / "run" / "lock").stat().st_mtime < before + 1:
            time.sleep(0.01)


def test_rubbish_in_its_place_is_given_up_late(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").write_text("[")
    with pytest.raises(UsageError, match="another process"), only_writer(tmp_path / "run"):
        pass


def test_every_verb_that_writes_asks_first(
    tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    fit = ["fit", str(photo_folder), "-k", "2", "--epochs", "1", "--quiet", "--out", run]
    assert main([*fit, "--labels-from-folders"]) == 0
    (tmp_path / "labels.csv").write_text("key,label\nreds/00.png,red\n")
    verbs = [["apply", run, str(tmp_path / "labels.csv")], ["evaluate", run], ["report", run], [*fit, "--resume"],
             ["export", run, "--coco", f"{run}/coco.json"]]  # fmt: skip
    with only_writer(Path(run)):
        for verb in verbs:
            capsys.readouterr()
            assert main(verb) == 2, verb
            assert "is being written by process" in capsys.readouterr().err
    assert main(["report", run]) == 0
    assert main([*fit, "--resume"]) == 0
    assert not (tmp_path / "run" / "lock").exists()
