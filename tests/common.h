/* common.h - what the tests of the client share. Include "../vitelemetry.h" before it.

   lines      the events that a client would send now, by vit_export
   wire       a transport that keeps each request and answers by a script
   logs       a logger that counts each item
   folder_*   temporary folders under build/tests
   json_at    members, by the strict reader of json_strict.h

   assert_ functions end the test that calls them; call them from the test's own thread only. */

#ifndef TESTS_COMMON_H
#define TESTS_COMMON_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "environment.h"
#include "json_strict.h"
#include "options.h"

#ifdef TORTURE_H /* each client of a test is known to torture.c */
static __attribute__((unused)) vit_client *torture_create(const vit_options *options)
{
    vit_client *t = vit_create(options);
    torture_born(t);
    return t;
}
static __attribute__((unused)) bool torture_destroy(vit_client *t, uint32_t timeout_ms)
{
    torture_dies(t);
    return vit_destroy(t, timeout_ms);
}
#define vit_create  torture_create
#define vit_destroy torture_destroy
#endif

/* 1: all is slower, memory is not given back at once, and exit() in a child looks for leaks. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define TEST_FN     static __attribute__((unused))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- JSON ------------------------------------------------------------------------------------ */

/* The value at a path of keys with / between them, as it stands in the text; "": there is none. The
   text lives until the third call after this one. */
TEST_FN const char *json_at(const char *json, const char *path)
{
    static char texts[4][16384];
    static int  turn;
    char       *out = texts[turn = (turn + 1) & 3];
    size_t      size = strlen(json);
    const char *at = json, *slash;
    do {
        size_t key_size;
        slash = strchr(path, '/');
        key_size = slash ? (size_t)(slash - path) : strlen(path);
        at = json_member(at, at + size, path, key_size, &size);
        path += key_size + 1;
    } while (at && slash);
    if (!at) size = 0;
    assert_true(size < sizeof texts[0]);
    if (at) memcpy(out, at, size);
    out[size] = 0;
    return out;
}

/* path holds exactly this JSON text; "": there is no such member. */
#define assert_json(json, path, text) assert_string_equal(json_at((json), (path)), (text))

TEST_FN bool is_hex(const char *text, size_t size)
{
    return strlen(text) == size && strspn(text, "0123456789abcdef") == size;
}

/* A JSON string of that many lower-case hexadecimal digits. */
TEST_FN void assert_hex(const char *json, size_t size)
{
    char text[128] = "";
    assert_true(strlen(json) == size + 2 && size < sizeof text);
    memcpy(text, json + 1, size);
    assert_true(is_hex(text, size));
}

/* How often the part stands in the text; an empty one never does. */
TEST_FN size_t count_of(const char *text, const char *part)
{
    size_t n = 0;
    for (; *part && (text = strstr(text, part)) != NULL; text += strlen(part)) n++;
    return n;
}

/* ---- time ------------------------------------------------------------------------------------ */

TEST_FN uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

TEST_FN void sleep_ms(unsigned ms)
{
    struct timespec t;
    t.tv_sec = (time_t)(ms / 1000u);
    t.tv_nsec = (long)(ms % 1000u) * 1000000L;
    nanosleep(&t, NULL);
}

