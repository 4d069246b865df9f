"""Joining the processes that `torchrun` or `srun` started beside this one."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from coterie.errors import CoterieError, UsageError
from coterie.streams import Words

# The others wait as long as the first one reads the images.
_PATIENCE = timedelta(hours=24)
# Until all have come; a launcher starts them together, but one that is not there will never be.
_MEETING_SECONDS = 600.0
# When it is said who is waited for, how long it may take to learn that nobody listens there, and one that listens to
# answer, however busy; how often it is looked who came.
_SILENT_SECONDS, _LISTENING_SECONDS, _TRY, _EVERY_SECONDS = 2.0, 1.0, timedelta(seconds=30), 0.05


@dataclass(frozen=True)
class Launch:
    """What a launcher tells a process: its place among all and on its node, where to meet, and in which variable."""

    rank: int
    count: int
    local: int
    host: str
    port: int
    variable: str = "WORLD_SIZE"


def launched(environment: Mapping[str, str]) -> Launch | None:
    """What `torchrun` or SLURM's `srun` put into the environment; None for a process on its own.

    Raises:
        UsageError: variables of a launcher that make no sense.
    """
    try:
        if int(environment.get("WORLD_SIZE", "1")) > 1 and "RANK" in environment:
            return Launch(
                int(environment["RANK"]),
                int(environment["WORLD_SIZE"]),
                int(environment.get("LOCAL_RANK", "0")),
                environment.get("MASTER_ADDR", "127.0.0.1"),
                int(environment.get("MASTER_PORT", "29500")),
            )
        # A batch script alone has the job's variables, but not those of a step.
        if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in environment:
            return Launch(
                int(environment["SLURM_PROCID"]),
                int(environment["SLURM_STEP_NUM_TASKS"]),
                int(environment.get("SLURM_LOCALID", "0")),
                environment.get("MASTER_ADDR") or first_host(environment["SLURM_STEP_NODELIST"]),
                int(environment.get("MASTER_PORT") or 20_000 + int(environment.get("SLURM_JOB_ID", "0")) % 20_000),
                "SLURM_STEP_NUM_TASKS",
            )
    except (KeyError, ValueError) as error:
        raise UsageError(f"the launcher's environment is incomplete or odd: {error}") from None
    return None


def first_host(hosts: str) -> str:
    """The first of a list of hosts as SLURM writes it: `gpu[03-07,12],login1` begins with gpu03."""
    found = re.match(r"([^\[,]+)(?:\[([^\],-]+))?([^,]*)", hosts.strip())
    if found is None:
        raise ValueError(f"no host in '{hosts}'")
    return found.group(1) + (found.group(2) or "")


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Join the others for the length of a command, if there are any; several GPUs of a node get one process each.

    Raises:
        UsageError: a launcher's environment that makes no sense. CoterieError: the others could not be met.
    """
    launch = launched(os.environ)
    if launch is None:
        yield
        return
    import torch

    # Its functions take the group of the moment they are imported as their default and would keep it for good; torch
    # imports it late, with the optimiser, and the group's threads would then run into the end of the interpreter.
    import torch.distributed.nn
    from torch import distributed as dist

    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(launch.local % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    try:
        store = _met(launch)
        dist.init_process_group(backend, store=store, rank=launch.rank, world_size=launch.count, timeout=_PATIENCE)
    except CoterieError:
        raise
    except (RuntimeError, ValueError) as error:
        where = f"{launch.host}:{launch.port}"
        raise CoterieError(f"the other processes could not be met at {where}: {str(error).splitlines()[0]}") from None
    try:
        yield
    finally:
        # Without waiting for anyone: those that are left notice by themselves.
        dist.destroy_process_group()


def _met(launch: Launch) -> Any:
    """Where the processes of a run meet, once all have come; a signal is heard meanwhile.

    Raises:
        CoterieError: some have not come.
    """
    from torch import distributed as dist

    began, told = time.monotonic(), False
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store: Any = None
    come = 0
    while come < launch.count:
        if store is None:
            store = _store(launch)
            if store is not None:
                store = dist.PrefixStore(f"coterie/{attempt}", store)  # type: ignore[attr-defined]
                store.set(f"come/{launch.rank}", "1")
        else:
            come = sum(store.check([f"come/{rank}"]) for rank in range(launch.count))
        waited = time.monotonic() - began
        if waited > _MEETING_SECONDS:
            raise CoterieError(f"{_missing(launch, come)} did not come within {_MEETING_SECONDS / 60:.0f} minutes")
        if waited > _SILENT_SECONDS and not told and come < launch.count:
            told = True
            Words().write(f"waiting for {_missing(launch, come)}\n")
        if come < launch.count:
            time.sleep(_EVERY_SECONDS)
    store.set_timeout(_PATIENCE)
    return store


def _store(launch: Launch) -> Any:
    """What the first process, or torchrun's agent, keeps; None while it cannot be reached."""
    from torch import distributed as dist

    kept_by_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    first = launch.rank == 0 and not kept_by_agent
    if not first and not _answers(launch.host, launch.port):
        return None
    try:
        return dist.TCPStore(  # type: ignore[attr-defined]
            launch.host, launch.port, is_master=first, timeout=_TRY, wait_for_workers=False
        )
    except dist.DistStoreError:
        return None
    except RuntimeError:
        if first:
            raise
        return None


def _answers(host: str, port: int) -> bool:
    """Whether anybody listens there. torch's store, asked instead, prints a warning with its frames of C++."""
    try:
        socket.create_connection((host, port), timeout=_LISTENING_SECONDS).close()
    except OSError:
        return False
    return True


def _missing(launch: Launch, come: int) -> str:
    others = launch.count - max(1, come)
    return (
        f"{others} other process{'es' * (others > 1)} of {launch.count} at {launch.host}:{launch.port}, as "
        f"{launch.variable}={launch.count} says; for a run on its own, unset {launch.variable}"
    )
