"""Tar shards, whole and damaged, here and behind URLs."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source, shard_cache
from coterie.data.sources import shards as shards_module
from coterie.data.sources import tars as tars_module
from coterie.data.sources.shard_names import expanded
from coterie.data.sources.storage import Disk
from coterie.errors import UsageError

REDS = [10, 200, 20, 210, 30, 220]


def picture(red: int, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (24, 20), (red, 40, 90)).save(stream, kind)
    return stream.getvalue()


def member(name: str, **about: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in about.items():
        setattr(info, key, value)
    return info


def write(path: Path, members: Iterable[tuple[str, bytes] | tarfile.TarInfo], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                tar.addfile(each)
            else:
                tar.addfile(member(each[0], size=len(each[1])), io.BytesIO(each[1]))
    return path


def samples(reds: list[int], first: int = 0) -> list[tuple[str, bytes]]:
    """Images with a label of their brightness, in `.cls`."""
    made = []
    for place, red in enumerate(reds, start=first):
        made += [(f"{place:06d}.cls", b"%d\n" % (red > 99)), (f"{place:06d}.png", picture(red))]
    return made


def reds(source: Any) -> list[int]:
    return [int(image[0].mean().round()) for image in ingest(source, 8)[0].images]


def reasons(source: Any) -> dict[str, str]:
    return {each.key: each.reason for each in source.skipped}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_become_images_with_labels(tmp_path: Path, mode: str, form: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(tarfile.TarFile, "format", form)
    deep = f"{'deep/' * 20}{'x' * 60}/é.png"
    path = write(tmp_path / "a.tar", [*samples(REDS), (deep, picture(77))], mode)
    source = open_source(path)
    assert source.keys == [*(f"{place:06d}" for place in range(6)), deep.removesuffix(".png")]
    assert (source.labels.tolist(), source.class_names) == ([0, 1, 0, 1, 0, 1, -1], ("0", "1"))
    assert reds(source) == [*REDS, 77]
    assert source.skipped == []
    assert (source.outline().count, source.outline().side, source.outline().grey) == (7, 20, False)


def test_labels_of_every_kind(tmp_path: Path) -> None:
    members = [("a.jpg", picture(1, "JPEG")), ("a.json", json.dumps({"label": 10, "caption": "x"}).encode())]
    members += [("b.webp", picture(1, "WEBP")), ("b.json", b'{"class": "9"}')]
    members += [("c.cls", b"owl"), ("c.JPEG", picture(1, "JPEG")), ("c.json", b'{"label": "fox"}'), ("c.txt", b"x")]
    for name, content in [("d", b"{"), ("e", b"[1]"), ("f", b'{"label": [1]}'), ("g", b"\xff"), ("h", b"[" * 100_000)]:
        members += [(f"{name}.json", content), (f"{name}.png", picture(1))]
    source = open_source(write(tmp_path / "a.tar", members))
    assert source.class_names == ("9", "10", "owl")
    assert dict(zip(source.keys, source.labels.tolist(), strict=True)) == {
        "a": 1, "b": 0, "c": 2, "d": -1, "e": -1, "f": -1, "g": -1, "h": -1,
    }  # fmt: skip
    assert open_source(write(tmp_path / "b.tar", [("a.png", picture(1))])).labels is None


def test_folders_in_a_tar_as_labels(tmp_path: Path, photo_folder: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(photo_folder, arcname=".")
    source, folder = (open_source(path, labels_from_folders=True) for path in (tmp_path / "photos.tar", photo_folder))
    assert source.class_names == folder.class_names == ("blues", "reds")
    assert sorted(source.keys) == [key.removesuffix(".png") for key in folder.keys]
    store, wanted = ingest(source, 16)[0], ingest(folder, 16)[0]
    order = np.argsort(store.keys)
    assert np.array_equal(store.images[order], wanted.images)
    assert np.array_equal(store.labels[order], wanted.labels)
    with pytest.raises(UsageError, match=r"a\.tar has no class folders"):
        open_source(write(tmp_path / "a.tar", samples(REDS)), labels_from_folders=True)


@pytest.mark.parametrize("where", ["", "file://"])
def test_shards_by_pattern_and_folder(tmp_path: Path, where: str) -> None:
    pytest.importorskip("fsspec")
    for shard in range(3):
        write(tmp_path / f"s-{shard:02d}.tar", samples(REDS[2 * shard : 2 * shard + 2], 2 * shard))
    (tmp_path / "index.txt").write_text("passed over")
    root = f"{where}{tmp_path}"
    whole = open_source(root)
    for pattern in ("s-{00..02}.tar", "s-*.tar", "s-0[012].tar", "s-{00,01,02}.tar*"):
        source = open_source(f"{root}/{pattern}")
        assert source.keys == whole.keys
        assert reds(source) == REDS
        assert source.labels.tolist() == [0, 1] * 3
        assert source.identity() == whole.identity()
    assert reds(open_source(f"{root}/s-{{01..01}}.tar")) == REDS[2:4]
    for pattern, message in [("s-{00..03}.tar", "no .*s-03.tar, which .* names"), ("t-*.tar", "nothing matches")]:
        with pytest.raises(UsageError, match=message):
            open_source(f"{root}/{pattern}")


def test_names_that_braces_stand_for() -> None:
    assert list(expanded("{08..11}-{a,b}")) == [f"{n}-{x}" for n in ("08", "09", "10", "11") for x in "ab"]
    assert list(expanded("{8..10}")) == ["8", "9", "10"]
    assert list(expanded("plain")) == ["plain"]
    with pytest.raises(UsageError, match="more than"):
        list(expanded("{0..99999999}"))


def test_doubles_are_told_apart_by_their_shards(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("one.tar", "sub/two.tar"):
        write(tmp_path / name, samples(REDS[:2]))
    source = open_source(tmp_path)
    assert source.keys == ["one/000000", "one/000001", "sub/two/000000", "sub/two/000001"]
    assert reds(source) == REDS[:2] * 2
    twice = write(
        tmp_path / "one.tar", [*samples(REDS[:1]), ("000000.jpg", picture(5)), ("photo.2021.jpg", picture(6))]
    )
    assert open_source(twice).keys == ["000000.png", "000000.jpg", "photo"]
    assert reasons(open_source(twice)) == {}


def test_what_is_no_image_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars_module, "MOST_BYTES", 5000)
    members: list[Any] = [
        *samples(REDS[:2]),
        member("link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("hard.png", type=tarfile.LNKTYPE, linkname="000000.png"),
        member("device.png", type=tarfile.CHRTYPE),
        member("pipe.png", type=tarfile.FIFOTYPE),
        member("folder.png", type=tarfile.DIRTYPE),
        ("../../up.png", picture(1)), ("/root.png", picture(1)), ("huge.png", b"\0" * 6000), ("lonely.txt", b"x"),
        ("._000000.png", b"x"), (".hidden/x.png", b"x"), ("000002.png", b"no image"),
    ]  # fmt: skip
    source = open_source(write(tmp_path / "a.tar", members))
    assert reasons(source) == {
        "a.tar/link.png": "a link", "a.tar/hard.png": "a link", "a.tar/device.png": "no ordinary file",
        "a.tar/pipe.png": "no ordinary file", "a.tar/../../up.png": "its path leads out of the tar",
        "a.tar//root.png": "its path leads out of the tar", "a.tar/huge.png": "too large: 0 MB",
        "a.tar/lonely": "a sample without an image",
    }  # fmt: skip
    store, skipped = ingest(source, 8)
    assert list(store.keys) == ["000000", "000001"]
    assert skipped[-1].key == "000002"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_truncated_shard_gives_what_stands_before(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(0)
    noise = [(f"{place}.bmp", _noise(rng)) for place in range(5)]
    whole = write(tmp_path / "a.tar", noise, mode).read_bytes()
    write(tmp_path / "b.tar", samples(REDS[:2]))
    for share in (0.5, 0.3):
        (tmp_path / "a.tar").write_bytes(whole[: int(share * len(whole))])
        source = open_source(tmp_path)
        count = int(share * 5)
        assert source.keys == [*map(str, range(count)), "000000", "000001"]
        (reason,) = reasons(source).values()
        assert "truncated or damaged" in reason
        assert f"after {count}.bmp; what stands before is used" in reason
        assert len(ingest(source, 8)[0]) == count + 2


def _noise(rng: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(stream, "BMP")
    return stream.getvalue()


def test_every_place_a_shard_can_end_at(tmp_path: Path) -> None:
    """Wherever it is cut, whole members are used, nothing hangs, and the rest is listed."""
    whole = write(tmp_path / "a.tar", samples([1, 2, 3])).read_bytes()
    write(tmp_path / "b.tar", [("b.png", picture(9))])
    for end in range(0, 6 * 1024 + 512, 256):
        (tmp_path / "a.tar").write_bytes(whole[:end])
        source = open_source(tmp_path)
        assert list(reasons(source)) == ["a.tar"]
        assert reds(source) == [*[1, 2, 3][: len(source.keys) - 1], 9]


def test_what_is_no_tar(tmp_path: Path) -> None:
    for name, content, message in [
        ("text", b"hello" * 500, "not a tar file, or compressed otherwise"),
        ("empty", b"", "the file is empty"),
        ("zeros", b"\0" * 2048, "no images in"),
        ("gzip", b"\x1f\x8b nonsense", "not a tar file"),
    ]:
        (tmp_path / f"{name}.tar").write_bytes(content)
        with pytest.raises(UsageError, match=message):
            open_source(tmp_path / f"{name}.tar")
    with pytest.raises(UsageError, match="there is no"):
        open_source(tmp_path / "none.tar")


def test_hostile_headers_end(tmp_path: Path) -> None:
    """Headers that claim a size without bound or below nothing, or a list longer than the file."""
    sizes = [("x", b"x", 1 << 40), ("y", b"x", 65), ("s.png", b"0", 512), ("z.png", b"0", 0)]
    huge, endless, sparse, negative = (member(name, type=kind, size=size) for name, kind, size in sizes)
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=x\n"
    heads = {
        "damaged: a header of no possible size": huge.tobuf(tarfile.GNU_FORMAT),
        "truncated or damaged (not enough": endless.tobuf()
        + records.ljust(512, b"\0")
        + sparse.tobuf()
        + b"9\n"
        + b"1" * 510,
        "damaged: a member of no possible size": _with_size(negative.tobuf(), b"\xff" * 11 + b"\xf0"),
    }
    for reason, head in heads.items():
        path = write(tmp_path / "a.tar", samples([50]))
        path.write_bytes(path.read_bytes()[: 4 * 512] + head + b"\0" * 1024)
        source = open_source(path)
        assert reasons(source)["a.tar"].startswith(reason)
        assert reds(source) == [50]


def _with_size(header: bytes, size: bytes) -> bytes:
    begun = header[:124] + size + header[136:148] + b" " * 8 + header[156:]
    return begun[:148] + b"%06o\0 " % sum(begun) + begun[156:]


def test_a_shard_that_changes_under_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz")):
        path = write(tmp_path / name, [(f"{place}.bmp", _noise(rng)) for place in range(6)], mode)
        source = open_source(path)
        before = source.identity()
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert open_source(path).identity() != before
        store, skipped = ingest(source, 8)
        assert 0 < len(store) < 6
        assert {each.reason for each in skipped} == {"its shard is damaged, or changed while it was read"}
        path.unlink()
        with pytest.raises(UsageError, match="cannot be read: No such file"):
            ingest(source, 8)


def test_neighbours_are_read_together_and_the_rest_is_passed_over(tmp_path: Path, monkeypatch: Any) -> None:
    members = samples(REDS[:4])
    members.insert(4, ("000001.txt", b"x" * 100_000))
    source = open_source(write(tmp_path / "a.tar", members))
    assert source.parts([3, 0, 1, 2]) == [[0, 1], [2, 3]]
    monkeypatch.setattr(shards_module, "_TOGETHER", 100)
    assert source.parts([0, 1, 2, 3]) == [[0], [1], [2], [3]]
    read, asked = Disk.read, []
    monkeypatch.setattr(
        Disk, "read", lambda self, path, start, stop: asked.append(stop - start) or read(self, path, start, stop)
    )
    assert reds(source) == REDS[:4]
    assert sum(asked) < 10_000
    packed = open_source(write(tmp_path / "b.tar.gz", samples(REDS), "w:gz"))
    assert packed.parts([5, 1, 3]) == [[1, 3, 5]]
    assert list(packed.sample()) == [0, 1, 2, 3, 4, 5]


def test_what_a_shard_holds_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COTERIE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shard_cache, "_WORTH_SECONDS", 0.0)
    monkeypatch.setattr(shard_cache, "_MOST_TABLES", 2)
    (tmp_path / "shards").mkdir()
    link = member("link.png", type=tarfile.SYMTYPE, linkname="x")
    path = write(tmp_path / "shards" / "a.tar.gz", [*samples(REDS), link], "w:gz")
    first = open_source(path)
    with monkeypatch.context() as patched:
        patched.setattr(shards_module, "read_contents", None)
        again = open_source(path)
    assert (again.keys, again.labels.tolist(), again.skipped) == (first.keys, first.labels.tolist(), first.skipped)
    assert reds(again) == REDS
    write(path, samples(REDS[:2]), "w:gz")
    assert reds(open_source(path)) == REDS[:2]
    (*_, table) = sorted((tmp_path / "cache" / "shards").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for damage in ("", "{}", '{"samples": {"x": [1]}, "skipped": [], "compressed": false}'):
        table.write_text(damage)
        assert reds(open_source(path)) == REDS[:2]
    assert len(list((tmp_path / "cache" / "shards").iterdir())) == 2
