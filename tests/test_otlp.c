/* test_otlp.c: VIT_WIRE_OTLP against the JSON mapping of opentelemetry-proto 1.x (logs). A strict
   checker knows each message's fields and types; a decoder gives back every attribute, which is
   compared with what VIT_WIRE_EVENT makes of the same event. The clocks are the test's own.

   Build: cc -std=c99 -I. tests/test_otlp.c -o build/tests/test_otlp -lcmocka -pthread -lm */

#include "clocks.h"

#include "common.h"

#include "bench.h"

#include <dirent.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>

#define YEAR   (365u * DAY)

/* ---- a walk over JSON that is known to be well-formed ---------------------------------------- */

typedef struct span {
    const char *at, *end;
} span;

static span span_of(const char *text, size_t size)
{
    span s = { text, text + size };
    return s;
}

static bool span_is(span s, const char *text)
{
    return (size_t)(s.end - s.at) == strlen(text) && memcmp(s.at, text, strlen(text)) == 0;
}

/* The next member or element behind *at, which begins NULL. key: of a member, with its quotes. */
static bool next_in(span container, const char **at, span *key, span *value)
{
    const char *p = *at ? *at : container.at;
    p = json_space(p, container.end);
    if (p >= container.end || *p == '}' || *p == ']') return false;
    p = json_space(p + 1, container.end); /* behind the bracket or the comma */
    if (p >= container.end || *p == '}' || *p == ']') return false;
    if (*container.at == '{') {
        key->at = p;
        key->end = p = json_string(p, container.end);
        p = json_space(json_space(p, container.end) + 1, container.end);
    }
    value->at = p;
    value->end = p = json_value(p, container.end, 0);
    *at = p;
    return true;
}

/* ---- the mapping ----------------------------------------------------------------------------- */

typedef enum type {
    T_STRING,
    T_INT64,  /* a string of a 64-bit integer; so are the others */
    T_TIME,   /* fixed64 nanoseconds; 0: unknown */
    T_ENUM,   /* an integer, not a name */
    T_TRACE,  /* 16 bytes in lower hex */
    T_SPAN,   /* 8 bytes */
    T_UINT32, /* a number */
    T_BOOL,
    T_DOUBLE, /* a number, or "NaN", "Infinity", "-Infinity" */
    T_ANY,    /* an AnyValue */
    T_MESSAGE,
    T_LIST
} type;

typedef struct message message;

typedef struct field {
    const char    *name;
    type           t;
    bool           needed; /* by us; the mapping itself needs none */
    const message *of;
} field;

struct message {
    const char  *name;
    const field *fields;
};

/* clang-format off */
static const field   any_fields[] = { /* of the kinds that we make */
    { "stringValue", T_STRING, false, NULL }, { "boolValue", T_BOOL, false, NULL },
    { "intValue", T_INT64, false, NULL }, { "doubleValue", T_DOUBLE, false, NULL },
    { NULL, T_STRING, false, NULL } };
static const message any_value = { "AnyValue", any_fields };
static const field   key_value_fields[] = {
    { "key", T_STRING, true, NULL }, { "value", T_ANY, true, &any_value },
    { NULL, T_STRING, false, NULL } };
static const message key_value = { "KeyValue", key_value_fields };
static const field   resource_fields[] = {
    { "attributes", T_LIST, true, &key_value },
    { "droppedAttributesCount", T_UINT32, false, NULL }, { NULL, T_STRING, false, NULL } };
static const message resource = { "Resource", resource_fields };
static const field   scope_fields[] = {
    { "name", T_STRING, true, NULL }, { "version", T_STRING, true, NULL },
    { "attributes", T_LIST, false, &key_value },
    { "droppedAttributesCount", T_UINT32, false, NULL }, { NULL, T_STRING, false, NULL } };
static const message scope = { "InstrumentationScope", scope_fields };
static const field   log_record_fields[] = {
    { "timeUnixNano", T_TIME, true, NULL }, { "observedTimeUnixNano", T_TIME, true, NULL },
    { "severityNumber", T_ENUM, true, NULL }, { "severityText", T_STRING, true, NULL },
    { "body", T_ANY, true, &any_value }, { "attributes", T_LIST, true, &key_value },
    { "droppedAttributesCount", T_UINT32, false, NULL }, { "flags", T_UINT32, false, NULL },
    { "traceId", T_TRACE, false, NULL }, { "spanId", T_SPAN, false, NULL },
    { "eventName", T_STRING, true, NULL }, { NULL, T_STRING, false, NULL } };
static const message log_record = { "LogRecord", log_record_fields };
static const field   scope_logs_fields[] = {
    { "scope", T_MESSAGE, true, &scope }, { "logRecords", T_LIST, true, &log_record },
    { "schemaUrl", T_STRING, false, NULL }, { NULL, T_STRING, false, NULL } };
static const message scope_logs = { "ScopeLogs", scope_logs_fields };
static const field   resource_logs_fields[] = {
    { "resource", T_MESSAGE, true, &resource }, { "scopeLogs", T_LIST, true, &scope_logs },
    { "schemaUrl", T_STRING, false, NULL }, { NULL, T_STRING, false, NULL } };
static const message resource_logs = { "ResourceLogs", resource_logs_fields };
static const field   request_fields[] = {
    { "resourceLogs", T_LIST, true, &resource_logs }, { NULL, T_STRING, false, NULL } };
static const message request_message = { "ExportLogsServiceRequest", request_fields };
/* clang-format on */

/* What is wrong; "": nothing. */
static char wrong[512];

static bool complain(const char *message_name, const char *what, span s)
{
    size_t size = (size_t)(s.end - s.at);
    snprintf(wrong, sizeof wrong, "%s: %s: %.*s", message_name, what,
             (int)(size < 200 ? size : 200), s.at);
    return false;
}

static bool is_quoted(span s) { return *s.at == '"'; }

/* A string of a canonical decimal integer within the type. */
static bool is_integer(span s, bool is_signed)
{
    char     text[32];
    size_t   size = (size_t)(s.end - s.at) - 2;
    char    *end = NULL;
    intmax_t i;
    if (!is_quoted(s) || size < 1 || size >= sizeof text) return false;
    memcpy(text, s.at + 1, size);
    text[size] = 0;
    if (strspn(text, "-0123456789") != size || (!is_signed && text[0] == '-')) return false;
    if ((text[0] == '0' && size > 1) || (text[0] == '-' && (text[1] < '1' || text[1] > '9')))
        return false;
    errno = 0;
    if (is_signed) {
        i = strtoimax(text, &end, 10);
        (void)i;
    } else {
        (void)strtoumax(text, &end, 10);
    }
    return errno == 0 && *end == 0;
}

static bool is_hex_bytes(span s, size_t digits)
{
    size_t i;
    bool   zero = true;
    if ((size_t)(s.end - s.at) != digits + 2 || !is_quoted(s)) return false;
    for (i = 1; i <= digits; i++) {
        if (!strchr("0123456789abcdef", s.at[i])) return false;
        if (s.at[i] != '0') zero = false;
    }
    return !zero; /* all zeroes are no id */
}

static bool is_plain_number(span s, bool whole)
{
    const char *p;
    if (is_quoted(s) || !(p = json_number(s.at, s.end)) || p != s.end) return false;
    for (p = s.at; whole && p < s.end; p++)
        if (*p < '0' || *p > '9') return false;
    return true;
}

static bool check_message(const message *m, span s);

static bool check_list(const message *m, span s)
{
    const char *at = NULL;
    span        key, value;
    if (*s.at != '[') return complain(m->name, "not a list", s);
    while (next_in(s, &at, &key, &value))
        if (!check_message(m, value)) return false;
    return true;
}

static bool check_any(span s)
{
    const char *at = NULL;
    span        key, value;
    size_t      n = 0;
    if (!check_message(&any_value, s)) return false;
    while (next_in(s, &at, &key, &value)) n++;
    return n == 1 ? true : complain("AnyValue", "not exactly one value", s);
}

static bool check_value(const field *f, span s)
{
    switch (f->t) {
    case T_STRING: return is_quoted(s);
    case T_INT64: return is_integer(s, true);
    case T_TIME: return is_integer(s, false);
    case T_ENUM:
        return is_plain_number(s, true) && strtol(s.at, NULL, 10) >= 1 &&
               strtol(s.at, NULL, 10) <= 24;
    case T_TRACE: return is_hex_bytes(s, 32);
    case T_SPAN: return is_hex_bytes(s, 16);
    case T_UINT32: return is_plain_number(s, true);
    case T_BOOL: return span_is(s, "true") || span_is(s, "false");
    case T_DOUBLE:
        return is_plain_number(s, false) || span_is(s, "\"NaN\"") || span_is(s, "\"Infinity\"") ||
               span_is(s, "\"-Infinity\"");
    case T_ANY: return check_any(s);
    case T_MESSAGE: return check_message(f->of, s);
    case T_LIST: return check_list(f->of, s);
    }
    return false;
}

