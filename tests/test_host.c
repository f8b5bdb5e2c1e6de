/* test_host.c: what a host may do to a client: it closes descriptors, starts programs, handles
   signals, cancels threads, stops for a while, changes its folder, its user and its limits, or
   shuts itself into a sandbox. Most of it happens in a child.

   Build: cc -std=c99 -I. tests/test_host.c -o build/tests/test_host -lcmocka -pthread */

#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The clocks go as those of the system do, and jump when a test says so; not where there are
   threads, which wait by the system's. */
#define HOUR_NS (UINT64_C(3600) * 1000000000u)
static uint64_t           jumped_ns, slept_ns; /* slept: by the wall clock alone */
static unsigned long long clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + jumped_ns +
           (clock == CLOCK_REALTIME ? slept_ns : 0u);
}
#define VITP_OS_CLOCK_NS(clock) clock_ns(clock)

#include "plain_memory.h"

/* The header's calls that make a descriptor, or random bytes. */
static unsigned inherited_opens; /* without O_CLOEXEC */
static bool     no_random;
static int      open_played(const char *path, int flags, ...)
{
    va_list more;
    int     mode;
    va_start(more, flags);
    mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    if (!(flags & O_CLOEXEC)) __atomic_add_fetch(&inherited_opens, 1u, __ATOMIC_SEQ_CST);
    if (no_random && strcmp(path, "/dev/urandom") == 0) {
        errno = ENOENT;
        return -1;
    }
    return open(path, flags, mode);
}
static long syscall_played(long number, ...)
{
    va_list more;
    long    a[6];
    int     i;
    va_start(more, number);
    for (i = 0; i < 6; i++) a[i] = va_arg(more, long);
    va_end(more);
    if (no_random && number == SYS_getrandom) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#define open    open_played
#define syscall syscall_played
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"
#undef open
#undef syscall

#include "common.h"

#include "bench.h"

#include <locale.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#endif

/* ---- children -------------------------------------------------------------------------------- */

/* In a child, where no assertion of the test's may be used. */
#define MUST(condition)                                                     \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                       \
        }                                                                   \
    } while (0)

