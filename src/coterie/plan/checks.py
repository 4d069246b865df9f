"""What cannot be: a method for other data, too few images, words that nothing reads."""

from __future__ import annotations

from coterie.data.base import Source
from coterie.data.feeding.features import Features
from coterie.errors import UsageError
from coterie.methods import method_type
from coterie.nn.pretrained import Pretrained, parts_of
from coterie.runs.config import NO_BACKBONE, RunConfig, check_side


def check_enough(images: int, clusters: int) -> None:
    """Raise a UsageError where there are fewer images than clusters."""
    if images < clusters:
        raise UsageError(f"{images} image{'s' * (images != 1)} cannot form {clusters} clusters: lower -k or add images")


def check_kind(source: Source, config: RunConfig) -> None:
    """Raise a UsageError if the method cannot learn from what the source holds, or into so many clusters."""
    check_enough(len(source.keys), config.clusters)
    if not isinstance(source, Features) and (config.data.side or len(parts_of(config.backbone)) == 1):
        check_side(config.data.side)
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
            "weights or a run, several joined by +; or give an .npz with `features`"
        )


def check_words(config: RunConfig, backbones: tuple[Pretrained, ...]) -> None:
    """Raise a UsageError where words are given that nothing can read."""
    on_features = method_type(config.method).inputs == "features"
    if not config.words or (on_features and any(each.reader for each in backbones)):
        return
    raise UsageError(
        f"--words are read by a CLIP that is taken as it is, and {config.method} on {config.backbone} is none: add "
        "--method kmeans --backbone hf:openai/clip-vit-base-patch32, or leave --words out"
    )


def check_backbones(config: RunConfig, backbones: tuple[Pretrained, ...]) -> None:
    """Raise a UsageError where several are named for a method that trains one."""
    if len(backbones) > 1 and method_type(config.method).inputs == "images":
        raise UsageError(
            f"{config.method} trains its backbone, and --backbone {config.backbone} names {len(backbones)}: name one, "
            "or a method on features, such as --method kmeans or turtle"
        )
