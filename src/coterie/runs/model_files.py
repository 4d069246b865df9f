"""A model on disk: safetensors and JSON, of which nothing is executed when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

import coterie
from coterie.cluster.groups import Groups
from coterie.cluster.kmeans import Metric
from coterie.cluster.outliers import OutlierScore
from coterie.cluster.rules import Rule
from coterie.config import coerce, plain, read
from coterie.data.feeding.augment import Normalisation
from coterie.data.feeding.features import check_spaces
from coterie.errors import CoterieError, UsageError
from coterie.files import write_json
from coterie.methods import method_type
from coterie.nn.pretrained import Pretrained
from coterie.nn.pretrained.own_runs import check_shape
from coterie.nn.pretrained.saved import (
    BACKBONE_FILES,
    backbone_folders,
    check_fits,
    load_backbone,
    save_backbones,
    write_tensors,
)
from coterie.runs.config import NO_BACKBONE
from coterie.runs.model import Blueprint, Model
from coterie.runs.words import as_json, checked_words
from coterie.train.runtime import choose_runtime
from coterie.untrusted import read_json

FORMAT = 5
_GROUPS = ("centers", "concentration")
_RULE = ("origin", "slopes", "intercepts")
_OUTLIERS = ("whitening", "references", "nearer", "fence")
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
# What the description is called where `coterie export --hub` wrote the model.
HUB_DESCRIPTION = "config.json"


def save_model(model: Model, folder: Path) -> None:
    """Write `model.json` and `model.safetensors` into `folder`, which is made; frozen backbones beside them.

    Raises:
        CoterieError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CoterieError(f"{folder} cannot be made: {error.strerror}") from None
    save_backbones(model.backbones, folder)
    tensors = {f"method.{name}": value for name, value in model.method.state_dict().items()}
    tensors |= {f"groups.{name}": getattr(model.groups, name) for name in _GROUPS}
    tensors |= {f"rule.{name}": value for name, value in model.groups.rule.tensors().items()}
    tensors |= {f"outliers.{name}": getattr(model.groups.outlier_score, name) for name in _OUTLIERS}
    write_tensors(folder / WEIGHTS, tensors)
    description = {
        "format": FORMAT,
        "coterie": coterie.__version__,
        **plain(model.blueprint),
        "normalisation": None if model.normalisation is None else plain(model.normalisation),
        "scale": list(model.scale),
        "precision": model.precision,
        "groups": len(model.groups.centers),
        "by_head": model.groups.by_head,
        "words": as_json(model.words),
    }
    write_json(folder / DESCRIPTION, description)


def load_model(folder: Path, *, device: str = "auto", precision: str | None = None) -> Model:
    """The model saved in `folder`. Nothing in its files is executed.

    Args:
        precision: of the backbone; None for that of training, where the device is fast in it.

    Raises:
        UsageError: there is no model in the folder.
        CoterieError: its files are damaged or of another version.
    """
    description = read_description(folder)
    try:
        blueprint = _blueprint(description)
        given = description["normalisation"]
        normalisation = None if given is None else read(Normalisation, given)
        tensors = safetensors.torch.load_file(folder / WEIGHTS)
        metric = method_type(blueprint.method).metric
        number = coerce(description.get("groups", blueprint.clusters), int, where="groups")
        groups = _groups(tensors, number, metric, by_head=description["by_head"])
        if groups.by_head and number != blueprint.clusters:
            raise ValueError(f"a head of {blueprint.clusters} clusters does not decide among {number}")
        weights = {name.removeprefix("method."): value for name, value in tensors.items()}
        check_fits(blueprint.build, weights)
        method = blueprint.build()
        method.load_state_dict(weights)
        scale = coerce(description.get("scale", []), tuple[float, ...], where="scale")
        words = checked_words(description.get("words", []), len(groups.centers))
        chosen = precision or _precision(device, description["precision"])
    except UsageError as error:
        raise CoterieError(f"the model in {folder} cannot be used: {error}") from None
    except Exception as error:  # Half-written or tampered files raise nearly anything.
        reason = " ".join(str(error).split())[:200]
        raise CoterieError(f"the model in {folder} is damaged ({reason}): fit it again") from None
    runtime = choose_runtime(device, chosen)
    runtime.prepare(method)
    method.eval()
    frozen = method.inputs == "features" and blueprint.backbone != NO_BACKBONE
    backbones = _backbones(folder, blueprint) if frozen else ()
    return Model(blueprint, method, normalisation, groups.on(runtime.device), chosen, backbones, scale, words)


