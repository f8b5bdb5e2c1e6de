/* test_spool.c: events that could not be delivered: the spool on disk, retries, and what the next
   start makes of it. The clocks are the test's own.

   Build: cc -std=c99 -I. tests/test_spool.c -o build/tests/test_spool -lcmocka -pthread */

#include "plain_memory.h"
#include "clocks.h"

#include "common.h"

#include "bench.h"

#include <dirent.h>
#include <sys/wait.h>

/* ---- what lies in the folder ----------------------------------------------------------------- */

typedef struct files {
    unsigned count;
    uint64_t bytes;
    char     path[64][256]; /* sorted */
} files;

static int by_name(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

static files files_of(const bench *b)
{
    files          f;
    DIR           *d = opendir(b->folder);
    struct dirent *e;
    struct stat    s;
    memset(&f, 0, sizeof f);
    while (d && (e = readdir(d))) {
        if (!strstr(e->d_name, ".spool")) continue;
        assert_true(f.count < COUNT_OF(f.path));
        snprintf(f.path[f.count], sizeof f.path[0], "%.63s/%.180s", b->folder, e->d_name);
        assert_int_equal(lstat(f.path[f.count], &s), 0);
        if (S_ISREG(s.st_mode)) f.bytes += (uint64_t)s.st_size;
        f.count++;
    }
    if (d) closedir(d);
    qsort(f.path, f.count, sizeof f.path[0], by_name);
    return f;
}

static bool holds(const char *bytes, size_t size, const char *text)
{
    size_t n = strlen(text), i;
    for (i = 0; i + n <= size; i++)
        if (memcmp(bytes + i, text, n) == 0) return true;
    return false;
}

/* ---- a client -------------------------------------------------------------------------------- */

static void track_errors(vit_client *t, unsigned first, unsigned count)
{
    unsigned i;
    char     name[24];
    for (i = first; i < first + count; i++) {
        vit_error e;
        memset(&e, 0, sizeof e);
        snprintf(name, sizeof name, "e%u", i);
        e.type = "ValueError";
        e.message = "it failed";
        e.function = name;
        assert_int_equal(vit_track_error(t, &e), VIT_OK);
    }
}

/* Time passes until events have waited long enough to be sent, or to be saved. */
static void pump_later(vit_client *t)
{
    pass(SECOND / 10u);
    pump(t);
}

/* ---- there and back -------------------------------------------------------------------------- */

static void test_away_and_back(void **state)
{
    unsigned form;
    (void)state;
    for (form = 0; form < 4; form++) {
        bench       b;
        vit_client *t;
        struct stat s;
        files       f;
        bench_make(&b);
        offline(&b);
        b.o.wire = (vit_wire)form;
        t = bench_client(&b);
        track_many(t, 0, 20);
        pump_later(t);
        assert_int_equal(wire_count(&b.w), 1);
        pump_later(t);
        assert_int_equal(vit_get_stats(t).queued, 0);
        assert_int_equal(vit_get_stats(t).spooled, 20);
        assert_balanced(t);
        f = files_of(&b);
        assert_int_equal(f.count, 1);
        assert_int_equal(stat(f.path[0], &s), 0);
        assert_int_equal(s.st_mode & 0777, 0600);
        online(&b);
        track_many(t, 20, 5);
        pump_for(t, 10);
        assert_int_equal(vit_get_stats(t).delivered, 25);
        assert_int_equal(vit_get_stats(t).spooled, 0);
        if (form < 3) assert_each(&b.w, "\"f%u\"", 25, 1);
        assert_int_equal(files_of(&b).count, 0);
        end(t);
        bench_free(&b);
    }
}

/* A body without what its events say of their delay. */
static const char *undelayed(char out[8192], const char *body)
{
    const char *at;
    out[0] = 0;
    while ((at = strstr(body, ",\"delay_s\":")) != NULL) {
        (void)strncat(out, body, (size_t)(at - body));
        body = at + 11 + strspn(at + 11, "0123456789");
    }
    return strcat(out, body);
}

/* The same key for the same request: by this run and by the next. */
static void test_same_key(void **state)
{
    unsigned form, restart;
    (void)state;
    for (form = 0; form < 3; form++)
        for (restart = 0; restart < 3; restart++) {
            bench       b;
            vit_client *t;
            size_t      i, k;
            char        one[8192], other[8192];
            bench_make(&b);
            offline(&b);
            b.o.wire = (vit_wire)form;
            b.o.batch_events = 4;
            t = bench_client(&b);
            track_many(t, 0, 10);
            pump_later(t); /* the first request fails */
            if (restart == 1) t = again(&b, t);
            pump_for(t, 40); /* more of them */
            assert_true(wire_count(&b.w) > 3);
            if (restart == 2) t = again(&b, t);
            online(&b);
            pump_for(t, 1000);
            assert_int_equal(vit_get_stats(t).spooled, 0);
            assert_each(&b.w, "\"f%u\"", 10, 1);
            for (i = 0; i < b.w.count; i++)
                for (k = 0; k < i; k++)
                    assert_int_equal(strcmp(b.w.calls[i].key, b.w.calls[k].key) == 0,
                                     strcmp(undelayed(one, b.w.calls[i].body),
                                            undelayed(other, b.w.calls[k].body)) == 0);
            end(t);
            bench_free(&b);
        }
}

/* What a run could not deliver in the end; each event as it would have been. */
static void test_next_start(void **state)
{
    bench       b;
    vit_client *t;
    lines       before, after;
    size_t      i;
    (void)state;
    bench_make(&b);
    b.o.transport.send_fn = NULL;
    t = bench_client(&b);
    vit_session_begin(t, "the-session", "cli");
    vit_set_context(t, "chroma", "things");
    track_many(t, 0, 3);
    track_errors(t, 0, 2);
    before = lines_of(t);
    t = again(&b, t);
    after = lines_of(t);
    assert_int_equal(after.count, before.count);
    for (i = 0; i < before.count; i++) { /* errors have a file of their own */
        size_t k = 0;
        while (k < after.count && strcmp(before.text[i], after.text[k]) != 0) k++;
        if (k == after.count) fail_msg("%s is not there, but %s", before.text[i], after.text[i]);
    }
    lines_free(&before);
    lines_free(&after);
    b.o.transport.send_fn = wire_send;
    t = again(&b, t);
    assert_true(vit_flush(t, 1000));
    assert_each(&b.w, "\"f%u\"", 3, 1);
    assert_each(&b.w, "\"e%u\"", 2, 1);
    assert_int_equal(vit_get_stats(t).adopted, vit_get_stats(t).delivered);
    assert_int_equal(files_of(&b).count, 0);
    end(t);
    bench_free(&b);
}

/* Programs that run for a moment and are offline fill one file, not one each. */
static void test_many_short_runs(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    offline(&b);
    for (i = 0; i < 50; i++) {
        t = bench_client(&b);
        track_many(t, i, 1);
        if (i % 2) (void)vit_flush(t, 0), pump_later(t);
        assert_balanced(t);
        assert_true(vit_destroy(t, 0));
        pass(3600u * SECOND);
    }
    assert_int_equal(files_of(&b).count, 1);
    online(&b);
    t = bench_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 50);
    assert_true(vit_flush(t, 1000));
    assert_each(&b.w, "\"f%u\"", 50, 1);
    end(t);
    bench_free(&b);
}

/* The same behind a full file that a clock wrote before it was set back. */
static void test_many_runs_in_the_past(void **state)
{
    const uint64_t before_ns = wall_ns;
    bench          b;
    vit_client    *t;
    unsigned       i, before;
    (void)state;
    bench_make(&b);
    offline(&b);
    b.o.spool_bytes_max = 65536;
    t = bench_client(&b);
    track_many(t, 0, 40);
    end(t);
    before = files_of(&b).count;
    assert_true(files_of(&b).bytes > VITP_SPOOL_FILE_MIN);
    wall_ns -= 3650u * DAY;
    for (i = 0; i < 12; i++) {
        t = bench_client(&b);
        track_many(t, 40 + i, 1);
        end(t);
        pass(SECOND);
    }
    assert_int_equal(files_of(&b).count, before + 1u);
    online(&b);
    t = bench_client(&b);
    assert_true(vit_flush(t, 1000));
    assert_each(&b.w, "\"f%u\"", 52, 1);
    end(t);
    bench_free(&b);
    wall_ns = before_ns + 12u * SECOND;
}

/* Nothing personal, no identity, and no registered secret lies on the disk. */
static void test_scrubbed(void **state)
{
    bench       b;
    vit_client *t;
    files       f;
    char       *bytes, hwid[256];
    size_t      size;
    (void)state;
    bench_make(&b);
    b.o.transport.send_fn = NULL;
    t = bench_client(&b);
    assert_true(vit_register_secret(t, "hunter2hunter2", 0));
    (void)track(t, "mail jane.roe@example.org");
    (void)track(t, "has hunter2hunter2 in it");
    (void)track(t, "zq.tester");
    track_many(t, 0, 1);
    snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
    pump_later(t);
    f = files_of(&b);
    assert_int_equal(f.count, 1);
    bytes = bytes_of(f.path[0], &size);
    assert_false(holds(bytes, size, "jane.roe"));
    assert_false(holds(bytes, size, "hunter2"));
    assert_false(holds(bytes, size, "zq.tester"));
    assert_int_equal(strlen(hwid), 36);
    assert_false(holds(bytes, size, hwid));
    assert_true(holds(bytes, size, "[email]"));
    assert_true(holds(bytes, size, "f0"));
    free(bytes);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_SECRET], 1);
    assert_int_equal(vit_get_stats(t).spooled, 3);
    end(t);
    bench_free(&b);
}

/* A secret that is registered later is not sent from the disk either. */
static void test_secret_later(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    offline(&b);
    t = bench_client(&b);
    (void)track(t, "swordfish");
    track_many(t, 0, 1);
    t = again(&b, t);
    assert_true(vit_register_secret(t, "swordfish", 0));
    online(&b);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(wire_times(&b.w, "swordfish"), 0);
    assert_each(&b.w, "\"f%u\"", 1, 1);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_SECRET], 1);
    end(t);
    bench_free(&b);
}

/* ---- the user's word ------------------------------------------------------------------------- */

static void test_forgotten(void **state)
{
    unsigned how;
    (void)state;
    for (how = 0; how < 6; how++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        offline(&b);
        t = bench_client(&b);
        track_many(t, 0, 10);
        if (how % 2) t = again(&b, t);
        pump_later(t);
        pump_later(t);
        assert_int_equal(vit_get_stats(t).spooled, 10);
        if (how / 2 == 0) vit_purge(t);
        if (how / 2 == 1) vit_reset_identity(t);
        if (how / 2 == 2) vit_set_consent(t, VIT_CONSENT_DENIED);
        assert_int_equal(files_of(&b).count, 0);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 10);
        assert_int_equal(vit_get_stats(t).spooled, 0);
        online(&b);
        (void)vit_flush(t, 100);
        assert_int_equal(wire_times(&b.w, "\"f"), 0);
        end(t);
        bench_free(&b);
    }
}

