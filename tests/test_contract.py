"""scikit-learn's contract: its own checks, and on images what they ask of matrices."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from coterie import Clusterer, GaussianMixture, KMeans

# A wide network that learns fast: some checks draw features far from the origin, where a map needs longer to form.
MAP = {
    "hidden": [32], "neighbours": 5, "steps_per_epoch": 8, "n_init": 2, "dropout": 0.0, "train.batch_size": 32,
    "train.learning_rate": 0.02,
}  # fmt: skip
QUICK = {"hidden": 16, "projection": 8, "train.batch_size": 20}

_ONE = "the check asks for one cluster, and one group of images is no grouping: coterie wants at least two"
# On images scikit-learn's checks that draw matrices are left out, as a matrix is no image: the tests at the end of this
# file ask the same of images. A method on features, which takes matrices, passes them all but these.
LEFT_OUT = {
    "check_dont_overwrite_parameters": _ONE,
    "check_methods_subset_invariance": _ONE,
    "check_fit2d_1feature": _ONE,
    "check_fit2d_predict1d": _ONE,
}
# Those that draw no data.
ON_IMAGES = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_get_params_invariance",
    "check_set_params",
]


def on_features() -> Clusterer:
    return Clusterer(3, method="lnscc", epochs=2, options=MAP, device="cpu")


def on_images() -> Clusterer:
    return Clusterer(3, epochs=1, options=QUICK, device="cpu")


@parametrize_with_checks(
    [KMeans(3), GaussianMixture(3), on_features()],
    expected_failed_checks=lambda estimator: LEFT_OUT if isinstance(estimator, Clusterer) else {},
)
def test_scikit_learns_checks(estimator: object, check: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That a check of scikit-learn's was skipped.
        check(estimator)  # type: ignore[operator]


@pytest.mark.parametrize("name", ON_IMAGES)
def test_scikit_learns_checks_on_images(name: str) -> None:
    getattr(estimator_checks, name)("Clusterer", on_images())


def test_on_images_what_the_checks_ask_of_matrices(blobs: tuple) -> None:
    images = blobs[0].copy()
    clusterer = on_images()
    before = clusterer.get_params()
    with pytest.raises(NotFittedError):
        clusterer.transform(images)
    assert clusterer.fit(images, blobs[1]) is clusterer
    assert np.array_equal(images, blobs[0])
    assert clusterer.get_params() == before
    added = {name for name in vars(clusterer) if name not in before}
    assert all(name.endswith("_") for name in added)
    assert np.array_equal(clusterer.labels_, clone(clusterer).fit_predict(images))  # Fitting twice changes nothing.
    learnt = {name: pickle.dumps(getattr(clusterer, name)) for name in added - {"model_"}}
    found, whole = clusterer.predict(images), clusterer.transform(images)
    assert learnt == {name: pickle.dumps(getattr(clusterer, name)) for name in added - {"model_"}}
    order = np.random.default_rng(0).permutation(60)
    assert np.array_equal(clusterer.predict(images[order]), found[order])
    np.testing.assert_allclose(clusterer.transform(images[:7]), whole[:7], atol=0.02)  # The encoder is in bfloat16.
    again = pickle.loads(pickle.dumps(clusterer))
    assert np.array_equal(again.predict(images), found)
    assert clusterer.get_feature_names_out().tolist() == [f"clusterer{place}" for place in range(whole.shape[1])]


def test_pipelines(blobs: tuple) -> None:
    embedded = make_pipeline(on_images(), KMeans(3)).fit(blobs[0])
    assert embedded.predict(blobs[0]).shape == (60,)
    scaled = make_pipeline(StandardScaler(), on_features())
    points = make_blobs(60, centers=3, random_state=0)[0]
    assert set(scaled.fit_predict(points)) == {0, 1, 2}
    scaled.set_params(clusterer__n_clusters=2)
    assert scaled.get_params()["clusterer__n_clusters"] == 2


def test_data_frames_where_pandas_is_there() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(make_blobs(30, centers=3, random_state=0)[0], columns=["a", "b"])
    fitted = KMeans(3).set_output(transform="pandas").fit(frame)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.transform(frame).columns.tolist() == ["kmeans0", "kmeans1", "kmeans2"]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array])
def test_parameters_of_numpy_and_paths(kind: type, blobs: tuple, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("method: simclr")
    options = {"hidden": kind(16), "projection": 8, "train.batch_size": torch.tensor(20), "crop": np.array([0.3, 1])}
    given = Clusterer(
        kind(3), epochs=kind(1), seed=kind(1), device=torch.device("cpu"), recipe=tmp_path / "mine.yaml",
        options=options,
    )  # fmt: skip
    plain = clone(on_images()).set_params(
        seed=1, recipe=str(tmp_path / "mine.yaml"), options={**QUICK, "crop": [0.3, 1.0]}
    )
    assert repr(clone(given)) == repr(given)
    assert np.array_equal(given.fit(blobs[0]).embeddings_, plain.fit(blobs[0]).embeddings_)
    points = make_blobs(60, centers=3, random_state=0)[0]
    assert np.array_equal(KMeans(kind(3), seed=kind(0)).fit(points).labels_, KMeans(3, seed=None).fit(points).labels_)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (KMeans(3.0), "n_clusters wants a whole number, got 3.0"),  # type: ignore[arg-type]
        (KMeans(3, n_init="auto"), "n_init wants a whole number"),  # type: ignore[arg-type]
        (GaussianMixture(3, seed=np.random.RandomState(0)), "seed wants a whole number"),
        (Clusterer(3.0), "option 'clusters' wants int, got 3.0"),  # type: ignore[arg-type]
        (Clusterer(3, options={"noise": object()}), "option 'noise'"),
        (Clusterer(3, options=["noise"]), "options go by name"),  # type: ignore[arg-type]
        (Clusterer(3, recipe=Path("absent.yaml")), "there is no recipe file absent.yaml"),
    ],
)
def test_other_parameters_are_refused(estimator: Any, reason: str, blobs: tuple) -> None:
    points = blobs[0] if isinstance(estimator, Clusterer) else blobs[0].reshape(60, -1).astype(float)
    with pytest.raises(ValueError, match=reason):
        estimator.fit(points)


def test_searches_over_the_number_of_clusters(blobs: tuple) -> None:
    grid = {"n_clusters": np.arange(2, 4)}
    on_pictures = GridSearchCV(
        on_images().set_params(method="simclr"), grid, cv=2, scoring="adjusted_rand_score", error_score="raise"
    )
    assert on_pictures.fit(*blobs).best_params_["n_clusters"] in (2, 3)
    points, kinds = make_blobs(60, centers=3, cluster_std=0.2, random_state=0)
    steps = make_pipeline(StandardScaler(), Clusterer(method="kmeans", device="cpu"))
    whole = {f"clusterer__{name}": values for name, values in grid.items()}
    search = GridSearchCV(steps, whole, cv=2, scoring="adjusted_rand_score", error_score="raise").fit(points, kinds)
    assert search.best_params_ == {"clusterer__n_clusters": 3}
    assert cross_val_score(search.best_estimator_, points, kinds, scoring="adjusted_rand_score", cv=2).min() == 1


def test_another_process_loads_what_was_fitted(blobs: tuple, tmp_path: Path) -> None:
    points = make_blobs(30, centers=3, random_state=0)[0]
    fitted = {"images": on_images().fit(blobs[0]), "points": Clusterer(3, method="kmeans", device="cpu").fit(points)}
    np.savez(tmp_path / "inputs.npz", images=blobs[0], points=points)
    for name, estimator in fitted.items():
        joblib.dump(estimator, tmp_path / f"{name}.joblib")
    code = (
        "import joblib, numpy\n"
        "inputs = numpy.load('inputs.npz')\n"
        "for name in inputs:\n"
        "    loaded = joblib.load(name + '.joblib')\n"
        "    assert (loaded.predict(inputs[name]) == loaded.labels_).all()\n"
        "    print(loaded.labels_.tolist())"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.split("\n")[:2] == [str(fitted[name].labels_.tolist()) for name in ("images", "points")]


def test_data_frames_of_features_where_pandas_is_there() -> None:
    pandas = pytest.importorskip("pandas")
    rows = [f"row{place}" for place in range(30)]
    frame = pandas.DataFrame(make_blobs(30, centers=3, random_state=0)[0], columns=["a", "b"], index=rows)
    fitted = Clusterer(3, method="kmeans", device="cpu").set_output(transform="pandas").fit(frame)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.transform(frame).index.tolist() == rows
    assert np.array_equal(fitted.predict(frame), fitted.labels_)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame[["b", "a"]])
    with pytest.raises(ValueError, match="simclr learns from images, and this source holds features"):
        on_images().fit(frame)


def test_kmeans_scores_and_distances_are_scikit_learns() -> None:
    points = make_blobs(90, centers=3, random_state=0)[0]
    ours, theirs = KMeans(3).fit(points), Reference(3, n_init=10, random_state=0).fit(points)
    assert ours.score(points) == pytest.approx(theirs.score(points))
    np.testing.assert_allclose(np.sort(ours.transform(points)), np.sort(theirs.transform(points)))
    spherical = KMeans(3, metric="cosine").fit(points)
    assert -spherical.score(points) == pytest.approx(spherical.inertia_)


@pytest.mark.parametrize("estimator", [KMeans(3), GaussianMixture(3)])
def test_tensors_in_tensors_out(estimator: KMeans | GaussianMixture) -> None:
    points = torch.from_numpy(make_blobs(60, centers=3, random_state=0)[0]).float()
    labels = estimator.fit_predict(points)
    assert isinstance(labels, torch.Tensor)
    assert torch.equal(estimator.predict(points), labels)
    methods = ("transform",) if isinstance(estimator, KMeans) else ("predict_proba", "score_samples")
    for name in methods:
        of_tensor, of_array = getattr(estimator, name)(points), getattr(estimator, name)(points.numpy())
        assert isinstance(of_tensor, torch.Tensor)
        assert isinstance(of_array, np.ndarray)
        np.testing.assert_allclose(of_tensor.numpy(), of_array, rtol=1e-5)
    assert estimator.n_features_in_ == 2
    with pytest.raises(ValueError, match="expecting 2 features"):
        estimator.predict(points[:, :1])
