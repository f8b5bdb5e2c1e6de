#!/bin/sh
# explore.sh: the queue in all interleavings of small scenarios (explore_queue.c), and the same
# search over copies of the header with a bug planted in each, which it must find. Run from the
# repository root; a line a scenario, a line a bug, last `N passed, N failed`.
#   DEPTH, STALE, TRACE   see explore_queue.c
#   HEADER                another header than vitelemetry.h
set -u
D=build/explore
CC=${CC:-cc}
H=${HEADER:-vitelemetry.h}
passed=0 failed=0
mkdir -p "$D"
here=$(pwd)

# compile NAME OPTION ...: into $D/NAME. Compiled as for the thread sanitizer and linked without:
# the explorer takes the place of its library.
compile() {
    name=$1
    shift
    "$CC" -std=gnu11 -Wall -Wextra -fsanitize=thread -I. "$@" -c tests/explore_queue.c \
        -o "$D/$name.o" && "$CC" "$D/$name.o" -o "$D/$name" -pthread -lm
}

fail() {
    failed=$((failed + 1))
    echo "FAIL   $*"
}

# Of the header, only what the queue needs: it compiles in a third of the time.
awk '/^\/\* =====/ { banner = $0; next }
     banner { if (/^   >>/) off = !/>>(limits|atomics|platform|queue):/
              if (!off) print banner
              banner = "" }
     /^#ifndef VITELEMETRY_WHITEBOX/ { off = 0 }
     !off' "$H" >"$D/queue.h"

# plant NAME LINES SCENARIOS SED: explores these scenarios with a copy of the header in which that
# sed script changes so many lines
plant() {
    file=$(echo "$1" | tr ' ' '_')
    sed "$4" "$D/queue.h" >"$D/$file.h"
    changed=$(diff "$D/queue.h" "$D/$file.h" | grep -c '^[<>]')
    if [ "$changed" != "$2" ]; then
        fail "$1: $changed lines differ, not $2: the header has moved on"
    elif ! compile "$file" -O1 -w -DEXPLORE_BUG="\"$1\"" \
        -DEXPLORE_HEADER="\"$here/$D/$file.h\""; then
        fail "$1: does not compile"
    elif DEPTH=2 STALE=1 "$D/$file" $3; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

# within FUNCTION COMMANDS: those sed commands, in that function only
within() { printf '/^[a-z].*[ *]%s(/,/^}/{\n%s\n}' "$1" "$2"; }

relax() { within "$1" "/$2/s/STORE_RELEASE/STORE/"; }    # FUNCTION LINE
relax_load() { within "$1" "/$2/s/LOAD_ACQUIRE/LOAD/"; } # FUNCTION LINE
drop() { within "$1" "/$2/d"; }                          # FUNCTION LINE
change() { within "$1" "s/$2/$3/"; }                     # FUNCTION WHAT BY-WHAT

# ---- the queue as it is --------------------------------------------------------------------------

if compile explore_queue -O2 -DEXPLORE_HEADER="\"$here/$H\""; then
    "$D/explore_queue" "$@" >"$D/log"
    sed '$d' "$D/log"
    line=$(tail -1 "$D/log")
    f=${line#*, }
    passed=${line%% passed*} failed=${f%% failed*}
else
    fail "explore_queue.c does not compile"
fi

# ---- planted bugs --------------------------------------------------------------------------------

# memory orders
plant 'relaxed publish' 2 0 "$(relax vitp_queue_commit_own '&c->word')"
plant 'publish read relaxed' 2 0 "$(relax_load vitp_queue_begin_look '->word')"
plant 'shared record committed relaxed' 2 5 \
    "$(relax vitp_queue_commit_shared '&head->what, VITP_HEAD_DONE')"
plant 'shared commit read relaxed' 2 5 "$(relax_load vitp_queue_look_at '&head->what')"
plant 'shared chunk opened relaxed' 2 5 "$(relax vitp_queue_open_shared '&c->word')"
plant 'relaxed recycle' 4 '3 1' "$(relax vitp_queue_recycle '[ (]&[cp]->\(word\|freed\)')"
plant 'freed stored relaxed' 2 '3 1' "$(relax vitp_queue_recycle '&p->freed')"
plant 'freed read relaxed' 2 '3 1' "$(relax_load vitp_pool_take '&p->freed')"
plant 'idle read relaxed by revoke' 2 10 \
    "$(change vitp_queue_revoke 'LOAD_PTR_ACQUIRE(&s->owner)' 'LOAD_PTR(\&s->owner)')"
plant 'revocation ends relaxed' 2 10 "$(relax vitp_queue_revoke '&s->limit')"

# steps left out, or in another order
plant 'write before claim' 1 5 "$(within vitp_queue_append \
    '/VITP_ATOMIC_CAS/i\
        vitp_queue_head(c, VITP_WORD_BYTES(word))->number = 0;')"
plant 'missed seal' 2 '3 1' "$(change vitp_queue_next 's->word | VITP_WORD_SEALED' 's->word')"
plant 'take by equality' 2 '3 1' \
    "$(change vitp_pool_take '(int32_t)(freed - ticket) <= (int32_t)kept' 'freed - ticket == kept')"
plant 'recycled before released' 2 '16 3' "$(change vitp_queue_recycle \
    ' || q->cursors\[index\].released != VITP_WORD_BYTES(word)' '')"
plant 'free before it is emptied' 2 9 "$(within vitp_queue_recycle \
    '/STORE_RELEASE(&c->word/{
h
d
}
/STORE_RELEASE(&p->freed/G')"
plant 'idle before it is published' 2 10 "$(within vitp_queue_commit_own \
    '/STORE_RELEASE(&c->word/{
N
s/\(.*\)\n\(.*\)/\2\n\1/
}')"
plant 'no busy test in revoke' 1 10 "$(drop vitp_queue_revoke '&s->owner) & 1u')"
plant 'no heavy barrier' 2 10 \
    "$(change vitp_queue_revoke 'VITP_ATOMIC_HEAVY_BARRIER() ? 0u : 1u' '0u')"
plant 'no light barrier, limit read early' 3 10 "$(within vitp_queue_push \
    '/STORE_PTR(&s->owner, self | 1u)/i\
    uint32_t limit = VITP_ATOMIC_LOAD(&s->limit);
s/> VITP_ATOMIC_LOAD(&s->limit)/> limit/')"
plant 'no predecessor rule' 2 17 \
    "$(change vitp_queue_look_chunk 'shared && vitp_queue_must_wait(q, c, place)' '0')"
plant 'numbers ignored' 2 13 "$(change vitp_queue_is_next 'return false' 'return true')"
plant 'a word read late' 2 18 \
    "$(change vitp_queue_look_chunk 'word = cursor->word' 'word = VITP_ATOMIC_LOAD_ACQUIRE(\&c->word)')"
plant 'the loser leaves its chunk open' 2 '5 6' \
    "$(change vitp_queue_open_shared 'own)) vitp_pool_close(c)' 'own))')"
plant 'claim without a second look' 2 '13 14' \
    "$(change vitp_queue_claim 'found = vitp_queue_find.*' 'found = s;')"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
