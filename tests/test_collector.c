/* test_collector.c: examples/collector.c, its parts from inside and the server over its socket.

   Build:   cc tests/test_collector.c -lcmocka -o build/tests/test_collector */

#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <string.h>

/* The n-th allocation from now fails; 0: none does. */
static unsigned long fail_at;

static int fails_now(void) { return fail_at > 0 && --fail_at == 0; }
static void *test_realloc_(void *p, size_t size) { return fails_now() ? NULL : realloc(p, size); }
static void *test_malloc_(size_t size) { return fails_now() ? NULL : malloc(size); }
static void *test_calloc_(size_t n, size_t size) { return fails_now() ? NULL : calloc(n, size); }

#define realloc test_realloc_
#define malloc test_malloc_
#define calloc test_calloc_
#define COLLECTOR_NO_MAIN
#define ROWS_DAY_MAX 8
#define TURN_LINES 7
#define LIVE_MAX 2
#define BEAT_MS 600
#define LINGER_MS 600000        /* so that only a shutdown can end a refused connection in time */
#include "../examples/collector.c"
#undef realloc
#undef malloc
#undef calloc

#include <setjmp.h>
#include <sys/wait.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
#define HWID_TEXT "123e4567-e89b-42d3-a456-426614174000"
#define EVENT_OF(name, metadata) "{\"hwid\":\"" HWID_TEXT "\",\"event_name\":\"" name "\"," \
    "\"app_version\":\"1.2.3\",\"client_type\":\"test\",\"metadata\":" metadata "}"
#define EVENT EVENT_OF("app_launch", "{\"os\":\"Linux\"}")
#define STAMP "2025-01-31T12:00:00.000Z"
#define STORED EVENT_OF("app_launch", "{\"os\":\"Linux\"},\"created_at\":\"" STAMP "\"") "\n"

/* == json ==================================================================================== */

static bool json_whole(const char *s, size_t size, text *copy)
{
    json j = {s, size, 0, copy, NULL};
    json_item v;
    return json_read(&j, &v) && json_end(&j);
}

static void test_json_accepts(void **state)
{
    static const char *const good[] = {
        "null", " true ", "false", "0", "-0", "-0.0e+10", "1E5", "12345678901234567890", "1e999",
        "[]", "{}", " [ ] ", "{ }", "[1,2]", "{\"a\":{\"b\":[]}}", "[[],[{}],{}]", "\"\"",
        "\"\\u0000\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\"",
        "\"\x7F\"", "{\"a\":1,\"a\":2}", "[\"\xC3\xA9\",null]", "\"\xEF\xBF\xBF\"", "[1\t,\r\n2]"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!json_whole(good[i], strlen(good[i]), NULL)) fail_msg("refused: %s", good[i]);
}

static void test_json_refuses(void **state)
{
    static const char *const bad[] = {
        "", " ", "nul", "nulll", "True", "NaN", "Infinity", "+1", "01", "-", "1.", ".5", "1e",
        "1e+", "0x1", "1 2", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"",
        "{\"a\":", "{a:1}",
        "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{1:2}", "[}", "{]", "[1}", "\"",
        "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u123g\"", "\"\\ud800\"", "\"\\ud800\\n\"",
        "\"\\udc00\"",
        "\"\\ud800\\ud800\"", "\"\n\"", "\"\x1F\"", "'a'", "\"\x80\"", "\"\xC0\x80\"", "\"\xC3\"",
        "\"\xE0\x80\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xF5\x80\x80\x80\"",
        "\"\xFF\"", "\xEF\xBB\xBF{}", "[1]\f", "// a\n1", "[1]]", "\"\\u\"", "\"\\ud800\\u\""};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (json_whole(bad[i], strlen(bad[i]), NULL)) fail_msg("accepted: %s", bad[i]);
    assert_false(json_whole("1\0", 2, NULL));
    assert_false(json_whole("\"a\0b\"", 5, NULL));
    assert_false(json_whole("\"\\\0\"", 4, NULL));
}

static void test_json_depth(void **state)
{
    char nested[2 * (DEPTH_MAX + 1)];
    (void)state;
    for (size_t depth = DEPTH_MAX; depth <= DEPTH_MAX + 1; depth++) {
        memset(nested, '[', depth);
        memset(nested + depth, ']', depth);
        assert_int_equal(json_whole(nested, 2 * depth, NULL), depth == DEPTH_MAX);
    }
}

static void test_json_copies_compactly(void **state)
{
    const char *in = " { \"a b\" : [ 1 , -2.50 , { } ] ,\r\n\t\"\\u00e9\" : \" x\\n \" ,"
                     " \"n\":null } ";
    text copy = {NULL, 0, 0, false};
    (void)state;
    assert_true(json_whole(in, strlen(in), &copy));
    text_add(&copy, "", 1);
    assert_string_equal(copy.data, "{\"a b\":[1,-2.50,{}],\"\\u00e9\":\" x\\n \",\"n\":null}");
    text_free(&copy);
}

static void test_json_decodes(void **state)
{
    json j = {"\"\\ud83d\\ude00\\u00e9a\"", 21, 0, NULL, NULL};
    decoded d;
    char in[200] = "\"";
    (void)state;
    assert_true(json_string(&j, &d));
    assert_string_equal(d.text, "\xF0\x9F\x98\x80\xC3\xA9" "a");
    assert_int_equal(d.full, 7);
    for (int i = 0; i < 33; i++) strcat(in, i ? "\xC3\xA9" : "x");  /* a character across byte 64 */
    strcat(in, "b\"");
    j = (json){in, strlen(in), 0, NULL, NULL};
    assert_true(json_string(&j, &d));
    assert_int_equal(d.size, 63);
    assert_int_equal(d.full, 66);
}

/* == envelope ================================================================================ */

static bool batch_of(const char *body, bool ndjson, batch *b, fault *f)
{
    memset(b, 0, sizeof *b);
    return batch_read(b, body, strlen(body), ndjson, STAMP, f);
}

static void test_event_becomes_a_line(void **state)
{
    batch b;
    fault f;
    (void)state;
    assert_true(batch_of(" " EVENT "\n", false, &b, &f));
    assert_int_equal(b.count, 1);
    assert_int_equal(b.lines.size, strlen(STORED));
    assert_memory_equal(b.lines.data, STORED, strlen(STORED));
    batch_free(&b);
}

static void test_event_is_noted(void **state)
{
    batch b;
    fault f;
    (void)state;
    assert_true(batch_of(EVENT_OF("query.executed",
        "{\"db_type\":\"chroma\",\"x\":{\"success\":true},\"latency_ms\":12.5,\"duration_ms\":99,"
        "\"success\":false,\"sampling_rate\":0.05}"), false, &b, &f));
    assert_string_equal(b.events[0].name, "query.executed");
    assert_string_equal(b.events[0].db_type, "chroma");
    assert_int_equal(b.events[0].success, 0);
    assert_true(b.events[0].duration_ms > 12.4 && b.events[0].duration_ms < 12.6);
    assert_true(b.events[0].sampling_rate > 0.049 && b.events[0].sampling_rate < 0.051);
    batch_free(&b);
    assert_true(batch_of(EVENT_OF("a", "{\"latency_ms\":1e999,\"duration_ms\":1e15}"), false, &b,
                         &f));
    assert_true(b.events[0].duration_ms > 9e14);    /* no statistics can say what is infinite */
    batch_free(&b);
    assert_true(batch_of(EVENT, false, &b, &f));
    assert_int_equal(b.events[0].success, -1);
    assert_true(b.events[0].duration_ms < 0 && b.events[0].sampling_rate > 0.99);
    batch_free(&b);
}

#define LONG64 "0123456789012345678901234567890123456789012345678901234567890123"

static void test_envelope_refusals(void **state)
{
    static const struct { const char *from, *to, *field; } edits[] = {
        {"\"" HWID_TEXT "\"", "1", "hwid"}, {HWID_TEXT, "", "hwid"},
        {HWID_TEXT, "x" HWID_TEXT, "hwid"},
        {"123e4567-", "123e45670", "hwid"}, {"123e4567-", "g23e4567-", "hwid"},
        {"\"hwid\"", "\"hw\"", "hw"}, {"\"hwid\":\"" HWID_TEXT "\",", "", "hwid"},
        {"app_launch", "", "event_name"}, {"app_launch", "app launch", "event_name"},
        {"app_launch", LONG64 "a", "event_name"}, {"\"app_launch\"", "null", "event_name"},
        {"\"event_name\":\"app_launch\",", "", "event_name"},
        {"app_launch", "app\xC3\xA9", "event_name"}, {"app_launch", "app\\u0000", "event_name"},
        {"\"1.2.3\"", "1.2", "app_version"}, {"\"app_version\":\"1.2.3\",", "", "app_version"},
        {"\"test\"", "\"\"", "client_type"}, {"\"test\"", "\"" LONG64 "x\"", "client_type"},
        {"\"test\"", "[]", "client_type"}, {"\"client_type\":\"test\",", "", "client_type"},
        {"{\"os\":\"Linux\"}", "[]", "metadata"}, {"{\"os\":\"Linux\"}", "null", "metadata"},
        {",\"metadata\":{\"os\":\"Linux\"}", "", "metadata"},
        {"\"os\"", "\"hwid\"", "metadata.hwid"},
        {"\"os\"", "\"event_name\"", "metadata.event_name"},
        {"\"os\"", "\"app_version\"", "metadata.app_version"},
        {"\"os\"", "\"client_ty\\u0070e\"", "metadata.client_type"},
        {"\"app_version\"", "\"created_at\":\"x\",\"app_version\"", "created_at"},
        {"\"app_version\"", "\"extra\":1,\"app_version\"", "extra"},
        {"\"app_version\"", "\"hw\\u0069d\":\"" HWID_TEXT "\",\"app_version\"", "hwid"},
        {"\"app_version\"", "\"client_type\":\"a\",\"app_version\"", "client_type"},
        {"\"Linux\"", "Linux", "body"}, {"\"Linux\"}", "\"Linux\"", "body"}, {"}}", "}}}", "body"},
        {"}}", "}} {}", "body"}, {EVENT, "", "body"}, {EVENT, "[]", "body"}, {EVENT, "5", "body"},
        {EVENT, "[" EVENT, "body"}, {EVENT, "[" EVENT ",]", "body"}};
    const char *whole = EVENT;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(edits); i++) {
        char body[2048];
        const char *at = strstr(whole, edits[i].from);
        batch b;
        fault f;
        assert_non_null(at);
        snprintf(body, sizeof body, "%.*s%s%s", (int)(at - whole), whole, edits[i].to,
                 at + strlen(edits[i].from));
        if (batch_of(body, false, &b, &f)) fail_msg("accepted: %s", body);
        if (strcmp(f.field, edits[i].field) != 0) fail_msg("%s named for %s", f.field, body);
        assert_true(f.message[0]);
        batch_free(&b);
    }
}

