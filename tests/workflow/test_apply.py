"""`coterie apply`: what it writes, what it refuses, and that nothing leaves its folder or is written over."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.cli import main
from coterie.data.sources import open_source
from coterie.data.sources.arrays import ArraySource
from coterie.data.sources.passed import SORTED_MARK
from coterie.tables import guarded, unguarded
from coterie.workflow.steps.sort_files import safe_name, unique_name
from small import finished_run


@pytest.fixture
def run(photo_folder: Path, tmp_path: Path) -> Path:
    """Twenty-four pictures, `blues` in group 0 and `reds` in group 1."""
    return finished_run(tmp_path / "run", open_source(photo_folder), np.arange(24) // 12, name=str(photo_folder))


def table(path: Path, *rows: str, heading: str = "key,label") -> Path:
    path.write_text("\n".join((heading, *rows)) + "\n", encoding="utf-8")
    return path


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["key"]: row for row in csv.DictReader(stream)}


def test_labels_of_some_images_go_to_their_clusters(run: Path, tmp_path: Path, capsys: Any) -> None:
    labels = table(tmp_path / "l.csv", "blues/00.png,  sky  blue", "blues/01.png,sky blue", "blues/02.png,sea")
    assert main(["apply", str(run), str(labels)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"24 images in 3 groups; see {run / 'labelled.csv'}\n21 of them had no label")
    rows = rows_of(run / "labelled.csv")
    assert [*rows["blues/00.png"]] == ["key", "label", "mixed", "cluster", "confidence", "outlier"]
    assert [rows[f"blues/{n:02d}.png"]["label"] for n in (0, 1, 2, 11)] == ["sky blue", "sky blue", "sea", "sky blue"]
    assert rows["reds/03.png"]["label"] == "Group 1"
    assert rows["reds/03.png"]["cluster"] == "1"


def test_a_spreadsheet_may_have_written_it(run: Path, tmp_path: Path) -> None:
    text = '\ufeffmixed;label;key\r\n1;\'=cats;blues/00.png\r\n;"d;gs";reds/00.png\r\n'
    (tmp_path / "l.csv").write_text(text, encoding="utf-8", newline="")
    assert main(["apply", str(run), str(tmp_path / "l.csv"), "--quiet"]) == 0
    rows = rows_of(run / "labelled.csv")
    assert (rows["blues/05.png"]["label"], rows["blues/05.png"]["mixed"]) == ("'=cats", "1")
    assert (rows["reds/05.png"]["label"], rows["reds/05.png"]["mixed"]) == ("d;gs", "0")
    again = main(["apply", str(run), str(run / "labelled.csv"), "--quiet"])  # It is a table of labels itself.
    assert again == 0
    assert rows_of(run / "labelled.csv") == rows


def test_known_labels_stand_beside(tmp_path: Path) -> None:
    source = ArraySource(np.zeros((4, 8, 8), np.uint8), labels=["-a", "b", "-a", "b"])
    run = finished_run(tmp_path / "run", source, np.array([0, 0, 1, 1]), name="pack.npz")
    assert main(["apply", str(run), str(table(tmp_path / "l.csv", "000000,x")), "--quiet"]) == 0
    assert [row["known"] for row in rows_of(run / "labelled.csv").values()] == ["'-a", "b", "'-a", "b"]
    assert main(["evaluate", str(run), "--labels", str(run / "labelled.csv"), "--quiet"]) == 0


@pytest.mark.parametrize(
    ("heading", "rows", "reason"),
    [
        ("key,label", ["blues/00.png,a", "blues/00.png,b"], "key 'blues/00.png' occurs more than once"),
        ("key,label", ["blues/00.pn,a"], "a key is no image of the run, 'blues/00.pn'; did you mean 'blues/00.png'?"),
        ("key,label", ["x,a", "y,a"], "2 keys are no images of the run, 'x' among them"),
        ("key,name", ["blues/00.png,a"], "must be a CSV with the columns key and label"),
        ("key,label,label", ["blues/00.png,a,b"], "a column occurs more than once"),
        ("key,label", [], "has no row below its heading"),
        ("key,label", ["blues/00.png, "], "gives no image a label"),
        ("key,label", ["blues/00.png,a,b"], "row 2 has 3 cells, its heading 2"),
        ("key,label,mixed", ["blues/00.png,a,yes"], "mixed must be 0 or 1, and is 'yes' for key 'blues/00.png'"),
    ],
)
def test_bad_tables_are_refused_in_a_line(
    run: Path, tmp_path: Path, capsys: Any, heading: str, rows: list[str], reason: str
) -> None:
    labels = table(tmp_path / "l.csv", *rows, heading=heading)
    assert main(["apply", str(run), str(labels), "--to", str(tmp_path / "sorted"), "--copy"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"coterie: {labels}")
    assert captured.err.count("\n") == 1
    assert reason in captured.err
    assert not (run / "labelled.csv").exists()
    assert not (tmp_path / "sorted").exists()


def test_files_that_are_no_tables(run: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "latin.csv").write_bytes("key,label\nblues/00.png,Bär\n".encode("latin-1"))
    for name, reason in (("latin.csv", "not text in UTF-8"), ("absent.csv", "No such file"), (".", "Is a directory")):
        assert main(["apply", str(run), str(tmp_path / name)]) == 2
        assert reason in capsys.readouterr().err


def test_copies_and_links_in_folders(run: Path, photo_folder: Path, tmp_path: Path, capsys: Any) -> None:
    (photo_folder / "reds" / "04.png").unlink()
    labels = table(tmp_path / "l.csv", "blues/00.png,../../sky,0", "reds/00.png,../../SKY,1", heading="key,label,mixed")
    arguments = ["apply", str(run), str(labels), "--to"]
    assert main([*arguments, str(tmp_path / "copies"), "--copy"]) == 0
    captured = capsys.readouterr()
    assert "left out reds/04.png: the file is gone" in captured.err
    assert f"23 files are in {tmp_path / 'copies'}, 1 were left out" in captured.out
    assert {path.name for path in (tmp_path / "copies").iterdir()} == {"_.._sky", "_.._SKY (mixed)", SORTED_MARK}
    assert (tmp_path / "copies" / SORTED_MARK).is_dir()  # Nothing that counts as a file.
    copy = tmp_path / "copies" / "_.._sky" / "03.png"
    original = photo_folder / "blues" / "03.png"
    assert copy.read_bytes() == original.read_bytes()
    assert not copy.is_symlink()
    assert main([*arguments, str(tmp_path / "links"), "--link", "--quiet"]) == 0
    link = tmp_path / "links" / "_.._sky" / "03.png"
    assert link.is_symlink()
    assert link.samefile(original)


def test_equal_names_get_numbers(run: Path, photo_folder: Path, tmp_path: Path) -> None:
    labels = table(tmp_path / "l.csv", "blues/00.png,both", "reds/00.png,both")
    assert main(["apply", str(run), str(labels), "--to", str(tmp_path / "sorted"), "--copy", "--quiet"]) == 0
    assert len([*(tmp_path / "sorted" / "both").iterdir()]) == 24
    second = tmp_path / "sorted" / "both" / "00 (2).png"
    assert second.read_bytes() == (photo_folder / "reds" / "00.png").read_bytes()


def test_nothing_is_written_over(run: Path, tmp_path: Path, capsys: Any) -> None:
    labels = table(tmp_path / "l.csv", "blues/00.png,sky")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    assert main(["apply", str(run), str(labels), "--to", str(tmp_path / "mine"), "--copy"]) == 2
    assert "exists already and is not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["diary.txt"]
    assert not (run / "labelled.csv").exists()


def test_where_the_images_lie(run: Path, photo_folder: Path, tmp_path: Path, capsys: Any) -> None:
    labels, target = table(tmp_path / "l.csv", "blues/00.png,sky"), tmp_path / "sorted"
    moved = photo_folder.rename(tmp_path / "moved")
    arguments = ["apply", str(run), str(labels), "--to", str(target), "--copy"]
    assert main(arguments) == 2
    assert "say where the run's images lie by --source" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    assert main([*arguments, "--source", str(tmp_path / "other")]) == 2
    assert "none of the run's images lie below" in capsys.readouterr().err
    assert not target.exists()
    assert main([*arguments, "--source", str(moved), "--quiet"]) == 0
    assert len([*(target / "sky").iterdir()]) == 12


def test_arrays_have_no_files_to_sort(tmp_path: Path, capsys: Any) -> None:
    source = ArraySource(np.zeros((4, 8, 8), np.uint8))
    run = finished_run(tmp_path / "run", source, np.array([0, 0, 1, 1]), name="sklearn:digits")
    labels = table(tmp_path / "l.csv", "000000,x")
    assert main(["apply", str(run), str(labels), "--to", str(tmp_path / "sorted"), "--copy"]) == 2
    assert "lie in an array" in capsys.readouterr().err
    for arguments in (["--copy"], ["--to", str(tmp_path / "sorted")]):
        assert main(["apply", str(run), str(labels), *arguments]) == 2
        assert "--to FOLDER goes with --copy or --link" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["s3://bucket/photos", "shards-{000..009}.tar"])
def test_images_that_lie_elsewhere_are_not_placed(tmp_path: Path, capsys: Any, name: str) -> None:
    source = ArraySource(np.zeros((4, 8, 8), np.uint8))
    run = finished_run(tmp_path / "run", source, np.array([0, 0, 1, 1]), name=name)
    labels = table(tmp_path / "l.csv", "000000,x")
    assert main(["apply", str(run), str(labels), "--to", str(tmp_path / "sorted"), "--copy"]) == 2
    assert f"the images of {name} are not files on this machine" in capsys.readouterr().err
    assert main(["apply", str(run), str(labels), "--quiet"]) == 0


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cats & dogs", "cats & dogs"),
        ("../../etc", "_.._etc"),
        ("..", "unnamed"),
        (" . hidden. ", "hidden"),
        ("a/b\\c:d\n", "a_b_c_d_"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("con", "_con"),
        ("LPT1.old", "_LPT1.old"),
        ("", "unnamed"),
        ("ü" * 300, "ü" * 100),
        ("u\u0308", "ü"),
    ],
)
def test_safe_folder_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert os.sep not in safe


def test_names_differ_also_without_regard_to_case() -> None:
    taken: set[str] = set()
    assert [unique_name(name, taken) for name in ("a.png", "A.PNG", "a.png")] == ["a.png", "A (2).PNG", "a (3).png"]
    assert [unique_name(name, taken, whole=True) for name in ("v1.0", "V1.0")] == ["v1.0", "V1.0 (2)"]


def test_long_names_are_cut_so_that_their_number_fits() -> None:
    taken: set[str] = set()
    names = [unique_name("x" * 251 + ".png", taken) for _ in range(12)]
    assert len({*names}) == 12
    assert {len(name) for name in names} <= {254, 255}
    assert names[11].endswith("x (12).png")
    assert unique_name("ü" * 120 + ".png", set(), longest=143) == "ü" * 69 + ".png"
    assert len(os.fsencode(unique_name("日" * 90, {"日" * 85}, longest=255))) <= 255


def test_a_drive_without_permissions_keeps_the_copies(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refused)
    monkeypatch.setattr(os, "utime", refused)
    labels = table(tmp_path / "l.csv", "blues/00.png,sky")
    assert main(["apply", str(run), str(labels), "--to", str(tmp_path / "stick"), "--copy"]) == 0
    assert f"24 files are in {tmp_path / 'stick'}, 0 were left out" in capsys.readouterr().out


def test_a_drive_that_refuses_letters_gets_other_names(
    run: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def strict(path: Path, mode: str = "r", **more: Any) -> Any:
        if "x" in mode and ":" in path.name:
            raise OSError(errno.EINVAL, "Invalid argument", str(path))
        return opened(path, mode, **more)

    (photo_folder / "blues" / "00.png").rename(photo_folder / "blues" / "12:30.png")
    source = open_source(photo_folder)
    run = finished_run(tmp_path / "other", source, np.arange(24) // 12, name=str(photo_folder))
    monkeypatch.setattr(Path, "open", strict)
    labels = table(tmp_path / "l.csv", "blues/12:30.png,sky")
    assert main(["apply", str(run), str(labels), "--to", str(tmp_path / "stick"), "--copy", "--quiet"]) == 0
    assert (tmp_path / "stick" / "sky" / "12_30.png").is_file()


@pytest.mark.parametrize("text", ["=1", "'=1", "''@x", "-a", "+1", "@x", "\tx", "'tis", "a=b", "", "'"])
def test_no_cell_is_a_formula_and_none_is_changed(text: str) -> None:
    assert guarded(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert unguarded(guarded(text)) == text
