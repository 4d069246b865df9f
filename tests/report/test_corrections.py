"""Splitting, gathering and naming on the page from disk, by pointer and by keys, and what the table then says."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.cli import main
from coterie.data.sources.arrays import ArraySource
from coterie.report.page import write_report
from coterie.runs.folder import RunFolder
from small import finished_run
from visiting import Visit, expect

SIDES = [f"{side}{place}" for side in ("left", "right") for place in range(8)]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Group 0 holds two kinds far apart, eight on the left and eight on the right of the map; group 1 is below."""
    rng = np.random.default_rng(0)
    places = np.array([[-1.0, 0.5]] * 8 + [[1.0, 0.5]] * 8 + [[0.0, -1.0]] * 8)
    images = rng.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    source = ArraySource(images, keys=[*SIDES, *(f"below{place}" for place in range(8))])
    clusters = np.repeat([0, 1], [16, 8])
    embeddings = places + 0.1 * rng.normal(size=(24, 2))
    return finished_run(tmp_path / "run", source, clusters, embeddings=embeddings)


@pytest.fixture
def page(browser: Any, mixed: Path) -> Any:
    found = Visit(browser, mixed / "report.html")
    yield found
    found.context.close()
    assert found.troubles == []


def split(visit: Visit, card: str, parts: int) -> None:
    visit.card(card).first.get_by_label("Number of parts").fill(str(parts))
    visit.card(card).first.get_by_role("button", name="Split", exact=True).click()


def sides(rows: list[dict[str, str]], column: str) -> list[set[str]]:
    """What a column says of the images on the left, on the right and below."""
    return [{row[column] for row in rows if row["key"].startswith(side)} for side in ("left", "right", "below")]


def test_a_group_is_split_named_and_becomes_folders(page: Visit, mixed: Path, tmp_path: Path, capsys: Any) -> None:
    split(page, "Group 0", 2)
    expect(page.card("Group 0, part 1").get_by_role("heading", level=3)).to_be_focused()
    expect(page.page.locator("#progress")).to_have_text("0 of 3 groups named · 1 split")
    expect(page.card("Group 0, part 2").locator(".facts")).to_contain_text("8 images")
    rows = page.labels(tmp_path / "labels.csv")
    assert sides(rows, "label") == [{"Group 0"}, {"Group 0"}, {"Group 1"}]
    assert sides(rows, "split") == [{"2"}, {"2"}, {""}]
    assert sorted(map(tuple, sides(rows, "part"))) == [("",), ("1",), ("2",)]
    assert {row["said"] for row in rows} == {"0"}
    assert main(["apply", str(mixed), str(tmp_path / "labels.csv")]) == 0
    assert capsys.readouterr().out.startswith("24 images in 3 groups")
    assert "Group 0, part 2" in (mixed / "labelled.csv").read_text()

    page.page.reload()
    assert page.labels(tmp_path / "again.csv") == rows
    page.page.get_by_role("button", name="Start over").click()
    page.page.get_by_label("Load labels.csv").set_input_files(tmp_path / "labels.csv")
    expect(page.page.locator("#progress")).to_contain_text("1 split")
    assert page.labels(tmp_path / "loaded.csv") == rows

    page.name("Group 0, part 2", "kittens")
    rows = page.labels(tmp_path / "named.csv")
    assert Counter(row["label"] for row in rows) == {"Group 0": 8, "kittens": 8, "Group 1": 8}
    assert {row["split"] for row in rows} == {""}
    page.page.get_by_label("Load labels.csv").set_input_files(tmp_path / "named.csv")
    assert page.labels(tmp_path / "same.csv") == rows
    undo = page.page.locator("aside").get_by_role("button", name="Undo")
    while undo.is_enabled():
        undo.click()
    assert sides(page.labels(tmp_path / "none.csv"), "split") == [{"2"}, {"2"}, {""}]  # As it was after the reload.


