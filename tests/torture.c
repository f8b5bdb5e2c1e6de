/* torture.c - runs each test of a program again and again while the n-th call of the system fails,
   once or from then on, for n = 1, 2, ... until a run makes no n calls. Linked to a test whose
   vitelemetry.h was compiled behind torture.h; it takes the place of cmocka's runner.

   A test may end early: that an event is missing is what it shall see. But in each run
     - nothing crashes or hangs, no sanitizer complains,
     - when failures are over, a client that lives records, its books balance, and it ends,
     - when the last client has ended nothing is held: memory, descriptors, folders, mappings,
       threads, locks. Where a test held parts of a client itself and ended early, what it held is
       not looked at.

   Usage: PROGRAM [NAME ...]     only the tests that begin with NAME
     TORTURE_TIME    seconds for each test (default 20); when every call would take longer, each
                     k-th fails. 0: every call
     TORTURE_AT, TORTURE_EVER
                     one run only: this call fails, once or (EVER=1) from then on
     TORTURE_SEED    another choice of calls and errors
   Last line: `N passed, N failed`, of tests; those that are left out are no part of it. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../vitelemetry.h"

#include "options.h"

#define HELD_MAX    8192
#define CLIENTS_MAX 64
#define RUN_MAX_MS  60000

enum verdict {
    DIED, /* before it could be judged */
    JUDGED,
    REFUSED_TO_WORK,
    NOT_BALANCED,
    LEFT_BEHIND
};

/* What a run tells who waits for it. */
static struct report {
    unsigned     calls;                /* that could have failed */
    bool         reached, whole, mute; /* mute: abort() with nothing said before it */
    enum verdict verdict;
    char         failed_call[40];
    int          failed_line;
    char         text[400];
} * report;

static unsigned fails_at; /* 0: none */
static bool     for_ever, armed;
static unsigned seed;

/* ---- calls that fail ------------------------------------------------------------------------ */

static int error_of(const char *call, unsigned turn)
{
    static const struct {
        const char *call;
        int         errors[4];
    } table[] = { { "open", { EINTR, EMFILE, EACCES, ENOSPC } },
                  { "mkdir", { EACCES, ENOSPC, EROFS, EDQUOT } },
                  { "read", { EINTR, EIO, EINTR, EIO } },
                  { "write", { ENOSPC, EINTR, EIO, EDQUOT } },
                  { "flock", { ENOLCK, EINTR, EWOULDBLOCK, EBADF } },
                  { "rename", { EACCES, ENOSPC, ENOENT, EIO } },
                  { "link", { EPERM, ENOSPC, EMLINK, EACCES } },
                  { "fallocate", { ENOSPC, EOPNOTSUPP, EINTR, EFBIG } },
                  { "ftruncate", { EIO, EINTR, EFBIG, EINVAL } },
                  { "malloc", { ENOMEM, ENOMEM, ENOMEM, ENOMEM } },
                  { "mmap", { ENOMEM, EACCES, ENODEV, EAGAIN } },
                  { "syscall", { ENOSYS, EAGAIN, EPERM, ENOSYS } },
                  { "kill", { EPERM, EINVAL, EPERM, EPERM } },
                  { "", { EIO, EACCES, EMFILE, ENOMEM } } };
    size_t i = 0;
    while (table[i].call[0] && strcmp(table[i].call, call) != 0) i++;
    if (for_ever && table[i].errors[turn & 3u] == EINTR) turn++; /* no signal comes for ever */
    return table[i].errors[turn & 3u];
}

static bool turn_has_come(unsigned *call)
{
    if (!armed || !report) return false;
    *call = __atomic_add_fetch(&report->calls, 1, __ATOMIC_RELAXED);
    return fails_at != 0 && (for_ever ? *call >= fails_at : *call == fails_at);
}

static void note(const char *call, int line)
{
    if (__atomic_exchange_n(&report->reached, true, __ATOMIC_RELAXED)) return;
    snprintf(report->failed_call, sizeof report->failed_call, "%s", call);
    report->failed_line = line;
}