static void test_envelope_limits_that_hold(void **state)
{
    batch b;
    fault f;
    (void)state;
    assert_true(batch_of(EVENT_OF(LONG64, "{}"), false, &b, &f));
    assert_string_equal(b.events[0].name, LONG64);
    batch_free(&b);
    assert_true(batch_of("{\"metadata\":{\"a\":{\"hwid\":1}},\"client_type\":\"" LONG64 "\","
                         "\"app_version\":\"\",\"event_name\":\"a\",\"hwid\":\"" HWID_TEXT "\"}",
                         false, &b, &f));
    batch_free(&b);
}

static void test_batches(void **state)
{
    batch b;
    fault f;
    (void)state;
    assert_true(batch_of("[" EVENT "," EVENT " ]", false, &b, &f));
    assert_int_equal(b.count, 2);
    assert_int_equal(b.lines.size, 2 * strlen(STORED));
    batch_free(&b);
    assert_true(batch_of("\n" EVENT "\r\n \t\n\n" EVENT, true, &b, &f));
    assert_int_equal(b.count, 2);
    assert_memory_equal(b.lines.data, STORED STORED, 2 * strlen(STORED));
    batch_free(&b);
    assert_false(batch_of("[" EVENT "," EVENT ",{}]", false, &b, &f));
    assert_int_equal(f.index, 2);
    batch_free(&b);
    assert_false(batch_of("\n" EVENT "\n\n" EVENT " 1\n" EVENT, true, &b, &f));
    assert_int_equal(f.index, 1);
    batch_free(&b);
    assert_false(batch_of("[" EVENT "]", true, &b, &f));
    batch_free(&b);
    assert_false(batch_of(" \n ", true, &b, &f));
    assert_string_equal(f.field, "body");
    batch_free(&b);
    assert_false(batch_of("{}", false, &b, &f));
    assert_int_equal(f.index, -1);
    batch_free(&b);
}

/* Every prefix is refused; with one byte changed a body is refused or still makes whole lines. */
static void test_damaged_bodies(void **state)
{
    char body[] = "[" EVENT_OF("a", "{\"k\":[1.5e3,\"\\u00e9\xC3\xA9\",{\"x\":null}]}") "]";
    const size_t size = sizeof body - 1;
    static const char bytes[] = "\0 \n\"\\{}[],:0-\x80\xFF";
    batch b;
    fault f;
    (void)state;
    for (size_t i = 0; i < size; i++) {
        char *exact = malloc(i + 1);            /* so that a byte read too far is found */
        memcpy(exact, body, i);
        memset(&b, 0, sizeof b);
        assert_false(batch_read(&b, exact, i, i % 2, STAMP, &f));
        batch_free(&b);
        free(exact);
        for (size_t k = 0; k < sizeof bytes; k++) {
            char kept = body[i];
            body[i] = bytes[k];
            memset(&b, 0, sizeof b);
            if (batch_read(&b, body, size, false, STAMP, &f)) {
                event e;
                assert_true(stored_read(b.lines.data, b.lines.size, &e));
                assert_ptr_equal(memchr(b.lines.data, '\n', b.lines.size),
                                 b.lines.data + b.lines.size - 1);
            }
            batch_free(&b);
            body[i] = kept;
        }
    }
}

/* The n-th allocation fails: no crash, no leak, and what came out is whole or refused. */
static void test_memory_runs_out(void **state)
{
    bool good = false;
    (void)state;
    for (unsigned long n = 1; !good; n++) {
        batch b;
        fault f;
        table t = {NULL, 0, 0};
        text out = {NULL, 0, 0, false};
        assert_true(n < 200);
        fail_at = n;
        good = batch_of("[" EVENT "," EVENT "," EVENT "]", false, &b, &f);
        for (size_t i = 0; good && i < b.count; i++) good = table_count(&t, 1, &b.events[i], 9);
        good = good && stats_write(&out, &t);
        if (good) fail_at = 0;
        table_free(&t);
        text_free(&out);
        batch_free(&b);
    }
}

/* == numbers ================================================================================= */

static void test_histogram_error(void **state)
{
    (void)state;
    for (double v = 0; v < 4e9; v = v < 100 ? v + 1 : v * 1.013) {
        double middle = hist_middle(hist_index(v)), off = middle > v ? middle - v : v - middle;
        if (off > (v < 32 ? 0 : v / 32)) fail_msg("%f became %f", v, middle);
    }
    assert_int_equal(hist_index(1e300), HIST_BUCKETS - 1);
    assert_int_equal(hist_index(4294967295.0), HIST_BUCKETS - 1);
    assert_int_equal(hist_index(0.9), 0);
}

static void test_histogram_percentiles(void **state)
{
    hist *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    (void)state;
    assert_true(hist_percentile(a, 50) < 0.5);
    for (unsigned v = 1; v <= 20; v++) hist_add(v % 2 ? a : b, hist_index(v), 1);
    hist_merge(a, b);
    assert_int_equal(a->total, 20);
    assert_int_equal((int)hist_percentile(a, 50), 10);
    assert_int_equal((int)hist_percentile(a, 95), 19);
    assert_int_equal((int)hist_percentile(a, 99), 20);
    hist_merge(b, a);
    assert_int_equal(b->total, 30);
    hist_merge(a, b);
    assert_int_equal(a->bucket[2], 3);
    free(a);
    free(b);
}

static void test_days(void **state)
{
    long day = 0;
    char back[11], stamp[32];
    (void)state;
    assert_true(day_parse("1970-01-01", &day) && day == 0);
    assert_true(day_parse("2000-02-29.ndjson", &day) && day == 11016);
    for (long d = 0; d < 40000; d++) {
        day_text(d, back);
        assert_true(day_parse(back, &day));
        assert_int_equal(day, d);
    }
    assert_false(day_parse("2025-02-29", &day));
    assert_false(day_parse("2025-13-01", &day));
    assert_false(day_parse("2025-1-011", &day));
    assert_false(day_parse("", &day));
    created_text(INT64_C(1738324800007), stamp);
    assert_string_equal(stamp, "2025-01-31T12:00:00.007Z");
}

static void event_make(event *e, const char *name, const char *db_type, double duration_ms)
{
    memset(e, 0, sizeof *e);
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->db_type, sizeof e->db_type, "%s", db_type);
    e->success = 1;
    e->duration_ms = duration_ms;
    e->sampling_rate = 0.25;
}

static void test_row_round_trip(void **state)
{
    table t = {NULL, 0, 0};
    text one = {NULL, 0, 0, false}, two = {NULL, 0, 0, false};
    event e;
    row *back = calloc(1, sizeof *back);
    (void)state;
    event_make(&e, "query.executed", "a\"\\\n\xC3\xA9", 1234);
    assert_true(table_count(&t, 20000, &e, 77));
    e.duration_ms = 3;
    e.success = 0;
    assert_true(table_count(&t, 20000, &e, 99));
    assert_int_equal(t.count, 1);
    row_write(&one, t.rows[0]);
    assert_true(row_read(one.data, one.size, back));
    row_write(&two, back);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    assert_int_equal(back->count, 2);
    assert_int_equal(back->success_false, 1);
    assert_int_equal(back->raw_bytes, 99);
    assert_true(back->estimated > 7.9 && back->estimated < 8.1);
    for (size_t i = 0; i + 1 < one.size; i++) assert_false(row_read(one.data, i, back));
    text_free(&one);
    text_free(&two);
    table_free(&t);
    free(back);
}

static void test_rows_have_a_limit(void **state)
{
    table t = {NULL, 0, 0};
    event e;
    (void)state;
    for (int i = 0; i < 3 * ROWS_DAY_MAX; i++) {
        char db[16];
        snprintf(db, sizeof db, "db%d", i % (2 * ROWS_DAY_MAX));
        event_make(&e, "x", db, -1);
        assert_true(table_count(&t, 5, &e, 1));
    }
    assert_int_equal(t.count, ROWS_DAY_MAX + 1);
    assert_string_equal(t.rows[ROWS_DAY_MAX]->event, OTHER);
    assert_int_equal(t.rows[ROWS_DAY_MAX]->count, ROWS_DAY_MAX);
    event_make(&e, "x", "", -1);
    assert_true(table_count(&t, 4, &e, 1));     /* an earlier day goes before, and has its own */
    assert_int_equal(t.rows[0]->day, 4);
    table_free(&t);
}

/* == errors, newest events, rate ============================================================= */

static void errors_put(errors *t, long day, const char *name, const char *hash, const char *at,
                       double occurrences)
{
    event e;
    memset(&e, 0, sizeof e);
    snprintf(e.name, sizeof e.name, "%s", name);
    snprintf(e.error_hash, sizeof e.error_hash, "%s", hash);
    snprintf(e.exception, sizeof e.exception, "of %s", name);
    snprintf(e.created_at, sizeof e.created_at, "%s", at);
    e.occurrences = occurrences;
    errors_count(t, day, &e, 7);
}

static void test_errors_are_counted(void **state)
{
    errors *t = calloc(1, sizeof *t);
    (void)state;
    errors_put(t, 40, "Error", "", "1", 1);             /* no hash: no error */
    assert_int_equal(t->count, 0);
    errors_put(t, 40, "Error", "aa", "2", 5);           /* occurrences belong to error.repeated */
    errors_put(t, 40, "error.repeated", "aa", "3", 5);
    errors_put(t, 41, "Error", "aa", "1", 1);
    errors_put(t, 41, "error.repeated", "bb", "4", 2);  /* the first was on a day that is gone */
    assert_int_equal(t->count, 2);
    assert_int_equal(t->rows[0].count, 7);
    assert_string_equal(t->rows[0].event, "Error");
    assert_string_equal(t->rows[0].exception, "of Error");
    assert_string_equal(t->rows[0].last, "3");
    assert_int_equal(t->rows[0].version, 7);
    assert_int_equal(t->rows[1].count, 2);
    assert_string_equal(t->rows[1].event, "error.repeated");
    errors_forget(t, 40);
    assert_int_equal(t->count, 2);
    assert_int_equal(t->rows[0].count, 1);
    errors_put(t, 42, "Error", "cc", "5", 1);
    errors_forget(t, 41);
    assert_int_equal(t->count, 1);
    assert_string_equal(t->rows[0].hash, "cc");
    free(t);
}

