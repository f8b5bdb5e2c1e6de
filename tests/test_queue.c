/* test_queue.c: the queue by itself: one thread against a model, threads that are only played, what
   happens between any two atomic operations, signals, and many producers.

   Build:   cc -std=c99 -g -I. tests/test_queue.c -o build/tests/test_queue -lcmocka -pthread */

/* The thread pointer is played: a test says which thread it is. The atomics are those of the
   header, and at a chosen one of them something else happens first (see arm). */
static unsigned has_barrier = 1; /* 0: a system, or a sandbox, without one */
#define STEP_BARRIER() \
    (__atomic_load_n(&has_barrier, __ATOMIC_RELAXED) && vitp_os_heavy_barrier())
#include "played.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
#define ALL         ((size_t)-1)
#define KIB         ((size_t)1024)

/* ---- what is played -------------------------------------------------------------------------- */

/* True: it happened. */
static bool disarm(void)
{
    bool happened = !step_fn;
    step_fn = NULL;
    return happened;
}

static char stand[160]; /* where a scene stands, for a message */

static int teardown(void **state)
{
    (void)state;
    forged = 0;
    step_fn = NULL;
    stand[0] = 0;
    return 0;
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* A queue over memory of just the size that it asks for: a sanitizer sees one byte more. */
typedef struct fixture {
    void      *memory;
    vit_queue *q;
} fixture;

static fixture open_queue(size_t capacity)
{
    fixture f = { NULL, NULL };
    size_t  bytes = vit_queue_bytes(capacity);
    assert_int_equal(posix_memalign(&f.memory, 64, bytes), 0);
    memset(f.memory, 0xA5, bytes);
    f.q = vit_queue_init(f.memory, bytes);
    assert_non_null(f.q);
    return f;
}

static void close_queue(fixture *f) { free(f->memory); }

/* As if that many chunks had been handed out and each had that generation. Before the first
   push. */
static void start_at(vit_queue *q, uint32_t ticket, uint32_t generation)
{
    vitp_pool *p = q->pool;
    uint32_t   i, word = generation * VITP_WORD_NEXT & VITP_WORD_GENERATION;
    assert_int_equal(q->seen, p->taken);
    for (i = 0; i < p->chunk_count; i++) {
        uint32_t    index = (ticket + i) & (p->chunk_count - 1u);
        vitp_chunk *c = vitp_pool_chunk(p, index);
        vitp_pool_free_list(p)[index] = index;
        c->ticket = ticket + i;
        c->word = c->released = word;
    }
    p->taken = q->seen = ticket;
    p->freed = ticket + p->chunk_count;
}

/* All slots belong to threads that are never seen: who comes has none. */
static void occupy(vit_queue *q)
{
    uint32_t i;
    for (i = 0; i < VITP_QUEUE_SLOTS; i++) q->places[i].owner = 0x70000000u + 64u * i;
}

static vitp_slot *slot_of(vit_queue *q, uint32_t thread)
{
    bool inside;
    become(thread);
    return vitp_queue_find(q, forged, &inside);
}

/* Records of that size that one chunk holds. */
static uint32_t in_a_chunk(const vit_queue *q, uint32_t size)
{
    return q->pool->data_bytes / vitp_queue_need(size);
}

/* What a record of that number holds; number n and its size say all of its bytes. */
static void fill(unsigned char *out, uint32_t n, uint32_t size)
{
    uint32_t i;
    uint32_t word = 0;
    for (i = 0; i < size; i++) {
        if (i % 4 == 0) word = mix(n * 2654435761u + i + size);
        out[i] = (unsigned char)(word >> (i % 4 * 8));
    }
}

static bool push_number(vit_queue *q, uint32_t n, uint32_t size, bool important)
{
    unsigned char bytes[32768];
    bool          ok;
    fill(bytes, n, size);
    ok = important ? vit_queue_push_important(q, bytes, size) : vit_queue_push(q, bytes, size);
    memset(bytes, 0xEE, size); /* it is copied, not referred to */
    return ok;
}

/* ---- a consumer that knows what must come ---------------------------------------------------- */

typedef struct expected {
    uint32_t n, size;
} expected;

typedef struct consumer {
    const expected *rows;
    size_t          at, count; /* next to come, and how many there are */
    size_t          stop_at;   /* return false for this call, counted from 1; 0: never */
    size_t          calls;
} consumer;

static bool check_record(const void *record, uint32_t size, void *user)
{
    consumer     *c = (consumer *)user;
    unsigned char want[32768];
    c->calls++;
    if (c->at >= c->count) fail_msg("a record too many, of %u bytes", (unsigned)size);
    if (size != c->rows[c->at].size)
        fail_msg("record %u: %u bytes, not %u", (unsigned)c->rows[c->at].n, (unsigned)size,
                 (unsigned)c->rows[c->at].size);
    fill(want, c->rows[c->at].n, size);
    assert_memory_equal(record, want, size);
    assert_int_equal((uintptr_t)record % 8, 0);
    c->at++;
    return c->calls != c->stop_at;
}

static bool count_record(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size;
    if (user) *(size_t *)user += 1;
    return true;
}

static size_t drain_all(vit_queue *q) { return vit_queue_drain(q, count_record, NULL, ALL); }

/* ---- a ledger: streams of numbered records, each of one thread ------------------------------- */

/* Stream s and s + INSIDE are of the same thread: what it pushes, and what it pushes in the
   middle of such a record. A record says how many of its partner stream were there before it
   began. */
#define INSIDE  16384u
#define STREAMS (2u * INSIDE)

typedef struct label {
    uint32_t stream, n, partner;
} label;

#define LEAST ((uint32_t)sizeof(label))

/* Reserved and not committed. */
typedef struct opened {
    unsigned char *at;
    uint32_t       stream, size, partner;
} opened;

typedef struct ledger {
    fixture    f;
    vit_queue *q;
    uint32_t   sent[STREAMS], seen[STREAMS];
    uint32_t   sent_all, seen_all;
    opened     open;       /* of a scene */
    char       wrong[160]; /* the first thing */
} ledger;

static ledger book; /* large: one for all */

static ledger *open_book(size_t capacity)
{
    ledger *l = &book;
    memset(l, 0, sizeof *l);
    l->f = open_queue(capacity);
    l->q = l->f.q;
    return l;
}

static void write_record(const ledger *l, unsigned char *at, uint32_t stream, uint32_t partner,
                         uint32_t size)
{
    label name;
    name.stream = stream;
    name.n = l->sent[stream];
    name.partner = partner;
    memcpy(at, &name, sizeof name);
    fill(at + LEAST, stream * 65599u + name.n, size - LEAST);
}

static void count_sent(ledger *l, uint32_t stream)
{
    l->sent[stream]++;
    l->sent_all++;
}

static bool send_as(ledger *l, uint32_t stream, uint32_t size, bool important)
{
    unsigned char bytes[32768];
    bool          ok;
    become(stream % INSIDE);
    write_record(l, bytes, stream, l->sent[stream ^ INSIDE], size);
    ok =
        important ? vit_queue_push_important(l->q, bytes, size) : vit_queue_push(l->q, bytes, size);
    if (ok) count_sent(l, stream);
    return ok;
}

static bool send(ledger *l, uint32_t stream, uint32_t size)
{
    return send_as(l, stream, size, false);
}

static void must_send(ledger *l, uint32_t stream, uint32_t size)
{
    if (!send(l, stream, size)) fail_msg("stream %u: full", (unsigned)stream);
}

static opened reserve(ledger *l, uint32_t stream, uint32_t size)
{
    opened o;
    become(stream % INSIDE);
    o.stream = stream;
    o.size = size;
    o.partner = l->sent[stream ^ INSIDE];
    o.at = (unsigned char *)vit_queue_reserve(l->q, size);
    if (o.at) memset(o.at, 0xCC, size); /* all that was asked for may be written */
    return o;
}

/* size 0: gives it up. */
static void commit(ledger *l, opened *o, uint32_t size)
{
    unsigned char *at = o->at;
    become(o->stream % INSIDE);
    assert_non_null(at);
    assert_int_equal((uintptr_t)at % 8, 0);
    if (size) write_record(l, at, o->stream, o->partner, size);
    o->at = NULL;
    vit_queue_commit(l->q, at, size);
    if (size) count_sent(l, o->stream);
}

static bool is_own(const opened *o)
{
    return !(((const vitp_head *)(const void *)o->at)[-1].what & VITP_HEAD_PENDING);
}

#define WRONG(l, ...) ((l)->wrong[0] ? 0 : snprintf((l)->wrong, sizeof(l)->wrong, __VA_ARGS__))

/* Content; false: not even a label. */
static bool read_record(ledger *l, const void *record, uint32_t size, label *name)
{
    unsigned char want[32768];
    memset(name, 0, sizeof *name);
    if (size < LEAST || (uintptr_t)record % 8) {
        WRONG(l, "%u bytes at %p", (unsigned)size, record);
        return false;
    }
    memcpy(name, record, sizeof *name);
    if (name->stream >= STREAMS) {
        WRONG(l, "stream %u", (unsigned)name->stream);
        return false;
    }
    fill(want, name->stream * 65599u + name->n, size - LEAST);
    if (memcmp(want, (const char *)record + LEAST, size - LEAST) != 0)
        WRONG(l, "content of record %u of stream %u", (unsigned)name->n, (unsigned)name->stream);
    return true;
}

/* Order. */
static void note_seen(ledger *l, const label *name)
{
    uint32_t stream = name->stream, n = l->seen[stream];
    if (name->n != n)
        WRONG(l, "stream %u: record %u, not %u", (unsigned)stream, (unsigned)name->n, (unsigned)n);
    if (l->seen[stream ^ INSIDE] < name->partner)
        WRONG(l, "stream %u: record %u before record %u of stream %u", (unsigned)stream,
              (unsigned)name->n, (unsigned)name->partner - 1, (unsigned)(stream ^ INSIDE));
    l->seen[stream] = name->n + 1;
    l->seen_all++;
}

static bool take_record(const void *record, uint32_t size, void *user)
{
    ledger *l = (ledger *)user;
    label   name;
    if (read_record(l, record, size, &name)) note_seen(l, &name);
    return true;
}

static void assert_right(const ledger *l)
{
    if (l->wrong[0]) fail_msg("%s%s", stand, l->wrong);
}

static size_t take_all(ledger *l)
{
    size_t n = vit_queue_drain(l->q, take_record, l, ALL);
    assert_right(l);
    return n;
}

/* Takes what is there, for as long as a record may wait for another one. */
static void take_rest(ledger *l)
{
    uint32_t idle = 0;
    while (idle < 4) idle = take_all(l) ? 0 : idle + 1;
}

/* Each chunk that is handed out is in use: it is a slot's or the shared one that is open. */
static void assert_none_lost(vit_queue *q)
{
    vitp_pool *p = q->pool;
    uint32_t   i, used = p->shared &&
                       !(vitp_pool_chunk(p, (p->shared & 0xFFFFu) - 1u)->word & VITP_WORD_SEALED);
    for (i = 0; i < VITP_QUEUE_SLOTS; i++) used += q->places[i].chunk != NULL;
    /* The one that was shared last may be anybody's by now. */
    assert_in_range(vitp_pool_free_count(p) + used, p->chunk_count, p->chunk_count + 1u);
    assert_int_equal(q->active_count, p->chunk_count - vitp_pool_free_count(p));
    for (i = 0; i < q->active_count; i++)
        assert_false(vitp_pool_chunk(p, q->active[i])->word & VITP_WORD_SEALED);
    assert_int_equal(q->segment_count, 0);
    assert_int_equal(q->hole_count, 0);
}

/* All that was accepted comes, once, and all chunks that are not in use come back. */
static void close_book(ledger *l)
{
    take_rest(l);
    assert_int_equal(l->seen_all, l->sent_all);
    assert_int_equal(vitp_queue_pushed(l->q), l->sent_all);
    assert_none_lost(l->q);
    close_queue(&l->f);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static void test_bytes(void **state)
{
    static const size_t too_much[] = { 0, ((size_t)1 << 30) + 1, (size_t)1 << 31, ALL / 2, ALL };
    size_t              i, least = vit_queue_bytes(1), capacity;
    (void)state;
    for (i = 0; i < COUNT_OF(too_much); i++) assert_int_equal(vit_queue_bytes(too_much[i]), 0);
    assert_true(least > 16 * KIB);
    assert_true(least < 24 * KIB);
    assert_int_equal(vit_queue_bytes(16 * KIB), least);
    for (capacity = 16 * KIB; capacity < (size_t)1 << 30; capacity *= 2) {
        size_t twice = vit_queue_bytes(2 * capacity);
        assert_int_equal(vit_queue_bytes(capacity + 1), twice);
        assert_int_equal(vit_queue_bytes(capacity * 3 / 2), twice);
        assert_in_range(twice - vit_queue_bytes(capacity), capacity, capacity * 17 / 16);
    }
}

static void test_init_refuses(void **state)
{
    size_t         bytes = vit_queue_bytes(1), off;
    unsigned char *memory;
    void          *block;
    (void)state;
    assert_int_equal(posix_memalign(&block, 64, bytes + 64), 0);
    memory = (unsigned char *)block;
    assert_null(vit_queue_init(NULL, bytes));
    assert_null(vit_queue_init(memory, 0));
    assert_null(vit_queue_init(memory, 16 * KIB));
    assert_null(vit_queue_init(memory, bytes - 1));
    for (off = 1; off < 64; off++) assert_null(vit_queue_init(memory + off, bytes));
    assert_non_null(vit_queue_init(memory, bytes));
    assert_non_null(vit_queue_init(memory + 64, bytes));
    free(block);
}

static size_t capacity_of(const vit_queue *q)
{
    return (size_t)q->pool->chunk_count * q->pool->chunk_bytes;
}

static void test_init_takes_what_fits(void **state)
{
    static const size_t capacities[] = { 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        size_t bytes = vit_queue_bytes(capacities[i]), more = vit_queue_bytes(2 * capacities[i]);
        void  *memory;
        assert_int_equal(posix_memalign(&memory, 64, more), 0);
        assert_int_equal(capacity_of(vit_queue_init(memory, bytes)), capacities[i]);
        assert_int_equal(capacity_of(vit_queue_init(memory, more - 1)), capacities[i]);
        assert_int_equal(capacity_of(vit_queue_init(memory, more)), 2 * capacities[i]);
        free(memory);
    }
}

static void test_record_max(void **state)
{
    static const struct {
        size_t   capacity;
        uint32_t want;
    } rows[] = {
        { 1, 4024 },      { 16384, 4024 },    { 65536, 4024 },    { 131072, 4024 },
        { 262144, 8120 }, { 1 << 19, 16312 }, { 1 << 20, 32696 }, { 1 << 22, 32696 },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        fixture f = open_queue(rows[i].capacity);
        assert_int_equal(vit_queue_record_max(f.q), rows[i].want);
        close_queue(&f);
    }
    assert_int_equal(vit_queue_record_max(NULL), 0);
}

static void check_sizes(vit_queue *q)
{
    static unsigned char bytes[32769];
    uint32_t             most = vit_queue_record_max(q);
    expected             rows[4];
    consumer             c = { rows, 0, 4, 0, 0 };
    rows[0].n = 1, rows[0].size = 1;
    rows[1].n = 2, rows[1].size = most;
    rows[2].n = 3, rows[2].size = 128; /* the edge of what is copied without a call */
    rows[3].n = 4, rows[3].size = 129;
    assert_false(vit_queue_push(q, bytes, 0));
    assert_false(vit_queue_push(q, bytes, most + 1));
    assert_false(vit_queue_push(q, bytes, 0x7FFFFFFFu));
    assert_false(vit_queue_push(q, bytes, 0xFFFFFFFFu));
    assert_false(vit_queue_push(q, NULL, 8));
    assert_false(vit_queue_push(q, NULL, 0));
    assert_false(vit_queue_push_important(q, bytes, 0));
    assert_false(vit_queue_push_important(q, bytes, most + 1));
    assert_false(vit_queue_push_important(q, NULL, 8));
    assert_null(vit_queue_reserve(q, 0));
    assert_null(vit_queue_reserve(q, most + 1));
    assert_null(vit_queue_reserve(q, 0xFFFFFFFFu));
    assert_true(push_number(q, 1, 1, false));
    assert_true(push_number(q, 2, most, false));
    assert_int_equal(vit_queue_drain(q, check_record, &c, ALL), 2);
    assert_true(push_number(q, 3, 128, false));
    assert_true(push_number(q, 4, 129, false));
    assert_int_equal(vit_queue_drain(q, check_record, &c, ALL), 2);
    assert_int_equal(drain_all(q), 0);
}

static void test_sizes(void **state)
{
    static const size_t capacities[] = { 16 * KIB, 256 * KIB, 1024 * KIB };
    size_t              i, round;
    (void)state;
    for (i = 0; i < 2 * COUNT_OF(capacities); i++) {
        fixture f = open_queue(capacities[i / 2]);
        if (i % 2) occupy(f.q);
        for (round = 0; round < 3; round++) check_sizes(f.q); /* no slot yet; one; again */
        close_queue(&f);
    }
}

/* Every size that is copied in pieces, into the own chunk and the shared one. */
static void test_every_short_size(void **state)
{
    uint32_t size, shared;
    (void)state;
    for (shared = 0; shared < 2; shared++) {
        fixture f = open_queue(16 * KIB);
        if (shared) occupy(f.q);
        for (size = 1; size <= 300; size++) {
            expected row;
            consumer c = { NULL, 0, 1, 0, 0 };
            row.n = size, row.size = size;
            c.rows = &row;
            assert_true(push_number(f.q, size, size, false));
            assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 1);
        }
        close_queue(&f);
    }
}

static void test_nulls(void **state)
{
    fixture f = open_queue(1024);
    (void)state;
    assert_false(vit_queue_push(NULL, "a", 1));
    assert_false(vit_queue_push_important(NULL, "a", 1));
    assert_null(vit_queue_reserve(NULL, 1));
    vit_queue_commit(NULL, f.memory, 1);
    vit_queue_commit(f.q, NULL, 1);
    assert_int_equal(vit_queue_drain(NULL, count_record, NULL, ALL), 0);
    assert_int_equal(vit_queue_peek(NULL, count_record, NULL, ALL), 0);
    vit_queue_release(NULL, 1);
    assert_true(vit_queue_push(f.q, "a", 1));
    assert_int_equal(vit_queue_drain(f.q, NULL, NULL, ALL), 0);
    assert_int_equal(vit_queue_peek(f.q, NULL, NULL, ALL), 0);
    assert_int_equal(vit_queue_drain(f.q, count_record, NULL, 0), 0);
    assert_int_equal(vit_queue_peek(f.q, count_record, NULL, 0), 0);
    assert_int_equal(drain_all(f.q), 1);
    close_queue(&f);
}

/* More than was reserved is no record of that size: what was reserved counts. */
static void test_commit_too_much(void **state)
{
    fixture  f = open_queue(1024);
    expected row = { 7, 16 };
    consumer c = { &row, 0, 1, 0, 0 };
    void    *place = vit_queue_reserve(f.q, 16);
    (void)state;
    assert_non_null(place);
    fill(place, 7, 16);
    vit_queue_commit(f.q, place, 4000);
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 1);
    close_queue(&f);
}

