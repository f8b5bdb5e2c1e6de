#!/bin/sh
# matrix.sh: the header by each compiler, standard, switch and machine. A cell is one of them all: a
# program that is built without a warning and run, two cells at a time.
#
#   ONLY     which of c, c++, c++98, switches, everything, libc, machines, windows, msvc, systems; all
#            by default
#   QUICK=1  each compiler, standard, switch and machine, but not each with each: what CI runs. Without
#            windows and msvc, which tests/windows.sh asks for, and systems
#
# What runs is tests/smoke.c, the whole API; where the header is off or is used from C++98, which has
# the declarations alone, tests/one.c and two.c. What cannot run here is compiled only and named; a
# compiler that is not here is named.
# msvc is clang as cl and as clang-cl (tests/msvc.sh): what MSVC defines and lacks, not its warnings.
# systems are macOS, the BSDs and Windows with the UCRT by zig, which brings their headers and is
# taken from npm (400 MB in build/zig) where there is npm.
# Not here: WebAssembly, whose compiler takes 1.4 GB and a system of its own (emcc -Itests -I.
# -DVITELEMETRY_NO_THREADS tests/smoke.c -o smoke.js makes what node runs).
# Sanitizers are `make asan` and `make tsan`; Qt is `make test-qt`.
set -u
D=build/matrix
WINEPREFIX=$PWD/build/windows/wine WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;winedbg.exe,winemenubuilder.exe=d'
export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES
. tests/machines.sh
PATH=$PATH:$PWD/build/zig/node_modules/@zigc/linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')/bin
ZIG_GLOBAL_CACHE_DIR=$PWD/build/zig/cache
export PATH ZIG_GLOBAL_CACHE_DIR

W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Wundef -Wcast-qual -Wvla'

# clang's -Weverything, but for these:
EVERYTHING='-Weverything'
less() { EVERYTHING="$EVERYTHING -Wno-$1"; } # warning, why
less unsafe-buffer-usage 'asks for std::span: there is none in C'
less padded 'how a structure is laid out is no fault'
less disabled-macro-expansion 'sa_handler is a macro of the C library'
less reserved-macro-identifier '_GNU_SOURCE is there to be defined by programs'
less comma 'steps of SHA-256, and loops that move two things, read better in one line'
less bad-function-cast 'of C: a number that a function returns may be converted'
less switch-default 'contradicts -Wcovered-switch-default; -Wswitch is on'
less covered-switch-default 'an enumeration may hold what it has no name for'
less switch-enum 'a default is meant'
less used-but-marked-unused 'a static build calls some of its functions itself, and the host not all of them'
less pre-c23-compat 'of C2x: a bool is asked for where there is one'
less old-style-cast 'of C++: the source is C, too'
less zero-as-null-pointer-constant 'the same'
less c++98-compat 'the C++ part is for C++11 and newer; the c++98 cells are without it'
less c++98-compat-pedantic 'the same, and 64 bits are long long on some machines'

# ---- the cells -----------------------------------------------------------------------------------
#
# One a line: group|program|how it runs|compiler and flags. Program: smoke, disabled, c++98, or
# !TEXT for what must be refused with that text. How: empty for this machine, `-` for not at all.

cell() { printf '%s\n' "$group|$1|$2|$3"; }
quick() { [ -n "${QUICK:-}" ]; }

C='gcc clang clang-19' CXX='g++ clang++ clang++-19'

