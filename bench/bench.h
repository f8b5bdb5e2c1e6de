/* bench.h - what the benchmarks share: time, percentiles, rows of results, a client, an event.

   Include it behind ../vitelemetry.h with VITELEMETRY_IMPLEMENTATION; C99 or C++17.

   A benchmark measures each contestant once a round and the rounds of all are interleaved, so that
   what the machine does meanwhile hits all of them. A row is the median, least and greatest of its
   rounds. Time decides nothing: what is checked is that the work was done (bench_check). */

#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../tests/environment.h"

#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#endif

#define BENCH_FN         static __attribute__((unused))
#define BENCH_ROUNDS_MAX 99
#define BENCH_ROWS_MAX   256

/* ---- time ------------------------------------------------------------------------------------ */

BENCH_FN uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Of this thread: what it waited for the processor does not count. */
BENCH_FN uint64_t bench_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#if defined(__x86_64__) || defined(__i386__)
static inline uint64_t bench_ticks(void) { return __rdtsc(); }
BENCH_FN void          bench_relax(void) { _mm_pause(); }
#else
static inline uint64_t bench_ticks(void) { return bench_now_ns(); }
BENCH_FN void          bench_relax(void) {}
#endif

static double bench_tick_ns = 1;  /* of one tick */
static double bench_timer_ns = 0; /* of reading the time twice; what percentiles are net of */

BENCH_FN int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

BENCH_FN double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, bench_by_value);
    return values[count / 2];
}

BENCH_FN void bench_clock_init(void)
{
    static double gaps[10001];
    uint64_t      ns = bench_now_ns(), ticks = bench_ticks(), begin;
    size_t        i;
    while (bench_now_ns() - ns < 50000000u) {}
    bench_tick_ns = (double)(bench_now_ns() - ns) / (double)(bench_ticks() - ticks);
    for (i = 0; i < 10001; i++) {
        begin = bench_ticks();
        gaps[i] = (double)(bench_ticks() - begin);
    }
    bench_timer_ns = bench_median(gaps, 10001) * bench_tick_ns;
}

/* ---- durations in ticks: exact below 256, then 128 steps for each power of two --------------- */

#define BENCH_STEPS (256u + 128u * 56u)

typedef struct bench_histogram {
    uint32_t count[BENCH_STEPS];
    uint64_t total;
} bench_histogram;

BENCH_FN void bench_histogram_add(bench_histogram *h, uint64_t ticks)
{
    unsigned shift = ticks < 256 ? 0 : 56u - (unsigned)__builtin_clzll(ticks);
    h->count[shift == 0 ? (unsigned)ticks
                        : 256u + (shift - 1u) * 128u + (unsigned)(ticks >> shift) - 128u]++;
    h->total++;
}

BENCH_FN void bench_histogram_join(bench_histogram *h, const bench_histogram *other)
{
    size_t i;
    for (i = 0; i < BENCH_STEPS; i++) h->count[i] += other->count[i];
    h->total += other->total;
}

/* ns net of the timer. */
BENCH_FN double bench_histogram_at(const bench_histogram *h, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)h->total), seen = 0;
    double   ticks;
    unsigned i;
    for (i = 0; i < BENCH_STEPS - 1u; i++)
        if ((seen += h->count[i]) > wanted) break;
    ticks = i < 256
                ? i
                : ((i - 256u) % 128u + 128.5) * (double)(UINT64_C(1) << ((i - 256u) / 128u + 1u));
    ticks = ticks * bench_tick_ns - bench_timer_ns;
    return ticks > 0 ? ticks : 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

typedef struct bench_row {
    char   panel[64], subject[64], unit[8];
    double values[BENCH_ROUNDS_MAX];
    double x; /* of a curve */
    int    count;
} bench_row;

static bench_row bench_rows[BENCH_ROWS_MAX];
static size_t    bench_row_count;
static unsigned  bench_passed, bench_failed;

/* Passes or fails: a check of what was done, not of how long it took. */
BENCH_FN void bench_check(bool good, const char *what)
{
    if (good) bench_passed++;
    else {
        bench_failed++;
        printf("FAIL  %s\n", what);
    }
}

