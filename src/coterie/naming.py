"""Names of images and classes, as people, file systems and spreadsheets spell them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

# Letters without a shape: zero-width blanks, marks of byte order and of direction, soft hyphens. The joiners of Persian
# and of emoji are none: they change what is seen.
_UNSEEN = str.maketrans(dict.fromkeys("\u200b\u2060\ufeff\u00ad\u200e\u200f"))
_WHOLE = re.compile(r"([+-]?\d+)(?:[.,]0+)?")
_NUMBER = re.compile(r"0*(\d+)(?:[.,]0+)?")
# Looking for the nearest of more names than this takes too long.
_MOST_COMPARED = 20_000


def class_name(text: str) -> str:
    """A name without what the eye does not see: composed letters (NFC), single blanks within and none around."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_UNSEEN).split())


def class_names(texts: Iterable[str]) -> list[str]:
    """Each text of a column as a `class_name`; empty where none is known.

    Where all are whole numbers, `1.0` and `1,0` are 1, and `nan` is unknown, as pandas and spreadsheets write numbers
    among gaps.
    """
    texts = list(texts)
    names = {text: class_name(text) for text in {*texts}}
    known = {name for name in names.values() if name and name.lower() != "nan"}
    if known and all(_WHOLE.fullmatch(name) for name in known):
        names = {text: match[1] if (match := _WHOLE.fullmatch(name)) else "" for text, name in names.items()}
    return [names[text] for text in texts]


def differ_in_capitals(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two names that only capitals tell apart."""
    seen: dict[str, str] = {}
    for name in sorted({*names} - {""}):
        if (other := seen.setdefault(name.casefold(), name)) != name:
            return other, name
    return None


def matched(given: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Which of the `known` names each given one means, as far as that is clear.

    The same name comes first, then the only one that looks the same (composed and decomposed letters, blanks, slashes
    of either kind), then the only one that differs in capitals or, of numbers, in zeros. No two mean the same.
    """
    found: dict[str, str] = {}
    left, free = list(dict.fromkeys(given)), list(dict.fromkeys(known))
    for form in (str, _as_seen, _folded):
        meant, wanted = _only(form, free), _only(form, left)
        found |= {name: meant[spelt] for spelt, name in wanted.items() if spelt in meant}
        taken = {*found.values()}
        left, free = [name for name in left if name not in found], [name for name in free if name not in taken]
        if not left or not free:
            break
    return found


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?`, and which letter differs where the eye might not see it; empty where none is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6) if len(known) <= _MOST_COMPARED else []
    if not close:
        return ""
    changes = difflib.SequenceMatcher(None, name, close[0], autojunk=False).get_opcodes()
    _, start, end, there, until = next(change for change in changes if change[0] != "equal")
    mine, theirs = name[start:end], close[0][there:until]
    if (mine + theirs).isascii() and (mine + theirs).strip():
        return f"; did you mean '{close[0]}'?"
    return f"; did you mean '{close[0]}', which has {_called(theirs)} where yours has {_called(mine)}?"


def _called(letters: str) -> str:
    return unicodedata.name(letters[0], f"U+{ord(letters[0]):04X}") if letters else "nothing"


def _only(form: Callable[[str], str], names: Iterable[str]) -> dict[str, str]:
    """Names by their form, without those that share one."""
    found: dict[str, str | None] = {}
    for name in names:
        spelt = form(name)
        found[spelt] = None if spelt in found else name
    return {spelt: name for spelt, name in found.items() if name is not None}


def _as_seen(name: str) -> str:
    return class_name(name).replace("\\", "/").removeprefix("./")


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", _as_seen(name)).casefold()
    number = _NUMBER.fullmatch(text)
    return number[1] if number else text
