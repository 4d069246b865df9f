"""The command line's words for the page that saves into its run."""

from __future__ import annotations

import argparse
from typing import Any

from coterie.cli.listening import Listening
from coterie.cli.parsing import new_verb
from coterie.cli.values import local
from coterie.streams import Results, say


def add_open(group: Any) -> None:
    parser = new_verb(
        group, "open", _open, "open a run's page so that it saves into the run and refines it", "coterie open groups"
    )
    parser.add_argument("folder", type=local, metavar="RUN", help="a finished run")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of this machine (default: any that is free)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")


def _open(options: argparse.Namespace) -> None:
    import webbrowser

    from coterie.workflow.open import open_run

    def opened(address: str) -> None:
        say(address)
        Results().flush()
        listener.note("the page saves into the run; Ctrl-C ends it")
        if not options.no_browser:
            webbrowser.open(address)

    with Listening(options) as listener:
        open_run(options.folder, listener, port=options.port, opened=opened)
