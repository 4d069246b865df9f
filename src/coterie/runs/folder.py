"""The folder of a run: what lies where, and whether it may be used."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coterie.data.base import Skipped
from coterie.errors import CoterieError, ResourceError, UsageError
from coterie.failures import disk_reason, translated
from coterie.files import is_partial, to_json, write_text
from coterie.runs.config import RunConfig, from_yaml, to_yaml
from coterie.runs.lock import NAME as LOCK
from coterie.runs.summary import checked_record, checked_summary
from coterie.tables import read_table, to_csv
from coterie.untrusted import read_json


@dataclass(frozen=True)
class RunFolder:
    """Paths and plain reading and writing; `root` is the folder."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def assignments(self) -> Path:
        return self.root / "assignments.csv"

    @property
    def embeddings(self) -> Path:
        return self.root / "embeddings.npy"

    @property
    def model(self) -> Path:
        """Where the model lies; in what `coterie export --hub` wrote, that is the folder itself."""
        return self.root if (self.root / "config.json").is_file() else self.root / "model"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint.pt"

    @property
    def skipped(self) -> Path:
        return self.root / "skipped.csv"

    @property
    def duplicates(self) -> Path:
        """Which images are copies of others."""
        return self.root / "duplicates.csv"

    @property
    def thumbnails(self) -> Path:
        return self.root / "thumbnails.npz"

    @property
    def map(self) -> Path:
        """Where the images lie on the page's map."""
        return self.root / "map.npz"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def tracking(self) -> Path:
        """What the run's trackers call it, where there are any."""
        return self.root / "tracking.json"

    @property
    def labels(self) -> Path:
        """What a person has said of the run, as its page keeps it."""
        return self.root / "labels.csv"

    @property
    def labelled(self) -> Path:
        """The assignments with a person's labels."""
        return self.root / "labelled.csv"

    @property
    def told(self) -> Path:
        """The images that a person named, themselves and not by way of their group."""
        return self.root / "told.csv"

    @property
    def evaluation(self) -> Path:
        """What `coterie evaluate` found."""
        return self.root / "evaluation.json"

    @property
    def reliability(self) -> Path:
        return self.root / "reliability.png"

    @property
    def features(self) -> Path:
        """Features that were made of images: a source for further runs."""
        return self.root / "features.npz"

    @property
    def frames(self) -> Path:
        """The map in the making, while the run lasts."""
        return self.root / "frames.npz"

    @property
    def animation(self) -> Path:
        return self.root / "map.gif"

    @property
    def scratch(self) -> Path:
        """Where images are mapped to while the run lasts, if they do not fit in memory."""
        return self.root / "store.npy"

    @property
    def once(self) -> Path:
        """The same of the images without copies."""
        return self.root / "once.npy"

    @property
    def manifest(self) -> Path:
        """What the run read, image by image."""
        return self.root / "checksums.txt"

    @property
    def shared(self) -> Path:
        """What the processes of a run read together while it lasts."""
        return self.root / "shared"

    @property
    def finished(self) -> bool:
        """The summary is written last."""
        return self.summary.is_file()

    def check_free(self) -> None:
        """Raise a UsageError if something lies here already; what a kill left half-written does not count."""
        if self.config.is_file():
            raise UsageError(f"{self.root} exists already: add --resume to continue that run, or give another --out")
        if self.root.exists() and (not self.root.is_dir() or any(not _left_over(path) for path in self.root.iterdir())):
            raise UsageError(f"{self.root} exists already and is not a run: give another --out")

    def check_own(self) -> None:
        """Raise a UsageError if a link lies here: what goes on would write through it, out of the folder."""
        links = [path for path in sorted(self.root.glob("*")) if path.is_symlink()]
        if links:
            raise UsageError(f"{links[0]} is a link, which would be written through: put what it leads to in its place")

    def start(self, config: RunConfig) -> None:
        """Make the folder and write the configuration.

        Raises:
            ResourceError: the folder cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"{self.root} cannot be made: {disk_reason(error)}") from None
        write_text(self.config, to_yaml(config))

    def withdraw(self) -> None:
        """Undo `start` for a run that came to nothing before it began, so that its name is free again."""
        for path in (self.config, self.told, self.skipped, self.duplicates, self.scratch, self.once, self.manifest):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.shared, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.root.rmdir()

    def read_config(self) -> RunConfig:
        """The run's configuration.

        Raises:
            UsageError: there is no run here. CoterieError: its configuration is damaged or of another version.
        """
        if not self.config.is_file():
            raise UsageError(f"{self.root} is not a run: it holds no config.yaml")
        return from_yaml(self.config.read_text(encoding="utf-8", errors="replace"), where=str(self.config))

    def read_summary(self) -> dict[str, Any]:
        """The summary of a finished run.

        Raises:
            UsageError: the run is not finished. CoterieError: the summary is damaged.
        """
        self.read_config()
        if not self.finished:
            raise UsageError(f"{self.root} is not finished: repeat its command with --resume")
        try:
            return checked_summary(read_json(self.summary))
        except (ValueError, OSError):
            raise CoterieError(f"{self.summary} is damaged: repeat the run's command with --resume") from None

    def add_metrics(self, record: dict[str, Any]) -> None:
        """Append a line to `metrics.jsonl`."""
        try:
            with self.metrics.open("a", encoding="utf-8") as stream:
                stream.write(to_json(record) + "\n")
        except OSError as error:
            raise translated(error, self.metrics) or error from None

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; a last line cut short by a kill is left out."""
        if not self.metrics.is_file():
            return []
        records = []
        for line in self.metrics.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                records.append(checked_record(json.loads(line)))
            except (ValueError, RecursionError):
                break
        return records

    def keep_metrics(self, epochs: int) -> None:
        """Drop the lines of epochs after the first `epochs`, which a resumed run will repeat."""
        kept = [record for record in self.read_metrics() if record["epoch"] <= epochs]
        if self.metrics.exists():
            write_text(self.metrics, "".join(to_json(record) + "\n" for record in kept))

    def write_skipped(self, skipped: Sequence[Skipped]) -> None:
        """Write `skipped.csv`: key and reason."""
        write_text(self.skipped, to_csv(["key", "reason"], ((entry.key, entry.reason) for entry in skipped)))

    def read_skipped(self) -> list[Skipped]:
        """The rows of `skipped.csv`, none if it is missing or damaged."""
        try:
            return [Skipped(row["key"], row["reason"]) for row in read_table(self.skipped, ("key", "reason"))]
        except UsageError:
            return []


def _left_over(path: Path) -> bool:
    """Whether a file is what a process leaves that is killed before its run has begun, or the lock of this one."""
    return is_partial(path) or path.name == LOCK
