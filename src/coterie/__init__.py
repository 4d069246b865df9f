"""coterie groups unlabelled images by learning the representation and the groups together.

from coterie import Clusterer
groups = Clusterer(n_clusters=12).fit("photos/")
groups.labels_
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coterie.cluster.estimators import GaussianMixture, KMeans
    from coterie.clusterer import Clusterer, load
    from coterie.errors import CoterieError, UsageError

__version__ = "0.1.0"
__all__ = ["Clusterer", "CoterieError", "GaussianMixture", "KMeans", "UsageError", "__version__", "load"]

_HOMES = {
    "Clusterer": "coterie.clusterer",
    "load": "coterie.clusterer",
    "GaussianMixture": "coterie.cluster.estimators",
    "KMeans": "coterie.cluster.estimators",
    "CoterieError": "coterie.errors",
    "UsageError": "coterie.errors",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import coterie` stays quick and brings in no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'coterie' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
