/*
collector.c: a telemetry backend for one machine, in one file and its page

    Build:   cc -O2 examples/collector.c -o build/examples/collector
    Run:     build/examples/collector --port 8080 --dir ./telemetry-data
    Look:    http://127.0.0.1:8080/
    Send:    curl -H 'Content-Type: application/json' -d @event.json \
                  http://127.0.0.1:8080/api/v1/telemetry
    Read:    build/examples/collector --show ./telemetry-data

A small HTTP/1.1 server for the loopback interface that stands for the real backend while a
program is developed and tested. libc and POSIX sockets, one process, one poll() loop, no thread.

    POST /api/v1/telemetry   one event, a JSON array of events, or NDJSON: 201, or 400 and why
    GET  /events             stored events as NDJSON, oldest first; ?limit=N (newest N) ?event=NAME
    GET  /stats              counts, success and durations by event name, as JSON
    GET  /                   a page that shows all of it while it happens (dashboard.html)
    GET  /live               what the page is told, as server-sent events: see "live" below
    GET  /health             {"status":"ok"}

What it keeps, all of it in the folder of --dir (0700, files 0600):

    events-YYYY-MM-DD.ndjson   every accepted event in one line, with `created_at`; one file a UTC
                               day, deleted when older than --retain-days (7 to 30)
    daily.ndjson               one line a day, event name and db_type: counts, outcome, durations
                               and an estimated total; kept --retain-aggregates-days (90 or more)

A 201 means that the operating system has the event, not that the disk has: a killed collector
loses nothing, a power cut may cost the last seconds. daily.ndjson is written every 30 s and at the
end; each line says how much of the day's file it covers (`raw_bytes`), and the next start counts
the rest. Where a line of it cannot be read, the days that have a file are counted anew.

How often each error_hash came is counted anew at the start, from the raw events that are there.

Only POST needs the key of --key: reading is for whoever may use this machine's loopback interface.
Idempotency keys are remembered in memory, so not across a restart.

To test its parts, define COLLECTOR_NO_MAIN and include this file. Everything up to the banner
"folder" takes memory and sizes and does no input or output.
*/

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX (4u << 20)     /* of one request: 413 */
#define HEAD_MAX (16u << 10)    /* request line and header fields: 431; also what chunks may add */
#define TARGET_MAX 1024         /* of the request line: 414 */
#define FIELD_MAX 255           /* of a header field whose text is kept: 400 */
#define NAME_MAX_SIZE 64        /* event_name, client_type, db_type, in bytes */
#define DEPTH_MAX 64            /* of nested arrays and objects */
#define MS_MAX 1e15             /* a duration above it is none: 1e999 has no finite value */
#define CONN_MAX 1024           /* fewer where the limit on open files is lower */
#define KEYS_MAX 4096           /* idempotency keys remembered */
#define BLOCK_SIZE (64u << 10)  /* read at once, and sent at once of a long answer */
#ifndef LINGER_MS
#define LINGER_MS 2000          /* how long a refused client may go on sending before the close */
#endif
#ifndef TURN_LINES
#define TURN_LINES 1000         /* of files, read for one client before others have their turn */
#endif
#define FLUSH_MS 30000          /* daily.ndjson */
#define RETIRE_MS 3600000       /* look for files past their time */
#ifndef ROWS_DAY_MAX
#define ROWS_DAY_MAX 512        /* lines of daily.ndjson a day; what comes on top is OTHER */
#endif
#define OTHER "(other)"         /* no event name can have these characters */
#define ERRORS_MAX 256          /* different error_hash; what comes on top is OTHER */
#define DAY_SLOTS 32            /* more than --retain-days */
#define RECENT_MAX 512          /* newest events that a page can be told of */
#define RECENT_SIZE 768         /* bytes of their metadata, else it is left out */
#define RECENT_AT_START 64      /* of those that are on disk */
#define RATE_SECONDS 120        /* events a second, so far back */
#define DAYS_SHOWN 90           /* events a day, so far back */
#ifndef LIVE_MAX
#define LIVE_MAX 16             /* pages at once: 503 */
#endif
#define LIVE_ROOM (128 << 10)   /* in the system, so that a slow page is told of now, not of then */
#define FRAME_MS 100            /* between two frames for a page: 10 a second at most */
#ifndef BEAT_MS
#define BEAT_MS 5000            /* a frame even when nothing happened */
#endif
#define KEPT_MS 2000            /* how often a page is told what is kept */

#if defined(__GNUC__)
#define PRINTF_LIKE(text_at, first) __attribute__((format(printf, text_at, first)))
#else
#define PRINTF_LIKE(text_at, first)
#endif

#include "dashboard.h"

/* == text: a growing buffer ================================================================== */

/* `failed` stays set once memory ran out, so that only the end of a chain of calls looks at it. */
typedef struct text { char *data; size_t size, room; bool failed; } text;

static void text_free(text *t)
{
    free(t->data);
    memset(t, 0, sizeof *t);
}

/* text_clear: empties; small memory is kept for the next use. */
static void text_clear(text *t)
{
    if (t->room > BLOCK_SIZE) text_free(t);
    t->size = 0;
    t->failed = false;
}

static bool text_reserve(text *t, size_t more)
{
    if (more <= t->room - t->size) return true;
    if (t->failed || more > SIZE_MAX / 4 - t->size) return !(t->failed = true);
    size_t room = t->room ? t->room : 256;
    while (room - t->size < more) room *= 2;
    char *data = realloc(t->data, room);
    if (!data) return !(t->failed = true);
    t->data = data;
    t->room = room;
    return true;
}

static void text_add(text *t, const char *data, size_t size)
{
    if (size == 0 || !text_reserve(t, size)) return;
    memcpy(t->data + t->size, data, size);
    t->size += size;
}

static void text_puts(text *t, const char *s) { text_add(t, s, strlen(s)); }

/* text_printf: for short things, 511 bytes at most. */
PRINTF_LIKE(2, 3)
static void text_printf(text *t, const char *format, ...)
{
    char line[512];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (size > 0) text_add(t, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

/* text_quote: UTF-8 text as a JSON string. */
static void text_quote(text *t, const char *s)
{
    text_puts(t, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') text_printf(t, "\\%c", *s);
        else if ((unsigned char)*s < 0x20) text_printf(t, "\\u%04x", (unsigned)*s);
        else text_add(t, s, 1);
    }
    text_puts(t, "\"");
}

/* text_drop: removes the first `size` bytes. */
static void text_drop(text *t, size_t size)
{
    if (size == 0) return;
    memmove(t->data, t->data + size, t->size - size);
    t->size -= size;
}

/* == characters ============================================================================== */

static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
static bool is_alnum(int c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }

static int hex_value(int c)
{
    if (is_digit(c)) return c - '0';
    return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

/* same_text: without regard to case; `word` is lower case. */
static bool same_text(const char *s, size_t size, const char *word)
{
    if (size != strlen(word)) return false;
    for (size_t i = 0; i < size; i++)
        if (lower(s[i]) != word[i]) return false;
    return true;
}

/* utf8_decode: bytes of the character at s, 0 when it is none (overlong, surrogate, cut). */
static size_t utf8_decode(const char *s, size_t size, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*s;
    size_t length = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : (c & 0xF0) == 0xE0 ? 3
                  : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    if (length == 0 || length > size) return 0;
    *code = length == 1 ? c : c & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)s[i] & 0xC0) != 0x80) return 0;
        *code = *code << 6 | ((unsigned char)s[i] & 0x3F);
    }
    bool surrogate = *code >= 0xD800 && *code < 0xE000;
    return *code < least[length] || surrogate || *code > 0x10FFFF ? 0 : length;
}

static size_t utf8_encode(uint32_t code, char out[4])
{
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length; i-- > 1; code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(lead[length] | code);
    return length;
}

/* == json: a strict reader (RFC 8259) that copies without white space ======================== */

/* `copy` (may be NULL) gets every token that was read. `error` is set once and ends all reading. */
typedef struct json { const char *text; size_t size, at; text *copy; const char *error; } json;

/* The start of a string's decoded text: whole characters, NAME_MAX_SIZE bytes at most and a NUL.
   `full` is the size of all of it. */
typedef struct decoded { char text[NAME_MAX_SIZE + 1]; size_t size, full; } decoded;

/* A value: kind is one of " 0 t f n { [ and the member for it is filled. */
typedef struct json_item { char kind; double number; decoded string; } json_item;

static bool json_fail(json *j, const char *why)
{
    if (!j->error) j->error = why;
    return false;
}

/* json_peek: the first byte that is no white space, -1 at the end. */
static int json_peek(json *j)
{
    while (j->at < j->size && memchr(" \t\r\n", j->text[j->at], 4)) j->at++;
    return j->at < j->size ? (unsigned char)j->text[j->at] : -1;
}

/* json_took: the bytes from `from` up to here were a token. */
static bool json_took(json *j, size_t from)
{
    if (j->copy) text_add(j->copy, j->text + from, j->at - from);
    return true;
}

static bool json_expect(json *j, char c)
{
    if (json_peek(j) != c) return json_fail(j, "a character that does not belong, or the end");
    j->at++;
    return json_took(j, j->at - 1);
}

