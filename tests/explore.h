/* explore.h: runs a few threads through all their interleavings, up to a bound, under a memory
   model that is weaker than the machine's. Included once, before the implementation.

   The threads are coroutines of one thread of the system. Each atomic operation is a point where
   another of them may go on, and each load a point where an older value may be seen. A schedule is
   the list of these choices. The first run takes choice 0 everywhere (go on, newest value); each
   next run repeats all but the last choice that had an alternative, takes that, and goes on with
   0: a depth-first search from the start each time, without saved states.

   Bounded     preemptions (a switch inside a call; between two calls of the queue, and where a
               thread waits, it is free), stale loads, and signals a run.
   Store       buffers are modelled from the reader's side: a location keeps its last stores in
               their order, and whoever has no reason to know of the newest may read an older one,
               as if the newer were still in their writer's buffer. Each reader and each location
               by itself: stores leave in any order but that of one location. What a thread knows:
               its own stores, what it has read, and, by a load-acquire of a store-release or of
               what read-modify-writes made of it, all that the releasing thread knew.
               A read-modify-write reads the newest store.
   Order       of the stores of a location is the one in which they were executed. Where C11 would
               allow another (a store or a read-modify-write of a thread that has no reason to know
               of the newest could come before it), a run of the queue fails, so that there is none
               to be tried; the other explorers take it as it comes.
   Heavy       barrier: each thread in turn learns what the caller knew, and the caller what that
               thread knew; others run between these steps. The light barrier is none: the explorer
               does not reorder what one thread does (the planted bugs do that by hand).
   Plain       accesses must be ordered by happens-before against every access to the same byte
               that conflicts; else it is a data race, and a failure. memcpy and memset are
               seen as macros; all the others are seen when this file and the implementation are
               compiled with -fsanitize=thread and linked without: the calls that the compiler
               puts in end here.
   Not         modelled: loads that see later stores (RC11 has none); signals at an instruction that
               neither is atomic nor touches the queue's memory.

   Points      are only where they can matter: at memory on which atomic accesses of two threads,
               one of them a store, were seen that no happens-before orders. The search begins
               anew whenever one more such place is seen.

   Runs that lead to the same state with the same or less of the bounds left are cut off there. The
   state is known by the events so far: each thread's own list, from which store each of them read,
   and the order of the stores of each location. That is kept as a sum of hashes of 64 bits. */

#ifndef EXPLORE_H
#define EXPLORE_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#define X_THREADS 4u
#define X_HISTORY 16u    /* stores of a location that are remembered */
#define X_STEPS   20000u /* operations of a run: more is a run that does not end */
#define X_CHOICES 32768u
#define X_STACK   262144u /* bytes of a coroutine's stack */
#ifndef X_WORDS
#define X_WORDS 4096u /* most memory that is watched, in units of four bytes */
#endif
#define X_SEEN_MAX 24u /* log2 of the most states that are remembered */

/* The explorer's own accesses are none of its business. */
#define X_OURS __attribute__((no_sanitize("thread")))

typedef struct x_store {
    uint64_t value;
    uint16_t seen[X_THREADS]; /* when each thread came to know of it; 0: not */
    uint16_t sync[X_THREADS]; /* what a load-acquire of it makes known: a clock */
    uint16_t writer, time;
    bool     follows; /* made by a read-modify-write: nothing comes between it and the one before */
} x_store;

/* Four bytes of the queue's memory (a uintptr_t: its first four). */
typedef struct x_cell {
    uint32_t run;   /* what is here is of this run; else nothing has happened */
    uint32_t count; /* stores so far; the last X_HISTORY are kept */
    uint16_t plain_written[4], plain_read[4][X_THREADS]; /* by byte */
    uint8_t  plain_writer[4];
    uint16_t atomic_read[X_THREADS], atomic_written[X_THREADS];
    uint64_t order; /* hash of its stores in their order */
    x_store  stores[X_HISTORY];
} x_cell;

typedef enum x_state {
    X_READY,
    X_WAITS,
    X_DONE
} x_state;

typedef struct x_thread {
    jmp_buf    at, top; /* where it goes on; where it begins, once it was there */
    ucontext_t fresh;
    char      *stack;
    bool       begun, started; /* in some run; in this one */
    x_state    state;
    bool (*ready_fn)(uint32_t self); /* while it waits */
    uint16_t clock[X_THREADS];
    uint64_t hash;
    bool     in_call, in_signal;
} x_thread;

typedef struct x_choice {
    uint16_t taken, of;
} x_choice;

typedef struct x_bounds {
    uint32_t preemptions, stale, signals;
} x_bounds;

