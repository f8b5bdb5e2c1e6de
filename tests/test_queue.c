/* test_queue.c: the queue by itself: one thread against a model, and many producers.

   Build:   cc -std=c99 -g -I. tests/test_queue.c -o build/tests/test_queue -lcmocka -pthread */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
#define ALL         ((size_t)-1)

static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}

static uint32_t random_state;

static uint32_t random_below(uint32_t n) { return mix(++random_state) % n; }

/* A queue over memory of just the size that it asks for: a sanitizer sees one byte more. */
typedef struct fixture { void *memory; vit_queue *q; } fixture;

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

typedef struct expected { uint32_t n, size; } expected;

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

/* ---- sizes ----------------------------------------------------------------------------------- */

static void test_bytes(void **state)
{
    static const size_t too_much[] = { 0, ((size_t)1 << 30) + 1, (size_t)1 << 31, ALL / 2, ALL };
    size_t              i, least = vit_queue_bytes(1);
    (void)state;
    for (i = 0; i < COUNT_OF(too_much); i++) assert_int_equal(vit_queue_bytes(too_much[i]), 0);
    assert_true(least > 1024);
    assert_int_equal(vit_queue_bytes(1000), least);
    assert_int_equal(vit_queue_bytes(1024), least);
    assert_int_equal(vit_queue_bytes(1025), least + 1024);
    assert_int_equal(vit_queue_bytes(2048), least + 1024);
    assert_int_equal(vit_queue_bytes(3000), least + 3072);
    assert_int_equal(vit_queue_bytes((size_t)1 << 30), least - 1024 + ((size_t)1 << 30));
}

static void test_init_refuses(void **state)
{
    size_t         bytes = vit_queue_bytes(1024), off;
    unsigned char *memory;
    void          *block;
    (void)state;
    assert_int_equal(posix_memalign(&block, 64, bytes + 64), 0);
    memory = (unsigned char *)block;
    assert_null(vit_queue_init(NULL, bytes));
    assert_null(vit_queue_init(memory, 0));
    assert_null(vit_queue_init(memory, 1024));
    assert_null(vit_queue_init(memory, bytes - 1));
    for (off = 1; off < 64; off++) assert_null(vit_queue_init(memory + off, bytes));
    assert_non_null(vit_queue_init(memory, bytes));
    assert_non_null(vit_queue_init(memory + 64, bytes));
    free(block);
}

static void test_init_takes_what_fits(void **state)
{
    static const size_t capacities[] = { 1024, 4096, 65536, 1 << 20 };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        size_t     bytes = vit_queue_bytes(capacities[i]);
        void      *memory;
        vit_queue *q;
        assert_int_equal(posix_memalign(&memory, 64, 2 * bytes), 0);
        q = vit_queue_init(memory, bytes);
        assert_int_equal(q->capacity, capacities[i]);
        q = vit_queue_init(memory, bytes + capacities[i] - 1); /* one byte short of twice as much */
        assert_int_equal(q->capacity, capacities[i]);
        q = vit_queue_init(memory, bytes + capacities[i]);
        assert_int_equal(q->capacity, 2 * capacities[i]);
        free(memory);
    }
}

