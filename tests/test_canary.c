/* test_canary.c: invented secrets, user names, host names and home folders are planted through
   every call that takes a text, and then looked for in everything that leaves the library.

   Each pair of a call and a form of the canary has clients and canaries of its own, so that what is
   found tells where it came from. A line of output for each pair: LEAK <call>: <form>, in <places>.

   Build:   cc -std=c99 -I. tests/test_canary.c -o build/tests/test_canary -lcmocka -pthread */

#define gethostname test_gethostname /* the library asks the test */
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "common.h"

#include <dirent.h>

#define CANARY_ALL(X)   \
    X(VIT_LABEL, label) \
    X(VIT_TEXT, text)   \
    X(VIT_HASH, host)   \
    X(VIT_GROUP, team)  \
    X(VIT_ROW, record) X(VIT_FILE, source) X(VIT_TRACE, trace) X(VIT_FRAME, frame)
VIT_EVENT_DECLARE(canary_all, CANARY_ALL);
VIT_EVENT_DEFINE(canary_all, "canary.all", 1.0, CANARY_ALL)

/* ---- canaries -------------------------------------------------------------------------------- */

typedef enum form {
    FORM_LITERAL,
    FORM_PERCENT,
    FORM_PERCENT_LOWER,
    FORM_BASE64_0,
    FORM_BASE64_1,
    FORM_BASE64_2,
    FORM_JSON,
    FORM_JSON_SLASH,
    FORM_USER,
    FORM_USER_UPPER,
    FORM_HOST,
    FORM_HOST_UPPER,
    FORM_HOST_FULL,
    FORM_HOME,
    FORM_HOME_NAME,
    FORM_COUNT
} form;
static const char *const form_names[] = { "secret",
                                          "secret, percent-encoded",
                                          "secret, percent-encoded in lower case",
                                          "secret, base64 at 0",
                                          "secret, base64 at 1",
                                          "secret, base64 at 2",
                                          "secret, JSON-escaped",
                                          "secret, JSON-escaped with its slash",
                                          "user",
                                          "user, upper case",
                                          "host",
                                          "host, upper case",
                                          "host with its domain",
                                          "home folder",
                                          "home folder's name" };

/* What a text may hold where the canary is planted. */
typedef enum alphabet {
    ALPHABET_ALL,
    ALPHABET_NO_SLASH, /* FILE: what stands before a slash is no part of it */
    ALPHABET_NAME,     /* [A-Za-z0-9_.] */
    ALPHABET_KEY       /* [a-z0-9_.] */
} alphabet;

typedef struct canary {
    char word[24];     /* letters only, of no other canary: what is looked for */
    char secret[64];   /* as it is registered; short, so that few patterns take its base64 */
    char planted[128]; /* in its form */
    char base64[64];   /* what is looked for beside the word; "": nothing */
} canary;

static unsigned canaries;
static char     host_name[64] = "zqhost.example";

int test_gethostname(char *out, size_t size)
{
    snprintf(out, size, "%s", host_name);
    return 0;
}

static void base64(char *out, const char *text, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t            i;
    unsigned          bits = 0, count = 0;
    for (i = 0; i < size; i++) {
        bits = bits << 8 | (unsigned char)text[i];
        for (count += 8; count >= 6; count -= 6) *out++ = digits[bits >> (count - 6) & 63];
    }
    if (count) *out++ = digits[bits << (6 - count) & 63];
    *out = 0;
}

/* Of a text that holds the secret behind `before` bytes. What is looked for is what the word alone
   decides of it. */
static void plant_base64(canary *c, size_t before)
{
    char   text[96];
    size_t first, last;
    snprintf(text, sizeof text, "%.*s%s;", (int)before, "u:", c->secret);
    base64(c->planted, text, strlen(text));
    first = (size_t)(strstr(text, c->word) - text) * 8;
    last = (first + strlen(c->word) * 8) / 6;
    first = (first + 5) / 6;
    snprintf(c->base64, sizeof c->base64, "%.*s", (int)(last - first), c->planted + first);
}

static void plant_percent(canary *c, const char *escape)
{
    const char *p;
    char       *out = c->planted;
    for (p = c->secret; *p; p++)
        out += snprintf(out, 4, vitp_text_is_alnum(*p) ? "%c" : escape, (unsigned char)*p);
}

static void plant_json(canary *c, bool slash)
{
    const char *p;
    char       *out = c->planted;
    for (p = c->secret; *p; p++) {
        if (*p == '"' || *p == '\\' || (slash && *p == '/')) *out++ = '\\';
        *out++ = *p;
    }
    *out = 0;
}

static void to_upper(char *text)
{
    for (; *text; text++)
        if (*text >= 'a' && *text <= 'z') *text = (char)(*text - 'a' + 'A');
}