static bool json_hex4(json *j, uint32_t *code)
{
    *code = 0;
    if (j->size - j->at < 4) return json_fail(j, "a cut escape");
    for (int i = 0; i < 4; i++, j->at++) {
        int digit = hex_value(j->text[j->at]);
        if (digit < 0) return json_fail(j, "an escape that is none");
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

/* json_surrogate: the second half of a pair whose first is *code. */
static bool json_surrogate(json *j, uint32_t *code)
{
    uint32_t low;
    if (*code >= 0xDC00) return json_fail(j, "half a surrogate pair");
    if (j->size - j->at < 2 || memcmp(j->text + j->at, "\\u", 2) != 0)
        return json_fail(j, "half a surrogate pair");
    j->at += 2;
    if (!json_hex4(j, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return json_fail(j, "half a surrogate pair");
    *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

/* json_escape: at the backslash. */
static bool json_escape(json *j, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (j->size - j->at < 2) return json_fail(j, "a cut escape");
    char c = j->text[j->at + 1];
    const char *found = c ? strchr(names, c) : NULL;
    j->at += 2;
    if (found) {
        *code = (unsigned char)values[found - names];
        return true;
    }
    if (c != 'u') return json_fail(j, "an escape that is none");
    if (!json_hex4(j, code)) return false;
    return *code < 0xD800 || *code > 0xDFFF || json_surrogate(j, code);
}

static void decoded_add(decoded *d, uint32_t code)
{
    char bytes[4];
    size_t size = utf8_encode(code, bytes);
    if (d->size == d->full && d->size + size <= NAME_MAX_SIZE) {
        memcpy(d->text + d->size, bytes, size);
        d->size += size;
    }
    d->full += size;
}

static bool json_character(json *j, uint32_t *code)
{
    unsigned char c = (unsigned char)j->text[j->at];
    if (c < 0x20) return json_fail(j, "a control character in a string");
    if (c == '\\') return json_escape(j, code);
    size_t length = utf8_decode(j->text + j->at, j->size - j->at, code);
    if (length == 0) return json_fail(j, "a string that is not UTF-8");
    j->at += length;
    return true;
}

static bool json_string(json *j, decoded *d)
{
    memset(d, 0, sizeof *d);
    if (json_peek(j) != '"') return json_fail(j, "no string where one must be");
    size_t from = j->at++;
    while (j->at < j->size) {
        uint32_t code;
        if (j->text[j->at] == '"') {
            j->at++;
            return json_took(j, from);
        }
        if (!json_character(j, &code)) return false;
        decoded_add(d, code);
    }
    return json_fail(j, "a string without end");
}

/* json_digits: one or more. */
static bool json_digits(json *j)
{
    size_t from = j->at;
    while (j->at < j->size && is_digit(j->text[j->at])) j->at++;
    return j->at > from || json_fail(j, "a number that is none");
}

static bool json_is(const json *j, const char *set)
{
    return j->at < j->size && j->text[j->at] && strchr(set, j->text[j->at]);
}

/* json_number: its value is 0 when it is longer than a number has any reason to be. */
static bool json_number(json *j, double *value)
{
    char copy[64] = "0";
    size_t from = j->at;
    if (json_is(j, "-")) j->at++;
    if (json_is(j, "0")) j->at++;
    else if (!json_digits(j)) return false;
    if (json_is(j, ".") && (j->at++, !json_digits(j))) return false;
    if (json_is(j, "eE")) {
        j->at++;
        if (json_is(j, "+-")) j->at++;
        if (!json_digits(j)) return false;
    }
    if (j->at - from < sizeof copy) {
        memcpy(copy, j->text + from, j->at - from);
        copy[j->at - from] = 0;
    }
    *value = strtod(copy, NULL);
    return json_took(j, from);
}

static bool json_word(json *j, const char *word)
{
    size_t size = strlen(word), from = j->at;
    if (j->size - j->at < size || memcmp(j->text + j->at, word, size) != 0)
        return json_fail(j, "a word that is no value");
    j->at += size;
    return json_took(j, from);
}

static bool json_scalar(json *j, json_item *v)
{
    int c = json_peek(j);
    v->kind = c == '-' || is_digit(c) ? '0' : (char)c;
    switch (v->kind) {
    case '"': return json_string(j, &v->string);
    case '0': return json_number(j, &v->number);
    case 't': return json_word(j, "true");
    case 'f': return json_word(j, "false");
    case 'n': return json_word(j, "null");
    default: return json_fail(j, "no value where one must be");
    }
}

/* json_member: the next key of an open object, with its colon; false at the end or an error. */
static bool json_member(json *j, bool *first, decoded *key)
{
    if (j->error) return false;
    if (json_peek(j) == '}') return !json_expect(j, '}');
    if (!*first && !json_expect(j, ',')) return false;
    *first = false;
    return json_string(j, key) && json_expect(j, ':');
}

/* json_element: whether another element of an open array follows. */
static bool json_element(json *j, bool *first)
{
    if (j->error) return false;
    if (json_peek(j) == ']') return !json_expect(j, ']');
    if (!*first && !json_expect(j, ',')) return false;
    *first = false;
    return true;
}

/* json_read: any value. What is in an array or object is checked and copied, not kept; a stack of
   brackets instead of recursion, so that hostile nesting costs 64 bytes. */
static bool json_read(json *j, json_item *v)
{
    char stack[DEPTH_MAX];
    size_t depth = 0;
    bool first = false;
    decoded key;
    json_item inner, *item = v;
    do {
        int c = json_peek(j);
        if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX) return json_fail(j, "more levels than are allowed");
            item->kind = stack[depth++] = (char)c;
            if (!json_expect(j, (char)c)) return false;
            first = true;
        } else if (!json_scalar(j, item)) {
            return false;
        }
        item = &inner;
        while (depth > 0 && !(stack[depth - 1] == '{' ? json_member(j, &first, &key)
                                                      : json_element(j, &first))) {
            if (j->error) return false;
            depth--;
            first = false;
        }
    } while (depth > 0);
    return true;
}

/* json_end: nothing but white space may follow. */
static bool json_end(json *j)
{
    return json_peek(j) < 0 || json_fail(j, "something after the end");
}

/* == envelope: what an event must look like ================================================== */

/* What the collector itself reads of an event. metadata stands at `metadata_at` of what was copied,
   or of the input when nothing was. Texts are "" when there is none. */
typedef struct event {
    char name[NAME_MAX_SIZE + 1], db_type[NAME_MAX_SIZE + 1];
    char error_hash[NAME_MAX_SIZE + 1], exception[NAME_MAX_SIZE + 1], created_at[32];
    int success;                                                /* 1, 0, or -1: not said */
    double duration_ms, sampling_rate;                          /* -1: not said; 1 */
    double occurrences;                                         /* of error.repeated; 1 */
    size_t metadata_at, metadata_size;
} event;

/* Why a body was refused: the member, what is wrong, and which event of a batch (-1: no batch). */
typedef struct fault { char field[NAME_MAX_SIZE + 16]; char message[160]; long index; } fault;

/* Many events of one request: lines as they are stored, and what was read of each. */
typedef struct batch { text lines; event *events; size_t count, room; } batch;

enum { HWID, EVENT_NAME, APP_VERSION, CLIENT_TYPE, METADATA, CREATED_AT, ENVELOPE_COUNT };

static const struct { const char *name, *rule; } envelope[ENVELOPE_COUNT] = {
    {"hwid", "must be a UUID: 8-4-4-4-12 hexadecimal digits"},
    {"event_name", "must be 1 to 64 of A-Z a-z 0-9 _ and ."},
    {"app_version", "must be a string"},
    {"client_type", "must be a string of 1 to 64 bytes"},
    {"metadata", "must be an object"},
    {"created_at", ""},
};

static bool fault_set(fault *f, const char *field, const char *message)
{
    snprintf(f->field, sizeof f->field, "%s", field);
    snprintf(f->message, sizeof f->message, "%s", message);
    return false;
}

/* fault_json: true when the reader met no error. */
static bool fault_json(fault *f, const json *j)
{
    if (!j->error) return true;
    fault_set(f, "body", "");
    snprintf(f->message, sizeof f->message, "is not JSON: %s, at byte %zu", j->error, j->at);
    return false;
}

static bool is_uuid(const char *s, size_t size)
{
    if (size != 36) return false;
    for (size_t i = 0; i < size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : hex_value(s[i]) < 0) return false;
    }
    return true;
}

static bool is_event_name(const char *s, size_t size)
{
    if (size < 1 || size > NAME_MAX_SIZE) return false;
    for (size_t i = 0; i < size; i++)
        if (!is_alnum(s[i]) && s[i] != '_' && s[i] != '.') return false;
    return true;
}

static bool key_is(const decoded *key, const char *name)
{
    return key->full == strlen(name) && memcmp(key->text, name, key->full) == 0;
}

/* envelope_find: which member it is, ENVELOPE_COUNT for none. */
static int envelope_find(const decoded *key)
{
    int i = 0;
    while (i < ENVELOPE_COUNT && !key_is(key, envelope[i].name)) i++;
    return i;
}

/* event_note: the members of metadata that the statistics are made of; the first one counts. */
static void event_note(event *e, const decoded *key, const json_item *v)
{
    bool duration = key_is(key, "latency_ms") || key_is(key, "duration_ms");
    if (v->kind == '0' && v->number >= 0 && v->number <= MS_MAX && duration && e->duration_ms < 0)
        e->duration_ms = v->number;
    if (v->kind == '0' && key_is(key, "sampling_rate") && v->number >= 1e-6 && v->number <= 1)
        e->sampling_rate = v->number;
    if ((v->kind == 't' || v->kind == 'f') && key_is(key, "success") && e->success < 0)
        e->success = v->kind == 't';
    if (v->kind == '0' && key_is(key, "occurrences") && v->number >= 1 && v->number <= 1e12)
        e->occurrences = v->number;
    if (v->kind != '"') return;
    char *kept = key_is(key, "db_type") ? e->db_type : key_is(key, "error_hash") ? e->error_hash
               : key_is(key, "exception_type") ? e->exception : NULL;
    if (kept && !kept[0]) memcpy(kept, v->string.text, sizeof e->db_type);
}

/* json_here: in what was copied, or in the input when nothing is. */
static size_t json_here(const json *j) { return j->copy ? j->copy->size : j->at; }

static bool metadata_read(json *j, event *e, fault *f)
{
    bool first = true;
    decoded key;
    json_item v;
    if (json_peek(j) != '{') return fault_set(f, "metadata", envelope[METADATA].rule);
    e->metadata_at = json_here(j);
    json_expect(j, '{');
    while (json_member(j, &first, &key)) {
        int which = envelope_find(&key);
        if (which < METADATA) {
            fault_set(f, "", "belongs to the envelope, not into metadata");
            snprintf(f->field, sizeof f->field, "metadata.%s", envelope[which].name);
            return false;
        }
        if (json_read(j, &v)) event_note(e, &key, &v);
    }
    e->metadata_size = json_here(j) - e->metadata_at;
    return fault_json(f, j);
}

/* envelope_value: reads the value of one member and says whether it is as it must be. */
static bool envelope_value(json *j, int which, event *e, fault *f)
{
    json_item v = {0};
    if (which == METADATA) return metadata_read(j, e, f);
    if (!json_read(j, &v)) return fault_json(f, j);
    const decoded *d = &v.string;
    bool good = v.kind == '"';
    if (which == HWID) good = good && d->size == d->full && is_uuid(d->text, d->size);
    if (which == EVENT_NAME) good = good && is_event_name(d->text, d->full);
    if (which == CLIENT_TYPE) good = good && d->full >= 1 && d->full <= NAME_MAX_SIZE;
    if (which == EVENT_NAME && good) memcpy(e->name, d->text, sizeof e->name);
    if (which == CREATED_AT && good && d->size == d->full && d->size < sizeof e->created_at)
        memcpy(e->created_at, d->text, d->size + 1);
    return good || fault_set(f, envelope[which].name, envelope[which].rule);
}

/* envelope_read: one event. `stored` events come from our own files and have created_at as well. */
static bool envelope_read(json *j, bool stored, event *e, fault *f)
{
    bool first = true, seen[ENVELOPE_COUNT] = {false};
    int last = stored ? CREATED_AT : METADATA;
    decoded key;
    memset(e, 0, sizeof *e);
    e->success = -1;
    e->duration_ms = -1;
    e->sampling_rate = e->occurrences = 1;
    if (json_peek(j) != '{') return fault_set(f, "body", "must be an event, which is an object");
    json_expect(j, '{');
    while (json_member(j, &first, &key)) {
        int which = envelope_find(&key);
        if (which > last) return fault_set(f, key.text, "is not a member of an event");
        if (seen[which]) return fault_set(f, key.text, "is there twice");
        seen[which] = true;
        if (!envelope_value(j, which, e, f)) return false;
    }
    if (!fault_json(f, j)) return false;
    for (int i = 0; i <= last; i++)
        if (!seen[i]) return fault_set(f, envelope[i].name, "is missing");
    return true;
}

/* stored_read: a line of one of our own files. */
static bool stored_read(const char *line, size_t size, event *e)
{
    fault ignored;
    json j = {line, size, 0, NULL, NULL};
    return envelope_read(&j, true, e, &ignored) && json_end(&j);
}

static void batch_free(batch *b)
{
    text_free(&b->lines);
    free(b->events);
    memset(b, 0, sizeof *b);
}

static bool batch_reserve(batch *b)
{
    if (b->count < b->room) return true;
    size_t room = b->room ? b->room * 2 : 8;
    event *events = realloc(b->events, room * sizeof *events);
    if (!events) return !(b->lines.failed = true);
    b->events = events;
    b->room = room;
    return true;
}

/* batch_add: reads one event and makes its line: turns {...} into {...,"created_at":"..."}\n */
static bool batch_add(batch *b, json *j, const char *created_at, fault *f)
{
    if (!batch_reserve(b)) return false;
    j->copy = &b->lines;
    bool good = envelope_read(j, false, &b->events[b->count], f);
    j->copy = NULL;
    if (!good || b->lines.failed) return false;
    b->lines.size--;
    text_printf(&b->lines, ",\"created_at\":\"%s\"}\n", created_at);
    snprintf(b->events[b->count].created_at, sizeof b->events->created_at, "%s", created_at);
    b->count++;
    return true;
}

static bool batch_array(batch *b, json *j, const char *created_at, fault *f)
{
    bool first = true;
    json_expect(j, '[');
    for (f->index = 0; json_element(j, &first); f->index++)
        if (!batch_add(b, j, created_at, f)) return false;
    return fault_json(f, j);
}

static bool batch_ndjson(batch *b, const char *body, size_t size, const char *created_at, fault *f)
{
    f->index = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(body + at, '\n', size - at);
        json j = {body, end ? (size_t)(end - body) : size, at, NULL, NULL};
        at = j.size + 1;
        if (json_peek(&j) < 0) continue;
        if (!batch_add(b, &j, created_at, f)) return false;
        json_end(&j);
        if (!fault_json(f, &j)) return false;
        f->index++;
    }
    return true;
}

/* batch_read: a whole body. False: *f says why, or b->lines.failed that memory ran out. */
static bool batch_read(batch *b, const char *body, size_t size, bool ndjson, const char *created_at,
                       fault *f)
{
    json j = {body, size, 0, NULL, NULL};
    bool good;
    memset(f, 0, sizeof *f);
    f->index = -1;
    if (json_peek(&j) < 0) return fault_set(f, "body", "is empty");
    if (ndjson) good = batch_ndjson(b, body, size, created_at, f);
    else if (json_peek(&j) == '[') good = batch_array(b, &j, created_at, f);
    else good = batch_add(b, &j, created_at, f);
    if (!good || b->lines.failed) return false;
    if (!ndjson && !json_end(&j)) return fault_json(f, &j);
    return b->count > 0 || fault_set(f, "body", "has no event");
}

/* == histogram of durations ================================================================== */

/* Whole milliseconds below 32 have a bucket each, above every doubling has 16: 464 buckets up to
   2^32 ms. A percentile is the middle of its bucket, so at most 1/32 (3.2 %) from the true value
   and exact below 32 ms but for the fraction. Two histograms are merged by adding them. */
enum { HIST_EXACT = 32, HIST_STEPS = 16, HIST_BUCKETS = HIST_EXACT + 27 * HIST_STEPS };

typedef struct hist { uint32_t bucket[HIST_BUCKETS]; uint64_t total; } hist;

static size_t hist_index(double ms)
{
    uint32_t v = ms >= 4294967295.0 ? UINT32_MAX : ms > 0 ? (uint32_t)ms : 0;
    size_t exponent = 5;
    if (v < HIST_EXACT) return v;
    while (v >> exponent > 1) exponent++;
    return HIST_EXACT + (exponent - 5) * HIST_STEPS + ((v >> (exponent - 4)) & (HIST_STEPS - 1));
}

/* hist_middle: what a bucket stands for. */
static double hist_middle(size_t index)
{
    if (index < HIST_EXACT) return (double)index;
    size_t shift = (index - HIST_EXACT) / HIST_STEPS + 1;
    uint64_t mantissa = HIST_STEPS + (index - HIST_EXACT) % HIST_STEPS;
    return (double)(mantissa << shift) + (double)(UINT64_C(1) << shift) / 2;
}

static void hist_add(hist *h, size_t index, uint64_t count)
{
    uint64_t sum = h->bucket[index] + count;
    h->bucket[index] = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
    h->total += count;
}

static void hist_merge(hist *into, const hist *from)
{
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        if (from->bucket[i]) hist_add(into, i, from->bucket[i]);
}

/* hist_percentile: by nearest rank; 0 when nothing was counted. */
static double hist_percentile(const hist *h, unsigned percent)
{
    uint64_t rank = h->total / 100 * percent + (h->total % 100 * percent + 99) / 100, sum = 0;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        sum += h->bucket[i];
        if (sum >= rank && sum > 0) return hist_middle(i);
    }
    return 0;
}

/* == days ==================================================================================== */

/* A day is its number since 1970-01-01, UTC. */

static void day_text(long day, char out[11])
{
    time_t t = (time_t)day * 86400;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 11, "%Y-%m-%d", &tm)) memcpy(out, "1970-01-01", 11);
}

/* day_parse: "2025-01-31" at the start of s; what comes after does not matter. */
static bool day_parse(const char *s, long *day)
{
    char back[11];
    long n[3] = {0, 0, 0};
    for (int i = 0, part = 0; i < 10; i++) {
        if (i == 4 || i == 7) {
            if (s[i] != '-') return false;
            part++;
        } else {
            if (!is_digit(s[i])) return false;
            n[part] = n[part] * 10 + (s[i] - '0');
        }
    }
    if (n[0] < 1970 || n[1] < 1 || n[1] > 12) return false;
    long y = n[0] - (n[1] <= 2), m = (n[1] + 9) % 12;   /* years from March: leap days come last */
    *day = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + n[2] - 1 - 719468;
    day_text(*day, back);
    return memcmp(back, s, 10) == 0;
}

static void created_text(int64_t now_ms, char out[32])
{
    time_t t = (time_t)(now_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm)) out[0] = 0;
    size_t size = strlen(out);
    snprintf(out + size, 32 - size, ".%03dZ", (int)(now_ms % 1000));
}

/* == aggregates: counts a day, event name and db_type ======================================== */

