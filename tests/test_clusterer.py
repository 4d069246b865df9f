from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import coterie
from coterie import Clusterer, UsageError
from coterie.cli import main

QUICK = {"hidden": 16, "projection": 8, "train.batch_size": 20}


def quick(**options: object) -> Clusterer:
    return Clusterer(3, epochs=2, options=QUICK, device="cpu", **options)  # type: ignore[arg-type]


@pytest.fixture
def fitted(blobs: tuple) -> Clusterer:
    return quick().fit(blobs[0])


def test_fit_predict_transform(fitted: Clusterer, blobs: tuple) -> None:
    assert fitted.labels_.shape == fitted.confidence_.shape == fitted.outliers_.shape == (60,)
    assert fitted.embeddings_.shape == (60, 128)
    assert set(fitted.labels_.tolist()) <= {0, 1, 2}
    assert np.array_equal(fitted.predict(blobs[0]), fitted.labels_)
    np.testing.assert_allclose(fitted.transform(blobs[0]), fitted.embeddings_, atol=0.02)
    assert fitted.predict(blobs[0][:1]).shape == (1,)


def test_arrays_tensors_folders_and_files_alike(
    fitted: Clusterer, blobs: tuple, tmp_path: Path, photo_folder: Path
) -> None:
    np.savez(tmp_path / "pack.npz", images=blobs[0])
    for same in (torch.from_numpy(blobs[0]), tmp_path / "pack.npz", str(tmp_path / "pack.npz")):
        assert np.array_equal(quick().fit(same).labels_, fitted.labels_)
    photos = quick().fit(photo_folder)
    assert photos.keys_[0] == "blues/00.png"
    assert len(photos.predict(str(photo_folder))) == 24


def test_the_command_line_gives_the_same_groups(fitted: Clusterer, blobs: tuple, tmp_path: Path) -> None:
    np.savez(tmp_path / "pack.npz", images=blobs[0])
    settings = [part for name, value in QUICK.items() for part in ("--set", f"{name}={value}")]
    command = ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--epochs", "2", *settings, "--device", "cpu", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    loaded = coterie.load(tmp_path / "run")
    assert np.array_equal(loaded.labels_, fitted.labels_)
    assert np.array_equal(loaded.predict(blobs[0]), fitted.labels_)


def test_saved_and_loaded(fitted: Clusterer, blobs: tuple, tmp_path: Path) -> None:
    fitted.save(tmp_path / "saved")
    loaded = coterie.load(tmp_path / "saved", device="cpu")
    assert np.array_equal(loaded.predict(blobs[0]), fitted.labels_)
    assert np.array_equal(loaded.labels_, fitted.labels_)
    assert np.array_equal(loaded.confidence_, fitted.confidence_)
    assert loaded.n_clusters == 3
    assert main(["assign", str(tmp_path / "saved"), "digits", "--out", str(tmp_path / "new.csv"), "--quiet"]) == 0


def test_parameters_are_scikit_learns() -> None:
    clusterer = quick(seed=5)
    assert clusterer.get_params()["seed"] == 5
    copy = clone(clusterer).set_params(n_clusters=4)
    assert (copy.n_clusters, copy.options) == (4, QUICK)


def test_the_seed_decides(blobs: tuple) -> None:
    state = torch.get_rng_state()
    first, again, other = (quick(seed=seed).fit(blobs[0]).embeddings_ for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_bad_use_is_explained(blobs: tuple, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fit first"):
        quick().predict(blobs[0])
    with pytest.raises(UsageError, match="not list"):
        quick().fit([1, 2, 3])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be uint8"):
        quick().fit(blobs[0] / 255.0)
    with pytest.raises(ValueError, match="2 images cannot form 3 clusters"):
        quick().fit(blobs[0][:2])
    with pytest.raises(UsageError, match="did you mean 'noise'"):
        Clusterer(3, options={"nosie": 1}).fit(blobs[0])
    with pytest.raises(UsageError, match="no model"):
        coterie.load(tmp_path)
