/* test_json.c: the writer of JSON: strings, numbers, and memory that is too small.

   Build:   cc -std=c99 -g -I. tests/test_json.c -o build/tests/test_json -lcmocka -pthread
   Run from the repository root (locales go to build/). */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chance.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
#define FFFD "\xEF\xBF\xBD"

static vitp_json writer(char *data, size_t capacity)
{
    vitp_json j;
    memset(&j, 0, sizeof j);
    j.data     = data;
    j.capacity = capacity;
    return j;
}

static void assert_written(const vitp_json *j, const char *want, size_t size)
{
    if (j->full || j->size != size || memcmp(j->data, want, size) != 0)
        fail_msg("[%.*s] is not [%.*s]%s", (int)j->size, j->data, (int)size, want,
                 j->full ? " (full)" : "");
}

/* ---- a strict reader of one JSON string (RFC 8259, 7) ---------------------------------------- */

/* Rows of the Unicode standard's table 3-7: well-formed UTF-8. */
static const struct { unsigned char first, last, low, high; size_t size; } forms[] = {
    { 0x00, 0x7F, 0x00, 0x00, 1 }, { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
    { 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 }, { 0xEE, 0xEF, 0x80, 0xBF, 3 },
    { 0xF0, 0xF0, 0x90, 0xBF, 4 }, { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
};

/* Bytes at text that are a character (*good) or the most of one that is broken off. */
static size_t character(const char *text, size_t size, bool *good)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t               row, n;
    *good = false;
    for (row = 0; row < COUNT_OF(forms); row++)
        if (b[0] >= forms[row].first && b[0] <= forms[row].last) break;
    if (row == COUNT_OF(forms)) return 1;
    for (n = 1; n < forms[row].size; n++) {
        unsigned char low = n == 1 ? forms[row].low : 0x80, high = n == 1 ? forms[row].high : 0xBF;
        if (n >= size || b[n] < low || b[n] > high) return n;
    }
    *good = true;
    return n;
}

/* Ends of lines that are no control characters of JSON's: U+0085, U+2028, U+2029. */
static const struct { unsigned long code; const char *text; } line_ends[] = {
    { 0x85, "\xC2\x85" }, { 0x2028, "\xE2\x80\xA8" }, { 0x2029, "\xE2\x80\xA9" },
};

static bool read_escape(const char *text, size_t size, size_t *used, char out[4])
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char       *name;
    unsigned long     code;
    char              digits[5] = { 0 }, *end;
    size_t            i;
    memset(out, 0, 4);
    if (size < 2) return false;
    name = text[1] ? strchr(names, text[1]) : NULL;
    if (name) {
        *out  = meanings[name - names];
        *used = 2;
        return true;
    }
    if (text[1] != 'u' || size < 6) return false;
    memcpy(digits, text + 2, 4);
    if (strspn(digits, "0123456789abcdefABCDEF") != 4) return false;
    code = strtoul(digits, &end, 16);
    *used = 6;
    *out  = (char)code;
    if (code < 0x80) return true;
    for (i = 0; i < COUNT_OF(line_ends); i++)
        if (code == line_ends[i].code) return strcpy(out, line_ends[i].text) != NULL;
    return false; /* the writer has no reason to escape others */
}

/* The text inside of the quotes, which take up all of `size`. */
static bool read_string(const char *text, size_t size, char *out, size_t *out_size)
{
    size_t i = 1, n, k;
    bool   good;
    char   meant[4];
    *out_size = 0;
    if (size < 2 || text[0] != '"') return false;
    while (i < size && text[i] != '"') {
        if (text[i] == '\\') {
            if (!read_escape(text + i, size - i, &n, meant)) return false;
            k = meant[0] ? strlen(meant) : 1;
            memcpy(out + *out_size, meant, k);
            *out_size += k;
        } else {
            if ((unsigned char)text[i] < 0x20) return false;
            n = character(text + i, size - i, &good);
            if (!good) return false;
            for (k = 0; k < COUNT_OF(line_ends); k++)
                if (n == strlen(line_ends[k].text) && memcmp(text + i, line_ends[k].text, n) == 0)
                    return false; /* these are escaped */
            memcpy(out + *out_size, text + i, n);
            *out_size += n;
        }
        i += n;
    }
    return i + 1 == size;
}

