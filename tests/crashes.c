/* crashes.c: a program crashes in every way that is known, again and again; then the next start
   tells of it.

   Usage: crashes [ROUNDS] [SEED]
          crashes one WAY         crashes in this process, for check_handler.sh; `crashes ways`

   In each round a child makes a client with options.crash_handler, over a handler of its own that
   was there before or over none, records some events, and crashes in one of the ways below and in
   one of the places. Then:

     - the handler that was there before has run, with the information and the mask that it asked
       for, and the child has ended as one without options.crash_handler does;
     - the next start delivers one UncaughtException that says version, session and signal of the
       child, what kind of address it touched, and one session.end with exit_reason crash;
     - the start after that delivers nothing more, and no event that was accepted is lost.

   After the rounds come the cases in which the host has its own way with signals. The plugin, which
   has a copy of the library of its own, and a module that does nothing are this file, too.

   Build: cc -std=c99 -O1 -g -I. tests/crashes.c -o build/tests/crashes -pthread -ldl
          cc -std=c99 -O1 -g -I. -DCRASHES_PLUGIN -fPIC -shared tests/crashes.c \
             -o build/tests/crashes_plugin.so -pthread
          cc -std=c99 -DCRASHES_NOTHING -fPIC -shared tests/crashes.c \
             -o build/tests/crashes_nothing.so
   POSIX; crashes are recorded where a queue outlives its process. */

#ifdef CRASHES_NOTHING
int crashes_nothing(void);
int crashes_nothing(void) { return 0; }
#else

/* A check waits for it. */
#define VITP_CRASH_SURVIVED_NS (UINT64_C(2) * 1000000000u)

/* No file is safe: the queue is plain memory. */
static int plain_queue;
#define VITP_OS_POOL_KEEPS_SPACE(file, size) \
    (!plain_queue && vitp_os_pool_keeps_space((file), (size)))

#ifdef CRASHES_PLUGIN
#define VITELEMETRY_STATIC
#endif
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "environment.h"
#include "kill.h"
#include "options.h"

#include <dlfcn.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define NOINLINE __attribute__((noinline))
#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof((a)[0])))

#if defined(__x86_64__) || defined(__i386__)
#define X86 1
#else
#define X86 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif
#ifndef ADDRESS_SANITIZER
#define ADDRESS_SANITIZER 0
#endif

/* ---- ways to crash --------------------------------------------------------------------------- */

static volatile uintptr_t nowhere; /* what the compiler does not know to be null */
static const char         constants[64] = "read-only";
static vit_client        *client_of_way;

NOINLINE static void crash_at(uintptr_t address, bool writes)
{
    volatile char *at = (volatile char *)address;
    if (writes) *at = 1;
    else (void)*at;
}

static void crash_null_read(void) { crash_at(nowhere + 16u, false); }
static void crash_null_write(void) { crash_at(nowhere, true); }
static void crash_null_call(void) { ((void (*)(void))nowhere)(); }
static void crash_read_only(void) { crash_at((uintptr_t)constants + nowhere, true); }
static void crash_wild(void) { crash_at(UINTPTR_MAX / 3u * 2u, false); }
static void crash_raise_segv(void) { (void)raise(SIGSEGV); }
static void crash_raise_bus(void) { (void)raise(SIGBUS); }
static void crash_raise_fpe(void) { (void)raise(SIGFPE); }
static void crash_raise_ill(void) { (void)raise(SIGILL); }
static void crash_abort(void) { abort(); }
static void crash_raise_abrt(void) { (void)raise(SIGABRT); }
static void crash_raise_sys(void) { (void)raise(SIGSYS); }
/* Any thread that does not block it may take it. */
static void kill_all(int number)
{
    (void)kill(getpid(), number);
    sleep_us(5000000);
}
static void crash_kill_segv(void) { kill_all(SIGSEGV); }
static void crash_kill_sys(void) { kill_all(SIGSYS); }
static void crash_raise_trap(void) { (void)raise(SIGTRAP); }

static char *page_of(int fd)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                      fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    must(page != MAP_FAILED, "mmap");
    return (char *)page;
}

static void crash_unmapped(void)
{
    char *page = page_of(-1);
    (void)munmap(page, 4096);
    crash_at((uintptr_t)page + 100u, true);
}

/* A file that is shorter by now. */
static void crash_bus_file(void)
{
    FILE *f = tmpfile();
    char *page;
    must(f && ftruncate(fileno(f), 4096) == 0, "tmpfile");
    page = page_of(fileno(f));
    must(ftruncate(fileno(f), 0) == 0, "ftruncate");
    crash_at((uintptr_t)page + 100u, false);
}

static void crash_label(void)
{
    vit_feature_toggled event;
    memset(&event, 0, sizeof event);
    event.feature_name = (const char *)(nowhere + 0x100000u); /* mmap_min_addr is below */
    (void)vit_track_feature_toggled(client_of_way, &event);
}

/* By a pointer, so that no compiler sees that it never ends. */
static int (*volatile recurse_fn)(int depth);
static int recurse(int depth)
{
    volatile char frame[600];
    frame[0] = frame[sizeof frame - 1u] = (char)depth;
    return recurse_fn(depth + 1) + frame[depth & 511];
}
static void crash_overflow(void)
{
    struct rlimit small;
    must(getrlimit(RLIMIT_STACK, &small) == 0, "getrlimit");
    if (small.rlim_cur > 1048576u) small.rlim_cur = 1048576u;
    (void)setrlimit(RLIMIT_STACK, &small);
    recurse_fn = recurse;
    (void)recurse_fn(0);
}

#if X86
static void crash_divide(void)
{
    int zero = (int)nowhere, high = 0, low = 1;
    __asm__ volatile("idivl %2" : "+a"(low), "+d"(high) : "r"(zero) : "cc");
}
static void crash_illegal(void) { __asm__ volatile("ud2"); }
static void crash_breakpoint(void) { __asm__ volatile("int3"); }
static void crash_interrupt(void) { __asm__ volatile("int $4"); } /* SIGSEGV, behind itself */
#endif

#if defined(__GLIBC__) && !ADDRESS_SANITIZER
static char *volatile blocks[16];
/* The size of each block, which stands before it, and what free() may look at: no memory of anybody
   else, so that nobody crashes before. */
static void ruin_heap(void)
{
    uint32_t i;
    for (i = 0; i < COUNT(blocks); i++) blocks[i] = (char *)malloc(40);
    for (i = 0; i < COUNT(blocks); i++)
        memset((void *)((uintptr_t)blocks[i] - sizeof(size_t)), 0x41, sizeof(size_t) + 40u);
}
static void crash_heap_abort(void)
{
    ruin_heap();
    free(blocks[7]);
}
static void crash_heap_then_segv(void)
{
    ruin_heap();
    crash_null_write();
}
#endif

