/* test_faults.c: each system call of a client fails, once or from then on: of its settings, its
   pool, the spool, and of what it hears of a run that was killed. Nothing crashes, the books
   balance at each quiet moment, and no event arrives twice under two keys; nor where it is killed
   at that call, which loses none either. A thread that cannot be started is done without.

   Build: cc -std=c99 -I. tests/test_faults.c -o build/tests/test_faults -lcmocka -pthread */

/* The header's calls go through these; the real ones are reached by their names in the library. */
#define open           fault_open
#define fstat          fault_fstat
#define lstat          fault_lstat
#define flock          fault_flock
#define rename         fault_rename
#define unlink         fault_unlink
#define ftruncate      fault_ftruncate
#define write          fault_write
#define read           fault_read
#define lseek          fault_lseek
#define mkdir          fault_mkdir
#define fchmod         fault_fchmod
#define opendir        fault_opendir
#define fsync          fault_fsync
#define link           fault_link
#define mmap           fault_mmap
#define fallocate      fault_fallocate
#define fstatfs        fault_fstatfs
#define readdir        fault_readdir
#define madvise        fault_madvise
#define munmap         fault_munmap
#define getcwd         fault_getcwd
#define uname          fault_uname
#define kill           fault_kill
#define sigaltstack    fault_sigaltstack
#define pthread_create fault_pthread_create
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"
#undef open
#undef fstat
#undef lstat
#undef flock
#undef rename
#undef unlink
#undef ftruncate
#undef write
#undef read
#undef lseek
#undef mkdir
#undef fchmod
#undef opendir
#undef fsync
#undef link
#undef mmap
#undef fallocate
#undef fstatfs
#undef readdir
#undef madvise
#undef munmap
#undef getcwd
#undef uname
#undef kill
#undef sigaltstack
#undef pthread_create

/* Their declarations went to the other names. */
int            mkdir(const char *path, mode_t mode);
int            lstat(const char *path, struct stat *s);
int            kill(pid_t process, int number);
DIR           *opendir(const char *path);
struct dirent *readdir(DIR *d);

#include <sys/wait.h>

#include "common.h"

#include "bench.h"

static unsigned calls, fails_at; /* fails_at: this call fails; 0: none */
static bool     for_ever;        /* and all behind it */
static bool     kills;           /* it is the last one of the process */
static int      fault_errno;

static bool fails(void)
{
    calls++;
    if (fails_at == 0 || (for_ever ? calls < fails_at : calls != fails_at)) return false;
    if (kills) (void)raise(SIGKILL);
    errno = fault_errno;
    return true;
}

#define FAULT(type, name, parameters, arguments, failure) \
    type real_##name parameters __asm__(#name);           \
    type fault_##name parameters;                         \
    type fault_##name parameters { return fails() ? failure : real_##name arguments; }