/* The text with U+FFFD for each broken part of a character. */
static size_t repaired(char *out, const char *text, size_t size)
{
    size_t i = 0, n, at = 0;
    bool   good;
    for (; i < size; i += n) {
        n = character(text + i, size - i, &good);
        memcpy(out + at, good ? text + i : FFFD, good ? n : 3);
        at += good ? n : 3;
    }
    return at;
}

static void test_reader(void **state)
{
    static const char *const bad[] = { "", "\"", "a", "\"a", "a\"", "\"\"\"", "\"\n\"", "\"\x1F\"",
                                       "\"\\\"", "\"\\x\"", "\"\\u00\"", "\"\\u00g0\"", "\"\x80\"",
                                       "\"\xC3\"", "\"\xED\xA0\x80\"", "\"\xC0\x80\"" };
    char   out[64];
    size_t i, size;
    (void)state;
    for (i = 0; i < COUNT_OF(bad); i++)
        if (read_string(bad[i], strlen(bad[i]), out, &size)) fail_msg("accepted %s", bad[i]);
    assert_true(read_string("\"a\\n\\u0001\xC3\xA9\"", 13, out, &size));
    assert_int_equal(size, 5);
    assert_memory_equal(out, "a\n\x01\xC3\xA9", 5);
}

/* ---- strings --------------------------------------------------------------------------------- */

static void assert_string(const char *text, size_t size, const char *want)
{
    char      data[512];
    vitp_json j = writer(data, sizeof data);
    vitp_json_string(&j, text, size);
    assert_written(&j, want, strlen(want));
}

static void test_escapes(void **state)
{
    static const char *const shorts[128] = {
        ['\b'] = "\"\\b\"", ['\f'] = "\"\\f\"", ['\n'] = "\"\\n\"",   ['\r'] = "\"\\r\"",
        ['\t'] = "\"\\t\"", ['"'] = "\"\\\"\"", ['\\'] = "\"\\\\\"",
    };
    char want[16], text[2];
    int  c;
    (void)state;
    for (c = 0; c < 0x7F; c++) { /* DEL may stand for itself or not: test_all_bytes reads it back */
        text[0] = (char)c;
        if (shorts[c]) snprintf(want, sizeof want, "%s", shorts[c]);
        else if (c < 0x20) snprintf(want, sizeof want, "\"\\u%04x\"", (unsigned)c);
        else snprintf(want, sizeof want, "\"%c\"", c);
        assert_string(text, 1, want);
    }
    assert_string("", 0, "\"\"");
    assert_string("a\"b\\c/d'e", 9, "\"a\\\"b\\\\c/d'e\"");
    assert_string("\"\"", 2, "\"\\\"\\\"\"");
    assert_string("a\0b\0", 4, "\"a\\u0000b\\u0000\"");
    assert_string("\0", 1, "\"\\u0000\"");
    assert_string("abcdef", 3, "\"abc\"");
}

