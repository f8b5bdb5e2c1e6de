/* test_worker.c: delivery, and the client as a whole: threads, forks, memory, callbacks, NULL.

   Build:   cc -std=c99 -I. tests/test_worker.c -o build/tests/test_worker -lcmocka -pthread */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "common.h"

#define BENCH_IN_MEMORY
#include "bench.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void bench_end(bench *b, vit_client *t)
{
    WAIT_FOR(is_balanced(t)); /* its thread may just be moving some */
    assert_true(vit_destroy(t, 0));
    wire_free(&b->w);
}

/* Each of f0 ... arrived `times` times in requests that were answered by 2xx. */
static void assert_arrived(wire *w, unsigned count, unsigned times)
{
    assert_each(w, "\"f%u\"", count, times);
}

static void pump_all(vit_client *t)
{
    (void)vit_flush(t, 0);
    while (vit_pump(t)) {}
}

/* ---- wire forms ------------------------------------------------------------------------------ */

static void test_form_event(void **state)
{
    bench       b;
    vit_client *t;
    size_t      i;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    track_many(t, 0, 3);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 3);
    for (i = 0; i < 3; i++) {
        call *c = &b.w.calls[i];
        assert_true(json_is_valid(c->body, c->size));
        assert_int_equal(c->body[0], '{');
        assert_int_equal(c->body[c->size - 1], '}');
        assert_string_equal(c->content_type, "application/json");
        assert_string_equal(c->url, "http://127.0.0.1:9/api/v1/telemetry");
        assert_int_equal(c->timeout_ms, 5000);
    }
    assert_arrived(&b.w, 3, 1);
    bench_end(&b, t);
}

static void test_form_array(void **state)
{
    bench       b;
    vit_client *t;
    call       *c;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_ARRAY;
    t = bench_client(&b);
    track_many(t, 0, 3);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 1);
    c = &b.w.calls[0];
    assert_true(json_is_valid(c->body, c->size));
    assert_int_equal(c->body[0], '[');
    assert_int_equal(c->body[c->size - 1], ']');
    assert_string_equal(c->content_type, "application/json");
    assert_arrived(&b.w, 3, 1);
    track_many(t, 3, 1); /* of one event an array, too */
    assert_true(vit_flush(t, 20000));
    assert_int_equal(b.w.calls[1].body[0], '[');
    assert_true(json_is_valid(b.w.calls[1].body, b.w.calls[1].size));
    bench_end(&b, t);
}

static void test_form_ndjson(void **state)
{
    bench       b;
    vit_client *t;
    call       *c;
    char       *line;
    unsigned    count = 0;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    t = bench_client(&b);
    track_many(t, 0, 3);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 1);
    c = &b.w.calls[0];
    assert_string_equal(c->content_type, "application/x-ndjson");
    assert_int_equal(c->body[c->size - 1], '\n');
    for (line = c->body; *line; line = strchr(line, '\n') + 1, count++) {
        assert_non_null(strchr(line, '\n'));
        assert_int_equal(line[0], '{');
        assert_true(json_is_valid(line, strcspn(line, "\n")));
    }
    assert_int_equal(count, 3);
    assert_arrived(&b.w, 3, 1);
    bench_end(&b, t);
}

/* 100 events a request by default, or as many as the option says, or as many bytes. */
static void test_batches(void **state)
{
    bench       b;
    vit_client *t;
    size_t      i;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_ARRAY;
    t = bench_client(&b);
    track_many(t, 0, 250);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 3);
    assert_int_equal(count_of(b.w.calls[0].body, "{\"hwid\":"), 100);
    assert_int_equal(count_of(b.w.calls[1].body, "{\"hwid\":"), 100);
    assert_int_equal(count_of(b.w.calls[2].body, "{\"hwid\":"), 50);
    assert_arrived(&b.w, 250, 1);
    bench_end(&b, t);
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 7;
    t = bench_client(&b);
    track_many(t, 0, 20);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 3);
    bench_end(&b, t);
    bench_make(&b);
    b.o.wire = VIT_WIRE_ARRAY;
    b.o.batch_events = 100000;
    b.o.batch_bytes = 1; /* the least there is: 32 KiB */
    t = bench_client(&b);
    track_many(t, 0, 1000);
    assert_true(vit_flush(t, 20000));
    assert_true(wire_count(&b.w) > 3);
    for (i = 0; i < b.w.count; i++) {
        assert_true(b.w.calls[i].size <= 32768);
        assert_true(json_is_valid(b.w.calls[i].body, b.w.calls[i].size));
    }
    assert_arrived(&b.w, 1000, 1);
    assert_int_equal(vit_get_stats(t).requests, wire_count(&b.w));
    bench_end(&b, t);
}

/* A full batch leaves at once, the rest when its first event has waited for flush_ms. */
static void test_flush_ms(void **state)
{
    bench       b;
    vit_client *t;
    uint64_t    begin_ms;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_ARRAY;
    b.o.batch_events = 10;
    b.o.flush_ms = 300;
    t = bench_client(&b);
    begin_ms = now_ms();
    track_many(t, 0, 15);
    assert_true(vit_pump(t));
    assert_int_equal(wire_count(&b.w), 1);
    assert_false(vit_pump(t));
    if (now_ms() - begin_ms < 250) assert_int_equal(wire_count(&b.w), 1);
    sleep_ms(350);
    (void)vit_pump(t);
    assert_int_equal(wire_count(&b.w), 2);
    assert_arrived(&b.w, 15, 1);
    assert_false(vit_pump(t));
    bench_end(&b, t);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void test_headers(void **state)
{
    static const int first[] = { 503, 0, 500 };
    bench            b;
    vit_client      *t;
    size_t           i, j;
    char             value[64];
    (void)state;
    bench_make(&b);
    b.o.telemetry_key = "the key";
    wire_script(&b.w, first, COUNT_OF(first));
    t = bench_client(&b);
    track_many(t, 0, 4);
    for (i = 0; i < 3; i++) pump_all(t); /* each flush tries at once */
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 7);
    for (i = 0; i < 7; i++) {
        header_value(value, sizeof value, b.w.calls[i].headers, "X-Telemetry-Key: ");
        assert_string_equal(value, "the key");
        assert_int_equal(strlen(b.w.calls[i].key), 32);
        assert_true(is_hex(b.w.calls[i].key, 32));
        assert_int_equal(
            strlen(b.w.calls[i].headers) >= 2 &&
                strcmp(b.w.calls[i].headers + strlen(b.w.calls[i].headers) - 2, "\r\n") == 0,
            1);
    }
    for (i = 1; i < 4; i++) { /* three retries of one batch */
        assert_string_equal(b.w.calls[i].key, b.w.calls[0].key);
        assert_string_equal(b.w.calls[i].body, b.w.calls[0].body);
    }
    for (i = 3; i < 7; i++)
        for (j = i + 1; j < 7; j++) assert_string_not_equal(b.w.calls[i].key, b.w.calls[j].key);
    assert_int_equal(vit_get_stats(t).requests, 7);
    assert_int_equal(vit_get_stats(t).retries, 3);
    assert_int_equal(vit_get_stats(t).delivered, 4);
    assert_arrived(&b.w, 4, 1);
    bench_end(&b, t);
    bench_make(&b); /* another client: other keys; no telemetry key: no header */
    t = bench_client(&b);
    track_many(t, 0, 1);
    assert_true(vit_flush(t, 20000));
    assert_null(strstr(b.w.calls[0].headers, "X-Telemetry-Key"));
    snprintf(value, sizeof value, "%s", b.w.calls[0].key);
    bench_end(&b, t);
    bench_make(&b);
    t = bench_client(&b);
    track_many(t, 0, 1);
    assert_true(vit_flush(t, 20000));
    assert_string_not_equal(b.w.calls[0].key, value);
    bench_end(&b, t);
}

/* ---- statuses -------------------------------------------------------------------------------- */

static void test_2xx_only(void **state)
{
    static const int statuses[] = { 200, 201, 202, 204, 207, 299 };
    bench            b;
    vit_client      *t;
    (void)state;
    bench_make(&b);
    wire_script(&b.w, statuses, COUNT_OF(statuses));
    t = bench_client(&b);
    track_many(t, 0, COUNT_OF(statuses));
    assert_true(vit_flush(t, 20000));
    assert_int_equal(vit_get_stats(t).delivered, COUNT_OF(statuses));
    assert_int_equal(wire_count(&b.w), COUNT_OF(statuses));
    bench_end(&b, t);
}

/* Each of these keeps the event, and not before its time comes the next try. */
static void test_retried(void **state)
{
    static const int statuses[] = { 0, 408, 425, 429, 500, 502, 503, 504, 599, 100, 1000, -2 };
    size_t           i;
    (void)state;
    for (i = 0; i < COUNT_OF(statuses); i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        wire_script(&b.w, &statuses[i], 1);
        b.o.flush_ms = 1;
        t = bench_client(&b);
        track_many(t, 0, 1);
        (void)vit_flush(t, 0);
        assert_false(vit_pump(t));
        if (wire_count(&b.w) != 1) fail_msg("status %d", statuses[i]);
        assert_int_equal(vit_get_stats(t).queued, 1);
        assert_int_equal(vit_get_stats(t).delivered, 0);
        assert_int_equal(logs_of(&b.l, VIT_LOG_SERVER_AWAY), 1);
        assert_balanced(t);
        assert_true(vit_flush(t, 20000));
        assert_int_equal(wire_count(&b.w), 2);
        assert_arrived(&b.w, 1, 1);
        assert_int_equal(vit_get_stats(t).retries, 1);
        bench_end(&b, t);
    }
}

/* A server may answer 409 to a repetition while it is busy with the first try: it comes again as it
   was. test_spool.c has the same from the disk. */
static void test_conflict(void **state)
{
    static const int busy[] = { 0, 409, 409, 503, 409, 201 };
    bench            b;
    vit_client      *t;
    size_t           n;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_ARRAY;
    wire_script(&b.w, busy, COUNT_OF(busy));
    t = bench_client(&b);
    track_many(t, 0, 10);
    for (n = 0; n < COUNT_OF(busy); n++) pump_all(t);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), COUNT_OF(busy));
    for (n = 1; n < COUNT_OF(busy); n++) {
        assert_string_equal(b.w.calls[n].key, b.w.calls[0].key);
        assert_string_equal(b.w.calls[n].body, b.w.calls[0].body);
    }
    assert_arrived(&b.w, 10, 1);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 0);
    bench_end(&b, t);
}

/* But not for ever, and not what was never sent: that is refused for another reason. */
static void test_conflict_for_ever(void **state)
{
    static const int statuses[] = { 0, 409, 409, 409, 409, 409, 409, 409, 409, 409, 409, 409 };
    size_t           i, n;
    (void)state;
    for (i = 0; i < 2; i++) {
        bench       b;
        vit_client *t;
        size_t      tries = i == 0 ? 10 : 1; /* of the whole batch */
        bench_make(&b);
        b.o.wire = VIT_WIRE_ARRAY;
        wire_script(&b.w, statuses + i, tries + 2u);
        t = bench_client(&b);
        track_many(t, 0, 2);
        for (n = 0; n < tries + 2u; n++) pump_all(t);
        assert_int_equal(wire_count(&b.w), tries + 2u); /* and two halves */
        for (n = 0; n < tries; n++) assert_string_equal(b.w.calls[n].key, b.w.calls[0].key);
        assert_string_not_equal(b.w.calls[tries].key, b.w.calls[0].key);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 2);
        bench_end(&b, t);
    }
}

/* What was retried is forgotten: the next batch is no repetition. */
static void test_conflict_after_purge(void **state)
{
    static const int statuses[] = { 503, 409 };
    bench            b;
    vit_client      *t;
    (void)state;
    bench_make(&b);
    wire_script(&b.w, statuses, COUNT_OF(statuses));
    t = bench_client(&b);
    track_many(t, 0, 1);
    pump_all(t);
    vit_purge(t);
    track_many(t, 1, 1);
    pump_all(t);
    assert_int_equal(wire_count(&b.w), 2);
    assert_int_equal(vit_get_stats(t).retries, 0);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
    bench_end(&b, t);
}

