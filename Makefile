# Every target sets up .venv by itself. PYTHON=/path/to/python3.12 chooses the interpreter.
.PHONY: help demo up venv test test-system judges containers chaos mutations check bench lock
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Deliver the sample contacts to a local stand-in for Brevo (CRM=hubspot, mautic or n8n), and show what happened to each
	@scripts/setup-venv local
	@.venv/bin/crm-pipelines demo $(CRM)

up: ## Run Dagster at http://127.0.0.1:3000, with schedules and sensors, until Ctrl-C
	@scripts/setup-venv local
	@.venv/bin/crm-pipelines up

venv: ## Make .venv with what the tests need
	@scripts/setup-venv test

test: ## Run the tests that a change needs; takes minutes
	@scripts/setup-venv test
	.venv/bin/pytest -n 4 --dist worksteal

test-system: ## Run what starts whole stacks, and storms; takes minutes more
	@scripts/setup-venv test
	.venv/bin/pytest -n 3 --dist loadfile crm_pipelines_tests/system

judges: ## Install a real n8n into a cache folder (3 GB, minutes, once), and let it judge what we send and imitate
	@scripts/setup-venv test
	.venv/bin/python -m crm_pipelines_tests.judges.install
	CRM_PIPELINES_REQUIRE_JUDGES=1 .venv/bin/pytest crm_pipelines_tests/judges

containers: ## Build the image and try docker-compose.yml, with Docker or (as root on Debian) an engine of its own; up to an hour
	@scripts/setup-venv test
	@CRM_PIPELINES_TEST_PATIENCE=$${CRM_PIPELINES_TEST_PATIENCE:-2} .venv/bin/python -m crm_pipelines_tests.containers

SECONDS ?= 120
chaos: ## Two minutes of random trouble (CRM=hubspot SEED=7 SECONDS=600), judged; its table goes into docs/reliability.md
	@scripts/setup-venv test
	.venv/bin/python -m crm_pipelines_tests.chaos $(if $(CRM),--crm $(CRM)) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) \
		--write docs/reliability.md

mutations: ## Remove one guard of the protocol at a time; some test must notice (takes minutes, no part of make test)
	@scripts/setup-venv test
	.venv/bin/python scripts/mutation_check.py

check: ## Lint, check types and import rules
	@scripts/setup-venv test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: ## Measure throughput and costs, and write docs/benchmarks.md
	@scripts/setup-venv local
	@.venv/bin/python -m benchmarks

lock: ## Refresh the lock files (needs uv)
	@scripts/refresh-locks
