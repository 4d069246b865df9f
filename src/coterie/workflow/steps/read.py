"""The second step: from a source to what a method learns from, decoded images or features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from coterie.cluster.standard import odd_scale
from coterie.data.base import Rows, Skipped, Source
from coterie.data.copies import find_copies
from coterie.data.feeding.features import Features, side_by_side
from coterie.data.reading.cache import read_images
from coterie.data.reading.depth import Scale
from coterie.data.reading.ingest import allocate
from coterie.data.reading.store import Store, part_of
from coterie.data.sources.naming import place_of
from coterie.errors import CoterieError, ResourceError, UsageError
from coterie.listener import Listener
from coterie.methods import method_type
from coterie.nn.pretrained import Pretrained
from coterie.nn.pretrained.vocabulary import imagenet_words
from coterie.plan import Plan, check_enough
from coterie.runs.duplicates import told, write_duplicates
from coterie.runs.model import Model
from coterie.train.runtime import Runtime, choose_runtime
from coterie.workflow.steps.accept import accept
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.look import look, normalisation_of, write_features

Counted = npt.NDArray[np.int64] | None


@dataclass(frozen=True)
class Material:
    """All there is, what was left out, and the plan with its backbone normalised as the data want it.

    `counted` (n,) are the rows that a method learns from, where copies of others are left out of that; None for all.
    """

    rows: Rows
    skipped: list[Skipped]
    plan: Plan
    counted: Counted = None


def read(plan: Plan, attempt: Attempt) -> Material:
    """Read the images of a plan, and let its backbones look at them where the method wants features.

    Raises:
        UsageError: nothing that can be read, or too little. ResourceError: the source went away meanwhile.
        CoterieError: the images are not those an earlier attempt learnt from.
    """
    having_read = tuple(_having_read(each, plan, attempt.listener) for each in plan.backbones)
    plan = replace(plan, backbones=having_read)
    if plan.backbones and plan.on_features:
        return _looked_at(plan, attempt)
    if isinstance(plan.source, Features):
        _tell_odd(plan.source, plan, attempt)
        rows, skipped = cast(Rows, plan.source), list[Skipped]()
    else:
        channels = plan.backbones[0].channels if plan.backbones else None
        rows, skipped = _read(plan, plan.config.data.side, channels, attempt)
    accept(rows, skipped, plan, attempt)
    return Material(rows, skipped, plan, _counted(rows, plan, attempt))


def _looked_at(plan: Plan, attempt: Attempt) -> Material:
    """What the backbones of a plan make of its images, kept in the run's folder."""
    config, folder = plan.config, attempt.folder
    runtime = choose_runtime(config.device, config.precision, deterministic=config.deterministic)
    read_at = lru_cache(maxsize=1)(lambda side, channels: _read(plan, side, channels, attempt))
    backbones: list[Pretrained] = []
    parts: list[Features] = []
    skipped: list[Skipped] = []
    counted: set[str] | None = None
    for backbone in plan.backbones:
        store, left_out = read_at(backbone.side, backbone.channels)
        if not parts:
            accept(store, left_out, plan, attempt)
            once_each = _counted(store, plan, attempt)
            counted = None if once_each is None else {store.keys[row] for row in once_each}
        taken_out = normalisation_of(store, config.data.normalisation, backbone)
        backbones.append(replace(backbone, mean=taken_out.mean, deviation=taken_out.deviation))
        kept = None if folder is None else folder.features
        parts.append(look(store, backbones[-1], runtime, attempt.listener, kept=kept))
        skipped += left_out
    rows, skipped = side_by_side(parts), distinct(skipped)
    check_enough(len(rows), config.clusters)
    if folder is not None:
        write_features(rows, folder.features)
        folder.write_skipped(skipped)
    # Some that the first could read, another may have left out.
    places = None if counted is None else np.array([row for row, key in enumerate(rows.keys) if key in counted])
    return Material(rows, skipped, replace(plan, backbones=tuple(backbones)), places)


def once(rows: Rows, counted: Counted, scratch: Path | None) -> Rows:
    """The rows that are counted, of images in a file of their own where they are too large for memory."""
    if counted is None:
        return rows
    if isinstance(rows, Store):
        return part_of(rows, counted, allocate((len(counted), *rows.shape), scratch))
    assert isinstance(rows, Features)
    labels = None if rows.labels is None else rows.labels[counted]
    keys = [rows.keys[row] for row in counted]
    return replace(rows, values=rows.values[counted], keys=keys, labels=labels)


