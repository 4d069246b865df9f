"""The configuration of a run: one frozen value that suffices to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

import coterie
from coterie.config import plain, read
from coterie.data.augment import AugmentConfig
from coterie.errors import CoterieError, UsageError, unknown
from coterie.methods import method_type
from coterie.nn.backbones import backbone_names
from coterie.train.config import TrainConfig

# Raised when the meaning of a run folder's files changes.
FORMAT = 1
NO_BACKBONE = "none"


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how large.

    Args:
        source: what was given: a folder, an `.npz` file, or `digits`.
        side: pixels of the square each image becomes; 0 where the source holds features.
        labels_from_folders: take class folders as labels, for evaluation only.
        features_from: what makes features of the images, a run's folder or `hf:NAME`; empty for nothing.
    """

    source: str
    side: int
    labels_from_folders: bool = False
    features_from: str = ""

    def __post_init__(self) -> None:
        if self.side < 8 and self.side != 0:
            raise UsageError(f"images must be at least 8 pixels wide, not {self.side}: raise --size")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's outcome.

    Args:
        method: its name, see `coterie.methods`.
        clusters: K.
        data, augment, train: the sections' own settings.
        options: an instance of the method's `Config`.
        backbone: name of the encoder's backbone; "none" for a method on features.
        seed: same seed, same machine, same result.
        device, precision: as `coterie.train.runtime` resolved them.
        deterministic: the same result every time also on an accelerator.
        compiled: the encoder goes through torch's compiler.
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

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise UsageError(f"-k: ask for at least 2 clusters, not {self.clusters}")
        on_features = method_type(self.method).inputs == "features"
        if self.backbone != NO_BACKBONE if on_features else self.backbone not in backbone_names():
            raise unknown("backbone", self.backbone, backbone_names())
        if self.seed < 0:
            raise UsageError(f"--seed must not be negative, got {self.seed}")


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
        values = yaml.safe_load(text)
    except yaml.YAMLError:
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
