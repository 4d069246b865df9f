"""Networks that only look, made fast on a CPU: the same features in a fraction of the time.

Three things cost a network time that it does not need once it learns no more. Batch norms are a scale and an offset,
which the convolution before them can take over. Activations that lie channel by channel are laid out anew by every
convolution. And what takes more than 32 MiB, glibc does not keep but maps from the system and gives back in every
single operation, so that the system clears pages for half of the time: batches are therefore no larger than fits.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from coterie.devices import precise

# The most that glibc's allocator ever keeps for the next request (DEFAULT_MMAP_THRESHOLD_MAX), less its own words.
_KEPT = (32 << 20) - (64 << 10)
# Of the largest feature: float32 keeps seven digits, of which the sums of deep networks lose a few.
_ROUNDING = 1e-3


class Frozen(nn.Module):
    """A network for looking, made by `frozen`: images (n, C, H, W) to features (n, features) float32.

    Args:
        network: in evaluation mode, its parameters of one type.
        features: how many it makes of an image.
        batch: images that it is shown at a time on a CPU.
    """

    def __init__(self, network: nn.Module, features: int, batch: int) -> None:
        super().__init__()
        self.network, self.features, self.batch = network, features, batch
        self._dtype = next(network.parameters()).dtype

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        step = self.batch if images.device.type == "cpu" else max(1, len(images))
        parts = torch.split(images.to(self._dtype), step)
        return torch.cat([self.network(part.contiguous(memory_format=torch.channels_last)) for part in parts]).float()


def frozen(network: nn.Module, *, channels: int, side: int, dtype: torch.dtype = torch.float32) -> Frozen:
    """A copy of a network that learns no more: its features to the rounding of float32, several times as fast.

    Args:
        network: images (n, C, S, S) to (n, features), with the attribute `features`; left as it is.
        channels, side: C and S of the images it will see.
        dtype: to calculate in. bfloat16 keeps two to three digits; where a processor has no instructions for it, it is
            slower by far.
    """
    image = _probe(channels, side)
    fast = fold(copy.deepcopy(network).eval(), image).requires_grad_(False)
    fast = fast.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Frozen(fast, cast(int, network.features), look_batch(fast, image.to(dtype)))


def fold(network: nn.Module, image: Tensor) -> nn.Module:
    """A copy whose convolutions do what the batch norms after them did; those that follow none stay.

    Which batch norm follows which convolution is seen by showing it an image. Should its features then differ, as where
    a network uses a convolution's output twice, the copy is of the network as it was.

    Args:
        network: in evaluation mode; left as it is.
        image: (1, C, S, S) that it is shown.
    """
    folded = copy.deepcopy(network)
    pairs = _pairs(folded, image)
    names = {id(module): name for name, module in folded.named_modules()}
    for convolution, norm in pairs:
        _fold_into(convolution, norm)
        parent, _, name = names[id(norm)].rpartition(".")
        setattr(folded.get_submodule(parent), name, nn.Identity())
    return folded if _agree(folded, network, image) else copy.deepcopy(network)


def look_batch(network: nn.Module, image: Tensor, *, kept: int = _KEPT) -> int:
    """How many images to show at a time on a CPU: as many as leave the largest activation within what memory is kept.

    Args:
        image: (1, C, S, S).
        kept: bytes that the system's allocator keeps for the next request.
    """
    largest = image.nbytes

    def note(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal largest
        sizes = [value.nbytes for value in (*inputs, output) if isinstance(value, Tensor)]
        largest = max([largest, *sizes])

    with _watched(network, note):
        network(image)
    return max(1, kept // largest)


def _pairs(network: nn.Module, image: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and the batch norms that take what they make; each used once."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # Holding on to the outputs keeps their ids from being used again.
    seen: list[nn.Module] = []
    pairs = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seen.append(module)
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (module, output)
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats and id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], module))

    with _watched(network, note):
        network(image)
    return [pair for pair in pairs if all(sum(other is module for other in seen) == 1 for module in pair)]


def _fold_into(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """γ(Wx + b − μ)/√(σ² + ε) + β is a convolution, too; in float64, as the old weights cannot be had back."""
    mean, variance = (precise(cast(Tensor, value)) for value in (norm.running_mean, norm.running_var))
    scale = (variance + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * precise(norm.weight)
    bias = torch.zeros_like(mean) if convolution.bias is None else precise(convolution.bias)
    offset = (bias - mean) * scale + (precise(norm.bias) if norm.affine else 0.0)
    old = convolution.weight
    weight = (precise(old) * scale.view(-1, 1, 1, 1)).to(old)
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    convolution.bias = nn.Parameter(offset.to(old), requires_grad=False)


@torch.inference_mode()
def _agree(fast: nn.Module, slow: nn.Module, image: Tensor) -> bool:
    expected: Tensor = slow(image)
    found: Tensor = fast(image)
    return bool((found - expected).abs().max() <= _ROUNDING * expected.abs().max())


def _probe(channels: int, side: int) -> Tensor:
    """An image (1, C, S, S) of about unit deviation, the same every time, that no two places of are alike."""
    return torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(0))


@contextlib.contextmanager
def _watched(network: nn.Module, note: Callable[[nn.Module, tuple[Any, ...], Any], None]) -> Iterator[None]:
    """Tell `note` of every module's inputs and output."""
    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.inference_mode():
            yield
    finally:
        for hook in hooks:
            hook.remove()
