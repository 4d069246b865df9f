"""Plots as files, by matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coterie.report.palette import colours
from coterie.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from coterie.evaluate.choose_k import Choice
    from coterie.evaluate.reliability import Reliability

_INK = "#80868f"
_LINES = colours(4)


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
