"""Data sets as they are downloaded: each in miniature, written in its format, comes out as it went in."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import intruders
import miniatures
from coterie.data.base import Source
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.data.sources.downloads.pickles import read_pickle
from coterie.data.sources.downloads.words import DOWNLOADS, asked_for
from coterie.data.sources.naming import full_name, in_arrays, place_of, shown_name
from coterie.errors import UsageError


def kinds(source: Source) -> list[str]:
    assert source.labels is not None
    return [source.class_names[label] if label >= 0 else "" for label in source.labels]


def decoded(source: Source, side: int) -> np.ndarray:
    """Images (N, side, side, C)."""
    return ingest(source, side)[0].images.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("place", ["", "cifar-10-batches-py", "cifar-10-python.tar.gz", "cifar-10-python.tar"])
def test_cifar10(tmp_path: Path, place: str) -> None:
    images, labels = miniatures.cifar10(tmp_path)
    if ".tar" in place:
        miniatures.packed(tmp_path / "cifar-10-batches-py", place)
    source = open_source(f"cifar10:{tmp_path / place}")
    assert np.array_equal(decoded(source, 32), images)
    assert kinds(source) == [f"kind {label}" for label in labels]
    assert list(source.keys) == [f"train/{n:05d}" for n in range(20)] + [f"test/{n:05d}" for n in range(4)]
    tested = open_source(f"cifar10:{tmp_path / place}:test")
    assert np.array_equal(decoded(tested, 32), images[20:])
    assert list(tested.keys) == list(source.keys)[20:]
    assert open_source(f"cifar10:{tmp_path / place}:test+train").keys == source.keys
    assert source.identity() not in (None, tested.identity())


def test_cifar100_by_its_fine_and_its_coarse_classes(tmp_path: Path) -> None:
    images, fine, coarse = miniatures.cifar100(tmp_path)
    hundred, twenty = (open_source(f"{word}:{tmp_path}") for word in ("cifar100", "cifar20"))
    assert kinds(hundred) == [f"f{label}" for label in fine]
    assert kinds(twenty) == [f"c{label}" for label in coarse]
    assert np.array_equal(decoded(twenty, 32), images)
    assert len(open_source(f"cifar20:{tmp_path}:train").keys) == 30


@pytest.mark.parametrize("packed", [False, True])
def test_stl10_with_and_without_what_has_no_label(tmp_path: Path, packed: bool) -> None:
    images, labels = miniatures.stl10(tmp_path)
    place = miniatures.packed(tmp_path / "stl10_binary", "stl10_binary.tar.gz") if packed else tmp_path
    source = open_source(f"stl10:{place}")
    assert np.array_equal(decoded(source, 96), images[:10])
    assert kinds(source) == [f"kind{label}" for label in labels]
    said: list[str] = []
    whole = open_source(f"stl10:{place}:train+test+unlabelled", note=said.append)
    assert np.array_equal(decoded(whole, 96), images)
    assert kinds(whole)[10:] == [""] * 10
    assert "10 of 20 have no label" in said[0]
    assert list(whole.keys)[10] == "unlabelled/00000"


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files(tmp_path: Path, compressed: bool) -> None:
    images, labels = miniatures.mnist(tmp_path / "raw", compressed=compressed)
    source = open_source(f"mnist:{tmp_path}")
    assert np.array_equal(decoded(source, 28)[..., 0], images)
    assert kinds(source) == [str(label) for label in labels]
    assert kinds(open_source(f"fashion-mnist:{tmp_path}:test")) == ["ankle boot", "T-shirt/top", "trouser"]


def test_tiny_imagenet(tmp_path: Path) -> None:
    miniatures.tiny_imagenet(tmp_path)
    said: list[str] = []
    source = open_source(f"tiny-imagenet:{tmp_path}", note=said.append)
    assert (len(source.keys), source.keys[0]) == (6, "train/n01443537/images/n01443537_0.JPEG")
    assert [key.split("/")[1] for key in source.keys] == kinds(source)
    assert source.skipped == []
    assert said == [f"tiny-imagenet has 200 classes, and {tmp_path} holds 3"]
    assert kinds(open_source(f"tiny-imagenet:{tmp_path}:val")) == ["n01641577", "n01629819", "n01443537"]
    assert len(open_source(f"tiny-imagenet:{tmp_path}:train+val").keys) == 9


@pytest.mark.parametrize(("word", "classes"), [("imagenet10", 10), ("imagenet-dogs", 15), ("imagenet", 16)])
def test_parts_of_imagenet(tmp_path: Path, word: str, classes: int) -> None:
    names = {"n01440764"} if word == "imagenet" else {"n01440764", "n09999999"}
    names |= {*miniatures._SYNSETS["imagenet-dogs" if word == "imagenet" else word]}
    miniatures.synsets(tmp_path, sorted(names), 1)
    for place, start in (("", "train/"), ("train", "")):
        source = open_source(f"{word}:{tmp_path / place}")
        assert len(source.class_names) == len(source.keys) == classes
        assert [f"{start}{kind}/{kind}_0.JPEG" for kind in kinds(source)] == list(source.keys)
    with pytest.raises(UsageError, match=r"there is no folder .*val"):
        open_source(f"{word}:{tmp_path}:val")
    if word != "imagenet":
        (tmp_path / "train" / "n02085936").rename(tmp_path / "train" / "elsewhere")
        with pytest.raises(UsageError, match=r"train lacks n02085936$"):
            open_source(f"{word}:{tmp_path}")


@pytest.mark.parametrize("word", ["uc-merced", "rsod", "siri-whu"])
def test_aerial_photographs(tmp_path: Path, word: str) -> None:
    miniatures.WRITERS[word](tmp_path)
    (tmp_path / "readme.txt").write_text("about")
    source = open_source(f"{word}:{tmp_path}")
    assert all(f"{kind}/" in key for kind, key in zip(kinds(source), source.keys, strict=True))
    assert len(source.class_names) == 4
    with pytest.raises(UsageError, match="has no splits: leave ':train' out"):
        open_source(f"{word}:{tmp_path}:train")


def test_a_word_before_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert full_name("cifar10:data") == f"cifar10:{tmp_path / 'data'}"
    assert full_name("stl10:data:train+test") == f"stl10:{tmp_path / 'data'}:train+test"
    assert shown_name(full_name("cifar10:data:test")) == "cifar10:data:test"
    assert place_of(full_name("rsod:data")) == place_of(str(tmp_path / "data")) == tmp_path / "data"
    assert in_arrays(full_name("cifar10:data"))
    assert not in_arrays(full_name("rsod:data"))
    for path in (r"C:\data", "C:data", "hf:cifar10:test", "s3://cifar10:x", "cifar10", "cifar:x"):
        assert asked_for(path) is None, path
    for rest, said in (
        (r"C:\data", ""),
        ("C:data", ""),
        (r"C:\data:test", "test"),
        ("C:/a b:test", "test"),
        ("x:test", "test"),
    ):
        found = asked_for(f"cifar10:{rest}")
        assert found is not None
        assert (str(found.path), found.said) == (rest.removesuffix(":test"), said)
    (tmp_path / "mine:test").mkdir()
    assert asked_for("cifar10:mine:test").path == Path("mine:test")  # type: ignore[union-attr]
    assert asked_for("cifar10:~/x").path == Path.home() / "x"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("cifar10:", "no path stands behind"),
        ("cifar10:nowhere", "cifar10:nowhere: there is no such folder or tar"),
        ("cifar10:s3://bucket/x", "there is no such folder or tar"),
        ("cifar10:.", "lacks batches.meta, data_batch_1, data_batch_2 and more"),
        ("cifar10:.:trian", "unknown split of cifar10 'trian': did you mean 'train'"),
        ("stl10:.:unlabeled", "did you mean 'unlabelled'"),
        ("imagenet10:nowhere", "there is no folder nowhere"),
        ("tiny-imagenet:.", "lacks folders such as n02056570"),
        ("rsod:nowhere", "there is no folder nowhere"),
    ],
)
def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=reason):
        open_source(source)


def test_labels_come_with_the_data(tmp_path: Path) -> None:
    miniatures.cifar10(tmp_path)
    with pytest.raises(UsageError, match="cifar10 brings its labels"):
        open_source(f"cifar10:{tmp_path}", labels_from_folders=True)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _other_labels(path: Path) -> None:
    path.write_bytes(miniatures.python2_pickle({"data": miniatures.pixels(4, 3072), "labels": [0, 1, 2, 10]}))


def _other_size(path: Path) -> None:
    path.write_bytes(miniatures.python2_pickle({"data": miniatures.pixels(4, 3000), "labels": [0, 1, 2, 3]}))


DAMAGES: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("cifar10", "cifar-10-batches-py/data_batch_3", _half, "data_batch_3 is not what it should be"),
    ("cifar10", "cifar-10-batches-py/data_batch_3", lambda path: path.write_bytes(b""), "data_batch_3 is empty"),
    ("cifar10", "cifar-10-batches-py/test_batch", _other_labels, "test split has labels beyond the 10 classes"),
    ("cifar10", "cifar-10-batches-py/test_batch", _other_size, "no 'data' of images with 3 × 32 × 32 bytes"),
    ("cifar20", "cifar-100-python/meta", Path.unlink, "lacks meta"),
    ("stl10", "stl10_binary/test_X.bin", _half, "images and .* labels|whole number of images"),
    ("stl10", "stl10_binary/train_y.bin", _half, "holds 10 images and 5 labels"),
    ("mnist", "train-images-idx3-ubyte.gz", _half, "truncated or damaged"),
    ("fashion-mnist", "t10k-images-idx3-ubyte", _half, r"values, and says it holds 6 × 28 × 28"),
    ("fashion-mnist", "t10k-labels-idx1-ubyte", lambda path: path.write_bytes(b"PK\3\4"), "is no idx file of bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "file", "damage", "reason"), DAMAGES)
def test_damaged_files_get_one_line(
    tmp_path: Path, word: str, file: str, damage: Callable[[Path], object], reason: str
) -> None:
    miniatures.WRITERS[word](tmp_path)
    damage(tmp_path / file)
    with pytest.raises(UsageError, match=reason) as caught:
        open_source(f"{word}:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{word}:")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_a_truncated_archive_gets_one_line(tmp_path: Path, name: str, share: float) -> None:
    miniatures.cifar10(tmp_path, 40)
    path = miniatures.packed(tmp_path / "cifar-10-batches-py", name)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UsageError, match="truncated"):
        open_source(f"cifar10:{path}")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_plain_pickles_are_read_as_pickle_reads_them(protocol: int, order: str) -> None:
    arrays = {
        str(kind): np.asarray(np.arange(12).reshape(3, 4).astype(kind), order=order)  # type: ignore[call-overload]
        for kind in ("u1", "<i8", ">i4", "f4", "b1")
    }
    plain = {"a": [1, -300, 2**40, 1.5, None, True, False], "b": ("x", b"\xff\x00", ()), "c": {"d": [[], {}]}}
    found = read_pickle(pickle.dumps({**arrays, **plain}, protocol=protocol))
    assert {key: found[key] for key in plain} == plain
    for key, values in arrays.items():
        assert found[key].dtype == values.dtype
        assert np.array_equal(found[key], values)
    assert read_pickle(miniatures.python2_pickle({"x": [1, "é"]})) == {"x": [1, "é"]}


HOSTILE = {
    "a name": b"\x80\x02cos\nsystem\nU\x02ls\x85R.",
    "a name on the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "an instance": b"\x80\x02(ios\nsystem\n.",
    "a new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "an extension": b"\x80\x02\x82\x01.",
    "something persistent": b"\x80\x02U\x01xQ.",
    "what was kept far away": b"\x80\x02}r\xff\xff\xff\x7fh\x05.",
    "a number of gigabytes": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "text of gigabytes": b"\x80\x02T\xff\xff\xff\x7f.",
    "an array of objects": b"\x80\x02cnumpy\ndtype\nU\x01OK\x00K\x01\x87R.",
    "a state for anything": b"\x80\x02}}b.",
    "a call of text": b"\x80\x02U\x01x)R.",
    "keys that are lists": b"\x80\x02}]]s.",
    "no dictionary": b"\x80\x02].",
    "nothing": b"\x80\x02.",
    "no end": b"\x80\x02}",
    "no pickle": b"PK\x03\x04",
    "no bytes": b"",
    "a number of a thousand letters": b"\x80\x02F" + 1000 * b"x" + b"\n.",
    "a mark alone": b"\x80\x02(u.",
    "an endless name": b"\x80\x04]q\x00(h\x00h\x00e\x8c\x01x\x93.",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_other_pickles_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - whatever it says.
        read_pickle(content)
    assert len(str(caught.value)) < 120


def test_an_array_is_as_large_as_it_says() -> None:
    whole = miniatures.python2_pickle({"data": miniatures.pixels(4, 16)})
    for before, after in ((b"J\4\0\0\0J\x10", b"J\5\0\0\0J\x10"), (b"J\4\0\0\0J\x10", b"J\xff\xff\xff\xffJ\x10")):
        assert before in whole
        with pytest.raises(ValueError, match="array of"):
            read_pickle(whole.replace(before, after))


def test_intruders_are_named_and_not_let_in(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"names \w+.open, which is never executed"):
        read_pickle(intruders.pickled(tmp_path / "x", tmp_path / "marker").read_bytes())
    assert not (tmp_path / "marker").exists()


def test_what_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    miniatures.mnist(tmp_path, compressed=True)
    with gzip.open(tmp_path / "t10k-images-idx3-ubyte.gz", "wb", compresslevel=1) as stream:
        for _ in range(17):
            stream.write(bytes(1 << 24))
    with pytest.raises(UsageError, match="decompression bomb; if it is your own, unpack it"):
        open_source(f"mnist:{tmp_path}")


def test_every_word_opens_its_miniature(tmp_path: Path) -> None:
    assert set(miniatures.WRITERS) == set(DOWNLOADS)
    for word, write in miniatures.WRITERS.items():
        write(tmp_path / word)
        source = open_source(f"{word}:{tmp_path / word}")
        assert len(source.keys) >= 20, word
        assert source.labels is not None
