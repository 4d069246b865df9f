"""Data sets in miniature, in the formats their authors chose, as they are downloaded."""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coterie.data.sources.downloads.classes import _SYNSETS

Pixels = np.ndarray


def pixels(count: int, *shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng([seed, count, *shape]).integers(0, 256, (count, *shape), dtype=np.uint8)


def python2_pickle(value: Any) -> bytes:
    """As Python 2 and the numpy of its time wrote it, in protocol 2."""
    return b"\x80\x02" + b"".join(_written(value)) + b"."


def _written(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        yield b"}q\x01("
        for key, held in value.items():
            yield from (*_written(key), *_written(held))
        yield b"u"
    elif isinstance(value, list):
        yield b"]q\x02(" + b"".join(part for each in value for part in _written(each)) + b"e"
    elif isinstance(value, str):
        text = value.encode("latin-1")
        yield b"U" + bytes((len(text),)) + text
    elif isinstance(value, int):
        yield b"J" + struct.pack("<i", value)
    else:
        shape = b"".join(part for side in value.shape for part in _written(int(side)))
        yield b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01(" + shape + b"t"
        yield b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb\x89"
        yield b"T" + struct.pack("<i", value.nbytes) + value.tobytes() + b"tb"


def cifar10(root: Path, each: int = 4) -> tuple[Pixels, list[int]]:
    """`cifar-10-batches-py` below `root`: five batches and one of the test; images (N, 32, 32, 3) and labels."""
    folder = _made(root / "cifar-10-batches-py")
    images, labels = pixels(6 * each, 32, 32, 3), [place % 10 for place in range(6 * each)]
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for place, name in enumerate(names):
        part = slice(place * each, (place + 1) * each)
        _batch(folder / name, images[part], labels=labels[part])
    meta = {"num_cases_per_batch": each, "label_names": [f"kind {number}" for number in range(10)]}
    (folder / "batches.meta").write_bytes(python2_pickle(meta))
    return images, labels


def cifar100(root: Path, count: int = 40) -> tuple[Pixels, list[int], list[int]]:
    """`cifar-100-python`: a quarter is the test; images, fine and coarse labels."""
    folder = _made(root / "cifar-100-python")
    images, fine = pixels(count, 32, 32, 3), [7 * place % 100 for place in range(count)]
    coarse, cut = [label // 5 for label in fine], count - count // 4
    for name, part in (("train", slice(cut)), ("test", slice(cut, None))):
        _batch(folder / name, images[part], fine_labels=fine[part], coarse_labels=coarse[part])
    meta = {"fine_label_names": [f"f{n}" for n in range(100)], "coarse_label_names": [f"c{n}" for n in range(20)]}
    (folder / "meta").write_bytes(python2_pickle(meta))
    return images, fine, coarse


def _batch(path: Path, images: Pixels, **labels: list[int]) -> None:
    rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
    names = [f"picture_s_{place:06d}.png" for place in range(len(images))]
    path.write_bytes(python2_pickle({"batch_label": path.name, **labels, "data": rows, "filenames": names}))


def stl10(root: Path, count: int = 20) -> tuple[Pixels, list[int]]:
    """`stl10_binary`: a quarter each is train and test, the rest has no label; images (N, 96, 96, 3)."""
    folder = _made(root / "stl10_binary")
    images, labels = pixels(count, 96, 96, 3), [3 * place % 10 for place in range(count // 2)]
    cuts = [0, count // 4, count // 2, count]
    for name, start, stop in zip(("train", "test", "unlabeled"), cuts, cuts[1:], strict=False):
        (folder / f"{name}_X.bin").write_bytes(images[start:stop].transpose(0, 3, 2, 1).tobytes())
        if name != "unlabeled":
            (folder / f"{name}_y.bin").write_bytes(bytes(label + 1 for label in labels[start:stop]))
    (folder / "class_names.txt").write_text("".join(f"kind{number}\n" for number in range(10)))
    return images, labels


def mnist(root: Path, *, compressed: bool, count: int = 12) -> tuple[Pixels, list[int]]:
    """Four idx files, a quarter of the images in those of the test; images (N, 28, 28)."""
    images, labels, cut = pixels(count, 28, 28), [place % 10 for place in range(count)], count - count // 4
    for name, part in (("train", slice(cut)), ("t10k", slice(cut, None))):
        some = images[part]
        files = {
            f"{name}-images-idx3-ubyte": struct.pack(">4i", 0x803, len(some), 28, 28) + some.tobytes(),
            f"{name}-labels-idx1-ubyte": struct.pack(">2i", 0x801, len(some)) + bytes(labels[part]),
        }
        for file, content in files.items():
            path = _made(root) / (f"{file}.gz" if compressed else file)
            path.write_bytes(gzip.compress(content) if compressed else content)
    return images, labels


def synsets(root: Path, names: list[str], each: int = 2, *, split: str = "train") -> None:
    """ImageNet's folders, a class each."""
    for number, name in enumerate(names):
        _pictures(root / split / name, f"{name}_", "JPEG", each, seed=number)


def tiny_imagenet(root: Path, each: int = 2) -> None:
    """`tiny-imagenet-200` of three classes, with its list of what `val` holds."""
    names = ["n01443537", "n01629819", "n01641577"]
    for number, name in enumerate(names):
        _pictures(root / "train" / name / "images", f"{name}_", "JPEG", each, seed=number)
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
    _pictures(root / "val" / "images", "val_", "JPEG", 3, seed=9)
    lines = [f"val_{place}.JPEG\t{name}\t0\t0\t9\t9\n" for place, name in enumerate(reversed(names))]
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    _pictures(root / "test" / "images", "test_", "JPEG", 1, seed=10)


def classes(root: Path, pattern: str, names: list[str], ending: str = "tif", each: int = 6) -> None:
    """Folders by a pattern such as `Images/{}`."""
    for number, name in enumerate(names):
        _pictures(root / pattern.format(name), name, ending, each, seed=number)


def _pictures(folder: Path, name: str, ending: str, count: int, *, seed: int) -> None:
    for place, image in enumerate(pixels(count, 20, 20, 3, seed=seed)):
        Image.fromarray(image).save(_made(folder) / f"{name}{place}.{ending}")


def packed(folder: Path, name: str) -> Path:
    """A folder as the archive it is downloaded in."""
    path = folder.with_name(name)
    with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as tar:
        tar.add(folder, folder.name)
    return path


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# What writes each data set into a folder, by its word.
WRITERS: dict[str, Callable[[Path], object]] = {
    "cifar10": cifar10,
    "cifar20": cifar100,
    "cifar100": cifar100,
    "stl10": lambda root: stl10(root, 40),
    "mnist": lambda root: mnist(root, compressed=True, count=24),
    "fashion-mnist": lambda root: mnist(root, compressed=False, count=24),
    "imagenet": lambda root: synsets(root, ["n01440764", "n01443537"], 10),
    "imagenet10": lambda root: synsets(root, list(_SYNSETS["imagenet10"])),
    "imagenet-dogs": lambda root: synsets(root, list(_SYNSETS["imagenet-dogs"])),
    "tiny-imagenet": lambda root: tiny_imagenet(root, 7),
    "uc-merced": lambda root: classes(root, "Images/{}", ["agricultural", "airplane", "beach", "forest"]),
    "rsod": lambda root: classes(root, "{}/JPEGImages", ["aircraft", "oiltank", "overpass", "playground"], "jpg"),
    "siri-whu": lambda root: classes(root, "12class_tif/{}", ["harbor", "idle_land", "pond", "river"]),
}
