/* test_plugin.c: forks, and shared objects that come and go, round after round.

   Build:   with -rdynamic: a plugin's libcurl calls getaddrinfo here
   Run:     with plugin_a.so, plugin_b.so, plugin_auto.so and plugin_curl.so beside it
            ROUNDS=1000 (of forks, and of loading; less by default) */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "common.h"

#include "plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define ROUNDS     150u
#define DEADLOCK_S 300u /* of one test: then SIGALRM ends the program */

static char     tests_folder[PATH_MAX]; /* where this program lies */
static unsigned rounds = ROUNDS;

/* ---- what arrives: events are called n0, n1, ... --------------------------------------------- */

#define IDS_MAX (1u << 20)

typedef struct tally {
    pthread_mutex_t lock;
    unsigned char   seen[IDS_MAX]; /* how often each arrived, 255 at most */
    int             status;        /* 0: nobody is there */
} tally;

static tally the_tally;

static void tally_init(void)
{
    memset(&the_tally, 0, sizeof the_tally);
    pthread_mutex_init(&the_tally.lock, NULL);
    the_tally.status = 201;
}

static void tally_answer(int status)
{
    pthread_mutex_lock(&the_tally.lock);
    the_tally.status = status;
    pthread_mutex_unlock(&the_tally.lock);
}

static void tally_text(tally *y, const char *at, const char *end)
{
    static const char key[] = "\"feature_name\":\"n";
    for (; at + sizeof key < end; at++) {
        unsigned long id;
        if (*at != '"' || memcmp(at, key, sizeof key - 1) != 0) continue;
        id = strtoul(at + sizeof key - 1, NULL, 10);
        if (id < IDS_MAX && y->seen[id] < 255) y->seen[id]++;
    }
}

static vit_response tally_send(const vit_request *request, void *user)
{
    tally       *y = (tally *)user;
    vit_response answer = { 0, 0 };
    pthread_mutex_lock(&y->lock);
    answer.http_status = y->status;
    if (y->status / 100 == 2) tally_text(y, request->body, request->body + request->body_size);
    pthread_mutex_unlock(&y->lock);
    return answer;
}

/* Each of these arrived exactly once. */
static void assert_once(size_t first, size_t count)
{
    size_t id, never = 0, more = 0;
    pthread_mutex_lock(&the_tally.lock);
    for (id = first; id < first + count; id++) {
        never += the_tally.seen[id] == 0;
        more += the_tally.seen[id] > 1;
    }
    pthread_mutex_unlock(&the_tally.lock);
    if (never || more)
        fail_msg("of %lu events %lu did not arrive, %lu more than once", (unsigned long)count,
                 (unsigned long)never, (unsigned long)more);
}

/* ---- what a process has ---------------------------------------------------------------------- */

static size_t entries_of(const char *path)
{
    DIR   *d = opendir(path);
    size_t n = 0;
    if (!d) return 0;
    while (readdir(d)) n++;
    closedir(d);
    return n - 2; /* . and .. */
}

