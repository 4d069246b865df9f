"""Folders and packs behind URLs, by file systems that need no network."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.cli import main
from coterie.data.reading.cache import read_images
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.data.sources import remote as remote_module
from coterie.data.sources.bucket import RemoteFolder
from coterie.data.sources.remote import Remote, open_remote, reason
from coterie.errors import CoterieError, UsageError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(photo_folder: Path) -> Iterator[str]:
    """The photographs, in memory behind a URL; and a file that is no image."""
    files = fsspec.filesystem("memory")
    files.put(str(photo_folder), "/bucket/photos", recursive=True)
    files.pipe("/bucket/photos/notes.txt", b"hello")
    files.pipe("/bucket/photos/.hidden/x.png", b"hello")
    yield "memory://bucket/photos"
    files.rm("/bucket", recursive=True)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "_PAUSES", (0.0, 0.0))


def same(url: str, folder: Path) -> None:
    there, here = open_source(url, labels_from_folders=True), open_source(folder, labels_from_folders=True)
    assert there.keys == here.keys
    assert there.class_names == here.class_names
    assert there.outline() == here.outline()
    (store, skipped), (wanted, _) = ingest(there, 16), ingest(here, 16)
    assert np.array_equal(store.images, wanted.images)
    assert np.array_equal(store.labels, wanted.labels)
    assert store.fingerprint() == wanted.fingerprint()
    assert [each.key for each in skipped] == [each.key for each in there.skipped]


def test_a_folder_behind_a_url_is_that_folder(bucket: str, photo_folder: Path) -> None:
    same(bucket, photo_folder)
    same(f"{bucket}/", photo_folder)
    assert [each.key for each in open_source(bucket).skipped] == ["notes.txt"]
    (photo_folder / "reds" / "deep").mkdir()
    same(f"file://{photo_folder}", photo_folder)


def test_no_bucket_is_loaded_whole(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is fetched for the outline, if it is looked at, and once to be decoded."""
    asked = []
    read = Remote.read
    monkeypatch.setattr(Remote, "read", lambda self, path, *span: asked.append(path) or read(self, path, *span))
    source = open_source(bucket)
    assert asked == []
    source.outline()
    source.outline()
    ingest(source, 8)
    assert sorted(asked) == sorted([f"/bucket/photos/{key}" for key in source.keys] * 2)


