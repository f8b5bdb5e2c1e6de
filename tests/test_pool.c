/* test_pool.c: the pool that outlives its process: killed at any moment, found, taken over once,
   and what is done with files that are torn, hostile or somebody else's.

   Build:   cc -std=c99 -g -I. tests/test_pool.c -o build/tests/test_pool -lcmocka -pthread -lm */

#include "plain_memory.h"

/* Before a chosen atomic operation something else happens: there a process is killed, as it seems,
   or stops. */
#include "played.h"

#include "common.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- a queue whose process is killed before any of its atomic operations --------------------- */

#define CAPACITY VITP_QUEUE_CAPACITY_MIN
#define RECORDS  256u
#define THREADS  3u

typedef enum fate {
    FATE_NONE,
    FATE_BEGUN, /* may be there or not */
    FATE_SENT,
    FATE_LEAVING, /* being released: may be there or not */
    FATE_GONE
} fate;

typedef struct story {
    void      *memory;
    vit_queue *q;
    uint32_t   count; /* records so far */
    fate       of[RECORDS];
    uint32_t   thread[RECORDS], turn[RECORDS], size[RECORDS]; /* turn: when it was committed */
    bool       reserved[RECORDS];
    uint32_t   turns;
    bool       slots;
    uint32_t   open; /* record that is reserved, + 1 */
    void      *at;
} story;

/* The moment of death. */
typedef struct corpse {
    story     then;
    story    *s;
    uint64_t *pool;
    bool      taken;
} corpse;

static void die(void *user)
{
    corpse *c = (corpse *)user;
    memcpy(c->pool, c->s->q->pool, vitp_pool_bytes(CAPACITY));
    c->then = *c->s;
    c->taken = true;
}

static uint32_t story_begin(story *s, uint32_t thread)
{
    uint32_t id = s->count++, least = (uint32_t)sizeof id;
    s->thread[id] = thread;
    s->size[id] = random_below(4) ? least + random_below(200) : 500u + random_below(2000);
    s->of[id] = FATE_BEGUN;
    become(thread);
    return id;
}

static void story_fill(const story *s, uint32_t id, unsigned char *out)
{
    memset(out, (int)(id * 7u + 1u) & 0xFF, s->size[id]);
    memcpy(out, &id, sizeof id);
}

static void story_end(story *s, uint32_t id, bool sent)
{
    s->of[id] = sent ? FATE_SENT : FATE_NONE;
    s->turn[id] = ++s->turns;
}

static void story_push(story *s)
{
    unsigned char bytes[4096];
    uint32_t      id = story_begin(s, random_below(THREADS));
    story_fill(s, id, bytes);
    story_end(s, id, vit_queue_push(s->q, bytes, s->size[id]));
}

/* One record is open at a time: what its thread pushes meanwhile is inside it. */
static void story_reserve(story *s)
{
    uint32_t id;
    if (!s->open) {
        id = story_begin(s, random_below(THREADS));
        s->reserved[id] = true;
        s->at = vit_queue_reserve(s->q, s->size[id]);
        if (s->at) s->open = id + 1u;
        else story_end(s, id, false);
        return;
    }
    id = s->open - 1u;
    become(s->thread[id]);
    s->open = 0;
    if (random_below(4) == 0) {
        vit_queue_commit(s->q, s->at, 0);
        story_end(s, id, false);
        return;
    }
    if (random_below(2)) s->size[id] = (uint32_t)sizeof id + random_below(s->size[id] - 3u);
    story_fill(s, id, (unsigned char *)s->at);
    vit_queue_commit(s->q, s->at, s->size[id]);
    story_end(s, id, true);
}

typedef struct listed {
    uint32_t     ids[RECORDS], count;
    const story *s;
    bool         torn;
} listed;

static bool story_list(const void *record, uint32_t size, void *user)
{
    listed       *l = (listed *)user;
    unsigned char want[4096];
    uint32_t      id = RECORDS;
    if (size >= sizeof id) memcpy(&id, record, sizeof id);
    if (id >= l->s->count || size != l->s->size[id] || l->count == RECORDS) {
        l->torn = true;
        return true;
    }
    story_fill(l->s, id, want);
    if (memcmp(want, record, size) != 0) l->torn = true;
    l->ids[l->count++] = id;
    return true;
}

static void story_release(story *s)
{
    listed   l = { { 0 }, 0, s, false };
    uint32_t i, n;
    (void)vit_queue_peek(s->q, story_list, &l, (size_t)-1);
    assert_false(l.torn);
    n = l.count ? random_below(l.count + 1u) : 0;
    for (i = 0; i < n; i++) s->of[l.ids[i]] = FATE_LEAVING;
    vit_queue_release(s->q, n);
    for (i = 0; i < n; i++) s->of[l.ids[i]] = FATE_GONE;
}

static void story_tell(story *s, uint32_t seed)
{
    uint32_t i;
    random_state = seed * 1000u;
    memset(s->memory, 0x5A, vit_queue_bytes(CAPACITY));
    s->q = vit_queue_init(s->memory, vit_queue_bytes(CAPACITY));
    assert_non_null(s->q);
    s->slots = seed % 3 != 0;
    s->q->wipes = seed % 2 != 0;
    if (!s->slots)
        for (i = 0; i < VITP_QUEUE_SLOTS; i++) s->q->places[i].owner = 0x70000000u + 64u * i;
    for (i = 0; i < 60; i++) {
        switch (random_below(8)) {
        case 0: story_release(s); break;
        case 1:
        case 2: story_reserve(s); break;
        default: story_push(s); break;
        }
    }
    forged = 0;
}

static void check_corpse(corpse *c, uint64_t *own, uint32_t seed, uint32_t n)
{
    story         *s = &c->then;
    vitp_recovered found;
    listed         l = { { 0 }, 0, s, false };
    uint32_t       i, times[RECORDS] = { 0 }, last[THREADS] = { 0 };
    vit_queue     *q = vitp_recover(own, (vitp_pool *)(void *)c->pool, CAPACITY, &found);
    assert_non_null(q);
    for (i = 0; i < 200 && vit_queue_drain(q, story_list, &l, 7) > 0; i++) {}
    if (l.torn || found.torn || found.records != l.count)
        fail_msg("story %u, step %u: torn, or %u of %u records", (unsigned)seed, (unsigned)n,
                 (unsigned)l.count, (unsigned)found.records);
    for (i = 0; i < l.count; i++) times[l.ids[i]]++;
    for (i = 0; i < s->count; i++) {
        bool must = s->of[i] == FATE_SENT, may = s->of[i] == FATE_BEGUN || s->of[i] == FATE_LEAVING;
        if (times[i] != (must ? 1u : 0u) && !(may && times[i] == 1))
            fail_msg("story %u, step %u: record %u of fate %d came %u times", (unsigned)seed,
                     (unsigned)n, (unsigned)i, (int)s->of[i], (unsigned)times[i]);
    }
    for (i = 0; i < l.count; i++) {
        uint32_t id = l.ids[i], thread = s->thread[id];
        if (s->of[id] == FATE_BEGUN) continue;
        if (!s->slots && s->reserved[id]) continue; /* stands where it was reserved */
        if (s->turn[id] < last[thread])
            fail_msg("story %u, step %u: record %u is too late", (unsigned)seed, (unsigned)n,
                     (unsigned)id);
        last[thread] = s->turn[id];
    }
}

static void test_killed_at_any_operation(void **state)
{
    static story  s;
    static corpse c;
    uint32_t      seed, n, moments = 0;
    void         *memory = NULL, *own = NULL, *pool = NULL;
    (void)state;
    assert_int_equal(posix_memalign(&memory, 64, vit_queue_bytes(CAPACITY)), 0);
    assert_int_equal(posix_memalign(&own, 64, vitp_queue_own_bytes(CAPACITY)), 0);
    assert_int_equal(posix_memalign(&pool, 64, vitp_pool_bytes(CAPACITY)), 0);
    c.s = &s;
    c.pool = (uint64_t *)pool;
    for (seed = 1; seed <= 60; seed++) {
        for (n = 1 + seed % 3;; n += 3) {
            memset(&s, 0, sizeof s);
            s.memory = memory;
            c.taken = false;
            arm(die, &c, n);
            story_tell(&s, seed);
            step_fn = NULL;
            if (!c.taken) break;
            check_corpse(&c, (uint64_t *)own, seed, n);
            moments++;
        }
    }
    assert_true(moments > 20000);
    free(memory);
    free(own);
    free(pool);
}

/* ---- clients --------------------------------------------------------------------------------- */

typedef struct stage {
    char        folder[64], run[PATH_MAX];
    vit_options o;
    logs        l;
    wire        w;
} stage;

