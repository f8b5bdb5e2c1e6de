/* test_disk.c: what a disk and a sudden end may do to the files of a client: killed at each byte
   that is written and before each call that changes a file, zeros and changed bits, files that are
   hostile or too many, a disk that is full or fails, a file system without locks.

   Build: cc -std=c99 -I. tests/test_disk.c -o build/tests/test_disk -lcmocka -pthread */

#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* The clocks go on by themselves, and jump when a test says so. */
static uint64_t           jumped_ns;
static unsigned long long clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + jumped_ns;
}
#define VITP_OS_CLOCK_NS(clock) clock_ns(clock)

#include "plain_memory.h"

/* ---- a disk that is played ------------------------------------------------------------------- */

typedef enum call_kind {
    CALL_OPEN = 1, /* that makes a file */
    CALL_WRITE = 2,
    CALL_RENAME = 4,
    CALL_UNLINK = 8,
    CALL_CUT = 16,
    CALL_LINK = 32,
    CALL_MKDIR = 64,
    CALL_FSYNC = 128,
    CALL_LOCK = 256,
    CALL_CLOSE = 512
} call_kind;

static unsigned calls;                   /* of those that change a file */
static unsigned dies_at;                 /* before this one, 0: never */
static uint64_t bytes_left = UINT64_MAX; /* until it dies in a write */
static unsigned fail_kinds;              /* these fail */
static int      fail_errno;
static bool     fail_short;        /* writes take half before they fail */
static uint64_t write_ns, list_ns; /* how long these take */

static bool plays(call_kind kind)
{
    if (++calls == dies_at) (void)kill(getpid(), SIGKILL);
    if (!(fail_kinds & (unsigned)kind)) return false;
    errno = fail_errno;
    return true;
}

static int disk_open(const char *path, int flags, ...)
{
    va_list more;
    int     mode;
    va_start(more, flags);
    mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    if ((flags & O_CREAT) && plays(CALL_OPEN)) return -1;
    return open(path, flags, mode);
}

static ssize_t disk_write(int fd, const void *data, size_t size)
{
    jumped_ns += write_ns;
    if (plays(CALL_WRITE)) {
        if (!fail_short || size < 2) return -1;
        fail_short = false; /* once; then nothing */
        return write(fd, data, size / 2u);
    }
    if (size > bytes_left) {
        if (write(fd, data, (size_t)bytes_left) < 0) abort();
        (void)kill(getpid(), SIGKILL);
    }
    if (bytes_left != UINT64_MAX) bytes_left -= size;
    return write(fd, data, size);
}

static int disk_rename(const char *from, const char *to)
{
    return plays(CALL_RENAME) ? -1 : rename(from, to);
}
static int disk_unlink(const char *path) { return plays(CALL_UNLINK) ? -1 : unlink(path); }
static int disk_ftruncate(int fd, off_t size) { return plays(CALL_CUT) ? -1 : ftruncate(fd, size); }
static int disk_link(const char *from, const char *to)
{
    return plays(CALL_LINK) ? -1 : link(from, to);
}
static int disk_mkdir(const char *path, mode_t mode)
{
    return plays(CALL_MKDIR) ? -1 : mkdir(path, mode);
}
static int disk_fsync(int fd) { return plays(CALL_FSYNC) ? -1 : fsync(fd); }
static int disk_flock(int fd, int how)
{
    return how != LOCK_UN && plays(CALL_LOCK) ? -1 : flock(fd, how);
}
static unsigned lists;      /* how often a folder was listed */
static bool     lists_fail; /* there is no descriptor for it */
static DIR     *disk_opendir(const char *path)
{
    lists++;
    jumped_ns += list_ns;
    errno = EMFILE;
    return lists_fail ? NULL : opendir(path);
}
static int disk_close(int fd)
{
    int result = close(fd);
    return plays(CALL_CLOSE) ? -1 : result;
}

#define open      disk_open
#define write     disk_write
#define rename    disk_rename
#define unlink    disk_unlink
#define ftruncate disk_ftruncate
#define link      disk_link
#define mkdir     disk_mkdir
#define fsync     disk_fsync
#define flock     disk_flock
#define close     disk_close
#define opendir   disk_opendir
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"
#undef open
#undef write
#undef rename
#undef unlink
#undef ftruncate
#undef link
#undef mkdir
#undef fsync
#undef flock
#undef close
#undef opendir

#include "common.h"

#include "bench.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#ifdef __linux__
#include <sched.h>
#include <sys/sysmacros.h>
#endif

#define HOUR_NS (UINT64_C(3600) * 1000000000u)

static int setup(void **state)
{
    (void)state;
    jumped_ns = 0;
    in_plain_memory = fail_short = false;
    dies_at = fail_kinds = 0;
    write_ns = list_ns = 0;
    lists_fail = false;
    bytes_left = UINT64_MAX;
    return 0;
}

static void pump_later(vit_client *t)
{
    jumped_ns += 100u * VITP_MS;
    pump_at_most(t, 200);
}

/* Its pools lie beside it, so that they go with it. */
static void disk_make(bench *b)
{
    char run[PATH_MAX];
    bench_make(b);
    assert_non_null(realpath(b->folder, run));
    setenv("XDG_RUNTIME_DIR", run, 1);
    b->o.queue_bytes = 65536;
    b->o.flush_ms = 10;
}