/* Lines of /proc/self/maps that hold the text. */
static size_t maps_with(const char *text)
{
    char   line[PATH_MAX + 128];
    size_t n = 0;
    FILE  *f = fopen("/proc/self/maps", "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) n += strstr(line, text) != NULL;
    fclose(f);
    return n;
}

typedef struct belongings {
    size_t threads, files, maps;
    long   resident_kib;
} belongings;

static belongings belongings_now(void)
{
    belongings b = { 0, 0, 0, 0 };
    long       pages = 0;
    FILE      *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    b.resident_kib = pages * (sysconf(_SC_PAGESIZE) / 1024);
    b.threads = entries_of("/proc/self/task");
    b.files = entries_of("/proc/self/fd");
    b.maps = maps_with("");
    return b;
}

/* Nothing was left behind since. A thread that was joined may still be listed for a moment, and the
   allocator may keep a mapping or two. */
static void assert_none_left(belongings before)
{
    belongings now;
    WAIT_FOR(entries_of("/proc/self/task") <= before.threads);
    now = belongings_now();
    print_message("threads %lu -> %lu, files %lu -> %lu, mappings %lu -> %lu, %ld -> %ld KiB\n",
                  (unsigned long)before.threads, (unsigned long)now.threads,
                  (unsigned long)before.files, (unsigned long)now.files, (unsigned long)before.maps,
                  (unsigned long)now.maps, before.resident_kib, now.resident_kib);
    assert_int_equal(now.files, before.files);
    if (SANITIZED) return;
    assert_true(now.maps <= before.maps + 4);
    assert_true(now.resident_kib <= before.resident_kib + 8192);
}

/* ---- client ---------------------------------------------------------------------------------- */

static vit_options tally_options(const char *folder)
{
    vit_options o = options_of(NULL, NULL);
    o.data_dir = folder;
    o.no_thread = false;
    o.flush_ms = 5;
    o.wire = VIT_WIRE_NDJSON;
    o.transport.send_fn = tally_send;
    o.transport.user = &the_tally;
    return o;
}

typedef vit_status (*track_fn)(vit_client *t, const char *name);

/* Records n<id>; waits where the queue is full. False: it was refused otherwise. */
static bool record(track_fn fn, vit_client *t, size_t id)
{
    char       name[24];
    vit_status status;
    snprintf(name, sizeof name, "n%lu", (unsigned long)id);
    while ((status = fn(t, name)) == VIT_QUEUE_FULL) sleep_ms(1);
    return status == VIT_OK;
}

/* A thread that records, until it is told to stop or has recorded most. */
typedef struct recorder {
    pthread_t   thread;
    track_fn    fn;
    vit_client *client;
    size_t      first, count, most;
    uint32_t    stop;
    bool        refused;
} recorder;

static void *recorder_run(void *user)
{
    recorder *r = (recorder *)user;
    while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST) && r->count < r->most) {
        if (!record(r->fn, r->client, r->first + r->count)) r->refused = true;
        r->count++;
        if (r->count % 16 == 0) sleep_ms(1);
    }
    return NULL;
}

static void recorder_start(recorder *r, track_fn fn, vit_client *t, size_t first, size_t most)
{
    memset(r, 0, sizeof *r);
    r->fn = fn;
    r->client = t;
    r->first = first;
    r->most = most;
    assert_int_equal(pthread_create(&r->thread, NULL, recorder_run, r), 0);
}

static void recorder_end(recorder *r, bool at_once)
{
    if (at_once) __atomic_store_n(&r->stop, 1u, __ATOMIC_SEQ_CST);
    pthread_join(r->thread, NULL);
    assert_false(r->refused);
}

/* ---- forks ----------------------------------------------------------------------------------- */

#define CHILD_EVENTS 4u /* of each child; the last is the grandchild's where there is one */
#define TOGETHER     4u /* children at a time */
#define STORM        (IDS_MAX / 2)

/* All other functions do nothing in a child, but those that record. 0: so it is. */
static int child_calls_all(vit_client *t)
{
    vit_event e;
    vit_gate  why;
    vit_flush(t, 20);
    if (vit_pump(t)) return 10;
    if (vit_export(t, ignore_line, NULL) != 0) return 11;
    vit_purge(t);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    if (vit_get_consent(t, &why) != VIT_CONSENT_GRANTED) return 12;
    vit_reset_identity(t);
    vit_session_begin(t, "child", "test");
    vit_session_end(t, VIT_EXIT_NORMAL);
    vit_set_context(t, "child", "child");
    vit_set_rate(t, "feature.toggled", 0.0);
    vit_register_secret(t, "feature_name", 0);
    (void)vit_crashed_last_run(t);
    (void)vit_get_stats(t);
    (void)vit_op_begin();
    vit_event_begin(&e, t, "child.event", NULL);
    vit_add_text(&e, "text", "some text");
    vit_add_hash(&e, "host", "db.example.com");
    (void)vit_event_send(&e);
    vit_fail(t, NULL, "Error", "child", ENOENT);
    vit_qt_message(t, 2, "file.c", 1, "f", "c", "message");
    return 0;
}

