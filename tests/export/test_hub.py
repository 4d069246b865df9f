from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import small
from coterie import Clusterer, CoterieError, UsageError, load
from coterie.cli import main
from coterie.workflow.export import export


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """A hub that keeps a list of what was asked of it."""
    asked: list[tuple[str, Any]] = []

    class HfApi:
        def create_repo(self, repo_id: str, **options: Any) -> Any:
            if repo_id == "nobody/nothing":
                raise OSError("401: no token,\nlog in first")
            asked.append(("create", {"repo_id": repo_id, **options}))
            return types.SimpleNamespace(repo_id=repo_id)

        def upload_folder(self, **options: Any) -> None:
            asked.append(("upload", options))

    module = types.ModuleType("huggingface_hub")
    module.HfApi = HfApi  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


def test_a_folder_that_can_be_loaded(run: Path, photos: Path, tmp_path: Path, hub: list[Any]) -> None:
    export(run, {"hub": tmp_path / "card"})
    assert {path.name for path in (tmp_path / "card").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    ours, theirs = load(run, device="cpu"), load(tmp_path / "card", device="cpu")
    assert np.array_equal(ours.transform(photos), theirs.transform(photos))
    assert np.array_equal(ours.predict(photos), theirs.predict(photos))
    table = tmp_path / "new.csv"
    assert main(["assign", str(tmp_path / "card"), str(photos), "--out", str(table), "--quiet"]) == 0
    assert len(table.read_text().splitlines()) == 21
    assert hub == []  # Nothing is pushed that was not asked for.


def test_the_card(run: Path, photos: Path, tmp_path: Path) -> None:
    export(run, {"hub": tmp_path / "card"})
    text = (tmp_path / "card" / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["library_name"] == "coterie"
    assert {"image-clustering", "propos"} <= set(told["tags"])
    summary = json.loads((run / "summary.json").read_text())
    assert f"| coterie (propos) | {summary['acc']:.3f} | {summary['nmi']:.3f} | {summary['ari']:.3f} |" in body
    assert f"| k-means on pixels | {summary['baseline']['acc']:.3f}" in body
    assert "| `train.epochs` | 1 |" in body
    assert "snapshot_download" in body
    assert "resized to 16×16" in body
    # Where the images lay stays with whoever has them.
    for path in (tmp_path / "card").iterdir():
        assert str(photos.parent).encode() not in path.read_bytes()


def test_the_hub_takes_the_card(run: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    export(run, {"hub": tmp_path / "card"})
    card = hub.ModelCard.load(tmp_path / "card" / "README.md")
    assert card.data.library_name == "coterie"
    assert card.data.pipeline_tag == "image-feature-extraction"


def test_a_model_on_the_features_of_another(blobs: tuple, tmp_path: Path) -> None:
    options = {"train.batch_size": 20, **small.options("simclr")}
    Clusterer(3, method="simclr", epochs=1, options=options, device="cpu").fit(blobs[0]).save(tmp_path / "first")
    mapped = Clusterer(
        3, method="lnscc", epochs=2, options=small.options("lnscc"), device="cpu", backbone=str(tmp_path / "first")
    ).fit(blobs[0])
    mapped.export(hub=tmp_path / "card")
    loaded = load(tmp_path / "card", device="cpu")
    assert np.array_equal(loaded.predict(blobs[0]), mapped.labels_)
    text = (tmp_path / "card" / "README.md").read_text()
    assert "None were kept with the model." in text
    # What came from the hub can go there again, and has no table.
    loaded.export(hub=tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        tmp_path / "card" / "model.safetensors"
    ).read_bytes()
    with pytest.raises(UsageError, match=r"no assignments\.csv"):
        loaded.export(hub=tmp_path / "third", coco=tmp_path / "coco.json")
    assert not (tmp_path / "third").exists()


def test_a_push_uploads_what_was_written_and_nothing_else(run: Path, tmp_path: Path, hub: list[Any]) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "diary.txt").write_text("private")
    with pytest.raises(UsageError, match="exists already: add --force"):
        export(run, {"hub": tmp_path / "card"}, push="me/groups")
    assert hub == []
    export(run, {"hub": tmp_path / "card"}, push="me/groups", force=True)
    (made, how), (sent, what) = hub
    assert (made, how["repo_id"], how["private"], how["exist_ok"]) == ("create", "me/groups", True, True)
    assert (sent, what["repo_id"], what["folder_path"]) == ("upload", "me/groups", str(tmp_path / "card"))
    assert sorted(what["allow_patterns"]) == ["README.md", "config.json", "model.safetensors"]
    assert (tmp_path / "card" / "diary.txt").read_text() == "private"


def test_a_push_that_fails_keeps_the_folder(run: Path, tmp_path: Path, hub: list[Any]) -> None:
    with pytest.raises(CoterieError, match="is written, but not pushed to nobody/nothing: 401: no token, log in first"):
        export(run, {"hub": tmp_path / "card"}, push="nobody/nothing")
    assert (tmp_path / "card" / "README.md").is_file()
    assert hub == []


def test_a_push_without_the_package_writes_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'coterie\[hub\]'"):
        export(run, {"hub": tmp_path / "card"}, push="me/groups")
    assert not (tmp_path / "card").exists()


def test_a_damaged_model_is_not_exported(run: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(run, tmp_path / "run")
    (damaged / "model" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CoterieError, match="damaged"):
        export(damaged, {"hub": tmp_path / "card"})
    assert not (tmp_path / "card").exists()
