"""What a tar of the WebDataset kind holds, found by reading it once from its beginning; nothing is ever extracted.

Members whose paths agree up to the first dot of the file name are one sample: `n01/0007.jpg` and `n01/0007.cls` make
the sample `n01/0007`. Where that would hold several images, as of screenshots named by the time, each is a sample of
its own with its whole name, and the label of all.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from coterie.data.base import Skipped
from coterie.data.sources.encoded import MOST_BYTES
from coterie.data.sources.kinds import is_image
from coterie.data.sources.passed import passed_over
from coterie.errors import CoterieError
from coterie.naming import class_name

# Headers, names and labels are small; what claims otherwise is damaged or meant to fill the memory.
_MOST_HEADER = 1_000_000
_LONGEST_LABEL = 200
_GZIP = b"\x1f\x8b"


@dataclass
class Sample:
    """A group of members: where the bytes of its image lie, and its label, empty where there is none.

    `member` is the image's name in the tar; empty as long as no image was found.
    """

    member: str = ""
    start: int = 0
    size: int = 0
    label: str = ""


@dataclass(frozen=True)
class Contents:
    """Samples by name, in the order of their images in the tar, what was left out, and if the tar is compressed.

    `passed` counts files that were passed over, by name.
    """

    samples: dict[str, Sample]
    skipped: list[Skipped]
    compressed: bool
    passed: Counter[str] = field(default_factory=Counter)


def read_contents(stream: BinaryIO) -> Contents:
    """The contents of an open tar, as far as it can be read; what is wrong with it is among `skipped`, without a key.

    Raises:
        CoterieError: the stream can no longer be had.
    """
    samples: dict[str, Sample] = {}
    further: dict[str, list[Sample]] = {}
    skipped: list[Skipped] = []
    passed: Counter[str] = Counter()
    compressed, name = False, ""
    try:
        compressed = is_compressed(stream)
        plain = uncompressed(stream) if compressed else stream
        for member in members(plain):
            name = member.name
            if over := passed_over(PurePosixPath(member.name).parts):
                passed[over] += member.isfile()
            else:
                _take(member, plain, samples, further, skipped)
    except Damaged as damage:
        if not damage.whole:
            samples = {key: sample for key, sample in samples.items() if sample.member != name}
            further = {key: [each for each in more if each.member != name] for key, more in further.items()}
        if samples and not samples[last := next(reversed(samples))].member:
            del samples[last]  # Its image would have come later.
        skipped.append(Skipped("", f"{damage} after {name}; what stands before is used" if name else str(damage)))
    skipped += [Skipped(name, "a sample without an image") for name, sample in samples.items() if not sample.member]
    for key in (key for key, more in further.items() if more):
        label = samples[key].label
        samples |= {each.member: replace(each, label=label) for each in (samples.pop(key), *further[key])}
    found = sorted((item for item in samples.items() if item[1].member), key=lambda item: item[1].start)
    return Contents(dict(found), skipped, compressed, passed)


def is_compressed(stream: BinaryIO) -> bool:
    """Whether an open file is compressed by gzip; it stands at its beginning afterwards."""
    begins = stream.read(len(_GZIP))
    stream.seek(0)
    return begins == _GZIP


def uncompressed(stream: BinaryIO) -> BinaryIO:
    """What an open file holds that is compressed by gzip, to be read from its beginning to its end."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream))


class Damaged(Exception):
    """A tar cannot be read further; the message is the reason a person reads.

    `whole` is whether the latest member is there to its last byte.
    """

    whole = True


class _Headers:
    """A stream that is read in pieces no larger than headers are.

    `last` is the latest piece, and `reached` the place up to which there certainly is something.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.last, self.reached = b"", 0

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise Damaged("damaged: a header of no possible size")
        self.last = self._stream.read(size)
        self.reached = self._stream.tell() if self.last else self.reached
        return self.last

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


def members(stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, while the stream stands at the bytes of each; those of the last may not be whole.

    Raises:
        Damaged: it is no tar, or ends before its end.
    """
    headers = _Headers(stream)
    place, end = -1, 0
    try:
        with tarfile.open(fileobj=cast(BinaryIO, headers), mode="r:") as tar:
            while (member := tar.next()) is not None:
                cast(Any, tar).members.clear()  # A million of them would be a gigabyte.
                if member.size < 0 or member.offset <= place:
                    raise Damaged("damaged: a member of no possible size")
                place, end = member.offset, member.offset_data + member.size
                yield member
            if len(headers.last) != tarfile.BLOCKSIZE or any(headers.last):
                raise Damaged("truncated or damaged: it has no end mark")
    except CoterieError:
        raise
    except Exception as error:  # Damaged headers raise nearly anything.
        damage = error if isinstance(error, Damaged) else Damaged(_reason(error, begun=place >= 0))
        damage.whole = headers.reached >= end
        raise damage from None


def _reason(error: Exception, *, begun: bool) -> str:
    words = " ".join(str(error).split())[:100]
    if begun:
        return f"truncated or damaged ({words})"
    return "the file is empty" if words == "empty file" else "not a tar file, or compressed otherwise than by gzip"


def _take(
    member: tarfile.TarInfo,
    stream: BinaryIO,
    samples: dict[str, Sample],
    further: dict[str, list[Sample]],
    skipped: list[Skipped],
) -> None:
    """Put a member where it belongs, `further` images of a sample apart; the stream stands at its bytes."""
    path = PurePosixPath(member.name)
    if member.isdir():
        return
    if (reason := _refused(member, path)) is not None:
        skipped.append(Skipped(member.name, reason))
        return
    stem, _, ending = path.name.partition(".")
    key = path.with_name(stem).as_posix()
    sample = samples.setdefault(key, Sample())
    ending = ending.lower()
    if is_image(f".{ending.rpartition('.')[2]}") or not ending:
        if sample.member:
            further.setdefault(key, []).append(Sample(member.name, member.offset_data, member.size))
        else:
            sample.member, sample.start, sample.size = member.name, member.offset_data, member.size
    elif ending in ("cls", "json") and member.size <= _MOST_HEADER and (ending == "cls" or not sample.label):
        sample.label = _label(stream.read(member.size), ending) or sample.label


def _refused(member: tarfile.TarInfo, path: PurePosixPath) -> str | None:
    """Why a member is left out whatever it holds."""
    if path.is_absolute() or ".." in path.parts or not path.name:
        return "its path leads out of the tar"
    if member.islnk() or member.issym():
        return "a link"
    if not member.isreg() or member.issparse():
        return "no ordinary file"
    return f"too large: {member.size / 1e6:.0f} MB" if member.size > MOST_BYTES else None


def _label(content: bytes, ending: str) -> str:
    """The label in a `.cls` or `.json` member; empty where there is none."""
    with contextlib.suppress(ValueError, RecursionError):
        text = content.decode("utf-8-sig")
        if ending == "json":
            about = json.loads(text)
            found = about.get("label", about.get("class")) if isinstance(about, dict) else None
            text = str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) else ""
        return class_name(text)[:_LONGEST_LABEL]
    return ""