#if defined(SECCOMP_RET_TRAP)
/* A call of the system that a filter forbids. */
static void crash_seccomp(void)
{
    struct sock_filter rows[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter;
    filter.len = COUNT(rows);
    filter.filter = rows;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        (void)raise(SIGSYS);
    (void)syscall(SYS_getppid);
}
#endif

enum {
    ENDS_ANYWAY = 1, /* also behind a handler that returns once the default is restored */
    IN_CODE = 2,     /* the instruction is in the module that runs it */
    OVERFLOWS = 4,
    NEEDS_CLIENT = 8,
    ABORTS = 16,
    FAULTS = 32,    /* SIGSEGV by an instruction of ours */
    ANY_THREAD = 64 /* may get it */
};

typedef struct way {
    const char *name;
    void (*crash_fn)(void);
    int         number;
    uint32_t    flags;
    const char *message; /* "": none */
} way;

static const way ways[] = {
    { "null_read", crash_null_read, SIGSEGV, ENDS_ANYWAY | IN_CODE | FAULTS, "null address" },
    { "null_write", crash_null_write, SIGSEGV, ENDS_ANYWAY | IN_CODE | FAULTS, "null address" },
    { "null_call", crash_null_call, SIGSEGV, ENDS_ANYWAY | FAULTS, "null address" },
    { "read_only", crash_read_only, SIGSEGV, ENDS_ANYWAY | IN_CODE | FAULTS, "other address" },
    { "wild", crash_wild, SIGSEGV, ENDS_ANYWAY | IN_CODE | FAULTS, "other address" },
    { "unmapped", crash_unmapped, SIGSEGV, ENDS_ANYWAY | IN_CODE | FAULTS, "other address" },
    { "raise_segv", crash_raise_segv, SIGSEGV, 0, "" },
    { "kill_segv", crash_kill_segv, SIGSEGV, ANY_THREAD, "" },
    { "bus_file", crash_bus_file, SIGBUS, ENDS_ANYWAY | IN_CODE, "other address" },
    { "raise_bus", crash_raise_bus, SIGBUS, 0, "" },
    { "raise_fpe", crash_raise_fpe, SIGFPE, 0, "" },
    { "raise_ill", crash_raise_ill, SIGILL, 0, "" },
    { "abort", crash_abort, SIGABRT, ENDS_ANYWAY | ABORTS, "" },
    { "raise_abrt", crash_raise_abrt, SIGABRT, 0, "" },
    { "raise_sys", crash_raise_sys, SIGSYS, 0, "" },
    { "kill_sys", crash_kill_sys, SIGSYS, ANY_THREAD, "" },
    { "raise_trap", crash_raise_trap, SIGTRAP, 0, "" },
    { "overflow", crash_overflow, SIGSEGV, ENDS_ANYWAY | OVERFLOWS, "stack address" },
    { "label", crash_label, SIGSEGV, ENDS_ANYWAY | NEEDS_CLIENT, "other address" },
#if X86
    { "divide", crash_divide, SIGFPE, ENDS_ANYWAY | IN_CODE, "" },
    { "illegal", crash_illegal, SIGILL, ENDS_ANYWAY | IN_CODE, "" },
    { "breakpoint", crash_breakpoint, SIGTRAP, IN_CODE, "" },
    { "interrupt", crash_interrupt, SIGSEGV, IN_CODE, "other address" },
#endif
#if defined(__GLIBC__) && !ADDRESS_SANITIZER
    { "heap_abort", crash_heap_abort, SIGABRT, ENDS_ANYWAY | ABORTS, "" },
    { "heap_segv", crash_heap_then_segv, SIGSEGV, ENDS_ANYWAY, "null address" },
#endif
#if defined(SECCOMP_RET_TRAP)
    { "seccomp", crash_seccomp, SIGSYS, 0, "" },
#endif
};

static const way *way_named(const char *name)
{
    uint32_t i;
    for (i = 0; i < COUNT(ways); i++)
        if (strcmp(ways[i].name, name) == 0) return &ways[i];
    return NULL;
}

/* ---- what the plugin shows to the program ---------------------------------------------------- */

typedef struct plugin {
    vit_client *(*create_fn)(const vit_options *options);
    void (*begin_fn)(vit_client *t, const char *session_id, const char *source);
    bool (*destroy_fn)(vit_client *t, uint32_t timeout_ms);
    void (*crash_fn)(const char *name);
} plugin;

#ifdef CRASHES_PLUGIN
static void plugin_crash(const char *name) { way_named(name)->crash_fn(); }

void crashes_plugin(plugin *p);
void crashes_plugin(plugin *p)
{
    p->create_fn = vit_create;
    p->begin_fn = vit_session_begin;
    p->destroy_fn = vit_destroy;
    p->crash_fn = plugin_crash;
    (void)plain_queue;
}
#else

static char folder[64], plugin_path[512], nothing_path[512];

/* A folder of the given name in the driver's own; each run of a name finds what the last one
   left. */
static const char *place_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static plugin load_plugin(void)
{
    plugin p;
    void  *module = dlopen(plugin_path, RTLD_NOW), *symbol = NULL;
    void (*get_fn)(plugin *);
    if (module) symbol = dlsym(module, "crashes_plugin");
    if (!symbol) {
        printf("WRONG: %s\n", dlerror());
        fflush(stdout);
        _exit(57);
    }
    memcpy(&get_fn, &symbol, sizeof get_fn);
    get_fn(&p);
    return p;
}

/* ---- what children tell ---------------------------------------------------------------------- */

#define STEPS_MAX 16u

/* In memory that the driver and its children share. */
typedef struct scene {
    uint32_t ran;        /* how often the handler that was there before ours ran */
    uint32_t bad_info;   /* it was not told its signal */
    uint32_t bad_mask;   /* signals that it asked to be blocked were not, or too many */
    uint32_t reached;    /* 1: it is about to crash */
    uint32_t plain;      /* 1: no file is safe here */
    uint32_t steps;      /* events that were accepted */
    uint64_t ns, faults; /* of the host's own faults */
    uint32_t taken, ok;
} scene;

static scene *shared;
static int    server_end; /* of the pipe to the server */

static vit_response send_to_server(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    char         line[8192];
    size_t       size = request->body_size < sizeof line - 1u ? request->body_size : 0u;
    (void)user;
    memcpy(line, request->body, size);
    line[size] = '\n';
    if (!write_all(server_end, line, size + 1u)) answer.http_status = 0;
    return answer;
}

/* What all servers got since it was last forgotten: lines, one an event. */
static struct {
    char  *data;
    size_t size, capacity;
} heard;

static void hear(const char *data, size_t size)
{
    while (heard.size + size + 2u > heard.capacity) {
        heard.capacity = heard.capacity ? 2u * heard.capacity : 65536u;
        heard.data = (char *)realloc(heard.data, heard.capacity);
        must(heard.data != NULL, "realloc");
    }
    memcpy(heard.data + heard.size, data, size);
    heard.size += size;
    heard.data[heard.size] = 0;
}

static void forget(void)
{
    hear("", 0);
    heard.size = 0;
    heard.data[0] = 0;
}

/* How many lines hold all of these texts; NULL: any line does. */
static uint32_t count_lines(const char *a, const char *b, const char *c)
{
    uint32_t n = 0;
    char    *line = heard.data, *end;
    for (; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        if (!end) break;
        *end = 0;
        if ((!a || strstr(line, a)) && (!b || strstr(line, b)) && (!c || strstr(line, c))) n++;
        *end = '\n';
    }
    return n;
}

static vit_response receive(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    (void)user;
    hear(request->body, request->body_size);
    hear("\n", 1);
    return answer;
}

static vit_options options_of(const char *data_dir, const char *version)
{
    vit_options o = options_granted("https://telemetry.example", data_dir);
    o.app_version = version;
    o.client_type = "crashes";
    o.queue_bytes = 65536;
    o.flush_ms = 5;
    o.transport.send_fn = send_to_server;
    return o;
}

/* A start in this process, which delivers all that there is. True: the run before crashed. */
static bool start(const char *data_dir)
{
    vit_options o = options_of(data_dir, "start");
    vit_client *t;
    bool        crashed;
    o.no_thread = true;
    o.transport.send_fn = receive;
    t = vit_create(&o);
    must(t != NULL, "vit_create");
    crashed = vit_crashed_last_run(t);
    while (vit_pump(t)) {}
    must(vit_destroy(t, 1000), "vit_destroy");
    return crashed;
}

/* ---- the handler that was there before ------------------------------------------------------- */

enum {
    END_RAISE,   /* restores the default and raises the signal */
    END_DEFAULT, /* restores the default and returns */
    END_RETURN,  /* returns */
    END_EXIT,
    END_CRASH, /* is no better */
    END_ABORT,
    END_COUNT
};
static const char *const end_names[] = { "raises", "restores", "returns",
                                         "exits",  "crashes",  "aborts" };

typedef struct before {
    bool     there, full_mask;
    int      flags;
    uint32_t end;
} before;

static before       handler_before;
static volatile int handler_depth;
static bool         in_callback; /* in callback_thread, the client's own, which blocks signals */
static pthread_t    callback_thread;

static void check_mask(int number)
{
    bool own = !(handler_before.flags & (int)SA_NODEFER) || handler_before.full_mask;
    bool others =
        handler_before.full_mask || (in_callback && pthread_equal(pthread_self(), callback_thread));
    sigset_t now;
    (void)sigprocmask(SIG_BLOCK, NULL, &now);
    if ((sigismember(&now, number) == 1) != own) shared->bad_mask = 1;
    if ((sigismember(&now, SIGUSR1) == 1) != others) shared->bad_mask = 1;
}

static void handle(int number)
{
    (void)__atomic_add_fetch(&shared->ran, 1u, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&handler_depth, 1, __ATOMIC_RELAXED) > 1) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        return;
    }
    switch (handler_before.end) {
    case END_EXIT: _exit(77);
    case END_CRASH:
        sleep_us(12000); /* more than a tick of the clock: it is no second crash all the same */
        crash_null_read();
        break;
    case END_ABORT: sleep_us(12000); abort();
    case END_RETURN: return;
    default: (void)signal(number, SIG_DFL); break;
    }
    if (handler_before.end == END_RAISE) (void)raise(number);
}

