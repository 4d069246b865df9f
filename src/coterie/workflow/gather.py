"""From a source to what a method learns from: decoded images, or features."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coterie.data.base import Rows, Skipped, Source
from coterie.data.feeding.collected import Collected
from coterie.data.feeding.features import Features
from coterie.data.reading.cache import read_images
from coterie.data.reading.store import Store
from coterie.errors import UsageError
from coterie.files import write_atomically
from coterie.methods import method_type
from coterie.runs.extractor import Extractor
from coterie.runs.model import Model
from coterie.untrusted import open_pack
from coterie.workflow.listener import Listener

_BATCH = 64


@dataclass(frozen=True)
class Wanted:
    """What a method wants of a source.

    Args:
        method: its name.
        side: pixels of the images.
        channels: of the images; None takes what is there.
        extractor: what makes features of the images, for a method on features.
        width: of features; None takes what is there.
    """

    method: str
    side: int = 0
    channels: int | None = None
    extractor: Extractor | None = None
    width: int | None = None


def gather(
    source: Source,
    wanted: Wanted,
    listener: Listener,
    *,
    scratch: Path | None = None,
    kept: Path | None = None,
) -> tuple[Rows, list[Skipped]]:
    """Images or features of a source, and what was left out.

    Args:
        scratch: see `ingest`.
        kept: a file that holds extracted features from one attempt to the next.

    Raises:
        UsageError: the source holds another kind of data, or nothing that can be read.
    """
    # A model fitted through an extractor also takes features that were made already.
    check_kind(source, wanted.method, extracting=wanted.extractor is not None and not isinstance(source, Features))
    if isinstance(source, Features):
        if wanted.width not in (None, *source.shape):
            raise UsageError(f"the model wants features of {wanted.width} columns, not {source.shape[0]}")
        return source, []
    listener.begin("reading", len(source.keys), "images")
    extractor = wanted.extractor
    side, channels = (wanted.side, wanted.channels) if extractor is None else (extractor.side, extractor.channels)
    store, skipped = read_images(
        source, side, channels=channels, scratch=scratch, on_image=listener.advance, note=listener.note
    )
    listener.end()
    return (store if extractor is None else extract(store, extractor, listener, kept=kept)), skipped


def wanted_by(model: Model) -> Wanted:
    """What a model wants of new data: images of its shape or its extractor's, or features of its width."""
    if model.method.inputs == "features":
        return Wanted(model.blueprint.method, width=model.blueprint.shape[0], extractor=model.extractor)
    return Wanted(model.blueprint.method, model.side, model.channels)


def check_kind(source: Source, method: str, *, extracting: bool) -> None:
    """Raise a UsageError if the method cannot learn from what the source holds."""
    on_features = method_type(method).inputs == "features"
    if isinstance(source, Features):
        if not on_features:
            raise UsageError(f"{method} learns from images, and this source holds features: use --method lnscc")
        if extracting:
            raise UsageError("--features-from makes features of images, and this source holds features already")
    elif on_features and not extracting:
        raise UsageError(
            f"{method} groups features: give --features-from RUN or hf:NAME with images, or an .npz with `features`"
        )
    elif extracting and not on_features:
        raise UsageError(f"--features-from goes with a method on features, such as lnscc; {method} learns from images")


def extract(store: Store, extractor: Extractor, listener: Listener, *, kept: Path | None = None) -> Features:
    """Features of every image, taken from the file `kept` if it holds those of the same images."""
    fingerprint = store.fingerprint()
    values = None if kept is None else _kept(kept, fingerprint, len(store))
    if values is None:
        listener.begin("extracting features", len(store), "images")
        collected = Collected(len(store))
        for start in range(0, len(store), _BATCH):
            index = torch.arange(start, min(start + _BATCH, len(store)))
            collected.add(extractor.features(store.rows(index)).cpu())
            listener.advance(len(index))
        values = collected.rows.numpy().astype(np.float32)
        listener.end()
    features = Features(values, store.keys, store.labels, store.class_names, origin=fingerprint)
    if kept is not None:
        write_features(features, kept)
    return features


def write_features(features: Features, path: Path) -> None:
    """An `.npz` that is a source of its own."""
    content: dict[str, Any] = {"features": features.values, "keys": np.array(features.keys)}
    if features.labels is not None:
        content |= {"labels": features.labels, "class_names": np.array(features.class_names)}
    if features.origin is not None:
        content["origin"] = np.array(features.origin)
    write_atomically(path, lambda stream: np.savez(stream, **content))


def _kept(path: Path, fingerprint: int, count: int) -> Any:
    with contextlib.suppress(Exception), open_pack(path) as pack:
        values = pack["features"]
        if int(pack["origin"]) == fingerprint and len(values) == count:
            return values
    return None
