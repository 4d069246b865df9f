"""The command line: one function per verb, which parses, calls and prints. Slow imports come late."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from coterie.workflow.listener import Listener


class _Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for bad use, 130 or 143 when stopped."""
    from coterie.errors import CoterieError

    given = list(sys.argv[1:] if arguments is None else arguments)
    options = build_parser().parse_args(given)
    try:
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


def build_parser() -> argparse.ArgumentParser:
    """The parser for every verb."""
    import coterie

    parser = _Parser(
        prog="coterie",
        description="Group unlabelled images by learning the representation and the groups together.",
        epilog="example:\n  coterie fit photos/ -k 12 --out groups\n  then open groups/report.html",
    )
    parser.add_argument("--version", action="version", version=f"coterie {coterie.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_demo(verbs)
    _add_fit(verbs)
    _add_assign(verbs)
    _add_evaluate(verbs)
    _add_probe(verbs)
    _add_report(verbs)
    _add_choose_k(verbs)
    _add_recipes(verbs)
    _add_bench(verbs)
    return parser


def _verb(verbs: Any, name: str, run: Any, about: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", epilog=f"example:\n  {example}"
    )
    parser.set_defaults(run=run)
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")
    return parser


def _add_demo(verbs: Any) -> None:
    parser = _verb(
        verbs, "demo", _demo, "group 1 797 handwritten digits without a label, in under a minute",
        "coterie demo --out my-demo",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="same seed, same machine, same result (default 0)")
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder for the results (default coterie-demo)")


def _add_fit(verbs: Any) -> None:
    parser = _verb(
        verbs, "fit", _fit, "learn to group images, and leave the results in a folder",
        "coterie fit photos/ -k 12 --out groups\n  coterie fit cats-and-dogs/ -k 2 --labels-from-folders "
        "--set train.batch_size=64 --out pets",
    )  # fmt: skip
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder of images, an .npz with `images` (or `features`), or `digits`"
    )
    parser.add_argument("-k", "--clusters", type=int, metavar="K", help="how many groups to find")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for the results")
    parser.add_argument(
        "--method", help="propos (default), byol, hadis, digpro, cc, pcl, moco, simclr, simsiam, cadecl or lnscc"
    )
    parser.add_argument("--recipe", metavar="NAME", help="settings by name, see `coterie recipes`, or a YAML file")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set any option (repeatable)",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the images")
    parser.add_argument("--size", type=int, metavar="PX", help="side of the square each image becomes")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")
    parser.add_argument("--precision", default="auto", help="auto (default), float32 or bfloat16")
    parser.add_argument("--seed", type=int, help="same seed, same machine, same result (default 0)")
    parser.add_argument(
        "--deterministic", action="store_true", help="on cuda: the same result every time, if more slowly"
    )
    parser.add_argument("--labels-from-folders", action="store_true", help="class folders as labels, to evaluate only")
    parser.add_argument(
        "--features-from", metavar="RUN|hf:NAME", help="lnscc: take features of the images from a run or a model"
    )
    parser.add_argument(
        "--proportions", type=_shares, default=(), metavar="S,S,…", help="lnscc: wanted sizes of the groups"
    )
    parser.add_argument("--resume", action="store_true", help="go on where RUN stopped")


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' must be numbers, as in 0.5,0.3,0.2") from None


def _add_assign(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "assign",
        _assign,
        "group new images by a finished run",
        "coterie assign groups new-photos/ --out new.csv",
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="a finished run")
    parser.add_argument("source", metavar="SOURCE", help="a folder of images, an .npz with `images`, or `digits`")
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV to write (default: standard output)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")


def _add_evaluate(verbs: Any) -> None:
    parser = _verb(
        verbs, "evaluate", _evaluate, "compare a run's groups with labels",
        "coterie evaluate groups --labels labels.csv",
    )  # fmt: skip
    parser.add_argument("folder", type=Path, metavar="RUN", help="a finished run")
    parser.add_argument(
        "--labels", type=Path, metavar="CSV", help="columns key and label (default: the run's own labels)"
    )


