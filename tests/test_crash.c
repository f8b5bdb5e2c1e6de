/* test_crash.c: what the crash handler does in cases that no program can be brought into at will:
   its parts are called as by a signal. Real crashes are made by crashes.c.

   Build: cc -std=c99 -I. tests/test_crash.c -o build/tests/test_crash -lcmocka -pthread */

#include "torture.h"

static int no_action; /* 1: the system does not tell of its signals */
#undef TORTURE_sigaction
#define TORTURE_sigaction(number, now, old) (no_action ? -1 : sigaction((number), (now), (old)))
static int no_stack; /* 1: the second call from here gives no stack for them */
#undef TORTURE_sigaltstack
#define TORTURE_sigaltstack(now, old) (no_stack && no_stack++ == 2 ? -1 : sigaltstack(now, old))
#undef TORTURE_dl_iterate_phdr
#define TORTURE_dl_iterate_phdr told_modules
struct dl_phdr_info;
static int told_modules(int (*fn)(struct dl_phdr_info *, unsigned long, void *), void *user);

#include "clocks.h"

#include "common.h"

#include "bench.h"

#include <sys/wait.h>

static unsigned modules_told; /* 0: as they are. 1: with one before the program. ~0: none */

int           torture_fails(const char *name, int line) { return (void)name, (void)line, 0; }
unsigned long torture_part(const char *name, unsigned long size, int line)
{
    (void)name, (void)line;
    return size;
}
long long torture_number(enum torture_kind kind, long long number, int line)
{
    (void)kind, (void)line;
    return number;
}
void *torture_pointer(enum torture_kind kind, void *pointer, int line)
{
    (void)kind, (void)line;
    return pointer;
}
void torture_let_go(enum torture_kind kind, unsigned long long key) { (void)kind, (void)key; }
int  torture_has_failed(void) { return 0; }
void torture_born(void *client) { (void)client; }
void torture_dies(void *client) { (void)client; }

typedef struct telling {
    int (*fn)(struct dl_phdr_info *, size_t, void *);
    void    *user;
    unsigned more;
} telling;

static int tell_module(struct dl_phdr_info *info, size_t size, void *user)
{
    telling *tell = (telling *)user;
    static ElfW(Phdr) segment;
    struct dl_phdr_info other;
    if (tell->more == ~0u) return 0;
    if (tell->more > 0) {
        tell->more = 0;
        memset(&other, 0, sizeof other);
        segment.p_type = PT_LOAD;
        segment.p_flags = PF_X;
        segment.p_vaddr = 4096;
        segment.p_memsz = 4096;
        other.dlpi_phdr = &segment;
        other.dlpi_phnum = 1;
        (void)tell->fn(&other, sizeof other, tell->user);
    }
    return tell->fn(info, size, tell->user);
}

static int told_modules(int (*fn)(struct dl_phdr_info *, unsigned long, void *), void *user)
{
    telling tell;
    tell.fn = fn;
    tell.user = user;
    tell.more = modules_told;
    return dl_iterate_phdr(tell_module, &tell);
}

/* ---- where and what -------------------------------------------------------------------------- */

static void test_touched(void **state)
{
    static const struct {
        bool      memory;
        uintptr_t touched, stack;
        uint32_t  what;
    } rows[] = { { false, 0, 0, VITP_TOUCHED_NOTHING },
                 { true, 0, 0x7000000, VITP_TOUCHED_NULL },
                 { true, 65535, 0x7000000, VITP_TOUCHED_NULL },
                 { true, 0x7000000 - 65536, 0x7000000, VITP_TOUCHED_STACK },
                 { true, 0x7000000 - 65537, 0x7000000, VITP_TOUCHED_OTHER },
                 { true, 0x7000000 + 1048575, 0x7000000, VITP_TOUCHED_STACK },
                 { true, 0x7000000 + 1048576, 0x7000000, VITP_TOUCHED_OTHER },
                 { true, 65536, 0, VITP_TOUCHED_OTHER } }; /* where the stack is is not known */
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        vitp_os_fault fault;
        memset(&fault, 0, sizeof fault);
        fault.memory = rows[i].memory;
        fault.touched = rows[i].touched;
        fault.stack = rows[i].stack;
        assert_int_equal(vitp_crash_touched(&fault), rows[i].what);
    }
}