/* ---- order and content through many wraps ---------------------------------------------------- */

/* Pushes and drains at random and compares with a list. */
static void run_wraps(size_t capacity, uint32_t ticket, uint32_t generation, uint32_t bytes_total)
{
    static expected rows[65536];
    fixture         f = open_queue(capacity);
    consumer        c = { rows, 0, 0, 0, 0 };
    uint32_t        pushed = 0, refused = 0, most = vit_queue_record_max(f.q);
    start_at(f.q, ticket, generation);
    while (pushed < bytes_total) {
        expected *row = &rows[c.count];
        row->n = (uint32_t)c.count;
        row->size = 1 + random_below(random_below(4) ? (most < 100 ? most : 100) : most);
        if (push_number(f.q, row->n, row->size, random_below(8) == 0)) {
            pushed += row->size;
            c.count++;
        } else {
            refused++;
            assert_true(c.at < c.count); /* an empty queue has room for every record */
            assert_true(vit_queue_drain(f.q, check_record, &c, 1 + random_below(40)) > 0);
        }
        if (random_below(16) == 0) (void)vit_queue_drain(f.q, check_record, &c, random_below(20));
        assert_true(c.count < COUNT_OF(rows));
        if (c.at == c.count) c.at = c.count = 0;
    }
    while (vit_queue_drain(f.q, check_record, &c, ALL) > 0) {}
    assert_int_equal(c.at, c.count);
    assert_true(refused > 0);
    close_queue(&f);
}

static void test_wraps(void **state)
{
    (void)state;
    random_state = 1;
    run_wraps(16 * KIB, 0, 0, 2000000);
    run_wraps(64 * KIB, 0, 0, 2000000);
    run_wraps(1024 * KIB, 0, 0, 4000000);
}

static void test_wraps_of_counters(void **state)
{
    (void)state;
    random_state = 2;
    run_wraps(16 * KIB, 0xFFFFFFF0u, 0x3FF8, 1000000);
    run_wraps(32 * KIB, 0xFFFFFFF9u, 0x3FFF, 1000000);
    run_wraps(64 * KIB, 0xFFFFFFE0u, 0x3FFE, 1000000);
    run_wraps(16 * KIB, 0x7FFFFFF0u, 0x1FFE, 1000000); /* the sign of a difference */
    run_wraps(16 * KIB, 0x0000FFF1u, 0, 1000000);      /* the half of a ticket in a name */
}

