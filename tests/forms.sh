#!/bin/sh
# forms.sh: the forms in which the header can be used: two files, C and C++, mixed, static, disabled,
# and what it leaves behind of symbols and macros. Run from the repository root; a line a check.
set -u
D=build/forms
W='-Wall -Wextra -Wconversion -Wshadow -Wsign-conversion -Wundef -Wpedantic -Werror'
WC="$W -Wstrict-prototypes"
passed=0 failed=0
rm -rf "$D"
mkdir -p "$D"
unset DO_NOT_TRACK VI_NO_TELEMETRY VECTOR_INSPECTOR_TELEMETRY_OPTOUT

. tests/lib.sh

checkxx() { ! has "$cxx" || check "$@"; } # what needs the C++ compiler

# what the machine refuses is no matter of the test
ETC=-DVITP_OS_ETC='"/nonexistent"'
XDG_CONFIG_HOME=/nonexistent
export XDG_CONFIG_HOME
c() { "$cc" -std=c99 $WC "$ETC" -I. "$@"; }
cxx() { "$cxx" -std=c++11 $W "$ETC" -I. "$@"; }
runs() { "$D/$1" >"$D/out" && grep -qx ok "$D/out"; }

# ---- the seam that tests of failing calls use costs nothing -----------------------------------------

seam() { # the same object code as without it
    mkdir -p "$D/plain" && sed 's/VITP_OS(\([A-Za-z_0-9]*\))(/\1(/g' vitelemetry.h >"$D/plain/vitelemetry.h" &&
        ! cmp -s vitelemetry.h "$D/plain/vitelemetry.h" || return 1
    for from in . "$D/plain"; do
        "$cc" -std=c99 -O2 -w -I$from -c "$D/impl.c" -o "$D/seam.o" && strip "$D/seam.o" && cksum <"$D/seam.o" || return 1
    done >"$D/sums"
    [ "$(sort -u "$D/sums" | wc -l)" = 1 ]
}

# ---- two files, one implementation ---------------------------------------------------------------

all_c() { c tests/one.c tests/two.c -o "$D/all_c" -pthread && runs all_c; }
all_cxx() { cxx -x c++ tests/one.c tests/two.c -o "$D/all_cxx" -pthread && runs all_cxx; }
c_and_cxx() {
    c -c tests/one.c -o "$D/one_c.o" && cxx -x c++ -c tests/two.c -o "$D/two_cxx.o" &&
        cxx "$D/one_c.o" "$D/two_cxx.o" -o "$D/c_and_cxx" -pthread && runs c_and_cxx
}
# an event of one's own, in a file with warnings of its own
strict_cxx() {
    cat >"$D/strict.cpp" <<'END' && cxx -Wold-style-cast -Wzero-as-null-pointer-constant -c "$D/strict.cpp" -o "$D/strict.o"
#include "vitelemetry.h"
#define APP_FILE_OPENED(X) X(VIT_LABEL, format) X(VIT_INT, size_kb) X(VIT_REAL, share)
VIT_EVENT_DECLARE(file_opened, APP_FILE_OPENED);
VIT_EVENT_DEFINE(file_opened, "file.opened", 1.0, APP_FILE_OPENED)
END
}
cxx_and_c() {
    cxx -x c++ -c tests/one.c -o "$D/one_cxx.o" && c -c tests/two.c -o "$D/two_c.o" &&
        cxx "$D/one_cxx.o" "$D/two_c.o" -o "$D/cxx_and_c" -pthread && runs cxx_and_c
}

# ---- symbols -------------------------------------------------------------------------------------

printf '#define VITELEMETRY_IMPLEMENTATION\n#include "vitelemetry.h"\n' >"$D/impl.c"
printf '#define VITELEMETRY_STATIC\n' | cat - "$D/impl.c" >"$D/static.c"

names() { nm -g --defined-only "$1" | awk 'NF >= 3 { print $NF }' | sort; }

# what the header declares: VIT_API in front of a name, and the rows of the catalogue
declared() {
    printf '#include "vitelemetry.h"\n' | "$cc" -std=c99 -I. -E -P -x c - |
        tr '\n' ' ' | tr ';' '\n' | grep -v typedef | sed -n 's/^[^(]*[ *]\(vit_[a-z0-9_]*\) *(.*/\1/p' |
        sort -u
}

