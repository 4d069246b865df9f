"""Standard output and error in any encoding, closed, full, or with nobody left to read them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coterie.cli import main
from coterie.console import results
from coterie.data.sources import open_source
from coterie.listener import Listener
from coterie.progress import ConsoleListener
from coterie.streams import Words, prepare
from small import finished_run

NAME = "日本語.png"


@pytest.fixture
def run(photo_folder: Path, tmp_path: Path) -> Path:
    (photo_folder / "reds" / "00.png").rename(photo_folder / "reds" / NAME)
    source = open_source(photo_folder, labels_from_folders=True)
    return finished_run(tmp_path / "run", source, np.arange(24) // 12, name=str(photo_folder))


class Broken(io.StringIO):
    """A stream whose reader has gone after `most` writes."""

    def __init__(self, most: int = 0, error: type[OSError] = BrokenPipeError) -> None:
        super().__init__()
        self.left, self.error = most, error

    def write(self, text: str) -> int:
        if self.left == 0:
            raise self.error(32, "Broken pipe")
        self.left -= 1
        return super().write(text)


def narrow(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_any_encoding_takes_every_letter(
    run: Path, photo_folder: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ["plan", str(photo_folder), "-k", "3", "--json"]
    for command in (["evaluate", str(run)], ["recipes"], plan, ["report", str(run)]):
        out = narrow(encoding)
        monkeypatch.setattr(sys, "stdout", out)
        assert main(command) == 0
        out.flush()
        text = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        assert text
    monkeypatch.undo()
    assert (run / "evaluation.json").is_file()


def test_signs_have_plain_forms_and_names_keep_what_tells_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    out = narrow("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    prepare()
    results().print(f"confidence ≥ 0.9 → “{NAME}” :dog:", markup=False)
    out.flush()
    assert out.buffer.getvalue() == (  # type: ignore[attr-defined]
        b'confidence >= 0.9 -> "\\u65e5\\u672c\\u8a9e.png" :dog:\n'
    )


@pytest.mark.parametrize("width", ["0", "1", "20"])
def test_results_are_whole_however_narrow_the_terminal(
    run: Path, width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--quiet"]) == 0
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", width)
    assert main(["evaluate", str(run), "--quiet"]) == 0
    assert capsys.readouterr().out == wide
    ConsoleListener().note("a word")
    assert "a word" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["assign", "run", "photos"], ["recipes"], ["choose-k", "run"], ["probe", "run", "p"]])
def test_what_would_be_printed_to_nowhere_is_refused_before_any_work(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(verb) == 2
    error = capsys.readouterr().err
    assert f"no standard output for the result of {verb[0]}" in error
    assert ("--out FILE" in error) == (verb[0] == "assign")


def test_neither_stream_is_needed_where_results_are_files(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["evaluate", str(run)]) == 0
    assert (run / "evaluation.json").is_file()
    assert main(["evaluate", "nowhere"]) == 2
    ConsoleListener().note("unheard")


@pytest.mark.parametrize("error", [BrokenPipeError, OSError])
def test_work_goes_on_when_nobody_reads_of_it(error: type[OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken(1, error)
    monkeypatch.setattr(sys, "stderr", broken)
    listener: Listener = ConsoleListener()
    for word in ("one", "two", "three"):
        listener.note(word)
    listener.begin("learning", 2, "steps")
    for _ in range(2):
        listener.advance()
    listener.end()
    assert broken.getvalue() == "one\n"
    Words().write("nothing")


def test_a_reader_of_results_may_go(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, code in ((["evaluate", str(run)], 0), (["report", str(run)], 0), (["recipes"], 1)):
        monkeypatch.setattr(sys, "stdout", Broken())
        assert main(verb) == code
        assert capsys.readouterr().err == ""
    assert (run / "evaluation.json").is_file()


def test_output_to_a_full_disk_is_a_failure(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["evaluate", str(run)]) == 1
    assert "standard output cannot be written: the disk is full" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="shells of Windows close no streams")
def test_closed_streams_and_a_reader_that_goes_in_a_shell(photo_folder: Path, tmp_path: Path) -> None:
    fit = f"'{sys.executable}' -m coterie fit '{photo_folder}' -k 2 --epochs 1 --size 16 --device cpu --out "
    for name, rest in (("closed", "<&- >&- 2>&-"), ("gone", "2>&1 | true; exit ${PIPESTATUS[0]}")):
        done = subprocess.run(["bash", "-c", f"{fit} {name} {rest}"], cwd=tmp_path, check=False, timeout=300)
        assert done.returncode == 0
        assert (tmp_path / name / "summary.json").is_file()