def test_parts_are_split_further_and_come_back(page: Visit, tmp_path: Path) -> None:
    page.name("Group 0", "pets")
    split(page, "pets", 2)
    split(page, "pets, part 2", 2)
    rows = page.labels(tmp_path / "labels.csv")
    assert Counter((row["label"], row["split"], row["part"]) for row in rows)["Group 1", "", ""] == 8
    assert {row["part"] for row in rows if row["label"] == "pets"} == {"1", "2", "3"}
    assert {row["split"] for row in rows if row["label"] == "pets"} == {"3"}
    card = page.card("pets, part 1")
    card.get_by_label("Merge into another group").fill("pets, part 3")
    card.get_by_role("button", name="Merge").click()
    expect(page.card("pets, part 2").get_by_role("heading", level=3)).to_be_focused()
    expect(page.card("pets, part 3")).to_have_count(0)
    page.card("pets, part 2").get_by_label("Merge into another group").fill("Group 1")
    page.card("pets, part 2").get_by_role("button", name="Merge").click()
    expect(page.card("pets")).to_have_count(1)
    rows = page.labels(tmp_path / "merged.csv")
    assert {row["split"] for row in rows} == {""}
    assert Counter(row["label"] for row in rows)["Group 1"] > 8
    split(page, "Group 1", 40)
    expect(page.page.locator("#said")).to_contain_text("it can be split into 2 to")


def drag(visit: Visit, corners: list[tuple[float, float]]) -> None:
    """Draw on the map, by shares of its width and height."""
    box = visit.page.locator("#map").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    visit.page.mouse.move(*points[0])
    visit.page.mouse.down()
    for x, y in points[1:]:
        visit.page.mouse.move(x, y, steps=4)
    visit.page.mouse.up()


LEFT = [(0.01, 0.01), (0.45, 0.01), (0.45, 0.55), (0.01, 0.55)]


def test_a_lasso_picks_and_a_name_is_said_of_each_image(page: Visit, tmp_path: Path) -> None:
    page.page.locator("#map").scroll_into_view_if_needed()
    page.page.get_by_role("button", name="Lasso").click()
    drag(page, LEFT)
    expect(page.page.locator("#picked-count")).to_have_text("8 images picked")
    expect(page.page.locator("#images-grid > li")).to_have_count(8)
    page.page.get_by_label("Move picked images to").fill("cats")
    page.page.locator("#picked").get_by_role("button", name="Move").click()
    expect(page.page.locator("#picked")).to_be_hidden()
    rows = page.labels(tmp_path / "labels.csv")
    assert sides(rows, "label") == [{"cats"}, {"Group 0"}, {"Group 1"}]
    assert sides(rows, "said") == [{"1"}, {"0"}, {"0"}]
    # The same where the images already are in the group of that name: they are said to be.
    page.name("Group 1", "owls")
    page.page.get_by_role("button", name="Lasso").click()  # Off: the shift key draws all the same.
    page.page.keyboard.down("Shift")
    drag(page, [(0.01, 0.6), (0.99, 0.6), (0.99, 0.99), (0.01, 0.99)])
    page.page.keyboard.up("Shift")
    page.page.get_by_label("Move picked images to").fill("owls")
    page.page.locator("#picked").get_by_role("button", name="Move").click()
    rows = page.labels(tmp_path / "both.csv")
    assert (sides(rows, "label")[2], sides(rows, "said")[2]) == ({"owls"}, {"1"})
    page.page.reload()
    assert page.labels(tmp_path / "again.csv") == rows
    page.page.locator("#images-kind").select_option("said")
    expect(page.page.locator("#images-grid > li")).to_have_count(16)


def test_a_few_picked_images_bring_those_like_them(page: Visit, tmp_path: Path) -> None:
    for name in ("right0", "right3"):
        page.page.get_by_label(f"Pick {name}", exact=True).check()
    page.page.get_by_role("button", name="More like these").click()
    boxes = page.page.locator("#images-grid input")
    expect(page.page.locator("#images-count")).to_have_text("24 images found")
    named = [box.get_attribute("aria-label").removeprefix("Pick ") for box in boxes.all()]
    assert named[:2] == ["right0", "right3"]
    assert {name[:5] for name in named[2:8]} == {"right"}
    for name in named[2:5]:
        page.page.get_by_label(f"Pick {name}", exact=True).check()
    page.page.get_by_label("Move picked images to").fill("dogs")
    page.page.locator("#picked").get_by_role("button", name="Move").click()
    said = {row["key"] for row in page.labels(tmp_path / "labels.csv") if row["said"] == "1"}
    assert said == {*named[:5]}
    # What was named is not brought again.
    page.page.get_by_label(f"Pick {named[5]}", exact=True).check()
    page.page.get_by_role("button", name="More like these").click()
    expect(page.page.locator("#images-count")).to_have_text("19 images found")