only_vit() { # $1: object
    names "$1" | grep -v '^vit_[a-z]' >"$D/strangers"
    empty "$D/strangers"
}
impl_c() { c -c "$D/impl.c" -o "$D/impl.o" && only_vit "$D/impl.o"; }
impl_cxx() { cxx -x c++ -c "$D/impl.c" -o "$D/impl_cxx.o" && only_vit "$D/impl_cxx.o"; }
# each function that is declared is there, and no other; the same from C and C++
two_files=vit_two_files_define_VITELEMETRY_IMPLEMENTATION # check_misuse.sh says what it is for
impl_whole() {
    { declared; echo $two_files; } | sort >"$D/declared" && names "$D/impl.o" >"$D/defined" &&
        [ "$(wc -l <"$D/declared")" -gt 80 ] && diff "$D/declared" "$D/defined"
}
impl_same() { names "$D/impl_cxx.o" | diff "$D/defined" -; }

no_vit() { # $1: object: no symbol of ours that others could see
    nm -g --defined-only "$1" | grep -i vit >"$D/strangers"
    empty "$D/strangers"
}
static_c() { c "$1" -c "$D/static.c" -o "$D/static.o" && no_vit "$D/static.o"; }
static_cxx() { cxx "$1" -x c++ -c "$D/static.c" -o "$D/static_cxx.o" && no_vit "$D/static_cxx.o"; }
static_runs() {
    c -DVITELEMETRY_STATIC -DALONE tests/one.c -o "$D/static" -pthread && runs static &&
        nm -g --defined-only "$D/static" | grep -i ' vit' >"$D/strangers"
    empty "$D/strangers"
}
# a call with NULL whose way the compiler follows to its end
static_null() {
    cat "$D/static.c" - >"$D/static_null.c" <<'END'
void begin(vit_client *t);
void begin(vit_client *t) { vit_session_begin(t, NULL, NULL); }
END
    c -O1 -c "$D/static_null.c" -o "$D/static_null.o"
}
# two files of one program, each with a static implementation of its own
static_twice() {
    sed 's/int main(void)/int other(void); int other(void)/' tests/one.c |
        sed 's|"../vitelemetry.h"|"vitelemetry.h"|' >"$D/other.c" &&
        c -DVITELEMETRY_STATIC -DALONE tests/one.c "$D/other.c" -o "$D/static_twice" -pthread &&
        runs static_twice
}

# ---- disabled ------------------------------------------------------------------------------------

OFF='-DVITELEMETRY_DISABLE -DALONE'
off_c() { c $OFF tests/one.c -o "$D/off_c" && runs off_c; }
off_cxx() { cxx $OFF -x c++ tests/one.c -o "$D/off_cxx" && runs off_cxx; }
off_nothing() { # $1: c or cxx
    case $1 in
    c) c $OFF -O2 -c tests/one.c -o "$D/off.o" ;;
    *) cxx $OFF -O2 -x c++ -c tests/one.c -o "$D/off.o" ;;
    esac || return 1
    nm "$D/off.o" | grep -i 'vit' >"$D/strangers"
    strings -a "$D/off.o" | grep -i 'vitelemetry\|feature\.toggled' >>"$D/strangers"
    empty "$D/strangers"
}
# an object of nothing but the header
off_empty() {
    printf '#include "vitelemetry.h"\nint something;\n' >"$D/off_empty.c" &&
        c -DVITELEMETRY_DISABLE -DVITELEMETRY_IMPLEMENTATION -O0 -c "$D/off_empty.c" -o "$D/off_empty.o" || return 1
    { nm "$D/off_empty.o" | grep -v ' something$'
      strings -a "$D/off_empty.o" | grep -i 'vitelemetry\|vit_'
    } | grep -v 'off_empty' >"$D/strangers"
    empty "$D/strangers"
}
# no 0 for a pointer, as without VITELEMETRY_DISABLE
off_null() {
    cat >"$D/off_null.cpp" <<'END' && cxx -DVITELEMETRY_DISABLE -Wzero-as-null-pointer-constant -c "$D/off_null.cpp" -o "$D/off_null.o"
#include "vitelemetry.h"
#define APP_IDLE(X)
VIT_EVENT_DECLARE(app_idle, APP_IDLE);
END
}
# the host's own event, declared in a file that does not define it
off_two_c() { c $OFF tests/one.c tests/two.c -o "$D/off_two" && runs off_two; }
off_two_cxx() { cxx $OFF -x c++ tests/one.c tests/two.c -o "$D/off_two" && runs off_two; }
# a host that names the transport by libcurl
off_curl() {
    cat >"$D/off_curl.c" <<'END' && c -DVITELEMETRY_DISABLE -DVITELEMETRY_CURL "$D/off_curl.c" -o "$D/off_curl" && "$D/off_curl"
#include "vitelemetry.h"
int main(void)
{
    vit_options options = { .endpoint = "x" };
    options.transport.send_fn = vit_curl_send;
    return vit_create(&options) != NULL;
}
END
}

