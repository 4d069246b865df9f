"""The assignments in the layouts of FiftyOne and COCO."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import small
from coterie import Clusterer, UsageError
from coterie.cli import main
from coterie.export.base import Subject
from coterie.export.fiftyone import _keys
from coterie.runs.folder import RunFolder
from coterie.workflow.export import export


def table(run: Path) -> list[dict[str, str]]:
    with (run / "assignments.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_fiftyone(run: Path, tmp_path: Path) -> None:
    export(run, {"fiftyone": tmp_path / "labels.json"})
    told = json.loads((tmp_path / "labels.json").read_text())
    assert told["classes"] == ["Group 0", "Group 1"]
    assert list(told["labels"]) == [row["key"].removesuffix(".png") for row in table(run)]
    for row, label in zip(table(run), told["labels"].values(), strict=True):
        assert label["label"] == int(row["cluster"])
        assert label["confidence"] == float(row["confidence"])
        assert label["attributes"] == {"outlier": row["outlier"] == "1"}


def test_fiftyone_tells_images_apart_by_their_path_where_only_the_ending_differs(tmp_path: Path) -> None:
    assert _keys(["a/b.jpg", "a/c.v2.png", "d"], None) == ["a/b", "a/c.v2", "d"]
    both = [str((tmp_path / name).resolve()) for name in ("b.jpg", "b.png")]
    assert _keys(["b.jpg", "b.png", "c.png"], tmp_path) == [*both, "c"]
    with pytest.raises(UsageError, match="cannot tell"):
        _keys(["b.jpg", "b.png"], None)


def test_coco(run: Path, tmp_path: Path) -> None:
    export(run, {"coco": tmp_path / "coco.json"})
    told = json.loads((tmp_path / "coco.json").read_text())
    assert told["categories"] == [
        {"id": 1, "name": "Group 0", "supercategory": "group"},
        {"id": 2, "name": "Group 1", "supercategory": "group"},
    ]
    assert [image["file_name"] for image in told["images"]] == [row["key"] for row in table(run)]
    images = {image["id"]: image for image in told["images"]}
    assert len(images) == len(told["annotations"]) == 20
    for row, annotation in zip(table(run), told["annotations"], strict=True):
        image = images[annotation["image_id"]]
        assert (image["width"], image["height"]) == (24, 20)
        assert annotation["bbox"] == [0, 0, 24, 20]
        assert (annotation["area"], annotation["iscrowd"]) == (480, 0)
        assert annotation["category_id"] == int(row["cluster"]) + 1
        assert annotation["score"] == float(row["confidence"])


def test_coco_of_images_that_are_gone(run: Path, photos: Path, tmp_path: Path) -> None:
    kept = shutil.copytree(run, tmp_path / "run")
    some = shutil.copytree(photos, tmp_path / "some")
    (some / "reds" / "00.png").unlink()
    (some / "reds" / "01.png").write_bytes(b"no image")
    Image.new("RGB", (3, 2)).save(some / "reds" / "02.png")
    config = (kept / "config.yaml").read_text().replace(str(photos), str(some))
    (kept / "config.yaml").write_text(config)
    export(kept, {"coco": tmp_path / "coco.json"})
    told = json.loads((tmp_path / "coco.json").read_text())
    boxes = {
        image["file_name"]: found.get("bbox") for image, found in zip(told["images"], told["annotations"], strict=True)
    }
    # The third is another picture than the run read.
    assert boxes["reds/00.png"] is boxes["reds/01.png"] is boxes["reds/02.png"] is None
    assert boxes["reds/03.png"] == [0, 0, 24, 20]


def test_a_persons_labels_take_the_place_of_clusters(run: Path, photos: Path, tmp_path: Path) -> None:
    kept = shutil.copytree(run, tmp_path / "run")
    rows = table(kept)
    cluster = rows[0]["cluster"]
    labels = {row["key"]: "warm" if row["cluster"] == cluster else "Cold, blue" for row in rows}
    labels[rows[0]["key"]] = "=odd"
    listed = tmp_path / "labels.csv"
    listed.write_text("key,label\n" + "".join(f'{key},"{label}"\n' for key, label in labels.items()))
    assert main(["apply", str(kept), str(listed)]) == 0
    export(kept, {"coco": tmp_path / "coco.json", "fiftyone": tmp_path / "labels.json"})
    told = json.loads((tmp_path / "coco.json").read_text())
    names = {category["id"]: category["name"] for category in told["categories"]}
    assert list(names.values()) == ["=odd", "Cold, blue", "warm"]
    files = {image["id"]: image["file_name"] for image in told["images"]}
    assert {files[each["image_id"]]: names[each["category_id"]] for each in told["annotations"]} == labels
    told = json.loads((tmp_path / "labels.json").read_text())
    assert told["classes"] == list(names.values())
    by_name = {key: told["classes"][entry["label"]] for key, entry in told["labels"].items()}
    assert by_name == {key.removesuffix(".png"): label for key, label in labels.items()}
    assert {*Subject(RunFolder(kept)).names} == {"warm", "Cold, blue"}
    # New images get the names of the groups, too.
    assert main(["assign", str(kept), str(photos), "--out", str(tmp_path / "new.csv"), "--quiet"]) == 0
    with (tmp_path / "new.csv").open() as stream:
        for row in csv.DictReader(stream):
            assert row["group"] == ("warm" if row["cluster"] == cluster else "Cold, blue")


def test_from_an_array(blobs: tuple, tmp_path: Path) -> None:
    options = {"train.batch_size": 20, **small.options("simclr")}
    clusterer = Clusterer(3, method="simclr", epochs=1, options=options, device="cpu").fit(blobs[0])
    written = clusterer.export(coco=tmp_path / "coco.json", fiftyone=tmp_path / "labels.json")
    assert written == [tmp_path / "coco.json", tmp_path / "labels.json"]
    told = json.loads((tmp_path / "coco.json").read_text())
    assert [found["category_id"] - 1 for found in told["annotations"]] == clusterer.labels_.tolist()
    assert "width" not in told["images"][0]
    labels = json.loads((tmp_path / "labels.json").read_text())["labels"]
    assert np.array_equal([label["label"] for label in labels.values()], clusterer.labels_)
