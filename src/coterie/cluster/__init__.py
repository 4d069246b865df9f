"""Clustering on tensors of any device."""

from coterie.cluster.kmeans import KMeans, KMeansResult, kmeans
from coterie.cluster.mixture import GaussianMixture, MixtureResult, gaussian_mixture

__all__ = ["GaussianMixture", "KMeans", "KMeansResult", "MixtureResult", "gaussian_mixture", "kmeans"]
