/* explore_world.h: a small system for the explorer's threads: locks, conditions, the futex,
   threads, clocks, and files that several processes share. Included once, behind explore.h and
   before the implementation, whose calls it takes: what runs is the implementation's own code.

   Threads   are the explorer's, each of a process. Before each call that another thread can notice,
             another may go on.
   Time      stands while anybody can go on; then it is that of the first who waits for a time. But
             whoever waits for a time may go on before the others did anything, as if they had slept
             till then: so often as the bounds allow signals.
   Files     names, inodes and descriptions, in memory; flock goes with its description, and all of
             them with their process. The names of a folder are read one by one while others change
             them: a new name takes the first free place, so that it may be missed.
   Killed    is a process before any call on files, where the scenario wants it.
   State     of the explorer: each object has a hash of what was done to it, which goes into the
             thread's at each call on it. */

#ifndef EXPLORE_WORLD_H
#define EXPLORE_WORLD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define W_SECOND   UINT64_C(1000000000)
#define W_BEGIN_NS (UINT64_C(1000) * W_SECOND)
#define W_WALL_NS  (UINT64_C(1800000000) * W_SECOND) /* 2027, at 0 of the monotonic clock */
#define W_NEVER    UINT64_MAX
#define W_IDLE_MAX 400u /* times that nobody could go on but by waiting: more has no end */
#define W_INODES   20u
#define W_NAMES    24u
#define W_OPEN     24u
#define W_DIRS     8u
#define W_FILE_MAX 262144u
#define W_PATH_MAX 160u
#define W_FD       100 /* the first descriptor */
#define W_USER     1000u

/* What lies in a pthread_mutex_t and a pthread_cond_t. */
typedef struct w_mutex {
    uint32_t magic, owner; /* 0, or thread + 1 */
    uint64_t hash;
    uint16_t sync[X_THREADS];
} w_mutex;
typedef struct w_cond {
    uint32_t magic, turn;
    uint64_t hash;
} w_cond;
#define W_MUTEX 0x6d757465u
#define W_COND  0x636f6e64u

typedef enum w_wait_kind {
    W_NOTHING,
    W_LOCK,
    W_CONDITION,
    W_FUTEX,
    W_TIME,
    W_START,
    W_END /* of a thread */
} w_wait_kind;
typedef struct w_waiting {
    w_wait_kind kind;
    const void *on;
    uint32_t    turn; /* of the condition; thread of W_END; 1: woken, of the futex */
    uint64_t    until_ns;
} w_waiting;

typedef struct w_inode {
    bool     used, folder;
    uint32_t links, opens, mode, locked; /* 0, or description + 1 */
    uint64_t size, changed_ns, hash, mark;
} w_inode;
typedef struct w_name {
    uint32_t inode; /* 0: free; else inode + 1 */
    char     path[W_PATH_MAX];
} w_name;
typedef struct w_open_file {
    uint32_t inode, process; /* inode 0: free; else inode + 1 */
    uint64_t at;
    bool     append;
} w_open_file;
typedef struct w_dir {
    bool          used;
    uint32_t      at, process;
    char          folder[W_PATH_MAX];
    struct dirent entry;
} w_dir;

/* What is put back before each run. */
typedef struct w_state {
    uint64_t    now_ns, names_hash;
    w_inode     inodes[W_INODES];
    w_name      names[W_NAMES];
    w_open_file open[W_OPEN];
    bool        dead[X_THREADS];    /* processes */
    uint32_t    randoms[X_THREADS]; /* drawn by each thread */
    bool        starts;             /* the last thread is one that a client started */
    void *(*start_fn)(void *argument);
    void    *argument;
    uint16_t start_clock[X_THREADS];
} w_state;

static struct {
    w_state   s, saved;
    w_waiting waiting[X_THREADS];
    w_dir     dirs[W_DIRS];
    uint32_t  process_of[X_THREADS];
    uint32_t  idle;                     /* times so far */
    uint32_t  expired;                  /* and times that somebody's time was over before it came */
    uint32_t  kills;                    /* that may still be */
    uint32_t  victim;                   /* process + 1 that may be killed; 0: none */
    bool      points;                   /* calls on files are points */
    bool      over;                     /* a thread that was not started need not be */
    void (*idle_check_fn)(uint64_t ns); /* nobody could go on for that long */
    void (*killed_fn)(uint32_t process);
} w;
static unsigned char w_data[W_INODES][W_FILE_MAX] __attribute__((aligned(4096)));
static unsigned char w_saved_data[W_INODES][W_FILE_MAX];

