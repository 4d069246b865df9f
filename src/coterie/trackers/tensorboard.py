"""TensorBoard: event files in the run's folder `tensorboard`, see `tensorboard --logdir RUN`."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from coterie.extras import require
from coterie.trackers.base import Start


def check() -> None:
    require("tensorboard", extra="tensorboard", what="--track tensorboard")


class TensorBoard:
    """What an earlier attempt logged of epochs that will be repeated is hidden."""

    identity = None

    def __init__(self, start: Start) -> None:
        check()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(start.folder / "tensorboard"), purge_step=start.done + 1)
        self._epoch = start.done
        if not start.done:
            # As code in Markdown, which is what TensorBoard shows texts as.
            lines = yaml.safe_dump(dict(start.settings), sort_keys=False, allow_unicode=True).splitlines()
            self._writer.add_text("settings", "\n".join(f"    {line}" for line in lines))

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self._epoch = epoch
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def finish(self, summary: Mapping[str, float], *, failed: bool) -> None:  # noqa: ARG002
        self.log({f"final/{name}": value for name, value in summary.items()}, self._epoch)
        self._writer.close()


TRACKER = TensorBoard