/* ---- a life in which it is killed ------------------------------------------------------------ */

#define EVENTS 24

/* What the child did, seen by its parent. */
typedef struct deed {
    volatile uint32_t accepted[EVENTS]; /* number + 1 */
    volatile uint32_t times[EVENTS];    /* a server stored it */
    char              keys[EVENTS][40]; /* under this key */
    volatile uint32_t two_keys, calls, refused;
    uint64_t          bytes;
} deed;

static deed *shared;

static void note_request(const vit_request *request, int status)
{
    unsigned i;
    char     name[24], key[40];
    header_value(key, sizeof key, request->headers, "Idempotency-Key: ");
    for (i = 0; i < EVENTS; i++) {
        snprintf(name, sizeof name, "\"f%u\"", i);
        if (!strstr(request->body, name)) continue;
        if (shared->keys[i][0] && strcmp(shared->keys[i], key) != 0) shared->two_keys++;
        memcpy(shared->keys[i], key, sizeof key);
        if (status / 100 == 2) shared->times[i]++;
    }
}

static int          server_says;
static vit_response serve(wire *w, const vit_request *request, size_t number)
{
    vit_response answer = { 0, 0 };
    (void)w, (void)number;
    answer.http_status = server_says;
    if (server_says) note_request(request, server_says);
    return answer;
}

static void record(vit_client *t, unsigned first, unsigned count)
{
    unsigned i;
    char     name[24];
    for (i = first; i < first + count; i++) {
        snprintf(name, sizeof name, "f%u", i);
        if (track(t, name) == VIT_OK) shared->accepted[i] = i + 1u;
    }
}

/* In the child, whose server is away. */
static vit_client *born_offline(bench *b)
{
    vit_client *t;
    b->w.answer_fn = serve;
    server_says = 0;
    t = vit_create(&b->o);
    if (!t) _exit(1);
    return t;
}

/* Settings, a pool, the spool, and back: all that changes a file. */
static void live(bench *b)
{
    vit_client *t = born_offline(b);
    vit_session_begin(t, "run", NULL);
    record(t, 0, 4);
    pump_later(t);
    pump_later(t); /* into the spool */
    record(t, 4, 4);
    (void)vit_destroy(t, 0); /* the rest as well */
    server_says = 201;
    t = vit_create(&b->o);
    if (!t) _exit(1);
    record(t, 8, 4);
    jumped_ns += HOUR_NS;
    (void)vit_pump(t); /* a part of it is delivered */
    (void)vit_pump(t);
    server_says = 503;
    record(t, 12, 4);
    pump_later(t);
    server_says = 201;
    jumped_ns += HOUR_NS;
    (void)vit_pump(t);
    vit_set_consent(t, VIT_CONSENT_VERBOSE);
    record(t, 16, 4);
    (void)vit_flush(t, 2000);
    (void)vit_destroy(t, 0);
}

/* Runs it in a child, which is killed or not. */
static bool is_killed(bench *b, void (*act_fn)(bench *b))
{
    int   status = 0;
    pid_t child = fork_child();
    if (child == 0) {
        (void)alarm(60);
        calls = 0;
        act_fn(b);
        shared->calls = calls;
        shared->bytes = bytes_left;
        _exit(0);
    }
    dies_at = 0;
    bytes_left = UINT64_MAX;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) assert_int_equal(WTERMSIG(status), SIGKILL);
    else assert_int_equal(status, 0);
    return WIFSIGNALED(status) != 0;
}

/* Who comes next delivers; and the one after that has nothing to do. */
static void come_after(bench *b)
{
    unsigned run;
    for (run = 0; run < 2; run++) {
        vit_client *t;
        unsigned    i;
        b->w.answer_fn = serve;
        server_says = 201;
        t = bench_client(b);
        jumped_ns += HOUR_NS;
        for (i = 0; i < 20 && !vit_flush(t, 1000); i++) jumped_ns += HOUR_NS;
        assert_balanced(t);
        if (run == 1) assert_int_equal(vit_get_stats(t).adopted, 0);
        assert_true(vit_destroy(t, 0));
    }
}

static void assert_whole(unsigned n, bool plain)
{
    unsigned i;
    for (i = 0; i < EVENTS; i++) {
        if (!plain && shared->accepted[i] && shared->times[i] == 0)
            fail_msg("killed at %u: event %u is lost", n, i);
        if (shared->times[i] > 2) fail_msg("%u: event %u came %u times", n, i, shared->times[i]);
        if (!shared->accepted[i] && shared->times[i] > 1) fail_msg("%u: event %u", n, i);
    }
    if (shared->two_keys) fail_msg("killed at %u: one event under two keys", n);
}

/* Only what a client leaves when it has nothing to do. */
static void assert_clean(const bench *b, unsigned n)
{
    DIR           *d = opendir(b->folder);
    struct dirent *e;
    assert_non_null(d);
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, "telemetry.conf") == 0) continue;
        if (strcmp(e->d_name, "vitelemetry") == 0 || strstr(e->d_name, ".wait")) continue;
        if (strncmp(e->d_name, "telemetry.conf.", 15) == 0) continue; /* a text that was begun */
        fail_msg("killed at %u: %s is left", n, e->d_name);
    }
    closedir(d);
}