/* A client of the child's own works as any. 0: so it did. */
static int child_own_client(void)
{
    static tally own;
    vit_options  o = tally_options("");
    vit_client  *t;
    bool         ok;
    pthread_mutex_init(&own.lock, NULL);
    own.status = 201;
    o.no_thread = true;
    o.transport.user = &own;
    t = vit_create(&o);
    if (!t || !record(track, t, 1)) return 20;
    ok = vit_flush(t, 10000);
    return ok && own.seen[1] == 1 && vit_destroy(t, 0) ? 0 : 21;
}

static int child_of_child(vit_client *t, size_t id)
{
    int   status = 0;
    pid_t pid = fork();
    if (pid == 0) _exit(record(track, t, id) ? 0 : 1);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 30;
}

/* One of a thousand ways to live. */
static void child_live(vit_client *t, size_t number)
{
    size_t first = number * CHILD_EVENTS, i;
    int    bad = 0;
    alarm(60);
    for (i = 0; i < CHILD_EVENTS - 1; i++)
        if (!record(track, t, first + i)) _exit(1);
    if (number % 4 == 1) bad = child_calls_all(t);
    if (number % 16 == 5) bad = bad ? bad : child_own_client();
    if (number % 4 == 3) bad = bad ? bad : child_of_child(t, first + i);
    else if (!record(track, t, first + i)) bad = 2; /* the parent is as it was */
    if (number % 3 == 0 && !vit_destroy(t, 100)) bad = 3;
    if (bad) _exit(bad);
    if (number % 4 == 2 && !SANITIZED) exit(0);
    if (number % 16 == 4) raise(SIGKILL);
    _exit(0);
}

static void children_wait(const pid_t *pids, size_t count, size_t first)
{
    size_t i;
    for (i = 0; i < count; i++) {
        int  status = 0;
        bool ok;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        ok = status == 0 ||
             ((first + i) % 16 == 4 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (!ok)
            fail_msg("child %lu ended with status %x%s", (unsigned long)(first + i),
                     (unsigned)status,
                     WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": a deadlock" : "");
    }
}

/* Children record and end while the parent records and delivers: each event arrives once. */
static void forks(vit_client *t, size_t count)
{
    recorder storm[2];
    size_t   i, k;
    tally_init();
    for (i = 0; i < 2; i++) recorder_start(&storm[i], track, t, STORM + i * (STORM / 2), STORM / 2);
    for (i = 0; i < count; i += TOGETHER) {
        pid_t pids[TOGETHER];
        for (k = 0; k < TOGETHER; k++) {
            fflush(NULL);
            pids[k] = fork();
            assert_true(pids[k] >= 0);
            if (pids[k] == 0) child_live(t, i + k);
        }
        children_wait(pids, TOGETHER, i);
    }
    for (k = 0; k < 2; k++) recorder_end(&storm[k], true);
    assert_true(vit_flush(t, 60000));
    assert_balanced(t);
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_int_equal(vit_get_consent(t, NULL), VIT_CONSENT_GRANTED);
    assert_true(vit_get_stats(t).delivered >= i * CHILD_EVENTS + storm[0].count + storm[1].count);
    assert_once(0, i * CHILD_EVENTS);
    for (k = 0; k < 2; k++) assert_once(storm[k].first, storm[k].count);
    print_message("%lu children, %lu events of theirs, %lu of the parent meanwhile\n",
                  (unsigned long)i, (unsigned long)(i * CHILD_EVENTS),
                  (unsigned long)(storm[0].count + storm[1].count));
}

static void test_forks(void **state)
{
    char       folder[64];
    belongings before = { 0, 0, 0, 0 };
    size_t     i;
    (void)state;
    folder_make(folder);
    for (i = 0; i < 2; i++) { /* first a few: what libc keeps for later is there then */
        vit_options o = tally_options(folder);
        vit_client *t;
        if (i == 1) before = belongings_now();
        t = vit_create(&o);
        assert_non_null(t);
        if (!vit_get_stats(t).crash_surviving) {
            print_message("not run: there is no place for a queue that outlives its process\n");
            vit_destroy(t, 1000);
            folder_remove(folder);
            skip();
        }
        forks(t, i == 0 ? 16 : rounds);
        assert_true(vit_destroy(t, 1000));
    }
    assert_none_left(before);
    folder_remove(folder);
}

/* ---- plugins --------------------------------------------------------------------------------- */

typedef struct loaded {
    plugin      p;
    void       *handle;
    const char *name;
} loaded;

static void load(loaded *l, const char *name)
{
    char  path[PATH_MAX + 64];
    void *symbol;
    void (*get_fn)(plugin * p);
    snprintf(path, sizeof path, "%s/%s", tests_folder, name);
    l->name = name;
    l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle) fail_msg("%s", dlerror());
    symbol = dlsym(l->handle, "plugin_get");
    assert_non_null(symbol);
    memcpy(&get_fn, &symbol, sizeof get_fn);
    get_fn(&l->p);
}

