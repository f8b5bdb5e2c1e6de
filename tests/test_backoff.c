/* test_backoff.c: when to try again, what a status means, and Retry-After. Clock and random numbers
   are the test's own.

   Build:   cc -std=c99 -g -I. tests/test_backoff.c -o build/tests/test_backoff -lcmocka -pthread */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chance.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
#define MS          1000000u      /* nanoseconds */
#define S           1000000000u
#define DAY_S       86400u

static const uint64_t now = 5000000000000u; /* some time after the machine's start */

/* ---- backoff --------------------------------------------------------------------------------- */

static vitp_backoff fresh(void)
{
    vitp_backoff b;
    memset(&b, 0, sizeof b);
    return b;
}

static vitp_backoff failed(uint32_t times, uint64_t random)
{
    vitp_backoff b = fresh();
    while (times-- > 0) vitp_backoff_fail(&b, 0, now, random);
    return b;
}

static uint32_t bound_ms(uint32_t failures)
{
    static const uint32_t bounds[] = { 1000,  2000,   4000,   8000,   16000, 32000,
                                       64000, 128000, 256000, 512000, 900000 };
    return bounds[failures - 1 < COUNT_OF(bounds) ? failures - 1 : COUNT_OF(bounds) - 1];
}

static void test_fresh_is_due(void **state)
{
    vitp_backoff b = fresh();
    (void)state;
    assert_true(vitp_backoff_is_due(&b, 0, false));
    assert_true(vitp_backoff_is_due(&b, now, false));
    assert_true(vitp_backoff_is_due(&b, now, true));
}

/* The bound doubles from 1 s and stays at 15 min: never beyond, and reached. */
static void test_bounds(void **state)
{
    uint32_t failures, i;
    (void)state;
    random_state = 0xB0FF;
    for (failures = 1; failures <= 100; failures++) {
        uint64_t most = 0, least = UINT64_MAX, bound = (uint64_t)bound_ms(failures) * MS;
        double   sum  = 0;
        for (i = 0; i < 2000; i++) {
            vitp_backoff b = failed(failures - 1, 0);
            uint64_t     wait;
            vitp_backoff_fail(&b, 0, now, random_bits());
            assert_true(b.until_ns >= now);
            wait = b.until_ns - now;
            if (wait > bound) fail_msg("failure %u waits %u ms", failures, (unsigned)(wait / MS));
            if (wait > most) most = wait;
            if (wait < least) least = wait;
            sum += (double)wait;
        }
        assert_true(most > bound / 10 * 9); /* full jitter: from 0 to the bound, evenly */
        assert_true(least < bound / 10);
        assert_true(sum / 2000 > (double)bound * 0.45 && sum / 2000 < (double)bound * 0.55);
    }
}

/* Every random number, the largest too, keeps to the bound. */
static void test_random_edges(void **state)
{
    static const uint64_t randoms[] = { 0, 1, 999, 1000, 1001, 0x7FFFFFFF, 0xFFFFFFFF, 0x100000000,
                                        INT64_MAX, UINT64_MAX - 1, UINT64_MAX };
    size_t i;
    uint32_t failures;
    (void)state;
    for (i = 0; i < COUNT_OF(randoms); i++)
        for (failures = 1; failures < 40; failures++) {
            vitp_backoff b = failed(failures, randoms[i]);
            assert_true(b.until_ns >= now);
            assert_true(b.until_ns - now <= (uint64_t)bound_ms(failures) * MS);
        }
}

static void test_is_due(void **state)
{
    vitp_backoff b = fresh();
    (void)state;
    vitp_backoff_fail(&b, 0, now, 700);
    assert_true(b.until_ns == now + 700u * (uint64_t)MS);
    assert_false(b.by_server);
    assert_false(vitp_backoff_is_due(&b, now, false));
    assert_false(vitp_backoff_is_due(&b, b.until_ns - 1, false));
    assert_true(vitp_backoff_is_due(&b, b.until_ns, false));
    assert_true(vitp_backoff_is_due(&b, b.until_ns + 1, false));
    assert_true(vitp_backoff_is_due(&b, now, true)); /* a flush does not wait for our own bound */
}

