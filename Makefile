# Renewcast. `make` alone lists what there is.
PYTHON ?= python3
BIN := .venv/bin
export RENEWCAST_HOME ?= .renewcast
export PYTHONUTF8 := 1
DEMO_PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-stop test proof bench lint audit serve lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## make .venv from the pinned, hashed requirements

.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version 2>&1). Cure: make setup PYTHON=python3.12"; exit 2; }
	@echo "setting up .venv from requirements.txt; this takes a few minutes the first time"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## simulate, train, score, serve an explained prediction, and say what to open
	@$(BIN)/renewcast demo --port $(DEMO_PORT)

demo-stop: setup ## stop the service that `make demo` left running
	@$(BIN)/renewcast demo --stop

test: setup ## run the tests
	$(BIN)/python -m pytest

proof: setup ## run the slower proofs and the notebooks
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m pytest notebooks

bench: setup ## measure quality and speed beside the peers (bench/RESULTS.md keeps what was found)
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lint: setup ## style, types and layering
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: setup ## look the pinned requirements up among known vulnerabilities
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.txt

serve: setup ## serve the champion on http://127.0.0.1:8000
	$(BIN)/renewcast serve

lock: setup ## pin and hash the requirements anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group pyproject.toml:dev pyproject.toml --output-file requirements.txt

clean: ## remove .venv and everything that Renewcast wrote here
	rm -rf .venv $(RENEWCAST_HOME)
