/* fleet.c: many clients, and a server that is away for an hour. Time is virtual.

       fleet [N [SEED [HOURS]]]      N simulated clients (10000, 1, 5 hours) in each scenario
       fleet real [N [SEED [HOURS]]] N clients of the header itself (20) beside the simulated ones

   A simulated client is what the consumer of the header does about time: it rests, prepares, sends
   and takes the answer by the header's own vitp_backoff_*, with counts in the place of records. It
   mirrors vitp_worker_rest_ms, _prepare, _answered, _save, _delivered and vitp_batch_next; how well
   is what `fleet real` shows, where each client is a vit_client that is pumped at the same times.

   Clients record events as Poisson processes, by four rates with a mean of one a minute. Six of ten
   run all the time, the others for an hour and pause for an hour on average: a start sends at once
   what is on the disk, an end has two seconds for what waits. Clients know nothing of each other,
   so that one after the other is simulated, and requests are counted by seconds.

   The goal: when the server is back, no second has more than three times the requests of the time
   before, and within two hours from the beginning of the outage everything has arrived, of a
   program that was ended meanwhile within a minute of its next start or of a Retry-After. Exit
   status 0: met in each scenario. Lines for charts go to build/bench/fleet.tsv, charts to
   build/bench/fleet.svg. */

static unsigned long long fleet_clock_ns(int clock);
#define VITP_OS_CLOCK_NS(clock) fleet_clock_ns((int)(clock))
#define nanosleep               fleet_nanosleep /* sleeping passes virtual time */
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <ftw.h>
#include <math.h>
#include <sys/stat.h>

#define SECOND    UINT64_C(1000000000)
#define MINUTE    (60u * SECOND)
#define HOUR      (3600u * SECOND)
#define WALL      (UINT64_C(1800000000) * SECOND)
#define FLUSH_MS  5000u
#define END_MS    2000u /* of vit_destroy */
#define AWAY      HOUR  /* the outage begins */
#define BACK      (2u * HOUR)
#define BUCKET_S  10u /* a point of the chart */
#define FAILS_MAX 120u

/* ---- scenarios ------------------------------------------------------------------------------- */

typedef struct scenario {
    const char *name;
    vit_wire    wire;
    uint32_t    batch;
    int         status;        /* while the server is away; 0: no answer */
    uint32_t    retry_after_s; /* that it says */
    bool        until_back;    /* it says how long it will be away */
} scenario;

