"""The last step: everything a run ends with."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import coterie
from coterie.data.base import Rows
from coterie.data.reading.store import Store
from coterie.evaluate.baseline import baseline
from coterie.evaluate.metrics import score
from coterie.files import write_atomically, write_json, write_text
from coterie.plan import Plan
from coterie.processes import processes
from coterie.report.animation import write_animation
from coterie.report.page import write_report
from coterie.runs.assignments import Assignments
from coterie.runs.config import RunConfig
from coterie.runs.duplicates import read_duplicates
from coterie.runs.folder import RunFolder
from coterie.runs.labelled import Labelled
from coterie.runs.model_files import save_model
from coterie.runs.named import Named
from coterie.runs.words import as_json
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.group import Fitted, cluster_embeddings
from coterie.workflow.steps.named import unnamed
from coterie.workflow.steps.pictures import take_pictures


def write(plan: Plan, rows: Rows, fitted: Fitted, attempt: Attempt, named: Named | None = None) -> dict[str, Any]:
    """Write a run's results into its folder; the summary, which is returned, comes last, and says that it is finished.

    Scores leave out the images that a person named.

    Raises:
        ResourceError: the disk gave out; what was written is kept.
    """
    folder = attempt.folder
    assert folder is not None
    write_atomically(folder.embeddings, lambda stream: _save(stream, handed_over(fitted), len(rows)))
    # They may be larger than the memory, and stay in their file.
    embeddings = np.load(folder.embeddings, mmap_mode="c", allow_pickle=False)
    assignments = Assignments.of(rows.keys, fitted.grouping, rows.labels, rows.class_names)
    write_text(folder.assignments, assignments.to_csv())
    save_model(fitted.model, folder.model)
    first = read_duplicates(folder.duplicates, assignments.keys)
    pictures = take_pictures(plan.source, assignments, embeddings, rows, first=first, scale=plan.config.data.scale)
    pictures.save(folder.thumbnails)
    if isinstance(rows, Store) and not pictures.encoded:
        attempt.note(
            f"{plan.config.data.source} can no longer be read, so the page has no pictures: once it is back, "
            f"coterie report {folder.root} --source {plan.config.data.source} adds them"
        )
    summary = _summarise(plan.config, unnamed(rows, named), fitted, embeddings, skipped=len(folder.read_skipped()))
    if named is not None:
        summary["named"] = int((named.index >= 0).sum())
        groups = [fitted.called[cluster] for cluster in assignments.clusters.tolist()]
        write_text(folder.labelled, Labelled(assignments, groups, np.zeros(len(groups), dtype=bool), 0).to_csv())
    attempt.note("writing the report")
    if fitted.held_out is not None:
        write_animation(folder, fitted.held_out, assignments.clusters[_counted(fitted)])
    write_report(folder, summary, embeddings)
    write_json(folder.summary, summary)
    return summary


def handed_over(fitted: Fitted) -> Iterator[Tensor]:
    """The embeddings of all processes a piece at a time, to the first one, which writes; the others just go through."""
    return processes().pieces(fitted.embedded.embeddings)


def _save(stream: IO[bytes], pieces: Iterator[Tensor], count: int) -> None:
    """An `.npy` of `count` rows that come in pieces, one at the least."""
    for place, piece in enumerate(pieces):
        values = piece.numpy()
        if not place:
            about = np.lib.format.header_data_from_array_1_0(values) | {"shape": (count, *values.shape[1:])}
            np.lib.format.write_array_header_1_0(stream, about)
        stream.write(values.tobytes())


def clear(folder: RunFolder) -> None:
    """Remove what is of use only while a run lasts."""
    for path in (folder.scratch, folder.once, folder.frames):
        path.unlink(missing_ok=True)


def _summarise(
    config: RunConfig, rows: Rows, fitted: Fitted, embeddings: npt.NDArray[np.float32], *, skipped: int
) -> dict[str, Any]:
    """The content of `summary.json`."""
    clusters = fitted.grouping.clusters.cpu().numpy()
    summary: dict[str, Any] = {
        "method": config.method,
        "images": len(rows),
        "skipped": skipped,
        "clusters": config.clusters,
        "grouped": {"by": fitted.way.name, "silhouettes": _silhouettes(fitted)},
        "cluster_sizes": np.bincount(clusters, minlength=config.clusters).tolist(),
        "outliers": int(fitted.grouping.outlier.sum()),
        "epochs": config.train.epochs,
        "seed": config.seed,
        "seconds": round(fitted.seconds, 2),
        "device": config.device,
        "precision": config.precision,
        "versions": {
            "coterie": coterie.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    if fitted.model.words:
        summary["words"] = as_json(fitted.model.words)
    if fitted.held_out is not None:
        summary["held_out"] = int(fitted.held_out.sum())
    if rows.labels is not None and (rows.labels >= 0).any():
        plain = baseline(rows, config.clusters, seed=config.seed)
        summary |= asdict(score(rows.labels, clusters))
        summary["baseline"] = {"method": plain.method, **asdict(plain.scores), "seconds": round(plain.seconds, 2)}
        summary |= _further_scores(config, rows.labels, clusters, fitted, embeddings)
    return summary


def _silhouettes(fitted: Fitted) -> dict[str, float]:
    """By the way, of those that were compared."""
    ways = (fitted.way, fitted.own)
    return {way.name: round(way.silhouette, 4) for way in ways if way.silhouette is not None}


def _further_scores(
    config: RunConfig,
    labels: npt.NDArray[np.int64],
    clusters: npt.NDArray[np.int64],
    fitted: Fitted,
    embeddings: npt.NDArray[np.float32],
) -> dict[str, Any]:
    """The method's own groups where they are others, beside a head's those of k-means, and of what was held out."""
    scores: dict[str, Any] = {}
    if fitted.way is not fitted.own:
        scores[fitted.own.name] = asdict(score(labels, fitted.own.labels.cpu().numpy()))
    if fitted.embedded.probabilities is not None:
        method = fitted.model.method
        points = torch.from_numpy(embeddings).to(method.device)
        found = cluster_embeddings(points, config, method.metric).cpu().numpy()
        scores["k-means on embeddings"] = asdict(score(labels, found))
    labels, clusters = labels[_counted(fitted)], clusters[_counted(fitted)]
    if fitted.held_out is not None and (labels[fitted.held_out] >= 0).any():
        scores["held-out"] = asdict(score(labels[fitted.held_out], clusters[fitted.held_out]))
    return {"further": scores} if scores else {}


def _counted(fitted: Fitted) -> npt.NDArray[np.int64] | slice:
    return slice(None) if fitted.counted is None else fitted.counted