/* A record a chunk, until each chunk was emptied more often than its generation can count. */
static void run_generations(bool shared)
{
    static unsigned char bytes[4024];
    fixture              f = open_queue(16 * KIB);
    uint32_t             i, word;
    size_t               seen = 0;
    if (shared) occupy(f.q);
    start_at(f.q, 0xFFFFFF00u, 0);
    for (i = 0; i < 4 * 16384 + 1000; i++) {
        memcpy(bytes, &i, sizeof i);
        if (!vit_queue_push(f.q, bytes, sizeof bytes)) fail_msg("record %u: full", (unsigned)i);
        if (vit_queue_drain(f.q, count_record, &seen, ALL) != 1)
            fail_msg("record %u did not come", (unsigned)i);
    }
    assert_int_equal(seen, i);
    word = 0;
    for (i = 0; i < 4; i++) word += vitp_pool_chunk(f.q->pool, i)->word / VITP_WORD_NEXT & 0x3FFFu;
    assert_in_range(word, 900, 1100); /* each began again at 0 */
    close_queue(&f);
}

static void test_generations(void **state)
{
    (void)state;
    run_generations(false);
    run_generations(true);
}

/* The 32-bit number of a thread's records. */
static void test_wrap_of_numbers(void **state)
{
    ledger    *l = open_book(16 * KIB);
    vitp_slot *s;
    uint32_t   i, n;
    (void)state;
    must_send(l, 1, 20);
    assert_int_equal(take_all(l), 1);
    s = slot_of(l->q, 1);
    s->number = 0xFFFFFFE0u;
    l->q->expected[s->tag >> 16] = 0xFFFFFFE0u;
    for (i = 0; i < 40; i++) {
        l->open = reserve(l, 1, 20);
        must_send(l, 1 + INSIDE, 20);
        commit(l, &l->open, 20);
        assert_int_equal(take_all(l), 2);
    }
    assert_int_equal(s->number, 0xFFFFFFE0u + 40u);
    for (n = 0; send(l, 1, 500); n++) {}
    assert_int_equal(take_all(l), n);
    assert_int_equal(l->seen_all, l->sent_all);
    assert_none_lost(l->q);
    close_queue(&l->f);
}

/* However full its chunk is, an empty queue takes the largest record, and 1 byte. */
static void run_empty_takes_all(bool shared)
{
    fixture  f = open_queue(16 * KIB);
    uint32_t most = vit_queue_record_max(f.q), place, size;
    if (shared) occupy(f.q);
    for (place = 8; place < most; place += 8) {
        for (size = 1; size <= most; size += most - 1) {
            assert_true(push_number(f.q, 7, place, false));
            assert_int_equal(drain_all(f.q), 1);
            assert_true(push_number(f.q, 7, size, false));
            assert_int_equal(drain_all(f.q), 1);
        }
    }
    close_queue(&f);
}

static void test_empty_takes_all(void **state)
{
    (void)state;
    run_empty_takes_all(false);
    run_empty_takes_all(true);
}

/* ---- full ------------------------------------------------------------------------------------ */

static uint32_t send_until_full(ledger *l, uint32_t stream, uint32_t size, bool important)
{
    uint32_t n = 0;
    while (send_as(l, stream, size, important)) n++;
    return n;
}

static size_t take(ledger *l, size_t most)
{
    size_t n = vit_queue_drain(l->q, take_record, l, most);
    assert_right(l);
    return n;
}

/* One thread, with and without a slot: it gets all but what is kept back for important records, and
   as much again whenever it is taken out. */
static void run_full(size_t capacity, bool shared)
{
    ledger  *l = open_book(capacity);
    uint32_t count = l->q->pool->chunk_count, kept = count >= 16 ? count / 8 : 1, round;
    uint32_t each = in_a_chunk(l->q, 100), first;
    if (shared) occupy(l->q);
    first = send_until_full(l, 1, 100, false);
    assert_int_equal(first, (count - kept) * each);
    for (round = 0; round < 3 * count; round++) { /* a chunk goes, a chunk comes */
        assert_false(send(l, 1, 100));
        become(1);
        assert_null(vit_queue_reserve(l->q, 100));
        assert_int_equal(take(l, each - 1), each - 1);
        assert_false(send(l, 1, 100)); /* one record holds it */
        assert_int_equal(take(l, 1), 1);
        assert_int_equal(send_until_full(l, 1, 100, false), each);
    }
    assert_int_equal(take_all(l), first);
    assert_int_equal(send_until_full(l, 1, 100, false), first);
    assert_int_equal(take_all(l), first);
    close_book(l);
}

static void test_full(void **state)
{
    static const size_t capacities[] = { 16 * KIB, 64 * KIB, 1024 * KIB };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        run_full(capacities[i], false);
        run_full(capacities[i], true);
    }
}

static void run_important(size_t capacity, bool shared)
{
    ledger  *l = open_book(capacity);
    uint32_t count = l->q->pool->chunk_count, kept = count >= 16 ? count / 8 : 1, freed;
    uint32_t each = in_a_chunk(l->q, 100), normal;
    if (shared) occupy(l->q);
    normal = send_until_full(l, 1, 100, false);
    assert_int_equal(normal, (count - kept) * each);
    assert_int_equal(send_until_full(l, 1, 100, true), kept * each);
    assert_false(send(l, 1, 12));
    assert_false(send_as(l, 1, 12, true));
    /* Freed chunks refill what is kept back first: important ones get them, the others do not. */
    for (freed = 1; freed <= kept; freed++) {
        assert_int_equal(take(l, each), each);
        assert_false(send(l, 1, 100));
        assert_false(send(l, 2, 100)); /* nobody else's either */
    }
    assert_true(send_as(l, 1, 100, true));
    assert_false(send(l, 1, 100)); /* room in the chunk that is open, but not for it */
    assert_int_equal(send_until_full(l, 1, 100, true), kept * each - 1);
    while (!send(l, 1, 100)) assert_int_equal(take(l, each), each);
    close_book(l);
}

static void test_important(void **state)
{
    static const size_t capacities[] = { 16 * KIB, 32 * KIB, 64 * KIB, 1024 * KIB };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        run_important(capacities[i], false);
        run_important(capacities[i], true);
    }
}

/* ---- reserve and commit ---------------------------------------------------------------------- */

static void run_commit_smaller(bool shared)
{
    static const expected rows[] = { { 1, 200 }, { 2, 13 }, { 3, 1 }, { 4, 8 }, { 5, 192 } };
    static const uint32_t asked[] = { 200, 200, 7, 9, 200 };
    fixture               f = open_queue(16 * KIB);
    consumer              c = { rows, 0, COUNT_OF(rows), 0, 0 };
    size_t                i, round;
    if (shared) occupy(f.q);
    for (round = 0; round < 300; round++) {
        for (i = 0; i < COUNT_OF(rows); i++) {
            unsigned char *at = (unsigned char *)vit_queue_reserve(f.q, asked[i]);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % 8, 0);
            memset(at, 0xCC, asked[i]); /* all that was asked for may be written */
            fill(at, rows[i].n, rows[i].size);
            vit_queue_commit(f.q, at, rows[i].size);
        }
        c.at = 0;
        assert_int_equal(vit_queue_drain(f.q, check_record, &c, 2), 2);
        assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), COUNT_OF(rows) - 2);
    }
    assert_int_equal(vitp_queue_pushed(f.q), 300 * COUNT_OF(rows));
    assert_true(push_number(f.q, 1, 200, false)); /* not looked at yet */
    assert_int_equal(vitp_queue_pushed(f.q), 300 * COUNT_OF(rows) + 1);
    assert_int_equal(drain_all(f.q), 1);
    assert_none_lost(f.q);
    close_queue(&f);
}

static void test_commit_smaller(void **state)
{
    (void)state;
    run_commit_smaller(false);
    run_commit_smaller(true);
}

/* A record that is given up is never seen, and its room comes back. */
static void run_commit_nothing(bool shared)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t i, size;
    opened   o;
    if (shared) occupy(l->q);
    for (i = 0; i < 2000; i++) {
        size = LEAST + i % 300;
        if (i % 3 == 0) must_send(l, 1, size);
        o = reserve(l, 1, size);
        assert_non_null(o.at);
        commit(l, &o, 0);
        if (i % 2 == 0) must_send(l, 1, size);
        if (i % 4 == 3) (void)take_all(l);
    }
    take_rest(l);
    for (i = 0; i < 100; i++) { /* nothing but given up: a drain of no records frees them */
        o = reserve(l, 1, vit_queue_record_max(l->q));
        assert_non_null(o.at);
        commit(l, &o, 0);
        assert_int_equal(take_all(l), 0);
    }
    close_book(l);
}

static void test_commit_nothing(void **state)
{
    (void)state;
    run_commit_nothing(false);
    run_commit_nothing(true);
}

/* A thread stays in the middle of a record in its own chunk: the others go on, itself too, and its
   chunk is not taken away. */
static void test_middle_of_own(void **state)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t i;
    opened   o;
    (void)state;
    must_send(l, 1, 60);
    o = reserve(l, 1, 60);
    assert_non_null(o.at);
    assert_true(is_own(&o));
    assert_int_equal(take_all(l), 1);
    for (i = 0; i < 2000; i++) {
        must_send(l, 2, 100);
        if (i % 3 == 0) must_send(l, 1 + INSIDE, 50);
        if (i % 9 == 8) assert_int_equal(take_all(l), 12);
    }
    take_rest(l);
    assert_int_equal(l->seen_all, l->sent_all);
    assert_non_null(slot_of(l->q, 1)->chunk);
    o.partner = l->sent[1 + INSIDE];
    commit(l, &o, 60);
    assert_int_equal(take_all(l), 1);
    must_send(l, 1, 60);
    assert_int_equal(take_all(l), 1);
    close_book(l);
}

/* What a thread pushes between its own reserve and commit comes before that record, and before what
   it pushes afterwards. */
static void test_inside_comes_before(void **state)
{
    ledger *l = open_book(64 * KIB);
    size_t  round;
    (void)state;
    for (round = 0; round < 200; round++) {
        must_send(l, 1, 40);
        l->open = reserve(l, 1, 40);
        assert_true(is_own(&l->open));
        must_send(l, 1 + INSIDE, 40);
        must_send(l, 1 + INSIDE, 41);
        l->open.partner = l->sent[1 + INSIDE];
        commit(l, &l->open, 40);
        must_send(l, 1, 40);
        if (round % 3 == 0) (void)take_all(l);
    }
    close_book(l);
}

/* As many as the count in a head tells apart: more would lose their place before the outer
   record. */
static void test_many_inside(void **state)
{
    uint32_t n, i;
    (void)state;
    for (n = 1; n <= 15; n++) {
        ledger *l = open_book(64 * KIB);
        must_send(l, 1, 40);
        (void)take_all(l);
        l->open = reserve(l, 1, 40);
        for (i = 0; i < n; i++) must_send(l, 1 + INSIDE, 20);
        l->open.partner = n;
        snprintf(stand, sizeof stand, "%u inside: ", (unsigned)n);
        commit(l, &l->open, 40);
        must_send(l, 1, 40);
        take_rest(l);
        stand[0] = 0;
        close_book(l);
    }
}

/* The same where the thread has a slot but its record is in the shared chunk, for want of
   another. */
