"""`Clusterer`: deep clustering with scikit-learn's manners."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin

from coterie.cluster.estimator import NotFitted, checked_array
from coterie.config import plain
from coterie.data.base import Rows, Source
from coterie.data.sources import open_source
from coterie.errors import UsageError
from coterie.files import write_text
from coterie.listener import Listener
from coterie.methods import Method, method_name, method_type
from coterie.plan import Request, plan
from coterie.plan.words import as_settings
from coterie.processes import processes
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.model import Model
from coterie.runs.model_files import DESCRIPTION, load_model, save_model
from coterie.runs.words import Words
from coterie.surroundings import in_surroundings
from coterie.workflow.export import export
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.group import group
from coterie.workflow.steps.learn import learn
from coterie.workflow.steps.named import Names, named_as
from coterie.workflow.steps.read import gather, once, read

# Parameters a request has by the same names.
_PASSED_ON = ("recipe", "epochs", "minutes", "size", "precision", "seed", "backbone")
Images = str | Path | npt.NDArray[np.generic] | torch.Tensor


@dataclass(eq=False, repr=False)
class Clusterer(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learns to embed images and groups them.

    Images come as a folder, an `.npz` file or tar shards, by path or URL (`s3://…`), a data set of the hub
    (`hf:NAME[:SPLIT]`), or an array or tensor (N, H, W[, C]) of uint8; features, for a method that learns from them, as
    an `.npz` file or an array or tensor (N, D) of floats.

    Args:
        n_clusters: K.
        method: a name, see `coterie fit --help`, or a subclass of `coterie.methods.Method` of your own; "auto" chooses
            from the data: for colour photographs k-means on a pretrained network at hand, else see `docs/choose.md`.
        recipe: a shipped recipe's name or the path of a YAML file.
        options: further ones by name, as `--set` takes them: `{"train.batch_size": 64}`.
        epochs: passes over the data; None chooses them so that learning takes about ten minutes on this machine.
        minutes: that learning and grouping should take here; chooses the epochs by a pace measured first.
        size: pixels of the square each image becomes; None chooses from the data.
        device: "auto", "cpu", "cuda", "mps" (Apple) or "xpu" (Intel).
        precision: "auto", "float32" or "bfloat16". seed: same seed, same machine, same result.
        backbone: what looks at the images: one of coterie's own by name, or a pretrained one: `hf:NAME`, `timm:NAME`, a
            file of weights, or a finished run's folder; None chooses from the data. Methods on images train it, methods
            on features take its features as they are, or those of several, joined by `+`.

    Attributes:
        labels_: (N,) int64, the cluster of each image.
        confidence_: (N,) between 0 and 1. outliers_: (N,) bool. outlier_scores_: (N,), above 1 for outliers.
        embeddings_: (N, d) float32, of unit length where the method compares them by direction.
        keys_: N names: paths below the folder, or numbers. skipped_: files left out, with reasons.
        model_: the trained `coterie.runs.model.Model`.
        words_: suggestions for the name of each group, up to three with their share, the greatest first; empty where
            the backbone knows no words. `options={"words": ["cat", "dog"]}` gives a CLIP words of your own.
    """

    n_clusters: int = 8
    _: KW_ONLY
    method: str | type[Method] = "auto"
    recipe: str | None = None
    options: Mapping[str, Any] | None = None
    epochs: int | None = None
    minutes: float | None = None
    size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    backbone: str | None = None

    @in_surroundings
    def fit(
        self, X: Images, y: object = None, *, labels: Names | None = None, listener: Listener | None = None,  # noqa: ARG002, N803
    ) -> Clusterer:  # fmt: skip
        """Learn from images X; `y` is ignored, `listener` hears of the progress. `labels` are heeded: names of some
        images, one for each, −1 where unknown, or by key, or a table's path.

        Raises:
            UsageError: images or options that cannot be used. CoterieError: training failed.
        """
        request = Request(
            source=str(X) if isinstance(X, (str, Path)) else "array",
            clusters=plain(self.n_clusters),
            method=method_name(self.method) if isinstance(self.method, type) else self.method,
            settings=as_settings(self.options),
            device=str(self.device),
            **{name: plain(getattr(self, name)) for name in _PASSED_ON},
        )
        attempt = Attempt(listener or Listener())
        source = None if isinstance(X, (str, Path)) else self._open(X, learning=True)
        material = read(plan(request, source=source, note=attempt.note), attempt)
        rows, planned, self.skipped_ = material.rows, material.plan, material.skipped
        if labels is not None:
            material = replace(material, named=named_as(labels, rows.keys, planned.config.clusters))
        learnt = learn(planned.config, once(rows, material.counted, None), planned.backbones, attempt, material.few)
        fitted = group(planned.config, rows, learnt, attempt, material.counted, material.named)
        self.model_ = fitted.model
        self.embeddings_ = processes().gather_shares(fitted.embedded.embeddings).cpu().numpy()
        self._take(Assignments.of(rows.keys, fitted.grouping))
        return self

    def predict(self, X: Images) -> npt.NDArray[np.int64]:  # noqa: N803
        """The clusters (N,) of images; files that cannot be read are left out, see `assign`."""
        return self.assign(X).clusters

    @in_surroundings
    def transform(self, X: Images) -> npt.NDArray[np.float32]:  # noqa: N803
        """Embeddings (N, d) of images, of unit length where the method compares them by direction."""
        model = self._fitted()
        embeddings: npt.NDArray[np.float32] = model.embed(self._rows(X)).embeddings.cpu().numpy()
        return embeddings

    @in_surroundings
    def assign(self, X: Images) -> Assignments:  # noqa: N803
        """Clusters of images with their keys, confidence and outliers."""
        model, rows = self._fitted(), self._rows(X)
        return Assignments.of(rows.keys, model.group(model.embed(rows)))

    @in_surroundings
    def save(self, path: str | Path) -> None:
        """Write the model and the assignments into the folder `path`; `coterie.load` reads them.

        Raises:
            UsageError: a run lies there, or a table that is not of a saved model.
        """
        folder = RunFolder(Path(path))
        own = (folder.model / DESCRIPTION).is_file()
        if folder.config.is_file() or (folder.assignments.is_file() and not own):
            raise UsageError(f"{path} holds a run or another table: give another folder")
        save_model(self._fitted(), folder.model)
        if hasattr(self, "labels_"):  # A model from elsewhere may have come without.
            table = Assignments(
                self.keys_, self.labels_, self.confidence_, self.outliers_, outlier_score=self.outlier_scores_
            )
            write_text(folder.assignments, table.to_csv())

    @in_surroundings
    def export(self, *, pixels: str = "uint8", force: bool = False, **targets: str | Path) -> list[Path]:
        """Write the model and the assignments in formats that other programs read, as `coterie export` does.

        Args:
            pixels: what an exported network takes images as, "uint8" (0–255) or "float32" (0–1).
            force: replace what is there.
            targets: by the name of a format, the file or folder to write: `onnx="model.onnx"`, see `coterie.export`.

        Raises:
            UsageError: an unknown format, a target that exists, or a package that is missing.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            paths = {name: Path(path) for name, path in targets.items()}
            return export(Path(folder), paths, pixels=pixels, force=force)

    def _fitted(self) -> Model:
        if not hasattr(self, "model_"):
            raise NotFitted("this Clusterer is not fitted yet: call fit first")
        return self.model_

    def _rows(self, images: Images) -> Rows:
        model = self._fitted()
        return gather(self._open(images, learning=False), model, Listener())[0]

    def _open(self, images: Images, *, learning: bool) -> Source:
        if isinstance(images, torch.Tensor):
            images = images.cpu().numpy()
        if isinstance(images, (str, Path)):
            return open_source(images)
        # A data frame holds features, as a matrix of floats does.
        framed = hasattr(images, "columns") or (
            not learning and isinstance(images, np.ndarray) and images.ndim == 2 and images.dtype != np.uint8
        )
        if self._takes_features or framed:
            return open_source(checked_array(self, images, reset=learning, least=2 if learning else 1))
        if not isinstance(images, np.ndarray):
            raise UsageError(f"images come as a folder, an .npz file, hf:NAME or an array, not {type(images).__name__}")
        if not learning and images.ndim == 3 and len(images) == 3 == self._fitted().input_shape[0]:
            raise UsageError(
                f"{images.shape} may be one image in colour, or three grey ones: put its channels last and give "
                "image[None], or grey ones as images[..., None]"
            )
        by_channels = images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.dtype == np.uint8
        return open_source(images, channels="all" if by_channels else "")

    @property
    def words_(self) -> Words:
        return self._fitted().words

    @property
    def _takes_features(self) -> bool:
        # A loaded one does not know by name what makes its features.
        looking = self.backbone is not None or (hasattr(self, "model_") and bool(self.model_.backbones))
        if looking or self.method == "auto":
            return False
        return (self.method if isinstance(self.method, type) else method_type(self.method)).inputs == "features"

    @property
    def _n_features_out(self) -> int:
        return int(self._fitted().groups.centers.shape[1])

    def _take(self, assignments: Assignments) -> None:
        self.keys_ = list(assignments.keys)
        self.labels_ = assignments.clusters
        self.confidence_ = assignments.confidence
        self.outliers_ = assignments.outlier
        self.outlier_scores_ = assignments.outlier_score

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        on_features = self._takes_features
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = on_features, not on_features
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


@in_surroundings
def load(path: str | Path, *, device: str = "auto") -> Clusterer:
    """The clusterer in a run's folder, or in one that `Clusterer.save` wrote. Nothing in it is executed.

    Raises:
        UsageError: there is no model. CoterieError: it is damaged or of another version.
    """
    folder = RunFolder(Path(path))
    model = load_model(folder.model, device=device)
    clusterer = Clusterer(len(model.groups.centers), method=model.blueprint.method, device=device)
    clusterer.model_ = model
    if folder.assignments.is_file():
        clusterer._take(Assignments.read(folder.assignments))
    return clusterer
