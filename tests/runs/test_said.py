"""What a person said of a run: from tables of every format, over what was said before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coterie.errors import UsageError
from coterie.runs.assignments import Assignments
from coterie.runs.named import Named, read_named
from coterie.runs.said import Said, read_said, to_told, unsaid, usual

KEYS = [f"{row}.png" for row in range(10)]
# Five in the first cluster, three in the second, two in the third.
CLUSTERS = np.repeat([0, 1, 2], [5, 3, 2])
TABLE = Assignments(KEYS, CLUSTERS, np.ones(10), np.zeros(10, dtype=bool))


def said(tmp_path: Path, heading: str, *rows: str, before: Said | None = None, first: list[int] | None = None) -> Said:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join((heading, *rows)) + "\n", encoding="utf-8")
    return read_said(path, TABLE, np.arange(10) if first is None else np.array(first), before or unsaid(TABLE))


def told(found: Said) -> list[int]:
    return np.flatnonzero(found.told).tolist()


def test_a_table_of_keys_and_labels_tells_of_each_image_and_names_take_clusters_over(tmp_path: Path) -> None:
    found = said(tmp_path, "key,label", "0.png,cat", "1.png,cat", "5.png,dog")
    assert told(found) == [0, 1, 5]
    assert found.groups == ["cat"] * 5 + ["dog"] * 3 + ["Group 2"] * 2
    assert found.names == ["cat", "dog", "Group 2"]
    assert found.staying == {"cat", "dog"}


def test_a_stray_takes_no_cluster_over(tmp_path: Path) -> None:
    rows = [f"{row}.png,cat" for row in (5, 6, 7, 0)]  # Three of four are in the small cluster.
    found = said(tmp_path, "key,label", *rows)
    assert found.groups == ["cat", *["Group 0"] * 4, *["cat"] * 3, *["Group 2"] * 2]


def test_format_1_tells_of_images_whose_label_is_not_their_clusters(tmp_path: Path) -> None:
    rows = [
        f"{row}.png,{'fox' if row in (1, 9) else f'Group {cluster}'},0,{cluster}"
        for row, cluster in enumerate(CLUSTERS)
    ]
    found = said(tmp_path, "key,label,mixed,cluster", *rows)
    assert told(found) == [1, 9]
    assert found.names == ["fox", "Group 0", "Group 1", "Group 2"]
    assert found.staying == {"fox"}


def test_format_2_says_itself_which_images_were_named(tmp_path: Path) -> None:
    heading, rest = "key,label,mixed,cluster,said,split", [f"{row}.png,owl,0,0,0," for row in range(2, 5)]
    found = said(
        tmp_path,
        heading,
        "0.png,owl,1,0,1,",
        "1.png,owl,0,0,0,",
        *rest,
        "5.png,Group 1,0,1,0,3",
        "6.png,Group 1,0,1,0,3",
    )
    assert told(found) == [0]
    assert found.parts == {"Group 1": 3}
    assert found.mixed == {"owl"}


def test_parts_that_the_page_made_are_groups_without_a_name_but_what_was_named_stays_together(tmp_path: Path) -> None:
    heading = "key,label,mixed,cluster,said,split,part"
    rows = [f"{row}.png,owl,0,0,{int(row == 4)},2,{1 + row // 3}" for row in range(5)]
    found = said(tmp_path, heading, *rows)
    assert found.groups[:5] == ["owl", "owl", "owl", "owl, part 2", "owl"]
    assert found.parts == {}
    assert [found.title(group) for group in found.names] == ["owl", "", "", ""]
    assert found.staying == {"owl", "owl, part 2"}


def test_copies_take_the_name_of_their_picture(tmp_path: Path) -> None:
    first = [*range(9), 0]
    found = said(tmp_path, "key,label", "0.png,cat", first=first)
    assert told(found) == [0, 9]
    assert found.groups[9] == "cat"


def test_what_was_said_before_holds_until_it_is_said_otherwise(tmp_path: Path) -> None:
    before = said(tmp_path, "key,label", "0.png,cat", "5.png,dog")
    found = said(tmp_path, "key,label", "5.png,wolf", "8.png,cat", before=before)
    assert told(found) == [0, 5, 8]
    assert [found.groups[row] for row in (0, 5, 6, 8, 9)] == ["cat", "wolf", "dog", "cat", "Group 2"]
    renamed = [f"{row}.png,lion,0,0,0," for row in range(5)]
    found = said(tmp_path, "key,label,mixed,cluster,said,split", *renamed, before=before)
    assert told(found) == [0, 5]
    assert found.groups == ["lion"] * 5 + ["dog"] * 3 + ["Group 2"] * 2


def test_merges_and_splits_by_name_and_number(tmp_path: Path) -> None:
    found = said(tmp_path, "key,label", "0.png,cat").merged([("1", "2")]).split({"cat": 2, "1": 3})
    assert found.groups == ["cat"] * 5 + ["Group 1"] * 5
    assert found.parts == {"cat": 2, "Group 1": 3}
    assert said(tmp_path, "key,label", "5.png,dog").merged([("0", "1")]).groups[:8] == ["dog"] * 8


@pytest.mark.parametrize(
    ("merges", "splits", "message"),
    [
        ([("cat", "dog")], {}, "'cat' and 'dog' cannot be merged: images were named so one by one"),
        ([("cat", "0")], {}, "names a single group"),
        ([("cat", "cats")], {}, "unknown group 'cats': did you mean 'cat'?"),
        ([], {"cat": 9}, "group 'cat' of 5 images cannot be split into 9 parts"),
        ([], {"cat": 1}, "cannot be split into 1 parts"),
        ([], {"7": 2}, "unknown group '7'"),
    ],
)  # fmt: skip
def test_contradictions_are_named(
    merges: list[tuple[str, ...]], splits: dict[str, int], message: str, tmp_path: Path
) -> None:
    found = said(tmp_path, "key,label", "0.png,cat", "5.png,dog")
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        found.merged(merges).split(splits)


@pytest.mark.parametrize(
    ("heading", "rows", "message"),
    [
        ("key,label", ["0.png,cat", "0.png,dog"], "key '0.png' occurs more than once"),
        ("key,label", ["cow.png,cat"], "is no image of the run"),
        ("key,label", ["0.png,"], "gives no image a label"),
        ("key,label,said", ["0.png,cat,yes"], "said must be 0 or 1, and is 'yes'"),
        ("key,label,split", ["0.png,cat,some"], "split must be a whole number, and is 'some'"),
        ("key,label,cluster,split", ["0.png,cat,0,2", "1.png,cat,0,3"], "is to be split into 2 and into 3 parts"),
    ],
)  # fmt: skip
def test_tables_that_make_no_sense_are_refused(heading: str, rows: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        said(tmp_path, heading, *rows)


def test_what_was_told_comes_back_from_its_file(tmp_path: Path) -> None:
    found = said(tmp_path, "key,label", "0.png,'=cat", "7.png,dog")
    (tmp_path / "told.csv").write_text(to_told(KEYS, found), encoding="utf-8")
    named = read_named(tmp_path / "told.csv", KEYS)
    assert named.names == ("=cat", "dog")
    assert named.index.tolist() == [0, -1, -1, -1, -1, -1, -1, 1, -1, -1]
    assert named.at(np.array([7, 8])).index.tolist() == [0, -1]


def test_names_of_groups_alone_name_no_image(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("key,label,mixed,cluster\n0.png,cat,0,0\n1.png,cat,0,0\n")
    with pytest.raises(UsageError, match="names none of the images themselves"):
        read_named(tmp_path / "labels.csv", KEYS)


def test_names_are_numbered_as_they_are_met() -> None:
    assert Named.of(["", "b", "a", "b"]).index.tolist() == [-1, 0, 1, 0]
    assert usual("Group 12")
    assert not usual("Group twelve")
