/* web_load.c: a program for tests/test_web.py: records N events, so many a second, and sees that
   they are delivered.

       build/tests/web_load URL N PER_SECOND [SEED]

   Kinds: load.query (outcome and duration), query.executed (a quarter of them), Error (of five
   hashes, each half as frequent as the one before). What is sampled out is not one of the N. */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "../examples/http.c"

#include <stdio.h>
#include <stdlib.h>

#define LOAD_QUERY(X) X(VIT_LABEL, db_type) X(VIT_FLAG, success) X(VIT_MS, duration_ms)
VIT_EVENT_DECLARE(load_query, LOAD_QUERY);
VIT_EVENT_DEFINE(load_query, "load.query", 1.0, LOAD_QUERY)

static uint64_t load_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Many are short, a few take seconds. */
static int64_t load_duration(uint64_t *state)
{
    uint64_t most = UINT64_C(8) << load_random(state) % 10;
    return (int64_t)(load_random(state) % most);
}

static vit_status load_error(vit_client *t, uint64_t *state)
{
    static const char *const types[] = { "TimeoutError", "IOError", "ParseError", "OSError",
                                         "RareError" };
    vit_error_event          e = { 0 };
    unsigned                 kind = 0;
    while (kind < 4 && load_random(state) % 2) kind++;
    e.exception_type = types[kind];
    e.message = "it did not work";
    return vit_track_error_event(t, &e);
}

static vit_status load_one(vit_client *t, uint64_t *state)
{
    uint64_t kind = load_random(state) % 10;
    if (kind == 0) return load_error(t, state);
    if (kind < 4) {
        vit_query_executed e = { .latency_ms = load_duration(state), .success = kind != 3 };
        return vit_track_query_executed(t, &e);
    } else {
        vit_load_query e = { .db_type = kind & 1 ? "chroma" : "qdrant" };
        e.success = load_random(state) % 8 != 0;
        e.duration_ms = load_duration(state);
        return vit_track_load_query(t, &e);
    }
}

static void load_wait_until(const struct timespec *start, double seconds)
{
    struct timespec until = *start;
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (until.tv_nsec >= 1000000000L) until.tv_nsec -= 1000000000L, until.tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

int main(int argc, char **argv)
{
    vit_options     options = { 0 };
    vit_client     *t;
    struct timespec start;
    long            count, stored = 0;
    double          per_second;
    uint64_t        state;
    bool            all;
    if (argc < 4) return 2;
    count = strtol(argv[2], NULL, 10);
    per_second = strtod(argv[3], NULL);
    state = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    options.endpoint = argv[1];
    options.app_version = "1.0.0";
    options.client_type = "web-load";
    options.data_dir = "";
    options.consent = VIT_CONSENT_GRANTED;
    options.wire = VIT_WIRE_NDJSON;
    options.sampling = VIT_SAMPLE_FLOW;
    options.allow_in_ci = true;
    options.flush_ms = 50;
    options.queue_bytes = 8u << 20;
    options.transport.send_fn = http_send;
    t = vit_create(&options);
    vit_set_rate(t, "query.executed", 0.25);
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (stored < count) {
        vit_status status = load_one(t, &state);
        if (status == VIT_SAMPLED_OUT) continue;
        if (status != VIT_OK) break;
        load_wait_until(&start, (double)++stored / per_second);
    }
    all = vit_destroy(t, 20000) && stored == count;
    printf("%ld events recorded, %s\n", stored, all ? "all delivered" : "not all delivered");
    return all ? 0 : 1;
}
