/* collector.c: examples/collector.c on any bytes from a socket: request line, header fields,
   chunks, bodies of JSON and NDJSON. It reads them in pieces of any size and answers the same as
   if they came at once; what it answers is HTTP, and what it stores are lines of JSON.

   An input: the size of pieces, whether a key is asked for, the bytes. No socket and no file is
   touched; so /events, which reads files, finds no folder. */

#define _POSIX_C_SOURCE 200809L

#include <stdarg.h>

#include "target.h"

#define JSON_DEPTH_MAX 80
#define JSON_TWICE     true
#define json_string    strict_string
#define json_digits    strict_digits
#define json_number    strict_number
#define json_character strict_character
#define json_member    strict_member
#include "../json_strict.h"
#undef json_string
#undef json_digits
#undef json_number
#undef json_character
#undef json_member

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the system, as far as the collector sees it --------------------------------------------- */

#define COLLECTOR_FD  1000000
#define COLLECTOR_OUT (1u << 20)

typedef struct collector_log {
    size_t size;
    char   bytes[COLLECTOR_OUT];
} collector_log;

static collector_log *collector_sent, *collector_stored;
static const uint8_t *collector_in;
static size_t         collector_left, collector_piece;

static void collector_note(collector_log *log, const void *data, size_t size)
{
    demand(size <= sizeof log->bytes - log->size, "no endless answer");
    memcpy(log->bytes + log->size, data, size);
    log->size += size;
}

static ssize_t collector_recv(size_t room, void *out)
{
    size_t n = collector_piece < room ? collector_piece : room;
    if (n > collector_left) n = collector_left;
    if (n) memcpy(out, collector_in, n);
    collector_in += n;
    collector_left -= n;
    return (ssize_t)n;
}

static ssize_t collector_send(const void *data, size_t size)
{
    collector_note(collector_sent, data, size);
    return (ssize_t)size;
}

static ssize_t collector_write(const void *data, size_t size)
{
    collector_note(collector_stored, data, size);
    return (ssize_t)size;
}

static int collector_open(int folder, const char *name, int flags, ...)
{
    (void)folder, (void)name, (void)flags;
    return COLLECTOR_FD;
}

static int collector_fstat(struct stat *s)
{
    memset(s, 0, sizeof *s);
    s->st_mode = S_IFREG | 0600;
    return 0;
}

static int collector_time(struct timespec *t)
{
    t->tv_sec = 1800000000;
    t->tv_nsec = 0;
    return 0;
}

#define recv(fd, out, room, how)  ((void)(fd), collector_recv(room, out))
#define send(fd, data, size, how) ((void)(fd), collector_send(data, size))
#define write(fd, data, size)     ((void)(fd), collector_write(data, size))
#define fstat(fd, s)              ((void)(fd), collector_fstat(s))
#define openat(...)               collector_open(__VA_ARGS__)
#define close(fd)                 ((void)(fd))
#define shutdown(fd, how)         ((void)(fd))
#define clock_gettime(clock, t)   ((void)(clock), collector_time(t))
#define time(t)                   ((void)(t), (time_t)1800000000)
#define COLLECTOR_NO_MAIN
#include "examples/collector.c"
#undef recv
#undef send
#undef write
#undef fstat
#undef openat
#undef close
#undef shutdown
#undef clock_gettime
#undef time

/* ---- what must hold -------------------------------------------------------------------------- */

enum {
    COLLECTOR_KEY = 1
}; /* it asks for a key */

/* What it stored are whole lines of JSON. */
FUZZ_FN void collector_check_lines(const collector_log *log)
{
    const char *at = log->bytes, *end = at + log->size, *line;
    for (; at < end; at = line + 1) {
        line = (const char *)memchr(at, '\n', (size_t)(end - at));
        demand(line && *at == '{', "a line is an object");
        demand(json_is_valid(at, (size_t)(line - at)), "a line is JSON");
    }
}

