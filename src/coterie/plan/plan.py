"""The first step of every run: one pass from a request to everything that is decided before an image is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from coterie.config import flat, plain, read
from coterie.data.base import LARGE, Outline, Source
from coterie.data.feeding.features import Features
from coterie.data.sources import open_source
from coterie.data.sources.naming import full_name
from coterie.data.sources.pack import in_spaces
from coterie.errors import UsageError
from coterie.methods import learns, method_type
from coterie.nn.pretrained import Pretrained, is_pretrained, open_backbones, parts_of
from coterie.nn.pretrained.naming import tell_twins
from coterie.nn.pretrained.packages import best_at_hand
from coterie.plan.budget import MINUTES, asked_for, by_default
from coterie.plan.checks import check_backbones, check_kind, check_words
from coterie.plan.estimate import Estimate, Pace, measured
from coterie.plan.layers import Layers, lay, settle
from coterie.plan.request import Request
from coterie.plan.told import Layer, Told, told
from coterie.plan.words import nested
from coterie.processes import processes
from coterie.runs.config import READING, DataConfig, RunConfig
from coterie.surroundings import in_surroundings


@dataclass(frozen=True)
class Plan:
    """All that is decided before a run begins.

    Args:
        config: every setting.
        source: opened, and looked at as far as `outline` tells.
        backbones: the pretrained ones, opened, if there are any: one for a method on images to train, or any number
            for a method on features to look by.
        origins: of the settings by full name, as far as a layer set them; the others are the method's or defaults.
        differing: settings of a run to be resumed that the request wants otherwise: both values by name.
    """

    config: RunConfig
    source: Source
    outline: Outline
    backbones: tuple[Pretrained, ...]
    origins: Mapping[str, str]
    differing: Mapping[str, tuple[Any, Any]]

    @property
    def on_features(self) -> bool:
        """Whether the method takes what looks at the images frozen."""
        return method_type(self.config.method).inputs == "features"

    @cached_property
    def pace(self) -> Pace:
        """The run's pace on this machine, measured by a few steps of it."""
        spaces = self.source.widths if isinstance(self.source, Features) else ()
        return measured(self.config, self.outline, self.backbones, spaces)

    @property
    def estimate(self) -> Estimate:
        """What the run will take here."""
        return self.pace.of(self.config.train.epochs)

    def settings(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting: its full name, its value, and where that comes from."""
        for name, value in flat(plain(self.config)).items():
            own = f"method {self.config.method}" if name.startswith("options.") else "default"
            yield name, value, self.origins.get(name) or own


@in_surroundings
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
        request = replace(request, source=full_name(request.source))
    outline = source.outline()
    if saved is not None and said.get("clusters") is None:
        request = replace(request, clusters=saved.clusters)
    said = told(request, outline)
    if saved is None and not said.of_learning:
        said = _looking(said, outline, note)
    layers = lay(request, said, outline)
    config, _ = settle(layers, outline.count)
    if saved is not None:
        opened = () if finished else reopened(saved, note)
        source = _in_spaces(source, saved)
        # Whoever moved the images says where they are now; that they are the same is checked when they are read.
        saved = replace(saved, data=replace(saved.data, source=request.source))
        return Plan(saved, source, outline, opened, {}, _differing(saved, config, said, request))
    check_kind(source, config)
    return _decided(layers, _in_spaces(source, config), outline, request, note)


def _decided(layers: Layers, source: Source, outline: Outline, request: Request, note: Callable[[str], None]) -> Plan:
    """The plan of a run that begins: what its backbones want of the images, and how long it may take."""
    config, _ = settle(layers, outline.count)
    opened = _open(config.backbone, layers.told.get("data.side"), note)
    check_backbones(config, opened)
    layers = layers.seeing(opened, gpu=config.device != "cpu")
    config, origins = settle(layers, outline.count)
    opened = _sized(opened, config.data.side)
    check_words(config, opened)
    decided = Plan(config, source, outline, opened, origins, {})
    layer = _in_time(decided, request, layers.told, note)
    if not layer.values:
        return decided
    pace = decided.pace
    config, origins = settle(replace(layers, time=layer), outline.count)
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
    if decided.backbones or decided.on_features:
        epochs = min(epochs, config.train.epochs)  # Few suffice; only what would take long is cut.
    else:
        # What else a machine does can make the first steps many times as slow as those that follow.
        epochs = max(epochs, -(-config.train.epochs // 3))
    if epochs == config.train.epochs:
        return Layer()
    return Layer(f"default: {MINUTES:g} minutes on this machine", {"train.epochs": epochs})


def _looking(said: Told, outline: Outline, note: Callable[[str], None]) -> Told:
    """What was told, with the best backbone at hand where the images are photographs."""
    if not outline.perhaps_photographs or (at_hand := best_at_hand(note)) is None:
        return said
    if outline.photographs:
        return said.looking_at_photographs(at_hand)
    seem, be = "are small", "photographs"
    if outline.side >= LARGE:
        seem, be = "look like drawings", "photographs on a plain ground"
    note(f"these {seem}, and are learnt from; should they be {be}: --method kmeans --backbone {at_hand}")
    return said


def _reading(said: Told, request: Request) -> dict[str, Any]:
    """How the source is to be read: keyword arguments of `open_source`."""
    values = nested({**said.recipe.values, **said.user.values}).get("data", {})
    known = read(DataConfig, {**values, "source": request.source, "side": 0}, where="data")
    return {name: getattr(known, name) for name in READING}


def _open(name: str, side: int | None, note: Callable[[str], None]) -> tuple[Pretrained, ...]:
    """Pretrained backbones; that comes late, as fetching them may take long."""
    for part in parts_of(name):
        tell_twins(part, note)
    if not is_pretrained(name):
        return ()
    note(f"opening {name}")
    return open_backbones(name, side=side or None)


def _sized(backbones: tuple[Pretrained, ...], side: int) -> tuple[Pretrained, ...]:
    """Backbones for images of one side, or each of its own where that is 0; the largest for one that takes any."""
    largest = max((each.side for each in backbones), default=0)
    return tuple(replace(each, side=side or each.side or largest) for each in backbones)


def reopened(saved: RunConfig, note: Callable[[str], None] = lambda _: None) -> tuple[Pretrained, ...]:
    """The pretrained backbones of a run that goes on, if it has any, for images of the run's size."""
    return _sized(_open(saved.backbone, saved.data.side, note), saved.data.side)


def _in_spaces(source: Source, config: RunConfig) -> Source:
    """A source of features with the spaces its run was told of."""
    if not config.data.spaces:
        return source
    if not isinstance(source, Features):
        raise UsageError("option 'data.spaces' goes with a source of features: of images, every backbone makes a space")
    return in_spaces(source, config.data.spaces, "option 'data.spaces'")


def _differing(saved: RunConfig, wanted: RunConfig, said: Told, request: Request) -> dict[str, tuple[Any, Any]]:
    """The settings a request or its recipe sets otherwise than a saved configuration has them, with both values."""
    was, wants = flat(plain(saved)), flat(plain(wanted))
    # Minutes came to so many epochs when the run began.
    apart = {"data.source"} | ({"train.epochs", "train.warmup_epochs"} if request.minutes is not None else set())
    asked = [name for name in {**said.recipe.values, **said.user.values} if name not in apart]
    return {name: (was.get(name), wants[name]) for name in asked if name in wants and was.get(name) != wants[name]}