static void test_inside_comes_before_shared(void **state)
{
    ledger *l = open_book(16 * KIB);
    (void)state;
    must_send(l, 1, 40);
    must_send(l, 2, 40);
    must_send(l, 3, 40); /* the third has to share */
    l->open = reserve(l, 3, 40);
    assert_false(is_own(&l->open));
    must_send(l, 3 + INSIDE, 40);
    l->open.partner = l->sent[3 + INSIDE];
    commit(l, &l->open, 40);
    must_send(l, 3, 40);
    assert_int_equal(take_all(l), 6);
    close_book(l);
}

/* In the middle of a shared record: those behind it come, its own after the commit, and its chunk
   comes back. */
static void run_middle_of_shared(bool slot)
{
    ledger  *l = open_book(64 * KIB);
    uint32_t i;
    opened   o;
    if (slot) { /* it had one, and is in the middle of a record there */
        must_send(l, 1, 60);
        l->open = reserve(l, 1, 60);
        assert_true(is_own(&l->open));
    } else {
        occupy(l->q);
    }
    must_send(l, 2, 60);
    o = reserve(l, 1 + INSIDE, 60);
    assert_non_null(o.at);
    assert_false(is_own(&o));
    for (i = 0; i < 10; i++) must_send(l, 2, 60);
    take_rest(l);
    assert_int_equal(l->seen_all, l->sent_all);
    for (i = 0; i < 1000; i++) {
        must_send(l, 2 + i % 5, 90);
        if (i % 7 == 6) (void)take_all(l);
    }
    take_rest(l);
    assert_int_equal(l->seen_all, l->sent_all);
    assert_int_equal(l->q->hole_count, 1);
    o.partner = 0;
    commit(l, &o, 60);
    assert_int_equal(take_all(l), 1);
    if (slot) commit(l, &l->open, 0);
    close_book(l);
}

static void test_middle_of_shared(void **state)
{
    (void)state;
    run_middle_of_shared(false);
    run_middle_of_shared(true);
}

/* What the third thread pushes is numbered, and it has to share: the others have their chunks. */
static void leave_nothing_for_the_third(ledger *l)
{
    must_send(l, 1, 40);
    must_send(l, 2, 40);
    must_send(l, 3, 40);
    (void)take_all(l);
    must_send(l, 1, 40);
    must_send(l, 2, 40);
}

/* A thread stays in the middle of a record in the shared chunk and pushes on: nobody else waits. */
static void run_middle_of_shared_others(bool slot)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t i;
    opened   o;
    if (slot) leave_nothing_for_the_third(l);
    else occupy(l->q);
    o = reserve(l, 3, 40);
    assert_false(is_own(&o));
    for (i = 0; i < 1000; i++) {
        if (i % 10 == 0) (void)send(l, 3 + INSIDE, 40);
        must_send(l, 4, 40);
        must_send(l, 1, 40);
        if (i % 5 == 4) {
            (void)take_all(l);
            assert_int_equal(l->seen[1], l->sent[1]);
            assert_int_equal(l->seen[4], l->sent[4]);
        }
    }
    commit(l, &o, 40);
    close_book(l);
}

static void test_middle_of_shared_others(void **state)
{
    (void)state;
    run_middle_of_shared_others(true);
}

static void test_middle_of_shared_others_slotless(void **state)
{
    (void)state;
    run_middle_of_shared_others(false);
}

static void test_commits_out_of_order(void **state)
{
    uint32_t i, shared;
    opened   o[3];
    (void)state;
    for (shared = 0; shared < 2; shared++) {
        ledger *l = open_book(16 * KIB);
        if (shared) occupy(l->q);
        for (i = 0; i < 3; i++) o[i] = reserve(l, i + 1, 30 + i);
        assert_int_equal(take_all(l), 0);
        for (i = 3; i-- > 0;) {
            commit(l, &o[i], 30);
            assert_int_equal(take_all(l), 1);
        }
        close_book(l);
    }
}

/* A second commit of the same record, or one of nothing that is open, does no harm. */
static void test_commit_twice(void **state)
{
    ledger        *l = open_book(16 * KIB);
    unsigned char *at;
    (void)state;
    l->open = reserve(l, 1, 40);
    at = l->open.at;
    commit(l, &l->open, 40);
    vit_queue_commit(l->q, at, 40);
    vit_queue_commit(l->q, at, 0);
    must_send(l, 1, 40);
    close_book(l);
}

/* ---- holes ----------------------------------------------------------------------------------- */

/* More threads in the middle of a shared record than can be remembered: what is behind the last of
   them waits, and comes when one of the others is done. */
static void test_seventeen_holes(void **state)
{
    ledger  *l = open_book(16 * KIB);
    opened   o[VITP_QUEUE_HOLES + 1];
    uint32_t i, n = VITP_QUEUE_HOLES;
    (void)state;
    occupy(l->q);
    for (i = 0; i <= n; i++) {
        o[i] = reserve(l, 10 + i, 40);
        must_send(l, 1, 40);
    }
    assert_int_equal(take_all(l), n);
    assert_int_equal(take_all(l), 0);
    commit(l, &o[5], 40);
    assert_int_equal(take_all(l), 2); /* it, and what the last one stood before */
    must_send(l, 1, 40);
    assert_int_equal(take_all(l), 1);
    for (i = n + 1; i-- > 0;)
        if (i != 5) commit(l, &o[i], i % 2 ? 30 : 0);
    assert_int_equal(take_all(l), n / 2 - 1);
    close_book(l);
}

static bool take_one(const void *record, uint32_t size, void *user)
{
    (void)take_record(record, size, user);
    return false;
}

/* Records that others stood before come as few at a time as is wanted. */
static void test_holes_by_one(void **state)
{
    ledger  *l = open_book(16 * KIB);
    opened   o[4];
    uint32_t i;
    (void)state;
    occupy(l->q);
    for (i = 0; i < 4; i++) o[i] = reserve(l, 10 + i, 40);
    assert_int_equal(take_all(l), 0);
    for (i = 0; i < 4; i++) commit(l, &o[i], 40);
    assert_int_equal(vit_queue_drain(l->q, take_record, l, 1), 1);
    assert_int_equal(vit_queue_drain(l->q, take_one, l, ALL), 1);
    must_send(l, 1, 40);
    assert_int_equal(vit_queue_drain(l->q, take_one, l, ALL), 1);
    assert_int_equal(take_all(l), 2);
    close_book(l);
}

/* Who opened a shared chunk has not closed the one before it yet: the consumer does, and looks
   at the new one only when the old one has ended. */
static void test_predecessor_is_open(void **state)
{
    ledger     *l = open_book(16 * KIB);
    vitp_chunk *c;
    uint32_t    each = in_a_chunk(l->q, 100), i;
    (void)state;
    occupy(l->q);
    for (i = 0; i < each; i++) must_send(l, 1, 100);
    c = vitp_pool_chunk(l->q->pool, (l->q->pool->shared & 0xFFFFu) - 1u);
    must_send(l, 1, 100);
    assert_true(c->word & VITP_WORD_SEALED);
    c->word &= ~VITP_WORD_SEALED;
    assert_int_equal(take_all(l), each);
    assert_int_equal(take_all(l), 1);
    close_book(l);
}

/* ---- a record that never comes --------------------------------------------------------------- */

/* The next number of that thread is lost, as if it had died there. */
static void skip_number(ledger *l, uint32_t thread) { slot_of(l->q, thread)->number++; }

/* As if something had waited for long. */
static void stall(vit_queue *q)
{
    if (q->gap_since_ns) q->gap_since_ns = 1;
}

/* Looks until that stream has got as far as it was sent, and says how many it took. */
static uint32_t looks_until_seen(ledger *l, uint32_t stream)
{
    uint32_t looks = 0;
    while (l->seen[stream] < l->sent[stream]) {
        (void)take_all(l);
        if (++looks > 100) fail_msg("it never comes");
    }
    return looks;
}

static void run_gap(bool shared)
{
    ledger  *l = open_book((shared ? 16 : 64) * KIB);
    uint32_t i, t, first = 0, looks;
    must_send(l, 1, 40);
    must_send(l, 2, 40);
    if (shared) /* the third has a slot and no chunk */
        must_send(l, 3, 40);
    (void)take_all(l);
    if (shared) { /* the others' chunks are new ones: there is none for the third */
        must_send(l, 1, 40);
        must_send(l, 2, 40);
    }
    for (i = 0; i < 6; i++) {
        t = shared ? 3 : 1 + i % 2;
        skip_number(l, t);
        must_send(l, t, 40);
        looks = looks_until_seen(l, t);
        assert_true(looks > VITP_QUEUE_PATIENCE); /* each waits, not only the first */
        if (i == 0) first = looks;
        assert_int_equal(looks, first);
        must_send(l, t, 40); /* and what follows does not */
        (void)take_all(l);
        assert_int_equal(l->seen_all, l->sent_all);
        slot_of(l->q, t)->number--; /* vitp_queue_pushed believes the numbers */
        l->q->expected[slot_of(l->q, t)->tag >> 16 & 0x7Fu]--;
    }
    close_book(l);
}

static void test_gap_own(void **state)
{
    (void)state;
    run_gap(false);
}

static void test_gap_shared(void **state)
{
    (void)state;
    run_gap(true);
}

/* What was given up comes after all: it is handed out then, once. */
static void test_gap_comes_late(void **state)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t i;
    opened   o;
    (void)state;
    leave_nothing_for_the_third(l);
    o = reserve(l, 3, 40); /* shared, and numbered */
    assert_false(is_own(&o));
    for (i = 0; i < 5; i++) must_send(l, 3 + INSIDE, 40);
    for (i = 0; i < VITP_QUEUE_PATIENCE + 2; i++) (void)take_all(l);
    stall(l->q);
    for (i = 0; i < VITP_QUEUE_PATIENCE + 2; i++) (void)take_all(l);
    assert_int_equal(l->seen[3 + INSIDE], 5);
    commit(l, &o, 40);
    assert_int_equal(take_all(l), 1);
    must_send(l, 3, 40);
    assert_int_equal(take_all(l), 1);
    close_book(l);
}

/* ---- threads that are played ----------------------------------------------------------------- */

static void test_two_threads(void **state)
{
    ledger  *l = open_book(64 * KIB);
    uint32_t i;
    (void)state;
    for (i = 0; i < 3000; i++) {
        must_send(l, 1, 20 + i % 77);
        must_send(l, 2, 20 + i % 50);
        if (i == 0) {
            assert_non_null(slot_of(l->q, 1)->chunk);
            assert_non_null(slot_of(l->q, 2)->chunk);
            assert_ptr_not_equal(slot_of(l->q, 1)->chunk, slot_of(l->q, 2)->chunk);
            assert_int_equal(l->q->pool->shared, 0);
        }
        if (i % 20 == 19) assert_int_equal(take_all(l), 40);
    }
    close_book(l);
}

/* Idle threads hold all the chunks that are not kept back: they are taken away, with what is in
   them, and their threads go on with others. */
