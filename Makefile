# `make run` and `make test` are all that a fresh machine needs; each makes .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := build/peers-venv
# What needs no process, port or clock gives way to the rest.
PURE := tests/protocol tests/node tests/simulator tests/problems tests/test_state_rows.py
INTEGRATION := tests/integration
TEST_LOGS := build/tests
SHOWN_WHEN_IT_ENDS = >$(TEST_LOGS)/$@.log 2>&1; code=$$?; cat $(TEST_LOGS)/$@.log; exit $$code

.PHONY: run test test-others test-integration test-pure test-long lint setup compiled bench peers clean

run: compiled  ## Within a minute: three platforms solve ARC tasks, one is killed on the way
	@$(BIN)/distevo-ctl demo

test: compiled lint  ## All checks and tests, but for the long ones
ifdef PYTEST_ARGS
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
	@# At once, since most of them wait for processes and clocks. All but the first show themselves when they end.
	@mkdir -p $(TEST_LOGS)
	@$(MAKE) --no-print-directory --keep-going --jobs test-others test-integration test-pure
endif

test-others: compiled
	$(BIN)/python -m pytest -m 'not long' $(addprefix --ignore=,$(INTEGRATION) $(PURE))

test-integration: compiled
	@$(BIN)/python -m pytest -m 'not long' $(INTEGRATION) $(SHOWN_WHEN_IT_ENDS)

test-pure: compiled
	@nice -n 19 $(BIN)/python -m pytest $(PURE) $(SHOWN_WHEN_IT_ENDS)

test-long: compiled  ## Clusters of daemons that are killed and cut off, on hosts of their own where root allows it; bad lines to a bucket
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

lint: $(STAMP)  ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

setup: compiled  ## .venv with everything

# Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each process would compile all that it imports anew.
compiled: $(STAMP)
	@$(BIN)/python -m compileall -q protocol daemon cli

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "distevo needs Python 3.11 or newer; try: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[grids,test]'
	@touch $@

bench: compiled  ## Every benchmark, quickly, as JSON in build/bench/; some exit with 1 when a target is missed
	@mkdir -p build/bench
	@for file in tests/performance/*.py; do \
		echo "$$file"; \
		$(BIN)/python $$file --quick > build/bench/$$(basename $$file .py).json; \
	done

peers: compiled $(PEERS)/.installed  ## distevo beside DEAP, pygmo, Ray and Dask: JSON and tables in build/bench/
	@mkdir -p build/bench
	$(BIN)/python -m tests.performance.peers --markdown build/bench/peers.md $(PEERS_ARGS) > build/bench/peers.json
	@cat build/bench/peers.md

$(PEERS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	@# The first pip that knows dependency groups.
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --group peers
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
