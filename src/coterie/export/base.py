"""What is exported, and the contract of a format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from coterie.errors import UsageError

if TYPE_CHECKING:
    from coterie.runs.assignments import Assignments
    from coterie.runs.config import RunConfig
    from coterie.runs.folder import RunFolder
    from coterie.runs.labelled import Labelled
    from coterie.runs.model import Model

Pixels = Literal["uint8", "float32"]


@dataclass(frozen=True)
class Subject:
    """A finished run, or a saved `Clusterer`, which has neither configuration nor summary.

    `pixels` are what an exported network takes images as: uint8 from 0 to 255, or float32 from 0 to 1.
    """

    folder: RunFolder
    pixels: Pixels = "uint8"

    @cached_property
    def model(self) -> Model:
        """On the CPU, in float32 throughout."""
        from coterie.runs.model_files import load_model

        return load_model(self.folder.model, device="cpu", precision="float32")

    @cached_property
    def assignments(self) -> Assignments:
        """The table.

        Raises:
            UsageError: there is none.
        """
        from coterie.runs.assignments import Assignments

        if not self.folder.assignments.is_file():
            raise UsageError(f"{self.folder.root} holds a model and no assignments.csv: give the run it came from")
        return Assignments.read(self.folder.assignments)

    @cached_property
    def labelled(self) -> Labelled | None:
        """The labels a person gave, if `coterie apply` has written them."""
        from coterie.runs.labelled import read_labelled

        return read_labelled(self.folder.labelled, self.assignments) if self.folder.labelled.is_file() else None

    @cached_property
    def config(self) -> RunConfig | None:
        return self.folder.read_config() if self.folder.config.is_file() else None

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Empty where there is none."""
        return self.folder.read_summary() if self.folder.config.is_file() else {}

    @cached_property
    def images(self) -> Path | None:
        """The folder that holds the images, if it is still there."""
        from coterie.data.sources.naming import place_of

        path = None if self.config is None else place_of(self.config.data.source)
        return path if path is not None and path.is_dir() else None

    @cached_property
    def files(self) -> dict[str, Path]:
        """The images' files by key, as far as they are there and are what the run read.

        They are found by walking their folder, as a key may lead out.
        """
        from coterie.runs.images import found_below

        if self.images is None:
            return {}
        files, others = found_below(self.folder, self.images, self.assignments.keys)
        return {key: path for key, path in files.items() if key not in others}

    @cached_property
    def names(self) -> list[str]:
        """Of the K clusters: the label most of its images were given, or as the page has them."""
        clusters = self.model.blueprint.clusters if self.config is None else self.config.clusters
        given = {} if self.labelled is None else self.labelled.names
        return [given.get(number, f"Group {number}") for number in range(clusters)]

    @property
    def classes(self) -> tuple[list[str], list[int]]:
        """What the images are divided into, a person's labels or else the clusters: names, and each image's place.

        Raises:
            UsageError: there is no table.
        """
        if self.labelled is None:
            return self.names, self.assignments.clusters.tolist()
        names = sorted({*self.labelled.labels}, key=lambda name: (name.casefold(), name))
        place = {name: number for number, name in enumerate(names)}
        return names, [place[label] for label in self.labelled.labels]


@dataclass(frozen=True)
class Format:
    """One way to take a run elsewhere.

    Args:
        about: for `coterie export --help`.
        write: writes a file or folder that is not there yet, or may be replaced; returns a line for the person.
        check: raises a UsageError where `write` cannot succeed, such as for want of a package; called before
            anything is written.
        target: "FILE", or "FOLDER" for what may go into a folder that exists.
        default: the file's name in the run's folder where none is given; None where one must be given.
    """

    about: str
    write: Callable[[Subject, Path], str]
    check: Callable[[Subject], None] = lambda subject: None  # noqa: ARG005
    target: Literal["FILE", "FOLDER"] = "FILE"
    default: str | None = None
