#!/bin/sh
# check_misuse.sh: each mistake that newcomers make is told of by one clear sentence: by the compiler,
# the linker, on stderr or by the logger. Which sentence is here.
set -u
D=build/misuse
CC=${CC:-cc}
passed=0 failed=0
rm -rf $D
mkdir -p $D
. tests/lib.sh
unset DO_NOT_TRACK VI_NO_TELEMETRY VITELEMETRY_OPTOUT VECTOR_INSPECTOR_TELEMETRY_OPTOUT
XDG_CONFIG_HOME=/nonexistent
export XDG_CONFIG_HOME

printf '#define VITELEMETRY_IMPLEMENTATION\n#include "vitelemetry.h"\n' >$D/impl.c
printf '#include "vitelemetry.h"\nint main(void)\n{\n    return !vit_destroy(vit_create(0), 0);\n}\n' >$D/user.c

# ---- compiler and linker -------------------------------------------------------------------------

first() { # text, command: it fails, and what it says first that is an error or a warning has the text
    text=$1
    shift
    if LC_ALL=C "$@" >$D/said 2>&1; then
        echo 'it was accepted'
        return 1
    fi
    grep -E 'error|warning|multiple definition|undefined reference' $D/said | sed 1q >$D/first
    cat $D/first
    grep -qF "$text" $D/first
}
# the head comment has a row for it
manual() { sed -n '/^WHEN SOMETHING IS WRONG/,/^$/p' vitelemetry.h | grep -qF "    $1  " || { echo "not in the head comment: $1"; return 1; }; }

two_files() { # compiler and flags
    "$@" -I. -c $D/impl.c -o $D/a.o && cp $D/a.o $D/b.o && "$@" -I. -c $D/user.c -o $D/c.o || return 1
    cc=$1
    first 'multiple definition of `vit_two_files_define_VITELEMETRY_IMPLEMENTATION' "$cc" $D/a.o $D/b.o $D/c.o -o $D/two -pthread &&
        manual 'multiple definition of vit_two_...'
}
no_file() { first 'undefined reference to `vit_create' "$CC" -I. $D/user.c -o $D/none -pthread && manual 'undefined reference to vit_create'; }
late() { # standard
    printf '#include <stdlib.h>\n' | cat - $D/impl.c >$D/late.c
    first 'error: #error "vitelemetry.h: include it before any system header' $CC "-std=$1" -I. -c $D/late.c -o $D/late.o &&
        manual 'include it before any system header'
}
late_static() { # compiler: a header above includes ours first, so that it is not static
    printf '#include "vitelemetry.h"\n#define VITELEMETRY_STATIC\n' | cat - $D/impl.c >$D/late_static.c
    first 'error: #error "vitelemetry.h: VITELEMETRY_STATIC comes too late: define it before the first #include' \
        "$@" -I. -c $D/late_static.c -o $D/late_static.o && manual 'VITELEMETRY_STATIC comes too late'
}
# libcurl is not here: in a copy it is where nothing is
no_curl() {
    mkdir -p $D/nocurl && sed 's|<curl/curl\.h>|<nowhere/curl.h>|' vitelemetry.h >$D/nocurl/vitelemetry.h &&
        first "VITELEMETRY_CURL needs libcurl's headers (Debian: libcurl4-openssl-dev)" \
            $CC -I$D/nocurl -DVITELEMETRY_CURL -c $D/impl.c -o $D/nocurl.o
}
curl_unlinked() {
    printf '#define VITELEMETRY_CURL\n' | cat - $D/impl.c $D/user.c >$D/unlinked.c
    first 'undefined reference to `curl_' $CC -I. $D/unlinked.c -o $D/unlinked -pthread && manual 'undefined reference to curl_...'
}
no_atomics() { # as of tcc 0.9.27
    first 'this compiler has no atomic operations: define VITELEMETRY_NO_THREADS' $CC -I. -U__ATOMIC_RELEASE -c $D/impl.c -o $D/atomics.o &&
        manual 'this compiler has no atomic ...'
}
winhttp() { first 'VITELEMETRY_WINHTTP is for Windows; elsewhere there is VITELEMETRY_CURL' $CC -I. -DVITELEMETRY_WINHTTP -c $D/impl.c -o $D/win.o; }

# ---- while it runs -------------------------------------------------------------------------------

build() { # program, flags
    program=$1
    shift
    $CC -std=c99 -Wall -Wextra -Werror -O0 '-DVITP_OS_ETC="/nonexistent"' -I. tests/misuse.c -o "$D/$program" -pthread "$@"
}
told() { # program, mistake, sentence ...: these and no others, each once, then a line about the events
    "$D/$1" "$2" >$D/out 2>&1 || { cat $D/out; return 1; }
    shift 2
    printf '%s\n' "$@" | diff - $D/out
}
some='requests some, accepted 3, waiting 3' none='requests none, accepted 3, waiting 3'
gone='requests some, accepted 3, waiting 0'

