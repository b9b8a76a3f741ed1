# Table 2 of "Non-local Neural Networks", reproduced. `make help` lists what there is.
PROFILE ?= mini
SEEDS   ?= 0,1,2
TABLES  ?= all
ONLY    ?= *
JOBS    ?= $(shell nproc 2>/dev/null || sysctl -n hw.physicalcpu)
PYTHON  ?= python3
DATA    ?= data
IMAGENET ?=
LAUNCHER ?= local
SLURM   ?=
CPU     ?=

BIN := .venv/bin
CLI := $(BIN)/python -m ablations
OPTIONS := --profile '$(PROFILE)' --data '$(DATA)'
SWEEP   = $(OPTIONS) --seeds '$(SEEDS)' --jobs $(JOBS) --only '$(ONLY)' $(STEPS:%=--steps %) $(IMAGENET:%=--imagenet '%') --launcher $(LAUNCHER) $(SLURM)

.DEFAULT_GOAL := help
.PHONY: help setup data tables table2a table2b table2c table2d table2e table2f table2g table3 table4 table5 table6 report publish dashboard sync bench notebooks test test-all lint clean

help:  ## list the commands
	@grep -hE '^[a-z0-9 ]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  options: PROFILE=$(PROFILE) SEEDS=$(SEEDS) TABLES=$(TABLES) ONLY='$(ONLY)' JOBS=$(JOBS) DATA=$(DATA) STEPS=$(STEPS) LAUNCHER=$(LAUNCHER)"

setup: .venv/ready  ## make the virtual environment (again only when its inputs change); CPU=1: PyTorch without CUDA, 4.6 GB less

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(if $(CPU),--extra-index-url https://download.pytorch.org/whl/cpu) --constraint constraints.txt --editable '.[test]'
	@touch $@

data: .venv/ready  ## make the generated videos of the profile
	$(CLI) data make $(OPTIONS)

table2a:  ## pairwise form of f: train its runs, then print table, plot and verdicts
table2b:  ## stage of the block
table2c:  ## number of blocks, ResNet-50 and -101
table2d:  ## space, time or spacetime
table2e:  ## non-local or 3D convolution, with parameters and FLOPs
table2f:  ## non-local blocks on I3D
table2g:  ## longer clips
table3:  ## NL I3D against other systems: the paper's Table 3 beside your own records; trains nothing
table4:  ## Charades: several actions a video (mini: which digits have the cards' inks?)
table5:  ## COCO boxes and masks: Mask R-CNN with a block (mini: drawn scenes)
table6:  ## COCO keypoints: blocks in the head and in the backbone
tables:  ## all seven of Table 2; a run that tables share is trained once

table2a table2b table2c table2d table2e table2f table2g: table%: .venv/ready
	$(CLI) data make $(OPTIONS)
	$(CLI) sweep $* $(SWEEP)
	$(if $(STEPS),@echo 'a dry run: no table shows it',$(CLI) report $* --profile '$(PROFILE)')

table3: .venv/ready
	$(CLI) report 3 --profile '$(PROFILE)'

table4 table5 table6: table%: .venv/ready
	$(CLI) sweep $* $(SWEEP)
	$(if $(STEPS),@echo 'a dry run: no table shows it',$(CLI) report $* --profile '$(PROFILE)')

table%:
	@echo 'no table $*; there are 2a, 2b, 2c, 2d, 2e, 2f, 2g, 3, 4, 5 and 6' >&2; exit 2

tables: .venv/ready
	$(CLI) data make $(OPTIONS)
	$(CLI) sweep all $(SWEEP)
	$(if $(STEPS),@echo 'a dry run: no table shows it',$(CLI) report all --profile '$(PROFILE)')

report: .venv/ready  ## every table, figure and verdict from the records that exist, and report.html; trains nothing
	$(CLI) report all --profile '$(PROFILE)'

publish: .venv/ready  ## maintainers: local records of TABLES and SEEDS, complete and fresh, to results/published, and report
	$(CLI) publish $(TABLES) --profile '$(PROFILE)' --seeds '$(SEEDS)' --only '$(ONLY)'

dashboard: .venv/ready  ## wandb's dashboard of the local runs, in the terminal; needs no key
	$(CLI) dashboard

sync: .venv/ready  ## with a wandb key: upload the offline runs
	$(CLI) sync

bench: .venv/ready  ## WHAT=blocks,nets,detectors,loader against public code; RIVALS=folder of SlowFast, mmcv, Non-local_pytorch
	$(BIN)/python -m nlrepro.bench $(if $(WHAT),--what $(WHAT)) $(if $(RIVALS),--rivals $(RIVALS)) $(if $(PUBLISH),--publish)

notebooks: .venv/ready  ## run the notebooks and write them with their outputs
	$(BIN)/python notebooks/execute.py

test: lint  ## lint, types, unit tests and every run key end to end in `smoke`
	$(BIN)/pytest -m 'not rare' -n $(JOBS) --dist loadfile

test-all: .venv/ready  ## the tests that take long: kills, SLURM, a browser, the notebooks, a form of one's own
	$(BIN)/pytest -m rare -n $(JOBS) --dist loadfile

lint: .venv/ready  ## lint, format check and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the environment and the generated videos; results stay
	rm -rf .venv data/mini data/smoke data/cache .mypy_cache .pytest_cache .ruff_cache *.egg-info
