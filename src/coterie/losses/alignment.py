"""Alignment of a prediction with its target: the loss of BYOL, and with noise that of ProPos."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def alignment(prediction: Tensor, target: Tensor) -> Tensor:
    """Negative cosine alignment, `−2·mean cos(prediction, target)` (BYOL, arXiv 2006.07733, eq. 2 less its constant).

    Args:
        prediction: predictor output, (n, d), of any length.
        target: target projection, (n, d), of any length; no gradient flows through it.

    Returns:
        A scalar between −2 (aligned) and 2.
    """
    return -2.0 * F.cosine_similarity(prediction, target.detach(), dim=1).mean()
