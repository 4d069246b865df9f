from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coterie.cli import main
from coterie.report.atlas import make_atlas
from coterie.report.content import page_content
from coterie.report.page import duration
from coterie.report.palette import colours
from coterie.report.selection import MOST_SHOWN, select, shown_rows
from coterie.report.sheets import make_sheets
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.text import printable


@pytest.fixture
def run(photo_folder: Path, tmp_path: Path) -> Path:
    Image.new("RGB", (20, 20), "red").save(photo_folder / "<script>document.title='broken'<#script>.png")
    (photo_folder / "broken.jpg").write_bytes(b"no")
    settings = ["hidden=16", "projection=8", "batch_size=20", "side=16"]
    arguments = ["fit", str(photo_folder), "-k", "2", "--epochs", "3", "--labels-from-folders", "--quiet"]
    arguments += [part for setting in settings for part in ("--set", setting)]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def test_the_page_has_no_outside_address_and_every_part(run: Path) -> None:
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "http:" not in html
    assert "https:" not in html
    assert set(re.findall(r'\s(?:src|href)="([^"#]{1,5})', html)) == {"data:"}
    for part in (
        "Accuracy",
        "Map",
        "Group 0",
        "Group 1",
        "Typical",
        "Learning",
        "Files left out",
        "Agreement with the labels",
        "broken.jpg",
        "config.yaml",
    ):
        assert part in html
    assert "document.title" in html
    assert "<script>document.title" not in html


def test_runs_of_older_versions_show_what_pictures_they_have(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(run)
    old = Thumbnails(Thumbnails.load(folder.thumbnails).encoded)
    del old.encoded[3]
    old.save(folder.thumbnails)
    assert main(["report", str(run)]) == 0
    assert content(folder.report)["sheets"]["type"] == "image/png"
    assert tiles(folder.report)[3] == 0xFFFF
    assert main(["report", str(run), "--source", str(run.parent / "photos"), "--quiet"]) == 0
    assert sorted(tiles(folder.report)) == list(range(25))
    capsys.readouterr()
    assert main(["report", str(run), "--source", "digits"]) == 2
    assert "digits has none of the run's images" in capsys.readouterr().err


def content(report: Path) -> dict[str, Any]:
    """What the page's script works with."""
    found = re.search(r'id="content">(.*?)</script>', report.read_text(encoding="utf-8"))
    assert found is not None
    return dict(json.loads(found[1]))


def tiles(report: Path) -> list[int]:
    return np.frombuffer(base64.b64decode(content(report)["sheets"]["tile"]), "<u2").tolist()


def test_the_content_of_the_page_by_hand() -> None:
    places = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0]])
    assignments = Assignments(
        ["a", "b", "c"], np.array([0, 2, 2]), np.array([0.0, 0.5, 1.0]), np.eye(3, dtype=bool)[1], ["10", "", "9"]
    )
    atlas = make_atlas(places)
    assert atlas.neighbours.tolist() == [[1, 2], [2, 0], [1, 0]]
    found = page_content(assignments, [0, 1, 2], atlas, None)

    def numbers(name: str, kind: str = "<u2") -> list[int]:
        return np.frombuffer(base64.b64decode(found[name]), kind).tolist()

    assert (found["keys"], found["classes"], found["clusters"], found["rows"]) == (
        ["a", "b", "c"],
        ["9", "10"],
        3,
        None,
    )
    assert (numbers("cluster"), numbers("label"), numbers("outlier", "u1")) == ([0, 2, 2], [1, 0xFFFF, 0], [0, 1, 0])
    assert numbers("confidence") == [0, 32768, 65535]
    # One scale for both axes, and down the screen is down the map.
    assert numbers("place") == [0, 49151, 65535, 49151, 65535, 16384]
    part = page_content(assignments, [0, 2], make_atlas(places[[0, 2]]), None)
    assert np.frombuffer(base64.b64decode(part["rows"]), "<u4").tolist() == [0, 2]


def table(clusters: list[int], confidence: list[float], outliers: tuple[int, ...] = ()) -> Assignments:
    outlier = np.isin(np.arange(len(clusters)), outliers)
    return Assignments([str(n) for n in range(len(clusters))], np.array(clusters), np.array(confidence), outlier)


def test_typical_images_lie_in_the_middle_and_doubtful_ones_are_unsure() -> None:
    angles = np.linspace(-0.5, 0.5, 101)
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chosen = select(table([0] * 101, list(1 - np.abs(angles))), embeddings)[0]
    assert chosen.typical[0] == 50
    assert set(chosen.doubtful[:2]) == {0, 100}
    assert not set(chosen.typical) & set(chosen.doubtful)


def test_outlying_images_are_the_outliers_and_no_doubtful_ones() -> None:
    angles = np.linspace(-0.5, 0.5, 101)
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chosen = select(table([0] * 101, list(1 - np.abs(angles)), outliers=(100, 2, 50)), embeddings)[0]
    assert chosen.outlying == [100, 2]  # The third one is the most typical image of all.
    assert not set(chosen.outlying) & set(chosen.typical + chosen.doubtful)


def test_many_clusters_show_fewer_images_each() -> None:
    clusters = [place % 200 for place in range(4000)]
    chosen = select(table(clusters, [0.5] * 4000), np.random.default_rng(0).normal(size=(4000, 3)))
    assert {len(picks.rows) for picks in chosen.values()} == {6}


def test_large_runs_show_evenly_spaced_images_and_the_selected() -> None:
    assert shown_rows(np.ones(5, np.int64), [3]) == [0, 1, 2, 3, 4]
    rows = shown_rows(np.ones(10 * MOST_SHOWN, np.int64), [7, 123_457])
    assert {0, 7, 123_457, 10 * MOST_SHOWN - 1} <= set(rows)
    assert MOST_SHOWN <= len(rows) <= MOST_SHOWN + 2
    assert np.diff(rows).max() <= 11


def test_small_groups_show_each_image_once() -> None:
    chosen = select(table([3, 3], [0.5, 0.6]), np.eye(2))
    assert list(chosen) == [3]
    assert sorted(chosen[3].typical + chosen[3].doubtful) == [0, 1]


def test_thumbnails_are_kept_and_read_back(tmp_path: Path) -> None:
    thumbnails = Thumbnails({})
    tiny, large = np.zeros((8, 8, 3), np.uint8), np.full((64, 64, 3), 200, np.uint8)
    thumbnails.add(5, tiny)
    thumbnails.add(2, large)
    thumbnails.save(tmp_path / "thumbnails.npz")
    loaded = Thumbnails.load(tmp_path / "thumbnails.npz")
    assert loaded == thumbnails
    both = Thumbnails(thumbnails.encoded, make_sheets([2, 5], np.zeros((2, 40, 40, 3), np.uint8)))
    both.save(tmp_path / "thumbnails.npz")
    assert Thumbnails.load(tmp_path / "thumbnails.npz") == both
    assert str(loaded.uri(5)).startswith("data:image/png")
    assert str(loaded.uri(2)).startswith("data:image/jpeg")
    assert loaded.uri(0) is None


def test_colours_are_distinct() -> None:
    assert len(set(colours(60))) == 60
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours(60))


def test_durations_as_a_person_says_them() -> None:
    assert [duration(seconds) for seconds in (0.42, 38.2, 725, 11_400)] == ["0.4 s", "38 s", "12.1 min", "3 h 10 min"]


def test_assignments_survive_odd_names(tmp_path: Path) -> None:
    keys = ['a,"b"\n.png', "caf\udce9.png", "ü.png"]
    written = Assignments(keys, np.array([0, 1, 2]), np.array([0.5, 1.0, 0.25]), np.array([False, True, False]))
    (tmp_path / "assignments.csv").write_text(written.to_csv(), encoding="utf-8", newline="")
    read = Assignments.read(tmp_path / "assignments.csv")
    assert list(read.keys) == [printable(key) for key in keys]
    assert read.clusters.tolist() == [0, 1, 2]
    assert read.outlier.tolist() == [False, True, False]