typedef struct row {
    long day;
    char event[NAME_MAX_SIZE + 1], db_type[NAME_MAX_SIZE + 1];
    uint64_t count, success_true, success_false;
    uint64_t raw_bytes;     /* of the day's file, which this line knows of              */
    double estimated;       /* sum of 1/sampling_rate: how many there were before sampling */
    double max_ms;
    uint64_t version;       /* of the store, when it changed; only in the sums over all days */
    hist durations;
} row;

/* Rows in the order of days. */
typedef struct table { row **rows; size_t count, room; } table;

static void table_free(table *t)
{
    for (size_t i = 0; i < t->count; i++) free(t->rows[i]);
    free(t->rows);
    memset(t, 0, sizeof *t);
}

static row *table_insert(table *t, size_t at, long day, const char *name, const char *db_type)
{
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 64;
        row **rows = realloc(t->rows, room * sizeof *rows);
        if (!rows) return NULL;
        t->rows = rows;
        t->room = room;
    }
    row *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    memmove(t->rows + at + 1, t->rows + at, (t->count - at) * sizeof *t->rows);
    t->rows[at] = r;
    t->count++;
    r->day = day;
    snprintf(r->event, sizeof r->event, "%s", name);
    snprintf(r->db_type, sizeof r->db_type, "%s", db_type);
    return r;
}

/* table_row: finds or makes the row; NULL only when memory ran out. */
static row *table_row(table *t, long day, const char *name, const char *db_type)
{
    size_t end = t->count, same_day = 0;
    while (end > 0 && t->rows[end - 1]->day > day) end--;
    for (size_t i = end; i-- > 0 && t->rows[i]->day == day; same_day++) {
        row *r = t->rows[i];
        if (strcmp(r->event, name) == 0 && strcmp(r->db_type, db_type) == 0) return r;
    }
    if (same_day >= ROWS_DAY_MAX && strcmp(name, OTHER) != 0) {
        name = OTHER;
        db_type = "";
        for (size_t i = end; i-- > 0 && t->rows[i]->day == day;)
            if (strcmp(t->rows[i]->event, OTHER) == 0) return t->rows[i];
    }
    return table_insert(t, end, day, name, db_type);
}

static void row_count(row *r, const event *e)
{
    r->count++;
    r->success_true += e->success == 1;
    r->success_false += e->success == 0;
    r->estimated += 1 / e->sampling_rate;
    if (e->duration_ms >= 0) hist_add(&r->durations, hist_index(e->duration_ms), 1);
    if (e->duration_ms > r->max_ms) r->max_ms = e->duration_ms;
}

/* table_count: one event more; `raw_bytes` is the size of the day's file with it. */
static bool table_count(table *t, long day, const event *e, uint64_t raw_bytes)
{
    row *r = table_row(t, day, e->name, e->db_type);
    if (!r) return false;
    row_count(r, e);
    r->raw_bytes = raw_bytes;
    return true;
}

/* table_forget: all of a day. */
static void table_forget(table *t, long day)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i]->day == day) free(t->rows[i]);
        else t->rows[kept++] = t->rows[i];
    t->count = kept;
}

static void row_merge(row *into, const row *from)
{
    into->count += from->count;
    into->success_true += from->success_true;
    into->success_false += from->success_false;
    into->estimated += from->estimated;
    if (from->max_ms > into->max_ms) into->max_ms = from->max_ms;
    hist_merge(&into->durations, &from->durations);
}

/* row_percentile: no percentile is above the greatest value. */
static double row_percentile(const row *r, unsigned percent)
{
    double value = hist_percentile(&r->durations, percent);
    return value > r->max_ms ? r->max_ms : value;
}

/* row_numbers: the members that daily.ndjson and /stats have in common. */
static void row_numbers(text *out, const row *r)
{
    text_printf(out, "\"count\":%" PRIu64 ",\"success_true\":%" PRIu64 ",\"success_false\":%" PRIu64
                ",\"estimated_total\":%.15g,\"duration_count\":%" PRIu64, r->count,
                r->success_true, r->success_false, r->estimated, r->durations.total);
    if (r->durations.total == 0)
        text_puts(out, ",\"p50_ms\":null,\"p95_ms\":null,\"p99_ms\":null,\"max_ms\":null");
    else
        text_printf(out, ",\"p50_ms\":%.15g,\"p95_ms\":%.15g,\"p99_ms\":%.15g,\"max_ms\":%.15g",
                    row_percentile(r, 50), row_percentile(r, 95), row_percentile(r, 99),
                    r->max_ms);
}

/* row_write: a line of daily.ndjson. */
static void row_write(text *out, const row *r)
{
    char day[11];
    const char *comma = "";
    day_text(r->day, day);
    text_printf(out, "{\"day\":\"%s\",\"event_name\":\"%s\",\"db_type\":", day, r->event);
    if (r->db_type[0]) text_quote(out, r->db_type);
    else text_puts(out, "null");
    text_puts(out, ",");
    row_numbers(out, r);
    text_puts(out, ",\"histogram\":{");
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        if (r->durations.bucket[i] == 0) continue;
        text_printf(out, "%s\"%zu\":%" PRIu32, comma, i, r->durations.bucket[i]);
        comma = ",";
    }
    text_printf(out, "},\"raw_bytes\":%" PRIu64 "}\n", r->raw_bytes);
}

static uint64_t count_of(const json_item *v)
{
    return v->kind == '0' && v->number >= 0 && v->number < 9e15 ? (uint64_t)v->number : 0;
}

static void row_read_histogram(json *j, row *r)
{
    bool first = true;
    decoded key;
    json_item v;
    json_expect(j, '{');
    while (json_member(j, &first, &key)) {
        unsigned long index = strtoul(key.text, NULL, 10);
        if (json_read(j, &v) && is_digit(key.text[0]) && index < HIST_BUCKETS)
            hist_add(&r->durations, index, count_of(&v));
    }
}

static void row_read_member(row *r, const decoded *key, const json_item *v)
{
    static const struct { const char *name; size_t offset; } counts[] = {
        {"count", offsetof(row, count)}, {"success_true", offsetof(row, success_true)},
        {"success_false", offsetof(row, success_false)}, {"raw_bytes", offsetof(row, raw_bytes)}};
    uint64_t n = count_of(v);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (key_is(key, counts[i].name)) memcpy((char *)r + counts[i].offset, &n, sizeof n);
    if (v->kind == '0' && key_is(key, "estimated_total") && v->number < 1e300)
        r->estimated = v->number;
    if (v->kind == '0' && key_is(key, "max_ms") && v->number <= MS_MAX) r->max_ms = v->number;
    if (v->kind != '"') return;
    if (key_is(key, "day") && !day_parse(v->string.text, &r->day)) r->day = 0;
    if (key_is(key, "event_name")) memcpy(r->event, v->string.text, sizeof r->event);
    if (key_is(key, "db_type")) memcpy(r->db_type, v->string.text, sizeof r->db_type);
}

/* row_read: a line that row_write made; false when it is anything else. */
static bool row_read(const char *line, size_t size, row *r)
{
    json j = {line, size, 0, NULL, NULL};
    bool first = true;
    decoded key;
    json_item v;
    memset(r, 0, sizeof *r);
    if (!json_expect(&j, '{')) return false;
    while (json_member(&j, &first, &key)) {
        if (key_is(&key, "histogram")) row_read_histogram(&j, r);
        else if (json_read(&j, &v)) row_read_member(r, &key, &v);
    }
    bool named = is_event_name(r->event, strlen(r->event)) || strcmp(r->event, OTHER) == 0;
    return !j.error && json_end(&j) && r->day > 0 && r->count > 0 && named;
}

static int row_by_name(const void *a, const void *b)
{
    return strcmp((*(row *const *)a)->event, (*(row *const *)b)->event);
}

/* stats_write: the answer to GET /stats, over all days that are kept. False: no memory. */
static bool stats_write(text *out, const table *t)
{
    uint64_t total = 0;
    row **rows = malloc((t->count + 1) * sizeof *rows), *sum = malloc(sizeof *sum);
    const char *comma = "";
    char since[16] = "null", day[11];
    if (!rows || !sum) return free(rows), free(sum), false;
    for (size_t i = 0; i < t->count; i++) total += (rows[i] = t->rows[i])->count;
    if (t->count) day_text(t->rows[0]->day, day), snprintf(since, sizeof since, "\"%s\"", day);
    qsort(rows, t->count, sizeof *rows, row_by_name);
    text_printf(out, "{\"total\":%" PRIu64 ",\"since\":%s,\"events\":{", total, since);
    for (size_t i = 0; i < t->count; comma = ",") {
        size_t from = i;
        memset(sum, 0, sizeof *sum);
        while (i < t->count && row_by_name(&rows[from], &rows[i]) == 0) row_merge(sum, rows[i++]);
        text_printf(out, "%s\"%s\":{", comma, rows[from]->event);
        row_numbers(out, sum);
        text_puts(out, "}");
    }
    text_puts(out, "}}\n");
    free(rows);
    free(sum);
    return !out->failed;
}

/* == errors: how often each error_hash came ================================================== */

typedef struct error_row {
    char hash[NAME_MAX_SIZE + 1], event[NAME_MAX_SIZE + 1], exception[NAME_MAX_SIZE + 1];
    char last[32];                  /* created_at of the newest      */
    uint64_t by_day[DAY_SLOTS];     /* at day % DAY_SLOTS            */
    uint64_t count, version;        /* sum of by_day; of the store   */
} error_row;

typedef struct errors { error_row rows[ERRORS_MAX]; size_t count; } errors;

/* errors_row: finds or makes it; the last place is kept for OTHER. */
static error_row *errors_row(errors *t, const char *hash)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < t->count; i++)
            if (strcmp(t->rows[i].hash, hash) == 0) return &t->rows[i];
        if (t->count < ERRORS_MAX - 1) break;
        hash = OTHER;
    }
    error_row *r = &t->rows[t->count++];
    memset(r, 0, sizeof *r);
    snprintf(r->hash, sizeof r->hash, "%s", hash);
    return r;
}

/* errors_count: an event error.repeated stands for as many as it says, any other for itself. */
static void errors_count(errors *t, long day, const event *e, uint64_t version)
{
    bool repeated = strcmp(e->name, "error.repeated") == 0;
    uint64_t n = repeated ? (uint64_t)e->occurrences : 1;
    if (!e->error_hash[0]) return;
    error_row *r = errors_row(t, e->error_hash);
    r->by_day[(unsigned long)day % DAY_SLOTS] += n;
    r->count += n;
    r->version = version;
    if (strcmp(e->created_at, r->last) > 0) memcpy(r->last, e->created_at, sizeof r->last);
    if (repeated && r->event[0]) return;
    memcpy(r->event, e->name, sizeof r->event);
    memcpy(r->exception, e->exception, sizeof r->exception);
}

/* errors_forget: a day whose raw file is gone. */
static void errors_forget(errors *t, long day)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        error_row *r = &t->rows[i];
        r->count -= r->by_day[(unsigned long)day % DAY_SLOTS];
        r->by_day[(unsigned long)day % DAY_SLOTS] = 0;
        if (r->count > 0 && kept++ != i) t->rows[kept - 1] = *r;
    }
    t->count = kept;
}

/* == recent: the newest events ================================================================ */

typedef struct recent {
    char name[NAME_MAX_SIZE + 1], created_at[32], metadata[RECENT_SIZE];
    int success;
    double duration_ms;
    size_t size;                    /* of metadata, 0: it is longer */
} recent;

/* The number `n` stands at n % RECENT_MAX; numbers are versions of the store. */
typedef struct recents { recent ring[RECENT_MAX]; uint64_t first, last; } recents;

/* recents_add: numbers follow each other. Metadata has no line end, unless a file was edited. */
static void recents_add(recents *r, uint64_t number, const event *e, const char *metadata)
{
    recent *to = &r->ring[number % RECENT_MAX];
    memcpy(to->name, e->name, sizeof to->name);
    memcpy(to->created_at, e->created_at, sizeof to->created_at);
    to->success = e->success;
    to->duration_ms = e->duration_ms;
    to->size = e->metadata_size <= RECENT_SIZE ? e->metadata_size : 0;
    if (memchr(metadata, '\r', to->size)) to->size = 0;
    memcpy(to->metadata, metadata, to->size);
    if (r->first == 0) r->first = number;
    if (number >= r->first + RECENT_MAX) r->first = number - RECENT_MAX + 1;
    r->last = number;
}

/* Events in each of the last seconds; second n stands at n % RATE_SECONDS. */
typedef struct rate { uint32_t count[RATE_SECONDS]; int64_t second; } rate;

static void rate_add(rate *r, int64_t second, size_t count)
{
    if (second - r->second >= RATE_SECONDS || second < r->second)
        memset(r, 0, sizeof *r), r->second = second;
    while (r->second < second) r->count[++r->second % RATE_SECONDS] = 0;
    r->count[second % RATE_SECONDS] += (uint32_t)count;
}

/* == http: request heads and chunks ========================================================== */

enum body_type { TYPE_NONE, TYPE_JSON, TYPE_NDJSON, TYPE_OTHER };

/* What the collector wants to know of a request; `seen` has a bit for each field of http_fields. */
typedef struct http_head {
    char method[16], target[TARGET_MAX + 1];
    char host[FIELD_MAX + 1], key[FIELD_MAX + 1], idempotency[FIELD_MAX + 1];
    bool old, close, keep_alive, chunked, expect, has_length;      /* old: HTTP/1.0 */
    enum body_type type;
    uint64_t length;
    unsigned seen;
} http_head;

/* http_head_size: bytes of a head that is complete, with its empty line; 0: not yet complete.
   *scanned remembers where the search stopped. A lone LF ends it too: then http_parse refuses. */
static size_t http_head_size(const char *data, size_t size, size_t *scanned)
{
    size_t at = *scanned;
    while (at < size) {
        const char *end = memchr(data + at, '\n', size - at);
        if (!end) return *scanned = size, 0;
        size_t next = (size_t)(end - data) + 1;
        *scanned = next - 1;
        if (next < size && data[next] == '\n') return next + 1;
        if (next + 1 < size && data[next] == '\r' && data[next + 1] == '\n') return next + 2;
        if (next >= size || (data[next] == '\r' && next + 1 >= size)) return 0;
        at = next;
    }
    return 0;
}

static bool is_token(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_alnum(s[i]) && (!s[i] || !strchr("!#$%&'*+-.^_`|~", s[i]))) return false;
    return size > 0;
}

