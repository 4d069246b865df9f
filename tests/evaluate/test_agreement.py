from __future__ import annotations

import numpy as np
import pytest

from coterie.evaluate.agreement import ClassFigures, compare, in_order, per_class


def test_figures_of_each_class_by_hand() -> None:
    named = ["b", "b", "b", "a", "a", "", "c"]
    evaluation = compare(named, np.array([0, 0, 1, 1, 1, 1, 1]))
    assert evaluation.classes == ["a", "b", "c"]
    assert evaluation.table.tolist() == [[0, 2], [2, 1], [0, 1]]
    assert per_class(evaluation) == [
        ClassFigures("a", 2, 1, 1.0, 0.5, 1, 1.0),
        ClassFigures("b", 3, 0, 2 / 3, 1.0, 0, 2 / 3),
        ClassFigures("c", 1, None, 0.0, 0.0, 1, 1.0),
    ]


def test_numbers_come_by_value_before_words() -> None:
    assert in_order({"10", "9", "b", "a"}) == ["9", "10", "a", "b"]


def test_no_label_at_all() -> None:
    with pytest.raises(ValueError, match="no label is known"):
        compare(["", ""], np.array([0, 1]))
