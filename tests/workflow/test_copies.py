"""Copies in a run: listed, counted once if asked for, shown as one picture, and following it to its group."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.cli import main
from coterie.runs.duplicates import read_duplicates

FIT = ["-k", "2", "--epochs", "1", "--device", "cpu", "--quiet", "--out"]


@pytest.fixture
def twice(photo_folder: Path) -> Path:
    """Three pictures that are there twice; two of the copies bear the name of theirs."""
    for name, copy in (("00", "00(1)"), ("01", "01 copy"), ("02", "zz")):
        with Image.open(photo_folder / "reds" / f"{name}.png") as image:
            image.save(photo_folder / "reds" / f"{copy}.png")
    return photo_folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [*csv.DictReader(stream)]


@pytest.mark.parametrize("more", [[], ["--collapse-copies"], ["--method", "byol", "--collapse-copies"]])
def test_copies_are_listed_and_grouped(twice: Path, tmp_path: Path, more: list[str]) -> None:
    run = tmp_path / "run"
    assert main(["fit", str(twice), *FIT, str(run), *more]) == 0
    found = {row["key"]: (row["copy_of"], row["likeness"], row["named"]) for row in rows(run / "duplicates.csv")}
    assert found == {
        "reds/00(1).png": ("reds/00.png", "1.000000", "1"),
        "reds/01 copy.png": ("reds/01.png", "1.000000", "1"),
        "reds/zz.png": ("reds/02.png", "1.000000", "0"),
    }
    table = {row["key"]: row["cluster"] for row in rows(run / "assignments.csv")}
    assert len(table) == 27
    assert all(table[key] == table[first] for key, (first, *_) in found.items())
    assert sum(json.loads((run / "summary.json").read_text())["cluster_sizes"]) == 27
    assert not (run / "once.npy").exists()
    # The page shows each once, and the labels of a person go with the picture.
    page = (run / "report.html").read_text()
    assert "reds/zz.png" not in page.partition('id="content"')[2].partition("</script>")[0]
    assert "×2" in page
    labels = tmp_path / "labels.csv"
    labels.write_text("key,label\nreds/02.png,mine\nblues/00.png,theirs\n")
    assert main(["apply", str(run), str(labels), "--quiet"]) == 0
    assert {row["key"]: row["label"] for row in rows(run / "labelled.csv")}["reds/zz.png"] == "mine"


def test_a_run_is_resumed_with_its_copies(twice: Path, tmp_path: Path) -> None:
    for name, more in (("one", []), ("two", ["--set", "train.epochs=2"])):
        assert main(["fit", str(twice), *FIT[:2], "--device", "cpu", "--quiet", "--out", str(tmp_path / name),
                     "--collapse-copies", "--epochs", "2", *more]) == 0  # fmt: skip
    assert (tmp_path / "one" / "assignments.csv").read_bytes() == (tmp_path / "two" / "assignments.csv").read_bytes()
    assert main(["fit", str(twice), "-k", "2", "--out", str(tmp_path / "one"), "--resume", "--quiet"]) == 0


def test_a_table_of_copies_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "duplicates.csv"
    path.write_text("key,copy_of\na,b\nb,a\nc,x\nd,a\ne,c\n")
    assert read_duplicates(path, ["a", "b", "c", "d", "e"]).tolist() == [0, 1, 2, 3, 2]
    path.write_text("nonsense")
    assert read_duplicates(path, ["a", "b"]).tolist() == [0, 1]
    assert np.array_equal(read_duplicates(tmp_path / "none.csv", ["a"]), [0])
