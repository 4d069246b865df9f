"""Training curves as plain values, from which the page draws SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coterie.report.palette import colours

# The drawing's size, and where its lines lie in it.
FRAME = {"width": 440, "height": 230, "left": 52, "right": 428, "top": 10, "bottom": 192}
_LINES = colours(4)


@dataclass(frozen=True)
class Line:
    """A curve's name, colour and corners (x, y), in the drawing's units."""

    name: str
    colour: str
    points: list[tuple[float, float]]

    @property
    def corners(self) -> str:
        """As SVG has them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True)
class Curve:
    """Curves over the epochs on one ground; ticks are places and what stands there, `alt` describes it."""

    title: str
    lines: list[Line]
    along: list[tuple[float, str]]
    up: list[tuple[float, str]]
    alt: str

    @property
    def keyed(self) -> bool:
        """Whether lines need their names, as the title does not begin with that of the only one."""
        return len(self.lines) > 1 or not self.title.lower().startswith(self.lines[0].name.lower())


def curves(metrics: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Training curves of the lines of `metrics.jsonl`: losses, how the clusters settle, and scores where known."""
    losses = sorted({name for record in metrics for name in record["losses"]})
    found = [_curve(f"{name} loss", {name: [(r["epoch"], r["losses"].get(name)) for r in metrics]}) for name in losses]
    settling = {name: [(r["epoch"], r.get(name)) for r in metrics] for name in ("agreement", "spread")}
    found.append(_curve("Settling", settling))
    scores = {name.upper(): [(r["epoch"], r.get(name)) for r in metrics] for name in ("acc", "nmi", "ari", "knn")}
    found.append(_curve("Against the labels", scores))
    return [curve for curve in found if curve is not None]


def _curve(title: str, series: Mapping[str, Sequence[tuple[int, float | None]]]) -> Curve | None:
    known = {name: [(x, y) for x, y in points if y is not None and math.isfinite(y)] for name, points in series.items()}
    known = {name: points for name, points in known.items() if points}
    if not known:
        return None
    epochs, values = zip(*(point for points in known.values() for point in points), strict=True)
    across = _axis(epochs, FRAME["left"] + 10, FRAME["right"] - 10)
    upward = _axis(values, FRAME["bottom"] - 8, FRAME["top"] + 8)
    lines = [
        Line(name, colour, [(across(x), upward(y)) for x, y in points])
        for (name, points), colour in zip(known.items(), _LINES, strict=False)
    ]
    ends = ", ".join(f"{name} ends at {points[-1][1]:.3f}" for name, points in known.items())
    title = title[0].upper() + title[1:]
    return Curve(
        title, lines, [(across(at), text) for at, text in ticks(min(epochs), max(epochs), whole=True)],
        [(upward(at), text) for at, text in ticks(min(values), max(values))], f"{title} over the epochs: {ends}.",
    )  # fmt: skip


@dataclass(frozen=True)
class _Axis:
    low: float
    extent: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / self.extent if self.extent else 0.5
        return self.start + share * (self.end - self.start)


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    return _Axis(min(values), max(values) - min(values), start, end)


def ticks(low: float, high: float, *, whole: bool = False) -> list[tuple[float, str]]:
    """From two to six round values between two, with what they are called; a single one where these are the same."""
    if high == low:
        return [(low, f"{low:.4g}")]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(number * step, f"{number * step:.{decimals}f}") for number in range(first, last + 1)]
