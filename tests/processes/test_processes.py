"""The same global batch gives the same run, by one process, two or four."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small
from coterie import launch
from coterie.errors import CoterieError, UsageError
from coterie.launch import Launch, first_host, launched
from coterie.processes import Processes
from launching import finish, free_port, start

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """What every method found, by the number of processes."""
    folder = tmp_path_factory.mktemp("sharing")
    script = str(HERE / "sharing.py")
    found = {}
    for count in (1, 2, 4):
        ended = finish(start([script, str(folder / f"{count}.json")], count))
        assert [code for code, _ in ended] == [0] * count, ended
        found[count] = json.loads((folder / f"{count}.json").read_text())
    return found


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", [*small.LEARNING, "byol in parts"])
def test_processes_agree_with_one_alone(name: str, count: int, results: dict[int, dict[str, Any]]) -> None:
    alone, together = results[1][name], results[count][name]
    for one, other in zip(alone["losses"], together["losses"], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)
    assert together["labels"] == alone["labels"]
    np.testing.assert_allclose(together["embeddings"], alone["embeddings"], atol=5e-3)
    if alone["probabilities"] is not None:
        np.testing.assert_allclose(together["probabilities"], alone["probabilities"], atol=5e-3)
    # Weights, queues and groups are the same in every process, to the bit.
    assert together["drift"] == 0


@pytest.mark.parametrize("count", [2, 4])
def test_mixtures_over_shards_equal_those_of_the_whole(count: int, results: dict[int, dict[str, Any]]) -> None:
    whole, shared = results[1]["mixture"], results[count]["mixture"]
    np.testing.assert_allclose(shared["sample"], whole["sample"], atol=1e-9)
    np.testing.assert_allclose(shared["means"], whole["means"], atol=1e-9)
    assert shared["likelihood"] == pytest.approx(whole["likelihood"], abs=1e-9)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", ["kmeans euclidean 7", "kmeans cosine 7", "kmeans euclidean 9"])
def test_kmeans_over_shards_equals_that_of_the_whole(name: str, count: int, results: dict[int, dict[str, Any]]) -> None:
    whole, shared = results[1][name], results[count][name]
    assert shared["inertia"] == pytest.approx(whole["inertia"], rel=1e-4, abs=0.1)
    if name.endswith("9"):
        # Thousands of equal points add up to the fifth digit, and which of two equal centers is nearest is open.
        np.testing.assert_allclose(shared["centers"], whole["centers"], atol=1e-3)
    else:
        np.testing.assert_allclose(shared["centers"], whole["centers"], atol=1e-5)
        assert shared["labels"] == whole["labels"]


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", ["groups euclidean", "groups cosine"])
def test_groups_over_shards_equal_those_of_the_whole(name: str, count: int, results: dict[int, dict[str, Any]]) -> None:
    whole, shared = results[1][name], results[count][name]
    assert ("mixture" in whole["way"]) == (name == "groups cosine")
    assert all(found["handed"] for found in (whole, shared))
    assert (shared["way"], shared["clusters"]) == (whole["way"], whole["clusters"])
    assert shared["pseudo_labels"] == whole["pseudo_labels"]
    for figure in ("confidence", "outlier_score", "concentration", "prototypes"):
        np.testing.assert_allclose(shared[figure], whole[figure], atol=1e-4)


def test_shares_are_contiguous_and_miss_nothing() -> None:
    for total in (4, 7, 100):
        places = [list(range(total))[Processes(rank, 3).share(total)] for rank in range(3)]
        assert [place for each in places for place in each] == list(range(total))
        assert max(map(len, places)) - min(map(len, places)) <= 1


FIT = ["-m", "coterie", "fit", "images.npz", "-k", "3", "--epochs", "2", "--out", "run", "--device", "cpu"]
QUICK = ["--set", "batch_size=20", "--set", "hidden=16", "--set", "projection=8", "--set", "warmup_epochs=1"]
QUICK += ["--precision", "float32"]


def test_a_fit_by_two_processes_writes_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 50, (44, 8, 8, 3), dtype=np.uint8)
    images[np.arange(44), :, :, np.arange(44) % 3] += 200
    np.savez("images.npz", images=np.concatenate([images, images[:6]]), labels=np.arange(50) % 3)
    (code, said), (other_code, other_said) = finish(start([*FIT, *QUICK, "--collapse-copies"], 2))
    assert (code, other_code) == (0, 0), (said, other_said)
    assert "learning" in said
    assert "learning" not in other_said
    run = tmp_path / "run"
    assert len((run / "assignments.csv").read_text().splitlines()) == 51
    assert (run / "report.html").is_file()
    assert not (run / "shared").exists()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    alone = ["alone" if word == "run" else word for word in FIT]
    [(code, said)] = finish(start([*alone, *QUICK, "--collapse-copies"], 1))
    assert code == 0, said
    assert "6 images" in said
    whole, shared = (np.genfromtxt(each / "assignments.csv", delimiter=",")[1:, 1:5] for each in (Path("alone"), run))
    np.testing.assert_allclose(shared, whole, atol=1e-3)
    np.testing.assert_allclose(np.load(run / "embeddings.npy"), np.load("alone/embeddings.npy"), atol=5e-3)


def test_names_bind_in_two_processes_as_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez("images.npz", images=images)
    Path("labels.csv").write_text("key,label\n" + "".join(f"{row:06},{'ab'[row % 2]}\n" for row in range(8)))
    quick = ["--method", "propos", "--set", "hidden=16", "--set", "batch_size=20", "--quiet", "--labels", "labels.csv"]
    ended = finish(start([*FIT, *quick], 2))
    assert [code for code, _ in ended] == [0, 0], ended
    rows = [line.split(",") for line in Path("run/labelled.csv").read_text().splitlines()[1:9]]
    assert [row[1] for row in rows] == ["a", "b"] * 4


def test_a_run_that_cannot_begin_ends_everyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", images=np.zeros((50, 8, 8), dtype=np.uint8))
    ended = finish(start([*FIT, "--set", "train.epochz=2"], 2))
    assert [code for code, _ in ended] == [2, 2]
    assert "did you mean" in ended[0][1]
    # Not that nothing is said: on a busy machine torch tells of another try to connect.
    assert "epochz" not in ended[1][1]
    assert "did you mean" not in ended[1][1]


def test_one_process_failing_ends_the_others(tmp_path: Path) -> None:
    script = tmp_path / "failing.py"
    script.write_text(
        "import torch\n"
        "from coterie.launch import joined\n"
        "from coterie.processes import processes\n"
        "with joined():\n"
        "    processes().wait()\n"
        "    if processes().rank == 1:\n"
        "        raise SystemExit('out of memory, say')\n"
        "    processes().sum(torch.ones(1))\n"
    )
    (code, said), (other_code, other_said) = finish(start([str(script)], 2))
    assert (code, other_code) == (1, 1)
    assert "another process of this run is gone" in said
    assert "out of memory" in other_said


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are told from /proc")
def test_the_group_is_gone_with_its_threads_after_training(tmp_path: Path) -> None:
    script = tmp_path / "ending.py"
    script.write_text(
        "import torch\n"
        "from pathlib import Path\n"
        "from coterie.launch import joined\n"
        "from coterie.processes import processes\n"
        "def talking():\n"
        "    names = [each.read_text() for each in Path('/proc/self/task').glob('*/comm')]\n"
        "    return any('gloo' in name for name in names)\n"
        "with joined():\n"
        "    layer = torch.nn.Linear(2, 2)\n"
        "    processes().sum(layer(torch.ones(1, 2)).sum()).backward()\n"
        "    torch.optim.SGD(layer.parameters(), lr=0.1).step()\n"
        "    assert talking()\n"
        "assert not talking()\n"
    )
    assert [code for code, _ in finish(start([str(script)], 2))] == [0, 0]


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from coterie.data.feeding import loader
    from coterie.data.feeding.augment import AugmentConfig, Normalisation
    from coterie.data.reading.store import Store

    monkeypatch.setattr(loader, "processes", lambda: Processes(0, 3))
    store = Store(np.zeros((40, 1, 8, 8), dtype=np.uint8), [str(place) for place in range(40)])
    with pytest.raises(UsageError, match=r"3 processes cannot share a batch of 20 .*batch_size=18"):
        loader.ImageFeed(
            store, Normalisation((0.5,), (0.5,)), config=AugmentConfig(), views=("augmented",), batch_size=20,
            device=torch.device("cpu"), seed=0,
        )  # fmt: skip


def test_launchers_are_recognised() -> None:
    assert launched({}) is None
    assert launched({"WORLD_SIZE": "1", "RANK": "0"}) is None
    # A batch script has the job's variables, and is one process.
    assert launched({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}) is None
    torchrun = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "1234"}
    assert launched(torchrun) == Launch(3, 4, 1, "node1", 1234)
    srun = {
        "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "40007",
        "SLURM_STEP_NODELIST": "gpu[03-04]",
    }  # fmt: skip
    assert launched(srun) == Launch(5, 8, 1, "gpu03", 20_007, "SLURM_STEP_NUM_TASKS")
    with pytest.raises(UsageError, match="launcher"):
        launched({"WORLD_SIZE": "two", "RANK": "0"})


@pytest.mark.parametrize(
    ("hosts", "first"),
    [("a", "a"), ("a1,b2", "a1"), ("gpu[03-07,12],login1", "gpu03"), ("n[1,3]", "n1"), ("rack2-n[007]", "rack2-n007")],
)
def test_the_first_host_of_a_list(hosts: str, first: str) -> None:
    assert first_host(hosts) == first


def test_who_does_not_come_is_named_and_a_signal_is_heard(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A shell that a launcher left has its variables still."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": str(free_port())}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launch, "_SILENT_SECONDS", 0.0)
    monkeypatch.setattr(launch, "_MEETING_SECONDS", 0.3)
    with pytest.raises(CoterieError, match=r"1 other process of 2 at .* as WORLD_SIZE=2 says"), launch.joined():
        pass
    assert "waiting for 1 other process of 2" in capfd.readouterr().err
    monkeypatch.setattr(launch, "_MEETING_SECONDS", 60.0)
    monkeypatch.setenv("RANK", "1")
    # Longer than torch's store needs to find that nobody is there, of which it would print its frames of C++.
    interrupt = threading.Timer(1.5, signal.raise_signal, (signal.SIGINT,))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs ignore it.
    interrupt.start()
    try:
        with pytest.raises(KeyboardInterrupt), launch.joined():
            pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err.count("\n") == 1
