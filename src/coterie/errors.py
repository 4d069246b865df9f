"""The errors a user meets: one clear line each, saying what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


class CoterieError(Exception):
    """Something failed while working; the command line exits with `exit_code` 1."""

    exit_code = 1


class UsageError(CoterieError, ValueError):
    """What was asked for cannot be done as asked; the command line exits with `exit_code` 2."""

    exit_code = 2


class ResourceError(CoterieError):
    """Disk, memory or device gave out. Nothing already kept is lost: with enough of it, the run can go on."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that does not exist, pointing at the nearest one that does."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
    return UsageError(f"unknown {kind} '{name}': {hint}")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
