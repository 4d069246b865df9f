from __future__ import annotations

import torch
from torch import nn

from coterie.nn.ema import target_of, update


def test_moves_parameters_towards_the_online_network_and_leaves_buffers() -> None:
    online = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    target = target_of(online)
    before = [parameter.clone() for parameter in target.parameters()]
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.add_(1.0)
    online(torch.randn(8, 3))
    update(target, online, momentum=0.9)
    # The plain twin: m θ' + (1−m) θ, one parameter at a time.
    for old, new, source in zip(before, target.parameters(), online.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * source)
        assert not new.requires_grad
    assert int(target[1].num_batches_tracked) == 0