/* Before consent nothing lies on the disk, also in the end. */
static void test_unknown(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = bench_client(&b);
    track_many(t, 0, 10);
    pump_later(t);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(files_of(&b).count, 0);
    b.o.consent = VIT_CONSENT_DENIED;
    t = bench_client(&b);
    pump_later(t);
    end(t);
    assert_int_equal(files_of(&b).count, 0);
    bench_free(&b);
}

/* What was recorded under another identity is not sent. */
static void test_other_identity(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    offline(&b);
    t = bench_client(&b);
    track_many(t, 0, 5);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(unlink(b.path), 0); /* hwid and salt are gone with it */
    online(&b);
    t = bench_client(&b);
    (void)vit_flush(t, 100);
    assert_int_equal(wire_times(&b.w, "\"f"), 0);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 5);
    assert_int_equal(files_of(&b).count, 0);
    end(t);
    bench_free(&b);
}

/* But what another process recorded under a new identity is not lost by one that hears of it later,
   also where that one reads the file before. */
static void test_file_of_the_new_identity(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 4; i++) {
        bench       b;
        vit_client *t, *other;
        bench_make(&b);
        offline(&b);
        t = bench_client(&b);
        other = bench_client(&b);
        if (i % 2) vit_set_consent(other, VIT_CONSENT_DENIED);
        if (i % 2) vit_set_consent(other, VIT_CONSENT_GRANTED);
        else vit_reset_identity(other);
        track_many(other, 0, 5);
        end(other);
        assert_int_equal(files_of(&b).count, 1);
        online(&b);
        track_many(t, 5, 1); /* under the old one */
        if (i / 2) (void)vit_flush(t, 1000);
        else pump_later(t);
        assert_balanced(t);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 1);
        t = again(&b, t);
        (void)vit_flush(t, 1000);
        assert_each(&b.w, "\"f%u\"", 5, 1);
        assert_int_equal(wire_events(&b.w), 5);
        assert_int_equal(files_of(&b).count, 0);
        end(t);
        bench_free(&b);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* The cap holds at each moment; the oldest go first, and errors last. */
static void test_cap(void **state)
{
    static const uint32_t caps[] = { 20000, 65536, 300000 };
    size_t                c;
    (void)state;
    for (c = 0; c < COUNT_OF(caps); c++) {
        bench       b;
        vit_client *t;
        unsigned    i;
        uint64_t    dropped;
        bench_make(&b);
        offline(&b);
        b.o.spool_bytes_max = caps[c];
        t = bench_client(&b);
        track_errors(t, 0, 10);
        for (i = 0; i < caps[c] / 2000u; i++) {
            track_many(t, i * 20u, 20);
            pump_later(t);
            if (files_of(&b).bytes > caps[c])
                fail_msg("%lu bytes of %u", (unsigned long)files_of(&b).bytes, (unsigned)caps[c]);
        }
        assert_balanced(t);
        dropped = vit_get_stats(t).dropped[VIT_DROP_SPOOL_FULL];
        assert_true(dropped > 0);
        assert_int_equal(logs_of(&b.l, VIT_LOG_SPOOL_FULL), 1);
        assert_true(files_of(&b).bytes > caps[c] / 2u);
        online(&b);
        pump_for(t, 2000);
        assert_int_equal(vit_get_stats(t).spooled, 0);
        assert_each(&b.w, "\"e%u\"", 10, 1);
        assert_int_equal(wire_times(&b.w, "\"f0\""), 0); /* the oldest went */
        assert_int_equal(wire_times(&b.w, "\"telemetry.report\""), 1);
        assert_int_equal(vit_get_stats(t).delivered,
                         vit_get_stats(t).accepted - vit_get_stats(t).queued - dropped);
        end(t);
        bench_free(&b);
    }
}

static bool no_memory;

static void *scarce_alloc(size_t size, void *user)
{
    (void)user;
    return no_memory ? NULL : malloc(size);
}

static void scarce_free(void *memory, void *user)
{
    (void)user;
    free(memory);
}

/* What gives way unread, because there is no memory or another version wrote it, is counted as a
   piece. */
static void test_cap_unread(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 2; i++) {
        bench       b;
        vit_client *t;
        files       f;
        bench_make(&b);
        offline(&b);
        b.o.spool_bytes_max = 20000;
        t = bench_client(&b);
        track_many(t, 0, 100);
        end(t);
        f = files_of(&b);
        assert_true(f.count > 1);
        if (i == 1) {
            size_t size;
            char  *bytes = bytes_of(f.path[0], &size);
            bytes[8]++; /* of vitp_spool_head.version */
            file_write(f.path[0], bytes, size, 0600);
            free(bytes);
        }
        b.o.allocator.alloc_fn = scarce_alloc;
        b.o.allocator.free_fn = scarce_free;
        t = bench_client(&b);
        no_memory = i == 0;
        track_many(t, 100, 100);
        pump_for(t, 3);
        no_memory = false;
        assert_false(file_exists(f.path[0]));
        assert_balanced(t);
        assert_true(vit_get_stats(t).dropped[VIT_DROP_CORRUPT] >= 1);
        end(t);
        bench_free(&b);
    }
}

/* Events with 1400 bytes of text twice. */
static void track_large(vit_client *t, unsigned count)
{
    char     text[1401];
    unsigned i;
    for (i = 0; i < 1400; i++) text[i] = i % 9u == 8 ? ' ' : 'a';
    text[1400] = 0;
    for (i = 0; i < count; i++) {
        vit_event e;
        vit_event_begin(&e, t, "large", NULL);
        vit_add_text(&e, "one", text);
        vit_add_text(&e, "two", text);
        assert_true(vit_event_send(&e) <= VIT_TRUNCATED);
    }
}

/* Events that are no batch's worth of the cap find room, and take no more than they need: also
   where they were sent together before. */
static void test_batch_and_cap(void **state)
{
    unsigned sent;
    (void)state;
    for (sent = 0; sent < 2; sent++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        offline(&b);
        b.o.wire = VIT_WIRE_NDJSON;
        b.o.spool_bytes_max = 100000;
        b.o.flush_ms = 5000;
        t = bench_client(&b);
        t->backoff.until_ns = passed_ns + DAY;
        track_many(t, 0, 50);
        pass(5 * SECOND);
        pump(t);
        assert_int_equal(vit_get_stats(t).spooled, 50);
        track_large(t, 99);
        if (sent) {
            t->backoff.until_ns = 0;
            t->backoff.spool_ns = passed_ns + DAY;
            pass(5 * SECOND);
            pump(t);
            assert_int_equal(wire_count(&b.w), 1);
            assert_true(b.w.calls[0].size > b.o.spool_bytes_max);
            t->backoff.until_ns = passed_ns + DAY;
        }
        pass(5 * SECOND);
        pump_for(t, 20);
        assert_int_equal(vit_get_stats(t).queued, 0);
        assert_balanced(t);
        if (files_of(&b).bytes > b.o.spool_bytes_max || files_of(&b).bytes < 70000)
            fail_msg("%lu bytes", (unsigned long)files_of(&b).bytes);
        assert_true(vit_get_stats(t).spooled > 24);
        end(t);
        bench_free(&b);
    }
}

/* Files that are begun in one second are delivered in the order of their events. */
static void test_order_in_a_second(void **state)
{
    bench       b;
    vit_client *t;
    const char *at;
    char       *end_of;
    unsigned    i, n, next = 0;
    (void)state;
    bench_make(&b);
    offline(&b);
    b.o.spool_bytes_max = 65536;
    pass(SECOND - wall_ns % SECOND);
    t = bench_client(&b);
    for (i = 0; i < 8; i++) {
        track_many(t, i * 40u, 40);
        pump_later(t);
    }
    assert_true(wall_ns % SECOND > SECOND / 2u);
    assert_true(files_of(&b).count >= 4);
    online(&b);
    pump_for(t, 2000);
    for (i = 0; i < b.w.count; i++) {
        if (b.w.calls[i].status / 100 != 2) continue;
        for (at = b.w.calls[i].body; (at = strstr(at, "\"f")); at++) {
            n = (unsigned)strtoul(at + 2, &end_of, 10);
            if (end_of == at + 2 || *end_of != '"') continue; /* another text that begins so */
            assert_true(n >= next);
            next = n + 1u;
        }
    }
    assert_int_equal(next, 320);
    end(t);
    bench_free(&b);
}

/* Where errors fill the spool, what is no error goes before it holds them up. */
static void test_full_of_errors(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    offline(&b);
    b.o.spool_bytes_max = 20000;
    b.o.queue_bytes = 65536;
    t = bench_client(&b);
    track_errors(t, 0, 100);
    pump_later(t);
    pump_later(t);
    assert_true(vit_get_stats(t).dropped[VIT_DROP_SPOOL_FULL] > 0);
    for (i = 0; i < 40; i++) {
        track_many(t, i * 20u, 20);
        pump_for(t, 1);
        assert_true(files_of(&b).bytes <= 20000);
    }
    assert_int_equal(vit_get_stats(t).refused_full, 0);
    track_errors(t, 100, 5);
    for (i = 0; i < 60; i++) {
        track_many(t, i * 20u, 20);
        pump_for(t, 1);
    }
    assert_int_equal(vit_get_stats(t).refused_full, 0);
    assert_balanced(t);
    online(&b);
    pump_for(t, 4000);
    for (i = 100; i < 105; i++) {
        char name[24];
        snprintf(name, sizeof name, "\"e%u\"", i);
        assert_int_equal(wire_times(&b.w, name), 1);
    }
    end(t);
    bench_free(&b);
}

static void test_age(void **state)
{
    static const struct {
        uint64_t wait_ns;
        uint32_t days;
        bool     kept;
    } rows[] = { { 29u * DAY, 0, true },  { 31u * DAY, 0, false }, { 31u * DAY, 90, false },
                 { 6u * DAY, 1, true },   { 8u * DAY, 1, false },  { 9u * DAY, 10, true },
                 { 11u * DAY, 10, false } };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        offline(&b);
        b.o.spool_days_max = rows[i].days;
        t = bench_client(&b);
        track_many(t, 0, 3);
        assert_true(vit_destroy(t, 0));
        pass(rows[i].wait_ns);
        online(&b);
        t = bench_client(&b);
        assert_true(vit_flush(t, 1000));
        assert_each(&b.w, "\"f%u\"", 3, rows[i].kept ? 1 : 0);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_TOO_OLD], rows[i].kept ? 0 : 3);
        if (rows[i].kept) assert_non_null(strstr(b.w.calls[0].body, "\"delay_s\":"));
        end(t);
        bench_free(&b);
    }
}