static void unload(loaded *l)
{
    assert_true(maps_with(l->name) > 0);
    assert_int_equal(dlclose(l->handle), 0);
    assert_int_equal(maps_with(l->name), 0); /* it is really gone */
}

#define PLUGIN_THREADS 2u
#define PLUGIN_EVENTS  8u /* of each thread */

/* Loaded, used from threads, unloaded. The number of events. */
static size_t plugin_round(const char *folder, size_t first)
{
    loaded      l;
    recorder    threads[PLUGIN_THREADS];
    vit_options o = tally_options(folder);
    vit_client *t;
    size_t      i;
    load(&l, "plugin_a.so");
    t = l.p.create_fn(&o);
    assert_non_null(t);
    for (i = 0; i < PLUGIN_THREADS; i++)
        recorder_start(&threads[i], l.p.track_fn, t, first + i * PLUGIN_EVENTS, PLUGIN_EVENTS);
    for (i = 0; i < PLUGIN_THREADS; i++) recorder_end(&threads[i], false);
    assert_true(l.p.destroy_fn(t, 20000));
    unload(&l);
    return (size_t)PLUGIN_THREADS * PLUGIN_EVENTS;
}

static void test_rounds(void **state)
{
    char       folder[64];
    belongings before = { 0, 0, 0, 0 };
    size_t     i, n = 0, warm = rounds / 5 + 1;
    (void)state;
    tally_init();
    folder_make(folder);
    for (i = 0; i < warm + rounds; i++) {
        if (i == warm) before = belongings_now();
        n += plugin_round(folder, n);
    }
    print_message("%lu rounds, %lu events; after the first %lu rounds: ", (unsigned long)i,
                  (unsigned long)n, (unsigned long)warm);
    assert_none_left(before);
    assert_once(0, n);
    folder_remove(folder);
}

/* Two copies of the library in one process; one is unloaded while the other works on. */
static void test_two(void **state)
{
    static const char *const names[] = { "plugin_a.so", "plugin_b.so" };
    char                     folder[64];
    size_t                   i, k, n = 0, turns = rounds / 5 + 2;
    belongings               before = { 0, 0, 0, 0 };
    (void)state;
    tally_init();
    folder_make(folder);
    for (i = 0; i < turns; i++) {
        loaded      l[2];
        vit_client *t[2];
        recorder    threads[2];
        vit_options o = tally_options(folder);
        size_t      first = i % 2; /* that is unloaded */
        if (i == turns / 2) before = belongings_now();
        for (k = 0; k < 2; k++) {
            load(&l[k], names[k]);
            t[k] = l[k].p.create_fn(&o);
            assert_non_null(t[k]);
            recorder_start(&threads[k], l[k].p.track_fn, t[k], n + k * 100, k == first ? 20 : 100);
        }
        recorder_end(&threads[first], false);
        assert_true(l[first].p.destroy_fn(t[first], 20000));
        unload(&l[first]);
        k = 1 - first;
        recorder_end(&threads[k], false);
        assert_true(l[k].p.flush_fn(t[k], 20000));
        assert_int_equal(l[k].p.stats_fn(t[k]).delivered, 100);
        assert_int_equal(l[k].p.stats_fn(t[k]).adopted, 0);
        assert_true(l[k].p.destroy_fn(t[k], 20000));
        unload(&l[k]);
        assert_once(n + first * 100, 20);
        assert_once(n + k * 100, 100);
        n += 200;
    }
    assert_none_left(before);
    folder_remove(folder);
}

