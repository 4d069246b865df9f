"""A run's images are its own wherever a command is given, and others of the same names are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie import Clusterer
from coterie.cli import main
from coterie.errors import UsageError
from coterie.runs.folder import RunFolder
from coterie.runs.manifest import Manifest

FIT = ["-k", "2", "--epochs", "1", "--size", "8", "--quiet"]


def photos(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    for place, pixels in enumerate(np.random.default_rng(seed).integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{place}.png")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In `here` a run of photos/, and now in `there`, with other photos of the same names and labels for them."""
    photos(tmp_path / "here" / "photos", 0)
    photos(tmp_path / "there" / "photos", 1)
    monkeypatch.chdir(tmp_path / "here")
    assert main(["fit", "photos", *FIT, "--out", "run"]) == 0
    (tmp_path / "labels.csv").write_text("key,label\n" + "".join(f"{place}.png,all\n" for place in range(6)))
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path


def test_the_runs_own_photos_are_sorted_and_learnt_again(elsewhere: Path) -> None:
    assert main(["apply", "../here/run", "../labels.csv", "--to", "sorted", "--copy", "--quiet"]) == 0
    for place in range(6):
        own = elsewhere / "here" / "photos" / f"{place}.png"
        assert (elsewhere / "there" / "sorted" / "all" / own.name).read_bytes() == own.read_bytes()
    assert main(["stability", "../here/run", "--seeds", "1", "--quiet"]) == 0
    seed = RunFolder(elsewhere / "here" / "run" / "stability" / "seed-1")
    assert seed.read_config().data.source == str(elsewhere / "here" / "photos")


def test_other_photos_of_the_same_names_are_refused(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["--source", "photos"]
    for verb, code in (
        (["apply", "../here/run", "../labels.csv", "--to", "sorted", "--copy", *source], 2),
        (["report", "../here/run", *source], 2),
        (["stability", "../here/run", "--seeds", "1", *source], 1),
        (["fit", "photos", *FIT, "--resume", "--out", "../here/run"], 0),
    ):
        assert main(verb) == code, verb
    said = capsys.readouterr().err
    assert "are other pictures than the run's" in said
    assert "6 images of photos are not what the run read" in said
    assert "the images are not those ../here/run was started with: 6 images changed" in said
    assert not (elsewhere / "there" / "sorted").exists()


def test_one_that_changed_is_left_out_and_those_that_moved_are_found(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = (elsewhere / "here" / "photos").rename(elsewhere / "moved")
    Image.new("RGB", (8, 8), (1, 2, 3)).save(moved / "2.png")
    command = ["apply", "../here/run", "../labels.csv", "--to", "sorted", "--copy"]
    assert main(command) == 2
    assert main([*command, "--source", str(moved)]) == 0
    assert sorted(path.name for path in (elsewhere / "there" / "sorted" / "all").iterdir()) == [
        f"{place}.png" for place in (0, 1, 3, 4, 5)
    ]
    assert "left out 2.png: the file is not the picture that the run grouped" in capsys.readouterr().err


def test_checksums_of_another_reader_say_nothing(elsewhere: Path) -> None:
    path = RunFolder(elsewhere / "here" / "run").manifest
    path.write_text("another reader\n" + path.read_text().partition("\n")[2])
    found = Manifest.read(path)
    assert found is not None
    assert not found.comparable
    assert main(["report", "../here/run", "--source", "photos", "--quiet"]) == 0


def test_nothing_that_is_there_is_written_over(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = elsewhere / "there" / "mine.csv"
    there.write_text("mine")
    assign = ["assign", "../here/run", "photos", "--out", "mine.csv", "--quiet"]
    plot = ["choose-k", "photos", "--plot", "mine.csv"]
    assert main(assign) == main(plot) == 2
    assert there.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main([*assign, "--force"]) == 0
    assert there.read_text().startswith("key,")
    blobs = np.random.default_rng(0).integers(0, 255, (6, 8, 8), dtype=np.uint8)
    clusterer = Clusterer(2, epochs=1, size=8).fit(blobs)
    with pytest.raises(UsageError, match="holds a run"):
        clusterer.save(elsewhere / "here" / "run")
    for _ in range(2):
        clusterer.save(elsewhere / "saved")


@pytest.mark.parametrize("argument", ["--out", "--recipe", "RUN"])
def test_an_empty_path_is_not_the_folder_one_is_in(argument: str, elsewhere: Path) -> None:  # noqa: ARG001
    commands = {
        "--out": ["fit", "photos", *FIT, "--out", ""],
        "--recipe": ["fit", "", *FIT, "--out", "new"],
        "RUN": ["evaluate", ""],
    }
    try:
        code: object = main(commands[argument])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