static void trim(const char **s, size_t *size)
{
    while (*size && (**s == ' ' || **s == '\t')) ++*s, --*size;
    while (*size && ((*s)[*size - 1] == ' ' || (*s)[*size - 1] == '\t')) --*size;
}

/* next_part: cuts the next part of a list off s; false when there is none. */
static bool next_part(const char **s, size_t *size, char separator, const char **part,
                      size_t *part_size)
{
    if (*size == 0) return false;
    const char *end = memchr(*s, separator, *size);
    *part = *s;
    *part_size = end ? (size_t)(end - *s) : *size;
    size_t used = *part_size + (end ? 1 : 0);
    *s += used;
    *size -= used;
    trim(part, part_size);
    return true;
}

static int keep_field(char out[FIELD_MAX + 1], const char *s, size_t size)
{
    if (size > FIELD_MAX) return 400;
    memcpy(out, s, size);
    out[size] = 0;
    return 0;
}

static int field_host(http_head *h, const char *s, size_t n) { return keep_field(h->host, s, n); }
static int field_key(http_head *h, const char *s, size_t n) { return keep_field(h->key, s, n); }
static int field_again(http_head *h, const char *s, size_t n)
{
    return n ? keep_field(h->idempotency, s, n) : 400;
}

static int field_length(http_head *h, const char *s, size_t size)
{
    if (size < 1 || size > 18) return 400;
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(s[i])) return 400;
        h->length = h->length * 10 + (uint64_t)(s[i] - '0');
    }
    h->has_length = true;
    return 0;
}

static int field_coding(http_head *h, const char *s, size_t size)
{
    h->chunked = same_text(s, size, "chunked");
    return h->chunked ? 0 : 501;
}

/* field_type: a charset must be UTF-8 or its part; other parameters do not matter. */
static int field_type(http_head *h, const char *s, size_t size)
{
    const char *part = s;
    size_t n = 0;
    next_part(&s, &size, ';', &part, &n);
    h->type = same_text(part, n, "application/json") ? TYPE_JSON
            : same_text(part, n, "application/x-ndjson") ? TYPE_NDJSON : TYPE_OTHER;
    while (next_part(&s, &size, ';', &part, &n)) {
        if (n < 8 || !same_text(part, 8, "charset=")) continue;
        part += 8;
        n -= 8;
        if (n >= 2 && part[0] == '"' && part[n - 1] == '"') part++, n -= 2;
        if (!same_text(part, n, "utf-8") && !same_text(part, n, "us-ascii")) h->type = TYPE_OTHER;
    }
    return 0;
}

static int field_connection(http_head *h, const char *s, size_t size)
{
    const char *part;
    size_t n;
    while (next_part(&s, &size, ',', &part, &n)) {
        h->close = h->close || same_text(part, n, "close");
        h->keep_alive = h->keep_alive || same_text(part, n, "keep-alive");
    }
    return 0;
}

static int field_expect(http_head *h, const char *s, size_t size)
{
    h->expect = same_text(s, size, "100-continue");
    return h->expect ? 0 : 417;
}

enum { SEEN_HOST = 1, SEEN_KEY = 2, SEEN_AGAIN = 4 };

static const struct { const char *name; int (*read_fn)(http_head *, const char *, size_t); }
http_fields[] = {{"host", field_host}, {"x-telemetry-key", field_key},
    {"idempotency-key", field_again}, {"content-length", field_length},
    {"transfer-encoding", field_coding}, {"content-type", field_type}, {"expect", field_expect},
    {"connection", field_connection}};

/* http_field: one line without its end; 0 or the status to refuse it with. */
static int http_field(http_head *h, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (!colon || !is_token(line, (size_t)(colon - line))) return 400;
    const char *value = colon + 1;
    size_t n = size - (size_t)(value - line), name_size = (size_t)(colon - line);
    trim(&value, &n);
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7F) return 400;
    for (unsigned i = 0; i < sizeof http_fields / sizeof *http_fields; i++) {
        if (!same_text(line, name_size, http_fields[i].name)) continue;
        if (h->seen >> i & 1 && http_fields[i].read_fn != field_connection) return 400;
        h->seen |= 1u << i;
        return http_fields[i].read_fn(h, value, n);
    }
    return 0;
}

static int http_request_line(http_head *h, const char *line, size_t size)
{
    const char *space = memchr(line, ' ', size), *target = space ? space + 1 : line;
    size_t left = size - (size_t)(target - line);
    const char *end = space ? memchr(target, ' ', left) : NULL;
    size_t method_size = space ? (size_t)(space - line) : 0;
    size_t target_size = end ? (size_t)(end - target) : 0;
    if (!target_size || !is_token(line, method_size)) return 400;
    const char *version = end + 1;
    size_t version_size = size - (size_t)(version - line);
    if (version_size != 8 || memcmp(version, "HTTP/", 5) != 0 || !is_digit(version[5]) ||
        version[6] != '.' || !is_digit(version[7])) return 400;
    if (version[5] != '1') return 505;
    if (method_size >= sizeof h->method) return 501;
    if (target_size > TARGET_MAX) return 414;
    for (size_t i = 0; i < target_size; i++)
        if (target[i] <= 0x20 || target[i] == 0x7F) return 400;
    h->old = version[7] == '0';
    memcpy(h->method, line, method_size);
    memcpy(h->target, target, target_size);
    return 0;
}

/* http_parse: a head with its empty line; 0 or the status to refuse it with (400, 414, 417, 501,
   505). All lines must end in CR LF, no line may be folded, and no two fields may disagree about
   where the body ends: what one server reads differently from the next is a hole. */
static int http_parse(const char *data, size_t size, http_head *h)
{
    int status = 0;
    memset(h, 0, sizeof *h);
    for (size_t at = 0; at < size && !status;) {
        const char *line = data + at, *end = memchr(line, '\n', size - at);
        if (!end || end == line || end[-1] != '\r') return 400;
        size_t n = (size_t)(end - line) - 1;
        if (at == 0) status = http_request_line(h, line, n);
        else if (n > 0) status = http_field(h, line, n);
        at += n + 2;
    }
    if (!status && h->chunked && (h->has_length || h->old)) return 400;
    if (!status && !h->old && !(h->seen & SEEN_HOST)) return 400;
    return status;
}

/* Where in a chunked body (RFC 9112, 7.1) the next byte stands. */
enum chunk_state { CHUNK_SIZE, CHUNK_REST, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF,
                   CHUNK_TRAILER, CHUNK_TRAILER_REST, CHUNK_TRAILER_LF, CHUNK_END_LF, CHUNK_DONE };

typedef struct chunked { enum chunk_state state; uint64_t left; unsigned digits, extra; int error; }
    chunked;

static void chunk_size(chunked *c, char byte)
{
    int digit = hex_value(byte);
    if (digit >= 0 && ++c->digits <= 8) c->left = c->left << 4 | (uint64_t)digit;
    else if (digit >= 0) c->error = 413;
    else if (c->digits == 0) c->error = 400;
    else if (byte == '\r') c->state = CHUNK_SIZE_LF;
    else if (byte == ';' || byte == ' ' || byte == '\t') c->state = CHUNK_REST;
    else c->error = 400;
}

/* chunk_line: extensions and trailers are read over. */
static void chunk_line(chunked *c, char byte, enum chunk_state at_cr)
{
    if (byte == '\r') c->state = at_cr;
    else if (byte == '\n') c->error = 400;
    else if (++c->extra > HEAD_MAX) c->error = 431;
    else if (c->state == CHUNK_TRAILER) c->state = CHUNK_TRAILER_REST;
}

static void chunk_expect(chunked *c, char byte, char expected, enum chunk_state next)
{
    if (byte == expected) c->state = next;
    else c->error = 400;
}

static void chunk_byte(chunked *c, char byte)
{
    switch (c->state) {
    case CHUNK_SIZE: chunk_size(c, byte); break;
    case CHUNK_REST: chunk_line(c, byte, CHUNK_SIZE_LF); break;
    case CHUNK_SIZE_LF: chunk_expect(c, byte, '\n', c->left ? CHUNK_DATA : CHUNK_TRAILER); break;
    case CHUNK_DATA_CR: chunk_expect(c, byte, '\r', CHUNK_DATA_LF); break;
    case CHUNK_DATA_LF: chunk_expect(c, byte, '\n', CHUNK_SIZE); c->digits = 0; break;
    case CHUNK_TRAILER: chunk_line(c, byte, CHUNK_END_LF); break;
    case CHUNK_TRAILER_REST: chunk_line(c, byte, CHUNK_TRAILER_LF); break;
    case CHUNK_TRAILER_LF: chunk_expect(c, byte, '\n', CHUNK_TRAILER); break;
    case CHUNK_END_LF: chunk_expect(c, byte, '\n', CHUNK_DONE); break;
    case CHUNK_DATA: case CHUNK_DONE: break;
    }
}

/* chunk_decode: bytes used of `in`; done when c->state is CHUNK_DONE, refused when c->error. */
static size_t chunk_decode(chunked *c, const char *in, size_t size, text *body)
{
    size_t at = 0;
    while (at < size && c->state != CHUNK_DONE && !c->error) {
        if (c->state != CHUNK_DATA) {
            chunk_byte(c, in[at++]);
            continue;
        }
        if (c->left > BODY_MAX - body->size) return c->error = 413, at;
        size_t n = size - at < c->left ? size - at : (size_t)c->left;
        text_add(body, in + at, n);
        at += n;
        c->left -= n;
        if (c->left == 0) c->state = CHUNK_DATA_CR;
        if (body->failed) c->error = 500;
    }
    return at;
}

/* local_name: a Host that no web page elsewhere can make the browser send (DNS rebinding). */
static bool local_name(const char *host)
{
    size_t size = strcspn(host, ":");
    bool address = strspn(host, "0123456789.") == size;
    bool local = size > 10 && same_text(host + size - 10, 10, ".localhost");
    return host[0] == '[' || address || local || !memchr(host, '.', size);
}

/* query_value: of ?name=value&... ; NULL when it is not there. */
static const char *query_value(const char *target, const char *name, size_t *size)
{
    const char *at = strchr(target, '?'), *part;
    size_t left = at ? strlen(++at) : 0, n, name_size = strlen(name);
    while (next_part(&at, &left, '&', &part, &n)) {
        if (n > name_size && memcmp(part, name, name_size) == 0 && part[name_size] == '=')
            return *size = n - name_size - 1, part + name_size + 1;
    }
    return NULL;
}

/* == folder: the files on disk =============================================================== */

static int64_t clock_ms(clockid_t id)
{
    struct timespec t = {0, 0};
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void complain(const char *what, const char *name, int error)
{
    fprintf(stderr, "collector: %s %s: %s\n", what, name, strerror(error));
}

static void raw_name(long day, char out[32])
{
    char date[11];
    day_text(day, date);
    snprintf(out, 32, "events-%s.ndjson", date);
}

/* folder_make: with the folders above it; 0700 for what is made, what is there stays as it is. */
static bool folder_make(const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part) return errno = ENAMETOOLONG, false;
    for (size_t at = 1; at <= size; at++) {
        if (path[at] != '/' && path[at]) continue;
        memcpy(part, path, at);
        part[at] = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST && errno != EISDIR) return false;
    }
    return true;
}

/* The days that have a raw file, in order. */
typedef struct days { long *day; size_t count, room; } days;

static void days_free(days *d)
{
    free(d->day);
    memset(d, 0, sizeof *d);
}

static bool days_add(days *d, long day)
{
    if (d->count == d->room) {
        size_t room = d->room ? d->room * 2 : 64;
        long *more = realloc(d->day, room * sizeof *more);
        if (!more) return false;
        d->day = more;
        d->room = room;
    }
    d->day[d->count++] = day;
    return true;
}

static int day_order(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

/* days_list: false with errno when the folder cannot be read. */
static bool days_list(days *d, int dir_fd)
{
    memset(d, 0, sizeof *d);
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) return false;
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(dir));) {
        long day;
        if (strlen(entry->d_name) != strlen("events-YYYY-MM-DD.ndjson") ||
            memcmp(entry->d_name, "events-", 7) != 0 || !day_parse(entry->d_name + 7, &day) ||
            strcmp(entry->d_name + 17, ".ndjson") != 0) continue;
        good = days_add(d, day);
    }
    closedir(dir);
    if (d->count) qsort(d->day, d->count, sizeof *d->day, day_order);
    return good;
}

/* A file that is read line by line; `at` is how far. */
typedef struct reader { FILE *file; char *line; size_t room; uint64_t at; } reader;

static void reader_close(reader *r)
{
    if (r->file) fclose(r->file);
    free(r->line);
    memset(r, 0, sizeof *r);
}

static bool reader_open(reader *r, int dir_fd, const char *name)
{
    struct stat status;
    memset(r, 0, sizeof *r);
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) r->file = fdopen(fd, "r");
    if (!r->file) close(fd);
    return r->file != NULL;
}

/* reader_line: its size with the LF, 0 at the end; what has no LF was cut off and is no line. */
static size_t reader_line(reader *r)
{
    ssize_t size = getline(&r->line, &r->room, r->file);
    if (size <= 0 || r->line[size - 1] != '\n') return 0;
    r->at += (uint64_t)size;
    return (size_t)size;
}

/* reader_event: the next line that is an event, and what it says. */
static size_t reader_event(reader *r, event *e)
{
    size_t size;
    while ((size = reader_line(r)) > 0)
        if (stored_read(r->line, size, e)) return size;
    return 0;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* file_replace: durable and at once: a reader sees the old file or the new one. */
static bool file_replace(int dir_fd, const char *name, const text *content)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.tmp", name) >= (int)sizeof temporary)
        return errno = ENAMETOOLONG, false;
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool good = write_all(fd, content->data, content->size) && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (good && renameat(dir_fd, temporary, dir_fd, name) == 0) return fsync(dir_fd), true;
    if (!good) errno = error;
    error = errno;
    unlinkat(dir_fd, temporary, 0);
    errno = error;
    return false;
}

/* == store: raw files and aggregates ========================================================= */

typedef struct store {
    int dir_fd, lock_fd;
    long retain_days, retain_aggregates_days;
    table rows;
    bool dirty;                 /* daily.ndjson is behind                                    */
    /* what a page is told: */
    uint64_t version;           /* one more with each event                                  */
    unsigned epoch;             /* one more when something went away                         */
    table sums;                 /* of rows, by event name alone; their day is 0, order is age */
    errors errors;
    recents recents;
} store;

