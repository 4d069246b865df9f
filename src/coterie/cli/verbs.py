"""What each verb does: it calls, and prints. Slow imports come late."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from coterie.cli.listening import Listening
from coterie.cli.parsing import reading
from coterie.streams import Results, say
from coterie.text import printable

if TYPE_CHECKING:
    from coterie.plan import Request

# Where a format's word stands alone, it names its file itself.
OWN_NAME = object()
_SWITCHES = ("labels_from_folders", "collapse_copies", "deterministic")


def _request(options: argparse.Namespace) -> Request:
    """What `coterie fit` and `coterie plan` are asked."""
    from coterie.plan import Request

    names = (
        "source",
        "clusters",
        "method",
        "recipe",
        "epochs",
        "minutes",
        "size",
        "device",
        "precision",
        "seed",
        "backbone",
        "words",
        "labels",
    )
    return Request(
        **{name: getattr(options, name) for name in (*names, *_SWITCHES, "proportions")},
        **reading(options),
        settings=tuple(options.settings),
        compiled=options.compile,
    )


def demo(options: argparse.Namespace) -> None:
    from coterie.console import print_comparison, results
    from coterie.workflow import demo as workflow

    with Listening(options) as listener:
        folder, summary = workflow.demo(options.out, listener, seed=options.seed)
    options.out = folder
    out = results()
    print_comparison(summary, out)
    out.print(f"\nlook at {(folder / 'report.html').resolve()}", markup=False)


def fit(options: argparse.Namespace) -> None:
    from coterie.launch import joined
    from coterie.processes import processes
    from coterie.workflow import fit as workflow

    request = _request(options)
    with joined(), Listening(options, silent=not processes().first) as listener:
        options.along = not processes().first
        summary = workflow.fit(request, options.out, listener, resume=options.resume, track=options.track)
    if summary and not options.quiet:
        from coterie.console import print_comparison, print_groups, results

        out = results()
        if "acc" in summary:
            print_comparison(summary, out)
        print_groups(summary, out)
        out.print(f"look at {(options.out / 'report.html').resolve()}", markup=False)


def plan(options: argparse.Namespace) -> None:
    from coterie.cli.settings import print_plan
    from coterie.console import results
    from coterie.plan import plan as decide

    with Listening(options) as listener:
        planned = decide(_request(options), note=listener.note)
        print_plan(planned, results(), as_json=options.json)


def assign(options: argparse.Namespace) -> None:
    from coterie.files import check_new, write_text
    from coterie.workflow import assign as workflow

    if options.out is not None:
        check_new(options.out, "--out", force=options.force)
    with Listening(options) as listener:
        assignments, skipped = workflow.assign(
            options.folder, options.source, listener, device=options.device, reading=reading(options)
        )
        for entry in skipped:
            listener.note(f"left out {entry.key}: {entry.reason}")
        if options.out is not None:
            write_text(options.out, assignments.to_csv())
            listener.note(f"{len(assignments.keys)} images assigned, see {options.out}")
    if options.out is None:
        Results().write_bytes(assignments.to_csv().encode("utf-8"))


def apply(options: argparse.Namespace) -> None:
    from coterie.console import print_applied, results
    from coterie.errors import UsageError
    from coterie.workflow.apply import apply_labels

    if (options.to is None) == (options.link or options.copy):
        raise UsageError("--to FOLDER goes with --copy or --link, which say how the images get there")
    with Listening(options) as listener:
        applied = apply_labels(
            options.folder, options.labels, listener, to=options.to, link=options.link, source=options.source
        )
        for entry in applied.sorted.gone if applied.sorted else []:
            listener.note(f"left out {entry.key}: {entry.reason}")
    if not options.quiet:
        print_applied(applied, options.to, results())


def refine(options: argparse.Namespace) -> None:
    from coterie.console import print_refined, results
    from coterie.workflow.refine import refine as workflow

    with Listening(options) as listener:
        refined = workflow(
            options.folder, options.labels, listener, clusters=options.clusters, splits=dict(options.split),
            merges=options.merge, out=options.out,
        )  # fmt: skip
    print_refined(refined, results())


def evaluate(options: argparse.Namespace) -> None:
    from coterie.console import print_evaluation, results
    from coterie.workflow import evaluate as workflow

    with Listening(options) as listener:
        evaluation = workflow.evaluate(options.folder, options.labels, listener)
    try:
        written = workflow.write_evaluation(evaluation, options.folder)
    finally:  # A run that cannot be written, on a disk for reading only, can be evaluated all the same.
        print_evaluation(evaluation, results())
    if not options.quiet:
        results().print(f"\nsee {' and '.join(str(path) for path in written)}", markup=False)


def stability(options: argparse.Namespace) -> None:
    from coterie.console import print_stability, results
    from coterie.workflow.stability import stability as judge

    with Listening(options) as listener:
        found = judge(options.folder, listener, seeds=options.seeds, source=options.source)
    print_stability(found, results(), as_json=options.json)


def probe(options: argparse.Namespace) -> None:
    from coterie.config import read
    from coterie.console import print_probe, results
    from coterie.evaluate.probe import ProbeConfig
    from coterie.plan.recipes import recipe
    from coterie.workflow.probe import probe_run

    asked = {name: getattr(options, name) for name in ("optimizer", "epochs", "held_out", "seed", "device")}
    stated = recipe(options.recipe).linear if options.recipe else {}
    config = read(ProbeConfig, {**stated, **{name: value for name, value in asked.items() if value is not None}})
    with Listening(options) as listener:
        scores = probe_run(
            options.folder, options.source, listener, labels=options.labels, config=config, test=options.test,
            reading=reading(options) | {"labels_from_folders": options.labels_from_folders},
        )  # fmt: skip
    print_probe(scores, results(), as_json=options.json)


def report(options: argparse.Namespace) -> None:
    from coterie.workflow.report import rebuild_report

    path = rebuild_report(options.folder, options.source)
    if not options.quiet:
        say(printable(str(path.resolve())))


def export(options: argparse.Namespace) -> None:
    from coterie.export import formats
    from coterie.workflow.export import export as workflow

    given = {name: getattr(options, name) for name in formats()}
    targets = {name: None if path is OWN_NAME else path for name, path in given.items() if path is not None}
    with Listening(options) as listener:
        workflow(options.folder, targets, listener, pixels=options.pixels, push=options.push, force=options.force)


def choose_k(options: argparse.Namespace) -> None:
    from coterie.console import print_choice, results
    from coterie.files import check_new, write_atomically
    from coterie.report.plots import criteria
    from coterie.workflow.choose_k import choose

    if options.plot is not None:
        check_new(options.plot, "--plot", force=options.force)
    with Listening(options) as listener:
        choice = choose(
            options.source, options.least, options.most, listener, seed=options.seed, reading=reading(options)
        )
    if options.plot is not None:
        picture = criteria(choice)
        write_atomically(options.plot, lambda stream: stream.write(picture))
    print_choice(choice, results(), as_json=options.json)


def bench(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from coterie.bench import Budget, measure
    from coterie.console import print_result, results
    from coterie.errors import UsageError
    from coterie.files import to_json
    from coterie.machine import machine
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
        say(to_json({"machine": machine(), "results": found}, indent=2, plain=True))
