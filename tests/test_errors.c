/* test_errors.c: failures that come again, sessions, and what the next start tells of a run that
   did not end in order. (Crashes themselves: crashes.c.) The clocks are the test's own.

   Build: cc -std=c99 -I. tests/test_errors.c -o build/tests/test_errors -lcmocka -pthread */

#include "plain_memory.h"
#include "clocks.h"

#include "common.h"

#include "bench.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- what is sent ---------------------------------------------------------------------------- */

/* What came until now is not looked at again. */
static void wire_forget(wire *w)
{
    size_t i;
    for (i = 0; i < w->count; i++) free(w->calls[i].body);
    w->count = 0;
}

/* The body of the n-th request with an event of this name, or "". */
static const char *body_of(wire *w, const char *name, size_t n)
{
    char   text[96];
    size_t i;
    snprintf(text, sizeof text, "\"event_name\":\"%s\"", name);
    for (i = 0; i < w->count; i++)
        if (strstr(w->calls[i].body, text) && n-- == 0) return w->calls[i].body;
    return "";
}

static size_t times_of(wire *w, const char *name)
{
    char text[96];
    snprintf(text, sizeof text, "\"event_name\":\"%s\"", name);
    return wire_times(w, text);
}

static const char *text_of(const char *body, const char *member)
{
    static char out[2048];
    char        path[96];
    const char *at;
    size_t      n = 0;
    snprintf(path, sizeof path, "metadata/%s", member);
    at = json_at(body, path);
    if (!at) return "";
    if (*at == '"') at++;
    while (at[n] && !strchr("\",}", at[n]) && n + 1 < sizeof out) n++;
    memcpy(out, at, n);
    out[n] = 0;
    return out;
}

/* Sum of the occurrences that were told. */
static uint64_t repeats_of(wire *w)
{
    uint64_t sum = 0;
    size_t   i;
    for (i = 0; i < times_of(w, "error.repeated"); i++)
        sum += strtoull(text_of(body_of(w, "error.repeated", i), "occurrences"), NULL, 10);
    return sum;
}

static vit_error error_make(const char *type, const char *message)
{
    vit_error e;
    memset(&e, 0, sizeof e);
    e.type = type;
    e.message = message;
    return e;
}

static vit_status fail_with(vit_client *t, const char *message)
{
    vit_error e = error_make("IOError", message);
    return vit_track_error(t, &e);
}

/* ---- failures that come again ---------------------------------------------------------------- */

static void test_storm(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    t = bench_open(&b);
    for (i = 0; i < 1000000; i++) assert_int_equal(fail_with(t, "disk is full"), VIT_OK);
    assert_int_equal(vit_get_stats(t).accepted, 1);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(b.w.count, 2);
    assert_string_equal(text_of(body_of(&b.w, "Error", 0), "message"), "disk is full");
    assert_string_equal(text_of(body_of(&b.w, "error.repeated", 0), "occurrences"), "999999");
    assert_true(vit_flush(t, 1000)); /* and no more of them */
    assert_int_equal(b.w.count, 2);
    assert_int_equal(fail_with(t, "disk is full"), VIT_OK);
    assert_balanced(t);
    assert_true(vit_destroy(t, 1000)); /* tells the last */
    assert_int_equal(b.w.count, 3);
    assert_int_equal(repeats_of(&b.w), 1000000);
    bench_free(&b);
}

/* Texts that share an error_hash are one error; what differs in a label is another. */
static void test_same_hash(void **state)
{
    static const char *const codes[] = { "ENOENT", "EACCES" };
    bench                    b;
    vit_client              *t;
    vit_error                e;
    char                     message[64], hash[17];
    unsigned                 i;
    (void)state;
    t = bench_open(&b);
    for (i = 0; i < 10; i++) {
        snprintf(message, sizeof message, "line %u of 'file %u' is bad", i, i);
        assert_int_equal(fail_with(t, message), VIT_OK);
    }
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "Error"), 1);
    assert_int_equal(repeats_of(&b.w), 9);
    vit_error_hash(hash, "IOError", "line 3 of 'x' is bad", NULL);
    assert_string_equal(text_of(body_of(&b.w, "Error", 0), "error_hash"), hash);
    assert_string_equal(text_of(body_of(&b.w, "error.repeated", 0), "error_hash"), hash);
    e = error_make("IOError", "line 1 of 'x' is bad");
    for (i = 0; i < 8; i++) {
        e.code = i < 4 ? codes[i & 1u] : NULL;
        e.feature = i == 4 ? "import" : NULL;
        e.function = i == 5 ? "parse" : NULL;
        e.event_name = i == 6 ? "DataImportError" : NULL;
        e.frame = i == 7 ? "a.c:parse" : NULL;
        assert_int_equal(vit_track_error(t, &e), VIT_OK);
    }
    e = error_make("IOError", "line 2 of 'x' is bad");
    e.event_name = "Error"; /* as it is without */
    assert_int_equal(vit_track_error(t, &e), VIT_OK);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "Error"), 1 + 2 + 1 + 1 + 1);
    assert_int_equal(times_of(&b.w, "DataImportError"), 1);
    assert_int_equal(repeats_of(&b.w), 9 + 3);
    bench_close(&b, t);
}

/* Each session sees each failure once; how often it came again is told in its own name. */
static void test_sessions_apart(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    t = bench_open(&b);
    assert_int_equal(fail_with(t, "before"), VIT_OK);
    assert_int_equal(fail_with(t, "before"), VIT_OK);
    for (i = 0; i < 3; i++) {
        vit_session_begin(t, i == 0 ? "first" : i == 1 ? "second" : "third", NULL);
        assert_int_equal(fail_with(t, "before"), VIT_OK);
        assert_int_equal(fail_with(t, "before"), VIT_OK);
        assert_int_equal(fail_with(t, "before"), VIT_OK);
    }
    vit_session_end(t, VIT_EXIT_NORMAL);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "Error"), 4);
    assert_int_equal(times_of(&b.w, "error.repeated"), 4);
    for (i = 0; i < 4; i++) {
        const char *body = body_of(&b.w, "error.repeated", i);
        assert_string_equal(text_of(body, "occurrences"), i == 0 ? "1" : "2");
        assert_string_equal(text_of(body, "session_id"), i == 0   ? ""
                                                         : i == 1 ? "first"
                                                         : i == 2 ? "second"
                                                                  : "third");
    }
    bench_close(&b, t);
}

