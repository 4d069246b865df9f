"""A folder ready for the Hugging Face hub, which `coterie.load` reads as it is; and the push, if it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coterie.errors import CoterieError
from coterie.export.base import Format, Subject
from coterie.extras import require

_CARD = "README.md"


def write(subject: Subject, target: Path) -> str:
    """The model with its description as `config.json`, a run that makes its features beside it, and a model card.

    What else the folder holds stays; nothing leaves this machine.
    """
    from coterie.export._card import model_card
    from coterie.files import write_text
    from coterie.runs.model_files import saved_files

    card = model_card(subject)
    for name, path in saved_files(subject.folder.model).items():
        _copy(path, target / name)
    write_text(target / _CARD, card)
    return f"{target}: ready for the Hugging Face hub; coterie.load reads it"


def push(subject: Subject, folder: Path, repository: str) -> str:
    """Upload what `write` wrote into `folder` to `repository` (USER/NAME), which is made, private, if it is not there.

    Raises:
        UsageError: huggingface_hub is not installed. CoterieError: the hub refused; the folder is kept.
    """
    from coterie.runs.model_files import saved_files

    hub = require("huggingface_hub", extra="hub", what="--push")
    api = hub.HfApi()
    try:
        made = api.create_repo(repository, repo_type="model", private=True, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=str(folder),
            repo_type="model",
            allow_patterns=[_CARD, *saved_files(subject.folder.model)],
            commit_message="Upload a model by coterie",
        )
    except Exception as error:  # No token, no right, no network: all have their own kind.
        raise CoterieError(f"{folder} is written, but not pushed to {repository}: {_reason(error)}") from None
    return f"pushed to {made.repo_id} on the Hugging Face hub; a repository that is new is private until you change it"


def check_push() -> None:
    """Raise a UsageError if huggingface_hub is not installed."""
    require("huggingface_hub", extra="hub", what="--push")


def _copy(source: Path, target: Path) -> None:
    from coterie.files import write_atomically

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
    except OSError as error:
        raise CoterieError(f"{target} could not be written: {error.strerror or error}") from None
    write_atomically(target, lambda stream: stream.write(content))


def _reason(error: Exception) -> str:
    said: Any = str(error).strip() or type(error).__name__
    return " ".join(said.split())[:200]


FORMAT = Format("a folder ready for the Hugging Face hub: weights, config.json, model card", write, target="FOLDER")
