"""Defaults chosen from the data, so that `coterie fit SOURCE -k K` alone does something sensible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coterie.data.base import Outline

# Image pairs a run looks at where no pace was measured, see `plan/budget`: on a CPU, what two cores do in about twenty
# minutes at 32 pixels; on a GPU, what an H100 does in ten.
_PAIRS_ON_CPU = 500_000
_PAIRS_ON_GPU = 10_000_000
# From so many pairs on a run is as long as the papers, whose thousand epochs come to 60 million; or from so many
# minutes of a GPU on.
_PAIRS_OF_A_PAPER, _MINUTES_OF_A_PAPER = 20_000_000, 60
# Fine-tuning takes large images through large networks, and starts near its end.
_FINE_TUNING = 1 / 20
# From so many images on a cluster head learns enough to be asked.
_IMAGES_OF_A_HEAD = 1000
# From so many images on, PCL's granularities are its paper's.
_IMAGES_OF_PCL = 50_000


def is_long(count: int, epochs: Any, minutes: float | None) -> bool:
    """Whether a run on a GPU is asked to be as long as those of the papers, and should learn by their settings."""
    pairs = count * epochs if isinstance(epochs, int) else 0
    return pairs >= _PAIRS_OF_A_PAPER or (minutes or 0) >= _MINUTES_OF_A_PAPER


def default_method(outline: Outline | None, *, long: bool) -> tuple[dict[str, Any], str]:
    """The method and options it is chosen with, and why; before anything is known of the images, that of most options.

    ProPos in runs as long as its paper's. In short ones contrast is ahead; of many grey images with a cluster head,
    whose wish for groups of equal size counts half.
    """
    if long:
        return {"method": "propos"}, "a run as long as the papers'"
    if outline is None or (outline.grey and outline.side > 0 and outline.count >= _IMAGES_OF_A_HEAD):
        return {"method": "cc", "options.cluster_weight": 0.5}, "a thousand grey images or more"
    return {"method": "simclr"}, "few grey images" if outline.grey else "images in colour"


def default_side(native: int, *, gpu: bool) -> int:
    """The side images are resized to: small ones keep their own; 0 for what is no image."""
    if native == 0:
        return 0
    if native <= 64:
        return max(8, native)
    return 96 if gpu else 64


def default_train(count: int, *, gpu: bool, long: bool, pretrained: bool = False) -> dict[str, Any]:
    """The training section for `count` images."""
    epochs = default_epochs(count, gpu=gpu, pretrained=pretrained)
    return {
        "epochs": epochs,
        "warmup_epochs": max(1, epochs // 10),
        "batch_size": default_batch_size(count, gpu=gpu, pretrained=pretrained),
        "learning_rate": 0.05 if long or pretrained else 0.3,
        # Heads start from nothing; weights that know something already should keep it.
        "backbone_rate": 0.1 if pretrained else 1.0,
    }


def default_options(method: str, method_options: Mapping[str, Any], outline: Outline, *, long: bool) -> dict[str, Any]:
    """Options that should differ from the method's own for such images, or in short, narrow runs.

    Args:
        method_options: the method's own, by name.
    """
    count = outline.count
    short = {} if long else {"hidden": 1024, "projection": 128, "momentum": 0.99, "momentum_rises": False}
    chosen: dict[str, Any] = {name: value for name, value in short.items() if name in method_options}
    if method == "simclr" and not (long or outline.grey):
        chosen["temperature"] = 0.2  # Photographs differ in more than drawings do, and learn from finer differences.
    # A queue that reaches back more than half an epoch holds an image's own keys among its negatives.
    longest = max(128, count // 2 // 128 * 128)
    if method_options.get("queue", 0) > longest:
        chosen["queue"] = longest
    if "granularities" in method_options and count < _IMAGES_OF_PCL:
        # With the paper's 250, 500 and 1000 few images would each be a prototype of their own, and pushed apart.
        chosen["granularities"] = [max(2, count // images) for images in (64, 32, 16)]
    return chosen


def short_run(optimizer: str, *, on_features: bool, gpu: bool, long: bool) -> dict[str, Any]:
    """What a method's own training settings, meant for long runs, give way to in short ones."""
    if on_features:
        # A map has formed after two, and its clusters settle within twenty.
        return {} if gpu else {"epochs": 20}
    if long:
        return {}
    # With Adam's usual 3e-4 tens of epochs are too few.
    return {"learning_rate": 1e-3} if optimizer == "adam" else {}


