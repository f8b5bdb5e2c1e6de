/* crash_loop.c: a program that records and delivers is killed at a random moment, again and again.

   Usage: crash_loop [ROUNDS] [SEED]

   In each round a child makes a client, which takes over what the round before left, and records
   from one to three threads and sometimes from a process that it forks. It reports each event that
   was accepted through a pipe, and its transport tells through another one what a server would
   have received; now and then the server is busy. After some milliseconds all of it is killed. In
   the end a last run delivers the rest. Then:

     - every event that was reported has been received;
     - one that was received twice came under one Idempotency-Key;
     - each says the version and session of the run that recorded it, and the text of its number.

   Build: cc -std=c99 -O1 -g -I. tests/crash_loop.c -o build/tests/crash_loop -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "kill.h"
#include "options.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CRASH_NUMBER(X) X(VIT_INT, n) X(VIT_LABEL, text) X(VIT_HASH, host) X(VIT_FLAG, even)
VIT_EVENT_DECLARE(crash_number, CRASH_NUMBER);
VIT_EVENT_DEFINE(crash_number, "crash.number", 1.0, CRASH_NUMBER)

#define THREADS  4u /* the last is of the forked process */
#define EACH_MAX 65536u
#define PLAIN    ((uint64_t)-1) /* reported: this round records nothing */

static char folder[64];
static bool
    single; /* one event a request; the same in all rounds: else no request can be repeated */

/* ---- what is known of each event ------------------------------------------------------------- */

static facts *events; /* [round * THREADS + thread] */
static char (*keys)[36];
static size_t   key_count, key_capacity;
static uint32_t rounds, errors, plain_count;
static uint64_t reported_count, received_count, twice_count, request_count;

static void complain(const char *what, uint64_t n, const char *detail)
{
    if (++errors > 20) return;
    printf("WRONG: %s: round %u, thread %u, event %u %s\n", what, (unsigned)(n >> 20),
           (unsigned)(n >> 17 & 7u), (unsigned)(n & 0x1FFFFu), detail);
}

static fact *fact_of(uint64_t n)
{
    uint64_t round = n >> 20, thread = n >> 17 & 7u, i = n & 0x1FFFFu;
    if (round >= rounds || thread >= THREADS || i >= EACH_MAX) return NULL;
    return facts_at(&events[round * THREADS + thread], (uint32_t)i);
}

static void text_of(uint64_t n, char out[32])
{
    snprintf(out, 32, "t%08x", (unsigned)mix((uint32_t)n));
}

/* One line of a body. */
static void receive_event(const char *line, size_t size, uint32_t key)
{
    char        copy[2048], want[512], text[32], detail[600];
    const char *at;
    uint64_t    n;
    fact       *f;
    if (size >= sizeof copy) size = sizeof copy - 1;
    memcpy(copy, line, size);
    copy[size] = 0;
    if (strstr(copy, "\"event_name\":\"session.start\"")) return;
    if (strstr(copy, "\"event_name\":\"telemetry.report\"")) return;
    if (strstr(copy, "\"event_name\":\"session.end\"")) return;
    at = strstr(copy, "\"metadata\":{\"n\":");
    n = at ? strtoull(at + 16, NULL, 10) : (uint64_t)-1;
    f = fact_of(n);
    snprintf(detail, sizeof detail, "%.590s", copy);
    if (!f) {
        complain("not an event of ours", 0, detail);
        return;
    }
    text_of(n, text);
    snprintf(
        want, sizeof want,
        "\"event_name\":\"crash.number\",\"app_version\":\"r%u\",\"client_type\":\"crash-loop\","
        "\"metadata\":{\"n\":%llu,\"text\":\"%s\",\"host_hash\":\"",
        (unsigned)(n >> 20), (unsigned long long)n, text);
    at = strstr(copy, want);
    snprintf(want, sizeof want, "\",\"even\":%s,\"session_id\":\"s%u\"", n % 2 ? "false" : "true",
             (unsigned)(n >> 20));
    if (!at || !strstr(at, want)) complain("corrupt, or of another run", n, detail);
    received_count++;
    if (f->received == 0) {
        f->key = key;
    } else {
        twice_count++;
        if (strcmp(keys[f->key], keys[key]) != 0) complain("twice, by two keys", n, keys[key]);
    }
    if (f->received < 255) f->received++;
}

static void receive_request(const char *key, const char *body, size_t size)
{
    size_t at = 0;
    request_count++;
    if (key_count == key_capacity) {
        key_capacity = key_capacity ? 2 * key_capacity : 1024;
        keys = realloc(keys, key_capacity * sizeof *keys);
        must(keys != NULL, "realloc");
    }
    snprintf(keys[key_count], sizeof keys[0], "%.32s", key);
    while (at < size) {
        const char *end = (const char *)memchr(body + at, '\n', size - at);
        size_t      line = end ? (size_t)(end - body) - at : size - at;
        receive_event(body + at, line, (uint32_t)key_count);
        at += line + 1;
    }
    key_count++;
}