/* A clock that is wrong by years costs no event, and nobody waits for ever. */
static void test_clock_jumps(void **state)
{
    static const uint64_t years[] = { 0, 130 };
    size_t                i;
    (void)state;
    for (i = 0; i < 2 * COUNT_OF(years); i++) {
        bench       b;
        vit_client *t;
        uint64_t    right_ns = wall_ns;
        bench_make(&b);
        b.w.otherwise.http_status = 503;
        b.w.otherwise.retry_after_s = 60;
        if (i & 1) wall_ns = years[i / 2] * 365u * DAY;
        t = bench_client(&b);
        track_many(t, 0, 3);
        pump_later(t);
        pump_later(t);
        wall_ns = i & 1 ? right_ns : years[i / 2] * 365u * DAY;
        t = again(&b, t);
        online(&b);
        b.w.otherwise.retry_after_s = 0;
        pump_for(t, 86401);
        assert_each(&b.w, "\"f%u\"", 3, 1);
        end(t);
        wall_ns = right_ns;
        bench_free(&b);
    }
}

/* ---- retry ----------------------------------------------------------------------------------- */

/* Retry-After holds for the next start as well, for this endpoint and not for longer than a day. */
static void test_retry_after_kept(void **state)
{
    bench       b;
    vit_client *t;
    char        path[128];
    (void)state;
    bench_make(&b);
    snprintf(path, sizeof path, "%.63s/vector-inspector.wait", b.folder);
    b.w.otherwise.http_status = 429;
    b.w.otherwise.retry_after_s = 600;
    t = bench_client(&b);
    track_many(t, 0, 1);
    pump_later(t);
    assert_int_equal(wire_count(&b.w), 1);
    t = again(&b, t);
    assert_false(vit_flush(t, 0));
    pump_for(t, 590);
    assert_int_equal(wire_count(&b.w), 1);
    assert_true(file_exists(path));
    b.o.endpoint = "http://127.0.0.1:9/another";
    online(&b);
    b.w.otherwise.retry_after_s = 0;
    t = again(&b, t);
    assert_true(vit_flush(t, 1000)); /* another server said nothing */
    assert_int_equal(wire_count(&b.w), 2);
    end(t);
    bench_free(&b);
}

/* Also in the longest folder, of the longest client type. */
static void test_retry_after_far_away(void **state)
{
    static char folder[1001], type[65];
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    snprintf(folder, sizeof folder, "%s/", b.folder);
    memset(type, 't', sizeof type - 1u);
    while (strlen(folder) < sizeof folder - 1u)
        strcat(folder, strlen(folder) % 100u == 50u ? "/" : "d");
    b.o.data_dir = folder;
    b.o.client_type = type;
    b.w.otherwise.http_status = 429;
    b.w.otherwise.retry_after_s = 600;
    t = bench_client(&b);
    track_many(t, 0, 1);
    pump_later(t);
    assert_int_equal(wire_count(&b.w), 1);
    t = again(&b, t);
    pump_for(t, 590);
    assert_int_equal(wire_count(&b.w), 1);
    end(t);
    bench_free(&b);
}

/* And also where the next start may send only when the user has agreed. */
static void test_retry_after_until_granted(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.w.otherwise.http_status = 429;
    b.w.otherwise.retry_after_s = 600;
    t = bench_client(&b);
    track_many(t, 0, 1);
    pump_later(t);
    assert_int_equal(wire_count(&b.w), 1);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = again(&b, t);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_false(vit_flush(t, 0));
    pump_for(t, 590);
    assert_int_equal(wire_count(&b.w), 1);
    online(&b);
    pump_for(t, 200);
    assert_int_equal(vit_get_stats(t).delivered, 1);
    end(t);
    bench_free(&b);
}

/* It ends at no moment too soon, whatever part of a second has gone by; and more than a day is a
   day, for the next start too. */
static void test_retry_after_to_the_end(void **state)
{
    static const struct {
        uint32_t retry_after_s;
        uint64_t wait_ns;
    } rows[] = { { 1, SECOND }, { 2, 2 * SECOND }, { UINT32_MAX, DAY } };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        b.w.otherwise.http_status = 503;
        b.w.otherwise.retry_after_s = rows[i].retry_after_s;
        pass(SECOND - wall_ns % SECOND + SECOND * 8u / 10u);
        t = bench_client(&b);
        track_many(t, 0, 1);
        pump_later(t); /* at nine tenths of a second */
        assert_int_equal(wire_count(&b.w), 1);
        assert_true(vit_destroy(t, 0));
        online(&b);
        b.w.otherwise.retry_after_s = 0;
        pass(SECOND / 5u);
        t = bench_client(&b);
        pass(rows[i].wait_ns - SECOND * 3u / 10u);
        pump(t);
        assert_int_equal(wire_count(&b.w), 1);
        pass(2 * SECOND);
        assert_true(vit_flush(t, 1000));
        assert_int_equal(wire_count(&b.w), 2);
        end(t);
        bench_free(&b);
    }
}

/* Of so many files that it wrote and let go a client knows the records; of one more it does not,
   and they are counted as handed over. */
static void test_retired(void **state)
{
    vitp_spool     *s = (vitp_spool *)calloc(1, sizeof *s);
    vitp_spool_file f;
    char            folder[64], path[128];
    unsigned        i;
    (void)state;
    assert_non_null(s);
    folder_make(folder);
    for (i = 0; i < VITP_SPOOL_CLOSED_MAX + 2u; i++) {
        memset(&f, 0, sizeof f);
        snprintf(path, sizeof path, "%s/app.12345678-u-1-%016x.spool", folder, i);
        assert_true(vitp_os_pool_begin(&f.file, path));
        assert_true(vitp_os_pool_rename(&f.file, path));
        f.records = i == 0 ? 0 : 3; /* the first has none, and is not remembered */
        s->records += f.records;
        vitp_spool_retire(s, &f);
        assert_false(f.file.open);
    }
    assert_int_equal(s->closed_count, VITP_SPOOL_CLOSED_MAX);
    assert_int_equal(s->handed_over, 3);
    assert_int_equal(s->records, 3 * VITP_SPOOL_CLOSED_MAX);
    free(s);
    folder_remove(folder);
}

/* Nor is it written down where others may write by then. */
static vit_response answer_and_open(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 429, 600 };
    (void)r, (void)number;
    assert_int_equal(chmod((const char *)w->user, 0777), 0);
    return answer;
}

static void test_retry_after_of_others(void **state)
{
    bench       b;
    vit_client *t;
    char        path[128];
    (void)state;
    bench_make(&b);
    snprintf(path, sizeof path, "%.63s/vector-inspector.wait", b.folder);
    b.w.answer_fn = answer_and_open;
    b.w.user = b.folder;
    t = bench_client(&b);
    track_many(t, 0, 1);
    pump_later(t);
    assert_int_equal(wire_count(&b.w), 1);
    assert_false(file_exists(path));
    assert_int_equal(chmod(b.folder, 0700), 0);
    end(t);
    bench_free(&b);
}

/* The wire of a client that failed for long, and then a while: nothing is lost, nothing twice. */
static void test_statuses(void **state)
{
    static const int statuses[] = { 0, 408, 425, 429, 500, 502, 503, 504, 599, 401, 403, 404, 410 };
    size_t           i;
    (void)state;
    for (i = 0; i < COUNT_OF(statuses); i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        b.w.otherwise.http_status = statuses[i];
        t = bench_client(&b);
        track_many(t, 0, 5);
        pump_for(t, 30);
        assert_int_equal(vit_get_stats(t).spooled, 5);
        assert_balanced(t);
        online(&b);
        t = again(&b, t); /* a pause ends with the run */
        pump_for(t, 30);
        assert_each(&b.w, "\"f%u\"", 5, 1);
        end(t);
        bench_free(&b);
    }
}

/* A transport that says "not yet" of a batch from the disk is offered it again, and a purge in
   between makes nothing of it. */
static vit_response pending_twice(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { VIT_HTTP_PENDING, 0 };
    (void)w, (void)r;
    if (number % 3 == 2) answer.http_status = 201;
    return answer;
}

static void test_pending(void **state)
{
    unsigned purges;
    (void)state;
    for (purges = 0; purges < 2; purges++) {
        bench       b;
        vit_client *t;
        size_t      i;
        bench_make(&b);
        b.o.transport.send_fn = NULL;
        t = bench_client(&b);
        track_many(t, 0, 2);
        b.o.transport.send_fn = wire_send;
        b.w.answer_fn = pending_twice;
        t = again(&b, t);
        assert_false(vit_pump(t));
        assert_int_equal(vit_get_stats(t).spooled, 2);
        if (purges) vit_purge(t);
        for (i = 0; i < 8; i++) (void)vit_pump(t);
        assert_each(&b.w, "\"f%u\"", 2, purges ? 0 : 1);
        assert_int_equal(vit_get_stats(t).delivered, purges ? 0 : 2);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], purges ? 2 : 0);
        end(t);
        bench_free(&b);
    }
}

/* One bad event of 500 costs at most 20 requests more, wherever it is. */
static vit_response poison(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    char        *copy = (char *)malloc(r->body_size + 1);
    (void)number;
    assert_non_null(copy);
    memcpy(copy, r->body, r->body_size);
    copy[r->body_size] = 0;
    if (strstr(copy, (const char *)w->user)) answer.http_status = 400;
    free(copy);
    return answer;
}

/* What another run sent, and the server is busy with (409), comes again as it was, also where its
   file is put aside between two tries because something is put into the spool, or where that run
   had it from the disk. */
static void test_conflict(void **state)
{
    static const int busy[] = { 0, 409, 409, 503, 409, 201 };
    size_t           i, n;
    (void)state;
    for (i = 0; i < 3; i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        b.o.wire = VIT_WIRE_ARRAY;
        wire_script(&b.w, busy, COUNT_OF(busy));
        if (i == 2) b.o.transport.send_fn = NULL;
        t = bench_client(&b);
        track_many(t, 0, 10);
        b.o.transport.send_fn = wire_send;
        if (i == 2) t = again(&b, t);
        (void)vit_flush(t, 0);
        (void)vit_pump(t);
        t = again(&b, t);
        for (n = 1; n < COUNT_OF(busy); n++) {
            t->backoff.until_ns = 0;
            (void)vit_pump(t);
            assert_int_equal(wire_count(&b.w), n + 1u);
            assert_string_equal(b.w.calls[n].key, b.w.calls[0].key);
            assert_string_equal(b.w.calls[n].body, b.w.calls[0].body);
            if (i != 1 || n + 1u == COUNT_OF(busy)) continue;
            t->backoff.until_ns = passed_ns + SECOND;
            assert_int_equal(track(t, "later"), VIT_OK);
            pass(SECOND / 10u);
            pump(t);
        }
        assert_int_equal(vit_get_stats(t).delivered, 10);
        assert_each(&b.w, "\"f%u\"", 10, 1);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 0);
        end(t);
        bench_free(&b);
    }
}

