/* chaos.c: programs that share a data folder are killed while they record, spool, send and adopt.

   Usage: chaos [ROUNDS] [SEED] [cap]

   The parent knows the truth. In each round one to three children make a client over the same
   folder and record numbered events (usage and errors) from up to three threads and from a process
   that they fork. They report through a pipe what was accepted, and their transport tells through
   another one what a server would have received, before its answer. The server has phases: it is
   there, away, busy (503), asks to wait (429), or hangs; a poison event it refuses (400). A child
   ends in order, or is killed: at a random moment, at its n-th change of a file (before it, in the
   middle, or after it), after its n-th head of a spool file, or at its n-th store. In the end runs
   that are not killed deliver the rest. Then:

     - every event that was accepted has been received, unless it is poison;
     - one that was received twice came under one Idempotency-Key, and a key always meant the same
       events;
     - each says the version and session of the run that recorded it, and the text of its number;
     - the books of each client balance at quiet moments, and nothing was dropped but poison;
     - the files of the spool never took more than its cap, and none is left.

   `cap`: the spool is so small that events must be dropped. Then what was not received was in a
   file that was removed, and whoever removed it had counted as many.

   An even seed: one event a request, an odd one: batches, in all rounds: else no request could be
   repeated as it was. A failure names seed and round; the same seed plans the same round.

   Build: cc -std=c99 -O1 -g -I. tests/chaos.c -o build/tests/chaos -pthread */

#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill.h"

/* ---- how a child dies ------------------------------------------------------------------------ */

enum {
    DIE_NOT,
    DIE_BEFORE,
    DIE_WITHIN,
    DIE_AFTER
};

/* Of this process. 0: at none. */
static uint32_t file_point, file_how;               /* it is killed at this change of a file */
static uint32_t head_point;                         /* or right after this head of a spool file */
static uint32_t store_point;                        /* or at this store */
static uint32_t stall_first, stall_count, stall_us; /* these changes take longer */
static uint32_t file_points, store_points;          /* so far */
static uint32_t look_us, looks;                     /* a look at a file may take so long */

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;) pause();
}

static uint32_t point_begin(void)
{
    uint32_t n = __atomic_add_fetch(&file_points, 1u, __ATOMIC_RELAXED);
    if (n - stall_first < stall_count) sleep_us(stall_us);
    if (n != file_point) return DIE_NOT;
    if (file_how == DIE_BEFORE) die();
    return file_how;
}

static void point_end(uint32_t how)
{
    if (how != DIE_NOT) die();
}

static void point_store(void)
{
    if (store_point && __atomic_add_fetch(&store_points, 1u, __ATOMIC_RELAXED) == store_point)
        die();
}

#define HEAD_SIZE 40u /* of a file of the spool, whose writing puts a batch in or takes one out */

static void note_removal(const char *path);

static bool never_keeps; /* the queue is plain memory */
#define VITP_OS_POOL_KEEPS_SPACE(file, size) \
    (!never_keeps && vitp_os_pool_keeps_space((file), (size)))

/* A kill ends a write of the system's between two pages of the file, never within one. */
static ssize_t chaos_write(int fd, const void *data, size_t size)
{
    uint32_t how = point_begin();
    ssize_t  n;
    if (how == DIE_WITHIN) {
        off_t  at = lseek(fd, 0, SEEK_CUR);
        size_t part = at < 0 ? size : 4096u - (size_t)at % 4096u;
        if (part < size) size = part;
    }
    n = write(fd, data, size);
    if (size == HEAD_SIZE && head_point &&
        __atomic_sub_fetch(&head_point, 1u, __ATOMIC_RELAXED) == 0)
        die();
    point_end(how);
    return n;
}

static int chaos_rename(const char *from, const char *to)
{
    uint32_t how = point_begin();
    int      result = rename(from, to);
    point_end(how);
    return result;
}

static int chaos_link(const char *from, const char *to)
{
    uint32_t how = point_begin();
    int      result = link(from, to);
    point_end(how);
    return result;
}

static int chaos_unlink(const char *path)
{
    uint32_t how = point_begin();
    int      result;
    note_removal(path);
    result = unlink(path);
    point_end(how);
    return result;
}

static int chaos_ftruncate(int fd, off_t size)
{
    uint32_t how = point_begin();
    int      result = ftruncate(fd, size);
    point_end(how);
    return result;
}

static int chaos_flock(int fd, int what)
{
    uint32_t how = point_begin();
    int      result = flock(fd, what);
    int      error = errno;
    point_end(how);
    errno = error;
    return result;
}

/* What was seen in a folder may be gone when it is looked at. */
static int chaos_lstat(const char *path, struct stat *s)
{
    uint32_t n = __atomic_add_fetch(&looks, 1u, __ATOMIC_RELAXED);
    if (look_us && mix(n) % 8u == 0) sleep_us(mix(n) / 8u % look_us);
    return lstat(path, s);
}

static int chaos_open(const char *path, int flags, ...)
{
    uint32_t how = flags & O_CREAT ? point_begin() : DIE_NOT;
    va_list  more;
    int      mode = 0, fd;
    va_start(more, flags);
    if (flags & O_CREAT) mode = va_arg(more, int);
    va_end(more);
    fd = open(path, flags, mode);
    point_end(how);
    return fd;
}

#define write(fd, data, size) chaos_write(fd, data, size)
#define rename(from, to)      chaos_rename(from, to)
#define link(from, to)        chaos_link(from, to)
#define unlink(path)          chaos_unlink(path)
#define ftruncate(fd, size)   chaos_ftruncate(fd, size)
#define flock(fd, what)       chaos_flock(fd, what)
#define open(...)             chaos_open(__VA_ARGS__)
#define lstat(path, s)        chaos_lstat(path, s)

#define STEP()         ((void)0)
#define STEP_PUBLISH() point_store()
#define STEP_SEEN()    point_store()
#include "stepped.h"

#define VITP_WORKER_DROPS false /* each dropped event was in a file that the test can read */
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#undef write
#undef rename
#undef link
#undef unlink
#undef ftruncate
#undef flock
#undef open
#undef lstat

#include "options.h"

#define CHAOS_NUMBER(X) X(VIT_INT, n) X(VIT_LABEL, text) X(VIT_HASH, host) X(VIT_FLAG, even)
VIT_EVENT_DECLARE(chaos_number, CHAOS_NUMBER);
VIT_EVENT_DEFINE(chaos_number, "chaos.number", 1.0, CHAOS_NUMBER)

/* ---- events by their numbers ----------------------------------------------------------------- */

