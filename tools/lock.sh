#!/bin/sh
# Resolve the dependencies of pyproject.toml into requirements/, with the hash of every file.
#
# One resolution for Python 3.11 and later: development.txt decides, the others are parts of it.
# The packages are taken from where uv is configured to look; no address gets into a lock.
set -eu
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="make lock"

compile() {
    .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}

compile pyproject.toml --group build --group test --group lint --group lock --upgrade \
    --output-file requirements/development.txt
compile pyproject.toml --constraint requirements/development.txt \
    --output-file requirements/runtime.txt
compile --group build --constraint requirements/development.txt \
    --output-file requirements/build.txt
compile pyproject.toml --group build --group test --constraint requirements/development.txt \
    --output-file requirements/test.txt

if grep -n '://' requirements/*.txt; then
    echo "acm-sip: a lock names a place" >&2
    exit 1
fi