static void on_plain(int number)
{
    check_mask(number);
    handle(number);
}

static void on_info(int number, siginfo_t *info, void *context)
{
    if (!info || info->si_signo != number || !context) shared->bad_info = 1;
    check_mask(number);
    handle(number);
}

static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };

static void install(const before *b)
{
    struct sigaction action;
    uint32_t         i;
    handler_before = *b;
    if (!b->there) return;
    memset(&action, 0, sizeof action);
    if (b->flags & SA_SIGINFO) action.sa_sigaction = on_info;
    else action.sa_handler = on_plain;
    action.sa_flags = b->flags;
    if (b->full_mask) sigfillset(&action.sa_mask);
    for (i = 0; i < COUNT(signals); i++)
        must(sigaction(signals[i], &action, NULL) == 0, "sigaction");
}

/* ---- places to crash in ---------------------------------------------------------------------- */

enum {
    IN_MAIN, /* the thread that called vit_create */
    IN_THREAD,
    IN_SMALL_THREAD, /* of the smallest stack */
    IN_STACK_THREAD, /* that has a stack for signals */
    IN_TWO_THREADS,  /* at once */
    IN_SEND,         /* send_fn, in the client's own thread */
    IN_LOG,          /* log_fn, there */
    IN_HANDLER,      /* and again in ours: the ledger cannot be written */
    IN_PLUGIN,       /* in a plugin, which has a client */
    BESIDE_PLUGIN,   /* in the program: no matter of the plugin's */
    PLACE_COUNT
};
static const char *const place_names[] = { "main",   "thread",       "small thread", "stack thread",
                                           "two",    "send_fn",      "log_fn",       "our handler",
                                           "plugin", "beside plugin" };

typedef struct play {
    uint32_t    round, seed, place;
    const way  *how;
    before      before;
    bool        ours; /* false: the same without our handler */
    bool        host; /* the program has a client, too; it always has without a plugin */
    vit_client *t;
} play;

static play              playing;
static pthread_barrier_t together;
static volatile int      armed;

static bool fits(uint32_t place, const way *w)
{
    switch (place) {
    case IN_MAIN: return true;
    case IN_STACK_THREAD: return (w->flags & OVERFLOWS) != 0;
    case IN_HANDLER: return (w->flags & FAULTS) != 0;
    case IN_PLUGIN: return (w->flags & IN_CODE) != 0;
    case IN_SMALL_THREAD: /* in which two signals and a call of ours have no room */
    case IN_SEND:
    case IN_LOG:
    case BESIDE_PLUGIN: return !(w->flags & (OVERFLOWS | NEEDS_CLIENT));
    default: return !(w->flags & OVERFLOWS);
    }
}

/* May the handler end so, and the end be the same with and without ours? */
static bool may_end(const play *p, uint32_t end)
{
    bool resets = (p->before.flags & (int)SA_RESETHAND) != 0;
    bool overflows = (p->how->flags & OVERFLOWS) != 0; /* without a stack it does not run */
    if (p->place == IN_TWO_THREADS && end >= END_EXIT) return false;
    switch (end) {
    case END_DEFAULT: return (p->how->flags & ENDS_ANYWAY) != 0;
    case END_RETURN:
        if (p->place == IN_TWO_THREADS || p->place == IN_HANDLER) return false;
        return (p->how->flags & ABORTS) || (resets && (p->how->flags & ENDS_ANYWAY));
    case END_EXIT:
    case END_ABORT: return !overflows && (end == END_EXIT || p->place != IN_HANDLER);
    case END_CRASH: return p->place != IN_HANDLER;
    default: return true;
    }
}

static uint32_t turn; /* of the dice */
static uint32_t dice(uint32_t n) { return mix(turn += 0x9E3779B9u) % n; }

static play choose(uint32_t round, uint32_t seed)
{
    play p;
    memset(&p, 0, sizeof p);
    turn = mix(seed * 1000003u + round);
    p.round = round;
    p.seed = turn;
    p.place = round % PLACE_COUNT;
    do p.how = &ways[dice(COUNT(ways))];
    while (!fits(p.place, p.how));
    p.before.there = dice(5) > 0;
    if (p.before.there) {
        p.before.flags = (dice(2) ? SA_SIGINFO : 0) | (dice(2) ? (int)SA_ONSTACK : 0) |
                         (dice(3) ? 0 : (int)SA_NODEFER) | (dice(3) ? 0 : (int)SA_RESETHAND);
        p.before.full_mask = dice(4) == 0;
        do p.before.end = dice(END_COUNT);
        while (!may_end(&p, p.before.end));
    }
    p.host = p.place < IN_PLUGIN || dice(2);
    return p;
}

static void crash_here(void)
{
    callback_thread = pthread_self();
    in_callback = playing.place == IN_SEND || playing.place == IN_LOG;
    shared->reached = 1;
    playing.how->crash_fn();
}

static void *crash_in_thread(void *unused)
{
    (void)unused;
    if (playing.place == IN_TWO_THREADS) (void)pthread_barrier_wait(&together);
    if (playing.place == IN_STACK_THREAD) {
        stack_t own;
        memset(&own, 0, sizeof own);
        own.ss_size = 65536;
        own.ss_sp = malloc(own.ss_size);
        must(own.ss_sp && sigaltstack(&own, NULL) == 0, "sigaltstack");
    }
    crash_here();
    return NULL;
}

static void crash_in_threads(uint32_t count)
{
    pthread_attr_t attributes;
    pthread_t      ids[2];
    size_t         least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    uint32_t       i;
    must(pthread_attr_init(&attributes) == 0, "pthread_attr_init");
    if (ADDRESS_SANITIZER) least += 65536u;
    if (playing.place == IN_SMALL_THREAD)
        must(pthread_attr_setstacksize(&attributes, least) == 0, "pthread_attr_setstacksize");
    (void)pthread_barrier_init(&together, NULL, count);
    for (i = 0; i < count; i++)
        must(pthread_create(&ids[i], &attributes, crash_in_thread, NULL) == 0, "pthread_create");
    for (i = 0; i < count; i++) (void)pthread_join(ids[i], NULL);
}

static vit_response send_and_crash(const vit_request *request, void *user)
{
    vit_response busy = { 503, 0 };
    if (armed && playing.place == IN_SEND) crash_here();
    return armed ? busy : send_to_server(request, user);
}

static void log_and_crash(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)text, (void)user;
    if (armed && item == VIT_LOG_SERVER_AWAY) crash_here();
}

static vit_status track_step(vit_client *t, int64_t n)
{
    vit_event e;
    vit_event_begin(&e, t, "crash.step", NULL);
    vit_add_int(&e, "n", n);
    return vit_event_send(&e);
}

/* The client's own thread does it. */
static void crash_in_callback(void)
{
    uint32_t i;
    armed = 1;
    (void)track_step(playing.t, 999);
    for (i = 0; i < 10000u; i++) sleep_us(1000);
    _exit(56);
}

static void make_client(void)
{
    char        version[16], session[16], path[96];
    vit_options o;
    snprintf(path, sizeof path, "%s/host", folder);
    snprintf(version, sizeof version, "r%u", (unsigned)playing.round);
    snprintf(session, sizeof session, "sr%u", (unsigned)playing.round);
    o = options_of(playing.ours ? path : "", version);
    o.crash_handler = playing.ours;
    o.flush_ms = 1u + mix(playing.seed + 1u) % 200u;
    if (playing.place == IN_SEND || playing.place == IN_LOG) o.flush_ms = 2;
    o.no_thread = playing.place == IN_HANDLER;
    o.logger.log_fn = log_and_crash;
    o.transport.send_fn = send_and_crash;
    playing.t = client_of_way = vit_create(&o);
    if (!playing.t) _exit(57);
    if (playing.ours && !vit_get_stats(playing.t).crash_surviving) {
        shared->plain = 1;
        _exit(58);
    }
    vit_session_begin(playing.t, session, NULL);
}

