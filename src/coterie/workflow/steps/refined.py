"""What refining a run comes to: what changed, and a folder like that of any other run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from coterie.cluster.taught import Regrouped
from coterie.data.feeding.features import Features
from coterie.data.sources import open_source
from coterie.evaluate.metrics import score
from coterie.files import write_atomically, write_json, write_text
from coterie.report.content import fingerprint
from coterie.report.page import write_report
from coterie.runs.assignments import Assignments
from coterie.runs.folder import RunFolder
from coterie.runs.labelled import Labelled
from coterie.runs.model import Model
from coterie.runs.model_files import save_model
from coterie.runs.said import Said, to_told
from coterie.runs.words import Words, as_json
from coterie.workflow.steps.named import numbered, suggested

# Figures of a summary that are of the old groups.
_OLD = ("acc", "nmi", "ari", "further", "held_out", "words", "named", "refined")


@dataclass(frozen=True)
class Refined:
    """A refined run, and what is different in it.

    Args:
        folder: of the new run.
        names: of its K groups, `Group 3` where nobody named one.
        sizes: images in each.
        told: how many images a person named, by now.
        moved: keys of the images that left what most of their old group became.
        parts: by what an old group was called, the new groups it was split into.
        ari, nmi: agreement of the new groups with the old.
        follows: the share of images that the new model, which assigns others, groups as the table does.
        seconds: that grouping took.
    """

    folder: Path
    names: list[str]
    sizes: list[int]
    told: int
    moved: list[str]
    parts: dict[str, list[int]]
    ari: float
    nmi: float
    follows: float
    seconds: float


@dataclass(frozen=True)
class Refining:
    """A run, what was said of it, and what its groups are to be.

    Args:
        folder, old, embeddings, model: of the run.
        said: of it by now.
        found: the new groups; `origins` are places among `said.names`.
        names: of the new groups.
        seconds: that finding them took.
    """

    folder: RunFolder
    old: Assignments
    said: Said
    embeddings: Any
    model: Model
    found: Regrouped
    names: Sequence[str]
    seconds: float

    def write(self, new: RunFolder) -> Refined:
        """Write the new run, its summary last; nothing stays where that fails."""
        try:
            return self._write(new)
        except BaseException:
            shutil.rmtree(new.root, ignore_errors=True)
            raise

    def _write(self, new: RunFolder) -> Refined:
        new.start(replace(self.folder.read_config(), clusters=len(self.names)))
        for path in ("metrics", "skipped", "duplicates", "features", "manifest", "thumbnails", "map", "animation"):
            if (kept := getattr(self.folder, path)).is_file():
                shutil.copyfile(kept, getattr(new, path))
        points, labels = torch.from_numpy(self.embeddings), self.found.labels
        groups = self.model.groups.regrouped(points, labels, len(self.names), self.found.rule)
        model = replace(self.model, groups=groups, words=self._words())
        grouping = groups.table(points, labels, torch.from_numpy(self.said.told), torch.from_numpy(self._outlying))
        table = replace(Assignments.of(self.old.keys, grouping), labels=self.old.labels)
        groups_now = [self.names[cluster] for cluster in table.clusters.tolist()]
        said = replace(self.said, clusters=table.clusters, groups=groups_now)
        refined = self._changes(new)
        write_text(new.assignments, table.to_csv())
        if said.told.any():
            write_text(new.told, to_told(table.keys, said))
        write_text(new.labels, said.to_csv(table.keys))
        mixed = np.array([group in self.said.mixed for group in groups_now])
        write_text(new.labelled, Labelled(table, groups_now, mixed, 0).to_csv())
        write_atomically(new.embeddings, lambda stream: np.save(stream, self.embeddings))
        save_model(model, new.model)
        summary = self._summary(table, refined, model.words)
        write_report(new, summary)
        write_json(new.summary, summary)
        return refined

    @property
    def _outlying(self) -> npt.NDArray[np.float64]:
        """How odd an image is does not depend on what its group is called."""
        score = self.old.outlier_score
        return 2.0 * self.old.outlier.astype(np.float64) if score is None else score

    def _words(self) -> Words:
        if not self.folder.features.is_file() or not self.model.backbones:
            return ()
        rows = open_source(str(self.folder.features))
        assert isinstance(rows, Features)
        words = self.folder.read_config().words
        return suggested(rows, self.model.backbones, words, self.found.labels, len(self.names))

    def _changes(self, new: RunFolder) -> Refined:
        labels, order = self.found.labels.numpy(), self.said.names
        came = np.array(self.found.origins)[labels]
        place = {name: number for number, name in enumerate(order)}
        # What each of the old groups is now, by most of its images.
        went_with = [came[self.old.clusters == old] + 1 for old in range(int(self.old.clusters.max()) + 1)]
        home = np.array([np.bincount(group, minlength=1).argmax() - 1 for group in went_with])
        went = {name: [new for new, old in enumerate(self.found.origins) if old == place[name]] for name in order}
        scores = score(self.old.clusters, labels)
        points = torch.from_numpy(self.embeddings)
        return Refined(
            new.root,
            list(self.names),
            np.bincount(labels, minlength=len(self.names)).tolist(),
            int(self.said.told.sum()),
            [self.old.keys[row] for row in np.flatnonzero(came != home[self.old.clusters]).tolist()],
            {name: parts for name, parts in went.items() if len(parts) > 1},
            scores.ari,
            scores.nmi,
            float((self.found.rule.labels(points) == self.found.labels).double().mean()),
            self.seconds,
        )

    def _summary(self, table: Assignments, refined: Refined, words: Words) -> dict[str, Any]:
        """The old one's, with what is different; scores leave out the images that were named."""
        before = self.folder.read_summary()
        summary = {name: value for name, value in before.items() if name not in _OLD}
        summary |= {
            "clusters": len(self.names),
            "cluster_sizes": refined.sizes,
            "outliers": int(table.outlier.sum()),
            "grouped": {"by": "what was said of them", "silhouettes": {}},
            "named": refined.told,
            "refined": {
                "from": str(self.folder.root.resolve()),
                "before": fingerprint(self.old),
                "moved": len(refined.moved),
                "parts": refined.parts,
                **{name: round(getattr(refined, name), 4) for name in ("ari", "nmi", "follows", "seconds")},
            },
        }
        if words:
            summary["words"] = as_json(words)
        labels = numbered(table.labels, self.said.told)
        if "acc" in before and (labels >= 0).any():
            scores, earlier = (score(labels, clusters) for clusters in (table.clusters, self.old.clusters))
            summary |= {**asdict(scores), "further": {"the groups before": asdict(earlier)}}
        else:
            summary.pop("baseline", None)
        return summary