/* How it ended: its status, or 1000 and the signal. */
static int in_child(void (*act_fn)(bench *b), bench *b)
{
    int   status = 0;
    pid_t child = fork_child();
    if (child == 0) {
        (void)alarm(60);
        act_fn(b);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* With a bench of its own, in a child that ends well. */
static void assert_acts(void (*act_fn)(bench *b))
{
    bench b;
    bench_make(&b);
    assert_int_equal(in_child(act_fn, &b), 0);
    bench_free(&b);
}

/* Time passes until events have waited long enough to be sent, or to be saved. */
static void pump_later(vit_client *t)
{
    jumped_ns += 100u * VITP_MS;
    pump_at_most(t, 200);
}

/* The next run, to which nothing happens: it delivers what the one before had left. */
static void deliver_rest(bench *b)
{
    vit_client *t;
    b->w.otherwise.http_status = 201;
    t = bench_client(b);
    assert_true(vit_flush(t, 20000));
    end(t);
}

/* ---- the host closes all descriptors --------------------------------------------------------- */

#define HOST_FILES 40

/* Files of the host's under the lowest numbers that are free. Each has a text, a place and a
   lock. */
static int host_files[HOST_FILES], host_count;

static unsigned close_case; /* 0 to 15: what is open then, and whether the host opens some */

static void host_path(char out[128], const bench *b, int i)
{
    snprintf(out, 128, "%s-host/%d", b->folder, i);
}

static void host_open(const bench *b)
{
    int  i;
    char path[128];
    snprintf(path, sizeof path, "%s-host", b->folder);
    MUST(mkdir(path, 0700) == 0);
    host_count = close_case & 8 ? 0 : HOST_FILES;
    for (i = 0; i < host_count; i++) {
        host_path(path, b, i);
        host_files[i] = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        MUST(host_files[i] >= 0 && write(host_files[i], "the host's text", 15) == 15);
        MUST(lseek(host_files[i], 7, SEEK_SET) == 7);
        MUST(flock(host_files[i], LOCK_EX | LOCK_NB) == 0);
    }
}

static void host_check(const bench *b)
{
    int  i;
    char path[128], text[16];
    for (i = 0; i < host_count; i++) {
        struct stat s;
        int         other;
        host_path(path, b, i);
        MUST(fcntl(host_files[i], F_GETFD) >= 0); /* open */
        MUST(lseek(host_files[i], 0, SEEK_CUR) == 7);
        MUST(fstat(host_files[i], &s) == 0 && s.st_size == 15);
        MUST(pread(host_files[i], text, 15, 0) == 15 && memcmp(text, "the host's text", 15) == 0);
        other = open(path, O_RDWR);
        MUST(other >= 0 && flock(other, LOCK_EX | LOCK_NB) != 0); /* locked */
        (void)close(other);
    }
}

static void act_close_all(bench *b)
{
    bool        reads = (close_case & 1) != 0, thread = (close_case & 4) != 0;
    vit_client *t;
    char        name[24];
    int         i;
    in_plain_memory = (close_case & 2) != 0;
    b->o.crash_handler = true;
    b->o.no_thread = true;
    b->w.otherwise.http_status = 0;
    t = vit_create(&b->o);
    MUST(t);
    vit_session_begin(t, "closed", NULL);
    try_many(t, 0, 3);
    pump_later(t);
    pump_later(t); /* a file of the spool is written */
    MUST(vit_get_stats(t).spooled >= 3);
    if (thread || reads) {
        (void)vit_destroy(t, 0);
        b->o.no_thread = !thread;
        t = vit_create(&b->o); /* and one is read */
        MUST(t);
        vit_session_begin(t, "closed", NULL);
    }
    try_many(t, 3, 3);
    if (!thread) pump_later(t);
    for (i = 3; i < 256; i++) (void)close(i);
    host_open(b);
    try_many(t, 6, 3);
    if (!thread) jumped_ns += UINT64_C(61) * 1000u * VITP_MS; /* a sign of life is due */
    if (!thread) pump_later(t);
    (void)vit_flush(t, 10);
    host_check(b);
    b->w.otherwise.http_status = 201;
    if (!thread) jumped_ns += HOUR_NS;
    (void)vit_flush(t, thread ? 5000 : 500);
    host_check(b);
    vit_set_context(t, "qdrant", NULL);
    vit_session_end(t, VIT_EXIT_NORMAL);
    if (close_case & 1) vit_purge(t);
    host_check(b);
    MUST(is_balanced(t));
    MUST(vit_destroy(t, 100));
    host_check(b);
    if (close_case & 1) return; /* purged */
    b->o.no_thread = true;
    t = vit_create(&b->o);
    MUST(t && vit_flush(t, 20000));
    for (i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "\"f%d\"", i);
        MUST(wire_times(&b->w, name) == 1);
    }
    MUST(wire_times(&b->w, "\"exit_reason\":\"normal\"") >= 1);
    MUST(wire_times(&b->w, "\"exit_reason\":\"crash\"") == 0);
    MUST(is_balanced(t) && vit_destroy(t, 0));
}

static void test_descriptors_closed(void **state)
{
    (void)state;
    for (close_case = 0; close_case < 16; close_case++) {
        bench b;
        char  host[128];
        int   status;
        bench_make(&b);
        snprintf(host, sizeof host, "%s-host", b.folder);
        status = in_child(act_close_all, &b);
        folder_remove(host);
        bench_free(&b);
        if (status != 0) fail_msg("case %u: status %d", close_case, status);
    }
}

/* ---- the host has closed 0 to 2, and goes on to print there ---------------------------------- */

static void host_prints(void)
{
    char line[4096];
    int  fd, i;
    memset(line, 'x', sizeof line);
    for (fd = 0; fd < 3; fd++) /* what it would read is none of its own */
        if (close_case >> fd & 1) MUST(read(fd, line, 1) != 1);
    for (i = 0; i < 100; i++)
        for (fd = 0; fd < 3; fd++)
            if (close_case >> fd & 1) MUST(write(fd, line, sizeof line) == -1);
}

static void act_print(bench *b)
{
    vit_client *t;
    int         fd;
    in_plain_memory = close_case > 7;
    for (fd = 0; fd < 3; fd++)
        if (close_case >> fd & 1) (void)close(fd);
    b->o.no_thread = b->o.audit = true;
    b->w.otherwise.http_status = 0;
    t = vit_create(&b->o);
    MUST(t && vit_get_stats(t).crash_surviving == !in_plain_memory);
    host_prints();
    vit_session_begin(t, "closed", NULL);
    try_many(t, 0, 3);
    pump_later(t);
    pump_later(t);
    MUST(vit_get_stats(t).spooled >= 3);
    host_prints(); /* while a file of the spool is open */
    try_many(t, 3, 3);
    b->w.otherwise.http_status = 201;
    jumped_ns += HOUR_NS;
    (void)vit_flush(t, 5000);
    host_prints();
    MUST(is_balanced(t) && vit_get_stats(t).delivered == 7);
    MUST(vit_destroy(t, 0));
}

static void test_descriptors_low(void **state)
{
    (void)state;
    for (close_case = 1; close_case < 16; close_case++) {
        bench b;
        int   status;
        if (close_case == 8) continue; /* none is closed */
        bench_make(&b);
        status = in_child(act_print, &b);
        bench_free(&b);
        if (status != 0) fail_msg("case %u: status %d", close_case, status);
    }
}

/* ---- the host starts a program --------------------------------------------------------------- */

/* What a program has open that this one started: how many beside 0 to 2 and the folder it lists. */
static int list_descriptors(void)
{
    DIR           *d = opendir("/proc/self/fd");
    struct dirent *e;
    int            count = 0;
    if (!d) return 100;
    while ((e = readdir(d))) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd <= 2 || fd == dirfd(d)) continue;
        count++;
    }
    closedir(d);
    return count;
}

static char  *self[] = { (char *)(uintptr_t) "/proc/self/exe", (char *)(uintptr_t) "--descriptors",
                         NULL };
extern char **environ;
static int    inherited; /* by programs that were started, at most */
static unsigned started;

static void start_program(bool spawn)
{
    pid_t child = 0;
    int   status = 0;
    if (spawn) {
        MUST(posix_spawn(&child, self[0], NULL, NULL, self, environ) == 0);
    } else {
        child = vfork();
        if (child == 0) {
            execv(self[0], self);
            _exit(99);
        }
    }
    MUST(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) > inherited) inherited = WEXITSTATUS(status);
    started++;
}

static vit_response start_inside(wire *w, const vit_request *request, size_t number)
{
    vit_response answer = { 503, 0 };
    (void)w, (void)request;
    if (number < 4) start_program(number % 2);
    return answer;
}

/* While all files are open that there are, from a callback, and while other threads work. */
static void act_start(bench *b)
{
    unsigned i, plain;
    for (i = 3; i < 256; i++) (void)close((int)i); /* what the test's own starter had open */
    b->o.crash_handler = b->o.audit = true;
    for (plain = 0; plain < 2; plain++) {
        vit_client *t;
        in_plain_memory = plain != 0;
        b->o.no_thread = true;
        b->w.answer_fn = start_inside;
        t = vit_create(&b->o);
        MUST(t);
        try_many(t, 0, 3);
        pump_later(t);
        pump_later(t);
        for (i = 0; i < 6; i++) start_program(i % 2);
        try_many(t, 3, 3);
        pump_later(t);
        pump_later(t);
        for (i = 0; i < 6; i++) start_program(i % 2);
        b->w.answer_fn = NULL;
        (void)vit_flush(t, 100);
        (void)vit_destroy(t, 0);
        b->o.no_thread = false;
        b->o.flush_ms = 1;
        t = vit_create(&b->o);
        MUST(t);
        for (i = 0; i < 30; i++) {
            try_many(t, 10 + i, 1);
            start_program(i % 2);
        }
        MUST(vit_flush(t, 20000));
        MUST(is_balanced(t));
        MUST(vit_destroy(t, 1000));
    }
    MUST(started >= 84);
    MUST(inherited == 0);
    MUST(inherited_opens == 0);
}