static void test_copy(void **state)
{
    char out[5];
    (void)state;
    vitp_crash_copy(out, sizeof out, "abc");
    assert_string_equal(out, "abc");
    vitp_crash_copy(out, sizeof out, "abcdefgh");
    assert_string_equal(out, "abcd");
}

/* ---- records --------------------------------------------------------------------------------- */

static void test_claim(void **state)
{
    vitp_crash crash;
    (void)state;
    memset(&crash, 0, sizeof crash);
    assert_true(vitp_crash_claim(&crash, 0));
    assert_int_equal(crash.state, VITP_CRASH_BUSY);
    assert_false(vitp_crash_claim(&crash, 0)); /* another thread writes it */
    crash.state = VITP_CRASH_THERE;
    crash.time_ns = SECOND;
    assert_false(vitp_crash_claim(&crash, SECOND + VITP_CRASH_SURVIVED_NS));
    assert_true(vitp_crash_claim(&crash, SECOND + VITP_CRASH_SURVIVED_NS + 1)); /* long ago */
}

/* It crashes in the handler, or another thread is in it and does not come out. */
static void test_enter(void **state)
{
    vitp_crash_scene scene;
    (void)state;
    memset(&scene, 0, sizeof scene);
    assert_true(vitp_crash_enter(&scene));
    assert_int_equal(scene.thread, VITP_OS_THREAD_POINTER());
    assert_false(vitp_crash_enter(&scene));
    scene.thread = 64;
    assert_false(vitp_crash_enter(&scene));
    assert_int_equal(scene.thread, 64);
}

/* The crash that was the end is the last one, and one that was not survived. */
static void test_crash_of(void **state)
{
    vitp_run run;
    (void)state;
    memset(&run, 0, sizeof run);
    run.alive_ns = 100 * SECOND;
    assert_null(vitp_worker_crash_of(&run));
    run.crashes[0].state = VITP_CRASH_THERE;
    run.crashes[0].time_ns = 101 * SECOND;
    assert_ptr_equal(vitp_worker_crash_of(&run), &run.crashes[0]);
    run.crashes[1] = run.crashes[0];
    run.crashes[1].time_ns = 103 * SECOND;
    run.crashes[2] = run.crashes[0];
    run.crashes[2].time_ns = 102 * SECOND;
    assert_ptr_equal(vitp_worker_crash_of(&run), &run.crashes[1]);
    run.alive_ns = 103 * SECOND + VITP_CRASH_SURVIVED_NS + 1;
    assert_null(vitp_worker_crash_of(&run));
    assert_false(vitp_worker_is_writing(&run));
    run.crashes[3].state = VITP_CRASH_BUSY;
    assert_true(vitp_worker_is_writing(&run));
}

/* A client with a handler, as it is in a signal. */
static vit_client *client_in_signal(bench *b, vitp_os_fault *fault)
{
    bench_make(b);
    b->o.crash_handler = true;
    memset(fault, 0, sizeof *fault);
    fault->type = "SIGSEGV";
    fault->at = vitp_os_own_code();
    return bench_client(b);
}