/* 4xx: the one event is given up, the next is tried. */
static void test_rejected(void **state)
{
    static const int statuses[] = { 400, 402, 405, 406, 409, 411, 413, 414, 415, 422, 431, 451 };
    size_t           i;
    (void)state;
    for (i = 0; i < COUNT_OF(statuses); i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        wire_script(&b.w, &statuses[i], 1);
        t = bench_client(&b);
        track_many(t, 0, 2);
        assert_true(vit_flush(t, 20000));
        if (wire_count(&b.w) != 2) fail_msg("status %d", statuses[i]);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
        assert_int_equal(vit_get_stats(t).delivered, 1);
        assert_int_equal(logs_of(&b.l, VIT_LOG_SERVER_REJECTED), 1);
        bench_end(&b, t);
    }
}

static void test_halted(void **state)
{
    static const struct {
        int          status;
        vit_log_item item;
    } cases[] = {
        { 401, VIT_LOG_SERVER_PAUSED }, { 403, VIT_LOG_SERVER_PAUSED },
        { 404, VIT_LOG_SERVER_GONE },   { 410, VIT_LOG_SERVER_GONE },
        { 300, VIT_LOG_SERVER_GONE },   { 301, VIT_LOG_SERVER_GONE },
        { 302, VIT_LOG_SERVER_GONE },   { 304, VIT_LOG_SERVER_GONE },
        { 307, VIT_LOG_SERVER_GONE },   { 308, VIT_LOG_SERVER_GONE },
    };
    size_t i;
    (void)state;
    for (i = 0; i < 2 * COUNT_OF(cases); i++) {
        bench       b;
        vit_client *t;
        uint64_t    begin_ms;
        bench_make(&b);
        wire_script(&b.w, &cases[i / 2].status, 1);
        b.o.no_thread = i % 2 == 0;
        t = bench_client(&b);
        track_many(t, 0, 3);
        begin_ms = now_ms();
        assert_false(vit_flush(t, 20000));
        assert_true(now_ms() - begin_ms < 10000); /* knows that it is in vain */
        if (wire_count(&b.w) != 1) fail_msg("status %d", cases[i / 2].status);
        begin_ms = now_ms();
        assert_false(vit_flush(t, 20000));
        assert_true(now_ms() - begin_ms < 10000);
        assert_int_equal(track(t, "more"), VIT_OK);
        assert_false(vit_pump(t));
        sleep_ms(i % 2 ? 30 : 0);
        assert_int_equal(wire_count(&b.w), 1);
        assert_int_equal(vit_get_stats(t).queued, 4);
        assert_int_equal(logs_of(&b.l, cases[i / 2].item), 1);
        bench_end(&b, t);
    }
}

static void test_backoff(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.w.otherwise.http_status = 503;
    b.o.flush_ms = 1;
    t = bench_client(&b);
    track_many(t, 0, 1);
    for (i = 0; i < 8; i++) { /* each failure makes the next wait longer */
        (void)vit_flush(t, 0);
        (void)vit_pump(t);
    }
    assert_int_equal(wire_count(&b.w), 8);
    for (i = 0; i < 100; i++) assert_false(vit_pump(t)); /* between 0 and 128 s: not now */
    assert_true(wire_count(&b.w) <= 9);
    assert_int_equal(vit_get_stats(t).queued, 1);
    assert_int_equal(logs_of(&b.l, VIT_LOG_SERVER_AWAY), 1);
    bench_end(&b, t);
}

static void test_retry_after(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 4; i++) { /* by the test or by a thread; 429 or 503 */
        bench       b;
        vit_client *t;
        bench_make(&b);
        b.w.script[0].http_status = i & 1 ? 429 : 503;
        b.w.script[0].retry_after_s = 1;
        b.w.script_size = 1;
        b.o.no_thread = i < 2;
        b.o.flush_ms = 1;
        t = bench_client(&b);
        track_many(t, 0, 1);
        (void)vit_flush(t, 300);
        assert_int_equal(wire_count(&b.w), 1);
        assert_false(vit_flush(t, 200)); /* nothing overrides it */
        assert_int_equal(wire_count(&b.w), 1);
        assert_false(vit_pump(t));
        assert_true(vit_flush(t, 20000));
        assert_int_equal(wire_count(&b.w), 2);
        assert_true(b.w.calls[1].at_ms - b.w.calls[0].at_ms >= 999);
        assert_arrived(&b.w, 1, 1);
        bench_end(&b, t);
    }
}

static void test_retry_after_long(void **state)
{
    bench       b;
    vit_client *t;
    uint64_t    begin_ms;
    (void)state;
    bench_make(&b);
    b.w.script[0].http_status = 503;
    b.w.script[0].retry_after_s = UINT32_MAX;
    b.w.script_size = 1;
    b.o.no_thread = false;
    b.o.flush_ms = 1;
    t = bench_client(&b);
    track_many(t, 0, 1);
    WAIT_FOR(wire_count(&b.w) == 1);
    begin_ms = now_ms();
    assert_balanced(t);
    assert_true(vit_destroy(t, 100)); /* the wait of a day does not hold us */
    assert_true(now_ms() - begin_ms < 10000);
    assert_int_equal(wire_count(&b.w), 1);
    wire_free(&b.w);
}

/* One event of a batch is poison: only that one is lost, wherever it stands. */
static vit_response poison(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    (void)r; /* its body has no NUL; the copy has */
    pthread_mutex_lock(&w->lock);
    if (strstr(w->calls[number].body, (const char *)w->user)) answer.http_status = 400;
    pthread_mutex_unlock(&w->lock);
    return answer;
}

static void test_poison(void **state)
{
    static const char *const bad[] = { "\"f0\"",  "\"f1\"",  "\"f37\"",
                                       "\"f50\"", "\"f98\"", "\"f99\"" };
    size_t                   i;
    (void)state;
    for (i = 0; i < 2 * COUNT_OF(bad); i++) {
        bench       b;
        vit_client *t;
        unsigned    n;
        char        name[24];
        bench_make(&b);
        b.o.wire = i & 1 ? VIT_WIRE_NDJSON : VIT_WIRE_ARRAY;
        b.w.answer_fn = poison;
        b.w.user = (void *)(uintptr_t)bad[i / 2];
        t = bench_client(&b);
        track_many(t, 0, 100);
        assert_true(vit_flush(t, 20000));
        assert_int_equal(vit_get_stats(t).delivered, 99);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
        for (n = 0; n < 100; n++) {
            snprintf(name, sizeof name, "\"f%u\"", n);
            assert_int_equal(wire_times(&b.w, name), strcmp(name, bad[i / 2]) == 0 ? 0 : 1);
        }
        for (n = 0; n < b.w.count; n++) { /* one key for one body: a split makes new ones */
            size_t m;
            for (m = 0; m < n; m++)
                assert_int_equal(strcmp(b.w.calls[n].key, b.w.calls[m].key) == 0,
                                 strcmp(b.w.calls[n].body, b.w.calls[m].body) == 0);
        }
        assert_true(wire_count(&b.w) < 60); /* by halves, not one by one */
        track_many(t, 100, 100);
        assert_true(vit_flush(t, 20000));
        assert_true(vit_flush(t, 20000)); /* what was dropped was reported once */
        assert_int_equal(wire_times(&b.w, "\"telemetry.report\""), 1);
        assert_int_equal(vit_get_stats(t).delivered, 200);
        bench_end(&b, t);
    }
}

static void test_all_poison(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_ARRAY;
    b.w.otherwise.http_status = 422;
    t = bench_client(&b);
    track_many(t, 0, 30);
    assert_true(vit_flush(t, 20000)); /* nothing waits any more */
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 30);
    assert_int_equal(logs_of(&b.l, VIT_LOG_SERVER_REJECTED), 1);
    assert_true(wire_count(&b.w) < 50); /* the first two are searched for, the others come alone */
    bench_end(&b, t);
}

/* "Not yet": the same request comes again, and counts once. */
static vit_response pending(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { VIT_HTTP_PENDING, 0 };
    (void)w, (void)r;
    if (number % 4 == 3) answer.http_status = 201;
    return answer;
}

static void test_pending(void **state)
{
    unsigned threads;
    (void)state;
    for (threads = 0; threads < 2; threads++) {
        bench       b;
        vit_client *t;
        size_t      i;
        bench_make(&b);
        b.w.answer_fn = pending;
        b.o.no_thread = threads == 0;
        t = bench_client(&b);
        if (!threads) {
            track_many(t, 0, 1);
            (void)vit_flush(t, 0);
            for (i = 0; i < 3; i++) {
                assert_false(vit_pump(t));
                assert_int_equal(wire_count(&b.w), i + 1);
                assert_int_equal(vit_get_stats(t).queued, 1);
            }
            (void)vit_pump(t);
            assert_int_equal(vit_get_stats(t).delivered, 1);
            track_many(t, 1, 1);
        } else {
            track_many(t, 0, 2);
        }
        assert_true(vit_flush(t, 20000));
        assert_int_equal(wire_count(&b.w), 8);
        for (i = 0; i < 8; i++) assert_string_equal(b.w.calls[i].key, b.w.calls[i / 4 * 4].key);
        for (i = 0; i < 8; i++) assert_string_equal(b.w.calls[i].body, b.w.calls[i / 4 * 4].body);
        assert_arrived(&b.w, 2, 1);
        assert_int_equal(vit_get_stats(t).requests, 2);
        assert_int_equal(vit_get_stats(t).retries, 0);
        bench_end(&b, t);
    }
}

/* "Not yet" to the end: the transport is asked once more, about a request that is cancelled, so
   that it can let go of it, and what it answers counts. */
typedef struct undecided {
    uint32_t cancelled, asked_after;
    int      in_the_end;
} undecided;

static vit_response pending_to_the_end(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { VIT_HTTP_PENDING, 0 };
    undecided   *u = (undecided *)w->user;
    (void)number;
    if (u->cancelled) u->asked_after++;
    if (!vit_request_cancelled(r)) return answer;
    u->cancelled++;
    answer.http_status = u->in_the_end;
    return answer;
}

static void test_pending_to_the_end(void **state)
{
    static const int last[] = { 0, VIT_HTTP_PENDING, 503, 201 };
    size_t           i;
    (void)state;
    for (i = 0; i < 6u * COUNT_OF(last); i++) {
        bench       b;
        vit_client *t, *other;
        undecided   u = { 0, 0, 0 };
        char        folder[64];
        bool        purged = i / 2u % 3u == 1u, refused = i / 2u % 3u == 2u;
        u.in_the_end = last[i / 6u];
        bench_make(&b);
        folder_make(folder);
        b.o.data_dir = folder;
        b.w.answer_fn = pending_to_the_end;
        b.w.user = &u;
        b.o.no_thread = i % 2u == 0;
        t = bench_client(&b);
        track_many(t, 0, 1);
        (void)vit_flush(t, 0);
        (void)vit_pump(t);
        WAIT_FOR(wire_count(&b.w) > 0);
        if (purged) vit_purge(t);
        other = refused ? bench_client(&b) : NULL; /* as if of another process */
        vit_set_consent(other, VIT_CONSENT_DENIED);
        assert_true(vit_destroy(other, 0));
        assert_true(vit_destroy(t, 0));
        assert_true(u.cancelled > 0);
        if (u.in_the_end != VIT_HTTP_PENDING) assert_int_equal(u.asked_after, 0);
        assert_string_equal(b.w.calls[wire_count(&b.w) - 1u].body,
                            purged || refused ? "" : b.w.calls[0].body);
        b.w.answer_fn = NULL;
        t = bench_client(&b);
        (void)vit_flush(t, 20000); /* the event comes again, unless it arrived or was forgotten */
        assert_int_equal(vit_get_stats(t).delivered,
                         purged || refused || u.in_the_end == 201 ? 0 : 1);
        bench_end(&b, t);
        folder_remove(folder);
    }
}

/* "Not yet" for ever: longer than a request may take, which is told. */
static vit_response always_pending(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { VIT_HTTP_PENDING, 0 };
    (void)w, (void)r, (void)number;
    return answer;
}

