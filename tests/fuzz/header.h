/* header.h - the header as fuzz targets have it: static, so that of it only what a target calls is
   compiled and watched; a clock that stands; and one file that lies in memory. It comes before any
   system header. */

#ifndef TESTS_FUZZ_HEADER_H
#define TESTS_FUZZ_HEADER_H

#define _GNU_SOURCE
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_STATIC
#define VITELEMETRY_OS_SETTINGS
#define VITELEMETRY_IMPLEMENTATION
#define VITP_OS_ETC "/nonexistent"
/* Small, so that an input fills them. */
#define VITP_QUEUE_CHUNK_MIN 1024u
#define VITP_TYPES_MAX       16u
#define VITP_CONTEXTS_MAX    8u

static unsigned long long fuzz_clock_ns(int clock);
#define VITP_OS_CLOCK_NS(clock) fuzz_clock_ns((int)(clock))

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "target.h"

static unsigned long long fuzz_clock_ns(int clock)
{
    return clock == CLOCK_REALTIME ? 1800000000000000000u : 1000000000000u; /* 2027 */
}

/* ---- the file ------------------------------------------------------------------------------- */

#define FUZZ_FD     1000000 /* no descriptor of the system's */
#define FUZZ_FOLDER "/fuzz"

typedef struct fuzz_file {
    unsigned char *bytes;
    size_t         size, room, at;
} fuzz_file;

static fuzz_file fuzz_disk;

FUZZ_FN bool fuzz_is_ours(const char *path)
{
    return strncmp(path, FUZZ_FOLDER "/", sizeof FUZZ_FOLDER) == 0;
}

FUZZ_FN off_t fuzz_lseek(int fd, off_t at, int whence)
{
    if (fd != FUZZ_FD) return lseek(fd, at, whence);
    demand(at >= 0 && whence == SEEK_SET, "seeks within a file");
    fuzz_disk.at = (size_t)at;
    return at;
}

FUZZ_FN ssize_t fuzz_read(int fd, void *out, size_t size)
{
    size_t left = fuzz_disk.size > fuzz_disk.at ? fuzz_disk.size - fuzz_disk.at : 0;
    if (fd != FUZZ_FD) return read(fd, out, size);
    if (size > left) size = left;
    if (size) memcpy(out, fuzz_disk.bytes + fuzz_disk.at, size);
    fuzz_disk.at += size;
    return (ssize_t)size;
}

/* Nothing that reads a file makes it longer. */
FUZZ_FN ssize_t fuzz_write(int fd, const void *data, size_t size)
{
    if (fd != FUZZ_FD) return write(fd, data, size);
    demand(fuzz_disk.at <= fuzz_disk.size && size <= fuzz_disk.size - fuzz_disk.at,
           "writes within the file");
    if (size) memcpy(fuzz_disk.bytes + fuzz_disk.at, data, size);
    fuzz_disk.at += size;
    return (ssize_t)size;
}

FUZZ_FN int fuzz_ftruncate(int fd, off_t size)
{
    if (fd != FUZZ_FD) return ftruncate(fd, size);
    demand(size >= 0 && (size_t)size <= fuzz_disk.size, "cuts a file");
    fuzz_disk.size = (size_t)size;
    return 0;
}

FUZZ_FN int fuzz_stat_of(struct stat *s)
{
    memset(s, 0, sizeof *s);
    s->st_mode = S_IFREG | 0600;
    s->st_nlink = 1;
    s->st_ino = 1;
    s->st_size = (off_t)fuzz_disk.size;
    return 0;
}

FUZZ_FN int fuzz_fstat(int fd, struct stat *s)
{
    return fd == FUZZ_FD ? fuzz_stat_of(s) : fstat(fd, s);
}

FUZZ_FN int fuzz_lstat(const char *path, struct stat *s)
{
    return fuzz_is_ours(path) ? fuzz_stat_of(s) : lstat(path, s);
}

FUZZ_FN int fuzz_rename(const char *from, const char *to)
{
    return fuzz_is_ours(from) && fuzz_is_ours(to) ? 0 : rename(from, to);
}

FUZZ_FN int fuzz_unlink(const char *path) { return fuzz_is_ours(path) ? 0 : unlink(path); }
FUZZ_FN int fuzz_close(int fd) { return fd == FUZZ_FD ? 0 : close(fd); }
FUZZ_FN int fuzz_flock(int fd, int how) { return fd == FUZZ_FD ? 0 : flock(fd, how); }

#define lseek(fd, at, whence) fuzz_lseek(fd, at, whence)
#define read(fd, out, size)   fuzz_read(fd, out, size)
#define write(fd, data, size) fuzz_write(fd, data, size)
#define ftruncate(fd, size)   fuzz_ftruncate(fd, size)
#define fstat(fd, s)          fuzz_fstat(fd, s)
#define lstat(path, s)        fuzz_lstat(path, s)
#define rename(from, to)      fuzz_rename(from, to)
#define unlink(path)          fuzz_unlink(path)
#define close(fd)             fuzz_close(fd)
#define flock(fd, how)        fuzz_flock(fd, how)

#include "vitelemetry.h"

#undef lseek
#undef read
#undef write
#undef ftruncate
#undef fstat
#undef lstat
#undef rename
#undef unlink
#undef close
#undef flock

#endif /* TESTS_FUZZ_HEADER_H */