/* The members of a message are known, of their types, and none that we promise is missing. */
static bool check_message(const message *m, span s)
{
    const field *f;
    const char  *at = NULL;
    span         key, value;
    uint32_t     seen = 0;
    char         quoted[64];
    if (*s.at != '{') return complain(m->name, "not an object", s);
    while (next_in(s, &at, &key, &value)) {
        for (f = m->fields; f->name; f++) {
            snprintf(quoted, sizeof quoted, "\"%s\"", f->name);
            if (span_is(key, quoted)) break;
        }
        if (!f->name) return complain(m->name, "unknown field", key);
        if (!check_value(f, value)) return wrong[0] ? false : complain(m->name, f->name, value);
        seen |= 1u << (f - m->fields);
    }
    for (f = m->fields; f->name; f++)
        if (f->needed && !(seen & (1u << (f - m->fields)))) return complain(m->name, f->name, s);
    return true;
}

/* json_is_valid refuses a key that is given twice. */
static bool check_body(const char *text, size_t size)
{
    span s = span_of(text, size);
    wrong[0] = 0;
    if (!json_is_valid(text, size)) return complain("body", "no JSON", s);
    return check_message(&request_message, s);
}

/* ---- the decoder ----------------------------------------------------------------------------- */

typedef enum value_kind {
    V_STRING,
    V_BOOL,
    V_INT,
    V_DOUBLE
} value_kind;

typedef struct attribute {
    char       key[80];
    value_kind kind;
    char      *text; /* of a string, decoded */
    size_t     size;
    int64_t    integer;
    double     real;
    bool       flag;
} attribute;

typedef struct record {
    uint64_t  time_ns, observed_ns;
    long      severity;
    char      severity_text[16], trace[40], name[80], body[80];
    attribute attributes[1024];
    size_t    count;
    char      service[80], version[80], instance[80], sdk[3][80]; /* of its resource */
} record;

/* All records of a request or of many. */
typedef struct records {
    record *r;
    size_t  count, capacity;
} records;

static uint32_t hex_of(const char *p)
{
    char text[5];
    memcpy(text, p, 4);
    text[4] = 0;
    return (uint32_t)strtoul(text, NULL, 16);
}

/* A JSON string without its escapes; none of ours is beyond U+2029. The caller frees it. */
static char *unescape(span s, size_t *size)
{
    char       *out = (char *)malloc((size_t)(s.end - s.at) + 1);
    const char *p = s.at + 1;
    size_t      n = 0;
    if (!out) abort();
    while (p < s.end - 1) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        if (*p != '\\') {
            out[n++] = *p++;
        } else if (p[1] == 'u') {
            uint32_t c = hex_of(p + 2);
            assert_true(c <= 0x2029);
            if (c >= 0x800) out[n++] = (char)(0xE0 | c >> 12);
            if (c >= 0x80) out[n++] = (char)(c < 0x800 ? 0xC0 | c >> 6 : 0x80 | (c >> 6 & 63));
            out[n++] = (char)(c < 0x80 ? c : 0x80 | (c & 63));
            p += 6;
        } else {
            out[n++] = to[strchr(from, p[1]) - from];
            p += 2;
        }
    }
    out[n] = 0;
    *size = n;
    return out;
}

static void take_text(span s, char *out, size_t room)
{
    size_t size;
    char  *text = unescape(s, &size);
    assert_true(size < room && strlen(text) == size);
    memcpy(out, text, size + 1);
    free(text);
}

static span member(span s, const char *name)
{
    span        out = { NULL, NULL };
    size_t      size;
    const char *at = json_member(s.at, s.end, name, strlen(name), &size);
    if (at) out = span_of(at, size);
    return out;
}

static double double_of(span s)
{
    if (span_is(s, "\"NaN\"")) return NAN;
    if (span_is(s, "\"Infinity\"")) return INFINITY;
    if (span_is(s, "\"-Infinity\"")) return -INFINITY;
    return strtod(s.at, NULL);
}

static void take_attribute(span s, attribute *a)
{
    const char *at = NULL;
    span        key, value, any = member(s, "value");
    memset(a, 0, sizeof *a);
    take_text(member(s, "key"), a->key, sizeof a->key);
    assert_true(next_in(any, &at, &key, &value));
    if (span_is(key, "\"stringValue\"")) {
        a->kind = V_STRING;
        a->text = unescape(value, &a->size);
    } else if (span_is(key, "\"boolValue\"")) {
        a->kind = V_BOOL;
        a->flag = span_is(value, "true");
    } else if (span_is(key, "\"intValue\"")) {
        a->kind = V_INT;
        a->integer = (int64_t)strtoimax(value.at + 1, NULL, 10);
    } else {
        a->kind = V_DOUBLE;
        a->real = double_of(value);
    }
}

static void take_resource(span s, record *r)
{
    static const char *const names[] = { "service.name",           "service.version",
                                         "service.instance.id",    "telemetry.sdk.name",
                                         "telemetry.sdk.language", "telemetry.sdk.version" };
    char                    *places[6];
    const char              *at = NULL;
    span                     key, value;
    attribute                a;
    size_t                   i, n = 0;
    places[0] = r->service;
    places[1] = r->version;
    places[2] = r->instance;
    for (i = 0; i < 3; i++) places[3 + i] = r->sdk[i];
    while (next_in(member(s, "attributes"), &at, &key, &value)) {
        take_attribute(value, &a);
        for (i = 0; i < COUNT_OF(names) && strcmp(names[i], a.key) != 0;) i++;
        if (i == COUNT_OF(names)) fail_msg("resource attribute %s", a.key);
        assert_int_equal(a.kind, V_STRING);
        assert_true(a.size < 80 && places[i][0] == 0);
        memcpy(places[i], a.text, a.size + 1);
        free(a.text);
        n++;
    }
    assert_int_equal(n, COUNT_OF(names));
}

static void take_record(span s, record *r)
{
    const char *at = NULL;
    span        key, value, trace = member(s, "traceId");
    size_t      i;
    r->time_ns = strtoumax(member(s, "timeUnixNano").at + 1, NULL, 10);
    r->observed_ns = strtoumax(member(s, "observedTimeUnixNano").at + 1, NULL, 10);
    r->severity = strtol(member(s, "severityNumber").at, NULL, 10);
    take_text(member(s, "severityText"), r->severity_text, sizeof r->severity_text);
    take_text(member(s, "eventName"), r->name, sizeof r->name);
    take_text(member(member(s, "body"), "stringValue"), r->body, sizeof r->body);
    if (trace.at) take_text(trace, r->trace, sizeof r->trace);
    while (next_in(member(s, "attributes"), &at, &key, &value)) {
        assert_true(r->count < COUNT_OF(r->attributes));
        take_attribute(value, &r->attributes[r->count++]);
        for (i = 0; i + 1 < r->count; i++) /* keys are unique */
            assert_string_not_equal(r->attributes[i].key, r->attributes[r->count - 1].key);
    }
}

static record *new_record(records *all)
{
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 8;
        all->r = (record *)realloc(all->r, all->capacity * sizeof *all->r);
        if (!all->r) abort();
    }
    memset(&all->r[all->count], 0, sizeof *all->r);
    return &all->r[all->count++];
}

/* Checks a body and adds its records, each with its resource. */
static void decode(records *all, const char *text, size_t size)
{
    const char *a = NULL, *b, *c;
    span        key, logs_of_one, of_scope, one, where;
    record     *r;
    if (!check_body(text, size)) fail_msg("%s\nin %s", wrong, text);
    while (next_in(member(span_of(text, size), "resourceLogs"), &a, &key, &logs_of_one)) {
        for (b = NULL; next_in(member(logs_of_one, "scopeLogs"), &b, &key, &of_scope);) {
            where = member(of_scope, "scope");
            assert_true(span_is(member(where, "name"), "\"vitelemetry\""));
            assert_true(span_is(member(where, "version"), "\"" VITELEMETRY_VERSION "\""));
            for (c = NULL; next_in(member(of_scope, "logRecords"), &c, &key, &one);) {
                r = new_record(all);
                take_resource(member(logs_of_one, "resource"), r);
                take_record(one, r);
            }
        }
    }
}

static void records_free(records *all)
{
    size_t i, k;
    for (i = 0; i < all->count; i++)
        for (k = 0; k < all->r[i].count; k++) free(all->r[i].attributes[k].text);
    free(all->r);
    memset(all, 0, sizeof *all);
}

/* Of all requests that were answered by 2xx. */
static records decode_all(wire *w)
{
    records all = { NULL, 0, 0 };
    size_t  i;
    for (i = 0; i < w->count; i++) {
        assert_string_equal(w->calls[i].content_type, "application/json");
        if (w->calls[i].status / 100 == 2) decode(&all, w->calls[i].body, w->calls[i].size);
    }
    return all;
}