/* Told after flush_ms, and then once a minute. */
static void test_told_in_time(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.o.flush_ms = 5000;
    t = bench_client(&b);
    for (i = 0; i < 180; i++) { /* three minutes */
        assert_int_equal(fail_with(t, "again"), VIT_OK);
        pass(SECOND);
        pump(t);
    }
    assert_in_range(times_of(&b.w, "error.repeated"), 2, 4);
    assert_in_range(repeats_of(&b.w), 60, 179);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(repeats_of(&b.w), 179);
    bench_close(&b, t);
}

/* Words of letters, so that no two have one hash. */
static const char *word_of(unsigned i)
{
    static char word[16];
    snprintf(word, sizeof word, "w%c%c%c", (int)('a' + i / 676 % 26), (int)('a' + i / 26 % 26),
             (int)('a' + i % 26));
    return word;
}

/* The number of a session comes again after a thousand of them; an error does not for that. */
static void test_many_sessions(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    t = bench_client(&b);
    assert_int_equal(fail_with(t, "at first"), VIT_OK);
    for (i = 0; i < 1100; i++) {
        vit_session_begin(t, "s", NULL);
        assert_int_equal(fail_with(t, "each time"), VIT_OK);
        if (i % 100 == 0) assert_true(vit_flush(t, 1000));
    }
    assert_int_equal(fail_with(t, "at first"), VIT_OK);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(wire_times(&b.w, "each time"), 1100);
    assert_int_equal(wire_times(&b.w, "at first"), 2);
    assert_int_equal(times_of(&b.w, "error.repeated"), 0);
    bench_close(&b, t);
}

