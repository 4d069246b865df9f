"""Frozen backbones look at images: features, made once and kept."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coterie.data.feeding.augment import Normalisation
from coterie.data.feeding.collected import Collected
from coterie.data.feeding.features import Features
from coterie.data.reading.cache import cache_entry, keep_values, kept_values
from coterie.data.reading.store import Store
from coterie.files import write_atomically
from coterie.listener import Listener
from coterie.nn.frozen import frozen
from coterie.nn.pretrained import Pretrained
from coterie.runs.config import STATISTICS
from coterie.runs.model import batches, embedding_batch
from coterie.train.runtime import Runtime
from coterie.untrusted import open_pack

# Features that are made faster than this are not worth the disk.
_WORTH_SECONDS = 2.0


def look(
    store: Store, backbone: Pretrained, runtime: Runtime, listener: Listener, *, kept: Path | None = None
) -> Features:
    """Features (N, D) of every image.

    They are taken from the file `kept`, or from the user's cache, if those hold what this backbone made of the same
    images; otherwise they are made, and written to the cache.
    """
    fingerprint = _fingerprint(store, backbone, runtime)
    entry = cache_entry(f"features {fingerprint}")
    values = _kept(kept, fingerprint, len(store)) if kept is not None and kept.is_file() else None
    if values is None and entry is not None and (found := kept_values(entry)) is not None:
        values = found[0] if found[0].dtype == np.float32 and len(found[0]) == len(store) else None
        if values is not None:
            listener.note(f"looked at before by {backbone.label}: features taken from the cache in {entry.parent}")
    if values is None:
        began = time.monotonic()
        values = _made(store, backbone, runtime, listener)
        if entry is not None and time.monotonic() - began >= _WORTH_SECONDS:
            with contextlib.suppress(OSError):
                keep_values(entry, values, {})
    return Features(values, store.keys, store.labels, store.class_names, origins=(fingerprint,))


def normalisation_of(store: Store, named: str, backbone: Pretrained | None) -> Normalisation:
    """What is taken out of images: a pretrained backbone's mean and deviation, their own, or those of a name.

    Args:
        named: the option `data.normalisation`.
    """
    if named in STATISTICS and store.channels == 3:
        return Normalisation(*STATISTICS[named])
    if named == "auto" and backbone is not None:
        return Normalisation(backbone.mean, backbone.deviation)
    return Normalisation(*store.channel_statistics())


def _made(store: Store, backbone: Pretrained, runtime: Runtime, listener: Listener) -> Any:
    dtype = torch.bfloat16 if runtime.precision == "bfloat16" else torch.float32
    network = frozen(backbone.backbone, channels=store.channels, side=store.shape[-1], dtype=dtype).to(runtime.device)
    normalisation = Normalisation(backbone.mean, backbone.deviation)
    collected = Collected(len(store))
    listener.begin("looking", len(store), "images")
    with runtime.rules(), torch.inference_mode():
        step = embedding_batch(store.shape[-1], gpu=runtime.device.type != "cpu")
        for images in batches(store, normalisation, runtime.device, step):
            collected.add(network(images).cpu())
            listener.advance(len(images))
    listener.end()
    return collected.rows.numpy()


def _fingerprint(store: Store, backbone: Pretrained, runtime: Runtime) -> int:
    """A number that changes with the images, the weights, and how the one look at the other."""
    digest = hashlib.blake2b(digest_size=7)
    how = (store.fingerprint(), store.shape, backbone.mean, backbone.deviation, runtime.device.type, runtime.precision)
    digest.update(repr((len(store), *how, backbone.architecture)).encode())
    for name, value in backbone.backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return int.from_bytes(digest.digest(), "big")


def write_features(features: Features, path: Path) -> None:
    """An `.npz` that is a source of its own."""
    content: dict[str, Any] = {"features": features.values, "keys": np.array(features.keys)}
    if features.labels is not None:
        content |= {"labels": features.labels, "class_names": np.array(features.class_names)}
    content |= {name: np.array(held) for name in ("origins", "spaces") if (held := getattr(features, name))}
    write_atomically(path, lambda stream: np.savez(stream, **content))


def _kept(path: Path, fingerprint: int, count: int) -> Any:
    with contextlib.suppress(Exception), open_pack(path) as pack:
        values, place = pack["features"], pack["origins"].tolist().index(fingerprint)
        widths = pack.get("spaces", values.shape[1:])
        if len(values) == count and values.dtype == np.float32:
            first = int(sum(widths[:place]))
            return np.ascontiguousarray(values[:, first : first + int(widths[place])])
    return None
