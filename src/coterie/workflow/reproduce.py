"""`coterie reproduce`: a recipe run for several seeds, and its figures beside those its paper reports."""

from __future__ import annotations

import contextlib
import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from coterie.data.sources import open_source
from coterie.data.sources.naming import full_name
from coterie.errors import UsageError
from coterie.evaluate.probe import ProbeConfig
from coterie.files import is_partial, write_atomically, write_json, write_text
from coterie.listener import Listener
from coterie.machine import commit, machine
from coterie.methods import method_type
from coterie.plan import Request
from coterie.plan.recipes import Recipe, recipe
from coterie.report.plots import curves_beside
from coterie.report.reproduction import as_page
from coterie.runs.config import READING
from coterie.runs.folder import RunFolder
from coterie.runs.lock import NAME as LOCK
from coterie.runs.lock import only_writer
from coterie.runs.reproduction import kept_runs
from coterie.surroundings import in_surroundings
from coterie.workflow.evaluate import evaluate, write_evaluation
from coterie.workflow.fit import fit
from coterie.workflow.probe import probe_run

# Words of a request by the option of the command line that says them.
_OPTIONS = {"minutes": "--minutes", "device": "--device", "precision": "--precision", "subset": "--subset",
            "image_column": "--image-column", "label_column": "--label-column", "channels": "--channels"}  # fmt: skip
_SWITCHES = {
    "labels_from_folders": "--labels-from-folders",
    "deterministic": "--deterministic",
    "compiled": "--compile",
}


@in_surroundings
def reproduce(request: Request, out: Path, listener: Listener | None = None, *, seeds: int = 3) -> dict[str, Any]:
    """Run a recipe on labelled images for `seeds` seeds, each in `out/seed-N`, and compare with the paper.

    Finished seeds are kept and an interrupted one goes on, so that the same call again ends in the same files. The
    first seed decides how many epochs `request.minutes` are; the others take as many.

    Args:
        request: the recipe, the source, and what is to be otherwise than in the recipe; no seed.
        seeds: how many, from 0.

    Returns: the content of `reproduction.json`; scores are in percent.

    Raises:
        UsageError: no such recipe, no labels, or what is kept in `out` was asked otherwise.
        CoterieError: a run failed; those before it are kept.
    """
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, got {seeds}")
    listener = listener or Listener()
    work = _Work(request, recipe(request.recipe or ""), out, listener)
    _check_labels(request, listener)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} exists already and is no folder: give another --out")
    with only_writer(out), work.withdrawn():
        runs = work.kept()
        content = work.write(runs, seeds)  # What was asked, before anything is measured.
        for seed in range(seeds):
            if seed not in runs:
                runs[seed] = work.run(seed)
                content = work.write(runs, seeds)
    return content