/* But not for ever, also where each run asks once. */
static void test_conflict_of_many_runs(void **state)
{
    bench       b;
    vit_client *t;
    size_t      n;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_ARRAY;
    b.w.otherwise.http_status = 409;
    b.o.transport.send_fn = NULL;
    t = bench_client(&b);
    track_many(t, 0, 1);
    b.o.transport.send_fn = wire_send;
    for (n = 1; n <= 9; n++) {
        t = again(&b, t);
        assert_int_equal(vit_get_stats(t).spooled, 1);
        (void)vit_flush(t, 0);
        (void)vit_pump(t);
        assert_int_equal(wire_count(&b.w), n);
        assert_string_equal(b.w.calls[n - 1u].key, b.w.calls[0].key);
    }
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
    end(t);
    bench_free(&b);
}

static void test_poison(void **state)
{
    static const unsigned where[] = { 0, 1, 77, 249, 250, 251, 333, 498, 499 };
    size_t                i;
    (void)state;
    for (i = 0; i < 2 * COUNT_OF(where); i++) {
        bench       b;
        vit_client *t;
        char        name[24];
        unsigned    n;
        bench_make(&b);
        snprintf(name, sizeof name, "\"f%u\"", where[i / 2]);
        b.o.wire = VIT_WIRE_NDJSON;
        b.o.batch_events = 500;
        b.w.answer_fn = poison;
        b.w.user = name;
        if (i & 1) b.o.transport.send_fn = NULL; /* from the disk */
        t = bench_client(&b);
        track_many(t, 0, 500);
        b.o.transport.send_fn = wire_send;
        if (i & 1) t = again(&b, t);
        assert_true(vit_flush(t, 1000));
        if (wire_count(&b.w) > 21)
            fail_msg("%u: %lu requests", where[i / 2], (unsigned long)wire_count(&b.w));
        for (n = 0; n < 500; n++) {
            snprintf(name, sizeof name, "\"f%u\"", n);
            assert_int_equal(wire_times(&b.w, name), n == where[i / 2] ? 0 : 1);
        }
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
        end(t);
        bench_free(&b);
    }
}

/* A batch of the spool that the server refused is halved on also where its file is let go between
   two requests, because something is put into the spool meanwhile. */
static void test_poison_let_go(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    char        name[24];
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 16;
    b.w.answer_fn = poison;
    b.w.user = (void *)(uintptr_t) "\"f5\"";
    b.o.transport.send_fn = NULL;
    t = bench_client(&b);
    track_many(t, 0, 16);
    b.o.transport.send_fn = wire_send;
    t = again(&b, t);
    for (i = 0; i < 16; i++) {
        t->backoff.until_ns = 0;
        (void)vit_pump(t);
        assert_int_equal(wire_count(&b.w), i + 1u);
        t->backoff.until_ns = passed_ns + SECOND;
        assert_int_equal(track(t, "later"), VIT_OK);
        pass(SECOND / 10u);
        pump(t);
    }
    for (i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "\"f%u\"", i);
        assert_int_equal(wire_times(&b.w, name), i == 5 ? 0 : 1);
    }
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
    end(t);
    bench_free(&b);
}

/* ---- a disk that is not as it should be ------------------------------------------------------ */

/* A spool of a few events under one head, whose file the test then changes. */
#define SAMPLE 4u
typedef struct sample {
    char  *bytes;
    size_t size;
    char   path[256];
} sample;

static sample sample_make(bench *b, vit_wire wire_form)
{
    sample      s;
    files       f;
    vit_client *t;
    bench_make(b);
    b->o.wire = wire_form;
    b->o.queue_bytes = 65536;
    b->o.transport.send_fn = NULL;
    t = bench_client(b);
    track_many(t, 0, SAMPLE);
    assert_true(vit_destroy(t, 0));
    f = files_of(b);
    assert_int_equal(f.count, 1);
    snprintf(s.path, sizeof s.path, "%s", f.path[0]);
    s.bytes = bytes_of(s.path, &s.size);
    b->o.transport.send_fn = wire_send;
    return s;
}

/* What a client makes of changed bytes; the folder is empty after it. */
static vit_stats found(bench *b, const sample *s, const char *bytes, size_t size)
{
    vit_client *t;
    vit_stats   stats;
    wire_free(&b->w);
    wire_init(&b->w);
    file_write(s->path, bytes, size, 0600);
    t = bench_client(b);
    assert_true(vit_flush(t, 1000));
    assert_balanced(t);
    stats = vit_get_stats(t);
    assert_int_equal(files_of(b).count, 0);
    assert_true(vit_destroy(t, 0));
    return stats;
}

static unsigned arrived(bench *b) { return arrived_of(&b->w, SAMPLE); }

static void test_cuts(void **state)
{
    unsigned form;
    (void)state;
    for (form = 0; form < 2; form++) {
        bench    b;
        sample   s = sample_make(&b, form ? VIT_WIRE_NDJSON : VIT_WIRE_EVENT);
        size_t   cut;
        unsigned last = 0;
        for (cut = 0; cut <= s.size; cut++) {
            unsigned n;
            (void)found(&b, &s, s.bytes, cut);
            n = arrived(&b);
            assert_true(n >= last && n <= last + 1); /* a longer file has no fewer whole records */
            last = n;
        }
        assert_int_equal(last, SAMPLE);
        free(s.bytes);
        bench_free(&b);
    }
}

/* A byte that changed costs one record, or a batch its key. */
static void test_flips(void **state)
{
    unsigned form;
    (void)state;
    for (form = 0; form < 2; form++) {
        bench  b;
        sample s = sample_make(&b, form ? VIT_WIRE_NDJSON : VIT_WIRE_EVENT);
        size_t at;
        for (at = 0; at < s.size; at++) {
            unsigned bit = 1u << (at % 8u);
            s.bytes[at] = (char)(s.bytes[at] ^ (char)bit);
            (void)found(&b, &s, s.bytes, s.size);
            if (arrived(&b) < SAMPLE - 1u && at >= 16) /* version and order: another layout */
                fail_msg("byte %lu: %u arrived", (unsigned long)at, arrived(&b));
            s.bytes[at] = (char)(s.bytes[at] ^ (char)bit);
            unlink(s.path);
        }
        free(s.bytes);
        bench_free(&b);
    }
}

/* Foreign bytes between whole batches, before them and behind them. */
static void test_foreign_bytes(void **state)
{
    bench     b;
    sample    s = sample_make(&b, VIT_WIRE_EVENT);
    size_t    head = sizeof(vitp_spool_head), size = 100000, i;
    char     *bytes = (char *)malloc(size + s.size);
    vit_stats stats;
    (void)state;
    assert_non_null(bytes);
    for (i = 0; i < size; i++) bytes[i] = (char)(i * 7919u >> 3);
    stats = found(&b, &s, bytes, size); /* nothing of ours */
    assert_int_equal(stats.dropped[VIT_DROP_CORRUPT], 1);
    memcpy(bytes + size - s.size + head, s.bytes + head, s.size - head);
    stats = found(&b, &s, bytes, size);
    assert_int_equal(arrived(&b), SAMPLE);
    assert_int_equal(stats.dropped[VIT_DROP_CORRUPT], 1);
    for (i = 0; i + 8 <= size; i += 8) memcpy(bytes + i, "rcrd\0\x40\0\0", 8); /* each is one */
    memcpy(bytes, s.bytes, head);
    (void)found(&b, &s, bytes, size);
    free(bytes);
    free(s.bytes);
    bench_free(&b);
}

/* Names that are nearly ours: neither read, nor removed by anything that we do. */
static void test_names_of_others(void **state)
{
    bench       b;
    sample      s = sample_make(&b, VIT_WIRE_EVENT);
    vit_client *t;
    char        path[12][256], name[256], *tail;
    unsigned    i, n = 0;
    (void)state;
    assert_int_equal(unlink(s.path), 0);
    snprintf(name, sizeof name, "%s", s.path);
    tail = strrchr(name, '/') + 1 + strlen("vector-inspector");
    assert_int_equal(tail[0], '.');
#define NEARLY(at, byte)                                      \
    snprintf(path[n], sizeof path[n], "%s", name);            \
    path[n++][(size_t)(tail - name) + (size_t)(at)] = (byte); \
    assert_true(n <= COUNT_OF(path))
    NEARLY(0, '_');
    NEARLY(3, 'x'); /* of the time */
    NEARLY(9, '_');
    NEARLY(10, 'v'); /* neither usage nor errors */
    NEARLY(11, '_');
    NEARLY(12, 'p'); /* no process */
    NEARLY(strlen(tail) - 23u, '_');
    NEARLY(strlen(tail) - 8u, 'g'); /* of the random part */
    NEARLY(strlen(tail) - 1u, 'm'); /* .spoom */
    snprintf(path[n++], sizeof path[0], "%.63s/vector-inspecto%s", b.folder, tail);
    snprintf(path[n++], sizeof path[0], "%.63s/vector-inspector%.12s%0120u%s", b.folder, tail, 1u,
             tail + strlen(tail) - 23u);
#undef NEARLY
    for (i = 0; i < n; i++) file_write(path[i], s.bytes, s.size, 0600);
    t = bench_client(&b);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(vit_get_stats(t).adopted, 0);
    offline(&b);
    track_many(t, 100, 1);
    pump_later(t);
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 1);
    vit_purge(t);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    for (i = 0; i < n; i++)
        if (!file_exists(path[i])) fail_msg("%s is gone", path[i]);
    end(t);
    /* one that was never given its whole name is removed */
    snprintf(path[0], sizeof path[0], "%.240s.new", name);
    file_write(path[0], s.bytes, s.size, 0600);
    vit_client *next;
    unlink(b.path);
    next = bench_client(&b);
    track_many(next, 0, 1);
    pump_later(next);
    pump_later(next);
    assert_int_equal(vit_get_stats(next).spooled, 1);
    assert_false(file_exists(path[0]));
    assert_int_equal(vit_get_stats(next).adopted, 0);
    end(next);
    free(s.bytes);
    bench_free(&b);
}

