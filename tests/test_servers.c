/* test_servers.c: the transport by libcurl, by itself and within a client, against servers that
   answer badly or not at all, and a resolver that hangs. All of them run here, on loopback.

   Times decide nothing but where the client promises one; those that are measured are printed. */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_CURL
#include "../vitelemetry.h"

#include "../examples/curl_multi.c"

#include "common.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define FLOOD_BYTES (100u << 20) /* what a server sends that does not stop */
#define FLOOD_TAKEN (24u << 20)  /* of which at most this goes out: buffers of sockets are large */
#define LONG_MS     60000u       /* a time-out that no test waits for */

static double clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint32_t get(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
static void     set(uint32_t *at, uint32_t value) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }
static void     add(uint32_t *at, int n) { __atomic_add_fetch(at, (uint32_t)n, __ATOMIC_SEQ_CST); }

/* ---- resolver: libcurl asks this one instead of libc's --------------------------------------- */

static uint32_t resolver_asked, resolver_hanging, resolver_let_go;

#define RESOLVER_MS 20000u

/* No name exists; those that begin with "hang" are looked up until the test lets them go. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    uint64_t end_ms = now_ms() + RESOLVER_MS;
    (void)service, (void)hints, (void)list;
    add(&resolver_asked, 1);
    if (!name || strncmp(name, "hang", 4) != 0) return EAI_NONAME;
    add(&resolver_hanging, 1);
    while (!get(&resolver_let_go) && now_ms() < end_ms) sleep_ms(1);
    add(&resolver_hanging, -1);
    return EAI_AGAIN;
}

static void resolver_init(void)
{
    WAIT_FOR(get(&resolver_hanging) == 0);
    set(&resolver_asked, 0);
    set(&resolver_let_go, 0);
}

static void resolver_free(void)
{
    set(&resolver_let_go, 1);
    WAIT_FOR(get(&resolver_hanging) == 0);
}

/* ---- server: answers one connection after the other ------------------------------------------ */

#define ACCEPTED_MAX 65536

typedef struct server server;
typedef void (*serve_fn)(server *s, int fd);

struct server {
    int             listener;
    unsigned        port;
    char            url[64];
    pthread_t       thread;
    pthread_mutex_t lock; /* of the next three */
    serve_fn        serve;
    const char     *answer;                 /* of serve_answer */
    char            accepted[ACCEPTED_MAX]; /* bodies of requests that were answered by 201 */
    uint32_t        stopping, connections, requests;
    uint64_t        sent; /* bytes of floods; written by the thread, read after server_free */
};

