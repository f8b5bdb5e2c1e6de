/* explore_queue.c: small scenarios of the queue, each in all its interleavings up to a bound. How
   they are run, and under which memory model, is said in explore.h.

   Build:   cc -std=gnu11 -O1 -fsanitize=thread -I. -c tests/explore_queue.c -o explore_queue.o
            cc explore_queue.o -o explore_queue       (without -fsanitize: see explore.h, Plain)
   Run:     explore_queue [scenario ...]    see explore_main.h */

#define _GNU_SOURCE /* before the system headers that the explorer needs */
#include "explore.h"

static uint32_t  probes; /* slots in which a thread may be: 1 or 2 */
static uintptr_t pointers[X_THREADS];

#define VITP_QUEUE_CHUNK_MIN     128u /* 64 of them are data */
#define VITP_QUEUE_CAPACITY_MIN  256u
#define VITP_QUEUE_SLOTS         2u
#define VITP_QUEUE_PROBES        probes
#define VITP_QUEUE_FIRST         0xFFFFFFFEu /* the ticket wraps in each scenario */
#define VITP_OS_THREAD_POINTER() pointers[x.self]

#ifndef EXPLORE_HEADER
#define EXPLORE_HEADER "../vitelemetry.h"
#endif
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include EXPLORE_HEADER

/* ---- scenarios --------------------------------------------------------------------------- */

/* What a thread does, a letter a call:
     a b e   push 8, 24, 56 bytes: 4, 2, 1 of them fill a chunk
     A B E   the same, important
     r       reserve 24 bytes
     c s z   commit 24, 8, 0 of them
     d       drain all there is
     1       drain one record
     k       peek at all there is; release that after a pause
   Thread 0 is the consumer; when its calls are over it waits for the others, and drains until all
   is there. */
typedef struct scenario {
    const char *name;
    uint32_t    chunks; /* power of two */
    uint32_t    slots;  /* 1: all threads want the same one */
    const char *calls[X_THREADS];
    x_bounds    bounds;
    bool        full; /* a push may be refused: it is tried again after the consumer's next call */
    bool        kept; /* the shared chunk is one that was opened from what is kept back */
} scenario;

static const scenario scenarios[] = {
    { "own chunks", 8, 2, { "dd", "aa", "a" }, { 2, 1, 0 }, false, false },
    { "own chunks that wrap", 4, 2, { "dd", "eee", "ee" }, { 0, 1, 0 }, true, false },
    { "one producer, two chunks", 2, 2, { "ddd", "eee" }, { 2, 2, 0 }, true, false },
    { "one producer, four chunks", 4, 2, { "dd", "eeeee" }, { 1, 2, 0 }, true, false },
    { "one slot for two", 8, 1, { "dd", "aa", "a" }, { 1, 1, 0 }, false, false },
    { "shared chunk", 8, 0, { "dd", "aa", "aa" }, { 1, 1, 0 }, false, false },
    { "shared chunks, a record each", 8, 0, { "dd", "ee", "e" }, { 1, 1, 0 }, true, false },
    { "four shared chunks", 8, 0, { "d", "eee", "e" }, { 1, 1, 0 }, true, false },
    { "important, full pool", 4, 2, { "d", "eE", "E" }, { 1, 1, 0 }, true, false },
    { "important, chunks that wrap", 4, 0, { "d", "EEEEE" }, { 2, 2, 0 }, true, false },
    { "revocation", 4, 2, { "dd", "aa", "a" }, { 1, 2, 0 }, true, false },
    { "a reservation is held", 8, 2, { "dd", "rac" }, { 3, 2, 0 }, false, false },
    { "shared reservations are held", 8, 0, { "d", "ras", "rz" }, { 1, 1, 0 }, false, false },
    { "a signal in a push", 8, 2, { "dd", "aa" }, { 2, 1, 1 }, false, false },
    { "a signal, one slot", 8, 1, { "d", "aa" }, { 3, 1, 1 }, false, false },
    { "a signal, chunks that wrap", 4, 2, { "dd", "ee" }, { 1, 1, 1 }, true, false },
    { "piecewise", 8, 2, { "1k", "aa", "a" }, { 1, 1, 0 }, false, false },
    { "a kept chunk, then another", 4, 0, { "d", "AA", "a" }, { 2, 1, 0 }, false, true },
    { "a hole, then more", 8, 0, { "ddd", "aa" }, { 2, 1, 0 }, false, false },
};

/* ---- what must hold ---------------------------------------------------------------------- */

#define RECORDS 24u

typedef struct record {
    uint32_t thread, begin, end; /* of the call, counted in its thread; end 0: not accepted */
    uint32_t size;
    uint32_t delivered; /* as which, from 1 */
} record;

static struct {
    const scenario *is;
    vit_queue      *q;
    record          records[RECORDS];
    uint32_t        count, delivered;
    uint32_t        calls[X_THREADS]; /* begins and ends of them so far */
    uint32_t        passes;           /* calls of the consumer */
    bool            consumer_over;
    uint32_t        passes_seen[X_THREADS];
    void           *reserved[X_THREADS];
    uint32_t        reserved_id[X_THREADS];
} now;

