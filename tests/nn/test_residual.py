from __future__ import annotations

import pytest
import torch

from coterie.nn.residual import ResidualMLP, dropout


def test_dropout_silences_its_share_and_keeps_the_mean() -> None:
    ones = torch.ones(1000, 100)
    found = dropout(ones, 0.3, torch.Generator().manual_seed(0))
    assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.01)
    assert torch.equal(found, dropout(ones, 0.3, torch.Generator().manual_seed(0)))
    # Neighbouring bytes of one draw are independent of each other.
    pairs = (found[:, :-1] == 0) & (found[:, 1:] == 0)
    assert float(pairs.float().mean()) == pytest.approx(0.09, abs=0.01)


def test_nothing_is_drawn_in_evaluation_and_nothing_global_ever() -> None:
    network = ResidualMLP(6, (8, 4), 2, dropout=0.5)
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    trained = [network(features, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])
    network.eval()
    assert torch.equal(network(features), network(features))
    assert torch.equal(state, torch.get_rng_state())


def test_places_stay_in_full_precision() -> None:
    network = ResidualMLP(6, (8, 4), 2, dropout=0.0).eval()
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    exact = network(features)
    network.speed_up(autocast_dtype=torch.bfloat16, channels_last=True)
    assert network(features).dtype == torch.float32
    torch.testing.assert_close(network(features), exact, atol=0.05, rtol=0.05)