cells_c() {
    for c in $C; do
        for std in c99 c11 c17 c2x; do
            for o in -O0 -O2 -Os -O3; do
                case ${QUICK:-}:$std$o in 1:c99-O0 | 1:c99-O2 | 1:c99-O3 | 1:c11-Os | 1:c2x-O0) ;; 1:*) continue ;; esac
                cell smoke '' "$c -std=$std $o"
            done
        done
    done
    machine_of i386
    for o in -O0 -O2 -Os -O3; do
        case ${QUICK:-}:$o in 1:-O0 | 1:-Os) continue ;; esac
        cell smoke '' "$machine_cc -std=c99 $o"
    done
    # where all of it can be inlined into the host's calls
    cell smoke '' 'gcc -std=c99 -O2 -DVITELEMETRY_STATIC'
    quick || for c in 'gcc -O3' 'clang -O2' 'clang-19 -O2'; do cell smoke '' "$c -std=c11 -DVITELEMETRY_STATIC"; done
    # programs whose time and files have 64 bits
    cell smoke '' "$machine_cc -std=c99 -O1 -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
    quick || cell smoke '' 'gcc -std=c99 -O2 -funsigned-char'
    quick || cell smoke '' 'gcc -std=c99 -O2 -fshort-enums'
    quick || cell smoke '' 'gcc -std=c99 -O2 -flto=auto'
    # an array at the end of a struct is as long as it says, which is what guides to hardening ask for
    cell smoke '' 'clang-19 -std=c11 -O2 -D_FORTIFY_SOURCE=3 -fstrict-flex-arrays=3'
    cell smoke '' 'gcc -std=gnu99 -O0'
}

cells_cxx() {
    for c in $CXX; do
        for std in c++11 c++14 c++17 c++20 c++23; do
            [ "$c $std" != 'clang++ c++23' ] || std=c++2b
            case ${QUICK:-}:$std in 1:c++14 | 1:c++17) continue ;; esac
            cell smoke '' "$c -std=$std -O0"
            quick || cell smoke '' "$c -std=$std -O2"
            case ${QUICK:-}:$std in 1:c++20) continue ;; esac
            cell smoke '' "$c -std=$std -O1 -fno-exceptions -fno-rtti"
        done
    done
}

# declarations alone
cells_cxx98() {
    for c in $CXX; do
        for std in c++98 c++03; do
            case ${QUICK:-}:$std in 1:c++03) continue ;; esac
            for o in -O0 -O2; do
                cell c++98 '' "$c -std=$std $o"
                case ${QUICK:-} in 1) break ;; esac
            done
            cell c++98 '' "$c -std=$std -O1 -fno-exceptions -fno-rtti"
        done
    done
}

ALONE='STATIC NO_THREADS NO_FILES NO_CRASH OS_SETTINGS CURL WHITEBOX CONSENT_VERSION=2'

# Each by itself, by each compiler; and each set of those that change what is built.
cells_switches() {
    for s in $ALONE; do
        for c in 'gcc -std=c99' 'clang-19 -std=c2x' 'g++ -std=c++11' 'clang++-19 -std=c++20' \
            'gcc -std=c2x' 'clang -std=c11' 'clang++ -std=c++17' 'g++ -std=c++20'; do
            case $c in gcc*c99 | clang++-19*) o=-O1 ;; *) o=-O0 ;; esac
            cell smoke '' "$c $o -DVITELEMETRY_$s"
            case ${QUICK:-}:$c in 1:clang++-19*) break ;; esac
        done
    done
    n=0
    for static in '' STATIC; do for threads in '' NO_THREADS; do for files in '' NO_FILES; do
    for crash in '' NO_CRASH; do for settings in '' OS_SETTINGS; do for curl in '' CURL; do
        # shellcheck disable=SC2086
        set -- $static $threads $files $crash $settings $curl
        [ $# -ge 2 ] || continue
        n=$((n + 1))
        # of CI: all of them, and those without files
        quick && [ $# != 6 ] && [ "$#$files$curl" != 4NO_FILES ] && continue
        for s; do
            shift
            set -- "$@" "-DVITELEMETRY_$s"
        done
        case $((n % 3)) in
        0) c='gcc -std=c99' ;;
        1) c='clang-19 -std=c11' ;;
        2) c='g++ -std=c++11' ;;
        esac
        cell smoke '' "$c -O0 $*"
    done; done; done; done; done; done
    off=-DVITELEMETRY_DISABLE
    for c in 'gcc -std=c99' 'clang-19 -std=c2x' 'g++ -std=c++11' 'clang++-19 -std=c++20' \
        'clang -std=c11' 'clang++ -std=c++2b' 'g++ -std=c++98' 'clang++-19 -std=c++98'; do
        cell disabled '' "$c -O1 $off"
        cell disabled '' "$c -O1 $off -DVITELEMETRY_STATIC -DVITELEMETRY_NO_THREADS -DVITELEMETRY_NO_FILES -DVITELEMETRY_CURL"
    done
    for version in 0 1000000000; do
        cell '!a whole number' - "gcc -std=c99 -DVITELEMETRY_CONSENT_VERSION=$version"
    done
    cell '!WINHTTP is for Windows' - 'gcc -std=c99 -DVITELEMETRY_WINHTTP'
    cell '!which one' - 'x86_64-w64-mingw32-gcc -std=c99 -DVITELEMETRY_WINHTTP -DVITELEMETRY_CURL'
}