/* What one could not deliver before it was unloaded, the other takes over. */
static void test_takes_over(void **state)
{
    char        folder[64];
    loaded      a, b;
    vit_options o;
    vit_client *t;
    size_t      i;
    bool        outlives;
    (void)state;
    tally_init();
    folder_make(folder);
    o = tally_options(folder);
    tally_answer(0);
    load(&a, "plugin_a.so");
    t = a.p.create_fn(&o);
    for (i = 0; i < 5; i++) assert_true(record(a.p.track_fn, t, i));
    outlives = a.p.stats_fn(t).crash_surviving;
    assert_true(a.p.destroy_fn(t, 50));
    unload(&a);
    tally_answer(201);
    load(&b, "plugin_b.so");
    t = b.p.create_fn(&o);
    if (outlives) {
        assert_true(b.p.flush_fn(t, 20000));
        assert_int_equal(b.p.stats_fn(t).adopted, 5);
        assert_once(0, 5);
    }
    assert_true(b.p.destroy_fn(t, 1000));
    unload(&b);
    folder_remove(folder);
}

/* A client that is made while its object is loaded, and destroyed while that is unloaded. */
static void test_auto(void **state)
{
    char       folder[64], path[96];
    size_t     i, turns = rounds / 5 + 2;
    belongings before = { 0, 0, 0, 0 };
    (void)state;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/sent", folder);
    assert_int_equal(setenv("PLUGIN_FOLDER", folder, 1), 0);
    for (i = 0; i < turns; i++) {
        loaded l;
        if (i == turns / 2) before = belongings_now();
        load(&l, "plugin_auto.so");
        unload(&l);
    }
    unsetenv("PLUGIN_FOLDER");
    assert_int_equal(count_of(file_read(path), "\"loaded\""), turns);
    assert_int_equal(count_of(file_read(path), "\"unloaded\""), turns);
    assert_int_equal(count_of(file_read(path), "destroyed\n"), turns);
    assert_none_left(before);
    folder_remove(folder);
}

/* ---- a crash behind plugins whose crash handlers call each other ----------------------------- */

typedef struct unloading {
    bool handler; /* the host has one */
    bool reverse; /* what was loaded last goes first */
    bool both;    /* go; else the other lives on */
    bool again;   /* the one that went first is loaded once more, and lives */
} unloading;

static void host_on_signal(int number)
{
    (void)number;
    _exit(42);
}

static void unloading_host(const unloading *u)
{
    alarm(60);
    (void)signal(SIGSEGV, u->handler ? host_on_signal : SIG_DFL);
}

static void unloading_crash(void)
{
    *(volatile int *)(uintptr_t)64 = 1; /* 0 would be found before by a sanitizer */
    _exit(9);
}

/* Only a module whose handler is called by another's stays. That it does is seen by the host's
   handler; where there is none, a crash in code that is gone ends as the first would have. */
static void unloading_one(const unloading *u, loaded *l, vit_client *t, bool stays)
{
    bool there;
    if (!l->p.destroy_fn(t, 1000)) _exit(2);
    if (dlclose(l->handle) != 0) _exit(3);
    there = maps_with(l->name) > 0;
    if (there != stays && !(stays && u->handler)) _exit(stays ? 4 : 5);
}

