"""A model on disk: safetensors and JSON, of which nothing is executed when they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

import coterie
from coterie.cluster.groups import Groups
from coterie.cluster.outliers import OutlierScore
from coterie.config import plain, read
from coterie.data.augment import Normalisation
from coterie.errors import CoterieError, UsageError
from coterie.files import write_atomically, write_json
from coterie.methods import method_type
from coterie.nn.pretrained import PREFIX, Pretrained
from coterie.runs.extractor import Extractor
from coterie.runs.folder import RunFolder
from coterie.runs.model import Blueprint, Model
from coterie.train.runtime import choose_runtime

FORMAT = 3
_GROUPS = ("centers", "concentration")
_OUTLIERS = ("whitening", "references", "nearer", "fence")
_RUN = "run"


def save_model(model: Model, folder: Path) -> None:
    """Write `model.json` and `model.safetensors` into `folder`, which is made; an extracting run's model beside them.

    Raises:
        CoterieError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CoterieError(f"{folder} cannot be made: {error.strerror}") from None
    extractor = None
    if isinstance(model.extractor, Model):
        save_model(model.extractor, folder / _RUN)
        extractor = _RUN
    elif isinstance(model.extractor, Pretrained):
        extractor = f"{PREFIX}{model.extractor.name}"
    tensors = {f"method.{name}": value for name, value in model.method.state_dict().items()}
    tensors |= {f"groups.{name}": getattr(model.groups, name) for name in _GROUPS}
    tensors |= {f"outliers.{name}": getattr(model.groups.outlier_score, name) for name in _OUTLIERS}
    # A format of plain rows: a copy leaves channels-last strides and shared storage behind.
    packed = safetensors.torch.save(
        {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    )
    write_atomically(folder / "model.safetensors", lambda stream: stream.write(packed))
    description = {
        "format": FORMAT,
        "coterie": coterie.__version__,
        **plain(model.blueprint),
        "normalisation": None if model.normalisation is None else plain(model.normalisation),
        "precision": model.precision,
        "extractor": extractor,
    }
    write_json(folder / "model.json", description)


def load_model(folder: Path, *, device: str = "auto") -> Model:
    """The model saved in `folder`. Nothing in its files is executed.

    Raises:
        UsageError: there is no model in the folder.
        CoterieError: its files are damaged or of another version.
    """
    description = _read_description(folder)
    try:
        values = {name: description[name] for name in Blueprint.__dataclass_fields__}
        options = read(method_type(values["method"]).Config, values["options"], where="options")
        blueprint = read(Blueprint, {**values, "options": options})
        given = description["normalisation"]
        normalisation = None if given is None else read(Normalisation, given)
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        parts = {name: tensors.pop(f"groups.{name}") for name in _GROUPS}
        outliers = {name: tensors.pop(f"outliers.{name}") for name in _OUTLIERS}
        if len(parts["centers"]) != blueprint.clusters:
            raise ValueError(f"{len(parts['centers'])} centers for {blueprint.clusters} clusters")
        method = blueprint.build()
        method.load_state_dict({name.removeprefix("method."): value for name, value in tensors.items()})
        precision = _precision(device, description["precision"])
    except UsageError as error:
        raise CoterieError(f"the model in {folder} cannot be used: {error}") from None
    except Exception as error:  # Half-written or tampered files raise nearly anything.
        reason = " ".join(str(error).split())[:200]
        raise CoterieError(f"the model in {folder} is damaged ({reason}): fit it again") from None
    runtime = choose_runtime(device, precision)
    runtime.prepare(method)
    method.eval()
    outlier_score = OutlierScore(**{name: part.to(runtime.device) for name, part in outliers.items()})
    parts = {name: part.to(runtime.device) for name, part in parts.items()}
    groups = Groups(**parts, outlier_score=outlier_score, metric=method.metric)
    extractor = _saved_extractor(description.get("extractor"), folder, device)
    return Model(blueprint, method, normalisation, groups, precision, extractor)


def open_extractor(name: str, *, device: str = "auto") -> Extractor:
    """What a user named to make features: `hf:NAME`, or the folder of a finished run that embeds images.

    Raises:
        UsageError: no such run, or one that does not embed images. CoterieError: it cannot be loaded.
    """
    if name.startswith(PREFIX):
        return Pretrained(name.removeprefix(PREFIX), choose_runtime(device).device)
    model = load_model(RunFolder(Path(name)).model, device=device)
    if model.method.inputs != "images":
        raise UsageError(f"--features-from: {name} maps features; give a run that learnt from images, or hf:NAME")
    return model


def _saved_extractor(name: Any, folder: Path, device: str) -> Extractor | None:
    if name is None:
        return None
    if name == _RUN:
        return load_model(folder / _RUN, device=device)
    if isinstance(name, str) and name.startswith(PREFIX):
        return open_extractor(name, device=device)
    raise CoterieError(f"{folder / 'model.json'} names an unknown extractor: fit the model again")


def _precision(device: str, saved: str) -> str:
    """The precision a model was trained in, where the device can do it fast; else float32."""
    return saved if choose_runtime(device).precision == saved else "float32"


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.is_file():
        raise UsageError(f"there is no model in {folder}: give a finished run or the folder a model was saved to")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        written_in, version = description["format"], description["coterie"]
    except (ValueError, KeyError, TypeError):
        raise CoterieError(f"{path} is damaged: fit the model again") from None
    if written_in != FORMAT:
        raise CoterieError(
            f"{path} was written by coterie {version} (format {written_in}); this is {coterie.__version__} "
            f"(format {FORMAT}): use that version, or fit again"
        )
    return dict(description)