static const attribute *attribute_of(const record *r, const char *key)
{
    size_t i;
    for (i = 0; i < r->count; i++)
        if (strcmp(r->attributes[i].key, key) == 0) return &r->attributes[i];
    return NULL;
}

static void assert_text(const record *r, const char *key, const char *text)
{
    const attribute *a = attribute_of(r, key);
    assert_non_null(a);
    assert_int_equal(a->kind, V_STRING);
    assert_string_equal(a->text, text);
}

static void assert_int(const record *r, const char *key, int64_t value)
{
    const attribute *a = attribute_of(r, key);
    assert_non_null(a);
    assert_int_equal(a->kind, V_INT);
    assert_true(a->integer == value);
}

/* ---- the same event by the other wire -------------------------------------------------------- */

static bool same_bits(double a, double b)
{
    uint64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

/* An attribute against the member of metadata. */
static bool same_value(const attribute *a, span json)
{
    char  *text;
    size_t size;
    bool   same;
    if (is_quoted(json)) {
        text = unescape(json, &size);
        same = a->kind == V_STRING && size == a->size && memcmp(text, a->text, size) == 0;
        free(text);
        return same;
    }
    if (span_is(json, "null")) return a->kind == V_DOUBLE && !isfinite(a->real);
    if (a->kind == V_BOOL) return span_is(json, a->flag ? "true" : "false");
    if (a->kind == V_INT)
        return is_plain_number(json, false) && strtoimax(json.at, NULL, 10) == a->integer;
    return a->kind == V_DOUBLE && same_bits(strtod(json.at, NULL), a->real);
}

static void assert_same_text(const char *json, const char *path, const char *text)
{
    char quoted[96];
    snprintf(quoted, sizeof quoted, "\"%s\"", text);
    assert_json(json, path, quoted);
}

/* Names, order and values are those of the line; delay_s is not in OTLP, which has the time. */
static void assert_same(const record *r, const char *line)
{
    span        all = span_of(line, strlen(line)), key, value;
    const char *at = NULL, *id;
    char        quoted[96], trace[40] = "";
    size_t      n = 0, i, used = 0;
    assert_same_text(line, "event_name", r->name);
    assert_same_text(line, "event_name", r->body);
    assert_same_text(line, "hwid", r->instance);
    assert_same_text(line, "app_version", r->version);
    assert_same_text(line, "client_type", r->service);
    while (next_in(member(all, "metadata"), &at, &key, &value)) {
        if (span_is(key, "\"delay_s\"")) continue;
        if (n == r->count) fail_msg("attributes are missing: %s", line);
        snprintf(quoted, sizeof quoted, "\"%s\"", r->attributes[n].key);
        if (!span_is(key, quoted)) fail_msg("%s in the place of %.*s", quoted, 40, key.at);
        if (!same_value(&r->attributes[n], value)) fail_msg("%s differs from %s", quoted, line);
        n++;
    }
    assert_int_equal(n, r->count);
    id = json_at(line, "metadata/correlation_id"); /* the trace is it, without hyphens */
    for (i = 1; id[0] && id[i] && id[i] != '"'; i++)
        if (id[i] != '-') trace[used++] = id[i];
    trace[used] = 0;
    assert_string_equal(r->trace, trace);
}

/* Sends what waits and compares each event with its line; forgets the requests. */
static void assert_all_same(bench *b, vit_client *t)
{
    lines   l = lines_of(t);
    records all;
    size_t  i;
    wire_free(&b->w);
    wire_init(&b->w);
    assert_true(vit_flush(t, 1000));
    all = decode_all(&b->w);
    assert_int_equal(all.count, l.count);
    for (i = 0; i < l.count; i++) assert_same(&all.r[i], l.text[i]);
    records_free(&all);
    lines_free(&l);
}

/* ---- the catalogue --------------------------------------------------------------------------- */

/* A value for each member. */
#define FILL_VIT_LABEL(m) #m "_v"
#define FILL_VIT_TEXT(m)  "cannot read bob@example.com: \"quoted\"\n\tline 12 \\ end"
#define FILL_VIT_HASH(m)  "db.example.com"
#define FILL_VIT_GROUP(m) "group-value"
#define FILL_VIT_ROW(m)   "row-value"
#define FILL_VIT_TRACE(m) "  File \"/home/bob/app/main.py\", line 42, in run\nsrc/x.c:14"
#define FILL_VIT_FRAME(m) "main.c:run"
#define FILL_VIT_FILE(m)  "/home/bob/src/main.cpp"
#define FILL_VIT_INT(m)   (INT64_MAX - (int64_t)sizeof #m)
#define FILL_VIT_REAL(m)  0.25
#define FILL_VIT_FLAG(m)  true
#define FILL_VIT_MS(m)    (int64_t)1500
#define FILL(kind, m)     event.m = FILL_##kind(m);

#define TRACK_ROW(row, text, rate, flags, MEMBERS)                            \
    static vit_status track_##row(vit_client *t, const vit_op *op, bool full) \
    {                                                                         \
        vit_##row event;                                                      \
        memset(&event, 0, sizeof event);                                      \
        if (full) {                                                           \
            MEMBERS(FILL)                                                     \
        }                                                                     \
        event.op = op;                                                        \
        return vit_track_##row(t, &event);                                    \
    }
VIT_CATALOGUE(TRACK_ROW)

static const struct row {
    const char *name;
    uint32_t    flags;
    vit_status (*track_fn)(vit_client *t, const vit_op *op, bool full);
    const vit_schema *(*schema_fn)(void);
} rows[] = {
#define TABLE_ROW(row, text, rate, flags, MEMBERS) { text, flags, track_##row, vit_schema_##row },
    VIT_CATALOGUE(TABLE_ROW)
};

static void rate_all(vit_client *t, double rate)
{
    size_t i;
    for (i = 0; i < COUNT_OF(rows); i++) vit_set_rate(t, rows[i].name, rate);
}

static value_kind kind_wanted(vit_kind kind)
{
    return kind == VIT_INT || kind == VIT_MS ? V_INT
           : kind == VIT_REAL                ? V_DOUBLE
           : kind == VIT_FLAG                ? V_BOOL
                                             : V_STRING;
}

/* Each member of the row that is there has the type of its kind. */
static void assert_row_types(const struct row *row, const record *r, bool full)
{
    const vit_schema *s = row->schema_fn();
    const attribute  *a;
    char              key[96];
    uint32_t          i;
    for (i = 0; i < s->member_count; i++) {
        vit_kind k = s->members[i].kind;
        snprintf(key, sizeof key, "%s%s", s->members[i].name,
                 k == VIT_HASH || k == VIT_GROUP || k == VIT_ROW ? "_hash" : "");
        if (k == VIT_FRAME) snprintf(key, sizeof key, "error_hash");
        a = attribute_of(r, key);
        if (full && !a) fail_msg("%s: no %s", row->name, key);
        if (a) assert_int_equal(a->kind, kind_wanted(k));
    }
    assert_string_equal(r->name, row->name);
    assert_int_equal(r->severity, row->flags & VIT_ROW_ERROR ? 17 : 9);
    assert_string_equal(r->severity_text, row->flags & VIT_ROW_ERROR ? "ERROR" : "INFO");
    assert_int_equal(r->trace[0] != 0,
                     (row->flags & VIT_ROW_CORRELATED) != 0 || attribute_of(r, "correlation_id"));
}

static void bench_otlp(bench *b)
{
    bench_make(b);
    b->o.wire = VIT_WIRE_OTLP;
    b->o.group_salt = "the project's salt";
}

static vit_client *otlp_open(bench *b)
{
    bench_otlp(b);
    return bench_client(b);
}

static void test_catalogue(void **state)
{
    unsigned way;
    (void)state;
    for (way = 0; way < 4; way++) { /* full or not, with an operation and a context or not */
        bool        full = (way & 1) != 0, dressed = (way & 2) != 0;
        vit_op      op = vit_op_begin();
        bench       b;
        vit_client *t;
        records     all;
        size_t      i;
        bench_otlp(&b);
        b.o.consent = VIT_CONSENT_VERBOSE;
        t = bench_client(&b);
        rate_all(t, 1.0);
        if (dressed) {
            vit_session_begin(t, "the-session", "cli");
            vit_set_context(t, "qdrant", "customers");
            vit_purge(t);
        }
        for (i = 0; i < COUNT_OF(rows); i++)
            assert_int_equal(rows[i].track_fn(t, dressed ? &op : NULL, full), VIT_OK);
        assert_all_same(&b, t);
        assert_int_equal(wire_count(&b.w), 1);
        all = decode_all(&b.w);
        assert_int_equal(all.count, COUNT_OF(rows));
        for (i = 0; i < all.count; i++) {
            assert_row_types(&rows[i], &all.r[i], full);
            if (dressed) assert_text(&all.r[i], "session_id", "the-session");
            if (dressed) assert_text(&all.r[i], "db_provider", "qdrant");
        }
        records_free(&all);
        bench_close(&b, t);
    }
}

/* What sampling adds: a number and two texts. */
static void test_sampled(void **state)
{
    bench            b;
    vit_client      *t;
    records          all;
    const attribute *a;
    unsigned         i;
    (void)state;
    bench_otlp(&b);
    b.o.sampling = VIT_SAMPLE_FLOW;
    t = bench_client(&b);
    vit_set_rate(t, "clustering.run", 0.3);
    for (i = 0; i < 200; i++) {
        vit_op op = vit_op_begin();
        (void)track_clustering_run(t, &op, true);
    }
    assert_true(vit_get_stats(t).accepted > 20);
    assert_all_same(&b, t);
    all = decode_all(&b.w);
    for (i = 0; i < all.count; i++) {
        a = attribute_of(&all.r[i], "sampling_rate");
        assert_non_null(a);
        assert_int_equal(a->kind, V_DOUBLE);
        assert_true(same_bits(a->real, 0.3));
        assert_text(&all.r[i], "sampling_seed_type", "correlation");
        assert_text(&all.r[i], "sampling_version", "1");
    }
    records_free(&all);
    bench_close(&b, t);
}

/* ---- values ---------------------------------------------------------------------------------- */

static const int64_t integers[] = { 0,
                                    1,
                                    -1,
                                    INT64_MIN,
                                    INT64_MAX,
                                    INT64_MIN + 1,
                                    INT32_MIN,
                                    UINT32_MAX,
                                    (INT64_C(1) << 53) + 1,
                                    -(INT64_C(1) << 53) - 1,
                                    INT64_C(1000000000000000000) };

static void test_integers(void **state)
{
    bench       b;
    vit_client *t;
    records     all;
    size_t      i;
    char        key[24];
    (void)state;
    t = otlp_open(&b);
    for (i = 0; i < 2; i++) {
        vit_event e;
        size_t    k;
        vit_event_begin(&e, t, "numbers", NULL);
        for (k = 0; k < COUNT_OF(integers); k++) {
            snprintf(key, sizeof key, "n%u", (unsigned)k);
            if (i == 0) vit_add_int(&e, key, integers[k]);
            else if (integers[k] != VIT_SINCE_OP) vit_add_ms(&e, key, integers[k]);
        }
        assert_int_equal(vit_event_send(&e), VIT_OK);
    }
    assert_all_same(&b, t);
    all = decode_all(&b.w);
    assert_int_equal(all.count, 2);
    for (i = 0; i < COUNT_OF(integers); i++) {
        snprintf(key, sizeof key, "n%u", (unsigned)i);
        assert_int(&all.r[0], key, integers[i]);
        if (integers[i] >= 0) assert_int(&all.r[1], key, integers[i]);
    }
    records_free(&all);
    bench_close(&b, t);
}

static void test_reals(void **state)
{
    const double reals[] = { 0.0,
                             -0.0,
                             1.0,
                             -1.0,
                             0.1,
                             1.0 / 3.0,
                             DBL_MIN,
                             -DBL_MIN,
                             DBL_MAX,
                             1e15,
                             1e21,
                             1e-7,
                             123456789012345680.0,
                             4.9406564584124654e-324,
                             -2.2250738585072009e-308,
                             -DBL_MAX,
                             DBL_EPSILON,
                             NAN,
                             INFINITY,
                             -INFINITY };
    bench        b;
    vit_client  *t;
    records      all;
    size_t       i;
    char         key[24];
    vit_event    e;
    (void)state;
    t = otlp_open(&b);
    vit_event_begin(&e, t, "numbers", NULL);
    for (i = 0; i < COUNT_OF(reals); i++) {
        snprintf(key, sizeof key, "x%u", (unsigned)i);
        vit_add_real(&e, key, reals[i]);
    }
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_all_same(&b, t);
    all = decode_all(&b.w);
    assert_int_equal(all.r[0].count, COUNT_OF(reals));
    for (i = 0; i < COUNT_OF(reals); i++) {
        const attribute *a = &all.r[0].attributes[i];
        assert_int_equal(a->kind, V_DOUBLE);
        if (isnan(reals[i])) assert_true(isnan(a->real));
        else if (!same_bits(a->real, reals[i])) fail_msg("%.17g became %.17g", reals[i], a->real);
    }
    assert_int_equal(count_of(b.w.calls[0].body, "{\"doubleValue\":\"NaN\"}"), 1);
    assert_int_equal(count_of(b.w.calls[0].body, "{\"doubleValue\":\"Infinity\"}"), 1);
    assert_int_equal(count_of(b.w.calls[0].body, "{\"doubleValue\":\"-Infinity\"}"), 1);
    assert_null(strstr(b.w.calls[0].body, "null"));
    records_free(&all);
    bench_close(&b, t);
}

/* Texts that need escapes, and bytes that are no UTF-8. */
static void test_texts(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: the same */
    } texts[] = {
        { "", NULL },
        { "\"quotes\" and \\ and /", NULL },
        { "tab\t line\n feed\r back\b form\f", NULL },
        { "\001 \002 \037 \177", NULL },
        { "umlaut \xC3\xA4, han \xE6\xBC\xA2, face \xF0\x9F\x98\x80", NULL },
        { "\xE2\x80\xA8 line separator, \xEF\xBB\xBF mark, \xEF\xBF\xBF", NULL },
        { "bad \xFF byte", "bad \xEF\xBF\xBD byte" },
        { "{\"stringValue\":\"x\"},null,]}]}", NULL },
        { "</script> & ' %s %n", NULL },
    };
    bench       b;
    vit_client *t;
    records     all;
    size_t      i;
    char        key[24];
    vit_event   e;
    (void)state;
    t = otlp_open(&b);
    vit_event_begin(&e, t, "texts", NULL);
    for (i = 0; i < COUNT_OF(texts); i++) {
        snprintf(key, sizeof key, "label%u", (unsigned)i);
        vit_add_label(&e, key, texts[i].in);
        snprintf(key, sizeof key, "text%u", (unsigned)i);
        vit_add_text(&e, key, texts[i].in);
    }
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_all_same(&b, t);
    all = decode_all(&b.w);
    for (i = 0; i < COUNT_OF(texts); i++) {
        const char *wanted = texts[i].out ? texts[i].out : texts[i].in;
        snprintf(key, sizeof key, "label%u", (unsigned)i);
        assert_text(&all.r[0], key, wanted);
        snprintf(key, sizeof key, "text%u", (unsigned)i);
        assert_text(&all.r[0], key, wanted);
    }
    records_free(&all);
    bench_close(&b, t);
}

