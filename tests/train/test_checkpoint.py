from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from coterie.errors import CoterieError
from coterie.files import write_atomically
from coterie.methods.base import Method
from coterie.train.checkpoint import Checkpoint


class Small(Method):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def parts() -> tuple[Small, torch.optim.Optimizer]:
    method = Small()
    return method, torch.optim.SGD(method.parameters(), lr=0.1, momentum=0.9)


def test_nothing_saved_nothing_restored(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "checkpoint.pt", 1).restore(*parts()) == (0, 0.0)


def test_other_data_is_noticed(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "checkpoint.pt", 1).save(*parts(), epochs=1, seconds=1, last=True)
    with pytest.raises(CoterieError, match="the images changed"):
        Checkpoint(tmp_path / "checkpoint.pt", 2).restore(*parts())


class Hostile:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("hostile-was-here"),)


@pytest.mark.parametrize("content", ["hostile", "torch-hostile", "rubbish", "empty", "other"])
def test_damaged_and_hostile_files_are_refused_and_execute_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.pt"
    if content == "hostile":
        path.write_bytes(pickle.dumps(Hostile(), protocol=2))
    elif content == "torch-hostile":
        torch.save({"format": 1, "method": Hostile()}, path)
    elif content == "other":
        torch.save({"format": 99}, path)
    else:
        path.write_bytes(b"" if content == "empty" else b"PK\x03\x04 rubbish")
    with pytest.raises(CoterieError, match="start a new run"):
        Checkpoint(path, 1).restore(*parts())
    assert not (tmp_path / "hostile-was-here").exists()


def test_what_is_kept_for_a_parameter_has_its_shape(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", 1)
    method, optimizer = parts()
    method.layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    checkpoint.save(method, optimizer, epochs=1, seconds=1, last=True)
    assert checkpoint.restore(*parts())[0] == 1
    optimizer.state[method.layer.weight]["momentum_buffer"] = torch.zeros(1).expand(10**9)
    checkpoint.save(method, optimizer, epochs=2, seconds=1, last=True)
    with pytest.raises(CoterieError, match=r"does not fit its config\.yaml"):
        checkpoint.restore(*parts())


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(stream: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(CoterieError, match="the disk is full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_takes_a_twentieth_of_the_time_at_most(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", 1)
    checkpoint.save(*parts(), epochs=1, seconds=1, last=False)
    checkpoint._last_cost = 1e6
    checkpoint.save(*parts(), epochs=2, seconds=1, last=False)
    assert checkpoint.restore(*parts())[0] == 1
    checkpoint.save(*parts(), epochs=3, seconds=1, last=True)
    assert checkpoint.restore(*parts())[0] == 3


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_what_is_kept_lies_in_memory_as_the_weights_do(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    """A device may lay them out otherwise than the one that a run was begun on, and fused optimisers do not look."""

    def begun(layout: torch.memory_format) -> tuple[Method, torch.optim.Optimizer]:
        torch.manual_seed(0)
        method = Small()
        method.layer = nn.Conv2d(3, 8, 3).to(memory_format=layout)
        options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
        return method, kind(method.parameters(), lr=0.1, fused=True, **options)

    def learn(method: Method, optimizer: torch.optim.Optimizer, seed: int) -> None:
        gradient = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(seed))
        weight = method.layer.weight
        weight.grad = torch.empty_like(weight).copy_(gradient)
        optimizer.step()

    first = begun(torch.contiguous_format)
    learn(*first, 1)
    Checkpoint(tmp_path / "checkpoint.pt", 1).save(*first, epochs=1, seconds=1, last=True)
    second = begun(torch.channels_last)
    Checkpoint(tmp_path / "checkpoint.pt", 1).restore(*second)
    for method, optimizer in (first, second):
        learn(method, optimizer, 2)
    assert torch.equal(first[0].layer.weight, second[0].layer.weight)
