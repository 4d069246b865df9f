"""The documentation is complete, and small. Whether it builds, `make docs` tells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import results

from coterie.methods import learns, method_names

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", method_names())
def test_every_method_has_a_page(name: str) -> None:
    page = (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8")
    measured = ("measured",) if learns(name) else ()  # The benchmark is of methods that learn.
    for directive in ("settings", "recipes", *measured):
        assert f"```{{{directive}}} {name}\n" in page
    assert f"../figures/{name}.png" in page
    assert f"\n{name}\n" in (DOCS / "methods" / "index.md").read_text(encoding="utf-8")
    assert f"coterie.methods.{name}\n" in (DOCS / "api" / "methods.md").read_text(encoding="utf-8")
    assert f"[`{name}`](docs/methods/{name}.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_figures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "figures").iterdir()}
    assert max(sizes.values()) < 200_000
    assert sum(sizes.values()) < 1_000_000
    assert all(sizes[f"{name}.png"] < 60_000 for name in method_names())


def test_links_of_the_readme_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / target).is_file(), f"{page.name}: {target}"


def test_the_page_of_results_is_up_to_date() -> None:
    """`python benchmarks/results.py` fills it."""
    page = results.PAGE.read_text(encoding="utf-8")
    for name, table in results.tables().items():
        assert f"<!-- {name} -->\n{table}\n<!-- end -->" in page
