"""Colours for clusters."""

from __future__ import annotations

import colorsys

# Ten hues that stay apart on light and dark grounds; further ones go round the wheel by the golden angle.
_FIRST = (
    "#3b7dd8",
    "#e8743b",
    "#2fa574",
    "#c2479a",
    "#d9a514",
    "#7a5fd0",
    "#19a5b8",
    "#d64550",
    "#7c9a2c",
    "#9a6b4f",
)
_GOLDEN = 0.381966


def colours(count: int) -> list[str]:
    """`count` colours as `#rrggbb`."""
    extra = []
    for number in range(len(_FIRST), count):
        lightness = (0.45, 0.6, 0.52)[number % 3]
        red, green, blue = colorsys.hls_to_rgb(number * _GOLDEN % 1.0, lightness, 0.55)
        extra.append(f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}")
    return [*_FIRST, *extra][:count]