static void unloading_child(const unloading *u, const char *folder, loaded *modules)
{
    vit_options o = tally_options(folder);
    vit_client *t[2];
    size_t      i, first = u->reverse ? 1 : 0;
    unloading_host(u);
    o.crash_handler = true;
    for (i = 0; i < 2; i++) {
        t[i] = modules[i].p.create_fn(&o);
        if (!t[i]) _exit(1);
    }
    unloading_one(u, &modules[first], t[first], !u->reverse);
    if (u->both) unloading_one(u, &modules[1 - first], t[1 - first], false);
    if (u->again) {
        load(&modules[first], modules[first].name);
        if (!modules[first].p.create_fn(&o)) _exit(6);
    }
    unloading_crash();
}

static int unloading_status(const unloading *u, const char *folder, loaded *modules)
{
    int   status = 0;
    pid_t pid;
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &none);
        if (modules) unloading_child(u, folder, modules);
        unloading_host(u);
        unloading_crash();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* In whatever order they go, a crash ends the program as if they had never been there. */
static void test_unloaded_crash(void **state)
{
    static const char *const names[] = { "plugin_a.so", "plugin_b.so" };
    char                     folder[64];
    unsigned                 bits, i, n = 0;
    bool                     outlives;
    vit_options              o;
    vit_client              *t;
    (void)state;
    folder_make(folder);
    o = tally_options(folder);
    t = vit_create(&o);
    outlives = vit_get_stats(t).crash_surviving;
    assert_true(vit_destroy(t, 1000));
    if (!outlives) {
        print_message("not run: without a queue that outlives its process there is no handler\n");
        folder_remove(folder);
        skip();
    }
    for (bits = 0; bits < 32; bits++) {
        unloading u;
        loaded    modules[2];
        int       alone, status;
        u.handler = bits & 1;
        u.reverse = bits & 2;
        u.both = bits & 4;
        u.again = bits & 8;
        for (i = 0; i < 2; i++) load(&modules[i], names[bits & 16 ? 1 - i : i]);
        alone = unloading_status(&u, folder, NULL);
        status = unloading_status(&u, folder, modules);
        if (u.handler) assert_int_equal(WEXITSTATUS(alone), 42);
        if (!u.handler) assert_int_equal(WTERMSIG(alone), SIGSEGV);
        if (status != alone) {
            print_message("host %s, %s goes first, %s, %s: status %x, not %x\n",
                          u.handler ? "with a handler" : "without", modules[u.reverse].name,
                          u.both ? "both go" : "the other lives on",
                          u.again ? "it comes again" : "it stays away", (unsigned)status,
                          (unsigned)alone);
            n++;
        }
        for (i = 0; i < 2; i++) unload(&modules[i]);
    }
    assert_int_equal(n, 0);
    folder_remove(folder);
}

/* ---- a plugin with libcurl, which goes with it ----------------------------------------------- */

static uint32_t resolver_hanging, resolver_let_go;

