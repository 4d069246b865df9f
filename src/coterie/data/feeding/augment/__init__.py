"""Augmentation of whole batches on their device, every image with parameters of its own."""

from coterie.data.feeding.augment.config import AugmentConfig, describe_views
from coterie.data.feeding.augment.pipeline import Normalisation, augment

__all__ = ["AugmentConfig", "Normalisation", "augment", "describe_views"]
