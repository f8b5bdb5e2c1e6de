/* queue.c: the queue by itself: two producers, one consumer, no client.

   Build: cc -std=c99 -I. examples/queue.c -o queue -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    EACH = 100000
};

static void *produce(void *queue)
{
    uint32_t i;
    for (i = 1; i <= EACH; i++)
        while (!vit_queue_push((vit_queue *)queue, &i, sizeof i)) {} /* full: here we wait */
    return NULL;
}

static bool add_up(const void *record, uint32_t size, void *sum)
{
    *(uint64_t *)sum += *(const uint32_t *)record;
    return size == sizeof(uint32_t);
}

int main(void)
{
    size_t     bytes = vit_queue_bytes(64 * 1024), seen = 0;
    char      *memory = (char *)malloc(bytes + 64);
    vit_queue *queue = vit_queue_init(memory + (64 - ((uintptr_t)memory & 63)), bytes);
    pthread_t  threads[2];
    uint64_t   sum = 0;
    if (!queue) return 1;
    pthread_create(&threads[0], NULL, produce, queue);
    pthread_create(&threads[1], NULL, produce, queue);
    while (seen < 2 * EACH) seen += vit_queue_drain(queue, add_up, &sum, 1000);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    printf("%lu records, sum %lu\n", (unsigned long)seen, (unsigned long)sum);
    free(memory);
    return sum == (uint64_t)EACH * (EACH + 1) ? 0 : 1;
}