static void test_write(void **state)
{
    vitp_os_fault fault;
    bench         b;
    vit_client   *t = client_in_signal(&b, &fault);
    vitp_run     *run = &t->own.ledger->run;
    uint32_t      i;
    (void)state;
    if (!vit_get_stats(t).crash_surviving) {
        (void)vit_destroy(t, 0);
        bench_free(&b);
        skip();
    }
    assert_int_equal(run->handler, 1);
    t->recorder.outlives = 0; /* the record would be lost with the process */
    assert_int_equal(vitp_crash_write(&fault, t), 0);
    t->recorder.outlives = 1;
    t->scene.only = 2; /* as in a plugin: it is not its own code */
    assert_int_equal(vitp_crash_write(&fault, t), 0);
    t->scene.only = 1;
    t->scene.thread = VITP_OS_THREAD_POINTER(); /* it crashed in the handler */
    assert_int_equal(vitp_crash_write(&fault, t), 0);
    t->scene.thread = 0;
    for (i = 0; i < VITP_CRASHES_MAX; i++) assert_int_equal(run->crashes[i].state, VITP_CRASH_NONE);
    for (i = 1; i <= VITP_CRASHES_MAX; i++) {
        assert_int_equal(vitp_crash_write(&fault, t), i);
        assert_int_equal(run->crashes[i - 1].state, VITP_CRASH_THERE);
        assert_string_equal(run->crashes[i - 1].type, "SIGSEGV");
        assert_string_equal(run->crashes[i - 1].module, "program");
        assert_int_equal(run->crashes[i - 1].told, 0);
    }
    assert_int_equal(vitp_crash_write(&fault, t), 0); /* no room */
    vitp_crash_withdraw(3, t);
    fault.at = 16; /* in no module */
    assert_int_equal(vitp_crash_write(&fault, t), 0);
    t->scene.only = 0;
    assert_int_equal(vitp_crash_write(&fault, t), 3);
    assert_string_equal(run->crashes[2].module, "");
    assert_int_equal(run->crashes[2].offset, 0);
    for (i = 1; i <= VITP_CRASHES_MAX; i++) vitp_crash_withdraw(i, t);
    (void)vit_destroy(t, 0);
    bench_free(&b);
}

/* A crash in the host's handler is no record of its own: the frames of that lie below the signal's.
   One that was survived long ago hides nothing, however deep on the stack the next one is. */
static void test_nested(void **state)
{
    vitp_os_fault fault;
    bench         b;
    vit_client   *t = client_in_signal(&b, &fault);
    uint32_t      i;
    (void)state;
    fault.stack = 0x7000000;
    fault.frame = 0x7000000 - 1024;
    if (vit_get_stats(t).crash_surviving) {
        assert_int_equal(vitp_crash_write(&fault, t), 1);
        fault.stack = 0x7000000 - 1025;
        assert_int_equal(vitp_crash_write(&fault, t), 0);
        fault.stack = 0x7000000 - 1024; /* it was left by siglongjmp */
        assert_int_equal(vitp_crash_write(&fault, t), 2);
        fault.stack = 0x7000000 - 1025;
        pass(VITP_CRASH_SURVIVED_NS + SECOND);
        assert_int_equal(vitp_crash_write(&fault, t), 1);
        for (i = 1; i <= 2; i++) vitp_crash_withdraw(i, t);
    }
    (void)vit_destroy(t, 0);
    bench_free(&b);
}

/* abort() right behind an error that ends the process is told by that; one that comes late is not,
   nor another signal. */
static void test_told(void **state)
{
    static const struct {
        uint64_t wait_ns;
        bool     aborted, fatal;
        uint32_t told;
    } rows[] = { { SECOND, true, true, 1 },
                 { 6 * SECOND, true, true, 0 },
                 { SECOND, false, true, 0 },
                 { SECOND, true, false, 0 } };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        vitp_os_fault fault;
        bench         b;
        vit_client   *t = client_in_signal(&b, &fault);
        vitp_run     *run = &t->own.ledger->run;
        if (rows[i].fatal) vit_uncaught_(t, "std::bad_alloc", "no memory");
        pass(rows[i].wait_ns);
        fault.aborted = rows[i].aborted;
        if (vit_get_stats(t).crash_surviving) {
            assert_int_equal(vitp_crash_write(&fault, t), 1);
            assert_int_equal(run->crashes[0].told, rows[i].told);
            vitp_crash_withdraw(1, t);
        }
        (void)vit_destroy(t, 0);
        bench_free(&b);
    }
}

/* A forked child's uncaught exception is not the end of its parent; nor is there an end that could
   not be recorded. 0 is no time. */