static void stage_make(stage *b)
{
    char path[160], absolute[PATH_MAX];
    memset(b, 0, sizeof *b);
    folder_make(b->folder);
    snprintf(path, sizeof path, "%s/run", b->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_non_null(realpath(path, absolute));
    setenv("XDG_RUNTIME_DIR", absolute, 1);
    snprintf(b->run, sizeof b->run, "%.4000s/vitelemetry", absolute);
    wire_init(&b->w);
    logs_init(&b->l);
    b->o = options_of(&b->w, &b->l);
    b->o.data_dir = b->folder;
    b->o.queue_bytes = 64 * 1024;
}

static void stage_end(stage *b)
{
    wire_free(&b->w);
    folder_remove(b->folder);
    in_plain_memory = false;
}

static vit_client *stage_client(stage *b) { return client_of(&b->o); }

static vit_client *stage_open(stage *b)
{
    stage_make(b);
    return stage_client(b);
}

static void stage_close(stage *b, vit_client *t)
{
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
    stage_end(b);
}

/* Files of the stage's pools; out (may be NULL): the path of one. */
static unsigned pools(const stage *b, char out[PATH_MAX])
{
    return count_files(b->run, "", out);
}

/* A process that makes a client, does something and is killed. act_fn: true, or it failed. */
static pid_t dying(stage *b, const char *version, bool (*act_fn)(stage *b, vit_client *t))
{
    pid_t child = fork_child();
    if (child == 0) {
        vit_client *t;
        b->o.app_version = version;
        t = vit_create(&b->o);
        if (!t || !vit_get_stats(t).crash_surviving || !act_fn(b, t)) _exit(1);
        (void)raise(SIGKILL);
    }
    return child;
}

static void killed(stage *b, const char *version, bool (*act_fn)(stage *b, vit_client *t))
{
    wait_killed(dying(b, version, act_fn));
}

static bool track_numbers(vit_client *t, unsigned first, unsigned count)
{
    unsigned i;
    for (i = first; i < first + count; i++) {
        vit_event e;
        vit_event_begin(&e, t, "number", NULL);
        vit_add_int(&e, "n", (int64_t)i);
        if (vit_event_send(&e) != VIT_OK) return false;
    }
    return true;
}

static bool act_numbers(stage *b, vit_client *t)
{
    (void)b;
    return track_numbers(t, 0, 10);
}

static bool act_all_kinds(stage *b, vit_client *t)
{
    vit_op             op = vit_op_begin();
    vit_query_executed q;
    vit_qt_error       qt;
    vit_event          e;
    lines              l;
    char               path[PATH_MAX];
    FILE              *f;
    size_t             i;
    memset(&q, 0, sizeof q);
    memset(&qt, 0, sizeof qt);
    vit_session_begin(t, "session-of-the-killed", "desktop");
    vit_set_context(t, "chroma", "customers");
    vit_set_rate(t, "query.executed", 1.0);
    q.op = &op;
    q.query_type = "vector";
    q.db_type = "qdrant";
    q.latency_ms = 17;
    q.success = true;
    if (vit_track_query_executed(t, &q) != VIT_OK) return false;
    qt.message = "cannot open /home/jane/x.db";
    qt.file = "/home/jane/src/main.cpp";
    qt.line = 42;
    if (vit_track_qt_error(t, &qt) != VIT_OK) return false;
    (void)vit_fail(t, &op, "DataImportError", "data_import", ENOENT);
    vit_event_begin(&e, t, "ad.hoc", &op);
    vit_add_hash(&e, "host", "db.example.org");
    vit_add_real(&e, "x", 0.1);
    vit_add_uuid(&e, "id", "01234567-89ab-4def-8123-456789abcdef");
    if (vit_event_send(&e) != VIT_OK) return false;
    snprintf(path, sizeof path, "%.63s/lines", b->folder);
    f = fopen(path, "w"); /* what it would have sent */
    l = lines_of(t);
    for (i = 0; f && i < l.count; i++) fprintf(f, "%s\n", l.text[i]);
    return f && fclose(f) == 0 && l.count == 5;
}

/* What a killed run recorded arrives as that run would have sent it. */
static void test_killed(void **state)
{
    stage       b;
    vit_client *t;
    lines       l;
    char        path[PATH_MAX], got[16384] = "";
    size_t      i;
    vit_stats   s;
    (void)state;
    stage_make(&b);
    killed(&b, "0.9.0", act_all_kinds);
    assert_int_equal(pools(&b, NULL), 1);
    b.o.app_version = "2.0.0";
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 6); /* and its session's end */
    assert_balanced(t);
    l = lines_of(t);
    for (i = 0; i < l.count; i++) {
        if (strstr(l.text[i], "\"session.end\"")) continue;
        strcat(got, l.text[i]);
        strcat(got, "\n");
    }
    lines_free(&l);
    snprintf(path, sizeof path, "%.63s/lines", b.folder);
    assert_string_equal(got, file_read(path));
    assert_int_equal(count_of(got, "\"app_version\":\"0.9.0\""), 5);
    assert_int_equal(count_of(got, "session-of-the-killed"), 5);
    while (vit_pump(t)) {}
    s = vit_get_stats(t);
    assert_int_equal(s.delivered, 6);
    assert_int_equal(s.queued, 0);
    assert_int_equal(wire_count(&b.w), 6);
    assert_int_equal(pools(&b, NULL), 1); /* its own */
    assert_true(s.crash_surviving);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(pools(&b, NULL), 0);
    stage_end(&b);
}

/* Its parent has not asked yet how it ended, as in a container whose first process never asks. */
static void test_killed_not_waited_for(void **state)
{
    stage       b;
    vit_client *t;
    pid_t       child;
    siginfo_t   info;
    (void)state;
    stage_make(&b);
    child = dying(&b, "1.0.0", act_numbers);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 10);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 10);
    wait_killed(child);
    stage_close(&b, t);
}

/* So does one whose main thread is left while another goes on: its pool stays open to it. */
typedef struct threaded {
    vit_client *t;
    int         go; /* to be read from */
} threaded;
static void *goes_on(void *user)
{
    const threaded *h = (const threaded *)user;
    char            byte;
    if (read(h->go, &byte, 1) == 1 && track_numbers(h->t, 0, 10)) (void)raise(SIGKILL);
    _exit(1);
    return NULL;
}
static bool is_zombie(pid_t child)
{
    char   path[64], text[512];
    FILE  *f;
    size_t n;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)child);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    return strstr(text, ") Z") != NULL;
}
static void test_main_thread_left(void **state)
{
    static threaded h;
    stage           b;
    vit_client     *t;
    pthread_t       thread;
    pid_t           child;
    int             go[2];
    (void)state;
    stage_make(&b);
    assert_int_equal(pipe(go), 0);
    child = fork_child();
    if (child == 0) {
        h.t = vit_create(&b.o);
        h.go = go[0];
        if (!h.t || pthread_create(&thread, NULL, goes_on, &h) != 0) _exit(1);
        pthread_exit(NULL);
    }
    while (!is_zombie(child)) sleep_ms(1);
    t = stage_client(&b);
    vit_purge(t);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(write(go[1], "", 1), 1);
    wait_killed(child);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 10);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 10);
    (void)close(go[0]);
    (void)close(go[1]);
    stage_close(&b, t);
}

/* Several are taken over one after the other, before what the new run records. */
static void test_several(void **state)
{
    stage       b;
    vit_client *t;
    size_t      i;
    (void)state;
    stage_make(&b);
    b.o.no_thread = true;
    killed(&b, "1.0.0", act_numbers);
    assert_int_equal(pools(&b, NULL), 1);
    b.o.transport.send_fn = NULL; /* the second cannot send what the first left */
    killed(&b, "1.0.1", act_numbers);
    killed(&b, "1.0.2", act_numbers);
    b.o.transport.send_fn = wire_send;
    assert_int_equal(pools(&b, NULL), 3);
    b.o.app_version = "1.0.3";
    t = stage_client(&b);
    assert_true(track_numbers(t, 0, 1));
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 31);
    for (i = 0; i < 3; i++) {
        char version[32];
        snprintf(version, sizeof version, "\"1.0.%u\"", (unsigned)i);
        assert_int_equal(wire_times(&b.w, version), 10);
    }
    assert_non_null(strstr(b.w.calls[30].body, "1.0.3"));
    assert_int_equal(vit_get_stats(t).adopted, 30);
    stage_close(&b, t);
}

/* Who is alive keeps its pool; a data folder of its own makes a pool of its own. */
static void test_alive(void **state)
{
    stage       b, other;
    vit_client *first, *second, *third;
    (void)state;
    stage_make(&b);
    first = stage_client(&b);
    assert_true(track_numbers(first, 0, 5));
    second = stage_client(&b);
    assert_int_equal(vit_get_stats(second).adopted, 0);
    assert_int_equal(pools(&b, NULL), 2);
    other = b;
    folder_make(other.folder);
    other.o.data_dir = other.folder;
    assert_true(vit_destroy(first, 0)); /* undelivered: in the spool for the next start */
    assert_int_equal(pools(&b, NULL), 1);
    third = stage_client(&other);
    assert_int_equal(vit_get_stats(third).adopted, 0);
    assert_true(vit_destroy(third, 0));
    assert_true(vit_destroy(second, 0));
    assert_int_equal(pools(&b, NULL), 0);
    first = stage_client(&b);
    assert_int_equal(vit_get_stats(first).adopted, 5);
    assert_true(vit_flush(first, 20000));
    assert_int_equal(wire_count(&b.w), 5);
    folder_remove(other.folder);
    stage_close(&b, first);
}

/* ---- the request that was under way ---------------------------------------------------------- */

static vit_response die_in_request(wire *w, const vit_request *request, size_t number)
{
    vit_response none = { 0, 0 };
    char         path[PATH_MAX];
    FILE        *f;
    (void)number;
    snprintf(path, sizeof path, "%.63s/request", ((stage *)w->user)->folder);
    f = fopen(path, "w");
    if (f) {
        fprintf(f, "%s%.*s", request->headers, (int)request->body_size, request->body);
        fclose(f);
    }
    (void)raise(SIGKILL);
    return none;
}

static bool act_die_sending(stage *b, vit_client *t)
{
    b->w.user = b;
    b->w.answer_fn = die_in_request;
    if (!track_numbers(t, 0, 7)) return false;
    (void)vit_pump(t);
    return false;
}

/* Killed between request and answer: the next start repeats it with the same key and the same
   records, and goes on with the others. */