def _add_probe(verbs: Any) -> None:
    parser = _verb(
        verbs, "probe", _probe, "train a linear layer on a run's frozen encoder, and test it on held-out images",
        "coterie probe groups cats-and-dogs/ --labels-from-folders",
    )  # fmt: skip
    parser.add_argument("folder", type=Path, metavar="RUN", help="a finished run")
    parser.add_argument("source", metavar="SOURCE", help="labelled images: a folder, an .npz, or `digits`")
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument("--labels-from-folders", action="store_true", help="class folders as labels")
    labels.add_argument("--labels", type=Path, metavar="CSV", help="columns key and label")
    parser.add_argument("--optimizer", default="sgd", help="sgd (default), or lars for hundreds of thousands of images")
    parser.add_argument("--epochs", type=int, metavar="N", help="default 100 for sgd, 90 for lars")
    parser.add_argument("--held-out", type=float, default=0.2, metavar="SHARE", help="of each class (default 0.2)")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the order (default 0)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_report(verbs: Any) -> None:
    parser = _verb(verbs, "report", _report, "build report.html anew", "coterie report groups")
    parser.add_argument("folder", type=Path, metavar="RUN", help="a finished run")


def _add_recipes(verbs: Any) -> None:
    _verb(verbs, "recipes", _recipes, "list the shipped recipes", "coterie recipes")


def _add_choose_k(verbs: Any) -> None:
    parser = _verb(
        verbs, "choose-k", _choose_k, "recommend how many groups to form",
        "coterie choose-k groups --from 2 --to 30 --plot numbers.png",
    )  # fmt: skip
    parser.add_argument("source", metavar="RUN|SOURCE", help="a finished run, an .npz with `features`, or images")
    parser.add_argument("--from", dest="least", type=int, default=2, metavar="K", help="least number (default 2)")
    parser.add_argument("--to", dest="most", type=int, default=30, metavar="K", help="greatest number (default 30)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="PNG to write, every criterion by number")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of every k-means (default 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_bench(verbs: Any) -> None:
    parser = _verb(
        verbs, "bench", _bench, "measure the speed of each part beside a plain baseline", "coterie bench --only knn"
    )
    parser.add_argument("--only", metavar="NAME", help="one part, such as train-step or kmeans-10")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="of each side (default 5)")
    parser.add_argument("--device", default="cpu", help="where ours runs: cpu (default) or cuda")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="small problems, to see that everything runs")


def _demo(options: argparse.Namespace) -> None:
    from coterie.console import print_comparison, results
    from coterie.workflow.demo import demo

    with _Listening(options) as listener:
        folder, summary = demo(options.out, listener, seed=options.seed)
    options.out = folder
    out = results()
    print_comparison(summary, out)
    out.print(f"\nlook at {(folder / 'report.html').resolve()}", markup=False)


def _fit(options: argparse.Namespace) -> None:
    from coterie.workflow.assemble import Request
    from coterie.workflow.fit import fit

    names = ("source", "clusters", "method", "recipe", "epochs", "size", "device", "precision", "seed")
    request = Request(
        **{name: getattr(options, name) for name in (*names, "features_from", "proportions")},
        settings=tuple(options.settings),
        labels_from_folders=options.labels_from_folders,
        deterministic=options.deterministic,
    )
    with _Listening(options) as listener:
        summary = fit(request, options.out, listener, resume=options.resume)
    if not options.quiet:
        from coterie.console import print_comparison, results

        out = results()
        if "acc" in summary:
            print_comparison(summary, out)
        sizes = ", ".join(str(size) for size in summary["cluster_sizes"])
        out.print(f"groups of {sizes} images; look at {(options.out / 'report.html').resolve()}", markup=False)


