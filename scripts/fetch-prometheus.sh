#!/bin/sh
# Fetches the programs of a package of the distribution, prometheus or prometheus-alertmanager, into the user's cache: installing
# it would start a service. Never fails: without them the tests that need them are skipped, and whoever cannot accept that sets
# DRIFTLINE_REQUIRE=prometheus,alertmanager.
set -u

package="$1"
case "$package" in
prometheus) programs="prometheus promtool" ;;
prometheus-alertmanager) programs="prometheus-alertmanager amtool" ;;
*) echo "found package $package; expected prometheus or prometheus-alertmanager" >&2 && exit 2 ;;
esac
cache="${XDG_CACHE_HOME:-$HOME/.cache}/driftline"
programs_of="$cache/prometheus"
fetch() {
    apt-get download -qq "$package" && dpkg-deb -x "$package"_*.deb unpacked && mkdir -p "$programs_of" || return 1
    for program in $programs; do
        mv -f "unpacked/usr/bin/$program" "$programs_of/" || return 1
    done
    [ "$package" = prometheus ] || keep_templates
}
# Debian's Alertmanager reads templates at a place that only an installation fills. Started by `alertmanager` of the cache it
# sees them there, and no other program does; as root on a machine that allows no such view they are put there indeed.
keep_templates() {
    templates=unpacked/usr/share/prometheus/alertmanager
    mkdir -p "$programs_of/templates" && cp -f "$templates"/*.tmpl "$programs_of/templates/" || return 1
    cat >"$programs_of/alertmanager" <<'END'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
place=/usr/share/prometheus/alertmanager
if [ -e "$place/default.tmpl" ]; then
    exec "$here/prometheus-alertmanager" "$@"
fi
export here place
exec unshare --map-root-user --mount sh -c 'mount -t tmpfs none /usr/share && mkdir -p "$(dirname "$place")" \
    && ln -s "$here/templates" "$place" && exec "$here/prometheus-alertmanager" "$@"' "$0" "$@"
END
    chmod +x "$programs_of/alertmanager"
    "$programs_of/alertmanager" --version || [ "$(id -u)" != 0 ] \
        || { mkdir -p /usr/share/prometheus/alertmanager && cp "$templates"/*.tmpl /usr/share/prometheus/alertmanager/; }
}
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    echo "Fetching $package for the tests of metrics, rules and alerts ..."
    mkdir -p "$cache"
    scratch=$(mktemp -d "$cache/fetch.XXXXXX") && trap 'rm -rf "$scratch"' EXIT && cd "$scratch" || exit 0
    if { fetch || { [ "$(id -u)" = 0 ] && apt-get update -qq && fetch; }; } >/dev/null 2>&1; then
        exit 0
    fi
fi
echo "found no $programs to fetch; expected them on PATH, or in the folder DRIFTLINE_PROMETHEUS; the tests that need them will" \
    "be skipped (Debian: apt-get install $package)" >&2
