from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coterie.errors import UsageError
from coterie.runs.folder import RunFolder
from coterie.runs.kept import Kept, kept_in, part_name, read_kept

PATH = Path("labels.csv")
KEYS = ["a", "=b", "c"]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Kept(
        ["cats", "", "-1"], np.array([True, False, False]), np.array([False, False, True]), np.array([2, 0, 0]),
        np.array([1, 0, 0]),
    )  # fmt: skip
    text = kept.to_csv(KEYS, np.array([4, 5, 6]))
    assert text == "key,label,mixed,cluster,said,split,part\na,cats,1,4,0,2,1\nc,'-1,0,6,1,,\n"
    folder = RunFolder(tmp_path)
    assert read_kept(folder, KEYS) is None
    folder.told.write_text("key,label\nc,owls\n", encoding="utf-8")
    learnt = read_kept(folder, KEYS)
    assert learnt is not None
    assert (learnt.labels, learnt.said.tolist()) == (["", "", "owls"], [False, False, True])
    folder.labels.write_text(text, encoding="utf-8")
    read = read_kept(folder, KEYS)
    assert read is not None
    assert read.to_csv(KEYS, np.array([4, 5, 6])) == text


def test_what_is_said_comes_over_what_was() -> None:
    earlier = kept_in(b"key,label,said,split,part\na,cats,1,,\n'=b,dogs,1,,\n", PATH, KEYS)
    later = kept_in(b"key,label,said,split,part\n'=b,owls,0,2,2\n", PATH, KEYS)
    both = later.over(earlier)
    assert (both.labels, both.said.tolist()) == (["cats", "owls", ""], [True, False, False])
    assert (both.split.tolist(), both.part.tolist()) == ([0, 2, 0], [0, 2, 0])


@pytest.mark.parametrize(
    "row", ["z,cats,,,", "a,cats,2,,", "a,cats,x,,", "a,cats,1,4,", "a,cats,1,-2,", "a,cats,1,2,9", "a,cats,1,1e999,"]
)
def test_what_cannot_be_meant_is_refused(row: str) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv"):
        kept_in(f"key,label,said,split,part\n{row}\n".encode(), PATH, KEYS)


def test_parts_have_names_of_their_own() -> None:
    assert part_name({"label": "cats", "part": " 2 "}) == "cats, part 2"
    assert [part_name({"label": "cats", "part": part}) for part in ("", "0")] == ["cats"] * 2
    assert part_name({"label": "", "part": "2"}) == ""
    assert part_name({"label": "cats"}) == "cats"
