/* test_platform.c: what each function of >>platform does when a call of the system fails, takes a
   part, or tells of something that is seldom seen: by the calls of torture.h, each of which can be
   told to fail.

   Build: cc -std=c99 -I. tests/test_platform.c -o build/tests/test_platform -lcmocka -pthread */

#include "torture.h"

/* What the system says instead of what is. */
#undef TORTURE_open
#define TORTURE_open(path, ...) \
    (TORTURE_FAILS(open)        \
         ? -1                   \
         : (int)torture_number(TORTURE_FILE, open(told_path(path), __VA_ARGS__), __LINE__))
#undef TORTURE_mkdir
#define TORTURE_mkdir(path, mode) TORTURE_INT(mkdir, path, mode)
#undef TORTURE_fstat
#define TORTURE_fstat(file, out) (TORTURE_FAILS(fstat) ? -1 : told_stat(fstat(file, out), out))
#undef TORTURE_lstat
#define TORTURE_lstat(path, out) (TORTURE_FAILS(lstat) ? -1 : told_stat(lstat(path, out), out))
#undef TORTURE_fstatfs
#define TORTURE_fstatfs(file, out) told_disk(fstatfs(file, out), out)
#undef TORTURE_fallocate
#define TORTURE_fallocate(file, ...) \
    (TORTURE_FAILS(fallocate) || told_timer() ? -1 : fallocate(file, __VA_ARGS__))
#undef TORTURE_uname
#define TORTURE_uname(out) told_system(uname(out), out)
#undef TORTURE_readlink
#define TORTURE_readlink(path, out, size) told_link(out, size)
#undef TORTURE_getenv
#define TORTURE_getenv(name)    told_env(name)
#define VITP_OS_CLOCK_NS(clock) told_ns((int)(clock))
#define getgid                  told_gid

static const char        *told_path(const char *name);
static unsigned long long told_ns(int clock);
static const char        *told_env(const char *name);

struct stat;
struct statfs;
struct utsname;
static int  told_stat(int result, struct stat *s);
static int  told_disk(int result, struct statfs *s);
static int  told_timer(void);
static int  told_system(int result, struct utsname *u);
static long told_link(char *out, unsigned long size);

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"
#undef getgid

#include "common.h"

/* ---- what fails ------------------------------------------------------------------------------ */

/* Bit n of `which`: the n-th call of that name fails. */
static struct {
    const char *call;
    unsigned    which, count;
    int         error;
    bool        part; /* of what is to be read or written, one byte is */
} fault;

static void fail_calls(const char *name, unsigned which, int error)
{
    fault.call = name;
    fault.which = which;
    fault.count = 0;
    fault.error = error;
    fault.part = false;
}

static void fail_none(void) { fail_calls(NULL, 0, 0); }

int torture_fails(const char *name, int line)
{
    unsigned n;
    (void)line;
    if (!fault.call || strcmp(name, fault.call) != 0) return 0;
    n = fault.count++;
    if (n > 31 || !(fault.which >> n & 1u)) return 0;
    errno = fault.error;
    return 1;
}

unsigned long torture_part(const char *name, unsigned long size, int line)
{
    (void)name, (void)line;
    return fault.part && size > 0 ? 1 : size;
}

/* How many descriptors, mappings and so on are held. */
static int held[TORTURE_KINDS];

long long torture_number(enum torture_kind kind, long long number, int line)
{
    (void)line;
    if (number >= 0) held[kind]++;
    return number;
}
void *torture_pointer(enum torture_kind kind, void *pointer, int line)
{
    (void)line;
    if (pointer && pointer != MAP_FAILED) held[kind]++;
    return pointer;
}
void torture_let_go(enum torture_kind kind, unsigned long long key)
{
    if (key) held[kind]--;
}
int  torture_has_failed(void) { return 0; }
void torture_born(void *client) { (void)client; }
void torture_dies(void *client) { (void)client; }

static struct {
    const char   *passwd, *random; /* paths of other files than the system's */
    const char   *name;            /* of an environment variable, with its value */
    const char   *value;
    const char   *program;
    const char   *release;
    unsigned long disk;
    bool          before_1970, other_group;
    unsigned      timer; /* so many calls end by the signal of a timer, unless it is blocked */
    unsigned      stat_at; /* this call's answer is changed; 0: none */
    void (*stat_fn)(struct stat *s);
} told;

