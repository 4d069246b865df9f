"""A fitted model: what embeds and groups new images, saved as safetensors and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional as F

import coterie
from coterie.cluster.groups import Grouping, Groups
from coterie.config import plain, read
from coterie.data.augment import Normalisation
from coterie.data.store import Store
from coterie.errors import CoterieError, UsageError
from coterie.files import write_atomically, write_json
from coterie.methods import Method, build_method, method_type
from coterie.train.runtime import choose_runtime

FORMAT = 1
_GROUPS = ("centers", "concentration", "fences")


@dataclass(frozen=True)
class Blueprint:
    """What it takes to build a method's networks again: `options` is an instance of the method's `Config`."""

    method: str
    options: Any
    backbone: str
    channels: int
    side: int
    clusters: int

    def build(self, seed: int = 0) -> Method:
        return build_method(
            self.method,
            self.options,
            backbone=self.backbone,
            channels=self.channels,
            side=self.side,
            n_clusters=self.clusters,
            seed=seed,
        )


@dataclass(frozen=True)
class Embedded:
    """Embeddings (N, d) of unit length, and the probabilities (N, K) of the method's own head, if it has one."""

    embeddings: Tensor
    probabilities: Tensor | None


@dataclass(frozen=True)
class Model:
    """A trained method with its groups.

    Args:
        blueprint: how its networks are built.
        method: the trained networks, on their device.
        normalisation: what images go through before them.
        groups: centers, concentration and fences.
        precision: of the backbone, "float32" or "bfloat16".
    """

    blueprint: Blueprint
    method: Method
    normalisation: Normalisation
    groups: Groups
    precision: str

    def embed(
        self, store: Store, *, batch_size: int = 1024, on_images: Callable[[int], None] = lambda _: None
    ) -> Embedded:
        """Embeddings of every image of a store with this model's side and channels."""
        return embed_store(self.method, store, self.normalisation, batch_size=batch_size, on_images=on_images)

    def group(self, embedded: Embedded) -> Grouping:
        """Clusters, confidence and outliers."""
        return self.groups.assign(embedded.embeddings, embedded.probabilities)

    def save(self, folder: Path) -> None:
        """Write `model.json` and `model.safetensors` into `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"method.{name}": value for name, value in self.method.state_dict().items()}
        tensors |= {f"groups.{name}": getattr(self.groups, name) for name in _GROUPS}
        # A format of plain rows: a copy leaves channels-last strides and shared storage behind.
        packed = safetensors.torch.save(
            {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
        )
        write_atomically(folder / "model.safetensors", lambda stream: stream.write(packed))
        description = {
            "format": FORMAT,
            "coterie": coterie.__version__,
            **{name: plain(getattr(self.blueprint, name)) for name in Blueprint.__dataclass_fields__},
            "normalisation": plain(self.normalisation),
            "precision": self.precision,
        }
        write_json(folder / "model.json", description)

    @staticmethod
    def load(folder: Path, *, device: str = "auto") -> Model:
        """The model saved in `folder`. Nothing in its files is executed.

        Raises:
            UsageError: there is no model in the folder.
            CoterieError: its files are damaged or of another version.
        """
        description = _read_description(folder)
        try:
            names = [name for name in Blueprint.__dataclass_fields__ if name != "options"]
            options = read(method_type(description["method"]).Config, description["options"], where="options")
            blueprint = Blueprint(options=options, **{name: description[name] for name in names})
            normalisation = read(Normalisation, description["normalisation"])
            tensors = safetensors.torch.load_file(folder / "model.safetensors")
            groups = Groups(**{name: tensors.pop(f"groups.{name}") for name in _GROUPS})
            if len(groups.centers) != blueprint.clusters:
                raise ValueError(f"{len(groups.centers)} centers for {blueprint.clusters} clusters")
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
        groups = Groups(**{name: getattr(groups, name).to(runtime.device) for name in _GROUPS})
        return Model(blueprint, method, normalisation, groups, precision)


@torch.inference_mode()
def embed_store(
    method: Method,
    store: Store,
    normalisation: Normalisation,
    *,
    batch_size: int,
    on_images: Callable[[int], None] = lambda _: None,
) -> Embedded:
    """Embed a store in evaluation mode, and ask the method's own head where it has one."""
    method.eval()
    device = next(method.parameters()).device
    embeddings, probabilities = [], []
    for start in range(0, len(store), batch_size):
        index = torch.arange(start, min(start + batch_size, len(store)))
        images = normalisation.plain(store.rows(index).to(device))
        embeddings.append(F.normalize(method.embed(images), dim=1))
        probabilities.append(method.assign(images))
        on_images(len(index))
    known = [part for part in probabilities if part is not None]
    return Embedded(torch.cat(embeddings).clone(), torch.cat(known).clone() if known else None)


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
