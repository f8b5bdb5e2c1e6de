/* soak.c: one program that runs for a long time, against the example collector, while everything
   goes wrong now and then. What it holds stays constant, and what it owes arrives.

   Usage: soak [MINUTES] [SEED]

   Three threads record numbered events. Meanwhile, by dice: the server is away, busy, asks to wait,
   loses its answers, or is killed and started again; the client ends and begins again; forked
   children record and end, or are killed; the user refuses and grants again, or forgets the
   identity; the wall clock jumps by days, the other one by hours. Every few seconds, when nothing
   moves, the books must balance. In the end:

     - every event that was accepted is in the collector's folder, but those that a refusal or a new
       identity has taken, and none arrived that was recorded after a refusal and before a grant;
     - what comes twice comes only where an answer was lost;
     - descriptors, threads, memory, files and their bytes are what they were after the first fifth.

   Needs build/examples/collector. Last line: `N passed, N failed`. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

static unsigned long long clock_ns(int clock);
#define VITP_OS_CLOCK_NS(clock) clock_ns((int)(clock))
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "../examples/http.c"

#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "environment.h"
#include "kill.h"
#include "options.h"

#define FOLDER      "build/soak"
#define THREADS     3u
#define NUMBERS     (1u << 22) /* 100 events a second and thread: 3.8 hours */
#define A_SECOND    100u       /* events of each thread */
#define SPOOL_BYTES (1024u * 1024u)
#define SECOND_NS   UINT64_C(1000000000)

/* ---- time that jumps ------------------------------------------------------------------------ */

static uint64_t wall_jump_ns, passed_jump_ns;

static unsigned long long clock_ns(int clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (unsigned long long)t.tv_sec * SECOND_NS + (unsigned long long)t.tv_nsec +
           __atomic_load_n(clock == CLOCK_REALTIME ? &wall_jump_ns : &passed_jump_ns,
                           __ATOMIC_RELAXED);
}

/* ---- what is owed --------------------------------------------------------------------------- */

enum owed {
    NOT_RECORDED,
    TRIED,    /* a child was killed meanwhile: it may be there */
    OWED,     /* accepted */
    DUE,      /* and a flush said that all was delivered: no refusal takes it any more */
    FORGIVEN, /* accepted, then the user refused or became another */
    FORBIDDEN /* tried while the user refused */
};

/* Shared with forked children. */
static struct shared {
    uint32_t      next;
    unsigned char owed[NUMBERS];
} * all;
static unsigned char arrived[NUMBERS];

static vit_client *client;
static uint32_t    paused, idle, stop; /* of the threads that record */
static uint32_t    chance = 1;
static unsigned    passed, failed;

static uint32_t dice(uint32_t sides)
{
    chance = mix(chance + 0x9E3779B9u);
    return chance % sides;
}

static void check(bool good, const char *form, ...) __attribute__((format(printf, 2, 3)));
static void check(bool good, const char *form, ...)
{
    va_list more;
    if (good) passed++;
    else failed++;
    if (good) return;
    printf("FAIL ");
    va_start(more, form);
    vprintf(form, more);
    va_end(more);
    printf("\n");
}

static vit_status record(uint32_t number)
{
    vit_feature_toggled toggled;
    vit_event           e;
    char                name[24];
    snprintf(name, sizeof name, "s%07u", (unsigned)number);
    if (number % 2) {
        memset(&toggled, 0, sizeof toggled);
        toggled.feature_name = name;
        return vit_track_feature_toggled(client, &toggled);
    }
    vit_event_begin(&e, client, "soak.event", NULL);
    vit_add_label(&e, "number", name);
    vit_add_text(&e, "text", "mail bob@example.com, then call +1 202 555 0143");
    vit_add_hash(&e, "host", "db.example.com");
    vit_add_int(&e, "whole", (int64_t)number);
    return vit_event_send(&e);
}

