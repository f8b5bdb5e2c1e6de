#!/bin/sh
# fuzz.sh [planted]: the target tests/fuzz/scrub.c under libFuzzer with AddressSanitizer and
# UndefinedBehaviorSanitizer for TIME seconds, or for RUNS executions when that is set. It begins with the
# seeds, the lines of the corpus and what earlier runs kept in build/fuzz/corpus.
# FUZZ_FLAGS="-O2 -fsanitize=fuzzer" is five times as fast and sees no wrong access.
# `planted` puts bugs into copies of the header and ends with 0 when each is found within TIME.
set -u
D=build/fuzz TIME=${TIME:-60} RUNS=${RUNS:-0}
mkdir -p $D/corpus $D/seeds
cc=${FUZZ_CC:-clang}

build() { # folder of the header, program
    $cc -std=c11 -g ${FUZZ_FLAGS:--O1 -fsanitize=fuzzer,address,undefined} -fno-sanitize-recover=all \
        -I"$1" tests/fuzz/scrub.c -o "$2" -pthread
}

# one file a line of the corpus; the first byte chooses the size of the short buffer
rm -f $D/seeds/l*
awk -v d=$D/seeds 'BEGIN { FS = "\t" }
    !/^#/ { f = d "/l" ++n; printf "%c%s", 33 + n % 90, $NF >f; close(f) }' tests/data/scrub_*.tsv

fuzz() { # program, corpus, further options
    program=$1 corpus=$2
    shift 2
    "$program" -max_len=1024 -dict=tests/fuzz/scrub.dict -print_final_stats=1 -artifact_prefix=$D/ "$@" \
        "$corpus" tests/fuzz/seeds/scrub $D/seeds
}

plain() {
    build . $D/scrub || exit 1
    if [ "$RUNS" != 0 ]; then limit=-runs=$RUNS; else limit=-max_total_time=$TIME; fi
    fuzz $D/scrub $D/corpus $limit 2>$D/scrub.log
    status=$?
    grep -E '^(broken|SUMMARY|stat::(number|average|peak)|artifact_prefix)|ERROR|runtime error' $D/scrub.log
    if [ $status = 0 ]; then echo '1 passed, 0 failed'; else echo "see $D/scrub.log"; echo '0 passed, 1 failed'; fi
    exit $status
}

# name, sed script that plants the bug
plant() {
    dir=$D/planted/$1
    mkdir -p "$dir/corpus"
    sed "$2" vitelemetry.h >"$dir/vitelemetry.h"
    if cmp -s vitelemetry.h "$dir/vitelemetry.h"; then
        echo "FAIL $1: nothing to plant it in"
        failed=$((failed + 1))
        return
    fi
    start=$(date +%s) reason='does not build'
    if build "$dir" "$dir/scrub"; then
        reason="not found in $TIME s"
        fuzz "$dir/scrub" "$dir/corpus" -max_total_time="$TIME" >"$dir/log" 2>&1
        found=$(grep -m1 -oE 'broken: .*|ERROR: AddressSanitizer: [a-z-]*|runtime error: .*' "$dir/log")
        if [ -n "$found" ]; then
            echo "ok   $1, in $(($(date +%s) - start)) s: $found"
            passed=$((passed + 1))
            return
        fi
    fi
    echo "FAIL $1: $reason"
    failed=$((failed + 1))
}

planted() {
    rm -rf $D/planted
    passed=0 failed=0
    # without a bug planted the same inputs must pass, or a plant is found by what was there before
    if ! build . $D/scrub || ! fuzz $D/scrub $D/corpus -runs=1 2>$D/scrub.log; then
        grep -hE '^(broken|SUMMARY)' $D/scrub.log
        echo '0 passed, 1 failed'
        return 1
    fi
    plant 'a cut inside a character' 's/return length > back ? size - back : size;/return size;/'
    plant 'a cut inside a marker' 's/span.marker, strlen(span.marker), true)/span.marker, strlen(span.marker), false)/'
    plant 'a NUL one byte late' "s/out\[sink\.kept\] = '.0';/out[sink.kept + 1] = 0;/"
    plant 'a marker that is scrubbed again' 's/"\[mac\]"/"a@b.cd"/'
    plant 'a marker that is too long' 's/"\[jwt\]"/"[a json web token]"/'
    plant 'a byte read beyond the text' 's/while (at < end \&\& vitp_scrub_is(s->text\[at\], set)) at++;/while (at <= end \&\& vitp_scrub_is(s->text[at], set)) at++;/'
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}

case ${1:-} in
planted) planted ;;
*) plain ;;
esac
