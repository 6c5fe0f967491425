# make run     set up, then generate and judge kernels for every operator (^C keeps what is done)
# make resume  carry on an interrupted make run
# make demo    the same on a dozen operators, about a minute
# make test    set up, then ruff, mypy and all tests
# Options of sysmith kernelgen go into ARGS: make run ARGS="--dtypes reference --jobs 8"

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# Processes that run tests side by side; 0 runs them in one.
TEST_JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO := add,mul,exp,sigmoid,where,sum,cumsum,softmax,mm,gather,cat,nn.functional.layer_norm

# A shell that outlives ^C, so that sysmith ends in good order and its exit code is kept.
# 1 says that the run is complete and some operators failed: a result, not a fault of the run.
define RUN
@trap : INT; $(BIN)/sysmith kernelgen $(1); code=$$?; \
if [ $$code -eq 1 ]; then echo "make: the run is complete; not every operator passed (exit code 1 of sysmith)" >&2; exit 0; fi; \
if [ $$code -eq 130 ]; then echo "make: interrupted; carry on with: $(2)" >&2; fi; \
exit $$code
endef

.PHONY: run resume demo test lint setup clean

run: setup
	$(call RUN,--ops all $(ARGS),make resume)

resume: setup
	$(call RUN,--ops all --resume latest $(ARGS),make resume)

demo: setup
	$(call RUN,--ops $(DEMO) --dtypes reference $(ARGS),make demo ARGS='--resume latest')

test: lint
	@$(BIN)/python -m pytest -m '' -n $(TEST_JOBS) --dist loadfile $(ARGS)

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

setup: $(VENV)/.installed

# The versions that PyTorch's own release names for each other; other tritons in the range of pyproject work as well.
$(VENV)/.torch: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sysmith needs Python 3.11 or later; set PYTHON=python3.x")'
	@test -x $(BIN)/python || { echo "setting up $(VENV); this takes minutes, once" >&2; $(PYTHON) -m venv $(VENV); }
	@$(PIP) torch==2.13.0 triton==3.7.1
	@touch $@

$(VENV)/.installed: $(VENV)/.torch
	@$(PIP) -e '.[opinfo]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.torch
	@$(PIP) -e '.[opinfo,dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info