/* The environment holds what the form says, else nothing of it. */
static void make_environment(const canary *c, form f)
{
    char home[64];
    bool user = f == FORM_USER || f == FORM_USER_UPPER;
    bool host = f == FORM_HOST || f == FORM_HOST_UPPER || f == FORM_HOST_FULL;
    snprintf(home, sizeof home, "/home/%s", f >= FORM_HOME ? c->word : "zqtester");
    snprintf(host_name, sizeof host_name, "%s.zqdomain.example", host ? c->word : "zqhost");
    setenv("HOME", home, 1);
    setenv("HOSTNAME", host_name, 1);
    setenv("USER", user ? c->word : "zqtester", 1);
    setenv("LOGNAME", user ? c->word : "zqtester", 1);
}

static void make_canary(canary *c, form f, alphabet a)
{
    static const char        consonants[] = "bdfgklmnprstvz", vowels[] = "aeiou";
    static const char *const shapes[] = { "7\"%s/+\\", "7\"%s+&=", "q_%s_5", "q_%s_5" };
    unsigned                 n = canaries++, i;
    char                    *at = c->word;
    memset(c, 0, sizeof *c);
    *at++ = 'q';
    assert_true(canaries < 14u * 14u * 14u * 14u);
    for (i = 0; i < 4; i++) {
        *at++ = consonants[n % 14];
        n /= 14;
        *at++ = vowels[(canaries + i) % 5];
    }
    snprintf(c->secret, sizeof c->secret, shapes[a], c->word);
    snprintf(c->planted, sizeof c->planted, "%s", f < FORM_USER ? c->secret : c->word);
    if (f == FORM_PERCENT) plant_percent(c, "%%%02X");
    if (f == FORM_PERCENT_LOWER) plant_percent(c, "%%%02x");
    if (f == FORM_JSON || f == FORM_JSON_SLASH) plant_json(c, f == FORM_JSON_SLASH);
    if (f >= FORM_BASE64_0 && f <= FORM_BASE64_2) plant_base64(c, (size_t)(f - FORM_BASE64_0));
    if (f == FORM_USER_UPPER || f == FORM_HOST_UPPER) to_upper(c->planted);
    if (f == FORM_HOST_FULL)
        snprintf(c->planted, sizeof c->planted, "%s.zqdomain.example", c->word);
    if (f == FORM_HOME) snprintf(c->planted, sizeof c->planted, "/home/%s", c->word);
    make_environment(c, f);
}

/* Forms that can stand in such a text at all. */
static bool form_fits(form f, alphabet a)
{
    if (a == ALPHABET_NO_SLASH && (f == FORM_HOME || f == FORM_JSON_SLASH)) return false;
    if (a < ALPHABET_NAME) return true;
    if (f == FORM_PERCENT || f == FORM_PERCENT_LOWER || f == FORM_JSON || f == FORM_JSON_SLASH)
        return false; /* as the secret itself */
    if (f == FORM_HOME) return false;
    if (a == ALPHABET_NAME) return true;
    return f == FORM_LITERAL || f == FORM_USER || f == FORM_HOST || f == FORM_HOST_FULL ||
           f == FORM_HOME_NAME;
}

/* ---- where they are planted ------------------------------------------------------------------ */

typedef enum group {
    GROUP_LABEL,
    GROUP_TEXT,
    GROUP_HASH,
    GROUP_TRACE,
    GROUP_FRAME,
    GROUP_FILE,
    GROUP_NAME,
    GROUP_KEY,
    GROUP_CONTEXT,
    GROUP_CUT,
    GROUP_REFUSED
} group;

/* One argument of one call. shape: how the canary stands in it. */
typedef struct site {
    char              name[96];
    group             of;
    const vit_schema *schema; /* of a declared event, with the member */
    uint32_t          member;
    void (*plant_fn)(vit_client *t, const char *text);
} site;

static site   sites[192];
static size_t site_count;

static const char *shape_of(group g)
{
    switch (g) {
    case GROUP_LABEL: return "at %s now";
    case GROUP_TEXT: return "the query was refused: %s is not known, try again";
    case GROUP_TRACE: return "File \"/srv/%1$s.py\", line 3, in f\n%1$s:12\n/srv/x/%1$s.c:7";
    case GROUP_FRAME: return "%s.c:12";
    case GROUP_FILE: return "/srv/data/%s.csv";
    case GROUP_NAME: return "canary.%s";
    default: return "%s";
    }
}

static alphabet alphabet_of(group g)
{
    return g == GROUP_FILE   ? ALPHABET_NO_SLASH
           : g == GROUP_NAME ? ALPHABET_NAME
           : g == GROUP_KEY  ? ALPHABET_KEY
                             : ALPHABET_ALL;
}

/* It is not even to be in the queue: LABEL, FILE, names and keys are looked at behind it. */
static bool stays_out_of_queue(group g)
{
    return g == GROUP_TEXT || g == GROUP_HASH || g == GROUP_TRACE || g == GROUP_FRAME;
}

static group group_of(vit_kind kind)
{
    switch (kind) {
    case VIT_TEXT: return GROUP_TEXT;
    case VIT_TRACE: return GROUP_TRACE;
    case VIT_FRAME: return GROUP_FRAME;
    case VIT_FILE: return GROUP_FILE;
    case VIT_LABEL: return GROUP_LABEL;
    default: return GROUP_HASH;
    }
}