static plugin make_plugin(void)
{
    plugin      p = load_plugin();
    char        version[16], session[16], path[96];
    vit_options o;
    vit_client *t;
    snprintf(path, sizeof path, "%s/plugin", folder);
    snprintf(version, sizeof version, "p%u", (unsigned)playing.round);
    snprintf(session, sizeof session, "sp%u", (unsigned)playing.round);
    o = options_of(playing.ours ? path : "", version);
    o.crash_handler = playing.ours;
    t = p.create_fn(&o);
    if (!t) _exit(57);
    p.begin_fn(t, session, NULL);
    return p;
}

static void record_steps(void)
{
    uint32_t i, count = playing.t ? 1u + mix(playing.seed + 2u) % (STEPS_MAX - 1u) : 0u;
    for (i = 0; i < count; i++)
        if (track_step(playing.t, (int64_t)i) == VIT_OK) shared->steps = i + 1u;
        else _exit(59);
    if (mix(playing.seed + 3u) % 2u) sleep_us(mix(playing.seed + 4u) % 5000u);
}

/* The child. */
static void crash(const play *p)
{
    bool   plugin_first = mix(p->seed + 5u) % 2u;
    plugin other;
    memset(&other, 0, sizeof other);
    playing = *p;
    (void)alarm(30);
    (void)freopen("/dev/null", "w", stderr);
    install(&p->before);
    if (p->place >= IN_PLUGIN && plugin_first) other = make_plugin();
    if (p->host) make_client();
    if (p->place >= IN_PLUGIN && !plugin_first) other = make_plugin();
    record_steps();
    if (p->place == IN_HANDLER && p->ours)
        must(mprotect(playing.t->own.file.memory, (size_t)playing.t->own.file.size,
                      mix(p->seed + 6u) % 2u ? PROT_NONE : PROT_READ) == 0,
             "mprotect");
    switch (p->place) {
    case IN_SEND:
    case IN_LOG: crash_in_callback(); break;
    case IN_PLUGIN:
        shared->reached = 1;
        other.crash_fn(p->how->name);
        break;
    case IN_MAIN:
    case IN_HANDLER:
    case BESIDE_PLUGIN: crash_here(); break;
    default: crash_in_threads(p->place == IN_TWO_THREADS ? 2u : 1u); break;
    }
    _exit(55); /* it did not crash */
}

/* ---- the one that judges --------------------------------------------------------------------- */

static uint32_t passed, failed, wrong_count, plain_count;
static char     about[256]; /* what is judged */
static bool     wrong;

static void complain(const char *what, const char *detail)
{
    wrong = true;
    if (++wrong_count <= 40u) printf("WRONG: %s: %s %s\n", about, what, detail);
    fflush(stdout);
}

static void want(bool ok, const char *what)
{
    if (!ok) complain(what, "");
}

static void want_count(uint32_t is, uint32_t should, const char *what)
{
    char text[64];
    snprintf(text, sizeof text, "%u instead of %u", (unsigned)is, (unsigned)should);
    if (is != should) complain(what, text);
}

static void settle(void)
{
    if (wrong) failed++;
    else passed++;
    wrong = false;
}

/* Runs fn in a child and hears what it sent. Its wait status. */
static int run_child(void (*fn)(const play *p), const play *p)
{
    int     ends[2], status = 0;
    char    some[4096];
    ssize_t n;
    pid_t   child;
    fflush(stdout);
    must(pipe(ends) == 0, "pipe");
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        close(ends[0]);
        server_end = ends[1];
        fn(p);
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], some, sizeof some)) != 0) {
        if (n > 0) hear(some, (size_t)n);
        else must(errno == EINTR, "read");
    }
    close(ends[0]);
    must(waitpid(child, &status, 0) == child, "waitpid");
    return status;
}

/* One UncaughtException with the right words, or none. */
static void judge_exception(const play *p, char letter, bool told)
{
    char version[48], session[48], type[64], message[64];
    snprintf(version, sizeof version, "\"app_version\":\"%c%u\"", letter, (unsigned)p->round);
    snprintf(session, sizeof session, "\"session_id\":\"s%c%u\"", letter, (unsigned)p->round);
    snprintf(type, sizeof type, "\"exception_type\":\"%s\"",
             vitp_os_signals()[vitp_os_signal_index(p->how->number)].name);
    snprintf(message, sizeof message, "\"message\":\"%s\"", p->how->message);
    want_count(count_lines("\"UncaughtException\"", version, NULL), told, "UncaughtException");
    want_count(count_lines("\"UncaughtException\"", version, session), told, "with its session");
    want_count(count_lines("\"UncaughtException\"", version, type), told, type);
    if (!p->how->message[0])
        want_count(count_lines("\"UncaughtException\"", version, "\"message\""), 0, "message");
    else if (p->place == IN_MAIN) /* elsewhere a mapping may lie beside the thread's stack */
        want_count(count_lines("\"UncaughtException\"", version, message), told, message);
}

static void judge_session(const play *p, char letter, const char *reason)
{
    char version[48], session[48], text[64];
    snprintf(version, sizeof version, "\"app_version\":\"%c%u\"", letter, (unsigned)p->round);
    snprintf(session, sizeof session, "\"session_id\":\"s%c%u\"", letter, (unsigned)p->round);
    snprintf(text, sizeof text, "\"exit_reason\":\"%s\"", reason ? reason : "");
    want_count(count_lines("\"session.end\"", version, NULL), 1, "session.end");
    want_count(count_lines("\"session.end\"", version, session), 1, "session.end of its session");
    if (reason) want_count(count_lines("\"session.end\"", version, text), 1, text);
}

static void judge_steps(const play *p)
{
    char     version[48], text[32];
    uint32_t i;
    snprintf(version, sizeof version, "\"app_version\":\"r%u\"", (unsigned)p->round);
    for (i = 0; i < shared->steps; i++) {
        snprintf(text, sizeof text, "\"n\":%u,", (unsigned)i);
        want(count_lines("\"crash.step\"", version, text) >= 1u, "an accepted event is lost");
    }
}

/* Two starts after the crash; then all has been told. */
static void judge_starts(const play *p)
{
    bool        plugged = p->place >= IN_PLUGIN, told = p->place != IN_HANDLER;
    const char *names[] = { "host", "plugin" };
    uint32_t    i, lines;
    for (i = p->host ? 0u : 1u; i < (plugged ? 2u : 1u); i++) {
        bool crashed = start(place_of(names[i]));
        if (i == 0 || p->place == IN_PLUGIN) want(crashed == told, "vit_crashed_last_run");
    }
    if (p->host) {
        judge_exception(p, 'r', told);
        judge_session(p, 'r', told ? "crash" : "forced_close");
        judge_steps(p);
    }
    if (plugged) {
        judge_exception(p, 'p', p->place == IN_PLUGIN);
        judge_session(p, 'p', p->place == IN_PLUGIN ? "crash" : NULL);
    }
    forget();
    for (i = p->host ? 0u : 1u; i < (plugged ? 2u : 1u); i++)
        want(!start(place_of(names[i])), "vit_crashed_last_run, at the start after");
    lines = count_lines(NULL, NULL, NULL);
    want_count(lines, 0, "lines at the start after");
    if (lines) printf("%s", heard.data);
}

static void describe(const play *p, char *out, size_t size)
{
    int n = snprintf(out, size, "round %u, %s in %s", (unsigned)p->round, p->how->name,
                     place_names[p->place]);
    if (p->before.there && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ", a handler that %s%s%s%s%s%s",
                 end_names[p->before.end], p->before.flags & SA_SIGINFO ? " SIGINFO" : "",
                 p->before.flags & (int)SA_ONSTACK ? " ONSTACK" : "",
                 p->before.flags & (int)SA_NODEFER ? " NODEFER" : "",
                 p->before.flags & (int)SA_RESETHAND ? " RESETHAND" : "",
                 p->before.full_mask ? " full mask" : "");
}

/* A handler that is used up by one thread does not hold back the other, which ends the process. */
static bool is_lucky(const play *p)
{
    return p->place == IN_TWO_THREADS && (p->before.flags & (int)SA_RESETHAND);
}

