from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.losses.turtle import Learner, label_entropy, learn, linear_logits, normalised_weight, prediction_loss

WIDTHS = (3, 2)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def setting(n: int = 7, clusters: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, soft labels, weights and biases."""
    return drawn(n, 5), drawn(n, clusters, seed=1).softmax(1), drawn(clusters, 5, seed=2), drawn(2, clusters, seed=3)


def slow(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> tuple[float, float]:
    """Cross entropy summed over spaces, and the entropy of each space's mean prediction, with loops."""
    loss = entropy = 0.0
    for space, columns in enumerate((range(3), range(3, 5))):
        means = [0.0] * len(weight)
        for row, label in zip(features.tolist(), labels.tolist(), strict=True):
            scores = [
                math.exp(float(bias[space, c]) + sum(float(weight[c, d]) * row[d] for d in columns))
                for c in range(len(weight))
            ]
            shares = [score / sum(scores) for score in scores]
            loss -= sum(t * math.log(p) for t, p in zip(label, shares, strict=True)) / len(features)
            means = [mean + share / len(features) for mean, share in zip(means, shares, strict=True)]
        entropy -= sum(mean * math.log(mean) for mean in means)
    return loss, entropy


def test_equal_their_slow_twins() -> None:
    features, labels, weight, bias = setting()
    logits = linear_logits(features, weight, bias, WIDTHS)
    loss, entropy = slow(features, labels, weight, bias)
    assert float(prediction_loss(logits, labels)) == pytest.approx(loss)
    assert float(label_entropy(logits.softmax(2))) == pytest.approx(entropy)


def test_worked_by_hand() -> None:
    # Undecided between two classes, each space says log 2, whatever the labels.
    logits, labels = torch.zeros(2, 3, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert float(prediction_loss(logits, labels)) == pytest.approx(2 * math.log(2))
    # Labels that are sure and even have the entropy log 2; a single class has none.
    assert float(label_entropy(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))) == pytest.approx(math.log(2))
    assert float(label_entropy(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))) == 0
    # Rows (3, 4) of length 2 in the first space, −1 of length 7 in the second.
    weight = normalised_weight(torch.tensor([[3.0, 4.0, -1.0]]), torch.tensor([[2.0], [7.0]]), (2, 1))
    torch.testing.assert_close(weight, torch.tensor([[1.2, 1.6, -7.0]]))


def test_classes_rows_and_spaces_may_be_exchanged() -> None:
    features, labels, weight, bias = setting()
    whole = linear_logits(features, weight, bias, WIDTHS)
    loss, entropy = prediction_loss(whole, labels), label_entropy(whole.softmax(2))
    renamed, order = torch.tensor([3, 1, 0, 2]), torch.randperm(7, generator=torch.Generator().manual_seed(0))
    columns = torch.tensor([3, 4, 0, 1, 2])
    turned = linear_logits(
        features[order][:, columns], weight[renamed][:, columns], bias.flip(0)[:, renamed], WIDTHS[::-1]
    )
    torch.testing.assert_close(prediction_loss(turned, labels[order][:, renamed]), loss)
    torch.testing.assert_close(label_entropy(turned.softmax(2)), entropy)


def test_gradients() -> None:
    features, labels, weight, bias = setting()
    lengths = drawn(2, 4, seed=4)

    def both(v: Tensor, g: Tensor, b: Tensor) -> Tensor:
        logits = linear_logits(features, normalised_weight(v, g, WIDTHS), b, WIDTHS)
        return prediction_loss(logits, labels) - label_entropy(logits.softmax(2))

    assert torch.autograd.gradcheck(both, (weight.requires_grad_(), lengths.requires_grad_(), bias.requires_grad_()))
    soft = labels.log().requires_grad_()
    logits = linear_logits(features, weight, bias, WIDTHS).detach()
    assert torch.autograd.gradcheck(lambda t: prediction_loss(logits, t.softmax(1)), (soft,))


def test_sure_labels_have_a_finite_slope() -> None:
    logits = torch.tensor([[[200.0, 0.0], [200.0, 0.0]]], requires_grad=True)
    label_entropy(logits.softmax(2)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("in_parts", [False, True])
def test_learning_takes_the_steps_of_torchs_adam(in_parts: bool) -> None:
    features, labels, weight, bias = setting()
    ours = Learner.fresh(weight, bias)
    for steps in (range(3), range(3, 8)) if in_parts else (range(8),):
        ours = learn(ours, features, labels, WIDTHS, steps, rate=0.05)
    theirs = [weight.clone().requires_grad_(), bias.clone().requires_grad_()]
    optimizer = torch.optim.Adam(theirs, lr=0.05)
    for _ in range(8):
        optimizer.zero_grad()
        parts = zip(features.split(WIDTHS, 1), theirs[0].split(WIDTHS, 1), theirs[1], strict=True)
        sum(F.cross_entropy(F.linear(*part), labels) for part in parts).backward()  # type: ignore[union-attr]
        optimizer.step()
    for one, other in zip(ours.split(2), theirs, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-10, atol=1e-12)


def test_learning_leaves_its_start_alone_and_lowers_the_loss() -> None:
    features, labels, weight, bias = setting()
    start = Learner.fresh(weight, bias)
    before = start.parameters.clone()
    learnt = learn(start, features, labels, WIDTHS, range(50), rate=0.05)
    assert torch.equal(start.parameters, before)
    losses = [prediction_loss(linear_logits(features, *each.split(2), WIDTHS), labels) for each in (start, learnt)]
    assert losses[1] < losses[0]
