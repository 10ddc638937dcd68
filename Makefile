# One target per thing a person does; `make` alone lists them. Everything runs in .venv, which `make setup` makes.
PYTHON ?= python3
ARGS ?=
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input --quiet

.DEFAULT_GOAL := help
.PHONY: help setup run test chaos check bench load sbom lock format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: .venv/.runtime ## Make .venv and install the pinned packages (skipped while they are unchanged)

run: .venv/.runtime ## Run everything: servers, demo data, web, worker, clock; Ctrl-C stops it
	@exec $(PY) manage.py up

test: .venv/.dev ## Run the tests; ARGS="tests/events -x" is handed to pytest
	@$(PY) -m pytest $(ARGS)

chaos: .venv/.dev ## Break a running system in every way we know, for about ten minutes; `make test` has the quick ones
	@$(PY) -m pytest tests/chaos -m chaos $(ARGS)

check: .venv/.dev ## Lint, types, import rules, security, missing migrations, the API description, Django's own checks
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(PY) -m mypy .
	@.venv/bin/lint-imports
	@.venv/bin/bandit --quiet --severity-level medium --configfile pyproject.toml --recursive recsys events features ranking dashboards deploy
	@$(PY) manage.py makemigrations --check --dry-run
	@$(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null
	@$(PY) manage.py check

bench: .venv/.runtime ## Run every benchmark
	@$(PY) manage.py bench --all $(ARGS)

load: .venv/.dev ## Play realistic users against a system of its own for a minute; docs/operations.md has real runs
	@$(PY) deploy/load/rehearse.py $(ARGS)

sbom: .venv/.dev ## Write var/sbom.json: what the product is made of, as a CycloneDX bill of materials
	@mkdir -p var
	@.venv/bin/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible --output-file var/sbom.json
	@echo "var/sbom.json lists $$(grep -c '"bom-ref": "requirements-L' var/sbom.json) packages"

format: .venv/.dev ## Format the code, and mend what can be mended by itself
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

lock: ## Resolve requirements*.in again into the pinned files (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv, which is not installed." >&2; exit 1; }
	uv pip compile --universal --python-version 3.11 --generate-hashes -q requirements.in -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes -q requirements-dev.in -o requirements-dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes -q requirements-bench.in -o requirements-bench.txt

clean: ## Remove caches and what tests left; your data below var/ stays
	@rm -rf var/test-* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

# The stamps are newer than the file they were installed from, or the recipe runs again.
.venv/.runtime: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or later, or name one with PYTHON=." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), and 3.11 or later is needed: name one with PYTHON=." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments: install its venv package (python3-venv on Debian and Ubuntu)." >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "Installing the packages, a minute or two and about 2 GB on the first time ..."
	@$(PIP) install --require-hashes -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.runtime
	@echo "Installing what checks and tests need ..."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

# A missing file that a rule needs ends here too, so the sentence fits both.
.DEFAULT:
	@echo "There is no target or file '$@': 'make help' lists the targets." >&2; exit 1
