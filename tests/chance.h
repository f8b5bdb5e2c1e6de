/* chance.h - random numbers by xorshift64*: the same in every run. A test sets random_state. */

#ifndef TESTS_CHANCE_H
#define TESTS_CHANCE_H

#include <stdint.h>

#define CHANCE_FN static __attribute__((unused))

static uint64_t random_state;

CHANCE_FN uint64_t random_bits(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du;
}

CHANCE_FN uint32_t random_below(uint32_t n) { return (uint32_t)(random_bits() >> 33) % n; }

#endif