/* ---- what has happened ------------------------------------------------------------------- */

/* A call on an object. changes: others will notice. */
X_OURS static void w_event(uint64_t *object, bool changes)
{
    x_thread *me = x_me();
    if (!x.running) return;
    me->hash = x_mix(me->hash, *object + 7u);
    if (changes) *object = x_mix(*object + 11u, (uint64_t)x.self << 32 | me->clock[x.self]);
    me->clock[x.self]++;
}

X_OURS static void w_acquire(const uint16_t sync[X_THREADS])
{
    uint32_t u;
    for (u = 0; u < x.threads; u++)
        if (x_me()->clock[u] < sync[u]) x_me()->clock[u] = sync[u];
}

/* It is behind it, which is another state than before it. */
X_OURS static void w_point(void)
{
    if (!x.running) return;
    x_point(true);
    x_learn(12);
}

X_OURS static void w_trace(const char *what, const char *name, long result)
{
    if (x.running && x.trace)
        printf("      %u  %-10s %s: %ld\n", (unsigned)x.self, what, name, result);
}

/* ---- waiting ----------------------------------------------------------------------------- */

X_OURS static void w_set_time(uint64_t now_ns)
{
    if (now_ns > w.s.now_ns) w.s.now_ns = now_ns;
    x.other = x_mix(w.s.now_ns, 1);
    if (x.trace)
        printf("      time is %llu ms\n", (unsigned long long)(w.s.now_ns - W_BEGIN_NS) / 1000000u);
}

X_OURS static bool w_is_ready(uint32_t t)
{
    const w_waiting *a = &w.waiting[t];
    if (a->until_ns <= w.s.now_ns) return true;
    switch (a->kind) {
    case W_LOCK: return ((const w_mutex *)a->on)->owner == 0;
    case W_CONDITION: return ((const w_cond *)a->on)->turn != a->turn;
    case W_FUTEX: return a->turn != 0;
    case W_START: return w.s.start_fn != NULL || w.over;
    case W_END: return x.thread[a->turn].state == X_DONE;
    case W_NOTHING: return true;
    case W_TIME: break;
    }
    return false;
}

/* True: it came; false: the time is over. */
X_OURS static bool w_wait(w_wait_kind kind, const void *on, uint32_t turn, uint64_t until_ns)
{
    w_waiting *a = &w.waiting[x.self];
    bool       came;
    a->kind = kind;
    a->on = on;
    a->turn = turn;
    a->until_ns = until_ns;
    x_wait(w_is_ready);
    came =
        kind == W_FUTEX ? a->turn != 0 : kind != W_CONDITION || ((const w_cond *)on)->turn != turn;
    x_learn(came);
    a->kind = W_NOTHING;
    return came;
}

X_OURS static bool w_may_expire(uint32_t t)
{
    w_wait_kind kind = w.waiting[t].kind;
    return (kind == W_CONDITION || kind == W_FUTEX) && w.waiting[t].until_ns != W_NEVER;
}

X_OURS static void w_expire(uint32_t t)
{
    w.expired++;
    x.thread[t].hash = x_mix(x.thread[t].hash, 0x700u);
    w_set_time(w.waiting[t].until_ns);
}

/* Nobody can go on: the first who waits for a time does. */
X_OURS static bool w_be_idle(void)
{
    uint64_t first = W_NEVER;
    uint32_t t;
    for (t = 0; t < x.threads; t++)
        if (x.thread[t].state == X_WAITS && w.waiting[t].kind != W_NOTHING &&
            w.waiting[t].until_ns < first)
            first = w.waiting[t].until_ns;
    if (first == W_NEVER) return false;
    if (++w.idle > W_IDLE_MAX) x_fail("a run without an end: all wait for time to pass");
    if (w.idle_check_fn) w.idle_check_fn(first - w.s.now_ns);
    w_set_time(first);
    return true;
}

/* ---- locks, conditions, the futex -------------------------------------------------------- */

X_OURS static w_mutex *w_mutex_of(pthread_mutex_t *lock)
{
    w_mutex *m = (w_mutex *)(void *)lock;
    if (x.running && x.access_fn) x.access_fn(m);
    if (m->magic != W_MUTEX) x_fail("a lock that is none");
    return m;
}

