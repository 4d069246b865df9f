"""What is read one way though it could mean another: said in a line, or refused."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.data.sources import open_source
from coterie.data.sources.class_folders import folder_labels
from coterie.data.sources.naming import DIGITS, full_name, shown_name
from coterie.errors import UsageError
from coterie.nn.pretrained import is_pretrained
from coterie.nn.pretrained.naming import full_name as backbone_name
from coterie.nn.pretrained.naming import tell_twins


def picture(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, 0, 0)).save(path)


def test_a_full_name_means_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert full_name("digits") == full_name(DIGITS) == DIGITS
    (tmp_path / "digits").mkdir()
    assert full_name("digits") == str(tmp_path / "digits")
    assert full_name("shards-{0..3}.tar") == str(tmp_path / "shards-{0..3}.tar")
    for same in ("s3://bucket/photos", "hf:user/name:test", "/a/b"):
        assert full_name(same) == same
    assert full_name("hf:digits:test") == f"hf:{tmp_path / 'digits'}:test"
    assert shown_name(full_name("digits")) == "digits"
    assert shown_name("s3://bucket/photos") == "s3://bucket/photos"


def test_a_folder_called_like_a_data_set_is_read_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "digits" / "a.png")
    said: list[str] = []
    assert list(open_source("digits", note=said.append).keys) == ["a.png"]
    assert DIGITS in said[0]
    assert len(open_source(DIGITS).keys) == 1797


def test_a_network_called_like_a_file_is_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "convnet-small").write_text("weights")
    (tmp_path / "w.pth").write_text("weights")
    said: list[str] = []
    tell_twins("convnet-small", said.append)
    assert "./convnet-small" in said[0]
    assert not is_pretrained("convnet-small")
    assert backbone_name("w.pth") == str(tmp_path / "w.pth")
    assert backbone_name("timm:w.pth") == "timm:w.pth"


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_source_is_no_folder(empty: str) -> None:
    with pytest.raises(UsageError, match="SOURCE is empty"):
        open_source(empty)


@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16, 4), (16, 16, 1), (16, 16)])
def test_one_image_is_not_many(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"is one image: give it as images\[None\]"):
        open_source(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("keys", "labels", "said"),
    [
        (["cat/1", "dog/2"], ["cat", "dog"], ""),
        (["cat/images/1", "dog/images/2"], ["cat", "dog"], "all images lie in 'images'"),
        (["train/cat/1", "train/dog/2", "val/cat/3"], ["cat", "dog", "cat"], "not those above: train, val"),
        (["train/cat/images/1", "val/dog/images/2"], ["cat", "dog"], "cat, dog"),
        (["1", "cat/2", "dog/3"], ["", "cat", "dog"], ""),
    ],
)
def test_class_folders_are_those_that_differ(keys: list[str], labels: list[str], said: str) -> None:
    told: list[str] = []
    found, names = folder_labels(keys, "photos", told.append)
    assert [names[label] if label >= 0 else "" for label in found] == labels
    assert said in "".join(told)
    assert bool(said) == bool(told)


@pytest.mark.parametrize("keys", [["cat/1", "cat/2"], ["cat/images/1", "cat/images/2"], ["1", "2"]])
def test_one_class_folder_is_none(keys: list[str]) -> None:
    with pytest.raises(UsageError, match=r"the same label|no class folders"):
        folder_labels(keys, "photos")


@pytest.mark.parametrize(
    ("labels", "names", "found", "said"),
    [
        ([-1, 1, -1], ("-1", "1"), [0, 1, 0], "two classes"),
        ([-1, 0, 1], ("0", "1"), [-1, 0, 1], "1 of 3 have no label"),
        ([-1, -1, -1], (), [-1, -1, -1], "3 of 3"),
        ([0, 1, 1], ("0", "1"), [0, 1, 1], ""),
    ],
)
def test_minus_one_is_unknown_but_for_plus_and_minus(
    tmp_path: Path, labels: list[int], names: tuple[str, ...], found: list[int], said: str
) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 8, 8), np.uint8), labels=np.array(labels))
    told: list[str] = []
    source = open_source(tmp_path / "x.npz", note=told.append)
    assert source.class_names == names
    assert source.labels is not None
    assert source.labels.tolist() == found
    assert said in "".join(told)
    assert bool(said) == bool(told)


def test_a_pack_of_both_kinds_says_which_it_takes(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 8, 8), np.uint8), features=np.eye(3))
    told: list[str] = []
    open_source(tmp_path / "x.npz", note=told.append)
    assert "the images are read" in told[0]


def test_several_images_of_a_sample_are_each_their_own(tmp_path: Path) -> None:
    names = ["at 10.11.20.png", "at 10.12.21.png", "at 11.png"]
    with tarfile.open(tmp_path / "shots.tar", "w") as tar:
        for place, name in enumerate(names):
            picture(tmp_path / name, place)
            tar.add(tmp_path / name, name)
        (tmp_path / "label").write_text("desk")
        tar.add(tmp_path / "label", "at 10.cls")
    source = open_source(tmp_path / "shots.tar")
    assert list(source.keys) == [*names[:2], "at 11"]
    assert source.skipped == []
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, -1]
