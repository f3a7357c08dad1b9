#!/bin/sh
# usage: venv.sh PYTHON DIRECTORY REQUIREMENT
# Makes a virtual environment with this project in it, editable. Debian's python3 comes without the means to
# make one; as root, the missing package is installed.
set -eu
python=$1 directory=$2 requirement=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "message-passing needs Python 3.11 or later; $python is $("$python" -V). Try: make PYTHON=python3.12" >&2
    exit 1
fi
if [ ! -x "$directory/bin/pip" ]; then
    rm -rf "$directory"
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        if [ "$(id -u)" != 0 ]; then
            echo "$python cannot make virtual environments; install Debian's python3-venv" >&2
            exit 1
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv
    fi
    "$python" -m venv "$directory"
fi
# The versions that were tested last, so that the same tests pass on every machine.
"$directory/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --editable "$requirement"