/* A forked child counts in its parent's name, and tells nothing. */
static void test_child(void **state)
{
    bench       b;
    vit_client *t;
    int         status = 0, i;
    pid_t       child;
    (void)state;
    t = bench_open(&b);
    for (i = 0; i < 3; i++) assert_int_equal(fail_with(t, "again"), VIT_OK);
    for (i = 0; i < 10; i++) {
        child = fork_child();
        if (child == 0) {
            if (fail_with(t, "again") != VIT_OK) _exit(1);
            (void)vit_flush(t, 100);
            vit_session_begin(t, "of the child", NULL);
            vit_session_end(t, VIT_EXIT_NORMAL);
            if (fail_with(t, "again") != VIT_OK || track(t, "child") != VIT_OK) _exit(2);
            (void)vit_destroy(t, 100);
            _exit(0);
        }
        track_many(t, 10u * (unsigned)i, 10);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    assert_true(vit_flush(t, 1000));
    assert_each(&b.w, "\"f%u\"", 100, 1);
    assert_int_equal(wire_times(&b.w, "\"child\""), 10);
    assert_int_equal(times_of(&b.w, "Error"), 1);
    assert_int_equal(repeats_of(&b.w), 2 + 20);
    bench_close(&b, t);
}

/* Children get ids of their own where the system wipes no memory for them. */
#if defined(MADV_KEEPONFORK)
static void test_ids_of_children(void **state)
{
    bench         b;
    vit_client   *t;
    vitp_os_page *page;
    int           status = 0;
    char          message[16], id[64];
    size_t        i;
    pid_t         child;
    (void)state;
    t = bench_open(&b);
    page = &t->recorder.page;
    if (madvise(page->memory, page->size, MADV_KEEPONFORK) == 0) {
        page->owner = vitp_os_process_id();
        for (i = 0; i < 4; i++) {
            snprintf(message, sizeof message, "error of %c", (int)('a' + i));
            child = i < 3 ? fork() : 0;
            assert_true(child >= 0);
            if (i == 3) assert_int_equal(fail_with(t, message), VIT_OK);
            else if (child == 0) _exit(fail_with(t, message) != VIT_OK);
            else assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(status, 0);
        }
        assert_true(vit_flush(t, 1000));
        assert_int_equal(times_of(&b.w, "Error"), 4);
        for (i = 0; i < 4; i++) {
            snprintf(id, sizeof id, "%s", text_of(body_of(&b.w, "Error", i), "correlation_id"));
            assert_int_equal(strlen(id), 36);
            assert_int_equal(wire_times(&b.w, id), 1);
        }
    }
    bench_close(&b, t);
}
#else
static void test_ids_of_children(void **state)
{
    (void)state;
    skip();
}
#endif

/* More different failures than are counted: the others are recorded each time. */
static void test_many_different(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i, round, most = VITP_REPEATS_MAX + 44u;
    (void)state;
    bench_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    t = bench_client(&b);
    for (round = 0; round < 3; round++)
        for (i = 0; i < most; i++) assert_int_equal(fail_with(t, word_of(i)), VIT_OK);
    assert_int_equal(vit_get_stats(t).accepted, most + 2 * 44);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(vit_get_stats(t).accepted, most + 2 * 44 + VITP_REPEATS_MAX);
    for (i = 0; i < most; i++)
        assert_int_equal(wire_times(&b.w, word_of(i)), i < VITP_REPEATS_MAX ? 1 : 3);
    bench_close(&b, t);
}

/* One that was refused is not taken for known. */
static void test_refused_first(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    uint64_t    accepted;
    (void)state;
    bench_make(&b);
    b.o.queue_bytes = 1;
    t = bench_client(&b);
    for (i = 0; fail_with(t, word_of(i)) == VIT_OK || i < 256; i++) assert_true(i < 2000);
    accepted = vit_get_stats(t).accepted;
    assert_int_equal(fail_with(t, "the last straw"), VIT_QUEUE_FULL);
    assert_int_equal(fail_with(t, "the last straw"), VIT_QUEUE_FULL);
    assert_int_equal(vit_get_stats(t).accepted, accepted);
    assert_true(vit_flush(t, 60000));
    vit_session_begin(t, NULL, NULL); /* the table is free again */
    assert_int_equal(fail_with(t, "the last straw"), VIT_OK);
    assert_int_equal(fail_with(t, "the last straw"), VIT_OK);
    assert_true(vit_flush(t, 60000));
    assert_int_equal(wire_times(&b.w, "the last straw"), 1);
    assert_int_equal(repeats_of(&b.w), 1);
    bench_close(&b, t);
}

/* The queue is full of other errors when the client ends: how often one came is told all the same,
   now or by the next start. */
static void test_told_at_the_end(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    for (i = 0; i < 6; i++) {
        unsigned n;
        in_plain_memory = (i & 1) != 0;
        bench_make(&b);
        b.o.queue_bytes = 1;
        b.o.wire = VIT_WIRE_NDJSON;
        if (i >= 4) b.o.flush_ms = 60000; /* nothing leaves the queue before */
        if (i >= 2) offline(&b);
        t = bench_client(&b);
        assert_int_equal(fail_with(t, "the one"), VIT_OK);
        for (n = 0; fail_with(t, word_of(n)) == VIT_OK; n++) assert_true(n < 2000);
        for (n = 0; n < 1000; n++) assert_int_equal(fail_with(t, "the one"), VIT_OK);
        for (n = 0; !vit_destroy(t, i < 4 ? 1000 : 0); n++) assert_true(n < 500);
        online(&b);
        wire_forget(&b.w);
        t = bench_client(&b);
        assert_true(vit_flush(t, WAIT_MS));
        assert_int_equal(wire_times(&b.w, "\"occurrences\":1000"), 1);
        bench_close(&b, t);
    }
    in_plain_memory = false;
}

/* A hash may look like the number of a card, which it is not; also by way of the disk. */
static void test_hash_of_digits(void **state)
{
    static const char digits[] = "6525147452414644";
    bench             b;
    vit_client       *t;
    unsigned          i;
    char              text[32];
    (void)state;
    vit_error_hash(text, "IOError", "eggdc", NULL);
    assert_string_equal(text, digits);
    (void)vit_scrub(text, sizeof text, digits, 16);
    assert_string_equal(text, "[card]");
    for (i = 0; i < 2; i++) {
        bench_make(&b);
        if (i == 1) offline(&b);
        t = bench_client(&b);
        memcpy(t->context.collection_hash, digits, sizeof digits);
        vitp_worker_use_context(t);
        assert_int_equal(fail_with(t, "eggdc"), VIT_OK);
        assert_int_equal(fail_with(t, "eggdc"), VIT_OK);
        if (i == 1) {
            end(t);
            online(&b);
            wire_forget(&b.w);
            t = bench_client(&b);
        }
        assert_true(vit_flush(t, WAIT_MS));
        assert_int_equal(b.w.count, 2);
        assert_string_equal(text_of(body_of(&b.w, "Error", 0), "error_hash"), digits);
        assert_string_equal(text_of(body_of(&b.w, "error.repeated", 0), "error_hash"), digits);
        assert_int_equal(wire_times(&b.w, "\"collection_name_hash\":\"6525147452414644\""), 2);
        bench_close(&b, t);
    }
}

/* What was forgotten is new. */
static void test_purged(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    way;
    (void)state;
    for (way = 0; way < 3; way++) {
        t = bench_open(&b);
        assert_int_equal(fail_with(t, "secret"), VIT_OK);
        assert_int_equal(fail_with(t, "secret"), VIT_OK);
        if (way == 0) vit_purge(t);
        if (way == 1) vit_reset_identity(t);
        if (way == 2) vit_set_consent(t, VIT_CONSENT_DENIED);
        if (way == 2) assert_int_equal(fail_with(t, "secret"), VIT_DISABLED);
        if (way == 2) vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_true(vit_flush(t, 1000));
        assert_int_equal(b.w.count, 0);
        assert_int_equal(fail_with(t, "secret"), VIT_OK);
        assert_true(vit_flush(t, 1000));
        assert_int_equal(b.w.count, 1);
        bench_close(&b, t);
    }
}

typedef struct crowd {
    vit_client *t;
    unsigned    wrong;
} crowd;

static void *crowd_run(void *user)
{
    crowd   *c = (crowd *)user;
    unsigned i;
    char     message[32];
    for (i = 0; i < 40000; i++) {
        snprintf(message, sizeof message, "lock %u is held", i & 3u);
        if (fail_with(c->t, i & 4u ? message : "lock is held") != VIT_OK) c->wrong++;
    }
    return NULL;
}

static void test_threads(void **state)
{
    bench       b;
    vit_client *t;
    pthread_t   threads[4];
    crowd       c[4];
    unsigned    i;
    (void)state;
#ifdef VITELEMETRY_NO_THREADS
    skip(); /* one thread may call */
#endif
    t = bench_open(&b);
    for (i = 0; i < 4; i++) {
        c[i].t = t;
        c[i].wrong = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &c[i]), 0);
    }
    for (i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (i = 0; i < 4; i++) assert_int_equal(c[i].wrong, 0); /* when none of them runs any more */
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "Error"), 2);
    assert_int_equal(repeats_of(&b.w), 160000 - 2);
    bench_close(&b, t);
}

/* ---- other ways to fail ---------------------------------------------------------------------- */