static void test_same_request_again(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX], again[8192];
    lines       l;
    int         i;
    (void)state;
    for (i = 0; i < 2; i++) {
        stage_make(&b);
        b.o.wire = VIT_WIRE_NDJSON;
        b.o.batch_events = 3;
        killed(&b, "1.2.3", act_die_sending);
        b.o.batch_events = i ? 2 : 50; /* would make it larger, or smaller */
        t = stage_client(&b);
        l = lines_of(t); /* to look at them changes nothing */
        assert_int_equal(l.count, 7);
        lines_free(&l);
        assert_true(track_numbers(t, 7, 1));
        assert_true(vit_flush(t, 20000));
        assert_int_equal(wire_count(&b.w), i ? 4 : 3);
        snprintf(again, sizeof again, "%s%.*s", b.w.calls[0].headers, (int)b.w.calls[0].size,
                 b.w.calls[0].body);
        snprintf(path, sizeof path, "%.63s/request", b.folder);
        assert_string_equal(again, file_read(path));
        assert_int_equal(wire_events(&b.w), 8);
        assert_string_not_equal(b.w.calls[0].key, b.w.calls[1].key);
        assert_string_not_equal(b.w.calls[2].key, b.w.calls[1].key);
        stage_close(&b, t);
    }
}

/* A client that sends one event a request cannot repeat it: new keys. */
static void test_smaller_requests(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX];
    size_t      i;
    (void)state;
    stage_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 5;
    killed(&b, "1.2.3", act_die_sending);
    b.o.wire = VIT_WIRE_EVENT;
    t = stage_client(&b);
    while (vit_pump(t)) {}
    assert_int_equal(wire_count(&b.w), 7);
    snprintf(path, sizeof path, "%.63s/request", b.folder);
    for (i = 0; i < 7; i++) assert_null(strstr(file_read(path), b.w.calls[i].key));
    stage_close(&b, t);
}

/* Sets the state of the request in the one pool that there is. */
static void set_batch_state(const stage *b, uint32_t batch_state)
{
    char  path[PATH_MAX];
    FILE *f;
    assert_int_equal(pools(b, path), 1);
    f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)offsetof(vitp_ledger, batch_state), SEEK_SET), 0);
    assert_int_equal(fwrite(&batch_state, sizeof batch_state, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

/* Killed between answer and release: nothing of it is sent again. */
static void test_answered(void **state)
{
    stage       b;
    vit_client *t;
    size_t      i;
    (void)state;
    stage_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 3;
    killed(&b, "1.2.3", act_die_sending);
    set_batch_state(&b, VITP_BATCH_DONE);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 4);
    assert_true(track_numbers(t, 7, 1));
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_events(&b.w), 5);
    for (i = 0; i < 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "\"n\":%u", (unsigned)i);
        assert_int_equal(wire_times(&b.w, text), 0);
    }
    stage_close(&b, t);
}

static vit_response die_at_third(wire *w, const vit_request *request, size_t number)
{
    vit_response ok = { 200, 0 };
    return number < 2 ? ok : die_in_request(w, request, number);
}

static bool act_die_adopting(stage *b, vit_client *t)
{
    b->w.user = b;
    b->w.answer_fn = die_at_third;
    while (vit_pump(t)) {}
    return false;
}

/* The one that takes over is killed as well: what it delivered does not come again, and what it
   was about to deliver comes under its key. */
static void test_killed_while_adopting(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX];
    (void)state;
    stage_make(&b);
    killed(&b, "1.0.0", act_numbers);
    killed(&b, "1.0.1", act_die_adopting);
    t = stage_client(&b);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(vit_get_stats(t).adopted, 8);
    assert_int_equal(wire_count(&b.w), 8);
    snprintf(path, sizeof path, "%.63s/request", b.folder);
    assert_non_null(strstr(file_read(path), b.w.calls[0].key));
    assert_non_null(strstr(b.w.calls[0].body, "\"n\":2}"));
    assert_int_equal(wire_times(&b.w, "\"n\":9}"), 1);
    stage_close(&b, t);
}

static vit_response keep_headers(wire *w, const vit_request *request, size_t number)
{
    vit_response ok = { 200, 0 };
    char         path[PATH_MAX];
    (void)number;
    snprintf(path, sizeof path, "%.63s/request", ((stage *)w->user)->folder);
    file_write(path, request->headers, strlen(request->headers), 0600);
    return ok;
}

static bool act_deliver_one(stage *b, vit_client *t)
{
    b->w.user = b;
    b->w.answer_fn = keep_headers;
    return vit_pump(t);
}

/* What follows a batch that an earlier adopter delivered has a key of its own. */
static void test_keys_of_adopters(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX];
    (void)state;
    stage_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 5;
    killed(&b, "1.0.0", act_numbers);
    killed(&b, "1.0.1", act_deliver_one);
    t = stage_client(&b);
    while (vit_pump(t)) {}
    assert_int_equal(wire_count(&b.w), 1);
    assert_int_equal(wire_events(&b.w), 5);
    snprintf(path, sizeof path, "%.63s/request", b.folder);
    assert_null(strstr(file_read(path), b.w.calls[0].key));
    stage_close(&b, t);
}

/* A request that is built anew before it was answered keeps its records and its key. */
static void test_retry_built_anew(void **state)
{
    static const int script[] = { 503 };
    stage            b;
    vit_client      *t;
    (void)state;
    stage_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 10;
    wire_script(&b.w, script, 1);
    t = stage_client(&b);
    assert_true(track_numbers(t, 0, 3));
    assert_false(vit_flush(t, 1));
    assert_true(track_numbers(t, 3, 1));
    assert_true(vit_register_secret(t, "swordfish", 0));
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 3);
    assert_string_equal(b.w.calls[0].key, b.w.calls[1].key);
    assert_string_equal(b.w.calls[0].body, b.w.calls[1].body);
    assert_string_not_equal(b.w.calls[1].key, b.w.calls[2].key);
    stage_close(&b, t);
}

static uint32_t die_after; /* operations behind the answer */

static void die_now(void *user)
{
    (void)user;
    (void)raise(SIGKILL);
}

static vit_response answer_and_die(wire *w, const vit_request *request, size_t number)
{
    vit_response ok = { 200, 0 };
    char         path[PATH_MAX];
    FILE        *f;
    (void)number, (void)request;
    snprintf(path, sizeof path, "%.63s/request", ((stage *)w->user)->folder);
    f = fopen(path, "w");
    if (f) {
        fprintf(f, "%s", request->headers);
        fclose(f);
    }
    arm(die_now, NULL, die_after);
    return ok;
}

static bool act_answered(stage *b, vit_client *t)
{
    b->w.user = b;
    b->w.answer_fn = answer_and_die;
    become(1);
    if (!track_numbers(t, 0, 2)) return false;
    become(2);
    if (!track_numbers(t, 2, 5)) return false;
    (void)vit_pump(t);
    return true;
}

/* Killed at any operation after the answer to a request from two chunks: it comes again under its
   key, or not at all, and the rest comes once. */
static void test_killed_after_answer(void **state)
{
    unsigned repeated = 0, done = 0;
    (void)state;
    for (die_after = 1; die_after <= 120; die_after++) {
        stage       b;
        vit_client *t;
        char        path[PATH_MAX];
        size_t      i;
        stage_make(&b);
        b.o.wire = VIT_WIRE_NDJSON;
        b.o.batch_events = 3;
        killed(&b, "1.2.3", act_answered);
        t = stage_client(&b);
        while (vit_pump(t)) {}
        snprintf(path, sizeof path, "%.63s/request", b.folder);
        for (i = 0; i < 7; i++) {
            char   text[16];
            size_t k, times = 0;
            if (i < 3)
                for (k = 0; k < b.w.count; k++) {
                    snprintf(text, sizeof text, "\"n\":%u}", (unsigned)i);
                    if (!strstr(b.w.calls[k].body, text)) continue;
                    times++;
                    if (!strstr(file_read(path), b.w.calls[k].key))
                        fail_msg("operation %u: another key", (unsigned)die_after);
                }
            snprintf(text, sizeof text, "\"n\":%u}", (unsigned)i);
            if (i >= 3) assert_int_equal(wire_times(&b.w, text), 1);
            if (i == 0) repeated += times == 1, done += times == 0;
        }
        stage_close(&b, t);
    }
    assert_true(repeated > 3 && done > 3);
}

/* The server refuses the repeated request for good: it is searched for the bad event. */
static void test_repeated_is_rejected(void **state)
{
    static const int script[] = { 400, 400 };
    stage            b;
    vit_client      *t;
    (void)state;
    stage_make(&b);
    b.o.wire = VIT_WIRE_NDJSON;
    b.o.batch_events = 3;
    killed(&b, "1.2.3", act_die_sending);
    wire_script(&b.w, script, 2);
    t = stage_client(&b);
    while (vit_pump(t)) {}
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_REJECTED], 1);
    assert_int_equal(vit_get_stats(t).delivered, 6);
    stage_close(&b, t);
}

/* ---- consent --------------------------------------------------------------------------------- */

static void test_no_file_without_consent(void **state)
{
    stage       b;
    vit_client *t;
    (void)state;
    stage_make(&b);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = stage_client(&b);
    assert_true(track_numbers(t, 0, 3));
    assert_false(vit_get_stats(t).crash_surviving);
    assert_int_equal(pools(&b, NULL), 0);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_true(vit_flush(t, 20000)); /* it waited in plain memory */
    assert_int_equal(wire_count(&b.w), 3);
    assert_true(vit_destroy(t, 0));
    b.o.data_dir = "";
    t = stage_client(&b);
    assert_false(vit_get_stats(t).crash_surviving);
    assert_int_equal(pools(&b, NULL), 0);
    stage_close(&b, t);
}