static void test_errors_have_a_limit(void **state)
{
    errors *t = calloc(1, sizeof *t);
    char hash[16];
    (void)state;
    for (int i = 0; i < 2 * ERRORS_MAX; i++) {
        snprintf(hash, sizeof hash, "h%d", i);
        errors_put(t, 1, "Error", hash, "1", 1);
        if (i >= 3) errors_put(t, 1, "Error", "h3", "1", 1);
    }
    assert_int_equal(t->count, ERRORS_MAX);
    assert_int_equal(t->rows[3].count, 2 * ERRORS_MAX - 2);
    assert_string_equal(t->rows[ERRORS_MAX - 1].hash, OTHER);
    assert_int_equal(t->rows[ERRORS_MAX - 1].count, ERRORS_MAX + 1);
    free(t);
}

static void test_recent_events(void **state)
{
    recents *r = calloc(1, sizeof *r);
    char metadata[RECENT_SIZE + 2];
    event e;
    (void)state;
    memset(&e, 0, sizeof e);
    memset(metadata, 'x', sizeof metadata);
    for (uint64_t n = 5; n < 5 + 2 * RECENT_MAX; n++) {
        e.metadata_size = n % 2 ? RECENT_SIZE : RECENT_SIZE + 1;
        snprintf(e.name, sizeof e.name, "n%d", (int)n);
        recents_add(r, n, &e, metadata);
    }
    assert_int_equal(r->last, 4 + 2 * RECENT_MAX);
    assert_int_equal(r->first, 5 + RECENT_MAX);
    assert_string_equal(r->ring[r->first % RECENT_MAX].name, "n517");
    assert_int_equal(r->ring[517 % RECENT_MAX].size, RECENT_SIZE);
    assert_int_equal(r->ring[518 % RECENT_MAX].size, 0);
    metadata[9] = '\r';                                 /* would end a line of the stream */
    e.metadata_size = 20;
    recents_add(r, r->last + 1, &e, metadata);
    assert_int_equal(r->ring[r->last % RECENT_MAX].size, 0);
    free(r);
}

static unsigned rate_sum(const rate *r)
{
    unsigned sum = 0;
    for (int i = 0; i < RATE_SECONDS; i++) sum += r->count[i];
    return sum;
}

static void test_rate(void **state)
{
    rate r;
    (void)state;
    memset(&r, 0, sizeof r);
    rate_add(&r, 1000, 3);
    rate_add(&r, 1000, 4);
    rate_add(&r, 1000 + RATE_SECONDS - 1, 5);
    assert_int_equal(rate_sum(&r), 12);
    assert_int_equal(r.count[1000 % RATE_SECONDS], 7);
    rate_add(&r, 1000 + RATE_SECONDS, 1);               /* the first second is out */
    assert_int_equal(rate_sum(&r), 6);
    rate_add(&r, 5000, 2);
    assert_int_equal(rate_sum(&r), 2);
    rate_add(&r, 4000, 1);                              /* a clock that was put back */
    assert_int_equal(rate_sum(&r), 1);
    assert_int_equal(r.second, 4000);
}

/* == http parts ============================================================================== */

static int parse_of(const char *head, http_head *h) { return http_parse(head, strlen(head), h); }

static void test_http_parse(void **state)
{
    static const struct { const char *head; int status; } heads[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0}, {"GET / HTTP/1.0\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\n\r\n", 400}, {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505}, {"GET / HTTP/1.x\r\nHost: x\r\n\r\n", 400},
        {"GET /\r\nHost: x\r\n\r\n", 400}, {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400}, {" / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: x\n\n", 400}, {"GET / HTTP/1.1\r\nHost: xy\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nnone\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"P / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n", 0},
        {"P / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"P / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", 417},
        {"P / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: \r\n\r\n", 400},
        {"AVERYLONGMETHODNAME / HTTP/1.1\r\nHost: x\r\n\r\n", 501}};
    http_head h;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        int status = parse_of(heads[i].head, &h);
        if (status != heads[i].status) fail_msg("%d for %s", status, heads[i].head);
    }
}

static void test_http_fields(void **state)
{
    http_head h;
    (void)state;
    assert_int_equal(0, parse_of("POST /a?b HTTP/1.1\r\nhost: localhost:1\r\n"
        "CONTENT-LENGTH: \t42 \r\n"
        "Content-Type: Application/JSON; q=1; charset=\"UTF-8\"\r\nX-Telemetry-Key: s e\r\n"
        "Idempotency-Key: k1\r\nConnection: te, Close\r\nConnection: x\r\n\r\n", &h));
    assert_string_equal(h.method, "POST");
    assert_string_equal(h.target, "/a?b");
    assert_string_equal(h.key, "s e");
    assert_string_equal(h.idempotency, "k1");
    assert_true(h.has_length && h.length == 42 && h.close && !h.keep_alive && !h.chunked);
    assert_int_equal(h.type, TYPE_JSON);
    assert_int_equal(0, parse_of("P / HTTP/1.0\r\n"
        "Content-Type: application/x-ndjson;charset=utf-8\r\nConnection: keep-alive\r\n\r\n", &h));
    assert_true(h.old && h.keep_alive && h.type == TYPE_NDJSON);
    assert_int_equal(0, parse_of("P / HTTP/1.0\r\n"
        "Content-Type: application/json; charset=latin1\r\n\r\n", &h));
    assert_int_equal(h.type, TYPE_OTHER);
}

static void test_http_head_size_bytewise(void **state)
{
    const char *whole = "GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
    size_t scanned = 0, i = 1;
    (void)state;
    while (http_head_size(whole, i, &scanned) == 0) i++;
    assert_int_equal(i, strlen(whole) - 4);
    scanned = 0;
    assert_int_equal(http_head_size(whole, strlen(whole), &scanned), i);
    scanned = 0;
    assert_int_equal(http_head_size("a\n\nb", 4, &scanned), 3);
}

static void test_chunks_at_every_cut(void **state)
{
    const char *in = "4;x=\"y\"\r\nWiki\r\n05\r\npedia\r\n0\r\nT: v\r\nU: w\r\n\r\nNEXT";
    size_t size = strlen(in);
    (void)state;
    for (size_t cut = 0; cut <= size; cut++) {
        chunked c;
        text body = {NULL, 0, 0, false};
        memset(&c, 0, sizeof c);
        size_t used = chunk_decode(&c, in, cut, &body);
        used += chunk_decode(&c, in + used, size - used, &body);
        assert_int_equal(c.error, 0);
        assert_int_equal(c.state, CHUNK_DONE);
        assert_int_equal(used, size - 4);
        assert_int_equal(body.size, 9);
        assert_memory_equal(body.data, "Wikipedia", 9);
        text_free(&body);
    }
}

static void test_chunks_refused(void **state)
{
    static const struct { const char *in; int error; } bad[] = {
        {"\r\n", 400}, {"x\r\n", 400}, {"1\n", 400}, {"1\r\nab", 400}, {"1\r\na\rb", 400},
        {"1\rx", 400},
        {"1;\n", 400}, {"0\r\n\n", 400}, {"0\r\nA\n", 400}, {"-1\r\n", 400}, {"400001\r\na", 413},
        {"123456789\r\n", 413}, {"0\r\n\rx", 400}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        chunked c;
        text body = {NULL, 0, 0, false};
        memset(&c, 0, sizeof c);
        chunk_decode(&c, bad[i].in, strlen(bad[i].in), &body);
        if (c.error != bad[i].error) fail_msg("%d for %s", c.error, bad[i].in);
        text_free(&body);
    }
    chunked c;
    memset(&c, 0, sizeof c);
    assert_int_equal(chunk_decode(&c, "0;", 2, NULL), 2);
    for (unsigned i = 0; i < HEAD_MAX; i++) chunk_decode(&c, "x", 1, NULL);
    assert_int_equal(c.error, 0);
    chunk_decode(&c, "x", 1, NULL);
    assert_int_equal(c.error, 431);
}

static void test_names_of_this_machine(void **state)
{
    (void)state;
    assert_true(local_name("localhost:80") && local_name("127.0.0.1") && local_name("[::1]:80"));
    assert_true(local_name("a.localhost") && local_name("box"));
    assert_false(local_name("evil.example") || local_name("127.0.0.1.evil.example:80"));
}

static void test_keys_are_forgotten_in_order(void **state)
{
    key_ring *k = calloc(1, sizeof *k);
    char key[16];
    (void)state;
    for (int i = 0; i < KEYS_MAX + 1; i++) {
        snprintf(key, sizeof key, "k%d", i);
        keys_add(k, key);
    }
    assert_false(keys_have(k, "k0"));
    assert_true(keys_have(k, "k1"));
    assert_true(keys_have(k, key));
    free(k);
}

/* == store =================================================================================== */

static char folder[64];     /* of the test that runs */

static int folder_new(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/collector-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

/* folder_remove: with the one level of folders a test may have made. */
static int folder_remove(void **state)
{
    DIR *dir = opendir(folder);
    (void)state;
    if (!dir) return -1;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
    return rmdir(folder);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *raw_path(long day)
{
    char name[32];
    raw_name(day, name);
    return path_of(name);
}

static void plant(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    fclose(file);
}

/* slurp: the whole file as text in one static buffer; "" when there is none. */
static const char *slurp(const char *path)
{
    static char content[65536];
    FILE *file = fopen(path, "r");
    content[0] = 0;
    if (!file) return content;
    content[fread(content, 1, sizeof content - 1, file)] = 0;
    fclose(file);
    return content;
}

static long today(void) { return (long)(clock_ms(CLOCK_REALTIME) / 86400000); }

static void store_begin(store *s, long day)
{
    memset(s, 0, sizeof *s);
    s->retain_days = 30;
    s->retain_aggregates_days = 90;
    assert_true(store_open(s, folder, day));
}

static void store_put(store *s, long day, const char *body)
{
    batch b;
    fault f;
    assert_true(batch_of(body, true, &b, &f));
    assert_int_equal(store_append(s, day, &b), 0);
    batch_free(&b);
}

static uint64_t store_total(const store *s)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->rows.count; i++) total += s->rows.rows[i]->count;
    return total;
}