/* ---- the program that is killed -------------------------------------------------------------- */

typedef struct player {
    vit_client *t;
    uint32_t    round, thread, seed;
    int         report;
} player;

static int server_end; /* of the pipe to the server */

static vit_response send_to_server(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    uint32_t    *seed = (uint32_t *)user;
    parcel       f;
    memset(&f, 0, sizeof f);
    *seed = mix(*seed + 1u);
    if (*seed % (single ? 1024u : 64u) == 0) {
        answer.http_status = 503;
        return answer;
    }
    find_key(f.key, request->headers);
    f.size = (uint32_t)request->body_size;
    if (!write_all(server_end, &f, sizeof f) ||
        !write_all(server_end, request->body, request->body_size))
        answer.http_status = 0;
    if (*seed % 16u == 1) sleep_us(*seed / 16u % 2000u);
    return answer;
}

static void *play(void *player_)
{
    player  *p = (player *)player_;
    uint32_t i, random = p->seed;
    for (i = 0; i < EACH_MAX; i++) {
        vit_crash_number event;
        char             text[32];
        uint64_t         n = (uint64_t)p->round << 20 | p->thread << 17 | i;
        memset(&event, 0, sizeof event);
        text_of(n, text);
        event.n = (int64_t)n;
        event.text = text;
        event.host = "db.example.org";
        event.even = n % 2 == 0;
        if (vit_track_crash_number(p->t, &event) == VIT_OK && !write_all(p->report, &n, sizeof n))
            break;
        random = mix(random + i);
        if (single) sleep_us(random % 1500u); /* a request an event takes longer */
        else if (random % 4u == 0) sleep_us(random / 4u % 600u); /* the server is slower */
    }
    return NULL;
}

static vit_options options_for(uint32_t round, uint32_t *seed, char version[16])
{
    vit_options o = options_granted("https://telemetry.example", folder);
    snprintf(version, 16, "r%u", (unsigned)round);
    o.app_version = version;
    o.client_type = "crash-loop";
    o.queue_bytes = 64u * 1024u << mix(*seed) % 3u;
    o.flush_ms = 1 + mix(*seed) % 8u;
    o.spool_bytes_max = 256u << 20; /* nothing has to make room, however slow the server is */
    o.wire = single ? VIT_WIRE_EVENT : VIT_WIRE_NDJSON;
    o.batch_events = 1 + mix(*seed + 2u) % 30u;
    o.transport.send_fn = send_to_server;
    o.transport.user = seed;
    return o;
}

static void run(uint32_t round, uint32_t seed, int report)
{
    player      players[THREADS];
    pthread_t   ids[THREADS];
    char        version[16], session[16];
    vit_options o = options_for(round, &seed, version);
    vit_client *t = vit_create(&o);
    uint32_t    i, threads = 1 + mix(seed + 3u) % (THREADS - 1u);
    if (!t) _exit(2);
    if (!vit_get_stats(t).crash_surviving) { /* too many are left: delivers some of them */
        uint64_t none = PLAIN;
        (void)write_all(report, &none, sizeof none);
        for (;;) sleep_us(1000000u);
    }
    snprintf(session, sizeof session, "s%u", (unsigned)round);
    vit_session_begin(t, session, NULL);
    for (i = 0; i < THREADS; i++) {
        players[i].t = t;
        players[i].round = round;
        players[i].thread = i;
        players[i].seed = mix(seed + i);
        players[i].report = report;
    }
    if (seed % 4u == 0 && fork() == 0) (void)play(&players[THREADS - 1u]);
    for (i = 0; i + 1u < threads; i++)
        if (pthread_create(&ids[i], NULL, play, &players[i]) != 0) _exit(2);
    (void)play(&players[threads - 1u]);
    for (;;) sleep_us(1000000u);
}

/* ---- the one that kills ---------------------------------------------------------------------- */

static void take_reports(inlet *in)
{
    size_t at;
    for (at = 0; at + 8 <= in->size; at += 8) {
        uint64_t n;
        fact    *f;
        memcpy(&n, in->data + at, 8);
        f = fact_of(n);
        if (n == PLAIN) {
            plain_count++;
            continue;
        }
        if (!f) complain("a report of nothing", n, "");
        else f->reported = 1;
        reported_count++;
    }
    inlet_drop(in, at);
}

/* A request that was cut by the kill was not received. */
static void take_requests(inlet *in)
{
    size_t      at = 0;
    parcel      f;
    const char *body;
    while ((body = inlet_next(in, &at, &f)) != NULL) receive_request(f.key, body, f.size);
    inlet_drop(in, at);
}

