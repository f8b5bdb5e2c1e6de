/* test_e2e.c: from a call in a program to a line in the collector's file, over real sockets.

   Build:   cc -std=c99 -I. tests/test_e2e.c -o build/tests/test_e2e -lcmocka -pthread
            and once more with -DWITH_CURL -lcurl, which sends by libcurl as well
   Run:     with the collector at build/examples/collector, or where COLLECTOR says */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#ifdef WITH_CURL
#define VITELEMETRY_CURL
#endif
#include "../vitelemetry.h"

#include "../examples/http.c"
#if HTTP_SLICE_MS > 20
#error "vit_destroy says that the transport has not returned 40 ms after its cancellation"
#endif

#include "common.h"

#include <dirent.h>
#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>

/* ---- the collector --------------------------------------------------------------------------- */

typedef struct collector {
    char  folder[64], port_file[96], url[128];
    pid_t pid;
} collector;

#define OPTIONS_MAX 8

/* options: more of its options, ended by NULL. */
static void collector_run(collector *c, const char *const *options)
{
    const char *arguments[OPTIONS_MAX + 8];
    const char *path = getenv("COLLECTOR");
    size_t      n = 0;
    if (!path) path = "build/examples/collector";
    if (access(path, X_OK) != 0) fail_msg("no collector at %s", path);
    arguments[n++] = path;
    arguments[n++] = "--port", arguments[n++] = "0";
    arguments[n++] = "--port-file", arguments[n++] = c->port_file;
    arguments[n++] = "--dir", arguments[n++] = c->folder;
    while (options && *options && n < OPTIONS_MAX + 7) arguments[n++] = *options++;
    arguments[n] = NULL;
    (void)unlink(c->port_file);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        int null_fd = open("/dev/null", O_RDWR);
#ifdef __linux__
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
#endif
        dup2(null_fd, 1);
        dup2(null_fd, 2);
        execv(path, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    WAIT_FOR(strchr(file_read(c->port_file), '\n') || atoi(file_read(c->port_file)) > 0);
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%d/api/v1/telemetry",
             atoi(file_read(c->port_file)));
}

static void collector_start(collector *c, const char *const *options)
{
    memset(c, 0, sizeof *c);
    folder_make(c->folder);
    snprintf(c->port_file, sizeof c->port_file, "%s/port", c->folder);
    collector_run(c, options);
}

static void collector_stop(collector *c)
{
    int status = 0;
    assert_int_equal(kill(c->pid, SIGTERM), 0);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
}

static void collector_end(collector *c)
{
    collector_stop(c);
    folder_remove(c->folder);
}

/* All that the collector stored, in the order of the days. */
static const char *stored(const collector *c)
{
    static char    text[1 << 22];
    DIR           *d = opendir(c->folder);
    struct dirent *entry;
    size_t         n = 0;
    text[0] = 0;
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        char  path[512];
        FILE *f;
        if (strncmp(entry->d_name, "events-", 7) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", c->folder, entry->d_name);
        f = fopen(path, "rb");
        assert_non_null(f);
        n += fread(text + n, 1, sizeof text - 1 - n, f);
        fclose(f);
    }
    closedir(d);
    text[n] = 0;
    return text;
}

/* ---- the client ------------------------------------------------------------------------------ */

static const vit_wire forms[] = { VIT_WIRE_EVENT, VIT_WIRE_ARRAY, VIT_WIRE_NDJSON };

#ifdef WITH_CURL
#define TRANSPORTS 2u
#else
#define TRANSPORTS 1u
#endif

static logs the_logs;

/* transport 0: http.c; 1: libcurl, which is the default where it was asked for. */
static vit_options e2e_options(const collector *c, vit_wire form, unsigned transport)
{
    vit_options o;
    logs_init(&the_logs);
    o = options_of(NULL, &the_logs);
    o.endpoint = c->url;
    o.wire = form;
    o.no_thread = false;
    o.flush_ms = 20;
    if (transport == 0) o.transport.send_fn = http_send;
    return o;
}

