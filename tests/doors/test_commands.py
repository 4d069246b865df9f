"""Every file that a command reads, knocked at with what would execute something or fill the memory.

Nothing is executed, and one line says what is wrong. The table of these doors is in docs/reliability.md.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import intruders
from coterie.cli import main
from coterie.runs.folder import RunFolder
from intruders import Place


def test_the_intruders_would_execute_something(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    ways: list[Callable[[], object]] = [
        lambda: pickle.loads(intruders.pickled(tmp_path / "a.pkl", marker).read_bytes()),
        lambda: np.load(intruders.npy(tmp_path / "a.npy", marker), allow_pickle=True),
        lambda: np.load(intruders.npz(tmp_path / "a.npz", marker, "x"), allow_pickle=True)["x"],
        lambda: torch.load(intruders.saved(tmp_path / "a.pt", marker), weights_only=False),
        lambda: yaml.unsafe_load(intruders.tagged(marker)),
        lambda: exec(intruders.module(tmp_path / "a.py", marker).read_text()),
    ]
    for way in ways:
        way()
        marker.unlink()
    assert len(intruders.endless()) < 1000


def _replaced(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def _cut(path: Path) -> None:
    """Half of what its header tells of."""
    path.write_bytes(path.read_bytes()[:200])


def _postscript(run: Path) -> None:
    """Pictures that Pillow would have a program draw, as runs had them before there were sheets."""
    program = np.frombuffer(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n", np.uint8)
    content = {"rows": np.array([0]), "offsets": np.array([0, len(program)]), "data": program}
    np.savez(RunFolder(run).thumbnails, **content)


Knock = Callable[[Place], object]
FIT = "fit images.npz -k 2 --out new"
RESUME = "fit images.npz --out run --resume"

# Command, exit code, words of the error, and what is put in its way.
# fmt: off
REFUSED: dict[str, tuple[str, int, str, Knock]] = {
    "npz": (FIT, 2, "as an .npz of plain arrays", lambda p: intruders.npz(p.folder / "images.npz", p.marker, "images")),
    "npz, a pickle": (FIT, 2, "as an .npz", lambda p: intruders.pickled(p.folder / "images.npz", p.marker)),
    "npz, keys": (
        FIT,
        2,
        "as an .npz",
        lambda p: intruders.npz(p.folder / "images.npz", p.marker, "keys", images=np.zeros((3, 8, 8), np.uint8)),
    ),
    "npz, features": (
        "fit images.npz --method lnscc -k 2 --out new",
        2,
        "as an .npz",
        lambda p: intruders.npz(p.folder / "images.npz", p.marker, "features"),
    ),
    "npz, bomb": (FIT, 2, "decompression bomb", lambda p: p.bomb(p.folder / "images.npz")),
    "cifar10": (
        "fit cifar10:. -k 2 --out new", 2, "which is never executed",
        lambda p: intruders.pickled(p.folder / "batches.meta", p.marker),
    ),
    "recipe": (
        f"{FIT} --recipe r.yaml",
        2,
        "is not valid YAML",
        lambda p: (p.folder / "r.yaml").write_text(f"seed: {intruders.tagged(p.marker)}"),
    ),
    "recipe, an endless section": (
        f"{FIT} --recipe r.yaml", 2, "'train' must hold options and values, got [[",
        lambda p: (p.folder / "r.yaml").write_text(f"train: {intruders.endless()}"),
    ),
    "recipe, an endless number": (
        f"{FIT} --recipe r.yaml", 2, "option 'train.epochs' wants int, got [[",
        lambda p: (p.folder / "r.yaml").write_text(f"train: {{epochs: {intruders.endless()}}}"),
    ),
    "recipe, an endless sentence": (
        f"{FIT} --recipe r.yaml", 2, "option 'about' wants str, got [[",
        lambda p: (p.folder / "r.yaml").write_text(f"about: {intruders.endless()}"),
    ),
    "recipe, deep": (
        f"{FIT} --recipe r.yaml",
        2,
        "nested too deeply",
        lambda p: (p.folder / "r.yaml").write_text("seed: " + "[" * 1000),
    ),
    "recipe, no date": (
        f"{FIT} --recipe r.yaml",
        2,
        "is not valid YAML",
        lambda p: (p.folder / "r.yaml").write_text("seed: 2001-99-99"),
    ),
    "config.yaml": (
        "report run",
        1,
        "config.yaml is damaged",
        lambda p: (p.run / "config.yaml").write_text(f"format: 1\nseed: {intruders.tagged(p.marker)}"),
    ),
    "config.yaml, own method": (
        "report run",
        1,
        "code of your own, which is not loaded",
        lambda p: (
            intruders.module(p.folder / "own.py", p.marker),
            _replaced(p.run / "config.yaml", "method: propos", "method: own:Method"),
        ),
    ),
    "checkpoint": (
        RESUME,
        1,
        "checkpoint.pt is damaged",
        lambda p: (p.unfinished(), intruders.saved(p.run / "checkpoint.pt", p.marker, format=1)),
    ),
    "checkpoint, a pickle": (
        RESUME,
        1,
        "checkpoint.pt is damaged",
        lambda p: (p.unfinished(), intruders.pickled(p.run / "checkpoint.pt", p.marker)),
    ),
    "checkpoint, bomb": (
        RESUME,
        1,
        "decompression bomb",
        lambda p: (p.unfinished(), p.bomb(p.run / "checkpoint.pt")),
    ),
    "model.safetensors": (
        "assign run images.npz",
        1,
        "the model in run/model is damaged",
        lambda p: intruders.pickled(p.run / "model" / "model.safetensors", p.marker),
    ),
    "model.json, own method": (
        "assign run images.npz",
        1,
        "code of your own, which is not loaded",
        lambda p: (intruders.module(p.folder / "own.py", p.marker), p.edit("model/model.json", method="own:Method")),
    ),
    "model.json, vast": (
        "assign run images.npz",
        1,
        "its weights are not of the network it describes",
        lambda p: p.edit("model/model.json", options={"hidden": 10**7, "projection": 10**7}),
    ),
    "model.json, vast images": (
        "assign run images.npz",
        1,
        "its images have the shape [1, 999999, 999999]",
        lambda p: p.edit("model/model.json", shape=[1, 999_999, 999_999]),
    ),
    "model.json, deep": (
        "assign run images.npz",
        1,
        "model.json is damaged",
        lambda p: (p.run / "model" / "model.json").write_text("[" * 100_000),
    ),
    "features from a run": (
        "fit images.npz --method lnscc -k 2 --backbone run --out new",
        1,
        "run/model is damaged",
        lambda p: intruders.pickled(p.run / "model" / "model.safetensors", p.marker),
    ),
    "backbone, a run": (
        f"{FIT} --backbone run",
        1,
        "run/model is damaged",
        lambda p: intruders.pickled(p.run / "model" / "model.safetensors", p.marker),
    ),
    "backbone, .pth": (
        f"{FIT} --backbone w.pth",
        2,
        "holds pickled objects",
        lambda p: intruders.saved(p.folder / "w.pth", p.marker),
    ),
    "backbone, a pickle": (
        f"{FIT} --backbone w.pth",
        2,
        "holds pickled objects",
        lambda p: intruders.pickled(p.folder / "w.pth", p.marker),
    ),
    "backbone, .safetensors": (
        f"{FIT} --backbone w.safetensors",
        1,
        "cannot be read as weights",
        lambda p: intruders.pickled(p.folder / "w.safetensors", p.marker),
    ),
    "backbone, bomb": (
        f"{FIT} --backbone w.pth",
        1,
        "decompression bomb",
        lambda p: p.bomb(p.folder / "w.pth"),
    ),
    "embeddings.npy": ("report run", 1, "embeddings.npy", lambda p: intruders.npy(p.run / "embeddings.npy", p.marker)),
    "embeddings.npy, short": (
        "report run",
        1,
        "embeddings.npy is missing or damaged",
        lambda p: _cut(p.run / "embeddings.npy"),
    ),
    "embeddings.npy, choose-k": (
        "choose-k run",
        1,
        "embeddings.npy",
        lambda p: intruders.npy(p.run / "embeddings.npy", p.marker),
    ),
    "thumbnails.npz": (
        "report run",
        1,
        "thumbnails.npz",
        lambda p: intruders.npz(p.run / "thumbnails.npz", p.marker, "rows", "offsets", "data"),
    ),
    "thumbnails.npz, a program": ("report run", 1, "thumbnails.npz is damaged", lambda p: _postscript(p.run)),
    "thumbnails.npz, bomb": (
        "report run",
        1,
        "thumbnails.npz",
        lambda p: p.bomb(p.run / "thumbnails.npz"),
    ),
    "summary.json": ("report run", 1, "summary.json is damaged", lambda p: p.edit("summary.json", seconds="<b>")),
    "summary.json, deep": (
        "report run",
        1,
        "summary.json is damaged",
        lambda p: (p.run / "summary.json").write_text("[" * 100_000),
    ),
    "assignments.csv": (
        "report run",
        1,
        "assignments.csv",
        lambda p: intruders.pickled(p.run / "assignments.csv", p.marker),
    ),
    "assignments.csv, vast": (
        "report run",
        1,
        "assignments.csv",
        lambda p: (p.run / "assignments.csv").write_text(f"key,cluster,confidence,outlier\na,{10**15},1,0\n"),
    ),
    "labels, evaluate": (
        "evaluate run --labels l.csv",
        2,
        "l.csv",
        lambda p: intruders.pickled(p.folder / "l.csv", p.marker),
    ),
    "labels, apply": ("apply run l.csv", 2, "l.csv", lambda p: intruders.pickled(p.folder / "l.csv", p.marker)),
    "labelled.csv": (
        "export run --coco c.json", 2, "labelled.csv", lambda p: intruders.pickled(p.run / "labelled.csv", p.marker)
    ),
    "a link in a run": (
        RESUME, 2, "run/metrics.jsonl is a link, which would be written through",
        lambda p: (p.unfinished(), (p.run / "metrics.jsonl").unlink(), (p.run / "metrics.jsonl").symlink_to(p.marker)),
    ),
    "config.yaml, vast images": (
        RESUME, 1, "images may be up to 4096 pixels wide",
        lambda p: _replaced(p.run / "config.yaml", "side: 8", "side: 99999"),
    ),
    "images": (
        "fit photos -k 2 --out new",
        2,
        "none of the 2 images could be read",
        lambda p: [intruders.pickled(p.folder / "photos" / name, p.marker) for name in ("a.png", "b")],
    ),
}
# fmt: on


@pytest.mark.parametrize("door", REFUSED)
def test_nothing_is_executed_and_one_line_says_why(door: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    command, code, words, knock = REFUSED[door]
    knock(place)
    assert main([*command.split(), "--quiet"]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("coterie: ")
    assert words in lines[0]
    assert len(lines[0]) < 600
    assert not place.marker.exists()
