/* kill.h: what the tests that kill their own children share: chance, time, and pipes through which
   a child tells what it did. */

#ifndef TESTS_KILL_H
#define TESTS_KILL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KILL_FN  static __attribute__((unused))
#define BODY_MAX (512u * 1024u)

KILL_FN uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}

KILL_FN uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

KILL_FN void sleep_us(uint32_t us)
{
    struct timespec t;
    t.tv_sec = (time_t)(us / 1000000u);
    t.tv_nsec = (long)(us % 1000000u) * 1000L;
    (void)nanosleep(&t, NULL);
}

KILL_FN void must(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    exit(2);
}

KILL_FN bool write_all(int fd, const void *data, size_t size)
{
    const char *at = (const char *)data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

KILL_FN void find_key(char out[36], const char *headers)
{
    const char *at = strstr(headers, "Idempotency-Key: ");
    snprintf(out, 36, "%.32s", at ? at + 17 : "none");
}

/* What is known of an event. */
typedef struct fact {
    bool     reported;
    uint8_t  received;
    uint32_t key; /* number in keys, of the first request that brought it */
} fact;

/* Of all that one player recorded in one round. */
typedef struct facts {
    fact    *rows;
    uint32_t count;
} facts;

KILL_FN fact *facts_at(facts *f, uint32_t i)
{
    if (i >= f->count) {
        uint32_t count = f->count ? f->count : 64u;
        while (count <= i) count *= 2u;
        f->rows = (fact *)realloc(f->rows, count * sizeof *f->rows);
        must(f->rows != NULL, "realloc");
        memset(f->rows + f->count, 0, (count - f->count) * sizeof *f->rows);
        f->count = count;
    }
    return &f->rows[i];
}

/* A request as it comes through a pipe; its body follows. */
typedef struct parcel {
    uint32_t size;
    char     key[36];
} parcel;

/* What came through a pipe and is not used yet. */
typedef struct inlet {
    int    fd;
    char  *data;
    size_t size;
} inlet;

/* Reads what is there. False: the end. */
KILL_FN bool inlet_read(inlet *in)
{
    ssize_t n = read(in->fd, in->data + in->size, BODY_MAX + sizeof(parcel) - in->size);
    if (n < 0 && errno == EINTR) return true;
    if (n > 0) in->size += (size_t)n;
    return n > 0;
}

/* The body of the request that stands *at there, and moves on. NULL: it has not come as a whole. */
KILL_FN const char *inlet_next(const inlet *in, size_t *at, parcel *head)
{
    const char *body = in->data + *at + sizeof *head;
    if (in->size - *at < sizeof *head) return NULL;
    memcpy(head, in->data + *at, sizeof *head);
    if (in->size - *at < sizeof *head + head->size) return NULL;
    *at += sizeof *head + head->size;
    return body;
}

KILL_FN void inlet_drop(inlet *in, size_t size)
{
    memmove(in->data, in->data + size, in->size - size);
    in->size -= size;
}

#endif
