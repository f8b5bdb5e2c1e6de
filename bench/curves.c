/* How the cost of an event grows: with threads, the size of the queue, what the event holds, and
   what waits already. ns of processor time an event, on the thread that records.

   threads       that record at once, 1 to 16: a declared event, an ad-hoc event of 3 members
   queue         of 64 KiB to 16 MiB: bursts of a quarter of it
   event         bytes of its text: TEXT, which is scrubbed; LABEL; and a record of that size by
                 vit_queue_push
   members       of an ad-hoc event, 0 to 64: INT, LABEL
   pending       events that wait already, in the queue and in the spool

   Whether each event was accepted is checked, and that what waits is there. Repetitions
   (REPEATS=n, 7) of all points are interleaved. */
#define _GNU_SOURCE 1 /* before the first system header */
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_WHITEBOX
#include "../vitelemetry.h"

#include "bench.h"

#include <dirent.h>

#define BURST       1000u
#define BURSTS      20u
#define THREADS_MAX 16u

static vit_op   op;
static uint32_t sink;

/* ---- what is recorded ------------------------------------------------------------------------ */

static char letters[4097]; /* prose */

typedef struct what {
    vit_client *client;
    vit_queue  *queue;
    uint32_t    members, bytes;
    const char *text; /* of `bytes` */
} what;

typedef bool (*record_fn)(const what *w, uint32_t number);

static bool record_declared(const what *w, uint32_t number)
{
    vit_query_executed e = bench_event(&op, number);
    return vit_track_query_executed(w->client, &e) == VIT_OK;
}

static bool record_adhoc(const what *w, uint32_t number)
{
    vit_event e;
    vit_event_begin(&e, w->client, "file.opened", &op);
    vit_add_label(&e, "format", "csv");
    vit_add_int(&e, "size_kb", number);
    vit_add_flag(&e, "success", true);
    return vit_event_send(&e) == VIT_OK;
}

static bool record_text(const what *w, uint32_t number)
{
    vit_event e;
    (void)number;
    vit_event_begin(&e, w->client, "note.written", &op);
    vit_add_text(&e, "message", w->text);
    return vit_event_send(&e) == VIT_OK;
}

static bool record_label(const what *w, uint32_t number)
{
    vit_event e;
    (void)number;
    vit_event_begin(&e, w->client, "note.written", &op);
    vit_add_label(&e, "message", w->text);
    return vit_event_send(&e) == VIT_OK;
}

static bool record_push(const what *w, uint32_t number)
{
    (void)number;
    return vit_queue_push(w->queue, letters, w->bytes);
}

static const char *key_of(uint32_t i)
{
    static char keys[64][8];
    if (!keys[i][0]) snprintf(keys[i], sizeof keys[i], "m%u", (unsigned)i);
    return keys[i];
}

static bool record_ints(const what *w, uint32_t number)
{
    vit_event e;
    uint32_t  i;
    vit_event_begin(&e, w->client, "many.members", &op);
    for (i = 0; i < w->members; i++) vit_add_int(&e, key_of(i), number + i);
    return vit_event_send(&e) == VIT_OK;
}

static bool record_labels(const what *w, uint32_t number)
{
    vit_event e;
    uint32_t  i;
    (void)number;
    vit_event_begin(&e, w->client, "many.members", &op);
    for (i = 0; i < w->members; i++) vit_add_label(&e, key_of(i), "similarity");
    return vit_event_send(&e) == VIT_OK;
}

/* ---- a client, and bursts -------------------------------------------------------------------- */

static vit_client *make_client(const char *folder, uint32_t queue_bytes)
{
    vit_options o = bench_options(folder, NULL);
    vit_client *t;
    o.no_thread = true;
    o.queue_bytes = queue_bytes;
    t = vit_create(&o);
    if (!t) abort();
    vit_set_rate(t, "query.executed", 1.0);
    return t;
}

static bool forget(const void *record, uint32_t size, void *user)
{
    (void)record, (void)user;
    sink += size;
    return true;
}

static void empty(const what *w)
{
    if (w->client) vit_purge(w->client);
    else
        while (vit_queue_drain(w->queue, forget, NULL, 100000) > 0) {}
}

/* Median over some bursts: ns an event. */
static double measure(record_fn record, const what *w, uint32_t burst, bool keep)
{
    double   values[BURSTS];
    uint32_t i, k, taken = 0;
    for (k = 0; k < BURSTS; k++) {
        uint64_t begin = bench_cpu_ns();
        for (i = 0; i < burst; i++) taken += record(w, i);
        values[k] = (double)(bench_cpu_ns() - begin) / burst;
        if (!keep) empty(w);
    }
    bench_check(taken == burst * BURSTS, "each event is accepted");
    return bench_median(values, BURSTS);
}