/* UNKNOWN leaves what an earlier run left with consent, and does not send it. */
static void test_left_while_unknown(void **state)
{
    stage       b;
    vit_client *t;
    char        path[160];
    (void)state;
    stage_make(&b);
    killed(&b, "1.0.0", act_numbers);
    snprintf(path, sizeof path, "%.63s/telemetry.conf", b.folder);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = stage_client(&b);
    while (vit_pump(t)) {}
    assert_int_equal(wire_count(&b.w), 0);
    assert_int_equal(pools(&b, NULL), 1);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    while (vit_pump(t)) {}
    assert_int_equal(wire_count(&b.w), 10);
    assert_int_equal(pools(&b, NULL), 0);
    stage_close(&b, t);
}

static void test_refused(void **state)
{
    stage       b;
    vit_client *t;
    (void)state;
    stage_make(&b);
    killed(&b, "1.0.0", act_numbers);
    b.o.consent = VIT_CONSENT_DENIED; /* removes what an earlier run left */
    t = stage_client(&b);
    assert_int_equal(pools(&b, NULL), 0);
    assert_true(vit_destroy(t, 0));
    b.o.consent = VIT_CONSENT_GRANTED;
    killed(&b, "1.0.0", act_numbers);
    b.o.transport.send_fn = NULL;
    killed(&b, "1.0.1", act_numbers);
    b.o.transport.send_fn = wire_send;
    t = stage_client(&b);
    assert_true(track_numbers(t, 0, 3));
    assert_int_equal(pools(&b, NULL), 3);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_int_equal(pools(&b, NULL), 0);
    assert_false(vit_get_stats(t).crash_surviving);
    assert_balanced(t);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_true(track_numbers(t, 50, 2));
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 2);
    assert_int_equal(pools(&b, NULL), 0);
    stage_close(&b, t);
}

static void test_purge_and_reset(void **state)
{
    stage       b;
    vit_client *t;
    int         i;
    (void)state;
    stage_make(&b);
    for (i = 0; i < 2; i++) {
        killed(&b, "1.0.0", act_numbers);
        t = stage_client(&b);
        assert_int_equal(pools(&b, NULL), 2);
        if (i == 0) vit_purge(t);
        else vit_reset_identity(t);
        assert_int_equal(pools(&b, NULL), 1);
        while (vit_pump(t)) {}
        assert_int_equal(wire_count(&b.w), 0);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 10);
        assert_balanced(t);
        assert_true(vit_destroy(t, 0));
    }
    stage_end(&b);
}

static void test_unknown_again(void **state)
{
    stage       b;
    vit_client *t;
    (void)state;
    t = stage_open(&b);
    assert_int_equal(pools(&b, NULL), 1);
    vit_set_consent(t, VIT_CONSENT_UNKNOWN);
    assert_false(vit_get_stats(t).crash_surviving);
    assert_int_equal(pools(&b, NULL), 0);
    assert_true(track_numbers(t, 0, 3));
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 3);
    stage_close(&b, t);
}

/* Another process of the same installation forgot the identity meanwhile: what was hashed under
   the old one is not sent. */
static void test_reset_elsewhere(void **state)
{
    stage       b;
    vit_client *t;
    pid_t       child;
    int         ready[2], i;
    char        byte;
    (void)state;
    for (i = 0; i < 2; i++) {
        stage_make(&b);
        assert_int_equal(pipe(ready), 0);
        child = fork_child();
        if (child == 0) {
            t = vit_create(&b.o);
            (void)track_numbers(t, 0, 4);
            (void)!write(ready[1], "x", 1);
            for (;;) pause();
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        t = stage_client(&b);
        if (i == 0) {
            vit_reset_identity(t);
        } else {
            vit_set_consent(t, VIT_CONSENT_DENIED);
            vit_set_consent(t, VIT_CONSENT_GRANTED);
        }
        assert_true(vit_destroy(t, 0));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        t = stage_client(&b);
        while (vit_pump(t)) {}
        assert_int_equal(wire_count(&b.w), 0);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 4);
        close(ready[0]);
        close(ready[1]);
        stage_close(&b, t);
    }
}

static bool act_reset(stage *b, vit_client *t)
{
    (void)b;
    vit_reset_identity(t);
    return track_numbers(t, 0, 4);
}

/* What that process recorded under the new identity is not lost by one that hears of it later: nor
   where that one finds the pool before. */
static void test_pool_of_the_new_identity(void **state)
{
    stage       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    for (i = 0; i < 2; i++) {
        stage_make(&b);
        t = stage_client(&b);
        killed(&b, "1.0.0", act_reset);
        if (i == 1) t->alone = false; /* as where it looks for one that spooled */
        if (i == 1) (void)vit_pump(t);
        assert_balanced(t);
        assert_true(track_numbers(t, 50, 1)); /* under the old one */
        (void)vit_flush(t, 20000);
        assert_true(track_numbers(t, 51, 1));
        assert_true(vit_flush(t, 20000));
        assert_balanced(t);
        assert_int_equal(vit_get_stats(t).adopted, 4);
        assert_int_equal(vit_get_stats(t).delivered, 5);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 1);
        assert_int_equal(pools(&b, NULL), 1);
        stage_close(&b, t);
    }
}

/* An identity that could not be stored ends with its run, and so does what it recorded. */
static void test_settings_not_saved(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX];
    (void)state;
    stage_make(&b);
    snprintf(path, sizeof path, "%.63s/file", b.folder);
    file_write(path, "", 0, 0600);
    strcat(path, "/folder");
    b.o.data_dir = path;
    t = stage_client(&b);
    assert_false(vit_get_stats(t).crash_surviving);
    assert_int_equal(pools(&b, NULL), 0);
    stage_close(&b, t);
}

/* A run that finds no data folder (a home that is not there yet) has an identity for itself alone:
   what another run left is not its own to send, nor to drop. It waits for a run that knows the one
   it bears. */
static void test_folder_away(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX], away[PATH_MAX];
    (void)state;
    stage_make(&b);
    snprintf(path, sizeof path, "%.63s/data", b.folder);
    snprintf(away, sizeof away, "%.63s/away", b.folder);
    b.o.data_dir = path;
    killed(&b, "1.0.0", act_numbers);
    assert_int_equal(rename(path, away), 0);
    file_write(path, "", 0, 0600);
    t = stage_client(&b);
    while (vit_pump(t)) {}
    assert_balanced(t);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 0);
    assert_int_equal(wire_count(&b.w), 0);
    assert_int_equal(pools(&b, NULL), 1);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(remove(path), 0);
    assert_int_equal(rename(away, path), 0);
    t = stage_client(&b);
    while (vit_pump(t)) {}
    assert_int_equal(vit_get_stats(t).delivered, 10);
    assert_int_equal(wire_count(&b.w), 10);
    stage_close(&b, t);
}

/* What the user made us forget is nowhere in the file. */
static void test_purge_wipes(void **state)
{
    stage       b;
    vit_client *t;
    const char *file;
    uint32_t    i, k;
    (void)state;
    t = stage_open(&b);
    for (i = 0; i < 3; i++) {
        for (k = 0; k < 300; k++) {
            vit_event e;
            vit_event_begin(&e, t, "x", NULL);
            vit_add_label(&e, "text", "remembered");
            assert_int_equal(vit_event_send(&e), VIT_OK);
            if (i == 1 && k % 50 == 0)
                while (vit_pump(t)) {}
        }
        vit_purge(t);
        file = (const char *)t->own.file.memory;
        for (k = 0; k + 10 < t->own.file.size; k++)
            if (memcmp(file + k, "remembered", 10) == 0) fail_msg("at %u", (unsigned)k);
    }
    stage_close(&b, t);
}

/* A program that never gets rid of its events does not fill the memory with them. */
static void test_too_many(void **state)
{
    stage       b;
    vit_client *t;
    uint32_t    i;
    (void)state;
    stage_make(&b);
    b.o.transport.send_fn = NULL;
    for (i = 0; i < 3u * VITP_POOLS_MAX; i++) /* there are three folders at most */
        killed(&b, "1.0.0", act_numbers);
    assert_int_equal(pools(&b, NULL), VITP_POOLS_MAX);
    t = stage_client(&b);
    assert_false(vit_get_stats(t).crash_surviving);
    assert_true(track_numbers(t, 0, 1));
    assert_true(vit_destroy(t, 20000)); /* all goes into the spool */
    assert_int_equal(pools(&b, NULL), 0);
    b.o.consent = VIT_CONSENT_DENIED;
    t = stage_client(&b);
    assert_int_equal(pools(&b, NULL), 0);
    stage_close(&b, t);
}

/* ---- where a mapping would not be safe ------------------------------------------------------- */

static void test_unsafe_disks(void **state)
{
    stage       b;
    vit_client *t;
    (void)state;
    stage_make(&b);
    in_plain_memory = true;
    t = stage_client(&b);
    assert_false(vit_get_stats(t).crash_surviving);
    assert_int_equal(logs_of(&b.l, VIT_LOG_POOL_PLAIN), 1);
    assert_int_equal(pools(&b, NULL), 0);
    assert_true(track_numbers(t, 0, 3));
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 3);
    stage_close(&b, t);
}

