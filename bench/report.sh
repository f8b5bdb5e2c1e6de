#!/bin/sh
# report.sh: runs the benchmarks (KEEP=1: takes what they printed last) and writes what they found to
# bench/results/, with charts, and to the table in README.md. NOTE is a remark on the machine, such as
# "others used it". What fails is named, and does not stop the rest.
set -u
cd "$(dirname "$0")/.." || exit 1
B=build/bench
R=bench/results
passed=0 failed=0
mkdir -p $B $R

check() { # text, status
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok    $1"; else failed=$((failed + 1)); echo "FAIL  $1"; fi
}

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -1)
cores=$(getconf _NPROCESSORS_ONLN)
date=$(LC_ALL=C date -u '+%d %b %Y')
version=$(sed -n 's/^.define VITELEMETRY_VERSION  *"\(.*\)"/\1/p' vitelemetry.h)
machine="${cpu:-a processor without a name}, $cores cores"

versions() { # of what took part
    printf '%s; %s' "$(${CC:-cc} --version | head -1)" "$(${CXX:-c++} --version | head -1)"
    command -v dpkg-query >/dev/null 2>&1 || return 0
    for p in "$@"; do
        v=$(dpkg-query -W -f '${Version}' "$p" 2>/dev/null)
        [ -z "$v" ] || printf '; %s %s' "$p" "$v"
    done
}

head_of() { # packages
    echo "vitelemetry.h $version, $date"
    echo "machine: $machine${NOTE:+; $NOTE}"
    echo "versions: $(versions "$@")"
    echo
}

for n in events peers codec curves idle; do
    if [ -z "${KEEP:-}" ] || [ ! -f $B/$n.txt ]; then
        rm -f $B/$n.tsv
        ${MAKE:-make} -s --no-print-directory bench-$n >$B/$n.txt 2>&1
        check "make bench-$n" $?
    fi
    [ -s $B/$n.tsv ]
    check "bench-$n has results" $?
done
if [ -z "${KEEP:-}" ] || [ ! -f $B/size.out ]; then
    sh bench/size.sh note >$B/size.out 2>&1
    check "make size-note" $?
fi

PEERS='libspdlog-dev liblttng-ust-dev rapidjson-dev'
QUEUES='libconcurrentqueue-dev libatomic-queue-dev libboost-dev libck-dev libdpdk-dev'
CODEC='libssl-dev nettle-dev libsodium-dev rapidjson-dev libjansson-dev uuid-dev'
for n in events peers codec curves idle; do
    case $n in events) packages=$PEERS ;; peers) packages=$QUEUES ;; codec) packages=$CODEC ;; *) packages= ;; esac
    # shellcheck disable=SC2086
    { head_of $packages; cat $B/$n.txt; } >$R/$n.txt
    [ ! -f $B/$n.svg ] || cp $B/$n.svg $R/$n.svg
done

{ head_of; cat $B/size.out; } >$R/footprint.txt

# ---- the table ----------------------------------------------------------------------------------