def enough_steps(train: Mapping[str, Any], least: int, count: int, *, gpu: bool) -> dict[str, Any]:
    """Training settings with which few data come to `least` steps, in batches of a sixteenth of them or so.

    A step's rate stays. On a CPU many data come to no more steps than that.

    Args:
        train: the method's own settings.
        least: 0 leaves everything as it is.
        count: of images or feature vectors.
    """
    if not least:
        return {}
    batch_size = min(train["batch_size"], max(32, 1 << (count // 16).bit_length() - 1))
    epochs = -(-least // max(1, count // batch_size))
    epochs = max(epochs, train["epochs"]) if gpu else max(epochs, 5)
    rate = train["learning_rate"] * (1 if train["optimizer"] == "adam" else train["batch_size"] / batch_size)
    warmup = epochs * train["warmup_epochs"] // train["epochs"]
    return {"batch_size": batch_size, "epochs": epochs, "warmup_epochs": warmup, "learning_rate": rate}


def default_epochs(count: int, *, gpu: bool, pretrained: bool = False) -> int:
    """Fewer passes over more images, between 15 and 400 (on a GPU 1 000); a twentieth for a pretrained backbone."""
    pairs, most = (_PAIRS_ON_GPU, 1000) if gpu else (_PAIRS_ON_CPU, 400)
    share = _FINE_TUNING if pretrained else 1
    return max(5 if pretrained else 15, int(share * min(most, pairs // max(1, count))))


def default_batch_size(count: int, *, gpu: bool, pretrained: bool = False) -> int:
    """Smaller for few images, so that an epoch has some steps, but no less than batch normalisation needs.

    A pretrained backbone and the large images it takes leave room for a quarter.
    """
    largest = (256 if gpu else 128) // (4 if pretrained else 1)
    return max(32, min(largest, 1 << (count // 8).bit_length()))


def default_augmentation(side: int, outline: Outline) -> dict[str, Any]:
    """Drawings and characters are warped; photographs are cropped and recoloured.

    What comes mirrored is flipped; where that is not known, photographs are. Channels that are no colours keep what
    they are to each other; and what a microscope sees has no upper side.
    """
    if outline.bands:
        return {"saturation": 0.0, "hue": 0.0, "grey": 0.0, "vertical_flip": 0.5}
    flip = {} if outline.mirrored is None else {"flip": 0.5 if outline.mirrored else 0.0}
    if side <= 16 or (outline.grey and side <= 32):
        return {
            "crop": [0.6, 1.0], "crop_ratio": [0.8, 1.25], "flip": 0.0, "rotation": 18.0, "zoom": 0.1, "shear": 15.0,
            "shift": 0.06, "jitter": 1.0, "brightness": 0.0, "contrast": 0.4, "saturation": 0.0, "hue": 0.0,
            "grey": 0.0, "gamma": 0.5, "noise": 0.06, **flip,
        }  # fmt: skip
    if outline.grey:
        return {"saturation": 0.0, "hue": 0.0, "grey": 0.0, **flip}
    return flip


def why_flipped(outline: Outline) -> dict[str, str]:
    """The origin of the setting that says whether images are flipped, where they themselves told."""
    if outline.mirrored is None:
        return {}
    return {"augment.flip": f"default: they {'' if outline.mirrored else 'do not '}come mirrored"}