static void play_out(play p)
{
    int  alone, status;
    char text[64];
    describe(&p, about, sizeof about);
    memset(shared, 0, sizeof *shared);
    forget();
    alone = run_child(crash, &p);
    want(shared->reached, "it did not come to its crash without our handler");
    memset(shared, 0, sizeof *shared);
    forget();
    p.ours = true;
    status = run_child(crash, &p);
    if (shared->plain) {
        plain_count++;
        return;
    }
    want(shared->reached, "it did not come to its crash");
    snprintf(text, sizeof text, "0x%x instead of 0x%x", (unsigned)status, (unsigned)alone);
    if (status != alone) complain("wait status", text);
    if (p.before.there && !is_lucky(&p))
        want(shared->ran > 0, "the handler that was there before did not run");
    want(!shared->bad_info, "it was not told its signal");
    want(!shared->bad_mask || (p.how->flags & ANY_THREAD), "it ran under another mask");
    judge_starts(&p);
    settle();
}

/* Each way in the main thread, over no handler and over one that restores the default. */
static void play_each(uint32_t rounds)
{
    play p;
    memset(&p, 0, sizeof p);
    p.host = true;
    for (p.seed = 0; p.seed < 2u * COUNT(ways); p.seed++) {
        p.how = &ways[p.seed / 2u];
        p.round = rounds + p.seed + 1u;
        p.before.there = p.seed % 2u != 0;
        play_out(p);
    }
}

/* ---- the host has its own way with signals --------------------------------------------------- */

static play nobody; /* round 0 */

/* In a child: the case is not as it should be. */
static void need(bool ok, const char *what)
{
    if (ok) return;
    printf("WRONG: %s: %s\n", about, what);
    fflush(stdout);
    _exit(1);
}

static vit_client *make(const char *name, bool ours)
{
    vit_options o = options_of(place_of(name), "r0");
    vit_client *t;
    (void)alarm(120);
    o.crash_handler = ours;
    t = vit_create(&o);
    need(t != NULL, "vit_create");
    need(vit_get_stats(t).crash_surviving || plain_queue, "no file is safe here");
    vit_session_begin(t, "sr0", NULL);
    need(vit_flush(t, 5000), "vit_flush");
    return t;
}

static struct sigaction now_of(int number)
{
    struct sigaction now;
    memset(&now, 0, sizeof now);
    must(sigaction(number, NULL, &now) == 0, "sigaction");
    return now;
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
    int i;
    for (i = 1; i < SIGRTMIN; i++)
        if (sigismember(&a->sa_mask, i) != sigismember(&b->sa_mask, i)) return false;
    return a->sa_flags == b->sa_flags &&
           (a->sa_flags & SA_SIGINFO ? a->sa_sigaction == b->sa_sigaction
                                     : a->sa_handler == b->sa_handler);
}

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    _exit(1);
}

static bool killed_by(int status, int number)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

/* The start after a child of case `name`: how often it is told and with which reason; NULL: not at
   all. */
static void told(const char *name, uint32_t exceptions, const char *reason)
{
    bool crashed = start(place_of(name));
    char text[64];
    snprintf(text, sizeof text, "\"exit_reason\":\"%s\"", reason ? reason : "");
    want_count(count_lines("\"UncaughtException\"", NULL, NULL), exceptions, "UncaughtException");
    want_count(count_lines("\"session.end\"", "\"sr0\"", NULL), reason ? 1u : 0u, "session.end");
    if (reason) want_count(count_lines("\"session.end\"", "\"sr0\"", text), 1, text);
    want(crashed == (reason && strcmp(reason, "crash") == 0), "vit_crashed_last_run");
    forget();
    want(!start(place_of(name)), "vit_crashed_last_run, at the start after");
    want_count(count_lines(NULL, NULL, NULL), 0, "lines at the start after");
}

static void begin(const char *what)
{
    snprintf(about, sizeof about, "%s", what);
    memset(shared, 0, sizeof *shared);
    forget();
}

/* One case: a child plays it and ends by this signal, or in order (0); then what is told. */
static void expect(const char *what, void (*play_fn)(const play *p), const play *p, int number,
                   const char *name, uint32_t exceptions, const char *reason)
{
    int status;
    begin(what);
    status = run_child(play_fn, p);
    if (number) want(killed_by(status, number), "it did not end by its signal");
    else want(status == 0, "it did not end in order");
    told(name, exceptions, reason);
    settle();
}

/* SIG_DFL or SIG_IGN; with SA_SIGINFO, as Go's runtime does it, they are what they are without. */
static void set_to(int number, void (*handler_fn)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler_fn;
    action.sa_flags = flags;
    must(sigaction(number, &action, NULL) == 0, "sigaction");
}

/* -- ignored signals */

static void play_ignored(const play *p)
{
    uint32_t    i;
    vit_client *t;
    for (i = 0; i < COUNT(signals); i++) set_to(signals[i], SIG_IGN, i % 2u ? SA_SIGINFO : 0);
    t = make("ignored", p->ours);
    for (i = 0; i < COUNT(signals); i++)
        need(now_of(signals[i]).sa_handler == SIG_IGN, "what was ignored is not any more");
    for (i = 0; i < COUNT(signals); i++) (void)raise(signals[i]);
    if (p->how) p->how->crash_fn();
    need(vit_destroy(t, 5000), "vit_destroy");
    for (i = 0; i < COUNT(signals); i++)
        need(now_of(signals[i]).sa_handler == SIG_IGN, "what was ignored is not after the end");
    _exit(42);
}

static void check_ignored(void)
{
    play p = nobody;
    int  alone;
    begin("ignored signals, in order");
    p.ours = true;
    want(run_child(play_ignored, &p) == 42 << 8, "it did not end as without us");
    told("ignored", 0, NULL);
    settle();
    begin("ignored signals, a fault, which the system does not ignore");
    p.how = way_named("null_write");
    p.ours = false;
    alone = run_child(play_ignored, &p);
    want(killed_by(alone, SIGSEGV), "it survived");
    (void)start(place_of("ignored"));
    forget();
    p.ours = true;
    want(run_child(play_ignored, &p) == alone, "it did not end as without us");
    want(start(place_of("ignored")) == false, "vit_crashed_last_run");
    want_count(count_lines("\"UncaughtException\"", NULL, NULL), 0, "UncaughtException");
    settle();
}

/* -- faults that the host repairs */

#define FAULTS_COUNT 100000u

static char *repaired_page;

static void on_repair(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    shared->faults++;
    if (mprotect(repaired_page, 4096, PROT_READ | PROT_WRITE) != 0) _exit(1);
}

