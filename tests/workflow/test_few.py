"""Few images, equal ones, rare ones, and features of any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coterie import Clusterer, GaussianMixture, KMeans
from coterie.cli import main
from coterie.cluster.standard import odd_scale, standard_of
from coterie.config import read
from coterie.data.feeding.features import checked_features
from coterie.errors import CoterieError, UsageError
from coterie.losses.concentration import concentration
from coterie.methods import method_type
from coterie.train.config import TrainConfig
from coterie.train.estep import Expectation
from coterie.train.monitor import check_sizes

KINDS = np.arange(90) % 3
ROWS = (np.eye(3, 8)[KINDS] * 6 + np.random.default_rng(0).normal(size=(90, 8)) * 0.3).astype(np.float32)


def same(labels: np.ndarray) -> bool:
    return len(set(zip(labels.tolist(), KINDS.tolist(), strict=True))) == 3


@pytest.mark.filterwarnings("ignore:Number of distinct")
@pytest.mark.parametrize("factor", [1e20, 1e-20, 1.0])
def test_values_whose_squares_are_no_numbers_of_float32(factor: float) -> None:
    points = ROWS * np.float32(factor)
    means = KMeans(3).fit(points)
    assert np.isfinite(means.inertia_)
    assert same(means.labels_)
    assert (means.predict(points) == means.labels_).all()
    assert np.isfinite(means.transform(points)).all()
    mixture = GaussianMixture(3).fit(points)
    assert np.isfinite(mixture.predict_proba(points)).all()
    if factor >= 1:
        assert same(mixture.labels_)
    with pytest.raises(CoterieError, match="too large"):
        KMeans(3).fit(ROWS.astype(np.float64) * 1e160)


@pytest.mark.parametrize("estimator", [KMeans(3), GaussianMixture(3)])
def test_fewer_that_differ_than_clusters_are_warned_of(estimator: KMeans | GaussianMixture) -> None:
    with pytest.warns(UserWarning, match=r"distinct clusters \(1\) found smaller than n_clusters \(3\)"):
        estimator.fit(np.repeat(ROWS[:1], 20, 0))


@pytest.mark.parametrize("size", [1e20, 1e-12])
def test_features_out_of_range_are_refused(size: float) -> None:
    with pytest.raises(UsageError, match="out of range"):
        checked_features(ROWS * np.float32(size), "x")
    assert not checked_features(ROWS * 0, "x").any()


def test_raw_features_are_brought_to_size() -> None:
    for raw in (ROWS, ROWS + 1000, ROWS * 1e-3, np.c_[ROWS, np.arange(90) * 1e4]):
        center, scale = standard_of(torch.from_numpy(raw).float())
        columns = ((torch.from_numpy(raw).float() - center) / scale).std(dim=0)
        assert 0.1 < float(columns.max()) < 10
    one = standard_of(torch.from_numpy(ROWS))[1]
    assert len(one.unique()) == 1  # Which are near each other stays as it was.
    assert not standard_of(torch.ones(5, 2))[1].isnan().any()
    options = {"steps_per_epoch": 12, "neighbours": 10}
    far = np.c_[ROWS * 1e-3 + 10, np.arange(90) * 1e2].astype(np.float32)
    assert same(Clusterer(3, method="lnscc", epochs=2, options=options).fit(far).labels_)


def test_what_directions_do_not_tell_is_said() -> None:
    assert odd_scale(torch.from_numpy(ROWS)) == ""
    assert "mean" in odd_scale(torch.from_numpy(ROWS + 1000))
    assert "number 9" in odd_scale(torch.from_numpy(np.c_[ROWS, np.arange(90) * 1e4]))
    assert odd_scale(torch.ones(5, 2)) == ""


def folder(path: Path, pictures: list[int]) -> Path:
    path.mkdir()
    for place, seed in enumerate(pictures):
        pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{place}.png")
    return path


def test_images_that_are_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    equal, two = str(folder(tmp_path / "same", [0] * 12)), str(folder(tmp_path / "two", [0] * 6 + [1] * 6))
    run = ["--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(["fit", equal, "-k", "2", *run]) == main(["choose-k", equal, "--to", "3"]) == 2
    assert main(["fit", two, "-k", "3", *run]) == 2
    said = capsys.readouterr().err
    assert "all 12 images are the same" in said
    assert "12 images of which 2 differ cannot form 3 clusters" in said
    assert not (tmp_path / "run").exists()
    assert main(["choose-k", two, "--to", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(word))
    assert found["recommended"] == 2


def test_as_many_groups_are_tried_as_a_small_folder_allows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = str(folder(tmp_path / "small", [*range(12)]))
    assert main(["choose-k", small]) == 0
    assert "trying up to 3 groups, as 12 images allow no more" in capsys.readouterr().err
    assert main(["choose-k", small, "--to", "30"]) == 2


def test_a_lonely_class_is_left_out_of_a_probe(
    tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert main(["fit", str(photo_folder), "-k", "2", "--epochs", "1", "--quiet", "--out", run]) == 0
    (photo_folder / "lonely").mkdir()
    Image.new("RGB", (20, 20)).save(photo_folder / "lonely" / "0.png")
    assert main(["probe", run, str(photo_folder), "--labels-from-folders", "--epochs", "1"]) == 0
    heard = capsys.readouterr()
    assert "left out, as a class takes two images: lonely" in heard.err
    assert "2 classes" in heard.out


@pytest.mark.parametrize("size", ["0", "-3", "7"])
def test_images_have_a_size(size: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(photo_folder), "-k", "2", "--size", size, "--out", str(tmp_path / "run")]) == 2
    assert f"images must be at least 8 pixels wide, not {size}" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["propos", "cc", "pcl", "moco", "lnscc", "temi", "turtle", "digpro", "cadecl"])
def test_every_number_is_one(method: str) -> None:
    kinds = (TrainConfig, method_type(method).Config)
    for kind in kinds:
        for name, value in vars(kind()).items():
            if isinstance(value, float):
                for odd in (float("nan"), float("inf"), -1.0):
                    with pytest.raises(UsageError, match=name):
                        read(kind, {name: odd})
            elif isinstance(value, int) and not isinstance(value, bool):
                with pytest.raises(UsageError, match=name):
                    read(kind, {name: -1})


def test_two_images_have_a_density() -> None:
    density = concentration(torch.eye(2), torch.arange(2), torch.eye(2), temperature=0.1)
    assert density.tolist() == pytest.approx([0.1, 0.1])
    images = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    options = {"options.granularities": [2], "options.hidden": 8, "options.projection": 4}
    assert sorted(Clusterer(2, method="pcl", epochs=2, options=options).fit(images).labels_) == [0, 1]


def test_a_rare_kind_is_no_collapse() -> None:
    rows = torch.cat([torch.eye(2)[:1].repeat(999, 1), torch.eye(2)[1:]])
    found = KMeans(2).fit(rows)

    class Found:
        labels, centers = torch.as_tensor(found.labels_), torch.as_tensor(found.cluster_centers_)

    expectation = Expectation(torch.cat([rows] * 1), [Found])  # type: ignore[list-item]
    check_sizes(expectation, 2, 0)
    with pytest.raises(CoterieError, match="one cluster took"):
        check_sizes(expectation, 2, 4)
    wide = torch.nn.functional.normalize(torch.randn(1000, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    check_sizes(Expectation(wide, [Found]), 2, 4)  # type: ignore[list-item]