/* A head with the right sum that says what cannot be: all that is whole in the file counts. */
static void test_heads(void **state)
{
    bench           b;
    sample          s = sample_make(&b, VIT_WIRE_EVENT);
    vitp_spool_head head, h;
    unsigned        i;
    (void)state;
    memcpy(&head, s.bytes, sizeof head);
    for (i = 0; i < 6; i++) {
        vit_stats stats;
        h = head;
        if (i == 0) h.begin = sizeof h - 1u;
        if (i == 1) h.begin = h.end + 1u;
        if (i == 2) h.end = s.size + 1u;
        if (i == 3) h.begin = h.end = UINT64_MAX;
        if (i == 4) h.end = h.begin - 1u;
        if (i == 5) h.under_way = 2; /* a part of a batch that is none */
        h.check = vitp_spool_crc(0, &h, offsetof(vitp_spool_head, check));
        memcpy(s.bytes, &h, sizeof h);
        stats = found(&b, &s, s.bytes, s.size);
        assert_int_equal(arrived(&b), SAMPLE);
        assert_int_equal(stats.delivered, SAMPLE);
    }
    h = head; /* nothing waits in it */
    h.begin = h.end;
    h.check = vitp_spool_crc(0, &h, offsetof(vitp_spool_head, check));
    memcpy(s.bytes, &h, sizeof h);
    assert_int_equal(found(&b, &s, s.bytes, s.size).adopted, 0);
    h = head; /* another kind of machine: it stays, until it is old */
    h.order = 0x04030201u;
    h.check = vitp_spool_crc(0, &h, offsetof(vitp_spool_head, check));
    memcpy(s.bytes, &h, sizeof h);
    for (i = 0; i < 2; i++) {
        vit_client *t;
        file_write(s.path, s.bytes, s.size, 0600);
        wall_ns = (uint64_t)time(NULL) * SECOND + (i ? 100u * DAY : 0u);
        t = bench_client(&b);
        assert_true(vit_flush(t, 1000));
        assert_int_equal(vit_get_stats(t).adopted, i); /* a piece that cannot be read */
        assert_int_equal(files_of(&b).count, i == 0);
        end(t);
    }
    wall_ns = UINT64_C(1800000000) * SECOND;
    free(s.bytes);
    bench_free(&b);
}

/* The head of a batch that says what cannot be, with the right sum: its records arrive. */
static void test_batch_heads(void **state)
{
    bench            b;
    sample           s = sample_make(&b, VIT_WIRE_NDJSON);
    vitp_spool_batch batch, was;
    char            *at = s.bytes + sizeof(vitp_spool_head);
    unsigned         i;
    (void)state;
    memcpy(&was, at, sizeof was);
    assert_int_equal(was.magic, VITP_SPOOL_BATCH);
    for (i = 0; i < 6; i++) {
        batch = was;
        if (i == 0) batch.key[5] = 'x';
        if (i == 1) batch.records = 0;
        if (i == 2) batch.records = 0xFFFFFFFFu;
        if (i == 3) batch.records = 1;
        if (i == 4) batch.sent = 7;
        if (i == 5) memset(batch.key, 'Z', sizeof batch.key), batch.sent = 1;
        batch.check = vitp_spool_crc(0, &batch, offsetof(vitp_spool_batch, check));
        memcpy(at, &batch, sizeof batch);
        (void)found(&b, &s, s.bytes, s.size);
        assert_int_equal(arrived(&b), SAMPLE);
    }
    free(s.bytes);
    bench_free(&b);
}

/* What this client wrote, and somebody spoilt, is lost and counted when it is to give way. */
static void test_own_file_spoilt(void **state)
{
    unsigned how;
    (void)state;
    for (how = 0; how < 2; how++) {
        bench       b;
        vit_client *t;
        files       f;
        struct stat first, second;
        unsigned    n = 0, k;
        bench_make(&b);
        b.o.transport.send_fn = NULL;
        b.o.spool_bytes_max = 65536;
        t = bench_client(&b);
        do { /* until it has gone on to a second file */
            track_many(t, n, 8);
            n += 8;
            pump_later(t);
            f = files_of(&b);
        } while (f.count < 2 && n < 2000);
        assert_int_equal(f.count, 2);
        assert_int_equal(vit_get_stats(t).spooled, n);
        assert_int_equal(stat(f.path[0], &first), 0);
        assert_int_equal(stat(f.path[1], &second), 0);
        k = first.st_size > second.st_size ? 0 : 1; /* the one that is full */
        if (how == 0) assert_int_equal(truncate(f.path[k], (off_t)(f.bytes / 4u)), 0);
        else file_write(f.path[k], "nothing", 7, 0600);
        while (vit_get_stats(t).dropped[VIT_DROP_CORRUPT] == 0 && n < 20000) {
            track_many(t, n, 8);
            n += 8;
            pump_later(t);
        }
        assert_true(vit_get_stats(t).dropped[VIT_DROP_CORRUPT] > 0);
        end(t);
        bench_free(&b);
    }
}

/* A file that is larger than the spool may be is cut, and what is whole in it arrives. */
static void test_huge_file(void **state)
{
    bench  b;
    sample s = sample_make(&b, VIT_WIRE_EVENT);
    FILE  *f;
    (void)state;
    vit_client *t;
    f = fopen(s.path, "r+b");
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), (off_t)1 << 30), 0);
    fclose(f);
    t = bench_client(&b);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(arrived(&b), SAMPLE);
    assert_int_equal(files_of(&b).count, 0);
    end(t);
    free(s.bytes);
    bench_free(&b);
}

/* A link, a pipe or a folder in the place of a file is left alone, and does no harm. */
static void test_no_file(void **state)
{
    unsigned kind;
    (void)state;
    for (kind = 0; kind < 4; kind++) {
        bench       b;
        sample      s = sample_make(&b, VIT_WIRE_EVENT);
        vit_client *t;
        char        target[128];
        snprintf(target, sizeof target, "%.63s/target", b.folder);
        assert_int_equal(unlink(s.path), 0);
        if (kind == 0) {
            char *full;
            file_write(target, s.bytes, s.size, 0600);
            full = realpath(target, NULL);
            assert_int_equal(symlink(full, s.path), 0);
            free(full);
        }
        if (kind == 1) assert_int_equal(mkfifo(s.path, 0600), 0);
        if (kind == 2) assert_int_equal(mkdir(s.path, 0700), 0);
        if (kind == 3) file_write(s.path, s.bytes, s.size, 0666); /* others could write to it */
        t = bench_client(&b);
        track_many(t, 100, 1);
        assert_true(vit_flush(t, 1000));
        assert_int_equal(arrived(&b), 0);
        assert_int_equal(wire_times(&b.w, "\"f100\""), 1);
        vit_purge(t);
        if (kind == 0) assert_true(file_exists(target));
        end(t);
        free(s.bytes);
        bench_free(&b);
    }
}

/* The folder goes while the client runs, and is made again. */
static void test_folder_removed(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    offline(&b);
    t = bench_client(&b);
    track_many(t, 0, 5);
    pump_later(t);
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 5);
    folder_remove(b.folder);
    track_many(t, 5, 5);
    pump_for(t, 3);
    assert_balanced(t);
    assert_int_equal(files_of(&b).count, 1); /* a new one */
    online(&b);
    pump_for(t, 1000);
    assert_balanced(t);
    assert_int_equal(wire_events(&b.w), 5);
    assert_int_equal(vit_get_stats(t).spooled, 0);
    end(t);
    bench_free(&b);
}

/* And is not made again: then nobody waits for what was in it. */
static void test_folder_gone(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    offline(&b);
    t = bench_client(&b);
    track_many(t, 0, 5);
    track_errors(t, 0, 1); /* in another file */
    pump_later(t);
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 6);
    folder_remove(b.folder);
    online(&b);
    track_many(t, 5, 5);
    pump_for(t, 100);
    assert_balanced(t);
    assert_int_equal(vit_get_stats(t).spooled, 0);
    assert_true(vit_get_stats(t).handed_over > 0); /* but for the file that was being read */
    assert_true(vit_flush(t, 1000));
    assert_int_equal(wire_events(&b.w) + vit_get_stats(t).handed_over, 11);
    end(t);
    bench_free(&b);
}

/* A client with five events on the disk, as its server answers so. */
static vit_client *bench_spooled(bench *b, vit_response answer)
{
    vit_client *t;
    bench_make(b);
    b->w.otherwise = answer;
    t = bench_client(b);
    track_many(t, 0, 5);
    pump_later(t);
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 5);
    return t;
}

/* A client that may not send does not keep its processor busy for what lies on the disk. */
static void test_rests(void **state)
{
    const vit_response forbidden = { 403, 0 };
    bench              b;
    vit_client        *t;
    (void)state;
    t = bench_spooled(&b, forbidden);
    assert_int_equal(vitp_worker_rest_ms(t), b.o.flush_ms);
    online(&b);
    t = again(&b, t);
    assert_true(vitp_worker_rest_ms(t) <= 1);
    pump(t);
    assert_int_equal(vitp_worker_rest_ms(t), b.o.flush_ms);
    end(t);
    bench_free(&b);
}

#ifdef __linux__ /* where a wake-up that nobody took can be seen */

static void fill(vit_client *t)
{
    unsigned i;
    for (i = 0; !vitp_queue_is_filling(t->recorder.queue); i++) track_many(t, i, 1);
}

/* The consumer lies down to sleep: it takes the wake-up that came before. */
static bool sleeps(vit_client *t)
{
    vitp_os_wake_set(&t->recorder.wake);
    (void)vitp_worker_rest(t);
    if (VITP_ATOMIC_LOAD(t->recorder.wake.set) == 0) return true;
    vitp_os_wake_wait(&t->recorder.wake, 0);
    return false;
}

/* A queue that fills up keeps the consumer awake only where it can be emptied: not while what was
   refused, or a server's wait, holds requests back; nor where a file that may refuse cannot be
   read; unless the spool can take it. */
static void test_filling(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.queue_bytes = 65536;
    b.o.flush_ms = 1000;
    t = bench_client(&b);
    if (t->recorder.queue->no_barrier) { /* it does not look once more */
        end(t);
        bench_free(&b);
        skip();
    }
    pump(t);
    fill(t);
    assert_false(sleeps(t)); /* to the server */
    t->later = true;
    assert_true(sleeps(t));
    t->later = false;
    t->pending = true;
    assert_true(sleeps(t));
    t->pending = false;
    t->backoff.debt_ns = passed_ns + DAY; /* of what was refused */
    assert_int_equal(t->backoff.failures, 0);
    assert_false(sleeps(t)); /* into the spool */
    t->save_ns = passed_ns + SECOND;
    assert_true(sleeps(t));
    t->backoff.debt_ns = 0;
    vitp_backoff_obey(&t->backoff, 3600, passed_ns, 0);
    assert_true(sleeps(t));
    t->save_ns = 0;
    assert_false(sleeps(t));
    t->halted = true;
    assert_false(sleeps(t));
    t->unsaved = true;
    assert_true(sleeps(t));
    t->unsaved = false;
    pump(t);
    assert_true(vit_get_stats(t).spooled > 0);
    end(t);
    bench_free(&b);
}
#endif

