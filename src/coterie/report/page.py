"""`report.html`: one self-contained page."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from coterie.data.sources.naming import shown_name
from coterie.errors import CoterieError
from coterie.evaluate.agreement import compare, per_class
from coterie.files import write_text
from coterie.report.atlas import make_atlas
from coterie.report.cards import make_cards
from coterie.report.content import page_content, said_content
from coterie.report.curves import FRAME, curves
from coterie.report.palette import colours
from coterie.report.picture import map_picture
from coterie.report.selection import folded, select, shown_rows
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.runs.duplicates import read_duplicates
from coterie.runs.folder import RunFolder
from coterie.runs.kept import read_kept
from coterie.runs.named import told_of
from coterie.runs.pictures import PIXEL_ART
from coterie.runs.words import as_json, checked_words
from coterie.text import printable
from coterie.untrusted import read_matrix

# In the order they build on each other.
_SCRIPTS = (
    "run", "groups", "reading", "table", "keeping", "pictures", "view", "points", "map", "lasso", "parts", "likeness",
    "inspector", "cards", "images", "refining", "start",
)  # fmt: skip
# Rows and columns of a confusion table one can still read.
_MOST_CELLS = 1600


def write_report(folder: RunFolder, summary: dict[str, Any], embeddings: npt.NDArray[np.float32] | None = None) -> None:
    """Build `report.html` from the other files of a run; `summary` is the content of `summary.json`.

    `embeddings` (N, d), which may be mapped from their file, spare reading all of it into memory.

    Raises:
        CoterieError: a file of the run is missing or damaged.
    """
    config = folder.read_config()
    assignments = Assignments.read(folder.assignments)
    embeddings = read_embeddings(folder, len(assignments.keys)) if embeddings is None else embeddings
    palette = colours(int(assignments.clusters.max(initial=0)) + 1)
    thumbnails = Thumbnails.load(folder.thumbnails)
    sheets = thumbnails.every_sheet()
    standing = folded(assignments, read_duplicates(folder.duplicates, assignments.keys))
    selection = select(assignments, embeddings, standing)
    rows = shown_rows(standing, [row for picks in selection.values() for row in picks.rows])
    atlas = make_atlas(embeddings[rows], folder.map)
    words = checked_words(summary.get("words", []), summary["clusters"])
    content = page_content(assignments, rows, atlas, sheets, standing)
    content |= {"words": as_json(words), "said": said_content(read_kept(folder, assignments.keys), rows)}
    content["before"] = summary.get("refined", {}).get("before")
    page = _environment().get_template("page.html.j2")
    html = page.render(
        summary={"further": {}} | summary,
        title=PurePosixPath(config.data.source).name or config.data.source,
        source=shown_name(config.data.source),
        made=datetime.datetime.now().astimezone().strftime("%d %B %Y, %H:%M"),
        cards=make_cards(assignments, selection, thumbnails, palette, standing, words),
        picture=map_picture(atlas.places, assignments.clusters[rows], palette),
        given=embeddings.shape[1] == 2,
        animation=_animation(folder),
        agreement=_agreement(assignments, told_of(folder, assignments.keys)),
        curves=curves(folder.read_metrics()),
        frame=FRAME,
        settings=printable(folder.config.read_text(encoding="utf-8", errors="replace")),
        skipped=folder.read_skipped(),
        copies=int((standing == 0).sum()),
        pixelated=0 < config.data.side <= PIXEL_ART,
        script=page_script(),
        policy=policy_in_page(),
        content=content,
        sheets=[] if sheets is None else [base64.b64encode(image).decode("ascii") for image in sheets.images],
    )
    write_text(folder.report, html)


def policy() -> str:
    """What a browser may do on the page: show what is in it, and run its script, known by the hash."""
    digest = base64.b64encode(hashlib.sha256(page_script().encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def policy_in_page() -> Markup:
    """The `policy` as an element of the page, by which it is heeded from disk."""
    return Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy()}">')


@functools.cache
def page_script() -> Markup:
    """The page's script, the only one that may run."""
    folder = files("coterie.report") / "scripts"
    parts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return Markup('"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("coterie", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    # Names of other scripts as they are, which takes a third of the room.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
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


def read_embeddings(folder: RunFolder, count: int) -> npt.NDArray[np.float32]:
    """The embeddings (N, d) of a run of `count` images.

    Raises:
        CoterieError: the file is missing or damaged.
    """
    try:
        embeddings = read_matrix(folder.embeddings)
        if len(embeddings) != count:
            raise ValueError
    except (OSError, ValueError):
        raise CoterieError(
            f"{folder.embeddings} is missing or damaged: repeat the run's command with --resume"
        ) from None
    return embeddings


def _animation(folder: RunFolder) -> str | None:
    if not folder.animation.is_file():
        return None
    return f"data:image/gif;base64,{base64.b64encode(folder.animation.read_bytes()).decode('ascii')}"


def _agreement(assignments: Assignments, told: npt.NDArray[np.bool_]) -> Mapping[str, Any] | None:
    """The comparison with the labels and the figures of each class; the table only if it can be read."""
    if assignments.labels is None or not np.any([bool(label) for label in assignments.labels] & ~told):
        return None
    evaluation = compare(assignments.labels, assignments.clusters, told=told)
    readable = evaluation.table.size <= _MOST_CELLS
    highest = evaluation.table.sum(axis=1, keepdims=True).clip(min=1)
    return {
        "classes": per_class(evaluation),
        "table": evaluation.table.tolist() if readable else None,
        "shares": (evaluation.table / highest).round(3).tolist() if readable else None,
        "matched": evaluation.matched,
        "purity": [None if np.isnan(share) else float(share) for share in evaluation.purity],
    }
