"""`coterie fit`: from a request to a folder of results."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import coterie
from coterie.data.base import Rows, Skipped, Source
from coterie.data.feeding.augment import describe_views
from coterie.data.reading.store import Store
from coterie.data.sources import open_source
from coterie.errors import CoterieError, ResourceError, UsageError
from coterie.evaluate.baseline import baseline
from coterie.evaluate.metrics import score
from coterie.files import write_atomically, write_json, write_text
from coterie.nn.pretrained import Pretrained
from coterie.processes import processes
from coterie.report.animation import write_animation
from coterie.report.page import write_report
from coterie.runs.assignments import Assignments
from coterie.runs.config import NO_BACKBONE, READING, RunConfig
from coterie.runs.extractor import Extractor
from coterie.runs.folder import RunFolder
from coterie.runs.manifest import Manifest
from coterie.runs.model_files import open_extractor, save_model
from coterie.workflow.assemble import Request, assemble, differences, open_backbone, reading_of
from coterie.workflow.gather import Wanted, check_kind, gather
from coterie.workflow.listener import Listener
from coterie.workflow.pictures import take_pictures
from coterie.workflow.stopping import hearing
from coterie.workflow.together import awaited, begin_together, end_together, excuse_others, train_along
from coterie.workflow.tracking import Tracking
from coterie.workflow.training import Fitted, check_enough, cluster_embeddings, train


def fit(
    request: Request, out: Path, listener: Listener, *, resume: bool = False, track: Sequence[str] = ()
) -> dict[str, Any]:
    """Run a request in the folder `out`, or go on where an earlier attempt stopped.

    Where several processes share the run, each calls this; all but the first train along and return nothing.

    Args:
        resume: go on, where there is something to go on with.
        track: names of trackers to feed, see `coterie.trackers`; a resumed run's earlier ones go on in any case.

    Returns:
        The summary, as `summary.json` holds it.

    Raises:
        UsageError: the request cannot be met. CoterieError: the run failed; what it had made is kept.
    """
    if not processes().first:
        train_along(listener)
        return {}
    folder = RunFolder(out)
    with awaited():
        if resume:
            folder.check_own()
        with hearing(listener, processes()):
            tracking = Tracking(folder, track, listener)
            prepared = _prepare(request, folder, listener, resume=resume and folder.config.is_file())
        if prepared is None:
            excuse_others()
        else:
            begin_together(prepared.rows, prepared.config, folder)
    if prepared is None:
        listener.note(f"{out} is finished already")
        return folder.read_summary()
    with tracking:
        with _withdrawn(folder, prepared.resuming):
            fitted = _train(prepared, folder, listener, tracking)
        summary = _write_results(folder, prepared.config, prepared.rows, prepared.source, fitted, listener)
        tracking.conclude(summary)
    for path in (folder.scratch, folder.frames, folder.manifest):
        path.unlink(missing_ok=True)
    end_together(folder)
    return summary


@dataclass(frozen=True)
class _Prepared:
    """All that training needs, and whether an earlier attempt goes on."""

    config: RunConfig
    source: Source
    rows: Rows
    extractor: Extractor | None
    pretrained: Pretrained | None
    resuming: bool


def _prepare(request: Request, folder: RunFolder, listener: Listener, *, resume: bool) -> _Prepared | None:
    """Configuration and data of a run, its folder begun; None if it is finished already."""
    source, config = (_resumed if resume else _new)(folder, request, listener)
    if resume and folder.finished:
        return None
    config, pretrained = open_backbone(config, request, source.outline(), listener, resuming=resume)
    extractor = open_extractor(config.data.features_from, device=config.device) if config.data.features_from else None
    if not resume:
        if extractor is not None:
            config = replace(config, data=replace(config.data, side=extractor.side))
        folder.start(config)
        _announce(config, len(source.keys), folder, listener)
    with _withdrawn(folder, resume):
        channels = None if pretrained is None else pretrained.channels
        wanted = Wanted(config.method, config.data.side, channels, extractor=extractor)
        rows = _read(source, wanted, config, folder, listener)
    _check_unchanged(rows, folder)
    return _Prepared(config, source, rows, extractor, pretrained, resume)


def _train(prepared: _Prepared, folder: RunFolder, listener: Listener, tracking: Tracking) -> Fitted:
    return train(
        prepared.rows,
        prepared.config,
        listener,
        folder=folder,
        extractor=prepared.extractor,
        pretrained=prepared.pretrained,
        tracking=tracking,
    )


@contextlib.contextmanager
def _withdrawn(folder: RunFolder, resuming: bool) -> Iterator[None]:
    """Free the name of a run that is refused before it has learnt anything."""
    try:
        yield
    except UsageError:
        if not resuming and not folder.metrics.exists():  # Nothing is learnt yet, so nothing is lost.
            folder.withdraw()
        raise


def _new(folder: RunFolder, request: Request, listener: Listener) -> tuple[Source, RunConfig]:
    """The source and the configuration of a run that begins, but for what a pretrained backbone decides."""
    folder.check_free()
    source = open_source(request.source, **reading_of(request), note=listener.note)
    config = assemble(request, source.outline())
    check_kind(source, config.method, extracting=bool(config.data.features_from))
    check_enough(len(source.keys), config.clusters)
    return source, config


def _resumed(folder: RunFolder, request: Request, listener: Listener) -> tuple[Source, RunConfig]:
    """The source and the configuration of a run that goes on."""
    saved = folder.read_config()
    reading = {name: getattr(saved.data, name) for name in READING}
    source = open_source(request.source, **reading, note=listener.note)
    return source, _agreed(folder, saved, differences(saved, request, source.outline()))


def _agreed(folder: RunFolder, config: RunConfig, differing: list[str]) -> RunConfig:
    if differing:
        raise UsageError(
            f"{folder.root} was started with another {' and '.join(differing)}: leave that option out to resume, "
            "or give another --out"
        )
    return config


def _announce(config: RunConfig, count: int, folder: RunFolder, listener: Listener) -> None:
    side, features_from = config.data.side, config.data.features_from
    what = f"images as {side}×{side} pixels" if side else "feature vectors"
    listener.note(f"{count} {what} from {config.data.source} into {config.clusters} clusters")
    network = "" if config.backbone == NO_BACKBONE else f" with {config.backbone}"
    network += f" on the features of {features_from}" if features_from else ""
    epochs = f"{config.train.epochs} epochs of batches of {config.train.batch_size}"
    epochs = epochs if config.train.epochs else "as it is, nothing is learnt"
    listener.note(f"{config.method}{network}, {epochs}, on {config.device} in {config.precision}")
    seen = config.backbone != NO_BACKBONE and config.train.epochs
    views = f"views are {describe_views(config.augment)}; " if seen else ""
    listener.note(f"{views}every setting is in {folder.config}, --set changes it")


def _read(source: Source, wanted: Wanted, config: RunConfig, folder: RunFolder, listener: Listener) -> Rows:
    place = Path(config.data.source)
    was_folder = place.is_dir()
    try:
        rows, skipped = gather(source, wanted, listener, scratch=folder.scratch, kept=folder.features)
    except UsageError:
        if was_folder and not place.is_dir():
            raise _gone(place) from None
        raise
    if skipped and was_folder and not place.is_dir():
        raise _gone(place)
    folder.write_skipped(skipped)
    if skipped:
        _tell_skipped(skipped, folder, listener)
    check_enough(len(rows), config.clusters)
    return rows


def _gone(place: Path) -> ResourceError:
    return ResourceError(f"{place} was deleted or unmounted while it was read: bring it back")


def _check_unchanged(rows: Rows, folder: RunFolder) -> None:
    """Raise a CoterieError that tells which images are not those the checkpoint learnt from."""
    now, before = Manifest.of(rows), Manifest.read(folder.manifest)
    changes = before.changes(now) if before is not None and folder.checkpoint.is_file() else ""
    if changes:
        raise CoterieError(
            f"the images are not those {folder.root} was started with: {changes}; restore them to go on, or give "
            "another --out to start anew"
        )
    now.write(folder.manifest)


def _tell_skipped(skipped: list[Skipped], folder: RunFolder, listener: Listener) -> None:
    files = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
    listener.note(f"left out {files}, listed in {folder.skipped}; the first: {skipped[0].key}: {skipped[0].reason}")


def _write_results(
    folder: RunFolder, config: RunConfig, rows: Rows, source: Source, fitted: Fitted, listener: Listener
) -> dict[str, Any]:
    """Everything a run ends with; the summary comes last but for the page, which reads it."""
    embeddings = fitted.embedded.embeddings.cpu().numpy()
    assignments = Assignments.of(rows.keys, fitted.grouping, rows.labels, rows.class_names)
    write_text(folder.assignments, assignments.to_csv())
    write_atomically(folder.embeddings, lambda stream: np.save(stream, embeddings))
    save_model(fitted.model, folder.model)
    pictures = take_pictures(source, assignments, embeddings, rows)
    pictures.save(folder.thumbnails)
    if isinstance(rows, Store) and not pictures.encoded:
        listener.note(
            f"{config.data.source} can no longer be read, so the page has no pictures: once it is back, "
            f"coterie report {folder.root} --source {config.data.source} adds them"
        )
    summary = summarise(config, rows, fitted, skipped=len(folder.read_skipped()))
    listener.note("writing the report")
    if fitted.held_out is not None:
        write_animation(folder, fitted.held_out, assignments.clusters)
    write_report(folder, summary)
    write_json(folder.summary, summary)
    return summary


def summarise(config: RunConfig, rows: Rows, fitted: Fitted, *, skipped: int) -> dict[str, Any]:
    """The content of `summary.json`."""
    clusters = fitted.grouping.clusters.cpu().numpy()
    summary: dict[str, Any] = {
        "method": config.method,
        "images": len(rows),
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
    if fitted.held_out is not None:
        summary["held_out"] = int(fitted.held_out.sum())
    if rows.labels is not None and (rows.labels >= 0).any():
        plain = baseline(rows, config.clusters, seed=config.seed)
        summary |= asdict(score(rows.labels, clusters))
        summary["baseline"] = {"method": plain.method, **asdict(plain.scores), "seconds": round(plain.seconds, 2)}
        summary |= _further_scores(config, rows.labels, clusters, fitted)
    return summary


def _further_scores(
    config: RunConfig, labels: npt.NDArray[np.int64], clusters: npt.NDArray[np.int64], fitted: Fitted
) -> dict[str, Any]:
    """Beside a head's assignment, k-means on its embeddings; and the assignment of what was held out."""
    scores: dict[str, Any] = {}
    if fitted.embedded.probabilities is not None:
        metric = fitted.model.method.metric
        found = cluster_embeddings(fitted.embedded.embeddings, config, metric).cpu().numpy()
        scores["k-means on embeddings"] = asdict(score(labels, found))
    if fitted.held_out is not None and (labels[fitted.held_out] >= 0).any():
        scores["held-out"] = asdict(score(labels[fitted.held_out], clusters[fitted.held_out]))
    return {"further": scores} if scores else {}
