# Two commands do everything on a machine with Python 3.11+, git and make:
#   make demo    set-up and the main job on the embedded default
#   make test    set-up and the tests
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
JOBS   ?= 2
# Runs that are killed by `make soak`.
KILLS  ?= 200
# What stands in for warehouses of others, each in an environment of its own.
EMULATORS := fakesnow bqemulator databricks googlesql
# Programs of others that `mayfly bench --rivals` measures beside Mayfly, each in its own environment.
RIVALS := ingestr drt dlt
# Which of the slow tests `make soak` plays.
SLOW   ?= slow

.PHONY: demo test check bench bench-reading soak engines emulators rivals lock approved clean

$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@ $(VENV)/run.stamp

demo: $(VENV)/run.stamp
	$(BIN)/mayfly demo demo-project

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit/docs

bench: $(VENV)/dev.stamp
	$(BIN)/mayfly bench

# Of what `make engines` has installed, too.
bench-reading: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python tests/bench_reading.py

soak: $(VENV)/dev.stamp
	MAYFLY_KILLS=$(KILLS) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "$(SLOW)"

# Databases that rules and sources are held against and that weigh more than all else: not for every
# machine. What the emulators need contradicts itself.
engines: $(VENV)/dev.stamp emulators
	$(PIP) --require-hashes --no-deps -r requirements/engines.txt

emulators: $(EMULATORS:%=$(VENV)/emulators/%.stamp)

# Nothing but `mayfly bench --rivals` and its test needs them.
rivals: $(VENV)/dev.stamp $(RIVALS:%=$(VENV)/rivals/%.stamp)

$(VENV)/rivals/%.stamp: requirements/%.txt
	test -x $(VENV)/rivals/$*/bin/python || $(PYTHON) -m venv $(VENV)/rivals/$*
	$(VENV)/rivals/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(VENV)/emulators/%.stamp: requirements/%.txt
	test -x $(VENV)/emulators/$*/bin/python || $(PYTHON) -m venv $(VENV)/emulators/$*
	$(VENV)/emulators/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

lock:
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -q -o requirements/dev.txt
	uv pip compile pyproject.toml --extra sandbox --extra build --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -q -c requirements/dev.txt -o requirements/run.txt
	uv pip compile requirements/engines.in --no-deps --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -q -o requirements/engines.txt
	for e in $(EMULATORS) $(RIVALS); do uv pip compile requirements/$$e.in --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -q -o requirements/$$e.txt; done

# Statements for engines that nobody could ask are text that a person approves: read the diff.
approved: $(VENV)/dev.stamp
	MAYFLY_APPROVE=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/unit/privacy/test_rules_compiled.py tests/contract/test_planstore_translated.py tests/integration/test_sql_counts.py tests/integration/test_sources_databricks.py tests/integration/test_sources_redshift.py

clean:
	rm -rf $(VENV) demo-project dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