static const char *told_path(const char *name)
{
    if (told.passwd && strcmp(name, "/etc/passwd") == 0) return told.passwd;
    return told.random && strcmp(name, "/dev/urandom") == 0 ? told.random : name;
}
static unsigned long long told_ns(int clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    if (told.before_1970 && clock == CLOCK_REALTIME) t.tv_sec = -1000;
    return (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec;
}
static const char *told_env(const char *name)
{
    return told.name && strcmp(name, told.name) == 0 ? told.value : getenv(name);
}
static int told_stat(int result, struct stat *s)
{
    if (result == 0 && told.stat_at > 0 && --told.stat_at == 0) told.stat_fn(s);
    return result;
}
static int told_disk(int result, struct statfs *s)
{
    if (told.disk) s->f_type = (__typeof__(s->f_type))told.disk;
    return result;
}
static int told_timer(void)
{
    sigset_t now;
    (void)sigprocmask(SIG_SETMASK, NULL, &now);
    if (told.timer == 0 || sigismember(&now, SIGALRM)) return 0;
    errno = --told.timer > 0 ? EINTR : ENOSPC;
    return 1;
}
static int told_system(int result, struct utsname *u)
{
    if (told.release) snprintf(u->release, sizeof u->release, "%s", told.release);
    return result;
}
static long told_link(char *out, unsigned long size)
{
    size_t n = told.program ? strlen(told.program) : 0;
    if (!told.program) return -1;
    assert_true(n <= size);
    memcpy(out, told.program, n);
    return (long)n;
}
gid_t real_getgid(void) __asm__("getgid");
gid_t told_gid(void) { return told.other_group ? real_getgid() + 1u : real_getgid(); }

static void tell_stat(unsigned at, void (*fn)(struct stat *s))
{
    told.stat_at = at;
    told.stat_fn = fn;
}
static void other_owner(struct stat *s) { s->st_uid++; }
static void no_size(struct stat *s) { s->st_size = -1; }
static void other_device(struct stat *s) { s->st_dev++; }
static void other_inode(struct stat *s) { s->st_ino++; }
static void two_names(struct stat *s) { s->st_nlink = 2; }
static void a_folder(struct stat *s) { s->st_mode = S_IFDIR | 0700; }
static void others_write(struct stat *s) { s->st_mode |= 0022; }

static int begin(void **state)
{
    (void)state;
    memset(&told, 0, sizeof told);
    memset(held, 0, sizeof held);
    fail_none();
    return 0;
}

static char folder[64], path[128], long_text[VITP_POOL_PATH_MAX + 64];

/* A folder with a file in it. */
static void make(const char *text)
{
    folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    if (text) file_write(path, text, strlen(text), 0600);
}

static unsigned files_in(const char *in)
{
    unsigned       n = 0;
    DIR           *d = opendir(in);
    struct dirent *entry;
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A path of that many bytes. */
static const char *path_of(size_t size)
{
    assert_true(size < sizeof long_text);
    memset(long_text, 'p', size);
    long_text[0] = '/';
    long_text[size] = 0;
    return long_text;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void test_read_all(void **state)
{
    char out[8] = "";
    int  fd;
    (void)state;
    make("1234567");
    fd = open(path, O_RDWR);
    fail_calls("read", 1, EINTR); /* a signal: again */
    fault.part = true;            /* and by pieces */
    assert_true(vitp_os_read_all(fd, out, 7));
    assert_string_equal(out, "1234567");
    assert_int_equal(fault.count, 8);
    assert_false(vitp_os_read_all(fd, out, 1)); /* the end */
    lseek(fd, 0, SEEK_SET);
    fail_calls("read", 1, EIO);
    assert_false(vitp_os_read_all(fd, out, 1));
    assert_int_equal(fault.count, 1);
    close(fd);
    folder_remove(folder);
}

static void test_write_all(void **state)
{
    int fd;
    (void)state;
    make("");
    fd = open(path, O_RDWR);
    fail_calls("write", 5, EINTR);
    fault.part = true;
    assert_true(vitp_os_write_all(fd, "abc", 3));
    assert_int_equal(fault.count, 5);
    assert_string_equal(file_read(path), "abc");
    fail_calls("write", 2, EIO);
    fault.part = true;
    assert_false(vitp_os_write_all(fd, "def", 3));
    assert_string_equal(file_read(path), "abcd");
    close(fd);
    folder_remove(folder);
}

static void test_random(void **state)
{
    unsigned char out[64], none[64];
    (void)state;
    memset(none, 0, sizeof none);
    memset(out, 0, sizeof out);
    fail_calls("syscall", 1, ENOSYS); /* then by the file */
    assert_true(vitp_os_random(out, sizeof out));
    assert_memory_not_equal(out, none, sizeof out);
    assert_int_equal(fault.count, 1);
}

/* Neither way: the caller is told. */
static void test_no_random(void **state)
{
    unsigned char out[8];
    (void)state;
    told.random = "/nonexistent";
    fail_calls("syscall", ~0u, ENOSYS);
    assert_false(vitp_os_random(out, sizeof out));
    told.random = "/dev/null";
    assert_false(vitp_os_random(out, sizeof out));
    assert_int_equal(held[TORTURE_FILE], 0);
}

static void test_clock_before_1970(void **state)
{
    (void)state;
    assert_true(vitp_os_wall_ns() > 0);
    told.before_1970 = true;
    assert_int_equal(vitp_os_wall_ns(), 0);
}

/* ---- the user and the machine ---------------------------------------------------------------- */

static void test_other_group(void **state)
{
    (void)state;
    setenv("PLATFORM_TEST", "x", 1);
    assert_string_equal(vitp_os_env("PLATFORM_TEST"), "x");
    assert_false(vitp_os_users_differ());
    told.other_group = true; /* a program that is setgid */
    assert_true(vitp_os_users_differ());
    assert_null(vitp_os_env("PLATFORM_TEST"));
}

static void test_copy_env(void **state)
{
    char out[4] = "?";
    (void)state;
    told.name = "PLATFORM_TEST";
    assert_false(vitp_os_copy_env(out, sizeof out, told.name));
    told.value = "";
    assert_false(vitp_os_copy_env(out, sizeof out, told.name));
    told.value = "1234";
    assert_false(vitp_os_copy_env(out, sizeof out, told.name));
    assert_string_equal(out, "?");
    told.value = "123";
    assert_true(vitp_os_copy_env(out, sizeof out, told.name));
    assert_string_equal(out, "123");
}

static void test_heavy_barrier(void **state)
{
    static const struct {
        unsigned which, calls;
        bool     result;
    } rows[] = { { 0, 1, true }, { 1, 3, true }, { 3, 2, false }, { 5, 3, false } };
    size_t i;
    (void)state;
    (void)vitp_os_heavy_barrier(); /* this process is registered */
    for (i = 0; i < COUNT_OF(rows); i++) {
        fail_calls("syscall", rows[i].which, EPERM);
        assert_int_equal(vitp_os_heavy_barrier(), rows[i].result);
        assert_int_equal(fault.count, rows[i].calls);
    }
}

static void test_cond_init(void **state)
{
    static const char *const calls[] = { "pthread_condattr_init", "pthread_condattr_setclock",
                                         "pthread_cond_init" };
    vitp_os_cond             c;
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(calls); i++) {
        fail_calls(calls[i], 1, ENOMEM);
        assert_false(vitp_os_cond_init(&c));
        assert_int_equal(held[TORTURE_LOCK], 0);
    }
    assert_true(vitp_os_cond_init(&c));
    vitp_os_cond_free(&c);
}

static void nothing(void *argument) { (void)argument; }

static void test_thread_start(void **state)
{
    vitp_os_thread t;
    (void)state;
    fail_calls("pthread_sigmask", 1, EINVAL); /* the host's handlers could run on it: it must not */
    assert_false(vitp_os_thread_start(&t, nothing, NULL));
    assert_int_equal(held[TORTURE_THREAD], 0);
    assert_true(vitp_os_thread_start(&t, nothing, NULL));
    vitp_os_thread_join(&t);
}

static void test_machine(void **state)
{
    char out[64];
    (void)state;
    told.release = "1.22.333.4444.55555.666666.7777777-x";
    vitp_os_name(out, sizeof out);
    assert_string_equal(out, "Linux-1.22.333.4444.55555.6666");
    told.release = "6.1-a";
    vitp_os_name(out, sizeof out);
    assert_string_equal(out, "Linux-6.1");
    assert_true(vitp_os_cpu_count() >= 1 && vitp_os_ram_bytes() > 0);
    fail_calls("sysconf", 1, EINVAL);
    assert_int_equal(vitp_os_cpu_count(), 1);
    fail_calls("sysconf", 1, EINVAL); /* pages */
    assert_int_equal(vitp_os_ram_bytes(), 0);
    fail_calls("sysconf", 2, EINVAL); /* and their size */
    assert_int_equal(vitp_os_ram_bytes(), 0);
}

static void test_account_line(void **state)
{
    char     line[128], out[8] = "?";
    unsigned me = (unsigned)geteuid();
    (void)state;
    snprintf(line, sizeof line, "ann:x:%u:0:Ann B,1,2:/home/ann:/bin/sh", me);
    assert_true(vitp_os_account_field(line, 0, out, sizeof out));
    assert_string_equal(out, "ann");
    assert_true(vitp_os_account_field(line, 4, out, sizeof out));
    assert_string_equal(out, "Ann B");
    out[0] = 0;
    assert_true(vitp_os_account_field(line, 5, out, sizeof out)); /* longer than out */
    assert_string_equal(out, "");
    snprintf(line, sizeof line, "ann:x:%u:0:Ann", me); /* fields are missing */
    assert_false(vitp_os_account_field(line, 0, out, sizeof out));
    assert_false(vitp_os_account_field("", 0, out, sizeof out));
    snprintf(line, sizeof line, "bob:x:%u:0:Bob:/home/bob:/bin/sh", me + 1);
    assert_false(vitp_os_account_field(line, 0, out, sizeof out));
    assert_string_equal(out, "");
}

/* A line that is too long is cut: it is still told from the next one. */
static void test_account(void **state)
{
    char text[2048], out[64];
    int  n;
    (void)state;
    n = snprintf(text, sizeof text, "bob:x:%u:0:", (unsigned)geteuid() + 1);
    memset(text + n, 'b', 900);
    snprintf(text + n + 900, sizeof text - 900 - (size_t)n,
             ":/home/bob:/bin/sh\nann:x:%u:0:Ann:/home/ann:/bin/sh\nlast", (unsigned)geteuid());
    make(text);
    told.passwd = path;
    vitp_os_account(0, out, sizeof out);
    assert_string_equal(out, "ann");
    vitp_os_account(5, out, sizeof out);
    assert_string_equal(out, "/home/ann");
    snprintf(text, sizeof text, "root:x:%u:0::/:\nann:x:%u:0:Ann:/home/ann:/bin/sh",
             (unsigned)geteuid() + 1, (unsigned)geteuid()); /* nothing ends the last line */
    file_write(path, text, strlen(text), 0600);
    vitp_os_account(4, out, sizeof out);
    assert_string_equal(out, "Ann");
    fail_calls("open", 1, EACCES);
    vitp_os_account(0, out, sizeof out);
    assert_string_equal(out, "");
    fail_calls("read", 1, EIO);
    vitp_os_account(0, out, sizeof out);
    assert_string_equal(out, "");
    folder_remove(folder);
}

/* The folder of a program of the system names nobody. */
static void test_program_folder(void **state)
{
    static const char *const rows[][2] = { { "/home/ann/bin/app", "/home/ann/bin" },
                                           { "/usr/bin/app", "" },
                                           { "/bin/app", "" },
                                           { "/opt/app/app", "" },
                                           { "/sbin/app", "" },
                                           { "/app", "" },
                                           { "app", "" },
                                           { "/users/app", "/users" } };
    char                     out[64];
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        told.program = rows[i][0];
        vitp_os_program_folder(out, sizeof out);
        assert_string_equal(out, rows[i][1]);
    }
    told.program = NULL; /* it cannot be read */
    vitp_os_program_folder(out, sizeof out);
    assert_string_equal(out, "");
}

static void test_host_name(void **state)
{
    char        out[VITP_SECRET_MAX];
    const char *marker = NULL;
    (void)state;
    assert_true(vitp_os_known(7, out, sizeof out, &marker));
    assert_string_equal(marker, "[host]");
    assert_true(out[0] != 0);
    fail_calls("gethostname", 1, ENAMETOOLONG);
    assert_true(vitp_os_known(7, out, sizeof out, &marker));
    assert_string_equal(out, "");
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void test_long_paths(void **state)
{
    char         out[64], name[VITP_POOL_PATH_MAX];
    vitp_os_pool m;
    (void)state;
    told.name = "HOME";
    told.value = path_of(60);
    assert_false(vitp_os_config_folder(out, sizeof out));
    assert_false(vitp_os_state_folder(out, sizeof out));
    told.value = "home";
    assert_false(vitp_os_config_folder(out, sizeof out));
    assert_false(vitp_os_state_folder(out, sizeof out));
    told.value = "/home/ann";
    assert_true(vitp_os_config_folder(out, sizeof out));
    assert_string_equal(out, "/home/ann/.config");
    assert_false(vitp_os_admin_path(0, path_of(60), out, sizeof out));
    assert_true(vitp_os_admin_path(1, path_of(60), out, sizeof out));
    assert_false(vitp_os_admin_path(2, "x", name, sizeof name));
    assert_false(vitp_os_temporary_name(out, sizeof out, path_of(60), 1, 1));
    assert_false(vitp_os_write_file(path_of(VITP_PATH_MAX + 32), "", 0, false));
    assert_false(vitp_os_is_private(path_of(VITP_PATH_MAX)));
    assert_false(vitp_os_make_folder(path_of(VITP_PATH_MAX)));
    assert_false(vitp_os_pool_begin(&m, path_of(VITP_POOL_PATH_MAX - 4)));
    assert_int_equal(vitp_os_pool_open(&m, path_of(VITP_POOL_PATH_MAX)), VITP_OS_FOUND_REFUSED);
    told.name = "XDG_RUNTIME_DIR";
    told.value = "/proc/self/../self/../self/../self/../self/../self/../self"; /* out is full */
    assert_false(vitp_os_pool_base(0, out, sizeof out));
    told.value = "run"; /* relative: not by the specification */
    assert_false(vitp_os_pool_base(0, name, sizeof name));
    assert_false(vitp_os_pool_base(2, name, sizeof name));
    told.value = "/run";
    assert_true(vitp_os_pool_base(0, out, sizeof out));
    assert_string_equal(out, "/run/vitelemetry");
    told.value = "/run/none"; /* it is not ours to make */
    assert_false(vitp_os_pool_base(0, name, sizeof name));
    assert_true(vitp_os_pool_base(1, name, sizeof name));
    fail_calls("access", 1, ENOENT);
    assert_false(vitp_os_pool_base(1, name, sizeof name));
    assert_int_equal(held[TORTURE_FILE], 0);
}

/* A relative folder in XDG_CONFIG_HOME is none, by its specification. */
static void test_relative_config(void **state)
{
    char out[64];
    (void)state;
    setenv("HOME", "/home/ann", 1);
    told.name = "XDG_CONFIG_HOME";
    told.value = "config";
    assert_true(vitp_os_config_folder(out, sizeof out));
    assert_string_equal(out, "/home/ann/.config");
    told.value = "/config";
    assert_true(vitp_os_config_folder(out, sizeof out));
    assert_string_equal(out, "/config");
    told.name = "XDG_STATE_HOME";
    told.value = "state";
    assert_true(vitp_os_state_folder(out, sizeof out));
    assert_string_equal(out, "/home/ann/.local/state");
}

static void test_make_absolute(void **state)
{
    char text[VITP_PATH_MAX * 2], expected[PATH_MAX + 16], now[PATH_MAX];
    (void)state;
    assert_non_null(getcwd(now, sizeof now));
    snprintf(text, sizeof text, "a/b");
    assert_true(vitp_os_make_absolute(text, sizeof text));
    snprintf(expected, sizeof expected, "%s/a/b", now);
    assert_string_equal(text, expected);
    snprintf(text, sizeof text, "a/b");
    assert_false(vitp_os_make_absolute(text, strlen(expected))); /* no room for its end */
    assert_string_equal(text, "a/b");
    assert_true(vitp_os_make_absolute(text, strlen(expected) + 1));
    memset(text, 'a', VITP_PATH_MAX - 1);
    text[VITP_PATH_MAX - 1] = 0;
    assert_false(vitp_os_make_absolute(text, sizeof text)); /* there is room, but not behind it */
    snprintf(text, sizeof text, "a");
    fail_calls("getcwd", 1, ENOENT);
    assert_false(vitp_os_make_absolute(text, sizeof text));
}

static void test_folders(void **state)
{
    char deep[128];
    (void)state;
    make(NULL);
    snprintf(deep, sizeof deep, "%s/a/b//", folder);
    assert_true(vitp_os_make_folder(deep));
    assert_true(vitp_os_is_private(deep));
    assert_false(vitp_os_make_folder(""));
    assert_false(vitp_os_is_private(""));
    assert_int_equal(vitp_os_is_private("//"), vitp_os_is_private("/"));
    fail_calls("access", 1, EROFS);
    assert_false(vitp_os_make_folder(deep));
    fail_calls("lstat", 1, EACCES);
    assert_false(vitp_os_is_private(deep));
    tell_stat(1, other_owner);
    assert_false(vitp_os_is_private(deep));
    tell_stat(1, others_write);
    assert_false(vitp_os_is_private(deep));
    assert_true(vitp_os_is_private(deep));
    folder_remove(folder);
}

/* ---- whole files ----------------------------------------------------------------------------- */

static void test_read_file(void **state)
{
    char   out[64];
    size_t size = 0;
    (void)state;
    make("text");
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 64, &size), VITP_OS_READ_OK);
    assert_int_equal(size, 4);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 4, &size), VITP_OS_READ_REFUSED);
    tell_stat(1, no_size);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 64, &size), VITP_OS_READ_REFUSED);
    tell_stat(1, a_folder);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 64, &size), VITP_OS_READ_REFUSED);
    tell_stat(1, other_owner);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 64, &size), VITP_OS_READ_REFUSED);
    fail_calls("fstat", 1, EIO);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 64, &size), VITP_OS_READ_LATER);
    fail_calls("read", 1, EIO);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 64, &size), VITP_OS_READ_LATER);
    fail_calls("open", 1, EMFILE);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, out, 64, &size), VITP_OS_READ_LATER);
    folder_remove(folder);
}

