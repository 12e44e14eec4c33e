# Watchtime: one command per task. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
#: More words for pytest, as in: make unit ARGS='-k ports'
ARGS ?=

.PHONY: help install demo test check format unit integration faults extension check-extension e2e athena-test brokers-test kafka39-test bench bench-streams bench-batch bench-gateway bench-restore soak compose-test lock clean

help: ## list these tasks
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

install: .venv/.installed ## create .venv with everything in it (at once when nothing changed)

# The stamp is written last: an interrupted install is done again.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Watchtime needs Python 3.11 or newer, this is " + sys.version)'
	@test -x $(BIN)/python || { echo "creating .venv"; $(PYTHON) -m venv .venv; }
	@echo "installing Python packages into .venv (0.8 GB, one to three minutes)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[all]' --group dev
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm > /dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2> /dev/null || \
	  { echo "the tests of the browser extension need npm and Node 20 or newer (https://nodejs.org); this machine has" \
	  "$$(node --version 2> /dev/null || echo none), and $$(command -v npm || echo no npm)" >&2; exit 1; }
	@echo "installing JavaScript packages into node_modules"
	@npm ci --no-audit --no-fund --silent
	@touch $@

demo: install ## see it work: viewers, live totals, daily files, a query, a reconciliation
	@$(BIN)/watchtime doctor --fix --fetch
	@$(BIN)/watchtime demo

test: install node_modules/.package-lock.json ## install what tests need and run them: unit, integration, short fault tests
	@$(BIN)/watchtime doctor --fix --fetch
	npm test --silent
	@# What takes longest comes first, so that no process is left alone with it at the end. Much of it waits.
	$(BIN)/pytest tests/faults tests/integration tests/e2e tests/unit -m 'not slow' --numprocesses 3 --dist loadfile \
	  --no-loadscope-reorder --durations=20 $(ARGS)

check: install check-extension ## what a change must pass before tests: ruff, format, mypy, the extension's checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: install ## tests without servers
	$(BIN)/pytest tests/unit $(ARGS)

integration: install ## tests with a real broker and S3 server, the long ones too
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/pytest tests/integration $(ARGS)

faults: install ## kills, cuts and repeats against an independent oracle, the long ones too
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/pytest tests/faults tests/integration/test_runbook.py tests/integration/test_scaling.py -s $(ARGS)

brokers-test: install ## three brokers, killed under load one after the other and two at once: nothing lost or double
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/pytest tests/brokers -s $(ARGS)

#: Kafka 4 removed what was old; this is the newest that still had it.
KAFKA39 := 3.9.2

kafka39-test: install ## the integration tests, the long ones too, on Kafka 3.9
	@WATCHTIME_KAFKA_VERSION=$(KAFKA39) $(BIN)/watchtime doctor --fix --fetch
	WATCHTIME_KAFKA_VERSION=$(KAFKA39) $(BIN)/pytest tests/integration $(ARGS)

soak: install ## twenty minutes at a steady rate: memory and latency stay flat, drift=0
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/python -m tests.bench.soak $(ARGS)

bench-restore: install ## keys of state a second that a stream worker restores
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/python -m tests.bench.restore $(ARGS)

extension: node_modules/.package-lock.json ## pack the browser extension for a store: build/watchtime-extension.zip
	npm run --silent pack

check-extension: node_modules/.package-lock.json ## types, lint and tests of the browser extension
	npm run --silent check

e2e: install ## a real browser with the extension, up to the rows in the lake
	@$(BIN)/watchtime doctor --fix --fetch
	WATCHTIME_E2E_LAKE=1 $(BIN)/pytest tests/e2e $(ARGS)

athena-test: install ## Athena's tables, views and queries on Trino, the engine behind it (downloads 820 MB once)
	@$(BIN)/watchtime doctor --fix --fetch
	@$(BIN)/python -m tests.athena.engine
	$(BIN)/pytest tests/athena $(ARGS)

bench: install ## all figures beside other programs that do the same work, 35 minutes; ARGS='--runs 1 --only streams'
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/python -m tests.bench $(ARGS)

bench-streams: install ## the part of bench about stream workers
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/python -m tests.bench --only streams $(ARGS)

bench-batch: install ## the parts of bench about rebuild and reconcile, and about writing files
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/python -m tests.bench --only batch sinks $(ARGS)

bench-gateway: install ## POSTs and events a second of one gateway
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/python -m tests.bench.gateway $(ARGS)

compose-test: install ## the stack in containers: kills, three workers, Trino; then integration with servers from containers
	@$(BIN)/watchtime doctor --fix --fetch
	$(BIN)/python -m tests.compose.run $(ARGS)

lock: install ## write the versions of this .venv into constraints.txt
	@{ head -1 constraints.txt; $(BIN)/pip freeze --exclude-editable; } > constraints.partial
	@mv constraints.partial constraints.txt

clean: ## remove what was built here (data folders and ~/.cache/watchtime stay)
	rm -rf .venv node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
