"""What the page asks of its run: its labels, version by version, its embeddings, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.data.sources.arrays import ArraySource
from coterie.errors import UsageError
from coterie.live.gate import Answer
from coterie.live.run import OpenRun
from coterie.report.page import policy, policy_in_page
from coterie.runs.folder import RunFolder
from coterie.runs.lock import only_writer
from small import finished_run

KEYS = ["a", "b", "c", "=d", "e", "f"]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    places = np.array([[0.0, 0], [1, 0], [9, 0], [10, 0], [0, 30], [1, 30]])
    clusters = np.array([0, 0, 0, 0, 1, 1])
    return RunFolder(finished_run(tmp_path / "run", ArraySource(images, keys=KEYS), clusters, embeddings=places))


@pytest.fixture
def run(folder: RunFolder) -> OpenRun:
    return OpenRun(folder, lambda groups: 7 if groups is None else groups)


def told(run: OpenRun, name: str, **asked: Any) -> dict[str, Any]:
    answer = run.answer(name, asked or None)
    assert isinstance(answer, Answer)
    return dict(answer.content)


def table(**labels: str) -> str:
    return "key,label,said\n" + "".join(f"{key},{label},1\n" for key, label in labels.items())


def test_a_save_that_has_not_seen_the_last_one_is_handed_it(run: OpenRun, folder: RunFolder) -> None:
    assert told(run, "labels") == {"version": None, "text": None}
    first = told(run, "labels", version=None, text=table(a="cat"))
    assert first["saved"]
    assert folder.labels.read_text() == "key,label,mixed,cluster,said,split,part\na,cat,0,0,1,,\n"
    late = told(run, "labels", version=None, text=table(a="dog"))
    assert late == {"saved": False, "version": first["version"], "text": folder.labels.read_text()}
    second = told(run, "labels", version=first["version"], text=table(e="owl"))
    assert second["saved"]
    assert second["version"] != first["version"]
    # What a page does not show stays as it was.
    assert folder.labels.read_text().splitlines()[1:] == ["a,cat,0,0,1,,", "e,owl,0,1,1,,"]


def test_tables_that_are_none_are_not_saved(run: OpenRun, folder: RunFolder) -> None:
    for text in (None, 3, "", "key\na\n", table(z="cat"), "key,label\na,x\na,y\n", "key,label,split\na,x,7\n"):
        with pytest.raises(UsageError):
            run.answer("labels", {"version": None, "text": text})
    with pytest.raises(UsageError):
        run.answer("labels", [1])
    with only_writer(folder.root), pytest.raises(UsageError, match="is being written"):
        told(run, "labels", version=None, text=table(a="cat"))
    assert not folder.labels.exists()


def test_parts_and_likeness_are_those_of_the_embeddings(run: OpenRun) -> None:
    parts = told(run, "split", rows=[3, 0, 1, 2], parts=2)["parts"]
    assert parts[0] == parts[3] != parts[1] == parts[2]
    assert told(run, "similar", rows=[0, 1], among=[5, 4, 3, 2], most=3) == {"rows": [2, 3, 5]}
    assert told(run, "similar", rows=[0], among=[4, 1], most=96) == {"rows": [1, 4]}
    wrong: list[dict[str, Any]] = [
        {"rows": [0, 1], "parts": 3}, {"rows": [0, 1], "parts": 1}, {"rows": [0, 6], "parts": 2},
        {"rows": [0, -1], "parts": 2}, {"rows": [0, True], "parts": 2}, {"rows": "01", "parts": 2},
        {"rows": [0] * 7, "parts": 2}, {"rows": [0, 1], "parts": "2"}, {},
    ]  # fmt: skip
    for asked in wrong:
        with pytest.raises(UsageError):
            run.answer("split", asked)
    with pytest.raises(UsageError, match="pick an image"):
        run.answer("similar", {"rows": [], "among": [1], "most": 1})


def test_refining_stands_on_what_was_last_said(run: OpenRun) -> None:
    assert told(run, "refine", version=None, groups=None) == {"page": 7}
    version = told(run, "labels", version=None, text=table(a="cat"))["version"]
    assert told(run, "refine", version=version, groups=3) == {"page": 3}
    with pytest.raises(UsageError, match="another window"):
        run.answer("refine", {"version": None, "groups": 3})


def test_nothing_else_is_answered(run: OpenRun) -> None:
    assert run.answer("config.yaml", None) is None
    assert run.answer("../summary.json", None) is None
    assert run.answer("", {}) is None
    assert run.answer("split", None) is None


def test_the_pages_policy_moves_into_the_head(run: OpenRun, folder: RunFolder) -> None:
    page = run.answer("", None)
    assert page is not None
    assert page.headers["Content-Security-Policy"] == f"{policy()}; connect-src 'self'; frame-ancestors 'none'"
    assert str(policy_in_page()).encode() not in page.content
    assert b'<meta name="coterie-open"' in page.content
    assert b"coterie-open" not in folder.report.read_bytes().split(b"<script")[0]


@pytest.mark.parametrize("spoilt", ["other script", "gone"])
def test_a_page_of_another_version_is_built_anew(run: OpenRun, folder: RunFolder, spoilt: str) -> None:
    content = folder.report.read_text(encoding="utf-8")
    if spoilt == "gone":
        folder.report.unlink()
    else:
        folder.report.write_text(content.replace(policy(), "script-src 'unsafe-inline'"), encoding="utf-8")
    page = run.answer("", None)
    assert page is not None
    assert b"unsafe-inline'\"" not in page.content[:4096]
    assert policy() in folder.report.read_text(encoding="utf-8")