static void test_idle_is_revoked(void **state)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t round;
    (void)state;
    if (!vitp_os_heavy_barrier()) skip();
    for (round = 0; round < 50; round++) {
        must_send(l, 1 + round % 3, 40);
        must_send(l, 1 + (round + 1) % 3, 40);
        must_send(l, 1 + (round + 2) % 3, 40);
        assert_non_null(slot_of(l->q, 1 + round % 3)->chunk);
        assert_true(round > 0 || slot_of(l->q, 2)->chunk); /* later the shared one stays open */
        assert_null(slot_of(l->q, 1 + (round + 2) % 3)->chunk);
        assert_int_equal(take_all(l), 3);
        assert_null(slot_of(l->q, 1)->chunk);
        assert_null(slot_of(l->q, 2)->chunk);
        assert_null(slot_of(l->q, 3)->chunk);
        assert_int_equal(vitp_pool_free_count(l->q->pool), 3);
    }
    close_book(l);
}

/* A thread that was in the middle of a record when its chunk was wanted, and is idle from then on:
   its chunk comes back with a later drain. */
static void test_idle_after_wanted(void **state)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t i;
    opened   o[2];
    (void)state;
    if (!vitp_os_heavy_barrier()) skip();
    o[0] = reserve(l, 1, 40);
    o[1] = reserve(l, 2, 40);
    must_send(l, 3, 40);
    assert_int_equal(take_all(l), 1);
    assert_non_null(slot_of(l->q, 1)->chunk);
    commit(l, &o[0], 40);
    commit(l, &o[1], 40);
    for (i = 0; i < 5; i++) (void)take_all(l);
    assert_null(slot_of(l->q, 1)->chunk);
    assert_null(slot_of(l->q, 2)->chunk);
    close_book(l);
}

/* Threads that take a chunk, give their record up and are never seen again. */
static void test_idle_with_nothing(void **state)
{
    ledger  *l = open_book(64 * KIB);
    uint32_t i, k, count = l->q->pool->chunk_count;
    (void)state;
    if (!vitp_os_heavy_barrier()) skip();
    for (k = 0; k < 4; k++) {
        for (i = 0; i < count; i++) {
            opened o = reserve(l, 1 + i, 40);
            if (o.at) commit(l, &o, 0);
        }
        (void)take_all(l);
        (void)take_all(l);
        assert_true(vitp_pool_free_count(l->q->pool) > count / 2);
        must_send(l, 100, 40);
        assert_int_equal(take_all(l), 1);
    }
    close_book(l);
}

/* Idle threads do not make a queue look full that is empty. */
static void test_idle_is_not_filling(void **state)
{
    ledger  *l = open_book(64 * KIB);
    uint32_t i, count = l->q->pool->chunk_count;
    (void)state;
    if (!vitp_os_heavy_barrier()) skip();
    for (i = 0; i < count / 2 + 2; i++) must_send(l, 1 + i, 40);
    assert_true(vitp_queue_is_filling(l->q));
    assert_int_equal(take_all(l), count / 2 + 2);
    assert_false(vitp_queue_is_filling(l->q));
    close_book(l);
}

/* What was given up is freed by a consumer that only peeks, too. */
static void test_peek_frees_what_was_given_up(void **state)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t i, k, sent = 0;
    (void)state;
    occupy(l->q);
    for (k = 0; k < 20; k++) {
        for (i = 0; i < 200; i++) {
            opened o = reserve(l, 1, 100);
            if (o.at) commit(l, &o, 0);
        }
        for (i = 0; i < 5; i++)
            if (vit_queue_peek(l->q, count_record, NULL, ALL) > 0) fail_msg("there is nothing");
        if (send(l, 1, 100)) sent++;
        assert_int_equal(take_all(l), 1);
    }
    assert_int_equal(sent, 20);
    close_book(l);
}

/* One that is wanted and pushes again keeps its chunk. */
static void test_wanted_lives(void **state)
{
    ledger     *l = open_book(16 * KIB);
    vitp_chunk *c;
    opened      o;
    (void)state;
    if (!vitp_os_heavy_barrier()) skip();
    must_send(l, 1, 40);
    assert_int_equal(take_all(l), 1); /* what is not released is not wanted */
    o = reserve(l, 1, 40);
    must_send(l, 2, 40);
    c = slot_of(l->q, 1)->chunk;
    must_send(l, 3, 40);
    assert_int_equal(take_all(l), 2);
    assert_int_equal(slot_of(l->q, 1)->limit, VITP_LIMIT_WANTED);
    commit(l, &o, 40);
    must_send(l, 1, 40);
    assert_ptr_equal(slot_of(l->q, 1)->chunk, c);
    assert_true(slot_of(l->q, 1)->limit > VITP_LIMIT_SEALING);
    assert_int_equal(take_all(l), 2);
    close_book(l);
}

/* More threads than slots. */
static void test_more_threads_than_slots(void **state)
{
    ledger  *l = open_book(64 * KIB);
    uint32_t i, round, slotless = 0;
    (void)state;
    for (round = 0; round < 20; round++) {
        for (i = 0; i < 4 * VITP_QUEUE_SLOTS; i++) {
            must_send(l, i, 12 + (i + round) % 60);
            if (i % 3 == 0) must_send(l, i, 12 + i % 9);
            if (i % 50 == 49) (void)take_all(l);
        }
    }
    for (i = 0; i < 4 * VITP_QUEUE_SLOTS; i++) slotless += slot_of(l->q, i) == NULL;
    assert_true(slotless >= 3 * VITP_QUEUE_SLOTS);
    close_book(l);
}

/* A thread ends and another has its thread pointer: idle, in the middle of a record of its own, and
   in the middle of one in the shared chunk. */
static void run_pointer_again(uint32_t first, uint32_t last)
{
    uint32_t how, i;
    opened   o;
    for (how = first; how <= last; how++) {
        ledger *l = open_book(16 * KIB);
        if (how == 2) {
            must_send(l, 2, 40);
            must_send(l, 3, 40);
        }
        must_send(l, 1, 100);
        if (how > 0) {
            o = reserve(l, 1, 100);
            assert_non_null(o.at);
            assert_int_equal(is_own(&o), how == 1);
        }
        for (i = 0; i < 3000; i++) {
            must_send(l, 1, 30 + i % 100);
            if (i % 5 == 4) (void)take_all(l);
        }
        take_rest(l);
        assert_int_equal(l->seen_all, l->sent_all);
        close_queue(&l->f);
    }
}

static void test_thread_pointer_again(void **state)
{
    (void)state;
    run_pointer_again(0, 1);
}

static void test_thread_pointer_again_shared(void **state)
{
    (void)state;
    run_pointer_again(2, 2);
}

/* Threads that come, push a little and end. */
static void test_short_lived_threads(void **state)
{
    static const size_t capacities[] = { 16 * KIB, 64 * KIB };
    size_t              k;
    uint32_t            i, n;
    (void)state;
    for (k = 0; k < COUNT_OF(capacities); k++) {
        ledger *l = open_book(capacities[k]);
        for (i = 0; i < 10000; i++) {
            for (n = 0; n < 5; n++) must_send(l, i, 12 + (i * 7 + n * 31) % 100);
            if (i % 2) assert_int_equal(take_all(l), 10);
        }
        close_book(l);
    }
}

/* Own and shared chunk of one thread, with the pool nearly full: three threads that push in the
   middle of their records, and only just as much taken out as lets them go on. */
static void run_own_and_shared(size_t capacity, bool strict)
{
    ledger  *l = open_book(capacity);
    uint32_t i, t, n, refused = 0, inside = 0;
    opened   o;
    for (i = 0; i < 20000; i++) {
        t = 1 + random_below(3);
        if (random_below(3) == 0) {
            o = reserve(l, t, LEAST + random_below(200));
            if (o.at) {
                bool own = is_own(&o);
                for (n = random_below(4); n > 0; n--)
                    inside += send(l, t + INSIDE, LEAST + random_below(200)) && own;
                if (strict && own) o.partner = l->sent[t + INSIDE];
                commit(l, &o, LEAST + random_below(o.size - LEAST + 1));
            } else {
                refused++;
                (void)take(l, 1 + random_below(30));
            }
        } else if (!send(l, t, LEAST + random_below(200))) {
            refused++;
            (void)take(l, 1 + random_below(30));
        }
    }
    assert_true(refused > 100);
    assert_true(inside > 20);
    close_book(l);
}

/* Each stream in its order, and nothing before what was there before it began. */
static void test_own_and_shared(void **state)
{
    (void)state;
    random_state = 7;
    run_own_and_shared(16 * KIB, false);
    run_own_and_shared(64 * KIB, false);
}

/* And what came inside before what was committed after it. */
static void test_own_and_shared_strict(void **state)
{
    (void)state;
    random_state = 8;
    run_own_and_shared(16 * KIB, true);
    run_own_and_shared(64 * KIB, true);
}

/* Nothing but the changes between own and shared chunk of one thread: no push inside. */
static void test_changes_of_chunk(void **state)
{
    ledger  *l = open_book(16 * KIB);
    uint32_t i, t, refused = 0;
    (void)state;
    random_state = 9;
    for (i = 0; i < 50000; i++) {
        t = 1 + random_below(4);
        if (send_as(l, t, LEAST + random_below(400), random_below(5) == 0)) continue;
        refused++;
        (void)take(l, 1 + random_below(20));
    }
    assert_true(refused > 100);
    close_book(l);
}

/* ---- peek, release, drain -------------------------------------------------------------------- */

static fixture open_with(consumer *c, expected *rows, uint32_t count)
{
    fixture  f = open_queue(16 * KIB);
    consumer fresh = { rows, 0, count, 0, 0 };
    uint32_t i;
    for (i = 0; i < count; i++) {
        rows[i].n = i;
        rows[i].size = 10 + 13 * i;
        assert_true(push_number(f.q, i, rows[i].size, false));
    }
    *c = fresh;
    return f;
}

static void test_peek(void **state)
{
    expected rows[10];
    consumer c;
    fixture  f = open_with(&c, rows, 10);
    (void)state;
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, ALL), 10);
    c.at = 0;
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, 4), 4); /* the same again */
    assert_int_equal(c.at, 4);
    vit_queue_release(f.q, 0);
    c.at = 0;
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, ALL), 10);
    vit_queue_release(f.q, 3);
    c.at = 3;
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, ALL), 7);
    c.at = 3;
    c.calls = 0;
    c.stop_at = 2; /* false: counted, and the last */
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, ALL), 2);
    assert_int_equal(c.calls, 2);
    c.stop_at = 0;
    c.at = 3;
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 7);
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, ALL), 0);
    close_queue(&f);
}

static void test_release_too_many(void **state)
{
    expected rows[10];
    consumer c;
    fixture  f = open_with(&c, rows, 10);
    (void)state;
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, 3), 3);
    vit_queue_release(f.q, 11);
    assert_int_equal(drain_all(f.q), 0);
    vit_queue_release(f.q, ALL);
    vit_queue_release(f.q, 1);
    c.at = 0;
    assert_true(push_number(f.q, 0, 10, false));
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 1);
    close_queue(&f);
}

