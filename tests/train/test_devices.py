"""Accelerators that are not here, by a fake of the boundary: which is chosen, and what it lacks."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from coterie import Clusterer, KMeans, devices
from coterie.cli import main
from coterie.errors import ResourceError, UsageError
from coterie.failures import translated
from coterie.train.runtime import choose_runtime
from small import as_features, options

RESIDENT = torch.Tensor.cpu


class WithoutFloat64(TorchDispatchMode):
    """The CPU as a device without float64: what has been taken off it by `.cpu()` may have it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        off = any(hasattr(each, "off_device") for each in tree_leaves((args, kwargs)))
        for each in tree_leaves(out):
            if isinstance(each, torch.Tensor) and each.dtype == torch.float64:
                if not off:
                    raise TypeError(f"Cannot convert a MPS Tensor to float64 dtype: {func}")
                each.off_device = True  # type: ignore[attr-defined]
        return out


def taken_off(values: torch.Tensor) -> torch.Tensor:
    found = RESIDENT(values).clone()
    found.off_device = True  # type: ignore[attr-defined]
    return found


@pytest.fixture
def without_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    widest = devices.widest
    for name, module in list(sys.modules.items()):
        if name.startswith("coterie.") and getattr(module, "widest", None) is widest:
            monkeypatch.setattr(module, "widest", lambda _: torch.float32)
    monkeypatch.setattr(torch.Tensor, "cpu", taken_off)
    with WithoutFloat64():
        yield


def having(*kinds: str) -> Callable[[str], bool]:
    return lambda kind: kind in kinds


@pytest.mark.parametrize(
    ("there", "chosen"),
    [(("cuda", "mps"), "cuda"), (("mps", "xpu"), "mps"), (("xpu",), "xpu"), ((), "cpu")],
)
def test_auto_takes_the_first_there_is(there: tuple, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coterie.devices.available", having(*there))
    monkeypatch.setattr("coterie.train.runtime.available", having(*there))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    found = choose_runtime()
    assert found.device.type == chosen
    if chosen != "cpu":
        assert found.precision == "float32"
    if chosen in ("mps", "xpu"):
        assert choose_runtime(chosen).device.type == chosen
        for asked, reason in ((("auto", "bfloat16"), "computes in float32"),):
            with pytest.raises(UsageError, match=reason):
                choose_runtime(*asked)
        with pytest.raises(UsageError, match="--compile needs --device cpu or cuda"):
            choose_runtime(compiled=True)


def test_a_device_that_is_not_here_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, reason in (
        ("mps", "no Apple (mps) device"),
        ("xpu", "no Intel (xpu) device"),
        ("tpu", "cuda, mps or xpu"),
    ):
        if name == "tpu" or not devices.available(name):
            assert main(["fit", "digits", "-k", "3", "--device", name, "--out", str(tmp_path / "run")]) == 2
            assert reason in capsys.readouterr().err


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize("method", ["propos", "pcl", "digpro"])
def test_images_never_need_float64(method: str, blobs: tuple) -> None:
    # The choice between ways to group is the CPU's, which here plays the device.
    settings = {**options(method), "train.batch_size": 20, "groups": "own"}
    found = Clusterer(3, method=method, epochs=2, options=settings, device="cpu", precision="float32").fit(blobs[0])
    assert found.predict(blobs[0]).shape == (60,)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize("method", ["kmeans", "lnscc", "temi", "turtle"])
def test_features_never_need_float64(method: str, blobs: tuple) -> None:
    epochs = None if method == "kmeans" else 2
    found = Clusterer(3, method=method, epochs=epochs, options=options(method), device="cpu", precision="float32")
    assert found.fit(as_features(blobs[0])).predict(as_features(blobs[0])).shape == (60,)


def test_clusters_are_the_same_without_float64(blobs: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.from_numpy(as_features(blobs[0]))
    with_it = KMeans(3).fit_predict(points)
    monkeypatch.setattr(devices, "widest", lambda _: torch.float32)
    monkeypatch.setattr("coterie.cluster.lloyd.widest", lambda _: torch.float32)
    assert adjusted_rand_score(with_it, KMeans(3).fit_predict(points)) == 1


def test_what_a_device_lacks_is_told_once() -> None:
    notes: list[str] = []
    lacking = (
        "The operator 'aten::{}' is not currently supported on the MPS backend and will fall back to run on the CPU"
    )
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        with devices.telling_of_fallbacks(torch.device("mps"), notes.append):
            for name in ("linalg_eigh", "cholesky"):
                warnings.warn(lacking.format(name), UserWarning, stacklevel=1)
            warnings.warn("something else", UserWarning, stacklevel=1)
    assert notes == ["torch has no aten::linalg_eigh for mps: it and the like are computed on the CPU"]
    assert [str(each.message) for each in others] == ["something else"]


def test_memory_of_an_apple_gpu_gives_out() -> None:
    error = RuntimeError(
        "MPS backend out of memory (MPS allocated: 8.00 GB). Tried to allocate 512.00 MB on private pool"
    )
    assert "out of GPU memory (512.00 MB more were wanted)" in str(translated(error))
    assert isinstance(translated(error), ResourceError)


def test_room_and_waiting_without_an_accelerator() -> None:
    assert devices.room(torch.device("cpu")) == 0
    devices.wait_for("cpu")
    assert devices.precise(torch.ones(1)).dtype == torch.float64
    assert np.isfinite(float(devices.wide(torch.ones(1))))