static void test_record_max(void **state)
{
    static const struct { size_t capacity; uint32_t want; } rows[] = {
        { 1, 248 }, { 1024, 248 }, { 2048, 504 }, { 4096, 1016 }, { 16384, 4088 }, { 65536, 4088 },
        { 131072, 4088 }, { 262144, 8184 }, { 1 << 20, 32760 }, { 1 << 22, 32760 },
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

static void test_sizes(void **state)
{
    static unsigned char bytes[32769];
    static const size_t  capacities[] = { 1024, 16384, 1 << 20 };
    size_t               i;
    (void)state;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        fixture  f    = open_queue(capacities[i]);
        uint32_t most = vit_queue_record_max(f.q);
        expected rows[2];
        consumer c = { rows, 0, 2, 0, 0 };
        rows[0].n = 1, rows[0].size = 1;
        rows[1].n = 2, rows[1].size = most;
        assert_false(vit_queue_push(f.q, bytes, 0));
        assert_false(vit_queue_push(f.q, bytes, most + 1));
        assert_false(vit_queue_push(f.q, bytes, 0x7FFFFFFFu));
        assert_false(vit_queue_push(f.q, bytes, 0xFFFFFFFFu));
        assert_false(vit_queue_push(f.q, NULL, 8));
        assert_false(vit_queue_push_important(f.q, bytes, 0));
        assert_false(vit_queue_push_important(f.q, bytes, most + 1));
        assert_false(vit_queue_push_important(f.q, NULL, 8));
        assert_null(vit_queue_reserve(f.q, 0));
        assert_null(vit_queue_reserve(f.q, most + 1));
        assert_null(vit_queue_reserve(f.q, 0xFFFFFFFFu));
        assert_true(push_number(f.q, 1, 1, false));
        assert_true(push_number(f.q, 2, most, false));
        assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 2);
        assert_int_equal(drain_all(f.q), 0);
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

/* ---- order and content through many wraps ---------------------------------------------------- */

/* Pushes and drains at random and compares with a list. */
static void run_wraps(size_t capacity, uint32_t start, uint32_t bytes_total)
{
    static expected rows[65536];
    fixture         f = open_queue(capacity);
    consumer        c = { rows, 0, 0, 0, 0 };
    uint32_t        pushed = 0, refused = 0, most = vit_queue_record_max(f.q);
    f.q->tail = f.q->head = start;
    while (pushed < bytes_total) {
        expected *row = &rows[c.count];
        row->n        = (uint32_t)c.count;
        row->size     = 1 + random_below(random_below(4) ? (most < 100 ? most : 100) : most);
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
    (void)vit_queue_drain(f.q, check_record, &c, ALL);
    assert_int_equal(c.at, c.count);
    assert_true(refused > 0);
    close_queue(&f);
}

static void test_wraps(void **state)
{
    (void)state;
    random_state = 1;
    run_wraps(1024, 0, 400000);
    run_wraps(4096, 0, 1000000);
    run_wraps(65536, 0, 2000000);
}

static void test_wraps_of_counters(void **state)
{
    (void)state;
    random_state = 2;
    run_wraps(1024, 0xFFFFF000u, 100000);
    run_wraps(2048, 0xFFFFF000u, 100000);
    run_wraps(4096, 0xFFFFF000u, 100000);
    run_wraps(65536, 0xFFFF0000u, 400000);
}

/* From each place of the ring an empty queue takes the largest record, and 1 byte. */
static void test_empty_takes_all(void **state)
{
    fixture  f    = open_queue(1024);
    uint32_t most = vit_queue_record_max(f.q), place, size;
    (void)state;
    for (place = 0; place < 1024; place += 8) {
        for (size = 1; size <= most; size += most - 1) {
            f.q->tail = f.q->head = 0xFFFFF800u + place;
            assert_true(push_number(f.q, 7, size, false));
            assert_int_equal(drain_all(f.q), 1);
        }
    }
    close_queue(&f);
}

/* ---- full ------------------------------------------------------------------------------------ */

static uint32_t push_until_full(vit_queue *q, uint32_t size, bool important)
{
    uint32_t n = 0;
    while (push_number(q, n, size, important)) n++;
    return n;
}

static void test_full(void **state)
{
    static const size_t capacities[] = { 1024, 2048, 8192, 65536 };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        fixture  f = open_queue(capacities[i]);
        uint32_t first, again, round;
        first = push_until_full(f.q, 56, false);
        assert_int_equal(first, capacities[i] / 8 * 7 / vitp_queue_extent(56));
        for (round = 0; round < 100; round++) { /* one goes, one comes */
            assert_false(push_number(f.q, 0, 56, false));
            assert_null(vit_queue_reserve(f.q, 56));
            vit_queue_release(f.q, 1);
            assert_true(push_number(f.q, 0, 56, false));
        }
        assert_int_equal(drain_all(f.q), first);
        again = push_until_full(f.q, 56, false);
        assert_true(again + 1 >= first); /* a gap at the end of the ring may cost one */
        assert_int_equal(drain_all(f.q), again);
        close_queue(&f);
    }
}

static void test_important(void **state)
{
    static const size_t capacities[] = { 1024, 2048, 8192, 65536 };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        fixture  f       = open_queue(capacities[i]);
        uint32_t normal  = push_until_full(f.q, 24, false), important, freed;
        important        = push_until_full(f.q, 24, true);
        assert_int_equal(important, capacities[i] / 8 / vitp_queue_extent(24));
        assert_false(push_number(f.q, 0, 24, false));
        /* Freed room refills the reserve first: important ones get it, the others do not. */
        vit_queue_release(f.q, 1);
        assert_false(push_number(f.q, 0, 24, false));
        assert_true(push_number(f.q, 0, 24, true));
        for (freed = 0; !push_number(f.q, 0, 24, false); freed++) vit_queue_release(f.q, 1);
        assert_true(freed >= important);
        assert_int_equal(drain_all(f.q), normal + important + 1 - freed);
        close_queue(&f);
    }
}

/* ---- reserve and commit ---------------------------------------------------------------------- */

static void test_commit_smaller(void **state)
{
    static const expected rows[] = { { 1, 200 }, { 2, 13 }, { 3, 1 }, { 4, 8 } };
    static const uint32_t asked[] = { 200, 200, 7, 9 };
    fixture               f = open_queue(1024);
    consumer              c = { rows, 0, COUNT_OF(rows), 0, 0 };
    size_t                i, round;
    (void)state;
    for (round = 0; round < 50; round++) {
        for (i = 0; i < COUNT_OF(rows); i++) {
            unsigned char *at = (unsigned char *)vit_queue_reserve(f.q, asked[i]);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % 8, 0);
            memset(at, 0xCC, asked[i]); /* all that was asked for may be written */
            fill(at, rows[i].n, rows[i].size);
            vit_queue_commit(f.q, at, rows[i].size);
        }
        c.at = 0;
        assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), COUNT_OF(rows));
    }
    close_queue(&f);
}