static void plant_member(vit_client *t, const site *s, const char *text)
{
    union {
        const char *texts[64];
        int64_t     numbers[64];
        char        bytes[512];
    } event;
    memset(&event, 0, sizeof event);
    memcpy(event.bytes + s->schema->members[s->member].offset, &text, sizeof text);
    vit_set_rate(t, s->schema->name, 1.0);
    (void)vit_track_schema(t, s->schema, &event);
}

#define PLANT_ADD(add, key)                                  \
    static void plant_##add(vit_client *t, const char *text) \
    {                                                        \
        vit_event e;                                         \
        vit_event_begin(&e, t, "canary.adhoc", NULL);        \
        vit_add_##add(&e, key, text);                        \
        (void)vit_event_send(&e);                            \
    }
PLANT_ADD(label, "member")
PLANT_ADD(text, "member")
PLANT_ADD(hash, "member")
PLANT_ADD(group, "member")
PLANT_ADD(row, "member")
PLANT_ADD(file, "member")
PLANT_ADD(uuid, "member")

#define PLANT_BUILT(name, call)                               \
    static void plant_##name(vit_client *t, const char *text) \
    {                                                         \
        vit_event e;                                          \
        vit_event_begin(&e, t, "canary.adhoc", NULL);         \
        call;                                                 \
        (void)vit_event_send(&e);                             \
    }
PLANT_BUILT(key_label, vit_add_label(&e, text, "l"))
PLANT_BUILT(key_text, vit_add_text(&e, text, "t"))
PLANT_BUILT(key_hash, vit_add_hash(&e, text, "h"))
PLANT_BUILT(key_int, vit_add_int(&e, text, 1))
PLANT_BUILT(key_flag, vit_add_flag(&e, text, true))
PLANT_BUILT(add_error_type, vit_add_error(&e, text, "m", "f", NULL))
PLANT_BUILT(add_error_message, vit_add_error(&e, "T", text, "f", NULL))
PLANT_BUILT(add_error_frame, vit_add_error(&e, "T", "m", text, NULL))
PLANT_BUILT(add_error_trace, vit_add_error(&e, "T", "m", "f", text))

#define PLANT_CALL(name, call) \
    static void plant_##name(vit_client *t, const char *text) { call; }
PLANT_CALL(error_name, (void)vit_track_error(t, &(vit_error){ .event_name = text, .message = "m" }))
PLANT_CALL(error_type, (void)vit_track_error(t, &(vit_error){ .type = text, .message = "m" }))
PLANT_CALL(error_message, (void)vit_track_error(t, &(vit_error){ .message = text }))
PLANT_CALL(error_frame, (void)vit_track_error(t, &(vit_error){ .message = "m", .frame = text }))
PLANT_CALL(error_trace, (void)vit_track_error(t, &(vit_error){ .message = "m", .trace = text }))
PLANT_CALL(error_function, (void)vit_track_error(t, &(vit_error){ .function = text }))
PLANT_CALL(error_feature, (void)vit_track_error(t, &(vit_error){ .feature = text }))
PLANT_CALL(error_code, (void)vit_track_error(t, &(vit_error){ .code = text }))
PLANT_CALL(fail_name, (void)vit_fail(t, NULL, text, "import", 2))
PLANT_CALL(fail_feature, (void)vit_fail(t, NULL, "ImportError", text, 2))
PLANT_CALL(qt_message, vit_qt_message(t, 2, "a.cpp", 1, "f", "c", text))
PLANT_CALL(qt_file, vit_qt_message(t, 2, text, 1, "f", "c", "m"))
PLANT_CALL(qt_function, vit_qt_message(t, 2, "a.cpp", 1, text, "c", "m"))
PLANT_CALL(qt_category, vit_qt_message(t, 2, "a.cpp", 1, "f", text, "m"))
PLANT_CALL(session_source, vit_session_begin(t, NULL, text))

static void plant_name(vit_client *t, const char *text)
{
    vit_event e;
    vit_set_rate(t, text, 1.0);
    vit_event_begin(&e, t, text, NULL);
    (void)vit_event_send(&e);
}

static void track_plain(vit_client *t)
{
    (void)vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "f" });
}

static void plant_session_id(vit_client *t, const char *text)
{
    vit_session_begin(t, text, "cli");
    track_plain(t);
    vit_session_end(t, VIT_EXIT_NORMAL);
}

static void plant_provider(vit_client *t, const char *text)
{
    vit_set_context(t, text, "c");
    track_plain(t);
}

static void plant_collection(vit_client *t, const char *text)
{
    vit_set_context(t, "p", text);
    track_plain(t);
}

/* The canary stands at an edge where the library cuts, which takes its last `missing` bytes.
   Before it are words, or one long URL, which leaves room for all that the library reads. */
