"""Clustering on tensors of any device."""

from coterie.cluster.kmeans import KMeans, KMeansResult, kmeans

__all__ = ["KMeans", "KMeansResult", "kmeans"]