# ---- each text of the log says what to do ---------------------------------------------------------

instructs() {
    $D/misuse items >$D/items && [ "$(wc -l <$D/items)" -gt 40 ] &&
        grep -vE '[ :(](raise|call|set|use|look|lower|rename|see|make|ask|give|let|compare|leave|pass|should|may only|until|nothing to do|shorten|sends it)([ ,;]|$)' $D/items >$D/strangers
    empty $D/strangers
}

# ---- run -----------------------------------------------------------------------------------------

for c in 'gcc -O1' clang g++ clang++; do
    has "${c%% *}" || { skip "${c%% *}: not here"; continue; }
    case $c in *++*) c="$c -x c++" ;; esac
    # shellcheck disable=SC2086
    check "$c: the implementation is in two files" two_files $c
done
check 'the implementation is in no file' no_file
for std in c99 gnu99 c11 gnu17; do check "a system header comes first: -std=$std" late $std; done
check 'VITELEMETRY_CURL, and no libcurl is installed' no_curl
check 'VITELEMETRY_STATIC comes too late: C' late_static $CC
if has g++; then check 'VITELEMETRY_STATIC comes too late: C++' late_static g++ -x c++; else skip 'g++: not here'; fi
curl_here=
! printf '#include <curl/curl.h>\n' | $CC -E -x c - >/dev/null 2>&1 || curl_here=1
if [ -n "$curl_here" ]; then check 'VITELEMETRY_CURL without -lcurl' curl_unlinked; fi
check 'VITELEMETRY_WINHTTP, and this is not Windows' winhttp
check 'a compiler without atomic operations' no_atomics

check 'the program is built' build misuse
check 'options are not initialised' told misuse uninitialised \
    'vitelemetry: vit_options is not zero-initialised: write vit_options o = {0}'
check 'an option breaks its rule' told misuse option \
    'an option breaks the rule in its comment in vit_options, so there is no client: look at client_type and endpoint first'
check 'consent is never set' told misuse consent \
    'nothing is sent until vit_set_consent or options.consent grants it' "$none"
check 'there is no transport' told misuse transport \
    'no transport: set options.transport, or define VITELEMETRY_CURL or VITELEMETRY_WINHTTP; nothing is sent' "$none"
away='no answer (status 0, or VIT_HTTP_PENDING without end), or the server is busy: events wait and are tried again; if it stays so, see options.endpoint and what your transport returns'
check 'the transport returns 0 for ever' told misuse zero "$away" "$some"
check 'the server is always busy' told misuse 503 "$away" "$some"
check 'the key is wrong' told misuse 401 \
    'the server refused us (401, 403), nothing more is sent in this run: see options.telemetry_key' "$some"
check 'the URL is wrong' told misuse 404 \
    'the endpoint is gone or moved (404, 410, 3xx), nothing more is sent in this run: see options.endpoint' "$some"
check 'the server does not know the events' told misuse 400 \
    'the server refused an event for good and it was dropped: compare what vit_export shows with what the server takes' "$gone"
check 'http:// beyond this machine' told misuse http "the endpoint is http:// beyond this machine: use https://" "$away" "$some"
check 'nobody pumps, and the queue fills up' sh -c "$D/misuse queue | sed 1q | grep -x 'queue full: raise options.queue_bytes, or call vit_pump more often'"
check 'a call from a callback that would wait for itself' told misuse callback \
    'a call from inside a callback would wait for itself and did nothing: callbacks may only track' "$away" "$some"
check 'names, keys, UUIDs, long texts, a missing salt, a short secret' told misuse events \
    'an event name is NULL or not [A-Za-z0-9_.]{1,64}: the event was refused; rename it' \
    'a key is NULL, not [a-z0-9_.]{1,64}, reserved or given twice: the event was refused; rename the key' \
    'a UUID is not the 36 characters of one (see vit_uuid4), or an event is NULL: the event was refused' \
    'a text was cut: make it shorter, or let a LABEL (64 bytes) be a TEXT (1 KiB)' \
    'a GROUP member was left out: set options.group_salt' \
    'a secret is not watched: vit_register_secret takes 16, of 4 to 128 bytes; use it for the part that matters' \
    "$away" 'requests some, accepted 1, waiting 1'
if [ -n "$curl_here" ]; then
    check 'the program is built with libcurl' build misuse_curl -DVITELEMETRY_CURL -lcurl
    check 'there is no endpoint' told misuse_curl endpoint \
        'no endpoint: set options.endpoint to the URL of your server; nothing is sent' "$away" "$none"
else skip "libcurl: not here"; fi
check 'each text of the log says what to do' instructs
echo "$passed passed, $failed failed"
[ $failed = 0 ]
