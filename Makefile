# Everything that people and CI run. Each target builds .venv by itself when it is missing or
# when pyproject.toml or constraints.txt have changed since it was built.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ORACLE := .venv-oracle
LOWEST := .venv-lowest
# Test files that run at a time; each takes one core.
JOBS ?= 2
PYTHON ?= $(shell python3.11 --version >/dev/null 2>&1 && echo python3.11 || echo python3)

.DEFAULT_GOAL := help
.PHONY: help report test test-slow test-lowest soak lint train bench notebook oracle compat clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

report: $(INSTALLED)  ## write the pages under reports/ (CORPUS=path for other stories)
	@$(BIN)/lt-interp report $(if $(CORPUS),--corpus "$(CORPUS)")

# The first line fetches TransformerLens's tests; the part of ours that needs them is skipped,
# with that reason, where the package index cannot be reached.
test: $(INSTALLED)  ## run the tests
	@$(BIN)/python -m tests.compat.sdist || true
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-lowest: $(LOWEST)/.installed  ## run the tests with the lowest versions of all dependencies
	@OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n $(JOBS) --dist loadfile

soak: $(INSTALLED)  ## kill, fill up and make up on a large scale; writes docs/reliability.md
	@$(BIN)/python -m tests.reliability

lint: $(INSTALLED)  ## check style, formatting, types and the order of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

train: $(INSTALLED)  ## train every stage (CORPUS=path, a hub id, or the embedded stories)
	@$(BIN)/lt-interp train --all --corpus "$(or $(CORPUS),embedded)"

test-slow: $(INSTALLED)  ## run the calibrations that take minutes: false positives, coverage of intervals
	@$(BIN)/python -m pytest -m slow

bench: $(INSTALLED)  ## measure how fast everything is, each against what one would use instead
	@$(BIN)/python -m benchmarks

notebook: $(INSTALLED)  ## run notebooks/ again and save what they show
	@$(BIN)/python notebooks/execute.py

oracle: $(INSTALLED) $(ORACLE)/.installed  ## compare with HookedTransformer itself (CORPUS=path writes docs/oracle.md)
	@$(BIN)/python -m tests.oracle --theirs $(ORACLE)/bin/python $(if $(CORPUS),--corpus "$(CORPUS)" --out docs/oracle.md)

compat: $(INSTALLED)  ## run TransformerLens's own tests on the stages (docs/compatibility.md)
	@$(BIN)/python -m tests.compat

clean:  ## remove .venv, builds and caches (never runs/, trained/ or reports/)
	@rm -rf $(VENV) $(ORACLE) $(LOWEST) build dist .compat .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lt_interp needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "building $(VENV) with $$($(PYTHON) --version) (a few minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# The lower end of every range in pyproject.toml; torch brings gigabytes with it there.
$(LOWEST)/.installed: pyproject.toml tests/lowest.py
	@echo "building $(LOWEST) (a few minutes, once)"
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@$(PYTHON) tests/lowest.py > $(LOWEST)/constraints.txt
	@$(LOWEST)/bin/python -m pip install -qq --disable-pip-version-check \
	  -c $(LOWEST)/constraints.txt -e '.[dev]'
	@touch $@

# Its own environment, since the last release with HookedTransformer is not the one we build on.
$(ORACLE)/.installed: constraints-oracle.txt
	@echo "building $(ORACLE) (a few minutes, once)"
	@test -x $(ORACLE)/bin/python || $(PYTHON) -m venv $(ORACLE)
	@$(ORACLE)/bin/python -m pip install -qq --disable-pip-version-check -c constraints-oracle.txt \
	  transformer-lens==3.9.0 safetensors
	@touch $@
