"""How many epochs fit into a time, from a pace measured on this machine; they are written down as a number."""

from __future__ import annotations

from coterie.plan.estimate import Pace

# What a run aims at unless told otherwise, and what it never takes then.
MINUTES, MOST_MINUTES = 10.0, 30.0
# Seconds about learning and grouping, for starting up, reading and the page; of a short run a tenth.
_AROUND = 6.0
# Fewer epochs than these teach little; more than these gain nothing here.
_FEW_EPOCHS, _MANY_EPOCHS, _MANY_ON_GPU = 15, 400, 1000


def asked_for(pace: Pace, minutes: float) -> int:
    """Epochs with which a whole run comes nearest to the minutes a user asked for, within a twentieth; at least one."""
    return max(1, round_finely(_fitting(pace, learning_minutes(minutes))))


def learning_minutes(minutes: float) -> float:
    """What is left of the minutes a user asked for to learn and to group."""
    return minutes - min(_AROUND / 60, minutes / 10)


def by_default(pace: Pace, *, gpu: bool) -> int:
    """Epochs that take about ten minutes, and at most thirty."""
    most = _MANY_ON_GPU if gpu else _MANY_EPOCHS
    wanted = max(_FEW_EPOCHS, min(most, round_coarsely(_fitting(pace, MINUTES))))
    return max(1, min(wanted, int(_fitting(pace, MOST_MINUTES))))


def round_finely(epochs: float) -> int:
    """The nearest number within a twentieth: by ones below 20, by twos below 50, by fives below 100, and so on."""
    step = 1
    for below in (20, 50, 100, 200, 500, 1000):
        if epochs < below:
            break
        step = step * 5 // 2 if step in (2, 20) else step * 2
    return step * round(epochs / step)


def round_coarsely(epochs: float) -> int:
    """The nearest of 10, 15, 20, 30, 40, 50, 70, 100, 150, …, so that a pace a little off leads to the same plan."""
    scale = 1
    while epochs >= 10 * scale:
        scale *= 10
    return int(min((scale * number for number in (1, 1.5, 2, 3, 4, 5, 7, 10)), key=lambda each: abs(each - epochs)))


def _fitting(pace: Pace, minutes: float) -> float:
    return max(0.0, 60 * minutes - pace.other_seconds) / max(pace.epoch_seconds, 1e-9)
