/* json.c: the writer of JSON. An input is the size of the room and a list of values: texts of any
   bytes, whole numbers, doubles, members of objects. What fits is written as an encoder says that
   shares no code with the header, what does not sets `full` and changes nothing; the whole is JSON,
   and is read back as what was written. */

#include "header.h"
#include "../json_strict.h"

#define JSON_ROOM 2048u
#define JSON_TEXT 256u

/* ---- what is expected ------------------------------------------------------------------------ */

typedef struct json_want {
    size_t size;
    char   text[6 * JSON_TEXT + 2];
} json_want;

static void json_want_add(json_want *w, const char *text, size_t size)
{
    memcpy(w->text + w->size, text, size);
    w->size += size;
}

/* Bytes of the longest beginning of a character at text, which is none (Unicode 15, 3.9). */
static size_t json_subpart(const char *text, size_t size)
{
    char   whole[4];
    size_t n;
    for (n = size < 3 ? size : 3; n > 1; n--) {
        memset(whole, 0x80, sizeof whole);
        memcpy(whole, text, n);
        if (json_character(whole, whole + sizeof whole) > n) return n;
    }
    return 1;
}

static void json_want_byte(json_want *w, char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char       *special = c ? strchr(plain, c) : NULL;
    char              out[7];
    int               n = 1;
    out[0] = c;
    if (special) n = snprintf(out, sizeof out, "\\%c", letters[special - plain]);
    else if ((c >= 0 && c < 0x20) || c == 0x7F)
        n = snprintf(out, sizeof out, "\\u%04x", (unsigned)c);
    json_want_add(w, out, (size_t)n);
}

/* Unicode's own ends of lines, which many readers take for one. */
static const struct {
    const char *character, *escape;
} json_ends[] = { { "\xC2\x85", "\\u0085" },
                  { "\xE2\x80\xA8", "\\u2028" },
                  { "\xE2\x80\xA9", "\\u2029" } };

/* A character of several bytes. */
static void json_want_character(json_want *w, const char *text, size_t n)
{
    size_t i;
    for (i = 0; i < 3; i++)
        if (strlen(json_ends[i].character) == n && memcmp(text, json_ends[i].character, n) == 0) {
            json_want_add(w, json_ends[i].escape, 6);
            return;
        }
    json_want_add(w, text, n);
}

/* An encoder of strings; readable: the text as whoever reads it has it. */
static void json_want_string(json_want *w, json_want *readable, const char *text, size_t size)
{
    size_t at, n;
    w->size = readable->size = 0;
    json_want_add(w, "\"", 1);
    for (at = 0; at < size; at += n) {
        n = json_character(text + at, text + size);
        if (n == 0) {
            n = json_subpart(text + at, size - at);
            json_want_add(w, "\xEF\xBF\xBD", 3);
            json_want_add(readable, "\xEF\xBF\xBD", 3);
            continue;
        }
        json_want_add(readable, text + at, n);
        if (n == 1) json_want_byte(w, text[at]);
        else json_want_character(w, text + at, n);
    }
    json_want_add(w, "\"", 1);
}

/* ---- reading back ---------------------------------------------------------------------------- */

static char json_unescaped(const char *p)
{
    static const char letters[] = "bfnrt", plain[] = "\b\f\n\r\t";
    const char       *at = strchr(letters, *p);
    return at ? plain[at - letters] : *p;
}

/* Is it the string that begins behind the quote at p? */
static void json_read_string(const char *p, const json_want *readable)
{
    char   out[sizeof readable->text];
    size_t n = 0;
    for (p++; *p != '"'; p++) {
        if (*p != '\\') {
            out[n++] = *p;
        } else if (*++p == 'u') {
            size_t i;
            char   hex[5] = "";
            memcpy(hex, p + 1, 4);
            for (i = 0; i < 3 && memcmp(json_ends[i].escape + 2, hex, 4) != 0;) i++;
            if (i < 3) {
                memcpy(out + n, json_ends[i].character, strlen(json_ends[i].character));
                n += strlen(json_ends[i].character);
            } else {
                out[n++] = (char)strtoul(hex, NULL, 16);
            }
            p += 4;
        } else {
            out[n++] = json_unescaped(p);
        }
    }
    demand(n == readable->size && memcmp(out, readable->text, n) == 0, "a text is read back");
}

