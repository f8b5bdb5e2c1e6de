/* test_events.c: from each call that records an event to the JSON that would be sent.

   tests/golden/events.ndjson holds three lines a row of the catalogue: every member given; none
   given; and every member with op, session, context and a rate below 1 under VIT_CONSENT_VERBOSE.
   What varies from run to run stands there as <hwid> and so on. UPDATE_GOLDEN=1 in the environment
   rewrites the file: read the difference before you commit it.

   Build:   cc -std=c99 -I. tests/test_events.c -o build/tests/test_events -lcmocka -pthread */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "common.h"

#define GOLDEN     "tests/golden/events.ndjson"
#define GOLDEN_NEW "build/tests/events.ndjson"
#define GROUP_SALT "project-wide"
#define UUID_TEXT  "123e4567-e89b-42d3-a456-426614174000"
#define SETTINGS   "telemetry.conf"

/* ---- golden lines ---------------------------------------------------------------------------- */

/* A fixed value for each member, made of its name where it is a text. */
#define FILL_VIT_LABEL(m) #m "_v"
#define FILL_VIT_TEXT(m)  "cannot read bob@example.com at line 12"
#define FILL_VIT_HASH(m)  "db.example.com"
#define FILL_VIT_GROUP(m) "group-value"
#define FILL_VIT_ROW(m)   "row-value"
#define FILL_VIT_TRACE(m) \
    "Traceback:\n  File \"/home/bob/app/main.py\", line 42, in run\nsrc/x.c:14"
#define FILL_VIT_FRAME(m) "main.c:run"
#define FILL_VIT_FILE(m)  "/home/bob/src/main.cpp"
#define FILL_VIT_UUID(m)  UUID_TEXT
#define FILL_VIT_INT(m)   (int64_t)(sizeof #m * 1000u + 7u)
#define FILL_VIT_REAL(m)  0.25
#define FILL_VIT_FLAG(m)  true
#define FILL_VIT_MS(m)    (int64_t)1500
#define FILL(kind, m)     event.m = FILL_##kind(m);

/* One row becomes two functions that track it: with every member, and with none. */
#define TRACK_ROW(row, text, rate, flags, MEMBERS)                 \
    static vit_status full_##row(vit_client *t, const vit_op *op)  \
    {                                                              \
        vit_##row event;                                           \
        memset(&event, 0, sizeof event);                           \
        event.op = op;                                             \
        MEMBERS(FILL)                                              \
        return vit_track_##row(t, &event);                         \
    }                                                              \
    static vit_status empty_##row(vit_client *t, const vit_op *op) \
    {                                                              \
        vit_##row event;                                           \
        memset(&event, 0, sizeof event);                           \
        event.op = op;                                             \
        return vit_track_##row(t, &event);                         \
    }
VIT_CATALOGUE(TRACK_ROW)

typedef vit_status (*track_fn)(vit_client *t, const vit_op *op);

typedef struct row {
    const char *name;
    double      rate;
    uint32_t    flags;
    track_fn    full, empty;
} row;

#define TABLE_ROW(row, text, rate, flags, MEMBERS) { text, rate, flags, full_##row, empty_##row },
static const row rows[] = { VIT_CATALOGUE(TABLE_ROW) };

/* Replaces the value of each member "key":... in line, a number or a string of plain characters. */
static void mask(char *line, size_t room, const char *key, const char *by)
{
    char  name[80], rest[16384];
    char *at = line;
    snprintf(name, sizeof name, "\"%s\":", key);
    while ((at = strstr(at, name)) != NULL) {
        char *value = at + strlen(name);
        char *end = value + (*value == '"' ? strcspn(value + 1, "\"") + 2 : strcspn(value, ",}"));
        snprintf(rest, sizeof rest, "%s", end);
        snprintf(value, room - (size_t)(value - line), "%s%s", by, rest);
        at = value;
    }
}

static void mask_line(char *line, size_t room, bool machine)
{
    mask(line, room, "hwid", "\"<hwid>\"");
    mask(line, room, "correlation_id", "\"<uuid>\"");
    mask(line, room, "host_hash", "\"<hash>\"");
    mask(line, room, "collection_name_hash", "\"<hash>\"");
    if (!machine) return;
    mask(line, room, "os", "\"<os>\"");
    mask(line, room, "cpu_arch", "\"<arch>\"");
    mask(line, room, "cpu_count", "<count>");
    mask(line, room, "ram_gb", "<gb>");
}

/* What is masked has its form all the same. */
static void check_line(const char *line, const row *r)
{
    const char *id = json_at(line, "metadata/correlation_id"), *hash;
    assert_int_equal(strlen(json_at(line, "hwid")), 38);
    assert_int_equal(strlen(id), r->flags & VIT_ROW_CORRELATED || id[0] ? 38 : 0);
    hash = json_at(line, "metadata/host_hash");
    if (hash[0]) assert_hex(hash, 16);
    hash = json_at(line, "metadata/collection_name_hash");
    if (hash[0]) assert_hex(hash, 16);
    assert_string_equal(json_at(line, "metadata/hwid"), "");
    assert_string_equal(json_at(line, "metadata/app_version"), "");
    assert_string_equal(json_at(line, "metadata/client_type"), "");
    assert_string_equal(json_at(line, "metadata/event_name"), "");
}

/* This machine, where the event asked for it. */
static void check_machine(const char *line)
{
    const char *os = json_at(line, "metadata/os"), *arch = json_at(line, "metadata/cpu_arch");
    long        cpus = strtol(json_at(line, "metadata/cpu_count"), NULL, 10);
    long        gb = strtol(json_at(line, "metadata/ram_gb"), NULL, 10);
    if (os[0]) assert_true(strchr(os, '-') && strcspn(os, "0123456789") < strlen(os));
    if (!arch[0]) return;
    assert_true(strlen(arch) > 3 && cpus >= 1 && gb >= 1 && (gb & (gb - 1)) == 0);
}

static void golden_add(FILE *f, vit_client *t, const row *r, bool machine)
{
    char line[16384];
    snprintf(line, sizeof line, "%s", line_of(t));
    check_line(line, r);
    if (machine) check_machine(line);
    mask_line(line, sizeof line, machine);
    fprintf(f, "%s\n", line);
}

/* A session id for which no row is sampled out at this rate. */
static void lucky_session(char out[32], double rate)
{
    size_t   i;
    unsigned n;
    for (n = 0; n < 1000000; n++) {
        snprintf(out, 32, "session-%u", n);
        for (i = 0; i < COUNT_OF(rows) && vit_should_sample(rows[i].name, rate, out);) i++;
        if (i == COUNT_OF(rows)) return;
    }
    fail_msg("no session keeps every event at rate %g", rate);
}

static void golden_plain(FILE *f)
{
    vit_options o = options_of(NULL, NULL);
    vit_client *t = vit_create(&o);
    size_t      i;
    assert_non_null(t);
    for (i = 0; i < COUNT_OF(rows); i++) vit_set_rate(t, rows[i].name, 1.0);
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(rows[i].full(t, NULL), VIT_OK);
        golden_add(f, t, &rows[i], false);
        assert_int_equal(rows[i].empty(t, NULL), VIT_OK);
        golden_add(f, t, &rows[i], true);
    }
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
}

static void golden_dressed(FILE *f)
{
    vit_options o = options_of(NULL, NULL);
    vit_op      op = vit_op_begin();
    char        session[32], id[40], text[37];
    vit_client *t;
    size_t      i;
    lucky_session(session, 0.75);
    o.consent = VIT_CONSENT_VERBOSE;
    t = vit_create(&o);
    assert_non_null(t);
    for (i = 0; i < COUNT_OF(rows); i++) vit_set_rate(t, rows[i].name, 0.75);
    vit_session_begin(t, session, NULL);
    vit_set_context(t, "qdrant", "customers");
    vit_purge(t);
    vit_op_text(&op, text);
    snprintf(id, sizeof id, "\"%s\"", text);
    for (i = 0; i < COUNT_OF(rows); i++) {
        lines l;
        assert_int_equal(rows[i].full(t, &op), VIT_OK);
        l = lines_of(t);
        assert_int_equal(l.count, 1);
        assert_json(l.text[0], "metadata/correlation_id", id);
        lines_free(&l);
        golden_add(f, t, &rows[i], false);
    }
    assert_true(vit_destroy(t, 0));
}

static void copy_file(char *out, size_t size, const char *path)
{
    const char *text = file_read(path);
    assert_true(strlen(text) < size);
    memcpy(out, text, strlen(text) + 1);
}

static void test_golden(void **state)
{
    static char wanted[1 << 18], made[1 << 18];
    const char *update = getenv("UPDATE_GOLDEN");
    const char *path = update && strcmp(update, "1") == 0 ? GOLDEN : GOLDEN_NEW;
    FILE       *f;
    char       *a = made, *b = wanted;
    (void)state;
    (void)mkdir("build", 0755);
    (void)mkdir("build/tests", 0755);
    (void)mkdir("tests/golden", 0755);
    f = fopen(path, "w");
    assert_non_null(f);
    golden_plain(f);
    golden_dressed(f);
    assert_int_equal(fclose(f), 0);
    copy_file(wanted, sizeof wanted, GOLDEN);
    copy_file(made, sizeof made, path);
    assert_int_equal(count_of(wanted, "\n"), 3 * COUNT_OF(rows));
    while (*a || *b) { /* line by line, so that a failure shows one */
        size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
        if (n != m || memcmp(a, b, n) != 0)
            fail_msg("differs:\n got    %.*s\n golden %.*s", (int)n, a, (int)m, b);
        a += n + (a[n] != 0);
        b += m + (b[m] != 0);
    }
}

/* The catalogue itself, against the specification. */
static void test_catalogue(void **state)
{
    size_t i;
    (void)state;
    assert_int_equal(COUNT_OF(rows), 18);
    for (i = 0; i < COUNT_OF(rows); i++) {
        bool high = strcmp(rows[i].name, "query.executed") == 0 ||
                    strcmp(rows[i].name, "embedding.request") == 0;
        assert_true(rows[i].rate > (high ? 0.0499 : 0.9999) &&
                    rows[i].rate < (high ? 0.0501 : 1.0001));
    }
}

/* What leaves is what vit_export shows. */
static void test_export_is_the_wire(void **state)
{
    wire        w;
    vit_options o;
    vit_client *t;
    lines       l;
    size_t      i;
    (void)state;
    wire_init(&w);
    o = options_of(&w, NULL);
    t = vit_create(&o);
    for (i = 0; i < COUNT_OF(rows); i++) vit_set_rate(t, rows[i].name, 1.0);
    for (i = 0; i < COUNT_OF(rows); i++) assert_int_equal(rows[i].full(t, NULL), VIT_OK);
    l = lines_of(t);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(l.count, COUNT_OF(rows));
    assert_int_equal(wire_count(&w), COUNT_OF(rows));
    for (i = 0; i < l.count; i++) assert_string_equal(w.calls[i].body, l.text[i]);
    lines_free(&l);
    assert_true(vit_destroy(t, 0));
    wire_free(&w);
}

/* ---- helpers --------------------------------------------------------------------------------- */

static logs the_logs;

/* A granted client in memory. */
static vit_client *client(void)
{
    vit_options o = options_of(NULL, &the_logs);
    logs_init(&the_logs);
    o.group_salt = GROUP_SALT;
    return client_of(&o);
}

static vit_client *client_verbose(void)
{
    vit_client *t = client();
    vit_set_consent(t, VIT_CONSENT_VERBOSE);
    return t;
}

static void end(vit_client *t)
{
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
}

/* Hexadecimal digits of sha256(value + salt) as a JSON string. */
static const char *salted(const char *value, const char *salt, size_t digits)
{
    static char   text[80];
    char          joined[8192];
    unsigned char digest[32];
    size_t        i;
    snprintf(joined, sizeof joined, "%s%s", value, salt);
    vit_sha256(digest, joined, strlen(joined));
    text[0] = '"';
    for (i = 0; i < digits; i++)
        snprintf(text + 1 + i, 3, "%x\"", (unsigned)(digest[i / 2] >> (i & 1 ? 0 : 4)) & 15u);
    return text;
}

typedef void (*add_fn)(vit_event *e, const char *key, const char *value);
static const struct {
    const char *name, *suffix;
    add_fn      add;
} adders[] = { { "label", "", vit_add_label },    { "text", "", vit_add_text },
               { "hash", "_hash", vit_add_hash }, { "group", "_hash", vit_add_group },
               { "row", "_hash", vit_add_row },   { "file", "", vit_add_file },
               { "uuid", "", vit_add_uuid } };

/* One event with one text member `m`, as JSON; its status goes to *status where it is wanted. */
static const char *with_text(vit_client *t, add_fn add, const char *value, vit_status *status)
{
    vit_event  e;
    vit_status s;
    vit_event_begin(&e, t, "x", NULL);
    add(&e, "m", value);
    s = vit_event_send(&e);
    if (status) *status = s;
    else assert_int_equal(s, VIT_OK);
    return s == VIT_OK || s == VIT_TRUNCATED ? line_of(t) : "{}";
}

/* ---- builder --------------------------------------------------------------------------------- */

static void test_builder_kinds(void **state)
{
    vit_client *t = client();
    vit_op      op = vit_op_begin();
    vit_event   e;
    const char *line;
    char        id[37], quoted[40];
    (void)state;
    vit_event_begin(&e, t, "file.opened", &op);
    vit_add_label(&e, "label", "csv");
    vit_add_text(&e, "text", "mail bob@example.com now");
    vit_add_hash(&e, "host", "db.example.com");
    vit_add_group(&e, "team", "group-value");
    vit_add_row(&e, "record", "row-value");
    vit_add_file(&e, "file", "/home/bob/a.csv");
    vit_add_uuid(&e, "uuid", UUID_TEXT);
    vit_add_int(&e, "int", -5);
    vit_add_ms(&e, "ms", 250);
    vit_add_real(&e, "real", 0.1);
    vit_add_flag(&e, "no", false);
    vit_add_flag(&e, "yes", true);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_json(line, "event_name", "\"file.opened\"");
    assert_json(line, "app_version", "\"1.2.3\"");
    assert_json(line, "client_type", "\"vector-inspector\"");
    assert_json(line, "metadata/label", "\"csv\"");
    assert_json(line, "metadata/text", "\"mail [email] now\"");
    assert_hex(json_at(line, "metadata/host_hash"), 16);
    assert_json(line, "metadata/team_hash", salted("group-value", GROUP_SALT, 16));
    assert_hex(json_at(line, "metadata/record_hash"), 12);
    assert_json(line, "metadata/file", "\"a.csv\"");
    assert_json(line, "metadata/uuid", "\"" UUID_TEXT "\"");
    assert_json(line, "metadata/int", "-5");
    assert_json(line, "metadata/ms", "250");
    assert_json(line, "metadata/real", "0.1");
    assert_json(line, "metadata/no", "false");
    assert_json(line, "metadata/yes", "true");
    assert_json(line, "metadata/host", "");
    vit_op_text(&op, id);
    snprintf(quoted, sizeof quoted, "\"%s\"", id);
    assert_json(line, "metadata/correlation_id", quoted);
    assert_null(strstr(line, "bob"));
    /* in the order of the calls, the correlation id last */
    assert_true(strstr(line, "\"label\"") < strstr(line, "\"text\""));
    assert_true(strstr(line, "\"text\"") < strstr(line, "\"host_hash\""));
    assert_true(strstr(line, "\"yes\"") < strstr(line, "\"correlation_id\""));
    end(t);
}