static uint64_t random_state = UINT64_C(88172645463325252);

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void random_text(char *out, size_t most)
{
    size_t n = (size_t)(random_bits() % most), i;
    for (i = 0; i < n; i++) {
        uint64_t r = random_bits();
        out[i] = (char)(r % 3 == 0 ? 1 + r / 3 % 255 : 'a' + r / 3 % 26);
    }
    out[n] = 0;
}

/* One event with members of random kinds and values. */
static void track_random(vit_client *t, const vit_op *op)
{
    vit_event e;
    size_t    n = (size_t)(random_bits() % 40), i;
    char      key[24], text[300] = "";
    vit_event_begin(&e, t, "random.event", op);
    for (i = 0; i < n; i++) {
        int64_t integer = (int64_t)random_bits();
        double  real;
        memcpy(&real, &integer, sizeof real);
        snprintf(key, sizeof key, "k%u", (unsigned)i);
        random_text(text, sizeof text);
        switch (random_bits() % 10) {
        case 0: vit_add_label(&e, key, text); break;
        case 1: vit_add_text(&e, key, text); break;
        case 2: vit_add_hash(&e, key, text); break;
        case 3: vit_add_group(&e, key, text); break;
        case 4: vit_add_row(&e, key, text); break;
        case 5: vit_add_file(&e, key, text); break;
        case 6: vit_add_uuid(&e, key, "01234567-89ab-4def-8123-456789abcdef"); break;
        case 7: vit_add_int(&e, key, integer); break;
        case 8: vit_add_real(&e, key, real); break;
        default: vit_add_flag(&e, key, integer < 0); break;
        }
    }
    if (random_bits() % 8 == 0) vit_add_error(&e, "ValueError", text, "main.c:run", NULL);
    assert_true(vit_event_send(&e) <= VIT_TRUNCATED);
}

static void test_random_events(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i, round;
    (void)state;
    t = otlp_open(&b);
    for (round = 0; round < 30; round++) {
        vit_op op = vit_op_begin();
        for (i = 0; i < 30; i++) track_random(t, i & 1 ? &op : NULL);
        assert_all_same(&b, t);
    }
    bench_close(&b, t);
}