typedef struct x_counts {
    uint64_t runs, cut, steps, states, forgotten; /* forgotten: stores that a history lost */
} x_counts;

typedef struct x_known {
    uint64_t key, budgets;
} x_known;

static struct {
    /* what is explored */
    unsigned char *memory;
    size_t         memory_size;
    uint32_t       threads;
    x_bounds       bounds;
    void (*body_fn)(uint32_t self);
    void (*signal_fn)(uint32_t self);
    bool one_order; /* that the stores could have another order is a failure */
    /* what else there is to wait for and to know (explore_world.h); NULL: nothing */
    bool (*may_expire_fn)(uint32_t t); /* it waits, but not for ever: */
    void (*expire_fn)(uint32_t t);     /* and need wait no longer: counted as a signal */
    bool (*idle_fn)(void);             /* nobody can go on. False: nor will anybody */
    void (*access_fn)(const void *p);  /* before each access to what is watched */
    /* this run */
    uint32_t run, self, steps;
    x_bounds left;
    bool     running, free_switch, trace;
    jmp_buf  end;
    char     failure[256];
    uint64_t order; /* sum of the cells' */
    uint64_t other; /* what else the state is, as a hash */
    x_thread thread[X_THREADS];
    x_cell   cells[X_WORDS];
    uint32_t touched[X_WORDS], touched_count; /* cells with stores */
    /* of all runs so far */
    bool hot[X_WORDS]; /* by cell: atomic accesses conflicted that nothing orders */
    bool warmer;       /* one more is: what was explored without it does not count */
    /* the search */
    x_choice choices[X_CHOICES];
    uint32_t depth, recorded;
    x_counts counts;
    x_known *known;
    uint64_t known_count;
    uint32_t known_bits;
} x;

typedef enum x_outcome {
    X_COMPLETE = 1,
    X_CUT,
    X_FAILED
} x_outcome;

/* ---- failures ---------------------------------------------------------------------------- */

X_OURS static void x_leave(x_outcome outcome)
{
    x.running = false;
    _longjmp(x.end, (int)outcome);
}

__attribute__((format(printf, 1, 2))) X_OURS static void x_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(x.failure, sizeof x.failure, format, list);
    va_end(list);
    x_leave(X_FAILED);
}

X_OURS static void x_on_signal(int number)
{
    if (!x.running) _Exit(3);
    x_fail("thread %u: signal %d of the system", (unsigned)x.self, number);
}

/* ---- choices ----------------------------------------------------------------------------- */

X_OURS static uint64_t x_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
    h *= 0xBF58476D1CE4E5B9u;
    return h ^ (h >> 32);
}

/* One of n. */
X_OURS static uint32_t x_choose(uint32_t n)
{
    x_choice *c = &x.choices[x.depth];
    if (n <= 1) return 0;
    if (x.depth >= X_CHOICES - 1u) x_fail("more choices than are kept");
    if (x.depth >= x.recorded) {
        c->taken = 0;
        c->of = (uint16_t)n;
        x.recorded = x.depth + 1u;
    }
    if (c->of != n) x_fail("a run does not repeat itself: %u choices, not %u", n, c->of);
    x.depth++;
    return c->taken;
}

/* The next schedule. False: that was the last one. */
X_OURS static bool x_next_schedule(void)
{
    while (x.recorded > 0) {
        x_choice *c = &x.choices[x.recorded - 1u];
        if (c->taken + 1u < c->of) {
            c->taken++;
            return true;
        }
        x.recorded--;
    }
    return false;
}

X_OURS static void x_known_grow(void)
{
    x_known *old = x.known;
    uint64_t i, size = old ? (uint64_t)1 << x.known_bits : 0, mask;
    x.known_bits = old ? x.known_bits + 1u : 18u;
    mask = ((uint64_t)1 << x.known_bits) - 1u;
    x.known = (x_known *)calloc(mask + 1u, sizeof *x.known);
    if (!x.known) abort();
    for (i = 0; i < size; i++) {
        uint64_t at = old[i].key & mask;
        if (!old[i].budgets) continue;
        while (x.known[at].budgets) at = (at + 1u) & mask;
        x.known[at] = old[i];
    }
    free(old);
}

