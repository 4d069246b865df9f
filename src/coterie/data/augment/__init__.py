"""Augmentation of whole batches on their device, every image with parameters of its own."""

from coterie.data.augment.config import AugmentConfig, describe_views
from coterie.data.augment.pipeline import Normalisation, augment

__all__ = ["AugmentConfig", "Normalisation", "augment", "describe_views"]