/* Flushes again and again, which tries at once what would wait for its time. */
static void deliver(vit_client *t)
{
    uint64_t begin_ms = now_ms();
    while (!vit_flush(t, 100) && now_ms() - begin_ms < 3 * WAIT_MS) {}
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_balanced(t);
}

static void assert_stored_once(const collector *c, unsigned count)
{
    const char *text = stored(c);
    unsigned    i;
    char        name[40];
    assert_int_equal(count_of(text, "\n"), count);
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "\"feature_name\":\"f%u\"", i);
        if (count_of(text, name) != 1)
            fail_msg("%s is stored %lu times", name, (unsigned long)count_of(text, name));
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_forms(void **state)
{
    size_t   i;
    unsigned transport;
    (void)state;
    for (transport = 0; transport < TRANSPORTS; transport++)
        for (i = 0; i < COUNT_OF(forms); i++) {
            collector   c;
            vit_options o;
            vit_client *t;
            const char *line;
            collector_start(&c, NULL);
            o = e2e_options(&c, forms[i], transport);
            t = vit_create(&o);
            assert_non_null(t);
            track_many(t, 0, 250);
            deliver(t);
            assert_int_equal(vit_get_stats(t).delivered, 250);
            assert_int_equal(vit_get_stats(t).retries, 0);
            assert_int_equal(vit_get_stats(t).requests >= (i == 0 ? 250u : 3u), 1);
            assert_true(vit_destroy(t, 1000));
            assert_stored_once(&c, 250);
            for (line = stored(&c); *line; line = strchr(line, '\n') + 1)
                assert_true(json_is_valid(line, strcspn(line, "\n")));
            assert_int_equal(count_of(stored(&c), "\"created_at\":"), 250);
            collector_end(&c);
        }
}

/* Every kind of text, over the wire and back. */
static void test_texts(void **state)
{
    unsigned transport;
    (void)state;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        collector   c;
        vit_options o;
        vit_client *t;
        vit_event   e;
        vit_error   error;
        collector_start(&c, NULL);
        o = e2e_options(&c, VIT_WIRE_NDJSON, transport);
        t = vit_create(&o);
        vit_session_begin(t, NULL, "test");
        vit_event_begin(&e, t, "text.sent", NULL);
        vit_add_text(&e, "t", "quote \" line\nbreak \xC3\xA9 \x01 mail bob@example.com");
        vit_add_hash(&e, "host", "db.example.com");
        vit_add_real(&e, "real", 0.1);
        assert_int_equal(vit_event_send(&e), VIT_OK);
        memset(&error, 0, sizeof error);
        error.message = "cannot open /home/bob/x.txt";
        assert_int_equal(vit_track_error(t, &error), VIT_OK);
        vit_session_end(t, VIT_EXIT_NORMAL);
        deliver(t);
        assert_true(vit_destroy(t, 1000));
        assert_int_equal(count_of(stored(&c), "\n"), 4);
        assert_non_null(strstr(stored(&c), "quote \\\" line\\nbreak \xC3\xA9 "));
        assert_non_null(strstr(stored(&c), "mail [email]"));
        assert_null(strstr(stored(&c), "bob"));
        assert_null(strstr(stored(&c), "db.example"));
        collector_end(&c);
    }
}

