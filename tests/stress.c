/* stress.c: many producers and one consumer on one queue, until so many records have passed.

   Usage: stress [RECORDS] [PRODUCERS]     (100,000,000 and 4)

   In rounds with queues of different sizes each producer pushes records of 8 to 200 bytes with its
   number, a running count and bytes that follow from both; every now and then one is marked
   important, reserved and committed, or given up. A push that is refused is tried again. The
   consumer drains, or peeks and releases, and sometimes pauses, so that the queue is full as well
   as empty. Each producer's records must come in their order, whole, and all of them.

   Build: cc -std=c99 -O2 -I. tests/stress.c -o build/tests/stress -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32 /* the header has brought <windows.h> */
typedef HANDLE thread;
#define THREAD_MAIN DWORD WINAPI
#define give_way()  ((void)SwitchToThread())
#else
#include <pthread.h>
#include <sched.h>
typedef pthread_t thread;
#define THREAD_MAIN void *
#define give_way()  ((void)sched_yield())
#endif

#define PRODUCERS_MAX 80u /* more than there are slots */
#define SIZE_MAX_     200u

typedef struct producer {
    vit_queue *q;
    uint32_t   number, records, random;
    uint64_t   sum;
} producer;

typedef struct consumer {
    uint32_t next[PRODUCERS_MAX];
    uint64_t sum, records, wrong;
} consumer;

static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}

/* What the n-th record of a producer holds; its size. */
static uint32_t make(uint32_t who, uint32_t n, unsigned char *out)
{
    uint32_t word = mix(who * 0x9E3779B1u + n), size = 8u + word % (SIZE_MAX_ - 7u);
    memcpy(out, &who, 4);
    memcpy(out + 4, &n, 4);
    memset(out + 8, (int)(word >> 24), size - 8u);
    return size;
}

static bool push(producer *p, const unsigned char *record, uint32_t size)
{
    void *room;
    p->random = mix(p->random + 1u);
    if (p->random % 64u == 0) return vit_queue_push_important(p->q, record, size);
    if (p->random % 64u > 2u) return vit_queue_push(p->q, record, size);
    room = vit_queue_reserve(p->q, size + p->random / 64u % 32u);
    if (!room) return false;
    memcpy(room, record, size);
    vit_queue_commit(p->q, room, p->random % 64u == 1u ? 0 : size); /* 0: given up */
    return p->random % 64u != 1u;
}

static THREAD_MAIN produce(void *producer_)
{
    producer     *p = (producer *)producer_;
    unsigned char record[SIZE_MAX_ + 1u];
    uint32_t      n, tries;
    for (n = 0; n < p->records; n++) {
        uint32_t size = make(p->number, n, record);
        for (tries = 0; !push(p, record, size); tries++)
            if (tries > 4) give_way();
        p->sum += mix(p->number ^ n) ^ size;
    }
    return 0;
}

static bool begin(thread *t, producer *p)
{
#ifdef _WIN32
    return (*t = CreateThread(NULL, 0, produce, p, 0, NULL)) != NULL;
#else
    return pthread_create(t, NULL, produce, p) == 0;
#endif
}

static void end(thread t)
{
#ifdef _WIN32
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
#else
    pthread_join(t, NULL);
#endif
}

static bool check(const void *record, uint32_t size, void *user)
{
    consumer     *c = (consumer *)user;
    unsigned char want[SIZE_MAX_ + 1u];
    uint32_t      who = PRODUCERS_MAX, n = 0;
    if (size >= 8) {
        memcpy(&who, record, 4);
        memcpy(&n, (const char *)record + 4, 4);
    }
    if (who >= PRODUCERS_MAX || n != c->next[who] || make(who, n, want) != size ||
        memcmp(want, record, size) != 0) {
        if (c->wrong++ < 5)
            printf("WRONG: record %u of producer %u, %u bytes\n", (unsigned)n, (unsigned)who,
                   (unsigned)size);
        return true;
    }
    c->next[who]++;
    c->records++;
    c->sum += mix(who ^ n) ^ size;
    return true;
}

static bool look(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size, (void)user;
    return true;
}

static void consume(vit_queue *q, consumer *c, uint64_t records)
{
    uint32_t random = 1;
    while (c->records + c->wrong < records) {
        size_t got;
        random = mix(random + 1u);
        if (random % 8u == 0) (void)vit_queue_peek(q, look, NULL, random % 999u);
        if (random % 2u) {
            got = vit_queue_drain(q, check, c, 1u + random % 1000u);
        } else {
            got = vit_queue_peek(q, check, c, 1u + random % 1000u);
            vit_queue_release(q, got);
        }
        if (got < 32u || random % 4096u == 0) give_way();
    }
}

/* Returns what went wrong. */
static uint64_t play(uint32_t producers, uint32_t each, size_t capacity)
{
    static producer players[PRODUCERS_MAX];
    thread          threads[PRODUCERS_MAX];
    consumer        c;
    size_t          bytes = vit_queue_bytes(capacity);
    char           *memory = (char *)malloc(bytes + 64u);
    vit_queue      *q;
    uint64_t        sum = 0;
    uint32_t        i;
    if (!memory) return 1;
    q = vit_queue_init(memory + (64u - ((uintptr_t)memory & 63u)), bytes);
    memset(&c, 0, sizeof c);
    for (i = 0; i < producers; i++) {
        players[i].q = q;
        players[i].number = i;
        players[i].records = each;
        players[i].random = i * 7919u + each;
        players[i].sum = 0;
        if (!q || !begin(&threads[i], &players[i])) return 1;
    }
    consume(q, &c, (uint64_t)producers * each);
    for (i = 0; i < producers; i++) {
        end(threads[i]);
        sum += players[i].sum;
    }
    c.wrong += sum != c.sum;
    c.wrong += vit_queue_drain(q, look, NULL, (size_t)-1);
    free(memory);
    return c.wrong;
}

int main(int argc, char **argv)
{
    static const size_t capacities[] = { 16384, 65536, 524288, 4194304 };
    uint64_t            wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000000u, done = 0;
    uint32_t producers = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 4u, round, each;
    uint64_t wrong = 0;
    if (producers == 0 || producers > PRODUCERS_MAX) return 2;
    for (round = 0; done < wanted; round++) {
        uint64_t left = (wanted - done) / producers + 1u;
        each = left < 2000000u ? (uint32_t)left : 2000000u;
        wrong += play(producers, each, capacities[round % 4u]);
        done += (uint64_t)producers * each;
    }
    printf("%llu records of %u producers in %u rounds, %llu wrong\n", (unsigned long long)done,
           (unsigned)producers, (unsigned)round, (unsigned long long)wrong);
    printf("%u passed, %u failed\n", wrong ? 0u : round, wrong ? 1u : 0u);
    return wrong ? 1 : 0;
}
