"""`coterie assign`: clusters of new images by a finished run."""

from __future__ import annotations

from pathlib import Path

from coterie.data.folder import Skipped
from coterie.data.ingest import ingest
from coterie.data.sources import open_source
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.model import Model
from coterie.workflow.listener import Listener


def assign(run: Path, source: str, listener: Listener, *, device: str = "auto") -> tuple[Assignments, list[Skipped]]:
    """Group the images of a source by the model of a run; returns the table and what was left out.

    Raises:
        UsageError: no model in the run, or no images in the source. CoterieError: the model is damaged.
    """
    model = Model.load(RunFolder(run).model, device=device)
    opened = open_source(source)
    listener.begin("reading", len(opened.keys), "images")
    store, skipped = ingest(opened, model.blueprint.side, channels=model.blueprint.channels, on_image=listener.advance)
    listener.end()
    listener.begin("grouping", len(store), "images")
    embedded = model.embed(store, on_images=listener.advance)
    listener.end()
    return Assignments.of(store.keys, model.group(embedded), store.labels, store.class_names), skipped
