#!/bin/sh
# Prints a Python that can make this project's virtual environment: $PYTHON when set, else the first that fits of those on PATH.
# Exits 1 with one line that says what was found, what is expected and what to do; the last can be given as $1.
set -u

advice=${1:-install one, or name one: make PYTHON=/path/to/python3.12}

found=
for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        found="${found:+$found, }Python $version ($candidate)"
    elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        found="${found:+$found, }Python $version ($candidate) without its venv module (Debian, Ubuntu: apt-get install python$version-venv)"
    else
        echo "$candidate"
        exit 0
    fi
done
echo "found ${found:-no ${PYTHON:-python3}}; expected Python 3.11 or newer with its venv module; $advice" >&2
exit 1
