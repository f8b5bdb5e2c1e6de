/* test_sha256.c: SHA-256 against published vectors, sha256sum, and itself in pieces.

   Build:   cc -std=c99 -g -I. tests/test_sha256.c -o build/tests/test_sha256 -lcmocka -pthread
   Run from the repository root (files go to build/). */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "chance.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

static void hex_of(char out[65], const unsigned char digest[32])
{
    size_t i;
    for (i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void assert_digest(const void *data, size_t size, const char *want)
{
    unsigned char digest[32];
    char          hex[65];
    vit_sha256(digest, data, size);
    hex_of(hex, digest);
    assert_string_equal(hex, want);
}

/* ---- published vectors ----------------------------------------------------------------------- */

/* FIPS 180-4 examples: text. */
static void test_fips_texts(void **state)
{
    static const struct {
        const char *text, *digest;
    } rows[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
          "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
          "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++)
        assert_digest(rows[i].text, strlen(rows[i].text), rows[i].digest);
}

static unsigned hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    return (unsigned)(strchr(digits, c) - digits);
}

/* CAVP, SHA256ShortMsg and SHA256LongMsg: bytes. */
static void test_cavp(void **state)
{
    static const struct {
        const char *message, *digest;
    } rows[] = {
        { "d3", "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1" },
        { "11af", "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98" },
        { "b4190e", "dff2e73091f6c05e528896c4c831b9448653dc2ff043528f6769437bc7b975c2" },
        { "74ba2521", "b16aa56be3880d18cd41e68384cf1ec8c17680c45a02b1575dc1518923ae8b0e" },
        { "451101250ec6f26652249d59dc974b7361d571a8101cdfd36aba3b5854d3ae086b5fdd4597721b66e3c0dc5d"
          "8c606d9657d0e323283a5217d1f53f2f284f57b85c8a61ac8924711f895c5ed90ef17745ed2d728abd22a5f7"
          "a13479a462d71b56c19a74a40b655c58edfe0a188ad2cf46cbf30524f65d423c837dd1ff2bf462ac41980073"
          "45bb44dbb7b1c861298cdf61982a833afc728fae1eda2f87aa2c9480858bec",
          "3c593aa539fdcdae516cdf2f15000f6634185c88f505b39775fb9ab137a10aa2" },
    };
    unsigned char bytes[256];
    size_t        i, n, size;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        size = strlen(rows[i].message) / 2;
        for (n = 0; n < size; n++)
            bytes[n] = (unsigned char)(hex_value(rows[i].message[2 * n]) * 16 +
                                       hex_value(rows[i].message[2 * n + 1]));
        assert_digest(bytes, size, rows[i].digest);
    }
}

static void test_million(void **state)
{
    static char text[1000000];
    (void)state;
    memset(text, 'a', sizeof text);
    assert_digest(text, sizeof text,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_null(void **state)
{
    (void)state;
    assert_digest(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    vit_sha256(NULL, "abc", 3); /* nowhere to write to: nothing happens */
}

/* A message so long that its count of bits needs all eight bytes of the padding. Nobody hashes it:
   the count is set, then "abc" follows. The answer is from a program of its own (hashlib has no way
   to set the count). */
static void test_long_count(void **state)
{
    vitp_sha256   s;
    unsigned char digest[32];
    char          hex[65];
    (void)state;
    vitp_sha256_begin(&s);
    s.size = 0x0123456789ABCDC0u;
    vitp_sha256_add(&s, "abc", 3);
    vitp_sha256_end(&s, digest);
    hex_of(hex, digest);
    assert_string_equal(hex, "2381227eefaa49932f4380a9ee81ef0783cc94bf561a63a8adc89faa6c5bc473");
}

/* ---- every length against sha256sum ---------------------------------------------------------- */

#define LENGTHS 201

static size_t length_of(size_t i)
{
    return i < LENGTHS ? i : 4000 + 37 * (i - LENGTHS); /* and some longer ones */
}

static void pattern(unsigned char *out, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) out[i] = (unsigned char)(i * 7 + (i >> 3) * 13 + size);
}

static void write_file(const char *folder, size_t i)
{
    unsigned char bytes[8192];
    char          path[128];
    FILE         *f;
    snprintf(path, sizeof path, "%s/%03u", folder, (unsigned)i);
    pattern(bytes, length_of(i));
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, length_of(i), f), length_of(i));
    assert_int_equal(fclose(f), 0);
}

static void test_against_sha256sum(void **state)
{
    char          folder[] = "build/sha256.XXXXXX", command[128], line[256], hex[65];
    unsigned char bytes[8192], digest[32];
    const size_t  files = LENGTHS + 50;
    size_t        i, n = 0, wrong = 0;
    FILE         *f;
    (void)state;
    if (system("command -v sha256sum >/dev/null 2>&1") != 0) {
        print_message("skipped: there is no sha256sum\n");
        skip();
    }
    (void)mkdir("build", 0777);
    assert_non_null(mkdtemp(folder));
    for (i = 0; i < files; i++) write_file(folder, i);
    snprintf(command, sizeof command, "cd %s && sha256sum ???", folder);
    f = popen(command, "r");
    assert_non_null(f);
    for (; fgets(line, sizeof line, f); n++) {
        pattern(bytes, length_of(n));
        vit_sha256(digest, bytes, length_of(n));
        hex_of(hex, digest);
        if (strncmp(line, hex, 64) != 0 || strtoul(line + 66, NULL, 10) != n) {
            print_error("length %u: %s, not %.64s\n", (unsigned)length_of(n), hex, line);
            wrong++;
        }
    }
    assert_int_equal(pclose(f), 0);
    for (i = 0; i < files; i++) {
        snprintf(command, sizeof command, "%s/%03u", folder, (unsigned)i);
        (void)unlink(command);
    }
    (void)rmdir(folder);
    assert_int_equal(n, files);
    assert_int_equal(wrong, 0);
}

/* ---- in pieces ------------------------------------------------------------------------------- */

static void add_in_pieces(vitp_sha256 *s, const unsigned char *bytes, size_t size, uint32_t most)
{
    size_t at = 0, part;
    while (at < size) {
        part = random_below(most + 1u);
        if (part > size - at) part = size - at;
        vitp_sha256_add(s, bytes + at, part);
        at += part;
    }
}

static void test_pieces(void **state)
{
    static const uint32_t mosts[] = { 1, 3, 63, 64, 65, 130, 700 };
    unsigned char         bytes[1500], one[32], pieces[32];
    size_t                i, size;
    vitp_sha256           s;
    (void)state;
    random_state = 0x5EED;
    for (i = 0; i < 5000; i++) {
        size = random_below(i % 10 == 0 ? (uint32_t)sizeof bytes : 300u);
        pattern(bytes, size);
        vit_sha256(one, bytes, size);
        vitp_sha256_begin(&s);
        add_in_pieces(&s, bytes, size, mosts[i % COUNT_OF(mosts)]);
        vitp_sha256_end(&s, pieces);
        if (memcmp(one, pieces, 32) != 0) fail_msg("size %u, run %u", (unsigned)size, (unsigned)i);
    }
}

/* Two halves at every place, across the ends of blocks. */
static void test_halves(void **state)
{
    unsigned char bytes[200], one[32], halves[32];
    size_t        size, at;
    vitp_sha256   s;
    (void)state;
    for (size = 0; size <= sizeof bytes; size++) {
        pattern(bytes, size);
        vit_sha256(one, bytes, size);
        for (at = 0; at <= size; at++) {
            vitp_sha256_begin(&s);
            vitp_sha256_add(&s, bytes, at);
            vitp_sha256_add(&s, bytes + at, size - at);
            vitp_sha256_end(&s, halves);
            if (memcmp(one, halves, 32) != 0)
                fail_msg("size %u cut at %u", (unsigned)size, (unsigned)at);
        }
    }
}

static void test_text(void **state)
{
    vitp_sha256   s;
    unsigned char digest[32], want[32];
    (void)state;
    vitp_sha256_begin(&s);
    vitp_sha256_add_text(&s, NULL);
    vitp_sha256_add_text(&s, "");
    vitp_sha256_add_text(&s, "ab");
    vitp_sha256_add_text(&s, "c");
    vitp_sha256_end(&s, digest);
    vit_sha256(want, "abc", 3);
    assert_memory_equal(digest, want, 32);
}

/* ---- the portable way beside the processor's own instructions -------------------------------- */

/* The same digest by the portable way, whatever the processor has. */
static void portable_digest(unsigned char digest[32], const unsigned char *data, size_t size)
{
    static unsigned char padded[1024];
    vitp_sha256          s;
    size_t               blocks = (size + 9 + 63) / 64, i;
    assert_true(blocks * 64 <= sizeof padded);
    memset(padded, 0, sizeof padded);
    if (size) memcpy(padded, data, size);
    padded[size] = 0x80;
    for (i = 0; i < 8; i++)
        padded[blocks * 64 - 1 - i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    vitp_sha256_begin(&s);
    vitp_sha256_portable(s.state, padded, blocks);
    for (i = 0; i < 32; i++) digest[i] = (unsigned char)(s.state[i / 4] >> (24 - 8 * (i % 4)));
}

/* In pieces of random sizes, at random places in memory. */
static void assert_both_ways(const unsigned char *data, size_t size)
{
    unsigned char want[32], found[32];
    vitp_sha256   s;
    size_t        at, piece;
    portable_digest(want, data, size);
    vit_sha256(found, data, size);
    assert_memory_equal(found, want, 32);
    vitp_sha256_begin(&s);
    for (at = 0; at < size; at += piece) {
        piece = 1 + random_below((uint32_t)(size - at));
        vitp_sha256_add(&s, data + at, piece);
    }
    vitp_sha256_end(&s, found);
    assert_memory_equal(found, want, 32);
}

static void test_both_ways(void **state)
{
    unsigned char data[300 + 64];
    size_t        size, i;
    int           round;
    (void)state;
    random_state = 7;
    for (size = 0; size <= 300; size++)
        for (round = 0; round < 20; round++) {
            size_t begin = random_below(64);
            for (i = 0; i < sizeof data; i++) data[i] = (unsigned char)random_below(256);
            assert_both_ways(data + begin, size);
        }
#if defined(VITP_OS_SHA256_X86) || defined(VITP_OS_SHA256_ARM)
    if (!vitp_os_has_sha256()) print_message("this processor has no such instructions\n");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_fips_texts),
        cmocka_unit_test(test_cavp),
        cmocka_unit_test(test_million),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_long_count),
        cmocka_unit_test(test_against_sha256sum),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