static void die_once(void (*act_fn)(bench *b), unsigned at_call, uint64_t bytes, bool plain)
{
    bench b;
    disk_make(&b);
    memset(shared, 0, sizeof *shared);
    in_plain_memory = plain;
    dies_at = at_call;
    bytes_left = bytes;
    (void)is_killed(&b, act_fn);
    come_after(&b);
    assert_whole(at_call ? at_call : (unsigned)bytes, plain);
    assert_clean(&b, at_call ? at_call : (unsigned)bytes);
    bench_free(&b);
}

#ifndef BYTES
#define BYTES 5u /* every fifth of them: 1 takes a minute */
#endif

/* Settings, two batches, and the end. */
static void spool(bench *b)
{
    vit_client *t = born_offline(b);
    record(t, 0, 2);
    pump_later(t);
    pump_later(t);
    record(t, 2, 2);
    (void)vit_destroy(t, 0);
}

static void test_killed_at_each_byte(void **state)
{
    uint64_t bytes, step = SANITIZED ? 13 : BYTES;
    bench    b;
    (void)state;
    disk_make(&b);
    memset(shared, 0, sizeof *shared);
    bytes_left = 1u << 30;
    assert_false(is_killed(&b, spool));
    bytes = ((uint64_t)1 << 30) - shared->bytes;
    bench_free(&b);
    print_message("%lu bytes are written\n", (unsigned long)bytes);
    assert_true(bytes > 500 && bytes < 10000);
    while (bytes > 0) {
        die_once(spool, 0, bytes, (bytes & 1) != 0);
        bytes -= bytes < step ? bytes : step;
    }
}

static void test_killed_at_each_call(void **state)
{
    unsigned n, count, step = SANITIZED ? 3 : 1;
    bench    b;
    (void)state;
    disk_make(&b);
    memset(shared, 0, sizeof *shared);
    assert_false(is_killed(&b, live));
    count = shared->calls;
    bench_free(&b);
    assert_true(count > 100);
    for (n = 1; n <= count; n += step) die_once(live, n, UINT64_MAX, n % 4 == 3);
    print_message("%u calls change a file\n", count);
}

/* A refusal that is cut off: what the next start finds is granted or refused, and where it is
   refused nothing is left, and nothing is sent. */
static unsigned refuse_at;

static void refuse(bench *b)
{
    vit_client *t = born_offline(b);
    record(t, 0, 4);
    pump_later(t);
    pump_later(t);
    record(t, 4, 4);
    calls = 0;
    dies_at = refuse_at;
    vit_set_consent(t, VIT_CONSENT_DENIED);
    shared->refused = 1;
    (void)vit_destroy(t, 0);
}

static void test_killed_while_refusing(void **state)
{
    unsigned n, granted = 0, denied = 0;
    bool     killed = true;
    (void)state;
    for (n = 1; killed && n < 1000; n++) {
        bench       b;
        vit_client *t;
        size_t      i;
        disk_make(&b);
        memset(shared, 0, sizeof *shared);
        refuse_at = n;
        killed = is_killed(&b, refuse);
        b.w.answer_fn = serve;
        server_says = 201;
        t = bench_client(&b);
        if (vit_get_consent(t, NULL) == VIT_CONSENT_DENIED) {
            denied++;
            jumped_ns += HOUR_NS;
            (void)vit_flush(t, 0);
            pump_at_most(t, 200);
            for (i = 0; i < EVENTS; i++) assert_int_equal(shared->times[i], 0);
            assert_clean(&b, n);
            assert_string_equal(setting_of(b.path, "hwid"), "");
        } else {
            if (shared->refused) fail_msg("call %u: the refusal is forgotten", n);
            granted++;
        }
        bench_close(&b, t);
    }
    assert_true(denied > 3 && n > 8 && granted < n);
    print_message("%u calls: %u times the old state, %u times the new one\n", n, granted, denied);
}

/* ---- files that a test makes ----------------------------------------------------------------- */

#define SAMPLE 6u

typedef struct sample {
    char   path[PATH_MAX];
    char  *bytes;
    size_t size;
} sample;

static void find_file(const bench *b, const char *end_of_name, char out[PATH_MAX])
{
    out[0] = 0;
    assert_true(file_exists(b->folder));
    (void)count_files(b->folder, end_of_name, out);
}

/* A file of the spool with some batches; a client of b finds it. */
static sample sample_make(bench *b, unsigned events)
{
    sample      s;
    vit_client *t;
    struct stat st;
    disk_make(b);
    b->o.transport.send_fn = NULL;
    in_plain_memory = true;
    t = bench_client(b);
    track_many(t, 0, events);
    assert_true(vit_destroy(t, 0));
    in_plain_memory = false;
    b->o.transport.send_fn = wire_send;
    find_file(b, ".spool", s.path);
    assert_int_equal(stat(s.path, &st), 0);
    s.bytes = bytes_of(s.path, &s.size);
    assert_int_equal(s.size, st.st_size);
    return s;
}

static unsigned arrived(bench *b) { return arrived_of(&b->w, SAMPLE); }

/* What a client makes of a file of the spool. */
static unsigned found(bench *b, const char *path, const char *bytes, size_t size)
{
    vit_client *t;
    char        left[PATH_MAX];
    wire_free(&b->w);
    wire_init(&b->w);
    file_write(path, bytes, size, 0600);
    in_plain_memory = true;
    t = bench_client(b);
    assert_true(vit_flush(t, 1000));
    find_file(b, ".spool", left);
    assert_string_equal(left, "");
    end(t);
    find_file(b, ".spool", left); /* a report of what could not be read */
    if (left[0]) assert_int_equal(unlink(left), 0);
    return arrived(b);
}