/* As many members as an event can have: keys are unique, all arrive. */
static void test_many_members(void **state)
{
    bench       b;
    vit_client *t;
    records     all;
    unsigned    i, n = 0;
    char        key[24];
    vit_event   e;
    (void)state;
    t = otlp_open(&b);
    vit_event_begin(&e, t, "wide", NULL);
    for (i = 0; i < 250; i++) {
        snprintf(key, sizeof key, "k%u", i);
        vit_add_int(&e, key, INT64_MIN);
    }
    assert_int_equal(vit_event_send(&e), VIT_TRUNCATED);
    assert_all_same(&b, t);
    all = decode_all(&b.w);
    n = (unsigned)all.r[0].count;
    assert_true(n > 128 && n < 250);
    for (i = 0; i < n; i++) {
        snprintf(key, sizeof key, "k%u", i);
        assert_string_equal(all.r[0].attributes[i].key, key);
    }
    records_free(&all);
    bench_close(&b, t);
}

/* ---- the resource, the trace, the severity --------------------------------------------------- */

static void test_resource(void **state)
{
    bench       b;
    vit_client *t;
    records     all;
    (void)state;
    bench_otlp(&b);
    b.o.app_version = "4.5.6 \"beta\"";
    b.o.client_type = "my-tool";
    t = bench_client(&b);
    assert_int_equal(track(t, "x"), VIT_OK);
    assert_true(vit_flush(t, 1000));
    all = decode_all(&b.w);
    assert_string_equal(all.r[0].service, "my-tool");
    assert_string_equal(all.r[0].version, "4.5.6 \"beta\"");
    assert_string_equal(all.r[0].instance, setting_of(b.path, "hwid"));
    assert_int_equal(strlen(all.r[0].instance), 36);
    assert_string_equal(all.r[0].sdk[0], "vitelemetry");
    assert_string_equal(all.r[0].sdk[1], "c");
    assert_string_equal(all.r[0].sdk[2], VITELEMETRY_VERSION);
    assert_null(attribute_of(&all.r[0], "hwid"));
    records_free(&all);
    bench_close(&b, t);
}

static void test_trace(void **state)
{
    vit_op           op = vit_op_begin();
    bench            b;
    vit_client      *t;
    records          all;
    const attribute *a;
    char             id[37], hex[40];
    size_t           i, n = 0;
    (void)state;
    t = otlp_open(&b);
    assert_int_equal(track(t, "no operation"), VIT_OK);
    assert_int_equal(track_feature_toggled(t, &op, true), VIT_OK);
    assert_int_equal(track_clustering_run(t, &op, true), VIT_OK);
    assert_int_equal(track_clustering_run(t, NULL, true), VIT_OK); /* makes one */
    assert_int_equal(vit_fail(t, &op, NULL, "feature", 2), 2);
    assert_true(vit_flush(t, 1000));
    vit_op_text(&op, id);
    for (i = 0; id[i]; i++)
        if (id[i] != '-') hex[n++] = id[i];
    hex[n] = 0;
    all = decode_all(&b.w);
    assert_int_equal(all.count, 5);
    assert_string_equal(all.r[0].trace, "");
    assert_null(attribute_of(&all.r[0], "correlation_id"));
    for (i = 1; i < 5; i++) {
        if (i == 3) continue;
        assert_string_equal(all.r[i].trace, hex);
        assert_text(&all.r[i], "correlation_id", id);
    }
    assert_true(is_hex(all.r[3].trace, 32));
    assert_string_not_equal(all.r[3].trace, hex);
    a = attribute_of(&all.r[3], "correlation_id");
    assert_non_null(a);
    records_free(&all);
    bench_close(&b, t);
}

static void test_severity(void **state)
{
    bench       b;
    vit_client *t;
    records     all;
    size_t      i;
    vit_event   e;
    vit_error   error;
    (void)state;
    t = otlp_open(&b);
    memset(&error, 0, sizeof error);
    error.event_name = "DataImportError";
    error.message = "it failed";
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    (void)vit_fail(t, NULL, NULL, NULL, 5);
    vit_qt_message(t, 2, "/src/a.cpp", 7, "f", NULL, "bad");
    vit_event_begin(&e, t, "ad.hoc", NULL);
    vit_add_error(&e, "E", "m", NULL, NULL);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    vit_event_begin(&e, t, "Error", NULL); /* an error event by its name */
    assert_int_equal(vit_event_send(&e), VIT_OK);
    vit_event_begin(&e, t, "ad.hoc", NULL);
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_int_equal(track(t, "x"), VIT_OK);
    assert_all_same(&b, t);
    all = decode_all(&b.w);
    assert_int_equal(all.count, 7);
    for (i = 0; i < all.count; i++) {
        assert_int_equal(all.r[i].severity, i < 5 ? 17 : 9);
        assert_string_equal(all.r[i].severity_text, i < 5 ? "ERROR" : "INFO");
    }
    records_free(&all);
    bench_close(&b, t);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* The record whose feature_name is this. */
static const record *record_of(const records *all, const char *feature)
{
    size_t           i;
    const attribute *a;
    for (i = 0; i < all->count; i++) {
        a = attribute_of(&all->r[i], "feature_name");
        if (a && strcmp(a->text, feature) == 0) return &all->r[i];
    }
    fail_msg("%s did not arrive", feature);
    return NULL;
}

/* An event's time is the wall clock at the flush less its age. */
static void test_times(void **state)
{
    bench       b;
    vit_client *t;
    records     all;
    uint64_t    begin_ns = wall_ns;
    (void)state;
    t = otlp_open(&b);
    assert_int_equal(track(t, "a"), VIT_OK);
    pass(1);
    assert_int_equal(track(t, "b"), VIT_OK);
    pass(90u * SECOND + 7u);
    assert_int_equal(track(t, "c"), VIT_OK);
    pass(SECOND);
    assert_true(vit_flush(t, 1000));
    all = decode_all(&b.w);
    assert_int_equal(all.count, 3);
    assert_true(record_of(&all, "a")->time_ns == begin_ns);
    assert_true(record_of(&all, "b")->time_ns == begin_ns + 1u);
    assert_true(record_of(&all, "c")->time_ns == begin_ns + 90u * SECOND + 8u);
    assert_true(record_of(&all, "a")->observed_ns == wall_ns);
    assert_null(attribute_of(record_of(&all, "a"), "delay_s"));
    records_free(&all);
    bench_close(&b, t);
}

/* The one event of a client that waited, while the wall clock was set to then_ns. */
static records arrived_then(bench *b, vit_client *t, uint64_t waited_ns, uint64_t then_ns)
{
    records all;
    assert_int_equal(track(t, "a"), VIT_OK);
    pass(waited_ns);
    wall_ns = then_ns;
    assert_true(vit_flush(t, 1000));
    all = decode_all(&b->w);
    assert_int_equal(all.count, 1);
    return all;
}

/* A wall clock that is set while an event waits in memory moves its time with it. */
static void test_wall_jumps(void **state)
{
    static const int64_t jumps_s[] = { 3600, -3600, 86400, -86400, 86400 * 400, -86400 * 400 };
    size_t               i;
    (void)state;
    for (i = 0; i < COUNT_OF(jumps_s); i++) {
        bench       b;
        vit_client *t;
        records     all;
        uint64_t    right_ns = wall_ns;
        t = otlp_open(&b);
        all = arrived_then(&b, t, 30u * SECOND,
                           (uint64_t)((int64_t)right_ns + (30 + jumps_s[i]) * (int64_t)SECOND));
        assert_true(all.r[0].time_ns == wall_ns - 30u * SECOND);
        assert_true(all.r[0].observed_ns == wall_ns);
        records_free(&all);
        end(t);
        wall_ns = right_ns + 30u * SECOND;
        bench_free(&b);
    }
}

/* From the disk: the time by the clock that was right when it was saved, days later; and what a
   clock that was wrong then, or is now, makes of it. */
static void test_spooled_times(void **state)
{
    static const struct {
        uint64_t later_ns; /* until the next start */
        int64_t  jump_s;   /* of the wall clock before it */
        bool     now;      /* its time cannot be true: it is the time of the request */
    } cases[] = { { 0, 0, false },
                  { 5u * DAY, 0, false },
                  { 29u * DAY, 0, false },
                  { DAY, 3600, false },
                  { DAY, -3600, false },
                  { DAY, -86400 * 7, true },     /* saved in what is the future now */
                  { DAY, 86400 * 4000, true } }; /* more than ten years ago */
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        bench       b;
        vit_client *t;
        records     all;
        uint64_t    right_ns = wall_ns;
        bench_otlp(&b);
        offline(&b);
        t = bench_client(&b);
        assert_int_equal(track(t, "a"), VIT_OK);
        pump_for(t, 10);
        assert_int_equal(vit_get_stats(t).spooled, 1);
        assert_int_equal(track(t, "b"), VIT_OK);
        pass(SECOND / 4u);
        assert_true(vit_destroy(t, 0));
        pass(cases[i].later_ns);
        wall_ns = (uint64_t)((int64_t)wall_ns + cases[i].jump_s * (int64_t)SECOND);
        online(&b);
        t = bench_client(&b);
        assert_true(vit_flush(t, 1000));
        all = decode_all(&b.w);
        assert_int_equal(all.count, 2);
        assert_true(record_of(&all, "a")->time_ns == (cases[i].now ? wall_ns : right_ns));
        assert_true(record_of(&all, "b")->time_ns ==
                    (cases[i].now ? wall_ns : right_ns + 10u * SECOND));
        assert_true(record_of(&all, "a")->observed_ns == wall_ns);
        records_free(&all);
        end(t);
        wall_ns = right_ns + cases[i].later_ns + DAY;
        bench_free(&b);
    }
}

