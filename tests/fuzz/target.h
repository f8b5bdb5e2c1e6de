/* target.h - what the fuzz targets share

A target NAME is a file tests/fuzz/NAME.c with a function

    static void fuzz_NAME(const uint8_t *data, size_t size);

which calls demand() for what must hold of every input, and ends with FUZZ_TARGET(NAME). With
clang -fsanitize=fuzzer such a file is a libFuzzer target. A target whose inputs are binary makes
seeds itself, in the layout of the day:

    static size_t seed_NAME(unsigned number, uint8_t *out, size_t room);     0: there are no more

and ends with FUZZ_TARGET_SEEDED(NAME); the folder that FUZZ_SEEDS names gets them at the start.

With FUZZ_FILES there is no libFuzzer: fuzz_files_main runs files by their folder's name, a .tsv
line by line, and the seeds that targets make. */

#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What only looks is not watched: an input is worth no more for what it makes a check do. */
#if defined(__clang__)
#define FUZZ_FN static __attribute__((unused, no_sanitize("coverage")))
#else
#define FUZZ_FN static __attribute__((unused))
#endif
#define JSON_FN FUZZ_FN

static const char *fuzz_where = "the input"; /* what is run: a file, or a line of one */
static unsigned    fuzz_where_line;
static unsigned
    fuzz_reached; /* requests built from an input: seeds that are made must build some */

FUZZ_FN void demand(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "broken: %s\nin %s:%u\n", what, fuzz_where, fuzz_where_line);
    abort();
}

/* ---- an input, read from its front; behind its end are zeros --------------------------------- */

typedef struct fuzz_feed {
    const uint8_t *at;
    size_t         left;
} fuzz_feed;

FUZZ_FN void fuzz_take(fuzz_feed *f, void *out, size_t size)
{
    size_t there = size < f->left ? size : f->left;
    memset(out, 0, size);
    if (there) memcpy(out, f->at, there);
    f->at += there;
    f->left -= there;
}

FUZZ_FN uint8_t fuzz_u8(fuzz_feed *f)
{
    uint8_t v;
    fuzz_take(f, &v, 1);
    return v;
}

FUZZ_FN uint16_t fuzz_u16(fuzz_feed *f)
{
    uint16_t v;
    fuzz_take(f, &v, 2);
    return v;
}

FUZZ_FN uint64_t fuzz_u64(fuzz_feed *f)
{
    uint64_t v;
    fuzz_take(f, &v, 8);
    return v;
}

/* The next *size bytes, of which there may be fewer. */
FUZZ_FN const uint8_t *fuzz_bytes(fuzz_feed *f, size_t *size)
{
    const uint8_t *at = f->at;
    if (*size > f->left) *size = f->left;
    f->at += *size;
    f->left -= *size;
    return at;
}

/* ---- buffers: right behind what may be written or read is a guard ---------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_ASAN
#include <sanitizer/asan_interface.h>
#endif
#endif

#define FUZZ_GUARD      16u
#define FUZZ_GUARD_BYTE 0xA5

/* Behind a buffer of a multiple of 8 bytes: a sanitizer sees each access to it, else what is
   written is seen afterwards. */
FUZZ_FN void fuzz_guard(void *behind)
{
#ifdef FUZZ_ASAN
    ASAN_POISON_MEMORY_REGION(behind, FUZZ_GUARD);
#else
    memset(behind, FUZZ_GUARD_BYTE, FUZZ_GUARD);
#endif
}

FUZZ_FN void fuzz_guarded(const void *behind)
{
#ifdef FUZZ_ASAN
    (void)behind;
#else
    const unsigned char *p = (const unsigned char *)behind;
    size_t               i;
    for (i = 0; i < FUZZ_GUARD; i++) demand(p[i] == FUZZ_GUARD_BYTE, "writes within the room");
#endif
}

/* ---- with and without libFuzzer -------------------------------------------------------------- */

typedef void (*fuzz_target_fn)(const uint8_t *data, size_t size);
typedef size_t (*fuzz_seed_fn)(unsigned number, uint8_t *out, size_t room);

#define FUZZ_SEED_MAX 65536u

#ifdef FUZZ_FILES
#define FUZZ_TARGET(name)
#define FUZZ_TARGET_SEEDED(name)

