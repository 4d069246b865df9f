from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.config import plain, read
from coterie.errors import UsageError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    pair: tuple[float, float] | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 3
    flag: bool = False
    inner: Inner = field(default_factory=Inner)
    many: tuple[int, ...] = ()
    kind: Literal["few", "some", "many"] = "few"


def test_reads_what_plain_wrote() -> None:
    outer = Outer("a", 5, True, Inner(0.5, (1.0, 2.0)), (1, 2, 3), "some")
    assert read(Outer, plain(outer)) == outer


def test_numbers_in_strings_are_what_yaml_makes_of_1e_minus_3() -> None:
    assert read(Inner, {"rate": "1e-3"}).rate == 0.001
    assert read(Inner, {"rate": 1}).rate == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "cuont": 1}, "unknown option 'cuont': did you mean 'count'"),
        ({"name": "a", "inner": {"rat": 1}}, "unknown option 'inner.rat': did you mean 'inner.rate'"),
        ({}, "option 'name' is missing"),
        ({"name": 3}, "'name' wants str, got 3"),
        ({"name": "a", "count": 1.5}, "'count' wants int"),
        ({"name": "a", "count": True}, "'count' wants int"),
        ({"name": "a", "flag": 1}, "'flag' wants bool"),
        ({"name": "a", "inner": {"rate": "fast"}}, "'inner.rate' wants a number"),
        ({"name": "a", "inner": {"rate": None}}, "'inner.rate' wants a number"),
        ({"name": "a", "inner": {"pair": [1]}}, "'inner.pair' wants 2 values"),
        ({"name": "a", "many": "12"}, "'many' wants a list"),
        ({"name": "a", "inner": 3}, "inner: expected options"),
        ({"name": "a", "kind": "all"}, "'kind' wants few, some or many, got 'all'"),
        ({"name": "a", "kind": ["few"]}, "'kind' wants few, some or many, got"),
    ],
)
def test_what_does_not_fit_is_named(values: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        read(Outer, values)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["name", "inner"]), inner),
    )
)
def test_whatever_comes_it_is_read_or_refused(values: object) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(read(Outer, values), Outer)  # type: ignore[arg-type]