/* The file is allocated to its end, private, and of the size that it says. */
static void test_file(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX];
    struct stat s;
    (void)state;
    t = stage_open(&b);
    assert_int_equal(pools(&b, path), 1);
    assert_int_equal(lstat(path, &s), 0);
    assert_true(S_ISREG(s.st_mode));
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_true((uint64_t)s.st_blocks * 512u >= (uint64_t)s.st_size);
    assert_int_equal(s.st_size, vitp_ledger_bytes(64 * 1024) + vitp_pool_bytes(64 * 1024));
    assert_int_equal(lstat(b.run, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0700);
    assert_null(strstr(path, ".new"));
    stage_close(&b, t);
}

/* A folder that others may write to is not used; the next one is. */
static void test_folder_of_others(void **state)
{
    stage       b;
    vit_client *t;
    (void)state;
    stage_make(&b);
    assert_int_equal(mkdir(b.run, 0700), 0);
    assert_int_equal(chmod(b.run, 0777), 0);
    t = stage_client(&b);
    assert_int_equal(pools(&b, NULL), 0);
    assert_true(vit_destroy(t, 0));
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    t = stage_client(&b);
    assert_int_equal(pools(&b, NULL), 0);
    stage_close(&b, t);
}

/* Nor is it searched, nor one that a link leads to. */
static void test_search_in_folder_of_others(void **state)
{
    stage       b;
    vit_client *t;
    char        moved[PATH_MAX];
    (void)state;
    stage_make(&b);
    killed(&b, "1.0.0", act_numbers);
    assert_int_equal(chmod(b.run, 0777), 0);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(chmod(b.run, 0700), 0);
    snprintf(moved, sizeof moved, "%.4000s-moved", b.run);
    assert_int_equal(rename(b.run, moved), 0);
    assert_int_equal(symlink(moved, b.run), 0);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(unlink(b.run), 0);
    assert_int_equal(rename(moved, b.run), 0);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 10);
    while (vit_pump(t)) {}
    stage_close(&b, t);
}

/* Where there is no data folder there is no file either, wherever the program stands. */
static void test_no_folder(void **state)
{
    stage       b;
    vit_client *t;
    char        home[PATH_MAX];
    (void)state;
    stage_make(&b);
    snprintf(home, sizeof home, "%s", getenv("HOME"));
    unsetenv("HOME");
    b.o.data_dir = NULL;
    t = stage_client(&b);
    setenv("HOME", home, 1);
    assert_string_equal(t->settings_folder, "");
    assert_false(vit_get_stats(t).crash_surviving);
    assert_int_equal(pools(&b, NULL), 0);
    stage_close(&b, t);
}

/* A folder that is named from where the program stands is that folder for the whole run. */
static void test_relative_folder(void **state)
{
    stage       b;
    vit_client *t;
    char        absolute[PATH_MAX];
    (void)state;
    t = stage_open(&b);
    assert_non_null(realpath(b.folder, absolute));
    assert_string_equal(t->settings_folder, absolute);
    stage_close(&b, t);
}

/* What a process that was killed while it saved the settings left is removed; not what the user
   keeps beside them. */
static void test_temporary_settings(void **state)
{
    stage       b;
    vit_client *t;
    char        dead[PATH_MAX], alive[PATH_MAX], wait[PATH_MAX], other[PATH_MAX], kept[PATH_MAX];
    int         i;
    pid_t       child;
    (void)state;
    for (i = 0; i < 2; i++) {
        stage_make(&b);
        child = fork_child();
        if (child == 0) _exit(0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        snprintf(dead, sizeof dead, "%.63s/telemetry.conf.%ld-0123456789abcdef", b.folder,
                 (long)child);
        snprintf(alive, sizeof alive, "%.63s/telemetry.conf.%ld-0123456789abcdef", b.folder,
                 (long)getppid());
        snprintf(wait, sizeof wait, "%.63s/vector-inspector.wait.%ld-0123456789abcdef", b.folder,
                 (long)child);
        snprintf(other, sizeof other, "%.63s/vector-inspector.waits.%ld-0123456789abcdef",
                 b.folder, (long)child);
        snprintf(kept, sizeof kept, "%.63s/telemetry.conf.%ld", b.folder, (long)child);
        file_write(kept, "hwid", 4, 0600);
        file_write(dead, "hwid", 4, 0600);
        file_write(alive, "hwid", 4, 0600);
        file_write(wait, "hwid", 4, 0600);
        file_write(other, "hwid", 4, 0600);
        if (i) b.o.consent = VIT_CONSENT_DENIED;
        t = stage_client(&b);
        assert_false(file_exists(dead));
        assert_true(file_exists(kept));
        assert_true(file_exists(alive));
        assert_false(file_exists(wait));
        assert_true(file_exists(other));
        stage_close(&b, t);
    }
}

/* ---- hostile files --------------------------------------------------------------------------- */

static char  *image; /* of a pool with ten records */
static size_t image_size;
static char   image_path[PATH_MAX];

static void image_take(stage *b)
{
    FILE *f;
    killed(b, "1.0.0", act_numbers);
    assert_int_equal(pools(b, image_path), 1);
    f = fopen(image_path, "rb");
    assert_non_null(f);
    image_size = vitp_ledger_bytes(64 * 1024) + vitp_pool_bytes(64 * 1024);
    image = (char *)malloc(image_size);
    assert_int_equal(fread(image, 1, image_size, f), image_size);
    fclose(f);
    assert_int_equal(unlink(image_path), 0);
}

/* A client that finds `data`. Returns what it adopted. */
static vit_stats find(stage *b, const void *data, size_t size, bool stays)
{
    vit_client *t;
    vit_stats   s;
    file_write(image_path, data, size, 0600);
    t = stage_client(b);
    while (vit_pump(t)) {}
    assert_balanced(t);
    s = vit_get_stats(t);
    assert_int_equal(s.queued, 0);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(pools(b, NULL), stays ? 1 : 0);
    (void)unlink(image_path);
    return s;
}

static void test_hostile_header(void **state)
{
    static const struct timespec long_ago[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    stage                        b;
    vit_client                  *t;
    vit_stats                    s;
    vitp_ledger                 *l;
    uint32_t                     i;
    (void)state;
    stage_make(&b);
    image_take(&b);
    l = (vitp_ledger *)(void *)image;
    s = find(&b, image, image_size, false);
    assert_int_equal(s.delivered, 10);
    memset(image, 0, 8); /* killed before it was one */
    s = find(&b, image, image_size, false);
    assert_int_equal(s.adopted, 0);
    memcpy(image, VITP_LEDGER_MAGIC, 8);
    s = find(&b, "", 0, false);
    assert_int_equal(s.dropped[VIT_DROP_CORRUPT], 1);
    assert_int_equal(s.adopted, 1);
    l->writer.magic[3] ^= 1;
    assert_int_equal(find(&b, image, image_size, false).dropped[VIT_DROP_CORRUPT], 1);
    l->writer.magic[3] ^= 1;
    l->writer.order = 0x04030201u; /* of another machine: whoever wrote it may come back */
    assert_int_equal(find(&b, image, image_size, true).adopted, 0);
    assert_int_equal(logs_of(&b.l, VIT_LOG_POOL_FOREIGN), 1);
    l->writer.order = VITP_LEDGER_ORDER;
    l->writer.version++;
    assert_int_equal(find(&b, image, image_size, true).adopted, 0);
    file_write(image_path, image, image_size, 0600);
    assert_int_equal(utimensat(AT_FDCWD, image_path, long_ago, 0), 0); /* nobody did */
    t = stage_client(&b);
    assert_false(file_exists(image_path));
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CORRUPT], 1);
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
    l->writer.version--;
    for (i = 0; i < 5; i++) {
        static const uint32_t capacities[] = { 0, 1, 65537, 1u << 31, 131072 };
        l->writer.capacity = capacities[i];
        assert_int_equal(find(&b, image, image_size, false).dropped[VIT_DROP_CORRUPT], 1);
    }
    l->writer.capacity = 65536;
    memset(l->writer.app_version, 'x', sizeof l->writer.app_version);
    assert_int_equal(find(&b, image, image_size, false).dropped[VIT_DROP_CORRUPT], 1);
    strcpy(l->writer.app_version, "1.0.0");
    for (i = 0; i < 3; i++) { /* a pool of another shape than its capacity says */
        vitp_pool *p = vitp_ledger_pool(l, 65536);
        uint32_t  *shape[3], was;
        shape[0] = &p->chunk_bytes;
        shape[1] = &p->data_bytes;
        shape[2] = &p->chunk_count;
        was = *shape[i];
        *shape[i] *= 2u;
        s = find(&b, image, image_size, false);
        assert_int_equal(s.dropped[VIT_DROP_CORRUPT], 1);
        assert_int_equal(s.adopted, 1);
        *shape[i] = was;
    }
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    for (i = 0; i < image_size; i += 1777) /* cut */
        assert_int_equal(find(&b, image, i, false).dropped[VIT_DROP_CORRUPT], 1);
    free(image);
    stage_end(&b);
}

/* One of any size that a client may have is taken over. */
static void test_large(void **state)
{
    vitp_writer w;
    stage       b;
    vit_client *t;
    (void)state;
    memset(&w, 0, sizeof w);
    memcpy(w.magic, VITP_LEDGER_MAGIC, 8);
    w.order = VITP_LEDGER_ORDER;
    w.version = VITP_LEDGER_VERSION;
    w.bytes = sizeof(vitp_ledger);
    w.capacity = VITP_QUEUE_CAPACITY_MAX;
    assert_int_equal(
        vitp_stock_judge(&w, vitp_ledger_bytes(w.capacity) + vitp_pool_bytes(w.capacity)),
        VITP_STOCK_READABLE);
    stage_make(&b);
    b.o.queue_bytes = 64u * 1024u * 1024u;
    killed(&b, "1.0.0", act_numbers);
    b.o.queue_bytes = 64 * 1024;
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 10);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 10);
    stage_close(&b, t);
}