/* What was reserved and is not committed holds the consumer; the others go on until it is full. */
static void test_reserve_holds(void **state)
{
    fixture        f = open_queue(2048);
    expected       rows[100];
    consumer       c = { rows, 0, 0, 0, 0 };
    unsigned char *at;
    (void)state;
    rows[0].n = 0, rows[0].size = 50;
    assert_true(push_number(f.q, 0, 50, false));
    at = (unsigned char *)vit_queue_reserve(f.q, 60);
    assert_non_null(at);
    rows[1].n = 1, rows[1].size = 60;
    for (c.count = 2; push_number(f.q, (uint32_t)c.count, 40, false); c.count++) {
        assert_true(c.count < COUNT_OF(rows) - 1);
        rows[c.count].n    = (uint32_t)c.count;
        rows[c.count].size = 40;
    }
    assert_true(c.count > 20);
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, ALL), 1);
    c.at = 0;
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 1);
    assert_int_equal(drain_all(f.q), 0);
    vit_queue_release(f.q, ALL); /* does not step over it either */
    fill(at, 1, 60);
    vit_queue_commit(f.q, at, 60);
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), c.count - 1);
    assert_int_equal(c.at, c.count);
    close_queue(&f);
}

static void test_commits_out_of_order(void **state)
{
    static const expected rows[] = { { 0, 30 }, { 1, 31 }, { 2, 32 } };
    fixture               f = open_queue(1024);
    consumer              c = { rows, 0, 3, 0, 0 };
    unsigned char        *at[3];
    uint32_t              i;
    (void)state;
    for (i = 0; i < 3; i++) at[i] = (unsigned char *)vit_queue_reserve(f.q, rows[i].size);
    for (i = 3; i-- > 0;) {
        assert_int_equal(drain_all(f.q), 0);
        fill(at[i], i, rows[i].size);
        vit_queue_commit(f.q, at[i], rows[i].size);
    }
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 3);
    close_queue(&f);
}

/* ---- peek, release, drain -------------------------------------------------------------------- */

