"""Models and data sets in the layout of the hub that bring code or pickles."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import intruders
import tiny
from coterie.cli import main
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.errors import CoterieError
from coterie.nn.pretrained import Architecture, build, open_pretrained

transformers = pytest.importorskip("transformers")

# What a configuration may ask for at any depth, and what it is called in the refusal.
ASKING: dict[str, tuple[dict[str, Any], str]] = {
    "a kernel": ({"attn_implementation": "some/kernel"}, "some/kernel, is code"),
    "timm's arguments": (
        {"model_type": "timm_wrapper", "architecture": "resnet18", "model_args": {"checkpoint_path": "w.pth"}},
        "by model_args, which might be a pickle's path",
    ),
    "a backbone's arguments": ({"backbone_kwargs": {"checkpoint_path": "w.pth"}}, "by backbone_kwargs"),
}


@pytest.mark.parametrize("asking", ASKING)
def test_what_a_models_configuration_asks_for(asking: str, tmp_path: Path) -> None:
    more, words = ASKING[asking]
    folder = tiny.dinov2(tmp_path)
    config = json.loads((folder / "config.json").read_text()) | more
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CoterieError, match=f"{words}|requires the timm library"):
        open_pretrained(f"hf:{folder}")
    # A saved run describes its backbone in the same words.
    settings = {"pooling": "class", "interpolate": False, "blue_first": False, "features": 16}
    for described in (config, {"model_type": "clip", "vision_config": more}):
        with pytest.raises(CoterieError, match=words):
            build(Architecture("transformers", "x", {**settings, "config": described}))


def test_a_kernel_for_a_part_of_a_model() -> None:
    described = {"model_type": "clip", "attn_implementation": {"vision_config": "some/kernel"}}
    with pytest.raises(CoterieError, match="some/kernel, is code"):
        build(Architecture("transformers", "x", {"config": described}))


def test_weights_in_a_hostile_pickle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, marker = tiny.dinov2(tmp_path), tmp_path / "executed"
    (folder / "model.safetensors").unlink()
    intruders.pickled(folder / "pytorch_model.bin", marker)
    capsys.readouterr()
    command = ["fit", "digits", "-k", "2", "--method", "kmeans", "--backbone", f"hf:{folder}", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "pickles, which could execute code, are not read" in lines[0]
    intruders.pickled(folder / "model.safetensors", marker)
    assert main([*command, "--out", str(tmp_path / "run")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not marker.exists()


def test_data_sets_that_bring_code_or_pickles(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    marker = tmp_path / "executed"
    intruders.module(tmp_path / "script" / "script.py", marker)
    intruders.pickled(tmp_path / "pickled" / "data.pkl", marker)
    intruders.pickled(tmp_path / "table.parquet", marker)
    intruders.pickled(tmp_path / "saved" / "data-00000-of-00001.arrow", marker)
    (tmp_path / "saved" / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../x"}]}))
    intruders.module(tmp_path / "saved" / "saved.py", marker)
    for name in ("script", "pickled", "table.parquet", "saved"):
        with pytest.raises(CoterieError) as caught:
            open_source(f"hf:{tmp_path / name}")
        assert "\n" not in str(caught.value)
    _shard(tmp_path / "shards" / "train.tar", marker)
    with contextlib.suppress(CoterieError):
        open_source(f"hf:{tmp_path / 'shards'}", image_column="png")
    assert not marker.exists()


def test_a_table_names_no_file_of_this_machine(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pictures = {name: tmp_path / name / "private.png" for name in ("set", "home")}
    for path in pictures.values():
        path.parent.mkdir()
        Image.new("RGB", (8, 8)).save(path)
    rows = [{"bytes": None, "path": str(path)} for path in pictures.values()]
    features = datasets.Features({"image": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}})
    datasets.Dataset.from_dict({"image": rows}, features=features).to_parquet(tmp_path / "set" / "table.parquet")
    store, skipped = ingest(open_source(f"hf:{tmp_path / 'set' / 'table.parquet'}"), 8)
    assert [entry.reason for entry in skipped] == ["the row names a file that is not of this data set"]
    assert len(store) == 1


def _shard(path: Path, marker: Path) -> None:
    """Pictures, and beside each what other readers of shards would unpickle."""
    picture, saved = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    torch.save(intruders.Intruder(marker), saved)
    plain = pickle.dumps(intruders.Intruder(marker), protocol=2)
    path.parent.mkdir()
    with tarfile.open(path, "w") as shard:
        for name, data in (
            ("0.png", picture.getvalue()),
            ("0.pyd", plain),
            ("0.pickle", plain),
            ("0.pth", saved.getvalue()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            shard.addfile(entry, io.BytesIO(data))