static void test_fail_codes(void **state)
{
    static const struct {
        int         code;
        const char *name;
    } rows[] = { { ENOENT, "ENOENT" },
                 { EACCES, "EACCES" },
                 { ENOSPC, "ENOSPC" },
                 { ELOOP, "ELOOP" },
                 { EOVERFLOW, "EOVERFLOW" },
                 { ENOTCONN, "ENOTCONN" },
                 { ETIMEDOUT, "ETIMEDOUT" },
                 { EDQUOT, "EDQUOT" },
                 { ESTALE, "ESTALE" },
                 { 0, "0" },
                 { -1, "-1" },
                 { 31337, "31337" },
                 { INT_MIN, "-2147483648" } };
    bench       b;
    vit_client *t;
    vit_op      op = vit_op_begin();
    char        id[37];
    size_t      i;
    (void)state;
    vit_op_text(&op, id);
    t = bench_open(&b);
    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *body;
        assert_int_equal(vit_fail(t, &op, "DataImportError", "data_import", rows[i].code),
                         rows[i].code);
        assert_true(vit_flush(t, 1000));
        body = body_of(&b.w, "DataImportError", i);
        assert_string_equal(text_of(body, "error_code"), rows[i].name);
        assert_string_equal(text_of(body, "feature"), "data_import");
        assert_string_equal(text_of(body, "correlation_id"), id);
        assert_hex(json_at(body, "metadata/error_hash"), 16);
    }
    assert_int_equal(vit_fail(NULL, NULL, NULL, NULL, 7), 7);
    assert_int_equal(vit_fail(t, NULL, "bad name!", NULL, 7), 7);
    assert_int_equal(logs_of(&b.l, VIT_LOG_NAME_INVALID), 1);
    assert_int_equal(vit_fail(t, NULL, NULL, NULL, ENOENT), ENOENT);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "Error"), 1);
    bench_close(&b, t);
}

static void test_qt(void **state)
{
    bench       b;
    vit_client *t;
    int         type;
    unsigned    i;
    (void)state;
    t = bench_open(&b);
    for (i = 0; i < 3; i++)
        for (type = -1; type < 6; type++)
            vit_qt_message(t, type, "/home/jane/src/window.cpp", 42, "void Window::paint()",
                           "default", "cannot open /home/jane/x.db");
    vit_qt_message(t, 2, NULL, 0, NULL, NULL, NULL);
    vit_qt_message(NULL, 2, NULL, 0, NULL, NULL, NULL);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "QtError"), 3);
    assert_int_equal(repeats_of(&b.w), 4);
    assert_string_equal(text_of(body_of(&b.w, "QtError", 0), "msg_type"), "critical");
    assert_string_equal(text_of(body_of(&b.w, "QtError", 1), "msg_type"), "fatal");
    assert_string_equal(text_of(body_of(&b.w, "QtError", 0), "message"), "cannot open [path]");
    assert_string_equal(text_of(body_of(&b.w, "QtError", 0), "file"), "window.cpp");
    bench_close(&b, t);
}

/* Whatever the host calls an error. */
static void test_bad_texts(void **state)
{
    static const char *const texts[] = { "%n%n%n%s%s",
                                         "\xff\xfe\x80 bad \xc3",
                                         "",
                                         " ",
                                         "\n\n\n",
                                         "password=hunter2hunter2",
                                         "mail to jane.doe@example.org failed" };
    bench                    b;
    vit_client              *t;
    vit_error                e;
    char                    *large = (char *)malloc(10000001);
    size_t                   i, k;
    (void)state;
    assert_non_null(large);
    memset(large, 'x', 10000000);
    for (i = 0; i < 10000000; i += 11) large[i] = ' ';
    large[10000000] = 0;
    t = bench_open(&b);
    for (i = 0; i < COUNT_OF(texts); i++) {
        e = error_make(texts[i], texts[i]);
        e.frame = e.trace = e.function = e.feature = e.code = texts[i];
        for (k = 0; k < 3; k++) assert_true(vit_track_error(t, &e) <= VIT_TRUNCATED);
    }
    e = error_make(large, large);
    e.frame = e.trace = e.function = e.feature = e.code = large;
    assert_int_equal(vit_track_error(t, &e), VIT_TRUNCATED);
    for (k = 0; k < 1000; k++) assert_int_equal(vit_track_error(t, &e), VIT_OK);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "Error"), COUNT_OF(texts) + 1);
    assert_int_equal(repeats_of(&b.w), 2 * COUNT_OF(texts) + 1000);
    for (i = 0; i < b.w.count; i++) {
        assert_true(json_is_valid(b.w.calls[i].body, b.w.calls[i].size));
        assert_null(strstr(b.w.calls[i].body, "hunter2"));
        assert_null(strstr(b.w.calls[i].body, "jane.doe"));
    }
    assert_int_equal(vit_track_error(t, NULL), VIT_INVALID);
    free(large);
    bench_close(&b, t);
}

/* A logger that fails, and says so by the client whose log it is. */
typedef struct echo {
    vit_client *t;
    unsigned    calls, deepest, depth;
} echo;

static void fail_while_logging(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    echo     *e = (echo *)user;
    vit_error error = error_make("LogError", text);
    (void)level, (void)item;
    if (++e->depth > e->deepest) e->deepest = e->depth;
    e->calls++;
    error.frame = error.trace = text;
    (void)vit_track_error(e->t, &error);
    error.event_name = "bad name!"; /* is logged, too */
    (void)vit_track_error(e->t, &error);
    (void)vit_fail(e->t, NULL, "also bad!", NULL, 1);
    vit_qt_message(e->t, 3, text, 1, text, text, text);
    e->depth--;
}

/* Errors in our own way of reporting errors end. */
static void test_errors_of_errors(void **state)
{
    bench b;
    echo  e = { NULL, 0, 0, 0 };
    (void)state;
    bench_make(&b);
    b.o.logger.log_fn = fail_while_logging;
    b.o.logger.user = &e;
    e.t = bench_client(&b);
    e.calls = 0;
    assert_int_equal(vit_track_error(e.t, NULL), VIT_INVALID);
    assert_in_range(e.calls, 1, 4); /* each item once */
    assert_int_equal(e.deepest, 1);
    assert_true(vit_flush(e.t, 1000));
    assert_in_range(times_of(&b.w, "Error"), 1, 4);
    end(e.t);
    bench_free(&b);
}

/* ---- a run that did not end in order --------------------------------------------------------- */