/* store_count: one event more, in all but the raw file. False: no memory. */
static bool store_count(store *s, long day, const event *e, const char *metadata,
                        uint64_t raw_bytes)
{
    uint64_t version = ++s->version;
    recents_add(&s->recents, version, e, metadata);
    errors_count(&s->errors, day, e, version);
    if (!table_count(&s->rows, day, e, raw_bytes)) return false;
    row *r = table_row(&s->sums, 0, e->name, "");
    if (!r) return false;
    row_count(r, e);
    r->version = version;
    return true;
}

/* store_sum: makes the sums anew. */
static bool store_sum(store *s)
{
    table_free(&s->sums);
    s->epoch++;
    for (size_t i = 0; i < s->rows.count; i++) {
        row *r = table_row(&s->sums, 0, s->rows.rows[i]->event, "");
        if (!r) return false;
        row_merge(r, s->rows.rows[i]);
        r->version = s->version;
    }
    return true;
}

/* raw_append: all lines or none; the size of the file in *size. 0 or an errno. */
static int raw_append(int dir_fd, long day, const text *lines, uint64_t *size)
{
    char name[32], last = '\n';
    struct stat status;
    raw_name(day, name);
    int flags = O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(dir_fd, name, flags, 0600), error = 0;
    if (fd < 0) return errno;
    if (fstat(fd, &status) != 0) error = errno;
    else if (!S_ISREG(status.st_mode)) error = EINVAL;
    else if (status.st_size > 0 && pread(fd, &last, 1, status.st_size - 1) != 1) error = EIO;
    /* A line that was cut by a crash is ended here: readers pass over it. */
    if (!error && ((last != '\n' && !write_all(fd, "\n", 1)) ||
                   !write_all(fd, lines->data, lines->size))) {
        error = errno ? errno : EIO;
        if (ftruncate(fd, status.st_size) != 0) complain("cannot undo in", name, errno);
    }
    if (!error) *size = (uint64_t)status.st_size + (last != '\n') + lines->size;
    close(fd);
    return error;
}

/* store_append: 0 when all events of the batch are stored, else an errno and none is. */
static int store_append(store *s, long day, const batch *b)
{
    uint64_t size = 0;
    int error = raw_append(s->dir_fd, day, &b->lines, &size);
    if (error) return error;
    s->dirty = true;
    for (size_t i = 0; i < b->count; i++) {
        const event *e = &b->events[i];
        if (!store_count(s, day, e, b->lines.data + e->metadata_at, size))
            complain("counting", "", ENOMEM);
    }
    return 0;
}

/* store_flush: writes daily.ndjson when it is behind. */
static bool store_flush(store *s)
{
    text out = {NULL, 0, 0, false};
    if (!s->dirty) return true;
    for (size_t i = 0; i < s->rows.count; i++) row_write(&out, s->rows.rows[i]);
    if (out.failed) errno = ENOMEM;
    bool good = !out.failed && file_replace(s->dir_fd, "daily.ndjson", &out);
    if (!good) complain("cannot write", "daily.ndjson", errno);
    s->dirty = !good;
    text_free(&out);
    return good;
}

/* store_load: reads daily.ndjson. False when a line of it is left out. */
static bool store_load(store *s)
{
    reader in;
    row *r = malloc(sizeof *r);
    size_t size;
    bool whole = true;
    if (!r || !reader_open(&in, s->dir_fd, "daily.ndjson")) {
        free(r);
        return true;
    }
    while ((size = reader_line(&in)) > 0) {
        bool good = row_read(in.line, size, r);
        row *into = good ? table_row(&s->rows, r->day, r->event, r->db_type) : NULL;
        if (into) row_merge(into, r), into->raw_bytes = r->raw_bytes;
        else complain("daily.ndjson has a line that", "is left out", EINVAL), whole = false;
    }
    free(r);
    reader_close(&in);
    return whole;
}

/* store_covered: how much of a day's raw file the aggregates know; never more than there is. */
static uint64_t store_covered(store *s, long day, uint64_t size)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < s->rows.count; i++) {
        row *r = s->rows.rows[i];
        if (r->day != day) continue;
        if (r->raw_bytes > size) r->raw_bytes = size, s->dirty = true;
        if (r->raw_bytes > covered) covered = r->raw_bytes;
    }
    return covered;
}

/* store_recount: what was counted of these days counts no more, their raw files do. */
static void store_recount(store *s, const days *list)
{
    for (size_t i = 0; i < list->count; i++) table_forget(&s->rows, list->day[i]);
    s->dirty = true;
}

/* store_replay: counts what a killed collector stored after its last flush. */
static void store_replay(store *s, long day)
{
    char name[32];
    reader in;
    event e;
    struct stat status;
    raw_name(day, name);
    if (!reader_open(&in, s->dir_fd, name)) return;
    if (fstat(fileno(in.file), &status) == 0) {
        in.at = store_covered(s, day, (uint64_t)status.st_size);
        if (fseeko(in.file, (off_t)in.at, SEEK_SET) == 0)
            while (reader_event(&in, &e) && table_count(&s->rows, day, &e, in.at)) s->dirty = true;
    }
    reader_close(&in);
}

/* store_recall: the newest events of a file, of whose lines the last began at these places. */
static void store_recall(store *s, reader *in, const uint64_t at[RECENT_AT_START], uint64_t lines)
{
    event e;
    uint64_t first = lines > RECENT_AT_START ? at[lines % RECENT_AT_START] : 0;
    if (fseeko(in->file, (off_t)first, SEEK_SET) != 0) return;
    while (reader_event(in, &e))
        recents_add(&s->recents, ++s->version, &e, in->line + e.metadata_at);
}

/* store_remember: what is in no aggregate: a day's errors, and its newest events in place of those
   of the day before. */
static void store_remember(store *s, long day)
{
    char name[32];
    uint64_t at[RECENT_AT_START], lines = 0;
    reader in;
    event e;
    raw_name(day, name);
    if (!reader_open(&in, s->dir_fd, name)) return;
    for (uint64_t from = 0; reader_line(&in); from = in.at) {
        at[lines++ % RECENT_AT_START] = from;
        if (strstr(in.line, "\"error_hash\"") && stored_read(in.line, strlen(in.line), &e))
            errors_count(&s->errors, day, &e, s->version);
    }
    if (lines) memset(&s->recents, 0, sizeof s->recents), store_recall(s, &in, at, lines);
    reader_close(&in);
}

/* store_retire: deletes raw files and aggregates that are past their time. */
static void store_retire(store *s, long today)
{
    char name[32];
    days list;
    if (!days_list(&list, s->dir_fd)) complain("cannot read", "the folder", errno);
    for (size_t i = 0; i < list.count && today - list.day[i] > s->retain_days; i++) {
        raw_name(list.day[i], name);
        if (unlinkat(s->dir_fd, name, 0) != 0) complain("cannot delete", name, errno);
        else errors_forget(&s->errors, list.day[i]), s->epoch++;
    }
    days_free(&list);
    table *t = &s->rows;
    size_t old = 0;
    while (old < t->count && today - t->rows[old]->day > s->retain_aggregates_days)
        free(t->rows[old++]);
    if (old == 0) return;
    t->count -= old;
    memmove(t->rows, t->rows + old, t->count * sizeof *t->rows);
    s->dirty = true;
    if (!store_sum(s)) complain("counting", "", ENOMEM);
}

/* store_lock: two collectors in one folder would overwrite each other's aggregates. */
static bool store_lock(store *s)
{
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    s->lock_fd = openat(s->dir_fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return s->lock_fd >= 0 && fcntl(s->lock_fd, F_SETLK, &lock) == 0;
}

static void store_close(store *s)
{
    table_free(&s->rows);
    table_free(&s->sums);
    if (s->lock_fd >= 0) close(s->lock_fd);
    if (s->dir_fd >= 0) close(s->dir_fd);
    s->lock_fd = s->dir_fd = -1;
}

/* store_open: makes the folder, reads what is there, deletes what is too old. */
static bool store_open(store *s, const char *path, long today)
{
    days list;
    s->lock_fd = s->dir_fd = -1;
    if (folder_make(path)) s->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) return complain("cannot use folder", path, errno), false;
    if (!store_lock(s)) {
        complain("cannot lock (another collector uses it?) folder", path, errno);
        return store_close(s), false;
    }
    bool whole = store_load(s);
    if (!days_list(&list, s->dir_fd)) complain("cannot read folder", path, errno);
    if (!whole) store_recount(s, &list);
    for (size_t i = 0; i < list.count; i++) store_replay(s, list.day[i]);
    store_retire(s, today);
    for (size_t i = 0; i < list.count; i++) store_remember(s, list.day[i]);
    days_free(&list);
    if (!store_sum(s)) complain("counting", "", ENOMEM);
    store_flush(s);
    return true;
}

/* == listing: the lines for GET /events ====================================================== */

typedef struct listing {
    days list;
    size_t next;                    /* of list                    */
    reader in;                      /* in.file NULL: none is open */
    uint64_t skip, left;            /* lines                      */
    uint64_t found;                 /* by listing_newest          */
    bool counts;                    /* listing_newest is not done */
    unsigned turn;                  /* lines that may be read now */
    char name[NAME_MAX_SIZE + 1];   /* "": every event            */
} listing;

static void listing_free(listing *l)
{
    if (!l) return;
    reader_close(&l->in);
    days_free(&l->list);
    free(l);
}

static bool listing_open(listing *l, int dir_fd, long day)
{
    char name[32];
    raw_name(day, name);
    reader_close(&l->in);
    return reader_open(&l->in, dir_fd, name);
}

/* listing_match: the next line of the open file that is asked for; 0 at its end, and when the turn
   is over. */
static size_t listing_match(listing *l)
{
    event e;
    size_t size;
    while (l->turn > 0 && (size = reader_line(&l->in)) > 0) {
        l->turn--;
        if (!stored_read(l->in.line, size, &e)) continue;
        if (!l->name[0] || strcmp(e.name, l->name) == 0) return size;
    }
    return 0;
}

/* listing_newest: goes back through the files until they have the lines that are asked for. False
   when the turn is over before. */
static bool listing_newest(listing *l, int dir_fd)
{
    while (l->counts) {
        while (l->in.file && listing_match(l)) l->found++;
        if (l->turn == 0) return false;
        l->counts = l->next > 0 && l->found < l->left;
        if (l->counts) listing_open(l, dir_fd, l->list.day[--l->next]);
        else reader_close(&l->in);
    }
    if (l->found > l->left) l->skip = l->found - l->left;
    return true;
}

/* listing_line: 0 at the end, and when the turn is over. */
static size_t listing_line(listing *l, int dir_fd)
{
    if (l->counts && !listing_newest(l, dir_fd)) return 0;
    while (l->left > 0) {
        size_t size = l->in.file ? listing_match(l) : 0;
        if (size > 0 && l->skip > 0) l->skip--;
        else if (size > 0) return l->left--, size;
        else if (l->turn == 0 || l->next >= l->list.count) return 0;
        else listing_open(l, dir_fd, l->list.day[l->next++]);
    }
    return 0;
}

static listing *listing_new(int dir_fd, const char *name, size_t name_size, bool limited,
                            uint64_t limit)
{
    listing *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    memcpy(l->name, name, name_size);
    l->left = UINT64_MAX;
    if (!days_list(&l->list, dir_fd)) return listing_free(l), NULL;
    if (!limited) return l;
    l->left = limit;
    l->counts = true;
    l->next = l->list.count;
    return l;
}

/* == options ================================================================================= */

enum { FAILS_MAX = 8, FAIL_SILENT = 0, FAIL_NOT = -1 };

typedef struct options {
    long port, retain_days, retain_aggregates_days, seed, retry_after_s, delay_ms, timeout_ms;
    const char *dir, *port_file, *key, *show, *fail;
    struct { int status; double share; } fails[FAILS_MAX];
    size_t fail_count;
    bool help;
} options;

static const struct option_row {
    const char *name, *value, *help;
    size_t offset;
    long low, high;                 /* both 0: a text */
} option_rows[] = {
    {"--port", "N", "port of 127.0.0.1; 0: any that is free (8080)", offsetof(options, port), 0,
     65535},
    {"--port-file", "PATH", "write the port's number there", offsetof(options, port_file), 0, 0},
    {"--dir", "DIR", "folder of the files (./telemetry-data)", offsetof(options, dir), 0, 0},
    {"--retain-days", "N", "keep raw events this long, 7 to 30 (30)",
     offsetof(options, retain_days), 7, 30},
    {"--retain-aggregates-days", "N", "keep daily counts this long, 90 or more (400)",
     offsetof(options, retain_aggregates_days), 90, 36500},
    {"--key", "SECRET", "a POST must have it as X-Telemetry-Key", offsetof(options, key), 0, 0},
    {"--fail", "STATUS:SHARE", "answer this share of POSTs so and store nothing, like 503:0.2;\n"
     "                               status 0: store, but close without an answer; may be repeated",
     offsetof(options, fail), 0, 0},
    {"--seed", "N", "of the failures (1)", offsetof(options, seed), 0, LONG_MAX},
    {"--retry-after", "SECONDS", "say so with failures", offsetof(options, retry_after_s), 0,
     86400},
    {"--delay-ms", "N", "answer later (0)", offsetof(options, delay_ms), 0, 600000},
    {"--timeout-ms", "N", "close a connection that is this slow (30000)",
     offsetof(options, timeout_ms), 1, 3600000},
    {"--show", "DIR", "print a table of the events in a folder, and end", offsetof(options, show),
     0, 0},
};

static void options_help(FILE *out)
{
    fputs("collector: a telemetry backend for this machine\n\nusage: collector [options]\n\n", out);
    for (size_t i = 0; i < sizeof option_rows / sizeof *option_rows; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", option_rows[i].name, option_rows[i].value);
        fprintf(out, "  %-28s %s\n", left, option_rows[i].help);
    }
    fputs("  --help                       this text\n\nPOST /api/v1/telemetry, GET /events[?limit=N"
          "&event=NAME], GET /stats, GET /health;\nGET / is a page for people, with "
          "GET /live\n", out);
}