X_OURS static int w_mutex_init(pthread_mutex_t *lock)
{
    w_mutex *m = (w_mutex *)(void *)lock;
    (memset)(m, 0, sizeof *m);
    m->magic = W_MUTEX;
    return 0;
}

X_OURS static int w_mutex_destroy(pthread_mutex_t *lock)
{
    w_mutex *m = w_mutex_of(lock);
    if (m->owner) x_fail("a lock is destroyed while thread %u has it", (unsigned)m->owner - 1u);
    m->magic = 0;
    return 0;
}

X_OURS static int w_mutex_lock(pthread_mutex_t *lock)
{
    w_mutex *m = w_mutex_of(lock);
    if (!x.running) return 0;
    w_point();
    m = w_mutex_of(lock);
    while (m->owner) {
        if (m->owner == x.self + 1u) x_fail("a thread waits for its own lock");
        (void)w_wait(W_LOCK, m, 0, W_NEVER);
        m = w_mutex_of(lock);
    }
    m->owner = x.self + 1u;
    w_acquire(m->sync);
    w_event(&m->hash, true);
    w_trace("lock", "", 0);
    return 0;
}

X_OURS static int w_mutex_unlock(pthread_mutex_t *lock)
{
    w_mutex *m = w_mutex_of(lock);
    if (!x.running) return 0;
    if (m->owner != x.self + 1u)
        x_fail("a lock is released that thread %u has not", (unsigned)x.self);
    m->owner = 0;
    (memcpy)(m->sync, x_me()->clock, sizeof m->sync);
    w_event(&m->hash, true);
    w_trace("unlock", "", 0);
    return 0;
}

X_OURS static int w_cond_init(pthread_cond_t *condition)
{
    w_cond *c = (w_cond *)(void *)condition;
    (memset)(c, 0, sizeof *c);
    c->magic = W_COND;
    return 0;
}

X_OURS static w_cond *w_cond_of(pthread_cond_t *condition)
{
    w_cond *c = (w_cond *)(void *)condition;
    if (x.running && x.access_fn) x.access_fn(c);
    if (c->magic != W_COND) x_fail("a condition that is none");
    return c;
}

X_OURS static int w_cond_destroy(pthread_cond_t *condition)
{
    uint32_t t;
    w_cond  *c = w_cond_of(condition);
    for (t = 0; x.running && t < x.threads; t++)
        if (w.waiting[t].kind == W_CONDITION && w.waiting[t].on == c)
            x_fail("a condition is destroyed while thread %u waits", (unsigned)t);
    c->magic = 0;
    return 0;
}

X_OURS static int w_cond_broadcast(pthread_cond_t *condition)
{
    w_cond *c = w_cond_of(condition);
    if (!x.running) return 0;
    c->turn++;
    w_event(&c->hash, true);
    w_trace("broadcast", "", 0);
    return 0;
}

X_OURS static int w_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                                   const struct timespec *until)
{
    w_cond  *c = w_cond_of(condition);
    uint32_t turn = c->turn;
    bool     came;
    w_trace("cond wait", "", (long)turn);
    (void)w_mutex_unlock(lock);
    w_event(&c->hash, false);
    came =
        w_wait(W_CONDITION, c, turn, (uint64_t)until->tv_sec * W_SECOND + (uint64_t)until->tv_nsec);
    w_event(&c->hash, false);
    (void)w_mutex_lock(lock);
    return came ? 0 : ETIMEDOUT;
}

static uint64_t w_futex_hash;

X_OURS static long w_futex(uint32_t *word, int what, uint32_t value, const long *time)
{
    uint32_t t, woken = 0;
    bool     came;
    w_point();
    if (x.running && x.access_fn) x.access_fn(word);
    w_event(&w_futex_hash, true);
    if ((what & FUTEX_CMD_MASK) == FUTEX_WAKE) {
        for (t = 0; t < x.threads && woken < value; t++)
            if (w.waiting[t].kind == W_FUTEX && w.waiting[t].on == word && !w.waiting[t].turn)
                w.waiting[t].turn = 1, woken++;
        w_trace("wake", "", (long)woken);
        return (long)woken;
    }
    if (*word != value) return -1;
    w_trace("sleep", "", (time[0] * 1000 + time[1] / 1000000));
    came = w_wait(W_FUTEX, word, 0, w.s.now_ns + (uint64_t)time[0] * W_SECOND + (uint64_t)time[1]);
    w_event(&w_futex_hash, false);
    return came ? 0 : -1;
}

