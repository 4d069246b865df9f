"""The first step of every run: one pass from a request to everything that is decided before an image is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from coterie.config import flat, plain, read
from coterie.data.base import Outline, Source
from coterie.data.feeding.features import Features
from coterie.data.sources import open_source
from coterie.errors import UsageError
from coterie.methods import learns, method_type
from coterie.nn.pretrained import Pretrained, is_pretrained, open_pretrained
from coterie.nn.pretrained.packages import best_at_hand
from coterie.plan.budget import MINUTES, asked_for, by_default
from coterie.plan.estimate import Estimate, Pace, measured
from coterie.plan.layers import Layer, Told, lay, settle, told
from coterie.plan.request import Request
from coterie.plan.words import nested
from coterie.processes import processes
from coterie.runs.config import NO_BACKBONE, READING, DataConfig, RunConfig


@dataclass(frozen=True)
class Plan:
    """All that is decided before a run begins.

    Args:
        config: every setting.
        source: opened, and looked at as far as `outline` tells.
        backbone: the pretrained one, opened, if there is one.
        origins: of the settings by full name, as far as a layer set them; the others are the method's or defaults.
        differing: settings of a run to be resumed that the request wants otherwise: both values by name.
    """

    config: RunConfig
    source: Source
    outline: Outline
    backbone: Pretrained | None
    origins: Mapping[str, str]
    differing: Mapping[str, tuple[Any, Any]]

    @property
    def on_features(self) -> bool:
        """Whether the method takes what looks at the images frozen."""
        return method_type(self.config.method).inputs == "features"

    @cached_property
    def pace(self) -> Pace:
        """The run's pace on this machine, measured by a few steps of it."""
        width = self.source.shape[0] if isinstance(self.source, Features) else None
        return measured(self.config, self.outline, self.backbone, width)

    @property
    def estimate(self) -> Estimate:
        """What the run will take here."""
        return self.pace.of(self.config.train.epochs)

    def settings(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting: its full name, its value, and where that comes from."""
        for name, value in flat(plain(self.config)).items():
            own = f"method {self.config.method}" if name.startswith("options.") else "default"
            yield name, value, self.origins.get(name) or own


def plan(
    request: Request,
    *,
    source: Source | None = None,
    saved: RunConfig | None = None,
    finished: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> Plan:
    """The plan for a request.

    Args:
        source: opened already, such as an array; None opens what the request names.
        saved: the configuration of a run that goes on, which then is the plan's.
        finished: that run is finished, and needs no backbone.
        note: told what takes long.

    Raises:
        UsageError: the request cannot be met. CoterieError: source or backbone are out of reach.
    """
    said = told(request)
    if source is None:
        reading = _reading(said, request) if saved is None else {name: getattr(saved.data, name) for name in READING}
        source = open_source(request.source, **reading, note=note)
    outline = source.outline()
    if saved is not None and said.get("clusters") is None:
        request = replace(request, clusters=saved.clusters)
        said = told(request)
    if saved is None and not said.of_learning:
        said = _looking(said, outline, note)
    layers = lay(request, said, outline)
    config, origins = settle(layers, outline.count)
    if saved is not None:
        opened = None if finished else reopened(saved, note)
        return Plan(saved, source, outline, opened, {}, _differing(saved, config, said))
    _check_kind(source, config)
    opened = _open(config.backbone, said.get("data.side"), note)
    if opened is not None:
        config, origins = settle(layers.seeing(opened), outline.count)
        opened = replace(opened, side=config.data.side)
    decided = Plan(config, source, outline, opened, origins, {})
    layer = _in_time(decided, request, said, note)
    if not layer.values:
        return decided
    pace = decided.pace
    config, origins = settle(replace(layers if opened is None else layers.seeing(opened), time=layer), outline.count)
    decided = replace(decided, config=config, origins=origins)
    decided.__dict__["pace"] = pace  # It does not depend on the epochs.
    return decided


def _in_time(decided: Plan, request: Request, said: Told, note: Callable[[str], None]) -> Layer:
    """The epochs that fit into the minutes asked for, or into those that a run takes where nobody says how long."""
    minutes, config = request.minutes, decided.config
    if minutes is not None and not minutes > 0:
        raise UsageError(f"--minutes must be above 0, got {minutes:g}")
    if minutes is not None and "train.epochs" in said.user.values:
        raise UsageError("--minutes chooses the epochs: leave one of --minutes and --epochs out")
    if not learns(config.method):
        if minutes is not None:
            note(f"{config.method} learns nothing, so there is nothing to choose for --minutes")
        return Layer()
    if minutes is None and (said.recipe.origin or "train.epochs" in said.user.values):
        return Layer()
    if processes().count > 1:  # A step of several cannot be tried while the others wait.
        if minutes is not None:
            raise UsageError("--minutes measures the pace of one process: with several, say --epochs")
        return Layer()
    note("measuring the pace of this machine")
    if minutes is None:
        return _by_default(decided)
    epochs = asked_for(decided.pace, minutes)
    if (least := decided.pace.of(1).seconds / 60) > 1.1 * minutes:
        note(f"a single epoch and the groups take {least:.1f} minutes here, more than --minutes {minutes:g}")
    return Layer(f"{minutes:g} minutes on this machine", {"train.epochs": epochs})


def _by_default(decided: Plan) -> Layer:
    """The epochs that fit into what a run takes by default, where these are not those of the number of images."""
    config = decided.config
    epochs = by_default(decided.pace, gpu=config.device.startswith("cuda"))
    if decided.backbone is not None or decided.on_features:
        epochs = min(epochs, config.train.epochs)  # Few suffice; only what would take long is cut.
    if epochs == config.train.epochs:
        return Layer()
    return Layer(f"default: {MINUTES:g} minutes on this machine", {"train.epochs": epochs})


def _looking(said: Told, outline: Outline, note: Callable[[str], None]) -> Told:
    """What was told, with the best backbone at hand where the images are photographs."""
    if not outline.coloured_and_large or (at_hand := best_at_hand(note)) is None:
        return said
    if outline.photographs:
        return said.looking_at_photographs(at_hand)
    note(
        "these look like drawings, and are learnt from; should they be photographs on a plain ground: "
        f"--method kmeans --backbone {at_hand}"
    )
    return said


def check_enough(images: int, clusters: int) -> None:
    """Raise a UsageError where there are fewer images than clusters."""
    if images < clusters:
        raise UsageError(f"{images} image{'s' * (images != 1)} cannot form {clusters} clusters: lower -k or add images")


def _reading(said: Told, request: Request) -> dict[str, Any]:
    """How the source is to be read: keyword arguments of `open_source`."""
    values = nested({**said.recipe.values, **said.user.values}).get("data", {})
    known = read(DataConfig, {**values, "source": request.source, "side": 0}, where="data")
    return {name: getattr(known, name) for name in READING}


def _open(name: str, side: int | None, note: Callable[[str], None]) -> Pretrained | None:
    """A pretrained backbone; that comes late, as fetching it may take long."""
    if not is_pretrained(name):
        return None
    note(f"opening {name}")
    return open_pretrained(name, side=side)


def reopened(saved: RunConfig, note: Callable[[str], None] = lambda _: None) -> Pretrained | None:
    """The pretrained backbone of a run that goes on, if it has one, for images of the run's size."""
    return _open(saved.backbone, saved.data.side, note)


def _check_kind(source: Source, config: RunConfig) -> None:
    """Raise a UsageError if the method cannot learn from what the source holds, or into so many clusters."""
    check_enough(len(source.keys), config.clusters)
    method, on_features = config.method, method_type(config.method).inputs == "features"
    if isinstance(source, Features):
        if not on_features:
            raise UsageError(
                f"{method} learns from images, and this source holds features: use "
                "--method lnscc, kmeans or another on features"
            )
        if config.backbone != NO_BACKBONE:
            raise UsageError("--backbone makes features of images, and this source holds features already")
    elif on_features and config.backbone == NO_BACKBONE:
        raise UsageError(
            f"{method} groups features: with images, say what makes them by --backbone hf:NAME, timm:NAME, a file of "
            "weights or a run; or give an .npz with `features`"
        )


def _differing(saved: RunConfig, wanted: RunConfig, said: Told) -> dict[str, tuple[Any, Any]]:
    """The settings a request or its recipe sets otherwise than a saved configuration has them, with both values."""
    was, wants = flat(plain(saved)), flat(plain(wanted))
    asked = [name for name in {**said.recipe.values, **said.user.values} if name != "data.source"]
    return {name: (was.get(name), wants[name]) for name in asked if name in wants and was.get(name) != wants[name]}
