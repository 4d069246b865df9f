"""Data sets in the formats of the hub, made on disk; and a stand-in for what datasets hands over."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coterie import Clusterer
from coterie.cli import main
from coterie.data.reading.ingest import ingest
from coterie.data.sources import open_source
from coterie.data.sources.hub import HubSource
from coterie.errors import CoterieError, UsageError
from coterie.runs.config import DataConfig

SIDE = 20


def picture(red: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (SIDE + 4, SIDE), (red, 40, 90)).save(stream, "PNG")
    return stream.getvalue()


REDS = [10, 200, 20, 210, 30, 220]


class ClassLabel:
    names = ["dark", "bright"]
    dtype = "int64"


class Binary:
    dtype = "binary"


class Word:
    dtype = "string"


class Table:
    """As much of a `datasets.Dataset` as is used."""

    def __init__(self, features: dict[str, Any], columns: dict[str, list[Any]]) -> None:
        self.features, self.columns = features, columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        return {name: values[key] for name, values in self.columns.items()}

    def select_columns(self, names: list[str]) -> Table:
        return Table({name: self.features[name] for name in names}, {name: self.columns[name] for name in names})

    def with_format(self, _: None) -> Table:
        return self


def table(**more: Any) -> Table:
    columns: dict[str, list[Any]] = {"image": [picture(red) for red in REDS], "label": [0, 1, 0, 1, 0, 1]}
    return Table({"image": Binary(), "label": ClassLabel()} | {k: v[0] for k, v in more.items()},
                 columns | {k: v[1] for k, v in more.items()})  # fmt: skip


def reds(source: Any) -> list[int]:
    return [int(image[0].mean().round()) for image in ingest(source, 8)[0].images]


def test_rows_are_decoded_and_labelled() -> None:
    source = HubSource(table(), "hf:x")
    assert reds(source) == REDS
    assert source.keys == [f"{place:06d}" for place in range(6)]
    assert source.labels is not None
    assert (source.labels.tolist(), source.class_names) == ([0, 1, 0, 1, 0, 1], ("dark", "bright"))
    assert (source.outline().count, source.outline().side) == (6, SIDE)


def test_damaged_and_missing_images_are_listed_and_never_fatal(tmp_path: Path) -> None:
    (tmp_path / "file.png").write_bytes(picture(7))
    held = [b"\x89PNG nonsense", b"", None, {"bytes": None, "path": None}, {"bytes": picture(9), "path": "x"}]
    held += [{"bytes": None, "path": str(tmp_path / "file.png")}, {"bytes": None, "path": str(tmp_path / "gone.png")}]
    given = Table({"image": {"bytes": Binary(), "path": Word()}}, {"image": held})
    store, skipped = ingest(HubSource(given, "hf:x"), 8)
    assert list(store.keys) == ["000004", "000005"]
    reasons = {entry.key: entry.reason for entry in skipped}
    assert set(reasons) == {"000000", "000001", "000002", "000003", "000006"}
    assert reasons["000001"] == "the file is empty"
    assert reasons["000002"] == reasons["000003"] == "the row holds no image"


def test_columns_by_name() -> None:
    several = table(back=(Binary(), [picture(1)] * 6), words=(Word(), ["b", None, "a", "b", "", "a"]))
    with pytest.raises(UsageError, match="by --image-column: image or back"):
        HubSource(several, "hf:x")
    chosen = HubSource(several, "hf:x", image_column="back", label_column="words")
    assert reds(chosen) == [1] * 6
    assert chosen.labels is not None
    assert (chosen.labels.tolist(), chosen.class_names) == ([1, -1, 0, 1, -1, 0], ("a", "b"))
    with pytest.raises(UsageError, match="unknown column 'bakc': did you mean 'back'"):
        HubSource(several, "hf:x", image_column="bakc")
    with pytest.raises(UsageError, match="'words' of hf:x holds no images"):
        HubSource(several, "hf:x", image_column="words")
    with pytest.raises(UsageError, match="unknown column 'lable': did you mean 'label'"):
        HubSource(table(), "hf:x", label_column="lable")
    with pytest.raises(UsageError, match="none of words holds images"):
        HubSource(Table({"words": Word()}, {"words": ["a"]}), "hf:x")
    with pytest.raises(UsageError, match="holds no rows"):
        HubSource(Table({"image": Binary()}, {"image": []}), "hf:x")


def test_labels_are_only_taken_where_they_are_plain() -> None:
    two = {"image": Binary(), "fine": ClassLabel(), "coarse": ClassLabel()}
    columns = {"image": [picture(1)], "fine": [0], "coarse": [1]}
    assert HubSource(Table(two, columns), "hf:x").labels is None
    two.pop("coarse")
    assert HubSource(Table(two, columns), "hf:x").labels is not None
    unknown = table(number=(Binary(), [None, 3, -1, 2, 1, 0]))
    with pytest.raises(UsageError, match="--image-column"):
        HubSource(unknown, "hf:x", label_column="number")
    assert HubSource(unknown, "hf:x", image_column="image", label_column="number").labels.tolist()[:3] == [-1, 3, -1]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'coterie\[datasets\]'"):
        open_source("hf:uoft-cs/cifar10")


def test_columns_go_with_the_hub(photo_folder: Path) -> None:
    with pytest.raises(UsageError, match="--image-column and --label-column go with a data set of the hub"):
        open_source(photo_folder, image_column="image")
    with pytest.raises(UsageError, match="--labels-from-folders goes with a folder"):
        open_source("hf:uoft-cs/cifar10", labels_from_folders=True)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to make data sets in, with a cache of its own."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    yield tmp_path
    if shown:
        datasets.enable_progress_bars()


def dataset(count: int = 6) -> Any:
    import datasets

    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=ClassLabel.names)})
    rows = {"img": [{"bytes": picture(red), "path": None} for red in REDS[:count]], "label": [0, 1, 0, 1, 0, 1][:count]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_saved_to_disk(made: Path) -> None:
    import datasets

    dataset().save_to_disk(made / "alone")
    source = open_source(f"hf:{made / 'alone'}")
    assert reds(source) == REDS
    assert source.class_names == ("dark", "bright")
    assert source.identity() == open_source(f"hf:{made / 'alone'}").identity()
    assert source.identity() != HubSource(dataset().select([0, 1]), "hf:x").identity()
    with pytest.raises(UsageError, match="saved alone has no splits"):
        open_source(f"hf:{made / 'alone'}:train")
    datasets.DatasetDict(train=dataset(), test=dataset(2)).save_to_disk(made / "both")
    counts = {split: len(open_source(f"hf:{made / 'both'}{split}").keys) for split in ("", ":test", ":train+test")}
    assert counts == {"": 6, ":test": 2, ":train+test": 8}
    with pytest.raises(UsageError, match="unknown split 'tets': did you mean 'test'"):
        open_source(f"hf:{made / 'both'}:tets")
    datasets.DatasetDict(dev=dataset(), test=dataset(2)).save_to_disk(made / "odd")
    with pytest.raises(UsageError, match=r"say which split: .*:dev, .*:test"):
        open_source(f"hf:{made / 'odd'}")


def test_parquet_files_and_subsets(made: Path) -> None:
    for name, count in (("one", 6), ("two", 4)):
        (made / "set" / name).mkdir(parents=True)
        dataset(count).to_parquet(made / "set" / name / "train.parquet")
        dataset(2).to_parquet(made / "set" / name / "test.parquet")
    assert reds(open_source(f"hf:{made / 'set' / 'one'}")) == REDS
    assert reds(open_source(f"hf:{made / 'set' / 'one'}:test")) == REDS[:2]
    assert reds(open_source(f"hf:{made / 'set' / 'one'}:train[:50%]")) == REDS[:3]
    assert reds(open_source(f"hf:{made / 'set' / 'one' / 'train.parquet'}")) == REDS
    configs = "\n".join(f"- config_name: {name}\n  data_files: {name}/train.parquet" for name in ("one", "two"))
    (made / "set" / "README.md").write_text(f"---\nconfigs:\n{configs}\n---\n")
    with pytest.raises(UsageError, match="say which subset, by --subset: one or two"):
        open_source(f"hf:{made / 'set'}")
    assert len(open_source(f"hf:{made / 'set'}", subset="two").keys) == 4
    with pytest.raises(UsageError, match="unknown subset 'tow': did you mean 'two'"):
        open_source(f"hf:{made / 'set'}", subset="tow")
    with pytest.raises(UsageError, match="unknown split 'tets'"):
        open_source(f"hf:{made / 'set' / 'one'}:tets")


def test_image_folders(made: Path) -> None:
    for split in ("train", "test"):
        for kind, red in (("bright", 200), ("dark", 10)):
            (made / "folders" / split / kind).mkdir(parents=True)
            for number in range(2):
                (made / "folders" / split / kind / f"{number}.png").write_bytes(picture(red + number))
    (made / "folders" / "train" / "dark" / "1.png").write_bytes(b"nonsense")
    store, skipped = ingest(open_source(f"hf:{made / 'folders'}"), 8)
    assert [int(image[0].mean().round()) for image in store.images] == [200, 201, 10]
    assert len(skipped) == 1
    assert store.labels is not None
    assert [store.class_names[label] for label in store.labels] == ["bright", "bright", "dark"]


def test_what_cannot_be_loaded(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    (made / "empty").mkdir()
    (made / "script").mkdir()
    (made / "script" / "script.py").write_text(f"open({str(made / 'ran')!r}, 'w')\n")
    with pytest.raises(CoterieError, match=r"cannot be loaded: .*doesn't contain any data files"):
        open_source(f"hf:{made / 'empty'}")
    with pytest.raises(CoterieError, match="code of its own, which coterie never executes"):
        open_source(f"hf:{made / 'script'}")
    assert not (made / "ran").exists()

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'a/b' on the Hub (LocalEntryNotFoundError)")

    monkeypatch.setattr(datasets, "get_dataset_split_names", unreachable)
    with pytest.raises(CoterieError, match=r"hf:a/b cannot be loaded: .*the hub cannot be reached"):
        open_source("hf:a/b")


def test_from_the_command_line_and_python(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, run = f"hf:{made / 'saved'}", made / "run"
    dataset().rename_column("label", "kind").save_to_disk(made / "saved")
    command = [
        "fit",
        saved,
        "-k",
        "2",
        "--method",
        "simclr",
        "--epochs",
        "1",
        "--set",
        "hidden=8",
        "--image-column",
        "img",
    ]
    assert main([*command, "--label-column", "kind", "--quiet", "--out", str(run)]) == 0
    assert capsys.readouterr() == ("", "")
    from coterie.runs.folder import RunFolder

    data = RunFolder(run).read_config().data
    assert data == DataConfig(saved, SIDE, image_column="img", label_column="kind")
    assert main([*command, "--label-column", "img", "--quiet", "--out", str(run), "--resume"]) == 2
    assert "data.label_column kind, not img" in capsys.readouterr().err
    assert main(["assign", str(run), saved, "--image-column", "img", "--quiet"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [row.split(",")[-1] for row in table] == ["label", *["dark", "bright"] * 3]
    assert main(["choose-k", saved, "--from", "2", "--to", "3", "--quiet", "--image-column", "img"]) == 2
    assert "6 points are too few" in capsys.readouterr().err
    clusterer = Clusterer(2, method="simclr", epochs=1, options={"hidden": 8, "data.image_column": "img"}).fit(saved)
    assert np.array_equal(clusterer.predict(saved), clusterer.labels_)
