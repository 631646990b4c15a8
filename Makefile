# make demo: the article's experiment, end to end.   make test: every check.   Both install what is missing; run them as root.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PURE := hsadc/model/*,hsadc/wire/*,hsadc/intent/*,hsadc/syntax/*
SOURCES := setup.cfg pyproject.toml build_backend.py hsadc/dataplane/bpf/compiler.py $(wildcard hsadc/dataplane/bpf/*.[ch])
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint unit bench docs clean

demo: $(VENV)/demo
	@$(BIN)/hsadc lab demo

test: lint $(VENV)/test
	@echo "==> tests"
	@$(BIN)/pytest -q -n auto --cov --cov-report= tests/unit
	@$(BIN)/pytest -q --cov --cov-append --cov-report= --ignore=tests/unit
	@echo "==> branch coverage: all of the pure packages, most of the rest"
	@$(BIN)/coverage report --skip-covered --fail-under=100 --include='$(PURE)'
	@$(BIN)/coverage report --skip-covered --fail-under=85

lint: $(VENV)/test
	@echo "==> format, lint, types, import contracts"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

unit: $(VENV)/test
	@$(BIN)/pytest -q -n auto tests/unit

bench: $(VENV)/bench
	@for script in benchmarks/*.py; do echo "==> $$script"; $(BIN)/python $$script; done

docs: $(VENV)/test
	@$(BIN)/hsadc grammar reference > docs/cli-reference.md

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} + -o '(' -name '*.bpf.o' -o -path '*/syntax/tables.json' ')' -exec rm -f {} +

# Debian packages that are not there yet; on another system install their like by hand.
define debian
missing=; for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
if [ -n "$$missing" ] && command -v apt-get >/dev/null; then echo "==> Debian packages:$$missing"; apt-get update -qq; \
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call debian,python3-venv); }
	@echo "==> virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/demo: $(VENV)/bin/python $(SOURCES)
	@$(call debian,tcpdump)
	@echo "==> hsadc and its libraries; the BPF programs are compiled on the way, which takes a minute"
	@$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/test: $(VENV)/bin/python $(SOURCES)
	@$(call debian,curl ethtool iproute2 nftables nghttp2-client nginx-light openssh-client openssl procps strace tcpdump tshark wrk)
	@echo "==> hsadc with its test tools; the BPF programs are compiled on the way, which takes a minute"
	@$(BIN)/pip install --quiet --editable '.[test]'
	@# Before 2026 scrapli was another program, and much in use: beside, because both have the same name.
	@$(BIN)/pip install --quiet --upgrade --no-deps --target $(VENV)/scrapli-classic 'scrapli>=2024.7,<2026'
	@# It wants an older cryptography than asyncssh does.
	@$(BIN)/pip install --quiet --upgrade --target $(VENV)/sslyze 'sslyze>=6.1,<7'
	@# Capture files that others made; pip has them in source distributions alone.
	@$(BIN)/pip download --quiet --no-deps --no-binary :all: --dest $(VENV)/captures 'python-pcapng>=2.1,<3' 'mcpcap>=0.10,<1'
	@touch $@ $(VENV)/demo

$(VENV)/bench: $(VENV)/bin/python $(SOURCES)
	@$(call debian,frr iproute2 nftables nginx openssh-client openssh-server openvswitch-switch sslsplit tcpreplay wireshark-common wrk)
	@echo "==> hsadc and those that it is measured against; the BPF programs are compiled on the way, which takes a minute"
	@$(BIN)/pip install --quiet --editable '.[bench]'
	@touch $@ $(VENV)/demo
