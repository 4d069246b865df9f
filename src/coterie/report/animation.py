"""`map.gif`: how the map of a run formed, for the points learnt from and those held out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from coterie.files import write_atomically
from coterie.report.palette import colours
from coterie.runs.folder import RunFolder
from coterie.runs.frames import Frames

# Milliseconds a frame is shown, and the last.
_FRAME, _LAST = 150, 2500


def write_animation(folder: RunFolder, held_out: npt.NDArray[np.bool_], clusters: npt.NDArray[np.int64]) -> None:
    """Join the frames a run has kept; with none, as for a map of more than two dimensions, nothing is written.

    Args:
        folder: of the run.
        held_out: (N,) which points were kept out of learning.
        clusters: (N,) the final ones, which colour the points from the first frame on.
    """
    frames = Frames.resume(folder.frames, held_out, np.iinfo(np.int64).max)
    if not frames.places:
        return
    palette = colours(int(clusters.max(initial=0)) + 1)
    shades = np.array([palette[cluster] for cluster in clusters[frames.rows]])
    pictures = [_picture(f"epoch {epoch}", places, frames.held_out, shades) for epoch, places in _in_order(frames)]
    durations = [_FRAME] * (len(pictures) - 1) + [_LAST]

    def write(stream: Any) -> None:
        pictures[0].save(stream, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)

    write_atomically(folder.animation, write)


def _in_order(frames: Frames) -> Sequence[tuple[int, npt.NDArray[np.float32]]]:
    return sorted(frames.places.items())


def _picture(
    title: str, places: npt.NDArray[np.float32], held_out: npt.NDArray[np.bool_], shades: npt.NDArray[np.str_]
) -> Image.Image:
    """One frame: a panel of the points learnt from, and one of those held out if there are any."""
    from matplotlib.figure import Figure

    panels = [("learnt from", ~held_out), ("held out", held_out)][: 2 if held_out.any() else 1]
    figure = Figure(figsize=(4.2 * len(panels), 4.2), dpi=100, layout="tight", facecolor="white")
    middle, reach = np.median(places, axis=0), np.abs(places - np.median(places, axis=0)).max() * 1.05 + 1e-6
    for number, (name, chosen) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        size = float(np.clip(8000 / max(1, chosen.sum()), 2, 30))
        axes.scatter(places[chosen, 0], places[chosen, 1], s=size, c=shades[chosen], alpha=0.8, linewidths=0)
        axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.set_title(f"{name} · {title}" if number == 0 else name, fontsize=10, loc="left", color="#555555")
        for spine in axes.spines.values():
            spine.set_color("#dddddd")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return Image.open(stream).convert("RGB").quantize(colors=64, dither=Image.Dither.NONE)
