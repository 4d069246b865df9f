"""What a user asked for, as the command line and `Clusterer` hand it on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What a user asked for; None and "auto" leave the choice to the recipe or the data.

    `settings` are `KEY=VALUE` strings, KEY an option's full name (`train.epochs`) or its last part where that is
    unambiguous. `minutes` are those that learning and grouping should take here, in place of `epochs`.
    """

    source: str
    clusters: int | None = None
    method: str = "auto"
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    epochs: int | None = None
    minutes: float | None = None
    size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    seed: int | None = None
    labels_from_folders: bool = False
    collapse_copies: bool = False
    deterministic: bool = False
    compiled: bool = False
    proportions: tuple[float, ...] = ()
    backbone: str | None = None
    subset: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    channels: str | None = None
    words: tuple[str, ...] | None = None
    labels: str | None = None