static fixture open_with(consumer *c, expected *rows, uint32_t count)
{
    fixture  f = open_queue(4096);
    consumer fresh = { rows, 0, count, 0, 0 };
    uint32_t i;
    for (i = 0; i < count; i++) {
        rows[i].n    = i;
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
    c.at      = 3;
    c.calls   = 0;
    c.stop_at = 2; /* false: counted, and the last */
    assert_int_equal(vit_queue_peek(f.q, check_record, &c, ALL), 2);
    assert_int_equal(c.calls, 2);
    c.stop_at = 0;
    c.at      = 3;
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
    vit_queue_release(f.q, 11);
    assert_int_equal(drain_all(f.q), 0);
    vit_queue_release(f.q, ALL);
    vit_queue_release(f.q, 1);
    assert_true(push_number(f.q, 0, 10, false));
    assert_int_equal(vit_queue_drain(f.q, check_record, &c, ALL), 1);
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

typedef struct pusher { vit_queue *q; consumer c; expected rows[400]; uint32_t left; } pusher;

static bool push_and_check(const void *record, uint32_t size, void *user)
{
    pusher   *p   = (pusher *)user;
    expected *row = &p->rows[p->c.count];
    (void)check_record(record, size, &p->c);
    if (p->left == 0) return true;
    row->n    = (uint32_t)p->c.count;
    row->size = 1 + random_below(vit_queue_record_max(p->q));
    if (push_number(p->q, row->n, row->size, true)) {
        p->left--;
        p->c.count++;
    }
    return true;
}

/* What a callback pushes comes in the same drain, and what it is looking at stays whole. */
static void test_drain_pushes(void **state)
{
    static pusher p;
    fixture       f = open_queue(1024);
    (void)state;
    random_state = 3;
    p.q          = f.q;
    p.c.rows     = p.rows;
    for (p.left = 300; p.left > 297; p.left--) {
        p.rows[p.c.count].n    = (uint32_t)p.c.count;
        p.rows[p.c.count].size = 100;
        assert_true(push_number(f.q, (uint32_t)p.c.count, 100, false));
        p.c.count++;
    }
    assert_int_equal(vit_queue_drain(f.q, push_and_check, &p, ALL), 300);
    assert_int_equal(p.left, 0);
    assert_int_equal(p.c.at, 300);
    close_queue(&f);
}

static void test_peek_pushes(void **state)
{
    static pusher p;
    fixture       f = open_queue(65536);
    (void)state;
    random_state = 4;
    p.q          = f.q;
    p.c.rows     = p.rows;
    p.left       = 10;
    p.c.count    = 1;
    p.rows[0].size = 100;
    assert_true(push_number(f.q, 0, 100, false));
    assert_int_equal(vit_queue_peek(f.q, push_and_check, &p, ALL), 11);
    p.c.at = 0;
    assert_int_equal(vit_queue_drain(f.q, check_record, &p.c, ALL), 11);
    close_queue(&f);
}

/* ---- all operations at random against a list ------------------------------------------------- */

#define MODEL_MAX 4096

typedef struct model {
    vit_queue     *q;
    expected       rows[MODEL_MAX];
    consumer       c;
    unsigned char *open; /* reserved and not committed: the row number open_row */
    uint32_t       open_row, next;
} model;

static void model_reserve(model *m, uint32_t size)
{
    if (m->open) {
        uint32_t shorter = 1 + random_below(m->rows[m->open_row].size);
        m->rows[m->open_row].size = shorter;
        fill(m->open, m->rows[m->open_row].n, shorter);
        vit_queue_commit(m->q, m->open, shorter);
        m->open = NULL;
        return;
    }
    m->open = (unsigned char *)vit_queue_reserve(m->q, size);
    if (!m->open) return;
    m->open_row           = (uint32_t)m->c.count;
    m->rows[m->c.count].n = m->next++;
    m->rows[m->c.count++].size = size;
}

static void model_push(model *m, uint32_t size, bool important)
{
    if (!push_number(m->q, m->next, size, important)) return;
    m->rows[m->c.count].n      = m->next++;
    m->rows[m->c.count++].size = size;
}

/* How many the consumer can see: all before the one that is open. */
static size_t model_ready(const model *m)
{
    return (m->open ? m->open_row : m->c.count) - m->c.at;
}

static void model_consume(model *m, uint32_t how)
{
    size_t most = random_below(12), ready = model_ready(m), at = m->c.at;
    size_t want = ready < most ? ready : most;
    if (how == 0) {
        assert_int_equal(vit_queue_drain(m->q, check_record, &m->c, most), want);
    } else {
        assert_int_equal(vit_queue_peek(m->q, check_record, &m->c, most), want);
        m->c.at = at;
        if (how == 1) {
            vit_queue_release(m->q, most);
            m->c.at += want;
        }
    }
}

/* Moves what waits to the front of the list. */
static void model_shift(model *m)
{
    size_t at = m->c.at;
    memmove(m->rows, m->rows + at, (m->c.count - at) * sizeof m->rows[0]);
    m->c.count -= at;
    m->c.at = 0;
    m->open_row -= (uint32_t)at;
}

static void test_model(void **state)
{
    static const size_t capacities[] = { 1024, 4096, 32768 };
    static model        m;
    size_t              i, run;
    (void)state;
    random_state = 5;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        fixture f = open_queue(capacities[i]);
        memset(&m, 0, sizeof m);
        m.q       = f.q;
        m.c.rows  = m.rows;
        f.q->tail = f.q->head = 0xFFFF0000u;
        for (run = 0; run < 100000; run++) {
            uint32_t size = 1 + random_below(random_below(3) ? 60 : vit_queue_record_max(f.q));
            switch (random_below(8)) {
            case 0: case 1: case 2: model_push(&m, size, false); break;
            case 3: model_push(&m, size, true); break;
            case 4: model_reserve(&m, size); break;
            default: model_consume(&m, random_below(3)); break;
            }
            if (m.c.count > MODEL_MAX - 2) model_shift(&m);
        }
        if (m.open) model_reserve(&m, 1);
        (void)vit_queue_drain(f.q, check_record, &m.c, ALL);
        assert_int_equal(m.c.at, m.c.count);
        close_queue(&f);
    }
}

/* ---- many producers -------------------------------------------------------------------------- */

#define PRODUCERS_MAX 8

/* Record `n` of a producer: its first byte is the producer, size and the rest follow from both, so
   that a record of one byte is checked too: the next of its producer must have just this size. */
typedef struct race {
    vit_queue *q;
    uint32_t   producers, each, most;
    uint32_t   full;                 /* refusals; the producers */
    uint32_t   go, over;             /* the producers wait for go, and give up at over */
    uint32_t   next[PRODUCERS_MAX];  /* what must come; the consumer */
    uint64_t   bytes;                /* seen; the consumer */
    uint32_t   wrong;
} race;

typedef struct producer { race *r; uint32_t number; uint64_t bytes; } producer;

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
    case 0: case 1:
        fill_in_race(bytes, number, n, size);
        return vit_queue_push(r->q, bytes, size);
    case 2:
        fill_in_race(bytes, number, n, size);
        return vit_queue_push_important(r->q, bytes, size);
    default:
        more = size + n % 16 < r->most ? size + n % 16 : r->most;
        at   = (unsigned char *)vit_queue_reserve(r->q, more);
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
    race                *r      = (race *)user;
    const unsigned char *bytes  = (const unsigned char *)record;
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

static void run_race(size_t capacity, uint32_t producers, uint32_t each, uint32_t start)
{
    fixture   f = open_queue(capacity);
    race      r;
    pthread_t threads[PRODUCERS_MAX];
    producer  jobs[PRODUCERS_MAX];
    uint64_t  bytes = 0;
    uint32_t  i;
    memset(&r, 0, sizeof r);
    r.q         = f.q;
    r.producers = producers;
    r.each      = each;
    r.most      = vit_queue_record_max(f.q) < 300 ? vit_queue_record_max(f.q) : 300;
    f.q->tail = f.q->head = start;
    for (i = 0; i < producers; i++) {
        jobs[i].r      = &r;
        jobs[i].number = i;
        jobs[i].bytes  = 0;
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
    close_queue(&f);
}

static void run_races(uint32_t producers)
{
    static const size_t capacities[] = { 1024, 2048, 4096, 16384, 65536 };
    size_t              i;
    for (i = 0; i < COUNT_OF(capacities); i++) {
        run_race(capacities[i], producers, 24000 / producers, 0);
        run_race(capacities[i], producers, 24000 / producers, 0xFFFF0000u);
    }
}

static void test_one_producer(void **state) { (void)state; run_races(1); }
static void test_two_producers(void **state) { (void)state; run_races(2); }
static void test_four_producers(void **state) { (void)state; run_races(4); }
static void test_eight_producers(void **state) { (void)state; run_races(8); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),             cmocka_unit_test(test_init_refuses),
        cmocka_unit_test(test_init_takes_what_fits),
        cmocka_unit_test(test_record_max),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_nulls),             cmocka_unit_test(test_wraps),
        cmocka_unit_test(test_wraps_of_counters), cmocka_unit_test(test_empty_takes_all),
        cmocka_unit_test(test_full),              cmocka_unit_test(test_important),
        cmocka_unit_test(test_commit_smaller),    cmocka_unit_test(test_reserve_holds),
        cmocka_unit_test(test_commits_out_of_order),
        cmocka_unit_test(test_peek),              cmocka_unit_test(test_release_too_many),
        cmocka_unit_test(test_drain_stops),       cmocka_unit_test(test_drain_pushes),
        cmocka_unit_test(test_peek_pushes),       cmocka_unit_test(test_model),
        cmocka_unit_test(test_one_producer),      cmocka_unit_test(test_two_producers),
        cmocka_unit_test(test_four_producers),    cmocka_unit_test(test_eight_producers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
