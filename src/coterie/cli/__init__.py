"""The command line. Slow imports come late."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence

# By these torch, when it is imported, lets operations that an accelerator lacks go to the CPU.
_FALLBACKS = ("PYTORCH_ENABLE_MPS_FALLBACK", "PYTORCH_ENABLE_XPU_FALLBACK")
# Verbs whose result is what they print.
_PRINTING = frozenset(("assign", "backbones", "bench", "choose-k", "open", "plan", "probe", "recipes", "stability"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for bad use, 130 or 143 when stopped."""
    from coterie.cores import share_cores

    share_cores(os.environ)  # Before anything loads torch.
    from coterie.cli.parser import build_parser
    from coterie.errors import CoterieError, ResourceError
    from coterie.streams import ReaderGone, Results, prepare

    prepare()
    for name in _FALLBACKS:
        os.environ.setdefault(name, "1")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = build_parser().parse_args(given)
    try:
        for path in options.code:
            from coterie.methods._own import load_code

            load_code(path)
        _check_output(options)
        options.run(options)
        Results().flush()
    except ResourceError as error:
        return _fail(str(error) + _going_on(options, given, "; then go on with"), error.exit_code)
    except CoterieError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        if arguments is None:  # A second one, such as `timeout` sends, has nothing left to stop.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = 128 + getattr(error, "signal", signal.SIGINT)
        if getattr(options, "along", False):  # Of several processes the first one speaks.
            return code
        return _fail("interrupted" + _going_on(options, given, "; go on with"), code)
    except ReaderGone:
        return int(options.verb in _PRINTING)  # The others leave their results in files.
    except Exception as error:
        from coterie.failures import translated

        failure = translated(error)
        if failure is None:
            raise
        return _fail(str(failure) + _going_on(options, given, "; then go on with"), failure.exit_code)
    return 0


def _check_output(options: argparse.Namespace) -> None:
    """Raise a UsageError, before any work, if what is asked for would be printed to nowhere."""
    from coterie.errors import UsageError

    if sys.stdout is None and options.verb in _PRINTING and getattr(options, "out", None) is None:
        instead = "give --out FILE" if hasattr(options, "out") else f"coterie {options.verb} … > FILE"
        raise UsageError(f"there is no standard output for the result of {options.verb}: {instead}")


def _going_on(options: argparse.Namespace, given: list[str], word: str) -> str:
    """The command that continues what was stopped, where one does."""
    if options.verb in ("reproduce", "stability"):
        return f"{word}: coterie {_line(given)}"
    if options.verb != "fit" or not (options.out / "config.yaml").is_file():
        return ""
    return f"{word}: coterie {_line(given if options.resume else [*given, '--resume'])}"


def _line(words: list[str]) -> str:
    """Words as the shell of this system takes them."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _fail(message: str, code: int) -> int:
    from coterie.streams import Words
    from coterie.text import printable

    Words().write(f"coterie: {printable(' '.join(message.split()))}\n")
    return code