/* The other side's next bytes; 0: it hung up, or the test is over. */
static size_t server_read(const server *s, int fd, char *out, size_t room)
{
    struct pollfd entry = { 0, POLLIN, 0 };
    ssize_t       n;
    entry.fd = fd;
    while (!get(&s->stopping)) {
        if (poll(&entry, 1, 5) <= 0) continue;
        n = recv(fd, out, room, 0);
        return n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Reads a request. The body, or NULL: the other side hung up before. */
static const char *server_request(server *s, int fd, char *text, size_t room)
{
    size_t      size = 0, n;
    const char *length, *body;
    text[0] = 0;
    while ((n = server_read(s, fd, text + size, room - 1 - size)) > 0) {
        size += n;
        text[size] = 0;
        body = strstr(text, "\r\n\r\n");
        length = strstr(text, "Content-Length: ");
        if (!body || !length || size < (size_t)(body + 4 - text) + (size_t)atoi(length + 16))
            continue;
        add(&s->requests, 1);
        return body + 4;
    }
    return NULL;
}

static bool server_send(server *s, int fd, const char *data, size_t size)
{
    struct pollfd entry = { 0, POLLOUT, 0 };
    ssize_t       n;
    entry.fd = fd;
    while (size > 0) {
        if (get(&s->stopping)) return false;
        if (poll(&entry, 1, 5) <= 0) continue;
        n = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n <= 0) return false;
        data += n;
        size -= (size_t)n;
        s->sent += (size_t)n;
    }
    return true;
}

static void server_drain(const server *s, int fd)
{
    char text[4096];
    while (server_read(s, fd, text, sizeof text) > 0) {}
}

static void *server_run(void *user)
{
    server *s = (server *)user;
    while (!get(&s->stopping)) {
        struct pollfd entry = { 0, POLLIN, 0 };
        serve_fn      serve;
        int           fd;
        entry.fd = s->listener;
        if (poll(&entry, 1, 5) <= 0) continue;
        fd = accept(s->listener, NULL, NULL);
        if (fd < 0) continue;
        add(&s->connections, 1);
        pthread_mutex_lock(&s->lock);
        serve = s->serve;
        pthread_mutex_unlock(&s->lock);
        serve(s, fd);
        close(fd);
    }
    return NULL;
}

static int listen_here(unsigned *port, int backlog)
{
    struct sockaddr_in address;
    socklen_t          size = sizeof address;
    int                fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void server_start(server *s, serve_fn serve, const char *answer)
{
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->serve = serve;
    s->answer = answer;
    s->listener = listen_here(&s->port, 16);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u/api", s->port);
    assert_int_equal(pthread_create(&s->thread, NULL, server_run, s), 0);
}

/* What the next connections meet. */
static void server_become(server *s, serve_fn serve, const char *answer)
{
    pthread_mutex_lock(&s->lock);
    s->serve = serve;
    s->answer = answer;
    pthread_mutex_unlock(&s->lock);
}

static void server_free(server *s)
{
    set(&s->stopping, 1);
    pthread_join(s->thread, NULL);
    close(s->listener);
    pthread_mutex_destroy(&s->lock);
}

/* ---- what a server may do -------------------------------------------------------------------- */

static void serve_hang(server *s, int fd) { server_drain(s, fd); }

static void serve_reset_at_once(server *s, int fd)
{
    struct linger now = { 1, 0 };
    (void)s;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void serve_reset(server *s, int fd)
{
    char text[8192];
    (void)server_request(s, fd, text, sizeof text);
    serve_reset_at_once(s, fd);
}

static void serve_half_close(server *s, int fd)
{
    char text[8192];
    (void)server_request(s, fd, text, sizeof text);
    shutdown(fd, SHUT_WR);
    server_drain(s, fd);
}

/* The other side's bytes are not read. */
static void serve_hang_up_early(server *s, int fd)
{
    (void)s;
    shutdown(fd, SHUT_RDWR);
}

/* The answer, and the end of what we say. */
static void serve_answer(server *s, int fd)
{
    char        text[8192];
    const char *answer;
    if (!server_request(s, fd, text, sizeof text)) return;
    pthread_mutex_lock(&s->lock);
    answer = s->answer;
    pthread_mutex_unlock(&s->lock);
    if (!server_send(s, fd, answer, strlen(answer))) return;
    shutdown(fd, SHUT_WR);
    server_drain(s, fd);
}

/* A byte a second: the first second of it is all that a test waits for. */
static void serve_drip(server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    char              text[8192];
    struct pollfd     entry = { 0, POLLIN, 0 };
    size_t            i, ms;
    entry.fd = fd;
    if (!server_request(s, fd, text, sizeof text)) return;
    for (i = 0; i < sizeof answer - 1; i++) {
        if (!server_send(s, fd, answer + i, 1)) return;
        for (ms = 0; ms < 1000; ms += 5)
            if (get(&s->stopping) || poll(&entry, 1, 5) > 0) return; /* it hung up */
    }
}

static void serve_flood(server *s, int fd, const char *begin, const char *again)
{
    static char block[1 << 16];
    size_t      size = 0, n = strlen(again);
    char        text[8192];
    if (!server_request(s, fd, text, sizeof text)) return;
    for (; size + n <= sizeof block; size += n) memcpy(block + size, again, n);
    if (!server_send(s, fd, begin, strlen(begin))) return;
    while (s->sent < FLOOD_BYTES && server_send(s, fd, block, size)) {}
}

#define HEADER_64 "X-A: 3456789.123456789.123456789.123456789.123456789.123456789\r\n"

static void serve_headers(server *s, int fd)
{
    serve_flood(s, fd, "HTTP/1.1 200 OK\r\n", HEADER_64);
}
static void serve_header(server *s, int fd) { serve_flood(s, fd, "HTTP/1.1 200 OK\r\nX-A: ", "x"); }
static void serve_status(server *s, int fd) { serve_flood(s, fd, "HTTP/1.1 200 ", "x"); }
static void serve_interim(server *s, int fd)
{
    serve_flood(s, fd, "", "HTTP/1.1 100 Continue\r\n\r\n");
}
static void serve_hints(server *s, int fd)
{
    serve_flood(s, fd, "", "HTTP/1.1 103 Early Hints\r\nRetry-After: 77\r\n\r\n");
}
static void serve_body(server *s, int fd)
{
    serve_flood(s, fd, "HTTP/1.1 200 OK\r\n\r\n", "body ");
}
static void serve_chunks(server *s, int fd)
{
    serve_flood(s, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nchunk\r\n");
}
static void serve_trailers(server *s, int fd)
{
    serve_flood(s, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", HEADER_64);
}

/* A good one: keeps the connection, and what it was sent. */
static void serve_well(server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
    char              text[8192];
    const char       *body;
    while ((body = server_request(s, fd, text, sizeof text)) != NULL) {
        pthread_mutex_lock(&s->lock);
        if (strlen(s->accepted) + strlen(body) < sizeof s->accepted) strcat(s->accepted, body);
        pthread_mutex_unlock(&s->lock);
        if (!server_send(s, fd, answer, sizeof answer - 1)) return;
    }
}

/* ---- one request ----------------------------------------------------------------------------- */

typedef struct one {
    vit_response answer;
    double       ms;
    char         reply[16];
} one;

static one post_cancellable(const char *url, uint32_t timeout_ms, const uint32_t *cancel)
{
    one         o;
    vit_request r;
    double      begin = clock_ms();
    memset(&o, 0, sizeof o);
    memset(&r, 0, sizeof r);
    memset(o.reply, '?', sizeof o.reply - 1);
    r.url = url;
    r.content_type = "application/json";
    r.headers = "Idempotency-Key: 1\r\nX-Telemetry-Key: key\r\n";
    r.body = "{\"canary\":1}";
    r.body_size = strlen(r.body);
    r.timeout_ms = timeout_ms;
    r.reply = o.reply;
    r.reply_size = sizeof o.reply;
    r.vitp_cancel = cancel;
    o.answer = vit_curl_send(&r, NULL);
    o.ms = clock_ms() - begin;
    return o;
}

static one post(const char *url, uint32_t timeout_ms)
{
    return post_cancellable(url, timeout_ms, NULL);
}

static void test_answers(void **state)
{
    static const struct {
        const char *answer;
        int         status;
        const char *reply;
    } rows[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}" },
        { "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, "" },
        { "HTTP/1.0 204 No Content\r\n\r\n", 204, "" },
        { "HTTP/1.1 200 OK\r\n\r\nuntil the end of it", 200, "until the end o" },
        { "HTTP/1.1 200 OK\r\n\r\n\x01\xFF\xFE<>\"%s%n", 200, "\x01\xFF\xFE<>\"%s%n" },
        { "HTTP/1.1 500 No\r\n\r\n", 500, "" },
        { "HTTP/1.1 999 What\r\n\r\n", 999, "" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 OK\r\nContent-Length: 1\r\n\r\n1", 202, "1" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", 200, "abc" }, /* too short */
        { "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0, NULL },     /* too long */
        { "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", 0, NULL },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0, NULL },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 0, NULL },
        { "HTTP/1.1 200 OK\r\nContent-Le", 0, NULL }, /* its head is cut */
        { "HTTP/1.1 200 OK\r\n", 0, NULL },
        { "HTTP/1.1 20", 0, NULL },
        { "HTTP/1.1 000 What\r\n\r\n", 0, NULL },
        { "HTTP/1.1 abc What\r\n\r\n", 0, NULL },
        { "HTTP/1.1 -200 What\r\n\r\n", 0, NULL },
        { "HTTP/1.1 2000 What\r\n\r\n", 0, NULL },
        { "HTTP/7.7 200 What\r\n\r\n", 0, NULL },
        { "<html>HTTP/0.9</html>", 0, NULL },
        { "SSH-2.0-OpenSSH_9.2\r\n", 0, NULL },
        { "\r\n\r\n\r\n", 0, NULL },
        { "HTTP/1.1 100 Continue\r\n\r\n", 0, NULL },
        { "", 0, NULL },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        server s;
        one    o;
        server_start(&s, serve_answer, rows[i].answer);
        o = post(s.url, LONG_MS);
        server_free(&s);
        if (o.answer.http_status != rows[i].status || o.answer.retry_after_s != 0)
            fail_msg("status %d for: %s", o.answer.http_status, rows[i].answer);
        if (rows[i].reply) assert_string_equal(o.reply, rows[i].reply);
        assert_int_equal(get(&s.requests), 1);
    }
}

/* The transport of pump.c: an answer of which libcurl says that it was cut off is none. */
static void test_example(void **state)
{
    static const struct {
        const char *answer;
        int         status;
    } rows[] = {
        { "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201 },
        { "HTTP/1.1 500 No\r\n\r\n", 500 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0 },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 0 },
        { "HTTP/1.1 100 Continue\r\n\r\n", 0 },
        { "", 0 },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        server       s;
        transfer     x;
        vit_request  r;
        vit_response answer;
        memset(&x, 0, sizeof x);
        memset(&r, 0, sizeof r);
        server_start(&s, serve_answer, rows[i].answer);
        r.url = s.url;
        r.content_type = "application/json";
        r.headers = "Idempotency-Key: 1\r\nX-Telemetry-Key: key\r\n";
        r.body = "{}";
        r.body_size = 2;
        r.timeout_ms = LONG_MS;
        while ((answer = multi_send(&r, &x)).http_status == VIT_HTTP_PENDING) sleep_ms(1);
        server_free(&s);
        if (answer.http_status != rows[i].status)
            fail_msg("status %d for: %s", answer.http_status, rows[i].answer);
        assert_null(x.multi);
    }
}

/* `in an hour`: a date, which is made when the test runs. */
static void test_retry_after(void **state)
{
    static const struct {
        const char *value;
        uint32_t    least, most;
    } rows[] = {
        { "120", 120, 120 },
        { " 7 ", 7, 7 },
        { "99999999999999", VITP_BACKOFF_RETRY_AFTER_S, VITP_BACKOFF_RETRY_AFTER_S },
        { "99999999999999999999999999999999999999999999999999999999999999999999999999", 0,
          VITP_BACKOFF_RETRY_AFTER_S },
        { "-99999999999999", 0, 0 },
        { "-1", 0, 0 },
        { "0", 0, 0 },
        { "", 0, 0 },
        { "soon", 0, 0 },
        { "1.5", 0, 0 },
        { "0x10", 0, 0 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0, 0 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", VITP_BACKOFF_RETRY_AFTER_S, VITP_BACKOFF_RETRY_AFTER_S },
        { "in an hour", 3500, 3600 },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        server s;
        one    o;
        char   answer[256], date[64];
        time_t then = time(NULL) + 3600;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&then));
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 503 Busy\r\nreTRY-afTER:%s\r\nX-Retry-After: 9\r\n\r\n",
                 i == COUNT_OF(rows) - 1 ? date : rows[i].value);
        server_start(&s, serve_answer, answer);
        o = post(s.url, LONG_MS);
        server_free(&s);
        assert_int_equal(o.answer.http_status, 503);
        if (o.answer.retry_after_s < rows[i].least || o.answer.retry_after_s > rows[i].most)
            fail_msg("%lu s for: %s", (unsigned long)o.answer.retry_after_s, answer);
    }
}

/* It is that of the answer, not of what came before it, nor of another header. */
static void test_retry_after_of_another(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 103 Hints\r\nRetry-After: 77\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After\r\n : 77\r\n\r\n",
        "HTTP/1.1 503 Retry-After: 77\r\n\r\n",
        "HTTP/1.1 503 Busy\r\n\r\nRetry-After: 77\r\n",
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 77\r\n\r\n",
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(answers); i++) {
        server s;
        one    o;
        server_start(&s, serve_answer, answers[i]);
        o = post(s.url, LONG_MS);
        server_free(&s);
        if (o.answer.retry_after_s != 0) fail_msg("taken from: %s", answers[i]);
    }
}

static void test_redirects(void **state)
{
    static const int statuses[] = { 300, 301, 302, 303, 307, 308 };
    size_t           i;
    (void)state;
    for (i = 0; i < COUNT_OF(statuses); i++) {
        server s, target;
        char   answer[256];
        server_start(&target, serve_well, NULL);
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nRefresh: 0; url=%s\r\n"
                 "Content-Length: 0\r\n\r\n",
                 statuses[i], target.url, target.url);
        server_start(&s, serve_answer, answer);
        assert_int_equal(post(s.url, LONG_MS).answer.http_status, statuses[i]);
        server_free(&s);
        assert_int_equal(post(target.url, LONG_MS).answer.http_status, 201); /* it is there */
        server_free(&target);
        assert_int_equal(get(&s.requests), 1);
        assert_int_equal(get(&target.connections), 1);
    }
}