static void test_succeed(void **state)
{
    vitp_backoff b = failed(20, 12345);
    (void)state;
    vitp_backoff_fail(&b, 60, now, 0);
    vitp_backoff_succeed(&b, now);
    assert_true(vitp_backoff_is_due(&b, 0, false));
    assert_false(b.by_server);
    vitp_backoff_fail(&b, 0, now, UINT64_MAX);
    assert_true(b.until_ns - now <= 1000u * (uint64_t)MS); /* begins at 1 s again */
}

static void test_many_failures(void **state)
{
    vitp_backoff b = fresh();
    uint32_t     i;
    (void)state;
    for (i = 0; i < 100000; i++) vitp_backoff_fail(&b, 0, now, 899999);
    assert_true(b.until_ns == now + 899999u * (uint64_t)MS);
    assert_int_equal(b.failures, 100000); /* one more is seen by whoever waits */
}

static void test_server_wins(void **state)
{
    static const struct { uint32_t retry_after_s, wait_s; } rows[] = {
        { 1, 1 }, { 120, 120 }, { 3600, 3600 }, { DAY_S - 1, DAY_S - 1 }, { DAY_S, DAY_S },
        { DAY_S + 1, DAY_S }, { 0x7FFFFFFF, DAY_S }, { 0xFFFFFFFF, DAY_S },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        vitp_backoff b = failed((uint32_t)i * 3, 1);
        vitp_backoff_fail(&b, rows[i].retry_after_s, now, random_bits());
        assert_true(b.until_ns == now + rows[i].wait_s * (uint64_t)S);
        assert_true(b.by_server);
        assert_false(vitp_backoff_is_due(&b, b.until_ns - 1, false));
        assert_false(vitp_backoff_is_due(&b, b.until_ns - 1, true)); /* not by a hurry either */
        assert_true(vitp_backoff_is_due(&b, b.until_ns, true));
        assert_true(b.extra_ns <= 900u * (uint64_t)S); /* clients come back one by one */
        assert_true(b.extra_ns <= rows[i].wait_s * (uint64_t)S / 4u);
        assert_true(b.until_ns + b.extra_ns <= now + DAY_S * (uint64_t)S);
        assert_true(b.extra_ns == 0 ||
                    !vitp_backoff_is_due(&b, b.until_ns + b.extra_ns - 1, false));
        assert_true(vitp_backoff_is_due(&b, b.until_ns + b.extra_ns, false));
        vitp_backoff_fail(&b, 0, now, 10); /* the next failure is ours again */
        assert_false(b.by_server);
        assert_true(vitp_backoff_is_due(&b, now, true));
    }
}

/* A failure with Retry-After counts as one: the bound grows behind it. */
static void test_server_counts(void **state)
{
    vitp_backoff b = fresh();
    (void)state;
    vitp_backoff_fail(&b, 5, now, 0);
    vitp_backoff_fail(&b, 0, now, 1999);
    assert_true(b.until_ns == now + 1999u * (uint64_t)MS);
}

/* In any hour there are at most 120 failed requests, however much in a hurry somebody is. */
static void test_failures_an_hour(void **state)
{
    static uint64_t times[2000];
    vitp_backoff    b = fresh();
    uint64_t        at = now;
    size_t          count = 0, first = 0;
    (void)state;
    while (at < now + 8u * 3600u * (uint64_t)S) {
        if (!vitp_backoff_is_due(&b, at, true)) {
            assert_true(vitp_backoff_next_ns(&b, true) > at);
            at = vitp_backoff_next_ns(&b, true);
            continue;
        }
        vitp_backoff_count(&b, at);
        vitp_backoff_fail(&b, 0, at, random_bits());
        assert_true(count < COUNT_OF(times));
        times[count++] = at;
        while (times[first] + 3600u * (uint64_t)S <= at) first++;
        assert_true(count - first <= 120);
        at += random_bits() % (3u * (uint64_t)S);
    }
    assert_true(count > 8u * 55u); /* and not much less than one a minute in the long run */
}

