"""The store, in memory and mapped to a file."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from coterie import control_groups
from coterie import memory as memory_module
from coterie.data.reading import ingest as ingest_module
from coterie.data.reading.ingest import allocate, ingest
from coterie.data.sources.arrays import ArraySource
from coterie.errors import CoterieError
from coterie.evaluate import baseline as baseline_module
from coterie.evaluate.baseline import baseline
from coterie.memory import memory


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a thousand bytes of memory."""
    monkeypatch.setattr(ingest_module, "memory", lambda: 1000)


@pytest.mark.usefixtures("little")
def test_too_large_for_memory_goes_to_a_file(tmp_path: Path, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    in_memory, _ = ingest(ArraySource(blobs[0]), 8)
    mapped, _ = ingest(ArraySource(blobs[0]), 8, scratch=tmp_path / "store.npy")
    assert (tmp_path / "store.npy").stat().st_size > 60 * 3 * 64
    assert isinstance(mapped.images, np.memmap)
    assert np.array_equal(mapped.images, in_memory.images)
    assert mapped.fingerprint() == in_memory.fingerprint()
    assert mapped.channel_statistics() == in_memory.channel_statistics()
    assert torch.equal(mapped.rows(torch.tensor([5, 3])), in_memory.rows(torch.tensor([5, 3])))


@pytest.mark.usefixtures("little")
def test_colours_become_grey_where_they_lie(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    in_memory, _ = ingest(ArraySource(images), 8, channels=1)
    mapped, _ = ingest(ArraySource(images), 8, channels=1, scratch=tmp_path / "store.npy")
    assert isinstance(mapped.images, np.memmap)
    assert np.array_equal(mapped.images, in_memory.images)


@pytest.mark.usefixtures("little")
def test_a_full_disk_is_told_before_work_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(CoterieError, match=r"store.npy: no room for 0.3 GB of images \(No space left"):
        allocate((100_000, 3, 32, 32), tmp_path / "store.npy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("little")
@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves no room")
def test_the_room_of_a_mapped_store_is_taken_at_once(tmp_path: Path) -> None:
    allocate((100, 3, 32, 32), tmp_path / "store.npy")
    status = (tmp_path / "store.npy").stat()
    assert status.st_blocks * 512 >= status.st_size > 100 * 3 * 32 * 32


def test_limits_of_containers_and_jobs_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory_module._physical()
    monkeypatch.setattr(control_groups, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(control_groups, "_ROOT", tmp_path)
    assert memory() <= machine  # No groups here.
    (tmp_path / "job" / "step").mkdir(parents=True)
    (tmp_path / "job" / "step" / "memory.max").write_text("max\n")
    (tmp_path / "job" / "memory.max").write_text("5000000\n")
    (tmp_path / "cgroup").write_text("0::/job/step\n")
    assert memory() == 5_000_000
    (tmp_path / "memory" / "old").mkdir(parents=True)
    (tmp_path / "memory" / "old" / "memory.limit_in_bytes").write_text("4000000\n")
    (tmp_path / "cgroup").write_text("12:cpu:/\n7:hugetlb,memory:/old\n0::/\nnonsense\n")
    assert memory() == 4_000_000


def test_of_very_many_the_baseline_takes_some(
    monkeypatch: pytest.MonkeyPatch, blobs: tuple[np.ndarray, np.ndarray]
) -> None:
    store, _ = ingest(ArraySource(blobs[0], labels=blobs[1]), 8)
    taken = []
    monkeypatch.setattr(baseline_module, "_MOST", 64 * 15)
    monkeypatch.setattr(
        type(store), "rows", lambda self, index: taken.append(index) or torch.tensor(self.images[index])
    )
    assert baseline(store, 3, seed=0).scores.acc == 1.0
    assert torch.cat(taken).tolist() == list(range(0, 60, 4))


def beyond_memory(folder: Path, count: int, headroom: int) -> dict[str, int]:
    """See `beyond_memory.py`: of so many images of 96 pixels, with `headroom` bytes for all that is done with them."""
    script = Path(__file__).with_name("beyond_memory.py")
    command = [sys.executable, str(script), str(folder / "store.npy"), str(count), str(headroom)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits private memory alone")


@needs_limits
def test_a_store_larger_than_the_memory_it_may_use(tmp_path: Path) -> None:
    found = beyond_memory(tmp_path, 10_000, 150_000_000)
    assert found["store"] > 1.8 * found["headroom"]


@needs_limits
@pytest.mark.soak
def test_a_store_several_times_larger_than_all_memory_of_the_process(tmp_path: Path) -> None:
    found = beyond_memory(tmp_path, 60_000, 120_000_000)
    assert found["store"] > 3 * found["limit"]