/* Three of ten requests fail: every event arrives, and none twice. */
static void test_failing_server(void **state)
{
    static const char *const options[] = { "--fail", "503:0.3", "--seed", "7", NULL };
    size_t                   i;
    unsigned                 transport;
    (void)state;
    for (transport = 0; transport < TRANSPORTS; transport++)
        for (i = 0; i < COUNT_OF(forms); i++) {
            collector   c;
            vit_options o;
            vit_client *t;
            unsigned    count = i == 0 ? 60 : 200;
            collector_start(&c, options);
            o = e2e_options(&c, forms[i], transport);
            if (i > 0) o.batch_events = 5;
            t = vit_create(&o);
            track_many(t, 0, count);
            deliver(t);
            assert_int_equal(vit_get_stats(t).delivered, count);
            assert_true(vit_get_stats(t).retries > 0);
            assert_int_equal(logs_of(&the_logs, VIT_LOG_SERVER_AWAY), 1);
            assert_true(vit_destroy(t, 1000));
            assert_stored_once(&c, count);
            collector_end(&c);
        }
}

/* The server stored a batch and its answer was lost: the key makes the second try harmless. */
static unsigned lost_answers;

static vit_response lose_answers(const vit_request *request, void *user)
{
    vit_response answer = http_send(request, user), none = { 0, 0 };
    return answer.http_status / 100 == 2 && lost_answers++ % 2 == 0 ? none : answer;
}

static void test_lost_answers(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(forms); i++) {
        collector   c;
        vit_options o;
        vit_client *t;
        lost_answers = 0;
        collector_start(&c, NULL);
        o = e2e_options(&c, forms[i], 0);
        o.transport.send_fn = lose_answers;
        if (i > 0) o.batch_events = 4;
        t = vit_create(&o);
        track_many(t, 0, 20);
        deliver(t);
        assert_true(vit_destroy(t, 1000));
        assert_true(lost_answers >= 10);
        assert_stored_once(&c, 20);
        collector_end(&c);
    }
}

static void test_key(void **state)
{
    static const char *const options[] = { "--key", "the right key", NULL };
    unsigned                 transport;
    (void)state;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        static const char *const keys[] = { "the wrong key", NULL, "the right key" };
        collector                c;
        size_t                   i;
        collector_start(&c, options);
        for (i = 0; i < COUNT_OF(keys); i++) {
            vit_options o = e2e_options(&c, VIT_WIRE_ARRAY, transport);
            vit_client *t;
            bool        right = i == 2;
            o.telemetry_key = keys[i];
            t = vit_create(&o);
            track_many(t, 0, 3);
            assert_int_equal(vit_flush(t, 20000), right);
            assert_int_equal(vit_get_stats(t).requests, 1);
            assert_int_equal(vit_get_stats(t).queued, right ? 0 : 3);
            assert_false(!right && vit_flush(t, 20000)); /* paused for good */
            assert_int_equal(vit_get_stats(t).requests, 1);
            assert_int_equal(logs_of(&the_logs, VIT_LOG_SERVER_PAUSED), right ? 0 : 1);
            assert_balanced(t);
            assert_true(vit_destroy(t, 1000));
            assert_int_equal(count_of(stored(&c), "\n"), right ? 3 : 0);
        }
        collector_end(&c);
    }
}

static void test_wrong_path(void **state)
{
    unsigned transport;
    (void)state;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        collector   c;
        vit_options o;
        vit_client *t;
        collector_start(&c, NULL);
        o = e2e_options(&c, VIT_WIRE_ARRAY, transport);
        *strstr(c.url, "/api") = 0;
        strcat(c.url, "/elsewhere");
        t = vit_create(&o);
        track_many(t, 0, 3);
        assert_false(vit_flush(t, 20000));
        assert_int_equal(logs_of(&the_logs, VIT_LOG_SERVER_GONE), 1);
        assert_int_equal(vit_get_stats(t).requests, 1);
        assert_true(vit_destroy(t, 1000));
        collector_end(&c);
    }
}