static void plant_at(vit_client *t, const char *text, size_t edge, size_t missing, bool label,
                     bool url)
{
    static char long_text[8192];
    vit_event   e;
    size_t      i, before = edge + missing - strlen(text);
    for (i = 0; i < before; i++) long_text[i] = url ? 'a' : "lorem ipsum "[i % 12];
    if (url) memcpy(long_text, "https://zq.example/", 19);
    long_text[before - 1] = ' ';
    snprintf(long_text + before, sizeof long_text - before, "%s and more", text);
    vit_event_begin(&e, t, "canary.cut", NULL);
    if (label) vit_add_label(&e, "member", long_text);
    else vit_add_text(&e, "member", long_text);
    (void)vit_event_send(&e);
}
PLANT_CALL(text_end_1, plant_at(t, text, 1024, 1, false, false))
PLANT_CALL(text_end_3, plant_at(t, text, 1024, 3, false, false))
PLANT_CALL(read_end_1, plant_at(t, text, 4096, 1, false, true))
PLANT_CALL(read_end_3, plant_at(t, text, 4096, 3, false, true))
PLANT_CALL(label_end_1, plant_at(t, text, 64, 1, true, false))
PLANT_CALL(label_end_3, plant_at(t, text, 64, 3, true, false))

static site *add_site(const char *name, group of, void (*plant_fn)(vit_client *, const char *))
{
    site *s = &sites[site_count++];
    assert_true(site_count <= COUNT_OF(sites));
    snprintf(s->name, sizeof s->name, "%s", name);
    s->of = of;
    s->plant_fn = plant_fn;
    return s;
}

static void add_schema(const vit_schema *schema)
{
    uint32_t i;
    for (i = 0; i < schema->member_count; i++) {
        vit_kind kind = schema->members[i].kind;
        site    *s;
        if (kind >= VIT_INT) continue;
        s = add_site("", group_of(kind), NULL);
        snprintf(s->name, sizeof s->name, "%s %s", schema->name, schema->members[i].name);
        s->schema = schema;
        s->member = i;
    }
}

static int add_sites(void **state)
{
    (void)state;
#define ADD_ROW(event, name, rate, flags, MEMBERS) add_schema(vit_schema_##event());
    VIT_CATALOGUE(ADD_ROW)
    add_schema(vit_schema_canary_all());
    add_site("vit_add_label", GROUP_LABEL, plant_label);
    add_site("vit_add_text", GROUP_TEXT, plant_text);
    add_site("vit_add_hash", GROUP_HASH, plant_hash);
    add_site("vit_add_group", GROUP_HASH, plant_group);
    add_site("vit_add_row", GROUP_HASH, plant_row);
    add_site("vit_add_file", GROUP_FILE, plant_file);
    add_site("vit_add_uuid", GROUP_REFUSED, plant_uuid);
    add_site("vit_event_begin name", GROUP_NAME, plant_name);
    add_site("vit_add_label key", GROUP_KEY, plant_key_label);
    add_site("vit_add_text key", GROUP_KEY, plant_key_text);
    add_site("vit_add_hash key", GROUP_KEY, plant_key_hash);
    add_site("vit_add_int key", GROUP_KEY, plant_key_int);
    add_site("vit_add_flag key", GROUP_KEY, plant_key_flag);
    add_site("vit_add_error type", GROUP_LABEL, plant_add_error_type);
    add_site("vit_add_error message", GROUP_TEXT, plant_add_error_message);
    add_site("vit_add_error frame", GROUP_FRAME, plant_add_error_frame);
    add_site("vit_add_error trace", GROUP_TRACE, plant_add_error_trace);
    add_site("vit_track_error event_name", GROUP_NAME, plant_error_name);
    add_site("vit_track_error type", GROUP_LABEL, plant_error_type);
    add_site("vit_track_error message", GROUP_TEXT, plant_error_message);
    add_site("vit_track_error frame", GROUP_FRAME, plant_error_frame);
    add_site("vit_track_error trace", GROUP_TRACE, plant_error_trace);
    add_site("vit_track_error function", GROUP_LABEL, plant_error_function);
    add_site("vit_track_error feature", GROUP_LABEL, plant_error_feature);
    add_site("vit_track_error code", GROUP_LABEL, plant_error_code);
    add_site("vit_fail event_name", GROUP_NAME, plant_fail_name);
    add_site("vit_fail feature", GROUP_LABEL, plant_fail_feature);
    add_site("vit_qt_message message", GROUP_TEXT, plant_qt_message);
    add_site("vit_qt_message file", GROUP_FILE, plant_qt_file);
    add_site("vit_qt_message function", GROUP_LABEL, plant_qt_function);
    add_site("vit_qt_message category", GROUP_REFUSED, plant_qt_category);
    add_site("vit_session_begin launch_source", GROUP_LABEL, plant_session_source);
    add_site("vit_session_begin session_id", GROUP_CONTEXT, plant_session_id);
    add_site("vit_set_context provider", GROUP_CONTEXT, plant_provider);
    add_site("vit_set_context collection", GROUP_HASH, plant_collection);
    add_site("a text's end less 1", GROUP_CUT, plant_text_end_1);
    add_site("a text's end less 3", GROUP_CUT, plant_text_end_3);
    add_site("the end of what is read less 1", GROUP_CUT, plant_read_end_1);
    add_site("the end of what is read less 3", GROUP_CUT, plant_read_end_3);
    add_site("a label's end less 1", GROUP_CUT, plant_label_end_1);
    add_site("a label's end less 3", GROUP_CUT, plant_label_end_3);
    return 0;
}