/* round, player (of a child's threads, the last of its forked process), and which */
#define PROCESSES                3u
#define THREADS                  4u
#define PLAYERS                  (PROCESSES * THREADS)
#define EACH_MAX                 16384u
#define ROUNDS_MAX               16384u
#define NUMBER(round, player, i) ((round) << 18 | (player) << 14 | (i))
#define ROUND_OF(n)              ((n) >> 18)
#define PLAYER_OF(n)             ((n) >> 14 & 15u)
#define WHICH_OF(n)              ((n)&0x3FFFu)

static bool     single, capped; /* the mode, of all rounds */
static uint32_t first_seed, rounds;
static char     folder[64];

/* One to one, so that the number can be read from any copy of the text. */
static void text_of(uint32_t n, char out[16])
{
    snprintf(out, 16, "zq%08x", (unsigned)(n * 0x9E3779B1u));
}

#define TEXT_SIZE 10u

/* The next text of a number in some bytes, or NULL. */
static const char *find_number(const char *at, const char *end, uint32_t *n)
{
    char text[16];
    for (; end - at >= (ptrdiff_t)TEXT_SIZE; at++) {
        at = (const char *)memchr(at, 'z', (size_t)(end - at) - TEXT_SIZE + 1u);
        if (!at) return NULL;
        if (at[1] != 'q') continue;
        memcpy(text, at + 2, 8);
        text[8] = 0;
        if (strspn(text, "0123456789abcdef") != 8) continue;
        *n = (uint32_t)strtoul(text, NULL, 16) * 0x0E8B2F51u; /* the inverse */
        return at;
    }
    return NULL;
}

static bool is_error(uint32_t n) { return mix(n + 11u) % 5u == 0; }

#ifndef POISON
#define POISON 300u /* one in so many */
#endif

/* Only some rounds have any. */
static bool is_poison(uint32_t n)
{
    return mix(first_seed * 31u + ROUND_OF(n) / 7u) % 3u == 0 &&
           mix(n + 77u) % (single ? 60u : POISON) == 0;
}

/* Texts of errors differ in size: up to 700 bytes. */
static void message_of(uint32_t n, char out[768])
{
    uint32_t words = mix(n + 5u) % 6u == 0 ? mix(n + 6u) % 100u : 2u, i;
    size_t   size = 0;
    out[0] = 0;
    for (i = 0; i < words; i++)
        size += (size_t)snprintf(out + size, 768 - size, "word%u ",
                                 (unsigned)(mix(n + i) % 10u)); /* 6 bytes */
    snprintf(out + size, 768 - size, "end");
}

/* ---- what a child tells ---------------------------------------------------------------------- */

/* In one write of at most PIPE_BUF bytes, so that the notes of threads and of a forked process do
   not mix. Behind it: `size` bytes. */
typedef struct note {
    uint32_t kind, size;
} note;

enum {
    NOTE_EVENTS,  /* numbers that were accepted */
    NOTE_REMOVED, /* what the client has dropped for want of room, and the numbers in a file */
    NOTE_ALONE,   /* a poison event was refused alone */
    NOTE_QUIET,   /* vit_stats, at a moment at which they balance */
    NOTE_UNQUIET, /* vit_stats, that did not */
    NOTE_PLAIN,   /* this child records nothing: its queue is plain memory */
    NOTE_BUSY,    /* vit_destroy did not end */
    NOTE_DONE     /* it ended in order */
};

#define NOTE_MAX 4096u

static int notes_end = -1, server_end = -1; /* of the pipes */
static vit_client *volatile client;         /* of this child; NULL in vit_create */
static pthread_t main_thread;

static bool tell(uint32_t kind, const void *data, size_t size)
{
    char bytes[NOTE_MAX];
    note n;
    n.kind = kind;
    n.size = (uint32_t)size;
    memcpy(bytes, &n, sizeof n);
    if (size) memcpy(bytes + sizeof n, data, size);
    return write_all(notes_end, bytes, sizeof n + size);
}

/* A file of the spool is about to go: the events in it, and how many this client says it has
   dropped. It counts them before the file goes, so that a kill leaves nothing unknown. */
static void note_removal(const char *path)
{
    static char bytes[1u << 20];
    uint32_t    list[900], count = 1, n = 0;
    uint64_t    range[2] = { 0, 0 };
    const char *at, *end;
    ssize_t     size;
    int         fd;
    if (!capped || notes_end < 0 || !strstr(path, ".spool") || strstr(path, ".new")) return;
    fd = open(path, O_RDONLY);
    size = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (fd >= 0) close(fd);
    if (size >= (ssize_t)sizeof(vitp_spool_head)) memcpy(range, bytes + 16, 16);
    if (size <= 0 || range[1] > (uint64_t)size || range[0] > range[1]) return;
    while (!client && !pthread_equal(pthread_self(), main_thread)) sleep_us(50); /* made just now */
    list[0] = (uint32_t)vit_get_stats(client).dropped[VIT_DROP_SPOOL_FULL];
    end = bytes + range[1];
    for (at = bytes + range[0]; (at = find_number(at, end, &n)) != NULL; at += TEXT_SIZE) {
        list[count++] = n;
        if (count < sizeof list / sizeof list[0]) continue;
        (void)tell(NOTE_REMOVED, list, sizeof list);
        count = 1;
    }
    (void)tell(NOTE_REMOVED, list, count * sizeof list[0]);
}

/* ---- the plan of a child --------------------------------------------------------------------- */

enum {
    SERVER_FINE,
    SERVER_AWAY,  /* no answer, whether it has received the request or not */
    SERVER_BUSY,  /* 503 */
    SERVER_LIMIT, /* 429, Retry-After: 1 */
    SERVER_HANGS, /* until the request is cancelled, or for longer */
    SERVER_MIXED  /* each request meets another one */
};

typedef struct plan {
    uint32_t round, process, seed, server;
    bool     in_order, pumped, forks, plain, calls;
    uint32_t threads, live_us; /* in order: how long it records */
} plan;

static uint32_t dice(const plan *p, uint32_t what, uint32_t sides)
{
    return mix(p->seed + what * 0x9E3779B9u) % sides;
}

/* A phase lasts some rounds. */
static uint32_t server_of(uint32_t round)
{
    static const uint8_t kinds[16] = { SERVER_FINE,  SERVER_AWAY, SERVER_FINE,  SERVER_MIXED,
                                       SERVER_FINE,  SERVER_BUSY, SERVER_MIXED, SERVER_FINE,
                                       SERVER_AWAY,  SERVER_FINE, SERVER_HANGS, SERVER_MIXED,
                                       SERVER_LIMIT, SERVER_FINE, SERVER_AWAY,  SERVER_FINE };
    uint32_t             first = 0, i;
    for (i = 0;; i++) {
        uint32_t random = mix(first_seed * 7919u + i), kind = kinds[random % 16u];
        uint32_t length = kind == SERVER_LIMIT ? 1u : 2u + random / 16u % 14u;
        if (round < first + length) return kind;
        first += length;
    }
}