/* After Markus Kuhn's decoder stress test; what is malformed becomes one U+FFFD a maximal part. */
static const struct { const char *text, *want; } utf8_rows[] = {
    /* the first and the last of each length, and at the edges of what is allowed */
    { "\xC2\x80", NULL }, { "\xDF\xBF", NULL }, { "\xE0\xA0\x80", NULL }, { "\xEF\xBF\xBF", NULL },
    { "\xF0\x90\x80\x80", NULL }, { "\xF4\x8F\xBF\xBF", NULL }, { "\xED\x9F\xBF", NULL },
    { "\xEE\x80\x80", NULL }, { FFFD, NULL }, { "\xEF\xBF\xBE", NULL }, { "\xEF\xBB\xBF", NULL },
    { "\xE2\x80\xA8", "\\u2028" }, { "\xE2\x80\xA9", "\\u2029" }, { "\xC2\x85", "\\u0085" },
    { "\xE2\x80\xA7", NULL }, { "\xE2\x80\xAA", NULL }, { "\xC2\x84", NULL },
    { "a\xE2\x80\xA8" "b\xC2\x85", "a\\u2028b\\u0085" }, { "\xCE\xBA\xE1\xBD\xB9\xCF\x83", NULL },
    { "\xF0\x9F\x98\x80" "a" "\xC3\xA9", NULL },
    /* above U+10FFFF, and leads of five and six bytes */
    { "\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD }, { "\xF5\x80\x80\x80", FFFD FFFD FFFD FFFD },
    { "\xF7\xBF\xBF\xBF", FFFD FFFD FFFD FFFD },
    { "\xF8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD },
    { "\xFC\x84\x80\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD FFFD },
    /* stray continuation bytes */
    { "\x80", FFFD }, { "\xBF", FFFD }, { "\x80\xBF", FFFD FFFD },
    { "\x80\xBF\x80", FFFD FFFD FFFD },
    { "a\x80" "b", "a" FFFD "b" }, { "\xC3\xA9\xA9", "\xC3\xA9" FFFD },
    /* leads alone */
    { "\xC2 ", FFFD " " }, { "\xDF ", FFFD " " }, { "\xE0 ", FFFD " " }, { "\xEF ", FFFD " " },
    { "\xF0 ", FFFD " " }, { "\xF4 ", FFFD " " }, { "\xC0 ", FFFD " " }, { "\xC1 ", FFFD " " },
    { "\xF8 ", FFFD " " }, { "\xFE", FFFD }, { "\xFF", FFFD },
    { "\xFE\xFE\xFF\xFF", FFFD FFFD FFFD FFFD },
    { "\xC3\xC3\xA9", FFFD "\xC3\xA9" }, { "\xE2\xE2\x82\xAC", FFFD "\xE2\x82\xAC" },
    /* cut off */
    { "\xC3", FFFD }, { "\xE2", FFFD }, { "\xE2\x82", FFFD }, { "\xF0", FFFD },
    { "\xF0\x9F", FFFD },
    { "\xF0\x9F\x98", FFFD }, { "\xE2\x82" "A", FFFD "A" }, { "\xF0\x9F\x98" "A", FFFD "A" },
    { "\xE2\x82\"", FFFD "\\\"" }, { "\xF0\x9F\n", FFFD "\\n" }, { "\xF0\x9F\xE2\x82", FFFD FFFD },
    { "\xC3\xE2\x82\xF0\x9F\x98", FFFD FFFD FFFD },
    /* overlong: the second byte could not have followed */
    { "\xC0\xAF", FFFD FFFD }, { "\xC1\xBF", FFFD FFFD }, { "\xC0\x80", FFFD FFFD },
    { "\xE0\x80\xAF", FFFD FFFD FFFD }, { "\xE0\x9F\xBF", FFFD FFFD FFFD },
    { "\xF0\x80\x80\xAF", FFFD FFFD FFFD FFFD }, { "\xF0\x8F\xBF\xBF", FFFD FFFD FFFD FFFD },
    /* surrogates, alone and in pairs */
    { "\xED\xA0\x80", FFFD FFFD FFFD }, { "\xED\xAF\xBF", FFFD FFFD FFFD },
    { "\xED\xB0\x80", FFFD FFFD FFFD }, { "\xED\xBF\xBF", FFFD FFFD FFFD },
    { "\xED\xA0\x80\xED\xB0\x80", FFFD FFFD FFFD FFFD FFFD FFFD },
    /* the example of the Unicode standard, table 3-8 */
    { "\xF1\x80\x80\xE1\x80\xC2" "b\x80" "c\x80\xBF" "d",
      FFFD FFFD FFFD "b" FFFD "c" FFFD FFFD "d" },
};

static void test_utf8(void **state)
{
    char   want[128];
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(utf8_rows); i++) {
        const char *text = utf8_rows[i].text;
        snprintf(want, sizeof want, "\"%s\"", utf8_rows[i].want ? utf8_rows[i].want : text);
        assert_string(text, strlen(text), want);
    }
}

/* A character that is cut off by the size is not completed from behind it. */
static void test_utf8_size(void **state)
{
    (void)state;
    assert_string("\xE2\x82\xAC", 2, "\"" FFFD "\"");
    assert_string("\xF0\x9F\x98\x80", 3, "\"" FFFD "\"");
    assert_string("a\xC3\xA9", 2, "\"a" FFFD "\"");
}

static void assert_reads_back(const char *text, size_t size)
{
    char      data[4096], out[4096], want[4096];
    size_t    out_size, want_size = repaired(want, text, size);
    vitp_json j = writer(data, sizeof data);
    vitp_json_string(&j, text, size);
    assert_false(j.full);
    if (!read_string(j.data, j.size, out, &out_size))
        fail_msg("no JSON: %.*s", (int)j.size, j.data);
    assert_int_equal(out_size, want_size);
    assert_memory_equal(out, want, want_size);
}

/* Each one byte, and each two bytes. */
static void test_all_bytes(void **state)
{
    unsigned i;
    char     text[2];
    (void)state;
    for (i = 0; i < 0x10000; i++) {
        text[0] = (char)(i & 0xFF);
        text[1] = (char)(i >> 8);
        assert_reads_back(text, 1);
        assert_reads_back(text, 2);
    }
}

/* Each byte at each place of a text that is looked at by eight bytes, as when it stands alone. */
static void test_each_byte_at_each_place(void **state)
{
    char      text[24], whole[256], alone[16], want[256];
    vitp_json j;
    size_t    at, used;
    unsigned  c;
    (void)state;
    for (c = 0; c < 256; c++)
        for (at = 0; at < sizeof text; at++) {
            memset(text, 'a', sizeof text);
            text[at] = (char)(unsigned char)c;
            memset(&j, 0, sizeof j);
            j.data = alone;
            j.capacity = sizeof alone;
            vitp_json_string(&j, text + at, 1);
            assert_false(j.full);
            used = j.size - 2; /* without its quotes */
            memset(want, 'a', sizeof want);
            want[0] = '"';
            memcpy(want + 1 + at, alone + 1, used);
            want[sizeof text + used] = '"';
            memset(&j, 0, sizeof j);
            j.data = whole;
            j.capacity = sizeof whole;
            vitp_json_string(&j, text, sizeof text);
            assert_int_equal(j.size, sizeof text + used + 1);
            assert_memory_equal(whole, want, j.size);
        }
}

static void test_random_strings(void **state)
{
    static const unsigned char edges[] = {
        0x00, 0x1F, 0x20, '"', '\\', 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
        0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
    };
    char   text[400];
    size_t run, i, size;
    (void)state;
    random_state = 0x7503;
    for (run = 0; run < 100000; run++) {
        size = random_below(run % 10 ? 12 : (uint32_t)sizeof text);
        for (i = 0; i < size; i++)
            text[i] = (char)(run % 2 ? random_below(256) : edges[random_below(COUNT_OF(edges))]);
        assert_reads_back(text, size);
    }
}

/* ---- whole numbers --------------------------------------------------------------------------- */

static void test_int(void **state)
{
    static const struct { int64_t value; const char *want; } rows[] = {
        { 0, "0" }, { 1, "1" }, { -1, "-1" }, { 9, "9" }, { 10, "10" }, { -10, "-10" },
        { 99, "99" }, { 100, "100" }, { 2147483647, "2147483647" }, { 2147483648, "2147483648" },
        { 4294967296, "4294967296" }, { 1000000000000000000, "1000000000000000000" },
        { INT64_MAX, "9223372036854775807" }, { INT64_MIN, "-9223372036854775808" },
        { INT64_MIN + 1, "-9223372036854775807" },
    };
    char   data[32], want[32];
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        vitp_json j = writer(data, sizeof data);
        vitp_json_int(&j, rows[i].value);
        assert_written(&j, rows[i].want, strlen(rows[i].want));
    }
    random_state = 0x1B7;
    for (i = 0; i < 100000; i++) {
        int64_t   value = (int64_t)(random_bits() >> (i % 64)) * (i % 2 ? 1 : -1);
        vitp_json j     = writer(data, sizeof data);
        snprintf(want, sizeof want, "%" PRId64, value);
        vitp_json_int(&j, value);
        assert_written(&j, want, strlen(want));
    }
}

/* ---- doubles --------------------------------------------------------------------------------- */

static void put_real(vitp_json *j, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    vitp_json_real(j, bits);
}

static size_t real_text(char out[64], double value)
{
    vitp_json j = writer(out, 63);
    put_real(&j, value);
    assert_false(j.full);
    out[j.size] = 0;
    return j.size;
}

static void test_real(void **state)
{
    static const struct { double value; const char *want; } rows[] = {
        { 0.0, "0" }, { -0.0, "-0" }, { 1.0, "1" }, { -1.0, "-1" }, { 0.1, "0.1" }, { 0.2, "0.2" },
        { 656090195257306.75, "656090195257306.8" }, { 656090195257306.25, "656090195257306.2" },
        { 0.3, "0.3" }, { 0.1 + 0.2, "0.30000000000000004" }, { 0.5, "0.5" }, { 1.5, "1.5" },
        { 100.0, "100" }, { 1234.5678, "1234.5678" }, { 1e6, "1000000" },
        { 1e14, "100000000000000" },
        { 123456789012345.0, "123456789012345" }, { 0.0001, "0.0001" }, { 1e-5, "1e-05" },
        { 1e21, "1e+21" }, { 1e22, "1e+22" }, { 1e23, "1e+23" }, { 1e100, "1e+100" },
        { 1e-100, "1e-100" }, { 3.141592653589793, "3.141592653589793" },
        { 1.0 / 3.0, "0.3333333333333333" }, { 2.0 / 3.0, "0.6666666666666666" },
        { 9007199254740991.0, "9007199254740991" }, { 9007199254740992.0, "9007199254740992" },
        { 2251799813685248.5, "2251799813685248.5" }, { 5e-324, "5e-324" }, { -5e-324, "-5e-324" },
        { 1e-323, "1e-323" }, { 1.5e-323, "1.5e-323" }, { 9.5e-322, "9.5e-322" },
        { 5e-320, "5e-320" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 2.225073858507201e-308, "2.225073858507201e-308" },
        { DBL_MAX, "1.7976931348623157e+308" }, { -DBL_MAX, "-1.7976931348623157e+308" },
        { 1.0 + DBL_EPSILON, "1.0000000000000002" }, { 299792458.0, "299792458" },
        { 6.02214076e23, "6.02214076e+23" }, { 0.05, "0.05" }, { 12.75, "12.75" },
        { (double)NAN, "null" }, { -(double)NAN, "null" }, { (double)INFINITY, "null" },
        { -(double)INFINITY, "null" },
    };
    char   text[64];
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        (void)real_text(text, rows[i].value);
        assert_string_equal(text, rows[i].want);
    }
}