/* ---- where they are looked for --------------------------------------------------------------- */

static char folder[64], run_folder[PATH_MAX];
static char log_texts[16384], export_texts[65536];

static int fold(int c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; }

static bool has(const char *data, size_t size, const char *word)
{
    size_t n = strlen(word), i, j;
    for (i = 0; n > 0 && i + n <= size; i++) {
        for (j = 0; j < n && fold(data[i + j]) == fold(word[j]); j++) {}
        if (j == n) return true;
    }
    return false;
}

static bool has_canary(const char *data, size_t size, const canary *c)
{
    return has(data, size, c->word) || has(data, size, c->base64);
}

static void note_log(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    size_t n = strlen(log_texts);
    (void)level, (void)item, (void)user;
    snprintf(log_texts + n, sizeof log_texts - n, "%s\n", text);
}

static void note_line(const char *json, size_t size, void *user)
{
    size_t n = strlen(export_texts);
    (void)user;
    snprintf(export_texts + n, sizeof export_texts - n, "%.*s\n", (int)size, json);
}

static bool file_has(const char *path, const canary *c)
{
    static char data[1 << 20];
    FILE       *f = fopen(path, "rb");
    size_t      n = f ? fread(data, 1, sizeof data, f) : 0;
    if (f) fclose(f);
    return has_canary(data, n, c);
}

/* Counts the pools' files, so that a test that finds none of them does not pass. */
static bool pools_have(const canary *c, size_t *count)
{
    char           path[PATH_MAX + 300];
    DIR           *d;
    struct dirent *entry;
    bool           found = false;
    snprintf(path, sizeof path, "%s/vitelemetry", run_folder);
    d = opendir(path);
    while (d && (entry = readdir(d)) != NULL) {
        if (!strstr(entry->d_name, ".pool")) continue;
        snprintf(path, sizeof path, "%s/vitelemetry/%s", run_folder, entry->d_name);
        found = file_has(path, c) || found;
        ++*count;
    }
    if (d) closedir(d);
    return found;
}

/* Memory of the client, by its allocator. The first block is the client itself, in which the
   registry is; of it the bodies only are looked at. */
static struct {
    char  *at[8];
    size_t size[8], count;
} blocks;

static void *take_block(size_t size, void *user)
{
    char *block = (char *)calloc(1, size);
    (void)user;
    assert_true(blocks.count < COUNT_OF(blocks.at));
    blocks.at[blocks.count] = block;
    blocks.size[blocks.count++] = size;
    return block;
}

static void free_block(void *block, void *user)
{
    (void)user;
    free(block);
}

static bool memory_has(const vit_client *t, const canary *c)
{
    size_t i;
    bool   found =
        has_canary(t->body, t->body_capacity, c) || has_canary(t->scratch, VITP_EVENT_JSON_MAX, c);
    for (i = 1; i < blocks.count; i++) found = has_canary(blocks.at[i], blocks.size[i], c) || found;
    return found;
}

static bool wire_has(wire *w, const canary *c)
{
    size_t i;
    bool   found = false;
    for (i = 0; i < w->count; i++)
        found = has_canary(w->calls[i].body, w->calls[i].size, c) ||
                has_canary(w->calls[i].headers, strlen(w->calls[i].headers), c) ||
                has_canary(w->calls[i].url, strlen(w->calls[i].url), c) || found;
    return found;
}

static bool folder_has(const char *name, const canary *c)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return file_has(path, c);
}

/* ---- the runs -------------------------------------------------------------------------------- */

typedef struct run {
    const site *at;
    form        f;
    vit_wire    wire_form;
    bool        in_memory, late, watched;
    canary      c;
    bool        sent;        /* the transport was given the canary */
    char        places[128]; /* where it was found, in whatever run of the pair */
} run;

/* A place in which the canary was found; each once a pair. */
static void leak(run *r, bool found, const char *place)
{
    size_t n = strlen(r->places);
    if (!found || strstr(r->places, place)) return;
    snprintf(r->places + n, sizeof r->places - n, "%s%s", n ? ", " : "", place);
}

static void plant(const run *r, vit_client *t)
{
    char text[512];
    /* the shapes are this file's own */
    const char *shape = shape_of(r->at->of), *p;
    size_t      n = 0;
    for (p = shape; *p; p++) {
        if (strncmp(p, "%1$s", 4) == 0 || strncmp(p, "%s", 2) == 0) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", r->c.planted);
            p += p[1] == 's' ? 1 : 3;
        } else text[n++] = *p;
    }
    text[n] = 0;
    if (r->at->schema) plant_member(t, r->at, text);
    else r->at->plant_fn(t, text);
}

static vit_options options_of_run(const run *r, wire *w)
{
    vit_options o = options_of(w, NULL);
    o.logger.log_fn = note_log;
    o.data_dir = r->in_memory ? "" : folder;
    o.consent = VIT_CONSENT_VERBOSE;
    o.audit = true;
    o.wire = r->wire_form;
    o.queue_bytes = 65536;
    o.group_salt = "zq-project-salt";
    if (!r->in_memory) return o;
    blocks.count = 0;
    o.allocator.alloc_fn = take_block;
    o.allocator.free_fn = free_block;
    return o;
}

