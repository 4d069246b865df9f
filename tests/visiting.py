"""A person's visit to a page, in a real browser."""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
expect = playwright.expect
expect.set_options(timeout=30_000)  # Milliseconds; only ever waited for in full where something is wrong.


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        options = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
        found = tool.chromium.launch(executable_path=CHROMIUM, args=options)
        yield found
        found.close()


class Visit:
    """A page in a fresh profile, from a file without a network or served; whatever goes wrong in it is kept."""

    def __init__(self, browser: Any, report: Path | str, *, beside: Visit | None = None, **options: Any) -> None:
        address = report if isinstance(report, str) else report.as_uri()
        self._own = (
            ("file:", "data:", "blob:")
            if isinstance(report, Path)
            else ("data:", "blob:", "/".join(address.split("/")[:4]))
        )
        if beside is None:
            offline = isinstance(report, Path)
            viewport = {"width": 1240, "height": 1000}
            self.context = browser.new_context(**{"offline": offline, "viewport": viewport, **options})
        else:
            self.context = beside.context
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", lambda line: self.troubles.append(line.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(address)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self._own):
            self.troubles.append(request.url)

    def card(self, name: str) -> Any:
        title = self.page.locator(".title").filter(has_text=name)
        return self.page.locator("article:visible").filter(has=title)

    def name(self, card: str, name: str) -> None:
        field = self.card(card).get_by_label("Name of")
        field.fill(name)
        field.press("Enter")

    def labels(self, path: Path) -> list[dict[str, str]]:
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download labels.csv").click()
        download.value.save_as(path)
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