static void play_repairs(const play *p)
{
    struct sigaction action;
    vit_client      *t;
    uint64_t         begin_ns;
    uint32_t         i;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_repair;
    action.sa_flags = SA_SIGINFO;
    repaired_page = page_of(-1);
    must(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
    t = make("repairs", p->ours);
    begin_ns = now_ns();
    for (i = 0; i < FAULTS_COUNT; i++) {
        must(mprotect(repaired_page, 4096, PROT_NONE) == 0, "mprotect");
        ((volatile char *)repaired_page)[i & 4095u]++;
    }
    shared->ns = now_ns() - begin_ns;
    need(shared->faults == FAULTS_COUNT, "the host's handler did not run each time");
    if (p->place) die();
    need(vit_destroy(t, 5000), "vit_destroy");
}

static void check_repairs(void)
{
    play     p = nobody;
    uint64_t without;
    begin("faults that the host repairs, without us");
    want(run_child(play_repairs, &p) == 0, "it did not end in order");
    without = shared->ns;
    p.ours = true;
    p.place = 1;
    expect("faults that the host repairs, then killed", play_repairs, &p, SIGKILL, "repairs", 0,
           "forced_close");
    p.place = 0;
    expect("faults that the host repairs, then in order", play_repairs, &p, 0, "repairs", 0, NULL);
    printf("a fault that the host repairs takes %.2f us, with crash_handler %.2f us: ratio %.2f\n",
           (double)without / 1e3 / FAULTS_COUNT, (double)shared->ns / 1e3 / FAULTS_COUNT,
           without ? (double)shared->ns / (double)without : 0.0);
}

/* -- the host jumps out of its handler */

static sigjmp_buf jump_home;

static void on_jump(int number)
{
    (void)number;
    siglongjmp(jump_home, 1);
}

static void play_jump(const play *p)
{
    vit_client *t;
    uint32_t    i;
    (void)signal(SIGSEGV, on_jump);
    (void)signal(SIGFPE, on_jump);
    t = make("jump", true);
    for (i = 0; i < 10u; i++) {
        if (sigsetjmp(jump_home, 1) == 0)
            way_named(i % 2u ? "null_write" : "raise_fpe")->crash_fn();
        (void)track_step(t, (int64_t)i);
    }
    if (p->place == 2) {
        (void)signal(SIGSEGV, SIG_DFL); /* and a crash that the host does not survive */
        sleep_us(2500000);
        vit_session_begin(t, "sr0", NULL);
        (void)vit_flush(t, 5000);
        (void)raise(SIGABRT);
    }
    if (p->place == 1) {
        sleep_us(2700000);
        die();
    }
    need(vit_destroy(t, 5000), "vit_destroy");
}

static void check_jump(void)
{
    play p = nobody;
    expect("the host jumps out of its handler, then ends in order", play_jump, &p, 0, "jump", 0,
           NULL);
    p.place = 1;
    expect("the host jumps out of its handler, goes on for more than 2 s and is killed", play_jump,
           &p, SIGKILL, "jump", 0, "forced_close");
    begin("the host jumps out of its handler, goes on, and crashes after all");
    p.place = 2;
    want(killed_by(run_child(play_jump, &p), SIGABRT), "it did not crash");
    want(start(place_of("jump")), "vit_crashed_last_run");
    want_count(count_lines("\"UncaughtException\"", "SIGABRT", NULL), 1, "SIGABRT");
    want_count(count_lines("\"UncaughtException\"", NULL, NULL), 1, "UncaughtException");
    settle();
}

/* -- the host's handler returns, which abort() does not care for, and raise() does */

static void on_nothing(int number) { (void)number; }

static void play_returns(const play *p)
{
    vit_client *t;
    (void)signal(SIGABRT, on_nothing);
    t = make("returns", true);
    if (p->place) abort();
    (void)raise(SIGABRT);
    need(track_step(t, 1) == VIT_OK, "it does not go on");
    need(vit_destroy(t, 5000), "vit_destroy");
}

static void check_returns(void)
{
    play p = nobody;
    p.place = 1;
    expect("abort(), the host's handler returns", play_returns, &p, SIGABRT, "returns", 1, "crash");
    p.place = 0;
    expect("raise(SIGABRT), the host's handler returns", play_returns, &p, 0, "returns", 0, NULL);
}

/* -- the host's handler ends the session, the client, the program */

static vit_client *ended;
static uint32_t    ends;

static void end_client(void) { (void)vit_destroy(ended, 5000); }

static void on_end(int number)
{
    (void)signal(number, SIG_DFL);
    if (ends & 1u) vit_session_end(ended, VIT_EXIT_CRASH);
    if (ends & 2u) end_client();
    if (ends & 4u) exit(0);
}

static void play_ends(const play *p)
{
    (void)signal(SIGSEGV, on_end);
    ends = p->place;
    ended = make("ends", true);
    if (ends & 4u) (void)atexit(end_client);
    crash_null_write();
}

static void check_ends(void)
{
    play p = nobody;
    p.place = 1;
    expect("the host's handler ends the session", play_ends, &p, SIGSEGV, "ends", 1, "crash");
    p.place = 2;
    expect("the host's handler ends the client", play_ends, &p, SIGSEGV, "ends", 1, "crash");
    p.place = 3;
    expect("the host's handler ends both", play_ends, &p, SIGSEGV, "ends", 1, "crash");
    p.place = 4;
    expect("the host's handler ends the program", play_ends, &p, 0, "ends", 1, "crash");
}

/* -- the default with SA_SIGINFO: before us, and by a handler of the host's that gives up */

static void on_give_up(int number) { set_to(number, SIG_DFL, SA_SIGINFO); }

static void play_default(const play *p)
{
    if (p->place) (void)signal(SIGSEGV, on_give_up);
    else set_to(SIGTRAP, SIG_DFL, SA_SIGINFO);
    (void)make("default", true);
    if (p->place) crash_null_write();
    (void)raise(SIGTRAP);
}

static void check_default(void)
{
    play p = nobody;
    p.place = 0;
    expect("SIG_DFL with SA_SIGINFO", play_default, &p, SIGTRAP, "default", 1, "crash");
    p.place = 1;
    expect("a handler sets it", play_default, &p, SIGSEGV, "default", 1, "crash");
}

/* -- the handlers are given back */

static void play_given_back(const play *p)
{
    struct sigaction was[COUNT(signals)], is;
    before           odd = { true, true, SA_SIGINFO, END_RETURN };
    vit_client      *t;
    stack_t          stack;
    uint32_t         i, round;
    odd.flags |= (int)SA_NODEFER | (p->place ? (int)SA_ONSTACK | (int)SA_RESTART : 0);
    install(&odd);
    (void)signal(SIGTRAP, SIG_DFL);
    for (i = 0; i < COUNT(signals); i++) was[i] = now_of(signals[i]);
    for (round = 0; round < 3u; round++) {
        t = make("back", true);
        is = now_of(SIGTRAP);
        need(!same_action(&is, &was[6]), "no handler of ours is there");
        must(sigaltstack(NULL, &stack) == 0, "sigaltstack");
        need(!(stack.ss_flags & SS_DISABLE), "there is no stack for signals");
        need(vit_destroy(t, 5000), "vit_destroy");
        for (i = 0; i < COUNT(signals); i++) {
            is = now_of(signals[i]);
            need(same_action(&is, &was[i]), "a handler is not as it was");
        }
        must(sigaltstack(NULL, &stack) == 0, "sigaltstack");
        need((stack.ss_flags & SS_DISABLE) != 0, "the stack for signals was not given back");
    }
}

/* A stack of the host's own stays. */
static void play_own_stack(const play *p)
{
    stack_t own, now;
    (void)p;
    memset(&own, 0, sizeof own);
    own.ss_size = 65536;
    own.ss_sp = malloc(own.ss_size);
    must(own.ss_sp && sigaltstack(&own, NULL) == 0, "sigaltstack");
    need(vit_destroy(make("back", true), 5000), "vit_destroy");
    must(sigaltstack(NULL, &now) == 0, "sigaltstack");
    need(now.ss_sp == own.ss_sp && now.ss_size == own.ss_size && !(now.ss_flags & SS_DISABLE),
         "the host's stack for signals is gone");
}

static struct sigaction below; /* what the handler on top passes to */
static volatile int     top_ran;

static void on_top(int number, siginfo_t *info, void *context)
{
    top_ran++;
    below.sa_sigaction(number, info, context);
}

static void put_on_top(void)
{
    struct sigaction top;
    memset(&top, 0, sizeof top);
    top.sa_sigaction = on_top;
    top.sa_flags = SA_SIGINFO | (int)SA_ONSTACK;
    must(sigaction(SIGSEGV, &top, &below) == 0, "sigaction");
}

/* What was put on top of ours stays, and ours passes through when its client is gone; where 1, it
   crashes while it is there; where 2, under a client that was made afterwards. */
static void play_on_top(const play *p)
{
    struct sigaction first, now;
    vit_client      *t;
    memset(&first, 0, sizeof first);
    first.sa_sigaction = on_repair;
    first.sa_flags = SA_SIGINFO;
    repaired_page = page_of(-1);
    must(sigaction(SIGSEGV, &first, NULL) == 0, "sigaction");
    t = make("top", true);
    put_on_top();
    if (p->place != 1) {
        need(vit_destroy(t, 5000), "vit_destroy");
        now = now_of(SIGSEGV);
        need(now.sa_sigaction == on_top, "the handler on top is gone");
        if (p->place == 2) (void)make("top", true);
    }
    must(mprotect(repaired_page, 4096, PROT_NONE) == 0, "mprotect");
    ((volatile char *)repaired_page)[0]++;
    need(shared->faults == 1 && top_ran == 1, "it was not passed through");
    if (p->place) {
        repaired_page = page_of(-1);
        below.sa_flags = 0;
        first.sa_handler = SIG_DFL;
        first.sa_flags = 0;
        way_named("abort")->crash_fn();
    }
}

static uint32_t taken_count;

static void count_taken(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)text, (void)user;
    if (item == VIT_LOG_CRASH_TAKEN) taken_count++;
}

/* The first that asks has it; then it is free again. */
static void play_taken(const play *p)
{
    vit_client      *first = make("taken", true), *second;
    vit_options      o;
    struct sigaction ours = now_of(SIGSEGV), now;
    (void)p;
    o = options_of(place_of("taken"), "r1");
    o.crash_handler = true;
    o.logger.log_fn = count_taken;
    second = vit_create(&o);
    need(second && taken_count == 1, "the second client was not told");
    need(vit_destroy(second, 5000), "vit_destroy");
    now = now_of(SIGSEGV);
    need(same_action(&ours, &now), "the second client took the handler away");
    need(vit_destroy(first, 5000), "vit_destroy");
    second = vit_create(&o);
    need(second && taken_count == 1, "it was not free again");
    vit_session_begin(second, "sr0", NULL);
    crash_null_write();
}

