"""The page in a browser, through what a person sees and can reach, without a network."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coterie.cli import main
from coterie.data.sources import open_source
from coterie.data.sources.arrays import ArraySource
from coterie.data.sources.passed import SORTED_MARK
from coterie.runs.folder import RunFolder
from coterie.tables import guarded
from coterie.text import printable
from small import finished_run
from visiting import Visit, expect


def test_a_persons_work_becomes_folders(visit: Visit, run: Path, photos: Path, tmp_path: Path, capsys: Any) -> None:
    visit.name("Group 0", "Cats & =co")
    visit.card("Group 1").get_by_label("Merge into another group").fill("Cats & =co")
    visit.card("Group 1").get_by_role("button", name="Merge").click()
    visit.card("Group 2").get_by_label("Mixed").check()
    expect(visit.page.locator("#progress")).to_have_text("1 of 2 groups named · 1 mixed · 1 merged")
    visit.page.get_by_label("Find images by file name").fill("owl11")
    expect(visit.page.locator("#found")).to_have_text("1 image found")
    visit.page.locator("#found-pictures button").click()
    visit.page.get_by_label("Move to", exact=True).fill("=HYPERLINK(1)")
    visit.page.locator("#move").get_by_role("button", name="Move").click()
    rows = {row["key"]: row for row in visit.labels(tmp_path / "labels.csv")}
    assert len(rows) == 37
    assert ",".join(rows["cat/cat03.png"]) == "key,label,mixed,cluster,said,split,part"
    assert ",".join(rows["cat/cat03.png"].values()) == "cat/cat03.png,Cats & =co,0,0,0,,"
    assert rows["dog/dog03.png"]["label"] == "Cats & =co"
    assert (rows["owl/owl03.png"]["label"], rows["owl/owl03.png"]["mixed"]) == ("Group 2", "1")
    assert (rows["owl/owl11.png"]["label"], rows["owl/owl11.png"]["mixed"]) == ("'=HYPERLINK(1)", "0")
    assert "'=2+2.png" in rows
    assert 'owl/ü, "x"; <b>.png' in rows

    before = (run / "assignments.csv").read_bytes()
    target = tmp_path / "sorted"
    assert main(["apply", str(run), str(tmp_path / "labels.csv"), "--to", str(target), "--copy"]) == 0
    assert capsys.readouterr().out.startswith("37 images in 3 groups, 1 of them mixed")
    folders = [path for path in target.iterdir() if path.is_dir() and path.name != SORTED_MARK]
    assert {folder.name: len(list(folder.iterdir())) for folder in folders} == {
        "Cats & =co": 25, "Group 2 (mixed)": 11, "=HYPERLINK(1)": 1,
    }  # fmt: skip
    assert (target / "=HYPERLINK(1)" / "owl11.png").read_bytes() == (photos / "owl" / "owl11.png").read_bytes()
    assert (run / "assignments.csv").read_bytes() == before


def test_work_survives_a_reload_can_be_undone_and_loaded(visit: Visit, tmp_path: Path) -> None:
    visit.name("Group 0", "cats")
    visit.name("Group 1", "cats")  # The same name: the same group.
    expect(visit.page.get_by_role("heading", level=3).filter(has_text="cats")).to_be_focused()
    visit.card("Group 2").get_by_label("Mixed").check()
    done = visit.labels(tmp_path / "labels.csv")
    visit.page.reload()
    assert visit.labels(tmp_path / "again.csv") == done
    visit.page.get_by_role("button", name="Start over").click()
    assert {row["label"] for row in visit.labels(tmp_path / "none.csv")} == {"Group 0", "Group 1", "Group 2"}
    visit.page.get_by_label("Load labels.csv").set_input_files(tmp_path / "labels.csv")
    expect(visit.page.locator("#progress")).to_contain_text("1 mixed · 1 merged")
    assert visit.labels(tmp_path / "loaded.csv") == done
    visit.card("cats").get_by_role("button", name="Split Group 1 off again").click()
    expect(visit.card("Group 1")).to_be_visible()
    undo = visit.page.locator("aside").get_by_role("button", name="Undo")
    for _ in range(3):
        undo.click()
    expect(undo).to_be_disabled()
    assert visit.labels(tmp_path / "undone.csv") == done
    (tmp_path / "other.csv").write_text("key,label\nnowhere.png,x\n")
    visit.page.get_by_label("Load labels.csv").set_input_files(tmp_path / "other.csv")
    expect(visit.page.locator("#said")).to_have_text("other.csv cannot be used: “nowhere.png” is no image of this page")


def test_labels_load_however_a_spreadsheet_wrote_them(visit: Visit, tmp_path: Path) -> None:
    plain = visit.labels(tmp_path / "labels.csv")
    named = [{**row, "label": "é" if row["cluster"] == "0" else "all the rest"} for row in plain]

    def spelt(key: str) -> str:
        return unicodedata.normalize("NFD", key).replace("/", "\\").upper().replace('"', '""')

    lines = [f'"{spelt(row["key"])}";{unicodedata.normalize("NFD", row["label"])} ;1,0' for row in named]
    for ending, encoding in (("\r\n", "utf-16"), ("\r", "utf-8-sig")):
        content = ending.join(["sep=;", " Key; LABEL;Mixed", ";;", *lines, ""])
        (tmp_path / "saved.csv").write_bytes(content.encode(encoding))
        visit.page.get_by_role("button", name="Start over").click()
        visit.page.get_by_label("Load labels.csv").set_input_files(tmp_path / "saved.csv")
        expect(visit.page.locator("#progress")).to_contain_text("2 of 2 groups named · 2 mixed")
        found = visit.labels(tmp_path / "loaded.csv")
        assert [row["label"] for row in found] == [row["label"] for row in named]


def test_a_click_makes_a_suggested_word_the_name_and_nothing_else_does(visit: Visit, tmp_path: Path) -> None:
    words = visit.card("Group 0").locator(".words")
    expect(words.get_by_role("button")).to_have_text(["tabby 71\u202f%", "Siamese cat 12\u202f%"])
    expect(visit.card("Group 1").locator(".words")).to_have_count(0)
    assert {row["label"] for row in visit.labels(tmp_path / "none.csv")} == {"Group 0", "Group 1", "Group 2"}
    offered = words.get_by_role("button", name="tabby 71\u202f%, as a name for Group 0")
    offered.focus()
    visit.page.keyboard.press("Enter")
    expect(visit.card("tabby").get_by_role("heading", level=3)).to_be_focused()
    expect(visit.card("tabby").get_by_label("Name of tabby")).to_have_value("tabby")
    expect(visit.card("tabby").locator(".words")).to_be_hidden()
    expect(visit.page.locator("#progress")).to_have_text("1 of 3 groups named")
    assert {row["label"] for row in visit.labels(tmp_path / "one.csv")} == {"tabby", "Group 1", "Group 2"}
    visit.page.get_by_role("button", name="Undo", exact=True).first.click()
    expect(visit.card("Group 0").locator(".words")).to_be_visible()
    visit.card("Group 0").get_by_role("button", name="tabby").click()
    visit.card("Group 2").get_by_role("button", name="<b>owl</b>").click()
    expect(visit.card("<b>owl</b>")).to_be_visible()
    visit.card("<b>owl</b>").get_by_label("Name of").fill("")
    visit.card("<b>owl</b>").get_by_label("Name of").press("Enter")
    visit.card("Group 2").get_by_role("button", name="tabby").click()  # A name that is taken: one group, as when typed.
    expect(visit.page.locator("#progress")).to_have_text("1 of 2 groups named · 1 merged")
    expect(visit.card("tabby").get_by_role("heading", level=3)).to_be_focused()
    assert {row["label"] for row in visit.labels(tmp_path / "two.csv")} == {"tabby", "Group 1"}


def test_groups_are_filtered_and_sorted(visit: Visit) -> None:
    expect(visit.page).to_have_title("photos in 3 groups – coterie")
    titles = visit.page.locator("article:visible .title")
    visit.page.locator("#cards-sort").select_option("small")
    expect(titles).to_have_text(["Group 1", "Group 2", "Group 0"])
    visit.name("Group 2", "owls")
    visit.page.locator("#cards-show").select_option("named")
    expect(titles).to_have_text(["owls"])
    expect(visit.page.locator("#cards-count")).to_have_text("1 of 3 groups")
    visit.page.locator("#cards-show").select_option("impure")
    expect(titles).to_have_count(0)
    visit.page.locator("#cards-show").select_option("all")
    visit.page.locator("#cards-find").fill("dog")  # By the commonest label.
    expect(titles).to_have_text(["Group 1"])


def test_images_are_filtered_picked_and_moved_together(visit: Visit) -> None:
    grid = visit.page.locator("#images-grid > li")
    expect(grid).to_have_count(37)
    visit.page.locator("#images-group").select_option("1")
    expect(visit.page.locator("#images-count")).to_have_text("12 images found")
    visit.page.locator("#images-kind").select_option("outlier")
    expect(grid).to_have_count(1)
    visit.page.get_by_role("button", name="Clear filters").click()
    visit.page.locator("#images-kind").select_option("doubtful")
    visit.page.locator("#images-sort").select_option("doubtful")
    expect(grid).to_have_count(5)
    visit.page.get_by_label("Pick cat03.png").check()
    expect(visit.page.locator("#picked-count")).to_have_text("1 image picked")
    visit.page.get_by_role("button", name="Pick all found").click()
    visit.page.get_by_label("Move picked images to").fill("later")
    visit.page.locator("#picked").get_by_role("button", name="Move").click()
    expect(visit.card("later").locator(".facts")).to_contain_text("5 images (13.5\u202f%)")
    expect(visit.card("later").locator(".arrived li")).to_have_count(5)
    expect(visit.card("Group 0").locator(".facts")).to_contain_text("11 images")


def test_the_map_shows_pictures_and_neighbours(visit: Visit) -> None:
    visit.page.wait_for_function("document.querySelector('#map').width > 300")
    box = visit.page.locator("#map").bounding_box()
    places = [(x, y) for x in range(12, int(box["width"]), 20) for y in range(12, int(box["height"]), 20)]
    for x, y in places:
        visit.page.mouse.move(box["x"] + x, box["y"] + y)
        if visit.page.locator("#hint").is_visible():
            break
    expect(visit.page.locator("#hint .picture")).to_be_visible()
    name = visit.page.locator("#hint").inner_text().rpartition(", Group")[0]
    visit.page.mouse.down()
    visit.page.mouse.up()
    expect(visit.page.locator("#inspector-name")).to_have_text(name)
    assert visit.page.locator("#inspector-neighbours button").count() == 8
    visit.page.locator("#inspector-neighbours button").first.click()
    expect(visit.page.locator("#inspector-name")).not_to_have_text(name)
    visit.page.get_by_label("Colour").select_option("label")
    before = visit.page.locator("#map").screenshot()
    visit.page.get_by_role("button", name="Zoom in").click()
    assert any(visit.page.locator("#map").screenshot() != before for _ in range(50))


def test_everything_is_within_reach_of_the_keyboard(visit: Visit) -> None:
    keyboard = visit.page.keyboard
    visit.page.locator("#map").focus()
    keyboard.press("ArrowRight")
    spoken = visit.page.get_by_role("status").and_(visit.page.locator("#said")).text_content()
    assert "confidence" in spoken
    shown = visit.page.locator("#inspector-name").inner_text()
    assert spoken.startswith(shown)
    for key in ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"):
        keyboard.press(key)
        if visit.page.locator("#inspector-name").inner_text() != shown:
            break
    else:
        pytest.fail("no arrow leads to another image")
    keyboard.press("Enter")
    expect(visit.page.locator("#inspector")).to_be_focused()
    keyboard.press("Escape")
    expect(visit.page.locator("#inspector-image")).to_be_hidden()
    picture = visit.card("Group 0").locator(".gallery button").first
    picture.focus()
    keyboard.press("Enter")
    expect(visit.page.locator("#inspector")).to_be_focused()
    keyboard.press("Escape")
    expect(picture).to_be_focused()
    nameless = visit.page.evaluate(
        """[...document.querySelectorAll('button, input, select, canvas, a')].filter((field) =>
            !(field.labels?.length || field.getAttribute('aria-label') || field.textContent.trim()
              || field.querySelector('img[alt]')?.alt)).map((field) => field.outerHTML)"""
    )
    assert nameless == []


def test_hostile_names_are_inert(browser: Any, tmp_path: Path) -> None:
    hostile = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    keys = [hostile, "<!--<script>", "constructor", "__proto__", *(f"{place}" for place in range(8))]
    labels = np.array([f"{hostile} {place % 2}" for place in range(12)])
    run = finished_run(tmp_path / "run", ArraySource(images, keys=keys, labels=labels), np.arange(12) % 2, name=hostile)
    visit = Visit(browser, run / "report.html")
    visit.name("Group 0", hostile)
    expect(visit.card("window.broken")).to_have_count(1)
    visit.page.locator("#images-grid button").first.click()
    visit.page.reload()
    assert visit.page.evaluate("window.broken") is None
    assert [row["key"] for row in visit.labels(tmp_path / "labels.csv")] == keys
    visit.context.close()
    assert visit.troubles == []
    assert main(["apply", str(run), str(tmp_path / "labels.csv"), "--quiet"]) == 0


# Markup that would run, show itself or fetch something, as far as file names can hold it.
MARKUP = (
    "<img src=x onerror=window.broken=1>",
    "<svg onload=window.broken=1>",
    "<iframe srcdoc='x'>",
    "'\"><marquee onstart=window.broken=1>",
    "<link rel=stylesheet href=%2F%2Fhost.invalid%2Fa.css>",
    "<meta http-equiv=refresh content=0;url=%2F%2Fhost.invalid>",
    "</title><body onfocus=window.broken=1 autofocus>",
    "x;=1\t+1",
    "{{ 7 * 7 }}{% raw %}",
)


def test_names_in_every_place_of_the_page_are_text(browser: Any, tmp_path: Path) -> None:
    photos = tmp_path / f"{MARKUP[0]}{MARKUP[6].replace('/', '')}"
    for place, name in enumerate(MARKUP):
        folder = photos / f"{name.replace('/', '')}"
        folder.mkdir(parents=True)
        Image.new("RGB", (9, 9), (20 * place, 9, 9)).save(folder / f"{name.replace('/', '')}.png")
        Image.new("RGB", (9, 9), (9, 20 * place, 9)).save(folder / f"other{place}.png")
        (folder / f"skipped{name.replace('/', '')}.<b class=injected>").write_text("")
    source = open_source(photos, labels_from_folders=True)
    run = finished_run(tmp_path / "run", source, np.arange(len(source.keys)) % 2, name=str(photos))
    folder = RunFolder(run)
    settings = folder.config.read_text()
    folder.config.write_text(f"{settings}# </pre><script>window.broken=1</script><b class=injected>\n")
    folder.metrics.write_text('{"epoch": 1, "losses": {"<b class=injected> $\\\\x{$": 1.0}}\n')
    assert main(["report", str(run), "--quiet"]) == 0
    visit = Visit(browser, run / "report.html")
    rows = visit.labels(tmp_path / "labels.csv")
    assert [row["key"] for row in rows] == [guarded(printable(key)) for key in source.keys]  # As the table has them.
    named = [{**row, "label": MARKUP[place % len(MARKUP)]} for place, row in enumerate(rows)]
    with (tmp_path / "named.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*named[0]])
        writer.writeheader()
        writer.writerows(named)
    visit.page.get_by_label("Load labels.csv").set_input_files(tmp_path / "named.csv")
    expect(visit.page.locator("#progress")).to_contain_text("named")
    for name in MARKUP:
        expect(visit.page.locator("article:visible .title").filter(has_text=name)).to_have_count(1)
    visit.page.locator("#images-grid button").first.click()
    for details in visit.page.locator("details").all():
        details.evaluate("(found) => (found.open = true)")
    visit.page.mouse.wheel(0, 20_000)
    visit.page.get_by_label("Find images by file name").fill("<")
    body = visit.page.locator("body")
    for words in ("skipped<img src=x", "</pre><script>window.broken=1</script>", "<b class=injected> $", "{{ 7 * 7 }}"):
        assert words in body.text_content()
    assert visit.page.locator("script:not([type])").count() == 1
    made = ".injected, :not(.curves > figure) > svg, iframe, marquee, link"
    acting = "body[onfocus], [onerror], [onload], [onstart], meta[content^='0;']"
    assert visit.page.locator(f"{made}, {acting}").count() == 0
    assert visit.page.evaluate("window.broken") is None
    visit.context.close()
    assert visit.troubles == []
    assert main(["apply", str(run), str(tmp_path / "named.csv"), "--quiet"]) == 0


def test_without_scripts_the_page_still_reads_well(browser: Any, run: Path) -> None:
    visit = Visit(browser, run / "report.html", java_script_enabled=False)
    expect(visit.page.locator("article")).to_have_count(3)
    expect(visit.page.locator("figure.map img")).to_be_visible()
    expect(visit.page.locator("#map")).to_be_hidden()
    expect(visit.page.get_by_text("Merge into").first).to_be_hidden()
    expect(visit.page.locator("#group-2 .words")).to_have_text("tabby 30\u202f%<b>owl</b> 20\u202f%")
    expect(visit.page.locator(".words button")).to_have_count(0)
    visit.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_narrow_window(browser: Any, run: Path, scheme: str) -> None:
    visit = Visit(browser, run / "report.html", color_scheme=scheme)
    visit.page.set_viewport_size({"width": 400, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 400
    visit.card("Group 0").locator(".gallery button").first.click()
    expect(visit.page.locator("#inspector")).to_be_in_viewport()
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(21, 23, 26)") == (scheme == "dark")
    visit.context.close()
    assert visit.troubles == []


def test_names_on_the_map_do_not_cover_each_other(visit: Visit) -> None:
    page = visit.page
    for number in range(3):  # Of a dozen images in three groups many a name would lie over another.
        visit.card(f"Group {number}").get_by_label("Split into").fill("3")
        visit.card(f"Group {number}").get_by_role("button", name="Split", exact=True).click()
    page.evaluate(
        """() => {
            const pen = document.getElementById("map").getContext("2d");
            const own = pen.fillText;
            window.drawn = [];
            pen.fillText = (text, x, y) => {
                window.drawn.push([x, y, pen.measureText(text).width / 2]);
                own.call(pen, text, x, y);
            };
        }"""
    )
    page.get_by_role("button", name="Zoom out").click()
    page.wait_for_function("window.drawn.length >= 9")
    drawn = page.evaluate("window.drawn.slice(0, 9)")
    for place, (x, y, half) in enumerate(drawn):
        assert all(abs(x - other) >= half + wide or abs(y - height) >= 15 for other, height, wide in drawn[:place])
