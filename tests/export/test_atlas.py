"""The table for embedding-atlas."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coterie import UsageError
from coterie.cli import main
from coterie.export import atlas
from coterie.workflow.export import export

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def rows_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas, "_ROWS", 7)


@pytest.mark.usefixtures("rows_of_seven")
def test_a_row_an_image(run: Path, tmp_path: Path) -> None:
    export(run, {"atlas": tmp_path / "map.parquet"})
    file = parquet.ParquetFile(tmp_path / "map.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [7, 7, 6]
    with (run / "assignments.csv").open() as stream:
        table = list(csv.DictReader(stream))
    rows = file.read().to_pylist()
    for place, (row, wanted) in enumerate(zip(rows, table, strict=True)):
        assert (row["key"], row["known"]) == (wanted["key"], wanted["label"])
        assert (row["cluster"], row["group"]) == (int(wanted["cluster"]), f"Group {wanted['cluster']}")
        assert row["confidence"] == pytest.approx(float(wanted["confidence"]))
        assert row["outlier"] == (wanted["outlier"] == "1")
        assert row["label"] is None
        assert np.isfinite([row["x"], row["y"]]).all()
        assert row["neighbours"]["ids"][0] == place
        assert len({*row["neighbours"]["ids"]}) == 16
        assert row["neighbours"]["distances"] == sorted(row["neighbours"]["distances"])
        # Pictures are those of the keys.
        with Image.open(io.BytesIO(row["picture"]["bytes"])) as picture:
            red, _, blue = np.asarray(picture.convert("RGB")).mean(axis=(0, 1))
        assert (red > blue) == row["key"].startswith("reds")


def test_without_images_that_are_gone_or_others(run: Path, photos: Path, tmp_path: Path) -> None:
    kept, some = shutil.copytree(run, tmp_path / "run"), shutil.copytree(photos, tmp_path / "some")
    (kept / "config.yaml").write_text((kept / "config.yaml").read_text().replace(str(photos), str(some)))
    (some / "reds" / "00.png").unlink()
    Image.new("RGB", (24, 20)).save(some / "reds" / "01.png")
    export(kept, {"atlas": tmp_path / "map.parquet"})
    rows = parquet.read_table(tmp_path / "map.parquet").to_pylist()
    assert [row["key"] for row in rows if row["picture"] is None] == ["reds/00.png", "reds/01.png"]
    shutil.rmtree(some)
    export(kept, {"atlas": tmp_path / "map.parquet"}, force=True)
    assert "picture" not in parquet.read_schema(tmp_path / "map.parquet").names


def test_a_persons_labels(run: Path, tmp_path: Path) -> None:
    kept = shutil.copytree(run, tmp_path / "run")
    with (kept / "assignments.csv").open() as stream:
        labels = {row["key"]: "warm" if row["cluster"] == "0" else "=cold" for row in csv.DictReader(stream)}
    (tmp_path / "labels.csv").write_text("key,label\n" + "".join(f"{key},{name}\n" for key, name in labels.items()))
    assert main(["apply", str(kept), str(tmp_path / "labels.csv")]) == 0
    export(kept, {"atlas": tmp_path / "map.parquet"})
    rows = parquet.read_table(tmp_path / "map.parquet").to_pylist()
    assert {row["key"]: row["label"] for row in rows} == {row["key"]: row["group"] for row in rows} == labels


def test_without_embeddings(run: Path, tmp_path: Path) -> None:
    kept = shutil.copytree(run, tmp_path / "run")
    (kept / "embeddings.npy").unlink()
    with pytest.raises(UsageError, match="no embeddings"):
        export(kept, {"atlas": tmp_path / "map.parquet"})
    assert not (tmp_path / "map.parquet").exists()


def test_embedding_atlas_reads_it(run: Path, tmp_path: Path) -> None:
    cli = pytest.importorskip("embedding_atlas.cli")
    runner = pytest.importorskip("click.testing").CliRunner()
    target, site = tmp_path / "map.parquet", tmp_path / "site"
    export(run, {"atlas": target})
    columns = ["--x", "x", "--y", "y", "--neighbors", "neighbours", "--image", "picture"]
    told = runner.invoke(cli.main, [str(target), *columns, "--export-application", str(site)])
    assert told.exit_code == 0, told.output
    shown = parquet.read_table(site / "data" / "dataset.parquet").to_pandas()
    assert len(shown) == 20
    assert shown["pagerank"].sum() == pytest.approx(1, abs=1e-3)
