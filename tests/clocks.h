/* clocks.h - clocks of the test's own, which stand until it lets time pass. It includes
   vitelemetry.h. */

#ifndef TESTS_CLOCKS_H
#define TESTS_CLOCKS_H

static unsigned long long clock_ns(int clock);
#define VITP_OS_CLOCK_NS(clock) clock_ns((int)(clock))
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#define SECOND UINT64_C(1000000000)
#define DAY    (86400u * SECOND)

static uint64_t passed_ns = SECOND;                      /* monotonic */
static uint64_t wall_ns = UINT64_C(1800000000) * SECOND; /* 2027 */

static unsigned long long clock_ns(int clock)
{
#ifdef TORTURE_H /* who waits for what a failure has taken shall not wait for ever */
    if (torture_has_failed()) passed_ns += 1000000u;
#endif
    return clock == CLOCK_REALTIME ? wall_ns : passed_ns;
}

static void pass(uint64_t ns)
{
    passed_ns += ns;
    wall_ns += ns;
}

/* All that is due now. */
static __attribute__((unused)) void pump(vit_client *t)
{
    while (vit_pump(t)) {}
}

/* As long as a server may be away. */
static __attribute__((unused)) void pump_for(vit_client *t, unsigned seconds)
{
    unsigned i;
    for (i = 0; i < seconds; i++) {
        pass(SECOND);
        pump(t);
    }
}

#endif