static void test_builder_null_values(void **state)
{
    vit_client *t = client();
    vit_event   e;
    const char *line;
    size_t      i;
    (void)state;
    vit_event_begin(&e, t, "x", NULL);
    for (i = 0; i < COUNT_OF(adders); i++) adders[i].add(&e, adders[i].name, NULL);
    vit_add_error(&e, NULL, NULL, NULL, NULL);
    vit_add_int(&e, "last", 1);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_true(strncmp(json_at(line, "metadata"), "{\"error_hash\":", 14) == 0);
    assert_json(line, "metadata/last", "1");
    assert_json(line, "metadata/message", "");
    assert_json(line, "metadata/exception_type", "");
    assert_hex(json_at(line, "metadata/error_hash"), 16);
    end(t);
}

static void test_builder_empty(void **state)
{
    vit_client *t = client();
    vit_event   e;
    const char *line;
    (void)state;
    vit_event_begin(&e, t, "x", NULL);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata", "{}");
    end(t);
}

static vit_status send_key(vit_client *t, const char *key)
{
    vit_event e;
    vit_event_begin(&e, t, "x", NULL);
    vit_add_int(&e, "good", 1);
    vit_add_int(&e, key, 2);
    vit_add_int(&e, "later", 3); /* a good call does not heal the event */
    return vit_event_send(&e);
}

static char *repeat(char *out, size_t size, char c)
{
    memset(out, c, size);
    out[size] = 0;
    return out;
}

static void test_builder_keys(void **state)
{
    static const char *const bad[] = { NULL,
                                       "",
                                       "A",
                                       "aB",
                                       "a b",
                                       "a-b",
                                       "a\"b",
                                       "a\\b",
                                       "\xC3\xA9",
                                       "a\n",
                                       " a",
                                       "a ",
                                       "a/b",
                                       "hwid",
                                       "event_name",
                                       "app_version",
                                       "client_type",
                                       "sampling_rate",
                                       "sampling_seed_type",
                                       "sampling_version",
                                       "delay_s" };
    vit_client              *t = client();
    char                     key[128];
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(bad); i++)
        if (send_key(t, bad[i]) != VIT_INVALID) fail_msg("accepted: %s", bad[i] ? bad[i] : "NULL");
    assert_int_equal(send_key(t, repeat(key, 65, 'a')), VIT_INVALID);
    assert_int_equal(vit_get_stats(t).refused_invalid, COUNT_OF(bad) + 1);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_KEY_INVALID), 1);
    assert_int_equal(vit_get_stats(t).accepted, 0);
    assert_int_equal(send_key(t, repeat(key, 64, 'a')), VIT_OK);
    assert_int_equal(send_key(t, "a_1.b"), VIT_OK);
    assert_int_equal(send_key(t, "_"), VIT_OK);
    end(t);
}

/* NULL as a value does not make a bad key good. */
static void test_builder_key_of_null(void **state)
{
    vit_client *t = client();
    vit_event   e;
    size_t      i;
    (void)state;
    for (i = 0; i < COUNT_OF(adders); i++) {
        vit_event_begin(&e, t, "x", NULL);
        adders[i].add(&e, "No Key", NULL);
        assert_int_equal(vit_event_send(&e), VIT_INVALID);
        vit_event_begin(&e, t, "x", NULL);
        adders[i].add(&e, NULL, "value");
        assert_int_equal(vit_event_send(&e), VIT_INVALID);
    }
    end(t);
}

/* On the wire a key has 64 bytes at most, with its _hash. */
static void test_builder_hash_key_size(void **state)
{
    vit_client *t = client();
    vit_event   e;
    char        key[128];
    (void)state;
    vit_event_begin(&e, t, "x", NULL);
    vit_add_hash(&e, repeat(key, 59, 'a'), "value");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_hash(&e, repeat(key, 60, 'a'), "value");
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    end(t);
}

static void test_builder_names(void **state)
{
    static const char *const bad[] = { NULL, "", "a b", "a-b", "a\"", "\xC3\xA9", "a/b", "a\n" };
    static const char *const good[] = { "a", "A.b_9", "DataImportError", "." };
    vit_client              *t = client();
    vit_event                e;
    char                     name[128];
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(bad); i++) {
        vit_event_begin(&e, t, bad[i], NULL);
        vit_add_int(&e, "a", 1);
        assert_int_equal(vit_event_send(&e), VIT_INVALID);
    }
    vit_event_begin(&e, t, repeat(name, 65, 'n'), NULL);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    assert_int_equal(vit_get_stats(t).refused_invalid, COUNT_OF(bad) + 1);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_NAME_INVALID), 1);
    vit_event_begin(&e, t, repeat(name, 64, 'n'), NULL);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    vit_purge(t);
    for (i = 0; i < COUNT_OF(good); i++) {
        vit_event_begin(&e, t, good[i], NULL);
        snprintf(name, sizeof name, "\"%s\"", good[i]);
        assert_int_equal(vit_event_send(&e), VIT_OK);
        assert_json(line_of(t), "event_name", name);
    }
    end(t);
}

/* An ad-hoc event with a name of the catalogue is treated as that row says, and only with it. */
static void test_builder_catalogue_names(void **state)
{
    vit_client *t = client();
    vit_op      op = vit_op_begin();
    vit_event   e;
    size_t      i, k;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) vit_set_rate(t, rows[i].name, 1.0);
    for (i = 0; i < COUNT_OF(rows); i++)
        for (k = 0; k < 3; k++) { /* its name, with an op, and a name that begins as it does */
            char        name[64], id[68];
            const char *line;
            bool        own = k < 2, correlated = own && (rows[i].flags & VIT_ROW_CORRELATED);
            snprintf(name, sizeof name, "%s%s", rows[i].name, own ? "" : "_");
            vit_event_begin(&e, t, name, k == 1 ? &op : NULL);
            vit_add_int(&e, "n", 1);
            assert_int_equal(vit_event_send(&e), VIT_OK);
            line = line_of(t);
            snprintf(id, sizeof id, "\"%s\"", name);
            assert_json(line, "event_name", id);
            snprintf(id, sizeof id, "%s", json_at(line, "metadata/correlation_id"));
            assert_int_equal(strlen(id), correlated || k == 1 ? 38 : 0);
            if (k == 1) {
                char text[37];
                vitp_text_uuid(text, op.correlation_id);
                assert_memory_equal(id + 1, text, 36);
            }
        }
    end(t);
}

static void test_builder_duplicates(void **state)
{
    vit_client *t = client();
    vit_event   e;
    size_t      i, j;
    char        key[16];
    (void)state;
    for (i = 0; i < COUNT_OF(adders); i++) {
        for (j = 0; j < COUNT_OF(adders); j++) {
            vit_event_begin(&e, t, "x", NULL);
            vit_add_int(&e, "between", 1);
            adders[i].add(&e, "k", UUID_TEXT);
            vit_add_flag(&e, "between2", true);
            snprintf(key, sizeof key, "k%s",
                     strcmp(adders[i].suffix, adders[j].suffix) == 0 ? ""
                     : adders[i].suffix[0]                           ? "_hash"
                                                                     : "!");
            if (key[1] == '!') continue; /* k and k_hash: no collision */
            adders[j].add(&e, key, UUID_TEXT);
            if (vit_event_send(&e) != VIT_INVALID)
                fail_msg("%s then %s", adders[i].name, adders[j].name);
        }
    }
    vit_event_begin(&e, t, "x", NULL); /* the label first, then what collides with it */
    vit_add_label(&e, "k_hash", "v");
    vit_add_hash(&e, "k", "v");
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_error(&e, "T", "m", "f", NULL);
    vit_add_error(&e, "T", "m", "f", NULL);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_label(&e, "error_hash", "v");
    vit_add_error(&e, "T", "m", "f", NULL);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_int(&e, "k", 1);
    vit_add_real(&e, "k", 1.0);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_KEY_INVALID), 1);
    vit_event_begin(&e, t, "x", NULL); /* one is the beginning of the other: no collision */
    vit_add_int(&e, "k", 1);
    vit_add_int(&e, "kk", 1);
    vit_add_hash(&e, "k", "v");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    end(t);
}

/* Members of the context that an event has itself: its own stand, once. */
static void test_builder_own_context(void **state)
{
    vit_client *t = client();
    vit_op      op = vit_op_begin();
    vit_event   e;
    const char *line;
    (void)state;
    vit_session_begin(t, "the-session", NULL);
    vit_set_context(t, "qdrant", "customers");
    vit_purge(t);
    vit_event_begin(&e, t, "x", &op);
    vit_add_label(&e, "correlation_id", "mine");
    vit_add_label(&e, "session_id", "own");
    vit_add_label(&e, "db_provider", "pinecone");
    vit_add_group(&e, "collection_name", "c");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/correlation_id", "\"mine\"");
    assert_json(line, "metadata/session_id", "\"own\"");
    assert_json(line, "metadata/db_provider", "\"pinecone\"");
    assert_json(line, "metadata/collection_name_hash", salted("c", GROUP_SALT, 16));
    vit_session_end(t, VIT_EXIT_NORMAL);
    vit_set_context(t, NULL, NULL);
    vit_purge(t);
    vit_event_begin(&e, t, "x", NULL);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_json(line_of(t), "metadata", "{}");
    end(t);
}

static void test_builder_too_many(void **state)
{
    vit_client *t = client();
    vit_event   e;
    char        key[16], text[2000];
    const char *line;
    unsigned    i, kept = 0;
    (void)state;
    vit_event_begin(&e, t, "x", NULL);
    for (i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%u", i);
        vit_add_int(&e, key, (int64_t)i);
    }
    assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
    line = line_of(t);
    for (i = 0; i < 1000; i++) {
        char path[32], value[16];
        snprintf(path, sizeof path, "metadata/k%u", i);
        snprintf(value, sizeof value, "%u", i);
        if (!json_at(line, path)[0]) continue;
        assert_json(line, path, value);
        assert_int_equal(kept, i); /* the first ones, without a gap */
        kept++;
    }
    assert_true(kept >= 100 && kept < 1000);
    for (i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "x ", 3);
    for (i = 0; i < 8; i++) { /* a text that does not fit, of whatever size is left for it */
        unsigned n;
        vit_event_begin(&e, t, "x", NULL);
        for (n = 0; n < i * 5; n++) {
            snprintf(key, sizeof key, "n%u", n);
            vit_add_int(&e, key, 1);
        }
        vit_add_text(&e, "a", text);
        vit_add_text(&e, "b", text);
        vit_add_text(&e, "c", text);
        vit_add_error(&e, "T", text, "f", NULL);
        vit_add_flag(&e, "z", true); /* it would fit, but something before it is missing */
        assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
        line = line_of(t);
        assert_int_equal(strlen(json_at(line, "metadata/a")), 1026);
        assert_json(line, "metadata/c", "");
        assert_json(line, "metadata/z", "");
    }
    assert_int_equal(vit_get_stats(t).truncated, 9);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_EVENT_CUT), 1);
    end(t);
}

static void test_builder_states(void **state)
{
    vit_client *t = client();
    vit_event   e;
    (void)state;
    memset(&e, 0, sizeof e); /* zero */
    vit_add_label(&e, "a", "b");
    vit_add_error(&e, "a", "b", "c", "d");
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    memset(&e, 0xA5, sizeof e); /* never begun */
    vit_add_label(&e, "a", "b");
    vit_add_int(&e, "i", 1);
    vit_add_error(&e, "a", "b", "c", "d");
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    vit_event_begin(&e, t, "abandoned", NULL);
    vit_add_label(&e, "a", "b");
    assert_int_equal(vit_get_stats(t).accepted, 0);
    vit_event_begin(&e, t, "again", NULL); /* over the abandoned one */
    vit_add_int(&e, "i", 1);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    vit_add_int(&e, "late", 1);
    assert_int_equal(vit_event_send(&e), VIT_INVALID);
    assert_int_equal(vit_get_stats(t).accepted, 1);
    assert_json(line_of(t), "metadata", "{\"i\":1}");
    vit_event_begin(&e, NULL, "x", NULL); /* no client */
    vit_add_label(&e, "a", "b");
    vit_add_int(&e, "No Key", 1);
    vit_add_error(&e, "a", "b", "c", "d");
    assert_int_equal(vit_event_send(&e), VIT_DISABLED);
    vit_event_begin(NULL, t, "x", NULL); /* no event */
    vit_add_label(NULL, "a", "b");
    vit_add_int(NULL, "a", 1);
    vit_add_error(NULL, NULL, NULL, NULL, NULL);
    assert_int_equal(vit_event_send(NULL), VIT_INVALID);
    end(t);
}