BENCH_FN bench_row *bench_find(const char *panel, const char *subject, double x)
{
    size_t i;
    for (i = 0; i < bench_row_count; i++)
        if (strcmp(bench_rows[i].panel, panel) == 0 &&
            strcmp(bench_rows[i].subject, subject) == 0 && fabs(bench_rows[i].x - x) < 1e-9)
            return &bench_rows[i];
    return NULL;
}

/* One more value. Rows stand in the order in which they first came. */
BENCH_FN void bench_note_at(const char *panel, const char *subject, double x, double value,
                            const char *unit)
{
    bench_row *r = bench_find(panel, subject, x);
    if (!r) {
        if (bench_row_count == BENCH_ROWS_MAX) abort();
        r = &bench_rows[bench_row_count++];
        snprintf(r->panel, sizeof r->panel, "%s", panel);
        snprintf(r->subject, sizeof r->subject, "%s", subject);
        snprintf(r->unit, sizeof r->unit, "%s", unit);
        r->x = x;
    }
    if (r->count < BENCH_ROUNDS_MAX) r->values[r->count++] = value;
}

BENCH_FN void bench_note(const char *panel, const char *subject, double value, const char *unit)
{
    bench_note_at(panel, subject, 0, value, unit);
}

/* The median of a row; not a number where there is none. */
BENCH_FN double bench_of_at(const char *panel, const char *subject, double x)
{
    bench_row *r = bench_find(panel, subject, x);
    return r ? bench_median(r->values, (size_t)r->count) : (double)NAN;
}

BENCH_FN double bench_of(const char *panel, const char *subject)
{
    return bench_of_at(panel, subject, 0);
}

/* How many times better a is than b: less time, or more a second. */
BENCH_FN double bench_better(const char *panel, const char *a, const char *b)
{
    bench_row *r = bench_find(panel, a, 0);
    double     x = bench_of(panel, a), y = bench_of(panel, b);
    return !r ? (double)NAN : strcmp(r->unit, "ns") == 0 ? y / x : x / y;
}

/* `goal` as a text: what the ratio should be. A ratio of what is not here is not printed. */
BENCH_FN void bench_ratio(const char *what, double ratio, const char *goal)
{
    if (isfinite(ratio)) printf("%-66s %8.2f   (aim: %s)\n", what, ratio, goal);
}

BENCH_FN void bench_print_row(bench_row *r, const char *first)
{
    double median = bench_median(r->values, (size_t)r->count);
    char   name[80];
    snprintf(name, sizeof name, r->x != 0 ? "%s, %g" : "%s", r->subject, r->x);
    printf("  %-42.42s %10.2f %10.2f %10.2f", name, median, r->values[0], r->values[r->count - 1]);
    if (r->x != 0) printf("\n");
    else printf(" %7.2f\n", bench_better(r->panel, first, r->subject));
}

/* The first row of a panel, or of a subject in it. */
BENCH_FN bool bench_is_first(size_t i, bool of_panel)
{
    size_t k = 0;
    while (strcmp(bench_rows[k].panel, bench_rows[i].panel) != 0 ||
           (!of_panel && strcmp(bench_rows[k].subject, bench_rows[i].subject) != 0))
        k++;
    return k == i;
}

BENCH_FN void bench_print_panel(size_t first)
{
    const bench_row *r = &bench_rows[first];
    size_t           i, k;
    printf("\n%-44.44s %10s %10s %10s%s\n", r->panel, r->unit, "min", "max",
           r->x != 0 ? "" : "   ratio");
    for (i = first; i < bench_row_count; i++) {
        if (strcmp(bench_rows[i].panel, r->panel) != 0 || !bench_is_first(i, false)) continue;
        for (k = i; k < bench_row_count; k++)
            if (strcmp(bench_rows[k].panel, r->panel) == 0 &&
                strcmp(bench_rows[k].subject, bench_rows[i].subject) == 0)
                bench_print_row(&bench_rows[k], r->subject);
    }
}

/* Tables, one a panel. The ratio is how many times better the first row is. */
BENCH_FN void bench_print(void)
{
    size_t i;
    for (i = 0; i < bench_row_count; i++)
        if (bench_is_first(i, true)) bench_print_panel(i);
}