/* Files of the folder, and of the pools beside it, whose name ends so. */
static unsigned files_with(const bench *b, const char *end, char path[PATH_MAX])
{
    char run[PATH_MAX];
    snprintf(run, sizeof run, "%.4000s/vitelemetry", folder_run());
    return count_files(b->folder, end, path) + count_files(run, end, path);
}

/* How a run of the past behaves; each bit does something. */
enum {
    SESSION = 1,
    HANDLER = 2,
    STORM = 4,
    EVENTS = 8,
    SURVIVED = 16, /* a handler of the host dealt with the crash, which was long ago */
    CRASHED = 32,
    ENDED = 64,  /* its session has */
    FATAL = 128, /* an error was recorded that ends the process */
    SLEPT = 256, /* the machine did, and the monotonic clock stood */
    ASKED = 512  /* the user refused, and granted it again */
};

/* A record of a crash as the handler writes it. */
static void pretend_crash(vit_client *t)
{
    vitp_os_fault fault;
    memset(&fault, 0, sizeof fault);
    fault.type = "SIGSEGV";
    fault.memory = true;
    fault.touched = 16;
    fault.aborted = true;
    if (!vitp_crash_write(&fault, t)) _exit(7);
}

static void run_and_die(bench *b, const char *version, unsigned how)
{
    int   i;
    pid_t child = fork_child();
    if (child == 0) {
        vit_client *t;
        b->o.app_version = version;
        b->o.crash_handler = (how & HANDLER) != 0;
        t = vit_create(&b->o);
        if (!t) _exit(2);
        if (how & ASKED) vit_set_consent(t, VIT_CONSENT_DENIED);
        if (how & ASKED) vit_set_consent(t, VIT_CONSENT_GRANTED);
        if (how & SESSION) vit_session_begin(t, "session-of-the-dead", "desktop");
        vit_set_context(t, "chroma", NULL);
        pass(7 * SECOND);
        if (how & SLEPT) wall_ns += DAY;
        pump(t);
        if (how & EVENTS)
            for (i = 0; i < 3; i++)
                if (track(t, "dead") != VIT_OK) _exit(3);
        if (how & STORM)
            for (i = 0; i < 5; i++)
                if (fail_with(t, "fatal mistake") != VIT_OK) _exit(4);
        if (how & FATAL) vit_qt_message(t, 3, "main.cpp", 1, "main", NULL, "it is over");
        if (how & ENDED) vit_session_end(t, VIT_EXIT_NORMAL);
        if (how & (CRASHED | SURVIVED)) pretend_crash(t);
        if (how & SURVIVED) {
            pass(20 * SECOND);
            pump(t);
        }
        (void)raise(SIGKILL);
    }
    wait_killed(child);
    if (how & SLEPT) wall_ns += DAY;
    pass(3600 * SECOND);
}

static bench *bench_of_run(bench *b)
{
    char path[PATH_MAX];
    bench_make(b);
    while (files_with(b, ".pool", path)) (void)unlink(path);
    b->o.data_dir = b->folder;
    return b;
}

static void test_told_once(void **state)
{
    static const struct {
        unsigned    how;
        const char *reason; /* NULL: there was no session */
        unsigned    crashes, repeats;
        bool        crashed;
    } rows[] = {
        { SESSION, "crash", 0, 0, true },
        { SESSION | EVENTS, "crash", 0, 0, true },
        { 0, NULL, 0, 0, true },
        { HANDLER, NULL, 0, 0, false },
        { SESSION | HANDLER, "forced_close", 0, 0, false },
        { SESSION | HANDLER | STORM | EVENTS, "forced_close", 0, 4, false },
        { SESSION | HANDLER | CRASHED, "crash", 1, 0, true },
        { HANDLER | CRASHED | STORM, NULL, 1, 4, true },
        { SESSION | HANDLER | SURVIVED, "forced_close", 0, 0, false },
        { SESSION | HANDLER | ENDED | CRASHED, NULL, 1, 0, true },
        { SESSION | HANDLER | FATAL | CRASHED, "crash", 0, 0, true },
        { SESSION | ENDED, NULL, 0, 0, true },
        { SESSION | HANDLER | CRASHED | EVENTS | SLEPT, "crash", 1, 0, true },
    };
    bench       b;
    vit_client *t;
    size_t      i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *body;
        unsigned    form, ended = rows[i].reason ? 1 : 0;
        bench_of_run(&b);
        run_and_die(&b, "0.9.0", rows[i].how);
        b.o.app_version = "2.0.0";
        b.o.crash_handler = false;
        t = bench_client(&b);
        assert_int_equal(vit_crashed_last_run(t), rows[i].crashed);
        assert_balanced(t);
        assert_true(vit_flush(t, 1000));
        form = (rows[i].how & ENDED) ? 1 : 0;
        assert_int_equal(times_of(&b.w, "session.end"), ended + form);
        body = body_of(&b.w, "session.end", 0);
        if (ended) {
            assert_string_equal(text_of(body, "exit_reason"), rows[i].reason);
            assert_string_equal(text_of(body, "session_id"), "session-of-the-dead");
            assert_string_equal(text_of(body, "db_provider"), "chroma");
            assert_string_equal(text_of(body, "duration_ms"),
                                rows[i].how & SURVIVED ? "27000" : "7000");
            assert_non_null(strstr(body, "\"app_version\":\"0.9.0\""));
            assert_string_equal(text_of(body, "delay_s"), rows[i].how & SURVIVED ? "3573" : "3593");
        }
        body = body_of(&b.w, "feature.toggled", 0);
        if (rows[i].how & EVENTS) assert_string_equal(text_of(body, "delay_s"), "3593");
        assert_int_equal(times_of(&b.w, "UncaughtException"), rows[i].crashes);
        body = body_of(&b.w, "UncaughtException", 0);
        if (rows[i].crashes) {
            char hash[17];
            vit_error_hash(hash, "SIGSEGV", "null address", NULL);
            assert_string_equal(text_of(body, "exception_type"), "SIGSEGV");
            assert_string_equal(text_of(body, "message"), "null address");
            assert_string_equal(text_of(body, "error_hash"), hash);
            assert_int_equal(strlen(text_of(body, "correlation_id")), 36);
            assert_non_null(strstr(body, "\"app_version\":\"0.9.0\""));
        }
        assert_int_equal(repeats_of(&b.w), rows[i].repeats);
        assert_int_equal(wire_times(&b.w, "0.9.0"), b.w.count);
        end(t);
        b.o.app_version = "3.0.0"; /* nothing of it comes again */
        wire_forget(&b.w);
        t = bench_client(&b);
        assert_false(vit_crashed_last_run(t));
        assert_true(vit_flush(t, 1000));
        assert_int_equal(b.w.count, 0);
        end(t);
        assert_int_equal(files_with(&b, ".pool", NULL) + files_with(&b, ".run", NULL), 0);
        bench_free(&b);
    }
}