/* A builder is two thousand bytes and some on the stack, as the header says. */
static void test_builder_size(void **state)
{
    (void)state;
    assert_int_equal(sizeof(vit_event), 2304);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static void test_hashes(void **state)
{
    vit_options o = options_of(NULL, NULL);
    char        folder[64], path[128], salt[64];
    vit_client *t;
    vit_event   e;
    const char *line;
    (void)state;
#ifdef VITELEMETRY_NO_FILES
    skip(); /* the salt is read from the settings */
#endif
    folder_make(folder);
    snprintf(path, sizeof path, "%s/" SETTINGS, folder);
    o.data_dir = folder;
    o.group_salt = GROUP_SALT;
    t = vit_create(&o);
    snprintf(salt, sizeof salt, "%s", setting_of(path, "salt"));
    assert_true(is_hex(salt, 32));
    vit_set_context(t, "qdrant", "customers");
    vit_event_begin(&e, t, "x", NULL);
    vit_add_hash(&e, "host", "db.example.com");
    vit_add_hash(&e, "empty", "");
    vit_add_hash(&e, "utf8", "\xC3\xA9\xFF");
    vit_add_group(&e, "team", "t");
    vit_add_row(&e, "record", "r");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/host_hash", salted("db.example.com", salt, 16));
    assert_json(line, "metadata/empty_hash", salted("", salt, 16));
    assert_json(line, "metadata/utf8_hash", salted("\xC3\xA9\xFF", salt, 16));
    assert_json(line, "metadata/team_hash", salted("t", GROUP_SALT, 16));
    assert_json(line, "metadata/record_hash", salted("r", salt, 12));
    assert_json(line, "metadata/collection_name_hash", salted("customers", salt, 16));
    assert_json(line, "metadata/db_provider", "\"qdrant\"");
    vit_reset_identity(t); /* a new salt: other hashes */
    assert_string_not_equal(setting_of(path, "salt"), salt);
    snprintf(salt, sizeof salt, "%s", setting_of(path, "salt"));
    assert_json(with_text(t, vit_add_hash, "db.example.com", NULL), "metadata/m_hash",
                salted("db.example.com", salt, 16));
    end(t);
    folder_remove(folder);
}

static void test_group_without_salt(void **state)
{
    vit_options o = options_of(NULL, &the_logs);
    vit_client *t;
    (void)state;
    logs_init(&the_logs);
    t = vit_create(&o);
    assert_json(with_text(t, vit_add_group, "secret group", NULL), "metadata/m_hash", "");
    assert_json(with_text(t, vit_add_group, "secret group", NULL), "metadata", "{}");
    assert_int_equal(logs_of(&the_logs, VIT_LOG_GROUP_SALT_MISSING), 1);
    end(t);
}

/* Values that differ behind the first KiB have different hashes up to 4 KiB. */
static void test_hash_long(void **state)
{
    vit_client *t = client();
    char        text[5001], hash[32];
    vit_status  status;
    (void)state;
    repeat(text, 4096, 'h');
    assert_json(with_text(t, vit_add_group, text, NULL), "metadata/m_hash",
                salted(text, GROUP_SALT, 16));
    snprintf(hash, sizeof hash, "%s", salted(text, GROUP_SALT, 16));
    text[4095] = 'i';
    assert_string_not_equal(json_at(with_text(t, vit_add_group, text, NULL), "metadata/m_hash"),
                            hash);
    (void)with_text(t, vit_add_group, repeat(text, 5000, 'h'), &status);
    assert_int_equal(status, VIT_TRUNCATED);
    end(t);
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* out: text of whole copies of word, at least size bytes long. */
static void fill_words(char *out, size_t size, const char *word)
{
    size_t n = strlen(word), at;
    for (at = 0; at < size; at += n) memcpy(out + at, word, n);
    out[at] = 0;
}

static void test_text_cut(void **state)
{
    static const char *const words[] = { "x ", "\xC3\xA9 ", "\xE2\x82\xAC ", "\xF0\x9F\x98\x80 ",
                                         "ab\xC3\xA9 " };
    vit_client              *t = client();
    char                     text[4096];
    vit_status               status;
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(words); i++) {
        const char *value;
        fill_words(text, 2000, words[i]);
        value = json_at(with_text(t, vit_add_text, text, &status), "metadata/m");
        assert_int_equal(status, VIT_TRUNCATED);
        assert_true(strlen(value) - 2 <= 1024 && strlen(value) - 2 > 1020);
        assert_int_equal(memcmp(text, value + 1, strlen(value) - 2), 0);
    }
    fill_words(text, 1024, "x "); /* just fits */
    assert_int_equal(strlen(json_at(with_text(t, vit_add_text, text, NULL), "metadata/m")), 1026);
    end(t);
}

/* The cut never shows a part of what was replaced, nor of the marker. */
static void test_text_cut_at_marker(void **state)
{
    vit_client *t = client();
    char        text[4096];
    size_t      pad;
    (void)state;
    for (pad = 980; pad < 1030; pad++) {
        char        value[2048];
        const char *open;
        vit_status  status;
        fill_words(text, pad, "x ");
        snprintf(text + pad, sizeof text - pad,
                 "%sbob@example.com and more of this text to be cut off, for it is longer than it "
                 "may be",
                 pad % 2 ? " " : "");
        snprintf(value, sizeof value, "%s",
                 json_at(with_text(t, vit_add_text, text, &status), "metadata/m"));
        assert_int_equal(status, VIT_TRUNCATED);
        assert_true(strlen(value) <= 1026);
        assert_null(strstr(value, "bob"));
        assert_null(strstr(value, "example"));
        open = strrchr(value, '[');
        assert_true(!open || strncmp(open, "[email]", 7) == 0);
    }
    end(t);
}

#define CUT_TEXTS(X) X(VIT_TEXT, a) X(VIT_TEXT, b) X(VIT_TEXT, c) X(VIT_TEXT, d)
VIT_EVENT_DECLARE(cut_texts, CUT_TEXTS);
VIT_EVENT_DEFINE(cut_texts, "cut.texts", 1.0, CUT_TEXTS)

/* Texts behind one that was cut away whole: one that is none, one that is empty, and one more. */
static void test_text_none_behind_cut(void **state)
{
    vit_cut_texts declared;
    static char   word[8000];
    vit_client   *t = client();
    vit_event     e;
    const char   *line;
    (void)state;
    memset(word, 'q', sizeof word - 1);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_text(&e, "a", word);
    vit_add_text(&e, "b", NULL);
    vit_add_text(&e, "c", "c");
    assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
    line = line_of(t);
    assert_json(line, "metadata/a", "\"[secret]\"");
    assert_json(line, "metadata/b", "");
    assert_json(line, "metadata/c", "\"c\"");
    memset(&declared, 0, sizeof declared);
    declared.a = word;
    declared.c = "";
    declared.d = "d";
    assert_int_equal(vit_track_cut_texts(t, &declared), VIT_TRUNCATED);
    line = line_of(t);
    assert_json(line, "metadata/a", "\"[secret]\"");
    assert_json(line, "metadata/b", "");
    assert_json(line, "metadata/c", "\"\"");
    assert_json(line, "metadata/d", "\"d\"");
    end(t);
}

/* Without a client a name that is none is refused all the same, and there is nobody to tell. */
static void test_builder_without_client(void **state)
{
    vit_event e;
    (void)state;
    vit_event_begin(&e, NULL, "not a name", NULL);
    vit_add_int(&e, "not a key", 1);
    assert_int_not_equal(vit_event_send(&e), VIT_OK);
    assert_int_not_equal(vit_event_send(&e), VIT_OK);
}

static void test_text_huge(void **state)
{
    const size_t size = 10u << 20;
    vit_client  *t = client();
    char        *text = (char *)malloc(size + 16);
    vit_status   status;
    const char  *value;
    (void)state;
    assert_non_null(text);
    fill_words(text, size, "word ");
    value = json_at(with_text(t, vit_add_text, text, &status), "metadata/m");
    assert_int_equal(status, VIT_TRUNCATED);
    assert_true(strlen(value) <= 1026 && strlen(value) > 1000);
    repeat(text, size, 'q'); /* one word: may be one secret */
    value = json_at(with_text(t, vit_add_text, text, &status), "metadata/m");
    assert_int_equal(status, VIT_TRUNCATED);
    assert_null(strstr(value, "qqqqqqqqqqqqqqqq"));
    (void)with_text(t, vit_add_label, text, &status);
    assert_int_equal(status, VIT_TRUNCATED);
    (void)with_text(t, vit_add_hash, text, &status);
    assert_int_equal(status, VIT_TRUNCATED);
    (void)with_text(t, vit_add_file, text, &status);
    assert_int_equal(status, VIT_TRUNCATED);
    (void)with_text(t, vit_add_uuid, text, &status);
    assert_int_equal(status, VIT_INVALID);
    {
        vit_event e;
        vit_event_begin(&e, t, text, NULL);
        assert_int_equal(vit_event_send(&e), VIT_INVALID);
        assert_int_equal(send_key(t, text), VIT_INVALID);
        vit_event_begin(&e, t, "x", NULL);
        vit_add_error(&e, text, text, text, text);
        assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
    }
    vit_purge(t);
    end(t);
    free(text);
}

/* A secret that is open where reading ends (4 KiB) does not leave by its first half. */
static void test_text_open_at_edge(void **state)
{
    vit_client *t = client();
    char        text[8192];
    size_t      pad;
    (void)state;
    for (pad = 4040; pad < 4100; pad += 3) {
        const char *value;
        vit_status  status;
        size_t      n = (size_t)snprintf(text, sizeof text, "see https://h.example/");
        repeat(text + n, pad - n, 'a');
        snprintf(text + pad, sizeof text - pad,
                 " to carol.jones.the.third@mail.example.com, please");
        value = json_at(with_text(t, vit_add_text, text, &status), "metadata/m");
        assert_null(strstr(value, "carol"));
        assert_null(strstr(value, "aaaa"));
    }
    end(t);
}

/* Controls, quotes and malformed UTF-8 come out as valid JSON. */
static void test_text_escapes(void **state)
{
    static const char *const texts[] = { "quote \" back \\ slash",
                                         "tab\tline\nreturn\r",
                                         "\x01\x1F\x7F",
                                         "\xFF\xFE \xC3 \xE2\x82 \xED\xA0\x80 \xF0\x9F",
                                         "</script>",
                                         "\xC0\x80" };
    vit_client              *t = client();
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(texts); i++) { /* lines_of checks each */
        (void)with_text(t, vit_add_text, texts[i], NULL);
        (void)with_text(t, vit_add_label, texts[i], NULL);
        (void)with_text(t, vit_add_file, texts[i], NULL);
    }
    assert_json(with_text(t, vit_add_text, "a\"b\\c\nd", NULL), "metadata/m",
                "\"a\\\"b\\\\c\\nd\"");
    end(t);
}

static void test_label(void **state)
{
    vit_client *t = client();
    char        text[256], wanted[300];
    vit_status  status;
    (void)state;
    fill_words(text, 63, "ab "); /* 63 bytes */
    snprintf(text + 63, sizeof text - 63, "\xC3\xA9 more");
    snprintf(wanted, sizeof wanted, "\"%.63s\"", text);
    assert_json(with_text(t, vit_add_label, text, &status), "metadata/m", wanted);
    assert_int_equal(status, VIT_TRUNCATED);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_TEXT_CUT), 1);
    text[62] = '\xC3', text[63] = '\xA9', text[64] = 0; /* 64 bytes, the last character of two */
    snprintf(wanted, sizeof wanted, "\"%s\"", text);
    assert_json(with_text(t, vit_add_label, text, NULL), "metadata/m", wanted);
    assert_json(with_text(t, vit_add_label, "", NULL), "metadata/m", "\"\"");
    /* scanned: twice, for the verdict is remembered */
    assert_json(with_text(t, vit_add_label, "to bob@example.com", NULL), "metadata/m",
                "\"to [email]\"");
    assert_json(with_text(t, vit_add_label, "to bob@example.com", NULL), "metadata/m",
                "\"to [email]\"");
    assert_json(with_text(t, vit_add_label, "csv", NULL), "metadata/m", "\"csv\"");
    assert_json(with_text(t, vit_add_label, "csv", NULL), "metadata/m", "\"csv\"");
    assert_json(with_text(t, vit_add_label, "/home/carol/notes.txt", &status), "metadata/m",
                "\"[path]\"");
    end(t);
}

static void test_file(void **state)
{
    static const struct {
        const char *path, *name;
    } cases[] = {
        { "/home/bob/src/main.cpp", "main.cpp" },
        { "C:\\Users\\bob\\main.cpp", "main.cpp" },
        { "..\\a/b\\c.h", "c.h" },
        { "plain.c", "plain.c" },
        { "\\\\server\\share\\x.c", "x.c" },
        { "file:///home/bob/y.c", "y.c" },
    };
    vit_client *t = client();
    char        wanted[64], path[6000];
    const char *line;
    vit_status  status;
    size_t      i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        snprintf(wanted, sizeof wanted, "\"%s\"", cases[i].name);
        assert_json(with_text(t, vit_add_file, cases[i].path, NULL), "metadata/m", wanted);
    }
    line = with_text(t, vit_add_file, "/home/bob/", NULL);
    assert_null(strstr(line, "bob"));
    line = with_text(t, vit_add_file, "/tmp/bob@example.com", NULL);
    assert_null(strstr(line, "bob"));
    path[0] = '/'; /* a folder that is longer than what is read */
    repeat(path + 1, 5000, 'f');
    snprintf(path + 5001, sizeof path - 5001, "/x.c");
    line = with_text(t, vit_add_file, path, &status);
    assert_null(strstr(line, "ffffffffff"));
    end(t);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
    vit_client *t = client();
    vit_event   e;
    const char *line;
    double      zero = 0.0;
    (void)state;
    vit_event_begin(&e, t, "x", NULL);
    vit_add_int(&e, "least", INT64_MIN);
    vit_add_int(&e, "most", INT64_MAX);
    vit_add_int(&e, "zero", 0);
    vit_add_ms(&e, "ms_most", INT64_MAX);
    vit_add_ms(&e, "ms_least", INT64_MIN);
    vit_add_real(&e, "nan", zero / zero);
    vit_add_real(&e, "inf", 1.0 / zero);
    vit_add_real(&e, "minus_inf", -1.0 / zero);
    vit_add_real(&e, "third", 1.0 / 3.0);
    vit_add_real(&e, "small", 5e-324);
    vit_add_real(&e, "large", 1.7976931348623157e308);
    vit_add_real(&e, "whole", 2.0);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/least", "-9223372036854775808");
    assert_json(line, "metadata/most", "9223372036854775807");
    assert_json(line, "metadata/zero", "0");
    assert_json(line, "metadata/ms_most", "9223372036854775807");
    assert_json(line, "metadata/ms_least", "-9223372036854775808");
    assert_json(line, "metadata/nan", "null");
    assert_json(line, "metadata/inf", "null");
    assert_json(line, "metadata/minus_inf", "null");
    assert_true(strtod(json_at(line, "metadata/third"), NULL) * 3.0 > 0.9999999999999999);
    assert_true(strtod(json_at(line, "metadata/small"), NULL) > 0.0);
    assert_true(strtod(json_at(line, "metadata/large"), NULL) > 1.7976931348623155e308);
    assert_true(strtod(json_at(line, "metadata/whole"), NULL) > 1.9999999);
    end(t);
}

static void test_ms_since_op(void **state)
{
    vit_client        *t = client();
    vit_clustering_run event;
    vit_op             op = vit_op_begin();
    vit_event          e;
    long               ms;
    uint64_t           begin_ms = now_ms();
    (void)state;
    memset(&event, 0, sizeof event);
    event.op = &op;
    event.duration_ms = VIT_SINCE_OP;
    sleep_ms(30);
    assert_int_equal(vit_track_clustering_run(t, &event), VIT_OK);
    ms = strtol(json_at(line_of(t), "metadata/duration_ms"), NULL, 10);
    assert_true(ms >= 30 && (uint64_t)ms <= now_ms() - begin_ms + 2);
    vit_event_begin(&e, t, "x", &op);
    vit_add_ms(&e, "ms", VIT_SINCE_OP);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_true(strtol(json_at(line_of(t), "metadata/ms"), NULL, 10) >= 30);
    vit_event_begin(&e, t, "x", NULL); /* no op: never a wild number */
    vit_add_ms(&e, "ms", VIT_SINCE_OP);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    ms = strtol(json_at(line_of(t), "metadata/ms"), NULL, 10);
    assert_true(ms == 0 || ms == -1);
    op.begin_ns = UINT64_MAX; /* an op that has not begun */
    vit_event_begin(&e, t, "x", &op);
    vit_add_ms(&e, "ms", VIT_SINCE_OP);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_json(line_of(t), "metadata/ms", "0");
    memset(&op, 0, sizeof op); /* nor was it begun */
    vit_event_begin(&e, t, "x", &op);
    vit_add_ms(&e, "ms", VIT_SINCE_OP);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_json(line_of(t), "metadata/ms", "0");
    end(t);
}

