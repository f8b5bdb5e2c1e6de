/* stepped.h - the header's atomic operations, with something that happens beside them. Include it
   before vitelemetry.h, with STEP() defined.

   STEP()          before each of them that can decide between threads
   STEP_PUBLISH()  before those by which others see what was written, instead of STEP()
   STEP_SEEN()     after a store by which others see it
   STEP_BARRIER()  the heavy barrier; what vitp_os_heavy_barrier returns */

#ifndef TESTS_STEPPED_H
#define TESTS_STEPPED_H

#ifndef STEP_PUBLISH
#define STEP_PUBLISH() STEP()
#endif
#ifndef STEP_SEEN
#define STEP_SEEN() ((void)0)
#endif
#ifndef STEP_BARRIER
#define STEP_BARRIER() vitp_os_heavy_barrier()
#endif

#define VITP_ATOMIC_LOAD(p)         (STEP(), __atomic_load_n((p), __ATOMIC_RELAXED))
#define VITP_ATOMIC_LOAD_ACQUIRE(p) (STEP(), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define VITP_ATOMIC_STORE(p, v)     (STEP(), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define VITP_ATOMIC_STORE_RELEASE(p, v) \
    (STEP_PUBLISH(), __atomic_store_n((p), (v), __ATOMIC_RELEASE), STEP_SEEN())
#define VITP_ATOMIC_ADD(p, v)      (STEP(), (void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define VITP_ATOMIC_OR(p, v)       __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_EXCHANGE(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define VITP_ATOMIC_CAS(p, expected, v) \
    (STEP_PUBLISH(),                    \
     __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#define VITP_ATOMIC_LOAD_PTR(p)             VITP_ATOMIC_LOAD(p)
#define VITP_ATOMIC_LOAD_PTR_ACQUIRE(p)     VITP_ATOMIC_LOAD_ACQUIRE(p)
#define VITP_ATOMIC_STORE_PTR(p, v)         VITP_ATOMIC_STORE(p, v)
#define VITP_ATOMIC_STORE_PTR_RELEASE(p, v) VITP_ATOMIC_STORE_RELEASE(p, v)
#define VITP_ATOMIC_ADD_PTR(p, v)           __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_CAS_PTR(p, expected, v) VITP_ATOMIC_CAS(p, expected, v)
#define VITP_ATOMIC_LIGHT_BARRIER()         (STEP(), __atomic_signal_fence(__ATOMIC_SEQ_CST))
#define VITP_ATOMIC_HEAVY_BARRIER()         (STEP(), STEP_BARRIER())

#endif