FAULT(int, fstat, (int fd, struct stat *s), (fd, s), -1)
FAULT(int, lstat, (const char *path, struct stat *s), (path, s), -1)
FAULT(int, flock, (int fd, int how), (fd, how), -1)
FAULT(int, rename, (const char *from, const char *to), (from, to), -1)
FAULT(int, unlink, (const char *path), (path), -1)
FAULT(int, ftruncate, (int fd, off_t size), (fd, size), -1)
FAULT(ssize_t, read, (int fd, void *out, size_t size), (fd, out, size), -1)
FAULT(off_t, lseek, (int fd, off_t at, int from), (fd, at, from), (off_t)-1)
FAULT(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
FAULT(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
FAULT(DIR *, opendir, (const char *path), (path), NULL)
FAULT(int, fsync, (int fd), (fd), -1)
FAULT(int, link, (const char *from, const char *to), (from, to), -1)
FAULT(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
      (at, size, protection, flags, fd, offset), MAP_FAILED)
FAULT(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), -1)

FAULT(int, fstatfs, (int fd, struct statfs *s), (fd, s), -1)
FAULT(struct dirent *, readdir, (DIR * d), (d), NULL)
FAULT(int, madvise, (void *at, size_t size, int what), (at, size, what), -1)
FAULT(int, munmap, (void *at, size_t size), (at, size), -1)
FAULT(char *, getcwd, (char *out, size_t size), (out, size), NULL)
FAULT(int, uname, (struct utsname * u), (u), -1)
FAULT(int, kill, (pid_t process, int number), (process, number), -1)
FAULT(int, sigaltstack, (const stack_t *now, stack_t *old), (now, old), -1)

int real_open(const char *path, int flags, ...) __asm__("open");
int fault_open(const char *path, int flags, ...);
int fault_open(const char *path, int flags, ...)
{
    va_list more;
    int     mode;
    va_start(more, flags);
    mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    return fails() ? -1 : real_open(path, flags, mode);
}

/* A full disk takes a part. */
ssize_t real_write(int fd, const void *data, size_t size) __asm__("write");
ssize_t fault_write(int fd, const void *data, size_t size);
ssize_t fault_write(int fd, const void *data, size_t size)
{
    if (!fails()) return real_write(fd, data, size);
    if (fault_errno == ENOSPC && size > 1) return real_write(fd, data, size / 2u);
    return -1;
}

int         real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                                void *) __asm__("pthread_create");
int         fault_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static bool no_thread_starts;
int fault_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *),
                         void *argument)
{
    return no_thread_starts ? EAGAIN : real_pthread_create(thread, attributes, fn, argument);
}

/* ---------------------------------------------------------------------------------------------- */

static void pump(vit_client *t)
{
    pump_at_most(t, 20);
    assert_balanced(t);
}

/* A run that leaves something to tell. */
static void be_killed(bench *b)
{
    pid_t child = fork_child();
    if (child == 0) {
        vit_client *t = vit_create(&b->o);
        vit_error   e;
        memset(&e, 0, sizeof e);
        vit_session_begin(t, "killed", NULL);
        try_many(t, 12, 3);
        (void)vit_track_error(t, &e);
        (void)vit_track_error(t, &e);
        (void)kill(getpid(), SIGKILL);
    }
    wait_killed(child);
}

/* Away, a restart, back: what a client does with the disk. */
static void live(bench *b)
{
    vit_client *t = vit_create(&b->o);
    unsigned    i;
    for (i = 0; t && i < 3; i++) {
        try_many(t, 4 * i, 4);
        sleep_ms(3);
        pump(t);
        if (i == 1) (void)vit_destroy(t, 0), t = vit_create(&b->o);
        if (i == 1) b->w.otherwise.http_status = 201;
        if (t) (void)vit_flush(t, 0);
        if (t) pump(t);
        if (t && i == 1) (void)vit_export(t, lines_add, b->w.user);
    }
    if (t) assert_balanced(t);
    (void)vit_destroy(t, 0);
}

/* What came in several requests came under one key. */
static void assert_one_key(wire *w, const char *event)
{
    size_t i, first = w->count;
    for (i = 0; i < w->count; i++) {
        if (w->calls[i].status / 100 != 2 || !strstr(w->calls[i].body, event)) continue;
        if (first == w->count) first = i;
        assert_string_equal(w->calls[i].key, w->calls[first].key);
    }
}

static void assert_once(wire *w)
{
    unsigned n;
    char     name[24];
    for (n = 0; n < 15; n++) {
        snprintf(name, sizeof name, "\"f%u\"", n);
        assert_one_key(w, name);
    }
    assert_one_key(w, "\"session.end\"");
    assert_one_key(w, "\"error.repeated\"");
}

static unsigned run(unsigned at, bool ever, int error, vit_wire form)
{
    bench b;
    lines l = { NULL, 0, 0 };
    char  pools[PATH_MAX];
    bench_make(&b);
    assert_non_null(realpath(b.folder, pools)); /* what cannot be removed goes with the folder */
    setenv("XDG_RUNTIME_DIR", pools, 1);
    b.o.flush_ms = 1;
    b.o.wire = form;
    b.o.queue_bytes = 65536;
    b.w.otherwise.http_status = 0;
    b.w.user = &l;
    b.o.crash_handler = true;
    be_killed(&b);
    calls = 0;
    for_ever = ever;
    fault_errno = error;
    fails_at = at;
    live(&b);
    fails_at = 0;
    assert_once(&b.w);
    lines_free(&l);
    bench_free(&b);
    return calls;
}