/* Where nothing can be written events wait in the queue, and go out later. */
static void test_read_only(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    if (geteuid() == 0) skip();
    bench_make(&b);
    offline(&b);
    t = bench_client(&b);
    track_many(t, 0, 5);
    assert_int_equal(chmod(b.folder, 0500), 0);
    pump_for(t, 10);
    assert_int_equal(vit_get_stats(t).queued, 5);
    assert_int_equal(logs_of(&b.l, VIT_LOG_SPOOL_NOT_WRITTEN), 1);
    online(&b);
    pump_for(t, 20);
    assert_each(&b.w, "\"f%u\"", 5, 1);
    end(t);
    bench_free(&b);
}

/* ---- several processes ----------------------------------------------------------------------- */

/* Two clients with one folder: each event arrives once, and both keep their books. */
static void test_two_clients(void **state)
{
    bench       a, b;
    vit_client *s, *t;
    (void)state;
    bench_make(&a);
    bench_make(&b);
    offline(&a);
    offline(&b);
    b.o.data_dir = a.o.data_dir;
    s = bench_client(&a);
    t = bench_client(&b);
    track_many(s, 0, 10);
    track_many(t, 10, 10);
    pump_for(s, 5);
    pump_for(t, 5);
    assert_int_equal(vit_get_stats(s).spooled + vit_get_stats(t).spooled, 20);
    track_many(s, 20, 5);
    (void)vit_flush(s, 0);
    pump(s);
    online(&a);
    online(&b);
    assert_true(vit_flush(t, 1000)); /* takes what the other has let go */
    assert_balanced(t);
    pump_for(s, 100);
    assert_balanced(s);
    pump_for(t, 100);
    assert_int_equal(vit_get_stats(s).spooled, 0);
    assert_int_equal(wire_events(&a.w) + wire_events(&b.w), 25);
    assert_int_equal(vit_get_stats(s).delivered + vit_get_stats(t).delivered, 25);
    assert_int_equal(vit_get_stats(s).handed_over, vit_get_stats(t).adopted);
    end(s);
    end(t);
    bench_free(&b);
    bench_free(&a);
}

/* Another process has the folder, for a while or for good: what nothing but vit_destroy can keep
   waits for it, and then does without it. */
static void test_folder_held(void **state)
{
    unsigned for_good;
    (void)state;
    for (for_good = 0; for_good < 2; for_good++) {
        bench       b;
        vit_client *t;
        pid_t       child;
        int         status = 0, pipes[2];
        char        byte = 0;
        bench_make(&b);
        offline(&b);
        in_plain_memory = true;
        t = bench_client(&b);
        assert_false(vit_get_stats(t).crash_surviving);
        track_many(t, 0, 5);
        assert_int_equal(pipe(pipes), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int folder = open(b.folder, O_RDONLY | O_DIRECTORY);
            if (folder < 0 || flock(folder, LOCK_EX) != 0) _exit(1);
            if (write(pipes[1], &byte, 1) != 1) _exit(1);
            while (for_good) pause();
            sleep_ms(300); /* longer than an ordinary hold is waited for */
            _exit(0);
        }
        assert_int_equal(read(pipes[0], &byte, 1), 1);
        assert_true(vit_destroy(t, 0));
        if (for_good) assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, for_good ? SIGKILL : 0);
        close(pipes[0]);
        close(pipes[1]);
        in_plain_memory = false;
        online(&b);
        t = bench_client(&b);
        assert_true(vit_flush(t, 1000));
        assert_each(&b.w, "\"f%u\"", 5, 1);
        end(t);
        bench_free(&b);
    }
}

/* A file that somebody has open is not read. */
static void test_locked(void **state)
{
    bench       b;
    sample      s = sample_make(&b, VIT_WIRE_EVENT);
    vit_client *t;
    int         fd = open(s.path, O_RDWR);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    t = bench_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(arrived(&b), 0);
    close(fd);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(arrived(&b), SAMPLE);
    end(t);
    free(s.bytes);
    bench_free(&b);
}

/* A client whose first request, of so many events, got no answer. */
static vit_client *sent_in_vain(bench *b, uint32_t events)
{
    vit_client *t;
    offline(b);
    b->o.wire = VIT_WIRE_NDJSON;
    b->o.batch_events = events;
    b->o.flush_ms = 60000;
    t = bench_client(b);
    track_many(t, 0, events);
    pump(t);
    assert_int_equal(wire_count(&b->w), 1);
    return t;
}

/* What is recorded after a purge never goes under the key of what was forgotten: a server that
   knows that key would throw it away. */
static void test_key_after_purge(void **state)
{
    bench       b;
    vit_client *t;
    size_t      i;
    (void)state;
    bench_make(&b);
    t = sent_in_vain(&b, 4);
    vit_purge(t);
    track_many(t, 4, 4);
    t = again(&b, t);
    online(&b);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(wire_times(&b.w, "\"f7\""), 1);
    for (i = 1; i < b.w.count; i++) assert_string_not_equal(b.w.calls[i].key, b.w.calls[0].key);
    end(t);
    bench_free(&b);
}

/* Nor does it where it could not be put into the spool at once. */
static void test_key_after_purge_and_failure(void **state)
{
    bench       b;
    vit_client *t;
    uint32_t    cap;
    (void)state;
    bench_make(&b);
    offline(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    t = bench_client(&b);
    cap = t->spool.cap;
    t->spool.cap = 0; /* the disk is full */
    assert_int_equal(track(t, "forgotten"), VIT_OK);
    pump_later(t);
    assert_int_equal(wire_count(&b.w), 1);
    t->backoff.until_ns = passed_ns + 3600 * SECOND;
    vit_purge(t);
    assert_int_equal(track(t, "new"), VIT_OK);
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 0);
    t->spool.cap = cap;
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 1);
    online(&b);
    t->backoff.until_ns = 0;
    pump(t);
    assert_int_equal(wire_times(&b.w, "\"new\""), 1);
    assert_string_not_equal(b.w.calls[1].key, b.w.calls[0].key);
    end(t);
    bench_free(&b);
}

/* A request that may have been received is repeated as it was, also where batches are smaller
   meanwhile, because the server refused one of the spool, and its body has to be made anew. */
static void test_same_request(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    t = sent_in_vain(&b, 8);
    t->batch_limit = 4;
    assert_true(vit_register_secret(t, "a-secret", 0));
    online(&b);
    t->backoff.until_ns = 0;
    (void)vit_pump(t);
    assert_int_equal(wire_count(&b.w), 2);
    assert_string_equal(b.w.calls[1].key, b.w.calls[0].key);
    assert_int_equal(wire_events(&b.w), 8);
    end(t);
    bench_free(&b);
}

/* A try says how long its events have waited by then, or a minute before, whether they lie in
   memory or on the disk. */
static void test_delay_of_retries(void **state)
{
    unsigned form, folder;
    (void)state;
    for (form = 0; form < 4; form++)
        for (folder = 0; folder < 2; folder++) {
            bench       b;
            vit_client *t;
            size_t      i, last;
            const char *at;
            double      late;
            bench_make(&b);
            if (!folder) b.o.data_dir = "";
            b.o.wire = (vit_wire)form;
            offline(&b);
            t = bench_client(&b);
            assert_int_equal(track(t, "early"), VIT_OK);
            pump_for(t, 600);
            online(&b);
            for (i = 0; vit_get_stats(t).delivered == 0 && i < 7200; i++) pump_for(t, 1);
            assert_int_equal(vit_get_stats(t).delivered, 1);
            last = b.w.count - 1;
            assert_true(last > 2);
            assert_string_equal(b.w.calls[last].key, b.w.calls[0].key);
            at = strstr(b.w.calls[last].body,
                        form == 3 ? "\"observedTimeUnixNano\":\"" : "\"delay_s\":");
            if (!at) fail_msg("%s", b.w.calls[last].body);
            late = form == 3 ? ((double)wall_ns - strtod(at + 24, NULL)) / 1e9
                             : (double)(600 + i) - strtod(at + 10, NULL);
            if (late < 0 || late > 60) fail_msg("%g s late: %s", late, b.w.calls[last].body);
            end(t);
            bench_free(&b);
        }
}

/* Before it is repeated, what an earlier run left goes: it is known to be a repetition all the
   same. */
static void test_conflict_behind_others(void **state)
{
    static const int statuses[] = { 0, 201, 409, 201 };
    bench            b;
    vit_client      *t;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 4;
    b.o.flush_ms = 60000;
    t = bench_client(&b);
    assert_int_equal(track(t, "left"), VIT_OK);
    t = again(&b, t);
    wire_script(&b.w, statuses, COUNT_OF(statuses));
    t->backoff.spool_ns = passed_ns + 61 * SECOND; /* it is spread, as after an outage */
    track_many(t, 0, 4);
    pump(t);
    assert_int_equal(wire_count(&b.w), 1);
    pass(61 * SECOND);
    t->backoff.until_ns = 0;
    pump(t);
    assert_int_equal(wire_times(&b.w, "\"left\""), 1);
    pump_for(t, 130); /* after an outage of a minute what is on the disk is spread */
    assert_int_equal(wire_count(&b.w), 4);
    assert_string_equal(b.w.calls[2].key, b.w.calls[0].key);
    assert_string_equal(b.w.calls[3].key, b.w.calls[0].key);
    assert_int_equal(vit_get_stats(t).retries, 2);
    end(t);
    bench_free(&b);
}

/* A request that is as large as a body may be gets no answer. key: its own. In a child, too. */
static vit_client *full_in_vain(bench *b, char key[64])
{
    vit_client *t = vit_create(&b->o);
    try_many(t, 0, 250);
    (void)vit_flush(t, 0);
    pump(t);
    if (b->w.count == 1 && b->w.calls[0].size > 30000) memcpy(key, b->w.calls[0].key, 64);
    return t;
}

/* The same by a process that is killed. */
static void full_and_killed(bench *b, char key[64])
{
    int   to[2];
    pid_t child;
    assert_int_equal(pipe(to), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)full_in_vain(b, key);
        (void)!write(to[1], key, 64);
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(read(to[0], key, 64), 64);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(to[0]), close(to[1]);
}

