"""How Sphinx builds these pages: `make docs`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import coterie

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
# Notebooks run in processes of their own; they leave nothing behind in a cache, and share the cores with the build.
os.environ["COTERIE_CACHE"] = ""
os.environ.setdefault("OMP_NUM_THREADS", "2")

project = "coterie"
author = copyright = "The coterie developers"
release = version = coterie.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "plain",
    "tables",
]
exclude_patterns = ["jupyter_execute", "_build", "**/.ipynb_checkpoints"]
html_theme = "furo"
html_title = "coterie"
html_static_path: list[str] = []
html_copy_source = False

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

# Docstrings are plain text in which `single backticks` are code.
default_role = "literal"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
copybutton_prompt_text = r">>> |\$ "
copybutton_prompt_is_regexp = True
