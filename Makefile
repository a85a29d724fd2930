# Everything runs from a virtual environment in .venv, made on first use from hashed requirements.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv --quiet

# Some machines tell Python to keep no compiled files; then each of the many processes started here would compile all it imports.
export PYTHONDONTWRITEBYTECODE :=

# Learning uses one thread, as the command does: threads of the matrix library wait for each other where cores are busy.
# pytest-randomly loads numpy before conftest.py could say so.
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check chaos soak bench bench-core bench-peers bench-scale bench-backlog bench-latency bench-gateway audit format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/.ready: pyproject.toml deploy/requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12), (3, 13)})' \
		|| { echo "Rapport needs Python 3.11, 3.12 or 3.13, found $$($(PYTHON) -V). Fix: make PYTHON=python3.11 ..."; exit 1; }
	@echo "Setting up .venv (about a minute the first time) ..."
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv failed. Fix: install the venv module (Debian: apt-get install python3-venv)."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	@$(UV) pip sync --python $(BIN)/python --require-hashes deploy/requirements-dev.lock
	@$(UV) pip install --python $(BIN)/python --no-deps --editable .
	@touch $@

setup: .venv/.ready ## Install everything into .venv

demo: setup ## A year of a small firm on real Kafka and Valkey, start to end
	@$(BIN)/rapport demo

test: setup ## All tests, on real servers
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: setup ## Lint, types, architecture, generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/rapport contracts check

chaos: setup ## Faults on real processes and servers, with seeds; the table goes to docs/chaos.md
	@$(BIN)/python -m pytest tests/chaos --override-ini 'python_files=chaos_*.py' --timeout 900 -s $(CHAOS); \
		status=$$?; $(BIN)/python -m tests.chaos.table; exit $$status

soak: setup ## Half an hour of random faults: SOAK=--minutes=5 for less
	@$(BIN)/python -m tests.chaos.soak $(SOAK)

bench: setup ## Measured ratios, side by side in one run
	@$(BIN)/python -m pytest tests/bench --override-ini 'python_files=bench_*.py' -s

QUIX := .venv/bench/bin/python
bench-peers: setup ## The engine beside Faust and Quix Streams: extra `bench`, in an environment of its own
	@test -x $(QUIX) || { $(UV) venv --python $(BIN)/python .venv/bench && $(UV) pip install --python $(QUIX) --editable ".[bench]"; }
	@BENCH_QUIX_PYTHON=$(QUIX) $(BIN)/python -m pytest tests/bench/bench_peers.py --override-ini 'python_files=bench_*.py' -s

BENCH = $(BIN)/python -m pytest --override-ini 'python_files=bench_*.py' -s
bench-core: setup ## The pure core: microseconds per event, bytes per state
	@$(BENCH) tests/bench/bench_transition.py

bench-scale: setup ## An event of a small and of large firms, and a killed worker catching up; BENCH_LARGE=1 for a million clients
	@$(BENCH) tests/bench/bench_scale.py

bench-backlog: setup ## A million events behind: fails unless a worker's memory stays flat (counting and shipped program); BENCH_BACKLOG=200000 for less
	@BENCH_BACKLOG=$${BENCH_BACKLOG:-1000000} $(BENCH) tests/bench/bench_backlog.py

bench-latency: setup ## From a webhook accepted to its trigger on the topic, station by station
	@$(BENCH) tests/bench/bench_latency.py

bench-gateway: setup ## The gateway beside a server that only says yes
	@$(BENCH) tests/bench/bench_gateway.py

audit: setup ## Known flaws of the packages that we ship, and a bill of materials (CycloneDX) in dist/
	@mkdir -p dist && rm -f dist/audit.json dist/sbom.cdx.json
	@$(UV) tool run --from "cyclonedx-bom>=7,<8" cyclonedx-py requirements deploy/requirements.lock --pyproject pyproject.toml \
		--output-format JSON --output-file dist/sbom.cdx.json 2>/dev/null && echo "Bill of materials: dist/sbom.cdx.json" \
		|| echo "NO BILL OF MATERIALS: cyclonedx-bom could not run. Run it where a package index answers."
	@$(UV) tool run --from "pip-audit>=2.9,<3" pip-audit --requirement deploy/requirements.lock --require-hashes --disable-pip \
		--progress-spinner off --format json --output dist/audit.json >/dev/null 2>dist/audit.err || tail -1 dist/audit.err
	@$(BIN)/python -m tests.audit dist/audit.json

format: setup ## Format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: setup ## Resolve the requirements anew, with hashes
	@$(UV) pip compile --python $(BIN)/python --universal --generate-hashes --no-emit-index-url --no-header -o deploy/requirements.lock pyproject.toml
	@$(UV) pip compile --python $(BIN)/python --universal --generate-hashes --no-emit-index-url --no-header --group build -o deploy/requirements-build.lock
	@$(UV) pip compile --python $(BIN)/python --universal --generate-hashes --no-emit-index-url --no-header --extra local --extra evaluate --group dev -o deploy/requirements-dev.lock pyproject.toml

clean: ## Remove the virtual environment and caches of this checkout
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
