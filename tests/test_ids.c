/* test_ids.c: UUIDs, the generator of event ids, sampling, error hashes.

   Build:   cc -std=c99 -g -I. tests/test_ids.c -o build/tests/test_ids -lcmocka -pthread

   The two tables of vectors are printed by tests/make_vectors.py. */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "chance.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

typedef struct sample_vector {
    const char *event;
    double      rate;
    const char *seed;
    bool        want;
} sample_vector;
typedef struct hash_vector { const char *type, *message, *frame, *want; } hash_vector;
typedef struct id { unsigned char bytes[16]; } id;

/* == vectors of make_vectors.py =============================================================== */

static const sample_vector sample_vectors[] = {
    { "query.executed", 0x1.790c60e9790c6p-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "query.executed", 0x1.790c60e9790c7p-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", true },
    { "query.executed", 0x1.790c60e9790c5p-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "query.executed", 0x1.999999999999ap-5, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "query.executed", 0x1.0000000000000p-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "embedding.request", 0x1.24fdeba124fdfp-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "embedding.request", 0x1.24fdeba124fe0p-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", true },
    { "embedding.request", 0x1.24fdeba124fdep-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "embedding.request", 0x1.999999999999ap-5, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "embedding.request", 0x1.0000000000000p-1, "8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11", false },
    { "query.executed", 0x1.bcdff769bcdffp-1, "session-1", false },
    { "query.executed", 0x1.bcdff769bce00p-1, "session-1", true },
    { "query.executed", 0x1.bcdff769bcdfep-1, "session-1", false },
    { "query.executed", 0x1.999999999999ap-5, "session-1", false },
    { "query.executed", 0x1.0000000000000p-1, "session-1", false },
    { "query.executed", 0x1.01faa0ad01faap-1, "session-2", false },
    { "query.executed", 0x1.01faa0ad01fabp-1, "session-2", true },
    { "query.executed", 0x1.01faa0ad01fa9p-1, "session-2", false },
    { "query.executed", 0x1.999999999999ap-5, "session-2", false },
    { "query.executed", 0x1.0000000000000p-1, "session-2", false },
    { "embedding.request", 0x1.ea3901c1ea390p-6, "session-1", false },
    { "embedding.request", 0x1.ea3901c1ea391p-6, "session-1", true },
    { "embedding.request", 0x1.ea3901c1ea38fp-6, "session-1", false },
    { "embedding.request", 0x1.999999999999ap-5, "session-1", true },
    { "embedding.request", 0x1.0000000000000p-1, "session-1", true },
    { "a", 0x1.6b8b983f6b8bap-1, "", false },
    { "a", 0x1.6b8b983f6b8bbp-1, "", true },
    { "a", 0x1.6b8b983f6b8b9p-1, "", false },
    { "a", 0x1.999999999999ap-5, "", false },
    { "a", 0x1.0000000000000p-1, "", false },
    { "", 0x1.7f8c45a97f8c4p-1, "a", false },
    { "", 0x1.7f8c45a97f8c5p-1, "a", true },
    { "", 0x1.7f8c45a97f8c3p-1, "a", false },
    { "", 0x1.999999999999ap-5, "a", false },
    { "", 0x1.0000000000000p-1, "a", false },
    { "", 0x1.cf580f0dcf581p-1, "", false },
    { "", 0x1.cf580f0dcf582p-1, "", true },
    { "", 0x1.cf580f0dcf580p-1, "", false },
    { "", 0x1.999999999999ap-5, "", false },
    { "", 0x1.0000000000000p-1, "", false },
    { NULL, 0x1.5fa777615fa77p-4, "seed", false },
    { NULL, 0x1.5fa777615fa78p-4, "seed", true },
    { NULL, 0x1.5fa777615fa76p-4, "seed", false },
    { NULL, 0x1.999999999999ap-5, "seed", false },
    { NULL, 0x1.0000000000000p-1, "seed", true },
    { "event", 0x1.f60994c9f6099p-2, NULL, false },
    { "event", 0x1.f60994c9f609ap-2, NULL, true },
    { "event", 0x1.f60994c9f6098p-2, NULL, false },
    { "event", 0x1.999999999999ap-5, NULL, false },
    { "event", 0x1.0000000000000p-1, NULL, true },
    { NULL, 0x1.cf580f0dcf581p-1, NULL, false },
    { NULL, 0x1.cf580f0dcf582p-1, NULL, true },
    { NULL, 0x1.cf580f0dcf580p-1, NULL, false },
    { NULL, 0x1.999999999999ap-5, NULL, false },
    { NULL, 0x1.0000000000000p-1, NULL, false },
    { "b", 0x1.e3c2fa25e3c30p-2, "a:", false },
    { "b", 0x1.e3c2fa25e3c31p-2, "a:", true },
    { "b", 0x1.e3c2fa25e3c2fp-2, "a:", false },
    { "b", 0x1.999999999999ap-5, "a:", false },
    { "b", 0x1.0000000000000p-1, "a:", true },
    { ":b", 0x1.e3c2fa25e3c30p-2, "a", false },
    { ":b", 0x1.e3c2fa25e3c31p-2, "a", true },
    { ":b", 0x1.e3c2fa25e3c2fp-2, "a", false },
    { ":b", 0x1.999999999999ap-5, "a", false },
    { ":b", 0x1.0000000000000p-1, "a", true },
    { "caf\303\251", 0x1.2c36d8c92c36ep-1, "\351\233\252", false },
    { "caf\303\251", 0x1.2c36d8c92c36fp-1, "\351\233\252", true },
    { "caf\303\251", 0x1.2c36d8c92c36dp-1, "\351\233\252", false },
    { "caf\303\251", 0x1.999999999999ap-5, "\351\233\252", false },
    { "caf\303\251", 0x1.0000000000000p-1, "\351\233\252", false },
    { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0x1.097330cf09733p-1,
      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", false },
    { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0x1.097330cf09734p-1,
      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", true },
    { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0x1.097330cf09732p-1,
      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", false },
    { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0x1.999999999999ap-5,
      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", false },
    { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0x1.0000000000000p-1,
      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", false },
    { "UncaughtException", 0x1.fc4c8581fc4c8p-5, "0", false },
    { "UncaughtException", 0x1.fc4c8581fc4c9p-5, "0", true },
    { "UncaughtException", 0x1.fc4c8581fc4c7p-5, "0", false },
    { "UncaughtException", 0x1.999999999999ap-5, "0", false },
    { "UncaughtException", 0x1.0000000000000p-1, "0", true },
    { "query.executed", NAN, "session-1", false },
    { "query.executed", INFINITY, "session-1", true },
    { "query.executed", -INFINITY, "session-1", false },
    { "query.executed", 1.0, "session-1", true },
    { "query.executed", 2.0, "session-1", true },
    { "query.executed", 0.0, "session-1", false },
    { "query.executed", -0.0, "session-1", false },
    { "query.executed", -1.0, "session-1", false },
    { "query.executed", 0x1p-1074, "session-1", false },
};
static const hash_vector hash_vectors[] = {
    { "ValueError", "", NULL, "b262cb225fefe07b" },
    { "ValueError", " ", NULL, "b262cb225fefe07b" },
    { "ValueError", " \011\015\012\013\014", NULL, "b262cb225fefe07b" },
    { "ValueError", "plain", NULL, "82b190662a7ef37f" },
    { "ValueError", "  plain\012", NULL, "82b190662a7ef37f" },
    { "ValueError", "\034plain\037", NULL, "0cad320d91db318a" },
    { "ValueError", "two  words", NULL, "101706148cb30f6f" },
    { "ValueError", "1", NULL, "7db607137f687961" },
    { "ValueError", "12 34", NULL, "5ffb7f37c89fdea2" },
    { "ValueError", "a1", NULL, "5e5de4db7a1b1bf9" },
    { "ValueError", "1a", NULL, "b2ca18eda877a408" },
    { "ValueError", "1_", NULL, "6fafd204f1926eea" },
    { "ValueError", "_1", NULL, "393d9d6f9e7a16c3" },
    { "ValueError", "1.5", NULL, "6a72ad78e6d4582e" },
    { "ValueError", "-7", NULL, "36fdd29c1f3c322c" },
    { "ValueError", "a 1 b", NULL, "d0e8275bea4dd2c6" },
    { "ValueError", "(404)", NULL, "f9add21291c3e896" },
    { "ValueError", "#1", NULL, "8041762f5b2cf24f" },
    { "ValueError", "1#", NULL, "94aaed46d76c5acd" },
    { "ValueError", "v2.10.3", NULL, "aac9566eae44ff26" },
    { "ValueError", "10%", NULL, "1ccbf53b161d0c50" },
    { "ValueError", "3,000,000", NULL, "68f0b791d65f82df" },
    { "ValueError", "0x1F", NULL, "a707ca73679d5393" },
    { "ValueError", "0X1F", NULL, "eba5af8e7427ae4f" },
    { "ValueError", "0x", NULL, "9a337de664fd651e" },
    { "ValueError", "0xg", NULL, "9c41a4ea53638cf5" },
    { "ValueError", "0x1Fg", NULL, "770fef9963cab703" },
    { "ValueError", "a0x1F", NULL, "ca0d6f425c972795" },
    { "ValueError", "x0x1F", NULL, "1d8be050ffca12c6" },
    { "ValueError", "00x1F", NULL, "c5304cc4729f9dcc" },
    { "ValueError", "120x1F", NULL, "c5304cc4729f9dcc" },
    { "ValueError", "a120x1F", NULL, "12fc043019a01ef9" },
    { "ValueError", "0x0x1", NULL, "ac9f132bb7599c18" },
    { "ValueError", "0x1 0x2", NULL, "d770e01e3df51cd9" },
    { "ValueError", "0x12345678901234567890abcdefABCDEF", NULL, "a707ca73679d5393" },
    { "ValueError", "1 0x1F", NULL, "8f130834ad6b4a07" },
    { "ValueError", "0x1F 1", NULL, "6c478ae0f9ca460c" },
    { "ValueError", "120x1Fg", NULL, "214d1cbd3d4d47db" },
    { "ValueError", "0x1F_1", NULL, "153459a3616a692a" },
    { "ValueError", "7 120x1", NULL, "2ee9d556d78c245d" },
    { "ValueError", "'a'", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "\042a\042", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "'a\042", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "\042a'", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "''", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "'''", NULL, "7a501cc5ffbd0d0b" },
    { "ValueError", "''''", NULL, "5f1bc0360c520e24" },
    { "ValueError", "'", NULL, "0fb1e53205cc7f71" },
    { "ValueError", "'open", NULL, "428f511765cca2f6" },
    { "ValueError", "open'", NULL, "f8afd1aa19f874de" },
    { "ValueError", "it's 5", NULL, "774e9b48ce1be9bc" },
    { "ValueError", "'1'", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "'0x1F'", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "1'1'1", NULL, "f33d41fa276e4825" },
    { "ValueError", "a'1'b", NULL, "1ac6cd6e2448e4b2" },
    { "ValueError", "'a' 'b'", NULL, "cc6ce3767156ff47" },
    { "ValueError", "'a\012b'", NULL, "5b3549c10ca4ee08" },
    { "ValueError", "'a\012b' c'", NULL, "0ea4f0d6c9ac1e1f" },
    { "ValueError", "\042a\015b\042", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "'\012'\012'", NULL, "780844bf940ca5c0" },
    { "ValueError", "'a' '", NULL, "ea7c6399230577b3" },
    { "ValueError", "no such file: '/home/u/1.txt' (errno 2)", NULL, "014a49d80b5df311" },
    { "ValueError", "12'34\04256'78", NULL, "0f9942fa4f1c7861" },
    { "ValueError", "1\0122", NULL, "4f62ec17b5200ea1" },
    { "ValueError", "\0121\012", NULL, "7db607137f687961" },
    { "ValueError", "1\0112\0133\0144", NULL, "3659ef713d6b6fce" },
    { "ValueError", "\303\2511", NULL, "f9f5e9c7cee36f5d" },
    { "ValueError", "1\303\251", NULL, "b919343832efed2d" },
    { "ValueError", "\303\251 1 \303\251", NULL, "cb48a90aba41372e" },
    { "ValueError", "\351\233\25212", NULL, "d532fbf22e44611a" },
    { "ValueError", "12\351\233\252", NULL, "5d7f62c05807dbd4" },
    { "ValueError", "1\342\202\254", NULL, "7628fc1c5792a0fa" },
    { "ValueError", "\342\202\2541", NULL, "a3d794d028a65848" },
    { "ValueError", "5\302\260", NULL, "9a1865833922426a" },
    { "ValueError", "5\302\262", NULL, "20e7a19fcc642332" },
    { "ValueError", "\302\2655", NULL, "9621ec61c7b5ba6d" },
    { "ValueError", "3\303\2274", NULL, "2963100e424bcc1e" },
    { "ValueError", "3\303\2674", NULL, "ac8546853004332d" },
    { "ValueError", "\302\2521", NULL, "309e004c5b39cde7" },
    { "ValueError", "\302\2721", NULL, "24c37decaf8c082e" },
    { "ValueError", "\302\2771", NULL, "3c20fa0af94e4986" },
    { "ValueError", "\302\2731\302\253", NULL, "ea70b767629c285f" },
    { "ValueError", "\302\2751", NULL, "6bb417d14ac4f48f" },
    { "ValueError", "\303\2001", NULL, "187d1e7226a49fd7" },
    { "ValueError", "\302\2001", NULL, "6a889f282a29338a" },
    { "ValueError", "\302\2511", NULL, "182c7e46e26dd027" },
    { "ValueError", "1\342\200\223", NULL, "7cf0665a9e960e57" },
    { "ValueError", "1\342\201\257", NULL, "c5a18f5dd32cd5a5" },
    { "ValueError", "1\342\201\260", NULL, "a45d83a1e5f0fd67" },
    { "ValueError", "1\341\277\277", NULL, "725c69a2d88aca02" },
    { "ValueError", "1\342\202\237", NULL, "2d0010bc2922d664" },
    { "ValueError", "1\342\202\240", NULL, "f3b527301bbb6034" },
    { "ValueError", "1\342\203\217", NULL, "668a765405721986" },
    { "ValueError", "1\342\203\220", NULL, "51f69a0ab9e6563a" },
    { "ValueError", "1\342\206\211", NULL, "e0bc965304ab8abf" },
    { "ValueError", "1\342\206\220", NULL, "c6f85f6fcc2816ab" },
    { "ValueError", "1\342\257\277", NULL, "1314c2357c67e57c" },
    { "ValueError", "1\342\260\200", NULL, "60d30b8d0e2dfdc1" },
    { "ValueError", "1\343\200\200", NULL, "ec928a98936ad67c" },
    { "ValueError", "1\343\200\203", NULL, "d4ef346f7aa62e7d" },
    { "ValueError", "1\343\200\204", NULL, "4f570f3a75719408" },
    { "ValueError", "1\343\200\207", NULL, "2a50d5ee8777d5f4" },
    { "ValueError", "1\343\200\210", NULL, "5ff67f7e80351543" },
    { "ValueError", "1\343\200\221", NULL, "45b8c83c0de3a125" },
    { "ValueError", "1\343\200\222", NULL, "7d6616008fd60ed9" },
    { "ValueError", "\342\200\2341\342\200\235", NULL, "2818582f466265de" },
    { "ValueError", "1\360\237\230\200", NULL, "e7e728c3f992c040" },
    { "ValueError", "\360\237\230\2001", NULL, "364e929a68c68984" },
    { "ValueError", "\331\241", NULL, "25b3e15f0060d9d7" },
    { "ValueError", "\357\274\221 1", NULL, "9b01ef48d80fce4d" },
    { "ValueError", "\357\277\2751", NULL, "f2906454843c3a9e" },
    { "ValueError", "\302\2401\302\240", NULL, "51f5bf4760112f59" },
    { "ValueError", "'\351\233\252'", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "\343\200\2000x1F", NULL, "896699e442c4d4a4" },
    { "ValueError", "\2001", NULL, "191a96effe0d174f" },
    { "ValueError", "1\200", NULL, "3950848453769d8e" },
    { "ValueError", "\3771", NULL, "bb08f11b955a68ac" },
    { "ValueError", "1\377 2", NULL, "2be268e994a30d09" },
    { "ValueError", "\3031", NULL, "ca651bc36669466d" },
    { "ValueError", "1\303", NULL, "8fbfb94759bb2495" },
    { "ValueError", "\342\2021", NULL, "9773e7ceab876480" },
    { "ValueError", "1\342\202", NULL, "8bbb9e2576e81b04" },
    { "ValueError", "1\342\202 2", NULL, "3fa8c97489cd0aef" },
    { "ValueError", "\355\240\2001", NULL, "992cc175d2280a64" },
    { "ValueError", "\300\2001", NULL, "cedadf73cf7a78a1" },
    { "ValueError", "1\300\257", NULL, "26591dd26de6b727" },
    { "ValueError", "\364\220\200\2001", NULL, "471b98a786cfe24d" },
    { "ValueError", "1\360\237\230", NULL, "ba67c22623b0cb21" },
    { "ValueError", "'\377'", NULL, "f54f749fa8bdeeaa" },
    { "ValueError", "\340\200\2401", NULL, "433f1fa25720e218" },
    { "ValueError", "\302\2511\251", NULL, "c6660047e308f5d4" },
    { "ValueError", "Connection to 10.0.0.7:5432 refused after 3 attempts (0xdeadbeef)",
      NULL, "95b1f080164781d5" },
    { "ValueError", "index 17 is out of bounds for axis 0 with size 17", NULL, "cf9729744bfd8a31" },
    { "ValueError", "#n #hex #str", NULL, "fc40f9790435915b" },
    { "ValueError", "a\134'b'c", NULL, "fb2fa04f7712cbcd" },
    { "ValueError", "1111111111111111111111111111111111111111a 2", NULL, "89c445f4efa0e4cf" },
    { "", "", "", "565d240f5343e625" },
    { NULL, NULL, NULL, "565d240f5343e625" },
    { NULL, "x", NULL, "741b51df1a550254" },
    { "E", "x", "main.py:12", "77f53df6ed9b30e7" },
    { "E", "x", "", "b329675ce80c47e8" },
    { "E", "x", "'1' 0x2 3 ", "28d058c867545f49" },
    { "A|B", "c", "d", "03a6efccc5422166" },
    { "A", "c", "B|d", "03a6efccc5422166" },
    { "1 0x2", "3", "4", "c79877d6f3d123da" },
    { " E ", " 5 ", " f ", "d52516eb11b96e85" },
    { "QtError", "bad '7'", "view.cpp:88", "f836351c128e0d63" },
    { "\303\211", "\303\251", "\351\233\252:1", "344e5a80cfcdc3b9" },
};

/* == end of the vectors ======================================================================= */

static int compare_ids(const void *a, const void *b) { return memcmp(a, b, sizeof(id)); }

/* Sorts them; how many are like the one before. */
static size_t count_equal(id *ids, size_t count)
{
    size_t i, equal = 0;
    qsort(ids, count, sizeof *ids, compare_ids);
    for (i = 1; i < count; i++) equal += compare_ids(&ids[i - 1], &ids[i]) == 0;
    return equal;
}

static bool is_v4(const unsigned char *b) { return (b[6] & 0xF0) == 0x40 && (b[8] & 0xC0) == 0x80; }

/* Reads 8-4-4-4-12 lower case hex digits. */
static bool read_uuid(id *out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t            i, n = 0;
    if (strlen(text) != 36) return false;
    memset(out, 0, sizeof *out);
    for (i = 0; i < 36; i++) {
        const char *digit = strchr(digits, text[i]);
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-') return false;
            continue;
        }
        if (!digit) return false;
        out->bytes[n / 2] = (unsigned char)(out->bytes[n / 2] * 16 + (digit - digits));
        n++;
    }
    return true;
}

/* Each bit that is free must be 0 and 1 about half of the time: within 8 sigma, which chance does
   not leave in a lifetime, and a bit that is stuck or a low counter does. */
static void assert_bits_random(const id *ids, size_t count)
{
    size_t bit, i, ones;
    for (bit = 0; bit < 128; bit++) {
        double off; /* sigma of it is the root of count */
        if (bit / 8 == 6 && bit % 8 >= 4) continue;
        if (bit / 8 == 8 && bit % 8 >= 6) continue;
        for (i = ones = 0; i < count; i++)
            ones += ((unsigned)ids[i].bytes[bit / 8] >> (bit % 8)) & 1u;
        off = 2.0 * (double)ones - (double)count;
        if (off * off > 64.0 * (double)count)
            fail_msg("byte %u bit %u: %u ones of %u", (unsigned)(bit / 8), (unsigned)(bit % 8),
                     (unsigned)ones, (unsigned)count);
    }
}

/* ---- UUIDs and operations -------------------------------------------------------------------- */

#define UUIDS 100000u

static id uuids[UUIDS];

static void test_uuid4(void **state)
{
    char   text[38];
    size_t i;
    (void)state;
    for (i = 0; i < UUIDS; i++) {
        memset(text, '?', sizeof text);
        vit_uuid4(text);
        assert_int_equal(text[36], 0);
        assert_int_equal(text[37], '?');
        if (!read_uuid(&uuids[i], text) || !is_v4(uuids[i].bytes)) fail_msg("no UUID v4: %s", text);
    }
    assert_bits_random(uuids, UUIDS);
    assert_int_equal(count_equal(uuids, UUIDS), 0);
    vit_uuid4(NULL); /* nothing happens */
}

static void test_op_begin(void **state)
{
    uint64_t last = 0;
    size_t   i;
    (void)state;
    for (i = 0; i < UUIDS; i++) {
        vit_op op = vit_op_begin();
        memcpy(uuids[i].bytes, op.correlation_id, 16);
        if (!is_v4(op.correlation_id)) fail_msg("operation %u: not version 4", (unsigned)i);
        assert_true(op.begin_ns >= last && op.begin_ns > 0);
        last = op.begin_ns;
    }
    assert_bits_random(uuids, UUIDS);
    assert_int_equal(count_equal(uuids, UUIDS), 0);
}

static void test_op_text(void **state)
{
    static const vit_op op = { { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77,
                                 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff }, 1 };
    char   text[38];
    vit_op fresh = vit_op_begin();
    id     back;
    (void)state;
    memset(text, '?', sizeof text);
    vit_op_text(&op, text);
    assert_string_equal(text, "00112233-4455-4677-8899-aabbccddeeff");
    assert_int_equal(text[37], '?');
    vit_op_text(NULL, text);
    assert_string_equal(text, "00000000-0000-0000-0000-000000000000");
    vit_op_text(&fresh, text);
    assert_true(read_uuid(&back, text));
    assert_memory_equal(back.bytes, fresh.correlation_id, 16);
}

/* ---- the generator of event ids -------------------------------------------------------------- */

#define NEXT_THREADS 4u
#define NEXT_EACH    250000u

static id next_ids[NEXT_THREADS * NEXT_EACH];

typedef struct next_job { vitp_id_source *source; id *out; } next_job;

static void *next_main(void *argument)
{
    next_job *job = (next_job *)argument;
    size_t    i;
    for (i = 0; i < NEXT_EACH; i++) vitp_id_next(job->source, job->out[i].bytes);
    return NULL;
}

static vitp_id_source *open_page(vitp_os_page *page)
{
    vitp_id_source *source;
    assert_true(vitp_os_page_init(page, sizeof *source));
    source = (vitp_id_source *)page->memory;
    vitp_id_seed(source);
    assert_int_equal(source->weak, 0);
    return source;
}

/* What is a UUID: 36 characters, hexadecimal digits of either case and four dashes in place. */
static void test_uuid_texts(void **state)
{
    static const char good[] = "0123456f-89aB-4cdE-8f01-23456789ABcd";
    unsigned char     bytes[16];
    char              text[40];
    size_t            i;
    (void)state;
    assert_true(vitp_text_parse_uuid(bytes, good));
    assert_int_equal(bytes[0], 0x01);
    assert_int_equal(bytes[15], 0xCD);
    for (i = 0; i < 36; i++) {
        memcpy(text, good, sizeof good);
        text[i] = good[i] == '-' ? '0' : 'g';
        assert_false(vitp_text_parse_uuid(bytes, text));
        text[i] = good[i] == '-' ? '_' : '-';
        assert_false(vitp_text_parse_uuid(bytes, text));
        text[i] = 0;
        assert_false(vitp_text_parse_uuid(bytes, text));
    }
    memcpy(text, good, 36);
    memcpy(text + 36, "0", 2);
    assert_false(vitp_text_parse_uuid(bytes, text));
}

/* Each value of a byte at each of the 16 places, beside printf; nothing is written behind it. */
static void test_uuid_digits(void **state)
{
    unsigned char bytes[16];
    char          text[48], digits[33], want[40];
    unsigned      value, place, i;
    (void)state;
    for (place = 0; place < 16; place++)
        for (value = 0; value < 256; value++) {
            for (i = 0; i < 16; i++) bytes[i] = (unsigned char)(17 * i + place);
            bytes[place] = (unsigned char)value;
            for (i = 0; i < 16; i++) snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
            snprintf(want, sizeof want, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8,
                     digits + 12, digits + 16, digits + 20);
            memset(text, '#', sizeof text);
            vitp_text_uuid(text, bytes);
            assert_string_equal(text, want);
            assert_int_equal(text[37], '#');
        }
}

static void test_next_threads(void **state)
{
    vitp_os_page    page;
    vitp_id_source *source = open_page(&page);
    pthread_t       threads[NEXT_THREADS];
    next_job        jobs[NEXT_THREADS];
    size_t          i;
    (void)state;
    for (i = 0; i < NEXT_THREADS; i++) {
        jobs[i].source = source;
        jobs[i].out    = next_ids + i * NEXT_EACH;
        assert_int_equal(pthread_create(&threads[i], NULL, next_main, &jobs[i]), 0);
    }
    for (i = 0; i < NEXT_THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (i = 0; i < COUNT_OF(next_ids); i++) assert_true(is_v4(next_ids[i].bytes));
    assert_bits_random(next_ids, COUNT_OF(next_ids));
    assert_int_equal(count_equal(next_ids, COUNT_OF(next_ids)), 0);
    vitp_os_page_free(&page);
}

/* Two sources never share a sequence. */
static void test_next_sources(void **state)
{
    vitp_os_page    pages[2];
    vitp_id_source *a = open_page(&pages[0]), *b = open_page(&pages[1]);
    size_t          i;
    (void)state;
    for (i = 0; i < 1000; i++) {
        vitp_id_next(a, next_ids[2 * i].bytes);
        vitp_id_next(b, next_ids[2 * i + 1].bytes);
    }
    assert_int_equal(count_equal(next_ids, 2000), 0);
    vitp_os_page_free(&pages[0]);
    vitp_os_page_free(&pages[1]);
}

/* An id does not tell the next one: the steps between the first halves are all different. */
static void test_next_steps(void **state)
{
    vitp_os_page    page;
    vitp_id_source *source = open_page(&page);
    unsigned char   next[16];
    uint64_t        halves[2] = { 0, 0 };
    size_t          i;
    (void)state;
    for (i = 0; i < 10000; i++) {
        vitp_id_next(source, next);
        memcpy(&halves[1], next, 8);
        halves[0] = halves[1] - halves[0];
        memset(&next_ids[i], 0, sizeof next_ids[i]);
        memcpy(&next_ids[i], &halves[0], 8);
        halves[0] = halves[1];
    }
    assert_int_equal(count_equal(next_ids, 10000), 0);
    vitp_os_page_free(&page);
}

#define FORK_EACH 1000u

/* A child that makes ids of the source it was forked with, and writes them to the pipe. */
static void child_main(const vitp_os_page *page, int fd)
{
    static id       child_ids[FORK_EACH];
    vitp_id_source *source = (vitp_id_source *)page->memory;
    bool            forked = vitp_os_page_forked(page);
    size_t          i;
    for (i = 0; i < FORK_EACH; i++) vitp_id_next(source, child_ids[i].bytes);
    if (write(fd, child_ids, sizeof child_ids) != (ssize_t)sizeof child_ids) _exit(2);
    _exit(forked ? 0 : 1);
}

static void fork_child(const vitp_os_page *page, id *out)
{
    int    ends[2], status = -1;
    size_t got = 0;
    pid_t  pid;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) child_main(page, ends[1]);
    close(ends[1]);
    while (got < FORK_EACH * sizeof(id)) {
        ssize_t n = read(ends[0], (char *)out + got, FORK_EACH * sizeof(id) - got);
        if (n <= 0) break;
        got += (size_t)n;
    }
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0); /* 1: the child did not see that it is one */
    assert_int_equal(got, FORK_EACH * sizeof(id));
}

static void test_next_fork(void **state)
{
    vitp_os_page    page;
    vitp_id_source *source = open_page(&page);
    bool            wiped  = page.owner == 0;
    size_t          i;
    (void)state;
    for (i = 0; i < FORK_EACH; i++) vitp_id_next(source, next_ids[i].bytes);
    fork_child(&page, next_ids + FORK_EACH);
    fork_child(&page, next_ids + 2 * FORK_EACH);
    for (i = 0; i < FORK_EACH; i++) vitp_id_next(source, next_ids[3 * FORK_EACH + i].bytes);
    assert_false(vitp_os_page_forked(&page));
    for (i = 0; i < 4 * FORK_EACH; i++) assert_true(is_v4(next_ids[i].bytes));
    vitp_os_page_free(&page);
    if (!wiped) {
        print_message("skipped: this system wipes no page; its children only know that they are\n");
        skip();
    }
    assert_int_equal(count_equal(next_ids, 4 * FORK_EACH), 0);
}

/* ---- sampling -------------------------------------------------------------------------------- */

static void test_sample_vectors(void **state)
{
    size_t i, wrong = 0;
    (void)state;
    assert_true(COUNT_OF(sample_vectors) >= 60);
    for (i = 0; i < COUNT_OF(sample_vectors); i++) {
        const sample_vector *v = &sample_vectors[i];
        if (vit_should_sample(v->event, v->rate, v->seed) == v->want) continue;
        print_error("row %u: %s, %.17g, %s: not %d\n", (unsigned)i, v->event ? v->event : "NULL",
                    v->rate, v->seed ? v->seed : "NULL", v->want);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* The next double above a finite one that is not negative. */
static double above(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits++;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* The first 8 digits of the hexadecimal text, read by strtoul, of the text that is hashed whole. */
static double quotient_of(const char *event, const char *seed)
{
    char          text[300], digits[9];
    unsigned char digest[32];
    int           size = snprintf(text, sizeof text, "%s:%s", seed, event);
    vit_sha256(digest, text, (size_t)size);
    snprintf(digits, sizeof digits, "%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
    return (double)strtoul(digits, NULL, 16) / (double)0xFFFFFFFF;
}

static void test_sample_formula(void **state)
{
    char     event[32], seed[37];
    unsigned i, sampled = 0;
    (void)state;
    for (i = 0; i < 20000; i++) {
        double q, rate = (double)(i % 1000) / 1000.0;
        snprintf(event, sizeof event, "event.%u", i % 7);
        snprintf(seed, sizeof seed, "%08x-0000-4000-8000-%012x", i * 2654435761u, i);
        q = quotient_of(event, seed);
        if (vit_should_sample(event, rate, seed) != (q < rate) ||
            vit_should_sample(event, q, seed) || !vit_should_sample(event, above(q), seed))
            fail_msg("%s, %s, rate %g, quotient %.17g", event, seed, rate, q);
        sampled += vit_should_sample(event, 0.05, seed);
    }
    assert_in_range(sampled, 845, 1155); /* 0.05 of 20000, 5 sigma */
}

/* ---- error hashes ---------------------------------------------------------------------------- */

static void test_hash_vectors(void **state)
{
    size_t i, wrong = 0;
    char   hash[18];
    (void)state;
    assert_true(COUNT_OF(hash_vectors) >= 60);
    for (i = 0; i < COUNT_OF(hash_vectors); i++) {
        const hash_vector *v = &hash_vectors[i];
        memset(hash, '?', sizeof hash);
        vit_error_hash(hash, v->type, v->message, v->frame);
        assert_int_equal(hash[17], '?');
        if (strcmp(hash, v->want) == 0) continue;
        print_error("row %u: [%s]: %s, not %s\n", (unsigned)i,
                    v->message ? v->message : "NULL", hash, v->want);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* ---- the rule once more, in three passes over buffers ---------------------------------------- */

typedef struct buffer { size_t size; unsigned char bytes[2048]; } buffer;

static void put(buffer *b, const void *bytes, size_t size)
{
    assert_true(b->size + size <= sizeof b->bytes);
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

static bool is_hex(unsigned char c)
{
    return c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
}

static void pass_hex(buffer *out, const buffer *in)
{
    size_t i = 0, end;
    out->size = 0;
    while (i < in->size) {
        end = i + 2;
        if (end < in->size && in->bytes[i] == '0' && in->bytes[i + 1] == 'x')
            while (end < in->size && is_hex(in->bytes[end])) end++;
        if (end > i + 2 && end <= in->size) {
            put(out, "#hex", 4);
            i = end;
        } else {
            put(out, in->bytes + i++, 1);
        }
    }
}

/* The value of a well-formed character at bytes and its length in *n; 0 and 1 for a wrong byte. */
static unsigned long character(const unsigned char *bytes, size_t size, size_t *n)
{
    static const unsigned long least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char              c        = bytes[0];
    size_t                     length   = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2, i;
    unsigned long              value    = length == 1 ? c : c & (0xFFu >> (length + 1));
    *n = 1;
    if (c >= 0xF8 || (c >= 0x80 && c < 0xC0) || length > size) return 0;
    for (i = 1; i < length; i++) {
        if (bytes[i] < 0x80 || bytes[i] > 0xBF) return 0;
        value = value * 64 + (bytes[i] - 0x80u);
    }
    if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
    *n = length;
    return value;
}

static bool is_mark(unsigned long c)
{
    static const unsigned long marks[][2] = {
        { 0x80, 0xA9 },     { 0xAB, 0xB1 },     { 0xB4, 0xB4 },     { 0xB6, 0xB8 },
        { 0xBB, 0xBB },     { 0xBF, 0xBF },     { 0xD7, 0xD7 },     { 0xF7, 0xF7 },
        { 0x2000, 0x206F }, { 0x20A0, 0x20CF }, { 0x2190, 0x2BFF }, { 0x3000, 0x3003 },
        { 0x3008, 0x3011 },
    };
    size_t i;
    for (i = 0; i < COUNT_OF(marks); i++)
        if (c >= marks[i][0] && c <= marks[i][1]) return true;
    return false;
}

/* word[i]: byte i is one of a character that makes words. */
static void find_words(bool *word, const buffer *in)
{
    size_t i = 0, n;
    while (i < in->size) {
        unsigned char c     = in->bytes[i];
        unsigned long value = character(in->bytes + i, in->size - i, &n);
        bool          is    = c >= 0x80 ? !is_mark(value)
                                        : (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                                   (c >= 'a' && c <= 'z') || c == '_';
        while (n-- > 0) word[i++] = is;
    }
}

static void pass_numbers(buffer *out, const buffer *in)
{
    static bool word[sizeof in->bytes + 1];
    size_t      i = 0, end;
    find_words(word, in);
    out->size = 0;
    while (i < in->size) {
        for (end = i; end < in->size && in->bytes[end] >= '0' && in->bytes[end] <= '9';) end++;
        if (end > i && (i == 0 || !word[i - 1]) && (end == in->size || !word[end])) {
            put(out, "#n", 2);
            i = end;
        } else {
            put(out, in->bytes + i++, 1);
        }
    }
}

static bool is_quote(unsigned char c) { return c == '\'' || c == '"'; }

static void pass_quotes(buffer *out, const buffer *in)
{
    size_t i = 0, end;
    out->size = 0;
    while (i < in->size) {
        end = in->size;
        if (is_quote(in->bytes[i]))
            for (end = i + 1; end < in->size; end++)
                if (is_quote(in->bytes[end]) || in->bytes[end] == '\n') break;
        if (end < in->size && in->bytes[end] != '\n') {
            put(out, "#str", 4);
            i = end + 1;
        } else {
            put(out, in->bytes + i++, 1);
        }
    }
}

static void reference_hash(char hash[17], const char *type, const char *message, const char *frame)
{
    static buffer a, b;
    unsigned char digest[32];
    size_t        first = 0, i;
    a.size = 0;
    put(&a, message, strlen(message));
    pass_hex(&b, &a);
    pass_numbers(&a, &b);
    pass_quotes(&b, &a);
    while (first < b.size && strchr(" \t\n\v\f\r", b.bytes[first])) first++;
    while (b.size > first && strchr(" \t\n\v\f\r", b.bytes[b.size - 1])) b.size--;
    a.size = 0;
    put(&a, type, strlen(type));
    put(&a, "|", 1);
    put(&a, frame, strlen(frame));
    put(&a, "|", 1);
    put(&a, b.bytes + first, b.size - first);
    vit_sha256(digest, a.bytes, a.size);
    for (i = 0; i < 8; i++) snprintf(hash + 2 * i, 3, "%02x", digest[i]);
}

static void test_reference_vectors(void **state)
{
    size_t i;
    char   hash[17];
    (void)state;
    for (i = 0; i < COUNT_OF(hash_vectors); i++) {
        const hash_vector *v = &hash_vectors[i];
        reference_hash(hash, v->type ? v->type : "", v->message ? v->message : "",
                       v->frame ? v->frame : "");
        assert_string_equal(hash, v->want);
    }
}

#define PIECES_ASCII 29u

/* What random messages are made of. */
static const char *const pieces[] = {
    "0", "1", "9", "12", "0x", "0x1F", "0X", "x", "1F", "a", "g", "Z", "_", " ", " ", "\t", "\n",
    "\r", "\v", "\x1c", "'", "'", "\"", "#", "#n", ".", "-", "|", "\\", /* PIECES_ASCII of them */
    "\xC2\x80", "\xC2\xA0", "\xC2\xA9", "\xC2\xAA", "\xC2\xB0", "\xC2\xB2", "\xC2\xB5",
    "\xC2\xBD", "\xC3\x97", "\xC3\xA9", "\xC3\xB7",
    "\xE1\xBF\xBF", "\xE2\x80\x80", "\xE2\x81\xAF", "\xE2\x81\xB0", "\xE2\x82\xAC", "\xE2\x83\x90",
    "\xE2\xAF\xBF", "\xE2\xB0\x80", "\xE3\x80\x80", "\xE3\x80\x84", "\xE3\x80\x88", "\xE9\x9B\xAA",
    "\xEF\xBF\xBD", "\xF0\x9F\x98\x80", "\x80", "\xBF", "\xC3", "\xC0\x80", "\xE2", "\xE2\x82",
    "\xED\xA0\x80", "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xFF",
};

/* most: of the pieces only so many first ones, so that ASCII has its share. */
static void random_text(char *out, uint32_t length, uint32_t most)
{
    uint32_t i;
    out[0] = 0;
    for (i = 0; i < length; i++) strcat(out, pieces[random_below(most)]);
}

static void print_bytes(const char *text)
{
    for (; *text; text++)
        print_error(*text >= ' ' && *text <= '~' ? "%c" : "\\x%02x", (unsigned char)*text);
    print_error("\n");
}

static void test_hash_random(void **state)
{
    char     message[512], frame[64], hash[17], want[17];
    unsigned i, wrong = 0;
    (void)state;
    vit_error_hash(NULL, "E", "m", "f"); /* nothing happens */
    random_state = 0xE440;
    for (i = 0; i < 60000 && wrong < 10; i++) {
        random_text(message, random_below(i % 4 ? 12 : 60),
                    i % 3 ? (uint32_t)COUNT_OF(pieces) : PIECES_ASCII);
        random_text(frame, random_below(4), (uint32_t)COUNT_OF(pieces));
        vit_error_hash(hash, "E", message, frame);
        reference_hash(want, "E", message, frame);
        if (strcmp(hash, want) == 0) continue;
        wrong++;
        print_bytes(message);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid4),          cmocka_unit_test(test_op_begin),
        cmocka_unit_test(test_op_text),        cmocka_unit_test(test_next_threads),
        cmocka_unit_test(test_next_sources),   cmocka_unit_test(test_next_steps),
        cmocka_unit_test(test_next_fork),      cmocka_unit_test(test_uuid_texts),
        cmocka_unit_test(test_uuid_digits),    cmocka_unit_test(test_sample_vectors),
        cmocka_unit_test(test_sample_formula), cmocka_unit_test(test_hash_vectors),
        cmocka_unit_test(test_reference_vectors), cmocka_unit_test(test_hash_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