/* Where the queue lies in plain memory a file says that there was a run. */
static void test_marker(void **state)
{
    bench       b;
    vit_client *t;
    char        path[PATH_MAX];
    struct stat s;
    (void)state;
    in_plain_memory = true;
    bench_of_run(&b);
    t = bench_client(&b);
    assert_int_equal(files_with(&b, ".run", path), 1);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    end(t);
    assert_int_equal(files_with(&b, ".run", NULL), 0);
    run_and_die(&b, "0.9.0", SESSION | HANDLER | EVENTS);
    assert_int_equal(files_with(&b, ".run", NULL), 1);
    t = bench_client(&b);
    assert_true(vit_crashed_last_run(t));
    assert_int_equal(files_with(&b, ".run", NULL), 1); /* this run's */
    assert_true(vit_flush(t, 1000));
    assert_int_equal(b.w.count, 1); /* what waited in memory is lost */
    assert_string_equal(text_of(b.w.calls[0].body, "exit_reason"), "crash");
    assert_string_equal(text_of(b.w.calls[0].body, "session_id"), "session-of-the-dead");
    assert_non_null(strstr(b.w.calls[0].body, "\"app_version\":\"0.9.0\""));
    assert_in_range(strtoul(text_of(b.w.calls[0].body, "duration_ms"), NULL, 10), 0, 7000);
    bench_close(&b, t);
    in_plain_memory = false;
}

