"""Failures as torch, numpy and the system word them, and what a person is told."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from coterie.errors import ResourceError, UsageError
from coterie.failures import translated, translating


def no_memory() -> BaseException:
    """As torch itself words it here."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    return caught.value


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "out of memory: a new run takes less with train.accumulate=2"),
        (MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,)"), "7.45 GiB more were wanted"),
        (no_memory(), r"out of memory \(4000000.0 GB more were wanted\): .* smaller train.batch_size"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of"),
            r"out of GPU memory \(2.50 GiB more",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "out of GPU memory",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (
            RuntimeError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be asynchronously"),
            r"the GPU failed \(CUDA error: uncorrectable ECC error encountered\): nvidia-smi",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "the GPU failed"),
        (OSError(errno.ENOSPC, "No space left on device", "/run/x"), "^/run/x: the disk is full: free some room$"),
        (OSError(errno.EROFS, "Read-only file system", "/run/x"), "^/run/x: the disk is read-only"),
        (OSError("1000 requested and 512 written"), "the disk is full"),
        (OSError(errno.EIO, "Input/output error", "/run/x"), "^/run/x: Input/output error$"),
    ],
)
def test_a_failure_in_one_line(error: BaseException, message: str) -> None:
    failure = translated(error)
    assert failure is not None
    assert failure.exit_code == 1
    assert "\n" not in str(failure)
    with pytest.raises(ResourceError, match=message):
        raise failure


def test_the_disk_is_found_beneath_what_hides_it() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")  # noqa: B904
    except RuntimeError as error:
        failure = translated(error, Path("run/checkpoint.pt"))
    assert str(failure) == "run/checkpoint.pt could not be written: the disk is full: free some room"


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), RuntimeError("shapes do not match"), RuntimeError("CUDA error: device-side assert triggered")],
)
def test_mistakes_are_seen_as_mistakes(error: Exception) -> None:
    assert translated(error) is None
    with pytest.raises(type(error)), translating():
        raise error


def test_a_file_that_was_looked_for_in_vain_explains_nothing() -> None:
    error = KeyError("a mistake")
    error.__context__ = FileNotFoundError(errno.ENOENT, "No such file or directory", "nowhere")
    assert translated(error) is None
    error.__context__ = OSError(errno.EROFS, "Read-only file system", "somewhere")
    assert translated(error) is not None


def test_errors_of_our_own_stay_as_they_are() -> None:
    with pytest.raises(UsageError), translating():
        raise UsageError("lower -k")
    with pytest.raises(ResourceError) as caught, translating():
        raise MemoryError
    assert isinstance(caught.value.__cause__, MemoryError)