def test_the_cache_knows_a_bucket(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coterie.data.reading import cache

    monkeypatch.setenv("COTERIE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_WORTH_SECONDS", 0.0)
    first, _ = read_images(open_source(bucket), 16)
    notes: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(RemoteFolder, "contents", None)
        again, _ = read_images(open_source(bucket), 16, note=notes.append)
    assert len(notes) == 1
    assert np.array_equal(again.images, first.images)
    fsspec.filesystem("memory").pipe("/bucket/photos/reds/00.png", b"something else")
    changed, skipped = read_images(open_source(bucket), 16, note=notes.append)
    assert len(notes) == 1
    assert len(changed) == 23
    assert {each.key for each in skipped} == {"notes.txt", "reds/00.png"}


def test_a_file_system_that_tells_no_times_is_not_cached(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = remote_module._entry
    monkeypatch.setattr(remote_module, "_entry", lambda path, about: info(path, {"size": about["size"]}))
    assert open_source(bucket).identity() is None


def test_packs(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    stream = io.BytesIO()
    np.savez(stream, images=blobs[0], labels=blobs[1])
    files = fsspec.filesystem("memory")
    files.pipe("/packs/blobs.npz", stream.getvalue())
    files.pipe("/packs/bad.npz", b"PK rubbish")
    assert np.array_equal(ingest(open_source("memory://packs/blobs.npz"), 8)[0].images[:, 0], blobs[0])
    with pytest.raises(UsageError, match=r"memory://packs/bad.npz cannot be read as an .npz"):
        open_source("memory://packs/bad.npz")
    with pytest.raises(CoterieError, match=r"there is no memory://packs/none.npz"):
        open_source("memory://packs/none.npz")


def test_files_that_vanish_or_are_refused_are_listed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(bucket)
    files = fsspec.filesystem("memory")
    files.rm("/bucket/photos/reds/00.png")
    cat = type(files).cat_file

    def refuse(self: Any, path: str, **span: Any) -> bytes:
        if path.endswith("blues/03.png"):
            raise PermissionError(path)
        return bytes(cat(self, path, **span))

    monkeypatch.setattr(type(files), "cat_file", refuse)
    store, skipped = ingest(source, 8)
    assert len(store) == 22
    reasons = {each.key: each.reason for each in skipped}
    assert (reasons["reds/00.png"], reasons["blues/03.png"]) == ("the file is gone", "no permission to read it")


@pytest.mark.parametrize("failures", [2, 99])
def test_a_network_that_fails(bucket: str, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    files = fsspec.filesystem("memory")
    cat, asked = type(files).cat_file, []

    def fail(self: Any, path: str, **span: Any) -> bytes:
        if path.endswith("blues/03.png") and len(asked) < failures:
            asked.append(path)
            raise ConnectionResetError("reset by\npeer")
        return bytes(cat(self, path, **span))

    source = open_source(bucket)
    monkeypatch.setattr(type(files), "cat_file", fail)
    if failures == 2:
        assert len(ingest(source, 8)[0]) == 24
        return
    with pytest.raises(CoterieError, match=r"photos: .*03.png could not be fetched: .*\(reset by peer\): check"):
        ingest(source, 8)
    assert len(asked) == 3


def test_what_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for url, message in [
        ("memory://nowhere", "there is nothing at memory://nowhere"),
        ("s4://bucket", "unknown scheme 's4': did you mean 's3'"),
        ("reference://x.json", "unknown scheme 'reference'"),
        ("simplecache::s3://bucket", "chains of schemes are not followed"),
    ]:
        with pytest.raises(UsageError, match=message):
            open_source(url)

    class NoCredentialsError(Exception):
        pass

    def refuse(*_: Any, **__: Any) -> None:
        raise NoCredentialsError("Unable to locate\ncredentials")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "find", refuse)
    with pytest.raises(CoterieError, match=r"access was refused \(Unable to locate credentials\): check the cred"):
        open_source("memory://bucket")
    assert "check the name" in reason(FileNotFoundError("x"))
    assert reason(ValueError("odd\nthing")) == "odd thing"


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    with monkeypatch.context() as patched:
        patched.setattr(fsspec.core, "url_to_fs", absent)
        with pytest.raises(UsageError, match=r"s3://bucket/photos needs s3fs: pip install s3fs"):
            open_source("s3://bucket/photos")
    for name in ("fsspec", "fsspec.core"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"needs fsspec: pip install 'coterie\[remote\]'"):
        open_source("s3://bucket/photos")


def test_hf_with_slashes_is_a_url_and_without_a_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def note(url: str) -> None:
        opened.append(url)
        raise UsageError("enough")

    monkeypatch.setattr(remote_module, "open_remote", note)
    with pytest.raises(UsageError, match="enough"):
        open_source("hf://datasets/me/photos")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match="needs datasets"):
        open_source("hf:me/photos")
    assert opened == ["hf://datasets/me/photos"]


def test_local_sources_import_no_fsspec(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "fsspec"]:
        monkeypatch.delitem(sys.modules, name)
    ingest(open_source(photo_folder), 8)
    assert "fsspec" not in sys.modules


def test_large_files_are_left_out_or_fetched_alone(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coterie.data.sources.bucket.MOST_BYTES", 10)
    with pytest.raises(UsageError, match="no images below"):
        open_source(bucket)
    monkeypatch.undo()
    monkeypatch.setattr(remote_module, "_LARGE", 10)
    remote, _ = open_remote(bucket)
    held = []
    cat = type(remote._files).cat_file

    def watched(self: Any, path: str, **span: Any) -> bytes:
        held.append(remote._large.locked())
        return bytes(cat(self, path, **span))

    monkeypatch.setattr(type(remote._files), "cat_file", watched)
    assert len(remote.read("/bucket/photos/reds/00.png", 0, 11)) == 11
    assert len(remote.read("/bucket/photos/reds/00.png", 0, 10)) == 10
    assert held == [True, False]


def test_a_server_that_knows_no_ranges(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, _ = open_remote(bucket)
    path = "/bucket/photos/reds/00.png"
    wanted = remote.read(path, 5, 9)
    cat = type(remote._files).cat_file
    monkeypatch.setattr(type(remote._files), "cat_file", lambda self, path, **_: cat(self, path))
    assert remote.read(path, 5, 9) == wanted
    assert len(wanted) == 4


def test_from_the_command_line(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    command = ["fit", bucket, "-k", "2", "--method", "simclr", "--epochs", "1", "--set", "hidden=8", "--quiet"]
    assert main([*command, "--labels-from-folders", "--out", str(run)]) == 0
    assert (run / "skipped.csv").read_text() == "key,reason\nnotes.txt,not an image file type (.txt)\n"
    assert main(["assign", str(run), bucket, "--quiet"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 25
    assert main(["report", str(run), "--source", bucket, "--quiet"]) == 0
    with pytest.raises(SystemExit, match="2"):
        main(["fit", bucket, "-k", "2", "--out", "s3://bucket/run"])
    assert "s3://bucket/run is a URL, but runs lie on this machine" in capsys.readouterr().err