static plan plan_of(uint32_t round, uint32_t process)
{
    plan     p;
    uint32_t how;
    /* Some wait for longer than others wait for them. Nobody's queue is plain then: what cannot be
       spooled in the end for want of the folder's lock would be gone. */
    bool slow = mix(first_seed * 13u + round) % 12u == 0;
    memset(&p, 0, sizeof p);
    p.round = round;
    p.process = process;
    p.seed = mix(first_seed * 1000003u + round * 4u + process);
    p.server = server_of(round);
    p.in_order = dice(&p, 1, 4) == 0;
    p.pumped = dice(&p, 2, 5) == 0;
    p.forks = dice(&p, 3, 4) == 0;
    p.plain = p.in_order && !slow && dice(&p, 4, 6) == 0;
    p.calls = dice(&p, 5, 3) == 0;
    p.threads = p.pumped ? 0u : 1u + dice(&p, 6, THREADS - 1u);
    p.live_us = dice(&p, 7, 50000u);
    how = dice(&p, 8, 6);
    /* Points are spread by their order of magnitude: some moments are within vit_create. */
    if (how < 3) file_point = 1u + dice(&p, 9, 4u << dice(&p, 10, 9));
    if (how == 4) head_point = 2u + dice(&p, 9, 8);
    if (how == 3) store_point = 1u + dice(&p, 9, 4u << dice(&p, 10, 13));
    file_how = DIE_BEFORE + dice(&p, 11, 3);
    if (p.plain)
        file_point = head_point = store_point = 0; /* what is in it is owed in the end only */
    if (dice(&p, 12, 4) == 0) stall_first = 1u + dice(&p, 13, 100u);
    if (dice(&p, 17, 6) == 0) look_us = 1000;
    stall_count = 1u + dice(&p, 14, 4u);
    stall_us = dice(&p, 15, 5000u) * (slow ? 20u : 1u);
    return p;
}

/* ---- the server ------------------------------------------------------------------------------ */

static uint32_t count_poison(const vit_request *r, uint32_t *events)
{
    const char *at = r->body, *end = r->body + r->body_size;
    uint32_t    n = 0, count = 0;
    *events = 0;
    for (; (at = find_number(at, end, &n)) != NULL; at += TEXT_SIZE) {
        ++*events;
        if (is_poison(n)) count++;
    }
    return count;
}

/* The server has it. */
static bool take_in(const vit_request *r)
{
    parcel f;
    memset(&f, 0, sizeof f);
    find_key(f.key, r->headers);
    f.size = (uint32_t)r->body_size;
    return write_all(server_end, &f, sizeof f) && write_all(server_end, r->body, r->body_size);
}

static void hang(const vit_request *r, uint32_t random)
{
    uint64_t end_ns = now_ns() + 40000000u;
    bool     obeys = random % 4u > 0;
    while (now_ns() < end_ns && !(obeys && vit_request_cancelled(r))) sleep_us(500);
}

static vit_response answer_to(const vit_request *r, const plan *p, uint32_t random)
{
    static const uint8_t mixed[8] = { SERVER_FINE, SERVER_FINE, SERVER_FINE, SERVER_FINE,
                                      SERVER_FINE, SERVER_AWAY, SERVER_BUSY, SERVER_HANGS };
    vit_response         a = { 0, 0 };
    uint32_t             kind = p->server, events = 0;
    bool                 lost = false;
    if (kind == SERVER_MIXED) kind = mixed[random / 64u % 8u];
    if (kind == SERVER_LIMIT) a.http_status = 429, a.retry_after_s = 1;
    if (kind == SERVER_BUSY) a.http_status = 503;
    if (kind == SERVER_AWAY) lost = random / 512u % 3u > 0;
    if (kind == SERVER_HANGS) lost = random / 512u % 2u > 0;
    if (kind == SERVER_LIMIT || kind == SERVER_BUSY || lost) {
        if (kind == SERVER_HANGS) hang(r, random);
        return a;
    }
    if (count_poison(r, &events) > 0) {
        if (events == 1) (void)tell(NOTE_ALONE, NULL, 0);
        a.http_status = 400;
        return a;
    }
    if (!take_in(r)) return a;
    if (kind == SERVER_HANGS) hang(r, random);
    if (kind == SERVER_FINE) a.http_status = 200 + (int)(random / 4096u % 2u);
    return a;
}

static vit_response send_to_server(const vit_request *request, void *user)
{
    static uint32_t count; /* one request at a time */
    const plan     *p = (const plan *)user;
    vit_response    pending = { VIT_HTTP_PENDING, 0 }, a;
    uint32_t        random = mix(p->seed + ++count), how;
    if (p->pumped && random % 4u == 0) return pending;
    how = point_begin();
    if (random / 4u % 16u == 1) sleep_us(random / 64u % 2000u);
    if (how == DIE_WITHIN) how = DIE_NOT;
    a = answer_to(request, p, random);
    point_end(how);
    return a;
}

/* ---- the program that is killed -------------------------------------------------------------- */

static uint32_t stop_all, pause_all, paused, players_left; /* atomic */

typedef struct player {
    uint32_t round, player, seed;
} player;

static vit_status record(uint32_t n)
{
    char text[16], message[768];
    text_of(n, text);
    if (is_error(n)) {
        vit_event e;
        vit_event_begin(&e, client, "chaos.failed", NULL);
        vit_add_int(&e, "n", (int64_t)n);
        vit_add_label(&e, "text", text);
        message_of(n, message);
        vit_add_text(&e, "note", message);
        vit_add_error(&e, "ChaosError", "it failed", NULL, NULL);
        return vit_event_send(&e);
    } else {
        vit_chaos_number e;
        memset(&e, 0, sizeof e);
        e.n = (int64_t)n;
        e.text = text;
        e.host = "db.example.org";
        e.even = n % 2u == 0;
        return vit_track_chaos_number(client, &e);
    }
}

static void wait_while_paused(void)
{
    if (!__atomic_load_n(&pause_all, __ATOMIC_ACQUIRE)) return;
    (void)__atomic_add_fetch(&paused, 1u, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&pause_all, __ATOMIC_ACQUIRE)) sleep_us(200);
    (void)__atomic_sub_fetch(&paused, 1u, __ATOMIC_ACQ_REL);
}