static void test_uuid(void **state)
{
    static const char *const bad[] = { "",
                                       "123e4567-e89b-42d3-a456-42661417400",
                                       "123e4567-e89b-42d3-a456-4266141740000",
                                       "123e4567e89b42d3a456426614174000",
                                       "{123e4567-e89b-42d3-a456-426614174000}",
                                       "123e4567-e89b-42d3-a456-42661417400g",
                                       "123e4567-e89b-42d3-a456_426614174000",
                                       "123e456-7e89b-42d3-a456-426614174000" };
    vit_client              *t = client();
    vit_status               status;
    size_t                   i;
    (void)state;
    assert_json(with_text(t, vit_add_uuid, UUID_TEXT, NULL), "metadata/m", "\"" UUID_TEXT "\"");
    assert_json(with_text(t, vit_add_uuid, "123E4567-E89B-42D3-A456-426614174000", NULL),
                "metadata/m", "\"" UUID_TEXT "\"");
    for (i = 0; i < COUNT_OF(bad); i++) {
        (void)with_text(t, vit_add_uuid, bad[i], &status);
        assert_int_equal(status, VIT_INVALID);
    }
    assert_int_equal(vit_get_stats(t).refused_invalid, COUNT_OF(bad));
    assert_int_equal(logs_of(&the_logs, VIT_LOG_VALUE_INVALID), 1);
    end(t);
}

/* ---- errors ---------------------------------------------------------------------------------- */

#define MESSAGE "cannot reach bob@example.com at 0x7fFf after 12 tries of 'select x'"
#define FRAME   "/home/bob/src/main.c:run"
#define TRACE                                             \
    "  File \"/home/bob/app/main.py\", line 42, in run\n" \
    "noise without a place\n"                             \
    "#1 0x7f in foo (a=1) at /a/b/foo.c:12\n"             \
    "C:\\Users\\bob\\y.cpp:7\n"                           \
    "carol@example.com said so\n"                         \
    "src/x.c:14"

/* error_hash of these, handed over scrubbed and cut as the client does; a JSON string. */
static const char *hash_of(const char *type, const char *message, const char *frame)
{
    static char quoted[24];
    char        m[1025] = "", f[1025] = "", hash[17];
    if (message) vit_scrub(m, sizeof m, message, strlen(message));
    if (frame) vit_scrub(f, sizeof f, frame, strlen(frame));
    vit_error_hash(hash, type, m, f);
    snprintf(quoted, sizeof quoted, "\"%s\"", hash);
    return quoted;
}

/* The hash itself, against the specification: type|frame|normalised message. */
static void test_hash_of(void **state)
{
    static const char text[] = "IOError|main.c|cannot reach [email] at #hex after #n tries of #str";
    unsigned char     digest[32];
    char              wanted[24];
    (void)state;
    vit_sha256(digest, text, sizeof text - 1);
    snprintf(wanted, sizeof wanted, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", digest[0], digest[1],
             digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]);
    assert_string_equal(hash_of("IOError", MESSAGE, "main.c"), wanted);
}

static void test_error_hash(void **state)
{
    vit_client                 *t = client();
    vit_sample_db_create_failed failed;
    vit_uncaught_exception      uncaught;
    vit_qt_error                qt;
    vit_error_event             error;
    vit_event                   e;
    const char                 *line;
    (void)state;
    memset(&failed, 0, sizeof failed);
    failed.message = MESSAGE;
    failed.exception_type = "IOError";
    failed.top_frame = FRAME;
    assert_int_equal(vit_track_sample_db_create_failed(t, &failed), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", hash_of("IOError", MESSAGE, FRAME));
    assert_json(line, "metadata/top_frame", "");
    assert_null(strstr(line, "bob"));
    assert_null(strstr(line, "main.c"));
    memset(&uncaught, 0, sizeof uncaught);
    uncaught.message = MESSAGE;
    uncaught.top_frame = FRAME;
    uncaught.traceback = TRACE;
    assert_int_equal(vit_track_uncaught_exception(t, &uncaught), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", hash_of("UncaughtException", MESSAGE, FRAME));
    assert_json(line, "metadata/traceback", ""); /* granted is not verbose */
    memset(&qt, 0, sizeof qt);
    qt.message = MESSAGE;
    qt.file = "/home/bob/main.cpp";
    qt.line = 42;
    qt.msg_type = "critical";
    assert_int_equal(vit_track_qt_error(t, &qt), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", hash_of("QtError", MESSAGE, "main.cpp:42"));
    assert_json(line, "metadata/file", "\"main.cpp\"");
    assert_json(line, "metadata/line", "42");
    vit_qt_message(t, 2, "/home/bob/main.cpp", 42, "f", "cat", MESSAGE);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", hash_of("QtError", MESSAGE, "main.cpp:42"));
    assert_json(line, "metadata/msg_type", "\"critical\"");
    assert_json(line, "metadata/function", "\"f\"");
    assert_null(strstr(line, "cat\""));
    vit_qt_message(t, 3, NULL, 0, NULL, NULL, NULL);
    assert_json(line_of(t), "metadata/msg_type", "\"fatal\"");
    vit_qt_message(t, 0, "a", 1, "b", "c", "debug");
    vit_qt_message(t, 1, "a", 1, "b", "c", "warning");
    vit_qt_message(t, 4, "a", 1, "b", "c", "info");
    vit_qt_message(t, -1, "a", 1, "b", "c", "?");
    assert_int_equal(vit_get_stats(t).queued, 0);
    memset(&error, 0, sizeof error);
    error.message = MESSAGE;
    error.exception_type = "IOError";
    assert_int_equal(vit_track_error_event(t, &error), VIT_OK);
    assert_json(line_of(t), "metadata/error_hash", hash_of("IOError", MESSAGE, NULL));
    vit_event_begin(&e, t, "ImportFailed", NULL);
    vit_add_error(&e, "IOError", MESSAGE, FRAME, TRACE);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", hash_of("IOError", MESSAGE, FRAME));
    assert_json(line, "metadata/exception_type", "\"IOError\"");
    assert_json(line, "metadata/traceback", "");
    vit_event_begin(&e, t, "ImportFailed", NULL);
    vit_add_error(&e, NULL, NULL, NULL, NULL);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_json(line_of(t), "metadata/error_hash", hash_of("ImportFailed", NULL, NULL));
    end(t);
}

/* Where the builder has no room for message and trace, the event has its hash all the same. */
static void test_error_hash_long_trace(void **state)
{
    vit_client *t = client();
    vit_event   e;
    char        text[2048], trace[2048], first[32];
    size_t      i, size = 0;
    const char *line;
    (void)state;
    vit_set_consent(t, VIT_CONSENT_VERBOSE);
    for (i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "x ", 3);
    for (i = 0; i < 30; i++)
        size += (size_t)snprintf(trace + size, sizeof trace - size,
                                 "at a_module_of_a_long_name_%02u.c:1234\n", (unsigned)i);
    vit_event_begin(&e, t, "ImportFailed", NULL);
    vit_add_error(&e, "IOError", text, "f", NULL);
    assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
    snprintf(first, sizeof first, "%s", json_at(line_of(t), "metadata/error_hash"));
    assert_int_equal(strlen(first), 18);
    vit_event_begin(&e, t, "ImportFailed", NULL);
    vit_add_error(&e, "IOError", text, "f", trace);
    assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", first);
    assert_json(line, "metadata/traceback", "");
    vit_event_begin(&e, t, "ImportFailed", NULL);
    vit_add_error(&e, "IOError", "m", "f", trace);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_non_null(strstr(json_at(line_of(t), "metadata/traceback"), "name_00.c:1234"));
    end(t);
}

/* The hash is of the message as cut: what follows the cut makes no difference. */
static void test_error_hash_cut(void **state)
{
    vit_client            *t = client();
    vit_uncaught_exception event;
    char                   text[2048], first[32];
    (void)state;
    memset(&event, 0, sizeof event);
    fill_words(text, 1500, "ab ");
    event.message = text;
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_TRUNCATED);
    snprintf(first, sizeof first, "%s", json_at(line_of(t), "metadata/error_hash"));
    assert_string_equal(first, hash_of("UncaughtException", text, NULL));
    text[1400] = 'z';
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_TRUNCATED);
    assert_json(line_of(t), "metadata/error_hash", first);
    text[1000] = 'z';
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_TRUNCATED);
    assert_string_not_equal(json_at(line_of(t), "metadata/error_hash"), first);
    end(t);
}

static void test_track_error(void **state)
{
    vit_client *t = client();
    vit_op      op = vit_op_begin();
    vit_error   error;
    const char *line;
    char        id[37], quoted[40];
    (void)state;
    memset(&error, 0, sizeof error);
    error.op = &op;
    error.type = "IOError";
    error.message = MESSAGE;
    error.frame = FRAME;
    error.trace = TRACE;
    error.function = "load";
    error.feature = "import";
    error.code = "E42";
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    line = line_of(t);
    vit_op_text(&op, id);
    snprintf(quoted, sizeof quoted, "\"%s\"", id);
    assert_json(line, "event_name", "\"Error\"");
    assert_json(line, "metadata/correlation_id", quoted);
    assert_json(line, "metadata/exception_type", "\"IOError\"");
    assert_json(line, "metadata/error_code", "\"E42\"");
    assert_json(line, "metadata/function", "\"load\"");
    assert_json(line, "metadata/feature", "\"import\"");
    assert_json(line, "metadata/error_hash", hash_of("IOError", MESSAGE, FRAME));
    error.event_name = "DataImportError";
    error.type = NULL;
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    line = line_of(t);
    assert_json(line, "event_name", "\"DataImportError\"");
    assert_json(line, "metadata/error_hash", hash_of("DataImportError", MESSAGE, FRAME));
    error.event_name = "not a name";
    assert_int_equal(vit_track_error(t, &error), VIT_INVALID);
    assert_int_equal(vit_track_error(t, NULL), VIT_INVALID);
    memset(&error, 0, sizeof error);
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", hash_of("Error", NULL, NULL));
    assert_int_equal(strlen(json_at(line, "metadata/correlation_id")), 38);
    assert_int_equal(vit_get_stats(t).refused_invalid, 2);
    end(t);
}

static void test_fail(void **state)
{
    vit_client *t = client();
    const char *line;
    (void)state;
    assert_int_equal(vit_fail(t, NULL, "DataImportError", "import", ENOENT), ENOENT);
    line = line_of(t);
    assert_json(line, "event_name", "\"DataImportError\"");
    assert_json(line, "metadata/error_code", "\"ENOENT\"");
    assert_json(line, "metadata/feature", "\"import\"");
    assert_int_equal(vit_fail(t, NULL, NULL, NULL, EACCES), EACCES);
    line = line_of(t);
    assert_json(line, "event_name", "\"Error\"");
    assert_json(line, "metadata/error_code", "\"EACCES\"");
    assert_int_equal(vit_fail(t, NULL, "X", NULL, -77777), -77777);
    assert_json(line_of(t), "metadata/error_code", "\"-77777\"");
    assert_int_equal(vit_fail(t, NULL, "X", NULL, INT_MIN), INT_MIN);
    assert_json(line_of(t), "metadata/error_code", "\"-2147483648\"");
    assert_int_equal(vit_fail(t, NULL, "not a name", NULL, EIO), EIO);
    assert_int_equal(vit_fail(NULL, NULL, "X", "y", EIO), EIO);
    assert_int_equal(vit_get_stats(t).queued, 0);
    end(t);
}

static void test_trace(void **state)
{
    vit_client            *t = client_verbose();
    vit_uncaught_exception event;
    char                   trace[6000];
    const char            *value;
    size_t                 n = 0, i;
    (void)state;
    memset(&event, 0, sizeof event);
    event.traceback = TRACE;
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
    assert_json(line_of(t), "metadata/traceback", "\"main.py:42\\nfoo.c:12\\ny.cpp:7\\nx.c:14\"");
    for (i = 0; i < 50; i++)
        n += (size_t)snprintf(trace + n, sizeof trace - n, "/d/m%lu.c:%lu\n", (unsigned long)i,
                              (unsigned long)i);
    event.traceback = trace;
    (void)vit_track_uncaught_exception(t, &event);
    value = json_at(line_of(t), "metadata/traceback");
    assert_int_equal(count_of(value, ".c:"), 32);
    assert_int_equal(count_of(value, "\\n"), 31);
    assert_non_null(strstr(value, "m31.c:31\""));
    event.traceback = "/home/bob/bob@example.com:12\nnone\n:5\nx:\n";
    (void)vit_track_uncaught_exception(t, &event);
    assert_null(strstr(line_of(t), "bob"));
    event.traceback = "no place in it";
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
    value = json_at(line_of(t), "metadata/traceback");
    assert_true(value[0] == 0 || strcmp(value, "\"\"") == 0);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    event.traceback = TRACE;
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
    assert_json(line_of(t), "metadata/traceback", "");
    memset(trace, 'x', sizeof trace - 1u); /* nothing is cut of what is not wanted */
    trace[sizeof trace - 1u] = 0;
    event.traceback = trace;
    event.message = "another";
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
    end(t);
}

/* What is no place of a source file, and places as long as they may be. */
static void test_trace_edges(void **state)
{
    static const struct {
        const char *trace, *frames;
    } cases[] = {
        { "a.c:1234567890123\n", "\"a.c:123456789\"" },
        { "/d/.c:12\nx.:3\na.extension:4\nb.c:5", "\"b.c:5\"" },
        { "File \"x.py\", line abc\nFile \"y.py\", line 7", "\"y.py:7\"" },
        { "File \"x.py\", line ", "\"\"" },
        { "(q.c:1)\n<r.c:2>\n[s.c:3]\nd\\t.c:4\n\"u.c:5\"",
          "\"q.c:1\\nr.c:2\\ns.c:3\\nt.c:4\\nu.c:5\"" },
    };
    vit_client            *t = client_verbose();
    vit_uncaught_exception event;
    char                   trace[4000], name[80];
    const char            *value;
    size_t                 n = 0, i;
    (void)state;
    memset(&event, 0, sizeof event);
    for (i = 0; i < COUNT_OF(cases); i++) {
        event.traceback = cases[i].trace;
        assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
        assert_json(line_of(t), "metadata/traceback", cases[i].frames);
    }
    for (i = 0; i < 2; i++) { /* a file's name of 64 bytes, and of one more */
        memset(name, 'n', sizeof name);
        memcpy(name + 62 + i, ".c:8", 5);
        event.traceback = name;
        assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
        value = json_at(line_of(t), "metadata/traceback");
        assert_int_equal(strlen(value), i == 0 ? 68 : 2);
    }
    for (i = 0; i < 32; i++) /* more than 1 KiB: whole frames, as many as fit */
        n += (size_t)snprintf(trace + n, sizeof trace - n,
                              "module_with_a_rather_long_name_%02lu.c:%lu\n", (unsigned long)i,
                              (unsigned long)(1000 + i));
    event.traceback = trace;
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
    value = json_at(line_of(t), "metadata/traceback");
    i = count_of(value, ".c:10");
    assert_true(i > 20 && i < 32 && i * 41 <= 1025 && (i + 1) * 41 > 1024);
    end(t);
}

