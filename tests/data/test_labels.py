"""Labels and keys of arrays, as h5py, pandas, Keras and scikit-learn have them."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.data.sources import open_source
from coterie.data.sources.arrays import numbered_labels
from coterie.errors import UsageError

NFD = unicodedata.normalize("NFD", "é")


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        ([0.0, 1.0, np.nan], [0, 1, -1], ("0", "1")),
        (np.array([2, np.nan, 0], np.float16), [2, -1, 0], ("0", "1", "2")),
        ([[0], [1], [2]], [0, 1, 2], ("0", "1", "2")),
        ([[0, 1, 2]], [0, 1, 2], ("0", "1", "2")),
        (np.eye(3), [0, 1, 2], ("0", "1", "2")),
        ([[0, 1], [0, 0], [1, 0]], [1, -1, 0], ("0", "1")),
        (np.eye(3, dtype=bool)[::-1], [2, 1, 0], ("0", "1", "2")),
        (np.array([b"cat", b"dog", b""]), [0, 1, -1], ("cat", "dog")),
        (["é".encode(), b"a", "é".encode()], [1, 0, 1], ("a", "é")),
        (np.array(["é", NFD, " é "]), [0, 0, 0], ("é",)),
        (np.array(["1.0", "2.0", "nan"]), [0, 1, -1], ("1", "2")),
        (np.array(["a", None, np.nan], dtype=object), [0, -1, -1], ("a",)),
        ([None, 1, 0], [-1, 1, 0], ("0", "1")),
        ([None, "b", None], [-1, 0, -1], ("b",)),
        ([True, False, True], [1, 0, 1], ("0", "1")),
    ],
)
def test_labels_of_many_kinds(labels: Any, numbers: list[int], names: tuple[str, ...]) -> None:
    found, called = numbered_labels(labels, (), 3, "pack.npz")
    assert found is not None
    assert (found.tolist(), called) == (numbers, names)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0.5, 1.0, 2.0], "whole numbers or strings"),
        ([0.0, np.inf, 1.0], "whole numbers or strings"),
        ([[1, 1], [0, 1], [1, 0]], "not one-hot: give one label an image"),
        (np.zeros((3, 2, 2)), "labels of shape"),
        ([1, 2], "3 images but labels of shape"),
        (np.array(["2020-01-01"] * 3, "datetime64[D]"), "whole numbers or strings, not datetime64"),
        ([[1], [2, 3], [4]], "must be one an image"),
    ],
)
def test_what_is_no_label(labels: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        numbered_labels(labels, (), 3, "pack.npz")


def test_keys_and_names_beside_them(tmp_path: Path, blobs: tuple) -> None:
    np.savez(
        tmp_path / "pack.npz", images=blobs[0][:3], keys=np.array([b"a", "é".encode(), b"c"]),
        labels=[[0.0], [1.0], [np.nan]], class_names=np.array([b"cat ", b"dog"]),
    )  # fmt: skip
    source = open_source(tmp_path / "pack.npz")
    assert source.keys == ["a", "é", "c"]
    assert source.labels is not None
    assert (source.labels.tolist(), source.class_names) == ([0, 1, -1], ("cat", "dog"))
    np.savez(tmp_path / "floats.npz", images=blobs[0][:3], keys=np.array([1.0, 2.0, 3.0]))
    assert open_source(tmp_path / "floats.npz").keys == ["1", "2", "3"]


def test_objects_are_refused_with_what_to_do(tmp_path: Path, blobs: tuple) -> None:
    np.savez(tmp_path / "pack.npz", images=blobs[0][:2], labels=np.array(["a", None], dtype=object))
    with pytest.raises(UsageError, match=r"'labels' holds Python objects; save it as labels.astype\(str\)"):
        open_source(tmp_path / "pack.npz")


def test_class_folders_that_look_the_same_are_one(photo_folder: Path) -> None:
    for old, new in (("reds", f"a/caf{NFD}"), ("blues", "b/café")):
        (photo_folder / new).parent.mkdir()
        (photo_folder / old).rename(photo_folder / new)
    source = open_source(photo_folder, labels_from_folders=True)
    assert source.class_names == ("café",)
