#!/bin/sh
# Install the Debian programs that the interop tests drive, without asking.
#
# Does nothing when all are there. Each line: the program, and the package that brings it.
set -eu

programs="sipp:sip-tester tshark:tshark strace:strace"

missing=""
for entry in $programs; do
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "${entry%%:*}" >/dev/null 2>&1; then
        missing="$missing ${entry##*:}"
    fi
done
if [ -z "$missing" ]; then exit 0; fi

stop() {
    echo "acm-sip: cannot install$missing: $1" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || stop "no apt-get here; install them by hand"
if [ "$(id -u)" -eq 0 ]; then
    sudo=""
else
    command -v sudo >/dev/null 2>&1 || stop "neither root nor sudo"
    sudo=sudo
fi

echo "acm-sip: installing$missing"
# tshark asks whether others than root may capture; nothing here captures through it.
echo "wireshark-common wireshark-common/install-setuid boolean false" |
    $sudo debconf-set-selections || stop "debconf refused"
$sudo apt-get update -qq || stop "apt-get update failed"
# shellcheck disable=SC2086 - one word per package
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq --yes --no-install-recommends $missing || stop "apt-get install failed"