/* Zeros from some byte to the end, at its beginning, in blocks, and nothing but zeros. */
static void test_zeros(void **state)
{
    bench    b;
    sample   s = sample_make(&b, SAMPLE);
    char    *bytes = (char *)malloc(s.size);
    size_t   at, step = SANITIZED ? 29 : 7, block;
    unsigned last = 0, n;
    (void)state;
    assert_non_null(bytes);
    for (at = 0; at <= s.size; at += at + step > s.size && at < s.size ? s.size - at : step) {
        memset(bytes, 0, s.size);
        memcpy(bytes, s.bytes, at);
        if (at > 0 && at < 16) continue; /* version and order: of another machine, it seems */
        n = found(&b, s.path, bytes, s.size);
        if (n < last || n > last + 1) fail_msg("zeros from %lu: %u arrived", (unsigned long)at, n);
        last = n;
    }
    assert_int_equal(last, SAMPLE);
    for (block = 16; block <= 512; block *= 2)
        for (at = 0; at + block <= s.size; at += block) {
            memcpy(bytes, s.bytes, s.size);
            memset(bytes + at, 0, block);
            n = found(&b, s.path, bytes, s.size);
            if (at > 0 && n + 2u + block / 64u < SAMPLE)
                fail_msg("%lu zeros at %lu: %u arrived", (unsigned long)block, (unsigned long)at,
                         n);
        }
    free(bytes);
    bytes = (char *)calloc(1, 65536);
    assert_non_null(bytes);
    assert_int_equal(found(&b, s.path, bytes, 65536), 0);
    free(bytes);
    free(s.bytes);
    bench_free(&b);
}

/* Every bit of a file, in the whole file and in each shorter one: no crash, and at most the record
   that was hit is missing, since all that stands before and behind it is whole. */
static void test_each_bit(void **state)
{
    bench           b;
    sample          s = sample_make(&b, 3);
    vitp_spool_head head;
    size_t          cut, at, bit, step = SANITIZED ? 5 : 1;
    unsigned long   tried = 0;
    char           *bytes = (char *)malloc(s.size);
    (void)state;
    assert_non_null(bytes);
    memcpy(&head, s.bytes, sizeof head);
    assert_int_equal(head.end, s.size);
    for (cut = sizeof head; cut <= s.size; cut += cut == s.size ? 1 : s.size - cut < 8 ? 1 : 8) {
        uint32_t whole, pieces;
        char    *copy = (char *)malloc(cut ? cut : 1); /* of its very size, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, s.bytes, cut);
        head.end = cut;
        whole = vitp_spool_records_in(copy, &head, &pieces);
        for (at = sizeof head; at < cut; at += step)
            for (bit = 0; bit < 8; bit++) {
                uint32_t n;
                copy[at] = (char)(copy[at] ^ (char)(1u << bit));
                n = vitp_spool_records_in(copy, &head, &pieces);
                if (n + 1u < whole || n > whole)
                    fail_msg("cut at %lu, bit %lu of byte %lu: %u of %u", (unsigned long)cut,
                             (unsigned long)bit, (unsigned long)at, (unsigned)n, (unsigned)whole);
                copy[at] = (char)(copy[at] ^ (char)(1u << bit));
                tried++;
            }
        free(copy);
    }
    for (at = 0; at < sizeof head; at++) /* and of its head */
        for (bit = 0; bit < 8; bit++) {
            vitp_spool_head h;
            memcpy(bytes, s.bytes, s.size);
            bytes[at] = (char)(bytes[at] ^ (char)(1u << bit));
            memcpy(&h, bytes, sizeof h);
            assert_false(vitp_spool_head_is_whole(&h, s.size));
        }
    print_message("%lu changed files\n", tried);
    assert_true(tried > 10000);
    free(bytes);
    free(s.bytes);
    bench_free(&b);
}

/* ---- hostile files --------------------------------------------------------------------------- */

/* Lengths that lie, with a checksum that is right. */
static void test_lengths(void **state)
{
    static const uint32_t sizes[] = {
        0xFFFFFFFFu, 0x80000000u, 0x7FFFFFFFu, 16385, 16384, 5000, 0
    };
    bench  b;
    sample s = sample_make(&b, SAMPLE);
    size_t i, at;
    char  *bytes = (char *)malloc(s.size);
    (void)state;
    assert_non_null(bytes);
    for (at = sizeof(vitp_spool_head); at + 4 <= s.size; at++)
        if (memcmp(s.bytes + at, "rcrd", 4) == 0) break;
    for (i = 0; i < COUNT_OF(sizes); i++) {
        vitp_spool_frame frame;
        memcpy(bytes, s.bytes, s.size);
        memcpy(&frame, bytes + at, sizeof frame);
        frame.size = sizes[i];
        if (at + sizeof frame + frame.size <= s.size)
            frame.check = vitp_spool_check_record(&frame, bytes + at + sizeof frame);
        memcpy(bytes + at, &frame, sizeof frame);
        assert_true(found(&b, s.path, bytes, s.size) >= SAMPLE - 1u);
    }
    for (i = 0; i < 3; i++) { /* a head whose offsets lie, also behind a terabyte of nothing */
        vitp_spool_head h;
        memcpy(bytes, s.bytes, s.size);
        memcpy(&h, bytes, sizeof h);
        h.end = i == 0 ? UINT64_MAX : i == 1 ? (uint64_t)1 << 40 : h.end;
        if (i == 2) h.begin = h.end + 1u;
        h.check = vitp_spool_crc(0, &h, offsetof(vitp_spool_head, check));
        memcpy(bytes, &h, sizeof h);
        file_write(s.path, bytes, s.size, 0600);
        if (i == 1 && truncate(s.path, (off_t)1 << 40) != 0) continue;
        {
            vit_client *t;
            wire_free(&b.w);
            wire_init(&b.w);
            t = bench_client(&b);
            assert_true(vit_flush(t, 5000));
            assert_int_equal(arrived(&b), SAMPLE);
            end(t);
        }
    }
    free(bytes);
    free(s.bytes);
    bench_free(&b);
}

/* A device, a pipe and a folder under a name of ours, and a second name of somebody's file. */
static void test_no_plain_file(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 5; i++) {
        bench       b;
        sample      s = sample_make(&b, SAMPLE);
        vit_client *t;
        char        other[128];
        bool        there = true;
        snprintf(other, sizeof other, "%.63s/other", b.folder);
        assert_int_equal(unlink(s.path), 0);
        file_write(other, s.bytes, s.size, 0600);
#ifdef __linux__
        if (i == 0) there = mknod(s.path, S_IFCHR | 0600, makedev(1, 5)) == 0; /* /dev/zero */
        if (i == 1) there = mknod(s.path, S_IFCHR | 0600, makedev(1, 7)) == 0; /* /dev/full */
#else
        if (i < 2) there = false;
#endif
        if (i == 2) assert_int_equal(mkfifo(s.path, 0600), 0);
        if (i == 3) assert_int_equal(link(other, s.path), 0);
        if (i == 4) assert_int_equal(symlink("/dev/zero", s.path), 0);
        if (there) {
            t = bench_client(&b);
            track_many(t, 100, 1);
            assert_true(vit_flush(t, 5000));
            assert_int_equal(arrived(&b), 0);
            assert_int_equal(wire_times(&b.w, "\"f100\""), 1);
            end(t);
            assert_true(file_exists(s.path));
            assert_true(file_exists(other));
        }
        free(s.bytes);
        bench_free(&b);
    }
}

