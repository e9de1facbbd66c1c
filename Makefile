# Every target sets up what it needs; a fresh machine has to bring Python 3.11+ and make only.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help run test lint check fmt bench lock clean
help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

$(VENV)/.run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# What looks for barriers in the pages; its tests are skipped, and say so, where there is no npm.
$(VENV)/.axe: $(VENV)/.dev tests/e2e/axe/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/e2e/axe --ignore-scripts --no-audit --no-fund --silent; fi
	@touch $@

run: $(VENV)/.run  ## the whole story on this machine: two simulators, the app, the demo; keeps serving
	$(BIN)/vipps-recurring demo $(ARGS)

test: $(VENV)/.dev $(VENV)/.axe  ## the test suite, on SQLite and PostgreSQL
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint test  ## everything that has to hold before a commit

fmt: $(VENV)/.dev  ## format and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## speed and memory, as ratios measured in one run
	$(BIN)/python -m bench

lock: $(VENV)/.dev  ## pin the dependencies again, with hashes and without download addresses
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra build pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra build --extra dev pyproject.toml -o requirements-dev.txt

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) tests/e2e/axe/node_modules screenshots .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