/* ---- threads, and what a process draws --------------------------------------------------- */

/* Each thread has its own stream, so that what it draws is no matter of the interleaving. */
X_OURS static long w_random(void *out, size_t size)
{
    unsigned char *at = (unsigned char *)out;
    uint64_t       r = 0;
    size_t         i;
    for (i = 0; i < size; i++) {
        if (i % 8u == 0)
            r = x_mix((uint64_t)(x.self + 1u) << 40 | ++w.s.randoms[x.self], 0x52414e44u);
        at[i] = (unsigned char)(r >> (i % 8u) * 8u);
    }
    return (long)size;
}

X_OURS static long w_syscall(long number, ...)
{
    va_list list;
    void   *a;
    long    result = -1;
    va_start(list, number);
    if (number == SYS_getrandom) {
        a = va_arg(list, void *);
        result = w_random(a, va_arg(list, size_t));
    } else if (number == SYS_futex) {
        int      what;
        uint32_t value;
        a = va_arg(list, void *);
        what = va_arg(list, int);
        value = va_arg(list, uint32_t);
        result = w_futex((uint32_t *)a, what, value, va_arg(list, const long *));
    } else abort();
    va_end(list);
    return result;
}

X_OURS static int w_thread_create(pthread_t *id, void *(*start_fn)(void *), void *argument)
{
    if (w.s.start_fn) abort(); /* one thread a world */
    w.s.start_fn = start_fn;
    w.s.argument = argument;
    *id = (pthread_t)x.threads - 1u;
    if (x.running) (memcpy)(w.s.start_clock, x_me()->clock, sizeof w.s.start_clock);
    return 0;
}

X_OURS static int w_thread_join(pthread_t id)
{
    w_trace("join", "", (long)id);
    (void)w_wait(W_END, NULL, (uint32_t)id, W_NEVER);
    x_join((uint32_t)id);
    return 0;
}

/* The body of the thread that a client starts: the last. */
X_OURS static void w_started_thread(void)
{
    (void)w_wait(W_START, NULL, 0, W_NEVER);
    if (!w.s.start_fn) return;
    w_acquire(w.s.start_clock);
    (void)w.s.start_fn(w.s.argument);
}

X_OURS static uint64_t w_clock_ns(int clock)
{
    if (x.running) x_learn(w.s.now_ns);
    return clock == CLOCK_REALTIME ? W_WALL_NS + w.s.now_ns : w.s.now_ns;
}

X_OURS static int w_clock_gettime(int clock, struct timespec *at)
{
    uint64_t ns = w_clock_ns(clock);
    at->tv_sec = (time_t)(ns / W_SECOND);
    at->tv_nsec = (long)(ns % W_SECOND);
    return 0;
}

static bool w_hasty; /* who waits for a time does not let others run */

X_OURS static int w_nanosleep(const struct timespec *time)
{
    uint64_t ns = (uint64_t)time->tv_sec * W_SECOND + (uint64_t)time->tv_nsec;
    if (x.running && !w_hasty) (void)w_wait(W_TIME, NULL, 0, w.s.now_ns + ns);
    else w.s.now_ns += ns;
    return 0;
}

X_OURS static uint32_t w_process(void) { return w.process_of[x.self]; }
X_OURS static int      w_pid(uint32_t process) { return 100 + (int)process; }

X_OURS static int w_kill(int pid, int number)
{
    uint32_t p = (uint32_t)(pid - 100);
    (void)number;
    if (p < X_THREADS && !w.s.dead[p]) return 0;
    errno = ESRCH;
    return -1;
}

/* ---- files ------------------------------------------------------------------------------- */

X_OURS static void w_close_description(uint32_t d);

/* All of a process that goes. */
X_OURS static void w_process_ends(uint32_t process)
{
    uint32_t d;
    for (d = 0; d < W_OPEN; d++)
        if (w.s.open[d].inode && w.s.open[d].process == process) w_close_description(d);
    for (d = 0; d < W_DIRS; d++)
        if (w.dirs[d].process == process) w.dirs[d].used = false;
    w.s.dead[process] = true;
    w_event(&w.s.names_hash, true);
}

/* Before each call on files: here it may be killed, and others may go on. */
X_OURS static void w_file_point(void)
{
    if (!x.running || !w.points) return;
    w_point();
    if (w.victim != w_process() + 1u || !w.kills) return;
    if (!x_choose(2)) return;
    w.kills--;
    if (x.trace) printf("      %u  is killed\n", (unsigned)x.self);
    w_process_ends(w_process());
    if (w.killed_fn) w.killed_fn(w_process());
    x_me()->hash = x_mix(x_me()->hash, 0x900u);
    x_me()->state = X_DONE;
    x.free_switch = true;
    x_switch();
    abort();
}

