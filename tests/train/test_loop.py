from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from coterie.config import read
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.errors import CoterieError, UsageError
from coterie.methods import build_method, method_type
from coterie.schedule import Progress, cosine_learning_rate, learning_rate
from coterie.train.checkpoint import Checkpoint
from coterie.train.config import TrainConfig
from coterie.train.loop import Epoch, Loop, check_finite
from coterie.train.runtime import choose_runtime


def loop_for(
    images: np.ndarray, *, method: str = "propos", precision: str = "float32", compiled: bool = False, **train: object
) -> Loop:
    options = read(method_type(method).Config, {"hidden": 16, "projection": 8})
    built = build_method(method, options, backbone="convnet-small", shape=(1, 8, 8), n_clusters=3, seed=0)
    runtime = choose_runtime("cpu", precision, compiled=compiled)
    runtime.prepare(built)
    store = Store(images[:, None], [str(place) for place in range(len(images))])
    config = read(TrainConfig, {"epochs": 4, "warmup_epochs": 1, "batch_size": 20, **train})
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(noise=0.05), views=built.views,
        batch_size=config.batch_size, device=runtime.device, seed=0,
    )  # fmt: skip
    return Loop(built, feed, config, 0, runtime.device)


def losses_of(loop: Loop) -> list[float]:
    losses: list[float] = []
    loop.on_epoch = lambda epoch: losses.extend(epoch.losses.values())
    loop.run()
    return losses


def weights(loop: Loop) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in loop.method.state_dict().items()}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_equals_the_undisturbed_one_to_the_bit(blobs: tuple, tmp_path: Path, precision: str) -> None:
    whole = loop_for(blobs[0], precision=precision)
    saved = Checkpoint(tmp_path / "checkpoint.pt", fingerprint=1)

    def save(epoch: Epoch) -> None:
        if epoch.number == 1:
            saved.save(whole.method, whole.optimizer, epochs=2, seconds=1.5, last=False)

    whole.on_epoch = save
    whole.run()
    resumed = loop_for(blobs[0], precision=precision)
    done, seconds = saved.restore(resumed.method, resumed.optimizer)
    assert (done, seconds) == (2, 1.5)
    resumed.run(done)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name


def test_training_lowers_the_loss_and_repeats_itself(blobs: tuple) -> None:
    histories = []
    for _ in range(2):
        losses: list[float] = []
        loop = loop_for(blobs[0], epochs=8)
        loop.on_epoch = lambda epoch, losses=losses: losses.append(epoch.losses["alignment"])
        loop.run()
        histories.append(losses)
    assert histories[0] == histories[1]
    assert histories[0][-1] < histories[0][0]


def test_the_loop_reports_the_e_step_it_began_with(blobs: tuple) -> None:
    epochs: list[Epoch] = []
    loop = loop_for(blobs[0])
    loop.on_epoch = epochs.append
    loop.run()
    assert [epoch.expectation is None for epoch in epochs] == [True, False, False, False]
    expectation = epochs[-1].expectation
    assert expectation is not None
    assert expectation.embeddings.shape == (60, 8)
    assert expectation.pseudo_labels.shape == (60, 1)
    assert [sorted(epoch.losses) for epoch in epochs[:2]] == [["alignment"], ["alignment", "scattering"]]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_head_may_begin_to_learn_after_warm_up(blobs: tuple, momentum: float) -> None:
    """CADECL's centers have no gradient before."""
    loop = loop_for(blobs[0], method="cadecl", optimizer="sgd", learning_rate=0.01, momentum=momentum)
    before = weights(loop)
    loop.run()
    assert not torch.equal(weights(loop)["centers"], before["centers"])


def test_a_loss_that_is_not_finite_ends_the_run(blobs: tuple) -> None:
    loop = loop_for(blobs[0], method="byol", learning_rate=1e30)
    with pytest.raises(CoterieError, match=r"lower train\.learning_rate"):
        loop.run()
    with pytest.raises(CoterieError, match="scattering loss became inf in epoch 3"):
        check_finite({"alignment": 1.0, "scattering": float("inf")}, 2)


