"""Methods of a user's own: the example of the documentation, and code that is only ever run when asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import coterie
from coterie import Clusterer, UsageError
from coterie.cli import main
from coterie.methods import Method, method_name, method_type
from coterie.methods._own import load_code
from coterie.methods.propos import ProPos

EXAMPLE = Path(__file__).parents[2] / "examples" / "barlow_twins.py"
NAME = "barlow_twins:BarlowTwins"
QUICK = ["--epochs", "2", "--set", "hidden=16", "--set", "projection=8", "--device", "cpu", "--quiet"]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Code that a test loaded is forgotten after it."""
    yield
    for name in ("barlow_twins", "broken", "two_lines"):
        sys.modules.pop(name, None)


@pytest.fixture
def example() -> type[Method]:
    load_code(EXAMPLE)
    return method_type(NAME)


def test_the_example_learns_the_digits(example: type[Method]) -> None:
    from sklearn.datasets import load_digits

    from coterie.evaluate.metrics import score

    digits = load_digits()
    images = (digits.images * 15.9).astype(np.uint8)
    groups = Clusterer(10, method=example, epochs=4, options={"hidden": 256}, device="cpu").fit(images)
    assert score(digits.target, groups.labels_).acc > 0.6


def test_its_loss_by_hand(example: type[Method]) -> None:
    redundancy = sys.modules[example.__module__].redundancy
    one, other = torch.tensor([1.0, -1, 1, -1]), torch.tensor([1.0, 1, -1, -1])
    apart = torch.stack([one, other], dim=1)
    assert redundancy(apart, 3 * apart + 1, weight=0.5).item() == pytest.approx(0, abs=1e-5)
    # Both features the same: two correlations of 1 off the diagonal.
    assert redundancy(torch.stack([one, one], 1), torch.stack([one, one], 1), weight=0.5).item() == pytest.approx(
        1.0, abs=1e-4
    )
    # The views have nothing in common: the diagonal is 0, and so (1 − 0)² twice.
    assert redundancy(one[:, None], other[:, None], weight=0.5).item() == pytest.approx(1.0, abs=1e-4)


def test_names_and_classes(example: type[Method]) -> None:
    assert method_name(example) == NAME
    assert method_name(ProPos) == "propos"
    with pytest.raises(UsageError, match="did you mean 'barlow_twins:BarlowTwins'"):
        method_type("barlow_twins:BarlowTwin")
    with pytest.raises(UsageError, match="defines none"):
        method_type("json:Decoder")

    class Hidden(ProPos):
        pass

    with pytest.raises(UsageError, match="at the top"):
        method_name(Hidden)


def test_a_class_is_a_parameter_like_others(example: type[Method]) -> None:
    assert clone(Clusterer(3, method=example)).get_params()["method"] is example


def test_command_line_and_saved_run(blobs: tuple, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "pack.npz", images=blobs[0])
    fit = ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--method", NAME, *QUICK, "--out", str(tmp_path / "run")]
    assert main(fit) == 2
    assert "--code barlow_twins.py" in capsys.readouterr().err
    assert main(["--code", str(EXAMPLE), *fit]) == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["method"] == NAME
    labels = coterie.load(tmp_path / "run").labels_
    # Another process would not know the class: reading the run must not go and get it.
    del sys.modules["barlow_twins"]
    assign = ["assign", str(tmp_path / "run"), str(tmp_path / "pack.npz"), "--out", str(tmp_path / "new.csv")]
    capsys.readouterr()
    assert main([*assign, "--quiet"]) == 1
    assert "--code barlow_twins.py" in capsys.readouterr().err
    assert "barlow_twins" not in sys.modules
    assert main(["--code", str(EXAMPLE), *assign, "--quiet"]) == 0
    again = np.loadtxt(tmp_path / "new.csv", delimiter=",", skiprows=1, usecols=1, dtype=int)
    assert np.array_equal(again, labels)


def test_reading_a_name_executes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two_lines.py").write_text("def __getattr__(name):\n    raise RuntimeError('executed')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="not loaded"):
        method_type("two_lines:Anything")
    assert "two_lines" not in sys.modules
    import two_lines  # noqa: F401

    with pytest.raises(UsageError, match="defines none"):
        method_type("two_lines:Anything")


def test_code_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_this_name\n")
    assert main(["--code", str(broken), "recipes"]) == 1
    assert "nothing_of_this_name" in capsys.readouterr().err
    assert "broken" not in sys.modules
    assert main(["--code", str(tmp_path / "none.py"), "recipes"]) == 2
    taken = tmp_path / "json.py"
    taken.write_text("")
    assert main(["--code", str(taken), "recipes"]) == 2
    assert "another name" in capsys.readouterr().err