/* Of a process that cannot be told from one that came later under its number: it is gone. */
static void test_writer_unknown(void **state)
{
    vitp_writer w;
    (void)state;
    memset(&w, 0, sizeof w);
    assert_true(vitp_worker_is_orphan(&w));
    w.process = (uint32_t)getpid();
    assert_true(vitp_worker_is_orphan(&w));
    w.process_start = vitp_os_process_start(w.process);
    assert_int_equal(vitp_worker_is_orphan(&w), w.process_start == 0);
    w.process_start++;
    assert_true(vitp_worker_is_orphan(&w));
}

/* Names that are none of ours, or whose path is too long: the search goes on, and opens nothing. */
static void test_names(void **state)
{
    static const char *const names[] = { "app-1.pool",   "app-1",       "app-1.spool", "app-1.conf",
                                         "other-1.pool", "app-1.pools", "app-1.run" };
    static char              folder[VITP_POOL_PATH_MAX];
    vitp_pool_search         search;
    stage                    b;
    vit_client              *t;
    size_t                   i;
    (void)state;
    t = stage_open(&b);
    memset(&search, 0, sizeof search);
    search.client = t;
    search.use = VITP_POOL_ADOPT;
    strcpy(search.prefix, "app-");
    memset(folder, 'f', sizeof folder - 9);
    folder[0] = '/';
    for (i = 0; i < COUNT_OF(names); i++) {
        assert_true(vitp_worker_found(folder, names[i], &search));
        assert_false(t->adopted.file.open);
        assert_true(vitp_worker_found("/nonexistent", names[i], &search));
        assert_false(t->adopted.file.open);
    }
    assert_true(vitp_worker_sweep_one(folder, "telemetry.conf.4000000-0123456789abcdef", t));
    stage_close(&b, t);
}

/* A link, a folder, somebody else's rights: neither read nor followed nor removed. */
static void test_in_its_place(void **state)
{
    stage       b;
    vit_client *t;
    char        target[PATH_MAX];
    (void)state;
    stage_make(&b);
    image_take(&b);
    snprintf(target, sizeof target, "%.63s/target", b.folder);
    file_write(target, image, image_size, 0600);
    assert_int_equal(symlink(target, image_path), 0);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_destroy(t, 0));
    assert_true(file_exists(target));
    assert_int_equal(unlink(image_path), 0);
    assert_int_equal(link(target, image_path), 0); /* a second name */
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(unlink(image_path), 0);
    file_write(image_path, image, image_size, 0666);
    assert_int_equal(chmod(image_path, 0666), 0);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(unlink(image_path), 0);
    assert_int_equal(mkdir(image_path, 0700), 0);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_destroy(t, 0));
    assert_int_equal(rmdir(image_path), 0);
    assert_int_equal(mkfifo(image_path, 0600), 0); /* must not block */
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_true(vit_destroy(t, 0));
    free(image);
    stage_end(&b);
}

/* A file that was never finished is removed. */
static void test_unfinished(void **state)
{
    stage       b;
    vit_client *t;
    char        path[PATH_MAX];
    (void)state;
    stage_make(&b);
    image_take(&b);
    snprintf(path, sizeof path, "%.4000s.new", image_path);
    file_write(path, image, 100, 0600);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 0);
    assert_int_equal(pools(&b, NULL), 1); /* its own */
    free(image);
    stage_close(&b, t);
}

/* What is wrong in it on purpose. */
static void test_hostile_records(void **state)
{
    stage         b;
    vitp_ledger  *l;
    vitp_journal *j;
    vitp_pool    *p;
    vitp_chunk   *c;
    vitp_head    *head;
    vit_stats     s;
    char         *text;
    uint32_t      i, k, chunk;
    (void)state;
    stage_make(&b);
    image_take(&b);
    l = (vitp_ledger *)(void *)image;
    j = vitp_ledger_journal(l);
    p = vitp_ledger_pool(l, 65536);
    for (i = 0; i < p->chunk_count; i++)
        if (VITP_WORD_BYTES(vitp_pool_chunk(p, i)->word)) break;
    chunk = i;
    c = vitp_pool_chunk(p, chunk);
    head = vitp_queue_head(c, 0);
    head->what |= 0x7Fu << 16; /* no such slot */
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    head->what &= ~(0x7Fu << 16);
    head->what |= VITP_HEAD_COUNT_MASK | VITP_HEAD_INSIDE;
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    head->what &= 0xFFFFu;
    head->what += 8; /* a size that swallows half of the next */
    s = find(&b, image, image_size, false);
    assert_true(s.dropped[VIT_DROP_CORRUPT] > 0);
    head->what -= 8;
    c->word += p->data_bytes; /* more bytes than a chunk has */
    s = find(&b, image, image_size, false);
    assert_true(s.dropped[VIT_DROP_CORRUPT] > 0);
    c->word -= p->data_bytes;
    text = strstr((char *)(head + 1) + sizeof(vitp_record_head) + 6, "n");
    assert_non_null(text);
    *text = '"'; /* a key that would end the text */
    s = find(&b, image, image_size, false);
    assert_int_equal(s.dropped[VIT_DROP_CORRUPT], 1);
    assert_int_equal(s.delivered, 10); /* with the report of it */
    *text = 'n';
    l->batch_state = VITP_BATCH_SENT; /* a request that begins in the middle of a record */
    l->batch_segments = 1;
    l->batch_records = 9;
    memset(l->batch_key, 'a', 32);
    j->index = chunk;
    j->generation = c->word & VITP_WORD_GENERATION;
    j->begin = 8;
    j->end = VITP_WORD_BYTES(c->word);
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    j->begin = 0;
    j->end -= 8;
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    j->end += 8;
    l->batch_records = 10;
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    j->index = 0xFFFFFFFFu;
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    l->batch_segments = 0xFFFFFFFFu;
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    l->batch_segments = 4; /* the same four times */
    for (k = 0; k < 4; k++) {
        j[k].index = chunk;
        j[k].generation = c->word & VITP_WORD_GENERATION;
        j[k].begin = 0;
        j[k].end = VITP_WORD_BYTES(c->word);
    }
    l->batch_records = 40;
    assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    for (k = 0; k < 3; k++) { /* in two pieces; a key that is none; the second begins too early */
        uint32_t first = vitp_queue_need(VITP_HEAD_SIZE(head->what));
        l->batch_segments = 2;
        j[0].begin = 0;
        j[0].end = first;
        j[1] = j[0];
        j[1].begin = k == 2 ? 0 : first;
        j[1].end = VITP_WORD_BYTES(c->word);
        l->batch_records = 10;
        memset(l->batch_key, k == 1 ? 'Z' : 'a', 32);
        assert_int_equal(find(&b, image, image_size, false).delivered, 10);
    }
    l->batch_segments = 1;
    j[0] = j[1];
    l->batch_state = VITP_BATCH_DONE;
    assert_int_equal(find(&b, image, image_size, false).adopted, 0);
    for (i = 0; i < b.w.count; i++)
        assert_true(json_is_valid(b.w.calls[i].body, b.w.calls[i].size));
    free(image);
    stage_end(&b);
}

/* The delay is measured by the wall clock: the other clock may be another boot's. */
static void test_delay(void **state)
{
    stage        b;
    vitp_ledger *l;
    const char  *at;
    (void)state;
    stage_make(&b);
    image_take(&b);
    l = (vitp_ledger *)(void *)image;
    l->run.alive_s -= 5000;
    (void)find(&b, image, image_size, false);
    assert_true(b.w.count > 0);
    at = strstr(b.w.calls[0].body, "\"delay_s\":");
    assert_non_null(at);
    assert_in_range(strtol(at + 10, NULL, 10), 4998, 5010);
    free(image);
    stage_end(&b);
}

/* Bits change anywhere that is looked at: no crash, valid JSON, and the sum is right. */
static void test_flips(void **state)
{
    stage    b;
    char    *spoiled;
    uint32_t i, k;
    size_t   pool = vitp_ledger_bytes(64 * 1024), at;
    (void)state;
    stage_make(&b);
    image_take(&b);
    spoiled = (char *)malloc(image_size);
    assert_non_null(spoiled);
    random_state = 7;
    for (i = 0; i < 1500; i++) {
        memcpy(spoiled, image, image_size);
        for (k = 0; k < 1 + i % 4; k++) {
            switch (random_below(3)) {
            case 0: at = random_below((uint32_t)offsetof(vitp_ledger, contexts)); break;
            case 1: at = offsetof(vitp_ledger, schemas_used) + random_below(2000); break;
            default: at = pool + random_below(8192); break;
            }
            spoiled[at] = (char)(spoiled[at] ^ (1 << random_below(8)));
        }
        /* another number may be that of a process which lives and began in the same instant */
        at = offsetof(vitp_writer, process);
        memcpy(spoiled + at, image + at, sizeof(uint32_t));
        (void)find(&b, spoiled, image_size,
                   memcmp(spoiled + 8, image + 8, 12) != 0 && memcmp(spoiled, image, 8) == 0);
    }
    for (i = 0; i < b.w.count; i++)
        if (!json_is_valid(b.w.calls[i].body, b.w.calls[i].size))
            fail_msg("not JSON: %.*s", (int)b.w.calls[i].size, b.w.calls[i].body);
    free(spoiled);
    free(image);
    stage_end(&b);
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* A forked child's events leave with the parent's. */
static void test_child(void **state)
{
    stage              b;
    vit_client        *t;
    pid_t              child;
    int                i;
    vit_clustering_run run;
    (void)state;
    t = stage_open(&b);
    assert_true(track_numbers(t, 0, 3));
    for (i = 0; i < 3; i++) {
        child = fork_child();
        if (child == 0) {
            vit_clustering_run q; /* the parent never used this type */
            memset(&q, 0, sizeof q);
            q.algorithm = "kmeans";
            _exit(vit_track_clustering_run(t, &q) == VIT_OK &&
                          track_numbers(t, 10u * (unsigned)i + 10u, 5) &&
                          vit_track_error(t, &(vit_error){ .message = i == 0   ? "x"
                                                                       : i == 1 ? "y"
                                                                                : "z" }) ==
                              VIT_OK &&
                          !vit_pump(t) && !vit_flush(t, 0) &&
                          vit_get_consent(t, NULL) == VIT_CONSENT_GRANTED
                      ? 0
                      : 1);
        }
        wait_child(child, 0);
    }
    assert_true(track_numbers(t, 40, 3));
    memset(&run, 0, sizeof run);
    run.algorithm = "dbscan";
    assert_int_equal(vit_track_clustering_run(t, &run), VIT_OK);
    assert_int_equal(vit_get_stats(t).accepted, 28);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 28);
    assert_int_equal(wire_times(&b.w, "kmeans"), 3);
    assert_int_equal(wire_times(&b.w, "dbscan"), 1);
    for (i = 0; i < 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "\"n\":%d}", 10 * i + 14);
        assert_int_equal(wire_times(&b.w, text), 1);
    }
    stage_close(&b, t);
}