static const uint32_t sizes[] = { 8u, 24u, 56u };

X_OURS static void record_fill(unsigned char *out, uint32_t id, uint32_t size)
{
    uint32_t i;
    for (i = 0; i < size; i++) out[i] = (unsigned char)(i == 0 ? id + 1u : id * 37u + i + size);
}

X_OURS static uint32_t record_begin(uint32_t thread, uint32_t size)
{
    record *r = &now.records[now.count];
    if (now.count == RECORDS) x_fail("too many records");
    r->thread = thread;
    r->begin = ++now.calls[thread];
    r->end = r->delivered = 0;
    r->size = size;
    return now.count++;
}

X_OURS static bool record_check(const void *bytes, uint32_t size, void *user)
{
    unsigned char want[64];
    uint32_t      id, i;
    record       *r;
    (void)user;
    x_plain(bytes, size, false);
    id = (uint32_t)(*(const unsigned char *)bytes) - 1u;
    if (id >= now.count) x_fail("what was delivered is no record");
    r = &now.records[id];
    if (size != r->size) x_fail("record %u has %u bytes, not %u", id, size, r->size);
    record_fill(want, id, size);
    for (i = 0; i < size; i++)
        if (((const unsigned char *)bytes)[i] != want[i]) x_fail("record %u is torn", id);
    if (user) return true; /* only looked at */
    if (r->delivered) x_fail("record %u comes twice", id);
    r->delivered = ++now.delivered;
    for (i = 0; i < now.count; i++) {
        const record *s = &now.records[i];
        if (s->thread == r->thread && s->delivered && s->end && r->end && r->end < s->begin &&
            s->delivered < r->delivered)
            x_fail("order: record %u after record %u, which was pushed later", id, i);
    }
    return true;
}

X_OURS static uint32_t records_missing(void)
{
    uint32_t i, n = 0;
    for (i = 0; i < now.count; i++) n += now.records[i].end && !now.records[i].delivered;
    return n;
}

/* Taken chunks that are sealed: the consumer should have freed them. */
X_OURS static uint32_t chunks_stuck(void)
{
    uint32_t i, n = 0;
    for (i = 0; i < now.q->active_count; i++)
        n += (vitp_pool_chunk(now.q->pool, now.q->active[i])->word & VITP_WORD_SEALED) != 0;
    return n;
}

/* A taken chunk that is not sealed is a slot's, or the shared one. */
X_OURS static bool chunk_is_held(uint32_t index)
{
    vitp_pool  *p = now.q->pool;
    vitp_chunk *c = vitp_pool_chunk(p, index);
    uint32_t    i, holders = p->shared == vitp_pool_name(p, c);
    for (i = 0; i < VITP_QUEUE_SLOTS; i++) holders += now.q->places[i].chunk == c;
    return holders == 1;
}

X_OURS static void check_end(void)
{
    const vitp_pool *p = now.q->pool;
    uint32_t         i, accepted = 0, pushed;
    for (i = 0; i < now.q->active_count; i++)
        if (!chunk_is_held(now.q->active[i])) x_fail("a chunk is open, and nobody has it");
    for (i = 0; i < VITP_QUEUE_SLOTS; i++)
        if (now.q->places[i].owner & 1u) x_fail("slot %u stays busy", (unsigned)i);
    for (i = 0; i < now.count; i++) {
        const record *r = &now.records[i];
        accepted += r->end != 0;
        if (r->end && !r->delivered) x_fail("record %u is lost", (unsigned)i);
        if (!r->end && r->delivered) x_fail("record %u was refused, and comes", (unsigned)i);
    }
    if (chunks_stuck()) x_fail("%u sealed chunks are not freed", (unsigned)chunks_stuck());
    if (p->freed - p->taken + now.q->active_count != p->chunk_count)
        x_fail("chunks are lost: %u free, %u in use", (unsigned)(p->freed - p->taken),
               (unsigned)now.q->active_count);
    pushed = (uint32_t)vitp_queue_pushed(now.q);
    if (pushed != accepted) x_fail("%u pushed by count, not %u", (unsigned)pushed, accepted);
}

/* ---- threads ----------------------------------------------------------------------------- */

X_OURS static bool producers_over(uint32_t self)
{
    uint32_t t;
    (void)self;
    for (t = 1; t < x.threads; t++)
        if (x.thread[t].state != X_DONE) return false;
    return true;
}

X_OURS static bool consumer_went_on(uint32_t self)
{
    return now.consumer_over || now.passes != now.passes_seen[self];
}

/* Refused, which is only right where the pool may be full. True: it is worth another try. */
X_OURS static bool wait_for_room(uint32_t self)
{
    bool more;
    if (!now.is->full) x_fail("a push was refused");
    now.passes_seen[self] = now.passes;
    if (!now.consumer_over) x_wait(consumer_went_on);
    more = now.passes != now.passes_seen[self];
    x_learn(more);
    return more;
}