# libcurl is asked for where the implementation is, behind a header of the host's that includes ours
late_curl() {
    printf '#include "vitelemetry.h"\n#define VITELEMETRY_CURL\n' | cat - "$D/impl.c" >"$D/late_curl.cpp"
    printf '#define VITELEMETRY_CURL\n#include "vitelemetry.h"\nint main(void) { return vit_curl_send(NULL, NULL).http_status; }\n' >"$D/late_user.c"
    "$cxx" -std=c++11 -I. -c "$D/late_curl.cpp" -o "$D/late_curl.o" && "$cc" -std=c99 -w -I. -c "$D/late_user.c" -o "$D/late_user.o" &&
        "$cxx" "$D/late_curl.o" "$D/late_user.o" -o "$D/late_curl" -pthread -lcurl && "$D/late_curl"
}

# ---- macros --------------------------------------------------------------------------------------

INCLUDES='#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#if defined(__cplusplus) && __cplusplus >= 201103L
#include <cstdlib>
#include <exception>
#include <typeinfo>
#include <utility>
#include <cxxabi.h>
#endif'
macros_of() { "$@" -dM -E - | awk '{ sub(/\(.*/, "", $2); print $2 }' | sort -u; }
macros_new() { # compiler and flags: what the declarations add
    printf '%s\n' "$INCLUDES" | macros_of "$@" >"$D/before"
    printf '%s\n#include "vitelemetry.h"\n' "$INCLUDES" | macros_of "$@" >"$D/after"
    comm -13 "$D/before" "$D/after" | grep -v '^VIT_\|^VITELEMETRY_' >"$D/strangers"
    grep -q '^VITELEMETRY_VERSION$' "$D/after" && empty "$D/strangers"
}
# what the header defines, by the compiler's word for where, and does not take back. The two ask the
# system's headers for what POSIX has, and are the same for all that are read later.
macros_left() { # compiler and flags: of the implementation VIT_* and VITELEMETRY_* outlive it
    "$@" -E -dD - <"$D/impl.c" | awk '/^# [0-9]+ "/ { inside = $3 ~ /vitelemetry\.h"$/ }
        inside && /^#define / { sub(/\(.*/, "", $2); set[$2] = 1 }
        /^#undef / { delete set[$2] }
        END { for (name in set) print name }' | sort >"$D/after"
    grep -v '^VIT_\|^VITELEMETRY_\|^_GNU_SOURCE$\|^_FILE_OFFSET_BITS$' "$D/after" >"$D/strangers"
    grep -q '^VITELEMETRY_IMPLEMENTED$' "$D/after" && empty "$D/strangers"
}
# what a file has that reads the header late: the words of <windows.h> with <ole2.h>, of Objective-C, of
# Qt and of X11
macros_around() {
    cat - "$D/impl.c" >"$D/around.c" <<'END'
#define small  char
#define hyper  long long
#define near
#define far
#define IN
#define OUT
#define interface struct
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define ERROR  0
#define DELETE 0x00010000L
#define TRUE   1
#define FALSE  0
#define nil    ((void *)0)
#define YES    1
#define NO     0
#define emit
#define slots
#define signals public
#define Bool   int
#define Status int
#define None   0L
#define Success 0
END
    c -c "$D/around.c" -o "$D/around.o"
}
# every name that the header defines is one of ours, or asks the system's headers for something
macros_names() {
    sed -n 's/^# *define  *\([A-Za-z0-9_]*\).*/\1/p' vitelemetry.h | sort -u |
        grep -v '^VIT_\|^VITP_\|^VITELEMETRY_\|^_GNU_SOURCE$\|^_DARWIN_C_SOURCE$\|^_FILE_OFFSET_BITS$\|^WIN32_LEAN_AND_MEAN$' >"$D/strangers"
    empty "$D/strangers"
}