/* Bit p * 8 + s: the state was met with p preemptions and s stale loads left, at most 7 each. */
X_OURS static bool x_was_here(uint64_t key)
{
    uint32_t p, s;
    uint64_t more = 0, bit = (uint64_t)1 << (x.left.preemptions * 8u + x.left.stale);
    uint64_t mask = ((uint64_t)1 << x.known_bits) - 1u, at = key & mask;
    for (p = x.left.preemptions; p < 8u; p++)
        for (s = x.left.stale; s < 8u; s++) more |= (uint64_t)1 << (p * 8u + s);
    while (x.known[at].budgets && x.known[at].key != key) at = (at + 1u) & mask;
    if (x.known[at].budgets & more) return true;
    if (!x.known[at].budgets) {
        if (x.known_count >= (uint64_t)1 << (X_SEEN_MAX - 1u)) return false;
        x.known_count++;
        x.counts.states++;
    }
    x.known[at].key = key;
    x.known[at].budgets |= bit;
    if (x.known_count * 2u > mask) x_known_grow();
    return false;
}

X_OURS static void x_cut_here(void)
{
    uint64_t key = x_mix(x.order + x.other, x.self * 2u + x.free_switch);
    uint32_t t;
    if (x.trace || x.depth < x.recorded) return; /* still on the way that was chosen */
    for (t = 0; t < x.threads; t++) key += x_mix(x.thread[t].hash + t, (uint64_t)x.thread[t].state);
    if (x_was_here(key)) x_leave(X_CUT);
}

/* ---- threads ----------------------------------------------------------------------------- */

X_OURS static x_thread *x_me(void) { return &x.thread[x.self]; }

X_OURS static bool x_can_run(uint32_t t)
{
    x_thread *h = &x.thread[t];
    if (h->state == X_WAITS && h->ready_fn(t)) h->state = X_READY;
    return h->state == X_READY;
}

X_OURS static void x_enter(x_thread *t)
{
    if (t->started) _longjmp(t->at, 1);
    t->started = true;
    if (t->begun) _longjmp(t->top, 1);
    t->begun = true;
    setcontext(&t->fresh);
}

X_OURS static void x_go_to(uint32_t t)
{
    x_thread *from = x_me(), *to = &x.thread[t];
    if (x.trace && t != x.self) printf("      -- thread %u\n", (unsigned)t);
    if (from == to) return;
    x.self = t;
    if (!_setjmp(from->at)) x_enter(to);
}

/* The threads that may go on here, this one first. mine: it can. */
X_OURS static uint32_t x_who_can(uint32_t others[X_THREADS], bool mine)
{
    uint32_t n = 0, t, done = 0;
    bool     may = x.free_switch || !mine || x.left.preemptions > 0;
    if (mine) others[n++] = x.self;
    for (t = 0; t < x.threads; t++) {
        done += x.thread[t].state == X_DONE;
        if (may && !(mine && t == x.self) && x_can_run(t)) others[n++] = t;
    }
    if (done == x.threads) x_leave(X_COMPLETE);
    return n;
}

/* And behind those n the threads whose time may be over. Returns how many that makes. */
X_OURS static uint32_t x_who_may_expire(uint32_t others[X_THREADS], uint32_t n)
{
    uint32_t t;
    if (!x.may_expire_fn || x.left.signals == 0) return n;
    for (t = 0; t < x.threads; t++)
        if (x.thread[t].state == X_WAITS && x.may_expire_fn(t)) others[n++] = t;
    return n;
}

/* Where this thread cannot go on, or another may instead. */
X_OURS static void x_switch(void)
{
    uint32_t others[X_THREADS], n, all, chosen;
    bool     mine = x_can_run(x.self);
    n = x_who_can(others, mine);
    while (n == 0 && x.idle_fn && x.idle_fn()) n = x_who_can(others, false);
    if (n == 0) x_fail("dead-lock");
    all = x_who_may_expire(others, n);
    x_cut_here();
    chosen = x_choose(all);
    if (chosen >= n) {
        x.left.signals--;
        x.expire_fn(others[chosen]);
    } else if (chosen > 0 && mine && !x.free_switch) {
        x.left.preemptions--;
    }
    x.free_switch = false;
    x_go_to(others[chosen]);
}

/* What a thread is: never left, only jumped out of. */
X_OURS static void x_start(void)
{
    (void)_setjmp(x_me()->top);
    x.body_fn(x.self);
    x_me()->state = X_DONE;
    x_me()->hash = x_mix(x_me()->hash, 1);
    x.free_switch = true;
    x_switch();
    abort();
}

/* A signal handler may run here, on this thread. */
X_OURS static void x_signal(void)
{
    x_thread *me = x_me();
    if (!x.signal_fn || !x.left.signals || !me->in_call || me->in_signal) return;
    if (!x_choose(2)) return;
    if (x.trace) printf("      -- signal to thread %u\n", (unsigned)x.self);
    x.left.signals--;
    me->in_signal = true;
    me->hash = x_mix(me->hash, 2);
    x.signal_fn(x.self);
    me->hash = x_mix(me->hash, 3);
    me->in_signal = false;
}

