# One command each. `make` alone prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HYPERVISOR ?= simulated
KEEP ?= 1
SEED ?= 0
OPERATIONS ?= 1000000
STAMP := $(VENV)/.dev
KVM_STAMP := $(VENV)/.kvm
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
KEEPING := $(if $(filter 0,$(KEEP)),--no-keep,)

.PHONY: help dev demo test check style quick bench sim fuzz-scheduler many-processes campaign clean lock

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

dev: $(STAMP) ## Make the environment in .venv

$(STAMP): requirements/dev.lock pyproject.toml
	@bash tools/venv.sh "$(PYTHON)" "$(VENV)"
	@$(PIP) -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(KVM_STAMP): $(STAMP) requirements/kvm.lock
	@bash tools/hypervisor.sh
	@$(PIP) -r requirements/kvm.lock
	@touch $@

demo: $(STAMP) ## Act out the main job and keep serving (KEEP=0 ends; HYPERVISOR=kvm, esxi or azure; PORT, PROBE_PORT, DATA_DIR)
	@case "$(HYPERVISOR)" in \
	  simulated) exec $(BIN)/vmgate demo $(KEEPING) ;; \
	  kvm) $(MAKE) --no-print-directory $(KVM_STAMP) && exec $(BIN)/python -m tests.lab.demo $(KEEPING) ;; \
	  esxi) bash tools/vsphere.sh && exec $(BIN)/python -m tests.lab.vcenter_demo $(KEEPING) ;; \
	  azure) exec $(BIN)/python -m tests.lab.azure_demo $(KEEPING) ;; \
	  *) echo "HYPERVISOR is simulated, kvm, esxi or azure, not $(HYPERVISOR)" >&2; exit 2 ;; \
	esac

test: $(STAMP) ## Pass all tests, after installing what they need
	@bash tools/test.sh "$(BIN)"

check: style ## Format, lint, types, import contracts, tidiness
	@$(BIN)/pytest -q tests/architecture

style: $(STAMP) # The part of `check` that is no test
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy --no-error-summary && \
	  $(BIN)/lint-imports --no-cache | tail -1

quick: $(STAMP) ## Test what needs neither PostgreSQL nor a hypervisor
	@$(BIN)/pytest -q -n 2 tests/architecture tests/scheduler tests/tasks/test_saga.py tests/config

sim: $(STAMP) ## Test the scheduler and the sagas from another seed (SEED=7)
	@$(BIN)/pytest -q --hypothesis-seed=$(SEED) tests/scheduler tests/tasks/test_saga.py

fuzz-scheduler: $(STAMP) ## Compare the index with brute force (OPERATIONS=1000000 SEED=0)
	@$(BIN)/python -m tests.scheduler.fuzz $(OPERATIONS) $(SEED)

many-processes: OPERATIONS = 100000
many-processes: $(STAMP) ## Run 8 processes on one PostgreSQL and kill some (OPERATIONS=100000 SEED=0)
	@$(BIN)/python -m tests.tasks.many --processes 8 --operations $(OPERATIONS) --seed $(SEED)

campaign: REQUESTS ?= 100000
campaign: $(STAMP) ## Test what `make test` samples: hostile bytes, each crash point, each round (REQUESTS=100000 SEED=0)
	@$(BIN)/python -m tests.api.campaign --requests $(REQUESTS) --seed $(SEED)
	@$(BIN)/pytest -q -n 2 --dist loadgroup --exhaustive tests/tasks/cancel_kills.py tests/tasks/test_kill.py \
	  tests/tasks/test_azure_journal.py tests/tasks/test_vcenter_journal.py tests/acceptance/test_races.py

bench: $(STAMP) ## Measure; one JSON line for each figure
	@$(BIN)/python -m bench

lock: $(STAMP) ## Write the locks anew from pyproject.toml
	@for each in runtime: "dev:--group dev" "kvm:--extra kvm" "esxi:--extra esxi" "azure:--extra azure"; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate pyproject.toml $${each#*:} -o requirements/$${each%%:*}.lock; done

clean: ## Remove what was made here
	@rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis
