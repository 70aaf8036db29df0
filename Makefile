# Headway's commands: `make help`. They need Python 3.11–3.14 with venv, and nothing else.

VENV := .venv
RUN := $(VENV)/bin/python
# The first of these that is new enough, unless you say `make PYTHON=… up`.
FIND_PYTHON = for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3
PYTHON ?= $(shell $(FIND_PYTHON))
# Passed on to the command: `make test ARGS="tests/runs -x"`.
ARGS ?=
# Tests often wait for processes, so one more runs than there are cores; each has servers of its own.
TEST_WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

unexport PYTHONPATH PYTHONHOME
.DEFAULT_GOAL := help
.PHONY: help up test check format bench chaos lock chromium site-packages dev-packages

help: ## Say what each command does
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

up: site-packages ## Start the whole site on this machine, with a PostgreSQL and a Valkey of its own
	@exec $(RUN) manage.py up $(ARGS)

test: dev-packages chromium ## Run all tests, against real servers started for them
	@$(RUN) -m pytest -n $(TEST_WORKERS) $(ARGS)

check: dev-packages ## Check format, lint, types, imports, templates, migrations and deployment settings
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(RUN) $(VENV)/bin/lint-imports
	@git ls-files -z '*.html' | xargs -0r $(VENV)/bin/djade --check --target-version 5.2
	@$(DEPLOYED) HEADWAY_DEMO=1 $(RUN) manage.py makemigrations --check --dry-run
	@$(DEPLOYED) $(RUN) manage.py check --deploy --fail-level WARNING

# The environment that the checks take for a production site's; nothing of it is reached or stored.
DEPLOYED = env -u DEBUG SECRET_KEY=$$($(RUN) -c 'import secrets; print(secrets.token_urlsafe(60))') \
	HEADWAY_VAULT_KEYS=$$($(RUN) -c 'import secrets; print(secrets.token_urlsafe(40))') \
	DATABASE_URL=postgresql://headway@localhost:1/headway BROKER_URL=redis://localhost:1/0 \
	ALLOWED_HOSTS=headway.example PUBLIC_URL=https://headway.example HEADWAY_HTTPS=1 \
	PYTHONWARNINGS=ignore::RuntimeWarning:django.core.management.commands.makemigrations

format: dev-packages ## Format the code and the templates
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .
	@git ls-files -z '*.html' | xargs -0r $(VENV)/bin/djade --target-version 5.2

bench: dev-packages ## Measure this checkout on this machine and print the table
	@$(RUN) -m benchmarks $(ARGS)

chaos: dev-packages ## Kill and freeze everything, again and again, and count what was lost
	@$(RUN) -m tests.chaos $(ARGS)

LOCK = uv pip compile pyproject.toml --quiet --universal --only-binary :all: --generate-hashes \
	--no-annotate --no-header --no-emit-index-url
lock: ## Write the lock files anew from pyproject.toml (needs `uv`; ARGS=--upgrade)
	@$(LOCK) $(ARGS) -o requirements.lock
	@$(LOCK) $(ARGS) --extra embedded -c requirements.lock -o requirements-embedded.lock
	@$(LOCK) $(ARGS) --extra embedded --extra dev -c requirements-embedded.lock -o requirements-dev.lock

site-packages:
	@$(PYTHON) .ci/bootstrap.py requirements-embedded.lock

dev-packages:
	@$(PYTHON) .ci/bootstrap.py requirements-dev.lock

# Browser tests need Chromium, which is no Python package. Where it can't be had they are skipped, and say so.
chromium:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests …"; \
		export DEBIAN_FRONTEND=noninteractive; \
		{ apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium; } >/dev/null 2>&1 \
		|| echo "Chromium can't be installed here: the browser tests will be skipped."; \
	fi