/* Whatever fails, the old text stays, and nothing lies beside it. */
/* What is opened where standard input was closed gets a higher number, or is not opened. */
static void test_low_descriptor(void **state)
{
    vitp_os_appender a;
    char             text[8];
    size_t           size;
    int              before = dup(0);
    (void)state;
    make("1\n");
    (void)close(0);
    assert_true(vitp_os_append_open(&a, path));
    assert_true(a.file > 2);
    assert_true((fcntl(a.file, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    assert_true(vitp_os_append_close(&a, path, NULL));
    fail_calls("fcntl", 1, EMFILE);
    assert_int_equal(vitp_os_read_file(path, VITP_OS_MINE, text, sizeof text, &size),
                     VITP_OS_READ_LATER);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    fail_none();
    if (before >= 0) {
        assert_int_equal(dup2(before, 0), 0);
        (void)close(before);
    }
    folder_remove(folder);
}

static void test_write_file(void **state)
{
    static const char *const calls[] = { "open", "fchmod", "write", "fsync", "close", "rename" };
    size_t                   i;
    (void)state;
    make("old");
    for (i = 0; i < COUNT_OF(calls); i++) {
        fail_calls(calls[i], 1, ENOSPC);
        if (vitp_os_write_file(path, "new", 3, false)) fail_msg("%s", calls[i]);
        assert_int_equal(fault.count, 1);
        assert_string_equal(file_read(path), "old");
        assert_int_equal(files_in(folder), 1);
    }
    fail_none();
    assert_true(vitp_os_write_file(path, "new", 3, false));
    assert_string_equal(file_read(path), "new");
    assert_int_equal(files_in(folder), 1);
    folder_remove(folder);
}

/* The first wins; where there are no hard links, by its name alone. */
static void test_write_new(void **state)
{
    (void)state;
    make(NULL);
    assert_true(vitp_os_write_file(path, "one", 3, true));
    assert_false(vitp_os_write_file(path, "two", 3, true));
    assert_string_equal(file_read(path), "one");
    fail_calls("link", 1, EPERM); /* a file system without links */
    assert_false(vitp_os_write_file(path, "two", 3, true));
    assert_string_equal(file_read(path), "one");
    assert_int_equal(unlink(path), 0);
    fail_calls("link", 1, EPERM);
    assert_true(vitp_os_write_file(path, "three", 5, true));
    assert_string_equal(file_read(path), "three");
    assert_int_equal(files_in(folder), 1);
    folder_remove(folder);
}

/* ---- a file that grows ----------------------------------------------------------------------- */

static void test_append_open(void **state)
{
    static void (*const changes[])(struct stat *) = { a_folder, other_owner, two_names, no_size };
    vitp_os_appender a;
    size_t           i;
    (void)state;
    make("1\n");
    for (i = 0; i < COUNT_OF(changes); i++) {
        tell_stat(1, changes[i]);
        assert_false(vitp_os_append_open(&a, path));
    }
    fail_calls("open", 1, EACCES);
    assert_false(vitp_os_append_open(&a, path));
    fail_calls("fstat", 1, EIO);
    assert_false(vitp_os_append_open(&a, path));
    fail_calls("fchmod", 1, EPERM);
    assert_false(vitp_os_append_open(&a, path));
    fail_none();
    assert_true(vitp_os_append_open(&a, path));
    assert_int_equal(a.size, 2);
    assert_true(vitp_os_append_close(&a, path, NULL));
    assert_string_equal(file_read(path), "1\n");
    folder_remove(folder);
}

/* A line is there, or nothing of it is. */
static void test_append(void **state)
{
    vitp_os_appender a, other;
    (void)state;
    make("1\n");
    assert_true(vitp_os_append_open(&a, path));
    fault.part = true; /* the disk has room for one byte */
    assert_false(vitp_os_append(&a, "22\n", 3));
    assert_string_equal(file_read(path), "1\n");
    fail_calls("write", 1, ENOSPC);
    assert_false(vitp_os_append(&a, "22\n", 3));
    assert_string_equal(file_read(path), "1\n");
    fail_calls("lseek", 1, EIO);
    assert_false(vitp_os_append(&a, "22\n", 3));
    assert_string_equal(file_read(path), "1\n");
    fail_none();
    assert_true(vitp_os_append(&a, "22\n", 3));
    assert_string_equal(file_read(path), "1\n22\n");
    assert_true(vitp_os_append_open(&other, path));
    assert_true(vitp_os_append(&other, "3\n", 2));
    fault.part = true;
    assert_false(vitp_os_append(&a, "44\n", 3)); /* what the other wrote stays */
    assert_string_equal(file_read(path), "1\n22\n3\n");
    fail_none();
    assert_true(vitp_os_append_close(&other, path, NULL));
    fail_calls("close", 1, EIO);
    assert_false(vitp_os_append_close(&a, path, NULL));
    folder_remove(folder);
}

/* Only the file that is full gets another name, not one that another process has put there. */
static void test_append_turns(void **state)
{
    static const struct {
        const char *call;
        int         error;
        unsigned    at; /* of the answer that is changed */
        void (*change_fn)(struct stat *s);
        bool result, renamed;
    } rows[] = { { "fstat", EIO, 0, NULL, true, false },
                 { "lstat", ENOENT, 0, NULL, true, false },
                 { "", 0, 1, other_device, true, false },
                 { "", 0, 1, other_inode, true, false },
                 { "rename", ENOENT, 0, NULL, true, false }, /* another was faster */
                 { "rename", EACCES, 0, NULL, false, false },
                 { "close", EIO, 0, NULL, false, true },
                 { "", 0, 0, NULL, true, true } };
    vitp_os_appender a;
    char             old[128];
    size_t           i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        make("1\n");
        snprintf(old, sizeof old, "%s/old", folder);
        assert_true(vitp_os_append_open(&a, path));
        fail_calls(rows[i].call, 1, rows[i].error);
        tell_stat(rows[i].at, rows[i].change_fn);
        assert_int_equal(vitp_os_append_close(&a, path, old), rows[i].result);
        assert_int_equal(file_exists(old), rows[i].renamed);
        assert_int_equal(file_exists(path), !rows[i].renamed);
        fail_none();
        folder_remove(folder);
    }
}

/* Who has the folder is not known where there is no descriptor to ask with. */
static void test_hold_folder(void **state)
{
    intptr_t one, two;
    bool     ours = false;
    (void)state;
    make(NULL);
    one = vitp_os_hold_folder(folder, 0, &ours);
    assert_true(one != 0 && ours);
    two = vitp_os_hold_folder(folder, 0, &ours);
    assert_true(two != 0 && !ours);
    vitp_os_release_folder(two);
    vitp_os_release_folder(one);
    ours = true;
    fail_calls("open", 1, EMFILE);
    one = vitp_os_hold_folder(folder, 0, &ours);
    assert_true(one != 0 && !ours);
    vitp_os_release_folder(one);
    fail_calls("open", 1, ENOENT); /* there is none */
    assert_int_equal(vitp_os_hold_folder(folder, 0, &ours), 0);
    fail_calls("flock", 1, ENOLCK); /* or it has no locks */
    assert_int_equal(vitp_os_hold_folder(folder, 0, &ours), 0);
    assert_false(ours);
    fail_none();
    assert_int_equal(held[TORTURE_FILE], 0);
    folder_remove(folder);
}

/* ---- pools ----------------------------------------------------------------------------------- */

static void test_pool_open(void **state)
{
    static void (*const refused[])(struct stat *) = { a_folder, other_owner, others_write,
                                                      two_names, no_size };
    vitp_os_pool m;
    size_t       i;
    (void)state;
    make("pool");
    for (i = 0; i < COUNT_OF(refused); i++) {
        tell_stat(1, refused[i]);
        assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_REFUSED);
        assert_false(m.open);
    }
    fail_calls("fstat", 1, EIO);
    assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_REFUSED);
    fail_calls("fstat", 2, EIO); /* under the lock */
    assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_BUSY);
    fail_calls("flock", 1, EWOULDBLOCK);
    assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_BUSY);
    vitp_os_pool_close(&m);
    fail_none();
    tell_stat(3, other_device); /* the name is another file's by now */
    assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_BUSY);
    tell_stat(3, other_inode);
    assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_BUSY);
    assert_false(m.open);
    assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_OURS);
    assert_int_equal(m.size, 4);
    vitp_os_pool_remove(&m);
    assert_false(file_exists(path));
    vitp_os_pool_remove(&m); /* it is not open: nothing */
    folder_remove(folder);
}