/* More files than anybody could have written. Time does not decide: but the folder is looked at
   some times, and not once for each file in it, and no call goes through all of them. */
#ifndef MANY_FILES
#define MANY_FILES 3000u
#endif

static void test_many_files(void **state)
{
    bench       b;
    vit_client *t;
    char        path[PATH_MAX];
    unsigned    i, steps;
    (void)state;
    disk_make(&b);
    for (i = 0; i < MANY_FILES; i++) {
        snprintf(path, sizeof path, "%.63s/vector-inspector.%08x-u-1-%016x.spool", b.folder,
                 0x60000000u + i, i);
        file_write(path, "", 0, 0600);
    }
    lists = 0;
    t = bench_client(&b);
    assert_true(lists < 40);
    track_many(t, 0, 3);
    for (steps = 0; steps < 1000 && !vit_flush(t, 1000); steps++) {}
    assert_true(lists < 80);
    b.w.otherwise.http_status = 0;
    track_many(t, 3, 3);
    pump_later(t);
    pump_later(t);
    b.w.otherwise.http_status = 201;
    jumped_ns += HOUR_NS;
    for (i = 0; i < MANY_FILES / 100u; i++) (void)vit_flush(t, 1000);
    assert_each(&b.w, "\"f%u\"", 6, 1);
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
    print_message("%u files, %u looks into the folder\n", MANY_FILES, lists);
    assert_true(lists < MANY_FILES);
    find_file(&b, ".spool", path);
    assert_true(path[0] == 0 || strstr(path, ".6") == NULL);
    bench_free(&b);
}

/* A file of another version, or of a machine with another order of bytes: nobody touches it until
   it is old. */
static void test_foreign(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 3; i++) {
        bench           b;
        sample          s = sample_make(&b, SAMPLE);
        vit_client     *t;
        vitp_spool_head h;
        struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
        struct stat     st;
        memcpy(&h, s.bytes, sizeof h);
        if (i == 0) h.version++;
        else h.order = 0x04030201u;
        h.check = i == 0 ? vitp_spool_crc(0, &h, offsetof(vitp_spool_head, check)) : h.check + 1u;
        memcpy(s.bytes, &h, sizeof h);
        file_write(s.path, s.bytes, s.size, 0600);
        if (i == 2) assert_int_equal(utimensat(AT_FDCWD, s.path, times, 0), 0);
        t = bench_client(&b);
        track_many(t, 100, 1);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(arrived(&b), 0);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CORRUPT], i == 2 ? 1 : 0);
        end(t);
        assert_int_equal(stat(s.path, &st), i == 2 ? -1 : 0);
        if (i < 2) assert_int_equal(st.st_size, s.size);
        free(s.bytes);
        bench_free(&b);
    }
}

/* ---- a disk that is full, or fails ----------------------------------------------------------- */

