#!/bin/sh
# explore.sh: the queue in all interleavings of small scenarios (explore_queue.c), and the same
# search over copies of the header with a bug planted in each, which it must find. Run from the
# repository root; a line a scenario, a line a bug, last `N passed, N failed`.
#   DEPTH, STALE, TRACE   see explore_main.h
#   HEADER                another header than vitelemetry.h
set -u
D=build/explore
CC=${CC:-cc}
H=${HEADER:-vitelemetry.h}
PLAIN=$D/queue.h BOUNDS='DEPTH=2 STALE=1' SPEED=-O1
. tests/explore_plant.sh

# Of the header, only what the queue needs: it compiles in a third of the time.
awk '/^\/\* =====/ { banner = $0; next }
     banner { if (/^   >>/) off = !/>>(limits|atomics|platform|queue):/
              if (!off) print banner
              banner = "" }
     /^#ifndef VITELEMETRY_WHITEBOX/ { off = 0 }
     !off' "$H" >"$PLAIN"

# ---- the queue as it is --------------------------------------------------------------------------

if compile queue explore_queue -O2 -DEXPLORE_HEADER="\"$here/$H\""; then
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
plant 'relaxed publish' 2 queue 0 "$(relax vitp_queue_commit_own '&c->word')"
plant 'publish read relaxed' 2 queue 0 "$(relax_load vitp_queue_begin_look '->word')"
plant 'shared record committed relaxed' 2 queue 5 \
    "$(relax vitp_queue_commit_shared '&head->what, VITP_HEAD_DONE')"
plant 'shared commit read relaxed' 2 queue 5 "$(relax_load vitp_queue_look_at '&head->what')"
plant 'shared chunk opened relaxed' 2 queue 5 "$(relax vitp_queue_open_shared '&c->word')"
plant 'relaxed recycle' 4 queue '3 1' "$(relax vitp_queue_recycle '[ (]&[cp]->\(word\|freed\)')"
plant 'freed stored relaxed' 2 queue '3 1' "$(relax vitp_queue_recycle '&p->freed')"
plant 'freed read relaxed' 2 queue '3 1' "$(relax_load vitp_pool_take '&p->freed')"
plant 'idle read relaxed by revoke' 2 queue 10 \
    "$(change vitp_queue_revoke 'LOAD_PTR_ACQUIRE(&s->owner)' 'LOAD_PTR(\&s->owner)')"
plant 'revocation ends relaxed' 2 queue 10 "$(relax vitp_queue_revoke '&s->limit')"

# steps left out, or in another order
plant 'write before claim' 1 queue 5 "$(within vitp_queue_append \
    '/VITP_ATOMIC_CAS/i\
        vitp_queue_head(c, VITP_WORD_BYTES(word))->number = 0;')"
plant 'missed seal' 2 queue '3 1' "$(change vitp_queue_next 's->word | VITP_WORD_SEALED' 's->word')"
plant 'take by equality' 2 queue '3 1' \
    "$(change vitp_pool_take '(int32_t)(freed - ticket) <= (int32_t)kept' 'freed - ticket == kept')"
plant 'recycled before released' 2 queue '16 3' "$(change vitp_queue_recycle \
    ' || q->cursors\[index\].released != VITP_WORD_BYTES(word)' '')"
plant 'free before it is emptied' 2 queue 9 "$(within vitp_queue_recycle \
    '/STORE_RELEASE(&c->word/{
h
d
}
/STORE_RELEASE(&p->freed/G')"
grep -q 'nothing orders two stores' "$D/found" || fail "that no other order of stores is possible is not checked"
plant 'idle before it is published' 2 queue 10 "$(within vitp_queue_commit_own \
    '/STORE_RELEASE(&c->word/{
N
s/\(.*\)\n\(.*\)/\2\n\1/
}')"
plant 'no busy test in revoke' 1 queue 10 "$(drop vitp_queue_revoke '&s->owner) & 1u')"
plant 'no heavy barrier' 2 queue 10 \
    "$(change vitp_queue_revoke 'VITP_ATOMIC_HEAVY_BARRIER() ? 0u : 1u' '0u')"
plant 'no light barrier, limit read early' 3 queue 10 "$(within vitp_queue_push \
    '/STORE_PTR(&s->owner, self | 1u)/i\
    uint32_t limit = VITP_ATOMIC_LOAD(&s->limit);
s/> VITP_ATOMIC_LOAD(&s->limit)/> limit/')"
plant 'no predecessor rule' 2 queue 17 \
    "$(change vitp_queue_look_chunk 'shared && vitp_queue_must_wait(q, c, place)' '0')"
plant 'numbers ignored' 2 queue 13 "$(change vitp_queue_is_next 'return false' 'return true')"
plant 'a word read late' 2 queue 18 \
    "$(change vitp_queue_look_chunk 'word = cursor->word' 'word = VITP_ATOMIC_LOAD_ACQUIRE(\&c->word)')"
plant 'the loser leaves its chunk open' 2 queue '5 6' \
    "$(change vitp_queue_open_shared 'own)) vitp_pool_close(c)' 'own))')"
plant 'claim without a second look' 2 queue '13 14' \
    "$(change vitp_queue_claim 'found = vitp_queue_find.*' 'found = s;')"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
