#!/bin/sh
# Fetches prometheus and promtool out of the distribution's package into the user's cache: installing it would start a service.
# Never fails: without them the tests that need them are skipped, and whoever cannot accept that sets DRIFTLINE_REQUIRE=prometheus.
set -u

cache="${XDG_CACHE_HOME:-$HOME/.cache}/driftline"
fetch() {
    apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb unpacked && mkdir -p "$cache/prometheus" \
        && mv -f unpacked/usr/bin/prometheus unpacked/usr/bin/promtool "$cache/prometheus/"
}
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    echo "Fetching Prometheus for the tests of metrics, rules and dashboards ..."
    mkdir -p "$cache"
    scratch=$(mktemp -d "$cache/fetch.XXXXXX") && trap 'rm -rf "$scratch"' EXIT && cd "$scratch" || exit 0
    if fetch 2>/dev/null || { [ "$(id -u)" = 0 ] && apt-get update -qq && fetch; } >/dev/null 2>&1; then
        exit 0
    fi
fi
echo "found no prometheus and no promtool; expected them on PATH, or in the folder DRIFTLINE_PROMETHEUS; the tests that need" \
    "them will be skipped (Debian: apt-get install prometheus)" >&2