static void look_at_queue(run *r, const vit_client *t)
{
    size_t pools = 0;
    if (!stays_out_of_queue(r->at->of) || r->late) return;
    if (r->in_memory) {
        leak(r, memory_has(t, &r->c), "memory");
        return;
    }
    leak(r, pools_have(&r->c, &pools), "the queue's file");
    if (!vit_get_stats(t).crash_surviving) print_message("the queue is in no file here\n");
    else assert_true(pools > 0);
}

static void run_one(run *r)
{
    wire        w;
    vit_options o;
    vit_client *t;
    bool        secret = r->f < FORM_USER && r->watched;
    make_canary(&r->c, r->f, alphabet_of(r->at->of));
    if (!r->watched) make_environment(&r->c, FORM_LITERAL); /* nobody knows it */
    wire_init(&w);
    log_texts[0] = export_texts[0] = 0;
    o = options_of_run(r, &w);
    t = vit_create(&o);
    assert_non_null(t);
    if (secret && !r->late) assert_true(vit_register_secret(t, r->c.secret, 0));
    plant(r, t);
    if (r->watched) look_at_queue(r, t);
    if (secret && r->late) assert_true(vit_register_secret(t, r->c.secret, 0));
    (void)vit_export(t, note_line, NULL);
    assert_true(vit_flush(t, 5000));
    r->sent = wire_has(&w, &r->c);
    if (r->watched) {
        leak(r, has_canary(export_texts, strlen(export_texts), &r->c), "vit_export");
        leak(r, r->sent, "a request");
        leak(r, has_canary(log_texts, strlen(log_texts), &r->c), "a log text");
        if (!r->in_memory) {
            leak(r, folder_has("telemetry.conf", &r->c), "the settings");
            leak(r, folder_has("sent.ndjson", &r->c), "the audit log");
            leak(r, folder_has("sent.1.ndjson", &r->c), "the audit log");
        }
    }
    assert_balanced(t);
    assert_true(vit_destroy(t, 1000));
    wire_free(&w);
}

/* One call with each form, over the three wire forms and with the queue in plain memory. Returns
   the pairs that leak. */
static unsigned run_site(const site *s, bool late)
{
    unsigned leaks = 0, f, place;
    for (f = 0; f < (late ? (unsigned)FORM_USER : (unsigned)FORM_COUNT); f++) {
        run r;
        if (!form_fits((form)f, alphabet_of(s->of))) continue;
        memset(&r, 0, sizeof r);
        r.at = s;
        r.f = (form)f;
        r.late = late;
        r.watched = true;
        for (place = 0; place < 4; place++) {
            r.wire_form = (vit_wire)(place % 3);
            r.in_memory = place == 3;
            run_one(&r);
        }
        if (!r.places[0]) continue;
        print_message("LEAK %s%s: %s, in %s\n", s->name, late ? " (registered late)" : "",
                      form_names[f], r.places);
        leaks++;
    }
    return leaks;
}

static void run_group(group g)
{
    unsigned leaks = 0, first = canaries;
    size_t   i, n = 0;
    for (i = 0; i < site_count; i++)
        if (sites[i].of == g) leaks += run_site(&sites[i], false), n++;
    assert_true(n > 0);
    if (leaks)
        fail_msg("%u pairs of %lu calls leak, of %u canaries", leaks, (unsigned long)n,
                 canaries - first);
}