/* The handler was used up by SA_RESETHAND; the next client has one again. */
static void play_used_up(const play *p)
{
    struct sigaction action;
    (void)p;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_repair;
    action.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
    repaired_page = page_of(-1);
    must(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
    {
        vit_client *t = make("used", true);
        must(mprotect(repaired_page, 4096, PROT_NONE) == 0, "mprotect");
        ((volatile char *)repaired_page)[0]++;
        need(now_of(SIGSEGV).sa_handler == SIG_DFL, "SA_RESETHAND did not reset");
        need(vit_destroy(t, 5000), "vit_destroy");
        need(now_of(SIGSEGV).sa_handler == SIG_DFL, "vit_destroy brought back a used handler");
    }
    (void)make("used", true);
    crash_null_write();
}

static void check_hooks(void)
{
    play p = nobody;
    begin("vit_destroy gives the handlers back");
    want(run_child(play_given_back, &p) == 0, "it did not end in order");
    p.place = 1;
    want(run_child(play_given_back, &p) == 0, "it did not end in order");
    settle();
    begin("the host's own stack for signals");
    want(run_child(play_own_stack, &p) == 0, "it did not end in order");
    settle();
    p.place = 0;
    expect("a handler on top, after vit_destroy", play_on_top, &p, 0, "top", 0, NULL);
    p.place = 1;
    expect("a handler on top, a crash under it", play_on_top, &p, SIGABRT, "top", 1, "crash");
    p.place = 2;
    expect("a handler on top, after vit_destroy, a crash of the next client", play_on_top, &p,
           SIGABRT, "top", 1, "crash");
    expect("a second client", play_taken, &p, SIGSEGV, "taken", 1, "crash");
    expect("a handler that is used up", play_used_up, &p, SIGSEGV, "used", 1, "crash");
}

/* -- a forked child */

static void play_fork(const play *p)
{
    vit_client *t = make("fork", true);
    pid_t       child = fork();
    int         status = 0;
    must(child >= 0, "fork");
    if (child == 0) {
        if (p->place & 2u) crash_null_write();
        abort();
    }
    must(waitpid(child, &status, 0) == child, "waitpid");
    need(killed_by(status, p->place & 2u ? SIGSEGV : SIGABRT), "the child did not crash");
    need(track_step(t, 1) == VIT_OK, "the parent does not go on");
    need(vit_flush(t, 5000), "vit_flush");
    if (p->place & 1u) die();
    need(vit_destroy(t, 5000), "vit_destroy");
}

/* A forked child makes a client of its own: it has the handler, though it has inherited its
   parent's, also where it destroys that one first or later. */
static void play_fork_own(const play *p)
{
    vit_client *theirs = make("fork", true), *own;
    pid_t       child = fork();
    int         status = 0;
    must(child >= 0, "fork");
    if (child == 0) {
        if (p->place == 1u) need(vit_destroy(theirs, 0), "vit_destroy, of the parent's");
        own = make("forked", true);
        if (p->place == 2u) need(vit_destroy(theirs, 0), "vit_destroy, of the parent's");
        if (p->place == 3u) {
            need(vit_destroy(own, 5000), "vit_destroy, of its own");
            need(now_of(SIGSEGV).sa_handler == SIG_DFL, "the handler was not given back");
            (void)make("forked", true);
        }
        crash_null_write();
    }
    must(waitpid(child, &status, 0) == child, "waitpid");
    need(killed_by(status, SIGSEGV), "the child did not crash");
    need(vit_destroy(theirs, 5000), "vit_destroy");
}

static void check_fork_own(void)
{
    play p = nobody;
    for (p.place = 0; p.place < 4u; p.place++)
        expect("a forked child with a client of its own", play_fork_own, &p, 0, "forked", 1,
               "crash");
}

static void check_fork(void)
{
    play p = nobody;
    for (p.place = 0; p.place < 4u; p.place++) {
        begin(p.place & 1u ? "a forked child crashes, its parent is killed"
                           : "a forked child crashes, its parent ends in order");
        if (p.place & 1u) want(killed_by(run_child(play_fork, &p), SIGKILL), "it was not killed");
        else want(run_child(play_fork, &p) == 0, "it did not end in order");
        told("fork", 0, p.place & 1u ? "forced_close" : NULL);
        settle();
    }
}

/* -- no crash, and no handler */

static void play_killed(const play *p)
{
    (void)make("killed", p->ours);
    if (p->how) p->how->crash_fn();
    die();
}

static void check_killed(void)
{
    play p = nobody;
    p.ours = true;
    expect("killed, with crash_handler", play_killed, &p, SIGKILL, "killed", 0, "forced_close");
    p.ours = false;
    expect("killed, without crash_handler", play_killed, &p, SIGKILL, "killed", 0, "crash");
    p.how = way_named("null_read");
    expect("a crash without crash_handler", play_killed, &p, SIGSEGV, "killed", 0, "crash");
}

/* -- the next start may not, or is not alone */

static bool start_with(vit_consent consent, const char *variable, bool decides)
{
    vit_options o = options_of(place_of("killed"), "start");
    vit_client *t;
    bool        crashed;
    o.no_thread = true;
    o.transport.send_fn = receive;
    o.consent = consent;
    if (variable) setenv(variable, "1", 1);
    t = vit_create(&o);
    must(t != NULL, "vit_create");
    if (decides) vit_set_consent(t, consent);
    crashed = vit_crashed_last_run(t);
    while (vit_pump(t)) {}
    must(vit_destroy(t, 1000), "vit_destroy");
    if (variable) unsetenv(variable);
    return crashed;
}

static void set_folder_anew(void)
{
    char path[192];
    snprintf(path, sizeof path, "%s/telemetry.conf", place_of("killed"));
    (void)unlink(path);
}

static void crash_for_consent(const char *what)
{
    play p = nobody;
    begin(what);
    p.ours = true;
    p.how = way_named("null_write");
    want(killed_by(run_child(play_killed, &p), SIGSEGV), "it did not crash");
    forget();
}

static void check_consent(void)
{
    crash_for_consent("the next start: DO_NOT_TRACK");
    want(!start_with(VIT_CONSENT_GRANTED, "DO_NOT_TRACK", false), "vit_crashed_last_run");
    want_count(count_lines(NULL, NULL, NULL), 0, "lines");
    (void)start(place_of("killed"));
    settle();
    crash_for_consent("the next start: consent is not known");
    set_folder_anew();
    want(!start_with(VIT_CONSENT_UNKNOWN, NULL, false), "vit_crashed_last_run");
    want_count(count_lines(NULL, NULL, NULL), 0, "lines");
    (void)start(place_of("killed")); /* by another identity */
    want_count(count_lines("\"UncaughtException\"", NULL, NULL), 0, "UncaughtException");
    want_count(count_lines("\"session.end\"", NULL, NULL), 0, "session.end");
    settle();
    crash_for_consent("the next start: consent is denied");
    set_folder_anew();
    want(!start_with(VIT_CONSENT_DENIED, NULL, true), "vit_crashed_last_run");
    want_count(count_lines(NULL, NULL, NULL), 0, "lines");
    set_folder_anew();
    (void)start(place_of("killed"));
    want_count(count_lines("\"UncaughtException\"", NULL, NULL), 0, "UncaughtException");
    want_count(count_lines("\"session.end\"", NULL, NULL), 0, "session.end");
    settle();
}

#define STARTERS 8u

static void play_starters(const play *p)
{
    pid_t    children[STARTERS];
    int      gate[2], status;
    uint32_t i;
    char     c;
    (void)p;
    must(pipe(gate) == 0, "pipe");
    for (i = 0; i < STARTERS; i++) {
        children[i] = fork();
        must(children[i] >= 0, "fork");
        if (children[i] == 0) {
            vit_options o = options_of(place_of("killed"), "start");
            vit_client *t;
            close(gate[1]);
            (void)!read(gate[0], &c, 1); /* until the other end is closed */
            t = vit_create(&o);
            need(t != NULL, "vit_create");
            (void)vit_flush(t, 500); /* another may have it */
            need(vit_destroy(t, 5000), "vit_destroy");
            _exit(0);
        }
    }
    sleep_us(20000);
    close(gate[0]);
    close(gate[1]);
    for (i = 0; i < STARTERS; i++)
        need(waitpid(children[i], &status, 0) == children[i] && status == 0, "a start failed");
}

static void check_starters(void)
{
    uint32_t i;
    for (i = 0; i < 10u; i++) {
        play p = nobody;
        crash_for_consent("several starts at once");
        want(run_child(play_starters, &p) == 0, "it did not end in order");
        (void)start(place_of("killed"));
        want_count(count_lines("\"UncaughtException\"", NULL, NULL), 1, "UncaughtException");
        want_count(count_lines("\"session.end\"", "\"sr0\"", "\"crash\""), 1, "session.end");
        settle();
    }
}

/* -- a queue in plain memory */

static void play_plain(const play *p)
{
    struct sigaction was, now;
    plain_queue = 1;
    was = now_of(SIGSEGV);
    (void)make("plain", true);
    now = now_of(SIGSEGV);
    need(same_action(&was, &now), "there is a handler, and no place for a record");
    if (p->how) p->how->crash_fn();
    die();
}

static void check_plain(void)
{
    play p = nobody;
    begin("a queue in plain memory: a crash");
    p.how = way_named("null_write");
    want(killed_by(run_child(play_plain, &p), SIGSEGV), "it did not crash");
    plain_queue = 1;
    told("plain", 0, "crash");
    plain_queue = 0;
    settle();
    p.how = NULL;
    expect("a queue in plain memory: killed", play_plain, &p, SIGKILL, "plain", 0, "crash");
}

/* -- more modules than are looked at */

#define MODULES 110u

static void copy_file(const char *from, const char *to)
{
    FILE  *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char   some[4096];
    size_t n;
    must(in && out, from);
    while ((n = fread(some, 1, sizeof some, in)) > 0) must(fwrite(some, 1, n, out) == n, to);
    must(fclose(in) == 0 && fclose(out) == 0, to);
}

static void play_many(const play *p)
{
    char     path[128];
    uint32_t i;
    plugin   other;
    for (i = 0; i < MODULES; i++) {
        snprintf(path, sizeof path, "%s/nothing-%u.so", folder, (unsigned)i);
        copy_file(nothing_path, path);
        need(dlopen(path, RTLD_NOW) != NULL, "dlopen");
        (void)unlink(path);
    }
    playing = *p;
    playing.ours = true;
    other = make_plugin();
    if (p->place) other.crash_fn("null_write");
    crash_null_write();
}

static void check_many(void)
{
    play p = nobody;
    p.how = way_named("null_write");
    begin("more modules than are looked at: a crash of the program is not the plugin's");
    want(killed_by(run_child(play_many, &p), SIGSEGV), "it did not crash");
    (void)start(place_of("plugin"));
    judge_exception(&p, 'p', false);
    settle();
    p.place = IN_PLUGIN;
    begin("more modules than are looked at: a crash of the plugin");
    want(killed_by(run_child(play_many, &p), SIGSEGV), "it did not crash");
    (void)start(place_of("plugin"));
    judge_exception(&p, 'p', true);
    settle();
}

/* -- core dumps: the system writes one as it would without us */

static void play_core(const play *p)
{
    struct rlimit most;
    must(getrlimit(RLIMIT_CORE, &most) == 0, "getrlimit");
    most.rlim_cur = most.rlim_max;
    (void)setrlimit(RLIMIT_CORE, &most);
    if (p->ours) (void)make("dumps", true);
    must(chdir(folder) == 0, "chdir");
    p->how->crash_fn();
}

static void remove_core(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/core", folder);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/core.%ld", folder, (long)getpid());
    (void)unlink(path);
}

