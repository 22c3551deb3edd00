# Two commands do everything: `make run` and `make test`. They create .venv from pinned versions first.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do command -v $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed
# The lock of Snakemake outlives a killed run; `make run` holds one that the kernel releases.
SNAKEMAKE := env PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake

.PHONY: run test test-slurm unit check clean slurm-up slurm-down slurm-run soak lock help

run: $(INSTALLED)  ## the whole comparison on the embedded corpus (AN4), on this machine
	@mkdir -p .snakemake; flock --nonblock --conflict-exit-code 3 .snakemake/running \
	  $(SNAKEMAKE) --profile local --nolock --quiet reason; status=$$?; \
	  [ $$status != 3 ] || echo "dasr: error: another \`make run\` is at work in this folder"; exit $$status
	@$(BIN)/dasr compare --show

test: $(INSTALLED) check  ## formatting, types, unit tests, the workflow end to end, and a real Slurm where it can run
	$(BIN)/pytest

test-slurm: $(INSTALLED)  ## the literal `snakemake --profile slurm` and each fault, on a real Slurm on this host
	$(BIN)/pytest -m slurm

unit: $(INSTALLED)  ## the unit tests only (under two minutes)
	$(BIN)/pytest -m "not slow and not slurm"

check: $(INSTALLED)  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

slurm-up: $(INSTALLED)  ## start a Slurm cluster of several nodes on this host
	$(BIN)/python -m tests.support.slurm.cluster up

slurm-down: $(INSTALLED)  ## stop it, leaving nothing behind
	$(BIN)/python -m tests.support.slurm.cluster down

slurm-run: slurm-up  ## the comparison on that cluster
	$(BIN)/python -m tests.support.slurm.cluster run snakemake --profile slurm

soak: $(INSTALLED)  ## the whole fault matrix on that cluster (hours)
	$(BIN)/python -m tests.support.slurm.soak

# Debian and Ubuntu keep venv in a package of its own.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
	  { echo "dasr: error: Python 3.11 or 3.12 is needed, found $$($(PYTHON) --version): make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install -y python3-venv; } || \
	  { echo "dasr: error: Python lacks venv: apt install python3-venv"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lock: $(INSTALLED)  ## write requirements.lock from what is installed
	{ head -1 requirements.lock; $(BIN)/python -m pip freeze --exclude-editable; } > requirements.lock.new && mv requirements.lock.new requirements.lock

clean:  ## remove results (keeps the environment)
	rm -rf results .snakemake

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