static bool option_fail(options *o, const char *value)
{
    char *end;
    long status = strtol(value, &end, 10);
    bool good = end != value && *end == ':' && is_digit(end[1]);
    double share = good ? strtod(end + 1, &end) : 0, sum = share;
    good = good && *end == 0 && share <= 1 && o->fail_count < FAILS_MAX;
    for (size_t i = 0; i < o->fail_count; i++) sum += o->fails[i].share;
    if (!good || sum > 1 + 1e-9 || (status != FAIL_SILENT && (status < 400 || status > 599))) {
        fprintf(stderr, "collector: --fail must be STATUS:SHARE, a status of 400 to 599 or 0 and a "
                "share of 0 to 1 (1 in all), not \"%s\"\n", value);
        return false;
    }
    o->fails[o->fail_count].status = (int)status;
    o->fails[o->fail_count++].share = share;
    return true;
}

static bool option_set(options *o, const struct option_row *line, const char *value)
{
    char *end;
    if (line->offset == offsetof(options, fail)) return option_fail(o, value);
    if (line->low == 0 && line->high == 0) {
        memcpy((char *)o + line->offset, &value, sizeof value);
        return true;
    }
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno || end == value || *end || n < line->low || n > line->high) {
        fprintf(stderr, "collector: %s must be a whole number from %ld to %ld, not \"%s\"\n",
                line->name, line->low, line->high, value);
        return false;
    }
    memcpy((char *)o + line->offset, &n, sizeof n);
    return true;
}

/* option_read: one argument, `--name value` or `--name=value`; how many words it took, 0: wrong. */
static int option_read(options *o, char **words)
{
    size_t size = strcspn(words[0], "=");
    if (strcmp(words[0], "--help") == 0) return o->help = true, 1;
    for (size_t i = 0; i < sizeof option_rows / sizeof *option_rows; i++) {
        const char *name = option_rows[i].name;
        if (size != strlen(name) || memcmp(words[0], name, size) != 0) continue;
        bool joined = words[0][size] == '=';
        const char *value = joined ? words[0] + size + 1 : words[1];
        if (value) return option_set(o, &option_rows[i], value) ? (joined ? 1 : 2) : 0;
        fprintf(stderr, "collector: %s needs a value\n", name);
        return 0;
    }
    fprintf(stderr, "collector: no option \"%s\" (see --help)\n", words[0]);
    return 0;
}

static bool options_read(options *o, int count, char **words)
{
    memset(o, 0, sizeof *o);
    o->port = 8080;
    o->dir = "./telemetry-data";
    o->retain_days = 30;
    o->retain_aggregates_days = 400;
    o->seed = 1;
    o->retry_after_s = -1;
    o->timeout_ms = 30000;
    for (int i = 1, used; i < count; i += used)
        if ((used = option_read(o, words + i)) == 0) return false;
    if (o->key && (!o->key[0] || strlen(o->key) > FIELD_MAX)) {
        fprintf(stderr, "collector: --key must have 1 to %d characters\n", FIELD_MAX);
        return false;
    }
    return true;
}

/* == connections ============================================================================= */

enum conn_state { CONN_HEAD, CONN_BODY, CONN_REPLY, CONN_LIVE, CONN_LINGER, CONN_DEAD };

struct route;

typedef struct conn {
    int fd;
    enum conn_state state;
    text in, body, out;
    size_t scanned, sent;           /* of in: by http_head_size; of out                    */
    http_head head;
    const struct route *route;
    int refusal;                    /* status that was decided by the head alone, 0: none  */
    uint64_t body_left;
    chunked chunk;
    listing *list;                  /* the rest of a long answer                           */
    bool close_after, drop;         /* drop: close without the answer                      */
    int64_t deadline_ms, reply_at_ms;
    uint64_t live_version, kept_version;    /* of the store, that a page was told of       */
    unsigned live_epoch;
    bool live_whole;                /* the next frame says everything                      */
    int64_t frame_at_ms, kept_at_ms;    /* of the last one; of the last that had `kept`    */
} conn;

/* Idempotency keys of accepted requests; the oldest is overwritten. */
typedef struct key_ring {
    char key[KEYS_MAX][FIELD_MAX + 1];
    uint64_t hash[KEYS_MAX];
    size_t count;
} key_ring;

typedef struct server {
    options opt;
    store store;
    int listen_fd;
    long port;
    conn *conns[CONN_MAX];
    struct pollfd polls[CONN_MAX + 2];
    size_t conn_count, conn_max;
    key_ring keys;
    rate rate;
    uint64_t random, stored;
    int64_t now_ms, accept_at_ms, flush_at_ms, retire_at_ms;
    char block[BLOCK_SIZE];
} server;

typedef struct route {
    const char *path, *allow;
    void (*handle_fn)(server *s, conn *c);
} route;

static uint64_t key_hash(const char *key)
{
    uint64_t hash = UINT64_C(14695981039346656037);     /* FNV-1a */
    for (; *key; key++) hash = (hash ^ (unsigned char)*key) * UINT64_C(1099511628211);
    return hash;
}

static bool keys_have(const key_ring *k, const char *key)
{
    uint64_t hash = key_hash(key);
    size_t count = k->count < KEYS_MAX ? k->count : KEYS_MAX;
    for (size_t i = 0; i < count; i++)
        if (k->hash[i] == hash && strcmp(k->key[i], key) == 0) return true;
    return false;
}

static void keys_add(key_ring *k, const char *key)
{
    size_t at = k->count++ % KEYS_MAX;
    k->hash[at] = key_hash(key);
    snprintf(k->key[at], sizeof k->key[at], "%s", key);
}