static void check_cores(void)
{
    static const char *const some[] = { "null_write", "bus_file",  "raise_fpe", "raise_ill",
                                        "abort",      "raise_sys", "raise_trap" };
    char                     pattern[16] = "";
    FILE                    *f = fopen("/proc/sys/kernel/core_pattern", "r"), *ids;
    uint32_t                 i, uses = 0;
    if (f) {
        if (!fgets(pattern, sizeof pattern, f)) pattern[0] = 0;
        fclose(f);
    }
    ids = fopen("/proc/sys/kernel/core_uses_pid", "r");
    if (ids) {
        uses = fgetc(ids) == '1';
        fclose(ids);
    }
    if (strcmp(pattern, "core\n") != 0 || uses || ADDRESS_SANITIZER) {
        printf("core dumps: not looked at, they are no file `core` here\n");
        return;
    }
    for (i = 0; i < COUNT(some); i++) {
        play p = nobody;
        int  alone, status;
        char text[64];
        begin(some[i]);
        p.how = way_named(some[i]);
        alone = run_child(play_core, &p);
        remove_core();
        p.ours = true;
        status = run_child(play_core, &p);
        remove_core();
        want(killed_by(alone, p.how->number) && WCOREDUMP(alone), "there is no core dump");
        snprintf(text, sizeof text, "0x%x instead of 0x%x", (unsigned)status, (unsigned)alone);
        if (status != alone) complain("wait status, with a core dump,", text);
        (void)start(place_of("dumps"));
        settle();
    }
}

/* -- all of it */

/* What who runs the tests refuses for himself is no matter of theirs. */
static void clear_environment(void)
{
    environment_forget();
    unsetenv("CRASHES_TELEMETRY_OPTOUT");
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
}

static void beside(char out[512], const char *program, const char *name)
{
    const char *slash = strrchr(program, '/');
    snprintf(out, 512, "%.*s%s", slash ? (int)(slash - program + 1) : 0, program, name);
    if (!strchr(out, '/')) snprintf(out, 512, "./%s", name);
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *f)
{
    (void)s, (void)kind, (void)f;
    return remove(path);
}

/* Crashes in this process, which has no other thread. */
static int crash_one(const char *name)
{
    vit_options o = options_of(place_of("one"), "one");
    if (!way_named(name)) return 2;
    o.crash_handler = o.no_thread = true;
    o.transport.send_fn = receive;
    client_of_way = vit_create(&o);
    must(client_of_way && vit_get_stats(client_of_way).crash_surviving, "vit_create");
    vit_session_begin(client_of_way, NULL, NULL);
    must(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 &&
             unlink(client_of_way->own.file.path) == 0,
         "nothing is left");
    way_named(name)->crash_fn();
    return 1;
}

static void check_all(void)
{
    check_ignored();
    check_repairs();
    check_jump();
    check_returns();
    check_ends();
    check_default();
    check_hooks();
    check_fork();
    check_fork_own();
    check_killed();
    check_consent();
    check_starters();
    check_plain();
    check_many();
    check_cores();
}

int main(int argc, char **argv)
{
    const struct rlimit no_core = { 0, RLIM_INFINITY };
    struct rlimit       core;
    uint32_t            rounds = 1000, seed = 1, i;
    if (argc == 2 && strcmp(argv[1], "ways") == 0) {
        for (i = 0; i < COUNT(ways); i++) printf("%s\n", ways[i].name);
        return 0;
    }
    clear_environment();
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = no_core.rlim_cur;
        (void)setrlimit(RLIMIT_CORE, &core);
    }
    (void)mkdir("build", 0755);
    snprintf(folder, sizeof folder, "build/crashes-XXXXXX");
    must(mkdtemp(folder) != NULL, "mkdtemp");
    if (argc == 3 && strcmp(argv[1], "one") == 0) return crash_one(argv[2]);
    if (argc > 1) rounds = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 2) seed = (uint32_t)strtoul(argv[2], NULL, 10);
    beside(plugin_path, argv[0], "crashes_plugin.so");
    beside(nothing_path, argv[0], "crashes_nothing.so");
    shared = (scene *)mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                           -1, 0);
    must(shared != MAP_FAILED, "mmap");
    for (i = 1; i <= rounds; i++) play_out(choose(i, seed));
    play_each(rounds);
    if (plain_count) printf("%u rounds in plain memory\n", (unsigned)plain_count);
    printf("%u rounds: %u passed\n", (unsigned)(rounds + 2u * COUNT(ways)), (unsigned)passed);
    check_all();
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    printf("%u passed, %u failed\n", (unsigned)passed, (unsigned)(failed + plain_count));
    return failed || plain_count ? 1 : 0;
}
#endif /* !CRASHES_PLUGIN */
#endif /* !CRASHES_NOTHING */
