"""3×3 convolutions whose weights' gradient is a product of matrices: the same as torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from coterie.nn import convolution
from coterie.nn.convolution import Conv3x3, _ByProduct, pooled


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [1, 3, 4])
def test_the_gradients_are_those_of_a_convolution(side: int, stride: int) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, side, side, generator=draw, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    ours, theirs = _ByProduct.apply(images, weight, stride), F.conv2d(images, weight, stride=stride, padding=1)
    told = torch.randn(theirs.shape, generator=draw, dtype=torch.float64)
    assert torch.equal(ours, theirs)
    for mine, its in zip(*(torch.autograd.grad(out, (images, weight), told) for out in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, its)
    assert torch.autograd.gradcheck(lambda x, w: _ByProduct.apply(x, w, stride), (images, weight))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_in_bfloat16_it_rounds_as_torch_does(layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    layer = Conv3x3(16, 8).to(memory_format=layout)  # type: ignore[call-overload]
    images = torch.randn(4, 16, 3, 3, generator=draw).contiguous(memory_format=layout)
    gradients = []
    for units in (False, True):
        monkeypatch.setattr(convolution, "_has_matrix_units", lambda _, units=units: units)
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(images)
        assert found.dtype == torch.bfloat16
        found.float().square().sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.dtype == torch.float32
        gradients.append(layer.weight.grad.clone())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=2e-2, atol=2e-2 * float(gradients[0].abs().max()))


def test_pooling_is_the_mean_and_lays_its_gradient_channels_innermost() -> None:
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(pooled(maps), maps.mean(dim=(2, 3)))
    laid: list[torch.Tensor] = []
    whole = maps * 1.0
    whole.register_hook(laid.append)
    pooled(whole).sum().backward()
    assert laid[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradcheck(pooled, maps)
