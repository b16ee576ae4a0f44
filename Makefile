# make demo     the whole procedure of TS 23.280 10.17.6.2, on this machine
# make test     everything that has to pass (tools/gate.py)
# make peers    install the programs of others that the interop tests drive (Debian)
#
# PYTHON=... names another interpreter than python3; it must be 3.11 or newer.

PYTHON ?= python3
export PYTHON

.PHONY: demo test unit lint format peers lock pcaps clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make /make /p' Makefile

demo:
	@tools/environment.sh runtime
	@.venv/bin/acm-sip demo

test:
	@tools/environment.sh development
	@.venv/bin/python tools/gate.py

# make unit     the tests alone, without the peers of others
unit:
	@tools/environment.sh development
	@.venv/bin/python -m pytest --ignore=tests/interop

# make lint     formatting, lint, types and layers
lint:
	@tools/environment.sh development
	@.venv/bin/python tools/gate.py format lint types layers

# make format   write the format that make lint asks for
format:
	@tools/environment.sh development
	@.venv/bin/ruff check --fix --exit-zero --quiet
	@.venv/bin/ruff format

peers:
	@tools/peers.sh

# make lock     resolve the dependencies anew (requirements/)
lock:
	@tools/environment.sh development
	@tools/lock.sh

# make pcaps    make the captures of pcaps/ again
pcaps:
	@tools/environment.sh runtime
	@.venv/bin/python tools/make_captures.py

# make clean    remove what was made
clean:
	rm -rf .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache .coverage .coverage.* dist build run
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