static void test_programs_started(void **state)
{
    (void)state;
    if (!file_exists("/proc/self/fd")) skip();
    assert_acts(act_start);
}

/* ---- the host becomes another program -------------------------------------------------------- */

static vit_response take_all(const vit_request *request, void *user)
{
    vit_response answer = { 201, 0 };
    (void)request, (void)user;
    return answer;
}

/* What it is behind the exec(): the next start, under the number of the one before. */
static int next_program(const char *folder)
{
    vit_options o;
    vit_client *t;
    vit_stats   s;
    memset(&o, 0, sizeof o);
    o.endpoint = "http://127.0.0.1:9/";
    o.data_dir = folder;
    o.consent = VIT_CONSENT_GRANTED;
    o.transport.send_fn = take_all;
    t = vit_create(&o);
    MUST(vit_flush(t, 20000));
    s = vit_get_stats(t);
    MUST(s.adopted == 4 && s.delivered == 4); /* and its session's end */
    MUST(vit_destroy(t, 0));
    return 0;
}

static void act_exec(bench *b)
{
    char       *next[] = { self[0], (char *)(uintptr_t) "--next", (char *)(uintptr_t)b->o.data_dir,
                           NULL };
    vit_client *t;
    b->o.no_thread = true;
    t = vit_create(&b->o);
    MUST(t);
    if (!vit_get_stats(t).crash_surviving) _exit(0);
    vit_session_begin(t, "before", NULL);
    try_many(t, 0, 2);
    execv(next[0], next);
    _exit(99);
}

static void test_becomes_another(void **state)
{
    (void)state;
    if (!file_exists("/proc/self/exe")) skip();
    assert_acts(act_exec);
}

/* ---- signals --------------------------------------------------------------------------------- */

static vit_client       *in_handler;
static volatile unsigned handled, handler_accepted;

static void handler_tracks(int number)
{
    int before = errno;
    (void)number;
    handled++;
    if (track(in_handler, "from a handler") == VIT_OK) handler_accepted++;
    errno = before;
}

static void act_signals(bench *b)
{
    struct sigaction action;
    struct itimerval timer = { { 0, 200 }, { 0, 200 } };
    unsigned         accepted = 0;
    uint64_t         end_ms = now_ms() + 40000;
    b->o.no_thread = false;
    b->o.flush_ms = 1;
    b->o.wire = VIT_WIRE_NDJSON;
    in_handler = vit_create(&b->o);
    MUST(in_handler);
    memset(&action, 0, sizeof action);
    action.sa_handler = handler_tracks;
    action.sa_flags = SA_RESTART;
    MUST(sigaction(SIGALRM, &action, NULL) == 0);
    MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    while (handled < 500 || handler_accepted < 100) {
        if (track(in_handler, "in between") == VIT_OK) accepted++;
        MUST(now_ms() < end_ms);
    }
    memset(&timer, 0, sizeof timer);
    MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    signal(SIGALRM, SIG_DFL);
    (void)alarm(60);
    MUST(vit_flush(in_handler, 50000));
    MUST(wire_times(&b->w, "\"in between\"") == accepted && accepted > 0);
    MUST(wire_times(&b->w, "\"from a handler\"") == handler_accepted);
    MUST(is_balanced(in_handler));
    MUST(vit_destroy(in_handler, 1000));
}

static void test_handler_tracks(void **state)
{
    (void)state;
    assert_acts(act_signals);
}

/* What a transport of the host's brings upon the client's thread. */
static int               broken_pipe[2];
static volatile unsigned handled_elsewhere;
static pthread_t         main_thread;

static void handler_notes(int number)
{
    (void)number;
    if (!pthread_equal(pthread_self(), main_thread)) handled_elsewhere = 1;
    handled++;
}

static vit_response break_pipe(wire *w, const vit_request *request, size_t number)
{
    vit_response answer = { 201, 0 };
    (void)w, (void)request, (void)number;
    MUST(write(broken_pipe[1], "x", 1) < 0 && errno == EPIPE);
    MUST(kill(getpid(), SIGUSR1) == 0); /* of all threads, whoever lets it in */
    MUST(pthread_kill(pthread_self(), SIGALRM) == 0);
    return answer;
}

static void act_broken_pipe(bench *b)
{
    vit_client *t;
    main_thread = pthread_self();
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, handler_notes);
    signal(SIGALRM, handler_notes);
    MUST(pipe(broken_pipe) == 0 && close(broken_pipe[0]) == 0);
    b->o.no_thread = false;
    b->o.flush_ms = 1;
    b->w.answer_fn = break_pipe;
    t = vit_create(&b->o);
    MUST(t);
    try_many(t, 0, 50);
    MUST(vit_flush(t, 20000));
    MUST(handled > 0 && !handled_elsewhere);
    MUST(vit_destroy(t, 1000));
}

/* SIGPIPE of a connection that is gone does not end the host, and its handlers do not run on the
   client's thread. */
static void test_broken_pipe(void **state)
{
    (void)state;
    assert_acts(act_broken_pipe);
}

/* ---- threads that are cancelled -------------------------------------------------------------- */

typedef struct victim {
    vit_client *t;
    bench      *b;
    unsigned    what;
    uint32_t    begun;
} victim;