static bool act_child(stage *b, vit_client *t)
{
    pid_t child = fork();
    int   status = -1;
    (void)b;
    if (child == 0) {
        (void)track_numbers(t, 100, 5);
        (void)raise(SIGKILL);
    }
    return child > 0 && waitpid(child, &status, 0) == child && track_numbers(t, 0, 5);
}

/* Child and parent are both killed. */
static void test_child_and_parent_killed(void **state)
{
    stage       b;
    vit_client *t;
    (void)state;
    stage_make(&b);
    killed(&b, "1.0.0", act_child);
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 10);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_times(&b.w, "\"n\":104}"), 1);
    stage_close(&b, t);
}

/* A program that makes its client before it becomes a daemon: what its first process had taken
   over, from a pool or the disk, is not locked by the daemon, which ended that client. */
static void test_daemon(void **state)
{
    stage       b;
    vit_client *t;
    pid_t       child, daemon = 0;
    int         ready[2], i;
    (void)state;
    for (i = 0; i < 2; i++) {
        stage_make(&b);
        assert_int_equal(pipe(ready), 0);
        b.w.otherwise.http_status = 0;
        if (i == 0) {
            killed(&b, "1.0.0", act_numbers);
        } else {
            t = stage_client(&b);
            assert_true(track_numbers(t, 0, 10));
            assert_true(vit_destroy(t, 0));
        }
        child = fork_child();
        if (child == 0) {
            t = vit_create(&b.o);
            if (!t || vit_get_stats(t).adopted != 10) _exit(1);
            if (fork() > 0) _exit(0);
            daemon = getpid();
            (void)vit_destroy(t, 0);
            (void)!write(ready[1], &daemon, sizeof daemon);
            sleep_ms(10000);
            _exit(0);
        }
        wait_child(child, 0);
        assert_int_equal(read(ready[0], &daemon, sizeof daemon), sizeof daemon);
        b.w.otherwise.http_status = 201;
        t = stage_client(&b);
        assert_int_equal(vit_get_stats(t).adopted, 10);
        assert_true(vit_flush(t, 20000));
        assert_int_equal(wire_count(&b.w), 10);
        assert_int_equal(kill(daemon, SIGKILL), 0);
        close(ready[0]);
        close(ready[1]);
        stage_close(&b, t);
    }
}

/* The parent refuses, or ends: a child that lives on records no more. */
static void test_child_after_refusal(void **state)
{
    stage       b;
    vit_client *t;
    pid_t       child;
    int         end[2], i;
    char        byte;
    (void)state;
    for (i = 0; i < 2; i++) {
        t = stage_open(&b);
        assert_int_equal(pipe(end), 0);
        child = fork_child();
        if (child == 0) {
            (void)read(end[0], &byte, 1);
            _exit(vit_track_error(t, &(vit_error){ .message = "x" }) == VIT_DISABLED ? 0 : 1);
        }
        if (i == 0) vit_set_consent(t, VIT_CONSENT_DENIED);
        else assert_true(vit_destroy(t, 0));
        assert_int_equal(write(end[1], "x", 1), 1);
        wait_child(child, 0);
        close(end[0]);
        close(end[1]);
        if (i == 0) assert_true(vit_destroy(t, 0));
        stage_end(&b);
    }
}

/* In plain memory a child has a copy, from which nobody delivers. */
static void test_child_in_plain_memory(void **state)
{
    stage       b;
    vit_client *t;
    pid_t       child;
    (void)state;
    stage_make(&b);
    b.o.data_dir = "";
    t = stage_client(&b);
    child = fork_child();
    if (child == 0)
        _exit(vit_track_error(t, &(vit_error){ .message = "x" }) == VIT_DISABLED ? 0 : 1);
    wait_child(child, 0);
    stage_close(&b, t);
}

static void stop_here(void *user)
{
    (void)user;
    (void)raise(SIGSTOP);
}

/* A child that is stopped in the middle of a record, at any of its operations, holds up nobody. */
static void test_child_stopped(void **state)
{
    uint32_t n, stopped = 0;
    (void)state;
    for (n = 1; n < 60; n++) {
        stage       b;
        vit_client *t;
        pid_t       child;
        int         status = 0;
        t = stage_open(&b);
        assert_true(track_numbers(t, 0, 3));
        child = fork_child();
        if (child == 0) {
            arm(stop_here, NULL, n);
            (void)track_numbers(t, 1000, 1);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, WUNTRACED), child);
        if (WIFSTOPPED(status)) stopped++;
        assert_true(track_numbers(t, 3, 400)); /* more than a chunk */
        while (vit_pump(t)) {}
        if (wire_times(&b.w, "\"n\":402}") != 1) fail_msg("operation %u", (unsigned)n);
        if (WIFSTOPPED(status)) {
            assert_int_equal(kill(child, SIGCONT), 0);
            assert_int_equal(waitpid(child, &status, 0), child);
        }
        while (vit_pump(t)) {}
        assert_int_equal(wire_times(&b.w, "\"n\":1000}"), 1);
        assert_int_equal(wire_count(&b.w), 404);
        stage_close(&b, t);
    }
    assert_true(stopped > 15);
}

/* A child is killed at any operation of a record: what others recorded arrives, at the latest with
   the next start. */
