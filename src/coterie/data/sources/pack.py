"""Images or features in an `.npz` file, with what may lie beside them: labels, keys and class names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from coterie.data.base import Source
from coterie.data.feeding.features import Features, check_spaces, checked_features
from coterie.data.sources.arrays import ArraySource, checked_keys, numbered_labels
from coterie.data.sources.labels import texts
from coterie.errors import UsageError
from coterie.naming import class_name
from coterie.untrusted import open_pack


def read_pack(
    stream: BinaryIO, name: str, note: Callable[[str], None] = lambda _: None, *, by_channels: bool = False
) -> Source:
    """The source in an open `.npz` file; `note` is told where it could be read otherwise.

    Raises:
        UsageError: no plain arrays, no `images` or `features` among them, or of the wrong kind.
    """
    try:
        with open_pack(stream) as pack:
            kind = next((kind for kind in ("images", "features") if kind in pack.files), None)
            if kind is None:
                found = ", ".join(pack.files) or "nothing"
                raise UsageError(f"{name} holds no array 'images' or 'features' (it holds {found})")
            if kind == "images" and "features" in pack.files:
                note(f"{name} holds images and features: the images are read")
            values = pack[kind]
            beside = {each: _beside(pack, each, name) for each in ("labels", "keys", "class_names") if each in pack}
            spaces = pack.get("spaces", ())
    except UsageError:
        raise
    except Exception as error:  # A damaged archive raises nearly anything; object arrays raise ValueError.
        raise UsageError(f"{name} cannot be read as an .npz of plain arrays: {error}") from None
    if "keys" in beside:
        beside["keys"] = texts(beside["keys"])
    beside["class_names"] = tuple(map(class_name, texts(beside.get("class_names", ()))))
    if kind == "images":
        return ArraySource(values, **beside, name=name, by_channels=by_channels)
    widths = np.ravel(spaces)
    if len(widths) and widths.dtype.kind not in "iu":
        raise UsageError(f"{name}: spaces must be whole numbers, not {widths.dtype}")
    return in_spaces(given_features(values, beside, name), widths.tolist(), name)


def in_spaces(features: Features, spaces: Sequence[int], name: str) -> Features:
    """Features with the widths of the spaces that lie side by side in them; without any, as they are.

    Raises:
        UsageError: the spaces do not make up the features.
    """
    if not spaces:
        return features
    check_spaces(spaces, features.shape[0], name)
    return replace(features, spaces=tuple(spaces))


def _beside(pack: Any, kind: str, name: str) -> Any:
    try:
        return pack[kind]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise UsageError(  # So pandas keeps text.
            f"{name} cannot be read as an .npz of plain arrays: '{kind}' holds Python objects; save it as "
            f"{kind}.astype(str), or leave it out"
        ) from None


def given_features(values: Any, beside: Mapping[str, Any], name: str) -> Features:
    """Features of an array, with what may lie beside them.

    Raises:
        UsageError: no finite matrix of floats, or keys or labels that do not fit it.
    """
    values = checked_features(values, name)
    labels, class_names = numbered_labels(beside.get("labels"), beside.get("class_names", ()), len(values), name)
    return Features(values, checked_keys(beside.get("keys"), len(values), name), labels, class_names)