/* The oldest are freed, also when nobody has looked at them. */
static void test_release_unseen(void **state)
{
    expected rows[10];
    consumer c;
    fixture  f = open_with(&c, rows, 10);
    (void)state;
    vit_queue_release(f.q, 4);
    c.at = 4;
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 6);
    close_queue(&f);
}

static void test_drain_stops(void **state)
{
    expected rows[10];
    consumer c;
    fixture  f = open_with(&c, rows, 10);
    (void)state;
    c.stop_at = 3;
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 3);
    assert_int_equal(c.at, 3); /* the third was seen and is gone */
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, 5), 5);
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, 5), 2);
    assert_int_equal(c.at, 10);
    close_queue(&f);
}

typedef struct pusher {
    vit_queue *q;
    consumer   c;
    expected   rows[400];
    uint32_t   left;
} pusher;

static bool push_and_check(const void *record, uint32_t size, void *user)
{
    pusher   *p = (pusher *)user;
    expected *row = &p->rows[p->c.count];
    (void)check_record(record, size, &p->c);
    if (p->left == 0) return true;
    row->n = (uint32_t)p->c.count;
    row->size = 1 + random_below(vit_queue_record_max(p->q));
    if (push_number(p->q, row->n, row->size, true)) {
        p->left--;
        p->c.count++;
    }
    return true;
}

/* What a callback pushes comes with the next drain, and what it is looking at stays whole. */
static void test_drain_pushes(void **state)
{
    static pusher p;
    fixture       f = open_queue(16 * KIB);
    size_t        there, looks = 0;
    (void)state;
    random_state = 3;
    memset(&p, 0, sizeof p);
    p.q = f.q;
    p.c.rows = p.rows;
    for (p.left = 300; p.left > 297; p.left--) {
        p.rows[p.c.count].n = (uint32_t)p.c.count;
        p.rows[p.c.count].size = 100;
        assert_true(push_number(f.q, (uint32_t)p.c.count, 100, false));
        p.c.count++;
    }
    while (p.c.at < p.c.count) {
        there = p.c.count - p.c.at;
        assert_int_equal(vit_queue_drain(f.q, push_and_check, &p, ALL), there);
        assert_true(++looks < 400);
    }
    assert_int_equal(p.left, 0);
    assert_int_equal(p.c.at, 300);
    close_queue(&f);
}

static bool take_and_send(const void *record, uint32_t size, void *user)
{
    (void)take_record(record, size, user);
    must_send((ledger *)user, 2, 40);
    return true;
}

/* The same where it goes to a chunk that is looked at later. */
static void test_drain_pushes_beside(void **state)
{
    ledger *l = open_book(64 * KIB);
    (void)state;
    must_send(l, 1, 40);
    must_send(l, 2, 40);
    assert_int_equal(vit_queue_drain(l->q, take_and_send, l, ALL), 2);
    assert_int_equal(vit_queue_drain(l->q, take_and_send, l, 1), 1);
    assert_int_equal(take_all(l), 2);
    close_book(l);
}

static void test_peek_pushes(void **state)
{
    static pusher p;
    fixture       f = open_queue(64 * KIB);
    (void)state;
    random_state = 4;
    memset(&p, 0, sizeof p);
    p.q = f.q;
    p.c.rows = p.rows;
    p.left = 10;
    p.c.count = 1;
    p.rows[0].size = 100;
    assert_true(push_number(f.q, 0, 100, false));
    assert_int_equal(vit_queue_peek(f.q, push_and_check, &p, ALL), 1);
    assert_int_equal(p.c.count, 2);
    p.c.at = 0;
    assert_int_equal(vit_queue_peek(f.q, push_and_check, &p, ALL), 2);
    p.c.at = 0;
    assert_int_equal(vit_queue_drain(f.q, check_record, &p.c, ALL), 4);
    close_queue(&f);
}

/* Looks at two threads' records in turn without releasing any, until no more can be noted. */
static void test_segments_full(void **state)
{
    static const size_t capacities[] = { 16 * KIB, 64 * KIB };
    size_t              k, n, most;
    uint32_t            i, rounds;
    (void)state;
    for (k = 0; k < COUNT_OF(capacities); k++) {
        ledger *l = open_book(capacities[k]);
        most = l->q->segment_max;
        rounds = (uint32_t)most * 2;
        for (i = 0; i < rounds; i++) {
            must_send(l, 1, 16);
            must_send(l, 2, 16);
            n = vit_queue_peek(l->q, count_record, NULL, ALL);
            assert_int_equal(n, 2 * (i + 1) < most ? 2 * (i + 1) : most);
        }
        assert_int_equal(take(l, 3), 3); /* with room again, all of it comes */
        while (l->seen_all < l->sent_all) assert_true(take(l, 5) > 0);
        close_book(l);
    }
}

/* ---- all operations at random ---------------------------------------------------------------- */

#define MODEL_THREADS 6u
#define MODEL_MAX     4096u

typedef struct model {
    ledger *l;
    label   peeked[MODEL_MAX]; /* what the last look saw and was not released */
    size_t  known, at;
    opened  open[MODEL_THREADS];
} model;

/* What was seen before is seen again, in the same order. */
static bool model_look(const void *record, uint32_t size, void *user)
{
    model *m = (model *)user;
    label  name;
    if (!read_record(m->l, record, size, &name)) return true;
    if (m->at < m->known) {
        if (memcmp(&name, &m->peeked[m->at], sizeof name) != 0)
            WRONG(m->l, "not the same at place %u", (unsigned)m->at);
    } else {
        assert_true(m->at < MODEL_MAX);
        m->peeked[m->at] = name;
        m->known++;
    }
    m->at++;
    return true;
}

static void model_consume(model *m)
{
    size_t most = random_below(3) ? random_below(30) : ALL, n, i;
    m->at = 0;
    n = vit_queue_peek(m->l->q, model_look, m, most);
    assert_int_equal(n, m->at);
    assert_true(n <= most);
    if (n < most) assert_int_equal(m->at, m->known);
    n = random_below(3) ? random_below((uint32_t)m->known + 1) : m->known;
    vit_queue_release(m->l->q, n);
    for (i = 0; i < n; i++) note_seen(m->l, &m->peeked[i]);
    memmove(m->peeked, m->peeked + n, (m->known - n) * sizeof m->peeked[0]);
    m->known -= n;
    assert_right(m->l);
}

static void model_step(model *m)
{
    uint32_t t = random_below(MODEL_THREADS), stream = m->open[t].at ? t + INSIDE : t;
    uint32_t size = LEAST + random_below(random_below(3) ? 60 : 2000);
    switch (random_below(12)) {
    case 0:
    case 1: model_consume(m); break;
    case 2:
    case 3:
        if (m->open[t].at) commit(m->l, &m->open[t], random_below(8) ? LEAST : 0);
        else m->open[t] = reserve(m->l, t, size);
        break;
    case 4: (void)send_as(m->l, stream, size, true); break;
    default: (void)send(m->l, stream, size); break;
    }
}

static void test_model(void **state)
{
    static const size_t capacities[] = { 16 * KIB, 64 * KIB, 512 * KIB };
    static model        m;
    size_t              i, run, t;
    (void)state;
    random_state = 5;
    for (i = 0; i < 2 * COUNT_OF(capacities); i++) {
        memset(&m, 0, sizeof m);
        m.l = open_book(capacities[i / 2]);
        start_at(m.l->q, 0xFFFFFF80u, 0x3FFC);
        if (i % 2) occupy(m.l->q);
        for (run = 0; run < 15000; run++) model_step(&m);
        for (t = 0; t < MODEL_THREADS; t++)
            if (m.open[t].at) commit(m.l, &m.open[t], LEAST);
        vit_queue_release(m.l->q, m.known);
        for (t = 0; t < m.known; t++) note_seen(m.l, &m.peeked[t]);
        close_book(m.l);
    }
}

/* ---- between any two atomic operations ------------------------------------------------------- */

typedef void (*scene_fn)(ledger *l);

/* What was, what is done, and what happens in the middle of it. */
static void run_scene(const char *name, scene_fn prepare_fn, scene_fn act_fn,
                      void (*between_fn)(void *user))
{
    uint32_t n;
    bool     happened = true;
    for (n = 1; happened; n++) {
        ledger *l = open_book(16 * KIB);
        snprintf(stand, sizeof stand, "%s, step %u: ", name, (unsigned)n);
        prepare_fn(l);
        arm(between_fn, l, n);
        act_fn(l);
        happened = disarm();
        if (l->open.at) commit(l, &l->open, l->open.size);
        take_rest(l);
        if (l->seen_all != l->sent_all)
            fail_msg("%s%u records, not %u", stand, (unsigned)l->seen_all, (unsigned)l->sent_all);
        must_send(l, 1, 100);
        must_send(l, 2, 100);
        close_book(l);
        assert_true(n < 10000);
    }
    assert_true(n > 3);
    stand[0] = 0;
}

