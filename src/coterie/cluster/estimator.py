"""What estimators on points share: scikit-learn's manners for arrays and tensors alike."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import validate_data
from torch import Tensor

from coterie.config import plain
from coterie.errors import UsageError
from coterie.seeding import generator

Points = Tensor | np.ndarray[Any, Any]
Data = TypeVar("Data", bound=Points)


class NotFitted(UsageError, NotFittedError):  # type: ignore[misc]
    """Asked before `fit`."""


def checked_array(estimator: BaseEstimator, points: Any, *, reset: bool, least: int = 1) -> np.ndarray[Any, Any]:
    """Points as a matrix (N, D) of floats, N ≥ `least`, checked as scikit-learn checks them; a `reset` learns D.

    Raises:
        UsageError: another shape, other features than were learnt, or values that are not finite numbers.
    """
    floats = [np.float64, np.float32]
    try:
        array: np.ndarray[Any, Any] = validate_data(
            estimator, points, reset=reset, dtype=floats, order="C", ensure_min_samples=least
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    return array


def whole(value: object, name: str) -> int:
    """A parameter that is a whole number of any kind, numpy's among them.

    Raises:
        UsageError: it is none.
    """
    found = plain(value)
    if not isinstance(found, int) or isinstance(found, bool):
        raise UsageError(f"{name} wants a whole number, got {value!r}")
    return found


class Estimator(BaseEstimator):  # type: ignore[misc]
    """Arrays and data frames are checked as scikit-learn checks its own; tensors stay on their device.

    Subclasses are dataclasses: scikit-learn reads the parameters from the constructor's signature.

    Args:
        seed: same seed, same machine, same result; None is 0.

    Attributes:
        n_features_in_: D. feature_names_in_: of a data frame's columns.
    """

    seed: int | None

    def _generator(self, device: torch.device, purpose: str) -> torch.Generator:
        return generator(device, 0 if self.seed is None else whole(self.seed, "seed"), purpose)

    def _learning(self, points: Points) -> Tensor:
        """Points (N, D) to fit to, as a tensor."""
        return self._checked(points, reset=True)

    def _asked(self, points: Points, *, like: Tensor | None) -> Tensor:
        """Points (n, D) to answer for, where `like` lies, what was learnt; None before `fit`."""
        if like is None:
            raise NotFitted(f"this {type(self).__name__} is not fitted yet: call fit first")
        return self._checked(points, reset=False).to(like.device, like.dtype)

    def _checked(self, points: Points, *, reset: bool) -> Tensor:
        if not isinstance(points, Tensor):
            array = checked_array(self, points, reset=reset)
            return torch.from_numpy(array if array.flags.writeable else array.copy())
        name = type(self).__name__
        if points.ndim != 2:
            raise UsageError(f"{name} wants points of shape (N, D), got {tuple(points.shape)}")
        if reset:
            self.n_features_in_ = points.shape[1]
            self.__dict__.pop("feature_names_in_", None)
        elif points.shape[1] != self.n_features_in_:
            raise UsageError(
                f"X has {points.shape[1]} features, but {name} is expecting {self.n_features_in_} features as input"
            )
        return points


def same_kind(given: Data, answer: Tensor) -> Data:
    """The answer as a tensor on the device of the one given, else as an array."""
    return answer.to(given.device) if isinstance(given, Tensor) else answer.cpu().numpy()  # type: ignore[return-value]


def warn_of_fewer(labels: Tensor, n_clusters: int) -> None:
    """Warn as scikit-learn does where there are fewer clusters than were asked for, as points are alike."""
    found = int((labels.bincount() > 0).sum())
    if found < n_clusters:
        warnings.warn(
            f"Number of distinct clusters ({found}) found smaller than n_clusters ({n_clusters}): points are alike.",
            ConvergenceWarning,
            stacklevel=4,
        )
