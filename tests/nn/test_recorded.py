from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn

from coterie import recorded
from coterie.nn.backbones import build_backbone
from coterie.nn.encoder import Encoder
from coterie.recorded import Recorded, RecordedModule

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="records on an NVIDIA GPU only")


class Counted(nn.Module):
    """Twice its input, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.asked = nn.Parameter(torch.full((), 2.0)), 0

    def forward(self, batch: Tensor) -> Tensor:
        self.asked += 1
        return self.weight * batch


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """What was recorded, by a stand-in that multiplies by the weight."""
    found: list[torch.Size] = []

    def record(module: Counted, batch: Tensor) -> object:
        found.append(batch.shape)
        return lambda given: module.weight * given

    monkeypatch.setattr(recorded, "_recorded_module", record)
    return found


def test_a_recording_remembers_one_batch_until_its_gradient_was_asked_for(recordings: list[torch.Size]) -> None:
    module, through = Counted(), RecordedModule()
    first = through(module, torch.ones(3))
    second = through(module, torch.ones(3))
    assert module.asked == 1
    (first.sum() + second.sum()).backward()
    assert module.weight.grad == 6
    through(module, torch.ones(3))
    with torch.no_grad():
        through(module, torch.ones(3))
    assert module.asked == 1
    assert recordings == [(3,), (3,)]  # With gradients and without.


def test_other_shapes_and_moved_weights_are_recorded_anew(recordings: list[torch.Size]) -> None:
    module, through = Counted(), RecordedModule()
    with torch.no_grad():
        for batch in (torch.ones(3), torch.ones(3), torch.ones(4)):
            through(module, batch)
        module.weight.data = torch.full((), 5.0)
        assert through(module, torch.ones(4)).tolist() == [5] * 4
    assert recordings == [(3,), (4,), (4,)]


def test_a_module_that_cannot_be_recorded_does_its_work_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Mock(side_effect=RuntimeError("operation not permitted when stream is capturing"))
    monkeypatch.setattr(recorded, "_recorded_module", refused)
    module, through = Counted(), RecordedModule()
    for _ in range(2):
        through(module, torch.ones(3)).sum().backward()
    assert module.weight.grad == 6
    assert module.asked == 2


def test_nothing_is_recorded_on_a_cpu() -> None:
    asked: list[Tensor] = []
    through = Recorded(lambda batch: [asked.append(batch) or batch + 1])
    assert [through(torch.ones(2))[0].tolist() for _ in range(2)] == [[2, 2]] * 2
    assert len(asked) == 2
    assert not recorded.recordable(torch.ones(2))


@needs_gpu
def test_a_replay_is_what_it_was_recorded_from() -> None:
    device = torch.device("cuda")
    draw = torch.Generator(device)
    through = Recorded(lambda batch: [batch + torch.empty_like(batch).normal_(generator=draw)], draw)
    for seed in (3, 4, 3):
        batch = torch.full((5,), float(seed), device=device)
        wanted = batch + torch.empty_like(batch).normal_(generator=torch.Generator(device).manual_seed(seed))
        draw.manual_seed(seed)
        assert torch.equal(through(batch)[0], wanted)


@needs_gpu
def test_a_recorded_encoder_has_the_gradients_and_statistics_of_a_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def learnt(most: int) -> list[Tensor]:
        monkeypatch.setattr(recorded, "MOST", most)
        torch.manual_seed(0)
        encoder = Encoder(build_backbone("convnet-small", 3, 16)).to("cuda").train()
        encoder.recorded = RecordedModule()
        for seed in range(3):
            batch = torch.randn(2, 8, 3, 16, 16, generator=torch.Generator().manual_seed(seed)).to("cuda")
            torch.cat(list(encoder.each(list(batch), joint=True))).square().sum().backward()
        return [weight.grad for weight in encoder.parameters()] + list(encoder.buffers())

    for plain, replayed in zip(learnt(0), learnt(1 << 25), strict=True):
        torch.testing.assert_close(plain, replayed, rtol=1e-3, atol=1e-4)
