"""Results as a person reads them, on standard output."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from coterie.files import to_json
from coterie.runs.words import checked_words
from coterie.streams import Results
from coterie.text import in_one_line, printable

if TYPE_CHECKING:  # What is printed brings its own; the names alone would load torch and scikit-learn.
    from coterie.bench.base import Result
    from coterie.evaluate.agreement import Evaluation
    from coterie.evaluate.choose_k import Choice
    from coterie.evaluate.probe import ProbeScores
    from coterie.evaluate.reliability import Reliability
    from coterie.evaluate.stability import Stability
    from coterie.workflow.apply import Applied
    from coterie.workflow.steps.refined import Refined

# Results are never cut to a terminal's width, which programs that pass them on may even say is none.
_WIDE = 10_000

# As many groups as one still reads in a terminal.
_MOST_GROUPS = 40


class _Console(Console):
    """Nothing that a file or a folder is called acts on the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def results() -> Console:
    """Standard output, for what was asked for."""
    return _Console(file=cast(TextIO, Results()), width=_WIDE, highlight=False, soft_wrap=True, emoji=False)


def print_json(value: Any, out: Console) -> None:
    out.print(to_json(value, plain=True), markup=False, soft_wrap=True)


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
        table.add_row(Text(in_one_line(name)), *(f"{row[key]:.3f}" for key in ("acc", "nmi", "ari")), seconds)
    out.print(table)
    if "named" in summary:
        out.print(f"scores leave out the {summary['named']} images whose names were given")


def print_groups(summary: dict[str, Any], out: Console) -> None:
    """How many images are in each group, and the words suggested for it."""
    sizes = summary["cluster_sizes"]
    if "words" not in summary:
        out.print(f"groups of {', '.join(map(str, sizes))} images")
        return
    out.print("group  images  suggested names", style="bold")
    for group, words in enumerate(checked_words(summary["words"], len(sizes))[:_MOST_GROUPS]):
        out.print(f"{group:5}  {sizes[group]:6}  {', '.join(map(str, words)) or '–'}", markup=False)
    if len(sizes) > _MOST_GROUPS:
        out.print(f"and {len(sizes) - _MOST_GROUPS} more groups")


def print_evaluation(evaluation: Evaluation, out: Console) -> None:
    """Scores, then the confusion table with a row a class and a column a cluster, then purities."""
    scores = evaluation.scores
    out.print(
        f"ACC {scores.acc:.4f}  NMI {scores.nmi:.4f}  ARI {scores.ari:.4f}  ({evaluation.labelled} labelled images)"
    )
    if evaluation.left_out:
        out.print(f"without the {evaluation.left_out} images whose names were given")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class \\ cluster")
    for cluster in range(evaluation.table.shape[1]):
        table.add_column(str(cluster), justify="right")
    for row, name in enumerate(evaluation.classes):
        cells = []
        for cluster, count in enumerate(evaluation.table[row]):
            cells.append(f"[bold]{count}[/]" if evaluation.matched.get(cluster) == row else str(count or "·"))
        table.add_row(Text(in_one_line(name)), *cells)
    table.add_section()
    table.add_row("purity", *("–" if share != share else f"{share:.2f}" for share in evaluation.purity))
    out.print()
    out.print(table)

    if evaluation.reliability is not None:
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
        print_json(asdict(found), out)
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


def print_applied(applied: Applied, to: Path | None, out: Console) -> None:
    """How many images in how many groups, and where they are listed and were put."""
    labelled = applied.labelled
    mixed = {label for label, marked in zip(labelled.labels, labelled.mixed, strict=True) if marked}
    groups, note = len(set(labelled.labels)), f", {len(mixed)} of them mixed" if mixed else ""
    out.print(f"{len(labelled.labels)} images in {groups} groups{note}; see {applied.path}", markup=False)
    if labelled.followed:
        out.print(f"{labelled.followed} of them had no label and took the one most of their cluster have")
    if applied.sorted is not None:
        out.print(f"{applied.sorted.placed} files are in {to}, {len(applied.sorted.gone)} were left out", markup=False)


def print_refined(refined: Refined, out: Console) -> None:
    """The groups there are now, and what became of the old ones."""
    out.print("group  images  name", style="bold")
    for number, (name, size) in enumerate(zip(refined.names, refined.sizes, strict=True)):
        out.print(f"{number:5}  {size:6}  {in_one_line(name) if name != f'Group {number}' else '–'}", markup=False)
    for name, parts in refined.parts.items():
        out.print(f"{in_one_line(name)} was split into groups {', '.join(map(str, parts))}", markup=False)
    images = sum(refined.sizes)
    out.print(
        f"{len(refined.moved)} of {images} images moved ({refined.told} were named); agreement with the groups before: "
        f"ARI {refined.ari:.3f}, NMI {refined.nmi:.3f}; new images are grouped as {refined.follows:.1%} of these are",
    )
    out.print(f"look at {(refined.folder / 'report.html').resolve()}", markup=False)


def print_probe(scores: ProbeScores, out: Console, *, as_json: bool = False) -> None:
    """Linear evaluation on one line, or as JSON."""
    if as_json:
        print_json(asdict(scores), out)
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
        print_json(asdict(choice), out)
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
