/* scrub.c - what must hold for every text that vit_scrub is given

   The first byte of an input chooses the size of the short buffer; the rest is the text. */

#include "header.h"

#define NONE SIZE_MAX
/* A buffer may end this much before its end: a marker, or a character, is whole or not there. */
#define CUT_MAX 8u

static const char *const markers[] = {
    "[email]", "[ip]",   "[mac]",  "[path]", "[url]", "[secret]", "[token]", "[jwt]", "[key]",
    "[user]",  "[host]", "[card]", "[iban]", "[ssn]", "[phone]",  "[hex]",   "[b64]", "[id]",
};

static vitp_scrub_core        cores[2][3];
static const vitp_scrub_value known[] = {
    { "mkowalska", 9, "[user]", true, NULL },     { "/home/mkowalska", 15, "[path]", true, NULL },
    { "buildbox-7", 10, "[host]", true, NULL },   { "S3cr3t!x", 8, "[secret]", false, cores[0] },
    { "a@b.cc", 6, "[secret]", false, cores[1] },
};

static void encode_known(void)
{
    static bool done;
    size_t      i, k;

    if (done) return;
    done = true;
    for (i = 0; i < 2; i++)
        for (k = 0; k < 3; k++)
            vitp_scrub_encode(&cores[i][k], known[3 + i].text, known[3 + i].size, k);
}

typedef struct scrub_whole {
    char  *bytes;
    size_t size;
} scrub_whole;

static char *allocate(size_t size)
{
    char *p = (char *)malloc(size);

    if (!p) exit(2);
    return p;
}

/* ---- what is looked at --------------------------------------------------------------------- */

/* Scrubs into a buffer of exactly out_size bytes. Returns what vit_scrub does. */
static size_t scrub(const vitp_scrub_values *values, char *out, size_t out_size, const char *bytes,
                    size_t size, size_t *kept)
{
    size_t length, i;

    memset(out, FUZZ_GUARD_BYTE, out_size + FUZZ_GUARD);
    if (values) length = vitp_scrub_text(out, out_size, bytes, size, values, kept);
    else length = vit_scrub(out, out_size, bytes, size);
    for (i = 0; i < FUZZ_GUARD; i++)
        demand((unsigned char)out[out_size + i] == FUZZ_GUARD_BYTE, "writes within out_size");
    return length;
}

/* The whole scrubbed text, NUL-terminated. */
static scrub_whole scrub_all(const vitp_scrub_values *values, const char *bytes, size_t size)
{
    scrub_whole t;
    size_t      kept = NONE;

    if (values) t.size = vitp_scrub_text(NULL, 0, bytes, size, values, NULL);
    else t.size = vit_scrub(NULL, 0, bytes, size);
    t.bytes = allocate(t.size + 1 + FUZZ_GUARD);
    demand(scrub(values, t.bytes, t.size + 1, bytes, size, &kept) == t.size, "one length");
    demand(!values || kept == t.size, "all of it is kept");
    demand(t.bytes[t.size] == '\0', "a NUL at the end");
    if (!memchr(bytes, 0, size)) demand(strlen(t.bytes) == t.size, "no NUL of its own");
    return t;
}

/* Bytes of the marker that begins at `at`, or 0. */
static size_t marker_at(const scrub_whole *t, size_t at)
{
    size_t i;

    if (t->bytes[at] != '[') return 0;
    for (i = 0; i < sizeof markers / sizeof *markers; i++) {
        size_t size = strlen(markers[i]);

        if (size <= t->size - at && memcmp(t->bytes + at, markers[i], size) == 0) return size;
    }
    return 0;
}

static size_t count_markers(const scrub_whole *t)
{
    size_t at, n = 0;

    for (at = 0; at < t->size; at++) n += marker_at(t, at) != 0;
    return n;
}

static bool cuts_marker(const scrub_whole *t, size_t cut)
{
    size_t at;

    for (at = cut < CUT_MAX ? 0 : cut - CUT_MAX; at < cut; at++)
        if (at + marker_at(t, at) > cut) return true;
    return false;
}

/* Is the cut inside a whole character (RFC 3629; overlong ones count)? */
static bool cuts_character(const scrub_whole *t, size_t cut)
{
    size_t back, i;

    for (back = 1; back <= 3 && back <= cut; back++) {
        unsigned char c = (unsigned char)t->bytes[cut - back];
        size_t        size = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

        if (c >= 0x80 && c < 0xC0) continue;
        if (size <= back || c >= 0xF8 || cut - back + size > t->size) return false;
        for (i = 1; i < size; i++)
            if (((unsigned char)t->bytes[cut - back + i] & 0xC0) != 0x80) return false;
        return true;
    }
    return false;
}

/* ---- promises ------------------------------------------------------------------------------ */

static void check_short(const vitp_scrub_values *values, const char *bytes, size_t size,
                        const scrub_whole *whole, size_t out_size)
{
    char  *out = allocate(out_size + FUZZ_GUARD);
    size_t kept = NONE;

    demand(scrub(values, out, out_size, bytes, size, &kept) == whole->size,
           "the length does not depend on the buffer");
    if (out_size && kept == NONE && !memchr(whole->bytes, 0, whole->size)) {
        demand(memchr(out, 0, out_size) != NULL, "a NUL in a short buffer");
        kept = strlen(out);
    }
    if (out_size && kept != NONE) {
        size_t fits = whole->size < out_size - 1 ? whole->size : out_size - 1;

        demand(kept <= fits && out[kept] == '\0', "a NUL after what is kept");
        demand(kept + CUT_MAX > fits, "keeps what fits");
        demand(memcmp(out, whole->bytes, kept) == 0, "a short text begins like the whole one");
        demand(kept == whole->size || !cuts_marker(whole, kept), "no cut in a marker");
        demand(kept == whole->size || !cuts_character(whole, kept), "no cut in a character");
    }
    free(out);
}

static bool contains(const scrub_whole *t, const char *bytes, size_t size)
{
    size_t at;

    for (at = 0; at + size <= t->size; at++)
        if (t->bytes[at] == *bytes && memcmp(t->bytes + at, bytes, size) == 0) return true;
    return false;
}

static void check_text(const vitp_scrub_values *values, const char *bytes, size_t size,
                       unsigned choice)
{
    scrub_whole whole = scrub_all(values, bytes, size), twice;
    size_t      i;

    demand(whole.size <= size + 8 * count_markers(&whole), "8 bytes more a span at most");
    twice = scrub_all(values, whole.bytes, whole.size);
    demand(twice.size == whole.size && memcmp(twice.bytes, whole.bytes, whole.size) == 0,
           "scrubbing twice changes nothing");
    check_short(values, bytes, size, &whole, choice % (whole.size + 2));
    check_short(values, bytes, size, &whole, choice % 16);
    for (i = 0; values && i < sizeof known / sizeof *known; i++)
        if (!known[i].whole_word)
            demand(!contains(&whole, known[i].text, known[i].size), "no registered secret is left");
    free(twice.bytes);
    free(whole.bytes);
}

static void fuzz_scrub(const uint8_t *data, size_t size)
{
    vitp_scrub_values values;
    char             *bytes;

    if (size == 0) return;
    bytes = allocate(size - 1 ? size - 1 : 1); /* exactly: a sanitizer sees each byte beyond it */
    memcpy(bytes, data + 1, size - 1);
    encode_known();
    vitp_scrub_values_init(&values, known, sizeof known / sizeof *known);
    check_text(NULL, bytes, size - 1, data[0]);
    check_text(&values, bytes, size - 1, data[0]);
    free(bytes);
}

FUZZ_TARGET(scrub)
