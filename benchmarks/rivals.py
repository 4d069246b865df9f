"""The others in the race: what anybody can install, with its documented settings.

Each takes images (N, C, S, S) uint8, the number of groups, seconds of the processor and a seed; it gives groups (N,)
and the seconds that finding them took. What goes by epochs has as many of these as fit, at most as documented.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import time
import types
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import numpy as np

# Epochs as documented: of the autoencoder, and of clustering.
_PRETRAINING, _CLUSTERING = 100, 150
Array = np.ndarray[Any, Any]
Timed = tuple[Array, float]
Contestant = Callable[[Array, int, float, int], Timed]


def _timed(group: Callable[[Array, int, int], Array]) -> Contestant:
    """One that has no epochs, and is left to its end."""

    def compete(images: Array, clusters: int, _: float, seed: int) -> Timed:
        began = time.process_time()
        return group(images, clusters, seed), time.process_time() - began

    return compete


def _flat(images: Array) -> Array:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _kmeans(images: Array, clusters: int, seed: int) -> Array:
    from sklearn.cluster import KMeans

    found: Array = KMeans(clusters, n_init=10, random_state=seed).fit_predict(_flat(images))
    return found


def _spectral(images: Array, clusters: int, seed: int) -> Array:
    from sklearn.cluster import SpectralClustering

    found: Array = SpectralClustering(
        clusters, affinity="nearest_neighbors", assign_labels="cluster_qr", random_state=seed
    ).fit_predict(_flat(images))
    return found


def _umap(images: Array, seed: int) -> Array:
    """As UMAP's documentation has it for clustering."""
    import umap

    found: Array = umap.UMAP(n_neighbors=30, min_dist=0.0, n_components=10, random_state=seed).fit_transform(
        _flat(images)
    )
    return found


def _umap_kmeans(images: Array, clusters: int, seed: int) -> Array:
    from sklearn.cluster import KMeans

    found: Array = KMeans(clusters, n_init=10, random_state=seed).fit_predict(_umap(images, seed))
    return found


def _umap_hdbscan(images: Array, _: int, seed: int) -> Array:
    from sklearn.cluster import HDBSCAN

    found: Array = HDBSCAN(min_samples=10, min_cluster_size=max(10, len(images) // 100)).fit_predict(
        _umap(images, seed)
    )
    return found


def _clustpy(name: str, *, convolutional: bool = False) -> Contestant:
    def compete(images: Array, clusters: int, seconds: float, seed: int) -> Timed:
        _without_torchvision()
        deep = importlib.import_module("clustpy.deep")
        points, options = _flat(images), {}
        if convolutional:
            points = _three_channels(images)
            networks = importlib.import_module("clustpy.deep.neural_networks")
            network = networks.ConvolutionalAutoencoder(points.shape[-1], [512, 10], random_state=seed)
            options["neural_network"] = network  # Of which every fit takes a copy.
        points = (points - points.mean()) / points.std()  # As its examples scale images.

        def fitted(pretraining: int, clustering: int) -> Timed:
            began = time.process_time()
            made = getattr(deep, name)(
                clusters, pretrain_epochs=pretraining, clustering_epochs=clustering, random_state=seed, **options
            ).fit(points)
            return made.labels_, time.process_time() - began

        fitted(1, 1)  # Imports and warms up.
        once, twice = fitted(1, 1)[1], fitted(2, 2)[1]
        share = min(1.0, (seconds - once) / (max(twice - once, 0.1 * twice) * (_PRETRAINING + _CLUSTERING) / 2))
        return fitted(max(1, int(share * _PRETRAINING)), max(1, int(share * _CLUSTERING)))

    return compete


def _three_channels(images: Array) -> Array:
    """In colour, and of the next side that its residual autoencoder takes, as its example prepares USPS."""
    from torch import from_numpy
    from torch.nn.functional import interpolate

    side = -(-images.shape[-1] // 32) * 32
    resized: Array = interpolate(from_numpy(images).float() / 255, size=(side, side), mode="bilinear").numpy()
    return np.ascontiguousarray(np.broadcast_to(resized, (len(images), 3, side, side)))


def _without_torchvision() -> None:
    """ClustPy imports torchvision for what is not used here; where there is none, it is feigned."""
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        sys.meta_path.append(_Feigned())


class _Feigned(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        made = MagicMock(name=spec.name)
        made.__spec__, made.__path__ = spec, []
        return made  # type: ignore[return-value]

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to execute."""


RIVALS: dict[str, Contestant] = {
    "k-means on pixels": _timed(_kmeans),
    "spectral": _timed(_spectral),
    "UMAP + k-means": _timed(_umap_kmeans),
    "UMAP + HDBSCAN": _timed(_umap_hdbscan),
    **{name: _clustpy(name) for name in ("DEC", "IDEC", "DCN", "ACeDeC", "DipEncoder")},
    **{f"{name}, convolutional": _clustpy(name, convolutional=True) for name in ("DEC", "IDEC")},
}
