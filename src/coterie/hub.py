"""What libraries that fetch from the Hugging Face hub log and raise, as a person should hear it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from coterie.errors import causes

PREFIX = "hf:"

_LOGGERS = ("transformers", "huggingface_hub", "datasets", "timm")
_UNREACHABLE = {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectionError", "ConnectError", "Timeout"}
_ABSENT = {"RepositoryNotFoundError", "GatedRepoError", "DatasetNotFoundError"}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep back what the hub's libraries log below an error: whatever matters is raised, and then said in one line."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def reason(error: BaseException) -> str:
    """Why something could not be had from the hub, and what to do, as the end of a sentence."""
    kinds = {kind.__name__ for cause in causes(error) for kind in type(cause).__mro__}
    if kinds & _ABSENT:
        return "the hub has nothing of that name, or it is private: check the name, or log in with `hf auth login`"
    if kinds & _UNREACHABLE:
        return (
            "it is neither a folder here nor in the cache, and the hub cannot be reached: check the name and the "
            "network, or give a folder it was downloaded to"
        )
    words = " ".join(str(error).split())
    if "trust_remote_code" in words or "scripts are no longer supported" in words:
        return "it brings code of its own, which coterie never executes"
    return words[:300] or type(error).__name__
