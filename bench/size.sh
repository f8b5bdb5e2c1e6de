#!/bin/sh
# size.sh: what the header weighs: code at -Os and -O2 in several forms, lines, the time to compile
# it, the memory of a client, and the stack that each public call needs (by gcc's call graph).
#   size.sh        prints it, and the same into build/bench/size.tsv
#   size.sh note   adds a line for this version to bench/results/size.txt, or replaces it
# CC is the compiler; the stack needs gcc.
set -u
cd "$(dirname "$0")/.." || exit 1
B=build/bench/size
CC=${CC:-cc}
passed=0 failed=0
mkdir -p $B
: >build/bench/size.tsv

check() { # text, status, what to show
    if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL  $1"; [ -z "${3:-}" ] || echo "$3" | head -8; fi
}
row() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$3" "$3" "$4" >>build/bench/size.tsv; }

# ---- code ---------------------------------------------------------------------------------------

# A program that calls all of the API, so that nothing is left out; --gc-sections for one that does
# not.
FORMS='everything
without the crash handler:-DVITELEMETRY_NO_CRASH
without files:-DVITELEMETRY_NO_FILES
without threads:-DVITELEMETRY_NO_THREADS
minimal:-DVITELEMETRY_NO_CRASH -DVITELEMETRY_NO_FILES -DVITELEMETRY_NO_THREADS
with libcurl:-DVITELEMETRY_CURL'

printf '#define VITELEMETRY_IMPLEMENTATION\n#include "vitelemetry.h"\n' >$B/all.c
cat >$B/one.c <<'END'
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_STATIC
#include "vitelemetry.h"
static vit_response send_it(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    (void)request, (void)user;
    return answer;
}
int main(void)
{
    vit_options         options;
    vit_feature_toggled event;
    vit_client         *t;
    memset(&options, 0, sizeof options);
    memset(&event, 0, sizeof event);
    options.transport.send_fn = send_it;
    t = vit_create(&options);
    vit_track_feature_toggled(t, &event);
    return !vit_destroy(t, 1000);
}
END

# text section and constants, in bytes
text_of() { size -A "$1" | awk '$1 ~ /^[.](text|rodata|eh_frame|data[.]rel[.]ro)/ { n += $2 } END { print n + 0 }'; }

printf '%-44s %10s %10s\n' 'code and constants of the whole API, bytes' -Os -O2
printf '%s\n' "$FORMS" | while IFS=: read -r name switches; do
    for o in Os O2; do
        # shellcheck disable=SC2086
        if $CC -std=c99 -$o $switches -I. -c $B/all.c -o $B/all.o 2>$B/cc.log; then text_of $B/all.o; else echo -; fi
    done | tr '\n' ' ' | {
        read -r small fast
        printf '  %-42s %10s %10s\n' "$name" "$small" "$fast"
        [ "$small" = - ] || { row 'code, -Os' "$name" "$small" B; row 'code, -O2' "$name" "$fast" B; }
    }
done
n=$(grep -c 'code, -O' build/bench/size.tsv)
[ "$n" -ge 10 ]; check "the forms are built ($n of 12)" $? "$(cat $B/cc.log)"
everything=$(awk -F'\t' '$1 == "code, -Os" && $2 == "everything" { print $3 }' build/bench/size.tsv)
everything2=$(awk -F'\t' '$1 == "code, -O2" && $2 == "everything" { print $3 }' build/bench/size.tsv)
minimal=$(awk -F'\t' '$1 == "code, -Os" && $2 == "minimal" { print $3 }' build/bench/size.tsv)
[ "${minimal:-0}" -gt 0 ] && [ "${minimal:-0}" -lt "${everything:-0}" ]; check "what is left out is not there" $?

$CC -std=c99 -Os -I. $B/one.c -o $B/one -pthread -lm -ffunction-sections -fdata-sections -Wl,--gc-sections -s 2>$B/cc.log
check "a program of one event" $? "$(cat $B/cc.log)"
$CC -std=c99 -Os -I. -x c - -o $B/none -s <<'END' 2>$B/cc.log
int main(void) { return 0; }
END
program=$(($(wc -c <$B/one) - $(wc -c <$B/none)))
printf '  %-42s %10s\n' 'what a program of one event grows by, file' "$program"
row 'program of one event' 'file grows by' "$program" B

