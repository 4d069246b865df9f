"""Clustering on tensors of any device; with scikit-learn's manners, `coterie.cluster.estimators`."""

from coterie.cluster.kmeans import KMeansResult, kmeans
from coterie.cluster.mixture import MixtureResult, gaussian_mixture

__all__ = ["KMeansResult", "MixtureResult", "gaussian_mixture", "kmeans"]