typedef struct fuzz_target {
    const char    *name;
    fuzz_target_fn target_fn;
    fuzz_seed_fn   seed_fn; /* NULL: it makes none */
    unsigned       runs;
} fuzz_target;

static unsigned char fuzz_buffer[FUZZ_SEED_MAX];

/* In memory of just its size, so that a sanitizer sees each byte beyond it. */
static void fuzz_run(fuzz_target *t, const void *bytes, size_t size)
{
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    if (!copy) exit(2);
    if (size) memcpy(copy, bytes, size);
    t->target_fn(copy, size);
    free(copy);
    t->runs++;
    fuzz_where_line++;
}

static void fuzz_run_file(fuzz_target *t, const char *path, bool by_line)
{
    FILE *f = fopen(path, "rb");
    char *text = (char *)fuzz_buffer;
    if (!f) {
        perror(path);
        exit(2);
    }
    fuzz_where = path;
    fuzz_where_line = 1;
    if (!by_line) fuzz_run(t, fuzz_buffer, fread(fuzz_buffer, 1, sizeof fuzz_buffer, f));
    while (by_line && fgets(text, (int)sizeof fuzz_buffer, f)) fuzz_run(t, text, strlen(text));
    fclose(f);
}

static void fuzz_run_seeds(fuzz_target *t)
{
    size_t   size;
    unsigned i;
    fuzz_where = t->name;
    fuzz_where_line = 0;
    for (i = 0; t->seed_fn && (size = t->seed_fn(i, fuzz_buffer, sizeof fuzz_buffer)) > 0; i++)
        fuzz_run(t, fuzz_buffer, size);
}

/* Is the file in a folder of this name? Lines of a .tsv are for scrub. */
static bool fuzz_is_for(const char *path, const fuzz_target *t, bool by_line)
{
    size_t      n = strlen(t->name);
    const char *slash = strrchr(path, '/');
    if (by_line) return strcmp(t->name, "scrub") == 0;
    return slash && (size_t)(slash - path) > n && slash[-(ptrdiff_t)n - 1] == '/' &&
           memcmp(slash - n, t->name, n) == 0;
}

/* A file that is for no target of this program is another's. */
static int fuzz_files_main(int argc, char **argv, fuzz_target *targets, size_t count)
{
    unsigned passed = 0, failed = 0;
    size_t   k;
    int      i;
    for (i = 1; i < argc; i++) {
        size_t n = strlen(argv[i]);
        bool   by_line = n > 4 && strcmp(argv[i] + n - 4, ".tsv") == 0;
        for (k = 0; k < count; k++)
            if (fuzz_is_for(argv[i], &targets[k], by_line))
                fuzz_run_file(&targets[k], argv[i], by_line);
    }
    for (k = 0; k < count; k++) {
        bool good;
        fuzz_reached = 0;
        fuzz_run_seeds(&targets[k]);
        good = targets[k].runs > 0 && (!targets[k].seed_fn || fuzz_reached > 0);
        printf("%-4s %s: %u inputs\n", good ? "ok" : "FAIL", targets[k].name, targets[k].runs);
        passed += good ? targets[k].runs : 0;
        failed += !good;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

FUZZ_FN void fuzz_write_seeds(fuzz_seed_fn seed_fn, const char *folder)
{
    static uint8_t bytes[FUZZ_SEED_MAX];
    char path[1024];
    size_t size;
    unsigned i;
    for (i = 0; folder && (size = seed_fn(i, bytes, sizeof bytes)) > 0; i++) {
        FILE *f;
        snprintf(path, sizeof path, "%s/made-%u", folder, i);
        f = fopen(path, "wb");
        if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0) exit(2);
    }
}

#define FUZZ_TARGET(name)                                        \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) \
    {                                                            \
        fuzz_##name(data, size);                                 \
        return 0;                                                \
    }
#define FUZZ_TARGET_SEEDED(name)                             \
    FUZZ_TARGET(name)                                        \
    int LLVMFuzzerInitialize(int *argc, char ***argv)        \
    {                                                        \
        (void)argc, (void)argv;                              \
        fuzz_write_seeds(seed_##name, getenv("FUZZ_SEEDS")); \
        return 0;                                            \
    }
#endif

#endif /* TESTS_FUZZ_TARGET_H */