int torture_fails(const char *call, int line)
{
    unsigned n;
    if (!turn_has_come(&n)) return 0;
    note(call, line);
    errno = error_of(call, n + seed);
    return 1;
}

int torture_has_failed(void) { return report && report->reached; }

unsigned long torture_part(const char *call, unsigned long size, int line)
{
    unsigned n;
    if (size < 2 || !turn_has_come(&n)) return size;
    note(call, line);
    return ((n + seed) & 1u) != 0 ? 1 : size - 1;
}

/* ---- what is held --------------------------------------------------------------------------- */

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct held {
    enum torture_kind  kind;
    unsigned long long key;
    int                line;
} held[HELD_MAX];
static size_t held_count;

static void hold(enum torture_kind kind, unsigned long long key, int line)
{
    pthread_mutex_lock(&held_lock);
    if (held_count < HELD_MAX) {
        held[held_count].kind = kind;
        held[held_count].key = key;
        held[held_count++].line = line;
    }
    pthread_mutex_unlock(&held_lock);
}

long long torture_number(enum torture_kind kind, long long number, int line)
{
    int error = errno;
    if (kind == TORTURE_THREAD || number >= 0) hold(kind, (unsigned long long)number, line);
    errno = error;
    return number;
}

void *torture_pointer(enum torture_kind kind, void *pointer, int line)
{
    int error = errno;
    if (pointer && pointer != MAP_FAILED) hold(kind, (uintptr_t)pointer, line);
    errno = error;
    return pointer;
}

void torture_let_go(enum torture_kind kind, unsigned long long key)
{
    int    error = errno;
    size_t i;
    pthread_mutex_lock(&held_lock);
    for (i = held_count; i-- > 0;) {
        if (held[i].kind != kind || held[i].key != key) continue;
        held[i] = held[--held_count];
        break;
    }
    pthread_mutex_unlock(&held_lock);
    errno = error;
}

/* ---- clients -------------------------------------------------------------------------------- */

static struct vit_client *clients[CLIENTS_MAX];

void torture_born(void *client)
{
    size_t i;
    for (i = 0; client && i < CLIENTS_MAX; i++) {
        if (clients[i]) continue;
        clients[i] = (struct vit_client *)client;
        return;
    }
}

void torture_dies(void *client)
{
    size_t i;
    for (i = 0; i < CLIENTS_MAX; i++)
        if (clients[i] == client) clients[i] = NULL;
}

static void sleep_ms(long ms)
{
    struct timespec t;
    t.tv_sec = ms / 1000;
    t.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&t, NULL);
}

static void blame(enum verdict verdict, const char *form, ...)
    __attribute__((format(printf, 2, 3)));
static void blame(enum verdict verdict, const char *form, ...)
{
    va_list more;
    if (report->verdict != JUDGED) return; /* the first tells most */
    report->verdict = verdict;
    va_start(more, form);
    vsnprintf(report->text, sizeof report->text, form, more);
    va_end(more);
}

/* The failures are over: it works, or says why not. */
static void judge_client(struct vit_client *t)
{
    vit_feature_toggled e;
    vit_status          status;
    vit_gate            why = VIT_GATE_NONE;
    bool                granted = vit_get_consent(t, &why) >= VIT_CONSENT_GRANTED;
    unsigned            i;
    memset(&e, 0, sizeof e);
    e.feature_name = "torture";
    status = vit_track_feature_toggled(t, &e);
    if (granted && status != VIT_OK && status != VIT_QUEUE_FULL && status != VIT_SAMPLED_OUT &&
        status != VIT_DISABLED)
        blame(REFUSED_TO_WORK, "vit_track_feature_toggled gives %d", (int)status);
    for (i = 0; i < 2000 && !is_balanced(t); i++) sleep_ms(1);
    if (i == 2000)
        blame(NOT_BALANCED, "accepted %lu, adopted %lu, delivered %lu, queued %lu",
              (unsigned long)vit_get_stats(t).accepted, (unsigned long)vit_get_stats(t).adopted,
              (unsigned long)vit_get_stats(t).delivered, (unsigned long)vit_get_stats(t).queued);
    /* false: its transport hangs; it is asked again */
    for (i = 0; i < 30 && !vit_destroy(t, 200); i++) sleep_ms(100);
}

