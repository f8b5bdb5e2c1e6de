#!/bin/sh
# need.sh THING:PACKAGE ... installs the Debian package of each command or C header that is missing
# (dpkg:PACKAGE: if the package itself is), when it may (root); otherwise it prints the command that
# would, and fails.
missing=
for pair in "$@"; do
    thing=${pair%%:*} package=${pair#*:}
    case $thing in
    dpkg) dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package" ;;
    *.h) printf '#include <stddef.h>\n#include <stdarg.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <%s>\n' "$thing" |
        ${CC:-cc} -E -x c - >/dev/null 2>&1 || missing="$missing $package" ;;
    *) command -v "$thing" >/dev/null 2>&1 || missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
install="apt-get -o DPkg::Lock::Timeout=900 install -y --no-install-recommends$missing"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing; install with: sudo $install" >&2
    exit 1
fi
echo "installing$missing"
mkdir -p build
{ apt-get -q update && DEBIAN_FRONTEND=noninteractive $install; } >build/apt.log 2>&1 || {
    tail -5 build/apt.log >&2
    echo "could not install; try: $install" >&2
    exit 1
}