# ---- lines, and the time to compile -------------------------------------------------------------

lines=$(wc -l <vitelemetry.h)
code=$(awk '/^ *\/\*/ { on = 1 } { blank = /^ *$/ } !on && !blank { n++ } /\*\// { on = 0 } END { print n }' vitelemetry.h)
printf '\n%-44s %10s\n' 'lines' "$lines"
printf '%-44s %10s\n' '  of code' "$code"
row lines vitelemetry.h "$lines" lines

# Median of three, in ms of the processor, of a command that runs N times in a row.
cpu_ms() {
    n=$1
    shift
    for i in 1 2 3; do
        { sh -c 'exec >/dev/null 2>&1; n=$1; shift; while [ "$n" -gt 0 ]; do "$@"; n=$((n - 1)); done; times >&3' sh "$n" "$@"; } 3>&1
    done | awk -v n="$n" 'NR % 2 == 0 { ms = 0; for (k = 1; k <= 2; k++) { split($k, p, /[ms]/); ms += p[1] * 60000 + p[2] * 1000 } print ms / n }' |
        sort -n | sed -n 2p
}
printf '#include "vitelemetry.h"\n' >$B/declarations.c
printf '#include <stdint.h>\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdlib.h>\n' >$B/libc.c
printf '\n%-44s %10s\n' 'processor time of the compiler, median of 3' ms
time_row() { # name, times, command ...
    name=$1
    shift
    ms=$(cpu_ms "$@" | awk '{ printf $1 < 10 ? "%.1f" : "%.0f", $1 }')
    printf '  %-42s %10s\n' "$name" "$ms"
    row 'compile time' "$name" "$ms" ms
}
time_row 'four headers of libc' 20 $CC -std=c99 -O2 -c $B/libc.c -o $B/x.o
time_row 'declarations: preprocess' 20 $CC -std=c99 -E -I. $B/declarations.c
time_row 'declarations: compile' 20 $CC -std=c99 -O2 -I. -c $B/declarations.c -o $B/x.o
declarations=$ms
time_row 'implementation: preprocess' 10 $CC -std=c99 -E -I. $B/all.c
time_row 'implementation: compile, -O0' 1 $CC -std=c99 -O0 -I. -c $B/all.c -o $B/x.o
time_row 'implementation: compile, -O2' 1 $CC -std=c99 -O2 -I. -c $B/all.c -o $B/x.o
compile=$ms
awk -v a="$compile" -v b="$declarations" 'BEGIN { exit !(a > b && b > 0) }'
check "time is measured" $?

# ---- memory -------------------------------------------------------------------------------------