static void test_pending_for_ever(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.w.answer_fn = always_pending;
    b.o.no_thread = true;
    b.o.timeout_ms = 50;
    t = bench_client(&b);
    track_many(t, 0, 1);
    (void)vit_flush(t, 0);
    assert_false(vit_pump(t));
    assert_int_equal(logs_of(&b.l, VIT_LOG_SERVER_AWAY), 0);
    sleep_ms(120);
    assert_false(vit_pump(t));
    assert_int_equal(logs_of(&b.l, VIT_LOG_SERVER_AWAY), 1);
    assert_int_equal(vit_get_stats(t).queued, 1);
    b.w.answer_fn = NULL;
    assert_true(vit_flush(t, 20000));
    assert_arrived(&b.w, 1, 1);
    bench_end(&b, t);
}

/* ---- flush ----------------------------------------------------------------------------------- */

static void test_flush_zero(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    b.o.flush_ms = 600000; /* nothing but the flush can be it */
    t = bench_client(&b);
    assert_true(vit_flush(t, 0)); /* nothing to deliver */
    sleep_ms(20);                 /* the thread sleeps */
    track_many(t, 0, 3);
    (void)vit_flush(t, 0);
    WAIT_FOR(vit_get_stats(t).delivered == 3);
    assert_true(vit_flush(t, 0));
    assert_arrived(&b.w, 3, 1);
    bench_end(&b, t);
}

static void *track_other(void *client)
{
    (void)track((vit_client *)client, "other");
    return NULL;
}

/* Two threads record in turn, and after each event somebody looks: more pieces than are noted. */
static void test_flush_scattered(void **state)
{
    enum {
        TURNS = 200
    };
    bench       b;
    vit_client *t;
    pthread_t   other;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.o.flush_ms = 600000;
    t = bench_client(&b);
    for (i = 0; i < TURNS; i++) {
        track_many(t, i, 1);
        (void)vit_flush(t, 0);
        assert_int_equal(pthread_create(&other, NULL, track_other, t), 0);
        pthread_join(other, NULL);
        (void)vit_flush(t, 0);
    }
    assert_int_equal(vit_get_stats(t).queued, 2 * TURNS);
    assert_true(t->recorder.queue->segment_count == t->recorder.queue->segment_max);
    assert_int_equal(vit_export(t, ignore_line, NULL), 2 * TURNS);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_arrived(&b.w, TURNS, 1);
    assert_int_equal(wire_times(&b.w, "\"other\""), TURNS);
    bench_end(&b, t);
}

/* It is for what was accepted before: what comes later waits for a full batch, or for flush_ms. */
static void test_flush_ends(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.flush_ms = 600000;
    t = bench_client(&b);
    track_many(t, 0, 1);
    assert_false(vit_flush(t, 0));
    track_many(t, 1, 1);
    for (i = 2; i < 10; i++) {
        (void)vit_pump(t);
        track_many(t, i, 1); /* they keep coming */
    }
    assert_int_equal(wire_count(&b.w), 1);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 2);
    assert_arrived(&b.w, 10, 1);
    bench_end(&b, t);
}

static void test_flush_timeout(void **state)
{
    unsigned threads;
    (void)state;
    for (threads = 0; threads < 2; threads++) {
        bench       b;
        vit_client *t;
        uint64_t    begin_ms;
        bench_make(&b);
        b.w.otherwise.http_status = 503;
        b.o.no_thread = threads == 0;
        t = bench_client(&b);
        track_many(t, 0, 1);
        begin_ms = now_ms();
        assert_false(vit_flush(t, 150));
        assert_true(now_ms() - begin_ms >= 149 && now_ms() - begin_ms < 10000);
        bench_end(&b, t);
    }
}

static void test_no_transport(void **state)
{
    bench       b;
    vit_client *t;
    uint64_t    begin_ms = now_ms();
    (void)state;
    bench_make(&b);
    b.o.transport.send_fn = NULL;
    t = bench_client(&b);
    assert_int_equal(logs_of(&b.l, VIT_LOG_NO_TRANSPORT), 1);
    track_many(t, 0, 1);
    assert_false(vit_flush(t, 20000));
    assert_false(vit_pump(t));
    assert_true(now_ms() - begin_ms < 10000);
    bench_end(&b, t);
}

static void test_plain_http(void **state)
{
    static const struct {
        const char *url;
        unsigned    logged;
    } cases[] = {
        { "http://example.com/x", 1 },
        { "http://127.0.0.1.evil.example/", 1 },
        { "http://localhost.example/", 1 },
        { "https://example.com/x", 0 },
        { "http://127.0.0.1:8080/x", 0 },
        { "http://localhost/x", 0 },
        { "http://[::1]:80/", 0 },
        { "http://127.0.0.1", 0 },
        { "", 0 },
        { "http://127.0.0.1@example.com/", 1 },
        { "http://localhost:x@example.com/", 1 },
        { "http://localhost:1/a@b", 0 },
        { "HTTP://example.com/x", 1 },
        { "http:/example.com/x", 1 },
        { "http:///example.com/x", 1 },
        { "http:", 1 },
        { "http", 0 },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        b.o.endpoint = cases[i].url;
        t = bench_client(&b);
        if (logs_of(&b.l, VIT_LOG_PLAIN_HTTP) != cases[i].logged) fail_msg("%s", cases[i].url);
        bench_end(&b, t);
    }
}

/* ---- callbacks that call us ------------------------------------------------------------------ */

static vit_client *inside;
static unsigned    inside_calls;
static bool        inside_flush, inside_destroy, inside_pump;
static uint64_t    inside_ms;

static vit_response call_inside(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    uint64_t     begin_ms = now_ms();
    lines        l = { NULL, 0, 0 };
    (void)w, (void)r;
    if (number > 0) return answer;
    inside_calls++;
    (void)track(inside, "inside");
    inside_flush = vit_flush(inside, 10000);
    inside_destroy = vit_destroy(inside, 10000);
    inside_pump = vit_pump(inside);
    (void)vit_export(inside, lines_add, &l);
    lines_free(&l);
    (void)vit_get_stats(inside);
    (void)vit_get_consent(inside, NULL);
    vit_set_context(inside, "a", "b");
    vit_set_rate(inside, "x.y", 0.5);
    vit_session_begin(inside, "s", NULL);
    vit_session_end(inside, VIT_EXIT_NORMAL);
    (void)vit_register_secret(inside, "secret-inside", 0);
    vit_set_consent(inside, VIT_CONSENT_VERBOSE);
    inside_ms = now_ms() - begin_ms;
    return answer;
}

static void test_inside_transport(void **state)
{
    unsigned threads;
    (void)state;
    for (threads = 0; threads < 2; threads++) {
        bench b;
        bench_make(&b);
        b.w.answer_fn = call_inside;
        b.o.no_thread = threads == 0;
        inside_calls = 0;
        inside_flush = inside_destroy = inside_pump = true;
        inside = bench_client(&b);
        assert_int_equal(track(inside, "first"), VIT_OK);
        WAIT_FOR(((void)vit_flush(inside, 5000), vit_get_stats(inside).delivered == 4));
        assert_int_equal(inside_calls, 1);
        assert_false(inside_flush);
        assert_false(inside_destroy);
        assert_false(inside_pump);
        assert_true(inside_ms < 5000);
        bench_end(&b, inside);
    }
}

static void line_inside(const char *json, size_t size, void *user)
{
    lines l = { NULL, 0, 0 };
    (void)json, (void)size, (void)user;
    inside_calls++;
    if (inside_calls > 5) return;
    if (track(inside, "inside") != VIT_OK) inside_calls = 1000;
    if (vit_flush(inside, 10000) || vit_destroy(inside, 10000) || vit_pump(inside))
        inside_calls = 1000;
    if (vit_export(inside, lines_add, &l) != 0) inside_calls = 1000;
    vit_purge(inside);
    vit_set_consent(inside, VIT_CONSENT_DENIED);
    vit_reset_identity(inside);
    vit_set_context(inside, "a", "b");
    vit_set_rate(inside, "x", 0.5);
    vit_session_begin(inside, "s", NULL);
    vit_session_end(inside, VIT_EXIT_NORMAL);
    if (vit_register_secret(inside, "secret", 0)) inside_calls = 1000;
    (void)vit_get_stats(inside);
    (void)vit_get_consent(inside, NULL);
}

static void test_inside_export(void **state)
{
    bench    b;
    uint64_t begin_ms = now_ms();
    size_t   n;
    (void)state;
    bench_make(&b);
    inside = bench_client(&b);
    inside_calls = 0;
    track_many(inside, 0, 2);
    n = vit_export(inside, line_inside, NULL);
    assert_true(n >= 2 && n < 100); /* what is tracked inside may or may not be seen */
    assert_true(inside_calls == n);
    assert_true(now_ms() - begin_ms < 5000);
    assert_int_equal(vit_get_consent(inside, NULL), VIT_CONSENT_GRANTED);
    assert_int_equal(logs_of(&b.l, VIT_LOG_REENTRANT_CALL), 1);
    assert_true(vit_flush(inside, 20000));
    assert_arrived(&b.w, 2, 1);
    bench_end(&b, inside);
}

static int  log_locked; /* -1: nothing was told */
static void log_lock(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)item, (void)text, (void)user;
    if (inside) log_locked = VITP_ATOMIC_LOAD_PTR(&inside->lock_owner) != 0;
}

/* A session ends under the client's lock; what comes of that is told behind it, for the logger may
   wait for a thread that waits for the client. */
static void test_log_of_session(void **state)
{
    bench b;
    (void)state;
    bench_make(&b);
    b.o.logger.log_fn = log_lock;
    b.o.queue_bytes = 1;
    inside = bench_client(&b);
    vit_session_begin(inside, "s", NULL);
    while (vit_queue_push_important(inside->recorder.queue, "x", 1)) {}
    log_locked = -1;
    vit_session_end(inside, VIT_EXIT_NORMAL);
    assert_int_equal(log_locked, 0);
    vit_queue_release(inside->recorder.queue, (size_t)-1);
    assert_true(vit_destroy(inside, 0));
    inside = NULL;
    wire_free(&b.w);
}

/* The logger calls the client: nothing waits for itself, nothing recurses without end. */
static void log_inside(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    uint64_t begin_ms = now_ms();
    (void)level, (void)item, (void)text, (void)user;
    if (!inside) return;
    inside_calls++;
    (void)track(inside, "inside");
    inside_flush = vit_flush(inside, 10000);
    inside_destroy = vit_destroy(inside, 10000);
    (void)vit_pump(inside);
    (void)vit_get_stats(inside);
    vit_set_context(inside, "a", "b");
    vit_purge(inside);
    if (now_ms() - begin_ms > inside_ms) inside_ms = now_ms() - begin_ms;
}

static void test_inside_log(void **state)
{
    vit_event e;
    bench     b;
    (void)state;
    bench_make(&b);
    b.o.logger.log_fn = log_inside;
    inside = NULL;
    inside = bench_client(&b);
    inside_calls = 0;
    inside_ms = 0;
    vit_event_begin(&e, inside, "no name", NULL);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    assert_int_equal(inside_calls, 1);
    assert_false(inside_flush);
    assert_false(inside_destroy);
    vit_event_begin(&e, inside, "no name", NULL);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    assert_int_equal(inside_calls, 1); /* each item once */
    vit_set_rate(inside, NULL, 1.0);
    vit_event_begin(&e, inside, "x", NULL);
    vit_add_int(&e, "No Key", 1);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    assert_int_equal(inside_calls, 2);
    assert_true(inside_ms < 5000);
    bench_end(&b, inside);
    inside = NULL;
}

static void test_inside_log_of_thread(void **state)
{
    bench b;
    (void)state;
    bench_make(&b);
    b.o.logger.log_fn = log_inside;
    b.o.no_thread = false;
    b.o.flush_ms = 1;
    b.w.otherwise.http_status = 503; /* SERVER_AWAY, told by the consumer's thread */
    inside = NULL;
    inside = bench_client(&b);
    inside_calls = 0;
    inside_ms = 0;
    inside_flush = inside_destroy = true;
    track_many(inside, 0, 1);
    WAIT_FOR(wire_count(&b.w) >= 1);
    sleep_ms(100);
    WAIT_FOR(vit_get_stats(inside).dropped[VIT_DROP_CONSENT] >=
             1); /* log_inside purges at its end */
    sleep_ms(20);
    bench_end(&b, inside); /* and with it the thread, whose variables these are */
    assert_int_equal(inside_calls, 1);
    assert_true(inside_ms < 5000);
    assert_false(inside_flush);
    assert_false(inside_destroy);
    inside = NULL;
}

