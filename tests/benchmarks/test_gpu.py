"""The commands for a GPU that is lent for minutes, in small and on a CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gpu.carry import MOST, pack, read_parts, unpack, write_parts
from gpu.parts import Lease, Part, objects
from gpu.quantised import from_logarithmic, from_signed, logarithmic, signed
from gpu.steps import told

ROOT = Path(__file__).parents[2]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def checkpoint(**moments: torch.Tensor) -> dict[str, Any]:
    """A method of a network, its average and a small tensor, with an optimiser's state for the network."""
    online = random(80, 100)
    return {
        "format": 1, "fingerprint": 1 << 60, "epochs": 3, "seconds": 1.5,
        "method": {"encoder.weight": online, "encoder.mean": random(9), "encoder.steps": torch.tensor(7),
                   "target_encoder.weight": online + 0.01 * random(80, 100, seed=1)},
        "optimizer": {"state": {0: moments} if moments else {}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    }  # fmt: skip


def test_few_bits_suffice() -> None:
    values = random(3, 700)
    assert (from_signed(signed(values), (3, 700)) - values).abs().max() <= values.abs().max() / 13
    squares = values.square() * 1e-9
    squares[0, :300] = 0
    found = from_logarithmic(logarithmic(squares), (3, 700))
    assert torch.equal(found == 0, squares == 0)
    assert ((found / squares)[squares > 0].log().abs() < 0.1).all()


@pytest.mark.parametrize("name", ["momentum_buffer", "exp_avg"])
def test_a_checkpoint_comes_back_nearly_as_it_was(name: str, tmp_path: Path) -> None:
    state = checkpoint(**{name: random(80, 100, seed=2), "exp_avg_sq": random(80, 100, seed=3).square()})
    write_parts(pack(state), tmp_path)
    found = unpack(read_parts(tmp_path))
    for same in ("format", "fingerprint", "epochs", "seconds"):
        assert found[same] == state[same]
    assert list(found["method"]) == list(state["method"])
    for exact in ("encoder.mean", "encoder.steps"):
        assert torch.equal(found["method"][exact], state["method"][exact])
    online, average = (found["method"][each] for each in ("encoder.weight", "target_encoder.weight"))
    assert torch.allclose(online, state["method"]["encoder.weight"], rtol=1e-3, atol=1e-6)
    apart = state["method"]["target_encoder.weight"] - state["method"]["encoder.weight"]
    assert torch.nn.functional.cosine_similarity((average - online).flatten(), apart.flatten(), dim=0) > 0.98
    assert found["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    momentum = found["optimizer"]["state"][0][name]
    assert torch.nn.functional.cosine_similarity(momentum.flatten(), random(80, 100, seed=2).flatten(), dim=0) > 0.98


def test_what_has_no_room_is_left_out_in_order() -> None:
    state = checkpoint(exp_avg=random(80, 100), exp_avg_sq=random(80, 100).square(), step=torch.tensor(9.0))
    whole, spare = len(pack(state)), 1 << 18
    tight = unpack(pack(state, whole + spare - 2000))
    assert not tight["optimizer"]["state"][0]["exp_avg"].any()
    assert tight["optimizer"]["state"][0]["exp_avg_sq"].any()
    assert not torch.equal(tight["method"]["target_encoder.weight"], tight["method"]["encoder.weight"])
    bare = unpack(pack(state, 0))
    assert torch.equal(bare["method"]["target_encoder.weight"], bare["method"]["encoder.weight"])
    assert bare["optimizer"]["state"] == {}  # Adam's steps count from its squares.


def test_parts_of_two_checkpoints_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_parts(tmp_path) is None
    monkeypatch.setattr("gpu.carry.MOST", 5)
    write_parts(b"one whole thing", tmp_path)
    assert read_parts(tmp_path) == b"one whole thing"
    first = (tmp_path / "checkpoint.0").read_bytes()
    write_parts(b"another", tmp_path)
    assert read_parts(tmp_path) == b"another"
    (tmp_path / "checkpoint.0").write_bytes(first)
    assert read_parts(tmp_path) is None
    assert MOST < 16 << 20


def test_every_part_has_a_time_of_its_own(tmp_path: Path) -> None:
    def say(code: str) -> list[str]:
        return [sys.executable, "-u", "-c", code]

    lease = Lease(tmp_path, 60, ROOT)
    lease.run(Part("quick", say("print('noise'); print('{\"a\": 1}'); print('{\"a\": 2}')"), 30))
    lease.run(Part("wrong", say("print('{\"a\": 3}'); raise SystemExit('no such thing')"), 30))
    lease.run(Part("slow", say("import time\nprint('{\"a\": 4}')\ntime.sleep(60)"), 5))
    lease.run(Part("late", say("print(1)"), 30), spare=59)
    found = json.loads((tmp_path / "results.json").read_text())
    assert {name: part["state"] for name, part in found.items()} == {
        "quick": "done", "wrong": "failed", "slow": "cut short", "late": "left out"
    }  # fmt: skip
    assert [part["results"] for part in found.values()] == [[{"a": 1}, {"a": 2}], [{"a": 3}], [{"a": 4}], []]
    assert "no such thing" in found["wrong"]["told"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json"]
    again = Lease(tmp_path, 60, ROOT)
    again.run(Part("quick", say("raise SystemExit(1)"), 30))
    assert again.results["quick"]["state"] == "done"
    assert objects('{\n "a": 1\n}') == [{"a": 1}]


def test_gaps_and_kernels_of_a_trace() -> None:
    def kernel(name: str, begin: float, length: float, kind: str = "kernel") -> dict[str, Any]:
        return {"ph": "X", "cat": kind, "name": name, "ts": begin, "dur": length}

    events = [
        kernel("product", 0, 400),
        kernel("add", 500, 100),
        kernel("product", 600, 400),
        kernel("host", 0, 9, "cpu_op"),
    ]
    found = told(events, 2, ("kernel",))
    assert (found["step_ms"], found["busy_ms"], found["idle_share"]) == (0.5, 0.45, 0.1)
    assert [(each["name"], each["share"], each["calls"]) for each in found["kernels"]] == [
        ("product", 0.8889, 1.0), ("add", 0.1111, 0.5)
    ]  # fmt: skip
    assert told([], 2, ("kernel",))["kernels"] == []


@pytest.fixture
def pack_of_images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 10
    images = rng.integers(0, 60, (400, 16, 16, 3)) + 18 * labels[:, None, None, None]
    np.savez(tmp_path / "cifar10.npz", images=images.astype(np.uint8), labels=labels)
    return tmp_path / "cifar10.npz"


def command(which: str, out: Path, *more: str) -> subprocess.Popen[bytes]:
    called = [str(ROOT / "benchmarks" / "gpu.sh"), which, str(out), *more, "--small", "--device", "cpu"]
    return subprocess.Popen(called, env={**os.environ, "PYTHON": sys.executable}, start_new_session=True)


@pytest.mark.soak
def test_both_leases_with_a_kill_in_the_middle(pack_of_images: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    data = ("--data", str(pack_of_images), "--minutes", "1")
    process = command("first", first, *data, "--seconds", "3600")
    while not (first / "checkpoint.0").is_file():
        assert process.poll() is None, "it ended before it learnt anything"
        time.sleep(0.5)
    time.sleep(5)
    results = json.loads((first / "results.json").read_text())
    for group in (process.pid, results["cifar10"]["pid"]):
        os.killpg(group, signal.SIGKILL)
    process.wait()
    assert {name: part["state"] for name, part in results.items() if name not in ("lease", "cifar10")} == {
        name: "done" for name in results if name not in ("lease", "cifar10")
    }
    before = unpack(read_parts(first))["epochs"]
    assert before > 0
    files = [path for path in first.iterdir() if not path.name.startswith(".")]
    assert len(files) <= 8
    assert command("second", second, str(first), *data, "--seconds", "600").wait() == 0
    found = json.loads((second / "results.json").read_text())["cifar10"]
    assert found["state"] == "done", found
    report = found["results"][-1]
    assert report["curve"][-1][0] == report["epochs"] > before
    assert [line[0] for line in report["curve"]] == list(range(1, report["epochs"] + 1))
    assert report["scores"]["acc"] > 0