static void test_child_killed(void **state)
{
    uint32_t n;
    (void)state;
    for (n = 1; n < 70; n++) {
        stage       b;
        vit_client *t;
        pid_t       child;
        vit_stats   s;
        t = stage_open(&b);
        assert_true(track_numbers(t, 0, 1));
        child = fork_child();
        if (child == 0) {
            arm(die_now, NULL, n);
            (void)track_numbers(t, 1000, 1);
            _exit(0);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        child = fork(); /* through the same chunk, behind it */
        if (child == 0) _exit(track_numbers(t, 1, 3) ? 0 : 1);
        wait_child(child, 0);
        while (vit_pump(t)) {}
        assert_true(vit_destroy(t, 0));
        t = stage_client(&b);
        while (vit_pump(t)) {}
        if (wire_count(&b.w) - wire_times(&b.w, "\"n\":1000}") != 4)
            fail_msg("operation %u: %u events", (unsigned)n, (unsigned)wire_count(&b.w));
        s = vit_get_stats(t);
        assert_int_equal(s.queued, 0);
        stage_close(&b, t);
    }
}

/* Killed at any operation: vit_flush says true only where nothing waits behind what it left. */
static void test_flush_behind_a_killed_child(void **state)
{
    uint32_t n, waited = 0;
    (void)state;
    for (n = 1; n < 70; n++) {
        stage       b;
        vit_client *t;
        pid_t       child;
        bool        done;
        t = stage_open(&b);
        child = fork();
        if (child == 0) {
            arm(die_now, NULL, n);
            (void)track_numbers(t, 1000, 1);
            _exit(0);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        child = fork();
        if (child == 0) _exit(track_numbers(t, 1, 3) ? 0 : 1);
        wait_child(child, 0);
        done = vit_flush(t, 20);
        assert_int_equal(done, vit_get_stats(t).delivered >= 3);
        waited += !done;
        stage_close(&b, t);
    }
    assert_true(waited > 0);
}

/* The identity is reset while a child lives: it has the old salt; what it records is dropped. */
static void test_child_after_reset(void **state)
{
    stage       b;
    vit_client *t;
    pid_t       child;
    int         end[2];
    char        byte;
    (void)state;
    t = stage_open(&b);
    assert_int_equal(pipe(end), 0);
    child = fork_child();
    if (child == 0) {
        (void)!read(end[0], &byte, 1);
        _exit(track_numbers(t, 0, 2) ? 0 : 1);
    }
    vit_reset_identity(t);
    assert_int_equal(write(end[1], "x", 1), 1);
    wait_child(child, 0);
    assert_true(track_numbers(t, 2, 1));
    while (vit_pump(t)) {}
    assert_int_equal(wire_count(&b.w), 1);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 2);
    close(end[0]);
    close(end[1]);
    stage_close(&b, t);
}

static int orphan_in[2], orphan_out[2];

static bool act_leave_child(stage *b, vit_client *t)
{
    (void)b;
    if (fork() == 0) {
        char byte;
        (void)!read(orphan_in[0], &byte, 1);
        byte = vit_track_error(t, &(vit_error){ .message = "x" }) == VIT_DISABLED ? 'd' : 'r';
        (void)!write(orphan_out[1], &byte, 1);
        _exit(0);
    }
    return track_numbers(t, 0, 3);
}

/* The process is gone, its child is not: it keeps the lock. Nobody takes the pool over; a refusal
   reaches both. */
static void test_child_of_the_killed(void **state)
{
    stage       b;
    vit_client *t;
    int         i;
    char        byte = 0;
    (void)state;
    for (i = 0; i < 2; i++) {
        stage_make(&b);
        assert_int_equal(pipe(orphan_in), 0);
        assert_int_equal(pipe(orphan_out), 0);
        killed(&b, "1.0.0", act_leave_child);
        if (i) b.o.consent = VIT_CONSENT_DENIED;
        t = stage_client(&b);
        assert_int_equal(vit_get_stats(t).adopted, 0);
        assert_int_equal(pools(&b, NULL), i ? 0 : 2);
        assert_int_equal(write(orphan_in[1], "x", 1), 1);
        assert_int_equal(read(orphan_out[0], &byte, 1), 1);
        assert_int_equal(byte, i ? 'd' : 'r');
        assert_true(vit_destroy(t, 0));
        if (i == 0) {
            do t = stage_client(&b); /* until the child is gone */
            while (vit_get_stats(t).adopted == 0 && vit_destroy(t, 0));
            assert_int_equal(vit_get_stats(t).adopted, 4);
            while (vit_pump(t)) {}
            assert_true(vit_destroy(t, 0));
        }
        close(orphan_in[0]), close(orphan_in[1]);
        close(orphan_out[0]), close(orphan_out[1]);
        stage_end(&b);
    }
}

/* What a client could not deliver before it ended does not wait for a child that lives on: it
   records no more. */
static void test_child_of_the_ended(void **state)
{
    stage       b;
    vit_client *t;
    pid_t       child;
    int         end[2];
    char        byte;
    (void)state;
    stage_make(&b);
    b.w.otherwise.http_status = 0;
    b.o.spool_bytes_max = 1; /* it has no room */
    t = stage_client(&b);
    assert_true(track_numbers(t, 0, 5));
    assert_int_equal(pipe(end), 0);
    child = fork_child();
    if (child == 0) { /* it ends with its parent */
        close(end[1]);
        _exit(read(end[0], &byte, 1) == 1 ? 0 : 1);
    }
    assert_true(vit_destroy(t, 0));
    assert_int_equal(pools(&b, NULL), 1);
    b.w.otherwise.http_status = 201;
    t = stage_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 5);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(write(end[1], "x", 1), 1);
    wait_child(child, 0);
    close(end[0]), close(end[1]);
    stage_close(&b, t);
}

/* ---- schemas --------------------------------------------------------------------------------- */

/* Two processes may take the same slot; each schema has one place, and is written once. */
static void test_publish(void **state)
{
    vitp_ledger       *l = (vitp_ledger *)calloc(1, sizeof *l);
    const vit_schema  *a = vit_schema_query_executed(), *q = vit_schema_qt_error();
    vitp_schema_reader r;
    vit_kind           kind;
    uint32_t           size, used, i;
    const char        *text;
    (void)state;
    assert_non_null(l);
    assert_int_equal(vitp_ledger_publish(l, 5, a), VITP_PUBLISHED);
    used = l->schemas_used;
    assert_int_equal(vitp_ledger_publish(l, 5, a), VITP_PUBLISHED);
    assert_int_equal(vitp_ledger_publish(l, 5, q), VITP_PUBLISHED_OTHER);
    assert_int_equal(l->schemas_used, used);
    assert_int_equal(vitp_ledger_publish(l, 6, q), VITP_PUBLISHED);
    text = vitp_schema_open(&r, l, 6, &size);
    assert_int_equal(size, 7);
    assert_memory_equal(text, "QtError", 7);
    assert_int_equal(r.left, q->member_count + 1u);
    for (i = 0; r.left > 0; i++) text = vitp_schema_next(&r, &kind, &size);
    assert_int_equal(kind, VIT_FRAME);
    assert_int_equal(size, 10);
    assert_memory_equal(text, "error_hash", 10);
    assert_null(vitp_schema_open(&r, l, 7, &size));
    assert_null(vitp_schema_open(&r, l, VITP_TYPES_MAX, &size));
    l->schemas_used = VITP_LEDGER_SCHEMAS - 10u;
    assert_int_equal(vitp_ledger_publish(l, 8, a), VITP_PUBLISHED_NONE);
    free(l);
}

/* The largest event that can be accepted can be sent: all members with long keys, and a full text
   of which each byte needs six. */
static void test_largest_event(void **state)
{
    static char       keys[VITP_MEMBERS_MAX][VITP_NAME_MAX + 1u];
    static vit_member members[VITP_MEMBERS_MAX];
    static vit_schema schema;
    struct {
        const vit_op *op;
        const char   *texts[2];
        bool          flags[VITP_MEMBERS_MAX];
    } event;
    stage       b;
    vit_client *t;
    char        text[1001];
    uint32_t    i;
    (void)state;
    memset(&event, 0, sizeof event);
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = 0;
    event.texts[0] = event.texts[1] = text;
    for (i = 0; i < VITP_MEMBERS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "%063u_", (unsigned)i);
        members[i].name = keys[i];
        members[i].kind = i < 2 ? VIT_TEXT : VIT_FLAG;
        members[i].offset =
            (uint32_t)((const char *)(i < 2 ? (void *)&event.texts[i] : (void *)&event.flags[i]) -
                       (const char *)&event);
    }
    schema.name = "largest";
    schema.rate = 1.0;
    schema.members = members;
    schema.member_count = VITP_MEMBERS_MAX;
    t = stage_open(&b);
    assert_int_equal(vit_track_schema(t, &schema, &event), VIT_OK);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 1);
    assert_true(json_is_valid(b.w.calls[0].body, b.w.calls[0].size));
    assert_true(b.w.calls[0].size > 20000);
    stage_close(&b, t);
}

/* A slot that another process gave to another schema is passed over. */
static void test_foreign_type(void **state)
{
    stage             b;
    vit_client       *t;
    const vit_schema *a = vit_schema_query_executed(), *q = vit_schema_qt_error();
    vitp_type        *type;
    uint32_t          i;
    (void)state;
    t = stage_open(&b);
    for (i = 0; i < VITP_TYPES_MAX; i++)
        if (i != 77) assert_int_equal(vitp_ledger_publish(t->own.ledger, i, q), VITP_PUBLISHED);
    type = vitp_type_of(&t->recorder, a);
    assert_ptr_equal(type, &t->recorder.types[77]);
    assert_ptr_equal(vitp_type_of(&t->recorder, a), type);
    stage_close(&b, t);
}

/* Memory-backed storage is used where there is no folder of the user's. */
static void test_shm(void **state)
{
    stage         b;
    vit_client   *t;
    struct statfs s;
    bool          there = statfs("/dev/shm", &s) == 0 && s.f_type == 0x01021994;
    (void)state;
    stage_make(&b);
    unsetenv("XDG_RUNTIME_DIR");
    t = stage_client(&b);
    if (there) {
        assert_true(vit_get_stats(t).crash_surviving);
        assert_non_null(strstr(t->own.file.path, "/dev/shm/vitelemetry-"));
    }
    stage_close(&b, t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_any_operation),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_killed_not_waited_for),
        cmocka_unit_test(test_main_thread_left),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_alive),
        cmocka_unit_test(test_same_request_again),
        cmocka_unit_test(test_smaller_requests),
        cmocka_unit_test(test_answered),
        cmocka_unit_test(test_killed_while_adopting),
        cmocka_unit_test(test_keys_of_adopters),
        cmocka_unit_test(test_retry_built_anew),
        cmocka_unit_test(test_killed_after_answer),
        cmocka_unit_test(test_repeated_is_rejected),
        cmocka_unit_test(test_no_file_without_consent),
        cmocka_unit_test(test_left_while_unknown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_purge_and_reset),
        cmocka_unit_test(test_unknown_again),
        cmocka_unit_test(test_reset_elsewhere),
        cmocka_unit_test(test_pool_of_the_new_identity),
        cmocka_unit_test(test_settings_not_saved),
        cmocka_unit_test(test_folder_away),
        cmocka_unit_test(test_purge_wipes),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_unsafe_disks),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_folder_of_others),
        cmocka_unit_test(test_search_in_folder_of_others),
        cmocka_unit_test(test_no_folder),
        cmocka_unit_test(test_relative_folder),
        cmocka_unit_test(test_temporary_settings),
        cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_writer_unknown),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_in_its_place),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_hostile_records),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_child),
        cmocka_unit_test(test_child_and_parent_killed),
        cmocka_unit_test(test_daemon),
        cmocka_unit_test(test_child_after_refusal),
        cmocka_unit_test(test_child_in_plain_memory),
        cmocka_unit_test(test_child_stopped),
        cmocka_unit_test(test_child_killed),
        cmocka_unit_test(test_flush_behind_a_killed_child),
        cmocka_unit_test(test_child_after_reset),
        cmocka_unit_test(test_child_of_the_killed),
        cmocka_unit_test(test_child_of_the_ended),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_largest_event),
        cmocka_unit_test(test_foreign_type),
        cmocka_unit_test(test_shm),
    };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