X_OURS static void push(uint32_t self, uint32_t size, bool important, bool again)
{
    unsigned char bytes[64];
    uint32_t      id = record_begin(self, size);
    bool          ok, outer = x_me()->in_call;
    record_fill(bytes, id, size);
    do {
        x_me()->in_call = true;
        ok = important ? vit_queue_push_important(now.q, bytes, size)
                       : vit_queue_push(now.q, bytes, size);
        x_me()->in_call = outer;
    } while (!ok && again && wait_for_room(self));
    if (ok) now.records[id].end = ++now.calls[self];
}

X_OURS static void reserve(uint32_t self)
{
    now.reserved_id[self] = record_begin(self, 24);
    now.reserved[self] = vit_queue_reserve(now.q, 24);
}

X_OURS static void commit(uint32_t self, uint32_t size)
{
    unsigned char bytes[64];
    record       *r = &now.records[now.reserved_id[self]];
    if (!now.reserved[self]) return;
    r->size = size;
    record_fill(bytes, now.reserved_id[self], size);
    memcpy(now.reserved[self], bytes, size);
    if (size) r->end = 1; /* it may be delivered before the call returns */
    vit_queue_commit(now.q, now.reserved[self], size);
    if (size) r->end = ++now.calls[self];
}

X_OURS static void drain(size_t most)
{
    vit_queue_drain(now.q, record_check, NULL, most);
    now.passes++;
}

X_OURS static void peek_and_release(void)
{
    uint32_t before = now.delivered;
    size_t   n = vit_queue_peek(now.q, record_check, NULL, (size_t)-1);
    if (n != now.delivered - before) x_fail("peek counts %u", (unsigned)n);
    x_yield();
    vit_queue_release(now.q, n);
    now.passes++;
}

X_OURS static void call(uint32_t self, char what)
{
    const char *kinds = "abeABE", *kind = strchr(kinds, what);
    if (kind) push(self, sizes[(kind - kinds) % 3], kind - kinds >= 3, true);
    else if (what == 'r') reserve(self);
    else if (what == 'd') drain((size_t)-1);
    else if (what == '1') drain(1);
    else if (what == 'k') peek_and_release();
    else commit(self, what == 'c' ? 24u : what == 's' ? 8u : 0u);
}

X_OURS static void consume_the_rest(void)
{
    uint32_t t, tries;
    now.consumer_over = true;
    x_wait(producers_over);
    for (t = 1; t < x.threads; t++) x_join(t);
    for (tries = 0; tries < 12 && (tries < 2 || records_missing() || chunks_stuck()); tries++)
        drain((size_t)-1);
}

X_OURS static void body(uint32_t self)
{
    const char *c;
    for (c = now.is->calls[self]; *c; c++) {
        call(self, *c);
        x_yield();
    }
    if (self == 0) consume_the_rest();
}

/* A signal handler that pushes; when there is no room, that is that. */
X_OURS static void on_signal(uint32_t self) { push(self, 8, false, false); }

/* ---- a scenario -------------------------------------------------------------------------- */

static unsigned char memory[X_WORDS * 4u] __attribute__((aligned(64)));
static unsigned char fresh[X_WORDS * 4u];

/* The n-th thread pointer whose slot is that one. */
static uintptr_t pointer_to_slot(const vit_queue *q, uint32_t slot, uint32_t n)
{
    uintptr_t p = 64u * 1024u;
    for (;; p += 64u)
        if (vitp_queue_slot((vit_queue *)(uintptr_t)q, p) == &q->places[slot] && n-- == 0) return p;
}

/* Slots: two, one that all want, or none, so that all records are shared. */
static void prepare(const scenario *s)
{
    size_t   bytes = vit_queue_bytes((size_t)s->chunks * VITP_QUEUE_CHUNK_MIN);
    uint32_t t;
    memset(&now, 0, sizeof now);
    now.is = s;
    now.q = vit_queue_init(memory, bytes);
    if (!now.q || now.q->pool->chunk_count != s->chunks) abort();
    x.threads = 0;
    for (t = 0; t < X_THREADS && s->calls[t]; t++, x.threads++)
        pointers[t] = pointer_to_slot(now.q, s->slots == 2 ? t & 1u : 0, t);
    probes = s->slots == 2 ? 2 : 1;
    if (s->slots == 0) now.q->places[0].owner = 1024u; /* of a thread that is never seen */
    if (s->kept) {
        if (!vitp_queue_open_shared(now.q, 0, true)) abort();
        vitp_pool_chunk(now.q->pool, (now.q->pool->shared & 0xFFFFu) - 1u)->important = 1;
    }
    x.body_fn = body;
    x.signal_fn = s->bounds.signals ? on_signal : NULL;
    x.one_order = true;
    memcpy(fresh, memory, bytes);
    x_begin(memory, bytes);
}

X_OURS static x_outcome run_once(void)
{
    const scenario *is = now.is;
    vit_queue      *q = now.q;
    x_outcome       outcome;
    memset(&now, 0, sizeof now);
    now.is = is;
    now.q = q;
    memcpy(memory, fresh, x.memory_size);
    outcome = x_run();
    if (outcome != X_COMPLETE || _setjmp(x.end)) return outcome == X_COMPLETE ? X_FAILED : outcome;
    check_end();
    return X_COMPLETE;
}

#include "explore_main.h"