/* ---- threads --------------------------------------------------------------------------------- */

typedef struct worker {
    pthread_t          thread;
    pthread_barrier_t *begin, *end;
    record_fn          record;
    const what        *w;
    uint32_t           events, taken;
    uint64_t           ns[BURSTS];
} worker;

static void *work(void *argument)
{
    worker  *own = (worker *)argument;
    uint32_t i, k;
    for (k = 0; k < BURSTS; k++) {
        uint64_t begin;
        pthread_barrier_wait(own->begin);
        begin = bench_cpu_ns();
        for (i = 0; i < own->events; i++) own->taken += own->record(own->w, i);
        own->ns[k] = bench_cpu_ns() - begin;
        pthread_barrier_wait(own->end);
    }
    return NULL;
}

static double measure_threads(record_fn record, const what *w, uint32_t count)
{
    static worker     workers[THREADS_MAX];
    pthread_barrier_t begin, end;
    double            values[BURSTS * THREADS_MAX];
    uint32_t          i, k, taken = 0;
    pthread_barrier_init(&begin, NULL, count + 1u);
    pthread_barrier_init(&end, NULL, count + 1u);
    for (i = 0; i < count; i++) {
        workers[i].begin = &begin, workers[i].end = &end;
        workers[i].record = record, workers[i].w = w;
        workers[i].events = BURST, workers[i].taken = 0;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) abort();
    }
    for (k = 0; k < BURSTS; k++) {
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&end);
        empty(w);
    }
    for (i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        taken += workers[i].taken;
        for (k = 0; k < BURSTS; k++) values[i * BURSTS + k] = (double)workers[i].ns[k] / BURST;
    }
    pthread_barrier_destroy(&begin);
    pthread_barrier_destroy(&end);
    bench_check(taken == count * BURST * BURSTS, "each event is accepted, by all threads");
    return bench_median(values, (size_t)count * BURSTS);
}

/* ---- the curves ------------------------------------------------------------------------------ */

static void curve_threads(void)
{
    static const char *const panel = "threads that record at once";
    what                     w = { NULL, NULL, 0, 0, NULL };
    uint32_t                 n;
    w.client = make_client("", 8u << 20);
    for (n = 1; n <= THREADS_MAX; n *= 2) {
        bench_note_at(panel, "a declared event", n, measure_threads(record_declared, &w, n), "ns");
        bench_note_at(panel, "an ad-hoc event of 3", n, measure_threads(record_adhoc, &w, n), "ns");
    }
    vit_destroy(w.client, 0);
}

static void curve_queue(void)
{
    static const char *const panel = "size of the queue, KiB";
    uint32_t                 kib;
    for (kib = 64; kib <= 16384; kib *= 4) {
        what w = { NULL, NULL, 0, 0, NULL };
        w.client = make_client("", kib << 10);
        bench_note_at(panel, "a declared event", kib,
                      measure(record_declared, &w, (kib << 10) / 4u / 128u, false), "ns");
        vit_destroy(w.client, 0);
    }
}

static void curve_event(void)
{
    static const char *const panel = "bytes in an event";
    static char              text[1025];
    what                     w = { NULL, NULL, 0, 0, text };
    what                     q = { NULL, NULL, 0, 0, NULL };
    size_t                   bytes = vit_queue_bytes(8u << 20);
    void                    *memory = aligned_alloc(64, bytes);
    uint32_t                 n;
    if (!memory) abort();
    w.client = make_client("", 8u << 20);
    q.queue = vit_queue_init(memory, bytes);
    for (n = 16; n <= 1024; n *= 2) {
        memcpy(text, letters, n);
        text[n] = 0;
        q.bytes = n;
        bench_note_at(panel, "TEXT, scrubbed", n, measure(record_text, &w, BURST, false), "ns");
        if (n <= 64)
            bench_note_at(panel, "LABEL", n, measure(record_label, &w, BURST, false), "ns");
        bench_note_at(panel, "vit_queue_push", n, measure(record_push, &q, BURST, false), "ns");
    }
    vit_destroy(w.client, 0);
    free(memory);
}

static void curve_members(void)
{
    static const char *const panel = "members of an ad-hoc event";
    what                     w = { NULL, NULL, 0, 0, NULL };
    w.client = make_client("", 8u << 20);
    for (w.members = 1; w.members <= 64; w.members *= 2) {
        bench_note_at(panel, "INT", w.members, measure(record_ints, &w, BURST, false), "ns");
        bench_note_at(panel, "LABEL", w.members, measure(record_labels, &w, BURST, false), "ns");
    }
    vit_destroy(w.client, 0);
}

