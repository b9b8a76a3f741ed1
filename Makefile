# Table 2 of "Non-local Neural Networks", reproduced. `make help` lists what there is.
PROFILE ?= mini
SEEDS   ?= 0,1,2
JOBS    ?= $(shell nproc 2>/dev/null || sysctl -n hw.physicalcpu)
PYTHON  ?= python3
DATA    ?= data

BIN := .venv/bin
CLI := $(BIN)/python -m ablations
OPTIONS := --profile $(PROFILE) --data $(DATA)

.DEFAULT_GOAL := help
.PHONY: help setup data table2a report publish bench test lint clean

help:  ## list the commands
	@grep -hE '^[a-z0-9 ]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  options: PROFILE=$(PROFILE) SEEDS=$(SEEDS) JOBS=$(JOBS) DATA=$(DATA)"

setup: .venv/ready  ## make the virtual environment (again only when its inputs change)

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

data: .venv/ready  ## make the generated videos of the profile
	$(CLI) data make $(OPTIONS)

table2a: .venv/ready  ## Table 2a, pairwise form of f: train its runs, then print table, plot and verdicts
	$(CLI) data make $(OPTIONS)
	$(CLI) sweep 2a $(OPTIONS) --seeds $(SEEDS) --jobs $(JOBS)
	$(CLI) report 2a --profile $(PROFILE)

report: .venv/ready  ## every table, figure and verdict from the records that exist; trains nothing
	$(CLI) report all --profile $(PROFILE)

publish: .venv/ready  ## maintainers: move complete, fresh local records to results/published and report from them
	$(CLI) publish all --profile $(PROFILE)

bench: .venv/ready  ## the block against its direct form and public ones; RIVALS=folder of SlowFast, mmcv, Non-local_pytorch
	$(BIN)/python -m nlrepro.bench $(if $(RIVALS),--rivals $(RIVALS))

test: lint  ## lint, types and every test
	$(BIN)/pytest

lint: .venv/ready  ## lint, format check and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the environment and the generated videos; results stay
	rm -rf .venv data/mini data/smoke data/cache .mypy_cache .pytest_cache .ruff_cache *.egg-info