/* Before each operation. */
X_OURS static void x_point(bool hot)
{
    if (++x.steps > X_STEPS) x_fail("a run of more than %u operations", (unsigned)X_STEPS);
    if (hot) x_switch();
    x_signal();
}

/* For the threads' bodies: between two calls; and until something is so. */
X_OURS static void x_yield(void)
{
    x_me()->hash = x_mix(x_me()->hash, 5); /* it got here, which is another state than before */
    x.free_switch = true;
    x_switch();
}

X_OURS static void x_wait(bool (*ready_fn)(uint32_t self))
{
    x_me()->hash = x_mix(x_me()->hash, 6);
    x_me()->state = X_WAITS;
    x_me()->ready_fn = ready_fn;
    x.free_switch = true;
    x_switch();
    x_me()->hash = x_mix(x_me()->hash, 4);
}

/* What the body has learnt otherwise than by the queue belongs to the state. */
X_OURS static void x_learn(uint64_t value) { x_me()->hash = x_mix(x_me()->hash, value); }

/* This thread knows all that `t` knew: it was joined. */
X_OURS static void x_join(uint32_t t)
{
    uint32_t u;
    for (u = 0; u < x.threads; u++)
        if (x_me()->clock[u] < x.thread[t].clock[u]) x_me()->clock[u] = x.thread[t].clock[u];
}

/* ---- memory ------------------------------------------------------------------------------ */

X_OURS static bool x_watched(const void *p)
{
    return x.running && (const unsigned char *)p >= x.memory &&
           (const unsigned char *)p < x.memory + x.memory_size;
}

X_OURS static uint32_t x_index(const void *p)
{
    return (uint32_t)((size_t)((const unsigned char *)p - x.memory) / 4u);
}

X_OURS static x_cell *x_cell_of(const void *p)
{
    x_cell *c = &x.cells[x_index(p)];
    if (x.access_fn) x.access_fn(p);
    if (c->run != x.run) {
        memset(c, 0, offsetof(x_cell, stores));
        c->run = x.run;
    }
    return c;
}

X_OURS static bool x_before(const uint16_t *times)
{
    uint32_t u;
    for (u = 0; u < x.threads; u++)
        if (times[u] > x_me()->clock[u]) return false;
    return true;
}

X_OURS static void x_race(const void *p, const char *what)
{
    x_fail("data race: %s of thread %u at byte %u", what, (unsigned)x.self,
           (unsigned)((const unsigned char *)p - x.memory));
}

X_OURS static bool x_plain_written_before(const x_cell *c)
{
    uint32_t i;
    for (i = 0; i < 4u; i++)
        if (c->plain_written[i] > x_me()->clock[c->plain_writer[i]]) return false;
    return true;
}

X_OURS static bool x_plain_read_before(const x_cell *c)
{
    uint32_t i;
    for (i = 0; i < 4u; i++)
        if (!x_before(c->plain_read[i])) return false;
    return true;
}

/* One byte. */
X_OURS static void x_plain_byte(const void *p, x_cell *c, uint32_t i, bool write)
{
    uint16_t now = x_me()->clock[x.self];
    if (c->plain_written[i] > x_me()->clock[c->plain_writer[i]])
        x_race(p, write ? "plain store" : "plain load");
    c->plain_read[i][x.self] = write ? c->plain_read[i][x.self] : now;
    if (!write) return;
    if (!x_before(c->plain_read[i])) x_race(p, "plain store");
    c->plain_writer[i] = (uint8_t)x.self;
    c->plain_written[i] = now;
}

/* A plain access; the memory itself is the caller's business. */
X_OURS static void x_plain(const void *p, size_t size, bool write)
{
    const unsigned char *at = (const unsigned char *)p, *end = at + size;
    if (size == 0 || !x_watched(p)) return;
    x_signal();
    while (at < end) {
        x_cell  *c = x_cell_of(at);
        uint32_t i = (uint32_t)(at - x.memory) % 4u;
        if (!x_before(c->atomic_written)) x_race(at, write ? "plain store" : "plain load");
        if (write && !x_before(c->atomic_read)) x_race(at, "plain store");
        for (; i < 4u && at < end; i++, at++) x_plain_byte(at, c, i, write);
        if (write) c->count = 0;
    }
}

X_OURS static uint64_t x_memory_get(const void *p, size_t size)
{
    if (size == 4) return *(const uint32_t *)p;
    return *(const uintptr_t *)p;
}

X_OURS static void x_memory_set(void *p, size_t size, uint64_t value)
{
    if (size == 4) *(uint32_t *)p = (uint32_t)value;
    else *(uintptr_t *)p = (uintptr_t)value;
}

