#!/bin/sh
# fuzz.sh [planted | places]: the targets tests/fuzz/NAME.c under libFuzzer, with AddressSanitizer and
# UndefinedBehaviorSanitizer, one after the other: each for TIME seconds (60), or for RUNS executions
# when that is set. ONLY="json spool" chooses some. A target begins with tests/fuzz/seeds/NAME, with
# the seeds that it makes, and with what earlier runs kept in build/fuzz/corpus/NAME.
# FUZZ_FLAGS="-O2 -fsanitize=fuzzer" is several times as fast and sees only what a target demands;
# FUZZ_CC is another compiler.
# `planted` puts bugs into copies of the header and of the examples and ends with 0 when each is
# found within TIME; `places` looks only whether each has its place there.
set -u
D=build/fuzz TIME=${TIME:-60} RUNS=${RUNS:-0}
targets='scrub json record spool settings conf dconf plist date answer collector'
ONLY=${ONLY:-$targets}
flags=${FUZZ_FLAGS:--O1 -fsanitize=fuzzer,address,undefined}
passed=0 failed=0 total=0
mkdir -p $D

for t in $ONLY; do
    case " $targets " in *" $t "*) ;; *) echo "no target: $t (there are: $targets)"; exit 2 ;; esac
done

wanted() { case " $ONLY " in *" $1 "*) true ;; *) false ;; esac; }

build() { # target, folder of what it includes, program
    std='c99'
    [ "$1" != scrub ] || std='c11'
    ${FUZZ_CC:-clang} -std=$std -g $flags -fno-sanitize-recover=all -Wno-unused-function \
        -I"$2" -I. "tests/fuzz/$1.c" -o "$3" -pthread
}

# inputs of all sizes from the start, but for texts, which are slow when they are long
options() { # target
    [ $1 = scrub ] || echo -len_control=0 -entropic=0
    case $1 in
    scrub) echo -max_len=1024 -dict=tests/fuzz/scrub.dict ;;
    date) echo -max_len=96 ;;
    json | conf) echo -max_len=512 ;;
    spool | dconf) echo -max_len=4096 ;;
    collector) echo -max_len=2048 ;;
    *) echo -max_len=1024 ;;
    esac
}

# one file a line of the corpus of texts; the first byte chooses the size of the short buffer
lines() {
    awk -v d="$1" 'BEGIN { FS = "\t" }
        !/^#/ { f = d "/l" ++n; printf "%c%s", 33 + n % 90, $NF >f; close(f) }' tests/data/scrub_*.tsv
}

fuzz() { # target, program, corpus, further options
    target=$1 program=$2 corpus=$3 seeds=$D/seeds/$1 known=
    shift 3
    rm -rf "$seeds"
    mkdir -p "$corpus" "$seeds"
    [ "$target" != scrub ] || lines "$seeds"
    [ ! -d tests/fuzz/seeds/$target ] || known=tests/fuzz/seeds/$target
    # shellcheck disable=SC2046
    FUZZ_SEEDS=$seeds "$program" -timeout=20 -print_final_stats=1 -artifact_prefix=$D/$target- \
        $(options $target) "$@" "$corpus" $known "$seeds"
}

finding() { # log
    grep -m1 -aoE 'broken: .*|ERROR: AddressSanitizer: [a-zA-Z-]*|runtime error: .*|ERROR: libFuzzer: [a-z -]*|ERROR: LeakSanitizer|No such file.*' "$1"
}

fail() {
    echo "FAIL $*"
    failed=$((failed + 1))
}

plain() { # target
    build "$1" . $D/$1 || { fail "$1: does not build"; return; }
    if [ "$RUNS" != 0 ]; then limit=-runs=$RUNS; else limit=-max_total_time=$TIME; fi
    fuzz $1 $D/$1 $D/corpus/$1 $limit >$D/$1.log 2>&1
    status=$?
    n=$(sed -n 's/^stat::number_of_executed_units: *//p' $D/$1.log)
    total=$((total + ${n:-0}))
    if [ $status = 0 ] && [ "${n:-0}" -gt 0 ]; then
        printf 'ok   %-10s %11d executions %9d a second\n' $1 "$n" \
            "$(sed -n 's/^stat::average_exec_per_sec: *//p' $D/$1.log)"
        passed=$((passed + 1))
    else
        fail "$1: $(finding $D/$1.log)"
        sed -n 's/^artifact_prefix.*written to /     the input: /p' $D/$1.log
        echo "     see $D/$1.log"
    fi
}

# target, what, file, sed script that plants the bug
plant() {
    wanted $1 || return
    if [ $places = 1 ]; then
        if sed "$4" "$3" | cmp -s - "$3"; then fail "$1: $2: nothing to plant it in"; else passed=$((passed + 1)); fi
        return
    fi
    dir=$D/planted/$((passed + failed))
    mkdir -p "$dir/corpus" "$dir/examples"
    cp examples/dashboard.h "$dir/examples/"
    sed "$4" "$3" >"$dir/$3"
    if cmp -s "$3" "$dir/$3"; then
        fail "$1: $2: nothing to plant it in"
        return
    fi
    start=$(date +%s) reason='does not build'
    if build $1 "$dir" "$dir/$1"; then
        reason="not found in $TIME s"
        fuzz $1 "$dir/$1" "$dir/corpus" -max_total_time="$TIME" >"$dir/log" 2>&1
        found=$(finding "$dir/log")
        if [ -n "$found" ]; then
            echo "ok   $1: $2, in $(($(date +%s) - start)) s: $found"
            passed=$((passed + 1))
            rm -f "$dir/$1"
            return
        fi
    fi
    fail "$1: $2: $reason"
}