@dataclass(frozen=True)
class _Work:
    """What all seeds share."""

    request: Request
    known: Recipe
    out: Path
    listener: Listener

    @property
    def record(self) -> Path:
        return self.out / "reproduction.json"

    def folder(self, seed: int) -> RunFolder:
        return RunFolder(self.out / f"seed-{seed}")

    def kept(self) -> dict[int, dict[str, Any]]:
        """What earlier attempts measured, by seed."""
        if not self.record.is_file() and any(not _left_over(each) for each in self.out.iterdir()):
            raise UsageError(f"{self.out} exists already and is not a reproduction: give another --out")
        return {seed: run for seed, run in kept_runs(self.record, self.asked()).items() if self.folder(seed).finished}

    @contextlib.contextmanager
    def withdrawn(self) -> Iterator[None]:
        """Free the name of what is refused before it has learnt anything."""
        try:
            yield
        except UsageError:
            if not self.folder(0).root.exists():
                self.record.unlink(missing_ok=True)
            raise

    def asked(self) -> dict[str, Any]:
        """What makes the runs comparable with each other."""
        given = {**asdict(self.request), "source": full_name(self.request.source)}
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
        return {name: value for name, value in given.items() if value not in (None, [], False, "auto")}

    def run(self, seed: int) -> dict[str, Any]:
        """The figures of one seed; one that was interrupted goes on."""
        folder, first = self.folder(seed), self.folder(0)
        self.listener.note(f"seed {seed}, in {folder.root}")
        request = replace(self.request, seed=0)
        if first.config.is_file():  # What the minutes came to is decided once.
            request = Request(self.request.source, recipe=str(first.config), seed=seed)
        fit(request, folder.root, self.listener, resume=True, like=first if seed else None)
        return self.measured(folder)

    def measured(self, folder: RunFolder) -> dict[str, Any]:
        """A finished run's scores in percent, what it took, and where."""
        evaluation = evaluate(folder.root, listener=self.listener)
        write_evaluation(evaluation, folder.root)
        config, summary = folder.read_config(), folder.read_summary()
        scores = asdict(evaluation.scores)
        if self.known.linear and method_type(config.method).inputs == "images":
            asked = ProbeConfig(**self.known.linear, seed=config.seed, device=config.device)
            reading = {name: getattr(config.data, name) for name in READING}
            found = probe_run(folder.root, self.request.source, self.listener, reading=reading, config=asked)
            scores |= {"top1": found.top1, "top5": found.top5}
        return {
            "seed": config.seed,
            "scores": {name: round(100 * value, 2) for name, value in scores.items()},
            "images": summary["images"],
            "epochs": config.train.epochs,
            "seconds": summary["seconds"],
            "machine": machine() | {"device": config.device, "precision": config.precision},
            "commit": commit(),
        }

    def write(self, measured: Mapping[int, dict[str, Any]], seeds: int) -> dict[str, Any]:
        """Write what is known so far: `reproduction.json`, and with a run at least the page and the curves."""
        known, runs = self.known, [measured[seed] for seed in sorted(measured) if seed < seeds]
        content: dict[str, Any] = {
            "recipe": known.name,
            "source": known.source,
            "command": self.command(seeds),
            "asked": self.asked(),
            "paper": {"data": known.data, "images": known.images, "epochs": known.values.get("train", {}).get("epochs"),
                      "scores": dict(known.reported), "deviations": list(known.deviations)},
            "seeds": seeds,
            "ours": spread([run["scores"] for run in runs]),
            "runs": runs,
        }  # fmt: skip
        if runs:
            baseline = self.folder(0).read_summary()["baseline"]
            scores = {name: round(100 * baseline[name], 2) for name in ("acc", "nmi", "ari")}
            content["baseline"] = {"method": baseline["method"], "scores": scores}
            metrics = {f"seed {run['seed']}": self.folder(run["seed"]).read_metrics() for run in runs}
            picture = curves_beside(metrics, known.reported)
            write_atomically(self.out / "curves.png", lambda stream: stream.write(picture))
            write_text(self.out / "reproduction.md", as_page(content))
        write_json(self.record, content)
        return content

    def command(self, seeds: int) -> str:
        """The command line that asks for this."""
        words = ["coterie", "reproduce", str(self.request.recipe), "--data", self.request.source, "--seeds", str(seeds)]
        words += [word for setting in self.request.settings for word in ("--set", setting)]
        given = self.asked()
        words += [word for name, option in _OPTIONS.items() if name in given for word in (option, str(given[name]))]
        return shlex.join([*words, *(option for name, option in _SWITCHES.items() if name in given)])


def spread(scores: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and deviation (of a sample; none for one run) of every score."""
    found = {}
    for name in scores[0] if scores else ():
        values = [each[name] for each in scores]
        found[name] = {"mean": round(statistics.mean(values), 2)}
        if len(values) > 1:
            found[name]["deviation"] = round(statistics.stdev(values), 2)
    return found


def _check_labels(request: Request, listener: Listener) -> None:
    """Raise a UsageError, before anything is learnt, where there is nothing to evaluate by."""
    reading = {name: getattr(request, name) for name in READING if getattr(request, name, None) is not None}
    labels = open_source(request.source, **reading, note=listener.note).labels
    if labels is None or not (labels >= 0).any():
        raise UsageError(f"{request.source} knows no labels to evaluate by: add --labels-from-folders, or name the set")


def _left_over(path: Path) -> bool:
    return is_partial(path) or path.name == LOCK