def _assign(options: argparse.Namespace) -> None:
    from coterie.files import write_text
    from coterie.workflow.assign import assign

    with _Listening(options) as listener:
        assignments, skipped = assign(options.folder, options.source, listener, device=options.device)
        for entry in skipped:
            listener.note(f"left out {entry.key}: {entry.reason}")
        if options.out is not None:
            write_text(options.out, assignments.to_csv())
            listener.note(f"{len(assignments.keys)} images assigned, see {options.out}")
    if options.out is None:
        sys.stdout.write(assignments.to_csv())
        sys.stdout.flush()


def _evaluate(options: argparse.Namespace) -> None:
    from coterie.console import print_evaluation, results
    from coterie.workflow.evaluate import evaluate

    print_evaluation(evaluate(options.folder, options.labels), results())


def _probe(options: argparse.Namespace) -> None:
    from coterie.console import print_probe, results
    from coterie.evaluate.probe import ProbeConfig
    from coterie.workflow.probe import probe_run

    config = ProbeConfig(options.optimizer, options.epochs, options.held_out, options.seed)
    with _Listening(options) as listener:
        scores = probe_run(
            options.folder, options.source, listener, labels=options.labels, config=config, device=options.device,
            labels_from_folders=options.labels_from_folders,
        )  # fmt: skip
    print_probe(scores, results(), as_json=options.json)


def _report(options: argparse.Namespace) -> None:
    from coterie.report.page import write_report
    from coterie.runs.folder import RunFolder

    folder = RunFolder(options.folder)
    write_report(folder, folder.read_summary())
    if not options.quiet:
        print(folder.report.resolve())


def _recipes(_: argparse.Namespace) -> None:
    from coterie.workflow.recipes import load_recipe, recipe_names

    width = max(len(name) for name in recipe_names())
    for name in recipe_names():
        print(f"{name:{width}}  {load_recipe(name).about}")


def _choose_k(options: argparse.Namespace) -> None:
    from coterie.console import print_choice, results
    from coterie.files import write_atomically
    from coterie.report.plots import criteria
    from coterie.workflow.choose_k import choose

    with _Listening(options) as listener:
        choice = choose(options.source, options.least, options.most, listener, seed=options.seed)
    if options.plot is not None:
        picture = criteria(choice)
        write_atomically(options.plot, lambda stream: stream.write(picture))
    print_choice(choice, results(), as_json=options.json)


def _bench(options: argparse.Namespace) -> None:
    import json
    from dataclasses import asdict

    from coterie.bench import Budget, machine, measure
    from coterie.console import print_result, results
    from coterie.errors import UsageError
    from coterie.train.runtime import choose_runtime

    if options.repeats < 1:
        raise UsageError(f"--repeats must be at least 1, got {options.repeats}")
    budget = Budget(options.repeats, options.smoke, str(choose_runtime(options.device).device))
    found = []
    for result in measure(budget, options.only):
        found.append(asdict(result))
        if not options.json:
            print_result(result, results())
    if options.json:
        print(json.dumps({"machine": machine(), "results": found}, indent=2))


class _Listening:
    """A listener for the length of a command. Ctrl-C and SIGTERM end the command after the step at hand.

    In the middle of a step an interrupt could tear a file that is being written; a second one is taken at its word.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Listener:
        from coterie.console import ConsoleListener
        from coterie.workflow.listener import Listener

        self._listener = Listener() if self._options.quiet else ConsoleListener()
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        return self._listener

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._listener.close()

    def _stop(self, number: int, _: object) -> None:
        self._options.signal = number
        if self._listener.stopping:
            raise KeyboardInterrupt
        self._listener.stopping = True


def _interrupted(options: argparse.Namespace, given: list[str]) -> str:
    if options.run is not _fit or not (options.out / "config.yaml").is_file():
        return "interrupted"
    command = given if options.resume else [*given, "--resume"]
    return f"interrupted; go on with: coterie {shlex.join(command)}"


def _fail(message: str, code: int) -> int:
    print(f"coterie: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