cells_everything() {
    for c in 'clang-19 -std=c99' 'clang++-19 -std=c++11' 'clang-19 -std=c11' 'clang-19 -std=c17' \
        'clang-19 -std=c2x' 'clang++-19 -std=c++14' 'clang++-19 -std=c++17' 'clang++-19 -std=c++20' \
        'clang++-19 -std=c++23'; do
        case ${QUICK:-}:$c in 1:*c99 | 1:*11 | 1:*c2x) ;; 1:*) continue ;; esac
        cell smoke '' "$c -O0 $EVERYTHING"
    done
    for s in $ALONE; do
        quick || cell smoke '' "clang-19 -std=c99 -O0 $EVERYTHING -DVITELEMETRY_$s"
    done
    cell c++98 '' "clang++-19 -std=c++98 -O0 $EVERYTHING"
}

# other C libraries and compilers
cells_libc() {
    for std in c99 c11 c2x; do
        quick && [ $std != c99 ] && continue
        for o in -O0 -O2; do cell smoke '' "musl-gcc -static -std=$std $o"; done
    done
    for s in STATIC NO_THREADS NO_FILES NO_CRASH OS_SETTINGS; do
        quick || cell smoke '' "musl-gcc -static -std=c99 -O1 -DVITELEMETRY_$s"
    done
    # it has neither atomics nor threads
    for s in '' STATIC NO_FILES NO_CRASH OS_SETTINGS; do
        cell smoke '' "tcc -DVITELEMETRY_NO_THREADS${s:+ -DVITELEMETRY_$s}"
    done
}

cells_machines() {
    for m in $MACHINES; do
        [ "$m" != i386 ] || continue # this machine runs it by itself: cells_c
        machine_of "$m"
        for o in -O0 -O2 -Os '-O2 -DVITELEMETRY_NO_THREADS' '-O2 -DVITELEMETRY_STATIC -DVITELEMETRY_OS_SETTINGS'; do
            case ${QUICK:-}:$o in 1:-O2) ;; 1:*) continue ;; esac
            cell smoke "$machine_run" "$machine_cc -std=c99 $o"
        done
    done
}

# wine has 64 bits here: what has 32 is built and linked only
cells_windows() {
    for m in x86_64 i686; do
        how=wine
        [ $m = x86_64 ] || how=-
        for c in 'gcc -std=c99' 'g++ -std=c++11'; do
            for s in '' 'STATIC WINHTTP' STATIC NO_THREADS NO_FILES NO_CRASH OS_SETTINGS WINHTTP \
                'NO_THREADS WINHTTP' 'NO_FILES WINHTTP'; do
                flags=
                for one in $s; do flags="$flags -DVITELEMETRY_$one"; done
                cell smoke $how "$m-w64-mingw32-$c -O1 -static$flags"
                case ${QUICK:-}:$s in 1:STATIC\ WINHTTP) break ;; esac
            done
        done
        quick && continue
        for c in 'gcc -std=c2x -O0' 'gcc -std=c11 -O3' 'g++ -std=c++20 -O2' 'g++ -std=c++23 -Os'; do
            cell smoke $how "$m-w64-mingw32-$c -static"
        done
    done
}