# ---- optimisation that takes each number for a finite one ----------------------------------------------

fast_math() {
    cat >"$D/fast_math.c" <<'END'
#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"
#include <stdio.h>
#include <string.h>
static char body[512];
static vit_response keep(const vit_request *request, void *user)
{
    vit_response created = { 201, 0 };
    (void)user;
    snprintf(body, sizeof body, "%.*s", (int)request->body_size, request->body);
    return created;
}
int main(void)
{
    static const uint64_t infinite = UINT64_C(0x7FF) << 52, not_a_number = UINT64_C(0xFFF) << 51;
    double                value, never;
    int                   good;
    vit_options           o;
    vit_event             e;
    vit_client           *t;
    memset(&o, 0, sizeof o);
    memcpy(&value, &infinite, sizeof value);
    memcpy(&never, &not_a_number, sizeof never);
    o.consent = VIT_CONSENT_GRANTED;
    o.endpoint = "http://127.0.0.1:9/";
    o.data_dir = "";
    o.allow_in_ci = o.no_thread = true;
    o.transport.send_fn = keep;
    t = vit_create(&o);
    vit_event_begin(&e, t, "fast.math", NULL);
    vit_add_real(&e, "r", value);
    (void)vit_event_send(&e);
    (void)vit_flush(t, 1000);
    vit_set_rate(t, "fast.never", never);
    vit_event_begin(&e, t, "fast.never", NULL);
    good = vit_event_send(&e) == VIT_SAMPLED_OUT && !vit_should_sample("e", never, "s");
    (void)vit_destroy(t, 0);
    puts(good && strstr(body, "\"r\":null") ? "ok" : body);
    return 0;
}
END
    "$cc" -std=c99 -O2 -ffast-math -w "$ETC" -I. "$D/fast_math.c" -o "$D/fast_math" -pthread && runs fast_math
}

# ---- the first include, and the program of the head comment --------------------------------------

late() { # C: a system header first hides what the implementation needs: it says so, first of all
    printf '#include <stdio.h>\n' | cat - "$D/impl.c" >"$D/late.c"
    for std in c99 gnu99 gnu17; do
        ! "$cc" -std=$std -I. -fsyntax-only "$D/late.c" 2>"$D/late.log" &&
            grep -E 'error|warning' "$D/late.log" | sed 1q | grep 'error.*before any system header' || return 1
    done
}
twice() {
    printf '#include "vitelemetry.h"\n' | cat "$D/impl.c" - "$D/impl.c" | sed '4s/define.*/undef NOTHING/' >"$D/twice.c"
    c -c "$D/twice.c" -o "$D/twice.o"
}
head_program() {
    awk '/^A COMPLETE PROGRAM/ { on = 1; next } on && /^[A-Z]/ { exit } on' vitelemetry.h |
        sed 's/^        //' >"$D/program.c"
    grep -q 'int main' "$D/program.c" && c "$D/program.c" -o "$D/program" -pthread -lcurl
}

# ---- run -----------------------------------------------------------------------------------------

