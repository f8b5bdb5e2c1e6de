/* The queue by itself, one thread: hot (bursts into 64 KiB that stay in the cache, drained
   untimed), burst (50,000 records into a queue that holds them), refusal (full), for records of
   16, 64 and 256 bytes, and U: an uncontended compare-and-swap and a copy of the record, in the
   same run.

   Built twice from this file: as the program, and with -fPIC -shared as the module that the
   program loads (its first argument, or queue_module.so beside it). Each has the queue and the
   loops that call it, so that the two differ in how they were compiled and linked and in nothing
   else.

   Repetitions (REPEATS=n, 11) of all subjects are interleaved. A table, then lines for scripts,
   also in queue.tsv beside the program:
   benchmark<TAB>subject<TAB>median<TAB>min<TAB>max<TAB>unit. */
#define _GNU_SOURCE 1 /* before the first system header */
#include "../vitelemetry.h"

/* As from another source file, which is how programs call it. */
__attribute__((noinline)) bool vit_queue_push(vit_queue *q, const void *record, uint32_t size);

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <dlfcn.h>
#include <stdlib.h>

#define SOURCE_BYTES  16384u /* the records that are copied in: they stay in the first cache */
#define HOT_BYTES     65536u
#define HOT_ROUNDS    200u
#define BURST_RECORDS 50000u
#define BURST_ROOM    65536u
#define REFUSALS      20000u

enum kind {
    KIND_U,
    KIND_HOT,
    KIND_BURST,
    KIND_REFUSAL,
    KINDS
};

typedef double (*measure_fn)(int kind, uint32_t size); /* ns per record; below 0: it went wrong */

double bench_measure(int kind, uint32_t size);

static unsigned char source[SOURCE_BYTES] __attribute__((aligned(64)));

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool forget(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size, (void)user;
    return true;
}

static void empty(vit_queue *q)
{
    while (vit_queue_drain(q, forget, NULL, 100000) > 0) {}
}

/* Pushes count records; adds how many were accepted. */
static uint64_t push(vit_queue *q, uint32_t size, uint32_t count, uint32_t *accepted)
{
    uint64_t begin = now_ns();
    uint32_t i, at = 0, taken = 0;
    for (i = 0; i < count; i++) {
        taken += vit_queue_push(q, source + at, size);
        at = (at + size) & (SOURCE_BYTES - 1u);
    }
    *accepted += taken;
    return now_ns() - begin;
}