/* The file of another that has taken the place of ours is not removed. */
static void test_pool_remove(void **state)
{
    vitp_os_pool m;
    (void)state;
    make("pool");
    assert_int_equal(vitp_os_pool_open(&m, path), VITP_OS_FOUND_OURS);
    assert_int_equal(unlink(path), 0);
    file_write(path, "other", 5, 0600);
    vitp_os_pool_remove(&m);
    assert_string_equal(file_read(path), "other");
    assert_false(m.open);
    folder_remove(folder);
}

static void test_pool_rename(void **state)
{
    vitp_os_pool m;
    char         other[128];
    (void)state;
    make(NULL);
    snprintf(other, sizeof other, "%s/other", folder);
    assert_true(vitp_os_pool_begin(&m, path));
    fail_calls("rename", 1, EACCES);
    assert_false(vitp_os_pool_rename(&m, other));
    fail_none();
    tell_stat(2, other_inode); /* somebody was faster with that name */
    assert_false(vitp_os_pool_rename(&m, other));
    vitp_os_pool_close(&m);
    fail_calls("flock", 1, ENOLCK);
    assert_false(vitp_os_pool_begin(&m, path));
    fail_calls("fchmod", 1, EPERM);
    assert_false(vitp_os_pool_begin(&m, path));
    assert_int_equal(files_in(folder), 1); /* other */
    folder_remove(folder);
}