for pair in gcc:g++ clang:clang++; do
    cc=${pair%:*} cxx=${pair#*:}
    if ! has "$cc"; then
        skip "$cc: not here"
        continue
    fi
    has "$cxx" || skip "$cxx: not here"
    check "$cc: two files, C99" all_c
    checkxx "$cxx: two files, C++11" all_cxx
    checkxx "$cc, $cxx: implementation in C, user in C++" c_and_cxx
    checkxx "$cxx, $cc: implementation in C++, user in C" cxx_and_c
    checkxx "$cxx: strict warnings about an event of one's own" strict_cxx
    check "$cc: global symbols are vit_* only" impl_c
    checkxx "$cxx: global symbols are vit_* only" impl_cxx
    check "$cc: every function that is declared is defined" impl_whole
    check "$cc: the seam VITP_OS leaves the same object code" seam
    checkxx "$cxx: the same symbols as from C" impl_same
    for o in -O0 -O2; do
        check "$cc $o: static, no global symbol" static_c $o
        checkxx "$cxx $o: static, no global symbol" static_cxx $o
    done
    check "$cc -O1: static, called with NULL" static_null
    check "$cc: static, runs" static_runs
    check "$cc: static in two files" static_twice
    check "$cc: disabled, neutral values" off_c
    checkxx "$cxx: disabled, neutral values" off_cxx
    checkxx "$cxx: disabled, no 0 for a pointer" off_null
    check "$cc -O2: disabled, no symbol and no text" off_nothing c
    checkxx "$cxx -O2: disabled, no symbol and no text" off_nothing cxx
    check "$cc -O0: disabled, the header alone leaves nothing" off_empty
    check "$cc: disabled, own event in another file" off_two_c
    checkxx "$cxx: disabled, own event in another file" off_two_cxx
    check "$cc: disabled, vit_curl_send" off_curl
    check "$cc: declarations add macros VIT_* only" macros_new "$cc" -std=c99 -I. -x c
    checkxx "$cxx: declarations add macros VIT_* only" macros_new "$cxx" -std=c++11 -I. -x c++
    check "$cc: disabled, macros VIT_* only" macros_new "$cc" -std=c99 -I. -DVITELEMETRY_DISABLE -x c
    check "$cc: the words of other headers as macros around it" macros_around
    for s in '' STATIC NO_THREADS NO_FILES OS_SETTINGS CURL; do
        [ "$s" = CURL ] && ! printf '#include <curl/curl.h>\n' | "$cc" -E -x c - >/dev/null 2>&1 && continue
        check "$cc: the implementation leaves macros VIT_* only${s:+ ($s)}" macros_left "$cc" -std=c99 -I. ${s:+-DVITELEMETRY_$s} -x c
        checkxx "$cxx: the implementation leaves macros VIT_* only${s:+ ($s)}" macros_left "$cxx" -std=c++11 -I. ${s:+-DVITELEMETRY_$s} -x c++
    done
    check "$cc: a system header first gives the #error" late
    check "$cc: included twice" twice
    if printf '#include <curl/curl.h>\n' | "$cc" -E -x c - >/dev/null 2>&1; then
        check "$cc: the program of the head comment" head_program
        checkxx "$cxx: libcurl, where the header was included before" late_curl
    else
        skip "$cc: the program of the head comment needs curl's headers"
    fi
done
# The branches for Apple, over the headers of Linux: without a warning, and threads are told apart by the
# register that is a thread's.
apple() { # options
    clang-19 -target arm64-apple-macos12 -U__nonnull -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
        -Wsign-conversion -Wcast-qual -Wvla -Wstrict-prototypes -Wno-unused-function -Werror -nostdlibinc \
        -isystem $D/apple -isystem /usr/aarch64-linux-gnu/include -include tests/apple.h -x c -S -O1 "$@" \
        -DVITELEMETRY_IMPLEMENTATION -o $D/apple/x.s vitelemetry.h &&
        ! grep -qiw TPIDR_EL0 $D/apple/x.s
}
apple_threads() { apple "$@" && grep -qiw TPIDRRO_EL0 $D/apple/x.s; }
if has clang-19 && [ -d /usr/aarch64-linux-gnu/include ]; then
    mkdir -p $D/apple/dispatch $D/apple/sys
    : >$D/apple/dispatch/dispatch.h
    echo 'int getentropy(void *, size_t);' >$D/apple/sys/random.h
    check "clang-19: for Apple, and how threads are told apart" apple_threads
    for s in NO_THREADS NO_FILES NO_CRASH OS_SETTINGS; do
        check "clang-19: for Apple: $s" apple -DVITELEMETRY_$s
    done
else
    skip "for Apple: needs clang-19 and the headers of aarch64-linux-gnu"
fi
cc=x86_64-w64-mingw32-gcc
if has $cc; then
    check "$cc: the implementation leaves macros VIT_* only" macros_left $cc -std=c99 -I. -x c
    check "$cc: the implementation leaves macros VIT_* only (WINHTTP)" macros_left $cc -std=c99 -I. -DVITELEMETRY_WINHTTP -x c
else
    skip "$cc: not here"
fi
for cc in gcc clang clang-19; do ! has "$cc" || check "$cc: -ffast-math, and a number that is not finite" fast_math; done
check "every macro of the header has its prefix" macros_names
echo "$passed passed, $failed failed"
[ $failed = 0 ]
