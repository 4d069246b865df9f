"""Nothing depends on what torch and numpy are set to at the time, and it is left as it was found."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

import numpy as np
import pytest
import torch

from coterie import Clusterer, GaussianMixture, KMeans
from coterie.surroundings import surroundings


def fitted(images: np.ndarray) -> Clusterer:
    options = {"train.batch_size": 20, "options.hidden": 8, "options.projection": 4}
    return Clusterer(3, epochs=1, size=8, device="cpu", precision="float32", options=options).fit(images)


@contextmanager
def _gradients() -> Iterator[None]:
    torch.set_grad_enabled(False)
    yield
    torch.set_grad_enabled(True)


@contextmanager
def _settings() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    with torch.device("meta"), np.errstate(all="raise"), torch.autocast("cpu"):
        yield
    assert torch.get_default_dtype() == torch.float64
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, _gradients, _settings])
def test_learning_is_the_same_whatever_is_set(blobs: tuple[np.ndarray, np.ndarray], around: type) -> None:
    images, _ = blobs
    wanted = fitted(images)
    with around():
        found = fitted(images)
        labels = found.predict(images)
        points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
        groups = KMeans(3).fit_predict(points), GaussianMixture(3).fit_predict(points)
    np.testing.assert_array_equal(found.embeddings_, wanted.embeddings_)
    np.testing.assert_array_equal(labels, wanted.labels_)
    np.testing.assert_array_equal(groups[0], KMeans(3).fit_predict(points))
    np.testing.assert_array_equal(groups[1], GaussianMixture(3).fit_predict(points))


def test_points_with_gradients_or_of_inference_are_points() -> None:
    points = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    wanted = KMeans(3).fit(points).labels_
    with torch.inference_mode():
        same = points.clone()
    for given in (points.clone().requires_grad_(), same):
        found = KMeans(3).fit(given)
        assert torch.equal(found.labels_, wanted)
        assert not found.cluster_centers_.requires_grad


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_one_thread() -> None:
    fork = multiprocessing.get_context("fork")
    queue: Queue[tuple[int, int]] = fork.Queue()
    child = fork.Process(target=_threads, args=(queue,))
    before = torch.get_num_threads()
    child.start()
    assert queue.get(timeout=60) == (1, before)
    child.join()


def _threads(queue: Queue[tuple[int, int]]) -> None:
    with surroundings():
        within = torch.get_num_threads()
    queue.put((within, torch.get_num_threads()))