/* Libcurl asks this one: it hangs. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    (void)name, (void)service, (void)hints, (void)list;
    __atomic_add_fetch(&resolver_hanging, 1u, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&resolver_let_go, __ATOMIC_SEQ_CST)) sleep_ms(1);
    __atomic_sub_fetch(&resolver_hanging, 1u, __ATOMIC_SEQ_CST);
    return EAI_AGAIN;
}

/* Libcurl's thread that looks a name up outlives the plugin, and ends well. */
static void test_curl_unloaded(void **state)
{
    loaded      l;
    vit_options o = tally_options("");
    vit_client *t;
    uint64_t    end_ms = now_ms() + 10000;
    bool        left;
    (void)state;
    load(&l, "plugin_curl.so");
    o.transport.send_fn = NULL;
    o.endpoint = "http://hang.invalid/api";
    t = l.p.create_fn(&o);
    assert_true(record(l.p.track_fn, t, 0));
    WAIT_FOR(__atomic_load_n(&resolver_hanging, __ATOMIC_SEQ_CST) > 0);
    while (!l.p.destroy_fn(t, 0))
        if (now_ms() > end_ms) /* this libcurl waits for its thread: then all of it may go */
            __atomic_store_n(&resolver_let_go, 1u, __ATOMIC_SEQ_CST);
    left = __atomic_load_n(&resolver_hanging, __ATOMIC_SEQ_CST) > 0;
    print_message("libcurl %s\n", left ? "left its resolver behind" : "waited for its resolver");
    unload(&l);
    assert_true(!left || maps_with("libcurl") > 0);
    __atomic_store_n(&resolver_let_go, 1u, __ATOMIC_SEQ_CST);
    WAIT_FOR(__atomic_load_n(&resolver_hanging, __ATOMIC_SEQ_CST) == 0);
    sleep_ms(100); /* what is left of the thread runs in libcurl */
}

/* ---- before main, and after it --------------------------------------------------------------- */

/* The program that early_status runs: a client lives from before main() to behind exit(). EARLY in
   the environment: the data folder. */
static vit_client *early;
static bool        early_kept; /* it is not destroyed at all */

__attribute__((constructor)) static void early_begin(void)
{
    vit_options o;
    if (!getenv("EARLY")) return;
    alarm(60);
    environment_clear();
    tally_init();
    o = tally_options(getenv("EARLY"));
    early = vit_create(&o);
    if (!early || !record(track, early, 0)) _exit(2);
}

static void early_at_exit(void)
{
    if (!record(track, early, 2)) _exit(4);
    if (!vit_flush(early, 20000)) _exit(5);
}

__attribute__((destructor)) static void early_end(void)
{
    size_t i;
    if (!early || early_kept) return;
    if (!record(track, early, 3)) _exit(6);
    if (!vit_destroy(early, 20000)) _exit(7);
    for (i = 0; i < 4; i++)
        if (the_tally.seen[i] != 1) _exit(8);
}

static int early_main(bool kept)
{
    early_kept = kept;
    return record(track, early, 1) && atexit(early_at_exit) == 0 ? 0 : 3;
}

static int early_status(const char *folder, const char *how)
{
    char  self[PATH_MAX];
    int   status = 0;
    pid_t pid;
    assert_non_null(realpath("/proc/self/exe", self));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("EARLY", folder, 1);
        execl(self, self, how, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_early(void **state)
{
    char   folder[64];
    size_t i;
    (void)state;
    folder_make(folder);
    for (i = 0; i < 5; i++) {
        assert_int_equal(early_status(folder, "kept"), 0);
        assert_int_equal(early_status(folder, "destroyed"), 0); /* takes away what it left */
    }
    folder_remove(folder);
}

static int alarm_set(void **state)
{
    (void)state;
    alarm(DEADLOCK_S);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_forks, alarm_set),
        cmocka_unit_test_setup(test_rounds, alarm_set),
        cmocka_unit_test_setup(test_two, alarm_set),
        cmocka_unit_test_setup(test_takes_over, alarm_set),
        cmocka_unit_test_setup(test_auto, alarm_set),
        cmocka_unit_test_setup(test_unloaded_crash, alarm_set),
        cmocka_unit_test_setup(test_early, alarm_set),
        cmocka_unit_test_setup(test_curl_unloaded, alarm_set),
    };
    if (early) return early_main(argc == 2 && strcmp(argv[1], "kept") == 0);
    environment_clear();
    if (!file_exists("/proc/self/maps")) {
        print_message("not run: there is no /proc to count in\n");
        return 0;
    }
    if (getenv("ROUNDS")) rounds = (unsigned)atoi(getenv("ROUNDS"));
    snprintf(tests_folder, sizeof tests_folder, "%s", argv[0]);
    if (strrchr(tests_folder, '/')) *strrchr(tests_folder, '/') = 0;
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
