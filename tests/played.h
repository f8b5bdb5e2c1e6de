/* played.h - threads that are only played, and something that happens before a chosen atomic
   operation. It includes vitelemetry.h; STEP_BARRIER: see stepped.h. */

#ifndef TESTS_PLAYED_H
#define TESTS_PLAYED_H

static void *thread_pointer(void);
static void  step(void);
#define VITP_OS_THREAD_POINTER() ((uintptr_t)thread_pointer())
#define STEP()                   step()
#include "stepped.h"

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <errno.h>

static uintptr_t forged; /* 0: the thread that really runs */

static void *thread_pointer(void) { return forged ? (void *)forged : (void *)&errno; }

static void become(uint32_t thread) { forged = 0x10000u + (uintptr_t)thread * 64u; }

static void (*step_fn)(void *user);
static void    *step_user;
static uint32_t step_left;

/* Before each atomic operation. Other threads read step_fn only while nobody writes it. */
static void step(void)
{
    void (*fn)(void *) = step_fn;
    uintptr_t was;
    if (!fn || --step_left > 0) return;
    step_fn = NULL;
    was = forged;
    fn(step_user);
    forged = was;
}

/* fn(user) happens before the n-th atomic operation from here. */
static void arm(void (*fn)(void *user), void *user, uint32_t n)
{
    step_user = user;
    step_left = n;
    step_fn = fn;
}

static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}

static uint32_t random_state;

static uint32_t random_below(uint32_t n) { return mix(++random_state) % n; }

#endif
