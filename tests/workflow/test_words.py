"""Suggested names from the command line to the run's files, and from Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiny
from coterie import Clusterer, load
from coterie.cli import main

pytest.importorskip("transformers")
WORDS = ["red", "blue", "fish", "car"]


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return f"hf:{tiny.tokenizer(tiny.clip(tmp_path), WORDS)}"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("\ufeffred  fish\n\nBlue\r\nblue\ncar\n", encoding="utf-8")
    return path


def fit(photos: Path, out: Path, *more: str) -> int:
    return main(["fit", str(photos), "-k", "2", "--method", "kmeans", "--device", "cpu", "--out", str(out), *more])


def test_a_runs_words_are_its_own(photo_folder: Path, clip: str, words: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    assert fit(photo_folder, out, "--backbone", clip, "--words", str(words)) == 0
    printed = capsys.readouterr()
    assert "clip reads 3 words, to suggest names" in printed.err
    lines = printed.out.splitlines()
    assert lines[0] == "group  images  suggested names"
    assert lines[1].startswith("    0      12  ")
    assert yaml.safe_load((out / "config.yaml").read_text())["words"] == ["red fish", "Blue", "car"]
    told = json.loads((out / "summary.json").read_text())["words"]
    assert {word["word"] for group in told for word in group} <= {"red fish", "Blue", "car"}
    assert any(told)

    shutil.rmtree(tmp_path / "clip")
    words.unlink()
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    first = next(word["word"] for group in told for word in group)
    assert f"<span>{first} <small>" in (out / "report.html").read_text(encoding="utf-8")
    assert [[(word.word, word.share) for word in group] for group in load(out, device="cpu").words_] == [
        [(word["word"], word["share"]) for word in group] for group in told
    ]
    assert main(["assign", str(out), str(photo_folder), "--out", str(tmp_path / "new.csv")]) == 0
    again = tmp_path / "again"
    capsys.readouterr()
    assert fit(photo_folder, again, "--backbone", str(out)) == 0
    assert json.loads((again / "summary.json").read_text())["words"] == told
    assert fit(photo_folder, tmp_path / "third", "--backbone", str(out), "--set", "words=[a, b]") == 2
    assert "--words are read by a CLIP" in capsys.readouterr().err


def test_a_clip_without_words_knows_imagenets_and_one_without_a_tokenizer_none(
    photo_folder: Path, clip: str, words: Path, tmp_path: Path, capsys: Any
) -> None:
    assert fit(photo_folder, tmp_path / "run", "--backbone", clip) == 0
    assert "clip reads 1000 words" in capsys.readouterr().err
    for path in (tmp_path / "clip").glob("tokenizer*"):
        path.unlink()
    assert fit(photo_folder, tmp_path / "mute", "--backbone", clip) == 0
    printed = capsys.readouterr()
    assert "no names will be suggested: hf:" in printed.err
    assert printed.out.startswith("groups of 12, 12 images\n")
    assert "words" not in json.loads((tmp_path / "mute" / "summary.json").read_text())
    assert fit(photo_folder, tmp_path / "asked", "--backbone", clip, "--words", str(words)) == 1
    assert "cannot read words" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--method", "propos", "--epochs", "1"], ["--backbone", "dinov2"]])
def test_words_need_a_clip_as_it_is(
    more: list[str], photo_folder: Path, clip: str, tmp_path: Path, capsys: Any
) -> None:
    backbone = ["--backbone", clip] if "--method" in more else []
    if "dinov2" in more:
        more = ["--backbone", f"hf:{tiny.dinov2(tmp_path)}"]
    command = ["fit", str(photo_folder), "-k", "2", "--set", "words=[red, blue]", *backbone, *more]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed.startswith("coterie: --words are read by a CLIP that is taken as it is")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "holds no words"),
        (b"\n \n", "holds no words"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"x" * 200, "200 letters"),
        (None, "No such file"),
    ],
)
def test_a_file_that_holds_no_words(content: bytes | None, what: str, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        main(["fit", "photos", "-k", "2", "--out", str(tmp_path / "run"), "--words", str(path)])
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert what in printed
    assert printed.count("\n") == 1


def test_one_word_is_none(photo_folder: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["fit", str(photo_folder), "-k", "2", "--set", "words=[red]", "--out", str(tmp_path / "run")]) == 2
    assert "give some more" in capsys.readouterr().err


def test_a_plan_lists_words_in_short(photo_folder: Path, clip: str, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"word{number}" for number in range(500)))
    command = ["plan", str(photo_folder), "-k", "2", "--method", "kmeans", "--backbone", clip, "--words", str(path)]
    assert main(command) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("words "))
    assert line.endswith("you")
    assert len(line) < 160
    assert main([*command, "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)["settings"]["words"]
    assert (len(planned["value"]), planned["from"]) == (500, "you")


def test_resuming_with_other_words_names_both_in_short(
    photo_folder: Path, clip: str, words: Path, tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "run"
    assert fit(photo_folder, out, "--backbone", clip, "--words", str(words)) == 0
    assert fit(photo_folder, out, "--backbone", clip, "--words", str(words), "--resume") == 0
    capsys.readouterr()
    words.write_text("\n".join(f"word{number}" for number in range(500)))
    assert fit(photo_folder, out, "--backbone", clip, "--words", str(words), "--resume") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "was started with words ['red fish', 'Blue', 'car'], not ['word0'" in line
    assert len(line) < 400


def test_from_python(photo_folder: Path, clip: str, tmp_path: Path) -> None:
    found = Clusterer(2, method="kmeans", backbone=clip, device="cpu", options={"words": ["red", "blue"]})
    found.fit(photo_folder)
    assert len(found.words_) == 2
    found.save(tmp_path / "saved")
    assert load(tmp_path / "saved", device="cpu").words_ == found.words_
    plain = Clusterer(2, method="kmeans", backbone=f"hf:{tiny.vit(tmp_path)}", device="cpu").fit(photo_folder)
    assert plain.words_ == ()
