"""A run behind its page: what the page asks, answered from the run's own files and embeddings."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from coterie.cluster.kmeans import kmeans
from coterie.errors import UsageError
from coterie.files import write_text
from coterie.live.gate import Answer
from coterie.report.page import policy, policy_in_page, read_embeddings, write_report
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.kept import kept_in, read_kept
from coterie.runs.lock import only_writer
from coterie.seeding import generator
from coterie.surroundings import surroundings

# Where the page's own policy stands, and what it takes that it may ask us.
_HEAD = 4096
_SERVED = b'<meta name="coterie-open" content=""><link rel="icon" href="data:,">'


class OpenRun:
    """A finished run, its page, and what a person says of it, which is saved as `labels.csv` in the run.

    Args:
        refine: makes a run out of this one under what was said, for so many groups or None for as many as there are,
            and returns the number of the new run's page.

    Raises:
        UsageError: the run is not finished. CoterieError: one of its files is missing or damaged.
    """

    def __init__(self, folder: RunFolder, refine: Callable[[int | None], int]) -> None:
        self._folder = folder
        self._summary = folder.read_summary()
        self._assignments = Assignments.read(folder.assignments)
        self._refine = refine
        self._writing = threading.Lock()  # The run's own lock keeps other processes out, and not our threads.

    def answer(self, name: str, asked: Any) -> Answer | None:
        """The answer to what the page asks, by its name; None where nothing is called so.

        Args:
            asked: JSON values, or None where something is only to be read.

        Raises:
            UsageError: the values are not those that are asked for. CoterieError: it cannot be done.
        """
        if asked is None:
            return {"": self._page, "labels": self._labels}.get(name, lambda: None)()
        doing: dict[str, Callable[[dict[str, Any]], Any]] = {
            "labels": self._save, "split": self._split, "similar": self._similar, "refine": self._refined,
        }  # fmt: skip
        if name not in doing:
            return None
        if not isinstance(asked, dict):
            raise UsageError("an object is wanted")
        with surroundings(gradients=False):
            return Answer(doing[name](asked))

    def end(self) -> None:
        """Wait for what is being written."""
        with self._writing:
            pass

    def _page(self) -> Answer:
        """The page, whose policy moves into the answer's head, where it lets the page ask us and nobody else.

        The file may be anybody's. By the policy it runs our script or none, so that of another version is built anew.
        """
        own = str(policy_in_page()).encode("utf-8")
        content = self._folder.report.read_bytes() if self._folder.report.is_file() else b""
        if own not in content[:_HEAD]:
            with surroundings(), self._writing, only_writer(self._folder.root):
                write_report(self._folder, self._summary)
            content = self._folder.report.read_bytes()
        heard = f"{policy()}; connect-src 'self'; frame-ancestors 'none'"
        return Answer(content.replace(own, _SERVED, 1), "text/html", {"Content-Security-Policy": heard})

    def _labels(self) -> Answer:
        version, content = self._read()
        return Answer({"version": version, "text": None if content is None else content.decode("utf-8", "replace")})

    def _read(self) -> tuple[str | None, bytes | None]:
        """What was said so far, and the version of it."""
        if not self._folder.labels.is_file():
            return None, None
        content = self._folder.labels.read_bytes()
        return hashlib.sha256(content).hexdigest(), content

    def _save(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Keep what the page says, if it has seen the version that is to be replaced; else hand that out."""
        path, keys = self._folder.labels, self._assignments.keys
        text = asked.get("text")
        if not isinstance(text, str):
            raise UsageError("the text of a table is wanted")
        told = kept_in(text.encode("utf-8", "backslashreplace"), path, keys)
        with self._writing, only_writer(self._folder.root):
            version, _ = self._read()
            if version != asked.get("version"):
                return {"saved": False, **self._labels().content}
            if (before := read_kept(self._folder, keys)) is not None:
                told = told.over(before)  # A page may show some images of many.
            write_text(path, told.to_csv(keys, self._assignments.clusters))
            return {"saved": True, "version": self._read()[0]}

    def _split(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Which part, from 0, each of some images is in, by k-means on the embeddings."""
        rows, parts = self._rows(asked, "rows"), _number(asked, "parts")
        if not 2 <= parts <= len(rows):
            raise UsageError(f"{len(rows)} images cannot be split into {parts} parts")
        points = torch.from_numpy(self._embeddings[rows])
        found = kmeans(points, parts, generator=generator("cpu", 0, "split"))
        return {"parts": found.labels.tolist()}

    def _similar(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Rows nearest to the mean of some, the nearest first, among others."""
        rows, among, most = self._rows(asked, "rows"), self._rows(asked, "among"), _number(asked, "most")
        if not len(rows):
            raise UsageError("pick an image first")
        middle = self._embeddings[rows].mean(axis=0)
        far = np.square(self._embeddings[among] - middle).sum(axis=1)
        return {"rows": among[np.argsort(far, kind="stable")[:most]].tolist()}

    def _refined(self, asked: dict[str, Any]) -> dict[str, Any]:
        groups = None if asked.get("groups") is None else _number(asked, "groups")
        with self._writing:
            if asked.get("version") != self._read()[0]:
                raise UsageError("another window has said more meanwhile: look at it, then refine")
            return {"page": self._refine(groups)}

    @functools.cached_property
    def _embeddings(self) -> npt.NDArray[np.float32]:
        return read_embeddings(self._folder, len(self._assignments.keys))

    def _rows(self, asked: dict[str, Any], name: str) -> npt.NDArray[np.int64]:
        values, count = asked.get(name), len(self._assignments.keys)
        if not isinstance(values, list) or len(values) > count:
            raise UsageError(f"{name} must be a list of rows")
        if not all(type(value) is int and 0 <= value < count for value in values):
            raise UsageError(f"{name} must be rows of the run, from 0 to {count - 1}")
        return np.array(values, dtype=np.int64)


def _number(asked: dict[str, Any], name: str) -> int:
    value = asked.get(name)
    if type(value) is not int or value < 0:
        raise UsageError(f"{name} must be a whole number")
    return value
