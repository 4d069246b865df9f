"""Tables as people, spreadsheets and other programs write them, and the names in them."""

from __future__ import annotations

import codecs
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from coterie.cli import main
from coterie.data.sources.arrays import ArraySource
from coterie.errors import UsageError
from coterie.naming import class_names, differ_in_capitals, matched, nearest
from coterie.runs.assignments import Assignments
from coterie.tables import number, read_table, whole
from small import finished_run

ROWS = [{"key": "a b.png", "label": "x, y"}, {"key": "b.png", "label": "two\nlines"}]
PLAIN = 'key,label\na b.png,"x, y"\nb.png,"two\nlines"\n'
WAYS = {
    "plain": PLAIN.encode(),
    "utf-8 with its mark": codecs.BOM_UTF8 + PLAIN.encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16 the other way": codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
    "utf-16 without a mark": PLAIN.encode("utf-16-le"),
    "excel's unicode text": 'key\tlabel\r\na b.png\tx, y\r\nb.png\t"two\nlines"\r\n'.encode("utf-16"),
    "semicolons": b'key;label\na b.png;x, y\nb.png;"two\nlines"\n',
    "sep": b'sep=;\r\nkey;label\r\na b.png;x, y\r\nb.png;"two\nlines"\r\n',
    "sep in quotes, with a mark": codecs.BOM_UTF8 + b'"sep=|"\nkey|label\na b.png|x, y\nb.png|"two\nlines"\n',
    "old macs": b'key,label\ra b.png,"x, y"\rb.png,"two\nlines"\r',
    "no last line break": PLAIN.strip().encode(),
    "capitals and blanks": b'\xef\xbb\xbf Label , KEY\n"x, y",a b.png\n"two\nlines",b.png\n',
    "blanks after commas": b'key, label\na b.png, "x, y"\nb.png, "two\nlines"\n',
    "rows without content": b'\n,,\nkey,label,\n\na b.png,"x, y",\n,,,,\nb.png,"two\nlines"\n , \n',
    "an index and empty columns": b',key,label,,\n0,a b.png,"x, y",,\n1,b.png,"two\nlines",,,\n',
    "what is empty left out": b'key,label,note\na b.png,"x, y"\nb.png,"two\nlines",n\n',
}