h=vitelemetry.h
planted() {
    [ $places = 1 ] || rm -rf $D/planted
    # without a bug planted the same inputs must pass, or a plant is found by what was there before
    [ $places = 1 ] || for t in $ONLY; do
        build $t . $D/$t && fuzz $t $D/$t $D/planted/none-$t -runs=1 >$D/$t.log 2>&1 ||
            fail "$t: with nothing planted: $(finding $D/$t.log)"
    done
    [ $failed = 0 ] || return
    plant scrub 'a cut inside a character' $h 's/return length > back ? size - back : size;/return size;/'
    plant scrub 'a cut inside a marker' $h 's/span.marker, strlen(span.marker), true)/span.marker, strlen(span.marker), false)/'
    plant scrub 'a NUL one byte late' $h "s/out\[sink\.kept\] = '.0';/out[sink.kept + 1] = 0;/"
    plant scrub 'a marker that is scrubbed again' $h 's/"\[mac\]"/"a@b.cd"/'
    plant scrub 'a marker that is too long' $h 's/"\[jwt\]"/"[a json web token]"/'
    plant scrub 'a byte read beyond the text' $h 's/while (at < end \&\& vitp_scrub_is(s->text\[at\], set)) at++;/while (at <= end \&\& vitp_scrub_is(s->text[at], set)) at++;/'
    plant json 'half a text stays' $h 's/    if (j->full) j->size = mark;$//'
    plant json 'a surrogate is a character' $h 's/if (c == 0xEDu) high = 0x9Fu;//'
    plant json '16 digits are always enough' $h 's/above \&\& n < VITP_JSON_REAL_DIGITS) {/above \&\& n < 16u) {/'
    plant json 'one byte too many' $h 's/if (j->full || size > j->capacity - j->size) {/if (j->full || size > j->capacity - j->size + 1) {/'
    plant record 'a key of any characters' $h 's/if (!w->secret \&\& !vitp_text_is_key(name, name_size)) w->corrupt = true;//'
    plant record 'a schema beyond its end' $h 's/if (r->at == 0 || r->at > VITP_LEDGER_SCHEMAS) return NULL;/if (r->at == 0) return NULL;/'
    plant record 'a journal of no chunk' $h 's/if (j->index >= p->chunk_count || j->begin >= j->end) return false;//'
    plant record 'a chunk beyond its end' $h 's/if (at > end || end > p->data_bytes || /if (at > end || /'
    plant record 'what was answered is counted' $h 's/(uintptr_t)(found->records + found->torn - settled)/(uintptr_t)(found->records + found->torn)/'
    plant spool 'a record beyond the file' $h 's/frame->size > end - at || frame->check/frame->check/'
    plant spool 'a begin beyond the end' $h 's/h->begin <= h->end \&\& h->end <= size/h->end <= size/'
    plant spool 'a repeated request under another key' $h 's/vitp_sha256_add(&sha, &records, sizeof records);/vitp_sha256_add(\&sha, \&s->tried, 1);/'
    plant spool 'what cannot be read is not counted' $h 's/vitp_spool_count(&s->adopted, found - own + pieces);/vitp_spool_count(\&s->adopted, found - own);/'
    plant settings 'an id of fewer bytes' $h 's/"hwid") && size == 36)/"hwid") \&\& size >= 30)/'
    plant settings 'a grant that is no word' $h 's/if (i == 4) s->unreadable = true;/if (i == 4) s->consent = VIT_CONSENT_GRANTED;/'
    plant conf 'a switch that is neither on nor off' $h 's/else if (!known || !vitp_consent_is_word(VITP_CONSENT_OFF, value, size))/else if (!known)/'
    plant dconf 'a name beyond the file' $h 's/at > d->size || n > d->size - at ||/at > d->size ||/'
    plant plist 'more names than bytes' $h 's,count > (d.table - at) / d.reference / 2),count > 1000000),'
    plant date 'a year of the Julian calendar' $h 's,y / 4 - y / 100 + y / 400 +,y / 4 - 15 +,'
    plant date 'no clock is too late' $h 's/now_s < most_s ? now_s : most_s/now_s/'
    plant date 'more than a day' $h 's/if (wait_s <= (int64_t)VITP_BACKOFF_RETRY_AFTER_S)$/if (wait_s <= 8640)/; s/return wait_s > (int64_t)VITP_BACKOFF_RETRY_AFTER_S ?/return wait_s > 864000 ?/'
    plant answer 'more refused than sent' $h 's/return n < t->batch.events ? n : t->batch.events;/return n;/'
    plant answer 'a chunk of any size' examples/http.c 's/memmove(out, in, size < there ? size : there);/memmove(out, in, size);/'
    plant answer 'a host of any length' examples/http.c 's/if (size == 0 || size >= room) return false;/if (size == 0) return false;/'
    plant collector 'a name of any length' examples/collector.c 's/if (d->size == d->full \&\& d->size + size <= NAME_MAX_SIZE)/if (d->size == d->full)/'
    plant collector 'a head that is found by luck' examples/collector.c 's/\*scanned = next - 1;/*scanned = next;/'
    plant collector 'a string of any bytes' examples/collector.c 's/if (length == 0) return json_fail(j, "a string that is not UTF-8");/if (length == 0) length = 1;/'
}

places=0
[ "${1:-}" != places ] || places=1
if [ "${1:-}" = planted ] || [ $places = 1 ]; then
    planted
else
    start=$(date +%s)
    for t in $ONLY; do plain $t; done
    echo "fuzz: $total executions in $(($(date +%s) - start)) s"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
