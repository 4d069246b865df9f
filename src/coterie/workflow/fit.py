"""`coterie fit`: from a request to a folder of results."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import coterie
from coterie.data.augment import describe_views
from coterie.data.decode import Unreadable
from coterie.data.folder import Skipped
from coterie.data.ingest import in_parallel, ingest
from coterie.data.sources import Source, open_source
from coterie.data.store import Store
from coterie.errors import UsageError
from coterie.evaluate.baseline import pixel_baseline
from coterie.evaluate.metrics import score
from coterie.files import write_atomically, write_json, write_text
from coterie.report.page import write_report
from coterie.report.selection import select
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.runs.config import RunConfig
from coterie.runs.folder import RunFolder
from coterie.workflow.assemble import Request, assemble, differences, takes_folders_as_labels
from coterie.workflow.listener import Listener
from coterie.workflow.training import Fitted, check_enough, train

_THUMBNAIL_SIDE = 112


def fit(request: Request, out: Path, listener: Listener, *, resume: bool = False) -> dict[str, Any]:
    """Run a request in the folder `out`, or go on where an earlier attempt stopped.

    Returns:
        The summary, as `summary.json` holds it.

    Raises:
        UsageError: the request cannot be met. CoterieError: the run failed; what it had made is kept.
    """
    folder = RunFolder(out)
    resuming = resume and folder.config.is_file()
    if resuming:
        saved = folder.read_config()
        source = open_source(request.source, labels_from_folders=saved.data.labels_from_folders)
        config = _agreed(folder, saved, differences(saved, request, source.outline()))
        if folder.finished:
            listener.note(f"{out} is finished already")
            return folder.read_summary()
    else:
        folder.check_free()
        source = open_source(request.source, labels_from_folders=takes_folders_as_labels(request))
        config = assemble(request, source.outline())
        check_enough(len(source.keys), config.clusters)
        folder.start(config)
        _announce(config, len(source.keys), folder, listener)
    try:
        store = _read(source, config, folder, listener)
        fitted = train(store, config, listener, folder=folder)
    except UsageError:
        if not resuming and not folder.metrics.exists():  # Nothing is learnt yet, so nothing is lost.
            folder.withdraw()
        raise
    summary = _write_results(folder, config, store, source, fitted, listener)
    folder.scratch.unlink(missing_ok=True)
    return summary


def _agreed(folder: RunFolder, config: RunConfig, differing: list[str]) -> RunConfig:
    if differing:
        raise UsageError(
            f"{folder.root} was started with another {' and '.join(differing)}: leave that option out to resume, "
            "or give another --out"
        )
    return config


def _announce(config: RunConfig, count: int, folder: RunFolder, listener: Listener) -> None:
    listener.note(
        f"{count} images from {config.data.source} as {config.data.side}×{config.data.side} pixels into "
        f"{config.clusters} clusters"
    )
    listener.note(
        f"{config.method} with {config.backbone}, {config.train.epochs} epochs of batches of "
        f"{config.train.batch_size}, on {config.device} in {config.precision}"
    )
    listener.note(f"views are {describe_views(config.augment)}; every setting is in {folder.config}, --set changes it")


def _read(source: Source, config: RunConfig, folder: RunFolder, listener: Listener) -> Store:
    listener.begin("reading", len(source.keys), "images")
    store, skipped = ingest(source, config.data.side, scratch=folder.scratch, on_image=listener.advance)
    listener.end()
    folder.write_skipped(skipped)
    if skipped:
        _tell_skipped(skipped, folder, listener)
    check_enough(len(store), config.clusters)
    return store


def _tell_skipped(skipped: list[Skipped], folder: RunFolder, listener: Listener) -> None:
    files = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
    listener.note(f"left out {files}, listed in {folder.skipped}; the first: {skipped[0].key}: {skipped[0].reason}")


def _write_results(
    folder: RunFolder, config: RunConfig, store: Store, source: Source, fitted: Fitted, listener: Listener
) -> dict[str, Any]:
    """Everything a run ends with; the summary comes last but for the page, which reads it."""
    embeddings = fitted.embedded.embeddings.cpu().numpy()
    assignments = Assignments.of(store.keys, fitted.grouping, store.labels, store.class_names)
    write_text(folder.assignments, assignments.to_csv())
    write_atomically(folder.embeddings, lambda stream: np.save(stream, embeddings))
    fitted.model.save(folder.model)
    _thumbnails(source, assignments, embeddings).save(folder.thumbnails)
    summary = summarise(config, store, fitted, skipped=len(folder.read_skipped()))
    listener.note("writing the report")
    write_report(folder, summary)
    write_json(folder.summary, summary)
    return summary


def summarise(config: RunConfig, store: Store, fitted: Fitted, *, skipped: int) -> dict[str, Any]:
    """The content of `summary.json`."""
    clusters = fitted.grouping.clusters.cpu().numpy()
    summary: dict[str, Any] = {
        "method": config.method,
        "images": len(store),
        "skipped": skipped,
        "clusters": config.clusters,
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
    if store.labels is not None and (store.labels >= 0).any():
        baseline = pixel_baseline(store, config.clusters, seed=config.seed)
        summary |= asdict(score(store.labels, clusters))
        summary["baseline"] = {
            "method": "k-means on pixels",
            **asdict(baseline.scores),
            "seconds": round(baseline.seconds, 2),
        }
    return summary


def _thumbnails(source: Source, assignments: Assignments, embeddings: Any) -> Thumbnails:
    """Pictures of the images the report shows, from the source, at a size worth looking at."""
    places = {key: place for place, key in enumerate(source.keys)}
    side = min(_THUMBNAIL_SIDE, source.outline().side)
    rows = [row for chosen in select(assignments, embeddings).values() for row in chosen.typical + chosen.doubtful]

    def decode(row: int) -> Any:
        with contextlib.suppress(Unreadable):  # A file may vanish while a run lasts; the page then shows its name.
            return source.decode(places[assignments.keys[row]], side)

    thumbnails = Thumbnails({})
    for row, pixels in zip(rows, in_parallel(decode, rows), strict=True):
        if pixels is not None:
            thumbnails.add(row, pixels)
    return thumbnails
