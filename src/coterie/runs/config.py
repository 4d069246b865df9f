"""The configuration of a run: one frozen value that suffices to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

import coterie
from coterie.config import plain, read
from coterie.data.feeding.augment import AugmentConfig
from coterie.errors import CoterieError, UsageError, unknown
from coterie.methods import learns, method_type
from coterie.nn.backbones import backbone_names
from coterie.nn.pretrained.base import IMAGENET_DEVIATION, IMAGENET_MEAN, MOST_SIDE
from coterie.train.config import TrainConfig
from coterie.untrusted import read_yaml

# Raised when the meaning of a run folder's files changes.
FORMAT = 2
NO_BACKBONE = "none"
# The options of the data section that say how a source is read.
READING = ("labels_from_folders", "subset", "image_column", "label_column", "channels", "ranges")
# Means and deviations of the channels as the field states them; CIFAR's deviations are means over images.
STATISTICS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_DEVIATION),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how large.

    Args:
        source: its full name, which means the same in every folder, see `coterie.data.sources.open_source`.
        side: pixels of the square each image becomes; 0 where the source holds features, or where it is looked at by
            several backbones, each with a side of its own.
        labels_from_folders: take class folders as labels, for evaluation only.
        collapse_copies: learn from every picture once, however many copies of it there are.
        normalisation: the mean and deviation taken out of every channel: "images" for their own, "imagenet", "cifar10"
            or "cifar100" for what is usual there, "auto" for what a pretrained backbone wants, else "images".
        scale: the values that are black and white in images of more than eight bits; empty chooses from the images, and
            stays so where all have eight bits, as do arrays.
        subset, image_column, label_column: of a data set of the hub; empty chooses, see `coterie.data.sources.hub`.
        spaces: widths of several feature spaces that lie side by side in a source of features; empty for those the
            source tells of.
        channels: those looked at, `all` or numbers such as `0,2,3`, of images whose channels are no colours.
        ranges: black and white of each of them in turn, as some images of the source had it.
    """

    source: str
    side: int
    labels_from_folders: bool = False
    collapse_copies: bool = False
    normalisation: str = "auto"
    scale: tuple[float, ...] = ()
    subset: str = ""
    image_column: str = ""
    label_column: str = ""
    spaces: tuple[int, ...] = ()
    channels: str = ""
    ranges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.normalisation not in ("auto", "images", *STATISTICS):
            raise unknown("normalisation", self.normalisation, ("auto", "images", *STATISTICS))
        if self.scale and (len(self.scale) != 2 or not self.scale[0] < self.scale[1]):
            raise UsageError(f"option 'data.scale' wants two rising values, black and white, got {list(self.scale)}")
        if self.side:
            check_side(self.side)


def check_side(side: int) -> None:
    """Raise a UsageError if images cannot be squares of `side` pixels."""
    if side > MOST_SIDE:
        raise UsageError(f"images may be up to {MOST_SIDE} pixels wide, not {side}: lower --size")
    if side < 8:
        raise UsageError(f"images must be at least 8 pixels wide, not {side}: raise --size")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's outcome.

    Args:
        method: its name, see `coterie.methods`.
        clusters: K.
        data, augment, train: the sections' own settings.
        options: an instance of the method's `Config`.
        backbone: what looks at the images: one of coterie's own by name, or a pretrained one, see
            `coterie.nn.pretrained`. Methods on images train it, methods on features take it frozen, or several joined
            by `+`; "none" where the source holds features.
        seed: same seed, same machine, same result.
        device, precision: as `coterie.train.runtime` resolved them.
        deterministic: the same result every time also on an accelerator.
        compiled: the encoder goes through torch's compiler.
        groups: how they are found in what was learnt: "own" by the method's own head or else by k-means, as the papers
            do; "mixture" by a mixture of Gaussians with one covariance; "auto" by whichever leaves them further apart,
            and then by what the surest of each group teach the others.
        words: that a CLIP may suggest as names of groups; none for those of ImageNet's classes.
        labels: the table of names that a person gave to some of the images, which the run keeps; empty for none.
    """

    method: str
    clusters: int
    data: DataConfig
    options: Any
    augment: AugmentConfig
    train: TrainConfig
    backbone: str
    seed: int
    device: str
    precision: str
    deterministic: bool = False
    compiled: bool = False
    groups: Literal["auto", "own", "mixture"] = "auto"
    words: tuple[str, ...] = ()
    labels: str = ""

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise UsageError(f"-k: ask for at least 2 clusters, not {self.clusters}")
        self._check_backbone()
        if len(self.words) == 1:
            raise UsageError("--words: one word fits every image as well as any other: give some more")
        if self.seed < 0:
            raise UsageError(f"--seed must not be negative, got {self.seed}")

    def _check_backbone(self) -> None:
        """What is pretrained may be gone by the time a run is looked at, so only names are compared here."""
        if method_type(self.method).inputs == "features" and self.backbone in backbone_names():
            raise UsageError(
                f"{self.method} takes features as they are, and {self.backbone} has learnt nothing yet: give one "
                "that has, by --backbone hf:NAME, timm:NAME, a file of weights or a run"
            )
        if learns(self.method) and self.train.epochs < 1:
            raise UsageError(
                "option 'train.epochs' must be at least 1: without learning, --method kmeans groups the features of a "
                "pretrained model"
            )
        if not learns(self.method) and self.train.epochs:
            raise UsageError(f"{self.method} learns nothing: leave --epochs out, or choose another --method")


def read_run_config(values: Mapping[str, Any]) -> RunConfig:
    """A run's configuration from plain values; unknown names and wrong types are errors that name them."""
    values = dict(values)
    name = values.get("method")
    if not isinstance(name, str):
        raise UsageError("option 'method' is missing")
    values["options"] = read(method_type(name).Config, values.get("options", {}), where="options")
    return read(RunConfig, values)


def to_yaml(config: RunConfig) -> str:
    """YAML that `from_yaml` reads back, with the version that wrote it."""
    header = {"coterie": coterie.__version__, "format": FORMAT}
    return str(yaml.safe_dump({**header, **plain(config)}, sort_keys=False, allow_unicode=True))


def from_yaml(text: str, *, where: str) -> RunConfig:
    """The configuration in a `config.yaml`.

    Raises:
        CoterieError: not YAML, half-written, or of another format than this version reads.
    """
    try:
        values = read_yaml(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or "format" not in values:
        raise CoterieError(f"{where} is damaged or half-written: start the run anew with another --out")
    version, written_in = values.pop("coterie", "?"), values.pop("format")
    if written_in != FORMAT:
        raise CoterieError(
            f"{where} was written by coterie {version} (format {written_in}); this is {coterie.__version__} "
            f"(format {FORMAT}): use that version, or start the run anew"
        )
    try:
        return read_run_config(values)
    except UsageError as error:
        raise CoterieError(f"{where} is damaged: {error}") from None
