"""Failures of the disk, the memory or the device, from whichever library they come, as errors a person can act on."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

from coterie.errors import CoterieError, ResourceError

_DISK = {
    errno.ENOSPC: "the disk is full: free some room",
    errno.EDQUOT: "your share of the disk is used up: free some room",
    errno.EFBIG: "the disk or the system allows no file of that size",
    errno.EROFS: "the disk is read-only: make it writable, or give another place",
    errno.EACCES: "no permission: change it, or give another place",
    errno.EPERM: "no permission: change it, or give another place",
}
_LESS_MEMORY = (
    "a new run takes less with train.accumulate=2 or more, which keeps the batch, or with a smaller train.batch_size, "
    "train.embed_batch or --size"
)
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|bad_alloc|ALLOC_FAILED", re.IGNORECASE)
_AMOUNT = re.compile(r"allocate ([\d.]+ [KMGT]i?B|\d+ bytes)")
_DEVICE = re.compile(r"CUDA error|CUDA driver error|cuDNN error|CUDNN_STATUS|CUBLAS_STATUS|NCCL error|HIP error")
# An index out of range on the device: a mistake of the program, which has to be seen as one.
_MISTAKE = "device-side assert"


def translated(error: BaseException, path: Path | None = None) -> ResourceError | None:
    """What an error of another library, or one beneath it, comes to; None where it is no failure of this kind.

    Args:
        path: what was being written, if anything was; else the file the error names.
    """
    for depth, each in enumerate(_chain(error)):
        text = str(each)
        if isinstance(each, MemoryError) or (isinstance(each, RuntimeError) and _NO_MEMORY.search(text)):
            return _out_of_memory(text)
        if isinstance(each, RuntimeError) and _DEVICE.search(text) and _MISTAKE not in text:
            return _device_lost(text)
        if isinstance(each, OSError) and each.errno == errno.ENOMEM:
            return _out_of_memory(text)
        # Beneath another error, one of a file that is not there, say, may long have been dealt with.
        if isinstance(each, OSError) and (depth == 0 or each.errno in _DISK):
            return _disk(each, path)
    return None


@contextlib.contextmanager
def translating() -> Iterator[None]:
    """Raise a `ResourceError` in the place of a foreign failure, which stays its cause."""
    try:
        yield
    except CoterieError:
        raise
    except Exception as error:
        failure = translated(error)
        if failure is None:
            raise
        raise failure from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those it was raised after: torch's archives, for one, hide that of the disk."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _out_of_memory(text: str) -> ResourceError:
    on_device = re.search(r"CUDA|HIP|CUBLAS|GPU|MPS|XPU", text) is not None
    asked = _AMOUNT.search(text)
    more = f" ({_readable(asked.group(1))} more were wanted)" if asked else ""
    return ResourceError(f"out of {'GPU ' if on_device else ''}memory{more}: {_LESS_MEMORY}; or free some")


def _readable(amount: str) -> str:
    return f"{int(amount.split()[0]) / 1e9:.1f} GB" if amount.endswith(" bytes") else amount


def _device_lost(text: str) -> ResourceError:
    found = _DEVICE.search(text)
    line = text[found.start() if found else 0 :].splitlines()[0][:200]
    return ResourceError(f"the GPU failed ({line}): nvidia-smi tells whether it is still there; restart what is needed")


def disk_reason(error: OSError) -> str:
    """What is wrong with the disk, and what to do about it where that is known."""
    if error.errno is None and "requested and" in str(error):  # So numpy tells of a file cut short.
        return _DISK[errno.ENOSPC]
    return _DISK.get(error.errno or 0) or error.strerror or str(error)


def _disk(error: OSError, path: Path | None) -> ResourceError:
    if path is not None:
        return ResourceError(f"{path} could not be written: {disk_reason(error)}")
    return ResourceError(f"{error.filename or 'the system'}: {disk_reason(error)}")
