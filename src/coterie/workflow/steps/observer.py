"""What follows every epoch: a word to the listener, a line of metrics (also for trackers), a checkpoint, a frame."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from coterie.data.base import Rows
from coterie.data.feeding.edges import EdgeFeed
from coterie.evaluate.metrics import confusion, normalised_mutual_information, score
from coterie.evaluate.neighbours import monitor
from coterie.listener import Listener
from coterie.runs.folder import RunFolder
from coterie.runs.frames import Frames
from coterie.train.checkpoint import Checkpoint
from coterie.train.loop import Epoch, Loop
from coterie.workflow.steps.tracking import Tracking


@dataclass
class Observer:
    """Called after every epoch.

    Args:
        loop, rows, listener: of the run.
        folder, checkpoint: where to keep things; None keeps nothing.
        began: when learning began, in seconds of `time.perf_counter`, earlier attempts reckoned in.
        done: epochs that earlier attempts did; what they kept beyond is dropped, as it will be repeated.
        tracking: the run's trackers, if any.
    """

    loop: Loop
    rows: Rows
    listener: Listener
    folder: RunFolder | None
    checkpoint: Checkpoint | None
    began: float
    done: int = 0
    tracking: Tracking | None = None
    _previous: np.ndarray[Any, np.dtype[np.int64]] | None = None
    _frames: Frames | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        self.folder.keep_metrics(self.done)
        feed = self.loop.feed
        if isinstance(feed, EdgeFeed):
            self._frames = Frames.resume(self.folder.frames, feed.held_out.cpu().numpy(), self.done)

    @property
    def _labelled(self) -> bool:
        return self.rows.labels is not None and bool((self.rows.labels >= 0).any())

    def __call__(self, epoch: Epoch) -> None:
        record = self.record(epoch)
        done, total = epoch.number + 1, self.loop.config.epochs
        self.listener.describe(*_status(record, total))
        if self.folder is not None:
            self.folder.add_metrics(record)
        if self.tracking is not None:
            self.tracking.log(record)
        if self._frames is not None:
            self._frames.take(self.loop.method, self.rows, done, total)
        if self.checkpoint is not None:
            seconds = time.perf_counter() - self.began
            self.checkpoint.save(
                self.loop.method, self.loop.optimizer, epochs=done, seconds=seconds, last=done == total
            )
        self.listener.learnt(epoch)

    def record(self, epoch: Epoch) -> dict[str, Any]:
        """The line of `metrics.jsonl` for an epoch; what the E-step found describes the epoch's beginning."""
        record: dict[str, Any] = {
            "epoch": epoch.number + 1,
            "losses": epoch.losses,
            "learning_rate": epoch.learning_rate,
            "seconds": round(epoch.seconds, 4),
            "pairs_per_second": round(epoch.pairs_per_second, 1),
            "spread": epoch.health.spread,
        }
        if epoch.health.largest is not None:
            record["largest_share"] = epoch.health.largest
        if self._labelled:
            known = torch.from_numpy(np.asarray(self.rows.labels))[epoch.health.places]
            record["knn"] = monitor(epoch.health.embeddings.cpu(), known)
        if epoch.expectation is None:
            return record
        clustering = epoch.expectation.clusterings[0]
        if len(clustering.centers) != self.loop.method.n_clusters:
            return record  # A finer grain than the clusters that were asked for.
        labels = clustering.labels.cpu().numpy()
        sizes = np.bincount(labels, minlength=self.loop.method.n_clusters)
        record |= {"smallest": int(sizes.min()), "median_size": float(np.median(sizes)), "largest": int(sizes.max())}
        if self._previous is not None:
            record["agreement"] = normalised_mutual_information(confusion(self._previous, labels))
        self._previous = labels
        if self.rows.labels is not None and self._labelled:
            record |= asdict(score(self.rows.labels, labels))
        return record


def _status(record: dict[str, Any], epochs: int) -> list[str]:
    """In the order of their importance to somebody who waits."""
    words = [f"epoch {record['epoch']}/{epochs}", f"loss {sum(record['losses'].values()):.3f}"]
    words += [f"spread {record['spread']:.2f}"]
    if "smallest" in record:
        words += [f"sizes {record['smallest']}–{record['largest']}"]
    elif "largest_share" in record:
        words += [f"largest {record['largest_share']:.0%}"]
    return words + [f"{name} {record[name]:.3f}" for name in ("acc", "knn") if name in record]
