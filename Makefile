# make run   set everything up and open hfterm on the starter kit
# make test  set everything up, then check and test
# make bench measure

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# The versions the tests were seen to pass with; name another file to try others.
PIP_CONSTRAINT ?= $(CURDIR)/constraints.txt
export PIP_CONSTRAINT

RUN_STAMP := $(VENV)/.run-stamp
TEST_STAMP := $(VENV)/.test-stamp

# The tests' own starter kit, so that no test touches the user's.
TEST_STARTER := $(CURDIR)/.starter

.PHONY: run test check bench clean

# pip compiles what it copies, but not what it links to; unchanged files cost nothing.
COMPILE := $(BIN)/python -m compileall -q src

run: $(RUN_STAMP)
	@$(COMPILE)
	@$(BIN)/hfterm starter minilm >/dev/null || true  # without a registry the app says what to do
	@$(BIN)/hfterm

test: $(TEST_STAMP) check
	$(COMPILE)
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/hfterm starter
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/pytest -n 2 --dist loadfile

check: $(TEST_STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo

bench: $(TEST_STAMP)
	$(COMPILE)
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/hfterm starter
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/startup.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/encode.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/keystrokes.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/grid.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/classes.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/predict.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/memory.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/attention.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/heatmap.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/curves.py
	$(BIN)/python benchmarks/chart.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/monitor.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/chat.py
	$(BIN)/python benchmarks/conversations.py

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hfterm needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(TEST_STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(RUN_STAMP)

clean:
	rm -rf $(VENV) .starter
