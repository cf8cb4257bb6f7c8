# Getaway: `make` alone lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo serve check check-actors check-server test test-outside test-inside test-worlds simulate chaos \
        figures bench siege lint format lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/development ## make .venv with everything that the code and its tests need, from the lock

demo: $(VENV)/runtime ## the server, its database and a demo casino; prints the address to open
	@$(BIN)/getaway demo

serve: $(VENV)/runtime ## the server alone, on the embedded database
	@$(BIN)/getaway serve

# What needs neither a database nor another process: quick enough for every save that is meant seriously.
check: $(VENV)/development ## style, types, the code's own shape and the quick tests, in a minute
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint check-actors check-server

check-actors: $(VENV)/development
	@$(BIN)/python -m pytest -q tests/actors

QUICK := config http metrics secrets wallet web
check-server: $(VENV)/development
	@$(BIN)/python -m pytest -q tests/tidy $(QUICK:%=tests/server/%)

# Three parts at a time: two wait for clocks and for other processes more than they work, and what they measure must not
# suffer from the worlds, which only compute and take what the others leave.
OUTSIDE := tests/browser tests/whole/trouble tests/server/workers tests/server/sandbox tests/siege
WORLDS := tests/worlds
test: $(if $(T),,lint) $(VENV)/development ## every check and every test; T=tests/actors/play: a folder, a file or one test alone
ifdef T
	@$(BIN)/python -m pytest $(T)
else
	@$(MAKE) --no-print-directory --jobs=3 test-outside test-inside test-worlds
endif

test-outside: $(VENV)/development # as players meet the server, also in trouble and under attack
	@$(BIN)/python -m pytest $(OUTSIDE)

test-worlds: $(VENV)/development # all clocks and wires are simulated
	@nice -n 19 $(BIN)/python -m pytest $(WORLDS)

test-inside: $(VENV)/development # all the rest
	@$(BIN)/python -m pytest $(OUTSIDE:%=--ignore=%) $(WORLDS:%=--ignore=%)

SEEDS ?= 1000
FIRST ?= 0
simulate: $(VENV)/development ## worlds with faults: SEEDS of them (1000) from FIRST (0)
	$(BIN)/python -m tests.worlds --seeds $(SEEDS) --first $(FIRST)

figures: $(VENV)/development ## measure recovery, bulkhead and backlog (a few minutes)
	$(BIN)/python -m tests.bench.figures

bench: $(VENV)/development ## measure speed beside the yardsticks, write docs/performance.md; half an hour (BENCH: options, rows)
	$(BIN)/python -m tests.bench $(BENCH)

chaos: $(VENV)/development ## kill servers and databases at every named point, then compare all books; half an hour
	$(BIN)/python -m tests.chaos $(CHAOS)

siege: $(VENV)/development ## attack a real server as outsiders did, write the table of docs/security.md; a quarter of an hour (SIEGE: options)
	$(BIN)/python -m tests.siege --write $(SIEGE)

lint: $(VENV)/development ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/development ## put the code into its style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/development ## renew the lock files from pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra build --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra build --extra dev --output-file requirements-dev.txt pyproject.toml

LOCK := --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header

clean: ## remove what was built; databases in var/ stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "make: Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "make: this Python makes no virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }

# Everything comes from the lock, checked by hash; the project itself is built with what the lock brought.
$(VENV)/runtime: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "setting up $(VENV)"
	@$(PIP) install --require-hashes --requirement requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/development: requirements-dev.txt $(VENV)/runtime
	@echo "adding what tests need to $(VENV)"
	@$(PIP) install --require-hashes --requirement requirements-dev.txt
	@touch $@