/* The server goes away and comes back on another run of the client's queue: nothing is lost. */
static void test_server_comes_late(void **state)
{
    unsigned transport;
    (void)state;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        collector   c;
        char        port[32];
        const char *options[] = { "--port", port, NULL };
        vit_options o;
        vit_client *t;
        collector_start(&c, NULL);
        o = e2e_options(&c, VIT_WIRE_NDJSON, transport);
        snprintf(port, sizeof port, "%d", atoi(file_read(c.port_file)));
        collector_stop(&c);
        t = vit_create(&o);
        track_many(t, 0, 30);
        assert_false(vit_flush(t, 200));
        assert_int_equal(vit_get_stats(t).queued, 30);
        assert_true(vit_get_stats(t).requests >= 1);
        collector_run(&c, options);
        deliver(t);
        assert_true(vit_destroy(t, 1000));
        assert_stored_once(&c, 30);
        collector_end(&c);
    }
}

/* A server that does not answer: a request ends in timeout_ms, vit_destroy does not wait for it. */
static void test_slow_server(void **state)
{
    static const char *const options[] = { "--delay-ms", "20000", NULL };
    unsigned                 transport;
    (void)state;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        collector   c;
        vit_options o;
        vit_client *t;
        uint64_t    begin_ms;
        collector_start(&c, options);
        o = e2e_options(&c, VIT_WIRE_ARRAY, transport);
        o.timeout_ms = 100;
        t = vit_create(&o);
        track_many(t, 0, 1);
        WAIT_FOR(logs_of(&the_logs, VIT_LOG_SERVER_AWAY) == 1); /* by its time-out */
        assert_int_equal(vit_get_stats(t).delivered, 0);
        assert_true(vit_destroy(t, 0));
        o.timeout_ms = 15000;
        logs_init(&the_logs);
        t = vit_create(&o);
        track_many(t, 0, 1);
        WAIT_FOR(vit_get_stats(t).requests == 1);
        sleep_ms(50);
        begin_ms = now_ms();
        while (!vit_destroy(t, 0)) sleep_ms(10); /* libcurl looks at the flag once a second */
        assert_true(now_ms() - begin_ms < 8000);
        assert_int_equal(kill(c.pid, SIGKILL), 0);
        assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
        folder_remove(c.folder);
    }
}

/* Consent is withdrawn while events wait: they never arrive. */
static void test_denied(void **state)
{
    collector   c;
    vit_options o;
    vit_client *t;
    (void)state;
    collector_start(&c, NULL);
    o = e2e_options(&c, VIT_WIRE_ARRAY, 0);
    o.flush_ms = 600000;
    t = vit_create(&o);
    track_many(t, 0, 10);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_false(vit_flush(t, 200));
    assert_true(vit_destroy(t, 1000));
    assert_string_equal(stored(&c), "");
    collector_end(&c);
}

#ifdef __linux__
#define PIECES SOCK_SEQPACKET /* each arrives by itself */
#else
#define PIECES SOCK_STREAM
#endif

/* What http.c makes of an answer that arrives in pieces of this size. */
static vit_response http_hears(const char *answer, size_t piece, char reply[32])
{
    char        text[100];
    int         ends[2];
    size_t      at, n, size = strlen(answer);
    vit_request request;
    http_call   hears = { &request, http_now_ms() + WAIT_MS, -1 };
    memset(&request, 0, sizeof request);
    request.reply = reply;
    request.reply_size = 32;
    reply[0] = 0;
    assert_int_equal(socketpair(AF_UNIX, PIECES, 0, ends), 0);
    for (at = 0; at < size; at += n) {
        n = size - at < piece ? size - at : piece;
        assert_int_equal(send(ends[0], answer + at, n, 0), n);
    }
    close(ends[0]);
    hears.fd = ends[1];
    text[0] = 0;
    http_read(&hears, text, sizeof text);
    close(ends[1]);
    return http_answer(&request, text);
}