X_OURS static w_inode *w_inode_of(int fd) { return &w.s.inodes[w.s.open[fd - W_FD].inode - 1u]; }

X_OURS static unsigned char *w_bytes_of(const w_inode *f) { return w_data[f - w.s.inodes]; }

X_OURS static w_name *w_find(const char *path)
{
    uint32_t i;
    for (i = 0; i < W_NAMES; i++)
        if (w.s.names[i].inode && strcmp(w.s.names[i].path, path) == 0) return &w.s.names[i];
    return NULL;
}

X_OURS static int w_error(int code)
{
    errno = code;
    return -1;
}

X_OURS static void w_forget_inode(w_inode *f)
{
    if (f->links == 0 && f->opens == 0) f->used = false;
}

X_OURS static void w_add_name(const char *path, uint32_t inode)
{
    uint32_t i = 0;
    while (i < W_NAMES && w.s.names[i].inode) i++;
    if (i == W_NAMES || strlen(path) >= W_PATH_MAX) x_fail("too many names, or too long: %s", path);
    strcpy(w.s.names[i].path, path);
    w.s.names[i].inode = inode + 1u;
    w.s.inodes[inode].links++;
}

X_OURS static w_name *w_make(const char *path, uint32_t mode, bool folder)
{
    uint32_t i = 0;
    w_inode *f;
    while (i < W_INODES && w.s.inodes[i].used) i++;
    if (i == W_INODES) x_fail("too many files");
    f = &w.s.inodes[i];
    (memset)(f, 0, sizeof *f);
    f->used = true;
    f->folder = folder;
    f->mode = mode;
    f->changed_ns = w.s.now_ns;
    w_add_name(path, i);
    return w_find(path);
}

/* /proc/<pid>/stat of a process that lives. */
X_OURS static int w_open_proc(const char *path)
{
    uint32_t p = (uint32_t)strtoul(path + 6, NULL, 10) - 100u;
    w_event(&w.s.names_hash, false);
    return p < X_THREADS && !w.s.dead[p] ? W_FD - 1 - (int)p : w_error(ENOENT);
}

/* When it began is field 22. */
X_OURS static ssize_t w_read_proc(int fd, void *out)
{
    int p = W_FD - 1 - fd;
    return sprintf((char *)out, "%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0",
                   w_pid((uint32_t)p), 1000 + p);
}

X_OURS static int w_open(const char *path, int flags, ...)
{
    w_name  *n;
    w_inode *f;
    uint32_t d = 0;
    if (strncmp(path, "/proc/", 6) == 0) return w_open_proc(path);
    if (strncmp(path, "/etc/", 5) == 0) return w_error(ENOENT);
    w_file_point();
    n = w_find(path);
    w_event(&w.s.names_hash, !n && (flags & O_CREAT));
    w_trace("open", path, n ? 1 : 0);
    if (!n && !(flags & O_CREAT)) return w_error(ENOENT);
    if (n && (flags & O_EXCL)) return w_error(EEXIST);
    if (!n) n = w_make(path, 0600, false);
    while (d < W_OPEN && w.s.open[d].inode) d++;
    if (d == W_OPEN) x_fail("too many open files");
    f = &w.s.inodes[n->inode - 1u];
    f->opens++;
    w.s.open[d].inode = n->inode;
    w.s.open[d].process = w_process();
    w.s.open[d].at = 0;
    w.s.open[d].append = (flags & O_APPEND) != 0;
    return W_FD + (int)d;
}

X_OURS static void w_close_description(uint32_t d)
{
    w_inode *f = &w.s.inodes[w.s.open[d].inode - 1u];
    if (f->locked == d + 1u) f->locked = 0;
    w_event(&f->hash, true);
    f->opens--;
    w.s.open[d].inode = 0;
    w_forget_inode(f);
}

X_OURS static w_inode *w_check_fd(int fd, const char *what)
{
    uint32_t d = (uint32_t)(fd - W_FD);
    if (fd < W_FD || d >= W_OPEN || !w.s.open[d].inode || w.s.open[d].process != w_process())
        x_fail("%s of a file that is not open", what);
    return w_inode_of(fd);
}