/* The name says what it is made of. */
#define SCENE(prepare, act, between) \
    run_scene(#prepare " " #act " " #between, prepare, act, between)

typedef struct named {
    const char *name;
    scene_fn    fn;
} named;

#define NAMED(fn) \
    {             \
#fn, fn   \
    }

static void run_named(const named *prepare, const named *act, const char *between,
                      void (*between_fn)(void *user))
{
    char name[100];
    snprintf(name, sizeof name, "%s %s %s", prepare->name, act->name, between);
    run_scene(name, prepare->fn, act->fn, between_fn);
}

static void nothing(ledger *l) { (void)l; }

static void send_many(ledger *l, uint32_t stream, uint32_t n)
{
    while (n-- > 0) must_send(l, stream, 100);
}

/* Thread 1's chunk has room for one more. */
static void one_left(ledger *l) { send_many(l, 1, in_a_chunk(l->q, 100) - 1); }
static void none_left(ledger *l) { send_many(l, 1, in_a_chunk(l->q, 100)); }

/* Nor is there another chunk for it but the shared one. */
static void one_left_and_no_chunk(ledger *l)
{
    one_left(l);
    must_send(l, 2, 100);
}

/* Threads 1 and 2 have the chunks, thread 3 shares, thread 4 has nothing yet. */
static void three(ledger *l)
{
    must_send(l, 1, 100);
    must_send(l, 2, 100);
    must_send(l, 3, 100);
}

/* Thread 1 was in the middle of a record when its chunk was wanted, and is not any more. */
static void wanted(ledger *l)
{
    opened o = reserve(l, 1, 100);
    must_send(l, 2, 100);
    must_send(l, 3, 100);
    (void)take_all(l);
    commit(l, &o, 100);
}

static void three_seen(ledger *l)
{
    three(l);
    (void)vit_queue_peek(l->q, count_record, NULL, ALL);
}

static void slotless(ledger *l)
{
    occupy(l->q);
    must_send(l, 1, 100);
    must_send(l, 2, 100);
}

/* One slot is free, for thread 1. */
static void last_slot(ledger *l)
{
    occupy(l->q);
    become(1);
    vitp_queue_slot(l->q, forged)->owner = 0;
}

static void slotless_one_left(ledger *l)
{
    occupy(l->q);
    one_left(l);
}

static void slotless_none_left(ledger *l)
{
    occupy(l->q);
    none_left(l);
}

static void slotless_open(ledger *l)
{
    slotless(l);
    l->open = reserve(l, 1, 100);
    must_send(l, 2, 100);
}

static void slotless_open_seen(ledger *l)
{
    slotless_open(l);
    (void)take_all(l);
}

static void shared_open(ledger *l)
{
    three(l);
    l->open = reserve(l, 3, 100);
}

static void own_open(ledger *l)
{
    must_send(l, 1, 100);
    l->open = reserve(l, 1, 100);
    must_send(l, 1 + INSIDE, 100);
}

static void all_open(ledger *l)
{
    own_open(l);
    must_send(l, 2, 100);
    must_send(l, 3, 100);
}

static void act_drain(ledger *l) { (void)take_all(l); }
static void act_drain_one(ledger *l) { (void)take(l, 1); }

static void act_drain_twice(ledger *l)
{
    (void)take_all(l);
    (void)take_all(l);
}

static void act_send(ledger *l) { (void)send(l, 1, 100); }
static void act_send_long(ledger *l) { (void)send(l, 1, 1000); }
static void act_send_important(ledger *l) { (void)send_as(l, 1, 100, true); }
static void act_send_new(ledger *l) { (void)send(l, 4, 100); }
static void act_send_third(ledger *l) { (void)send(l, 3, 100); }

static void act_send_two(ledger *l)
{
    (void)send(l, 1, 100);
    (void)send(l, 1, 100);
}

static void act_reserve(ledger *l)
{
    opened o = reserve(l, 1, 100);
    if (o.at) commit(l, &o, 50);
}

static void act_give_up(ledger *l)
{
    opened o = reserve(l, 1, 100);
    if (o.at) commit(l, &o, 0);
}

static void close_open(ledger *l)
{
    if (l->open.at) commit(l, &l->open, l->open.size);
}

static void between_commit(void *user)
{
    ledger  *l = (ledger *)user;
    uint32_t stream = l->open.stream;
    close_open(l);
    (void)send(l, stream, 100);
    (void)send(l, stream, 100);
    (void)send(l, 2, 100);
}

static void between_inside_and_commit(void *user)
{
    ledger *l = (ledger *)user;
    (void)send(l, 1 + INSIDE, 100);
    l->open.partner = l->sent[1 + INSIDE];
    between_commit(l);
}

static void between_first(void *user)
{
    ledger  *l = (ledger *)user;
    uint32_t i;
    for (i = 0; i < 3; i++) (void)send(l, 1, 100);
}

static void between_third(void *user)
{
    ledger  *l = (ledger *)user;
    uint32_t i;
    for (i = 0; i < 3; i++) (void)send(l, 3, 100);
}

static void between_all(void *user)
{
    ledger  *l = (ledger *)user;
    uint32_t i;
    for (i = 0; i < 8; i++) (void)send(l, 1 + i % 4, 100);
}

/* So much that the chunk is full in the middle. */
static void between_much(void *user)
{
    ledger  *l = (ledger *)user;
    uint32_t i;
    for (i = 0; i < 45; i++) (void)send(l, 1, 100);
    (void)send(l, 2, 100);
}

static void between_drain(void *user) { (void)take_all((ledger *)user); }

static void between_signal(void *user)
{
    ledger  *l = (ledger *)user;
    uint32_t thread = (uint32_t)((forged - 0x10000u) / 64u), i;
    for (i = 0; i < 2; i++) (void)send(l, thread + INSIDE, 60);
}

static void between_signal_and_drain(void *user)
{
    between_signal(user);
    between_drain(user);
}

static void between_other(void *user)
{
    ledger  *l = (ledger *)user;
    uint32_t i;
    for (i = 0; i < 3; i++) (void)send(l, 2, 100);
}

static const named drains[] = { NAMED(act_drain), NAMED(act_drain_one), NAMED(act_drain_twice) };

/* The consumer looks, and frees, while a thread pushes. */
static void test_between_drain(void **state)
{
    static const struct {
        named prepare;
        void (*between_fn)(void *user);
    } scenes[] = {
        { NAMED(nothing), between_all },
        { NAMED(one_left), between_first },
        { NAMED(one_left), between_much },
        { NAMED(one_left_and_no_chunk), between_first },
        { NAMED(one_left_and_no_chunk), between_all },
        { NAMED(three), between_first },
        { NAMED(three), between_third },
        { NAMED(three), between_all },
        { NAMED(wanted), between_first },
        { NAMED(wanted), between_all },
        { NAMED(three_seen), between_all },
        { NAMED(three_seen), between_much },
    };
    size_t i, k;
    (void)state;
    for (i = 0; i < COUNT_OF(scenes); i++)
        for (k = 0; k < COUNT_OF(drains); k++)
            run_named(&scenes[i].prepare, &drains[k], "pushes", scenes[i].between_fn);
}

/* The same, with threads that have no slot. */
static void test_between_drain_slotless(void **state)
{
    static const named prepares[] = { NAMED(slotless), NAMED(slotless_one_left),
                                      NAMED(slotless_none_left) };
    size_t             i, k;
    (void)state;
    for (i = 0; i < COUNT_OF(prepares); i++)
        for (k = 0; k < COUNT_OF(drains); k++) {
            run_named(&prepares[i], &drains[k], "between_first", between_first);
            run_named(&prepares[i], &drains[k], "between_all", between_all);
            run_named(&prepares[i], &drains[k], "between_much", between_much);
        }
}

/* A thread commits and pushes on, while the consumer looks. */
static void test_between_drain_commit(void **state)
{
    (void)state;
    SCENE(shared_open, act_drain, between_commit);
    SCENE(shared_open, act_drain_twice, between_commit);
}

static void test_between_drain_commit_slotless(void **state)
{
    (void)state;
    SCENE(slotless_open, act_drain, between_commit);
    SCENE(slotless_open_seen, act_drain, between_commit);
    SCENE(slotless_open, act_drain_twice, between_commit);
}

static void test_between_drain_commit_own(void **state)
{
    (void)state;
    SCENE(own_open, act_drain, between_commit);
    SCENE(all_open, act_drain, between_commit);
    SCENE(own_open, act_drain, between_inside_and_commit);
    SCENE(all_open, act_drain, between_inside_and_commit);
}

static void run_pushers(const char *name, void (*between_fn)(void *user))
{
    static const named prepares[] = {
        NAMED(nothing),
        NAMED(three),
        NAMED(one_left),
        NAMED(none_left),
        NAMED(one_left_and_no_chunk),
        NAMED(slotless),
        NAMED(slotless_one_left),
        NAMED(slotless_none_left),
        NAMED(wanted),
        NAMED(last_slot),
    };
    static const named acts[] = {
        NAMED(act_send),     NAMED(act_send_two),   NAMED(act_send_long), NAMED(act_send_important),
        NAMED(act_send_new), NAMED(act_send_third), NAMED(act_reserve),   NAMED(act_give_up),
    };
    size_t i, k;
    for (i = 0; i < COUNT_OF(prepares); i++)
        for (k = 0; k < COUNT_OF(acts); k++) run_named(&prepares[i], &acts[k], name, between_fn);
}

/* A thread pushes while the consumer looks and frees: the other way round. */
static void test_between_push_drain(void **state)
{
    (void)state;
    run_pushers("drain", between_drain);
}

/* A signal handler of the thread itself pushes. */
static void test_between_push_signal(void **state)
{
    (void)state;
    run_pushers("signal", between_signal);
}

static void test_between_push_signal_drain(void **state)
{
    (void)state;
    run_pushers("signal and drain", between_signal_and_drain);
}

/* Another thread pushes. */
static void test_between_push_other(void **state)
{
    (void)state;
    run_pushers("other", between_other);
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* The child of a queue in plain memory has a copy of its own. */
static void test_fork(void **state)
{
    ledger  *l = open_book(64 * KIB);
    uint32_t i;
    pid_t    child;
    int      status = -1;
    (void)state;
    for (i = 0; i < 100; i++) must_send(l, 1 + i % 3, 50);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool ok = vit_queue_drain(l->q, take_record, l, ALL) == 100;
        for (i = 0; i < 5000 && ok; i++) {
            ok = send(l, 1 + i % 3, 50);
            if (i % 10 == 9) ok = ok && vit_queue_drain(l->q, take_record, l, ALL) == 10;
        }
        _exit(ok && !l->wrong[0] && l->seen_all == l->sent_all ? 0 : 1);
    }
    for (i = 0; i < 100; i++) must_send(l, 1 + i % 3, 50);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(take_all(l), 200);
    close_book(l);
}

/* ---- signals --------------------------------------------------------------------------------- */

#define SIGNALLED 4u

static struct signalled {
    ledger   *l;
    pthread_t threads[SIGNALLED];
    uint32_t  known; /* threads that may be signalled */
    uint32_t  left;  /* threads that still push */
    uint32_t  caught;
} signalled;

/* The thread's own number; SIGNALLED: none of them. */
static uint32_t my_number(void)
{
    uint32_t i;
    for (i = 0; i < SIGNALLED; i++)
        if (pthread_equal(signalled.threads[i], pthread_self())) break;
    return i;
}

/* Only this thread writes its counts; sent_all is summed up at the end. */
static bool push_signalled(uint32_t stream, uint32_t size)
{
    ledger       *l = signalled.l;
    unsigned char bytes[300];
    write_record(l, bytes, stream, *(volatile uint32_t *)&l->sent[stream ^ INSIDE], size);
    if (!vit_queue_push(l->q, bytes, size)) return false;
    *(volatile uint32_t *)&l->sent[stream] += 1;
    return true;
}

static void on_signal(int number)
{
    int      was = errno;
    uint32_t me = my_number();
    (void)number;
    if (me < SIGNALLED && push_signalled(me + INSIDE, 12 + me * 20))
        __atomic_fetch_add(&signalled.caught, 1, __ATOMIC_RELAXED);
    errno = was;
}

static void *signalled_main(void *argument)
{
    uint32_t me = *(const uint32_t *)argument, i;
    sigset_t set;
    while (!VITP_ATOMIC_LOAD_ACQUIRE(&signalled.known)) sched_yield();
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    for (i = 0; i < 20000; i++)
        while (!push_signalled(me, 12 + (i * 7 + me) % 280)) sched_yield();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    VITP_ATOMIC_ADD(&signalled.left, 0xFFFFFFFFu);
    return NULL;
}

static void run_signals(size_t capacity)
{
    static const struct itimerval often = { { 0, 200 }, { 0, 200 } },
                                  never = { { 0, 0 }, { 0, 0 } };
    static const uint32_t numbers[SIGNALLED] = { 0, 1, 2, 3 };
    struct sigaction      action, before;
    ledger               *l = open_book(capacity);
    sigset_t              set;
    uint32_t              i;
    memset(&signalled, 0, sizeof signalled);
    memset(&action, 0, sizeof action);
    signalled.l = l;
    signalled.left = SIGNALLED;
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert_int_equal(sigaction(SIGPROF, &action, &before), 0);
    for (i = 0; i < SIGNALLED; i++)
        assert_int_equal(pthread_create(&signalled.threads[i], NULL, signalled_main,
                                        (void *)(uintptr_t)&numbers[i]),
                         0);
    VITP_ATOMIC_STORE_RELEASE(&signalled.known, 1u);
    assert_int_equal(setitimer(ITIMER_PROF, &often, NULL), 0);
    while (VITP_ATOMIC_LOAD(&signalled.left) > 0) {
        (void)vit_queue_drain(l->q, take_record, l, 200);
        for (i = 0; i < SIGNALLED; i++) (void)pthread_kill(signalled.threads[i], SIGPROF);
        sched_yield();
    }
    assert_int_equal(setitimer(ITIMER_PROF, &never, NULL), 0);
    for (i = 0; i < SIGNALLED; i++) assert_int_equal(pthread_join(signalled.threads[i], NULL), 0);
    action.sa_handler = SIG_IGN; /* what is still on its way */
    (void)sigaction(SIGPROF, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    (void)sigaction(SIGPROF, &before, NULL);
    for (i = 0; i < SIGNALLED; i++) l->sent_all += l->sent[i] + l->sent[i + INSIDE];
    assert_true(signalled.caught > 0);
    close_book(l);
}

static void test_signals(void **state)
{
    (void)state;
    run_signals(16 * KIB);
    run_signals(64 * KIB);
}

/* ---- many producers -------------------------------------------------------------------------- */

#define PRODUCERS_MAX 8

/* Record `n` of a producer: its first byte is the producer, size and the rest follow from both, so
   that a record of one byte is checked too: the next of its producer must have just this size. */
typedef struct race {
    vit_queue *q;
    uint32_t   producers, each, most;
    uint32_t   full;                /* refusals; the producers */
    uint32_t   go, over;            /* the producers wait for go, and give up at over */
    uint32_t   next[PRODUCERS_MAX]; /* what must come; the consumer */
    uint64_t   bytes;               /* seen; the consumer */
    uint32_t   wrong;
} race;

typedef struct producer {
    race    *r;
    uint32_t number;
    uint64_t bytes;
} producer;

static uint32_t size_in_race(const race *r, uint32_t number, uint32_t n)
{
    return 1 + mix(number * 0x9E3779B1u ^ n) % r->most;
}

static void fill_in_race(unsigned char *out, uint32_t number, uint32_t n, uint32_t size)
{
    fill(out, number * 0x01000193u + n, size);
    out[0] = (unsigned char)number;
}

static bool produce(race *r, uint32_t number, uint32_t n, uint32_t size)
{
    unsigned char bytes[300], *at;
    uint32_t      more;
    switch (n % 4) {
    case 0:
    case 1: fill_in_race(bytes, number, n, size); return vit_queue_push(r->q, bytes, size);
    case 2:
        fill_in_race(bytes, number, n, size);
        return vit_queue_push_important(r->q, bytes, size);
    default:
        more = size + n % 16 < r->most ? size + n % 16 : r->most;
        at = (unsigned char *)vit_queue_reserve(r->q, more);
        if (!at) return false;
        fill_in_race(at, number, n, size);
        vit_queue_commit(r->q, at, size);
        return true;
    }
}

static void *producer_main(void *argument)
{
    producer *p = (producer *)argument;
    race     *r = p->r;
    uint32_t  n, size;
    while (!VITP_ATOMIC_LOAD_ACQUIRE(&r->go)) sched_yield();
    for (n = 0; n < r->each; n++) {
        size = size_in_race(r, p->number, n);
        while (!produce(r, p->number, n, size)) {
            if (VITP_ATOMIC_LOAD(&r->over)) return NULL;
            VITP_ATOMIC_ADD(&r->full, 1u);
            sched_yield();
        }
        p->bytes += size;
    }
    return NULL;
}

static bool consume_in_race(const void *record, uint32_t size, void *user)
{
    race                *r = (race *)user;
    const unsigned char *bytes = (const unsigned char *)record;
    uint32_t             number = bytes[0], n;
    unsigned char        want[300];
    r->bytes += size;
    if (size == 0 || number >= r->producers || r->next[number] >= r->each) {
        r->wrong++;
        return true;
    }
    n = r->next[number]++;
    if (size != size_in_race(r, number, n)) {
        r->wrong++;
        return true;
    }
    fill_in_race(want, number, n, size);
    if (memcmp(bytes, want, size) != 0) r->wrong++;
    return true;
}

static void consume_all(race *r)
{
    uint64_t records = (uint64_t)r->producers * r->each, seen = 0;
    uint32_t turn = 0;
    size_t   n;
    while (!VITP_ATOMIC_LOAD(&r->full)) sched_yield(); /* so that it was full once, for sure */
    while (seen < records && r->wrong == 0) {
        if (turn++ % 2) {
            n = vit_queue_drain(r->q, consume_in_race, r, 1 + turn % 50);
        } else {
            n = vit_queue_peek(r->q, consume_in_race, r, 1 + turn % 50);
            vit_queue_release(r->q, n);
        }
        seen += n;
        if (n == 0) sched_yield();
    }
}

static void run_race(size_t capacity, uint32_t producers, uint32_t each, bool shared)
{
    fixture   f = open_queue(capacity);
    race      r;
    pthread_t threads[PRODUCERS_MAX];
    producer  jobs[PRODUCERS_MAX];
    uint64_t  bytes = 0;
    uint32_t  i;
    memset(&r, 0, sizeof r);
    r.q = f.q;
    r.producers = producers;
    r.each = each;
    r.most = vit_queue_record_max(f.q) < 300 ? vit_queue_record_max(f.q) : 300;
    start_at(f.q, 0xFFFFFFE0u, 0x3FFE);
    if (shared) occupy(f.q);
    for (i = 0; i < producers; i++) {
        jobs[i].r = &r;
        jobs[i].number = i;
        jobs[i].bytes = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, producer_main, &jobs[i]), 0);
    }
    VITP_ATOMIC_STORE_RELEASE(&r.go, 1u);
    consume_all(&r);
    VITP_ATOMIC_STORE(&r.over, 1u);
    for (i = 0; i < producers; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (r.wrong) fail_msg("%u producers, %u bytes: wrong records", producers, (unsigned)capacity);
    for (i = 0; i < producers; i++) {
        assert_int_equal(r.next[i], each);
        bytes += jobs[i].bytes;
    }
    assert_true(bytes == r.bytes);
    assert_int_equal(drain_all(f.q), 0);
    assert_int_equal(vitp_queue_pushed(f.q), producers * each);
    assert_none_lost(f.q);
    assert_int_equal(vitp_queue_pushed(f.q), producers * each);
    assert_none_lost(f.q);
    assert_int_equal(vitp_queue_pushed(f.q), producers * each);
    assert_none_lost(f.q);
    assert_int_equal(vitp_queue_pushed(f.q), producers * each);
    assert_none_lost(f.q);
    close_queue(&f);
}

static void run_races(uint32_t producers)
{
    static const size_t capacities[] = { 16 * KIB, 64 * KIB, 512 * KIB };
    size_t              i;
    for (i = 0; i < COUNT_OF(capacities); i++)
        run_race(capacities[i], producers, 24000 / producers, false);
}

/* Nobody has a slot: all of them in the shared chunk. */
static void run_shared_races(uint32_t producers)
{
    run_race(16 * KIB, producers, 24000 / producers, true);
    run_race(64 * KIB, producers, 24000 / producers, true);
}

static void test_one_producer(void **state)
{
    (void)state;
    run_races(1);
}
static void test_two_producers(void **state)
{
    (void)state;
    run_races(2);
}
static void test_four_producers(void **state)
{
    (void)state;
    run_races(4);
}
static void test_eight_producers(void **state)
{
    (void)state;
    run_races(8);
}

/* Those that are ready first are idle from then on, and keep their chunks: the others go on in the
   shared one. */
static void test_no_barrier(void **state)
{
    (void)state;
    __atomic_store_n(&has_barrier, 0u, __ATOMIC_RELAXED);
    (void)alarm(120);
    run_races(8);
    run_races(2);
    (void)alarm(0);
    __atomic_store_n(&has_barrier, 1u, __ATOMIC_RELAXED);
}

static void test_shared_producers(void **state)
{
    (void)state;
    run_shared_races(1);
    run_shared_races(2);
    run_shared_races(8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes),
        TEST(test_init_refuses),
        TEST(test_init_takes_what_fits),
        TEST(test_record_max),
        TEST(test_sizes),
        TEST(test_every_short_size),
        TEST(test_nulls),
        TEST(test_commit_too_much),
        TEST(test_wraps),
        TEST(test_wraps_of_counters),
        TEST(test_generations),
        TEST(test_wrap_of_numbers),
        TEST(test_empty_takes_all),
        TEST(test_full),
        TEST(test_important),
        TEST(test_commit_smaller),
        TEST(test_commit_nothing),
        TEST(test_middle_of_own),
        TEST(test_inside_comes_before),
        TEST(test_many_inside),
        TEST(test_inside_comes_before_shared),
        TEST(test_middle_of_shared),
        TEST(test_middle_of_shared_others),
        TEST(test_middle_of_shared_others_slotless),
        TEST(test_commits_out_of_order),
        TEST(test_commit_twice),
        TEST(test_seventeen_holes),
        TEST(test_holes_by_one),
        TEST(test_predecessor_is_open),
        TEST(test_gap_own),
        TEST(test_gap_shared),
        TEST(test_gap_comes_late),
        TEST(test_two_threads),
        TEST(test_idle_is_revoked),
        TEST(test_idle_after_wanted),
        TEST(test_idle_with_nothing),
        TEST(test_idle_is_not_filling),
        TEST(test_peek_frees_what_was_given_up),
        TEST(test_wanted_lives),
        TEST(test_more_threads_than_slots),
        TEST(test_thread_pointer_again),
        TEST(test_thread_pointer_again_shared),
        TEST(test_short_lived_threads),
        TEST(test_own_and_shared),
        TEST(test_own_and_shared_strict),
        TEST(test_changes_of_chunk),
        TEST(test_peek),
        TEST(test_release_too_many),
        TEST(test_release_unseen),
        TEST(test_drain_stops),
        TEST(test_drain_pushes),
        TEST(test_drain_pushes_beside),
        TEST(test_peek_pushes),
        TEST(test_segments_full),
        TEST(test_model),
        TEST(test_between_drain),
        TEST(test_between_drain_slotless),
        TEST(test_between_drain_commit),
        TEST(test_between_drain_commit_slotless),
        TEST(test_between_drain_commit_own),
        TEST(test_between_push_drain),
        TEST(test_between_push_signal),
        TEST(test_between_push_signal_drain),
        TEST(test_between_push_other),
        TEST(test_fork),
        TEST(test_signals),
        TEST(test_one_producer),
        TEST(test_two_producers),
        TEST(test_four_producers),
        TEST(test_eight_producers),
        TEST(test_no_barrier),
        TEST(test_shared_producers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