# The header as cl and clang-cl take it; no C++, whose library is Microsoft's.
cells_msvc() {
    for m in x86_64 i686 aarch64; do
        how=-
        [ $m != x86_64 ] || how=wine
        for s in '' NO_THREADS NO_FILES NO_CRASH OS_SETTINGS WINHTTP STATIC; do
            for as in '-U__clang__' ''; do
                case ${QUICK:-}:$m:$s:$as in 1:x86_64:WINHTTP:-* | 1:*::-*) ;; 1:*) continue ;; esac
                cell smoke $how "tests/msvc.sh $m -std=c11 -O1${s:+ -DVITELEMETRY_$s}${as:+ $as}"
            done
        done
    done
}

cells_systems() {
    for m in x86_64-macos aarch64-macos x86_64-freebsd x86_64-netbsd x86_64-openbsd \
        x86_64-windows-gnu aarch64-windows-gnu; do
        how=-
        [ $m != x86_64-windows-gnu ] || how=wine
        for s in '' NO_THREADS NO_FILES NO_CRASH OS_SETTINGS STATIC; do
            cell smoke $how "zig cc -target $m -std=c99 -O1${s:+ -DVITELEMETRY_$s}"
        done
        # a host that asks for less
        cell smoke - "zig cc -target $m -std=c99 -O1 -D_POSIX_C_SOURCE=200809L -D_XOPEN_SOURCE=700"
        # not linked: its C++ library would be built for each
        for std in c++11 c++20; do cell smoke - "zig c++ -target $m -std=$std -O1 -c"; done
    done
}

# ---- one cell ------------------------------------------------------------------------------------

source_for() { # program, compiler or c++: sets file
    case $1:$2 in
    smoke:*++*) file=$D/smoke.cpp ;;
    smoke:*) file=tests/smoke.c ;;
    disabled:*++*) file=$D/one.cpp ;;
    disabled:*) file=tests/one.c ;;
    c++98:*) file=$D/two.cpp ;;
    *) file=$D/empty.c ;;
    esac
}

# Lines of $D/cells by their numbers; what became of each is in a file of its own.
run_cell() {
    line=$(sed -n "$1p" $D/cells)
    IFS='|' read -r group program how flags <<END
$line
END
    compiler=${flags%% *} out=$D/$1 libraries=-pthread extra=
    name="$flags"
    case $name in *-Weverything*) name=$(echo "$name" | sed 's/ -Wno-[^ ]*//g') ;; esac
    [ -z "$how" ] || [ "$how" = - ] || name="$name (${how%% *})"
    result() { echo "$1|$name" >"$out.result"; }
    case $compiler in *msvc.sh)
        [ -d /usr/include/wine/wine ] || compiler=libwine-dev
        command -v lld-link-19 >/dev/null 2>&1 || compiler=lld-link-19
        ;;
    esac
    command -v "$compiler" >/dev/null 2>&1 || { echo "absent|$compiler" >"$out.result"; return; }
    case $flags in *CURL* | *WINHTTP*) case $compiler in *mingw* | *msvc.sh) libraries=-lwinhttp ;; *) libraries="$libraries -lcurl" ;; esac ;; esac
    case $program$libraries in smoke*-lcurl) [ ! -f $D/no-curl ] || { echo "absent|libcurl" >"$out.result"; return; } ;; esac
    case $flags in *-std=c++*) language=c++ ;; *) language=$compiler ;; esac
    source_for "$program" "$language"
    case $language in
    tcc) warnings=-Wall ;;
    *msvc.sh) warnings="$W -Wno-cast-qual -Wno-unused-function" ;; # cl has neither
    *++*) warnings=$W ;;
    *) warnings="$W -Wstrict-prototypes" ;;
    esac
    case $program in
    disabled) extra=-DALONE libraries= ;;
    c++98) libraries="$D/one.o -pthread" ;;
    !*)
        # shellcheck disable=SC2086
        if $flags -I. -fsyntax-only "$file" >"$out.log" 2>&1; then result FAIL
        elif grep -q "error.*${program#!}" "$out.log"; then result refused
        else result FAIL; fi
        return
        ;;
    esac
    # shellcheck disable=SC2086
    $flags -Werror $warnings $extra -DVITP_OS_ETC='"/nonexistent"' -Itests -I. "$file" -o "$out.exe" $libraries >"$out.log" 2>&1
    # a compiler that says anything has warned
    if [ $? != 0 ] || [ -s "$out.log" ] || [ ! -s "$out.exe" ]; then
        result FAIL
        return
    fi
    run=${how%% *}
    if [ "$how" = - ] || { [ -n "$run" ] && ! command -v "$run" >/dev/null 2>&1; }; then
        result compiled
    else
        # shellcheck disable=SC2086
        timeout 300 $how "$out.exe" >"$out.log" 2>&1
        status=$?
        if [ $status = 0 ] && tr -d '\r' <"$out.log" | grep -Eqx 'smoke: ok|ok'; then result ran; else
            echo "ended with $status" >>"$out.log"
            result FAIL
        fi
    fi
    rm -f "$out.exe"
}