X_OURS static int w_close(int fd)
{
    if (fd < W_FD) return 0;
    (void)w_check_fd(fd, "close");
    w_file_point();
    w_trace("close", "", fd);
    w_close_description((uint32_t)(fd - W_FD));
    return 0;
}

X_OURS static int w_flock(int fd, int how)
{
    w_inode *f = w_check_fd(fd, "flock");
    uint32_t me = (uint32_t)(fd - W_FD) + 1u;
    w_file_point();
    if (how == LOCK_UN) {
        if (f->locked == me) f->locked = 0;
        w_event(&f->hash, true);
        w_trace("unlock", "file", fd);
        return 0;
    }
    w_event(&f->hash, true);
    w_trace("lock", "file", f->locked);
    if (f->locked && f->locked != me) return w_error(EWOULDBLOCK);
    f->locked = me;
    return 0;
}

X_OURS static ssize_t w_read(int fd, void *out, size_t size)
{
    w_inode     *f;
    w_open_file *o;
    if (fd < W_FD) return w_read_proc(fd, out);
    w_file_point();
    f = w_check_fd(fd, "read");
    o = &w.s.open[fd - W_FD];
    w_event(&f->hash, false);
    if (o->at >= f->size) return 0;
    if (size > f->size - o->at) size = (size_t)(f->size - o->at);
    (memcpy)(out, w_bytes_of(f) + o->at, size);
    o->at += size;
    return (ssize_t)size;
}

X_OURS static void w_set_size(w_inode *f, uint64_t size)
{
    if (size > W_FILE_MAX) x_fail("a file is too large");
    if (size > f->size) (memset)(w_bytes_of(f) + f->size, 0, (size_t)(size - f->size));
    f->size = size;
    f->changed_ns = w.s.now_ns;
}

X_OURS static ssize_t w_write(int fd, const void *data, size_t size)
{
    w_inode     *f = w_check_fd(fd, "write");
    w_open_file *o = &w.s.open[fd - W_FD];
    w_file_point();
    w_event(&f->hash, true);
    if (o->append) o->at = f->size;
    if (o->at + size > f->size) w_set_size(f, o->at + size);
    (memcpy)(w_bytes_of(f) + o->at, data, size);
    o->at += size;
    w_trace("write", "", (long)size);
    return (ssize_t)size;
}

X_OURS static off_t w_lseek(int fd, off_t at)
{
    (void)w_check_fd(fd, "lseek");
    w.s.open[fd - W_FD].at = (uint64_t)at;
    return at;
}

X_OURS static int w_ftruncate(int fd, off_t size)
{
    w_inode *f = w_check_fd(fd, "ftruncate");
    w_file_point();
    w_event(&f->hash, true);
    w_set_size(f, (uint64_t)size);
    return 0;
}

X_OURS static void w_tell(const w_inode *f, struct stat *s)
{
    (memset)(s, 0, sizeof *s);
    s->st_dev = 1;
    s->st_ino = (ino_t)(f - w.s.inodes + 1);
    s->st_mode = (f->folder ? S_IFDIR : S_IFREG) | f->mode;
    s->st_nlink = f->links;
    s->st_uid = W_USER;
    s->st_size = (off_t)f->size;
    s->st_mtime = s->st_ctime = (time_t)((W_WALL_NS + f->changed_ns) / W_SECOND);
}

X_OURS static int w_fstat(int fd, struct stat *s)
{
    w_inode *f = w_check_fd(fd, "fstat");
    w_file_point();
    w_event(&f->hash, false);
    w_event(&w.s.names_hash, false); /* links */
    w_tell(f, s);
    return 0;
}

/* No links: stat and lstat. Folders stay as they are. */
X_OURS static int w_stat(const char *path, struct stat *s)
{
    w_name *n = w_find(path);
    if (n && w.s.inodes[n->inode - 1u].folder) {
        w_tell(&w.s.inodes[n->inode - 1u], s);
        return 0;
    }
    if (strncmp(path, "/etc/", 5) == 0) return w_error(ENOENT);
    w_file_point();
    n = w_find(path);
    w_event(&w.s.names_hash, false);
    if (!n) return w_error(ENOENT);
    w_event(&w.s.inodes[n->inode - 1u].hash, false);
    w_tell(&w.s.inodes[n->inode - 1u], s);
    return 0;
}

