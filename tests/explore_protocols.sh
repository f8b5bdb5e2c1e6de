#!/bin/sh
# explore_protocols.sh: consent, sleep and wake, the end of a client (explore_client.c), and what
# processes do with each other's files (explore_files.c), in all interleavings of small scenarios;
# and the same search over copies of the header with a bug planted in each, which it must find. Run
# from the repository root; a line a scenario, a line a bug, last `N passed, N failed`.
#   DEPTH, STALE, TRACE   see explore_main.h
#   HEADER                another header than vitelemetry.h
#   QUICK=1               at most one preemption in the scenarios
set -u
D=build/explore_protocols
CC=${CC:-cc}
H=${HEADER:-vitelemetry.h}
PLAIN=$H BOUNDS='DEPTH=2 STALE=0' SPEED=-O0 runs=0 scenarios=0
. tests/explore_plant.sh

# ---- the header as it is -------------------------------------------------------------------------

for program in client files; do
    echo "== $program"
    if ! compile $program "explore_$program" -O2 -DEXPLORE_HEADER="\"$here/$H\""; then
        fail "explore_$program.c does not compile"
        continue
    fi
    MOST=${QUICK:+1} "$D/explore_$program" >"$D/log"
    sed '$d' "$D/log"
    line=$(tail -1 "$D/log")
    f=${line#*, }
    passed=$((passed + ${line%% passed*})) failed=$((failed + ${f%% failed*}))
    scenarios=$((scenarios + $(grep -c '  ok$' "$D/log")))
    runs=$((runs + $(awk '/  ok$/ { n += $(NF - 4) + $(NF - 3) } END { print n + 0 }' "$D/log")))
done
echo "$scenarios scenarios in $runs runs"

# ---- planted bugs --------------------------------------------------------------------------------

# consent
plant 'handed over without a look' 2 client '15 11' "$(change vitp_worker_hand_over 'state == VITP_CANCEL_WANTED' 'false')"
plant 'a purge does not cancel' 2 client '18 11' "$(change vitp_worker_purge 't->sending || t->pending' 'false')"
plant 'the answer counts after a purge' 2 client '18' "$(change vitp_worker_step 'turn == t->purge_turn' 'true')"

# sleep and wake
plant 'a wake-up is lost by flush' 2 client '0' "$(change vitp_worker_wait 'VITP_ATOMIC_LOAD(&t->progress_turn) == turn' 'true')"
plant 'a wake-up is lost by the sleeper' 2 client '0' "$(change vitp_os_wake_wait ' != 0u) return;' ' > 1u) return;')"
plant 'woken before the flag is set' 2 client '0' "$(within vitp_os_wake_set '/__atomic_exchange_n/d
s/^ *(void)VITP_OS(syscall).*/&\
    (void)__atomic_exchange_n(\&w->set, 1u, 0);/')"
plant 'asleep without a second look' 2 client '20 21' "$(change vitp_worker_lie_down 'vitp_worker_is_idle(t)' 'true')"
plant 'the first event wakes nobody' 2 client '20 21' "$(change vitp_record_wake 'sleep == VITP_SLEEP_DEEP' 'false')"
plant 'the end wakes nobody' 1 client '1 2' "$(drop vitp_client_join 'vitp_os_wake_set')"
plant 'the end is not looked at' 2 client '1 2' "$(change vitp_worker_rest 'going = !t->stopping' 'going = true')"

# the end of a client
plant 'freed while the transport is called' 2 client '9' "$(change vitp_client_join 'return ended' 'return true')"
plant 'freed while the thread runs' 4 client '1 2' "$(within vitp_client_join \
    's/ended = vitp_client_thread_has_ended(t)/ended = true/
s/if (ended) vitp_os_thread_join.*/(void)0;/')"

# files
plant 'adoption by two, no lock' 2 files '0' "$(change vitp_os_pool_open 'VITP_OS(flock)(m->file, LOCK_EX | LOCK_NB) == 0' 'true')"
plant 'adoption by two, no look at the inode' 2 files '10 8' "$(change vitp_os_pool_open 'if (vitp_os_pool_is_at(m, path)) return found' 'return found')"
plant 'told by two' 4 files '6' "$(change vitp_worker_hear_pool 'm.run.state = VITP_RUN_NONE' '(void)0')
$(change vitp_teller_save 'vitp_spool_holds(&t->spool, key)' 'false')"
plant 'the marker told by two' 2 files '8' "$(change vitp_worker_hear_marker 'vitp_worker_put_down(t, gone)' 'vitp_worker_put_down(t, false)')"
plant 'a repeat under another key' 2 files '3' "$(change vitp_stock_resume 's->again = l->batch_state' 's->again = false \&\& l->batch_state')"
plant 'an orphan is deleted before it is delivered' 2 files '4 5' "$(change vitp_worker_put_down 'if (remove)' 'if (true)')"
plant 'a spool file is read by two' 2 files '10' "$(change vitp_spool_open_next '== VITP_OS_FOUND_OURS' '!= VITP_OS_FOUND_REFUSED')"
plant 'the refusal of another is not looked at' 2 files '13' "$(change vitp_worker_prepare '!vitp_worker_recheck(t)' 'false')"
plant 'a refusal amid writing is not heeded' 1 files '15' "$(drop vitp_worker_let_go 'vitp_worker_heed')"
plant 'a refusal while kept out is not heard' 2 files '15' "$(change vitp_worker_write '&t->heard' '\&said')"
plant 'a grant is written without the lock' 2 files '15' "$(change vitp_worker_write 'vitp_worker_is_kept_out(t) \&\& !only_new' 'false')"
plant 'what is of a new identity is purged as well' 2 files '17 18' "$(change vitp_worker_adopt_identity 'vitp_worker_purge(t, VIT_DROP_CONSENT)' 'vitp_worker_purge_all(t)')"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