/* The cell with at least one store: what was there before the run, or was stored plainly. */
X_OURS static x_cell *x_atomic_cell(const void *p, size_t size)
{
    x_cell *c = x_cell_of(p);
    if (!x_plain_written_before(c)) x_race(p, "atomic access");
    if (c->count > 0) return c;
    memset(&c->stores[0], 0, sizeof c->stores[0]);
    c->stores[0].value = x_memory_get(p, size);
    c->count = 1;
    x.touched[x.touched_count++ % X_WORDS] = x_index(p);
    return c;
}

X_OURS static x_store *x_newest(x_cell *c, uint32_t back)
{
    return &c->stores[(c->count - 1u - back) % X_HISTORY];
}

X_OURS static bool x_knows(uint32_t t, const x_store *s)
{
    uint32_t u;
    for (u = 0; u < x.threads; u++)
        if (s->seen[u] && s->seen[u] <= x.thread[t].clock[u]) return true;
    return false;
}

/* How many of the newest stores there are to the newest that the thread knows. */
X_OURS static uint32_t x_unknown(x_cell *c)
{
    uint32_t n = 1, most = c->count < X_HISTORY ? c->count : X_HISTORY;
    while (n < most && !x_knows(x.self, x_newest(c, n - 1u))) n++;
    return n;
}

/* How many of them may be read. */
X_OURS static uint32_t x_readable(x_cell *c)
{
    uint32_t n = x.left.stale == 0 ? 1 : x_unknown(c);
    if (n == X_HISTORY && c->count > X_HISTORY && !x_knows(x.self, x_newest(c, n - 1u)))
        x.counts.forgotten++;
    return n;
}

/* A store, or a read-modify-write that goes by that value (NULL: by any), could come before the
   newest store: it would be another order of them. */
X_OURS static void x_ordered(x_cell *c, const char *place, const uint64_t *expected)
{
    uint32_t n = x.one_order ? x_unknown(c) : 0, back;
    for (back = 1; back < n; back++) {
        if (x_newest(c, back - 1u)->follows) continue;
        if (expected && x_newest(c, back)->value != *expected) continue;
        x_fail("nothing orders two stores: of threads %u and %u, to %s",
               (unsigned)x_newest(c, back - 1u)->writer, (unsigned)x.self, place);
    }
}

X_OURS static void x_tick(uint32_t kind, const void *p, const x_store *from)
{
    x_thread *me = x_me();
    me->hash = x_mix(me->hash, (uint64_t)kind << 48 | (uint64_t)from->writer << 44 |
                                   (uint64_t)from->time << 24 | x_index(p));
    me->clock[x.self]++;
}

X_OURS static void x_acquire(const x_store *s)
{
    uint32_t u;
    for (u = 0; u < x.threads; u++)
        if (x_me()->clock[u] < s->sync[u]) x_me()->clock[u] = s->sync[u];
}

X_OURS static void x_warm(const x_cell *c)
{
    bool *hot = &x.hot[c - x.cells];
    x.warmer = x.warmer || !*hot;
    *hot = true;
}

X_OURS static void x_see(x_cell *c, x_store *s)
{
    uint16_t now = x_me()->clock[x.self];
    if (!x_before(c->atomic_written)) x_warm(c);
    if (!s->seen[x.self]) s->seen[x.self] = now;
    c->atomic_read[x.self] = now;
}

/* Appends a store. `sync`: the clock that a load-acquire of it takes over. `follows`: it is of a
   read-modify-write. */
X_OURS static void x_append(void *p, size_t size, uint64_t value, const uint16_t *sync,
                            bool follows)
{
    x_cell  *c = x_cell_of(p);
    x_store *s;
    uint16_t now = x_me()->clock[x.self];
    if (!x_plain_read_before(c)) x_race(p, "atomic store");
    if (!x_before(c->atomic_written) || !x_before(c->atomic_read)) x_warm(c);
    c->count++;
    s = x_newest(c, 0);
    memset(s, 0, sizeof *s);
    s->value = value;
    if (sync) memcpy(s->sync, sync, sizeof s->sync);
    s->writer = (uint16_t)x.self;
    s->time = now;
    s->follows = follows;
    s->seen[x.self] = now;
    c->atomic_written[x.self] = now;
    x.order -= c->order;
    c->order = x_mix(c->order + x_index(p), (uint64_t)x.self << 32 | now);
    x.order += c->order;
    x_memory_set(p, size, value);
}

typedef enum x_mode {
    X_RELAXED,
    X_SYNC
} x_mode;