/* What waits on disk is spread after an outage, and only then. */
static void test_spread(void **state)
{
    vitp_backoff b = failed(1, 0);
    uint64_t     at = now + VITP_BACKOFF_OUTAGE_NS - 1, left;
    (void)state;
    vitp_backoff_succeed(&b, at);
    vitp_backoff_spread(&b, 100, at, UINT64_MAX);
    assert_true(b.spool_ns == 0); /* a short one */
    b = failed(3, 0);
    vitp_backoff_succeed(&b, now + 600u * (uint64_t)S);
    assert_true(b.spread_ns == now + 1200u * (uint64_t)S); /* as long as it lasted */
    at = now + 3600u * (uint64_t)S;
    b = failed(20, 0);
    vitp_backoff_fail(&b, 0, at - 300u * (uint64_t)S, 0); /* it may be back for five minutes */
    vitp_backoff_succeed(&b, at);
    assert_true(b.spread_ns == at + VITP_BACKOFF_SPREAD_NS - 300u * (uint64_t)S);
    for (left = 100; left > 0; left--) {
        vitp_backoff_spread(&b, left, at, random_bits());
        assert_true(b.spool_ns >= at);
        assert_true(b.spool_ns <= at + (b.spread_ns - at) / left * 2u + 1u);
        assert_true(b.spool_ns <= b.spread_ns);
        at = b.spool_ns;
    }
    vitp_backoff_spread(&b, 0, now, UINT64_MAX); /* nothing is left */
    assert_true(b.spool_ns == 0);
    b = failed(1, 0);
    vitp_backoff_fail(&b, 3600, now, 0); /* it says when it will be back */
    vitp_backoff_succeed(&b, now + 3660u * (uint64_t)S);
    assert_true(b.spread_ns - (now + 3660u * (uint64_t)S) ==
                VITP_BACKOFF_SPREAD_NS - 60u * (uint64_t)S);
    b = failed(20, 0);
    vitp_backoff_succeed(&b, now + 86400u * 30u * (uint64_t)S);
    assert_true(b.spread_ns - (now + 86400u * 30u * (uint64_t)S) ==
                VITP_BACKOFF_SPREAD_NS - 900u * (uint64_t)S);
    vitp_backoff_spread(&b, 5, b.spread_ns, UINT64_MAX); /* its time is over */
    assert_true(b.spool_ns == 0);
}

/* ---- statuses -------------------------------------------------------------------------------- */

static vitp_outcome wanted_outcome(int status)
{
    switch (status) {
    case -1: return VITP_OUTCOME_PENDING;
    case 401: case 403: return VITP_OUTCOME_PAUSE;
    case 404: case 410: return VITP_OUTCOME_STOP;
    case 407: case 408: case 425: case 429: return VITP_OUTCOME_RETRY;
    default: break;
    }
    if (status >= 200 && status <= 299) return VITP_OUTCOME_DELIVERED;
    if (status >= 300 && status <= 399) return VITP_OUTCOME_STOP;
    if (status >= 400 && status <= 499) return VITP_OUTCOME_REJECTED;
    return VITP_OUTCOME_RETRY; /* no answer, 1xx, 5xx, and what is no status */
}

static void test_outcomes(void **state)
{
    static const int odd[] = { -2, -200, 600, 999, 1000, 2000, INT32_MAX, INT32_MIN };
    int    status;
    size_t i;
    (void)state;
    for (status = -1; status <= 599; status++)
        if (vitp_backoff_outcome(status) != wanted_outcome(status))
            fail_msg("status %d: outcome %d", status, (int)vitp_backoff_outcome(status));
    for (i = 0; i < COUNT_OF(odd); i++)
        assert_int_equal(vitp_backoff_outcome(odd[i]), VITP_OUTCOME_RETRY);
}

/* ---- Retry-After ----------------------------------------------------------------------------- */

#define NOV_1994 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

typedef struct after { const char *value; int64_t now_s; uint32_t want; } after;