/* Some that are kept: the events that are measured wait with them. */
static void fill(vit_client *t, uint32_t count)
{
    what     w = { NULL, NULL, 0, 0, NULL };
    uint32_t i, taken = 0;
    w.client = t;
    for (i = 0; i < count; i++) taken += record_declared(&w, i);
    bench_check(taken == count, "what waits was accepted");
}

static const uint32_t pendings[] = { 1, 10, 100, 1000, 10000 };
#define PENDINGS (sizeof pendings / sizeof pendings[0])

static void curve_pending_queue(void)
{
    size_t k;
    for (k = 0; k < PENDINGS; k++) {
        what w = { NULL, NULL, 0, 0, NULL };
        w.client = make_client("", 8u << 20);
        fill(w.client, pendings[k]);
        bench_note_at("events that wait", "in the queue", pendings[k],
                      measure(record_declared, &w, BURST / 10u, true), "ns");
        bench_check(vit_get_stats(w.client).queued == pendings[k] + BURST / 10u * BURSTS,
                    "what waited in the queue is there");
        vit_destroy(w.client, 0);
    }
}

static void count_line(const char *json, size_t size, void *user)
{
    (void)json, (void)size;
    ++*(uint32_t *)user;
}

/* Of the files of the spool. */
static uint64_t spool_bytes(const char *folder)
{
    char           path[512];
    DIR           *d = opendir(folder);
    struct dirent *e;
    struct stat    s;
    uint64_t       sum = 0;
    while (d && (e = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strstr(e->d_name, ".spool") && stat(path, &s) == 0) sum += (uint64_t)s.st_size;
    }
    if (d) closedir(d);
    return sum;
}

/* A run that has no time leaves some in its queue's file, which the next one spools. */
static void spool_the_rest(const char *folder, uint64_t bytes)
{
    int runs;
    for (runs = 0; runs < 100 && spool_bytes(folder) < bytes; runs++)
        vit_destroy(make_client(folder, 8u << 20), 0);
}

/* A run leaves them in the spool; the next one records while they lie there. */
static void curve_pending_spool(void)
{
    size_t k;
    for (k = 0; k < PENDINGS; k++) {
        what     w = { NULL, NULL, 0, 0, NULL };
        uint32_t lines = 0;
        char     folder[64];
        bench_folder(folder);
        w.client = make_client(folder, 8u << 20);
        fill(w.client, pendings[k]);
        vit_destroy(w.client, 0);
        spool_the_rest(folder, 200u * pendings[k]);
        w.client = make_client(folder, 8u << 20);
        vit_export(w.client, count_line, &lines);
        bench_check(lines == pendings[k] && spool_bytes(folder) >= 200u * pendings[k],
                    "what waits in the spool is there");
        bench_note_at("events that wait", "in the spool", pendings[k],
                      measure(record_declared, &w, BURST / 10u, true), "ns");
        vit_purge(w.client);
        vit_destroy(w.client, 0);
        bench_folder_remove(folder);
    }
}

static void print_growth(void)
{
    static const struct {
        const char *panel, *subject;
        double      first, last;
        const char *aim;
    } growth[] = { { "events that wait", "in the queue", 1, 10000, "1" },
                   { "events that wait", "in the spool", 1, 10000, "1" },
                   { "threads that record at once", "a declared event", 1, 16, "1" },
                   { "size of the queue, KiB", "a declared event", 64, 16384, "1" },
                   { "bytes in an event", "vit_queue_push", 16, 1024, "a copy's" },
                   { "members of an ad-hoc event", "INT", 1, 64, "below 64" } };
    size_t i;
    char   line[128];
    printf("cost at the end of a curve / at its beginning\n");
    for (i = 0; i < sizeof growth / sizeof growth[0]; i++) {
        snprintf(line, sizeof line, "%s: %s, %g / %g", growth[i].panel, growth[i].subject,
                 growth[i].last, growth[i].first);
        bench_ratio(line,
                    bench_of_at(growth[i].panel, growth[i].subject, growth[i].last) /
                        bench_of_at(growth[i].panel, growth[i].subject, growth[i].first),
                    growth[i].aim);
    }
}

int main(void)
{
    static const char prose[] =
        "The index was built from the collection in the background and then read ";
    int    round, rounds = bench_rounds(7);
    size_t i;
    environment_forget();
    for (i = 0; i < sizeof letters - 1; i++) letters[i] = prose[i % (sizeof prose - 1)];
    op = vit_op_begin();
    for (round = 0; round < rounds; round++) {
        curve_threads();
        curve_queue();
        curve_event();
        curve_members();
        curve_pending_queue();
        curve_pending_spool();
    }
    print_growth();
    bench_print();
    bench_write("build/bench/curves.tsv", true);
    return bench_end() + (sink == 1);
}
