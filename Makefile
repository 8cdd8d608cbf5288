# SPDX-License-Identifier: GPL-2.0-or-later
# Entry points. Recipes use paths relative to the checkout, so its own path may hold anything.

PYTHON := .venv/bin/python
KEEP_OWNER := setup/keep-owner
# Options for `make aggregate` and `make test`, as in: make aggregate ARGS="--figure 3 --seed 7"
ARGS ?=

.PHONY: help setup doctor aggregate test test-bare test-vagrant docs lint fuzz mutants soak audit clean
.DEFAULT_GOAL := help

help:
	@echo 'make setup       Debian packages (needs root), Python environment, guest kernel'
	@echo 'make doctor      what works on this machine, and what is missing'
	@echo 'make aggregate   set-up, then a quick run of the aggregation experiment (ARGS= passes options)'
	@echo 'make test        set-up, then all checks and tests (ARGS= passes options to pytest)'
	@echo 'make fuzz        a million mutated messages against the state machines (ARGS="--messages N --seed N")'
	@echo 'make docs        the documentation as a site, in build/site'
	@echo 'make test-bare   the README in a bare Debian, half an hour or more (see tests/bare/run --help)'
	@echo 'make test-vagrant  the Vagrantfile in a real virtual machine, an hour or more (see tests/vagrant/run --help)'
	@echo 'make mutants     switch each defence off in a copy of the tree: its attack test must fail'
	@echo 'make soak        a day of faults on the virtual clock (ARGS="--hours N --seed N --full-load")'
	@echo 'make audit       are all Python packages pinned, and is a fault of one known'
	@echo 'make lint        set-up, then the static checks alone'
	@echo 'make clean       remove what was built inside the checkout; results stay'

setup:
	@setup/setup

doctor:
	@status=0; setup/setup --check || status=$$?; \
	if [ -x $(PYTHON) ]; then $(KEEP_OWNER) $(PYTHON) -m topologies doctor || status=$$?; fi; \
	exit $$status

aggregate: setup
	$(KEEP_OWNER) $(PYTHON) experiments/aggregate.py --quick $(ARGS)
	@echo 'This was the quick run. The full one: sudo python experiments/aggregate.py $(ARGS)'

lint: setup
	$(KEEP_OWNER) $(PYTHON) -m ruff check
	$(KEEP_OWNER) $(PYTHON) -m ruff format --check
	$(KEEP_OWNER) $(PYTHON) -m mypy

test: lint
	$(KEEP_OWNER) $(PYTHON) -m pytest --numprocesses logical --dist loadfile $(ARGS)

docs: setup
	$(KEEP_OWNER) $(PYTHON) -m mkdocs build --strict

# Opt-in: makes a Debian with debootstrap; needs root and debootstrap.
test-bare:
	tests/bare/run $(ARGS)

# Opt-in: builds a box, starts virtual machines, needs root and programs that set-up does not install.
test-vagrant:
	tests/vagrant/run $(ARGS)

fuzz: setup
	$(KEEP_OWNER) $(PYTHON) -m tests.fuzz $(ARGS)

mutants: setup
	$(KEEP_OWNER) $(PYTHON) -m tests.attacks.mutants $(ARGS)

soak: setup
	$(KEEP_OWNER) $(PYTHON) -m tests.soak $(ARGS)

audit: setup
	$(KEEP_OWNER) $(PYTHON) -m tools.audit

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov *.egg-info
	find . -name .git -prune -o -path ./results -prune -o -type d -name __pycache__ -exec rm -rf {} +