static void judge_held(void)
{
    static const char *const names[] = { "memory",    "a descriptor", "a folder",
                                         "a mapping", "a thread",     "a lock" };
    char                     text[320];
    size_t                   i, n = 0;
    text[0] = 0;
    for (i = 0; i < held_count && n + 40 < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s of line %d", i ? ", " : "",
                              names[held[i].kind], held[i].line);
    if (held_count > 0) blame(LEFT_BEHIND, "%lu held: %s", (unsigned long)held_count, text);
}

/* Tests that hold parts of a client themselves: what they leave when they end early is theirs. */
static const char *const holders[] = { "test_hold_is_not_for_ever", "test_folder_held" };
static bool              is_holder;

/* Of a test that passed, or was ended by an assertion. */
static void judge(void)
{
    size_t i;
    bool   any = false;
    armed = false;
    report->verdict = JUDGED;
    for (i = 0; i < CLIENTS_MAX; i++)
        if (clients[i]) any = true, judge_client(clients[i]);
    if (report->whole || (any && !is_holder)) judge_held();
}

/* ---- runs ----------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s, (void)f;
    if (type == FTW_DNR || type == FTW_D) (void)chmod(path, 0700);
    return remove(path);
}

static void folder_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Each run has a folder of its own, with what the tests look for in the project's. */
static void folder_make(const char *folder)
{
    static const char *const wanted[] = { "tests",         "examples",  "bench",
                                          "vitelemetry.h", "README.md", "build/examples" };
    char                     from[4096], to[4200];
    char                    *top = realpath(".", NULL);
    size_t                   i;
    folder_remove(folder);
    (void)mkdir(folder, 0755);
    snprintf(to, sizeof to, "%s/build", folder);
    (void)mkdir(to, 0755);
    for (i = 0; top && i < sizeof wanted / sizeof wanted[0]; i++) {
        snprintf(from, sizeof from, "%s/%s", top, wanted[i]);
        snprintf(to, sizeof to, "%s/%s", folder, wanted[i]);
        if (symlink(from, to) != 0) perror(to);
    }
    free(top);
}

static off_t said; /* bytes of the log when the test began */

/* cmocka calls abort() in place of an assertion that fails: what the test has on its stack is still
   there, and a client may use it. */
static void end_early(int number)
{
    struct rlimit size; /* a test that limits files cannot say anything into this one */
    (void)number;
    report->mute = lseek(1, 0, SEEK_CUR) == said && getrlimit(RLIMIT_FSIZE, &size) == 0 &&
                   size.rlim_cur == RLIM_INFINITY;
    judge();
    _exit(0); /* with what the test itself still has */
}

static CMFixtureFunction own_setup;
static int               begin_test(void **state)
{
    said = lseek(1, 0, SEEK_CUR);
    return own_setup ? own_setup(state) : 0;
}

static void run_here(const struct CMUnitTest *wanted, const char *folder)
{
    struct CMUnitTest          test = *wanted;
    size_t                     i;
    static const struct rlimit no_core = { 0, 0 };
    char                       pools[4096];
    int                        log;
    if (chdir(folder) != 0 || mkdir("build/run", 0700) != 0 || !realpath("build/run", pools))
        _exit(1);
    (void)setenv("XDG_RUNTIME_DIR", pools, 1);
    log = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    (void)dup2(log, 1), (void)dup2(log, 2);
    (void)close(log);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)setpgid(0, 0);
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    (void)signal(SIGABRT, end_early);
    (void)setvbuf(stdout, NULL, _IONBF, 0);
    armed = true;
    for (i = 0; i < sizeof holders / sizeof holders[0]; i++)
        if (strcmp(holders[i], test.name) == 0) is_holder = true;
    own_setup = test.setup_func;
    test.setup_func = begin_test;
    report->whole = _cmocka_run_group_tests("torture", &test, 1, NULL, NULL) == 0;
    judge();
    exit(0);
}