/* One event and a rest. False: it cannot be reported. */
static bool play_one(const player *p, uint32_t i)
{
    uint32_t   n = NUMBER(p->round, p->player, i), random = mix(p->seed + i);
    vit_status s = record(n);
    if (s <= VIT_TRUNCATED && !tell(NOTE_EVENTS, &n, sizeof n)) return false;
    if (single) sleep_us(random % 2000u); /* a request an event takes longer */
    else if (random % 8u == 0) sleep_us(random / 8u % 800u);
    return true;
}

static void *play(void *player_)
{
    const player *p = (const player *)player_;
    uint32_t      i;
    for (i = 0; i < EACH_MAX && !__atomic_load_n(&stop_all, __ATOMIC_ACQUIRE); i++) {
        wait_while_paused();
        if (!play_one(p, i)) break;
    }
    (void)__atomic_sub_fetch(&players_left, 1u, __ATOMIC_ACQ_REL);
    return NULL;
}

/* Nobody records, but the consumer may be at work: the books balance as soon as it is not. */
static void check_books(void)
{
    uint32_t  i;
    vit_stats s;
    for (i = 0; i < 4000; i++) {
        s = vit_get_stats(client);
        if (balances(&s)) {
            (void)tell(NOTE_QUIET, &s, sizeof s);
            return;
        }
        sleep_us(500);
    }
    (void)tell(NOTE_UNQUIET, &s, sizeof s);
}

static void pause_players(void)
{
    __atomic_store_n(&pause_all, 1u, __ATOMIC_RELEASE);
    while (__atomic_load_n(&paused, __ATOMIC_ACQUIRE) <
           __atomic_load_n(&players_left, __ATOMIC_ACQUIRE))
        sleep_us(100);
}

static void check_books_in_the_middle(void)
{
    pause_players();
    check_books();
    __atomic_store_n(&pause_all, 0u, __ATOMIC_RELEASE);
}

static vit_options options_for(const plan *p, char version[24])
{
    uint32_t    random = mix(first_seed + 17u);
    vit_options o = options_granted("https://telemetry.example", folder);
    snprintf(version, 24, "r%up%u", (unsigned)p->round, (unsigned)p->process);
    o.app_version = version;
    o.client_type = "chaos";
    o.queue_bytes = 64u * 1024u << dice(p, 20, 3);
    o.flush_ms = 5u + dice(p, 21, 46);
    o.wire = single ? VIT_WIRE_EVENT : VIT_WIRE_NDJSON;
    o.batch_events = 10u + random % 30u;
    o.spool_bytes_max = capped ? 20000u + random / 32u % 100000u : 256u << 20;
    o.no_thread = p->pumped;
    o.transport.send_fn = send_to_server;
    return o;
}

static uint32_t exported;

static void export_one(const char *json, size_t size, void *user)
{
    (void)json, (void)size, (void)user;
    exported++;
}

/* What a host may do beside recording, until the time has come. */
static void live(const plan *p, const player *own, uint64_t end_ns)
{
    uint32_t i, turn = 0;
    for (i = 0; now_ns() < end_ns; turn++) {
        uint32_t random = mix(p->seed + 1000u + turn);
        if (p->pumped) {
            if (own && i < EACH_MAX && !play_one(own, i)) die();
            if (own) i++;
            if (random % 4u == 0)
                while (vit_pump(client) && now_ns() < end_ns) {}
            if (random % 64u == 1 && own) check_books();
        } else {
            sleep_us(500u + random % 4000u);
        }
        if (!p->pumped && random % 32u == 1) check_books_in_the_middle();
        if (!p->calls || random / 64u % 8u) continue;
        if (random / 512u % 4u == 0) (void)vit_export(client, export_one, NULL);
        else (void)vit_flush(client, random / 2048u % 6u);
    }
}

static void end_in_order(const plan *p)
{
    uint32_t i;
    if (dice(p, 30, 2)) (void)vit_flush(client, dice(p, 31, 40));
    check_books();
    for (i = 0; i < 400; i++) {
        if (vit_destroy(client, dice(p, 32, 3) ? dice(p, 33, 80) : 0u)) {
            (void)tell(NOTE_DONE, NULL, 0);
            _exit(0);
        }
        sleep_us(5000);
    }
    (void)tell(NOTE_BUSY, NULL, 0);
    _exit(0);
}

/* A process that was forked records, and all else that it calls does nothing. */
static pid_t fork_one(const plan *p, player *own)
{
    pid_t pid;
    sleep_us(dice(p, 34, 10000u));
    pid = fork();
    if (pid != 0) return pid;
    file_point = head_point = store_point = stall_first = look_us = pause_all = stop_all = 0;
    if (dice(p, 38, 2)) (void)play(own);
    (void)vit_flush(client, 10);
    (void)vit_pump(client);
    (void)vit_destroy(client, 10);
    sleep_us(dice(p, 39, 100000u)); /* the parent's files are open in it */
    _exit(0);
}

static void play_all(const plan *p, player *players, uint32_t threads, bool records)
{
    pthread_t ids[THREADS];
    pid_t     forked = -1;
    uint32_t  i;
    players_left = threads;
    for (i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, play, &players[i]) != 0) _exit(2);
    if (p->forks && records && !p->plain) forked = fork_one(p, &players[THREADS - 1u]);
    live(p, records && p->pumped ? &players[0] : NULL,
         now_ns() + (p->in_order ? (uint64_t)p->live_us * 1000u : (uint64_t)3600e9));
    __atomic_store_n(&stop_all, 1u, __ATOMIC_RELEASE);
    for (i = 0; i < threads; i++) (void)pthread_join(ids[i], NULL);
    if (forked > 0 && dice(p, 37, 3)) { /* else it goes on, which must do no harm */
        (void)kill(forked, SIGKILL);
        (void)waitpid(forked, NULL, 0);
    }
}

static void run(plan *p)
{
    player      players[THREADS];
    char        version[24], session[24];
    vit_options o = options_for(p, version);
    uint32_t    i;
    bool        records;
    o.transport.user = p;
    never_keeps = p->plain;
    main_thread = pthread_self();
    client = vit_create(&o);
    if (!client) _exit(2);
    records = vit_get_stats(client).crash_surviving || p->plain;
    /* In plain memory: what the spool has no room for in the end goes with the client, and with it
       its counters. */
    if (p->plain && capped) records = false;
    else if (!records) (void)tell(NOTE_PLAIN, NULL, 0);
    snprintf(session, sizeof session, "s%up%u", (unsigned)p->round, (unsigned)p->process);
    vit_session_begin(client, session, NULL);
    for (i = 0; i < THREADS; i++) {
        players[i].round = p->round;
        players[i].player = p->process * THREADS + i;
        players[i].seed = mix(p->seed + i);
    }
    play_all(p, players, records ? p->threads : 0u, records);
    end_in_order(p);
}