/* A registered secret with a blank in it, across the last byte that is looked at. */
static void test_text_secret_at_edge(void **state)
{
    vit_client *t = client();
    vit_event   e;
    char        text[VITP_TEXT_READ_MAX + 64];
    size_t      at, i;
    (void)state;
    assert_true(vit_register_secret(t, "open sesame now", 15));
    for (at = VITP_TEXT_READ_MAX - 16; at < VITP_TEXT_READ_MAX; at++) {
        const char *line;
        for (i = 0; i < sizeof text; i++) /* long paths, of which little remains */
            text[i] = i % 400 == 0 ? ' ' : i % 400 < 3 || i % 400 == 200 ? '/' : 'y';
        for (i = 1; i < sizeof text; i += 400) text[i + 1] = 'd';
        text[at - 1] = ' ';
        memcpy(text + at, "open sesame now", 15);
        text[sizeof text - 1] = 0;
        vit_event_begin(&e, t, "x", NULL);
        vit_add_text(&e, "text", text);
        assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
        line = line_of(t);
        assert_true(count_of(line, "[path]") >= 10);
        assert_null(strstr(line, "sesame"));
        assert_null(strstr(line, "open"));
    }
    end(t);
}

/* Permission is looked at again right before bytes leave: a trace that waited for a user who takes
   VERBOSE back does not. */
static void test_trace_taken_back(void **state)
{
    vit_client            *t = client_verbose();
    vit_uncaught_exception event;
    (void)state;
    memset(&event, 0, sizeof event);
    event.traceback = TRACE;
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_json(line_of(t), "metadata/traceback", "");
    assert_int_equal(vit_track_uncaught_exception(t, &event), VIT_OK); /* nor one of before it */
    vit_set_consent(t, VIT_CONSENT_VERBOSE);
    assert_json(line_of(t), "metadata/traceback", "");
    end(t);
}

/* ---- the host's own events ------------------------------------------------------------------- */

#define APP_FILE_OPENED(X) X(VIT_LABEL, format) X(VIT_INT, size_kb) X(VIT_MS, duration_ms)
VIT_EVENT_DECLARE(file_opened, APP_FILE_OPENED);
VIT_EVENT_DEFINE(file_opened, "file.opened", 1.0, APP_FILE_OPENED)

#define APP_EVERYTHING(X) \
    X(VIT_LABEL, label)   \
    X(VIT_TEXT, text)     \
    X(VIT_HASH, host)     \
    X(VIT_GROUP, team)    \
    X(VIT_ROW, record)    \
    X(VIT_TRACE, trace)   \
    X(VIT_FRAME, frame)   \
    X(VIT_FILE, file)     \
    X(VIT_INT, whole) X(VIT_REAL, share) X(VIT_FLAG, flag) X(VIT_MS, took_ms) X(VIT_UUID, uuid)
VIT_EVENT_DECLARE(everything, APP_EVERYTHING);
VIT_EVENT_DEFINE(everything, "every.thing", 1.0, APP_EVERYTHING)

#define APP_COLLIDING(X) X(VIT_LABEL, host_hash) X(VIT_HASH, host)
VIT_EVENT_DECLARE(colliding, APP_COLLIDING);
VIT_EVENT_DEFINE(colliding, "colliding", 1.0, APP_COLLIDING)

#define APP_BAD_NAME(X) X(VIT_INT, a)
VIT_EVENT_DECLARE(bad_name, APP_BAD_NAME);
VIT_EVENT_DEFINE(bad_name, "bad name", 1.0, APP_BAD_NAME)

#define APP_BAD_KEY(X) X(VIT_INT, badKey)
VIT_EVENT_DECLARE(bad_key, APP_BAD_KEY);
VIT_EVENT_DEFINE(bad_key, "bad.key", 1.0, APP_BAD_KEY)

#define APP_RESERVED(X) X(VIT_LABEL, hwid)
VIT_EVENT_DECLARE(reserved, APP_RESERVED);
VIT_EVENT_DEFINE(reserved, "reserved", 1.0, APP_RESERVED)

static void test_own_event(void **state)
{
    vit_client     *t = client_verbose();
    vit_file_opened opened;
    vit_everything  all;
    const char     *line;
    (void)state;
    memset(&opened, 0, sizeof opened);
    opened.format = "csv";
    opened.size_kb = 12;
    opened.duration_ms = 3;
    assert_int_equal(vit_track_file_opened(t, &opened), VIT_OK);
    line = line_of(t);
    assert_json(line, "event_name", "\"file.opened\"");
    assert_json(line, "metadata", "{\"format\":\"csv\",\"size_kb\":12,\"duration_ms\":3}");
    memset(&all, 0, sizeof all);
    assert_int_equal(vit_track_everything(t, &all), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", hash_of("every.thing", NULL, NULL));
    assert_json(line, "metadata/share", "0");
    all.label = "l", all.text = "t bob@example.com", all.host = "h", all.team = "g",
    all.record = "r";
    all.trace = TRACE, all.frame = FRAME, all.file = "/home/bob/f.c", all.whole = -1,
    all.share = 0.5;
    all.flag = true, all.took_ms = 9, all.uuid = UUID_TEXT;
    assert_int_equal(vit_track_everything(t, &all), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/label", "\"l\"");
    assert_json(line, "metadata/text", "\"t [email]\"");
    assert_hex(json_at(line, "metadata/host_hash"), 16);
    assert_json(line, "metadata/team_hash", salted("g", GROUP_SALT, 16));
    assert_hex(json_at(line, "metadata/record_hash"), 12);
    assert_json(line, "metadata/trace", "\"main.py:42\\nfoo.c:12\\ny.cpp:7\\nx.c:14\"");
    assert_json(line, "metadata/frame", "");
    assert_json(line, "metadata/file", "\"f.c\"");
    assert_json(line, "metadata/whole", "-1");
    assert_json(line, "metadata/share", "0.5");
    assert_json(line, "metadata/flag", "true");
    assert_json(line, "metadata/took_ms", "9");
    assert_json(line, "metadata/uuid", "\"" UUID_TEXT "\"");
    assert_null(strstr(line, "bob"));
    all.uuid = "no uuid";
    assert_int_equal(vit_track_everything(t, &all), VIT_INVALID);
    assert_int_equal(vit_track_file_opened(t, NULL), VIT_INVALID);
    assert_int_equal(vit_track_file_opened(NULL, &opened), VIT_DISABLED);
    assert_int_equal(vit_track_schema(t, NULL, &opened), VIT_INVALID);
    end(t);
}

static void test_invalid_schema(void **state)
{
    vit_client   *t = client();
    vit_bad_name  bad_name;
    vit_bad_key   bad_key;
    vit_reserved  reserved;
    vit_colliding colliding;
    (void)state;
    memset(&bad_name, 0, sizeof bad_name);
    memset(&bad_key, 0, sizeof bad_key);
    memset(&reserved, 0, sizeof reserved);
    memset(&colliding, 0, sizeof colliding);
    assert_int_equal(vit_track_bad_name(t, &bad_name), VIT_INVALID);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_NAME_INVALID), 1);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_KEY_INVALID), 0);
    assert_int_equal(vit_track_bad_key(t, &bad_key), VIT_INVALID);
    assert_int_equal(vit_track_reserved(t, &reserved), VIT_INVALID);
    assert_int_equal(vit_track_bad_key(t, &bad_key), VIT_INVALID);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_KEY_INVALID), 1);
    assert_int_equal(vit_get_stats(t).refused_invalid, 4);
    assert_int_equal(vit_get_stats(t).accepted, 0);
    colliding.host_hash = "l"; /* two members of one key */
    colliding.host = "h";
    assert_int_equal(vit_track_colliding(t, &colliding), VIT_INVALID);
    end(t);
}

/* A kind that is none is a malformed schema, not a corrupt record. */
static void test_invalid_kind(void **state)
{
    typedef struct {
        const vit_op *op;
        const char   *text;
    } event;
    static const vit_member members[2][1] = { { { "a", (vit_kind)0, sizeof(void *) } },
                                              { { "a", (vit_kind)99, sizeof(void *) } } };
    static const vit_schema schemas[] = { { "zero", 1.0, members[0], 1, 0 },
                                          { "ninety.nine", 1.0, members[1], 1, 0 },
                                          { NULL, 1.0, members[0], 1, 0 },
                                          { "no.members", 1.0, NULL, 1, 0 } };
    vit_client             *t = client();
    event                   e = { NULL, "x" };
    size_t                  i;
    (void)state;
    for (i = 0; i < COUNT_OF(schemas); i++) {
        vit_status status = vit_track_schema(t, &schemas[i], &e);
        if (status != VIT_INVALID)
            fail_msg("schema %lu: %s", (unsigned long)i, vit_status_text(status));
    }
    end(t);
}

/* 128 declared types are taken wherever their schemas lie, and the next is refused. */
static void types_at(const vit_schema *const *schemas)
{
    vit_client *t = client();
    const void *none[2] = { NULL, NULL };
    vit_error   error;
    unsigned    i;
    for (i = 0; i < 128; i++) {
        vit_status status = vit_track_schema(t, schemas[i], none);
        if (status != VIT_OK) fail_msg("type %u of 128: %s", i + 1, vit_status_text(status));
    }
    assert_int_equal(logs_of(&the_logs, VIT_LOG_TYPES_FULL), 0);
    assert_int_equal(vit_track_schema(t, schemas[128], none), VIT_INVALID);
    assert_int_equal(vit_track_schema(t, schemas[128], none), VIT_INVALID);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_TYPES_FULL), 1);
    assert_int_equal(vit_track_schema(t, schemas[0], none), VIT_OK);
    memset(&error, 0, sizeof error);
    assert_int_equal(vit_track_error(t, &error), VIT_INVALID); /* the catalogue's are some, too */
    assert_int_equal(vit_get_stats(t).accepted, 129);
    assert_int_equal(vit_get_stats(t).refused_invalid, 3);
    end(t);
}

static void test_types_full(void **state)
{
    static const vit_member member = { "a", VIT_LABEL, sizeof(void *) };
    static vit_schema       near[129];
    static char             names[129][16];
    static uint64_t         far[129 * 32]; /* at a random place of each 256 bytes */
    const vit_schema       *schemas[129];
    uint64_t                random = 88172645463325252u;
    unsigned                i, round;
    (void)state;
    for (i = 0; i < 129; i++) {
        vit_schema s = { NULL, 1.0, NULL, 1, 0 };
        snprintf(names[i], sizeof names[i], "type.%u", i);
        s.name = names[i];
        s.members = &member;
        near[i] = s;
        schemas[i] = &near[i];
    }
    types_at(schemas);
    for (round = 0; round < 20; round++) {
        for (i = 0; i < 129; i++) {
            vit_schema *s;
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            s = (vit_schema *)(void *)(far + 32 * i + random % (32 - sizeof(vit_schema) / 8));
            *s = near[i];
            schemas[i] = s;
        }
        types_at(schemas);
    }
}

/* An event of its own with a frame: error_hash is of what it holds under the keys message and
   exception_type, where these are texts. */
static void test_own_error_hash(void **state)
{
    typedef struct {
        const vit_op *op;
        union {
            const char *text;
            int64_t     number;
        } message;
        const char *frame;
    } own_error;
    static const vit_kind kinds[] = { VIT_TEXT, VIT_LABEL, VIT_FILE, VIT_HASH, VIT_INT };
    vit_client           *t = client();
    size_t                i;
    (void)state;
    for (i = 0; i < COUNT_OF(kinds); i++) {
        static char       names[COUNT_OF(kinds)][16];
        static vit_member members[COUNT_OF(kinds)][2];
        static vit_schema schemas[COUNT_OF(kinds)];
        own_error         event;
        vit_member        message = { "message", VIT_TEXT, offsetof(own_error, message) };
        vit_member        frame = { "top_frame", VIT_FRAME, offsetof(own_error, frame) };
        char              want[20];
        bool              text = i < 3;
        message.kind = kinds[i];
        snprintf(names[i], sizeof names[i], "own.error.%lu", (unsigned long)i);
        members[i][0] = message;
        members[i][1] = frame;
        schemas[i].name = names[i];
        schemas[i].rate = 1.0;
        schemas[i].members = members[i];
        schemas[i].member_count = 2;
        memset(&event, 0, sizeof event);
        if (kinds[i] == VIT_INT) event.message.number = 12;
        else event.message.text = "broke";
        event.frame = "f.c:1";
        assert_int_equal(vit_track_schema(t, &schemas[i], &event), VIT_OK);
        want[0] = '"';
        vit_error_hash(want + 1, names[i], text ? "broke" : "", "f.c:1");
        strcat(want, "\"");
        assert_json(line_of(t), "metadata/error_hash", want);
    }
    end(t);
}

/* VIT_ROW_AT_LINE in a row of the host's own. */
static void test_own_at_line(void **state)
{
    typedef struct {
        const vit_op *op;
        const char   *message, *file;
        int64_t       line;
    } placed;
    typedef struct {
        const vit_op *op;
        const char   *message, *file, *line;
    } named;
    static const vit_member  in_order[] = { { "message", VIT_TEXT, offsetof(placed, message) },
                                            { "file", VIT_FILE, offsetof(placed, file) },
                                            { "line", VIT_INT, offsetof(placed, line) } };
    static const vit_member  as_text[] = { { "message", VIT_TEXT, offsetof(placed, message) },
                                           { "file", VIT_FILE, offsetof(placed, file) },
                                           { "line", VIT_LABEL, offsetof(named, line) } };
    static const vit_member  twice[] = { { "message", VIT_TEXT, offsetof(placed, message) },
                                         { "top_frame", VIT_FRAME, offsetof(placed, file) } };
    static const vit_schema  schemas[] = { { "own.placed", 1.0, in_order, 3, VIT_ROW_AT_LINE },
                                           { "own.no.line", 1.0, in_order, 2, VIT_ROW_AT_LINE },
                                           { "own.no.file", 1.0, in_order, 1, VIT_ROW_AT_LINE },
                                           { "own.named", 1.0, as_text, 3, VIT_ROW_AT_LINE },
                                           { "own.twice", 1.0, twice, 2, VIT_ROW_AT_LINE } };
    static const char *const frames[] = { "x.c:7", "x.c:0", "", "x.c:0" };
    vit_client              *t = client();
    placed                   p = { NULL, "broke", "/d/x.c", 7 };
    named                    n = { NULL, "broke", "/d/x.c", "7" };
    size_t                   i;
    (void)state;
    for (i = 0; i < 4; i++) {
        char want[20] = "\"";
        assert_int_equal(vit_track_schema(t, &schemas[i], i == 3 ? (void *)&n : (void *)&p),
                         VIT_OK);
        vit_error_hash(want + 1, schemas[i].name, "broke", frames[i]);
        strcat(want, "\"");
        assert_json(line_of(t), "metadata/error_hash", want);
    }
    assert_int_equal(vit_track_schema(t, &schemas[4], &n), VIT_INVALID); /* two hashes */
    end(t);
}

