/* How often an idle program is woken by its clients: the voluntary context switches of each
   client's thread in SECONDS_IDLE (60), by /proc/self/task. Three clients, each with a thread:

   unused      nothing was ever recorded
   delivered   1,000 events were recorded, and the server has taken them
   away        10 events wait for a server that does not answer: it is asked now and then, so that
               its figure is shown and not judged

   A client that has nothing to do should not be woken at all; one that is woken oftener than MOST
   times (0) is a failure. */
#define _GNU_SOURCE 1 /* before the first system header */
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_WHITEBOX
#include "../vitelemetry.h"

#include "bench.h"

#include <dirent.h>

#define TASKS_MAX 16

typedef struct tasks {
    long id[TASKS_MAX];
    int  count;
} tasks;

static tasks tasks_now(void)
{
    tasks          t;
    DIR           *d = opendir("/proc/self/task");
    struct dirent *e;
    t.count = 0;
    while (d && (e = readdir(d)) != NULL && t.count < TASKS_MAX)
        if (e->d_name[0] != '.') t.id[t.count++] = strtol(e->d_name, NULL, 10);
    if (d) closedir(d);
    return t;
}

/* The one that is in now and not in before; 0: there is none. */
static long task_new(const tasks *before)
{
    tasks now = tasks_now();
    int   i, k;
    for (i = 0; i < now.count; i++) {
        for (k = 0; k < before->count && before->id[k] != now.id[i];) k++;
        if (k == before->count) return now.id[i];
    }
    return 0;
}

/* -1: it is not there. */
static long task_switches(long id)
{
    char  path[64], line[256];
    FILE *f;
    long  n = -1;
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", id);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0) n = strtol(line + 24, NULL, 10);
    if (f) fclose(f);
    return n;
}

typedef struct idler {
    const char *name;
    vit_client *client;
    uint32_t    events;
    bool        judged;
    long        task, before, after;
    char        folder[64];
} idler;

static int nowhere = -1; /* /dev/null */

static void begin(idler *w)
{
    tasks       before = tasks_now();
    vit_op      op = vit_op_begin();
    vit_options o;
    uint32_t    i, taken = 0;
    bench_folder(w->folder);
    o = bench_options(w->folder, w->judged ? &nowhere : NULL);
    w->client = vit_create(&o);
    if (!w->client) abort();
    w->task = task_new(&before);
    bench_check(w->task != 0, "a client has a thread");
    vit_set_rate(w->client, "query.executed", 1.0);
    for (i = 0; i < w->events; i++) {
        vit_query_executed e = bench_event(&op, i);
        taken += vit_track_query_executed(w->client, &e) == VIT_OK;
    }
    bench_check(taken == w->events, "each event is accepted");
    if (w->judged) bench_check(vit_flush(w->client, 10000), "all events are delivered");
}

int main(void)
{
    static idler clients[] = { { "unused", NULL, 0, true, 0, 0, 0, "" },
                               { "delivered", NULL, 1000, true, 0, 0, 0, "" },
                               { "away", NULL, 10, false, 0, 0, 0, "" } };
    const char  *text = getenv("SECONDS_IDLE"), *most = getenv("MOST");
    unsigned     seconds = text ? (unsigned)atoi(text) : 60u;
    size_t       i;
    environment_forget();
    nowhere = open("/dev/null", O_WRONLY);
    for (i = 0; i < 3; i++) begin(&clients[i]);
    sleep(2); /* what they still do */
    for (i = 0; i < 3; i++) clients[i].before = task_switches(clients[i].task);
    sleep(seconds);
    for (i = 0; i < 3; i++) clients[i].after = task_switches(clients[i].task);
    for (i = 0; i < 3; i++) {
        idler *w = &clients[i];
        long   n = w->after - w->before;
        printf("%-10s %4ld wake-ups in %u s%s\n", w->name, n, seconds,
               w->judged ? "   (aim: 0)" : "");
        bench_check(w->before >= 0 && w->after >= w->before, "switches are counted");
        if (w->judged) bench_check(n <= (most ? atol(most) : 0), "an idle client sleeps");
        bench_note("wake-ups when idle", w->name, (double)n, "/min");
        vit_destroy(w->client, 0);
        bench_folder_remove(w->folder);
    }
    bench_write("build/bench/idle.tsv", false);
    return bench_end();
}
