"""`coterie probe`: linear evaluation of a run's encoder on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.data.base import Rows
from coterie.data.feeding.collected import Collected
from coterie.data.sources import open_source
from coterie.errors import UsageError
from coterie.evaluate.probe import ProbeConfig, ProbeScores, probe
from coterie.listener import Listener
from coterie.runs.folder import RunFolder
from coterie.runs.images import read_by
from coterie.runs.labels import read_labels
from coterie.runs.model import Model, batches, embedding_batch
from coterie.runs.model_files import load_model
from coterie.surroundings import in_surroundings
from coterie.workflow.steps.read import gather


@in_surroundings
def probe_run(
    run: Path,
    source: str,
    listener: Listener,
    *,
    labels: Path | None = None,
    reading: Mapping[str, Any] | None = None,
    config: ProbeConfig | None = None,
    test: str | None = None,
) -> ProbeScores:
    """Evaluate the features of a run's encoder, before any head, on the labelled images of a source.

    Args:
        labels: a CSV with the columns key and label; None takes those of the source.
        reading: further arguments of `open_source`.
        test: a source of images to test on; None holds some of each class back.

    Raises:
        UsageError: no model in the run, or no labels. CoterieError: the model is damaged.
    """
    config = config or ProbeConfig()
    folder = RunFolder(run)
    model = load_model(folder.model, device=config.device)
    features, given, counts = [], [], []
    for each in (source, test) if test is not None else (source,):
        opened = open_source(each, **{**read_by(folder), **(reading or {})}, note=listener.note)
        rows, _ = gather(opened, model, listener)
        given.append(_labels(rows, each, labels, listener))
        features.append(_features(rows, model, listener))
        counts.append(len(rows))
    together = torch.cat(features)
    numbers = torch.from_numpy(_numbered(np.concatenate(given), listener)).to(together.device)
    tested = None if test is None else torch.arange(len(together), device=together.device) >= counts[0]
    return probe(together, numbers, config, tested)


def _features(rows: Rows, model: Model, listener: Listener) -> Tensor:
    """What the encoder makes of images, (N, F)."""
    listener.begin("encoding", len(rows), "images")
    features = Collected(len(rows))
    side, gpu = rows.shape[-1] if len(rows.shape) == 3 else 0, model.method.device.type != "cpu"
    with torch.inference_mode():
        for inputs in batches(rows, model.normalisation, model.method.device, embedding_batch(side, gpu=gpu)):
            features.add(model.method.features(inputs).float())
            listener.advance(len(inputs))
    listener.end()
    return features.rows.clone()


def _labels(rows: Rows, source: str, labels: Path | None, listener: Listener) -> npt.NDArray[np.str_]:
    """Labels (N,) by name, empty where unknown."""
    if labels is not None:
        return np.array(read_labels(labels, rows.keys, listener.note))
    if rows.labels is None:
        raise UsageError(f"{source} knows no labels: add --labels-from-folders, or a CSV by --labels")
    return np.array([rows.class_names[label] if label >= 0 else "" for label in rows.labels.tolist()])


def _numbered(given: npt.NDArray[np.str_], listener: Listener) -> npt.NDArray[np.int64]:
    """Labels (N,) from 0 without gaps, −1 where unknown or of a class of a single image."""
    names, sizes = np.unique(given[given != ""], return_counts=True)
    lonely = names[sizes == 1]
    if len(lonely):
        listener.note(
            f"left out, as a class takes two images: {', '.join(map(str, lonely[:5]))}{' …' * (len(lonely) > 5)}"
        )
    known = (given != "") & ~np.isin(given, lonely)
    numbers = np.full(len(given), -1, dtype=np.int64)
    if known.any():
        numbers[known] = np.unique(given[known], return_inverse=True)[1]
    return numbers
