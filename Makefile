# Every target that needs .venv makes it first; `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
PYTHON ?=
export PYTHON

.PHONY: help demo test check check-long cluster-test test-floors bench bench-long setup constraints clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## set up, then train, compare and bless a model, and show where it comes from
	@scripts/demo.sh

test: setup ## set up, then check: what CI runs
	@$(MAKE) --no-print-directory check

setup: ## make .venv with everything (test and demo do it by themselves)
	@MAKE_GOAL=test scripts/setup.sh test

check: ## lint, types, layers and tests, without set-up
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile --max-worker-restart=0 --durations=10 -m "not long and not cluster"
	@echo "left out: what takes minutes (make check-long), and what needs a real cluster (make cluster-test)"

check-long: setup ## the tests that take minutes
	$(BIN)/pytest -m long -o faulthandler_timeout=3600

cluster-test: setup ## run pipelines on a real Kubernetes with Argo Workflows
	@test -n "$$JEYN_TEST_EQUIPMENT" || { echo "cluster-test: JEYN_TEST_EQUIPMENT names no folder;" \
	  "it has the programs up and down, which start and end a Kubernetes with Argo Workflows" >&2; exit 1; }
	$(BIN)/pytest -m cluster -o faulthandler_timeout=1200 tests/cluster

test-floors: setup ## tests with the oldest version of each dependency that pyproject.toml allows
	scripts/floors.sh

bench: setup ## print each measured figure as a ratio to its limit and to peers
	@$(BIN)/python benchmarks/run.py

bench-long: setup ## the figures that take many minutes
	@$(BIN)/python benchmarks/run.py --long

constraints: setup ## renew the pinned versions in constraints.txt
	@scripts/constraints.sh

clean: ## remove caches, builds and .venv
	rm -rf .venv .venv-floors .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
