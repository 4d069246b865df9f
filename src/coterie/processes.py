"""The processes that share a run and what they tell each other; a process alone keeps everything as it is.

Every process holds the whole method and sees the whole batch from the encoder's features on: heads, losses, queues and
prototypes are computed alike everywhere, and only what is heavy, the encoder, is divided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from coterie.errors import CoterieError

T = TypeVar("T")
# Numbers that go to the first process at a time.
_PIECE = 1 << 22


@dataclass(frozen=True)
class Processes:
    """This process among `count` that share a run; `rank` 0 is the first, which alone writes and speaks."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, total: int, rank: int | None = None) -> slice:
        """The rows of `total` that belong to this process, or to another: contiguous, in the order of ranks."""
        rank = self.rank if rank is None else rank
        return slice(total * rank // self.count, total * (rank + 1) // self.count)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, each having equally many (n, …): (n·count, …).

        The gradient of a process's own rows comes back from the loss it computed itself: where every process computes
        the same loss from all rows, that is all of their gradient.
        """
        if self.count == 1:
            return rows
        gathered: Tensor = _Gather.apply(rows, self)  # type: ignore[no-untyped-call]
        return gathered

    def gather_shares(self, rows: Tensor) -> Tensor:
        """The rows (n, …) of all processes, in the order of ranks, however many each has; without gradient."""
        if self.count == 1:
            return rows
        lengths = self._lengths(rows)
        padded = rows.new_zeros(max(lengths), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = _all_gathered(padded, self.count)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    def picked(self, rows: Tensor, total: int, places: Tensor) -> Tensor:
        """The rows at some places (m,) of the `total` of which each process has its `share`: (m, …) in each of them."""
        if self.count == 1:
            return rows[places]
        mine = self.share(total)
        own = (places >= mine.start) & (places < mine.stop)
        found = rows.new_zeros(len(places), *rows.shape[1:])
        found[own] = rows[places[own] - mine.start]
        return self.sum(found)  # Everyone else has zeros there.

    def spaced(self, rows: Tensor, total: int, step: int) -> Tensor:
        """Every `step`-th of the `total` rows of which each process has its `share`, in each of them."""
        return self.gather_shares(rows[-self.share(total).start % step :: step])

    def pieces(self, rows: Tensor) -> Iterator[Tensor]:
        """The rows (n, …) of all processes, in order, to the first one: a piece at a time, on the CPU.

        All go through this together; there are none for the others.
        """
        most = max(1, _PIECE // max(1, rows.shape[1:].numel()))
        for rank, length in enumerate(self._lengths(rows)):
            for start in range(0, length, most):
                own = rows[start : min(start + most, length)]
                if rank == self.rank == 0:
                    yield own.cpu()
                elif rank == self.rank:
                    _send(own)
                elif self.first:
                    yield _received(rows.new_empty(min(most, length - start), *rows.shape[1:], device="cpu"), rank)

    def _lengths(self, rows: Tensor) -> list[int]:
        """How many rows each process has."""
        if self.count == 1:
            return [len(rows)]
        lengths: list[int] = torch.cat(_all_gathered(torch.tensor([len(rows)]), self.count)).tolist()
        return lengths

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes; so is its gradient."""
        if self.count == 1:
            return values
        total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
        return total

    def mean(self, rows: Tensor) -> Tensor:
        """The mean row of all processes, each having some (n, …); without gradient."""
        if self.count == 1:
            return rows.mean(dim=0)
        return self.sum(rows.sum(dim=0)) / self.sum(rows.new_tensor(len(rows)))

    def all_finite(self, values: Tensor) -> bool:
        """Whether no process has a value that is NaN or infinite."""
        return bool(self.sum(torch.isfinite(values).logical_not().any().float()) == 0)

    def most(self, value: Tensor) -> Tensor:
        """The greatest value of all processes, of one in each."""
        if self.count > 1:
            value = value.clone()
            _talk(lambda: dist.all_reduce(value, op=dist.ReduceOp.MAX))
        return value

    def from_first(self, values: Tensor) -> Tensor:
        """What the first process has, in place of tensors of this shape elsewhere."""
        if self.count > 1:
            values = values.contiguous()
            _talk(lambda: dist.broadcast(values, 0))
        return values

    def tell(self, message: bytes | None = None, *, pause: Callable[[], None] | None = None) -> bytes:
        """The first process's message, for everyone; those who wait for it call `pause` again and again."""
        if self.count == 1:
            return message or b""
        length = torch.tensor([len(message or b"")])
        if pause is None:
            length = self.from_first(length)
        else:
            # A call that waits in one piece would not let Python see a signal.
            arriving = _talk(lambda: dist.broadcast(length, 0, async_op=True))
            while not arriving.is_completed():
                pause()
            _talk(arriving.wait)
        content = torch.zeros(int(length), dtype=torch.uint8)
        if self.first and message:
            content = torch.frombuffer(bytearray(message), dtype=torch.uint8)
        return self.from_first(content).numpy().tobytes()

    def wait(self) -> None:
        """Go on when everyone has come here."""
        if self.count > 1:
            self.sum(torch.zeros(1))

    def greatest(self, number: int) -> int:
        """The greatest of the processes' numbers. It goes by way of the hosts, without waiting for their devices."""
        if self.count == 1:
            return number
        numbers = torch.tensor([number])
        _talk(lambda: dist.all_reduce(numbers, op=dist.ReduceOp.MAX))
        return int(numbers)

    def call_stop(self, number: int) -> None:
        """Leave word that a signal of this number asks for the end, for whoever looks with `stop_called`."""
        if self.count > 1:
            _talk(lambda: _store().set(_STOP, str(number)))

    def stop_called(self) -> int:
        """The number of the signal somebody left word of; 0 for none."""
        if self.count == 1:
            return 0
        return _talk(lambda: int(_store().get(_STOP)) if _store().check([_STOP]) else 0)


ALONE = Processes()
_STOP = "coterie/stop"


def processes() -> Processes:
    """Those of torch's process group; one alone where there is none."""
    if dist.is_available() and dist.is_initialized():
        return Processes(dist.get_rank(), dist.get_world_size())
    return ALONE


def _store() -> Any:
    """What torch's process group met at."""
    return dist.distributed_c10d._get_default_store()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: Processes) -> Tensor:
        ctx.mine = slice(group.rank * len(rows), (group.rank + 1) * len(rows))
        return torch.cat(_all_gathered(rows, group.count))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.mine], None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return _summed(gradients[0])


def _summed(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    _talk(lambda: dist.all_reduce(total))
    return total


def _all_gathered(rows: Tensor, count: int) -> list[Tensor]:
    rows = rows.contiguous()
    parts = [torch.empty_like(rows) for _ in range(count)]
    _talk(lambda: dist.all_gather(parts, rows))
    return parts


def _send(rows: Tensor) -> None:
    """To the first process, by way of the hosts."""
    rows = rows.cpu().contiguous()
    _talk(lambda: dist.send(rows, 0))


def _received(rows: Tensor, rank: int) -> Tensor:
    """Rows on the CPU, filled with what another process sends."""
    _talk(lambda: dist.recv(rows, rank))
    return rows


def _talk(call: Callable[[], T]) -> T:
    """A call to the others, who may have gone."""
    try:
        return call()
    except RuntimeError as error:
        reason = (str(error).splitlines() or [""])[0]
        raise CoterieError(f"another process of this run is gone; its own message says why ({reason[:200]})") from None
