"""Images that a person named: which they are, and what is left to be scored without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.cluster.spaces import in_spaces
from coterie.config import plain
from coterie.data.base import Rows
from coterie.data.feeding.features import Features
from coterie.data.reading.store import Store
from coterie.errors import UsageError
from coterie.evaluate.agreement import in_order
from coterie.files import write_text
from coterie.naming import class_name, nearest
from coterie.nn.pretrained import Pretrained
from coterie.runs.config import RunConfig
from coterie.runs.named import Named, read_named
from coterie.runs.words import Words, words_of_groups
from coterie.workflow.steps.attempt import Attempt

R = TypeVar("R", bound=Rows)
# What a person calls images, as Python says it.
Names = str | Path | Mapping[str, object] | Sequence[object] | npt.NDArray[np.generic]


def named_by(config: RunConfig, keys: Sequence[str], attempt: Attempt) -> Named | None:
    """The images that a run's configuration names, or that its folder keeps as named; None where there are none.

    Raises:
        UsageError: no such table, one that names none of the images, or more names than groups.
    """
    kept = None if attempt.folder is None else attempt.folder.told
    if kept is not None and kept.is_file():
        named = read_named(kept, keys)
    elif config.labels:
        named = read_named(Path(config.labels), keys, note=attempt.note)
    else:
        return None
    check_names(named, config.clusters)
    if kept is not None and not kept.is_file():
        write_text(kept, named.to_csv(keys))
    return named


def named_as(labels: Names, keys: Sequence[str], clusters: int) -> Named:
    """The images named by a table, by their keys, or by one entry for each.

    Args:
        labels: a path, a mapping from keys, or N entries; None, an empty text and −1 are no name.

    Raises:
        UsageError: no such table or image, another number of entries, no name at all, or more names than `clusters`.
    """
    if isinstance(labels, (str, Path)):
        named = read_named(Path(labels), keys)
    elif isinstance(labels, Mapping):
        if strange := [key for key in labels if key not in {*keys}]:
            raise UsageError(f"labels name '{strange[0]}', which is no image{nearest(str(strange[0]), keys)}")
        named = Named.of([_name(labels.get(key)) for key in keys])
    elif len(labels) == len(keys):
        named = Named.of([_name(label) for label in labels])
    else:
        raise UsageError(f"{len(labels)} labels for {len(keys)} images: give one each, −1 where unknown, or a mapping")
    if not named.names:
        raise UsageError("labels name no image: leave them out, or name some")
    check_names(named, clusters)
    return named


def _name(label: object) -> str:
    label = plain(label)
    return "" if label is None or label == -1 or label != label else class_name(str(label))


def check_names(named: Named, clusters: int) -> None:
    """Raise a UsageError where there are more names than groups."""
    if len(named.names) > clusters:
        raise UsageError(f"-k {clusters} is too few: images were given {len(named.names)} names")


def unnamed(rows: R, named: Named | None) -> R:
    """The rows as scores see them: labels of images that were named count as unknown."""
    if named is None or rows.labels is None:
        return rows
    assert isinstance(rows, (Store, Features))
    return cast(R, replace(rows, labels=np.where(named.index >= 0, -1, rows.labels)))


def numbered(labels: Sequence[str] | None, told: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Labels (N,) by number, −1 for those that are unknown or were told."""
    if labels is None:
        return np.full(len(told), -1)
    numbers = {name: number for number, name in enumerate(in_order({*labels} - {""}))}
    return np.where(told, -1, [numbers.get(name, -1) for name in labels])


def suggested(
    rows: Features, backbones: Sequence[Pretrained], words: tuple[str, ...], clusters: Tensor, n_clusters: int
) -> Words:
    """What the backbones' own features, which a head may have changed since, say of each group.

    Of backbones that know other words than each other, those speak that know the words given, or else the first's.
    """
    columns = in_spaces(torch.from_numpy(rows.values), rows.widths)
    known = [(one.vocabulary, own) for one, own in zip(backbones, columns, strict=True) if one.vocabulary]
    words = words or next((vocabulary.words for vocabulary, _ in known), ())
    speaking = [(vocabulary, own) for vocabulary, own in known if vocabulary.words == words]
    return words_of_groups(speaking, clusters.cpu(), n_clusters) if speaking else ()