static void assert_afters(const after *rows, size_t count)
{
    size_t i, wrong = 0;
    for (i = 0; i < count; i++) {
        uint32_t got = vit_retry_after(rows[i].value, rows[i].now_s);
        if (got == rows[i].want) continue;
        print_error("[%s] at %lld: %u, not %u\n", rows[i].value ? rows[i].value : "NULL",
                    (long long)rows[i].now_s, got, rows[i].want);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void test_after_seconds(void **state)
{
    static const after rows[] = {
        { NULL, 0, 0 }, { "", 0, 0 }, { " ", 0, 0 }, { "0", 0, 0 }, { "1", 0, 1 },
        { "120", 0, 120 },
        { "00120", 0, 120 }, { " 120", 0, 120 }, { "120 ", 0, 120 }, { "\t120\t ", 0, 120 },
        { "120\r\n", 0, 120 }, { "86399", 0, 86399 }, { "86400", 0, 86400 }, { "86401", 0, 86400 },
        { "864000", 0, 86400 }, { "4294967295", 0, 86400 }, { "4294967296", 0, 86400 },
        { "4294967297", 0, 86400 }, { "9223372036854775807", 0, 86400 },
        { "9223372036854775808", 0, 86400 }, { "18446744073709551617", 0, 86400 },
        { "99999999999999999999999999999999999999999999999999", 0, 86400 },
        { "000000000000000000000000000000000000000000000000007", 0, 7 },
        { "120", INT64_MAX, 120 }, { "120", INT64_MIN, 120 },
        { "-1", 0, 0 }, { "-99999999999999999999", 0, 0 }, { "+5", 0, 0 }, { "1.5", 0, 0 },
        { "5s", 0, 0 }, { "5 s", 0, 0 }, { "5, 6", 0, 0 }, { "5 6", 0, 0 }, { "0x10", 0, 0 },
        { "1e3", 0, 0 }, { "five", 0, 0 }, { ",", 0, 0 }, { ", ", 0, 0 }, { "- 5", 0, 0 },
    };
    (void)state;
    assert_afters(rows, COUNT_OF(rows));
}

static void test_after_dates(void **state)
{
    static const after rows[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994, 0 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 - 1, 1 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 - 60, 60 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 + 1, 0 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 - 86400, 86400 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 - 86401, 86400 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", 0, 86400 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", INT64_MAX, 0 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", NOV_1994 - 60, 60 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", NOV_1994 + 60, 0 },
        { "Sun Nov  6 08:49:37 1994", NOV_1994 - 60, 60 },
        { "Sun Nov  6 08:49:37 1994", NOV_1994 + 60, 0 },
        { "Wed Nov 16 08:49:37 1994", NOV_1994 + 10 * 86400 - 7, 7 },
        { "  Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 - 60, 60 },
        { "\tSun Nov  6 08:49:37 1994", NOV_1994 - 60, 60 },
        { "Sun, 06 Nov 1994 08:49:37 GMT ", NOV_1994 - 60, 60 },
        /* 1970 and before: past, or relative to a clock that is wrong */
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0, 0 }, { "Thu, 01 Jan 1970 00:00:01 GMT", 0, 1 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", -5, 5 }, { "Wed, 31 Dec 1969 23:59:59 GMT", -5, 4 },
        { "Wed, 31 Dec 1969 23:59:59 GMT", 0, 0 }, { "Thursday, 01-Jan-70 00:00:09 GMT", 0, 9 },
        { "Thu Jan  1 00:00:09 1970", 0, 9 },
        /* two digits of a year */
        { "Saturday, 01-Jan-00 00:00:10 GMT", 946684800, 10 },
        { "Friday, 31-Dec-99 23:59:59 GMT", 946684800 - 11, 10 },
        { "Thursday, 01-Jan-26 00:00:10 GMT", 1767225600, 10 },
        /* and a clock that is wrong by ages (by these bounds nothing overflows) */
        { "Sunday, 06-Nov-94 08:49:37 GMT", INT64_MAX, 0 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", INT64_MAX / 2, 0 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", INT64_MIN, 86400 },
        /* leap years: 1972, 2000, 2024 are; 1900 and 2100 are not */
        { "Tue, 29 Feb 1972 00:00:10 GMT", 68169600, 10 },
        { "Wed, 01 Mar 1972 00:00:10 GMT", 68256000, 10 },
        { "Tue, 29 Feb 2000 12:00:00 GMT", 951825600 - 3, 3 },
        { "Wed, 01 Mar 2000 00:00:00 GMT", 951868800 - 3, 3 },
        { "Thu, 29 Feb 2024 23:59:59 GMT", 1709251199 - 3, 3 },
        { "Fri, 01 Mar 2024 00:00:00 GMT", 1709251200 - 3, 3 },
        { "Sun, 28 Feb 2100 23:59:59 GMT", 4107542399 - 3, 3 },
        { "Mon, 01 Mar 2100 00:00:00 GMT", 4107542400 - 3, 3 },
        /* after 2038 and 2106 */
        { "Tue, 19 Jan 2038 03:14:08 GMT", 2147483648 - 9, 9 },
        { "Sun, 07 Feb 2106 06:28:16 GMT", 4294967296 - 9, 9 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 - 9, 9 },
        /* a leap second */
        { "Sat, 31 Dec 2016 23:59:60 GMT", 1483228799, 1 },
    };
    (void)state;
    assert_afters(rows, COUNT_OF(rows));
}

/* Each month, so that none is confused with another. */
static void test_after_months(void **state)
{
    static const char    names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    static const int32_t first_days[2][12] = {
        { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 },
        { 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335 },
    };
    char    text[128];
    int     year, month;
    int64_t begin_s = 0;
    (void)state;
    for (year = 1970; year < 2410; year++) {
        int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (month = 0; month < 12; month++) {
            int64_t want_s = begin_s + (first_days[leap][month] + 14) * (int64_t)DAY_S + 3661;
            snprintf(text, sizeof text, "Sun, 15 %s %04d 01:01:01 GMT", names[month], year);
            if (vit_retry_after(text, want_s - 77) != 77) fail_msg("%s", text);
            snprintf(text, sizeof text, "Sun %s 15 01:01:01 %04d", names[month], year);
            if (vit_retry_after(text, want_s - 78) != 78) fail_msg("%s", text);
        }
        begin_s += (365 + leap) * (int64_t)DAY_S;
    }
}

static void test_after_malformed(void **state)
{
    static const after rows[] = {
        { "Sun", 0, 0 }, { "Sun,", 0, 0 }, { "Sun, ", 0, 0 }, { "Sun, 06", 0, 0 },
        { "Sun, 06 Nov", 0, 0 }, { "Sun, 06 Nov 1994", 0, 0 }, { "Sun, 06 Nov 1994 08:49", 0, 0 },
        { "Sun, 06 Nov 1994 08:49:3", 0, 0 }, { "Sun, 6 Nov 1994 08:49:37 GMT", 0, 0 },
        { "Sun, 06 nov 1994 08:49:37 GMT", 0, 0 }, { "Sun, 06 Foo 1994 08:49:37 GMT", 0, 0 },
        { "Sun, 00 Nov 1994 08:49:37 GMT", 0, 0 }, { "Sun, 32 Nov 1994 08:49:37 GMT", 0, 0 },
        { "Sun, 06 Nov 1994 24:00:00 GMT", 0, 0 }, { "Sun, 06 Nov 1994 08:60:37 GMT", 0, 0 },
        { "Sun, 06 Nov 1994 08:49:61 GMT", 0, 0 }, { "Sun, 06 Nov 1994 08.49.37 GMT", 0, 0 },
        { "Sun, 06 Nov -994 08:49:37 GMT", 0, 0 }, { "Sun, 0x Nov 1994 08:49:37 GMT", 0, 0 },
        { "Sun Nov  6", 0, 0 }, { "Sun Nov  6 08:49:37", 0, 0 }, { "Sun Nov  6 08:49:37 19", 0, 0 },
        { "Sun Nov  x 08:49:37 1994", 0, 0 }, { "Sun Foo  6 08:49:37 1994", 0, 0 },
        { "Sun Nov  0 08:49:37 1994", 0, 0 }, { "1994-11-06T08:49:37Z", 0, 0 },
        { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0, 0 },
        { ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", 0, 0 },
    };
    (void)state;
    assert_afters(rows, COUNT_OF(rows));
}

/* A date that is not GMT, or that goes on with something else, is malformed. */
static void test_after_tail(void **state)
{
    static const after rows[] = {
        { "Sun, 06 Nov 1994 08:49:37", 0, 0 }, { "Sun, 06 Nov 1994 08:49:37 PST", 0, 0 },
        { "Sun, 06 Nov 1994 08:49:37 +0200", 0, 0 }, { "Sun, 06 Nov 1994 08:49:37 GMTx", 0, 0 },
        { "Sun, 06 Nov 1994 08:49:377 GMT", 0, 0 }, { "Sunday, 06-Nov-94 08:49:37", 0, 0 },
        { "Sun Nov  6 08:49:37 19945", 0, 0 }, { "Sun Nov  6 08:49:37 1994 x", 0, 0 },
    };
    (void)state;
    assert_afters(rows, COUNT_OF(rows));
}

/* A day that its month does not have. */
static void test_after_no_such_day(void **state)
{
    static const after rows[] = {
        { "Sun, 31 Nov 1994 08:49:37 GMT", 0, 0 }, { "Wed, 30 Feb 2000 08:49:37 GMT", 0, 0 },
        { "Mon, 29 Feb 2100 08:49:37 GMT", 0, 0 }, { "Wed, 29 Feb 2023 08:49:37 GMT", 0, 0 },
    };
    (void)state;
    assert_afters(rows, COUNT_OF(rows));
}

/* RFC 9110, 5.6.7: a year of two digits more than 50 years ahead is the most recent past one. */
static void test_after_two_digits(void **state)
{
    static const after rows[] = {
        { "Friday, 01-Jan-71 00:00:10 GMT", 1767225600, 86400 }, /* 2026: 2071 is 45 years ahead */
        { "Friday, 01-Jan-82 00:00:10 GMT", 1767225600, 0 },     /* 2082 is 56 years ahead: 1982 */
        { "Friday, 01-Jan-05 00:00:10 GMT", 2524608000, 0 },     /* 2050: 2005 is past */
        { "Saturday, 01-Jan-71 00:00:10 GMT", 3187296000, 10 },  /* 2071 */
    };
    (void)state;
    assert_afters(rows, COUNT_OF(rows));
}

/* A clock at the end of its range: the difference must not overflow. */
static void test_after_clock(void **state)
{
    static const after rows[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", INT64_MIN, 86400 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", INT64_MIN, 86400 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", INT64_MAX, 0 },
    };
    (void)state;
    assert_afters(rows, COUNT_OF(rows));
}

/* Every prefix and every single wrong byte of the three forms: no read beyond the text's end, which
   stands at the end of its memory, and never more than a day. */
static void test_after_damaged(void **state)
{
    static const char *const forms[] = { "Sun, 06 Nov 1994 08:49:37 GMT",
                                         "Sunday, 06-Nov-94 08:49:37 GMT",
                                         "Sun Nov  6 08:49:37 1994", "86400" };
    size_t   i, n, at;
    unsigned c;
    (void)state;
    for (i = 0; i < COUNT_OF(forms); i++)
        for (n = 0; n <= strlen(forms[i]); n++) {
            char *text = (char *)malloc(n + 1);
            assert_non_null(text);
            memcpy(text, forms[i], n);
            text[n] = 0;
            assert_true(vit_retry_after(text, 0) <= DAY_S);
            for (at = 0; at < n; at++)
                for (c = 0; c < 256; c++) {
                    text[at] = (char)c;
                    assert_true(vit_retry_after(text, 0) <= DAY_S);
                    text[at] = forms[i][at];
                }
            free(text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_is_due),      cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_random_edges),      cmocka_unit_test(test_is_due),
        cmocka_unit_test(test_succeed),           cmocka_unit_test(test_many_failures),
        cmocka_unit_test(test_server_wins),       cmocka_unit_test(test_server_counts),
        cmocka_unit_test(test_failures_an_hour),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_outcomes),          cmocka_unit_test(test_after_seconds),
        cmocka_unit_test(test_after_dates),       cmocka_unit_test(test_after_months),
        cmocka_unit_test(test_after_malformed),   cmocka_unit_test(test_after_tail),
        cmocka_unit_test(test_after_no_such_day), cmocka_unit_test(test_after_two_digits),
        cmocka_unit_test(test_after_clock),       cmocka_unit_test(test_after_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