X_OURS static int w_unlink(const char *path)
{
    w_name  *n;
    w_inode *f;
    w_file_point();
    n = w_find(path);
    w_event(&w.s.names_hash, true);
    w_trace("unlink", path, n ? 1 : 0);
    if (!n) return w_error(ENOENT);
    f = &w.s.inodes[n->inode - 1u];
    n->inode = 0;
    f->links--;
    w_event(&f->hash, true);
    w_forget_inode(f);
    return 0;
}

X_OURS static int w_link_or_rename(const char *from, const char *to, bool moves)
{
    w_name  *n, *there;
    w_inode *f;
    uint32_t inode;
    w_file_point();
    n = w_find(from);
    there = w_find(to);
    w_event(&w.s.names_hash, true);
    w_trace(moves ? "rename" : "link", to, n ? 1 : 0);
    if (!n) return w_error(ENOENT);
    if (there && !moves) return w_error(EEXIST);
    inode = n->inode - 1u;
    if (there) {
        f = &w.s.inodes[there->inode - 1u];
        there->inode = 0;
        f->links--;
        w_forget_inode(f);
    }
    w_add_name(to, inode);
    if (moves) n->inode = 0;
    if (moves) w.s.inodes[inode].links--;
    w_event(&w.s.inodes[inode].hash, true);
    return 0;
}

X_OURS static int w_mkdir(const char *path)
{
    return w_find(path) ? w_error(EEXIST) : w_error(ENOENT); /* the scenario makes them */
}

X_OURS static DIR *w_opendir(const char *path)
{
    w_name  *n = w_find(path);
    uint32_t i = 0;
    if (!n || !w.s.inodes[n->inode - 1u].folder) {
        errno = ENOENT;
        return NULL;
    }
    while (i < W_DIRS && w.dirs[i].used) i++;
    if (i == W_DIRS) x_fail("too many open folders");
    w.dirs[i].used = true;
    w.dirs[i].at = 0;
    w.dirs[i].process = w_process();
    strcpy(w.dirs[i].folder, path);
    return (DIR *)(void *)&w.dirs[i];
}

X_OURS static struct dirent *w_readdir(DIR *dir)
{
    w_dir *d = (w_dir *)(void *)dir;
    size_t size = strlen(d->folder);
    w_file_point();
    w_event(&w.s.names_hash, false);
    for (; d->at < W_NAMES; d->at++) {
        const w_name *n = &w.s.names[d->at];
        if (!n->inode || strncmp(n->path, d->folder, size) != 0 || n->path[size] != '/') continue;
        strcpy(d->entry.d_name, n->path + size + 1u);
        d->at++;
        return &d->entry;
    }
    return NULL;
}

X_OURS static int w_closedir(DIR *dir)
{
    ((w_dir *)(void *)dir)->used = false;
    return 0;
}

/* Shared: the file's own bytes. Else memory of the caller's. */
static void *(*w_memory_fn)(size_t size);
static void (*w_gone_fn)(void *memory);

X_OURS static void *w_mmap(size_t size, int fd)
{
    void *memory;
    if (fd >= 0) return w_bytes_of(w_check_fd(fd, "mmap"));
    memory = w_memory_fn(size);
    return memory ? memory : MAP_FAILED;
}

X_OURS static int w_munmap(void *memory)
{
    bool file = (unsigned char *)memory >= w_data[0] && (unsigned char *)memory < w_data[W_INODES];
    if (!file) w_gone_fn(memory);
    return 0;
}

static bool w_plain; /* no file keeps its space */

X_OURS static bool w_keeps_space(int fd, size_t size)
{
    if (w_plain) return false;
    w_file_point();
    w_set_size(w_check_fd(fd, "fallocate"), size);
    return true;
}

X_OURS static int w_uname(struct utsname *u)
{
    (memset)(u, 0, sizeof *u);
    strcpy(u->sysname, "Linux");
    strcpy(u->release, "6.1.0");
    strcpy(u->machine, "x86_64");
    return 0;
}

X_OURS static char   *w_no_text(void) { return NULL; }
X_OURS static ssize_t w_no_bytes(void *out)
{
    (void)out;
    return -1;
}

/* ---- a world ----------------------------------------------------------------------------- */

static void w_begin(void)
{
    (memset)(&w, 0, sizeof w);
    w.s.now_ns = W_BEGIN_NS;
    x.may_expire_fn = w_may_expire;
    x.expire_fn = w_expire;
    x.idle_fn = w_be_idle;
}

