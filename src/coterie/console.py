"""What a person sees while coterie works: notes and progress on standard error, results on standard output."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from coterie.bench.base import Result
from coterie.evaluate.choose_k import Choice
from coterie.evaluate.probe import ProbeScores
from coterie.evaluate.reliability import Reliability
from coterie.evaluate.stability import Stability
from coterie.workflow.evaluate import Evaluation
from coterie.workflow.listener import Listener

# Seconds between lines where there is no terminal to draw a bar on.
_LOG_EVERY = 15.0


def results() -> Console:
    """Standard output, for what was asked for."""
    return Console(highlight=False, soft_wrap=True)


class ConsoleListener(Listener):
    """Notes as lines; stages as a bar on a terminal, as a line now and then elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._stage, self._total, self._done, self._unit, self._status = "", 0, 0, "", ""
        self._began = self._logged = 0.0

    def note(self, text: str) -> None:
        self._console.print(Text(text))

    def begin(self, stage: str, total: int, unit: str) -> None:
        self._stage, self._total, self._done, self._unit, self._status = stage, total, 0, unit, ""
        self._began = self._logged = time.monotonic()
        if self._console.is_terminal:
            self._bar = Progress(*_columns(unit), console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task(stage, total=total, status="")

    def advance(self, steps: int = 1) -> None:
        super().advance(steps)
        self._done += steps
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], steps)
        elif time.monotonic() - self._logged >= _LOG_EVERY:
            self._logged = time.monotonic()
            self._log()

    def describe(self, status: str) -> None:
        self._status = status
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], status=status)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        seconds = time.monotonic() - self._began
        if self._status and self._total:
            self.note(f"{self._stage}: {self._status}, {seconds:.0f} s")

    def close(self) -> None:
        """Leave the terminal as it was, whatever happened."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _log(self) -> None:
        seconds = time.monotonic() - self._began
        left = seconds / self._done * (self._total - self._done)
        rate = self._done / seconds
        words = f"{self._stage}: {self._done}/{self._total} {self._unit}, {rate:.1f}/s, {left:.0f} s left"
        self.note(f"{words}  {self._status}".rstrip())


def _columns(unit: str) -> list[ProgressColumn]:
    """Narrow enough for eighty characters."""
    one_line = Column(no_wrap=True, overflow="ellipsis")
    return [
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=one_line),
        BarColumn(bar_width=12),
        _Rate(unit),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[status]}", table_column=one_line),
    ]


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        share = f"{task.percentage:.0f}%"
        return Text(share if speed is None else f"{share} {speed:.0f} {self._unit}/s")


def print_comparison(summary: dict[str, Any], out: Console) -> None:
    """The plain alternative beside the run, and what else was scored."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (
        ("", "left"),
        ("ACC", "right"),
        ("NMI", "right"),
        ("ARI", "right"),
        ("seconds", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    rows = [(summary["baseline"]["method"], summary["baseline"]), (f"coterie ({summary['method']})", summary)]
    rows += [(f"  {name}", scores) for name, scores in summary.get("further", {}).items()]
    for name, row in rows:
        seconds = f"{row['seconds']:.1f}" if "seconds" in row else ""
        table.add_row(name, *(f"{row[key]:.3f}" for key in ("acc", "nmi", "ari")), seconds)
    out.print(table)


def print_evaluation(evaluation: Evaluation, out: Console) -> None:
    """Scores, then the confusion table with a row a class and a column a cluster, then purities."""
    scores = evaluation.scores
    out.print(
        f"ACC {scores.acc:.4f}  NMI {scores.nmi:.4f}  ARI {scores.ari:.4f}  ({evaluation.labelled} labelled images)"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class \\ cluster")
    for cluster in range(evaluation.table.shape[1]):
        table.add_column(str(cluster), justify="right")
    for row, name in enumerate(evaluation.classes):
        cells = []
        for cluster, count in enumerate(evaluation.table[row]):
            cells.append(f"[bold]{count}[/]" if evaluation.matched.get(cluster) == row else str(count or "·"))
        table.add_row(Text(name), *cells)
    table.add_section()
    table.add_row("purity", *("–" if share != share else f"{share:.2f}" for share in evaluation.purity))
    out.print()
    out.print(table)

    _print_reliability(evaluation.reliability, out)


def _print_reliability(found: Reliability, out: Console) -> None:
    out.print(
        f"\nconfidence {found.confidence:.3f} on average, right {found.right:.3f}, calibration error {found.error:.3f}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("confidence ≥", "share of images", "right"):
        table.add_column(column, justify="right")
    for level in found.levels:
        right = "–" if level.right is None else f"{level.right:.3f}"
        table.add_row(f"{level.confidence:.2f}", f"{level.share:.3f}", right)
    out.print(table)


def print_stability(found: Stability, out: Console, *, as_json: bool = False) -> None:
    """How far runs with several seeds agree, and each cluster's overlap; or as JSON."""
    if as_json:
        out.print(json.dumps(asdict(found)), markup=False)
        return
    seeds = ", ".join(str(seed) for seed in found.seeds)
    out.print(f"mean ARI [bold]{found.ari:.3f}[/] ({min(found.pairs):.3f} to {max(found.pairs):.3f}), seeds {seeds}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("cluster", "images", "overlap", "least"):
        table.add_column(column, justify="right")
    table.add_column("")
    for one in found.clusters:
        verdict = one.verdict if one.verdict == "stable" else f"[bold]{one.verdict}[/]"
        table.add_row(str(one.cluster), str(one.size), f"{one.overlap:.3f}", f"{one.least:.3f}", verdict)
    out.print()
    out.print(table)
    out.print("overlap: images shared with the likest cluster of another run, of those in either", style="dim")


def print_probe(scores: ProbeScores, out: Console, *, as_json: bool = False) -> None:
    """Linear evaluation on one line, or as JSON."""
    if as_json:
        out.print(json.dumps(asdict(scores)), markup=False)
        return
    out.print(
        f"linear top-1 {scores.top1:.4f}  top-5 {scores.top5:.4f}  kNN {scores.knn:.4f}  "
        f"({scores.trained} images learnt from, {scores.tested} held out, {scores.classes} classes)"
    )


def print_result(result: Result, out: Console) -> None:
    """One line of a benchmark."""
    ours, baseline = f"{result.ours:,.4g} {result.unit}", f"{result.baseline:,.4g} ({result.baseline_name})"
    out.print(f"{result.name:22} {result.ratio:6.2f}×   {ours:24} {baseline:36} {result.note}".rstrip(), markup=False)


def print_choice(choice: Choice, out: Console, *, as_json: bool = False) -> None:
    """A recommended number of clusters with its reason, and the criteria as a table; or as JSON."""
    if as_json:
        out.print(json.dumps(asdict(choice)), markup=False)
        return
    out.print(f"[bold]{choice.recommended}[/] groups: {choice.reason}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("groups", justify="right")
    for criterion in choice.criteria:
        table.add_column(criterion.name, justify="right")
    for number in choice.criteria[0].values:
        cells = [f"{criterion.values[number]:.3f}" for criterion in choice.criteria]
        chosen = [criterion.choice == number for criterion in choice.criteria]
        marked = [f"[bold]{cell} ←[/]" if mine else f"{cell}  " for cell, mine in zip(cells, chosen, strict=True)]
        table.add_row(f"[bold]{number}[/]" if number == choice.recommended else str(number), *marked)
    out.print()
    out.print(table)
    for criterion in choice.criteria:
        out.print(f"{criterion.name}: {criterion.about}", style="dim")
