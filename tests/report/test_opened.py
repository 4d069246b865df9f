"""The page as `coterie open` serves it: what is done there is kept in the run, and refines it."""

from __future__ import annotations

import csv
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.cli import main
from coterie.listener import Listener
from coterie.runs.folder import RunFolder
from coterie.runs.lock import only_writer
from coterie.workflow.open import open_run
from visiting import Visit, expect

KEYS = [f"{kind}{place}" for kind in ("cat", "dog", "owl") for place in range(20)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two groups on three kinds: cats and dogs are in one."""
    here = tmp_path_factory.mktemp("opened")
    middles = np.repeat([[1.0, 0.3, 0, 0], [1.0, -0.3, 0, 0], [0, 0, 1.0, 0]], 20, axis=0)
    features = middles + 0.05 * np.random.default_rng(0).normal(size=(60, 4))
    np.savez(here / "features.npz", features=features.astype(np.float32), keys=np.array(KEYS))
    arguments = ["fit", str(here / "features.npz"), "-k", "2", "--method", "kmeans", "--quiet", "--device", "cpu"]
    assert main([*arguments, "--set", "whitening=0", "--out", str(here / "run")]) == 0
    return here / "run"


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


@pytest.fixture
def address(run: Path) -> Iterator[str]:
    listener, served = Listener(), threading.Event()
    found: list[str] = []

    def opened(address: str) -> None:
        found.append(address)
        served.set()

    thread = threading.Thread(target=open_run, args=(run, listener), kwargs={"opened": opened})
    thread.start()
    assert served.wait(30)
    yield found[0]
    listener.stopping = 2
    thread.join(30)
    assert not thread.is_alive()


def kept(run: Path) -> dict[str, dict[str, str]]:
    path = RunFolder(run).labels
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["key"]: row for row in csv.DictReader(stream)}


def told(run: Path, column: str, kind: str) -> set[str]:
    return {row[column] for key, row in kept(run).items() if key.startswith(kind)}


def eventually(visit: Visit, asked: Any) -> None:
    for _ in range(300):
        if asked():
            return
        visit.page.wait_for_timeout(50)
    pytest.fail("it did not come about")


def test_work_is_saved_split_and_refined(browser: Any, run: Path, address: str, tmp_path: Path) -> None:
    visit = Visit(browser, address)
    both = kept(run) or {row["key"]: row for row in visit.labels(tmp_path / "labels.csv")}
    group, owls = both["cat0"]["cluster"], both["owl0"]["cluster"]
    visit.name(f"Group {owls}", "owls")
    eventually(visit, lambda: told(run, "label", "owl") == {"owls"})
    visit.card(f"Group {group}").get_by_role("button", name="Split", exact=True).click()
    expect(visit.card(f"Group {group}, part 2")).to_be_visible()
    eventually(visit, lambda: told(run, "part", "cat") | told(run, "part", "dog") == {"1", "2"})
    assert told(run, "part", "cat") != told(run, "part", "dog")
    visit.name(f"Group {group}, part {kept(run)['cat0']['part']}", "cats")
    eventually(visit, lambda: told(run, "label", "cat") == {"cats"})
    visit.page.get_by_label("Pick cat3", exact=True).check()
    visit.page.get_by_label("Pick cat4", exact=True).check()
    visit.page.get_by_role("button", name="More like these").click()
    expect(visit.page.locator("#images-count")).to_have_text("60 images found")
    expect(visit.page.locator("#images-grid input").nth(5)).to_have_attribute("aria-label", re.compile("Pick cat"))
    visit.page.get_by_label("Move picked images to").fill("cats")
    visit.page.locator("#picked").get_by_role("button", name="Move").click()
    eventually(visit, lambda: kept(run)["cat3"]["said"] == "1")
    visit.page.get_by_role("button", name="Refine").click()
    visit.page.wait_for_url("**/1/")
    expect(visit.page.locator("#progress")).to_contain_text("named")
    rows = {row["key"]: row for row in visit.labels(tmp_path / "refined.csv")}
    assert {rows[f"cat{place}"]["label"] for place in range(20)} == {"cats"}
    assert {rows[f"owl{place}"]["label"] for place in range(20)} == {"owls"}
    assert not {"cats", "owls"} & {rows[f"dog{place}"]["label"] for place in range(20)}
    visit.context.close()
    assert visit.troubles == []


def test_two_windows_do_not_lose_each_others_work(browser: Any, run: Path, address: str) -> None:
    one = Visit(browser, address)
    two = Visit(browser, address, beside=one)
    three = [visit.card("Group").get_by_label("Name of") for visit in (one, two)]
    three[0].nth(0).fill("first")
    three[0].nth(0).press("Enter")
    eventually(one, lambda: "first" in {row["label"] for row in kept(run).values()})
    three[1].nth(1).fill("second")
    three[1].nth(1).press("Enter")
    expect(two.page.locator("#said")).to_contain_text("Work from another window was taken in")
    eventually(two, lambda: {row["label"] for row in kept(run).values()} == {"first", "second"})
    # Both name the same image: the later word holds, and is told of.
    for visit, name in ((one, "cats"), (two, "lions")):
        visit.page.get_by_label("Pick cat7", exact=True).check()
        visit.page.get_by_label("Move picked images to").fill(name)
        visit.page.locator("#picked").get_by_role("button", name="Move").click()
        eventually(visit, lambda name=name: kept(run)["cat7"]["label"] == name)
    expect(two.page.locator("#said")).to_contain_text("1 image had two names: yours holds")
    one.context.close()
    assert one.troubles == two.troubles == []


def test_what_cannot_be_saved_is_told_and_kept(browser: Any, run: Path, address: str) -> None:
    visit = Visit(browser, address)
    with only_writer(run):
        visit.card("Group").first.get_by_label("Name of").fill("mine")
        visit.card("Group").first.get_by_label("Name of").press("Enter")
        expect(visit.page.locator("#said")).to_contain_text("is being written by")
    assert kept(run) == {}
    visit.page.evaluate("window.dispatchEvent(new Event('focus'))")
    eventually(visit, lambda: "mine" in {row["label"] for row in kept(run).values()})
    visit.page.reload()
    expect(visit.card("mine")).to_be_visible()
    visit.context.close()
    assert [trouble for trouble in visit.troubles if "422" not in trouble] == []


def test_a_page_from_elsewhere_gets_nothing(browser: Any, run: Path, address: str, tmp_path: Path) -> None:
    visit = Visit(browser, address)
    (tmp_path / "elsewhere.html").write_text("<title>elsewhere</title>")
    stranger = visit.context.new_page()
    stranger.goto((tmp_path / "elsewhere.html").as_uri())
    script = """async (address) => {
        const post = { method: "POST", body: "{}" };
        const tries = [
            () => fetch(address),
            () => fetch(address + "labels", { ...post, headers: { "Content-Type": "application/json" } }),
            async () => {
                await fetch(address + "labels", { ...post, mode: "no-cors" });
                throw new Error("as it can see nothing");
            },
        ];
        const read = [];
        for (const attempt of tries) await attempt().then(() => read.push(1), () => {});
        const frame = document.createElement("iframe");
        frame.src = address;
        document.body.append(frame);
        await new Promise((resolve) => (frame.onload = resolve));
        return [read.length, frame.contentDocument === null];
    }"""
    assert stranger.evaluate(script, address) == [0, True]
    assert kept(run) == {}
    visit.context.close()
    assert visit.troubles == []
