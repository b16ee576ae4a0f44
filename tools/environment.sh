#!/bin/sh
# Make a virtual environment with the locked dependencies and this checkout; once.
#
#   tools/environment.sh runtime|test|development [DIRECTORY]
#
# PYTHON names the interpreter (python3). The environment is made anew when the interpreter or the
# place changes, and filled again when a lock or pyproject.toml does. pip follows its own
# configuration for where packages come from; each file must have the hash that the lock names.
set -eu
cd "$(dirname "$0")/.."

level=$1
directory=${2:-.venv}
python=${PYTHON:-python3}

stop() {
    echo "acm-sip: $1" >&2
    exit 1
}

locks_of() {
    case $1 in
        runtime) echo requirements/runtime.txt requirements/build.txt ;;
        test | development) echo "requirements/$1.txt" ;;
        *) stop "no such environment: $1" ;;
    esac
}

# What an environment is filled from.
contents_of() {
    # shellcheck disable=SC2046 - one word per file
    cat pyproject.toml $(locks_of "$1") | cksum
}

is_filled() {
    [ "$(cat "$directory/filled-$1" 2>/dev/null)" = "$(contents_of "$1")" ]
}

command -v "$python" >/dev/null 2>&1 ||
    stop "$python is missing: apt-get install python3 python3-venv, or name one by PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "$python is not Python 3.11 or newer: name one by PYTHON=..."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "$python cannot make virtual environments: apt-get install python3-venv"

origin="$("$python" -c 'import sys; print(sys.version, sys.base_prefix)') $(pwd)"
if [ "$(cat "$directory/made-by" 2>/dev/null)" != "$origin" ]; then
    echo "acm-sip: making $directory"
    "$python" -m venv --clear "$directory"
    echo "$origin" >"$directory/made-by"
fi

install() {
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@"
}

# What is filled for development serves for tests, and what serves for tests runs.
case $level in
    runtime) larger="runtime test development" ;;
    test) larger="test development" ;;
    *) larger=$level ;;
esac
for filled in $larger; do
    if is_filled "$filled"; then exit 0; fi
done

echo "acm-sip: installing the locked dependencies into $directory"
for lock in $(locks_of "$level"); do
    install --require-hashes --requirement "$lock"
done
install --no-deps --no-build-isolation --editable .
contents_of "$level" >"$directory/filled-$level"
