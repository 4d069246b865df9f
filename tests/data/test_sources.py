from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from coterie import Clusterer
from coterie.data.base import Skipped
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.errors import UsageError


def test_a_folder_of_any_depth(photo_folder: Path) -> None:
    (photo_folder / "reds" / "deep" / "er").mkdir(parents=True)
    Image.new("L", (9, 9)).save(photo_folder / "reds" / "deep" / "er" / "grey.PNG")
    (photo_folder / ".hidden.png").write_bytes(b"")
    source = open_source(photo_folder)
    assert len(source.keys) == 25
    assert source.keys == sorted(source.keys)
    assert "reds/deep/er/grey.PNG" in source.keys
    assert source.labels is None


def test_class_folders_as_labels(photo_folder: Path) -> None:
    Image.new("L", (9, 9)).save(photo_folder / "loose.png")
    source = open_source(photo_folder, labels_from_folders=True)
    assert source.class_names == ("blues", "reds")
    assert source.labels is not None
    assert dict(zip(source.keys, source.labels.tolist(), strict=True))["loose.png"] == -1
    assert sorted(source.labels.tolist()) == [-1] + [0] * 12 + [1] * 12


def test_bad_files_are_listed_and_never_fatal(photo_folder: Path) -> None:
    (photo_folder / "zero.jpg").write_bytes(b"")
    (photo_folder / "blues" / "05.png").write_bytes(b"\x89PNG nonsense")
    (photo_folder / "notes.txt").write_text("hello")
    source = open_source(photo_folder, labels_from_folders=True)
    store, skipped = ingest(source, 16)
    assert len(store) == 23
    assert store.images.shape == (23, 3, 16, 16)
    assert {entry.key for entry in skipped} == {"zero.jpg", "blues/05.png", "notes.txt"}
    # Labels and pictures stay with their keys when rows are left out.
    assert store.labels is not None
    for key, label, image in zip(store.keys, store.labels, store.images, strict=True):
        assert store.class_names[label] == key.split("/")[0]
        assert (image[0].mean() > image[2].mean()) == key.startswith("reds")


def test_links_to_folders_end(photo_folder: Path) -> None:
    (photo_folder / "reds" / "loop").symlink_to(photo_folder)
    source = open_source(photo_folder)
    assert len(source.keys) == 24
    assert source.skipped == [Skipped("reds/loop", "a link to a folder that is read already")]


def test_names_of_other_encodings(photo_folder: Path) -> None:
    odd = os.fsencode(photo_folder) + b'/caf\xe9,\n"x".png'
    with open(odd, "wb") as stream:  # noqa: PTH123 - pathlib has no byte paths.
        Image.new("RGB", (9, 9)).save(stream, "PNG")
    store, skipped = ingest(open_source(photo_folder), 8)
    assert len(store) == 25
    assert not skipped
    assert isinstance(store.fingerprint(), int)


@pytest.mark.parametrize(("name", "message"), [("none", "there is no"), ("empty", "no images below")])
def test_nothing_there(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        open_source(tmp_path / name)


def test_an_unreadable_folder(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(top: Path) -> None:
        raise PermissionError(13, "Permission denied", str(top))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        open_source(photo_folder)


def test_grey_images_keep_one_channel(tmp_path: Path, blobs: tuple[np.ndarray, np.ndarray]) -> None:
    np.savez(tmp_path / "pack.npz", images=blobs[0], labels=blobs[1])
    source = open_source(tmp_path / "pack.npz")
    assert source.outline().grey
    store, _ = ingest(source, 8)
    assert store.images.shape == (60, 1, 8, 8)
    assert np.array_equal(store.images[:, 0], blobs[0])
    assert ingest(source, 8, channels=3)[0].images.shape == (60, 3, 8, 8)


def test_colour_to_the_single_channel_of_a_model(photo_folder: Path) -> None:
    store, _ = ingest(open_source(photo_folder), 8, channels=1)
    reds = [key.startswith("reds") for key in store.keys]
    # 0.299·200 + 0.587·40 + 0.114·40 for the reds.
    np.testing.assert_allclose(store.images[reds].mean(), 87.8, atol=6)


def test_an_npz_with_names(tmp_path: Path) -> None:
    images = np.zeros((4, 6, 10, 4), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=["cat", "dog", "", "cat"], keys=["a", "b", "c", "d"])
    source = open_source(tmp_path / "a.npz")
    assert source.keys == ["a", "b", "c", "d"]
    assert source.class_names == ("cat", "dog")
    assert source.labels is not None
    assert source.labels.tolist() == [0, 1, -1, 0]
    assert ingest(source, 8)[0].images.min() == 255  # Alpha 0 everywhere.


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": np.zeros((2, 8, 8), np.uint8)}, "no array 'images'"),
        ({"images": np.zeros((2, 8, 8), np.float32)}, "must be uint8"),
        ({"images": np.zeros((2, 8), np.uint8)}, "is one image"),
        ({"images": np.zeros((1, 2, 8, 8, 3), np.uint8)}, "shape"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "no images"),
        ({"images": np.zeros((2, 8, 8, 2), np.uint8)}, "images of 2 channels: say which"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": [1]}, "labels of shape"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "keys": ["a", "a"]}, "'a' occurs more than once"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": [0.5, 1]}, "whole numbers or strings"),
        ({"images": np.array([None, {}], dtype=object)}, "plain arrays"),
    ],
)
def test_a_bad_npz_is_explained(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UsageError, match=message):
        open_source(tmp_path / "bad.npz")


def test_a_damaged_npz_is_explained(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 rubbish")
    with pytest.raises(UsageError, match="cannot be read"):
        open_source(tmp_path / "bad.npz")


def test_digits() -> None:
    source, digits = open_source("digits"), load_digits()
    store, _ = ingest(source, 8)
    assert np.array_equal(store.images[:, 0], np.rint(digits.images * 255 / 16))
    assert np.array_equal(source.labels, digits.target)
    assert source.outline().side == 8


@pytest.mark.parametrize("shape", [(6, 1, 8, 8), (6, 3, 16, 12), (6, 4, 9, 9)])
@pytest.mark.parametrize("channels", ["", "all"])
def test_channels_that_come_first_are_not_taken_for_rows(shape: tuple[int, ...], channels: str) -> None:
    images = np.zeros(shape, np.uint8)
    with pytest.raises(UsageError, match="has its channels first"):
        open_source(images, channels=channels)
    with pytest.raises(UsageError, match=r"transpose\(0, 2, 3, 1\)"):
        Clusterer(2, epochs=1, device="cpu").fit(images)
    assert len(open_source(images.transpose(0, 2, 3, 1), channels=channels).keys) == 6


def test_a_mapped_matrix_becomes_a_tensor_without_a_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "features.npy", np.ones((4, 3), np.float32))
    source = open_source(str(tmp_path / "features.npy"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(source.values)
    tensor += 1  # On a copy: the file stays as it is.
    assert np.array_equal(np.load(tmp_path / "features.npy"), np.ones((4, 3)))
