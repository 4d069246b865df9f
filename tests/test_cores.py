from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coterie import control_groups
from coterie.cores import cores, share_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups with nothing in it, and eight cores on a machine of eight."""
    monkeypatch.setattr(control_groups, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(control_groups, "_ROOT", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_quota_of_version_2_counts_with_those_it_lies_in(groups: Path) -> None:
    write(groups / "cgroup", "0::/job/step\n")
    write(groups / "job/step/cpu.max", "max 100000\n")
    assert cores() == 8
    write(groups / "job/cpu.max", "250000 100000\n")
    assert cores() == 3


def test_a_quota_of_version_1_counts(groups: Path) -> None:
    write(groups / "cgroup", "4:cpu,cpuacct:/box\n3:memory:/box\n")
    write(groups / "cpu/box/cpu.cfs_quota_us", "-1\n")
    write(groups / "cpu/box/cpu.cfs_period_us", "100000\n")
    assert cores() == 8
    write(groups / "cpu/box/cpu.cfs_quota_us", "50000\n")
    assert cores() == 1


def test_what_cannot_be_read_limits_nothing(groups: Path) -> None:
    assert cores() == 8
    write(groups / "cgroup", "0::/\n")
    write(groups / "cpu.max", "much\n")
    assert cores() == 8


def test_threads_wait_briefly_and_are_no_more_than_cores(groups: Path) -> None:
    environment: dict[str, str] = {}
    share_cores(environment)
    assert set(environment) == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
    write(groups / "cgroup", "0::/\n")
    write(groups / "cpu.max", "200000 100000\n")
    share_cores(environment)
    assert environment["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_what_a_user_has_set_stands(groups: Path, name: str) -> None:
    write(groups / "cgroup", "0::/\n")
    write(groups / "cpu.max", "200000 100000\n")
    environment = {name: "7", "OMP_NUM_THREADS": "5"}
    share_cores(environment)
    assert environment == {name: "7", "OMP_NUM_THREADS": "5"}


def test_the_command_line_says_so_before_torch_is_loaded() -> None:
    told = (
        "import os, sys; from coterie import cores\n"
        "def share(environment): print('torch' in sys.modules)\n"
        "cores.share_cores = share\n"
        "from coterie.cli import main; main(['recipes'])"
    )
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[0] == "False"