/* ---- what is known of each event ------------------------------------------------------------- */

/* What a key stood for. */
typedef struct meaning {
    char     key[36];
    uint64_t events;                /* hash of their numbers */
    uint32_t lines, round, process; /* of the first such request */
    uint32_t next;                  /* number + 1 of the next in the same row */
} meaning;

typedef struct child {
    uint32_t full, alone; /* dropped for want of room; poison that was refused alone */
    uint32_t missing;     /* events that were in the files it removed, and never came */
    uint32_t end_key;     /* of what told that its session had ended, + 1 */
    bool     done;        /* it ended in order */
} child;

typedef struct removal {
    uint32_t child, n;
} removal;

#define ROWS (1u << 20)

static facts    *events;   /* [round * PLAYERS + player] */
static child    *children; /* [round * PROCESSES + process] */
static meaning  *keys;
static uint32_t *rows;
static removal  *removals;
static size_t    key_count, key_capacity, removal_count, removal_capacity;
static uint32_t  errors, plain_count, quiet_count, done_count, killed_count, self_count, end_count;
static uint64_t  reported_count, received_count, twice_count, request_count, poison_count;
static char      hwid[37];

static void complain(const char *what, uint32_t round, const char *format, ...)
{
    va_list more;
    if (++errors > 40) return;
    printf("WRONG: seed %u%s, round %u: %s: ", (unsigned)first_seed, capped ? " cap" : "",
           (unsigned)round, what);
    va_start(more, format);
    vprintf(format, more);
    va_end(more);
    printf("\n");
    fflush(stdout);
}

/* Of each kind a few: one fault of the library loses many events. */
static void complain_of(const char *what, uint32_t n, const char *detail)
{
    static const char *last;
    static uint32_t    count;
    uint32_t           process = PLAYER_OF(n) / THREADS;
    plan               p = plan_of(ROUND_OF(n), process);
    const child       *c = &children[ROUND_OF(n) * PROCESSES + process];
    count = what == last ? count + 1u : 0u;
    last = what;
    if (count >= 6) errors++;
    else
        complain(what, ROUND_OF(n), "process %u%s%s%s%s, player %u, event %u%s %s",
                 (unsigned)process, p.plain ? ", plain" : "", p.pumped ? ", pumped" : "",
                 p.forks ? ", forks" : "", c->done ? ", done" : ", killed", (unsigned)PLAYER_OF(n),
                 (unsigned)WHICH_OF(n), is_error(n) ? " (error)" : "", detail);
}

static void *grown(void *memory, size_t count, size_t *capacity, size_t each)
{
    if (count < *capacity) return memory;
    *capacity = *capacity ? 2u * *capacity : 1024u;
    memory = realloc(memory, *capacity * each);
    must(memory != NULL, "realloc");
    return memory;
}

static fact *fact_of(uint32_t n)
{
    if (ROUND_OF(n) >= rounds || PLAYER_OF(n) >= PLAYERS) return NULL;
    return facts_at(&events[ROUND_OF(n) * PLAYERS + PLAYER_OF(n)], WHICH_OF(n));
}

/* ---- what is received ------------------------------------------------------------------------ */

/* Moves on over a text. False: there is another one. */
static bool skip(const char **at, const char *text)
{
    size_t size = strlen(text);
    if (strncmp(*at, text, size) != 0) return false;
    *at += size;
    return true;
}

static bool skip_hex(const char **at, size_t size)
{
    if (strspn(*at, "0123456789abcdef-") < size) return false;
    *at += size;
    return true;
}

static bool is_right(const char *line, uint32_t n)
{
    char     want[1200], text[16], message[768];
    unsigned round = ROUND_OF(n), process = PLAYER_OF(n) / THREADS;
    bool     ok = skip(&line, "{\"hwid\":\"");
    if (!ok || strlen(line) < 36) return false;
    if (!hwid[0]) memcpy(hwid, line, 36);
    text_of(n, text);
    message_of(n, message);
    ok = skip(&line, hwid);
    snprintf(want, sizeof want,
             "\",\"event_name\":\"chaos.%s\",\"app_version\":\"r%up%u\",\"client_type\":\"chaos\","
             "\"metadata\":{\"n\":%u,\"text\":\"%s\",\"",
             is_error(n) ? "failed" : "number", round, process, (unsigned)n, text);
    ok = ok && skip(&line, want);
    if (is_error(n))
        snprintf(want, sizeof want,
                 "note\":\"%s\",\"message\":\"it failed\",\"exception_type\":\"ChaosError\","
                 "\"error_hash\":\"",
                 message);
    else snprintf(want, sizeof want, "host_hash\":\"");
    ok = ok && skip(&line, want) && skip_hex(&line, 16);
    if (!is_error(n)) ok = ok && skip(&line, n % 2 ? "\",\"even\":false" : "\",\"even\":true");
    else ok = ok && skip(&line, "\"");
    snprintf(want, sizeof want, ",\"session_id\":\"s%up%u\"", round, process);
    ok = ok && skip(&line, want);
    if (ok && skip(&line, ",\"delay_s\":")) line += strspn(line, "0123456789");
    return ok && strcmp(line, "}}") == 0;
}

/* session.end of a process that was killed, by whoever found what it left. */
static void receive_end(const char *line, uint32_t key)
{
    unsigned    round = 0, process = 0;
    const char *at = strstr(line, "\"app_version\":\"r");
    char        want[160];
    child      *c;
    if (!at || sscanf(at, "\"app_version\":\"r%up%u\"", &round, &process) != 2 ||
        round >= rounds || process >= PROCESSES) {
        complain("not a session of ours", 0, "%s", line);
        return;
    }
    snprintf(want, sizeof want, ",\"session_id\":\"s%up%u\"", round, process);
    if (!strstr(at, "\"exit_reason\":\"crash\"") || !strstr(at, want))
        complain("session.end of another run", round, "%s", line);
    c = &children[round * PROCESSES + process];
    if (c->end_key && c->end_key != key + 1u)
        complain("session.end twice, by two keys", round, "%s", line);
    if (!c->end_key) end_count++;
    c->end_key = key + 1u;
}

