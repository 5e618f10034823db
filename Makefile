# `make run` and `make test` are all that a fresh machine needs; each makes .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HOSTS := tests/hosts tests/cluster

.PHONY: run test test-hosts lint setup bench clean

run: $(STAMP)  ## Within a minute: three platforms solve ARC tasks, one is killed on the way
	@$(BIN)/distevo-ctl demo

test: lint  ## All checks and tests, but for those on hosts of their own
	$(BIN)/python -m pytest $(addprefix --ignore=,$(HOSTS)) $(PYTEST_ARGS)

test-hosts: $(STAMP)  ## Clusters on hosts of their own, cut off and killed; takes root, iproute2 and iptables
	$(BIN)/python -m pytest $(HOSTS) $(PYTEST_ARGS)

lint: $(STAMP)  ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

setup: $(STAMP)  ## .venv with everything

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "distevo needs Python 3.11 or newer; try: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[grids,test]'
	@touch $@

bench: $(STAMP)  ## Every benchmark, quickly, as JSON in build/bench/; some exit with 1 when a target is missed
	@mkdir -p build/bench
	@for file in tests/performance/*.py; do \
		echo "$$file"; \
		$(BIN)/python $$file --quick > build/bench/$$(basename $$file .py).json; \
	done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
