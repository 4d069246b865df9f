"""Strict reading of frozen dataclasses: an unknown key or a wrong type is an error that names it."""

from __future__ import annotations

import dataclasses
import math
import os
import reprlib
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from coterie.errors import UsageError, unknown

T = TypeVar("T")
# What settings are called that are divided by, or say how large or how often something is.
_POSITIVE = ("temperature", "hidden", "projection", "dimensions", "layers", "alpha", "n_init")
# A value of a few hundred bytes of YAML may be endless when it is written out.
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 80, 80


def read(config_type: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Build the dataclass `config_type` from plain values, as they come from YAML or a command line.

    Args:
        config_type: a dataclass; its annotations decide what is accepted.
        values: option names and values; what is left out keeps its default.
        where: the section's name, for messages.

    Raises:
        UsageError: an unknown option, a missing one, or a value of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{where or 'configuration'}: expected options and values, got {shortened(values)}")
    hints = get_type_hints(config_type)
    fields = {field.name: field for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise unknown("option", _path(where, str(name)), [_path(where, known) for known in fields])
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise UsageError(f"option '{_path(where, name)}' is missing")
    config = config_type(
        **{name: coerce(value, hints[name], where=_path(where, name)) for name, value in values.items()}
    )
    for name in values:
        _check_sign(getattr(config, name), fields[name].default, _path(where, name))
    return config


def _check_sign(value: Any, default: Any, where: str) -> None:
    """Raise a UsageError for a number below 0 where the default is none, or 0 where nothing can be made of it.

    A configuration's own checks come first, and say more.
    """
    numbers = value if isinstance(value, tuple) and isinstance(default, tuple) and default else (value,)
    kinds = (int, float)
    if not all(isinstance(number, kinds) for number in (*numbers, default if not isinstance(default, tuple) else 0)):
        return
    positive = where.rpartition(".")[2].endswith(_POSITIVE)
    if any(number < 0 or (positive and number == 0) for number in numbers):
        shown = list(value) if isinstance(value, tuple) else value
        raise UsageError(f"option '{where}' must {'be above 0' if positive else 'not be negative'}, got {shown}")


def plain(config: Any) -> Any:
    """The inverse of `read`: nested dictionaries and lists that YAML and JSON can hold.

    Numbers and arrays of numpy and torch become Python's, paths strings.
    """
    if dataclasses.is_dataclass(config):
        return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(name): plain(value) for name, value in config.items()}
    if isinstance(config, (tuple, list, range)):
        return [plain(value) for value in config]
    if isinstance(config, str):
        return str(config)
    if isinstance(config, os.PathLike):
        return os.fspath(config)
    return config.tolist() if hasattr(config, "tolist") else config


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """What `plain` gives, without sections: `{"train": {"epochs": 5}}` becomes `{"train.epochs": 5}`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        full = f"{before}{name}"
        found |= flat(value, f"{full}.") if isinstance(value, Mapping) else {full: value}
    return found


def coerce(value: Any, hint: Any, *, where: str) -> Any:
    """`value` as the type `hint` wants it, where that loses nothing; otherwise a UsageError."""
    # What holds others is gone through as the hint says: a few hundred bytes of YAML may hold more than memory does.
    if not isinstance(value, (Mapping, list, tuple)) and not dataclasses.is_dataclass(value):
        value = plain(value)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return coerce(value, next(kind for kind in arguments if kind is not type(None)), where=where)
    if origin is Literal:
        if value not in arguments:
            *first, last = map(str, arguments)
            raise _wrong(value, f"{', '.join(first)} or {last}", where)
        return value
    if origin is tuple:
        return _coerce_tuple(value, arguments, where)
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else read(hint, value, where=where)  # type: ignore[arg-type]
    if hint is float:
        return _coerce_float(value, where)
    if hint is not Any and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise _wrong(value, hint.__name__, where)
    return value


def _coerce_tuple(value: Any, arguments: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(value, "a list", where)
    if arguments[-1] is Ellipsis:
        return tuple(coerce(item, arguments[0], where=where) for item in value)
    if len(value) != len(arguments):
        raise _wrong(value, f"{len(arguments)} values", where)
    return tuple(coerce(item, kind, where=where) for item, kind in zip(value, arguments, strict=True))


def _coerce_float(value: Any, where: str) -> float:
    # YAML 1.1 reads 1e-3 as a string, so numbers in strings are taken.
    if isinstance(value, bool):
        raise _wrong(value, "a number", where)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(value, "a number", where) from None
    if not math.isfinite(number):
        raise _wrong(value, "a finite number", where)
    return number


def shortened(value: Any) -> str:
    """A value as a message shows it."""
    return _SHORT.repr(value)


def _wrong(value: Any, wanted: str, where: str) -> UsageError:
    return UsageError(f"option '{where}' wants {wanted}, got {shortened(value)}")


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