/* Threads tell one after the other: the logger needs no lock of its own (make tsan looks). */
static vitp_log turns;
static unsigned turns_told;

static void log_turn(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)item, (void)text, (void)user;
    turns_told++;
}

static void *tell_turns(void *first)
{
    unsigned i;
    for (i = *(unsigned *)first; i < VIT_LOG_ITEM_COUNT; i += 2) {
        vitp_log_note(&turns, (vit_log_item)i);
        vitp_log_tell(&turns);
    }
    return NULL;
}

static void test_log_in_turns(void **state)
{
    static unsigned first[2] = { 1, 2 };
    pthread_t       other;
    unsigned        i;
    (void)state;
    turns_told = 0;
    for (i = 0; i < 500; i++) {
        memset(&turns, 0, sizeof turns);
        turns.logger.log_fn = log_turn;
        assert_int_equal(pthread_create(&other, NULL, tell_turns, &first[0]), 0);
        (void)tell_turns(&first[1]);
        assert_int_equal(pthread_join(other, NULL), 0);
        vitp_log_tell(&turns);
    }
    assert_int_equal(turns_told, 500 * (VIT_LOG_ITEM_COUNT - 1));
}

/* ---- the end --------------------------------------------------------------------------------- */

static uint32_t hang_state; /* 1: in the transport, 2: it was told to give up, 3: it returned */
static uint32_t hang_let_go;

static vit_response hang_obedient(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 0, 0 };
    uint64_t     end_ms = now_ms() + 2 * WAIT_MS;
    (void)w, (void)number;
    __atomic_store_n(&hang_state, 1u, __ATOMIC_SEQ_CST);
    while (!vit_request_cancelled(r) && now_ms() < end_ms) sleep_ms(1);
    __atomic_store_n(&hang_state, 3u, __ATOMIC_SEQ_CST);
    return answer;
}

static vit_response hang_stubborn(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 0, 0 };
    uint64_t     end_ms = now_ms() + 2 * WAIT_MS;
    (void)w, (void)number;
    __atomic_store_n(&hang_state, 1u, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&hang_let_go, __ATOMIC_SEQ_CST) && now_ms() < end_ms) {
        if (vit_request_cancelled(r)) __atomic_store_n(&hang_state, 2u, __ATOMIC_SEQ_CST);
        sleep_ms(1);
    }
    __atomic_store_n(&hang_state, 3u, __ATOMIC_SEQ_CST);
    return answer;
}

static void test_destroy_obedient(void **state)
{
    static const uint32_t timeouts[] = { 0, 100 };
    size_t                i;
    (void)state;
    for (i = 0; i < COUNT_OF(timeouts); i++) {
        bench       b;
        vit_client *t;
        uint64_t    begin_ms;
        bench_make(&b);
        b.o.no_thread = false;
        b.o.flush_ms = 1;
        b.w.answer_fn = hang_obedient;
        hang_state = 0;
        t = bench_client(&b);
        track_many(t, 0, 2);
        WAIT_FOR(__atomic_load_n(&hang_state, __ATOMIC_SEQ_CST) == 1);
        begin_ms = now_ms();
        assert_true(vit_destroy(t, timeouts[i]));
        assert_true(now_ms() - begin_ms < 5000);
        assert_int_equal(hang_state, 3);
        assert_int_equal(wire_count(&b.w), 1);
        wire_free(&b.w);
    }
}

/* A client of so many events, whose first request hangs. */
static vit_client *bench_hung(bench *b, unsigned count)
{
    vit_client *t;
    b->o.no_thread = false;
    b->o.flush_ms = 1;
    b->w.answer_fn = hang_stubborn;
    hang_state = hang_let_go = 0;
    t = bench_client(b);
    track_many(t, 0, count);
    WAIT_FOR(__atomic_load_n(&hang_state, __ATOMIC_SEQ_CST) == 1);
    return t;
}

static void test_destroy_stubborn(void **state)
{
    bench       b;
    vit_client *t;
    uint64_t    begin_ms;
    (void)state;
    bench_make(&b);
    t = bench_hung(&b, 2);
    begin_ms = now_ms();
    assert_false(vit_destroy(t, 100));
    assert_true(now_ms() - begin_ms < 5000);
    assert_int_equal(logs_of(&b.l, VIT_LOG_CALLBACK_BUSY), 1);
    WAIT_FOR(__atomic_load_n(&hang_state, __ATOMIC_SEQ_CST) == 2); /* it was told */
    assert_false(vit_destroy(t, 0));
    (void)track(t, "late"); /* the client lives on */
    (void)vit_get_stats(t);
    __atomic_store_n(&hang_let_go, 1u, __ATOMIC_SEQ_CST);
    WAIT_FOR(__atomic_load_n(&hang_state, __ATOMIC_SEQ_CST) == 3);
    sleep_ms(20);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(wire_count(&b.w), 1);
    wire_free(&b.w);
}

/* It says "not yet", and hangs when it is asked for the last time: vit_destroy waits no longer, and
   what it answers then does not count, since the event is on the disk by now. */
static vit_response hang_in_the_end(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { VIT_HTTP_PENDING, 0 };
    if (!vit_request_cancelled(r)) return answer;
    (void)hang_stubborn(w, r, number);
    answer.http_status = 201;
    return answer;
}

static void test_destroy_stubborn_in_the_end(void **state)
{
    bench       b;
    vit_client *t;
    uint64_t    begin_ms;
    char        folder[64];
    (void)state;
    bench_make(&b);
    folder_make(folder);
    b.o.data_dir = folder;
    b.o.no_thread = false;
    b.o.flush_ms = 1;
    b.w.answer_fn = hang_in_the_end;
    hang_state = hang_let_go = 0;
    t = bench_client(&b);
    track_many(t, 0, 1);
    WAIT_FOR(wire_count(&b.w) > 0);
    begin_ms = now_ms();
    assert_false(vit_destroy(t, 0));
    assert_true(now_ms() - begin_ms < 1500);
    __atomic_store_n(&hang_let_go, 1u, __ATOMIC_SEQ_CST);
    while (!vit_destroy(t, 0)) sleep_ms(1);
    b.w.answer_fn = NULL;
    t = bench_client(&b);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(vit_get_stats(t).delivered, 1);
    bench_end(&b, t);
    folder_remove(folder);
}

/* A host that ends although its transport hangs loses nothing: all is on the disk, and what was in
   flight has its key. The late answer changes nothing. */
static void test_destroy_stubborn_keeps(void **state)
{
    bench       b;
    vit_client *t;
    char        folder[64], key[64];
    size_t      i;
    (void)state;
    bench_make(&b);
    folder_make(folder);
    b.o.data_dir = folder;
    t = bench_hung(&b, 5);
    assert_false(vit_destroy(t, 0));
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_int_equal(vit_get_stats(t).spooled, 5);
    assert_balanced(t);
    __atomic_store_n(&hang_let_go, 1u, __ATOMIC_SEQ_CST);
    WAIT_FOR(__atomic_load_n(&hang_state, __ATOMIC_SEQ_CST) == 3);
    sleep_ms(20);
    assert_int_equal(vit_get_stats(t).spooled, 5);
    assert_true(vit_destroy(t, 0));
    snprintf(key, sizeof key, "%s", b.w.calls[0].key);
    b.w.answer_fn = NULL;
    t = bench_client(&b);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(vit_get_stats(t).delivered, 5);
    for (i = 1; i < b.w.count; i++)
        assert_int_equal(strcmp(b.w.calls[i].key, key) == 0,
                         strcmp(b.w.calls[i].body, b.w.calls[0].body) == 0);
    assert_string_equal(b.w.calls[1].key, key);
    bench_end(&b, t);
    folder_remove(folder);
}

/* What waits is delivered by vit_destroy in its time, also without a thread. */
static void test_destroy_delivers(void **state)
{
    unsigned threads;
    (void)state;
    for (threads = 0; threads < 2; threads++) {
        bench       b;
        vit_client *t;
        uint64_t    begin_ms;
        bench_make(&b);
        b.o.no_thread = threads == 0;
        b.o.flush_ms = 600000;
        b.o.wire = VIT_WIRE_ARRAY;
        t = bench_client(&b);
        track_many(t, 0, 150);
        assert_true(vit_destroy(t, 20000));
        assert_int_equal(wire_count(&b.w), 2);
        assert_arrived(&b.w, 150, 1);
        wire_free(&b.w);
        bench_make(&b); /* the server is away: one try, no waiting for the next */
        b.o.no_thread = threads == 0;
        b.w.otherwise.http_status = 503;
        t = bench_client(&b);
        track_many(t, 0, 3);
        begin_ms = now_ms();
        assert_true(vit_destroy(t, 20000));
        assert_true(now_ms() - begin_ms < 10000);
        assert_true(wire_count(&b.w) <= 2);
        wire_free(&b.w);
    }
}

/* Where the server has been away for long one more request fails, and where it said when it will be
   back there is none: nobody waits in vain for the end of the timeout. */
static void test_destroy_away(void **state)
{
    unsigned by_server;
    (void)state;
    for (by_server = 0; by_server < 2; by_server++) {
        bench       b;
        vit_client *t;
        unsigned    i;
        uint64_t    begin_ms = now_ms();
        bench_make(&b);
        b.w.otherwise.http_status = 503;
        t = bench_client(&b);
        for (i = 0; i < 100; i++)
            vitp_backoff_fail(&t->backoff, by_server ? 3600 : 0, vitp_os_now_ns(), UINT64_MAX);
        assert_int_equal(track(t, "f0"), VIT_OK);
        assert_true(vit_destroy(t, 60000));
        assert_true(now_ms() - begin_ms < 30000);
        assert_int_equal(wire_count(&b.w), by_server ? 0 : 1);
        wire_free(&b.w);
    }
}

/* ---- queue full ------------------------------------------------------------------------------ */

static void test_queue_full(void **state)
{
    bench       b;
    vit_client *t;
    vit_error   error;
    unsigned    i, accepted = 0, refused = 0, errors = 0;
    char        message[8];
    (void)state;
    bench_make(&b);
    b.o.queue_bytes = 1; /* the least there is: 64 KiB */
    t = bench_client(&b);
    for (i = 0; i < 5000; i++) {
        vit_status status = track(t, "some feature");
        if (status == VIT_OK) accepted++;
        else assert_int_equal(status, VIT_QUEUE_FULL), refused++;
    }
    assert_true(accepted > 200 && refused > 200);
    assert_int_equal(vit_get_stats(t).accepted, accepted);
    assert_int_equal(vit_get_stats(t).refused_full, refused);
    assert_int_equal(vit_get_stats(t).queued, accepted);
    assert_int_equal(logs_of(&b.l, VIT_LOG_QUEUE_FULL), 1);
    memset(&error, 0, sizeof error); /* errors have room of their own */
    do {
        snprintf(message, sizeof message, "%c%c", (int)('a' + errors / 26),
                 (int)('a' + errors % 26));
        error.message = message;
    } while (vit_track_error(t, &error) == VIT_OK && ++errors < 600);
    assert_in_range(errors, 20, 599);
    assert_int_equal(vit_track_error(t, &error), VIT_QUEUE_FULL);
    assert_true(vit_flush(t, 60000));
    assert_int_equal(wire_events(&b.w), accepted + errors);
    assert_int_equal(track(t, "again"), VIT_OK);
    bench_end(&b, t);
}

