# Everything a newcomer needs: `make demo` to see it work, `make test` to check a change.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Builds stand still while these do.
PINS = pyproject.toml constraints.txt

.PHONY: demo test lint types soak docs clean

demo: $(VENV)/.installed
	$(BIN)/coterie demo

# A process a core, of one thread each; files stay together, as their tests share runs.
test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

soak: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m soak

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

clean:
	rm -rf $(VENV) docs/_build docs/jupyter_execute

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "coterie needs Python 3.10 or newer; say make PYTHON=python3.x" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# torch goes first and by its exact version, so that no other build is fetched on its account.
$(VENV)/.installed: $(BIN)/python $(PINS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[photos]' -c constraints.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]' -c constraints.txt
	@touch $@