def test_the_predictor_learns_faster_by_its_rate(blobs: tuple) -> None:
    loop = loop_for(blobs[0], epochs=1, warmup_epochs=0)
    loop.run()
    base, predictor = (group["lr"] for group in loop.optimizer.param_groups)
    assert predictor == pytest.approx(10 * base)


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [cosine_learning_rate(Progress(step, 10, 10, 2), 0.4) for step in range(100)]
    assert rates[0] == pytest.approx(0.02)
    assert rates[19] == pytest.approx(0.4) == rates[20]
    assert rates[60] == pytest.approx(0.2)
    assert rates[99] < 0.001
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_a_constant_rate_rises_and_stays() -> None:
    places = [Progress(step, 10, 10, 2) for step in range(100)]
    rates = [learning_rate(place, 0.4, schedule="constant") for place in places]
    falling = [learning_rate(place, 0.4, schedule="cosine") for place in places]
    assert falling == [cosine_learning_rate(place, 0.4) for place in places]
    assert rates[:20] == falling[:20]
    assert set(rates[20:]) == {0.4}
    assert learning_rate(Progress(0, 10, 10), 0.4, schedule="constant") == 0.4


def test_the_loop_keeps_to_the_schedule_and_the_optimiser_of_its_settings(blobs: tuple) -> None:
    loop = loop_for(blobs[0], optimizer="adamw", schedule="constant", learning_rate=0.01)
    assert type(loop.optimizer) is torch.optim.AdamW
    rates: list[float] = []
    loop.on_epoch = lambda epoch: rates.append(epoch.learning_rate)
    loop.run()
    assert rates == pytest.approx([0.01 * 20 / 256] * 4)


def test_learning_rate_follows_the_batch_unless_it_is_adams() -> None:
    assert TrainConfig(batch_size=512, learning_rate=0.1, optimizer="adamw").base_rate == pytest.approx(0.2)
    assert TrainConfig(batch_size=512, learning_rate=0.1).base_rate == pytest.approx(0.2)
    assert TrainConfig(batch_size=512, learning_rate=0.1, optimizer="adam").base_rate == pytest.approx(0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sdg"},
        {"schedule": "linear"},
        {"epochs": 0},
        {"batch_size": 1},
        {"epochs": 5, "warmup_epochs": 6},
        {"learning_rate": 0.0},
    ],
)
def test_senseless_settings_are_refused(options: dict) -> None:
    with pytest.raises(UsageError, match=r"train\."):
        read(TrainConfig, options, where="train")


def test_devices_and_precisions_by_name() -> None:
    with pytest.raises(UsageError, match="unknown device"):
        choose_runtime("gpu")
    with pytest.raises(UsageError, match="unknown precision"):
        choose_runtime("cpu", "fp16")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA device"):
            choose_runtime("cuda")
    assert choose_runtime("cpu", "float32").precision == "float32"


def compile_with(backend: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let modules compile by another backend than torch's own, which takes long; returns the kinds that do."""
    kinds: list[str] = []
    compile_module = torch.nn.Module.compile

    def compile_lightly(module: torch.nn.Module) -> None:
        kinds.append(type(module).__name__)
        compile_module(module, backend=backend)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_lightly)
    monkeypatch.setattr("shutil.which", lambda name: name)
    return kinds


def test_a_compiled_run_is_the_same_run(blobs: tuple, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = losses_of(loop_for(blobs[0], epochs=2))
    kinds = compile_with("aot_eager", monkeypatch)
    compiled = loop_for(blobs[0], compiled=True, epochs=2)
    assert losses_of(compiled) == pytest.approx(plain, abs=1e-4)
    assert kinds == ["Encoder", "Encoder"]
    # What is saved knows nothing of the compiler.
    Checkpoint(tmp_path / "checkpoint.pt", 1).save(compiled.method, compiled.optimizer, epochs=2, seconds=0, last=True)
    again = loop_for(blobs[0], epochs=2)
    assert Checkpoint(tmp_path / "checkpoint.pt", 1).restore(again.method, again.optimizer)[0] == 2


@pytest.mark.soak
def test_torchs_own_compiler_gives_the_same_run(blobs: tuple) -> None:
    plain = losses_of(loop_for(blobs[0], epochs=2))
    assert losses_of(loop_for(blobs[0], compiled=True, epochs=2)) == pytest.approx(plain, abs=1e-4)


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UsageError, match=r"--compile needs a C\+\+ compiler"):
        choose_runtime("cpu", compiled=True)