/* benchmark<TAB>subject<TAB>median<TAB>min<TAB>max<TAB>unit, and <TAB>x of a curve. */
BENCH_FN void bench_write(const char *path, bool curves)
{
    FILE  *f = fopen(path, "w");
    size_t i;
    for (i = 0; f && i < bench_row_count; i++) {
        bench_row *r = &bench_rows[i];
        double     median = bench_median(r->values, (size_t)r->count);
        fprintf(f, "%s\t%s\t%.4g\t%.4g\t%.4g\t%s", r->panel, r->subject, median, r->values[0],
                r->values[r->count - 1], r->unit);
        if (curves) fprintf(f, "\t%g", r->x);
        fprintf(f, "\n");
    }
    bench_check(f && fclose(f) == 0 && bench_row_count > 0, path);
}

/* The last line, and the status. Nothing that was checked is a failure. */
BENCH_FN int bench_end(void)
{
    printf("\n%u passed, %u failed\n", bench_passed, bench_failed);
    return bench_passed > 0 && bench_failed == 0 ? 0 : 1;
}

BENCH_FN int bench_rounds(int otherwise)
{
    const char *text = getenv("REPEATS");
    int         n = text ? atoi(text) : 0;
    return n < 1 ? otherwise : n > BENCH_ROUNDS_MAX ? BENCH_ROUNDS_MAX : n;
}

/* ---- a client -------------------------------------------------------------------------------- */

#ifdef VITELEMETRY_IMPLEMENTED

/* The body goes to the file number that user points to, as the others' lines do. */
BENCH_FN vit_response bench_send(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    if (user &&
        write(*(const int *)user, request->body, request->body_size) != (ssize_t)request->body_size)
        answer.http_status = 0;
    return answer;
}

BENCH_FN vit_response bench_send_nowhere(const vit_request *request, void *user)
{
    vit_response none = { 0, 0 };
    (void)request, (void)user;
    return none;
}

/* A fresh folder of mode 0700 in build/bench. */
BENCH_FN void bench_folder(char out[64])
{
    (void)mkdir("build", 0755);
    (void)mkdir("build/bench", 0755);
    snprintf(out, 64, "build/bench/data-XXXXXX");
    if (!mkdtemp(out)) abort();
}

BENCH_FN void bench_folder_remove(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0) printf("%s stays\n", path);
}

/* Granted; the queue lies where a program's would. */
BENCH_FN vit_options bench_options(const char *folder, int *file)
{
    vit_options o;
    memset(&o, 0, sizeof o);
    o.endpoint = "http://127.0.0.1:9/api/v1/telemetry";
    o.app_version = "1.2.3";
    o.data_dir = folder;
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.wire = VIT_WIRE_NDJSON;
    o.transport.send_fn = file ? bench_send : bench_send_nowhere;
    o.transport.user = file;
    return o;
}

BENCH_FN uint64_t bench_dropped(const vit_stats *s)
{
    uint64_t n = 0;
    size_t   i;
    for (i = 0; i < VIT_DROP_COUNT; i++) n += s->dropped[i];
    return n;
}

BENCH_FN bool bench_balanced(const vit_client *t)
{
    vit_stats s = vit_get_stats(t);
    return s.accepted + s.adopted ==
           s.delivered + s.queued + s.spooled + s.handed_over + bench_dropped(&s);
}

/* The event of all contestants; number makes each a little different. */
BENCH_FN vit_query_executed bench_event(const vit_op *op, uint32_t number)
{
    vit_query_executed e;
    e.op = op;
    e.query_type = "similarity";
    e.db_type = "chromadb";
    e.result_count = number % 1000u;
    e.latency_ms = number & 255u;
    e.filters_applied = "none";
    e.success = (number & 7u) != 0;
    return e;
}

/* As printf takes it, for those that write text. */
#define BENCH_FORMAT                                                                        \
    "{\"hwid\":\"3f2b8c1e-9a4d-4f6b-8e21-7c5d0a9b1e42\",\"event_name\":\"query.executed\"," \
    "\"app_version\":\"1.2.3\",\"client_type\":\"vector-inspector\",\"metadata\":{"         \
    "\"query_type\":\"%s\",\"db_type\":\"%s\",\"result_count\":%lld,\"latency_ms\":%lld,"   \
    "\"filters_applied\":\"%s\",\"success\":%s,\"correlation_id\":\"%s\"}}\n"

#endif

#endif