static const scenario scenarios[] = {
    { "EVENT, 503", VIT_WIRE_EVENT, 1, 503, 0, false },
    { "EVENT, no answer", VIT_WIRE_EVENT, 1, 0, 0, false },
    { "NDJSON in batches, 503", VIT_WIRE_NDJSON, 100, 503, 0, false },
    { "EVENT, 503, Retry-After: 600", VIT_WIRE_EVENT, 1, 503, 600, false },
    { "EVENT, 503, Retry-After: <end of the outage>", VIT_WIRE_EVENT, 1, 503, 0, true },
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

/* ---- random numbers: SplitMix64, a stream for each purpose and client ------------------------ */

typedef struct stream {
    uint64_t state;
} stream;

static uint64_t draw(stream *s)
{
    uint64_t x = s->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static stream stream_of(uint64_t seed, uint64_t client, uint64_t purpose)
{
    stream s;
    s.state = seed * 1000003u + client * 7919u + purpose * UINT64_C(0x632BE59BD9B4E019);
    (void)draw(&s);
    return s;
}

static double draw_unit(stream *s) { return (double)(draw(s) >> 11) / 9007199254740992.0; }

/* Exponential, in nanoseconds. */
static uint64_t draw_wait(stream *s, double mean_s)
{
    return (uint64_t)(-log(1.0 - draw_unit(s)) * mean_s * 1e9) + 1u;
}

/* ---- what is counted ------------------------------------------------------------------------- */

typedef struct numbers {
    uint64_t *at;
    size_t    count, capacity;
} numbers;

static void numbers_add(numbers *n, uint64_t value)
{
    if (n->count == n->capacity) {
        n->capacity = n->capacity ? n->capacity * 2 : 64;
        n->at = (uint64_t *)realloc(n->at, n->capacity * sizeof *n->at);
        if (!n->at) abort();
    }
    n->at[n->count++] = value;
}

typedef struct tally {
    uint32_t *good, *failed; /* requests of each second */
    uint64_t  requests, failures, bytes, recorded, delivered;
    uint64_t  waits;       /* that were recorded before the server was back, and have not arrived */
    uint64_t  waits_ended; /* of those, where the program does not run in the end */
    uint32_t  failures_most;  /* of a client in any hour */
    uint64_t  last_ns;        /* when the last of the others had arrived, where programs ran */
    uint64_t  after_start_ns; /* where they did not: the longest from the start on */
    numbers   delays;         /* of what was recorded while the server was away */
} tally;

/* ---- one client, simulated or real ----------------------------------------------------------- */

typedef struct client client;

/* The two kinds of clients. wake does what the consumer does when it wakes, and says when it does
   so next. */
typedef struct kind {
    void (*start)(client *c);
    void (*record)(client *c);
    bool (*step)(client *c);           /* true: look again at once */
    uint64_t (*rest)(const client *c); /* ns */
    bool (*is_idle)(const client *c);
    void (*end)(client *c);
} kind;

/* Times of records, first in, first out. */
typedef struct fifo {
    numbers n;
    size_t  head;
} fifo;

static size_t fifo_size(const fifo *f) { return f->n.count - f->head; }

static uint64_t fifo_pop(fifo *f)
{
    uint64_t value = f->n.at[f->head++];
    if (f->head == f->n.count) f->head = f->n.count = 0;
    return value;
}

struct client {
    const scenario *s;
    tally          *t;
    uint64_t        seed, number, stop_ns;
    stream          arrivals, sessions, answers, jitter;
    double          mean_s; /* between two events */
    bool            stays;  /* never ends */
    bool            runs;
    uint64_t        start_ns, arrival_ns, switch_ns, wake_ns;
    numbers         failures; /* their times */
    /* simulated */
    vitp_backoff backoff;
    fifo         queue, spool, units; /* units: records of each batch in the spool */
    size_t       ready;               /* records of the batch that is retried */
    bool         ready_spooled, hurry;
    uint64_t     batches, batched; /* of the spool, in this run, and their records */
    /* real */
    vit_client *real;
    numbers     recorded; /* by number */
    char        folder[64];
    const kind *k;
};

static uint64_t now_ns; /* virtual, of the client that is simulated now */

static unsigned long long fleet_clock_ns(int clock)
{
    return (clock == CLOCK_REALTIME ? WALL : SECOND) + now_ns;
}

int fleet_nanosleep(const struct timespec *wait, struct timespec *left)
{
    (void)left;
    now_ns += (uint64_t)wait->tv_sec * SECOND + (uint64_t)wait->tv_nsec;
    return 0;
}

static bool is_away(void) { return now_ns >= AWAY && now_ns < BACK; }

/* One request: counts it, passes its time, and says what the server answers. */
static vit_response request(client *c, size_t bytes)
{
    const scenario *s = c->s;
    vit_response    answer = { 200, 0 };
    uint64_t        second = now_ns / SECOND, took = (20u + draw(&c->answers) % 100u) * VITP_MS;
    c->t->requests++;
    c->t->bytes += bytes;
    if (is_away()) {
        answer.http_status = s->status;
        answer.retry_after_s =
            s->until_back ? (uint32_t)((BACK - now_ns) / SECOND) + 1u : s->retry_after_s;
        if (s->status == 0) took = 5000u * (uint64_t)VITP_MS;
        c->t->failures++;
        numbers_add(&c->failures, now_ns);
    }
    if (now_ns < c->stop_ns) (answer.http_status == 200 ? c->t->good : c->t->failed)[second]++;
    now_ns += took;
    return answer;
}

/* An event has arrived. */
static void arrived(client *c, uint64_t recorded_ns)
{
    tally *t = c->t;
    t->delivered++;
    if (recorded_ns >= BACK) return;
    if (recorded_ns >= AWAY) numbers_add(&t->delays, now_ns - recorded_ns);
    if (c->start_ns < BACK && now_ns > t->last_ns) t->last_ns = now_ns;
    if (c->start_ns >= BACK && now_ns - c->start_ns > t->after_start_ns)
        t->after_start_ns = now_ns - c->start_ns;
}

/* ---- simulated ------------------------------------------------------------------------------- */

static size_t event_bytes; /* of a body with one event */

static void sim_start(client *c)
{
    bool     by_server = c->backoff.by_server; /* Retry-After holds for the next start */
    uint64_t until_ns = c->backoff.until_ns;
    memset(&c->backoff, 0, sizeof c->backoff);
    c->batches = c->batched = 0;
    if (by_server && until_ns > now_ns)
        vitp_backoff_obey(&c->backoff, (uint32_t)((until_ns - now_ns) / SECOND), now_ns,
                          draw(&c->jitter));
}

static void sim_note_batch(client *c, size_t records)
{
    c->batches++;
    c->batched += records;
}

static void sim_record(client *c) { numbers_add(&c->queue.n, now_ns); }

/* The queue goes into the spool, the batch that is retried first and as it was. */
static void sim_save(client *c, bool all)
{
    size_t left = fifo_size(&c->queue), n;
    if (left == 0) return;
    if (!all && now_ns < c->queue.n.at[c->queue.head] + FLUSH_MS * (uint64_t)VITP_MS) return;
    while (left > 0) {
        n = left < c->s->batch ? left : c->s->batch;
        if (c->ready > 0 && !c->ready_spooled) n = c->ready;
        c->ready = 0;
        numbers_add(&c->units.n, n);
        sim_note_batch(c, n);
        for (left -= n; n > 0; n--) numbers_add(&c->spool.n, fifo_pop(&c->queue));
    }
}

/* True: there is a batch to send now. */
static bool sim_next(client *c)
{
    size_t waiting = fifo_size(&c->queue);
    if ((c->hurry || now_ns >= c->backoff.spool_ns) && fifo_size(&c->units) > 0) {
        c->ready = c->units.n.at[c->units.head];
        c->ready_spooled = true;
        return true;
    }
    if (waiting == 0) c->hurry = false;
    if (waiting == 0) return false;
    if (waiting < c->s->batch && !c->hurry &&
        now_ns < c->queue.n.at[c->queue.head] + FLUSH_MS * (uint64_t)VITP_MS)
        return false;
    c->ready = waiting < c->s->batch ? waiting : c->s->batch;
    c->ready_spooled = false;
    return true;
}

static uint64_t sim_requests(const client *c)
{
    uint64_t records = fifo_size(&c->spool);
    return (c->batched > 0 ? records * c->batches / c->batched : records) + 1u;
}

static void sim_delivered(client *c)
{
    fifo *from = c->ready_spooled ? &c->spool : &c->queue;
    if (c->ready_spooled) sim_note_batch(c, (size_t)fifo_pop(&c->units));
    for (; c->ready > 0; c->ready--) arrived(c, fifo_pop(from));
    vitp_backoff_succeed(&c->backoff, now_ns);
    vitp_backoff_spread(&c->backoff, sim_requests(c), now_ns, draw(&c->jitter));
}

static bool sim_step(client *c)
{
    vit_response answer;
    uint64_t     oldest_ns;
    if (!vitp_backoff_is_due(&c->backoff, now_ns, c->hurry)) {
        sim_save(c, false);
        return false;
    }
    if (c->ready == 0 && !sim_next(c)) return false;
    oldest_ns = (c->ready_spooled ? &c->spool : &c->queue)
                    ->n.at[(c->ready_spooled ? &c->spool : &c->queue)->head];
    answer = request(c, c->ready * (event_bytes + (now_ns - oldest_ns > MINUTE ? 14u : 0u)));
    if (answer.http_status == 200) {
        sim_delivered(c);
        return true;
    }
    vitp_backoff_count(&c->backoff, now_ns);
    vitp_backoff_fail(&c->backoff, answer.retry_after_s, now_ns, draw(&c->jitter));
    c->hurry = false;
    sim_save(c, false);
    return false;
}

static uint64_t sim_until(uint64_t then_ns)
{
    return then_ns > now_ns ? (then_ns - now_ns) / VITP_MS + 1u : 1u;
}

static uint64_t sim_rest(const client *c)
{
    uint64_t ms = FLUSH_MS;
    if (!vitp_backoff_is_due(&c->backoff, now_ns, c->hurry))
        ms = sim_until(vitp_backoff_next_ns(&c->backoff, c->hurry));
    else if (fifo_size(&c->queue) > 0)
        ms = sim_until(c->queue.n.at[c->queue.head] + FLUSH_MS * (uint64_t)VITP_MS);
    if (fifo_size(&c->spool) > 0 && c->backoff.failures == 0 && sim_until(c->backoff.spool_ns) < ms)
        ms = sim_until(c->backoff.spool_ns);
    return (ms < FLUSH_MS ? ms : FLUSH_MS) * VITP_MS;
}

static bool sim_is_idle(const client *c)
{
    return fifo_size(&c->queue) == 0 && fifo_size(&c->spool) == 0;
}

/* vit_destroy: sends without waiting until a request fails; the rest goes to the disk. */
static void sim_end(client *c)
{
    uint64_t deadline_ns = now_ns + END_MS * (uint64_t)VITP_MS;
    uint32_t failures = c->backoff.failures;
    c->hurry = true;
    while (!sim_is_idle(c) && now_ns < deadline_ns && c->backoff.failures <= failures)
        if (!sim_step(c)) now_ns += 5u * VITP_MS;
    c->ready = c->ready_spooled ? 0 : c->ready;
    sim_save(c, true);
    c->hurry = false;
}

static const kind simulated = { sim_start, sim_record, sim_step, sim_rest, sim_is_idle, sim_end };

/* ---- real ------------------------------------------------------------------------------------ */

static const char *next_number(const char *at, const char *end, size_t *number)
{
    static const char before[] = "\"feature_name\":\"e";
    for (; at + sizeof before < end; at++) {
        if (memcmp(at, before, sizeof before - 1) != 0) continue;
        *number = strtoul(at + sizeof before - 1, NULL, 10);
        return at + sizeof before - 1;
    }
    return NULL;
}

static vit_response real_send(const vit_request *r, void *user)
{
    client      *c = (client *)user;
    vit_response answer = request(c, r->body_size);
    const char  *at = r->body, *end = r->body + r->body_size;
    size_t       number;
    if (answer.http_status != 200) return answer;
    while ((at = next_number(at, end, &number)) != NULL)
        if (number < c->recorded.count) arrived(c, c->recorded.at[number]);
    return answer;
}

static vit_options real_options(client *c)
{
    vit_options o;
    memset(&o, 0, sizeof o);
    o.endpoint = "http://127.0.0.1:9/fleet";
    o.app_version = "1.2.3";
    o.data_dir = c->folder;
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.no_thread = true;
    o.queue_bytes = 65536;
    o.flush_ms = FLUSH_MS;
    o.wire = c->s->wire;
    o.batch_events = c->s->batch;
    o.transport.send_fn = real_send;
    o.transport.user = c;
    return o;
}

static void real_start(client *c)
{
    vit_options o = real_options(c);
    c->real = vit_create(&o);
    if (!c->real || vit_get_consent(c->real, NULL) != VIT_CONSENT_GRANTED) {
        fputs("fleet: no client, or telemetry is refused on this machine\n", stderr);
        exit(2);
    }
}

static void real_record(client *c)
{
    vit_feature_toggled e;
    char                name[24];
    memset(&e, 0, sizeof e);
    snprintf(name, sizeof name, "e%lu", (unsigned long)c->recorded.count);
    e.feature_name = name;
    numbers_add(&c->recorded, now_ns);
    if (vit_track_feature_toggled(c->real, &e) != VIT_OK) abort();
}

static bool real_step(client *c) { return vit_pump(c->real); }

static uint64_t real_rest(const client *c)
{
    return vitp_worker_rest_ms(c->real) * (uint64_t)VITP_MS;
}

static bool real_is_idle(const client *c)
{
    vit_stats s = vit_get_stats(c->real);
    return s.queued == 0 && s.spooled == 0;
}

static void real_end(client *c)
{
    vit_stats s = vit_get_stats(c->real);
    uint64_t  dropped = 0;
    size_t    i;
    for (i = 0; i < VIT_DROP_COUNT; i++) dropped += s.dropped[i];
    if (s.accepted + s.adopted != s.delivered + s.queued + s.spooled + s.handed_over + dropped ||
        dropped > 0 || !vit_destroy(c->real, END_MS)) {
        fputs("fleet: a client's books are wrong\n", stderr);
        exit(2);
    }
}

static const kind real = { real_start, real_record, real_step, real_rest, real_is_idle, real_end };

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s, (void)type, (void)f;
    return remove(path);
}

/* What one event takes: a real client's. */
static void measure_line(const char *json, size_t size, void *user)
{
    (void)json, (void)user;
    event_bytes = size;
}

static void measure_event(void)
{
    static client c;
    c.s = &scenarios[0];
    real_start(&c); /* folder "": in memory */
    while (c.recorded.count < 11) real_record(&c);
    (void)vit_export(c.real, measure_line, NULL);
    (void)vit_destroy(c.real, 0);
}

/* ---- a client's life ------------------------------------------------------------------------- */

/* Events whose time has come are recorded at their time. */
static void record_until(client *c, uint64_t until_ns)
{
    uint64_t back_ns = now_ns;
    while (c->arrival_ns <= until_ns) {
        now_ns = c->arrival_ns;
        if (c->k->is_idle(c) && c->wake_ns < now_ns) /* looks that found nothing are skipped */
            c->wake_ns += (now_ns - c->wake_ns + FLUSH_MS * (uint64_t)VITP_MS - 1u) /
                          (FLUSH_MS * (uint64_t)VITP_MS) * (FLUSH_MS * (uint64_t)VITP_MS);
        c->k->record(c);
        c->t->recorded++;
        c->arrival_ns += draw_wait(&c->arrivals, c->mean_s);
    }
    now_ns = back_ns;
}

static void wake(client *c)
{
    while (c->k->step(c)) record_until(c, now_ns);
    record_until(c, now_ns);
    c->wake_ns = now_ns + c->k->rest(c);
}

static void start(client *c)
{
    c->runs = true;
    c->start_ns = c->wake_ns = now_ns;
    c->arrival_ns = now_ns + draw_wait(&c->arrivals, c->mean_s);
    c->switch_ns = c->stays ? c->stop_ns : now_ns + draw_wait(&c->sessions, 3600.0);
    c->k->start(c);
}

static void end(client *c)
{
    c->k->end(c);
    c->runs = false;
    c->switch_ns = now_ns + draw_wait(&c->sessions, 3600.0);
}

static void run(client *c)
{
    while (c->runs && now_ns < c->stop_ns) {
        uint64_t wake_ns = c->wake_ns;
        if (c->k->is_idle(c) && c->arrival_ns > wake_ns) wake_ns = c->arrival_ns;
        if (wake_ns >= c->switch_ns) {
            record_until(c, c->switch_ns);
            if (now_ns < c->switch_ns) now_ns = c->switch_ns;
            if (now_ns < c->stop_ns) end(c);
        } else {
            record_until(c, wake_ns);
            if (c->wake_ns > c->switch_ns) continue;
            if (now_ns < c->wake_ns) now_ns = c->wake_ns;
            wake(c);
        }
    }
}

static void count_failures(client *c)
{
    size_t i, first = 0;
    for (i = 0; i < c->failures.count; i++) {
        while (c->failures.at[first] + HOUR <= c->failures.at[i]) first++;
        if (i - first + 1 > c->t->failures_most) c->t->failures_most = (uint32_t)(i - first + 1);
    }
}

static void count_waiting(client *c, const fifo *f)
{
    size_t i;
    for (i = f->head; i < f->n.count; i++) {
        if (f->n.at[i] >= BACK) continue;
        c->t->waits++;
        c->t->waits_ended += !c->runs;
    }
}

/* Ten minutes for the beginning: nobody starts in step with others. */
static void live(client *c)
{
    static const double means_s[10] = { 15, 40, 40, 100, 100, 100, 100, 300, 300, 300 };
    c->arrivals = stream_of(c->seed, c->number, 1);
    c->sessions = stream_of(c->seed, c->number, 2);
    c->answers = stream_of(c->seed, c->number, 3);
    c->jitter = stream_of(c->seed, c->number, 4);
    c->mean_s = means_s[draw(&c->sessions) % 10u];
    c->stays = draw(&c->sessions) % 10u < 6u;
    now_ns = (uint64_t)(draw_unit(&c->sessions) * 600e9);
    if (c->stays || draw(&c->sessions) % 2u) start(c);
    else c->switch_ns = now_ns + draw_wait(&c->sessions, 3600.0);
    while (now_ns < c->stop_ns) {
        if (!c->runs) {
            if (c->switch_ns >= c->stop_ns) break;
            if (now_ns < c->switch_ns) now_ns = c->switch_ns;
            start(c);
        }
        run(c);
    }
    if (c->runs && c->real) (void)vit_destroy(c->real, 0);
    count_failures(c);
    count_waiting(c, &c->queue);
    count_waiting(c, &c->spool);
    free(c->queue.n.at), free(c->spool.n.at), free(c->units.n.at);
    free(c->failures.at), free(c->recorded.at);
}

/* ---- a fleet --------------------------------------------------------------------------------- */

typedef struct order {
    size_t   n, hours;
    uint64_t seed;
} order;

static tally tally_make(const order *o)
{
    tally t;
    memset(&t, 0, sizeof t);
    t.good = (uint32_t *)calloc(o->hours * 3600u + 1u, sizeof *t.good);
    t.failed = (uint32_t *)calloc(o->hours * 3600u + 1u, sizeof *t.failed);
    if (!t.good || !t.failed) abort();
    return t;
}

static void tally_free(tally *t) { free(t->good), free(t->failed), free(t->delays.at); }

static tally fleet(const order *o, const scenario *s, const kind *k)
{
    tally  t = tally_make(o);
    size_t i;
    for (i = 0; i < o->n; i++) {
        client c;
        memset(&c, 0, sizeof c);
        c.s = s;
        c.t = &t;
        c.k = k;
        c.seed = o->seed;
        c.number = i;
        c.stop_ns = o->hours * HOUR;
        if (k == &real) {
            snprintf(c.folder, sizeof c.folder, "build/bench/fleet-XXXXXX");
            if (!mkdtemp(c.folder)) abort();
        }
        live(&c);
        if (k == &real) (void)nftw(c.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    return t;
}

typedef struct rate {
    double   mean;
    uint32_t peak;
} rate;

static rate rate_of(const uint32_t *seconds, size_t from, size_t to)
{
    rate   r = { 0, 0 };
    size_t i;
    for (i = from; i < to; i++) {
        r.mean += seconds[i];
        if (seconds[i] > r.peak) r.peak = seconds[i];
    }
    r.mean /= (double)(to - from);
    return r;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;
    return (*x > *y) - (*x < *y);
}

/* In minutes. */
static double delay_at(tally *t, double share)
{
    if (t->delays.count == 0) return 0;
    qsort(t->delays.at, t->delays.count, sizeof *t->delays.at, by_value);
    return (double)t->delays.at[(size_t)((double)(t->delays.count - 1) * share)] / 60e9;
}

static void print_rate(const char *what, rate r, double steady)
{
    printf("  %-34s %9.1f %8lu %8.2f\n", what, r.mean, (unsigned long)r.peak,
           (double)r.peak / steady);
}

static double minutes(uint64_t ns) { return (double)ns / 60e9; }

/* True: the goal is met. The peak of a small fleet is that of one client, and where the server says
   when to come back it is the server's: these are printed, but not judged. */
static bool report(const order *o, const scenario *s, tally *t)
{
    size_t back = BACK / SECOND, later = back + 5400u, stop = o->hours * 3600u;
    rate   before = rate_of(t->good, 1800, AWAY / SECOND), after = rate_of(t->good, back, stop);
    double most = 3.0 * before.mean;
    bool   judged = before.mean >= 100.0 && s->retry_after_s == 0 && !s->until_back;
    bool   even, whole;
    printf("\n%s\n  %-34s %9s %8s %8s\n", s->name, "requests a second", "mean", "peak", "ratio");
    print_rate("before", before, before.mean);
    print_rate("while the server is away (failed)", rate_of(t->failed, AWAY / SECOND, back),
               before.mean);
    print_rate("an hour and a half after it", rate_of(t->good, back, later), before.mean);
    print_rate("later", rate_of(t->good, later, stop), before.mean);
    printf("  failed requests: %.1f a client, at most %lu of a client in an hour\n",
           (double)t->failures / (double)o->n, (unsigned long)t->failures_most);
    printf("  %lu events, %lu requests, %.1f MB; %.3f %% delivered\n", (unsigned long)t->recorded,
           (unsigned long)t->requests, (double)t->bytes / 1e6,
           100.0 * (double)t->delivered / (double)t->recorded);
    printf("  recorded while it was away: arrived after %.1f min (half), %.1f min (99 %%)\n",
           delay_at(t, 0.5), delay_at(t, 0.99));
    printf("  the last where programs ran: %.1f min from the beginning, %.1f min from the end\n",
           minutes(t->last_ns - AWAY), minutes(t->last_ns - BACK));
    printf("  where they were ended: at most %.2f min after the next start; %lu wait for one\n",
           minutes(t->after_start_ns), (unsigned long)t->waits_ended);
    even = !judged || (double)after.peak <= most;
    whole = t->waits == t->waits_ended && t->last_ns <= AWAY + 2u * HOUR &&
            t->after_start_ns <= MINUTE + s->retry_after_s * SECOND / 4u * 5u;
    printf("  goal: peak %.2f of the steady rate (3%s): %s; all there in two hours: %s;"
           " 120 failures an hour: %s\n",
           (double)after.peak / before.mean, judged ? "" : ", not judged here",
           !even     ? "MISSED"
           : !judged ? "-"
                     : "met",
           whole ? "met" : "MISSED", t->failures_most <= FAILS_MAX ? "met" : "MISSED");
    return even && whole && t->failures_most <= FAILS_MAX;
}

/* ---- charts ---------------------------------------------------------------------------------- */

static void write_lines(FILE *f, const scenario *s, const tally *t, size_t seconds)
{
    size_t i;
    for (i = 0; i + BUCKET_S <= seconds; i += BUCKET_S) {
        rate good = rate_of(t->good, i, i + BUCKET_S), bad = rate_of(t->failed, i, i + BUCKET_S);
        fprintf(f, "%s\t%lu\t%.1f\t%lu\t%.1f\t%lu\n", s->name, (unsigned long)i, good.mean,
                (unsigned long)good.peak, bad.mean, (unsigned long)bad.peak);
    }
}

#define CHART_W 900.0
#define CHART_H 150.0

static void draw_line(FILE *f, const char *class_name, const uint32_t *r, size_t seconds,
                      double top)
{
    size_t i;
    fprintf(f, "<path class=\"%s\" d=\"", class_name);
    for (i = 0; i + BUCKET_S <= seconds; i += BUCKET_S) {
        double y = (double)rate_of(r, i, i + BUCKET_S).peak / top;
        fprintf(f, "%s%.1f %.1f", i ? "L" : "M", CHART_W * (double)i / (double)seconds,
                CHART_H * (1.0 - (y < 1.0 ? y : 1.0)));
    }
    fputs("\"/>\n", f);
}

/* The busiest second of each ten; the scale ends at four times the steady rate. */
static void draw_chart(FILE *f, size_t place, const scenario *s, const tally *t, size_t seconds)
{
    double steady = rate_of(t->good, 1800, AWAY / SECOND).mean, top = 4.0 * steady;
    int    i;
    fprintf(f, "<g transform=\"translate(50 %.0f)\">\n<text y=\"-8\" class=\"title\">",
            40.0 + (double)place * (CHART_H + 60.0));
    for (i = 0; s->name[i]; i++) {
        if (s->name[i] == '<') fputs("&lt;", f);
        else if (s->name[i] == '>') fputs("&gt;", f);
        else fputc(s->name[i], f);
    }
    fputs("</text>\n", f);
    for (i = 0; i <= 4; i++)
        fprintf(f,
                "<path class=\"%s\" d=\"M0 %.1fH%.0f\"/><text x=\"-6\" y=\"%.1f\" "
                "text-anchor=\"end\">%.0f</text>\n",
                i == 3 ? "goal" : "grid", CHART_H * (4 - i) / 4.0, CHART_W,
                CHART_H * (4 - i) / 4.0 + 4.0, steady * i);
    for (i = 0; (size_t)i * 3600u <= seconds; i++)
        fprintf(f, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%d h</text>\n",
                CHART_W * (double)i * 3600.0 / (double)seconds, CHART_H + 16.0, i);
    draw_line(f, "failed", t->failed, seconds, top);
    draw_line(f, "good", t->good, seconds, top);
    fputs("</g>\n", f);
}

static FILE *chart_begin(const order *o)
{
    FILE *f = fopen("build/bench/fleet.svg", "w");
    if (!f) abort();
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 980 %.0f\" "
            "font-family=\"system-ui, sans-serif\" font-size=\"11\">\n"
            "<style>svg{background:#fff} text{fill:#333} .title{font-size:13px;font-weight:600}"
            "path{fill:none;stroke-width:1.2} .grid{stroke:#ddd} .goal{stroke:#c33;"
            "stroke-dasharray:5 4} .good{stroke:#1668c1} .failed{stroke:#e08a1e}</style>\n"
            "<text x=\"50\" y=\"14\">%lu clients: the busiest second of each ten; blue: answered, "
            "orange: failed, red: three times the steady rate</text>\n",
            60.0 + (double)SCENARIOS * (CHART_H + 60.0), (unsigned long)o->n);
    return f;
}

/* ---- the programs ---------------------------------------------------------------------------- */

static int run_simulated(const order *o)
{
    FILE  *lines = fopen("build/bench/fleet.tsv", "w"), *chart = chart_begin(o);
    size_t i, met = 0;
    if (!lines) abort();
    printf("%lu clients, %lu h, server away from 1:00 to 2:00, seed %lu\n", (unsigned long)o->n,
           (unsigned long)o->hours, (unsigned long)o->seed);
    fputs("scenario\tsecond\tanswered mean\tpeak\tfailed mean\tpeak\n", lines);
    for (i = 0; i < SCENARIOS; i++) {
        tally t = fleet(o, &scenarios[i], &simulated);
        met += report(o, &scenarios[i], &t);
        write_lines(lines, &scenarios[i], &t, o->hours * 3600u);
        draw_chart(chart, i, &scenarios[i], &t, o->hours * 3600u);
        tally_free(&t);
    }
    fputs("</svg>\n", chart);
    fclose(chart);
    fclose(lines);
    printf("\nbuild/bench/fleet.svg, build/bench/fleet.tsv\n");
    printf("fleet: the goal is met in %lu of %lu scenarios\n", (unsigned long)met,
           (unsigned long)SCENARIOS);
    return met == SCENARIOS ? 0 : 1;
}

/* True: the two are as near as chance lets them be. */
static bool compare(const char *what, double simulated_one, double real_one, double within)
{
    double larger = simulated_one > real_one ? simulated_one : real_one;
    bool   near = fabs(simulated_one - real_one) <= within * larger + 1e-9;
    printf("  %-38s %11.1f %11.1f  %s\n", what, simulated_one, real_one, near ? "" : "DIFFERS");
    return near;
}

static bool compare_all(tally *a, tally *b)
{
    bool same = compare("events", (double)a->recorded, (double)b->recorded, 0.0);
    same &= compare("delivered", (double)a->delivered, (double)b->delivered, 0.01);
    same &= compare("requests that were answered", (double)(a->requests - a->failures),
                    (double)(b->requests - b->failures), 0.03);
    same &= compare("requests that failed", (double)a->failures, (double)b->failures, 0.2);
    same &= compare("kB", (double)a->bytes / 1e3, (double)b->bytes / 1e3, 0.05);
    same &= compare("arrived after, min (a quarter)", delay_at(a, 0.25), delay_at(b, 0.25), 0.25);
    same &= compare("arrived after, min (half)", delay_at(a, 0.5), delay_at(b, 0.5), 0.2);
    same &= compare("arrived after, min (nine of ten)", delay_at(a, 0.9), delay_at(b, 0.9), 0.2);
    same &= compare("the last, min from the beginning", minutes(a->last_ns - AWAY),
                    minutes(b->last_ns - AWAY), 0.2);
    return same;
}

static int run_real(const order *o)
{
    size_t i, same = 0;
    printf("%lu clients of the header beside as many simulated ones, seed %lu\n",
           (unsigned long)o->n, (unsigned long)o->seed);
    for (i = 0; i < SCENARIOS; i++) {
        tally a = fleet(o, &scenarios[i], &simulated), b = fleet(o, &scenarios[i], &real);
        printf("\n%s\n  %-38s %11s %11s\n", scenarios[i].name, "", "simulated", "real");
        same += compare_all(&a, &b);
        tally_free(&a);
        tally_free(&b);
    }
    printf("\nfleet real: alike in %lu of %lu scenarios\n", (unsigned long)same,
           (unsigned long)SCENARIOS);
    return same == SCENARIOS ? 0 : 1;
}

int main(int argc, char **argv)
{
    bool  is_real = argc > 1 && strcmp(argv[1], "real") == 0;
    order o = { 10000, 5, 1 };
    char  run_folder[VITP_PATH_MAX];
    if (is_real) argc--, argv++, o.n = 20;
    if (argc > 1) o.n = strtoul(argv[1], NULL, 10);
    if (argc > 2) o.seed = strtoul(argv[2], NULL, 10);
    if (argc > 3) o.hours = strtoul(argv[3], NULL, 10);
    if (o.n < 1 || o.hours < 5 || o.hours > 1000) {
        fputs("fleet [real] [N [SEED [HOURS]]]: N from 1, HOURS from 5\n", stderr);
        return 2;
    }
    (void)mkdir("build", 0755);
    (void)mkdir("build/bench", 0755);
    (void)mkdir("build/run", 0700);
    if (!realpath("build/run", run_folder)) return 2;
    setenv("XDG_RUNTIME_DIR", run_folder, 1); /* pools do not lie beside those of programs */
    unsetenv("DO_NOT_TRACK");
    measure_event();
    return is_real ? run_real(&o) : run_simulated(&o);
}
