"""`report.html`: one self-contained page."""

from __future__ import annotations

import base64
import datetime
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import jinja2
import numpy as np

from coterie.errors import CoterieError
from coterie.files import write_text
from coterie.report.palette import colours
from coterie.report.plots import curves, map_of_embeddings
from coterie.report.selection import select
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder


@dataclass(frozen=True)
class Picture:
    """One image on the page; `uri` is None where its file could no longer be read."""

    key: str
    name: str
    uri: str | None
    confidence: float
    outlier: bool
    label: str


@dataclass(frozen=True)
class Card:
    """One cluster on the page."""

    number: int
    colour: str
    size: int
    share: float
    confidence: float
    outliers: int
    majority: str
    purity: float
    typical: list[Picture]
    doubtful: list[Picture]


def write_report(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Build `report.html` from the other files of a run; `summary` is the content of `summary.json`.

    Raises:
        CoterieError: a file of the run is missing or damaged.
    """
    config = folder.read_config()
    assignments = Assignments.read(folder.assignments)
    embeddings = _read_embeddings(folder, len(assignments.keys))
    palette = colours(int(assignments.clusters.max(initial=0)) + 1)
    page = _environment().get_template("page.html.j2")
    html = page.render(
        summary={"further": {}} | summary,
        title=PurePosixPath(config.data.source).name or config.data.source,
        source=config.data.source,
        made=datetime.datetime.now().astimezone().strftime("%d %B %Y, %H:%M"),
        cards=_cards(assignments, embeddings, Thumbnails.load(folder.thumbnails), palette),
        map=map_of_embeddings(embeddings, assignments.clusters, palette),
        animation=_animation(folder),
        curves=curves(folder.read_metrics()),
        settings=folder.config.read_text(encoding="utf-8"),
        skipped=folder.read_skipped(),
        pixelated=config.data.side <= 32,
    )
    write_text(folder.report, html)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("coterie", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}".replace(",", "\u202f")
    environment.filters["percent"] = lambda share, digits=1: f"{100 * share:.{digits}f}\u202f%"
    environment.filters["duration"] = duration
    return environment


def duration(seconds: float) -> str:
    """Seconds as a person says them: `38 s`, `12.1 min`, `3 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _read_embeddings(folder: RunFolder, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        embeddings = np.load(folder.embeddings, allow_pickle=False)
        if embeddings.ndim != 2 or len(embeddings) != count:
            raise ValueError
    except (OSError, ValueError, EOFError):
        raise CoterieError(f"{folder.embeddings} is missing or damaged: repeat the run") from None
    return np.asarray(embeddings, dtype=np.float32)


def _animation(folder: RunFolder) -> str | None:
    if not folder.animation.is_file():
        return None
    return f"data:image/gif;base64,{base64.b64encode(folder.animation.read_bytes()).decode('ascii')}"


def _cards(
    assignments: Assignments,
    embeddings: np.ndarray[Any, np.dtype[np.float32]],
    thumbnails: Thumbnails,
    palette: list[str],
) -> list[Card]:
    cards = []
    for cluster, selection in select(assignments, embeddings).items():
        rows = np.flatnonzero(assignments.clusters == cluster)
        majority, purity = _majority(assignments, rows)
        cards.append(
            Card(
                number=cluster,
                colour=palette[cluster],
                size=len(rows),
                share=len(rows) / len(assignments.keys),
                confidence=float(assignments.confidence[rows].mean()),
                outliers=int(assignments.outlier[rows].sum()),
                majority=majority,
                purity=purity,
                typical=[_picture(assignments, thumbnails, row) for row in selection.typical],
                doubtful=[_picture(assignments, thumbnails, row) for row in selection.doubtful],
            )
        )
    return cards


def _majority(assignments: Assignments, rows: np.ndarray[Any, np.dtype[np.intp]]) -> tuple[str, float]:
    """The commonest known label among some rows and its share of the labelled ones; empty where none is known."""
    known = [assignments.labels[row] for row in rows if assignments.labels[row]] if assignments.labels else []
    if not known:
        return "", 0.0
    label, count = Counter(known).most_common(1)[0]
    return label, count / len(known)


def _picture(assignments: Assignments, thumbnails: Thumbnails, row: int) -> Picture:
    key = assignments.keys[row]
    return Picture(
        key=key,
        name=PurePosixPath(key).name,
        uri=thumbnails.uri(row),
        confidence=float(assignments.confidence[row]),
        outlier=bool(assignments.outlier[row]),
        label=assignments.labels[row] if assignments.labels else "",
    )