static int setup(void **state)
{
    (void)state;
    environment_clear();
    folder_make(folder);
    snprintf(run_folder, sizeof run_folder, "%s/run", folder);
    assert_int_equal(mkdir(run_folder, 0700), 0);
    if (run_folder[0] != '/') {
        char full[PATH_MAX];
        assert_non_null(realpath(run_folder, full));
        snprintf(run_folder, sizeof run_folder, "%s", full);
    }
    setenv("XDG_RUNTIME_DIR", run_folder, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

#define TEST_GROUP(name, g) \
    static void name(void **state) { (void)state, run_group(g); }
TEST_GROUP(test_label, GROUP_LABEL)
TEST_GROUP(test_text, GROUP_TEXT)
TEST_GROUP(test_hash, GROUP_HASH)
TEST_GROUP(test_trace, GROUP_TRACE)
TEST_GROUP(test_frame, GROUP_FRAME)
TEST_GROUP(test_file, GROUP_FILE)
TEST_GROUP(test_name, GROUP_NAME)
TEST_GROUP(test_key, GROUP_KEY)
TEST_GROUP(test_context, GROUP_CONTEXT)
TEST_GROUP(test_cut, GROUP_CUT)
TEST_GROUP(test_refused, GROUP_REFUSED)

/* A secret that is registered while what holds it waits: nothing of it is sent. (Of a FILE the
   folders are gone by then, and with them what stood before a slash of the secret.) */
static void test_late(void **state)
{
    unsigned leaks = 0;
    size_t   i;
    (void)state;
    for (i = 0; i < site_count; i++)
        if (sites[i].schema == vit_schema_canary_all() && sites[i].of != GROUP_TRACE &&
            sites[i].of != GROUP_FILE)
            leaks += run_site(&sites[i], true);
    if (leaks) fail_msg("%u pairs leak", leaks);
}

/* The same canaries, known to nobody, do arrive: else the tests above would find nothing either. */
static void test_they_would_be_found(void **state)
{
    size_t   i;
    unsigned missing = 0;
    (void)state;
    for (i = 0; i < site_count; i++) {
        group g = sites[i].of;
        run   r;
        memset(&r, 0, sizeof r);
        r.at = &sites[i];
        r.f = FORM_USER; /* a bare word, which no pattern takes */
        run_one(&r);
        if (g == GROUP_HASH || g == GROUP_FRAME || g == GROUP_REFUSED || g == GROUP_CUT) continue;
        if (!r.sent) print_message("MISSING %s\n", r.at->name);
        missing += r.sent ? 0u : 1u;
    }
    if (missing) fail_msg("%u missing", missing);
}

/* The salts and the key stay where they are. */
static void test_options(void **state)
{
    wire        w;
    run         r;
    vit_options o;
    vit_client *t;
    canary      salt, own;
    char        path[128];
    size_t      pools = 0, i;
    (void)state;
    memset(&r, 0, sizeof r);
    memset(&own, 0, sizeof own);
    make_canary(&salt, FORM_LITERAL, ALPHABET_NAME);
    make_canary(&r.c, FORM_LITERAL, ALPHABET_NAME);
    wire_init(&w);
    o = options_of_run(&r, &w);
    o.group_salt = salt.secret;
    o.telemetry_key = r.c.secret;
    log_texts[0] = 0;
    t = vit_create(&o);
    assert_non_null(t);
    snprintf(path, sizeof path, "%s/telemetry.conf", folder);
    snprintf(own.word, sizeof own.word, "%.20s", setting_of(path, "salt"));
    assert_int_equal(strlen(own.word), 20);
    plant_group(t, "g");
    plant_hash(t, "h");
    assert_false(pools_have(&salt, &pools));
    assert_false(pools_have(&own, &pools));
    assert_false(pools_have(&r.c, &pools));
    assert_true(pools > 0 || !vit_get_stats(t).crash_surviving);
    assert_true(vit_flush(t, 5000));
    assert_true(w.count > 0);
    assert_false(wire_has(&w, &salt));
    assert_false(wire_has(&w, &own));
    for (i = 0; i < w.count; i++) {
        assert_false(has_canary(w.calls[i].body, w.calls[i].size, &r.c));
        assert_non_null(strstr(w.calls[i].headers, r.c.secret)); /* the server's own */
    }
    assert_false(folder_has("sent.ndjson", &salt) || folder_has("sent.ndjson", &own) ||
                 folder_has("sent.ndjson", &r.c));
    assert_false(folder_has("telemetry.conf", &salt) || folder_has("telemetry.conf", &r.c));
    assert_false(has_canary(log_texts, strlen(log_texts), &salt) ||
                 has_canary(log_texts, strlen(log_texts), &r.c));
    assert_true(vit_destroy(t, 1000));
    wire_free(&w);
}

/* ---- identifiers, and what is cut off -------------------------------------------------------- */

#define CANARY_ID(X) X(VIT_UUID, request_id)
VIT_EVENT_DECLARE(canary_id, CANARY_ID);
VIT_EVENT_DEFINE(canary_id, "canary.id", 1.0, CANARY_ID)

#define ID_TEXT "123e4567-e89b-12d3-a456-426614174000"

/* How the host may have written the identifier that it registers. */
static const char *const id_secrets[] = { ID_TEXT, "123E4567-E89B-12D3-A456-426614174000",
                                          "123e4567e89b12d3a456426614174000",
                                          "E89B-12d3-A456" };

/* 0: a member that the caller adds; 1: of a declared event; 2: of the op; 3: of the op, and the
   member correlation_id is another. */
static void plant_id(vit_client *t, unsigned way, const char *id)
{
    vit_op    op;
    vit_event e;
    if (way == 1) {
        assert_int_equal(vit_track_canary_id(t, &(vit_canary_id){ .request_id = id }), VIT_OK);
        return;
    }
    memset(&op, 0, sizeof op);
    assert_true(vitp_text_parse_uuid(op.correlation_id, id));
    vit_event_begin(&e, t, "canary.op", way == 0 ? NULL : &op);
    if (way != 2)
        vit_add_uuid(&e, way == 0 ? "request_id" : "correlation_id",
                     way == 0 ? id : "00000000-0000-4000-8000-000000000000");
    assert_int_equal(vit_event_send(&e), VIT_OK);
}

/* An identifier that spells a secret stays, in whatever form it would leave: by the stencil of its
   event and from the spool, too. */
static void test_identifiers(void **state)
{
    unsigned i, way, by;
    (void)state;
    for (i = 0; i < COUNT_OF(id_secrets) * 4 * 4 * 2; i++) {
        bool        spooled = i % 2;
        wire        w;
        vit_options o;
        vit_client *t;
        way = i / 2 % 4;
        by = i / 8 % 4;
        wire_init(&w);
        o = options_of(&w, NULL);
        o.data_dir = folder;
        o.wire = (vit_wire)by;
        t = vit_create(&o);
        plant_id(t, way, "00000000-e89b-12d3-9456-426614174000"); /* cuts the stencil */
        assert_true(vit_flush(t, 5000));
        assert_int_equal(vit_get_stats(t).delivered, 1);
        assert_true(vit_register_secret(t, id_secrets[i / 32], 0));
        plant_id(t, way, "00000000-e89b-12d3-9456-426614174000"); /* cuts it anew */
        plant_id(t, way, ID_TEXT);
        plant_id(t, way, "00000000-e89b-12d3-9456-426614174000");
        if (spooled) { /* what is written there has passed the gate */
            assert_true(vit_destroy(t, 0));
            t = vit_create(&o);
        }
        assert_true(vit_flush(t, 5000));
        assert_int_equal(vit_get_stats(t).delivered, spooled ? 2 : 3);
        if (!spooled) assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_SECRET], 1);
        assert_true(vit_destroy(t, 1000));
        assert_int_equal(wire_times(&w, "123e4567"), 0);
        wire_free(&w);
        folder_remove(folder);
        folder_make(folder);
    }
}

