"""The parity tests on another device and in float32: `pytest tests/parity -p gpu.parity`, with `DEVICE=cuda`.

A plugin of pytest. Figures of the references are read onto the device as float32, networks are made there, and what is
compared comes back; tolerances are those of float32. A line of JSON tells of every test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

_DEVICE = torch.device(os.environ.get("DEVICE", "cuda"))
# Of float32 after some steps; what is below the second is rounding.
_TOLERANCE, _NOTHING = 2e-3, 1e-6


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything of a test on the device, and in float32."""
    read, numpy, close = torch.from_numpy, torch.Tensor.numpy, np.testing.assert_allclose

    def from_numpy(values: np.ndarray) -> torch.Tensor:
        found = read(np.asarray(values)).to(_DEVICE)
        return found.float() if found.dtype == torch.float64 else found

    def near(ours: Any, theirs: Any, *, rtol: float = 0, atol: float = 0, **more: Any) -> None:
        ours = ours.cpu() if isinstance(ours, torch.Tensor) else ours
        scale = float(np.abs(theirs).max()) if np.size(theirs) else 0.0
        close(ours, theirs, rtol=max(rtol, _TOLERANCE), atol=max(atol, _TOLERANCE * scale, _NOTHING), **more)

    monkeypatch.setattr(torch, "from_numpy", from_numpy)
    monkeypatch.setattr(torch.Tensor, "numpy", lambda own, **more: numpy(own.cpu(), **more))
    monkeypatch.setattr(torch.nn.Module, "double", torch.nn.Module.float)
    monkeypatch.setattr(np.testing, "assert_allclose", near)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with _DEVICE:
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or (report.when == "setup" and not report.passed):
        told = str(report.longrepr).strip().splitlines()[-1][:300] if report.failed else ""
        found = {
            "name": report.nodeid.rpartition("::")[2],
            "passed": report.passed,
            "seconds": round(report.duration, 2),
        }
        print(
            "\n" + json.dumps(found | ({"told": told} if told else {}) | ({"skipped": True} if report.skipped else {}))
        )