if [ "${1:-}" = cell ]; then
    shift
    for i; do run_cell "$i"; done
    exit 0
fi

# ---- all of them ---------------------------------------------------------------------------------

# what who runs this refuses for himself
unset DISPLAY DO_NOT_TRACK VI_NO_TELEMETRY VITELEMETRY_OPTOUT VECTOR_INSPECTOR_TELEMETRY_OPTOUT
XDG_CONFIG_HOME=/nonexistent
export XDG_CONFIG_HOME

rm -rf $D
mkdir -p $D
for f in smoke one two; do sed 's|"../vitelemetry.h"|"vitelemetry.h"|' tests/$f.c >$D/$f.cpp; done
printf '#define VITELEMETRY_IMPLEMENTATION\n#include "vitelemetry.h"\n' >$D/empty.c

ALL='c c++ c++98 switches everything libc machines'
quick || ALL="$ALL windows msvc systems"
for group in ${ONLY:-$ALL}; do
    case $group in
    c++) cells_cxx ;;
    c++98) cells_cxx98 ;;
    *) "cells_$group" ;;
    esac
done >$D/cells
printf '#include <curl/curl.h>\n' | ${CC:-cc} -E -x c - >/dev/null 2>&1 || : >$D/no-curl
if grep -q '|c++98|' $D/cells; then
    ${CC:-cc} -std=c99 -O1 -DVITP_OS_ETC='"/nonexistent"' -I. -c tests/one.c -o $D/one.o || exit 1
fi
if grep -q '|wine|' $D/cells && [ ! -f "$WINEPREFIX/system.reg" ] && command -v wine >/dev/null 2>&1; then
    mkdir -p build/windows
    timeout 300 wine wineboot -i >/dev/null 2>&1
fi

start=$(date +%s)
awk '{ print NR }' $D/cells | xargs -n 1 -P 2 sh "$0" cell

! grep -q '|wine|' $D/cells || wineserver -k 2>/dev/null

cat $D/*.result >$D/results
of() { grep -c "^$1|" $D/results; }
for i in $(grep -l '^FAIL' $D/*.result | sed 's|.*/||; s|\..*||' | sort -n); do
    sed 's/|/ /' "$D/$i.result"
    head -8 "$D/$i.log" | sed 's/^/     /'
done
n=$(awk 'END { print NR }' $D/cells)
absent=$(sed -n 's/^absent|//p' $D/results | sort | uniq -c | awk '{ printf "%s%s (%d cells)", k++ ? ", " : "", $2, $1 }')
compiled=$(sed -n 's/^compiled|\([^ ]*\).*/\1/p' $D/results | sort | uniq -c | awk '{ printf "%s%s (%d)", k++ ? ", " : "", $2, $1 }')
[ "$(awk 'END { print NR }' $D/results)" = "$n" ] || echo "FAIL cells without a result"
echo "$n cells: $(of ran) built without a warning and run, $(of compiled) compiled only${compiled:+: $compiled}," \
    "$(of refused) refused as they must be; not here: ${absent:-none}; $(($(date +%s) - start)) s"
passed=$(($(of ran) + $(of compiled) + $(of refused))) failed=$((n - passed - $(of absent)))
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