static bool log_says(const char *folder, const char *text)
{
    static char content[1 << 16];
    char        path[4200];
    FILE       *f;
    size_t      n;
    snprintf(path, sizeof path, "%s/log", folder);
    f = fopen(path, "rb");
    if (!f) return false;
    n = fread(content, 1, sizeof content - 1, f);
    (void)fclose(f);
    content[n] = 0;
    return strstr(content, text) != NULL;
}

static void show_log(const char *folder)
{
    char  command[4400];
    FILE *f;
    char  line[300];
    snprintf(command, sizeof command, "tail -30 '%s/log'", folder);
    (void)fflush(stdout);
    f = popen(command, "r");
    while (f && fgets(line, sizeof line, f)) printf("      %s", line);
    if (f) (void)pclose(f);
}

/* Ends with a text, or NULL when the run was as it should be. */
static const char *run_once(const struct CMUnitTest *test, const char *folder, unsigned at,
                            bool ever)
{
    static char text[600];
    int         status = 0;
    uint64_t    end;
    pid_t       child;
    memset(report, 0, sizeof *report);
    fails_at = at;
    for_ever = ever;
    folder_make(folder);
    (void)fflush(stdout);
    child = fork();
    if (child == 0) run_here(test, folder);
    if (child < 0) return "fork failed";
    end = now_ms() + RUN_MAX_MS;
    while (waitpid(child, &status, WNOHANG) == 0 && now_ms() < end) {
        struct timespec t = { 0, 200000 };
        nanosleep(&t, NULL);
    }
    if (now_ms() >= end) {
        (void)kill(-child, SIGABRT), sleep_ms(100);
        (void)kill(-child, SIGKILL), (void)waitpid(child, &status, 0);
        return "hangs";
    }
    (void)kill(-child, SIGKILL); /* children that a test that ended early has left */
    if (log_says(folder, "AddressSanitizer")) return "AddressSanitizer";
    if (log_says(folder, "LeakSanitizer")) return "LeakSanitizer";
    if (log_says(folder, "runtime error:")) return "UndefinedBehaviorSanitizer";
    if (log_says(folder, "failed with exception")) return "a signal, see the log";
    if (WIFSIGNALED(status)) snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
    else if (report->verdict == DIED)
        snprintf(text, sizeof text, "ended with %d", WEXITSTATUS(status));
    else if (report->verdict == JUDGED && report->mute) return "abort";
    else if (report->verdict == JUDGED) return NULL;
    else snprintf(text, sizeof text, "%s", report->text);
    return text;
}

static unsigned env_number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text && *text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static unsigned long injected, runs, early;
static unsigned      left_out; /* no call of them failed */

static bool run_at(const struct CMUnitTest *test, const char *folder, unsigned at, bool ever)
{
    const char *bad = run_once(test, folder, at, ever);
    runs++;
    if (report->reached) injected++;
    if (!report->whole) early++;
    if (!bad) return true;
    printf("FAIL %s, call %u fails%s (%s, line %d): %s%s\n", test->name, at,
           ever ? " and all behind it" : "", report->failed_call, report->failed_line, bad,
           report->whole ? "" : " [the test ended early]");
    show_log(folder);
    return false;
}

/* Every step-th call fails once, the others from then on; bad: how many were not as they should. */
static unsigned run_all(const struct CMUnitTest *test, const char *folder, unsigned step)
{
    unsigned at, bad = 0, ever;
    for (ever = 0; ever < 2; ever++)
        for (at = 1 + (seed + ever * (step / 2)) % step;; at += step) {
            if (!run_at(test, folder, at, ever != 0) && ++bad > 5) return bad;
            if (!report->reached) break; /* untouched */
        }
    return bad;
}

