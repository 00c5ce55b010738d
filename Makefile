# make run   set everything up and open hfterm on the starter kit
# make test  set everything up, then check and test
# make bench measure, beside others; BENCH="--only startup,encode" for a part

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

# Screens show paths: what the tests make lies where a path is as long on every machine.
MAKE_FILES := files=$$(mktemp -d)
DROP_FILES := rm -rf "$$files"

.PHONY: run test tested kit tutorial coverage check soak bench docs clean

# pip compiles what it copies, but not what it links to; unchanged files cost nothing.
COMPILE := $(BIN)/python -m compileall -q src

run: $(RUN_STAMP)
	@$(COMPILE)
	@$(BIN)/hfterm starter minilm >/dev/null || true  # without a registry the app says what to do
	@$(BIN)/hfterm

# The checks run beside the tests, whose begin leaves a core waiting.
# The files with long tests are collected first, so that the short ones fill what is left; three
# at once leave neither of two cores waiting (of two a sixth of the time went by unused). What
# fails beside others is run once more alone, as CPython's own tests are: what fails twice fails.
test: $(TEST_STAMP)
	@$(MAKE) --no-print-directory --jobs 2 check tested

tested: kit
	@$(MAKE_FILES) && export HFTERM_STARTER=$(TEST_STARTER) && \
	pytest="$(BIN)/pytest --ignore=tests/tutorial --basetemp" && { \
	$$pytest "$$files/t" -n 3 --dist loadfile --no-loadscope-reorder || { \
		[ $$? = 1 ] && echo "=== Once more, alone: what failed ===" && \
		$$pytest "$$files/again" --last-failed --last-failed-no-failures none \
			--snapshot-warn-unused; }; } && \
	$(DROP_FILES)

# What the tests begin with: their starter kit, and src compiled.
kit: $(TEST_STAMP)
	$(COMPILE)
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/hfterm starter

# The same tests, and which lines and branches of src/ they ran, in all processes.
coverage: kit
	rm -f .coverage .coverage.*
	$(MAKE_FILES) && HFTERM_STARTER=$(TEST_STARTER) HFTERM_TEST_PATIENCE=120 $(BIN)/pytest \
		--basetemp="$$files/t" -n 2 --dist loadfile --no-loadscope-reorder --ignore=tests/tutorial \
		--cov --cov-report=term --cov-report=json && $(DROP_FILES)

check: $(TEST_STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo

# Every row of docs/tutorial.md, its keys pressed.
tutorial: kit
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/pytest tests/tutorial -n 2

# An hour of everything at once in a real terminal; HFTERM_SOAK_SEED plays one again.
soak: kit
	HFTERM_STARTER=$(TEST_STARTER) HFTERM_SOAK_MINUTES=$${HFTERM_SOAK_MINUTES:-60} \
		$(BIN)/pytest tests/soak/test_soak.py

docs: $(TEST_STAMP)
	$(BIN)/python docs/generate.py
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python docs/make_screenshots.py

bench: kit
	HFTERM_STARTER=$(TEST_STARTER) $(BIN)/python benchmarks/run_all.py $(BENCH)

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
