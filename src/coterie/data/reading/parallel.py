"""Decoding on all cores, in pieces that threads take one after another."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import torch

from coterie.cores import cores

P = TypeVar("P")
T = TypeVar("T")
# Pieces of work that stand alone, handed to a thread at a time.
_AT_ONCE = 8


def in_parallel(
    parts: Iterable[Sequence[P]],
    work: Callable[[Sequence[P]], Iterable[T]],
    receive: Callable[[P, T], None] = lambda *_: None,
    *,
    threads: int = 0,
) -> None:
    """`work` of every part in a thread of its own, which yields a result for each of the part's pieces.

    Meant for decoding: Pillow's warnings about odd but usable files are silenced. What `work` raises ends all of it.

    Args:
        parts: of pieces that one thread takes in turn.
        receive: called with a piece and its result as they come, from the calling thread.
        threads: at a time; 0 for one a core.
    """
    parts = list(parts)
    results: SimpleQueue[tuple[P, T] | BaseException] = SimpleQueue()
    stopped = threading.Event()

    def run(part: Sequence[P]) -> None:
        try:
            for result in zip(part, work(part), strict=True):
                results.put(result)
                if stopped.is_set():
                    return
        except BaseException as error:  # It is raised where the results are taken.
            results.put(error)

    with warnings.catch_warnings(), _single_threaded():
        warnings.simplefilter("ignore")
        pool = ThreadPoolExecutor(threads or cores())
        try:
            for part in parts:
                pool.submit(run, part)
            for _ in range(sum(map(len, parts))):
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                receive(*result)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def small_parts(pieces: Sequence[P]) -> list[Sequence[P]]:
    """`pieces` in order, a few to a part, where each stands alone."""
    return [pieces[start : start + _AT_ONCE] for start in range(0, len(pieces), _AT_ONCE)]


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Let the threads started meanwhile each use one core in torch, as there is one of them for every core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