static void *victim_run(void *user)
{
    victim  *v = (victim *)user;
    unsigned i;
    for (i = 0;; i++) {
        try_many(v->t, i, 1);
        __atomic_store_n(&v->begun, 1u, __ATOMIC_SEQ_CST);
        switch (v->what) {
        case 0: break;
        case 1: (void)vit_flush(v->t, 5); break;
        case 2: (void)vit_export(v->t, ignore_line, NULL); break;
        case 3: vit_set_context(v->t, i % 2 ? "qdrant" : "chroma", NULL); break;
        case 4: vit_set_consent(v->t, i % 2 ? VIT_CONSENT_VERBOSE : VIT_CONSENT_GRANTED); break;
        case 5: vit_purge(v->t); break;
        case 6: (void)vit_pump(v->t); break;
        default: (void)vit_fail(v->t, NULL, "x", "import", (int)(i % 7)); break;
        }
        pthread_testcancel();
    }
    return NULL;
}

static void act_cancelled(bench *b)
{
    unsigned round, tries, rounds = SANITIZED ? 40 : 160;
    for (round = 0; round < rounds; round++) {
        victim    v;
        pthread_t thread;
        memset(&v, 0, sizeof v);
        b->o.no_thread = round % 16 >= 8;
        b->o.flush_ms = 1;
        b->o.queue_bytes = 65536;
        b->w.otherwise.http_status = round % 32 >= 16 ? 0 : 201;
        v.t = vit_create(&b->o);
        v.b = b;
        v.what = round % 8;
        MUST(v.t);
        MUST(pthread_create(&thread, NULL, victim_run, &v) == 0);
        while (!__atomic_load_n(&v.begun, __ATOMIC_SEQ_CST)) sleep_ms(1);
        if (round % 3) sleep_ms(1 + round % 5);
        MUST(pthread_cancel(thread) == 0);
        MUST(pthread_join(thread, NULL) == 0);
        (void)track(v.t, "after");
        (void)vit_flush(v.t, 5);
        MUST(vit_get_consent(v.t, NULL) >= VIT_CONSENT_GRANTED);
        MUST(is_balanced(v.t) || vit_get_stats(v.t).queued > 0);
        for (tries = 0; !vit_destroy(v.t, 20); tries++) MUST(tries < 500); /* a busy machine */
    }
}

/* A thread that is cancelled while it is in a call: no lock stays taken, nothing hangs. */
static void test_cancelled(void **state)
{
    (void)state;
    assert_acts(act_cancelled);
}

/* One that is cancelled where it is sure to be in the lock: all calls of the system that end a
   thread are tried, since there is no time at which it is cancelled but there. */
static void *cancelled_flush(void *user)
{
    (void)pthread_cancel(pthread_self());
    (void)vit_flush((vit_client *)user, 50);
    pthread_testcancel();
    return NULL;
}

static void *cancelled_consent(void *user)
{
    (void)pthread_cancel(pthread_self());
    vit_set_consent((vit_client *)user, VIT_CONSENT_VERBOSE);
    pthread_testcancel();
    return NULL;
}

static void *cancelled_destroy(void *user)
{
    bool *done = (bool *)(((void **)user)[1]);
    (void)pthread_cancel(pthread_self());
    *done = vit_destroy((vit_client *)((void **)user)[0], 50);
    pthread_testcancel();
    return NULL;
}

static void *cancelled_create(void *user)
{
    void **both = (void **)user;
    (void)pthread_cancel(pthread_self());
    both[1] = vit_create((const vit_options *)both[0]);
    pthread_testcancel();
    return NULL;
}