/* A host that has closed all descriptors lives: nobody tells its end, or removes its file. */
static void test_marker_closed(void **state)
{
    bench       b;
    vit_client *t;
    pid_t       child;
    int         to[2], from[2], status = -1;
    char        byte = 0;
    (void)state;
    in_plain_memory = true;
    bench_of_run(&b);
    assert_int_equal(pipe(to) | pipe(from), 0);
    child = fork_child();
    if (child == 0) {
        close(to[1]); /* it ends with its parent */
        t = vit_create(&b.o);
        vit_session_begin(t, "session-of-the-living", NULL);
        if (!t || close(t->marker.file) != 0 || write(from[1], "x", 1) != 1) _exit(1);
        _exit(read(to[0], &byte, 1) == 1 ? 0 : 1);
    }
    close(to[0]), close(from[1]); /* where it has ended there is nothing to wait for */
    assert_int_equal(read(from[0], &byte, 1), 1);
    t = bench_client(&b);
    assert_false(vit_crashed_last_run(t));
    assert_int_equal(files_with(&b, ".run", NULL), 2);
    (void)vit_flush(t, 1000);
    assert_int_equal(b.w.count, 0);
    end(t);
    assert_int_equal(write(to[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    t = bench_client(&b); /* now it has ended */
    assert_true(vit_flush(t, 1000));
    assert_int_equal(wire_times(&b.w, "session-of-the-living"), 1);
    end(t);
    close(to[1]), close(from[0]);
    bench_free(&b);
    in_plain_memory = false;
}

/* Before consent, and after a refusal, there is no file of a run; with consent there is. */
static void test_marker_consent(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_of_run(&b);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = bench_client(&b);
    vit_session_begin(t, NULL, NULL);
    assert_int_equal(files_with(&b, ".run", NULL), 0);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_int_equal(files_with(&b, ".run", NULL), 1);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_int_equal(files_with(&b, ".run", NULL), 0);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_int_equal(files_with(&b, ".run", NULL), 1);
    vit_set_consent(t, VIT_CONSENT_UNKNOWN);
    assert_int_equal(files_with(&b, ".run", NULL), 0);
    bench_close(&b, t);
}

/* Who refuses hears nothing, and what was left goes; without an answer it stays. */
static void test_told_with_consent(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    plain;
    (void)state;
    for (plain = 0; plain < 2; plain++) {
        in_plain_memory = plain == 1;
        bench_of_run(&b);
        run_and_die(&b, "0.9.0", SESSION | EVENTS);
        b.o.consent = VIT_CONSENT_UNKNOWN;
        (void)unlink(b.path); /* the decision is gone, and with it the identity */
        t = bench_client(&b);
        assert_false(vit_crashed_last_run(t));
        assert_int_equal(files_with(&b, ".pool", NULL) + files_with(&b, ".run", NULL), 1);
        end(t);
        b.o.consent = VIT_CONSENT_DENIED;
        t = bench_client(&b);
        assert_false(vit_crashed_last_run(t));
        assert_int_equal(files_with(&b, ".pool", NULL) + files_with(&b, ".run", NULL), 0);
        assert_false(vit_flush(t, 0));
        end(t);
        assert_int_equal(b.w.count, 0);
        bench_free(&b);
    }
    in_plain_memory = false;
}

/* A refusal ends the file that would have a record of a crash, so that the handler notes none: its
   silence says nothing any more. */
static void test_marker_asked(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_of_run(&b);
    run_and_die(&b, "0.9.0", HANDLER | ASKED | SESSION);
    t = bench_client(&b);
    assert_true(vit_crashed_last_run(t));
    assert_true(vit_flush(t, 1000));
    assert_string_equal(text_of(body_of(&b.w, "session.end", 0), "exit_reason"), "crash");
    vit_set_consent(t, VIT_CONSENT_DENIED); /* nobody is told of it any more */
    assert_false(vit_crashed_last_run(t));
    bench_close(&b, t);
}

/* What the run had of a person in its context does not reach the disk. */
static void test_told_scrubbed(void **state)
{
    bench       b;
    vit_client *t;
    char        path[PATH_MAX], *bytes;
    size_t      size;
    pid_t       child;
    (void)state;
    bench_of_run(&b);
    child = fork_child();
    if (child == 0) {
        t = vit_create(&b.o);
        vit_session_begin(t, "of alice@example.com", NULL);
        vit_set_context(t, "for bob@example.org", NULL);
        vit_purge(t);
        (void)raise(SIGKILL);
    }
    wait_killed(child);
    b.w.otherwise.http_status = 0;
    t = bench_client(&b);
    end(t);
    assert_int_equal(files_with(&b, ".spool", path), 1);
    bytes = bytes_of(path, &size);
    assert_non_null(memmem(bytes, size, "session.end", 11));
    assert_non_null(memmem(bytes, size, "of [email]", 10));
    assert_non_null(memmem(bytes, size, "for [email]", 11));
    assert_null(memmem(bytes, size, "alice", 5));
    assert_null(memmem(bytes, size, "bob", 3));
    free(bytes);
    bench_free(&b);
}

/* Where the spool cannot be written the words go by the queue. */
static void test_told_by_queue(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_of_run(&b);
    b.o.spool_bytes_max = 64; /* no batch fits */
    run_and_die(&b, "0.9.0", SESSION | HANDLER | CRASHED | STORM);
    b.o.app_version = "2.0.0";
    t = bench_client(&b);
    assert_int_equal(files_with(&b, ".spool", NULL), 0);
    assert_int_equal(vit_get_stats(t).queued, 4); /* the error, and three words */
    assert_balanced(t);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "session.end"), 1);
    assert_int_equal(times_of(&b.w, "UncaughtException"), 1);
    assert_int_equal(repeats_of(&b.w), 4);
    assert_int_equal(wire_times(&b.w, "\"app_version\":\"0.9.0\""), 4);
    assert_int_equal(wire_times(&b.w, "session-of-the-dead"), 4);
    bench_close(&b, t);
}

/* Whoever tells it may be killed before that is noted: then it is there, or it is sent again under
   the same key. */
static void test_told_under_one_key(void **state)
{
    bench       b;
    vit_client *t;
    char        path[PATH_MAX], key[64], *copy;
    size_t      size;
    unsigned    way;
    (void)state;
    for (way = 0; way < 2; way++) {
        in_plain_memory = true;
        bench_of_run(&b);
        run_and_die(&b, "0.9.0", SESSION);
        assert_int_equal(files_with(&b, ".run", path), 1);
        copy = bytes_of(path, &size);
        if (way == 0) b.w.otherwise.http_status = 0;
        t = bench_client(&b);
        pump(t);
        assert_int_equal(b.w.count, 1);
        snprintf(key, sizeof key, "%s", b.w.calls[0].key);
        end(t);
        assert_int_equal(size, sizeof(vitp_marker));
        ((vitp_marker *)(void *)copy)->run.state = VITP_RUN_TELLING;
        file_write(path, copy, size, 0600);
        free(copy);
        wire_forget(&b.w);
        b.w.otherwise.http_status = 201;
        t = bench_client(&b);
        assert_true(vit_flush(t, WAIT_MS));
        assert_int_equal(b.w.count, 1);
        assert_string_equal(b.w.calls[0].key, key);
        bench_close(&b, t);
    }
    in_plain_memory = false;
}

/* Files that only look like those of a run. */
static void test_marker_hostile(void **state)
{
    bench       b;
    vit_client *t;
    char        path[PATH_MAX], junk[4096], *good;
    size_t      size, i;
    vitp_marker m;
    (void)state;
    in_plain_memory = true;
    bench_of_run(&b);
    run_and_die(&b, "0.9.0", SESSION);
    assert_int_equal(files_with(&b, ".run", path), 1);
    good = bytes_of(path, &size);
    assert_int_equal(size, sizeof m);
    memset(junk, 'A', sizeof junk);
    for (i = 0; i < 8 + 2 * size; i++) {
        wire_forget(&b.w);
        (void)unlink(path);
        memcpy(junk, good, size);
        if (i < 4) file_write(path, junk, i < 3 ? i * 100 : sizeof junk, 0600);
        else if (i == 4) assert_int_equal(symlink("/etc/passwd", path), 0);
        else if (i == 5) assert_int_equal(mkfifo(path, 0600), 0);
        else if (i == 6) file_write(path, junk, size, 0666), (void)chmod(path, 0666);
        else if (i == 7) memset(junk, 'A', size), file_write(path, junk, size, 0600);
        else {
            junk[(i - 8) / 2] = (char)(junk[(i - 8) / 2] ^ ((i & 1u) ? 0xFF : 0x41));
            file_write(path, junk, size, 0600);
        }
        t = bench_client(&b);
        (void)vit_flush(t, 100);
        assert_true(b.w.count <= 2);
        if (i < 8) assert_int_equal(b.w.count, 0);
        if (b.w.count) assert_true(json_is_valid(b.w.calls[0].body, b.w.calls[0].size));
        end(t);
    }
    free(good);
    bench_free(&b);
    in_plain_memory = false;
}

static int start_and_tell(bench *b)
{
    vit_client *t = vit_create(&b->o);
    int         told;
    if (!t) return 99;
    (void)vit_flush(t, WAIT_MS / 20);
    told = (int)times_of(&b->w, "session.end");
    (void)vit_destroy(t, 0);
    return told;
}

/* Several processes that start at once: one of them tells it. */
static void test_told_by_one(void **state)
{
    bench    b;
    unsigned round, i;
    int      status, told, gate[2];
    char     c;
    pid_t    children[6];
    (void)state;
    for (round = 0; round < 10; round++) {
        in_plain_memory = (round & 1u) != 0;
        bench_of_run(&b);
        run_and_die(&b, "0.9.0", SESSION);
        assert_int_equal(pipe(gate), 0);
        for (i = 0; i < 6; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] > 0) continue;
            close(gate[1]);
            (void)!read(gate[0], &c, 1);
            _exit(start_and_tell(&b));
        }
        close(gate[0]);
        close(gate[1]);
        for (i = 0, told = 0; i < 6; i++) {
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_true(WIFEXITED(status));
            told += WEXITSTATUS(status);
        }
        told += start_and_tell(&b); /* what one left for another */
        assert_int_equal(told, 1);
        bench_free(&b);
    }
    in_plain_memory = false;
}

