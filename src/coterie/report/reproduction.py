"""What `coterie reproduce` found, as a page in Markdown: figures beside the paper's, and what they were made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coterie.text import in_one_line

# In the order of the papers' tables.
_METRICS = {"nmi": "NMI", "acc": "ACC", "ari": "ARI", "top1": "linear top-1", "top5": "linear top-5"}


def metrics_of(content: Mapping[str, Any]) -> dict[str, str]:
    """The scores that paper or runs tell, with their headings."""
    told = {**content["paper"]["scores"], **content["ours"]}
    return {name: _METRICS.get(name, name) for name in (*_METRICS, *(each for each in told if each not in _METRICS))
            if name in told}  # fmt: skip


def rows_of(content: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Lines for the paper, for us, and for the plain baseline: a name, and a cell for each of `metrics_of`."""
    ours, names, count = content["ours"], metrics_of(content), len(content["runs"])
    if content["paper"]["scores"]:
        yield "paper", [_percent(content["paper"]["scores"].get(name)) for name in names]
    cells = [_percent(**ours[name]) if name in ours else "" for name in names]
    yield f"coterie, {count} seed{'s' * (count != 1)}", cells
    if "baseline" in content:
        yield content["baseline"]["method"], [_percent(content["baseline"]["scores"].get(name)) for name in names]


def as_page(content: Mapping[str, Any]) -> str:
    """The content of `reproduction.json` in Markdown."""
    names = metrics_of(content)
    lines = [
        f"# {content['recipe']}",
        "",
        *_listed(["in %", *names.values()], [[name, *row] for name, row in rows_of(content)]),
    ]
    lines += [
        "",
        *_listed(["", "paper", "here"], _made_with(content)),
        "",
        "```sh",
        in_one_line(content["command"]),
        "```",
    ]
    lines += ["", *(f"- {in_one_line(each)}" for each in content["paper"]["deviations"])]
    lines += ["", "![ACC and nearest neighbours over the epochs](curves.png)", ""]
    return "\n".join(lines)


def _made_with(content: Mapping[str, Any]) -> list[list[str]]:
    """What the paper had, and what was to be had here."""
    paper, runs = content["paper"], content["runs"]
    first = runs[0]["machine"]
    used = {run["machine"].get("accelerator") or run["machine"].get("processor") for run in runs}
    seconds = sum(run["seconds"] for run in runs) / len(runs)
    versions = {f"{name} {first.get(name)}" for name in ("coterie", "torch", "python")}
    return [
        ["source", content["source"], ""],
        ["data", paper["data"], content["asked"]["source"]],
        ["images", str(paper["images"] or ""), str(runs[0]["images"])],
        ["epochs", str(paper["epochs"] or ""), ", ".join(sorted({str(run["epochs"]) for run in runs}))],
        ["minutes a seed", "", f"{seconds / 60:.1f}"],
        [
            "machine",
            "",
            f"{', '.join(map(str, sorted(used, key=str)))}, threads {first.get('threads')}, {first.get('precision')}",
        ],
        ["versions", "", ", ".join(sorted(versions))],
        ["commit", "", ", ".join(sorted({run["commit"] for run in runs if run.get("commit")}))],
    ]


def _listed(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [[in_one_line(cell).replace("|", "\\|") for cell in row] for row in [head, *rows]]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [lines[0], "|---" * len(head) + "|", *lines[1:]]


def _percent(mean: float | None = None, deviation: float | None = None) -> str:
    return "" if mean is None else f"{mean:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")