/* The queue is used over and over, with records of many sizes. */
static void test_queue_wraps(void **state)
{
    bench       b;
    vit_client *t;
    char        text[1200];
    unsigned    i, round, sent = 0;
    (void)state;
    bench_make(&b);
    b.o.queue_bytes = 1;
    b.o.wire = VIT_WIRE_NDJSON;
    t = bench_client(&b);
    for (round = 0; round < 60; round++) {
        for (i = 0; i < 40; i++) {
            vit_event e;
            size_t    n = (round * 131u + i * 37u) % 1000u, at;
            for (at = 0; at + 2 <= n; at += 2) memcpy(text + at, "x ", 2);
            text[at] = 0;
            vit_event_begin(&e, t, "x", NULL);
            vit_add_text(&e, "m", text);
            assert_int_equal(vit_event_send(&e), VIT_OK);
            sent++;
        }
        assert_true(vit_flush(t, 20000));
    }
    assert_int_equal(wire_events(&b.w), sent);
    assert_int_equal(vit_get_stats(t).delivered, sent);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CORRUPT], 0);
    bench_end(&b, t);
}

/* A record that memory corruption has hit is given up and counted; its neighbours arrive. */
static bool spoil(const void *record, uint32_t size, void *user)
{
    unsigned *count = (unsigned *)user;
    uint16_t  type = 0x7FFF; /* no such type: read as an ad-hoc event, which it is not */
    if (++*count % 3 != 2) return true;
    assert_true(size >= sizeof(vitp_record_head));
    memcpy((unsigned char *)(uintptr_t)record + offsetof(vitp_record_head, type), &type, 2);
    return true;
}

static void test_corrupt(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < 3; i++) {
        bench       b;
        vit_client *t;
        unsigned    count = 0, n;
        bench_make(&b);
        b.o.wire = (vit_wire)i;
        t = bench_client(&b);
        track_many(t, 0, 9); /* the 2nd, 5th and 8th are spoilt */
        assert_int_equal(vit_queue_peek(t->recorder.queue, spoil, &count, (size_t)-1), 9);
        assert_true(vit_flush(t, 20000));
        assert_int_equal(vit_get_stats(t).delivered, 6);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CORRUPT], 3);
        assert_int_equal(logs_of(&b.l, VIT_LOG_RECORD_CORRUPT), 1);
        for (n = 0; n < b.w.count && i != 2; n++)
            assert_true(json_is_valid(b.w.calls[n].body, b.w.calls[n].size));
        assert_int_equal(wire_times(&b.w, "\"f0\"") + wire_times(&b.w, "\"f8\""), 2);
        assert_int_equal(wire_times(&b.w, "\"f1\""), 0);
        bench_end(&b, t);
    }
}

/* One record of three is spoilt otherwise: it began at no time, it is of an identity that is gone,
   or what it calls a label is too long for one. */
static unsigned spoil_way;

static bool spoil_one(const void *record, uint32_t size, void *user)
{
    unsigned char   *bytes = (unsigned char *)(uintptr_t)record;
    vitp_record_head head;
    unsigned        *count = (unsigned *)user;
    uint32_t         at;
    if (++*count != 2) return true;
    memcpy(&head, bytes, sizeof head);
    if (spoil_way == 0) head.time_ns = 0;
    if (spoil_way == 1) head.identity++;
    memcpy(bytes, &head, sizeof head);
    for (at = (uint32_t)sizeof head; spoil_way == 2 && at + 2 < size; at++)
        if (bytes[at] == VIT_TEXT && bytes[at + 1] == 1 && bytes[at + 2] == 'm') {
            bytes[at] = VIT_LABEL;
            return true;
        }
    assert_int_not_equal(spoil_way, 2);
    return true;
}

/* Also on its way to the disk. */
static void test_spoilt(void **state)
{
    unsigned way, disk;
    (void)state;
    for (way = 0; way < 3; way++)
        for (disk = 0; disk < 2; disk++) {
            const vit_drop drop = way == 1 ? VIT_DROP_CONSENT : VIT_DROP_CORRUPT;
            bench          b;
            vit_client    *t;
            unsigned       count = 0, i;
            char           text[801], folder[64];
            bench_make(&b);
            folder_make(folder);
            if (disk) b.o.data_dir = folder, b.w.otherwise.http_status = 0;
            b.o.flush_ms = 1;
            t = bench_client(&b);
            for (i = 0; i < 800; i += 2) memcpy(text + i, "x ", 3);
            for (i = 0; i < 3; i++) {
                vit_event e;
                vit_event_begin(&e, t, "x", NULL);
                vit_add_text(&e, "m", text);
                vit_add_int(&e, "i", (int64_t)i);
                assert_int_equal(vit_event_send(&e), VIT_OK);
            }
            spoil_way = way;
            assert_int_equal(vit_queue_peek(t->recorder.queue, spoil_one, &count, (size_t)-1), 3);
            if (disk) {
                WAIT_FOR(((void)vit_pump(t), vit_get_stats(t).spooled == 2));
                assert_int_equal(vit_get_stats(t).dropped[drop], 1);
                b.w.otherwise.http_status = 201;
            }
            (void)vit_flush(t, 0);
            assert_true(vit_flush(t, 20000));
            assert_int_equal(vit_get_stats(t).dropped[drop], 1);
            assert_true(vit_get_stats(t).delivered >= 2); /* and perhaps the report of it */
            assert_int_equal(wire_times(&b.w, "\"i\":1"), 0);
            assert_int_equal(wire_times(&b.w, "\"i\":0") + wire_times(&b.w, "\"i\":2"), 2);
            bench_end(&b, t);
            folder_remove(folder);
        }
}

/* ---- threads --------------------------------------------------------------------------------- */

#define TRACKERS    8
#define EVENTS_EACH 3000u

typedef struct worker {
    vit_client   *t;
    unsigned      number;
    unsigned long accepted;
    uint32_t     *stop;
} worker;

static void *tracker_run(void *argument)
{
    worker  *w = (worker *)argument;
    unsigned i;
    char     name[32];
    for (i = 0; i < EVENTS_EACH; i++) {
        vit_op             op = vit_op_begin();
        vit_status         status = VIT_OK;
        vit_event          e;
        vit_query_executed query;
        snprintf(name, sizeof name, "t%u-%u", w->number, i);
        if (i % 3 == 0) status = track(w->t, name);
        if (i % 3 == 1) {
            vit_event_begin(&e, w->t, "x.y", &op);
            vit_add_text(&e, "text", name);
            vit_add_hash(&e, "host", name);
            status = vit_event_send(&e);
        }
        if (i % 3 == 2) {
            memset(&query, 0, sizeof query);
            query.op = &op;
            query.db_type = name;
            status = vit_track_query_executed(w->t, &query);
        }
        if (status == VIT_OK || status == VIT_TRUNCATED) w->accepted++;
        if (i % 64 == 0) (void)vit_get_stats(w->t);
    }
    return NULL;
}

static void *changer_run(void *argument)
{
    worker  *w = (worker *)argument;
    unsigned i;
    for (i = 0; !__atomic_load_n(w->stop, __ATOMIC_SEQ_CST); i++) {
        lines     l = { NULL, 0, 0 };
        vit_stats s;
        vit_set_context(w->t, i & 1 ? "qdrant" : NULL, i & 2 ? "customers" : NULL);
        vit_set_rate(w->t, "query.executed", (double)(i % 100) / 100.0);
        vit_set_rate(w->t, "x.y", i & 1 ? 1.0 : 0.9);
        if (i % 8 == 0) vit_session_begin(w->t, i & 8 ? "one" : NULL, "test");
        if (i % 16 == 7) vit_session_end(w->t, VIT_EXIT_NORMAL);
        if (i % 64 == 30) vit_set_consent(w->t, i & 64 ? VIT_CONSENT_DENIED : VIT_CONSENT_VERBOSE);
        if (i % 64 == 31) vit_set_consent(w->t, VIT_CONSENT_GRANTED);
        if (i % 128 == 5) vit_purge(w->t);
        if (i % 128 == 6) vit_reset_identity(w->t);
        if (i == 40) (void)vit_register_secret(w->t, "never in a text", 0);
        if (i % 50 == 3) (void)vit_export(w->t, lines_add, &l);
        if (i % 10 == 3) (void)vit_flush(w->t, 1);
        lines_free(&l);
        s = vit_get_stats(w->t);
        if (s.queued > s.accepted + 1000) w->accepted = 1000000; /* underflow */
        sleep_ms(1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    bench       b;
    vit_client *t;
    worker      w[TRACKERS + 1];
    pthread_t   threads[TRACKERS + 1];
    uint32_t    stop = 0;
    unsigned    i;
    uint64_t    dropped = 0, ms = now_ms();
    size_t      n;
    vit_stats   s;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    b.o.flush_ms = 1;
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.queue_bytes = 1 << 20;
    t = bench_client(&b);
    for (i = 0; i <= TRACKERS; i++) {
        w[i].t = t, w[i].number = i, w[i].accepted = 0, w[i].stop = &stop;
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < TRACKERS ? tracker_run : changer_run, &w[i]), 0);
    }
    for (i = 0; i < TRACKERS; i++) pthread_join(threads[i], NULL);
    __atomic_store_n(&stop, 1u, __ATOMIC_SEQ_CST);
    pthread_join(threads[TRACKERS], NULL);
    assert_int_equal(w[TRACKERS].accepted, 0);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_true(vit_flush(t, 60000));
    WAIT_FOR(vit_get_stats(t).queued == 0); /* telemetry.report comes behind it */
    s = vit_get_stats(t);
    for (i = 0; i < VIT_DROP_COUNT; i++) dropped += s.dropped[i];
    assert_int_equal(s.accepted, s.delivered + dropped);
    assert_int_equal(s.dropped[VIT_DROP_CONSENT], dropped);
    assert_true(s.delivered > 0 && ms > 0);
    for (n = 0; n < b.w.count; n++) { /* every line is whole */
        char *line, *next;
        for (line = b.w.calls[n].body; *line; line = next) {
            next = strchr(line, '\n') + 1;
            if (!json_is_valid(line, (size_t)(next - line)))
                fail_msg("%.*s", (int)(next - line), line);
        }
    }
    bench_end(&b, t);
}

/* Nothing is lost, nothing comes twice, and each thread's events stay in order. */
static void test_threads_deliver(void **state)
{
    bench       b;
    vit_client *t;
    worker      w[TRACKERS];
    pthread_t   threads[TRACKERS];
    long        last[TRACKERS];
    uint64_t    accepted = 0, seen = 0;
    unsigned    i;
    size_t      n;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    b.o.flush_ms = 1;
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.queue_bytes = 4 << 20;
    t = bench_client(&b);
    vit_set_rate(t, "query.executed", 1.0);
    for (i = 0; i < TRACKERS; i++) {
        w[i].t = t, w[i].number = i, w[i].accepted = 0;
        last[i] = -1;
        assert_int_equal(pthread_create(&threads[i], NULL, tracker_run, &w[i]), 0);
    }
    for (i = 0; i < TRACKERS; i++) pthread_join(threads[i], NULL);
    assert_true(vit_flush(t, 60000));
    for (i = 0; i < TRACKERS; i++) accepted += w[i].accepted;
    assert_int_equal(vit_get_stats(t).accepted, accepted);
    assert_int_equal(vit_get_stats(t).delivered, accepted);
    assert_int_equal(vit_get_stats(t).refused_full, TRACKERS * EVENTS_EACH - accepted);
    for (n = 0; n < b.w.count; n++) {
        const char *at = b.w.calls[n].body;
        for (; (at = strstr(at, "\"t")) != NULL; at++) {
            unsigned thread;
            long     number;
            if (sscanf(at, "\"t%u-%ld\"", &thread, &number) != 2) continue;
            assert_true(thread < TRACKERS && number > last[thread]);
            last[thread] = number;
            seen++;
        }
    }
    assert_int_equal(seen, accepted);
    bench_end(&b, t);
}

/* A queue that fills up wakes the consumer before flush_ms is over. */
static void test_wakes(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    b.o.flush_ms = 600000;
    b.o.queue_bytes = 1;
    b.o.wire = VIT_WIRE_ARRAY;
    t = bench_client(&b);
    sleep_ms(50);
    for (i = 0; i < 5000 && vit_get_stats(t).delivered == 0; i++) (void)track(t, "some feature");
    WAIT_FOR(vit_get_stats(t).delivered > 0);
    bench_end(&b, t);
}