static void record_next(bool forbidden)
{
    uint32_t   number = __atomic_fetch_add(&all->next, 1u, __ATOMIC_RELAXED);
    vit_status status;
    if (number >= NUMBERS) return;
    __atomic_store_n(&all->owed[number], (unsigned char)(forbidden ? FORBIDDEN : TRIED),
                     __ATOMIC_RELEASE);
    status = record(number);
    if (forbidden && status != VIT_DISABLED)
        check(false, "recorded while refused: status %d", (int)status);
    if (!forbidden)
        __atomic_store_n(&all->owed[number],
                         (unsigned char)(status == VIT_OK ? OWED : NOT_RECORDED), __ATOMIC_RELEASE);
}

static void *record_on(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n(&paused, __ATOMIC_ACQUIRE)) {
            (void)__atomic_add_fetch(&idle, 1u, __ATOMIC_ACQ_REL);
            while (__atomic_load_n(&paused, __ATOMIC_ACQUIRE)) sleep_us(1000);
            (void)__atomic_sub_fetch(&idle, 1u, __ATOMIC_ACQ_REL);
        }
        record_next(false);
        sleep_us(1000000u / A_SECOND);
    }
    return NULL;
}

static void hold_threads(void)
{
    __atomic_store_n(&paused, 1u, __ATOMIC_RELEASE);
    while (__atomic_load_n(&idle, __ATOMIC_ACQUIRE) != THREADS) sleep_us(1000);
}

static void release_threads(void)
{
    __atomic_store_n(&paused, 0u, __ATOMIC_RELEASE);
    while (__atomic_load_n(&idle, __ATOMIC_ACQUIRE) != 0) sleep_us(1000);
}

/* While the threads are held. */
static void turn(enum owed from, enum owed to)
{
    uint32_t i, n = __atomic_load_n(&all->next, __ATOMIC_ACQUIRE);
    for (i = 0; i < n && i < NUMBERS; i++)
        if (all->owed[i] == from) all->owed[i] = (unsigned char)to;
}

static void forgive(void) { turn(OWED, FORGIVEN), turn(TRIED, FORGIVEN); }

/* ---- the server ----------------------------------------------------------------------------- */

static pid_t    collector;
static char     url[80], port[24] = "0";
static uint32_t weather; /* of enum */
static uint32_t lost_answers;
enum {
    FAIR,
    AWAY,
    BUSY,
    ASKS_TO_WAIT,
    LOSES_ANSWERS,
    WEATHERS
};

static void collector_begin(void)
{
    char          text[16];
    FILE         *f = NULL;
    unsigned      tries;
    const char   *path = FOLDER "/port";
    unsigned long number = 0;
    (void)unlink(path);
    collector = fork();
    must(collector >= 0, "fork");
    if (collector == 0) {
        if (!freopen(FOLDER "/collector.log", "a", stdout)) _exit(127);
        (void)execl("build/examples/collector", "collector", "--port", port, "--port-file", path,
                    "--dir", FOLDER "/events", (char *)NULL);
        _exit(127);
    }
    for (tries = 0; tries < 20000 && number == 0; tries++) {
        sleep_us(1000);
        f = fopen(path, "r");
        if (!f) continue;
        if (fgets(text, sizeof text, f)) number = strtoul(text, NULL, 10);
        (void)fclose(f);
    }
    must(number != 0, "the collector did not start");
    snprintf(port, sizeof port, "%lu", number);
    snprintf(url, sizeof url, "http://127.0.0.1:%s/api/v1/telemetry", port);
}

static void collector_end(int how)
{
    (void)kill(collector, how);
    (void)waitpid(collector, NULL, 0);
}

static vit_response send_in_weather(const vit_request *request, void *user)
{
    vit_response answer = { 0, 0 };
    uint32_t     now = __atomic_load_n(&weather, __ATOMIC_RELAXED);
    if (now == AWAY) return answer;
    if (now == BUSY) answer.http_status = 503;
    if (now == ASKS_TO_WAIT) answer.http_status = 429, answer.retry_after_s = 3;
    if (now == FAIR || now == LOSES_ANSWERS) answer = http_send(request, user);
    if (now != LOSES_ANSWERS) return answer;
    if (answer.http_status / 100 == 2)
        (void)__atomic_add_fetch(&lost_answers, 1u, __ATOMIC_RELAXED);
    answer.http_status = 0;
    return answer;
}