/* The folders are cut off a frame, and with them a part of the secret: the rest would not be known
   any more. */
static void test_trace_folders(void **state)
{
    wire        w;
    vit_options o;
    vit_client *t;
    vit_event   e;
    (void)state;
    wire_init(&w);
    o = options_of(&w, NULL);
    o.consent = VIT_CONSENT_VERBOSE;
    t = vit_create(&o);
    assert_true(vit_register_secret(t, "Zqacme Corp/zqfalcon.py", 0));
    vit_event_begin(&e, t, "canary.trace", NULL);
    vit_add_error(&e, "T", "m", "f",
                  "File \"/srv/a.py\", line 3, in f\n"
                  "File \"/home/x/Zqacme Corp/zqfalcon.py\", line 12, in f\n"
                  "File \"/home/x/Zqacme%20Corp%2Fzqfalcon.py\", line 13, in f\n"
                  "/srv/b.c:7\n");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_true(wire_times(&w, "a.py:3\\nb.c:7\"") > 0);
    assert_int_equal(wire_times(&w, "zqfalcon"), 0);
    assert_true(vit_destroy(t, 1000));
    wire_free(&w);
}

/* ---- two installations ----------------------------------------------------------------------- */

static const char *line_of_installation(const char *data_dir)
{
    vit_options o = options_of(NULL, NULL);
    vit_client *t;
    vit_event   e;
    const char *line;
    o.data_dir = data_dir;
    o.group_salt = "zq-project-salt";
    t = vit_create(&o);
    assert_non_null(t);
    vit_event_begin(&e, t, "canary.installation", NULL);
    vit_add_hash(&e, "host", "db-7.zqdomain.example");
    vit_add_row(&e, "record", "17");
    vit_add_group(&e, "user_id", "5f0c2a9be4d17786");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_true(vit_destroy(t, 1000));
    return line;
}

/* HASH and ROW differ between installations and GROUP does not; one that returns keeps its own. */
static void test_two_installations(void **state)
{
    char        other[96], first[2048];
    const char *second;
    (void)state;
    snprintf(other, sizeof other, "%s/other", folder);
    snprintf(first, sizeof first, "%s", line_of_installation(folder));
    second = line_of_installation(other);
    assert_hex(json_at(first, "metadata/host_hash"), 16);
    assert_hex(json_at(second, "metadata/host_hash"), 16);
    assert_hex(json_at(first, "metadata/user_id_hash"), 16);
    assert_string_not_equal(json_at(first, "metadata/host_hash"),
                            json_at(second, "metadata/host_hash"));
    assert_string_not_equal(json_at(first, "metadata/record_hash"),
                            json_at(second, "metadata/record_hash"));
    assert_string_not_equal(json_at(first, "hwid"), json_at(second, "hwid"));
    assert_string_equal(json_at(first, "metadata/user_id_hash"),
                        json_at(second, "metadata/user_id_hash"));
    second = line_of_installation(folder);
    assert_string_equal(json_at(first, "metadata/host_hash"),
                        json_at(second, "metadata/host_hash"));
    assert_string_equal(json_at(first, "hwid"), json_at(second, "hwid"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_they_would_be_found),
        TEST(test_label),
        TEST(test_text),
        TEST(test_hash),
        TEST(test_trace),
        TEST(test_frame),
        TEST(test_file),
        TEST(test_name),
        TEST(test_key),
        TEST(test_context),
        TEST(test_cut),
        TEST(test_refused),
        TEST(test_late),
        TEST(test_options),
        TEST(test_identifiers),
        TEST(test_trace_folders),
        TEST(test_two_installations),
    };
    return cmocka_run_group_tests(tests, add_sites, NULL);
}