/* The same where the server has ended delivery: the queue goes into the spool. */
static void test_wakes_to_save(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    char        folder[64];
    (void)state;
    folder_make(folder);
    bench_make(&b);
    b.o.no_thread = false;
    b.o.data_dir = folder;
    b.o.flush_ms = 600000;
    b.o.queue_bytes = 65536;
    b.w.otherwise.http_status = 401;
    t = bench_client(&b);
    track_many(t, 0, 1);
    (void)vit_flush(t, 0);
    WAIT_FOR(wire_count(&b.w) == 1);
    vitp_os_sleep(50); /* it sleeps again: else it sees by itself what comes */
    for (i = 1; !vitp_queue_is_filling(t->recorder.queue); i++) track_many(t, i, 1);
    WAIT_FOR(vit_get_stats(t).spooled > 0);
    bench_end(&b, t);
    folder_remove(folder);
}

/* ---- fork ------------------------------------------------------------------------------------ */

static int child_of(bench *b, vit_client *t)
{
    vit_event e;
    vit_error error;
    lines     l = { NULL, 0, 0 };
    memset(&error, 0, sizeof error);
    (void)b;
    if (track(t, "child") != VIT_DISABLED) return 1;
    vit_event_begin(&e, t, "x", NULL);
    vit_add_int(&e, "a", 1);
    if (vit_event_send(&e) != VIT_DISABLED) return 2;
    if (vit_track_error(t, &error) != VIT_DISABLED) return 3;
    if (vit_flush(t, 1000)) return 4;
    if (vit_pump(t)) return 5;
    if (vit_export(t, lines_add, &l) != 0) return 6;
    vit_set_consent(t, VIT_CONSENT_DENIED);
    vit_set_context(t, "a", "b");
    vit_set_rate(t, "x", 0.5);
    vit_session_begin(t, NULL, NULL);
    vit_session_end(t, VIT_EXIT_NORMAL);
    vit_purge(t);
    vit_reset_identity(t);
    if (vit_register_secret(t, "secret", 0)) return 7;
    if (vit_fail(t, NULL, "X", NULL, 5) != 5) return 8;
    (void)vit_get_stats(t);
    (void)vit_get_consent(t, NULL);
    if (!vit_destroy(t, 1000)) return 9;
    return 0;
}

static void fork_once(bench *b, vit_client *t)
{
    int   status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20); /* a child that hangs dies */
        _exit(child_of(b, t));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_fork(void **state)
{
    unsigned threads;
    (void)state;
    for (threads = 0; threads < 2; threads++) {
        bench       b;
        vit_client *t;
        unsigned    i;
        bench_make(&b);
        b.o.no_thread = threads == 0;
        b.o.flush_ms = 1;
        t = bench_client(&b);
        track_many(t, 0, 1);
        for (i = 0; i < 10; i++) {
            fork_once(&b, t);
            track_many(t, i + 1, 1);
        }
        assert_true(vit_flush(t, 20000));
        assert_arrived(&b.w, 11, 1);
        assert_int_equal(vit_get_consent(t, NULL), VIT_CONSENT_GRANTED);
        bench_end(&b, t);
    }
}

/* Forked while the transport holds a request and another thread the lock now and then. */
static void test_fork_in_flight(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    t = bench_hung(&b, 1);
    fork_once(&b, t);
    __atomic_store_n(&hang_let_go, 1u, __ATOMIC_SEQ_CST);
    WAIT_FOR(__atomic_load_n(&hang_state, __ATOMIC_SEQ_CST) == 3);
    assert_true(vit_destroy(t, 1000));
    wire_free(&b.w);
}

/* A transport that forks, as one does that runs a program: the child comes back from it, too. */
static pid_t forked;

static vit_response fork_inside(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    (void)w, (void)r;
    if (number > 0) return answer;
    fflush(NULL);
    forked = fork();
    if (forked == 0) alarm(20);
    return answer;
}