/* all: there is not even room behind what was there. */
static void fill_and_empty(bench *b, void (*fill_fn)(bool full), bool all)
{
    vit_client *t;
    unsigned    round;
    b->w.otherwise.http_status = 0;
    in_plain_memory = true;
    t = bench_client(b);
    for (round = 0; round < 3; round++) {
        unsigned before = (unsigned)vit_get_stats(t).spooled;
        fill_fn(true);
        track_many(t, 10 * round, 5);
        jumped_ns += 61u * UINT64_C(1000000000);
        pump_later(t);
        pump_later(t);
        assert_balanced(t);
        if (all) assert_int_equal(vit_get_stats(t).spooled, before); /* they stay in memory */
        fill_fn(false);
        track_many(t, 10 * round + 5, 5);
        jumped_ns += 61u * UINT64_C(1000000000);
        pump_later(t);
        pump_later(t);
        assert_balanced(t);
        assert_int_equal(vit_get_stats(t).spooled, 10 * (round + 1));
    }
    if (all) assert_int_equal(logs_of(&b->l, VIT_LOG_SPOOL_NOT_WRITTEN), 1);
    end(t);
    b->w.otherwise.http_status = 201;
    t = bench_client(b);
    jumped_ns += 24u * HOUR_NS;
    assert_true(vit_flush(t, 20000));
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CORRUPT], 0); /* nothing torn was left */
    assert_each(&b->w, "\"f%u\"", 30, 1);
    end(t);
}

static void play_full(bool full)
{
    fail_kinds = full ? CALL_WRITE : 0;
    fail_errno = ENOSPC;
    fail_short = full;
}

static void play_broken(bool broken)
{
    fail_kinds = broken ? CALL_WRITE | CALL_OPEN : 0;
    fail_errno = EIO;
}

static void play_read_only(bool only)
{
    fail_kinds = only ? CALL_OPEN | CALL_RENAME | CALL_UNLINK | CALL_MKDIR | CALL_WRITE : 0;
    fail_errno = EROFS;
}

static void test_full(void **state)
{
    static void (*const fills[])(bool) = { play_full, play_broken, play_read_only };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(fills); i++) {
        bench b;
        disk_make(&b);
        fill_and_empty(&b, fills[i], true);
        bench_free(&b);
    }
}

/* A real one: a file system of 64 KiB that something else fills. */
static char small_disk[PATH_MAX];

static void fill_disk(bool full)
{
    char path[PATH_MAX + 16], block[4096];
    int  fd;
    snprintf(path, sizeof path, "%s/other", small_disk);
    (void)unlink(path);
    if (!full) return;
    memset(block, 'x', sizeof block);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0) {}
    while (write(fd, block, 1) > 0) {}
    close(fd);
}

static void test_small_disk(void **state)
{
#ifdef __linux__
    bench b;
    int   status = 0;
    pid_t child;
    (void)state;
    if (geteuid() != 0) skip();
    disk_make(&b);
    assert_non_null(realpath(b.folder, small_disk));
    child = fork(); /* its mounts end with it */
    assert_true(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", small_disk, "tmpfs", 0, "size=64k,mode=700") != 0)
            _exit(77);
        fill_and_empty(&b, fill_disk, false);
        _exit(42); /* a failure ends by the group's own status */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    bench_free(&b);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("not run: nothing may be mounted here\n");
        skip();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
#else
    (void)state;
    skip();
#endif
}

/* What cannot be flushed was not written: the old settings stay, and nothing begun is left. */
static void test_flush_fails(void **state)
{
    static const unsigned kinds[] = { CALL_FSYNC, CALL_CLOSE, CALL_WRITE, CALL_RENAME };
    size_t                i;
    (void)state;
    for (i = 0; i < COUNT_OF(kinds); i++) {
        bench       b;
        vit_client *t;
        char        before[4096], left[PATH_MAX];
        disk_make(&b);
        in_plain_memory = true;
        t = bench_client(&b);
        snprintf(before, sizeof before, "%s", file_read(b.path));
        assert_true(strlen(before) > 40);
        fail_kinds = kinds[i];
        fail_errno = EIO;
        vit_set_consent(t, VIT_CONSENT_VERBOSE);
        fail_kinds = 0;
        assert_string_equal(file_read(b.path), before);
        assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_NOT_SAVED), 1);
        find_file(&b, ".tmp", left);
        assert_string_equal(left, "");
        bench_close(&b, t);
    }
}

/* A list of what was sent, of which a full disk took the half of a line. */
static void test_half_a_line(void **state)
{
    bench       b;
    vit_client *t;
    char        path[128];
    size_t      size;
    (void)state;
    disk_make(&b);
    snprintf(path, sizeof path, "%.63s/sent.ndjson", b.folder);
    b.o.audit = true;
    t = bench_client(&b);
    track_many(t, 0, 1);
    assert_true(vit_flush(t, 5000));
    size = strlen(file_read(path));
    assert_true(size > 100);
    play_full(true);
    track_many(t, 1, 1);
    (void)vit_flush(t, 5000);
    play_full(false);
    assert_int_equal(strlen(file_read(path)), size);
    track_many(t, 2, 1);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(count_of(file_read(path), "\n"), 2);
    bench_close(&b, t);
}

/* ---- no locks -------------------------------------------------------------------------------- */