static void test_fatal(void **state)
{
    bench       b;
    vit_client *t;
    vitp_run   *run;
    int         status;
    pid_t       child;
    (void)state;
    t = bench_open(&b);
    run = &t->own.ledger->run;
    child = fork_child();
    if (child == 0) {
        vitp_error_is_fatal(t, VIT_OK);
        _exit(run->fatal_ms == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    vitp_error_is_fatal(t, VIT_QUEUE_FULL);
    assert_int_equal(run->fatal_ms, 0);
    passed_ns = (UINT64_C(1) << 32) * 1000000u;
    vitp_error_is_fatal(t, VIT_TRUNCATED);
    assert_int_equal(run->fatal_ms, 1);
    vit_uncaught_(NULL, "type", "text"); /* nobody's */
    assert_int_equal(run->fatal_ms, 1);
    (void)vit_destroy(t, 0);
    bench_free(&b);
}

static void nothing(void) {}

/* Who has the handler of the C++ part, and what was there before. */
static void test_hooks(void **state)
{
    void (*previous_fn)(void) = NULL;
    bench       b;
    vit_client *t;
    (void)state;
    t = bench_open(&b);
    vit_hook_set_(0, t, nothing);
    assert_ptr_equal(vit_hook_client_(0, NULL), t);
    assert_ptr_equal(vit_hook_client_(0, &previous_fn), t);
    assert_true(previous_fn == nothing);
    assert_null(vit_hook_client_(1, NULL));
    (void)vit_destroy(t, 0);
    assert_null(
        vit_hook_client_(0, &previous_fn)); /* it went; the handler passes on what it gets */
    assert_true(previous_fn == nothing);
    vit_hook_set_(0, NULL, NULL);
    bench_free(&b);
}

/* ---- what is loaded -------------------------------------------------------------------------- */

/* Where it cannot be told whose code is whose, there is no handler. */
static void test_no_modules(void **state)
{
    vitp_os_fault fault;
    bench         b;
    vit_client   *t;
    (void)state;
    modules_told = ~0u;
    t = client_in_signal(&b, &fault);
    modules_told = 0;
    assert_int_equal(t->own.ledger->run.handler, 0);
    assert_int_equal(vitp_os_hook.user, 0);
    (void)vit_destroy(t, 0);
    bench_free(&b);
}

/* In a module that is not the program only its own crashes are told. */
static void test_module(void **state)
{
    vitp_os_fault fault;
    bench         b;
    vit_client   *t;
    (void)state;
    modules_told = 1;
    t = client_in_signal(&b, &fault);
    modules_told = 0;
    if (vit_get_stats(t).crash_surviving) {
        assert_int_equal(t->own.ledger->run.handler, 1);
        assert_int_equal(t->scene.only, 2);
        fault.at = 5000; /* the program's */
        assert_int_equal(vitp_crash_write(&fault, t), 0);
        fault.at = vitp_os_own_code();
        assert_int_equal(vitp_crash_write(&fault, t), 1);
        vitp_crash_withdraw(1, t);
    }
    (void)vit_destroy(t, 0);
    bench_free(&b);
}

/* More of them than there is room for: the one of this header's own code takes the last place. */
static void test_many_modules(void **state)
{
    vitp_os_module rows[2];
    (void)state;
    modules_told = 1;
    assert_int_equal(vitp_os_modules(rows, 1), 1);
    modules_told = 0;
    assert_true(vitp_os_own_code() >= rows[0].begin && vitp_os_own_code() < rows[0].end);
    assert_int_equal(vitp_os_modules(rows, 2), 2);
    assert_string_equal(rows[0].name, "program");
    assert_true(vitp_os_own_code() >= rows[0].begin && vitp_os_own_code() < rows[0].end);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void test_comes_again(void **state)
{
    static const struct {
        int  number, code;
        bool again;
    } rows[] = { { SIGSEGV, SEGV_MAPERR, true },   { SIGSEGV, SI_USER, false },
                 { SIGBUS, BUS_ADRALN, true },     { SIGABRT, SI_TKILL, false },
                 { SIGTRAP, TRAP_BRKPT, false },
#ifdef SI_KERNEL
                 { SIGSEGV, SI_KERNEL, false },
#endif
#ifdef BUS_MCEERR_AO
                 { SIGBUS, BUS_MCEERR_AO, false }, { SIGSEGV, BUS_MCEERR_AO, true },
#endif
#ifndef __s390__
                 { SIGFPE, FPE_INTDIV, true },     { SIGILL, ILL_ILLOPC, true },
                 { SIGFPE, SI_USER, false }
#endif
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        siginfo_t info;
        memset(&info, 0, sizeof info);
        info.si_code = rows[i].code;
        if (vitp_os_comes_again(rows[i].number, &info) != rows[i].again)
            fail_msg("%d, %d", rows[i].number, rows[i].code);
    }
}

static void on_number(int number) { (void)number; }
static void on_info(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
}

/* A handler that returned: not out of abort(), nor when it put the default back. */
static void test_goes_on(void **state)
{
    struct sigaction before, a;
    (void)state;
    memset(&a, 0, sizeof a);
    assert_int_equal(sigaction(SIGFPE, NULL, &before), 0);
    a.sa_handler = on_number;
    assert_int_equal(sigaction(SIGFPE, &a, NULL), 0);
    assert_true(vitp_os_goes_on(SIGFPE));
    assert_false(vitp_os_goes_on(SIGABRT));
    no_action = 1;
    assert_false(vitp_os_goes_on(SIGFPE));
    no_action = 0;
    a.sa_flags = SA_SIGINFO;
    a.sa_sigaction = on_info;
    assert_int_equal(sigaction(SIGFPE, &a, NULL), 0);
    assert_true(vitp_os_goes_on(SIGFPE));
    assert_false(vitp_os_is_hooked(SIGFPE));
    memset(&a, 0, sizeof a);
    a.sa_handler = SIG_DFL;
    assert_int_equal(sigaction(SIGFPE, &a, NULL), 0);
    assert_false(vitp_os_goes_on(SIGFPE));
    a.sa_flags = SA_SIGINFO; /* it means nothing there */
    assert_int_equal(sigaction(SIGFPE, &a, NULL), 0);
    assert_false(vitp_os_goes_on(SIGFPE));
    assert_int_equal(sigaction(SIGFPE, &before, NULL), 0);
}

/* A thread that gets no stack for signals has the handler all the same, and nothing is left of
   it. */
static void *without_stack(void *user)
{
    vitp_os_fault fault;
    bench         b;
    vit_client   *t;
    stack_t       now;
    (void)user;
    assert_int_equal(sigaltstack(NULL, &now), 0);
    if (!(now.ss_flags & SS_DISABLE)) return NULL; /* a sanitizer's */
    no_stack = 1;
    t = client_in_signal(&b, &fault);
    no_stack = 0;
    assert_null(vitp_os_hook.stack);
    if (vit_get_stats(t).crash_surviving) assert_true(vitp_os_is_hooked(SIGSEGV));
    assert_int_equal(sigaltstack(NULL, &now), 0);
    assert_true(now.ss_flags & SS_DISABLE);
    (void)vit_destroy(t, 0);
    bench_free(&b);
    return NULL;
}

static void test_no_stack(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, without_stack, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A system that tells nothing of its signals: no handler of ours. */
static void test_no_action(void **state)
{
    vitp_os_fault fault;
    bench         b;
    vit_client   *t;
    uint32_t      i;
    (void)state;
    no_action = 1;
    t = client_in_signal(&b, &fault);
    for (i = 0; i < VITP_OS_SIGNAL_COUNT; i++) assert_false(vitp_os_hook.installed[i]);
    (void)vit_destroy(t, 0);
    no_action = 0;
    bench_free(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_touched),      cmocka_unit_test(test_copy),
        cmocka_unit_test(test_claim),        cmocka_unit_test(test_enter),
        cmocka_unit_test(test_crash_of),     cmocka_unit_test(test_write),
        cmocka_unit_test(test_told),         cmocka_unit_test(test_fatal),
        cmocka_unit_test(test_hooks),        cmocka_unit_test(test_no_modules),
        cmocka_unit_test(test_module),       cmocka_unit_test(test_comes_again),
        cmocka_unit_test(test_goes_on),      cmocka_unit_test(test_no_action),
        cmocka_unit_test(test_many_modules), cmocka_unit_test(test_no_stack),
        cmocka_unit_test(test_nested),
    };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
