"""`coterie assign`: clusters of new images by a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from coterie.data.base import Skipped
from coterie.data.sources import open_source
from coterie.listener import Listener
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.images import read_by
from coterie.runs.labelled import read_labelled
from coterie.runs.model_files import load_model
from coterie.surroundings import in_surroundings
from coterie.workflow.steps.read import gather


@in_surroundings
def assign(
    run: Path, source: str, listener: Listener, *, device: str = "auto", reading: Mapping[str, Any] | None = None
) -> tuple[Assignments, list[Skipped]]:
    """Group the images of a source by the model of a run; returns the table and what was left out.

    Where `coterie apply` has written a person's labels, the table tells for each image the commonest of its cluster.

    Args:
        reading: further arguments of `open_source`.

    Raises:
        UsageError: no model in the run, or no images in the source. CoterieError: the model is damaged.
    """
    folder = RunFolder(run)
    model = load_model(folder.model, device=device)
    opened = open_source(source, **{**read_by(folder), **(reading or {})}, note=listener.note)
    rows, skipped = gather(opened, model, listener)
    listener.begin("grouping", len(rows), "images")
    embedded = model.embed(rows, on_rows=listener.advance)
    listener.end()
    table = Assignments.of(rows.keys, model.group(embedded), rows.labels, rows.class_names)
    return replace(table, groups=group_names(folder, table)), skipped


def group_names(folder: RunFolder, table: Assignments) -> list[str] | None:
    """The name of each image's group, once a person has named those of the run; None before."""
    if not folder.labelled.is_file():
        return None
    names = read_labelled(folder.labelled, Assignments.read(folder.assignments)).names
    return [names.get(cluster, f"Group {cluster}") for cluster in table.clusters.tolist()]
