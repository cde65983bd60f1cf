# Telltale. `make run` starts the whole product, `make test` checks it; neither needs a step before it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run demo stop test chaos lint types contracts lock clean

VENV := .venv
BIN := $(VENV)/bin
# The newest Python that is there; 3.11 or later.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALL := $(PIP) install --require-hashes --only-binary :all:

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: $(VENV)/.run-installed ## start PostgreSQL, web and worker in the foreground; prints the URL and the first login
	@exec $(BIN)/telltale run

demo: $(VENV)/.run-installed ## the same, and fill a demo project with made-up traffic in the background
	@exec $(BIN)/telltale run --demo

stop: $(VENV)/.run-installed ## stop a run of this folder
	@exec $(BIN)/telltale stop

test: $(VENV)/.dev-installed ## lint, types, import contracts and every test (one of them checks the migrations)
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@tools/install-test-tools
	@$(BIN)/python -m pytest -q -n auto --maxprocesses=4 --dist=loadfile

chaos: $(VENV)/.dev-installed ## break everything on purpose and check the books: 33 scenarios, two hours (QUICK=1: 50 min, ONLY="kills disk-full")
	@$(BIN)/python -m benchmarks.chaos $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

lint: $(VENV)/.dev-installed ## ruff
	@$(BIN)/ruff check .

types: $(VENV)/.dev-installed ## mypy
	@$(BIN)/mypy

contracts: $(VENV)/.dev-installed ## which room may import which
	@$(BIN)/lint-imports

lock: ## write requirements/*.txt anew from the pyproject.toml files and requirements/*.in (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -q pyproject.toml sdk/python/pyproject.toml -o requirements/run.txt
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -q requirements/dev.in -o requirements/dev.txt
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -q requirements/build.in -o requirements/build.txt

clean: ## remove what was installed (not the data below .telltale)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Telltale needs Python 3.11 or later with the venv module; none was found." >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: requirements/run.txt requirements/build.txt pyproject.toml sdk/python/pyproject.toml | $(VENV)/bin/python
	@echo "Installing Telltale into $(VENV) ..."
	@$(INSTALL) -r requirements/build.txt
	@$(INSTALL) -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable . --editable sdk/python
	@touch $@

$(VENV)/.dev-installed: requirements/dev.txt $(VENV)/.run-installed
	@echo "Installing what the tests need ..."
	@$(INSTALL) -r requirements/dev.txt
	@touch $@