def table(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_is_read_alike(way: str, tmp_path: Path) -> None:
    rows = read_table(table(tmp_path / "l.csv", WAYS[way]), ("key", "label"))
    assert [{name: row[name] for name in ("key", "label")} for row in rows] == ROWS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04rest", "it is a spreadsheet"),
        ("key,label\na,Bär\n".encode("latin-1"), "not text in UTF-8"),
        (b"key|label\na|b\n", "must be a CSV with the columns key and label"),
        (b"key,label\n\na\n", "row 3 has 1 cells, its heading 2"),
        (b"Key,label, key \na,b,c\n", "occurs more than once"),
        (b'key,label\n"a,b\n', "cannot be read as CSV"),
        (b"", "must be a CSV"),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        read_table(table(tmp_path / "l.csv", content), ("key", "label"))


def test_numbers_of_spreadsheets() -> None:
    assert [number(text) for text in ("0,5", " 0.5", "5E-1", "5,0E-01")] == [0.5] * 4
    assert [whole(text) for text in ("3", "3.0", "3,0", " 3")] == [3] * 4
    for text in ("3,5", "1,234", "", "x", "nan", "inf"):
        with pytest.raises((ValueError, OverflowError)):
            whole(text)


def test_assignments_saved_by_a_spreadsheet(tmp_path: Path) -> None:
    plain = "key,cluster,confidence,outlier,outlier_score,label\na,0,0.95,0,1.5,x\nb,1,0.5,1,2,\n"
    saved = "sep=;\r\nKey;Cluster;Confidence;Outlier;Outlier_Score;Label\r\na;0,0;0,95;0;1,5;x \r\nb;1;0,5;1,0;2\r\n"
    first, second = (
        Assignments.read(table(tmp_path / f"{n}.csv", text)).to_csv() for n, text in enumerate((plain, saved))
    )
    assert first == second


def test_class_names() -> None:
    assert class_names(["red", "red ", " red", "re\u200bd", "dark\u00a0 red"]) == ["red"] * 4 + ["dark red"]
    assert len({*class_names(["café", unicodedata.normalize("NFD", "café")])}) == 1
    assert class_names(["1.0", "2,0", "NaN", "", "-1.0"]) == ["1", "2", "", "", "-1"]
    assert class_names(["01", "1", "001"]) == ["01", "1", "001"]
    assert class_names(["nan", "grandpa", "1.0"]) == ["nan", "grandpa", "1.0"]
    assert class_names(["1.5", "2.0"]) == ["1.5", "2.0"]
    assert differ_in_capitals(["b", "a", "B", "A"]) == ("A", "a")
    assert differ_in_capitals(["a", "b", "", ""]) is None


def test_keys_mean_what_is_clear() -> None:
    known = ["dogs/é.png", "A.png", "a.png", "B.png", "000012", "one two.png", "x.png"]
    given = {
        "dogs\\e\u0301.png": "dogs/é.png",  # Windows and a Mac.
        "./A.png": "A.png",
        "a.png": "a.png",
        "b.PNG": "B.png",
        "12.0": "000012",
        "one\u00a0two.png ": "one two.png",
    }
    assert matched(given, known) == given
    assert matched(["Ä.png", "a.PNG"], ["A.png", "a.png"]) == {}  # It could be either.
    assert matched(["x.png", "X.png"], ["x.png"]) == {"x.png": "x.png"}
    assert matched(["X.png", "x.PNG"], ["x.png"]) == {}


def test_no_name_is_suggested_that_looks_the_same() -> None:
    assert nearest("blues/00.pn", ["blues/00.png"]) == "; did you mean 'blues/00.png'?"
    hint = nearest("c\u0430t.png", ["cat.png"])
    assert hint == ("; did you mean 'cat.png', which has LATIN SMALL LETTER A where yours has CYRILLIC SMALL LETTER A?")
    assert nearest("zebra", ["x.png"]) == ""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    keys = ["café/é.png", "müller.png", "plain.png", "000007"]
    source = ArraySource(np.zeros((4, 8, 8), np.uint8), labels=["b", "b", "a", "a"], keys=keys)
    return finished_run(tmp_path / "run", source, np.array([0, 0, 1, 1]), name="pack.npz")


SPELT = (
    "key;label\ncafe\u0301\\e\u0301.png;b \nmu\u0308ller.png; b\nPLAIN.png;a\n7;a\u200b\n".encode("utf-16"),
    "key,label\nnobody.png,b\ncafé/é.png,b\nmüller.png,b\nplain.png,a\n000007,a\n".encode(),
)


def test_evaluate_reads_labels_as_apply_does(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = table(tmp_path / "l.csv", SPELT[0])
    assert main(["evaluate", str(run), "--labels", str(labels)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("ACC 1.0000")
    assert "(4 labelled images)" in told.out
    assert (
        told.err
        == f"{labels}: 4 keys are spelt otherwise than the images (accents, blanks, slashes, capitals or zeros)\n"
    )
    assert main(["apply", str(run), str(labels)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("4 images in 2 groups")
    assert "4 keys are spelt otherwise" in told.err
    assert [row["key"] for row in read_table(run / "labelled.csv", ("key",))][:2] == ["café/é.png", "müller.png"]


def test_rows_that_mean_no_image_are_counted(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = table(tmp_path / "l.csv", SPELT[1])
    assert main(["evaluate", str(run), "--labels", str(labels)]) == 0
    assert capsys.readouterr().err == f"{labels}: a key is no image of the run, 'nobody.png'\n"
    assert main(["apply", str(run), str(labels)]) == 2
    assert "a key is no image of the run, 'nobody.png'" in capsys.readouterr().err


def test_labels_that_capitals_tell_apart_are_two_and_told(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = table(tmp_path / "l.csv", "key,label\nplain.png,Red\nmüller.png,red\n")
    assert main(["evaluate", str(run), "--labels", str(labels), "--quiet"]) == 0
    assert main(["evaluate", str(run), "--labels", str(labels)]) == 0
    assert "'Red' and 'red' count as two labels" in capsys.readouterr().err