/* A clock of 1970, or one that goes beyond 64 bits of nanoseconds: no time is 0 or negative. */
static void test_wild_clocks(void **state)
{
    static const uint64_t walls[] = { 0, 1, SECOND, 130u * YEAR, UINT64_C(9223372036) * SECOND };
    size_t                i;
    (void)state;
    for (i = 0; i < COUNT_OF(walls); i++) {
        bench       b;
        vit_client *t;
        records     all;
        uint64_t    right_ns = wall_ns;
        t = otlp_open(&b);
        all = arrived_then(&b, t, 100u * SECOND, walls[i]);
        assert_true(all.r[0].time_ns > 0);
        assert_true(all.r[0].time_ns <= wall_ns || all.r[0].time_ns == 1u);
        records_free(&all);
        end(t);
        wall_ns = right_ns + 100u * SECOND;
        bench_free(&b);
    }
}

/* ---- batches --------------------------------------------------------------------------------- */

/* Each of so many once. */
static void assert_arrived(const records *all, unsigned count)
{
    unsigned i;
    size_t   k, n;
    char     name[24];
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "f%u", i);
        for (n = k = 0; k < all->count; k++) {
            const attribute *a = attribute_of(&all->r[k], "feature_name");
            n += a && strcmp(a->text, name) == 0;
        }
        if (n != 1) fail_msg("%s arrived %lu times", name, (unsigned long)n);
    }
}

static size_t records_in(const call *c)
{
    records one = { NULL, 0, 0 };
    size_t  n;
    decode(&one, c->body, c->size);
    n = one.count;
    records_free(&one);
    return n;
}

static void test_batches_by_count(void **state)
{
    static const uint32_t limits[] = { 0, 1, 7, 250 };
    size_t                i, k, left;
    (void)state;
    for (i = 0; i < COUNT_OF(limits); i++) {
        uint32_t    limit = limits[i] ? limits[i] : 100; /* the default */
        bench       b;
        vit_client *t;
        records     all;
        bench_otlp(&b);
        b.o.batch_events = limits[i];
        t = bench_client(&b);
        track_many(t, 0, 250);
        assert_true(vit_flush(t, 1000));
        assert_int_equal(wire_count(&b.w), (250 + limit - 1) / limit);
        for (k = 0, left = 250; k < wire_count(&b.w); k++) {
            assert_int_equal(records_in(&b.w.calls[k]), left < limit ? left : limit);
            left -= left < limit ? left : limit;
        }
        all = decode_all(&b.w);
        assert_int_equal(all.count, 250);
        assert_arrived(&all, 250);
        records_free(&all);
        bench_close(&b, t);
    }
}

/* No body is larger than options.batch_bytes, which is 64 KiB at least; large events too arrive. */
static void test_batches_by_bytes(void **state)
{
    static const uint32_t sizes[] = { 1, 65536, 70000, 200000 };
    static char           text[1025];
    size_t                i, k;
    (void)state;
    memset(text, '\001', sizeof text - 1); /* six bytes each */
    for (i = 0; i < COUNT_OF(sizes); i++) {
        uint32_t    most = sizes[i] < 65536 ? 65536 : sizes[i];
        bench       b;
        vit_client *t;
        records     all;
        bench_otlp(&b);
        b.o.batch_bytes = sizes[i];
        b.o.batch_events = 1000;
        t = bench_client(&b);
        for (k = 0; k < 100; k++) {
            vit_event e;
            vit_event_begin(&e, t, "large", NULL);
            vit_add_int(&e, "n", (int64_t)k);
            vit_add_text(&e, "a", text);
            vit_add_text(&e, "b", text);
            assert_int_equal(vit_event_send(&e), VIT_OK);
        }
        assert_true(vit_flush(t, 1000));
        for (k = 0; k < wire_count(&b.w); k++) {
            assert_true(b.w.calls[k].size <= most);
            if (k + 1 < wire_count(&b.w)) assert_true(b.w.calls[k].size > most - 2 * 13000);
        }
        all = decode_all(&b.w);
        assert_int_equal(all.count, 100);
        for (k = 0; k < all.count; k++) {
            assert_int(&all.r[k], "n", (int64_t)k);
            assert_text(&all.r[k], "a", text);
        }
        records_free(&all);
        bench_close(&b, t);
    }
}