static const char *status_text(int status)
{
    static const struct { int status; const char *text; } texts[] = {
        {200, "OK"}, {201, "Created"}, {400, "Bad Request"}, {401, "Unauthorized"},
        {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"},
        {411, "Length Required"}, {413, "Content Too Large"}, {414, "URI Too Long"},
        {415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {421, "Misdirected Request"},
        {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
        {503, "Service Unavailable"}, {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].status == status) return texts[i].text;
    return "Status";
}

/* reply_head: size -1 for an answer of unknown length. `more`: further fields with CR LF. */
static void reply_head(server *s, conn *c, int status, const char *type, const char *more,
                       int64_t size)
{
    char date[40] = "";
    time_t t = time(NULL);
    struct tm tm;
    if (gmtime_r(&t, &tm)) strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    c->close_after = c->close_after || c->head.close || (c->head.old && !c->head.keep_alive) ||
                     (c->head.old && size < 0);
    text_printf(&c->out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n", status,
                status_text(status), date, type);
    text_puts(&c->out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    if (size >= 0) text_printf(&c->out, "Content-Length: %" PRId64 "\r\n", size);
    else if (!c->head.old) text_puts(&c->out, "Transfer-Encoding: chunked\r\n");
    if (more) text_puts(&c->out, more);
    if (c->close_after) text_puts(&c->out, "Connection: close\r\n");
    else if (c->head.old) text_puts(&c->out, "Connection: keep-alive\r\n");
    text_puts(&c->out, "\r\n");
    c->state = CONN_REPLY;
    c->reply_at_ms = s->now_ms + s->opt.delay_ms;
    c->deadline_ms = c->reply_at_ms + s->opt.timeout_ms;
}

static bool is_head(const conn *c) { return strcmp(c->head.method, "HEAD") == 0; }

static void reply(server *s, conn *c, int status, const char *type, const char *more,
                  const char *body, size_t size)
{
    reply_head(s, c, status, type, more, (int64_t)size);
    if (!is_head(c)) text_add(&c->out, body, size);
}

static void reply_json(server *s, conn *c, int status, const char *body)
{
    reply(s, c, status, "application/json", NULL, body, strlen(body));
}

/* reply_fault: field may be NULL, index -1. */
static void reply_fault(server *s, conn *c, int status, const fault *f, const char *more)
{
    text body = {NULL, 0, 0, false};
    text_puts(&body, "{\"status\":\"error\"");
    if (f->field[0]) text_puts(&body, ",\"field\":"), text_quote(&body, f->field);
    text_puts(&body, ",\"message\":");
    text_quote(&body, f->message);
    if (f->index >= 0) text_printf(&body, ",\"index\":%ld", f->index);
    text_puts(&body, "}\n");
    reply(s, c, status, "application/json", more, body.data, body.size);
    text_free(&body);
}

static void reply_error(server *s, conn *c, int status, const char *message, const char *more)
{
    fault f;
    fault_set(&f, "", message);
    f.index = -1;
    reply_fault(s, c, status, &f, more);
}

/* reply_refusal: for what the head alone decided. */
static void reply_refusal(server *s, conn *c, int status)
{
    char more[64] = "";
    if (status == 405) snprintf(more, sizeof more, "Allow: %s\r\n", c->route->allow);
    const char *message = status == 401 ? "X-Telemetry-Key is missing or wrong"
        : status == 413 ? "a body may have 4 MiB"
        : status == 415 ? "Content-Type must be application/json or application/x-ndjson"
        : status == 431 ? "header fields may have 16 KiB"
        : status == 421 ? "Host is not a name of this machine" : status_text(status);
    reply_error(s, c, status, message, more);
}

/* == answers ================================================================================= */

/* fail_draw: the status of --fail for this request, FAIL_NOT for none; splitmix64. */
static int fail_draw(server *s)
{
    if (s->opt.fail_count == 0) return FAIL_NOT;
    uint64_t z = s->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    double drawn = (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
    for (size_t i = 0; i < s->opt.fail_count; i++) {
        if (drawn < s->opt.fails[i].share) return s->opt.fails[i].status;
        drawn -= s->opt.fails[i].share;
    }
    return FAIL_NOT;
}

static void reply_failure(server *s, conn *c, int status)
{
    char more[64] = "";
    if (s->opt.retry_after_s >= 0)
        snprintf(more, sizeof more, "Retry-After: %ld\r\n", s->opt.retry_after_s);
    reply_error(s, c, status, "a failure as --fail asked for", more);
}

/* telemetry_store: parses and stores; the answer is complete when it returns. */
static void telemetry_store(server *s, conn *c)
{
    int64_t now = clock_ms(CLOCK_REALTIME);
    batch b = {{NULL, 0, 0, false}, NULL, 0, 0};
    char created_at[32];
    fault f;
    created_text(now, created_at);
    bool good = batch_read(&b, c->body.data, c->body.size, c->head.type == TYPE_NDJSON,
                           created_at, &f);
    int error = b.lines.failed || c->body.failed ? ENOMEM : 0;
    if (good && !error) error = store_append(&s->store, (long)(now / 86400000), &b);
    if (error) {
        complain("cannot store", "events", error);
        reply_error(s, c, 500, "the events could not be stored", NULL);
    } else if (!good) {
        reply_fault(s, c, 400, &f, NULL);
    } else {
        s->stored += b.count;
        rate_add(&s->rate, now / 1000, b.count);
        if (c->head.idempotency[0]) keys_add(&s->keys, c->head.idempotency);
        reply_json(s, c, 201, "{\"status\":\"success\"}\n");
    }
    batch_free(&b);
}

static void handle_telemetry(server *s, conn *c)
{
    int failure = fail_draw(s);
    c->drop = failure == FAIL_SILENT;
    if (failure > 0) reply_failure(s, c, failure);
    else if (c->head.idempotency[0] && keys_have(&s->keys, c->head.idempotency))
        reply_json(s, c, 200, "{\"status\":\"success\",\"duplicate\":true}\n");
    else telemetry_store(s, c);
}

static void handle_events(server *s, conn *c)
{
    size_t name_size = 0, limit_size = 0;
    const char *name = query_value(c->head.target, "event", &name_size);
    const char *digits = query_value(c->head.target, "limit", &limit_size);
    uint64_t limit = 0;
    fault f = {"limit", "must be a whole number", -1};
    for (size_t i = 0; i < limit_size && is_digit(digits[i]); i++)
        limit = limit * 10 + (uint64_t)(digits[i] - '0');
    bool whole = limit_size > 0 && limit_size <= 18 && strspn(digits, "0123456789") >= limit_size;
    if (digits && !whole) {
        reply_fault(s, c, 400, &f, NULL);
        return;
    }
    if (name && !is_event_name(name, name_size)) {
        fault_set(&f, "event", envelope[EVENT_NAME].rule);
        reply_fault(s, c, 400, &f, NULL);
        return;
    }
    c->list = listing_new(s->store.dir_fd, name ? name : "", name_size, digits != NULL, limit);
    if (c->list) reply_head(s, c, 200, "application/x-ndjson", NULL, -1);
    else reply_error(s, c, 500, "the folder cannot be read", NULL);
    if (is_head(c)) listing_free(c->list), c->list = NULL;
}

static void handle_stats(server *s, conn *c)
{
    text body = {NULL, 0, 0, false};
    if (stats_write(&body, &s->store.rows))
        reply(s, c, 200, "application/json", NULL, body.data, body.size);
    else reply_error(s, c, 500, "no memory", NULL);
    text_free(&body);
}

static void handle_health(server *s, conn *c) { reply_json(s, c, 200, "{\"status\":\"ok\"}\n"); }

/* handle_index: the page. Its header lets it do nothing but talk to this server. */
static void handle_index(server *s, conn *c)
{
    text body = {NULL, 0, 0, false};
    for (size_t i = 0; i < sizeof dashboard_html / sizeof *dashboard_html; i++)
        text_puts(&body, dashboard_html[i]);
    if (body.failed) reply_error(s, c, 500, "no memory", NULL);
    else reply(s, c, 200, "text/html; charset=utf-8", "Content-Security-Policy: " DASHBOARD_POLICY
               "\r\nReferrer-Policy: no-referrer\r\n", body.data, body.size);
    text_free(&body);
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

/* == live: what a page is told =============================================================== */

/* One server-sent event a frame, its data one JSON object. A frame has the present numbers of what
   changed since the one before, not differences: a reader that is slow gets fewer frames, each with
   more in it, and misses nothing. There is never more than one frame in memory for it.

     whole    true: forget all that was, this is everything
     from,to  versions of the store: what changed between them is here; `from` is `to` of the frame
              before, so that a reader sees that none is missing
     total, since    as in /stats
     names    rows of /stats that changed, by event name; ROWS_DAY_MAX of them at most
     errors   by error_hash: event, exception, count, last (created_at of the newest)
     recent   newest events, oldest first: [number, created_at, event, success, ms, metadata]
     rate     only whole: events in each of the last RATE_SECONDS seconds, oldest first
     kept     only now and then: what is on disk, and for how long */

static void live_names(text *out, const store *s, uint64_t from)
{
    const char *comma = "";
    text_puts(out, ",\"names\":[");
    for (size_t i = 0; i < s->sums.count; i++) {
        const row *r = s->sums.rows[i];
        if (r->version <= from) continue;
        text_printf(out, "%s{\"event\":\"%s\",", comma, r->event);
        row_numbers(out, r);
        text_puts(out, "}");
        comma = ",";
    }
    text_puts(out, "]");
}

static void live_errors(text *out, const store *s, uint64_t from, bool whole)
{
    const char *comma = "";
    text_puts(out, ",\"errors\":[");
    for (size_t i = 0; i < s->errors.count; i++) {
        const error_row *r = &s->errors.rows[i];
        if (r->version <= from && !whole) continue;
        text_printf(out, "%s{\"hash\":", comma);
        text_quote(out, r->hash);
        text_puts(out, ",\"event\":");
        text_quote(out, r->event);
        text_puts(out, ",\"exception\":");
        text_quote(out, r->exception);
        text_printf(out, ",\"count\":%" PRIu64 ",\"last\":", r->count);
        text_quote(out, r->last);
        text_puts(out, "}");
        comma = ",";
    }
    text_puts(out, "]");
}

static void live_recent(text *out, const store *s, uint64_t from)
{
    static const char *const success[] = {"null", "false", "true"};
    const recents *all = &s->recents;
    uint64_t first = from + 1 > all->first ? from + 1 : all->first;
    text_puts(out, ",\"recent\":[");
    for (uint64_t n = first; n <= all->last && all->last > 0; n++) {
        const recent *r = &all->ring[n % RECENT_MAX];
        text_printf(out, "%s[%" PRIu64 ",", n > first ? "," : "", n);
        text_quote(out, r->created_at);
        text_printf(out, ",\"%s\",%s,", r->name, success[r->success + 1]);
        if (r->duration_ms < 0) text_puts(out, "null,");
        else text_printf(out, "%.15g,", r->duration_ms);
        if (r->size) text_add(out, r->metadata, r->size);
        else text_puts(out, "null");
        text_puts(out, "]");
    }
    text_puts(out, "]");
}

static void live_rate(text *out, rate *r)
{
    rate_add(r, clock_ms(CLOCK_REALTIME) / 1000, 0);
    text_puts(out, ",\"rate\":[");
    for (int i = 1; i <= RATE_SECONDS; i++)
        text_printf(out, "%s%" PRIu32, i > 1 ? "," : "", r->count[(r->second + i) % RATE_SECONDS]);
    text_puts(out, "]");
}

static uint64_t file_size(int dir_fd, const char *name)
{
    struct stat status;
    return fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)status.st_size : 0;
}

/* live_days: [day, count] of the newest days that have any; how many days there are. */
static size_t live_days(text *out, const table *t)
{
    size_t count = 0, at = 0;
    char day[11];
    for (size_t i = 0; i < t->count; i++) count += i == 0 || t->rows[i]->day != t->rows[i - 1]->day;
    text_puts(out, ",\"by_day\":[");
    for (size_t i = 0, next; i < t->count; i = next, at++) {
        uint64_t sum = 0;
        for (next = i; next < t->count && t->rows[next]->day == t->rows[i]->day; next++)
            sum += t->rows[next]->count;
        if (at + DAYS_SHOWN < count) continue;
        day_text(t->rows[i]->day, day);
        text_printf(out, "%s[\"%s\",%" PRIu64 "]", at > 0 && at + DAYS_SHOWN > count ? "," : "",
                    day, sum);
    }
    text_puts(out, "]");
    return count;
}

/* live_kept: on disk; no file when the folder cannot be read. */
static void live_kept(text *out, const store *s)
{
    days list;
    uint64_t bytes = 0;
    char name[32], oldest[16] = "null", day[11];
    if (!days_list(&list, s->dir_fd)) days_free(&list);
    for (size_t i = 0; i < list.count; i++) {
        raw_name(list.day[i], name);
        bytes += file_size(s->dir_fd, name);
    }
    if (list.count) day_text(list.day[0], day), snprintf(oldest, sizeof oldest, "\"%s\"", day);
    text_printf(out, ",\"kept\":{\"raw_days\":%ld,\"raw_files\":%zu,\"raw_bytes\":%" PRIu64
                ",\"raw_oldest\":%s,\"daily_days\":%ld,\"daily_bytes\":%" PRIu64
                ",\"daily_behind\":%s", s->retain_days, list.count, bytes, oldest,
                s->retain_aggregates_days, file_size(s->dir_fd, "daily.ndjson"),
                s->dirty ? "true" : "false");
    text_printf(out, ",\"daily_count\":%zu}", live_days(out, &s->rows));
    days_free(&list);
}

/* live_json: the data of the next frame for a page. */
static void live_json(text *out, server *s, conn *c)
{
    const store *all = &s->store;
    bool whole = c->live_whole || c->live_epoch != all->epoch;
    uint64_t from = whole ? 0 : c->live_version, total = 0;
    char day[11], since[16] = "null";
    for (size_t i = 0; i < all->sums.count; i++) total += all->sums.rows[i]->count;
    if (all->rows.count) {
        day_text(all->rows.rows[0]->day, day);
        snprintf(since, sizeof since, "\"%s\"", day);
    }
    text_printf(out, "{\"whole\":%s,\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"total\":%" PRIu64
                ",\"since\":%s", whole ? "true" : "false", from, all->version, total, since);
    live_names(out, all, from);
    live_errors(out, all, from, whole);
    live_recent(out, all, from);
    if (whole) live_rate(out, &s->rate);
    if (whole || s->now_ms - c->kept_at_ms >= KEPT_MS) {
        live_kept(out, all);
        c->kept_at_ms = s->now_ms;
        c->kept_version = all->version;
    }
    text_puts(out, "}");
}

/* live_frame: puts the next frame into the connection's empty buffer. */
static void live_frame(server *s, conn *c)
{
    text data = {NULL, 0, 0, false};
    text_puts(&data, "event: frame\ndata: ");
    live_json(&data, s, c);
    text_puts(&data, "\n\n");
    if (!c->head.old) text_printf(&c->out, "%zx\r\n", data.size);
    text_add(&c->out, data.data, data.size);
    if (!c->head.old) text_puts(&c->out, "\r\n");
    if (data.failed || c->out.failed) c->state = CONN_DEAD;
    text_free(&data);
    c->live_version = s->store.version;
    c->live_epoch = s->store.epoch;
    c->live_whole = false;
    c->frame_at_ms = s->now_ms;
}

/* live_due_ms: when the next frame is to be made. */
static int64_t live_due_ms(const server *s, const conn *c)
{
    bool news = c->live_version != s->store.version || c->live_epoch != s->store.epoch;
    int64_t due = c->frame_at_ms + (news ? FRAME_MS : BEAT_MS);
    if (c->kept_version != s->store.version) due = earlier(due, c->kept_at_ms + KEPT_MS);
    return c->live_whole ? s->now_ms : due;
}

static void handle_live(server *s, conn *c)
{
    size_t count = 0;
    int room = LIVE_ROOM;
    for (size_t i = 0; i < s->conn_count; i++) count += s->conns[i]->state == CONN_LIVE;
    if (count >= LIVE_MAX) {
        reply_error(s, c, 503, "as many pages are open as may be", "Retry-After: 5\r\n");
        return;
    }
    reply_head(s, c, 200, "text/event-stream", NULL, -1);
    if (is_head(c)) return;
    if (!c->head.old) text_puts(&c->out, "d\r\nretry: 1000\n\n\r\n");
    else text_puts(&c->out, "retry: 1000\n\n");
    setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    c->state = CONN_LIVE;
    c->live_whole = true;
}

static const route routes[] = {
    {"/api/v1/telemetry", "POST", handle_telemetry}, {"/events", "GET, HEAD", handle_events},
    {"/stats", "GET, HEAD", handle_stats}, {"/health", "GET, HEAD", handle_health},
    {"/", "GET, HEAD", handle_index}, {"/live", "GET, HEAD", handle_live}};

static const route *route_find(const char *target)
{
    if (strncmp(target, "http://", 7) == 0) {           /* absolute form, RFC 9112, 3.2.2 */
        target = strchr(target + 7, '/');
        if (!target) target = "/";
    }
    size_t size = strcspn(target, "?");
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strlen(routes[i].path) == size && memcmp(routes[i].path, target, size) == 0)
            return &routes[i];
    return NULL;
}

/* same_secret: in a time that does not depend on how much of it is right. */
static bool same_secret(const char *secret, const char *given)
{
    size_t n = strlen(secret), m = strlen(given);
    unsigned char differs = n != m;
    for (size_t i = 0; i < n; i++) differs |= (unsigned char)(secret[i] ^ given[m ? i % m : 0]);
    return differs == 0;
}

/* request_refusal: the status that the head alone calls for, 0 when the body is worth reading. */
static int request_refusal(const options *o, const http_head *h, const route *r)
{
    bool post = strcmp(h->method, "POST") == 0, get = strcmp(h->method, "GET") == 0;
    if (!r) return 404;
    if (r->allow[0] == 'P' ? !post : !get && strcmp(h->method, "HEAD") != 0) return 405;
    if (h->length > BODY_MAX) return 413;
    if (!post) return h->host[0] && !local_name(h->host) ? 421 : 0;
    if (o->key && !same_secret(o->key, h->key)) return 401;
    if (!h->has_length && !h->chunked) return 411;
    return h->type == TYPE_JSON || h->type == TYPE_NDJSON ? 0 : 415;
}

/* == event loop ============================================================================== */

/* conn_refuse: the end of a connection whose next bytes cannot be told apart or are not wanted. */
static bool conn_refuse(server *s, conn *c, int status)
{
    c->close_after = true;
    text_clear(&c->in);
    reply_refusal(s, c, status);
    return true;
}

/* conn_send: what can be sent now; true when all is. */
static bool conn_send(conn *c)
{
    while (c->sent < c->out.size) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.size - c->sent, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) c->state = CONN_DEAD;
        if (n < 0) return false;
        c->sent += (size_t)n;
    }
    text_clear(&c->out);
    c->sent = 0;
    return true;
}

/* conn_fill: the next block of a long answer, which is empty while what is asked for is not found;
   false when there is no more. */
static bool conn_fill(server *s, conn *c)
{
    text block = {NULL, 0, 0, false};
    size_t size;
    if (!c->list) return false;
    c->list->turn = TURN_LINES;
    c->deadline_ms = s->now_ms + s->opt.timeout_ms;
    while (block.size < BLOCK_SIZE && (size = listing_line(c->list, s->store.dir_fd)) > 0)
        text_add(&block, c->list->in.line, size);
    if (block.size == 0 && c->list->turn == 0) return true;
    if (block.size == 0) listing_free(c->list), c->list = NULL;
    if (!c->head.old) text_printf(&c->out, "%zx\r\n", block.size);
    text_add(&c->out, block.data, block.size);
    if (!c->head.old) text_puts(&c->out, "\r\n");
    if (block.failed || c->out.failed) c->state = CONN_DEAD;
    text_free(&block);
    return true;
}

static void request_begin(server *s, conn *c)
{
    c->route = route_find(c->head.target);
    c->refusal = request_refusal(&s->opt, &c->head, c->route);
    c->body_left = c->head.length;
    c->state = CONN_BODY;
    memset(&c->chunk, 0, sizeof c->chunk);
    bool unread = c->refusal == 411 || c->refusal == 413 || c->head.length > BODY_MAX;
    if (c->refusal && (unread || c->head.expect)) conn_refuse(s, c, c->refusal);
    else if (c->head.expect && c->in.size == 0) {
        text_puts(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        conn_send(c);
    }
}

static bool step_head(server *s, conn *c)
{
    size_t blank = 0;
    while (blank + 1 < c->in.size && memcmp(c->in.data + blank, "\r\n", 2) == 0) blank += 2;
    text_drop(&c->in, blank);
    if (blank) c->scanned = 0;
    if (c->in.size == 0) return false;
    size_t size = http_head_size(c->in.data, c->in.size, &c->scanned);
    memset(&c->head, 0, sizeof c->head);
    if (size > HEAD_MAX || (size == 0 && c->in.size > HEAD_MAX)) return conn_refuse(s, c, 431);
    if (size == 0) return false;
    int status = http_parse(c->in.data, size, &c->head);
    if (status) return conn_refuse(s, c, status);
    text_drop(&c->in, size);
    c->scanned = 0;
    request_begin(s, c);
    return true;
}

static bool step_body(server *s, conn *c)
{
    size_t used;
    if (c->head.chunked) {
        used = chunk_decode(&c->chunk, c->in.data, c->in.size, &c->body);
        if (c->chunk.error) return conn_refuse(s, c, c->chunk.error);
    } else {
        used = c->in.size < c->body_left ? c->in.size : (size_t)c->body_left;
        text_add(&c->body, c->in.data, used);
        c->body_left -= used;
    }
    text_drop(&c->in, used);
    if (c->head.chunked ? c->chunk.state != CHUNK_DONE : c->body_left > 0) return false;
    if (c->refusal) reply_refusal(s, c, c->refusal);
    else c->route->handle_fn(s, c);
    text_clear(&c->body);
    return true;
}

static bool step_reply(server *s, conn *c)
{
    if (s->now_ms < c->reply_at_ms) return false;
    if (c->drop || c->out.failed) return c->state = CONN_DEAD, false;
    size_t before = c->sent;
    bool all = conn_send(c);
    if (c->sent != before) c->deadline_ms = s->now_ms + s->opt.timeout_ms;
    /* One block at a time: the others have their turn while a long answer goes out. */
    if (!all || conn_fill(s, c)) return false;
    c->deadline_ms = s->now_ms + s->opt.timeout_ms;
    c->state = CONN_HEAD;
    if (!c->close_after) return true;
    /* A close with unread bytes resets the connection, and the client may lose the answer. */
    shutdown(c->fd, SHUT_WR);
    c->state = CONN_LINGER;
    if (s->opt.timeout_ms > LINGER_MS) c->deadline_ms = s->now_ms + LINGER_MS;
    return false;
}

/* step_live: a frame when the one before has gone out and the next is due. */
static bool step_live(server *s, conn *c)
{
    size_t before = c->sent;
    bool all = conn_send(c);
    if (all || c->sent != before) c->deadline_ms = s->now_ms + s->opt.timeout_ms;
    if (!all || s->now_ms < live_due_ms(s, c)) return false;
    live_frame(s, c);
    return true;
}

/* conn_step: all that can be done without waiting. */
static void conn_step(server *s, conn *c)
{
    bool more = true;
    while (more) {
        switch (c->state) {
        case CONN_HEAD: more = step_head(s, c); break;
        case CONN_BODY: more = step_body(s, c); break;
        case CONN_REPLY: more = step_reply(s, c); break;
        case CONN_LIVE: more = step_live(s, c); break;
        case CONN_LINGER: case CONN_DEAD: more = false; break;
        }
    }
}

static void conn_read(server *s, conn *c)
{
    ssize_t n = recv(c->fd, s->block, sizeof s->block, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (n <= 0) {
        c->state = CONN_DEAD;
        return;
    }
    if (c->state == CONN_LINGER || c->state == CONN_LIVE) return;
    /* The time for a whole request counts from its first byte. */
    if (c->state == CONN_HEAD && c->in.size == 0) c->deadline_ms = s->now_ms + s->opt.timeout_ms;
    text_add(&c->in, s->block, (size_t)n);
    if (c->in.failed) c->state = CONN_DEAD;
}

static void conn_timeout(server *s, conn *c)
{
    bool waiting = c->state == CONN_BODY || (c->state == CONN_HEAD && c->in.size > 0);
    if (!waiting) {
        c->state = CONN_DEAD;
        return;
    }
    conn_refuse(s, c, 408);
    conn_step(s, c);
}

static void conn_ready(server *s, conn *c, short events)
{
    bool reads = c->state != CONN_REPLY && c->state != CONN_DEAD;
    if (events && c->state == CONN_BODY && c->out.size) conn_send(c);
    if (events & ~POLLOUT && reads && c->state != CONN_DEAD) conn_read(s, c);
    conn_step(s, c);
    if (s->now_ms >= c->deadline_ms && c->state != CONN_DEAD) conn_timeout(s, c);
}

static short conn_interest(const server *s, const conn *c)
{
    if (c->state == CONN_REPLY) return s->now_ms < c->reply_at_ms ? 0 : POLLOUT;
    bool sends = c->out.size && (c->state == CONN_BODY || c->state == CONN_LIVE);
    return sends ? POLLIN | POLLOUT : POLLIN;
}

/* conn_due_ms: when something is to be done for it without any byte from it. */
static int64_t conn_due_ms(const server *s, const conn *c)
{
    if (conn_interest(s, c) == 0) return c->reply_at_ms;
    return c->state == CONN_LIVE && !c->out.size ? live_due_ms(s, c) : c->deadline_ms;
}

static void conn_free(conn *c)
{
    close(c->fd);
    listing_free(c->list);
    text_free(&c->in);
    text_free(&c->body);
    text_free(&c->out);
    free(c);
}

static void conn_add(server *s, int fd)
{
    int on = 1;
    conn *c = calloc(1, sizeof *c);
    if (!c || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        close(fd);
        free(c);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->fd = fd;
    c->deadline_ms = s->now_ms + s->opt.timeout_ms;
    s->conns[s->conn_count++] = c;
}

/* server_accept: when descriptors run out, the queue of the system keeps who waits. */
static void server_accept(server *s)
{
    while (s->conn_count < s->conn_max) {
        int fd = accept(s->listen_fd, NULL, NULL);
        if (fd >= 0) {
            conn_add(s, fd);
            continue;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
            s->accept_at_ms = s->now_ms + 100;
        return;
    }
}

/* server_poll: waits for bytes or for the next thing that is due; polls[2 + i] is conns[i]. */
static bool server_poll(server *s, int stop_fd)
{
    bool listens = s->conn_count < s->conn_max && s->now_ms >= s->accept_at_ms;
    int64_t due = s->store.dirty ? earlier(s->flush_at_ms, s->retire_at_ms) : s->retire_at_ms;
    if (s->now_ms < s->accept_at_ms) due = earlier(due, s->accept_at_ms);
    s->polls[0] = (struct pollfd){stop_fd, POLLIN, 0};
    s->polls[1] = (struct pollfd){listens ? s->listen_fd : -1, POLLIN, 0};
    for (size_t i = 0; i < s->conn_count; i++) {
        const conn *c = s->conns[i];
        short interest = conn_interest(s, c);
        due = earlier(due, conn_due_ms(s, c));
        s->polls[2 + i] = (struct pollfd){interest ? c->fd : -1, interest, 0};
    }
    int64_t wait_ms = due > s->now_ms ? due - s->now_ms : 0;
    int ready = poll(s->polls, (nfds_t)(s->conn_count + 2), (int)earlier(wait_ms, 60000));
    s->now_ms = clock_ms(CLOCK_MONOTONIC);
    if (ready < 0 && errno != EINTR && errno != EAGAIN) complain("cannot", "poll", errno);
    if (ready < 0) memset(s->polls, 0, sizeof s->polls);
    return s->polls[0].revents == 0;
}

static void server_chores(server *s)
{
    if (s->now_ms >= s->retire_at_ms) {
        store_retire(&s->store, (long)(clock_ms(CLOCK_REALTIME) / 86400000));
        s->retire_at_ms = s->now_ms + RETIRE_MS;
    }
    if (s->store.dirty && s->now_ms >= s->flush_at_ms) {
        store_flush(&s->store);
        s->flush_at_ms = s->now_ms + FLUSH_MS;
    }
}

/* server_run: until a byte arrives at stop_fd. */
static void server_run(server *s, int stop_fd)
{
    s->now_ms = clock_ms(CLOCK_MONOTONIC);
    s->flush_at_ms = s->now_ms + FLUSH_MS;
    s->retire_at_ms = s->now_ms + RETIRE_MS;
    while (server_poll(s, stop_fd)) {
        for (size_t i = 0; i < s->conn_count; i++)
            conn_ready(s, s->conns[i], s->polls[2 + i].revents);
        for (size_t i = s->conn_count; i-- > 0;) {
            if (s->conns[i]->state != CONN_DEAD) continue;
            conn_free(s->conns[i]);
            s->conns[i] = s->conns[--s->conn_count];
        }
        if (s->polls[1].revents) server_accept(s);
        server_chores(s);
    }
}

/* == start and end =========================================================================== */

/* The one object of the whole process: a signal handler has no other way to its pipe. */
static int stop_pipe[2] = {-1, -1};

static void on_stop(int number)
{
    int saved = errno;
    ssize_t ignored = write(stop_pipe[1], "", 1);
    (void)ignored;
    (void)number;
    errno = saved;
}

static bool signals_open(void)
{
    struct sigaction action;
    if (pipe(stop_pipe) != 0) return complain("cannot make", "a pipe", errno), false;
    for (int i = 0; i < 2; i++) {
        fcntl(stop_pipe[i], F_SETFL, O_NONBLOCK);
        fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC);
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_stop;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
#ifdef SIGXFSZ
    sigaction(SIGXFSZ, &action, NULL);      /* a limit on file size is a disk error like others */
#endif
    return true;
}

/* server_limit: connections that the limit on open files leaves room for. */
static void server_limit(server *s)
{
    const rlim_t own = 32;          /* files, pipes and what the parent left open */
    struct rlimit limit;
    s->conn_max = CONN_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= CONN_MAX + own) return;
    limit.rlim_cur = limit.rlim_max < CONN_MAX + own ? limit.rlim_max : CONN_MAX + own;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < CONN_MAX + own)
        s->conn_max = limit.rlim_cur > own ? (size_t)(limit.rlim_cur - own) : 1;
}

static bool server_listen(server *s)
{
    int on = 1;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)s->opt.port);
    s->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->listen_fd < 0) return false;
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    fcntl(s->listen_fd, F_SETFD, FD_CLOEXEC);
    fcntl(s->listen_fd, F_SETFL, O_NONBLOCK);
    if (bind(s->listen_fd, (struct sockaddr *)&address, size) != 0) return false;
    if (listen(s->listen_fd, SOMAXCONN) != 0) return false;
    if (getsockname(s->listen_fd, (struct sockaddr *)&address, &size) != 0) return false;
    s->port = ntohs(address.sin_port);
    return true;
}

/* server_announce: where it is; the first line is for programs to read. */
static bool server_announce(const server *s)
{
    text number = {NULL, 0, 0, false};
    bool good = true;
    printf("listening on http://127.0.0.1:%ld\n", s->port);
    printf("events in %s: raw for %ld days, daily counts for %ld\n", s->opt.dir,
           s->opt.retain_days, s->opt.retain_aggregates_days);
    fflush(stdout);
    text_printf(&number, "%ld\n", s->port);
    if (s->opt.port_file) good = file_replace(AT_FDCWD, s->opt.port_file, &number);
    if (!good) complain("cannot write", s->opt.port_file, errno);
    text_free(&number);
    return good;
}

static void server_close(server *s)
{
    while (s->conn_count > 0) {
        conn *c = s->conns[--s->conn_count];
        if (c->state == CONN_REPLY && !c->drop) conn_send(c);
        conn_free(c);
    }
    if (s->listen_fd >= 0) close(s->listen_fd);
    store_close(&s->store);
    for (int i = 0; i < 2; i++) {
        if (stop_pipe[i] >= 0) close(stop_pipe[i]);
        stop_pipe[i] = -1;
    }
    free(s);
}

static int serve(const options *o)
{
    server *s = calloc(1, sizeof *s);
    if (!s) return complain("cannot start", "", ENOMEM), 1;
    s->opt = *o;
    s->random = (uint64_t)o->seed;
    s->store.retain_days = o->retain_days;
    s->store.retain_aggregates_days = o->retain_aggregates_days;
    s->listen_fd = s->store.dir_fd = s->store.lock_fd = -1;
    server_limit(s);
    bool good = signals_open() &&
                store_open(&s->store, o->dir, (long)(clock_ms(CLOCK_REALTIME) / 86400000));
    if (good && !server_listen(s)) complain("cannot listen at", "127.0.0.1", errno), good = false;
    good = good && server_announce(s);
    if (good) {
        server_run(s, stop_pipe[0]);
        good = store_flush(&s->store);
        printf("stopped, %" PRIu64 " events stored\n", s->stored);
    }
    server_close(s);
    return good ? 0 : 1;
}

/* == --show ================================================================================== */

typedef struct show_row { char name[NAME_MAX_SIZE + 1]; uint64_t count; text example; } show_row;
typedef struct show { show_row *rows; size_t count, room, widest; uint64_t total; } show;

static show_row *show_find(show *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->rows[i].name, name) == 0) return &s->rows[i];
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 32;
        show_row *rows = realloc(s->rows, room * sizeof *rows);
        if (!rows) return NULL;
        s->rows = rows;
        s->room = room;
    }
    show_row *r = &s->rows[s->count++];
    memset(r, 0, sizeof *r);
    snprintf(r->name, sizeof r->name, "%s", name);
    if (strlen(name) > s->widest) s->widest = strlen(name);
    return r;
}

