#!/bin/sh
# Installs Chromium from the distribution's packages where that needs no question asked; otherwise says what to do. Never fails:
# without a browser the tests that need one are skipped, and whoever cannot accept that sets DRIFTLINE_REQUIRE=browser.
set -u

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests ..."
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; then
        exit 0
    fi >/dev/null
fi
echo "found no Chromium; expected one on PATH or in DRIFTLINE_CHROMIUM; the browser tests will be skipped" \
    "(Debian: apt-get install chromium)" >&2
