"""What a person sees while coterie works, on standard error: notes, and how far a stage is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from coterie.listener import Listener
from coterie.streams import Words
from coterie.text import in_one_line

# Seconds between lines where there is no terminal to draw on.
_LOG_EVERY = 15.0
_BAR = 20


class ConsoleListener(Listener):
    """Notes as lines; stages as one line that changes on a terminal, as a line now and then elsewhere.

    Elsewhere a stage that is described, as learning is after every epoch, is told of at those times only.
    """

    read = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=cast(TextIO, Words()), highlight=False, soft_wrap=True)
        if self._console.width < 1:  # COLUMNS=0 says that nothing is known, and rich would show nothing.
            self._console.width = 80
        self._live: Live | None = None
        self._stage = Stage("", 0, "")
        self._logged, self._told = 0.0, False

    def note(self, text: str) -> None:
        self._console.print(Text(in_one_line(text)))

    def begin(self, stage: str, total: int, unit: str) -> None:
        self._stage = Stage(stage, total, unit)
        self._logged, self._told = time.monotonic(), False
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(self._stage, console=self._console, transient=True, refresh_per_second=8)
            self._live.start()

    def advance(self, steps: int = 1) -> None:
        super().advance(steps)
        self._stage.done += steps
        if not self._stage.words and self._stage.done < self._stage.total:
            self._log(self._stage.count())

    def describe(self, *words: str) -> None:
        self._stage.words = words
        if 0 < self._stage.done < self._stage.total:  # At the end, `end` tells.
            self._log("  ".join(words), at_once=not self._told)

    def end(self) -> None:
        self.close()
        if self._stage.words and self._stage.total:
            self.note(f"{self._stage.name}: {'  '.join(self._stage.words)}  in {clock(self._stage.seconds)}")

    def close(self) -> None:
        """Leave the terminal as it was, whatever happened."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _log(self, text: str, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._live is None and (at_once or now - self._logged >= _LOG_EVERY):
            self._logged, self._told = now, True
            self.note(f"{self._stage.name}: {text}  {self._stage.left()}")


class Stage:
    """How far a stage is, drawn as one line of a terminal.

    Where the line is too short for everything, the bar goes first, then rate and share, then words from the last; what
    is left to wait for stays.

    Args:
        name: of the stage. total: steps of `unit`.
    """

    def __init__(self, name: str, total: int, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0
        self.words: tuple[str, ...] = ()
        self._began = time.monotonic()
        self._spinners = {True: Spinner("line"), False: Spinner("dots")}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def count(self) -> str:
        return f"{self.done}/{self.total} {self.unit}, {self._rate()}"

    def left(self) -> str:
        """The time to wait, by the pace of the whole stage: that of the last moments would leave out the E-step."""
        if not self.done:
            return ""
        return f"{clock(self.seconds / self.done * max(0, self.total - self.done))} left"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        spinner = self._spinners[options.ascii_only].render(console.get_time())
        head = f"{spinner.plain if isinstance(spinner, Text) else ''} {self.name}"
        share = self.done / max(1, self.total)
        extras = [f"{share:.0%}", self._rate()] if self.done else []
        shown = fitting(head, self.words, self.left(), extras, options.max_width)
        line = Text("  ".join(shown), no_wrap=True, overflow="ellipsis")
        if line.cell_len + _BAR + 2 <= options.max_width:
            full = round(_BAR * min(1.0, share))
            line.append("  ")
            whole, empty = ("#", "-") if options.ascii_only else ("━", "━")
            line.append(whole * full, style="bar.complete")
            line.append(empty * (_BAR - full), style="bar.back")
        yield line

    def _rate(self) -> str:
        rate = self.done / max(self.seconds, 1e-6)
        return f"{rate:.0f} {self.unit}/s" if rate >= 10 else f"{rate:.1f} {self.unit}/s"


def fitting(head: str, words: Sequence[str], left: str, extras: Sequence[str], width: int) -> list[str]:
    """What `width` columns hold, with two blanks between: head and time left in any case, then words, then extras."""
    room = width - len(head) - len(left) - 2
    kept = []
    for part in [*words, *extras]:
        room -= len(part) + 2
        if room < 0:
            break
        kept.append(part)
    return [part for part in (head, *kept[: len(words)], left, *kept[len(words) :]) if part]


def clock(seconds: float) -> str:
    """`2:05` for minutes and seconds, `1:02:05` with hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
