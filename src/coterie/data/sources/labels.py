"""Labels and keys of arrays, as h5py, pandas, Keras and the like have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError
from coterie.naming import class_names


def plain_labels(labels: Any, count: int, name: str) -> npt.NDArray[Any]:
    """Labels (count,) as whole numbers, −1 where unknown, or as strings, empty where unknown.

    Bytes are text; of whole floats, NaN is unknown; (count, 1) is flat; one-hot rows are the column of their 1.

    Raises:
        UsageError: another shape, or values that are no labels.
    """
    array = _as_array(labels, name)
    if array.ndim > 1 and array.size == count == max(array.shape):
        array = array.reshape(count)
    if array.ndim == 2 and len(array) == count and array.dtype.kind in "iufb":
        array = _columns_of_ones(array, name)
    if array.shape != (count,):
        raise UsageError(f"{name}: {count} images but labels of shape {array.shape}")
    if array.dtype.kind == "O":
        array = _of_objects(array)
    if array.dtype.kind in "iub":
        return array
    if array.dtype.kind == "f":
        return _whole(array, name)
    if array.dtype.kind not in "USTO":
        raise UsageError(f"{name}: labels must be whole numbers or strings, not {array.dtype}")
    return np.array(class_names(texts(array)), dtype=np.str_)


def texts(values: Any) -> list[str]:
    """Names as strings: bytes are UTF-8, whole floats numbers."""
    return [_text(value) for value in np.ravel(values).tolist()]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _as_array(labels: Any, name: str) -> npt.NDArray[Any]:
    try:
        if isinstance(labels, Sequence) and any(label is None for label in labels):
            return np.array(labels, dtype=object)
        return np.asarray(labels)
    except ValueError:  # Rows of several lengths.
        raise UsageError(f"{name}: labels must be one an image") from None


def _columns_of_ones(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.int64]:
    ones, zeros = (array == 1).sum(axis=1), (array == 0).sum(axis=1)
    if ((ones > 1) | (ones + zeros < array.shape[1])).any():
        raise UsageError(f"{name}: labels of shape {array.shape} are not one-hot: give one label an image")
    return np.where(ones == 1, (array == 1).argmax(axis=1), -1)


def _of_objects(array: npt.NDArray[np.object_]) -> npt.NDArray[Any]:
    missing = [value is None or value != value for value in array]  # NaN differs from itself.
    known = [value for value, gone in zip(array, missing, strict=True) if not gone]
    if known and all(isinstance(value, (int, float, np.number)) for value in known):
        return np.array([np.nan if gone else value for value, gone in zip(array, missing, strict=True)], dtype=float)
    return np.array(["" if gone else _text(value) for value, gone in zip(array, missing, strict=True)], dtype=np.str_)


def _whole(array: npt.NDArray[np.floating[Any]], name: str) -> npt.NDArray[np.int64]:
    known = ~np.isnan(array)
    if not (np.isfinite(array[known]) & (array[known] == np.trunc(array[known]))).all():
        raise UsageError(f"{name}: labels must be whole numbers or strings, and some have decimals")
    return np.where(known, array, -1).astype(np.int64)
