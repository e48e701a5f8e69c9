# `make help` lists the targets. Needs make and Python 3.11 or newer; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= potentials
CAMPAIGN ?= optical_window
PYTEST_ARGS ?=

comma := ,
BIN := $(VENV)/bin
FOLDERS := data featurizers models screening workflows
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
# Without byte code every process of a run, and the hundreds that the tests start, would compile matloop again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help screen test lint typecheck format docs clean distclean
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "Settings: PYTHON=$(PYTHON) VENV=$(VENV) EXTRAS=$(EXTRAS) CAMPAIGN=$(CAMPAIGN) PYTEST_ARGS=$(PYTEST_ARGS)"

screen: $(VENV)/.installed  ## screen the embedded materials (CAMPAIGN=optical_window) and print the shortlist
	@$(BIN)/matloop screen $(CAMPAIGN)

test: $(VENV)/.dev  ## run every test (PYTEST_ARGS="tests/data -k formula" for some of them)
	@$(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## ruff and codespell; changes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell

# mypy cannot follow the import hook of an editable install, so it is shown a matloop/ made of links to the folders.
typecheck: $(VENV)/.dev  ## mypy on the five packages
	@mkdir -p build/typecheck/matloop
	@for folder in $(FOLDERS); do ln -sfn ../../../$$folder build/typecheck/matloop/$$folder; done
	@for file in __init__.py __main__.py; do ln -sfn ../../../workflows/package/$$file build/typecheck/matloop/$$file; done
	@$(BIN)/mypy

format: $(VENV)/.dev  ## let ruff mend what it can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev  ## write docs/campaign.md again from the code
	@$(BIN)/python docs/build_campaign.py

clean:  ## remove caches and build products; .venv and runs/ stay
	rm -rf build dist matloop.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(FOLDERS) tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## clean, and remove .venv too
	rm -rf "$(VENV)"

# Stamp files: nothing is installed again until pyproject.toml or constraints.txt changes.
$(VENV)/.created:
	@command -v "$(PYTHON)" >/dev/null || { echo "'$(PYTHON)' was not found. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "matloop needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1). Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version 2>&1) ..."
	@"$(PYTHON)" -m venv "$(VENV)"
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing matloop and the libraries it uses into $(VENV); the first time takes a few minutes ..."
	@$(PIP_INSTALL) --editable '.$(patsubst %,[%],$(EXTRAS))'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing matloop, the libraries it uses and the development tools into $(VENV); the first time takes a few minutes ..."
	@$(PIP_INSTALL) --editable '.[dev$(addprefix $(comma),$(EXTRAS))]'
	@touch $(VENV)/.installed $@