/* show_file: counts a day's events; the newest of a name is its example. */
static void show_file(show *s, int dir_fd, long day)
{
    char name[32];
    reader in;
    event e;
    raw_name(day, name);
    if (!reader_open(&in, dir_fd, name)) return;
    while (reader_event(&in, &e)) {
        show_row *r = show_find(s, e.name);
        if (!r) break;
        r->count++;
        s->total++;
        r->example.size = 0;
        text_add(&r->example, in.line + e.metadata_at, e.metadata_size);
    }
    reader_close(&in);
}

/* show_text: cut to `width` characters; what a terminal would obey instead of print becomes '?'. */
static void show_text(const text *t, size_t width)
{
    size_t count = 0, at = 0, size;
    uint32_t code = 0;
    for (size_t i = 0; i < t->size; i++) count += ((unsigned char)t->data[i] & 0xC0) != 0x80;
    size_t most = count > width ? (width > 3 ? width - 3 : 0) : count;
    for (; most > 0; most--, at += size) {
        size = utf8_decode(t->data + at, t->size - at, &code);
        if (size == 0) break;
        if (code < 0x20 || (code >= 0x7F && code < 0xA0)) putchar('?');
        else fwrite(t->data + at, 1, size, stdout);
    }
    puts(count > width ? "..." : "");
}

static int show_order(const void *a, const void *b)
{
    const show_row *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->name, y->name);
}

static size_t show_width(void)
{
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) width = size.ws_col;
#endif
    return width >= 40 && width <= 1000 ? (size_t)width : 110;
}

static void show_print(const show *s, const char *path, size_t files)
{
    int widest = (int)(s->widest > 5 ? s->widest : 5);
    size_t left = (size_t)widest + 2 + 9 + 2, width = show_width();
    printf("%-*s  %9s  %s\n", widest, "EVENT", "COUNT", "NEWEST METADATA");
    for (size_t i = 0; i < s->count; i++) {
        printf("%-*s  %9" PRIu64 "  ", widest, s->rows[i].name, s->rows[i].count);
        show_text(&s->rows[i].example, width > left ? width - left : 20);
    }
    printf("%-*s  %9" PRIu64 "  in %zu file%s: %s/events-*.ndjson\n", widest, "total", s->total,
           files, files == 1 ? "" : "s", path);
}

static int show_folder(const char *path)
{
    days list;
    show s = {NULL, 0, 0, 0, 0};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !days_list(&list, fd)) {
        complain("cannot read folder", path, errno);
        if (fd >= 0) close(fd);
        return 1;
    }
    for (size_t i = 0; i < list.count; i++) show_file(&s, fd, list.day[i]);
    if (s.count) qsort(s.rows, s.count, sizeof *s.rows, show_order);
    show_print(&s, path, list.count);
    for (size_t i = 0; i < s.count; i++) text_free(&s.rows[i].example);
    free(s.rows);
    days_free(&list);
    close(fd);
    return 0;
}

/* collector_main: 0, 1 when something did not work, 2 for wrong options. */
static int collector_main(int count, char **words)
{
    options o;
    if (!options_read(&o, count, words)) return 2;
    if (o.help) return options_help(stdout), 0;
    return o.show ? show_folder(o.show) : serve(&o);
}

#ifndef COLLECTOR_NO_MAIN
int main(int count, char **words) { return collector_main(count, words); }
#endif