/* A file that is a text: its first 64 bytes are in the frame. */
static void test_own_file_text(void **state)
{
    typedef struct {
        const vit_op *op;
        const char   *message, *file;
        int64_t       line;
    } placed;
    static const vit_member members[] = { { "message", VIT_TEXT, offsetof(placed, message) },
                                          { "file", VIT_TEXT, offsetof(placed, file) },
                                          { "line", VIT_INT, offsetof(placed, line) } };
    static const vit_schema schema = { "own.text", 1.0, members, 3, VIT_ROW_AT_LINE };
    vit_client             *t = client();
    placed                  p = { NULL, "broke", NULL, 7 };
    char                    file[601], want[20] = "\"";
    size_t                  i;
    (void)state;
    for (i = 0; i < 600; i++) file[i] = "word, "[i % 6u];
    file[600] = 0;
    p.file = file;
    assert_int_equal(vit_track_schema(t, &schema, &p), VIT_OK);
    snprintf(file + 64, sizeof file - 64, ":7");
    vit_error_hash(want + 1, "own.text", "broke", file);
    strcat(want, "\"");
    assert_json(line_of(t), "metadata/error_hash", want);
    end(t);
}

/* This machine's values are labels and integers: members of other kinds cannot have them. */
static void test_own_machine(void **state)
{
    typedef struct {
        const vit_op *op;
        const char   *os;
        int64_t       cpu_count;
        double        ram_gb;
    } machine;
    static const vit_member right[] = { { "os", VIT_TEXT, offsetof(machine, os) },
                                        { "cpu_count", VIT_INT, offsetof(machine, cpu_count) } };
    static const vit_member wrong[][1] = { { { "ram_gb", VIT_REAL, offsetof(machine, ram_gb) } },
                                           { { "cpu_count", VIT_LABEL, offsetof(machine, os) } },
                                           { { "cpu_arch", VIT_UUID, offsetof(machine, os) } },
                                           { { "os", VIT_INT, offsetof(machine, cpu_count) } } };
    static vit_schema       schema = { "own.right", 1.0, right, 2, VIT_ROW_MACHINE };
    static vit_schema       schemas[COUNT_OF(wrong)];
    vit_client             *t = client();
    machine                 m;
    size_t                  i;
    (void)state;
    memset(&m, 0, sizeof m);
    assert_int_equal(vit_track_schema(t, &schema, &m), VIT_OK);
    assert_true(strlen(json_at(line_of(t), "metadata/os")) > 2);
    for (i = 0; i < COUNT_OF(wrong); i++) {
        schemas[i] = schema;
        schemas[i].name = "own.wrong";
        schemas[i].members = wrong[i];
        schemas[i].member_count = 1;
        assert_int_equal(vit_track_schema(t, &schemas[i], &m), VIT_INVALID);
    }
    end(t);
}

/* Schemas of declared types have 32 KiB together, and one 128 members. */
static void test_schemas_full(void **state)
{
    static vit_member  members[5][VITP_MEMBERS_MAX + 1];
    static char        keys[VITP_MEMBERS_MAX + 1][65];
    static vit_schema  schemas[5];
    static char        names[5][16];
    static const void *none[VITP_MEMBERS_MAX + 2];
    vit_client        *t = client();
    size_t             i, k;
    (void)state;
    for (k = 0; k <= VITP_MEMBERS_MAX; k++) {
        memset(keys[k], 'k', 64);
        keys[k][0] = (char)('a' + k / 16);
        keys[k][1] = (char)('a' + k % 16);
    }
    for (i = 0; i < 5; i++) {
        for (k = 0; k <= VITP_MEMBERS_MAX; k++) {
            vit_member m = { keys[k], VIT_HASH, sizeof(void *) };
            m.kind = k % 2 ? VIT_UUID : VIT_INT;
            members[i][k] = m;
        }
        snprintf(names[i], sizeof names[i], "large.%lu", (unsigned long)i);
        schemas[i].name = names[i];
        schemas[i].rate = 1.0;
        schemas[i].members = members[i];
        schemas[i].member_count = VITP_MEMBERS_MAX + 1;
    }
    assert_int_equal(vit_track_schema(t, &schemas[0], none), VIT_INVALID);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_TYPES_FULL), 0);
    for (i = 0; i < 5; i++) schemas[i].member_count = VITP_MEMBERS_MAX;
    for (i = 0; i < 3; i++) assert_int_equal(vit_track_schema(t, &schemas[i], none), VIT_OK);
    assert_int_equal(vit_track_schema(t, &schemas[3], none), VIT_INVALID);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_TYPES_FULL), 1);
    assert_int_equal(vit_track_schema(t, &schemas[1], none), VIT_OK);
    end(t);
}

/* With VIT_SAMPLE_FLOW an event without a correlation id is sampled by the session. */
static void test_flow_without_id(void **state)
{
    typedef struct {
        const vit_op *op;
        const char   *text;
    } event;
    static const vit_member member = { "a", VIT_LABEL, offsetof(event, text) };
    static const vit_schema schema = { "flow.less", 0.5, &member, 1, 0 };
    vit_options             o = options_of(NULL, NULL);
    unsigned                round, kept = 0;
    (void)state;
    o.sampling = VIT_SAMPLE_FLOW;
    for (round = 0; round < 20; round++) {
        vit_client *t = vit_create(&o);
        event       e = { NULL, "x" };
        char        session[16];
        vit_op      op;
        bool        keep;
        assert_non_null(t);
        snprintf(session, sizeof session, "s%u", round);
        vit_session_begin(t, session, NULL);
        vit_purge(t);
        keep = vit_should_sample("flow.less", 0.5, session);
        assert_int_equal(vit_track_schema(t, &schema, &e), keep ? VIT_OK : VIT_SAMPLED_OUT);
        assert_int_equal(vit_track_schema(t, &schema, &e), keep ? VIT_OK : VIT_SAMPLED_OUT);
        kept += keep;
        vit_purge(t);
        op = vit_op_begin();
        e.op = &op;
        if (vit_track_schema(t, &schema, &e) == VIT_OK)
            assert_json(line_of(t), "metadata/sampling_seed_type", "\"correlation\"");
        assert_true(vit_destroy(t, 0));
    }
    assert_true(kept > 0 && kept < 20);
}

/* Members of the host's own rows that are rare: what is absent, what is no UUID, and a record that
   is full before its fingerprint. */
static void test_own_rare(void **state)
{
    typedef struct {
        const vit_op *op;
        const char   *a, *b, *c, *d;
        int64_t       ms;
    } event;
    static const vit_member members[][5] = {
        { { "id", VIT_UUID, offsetof(event, a) },
          { "message", VIT_LABEL, offsetof(event, b) },
          { "top_frame", VIT_FRAME, offsetof(event, c) },
          { "none", VIT_LABEL, offsetof(event, d) },
          { "ms", VIT_MS, offsetof(event, ms) } },
        { { "id", VIT_UUID, offsetof(event, a) }, { "ms", VIT_MS, offsetof(event, ms) } },
        { { "trace", VIT_TRACE, offsetof(event, a) }, { "ms", VIT_MS, offsetof(event, ms) } },
        { { "file", VIT_FILE, offsetof(event, a) }, { "ms", VIT_MS, offsetof(event, ms) } },
        { { "message", VIT_TEXT, offsetof(event, a) },
          { "b", VIT_TEXT, offsetof(event, b) },
          { "c", VIT_TEXT, offsetof(event, c) },
          { "top_frame", VIT_FRAME, offsetof(event, d) },
          { "ms", VIT_MS, offsetof(event, ms) } },
    };
    static const vit_schema schemas[] = {
        { "rare.frame", 1.0, members[0], 5, 0 },
        { "rare.uuid", 1.0, members[1], 2, 0 },
        { "rare.trace", 1.0, members[2], 2, 0 },
        { "rare.file", 1.0, members[3], 2, VIT_ROW_AT_LINE },
        { "rare.full", 1.0, members[4], 5, 0 },
    };
    vit_client *t = client();
    event       e;
    char        want[20] = "\"", text[1200];
    const char *line;
    (void)state;
    memset(&e, 0, sizeof e);
    e.b = "broke";
    e.c = "f.c:1";
    e.ms = VIT_SINCE_OP; /* without an op */
    assert_int_equal(vit_track_schema(t, &schemas[0], &e), VIT_OK);
    vit_error_hash(want + 1, "rare.frame", "broke", "f.c:1");
    strcat(want, "\"");
    line = line_of(t);
    assert_json(line, "metadata/error_hash", want);
    assert_json(line, "metadata/id", "");
    assert_json(line, "metadata/none", "");
    assert_json(line, "metadata/ms", "0");
    e.a = "no uuid";
    assert_int_equal(vit_track_schema(t, &schemas[1], &e), VIT_INVALID);
    assert_int_equal(vit_get_stats(t).queued, 0);
    e.a = UUID_TEXT;
    assert_int_equal(vit_track_schema(t, &schemas[1], &e), VIT_OK);
    assert_json(line_of(t), "metadata/id", "\"" UUID_TEXT "\"");
    e.a = "x.c:1";
    assert_int_equal(vit_track_schema(t, &schemas[2], &e), VIT_OK);
    assert_json(line_of(t), "metadata/trace", "");
    e.a = "/d/x.c";
    assert_int_equal(vit_track_schema(t, &schemas[3], &e), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/file", "\"x.c\"");
    assert_hex(json_at(line, "metadata/error_hash"), 16);
    fill_words(text, sizeof text - 6, "words ");
    e.a = e.b = e.c = text;
    e.d = "f.c:1";
    assert_int_equal(vit_track_schema(t, &schemas[4], &e), VIT_TRUNCATED);
    line = line_of(t);
    assert_json(line, "metadata/error_hash", "");
    assert_true(json_at(line, "metadata/b")[0] == '"');
    end(t);
}

/* A text that is NULL is absent, also behind one of which nothing could be kept. */
static void test_null_behind_cut(void **state)
{
    vit_client *t = client();
    vit_event   e;
    static char word[VITP_TEXT_READ_MAX + 10];
    const char *line;
    (void)state;
    memset(word, 'w', sizeof word - 1);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_text(&e, "a", word);
    vit_add_text(&e, "b", NULL);
    vit_add_text(&e, "c", "");
    assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
    line = line_of(t);
    assert_json(line, "metadata/a", "\"[secret]\"");
    assert_json(line, "metadata/b", "");
    end(t);
}

/* ---- records --------------------------------------------------------------------------------- */

typedef struct taken {
    unsigned char bytes[VITP_RECORD_MAX];
    uint32_t      size;
    uint64_t      now_ns;
} taken;

static bool take_record(const void *record, uint32_t size, void *user)
{
    taken *r = (taken *)user;
    assert_true(size <= sizeof r->bytes);
    memcpy(r->bytes, record, size);
    r->size = size;
    return true;
}

/* What becomes of a record; what is written is JSON. */
static vitp_wire_result wired(vit_client *t, vitp_wire_shape shape, bool spooled,
                              const void *record, uint32_t size, taken *out)
{
    static char      text[VITP_EVENT_JSON_MAX];
    unsigned char   *copy = (unsigned char *)malloc(size ? size : 1);
    vitp_json        json;
    vitp_wire_job    job;
    vitp_wire_result result;
    assert_non_null(copy); /* of its size, so that a checker of memory sees what is read behind */
    memcpy(copy, record, size);
    memset(&job, 0, sizeof job);
    job.shape = shape;
    job.ledger = spooled ? NULL : t->own.ledger;
    job.now_ns = vitp_os_now_ns();
    job.wall_ns = vitp_os_wall_ns();
    memset(&json, 0, sizeof json);
    json.data = text;
    json.capacity = sizeof text;
    result = vitp_wire_event(&t->wire, &job, &json, ",", copy, size);
    free(copy);
    if (result != VITP_WIRE_WRITTEN) {
        assert_int_equal(json.size, 0);
        return result;
    }
    if (shape == VITP_SHAPE_RECORD) {
        assert_true(json.size <= sizeof out->bytes);
        memcpy(out->bytes, text, json.size);
        out->size = (uint32_t)json.size;
    } else {
        if (shape == VITP_SHAPE_OTLP) vitp_json_text(&json, "]}]}]}");
        if (!json_is_valid(text, json.size)) fail_msg("not JSON: %.*s", (int)json.size, text);
    }
    return result;
}

/* A record that ends anywhere, or of which a byte is another, is corrupt or an event, and is never
   read beyond its end. A declared one may end behind any member. */
static void spoil(vit_client *t, const taken *r, bool spooled, bool adhoc)
{
    static taken again;
    taken        bad;
    uint32_t     i, shape, written = 0;
    for (shape = VITP_SHAPE_JSON; shape <= VITP_SHAPE_RECORD; shape++) {
        assert_int_equal(wired(t, (vitp_wire_shape)shape, spooled, r->bytes, r->size, &again),
                         VITP_WIRE_WRITTEN);
        for (i = 0; i < r->size; i++) {
            written +=
                wired(t, (vitp_wire_shape)shape, spooled, r->bytes, i, &again) == VITP_WIRE_WRITTEN;
            bad = *r;
            bad.bytes[i] = (unsigned char)(bad.bytes[i] ^ (1u << i % 8));
            (void)wired(t, (vitp_wire_shape)shape, spooled, bad.bytes, bad.size, &again);
            bad.bytes[i] = 0xFF;
            (void)wired(t, (vitp_wire_shape)shape, spooled, bad.bytes, bad.size, &again);
        }
    }
    assert_true(written <= (adhoc ? 3u : 1u) * 3u * 12u);
    assert_true(written < r->size);
}