static void test_no_locks(void **state)
{
    bench       b;
    sample      s = sample_make(&b, SAMPLE);
    vit_client *t;
    (void)state;
    fail_kinds = CALL_LOCK;
    fail_errno = ENOLCK;
    t = bench_client(&b);
    assert_false(vit_get_stats(t).crash_surviving);
    assert_int_equal(vit_get_stats(t).adopted, 0); /* whose they are is not to be known */
    track_many(t, 100, 5);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(arrived(&b), 0);
    assert_int_equal(wire_times(&b.w, "\"f104\""), 1);
    b.w.otherwise.http_status = 0;
    track_many(t, 200, 5);
    pump_later(t);
    pump_later(t);
    assert_balanced(t);
    b.w.otherwise.http_status = 201;
    jumped_ns += HOUR_NS;
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_times(&b.w, "\"f204\""), 1);
    end(t);
    fail_kinds = 0;
    t = bench_client(&b);
    jumped_ns += HOUR_NS;
    assert_true(vit_flush(t, 5000));
    assert_int_equal(arrived(&b), SAMPLE);
    end(t);
    free(s.bytes);
    bench_free(&b);
}

/* ---- allocations ----------------------------------------------------------------------------- */

typedef struct heap {
    unsigned count, fails_at, taken; /* fails_at 0: none */
    bool     for_ever;
} heap;

static void *heap_alloc(size_t size, void *user)
{
    heap *h = (heap *)user;
    void *memory;
    h->count++;
    if (h->fails_at && (h->for_ever ? h->count >= h->fails_at : h->count == h->fails_at))
        return NULL;
    memory = malloc(size);
    h->taken += memory != NULL;
    return memory;
}

static void heap_free(void *memory, void *user)
{
    ((heap *)user)->taken -= memory != NULL;
    free(memory);
}

static void be_killed(bench *b)
{
    vit_client *t = born_offline(b);
    record(t, 0, 4);
    pump_later(t);
    pump_later(t);
    record(t, 4, 4);
    (void)kill(getpid(), SIGKILL);
}

/* Nothing can be removed. Where that makes it go round for ever, it is killed. */
static void deliver_and_keep(bench *b)
{
    vit_client *t;
    unsigned    i;
    b->w.answer_fn = serve;
    server_says = 201;
    fail_kinds = CALL_UNLINK;
    fail_errno = EACCES;
    dies_at = calls + 2000u;
    t = vit_create(&b->o);
    if (!t) _exit(1);
    for (i = 0; i < 20; i++) {
        jumped_ns += HOUR_NS;
        pump_at_most(t, 200);
    }
    if (!is_balanced(t)) _exit(1);
    (void)vit_destroy(t, 0);
}

/* What was delivered is not sent again where its file stays, of the spool or of a pool. */
static void test_not_removed(void **state)
{
    bench    b;
    unsigned i;
    (void)state;
    disk_make(&b);
    memset(shared, 0, sizeof *shared);
    assert_true(is_killed(&b, be_killed));
    assert_false(is_killed(&b, deliver_and_keep));
    come_after(&b);
    for (i = 0; i < EVENTS; i++)
        if (shared->accepted[i] && shared->times[i] != 1)
            fail_msg("event %u came %u times", i, (unsigned)shared->times[i]);
    bench_free(&b);
}

/* A folder that takes long to be looked into: what waits goes to the disk all the same. */
static void test_slow_folder(void **state)
{
    bench       b;
    vit_client *t;
    unsigned    i;
    (void)state;
    disk_make(&b);
    b.w.otherwise.http_status = 0;
    t = bench_client(&b);
    list_ns = 30u * VITP_MS;
    track_many(t, 0, 5);
    for (i = 0; i < 10; i++) pump_later(t);
    assert_int_equal(vit_get_stats(t).spooled, 5);
    bench_close(&b, t);
}

/* A folder that cannot be listed for a moment: what lies in it was not taken by others. */
static void test_no_list(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    disk_make(&b);
    b.w.otherwise.http_status = 0;
    t = bench_client(&b);
    track_many(t, 0, 5);
    pump_later(t);
    pump_later(t);
    assert_true(vitp_worker_enter(t));
    vitp_worker_close_spool(t);
    vitp_worker_leave(t);
    b.w.otherwise.http_status = 201;
    lists_fail = true;
    assert_false(vit_flush(t, 50));
    assert_int_equal(vit_get_stats(t).spooled, 5);
    lists_fail = false;
    assert_true(vit_flush(t, 5000));
    assert_int_equal(vit_get_stats(t).handed_over, 0);
    assert_each(&b.w, "\"f%u\"", 5, 1);
    bench_close(&b, t);
}

/* What a refusal could not look for goes in the end, unless the user granted it again elsewhere. */
static void test_refused_without_list(void **state)
{
    bench       b;
    vit_client *t, *other = NULL;
    char        path[PATH_MAX], hwid[64] = "";
    unsigned    how;
    (void)state;
    for (how = 0; how < 2; how++) {
        disk_make(&b);
        b.w.otherwise.http_status = 0;
        t = bench_client(&b);
        track_many(t, 0, 5);
        assert_true(vit_destroy(t, 0));
        b.o.transport.send_fn = NULL;
        t = bench_client(&b);
        assert_true(vitp_worker_enter(t));
        vitp_worker_close_spool(t);
        vitp_worker_leave(t);
        lists_fail = true;
        vit_set_consent(t, VIT_CONSENT_DENIED);
        lists_fail = false;
        find_file(&b, ".spool", path);
        assert_true(path[0] != 0);
        if (how == 1) {
            other = bench_client(&b);
            vit_set_consent(other, VIT_CONSENT_GRANTED);
            snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
            assert_int_equal(strlen(hwid), 36);
            track_many(other, 5, 3);
            assert_true(vit_destroy(other, 0));
        }
        assert_true(vit_destroy(t, 0));
        find_file(&b, ".spool", path);
        assert_int_equal(path[0] != 0, how);
        if (how == 1) assert_string_equal(setting_of(b.path, "hwid"), hwid);
        bench_free(&b);
    }
}