X_OURS static void x_say(const char *what, const char *place, uint64_t value, uint32_t back)
{
    if (!x.trace) return;
    printf("      %u  %-10s %-44s %#llx%s\n", (unsigned)x.self, what, place,
           (unsigned long long)value, back ? "  (stale)" : "");
}

X_OURS static uint64_t x_load(const void *p, size_t size, x_mode mode, const char *place)
{
    x_cell  *c;
    x_store *s;
    uint32_t back;
    if (!x_watched(p)) return x_memory_get(p, size);
    x_point(x.hot[x_index(p)]);
    c = x_atomic_cell(p, size);
    back = x_choose(x_readable(c));
    x.left.stale -= back > 0;
    s = x_newest(c, back);
    x_see(c, s);
    if (mode == X_SYNC) x_acquire(s);
    x_tick(1, p, s);
    x_say(mode ? "load acq" : "load", place, s->value, back);
    return s->value;
}

X_OURS static void x_put(void *p, size_t size, uint64_t value, x_mode mode, const char *place)
{
    static const x_store none;
    if (!x_watched(p)) {
        x_memory_set(p, size, value);
        return;
    }
    x_point(x.hot[x_index(p)]);
    x_ordered(x_atomic_cell(p, size), place, NULL);
    x_append(p, size, value, mode == X_SYNC ? x_me()->clock : NULL, false);
    x_tick(2, p, &none);
    x_say(mode ? "store rel" : "store", place, value, 0);
}

/* The second half of a read-modify-write that read `s`, the newest. */
X_OURS static void x_modify(void *p, size_t size, x_store *s, uint64_t value, x_mode mode)
{
    x_store old = *s;
    if (mode == X_SYNC) x_acquire(&old);
    x_append(p, size, value, mode == X_SYNC ? x_me()->clock : old.sync, true);
    x_tick(3, p, &old);
}

typedef enum x_op {
    X_ADD,
    X_OR,
    X_EXCHANGE
} x_op;

X_OURS static uint64_t x_rmw(void *p, size_t size, x_op op, uint64_t v, const char *place)
{
    uint64_t old, value;
    x_cell  *c;
    x_store *s;
    if (!x_watched(p)) {
        old = x_memory_get(p, size);
        x_memory_set(p, size, op == X_ADD ? old + v : op == X_OR ? old | v : v);
        return old;
    }
    x_point(x.hot[x_index(p)]);
    c = x_atomic_cell(p, size);
    x_ordered(c, place, NULL);
    s = x_newest(c, 0);
    x_see(c, s);
    old = s->value;
    value = op == X_ADD ? old + v : op == X_OR ? old | v : v;
    if (size == 4) value = (uint32_t)value;
    x_modify(p, size, s, value, op == X_EXCHANGE ? X_SYNC : X_RELAXED);
    x_say("modify", place, value, 0);
    return old;
}

/* Strong: it fails only where it reads something else than was expected, perhaps something old. */
X_OURS static bool x_cas(void *p, size_t size, uint64_t *expected, uint64_t v, const char *place)
{
    uint32_t backs[X_HISTORY], n = 0, i, readable, chosen;
    x_cell  *c;
    x_store *s;
    if (!x_watched(p)) {
        uint64_t was = *expected;
        *expected = x_memory_get(p, size);
        if (*expected == was) x_memory_set(p, size, v);
        return *expected == was;
    }
    x_point(x.hot[x_index(p)]);
    c = x_atomic_cell(p, size);
    x_ordered(c, place, expected);
    readable = x_readable(c);
    for (i = 0; i < readable; i++)
        if (i == 0 || x_newest(c, i)->value != *expected) backs[n++] = i;
    chosen = backs[x_choose(n)];
    x.left.stale -= chosen > 0;
    s = x_newest(c, chosen);
    x_see(c, s);
    if (s->value != *expected) {
        *expected = s->value;
        x_acquire(s);
        x_tick(4, p, s);
        x_say("cas fails", place, s->value, chosen);
        return false;
    }
    x_modify(p, size, s, v, X_SYNC);
    x_say("cas", place, v, 0);
    return true;
}

X_OURS static bool x_cas32(uint32_t *p, uint32_t *expected, uint32_t v, const char *place)
{
    uint64_t e = *expected;
    bool     ok = x_cas(p, sizeof *p, &e, v, place);
    *expected = (uint32_t)e;
    return ok;
}

X_OURS static bool x_cas_ptr(uintptr_t *p, uintptr_t *expected, uintptr_t v, const char *place)
{
    uint64_t e = *expected;
    bool     ok = x_cas(p, sizeof *p, &e, v, place);
    *expected = (uintptr_t)e;
    return ok;
}