/* So is one that was as large as it may be, though its events tell by now how long they waited: in
   the same run, from the disk, and from the pool of a run that was killed. */
static void test_full_request(void **state)
{
    unsigned how;
    (void)state;
    for (how = 0; how < 6; how++) {
        bench       b;
        vit_client *t = NULL;
        char        key[64] = "";
        size_t      i;
        bench_make(&b);
        offline(&b);
        b.o.wire = how < 3 ? VIT_WIRE_ARRAY : VIT_WIRE_NDJSON;
        b.o.batch_events = 1000;
        b.o.batch_bytes = 40000;
        if (how % 3 == 0) b.o.flush_ms = 3600000;
        if (how % 3 == 2) full_and_killed(&b, key);
        else t = full_in_vain(&b, key);
        assert_true(is_hex(key, 32));
        if (how % 3 == 1) t = again(&b, t);
        if (how % 3 == 2) t = bench_client(&b);
        pass(100 * SECOND);
        assert_true(vit_register_secret(t, "a-secret", 0)); /* its body is made anew */
        online(&b);
        assert_true(vit_flush(t, 1000));
        for (i = 0; i < b.w.count && b.w.calls[i].status != 201;) i++;
        assert_true(i < b.w.count);
        assert_string_equal(b.w.calls[i].key, key);
        assert_non_null(strstr(b.w.calls[i].body, "\"delay_s\":100"));
        assert_each(&b.w, "\"f%u\"", 250, 1);
        end(t);
        bench_free(&b);
    }
}

/* The next version's requests cannot hold it: its events come under other keys, none is lost. */
static void test_full_does_not_fit(void **state)
{
    unsigned how;
    (void)state;
    for (how = 0; how < 2; how++) { /* a wire of one, fewer bytes */
        bench       b;
        vit_client *t;
        char        key[64] = "";
        size_t      i;
        bench_make(&b);
        offline(&b);
        b.o.wire = VIT_WIRE_ARRAY;
        b.o.batch_events = 1000;
        b.o.batch_bytes = 40000;
        t = full_in_vain(&b, key);
        assert_true(is_hex(key, 32));
        if (how == 0) b.o.wire = VIT_WIRE_EVENT;
        if (how == 1) b.o.batch_bytes = 8000;
        t = again(&b, t);
        online(&b);
        pump_for(t, 1000);
        for (i = 0; i < b.w.count; i++)
            if (b.w.calls[i].status == 201) assert_string_not_equal(b.w.calls[i].key, key);
        assert_each(&b.w, "\"f%u\"", 250, 1);
        assert_int_equal(vit_get_stats(t).adopted, vit_get_stats(t).delivered);
        assert_int_equal(files_of(&b).count, 0);
        end(t);
        bench_free(&b);
    }
}

/* A batch of the disk that is larger than a request may be goes in parts: so does each of these. */
static void test_full_part(void **state)
{
    unsigned how;
    (void)state;
    for (how = 0; how < 4; how++) {
        bench       b;
        vit_client *t;
        size_t      i;
        char        key[64];
        bench_make(&b);
        offline(&b);
        b.o.wire = how & 1 ? VIT_WIRE_ARRAY : VIT_WIRE_NDJSON;
        b.o.batch_events = 1000;
        t = bench_client(&b);
        track_many(t, 0, 250);
        end(t);
        b.o.batch_bytes = 32768;
        t = bench_client(&b);
        pump(t);
        assert_int_equal(wire_count(&b.w), 1);
        assert_true(b.w.calls[0].size > 28000);
        snprintf(key, sizeof key, "%s", b.w.calls[0].key);
        if (how & 2) t = again(&b, t);
        pass(100 * SECOND);
        online(&b);
        assert_true(vit_flush(t, 1000));
        for (i = 0; i < b.w.count && b.w.calls[i].status != 201;) i++;
        assert_true(i < b.w.count);
        assert_string_equal(b.w.calls[i].key, key);
        assert_each(&b.w, "\"f%u\"", 250, 1);
        end(t);
        bench_free(&b);
    }
}

/* Another process holds the only file for a moment. */
typedef struct holder {
    int      file;
    uint32_t over; /* 1: the test has what it waits for */
} holder;

static void *hold_for_a_moment(void *holder_)
{
    holder  *h = (holder *)holder_;
    unsigned i;
    sleep_ms(60);
    (void)flock(h->file, LOCK_UN);
    for (i = 0; i < 1000 && !__atomic_load_n(&h->over, __ATOMIC_SEQ_CST); i++) sleep_ms(5);
    if (i == 1000) pass(1000 * SECOND); /* nothing looked again: the wait ends here */
    return NULL;
}

/* A file that another process had when the folder was looked into is delivered when it lets go: by
   who waits in vit_flush, and in the course of time. */
static void test_held_for_a_moment(void **state)
{
    const vit_response busy = { 503, 30 }, created = { 201, 0 };
    bench              b;
    vit_client        *t;
    files              f;
    holder             h;
    pthread_t          thread;
    unsigned           round;
    bool               done = true;
    (void)state;
    for (round = 0; round < 2; round++) {
        t = bench_spooled(&b, busy);
        vitp_spool_retire(&t->spool, &t->spool.out[0]);
        b.w.otherwise = created;
        pass(40 * SECOND);
        f = files_of(&b);
        assert_int_equal(f.count, 1);
        memset(&h, 0, sizeof h);
        h.file = open(f.path[0], O_RDWR | O_CLOEXEC);
        assert_int_equal(flock(h.file, LOCK_EX | LOCK_NB), 0);
        if (round == 0) {
            assert_int_equal(pthread_create(&thread, NULL, hold_for_a_moment, &h), 0);
            done = vit_flush(t, 100000);
            __atomic_store_n(&h.over, 1u, __ATOMIC_SEQ_CST);
            pthread_join(thread, NULL);
        } else {
            pump_for(t, 120);
            assert_int_equal(vit_get_stats(t).spooled, 5);
            (void)flock(h.file, LOCK_UN);
            pump_for(t, 2000);
        }
        close(h.file);
        assert_true(done);
        assert_int_equal(vit_get_stats(t).spooled, 0);
        assert_each(&b.w, "\"f%u\"", 5, 1);
        end(t);
        bench_free(&b);
    }
}

/* A file that another process takes, by a new name, while the folder is searched for a batch. */
typedef struct taking {
    vit_client *client;
    char        path[VITP_POOL_PATH_MAX]; /* "": it was tried */
    bool        taken;
} taking;

static void *alloc_and_take(size_t size, void *user)
{
    taking      *k = (taking *)user;
    vitp_os_pool file;
    if (k->path[0]) {
        if (vitp_os_pool_open(&file, k->path) == VITP_OS_FOUND_OURS)
            k->taken = vitp_spool_claim(&k->client->spool, &file);
        vitp_os_pool_unlock(&file);
        k->path[0] = 0;
    }
    return malloc(size);
}

static void free_it(void *memory, void *user)
{
    (void)user;
    free(memory);
}

/* The last one that a search comes to. */
static bool keep_path(const char *folder, const char *name, void *user)
{
    if (strstr(name, ".spool")) snprintf((char *)user, VITP_POOL_PATH_MAX, "%s/%s", folder, name);
    return true;
}

/* A batch is found also where its file gets another name after it was seen: else whoever adopts the
   pool of the killed process that wrote it would spool it again. */
static void test_found_while_taken(void **state)
{
    bench       b;
    vit_client *t;
    taking      k;
    char       *bytes, key[33];
    size_t      size;
    (void)state;
    bench_make(&b);
    offline(&b);
    t = bench_client(&b);
    track_many(t, 0, 1);
    pump_later(t);
    track_errors(t, 0, 1);
    pump_later(t);
    assert_int_equal(files_of(&b).count, 2);
    end(t);
    k.path[0] = 0;
    k.taken = false;
    b.o.allocator.alloc_fn = alloc_and_take;
    b.o.allocator.free_fn = free_it;
    b.o.allocator.user = &k;
    b.o.no_thread = true;
    k.client = t = bench_client(&b);
    vitp_spool_let_go(&t->spool);
    (void)vitp_os_each_file(t->settings_folder, keep_path, k.path);
    bytes = bytes_of(k.path, &size);
    assert_true(size > sizeof(vitp_spool_head) + sizeof(vitp_spool_batch));
    memcpy(key, bytes + sizeof(vitp_spool_head) + offsetof(vitp_spool_batch, key), 32);
    key[32] = 0;
    free(bytes);
    assert_true(vitp_spool_holds(&t->spool, key));
    assert_true(k.taken); /* the file, meanwhile */
    key[0] = key[0] == '0' ? '1' : '0';
    assert_false(vitp_spool_holds(&t->spool, key));
    end(t);
    bench_free(&b);
}

/* What is moved into the spool is moved batch by batch where another thread wants the lock. */
static void test_save_gives_way(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    offline(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 4;
    t = bench_client(&b);
    track_many(t, 0, 40);
    t->waiting = 1;
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 4);
    t->waiting = 0;
    pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 40);
    end(t);
    bench_free(&b);
}

static void *alloc_and_count(size_t size, void *user)
{
    ++*(size_t *)user;
    return malloc(size);
}

/* Is killed, and leaves events and a session. */
static void leave_and_die(bench *b)
{
    vit_client *t = bench_client(b);
    vit_session_begin(t, "killed", NULL);
    track_many(t, 0, 4);
    (void)kill(getpid(), SIGKILL);
}

/* A start behind a run that was killed reads no more of the spool the more there is of it: so many
   files before the run. */
static size_t allocations_of_start(unsigned runs)
{
    bench       b;
    vit_client *t;
    pid_t       child;
    size_t      n = 0, start;
    bench_make(&b);
    offline(&b);
    b.o.no_thread = true;
    for (t = bench_client(&b); runs-- > 0; t = again(&b, t)) track_many(t, 0, 400);
    end(t);
    child = fork_child();
    if (child == 0) leave_and_die(&b);
    wait_killed(child);
    b.o.allocator.alloc_fn = alloc_and_count;
    b.o.allocator.free_fn = free_it;
    b.o.allocator.user = &n;
    t = bench_client(&b);
    assert_true(vit_get_stats(t).adopted > 4);
    start = n;
    end(t);
    bench_free(&b);
    return start;
}

static void test_start_with_much(void **state)
{
    (void)state;
    assert_int_equal(allocations_of_start(12), allocations_of_start(1));
}