/* Is it this number, in as few digits as will do? */
static void json_read_real(const char *text, size_t size, double value)
{
    char     copy[48], shorter[48];
    uint64_t bits, back_bits;
    double   back;
    size_t   i, digits = 0, leading = 1;
    memcpy(&bits, &value, sizeof bits);
    if ((bits >> 52 & 0x7FF) == 0x7FF) {
        demand(size == 4 && memcmp(text, "null", 4) == 0, "what is no number is null");
        return;
    }
    demand(size < 32, "a number is short");
    memcpy(copy, text, size);
    copy[size] = 0;
    back = strtod(copy, NULL);
    memcpy(&back_bits, &back, sizeof bits);
    demand(bits == back_bits, "a double is read back");
    for (i = 0; i < size && copy[i] != 'e'; i++) {
        if (copy[i] < '0' || copy[i] > '9') continue;
        leading = leading && copy[i] == '0';
        digits += !leading;
    }
    while (i-- > 0 && digits > 1 && (copy[i] == '0' || copy[i] == '.')) digits -= copy[i] == '0';
    if (digits < 2) return;
    snprintf(shorter, sizeof shorter, "%.*e", (int)digits - 2, value);
    demand(strtod(shorter, NULL) < value || strtod(shorter, NULL) > value, "no digit too many");
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct {
    char data[JSON_ROOM], guard[FUZZ_GUARD];
} json_out;
static json_want json_wanted, json_readable;

/* What a call wrote that began at `from`: this, or nothing where it does not fit. True: it is
   there. */
static bool json_wrote(const vitp_json *j, size_t from, const char *want, size_t size)
{
    demand(j->size <= j->capacity, "no more than the capacity");
    demand(j->full == (size > j->capacity - from), "full exactly when it does not fit");
    demand(j->size == from + (j->full ? 0 : size), "what does not fit leaves the text as it was");
    demand(j->full || memcmp(j->data + from, want, size) == 0, "it is what was to be written");
    return !j->full;
}

static bool json_put_raw(vitp_json *j, const char *text)
{
    size_t from = j->size;
    vitp_json_text(j, text);
    return json_wrote(j, from, text, strlen(text));
}

static bool json_put_string(vitp_json *j, fuzz_feed *f)
{
    size_t      size = fuzz_u8(f), from = j->size;
    const char *text = (const char *)fuzz_bytes(f, &size);
    json_want_string(&json_wanted, &json_readable, text, size);
    vitp_json_string(j, text, size);
    if (!json_wrote(j, from, json_wanted.text, json_wanted.size)) return false;
    json_read_string(j->data + from, &json_readable);
    return true;
}

static bool json_put_int(vitp_json *j, int64_t value)
{
    char   want[24];
    size_t from = j->size;
    snprintf(want, sizeof want, "%lld", (long long)value);
    vitp_json_int(j, value);
    return json_wrote(j, from, want, strlen(want));
}

static bool json_put_real(vitp_json *j, double value)
{
    char      room[64];
    uint64_t  bits;
    vitp_json alone = { NULL, 0, sizeof room, false };
    size_t    from = j->size;
    alone.data = room;
    memcpy(&bits, &value, sizeof bits);
    vitp_json_real(&alone, bits);
    demand(!alone.full, "a number is short");
    json_read_real(room, alone.size, value);
    vitp_json_real(j, bits);
    return json_wrote(j, from, room, alone.size);
}

static double json_double(fuzz_feed *f, bool any)
{
    uint64_t bits = any ? fuzz_u64(f) : 0;
    double   value;
    if (!any) return (double)(int16_t)fuzz_u16(f) / 1000.0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool json_put_value(vitp_json *j, fuzz_feed *f, unsigned what)
{
    switch (what & 7u) {
    case 0: return json_put_int(j, (int64_t)fuzz_u64(f));
    case 1: return json_put_int(j, (int8_t)fuzz_u8(f));
    case 2: return json_put_real(j, json_double(f, true));
    case 3: return json_put_real(j, json_double(f, false));
    case 4: return json_put_raw(j, what & 8u ? "true" : "null");
    default: return json_put_string(j, f);
    }
}

/* An element of the outermost array: a value, or an object of one member. */
static bool json_put_element(vitp_json *j, fuzz_feed *f)
{
    unsigned what = fuzz_u8(f);
    if (j->size > 1 && !json_put_raw(j, ",")) return false;
    if (what < 0x80u) return json_put_value(j, f, what);
    return json_put_raw(j, "{") && json_put_string(j, f) && json_put_raw(j, ":") &&
           json_put_value(j, f, what) && json_put_raw(j, "}");
}

static void fuzz_json(const uint8_t *data, size_t size)
{
    fuzz_feed f = { data, size };
    vitp_json j = { NULL, 0, 0, false };
    char     *end;
    size_t    mark;
    j.capacity = 1u + fuzz_u16(&f) % (JSON_ROOM - 1u); /* and a byte for the bracket */
    j.data = json_out.data + JSON_ROOM - j.capacity - 1u;
    end = j.data + j.capacity;
    *end = 0x55;
    fuzz_guard(json_out.guard);
    if (!json_put_raw(&j, "[")) return;
    while (f.left > 0) {
        mark = j.size;
        if (json_put_element(&j, &f)) continue;
        j.size = mark; /* as the header's own callers do */
        j.full = false;
    }
    demand(*end == 0x55, "writes within the capacity");
    j.capacity++;
    demand(json_put_raw(&j, "]"), "the bracket has a byte");
    fuzz_guarded(json_out.guard);
    demand(json_is_valid(j.data, j.size), "JSON");
}

FUZZ_TARGET(json)