static void assert_child(bool is_well)
{
    int status = -1;
    if (forked == 0) _exit(is_well ? 0 : 1);
    assert_int_equal(waitpid(forked, &status, 0), forked);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* In it the call ends without success, and what was sent is its parent's to count. */
static void test_fork_in_transport(void **state)
{
    unsigned way;
    (void)state;
    for (way = 0; way < (SANITIZED ? 3u : 4u);
         way++) { /* a process of one thread that is not the first */
        bench       b;
        vit_client *t;
        bool        done = false;
        bench_make(&b);
        b.o.no_thread = way != 3;
        b.o.flush_ms = 1;
        b.w.answer_fn = fork_inside;
        forked = -1;
        t = bench_client(&b);
        track_many(t, 0, 2);
        if (way == 0) sleep_ms(5), done = vit_pump(t);
        if (way == 1) done = vit_flush(t, 10000);
        if (way == 2) done = vit_destroy(t, 10000);
        if (way == 3) WAIT_FOR(vit_get_stats(t).delivered == 2); /* the child is its thread alone */
        assert_child(!done && (way == 2 || vit_get_stats(t).delivered == 0) &&
                     vit_destroy(t, 1000));
        assert_int_equal(done, way != 3);
        if (way == 2) wire_free(&b.w);
        else bench_end(&b, t);
    }
}

/* Two threads pump: one of them sends, the other finds nothing to do. */
static bool pumped;

static void *pump_too(void *client)
{
    pumped = vit_pump((vit_client *)client);
    return NULL;
}

static vit_response pump_beside(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    pthread_t    other;
    (void)w, (void)r;
    if (number > 0) return answer;
    pumped = true;
    if (pthread_create(&other, NULL, pump_too, inside) != 0) return answer;
    (void)pthread_join(other, NULL);
    return answer;
}

static void test_two_pump(void **state)
{
    bench b;
    (void)state;
    bench_make(&b);
    b.w.answer_fn = pump_beside;
    inside = bench_client(&b);
    track_many(inside, 0, 2);
    assert_true(vit_flush(inside, 10000));
    assert_false(pumped);
    assert_arrived(&b.w, 2, 1);
    assert_int_equal(wire_count(&b.w), 2);
    bench_end(&b, inside);
}

/* A child makes a client of its own. */
static void test_fork_new_client(void **state)
{
    int         status = -1;
    pid_t       child;
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        vit_client *own;
        alarm(20);
        own = vit_create(&b.o);
        if (!own || track(own, "f0") != VIT_OK || !vit_flush(own, 10000)) _exit(1);
        if (wire_times(&b.w, "\"f0\"") != 1 || !vit_destroy(own, 0)) _exit(2);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    bench_end(&b, t);
}

/* ---- memory ---------------------------------------------------------------------------------- */

typedef struct heap {
    unsigned allocations, frees;
    unsigned fail_at;
    void    *given[4];
    bool     bad;
} heap;

static void *heap_alloc(size_t size, void *user)
{
    heap *h = (heap *)user;
    if (++h->allocations == h->fail_at || h->allocations > COUNT_OF(h->given)) return NULL;
    return h->given[h->allocations - 1] = malloc(size);
}

static void heap_free(void *memory, void *user)
{
    heap    *h = (heap *)user;
    unsigned i;
    h->frees++;
    for (i = 0; i < COUNT_OF(h->given) && h->given[i] != memory;) i++;
    if (i == COUNT_OF(h->given)) h->bad = true;
    else h->given[i] = NULL;
    free(memory);
}

static void test_allocator(void **state)
{
    bench       b;
    vit_client *t;
    heap        h;
    unsigned    i;
    (void)state;
    memset(&h, 0, sizeof h);
    bench_make(&b);
    b.o.allocator.alloc_fn = heap_alloc;
    b.o.allocator.free_fn = heap_free;
    b.o.allocator.user = &h;
    b.o.no_thread = false;
    b.o.wire = VIT_WIRE_ARRAY;
    t = bench_client(&b);
    assert_int_equal(h.allocations, 2);
    for (i = 0; i < 500; i++) {
        vit_event e;
        vit_event_begin(&e, t, "x", NULL);
        vit_add_text(&e, "m", "mail bob@example.com");
        vit_add_hash(&e, "h", "value");
        (void)vit_event_send(&e);
    }
    vit_session_begin(t, NULL, NULL);
    vit_set_context(t, "a", "b");
    (void)vit_register_secret(t, "secret", 0);
    vit_set_rate(t, "x", 0.5);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    vit_reset_identity(t);
    track_many(t, 0, 3);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(h.allocations, 2);
    assert_int_equal(h.frees, 0);
    bench_end(&b, t);
    assert_int_equal(h.allocations, 2);
    assert_int_equal(h.frees, 2);
    assert_false(h.bad);
}

static void test_allocator_fails(void **state)
{
    unsigned n;
    (void)state;
    for (n = 1;; n++) { /* the n-th allocation fails, until a run passes unharmed */
        bench       b;
        vit_client *t;
        heap        h;
        memset(&h, 0, sizeof h);
        h.fail_at = n;
        bench_make(&b);
        b.o.allocator.alloc_fn = heap_alloc;
        b.o.allocator.free_fn = heap_free;
        b.o.allocator.user = &h;
        t = vit_create(&b.o);
        assert_int_equal(t == NULL, n <= h.allocations);
        if (t) {
            bench_end(&b, t);
            break;
        }
        assert_int_equal(logs_of(&b.l, VIT_LOG_NO_MEMORY), 1);
        assert_int_equal(h.frees, h.allocations - 1);
        wire_free(&b.w);
    }
    assert_int_equal(n, 3);
}

/* The allocator's memory may lie at any address that malloc would give. */
static void *odd_alloc(size_t size, void *user)
{
    char *p = (char *)malloc(size + 16);
    (void)user;
    return p ? p + 16 : NULL;
}

static void odd_free(void *memory, void *user)
{
    (void)user;
    free((char *)memory - 16);
}

static void test_allocator_alignment(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.allocator.alloc_fn = odd_alloc;
    b.o.allocator.free_fn = odd_free;
    t = bench_client(&b);
    track_many(t, 0, 100);
    assert_true(vit_flush(t, 20000));
    assert_arrived(&b.w, 100, 1);
    bench_end(&b, t);
}

/* ---- VITELEMETRY_DEBUG ----------------------------------------------------------------------- */

/* What a client writes to stderr with this value of it. Returns how many requests were sent. */
static size_t requests_in_debug(const char *value, char *shown, size_t capacity)
{
    bench       b;
    vit_client *t;
    size_t      requests, size;
    FILE       *file = tmpfile();
    int         saved_stderr = dup(2);
    assert_true(file && saved_stderr >= 0);
    bench_make(&b);
    b.o.logger.log_fn = NULL;
    b.o.endpoint = "http://example.com/"; /* which is an item of the log */
    setenv("VITELEMETRY_DEBUG", value, 1);
    dup2(fileno(file), 2);
    t = vit_create(&b.o);
    if (t) {
        (void)track(t, "f");
        (void)vit_flush(t, 1000);
    }
    dup2(saved_stderr, 2);
    close(saved_stderr);
    unsetenv("VITELEMETRY_DEBUG");
    assert_non_null(t);
    assert_int_equal(vit_get_stats(t).delivered, 1);
    requests = wire_count(&b.w);
    bench_end(&b, t);
    rewind(file);
    size = fread(shown, 1, capacity - 1, file);
    shown[size] = 0;
    fclose(file);
    return requests;
}

/* The request in place of the transport, and the log. */
static void test_debug(void **state)
{
    char shown[4096];
    (void)state;
    assert_int_equal(requests_in_debug("1", shown, sizeof shown), 0);
    assert_non_null(strstr(shown, "VITELEMETRY_DEBUG: not sent: POST "));
    assert_non_null(strstr(shown, "\"event_name\":\"feature.toggled\""));
    assert_non_null(strstr(shown, "VITELEMETRY_DEBUG: the endpoint "));
    assert_int_equal(requests_in_debug("0", shown, sizeof shown), 1);
    assert_string_equal(shown, "");
}

/* ---- options --------------------------------------------------------------------------------- */

static void test_options(void **state)
{
    static char long_text[2000];
    bench       good, b;
    vit_client *t;
    unsigned    i;
    int         saved_stderr = dup(2), null_fd = open("/dev/null", O_WRONLY);
    (void)state;
    memset(long_text, 'a', sizeof long_text - 1);
    bench_make(&good);
    assert_true(saved_stderr >= 0 && null_fd >= 0);
    dup2(null_fd, 2); /* canaries: a line on stderr, no logger */
    for (i = 0; i < 3; i++) {
        vit_options o = good.o;
        if (i == 0) o._start_canary = 1;
        if (i == 1) o._end_canary = 1;
        if (i == 2) memset(&o, 0xA5, sizeof o);
        t = vit_create(&o);
        if (t) break;
    }
    dup2(saved_stderr, 2);
    close(saved_stderr);
    close(null_fd);
    assert_int_equal(i, 3);
    for (i = 0; i < 22; i++) {
        logs_init(&good.l);
        b = good;
        b.o.logger.user = &good.l;
        switch (i) {
        case 0: b.o.client_type = ""; break;
        case 1: b.o.client_type = "../evil"; break;
        case 2: b.o.client_type = "a b"; break;
        case 3: b.o.client_type = ".hidden"; break;
        case 4: b.o.client_type = long_text; break;
        case 5: b.o.app_version = "1\n2"; break;
        case 6: b.o.app_version = long_text; break;
        case 7: b.o.telemetry_key = "a\r\nEvil: header"; break;
        case 8: b.o.telemetry_key = long_text; break;
        case 9: b.o.wire = (vit_wire)4; break;
        case 10: b.o.wire = (vit_wire)77; break;
        case 11: b.o.consent = (vit_consent)4; break;
        case 12: b.o.consent = (vit_consent)-1; break;
        case 13: b.o.sampling = (vit_sampling)2; break;
        case 14: b.o.allocator.alloc_fn = heap_alloc; break; /* without free */
        case 15: b.o.allocator.free_fn = heap_free; break;
        case 16: b.o.queue_bytes = (1u << 30) + 1u; break;
        case 17: b.o.endpoint = "http://127.0.0.1/\r\nHost: evil"; break;
        case 18: b.o.endpoint = long_text; break;
        case 19: b.o.group_salt = long_text; break;
        case 20: b.o.app_version = "1\x7F"; break;
        default: b.o.app_version = "\xC3\xA9"; break;
        }
        t = vit_create(&b.o);
        if (t) fail_msg("case %u made a client", i);
        if (logs_of(&good.l, VIT_LOG_OPTION_INVALID) != 1) fail_msg("case %u is not in the log", i);
    }
    wire_free(&good.w);
}

/* Texts of the options are copied. */
static void test_options_copied(void **state)
{
    bench       b;
    vit_client *t;
    char version[] = "9.8.7", type[] = "my-tool", url[] = "http://127.0.0.1/a", key[] = "key-1",
         salt[] = "pepper";
    vit_event e;
    (void)state;
    bench_make(&b);
    b.o.app_version = version, b.o.client_type = type, b.o.endpoint = url, b.o.telemetry_key = key,
    b.o.group_salt = salt;
    t = bench_client(&b);
    memset(version, 'x', 5), memset(type, 'x', 7), memset(url, 'x', 18), memset(key, 'x', 5),
        memset(salt, 'x', 6);
    memset(&b.o, 0xFF, sizeof b.o);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_group(&e, "g", "v");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_true(vit_flush(t, 20000));
    assert_json(b.w.calls[0].body, "app_version", "\"9.8.7\"");
    assert_json(b.w.calls[0].body, "client_type", "\"my-tool\"");
    assert_string_equal(b.w.calls[0].url, "http://127.0.0.1/a");
    assert_non_null(strstr(b.w.calls[0].headers, "X-Telemetry-Key: key-1\r\n"));
    assert_hex(json_at(b.w.calls[0].body, "metadata/g_hash"), 16);
    bench_end(&b, t);
}

static void test_options_defaults(void **state)
{
    char        folder[64], absolute[PATH_MAX], path[PATH_MAX + 64];
    vit_client *t;
    lines       l = { NULL, 0, 0 };
    (void)state;
    folder_make(folder);
    assert_non_null(realpath(folder, absolute));
    setenv("XDG_STATE_HOME", absolute, 1);
    t = vit_create(NULL); /* all defaults: not asked, so nothing is stored */
    assert_non_null(t);
    assert_int_equal(vit_get_consent(t, NULL), VIT_CONSENT_UNKNOWN);
    assert_int_equal(track(t, "f0"), VIT_OK);
    assert_int_equal(vit_export(t, lines_add, &l), 1);
    assert_json(l.text[0], "app_version", "\"0.0.0\"");
    assert_json(l.text[0], "client_type", "\"vector-inspector\"");
    lines_free(&l);
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
    unsetenv("XDG_STATE_HOME");
    snprintf(path, sizeof path, "%s/vector-inspector", absolute);
    assert_false(file_exists(path));
    folder_remove(folder);
}

/* ---- NULL ------------------------------------------------------------------------------------ */

static bool record_none(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size, (void)user;
    return true;
}

#define NULL_ROW(row, text, rate, flags, MEMBERS)                      \
    {                                                                  \
        vit_##row event;                                               \
        memset(&event, 0, sizeof event);                               \
        assert_int_equal(vit_track_##row(NULL, &event), VIT_DISABLED); \
        assert_int_equal(vit_track_##row(NULL, NULL), VIT_DISABLED);   \
        assert_int_equal(vit_track_##row(t, NULL), VIT_INVALID);       \
        assert_non_null(vit_schema_##row());                           \
        refused++;                                                     \
    }

static void null_calls(vit_client *t)
{
    uint64_t      refused = 0;
    vit_gate      why = VIT_GATE_BUILD;
    unsigned char digest[32];
    char          text[64], small[1] = "";
    vit_event     e;
    vit_op        op = vit_op_begin();
    VIT_CATALOGUE(NULL_ROW)
    assert_int_equal(vit_get_stats(t).refused_invalid, refused);
    assert_true(vit_flush(NULL, 10));
    assert_false(vit_pump(NULL));
    assert_true(vit_destroy(NULL, 10));
    assert_int_equal(vit_track_schema(NULL, NULL, NULL), VIT_DISABLED);
    assert_int_equal(vit_track_schema(t, NULL, NULL), VIT_INVALID);
    assert_int_equal(vit_track_error(NULL, NULL), VIT_DISABLED);
    assert_int_equal(vit_track_error(t, NULL), VIT_INVALID);
    assert_int_equal(vit_fail(NULL, NULL, NULL, NULL, 3), 3);
    assert_int_equal(vit_fail(t, NULL, NULL, NULL, 3), 3);
    vit_op_text(&op, NULL); /* nowhere to write to */
    vit_op_text(NULL, NULL);
    vit_event_begin(NULL, NULL, NULL, NULL);
    vit_event_begin(&e, t, NULL, NULL);
    vit_add_label(&e, NULL, NULL), vit_add_text(&e, NULL, NULL), vit_add_hash(&e, NULL, NULL);
    vit_add_group(&e, NULL, NULL), vit_add_row(&e, NULL, NULL), vit_add_file(&e, NULL, NULL);
    vit_add_uuid(&e, NULL, NULL), vit_add_int(&e, NULL, 1), vit_add_ms(&e, NULL, 1);
    vit_add_real(&e, NULL, 1.0), vit_add_flag(&e, NULL, true),
        vit_add_error(&e, NULL, NULL, NULL, NULL);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_label(&e, NULL, "v"), vit_add_text(&e, NULL, "v"), vit_add_hash(&e, NULL, "v");
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    vit_add_label(NULL, "k", "v"), vit_add_text(NULL, "k", "v"), vit_add_hash(NULL, "k", "v");
    vit_add_group(NULL, "k", "v"), vit_add_row(NULL, "k", "v"), vit_add_file(NULL, "k", "v");
    vit_add_uuid(NULL, "k", "v"), vit_add_int(NULL, "k", 1), vit_add_ms(NULL, "k", 1);
    vit_add_real(NULL, "k", 1.0), vit_add_flag(NULL, "k", true),
        vit_add_error(NULL, "a", "b", "c", "d");
    assert_int_equal(vit_event_send(NULL), VIT_INVALID);
    vit_session_begin(NULL, NULL, NULL), vit_session_begin(t, NULL, NULL);
    vit_session_end(NULL, VIT_EXIT_NORMAL), vit_session_end(t, VIT_EXIT_NORMAL);
    assert_false(vit_crashed_last_run(NULL));
    assert_false(vit_crashed_last_run(t));
    vit_qt_message(NULL, 2, NULL, 0, NULL, NULL, NULL);
    vit_qt_message(t, 2, NULL, 0, NULL, NULL, NULL);
    vit_set_consent(NULL, VIT_CONSENT_GRANTED);
    assert_int_equal(vit_get_consent(NULL, NULL), VIT_CONSENT_DENIED);
    assert_int_equal(vit_get_consent(NULL, &why), VIT_CONSENT_DENIED);
    assert_int_equal(why, VIT_GATE_NONE);
    vit_set_context(NULL, NULL, NULL), vit_set_context(t, NULL, NULL),
        vit_set_context(NULL, "a", "b");
    vit_set_rate(NULL, NULL, 1.0), vit_set_rate(t, NULL, 1.0), vit_set_rate(NULL, "x", 1.0);
    assert_false(vit_register_secret(NULL, NULL, 0));
    assert_false(vit_register_secret(NULL, "secret", 0));
    assert_false(vit_register_secret(t, NULL, 0));
    assert_false(vit_register_secret(t, NULL, 10));
    assert_int_equal(vit_export(NULL, NULL, NULL), 0);
    assert_int_equal(vit_export(t, NULL, NULL), 0);
    vit_purge(NULL), vit_reset_identity(NULL);
    assert_int_equal(vit_get_stats(NULL).accepted, 0);
    (void)vit_should_sample(NULL, 0.5, NULL);
    vit_error_hash(text, NULL, NULL, NULL);
    assert_true(is_hex(text, 16));
    assert_int_equal(vit_scrub(NULL, 0, NULL, 0), 0);
    assert_int_equal(vit_scrub(NULL, 0, "abc", 3), 3);
    assert_int_equal(vit_scrub(small, 1, "abc", 3), 3);
    assert_int_equal(vit_scrub(text, sizeof text, NULL, 0), 0);
    assert_string_equal(text, "");
    vit_sha256(digest, NULL, 0);
    assert_int_equal(digest[0], 0xe3);
    assert_int_equal(vit_queue_bytes(0), 0);
    assert_null(vit_queue_init(NULL, 1 << 20));
    assert_int_equal(vit_queue_record_max(NULL), 0);
    assert_false(vit_queue_push(NULL, "a", 1));
    assert_false(vit_queue_push_important(NULL, "a", 1));
    assert_null(vit_queue_reserve(NULL, 1));
    vit_queue_commit(NULL, NULL, 0);
    vit_queue_commit(NULL, text, 1);
    assert_int_equal(vit_queue_drain(NULL, record_none, NULL, 1), 0);
    assert_int_equal(vit_queue_peek(NULL, record_none, NULL, 1), 0);
    vit_queue_release(NULL, 1);
    assert_false(vit_request_cancelled(NULL));
    assert_int_equal(vit_retry_after(NULL, 0), 0);
    assert_non_null(vit_version());
    vit_purge(t);
}

static void test_null(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    null_calls(t);
    bench_end(&b, t);
}

/* A request without our flag is never cancelled. */
static void test_null_request(void **state)
{
    vit_request r;
    (void)state;
    memset(&r, 0, sizeof r);
    assert_false(vit_request_cancelled(&r));
}

/* One that is no longer wanted just before it is handed over: the transport does not see it. */
static void test_cancelled_before(void **state)
{
    bench        b;
    vit_client  *t;
    vit_request  r;
    vit_response answer;
    (void)state;
    bench_make(&b);
    b.o.no_thread = true;
    t = bench_client(&b);
    memset(&r, 0, sizeof r);
    VITP_ATOMIC_STORE(&t->cancel, (uint32_t)VITP_CANCEL_WANTED);
    answer = vitp_worker_hand_over(t, &r, false);
    assert_int_equal(answer.http_status, 0);
    assert_int_equal(b.w.calls, 0);
    VITP_ATOMIC_STORE(&t->cancel, (uint32_t)VITP_CANCEL_FREE);
    bench_end(&b, t);
}

/* ---- again and again ------------------------------------------------------------------------- */

static unsigned descriptors(void)
{
    DIR     *d = opendir("/proc/self/fd");
    unsigned n = 0;
    if (!d) return 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* Bytes of address space; 0 where /proc does not say. */
static unsigned long address_space(void)
{
    unsigned long pages = 0;
    FILE         *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%lu", &pages) != 1) pages = 0;
    fclose(f);
    return pages * 4096u;
}

static void test_1000_rounds(void **state)
{
    unsigned      round, before = 0;
    unsigned long space = 0;
    char          folder[64];
    (void)state;
    folder_make(folder);
    for (round = 0; round < 1000; round++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        b.o.no_thread = round % 2 == 0;
        b.o.data_dir = round % 3 == 0 ? folder : "";
        b.o.queue_bytes = 1;
        t = bench_client(&b);
        track_many(t, 0, 2);
        if (round % 5 == 0) assert_true(vit_flush(t, 20000));
        assert_true(vit_destroy(t, round % 7 == 0 ? 20000 : 0));
        wire_free(&b.w);
        if (round == 100) {
            before = descriptors();
            space = address_space();
        }
    }
    assert_int_equal(descriptors(), before);
    if (!SANITIZED)
        assert_true(address_space() <
                    space + 32u * 1024u * 1024u); /* a client has 64 KiB and more */
    folder_remove(folder);
}

/* Several clients in a process know nothing of each other. */
static void test_two_clients(void **state)
{
    bench       a, b;
    vit_client *one, *two;
    (void)state;
    bench_make(&a);
    bench_make(&b);
    one = bench_client(&a);
    two = bench_client(&b);
    vit_set_rate(one, "feature.toggled", 0.0);
    vit_set_consent(two, VIT_CONSENT_VERBOSE);
    vit_session_begin(two, "two", NULL);
    assert_int_equal(track(one, "x"), VIT_SAMPLED_OUT);
    assert_int_equal(track(two, "x"), VIT_OK);
    assert_int_equal(vit_get_consent(one, NULL), VIT_CONSENT_GRANTED);
    assert_true(vit_flush(one, 20000));
    assert_true(vit_flush(two, 20000));
    assert_int_equal(wire_count(&a.w), 0);
    assert_int_equal(wire_count(&b.w), 2);
    bench_end(&a, one);
    assert_int_equal(track(two, "y"), VIT_OK);
    bench_end(&b, two);
}

/* One that is set again and again takes nothing from the events that wait. */
static void test_context_again(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    char        first[32];
    lines       l;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    vit_session_begin(t, "the-session", NULL);
    for (i = 0; i < 200; i++) {
        vit_set_context(t, "qdrant", "customers");
        assert_int_equal(track(t, "x"), VIT_OK);
    }
    vit_set_context(t, "qdrant", "papers");
    assert_int_equal(track(t, "x"), VIT_OK);
    l = lines_of(t);
    assert_int_equal(l.count, 202);
    for (i = 0; i < l.count; i++) assert_json(l.text[i], "metadata/session_id", "\"the-session\"");
    for (i = 1; i < l.count; i++) assert_json(l.text[i], "metadata/db_provider", "\"qdrant\"");
    snprintf(first, sizeof first, "%s", json_at(l.text[1], "metadata/collection_name_hash"));
    assert_int_equal(strlen(first), 18);
    assert_json(l.text[200], "metadata/collection_name_hash", first);
    assert_string_not_equal(json_at(l.text[201], "metadata/collection_name_hash"), first);
    assert_int_equal(logs_of(&b.l, VIT_LOG_CONTEXT_LOST), 0);
    lines_free(&l);
    bench_end(&b, t);
}

/* Contexts change while events wait: each event has the one it was recorded under. */
static void test_contexts(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    char        name[32];
    lines       l;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    for (i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "provider-%u", i);
        vit_set_context(t, name, NULL);
        assert_int_equal(track(t, name), VIT_OK);
    }
    l = lines_of(t);
    for (i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "\"provider-%u\"", i);
        assert_json(l.text[i], "metadata/db_provider", name);
        assert_json(l.text[i], "metadata/feature_name", name);
    }
    lines_free(&l);
    vit_purge(t);
    for (i = 0; i < 300;
         i++) { /* more than are kept: an event has its own or none, never another's */
        snprintf(name, sizeof name, "provider-%u", i);
        vit_set_context(t, name, NULL);
        assert_int_equal(track(t, name), VIT_OK);
    }
    l = lines_of(t);
    assert_int_equal(l.count, 300);
    for (i = 0; i < 300; i++) {
        const char *provider = json_at(l.text[i], "metadata/db_provider");
        snprintf(name, sizeof name, "\"provider-%u\"", i);
        assert_true(provider[0] == 0 || strcmp(provider, name) == 0);
        if (i >= 240) assert_string_equal(provider, name);
    }
    assert_int_equal(logs_of(&b.l, VIT_LOG_CONTEXT_LOST), 1);
    lines_free(&l);
    bench_end(&b, t);
}

/* ---- idle: the consumer sleeps until there is something to do -------------------------------- */

/* How the consumer sleeps, once it does so for as long as it is left alone. */
static void wait_deep(vit_client *t)
{
    unsigned i;
    for (i = 0; i < 5000 && VITP_ATOMIC_LOAD(&t->recorder.ledger->sleep) != VITP_SLEEP_DEEP; i++)
        vitp_os_sleep(2);
    assert_int_equal(VITP_ATOMIC_LOAD(&t->recorder.ledger->sleep), VITP_SLEEP_DEEP);
}

/* How often the process gave up the processor by itself, all threads together. */
static long sleeps(void)
{
    struct rusage r;
    assert_int_equal(getrusage(RUSAGE_SELF, &r), 0);
    return r.ru_nvcsw;
}

static void test_idle(void **state)
{
    bench       b;
    vit_client *t;
    long        before;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    t = bench_client(&b);
    wait_deep(t);
    before = sleeps();
    vitp_os_sleep(500); /* one of its own, where 25 flush intervals go by */
    if (!SANITIZED) assert_true(sleeps() - before <= 3); /* whose threads wake, too */
    assert_int_equal(VITP_ATOMIC_LOAD(&t->recorder.ledger->sleep), VITP_SLEEP_DEEP);
    for (i = 0; i < 5; i++) { /* the first event after it wakes it */
        char name[24];
        wait_deep(t);
        snprintf(name, sizeof name, "f%u", i);
        assert_int_equal(track(t, name), VIT_OK);
        while (wire_times(&b.w, "\"f") < i + 1) vitp_os_sleep(1);
    }
    wait_deep(t);
    assert_true(vit_flush(t, 1000)); /* and so does a call */
    bench_end(&b, t);
}

/* Where events come and go, it sleeps for a time, so that the next one need not wake it. */
static void test_idle_not_between(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i, light = 0;
    uint32_t    sleep = VITP_SLEEP_NONE;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    b.o.flush_ms = 60000;
    t = bench_client(&b);
    for (i = 0; i < 9; i++) {
        assert_int_equal(track(t, "f"), VIT_OK);
        assert_true(vit_flush(t, 5000));
        do vitp_os_sleep(1);
        while ((sleep = VITP_ATOMIC_LOAD(&t->recorder.ledger->sleep)) == VITP_SLEEP_NONE);
        light += sleep == VITP_SLEEP_LIGHT;
    }
    assert_true(light >= 3); /* all, unless the machine stood still for a second */
    wait_deep(t);
    bench_end(&b, t);
}

/* An error that comes again is counted, not recorded: that wakes it, too. */
static void test_idle_repeats(void **state)
{
    bench       b;
    vit_client *t;
    vit_error   error;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    t = bench_client(&b);
    memset(&error, 0, sizeof error);
    error.event_name = "DataImportError";
    error.message = "cannot open";
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    wait_deep(t);
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    while (wire_times(&b.w, "error.repeated") < 1) vitp_os_sleep(1);
    bench_end(&b, t);
}

/* A forked child wakes its parent's consumer where the queue is shared memory. */
static void test_idle_child(void **state)
{
    bench       b;
    vit_client *t;
    pid_t       child;
    int         status = 1;
    char        folder[64];
    (void)state;
    folder_make(folder);
    bench_make(&b);
    b.o.no_thread = false;
    b.o.data_dir = folder;
    t = bench_client(&b);
    if (!vit_get_stats(t).crash_surviving) { /* nowhere to share it: the child's are lost */
        bench_end(&b, t);
        skip();
    }
    wait_deep(t);
    child = fork();
    if (child == 0) _exit(track(t, "of a child") == VIT_OK ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    while (wire_times(&b.w, "of a child") < 1) vitp_os_sleep(1);
    bench_end(&b, t);
}

/* Whatever flush_ms is, it is seen alive as often as the manual says: with the handler of crashes
   what survived one is known by that. */
static void test_idle_alive(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.flush_ms = 3600000;
    t = bench_client(&b);
    assert_int_equal(vitp_worker_rest_ms(t), VITP_LIFE_MS);
    t->own.ledger->run.handler = true;
    assert_int_equal(vitp_worker_rest_ms(t), VITP_CRASH_SURVIVED_NS / 2u / VITP_MS);
    t->own.ledger->run.handler = false;
    bench_end(&b, t);
}

/* A file that could not be read just now is looked at again also where nothing waits to be sent:
   until then it sleeps for a moment only. */
static void test_idle_later(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    t->later = true;
    (void)vit_pump(t);
    assert_false(t->later);
    t->later = t->halted = true;
    (void)vit_pump(t);
    assert_false(t->later);
    bench_end(&b, t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form_event),
        cmocka_unit_test(test_form_array),
        cmocka_unit_test(test_form_ndjson),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_flush_ms),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_2xx_only),
        cmocka_unit_test(test_retried),
        cmocka_unit_test(test_rejected),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_conflict_for_ever),
        cmocka_unit_test(test_conflict_after_purge),
        cmocka_unit_test(test_halted),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_retry_after_long),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_all_poison),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_pending_for_ever),
        cmocka_unit_test(test_pending_to_the_end),
        cmocka_unit_test(test_flush_zero),
        cmocka_unit_test(test_flush_ends),
        cmocka_unit_test(test_flush_timeout),
        cmocka_unit_test(test_flush_scattered),
        cmocka_unit_test(test_no_transport),
        cmocka_unit_test(test_plain_http),
        cmocka_unit_test(test_inside_transport),
        cmocka_unit_test(test_inside_export),
        cmocka_unit_test(test_log_of_session),
        cmocka_unit_test(test_log_in_turns),
        cmocka_unit_test(test_inside_log),
        cmocka_unit_test(test_inside_log_of_thread),
        cmocka_unit_test(test_destroy_obedient),
        cmocka_unit_test(test_destroy_stubborn),
        cmocka_unit_test(test_destroy_stubborn_in_the_end),
        cmocka_unit_test(test_destroy_stubborn_keeps),
        cmocka_unit_test(test_destroy_delivers),
        cmocka_unit_test(test_destroy_away),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_queue_wraps),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_deliver),
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_wakes_to_save),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_in_flight),
        cmocka_unit_test(test_fork_in_transport),
        cmocka_unit_test(test_two_pump),
        cmocka_unit_test(test_fork_new_client),
        cmocka_unit_test(test_allocator),
        cmocka_unit_test(test_allocator_fails),
        cmocka_unit_test(test_allocator_alignment),
        cmocka_unit_test(test_debug),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_options_copied),
        cmocka_unit_test(test_options_defaults),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_null_request),
        cmocka_unit_test(test_cancelled_before),
        cmocka_unit_test(test_1000_rounds),
        cmocka_unit_test(test_two_clients),
        cmocka_unit_test(test_context_again),
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_idle_not_between),
        cmocka_unit_test(test_idle_repeats),
        cmocka_unit_test(test_idle_child),
        cmocka_unit_test(test_idle_alive),
        cmocka_unit_test(test_idle_later),
    };
    environment_clear();
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