/* The declared event that takes most room: 128 members with long keys. */
#define WIDE_1(X, p) X(VIT_FLAG, p##_0123456789_0123456789_0123456789_0123456789_0123456789)
#define WIDE_8(X, p)                                                                \
    WIDE_1(X, p##a)                                                                 \
    WIDE_1(X, p##b) WIDE_1(X, p##c) WIDE_1(X, p##d) WIDE_1(X, p##e) WIDE_1(X, p##f) \
        WIDE_1(X, p##g) WIDE_1(X, p##h)
#define WIDE_64(X, p)                                                               \
    WIDE_8(X, p##a)                                                                 \
    WIDE_8(X, p##b) WIDE_8(X, p##c) WIDE_8(X, p##d) WIDE_8(X, p##e) WIDE_8(X, p##f) \
        WIDE_8(X, p##g) WIDE_8(X, p##h)
#define WIDE_MEMBERS(X) WIDE_64(X, a) WIDE_64(X, b)
VIT_EVENT_DECLARE(widest, WIDE_MEMBERS);
VIT_EVENT_DEFINE(widest, "widest", 1.0, WIDE_MEMBERS)

static void test_widest(void **state)
{
    unsigned spooled;
    (void)state;
    for (spooled = 0; spooled < 2; spooled++) {
        bench       b;
        vit_client *t;
        records     all;
        vit_widest  e;
        bench_otlp(&b);
        b.o.batch_bytes = 1;
        if (spooled) offline(&b);
        t = bench_client(&b);
        memset(&e, 0, sizeof e);
        assert_int_equal(vit_track_widest(t, &e), VIT_OK);
        assert_int_equal(vit_track_widest(t, &e), VIT_OK);
        if (spooled) t = again(&b, t);
        online(&b);
        assert_all_same(&b, t);
        all = decode_all(&b.w);
        assert_int_equal(all.count, 2);
        assert_int_equal(all.r[1].count, 128);
        records_free(&all);
        bench_close(&b, t);
    }
}

/* ---- records of another run ------------------------------------------------------------------ */

/* A process of another version that is killed. */
static void killed(bench *b, const char *version, unsigned first, unsigned count)
{
    pid_t child = fork_child();
    if (child == 0) {
        vit_client *t;
        b->o.app_version = version;
        t = vit_create(&b->o);
        if (!t || !vit_get_stats(t).crash_surviving) _exit(1);
        vit_session_begin(t, "session-of-the-killed", NULL);
        track_many(t, first, count);
        (void)raise(SIGKILL);
    }
    wait_killed(child);
}

/* Each record with the version that recorded it, no resource with two. */
static void test_other_version(void **state)
{
    unsigned way;
    (void)state;
    for (way = 0; way < 3; way++) { /* 1: by the disk; 2: as one event a request */
        bench       b;
        vit_client *t;
        records     all;
        size_t      i, old = 0;
        char        hwid[64];
        bench_otlp(&b);
        if (way == 2) b.o.batch_events = 1;
        t = bench_client(&b); /* makes the identity */
        end(t);
        snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
        killed(&b, "0.9.0", 0, 5);
        killed(&b, "0.9.1", 5, 5);
        pass(3600u * SECOND);
        b.o.app_version = "2.0.0";
        t = bench_client(&b);
        track_many(t, 10, 5);
        if (way == 1) { /* both in one file */
            offline(&b);
            pump_for(t, 10);
            assert_int_equal(vit_get_stats(t).spooled, 19); /* and two sessions' begin and end */
            online(&b);
            b.o.app_version = "3.0.0";
            t = again(&b, t);
        }
        assert_true(vit_flush(t, 1000));
        all = decode_all(&b.w);
        assert_arrived(&all, 15);
        for (i = 0; i < all.count; i++) {
            const attribute *a = attribute_of(&all.r[i], "session_id");
            const attribute *f = attribute_of(&all.r[i], "feature_name");
            assert_string_equal(all.r[i].instance, hwid);
            if (f) {
                long n = strtol(f->text + 1, NULL, 10);
                assert_string_equal(all.r[i].version, n < 5 ? "0.9.0" : n < 10 ? "0.9.1" : "2.0.0");
                if (n < 10) assert_true(all.r[i].time_ns <= wall_ns - 3600u * SECOND);
            }
            if (a && strcmp(a->text, "session-of-the-killed") == 0) { /* its end is told here */
                assert_true(strncmp(all.r[i].version, "0.9.", 4) == 0);
                old++;
            }
        }
        assert_int_equal(old, 14);
        records_free(&all);
        bench_close(&b, t);
    }
}

/* Tells of a run of another version, as of one that was killed, among this one's events. */
static void tell(vit_client *t, const char *version, const char *collection)
{
    static vitp_marker m;
    vitp_teller        teller;
    memset(&m, 0, sizeof m);
    memset(&teller, 0, sizeof teller);
    snprintf(m.writer.app_version, sizeof m.writer.app_version, "%s", version);
    snprintf(m.context.collection_hash, sizeof m.context.collection_hash, "%s", collection);
    teller.client = t;
    teller.marker = &m;
    vitp_teller_session(&teller);
    assert_int_equal(teller.count, 1);
}

/* One request with several versions: a resource begins where the version is another one, also
   behind an event that was begun and taken back. */
static void test_versions_in_one_request(void **state)
{
    static const struct {
        const char *events; /* a letter is one of that version; a capital is stopped by the gate */
        size_t      resources;
    } cases[] = { { "a", 1 },      { "ab", 2 },      { "ba", 2 },       { "aabbaac", 4 },
                  { "aBa", 1 },    { "aBb", 2 },     { "abBAa", 3 },    { "Bab", 2 },
                  { "bAbAa", 2 },  { "aBcCba", 4 },  { "abcabcabc", 9 }, { "BA", 0 } };
    size_t i, k, n;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        bench       b;
        vit_client *t;
        records     all;
        char        version[2] = "";
        const char *p;
        bench_otlp(&b);
        b.o.app_version = "a";
        t = bench_client(&b);
        assert_true(vit_register_secret(t, "swordfish", 0));
        for (p = cases[i].events, n = 0; *p; p++) {
            version[0] = (char)(*p | 0x20);
            if (*p == 'a') assert_int_equal(track(t, "own"), VIT_OK);
            else tell(t, version, *p == version[0] ? "another" : "swordfish");
            n += *p == version[0];
        }
        assert_true(vit_flush(t, 1000));
        assert_int_equal(wire_count(&b.w), n > 0);
        all = decode_all(&b.w);
        assert_int_equal(all.count, n);
        for (p = cases[i].events, k = 0; *p; p++)
            if (*p & 0x20) {
                version[0] = *p;
                assert_string_equal(all.r[k++].version, version);
            }
        assert_int_equal(wire_times(&b.w, "\"service.version\""), cases[i].resources);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_SECRET], strlen(cases[i].events) - n);
        records_free(&all);
        bench_close(&b, t);
    }
}

/* A request that is repeated holds the same records under the same key, also from the disk and by
   the next start. */
static void test_repeated(void **state)
{
    unsigned way;
    (void)state;
    for (way = 0; way < 3; way++) {
        bench       b;
        vit_client *t;
        records     first = { NULL, 0, 0 }, later = { NULL, 0, 0 };
        size_t      i, n;
        bench_otlp(&b);
        offline(&b);
        b.o.batch_events = 4;
        t = bench_client(&b);
        track_many(t, 0, 10);
        pump_for(t, 1); /* the first request fails */
        n = wire_count(&b.w);
        assert_true(n > 0);
        if (way == 0) vit_flush(t, 0);
        if (way == 1) pump_for(t, 30);
        if (way == 2) t = again(&b, t);
        online(&b);
        pump_for(t, 1000);
        assert_int_equal(vit_get_stats(t).spooled + vit_get_stats(t).queued, 0);
        for (i = n; i < b.w.count && strcmp(b.w.calls[i].key, b.w.calls[0].key) != 0;) i++;
        while (i < b.w.count && b.w.calls[i].status != 201) i++; /* the last of its tries */
        assert_true(i < b.w.count);
        assert_string_equal(b.w.calls[i].key, b.w.calls[0].key);
        decode(&first, b.w.calls[0].body, b.w.calls[0].size);
        decode(&later, b.w.calls[i].body, b.w.calls[i].size);
        assert_int_equal(first.count, 4);
        assert_int_equal(later.count, 4);
        for (i = 0; i < 4; i++) {
            assert_true(first.r[i].time_ns == later.r[i].time_ns);
            assert_int_equal(first.r[i].count, later.r[i].count);
            assert_string_equal(first.r[i].attributes[0].text, later.r[i].attributes[0].text);
        }
        records_free(&first);
        records_free(&later);
        first = decode_all(&b.w);
        assert_arrived(&first, 10);
        assert_int_equal(first.count, 10);
        records_free(&first);
        bench_close(&b, t);
    }
}

/* ---- partialSuccess -------------------------------------------------------------------------- */

/* A transport that gives a reply to the first request. user: the text, or NULL. */
static vit_response reply_once(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 200, 0 };
    const char  *text = (const char *)w->user;
    if (number == 0 && text && r->reply && r->reply_size > 0) {
        size_t n = strlen(text) < r->reply_size ? strlen(text) : r->reply_size - 1;
        memcpy(r->reply, text, n);
        r->reply[n] = 0;
    }
    return answer;
}

/* Five events; the reply to them. What is refused is dropped, told to the server, and not sent
   again. */
static void assert_rejects(const char *reply, uint64_t wanted, vit_wire form)
{
    bench       b;
    vit_client *t;
    vit_stats   s;
    bench_otlp(&b);
    b.o.wire = form;
    b.w.answer_fn = reply_once;
    b.w.user = (void *)(uintptr_t)reply;
    t = bench_client(&b);
    track_many(t, 0, 5);
    assert_true(vit_flush(t, 1000));
    s = vit_get_stats(t);
    if (s.dropped[VIT_DROP_REJECTED] != wanted)
        fail_msg("%lu rejected, not %lu, by %.100s", (unsigned long)s.dropped[VIT_DROP_REJECTED],
                 (unsigned long)wanted, reply ? reply : "no reply");
    assert_true(s.delivered == 5u - wanted);
    assert_int_equal(s.queued, wanted ? 1 : 0); /* telemetry.report */
    assert_balanced(t);
    assert_int_equal(wire_count(&b.w), 1);
    pump_for(t, 30);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(logs_of(&b.l, VIT_LOG_SERVER_REJECTED), wanted ? 1 : 0);
    assert_int_equal(wire_count(&b.w), wanted ? 2 : 1);
    assert_int_equal(vit_get_stats(t).retries, 0);
    assert_int_equal(vit_get_stats(t).spooled, 0);
    if (wanted && form == VIT_WIRE_OTLP) {
        records told = { NULL, 0, 0 };
        decode(&told, b.w.calls[1].body, b.w.calls[1].size);
        assert_int_equal(told.count, 1);
        assert_string_equal(told.r[0].name, "telemetry.report");
        assert_int(&told.r[0], "accepted", 5);
        assert_int(&told.r[0], "dropped", (int64_t)wanted);
        assert_int(&told.r[0], "refused_full", 0);
        records_free(&told);
    }
    bench_close(&b, t);
}

#define PARTIAL(rejected) "{\"partialSuccess\":{\"rejectedLogRecords\":" rejected "}}"

static void test_partial_success(void **state)
{
    static const struct {
        const char *reply;
        uint64_t    rejected;
    } cases[] = {
        { NULL, 0 },
        { "", 0 },
        { "{}", 0 },
        { "{\"partialSuccess\":{}}", 0 },
        { "{\"partialSuccess\":null}", 0 },
        { PARTIAL("\"2\""), 2 },
        { PARTIAL("2"), 2 },
        { PARTIAL(" \n\t\"2\" "), 2 },
        { "{ \"partialSuccess\" : { \"rejectedLogRecords\" : 2 } }", 2 },
        { PARTIAL("\"0\""), 0 },
        { PARTIAL("0"), 0 },
        { PARTIAL("null"), 0 },
        { PARTIAL("\"1\""), 1 },
        { PARTIAL("\"5\""), 5 },
        { PARTIAL("\"6\""), 5 },
        { PARTIAL("9223372036854775807"), 5 },
        { PARTIAL("\"18446744073709551617\""), 5 },
        { PARTIAL("\"99999999999999999999999999999999999999\""), 5 },
        { PARTIAL("-1"), 0 },
        { PARTIAL("\"-3\""), 0 },
        { PARTIAL("\"\""), 0 },
        { PARTIAL("\"many\""), 0 },
        { PARTIAL("true"), 0 },
        { PARTIAL("[]"), 0 },
        { "{\"partialSuccess\":{\"rejectedLogRecords\":\"3\",\"errorMessage\":\"too old\"}}", 3 },
        { "{\"partialSuccess\":{\"errorMessage\":\"too old\",\"rejectedLogRecords\":\"3\"}}", 3 },
        { "{\"partialSuccess\":{\"errorMessage\":\"a warning\"}}", 0 },
        { "{\"partialSuccess\":{\"rejectedLogRecords\":\"0\",\"errorMessage\":\"a warning\"}}", 0 },
        { "{\"partialSuccess\":{\"errorMessage\":\"\\\"rejectedLogRecords\\\":4\"}}", 0 },
        { "{\"partialSuccess\":{\"rejectedSpans\":\"4\"}}", 0 },
        { "{\"partialSuccess\":{\"rejectedLogRecords\"", 0 },
        { "{\"partialSuccess\":{\"rejectedLogRecords\":", 0 },
        { "<html>\xFF\xFE\001 4 5 6</html>", 0 },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        assert_rejects(cases[i].reply, cases[i].rejected, VIT_WIRE_OTLP);
    assert_rejects(PARTIAL("2"), 0, VIT_WIRE_NDJSON); /* no other wire has it */
    assert_rejects(PARTIAL("2"), 0, VIT_WIRE_ARRAY);
}

/* A reply of which the client keeps the beginning. */
static void test_huge_reply(void **state)
{
    char *reply = (char *)malloc(1u << 20);
    int   n;
    (void)state;
    assert_non_null(reply);
    memset(reply, 'a', (1u << 20) - 1);
    reply[(1u << 20) - 1] = 0;
    assert_rejects(reply, 0, VIT_WIRE_OTLP);
    n = snprintf(reply, 200,
                 "{\"partialSuccess\":{\"rejectedLogRecords\":\"4\",\"errorMessage\":\"");
    reply[n] = 'a';
    assert_rejects(reply, 4, VIT_WIRE_OTLP);
    free(reply);
}

/* All of a batch is refused while others go well: the books are right, nothing stands still. */
static void test_partial_among_others(void **state)
{
    bench       b;
    vit_client *t;
    records     all;
    vit_stats   s;
    (void)state;
    bench_otlp(&b);
    b.o.batch_events = 10;
    b.w.answer_fn = reply_once;
    b.w.user = (void *)(uintptr_t)PARTIAL("\"7\"");
    t = bench_client(&b);
    track_many(t, 0, 100);
    assert_true(vit_flush(t, 1000));
    s = vit_get_stats(t);
    assert_true(s.delivered + s.queued == 94u && s.dropped[VIT_DROP_REJECTED] == 7u);
    assert_balanced(t);
    pump_for(t, 30);
    all = decode_all(&b.w);
    assert_arrived(&all, 100); /* once each: what was refused as well */
    assert_int_equal(all.count, 101);
    records_free(&all);
    s = vit_get_stats(t);
    assert_true(s.delivered == 94u && s.queued == 0);
    bench_close(&b, t);
}

/* And from the disk. */
static void test_partial_spooled(void **state)
{
    bench       b;
    vit_client *t;
    vit_stats   s;
    (void)state;
    bench_otlp(&b);
    offline(&b);
    t = bench_client(&b);
    track_many(t, 0, 5);
    t = again(&b, t);
    wire_free(&b.w);
    wire_init(&b.w);
    b.w.answer_fn = reply_once;
    b.w.user = (void *)(uintptr_t)PARTIAL("\"3\"");
    assert_true(vit_flush(t, 1000));
    s = vit_get_stats(t);
    assert_true(s.adopted == 5u && s.dropped[VIT_DROP_REJECTED] == 3u);
    assert_int_equal(s.delivered + s.queued, 2 + 1); /* and telemetry.report */
    assert_int_equal(s.spooled, 0);
    assert_balanced(t);
    bench_close(&b, t);
}

/* ---- the checker itself ---------------------------------------------------------------------- */

static char *replaced(const char *body, const char *from, const char *to)
{
    const char *at = strstr(body, from);
    char       *out = (char *)malloc(strlen(body) + strlen(to) + 1);
    if (!at || !out) fail_msg("no %s in %s", from, body);
    memcpy(out, body, (size_t)(at - body));
    strcpy(out + (at - body), to);
    strcat(out, at + strlen(from));
    return out;
}

/* A good body passes; each of these changes is seen. */
static void test_checker(void **state)
{
    static const char good[] =
        "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{"
        "\"stringValue\":\"s\"}}]},\"scopeLogs\":[{\"scope\":{\"name\":\"n\",\"version\":\"v\"},"
        "\"logRecords\":[{\"timeUnixNano\":\"1\",\"observedTimeUnixNano\":\"2\",\"severityNumber\":"
        "9,\"severityText\":\"INFO\",\"eventName\":\"e\",\"body\":{\"stringValue\":\"e\"},"
        "\"traceId\":\"0123456789abcdef0123456789abcdef\",\"attributes\":[{\"key\":\"i\",\"value\":"
        "{\"intValue\":\"-7\"}},{\"key\":\"d\",\"value\":{\"doubleValue\":1.5}},{\"key\":\"b\","
        "\"value\":{\"boolValue\":true}}]}]}]}]}";
    static const struct {
        const char *from, *to;
    } bad[] = {
        { "\"timeUnixNano\":\"1\"", "\"timeUnixNano\":1" },
        { "\"timeUnixNano\":\"1\"", "\"timeUnixNano\":\"-1\"" },
        { "\"timeUnixNano\":\"1\"", "\"timeUnixNano\":\"01\"" },
        { "\"timeUnixNano\":\"1\"", "\"timeUnixNano\":\"1.0\"" },
        { "\"timeUnixNano\":\"1\"", "\"timeUnixNano\":\"18446744073709551616\"" },
        { "\"timeUnixNano\":\"1\",", "" },
        { "timeUnixNano", "time_unix_nano" },
        { "\"severityNumber\":9", "\"severityNumber\":\"SEVERITY_NUMBER_INFO\"" },
        { "\"severityNumber\":9", "\"severityNumber\":0" },
        { "\"severityNumber\":9", "\"severityNumber\":25" },
        { "\"severityText\":\"INFO\"", "\"severityText\":null" },
        { "\"intValue\":\"-7\"", "\"intValue\":-7" },
        { "\"intValue\":\"-7\"", "\"intValue\":\"-0\"" },
        { "\"intValue\":\"-7\"", "\"intValue\":\"7e1\"" },
        { "\"intValue\":\"-7\"", "\"intValue\":\"9223372036854775808\"" },
        { "\"doubleValue\":1.5", "\"doubleValue\":\"1.5\"" },
        { "\"doubleValue\":1.5", "\"doubleValue\":null" },
        { "\"doubleValue\":1.5", "\"doubleValue\":NaN" },
        { "\"boolValue\":true", "\"boolValue\":\"true\"" },
        { "\"boolValue\":true", "\"boolValue\":true,\"intValue\":\"1\"" },
        { "{\"boolValue\":true}", "{}" },
        { "{\"boolValue\":true}", "{\"arrayValue\":{}}" },
        { "{\"boolValue\":true}", "null" },
        { "\"key\":\"b\"", "\"key\":\"b\",\"key\":\"c\"" },
        { "0123456789abcdef0123", "0123456789ABCDEF0123" },
        { "0123456789abcdef0123", "01234567-89abcdef012" },
        { "\"0123456789abcdef0123456789abcdef\"", "\"0123456789abcdef\"" },
        { "\"0123456789abcdef0123456789abcdef\"", "\"00000000000000000000000000000000\"" },
        { "\"resourceLogs\":[", "\"resourceLogs\":[null," },
        { "\"name\":\"n\",", "" },
        { "\"scope\":{", "\"instrumentationLibrary\":{" },
        { "}]}]}]}]}", "}]}]}]}" },
        { "}]}]}]}]}", "}]}]}]}]} x" },
        { "\"eventName\":\"e\"", "\"name\":\"e\"" },
    };
    size_t i;
    (void)state;
    if (!check_body(good, strlen(good))) fail_msg("%s", wrong);
    for (i = 0; i < COUNT_OF(bad); i++) {
        char *text = replaced(good, bad[i].from, bad[i].to);
        if (check_body(text, strlen(text))) fail_msg("not seen: %s", bad[i].to);
        free(text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker),
        cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_sampled),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_random_events),
        cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_resource),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_severity),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_wall_jumps),
        cmocka_unit_test(test_spooled_times),
        cmocka_unit_test(test_wild_clocks),
        cmocka_unit_test(test_batches_by_count),
        cmocka_unit_test(test_batches_by_bytes),
        cmocka_unit_test(test_widest),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_versions_in_one_request),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_partial_success),
        cmocka_unit_test(test_huge_reply),
        cmocka_unit_test(test_partial_among_others),
        cmocka_unit_test(test_partial_spooled),
    };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