/* Memory and disks that keep what they promise. */
static void test_disks(void **state)
{
    static const struct {
        unsigned long type;
        bool          keeps;
    } rows[] = { { 0x01021994u, true },
                 { 0xEF53u, true },
                 { 0x58465342u, true },
                 { 0x9123683Eu, false /* btrfs */ },
                 { 0x6969u, false /* nfs */ } };
    size_t i;
    int    fd;
    sigset_t before, after;
    (void)state;
    make("");
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    for (i = 0; i < COUNT_OF(rows); i++) {
        told.disk = rows[i].type;
        fail_calls("fallocate", rows[i].keeps ? 1 : 0, EINTR); /* again */
        fault.call = "fallocate";
        errno = 0;
        assert_int_equal(vitp_os_pool_keeps_space(fd, 4096), rows[i].keeps);
        assert_int_equal(fault.count, rows[i].keeps ? 2 : 0);
    }
    told.disk = 0xEF53u;
    told.timer = 1000; /* faster than the space is taken */
    assert_true(vitp_os_pool_keeps_space(fd, 4096));
    assert_int_equal(told.timer, 1000);
    told.timer = 1;
    assert_true(told_timer()); /* it is blocked no longer */
    fail_calls("fallocate", 1, ENOSPC);
    assert_false(vitp_os_pool_keeps_space(fd, 4096));
    told.timer = 0;
    sigemptyset(&after);
    sigaddset(&after, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &after, NULL);
    (void)sigprocmask(SIG_SETMASK, NULL, &before);
    fail_calls("pthread_sigmask", 1, EINVAL); /* then as it is, and none is put back */
    assert_true(vitp_os_pool_keeps_space(fd, 4096));
    (void)sigprocmask(SIG_SETMASK, NULL, &after);
    for (i = 1; i <= 31; i++)
        assert_int_equal(sigismember(&after, (int)i), sigismember(&before, (int)i));
    sigemptyset(&after);
    sigaddset(&after, SIGUSR1);
    (void)sigprocmask(SIG_UNBLOCK, &after, NULL);
    close(fd);
    folder_remove(folder);
}