/* One line of a body. Returns its number, or 0 when it has none. */
static uint32_t receive_event(const char *line, size_t size, uint32_t key)
{
    char     copy[2048];
    uint32_t n = 0;
    fact    *f;
    if (size >= sizeof copy) size = sizeof copy - 1;
    memcpy(copy, line, size);
    copy[size] = 0;
    if (strstr(copy, "\"event_name\":\"session.start\"") ||
        strstr(copy, "\"event_name\":\"telemetry.report\""))
        return 0;
    if (strstr(copy, "\"event_name\":\"session.end\"")) {
        receive_end(copy, key);
        return 0;
    }
    f = find_number(copy, copy + size, &n) ? fact_of(n) : NULL;
    if (!f) {
        complain("not an event of ours", 0, "%s", copy);
        return 0;
    }
    if (!is_right(copy, n)) complain_of("corrupt, or of another run", n, copy);
    received_count++;
    if (f->received == 0) f->key = key;
    else twice_count++;
    if (f->received > 0 && f->key != key) {
        char detail[160];
        snprintf(detail, sizeof detail, "%.6s (round %u, process %u, %u lines) %.6s (%u, %u, %u)",
                 keys[f->key].key, (unsigned)keys[f->key].round, (unsigned)keys[f->key].process,
                 (unsigned)keys[f->key].lines, keys[key].key, (unsigned)keys[key].round,
                 (unsigned)keys[key].process, (unsigned)keys[key].lines);
        complain_of("twice, by two keys", n, detail);
    }
    if (f->received < 255) f->received++;
    return n;
}

/* The key's number. *fresh: it was not seen before. */
static uint32_t key_of(const char *text, bool *fresh)
{
    uint32_t row = 0, i;
    for (i = 0; text[i]; i++) row = mix(row + (unsigned char)text[i]);
    row %= ROWS;
    *fresh = false;
    for (i = rows[row]; i; i = keys[i - 1u].next)
        if (strcmp(keys[i - 1u].key, text) == 0) return i - 1u;
    keys = (meaning *)grown(keys, key_count, &key_capacity, sizeof *keys);
    snprintf(keys[key_count].key, sizeof keys[0].key, "%.32s", text);
    keys[key_count].next = rows[row];
    rows[row] = (uint32_t)++key_count;
    *fresh = true;
    return (uint32_t)key_count - 1u;
}

static uint32_t lines_of(const char *body, size_t size)
{
    uint32_t lines = 0;
    size_t   i;
    for (i = 0; i < size; i++) lines += body[i] == '\n';
    return single ? 1u : lines;
}