static void test_records_spoiled(void **state)
{
    vit_client *t = client_verbose();
    vit_op      op = vit_op_begin();
    taken       r, spooled;
    size_t      i;
    (void)state;
    vit_session_begin(t, "s-1", NULL);
    vit_set_context(t, "qdrant", "papers");
    vit_purge(t);
    for (i = 0; i <= COUNT_OF(rows); i++) {
        bool adhoc = i == COUNT_OF(rows);
        if (adhoc) {
            vit_event e;
            vit_event_begin(&e, t, "ad.hoc", &op);
            vit_add_label(&e, "label", "a");
            vit_add_text(&e, "text", "some text");
            vit_add_hash(&e, "host", "h");
            vit_add_int(&e, "n", -5);
            vit_add_real(&e, "real", 0.5);
            vit_add_flag(&e, "flag", true);
            vit_add_ms(&e, "ms", 7);
            vit_add_uuid(&e, "uuid", UUID_TEXT);
            vit_add_file(&e, "file", "/d/x.c");
            assert_int_equal(vit_event_send(&e), VIT_OK);
        } else {
            vit_set_rate(t, rows[i].name, 1.0);
            assert_true(rows[i].full(t, &op) <= VIT_TRUNCATED);
        }
        r.size = 0;
        (void)vit_queue_peek(t->recorder.queue, take_record, &r, 1);
        assert_true(r.size > sizeof(vitp_record_head));
        spoil(t, &r, false, adhoc);
        assert_int_equal(wired(t, VITP_SHAPE_RECORD, false, r.bytes, r.size, &spooled),
                         VITP_WIRE_WRITTEN);
        spoil(t, &spooled, true, true);
        vit_purge(t);
    }
    end(t);
}

/* The JSON of a record in a buffer of a size: by its type's stencil where there is one, or not. */
static vitp_wire_result wired_by(vit_client *t, bool stencil, const taken *r, size_t capacity,
                                 vitp_json *json)
{
    static vitp_stencil kept[VITP_STENCILS];
    const vitp_wire_job job = { VITP_SHAPE_JSON, t->own.ledger, r->now_ns, r->now_ns };
    vitp_wire_result    result;
    unsigned            i;
    memcpy(kept, t->wire.stencils, sizeof kept);
    for (i = 0; !stencil && i < VITP_STENCILS; i++) t->wire.stencils[i].closed = false;
    memset(json->data, 'x', VITP_EVENT_JSON_MAX);
    memcpy(json->data, "[", 1);
    json->size = 1;
    json->capacity = capacity;
    json->full = false;
    result = vitp_wire_event(&t->wire, &job, json, ",", r->bytes, r->size);
    if (!stencil) memcpy(t->wire.stencils, kept, sizeof kept);
    return result;
}

#define APP_PLAIN_KINDS(X)                                                                 \
    X(VIT_UUID, trace)                                                                     \
    X(VIT_ROW, row)                                                                        \
    X(VIT_GROUP, team) X(VIT_FILE, file) X(VIT_HASH, host) X(VIT_FLAG, flag) X(VIT_INT, n) \
        X(VIT_LABEL, label)
VIT_EVENT_DECLARE(plain_kinds, APP_PLAIN_KINDS);
VIT_EVENT_DEFINE(plain_kinds, "plain.kinds", 1.0, APP_PLAIN_KINDS)

#define APP_REAL_KIND(X) X(VIT_REAL, share) X(VIT_FLAG, flag)
VIT_EVENT_DECLARE(real_kind, APP_REAL_KIND);
VIT_EVENT_DEFINE(real_kind, "real.kind", 1.0, APP_REAL_KIND)

/* Both ways write the same, or refuse for the same reason. */
static void assert_both_ways(vit_client *t, const taken *r, size_t capacity)
{
    static char one[VITP_EVENT_JSON_MAX], other[VITP_EVENT_JSON_MAX];
    vitp_json   quick = { one, 0, 0, false }, slow = { other, 0, 0, false };
    assert_int_equal(wired_by(t, true, r, capacity, &quick),
                     wired_by(t, false, r, capacity, &slow));
    assert_int_equal(quick.size, slow.size);
    assert_int_equal(quick.full, slow.full);
    assert_memory_equal(one, other, quick.size);
}

static void take_last(vit_client *t, taken *r)
{
    r->size = 0;
    (void)vit_queue_peek(t->recorder.queue, take_record, r, 1);
    assert_true(r->size > sizeof(vitp_record_head));
    r->now_ns = vitp_os_now_ns();
    vit_purge(t);
}

static bool by_stencil(vit_client *t, const taken *r)
{
    static char   text[VITP_EVENT_JSON_MAX];
    vitp_json     json = { text, 0, 0, false };
    uint16_t      type = ((const vitp_record_head *)(const void *)r->bytes)->type;
    vitp_stencil *s = &t->wire.stencils[type % VITP_STENCILS];
    s->used = false;
    return wired_by(t, true, r, sizeof text, &json) == VITP_WIRE_WRITTEN && s->type == type + 1u &&
           s->most > 0 && s->used; /* one that is of no use may have been cut just now */
}

/* By a rate, a seed, and so long after it was recorded; also twice, as others of its kind were. */
static void assert_both_ways_sampled(vit_client *t, const taken *r)
{
    taken            other;
    vitp_record_head head;
    unsigned         i;
    for (i = 0; i < 24; i++) {
        other = *r;
        memcpy(&head, other.bytes, sizeof head);
        head.rate = i / 8u == 0 ? 1.0 : i / 8u == 1 ? 0.25 : 1.0 / 3.0;
        head.seed_kind = (uint8_t)(i / 2u % 4u);
        memcpy(other.bytes, &head, sizeof head);
        assert_both_ways(t, &other, VITP_EVENT_JSON_MAX);
        other.now_ns += UINT64_C(3600000000000);
        assert_both_ways(t, &other, VITP_EVENT_JSON_MAX);
    }
}

/* Each piece of a record cut off, each byte of it another. */
static void assert_both_ways_spoilt(vit_client *t, const taken *r)
{
    taken    bad;
    uint32_t at;
    for (at = 0; at < r->size; at++) {
        bad = *r;
        bad.size = at;
        assert_both_ways(t, &bad, VITP_EVENT_JSON_MAX);
        bad = *r;
        bad.bytes[at] = (unsigned char)(bad.bytes[at] ^ (1u << at % 8));
        assert_both_ways(t, &bad, VITP_EVENT_JSON_MAX);
        bad.bytes[at] = 0xFF;
        assert_both_ways(t, &bad, VITP_EVENT_JSON_MAX);
    }
}

/* Events of each type with and without members, sampled or not, whole, cut and spoilt. */
static void test_both_ways(void **state)
{
    vit_client *t = client();
    vit_op      op = vit_op_begin();
    taken       r;
    uint32_t    at, quick = 0;
    size_t      i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows) * 4u; i++) {
        size_t k = i / 4u;
        if (i % 4u == 0) vit_set_rate(t, rows[k].name, 1.0);
        if (i % 4u == 2) vit_session_begin(t, "s-1", NULL), vit_set_context(t, "qdrant", "papers");
        vit_purge(t);
        assert_true((i % 2u ? rows[k].empty : rows[k].full)(t, i % 4u ? &op : NULL) <=
                    VIT_TRUNCATED);
        take_last(t, &r);
        for (at = 0; at < 3; at++) assert_both_ways(t, &r, VITP_EVENT_JSON_MAX);
        if (by_stencil(t, &r)) quick++;
        assert_both_ways_spoilt(t, &r);
        assert_both_ways_sampled(t, &r);
    }
    assert_true(quick >= 20); /* else this compares nothing */
    end(t);
}

/* Members of every kind that a stencil takes, each left out in turn; and one that it does not. */
static void test_both_ways_kinds(void **state)
{
    vit_client     *t = client();
    vit_plain_kinds event;
    vit_real_kind   other;
    taken           r;
    unsigned        i;
    (void)state;
    for (i = 0; i < 128; i++) {
        memset(&event, 0, sizeof event);
        event.trace = i & 1u ? NULL : UUID_TEXT;
        event.row = i & 2u ? NULL : "row";
        event.team = i & 4u ? NULL : "team";
        event.file = i & 8u ? NULL : "/d/x.c";
        event.host = i & 16u ? NULL : "host";
        event.label = i & 32u ? NULL : "label";
        event.n = -(int64_t)i;
        event.flag = (i & 64u) != 0;
        assert_int_equal(vit_track_plain_kinds(t, &event), VIT_OK);
        take_last(t, &r);
        assert_both_ways(t, &r, VITP_EVENT_JSON_MAX);
        assert_true(by_stencil(t, &r));
        if (i % 16 == 0) assert_both_ways_spoilt(t, &r);
    }
    memset(&other, 0, sizeof other);
    other.share = 1.0 / 3.0; /* no byte of it is 0 */
    for (i = 0; i < 3; i++) {
        assert_int_equal(vit_track_real_kind(t, &other), VIT_OK);
        take_last(t, &r);
        assert_both_ways(t, &r, VITP_EVENT_JSON_MAX);
        assert_false(by_stencil(t, &r));
    }
    end(t);
}

/* What becomes a secret does not leave by what was known of a label or a context before. */
static void test_stencil_then_secret(void **state)
{
    vit_client     *t = client();
    vit_plain_kinds event;
    unsigned        i;
    (void)state;
    vit_set_context(t, "context-of-it", NULL);
    memset(&event, 0, sizeof event);
    for (i = 0; i < 3; i++) {
        if (i == 1) assert_true(vit_register_secret(t, "context-of-it", 0));
        if (i == 2) assert_true(vit_register_secret(t, "label-of-it", 0));
        if (i == 2) vit_set_context(t, "other", NULL);
        event.label = i == 1 ? NULL : "label-of-it"; /* then by nothing but the context */
        assert_int_equal(vit_track_plain_kinds(t, &event), VIT_OK);
        assert_int_equal(vit_track_plain_kinds(t, &event), VIT_OK);
        assert_int_equal(vit_export(t, ignore_line, NULL), i == 0 ? 2 : 0);
        vit_purge(t);
    }
    end(t);
}

/* The version that stands in a pool is another run's, or anything. */
static void test_version_is_a_secret(void **state)
{
    vit_client *t = client();
    char       *version = t->own.ledger->writer.app_version;
    taken       r, out;
    (void)state;
    snprintf(version, VITP_LABEL_MAX, "1-of-it-2");
    assert_true(rows[0].full(t, NULL) <= VIT_TRUNCATED);
    take_last(t, &r);
    assert_int_equal(wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out), VITP_WIRE_WRITTEN);
    assert_true(vit_register_secret(t, "of-it", 0));
    assert_int_equal(wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out), VITP_WIRE_SECRET);
    snprintf(version, VITP_LABEL_MAX, "1.2");
    assert_int_equal(wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out), VITP_WIRE_WRITTEN);
    end(t);
}

/* A buffer of any size; and members at the limits of their kinds. */
static void test_both_ways_room(void **state)
{
    static const int64_t limits[] = { 0,
                                      9,
                                      10,
                                      99,
                                      100,
                                      999,
                                      1000,
                                      65535,
                                      INT64_MAX,
                                      -1,
                                      -10,
                                      -99,
                                      -100,
                                      INT64_MIN,
                                      INT64_MIN + 1,
                                      999999999999999999,
                                      1000000000000000000 };
    vit_client          *t = client();
    vit_op               op = vit_op_begin();
    vit_query_executed   event;
    taken                r;
    char                 label[VITP_LABEL_MAX + 1];
    size_t               i;
    (void)state;
    vit_set_rate(t, "query.executed", 1.0);
    vit_purge(t);
    memset(&event, 0, sizeof event);
    event.op = &op;
    event.query_type = label;
    event.success = true;
    for (i = 0; i <= VITP_LABEL_MAX; i++) {
        snprintf(label, sizeof label, "%.*s", (int)i,
                 "a label of sixty-four characters, none of which is to be hidden.");
        event.result_count = limits[i % COUNT_OF(limits)];
        event.latency_ms = limits[i / 2 % COUNT_OF(limits)];
        event.success = i % 2 == 0;
        event.db_type = i % 3 ? "chromadb" : i % 2 ? NULL : "";
        assert_int_equal(vit_track_query_executed(t, &event), VIT_OK);
        take_last(t, &r);
        assert_both_ways(t, &r, VITP_EVENT_JSON_MAX);
        assert_both_ways(t, &r, VITP_EVENT_JSON_MAX);
        assert_true(by_stencil(t, &r));
    }
    for (i = 1; i <= VITP_EVENT_JSON_MAX; i += i < 3000 ? 1 : 997) assert_both_ways(t, &r, i);
    end(t);
}

/* The scan of two labels whose place is the same is remembered, of both. */
static void test_stencil_of_labels_in_a_pair(void **state)
{
    vit_client        *t = client();
    vit_query_executed event = { 0, 0, 0, 0, 0, 0, 0 };
    char               other[16] = "";
    taken              r;
    unsigned           i;
    (void)state;
    vit_set_rate(t, "query.executed", 1.0); /* one that is sampled has a label more */
    event.query_type = "similarity";
    for (i = 0; i < 100000; i++) {
        snprintf(other, sizeof other, "label_%u", i);
        if (vitp_wire_clean_pair(&t->wire, other, strlen(other)) ==
            vitp_wire_clean_pair(&t->wire, event.query_type, strlen(event.query_type)))
            break;
    }
    assert_true(i < 100000);
    event.db_type = other;
    for (i = 0; i < 4; i++) {
        assert_int_equal(vit_track_query_executed(t, &event), VIT_OK);
        take_last(t, &r);
        assert_true(by_stencil(t, &r));
        assert_both_ways(t, &r, VITP_EVENT_JSON_MAX);
    }
    end(t);
}

/* A place that two types want stays with one of them while that is in use. */
static void test_stencil_of_two(void **state)
{
    vit_client         *t = client();
    taken               r[2];
    vitp_record_head    head;
    const vitp_stencil *s;
    unsigned            i, k;
    (void)state;
    for (k = 0; k < 2; k++) {
        vit_feature_toggled event;
        memset(&event, 0, sizeof event);
        event.feature_name = k ? "one" : "other";
        assert_int_equal(vit_track_feature_toggled(t, &event), VIT_OK);
        take_last(t, &r[k]);
    }
    memcpy(&head, r[1].bytes, sizeof head); /* the other is of the type that has the same place */
    s = &t->wire.stencils[head.type % VITP_STENCILS];
    t->own.ledger->schemas[head.type ^ VITP_STENCILS] = t->own.ledger->schemas[head.type];
    head.type ^= VITP_STENCILS;
    memcpy(r[1].bytes, &head, sizeof head);
    for (i = 0; i < 6; i++) {
        for (k = 0; k < 2; k++) assert_both_ways(t, &r[k], VITP_EVENT_JSON_MAX);
        assert_int_equal(s->type, (head.type ^ VITP_STENCILS) + 1u);
    }
    for (i = 0; i < 2; i++) assert_both_ways(t, &r[1], VITP_EVENT_JSON_MAX);
    assert_int_equal(s->type, head.type + 1u); /* the first is not used any more */
    end(t);
}