static void test_size_of(void **state)
{
    (void)state;
    make("four");
    assert_int_equal(vitp_os_size_of(path), 4);
    assert_int_equal(vitp_os_size_of(folder), 0);
    file_write(path, "", 0, 0600);
    assert_int_equal(vitp_os_size_of(path), 0);
    assert_int_equal(vitp_os_size_of("/nonexistent/file"), 0);
    folder_remove(folder);
}

static void test_processes(void **state)
{
    (void)state;
    assert_false(vitp_os_process_is_gone(0));
    assert_false(vitp_os_process_is_gone((uint32_t)getpid()));
    fail_calls("kill", 1, ESRCH);
    assert_true(vitp_os_process_is_gone((uint32_t)getpid()));
    fail_calls("kill", 1, EPERM); /* it is there, and another user's */
    assert_false(vitp_os_process_is_gone((uint32_t)getpid()));
    assert_true(vitp_os_process_start((uint32_t)getpid()) > 0);
    fail_calls("read", 1, EIO);
    assert_int_equal(vitp_os_process_start((uint32_t)getpid()), 0);
    fail_calls("open", 1, EACCES);
    assert_int_equal(vitp_os_process_start((uint32_t)getpid()), 0);
}

/* ---- a client -------------------------------------------------------------------------------- */