def _counted(store: Rows, plan: Plan, attempt: Attempt) -> Counted:
    """Look for copies, list them in the run's folder, and tell which rows are counted."""
    folder, collapse = attempt.folder, plan.config.data.collapse_copies
    if not isinstance(store, Store) or not (folder is not None or collapse):
        return None
    copies = find_copies(store, note=attempt.note)
    if folder is not None:
        write_duplicates(folder.duplicates, store.keys, copies)
    if words := told(copies, store.keys, None if folder is None else folder.duplicates, collapse=collapse):
        attempt.note(words)
    counted = copies.counted(collapse=collapse)
    if len(counted) == len(store):
        return None
    check_enough(len(counted), plan.config.clusters)
    return counted


def _having_read(backbone: Pretrained, plan: Plan, listener: Listener) -> Pretrained:
    """The backbone with the words that it may suggest for groups; without any where they would no longer fit it."""
    if not plan.on_features:
        return backbone.silent()
    if backbone.reader is not None:
        listener.note(
            f"{backbone.label} reads {len(plan.config.words) or len(imagenet_words())} words, to suggest names"
        )
    try:
        return backbone.having_read(plan.config.words)
    except CoterieError as error:
        if plan.config.words:
            raise
        listener.note(f"no names will be suggested: {error}")
        return backbone.silent()


def gather(source: Source, model: Model, listener: Listener) -> tuple[Rows, list[Skipped]]:
    """Images or features of a source as a fitted model takes them, and what was left out.

    Raises:
        UsageError: the source holds another kind of data, or nothing that can be read.
    """
    width = model.blueprint.shape[0]
    if isinstance(source, Features):
        if model.method.inputs == "images":
            raise UsageError("the model groups images, and this source holds features")
        if source.shape[0] != width:
            raise UsageError(f"the model wants features of {width} columns, not {source.shape[0]}")
        return source, []
    if len(model.input_shape) == 1:
        raise UsageError("the model groups features, and this source holds images: give an .npz with `features`")
    scale = model.scale or source.outline().scale
    if not model.backbones:
        return _images(source, model.input_shape[1], scale, model.input_shape[0], listener)
    read_at = lru_cache(maxsize=1)(lambda side, channels: _images(source, side, scale, channels, listener))
    runtime, parts, skipped = Runtime(model.method.device, model.precision), [], []
    for backbone in model.backbones:
        store, left_out = read_at(backbone.side, backbone.channels)
        parts.append(look(store, backbone, runtime, listener))
        skipped += left_out
    return side_by_side(parts), distinct(skipped)


def distinct(skipped: list[Skipped]) -> list[Skipped]:
    """Each key once, with the first reason."""
    return list({each.key: each for each in reversed(skipped)}.values())[::-1]


def _images(
    source: Source, side: int, scale: Scale, channels: int | None, listener: Listener, scratch: Path | None = None
) -> tuple[Store, list[Skipped]]:
    listener.begin("reading", len(source.keys), "images")
    store, skipped = read_images(
        source, side, scale=scale, channels=channels, scratch=scratch, on_image=listener.advance, note=listener.note
    )
    listener.end()
    return store, skipped


def _tell_odd(source: Features, plan: Plan, attempt: Attempt) -> None:
    """Say so where directions are compared, and the columns of features are not made for that."""
    by_direction = not method_type(plan.config.method).moves_embeddings
    if by_direction and (odd := odd_scale(torch.from_numpy(source.values))):
        attempt.note(f"{plan.config.method} compares directions, and these features {odd}")


def _read(plan: Plan, side: int, channels: int | None, attempt: Attempt) -> tuple[Store, list[Skipped]]:
    folder, place = attempt.folder, place_of(plan.config.data.source)
    was_folder = folder is not None and place.is_dir()
    scratch = None if folder is None else folder.scratch
    try:
        store, skipped = _images(plan.source, side, plan.config.data.scale, channels, attempt.listener, scratch)
    except UsageError:
        if was_folder and not place.is_dir():
            raise _gone(place) from None
        raise
    if skipped and was_folder and not place.is_dir():
        raise _gone(place)
    return store, skipped


def _gone(place: Path) -> ResourceError:
    return ResourceError(f"{place} was deleted or unmounted while it was read: bring it back")