static void leave_many(bench *b)
{
    vit_client *t = vit_create(&b->o);
    try_many(t, 0, 300);
    (void)kill(getpid(), SIGKILL);
}

/* A disk that writes slowly, and much that a killed run left: the end of a client waits no longer
   than it says, and a step of it not long. What is left goes later. */
static void test_slow_disk(void **state)
{
    bench       b;
    vit_client *t;
    uint64_t    begin_ns;
    unsigned    how;
    (void)state;
    for (how = 0; how < 2; how++) {
        disk_make(&b);
        assert_true(is_killed(&b, leave_many));
        b.w.otherwise.http_status = 0;
        t = bench_client(&b);
        assert_int_equal(vit_get_stats(t).adopted, 300);
        write_ns = VITP_MS;
        begin_ns = jumped_ns;
        if (how == 0) (void)vit_pump(t);
        else assert_true(vit_destroy(t, 0));
        assert_true(jumped_ns - begin_ns < 100u * VITP_MS);
        write_ns = 0;
        if (how == 0) end(t);
        b.w.otherwise.http_status = 201;
        t = bench_client(&b);
        jumped_ns += HOUR_NS;
        assert_true(vit_flush(t, 20000));
        assert_each(&b.w, "\"f%u\"", 300, 1);
        bench_close(&b, t);
    }
}

/* So does what the host refuses, whatever the user said. */
static void test_host_refuses_without_list(void **state)
{
    bench       b;
    vit_client *t;
    char        path[PATH_MAX];
    (void)state;
    disk_make(&b);
    b.w.otherwise.http_status = 0;
    t = bench_client(&b);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    track_many(t, 0, 5);
    assert_true(vit_destroy(t, 0));
    b.o.consent = VIT_CONSENT_DENIED;
    lists_fail = true;
    t = bench_client(&b);
    lists_fail = false;
    find_file(&b, ".spool", path);
    assert_true(path[0] != 0);
    assert_true(vit_destroy(t, 0));
    find_file(&b, ".spool", path);
    assert_true(path[0] == 0);
    bench_free(&b);
}

/* The n-th allocation of a client fails, once or from then on, also where it takes over a pool and
   reads the spool: no event is lost, and all memory is given back. */
static void test_allocations(void **state)
{
    unsigned n, i, ever;
    (void)state;
    for (ever = 0; ever < 2; ever++)
        for (n = 1;; n++) {
            bench       b;
            heap        h;
            vit_client *t;
            memset(&h, 0, sizeof h);
            memset(shared, 0, sizeof *shared);
            disk_make(&b);
            assert_true(is_killed(&b, be_killed));
            h.fails_at = n;
            h.for_ever = ever != 0;
            b.o.allocator.alloc_fn = heap_alloc;
            b.o.allocator.free_fn = heap_free;
            b.o.allocator.user = &h;
            b.w.answer_fn = serve;
            server_says = 201;
            t = vit_create(&b.o);
            if (t) {
                record(t, 8, 4);
                jumped_ns += HOUR_NS;
                (void)vit_flush(t, 50);
                server_says = 0;
                record(t, 12, 4);
                pump_later(t);
                pump_later(t);
                (void)vit_export(t, ignore_line, NULL);
                assert_balanced(t);
                assert_true(vit_destroy(t, 0));
            }
            assert_int_equal(h.taken, 0);
            b.o = options_of(&b.w, &b.l);
            b.o.data_dir = b.folder;
            b.o.queue_bytes = 65536;
            come_after(&b);
            for (i = 0; i < EVENTS; i++)
                if (shared->accepted[i] && shared->times[i] != 1)
                    fail_msg("allocation %u: event %u came %u times", n, i,
                             (unsigned)shared->times[i]);
            bench_free(&b);
            if (n > h.count) break;
        }
    assert_true(n > 3);
    print_message("%u allocations\n", n - 1);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    static const struct CMUnitTest tests[] = {
        TEST(test_killed_at_each_byte),
        TEST(test_killed_at_each_call),
        TEST(test_killed_while_refusing),
        TEST(test_zeros),
        TEST(test_each_bit),
        TEST(test_lengths),
        TEST(test_no_plain_file),
        TEST(test_many_files),
        TEST(test_foreign),
        TEST(test_full),
        TEST(test_small_disk),
        TEST(test_flush_fails),
        TEST(test_half_a_line),
        TEST(test_no_locks),
        TEST(test_not_removed),
        TEST(test_slow_folder),
        TEST(test_slow_disk),
        TEST(test_no_list),
        TEST(test_refused_without_list),
        TEST(test_host_refuses_without_list),
        TEST(test_allocations),
    };
    environment_clear();
    shared = (deed *)mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0);
    if (shared == MAP_FAILED) return 2;
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
