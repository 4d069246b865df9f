"""A plan in words: the short form for a run that begins, the long one for who wants to know."""

from __future__ import annotations

from typing import Any

from coterie.data.feeding.augment import describe_views
from coterie.data.feeding.features import Features
from coterie.data.reading.depth import Scale
from coterie.listener import Listener
from coterie.methods import learns
from coterie.nn.pretrained import parts_of
from coterie.nn.pretrained.known import KNOWN
from coterie.plan.plan import Plan
from coterie.processes import processes
from coterie.runs.config import NO_BACKBONE
from coterie.runs.folder import RunFolder


def announce(plan: Plan, folder: RunFolder, listener: Listener) -> None:
    """Tell a listener the plan of a run that begins, in short."""
    for line in short(plan):
        listener.note(line)
    if listener.read and processes().count == 1:  # A step of several cannot be tried while the others wait.
        listener.note(takes(plan))
    seen = not plan.on_features and plan.config.train.epochs
    views = f"views are {describe_views(plan.config.augment)}; " if seen else ""
    listener.note(f"{views}every setting is in {folder.config}, --set changes it, and coterie plan explains it")


def short(plan: Plan) -> list[str]:
    """What is grouped, by what, and how."""
    config = plan.config
    sides = sorted({each.side for each in plan.backbones} or {config.data.side}, reverse=True)
    squares = " and ".join(f"{side}×{side}" for side in sides)
    what = "feature vectors" if isinstance(plan.source, Features) else f"images as {squares} pixels"
    if plan.outline.bands:
        what += f" of {plan.outline.bands} channel{'s' * (plan.outline.bands > 1)} ({config.data.channels})"
    network = "" if config.backbone == NO_BACKBONE else f" on {'frozen ' if plan.on_features else ''}{config.backbone}"
    network = network.replace(" on ", " with ", 1) if not plan.on_features else network
    epochs = f"{config.train.epochs} epochs of batches of {config.train.batch_size}"
    epochs = epochs if config.train.epochs else "as it is, nothing is learnt"
    by_default = plan.origins.get("backbone", "").endswith("photographs")
    known = [KNOWN[part] for part in parts_of(config.backbone) if part in KNOWN]
    return [
        f"{len(plan.source.keys)} {what} from {config.data.source} into {config.clusters} clusters",
        *([_told(config.data.scale)] if config.data.scale else []),
        f"{config.method}{network}, {epochs}, on {config.device} in {config.precision}",
        *(f"{each.name} has learnt from {each.learnt_from}" for each in known),
        *(["--backbone convnet-small learns from these photographs alone instead"] if by_default else []),
    ]


def _told(scale: Scale) -> str:
    black, white = (f"{value:g}" for value in scale)
    return f"in images of more than eight bits {black} is black and {white} white; --set data.scale changes it"


def as_json(plan: Plan) -> dict[str, Any]:
    """Everything, as JSON can hold it."""
    estimate = plan.estimate
    return {
        "images": len(plan.source.keys),
        "looks": plan.config.backbone,
        "settings": {name: {"value": value, "from": origin} for name, value, origin in plan.settings()},
        "estimate": {"seconds": round(estimate.seconds, 1), "memory": estimate.memory, "disk": estimate.disk},
    }


def takes(plan: Plan) -> str:
    """What a run takes, in words."""
    found = plan.estimate
    seconds, memory, disk = found.seconds, found.memory / 1e9, found.disk / 1e6
    doing = "learning" if learns(plan.config.method) else "looking at the images"
    unit, length = ("s", 1) if seconds < 100 else ("min", 60) if seconds < 6000 else ("h", 3600)
    time = f"{seconds / length:.{unit == 'h':d}f} {unit}"
    return f"takes about {time} of {doing} here, {memory:.1f} GB of memory and {disk:.0f} MB of disk"