/* Without a lock, a condition or a page there is none, and nothing is left behind. */
static void test_no_client(void **state)
{
    static const char *const calls[] = { "pthread_mutex_init", "pthread_condattr_init", "mmap",
                                         "malloc" };
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(calls); i++) {
        vit_options o = options_of(NULL, NULL);
        memset(held, 0, sizeof held);
        fail_calls(calls[i], 1, ENOMEM);
        assert_null(vit_create(&o));
        assert_int_equal(fault.count, 1);
        assert_int_equal(held[TORTURE_LOCK] + held[TORTURE_MEMORY] + held[TORTURE_MAPPING], 0);
    }
}

/* ---- the spool's size ------------------------------------------------------------------------ */

static void grows(struct stat *s)
{
    static off_t size = 100;
    s->st_size = size++;
    told.stat_at = 1; /* the next one, too */
}

/* Two looks into the folder must agree: files may get other names meanwhile. */
static void test_measure(void **state)
{
    vitp_spool *s = (vitp_spool *)calloc(1, sizeof *s);
    (void)state;
    assert_non_null(s);
    make(NULL);
    s->folder = folder;
    s->client_type = "app";
    snprintf(path, sizeof path, "%s/app.12345678-u-1-0123456789abcdef.spool", folder);
    file_write(path, "four", 4, 0600);
    assert_true(vitp_spool_measure(s));
    assert_int_equal(s->used, 4);
    tell_stat(1, grows);
    assert_false(vitp_spool_measure(s));
    told.stat_at = 0;
    free(s);
    folder_remove(folder);
}