/* Is killed when it has put four events into the spool, and its pool does not say so yet. */
static void spool_and_die(bench *b)
{
    vitp_saver  saver;
    char        key[33];
    vit_client *t = bench_client(b);
    track_many(t, 0, 4);
    assert_true(vitp_worker_enter(t));
    vitp_worker_hold(t);
    if (!vitp_worker_begin_save(t, &t->own, &saver, key)) _exit(1);
    saver.job = vitp_stock_job(&t->own, VITP_SHAPE_RECORD, vitp_os_now_ns());
    if (!vitp_spool_measure(&t->spool) || !vitp_spool_begin(&t->spool, false)) _exit(2);
    (void)vitp_stock_peek(&t->own, vitp_worker_save_record, &saver);
    vitp_stock_set_state(&t->own, VITP_BATCH_SAVING);
    if (!vitp_spool_end(&t->spool, false, key, false, (uint32_t)saver.written)) _exit(3);
    (void)kill(getpid(), SIGKILL);
}

/* What was accepted came by one key. */
static void assert_one_key(const wire *w, const char *event)
{
    const char *key = NULL;
    size_t      i;
    for (i = 0; i < w->count; i++) {
        if (w->calls[i].status / 100 != 2 || !strstr(w->calls[i].body, event)) continue;
        if (key) assert_string_equal(w->calls[i].key, key);
        key = w->calls[i].key;
    }
    assert_non_null(key);
}

/* A process is killed when a batch of it is in the spool and, as far as its pool says, still to be
   sent. Another one that runs already reads the batch, which the server takes in parts only: no
   part comes by another key from the pool. */
static void test_parts_of_the_killed(void **state)
{
    bench       b;
    vit_client *t;
    pid_t       child;
    int         status = 0;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.w.answer_fn = poison;
    b.w.user = (void *)(uintptr_t) "\"f1\"";
    t = bench_client(&b);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) spool_and_die(&b);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(files_of(&b).count, 1);
    (void)vit_flush(t, 1000);
    assert_int_equal(files_of(&b).count, 0);
    end(t);
    t = bench_client(&b);
    (void)vit_flush(t, 1000);
    assert_one_key(&b.w, "\"f0\"");
    assert_one_key(&b.w, "\"f2\"");
    assert_one_key(&b.w, "\"f3\"");
    end(t);
    bench_free(&b);
}

/* A label, and a session's id, that grew in the scrubber come back from the disk as they were. */
static void test_grown_labels(void **state)
{
    static const char label[] =
        "a@b.co a@b.co a@b.co a@b.co a@b.co a@b.co a@b.co a@b.co a@b.co"; /* 62 bytes */
    bench       b;
    vit_client *t;
    lines       before, after;
    (void)state;
    bench_make(&b);
    b.o.transport.send_fn = NULL;
    t = bench_client(&b);
    vit_session_begin(t, label, NULL);
    vit_purge(t);
    assert_int_equal(track(t, label), VIT_OK);
    before = lines_of(t);
    assert_int_equal(before.count, 1);
    assert_int_equal(count_of(before.text[0], "[email]"), 18);
    t = again(&b, t);
    after = lines_of(t);
    assert_int_equal(after.count, 1);
    assert_string_equal(after.text[0], before.text[0]);
    lines_free(&before);
    lines_free(&after);
    end(t);
    bench_free(&b);
}

/* A program whose cap is smaller reads what one with a larger left. */
static void test_smaller_cap(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.transport.send_fn = NULL;
    t = bench_client(&b);
    track_many(t, 0, 900);
    assert_true(vit_destroy(t, 0));
    assert_true(files_of(&b).bytes > 65536);
    b.o.transport.send_fn = wire_send;
    b.o.spool_bytes_max = 65536;
    t = bench_client(&b);
    assert_true(vit_flush(t, 1000));
    assert_each(&b.w, "\"f%u\"", 900, 1);
    assert_int_equal(vit_get_stats(t).adopted, 900);
    end(t);
    bench_free(&b);
}

/* What the file of the wait says is believed only where it is a time. */
static void test_wait_spoilt(void **state)
{
    static const char *const values[] = {
        "", " =", " = 4x00000000", " = -4000000000", " = 4000000000000", " = 99999999999"
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(values); i++) {
        bench       b;
        vit_client *t;
        char        path[128], text[64];
        const char *at;
        bench_make(&b);
        snprintf(path, sizeof path, "%.63s/vector-inspector.wait", b.folder);
        b.w.otherwise.http_status = 503;
        b.w.otherwise.retry_after_s = 3600;
        t = bench_client(&b);
        track_many(t, 0, 1);
        pump_later(t);
        assert_true(vit_destroy(t, 0));
        at = strstr(file_read(path), " = ");
        assert_non_null(at);
        snprintf(text, sizeof text, "%.16s%s\n", at - 16, values[i]);
        assert_int_equal(strspn(text, "0123456789abcdef"), 16);
        file_write(path, text, strlen(text), 0600);
        online(&b);
        b.w.otherwise.retry_after_s = 0;
        t = bench_client(&b);
        pump_later(t);
        assert_each(&b.w, "\"f%u\"", 1, 1);
        end(t);
        bench_free(&b);
    }
}

/* How long the server told us to wait is forgotten with the rest; and a time that was noted under a
   clock that was far ahead counts for nothing. */
static void test_wait_forgotten(void **state)
{
    unsigned how;
    (void)state;
    for (how = 0; how < 4; how++) {
        bench       b;
        vit_client *t;
        uint64_t    right_ns = wall_ns;
        char        path[128];
        bench_make(&b);
        snprintf(path, sizeof path, "%.63s/vector-inspector.wait", b.folder);
        b.w.otherwise.http_status = 503;
        b.w.otherwise.retry_after_s = 3600;
        if (how == 3) wall_ns += 40u * 365u * DAY;
        t = bench_client(&b);
        track_many(t, 0, 1);
        pump_later(t);
        assert_true(file_exists(path));
        if (how == 0) vit_purge(t);
        if (how == 1) vit_set_consent(t, VIT_CONSENT_DENIED);
        if (how == 2) {
            b.o.consent = VIT_CONSENT_DENIED;
            t = again(&b, t);
        }
        wall_ns = right_ns;
        if (how == 3) {
            online(&b);
            b.w.otherwise.retry_after_s = 0;
            t = again(&b, t);
            assert_true(vit_flush(t, 1000));
            assert_each(&b.w, "\"f%u\"", 1, 1);
        }
        assert_false(file_exists(path));
        end(t);
        bench_free(&b);
    }
}

/* A server that does not want telemetry.report gets it once. */
static void test_report_refused(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.w.answer_fn = poison;
    b.w.user = (void *)(uintptr_t) "telemetry.report";
    t = bench_client(&b);
    assert_true(vit_register_secret(t, "swordfish", 0));
    (void)track(t, "swordfish"); /* something to report */
    for (i = 0; i < 100; i++) {
        track_many(t, i, 1);
        pump_for(t, 70);
    }
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
    assert_each(&b.w, "\"f%u\"", 100, 1);
    end(t);
    bench_free(&b);
}

/* A forked child that lives on does not keep what its parent let go, and one that destroys its copy
   of the client touches nothing of the parent's. */
static void test_forked_child(void **state)
{
    unsigned destroys;
    (void)state;
    for (destroys = 0; destroys < 2; destroys++) {
        bench       b;
        vit_client *t;
        pid_t       child;
        int         status = 0;
        bench_make(&b);
        offline(&b);
        t = bench_client(&b);
        track_many(t, 0, 5);
        pump_later(t);
        assert_int_equal(vit_get_stats(t).spooled, 5);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (destroys) (void)vit_destroy(t, 0);
            for (;;) sleep_ms(1000);
        }
        sleep_ms(20);
        online(&b);
        (void)vit_flush(t, 0);
        pump(t);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_each(&b.w, "\"f%u\"", 5, 1);
        assert_int_equal(vit_get_stats(t).spooled, 0);
        end(t);
        bench_free(&b);
    }
}

static void test_crc(void **state)
{
    unsigned char bytes[32];
    size_t        i;
    (void)state;
    assert_int_equal(vitp_spool_crc(0, "123456789", 9), 0xE3069283u); /* RFC 3720, B.4 and others */
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(vitp_spool_crc(0, bytes, sizeof bytes), 0x8A9136AAu);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(vitp_spool_crc(0, bytes, sizeof bytes), 0x62A8AB43u);
    for (i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(vitp_spool_crc(0, bytes, sizeof bytes), 0x46DD794Eu);
    assert_int_equal(vitp_spool_crc(vitp_spool_crc(0, bytes, 11), bytes + 11, 21), 0x46DD794Eu);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_away_and_back),
        cmocka_unit_test(test_same_key),
        cmocka_unit_test(test_next_start),
        cmocka_unit_test(test_many_short_runs),
        cmocka_unit_test(test_many_runs_in_the_past),
        cmocka_unit_test(test_scrubbed),
        cmocka_unit_test(test_secret_later),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_other_identity),
        cmocka_unit_test(test_file_of_the_new_identity),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_cap_unread),
        cmocka_unit_test(test_batch_and_cap),
        cmocka_unit_test(test_order_in_a_second),
        cmocka_unit_test(test_full_of_errors),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_clock_jumps),
        cmocka_unit_test(test_retry_after_kept),
        cmocka_unit_test(test_retry_after_far_away),
        cmocka_unit_test(test_retry_after_until_granted),
        cmocka_unit_test(test_retry_after_to_the_end),
        cmocka_unit_test(test_retry_after_of_others),
        cmocka_unit_test(test_retired),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_conflict_of_many_runs),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_poison_let_go),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_batch_heads),
        cmocka_unit_test(test_own_file_spoilt),
        cmocka_unit_test(test_huge_file),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_folder_removed),
        cmocka_unit_test(test_folder_gone),
        cmocka_unit_test(test_rests),
#ifdef __linux__
        cmocka_unit_test(test_filling),
#endif
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_two_clients),
        cmocka_unit_test(test_folder_held),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_key_after_purge),
        cmocka_unit_test(test_key_after_purge_and_failure),
        cmocka_unit_test(test_same_request),
        cmocka_unit_test(test_delay_of_retries),
        cmocka_unit_test(test_conflict_behind_others),
        cmocka_unit_test(test_full_request),
        cmocka_unit_test(test_full_does_not_fit),
        cmocka_unit_test(test_full_part),
        cmocka_unit_test(test_held_for_a_moment),
        cmocka_unit_test(test_found_while_taken),
        cmocka_unit_test(test_save_gives_way),
        cmocka_unit_test(test_start_with_much),
        cmocka_unit_test(test_parts_of_the_killed),
        cmocka_unit_test(test_grown_labels),
        cmocka_unit_test(test_smaller_cap),
        cmocka_unit_test(test_wait_spoilt),
        cmocka_unit_test(test_wait_forgotten),
        cmocka_unit_test(test_report_refused),
        cmocka_unit_test(test_forked_child),
    };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
