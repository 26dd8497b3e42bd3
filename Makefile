# `make demo` is the first thing to run, `make test` the second. Both set up what they need; a second time costs nothing.

PYTHON ?= python3
DEMO_ARGS ?=
TEST_ARGS ?=
TEST_WORKERS ?= 3
BENCH_ARGS ?=
DURATION ?= 10m
WHAT ?= torture

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
BENCH_STAMP := $(VENV)/.set-up-bench
# For every Python and machine that is supported, hashes of all files of a release, no addresses.
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help setup demo test torture servers lint bench calibration lock compose clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  DEMO_ARGS, TEST_ARGS and BENCH_ARGS are passed on, as in: make test TEST_ARGS='-k swap -x'"
	@echo "  make torture WHAT=model DURATION=8h plays interleavings of the model, WHAT=types migrates random tables"
	@echo "  TEST_WORKERS=N runs the tests in N processes, each with servers of its own (default: $(TEST_WORKERS))"

setup: $(STAMP) ## make .venv with everything locked, and .venv/bin/osc

$(STAMP): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "osc needs Python 3.11 or later; name one with: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-venv; \
		else \
			echo "Python's venv module is not installed; on Debian: sudo apt-get install python3-venv" >&2; exit 1; \
		fi; }
	@[ -x $(BIN)/python ] && $(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# Also where Python is told not to write bytecode itself, the command starts as fast as an installed one.
	@$(BIN)/python -m compileall -q osc tests bench
	@touch $@

demo: setup ## a live table altered under writers, on a throwaway server
	$(BIN)/osc demo $(DEMO_ARGS)

servers: setup ## fetch the servers that the tests run on
	$(BIN)/osc sandbox fetch --all

test: servers ## all tests, on all servers (or on one that is there already: OSC_TEST_DSN=mysql://...)
	$(BIN)/pytest --numprocesses $(TEST_WORKERS) $(TEST_ARGS)

torture: servers ## random faults for hours: DURATION=8h SERVERS=mysql-9.7,mariadb-11.8 SEED=1
	$(BIN)/python -m tests.$(WHAT) --duration $(DURATION) $(if $(SERVERS),--servers $(SERVERS)) $(if $(SEED),--seed $(SEED))

lint: setup ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(BENCH_STAMP) ## the comparisons; needs time and a quiet machine
	$(BIN)/python -m bench $(BENCH_ARGS)

calibration: setup ## plans against what their migrations then took; needs a quiet machine
	$(BIN)/python -m bench.calibration $(BENCH_ARGS)

$(BENCH_STAMP): $(STAMP) requirements-bench.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-bench.lock
	@touch $@

lock: ## write the lock files anew; needs uv
	uv pip compile $(LOCK) --output-file requirements.lock pyproject.toml
	uv pip compile $(LOCK) --extra dev --constraints requirements.lock --output-file requirements-dev.lock pyproject.toml
	uv pip compile $(LOCK) --extra bench --constraints requirements-dev.lock --output-file requirements-bench.lock pyproject.toml

compose: ## check docker/compose.yaml
	docker-compose -f docker/compose.yaml config -q

clean: ## remove .venv and caches; fetched servers stay in ~/.cache/osc
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
