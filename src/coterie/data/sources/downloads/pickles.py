"""Plain values in a pickle, read without pickle: its operations are gone through one by one, and nothing is called.

What a pickle may name are the four functions that arrays and bytes are written with, and these are taken as words.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Operations that put down the value they carry; text of Python 2 comes as Latin-1.
_CARRIED = frozenset(
    (
        "INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
        "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
        "BINBYTES8",
    )
)  # fmt: skip
_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple,
}  # fmt: skip
_NAMED = {
    "numpy.core.multiarray _reconstruct": "array", "numpy._core.multiarray _reconstruct": "array",
    "numpy ndarray": "ndarray", "numpy dtype": "dtype", "_codecs encode": "bytes",
}  # fmt: skip
# Whole numbers, floats and truth values of plain width.
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]")


class _Refused(ValueError):
    """The message is the reason a person reads."""


@dataclass(frozen=True)
class _Word:
    """Something a pickle names."""

    meaning: str


@dataclass
class _Kind:
    """A dtype, to which the order of its bytes is told later."""

    dtype: np.dtype[Any]


@dataclass
class _Array:
    """An array, whose values are told later."""

    values: npt.NDArray[Any] | None = None


def read_pickle(content: bytes | memoryview) -> dict[str, Any]:
    """A dictionary of numbers, text, bytes, lists, tuples, dictionaries and arrays of numbers, as a pickle holds it.

    Keys are text, also where Python 2 wrote them as bytes.

    Raises:
        ValueError: damaged, or anything else in it.
    """
    machine = _Machine()
    try:
        for operation, carried, _ in pickletools.genops(io.BytesIO(content)):
            if operation.name == "STOP":
                found = machine.stack.pop()
                break
            machine.take(operation.name, carried)
    except _Refused:
        raise
    except Exception as error:  # A damaged one makes nearly anything of itself, and its words may be endless.
        raise _Refused(f"a damaged pickle ({type(error).__name__})") from None
    if type(found) is not dict:
        raise _Refused("a pickle of something else than a dictionary")
    return {key: value.values if isinstance(value, _Array) else value for key, value in found.items()}


class _Machine:
    """The stack that a pickle works on, parted by marks, and what it keeps to take again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._kept: dict[int, Any] = {}

    def take(self, name: str, carried: Any) -> None:
        """One operation."""
        if name in _CARRIED:
            self.stack.append(carried)
        elif name in _NEW:
            self.stack.append(_NEW[name]())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            self.stack.append(tuple(reversed([self.stack.pop() for _ in range(int(name[-1]))])))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._kept[len(self._kept) if carried is None else carried] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self._kept[carried])
        elif name == "MARK":
            self._below.append(self.stack)
            self.stack = []
        elif name == "GLOBAL":
            self._name(carried)
        elif name == "STACK_GLOBAL":
            last = _text(self.stack.pop())
            self._name(f"{_text(self.stack.pop())} {last}")
        elif name == "REDUCE":
            arguments = self.stack.pop()
            self.stack.append(_made(self.stack.pop(), arguments))
        elif name == "BUILD":
            state = self.stack.pop()
            _tell(self.stack[-1], state)
        elif name not in ("PROTO", "FRAME"):
            self._gather(name)

    def _gather(self, name: str) -> None:
        """Operations that fill lists, tuples and dictionaries."""
        if name in ("APPEND", "SETITEM"):
            items = [self.stack.pop()] if name == "APPEND" else [self.stack.pop(), self.stack.pop()][::-1]
        elif name in ("LIST", "TUPLE", "DICT", "APPENDS", "SETITEMS"):
            items, self.stack = self.stack, self._below.pop()
        else:
            raise _Refused(f"a pickle of more than plain values ({name})")
        if name in ("LIST", "TUPLE"):
            self.stack.append(items if name == "LIST" else tuple(items))
            return
        if name == "DICT":
            self.stack.append({})
        held = self.stack[-1]
        if type(held) is not (list if name.startswith("APPEND") else dict):
            raise _Refused("a damaged pickle")
        if isinstance(held, dict):
            held.update(zip(map(_text, items[::2]), items[1::2], strict=True))
        else:
            held.extend(items)

    def _name(self, name: str) -> None:
        if name not in _NAMED:
            raise _Refused(f"a pickle that names {name.replace(' ', '.')[:80]}, which is never executed")
        self.stack.append(_Word(_NAMED[name]))


def _text(value: Any) -> str:
    """Text or bytes as text; what else is written out may be endless, and so is what else is hashed."""
    if type(value) not in (str, bytes):
        raise _Refused("a pickle with something else where text should stand")
    return value if isinstance(value, str) else str(value, "latin-1")


def _made(word: Any, arguments: Any) -> Any:
    """What the functions that a pickle may name would make."""
    meaning = word.meaning if isinstance(word, _Word) else ""
    if meaning == "array":
        return _Array()
    if meaning == "dtype" and (match := _DTYPE.fullmatch(_text(arguments[0]))):
        return _Kind(np.dtype(match[0]))
    if meaning == "bytes" and arguments[1:] == ("latin1",):
        return _text(arguments[0]).encode("latin-1")
    raise _Refused("a pickle of more than plain values")


def _tell(target: Any, state: Any) -> None:
    """The order of a dtype's bytes, or an array's shape, dtype, order and bytes."""
    if isinstance(target, _Kind):
        order = _text(state[1])
        target.dtype = target.dtype.newbyteorder("<" if order == "<" else ">" if order == ">" else "=")
    elif isinstance(target, _Array):
        _, shape, kind, by_columns, raw = state
        content = raw.encode("latin-1") if isinstance(raw, str) else raw
        if not (isinstance(kind, _Kind) and type(shape) is tuple and all(type(each) is int for each in shape)):
            raise _Refused("a pickle with an array of no plain numbers")
        if type(content) is not bytes or min(shape, default=0) < 0:
            raise _Refused("a pickle with an array of no plain numbers")
        if math.prod(shape) * kind.dtype.itemsize != len(content):
            raise _Refused("a pickle with an array of another size than it says")
        target.values = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if by_columns else "C")
    else:
        raise _Refused("a pickle of more than plain values")