/* ---- the client ----------------------------------------------------------------------------- */

static void client_begin(void)
{
    vit_options o = options_granted(url, FOLDER "/data");
    o.app_version = "1.0.0";
    o.client_type = "soak";
    o.wire = VIT_WIRE_NDJSON;
    o.flush_ms = 200;
    o.queue_bytes = 256u * 1024u;
    o.spool_bytes_max = SPOOL_BYTES;
    o.audit = true;
    o.crash_handler = true;
    o.transport.send_fn = send_in_weather;
    client = vit_create(&o);
    must(client != NULL, "vit_create");
    vit_session_begin(client, "soak", NULL);
}

/* What the spool had no room for is owed no more; which events these were is not known. */
static uint64_t given_up;

static uint64_t dropped_now(void)
{
    vit_stats s = vit_get_stats(client);
    return s.dropped[VIT_DROP_SPOOL_FULL] + s.dropped[VIT_DROP_TOO_OLD];
}

static void client_end(void)
{
    vit_session_end(client, VIT_EXIT_NORMAL);
    given_up += dropped_now();
    (void)vit_destroy(client, 300);
    client = NULL;
}

static void look_at_books(void)
{
    unsigned i;
    for (i = 0; i < 10000 && !is_balanced(client); i++) sleep_us(1000);
    check(i < 10000, "the books do not balance");
}

/* ---- what goes wrong ------------------------------------------------------------------------ */

static void a_child(void)
{
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        unsigned i;
        for (i = 0; i < 20; i++) record_next(false);
        _exit(0);
    }
    if (dice(2)) sleep_us(dice(1000)), (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

/* Often, so that most is owed in the end. */
static void deliver_first(void)
{
    if (dice(4) == 0) return;
    __atomic_store_n(&weather, FAIR, __ATOMIC_RELAXED);
    (void)__atomic_add_fetch(&passed_jump_ns, 3600 * SECOND_NS, __ATOMIC_RELAXED);
    if (vit_flush(client, 5000)) turn(OWED, DUE);
}

static void a_refusal(void)
{
    unsigned i;
    hold_threads();
    deliver_first();
    vit_set_consent(client, VIT_CONSENT_DENIED);
    forgive();
    for (i = 0; i < 20; i++) record_next(true);
    sleep_us(dice(200000));
    vit_set_consent(client, VIT_CONSENT_GRANTED);
    release_threads();
}

static void a_new_identity(void)
{
    hold_threads();
    deliver_first();
    vit_reset_identity(client);
    forgive();
    release_threads();
}

static void a_restart(void)
{
    hold_threads();
    client_end();
    client_begin();
    release_threads();
}

static void a_jump(void)
{
    int64_t days = (int64_t)dice(5) - 2; /* and back some day, so that no event becomes too old */
    if (dice(2))
        __atomic_store_n(&wall_jump_ns, (uint64_t)(days * 86400) * SECOND_NS, __ATOMIC_RELAXED);
    else (void)__atomic_add_fetch(&passed_jump_ns, dice(7200) * SECOND_NS, __ATOMIC_RELAXED);
}

static void a_dead_server(void)
{
    collector_end(SIGKILL);
    sleep_us(dice(500000));
    collector_begin();
}

static void no_line(const char *json, size_t size, void *user)
{
    (void)json, (void)size, (void)user;
}

static void something(void)
{
    switch (dice(16)) {
    case 0: dice(2) ? a_refusal() : a_new_identity(); break;
    case 1: (void)vit_export(client, no_line, NULL); break;
    case 2: a_restart(); break;
    case 3:
    case 4: a_jump(); break;
    case 5: a_dead_server(); break;
    case 6:
    case 7: a_child(); break;
    case 8: hold_threads(), look_at_books(), release_threads(); break;
    case 9: (void)vit_flush(client, dice(300)); break;
    case 10:
    case 11:
    case 12: __atomic_store_n(&weather, FAIR, __ATOMIC_RELAXED); break;
    default: __atomic_store_n(&weather, dice(WEATHERS), __ATOMIC_RELAXED); break;
    }
}

/* ---- what is held --------------------------------------------------------------------------- */

typedef struct sample {
    unsigned long descriptors, threads, rss_kib, files, file_bytes;
} sample;

static unsigned long count_entries(const char *folder)
{
    DIR          *d = opendir(folder);
    unsigned long n = 0;
    while (d && readdir(d)) n++;
    if (d) (void)closedir(d);
    return n;
}

static unsigned long bytes_seen, files_seen;
static int           see(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)path, (void)f;
    if (type != FTW_F) return 0;
    files_seen++;
    bytes_seen += (unsigned long)s->st_size;
    return 0;
}

