from __future__ import annotations

import pytest
import torch

from coterie.errors import UsageError
from coterie.evaluate.probe import ProbeConfig, held_out_places, probe


def clouds(distance: float, classes: int = 3, each: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(classes * each) % classes
    noise = torch.randn(len(labels), 8, generator=torch.Generator().manual_seed(0))
    return distance * torch.eye(8)[labels] + noise, labels


def test_what_is_linearly_apart_is_found_and_chance_is_chance() -> None:
    # LARS takes small steps, of which few images make few.
    for config in (ProbeConfig(), ProbeConfig("lars", epochs=3000)):
        scores = probe(*clouds(12.0), config)
        assert scores.top1 > 0.95
        assert scores.knn == 1.0
    noise = probe(*clouds(0.0, classes=6), ProbeConfig())
    assert noise.top1 < 0.35
    assert noise.top5 > 0.7
    assert (noise.trained, noise.tested, noise.classes) == (288, 72, 6)


def test_the_scale_and_place_of_the_features_do_not_matter() -> None:
    features, labels = clouds(2.5)
    plain = probe(features, labels, ProbeConfig())
    assert 0.6 < plain.top1 < 1
    assert probe(1000 * features, labels, ProbeConfig()).top1 == plain.top1
    torch.testing.assert_close(probe(features + 50, labels, ProbeConfig()).top1, plain.top1, atol=0.03, rtol=0)


def test_the_seed_decides_and_nothing_global_changes() -> None:
    state = torch.get_rng_state()
    first, again, other = (probe(*clouds(2.0), ProbeConfig(seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert first == again
    assert first != other


def test_every_class_is_on_both_sides() -> None:
    labels = torch.tensor([0] * 30 + [1] * 2 + [2] * 10)
    tested = held_out_places(labels, 0.2, torch.Generator().manual_seed(0))
    assert labels[tested].bincount().tolist() == [6, 1, 2]
    with pytest.raises(UsageError, match="two images each"):
        held_out_places(torch.tensor([0, 0, 1]), 0.2, torch.Generator())


def test_unknown_labels_are_left_out() -> None:
    features, labels = clouds(12.0)
    labels[::4] = -1
    scores = probe(features, labels, ProbeConfig())
    assert scores.trained + scores.tested == int((labels >= 0).sum())


def test_rates_follow_their_schedules() -> None:
    sgd, lars = ProbeConfig(), ProbeConfig("lars")
    assert [sgd.rate(epoch, 256) for epoch in (0, 59, 60, 79, 80)] == pytest.approx([30, 30, 3, 3, 0.3])
    assert lars.rate(0, 4096) == pytest.approx(1.6)
    assert lars.rate(45, 4096) == pytest.approx(0.8)


def test_images_to_test_on_may_be_given() -> None:
    features, labels = clouds(2.0)
    tested = torch.arange(len(labels)) % 5 == 0
    scores = probe(features, labels, ProbeConfig(), tested)
    assert (scores.trained, scores.tested) == (int((~tested).sum()), int(tested.sum()))
    unknown = torch.where(tested, -1, labels)
    for labelled, apart in ((unknown, tested), (labels, labels >= 0)):
        with pytest.raises(UsageError, match="some to test on"):
            probe(features, labelled, ProbeConfig(), apart)


@pytest.mark.parametrize("wrong", [{"optimizer": "adam"}, {"epochs": 0}, {"held_out": 1.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ProbeConfig(**wrong)  # type: ignore[arg-type]