/* A number by the grammar of RFC 8259, 6. */
static bool is_number(const char *s)
{
    if (*s == '-') s++;
    if (*s == '0') s++;
    else if (*s >= '1' && *s <= '9') s += strspn(s, "0123456789");
    else return false;
    if (*s == '.') {
        if (!strspn(++s, "0123456789")) return false;
        s += strspn(s, "0123456789");
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-') s++;
        if (!strspn(s, "0123456789")) return false;
        s += strspn(s, "0123456789");
    }
    return *s == 0;
}

static int digits_of(const char *text)
{
    char   digits[64];
    size_t n = 0, first;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9') digits[n++] = *text;
    while (n > 1 && digits[n - 1] == '0') n--;
    digits[n] = 0;
    first     = strspn(digits, "0");
    return n > first ? (int)(n - first) : 1;
}

/* True when some decimal number of so many digits reads back as value: the nearest one, or one of
   its neighbours, which at a power of two can be nearer in reading than the nearest in writing. */
static bool fits_in(double value, int digits)
{
    char     text[64], *exponent;
    uint64_t mantissa = 0;
    int      i, off, power;
    snprintf(text, sizeof text, "%.*e", digits - 1, fabs(value));
    for (i = 0; text[i] != 'e'; i++)
        if (text[i] != '.') mantissa = mantissa * 10 + (uint64_t)(text[i] - '0');
    exponent = text + i + 1;
    power    = (int)strtol(exponent, NULL, 10) - (digits - 1);
    for (off = -1; off <= 1; off++) {
        snprintf(text, sizeof text, "%" PRIu64 "e%d", mantissa + (uint64_t)(int64_t)off, power);
        if (!(strtod(text, NULL) < fabs(value)) && !(strtod(text, NULL) > fabs(value))) return true;
    }
    return false;
}