static unsigned long rss_kib(void)
{
    unsigned long pages[2] = { 0, 0 };
    FILE         *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu %lu", &pages[0], &pages[1]) != 2) pages[1] = 0;
    if (f) (void)fclose(f);
    return pages[1] * (unsigned long)sysconf(_SC_PAGESIZE) / 1024u;
}

static sample take_sample(void)
{
    sample s;
    s.descriptors = count_entries("/proc/self/fd");
    s.threads = count_entries("/proc/self/task");
    s.rss_kib = rss_kib();
    bytes_seen = files_seen = 0;
    (void)nftw(FOLDER "/data", see, 16, FTW_PHYS);
    (void)nftw(FOLDER "/run", see, 16, FTW_PHYS);
    s.files = files_seen;
    s.file_bytes = bytes_seen;
    return s;
}

static void most_of(sample *most, sample s)
{
    if (s.descriptors > most->descriptors) most->descriptors = s.descriptors;
    if (s.threads > most->threads) most->threads = s.threads;
    if (s.rss_kib > most->rss_kib) most->rss_kib = s.rss_kib;
    if (s.files > most->files) most->files = s.files;
    if (s.file_bytes > most->file_bytes) most->file_bytes = s.file_bytes;
}

static void show(const char *name, sample s)
{
    printf("%-12s descriptors %lu, threads %lu, resident %lu KiB, files %lu of %lu KiB\n", name,
           s.descriptors, s.threads, s.rss_kib, s.files, s.file_bytes / 1024u);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void deliver_all(void)
{
    unsigned i;
    __atomic_store_n(&weather, FAIR, __ATOMIC_RELAXED);
    for (i = 0; i < 200; i++) { /* what waits for an hour waits for a moment */
        (void)__atomic_add_fetch(&passed_jump_ns, 3600 * SECOND_NS, __ATOMIC_RELAXED);
        if (vit_flush(client, 1000)) break;
    }
    check(i < 200, "not all could be delivered");
}

static unsigned long twice;
static void          read_number(const char *at)
{
    unsigned long number = strtoul(at, NULL, 10);
    if (number >= NUMBERS) return;
    if (arrived[number]) twice++;
    arrived[number] = 1;
}

static int read_events(const char *path, const struct stat *s, int type, struct FTW *f)
{
    static char line[65536];
    FILE       *in;
    const char *at;
    (void)s, (void)f;
    if (type != FTW_F || !strstr(path, "/events-")) return 0;
    in = fopen(path, "r");
    while (in && fgets(line, sizeof line, in)) {
        if (strstr(line, "bob@") || strstr(line, "db.example"))
            check(false, "something personal arrived");
        if (strstr(line, "\"client_type\":\"soak\"")) {
            at = strstr(line, ":\"s0");
            if (!at) at = strstr(line, ":\"s1");
            if (!at) at = strstr(line, ":\"s2");
            if (!at) at = strstr(line, ":\"s3");
            if (!at) at = strstr(line, ":\"s4");
            if (at) read_number(at + 3);
        }
    }
    if (in) (void)fclose(in);
    return 0;
}

static void settle(void)
{
    unsigned long count[FORBIDDEN + 1], lost = 0, there = 0, i;
    memset(count, 0, sizeof count);
    (void)nftw(FOLDER "/events", read_events, 16, FTW_PHYS);
    for (i = 0; i < NUMBERS && i < all->next; i++) {
        count[all->owed[i]]++;
        if ((all->owed[i] == OWED || all->owed[i] == DUE) && !arrived[i]) lost++;
        if (arrived[i]) there++;
        if (all->owed[i] == FORBIDDEN && arrived[i]) check(false, "event %lu was refused", i);
        if (all->owed[i] == NOT_RECORDED && arrived[i])
            check(false, "event %lu was not accepted", i);
    }
    printf(
        "recorded %lu: owed %lu, forgiven %lu, refused %lu; arrived %lu, again %lu (answers lost: "
        "%u), given up %lu\n",
        i, count[OWED] + count[DUE], count[FORGIVEN], count[FORBIDDEN], there, twice, lost_answers,
        (unsigned long)given_up);
    check(count[OWED] + count[DUE] > 100 && count[FORGIVEN] > 0 && count[FORBIDDEN] > 0,
          "too little was tried");
    check(lost <= given_up, "%lu events are lost, %lu were given up", lost,
          (unsigned long)given_up);
    check(twice == 0 || lost_answers > 0, "%lu came again and no answer was lost", twice);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s, (void)type, (void)f;
    return remove(path);
}

static void folders_make(void)
{
    static char pools[4096];
    (void)nftw(FOLDER, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)mkdir("build", 0755), (void)mkdir(FOLDER, 0700);
    (void)mkdir(FOLDER "/data", 0700), (void)mkdir(FOLDER "/run", 0700);
    must(realpath(FOLDER "/run", pools) != NULL, FOLDER "/run");
    must(setenv("XDG_RUNTIME_DIR", pools, 1) == 0, "setenv");
}

static void compare(sample first, sample most, sample last)
{
    show("first fifth", first), show("then", most), show("at the end", last);
    check(last.descriptors <= first.descriptors && most.descriptors <= first.descriptors + 6,
          "descriptors grow");
    check(last.threads <= first.threads && most.threads <= first.threads + 2, "threads grow");
    check(last.files <= first.files + 2 && most.files <= 64 &&
              most.file_bytes <= SPOOL_BYTES + 2u * 1024u * 1024u,
          "files grow");
    check(most.rss_kib <= first.rss_kib + 2048, "memory grows");
}

int main(int argc, char **argv)
{
    double    minutes = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    uint64_t  begin_ns = now_ns(), took_ns = (uint64_t)(minutes * 60.0 * 1e9);
    pthread_t threads[THREADS];
    sample    first, most, last;
    unsigned  i, happened = 0;
    chance = mix(argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1u);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    environment_forget();
    folders_make();
    all = (struct shared *)mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    must(all != MAP_FAILED, "mmap");
    memset(arrived, 0, sizeof arrived); /* so that what is resident is so from the beginning */
    memset(&first, 0, sizeof first), memset(&most, 0, sizeof most);
    collector_begin();
    client_begin();
    for (i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, record_on, NULL) == 0, "pthread_create");
    while (now_ns() - begin_ns < took_ns) {
        something();
        happened++;
        most_of(now_ns() - begin_ns < took_ns / 5u ? &first : &most, take_sample());
        sleep_us(50000 + dice(300000));
    }
    hold_threads();
    __atomic_store_n(&stop, 1u, __ATOMIC_RELEASE);
    __atomic_store_n(&paused, 0u, __ATOMIC_RELEASE);
    for (i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    deliver_all();
    look_at_books();
    last = take_sample();
    client_end();
    collector_end(SIGTERM);
    settle();
    compare(first, most, last);
    printf("soak: %.1f minutes, %u things went wrong\n", minutes, happened);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
