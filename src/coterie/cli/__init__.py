"""The command line. Slow imports come late."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for bad use, 130 or 143 when stopped."""
    from coterie.cli.parser import build_parser
    from coterie.errors import CoterieError

    given = list(sys.argv[1:] if arguments is None else arguments)
    options = build_parser().parse_args(given)
    try:
        for path in options.code:
            from coterie.methods._own import load_code

            load_code(path)
        options.run(options)
    except CoterieError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(_interrupted(options, given), 128 + getattr(options, "signal", signal.SIGINT))
    except BrokenPipeError:
        sys.stderr.close()  # Whoever read standard output has gone, as after `| head`.
        return 1
    except MemoryError:
        return _fail("out of memory: lower --size or train.batch_size", 1)
    except OSError as error:
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    return 0


def _interrupted(options: argparse.Namespace, given: list[str]) -> str:
    if options.verb == "stability":
        return f"interrupted; go on with: coterie {shlex.join(given)}"
    if options.verb != "fit" or not (options.out / "config.yaml").is_file():
        return "interrupted"
    command = given if options.resume else [*given, "--resume"]
    return f"interrupted; go on with: coterie {shlex.join(command)}"


def _fail(message: str, code: int) -> int:
    from coterie.text import printable

    print(f"coterie: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code
