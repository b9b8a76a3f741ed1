# Table 2 of "Non-local Neural Networks", reproduced. `make help` lists what there is.
PROFILE  ?= mini
SEEDS    ?= 0,1
ONLY     ?= *
JOBS     ?=
DATA     ?= data
TABLES   ?= all
PYTHON   ?= python3
LAUNCHER ?= local
# also: STEPS=3 (a dry run), START=FOLDER (nets to start from), IMAGENET=FILE, SLURM='--partition gpu --gpus 8', CPU=1, RIVALS=FOLDER

# Recipes read these in the environment, as they were typed: a quote, a space, $ or # in a name does no harm.
TYPED := PROFILE START SEEDS ONLY JOBS DATA STEPS IMAGENET LAUNCHER RIVALS
$(foreach name,$(TYPED),$(eval override $(name) := $$(value $(name))))
export $(TYPED)

BIN := .venv/bin
CLI := $(BIN)/python -m ablations
PROFILED = --profile "$$PROFILE$(if $(START),:$$START)" --data "$$DATA"
PARALLEL = $(if $(JOBS),--jobs "$$JOBS")
SWEEP = $(PROFILED) --seeds "$$SEEDS" $(PARALLEL) --only "$$ONLY" $(if $(STEPS),--steps "$$STEPS") \
	$(if $(IMAGENET),--imagenet "$$IMAGENET") --launcher "$$LAUNCHER" $(SLURM)
REPORT = $(if $(STEPS),@echo 'a dry run: no table shows it',$(CLI) report $(1) $(PROFILED))

.DEFAULT_GOAL := help
.PHONY: FORCE help setup table3 tables all report data publish dashboard sync bench notebooks
.PHONY: test tests test-all lint clean

help:  ## list the commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  options: PROFILE=$$PROFILE SEEDS=$$SEEDS JOBS=$$JOBS DATA=$$DATA ONLY='$$ONLY' LAUNCHER= STEPS="

setup: .venv/ready  ## make the virtual environment; CPU=1: PyTorch without CUDA, 4.6 GB less

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(if $(CPU),--extra-index-url https://download.pytorch.org/whl/cpu) \
		--constraint constraints.txt --editable '.[test]'
	@touch $@

table2a:  ## pairwise function f: train the runs, then print table, plot and verdicts
table2b:  ## stage of the block
table2c:  ## number of blocks, ResNet-50 and -101
table2d:  ## space, time or spacetime
table2e:  ## non-local or 3D convolution, with parameters and FLOPs
table2f:  ## non-local blocks on I3D
table2g:  ## longer clips
table3:  ## NL I3D beside other systems; trains nothing
table4:  ## Charades: several actions a video
table5:  ## COCO boxes and masks: Mask R-CNN with a block
table6:  ## COCO keypoints: blocks in the head and in the backbone
table7:  ## successors of the block, beyond the paper
tables:  ## all of Table 2; a run that tables share is trained once
all:  ## every table

table%: .venv/ready FORCE
	$(CLI) sweep $* $(SWEEP)
	$(call REPORT,$*)

table3: .venv/ready
	$(call REPORT,3)

tables: .venv/ready
	$(CLI) sweep 2 $(SWEEP)
	$(call REPORT,2)

all: .venv/ready
	$(CLI) sweep all $(SWEEP)
	$(call REPORT,all)

report: .venv/ready  ## tables, figures, verdicts and one page, from the records; trains nothing
	$(CLI) report all $(PROFILED)

data: .venv/ready  ## make the generated data of all tables (a sweep makes what it needs)
	$(CLI) data make all $(PROFILED) $(PARALLEL)

publish: .venv/ready  ## maintainers: complete, fresh records of TABLES and SEEDS to results/published
	$(CLI) publish $(TABLES) $(PROFILED) --seeds "$$SEEDS" --only "$$ONLY"

dashboard: .venv/ready  ## wandb's dashboard of the local runs, in the terminal; needs no key
	$(CLI) dashboard

sync: .venv/ready  ## with a wandb key: upload the offline runs
	$(CLI) sync

bench: .venv/ready  ## the block's speed, beside public code in RIVALS=FOLDER (SlowFast, mmcv, Non-local_pytorch)
	$(BIN)/python -m nlrepro.bench $(if $(RIVALS),--rivals "$$RIVALS")

notebooks: .venv/ready  ## run the notebooks and write them with their outputs
	$(BIN)/python notebooks/execute.py

test: .venv/ready  ## lint, types and tests, every run key end to end in `smoke`
	@$(MAKE) --no-print-directory -j2 lint tests

tests: .venv/ready
	$(BIN)/pytest -m 'not rare' -n $(or $(JOBS),auto) --dist loadfile

test-all: .venv/ready  ## the tests that take long: kills, SLURM, a browser, notebooks
	$(BIN)/pytest -m rare -n $(or $(JOBS),auto) --dist loadfile

lint: .venv/ready  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the environment and the generated data; results stay
	rm -rf .venv data/cards data/smoke data/charades-* data/coco-* data/cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache *.egg-info