static void receive_request(uint32_t round, uint32_t process, const char *key_text,
                            const char *body, size_t size)
{
    size_t   at = 0;
    bool     fresh;
    uint32_t key = key_of(key_text, &fresh);
    uint64_t hash = 0;
    request_count++;
    if (fresh) {
        keys[key].lines = lines_of(body, size);
        keys[key].round = round;
        keys[key].process = process;
    }
    while (at < size) {
        const char *end = (const char *)memchr(body + at, '\n', size - at);
        size_t      line = end ? (size_t)(end - body) - at : size - at;
        hash = hash * UINT64_C(0x9E3779B97F4A7C15) + receive_event(body + at, line, key) + 1u;
        at += line + 1;
    }
    if (fresh) keys[key].events = hash;
    else if (keys[key].events != hash) /* a server would take it for the first one */
        complain("other events by the same key", round, "%s: %.300s", key_text, body);
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void take_stats(uint32_t round, child *c, const vit_stats *s, bool balanced)
{
    static const vit_drop never[] = { VIT_DROP_CONSENT, VIT_DROP_TOO_OLD, VIT_DROP_SECRET,
                                      VIT_DROP_CORRUPT, VIT_DROP_EXIT };
    size_t                i;
    if (!balanced)
        complain("the books do not balance", round,
                 "accepted %lu + adopted %lu, delivered %lu queued %lu spooled %lu handed over %lu "
                 "rejected %lu full %lu",
                 (unsigned long)s->accepted, (unsigned long)s->adopted, (unsigned long)s->delivered,
                 (unsigned long)s->queued, (unsigned long)s->spooled, (unsigned long)s->handed_over,
                 (unsigned long)s->dropped[VIT_DROP_REJECTED],
                 (unsigned long)s->dropped[VIT_DROP_SPOOL_FULL]);
    for (i = 0; i < sizeof never / sizeof never[0]; i++)
        if (s->dropped[never[i]])
            complain("dropped", round, "%lu for reason %u", (unsigned long)s->dropped[never[i]],
                     (unsigned)never[i]);
    if (s->dropped[VIT_DROP_SPOOL_FULL] && !capped)
        complain("dropped", round, "the spool was not full");
    if (s->dropped[VIT_DROP_REJECTED] > c->alone)
        complain("dropped", round, "%lu as rejected, but %u were",
                 (unsigned long)s->dropped[VIT_DROP_REJECTED], (unsigned)c->alone);
    if (s->refused_invalid || s->truncated) complain("refused or cut", round, "an event");
    if (c->full < s->dropped[VIT_DROP_SPOOL_FULL])
        c->full = (uint32_t)s->dropped[VIT_DROP_SPOOL_FULL];
}

static void take_report(uint32_t n)
{
    fact *f = fact_of(n);
    if (!f) {
        complain("a report of nothing", 0, "%u", (unsigned)n);
        return;
    }
    f->reported = true;
    reported_count++;
}

static void take_removal(uint32_t which, const uint32_t *list, uint32_t count)
{
    child   *c = &children[which];
    uint32_t i;
    if (c->full < list[0]) c->full = list[0];
    for (i = 1; i < count; i++) {
        removals = (removal *)grown(removals, removal_count, &removal_capacity, sizeof *removals);
        removals[removal_count].child = which;
        removals[removal_count++].n = list[i];
    }
}

static void take_note(uint32_t round, uint32_t which, const note *n, const char *data)
{
    child    *c = &children[which];
    uint32_t  list[NOTE_MAX / 4u];
    vit_stats s;
    memcpy(list, data, n->size);
    memset(&s, 0, sizeof s);
    if (n->size == sizeof s) memcpy(&s, data, sizeof s);
    switch (n->kind) {
    case NOTE_EVENTS: take_report(list[0]); break;
    case NOTE_REMOVED: take_removal(which, list, n->size / 4u); break;
    case NOTE_ALONE:
        c->alone++;
        poison_count++;
        break;
    case NOTE_QUIET:
        quiet_count++;
        take_stats(round, c, &s, true);
        break;
    case NOTE_UNQUIET: take_stats(round, c, &s, false); break;
    case NOTE_PLAIN: plain_count++; break;
    case NOTE_BUSY: complain("vit_destroy", round, "did not end"); break;
    case NOTE_DONE:
        c->done = true;
        done_count++;
        break;
    default: complain("a note", round, "%u", (unsigned)n->kind);
    }
}

/* ---- the cap, watched from outside ----------------------------------------------------------- */

typedef struct watch { /* shared with the process that watches */
    uint64_t most, passes, over;
    uint32_t files;
    char     detail[256];
} watch;

static watch *watched;
static pid_t  watcher;

/* Bytes of all files of the spool, and a hash that tells one state of them from another. */
static uint64_t spool_bytes(uint64_t *state, uint32_t *files)
{
    DIR           *d = opendir(folder);
    struct dirent *e;
    struct stat    s;
    char           path[400];
    uint64_t       sum = 0;
    *state = 0;
    *files = 0;
    while (d && (e = readdir(d))) {
        if (!strstr(e->d_name, ".spool") && !strstr(e->d_name, ".wait")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (lstat(path, &s) != 0) continue;
        sum += (uint64_t)s.st_size;
        ++*files;
        *state = (*state ^ (uint64_t)s.st_ino) * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)s.st_size;
    }
    if (d) closedir(d);
    return sum;
}

/* Files change while they are counted: a sum counts when the next look finds the same files. */
static void look(uint64_t cap, const char *when)
{
    uint64_t state, again, sum = spool_bytes(&state, &watched->files), next;
    uint32_t i, files;
    watched->passes++;
    if (sum <= watched->most) return;
    for (i = 0; i < 100; i++) {
        next = spool_bytes(&again, &files);
        if (again == state) break;
        state = again;
        sum = next;
    }
    if (i == 100 || sum <= watched->most) return;
    watched->most = sum;
    if (sum > cap && watched->over++ == 0)
        snprintf(watched->detail, sizeof watched->detail, "%lu bytes of %lu, %s, in %u files",
                 (unsigned long)sum, (unsigned long)cap, when, (unsigned)files);
}

static uint64_t spool_cap(void)
{
    plan p = plan_of(0, 0);
    char version[24];
    return options_for(&p, version).spool_bytes_max;
}

static void watch_begin(void)
{
    uint64_t cap = spool_cap();
    watched = (watch *)mmap(NULL, sizeof *watched, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(watched != MAP_FAILED, "mmap");
    watcher = fork();
    must(watcher >= 0, "fork");
    if (watcher > 0) return;
    for (;;) {
        look(cap, "while they ran");
        if (getppid() == 1) _exit(0);
        sleep_us(300);
    }
}

/* Each kill was at a moment of its own: what it left is looked at in rest. */
static void watch_rest(uint32_t round)
{
    uint64_t over = watched->over;
    look(spool_cap(), "in rest");
    if (watched->over == 0 || over == UINT64_MAX) return;
    complain("more than the cap", round, "%s", watched->detail);
    watched->over = 0;
}

static void watch_end(void)
{
    (void)kill(watcher, SIGKILL);
    (void)waitpid(watcher, NULL, 0);
}

/* ---- a round --------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 4u /* what is to happen before the kill takes longer */
#else
#define SLOW 1u
#endif

typedef struct player_process {
    pid_t    pid;
    plan     plan;
    inlet    notes, requests;
    uint64_t kill_ns;
    bool     killed, gone;
} player_process;

static void inlet_open(inlet *in, int fd)
{
    in->fd = fd;
    in->size = 0;
    if (!in->data) in->data = (char *)malloc(BODY_MAX + sizeof(parcel));
    must(in->data != NULL, "malloc");
}

static void take_notes(player_process *p)
{
    inlet *in = &p->notes;
    size_t at = 0;
    note   n;
    while (in->size - at >= sizeof n) {
        memcpy(&n, in->data + at, sizeof n);
        if (in->size - at < sizeof n + n.size) break;
        take_note(p->plan.round, p->plan.round * PROCESSES + p->plan.process, &n,
                  in->data + at + sizeof n);
        at += sizeof n + n.size;
    }
    inlet_drop(in, at);
}

/* A request that was cut by the kill was not received. */
static void take_requests(player_process *p)
{
    inlet      *in = &p->requests;
    size_t      at = 0;
    parcel      f;
    const char *body;
    while ((body = inlet_next(in, &at, &f)) != NULL)
        receive_request(p->plan.round, p->plan.process, f.key, body, f.size);
    inlet_drop(in, at);
}

static void start(player_process *p, uint32_t round, uint32_t process, uint64_t begin_ns)
{
    int pipes[2][2];
    must(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0, "pipe");
    p->plan = plan_of(round, process);
    p->kill_ns = p->plan.in_order ? begin_ns + UINT64_C(30000000000)
                                  : begin_ns + dice(&p->plan, 40, 60000u) * SLOW * UINT64_C(1000);
    p->killed = p->gone = false;
    p->pid = fork();
    must(p->pid >= 0, "fork");
    if (p->pid == 0) {
        (void)setpgid(0, 0);
        close(pipes[0][0]);
        close(pipes[1][0]);
        notes_end = pipes[0][1];
        server_end = pipes[1][1];
        run(&p->plan);
    }
    (void)setpgid(p->pid, p->pid);
    file_point = head_point = store_point = stall_first = look_us =
        0; /* of the plan: the child's */
    close(pipes[0][1]);
    close(pipes[1][1]);
    inlet_open(&p->notes, pipes[0][0]);
    inlet_open(&p->requests, pipes[1][0]);
}

/* Kills a child when its time has come, and its forked process with it or later. */
static void look_after(player_process *p)
{
    siginfo_t info;
    if (p->gone) return;
    if (!p->killed && now_ns() >= p->kill_ns) {
        p->killed = true;
        if (p->plan.in_order) complain("no end", p->plan.round, "after 30 s");
        (void)kill(dice(&p->plan, 41, 2) ? -p->pid : p->pid, SIGKILL);
    }
    memset(&info, 0, sizeof info);
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
        return;
    p->gone = true;
    if (info.si_code == CLD_EXITED && info.si_status != 0)
        complain("a child ended", p->plan.round, "with status %d", info.si_status);
    if (info.si_code != CLD_EXITED) {
        if (p->killed) killed_count++;
        else self_count++;
        if (info.si_status != SIGKILL)
            complain("a child ended", p->plan.round, "by signal %d", info.si_status);
    }
}

static void drain(inlet *in, struct pollfd *f)
{
    if (f->fd < 0 || !f->revents) return;
    if (inlet_read(in)) return;
    close(in->fd);
    in->fd = f->fd = -1;
}

/* Reads all pipes until they have ended. */
static void attend(player_process *all, uint32_t count)
{
    struct pollfd f[2 * PROCESSES];
    uint32_t      i, open_ends = 2u * count, alive;
    for (i = 0; i < 2u * count; i++) {
        f[i].fd = i % 2u ? all[i / 2u].requests.fd : all[i / 2u].notes.fd;
        f[i].events = POLLIN;
    }
    while (open_ends > 0) {
        for (i = 0, alive = 0; i < count; i++) {
            look_after(&all[i]);
            alive += !all[i].gone;
        }
        for (i = 0; i < count && alive == 0; i++) (void)kill(-all[i].pid, SIGKILL);
        if (poll(f, 2u * count, 1) <= 0) continue;
        for (i = 0, open_ends = 0; i < 2u * count; i++) {
            player_process *p = &all[i / 2u];
            drain(i % 2u ? &p->requests : &p->notes, &f[i]);
            if (i % 2u) take_requests(p);
            else take_notes(p);
            open_ends += f[i].fd >= 0;
        }
    }
}

static void play_round(uint32_t round)
{
    static player_process all[PROCESSES];
    uint32_t              count = 1u + mix(first_seed * 77u + round) % PROCESSES, i;
    uint64_t              begin_ns = now_ns();
    for (i = 0; i < count; i++) start(&all[i], round, i, begin_ns);
    attend(all, count);
    for (i = 0; i < count; i++) must(waitpid(all[i].pid, NULL, 0) == all[i].pid, "waitpid");
    watch_rest(round);
}

/* ---- the end --------------------------------------------------------------------------------- */

static vit_response receive(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    char         key[36];
    (void)user;
    find_key(key, request->headers);
    receive_request(rounds, 0, key, request->body, request->body_size);
    return answer;
}

/* A run that is not killed. True: there is nothing more. */
static bool play_last(void)
{
    plan        p = plan_of(rounds, 0);
    char        version[24];
    vit_options o = options_for(&p, version);
    child       none;
    bool        all;
    memset(&none, 0, sizeof none);
    file_point = head_point = store_point = stall_first = look_us = 0;
    o.no_thread = true;
    o.transport.send_fn = receive;
    sleep_us(1400000); /* a Retry-After in force would send what waits into a full spool */
    client = vit_create(&o);
    must(client != NULL, "vit_create");
    all = vit_flush(client, 20000);
    {
        vit_stats s = vit_get_stats(client);
        take_stats(rounds, &none, &s, balances(&s));
        if (none.full) complain("dropped", rounds, "by the last run");
    }
    if (!vit_destroy(client, 0)) complain("vit_destroy", rounds, "of the last run");
    return all;
}

static void judge(void)
{
    uint32_t r, i, n;
    fact    *f;
    size_t   k;
    for (k = 0; k < removal_count; k++) {
        f = fact_of(removals[k].n);
        if (!f || f->received || is_poison(removals[k].n)) continue;
        children[removals[k].child].missing++;
    }
    for (i = 0; i < rounds * PROCESSES; i++)
        if (children[i].done && children[i].end_key)
            complain("session.end of one that ended in order", i / PROCESSES, "process %u",
                     (unsigned)(i % PROCESSES));
    for (i = 0; i < rounds * PROCESSES; i++)
        if (children[i].missing > children[i].full)
            complain("removed and not counted", i / PROCESSES,
                     "process %u: %u, of which %u counted", (unsigned)(i % PROCESSES),
                     (unsigned)children[i].missing, (unsigned)children[i].full);
    for (k = 0; k < removal_count; k++) {
        f = fact_of(removals[k].n);
        if (f) f->received = 255;
    }
    for (r = 0; r < rounds * PLAYERS; r++)
        for (i = 0; i < events[r].count; i++) {
            n = NUMBER(r / PLAYERS, r % PLAYERS, i);
            if (events[r].rows[i].reported && !events[r].rows[i].received && !is_poison(n))
                complain_of("lost", n, "");
        }
}

/* Nothing but the settings is left. */
static void clean_up(void)
{
    DIR           *d = opendir(folder);
    struct dirent *e;
    char           path[400];
    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        /* a temporary one of the settings goes when they are written the next time */
        if (strncmp(e->d_name, "telemetry.conf", 14) != 0)
            complain("the data folder holds more", rounds, "%s", e->d_name);
        (void)unlink(path);
    }
    if (d) closedir(d);
    (void)rmdir(folder);
}

static void print_figures(void)
{
    uint64_t dropped = 0;
    size_t   i;
    for (i = 0; i < rounds * PROCESSES; i++) dropped += children[i].missing;
    printf("%u rounds, one event a request: %s, spool of %lu bytes: %u killed, %u at a point, %u "
           "ended in order\n",
           (unsigned)rounds, single ? "yes" : "no", (unsigned long)spool_cap(),
           (unsigned)killed_count, (unsigned)self_count, (unsigned)done_count);
    printf("  %llu events reported, %llu received, %llu of them again under the same key, in %llu "
           "requests; %llu refused, %llu dropped\n",
           (unsigned long long)reported_count, (unsigned long long)received_count,
           (unsigned long long)twice_count, (unsigned long long)request_count,
           (unsigned long long)poison_count, (unsigned long long)dropped);
    printf("  the books balanced %u times; at most %llu bytes in the spool, looked at %llu times; "
           "%u children in plain memory; the ends of %u sessions told\n",
           (unsigned)quiet_count, (unsigned long long)watched->most,
           (unsigned long long)watched->passes, (unsigned)plain_count, (unsigned)end_count);
}

int main(int argc, char **argv)
{
    uint64_t last_ns, state;
    bool     all;
    uint32_t i, files;
    rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500u;
    first_seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1u;
    capped = argc > 3 && strcmp(argv[3], "cap") == 0;
    single = first_seed % 2u == 0;
    must(sizeof(vitp_spool_head) == HEAD_SIZE, "HEAD_SIZE");
    if (rounds == 0 || rounds >= ROUNDS_MAX) return 2;
    (void)mkdir("build", 0755);
    snprintf(folder, sizeof folder, "build/chaos-XXXXXX");
    must(mkdtemp(folder) != NULL, "mkdtemp");
    events = (facts *)calloc((size_t)rounds * PLAYERS, sizeof *events);
    children = (child *)calloc((size_t)rounds * PROCESSES, sizeof *children);
    rows = (uint32_t *)calloc(ROWS, sizeof *rows);
    must(events && children && rows, "calloc");
    watch_begin();
    for (i = 0; i < rounds; i++) play_round(i);
    last_ns = now_ns() + UINT64_C(60000000000);
    do { /* whoever was killed last may still have a file */
        sleep_us(20000);
        all = play_last();
        (void)spool_bytes(&state, &files);
    } while ((!all || files > 0) && now_ns() < last_ns);
    if (!all) complain("the last runs", rounds, "did not deliver all");
    watch_end();
    judge();
    clean_up();
    print_figures();
    if (plain_count > (killed_count + self_count) / 4u)
        complain("too many children in plain memory", rounds, "%u", (unsigned)plain_count);
    printf("%u passed, %u failed\n", errors ? 0u : rounds, (unsigned)errors);
    return errors ? 1 : 0;
}
