#!/bin/sh
# plant_failures.sh: takes a protection out of a copy of the header, and the test that FAILURES.md names
# for it must fail, and pass without that. SEED draws the failures, COUNT of them (10) or all.
set -u
D=build/planted
passed=0 failed=0
rm -rf $D
mkdir -p $D/tests || exit 1
cp tests/*.h $D/tests/
cat >$D/only.c <<'END'
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
__attribute__((constructor)) static void only(void) { cmocka_set_test_filter(getenv("ONLY")); }
END

# failure | test | what is taken out, by sed within a function
table() {
    cat <<'END'
F1|test_spool.c: test_cuts|/^static void vitp_spool_limit/,/^}/s/f->head.end = f->file.size > sizeof f->head ? f->file.size : sizeof f->head/f->head.end = sizeof f->head/
F3|test_disk.c: test_zeros|/^static uint64_t vitp_spool_resume/,/^}/s/^            return at;/            return end;/
F4|test_disk.c: test_each_bit|/^static const char \*vitp_spool_record_at/,/^}/s/ || frame->check != vitp_spool_check_record(frame, bytes + at)//
F5|test_disk.c: test_many_files|s/^#define VITP_SPOOL_TRIES 256u/#define VITP_SPOOL_TRIES 1000000u/
F6|test_disk.c: test_no_plain_file|/^static vitp_os_found vitp_os_pool_open/,/^}/s/s.st_nlink == 1/s.st_nlink > 0/
F7|test_worker.c: test_options|/^static bool vitp_client_is_valid/,/^}/s/vitp_client_is_type(o->client_type)/true/
F8|test_host.c: test_umask|/^static void vitp_os_make_part/,/^}/s/(path, 0700)/(path, 0777)/
F9|test_disk.c: test_half_a_line|/^static bool vitp_os_append(/,/^}/s/if (n > 0)/if (n > (ssize_t)size)/
F10|test_disk.c: test_flush_fails|/^static bool vitp_os_put_file/,/^}/s/ok = VITP_OS(fsync)(fd) == 0 \&\& ok;/(void)VITP_OS(fsync)(fd);/
F12|test_gates.c: test_no_descriptor|/^static vitp_os_read vitp_os_unread/,/^}/s/{ EMFILE, ENFILE,/{ ENFILE, ENFILE,/
F13|test_disk.c: test_allocations|/^static void vitp_worker_put_down/,/^}/s/if (s->block) t->allocator.free_fn(s->block, t->allocator.user);//
F16|test_disk.c: test_no_locks|/^static vitp_os_found vitp_os_pool_open/,/^}/s/LOCK_NB) == 0/LOCK_NB) == 0 || errno == ENOLCK/
F17|test_worker.c: test_fork|/^static bool vitp_os_page_forked/,/^}/s/memory == 0u/memory == 7u/
F18|test_host.c: test_programs_started|/^static bool vitp_os_pool_take/,/^}/s/ | O_CLOEXEC//
F19|test_host.c: test_programs_started|/^static intptr_t vitp_os_hold_folder/,/^}/s/ | O_CLOEXEC//
F39|test_host.c: test_broken_pipe|/^static bool vitp_os_thread_start/,/^}/s/sigfillset(/sigemptyset(/
F44|test_json.c: test_real|/^static void vitp_json_real/,/^}/s/== 0x7FFu)/== 0x800u)/
F48|test_worker.c: test_null|/^bool vit_flush/,/^}/s/if (!t) return true;//
F54|test_host.c: test_cancelled_inside|/^static int vitp_os_hold_cancel/,/^}/s/setcancelstate(PTHREAD_CANCEL_DISABLE/setcancelstate(PTHREAD_CANCEL_ENABLE/
F56|test_consent.c: test_settings_unreadable|/^static vitp_os_read vitp_os_read_file/,/^}/s/how = VITP_OS_READ_REFUSED/how = VITP_OS_READ_ABSENT/
F59|test_host.c: test_no_random|/^static bool vitp_id_random/,/^}/s/at\[i\] = (unsigned char)(.*/at[i] = 0;/
F60|test_host.c: test_sandbox|/^static vitp_os_read vitp_os_unread/,/^}/s/: VITP_OS_READ_REFUSED/: VITP_OS_READ_ABSENT/
F61|test_host.c: test_descriptors_closed|/^static bool vitp_os_pool_is_file/,/^}/s/s->st_ino == m->inode/s->st_ino > 0/
F62|test_host.c: test_moves|/^static bool vitp_os_make_absolute/,/^}/s/if (path\[0\] == '\/') return true;/return true;/
F64|test_worker.c: test_1000_rounds|/^static void vitp_os_page_free/s/VITP_OS(munmap)(p->memory, p->size)/(void)p/
F66|test_disk.c: test_foreign|/^static bool vitp_spool_head_is_foreign/,/^}/s/h->version != VITP_SPOOL_VERSION || h->order != VITP_SPOOL_ORDER/h->version == 0/
END
}

# builds a test over a header; the header lies beside the folder of the test
build() { # folder, file
    mkdir -p "$1/tests" && cp tests/*.h "tests/$2" "$1/tests/" &&
        ${CC:-cc} -std=c99 -O1 -g -DVITP_OS_ETC='"/nonexistent"' -w -I"$1" "$1/tests/$2" $D/only.c -o "$1/test" \
            -lcmocka -pthread -lm >"$1/log" 2>&1
}
runs() { ONLY=$2 timeout 120 "$1/test" >"$1/log" 2>&1; }
bad() {
    failed=$((failed + 1))
    echo "FAIL $1"
}

one() { # no, file, test, sed
    with=$D/with-$2 without=$D/without
    if ! grep "^| $1 " tests/FAILURES.md | grep -qF "\`$2: $3\`"; then bad "$1: FAILURES.md does not name $2: $3"; return; fi
    [ -x "$with/test" ] || { mkdir -p "$with" && cp vitelemetry.h "$with/" && build "$with" "$2"; } ||
        { bad "$1: $2 is not built"; return; }
    if ! runs "$with" "$3" || ! grep -q "^\[       OK \] $3" "$with/log"; then bad "$1: $2: $3 does not pass as it is"; return; fi
    rm -rf $without
    mkdir -p $without
    sed "$4" vitelemetry.h >$without/vitelemetry.h
    if cmp -s vitelemetry.h $without/vitelemetry.h; then bad "$1: nothing to plant it in: $4"; return; fi
    if ! build $without "$2"; then
        bad "$1: it is not built without the protection"
        head -3 $without/log
        return
    fi
    if runs $without "$3"; then bad "$1: $2: $3 passes without the protection"; else
        passed=$((passed + 1))
        echo "ok $1: $2: $3 fails without it"
    fi
}

count=${COUNT:-10}
[ "$count" = all ] && count=1000
seed=${SEED:-$(date +%j)}
table | awk -v seed="$seed" 'BEGIN { srand(seed) } { print rand() "\t" $0 }' | sort -n | head -n "$count" |
    cut -f2- | sort -t'|' -k2,2 >$D/drawn
while IFS='|' read -r no test edit; do
    one "$no" "${test%%: *}" "${test#*: }" "$edit"
done <$D/drawn
rm -f core
echo "seed $seed: $(wc -l <$D/drawn) of $(table | wc -l) drawn"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
