"""The model card: what the model is, how well it did, how to load it, and what made it."""

from __future__ import annotations

import html
import statistics
from typing import Any

import jinja2

import coterie
from coterie.config import flat, plain
from coterie.data.sources.naming import shown_name
from coterie.export._network import describe_input, normalisations_of, preparation, takes_images
from coterie.export.base import Subject
from coterie.text import in_one_line

# Where things lay is nobody else's business.
_PRIVATE = ("data.source",)


def model_card(subject: Subject) -> str:
    """Markdown, with the hub's metadata in front."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("coterie", "export"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template("card.md.j2").render(**_content(subject))


def _content(subject: Subject) -> dict[str, Any]:
    model, summary = subject.model, subject.summary
    sizes = summary.get("cluster_sizes")
    images, normalisations = takes_images(model), normalisations_of(model)
    return {
        "method": model.blueprint.method,
        "clusters": len(model.groups.centers),
        "things": "images" if images else "feature vectors",
        "given": '"photos/"' if images else "features",
        "images_taken": images,
        "images": f"{summary['images']:,}" if summary else None,
        "sizes": sizes,
        "middle": statistics.median_low(sizes) if sizes else None,
        "outliers": summary.get("outliers"),
        "scores": _scores(summary),
        "dimensions": model.groups.centers.shape[1],
        "pretrained": _inert(" and ".join(each.label for each in model.backbones)),
        "input": describe_input(model, "uint8"),
        "preparation": preparation(model),
        "mean": " and ".join(_numbers(each.mean) for each in normalisations),
        "deviation": " and ".join(_numbers(each.deviation) for each in normalisations),
        "settings": _settings(subject),
    }


def _scores(summary: dict[str, Any]) -> dict[str, dict[str, float]]:
    if "acc" not in summary:
        return {}
    rows = {f"coterie ({summary['method']})": summary, **summary.get("further", {})}
    rows[summary["baseline"]["method"]] = summary["baseline"]
    return {_inert(name): row for name, row in rows.items()}


def _settings(subject: Subject) -> dict[str, str]:
    """Every setting by its full name, as text for a cell of a table."""
    given = plain(subject.model.blueprint) if subject.config is None else plain(subject.config)
    backbone = shown_name(subject.model.blueprint.backbone)
    settings = {"coterie": coterie.__version__, **flat(given), "backbone": backbone}
    return {name: _inert(str(value)) for name, value in settings.items() if name not in _PRIVATE}


def _inert(text: str) -> str:
    """Text that Markdown takes for text, in a cell of a table or elsewhere: no markup, no link, no code."""
    text = html.escape(in_one_line(text), quote=False).replace("](", "]&#40;")
    return text.replace("|", "\\|").replace("`", "&#96;")


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
