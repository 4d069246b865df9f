"""The device, its precision and its memory layout."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from coterie.devices import ACCELERATORS, accelerator, available, telling_of_fallbacks
from coterie.errors import UsageError
from coterie.nn.encoder import encoders_of
from coterie.nn.mixed import Mixed
from coterie.nn.synced import synced
from coterie.processes import processes

# Accelerators that compute in float32 and for one process, and what people call those there are.
_ALONE = ("mps", "xpu")
_CALLED = {"cuda": "CUDA", "mps": "Apple (mps)", "xpu": "Intel (xpu)"}


@dataclass(frozen=True)
class Runtime:
    """Where and how to compute.

    Args:
        device: where the networks and, if it fits, the store live.
        precision: "bfloat16" (autocast in the backbone, float32 heads and losses) or "float32".
        channels_last: memory layout of images and convolutions.
        deterministic: the same result every time also on an accelerator, where that costs speed; a CPU always is.
        compiled: let torch's compiler fuse the backbones' operations; results differ by float tolerance.
    """

    device: torch.device
    precision: str
    channels_last: bool = True
    deterministic: bool = False
    compiled: bool = False

    def prepare(self, method: torch.nn.Module) -> None:
        """Move a method to the device and set its heavy parts to the precision and layout."""
        method.to(self.device)
        if processes().count > 1:
            for encoder in encoders_of(method):
                synced(encoder, self.device)
        dtype = torch.bfloat16 if self.precision == "bfloat16" else None
        for module in method.modules():
            if isinstance(module, Mixed):
                module.speed_up(autocast_dtype=dtype, channels_last=self.channels_last)
                if self.compiled:
                    module.compile()

    @contextlib.contextmanager
    def rules(self, note: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """torch's settings for the length of a run; they are put back afterwards.

        `note` hears once of operations that the device lacks, and that are computed on the CPU.

        Products in float32 keep all their digits: noise of σ 0.001 and near prototypes would not survive fewer.
        """
        if self.device.type != "cuda":
            with telling_of_fallbacks(self.device, note):
                yield
            return
        deterministic = torch.are_deterministic_algorithms_enabled()
        warning, tuning = torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.benchmark
        if self.deterministic:
            # cuBLAS reads this when it starts; a value set by the user stands.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = not self.deterministic
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warning)
            torch.backends.cudnn.benchmark = tuning


def choose_runtime(
    device: str = "auto", precision: str = "auto", *, deterministic: bool = False, compiled: bool = False
) -> Runtime:
    """The runtime for a device and precision by name; "auto" takes the fastest there is.

    Raises:
        UsageError: an unknown name, or a device that is not there; nothing to compile with.
    """
    kind = device.partition(":")[0]
    if kind not in ("auto", "cpu", *ACCELERATORS):
        raise UsageError(f"unknown device '{device}': use auto, cpu, cuda, mps or xpu")
    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"unknown precision '{precision}': use auto, float32 or bfloat16")
    if device == "auto":
        device = kind = _fastest()
    if kind != "cpu" and not available(kind):
        raise UsageError(f"no {_CALLED[kind]} device is to be had here: use --device cpu, or auto")
    if kind in _ALONE and processes().count > 1:
        raise UsageError(f"several processes share the work on cpu or cuda, and not on {kind}")
    if kind in _ALONE and precision == "bfloat16":
        raise UsageError(f"{kind} computes in float32: leave --precision bfloat16 out")
    chosen = torch.device(device)
    if precision == "auto":
        precision = "bfloat16" if _profits_from_bfloat16(chosen) else "float32"
    if compiled and not _can_compile(chosen):
        needed = {"cuda": "triton", "cpu": "a C++ compiler such as g++"}.get(kind, "--device cpu or cuda")
        raise UsageError(f"--compile needs {needed}, which is not to be found here: install it, or leave --compile out")
    return Runtime(chosen, precision, kind not in _ALONE, deterministic=deterministic, compiled=compiled)


def _fastest() -> str:
    found = accelerator()
    return "cpu" if found in _ALONE and processes().count > 1 else found


def _can_compile(device: torch.device) -> bool:
    if device.type != "cpu":
        return device.type == "cuda" and importlib.util.find_spec("triton") is not None
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else ["g++", "clang++", "c++", "cl"]))


def _profits_from_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type in _ALONE:
        return False
    # Private names: absent ones count as no.
    supported = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in supported if check is not None)
