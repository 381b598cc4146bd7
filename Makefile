# `make help` lists the verbs. Everything installs itself into .venv on first use.
PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-sdks check format dev bench lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(READY) ## two months of made-up traffic through the whole lineage, the brief, then the UI (ARGS=--no-serve: no UI)
	$(BIN)/insights demo $(ARGS)

# An SDK that cannot be installed (no network) leaves its tests skipped in `test`, and failing in `test-sdks`.
test: $(READY) check ## everything CI runs: checks and tests
	-$(BIN)/python tests/sdks/environments.py openinference
	$(BIN)/pytest -n 2 $(ARGS)

test-sdks: $(READY) ## all real SDKs, each in an environment of its own, against a running receiver (ARGS='-k langfuse')
	-$(BIN)/python tests/sdks/environments.py
	SDKS=required $(BIN)/pytest tests/sdks $(ARGS)

check: $(READY) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY) ## format the code and mend what lint can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dev: $(READY) ## the Dagster UI on the tables in data/
	$(BIN)/dagster dev

bench: $(READY) ## figures: speed and memory of each stage beside pandas and polars (ARGS=…)
	$(BIN)/python benchmarks/stages.py $(ARGS)

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header -o requirements.lock

clean: ## remove the environment and caches; data/ stays
	rm -rf $(VENV) .venv-sdks .venv-peers .venv-drift-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.13 with venv is needed, and none is on the PATH (Debian: apt-get install \
python3-venv); or name one: make PYTHON=… demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)
