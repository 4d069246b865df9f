from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coterie.cli import main
from coterie.errors import CoterieError, UsageError
from coterie.workflow.stability import stability

QUICK = ["--epochs", "2", "--set", "hidden=16", "--set", "projection=8", "--set", "batch_size=20", "--device", "cpu"]


@pytest.fixture
def pack(tmp_path: Path, blobs: tuple) -> Path:
    np.savez(tmp_path / "pack.npz", images=blobs[0], labels=blobs[1])
    return tmp_path / "pack.npz"


@pytest.fixture
def run(pack: Path, tmp_path: Path) -> Path:
    assert main(["fit", str(pack), "-k", "3", "--seed", "4", *QUICK, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    return tmp_path / "run"


def test_further_seeds_are_run_once_and_kept(run: Path, pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stability", str(run), "--seeds", "1", "--quiet"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("mean ARI ")
    assert "seeds 4, 5" in first
    kept = run / "stability" / "seed-5"
    written = (kept / "summary.json").stat().st_mtime_ns
    assert json.loads((kept / "summary.json").read_text())["seed"] == 5
    assert main(["stability", str(run), "--seeds", "2", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seeds"] == [4, 5, 6]
    assert len(found["pairs"]) == 3
    assert [one["cluster"] for one in found["clusters"]] == [0, 1, 2]
    assert sum(one["size"] for one in found["clusters"]) == 60
    assert (kept / "summary.json").stat().st_mtime_ns == written
    pack.unlink()  # What is there already needs no images.
    assert stability(run, seeds=2).ari == pytest.approx(found["ari"])
    with pytest.raises(UsageError, match="stability needs again: there is no"):
        stability(run, seeds=3)


def test_the_runs_are_those_a_person_would_get(run: Path, pack: Path, tmp_path: Path) -> None:
    stability(run, seeds=1)
    alone = tmp_path / "alone"
    assert main(["fit", str(pack), "-k", "3", "--seed", "5", *QUICK, "--out", str(alone), "--quiet"]) == 0
    assert (alone / "assignments.csv").read_bytes() == (run / "stability/seed-5/assignments.csv").read_bytes()


def test_bad_use_is_explained(run: Path, pack: Path, blobs: tuple) -> None:
    with pytest.raises(UsageError, match="--seeds must be at least 1"):
        stability(run, seeds=0)
    with pytest.raises(UsageError, match="not a run"):
        stability(run / "model")
    stability(run, seeds=1)
    kept = run / "stability" / "seed-5"
    config = (kept / "config.yaml").read_text()
    (kept / "config.yaml").write_text(config.replace("epochs: 2", "epochs: 3"))
    with pytest.raises(UsageError, match=r"another configuration: delete it"):
        stability(run, seeds=1)
    (kept / "config.yaml").write_text(config)
    np.savez(pack, images=blobs[0][:50], labels=blobs[1][:50])
    with pytest.raises(CoterieError, match="10 images are gone"):
        stability(run, seeds=2)