static bool same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

/* Reads back the same, and no text with one digit less does. */
static bool is_shortest(double value)
{
    char text[64];
    int  digits;
    (void)real_text(text, value);
    digits = digits_of(text);
    if (!is_number(text) || !same_bits(strtod(text, NULL), value)) {
        print_error("%a gives %s, which does not read back\n", value, text);
        return false;
    }
    if (digits > 17 || (digits > 1 && fits_in(value, digits - 1))) {
        print_error("%a gives %s, and a digit less would do\n", value, text);
        return false;
    }
    return true;
}

static void test_real_random(void **state)
{
    size_t i, wrong = 0;
    (void)state;
    random_state = 0xD0B1E;
    for (i = 0; i < 200000 && wrong < 10; i++) {
        uint64_t bits = random_bits();
        double   value;
        char     text[64];
        if (i % 8 == 0) bits &= 0x800FFFFFFFFFFFFFu; /* denormal */
        if (i % 8 == 1) bits = (bits & 0xFFFF000000000000u) + 1 + (bits & 15); /* next to round */
        memcpy(&value, &bits, sizeof value);
        if (i % 8 == 2) value = (double)random_below(1000000) / 1000.0; /* what people measure */
        if (isfinite(value)) {
            wrong += !is_shortest(value);
        } else {
            (void)real_text(text, value);
            assert_string_equal(text, "null");
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_real_powers_of_two(void **state)
{
    size_t wrong = 0;
    int    power;
    (void)state;
    for (power = -1074; power <= 1023; power++) {
        char hex[16];
        snprintf(hex, sizeof hex, "0x1p%d", power);
        wrong += !is_shortest(strtod(hex, NULL));
    }
    assert_int_equal(wrong, 0);
}

/* The host rounds in another way: the digits are the same. */
static void test_real_rounding(void **state)
{
    static const int modes[] = {
        FE_TONEAREST,
#ifdef FE_DOWNWARD /* where the machine has other modes */
        FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO
#endif
    };
    static char      texts[COUNT_OF(modes)][1000][64];
    size_t           i, mode;
    (void)state;
    for (mode = 0; mode < COUNT_OF(modes); mode++) {
        random_state = 0xF0E5;
        assert_int_equal(fesetround(modes[mode]), 0);
        for (i = 0; i < 1000; i++) {
            uint64_t bits = random_bits();
            double   value;
            if (i == 0) bits = UINT64_C(0x7FEFFFFFFFFFFFFF); /* the largest */
            else if (i == 1) bits = 1;                       /* the smallest */
            else if (i % 2) bits = (bits & 0x000FFFFFFFFFFFFFu) | UINT64_C(0x3FD0000000000000);
            memcpy(&value, &bits, sizeof value);
            (void)real_text(texts[mode][i], value);
        }
        (void)fesetround(FE_TONEAREST);
    }
    for (mode = 1; mode < COUNT_OF(modes); mode++)
        for (i = 0; i < 1000; i++) assert_string_equal(texts[mode][i], texts[0][i]);
}

/* A locale of that name, made for this test, whose decimal point is not a dot. */
static bool set_locale(const char *name)
{
    char command[256];
    snprintf(command, sizeof command,
             "command -v localedef >/dev/null 2>&1 && mkdir -p build/locale && "
             "{ test -d build/locale/%s.UTF-8 || "
             "localedef -i %s -f UTF-8 build/locale/%s.UTF-8 >/dev/null 2>&1; }", name, name, name);
    if (system(command) != 0 || setenv("LOCPATH", "build/locale", 1) != 0) return false;
    snprintf(command, sizeof command, "%s.UTF-8", name);
    return setlocale(LC_ALL, command) != NULL && strcmp(localeconv()->decimal_point, ".") != 0;
}

static void test_real_locale(void **state)
{
    static const char *const names[] = { "de_DE", "ps_AF" }; /* ps_AF: a point of two bytes */
    char   texts[3][64];
    size_t i, seen = 0;
    (void)state;
    for (i = 0; i < COUNT_OF(names); i++) {
        char point[8];
        bool is_set = set_locale(names[i]);
        snprintf(point, sizeof point, "%s", localeconv()->decimal_point);
        if (is_set) {
            (void)real_text(texts[0], 0.5);
            (void)real_text(texts[1], -1234567.8901234567);
            (void)real_text(texts[2], 2.5e-300);
        }
        (void)setlocale(LC_ALL, "C");
        if (!is_set) continue;
        seen++;
        print_message("decimal point '%s' of %s\n", point, names[i]);
        assert_string_equal(texts[0], "0.5");
        assert_string_equal(texts[1], "-1234567.8901234567");
        assert_string_equal(texts[2], "2.5e-300");
    }
    if (seen > 0) return;
    print_message("skipped: no localedef, or no source of a locale with a comma\n");
    skip();
}

/* ---- memory that is too small ---------------------------------------------------------------- */

#define STEPS 11

static void step(vitp_json *j, size_t n)
{
    switch (n) {
    case 0: vitp_json_raw(j, "{", 1); break;
    case 1: vitp_json_string(j, "na\"me\n", 6); break;
    case 2: vitp_json_text(j, ":"); break;
    case 3: vitp_json_string(j, "\xE9\x9B\xAA\xFF\0x", 6); break;
    case 4: vitp_json_raw(j, ",\"n\":", 5); break;
    case 5: vitp_json_int(j, INT64_MIN); break;
    case 6: vitp_json_raw(j, ",\"r\":", 5); break;
    case 7: put_real(j, -1.0 / 3.0); break;
    case 8: vitp_json_raw(j, ",\"z\":", 5); break;
    case 9: put_real(j, (double)NAN); break;
    default: vitp_json_raw(j, "}", 1); break;
    }
}

#define WHOLE                                                                                  \
    "{\"na\\\"me\\n\":\"\xE9\x9B\xAA" FFFD "\\u0000x\",\"n\":-9223372036854775808,\"r\":-0.3333" \
    "333333333333,\"z\":null}"

/* Sizes after each step, when there is room for all. */
static void whole_sizes(size_t sizes[STEPS])
{
    char      data[256];
    vitp_json j = writer(data, sizeof data);
    size_t    n;
    for (n = 0; n < STEPS; n++) {
        step(&j, n);
        sizes[n] = j.size;
    }
    assert_written(&j, WHOLE, sizeof WHOLE - 1);
}

/* Memory of that size exactly: an address sanitizer sees a byte too many, and the marks do too. */
static void try_capacity(size_t capacity, const size_t sizes[STEPS])
{
    char     *memory = (char *)malloc(capacity + 16);
    char     *exact  = (char *)malloc(capacity ? capacity : 1);
    vitp_json j = writer(memory, capacity), k = writer(exact, capacity);
    size_t    n, fitting = 0, before;
    assert_true(memory && exact);
    memset(memory, '#', capacity + 16);
    while (fitting < STEPS && sizes[fitting] <= capacity) fitting++;
    for (n = 0; n < STEPS; n++) {
        before = j.size;
        step(&j, n);
        step(&k, n);
        assert_true(j.size <= capacity);
        assert_int_equal(j.full, n >= fitting);
        assert_int_equal(j.size, n < fitting ? sizes[n] : before); /* rolled back */
        assert_memory_equal(memory, WHOLE, j.size);
        assert_memory_equal(memory + capacity, "################", 16);
    }
    assert_int_equal(k.size, j.size);
    free(memory);
    free(exact);
}

static void test_capacities(void **state)
{
    size_t sizes[STEPS], capacity;
    (void)state;
    whole_sizes(sizes);
    for (capacity = 0; capacity <= sizes[STEPS - 1]; capacity++) try_capacity(capacity, sizes);
}

/* A caller goes back to a mark: full is its to clear, and writing goes on from there. */
static void test_full_then_mark(void **state)
{
    char            data[8];
    volatile size_t huge = (size_t)-1; /* volatile: or compilers warn of what would be copied */
    vitp_json       j    = writer(data, sizeof data);
    (void)state;
    vitp_json_text(&j, "[1,");
    vitp_json_string(&j, "long text", 9);
    assert_true(j.full);
    assert_int_equal(j.size, 3);
    vitp_json_text(&j, "2"); /* would fit, but something is missing before it */
    assert_int_equal(j.size, 3);
    j.full = false;
    vitp_json_text(&j, "2]");
    assert_written(&j, "[1,2]", 5);
    vitp_json_raw(&j, "abc", 3);
    assert_false(j.full);
    assert_int_equal(j.size, 8);
    vitp_json_raw(&j, "", 0); /* nothing always fits */
    assert_false(j.full);
    vitp_json_raw(&j, "x", huge); /* a sum that would wrap */
    assert_true(j.full);
    assert_int_equal(j.size, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader),         cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_utf8),           cmocka_unit_test(test_utf8_size),
        cmocka_unit_test(test_all_bytes),      cmocka_unit_test(test_each_byte_at_each_place),
        cmocka_unit_test(test_random_strings),
        cmocka_unit_test(test_int),            cmocka_unit_test(test_real),
        cmocka_unit_test(test_real_random),    cmocka_unit_test(test_real_powers_of_two),
        cmocka_unit_test(test_real_rounding),
        cmocka_unit_test(test_real_locale),    cmocka_unit_test(test_capacities),
        cmocka_unit_test(test_full_then_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