/* `to` learns the newest store of each location that `from` knows. */
X_OURS static void x_teach(uint32_t from, uint32_t to)
{
    uint32_t i, back, n;
    for (i = 0; i < x.touched_count && i < X_WORDS; i++) {
        x_cell *c = &x.cells[x.touched[i]];
        if (c->run != x.run) continue;
        n = c->count < X_HISTORY ? c->count : X_HISTORY;
        for (back = 0; back < n; back++) {
            x_store *s = x_newest(c, back);
            if (!x_knows(from, s)) continue;
            if (!s->seen[to]) s->seen[to] = x.thread[to].clock[to];
            break;
        }
    }
}

X_OURS static bool x_heavy(void)
{
    uint32_t t;
    if (!x.running) return true;
    for (t = 0; t < x.threads; t++) {
        if (t == x.self) continue;
        x_point(true);
        x_teach(x.self, t);
        x_teach(t, x.self);
        x.thread[t].hash = x_mix(x.thread[t].hash, 0x500u + x_me()->clock[x.self]);
        x_me()->hash = x_mix(x_me()->hash, 0x60000u + x.thread[t].clock[t]);
        x_me()->clock[x.self]++;
        x.thread[t].clock[t]++;
        if (x.trace) printf("      %u  barrier of thread %u\n", (unsigned)x.self, (unsigned)t);
    }
    return true;
}

/* ---- the search -------------------------------------------------------------------------- */

__attribute__((noinline)) X_OURS static void x_threads_prepare(void)
{
    uint32_t volatile t;
    uint32_t u;
    for (t = 0; t < x.threads; t++) {
        x_thread *h = &x.thread[t];
        if (!h->stack) {
            h->stack = (char *)malloc(X_STACK);
            if (!h->stack || getcontext(&h->fresh)) abort();
            h->fresh.uc_stack.ss_sp = h->stack;
            h->fresh.uc_stack.ss_size = X_STACK;
            h->fresh.uc_link = NULL;
            makecontext(&h->fresh, x_start, 0);
        }
        h->started = false;
        h->state = X_READY;
        h->hash = t;
        h->in_call = h->in_signal = false;
        for (u = 0; u < X_THREADS; u++) h->clock[u] = 0;
        h->clock[t] = 1;
    }
}

/* One run by the choices recorded, on memory that the caller has made ready. */
X_OURS static x_outcome x_run(void)
{
    int outcome;
    x.run++;
    x.depth = x.steps = x.touched_count = 0;
    x.order = x.other = 0;
    x.left = x.bounds;
    x.free_switch = true;
    x_threads_prepare();
    x.self = 0;
    outcome = _setjmp(x.end);
    if (!outcome) {
        uint32_t first;
        x.running = true;
        first = x_choose(x.threads);
        x.self = first;
        x.free_switch = false;
        x_enter(&x.thread[first]);
    }
    x.counts.steps += x.steps;
    if (outcome == X_CUT) x.counts.cut++;
    else x.counts.runs++;
    return (x_outcome)outcome;
}

/* Forgets what was explored, and begins again. */
X_OURS static void x_restart(void)
{
    x.recorded = 0;
    x.warmer = false;
    memset(&x.counts, 0, sizeof x.counts);
    free(x.known);
    x.known = NULL;
    x.known_count = 0;
    x_known_grow();
}

X_OURS static void x_begin(void *memory, size_t size)
{
    if (size > X_WORDS * 4u) abort();
    x.memory = (unsigned char *)memory;
    x.memory_size = size;
    memset(x.hot, 0, sizeof x.hot);
    x_restart();
}

