"""`coterie export`: what a run came to, in formats that other programs read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from coterie.errors import UsageError, unknown
from coterie.export import Format, Pixels, Subject, format_named, formats
from coterie.listener import Listener
from coterie.runs.folder import RunFolder
from coterie.runs.lock import only_writer
from coterie.surroundings import in_surroundings


@in_surroundings
def export(
    run: Path,
    targets: Mapping[str, Path | None],
    listener: Listener | None = None,
    *,
    pixels: str = "uint8",
    push: str | None = None,
    force: bool = False,
) -> list[Path]:
    """Write a run in some formats. Everything is checked before anything is written.

    Args:
        run: the folder of a finished run, or one that `Clusterer.save` wrote.
        targets: by the name of a format, the file or folder to write; None for the format's own name in the run.
        listener: hears what was written.
        pixels: what an exported network takes images as, "uint8" (0–255) or "float32" (0–1).
        push: USER/NAME on the Hugging Face hub, to upload what "hub" wrote to; None uploads nothing.
        force: replace what is there.

    Returns: what was written, in the order of the targets.

    Raises:
        UsageError: an unknown format, no run, a target that exists, or a package that is missing.
        CoterieError: writing or pushing failed; what was written before is kept.
    """
    if not (chosen := {name: format_named(name) for name in targets}):
        raise UsageError(f"say what to export to: {', '.join(f'--{name}' for name in formats())}")
    if push is not None and "hub" not in chosen:
        raise UsageError("--push uploads what --hub FOLDER writes: give both")
    subject = _subject(run, pixels)
    paths = {name: _target(name, chosen[name], targets[name], run) for name in chosen}
    _check_free(paths, chosen, force=force)
    for check in [*(kind.check for kind in chosen.values()), *([_check_push] if push is not None else [])]:
        check(subject)
    note = (listener or Listener()).note
    own = any(run.resolve() in path.resolve().parents for path in paths.values())
    with only_writer(run) if own else contextlib.nullcontext():
        for name, path in paths.items():
            note(chosen[name].write(subject, path))
    if push is not None:
        _push(subject, paths["hub"], push, note)
    return list(paths.values())


def _subject(run: Path, pixels: str) -> Subject:
    if pixels not in get_args(Pixels):
        raise unknown("type of pixels", pixels, get_args(Pixels))
    folder = RunFolder(run)
    if folder.config.is_file():
        folder.read_summary()
    elif not folder.model.is_dir():
        raise UsageError(f"{run} is not a run: it holds neither config.yaml nor a model")
    return Subject(folder, "uint8" if pixels == "uint8" else "float32")


def _target(name: str, kind: Format, given: Path | None, run: Path) -> Path:
    if given is not None:
        return given
    if kind.default is None:
        raise UsageError(f"--{name} wants the {kind.target} to write")
    return run / kind.default


def _check_free(paths: Mapping[str, Path], chosen: Mapping[str, Format], *, force: bool) -> None:
    """Raise a UsageError for a target that is taken, by an earlier file or by another target, or has no folder."""
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise UsageError("two formats are to be written to the same place: give each its own")
    for name, path in paths.items():
        folder = chosen[name].target == "FOLDER"
        taken = any(path.iterdir()) if folder and path.is_dir() else path.exists()
        if path.exists() and path.is_dir() != folder:
            raise UsageError(f"--{name}: {path} is a {'folder' if path.is_dir() else 'file'}: give another name")
        if taken and not force:
            raise UsageError(f"--{name}: {path} exists already: add --force to replace it, or give another name")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"--{name}: there is no folder {path.parent}: make it first")


def _check_push(_: Subject) -> None:
    from coterie.export.hub import check_push

    check_push()


def _push(subject: Subject, folder: Path, name: str, note: Callable[[str], None]) -> None:
    from coterie.export.hub import push

    note(push(subject, folder, name))
