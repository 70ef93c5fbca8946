# Every task is one command; the logic is Python under scripts/ and lumbung/.
.DEFAULT_GOAL := help
PYTHON ?= python3
RUN := .venv/bin/python
.PHONY: help kills demo test test-native unit lint format bench figures fuzz damage soak sim injected-bugs lock docs clean setup setup-dev setup-bench

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## create .venv and install (native cores when a Rust tool-chain is there)
	@$(PYTHON) scripts/setup.py

setup-dev: ## the same with the test and lint tools
	@$(PYTHON) scripts/setup.py --dev

demo: setup ## play the whole story on real parts and verify the ledger (DEMO_ARGS="--seed 7")
	@.venv/bin/lumbung demo $(DEMO_ARGS)

test: setup-dev ## all tests (services by apt where allowed; LUMBUNG_REQUIRE=all makes a missing one an error)
	@$(RUN) scripts/services.py
	@$(RUN) scripts/run_tests.py $(TEST_ARGS)

test-native: ## the native cores' own tests (cargo test)
	@for core in ledger-core protocols-core switch-core; do cargo test --package $$core --release --locked --quiet || exit 1; done

unit: setup-dev ## the quick part of the tests
	@$(RUN) scripts/run_tests.py --quick $(TEST_ARGS)

lint: setup-dev ## format, lint, types, import contracts, Rust lints
	@$(RUN) scripts/lint.py

format: setup-dev ## rewrite the sources in the house's format
	@.venv/bin/ruff format --quiet . && .venv/bin/ruff check --quiet --fix .
	@if command -v cargo >/dev/null; then cargo fmt; fi

setup-bench:
	@$(PYTHON) scripts/setup.py --bench

bench: setup-bench ## figures beside the peers in one run, build/bench.json (SUITE=ledger|protocols|cards|switch)
	@$(RUN) scripts/bench.py $(SUITE)

figures: bench ## measure everything, also a ledger of 10 M, and write docs/reference/figures.md
	@$(RUN) scripts/soak.py ledger --transfers 10000000 | tee build/soak-ledger.txt
	@$(RUN) scripts/figures_page.py

sim: setup-dev ## replay a simulation (SUITE=ledger|system SEED=n COUNT=m ENGINE=pure|native|mixed)
	@$(RUN) scripts/sim.py $(or $(SUITE),ledger) $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ENGINE),--engine $(ENGINE))

soak: setup-bench ## a grown ledger, or an hour of purchases: what grows (SUITE=ledger|switch SOAK_ARGS="--minutes 5")
	@$(RUN) scripts/soak.py $(or $(SUITE),ledger) $(SOAK_ARGS)

kills: setup-dev ## kill the switch and break the line while people buy (KILLS=50 FAULT_SALES=20 SEED=n)
	@LUMBUNG_KILLS=$(or $(KILLS),50) LUMBUNG_FAULT_SALES=$(or $(FAULT_SALES),20) LUMBUNG_SEED=$(or $(SEED),20260105) \
	  $(RUN) -m pytest -q tests/test_switch/test_switch_kill.py tests/test_switch/test_switch_faults.py

injected-bugs: setup-dev ## break the ledger on purpose; its test must catch each bug (BUGS="--native": the Rust core; SUITE=system: the whole)
	@$(RUN) scripts/injected_$(if $(filter system,$(SUITE)),system_)bugs.py $(BUGS)

fuzz: setup-dev ## throw damaged inputs at every reader (FUZZ_ARGS="codec-edc --seconds 60 --seed 7")
	@$(RUN) scripts/fuzz.py $(FUZZ_ARGS)

damage: setup-dev ## a hundred thousand damaged messages, both twins (DAMAGE_ARGS="--count 1000000 --seed 7")
	@$(RUN) scripts/damage.py $(DAMAGE_ARGS)

docs: setup-dev ## write the generated pages of docs/reference anew
	@$(RUN) scripts/docs.py

lock: ## resolve and pin the dependencies anew
	@$(PYTHON) scripts/lock.py

clean: ## remove what the build made (not .venv)
	@rm -rf build target dist *.egg-info ledger/_core*.so protocols/_core*.so switch/_core*.so