def test_picking_and_the_lasso_are_within_reach_of_the_keyboard(page: Visit) -> None:
    keyboard, chosen = page.page.keyboard, page.page.locator("#inspector-name")
    page.page.locator("#map").focus()
    keyboard.press("ArrowRight")
    keyboard.press(" ")
    expect(page.page.locator("#picked-count")).to_have_text("1 image picked")
    expect(page.page.get_by_role("button", name="Pick", exact=True)).to_have_attribute("aria-pressed", "true")
    keyboard.press(" ")
    expect(page.page.locator("#picked")).to_be_hidden()
    keyboard.press("l")
    expect(page.page.get_by_role("button", name="Lasso")).to_have_attribute("aria-pressed", "true")
    seen = set()
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown") * 2:
        keyboard.press(key)
        seen.add(chosen.inner_text())
        keyboard.press(" ")
        expect(page.page.locator("#said")).to_contain_text(f"at {chosen.inner_text()}")
    assert len(seen) > 2
    keyboard.press("Escape")
    expect(page.page.locator("#inspector-image")).to_be_visible()  # Escape gave the line up, not the image.
    for _ in range(2):
        for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
            for _ in range(6):
                keyboard.press(key)
            keyboard.press(" ")
    keyboard.press("Enter")
    expect(page.page.get_by_label("Move picked images to")).to_be_focused()


def test_a_refined_run_takes_over_what_was_said(browser: Any, mixed: Path, tmp_path: Path) -> None:
    """By its own labels.csv, and, of what was said on the older page, by the keys of the images."""
    visit = Visit(browser, mixed / "report.html")
    visit.name("Group 1", "owls")
    visit.page.get_by_label("Pick left3", exact=True).check()
    visit.page.get_by_label("Move picked images to").fill("cats")
    visit.page.locator("#picked").get_by_role("button", name="Move").click()

    images = np.zeros((24, 8, 8, 3), dtype=np.uint8)
    keys = [row["key"] for row in visit.labels(tmp_path / "labels.csv")]
    refined = finished_run(tmp_path / "refined", ArraySource(images, keys=keys), np.repeat([2, 0, 1], 8))
    folder, older = RunFolder(refined), content(mixed / "report.html")["run"]
    told = "".join(f"{key},dogs,1\n" for key in keys[8:10])
    folder.labels.write_text(f"key,label,said\n{told}left3,lions,0\n")
    write_report(folder, {**folder.read_summary(), "refined": {"before": older}})
    visit.page.goto((refined / "report.html").as_uri())
    expect(visit.page.locator("#said")).to_have_text("What you said on the older page was taken over")
    rows = {row["key"]: row for row in visit.labels(tmp_path / "carried.csv")}
    assert (rows["right0"]["label"], rows["right0"]["said"], rows["right7"]["label"]) == ("dogs", "1", "dogs")
    assert (rows["left3"]["label"], rows["left3"]["said"]) == ("cats", "1")
    assert (rows["below5"]["label"], rows["below5"]["said"]) == ("owls", "0")
    visit.context.close()
    assert visit.troubles == []


def content(report: Path) -> dict[str, Any]:
    found = re.search(r'id="content">(.*?)</script>', report.read_text(encoding="utf-8"))
    assert found is not None
    return dict(json.loads(found[1]))


def test_the_vectors_of_the_page_keep_neighbours(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(300, 20)) * np.geomspace(1, 0.01, 20)
    source = ArraySource(np.zeros((300, 8, 8, 3), np.uint8))
    run = finished_run(tmp_path / "run", source, np.arange(300) % 3, embeddings=points)
    found = content(run / "report.html")
    vectors = np.frombuffer(base64.b64decode(found["vectors"]), "i1").reshape(300, found["axes"]).astype(float)
    assert found["axes"] == 20

    def nearest(rows: np.ndarray) -> np.ndarray:
        return np.square(rows[:, None] - rows).sum(axis=2).argsort(axis=1)[:, 1:11]

    pairs = zip(nearest(points), nearest(vectors), strict=True)
    assert np.mean([len({*one} & {*other}) / 10 for one, other in pairs]) > 0.9