/* One answer: a head whose size is what it says. Returns what is behind it. */
FUZZ_FN const char *collector_check_answer(const char *at, const char *end, bool *cut)
{
    static const char length[] = "Content-Length: ";
    const char       *body, *field;
    size_t            size;
    demand(end - at > 12 && memcmp(at, "HTTP/1.1 ", 9) == 0, "an answer begins as one");
    demand(strspn(at + 9, "0123456789") == 3, "with a status");
    body = strstr(at, "\r\n\r\n");
    demand(body && body < end, "a head ends");
    body += 4;
    if (memcmp(at + 9, "100", 3) == 0) return body;
    field = strstr(at, length);
    if (!field || field >= body) { /* in chunks: /events */
        *cut = true;
        return end;
    }
    size = (size_t)strtoul(field + sizeof length - 1, NULL, 10);
    if (body == end || memcmp(body, "HTTP/1.1 ", 9) == 0) return body; /* to HEAD */
    demand(size <= (size_t)(end - body), "a body is there");
    if (strstr(at, "application/json") && strstr(at, "application/json") < body)
        demand(json_is_valid(body, size), "and is JSON");
    return body + size;
}

FUZZ_FN void collector_check_sent(collector_log *log)
{
    const char *at = log->bytes, *end = at + log->size;
    bool        cut = false;
    demand(log->size < sizeof log->bytes, "there is an end");
    log->bytes[log->size] = 0;
    while (at < end && !cut) at = collector_check_answer(at, end, &cut);
}

/* ---- a connection ---------------------------------------------------------------------------- */

static server *collector_server;

static void collector_begin(unsigned what)
{
    if (!collector_server) collector_server = (server *)calloc(1, sizeof *collector_server);
    demand(collector_server != NULL, "memory");
    collector_server->opt.timeout_ms = 1000;
    collector_server->opt.retry_after_s = -1;
    collector_server->opt.key = what & COLLECTOR_KEY ? "key" : NULL;
    collector_server->store.dir_fd = COLLECTOR_FD;
    collector_server->keys.count = 0;
}

/* As it is before anything was stored. */
static void collector_forget(server *s)
{
    table_free(&s->store.rows);
    table_free(&s->store.sums);
    memset(&s->rate, 0, sizeof s->rate);
    s->store.version = s->store.recents.first = s->store.recents.last = 0;
    s->store.errors.count = s->keys.count = 0;
    s->store.epoch = 0;
}

/* All bytes in pieces, then the end of them. True: an interim answer was sent, which depends on the
   pieces. */
static bool collector_run(const uint8_t *data, size_t size, size_t piece, collector_log *sent,
                          collector_log *stored)
{
    server *s = collector_server;
    conn   *c = (conn *)calloc(1, sizeof *c);
    bool    asked = false;
    size_t  turns = 2 * size + 64;
    demand(c != NULL, "memory");
    sent->size = stored->size = 0;
    collector_sent = sent;
    collector_stored = stored;
    collector_in = data;
    collector_left = size;
    collector_piece = piece;
    c->fd = COLLECTOR_FD;
    c->deadline_ms = 1000;
    s->now_ms = 0;
    while (c->state != CONN_DEAD) {
        short interest = conn_interest(s, c);
        demand(turns-- > 0, "an end comes");
        conn_ready(s, c, interest);
        asked = asked || c->head.expect;
        demand(c->in.size <= HEAD_MAX + BLOCK_SIZE && c->body.size <= BODY_MAX, "bounded memory");
    }
    conn_free(c);
    collector_forget(s);
    return asked;
}

static void fuzz_collector(const uint8_t *data, size_t size)
{
    static collector_log sent[2], stored[2];
    fuzz_feed            f = { data, size };
    size_t               piece = fuzz_u8(&f) + 1u;
    bool                 asked;
    collector_begin(fuzz_u8(&f));
    asked = collector_run(f.at, f.left, piece, &sent[0], &stored[0]);
    collector_check_sent(&sent[0]);
    collector_check_lines(&stored[0]);
    if (asked) return;
    (void)collector_run(f.at, f.left, BLOCK_SIZE, &sent[1], &stored[1]);
    demand(sent[0].size == sent[1].size && memcmp(sent[0].bytes, sent[1].bytes, sent[0].size) == 0,
           "pieces make no difference to the answers");
    demand(stored[0].size == stored[1].size &&
               memcmp(stored[0].bytes, stored[1].bytes, stored[0].size) == 0,
           "nor to what is stored");
}

FUZZ_TARGET(collector)

#ifdef FUZZ_FILES
int main(int argc, char **argv)
{
    static fuzz_target targets[] = { { "collector", fuzz_collector, NULL, 0 } };
    return fuzz_files_main(argc, argv, targets, 1);
}
#endif
