"""Plots as `data:` addresses, on a transparent ground and in greys that suit a light page and a dark one."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from coterie.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from coterie.evaluate.choose_k import Choice
    from coterie.evaluate.reliability import Reliability

_INK = "#80868f"
_LINES = ("#3b7dd8", "#e8743b", "#2fa574", "#c2479a")
_MOST_POINTS = 20_000
_NEAR = (
    "Every point is an image; near points look alike to the model. The map keeps nearest neighbours together, so "
    "distances between groups far apart say little."
)
_PLANE = "Every point is an image, where the model puts it on its map; near points look alike to it."


@dataclass(frozen=True)
class Plot:
    """A plot's title, its address, its description for those who do not see it, and a caption."""

    title: str
    uri: str
    alt: str
    caption: str = ""


def map_of_embeddings(
    points: npt.NDArray[np.floating[Any]],
    clusters: npt.NDArray[np.int64],
    palette: Sequence[str],
    *,
    given: bool = False,
) -> Plot:
    """A scatter plot of places (N, 2) on a map, coloured by cluster, numbered at the medians.

    Args:
        given: the places are the model's own, not made to show its embeddings.
    """
    from matplotlib.patheffects import withStroke

    shown = np.random.default_rng(0).permutation(len(points))[:_MOST_POINTS]
    figure = _figure(8.6, 5.6)
    axes = figure.add_subplot()
    size = float(np.clip(30_000 / max(1, len(shown)), 4, 60))
    axes.scatter(
        points[shown, 0],
        points[shown, 1],
        s=size,
        c=[palette[k] for k in clusters[shown]],
        alpha=0.65,
        linewidths=0,
    )
    for cluster in np.unique(clusters):
        x, y = np.median(points[clusters == cluster], axis=0)
        axes.annotate(
            str(cluster), (x, y), ha="center", va="center", fontsize=13, fontweight="bold", color="white",
            path_effects=[withStroke(linewidth=3, foreground=palette[cluster])],
        )  # fmt: skip
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    groups = len(np.unique(clusters))
    alt = f"Scatter plot of {len(shown)} images by their places on the map, in {groups} colours."
    return Plot("Map", _uri(figure, "png"), alt, _PLANE if given else _NEAR)


def curves(metrics: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Training curves of the lines of `metrics.jsonl`: losses, how the clusters settle, and scores where known."""
    if not metrics:
        return []
    losses = sorted({name for record in metrics for name in record["losses"]})
    plots = [_curve(f"{name} loss", {name: [(r["epoch"], r["losses"].get(name)) for r in metrics]}) for name in losses]
    settling = {name: [(r["epoch"], r.get(name)) for r in metrics] for name in ("agreement", "spread")}
    plots.append(_curve("Settling", settling))
    scores = {name.upper(): [(r["epoch"], r.get(name)) for r in metrics] for name in ("acc", "nmi", "ari", "knn")}
    plots.append(_curve("Against the labels", scores))
    return [plot for plot in plots if plot is not None]


def criteria(choice: Choice) -> bytes:
    """A PNG with a panel for each criterion by number of clusters; its choice is marked, the recommendation a line."""
    figure = _figure(10, 2.6 * -(-len(choice.criteria) // 2))
    figure.set_facecolor("white")
    for place, (criterion, colour) in enumerate(zip(choice.criteria, _LINES, strict=False), start=1):
        axes = figure.add_subplot(-(-len(choice.criteria) // 2), 2, place)
        axes.plot(list(criterion.values), list(criterion.values.values()), color=colour, linewidth=1.8)
        axes.plot(criterion.choice, criterion.values[criterion.choice], "o", color=colour)
        axes.axvline(choice.recommended, color=_INK, linestyle=":", linewidth=1)
        axes.set_title(f"{criterion.name}: {criterion.choice}", fontsize=10, loc="left", color=_INK)
        _plain_frame(axes, "groups")
    return _png(figure)


def reliability_curves(found: Mapping[str, Reliability]) -> bytes:
    """A PNG: the share of images that is right among those at least as sure, and how many these are, by confidence."""
    figure = _figure(8.6, 3.4)
    figure.set_facecolor("white")
    right, share = figure.subplots(1, 2)
    for place, (name, one) in enumerate(found.items()):
        levels = [level for level in one.levels if level.right is not None]
        x, colour = [level.confidence for level in levels], _LINES[place % len(_LINES)]
        right.plot(x, [level.right for level in levels], color=colour, linewidth=1.6, marker="o", markersize=3)
        share.plot(
            x, [level.share for level in levels], color=colour, linewidth=1.6, marker="o", markersize=3,
            label=printable(name),
        )  # fmt: skip
    for axes, title in ((right, "Right, of these"), (share, "Share of all images")):
        axes.set_title(title, fontsize=10, loc="left", color=_INK)
        _plain_frame(axes, "confidence of at least")
    for text in share.legend(frameon=False, labelcolor=_INK, fontsize=8).get_texts():
        text.set_parse_math(False)  # The name of a folder, where dollar signs are no formula.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of letters that no font has.
        return _png(figure)


def curves_beside(runs: Mapping[str, Sequence[Mapping[str, Any]]], reported: Mapping[str, float]) -> bytes:
    """A PNG: the E-step's accuracy and the neighbours' vote in percent over the epochs of several runs.

    Args:
        runs: the lines of `metrics.jsonl` by a name for each.
        reported: what a paper reports, in percent; its `acc` is a dotted line.
    """
    figure = _figure(8.6, 3.4)
    figure.set_facecolor("white")
    for axes, name, title in zip(figure.subplots(1, 2), ("acc", "knn"), ("ACC", "Nearest neighbours"), strict=True):
        for place, (label, metrics) in enumerate(runs.items()):
            points = [(line["epoch"], 100 * line[name]) for line in metrics if line.get(name) is not None]
            if points:
                x, y = zip(*points, strict=True)
                style = {"color": _LINES[place % len(_LINES)], "marker": "o" if len(x) == 1 else None}
                axes.plot(x, y, linewidth=1.6, label=label, **style)
        if name == "acc" and name in reported:
            axes.axhline(reported[name], color=_INK, linestyle=":", linewidth=1, label="paper")
        axes.set_title(f"{title} in %", fontsize=10, loc="left", color=_INK)
        _plain_frame(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, labelcolor=_INK, fontsize=8)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def _curve(title: str, series: Mapping[str, Sequence[tuple[int, float | None]]]) -> Plot | None:
    lines = {name: [(x, y) for x, y in points if y is not None] for name, points in series.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    figure = _figure(4.4, 2.7)
    axes = figure.add_subplot()
    for (name, points), colour in zip(lines.items(), _LINES, strict=False):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=colour, linewidth=1.8, label=name, marker="o" if len(x) == 1 else None)
    _plain_frame(axes)
    if len(lines) > 1:
        axes.legend(frameon=False, labelcolor=_INK, fontsize=9)
    ends = ", ".join(f"{name} ends at {points[-1][1]:.3f}" for name, points in lines.items())
    title = title[0].upper() + title[1:]
    return Plot(title, _uri(figure, "svg"), f"{title} over the epochs: {ends}.")


def _plain_frame(axes: Axes, along: str = "epoch") -> None:
    axes.set_xlabel(along, color=_INK, fontsize=9)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.grid(axis="y", color=_INK, alpha=0.2, linewidth=0.8)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_INK)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="tight")


def _uri(figure: Figure, kind: str) -> str:
    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {}
    figure.savefig(stream, format=kind, dpi=160, transparent=True, metadata=metadata)
    mime = "svg+xml" if kind == "svg" else kind
    return f"data:image/{mime};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
