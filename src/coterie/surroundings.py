"""What torch and numpy are set to while coterie works, whatever a person's own program has set them to."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import numpy as np
import torch

from coterie.devices import ACCELERATORS

P = ParamSpec("P")
T = TypeVar("T")
_process = os.getpid()


@contextlib.contextmanager
def surroundings(*, gradients: bool = True) -> Iterator[None]:
    """The settings coterie is written for; they are put back afterwards.

    Gradients are on, or off, and nothing is an inference tensor; what is made without saying so is float32 and on the
    CPU; nothing is cast; products keep all their digits; numpy's errors of rounding raise nothing. In a process that
    was forked off one which had imported coterie there is one thread: torch's others stayed behind, and waiting for
    them would never end.
    """
    dtype, precision, threads = torch.get_default_dtype(), torch.get_float32_matmul_precision(), torch.get_num_threads()
    forked = os.getpid() != _process
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        if torch.empty(0).device.type != "cpu":  # The mode that changes it costs every operation some time.
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", *ACCELERATORS):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        try:
            torch.set_default_dtype(torch.float32)
            torch.set_float32_matmul_precision("highest")
            if forked:
                torch.set_num_threads(1)
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(precision)
            if forked:
                torch.set_num_threads(threads)


def in_surroundings(work: Callable[P, T]) -> Callable[P, T]:
    """`work` in the settings coterie is written for, with gradients."""

    @functools.wraps(work)
    def done(*arguments: P.args, **options: P.kwargs) -> T:
        with surroundings():
            return work(*arguments, **options)

    return done


def without_gradients(work: Callable[P, T]) -> Callable[P, T]:
    """`work` in the settings coterie is written for, without gradients: nothing learns by them."""

    @functools.wraps(work)
    def done(*arguments: P.args, **options: P.kwargs) -> T:
        with surroundings(gradients=False):
            return work(*arguments, **options)

    return done
