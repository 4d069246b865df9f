"""Names from elsewhere: they lead nowhere, and act neither on a terminal, nor in a spreadsheet, nor in Markdown."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.cli import main
from coterie.data.base import Skipped
from coterie.data.sources import open_source
from coterie.data.sources.arrays import ArraySource
from coterie.data.sources.folder import file_below
from coterie.data.sources.passed import SORTED_MARK
from coterie.errors import UsageError
from coterie.export._card import _inert
from coterie.export.fiftyone import _keys
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.labelled import read_labelled
from coterie.tables import to_csv
from coterie.text import in_one_line, printable
from coterie.workflow.steps.sort_files import safe_name
from intruders import Place
from small import finished_run

LEADING_OUT = ["../../x.png", "/etc/x.png", "a\\..\\b.png", "C:\\x.png", "C:x.png", "a/../../b.png", "nul\0.png", "~/x"]
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\tx",
    "\rx",
    "'=1",
    "''=1",
    "x;=1",
    "x\t=1",
    '"=1',
    "x\n=1",
    "=cmd|' /C calc'!A0",
]
ACTING = ["\x1b[31mred", "\x9b31m", "\x1b]0;title\x07", "\x08\x08", "\u202egnp.exe", "caf\udce9", "\u2066x\u2069"]


def arrays(keys: list[str]) -> ArraySource:
    return ArraySource(np.zeros((len(keys), 8, 8), np.uint8), keys=keys)


def run_of(keys: list[str], root: Path, *, name: str = "photos") -> Path:
    return finished_run(root, arrays(keys), np.arange(len(keys)) % 2, name=name)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_keys_and_labels_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, secret = tmp_path / "here" / "photos", tmp_path / "x.png"
    photos.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for path in (secret, tmp_path / "b.png", photos / "good.png"):
        Image.new("RGB", (9, 9)).save(path)
    keys = [*LEADING_OUT, "good.png"]
    run = run_of(keys, tmp_path / "run", name=str(photos))
    table = RunFolder(run)
    labels = [*LEADING_OUT, ".."]
    rows = "".join(f'"{printable(key)}","{printable(label)}"\n' for key, label in zip(keys, labels, strict=True))
    (tmp_path / "labels.csv").write_text(f"key,label\n{rows}")
    before = everything(tmp_path)
    sorted_to = tmp_path / "here" / "sorted"
    assert main(["apply", str(run), str(tmp_path / "labels.csv"), "--to", str(sorted_to), "--copy", "--quiet"]) == 0
    assert [path for path in everything(tmp_path) if path not in before and not path.startswith("here/sorted")] == [
        "run/labelled.csv"
    ]
    folders = {path.name for path in sorted_to.iterdir() if path.is_dir()} - {SORTED_MARK}
    assert len(folders) == len(keys)
    assert [path.name for path in sorted_to.rglob("*.png") if path.is_file()] == ["good.png"]
    for name in (*LEADING_OUT, "..", ".", "", "CON", "a/b", "."):
        assert not {"/", "\\", ":", "\0"} & set(safe_name(name))
        assert safe_name(name).strip(".")
    # A key is not followed to read an image's size either.
    shutil.copytree(run, tmp_path / "other")
    assert main(["export", str(tmp_path / "other"), "--coco", str(tmp_path / "coco.json"), "--quiet"]) == 0
    told = {
        image["file_name"]: image.get("width") for image in json.loads((tmp_path / "coco.json").read_text())["images"]
    }
    assert {key: width for key, width in told.items() if width} == {"good.png": 9}
    assert table.assignments.is_file()


def test_a_key_that_leads_out_names_no_file(tmp_path: Path) -> None:
    assert [file_below(tmp_path, key) for key in ("../x", "/etc/x", "a/../../x")] == [None] * 3
    assert file_below(tmp_path, "a/x..png") == tmp_path / "a" / "x..png"
    with pytest.raises(UsageError, match="leads out of"):
        _keys(["../b.jpg", "../b.png"], tmp_path)


def test_links_among_the_images_are_not_written_through(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (9, 9)).save(photos / name)
    (photos / "c.png").symlink_to(tmp_path / "elsewhere.png")
    run = finished_run(tmp_path / "run", open_source(photos), np.array([0, 1, 1]), name=str(photos))
    (tmp_path / "labels.csv").write_text("key,label\na.png,x\nb.png,x\nc.png,x\n")
    assert (
        main(
            [
                "apply",
                str(run),
                str(tmp_path / "labels.csv"),
                "--to",
                str(tmp_path / "to"),
                "--copy",
                "--quiet",
            ]
        )
        == 0
    )
    assert not (tmp_path / "elsewhere.png").exists()
    assert sorted(path.name for path in (tmp_path / "to" / "x").iterdir()) == ["a.png", "b.png"]


def test_a_run_is_not_written_through_its_links(place: Place) -> None:
    victim = place.folder / "victim"
    victim.write_text("mine")
    for name in ("report.html", "evaluation.json"):
        (place.run / name).unlink(missing_ok=True)
        (place.run / name).symlink_to(victim)
        (place.run / f".{name}.part").symlink_to(victim)
    assert main(["report", "run", "--quiet"]) == 0
    assert main(["evaluate", "run", "--quiet"]) == 0
    assert victim.read_text() == "mine"
    assert not (place.run / "report.html").is_symlink()


def test_no_cell_is_a_formula_and_every_key_comes_back(tmp_path: Path) -> None:
    keys = FORMULAS + ACTING
    run = run_of(keys, tmp_path / "run")
    folder = RunFolder(run)
    folder.write_skipped([Skipped(key, f"={key}") for key in keys])
    read = Assignments.read(folder.assignments)
    assert list(read.keys) == [printable(key) for key in keys]
    assert list(read.keys[: len(FORMULAS)]) == FORMULAS
    assert [(entry.key, entry.reason) for entry in folder.read_skipped()] == [
        (printable(key), printable(f"={key}")) for key in keys
    ]
    given = to_csv(["key", "label"], [(key, f"={place}") for place, key in enumerate(keys)])
    (tmp_path / "labels.csv").write_text(given, newline="")
    labels = read_labelled(tmp_path / "labels.csv", read)
    assert labels.labels == [f"={place}" for place in range(len(keys))]
    assert main(["apply", str(run), str(tmp_path / "labels.csv"), "--quiet"]) == 0
    for path in (folder.assignments, folder.skipped, folder.labelled):
        text = path.read_bytes().decode()
        assert not [letter for letter in text if letter < " " and letter not in "\t\r\n"]
        # As read with commas, and as a spreadsheet set to semicolons or tabs reads it.
        for delimiter in ",;\t":
            for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter):
                assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")], (
                    path.name,
                    delimiter,
                )


def test_names_do_not_act_on_the_terminal(
    place: Place, photo_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = photo_folder / "\x1b[31mred\u202e\nline"
    odd.mkdir()
    (odd / "\x1b]0;broken\x07.png").write_bytes(b"no")
    Image.new("RGB", (9, 9)).save(odd / "\x1b[2J.png")
    monkeypatch.chdir(place.folder)
    shutil.move(photo_folder, "\x1b[5mphotos $\\oops{$")
    source = "\x1b[5mphotos $\\oops{$"
    fit = [
        "fit",
        source,
        "-k",
        "2",
        "--epochs",
        "1",
        "--set",
        "hidden=16",
        "--set",
        "projection=8",
        "--labels-from-folders",
    ]
    commands = [
        ([*fit, "--out", "\x1b[7mrun $\\oops{$"], 0),
        (["assign", "\x1b[7mrun $\\oops{$", source], 0),
        (["evaluate", "\x1b[7mrun $\\oops{$"], 0),
        (["report", "\x1b[7mrun $\\oops{$"], 0),
        (["apply", "\x1b[7mrun $\\oops{$", "\x1b[1mnone.csv"], 2),
        (["fit", "\x1b[1mnone", "-k", "2", "--out", "x"], 2),
    ]
    for command, code in commands:
        assert main(command) == code
        told = capsys.readouterr()
        assert not [letter for letter in told.out + told.err if letter in "\x1b\x07\u202e"], command
        assert "\\x1b[" in told.out + told.err


def test_text_by_hand() -> None:
    assert printable("a\x1bb\u202ec\udce9\x00ü\n") == "a\\x1bb\\u202ec\\udce9\\x00ü\n"
    assert in_one_line("a\nb\tc\r") == "a\\nb\\tc\\r"
    assert all(printable(printable(text)) == printable(text) for text in (*FORMULAS, *ACTING, *LEADING_OUT))


def test_a_card_holds_no_markup_of_others() -> None:
    told = _inert("[x](javascript:y) <script>z</script> | `code` ![i](//host/i.png)\n# heading")
    for markup in ("](", "<script", "`", "\n"):
        assert markup not in told
    assert _inert("resnet18-small, [0.3, 1.0]") == "resnet18-small, [0.3, 1.0]"