cat $B/events.tsv $B/peers.tsv $B/codec.tsv $B/idle.tsv $B/size.tsv 2>/dev/null | awk -F'\t' -v machine="$machine" -v date="$date" -v note="${NOTE:-}" '
    { v[$1, $2] = $3 }
    $1 == "stack of a call" && $2 ~ /^vit_(track_|event_|add_|fail)/ && $3 + 0 > most { most = $3 + 0 }
    function has(p, s) { return (p, s) in v }
    function num(p, s, form) { return has(p, s) ? sprintf(form == "" ? "%.1f" : form, v[p, s]) : "-" }
    function other(p, s, text, form) {
        if (!has(p, s)) return
        others = others (others == "" ? "" : ", ") text " " num(p, s, form)
    }
    function queues(p, form) {
        other(p, "moodycamel, tokens", "moodycamel with tokens", form); other(p, "moodycamel", "without", form); other(p, "ck_ring MPSC", "ck", form); other(p, "Vyukov bounded MPMC", "Vyukov", form); other(p, "mutex + ring", "mutex", form)
    }
    function line(what, ours) { printf "| %s | %s | %s |\n", what, ours, others; others = "" }
    END {
        printf "Measured by `make bench-report` on %s (%s%s).\n", machine, date, note == "" ? "" : "; " note
        printf "`lock cmpxchg`, one uncontended atomic operation, takes %s ns there.\n\n", num("one atomic operation", "lock cmpxchg, uncontended")
        print "| | vitelemetry | others in the same run |"
        print "|---|---|---|"
        p = "burst, 1 thread"
        other(p, "LTTng-UST, session on", "LTTng-UST"); other(p, "snprintf + mutex + fwrite", "snprintf"); other(p, "RapidJSON + mutex + fwrite", "RapidJSON"); other(p, "spdlog, async", "spdlog")
        line("an event, ns on the caller", num(p, "vitelemetry") sprintf(" (%.1f times `lock cmpxchg`)", \
            v[p, "vitelemetry"] / v["one atomic operation", "lock cmpxchg, uncontended"]))
        for (k = 1; k <= 4; k *= 4) {
            p = "latency p99.9, " k (k == 1 ? " thread" : " threads")
            other(p, "LTTng-UST, session on", "LTTng-UST", "%.0f"); other(p, "snprintf + mutex + fwrite", "snprintf", "%.0f"); other(p, "RapidJSON + mutex + fwrite", "RapidJSON", "%.0f"); other(p, "spdlog, async", "spdlog", "%.0f")
            line("the slowest of a thousand, " k (k == 1 ? " thread" : " threads") ", ns", num(p, "vitelemetry", "%.0f"))
        }
        line("sampled out; without consent, ns", num("refused", "sampled out") "; " num("refused", "without consent"))
        queues("hot 64 B")
        line("a record of 64 bytes into the queue, ns", num("hot 64 B", "vitelemetry"))
        for (k = 1; k <= 8; k *= 2) {
            queues("streaming 64 B " k "P", "%.0f")
            line("through it, from " k (k == 1 ? " thread" : " threads") " to one, M records/s", num("streaming 64 B " k "P", "vitelemetry", "%.0f"))
        }
        p = "sustained, 1 thread"
        other(p, "snprintf + mutex + fwrite", "snprintf"); other(p, "RapidJSON + mutex + fwrite", "RapidJSON"); other(p, "spdlog, async", "spdlog"); other(p, "LTTng-UST, session on", "LTTng-UST (binary)")
        line("sustained to text, M events/s (in requests of 1,000)", num(p, "vitelemetry") " (" num(p, "vitelemetry, 4 MiB") ")")
        p = "JSON of an event"
        other(p, "RapidJSON", "RapidJSON", "%.0f"); other(p, "RapidJSON, validating", "validating as ours", "%.0f"); other(p, "Jansson", "Jansson", "%.0f")
        line("JSON of an event, ns", num(p, "vitelemetry", "%.0f"))
        p = "SHA-256, 16384 bytes"
        other(p, "OpenSSL, EVP", "OpenSSL", "%.0f"); other(p, "Nettle", "Nettle", "%.0f"); other(p, "libsodium", "libsodium", "%.0f")
        line("SHA-256 of 16 KiB, MB/s", num(p, "vitelemetry", "%.0f"))
        p = "SHA-256, 64 bytes"
        other(p, "OpenSSL, SHA256()", "OpenSSL", "%.0f"); other(p, "Nettle", "Nettle", "%.0f"); other(p, "libsodium", "libsodium", "%.0f")
        line("SHA-256 of 64 bytes, ns", num(p, "vitelemetry", "%.0f"))
        p = "UUID as text"
        other(p, "libuuid", "libuuid", "%.0f")
        line("a UUID as text, ns", num(p, "vitelemetry, of a client"))
        line("scrubbing prose, MB/s", num("scrubber, 4 KiB", "prose", "%.0f"))
        line("wake-ups a minute of an idle client", num("wake-ups when idle", "delivered", "%d"))
        line("code, KB at -Os: everything; minimal", sprintf("%.0f; %.0f", v["code, -Os", "everything"] / 1000, v["code, -Os", "minimal"] / 1000))
        line("memory of a client, KB", sprintf("%.0f", (v["memory of a client", "allocated"] + v["memory of a client", "mapped"]) / 1000))
        line("stack of a call that records, bytes at most", most)
        print ""
        print "Charts: [events](bench/results/events.svg), [queues](bench/results/peers.svg), [codec](bench/results/codec.svg), [curves](bench/results/curves.svg);"
        print "what each contestant does and does not do: [bench/results/](bench/results/events.txt)."
    }' >$B/table.md
[ "$(grep -c '^|' $B/table.md)" -ge 14 ]
check "the table has its rows" $?

awk -v file=$B/table.md '
    /^<!-- bench -->$/ { print; while ((getline l < file) > 0) print l; skip = 1; seen++; next }
    /^<!-- \/bench -->$/ { skip = 0; seen++ }
    !skip { print }
    END { exit seen != 2 }' README.md >$B/readme.md && cat $B/readme.md >README.md
check "README.md has its markers" $?
awk 'FNR == NR { t[n++] = $0; next } /^<!-- bench -->$/ { on = 1; next } /^<!-- \/bench -->$/ { on = 0 } on && $0 != t[k++] { bad = 1 }
    END { exit bad || k != n }' $B/table.md README.md
check "README.md holds the table" $?
echo
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