static void test_store_counts_survive(void **state)
{
    store s;
    (void)state;
    store_begin(&s, 20000);
    store_put(&s, 20000, EVENT "\n" EVENT);
    assert_true(store_flush(&s));
    store_put(&s, 20000, EVENT);
    store_put(&s, 20001, EVENT);
    store_close(&s);                                /* as if killed: not flushed */
    store_begin(&s, 20001);
    assert_int_equal(store_total(&s), 4);           /* the rest is counted again, nothing twice */
    store_close(&s);
    store_begin(&s, 20001);
    assert_int_equal(store_total(&s), 4);
    store_close(&s);
}

/* Somebody shortened the raw file: what comes then is counted all the same. */
static void test_store_counts_after_a_shorter_file(void **state)
{
    store s;
    (void)state;
    store_begin(&s, 20000);
    store_put(&s, 20000, EVENT "\n" EVENT);
    assert_true(store_flush(&s));
    store_close(&s);
    plant(raw_path(20000), "");
    store_begin(&s, 20000);
    store_put(&s, 20000, EVENT);
    store_close(&s);
    store_begin(&s, 20000);
    assert_int_equal(store_total(&s), 3);
    store_close(&s);
}

/* A line of daily.ndjson that cannot be read takes no counts with it where there is a raw file. */
static void test_store_counts_after_a_bad_line(void **state)
{
    static const char *const bad[] = {"\"max_ms\":inf", "\"max_ms\":1e999", "\"max_ms\""};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char daily[4096];
        store s;
        store_begin(&s, 20001);
        store_put(&s, 20000, EVENT_OF("old", "{}"));
        store_put(&s, 20001, EVENT "\n" EVENT_OF("q", "{\"latency_ms\":5}") "\n" EVENT);
        assert_true(store_flush(&s));
        store_close(&s);
        assert_int_equal(unlink(raw_path(20000)), 0);   /* of it only the aggregates remain */
        snprintf(daily, sizeof daily, "%s", slurp(path_of("daily.ndjson")));
        char *at = strstr(daily, "\"max_ms\":5,");
        assert_non_null(at);
        at[0] = 0;
        char changed[4096];
        snprintf(changed, sizeof changed, "%s%s%s", daily, bad[i], at + 10);
        plant(path_of("daily.ndjson"), changed);
        for (int again = 0; again < 2; again++) {
            store_begin(&s, 20001);
            assert_int_equal(store_total(&s), 4);
            text stats = {NULL, 0, 0, false};
            assert_true(stats_write(&stats, &s.rows));
            assert_true(json_whole(stats.data, stats.size, NULL));
            text_free(&stats);
            store_close(&s);
        }
        assert_null(strstr(slurp(path_of("daily.ndjson")), "inf"));
        assert_int_equal(unlink(raw_path(20001)), 0);
        assert_int_equal(unlink(path_of("daily.ndjson")), 0);
    }
}

/* A disk that is full in the middle of a batch: none of it stays. */
static void test_store_undoes_half_a_batch(void **state)
{
    struct rlimit before, small;
    store s;
    batch b;
    fault f;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    store_begin(&s, 20000);
    store_put(&s, 20000, EVENT);
    assert_true(batch_of(EVENT "\n" EVENT, true, &b, &f));
    small = before;
    small.rlim_cur = 2 * strlen(STORED) + 9;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int error = store_append(&s, 20000, &b);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(error, EFBIG);
    assert_int_equal(store_total(&s), 1);
    assert_string_equal(slurp(raw_path(20000)), STORED);
    batch_free(&b);
    store_close(&s);
}

static void test_store_passes_over_a_cut_line(void **state)
{
    store s;
    (void)state;
    plant(raw_path(20000), STORED "{\"hwid\":\"cut");
    store_begin(&s, 20000);
    store_put(&s, 20000, EVENT);
    assert_int_equal(store_total(&s), 2);
    store_close(&s);
    assert_string_equal(slurp(raw_path(20000)), STORED "{\"hwid\":\"cut\n" STORED);
    assert_int_equal(unlink(path_of("daily.ndjson")), 0);
    store_begin(&s, 20000);
    assert_int_equal(store_total(&s), 2);
    store_close(&s);
}

static void test_store_retires(void **state)
{
    store s;
    (void)state;
    for (long day = 19900; day <= 20000; day++) plant(raw_path(day), STORED);
    plant(path_of("events-2001-01-01.txt"), "not ours");
    store_begin(&s, 20000);
    assert_int_equal(access(raw_path(19969), F_OK), -1);
    assert_int_equal(access(raw_path(19970), F_OK), 0);
    assert_int_equal(access(raw_path(20000), F_OK), 0);
    assert_int_equal(access(path_of("events-2001-01-01.txt"), F_OK), 0);
    assert_int_equal(store_total(&s), 91);          /* aggregates of 90 days and today */
    assert_int_equal(s.rows.rows[0]->day, 19910);
    store_retire(&s, 20001);                        /* what the hourly look does */
    assert_int_equal(store_total(&s), 90);
    assert_int_equal(access(raw_path(19970), F_OK), -1);
    assert_int_equal(access(raw_path(19971), F_OK), 0);
    assert_true(store_flush(&s));
    store_close(&s);
}

#define FAILED(hash) EVENT_OF("Error", "{\"error_hash\":\"" hash "\",\"exception_type\":\"E\"}")

/* What a page is told is there again at the next start, and goes with its file. */
static void test_store_remembers(void **state)
{
    store s;
    (void)state;
    store_begin(&s, 20000);
    store_put(&s, 20000, FAILED("aa") "\n" FAILED("aa") "\n" FAILED("bb") "\n" EVENT);
    store_put(&s, 20001, FAILED("bb"));
    for (int i = 0; i < RECENT_AT_START; i++) store_put(&s, 20001, EVENT);
    assert_int_equal(s.version, RECENT_AT_START + 5);
    assert_int_equal(s.recents.last, s.version);
    assert_string_equal(s.recents.ring[4].name, "app_launch");
    assert_memory_equal(s.recents.ring[4].metadata, "{\"os\":\"Linux\"}", 14);
    store_close(&s);
    store_begin(&s, 20001);
    assert_int_equal(s.errors.count, 2);
    assert_int_equal(s.errors.rows[0].count, 2);
    assert_int_equal(s.errors.rows[1].count, 2);
    assert_string_equal(s.errors.rows[1].exception, "E");
    assert_string_equal(s.errors.rows[1].last, STAMP);
    assert_int_equal(s.sums.count, 2);
    assert_int_equal(s.sums.rows[0]->count + s.sums.rows[1]->count, RECENT_AT_START + 5);
    assert_int_equal(s.recents.last - s.recents.first + 1, RECENT_AT_START);
    assert_string_equal(s.recents.ring[s.recents.first % RECENT_MAX].name, "app_launch");
    assert_string_equal(s.recents.ring[s.recents.last % RECENT_MAX].created_at, STAMP);
    unsigned epoch = s.epoch;
    store_retire(&s, 20031);                        /* raw events of day 20000 */
    assert_int_not_equal(s.epoch, epoch);
    assert_int_equal(s.errors.count, 1);
    assert_int_equal(s.errors.rows[0].count, 1);
    assert_int_equal(s.sums.rows[0]->count + s.sums.rows[1]->count, RECENT_AT_START + 5);
    epoch = s.epoch;
    store_retire(&s, 20091);                        /* the counts of it, too */
    assert_int_not_equal(s.epoch, epoch);
    assert_int_equal(s.sums.rows[0]->count + s.sums.rows[1]->count, RECENT_AT_START + 1);
    store_close(&s);
}

