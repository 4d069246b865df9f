from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie.data.reading import cache
from coterie.data.reading.cache import read_images
from coterie.data.reading.store import Store
from coterie.data.sources import open_source
from coterie.data.sources.local import FolderSource


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that keeps even what is read in no time."""
    monkeypatch.setenv("COTERIE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_WORTH_SECONDS", 0.0)
    return tmp_path / "cache"


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def read(folder: Path, side: int = 16) -> tuple[Store, list[str], list[str]]:
    notes: list[str] = []
    source = FolderSource(folder, labels_from_folders=True)
    store, skipped = read_images(source, side, note=notes.append)
    return store, [f"{each.key}: {each.reason}" for each in skipped], notes


def test_a_second_read_decodes_nothing(kept: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photo_folder / "reds" / "broken.png").write_bytes(b"not a picture")
    (photo_folder / "notes.txt").write_text("passed over")
    first, skipped, notes = read(photo_folder)
    assert not notes
    assert len(skipped) == 2
    monkeypatch.setattr(FolderSource, "decode", None)
    second, skipped_again, notes = read(photo_folder)
    assert len(notes) == 1
    assert str(kept) in notes[0]
    assert skipped_again == skipped
    assert np.array_equal(second.images, first.images)
    assert list(second.keys) == list(first.keys)
    assert np.array_equal(second.labels, first.labels)
    assert second.class_names == first.class_names
    assert second.fingerprint() == first.fingerprint()


@pytest.mark.usefixtures("kept")
def test_progress_is_told_also_from_the_cache(photo_folder: Path) -> None:
    counts = []
    for _ in range(2):
        calls: list[None] = []
        read_images(open_source(photo_folder), 16, on_image=lambda calls=calls: calls.append(None))
        counts.append(len(calls))
    assert counts == [24, 24]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed", "same size and time"])
def test_a_changed_folder_is_read_anew(photo_folder: Path, change: str) -> None:
    read(photo_folder)
    path = photo_folder / "reds" / "00.png"
    if change == "edited":
        Image.new("RGB", (20, 20), "green").save(path)
    elif change == "added":
        Image.new("RGB", (20, 20), "green").save(photo_folder / "reds" / "new.png")
    elif change == "removed":
        path.unlink()
    elif change == "renamed":
        path.rename(path.with_name("other.png"))
    else:
        status, content = path.stat(), bytearray(path.read_bytes())
        content[-20] ^= 255
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read(photo_folder)[2] == []


def test_another_size_is_another_entry(kept: Path, photo_folder: Path) -> None:
    read(photo_folder, 16)
    assert read(photo_folder, 8)[0].side == 8
    assert len(entries(kept)) == 2


@pytest.mark.parametrize("damage", ["truncated", "no table", "wild table", "pickle", "wrong shape"])
def test_a_damaged_entry_is_passed_over(kept: Path, photo_folder: Path, damage: str) -> None:
    first = read(photo_folder)[0]
    (entry,) = entries(kept)
    if damage == "truncated":
        (entry / "values.npy").write_bytes((entry / "values.npy").read_bytes()[:-100])
    elif damage == "no table":
        (entry / "about.json").unlink()
    elif damage == "wild table":
        (entry / "about.json").write_text('{"keys": ["../../x"], "skipped": []}')
    elif damage == "pickle":
        np.save(entry / "values.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        np.save(entry / "values.npy", first.images[:3])
    store, _, notes = read(photo_folder)
    assert notes == []
    assert np.array_equal(store.images, first.images)
    assert len(read(photo_folder)[2]) == 1  # It was written anew.


@pytest.mark.usefixtures("kept")
def test_large_ones_are_mapped(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(photo_folder)[0]
    monkeypatch.setattr(cache, "is_small", lambda _: False)
    second = read(photo_folder)[0]
    assert isinstance(second.images, np.memmap)
    assert np.array_equal(second.images, first.images)


def test_those_used_longest_ago_make_room(kept: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_BYTES", 24 * 3 * (16 * 16 + 12 * 12) + 1000)
    read(photo_folder, 16)
    read(photo_folder, 12)
    oldest, _ = sorted(entries(kept), key=lambda path: path.stat().st_mtime_ns)
    os.utime(oldest, (1, 1))
    read(photo_folder, 8)
    assert len(entries(kept)) == 2
    assert not oldest.exists()
    read(photo_folder, 32)  # Larger than all that is allowed.
    assert len(entries(kept)) == 2


def test_nothing_half_written_is_left(kept: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(cache.np, "save", full)
        assert len(read(photo_folder)[0]) == 24
    assert entries(kept) == []
    stale = kept / f"{cache._UNFINISHED}old"
    stale.mkdir()
    os.utime(stale, (1, 1))
    read(photo_folder)
    assert not stale.exists()


def test_it_can_be_turned_off(photo_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(cache, "_WORTH_SECONDS", 0.0)
    read(photo_folder)
    assert not (tmp_path / "caches").exists()
    monkeypatch.delenv("COTERIE_CACHE")
    read(photo_folder)
    assert len(entries(tmp_path / "caches" / "coterie" / "images")) == 1


def test_what_is_read_quickly_is_not_kept(kept: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_WORTH_SECONDS", 1e9)
    read(photo_folder)
    assert entries(kept) == []