/* Interim answers are passed over (RFC 9110, 15.2), as many as there are; the room is for one. */
static void test_interim_answers(void **state)
{
#define HINTS "HTTP/1.1 103 Hints\r\nRetry-After: 7\r\n\r\n"
    static const struct {
        const char *answer;
        int         status;
        const char *reply;
    } rows[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\n1", 201,
          "1" },
        { HINTS HINTS HINTS HINTS "HTTP/1.0 503 No\r\n\r\nlater", 503, "later" },
        { "HTTP/1.1 204 None\r\n\r\n" HINTS, 204, HINTS }, /* nothing of it is an answer */
        { HINTS, 0, "" },
        { "HTTP/1.1 200 OK\r\n", 0, "" }, /* cut off */
        { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 0, "" },
        { HINTS "HTTP/1.1 201 Made\r\nX", 0, "" },
        { "HTTP/1.1 200 OK\r\nX-Long: longer than the room, which is a hundred bytes for all of "
          "the head, is no fault of his\r\n\r\n{}",
          200, "" },
        { "HTTP/1.1 100 Continue\r\n", 0, "" },
        { "HTTP/1.1 1", 0, "" },
        { "HTTP/1.1 ", 0, "" },
        { "HTTP/1", 0, "" },
        { "H", 0, "" },
        { "\r\n\r\n", 0, "" },
        { "", 0, "" },
    };
    size_t i, piece;
    char   reply[32];
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++)
        for (piece = 1; piece <= 61; piece += piece < 16 ? 1 : 15) {
            vit_response r = http_hears(rows[i].answer, piece, reply);
            if (r.http_status != rows[i].status || r.retry_after_s != 0)
                fail_msg("status %d for: %s", r.http_status, rows[i].answer);
            if (r.http_status != 204) assert_string_equal(reply, rows[i].reply);
        }
}

/* A server that gives an interim answer to the head of a large request, and waits for the rest. */
typedef struct hinting {
    int    fd;
    size_t left; /* bytes that it waits for */
} hinting;

static void *serve_hint(void *user)
{
    hinting          *h = (hinting *)user;
    static const char hint[] = "HTTP/1.1 103 Early Hints\r\n\r\n";
    static const char made[] = "HTTP/1.1 201 Made\r\n\r\n";
    char              buffer[4096];
    ssize_t           got = recv(h->fd, buffer, 1, MSG_PEEK);
    got = got > 0 ? send(h->fd, hint, sizeof hint - 1, HTTP_SEND_FLAGS) : 0;
    sleep_ms(50);
    while (got > 0 && h->left > 0 && (got = recv(h->fd, buffer, sizeof buffer, 0)) > 0)
        h->left -= (size_t)got < h->left ? (size_t)got : h->left;
    if (h->left == 0) (void)send(h->fd, made, sizeof made - 1, HTTP_SEND_FLAGS);
    close(h->fd);
    return NULL;
}

static void test_interim_amid(void **state)
{
    static char message[8u << 20];
    char        answer[HTTP_ANSWER_SIZE] = "";
    int         ends[2];
    hinting     h = { -1, sizeof message };
    pthread_t   server;
    vit_request request;
    http_call   says = { &request, http_now_ms() + WAIT_MS, -1 };
    (void)state;
    memset(&request, 0, sizeof request);
    memset(message, 'x', sizeof message);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    h.fd = ends[0];
    says.fd = ends[1];
    assert_int_equal(pthread_create(&server, NULL, serve_hint, &h), 0);
    assert_true(http_write(&says, message, sizeof message, answer, sizeof answer));
    http_read(&says, answer, sizeof answer);
    close(ends[1]);
    pthread_join(server, NULL);
    assert_int_equal(http_answer(&request, answer).http_status, 201);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_failing_server),
        cmocka_unit_test(test_lost_answers),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_wrong_path),
        cmocka_unit_test(test_server_comes_late),
        cmocka_unit_test(test_slow_server),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_interim_answers),
        cmocka_unit_test(test_interim_amid),
    };
    signal(SIGPIPE, SIG_DFL); /* no transport may depend on it being ignored */
    environment_clear();
    return cmocka_run_group_tests_name("e2e", tests, NULL, NULL);
}