/* Schemas of a pool that somebody spoilt: whatever a type's place and the bytes there say. */
static void test_schemas_spoiled(void **state)
{
    vit_client  *t = client();
    vit_op       op = vit_op_begin();
    vitp_ledger *l = t->own.ledger;
    taken        r, out;
    uint32_t     type, at, i;
    (void)state;
    r.size = 0;
    assert_true(rows[0].full(t, &op) <= VIT_TRUNCATED);
    (void)vit_queue_peek(t->recorder.queue, take_record, &r, 1);
    memcpy(&type, r.bytes + offsetof(vitp_record_head, type),
           sizeof(((vitp_record_head *)0)->type));
    type = ((const vitp_record_head *)(const void *)r.bytes)->type;
    at = l->schemas[type];
    assert_true(at > 0);
    for (i = 0; i < 300; i++) { /* near the end of the room, and beyond */
        l->schemas[type] = VITP_LEDGER_SCHEMAS + 2u - i;
        memset(l->schema_bytes + VITP_LEDGER_SCHEMAS - 300, (int)(i % 7), 300);
        assert_int_equal(wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out),
                         VITP_WIRE_CORRUPT);
    }
    l->schemas[type] = 0xFFFFFFFFu;
    assert_int_equal(wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out), VITP_WIRE_CORRUPT);
    l->schemas[type] = 0;
    assert_int_equal(wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out), VITP_WIRE_CORRUPT);
    l->schemas[type] = at;
    for (i = 0; i < 64; i++) {
        unsigned char was = l->schema_bytes[at - 1u + i];
        l->schema_bytes[at - 1u + i] = (unsigned char)(was + 1u);
        (void)wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out);
        l->schema_bytes[at - 1u + i] = 0xFF;
        (void)wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out);
        l->schema_bytes[at - 1u + i] = was;
    }
    assert_int_equal(wired(t, VITP_SHAPE_JSON, false, r.bytes, r.size, &out), VITP_WIRE_WRITTEN);
    end(t);
}

/* ---- statuses and counters ------------------------------------------------------------------- */

static void test_statuses(void **state)
{
    vit_client         *t = client();
    vit_query_executed  query;
    vit_feature_toggled toggled;
    vit_stats           s;
    vit_event           e;
    (void)state;
    memset(&query, 0, sizeof query);
    memset(&toggled, 0, sizeof toggled);
    vit_set_rate(t, "query.executed", 0.0);
    assert_int_equal(vit_track_query_executed(t, &query), VIT_SAMPLED_OUT);
    assert_int_equal(vit_track_feature_toggled(t, NULL), VIT_INVALID);
    assert_int_equal(vit_track_feature_toggled(t, &toggled), VIT_OK);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_int_equal(vit_track_feature_toggled(t, &toggled), VIT_DISABLED);
    assert_int_equal(vit_fail(t, NULL, "X", NULL, 5), 5);
    vit_event_begin(&e, t, "x", NULL);
    assert_int_equal(vit_event_send(&e), VIT_DISABLED);
    s = vit_get_stats(t);
    assert_int_equal(s.accepted, 1);
    assert_int_equal(s.refused_sampled, 1);
    assert_int_equal(s.refused_invalid, 1);
    assert_int_equal(s.refused_disabled, 3);
    assert_int_equal(s.refused_full, 0);
    assert_int_equal(s.dropped[VIT_DROP_CONSENT], 1);
    assert_int_equal(s.queued, 0);
    vit_set_consent(
        t, VIT_CONSENT_GRANTED); /* begun while it was denied, sent when granted; and back */
    vit_event_begin(&e, t, "x", NULL);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_int_equal(vit_event_send(&e), VIT_DISABLED);
    assert_string_equal(vit_status_text(VIT_OK), "VIT_OK");
    assert_string_equal(vit_status_text(VIT_TRUNCATED), "VIT_TRUNCATED");
    assert_string_equal(vit_status_text(VIT_DISABLED), "VIT_DISABLED");
    assert_string_equal(vit_status_text(VIT_SAMPLED_OUT), "VIT_SAMPLED_OUT");
    assert_string_equal(vit_status_text(VIT_QUEUE_FULL), "VIT_QUEUE_FULL");
    assert_string_equal(vit_status_text(VIT_INVALID), "VIT_INVALID");
    assert_non_null(vit_status_text((vit_status)-1));
    assert_non_null(vit_status_text((vit_status)1000));
    assert_string_equal(vit_version(), VITELEMETRY_VERSION);
    end(t);
}

/* ---- what waited ----------------------------------------------------------------------------- */

/* Makes the record older by *user seconds. */
static bool age(const void *record, uint32_t size, void *user)
{
    unsigned char *bytes = (unsigned char *)(uintptr_t)record + offsetof(vitp_record_head, time_ns);
    uint64_t       time_ns;
    assert_true(size >= sizeof(vitp_record_head));
    memcpy(&time_ns, bytes, 8);
    assert_true(time_ns > 100000000000u); /* the machine runs longer than that */
    time_ns -= *(const uint64_t *)user * 1000000000u;
    memcpy(bytes, &time_ns, 8);
    return false;
}

static void test_delay(void **state)
{
    static const struct {
        uint64_t    s;
        const char *json;
    } cases[] = { { 0, "" }, { 59, "" }, { 61, "61" }, { 90, "90" } };
    vit_client *t = client();
    size_t      i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        vit_event e;
        uint64_t  s = cases[i].s;
        vit_event_begin(&e, t, "x", NULL);
        vit_add_int(&e, "a", 1);
        assert_int_equal(vit_event_send(&e), VIT_OK);
        assert_int_equal(vit_queue_peek(t->recorder.queue, age, &s, 1), 1);
        assert_json(line_of(t), "metadata/delay_s", cases[i].json);
    }
    end(t);
}

/* ---- sessions and ops ------------------------------------------------------------------------ */

static void test_session(void **state)
{
    static const char *const reasons[] = { "\"normal\"", "\"crash\"", "\"forced_close\"" };
    vit_client              *t = client();
    char                     id[96];
    size_t                   i;
    lines                    l;
    (void)state;
    vit_session_end(t, VIT_EXIT_NORMAL); /* none is open */
    assert_int_equal(vit_get_stats(t).accepted, 0);
    for (i = 0; i < 3; i++) {
        vit_session_begin(t, NULL, "desktop");
        sleep_ms(3);
        vit_session_end(t, (vit_exit)i);
        l = lines_of(t);
        assert_int_equal(l.count, 2);
        assert_json(l.text[0], "event_name", "\"session.start\"");
        assert_json(l.text[0], "metadata/launch_source", "\"desktop\"");
        assert_true(strlen(json_at(l.text[0], "metadata/os")) > 2);
        snprintf(id, sizeof id, "%s", json_at(l.text[0], "metadata/session_id"));
        assert_int_equal(strlen(id), 38);
        assert_json(l.text[1], "event_name", "\"session.end\"");
        assert_json(l.text[1], "metadata/session_id", id);
        assert_json(l.text[1], "metadata/exit_reason", reasons[i]);
        assert_true(strtol(json_at(l.text[1], "metadata/duration_ms"), NULL, 10) >= 3);
        lines_free(&l);
        vit_purge(t);
    }
    vit_session_begin(t, "first", NULL);
    vit_session_begin(t, "second", NULL); /* ends the first */
    l = lines_of(t);
    assert_int_equal(l.count, 3);
    assert_json(l.text[0], "metadata/session_id", "\"first\"");
    assert_json(l.text[1], "event_name", "\"session.end\"");
    assert_json(l.text[1], "metadata/session_id", "\"first\"");
    assert_json(l.text[2], "metadata/session_id", "\"second\"");
    lines_free(&l);
    vit_session_begin(t, repeat(id, 80, 'a'), NULL); /* too long: cut, not refused */
    vit_purge(t);
    vit_session_end(t, (vit_exit)77);
    l = lines_of(t);
    assert_json(l.text[0], "metadata/exit_reason", "\"normal\"");
    lines_free(&l);
    end(t);
}

/* A long id or provider is scrubbed before it is cut: no half of an address is left. */
static void test_long_context_texts(void **state)
{
    vit_client *t = client();
    char        text[128];
    lines       l;
    (void)state;
    memset(text, 'x', 50);
    strcpy(text + 50, " jane.doe.of.the.office@example.org");
    vit_session_begin(t, text, NULL);
    vit_set_context(t, text, NULL);
    vit_purge(t);
    vit_session_end(t, VIT_EXIT_NORMAL);
    l = lines_of(t);
    assert_int_equal(l.count, 1);
    assert_null(strstr(l.text[0], "jane"));
    assert_non_null(strstr(json_at(l.text[0], "metadata/session_id"), "xxx [email]\""));
    assert_non_null(strstr(json_at(l.text[0], "metadata/db_provider"), "xxx [email]\""));
    lines_free(&l);
    end(t);
}

static void test_op(void **state)
{
    vit_op a = vit_op_begin(), b = vit_op_begin();
    char   text[37];
    (void)state;
    assert_true(memcmp(a.correlation_id, b.correlation_id, 16) != 0);
    vit_op_text(&a, text);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(text[14], '4');
    assert_true(strchr("89ab", text[19]) != NULL);
    vit_op_text(NULL, text);
    assert_string_equal(text, "00000000-0000-0000-0000-000000000000");
}

/* Events without .op have ids of their own, all different. */
static void test_correlation_ids(void **state)
{
    vit_client        *t = client();
    vit_clustering_run event;
    lines              l;
    size_t             i, j;
    (void)state;
    memset(&event, 0, sizeof event);
    for (i = 0; i < 100; i++) assert_int_equal(vit_track_clustering_run(t, &event), VIT_OK);
    l = lines_of(t);
    for (i = 0; i < l.count; i++) {
        char id[64];
        snprintf(id, sizeof id, "%s", json_at(l.text[i], "metadata/correlation_id"));
        assert_int_equal(strlen(id), 38);
        assert_int_equal(id[15], '4');
        for (j = 0; j < i; j++)
            assert_string_not_equal(json_at(l.text[j], "metadata/correlation_id"), id);
    }
    lines_free(&l);
    end(t);
}

/* ---- what events of a type have in common is put together once ------------------------------- */

/* Under a new identity the second event of a type does not leave with the first one's hwid. */
static void test_same_type_new_identity(void **state)
{
    vit_client         *t = client();
    vit_feature_toggled event;
    char                first[64], second[64];
    (void)state;
    memset(&event, 0, sizeof event);
    event.feature_name = "dark_mode";
    assert_int_equal(vit_track_feature_toggled(t, &event), VIT_OK);
    memcpy(first, line_of(t), sizeof first); /* {"hwid":" and its 36 characters are in it */
    assert_int_equal(vit_track_feature_toggled(t, &event), VIT_OK);
    memcpy(second, line_of(t), sizeof second);
    assert_memory_equal(first, second, 9 + 36);
    vit_reset_identity(t);
    assert_int_equal(vit_track_feature_toggled(t, &event), VIT_OK);
    memcpy(second, line_of(t), sizeof second);
    assert_memory_equal(second, "{\"hwid\":\"", 9);
    assert_memory_not_equal(first + 9, second + 9, 36);
    end(t);
}

#define APP_OWN_CONTEXT(X) X(VIT_LABEL, session_id) X(VIT_INT, n)
VIT_EVENT_DECLARE(own_context, APP_OWN_CONTEXT);
VIT_EVENT_DEFINE(own_context, "own.context", 1.0, APP_OWN_CONTEXT)

/* A member of the context that the event has itself stands once, with the event's value; where the
   event leaves it out, the context's is there. The first event and the second. */
static void test_same_type_own_context(void **state)
{
    vit_client     *t = client();
    vit_own_context event;
    unsigned        i;
    (void)state;
    vit_session_begin(t, "of-the-session", "test");
    vit_purge(t);
    memset(&event, 0, sizeof event);
    for (i = 0; i < 4; i++) {
        const char *line;
        event.session_id = i % 2 == 0 ? "of-the-event" : NULL;
        assert_int_equal(vit_track_own_context(t, &event), VIT_OK);
        line = line_of(t);
        assert_int_equal(count_of(line, "session_id"), 1);
        assert_json(line, "metadata/session_id",
                    i % 2 == 0 ? "\"of-the-event\"" : "\"of-the-session\"");
    }
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_export_is_the_wire),
        cmocka_unit_test(test_builder_kinds),
        cmocka_unit_test(test_builder_null_values),
        cmocka_unit_test(test_builder_empty),
        cmocka_unit_test(test_builder_keys),
        cmocka_unit_test(test_builder_key_of_null),
        cmocka_unit_test(test_builder_hash_key_size),
        cmocka_unit_test(test_builder_names),
        cmocka_unit_test(test_builder_catalogue_names),
        cmocka_unit_test(test_builder_duplicates),
        cmocka_unit_test(test_builder_own_context),
        cmocka_unit_test(test_builder_too_many),
        cmocka_unit_test(test_builder_states),
        cmocka_unit_test(test_builder_size),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_group_without_salt),
        cmocka_unit_test(test_hash_long),
        cmocka_unit_test(test_text_cut),
        cmocka_unit_test(test_text_cut_at_marker),
        cmocka_unit_test(test_text_none_behind_cut),
        cmocka_unit_test(test_builder_without_client),
        cmocka_unit_test(test_text_huge),
        cmocka_unit_test(test_text_open_at_edge),
        cmocka_unit_test(test_text_escapes),
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_ms_since_op),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_hash_of),
        cmocka_unit_test(test_error_hash),
        cmocka_unit_test(test_error_hash_long_trace),
        cmocka_unit_test(test_error_hash_cut),
        cmocka_unit_test(test_track_error),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_trace_edges),
        cmocka_unit_test(test_text_secret_at_edge),
        cmocka_unit_test(test_trace_taken_back),
        cmocka_unit_test(test_own_event),
        cmocka_unit_test(test_invalid_schema),
        cmocka_unit_test(test_invalid_kind),
        cmocka_unit_test(test_types_full),
        cmocka_unit_test(test_own_error_hash),
        cmocka_unit_test(test_own_at_line),
        cmocka_unit_test(test_own_file_text),
        cmocka_unit_test(test_own_machine),
        cmocka_unit_test(test_schemas_full),
        cmocka_unit_test(test_flow_without_id),
        cmocka_unit_test(test_own_rare),
        cmocka_unit_test(test_null_behind_cut),
        cmocka_unit_test(test_records_spoiled),
        cmocka_unit_test(test_schemas_spoiled),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_op),
        cmocka_unit_test(test_long_context_texts),
        cmocka_unit_test(test_correlation_ids),
        cmocka_unit_test(test_same_type_new_identity),
        cmocka_unit_test(test_same_type_own_context),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_both_ways_room),
        cmocka_unit_test(test_both_ways_kinds),
        cmocka_unit_test(test_stencil_then_secret),
        cmocka_unit_test(test_version_is_a_secret),
        cmocka_unit_test(test_stencil_of_labels_in_a_pair),
        cmocka_unit_test(test_stencil_of_two),
    };
    environment_clear();
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
