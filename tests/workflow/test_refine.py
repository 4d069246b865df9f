"""`coterie refine`: a run like any other, in which what was said holds; and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small
from coterie import Clusterer, load
from coterie.cli import main
from coterie.runs.folder import RunFolder
from coterie.workflow.refine import refine

KINDS = ("ape", "bee", "cat")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on sixty features of three kinds, grouped in two."""
    folder = tmp_path_factory.mktemp("refine")
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    features = np.eye(6)[labels] + 0.15 * rng.normal(size=(60, 6))
    np.savez(folder / "features.npz", features=features.astype(np.float32), labels=labels, class_names=np.array(KINDS))
    command = ["fit", str(folder / "features.npz"), "-k", "2", "--method", "kmeans", "--set", "axes=0"]
    assert main([*command, "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    def written(*rows: str, heading: str = "key,label") -> str:
        (tmp_path / "labels.csv").write_text("\n".join((heading, *rows)) + "\n", encoding="utf-8")
        return str(tmp_path / "labels.csv")

    return written


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def names_of(run: Path) -> list[str]:
    return [row["label"] for row in rows_of(run / "labelled.csv")]


def each_kind(named: int = 2) -> list[str]:
    return [f"{row:06},{KINDS[row % 3]}" for row in range(3 * named)]


def test_a_few_names_and_the_rest_follows(made: Path, table: Any, tmp_path: Path, capsys: Any) -> None:
    new = tmp_path / "new"
    assert main(["refine", str(made), table(*each_kind()), "--out", str(new)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"20 of 60 images moved \(6 were named\)", out)
    assert names_of(new) == [KINDS[row % 3] for row in range(60)]
    assert [row["key"] for row in rows_of(new / "told.csv")] == [f"{row:06}" for row in range(6)]
    summary = json.loads((new / "summary.json").read_text())
    assert (summary["clusters"], summary["named"], summary["acc"]) == (3, 6, 1.0)
    assert summary["further"]["the groups before"]["acc"] < 0.7
    assert summary["refined"]["follows"] == 1.0
    # Those that were named are sure.
    assert [float(row["confidence"]) for row in rows_of(new / "assignments.csv")][:6] == [1.0] * 6
    # The old run is as it was.
    assert not (made / "labelled.csv").exists()


def test_a_refined_run_is_a_run_like_any_other(made: Path, table: Any, tmp_path: Path, capsys: Any) -> None:
    new, source = str(tmp_path / "new"), str(made.parent / "features.npz")
    assert main(["refine", str(made), table(*each_kind()), "--out", new, "--quiet"]) == 0
    assert main(["assign", new, source, "--out", str(tmp_path / "new.csv"), "--quiet"]) == 0
    assert [row["group"] for row in rows_of(tmp_path / "new.csv")] == [KINDS[row % 3] for row in range(60)]
    capsys.readouterr()
    assert main(["evaluate", new]) == 0
    out = capsys.readouterr().out
    assert "(54 labelled images)" in out
    assert "without the 6 images whose names were given" in out
    assert main(["report", new, "--quiet"]) == 0
    assert {row["label"] for row in rows_of(tmp_path / "new" / "labels.csv") if row["said"] == "1"} == {*KINDS}
    assert main(["choose-k", new, "--to", "4", "--quiet"]) == 0
    assert main(["fit", source, "--resume", "--out", new, "-k", "3", "--quiet"]) == 0  # It is finished.
    with np.load(source) as pack:
        assert len(set(load(new).predict(pack["features"]).tolist())) == 3


def test_what_was_said_once_holds_in_the_next(made: Path, table: Any, tmp_path: Path) -> None:
    one = refine(
        made, Path(table("0,ape", "1,bee", "3,bee")), out=tmp_path / "one"
    )  # Row 3 is an ape to everyone else.
    assert names_of(one.folder)[3] == "bee"
    two = refine(one.folder, Path(table("2,cat")), out=tmp_path / "two")
    assert [names_of(two.folder)[row] for row in (0, 1, 2, 3)] == ["ape", "bee", "cat", "bee"]
    assert two.told == 4
    three = refine(two.folder, splits={"ape": 2}, out=tmp_path / "three")
    assert names_of(three.folder)[3] == "bee"
    assert len(three.parts["ape"]) == 2
    assert three.names.count("ape") == 1


def test_splits_and_merges_without_a_table(made: Path, tmp_path: Path) -> None:
    before = np.array([int(row["cluster"]) for row in rows_of(made / "assignments.csv")])
    found = refine(made, splits={"0": 2}, out=tmp_path / "split")
    after = np.array([int(row["cluster"]) for row in rows_of(found.folder / "assignments.csv")])
    assert len(set(zip(before.tolist(), after.tolist(), strict=True))) == 3  # The other one is whole.
    assert found.moved == []
    assert sorted(found.sizes) == [20, 20, 20]
    merged = refine(found.folder, merges=[("0", "1")], out=tmp_path / "merged")
    assert sorted(merged.sizes) == [20, 40]


def test_the_new_run_lies_beside_the_old_one(made: Path) -> None:
    found = [refine(made, splits={"0": 2}).folder.name for _ in range(2)]
    assert found == ["run-refined", "run-refined-2"]


@pytest.mark.parametrize(
    ("rows", "words", "message"),
    [
        ([], [], "there is nothing to refine by"),
        (["000000,ape", "000000,bee"], [], "key '000000' occurs more than once"),
        (["000000,ape", "000001,bee"], ["--merge", "ape,bee"], "'ape' and 'bee' cannot be merged"),
        (["000000,ape", "000001,bee", "000002,cat"], ["-k", "2"], "-k 2 is too few: 3 groups have names or"),
        ([], ["--split", "5"], "unknown group '5'"),
        ([], ["--split", "0=99"], "cannot be split into 99 parts"),
        ([], ["--merge", "0,1"], "1 groups of 60 images: at least 2"),
        ([], ["-k", "61"], "61 groups of 60 images"),
        (["000000,ape", "zebra.png,bee"], [], "a key is no image of the run, 'zebra.png'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    rows: list[str], words: list[str], message: str, made: Path, table: Any, tmp_path: Path, capsys: Any
) -> None:
    labels = [table(*rows)] if rows else []
    assert main(["refine", str(made), *labels, *words, "--out", str(tmp_path / "new")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_is_not_written_into(made: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    assert main(["refine", str(made), "--split", "0", "--out", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_nothing_stays_of_a_run_that_could_not_be_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("coterie.workflow.steps.refined.write_report", fail)
    with pytest.raises(OSError, match="No space"):
        refine(made, splits={"0": 2}, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_map_is_refined_by_distance(blobs: tuple, tmp_path: Path) -> None:
    np.savez(tmp_path / "features.npz", features=small.as_features(blobs[0]), labels=blobs[1])
    quick = ["--epochs", "5", "--set", "neighbours=5", "--set", "steps_per_epoch=4", "--set", "hidden=[16,8]"]
    command = ["fit", str(tmp_path / "features.npz"), "-k", "3", "--method", "lnscc", *quick, "--quiet"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    found = refine(tmp_path / "run", splits={"0": 2}, out=tmp_path / "new")
    assert load(tmp_path / "new").model_.groups.metric == "euclidean"
    assert len(found.sizes) == 4


def test_images_are_learnt_and_grouped_under_names(blobs: tuple, tmp_path: Path) -> None:
    images, labels = blobs
    np.savez(tmp_path / "images.npz", images=images, labels=labels)
    rows = [f"{row},{KINDS[labels[row]]}" for row in range(9)]
    (tmp_path / "labels.csv").write_text("\n".join(("key,label", *rows)) + "\n")
    command = ["fit", str(tmp_path / "images.npz"), "-k", "3", "--method", "propos", "--epochs", "3", "--quiet"]
    command += ["--set", "hidden=16", "--set", "batch_size=20", "--set", "train.warmup_epochs=0"]
    command += ["--labels", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "run")]
    assert main(command) == 0
    assert names_of(tmp_path / "run")[:9] == [KINDS[label] for label in labels[:9]]
    folder = RunFolder(tmp_path / "run")
    assert all("names" in record["losses"] for record in folder.read_metrics())
    assert folder.read_summary()["named"] == 9
    # Its own copy of what was said is what it goes on with.
    (tmp_path / "labels.csv").unlink()
    (tmp_path / "run" / "report.html").unlink()
    assert main([*command[: command.index("--labels")], "--out", str(tmp_path / "run"), "--resume"]) == 0
    assert names_of(tmp_path / "run")[:9] == [KINDS[label] for label in labels[:9]]


@pytest.mark.parametrize("method", ["kmeans", "temi", "turtle", "lnscc", "cc", "pcl", "simclr"])
def test_every_method_keeps_to_names(method: str, blobs: tuple) -> None:
    images, kinds = blobs
    on_features = method in ("kmeans", "temi", "turtle", "lnscc")
    told = np.full(60, -1)
    told[:12] = kinds[:12]
    told[0] = (kinds[0] + 1) % 3  # What was said holds, whatever it looks like.
    quick = {} if method == "kmeans" else {"train.epochs": 2, "train.warmup_epochs": 0, "train.batch_size": 20}
    own = {f"options.{name}": value for name, value in small.options(method).items()}
    clusterer = Clusterer(4, method=method, options={**quick, **own}, device="cpu")
    clusterer.fit(small.as_features(images) if on_features else images, labels=told)
    groups = {kind: set(clusterer.labels_[told == kind].tolist()) for kind in range(3)}
    assert all(len(group) == 1 for group in groups.values())
    assert len(set.union(*groups.values())) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(59), "59 labels for 60 images"),
        (np.arange(60), "-k 3 is too few: images were given 60 names"),
        ({"000001": "a", "x": "b"}, "labels name 'x', which is no image"),
        ([None] * 60, "labels name no image"),
    ],
)  # fmt: skip
def test_names_that_do_not_fit_are_refused(labels: Any, message: str, blobs: tuple) -> None:
    with pytest.raises(ValueError, match=message):
        Clusterer(3, method="kmeans", device="cpu").fit(small.as_features(blobs[0]), labels=labels)