cat >$B/memory.c <<'END'
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_WHITEBOX
#include "vitelemetry.h"
#include "bench/bench.h"
static size_t taken;
static void *take(size_t size, void *user) { (void)user; taken += size; return malloc(size); }
static void give(void *memory, void *user) { (void)user; free(memory); }
int main(void)
{
    char        folder[64];
    vit_options o;
    vit_client *t;
    environment_forget();
    bench_folder(folder);
    o = bench_options(folder, NULL);
    o.wire = VIT_WIRE_EVENT;
    o.allocator.alloc_fn = take;
    o.allocator.free_fn = give;
    t = vit_create(&o);
    if (!t) return 1;
    printf("%lu %lu %lu\n", (unsigned long)taken, vit_get_stats(t).crash_surviving
           ? (unsigned long)(vitp_ledger_bytes(t->own.ledger->writer.capacity) + vitp_pool_bytes(t->own.ledger->writer.capacity)) : 0ul,
           (unsigned long)sizeof(vit_event));
    vit_destroy(t, 0);
    bench_folder_remove(folder);
    return 0;
}
END
$CC -std=gnu99 -O2 -w -I. $B/memory.c -o $B/memory -pthread -lm 2>$B/cc.log && memory=$($B/memory)
check "a client's memory" $? "$(cat $B/cc.log)"
own=${memory%% *} rest=${memory#* }
pool=${rest%% *} event=${rest#* }
printf '\n%-44s %10s\n' "memory of a client by default, bytes" "$((own + pool))"
printf '  %-42s %10s\n' 'asked of its allocator in vit_create' "$own" 'mapped, for the queue' "$pool" \
    'a vit_event on the stack of the caller' "$event"
row 'memory of a client' allocated "$own" B
row 'memory of a client' mapped "$pool" B

# ---- stack --------------------------------------------------------------------------------------

# The deepest path from each public function, through what calls it directly; of libc and of what is
# called through a pointer (your callbacks) nothing is known, and it comes on top. A function that
# may call itself is taken once.
stack=-
if printf 'int main(void) { return 0; }\n' | $CC -fstack-usage -fcallgraph-info=su -x c - -c -o $B/x.o 2>/dev/null && [ -f $B/x.ci ]; then
    (cd $B && $CC -std=c99 -O2 -fstack-usage -fcallgraph-info=su -I../../.. -c all.c -o stack.o)
    sh bench/stack.sh $B/stack.ci vitelemetry.h >$B/stack.txt
    check "the call graph is read" $? "$(head -3 $B/stack.txt)"
    printf '\n%-44s %10s\n' 'stack of a public call at -O2, bytes' deepest
    awk '$1 ~ /^vit_(track_query_executed|track_error|event_begin|add_int|add_text|event_send|create|destroy|flush|pump|export|set_consent|fail|scrub|sha256|error_hash)$/ || /^thread/ {
        printf "  %-42s %10s\n", $1, $2 }' $B/stack.txt
    track=$(awk '$1 ~ /^vit_(track_|event_|add_|fail)/ && $2 > m { m = $2; n = $1 } END { print m, n }' $B/stack.txt)
    most=$(awk '$2 > m { m = $2; n = $1 } END { print m, n }' $B/stack.txt)
    echo "  the most of a call that records: ${track#* }, ${track%% *}; of any: ${most#* }, ${most%% *}"
    echo "  (all $(wc -l <$B/stack.txt) of them: $B/stack.txt)"
    awk '{ printf "stack of a call\t%s\t%s\t%s\t%s\tB\n", $1, $2, $2, $2 }' $B/stack.txt >>build/bench/size.tsv
    stack=${track%% *}
    # Planted: a function that track calls has 100,000 bytes more.
    mkdir -p $B/planted
    awk '{ print } /^static bool vitp_id_random\(/ { own = 1 } own && /^{/ { print "    volatile char planted[100000]; planted[size] = 1;"; own = 0; n++ } END { exit n != 1 }' \
        vitelemetry.h >$B/planted/vitelemetry.h
    (cd $B/planted && cp ../all.c . && $CC -std=c99 -O2 -w -fstack-usage -fcallgraph-info=su -I. -c all.c -o stack.o)
    sh bench/stack.sh $B/planted/stack.ci vitelemetry.h | awk '$1 == "vit_uuid4" && $2 > 100000 { seen = 1 } END { exit !seen }'
    check "a planted array is seen" $?
else
    echo "stack: not here ($CC has no -fcallgraph-info)"
fi

# ---- the history --------------------------------------------------------------------------------

version=$(sed -n 's/^.define VITELEMETRY_VERSION  *"\(.*\)"/\1/p' vitelemetry.h)
line=$(printf '%-8s %8s %8s %8s %8s %8s %7s %8s %8s %7s' "$version" "$everything" "$everything2" "$minimal" "$program" "$lines" "$compile" "$declarations" "$((own + pool))" "$stack")
head='version      -Os      -O2  minimal  program    lines  ms, -O2  ms, decl   client   stack'
echo
echo "$head"
echo "$line"
if [ "${1:-}" = note ]; then
    mkdir -p bench/results
    {
        echo "# One line a release, by \`make size-note\`: bytes of code and constants at -Os, -O2, minimal -Os;"
        echo "# what a program of one event grows by; lines; ms of the compiler; memory of a client; the deepest"
        echo "# stack of a call that records. ($($CC --version | head -1), x86-64)" | sed "s/x86-64/$(uname -m)/"
        echo "$head"
        [ ! -f bench/results/size.txt ] || grep -v '^#\|^version' bench/results/size.txt | grep -v "^$version "
        echo "$line"
    } >$B/history
    mv $B/history bench/results/size.txt
fi
echo
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