/* Waits for a condition, which is what the test asserts next. */
#ifdef TORTURE_H
#define WAIT_MS (torture_has_failed() ? 300u : 20000u) /* what a failure took is not waited for */
#else
#define WAIT_MS 20000u
#endif
#define WAIT_FOR(condition)                                               \
    do {                                                                  \
        uint64_t wait_end_ms = now_ms() + WAIT_MS;                        \
        while (!(condition) && now_ms() < wait_end_ms) sleep_ms(1);       \
        if (!(condition)) fail_msg("waited in vain for: %s", #condition); \
    } while (0)

/* ---- log ------------------------------------------------------------------------------------- */

typedef struct logs {
    pthread_mutex_t lock;
    unsigned        count[VIT_LOG_ITEM_COUNT];
    unsigned        total;
} logs;

TEST_FN void logs_init(logs *l)
{
    memset(l, 0, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
}

TEST_FN void logs_note(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    logs *l = (logs *)user;
    pthread_mutex_lock(&l->lock);
    if (level < VIT_LOG_LEVEL_ERROR || level > VIT_LOG_LEVEL_INFO || !text || !text[0] ||
        item <= VIT_LOG_NONE || item >= VIT_LOG_ITEM_COUNT)
        l->total = 1000000; /* malformed: no test passes with it */
    else l->count[item]++;
    l->total++;
    pthread_mutex_unlock(&l->lock);
}

TEST_FN unsigned logs_of(logs *l, vit_log_item item)
{
    unsigned n;
    pthread_mutex_lock(&l->lock);
    n = l->total < 1000000 ? l->count[item] : 1000000;
    pthread_mutex_unlock(&l->lock);
    return n;
}

/* ---- transport ------------------------------------------------------------------------------- */

typedef struct call {
    char    *body;
    size_t   size;
    uint64_t at_ms;
    uint32_t timeout_ms;
    int      status;
    char     url[256], content_type[64], headers[512], key[64];
} call;

typedef struct wire {
    pthread_mutex_t lock;
    call           *calls;
    size_t          count, capacity;
    vit_response    script[128]; /* answers of the first calls */
    size_t          script_size;
    vit_response    otherwise; /* and of the others */
    /* instead of the script; called without the lock */
    vit_response (*answer_fn)(struct wire *w, const vit_request *request, size_t number);
    void *user;
} wire;

TEST_FN void wire_init(wire *w)
{
    memset(w, 0, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    w->otherwise.http_status = 201;
}

TEST_FN void wire_script(wire *w, const int *statuses, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++) w->script[i].http_status = statuses[i];
    w->script_size = count;
}

/* The value of a header field, "" where there is none. */
TEST_FN void header_value(char *out, size_t size, const char *headers, const char *name)
{
    const char *at = strstr(headers, name);
    size_t      n = 0;
    if (at) {
        at += strlen(name);
        n = strcspn(at, "\r\n");
    }
    if (n >= size) n = size - 1;
    if (n) memcpy(out, at, n);
    out[n] = 0;
}

TEST_FN void wire_keep(wire *w, const vit_request *r)
{
    call *c;
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? w->capacity * 2 : 64;
        w->calls = (call *)realloc(w->calls, w->capacity * sizeof *w->calls);
        if (!w->calls) abort();
    }
    c = &w->calls[w->count++];
    memset(c, 0, sizeof *c);
    c->body = (char *)malloc(r->body_size + 1);
    if (!c->body) abort();
    memcpy(c->body, r->body, r->body_size);
    c->body[r->body_size] = 0;
    c->size = r->body_size;
    c->at_ms = now_ms();
    c->timeout_ms = r->timeout_ms;
    snprintf(c->url, sizeof c->url, "%s", r->url);
    snprintf(c->content_type, sizeof c->content_type, "%s", r->content_type);
    snprintf(c->headers, sizeof c->headers, "%s", r->headers);
    header_value(c->key, sizeof c->key, r->headers, "Idempotency-Key: ");
}

TEST_FN vit_response wire_send(const vit_request *request, void *user)
{
    wire        *w = (wire *)user;
    vit_response answer;
    size_t       number;
    pthread_mutex_lock(&w->lock);
    wire_keep(w, request);
    number = w->count - 1;
    answer = number < w->script_size ? w->script[number] : w->otherwise;
    pthread_mutex_unlock(&w->lock);
    if (w->answer_fn) answer = w->answer_fn(w, request, number);
    pthread_mutex_lock(&w->lock);
    w->calls[number].status = answer.http_status;
    pthread_mutex_unlock(&w->lock);
    return answer;
}

TEST_FN size_t wire_count(wire *w)
{
    size_t n;
    pthread_mutex_lock(&w->lock);
    n = w->count;
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* Events of all requests that were answered by 2xx. An event's own texts cannot hold an unescaped
   quote, so this counts envelopes. */
TEST_FN size_t wire_events(wire *w)
{
    size_t i, n = 0;
    pthread_mutex_lock(&w->lock);
    for (i = 0; i < w->count; i++)
        if (w->calls[i].status / 100 == 2) n += count_of(w->calls[i].body, "{\"hwid\":\"");
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* How often a text stands in the bodies of requests that were answered by 2xx. */
TEST_FN size_t wire_times(wire *w, const char *text)
{
    size_t i, n = 0;
    pthread_mutex_lock(&w->lock);
    for (i = 0; i < w->count; i++)
        if (w->calls[i].status / 100 == 2) n += count_of(w->calls[i].body, text);
    pthread_mutex_unlock(&w->lock);
    return n;
}

TEST_FN void wire_free(wire *w)
{
    size_t i;
    for (i = 0; i < w->count; i++) free(w->calls[i].body);
    free(w->calls);
    pthread_mutex_destroy(&w->lock);
    memset(w, 0, sizeof *w);
}

/* ---- lines ----------------------------------------------------------------------------------- */

typedef struct lines {
    char **text;
    size_t count, capacity;
} lines;

TEST_FN void lines_add(const char *json, size_t size, void *user)
{
    lines *l = (lines *)user;
    char  *copy = (char *)malloc(size + 1);
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 64;
        l->text = (char **)realloc(l->text, l->capacity * sizeof *l->text);
    }
    if (!copy || !l->text) abort();
    memcpy(copy, json, size);
    copy[size] = 0;
    l->text[l->count++] = copy;
}

TEST_FN void lines_free(lines *l)
{
    size_t i;
    for (i = 0; i < l->count; i++) free(l->text[i]);
    free(l->text);
    memset(l, 0, sizeof *l);
}

/* What the client would send now; each line is JSON of one object. */
TEST_FN lines lines_of(vit_client *t)
{
    lines  l = { NULL, 0, 0 };
    size_t n = vit_export(t, lines_add, &l), i;
    assert_int_equal(n, l.count);
    for (i = 0; i < l.count; i++)
        if (!json_is_valid(l.text[i], strlen(l.text[i])) || l.text[i][0] != '{')
            fail_msg("not JSON: %s", l.text[i]);
    return l;
}

/* The one event that waits, which is then forgotten. The text lives until the next call. */
TEST_FN const char *line_of(vit_client *t)
{
    static char text[32768];
    lines       l = lines_of(t);
    if (l.count != 1) fail_msg("%lu events wait, not 1", (unsigned long)l.count);
    assert_true(strlen(l.text[0]) < sizeof text);
    memcpy(text, l.text[0], strlen(l.text[0]) + 1);
    lines_free(&l);
    vit_purge(t);
    return text;
}

/* ---- client ---------------------------------------------------------------------------------- */

/* Granted, in memory, pumped by the test. */
TEST_FN vit_options options_of(wire *w, logs *l)
{
    vit_options o = options_granted("http://127.0.0.1:9/api/v1/telemetry", "");
    o.app_version = "1.2.3";
    o.no_thread = true;
    if (w) {
        o.transport.send_fn = wire_send;
        o.transport.user = w;
    }
    if (l) {
        o.logger.log_fn = logs_note;
        o.logger.user = l;
    }
    return o;
}

TEST_FN vit_client *client_of(const vit_options *o)
{
    vit_client *t = vit_create(o);
    assert_non_null(t);
    return t;
}

TEST_FN void assert_balanced(const vit_client *t)
{
    vit_stats s = vit_get_stats(t);
    if (!is_balanced(t))
        fail_msg("accepted %lu, adopted %lu, delivered %lu, queued %lu, spooled %lu",
                 (unsigned long)s.accepted, (unsigned long)s.adopted, (unsigned long)s.delivered,
                 (unsigned long)s.queued, (unsigned long)s.spooled);
}

TEST_FN vit_status track(vit_client *t, const char *name)
{
    vit_feature_toggled event;
    memset(&event, 0, sizeof event);
    event.feature_name = name;
    return vit_track_feature_toggled(t, &event);
}

/* Events f0, f1, ... of which each is found by its closing quote. */
TEST_FN void track_many(vit_client *t, unsigned first, unsigned count)
{
    unsigned i;
    char     name[24];
    for (i = first; i < first + count; i++) {
        snprintf(name, sizeof name, "f%u", i);
        assert_int_equal(track(t, name), VIT_OK);
    }
}

/* A line or an event that nobody looks at. */
TEST_FN void ignore_line(const char *json, size_t size, void *user)
{
    (void)json, (void)size, (void)user;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* A process of the test's: its number, and 0 in itself. */
TEST_FN pid_t fork_child(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    return child;
}

/* Waits for its end, by _exit(status). */
TEST_FN void wait_child(pid_t child, int status)
{
    int was = -1;
    assert_int_equal(waitpid(child, &was, 0), child);
    assert_int_equal(was, status << 8);
}

/* Waits for its end, by a signal. */
TEST_FN void wait_killed(pid_t child)
{
    int was = 0;
    assert_int_equal(waitpid(child, &was, 0), child);
    if (!WIFSIGNALED(was)) fail_msg("the process was not killed: %d", was);
}

/* ---- folders --------------------------------------------------------------------------------- */

TEST_FN int folder_remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s, (void)f;
    if (type == FTW_DNR) (void)chmod(path, 0700);
    return remove(path);
}

TEST_FN void folder_remove(const char *path)
{
    (void)chmod(path, 0700);
    (void)nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Where pools lie that no test looks at. */
TEST_FN const char *folder_run(void)
{
    static char path[PATH_MAX];
    (void)mkdir("build", 0755);
    (void)mkdir("build/run", 0700);
    if (!realpath("build/run", path)) abort();
    return path;
}

/* A fresh folder of mode 0700. */
TEST_FN void folder_make(char out[64])
{
    (void)mkdir("build", 0755);
    (void)mkdir("build/tests", 0755);
    snprintf(out, 64, "build/tests/tmp-XXXXXX");
    assert_non_null(mkdtemp(out));
}

TEST_FN void file_write(const char *path, const void *data, size_t size, mode_t mode)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* The whole file as a text, "" where there is none; lives until the next call. */
TEST_FN const char *file_read(const char *path)
{
    static char text[1 << 20];
    FILE       *f = fopen(path, "rb");
    size_t      n = 0;
    if (f) {
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
    }
    text[n] = 0;
    return text;
}

/* The bytes of a file; the caller frees them. */
TEST_FN char *bytes_of(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *bytes = (char *)malloc(1u << 21);
    assert_non_null(f);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1u << 21, f);
    fclose(f);
    return bytes;
}

/* How many names in a folder end so, none where there is no folder; out (may be NULL): the path of
   one of them. */
TEST_FN unsigned count_files(const char *folder, const char *end_of_name, char out[PATH_MAX])
{
    DIR           *d = opendir(folder);
    struct dirent *e;
    unsigned       count = 0;
    while (d && (e = readdir(d))) {
        size_t n = strlen(e->d_name), tail = strlen(end_of_name);
        if (e->d_name[0] == '.' || n < tail || strcmp(e->d_name + n - tail, end_of_name) != 0)
            continue;
        if (out) snprintf(out, PATH_MAX, "%.3800s/%.250s", folder, e->d_name);
        count++;
    }
    if (d) closedir(d);
    return count;
}

TEST_FN bool file_exists(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}

/* The value of `name = value` in a settings file; "": there is none. Lives until the next call. */
TEST_FN const char *setting_of(const char *path, const char *name)
{
    static char value[256];
    const char *line = file_read(path), *at;
    size_t      n = strlen(name);
    value[0] = 0;
    for (; line && *line; line = (line = strchr(line, '\n')) ? line + 1 : NULL) {
        if (strncmp(line, name, n) != 0) continue;
        at = line + n;
        at += strspn(at, " ");
        if (*at++ != '=') continue;
        at += strspn(at, " ");
        n = strcspn(at, "\n");
        if (n >= sizeof value) n = sizeof value - 1;
        memcpy(value, at, n);
        value[n] = 0;
        break;
    }
    return value;
}

/* A machine that says nothing about consent, and a user that no text names. */
TEST_FN void environment_clear(void)
{
    environment_forget();
    setenv("USER", "zq.tester", 1);
    setenv("LOGNAME", "zq.tester", 1);
    setenv("HOME", "/nonexistent/zq.tester", 1);
    setenv("XDG_RUNTIME_DIR", folder_run(), 1); /* pools do not lie beside those of programs */
}

#endif /* TESTS_COMMON_H */
