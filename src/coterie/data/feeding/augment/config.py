"""What a view may look like."""

from __future__ import annotations

from dataclasses import dataclass

from coterie.errors import UsageError


@dataclass(frozen=True)
class AugmentConfig:
    """Strengths of the random changes; the defaults are SimCLR's as the ProPos family uses them.

    Args:
        crop: smallest and largest area of a crop, as a share of the image; null for none.
        crop_ratio: least and greatest width ÷ height of a crop.
        flip: probability of a horizontal flip.
        vertical_flip: probability of a vertical flip.
        rotation: largest rotation either way, in degrees.
        zoom: largest change of scale either way, as a factor (0.1 for 0.9 to 1.1).
        shear: largest shear either way, in degrees.
        shift: largest shift either way along each axis, as a share of the side.
        jitter: probability of colour jitter; the next four are its strengths.
        brightness, contrast, saturation: largest change of the factor around 1.
        hue: largest turn of the hue, as a share of the circle.
        grey: probability of dropping the colours.
        gamma: largest natural logarithm of the exponent applied to intensities, either way.
        noise: standard deviation of Gaussian noise on intensities in [0, 1].
        blur: probability of Gaussian blur (σ from 0.1 to 2 pixels) in the first and second view.
        solarize: probability of inverting intensities above ½ in the first and second view.
    """

    crop: tuple[float, float] | None = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (0.75, 4 / 3)
    flip: float = 0.5
    vertical_flip: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    gamma: float = 0.0
    noise: float = 0.0
    blur: tuple[float, float] = (0.0, 0.0)
    solarize: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        shares = ("flip", "vertical_flip", "jitter", "grey")
        probabilities = [(name, getattr(self, name)) for name in shares]
        probabilities += [("blur", value) for value in self.blur] + [("solarize", value) for value in self.solarize]
        for name, value in probabilities:
            if not 0 <= value <= 1:
                raise UsageError(f"option 'augment.{name}' is a probability between 0 and 1, got {value}")
        if self.crop is not None and not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise UsageError(f"option 'augment.crop' wants 0 < smallest ≤ largest ≤ 1, got {list(self.crop)}")
        if not 0 < self.crop_ratio[0] <= self.crop_ratio[1]:
            raise UsageError("option 'augment.crop_ratio' wants 0 < least ≤ greatest")
        for name in (
            "rotation",
            "zoom",
            "shear",
            "shift",
            "brightness",
            "contrast",
            "saturation",
            "gamma",
            "noise",
        ):
            if getattr(self, name) < 0:
                raise UsageError(f"option 'augment.{name}' must not be negative, got {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise UsageError(f"option 'augment.hue' lies between 0 and 0.5, got {self.hue}")

    @property
    def warps(self) -> bool:
        """Whether any rotation, zoom, shear or shift is asked for."""
        return any((self.rotation, self.zoom, self.shear, self.shift))


def describe_views(config: AugmentConfig) -> str:
    """What changes between views, for a person: `cropped, flipped and recoloured`."""
    words = {
        "cropped": config.crop is not None,
        "flipped": bool(config.flip or config.vertical_flip),
        "warped": config.warps,
        "recoloured": bool(config.jitter or config.grey or config.gamma),
        "blurred": any(config.blur),
        "noisy": bool(config.noise),
    }
    chosen = [word for word, applies in words.items() if applies] or ["left as they are"]
    return " and ".join([*([", ".join(chosen[:-1])] if chosen[:-1] else []), chosen[-1]])
