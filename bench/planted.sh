#!/bin/sh
# planted.sh: bugs in copies of the header, each of which a benchmark's checks must find: those of
# what was done, for time decides nothing. ONLY: a part of the name of those that are tried.
# `planted.sh places` looks only whether each has its place in the header.
set -u
cd "$(dirname "$0")/.." || exit 1
D=$PWD/build/bench/planted
passed=0 failed=0 places=${1:-}

# name, program, line that it must print, what is replaced, by what (texts without newlines)
try() {
    name=$1 program=$2 wanted=$3
    case $name in *"${ONLY:-}"*) ;; *) return ;; esac
    if [ "$places" = places ]; then
        if grep -qF -e "$4" vitelemetry.h; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAIL  $name: its place is not there"; fi
        return
    fi
    rm -rf "$D"
    mkdir -p "$D/tests"
    cp -r Makefile bench "$D"
    cp tests/*.h tests/need.sh "$D/tests"
    FROM=$4 TO=$5 awk 'BEGIN { from = ENVIRON["FROM"]; to = ENVIRON["TO"] }
        (i = index($0, from)) && !n { $0 = substr($0, 1, i - 1) to substr($0, i + length(from)); n++ } { print }
        END { exit n != 1 }' vitelemetry.h >"$D/vitelemetry.h" || echo '#error "what is replaced is not there"' >"$D/vitelemetry.h"
    if (cd "$D" && make -s "build/bench/$program" && REPEATS=1 "build/bench/$program") >"$D.log" 2>&1; then
        found='nothing'
    else
        found=$(grep '^FAIL' "$D.log" | sort -u)
    fi
    case $found in
    *"$wanted"*) passed=$((passed + 1)); echo "ok    $name" ;;
    *) failed=$((failed + 1)); echo "FAIL  $name: found ${found:-$(tail -3 "$D.log")}" ;;
    esac
    rm -rf "$D"
}

try 'a wrong constant of SHA-256' codec 'SHA-256 of abc' 0x428a2f98 0x428a2f99
try 'a wrong escape' codec 'in ours as in its own' "case '\\n': return \"\\\\n\";" "case '\\n': return \"\\\\t\";"
try 'a UUID without its version' codec 'UUIDs of version 4' 'version[16] = { 0, 0, 0, 0, 0, 0, 0x40, 0, 0x80 };' 'version[16] = { 0, 0, 0, 0, 0, 0, 0x50, 0, 0x80 };'
try 'a scrubber that removes nothing' codec 'what is removed' \
    'return vitp_scrub_text(out, out ? out_size : 0, text' \
    'if (out) return (size_t)snprintf(out, out_size, "%.*s", (int)text_size, text); return vitp_scrub_text(out, out ? out_size : 0, text'
try 'JSON that does not end' events 'a line of JSON' 'VITP_SHAPE_JSON ? "}}" : "]}", 2)' \
    'VITP_SHAPE_JSON ? "}}" : "]}", 1)'
try 'an event that is lost on the way' events 'a line of JSON' \
    'if (vitp_wire_quickly(wire, job, json, separator, (const unsigned char *)record, size))' \
    'static unsigned planted; if (vitp_wire_quickly(wire, job, json, separator, (const unsigned char *)record, size) && (++planted % 999 || (json->size = mark, 1)))'
try 'a spool that is not written' curves 'in the spool is there' \
    'saver.failed = !vitp_spool_begin(&t->spool, saver.errors);' 'saver.failed = true;'
echo
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
