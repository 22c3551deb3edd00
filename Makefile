# Two commands do everything: `make run` and `make test`. They create .venv from pinned versions first. Where Python
# lacks venv (Debian and Ubuntu package it apart) and you are root, they install python3-venv by apt-get and say so.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed
TESTABLE := .venv/testable
# Not compiled by pip: Python compiles what is imported, a tenth of it. That halves the time of installation.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
COMPILE := .venv-lock/bin/uv pip compile --quiet $(UPGRADE) pyproject.toml
WITH_BIN := env PATH="$(CURDIR)/$(BIN):$$PATH"
SNAKEMAKE := $(WITH_BIN) $(BIN)/snakemake

.PHONY: run test test-slurm unit coverage check docs clean slurm-up slurm-down slurm-run soak bench-gpu bench-cpu lock help

run: $(INSTALLED)  ## the whole comparison on the embedded corpus (AN4), on this machine
	@$(WITH_BIN) $(BIN)/python -m dasr.project.run_workflow --profile local --nolock --quiet reason
	@$(BIN)/dasr compare --show

test: $(TESTABLE) check  ## formatting, types, unit tests, the workflow end to end, and a real Slurm where it can run
	$(BIN)/pytest

test-slurm: $(TESTABLE)  ## the literal `snakemake --profile slurm` and each fault, on a real Slurm on this host
	$(BIN)/pytest -m slurm

unit: $(TESTABLE)  ## the unit tests only (under two minutes)
	$(BIN)/pytest -n 2 -m "not slow and not slurm" --durations=20

coverage: $(TESTABLE)  ## unit tests with the coverage of every line, child processes counted; fails under 90 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow and not slurm"
	$(BIN)/coverage run -m pytest tests/training/test_run.py
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(TESTABLE) docs  ## formatting, lint, spelling, types, the workflow's lint, the documentation site
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

docs: $(TESTABLE)  ## the documentation site, in site/
	$(BIN)/mkdocs build --strict --quiet

slurm-up: $(TESTABLE)  ## start a Slurm cluster of several nodes on this host
	$(BIN)/python -m tests.support.slurm.cluster up

slurm-down: $(TESTABLE)  ## stop it, leaving nothing behind
	$(BIN)/python -m tests.support.slurm.cluster down

slurm-run: slurm-up  ## the comparison on that cluster
	$(BIN)/python -m tests.support.slurm.cluster run snakemake --profile slurm

soak: $(TESTABLE)  ## the whole fault matrix on that cluster (hours)
	$(BIN)/python -m tests.support.slurm.soak

# Records go to benchmarks/results; `python -m benchmarks.report` makes docs/performance.md from them.
RECORDS := benchmarks/results
CLUSTER := .snakemake/calibrated.yaml
COMPARED := sc-allreduce sd delay-by-one ad h-ad bmuf local

bench-gpu: $(INSTALLED)  ## throughput on 1, 2 and 4 GPUs of this machine, as records (some ten minutes)
	$(BIN)/python -m benchmarks.throughput --batch 128 256 1024 2560 --steps 60 --record $(RECORDS)
	@mkdir -p $(dir $(CLUSTER)); set -e; for gpus in 2 4; do \
	  [ $$gpus -le $$(nvidia-smi -L | wc -l) ] || continue; \
	  $(BIN)/dasr calibrate --device cuda --processes $$gpus --local-batch 256 --max-mb 165 --out $(CLUSTER); \
	  for given in "256 --warm-up 30 --steps 480" "2560 --warm-up 100 --steps 72"; do \
	    $(BIN)/torchrun --nproc-per-node $$gpus -m benchmarks.throughput --batch $$given --cluster $(CLUSTER) \
	      --strategies $(COMPARED) --record $(RECORDS); \
	  done; \
	done

bench-cpu: $(TESTABLE)  ## features, feed, simulator and stragglers on this machine, as records (some ten minutes)
	$(BIN)/python -m benchmarks.features --record $(RECORDS)
	$(BIN)/python -m benchmarks.loader speed --record $(RECORDS)
	$(BIN)/python -m benchmarks.loader memory --record $(RECORDS)
	$(BIN)/python -m benchmarks.simulator --record $(RECORDS)
	$(BIN)/python -m benchmarks.straggler --figure docs/figures/straggler.svg --record $(RECORDS)

# The locks name versions only: no hashes, since sites build wheels of their own (torch for their CUDA, say).
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "dasr: error: Python 3.11 to 3.13 is needed, found $$($(PYTHON) --version): make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && \
	  { echo "Python lacks venv: running apt-get install python3-venv, as root may"; apt-get -qq update && apt-get -qq install -y python3-venv; }; } || \
	  { echo "dasr: error: Python lacks venv: apt install python3-venv"; exit 2; }
	$(PYTHON) -m venv .venv
	$(INSTALL) -r requirements.lock
	$(INSTALL) --editable .
	@touch $@

$(TESTABLE): $(INSTALLED) requirements-test.lock requirements-docs.lock
	$(INSTALL) -r requirements-test.lock -r requirements-docs.lock
	@touch $@

lock:  ## compile the locks from pyproject.toml, keeping what is pinned (UPGRADE=--upgrade: the newest versions)
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra test --constraints requirements.lock --output-file requirements-test.lock
	$(COMPILE) --extra docs --constraints requirements.lock --constraints requirements-test.lock --output-file requirements-docs.lock
	rm -r .venv-lock

clean:  ## remove results (keeps the environment)
	rm -rf results .snakemake

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