def _blueprint(description: dict[str, Any]) -> Blueprint:
    """How the networks are built, out of what an untrusted file says."""
    values = {"architecture": None, "spaces": [], **description}
    values = {name: values[name] for name in Blueprint.__dataclass_fields__}
    check_shape(values["shape"])
    options = read(method_type(values["method"]).Config, values["options"], where="options")
    blueprint = read(Blueprint, {**values, "options": options})
    if blueprint.spaces:
        check_spaces(blueprint.spaces, blueprint.shape[0], "its description")
    return blueprint


def _groups(tensors: dict[str, Tensor], clusters: int, metric: Metric, *, by_head: object) -> Groups:
    """The groups among tensors read, which are taken out of them; a ValueError where they do not fit each other."""
    parts = {name: tensors.pop(f"groups.{name}") for name in _GROUPS}
    rule = {name: tensors.pop(f"rule.{name}") for name in _RULE}
    outliers = {name: tensors.pop(f"outliers.{name}") for name in _OUTLIERS}
    if not isinstance(by_head, bool):
        raise ValueError("by_head is neither true nor false")
    if len(parts["centers"]) != clusters:
        raise ValueError(f"{len(parts['centers'])} centers for {clusters} clusters")
    if "rule.axes" in tensors:
        rule["axes"] = tensors.pop("rule.axes")
    _check_rule(rule, parts["centers"])
    return Groups(**parts, rule=Rule(**rule, metric=metric), outlier_score=OutlierScore(**outliers), by_head=by_head)


def _backbones(folder: Path, blueprint: Blueprint) -> tuple[Pretrained, ...]:
    """What makes the features of a model, a space each.

    Raises:
        UsageError: a library that builds one is not installed. CoterieError: they are damaged, or not the model's.
    """
    backbones = tuple(load_backbone(path) for path in backbone_folders(folder))
    if tuple(each.backbone.features for each in backbones) != (blueprint.spaces or blueprint.shape):
        raise CoterieError(f"the model in {folder} is damaged (its backbones make other features): fit it again")
    return backbones


def _check_rule(rule: dict[str, Tensor], centers: Tensor) -> None:
    """Raise a ValueError if the parts of a rule do not fit centers (K, d), or one another."""
    n_clusters, width = centers.shape
    seen = rule["axes"].shape[-1] if "axes" in rule else width
    wanted = {"origin": (width,), "axes": (width, seen), "slopes": (seen, n_clusters), "intercepts": (n_clusters,)}
    for name, part in rule.items():
        if part.shape != wanted[name]:
            raise ValueError(f"its rule's {name} do not fit its centers")


def saved_files(folder: Path) -> dict[str, Path]:
    """Every file of the model saved in `folder`, by its name in a folder for the hub, where `load_model` reads it too.

    Raises:
        UsageError: there is no model in the folder.
    """
    files = {HUB_DESCRIPTION: _description_file(folder), WEIGHTS: folder / WEIGHTS}
    # What else lies there was not read with the model, and is not passed on.
    found = (path / name for path in backbone_folders(folder) for name in BACKBONE_FILES)
    return files | {f"{path.parent.name}/{path.name}": path for path in found if path.is_file()}


def _precision(device: str, saved: str) -> str:
    """The precision a model was trained in, where the device can do it fast; else float32."""
    return saved if choose_runtime(device).precision == saved else "float32"


def _description_file(folder: Path) -> Path:
    for name in (DESCRIPTION, HUB_DESCRIPTION):
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"there is no model in {folder}: give a finished run or the folder a model was saved to")


def read_description(folder: Path) -> dict[str, Any]:
    """What `model.json` says, as far as its format is known.

    Raises:
        UsageError: there is no model in the folder. CoterieError: it is damaged or of another version.
    """
    path = _description_file(folder)
    try:
        description = read_json(path)
        written_in, version = description["format"], description["coterie"]
    except (ValueError, KeyError, TypeError):
        raise CoterieError(f"{path} is damaged: fit the model again") from None
    if written_in != FORMAT:
        raise CoterieError(
            f"{path} was written by coterie {version} (format {written_in}); this is {coterie.__version__} "
            f"(format {FORMAT}): use that version, or fit again"
        )
    return dict(description)
