"""Joining the processes that `torchrun` or `srun` started beside this one."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from coterie.errors import CoterieError, UsageError

# The others wait as long as the first one reads the images.
_PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class Launch:
    """What a launcher tells a process: its place among all and on its node, and where to meet."""

    rank: int
    count: int
    local: int
    host: str
    port: int


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
        dist.init_process_group(
            backend,
            init_method=f"tcp://{launch.host}:{launch.port}" if "TORCHELASTIC_RUN_ID" not in os.environ else "env://",
            rank=launch.rank,
            world_size=launch.count,
            timeout=_PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        where = f"{launch.host}:{launch.port}"
        raise CoterieError(f"the other processes could not be met at {where}: {str(error).splitlines()[0]}") from None
    try:
        yield
    finally:
        # Without waiting for anyone: those that are left notice by themselves.
        dist.destroy_process_group()
