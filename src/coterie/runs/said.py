"""What a person said of a run: images that were named themselves, groups with a name, groups to be split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coterie.errors import UsageError, unknown
from coterie.runs.assignments import Assignments
from coterie.runs.labelled import commonest
from coterie.runs.labels import LabelTable, marked, read_label_table
from coterie.runs.named import told_keys
from coterie.tables import to_csv, whole
from coterie.text import printable

_USUAL = re.compile(r"Group \d+")
# A cluster is a name's where it holds at least this share of the name's images that its size would let one expect:
# with fewer, they are strays in it.
_EXPECTED = 0.5


@dataclass(frozen=True)
class Said:
    """A person's word on a run.

    Args:
        clusters: (N,) int64, of the run.
        groups: N names, of the group each image is in: `Group 3` where that has none.
        told: (N,) bool, whether the image itself was named.
        parts: into how many parts groups are to be split, by name.
        mixed: names of groups that are marked as such.
        of_groups: whether any group was named as a whole, and not only images.
        split_off: of the `groups`, those that are parts the page made, and have no name of their own.
    """

    clusters: npt.NDArray[np.int64]
    groups: Sequence[str]
    told: npt.NDArray[np.bool_]
    parts: Mapping[str, int] = field(default_factory=dict)
    mixed: frozenset[str] = frozenset()
    split_off: frozenset[str] = frozenset()
    of_groups: bool = False

    @property
    def names(self) -> list[str]:
        """The groups that must stay, the largest first, then the others."""
        sizes, staying = Counter(self.groups), self.staying
        return sorted(sizes, key=lambda group: (group not in staying, -sizes[group], group))

    @property
    def staying(self) -> set[str]:
        """The groups that have a name, hold images that were named, or have to do with a split."""
        held = {group for group, told in zip(self.groups, self.told.tolist(), strict=True) if told}
        return held | {*self.parts} | self.split_off | {group for group in {*self.groups} if not usual(group)}

    def title(self, group: str) -> str:
        """What a person called a group; empty where it has no name."""
        return "" if usual(group) or group in self.split_off else group

    def to_csv(self, keys: Sequence[str]) -> str:
        """The table as the page writes it, without splits, which have been made."""
        mixed = [int(group in self.mixed) for group in self.groups]
        rows = zip(keys, self.groups, mixed, self.clusters.tolist(), self.told.astype(int).tolist(), strict=True)
        return to_csv(["key", "label", "mixed", "cluster", "said", "split"], ((*row, "") for row in rows))

    def called(self, word: str) -> str:
        """The group that a word means: its name, or its number.

        Raises:
            UsageError: there is none.
        """
        if word in self.groups:
            return word
        if word.isdecimal() and (found := commonest(self.groups, self.clusters).get(int(word))):
            return found
        raise unknown("group", word, {*self.groups})

    def merged(self, merges: Iterable[Sequence[str]]) -> Said:
        """With groups joined, which then go by the first one's name, or by that of the first that has any.

        Raises:
            UsageError: no such group, or images that were named apart would come together.
        """
        groups = list(self.groups)
        for words in merges:
            met = dict.fromkeys(replace(self, groups=groups).called(word) for word in words)
            if len(met) < 2:
                raise UsageError(f"--merge {','.join(words)} names a single group: give two or more")
            apart = [name for name in met if self._told_as(name)]
            if len(apart) > 1:
                raise UsageError(
                    f"'{apart[0]}' and '{apart[1]}' cannot be merged: images were named so one by one; give these one "
                    "name in the table"
                )
            name = next((name for name in (*apart, *met) if not usual(name)), next(iter(met)))
            groups = [name if group in met else group for group in groups]
        return replace(self, groups=groups, of_groups=True)

    def split(self, splits: Mapping[str, int]) -> Said:
        """With groups that are to be split into so many parts.

        Raises:
            UsageError: no such group, or fewer images than parts.
        """
        asked = {self.called(word): parts for word, parts in splits.items()}
        for name, parts in {**self.parts, **asked}.items():
            if name in asked and self.parts.get(name, parts) != parts:
                raise UsageError(
                    f"group '{name}' is to be split into {parts} and into {self.parts[name]} parts: say one"
                )
            size = list(self.groups).count(name)
            if not 2 <= parts <= size:
                raise UsageError(f"group '{name}' of {size} images cannot be split into {parts} parts")
        return replace(self, parts={**self.parts, **asked})

    def _told_as(self, name: str) -> bool:
        return any(told and group == name for group, told in zip(self.groups, self.told.tolist(), strict=True))


def usual(group: str) -> bool:
    """Whether this is what a group is called that nobody named."""
    return _USUAL.fullmatch(group) is not None


def unsaid(assignments: Assignments) -> Said:
    """Where nobody has said anything."""
    groups = [f"Group {cluster}" for cluster in assignments.clusters.tolist()]
    return Said(assignments.clusters, groups, np.zeros(len(groups), dtype=bool))


def read_said(
    path: Path,
    assignments: Assignments,
    first: npt.NDArray[np.int64],
    before: Said,
    *,
    note: Callable[[str], None] = lambda _: None,
) -> Said:
    """What a table says of the images of a run, see `docs/commands.md`, over what was said `before`.

    An image it does not name is in the group of the picture it is a copy of, else in the one the table gives its
    cluster, else where it was; a cluster that nobody named is taken over by the name most of its named images have.

    Args:
        first: (N,) the row of the picture that each image is a copy of, its own where it is none.

    Raises:
        UsageError: not such a table, a key that is no image of the run, a mark that is none, or contradictory parts.
    """
    table = read_label_table(path, assignments.keys)
    if table.strange:
        raise UsageError(f"{path}: {table.strangers()}")
    table.tell(note)
    themselves = told_keys(table)
    told = np.array([key in themselves for key in table.keys])
    given, rows = table.labels, first.tolist()
    told |= np.array([not label for label in given]) & told[first]
    given = [label or given[row] for label, row in zip(given, rows, strict=True)]
    if not any(given):
        raise UsageError(f"{path} gives no image a label")
    clusters = assignments.clusters
    of_groups = ["" if itself else label for label, itself in zip(given, told.tolist(), strict=True)]
    called = {cluster: name for cluster, name in commonest(before.groups, clusters).items() if not usual(name)}
    called |= commonest(of_groups, clusters)
    claimed = {} if any(of_groups) else _claims(given, clusters, {*called.values()})
    called = claimed | called
    groups = [
        label or (earlier if itself else called.get(cluster, earlier))
        for label, earlier, itself, cluster in zip(
            given, before.groups, before.told.tolist(), clusters.tolist(), strict=True
        )
    ]
    mixed = frozenset(row["label"] for key, row in table.rows.items() if marked(path, key, row, "mixed"))
    seen = before.of_groups or any(of_groups)
    found = Said(clusters, groups, told | before.told, _parts(table, groups), mixed, of_groups=seen)
    return _parted(found, table)


def _parted(said: Said, table: LabelTable) -> Said:
    """With the parts that the page made as groups; what was named stays in the first of them, which has the name."""
    groups, parts = list(said.groups), dict(said.parts)
    cells = [table.rows.get(key, {}).get("part", "").strip() for key in table.keys]
    split_off = set()
    for row, (cell, told) in enumerate(zip(cells, said.told.tolist(), strict=True)):
        if said.groups[row] in said.parts and cell.isdecimal() and int(cell) > 1 and not told:
            groups[row] = f"{said.groups[row]}, part {cell}"
            split_off.add(groups[row])
            parts.pop(said.groups[row], None)
    return replace(said, groups=groups, parts=parts, split_off=frozenset(split_off))


def to_told(keys: Sequence[str], said: Said) -> str:
    """The images that were named themselves, as CSV with the columns key and label."""
    rows = zip(keys, said.groups, said.told.tolist(), strict=True)
    return to_csv(["key", "label"], ((key, name) for key, name, told in rows if told))


def _claims(names: Sequence[str], clusters: npt.NDArray[np.int64], taken: set[str]) -> dict[int, str]:
    """The clusters that a name takes over, as most of their named images have it, and they are no strays."""
    sizes = np.bincount(clusters)
    counts = Counter((name, cluster) for name, cluster in zip(names, clusters.tolist(), strict=True) if name)
    held: dict[str, list[int]] = {}
    for name, cluster in counts:
        held.setdefault(name, []).append(cluster)
    claims = {}
    for cluster, name in commonest(names, clusters).items():
        share = counts[name, cluster] / sum(counts[name, other] for other in held[name])
        expected = sizes[cluster] / sizes[held[name]].sum()
        if name not in taken and share >= _EXPECTED * expected:
            claims[cluster] = name
    return claims


def _parts(table: LabelTable, groups: Sequence[str]) -> dict[str, int]:
    """Into how many parts each group is to be split."""
    parts: dict[str, int] = {}
    for key, group in zip(table.keys, groups, strict=True):
        cell = table.rows.get(key, {}).get("split", "").strip()
        if not cell:
            continue
        try:
            number = whole(cell)
        except ValueError:
            raise UsageError(f"{table.path}: split must be a whole number, and is '{cell}' for key '{key}'") from None
        if number > 1 and parts.setdefault(group, number) != number:
            raise UsageError(
                f"{table.path}: group '{printable(group)}' is to be split into {parts[group]} and into {number} parts"
            )
    return parts
