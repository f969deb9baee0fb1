# Everything runs from a fresh clone: each target makes .venv first when it is missing or out of date.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
MEMBERS := runtime inspector templates codegen cli
STAMP  := $(VENV)/.installed
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo demo-workers test check bench pins clean format

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Hashes and editable installs exclude each other: third-party pins first, then the members without dependencies.
$(STAMP): requirements.txt pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	@command -v $(PYTHON) >/dev/null || { echo "wfgen needs Python 3.11 or later: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(MEMBERS:%=-e ./%) -e .
	@touch $@

demo: $(STAMP) ## Kill a workflow in the middle and watch it finish
	$(BIN)/python examples/orders/demo.py

demo-workers: $(STAMP) ## Kill one of three kinds of workers on PostgreSQL and watch its work being taken over
	$(BIN)/python examples/studio/demo.py

test: $(STAMP) ## Run all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: $(STAMP) ## Lint, format check and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/python -m pytest -q tests/test_imports.py

format: $(STAMP) ## Format and sort imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(STAMP) ## Measure against peers and limits; peers get an environment of their own
	$(BIN)/python benchmarks/run.py

pins: $(STAMP) ## Resolve requirements.in again
	$(BIN)/python -m pip install --quiet uv
	(echo "# Resolved from requirements.in by \`make pins\`; installed with --require-hashes."; \
	 $(BIN)/uv pip compile requirements.in --universal --python-version 3.11 --generate-hashes \
	   --no-header --no-emit-index-url --no-annotate -q) > requirements.txt.new
	mv requirements.txt.new requirements.txt

clean: ## Remove the environments and every cache
	rm -rf .venv* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build benchmarks/.peers
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
