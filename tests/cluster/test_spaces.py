"""Feature spaces side by side count alike, whatever scale each has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import small
from coterie.cluster.spaces import as_one, in_spaces
from coterie.config import read
from coterie.data.feeding.features import Features, side_by_side
from coterie.data.feeding.pairs import Pairing
from coterie.data.reading.handout import hand_out, take
from coterie.evaluate.baseline import baseline
from coterie.methods import Method, build_method, method_type

SPACES = (4, 2)
CPU = torch.device("cpu")


def points(count: int = 40) -> torch.Tensor:
    return torch.randn(count, sum(SPACES), generator=torch.Generator().manual_seed(0))


def louder(features: torch.Tensor) -> torch.Tensor:
    """With the second space at another scale."""
    return torch.cat([features[:, :4], 9 * features[:, 4:]], dim=1)


def built(name: str, **options: object) -> Method:
    config = read(method_type(name).Config, {**small.options(name), **options})
    return build_method(name, config, backbone="none", shape=SPACES, n_clusters=3, seed=0)


def test_the_cosine_is_the_mean_of_those_in_all_spaces() -> None:
    features = points(5)
    cosines = [F.normalize(part, dim=1) @ F.normalize(part, dim=1).T for part in in_spaces(features, SPACES)]
    together = F.normalize(as_one(features, SPACES), dim=1)
    torch.testing.assert_close(together @ together.T, sum(cosines) / 2)
    assert as_one(features, (6,)) is features


@pytest.mark.parametrize(
    ("name", "options"), [("kmeans", {}), ("kmeans", {"axes": 0}), ("lnscc", {}), ("temi", {}), ("turtle", {})]
)
def test_no_space_is_louder_than_another(name: str, options: dict) -> None:
    found = []
    for features in (points(), louder(points())):
        method = built(name, **options).eval()
        method.begin(features)
        assigned = method.assign(features)
        found.append([method.embed(features), method.features(features), *([] if assigned is None else [assigned])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_nor_in_what_is_found_before_learning() -> None:
    keys, labels = [str(place) for place in range(40)], np.arange(40) % 3
    both = [Features(values.numpy(), keys, labels, spaces=SPACES) for values in (points(), louder(points()))]
    for feeding in (built("lnscc").feeding, Pairing(5)):
        assert feeding is not None
        feeds = [feeding.feed(each, batch_size=8, device=CPU, seed=0) for each in both]
        places = [[index.tolist() for index, _ in feed.batches(0)] for feed in feeds]
        assert places[0] == places[1]
    assert torch.equal(*[Pairing(5).feed(each, batch_size=8, device=CPU, seed=0).neighbours for each in both])
    assert baseline(both[0], 3, seed=0).scores == baseline(both[1], 3, seed=0).scores


def test_images_that_one_of_the_networks_lacks_are_left_out() -> None:
    first = Features(np.arange(6, dtype=np.float32).reshape(3, 2), ["a", "b", "c"], np.array([0, 1, 0]), origins=(7,))
    second = Features(np.array([[10.0], [20.0]], np.float32), ["c", "a"], origins=(8,))
    both = side_by_side([first, second])
    assert both.values.tolist() == [[0, 1, 20], [4, 5, 10]]
    assert (both.keys, both.spaces, both.origins) == (["a", "c"], (2, 1), (7, 8))
    assert both.labels is not None
    assert both.labels.tolist() == [0, 0]
    assert side_by_side([first]) is first


def test_a_fingerprint_knows_the_spaces() -> None:
    values, keys = points(3).numpy(), ["a", "b", "c"]
    one, other = Features(values, keys), Features(values, keys, spaces=SPACES)
    assert one.fingerprint() != other.fingerprint()
    assert Features(values, keys, origins=(1, 2)).fingerprint() != Features(values, keys, origins=(2, 1)).fingerprint()


def test_processes_hand_each_other_the_spaces(tmp_path: Path) -> None:
    given = Features(points(3).numpy(), ["a", "b", "c"], origins=(1, 2), spaces=SPACES)
    hand_out(given, tmp_path / "shared")
    taken = take(tmp_path / "shared")
    assert isinstance(taken, Features)
    assert (taken.origins, taken.spaces, taken.fingerprint()) == (given.origins, given.spaces, given.fingerprint())