static void test_store_modes(void **state)
{
    store s;
    struct stat status;
    char inner[96];
    (void)state;
    snprintf(inner, sizeof inner, "%s/inner", folder);
    memset(&s, 0, sizeof s);
    assert_true(store_open(&s, inner, 20000));
    store_close(&s);
    assert_int_equal(stat(inner, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    snprintf(inner, sizeof inner, "%s/inner/.lock", folder);
    assert_int_equal(unlink(inner), 0);
    store_begin(&s, 20000);
    store_put(&s, 20000, EVENT);
    assert_true(store_flush(&s));
    store_close(&s);
    assert_int_equal(stat(raw_path(20000), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(path_of("daily.ndjson"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_store_refuses_links_and_folders(void **state)
{
    store s;
    batch b;
    fault f;
    (void)state;
    store_begin(&s, 20000);
    assert_true(batch_of(EVENT, false, &b, &f));
    assert_int_equal(mkdir(raw_path(20000), 0700), 0);
    assert_int_not_equal(store_append(&s, 20000, &b), 0);
    plant(path_of("other"), "");
    assert_int_equal(symlink("other", raw_path(20001)), 0);
    assert_int_not_equal(store_append(&s, 20001, &b), 0);
    assert_int_equal(store_total(&s), 0);
    batch_free(&b);
    store_close(&s);
}

/* == server ================================================================================== */

static pid_t server_pid;
static rlim_t child_files;      /* limit on open files of the next child, 0: as it is */
static int server_port;
static FILE *server_out;

/* child_begin: collector_main in a process of its own; its output is read from server_out. */
static void child_begin(const char *const *words)
{
    char *list[24] = {"collector"};
    int pipes[2], count = 1;
    while (words && *words && count < 23) list[count++] = strdup(*words++);
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    server_pid = fork();
    assert_true(server_pid >= 0);
    if (server_pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        struct rlimit limit = {child_files, child_files};
        if (child_files && setrlimit(RLIMIT_NOFILE, &limit) != 0) exit(99);
        int code = collector_main(count, list);
        while (count > 1) free(list[--count]);
        exit(code);
    }
    close(pipes[1]);
    while (count > 1) free(list[--count]);
    server_out = fdopen(pipes[0], "r");
}

/* child_end: the exit code; what it printed stays in `printed`. */
static char printed[65536];

static int child_end(void)
{
    int status = 0;
    printed[fread(printed, 1, sizeof printed - 1, server_out)] = 0;
    fclose(server_out);
    assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
    server_pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static int run(const char *a, const char *b, const char *c)
{
    const char *words[] = {a, b, c, NULL};
    child_begin(words);
    return child_end();
}

/* server_start: in `folder`, with up to six more words. */
static void server_start(const char *const *more)
{
    const char *words[16] = {"--port", "0", "--dir", folder};
    char line[128] = "";
    for (int i = 4; more && *more; i++) words[i] = *more++;
    child_begin(words);
    assert_non_null(fgets(line, sizeof line, server_out));
    assert_int_equal(sscanf(line, "listening on http://127.0.0.1:%d\n", &server_port), 1);
}

static void server_stop(void)
{
    assert_int_equal(kill(server_pid, SIGTERM), 0);
    int code = child_end();
    if (code != 0) fail_msg("exit %d: %s", code, printed);
}

/* server_teardown: also after a failed test. */
static int server_teardown(void **state)
{
    if (server_pid > 0) {
        kill(server_pid, SIGKILL);
        waitpid(server_pid, NULL, 0);
        fclose(server_out);
        server_pid = 0;
    }
    return folder_remove(state);
}

static int dial(void)
{
    struct sockaddr_in address;
    struct timeval patience = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)server_port);
    int on = 1;
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say_bytes(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

static void say(int fd, const char *words) { say_bytes(fd, words, strlen(words)); }

typedef struct answer { int status; char head[2048]; char body[262144]; size_t size; } answer;

static answer got;      /* the last one */

static void hear_exactly(int fd, char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(fd, data, size, 0);
        if (n <= 0) fail_msg("the connection ended inside an answer");
        data += n;
        size -= (size_t)n;
    }
}

/* hear_line: with its LF; into `line`. */
static void hear_line(int fd, char *line, size_t room)
{
    size_t size = 0;
    do {
        assert_true(size + 1 < room);
        hear_exactly(fd, line + size, 1);
    } while (line[size++] != '\n');
    line[size] = 0;
}

static void hear_chunks(int fd)
{
    char line[32];
    unsigned long size;
    do {
        hear_line(fd, line, sizeof line);
        size = strtoul(line, NULL, 16);
        assert_true(got.size + size < sizeof got.body);
        hear_exactly(fd, got.body + got.size, size);
        got.size += size;
        hear_exactly(fd, line, 2);
        assert_memory_equal(line, "\r\n", 2);
    } while (size > 0);
}

/* hear_as: one answer; that to HEAD has no body. */
static int hear_as(int fd, bool body)
{
    size_t at = 0;
    const char *length;
    memset(&got, 0, sizeof got);
    do {
        hear_line(fd, got.head + at, sizeof got.head - at);
        at += strlen(got.head + at);
    } while (at < 4 || strcmp(got.head + at - 4, "\r\n\r\n") != 0);
    assert_int_equal(sscanf(got.head, "HTTP/1.1 %d ", &got.status), 1);
    if (!body || got.status == 100) return got.status;
    length = strstr(got.head, "Content-Length: ");
    if (!length) return hear_chunks(fd), got.status;
    got.size = strtoul(length + 16, NULL, 10);
    assert_true(got.size < sizeof got.body);
    hear_exactly(fd, got.body, got.size);
    return got.status;
}

static int hear(int fd) { return hear_as(fd, true); }

static bool closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}

static void say_post(int fd, const char *type, const char *more, const char *body)
{
    char head[1024];
    snprintf(head, sizeof head, "POST /api/v1/telemetry HTTP/1.1\r\nHost: 127.0.0.1\r\n"
             "Content-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", type, strlen(body), more);
    say(fd, head);
    say(fd, body);
}

static int post(const char *type, const char *more, const char *body)
{
    int fd = dial();
    say_post(fd, type, more, body);
    int status = hear(fd);
    close(fd);
    return status;
}

static int post_json(const char *body) { return post("application/json", "", body); }

/* ask: a raw request on a connection of its own. */
static int ask(const char *request)
{
    int fd = dial();
    say(fd, request);
    int status = hear(fd);
    close(fd);
    return status;
}

static int get(const char *target)
{
    char request[512];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    return ask(request);
}

static size_t lines_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++) n += *s == '\n';
    return n;
}

static size_t stored_count(void)
{
    assert_int_equal(get("/events"), 200);
    return lines_of(got.body);
}

static void test_server_body_forms(void **state)
{
    (void)state;
    server_start(NULL);
    assert_int_equal(post_json(EVENT), 201);
    assert_string_equal(got.body, "{\"status\":\"success\"}\n");
    assert_int_equal(post("application/json; charset=utf-8", "", " [" EVENT " ,\n" EVENT "]"), 201);
    assert_int_equal(post("application/x-ndjson", "", EVENT "\n\n" EVENT "\n" EVENT "\n"), 201);
    assert_int_equal(get("/events"), 200);
    assert_non_null(strstr(got.head, "Content-Type: application/x-ndjson\r\n"));
    assert_int_equal(lines_of(got.body), 6);
    for (char *line = got.body; *line; line = strchr(line, '\n') + 1) {
        event e;
        size_t size = strcspn(line, "\n") + 1;
        assert_true(stored_read(line, size, &e));
        assert_string_equal(e.name, "app_launch");
        assert_memory_equal(line, STORED, strlen(STORED) - strlen(STAMP) - 3);
    }
    server_stop();
}

static void test_server_refuses_a_whole_batch(void **state)
{
    (void)state;
    server_start(NULL);
    assert_int_equal(post_json("[" EVENT ",{\"hwid\":\"x\"}]"), 400);
    assert_string_equal(got.body, "{\"status\":\"error\",\"field\":\"hwid\","
                        "\"message\":\"must be a UUID: 8-4-4-4-12 hexadecimal digits\","
                        "\"index\":1}\n");
    assert_int_equal(post_json("{\"h\\\"\\n\":1}"), 400);
    assert_non_null(strstr(got.body, "\"field\":\"h\\\"\\u000a\""));
    assert_null(strstr(got.body, "index"));
    assert_int_equal(post("application/x-ndjson", "", EVENT "\n{}\n"), 400);
    assert_non_null(strstr(got.body, "\"index\":1"));
    assert_int_equal(post_json(""), 400);
    assert_int_equal(stored_count(), 0);
    server_stop();
}

static void test_server_statuses(void **state)
{
    static const struct { const char *request; int status; const char *field; } asks[] = {
        {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200, "application/json"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, "Content-Type: text/html; charset=utf-8\r\n"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, "Content-Security-Policy: default-src 'none';"},
        {"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, NULL},
        {"GET /live HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, NULL},
        {"POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, NULL},
        {"GET http://127.0.0.1/health?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", 200, NULL},
        {"\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200, NULL},
        {"GET /none HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL},
        {"GET /api/v1/telemetry HTTP/1.1\r\nHost: x\r\n\r\n", 405, "Allow: POST\r\n"},
        {"POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 405,
         "Allow: GET, HEAD\r\n"},
        {"POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n",
         411, "Connection: close"},
        {"POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400, NULL},
        {"POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         "Content-Length: 4194305\r\n\r\n", 413, "Connection: close"},
        {"POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         "Transfer-Encoding: chunked\r\n\r\n400001\r\na", 413, "Connection: close"},
        {"POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
         "Content-Length: 2\r\n\r\n{}", 415, NULL},
        {"POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 415, NULL},
        {"POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
         "Content-Length: 2\r\n\r\n", 415, "Connection: close"},
        {"GET /events HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, NULL},
        {"GET /events?limit=x HTTP/1.1\r\nHost: x\r\n\r\n", 400, NULL},
        {"GET /events?limit= HTTP/1.1\r\nHost: x\r\n\r\n", 400, NULL},
        {"GET /events?event=a%20b HTTP/1.1\r\nHost: x\r\n\r\n", 400, NULL},
        {"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, NULL}, {"nonsense\r\n\r\n", 400, NULL},
        {"GET /health HTTP/1.0\r\n\r\n", 200, "Connection: close"},
        {"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "Connection: keep-alive"}};
    (void)state;
    server_start(NULL);
    for (size_t i = 0; i < COUNT_OF(asks); i++) {
        int status = ask(asks[i].request);
        if (status != asks[i].status) fail_msg("%d for %s", status, asks[i].request);
        if (asks[i].field && !strstr(got.head, asks[i].field)) fail_msg("no %s", asks[i].field);
        if (status >= 400) assert_non_null(strstr(got.body, "\"status\":\"error\""));
    }
    server_stop();
}

/* A refused request whose body was read leaves the connection in use. */
static void test_server_refusal_keeps_the_connection(void **state)
{
    (void)state;
    server_start(NULL);
    int fd = dial();
    say_post(fd, "text/plain", "", EVENT);
    assert_int_equal(hear(fd), 415);
    say_post(fd, "application/json", "", "{");
    assert_int_equal(hear(fd), 400);
    say_post(fd, "application/json", "", EVENT);
    assert_int_equal(hear(fd), 201);
    say_post(fd, "application/json", "Connection: close\r\n", EVENT);
    assert_int_equal(hear(fd), 201);
    assert_true(closed(fd));
    close(fd);
    server_stop();
}

static void test_server_limits(void **state)
{
    static char big[BODY_MAX + 1024];
    char head[256];
    (void)state;
    server_start(NULL);
    memset(big, 'a', HEAD_MAX + 1);
    int fd = dial();
    say(fd, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
    say_bytes(fd, big, HEAD_MAX);
    assert_int_equal(hear(fd), 431);
    assert_true(closed(fd));
    close(fd);
    fd = dial();
    say(fd, "GET /");
    say_bytes(fd, big, TARGET_MAX);
    say(fd, " HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd), 414);
    close(fd);
    /* A body of exactly 4 MiB is read to its end: blanks, and an event at the end of them. */
    memset(big, ' ', sizeof big);
    memcpy(big + BODY_MAX - strlen(EVENT), EVENT, strlen(EVENT));
    fd = dial();
    snprintf(head, sizeof head, "POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\n"
             "Content-Type: application/json\r\nContent-Length: %u\r\n\r\n", BODY_MAX);
    say(fd, head);
    say_bytes(fd, big, BODY_MAX);
    assert_int_equal(hear(fd), 201);
    close(fd);
    server_stop();
}

#define CHUNKED_HEAD "POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\n" \
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_server_chunked_byte_by_byte(void **state)
{
    const char *whole = EVENT;
    char request[2048];
    (void)state;
    server_start(NULL);
    snprintf(request, sizeof request, "%s5\r\n%.5s\r\n%zx;a=b\r\n%s\r\n0\r\nX: y\r\n\r\n",
             CHUNKED_HEAD, whole, strlen(whole) - 5, whole + 5);
    int fd = dial();
    for (int round = 0; round < 2; round++) {
        for (const char *c = request; *c; c++) say_bytes(fd, c, 1);
        assert_int_equal(hear(fd), 201);
    }
    say_post(fd, "application/json", "", EVENT);
    assert_int_equal(hear(fd), 201);
    say(fd, CHUNKED_HEAD "zz\r\n");
    assert_int_equal(hear(fd), 400);
    assert_true(closed(fd));
    close(fd);
    assert_int_equal(stored_count(), 3);
    server_stop();
}

static void test_server_pipelining(void **state)
{
    char request[8192];
    size_t at = 0;
    (void)state;
    server_start(NULL);
    for (int i = 0; i < 10; i++)
        at += (size_t)snprintf(request + at, sizeof request - at, "%s%zx\r\n%s\r\n0\r\n\r\n"
                               "GET /none%d HTTP/1.1\r\nHost: x\r\n\r\n", CHUNKED_HEAD,
                               strlen(EVENT), EVENT, i);
    int fd = dial();
    say_bytes(fd, request, at);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(hear(fd), 201);
        assert_int_equal(hear(fd), 404);
    }
    assert_true(closed(fd));
    close(fd);
    server_stop();
}

static void test_server_continue(void **state)
{
    char head[256];
    (void)state;
    server_start(NULL);
    int fd = dial();
    snprintf(head, sizeof head, "POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\n"
             "Expect: 100-Continue\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n",
             strlen(EVENT));
    say(fd, head);
    assert_int_equal(hear(fd), 100);
    say(fd, EVENT);
    assert_int_equal(hear(fd), 201);
    close(fd);
    server_stop();
}

static void test_server_head_requests(void **state)
{
    (void)state;
    server_start(NULL);
    assert_int_equal(post_json(EVENT), 201);
    int fd = dial();
    say(fd, "HEAD /events HTTP/1.1\r\nHost: x\r\n\r\nHEAD /stats HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear_as(fd, false), 200);
    assert_int_equal(hear_as(fd, false), 200);
    assert_non_null(strstr(got.head, "Content-Length: "));
    say(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd), 200);
    close(fd);
    server_stop();
}

static void test_server_idempotency(void **state)
{
    (void)state;
    server_start(NULL);
    assert_int_equal(post("application/json", "Idempotency-Key: a\r\n", "{}"), 400);
    assert_int_equal(post("application/json", "Idempotency-Key: a\r\n", EVENT), 201);
    assert_int_equal(post("application/json", "Idempotency-Key: a\r\n", EVENT), 200);
    assert_string_equal(got.body, "{\"status\":\"success\",\"duplicate\":true}\n");
    assert_int_equal(post("application/json", "Idempotency-Key: b\r\n", EVENT), 201);
    assert_int_equal(stored_count(), 2);
    server_stop();
}

static void test_server_key(void **state)
{
    const char *more[] = {"--key", "secret", NULL};
    (void)state;
    server_start(more);
    assert_int_equal(post_json(EVENT), 401);
    assert_int_equal(post("application/json", "X-Telemetry-Key: secre\r\n", EVENT), 401);
    assert_int_equal(post("application/json", "X-Telemetry-Key: secretsecret\r\n", EVENT), 401);
    assert_int_equal(post("application/json", "X-Telemetry-Key:\r\n", EVENT), 401);
    assert_int_equal(post("application/json", "X-Telemetry-Key: secret\r\n", EVENT), 201);
    assert_int_equal(stored_count(), 1);
    server_stop();
}

/* failures_of: which of 64 requests fail, as text of 4, 5 and '.'. */
static void failures_of(const char *seed, char out[65])
{
    const char *more[] = {"--fail", "503:0.25", "--fail", "429:0.25", "--retry-after", "7",
                          "--seed", seed, NULL};
    size_t stored = 0;
    server_start(more);
    int fd = dial();
    for (int i = 0; i < 64; i++) {
        say_post(fd, "application/json", "", EVENT);
        int status = hear(fd);
        out[i] = status == 503 ? '5' : status == 429 ? '4' : status == 201 ? '.' : '?';
        if (status != 201) assert_non_null(strstr(got.head, "Retry-After: 7\r\n"));
        stored += status == 201;
    }
    out[64] = 0;
    close(fd);
    assert_int_equal(stored_count() % 64, stored);
    server_stop();
    assert_int_equal(unlink(raw_path(today())) & unlink(path_of("daily.ndjson")), 0);
}

static void test_server_failures(void **state)
{
    char one[65], again[65], other[65];
    (void)state;
    failures_of("5", one);
    failures_of("5", again);
    failures_of("6", other);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    assert_non_null(strchr(one, '5'));
    assert_non_null(strchr(one, '4'));
    assert_non_null(strchr(one, '.'));
    assert_null(strchr(one, '?'));
}

static void test_server_silent_failure(void **state)
{
    const char *more[] = {"--fail=0:1", NULL};
    (void)state;
    server_start(more);
    int fd = dial();
    say_post(fd, "application/json", "", EVENT);
    assert_true(closed(fd));
    close(fd);
    assert_int_equal(stored_count(), 1);
    server_stop();
}

/* Ten minutes of delay, yet all requests are stored at once; the end sends what waits. */
static void test_server_delay_does_not_block(void **state)
{
    const char *more[] = {"--delay-ms", "600000", NULL};
    int fds[10];
    (void)state;
    server_start(more);
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = dial();
        say_post(fds[i], "application/json", "", EVENT);
    }
    while (lines_of(slurp(raw_path(today()))) < COUNT_OF(fds)) poll(NULL, 0, 1);
    server_stop();
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        assert_int_equal(hear(fds[i]), 201);
        close(fds[i]);
    }
}

static void test_server_delays(void **state)
{
    const char *more[] = {"--delay-ms", "50", NULL};
    (void)state;
    server_start(more);
    int64_t begin = clock_ms(CLOCK_MONOTONIC);
    assert_int_equal(post_json(EVENT), 201);
    assert_true(clock_ms(CLOCK_MONOTONIC) - begin >= 50);
    int fd = dial();                                /* the second answer meets a broken pipe */
    for (int i = 0; i < 3; i++) say_post(fd, "application/json", "", EVENT);
    close(fd);
    for (int i = 0; i < 4; i++) assert_int_equal(post_json(EVENT), 201);
    server_stop();
}

static void test_server_timeouts(void **state)
{
    const char *more[] = {"--timeout-ms", "100", NULL};
    (void)state;
    server_start(more);
    int idle = dial(), slow = dial(), body = dial();
    say(slow, "GET / HTTP/1.1\r\nHo");
    say(body, "POST /api/v1/telemetry HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: 10\r\n\r\n{");
    assert_int_equal(hear(slow), 408);
    assert_true(closed(slow));
    assert_int_equal(hear(body), 408);
    assert_true(closed(body));
    assert_true(closed(idle));
    close(idle);
    close(slow);
    close(body);
    server_stop();
}

static void test_server_many_connections(void **state)
{
    int fds[300];
    (void)state;
    server_start(NULL);
    for (size_t i = 0; i < COUNT_OF(fds); i++) fds[i] = dial();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(fds); i++) say_post(fds[i], "application/json", "", EVENT);
        for (size_t i = 0; i < COUNT_OF(fds); i++) assert_int_equal(hear(fds[i]), 201);
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++) close(fds[i]);
    assert_int_equal(stored_count(), 2 * COUNT_OF(fds));
    server_stop();
}

/* With few descriptors the rest waits in the system's queue and is served when others leave. */
static void test_server_few_descriptors(void **state)
{
    int fds[60];
    (void)state;
    child_files = 40;                               /* 32 are the collector's own */
    server_start(NULL);
    child_files = 0;
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = dial();
        say_post(fds[i], "application/json", "", EVENT);
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        assert_int_equal(hear(fds[i]), 201);
        close(fds[i]);
    }
    server_stop();
}

static void test_server_events_filters(void **state)
{
    char name[32];
    (void)state;
    for (long day = today() - 2; day <= today() - 1; day++) plant(raw_path(day), STORED STORED);
    server_start(NULL);
    for (int i = 0; i < 5; i++) {
        char body[512];
        snprintf(name, sizeof name, "e%d", i);
        snprintf(body, sizeof body, "{\"hwid\":\"%s\",\"event_name\":\"%s\",\"app_version\":\"\","
                 "\"client_type\":\"t\",\"metadata\":{}}", HWID_TEXT, name);
        assert_int_equal(post_json(body), 201);
    }
    assert_int_equal(stored_count(), 9);
    assert_int_equal(get("/events?limit=2"), 200);
    assert_int_equal(lines_of(got.body), 2);
    assert_non_null(strstr(strstr(got.body, "\"e3\""), "\"e4\""));
    assert_int_equal(get("/events?limit=6"), 200);
    assert_int_equal(lines_of(got.body), 6);
    assert_memory_equal(got.body, STORED, strlen(STORED));
    assert_int_equal(get("/events?limit=0"), 200);
    assert_int_equal(got.size, 0);
    assert_int_equal(get("/events?event=app_launch&limit=3"), 200);
    assert_int_equal(lines_of(got.body), 3);
    assert_null(strstr(got.body, "\"e1\""));
    assert_int_equal(get("/events?event=e1"), 200);
    assert_int_equal(lines_of(got.body), 1);
    assert_int_equal(get("/events?event=none"), 200);
    assert_int_equal(got.size, 0);
    server_stop();
}

/* More than sockets and blocks hold, so that the answer is sent in many pieces. */
static void test_server_long_listing(void **state)
{
    const size_t lines = 60000;
    char buffer[8192];
    size_t total = 0;
    ssize_t n;
    (void)state;
    FILE *file = fopen(raw_path(today()), "w");
    for (size_t i = 0; i < lines; i++) fputs(STORED, file);
    fclose(file);
    server_start(NULL);
    int fd = dial();
    say(fd, "GET /events HTTP/1.0\r\n\r\n");
    assert_int_equal(get("/health"), 200);          /* while the other does not read */
    char line[256];
    do hear_line(fd, line, sizeof line); while (strcmp(line, "\r\n") != 0);
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) total += (size_t)n;
    assert_int_equal(total, lines * strlen(STORED));
    close(fd);
    for (int i = 0; i < 5; i++) {                   /* who leaves in mid-answer harms nobody */
        fd = dial();
        say(fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        hear_line(fd, line, sizeof line);
        close(fd);
        assert_int_equal(get("/events?limit=10"), 200);
    }
    server_stop();
}

/* Who asks for what is rare lets others have their turn while the files are read. */
static void test_server_rare_listing(void **state)
{
    static const char *const targets[] = {"/events?event=rare", "/events?event=rare&limit=5"};
    (void)state;
    FILE *file = fopen(raw_path(today()), "w");
    for (size_t i = 0; i < 200000; i++) fputs(STORED, file);
    fputs(EVENT_OF("rare", "{},\"created_at\":\"" STAMP "\"") "\n", file);
    fclose(file);
    server_start(NULL);
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        char request[128], line[256];
        int fd = dial();
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
        say(fd, request);
        do hear_line(fd, line, sizeof line); while (strcmp(line, "\r\n") != 0);
        assert_int_equal(get("/health"), 200);
        assert_int_equal(recv(fd, line, 1, MSG_PEEK | MSG_DONTWAIT), -1);
        memset(&got, 0, sizeof got);
        hear_chunks(fd);
        assert_int_equal(lines_of(got.body), 1);
        assert_non_null(strstr(got.body, "\"rare\""));
        close(fd);
    }
    server_stop();
}

#define STATS_EVENT(ms, ok) EVENT_OF("query.executed", \
    "{\"db_type\":\"d\",\"latency_ms\":" ms ",\"success\":" ok ",\"sampling_rate\":0.5}")

static void test_server_stats_survive(void **state)
{
    const char *expected = "{\"total\":3,\"since\":\"%s\",\"events\":{"
        "\"app_launch\":{\"count\":1,\"success_true\":0,\"success_false\":0,\"estimated_total\":1,"
        "\"duration_count\":0,\"p50_ms\":null,\"p95_ms\":null,\"p99_ms\":null,\"max_ms\":null},"
        "\"query.executed\":{\"count\":2,\"success_true\":1,\"success_false\":1,"
        "\"estimated_total\":4,"
        "\"duration_count\":2,\"p50_ms\":5,\"p95_ms\":10,\"p99_ms\":10,\"max_ms\":10}}}\n";
    char wanted[1024], day[11];
    (void)state;
    day_text(today(), day);
    snprintf(wanted, sizeof wanted, expected, day);
    server_start(NULL);
    assert_int_equal(post("application/x-ndjson", "", STATS_EVENT("5", "true") "\n"
                          STATS_EVENT("10", "false") "\n" EVENT), 201);
    assert_int_equal(get("/stats"), 200);
    assert_string_equal(got.body, wanted);
    server_stop();
    assert_int_equal(lines_of(slurp(path_of("daily.ndjson"))), 2);
    assert_non_null(strstr(slurp(path_of("daily.ndjson")), "\"db_type\":\"d\",\"count\":2,"));
    assert_int_equal(unlink(raw_path(today())), 0);         /* only the aggregates remain */
    server_start(NULL);
    assert_int_equal(get("/stats"), 200);
    assert_string_equal(got.body, wanted);
    assert_int_equal(kill(server_pid, SIGKILL), 0);
    assert_true(child_end() >= 1000);
    server_start(NULL);                                     /* no lock is left behind */
    assert_int_equal(get("/stats"), 200);
    assert_string_equal(got.body, wanted);
    server_stop();
}

/* == live ==================================================================================== */

typedef struct frame { bool whole; unsigned long from, to, total; char json[1 << 20]; } frame;

static frame heard;

/* hear_frame: one chunk, which is one server-sent event with one line of data. */
static void hear_frame(int fd)
{
    char line[32], *data = heard.json;
    hear_line(fd, line, sizeof line);
    size_t size = strtoul(line, NULL, 16);
    assert_in_range(size, 22, sizeof heard.json - 1);
    hear_exactly(fd, data, size);
    data[size] = 0;
    hear_exactly(fd, line, 2);
    assert_memory_equal(line, "\r\n", 2);
    assert_memory_equal(data, "event: frame\ndata: {", 20);
    assert_string_equal(data + size - 2, "\n\n");
    assert_null(memchr(data + 19, '\n', size - 21));
    assert_null(memchr(data, '\r', size));
    assert_true(json_whole(data + 19, size - 21, NULL));
    heard.whole = strncmp(data + 19, "{\"whole\":true,", 14) == 0;
    assert_int_equal(sscanf(strstr(data, "\"from\""), "\"from\":%lu,\"to\":%lu,\"total\":%lu",
                            &heard.from, &heard.to, &heard.total), 3);
}

/* The n-th allocation fails: a frame is all there, or known to be none. Then its kinds. */
static void test_live_frames(void **state)
{
    server *s = calloc(1, sizeof *s);
    conn c;
    batch b;
    fault f;
    unsigned long n = 0;
    bool good = false;
    (void)state;
    memset(&c, 0, sizeof c);
    s->store.dir_fd = -1;
    assert_true(batch_of(EVENT "\n" FAILED("aa"), true, &b, &f));
    for (size_t i = 0; i < b.count; i++)
        assert_true(store_count(&s->store, 1, &b.events[i],
                                b.lines.data + b.events[i].metadata_at, 9));
    while (!good) {
        text out = {NULL, 0, 0, false};
        assert_true(n < 100);
        c.live_whole = true;
        fail_at = ++n;
        live_json(&out, s, &c);
        good = fail_at > 0;
        fail_at = 0;
        assert_int_equal(good, !out.failed);
        assert_true(out.failed || json_whole(out.data, out.size, NULL));
        text_free(&out);
    }
    assert_in_range(n, 2, 99);
    static const struct { bool asked; unsigned epoch; const char *begin; } kinds[] = {
        {false, 0, "{\"whole\":false,\"from\":1,\"to\":2,\"total\":2,"},
        {true, 0, "{\"whole\":true,\"from\":0,\"to\":2,\"total\":2,"},
        {false, 1, "{\"whole\":true,\"from\":0,\"to\":2,\"total\":2,"}};    /* something went */
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        text out = {NULL, 0, 0, false};
        c.live_whole = kinds[i].asked;
        c.live_version = 1;
        s->store.epoch = kinds[i].epoch;
        live_json(&out, s, &c);
        assert_memory_equal(out.data, kinds[i].begin, strlen(kinds[i].begin));
        text_free(&out);
    }
    batch_free(&b);
    table_free(&s->store.rows);
    table_free(&s->store.sums);
    free(s);
}

/* ask_live: on a connection with a small window. */
static int ask_live(int *fd)
{
    int small = 65536;
    *fd = dial();
    assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    say(*fd, "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return hear_as(*fd, false);
}

static int dial_live(void)
{
    char retry[24] = "";
    int fd;
    assert_int_equal(ask_live(&fd), 200);
    assert_non_null(strstr(got.head, "Content-Type: text/event-stream\r\n"));
    hear_exactly(fd, retry, 18);
    assert_string_equal(retry, "d\r\nretry: 1000\n\n\r\n");
    hear_frame(fd);
    assert_true(heard.whole);
    return fd;
}

/* hear_until: frames up to that version; each follows the one before. How many. */
static int hear_until(int fd, unsigned long to)
{
    int count = 0;
    for (unsigned long from = heard.to; heard.to < to; from = heard.to, count++) {
        hear_frame(fd);
        assert_false(heard.whole);
        assert_int_equal(heard.from, from);
    }
    assert_int_equal(heard.to, to);
    return count;
}

static void test_server_live(void **state)
{
    (void)state;
    server_start(NULL);
    int fd = dial_live();
    assert_int_equal(heard.to, 0);
    assert_non_null(strstr(heard.json, "\"total\":0,\"since\":null,\"names\":[],\"errors\":[],"
                                       "\"recent\":[],\"rate\":[0,"));
    assert_non_null(strstr(heard.json, "\"raw_days\":30,\"raw_files\":0,\"raw_bytes\":0,"
                                       "\"raw_oldest\":null,\"daily_days\":400,"));
    assert_int_equal(post_json(EVENT), 201);
    hear_until(fd, 1);
    assert_int_equal(post_json(EVENT_OF("q", "{ \"latency_ms\" :\n 7,\t\"success\":true}")), 201);
    assert_int_equal(post_json("[" FAILED("h\\\"h") "," FAILED("h\\\"h") "]"), 201);
    hear_until(fd, 4);
    close(fd);
    fd = dial_live();                                   /* who comes is told everything */
    assert_int_equal(heard.to, 4);
    assert_non_null(strstr(heard.json, "\"names\":[{\"event\":\"app_launch\",\"count\":1,"));
    assert_non_null(strstr(heard.json, "{\"event\":\"q\",\"count\":1,\"success_true\":1,"
        "\"success_false\":0,\"estimated_total\":1,\"duration_count\":1,\"p50_ms\":7,"));
    assert_non_null(strstr(heard.json, "\"errors\":[{\"hash\":\"h\\\"h\",\"event\":\"Error\","
                                       "\"exception\":\"E\",\"count\":2,\"last\":\"20"));
    assert_non_null(strstr(heard.json, ",\"q\",true,7,{\"latency_ms\":7,\"success\":true}],[3,"));
    assert_non_null(strstr(heard.json, "\"raw_files\":1,"));
    assert_non_null(strstr(heard.json, "\"daily_behind\":true,\"by_day\":[[\"20"));
    say(fd, "GET / HTTP/1.1\r\n");                      /* no answer, and no harm */
    assert_int_equal(post_json(EVENT), 201);
    hear_until(fd, 5);
    assert_non_null(strstr(heard.json, "\"names\":[{\"event\":\"app_launch\",\"count\":2,"));
    assert_null(strstr(heard.json, "\"q\""));           /* it did not change */
    assert_non_null(strstr(heard.json, "\"errors\":[]"));
    close(fd);
    server_stop();
}

/* A page that does not read: nobody waits for it, and it misses nothing. */
static void test_server_live_slow_reader(void **state)
{
    static char body[1 << 20];
    const int rounds = 24, each = 400;
    const struct timespec frame_time = {0, (FRAME_MS + 20) * 1000000L};
    size_t size = 0;
    char filler[601] = "";
    (void)state;
    memset(filler, 'f', sizeof filler - 1);
    for (int i = 0; i < each; i++)
        size += (size_t)snprintf(body + size, sizeof body - size,
                                 EVENT_OF("big", "{\"f\":\"%s\"}") "\n", filler);
    server_start(NULL);
    int fd = dial_live();
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(post("application/x-ndjson", "", body), 201);
        nanosleep(&frame_time, NULL);
    }
    int frames = hear_until(fd, (unsigned long)(rounds * each));
    assert_int_equal(heard.total, rounds * each);
    if (frames > rounds / 2) fail_msg("%d frames waited for it", frames);
    close(fd);
    server_stop();
}

static void test_server_live_limits(void **state)
{
    const char *more[] = {"--timeout-ms", "300", NULL};
    char line[64];
    int fd, third;
    (void)state;
    server_start(more);
    fd = dial();
    say(fd, "HEAD /live HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear_as(fd, false), 200);
    assert_int_equal(hear(fd), 200);
    close(fd);
    fd = dial();
    say(fd, "GET /live HTTP/1.0\r\n\r\n");              /* no chunks for the old version */
    assert_int_equal(hear_as(fd, false), 200);
    assert_null(strstr(got.head, "chunked"));
    hear_line(fd, line, sizeof line);
    assert_string_equal(line, "retry: 1000\n");
    int second = dial_live();
    assert_int_equal(ask_live(&third), 503);
    assert_non_null(strstr(got.head, "Retry-After: 5\r\n"));
    close(third);
    close(fd);
    while (ask_live(&third) == 503) close(third);       /* until it has seen that one went */
    close(third);
    for (int i = 0; i < 3; i++) {   /* an idle page is no slow one, whatever the limit for these */
        hear_frame(second);
        assert_int_equal(heard.from, heard.to);
    }
    close(second);
    server_stop();
}

static void test_server_retention_at_start(void **state)
{
    const char *more[] = {"--retain-days", "7", NULL};
    char old[256];
    (void)state;
    strcpy(old, raw_path(today() - 9));
    plant(old, STORED);
    plant(raw_path(today() - 6), STORED);
    server_start(more);
    assert_int_equal(stored_count(), 1);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(get("/stats"), 200);
    assert_non_null(strstr(got.body, "\"total\":2,"));
    server_stop();
}

static void test_server_disk_errors(void **state)
{
    (void)state;
    server_start(NULL);
    mkdir(raw_path(today()), 0700);
    mkdir(raw_path(today() + 1), 0700);                     /* in case midnight is now */
    assert_int_equal(post_json(EVENT), 500);
    assert_int_equal(post("application/json", "Idempotency-Key: a\r\n", EVENT), 500);
    rmdir(raw_path(today()));
    rmdir(raw_path(today() + 1));
    assert_int_equal(post("application/json", "Idempotency-Key: a\r\n", EVENT), 201);
    server_stop();
    assert_non_null(strstr(printed, "cannot store events: "));
}

static void test_server_folder_is_locked(void **state)
{
    (void)state;
    server_start(NULL);
    pid_t first = server_pid;
    FILE *first_out = server_out;
    const char *words[] = {"--port", "0", "--dir", folder, NULL};
    child_begin(words);
    int code = child_end();
    server_pid = first;
    server_out = first_out;
    assert_int_equal(code, 1);
    assert_non_null(strstr(printed, "another collector"));
    server_stop();
}

static void test_server_signals(void **state)
{
    char file[96];
    const char *more[] = {"--port-file", file, NULL};
    (void)state;
    snprintf(file, sizeof file, "%s/port", folder);
    server_start(more);
    int fd = dial();
    say(fd, "POST /api/v1/tele");                           /* left open on purpose */
    assert_int_equal(get("/health"), 200);
    assert_int_equal(strtol(slurp(file), NULL, 10), server_port);
    assert_int_equal(kill(server_pid, SIGINT), 0);
    assert_int_equal(child_end(), 0);
    assert_non_null(strstr(printed, "stopped, 0 events stored"));
    assert_true(closed(fd));
    close(fd);
}

static void test_server_takes_any_bytes(void **state)
{
    uint64_t random = 1;
    (void)state;
    server_start(NULL);
    for (int i = 0; i < 200; i++) {
        char noise[256];
        int fd = dial();
        if (i % 2) say(fd, CHUNKED_HEAD);
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (char)((random = random * UINT64_C(6364136223846793005) + 1) >> 56);
        say_bytes(fd, noise, sizeof noise);
        close(fd);
    }
    assert_int_equal(get("/health"), 200);
    server_stop();
}

/* == command line ============================================================================ */

static void test_options_refused(void **state)
{
    static const char *const bad[][3] = {
        {"--retain-days", "6", "from 7 to 30"}, {"--retain-days", "31", "from 7 to 30"},
        {"--retain-days", "x", "from 7 to 30"}, {"--retain-days=8.5", NULL, "from 7 to 30"},
        {"--retain-aggregates-days", "89", "from 90"}, {"--port", "65536", "from 0 to 65535"},
        {"--port", NULL, "needs a value"}, {"--por", "1", "no option"}, {"x", NULL, "no option"},
        {"--fail", "503", "STATUS:SHARE"}, {"--fail", "503:1.5", "STATUS:SHARE"},
        {"--fail", "200:1", "STATUS:SHARE"}, {"--fail", "503:-1", "STATUS:SHARE"},
        {"--fail", "503:nan", "STATUS:SHARE"}, {"--key", "", "--key"}, {"--seed", "-1", "from 0"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int code = run(bad[i][0], bad[i][1], NULL);
        if (code != 2) fail_msg("%d for %s", code, bad[i][0]);
        if (!strstr(printed, bad[i][2])) fail_msg("%s: %s", bad[i][0], printed);
    }
    assert_int_equal(run("--fail=503:0.6", "--fail=500:0.6", NULL), 2);
}

static void test_help_names_every_option(void **state)
{
    (void)state;
    assert_int_equal(run("--help", NULL, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(option_rows); i++)
        if (!strstr(printed, option_rows[i].name)) fail_msg("%s", option_rows[i].name);
}

static void test_show(void **state)
{
    (void)state;
    assert_int_equal(run("--show", folder, NULL), 0);
    assert_non_null(strstr(printed, "total"));
    plant(raw_path(20000), STORED STORED "garbage\n");
    plant(raw_path(20001), EVENT_OF("b", "{\"k\":\"\xC2\x9B" LONG64 LONG64 "\"},"
                                    "\"created_at\":\"\"") "\n");
    setenv("COLUMNS", "60", 1);
    assert_int_equal(run("--show", folder, NULL), 0);
    unsetenv("COLUMNS");
    char wanted[512];
    snprintf(wanted, sizeof wanted,
             "EVENT           COUNT  NEWEST METADATA\n"
             "app_launch          2  {\"os\":\"Linux\"}\n"
             "b                   1  {\"k\":\"?012345678901234567890123456...\n"
             "total               3  in 2 files: %s/events-*.ndjson\n", folder);
    assert_string_equal(printed, wanted);
    assert_int_equal(run("--show", "/nonexistent", NULL), 1);
}

#define PURE(f) cmocka_unit_test(f)
#define DISK(f) cmocka_unit_test_setup_teardown(f, folder_new, server_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PURE(test_json_accepts), PURE(test_json_refuses), PURE(test_json_depth),
        PURE(test_json_copies_compactly), PURE(test_json_decodes),
        PURE(test_event_becomes_a_line), PURE(test_event_is_noted), PURE(test_envelope_refusals),
        PURE(test_envelope_limits_that_hold), PURE(test_batches), PURE(test_damaged_bodies),
        PURE(test_memory_runs_out), PURE(test_histogram_error), PURE(test_histogram_percentiles),
        PURE(test_days), PURE(test_row_round_trip), PURE(test_rows_have_a_limit),
        PURE(test_http_parse), PURE(test_http_fields), PURE(test_http_head_size_bytewise),
        PURE(test_chunks_at_every_cut), PURE(test_chunks_refused),
        PURE(test_errors_are_counted), PURE(test_errors_have_a_limit), PURE(test_recent_events),
        PURE(test_rate), PURE(test_live_frames),
        PURE(test_names_of_this_machine), PURE(test_keys_are_forgotten_in_order),
        DISK(test_store_counts_survive), DISK(test_store_counts_after_a_shorter_file),
        DISK(test_store_counts_after_a_bad_line),
        DISK(test_store_undoes_half_a_batch), DISK(test_store_passes_over_a_cut_line),
        DISK(test_store_retires), DISK(test_store_remembers), DISK(test_store_modes),
        DISK(test_store_refuses_links_and_folders), DISK(test_server_body_forms),
        DISK(test_server_refuses_a_whole_batch), DISK(test_server_statuses),
        DISK(test_server_refusal_keeps_the_connection), DISK(test_server_limits),
        DISK(test_server_chunked_byte_by_byte), DISK(test_server_pipelining),
        DISK(test_server_continue), DISK(test_server_head_requests),
        DISK(test_server_idempotency), DISK(test_server_key), DISK(test_server_failures),
        DISK(test_server_silent_failure), DISK(test_server_delay_does_not_block),
        DISK(test_server_delays),
        DISK(test_server_timeouts), DISK(test_server_many_connections),
        DISK(test_server_few_descriptors), DISK(test_server_events_filters),
        DISK(test_server_long_listing), DISK(test_server_rare_listing),
        DISK(test_server_stats_survive),
        DISK(test_server_live), DISK(test_server_live_slow_reader), DISK(test_server_live_limits),
        DISK(test_server_retention_at_start), DISK(test_server_disk_errors),
        DISK(test_server_folder_is_locked), DISK(test_server_signals),
        DISK(test_server_takes_any_bytes), DISK(test_options_refused),
        DISK(test_help_names_every_option), DISK(test_show)};
    signal(SIGXFSZ, SIG_IGN);
    alarm(300);     /* a test that hangs fails */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