/* Reads both pipes until both have ended, and kills at the given time. */
static void watch(inlet *reports, inlet *requests, pid_t group, uint64_t kill_ns)
{
    struct pollfd p[2];
    bool          alive = true;
    p[0].fd = reports->fd;
    p[1].fd = requests->fd;
    p[0].events = p[1].events = POLLIN;
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        if (alive && now_ns() >= kill_ns) {
            (void)kill(-group, SIGKILL);
            alive = false;
        }
        if (poll(p, 2, 1) <= 0) continue;
        if (p[0].revents) {
            if (!inlet_read(reports)) p[0].fd = -1;
            take_reports(reports);
        }
        if (p[1].revents) {
            if (!inlet_read(requests)) p[1].fd = -1;
            take_requests(requests);
        }
    }
}

static void play_round(uint32_t round, uint32_t seed)
{
    int   report[2], server[2], status = 0;
    pid_t child;
    inlet reports, requests;
    must(pipe(report) == 0 && pipe(server) == 0, "pipe");
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        (void)setpgid(0, 0);
        close(report[0]);
        close(server[0]);
        server_end = server[1];
        run(round, seed, report[1]);
    }
    (void)setpgid(child, child);
    close(report[1]);
    close(server[1]);
    memset(&reports, 0, sizeof reports);
    memset(&requests, 0, sizeof requests);
    reports.fd = report[0];
    requests.fd = server[0];
    reports.data = (char *)malloc(BODY_MAX + sizeof(parcel));
    requests.data = (char *)malloc(BODY_MAX + sizeof(parcel));
    must(reports.data && requests.data, "malloc");
    watch(&reports, &requests, child, now_ns() + mix(seed + 9u) % 25000u * 1000u);
    must(waitpid(child, &status, 0) == child, "waitpid");
    if (WIFEXITED(status)) exit(2); /* it has said why */
    close(report[0]);
    close(server[0]);
    free(reports.data);
    free(requests.data);
}

static vit_response receive(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    char         key[36];
    (void)user;
    find_key(key, request->headers);
    receive_request(key, request->body, request->body_size);
    return answer;
}

/* The run that is not killed. */
static void play_last(void)
{
    uint32_t    seed = 1;
    char        version[16];
    vit_options o = options_for(rounds, &seed, version);
    vit_client *t;
    vit_stats   s;
    uint64_t    dropped = 0;
    uint32_t    i;
    o.no_thread = true;
    o.transport.send_fn = receive;
    t = vit_create(&o);
    must(t != NULL, "vit_create");
    while (vit_pump(t)) {}
    s = vit_get_stats(t);
    for (i = 0; i < VIT_DROP_COUNT; i++) dropped += s.dropped[i];
    if (s.queued || dropped) complain("the last run left or dropped something", 0, "");
    if (!vit_destroy(t, 0)) complain("vit_destroy", 0, "");
}

static void judge(void)
{
    uint32_t r, i;
    for (r = 0; r < rounds * THREADS; r++)
        for (i = 0; i < events[r].count; i++)
            if (events[r].rows[i].reported && !events[r].rows[i].received)
                complain("lost", (uint64_t)(r / THREADS) << 20 | (uint64_t)(r % THREADS) << 17 | i,
                         "");
}

int main(int argc, char **argv)
{
    uint32_t seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1u, i;
    char     path[128];
    single = seed % 2u == 0;
    rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500u;
    if (rounds == 0 || rounds > 1000000u) return 2;
    (void)mkdir("build", 0755);
    snprintf(folder, sizeof folder, "build/crash-XXXXXX");
    must(mkdtemp(folder) != NULL, "mkdtemp");
    events = (facts *)calloc((size_t)rounds * THREADS, sizeof *events);
    must(events != NULL, "calloc");
    for (i = 0; i < rounds; i++) play_round(i, mix(seed * 1000003u + i));
    play_last();
    judge();
    printf("%u rounds: %llu events reported, %llu received, %llu of them again under the same key, "
           "in %llu requests\n",
           (unsigned)rounds, (unsigned long long)reported_count, (unsigned long long)received_count,
           (unsigned long long)twice_count, (unsigned long long)request_count);
    if (plain_count) printf("%u rounds in plain memory\n", (unsigned)plain_count);
    if (plain_count > rounds / 4u) complain("too many rounds in plain memory", 0, "");
    snprintf(path, sizeof path, "%s/telemetry.conf", folder);
    if (unlink(path) != 0 || rmdir(folder) != 0) complain("the data folder holds more", 0, "");
    printf("%u passed, %u failed\n", errors ? 0u : rounds, (unsigned)errors);
    return errors ? 1 : 0;
}