/* What is there now is put back before each run. */
static void w_save(void)
{
    uint32_t i;
    w.saved = w.s;
    for (i = 0; i < W_INODES; i++)
        if (w.s.inodes[i].used) (memcpy)(w_saved_data[i], w_data[i], (size_t)w.s.inodes[i].size);
}

X_OURS static void w_restore(uint32_t kills)
{
    uint32_t i;
    w.s = w.saved;
    for (i = 0; i < W_INODES; i++)
        if (w.s.inodes[i].used) (memcpy)(w_data[i], w_saved_data[i], (size_t)w.s.inodes[i].size);
    (memset)(w.waiting, 0, sizeof w.waiting);
    (memset)(w.dirs, 0, sizeof w.dirs);
    w.idle = w.expired = 0;
    w.kills = kills;
    w.over = false;
    w_futex_hash = 0;
}

/* ---- the implementation's calls ---------------------------------------------------------- */

#undef clock_gettime
#define clock_gettime(clock, at)             w_clock_gettime((int)(clock), (at))
#define pthread_mutex_init(m, a)             w_mutex_init(m)
#define pthread_mutex_destroy(m)             w_mutex_destroy(m)
#define pthread_mutex_lock(m)                w_mutex_lock(m)
#define pthread_mutex_unlock(m)              w_mutex_unlock(m)
#define pthread_cond_init(c, a)              ((void)(a), w_cond_init(c))
#define pthread_cond_destroy(c)              w_cond_destroy(c)
#define pthread_cond_broadcast(c)            w_cond_broadcast(c)
#define pthread_cond_timedwait(c, m, t)      w_cond_timedwait((c), (m), (t))
#define pthread_create(id, a, fn, argument)  w_thread_create((id), (fn), (argument))
#define pthread_join(id, result)             w_thread_join(id)
#define pthread_self()                       ((pthread_t)(x.self + 1u))
#define pthread_sigmask(how, set, old)       ((void)(set), (void)(old), 0)
#define syscall(...)                         w_syscall(__VA_ARGS__)
#define nanosleep(time, left)                w_nanosleep(time)
#define open(...)                            w_open(__VA_ARGS__)
#define close(fd)                            w_close(fd)
#define read(fd, out, size)                  w_read((fd), (out), (size))
#define write(fd, data, size)                w_write((fd), (data), (size))
#define lseek(fd, at, from)                  w_lseek((fd), (at))
#define ftruncate(fd, size)                  w_ftruncate((fd), (size))
#define fstat(fd, s)                         w_fstat((fd), (s))
#define lstat(path, s)                       w_stat((path), (s))
#define stat(path, s)                        w_stat((path), (s))
#define flock(fd, how)                       w_flock((fd), (how))
#define rename(from, to)                     w_link_or_rename((from), (to), true)
#define link(from, to)                       w_link_or_rename((from), (to), false)
#define unlink(path)                         w_unlink(path)
#define chmod(path, mode)                    0
#define fchmod(fd, mode)                     0
#define fsync(fd)                            0
#define mkdir(path, mode)                    w_mkdir(path)
#define access(path, how)                    0
#define opendir(path)                        w_opendir(path)
#define readdir(dir)                         w_readdir(dir)
#define closedir(dir)                        w_closedir(dir)
#define mmap(at, size, how, flags, fd, from) w_mmap((size), (fd))
#define munmap(at, size)                     w_munmap(at)
#define madvise(at, size, what)              0
#define kill(pid, number)                    w_kill((pid), (number))
#define getpid()                             w_pid(w_process())
#define getuid()                             W_USER
#define geteuid()                            W_USER
#define getgid()                             W_USER
#define getegid()                            W_USER
#define getenv(name)                         ((void)(name), w_no_text())
#define gethostname(out, size)               ((int)w_no_bytes(out))
#define readlink(path, out, size)            ((void)(size), w_no_bytes(out))
#define getcwd(out, size)                    w_no_text()
#define uname(u)                             w_uname(u)
#define sysconf(what)                        1L
#define VITP_OS_THREAD_POINTER()             ((uintptr_t)65536u + (uintptr_t)x.self * 64u)
#define VITP_OS_POOL_KEEPS_SPACE(fd, size)   w_keeps_space((fd), (size))

/* The two of vitp_os_wake. */
#define __atomic_exchange_n(p, v, order) ((uint32_t)x_rmw((p), 4u, X_EXCHANGE, (v), #p))

#endif /* EXPLORE_WORLD_H */