/* An error that could not be recorded does not stand for the crash that follows. */
static void test_fatal_refused(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    bench_of_run(&b);
    b.o.queue_bytes = 1;
    t = bench_client(&b);
    assert_true(vit_get_stats(t).crash_surviving);
    for (i = 0; i < 3000; i++) (void)fail_with(t, word_of(i));
    assert_int_equal(fail_with(t, "no room"), VIT_QUEUE_FULL);
    vit_qt_message(t, 3, "main.cpp", 1, "main", NULL, "it is over");
    assert_int_equal(t->own.ledger->run.fatal_ms, 0);
    assert_true(vit_flush(t, WAIT_MS));
    vit_qt_message(t, 3, "main.cpp", 1, "main", NULL, "it is over");
    assert_int_not_equal(t->own.ledger->run.fatal_ms, 0);
    bench_close(&b, t);
}

static void *fatal_run(void *user)
{
    unsigned i;
    for (i = 0; i < 2000; i++) vit_qt_message(user, 3, "main.cpp", 1, "main", NULL, "it is over");
    return NULL;
}

/* Fatal errors are noted by any thread, without the lock under which the marker is written: it
   leaves that word alone (and `make tsan` sees no race). */
static void test_marker_beside_fatal(void **state)
{
    bench        b;
    vit_client  *t;
    pthread_t    other;
    char         path[PATH_MAX], *bytes;
    size_t       size;
    unsigned     i;
    vitp_marker *marker;
    (void)state;
#ifdef VITELEMETRY_NO_THREADS
    skip(); /* one thread may call */
#endif
    in_plain_memory = true;
    bench_of_run(&b);
    t = bench_client(&b);
    assert_int_equal(pthread_create(&other, NULL, fatal_run, t), 0);
    for (i = 0; i < 200; i++) vit_set_context(t, word_of(i), NULL);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_not_equal(t->own.ledger->run.fatal_ms, 0);
    vit_set_context(t, "last", NULL);
    assert_int_equal(files_with(&b, ".run", path), 1);
    bytes = bytes_of(path, &size);
    assert_int_equal(size, sizeof *marker);
    marker = (vitp_marker *)(void *)bytes;
    assert_string_equal(marker->context.provider, "last");
    assert_int_equal(marker->run.state, VITP_RUN_OPEN);
    assert_true(marker->run.alive_ns == t->own.ledger->run.alive_ns);
    assert_int_equal(marker->run.alive_s, t->own.ledger->run.alive_s);
    assert_int_equal(marker->run.fatal_ms, 0);
    free(bytes);
    bench_close(&b, t);
    in_plain_memory = false;
}

/* An event happens when it is sent: it has not waited while it was put together. */
static void test_long_builder(void **state)
{
    bench       b;
    vit_client *t;
    vit_event   e;
    (void)state;
    t = bench_open(&b);
    vit_event_begin(&e, t, "long", NULL);
    pass(3600 * SECOND);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "long"), 1);
    assert_string_equal(text_of(body_of(&b.w, "long", 0), "delay_s"), "");
    bench_close(&b, t);
}

/* A run that ends in order leaves nothing to tell, also when events wait for the next start. */
static void test_ended_in_order(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_of_run(&b);
    b.w.otherwise.http_status = 0;
    t = bench_client(&b);
    vit_session_begin(t, "s", NULL);
    assert_int_equal(track(t, "x"), VIT_OK);
    end(t);
    b.w.otherwise.http_status = 201;
    wire_forget(&b.w);
    t = bench_client(&b);
    assert_false(vit_crashed_last_run(t));
    assert_true(vit_flush(t, 1000));
    assert_int_equal(times_of(&b.w, "session.end"), 0);
    assert_int_equal(wire_times(&b.w, "\"x\""), 1);
    bench_close(&b, t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storm),           cmocka_unit_test(test_same_hash),
        cmocka_unit_test(test_sessions_apart),  cmocka_unit_test(test_told_in_time),
        cmocka_unit_test(test_many_sessions),   cmocka_unit_test(test_child),
        cmocka_unit_test(test_many_different),  cmocka_unit_test(test_refused_first),
        cmocka_unit_test(test_purged),          cmocka_unit_test(test_threads),
        cmocka_unit_test(test_told_at_the_end), cmocka_unit_test(test_marker_asked),
        cmocka_unit_test(test_hash_of_digits),
        cmocka_unit_test(test_told_scrubbed),   cmocka_unit_test(test_long_builder),
        cmocka_unit_test(test_fail_codes),      cmocka_unit_test(test_qt),
        cmocka_unit_test(test_bad_texts),       cmocka_unit_test(test_errors_of_errors),
        cmocka_unit_test(test_told_once),       cmocka_unit_test(test_marker),
        cmocka_unit_test(test_marker_consent),  cmocka_unit_test(test_told_with_consent),
        cmocka_unit_test(test_marker_closed),
        cmocka_unit_test(test_told_by_queue),   cmocka_unit_test(test_told_under_one_key),
        cmocka_unit_test(test_marker_hostile),  cmocka_unit_test(test_told_by_one),
        cmocka_unit_test(test_fatal_refused),   cmocka_unit_test(test_ended_in_order),
        cmocka_unit_test(test_ids_of_children), cmocka_unit_test(test_marker_beside_fatal),
    };
    environment_clear();
    setenv("XDG_RUNTIME_DIR", folder_run(), 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
