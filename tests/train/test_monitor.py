from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from coterie.cli import main
from coterie.cluster import KMeansResult
from coterie.errors import CoterieError
from coterie.methods import Batch, Method
from coterie.methods.cc import CC
from coterie.methods.simclr import SimCLR
from coterie.train.estep import Expectation
from coterie.train.monitor import check_sizes, examine, spread


class Still(Method):
    """Embeds everything as it is told to."""

    def __init__(self, embeddings: Tensor, probabilities: Tensor | None = None) -> None:
        super().__init__()
        self._embeddings, self._probabilities = embeddings, probabilities

    def embed(self, images: Tensor) -> Tensor:  # noqa: ARG002
        return self._embeddings

    def assign(self, images: Tensor) -> Tensor | None:  # noqa: ARG002
        return self._probabilities


class Sample:
    """A feed of which only the sample is asked for."""

    def sample(self, most: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        return torch.arange(40), torch.zeros(40, 1)


def look(embeddings: Tensor, probabilities: Tensor | None = None) -> object:
    return examine(Still(embeddings, probabilities), Sample(), 4)  # type: ignore[arg-type]


def directions() -> Tensor:
    return torch.randn(40, 8, generator=torch.Generator().manual_seed(0))


def test_spread_by_hand() -> None:
    assert spread(torch.tensor([[1.0, 0.0], [-5.0, 0.0]]), "cosine") == pytest.approx(1.0)
    assert spread(torch.tensor([[1.0, 0.0], [-5.0, 0.0]]), "euclidean") == pytest.approx(3.0)
    assert spread(torch.tensor([[1.0, 2.0], [2.0, 4.0]]), "cosine") == pytest.approx(0.0, abs=1e-4)


def test_each_collapse_is_named_with_its_epoch_and_a_remedy() -> None:
    one_point = torch.ones(40, 8) + 1e-4 * directions()
    with pytest.raises(CoterieError, match=r"collapsed to one point .* in epoch 5: lower train.learning_rate"):
        look(one_point)
    with pytest.raises(CoterieError, match=r"no longer finite \(NaN\) in epoch 5.*float32"):
        look(directions() * torch.nan)
    swallowed = torch.tensor([[0.999, 0.0005, 0.0005]]).expand(40, 3)
    with pytest.raises(CoterieError, match=r"one cluster took 99.9% of the images in epoch 5"):
        look(directions(), swallowed)


def test_healthy_ones_pass() -> None:
    assert look(directions()).spread > 0.8  # type: ignore[attr-defined]
    # A head that has not decided yet may prefer one cluster everywhere, but only just.
    undecided = torch.tensor([[0.34, 0.33, 0.33]]).expand(40, 3)
    assert look(directions(), undecided).largest == pytest.approx(0.34)  # type: ignore[attr-defined]


def test_an_e_step_that_finds_one_cluster() -> None:
    labels = torch.zeros(1000, dtype=torch.int64)
    labels[:3] = torch.tensor([0, 1, 2])
    found = KMeansResult(labels, torch.zeros(3, 2), 0.0, 1)
    with pytest.raises(CoterieError, match=r"one cluster took 99.8%"):
        check_sizes(Expectation(torch.zeros(1000, 2), [found]), 3, 4)
    check_sizes(Expectation(torch.zeros(1000, 2), [found]), 10, 4)  # A finer grain than the clusters asked for.


def collapsing(method: type[Method], monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third epoch on, make the method's own loss reward what collapses it."""
    untouched = method.losses

    def losses(self: Method, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        if batch.progress.epoch < 2:
            return untouched(self, views, batch)
        if isinstance(self, CC):
            return {"bad": -self.assign(views[0])[:, 0].log().mean()}
        return {"bad": self.embed(views[0]).var(dim=0).sum()}

    monkeypatch.setattr(method, "losses", losses)


@pytest.mark.parametrize(("name", "method", "words"), [("simclr", SimCLR, "one point"), ("cc", CC, "one cluster")])
def test_a_run_that_collapses_keeps_a_checkpoint_of_before(
    name: str, method: type[Method], words: str, tmp_path: Path, blobs: tuple,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    np.savez(tmp_path / "pack.npz", images=blobs[0])
    collapsing(method, monkeypatch)
    run = tmp_path / "run"
    command = ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--method", name, "--epochs", "400", "--quiet"]
    command += ["--set", "hidden=16", "--set", "batch_size=20", "--set", "learning_rate=0.03", "--out", str(run)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "the last checkpoint before is kept" in error
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert 1 <= state["epochs"] < 400
    assert len((run / "metrics.jsonl").read_text().splitlines()) >= state["epochs"]