static void closed_port(char url[64])
{
    unsigned port;
    close(listen_here(&port, 1));
    snprintf(url, 64, "http://127.0.0.1:%u/api", port);
}

/* A port whose queue of connections is full: the next one gets no answer at all. */
typedef struct black_hole {
    int  listener, waiting[8];
    char url[64];
} black_hole;

static void black_hole_init(black_hole *h)
{
    struct sockaddr_in address;
    unsigned           port;
    size_t             i;
    h->listener = listen_here(&port, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    for (i = 0; i < COUNT_OF(h->waiting); i++) {
        h->waiting[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(fcntl(h->waiting[i], F_SETFL, O_NONBLOCK), 0);
        (void)connect(h->waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    snprintf(h->url, sizeof h->url, "http://127.0.0.1:%u/api", port);
}

static void black_hole_free(black_hole *h)
{
    size_t i;
    for (i = 0; i < COUNT_OF(h->waiting); i++) close(h->waiting[i]);
    close(h->listener);
}

/* No answer: at once where the other side says so, else when the time is up. */
static void test_no_answer(void **state)
{
    static const serve_fn at_once[] = { serve_reset_at_once, serve_reset, serve_half_close,
                                        serve_hang_up_early };
    static const serve_fn slowly[] = { serve_hang, serve_drip };
    char                  url[64];
    size_t                i;
    one                   o;
    (void)state;
    for (i = 0; i < COUNT_OF(at_once); i++) {
        server s;
        server_start(&s, at_once[i], NULL);
        o = post(s.url, LONG_MS);
        server_free(&s);
        assert_int_equal(o.answer.http_status, 0);
        assert_true(o.ms < LONG_MS / 2);
    }
    for (i = 0; i < COUNT_OF(slowly); i++) {
        server s;
        server_start(&s, slowly[i], NULL);
        o = post(s.url, 300);
        server_free(&s);
        assert_int_equal(o.answer.http_status, 0);
        assert_true(o.ms > 250 && o.ms < 15000);
    }
    closed_port(url);
    assert_int_equal(post(url, LONG_MS).answer.http_status, 0);
    assert_int_equal(post("http://127.0.0.1:99999/", LONG_MS).answer.http_status, 0);
    assert_int_equal(post("http://", LONG_MS).answer.http_status, 0);
    assert_int_equal(post("", LONG_MS).answer.http_status, 0);
}

static void test_other_protocols(void **state)
{
    static const char *const protocols[] = { "dict", "gopher", "telnet", "ftp", "ldap", "smtp" };
    server                   s;
    char                     url[64];
    size_t                   i;
    (void)state;
    server_start(&s, serve_hang, NULL);
    for (i = 0; i < COUNT_OF(protocols); i++) {
        snprintf(url, sizeof url, "%s://127.0.0.1:%u/x", protocols[i], s.port);
        assert_int_equal(post(url, 500).answer.http_status, 0);
    }
    server_free(&s);
    assert_int_equal(get(&s.connections), 0);
}

/* A URL that names no protocol is not sent in the clear. */
static void test_no_protocol(void **state)
{
    server s;
    char   url[64];
    (void)state;
    server_start(&s, serve_answer, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    snprintf(url, sizeof url, "127.0.0.1:%u/x", s.port);
    assert_int_equal(post(url, 500).answer.http_status, 0);
    server_free(&s);
    assert_int_equal(get(&s.requests), 0);
}

static void test_black_hole(void **state)
{
    black_hole h;
    one        o;
    (void)state;
    black_hole_init(&h);
    o = post(h.url, 300);
    assert_int_equal(o.answer.http_status, 0);
    assert_true(o.ms > 250 && o.ms < 15000);
    black_hole_free(&h);
}

/* A time-out of 0 is one that is over, not none. */
static void test_no_time(void **state)
{
    server s;
    one    o;
    (void)state;
    server_start(&s, serve_hang, NULL);
    o = post(s.url, 0);
    server_free(&s);
    assert_int_equal(o.answer.http_status, 0);
    assert_true(o.ms < 15000);
}

static long resident_kib(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_maxrss;
}

/* Ends long before the time-out, with little of the flood taken and little memory. */
static void test_floods(void **state)
{
    static const struct {
        const char *name;
        serve_fn    serve;
        int         status; /* where the head was complete, the answer counts */
    } rows[] = {
        { "headers", serve_headers, 0 }, { "a header", serve_header, 0 },
        { "a status", serve_status, 0 }, { "100 Continue", serve_interim, 0 },
        { "103 Hints", serve_hints, 0 }, { "a body", serve_body, 200 },
        { "chunks", serve_chunks, 200 }, { "trailers", serve_trailers, 0 },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        server s;
        one    o;
        long   before = resident_kib(), more;
        server_start(&s, rows[i].serve, NULL);
        o = post(s.url, LONG_MS);
        server_free(&s);
        more = resident_kib() - before;
        print_message("flood of %-12s status %d after %.0f ms, %lu KiB sent, %ld KiB of memory\n",
                      rows[i].name, o.answer.http_status, o.ms, (unsigned long)(s.sent >> 10),
                      more);
        assert_int_equal(o.answer.http_status, rows[i].status);
        assert_int_equal(o.answer.retry_after_s, 0);
        assert_true(o.ms < LONG_MS / 2);
        assert_true(s.sent < FLOOD_TAKEN);
        assert_true(more < 64l << 10);
    }
}

/* ---- TLS ------------------------------------------------------------------------------------- */

typedef struct tls_server {
    char  folder[64], log[96], url[64];
    pid_t pid;
    int   input;
} tls_server;

/* False: there is no openssl here. */
static bool tls_start(tls_server *s)
{
    char        command[512], certificate[96], key[96];
    const char *at;
    int         ends[2];
    if (system("command -v openssl >/dev/null 2>&1") != 0) return false;
    folder_make(s->folder);
    snprintf(s->log, sizeof s->log, "%s/log", s->folder);
    snprintf(certificate, sizeof certificate, "%s/certificate", s->folder);
    snprintf(key, sizeof key, "%s/key", s->folder);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey rsa:2048 -nodes -keyout %s -out %s -days 2 "
             "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 >/dev/null 2>&1",
             key, certificate);
    assert_int_equal(system(command), 0);
    assert_int_equal(pipe(ends), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        int log = open(s->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
#ifdef __linux__
        prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
        dup2(ends[0], 0);
        dup2(log, 1);
        dup2(log, 2);
        close(ends[1]);
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate,
               "-key", key, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    s->input = ends[1]; /* it ends with its input */
    WAIT_FOR(strstr(file_read(s->log), "ACCEPT 127.0.0.1:") != NULL);
    at = strstr(file_read(s->log), "ACCEPT 127.0.0.1:");
    snprintf(s->url, sizeof s->url, "https://127.0.0.1:%d/api", atoi(strchr(at, ':') + 1));
    return true;
}

static void tls_free(tls_server *s)
{
    kill(s->pid, SIGKILL);
    assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
    close(s->input);
    folder_remove(s->folder);
}

/* The same by libcurl without a look at the certificate: it would have arrived. */
static void tls_post_blindly(const tls_server *s)
{
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    curl_easy_setopt(curl, CURLOPT_URL, s->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{\"canary\":2}");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 1000L);
    (void)curl_easy_perform(curl);
    curl_easy_cleanup(curl);
}

static void test_certificate(void **state)
{
    tls_server s;
    server     plain;
    char       url[80];
    (void)state;
    if (!tls_start(&s)) {
        print_message("not run: there is no openssl to make a certificate and serve it\n");
        skip();
    }
    assert_int_equal(post(s.url, 15000).answer.http_status, 0);
    tls_post_blindly(&s);
    WAIT_FOR(strstr(file_read(s.log), "canary\":2") != NULL);
    assert_null(strstr(file_read(s.log), "canary\":1"));
    snprintf(url, sizeof url, "http%s", s.url + 5);
    assert_int_equal(post(url, 15000).answer.http_status, 0); /* no TLS, to who speaks it */
    tls_free(&s);
    server_start(&plain, serve_well, NULL);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/api", plain.port);
    assert_int_equal(post(url, 1000).answer.http_status, 0); /* TLS, to who speaks none */
    server_free(&plain);
    assert_int_equal(get(&plain.requests), 0);
    assert_true(get(&plain.connections) >= 1);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void test_unknown_host(void **state)
{
    (void)state;
    resolver_init();
    assert_int_equal(post("http://no.such.host.invalid/api", LONG_MS).answer.http_status, 0);
    assert_true(get(&resolver_asked) > 0);
    resolver_free();
}

/* True: libcurl looks names up beside the request, and can leave such a look-up behind. */
static bool resolver_is_left(void)
{
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    return (v->features & CURL_VERSION_ASYNCHDNS) && !v->ares && v->version_num >= 0x075700;
}

static void test_resolver_hangs(void **state)
{
    one o;
    (void)state;
    if (!resolver_is_left()) {
        print_message("not run: this libcurl waits for its resolver\n");
        skip();
    }
    resolver_init();
    o = post("http://hang.invalid/api", 300);
    print_message("resolver that hangs: ends after %.0f ms of 300\n", o.ms);
    assert_int_equal(o.answer.http_status, 0);
    assert_true(get(&resolver_hanging) > 0);
    assert_true(o.ms > 250 && o.ms < 15000);
    resolver_free();
}

/* ---- cancelled ------------------------------------------------------------------------------- */

typedef struct canceller {
    uint32_t cancel;
    double   at_ms;
} canceller;

static void *cancel_soon(void *user)
{
    canceller *c = (canceller *)user;
    sleep_ms(400);
    c->at_ms = clock_ms();
    set(&c->cancel, VITP_CANCEL_WANTED);
    return NULL;
}

static double cancelled_ms(const char *url)
{
    canceller c = { VITP_CANCEL_SENT, 0 };
    pthread_t thread;
    one       o;
    double    end;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &c), 0);
    o = post_cancellable(url, LONG_MS, &c.cancel);
    end = clock_ms();
    pthread_join(thread, NULL);
    assert_int_equal(o.answer.http_status, 0);
    return end - c.at_ms;
}

static void test_cancelled(void **state)
{
    server     hanging, dripping;
    black_hole h;
    uint32_t   before = VITP_CANCEL_WANTED;
    double     ms[4] = { 0, 0, 0, 0 };
    size_t     i;
    (void)state;
    server_start(&hanging, serve_hang, NULL);
    server_start(&dripping, serve_drip, NULL);
    black_hole_init(&h);
    resolver_init();
    ms[0] = cancelled_ms(hanging.url);
    ms[1] = cancelled_ms(dripping.url);
    ms[2] = cancelled_ms(h.url);
    if (resolver_is_left()) ms[3] = cancelled_ms("http://hang.invalid/api");
    print_message("cancelled: no answer %.0f, drips %.0f, no connection %.0f, no name %.0f ms\n",
                  ms[0], ms[1], ms[2], ms[3]);
    for (i = 0; i < COUNT_OF(ms); i++) assert_true(ms[i] < 15000);
    resolver_free();
    black_hole_free(&h);
    i = get(&hanging.connections);
    (void)post_cancellable(hanging.url, LONG_MS, &before);
    assert_int_equal(get(&hanging.connections), i); /* nothing is begun */
    server_free(&hanging);
    server_free(&dripping);
}

/* ---- within a client ------------------------------------------------------------------------- */

static vit_options client_options(logs *l, const char *url)
{
    vit_options o;
    logs_init(l);
    o = options_of(NULL, l);
    o.endpoint = url;
    o.no_thread = false;
    o.flush_ms = 20;
    o.timeout_ms = 200;
    return o;
}

/* A client with three events, once it has told what became of the first. */
static vit_client *client_told(logs *l, const char *url, vit_log_item item)
{
    vit_options o = client_options(l, url);
    vit_client *t = client_of(&o);
    track_many(t, 0, 3);
    WAIT_FOR(logs_of(l, item) == 1);
    return t;
}

static void destroy(vit_client *t)
{
    uint64_t end_ms = now_ms() + 20000;
    while (!vit_destroy(t, 0))
        if (now_ms() > end_ms) fail_msg("a client cannot be destroyed");
}

/* A flush is in vain: all three wait, and nothing was asked but once. */
static void assert_kept(vit_client *t, uint32_t timeout_ms)
{
    assert_false(vit_flush(t, timeout_ms));
    assert_int_equal(vit_get_stats(t).requests, 1);
    assert_int_equal(vit_get_stats(t).queued, 3);
    assert_balanced(t);
}

/* Nothing is taken for delivered, nothing is lost, and all arrives once the server is well. */
static void test_client_keeps(void **state)
{
    static const struct {
        serve_fn    serve;
        const char *answer;
    } rows[] = {
        { serve_hang, NULL },
        { serve_reset_at_once, NULL },
        { serve_reset, NULL },
        { serve_half_close, NULL },
        { serve_drip, NULL },
        { serve_headers, NULL },
        { serve_interim, NULL },
        { serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc" },
        { serve_answer, "HTTP/1.1 200 OK\r\nContent-Le" },
        { serve_answer, "HTTP/1.1 000 What\r\n\r\n" },
        { serve_answer, "HTTP/1.1 999 What\r\n\r\n" },
        { serve_answer, "HTTP/1.1 abc What\r\n\r\n" },
        { serve_answer, "<html>HTTP/0.9</html>" },
        { serve_answer, "HTTP/1.1 503 Busy\r\nRetry-After: -1\r\n\r\n" },
        { serve_answer, "HTTP/1.1 503 Busy\r\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n" },
    };
    size_t i, k;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        static server s; /* its text is large */
        logs          l;
        vit_client   *t;
        char          name[8];
        server_start(&s, rows[i].serve, rows[i].answer);
        t = client_told(&l, s.url, VIT_LOG_SERVER_AWAY);
        assert_int_equal(vit_get_stats(t).delivered, 0);
        assert_int_equal(vit_get_stats(t).queued, 3);
        assert_balanced(t);
        server_become(&s, serve_well, NULL);
        for (k = 0; k < 20 && !vit_flush(t, 1000); k++) {}
        assert_int_equal(vit_get_stats(t).delivered, 3);
        assert_int_equal(vit_get_stats(t).queued, 0);
        assert_balanced(t);
        assert_int_equal(l.total, 1);
        destroy(t);
        server_free(&s);
        for (k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "\"f%u\"", (unsigned)k);
            assert_int_equal(count_of(s.accepted, name), 1);
        }
    }
}

/* A good status is an answer, whatever else comes with it. */
static void test_client_delivers(void **state)
{
    static const struct {
        serve_fn    serve;
        const char *answer;
    } rows[] = {
        { serve_well, NULL },
        { serve_answer, "HTTP/1.1 200 OK\r\n\r\n<html>sign in to the network</html>" },
        { serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabcdef" },
        { serve_body, NULL },
        { serve_chunks, NULL },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        server      s;
        logs        l;
        vit_options o;
        vit_client *t;
        server_start(&s, rows[i].serve, rows[i].answer);
        o = client_options(&l, s.url);
        o.timeout_ms = LONG_MS;
        t = vit_create(&o);
        track_many(t, 0, 3);
        assert_true(vit_flush(t, 20000));
        assert_int_equal(vit_get_stats(t).delivered, 3);
        assert_int_equal(vit_get_stats(t).requests, 3);
        assert_balanced(t);
        assert_int_equal(l.total, 0);
        destroy(t);
        server_free(&s);
        assert_int_equal(get(&s.requests), 3);
    }
}

/* A connection is used again. */
static void test_client_keeps_connection(void **state)
{
    server      s;
    logs        l;
    vit_options o;
    vit_client *t;
    (void)state;
    server_start(&s, serve_well, NULL);
    o = client_options(&l, s.url);
    t = vit_create(&o);
    track_many(t, 0, 3);
    assert_true(vit_flush(t, 20000));
    destroy(t);
    server_free(&s);
    assert_int_equal(get(&s.requests), 3);
    assert_int_equal(get(&s.connections), 1);
}

/* Moved: what waits is kept for the next run, and nobody else is told. */
static void test_client_stops(void **state)
{
    static const int statuses[] = { 301, 302, 307, 308 };
    size_t           i;
    (void)state;
    for (i = 0; i < COUNT_OF(statuses); i++) {
        server      s, target;
        logs        l;
        vit_client *t;
        char        answer[128];
        server_start(&target, serve_well, NULL);
        snprintf(answer, sizeof answer, "HTTP/1.1 %d Moved\r\nLocation: %s\r\n\r\n", statuses[i],
                 target.url);
        server_start(&s, serve_answer, answer);
        t = client_told(&l, s.url, VIT_LOG_SERVER_GONE);
        assert_kept(t, 100);
        destroy(t);
        server_free(&s);
        server_free(&target);
        assert_int_equal(get(&s.requests), 1);
        assert_int_equal(get(&target.connections), 0);
    }
}

/* The longest Retry-After is a day, which neither a flush nor the end shortens or waits for. */
static void test_client_waits(void **state)
{
    static const char *const values[] = { "99999999999999", "120",
                                          "Fri, 31 Dec 9999 23:59:59 GMT" };
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(values); i++) {
        server      s;
        logs        l;
        vit_client *t;
        char        answer[128];
        snprintf(answer, sizeof answer, "HTTP/1.1 429 Slowly\r\nRetry-After: %s\r\n\r\n",
                 values[i]);
        server_start(&s, serve_answer, answer);
        t = client_told(&l, s.url, VIT_LOG_SERVER_AWAY);
        assert_kept(t, 50);
        destroy(t);
        server_free(&s);
        assert_int_equal(get(&s.requests), 1);
    }
}

/* ---- the end in time ------------------------------------------------------------------------- */

#define TRIES 5
#define BUSY_MS \
    200 /* what other work of the machine, and a sanitizer, may add to a promised time */

static uint32_t stubborn_let_go, stubborn_inside;

static vit_response stubborn_send(const vit_request *request, void *user)
{
    vit_response none = { 0, 0 };
    (void)request, (void)user;
    set(&stubborn_inside, 1);
    while (!get(&stubborn_let_go)) sleep_ms(1);
    set(&stubborn_inside, 0);
    return none;
}

typedef struct trial {
    const char *name, *url;
    vit_response (*send_fn)(const vit_request *request, void *user);
    bool     no_thread;
    uint32_t timeout_ms; /* of vit_destroy */
    double   most_ms;    /* that it may take */
    bool     begun;      /* a request is under way when vit_destroy is called */
} trial;

/* How long one vit_destroy takes. */
static double trial_once(const trial *x, bool *ended)
{
    logs        l;
    vit_options o = client_options(&l, x->url);
    vit_client *t;
    double      begin, ms;
    o.timeout_ms = 5000;
    o.no_thread = x->no_thread;
    o.flush_ms = x->begun ? 20 : 600000;
    o.transport.send_fn = x->send_fn;
    set(&stubborn_let_go, 0);
    t = vit_create(&o);
    assert_non_null(t);
    track_many(t, 0, 3);
    if (x->begun) WAIT_FOR(vit_get_stats(t).requests >= 1);
    if (x->begun) sleep_ms(20);
    begin = clock_ms();
    *ended = vit_destroy(t, x->timeout_ms);
    ms = clock_ms() - begin;
    set(&stubborn_let_go, 1);
    if (!*ended) destroy(t);
    return ms;
}

static void test_destroy_in_time(void **state)
{
    server     hanging, dripping;
    black_hole h;
    char       closed[64];
    size_t     i, k;
    trial      trials[12];
    size_t     n = 0;
    (void)state;
    server_start(&hanging, serve_hang, NULL);
    server_start(&dripping, serve_drip, NULL);
    black_hole_init(&h);
    closed_port(closed);
    resolver_init();
#define TRIAL(name, url, send_fn, no_thread, timeout_ms, most_ms, begun)            \
    do {                                                                            \
        trial one_ = { name, url, send_fn, no_thread, timeout_ms, most_ms, begun }; \
        trials[n++] = one_;                                                         \
    } while (0)
    TRIAL("callback that hangs", "http://127.0.0.1/", stubborn_send, false, 200, 250, true);
    TRIAL("no answer", hanging.url, NULL, false, 200, 250, true);
    TRIAL("no answer, not begun", hanging.url, NULL, false, 200, 250, false);
    TRIAL("a byte a second", dripping.url, NULL, false, 200, 250, true);
    TRIAL("no connection", h.url, NULL, false, 200, 250, true);
    TRIAL("no connection, no thread", h.url, NULL, true, 200, 250, false);
    TRIAL("offline", closed, NULL, false, 200, 20, true);
    TRIAL("offline, not begun", closed, NULL, false, 2000, 20, false);
    TRIAL("offline, no thread", closed, NULL, true, 2000, 20, false);
    if (resolver_is_left()) {
        TRIAL("no name", "http://hang.invalid/", NULL, false, 200, 250, true);
        TRIAL("no name, not begun", "http://hang.invalid/", NULL, false, 200, 250, false);
        TRIAL("no name, no thread", "http://hang.invalid/", NULL, true, 200, 250, false);
    }
    for (i = 0; i < n; i++) {
        double   best = 1e9, worst = 0;
        unsigned ended = 0;
        for (k = 0; k < TRIES; k++) {
            bool   this_one;
            double ms = trial_once(&trials[i], &this_one);
            if (ms < best) best = ms;
            if (ms > worst) worst = ms;
            ended += this_one;
        }
        print_message("vit_destroy(t, %4lu), %-25s best %6.1f, worst %6.1f ms, true %u of %u\n",
                      (unsigned long)trials[i].timeout_ms, trials[i].name, best, worst, ended,
                      TRIES);
        assert_true(best < trials[i].most_ms + BUSY_MS);
    }
    resolver_free();
    black_hole_free(&h);
    server_free(&hanging);
    server_free(&dripping);
}

/* ---- a program that is offline --------------------------------------------------------------- */

/* What the program does that exit_ms runs: `events` of them, to a port where nobody is. */
static int exit_program(const char *url, unsigned events)
{
    logs        l;
    vit_options o = client_options(&l, url);
    vit_client *t;
    o.flush_ms = 5000;
    o.timeout_ms = 5000;
    t = vit_create(&o);
    if (!t) return 2;
    while (events-- > 0)
        if (track(t, "f") != VIT_OK) return 3;
    return vit_destroy(t, 2000) ? 0 : 4;
}

/* From its start to its end. */
static double exit_ms(const char *url, const char *events)
{
    char   self[PATH_MAX];
    double begin;
    int    status = 0;
    pid_t  pid;
    assert_non_null(realpath("/proc/self/exe", self));
    begin = clock_ms();
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl(self, self, "exit", url, events, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return clock_ms() - begin;
}

static void test_exit_offline(void **state)
{
    char   closed[64];
    double none = 1e9, three = 1e9, ms;
    size_t i;
    (void)state;
    if (!file_exists("/proc/self/exe")) skip();
    closed_port(closed);
    for (i = 0; i < 2 * TRIES; i++) {
        ms = exit_ms(closed, "0");
        if (ms < none) none = ms;
        ms = exit_ms(closed, "3");
        if (ms < three) three = ms;
    }
    print_message("a program without events ends after %.1f ms, with 3 offline after %.1f ms\n",
                  none, three);
    assert_true(three - none < 10 + BUSY_MS);
}

/* One test may last that long: then SIGALRM ends the program. */
static int alarm_set(void **state)
{
    (void)state;
    alarm(120);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_answers, alarm_set),
        cmocka_unit_test_setup(test_retry_after, alarm_set),
        cmocka_unit_test_setup(test_retry_after_of_another, alarm_set),
        cmocka_unit_test_setup(test_redirects, alarm_set),
        cmocka_unit_test_setup(test_no_answer, alarm_set),
        cmocka_unit_test_setup(test_example, alarm_set),
        cmocka_unit_test_setup(test_other_protocols, alarm_set),
        cmocka_unit_test_setup(test_no_protocol, alarm_set),
        cmocka_unit_test_setup(test_black_hole, alarm_set),
        cmocka_unit_test_setup(test_no_time, alarm_set),
        cmocka_unit_test_setup(test_floods, alarm_set),
        cmocka_unit_test_setup(test_certificate, alarm_set),
        cmocka_unit_test_setup(test_unknown_host, alarm_set),
        cmocka_unit_test_setup(test_resolver_hangs, alarm_set),
        cmocka_unit_test_setup(test_cancelled, alarm_set),
        cmocka_unit_test_setup(test_client_keeps, alarm_set),
        cmocka_unit_test_setup(test_client_delivers, alarm_set),
        cmocka_unit_test_setup(test_client_keeps_connection, alarm_set),
        cmocka_unit_test_setup(test_client_stops, alarm_set),
        cmocka_unit_test_setup(test_client_waits, alarm_set),
        cmocka_unit_test_setup(test_destroy_in_time, alarm_set),
        cmocka_unit_test_setup(test_exit_offline, alarm_set),
    };
    environment_clear();
    if (argc == 4 && strcmp(argv[1], "exit") == 0)
        return exit_program(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 2) cmocka_set_test_filter(argv[1]); /* test_servers 'test_client_*' */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