static void *no_memory(size_t size, void *user)
{
    (void)size, (void)user;
    return NULL;
}

/* A file without a head is cut to what is looked at; one that cannot be cut is not looked at. */
static void test_cut(void **state)
{
    vitp_spool     *s = (vitp_spool *)calloc(1, sizeof *s);
    vitp_spool_file f;
    unsigned        cuts;
    (void)state;
    assert_non_null(s);
    s->cap = 1000;
    for (cuts = 0; cuts < 2; cuts++) {
        memset(long_text, 'g', sizeof long_text);
        make(NULL);
        file_write(path, long_text, sizeof long_text, 0600);
        assert_true(sizeof long_text > s->cap);
        memset(&f, 0, sizeof f);
        assert_int_equal(vitp_os_pool_open(&f.file, path), VITP_OS_FOUND_OURS);
        fail_calls("ftruncate", cuts ? 0 : 1, EIO);
        vitp_spool_limit(s, &f);
        assert_int_equal(f.file.size, cuts ? s->cap : sizeof long_text);
        assert_int_equal(f.head.end > f.head.begin, cuts);
        vitp_os_pool_close(&f.file);
        assert_int_equal(strlen(file_read(path)), f.file.size);
        folder_remove(folder);
    }
    free(s);
}

/* What gives way to what is worth more goes also where there is no memory to count it; not more
   than so many files at a time. */
static void test_evict(void **state)
{
    vitp_spool *s = (vitp_spool *)calloc(1, sizeof *s);
    unsigned    i;
    (void)state;
    assert_non_null(s);
    make(NULL);
    s->folder = folder;
    s->client_type = "app";
    s->allocator.alloc_fn = no_memory;
    s->cap = 1;
    for (i = 0; i < VITP_SPOOL_EVICTS + 2u; i++) {
        snprintf(path, sizeof path, "%s/app.%08x-u-1-%016x.spool", folder, i, i);
        file_write(path, "four", 4, 0600);
    }
    assert_true(vitp_spool_measure(s));
    s->polite = true; /* others wait */
    assert_false(vitp_spool_make_room(s, 1, true));
    assert_int_equal(files_in(folder), VITP_SPOOL_EVICTS + 2u);
    s->polite = false;
    assert_false(vitp_spool_make_room(s, 1, true));
    assert_int_equal(files_in(folder), 2);
    assert_int_equal(s->used, 8);
    assert_int_equal(s->dropped[VIT_DROP_SPOOL_FULL], 0);
    s->used = 2; /* less than there is */
    assert_true(vitp_spool_evict(s, 'u'));
    assert_int_equal(s->used, 0);
    assert_false(vitp_spool_evict(s, 'e'));
    free(s);
    folder_remove(folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
    static const struct CMUnitTest tests[] = { TEST(test_read_all),
                                               TEST(test_write_all),
                                               TEST(test_random),
                                               TEST(test_no_random),
                                               TEST(test_clock_before_1970),
                                               TEST(test_other_group),
                                               TEST(test_copy_env),
                                               TEST(test_heavy_barrier),
                                               TEST(test_cond_init),
                                               TEST(test_thread_start),
                                               TEST(test_machine),
                                               TEST(test_account_line),
                                               TEST(test_account),
                                               TEST(test_program_folder),
                                               TEST(test_host_name),
                                               TEST(test_long_paths),
                                               TEST(test_relative_config),
                                               TEST(test_make_absolute),
                                               TEST(test_folders),
                                               TEST(test_read_file),
                                               TEST(test_low_descriptor),
                                               TEST(test_write_file),
                                               TEST(test_write_new),
                                               TEST(test_append_open),
                                               TEST(test_append),
                                               TEST(test_append_turns),
                                               TEST(test_hold_folder),
                                               TEST(test_pool_open),
                                               TEST(test_pool_remove),
                                               TEST(test_pool_rename),
                                               TEST(test_disks),
                                               TEST(test_size_of),
                                               TEST(test_processes),
                                               TEST(test_no_client),
                                               TEST(test_measure),
                                               TEST(test_cut),
                                               TEST(test_evict) };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
