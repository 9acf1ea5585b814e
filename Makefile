# Each target sets up what it needs and skips what is done: scripts/bootstrap.sh.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint docs train faults score bench node-share safety fuzz mutation setup clean
RUN := scripts/in_env.sh

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 10

demo: ## Drive the simulated car for 60 s; writes out/demo/
	@scripts/bootstrap.sh demo
	@$(RUN) vla-driving demo

test: ## Run the checks and all tests
	@scripts/bootstrap.sh test
	@$(RUN) scripts/check.sh lint pytest

lint: ## Run the checks alone: ruff, mypy, import-linter, reference pages
	@scripts/bootstrap.sh test
	@$(RUN) scripts/check.sh lint

docs: ## Write the reference pages in docs/ anew from the tables in the code
	@scripts/bootstrap.sh demo
	@$(RUN) python -m vla_driving.reference

train: ## Train and export the shipped model anew
	@scripts/bootstrap.sh train
	@$(RUN) python -m vla_driving.learning.train

faults: ## Inject every fault into the running stack for about 40 minutes; writes out/faults.json
	@scripts/bootstrap.sh demo
	@$(RUN) vla-driving faults

score: ## Drive routes and instructions in closed loop for about an hour; writes out/score/
	@scripts/bootstrap.sh demo
	@$(RUN) vla-driving score --policy stack,idm,expert,baseline,stack_fp32

bench: ## Measure speed on this machine for about 15 minutes; writes out/bench.json
	@scripts/bootstrap.sh demo
	@$(RUN) vla-driving bench

node-share: ## Measure the safety monitor's share of a core; writes out/safety/node_share.json
	@scripts/bootstrap.sh demo
	@$(RUN) python test/safety/node_share.py

safety: ## Gather the evidence for the safety monitor; writes out/safety.json
	@scripts/bootstrap.sh test
	@$(RUN) python -m vla_driving.assurance.evidence

fuzz: ## Attack monitor and bridge a million times; writes out/safety/fuzz.json
	@scripts/bootstrap.sh test
	@$(RUN) python -m vla_driving.assurance.fuzz

mutation: ## Try the tests of the safety monitor on changed sources; writes out/safety/mutation.json
	@scripts/bootstrap.sh mutation
	@$(RUN) python -m vla_driving.assurance.mutation

setup: ## Set up for make demo, run nothing
	@scripts/bootstrap.sh demo

clean: ## Remove the virtual environment, builds, caches and out/
	rm -rf .venv build install log dist out *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
