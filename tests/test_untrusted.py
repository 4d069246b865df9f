from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import intruders
from coterie import untrusted
from coterie.data.sources import open_source
from coterie.data.sources.arrays import ArraySource
from coterie.errors import UsageError
from coterie.tables import guarded, read_table, to_csv, unguarded
from coterie.text import printable

_OPEN = """
import json, resource, sys
from coterie.data.sources import open_source
from coterie.errors import UsageError

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = []
for path in sys.argv[1:]:
    try:
        said = str(len(open_source(path).keys))
    except UsageError as error:
        said = str(error)
    found.append([said, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024])
print(json.dumps(found))
"""


def opened(*paths: Path) -> list[tuple[str, int]]:
    """What a process of its own says of sources, and by how many MiB it has grown."""
    done = subprocess.run([sys.executable, "-c", _OPEN, *map(str, paths)], capture_output=True, text=True, check=True)
    return [(said, grown) for said, grown in json.loads(done.stdout)]


def promising(path: Path, count: int) -> Path:
    """A hundred images, whose header tells of `count`."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 8, 8)}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(6400))
    return path


def test_what_would_fill_the_memory_is_refused_before_it_does(tmp_path: Path) -> None:
    bomb = intruders.grown(tmp_path / "bomb.npz", 17 << 24)
    found = opened(bomb, promising(tmp_path / "long.npz", 10**7), promising(tmp_path / "endless.npz", 10**14))
    assert "would become 0.285 GB in memory, over 100 times as much" in found[0][0]
    assert all("cannot be read as an .npz" in said for said, _ in found)
    assert found[-1][1] < 30


def test_what_is_ones_own_goes_round_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "masks.npz", images=np.zeros((9000, 8, 8), np.uint8))
    assert len(open_source(tmp_path / "masks.npz").keys) == 9000  # What is small may grow as it likes.
    monkeypatch.setattr(untrusted, "_HARMLESS", 100_000)
    with pytest.raises(UsageError, match=r"save it again without compression, by numpy\.savez"):
        open_source(tmp_path / "masks.npz")
    np.savez(tmp_path / "masks.npz", images=np.zeros((9000, 8, 8), np.uint8))
    assert len(open_source(tmp_path / "masks.npz").keys) == 9000


@pytest.mark.soak
def test_a_few_kilobytes_that_would_become_gigabytes(tmp_path: Path) -> None:
    path = intruders.grown(tmp_path / "bomb.npz", 1 << 31, kind=zipfile.ZIP_BZIP2)
    assert path.stat().st_size < 8000
    [(said, grown)] = opened(path)
    print(f"{path.stat().st_size} bytes for 2 GiB: {said}; the process grew by {grown} MiB")
    assert "decompression bomb" in said
    assert grown < 30


def test_what_is_larger_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    np.savez(stream, images=np.zeros((100, 8, 8), np.uint8))
    untrusted.check_growth(stream)
    assert stream.tell() == 0
    monkeypatch.setattr(untrusted, "memory", lambda: 1000)
    with pytest.raises(ValueError, match="of memory, and there are 1e-06 GB"):
        untrusted.check_growth(stream)
    untrusted.check_growth(io.BytesIO(b"no archive"))


def test_labels_that_would_count_to_the_end_of_memory() -> None:
    labels = np.array([2**60, 7, -1, 7])
    source = ArraySource(np.zeros((4, 8, 8), np.uint8), labels=labels)
    assert source.class_names == ("7", str(2**60))
    assert source.labels is not None
    assert source.labels.tolist() == [1, 0, -1, 0]
    plain = ArraySource(np.zeros((4, 8, 8), np.uint8), labels=np.array([3, 0, -1, 1]))
    assert plain.class_names == ("0", "1", "2", "3")


def test_keys_of_odd_shapes_and_many_that_are_equal(tmp_path: Path) -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    for keys in (np.array("alone"), np.array([["a", "b"], ["c", "d"]]), np.zeros(4)):
        np.savez(tmp_path / "odd.npz", images=images, keys=keys)
        if keys.ndim == 2:
            assert list(open_source(tmp_path / "odd.npz").keys) == ["a", "b", "c", "d"]
        else:
            with pytest.raises(UsageError, match="keys"):
                open_source(tmp_path / "odd.npz")
    keys = [f"{place}" for place in range(200_000)]
    with pytest.raises(UsageError, match="key '199999' occurs more than once"):
        ArraySource(np.zeros((200_001, 8, 8), np.uint8), keys=[*keys, "199999"])


def test_yaml_and_json_of_all_kinds_are_values_or_one_reason(tmp_path: Path) -> None:
    assert untrusted.read_yaml("a: [1, 2]") == {"a": [1, 2]}
    for text in ("!!python/name:os.system", "[" * 600, "2001-99-99", "? {}: 1", "1" * 9000, "&a [*a]: 1", "*b", "\0"):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - of many kinds.
            untrusted.read_yaml(text)
        assert "\n" not in str(caught.value)
    for text in (b"[" * 100_000, b"\xff", b"", b"1" * 9000):
        (tmp_path / "x.json").write_bytes(text)
        with pytest.raises(ValueError):  # noqa: PT011 - of several kinds.
            untrusted.read_json(tmp_path / "x.json")


CELLS = st.text(alphabet="'=+-@;,\t\r\n\"ab ü\x1b", max_size=8)


@given(CELLS)
def test_guarded_text_is_no_formula_and_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
    for part in guarded(text).replace("\t", ";").replace("\r", ";").replace("\n", ";").split(";"):
        assert part[:1] not in ("=", "+", "-", "@")


@given(st.lists(st.tuples(CELLS.filter(str.strip), CELLS), min_size=1))
def test_tables_come_back(rows: list[tuple[str, str]]) -> None:
    path = Path("table.csv")
    written = to_csv(["key", "label"], rows)

    class Held:
        def read_bytes(self) -> bytes:
            return written.encode()

        def __str__(self) -> str:
            return str(path)

    read = read_table(Held(), ("key", "label"))  # type: ignore[arg-type]
    assert [(row["key"], row["label"]) for row in read] == [(printable(key), printable(label)) for key, label in rows]
