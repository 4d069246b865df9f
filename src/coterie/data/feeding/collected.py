"""Results of many batches in one tensor."""

from __future__ import annotations

from torch import Tensor


class Collected:
    """Rows that come a batch at a time, in one tensor of `count` rows made for the first.

    Kept apart until the end, small results come to lie between large batches that are freed, whose memory then is of no
    use for the next ones: a process embedding many images grew by a batch of them with every batch.
    """

    def __init__(self, count: int) -> None:
        self._count, self._done = count, 0
        self._all: Tensor | None = None

    @property
    def some(self) -> bool:
        """Whether anything came."""
        return self._all is not None

    @property
    def rows(self) -> Tensor:
        """All of them, (count, …)."""
        assert self._all is not None
        return self._all

    def add(self, part: Tensor) -> None:
        """Rows (n, …) that follow those so far."""
        if self._all is None:
            self._all = part.new_empty((self._count, *part.shape[1:]))
        self._all[self._done : self._done + len(part)] = part
        self._done += len(part)