X_OURS static void x_catch_crashes(void)
{
    static char      stack[65536];
    stack_t          alternative;
    struct sigaction action;
    memset(&alternative, 0, sizeof alternative);
    memset(&action, 0, sizeof action);
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    sigaltstack(&alternative, NULL);
    action.sa_handler = x_on_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

/* ---- what the compiler calls under -fsanitize=thread --------------------------------------- */

#define X_HOOK(name, size, write) \
    void        name(void *p);    \
    X_OURS void name(void *p) { x_plain(p, (size), (write)); }

X_HOOK(__tsan_read1, 1, false)
X_HOOK(__tsan_read2, 2, false)
X_HOOK(__tsan_read4, 4, false)
X_HOOK(__tsan_read8, 8, false)
X_HOOK(__tsan_read16, 16, false)
X_HOOK(__tsan_write1, 1, true)
X_HOOK(__tsan_write2, 2, true)
X_HOOK(__tsan_write4, 4, true)
X_HOOK(__tsan_write8, 8, true)
X_HOOK(__tsan_write16, 16, true)
X_HOOK(__tsan_unaligned_read2, 2, false)
X_HOOK(__tsan_unaligned_read4, 4, false)
X_HOOK(__tsan_unaligned_read8, 8, false)
X_HOOK(__tsan_unaligned_read16, 16, false)
X_HOOK(__tsan_unaligned_write2, 2, true)
X_HOOK(__tsan_unaligned_write4, 4, true)
X_HOOK(__tsan_unaligned_write8, 8, true)
X_HOOK(__tsan_unaligned_write16, 16, true)

void        __tsan_init(void);
void        __tsan_func_entry(void *p);
void        __tsan_func_exit(void *p);
void        __tsan_read_range(void *p, long size);
void        __tsan_write_range(void *p, long size);
unsigned    __tsan_atomic32_exchange(volatile void *p, unsigned v, int order); /* of >>platform */
void        __tsan_init(void) {}
X_OURS void __tsan_func_entry(void *p) { (void)p; }
X_OURS void __tsan_func_exit(void *p) { (void)p; }
X_OURS void __tsan_read_range(void *p, long size) { x_plain(p, (size_t)size, false); }
X_OURS void __tsan_write_range(void *p, long size) { x_plain(p, (size_t)size, true); }

unsigned __tsan_atomic32_exchange(volatile void *p, unsigned v, int order)
{
    (void)p, (void)v, (void)order;
    abort();
}

/* ---- the macros of the implementation ------------------------------------------------------ */

X_OURS static void *x_memcpy(void *to, const void *from, size_t size)
{
    x_plain(from, size, false);
    x_plain(to, size, true);
    return memcpy(to, from, size);
}

X_OURS static void *x_memset(void *to, int value, size_t size)
{
    x_plain(to, size, true);
    return memset(to, value, size);
}

/* Time stands still. */
static int x_clock(struct timespec *at)
{
    at->tv_sec = 1;
    at->tv_nsec = 0;
    return 0;
}

#define clock_gettime(clock, at) ((void)(clock), x_clock(at))
#define memcpy(to, from, size)   x_memcpy((to), (from), (size))
#define memset(to, value, size)  x_memset((to), (value), (size))

#define X_LOAD(p, type, mode) ((type)x_load((p), sizeof(type), (mode), #p))
#define X_PTR                 sizeof(uintptr_t)

#define VITP_ATOMIC_LOAD(p)                 X_LOAD(p, uint32_t, X_RELAXED)
#define VITP_ATOMIC_LOAD_ACQUIRE(p)         X_LOAD(p, uint32_t, X_SYNC)
#define VITP_ATOMIC_STORE(p, v)             x_put((p), 4u, (v), X_RELAXED, #p)
#define VITP_ATOMIC_STORE_RELEASE(p, v)     x_put((p), 4u, (v), X_SYNC, #p)
#define VITP_ATOMIC_ADD(p, v)               ((void)x_rmw((p), 4u, X_ADD, (v), #p))
#define VITP_ATOMIC_OR(p, v)                ((uint32_t)x_rmw((p), 4u, X_OR, (v), #p))
#define VITP_ATOMIC_EXCHANGE(p, v)          ((uint32_t)x_rmw((p), 4u, X_EXCHANGE, (v), #p))
#define VITP_ATOMIC_CAS(p, e, v)            x_cas32((p), (e), (v), #p)
#define VITP_ATOMIC_LOAD_PTR(p)             X_LOAD(p, uintptr_t, X_RELAXED)
#define VITP_ATOMIC_LOAD_PTR_ACQUIRE(p)     X_LOAD(p, uintptr_t, X_SYNC)
#define VITP_ATOMIC_STORE_PTR(p, v)         x_put((p), X_PTR, (v), X_RELAXED, #p)
#define VITP_ATOMIC_STORE_PTR_RELEASE(p, v) x_put((p), X_PTR, (v), X_SYNC, #p)
#define VITP_ATOMIC_ADD_PTR(p, v)           ((uintptr_t)x_rmw((p), X_PTR, X_ADD, (v), #p))
#define VITP_ATOMIC_EXCHANGE_PTR(p, v)      ((uintptr_t)x_rmw((p), X_PTR, X_EXCHANGE, (v), #p))
#define VITP_ATOMIC_CAS_PTR(p, e, v)        x_cas_ptr((p), (e), (v), #p)
#define VITP_ATOMIC_LIGHT_BARRIER()         ((void)0)
#define VITP_ATOMIC_HEAVY_BARRIER()         x_heavy()

#endif /* EXPLORE_H */
