"""Methods of a user's own, which live outside the package.

They are looked up among the modules that are imported already, and nothing is ever imported for a name's sake: a run's
files name the method it was learnt with, and reading them must execute no code.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from coterie.errors import CoterieError, UsageError, unknown
from coterie.methods.base import Method


def own_method(name: str) -> type[Method]:
    """The method `module:Class` of a module that is imported already.

    Raises:
        UsageError: no such module is imported, or it holds no such method.
    """
    module, _, wanted = name.partition(":")
    if module not in sys.modules:
        raise UsageError(
            f"the method '{name}' is code of your own, which is not loaded: put --code {module}.py before the verb, "
            f"or import {module} first"
        )
    # A look into the dictionary, as asking the module itself for a name may execute its `__getattr__`.
    methods: dict[str, type[Method]] = {
        key: kind for key, kind in vars(sys.modules[module]).items() if _is_method(kind)
    }
    if not methods:
        raise UsageError(f"the method '{name}' is code of your own, and the module {module} defines none")
    if wanted not in methods:
        raise unknown("method", name, [f"{module}:{key}" for key in methods])
    return methods[wanted]


def load_code(path: Path) -> None:
    """Import a Python file under its own name, as a user asks who has named it as code.

    Raises:
        UsageError: no Python file, or one with the name of a module there is already.
        CoterieError: it fails when it is executed.
    """
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"--code wants a Python file, and {path} is none")
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path.resolve()):
        return
    if known is not None or importlib.util.find_spec(path.stem) is not None:
        raise UsageError(f"--code {path}: there is a module '{path.stem}' already; give the file another name")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[path.stem]
        raise CoterieError(f"--code {path} failed: {type(error).__name__}: {error}") from error


def _is_method(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Method) and thing is not Method