/* How many calls are left out between two, so that the runs take that time. */
static unsigned step_for(unsigned calls, uint64_t took_ms, unsigned seconds)
{
    uint64_t all_ms = (took_ms + 2) * calls * 2;
    return seconds == 0 || all_ms <= seconds * 1000u ? 1
                                                     : (unsigned)(all_ms / (seconds * 1000u)) + 1;
}

static bool torture_test(const struct CMUnitTest *test, const char *folder)
{
    uint64_t    begin = now_ms();
    const char *bad;
    unsigned    calls, step, failures, at = env_number("TORTURE_AT", 0);
    unsigned    seconds = env_number("TORTURE_TIME", 20);
    if (at) return run_at(test, folder, at, env_number("TORTURE_EVER", 0) != 0);
    bad = run_once(test, folder, 0, false);
    if (!bad && log_says(folder, "Skipped!")) {
        printf("skip %s\n", test->name);
        left_out++;
        return true;
    }
    if (bad || !report->whole) {
        printf("FAIL %s, no call fails: %s\n", test->name, bad ? bad : "it does not pass");
        show_log(folder);
        return false;
    }
    calls = report->calls;
    if (calls == 0) return true;
    if (seconds != 0 && now_ms() - begin > seconds * 1000u) {
        printf("skip %s: %u calls, takes %lu ms: TIME=0 for all\n", test->name, calls,
               (unsigned long)(now_ms() - begin));
        left_out++;
        return true;
    }
    step = step_for(calls, now_ms() - begin, seconds);
    failures = run_all(test, folder, step);
    printf("%s %s: %u calls, %s%.0u%s%lu ms\n", failures ? "FAIL" : "ok  ", test->name, calls,
           step == 1 ? "each" : "one in ", step == 1 ? 0 : step, ", ",
           (unsigned long)(now_ms() - begin));
    return failures == 0;
}

/* Tests that look into the memory of the whole machine, which torture.h refuses, and that wait for
   as long as it takes for what a failing call prevents. */
static const char *const elsewhere[] = { "test_shm", "test_too_many", "test_idle",
                                         "test_idle_repeats", "test_idle_child" };

static bool is_wanted(const char *name)
{
    const char *wanted = getenv("TORTURE_ONLY");
    size_t      i;
    for (i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(name, elsewhere[i]) == 0) return false;
    return !wanted || !*wanted || strncmp(name, wanted, strlen(wanted)) == 0;
}

/* In place of cmocka's runner: torture.sh gives the tests this name for it. */
int torture_group(const char *group, const struct CMUnitTest *tests, size_t count,
                  CMFixtureFunction setup, CMFixtureFunction teardown);
int torture_group(const char *group, const struct CMUnitTest *tests, size_t count,
                  CMFixtureFunction setup, CMFixtureFunction teardown)
{
    char     folder[64];
    void    *state = NULL;
    unsigned passed = 0, failed = 0;
    size_t   i;
    (void)group;
    seed = env_number("TORTURE_SEED", 0);
    report = (struct report *)mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) return 1;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)mkdir("build", 0755), (void)mkdir("build/torture", 0755);
    snprintf(folder, sizeof folder, "build/torture/run-%ld", (long)getpid());
    if (setup && setup(&state) != 0) return 1;
    for (i = 0; i < count; i++) {
        if (!is_wanted(tests[i].name)) continue;
        if (torture_test(&tests[i], folder)) passed++;
        else failed++;
    }
    if (teardown) (void)teardown(&state);
    folder_remove(folder);
    printf("%lu failures injected in %lu runs, %lu of them ended early; %u tests left out\n",
           injected, runs, early, left_out);
    printf("%u passed, %u failed\n", passed - left_out, failed);
    return failed ? 1 : 0;
}