#ifndef STEP
#define STEP 7u /* of the calls, each error another one of them: 1 takes a minute */
#endif

static void test_each_call(void **state)
{
    static const int errors[] = { EIO, ENOSPC, EACCES, EMFILE };
    size_t           i;
    unsigned         at, count = run(0, false, 0, VIT_WIRE_EVENT);
    (void)state;
    assert_true(count > 200); /* there is something to fail */
    for (i = 0; i < 2 * COUNT_OF(errors); i++)
        for (at = 1 + (unsigned)i; at < count + 20u; at += STEP)
            (void)run(at, i & 1, errors[i / 2], at % 2 ? VIT_WIRE_NDJSON : VIT_WIRE_EVENT);
}

/* Takes one event a request only, so that what is one request of one run's is several of another's:
   also where both have it. */
static vit_response one_at_a_time(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    (void)w, (void)number;
    if (memchr(r->body, '\n', r->body_size - 1)) answer.http_status = 413;
    return answer;
}

/* Hears of a run that was killed, records, and moves all into the spool, since the server is away.
   It is killed at the call `at`. */
static void live_until(bench *b, unsigned at, int accepted)
{
    vit_client *t;
    unsigned    i;
    char        name[24];
    calls = 0;
    for_ever = false;
    kills = true;
    fails_at = at;
    t = vit_create(&b->o);
    for (i = 0; t && i < 4; i++) {
        snprintf(name, sizeof name, "f%u", i);
        if (track(t, name) == VIT_OK && real_write(accepted, &i, sizeof i) != sizeof i) _exit(1);
    }
    sleep_ms(3);
    while (vit_pump(t)) {}
    (void)vit_destroy(t, 0);
    _exit(0);
}

static void test_killed_at_each_call(void **state)
{
    unsigned at, i;
    bool     killed = true;
    (void)state;
    for (at = 1; killed; at++) {
        bench       b;
        vit_client *t;
        pid_t       child;
        char        name[24], pools[PATH_MAX];
        int         status, accepted[2];
        bench_make(&b);
        assert_non_null(realpath(b.folder, pools));
        setenv("XDG_RUNTIME_DIR", pools, 1);
        assert_int_equal(pipe(accepted), 0);
        b.o.flush_ms = 1;
        b.o.wire = VIT_WIRE_NDJSON;
        b.o.queue_bytes = 65536;
        b.w.otherwise.http_status = 0;
        be_killed(&b);
        child = fork_child();
        if (child == 0) live_until(&b, at, accepted[1]);
        assert_int_equal(waitpid(child, &status, 0), child);
        killed = WIFSIGNALED(status);
        close(accepted[1]);
        b.w.answer_fn = one_at_a_time;
        t = bench_client(&b);
        assert_true(vit_flush(t, 2000));
        while (real_read(accepted[0], &i, sizeof i) == sizeof i) {
            snprintf(name, sizeof name, "\"f%u\"", i);
            if (wire_times(&b.w, name) == 0) fail_msg("call %u: %s is lost", at, name);
        }
        close(accepted[0]);
        assert_true(wire_times(&b.w, "\"f12\"") > 0 && wire_times(&b.w, "\"f14\"") > 0);
        assert_once(&b.w);
        bench_close(&b, t);
    }
    assert_true(at > 200);
}

static void test_no_thread(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    no_thread_starts = true;
    t = bench_client(&b);
    no_thread_starts = false;
    assert_int_equal(logs_of(&b.l, VIT_LOG_NO_THREAD), 1);
    track_many(t, 0, 3);
    assert_true(vit_flush(t, 1000));
    track_many(t, 3, 1);
    sleep_ms(60);
    assert_true(vit_pump(t));
    assert_each(&b.w, "\"f%u\"", 4, 1);
    bench_close(&b, t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_call),
                                               cmocka_unit_test(test_killed_at_each_call),
                                               cmocka_unit_test(test_no_thread) };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
