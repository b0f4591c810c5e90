# Renewcast. `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin
export RENEWCAST_HOME ?= .renewcast
export PYTHONUTF8 := 1
DEMO_PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-stop test proof bench lint audit docs docs-reference notebooks serve lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Requirements at run time, those of tests and development, and those of the notebooks.
# They are complete, so that nothing is resolved. Modules are compiled when they are first imported.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
TOOLS := .venv/.ready-test
NOTEBOOKS := .venv/.ready-notebook

setup: .venv/.ready ## make .venv from the pinned, hashed requirements

.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version 2>&1). Cure: make setup PYTHON=python3.12"; exit 2; }
	@echo "setting up .venv from requirements.txt; this takes a few minutes the first time"
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(TOOLS): .venv/.ready requirements-test.txt
	@echo "adding requirements-test.txt, including Spark; this takes a few minutes the first time"
	@$(INSTALL) --require-hashes -r requirements-test.txt
	@touch $@

$(NOTEBOOKS): .venv/.ready requirements-notebook.txt
	@echo "adding requirements-notebook.txt, with JupyterLab; this takes a minute the first time"
	@$(INSTALL) --require-hashes -r requirements-notebook.txt
	@touch $@

demo: setup ## simulate, train, score, serve an explained prediction, and say what to open
	@$(BIN)/renewcast demo --port $(DEMO_PORT)

demo-stop: setup ## stop the service that `make demo` left running
	@$(BIN)/renewcast demo --stop

# Two workers on any machine, because each sets up its own expensive fixtures.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadscope

test: $(TOOLS) ## run the tests
	$(PYTEST)

# With PROOF_UNTIL (seconds since 1970) none begins after this time.
proof: $(TOOLS) ## run the slower proofs and the notebooks
	$(PYTEST) -m slow
	@if [ $$(date +%s) -lt $${PROOF_UNTIL:-9999999999} ]; then $(PYTEST) notebooks; \
		else echo "there was no time left for the notebooks: make proof"; fi

bench: $(TOOLS) ## compare with other libraries: SCRIPT=latency runs bench/latency.py; all of them take hours
	@for script in $(if $(SCRIPT),bench/$(SCRIPT).py,bench/*.py); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lint: $(TOOLS) ## style, types and layering
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(TOOLS) ## check the pinned requirements for known vulnerabilities
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.txt -r requirements-test.txt -r requirements-notebook.txt

docs: $(TOOLS) ## build the documentation site into site/, with warnings as errors
	$(BIN)/python -m docs.generator --project
	$(BIN)/zensical build --strict --clean
	@rm -rf site/generator

docs-reference: $(TOOLS) ## generate docs/reference/generated from the code
	$(BIN)/python -m docs.generator

notebooks: $(NOTEBOOKS) ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

serve: setup ## serve the champion on http://127.0.0.1:8000
	$(BIN)/renewcast serve

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: $(TOOLS) ## update the pinned, hashed requirements
	$(LOCK) --group pyproject.toml:build pyproject.toml --output-file requirements.txt
	$(LOCK) --group pyproject.toml:dev --constraint requirements.txt --output-file requirements-test.txt
	$(LOCK) --group pyproject.toml:notebook --constraint requirements.txt --constraint requirements-test.txt \
		--output-file requirements-notebook.txt
	$(LOCK) --group pyproject.toml:build --group pyproject.toml:serving --constraint requirements.txt \
		--constraint requirements-test.txt --output-file requirements-serving.txt
	$(LOCK) tests/serving/requirements-client.in --output-file tests/serving/requirements-client.txt

clean: ## remove .venv and everything that Renewcast wrote here
	rm -rf .venv site docs/project $(RENEWCAST_HOME)
