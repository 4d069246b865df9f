"""What lies among pictures without being one of them."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from coterie.cli import main
from coterie.data.sources import kinds, open_source
from coterie.data.sources.bucket import find_remote_images
from coterie.data.sources.folder import find_images
from coterie.data.sources.passed import passed_over
from coterie.data.sources.storage import Entry
from coterie.errors import UsageError

BESIDE = [
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/old.jpg", "@Recycle/old.jpg", ".@__thumb/a.jpg",
    ".thumbnails/1.jpg",
    ".Trash-1000/files/a.jpg", ".Trashes/a.jpg", "$RECYCLE.BIN/S-1/$R1.jpg", "System Volume Information/a.jpg",
    "__MACOSX/._a.jpg", "._a.jpg", "Thumbs.db", "sub/Thumbs.db", ".DS_Store", ".picasaoriginals/a.jpg",
    "lost+found/a.jpg",
    ".stversions/a~1.jpg", ".git/objects/ab", "LOST.DIR/123", "FOUND.000/FILE0000", ".trashed-1700000000-a.jpg",
    "desktop.ini", "Icon\r", "Mine.photoslibrary/resources/derivatives/1.jpeg", "Mine.photoslibrary/database/search",
    "Old.photolibrary/Thumbnails/1.jpg", "Catalog Previews.lrdata/1.jpg",
]  # fmt: skip
READ = ["a.jpg", "sub/b.jpg", "Mine.photoslibrary/originals/0/c.jpg", "Old.photolibrary/Masters/d.jpg", "thumbs/e.jpg"]


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), "red").save(path, "JPEG")


@pytest.fixture
def cluttered(tmp_path: Path) -> Path:
    for name in (*BESIDE, *READ):
        picture(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_folders_pass_over_what_systems_and_programs_keep(cluttered: Path) -> None:
    notes: list[str] = []
    source = open_source(cluttered, note=notes.append)
    assert source.keys == sorted(READ)
    assert source.skipped == []
    assert f"passed over {len(BESIDE)} files of systems, programs and runs: " in notes[0]
    assert "2 of ._*" not in notes[0]
    passed: Counter[str] = Counter()
    find_images(cluttered, passed)
    assert passed.total() == len(BESIDE)
    assert passed["Thumbs.db"] == 2
    assert passed["@eaDir"] == 1


def test_tars_pass_over_the_same(cluttered: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(cluttered, "")
    notes: list[str] = []
    source = open_source(str(tmp_path / "photos.tar"), note=notes.append)
    assert sorted(source.keys) == sorted(name.removesuffix(".jpg") for name in READ)
    assert f"passed over {len(BESIDE)} files" in notes[-1]


def test_buckets_pass_over_the_same() -> None:
    runs = [
        "groups/config.yaml",
        "groups/assignments.csv",
        "groups/reliability.png",
        "out/.coterie-sorted",
        "out/x/a.jpg",
    ]
    entries = [Entry(f"bucket/photos/{name}", 10, None) for name in (*BESIDE, *READ, *runs)]
    images, skipped, passed = find_remote_images(entries, "bucket/photos")
    assert list(images) == sorted(READ)
    assert skipped == []
    assert passed.total() == len(BESIDE) + len(runs)
    assert (passed["groups"], passed["out"]) == (3, 2)


def test_a_library_named_itself_is_read_by_its_originals(tmp_path: Path) -> None:
    for name in ("originals/1.jpg", "resources/derivatives/1.jpg"):
        picture(tmp_path / "Mine.photoslibrary" / name)
    assert open_source(tmp_path / "Mine.photoslibrary").keys == ["originals/1.jpg"]


def test_the_folder_that_is_asked_for_is_read_whatever_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "@eaDir" / "a.jpg")
    assert open_source(tmp_path / "@eaDir").keys == ["a.jpg"]


@pytest.mark.parametrize("name", ["thumbs", "Recycle", "trash", "original", "previews", "cache", "eaDir", "masters"])
def test_names_that_a_person_may_give_are_read(name: str) -> None:
    assert passed_over([name, "a.jpg"]) is None


def test_runs_and_sorted_copies_among_the_photos(photo_folder: Path, tmp_path: Path) -> None:
    run = photo_folder / "groups"
    fit = ["fit", str(photo_folder), "-k", "2", "--epochs", "1", "--device", "cpu", "--out"]
    assert main([*fit, str(run), "--quiet"]) == 0
    labels = tmp_path / "l.csv"
    labels.write_text("key,label\nblues/00.png,sky\nreds/00.png,rose\n")
    assert main(["evaluate", str(run), "--labels", str(labels)]) == 0
    assert main(["apply", str(run), str(labels), "--to", str(photo_folder / "sorted"), "--copy", "--quiet"]) == 0
    (photo_folder / "mine").mkdir()
    (photo_folder / "mine" / "config.yaml").write_text("size: 3\n")
    picture(photo_folder / "mine" / "own.jpg")
    notes: list[str] = []
    keys = open_source(photo_folder, note=notes.append).keys
    assert len(keys) == 25
    assert "mine/own.jpg" in keys
    assert not [key for key in keys if key.startswith(("groups", "sorted"))]
    assert "of groups (a run)" in notes[0]
    assert "24 of sorted (sorted copies)" in notes[0] or "25 of sorted (sorted copies)" in notes[0]
    assert len(open_source(photo_folder / "sorted").keys) == 24


def test_what_is_not_read_is_counted_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "reads_heif", lambda: False)
    for number in range(5):
        (tmp_path / f"IMG_{number:04d}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 50)
    (tmp_path / "IMG_0001.MOV").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError) as raised:
        open_source(tmp_path)
    assert "it holds 5 .HEIC and 1 .MOV, which are not read (.HEIC: pip install 'coterie[heic]'" in str(raised.value)
    picture(tmp_path / "a.jpg")
    for name in ("b.CR2", "c.psd", "d.svg", "e.zip"):
        (tmp_path / name).write_bytes(b"x")
    reasons = {entry.key: entry.reason for entry in open_source(tmp_path).skipped}
    assert reasons["b.CR2"] == "a raw photograph (.CR2), not read: develop it to JPEG first"
    assert reasons["c.psd"] == "an image in layers (.psd), not read: export it as PNG first"
    assert "a drawing" in reasons["d.svg"]
    assert "an archive" in reasons["e.zip"]
    assert reasons["notes.txt"] == "not an image file type (.txt)"


def test_a_tar_of_what_is_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "raw.tar", "w") as tar:
        member = tarfile.TarInfo("a.cr2")
        tar.addfile(member, io.BytesIO())
    with pytest.raises(UsageError, match="a sample without an image"):
        open_source(str(tmp_path / "raw.tar"))


def test_what_belongs_to_a_picture_that_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "IMG_1.JPG")
    picture(tmp_path / "IMG_2.jpg")
    for name in ("IMG_1.MOV", "IMG_1.AAE", "IMG_2.cr2", "IMG_3.NEF"):
        (tmp_path / name).write_bytes(b"x")
    reasons = {entry.key: entry.reason for entry in open_source(tmp_path).skipped}
    assert reasons["IMG_1.MOV"] == "the film of one picture with IMG_1.JPG, which is read"
    assert reasons["IMG_1.AAE"] == "metadata of one picture with IMG_1.JPG, which is read"
    assert reasons["IMG_2.cr2"] == "the raw of one picture with IMG_2.jpg, which is read"
    assert reasons["IMG_3.NEF"].startswith("a raw photograph")


def test_pages_that_are_not_read_are_told(tmp_path: Path) -> None:
    frames = [Image.new("L", (16, 16), shade) for shade in (10, 20, 30)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.tif")
    notes: list[str] = []
    open_source(tmp_path, note=notes.append).outline()
    assert notes == [
        "only the first of 3 pages is read of 1 of 2 images looked at; where pages are channels: --channels all"
    ]
