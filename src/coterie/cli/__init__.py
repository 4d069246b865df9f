"""The command line. Slow imports come late."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for bad use, 130 or 143 when stopped."""
    from coterie.cores import share_cores

    share_cores(os.environ)  # Before anything loads torch.
    from coterie.cli.parser import build_parser
    from coterie.errors import CoterieError, ResourceError

    given = list(sys.argv[1:] if arguments is None else arguments)
    options = build_parser().parse_args(given)
    try:
        for path in options.code:
            from coterie.methods._own import load_code

            load_code(path)
        options.run(options)
    except ResourceError as error:
        return _fail(str(error) + _going_on(options, given, "; then go on with"), error.exit_code)
    except CoterieError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        code = 128 + getattr(error, "signal", signal.SIGINT)
        if getattr(options, "along", False):  # Of several processes the first one speaks.
            return code
        return _fail("interrupted" + _going_on(options, given, "; go on with"), code)
    except BrokenPipeError:
        sys.stderr.close()  # Whoever read standard output has gone, as after `| head`.
        return 1
    except Exception as error:
        from coterie.failures import translated

        failure = translated(error)
        if failure is None:
            raise
        return _fail(str(failure) + _going_on(options, given, "; then go on with"), failure.exit_code)
    return 0


def _going_on(options: argparse.Namespace, given: list[str], word: str) -> str:
    """The command that continues what was stopped, where one does."""
    if options.verb == "stability":
        return f"{word}: coterie {shlex.join(given)}"
    if options.verb != "fit" or not (options.out / "config.yaml").is_file():
        return ""
    return f"{word}: coterie {shlex.join(given if options.resume else [*given, '--resume'])}"


def _fail(message: str, code: int) -> int:
    from coterie.text import printable

    print(f"coterie: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code