/* In rounds of 500, as hot has them. */
static double measure_u(uint32_t size)
{
    static unsigned char target[256] __attribute__((aligned(64)));
    static uint32_t      word __attribute__((aligned(64)));
    uint64_t             begin = now_ns();
    uint32_t             i, at = 0, old;
    for (i = 0; i < 500u * HOT_ROUNDS; i++) {
        old = word;
        __atomic_compare_exchange_n(&word, &old, old + 1u, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        if (size == 16) memcpy(target, source + at, 16);
        else if (size == 64) memcpy(target, source + at, 64);
        else memcpy(target, source + at, size);
        __asm__ volatile("" : : "r"(target) : "memory");
        at = (at + size) & (SOURCE_BYTES - 1u);
    }
    return (double)(now_ns() - begin) / (500.0 * HOT_ROUNDS);
}

static double measure_hot(vit_queue *q, uint32_t size)
{
    uint32_t burst = size <= 64 ? 500u : 100u, accepted = 0, r;
    uint64_t ns = 0;
    for (r = 0; r < 10; r++) push(q, size, burst, &accepted), empty(q);
    for (r = accepted = 0; r < HOT_ROUNDS; r++) {
        ns += push(q, size, burst, &accepted);
        empty(q);
    }
    return accepted == burst * HOT_ROUNDS ? (double)ns / accepted : -1;
}

static double measure_burst(vit_queue *q, uint32_t size)
{
    uint32_t accepted = 0;
    uint64_t ns;
    push(q, size, BURST_RECORDS, &accepted); /* its memory is there */
    empty(q);
    ns = push(q, size, BURST_RECORDS, &accepted);
    return accepted == 2u * BURST_RECORDS ? (double)ns / BURST_RECORDS : -1;
}

static double measure_refusal(vit_queue *q, uint32_t size)
{
    uint32_t accepted = 0;
    uint64_t ns;
    while (vit_queue_push(q, source, size)) {}
    ns = push(q, size, REFUSALS, &accepted);
    return accepted == 0 ? (double)ns / REFUSALS : -1;
}

double bench_measure(int kind, uint32_t size)
{
    size_t     bytes = vit_queue_bytes(kind == KIND_BURST ? 2u * BURST_ROOM * size : HOT_BYTES);
    void      *memory = aligned_alloc(64, bytes);
    vit_queue *q = memory ? vit_queue_init(memory, bytes) : NULL;
    double     ns = -1;
    if (kind == KIND_U) ns = measure_u(size);
    else if (q && kind == KIND_HOT) ns = measure_hot(q, size);
    else if (q && kind == KIND_BURST) ns = measure_burst(q, size);
    else if (q) ns = measure_refusal(q, size);
    free(memory);
    return ns;
}

/* ---- the program --------------------------------------------------------------------------- */

#ifndef BENCH_MODULE

#define REPEATS_MAX 1000
#define SIZES       3
#define SIDES       2

static const uint32_t    sizes[SIZES] = { 16, 64, 256 };
static const char *const kind_names[KINDS] = { "U", "hot", "burst", "refusal" };
static const char *const side_names[SIDES] = { "linked", "loaded module" };

typedef struct series {
    double values[REPEATS_MAX];
    double median, min, max;
} series;

static series results[KINDS][SIZES][SIDES];

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool summarize(series *s, int repeats)
{
    qsort(s->values, (size_t)repeats, sizeof(double), by_value);
    s->min = s->values[0];
    s->median = s->values[repeats / 2];
    s->max = s->values[repeats - 1];
    return s->min >= 0;
}

static measure_fn load_module(const char *program, const char *name)
{
    char        path[4096];
    const char *slash = strrchr(program, '/');
    void       *module, *symbol;
    measure_fn  measure = NULL;
    snprintf(path, sizeof path, "%.*squeue_module.so", slash ? (int)(slash - program + 1) : 0,
             program);
    module = dlopen(name ? name : path, RTLD_NOW | RTLD_LOCAL);
    symbol = module ? dlsym(module, "bench_measure") : NULL;
    if (!symbol) fprintf(stderr, "without a module: %s\n", dlerror());
    memcpy(&measure, &symbol, sizeof measure); /* C has no cast from one to the other */
    return measure;
}

static void *sleep_on(void *user)
{
    for (;;) pause();
    return user;
}

static void print_line(FILE *tsv, int kind, int size, const char *subject, const series *s)
{
    FILE *out[2] = { stdout, NULL };
    int   i;
    out[1] = tsv;
    for (i = 0; i < 2; i++)
        if (out[i])
            fprintf(out[i], "queue %s %u B\t%s\t%.3f\t%.3f\t%.3f\tns\n", kind_names[kind],
                    (unsigned)sizes[size], subject, s->median, s->min, s->max);
}

static void print_table(int sides)
{
    int kind, size, side;
    printf("%-22s", "ns, median / min, in U");
    for (size = 0; size < SIZES; size++) printf("%17u B      ", (unsigned)sizes[size]);
    for (kind = KIND_U; kind < KINDS; kind++)
        for (side = 0; side < (kind == KIND_U ? 1 : sides); side++) {
            printf("\n%-7s %-14s", kind_names[kind], kind == KIND_U ? "" : side_names[side]);
            for (size = 0; size < SIZES; size++)
                printf("%8.2f /%7.2f %5.2f U", results[kind][size][side].median,
                       results[kind][size][side].min,
                       results[kind][size][side].median / results[KIND_U][size][0].median);
        }
    printf("\n\n");
}

static void print_lines(const char *program, int sides)
{
    char path[4096];
    int  kind, size, side;
    snprintf(path, sizeof path, "%s.tsv", program);
    FILE *tsv = fopen(path, "w");
    for (kind = KIND_U; kind < KINDS; kind++)
        for (size = 0; size < SIZES; size++)
            for (side = 0; side < (kind == KIND_U ? 1 : sides); side++)
                print_line(tsv, kind, size, kind == KIND_U ? "U" : side_names[side],
                           &results[kind][size][side]);
    if (tsv) fclose(tsv);
}

int main(int argc, char **argv)
{
    const char *wish = getenv("REPEATS");
    int         repeats = wish ? atoi(wish) : 11, sides = 1, r, i, kind, size, side;
    measure_fn  measure[SIDES] = { bench_measure, NULL };
    bool        good = true;
    pthread_t   second; /* so that the C library takes no short cut for one thread */
    if (repeats < 1 || repeats > REPEATS_MAX) repeats = 11;
    measure[1] = load_module(argv[0], argc > 1 ? argv[1] : NULL);
    if (measure[1]) sides = 2;
    if (pthread_create(&second, NULL, sleep_on, NULL) != 0) return 1;
    for (r = 0; r < repeats; r++)
        for (i = 0; i < KINDS * SIZES * sides; i++) {
            int turn = (i + r) % (KINDS * SIZES * sides); /* each begins once */
            kind = turn / (SIZES * sides), size = turn / sides % SIZES, side = turn % sides;
            results[kind][size][side].values[r] = measure[side](kind, sizes[size]);
        }
    for (kind = 0; kind < KINDS; kind++)
        for (size = 0; size < SIZES; size++)
            for (side = 0; side < sides; side++)
                good = summarize(&results[kind][size][side], repeats) && good;
    print_table(sides);
    print_lines(argv[0], sides);
    if (!good) fprintf(stderr, "a queue refused a record that it has room for, or the reverse\n");
    return good ? 0 : 1;
}

#endif /* BENCH_MODULE */