static void act_cancelled_inside(bench *b)
{
    unsigned threads;
    for (threads = 0; threads < 2; threads++) {
        vit_client *t;
        pthread_t   thread;
        void       *both[2], *result;
        bool        done = false;
        b->o.no_thread = threads == 0;
        b->o.flush_ms = 1;
        both[0] = &b->o;
        both[1] = NULL;
        MUST(pthread_create(&thread, NULL, cancelled_create, both) == 0);
        MUST(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        t = (vit_client *)both[1];
        MUST(t);
        try_many(t, 0, 3);
        MUST(pthread_create(&thread, NULL, cancelled_flush, t) == 0);
        MUST(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        MUST(pthread_create(&thread, NULL, cancelled_consent, t) == 0);
        MUST(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        MUST(vit_get_consent(t, NULL) == VIT_CONSENT_VERBOSE);
        MUST(vit_flush(t, 20000));
        both[0] = t;
        both[1] = &done;
        MUST(pthread_create(&thread, NULL, cancelled_destroy, both) == 0);
        MUST(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        MUST(done);
    }
}

static void test_cancelled_inside(void **state)
{
    (void)state;
    assert_acts(act_cancelled_inside);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void track_took(vit_client *t, const vit_op *op)
{
    vit_event e;
    vit_event_begin(&e, t, "took", op);
    vit_add_ms(&e, "took_ms", VIT_SINCE_OP);
    assert_int_equal(vit_event_send(&e), VIT_OK);
}

/* The machine sleeps for hours, by both clocks or by the wall clock alone, with the server there or
   away: no burst of what was missed, and no time is negative. */
static void test_sleeps(void **state)
{
    static const unsigned hours[] = { 1, 9, 24 * 20 };
    unsigned              i;
    (void)state;
    for (i = 0; i < 4u * COUNT_OF(hours); i++) {
        bool        away = (i & 1) != 0;
        bench       b;
        vit_client *t;
        size_t      before, n;
        vit_op      op;
        bench_make(&b);
        b.w.otherwise.http_status = away ? 503 : 201;
        t = bench_client(&b);
        vit_session_begin(t, "sleeper", NULL);
        op = vit_op_begin();
        track_many(t, 0, 5);
        pump_later(t);
        before = wire_count(&b.w);
        *(i & 2 ? &slept_ns : &jumped_ns) += hours[i / 4] * HOUR_NS;
        track_many(t, 5, 1);
        track_took(t, &op);
        pump_at_most(t, 200);
        n = wire_count(&b.w) - before;
        if (away && n > 1) fail_msg("%u: %lu tries", i, (unsigned long)n);
        b.w.otherwise.http_status = 201;
        vit_session_end(t, VIT_EXIT_NORMAL);
        jumped_ns += HOUR_NS; /* what a failure put off is due */
        pump_at_most(t, 200);
        assert_true(vit_flush(t, 5000));
        for (n = 0; n < b.w.count; n++) assert_null(strstr(b.w.calls[n].body, "_ms\":-"));
        assert_int_equal(wire_times(&b.w, "\"session.end\""), 1);
        assert_int_equal(wire_times(&b.w, "\"took_ms\":"), 1);
        assert_each(&b.w, "\"f%u\"", 6, 1);
        bench_close(&b, t);
    }
}

static void act_stopped(bench *b)
{
    vit_client *t;
    unsigned    i;
    b->o.no_thread = false;
    b->o.flush_ms = 5;
    t = vit_create(&b->o);
    MUST(t);
    for (i = 0; i < 1000; i++) {
        try_many(t, i, 1);
        sleep_ms(1);
    }
    MUST(vit_flush(t, 20000));
    MUST(vit_get_stats(t).delivered == 1000);
    MUST(wire_count(&b->w) == 1000); /* one event a request, none twice */
    MUST(is_balanced(t));
    MUST(vit_destroy(t, 1000));
}

/* The process is stopped and goes on, again and again. */
static void test_stopped(void **state)
{
    bench    b;
    int      status = 0;
    unsigned i;
    pid_t    child;
    (void)state;
    bench_make(&b);
    child = fork_child();
    if (child == 0) {
        (void)alarm(60);
        act_stopped(&b);
        _exit(0);
    }
    for (i = 0; i < 20; i++) {
        sleep_ms(10 + i);
        if (kill(child, SIGSTOP) != 0) break;
        sleep_ms(20);
        if (kill(child, SIGCONT) != 0) break;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    bench_free(&b);
}

/* ---- rights ---------------------------------------------------------------------------------- */

static const char *open_mode; /* a file or folder that others may read or write */

static int look_at_mode(const char *path, const struct stat *s, int type, struct FTW *f)
{
    static char found[PATH_MAX];
    mode_t      want = S_ISDIR(s->st_mode) ? 0700 : 0600;
    (void)type, (void)f;
    if ((s->st_mode & 07777) == want || strstr(path, "/run/") == NULL) return 0;
    snprintf(found, sizeof found, "%.4000s has mode %o", path, (unsigned)s->st_mode);
    open_mode = found;
    return 0;
}

static unsigned kinds_seen; /* pools 1, spool 2, list 4, wait 8, marker 16, settings 32 */

static int look_at_kind(const char *path, const struct stat *s, int type, struct FTW *f)
{
    static const char *const ends[] = { ".pool", ".spool", "sent.ndjson",
                                        ".wait", ".run",   "telemetry.conf" };
    size_t                   i, n = strlen(path);
    (void)s, (void)type, (void)f;
    for (i = 0; i < COUNT_OF(ends); i++)
        if (n > strlen(ends[i]) && strcmp(path + n - strlen(ends[i]), ends[i]) == 0)
            kinds_seen |= 1u << i;
    return 0;
}

static void look(const bench *b)
{
    (void)nftw(b->folder, look_at_mode, 16, FTW_PHYS);
    (void)nftw(b->folder, look_at_kind, 16, FTW_PHYS);
    if (open_mode) {
        fprintf(stderr, "%s\n", open_mode);
        _exit(2);
    }
}

static mode_t mask; /* of the host */

static void act_umask(bench *b)
{
    unsigned    plain;
    char        run[PATH_MAX], data[PATH_MAX];
    vit_client *t;
    MUST(realpath(b->folder, data));
    snprintf(run, sizeof run, "%.4000s/run", data);
    MUST(mkdir(run, 0700) == 0);
    (void)umask(mask);
    MUST(setenv("XDG_RUNTIME_DIR", run, 1) == 0);
    snprintf(data, sizeof data, "%.4000s/data/deep", run);
    b->o.data_dir = data;
    b->o.audit = true;
    for (plain = 0; plain < 2; plain++) {
        in_plain_memory = plain != 0;
        b->w.otherwise.http_status = 201;
        b->w.otherwise.retry_after_s = 0;
        t = vit_create(&b->o);
        MUST(t);
        try_many(t, 0, 3);
        (void)vit_flush(t, 0);
        jumped_ns += HOUR_NS;
        MUST(vit_flush(t, 5000));
        look(b);
        b->w.otherwise.http_status = 429;
        b->w.otherwise.retry_after_s = 300;
        try_many(t, 3, 3);
        pump_later(t);
        pump_later(t);
        look(b);
        MUST(vit_destroy(t, 0));
        look(b);
    }
    MUST(kinds_seen == 63);
}

/* Every kind of file and folder is the user's alone, whatever the umask leaves to others, and the
   user's, whatever it takes from the user. */
static void test_umask(void **state)
{
    static const mode_t masks[] = { 0, 0777, 0277 };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(masks); i++) {
        mask = masks[i];
        assert_acts(act_umask);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void set_limit(int resource, rlim_t value)
{
    struct rlimit l;
    MUST(getrlimit((__typeof__(RLIMIT_NOFILE))resource, &l) == 0);
    l.rlim_cur = value;
    MUST(setrlimit((__typeof__(RLIMIT_NOFILE))resource, &l) == 0);
}

static int    limited; /* what is limited in the child */
static rlim_t limit_to;

/* All that a client does. The child ends well, whatever it could not have. */
static void act_limited(bench *b)
{
    vit_client *t;
    unsigned    i;
    b->o.audit = true;
    b->o.crash_handler = true;
    set_limit(limited, limit_to);
    for (i = 0; i < 3; i++) {
        b->o.no_thread = i != 1;
        b->w.otherwise.http_status = i == 0 ? 0 : 201;
        t = vit_create(&b->o);
        if (!t) continue;
        vit_session_begin(t, NULL, NULL);
        try_many(t, 10 * i, 5);
        if (i != 1) pump_later(t), pump_later(t);
        (void)vit_flush(t, i == 0 ? 5 : 2000);
        vit_set_consent(t, VIT_CONSENT_VERBOSE);
        vit_session_end(t, VIT_EXIT_NORMAL);
        MUST(is_balanced(t) || i == 1);
        (void)vit_destroy(t, 100);
    }
}

/* A life with so many of these, and the next run, which has all. */
static void live_limited(unsigned count, const char *what)
{
    bench b;
    int   status;
    bench_make(&b);
    status = in_child(act_limited, &b);
    if (status != 0) fail_msg("%u %s: status %d", count, what, status);
    deliver_rest(&b);
    bench_free(&b);
}

/* 0 to 24 descriptors. */
static void test_few_descriptors(void **state)
{
    (void)state;
    limited = RLIMIT_NOFILE;
    for (limit_to = 0; limit_to < 25; limit_to++) live_limited((unsigned)limit_to, "descriptors");
}

/* Files may not grow beyond some size; a write across it would end the host by SIGXFSZ. */
static void test_small_files(void **state)
{
    static const rlim_t sizes[] = { 0, 1, 100, 1000, 5000, 20000, 65536, 300000, 600000 };
    unsigned            i;
    (void)state;
    limited = RLIMIT_FSIZE;
    for (i = 0; i < COUNT_OF(sizes); i++) {
        limit_to = sizes[i];
        live_limited((unsigned)limit_to, "bytes");
    }
}

/* Ever less memory, until there is none for a client. */
static void test_little_memory(void **state)
{
    unsigned long pages = 0;
    unsigned      i, step;
    FILE         *f = fopen("/proc/self/statm", "r");
    (void)state;
    if (f && fscanf(f, "%lu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    if (SANITIZED || pages == 0) skip();
    limited = RLIMIT_AS;
    for (i = 0, step = 1; i < 24; i++, step += 1 + step / 4) {
        limit_to = (rlim_t)(pages + 8u * step) * (rlim_t)sysconf(_SC_PAGESIZE);
        live_limited(8u * step, "pages more");
    }
}

/* ---- no random bytes ------------------------------------------------------------------------- */

static void test_no_random(void **state)
{
    static char ids[400][40];
    unsigned    i, k;
    bench       b;
    vit_client *t;
    (void)state;
    no_random = true;
    for (i = 0; i < COUNT_OF(ids); i++) {
        vit_uuid4(ids[i]);
        for (k = 0; k < i; k++) assert_string_not_equal(ids[i], ids[k]);
    }
    t = bench_open(&b);
    assert_int_equal(logs_of(&b.l, VIT_LOG_RANDOM_WEAK), 1);
    track_many(t, 0, 5);
    assert_true(vit_flush(t, 5000));
    assert_each(&b.w, "\"f%u\"", 5, 1);
    assert_int_equal(strlen(setting_of(b.path, "hwid")), 36);
    for (i = 0; i < b.w.count; i++)
        for (k = 0; k < i; k++) assert_string_not_equal(b.w.calls[i].key, b.w.calls[k].key);
    b.w.otherwise.http_status = 0; /* nor without a server */
    track_many(t, 5, 5);
    pump_later(t);
    pump_later(t);
    end(t);
    no_random = false;
    deliver_rest(&b);
    bench_free(&b);
}

/* ---- a sandbox ------------------------------------------------------------------------------- */

#if defined(__linux__) && defined(SECCOMP_MODE_FILTER) && defined(__x86_64__)
enum {
    NO_FILES = 1,
    NO_THREADS = 2,
    NO_SOCKETS = 4,
    NO_OTHERS = 8 /* locks, barriers, random bytes */
};

static unsigned box;

static void box_close(void)
{
    static const struct {
        unsigned kind;
        int      number;
    } rows[] = {
        { NO_FILES, SYS_open },        { NO_FILES, SYS_openat },
        { NO_FILES, SYS_mkdir },       { NO_FILES, SYS_mkdirat },
        { NO_FILES, SYS_rename },      { NO_FILES, SYS_unlink },
        { NO_FILES, SYS_stat },        { NO_FILES, SYS_lstat },
        { NO_FILES, SYS_newfstatat },  { NO_FILES, SYS_access },
        { NO_FILES, SYS_readlink },    { NO_THREADS, SYS_clone },
        { NO_THREADS, SYS_clone3 },    { NO_SOCKETS, SYS_socket },
        { NO_SOCKETS, SYS_connect },   { NO_OTHERS, SYS_flock },
        { NO_OTHERS, SYS_membarrier }, { NO_OTHERS, SYS_getrandom },
        { NO_OTHERS, SYS_fallocate },  { NO_OTHERS, SYS_madvise },
        { NO_OTHERS, SYS_uname },      { SANITIZED ? 0 : NO_OTHERS, SYS_sigaltstack },
        { NO_OTHERS, SYS_kill },       { NO_OTHERS, SYS_fsync },
    };
    struct sock_filter program[2 * COUNT_OF(rows) + 2], *at = program;
    struct sock_fprog  all;
    size_t             i;
    struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_filter deny = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    *at++ = load;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct sock_filter is = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
        if (!(box & rows[i].kind)) continue;
        is.k = (unsigned)rows[i].number;
        *at++ = is;
        *at++ = deny;
    }
    *at++ = allow;
    all.len = (unsigned short)(at - program);
    all.filter = program;
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0);
}

static void act_boxed(bench *b)
{
    vit_client *t;
    unsigned    i;
    b->o.crash_handler = b->o.audit = true;
    box_close();
    for (i = 0; i < 2; i++) {
        b->o.no_thread = i == 0;
        t = vit_create(&b->o);
        MUST(t);
        vit_session_begin(t, NULL, NULL);
        try_many(t, 0, 5);
        if (box & NO_FILES) { /* what may refuse cannot be read */
            MUST(vit_get_consent(t, NULL) == VIT_CONSENT_DENIED);
            MUST(!vit_flush(t, 50) && wire_count(&b->w) == 0);
        } else {
            MUST(vit_flush(t, 5000));
            MUST(wire_times(&b->w, "\"f4\"") == i + 1);
        }
        vit_session_end(t, VIT_EXIT_NORMAL);
        MUST(is_balanced(t));
        MUST(vit_destroy(t, 2000));
    }
}

/* Each kind of call is refused, and all of them: events still go out by the transport, unless no
   file can be read that might refuse. */
static void test_sandbox(void **state)
{
    (void)state;
    for (box = 1; box < 16; box++) {
        bench b;
        int   status;
        bench_make(&b);
        b.o.flush_ms = 5;
        status = in_child(act_boxed, &b);
        if (status != 0) fail_msg("sandbox %u: status %d", box, status);
        bench_free(&b);
    }
}
#else
static void test_sandbox(void **state)
{
    (void)state;
    skip();
}
#endif

/* ---- the host changes what it is ------------------------------------------------------------- */

static char moved_to[PATH_MAX];

static void act_moves(bench *b)
{
    vit_client *t;
    struct stat s;
    b->w.otherwise.http_status = 0;
    b->o.audit = true;
    t = vit_create(&b->o);
    MUST(t);
    try_many(t, 0, 3);
    MUST(chdir(moved_to) == 0);
    MUST(setenv("HOME", moved_to, 1) == 0 && setenv("XDG_STATE_HOME", moved_to, 1) == 0);
    MUST(setenv("XDG_RUNTIME_DIR", moved_to, 1) == 0 && setenv("TMPDIR", moved_to, 1) == 0);
    (void)umask(0777);
    (void)setlocale(LC_ALL, "");
    try_many(t, 3, 3);
    pump_later(t);
    pump_later(t);
    vit_set_consent(t, VIT_CONSENT_VERBOSE);
    MUST(vit_get_stats(t).spooled == 6);
    MUST(vit_destroy(t, 0));
    MUST(lstat(moved_to, &s) == 0 && s.st_nlink == 2); /* and no folder in it */
}

static void test_moves(void **state)
{
    bench b;
    char  absolute[PATH_MAX];
    (void)state;
    bench_make(&b);
    assert_non_null(realpath(b.folder, absolute));
    snprintf(moved_to, sizeof moved_to, "%.4000s-elsewhere", absolute);
    assert_int_equal(mkdir(moved_to, 0700), 0);
    assert_int_equal(in_child(act_moves, &b), 0);
    assert_int_equal(rmdir(moved_to), 0); /* it is empty */
    deliver_rest(&b);
    assert_each(&b.w, "\"f%u\"", 6, 1);
    bench_free(&b);
}

static void act_other_user(bench *b)
{
    vit_client *t;
    b->w.otherwise.http_status = 0;
    t = vit_create(&b->o);
    MUST(t);
    try_many(t, 0, 3);
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    try_many(t, 3, 3);
    pump_later(t);
    pump_later(t); /* the folder is another user's by now */
    MUST(is_balanced(t));
    b->w.otherwise.http_status = 201;
    jumped_ns += HOUR_NS;
    (void)vit_flush(t, 1000);
    MUST(is_balanced(t));
    MUST(vit_destroy(t, 0));
    b->o.data_dir = NULL; /* nor is there a home */
    unsetenv("HOME");
    t = vit_create(&b->o);
    MUST(t);
    try_many(t, 6, 3);
    MUST(vit_flush(t, 1000));
    MUST(wire_times(&b->w, "\"f8\"") == 1);
    MUST(vit_destroy(t, 0));
}

static void act_other_root(bench *b)
{
    vit_client *t;
    b->w.otherwise.http_status = 0;
    t = vit_create(&b->o);
    MUST(t);
    try_many(t, 0, 3);
    MUST(chroot(moved_to) == 0 && chdir("/") == 0);
    try_many(t, 3, 3);
    pump_later(t);
    pump_later(t);
    MUST(is_balanced(t));
    b->w.otherwise.http_status = 201;
    jumped_ns += HOUR_NS;
    MUST(vit_flush(t, 1000));
    MUST(wire_times(&b->w, "\"f5\"") == 1);
    MUST(is_balanced(t));
    MUST(vit_destroy(t, 0));
}

/* As root only: it gives its rights away, or shuts itself into a folder. */
static void test_other_user_or_root(void **state)
{
    bench b;
    char  absolute[PATH_MAX];
    (void)state;
    if (geteuid() != 0) skip();
    assert_acts(act_other_user);
    bench_make(&b);
    assert_non_null(realpath(b.folder, absolute));
    snprintf(moved_to, sizeof moved_to, "%.4000s-root", absolute);
    assert_int_equal(mkdir(moved_to, 0700), 0);
    assert_int_equal(in_child(act_other_root, &b), 0);
    folder_remove(moved_to);
    bench_free(&b);
}

/* Somebody who has no home, no name, and no right to write anywhere. */
static void act_nobody(bench *b)
{
    static const char *const homes[] = { NULL, "", "relative", "/", "/nonexistent/x", "/etc" };
    size_t                   i;
    MUST(setgid(61234) == 0 && setuid(61234) == 0);
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("USER");
    unsetenv("LOGNAME");
    for (i = 0; i < COUNT_OF(homes); i++) {
        vit_client *t;
        size_t      before = wire_count(&b->w);
        if (homes[i]) MUST(setenv("HOME", homes[i], 1) == 0);
        else unsetenv("HOME");
        b->o.data_dir = NULL;
        b->o.audit = true;
        t = vit_create(&b->o);
        MUST(t);
        MUST(vit_get_consent(t, NULL) == VIT_CONSENT_GRANTED);
        try_many(t, 0, 3);
        MUST(vit_flush(t, 1000));
        MUST(wire_count(&b->w) == before + 3);
        b->w.otherwise.http_status = 0;
        try_many(t, 3, 3);
        pump_later(t);
        pump_later(t);
        MUST(is_balanced(t) && vit_get_stats(t).spooled == 0);
        b->w.otherwise.http_status = 201;
        MUST(vit_destroy(t, 0));
    }
}

static void test_nobody(void **state)
{
    (void)state;
    if (geteuid() != 0) skip();
    assert_acts(act_nobody);
}

/* ---- the end --------------------------------------------------------------------------------- */

static vit_client *of_exit;
static void        at_exit(void)
{
    uint64_t begin_ms = now_ms();
    (void)vit_destroy(of_exit, 100);
    if (now_ms() - begin_ms > 20000) _exit(3);
}

static uint32_t     hanging;
static vit_response hang(wire *w, const vit_request *request, size_t number)
{
    vit_response none = { 0, 0 };
    (void)w, (void)number;
    __atomic_store_n(&hanging, 1u, __ATOMIC_SEQ_CST);
    while (!vit_request_cancelled(request)) sleep_ms(1);
    return none;
}

static void act_exit(bench *b)
{
    uint64_t end_ms;
    b->o.no_thread = false;
    b->o.flush_ms = 1;
    b->w.answer_fn = hang;
    of_exit = vit_create(&b->o);
    MUST(of_exit);
    MUST(atexit(at_exit) == 0);
    try_many(of_exit, 0, 3);
    end_ms = now_ms() + WAIT_MS;
    while (!__atomic_load_n(&hanging, __ATOMIC_SEQ_CST) && now_ms() < end_ms) sleep_ms(1);
    fflush(NULL);
    exit(0);
}

/* vit_destroy runs behind main, while a request hangs. */
static void test_exit(void **state)
{
    bench b;
    (void)state;
    bench_make(&b);
    assert_int_equal(in_child(act_exit, &b), 0);
    deliver_rest(&b);
    assert_each(&b.w, "\"f%u\"", 3, 1);
    bench_free(&b);
}

/* ---- locales --------------------------------------------------------------------------------- */

static bool set_locale(const char *name)
{
    char command[256];
    snprintf(command, sizeof command,
             "command -v localedef >/dev/null 2>&1 && mkdir -p build/locale && "
             "{ test -d build/locale/%s.UTF-8 || "
             "localedef -i %s -f UTF-8 build/locale/%s.UTF-8 >/dev/null 2>&1; }",
             name, name, name);
    if (system(command) != 0 || setenv("LOCPATH", "build/locale", 1) != 0) return false;
    snprintf(command, sizeof command, "%s.UTF-8", name);
    return setlocale(LC_ALL, command) != NULL;
}

/* All that a locale could touch: numbers, letters, white space, the file of settings. */
static void write_all(char *out, size_t size)
{
    bench       b;
    vit_client *t;
    vit_event   e;
    const char *line;
    t = bench_open(&b);
    vit_event_begin(&e, t, "LOCALE.I", NULL);
    vit_add_real(&e, "real", -1234567.890625);
    vit_add_int(&e, "int", 1234567);
    vit_add_label(&e, "label", "TITLE I");
    vit_add_text(&e, "text", "ISTANBUL Mail an INFO@EXAMPLE.COM, 1,5 mal 10.0.0.1");
    vit_add_uuid(&e, "uuid", "0F8FAD5B-D9CB-469F-A165-70867728950E");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    line = strstr(line, "\"metadata\":");
    assert_non_null(line);
    line = strstr(line, "\"real\":");
    assert_non_null(line);
    snprintf(out, size, "%.*s", (int)strcspn(line, "}"), line);
    assert_int_equal(strlen(setting_of(b.path, "hwid")), 36);
    bench_close(&b, t);
}

static void test_locales(void **state)
{
    static const char *const names[] = { "de_DE", "tr_TR" };
    char                     plain[2048], other[2048];
    char                    *at, *stop;
    size_t                   i, seen = 0;
    (void)state;
    write_all(plain, sizeof plain);
    for (i = 0; i < COUNT_OF(names); i++) {
        if (!set_locale(names[i])) continue;
        assert_string_equal(localeconv()->decimal_point, ","); /* it is really there */
        seen++;
        write_all(other, sizeof other);
        (void)setlocale(LC_ALL, "C");
        at = strstr(plain, "\"correlation_id\"");
        stop = strstr(other, "\"correlation_id\"");
        if (at && stop) *at = *stop = 0; /* differs each time */
        assert_string_equal(other, plain);
    }
    if (seen > 0) return;
    print_message("skipped: no localedef, or no source of a locale with a comma\n");
    skip();
}

static int setup(void **state)
{
    (void)state;
    jumped_ns = slept_ns = 0;
    in_plain_memory = no_random = false;
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_descriptors_closed),
        TEST(test_descriptors_low),
        TEST(test_programs_started),
        TEST(test_becomes_another),
        TEST(test_handler_tracks),
        TEST(test_broken_pipe),
        TEST(test_cancelled),
        TEST(test_cancelled_inside),
        TEST(test_sleeps),
        TEST(test_stopped),
        TEST(test_umask),
        TEST(test_few_descriptors),
        TEST(test_small_files),
        TEST(test_little_memory),
        TEST(test_no_random),
        TEST(test_sandbox),
        TEST(test_moves),
        TEST(test_other_user_or_root),
        TEST(test_nobody),
        TEST(test_exit),
        TEST(test_locales),
    };
    if (argc == 2 && strcmp(argv[1], self[1]) == 0) return list_descriptors();
    environment_clear();
    if (argc == 3) return next_program(argv[2]);
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
