/* explore_client.c: consent, sleep and wake, and the end of a client, each in all the interleavings
   of a few threads up to a bound: the implementation's own code, on the system of explore_world.h
   and under the memory model of explore.h.

   Build:   cc -std=gnu11 -O1 -fsanitize=thread -I. -c tests/explore_client.c -o explore_client.o
            cc explore_client.o -o explore_client     (without -fsanitize: see explore.h, Plain)
   Run:     explore_client [scenario ...]    see explore_main.h */

#define _GNU_SOURCE
#define X_WORDS 131072u
#include "explore.h"

#include "explore_world.h"

#ifndef EXPLORE_HEADER
#define EXPLORE_HEADER "../vitelemetry.h"
#endif
#define VITP_TYPES_MAX    4u
#define VITP_CONTEXTS_MAX 4u
#define VITP_QUEUE_SLOTS  4u
#define VITP_QUEUE_PROBES 1u
#undef VITP_ATOMIC_CAS
#define VITP_ATOMIC_CAS(p, e, v) look_at_cas((p), (e), (v), #p)
static bool look_at_cas(uint32_t *p, uint32_t *expected, uint32_t v, const char *place);
#define VITELEMETRY_NO_CRASH /* it has signals of its own: tests/crashes.c */
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include EXPLORE_HEADER

/* ---- scenarios --------------------------------------------------------------------------- */

/* What a thread does, a letter a call:
     a b c e  record the event of that name
     N G      vit_set_consent: denied, granted
     f 0      vit_flush with time, and without
     p        vit_pump
     x i      vit_purge, vit_reset_identity
     D d      vit_destroy with time, and without; again as long as it says no
     w        wait until the other host threads are over
     t        let flush_ms pass
     s        let it pass twice: what was recorded is delivered by then, whatever the consumer did
   After them, whatever is left of the client is destroyed by thread 0. */
typedef enum server {
    TAKES,   /* 201, always */
    FAILS,   /* 503, once */
    HANGS,   /* until the request is cancelled or its time is over */
    IS_DEAF, /* 70 ms, whatever one tells it */
    PENDS    /* "not yet", twice; then 201 */
} server;
typedef struct scenario {
    const char *name;
    const char *calls[X_THREADS]; /* of host threads */
    bool        thread;           /* the client has one of its own */
    server      server;
    x_bounds    bounds;
} scenario;

static const scenario scenarios[] = {
    { "record, flush", { "af" }, true, TAKES, { 2, 0, 0 } },
    { "record twice, destroy", { "abD" }, true, TAKES, { 2, 0, 0 } },
    { "record, destroy at once", { "ad" }, true, TAKES, { 1, 0, 1 } },
    { "two record, one destroys", { "awD", "b" }, true, TAKES, { 1, 0, 0 } },
    { "flush by two", { "afw", "bf" }, true, TAKES, { 0, 0, 0 } },
    { "flush without time", { "a0tD" }, true, TAKES, { 1, 0, 0 } },
    { "the server fails once", { "afD" }, true, FAILS, { 1, 0, 0 } },
    { "the transport hangs", { "a0D" }, true, HANGS, { 1, 0, 0 } },
    { "the transport hangs, no time", { "a0d" }, true, HANGS, { 1, 0, 1 } },
    { "the transport is deaf", { "a0D" }, true, IS_DEAF, { 1, 0, 1 } },
    { "not yet, says the transport", { "afD" }, true, PENDS, { 2, 0, 0 } },
    { "record, refuse", { "afwD", "N" }, true, TAKES, { 1, 0, 0 } },
    { "two record, one refuses", { "abwd", "N", "c" }, true, TAKES, { 0, 0, 0 } },
    { "refuse, record, grant", { "abwd", "NG" }, true, TAKES, { 0, 0, 0 } },
    { "refuse, record, grant: one", { "aNbGcf" }, true, TAKES, { 1, 0, 0 } },
    { "refuse while it hangs", { "a0wd", "N" }, true, HANGS, { 1, 0, 0 } },
    { "refuse while it is not yet", { "a0wd", "N" }, true, PENDS, { 1, 0, 0 } },
    { "refuse, grant while it hangs", { "a0wd", "NG" }, true, HANGS, { 0, 0, 0 } },
    { "purge under way", { "afbwD", "x" }, true, TAKES, { 0, 0, 0 } },
    { "a new identity under way", { "afbwD", "i" }, true, TAKES, { 0, 0, 0 } },
    { "quiet, then a record", { "as" }, true, TAKES, { 1, 0, 0 } },
    { "asleep, then a record", { "tttasbs" }, true, TAKES, { 1, 0, 0 } },
    { "pump, record, refuse", { "atpppwd", "bN" }, false, TAKES, { 2, 1, 0 } },
    { "two pump", { "atpppwd", "bpp" }, false, TAKES, { 2, 0, 0 } },
    { "pump and flush", { "atpwd", "bf" }, false, TAKES, { 2, 0, 0 } },
    { "pump, not yet, refuse", { "atpppwd", "NG" }, false, PENDS, { 2, 0, 0 } },
    { "pump, two refuse and grant", { "atpwd", "N", "G" }, false, TAKES, { 1, 0, 0 } },
};

/* ---- what must hold ---------------------------------------------------------------------- */

#define EVENTS 8u
#define CALLS  32u

typedef struct event {
    uint32_t begin, end; /* of its call; 0: not */
    bool     accepted;
    uint32_t delivered; /* times that the server took it */
    uint32_t sent;
    char     key[40]; /* under which it was sent */
} event;

/* A call of vit_set_consent or one that forgets. */
typedef struct turn {
    uint32_t begin, end; /* end 0: it has not returned */
    bool     refuses, grants, forgets;
} turn;

static struct {
    const scenario *is;
    vit_client     *client;
    event           events[EVENTS];
    turn            turns[CALLS];
    uint32_t        turn_count, clock, answers, naps;
    uint64_t        calls_hash, wire_hash;
    bool            handed_over; /* a request, which send_fn has not seen */
    bool            in_send, pending, destroyed;
    bool            in_time;          /* vit_destroy had time to deliver */
    char            doing[X_THREADS]; /* the call that a host thread is in; 0: none */
    uint32_t        hosts, hosts_over;
} now;

/* Blocks of the allocator's, and the page. */
typedef struct block {
    unsigned char *begin;
    size_t         size;
    bool           gone;
} block;
static unsigned char memory[X_WORDS * 4u] __attribute__((aligned(4096)));
static unsigned char fresh[X_WORDS * 4u];
static size_t        memory_used;
static block         blocks[8];
static uint32_t      block_count;

X_OURS static void *take(size_t size)
{
    block *b = &blocks[block_count];
    size = (size + 4095u) & ~(size_t)4095u;
    if (x.running || block_count == 8u || memory_used + size > sizeof memory) abort();
    block_count++;
    b->begin = memory + memory_used;
    b->size = size;
    b->gone = false;
    memory_used += size;
    return b->begin;
}

X_OURS static void *take_fn(size_t size, void *user)
{
    (void)user;
    return take(size);
}

X_OURS static void give(void *p)
{
    uint32_t i;
    for (i = 0; i < block_count; i++) {
        if (blocks[i].begin != p) continue;
        if (blocks[i].gone) x_fail("memory is given back twice");
        if (x.running && now.in_send) x_fail("a client ends while the transport is called");
        blocks[i].gone = true;
        return;
    }
    x_fail("memory is given back that was not taken");
}

X_OURS static void give_fn(void *p, void *user)
{
    (void)user;
    give(p);
}

X_OURS static void look_at_access(const void *p)
{
    uint32_t i;
    for (i = 0; i < block_count; i++)
        if (blocks[i].gone && (const unsigned char *)p >= blocks[i].begin &&
            (const unsigned char *)p < blocks[i].begin + blocks[i].size)
            x_fail("thread %u touches memory that was given back", (unsigned)x.self);
}

/* The order of the calls belongs to the state. */
X_OURS static uint32_t tick(void)
{
    w_event(&now.calls_hash, true);
    return ++now.clock;
}

/* A refusal was over before `begin`, and no grant may have been in force from then to `end`. */
X_OURS static bool is_refused(uint32_t begin, uint32_t end)
{
    uint32_t i, k;
    for (i = 0; i < now.turn_count; i++) {
        const turn *no = &now.turns[i];
        if (!no->refuses || !no->end || no->end > begin) continue;
        for (k = 0; k < now.turn_count; k++)
            if (now.turns[k].grants && now.turns[k].begin < end &&
                (!now.turns[k].end || now.turns[k].end > no->begin))
                break;
        if (k == now.turn_count) return true;
    }
    return false;
}

/* It was recorded under a refusal, or forgotten since. */
X_OURS static bool is_void(const event *e)
{
    uint32_t i;
    for (i = 0; i < now.turn_count; i++)
        if (now.turns[i].forgets && now.turns[i].end && e->end && e->end < now.turns[i].begin)
            return true;
    return is_refused(e->begin, e->end ? e->end : UINT32_MAX);
}

X_OURS static event *event_in(const char *body)
{
    const char *at = strstr(body, "\"event_name\":\"");
    char        name = at ? at[14] : 0;
    if (!at || at[15] != '"' || name < 'a' || name >= 'a' + (char)EVENTS)
        x_fail("a request without an event: %.60s", body);
    return &now.events[name - 'a'];
}

X_OURS static char name_of(const event *e) { return (char)('a' + (e - now.events)); }

/* The moment from which the server may have it. */
X_OURS static void look_at_request(void)
{
    event *e = event_in(now.client->body);
    if (now.destroyed) x_fail("a request after vit_destroy");
    if (is_refused(now.clock, UINT32_MAX)) x_fail("event %c leaves after a refusal", name_of(e));
    if (is_void(e)) x_fail("event %c leaves, although it was refused or forgotten", name_of(e));
    if (e->delivered) x_fail("event %c is sent again", name_of(e));
    if (e->sent && strcmp(e->key, now.client->batch.key) != 0)
        x_fail("event %c is sent under another key", name_of(e));
    memcpy(e->key, now.client->batch.key, sizeof now.client->batch.key);
    e->sent++;
}

X_OURS static bool look_at_cas(uint32_t *p, uint32_t *expected, uint32_t v, const char *place)
{
    bool ok = x_cas32(p, expected, v, place);
    if (ok && x.running && strcmp(place, "&t->cancel") == 0) {
        if (now.handed_over) x_fail("a request is handed over twice");
        look_at_request();
        now.handed_over = true;
    }
    return ok;
}

X_OURS static void wait_for_time(uint64_t ns) { (void)w_wait(W_TIME, NULL, 0, w.s.now_ns + ns); }

X_OURS static vit_response answer_of(const vit_request *request)
{
    vit_response answer = { 201, 0 };
    uint32_t     turn = now.answers++;
    uint64_t     until_ns = w.s.now_ns + (uint64_t)request->timeout_ms * VITP_MS;
    switch (now.is->server) {
    case TAKES: break;
    case FAILS:
        if (turn == 0) answer.http_status = 503;
        break;
    case PENDS:
        if (turn < 2) answer.http_status = VIT_HTTP_PENDING;
        break;
    case HANGS:
        while (!vit_request_cancelled(request) && w.s.now_ns < until_ns)
            wait_for_time(10u * VITP_MS);
        answer.http_status = 0;
        break;
    case IS_DEAF:
        wait_for_time(70u * VITP_MS);
        answer.http_status = 0;
        break;
    }
    return answer;
}

X_OURS static vit_response send_fn(const vit_request *request, void *user)
{
    vit_response answer = { 0, 0 };
    event       *e;
    (void)user;
    if (now.in_send) x_fail("two requests at once");
    w_event(&now.wire_hash, true);
    if (request->body_size == 0) { /* what was pending is not wanted any more */
        if (now.is->server != PENDS) x_fail("an empty request");
        return answer;
    }
    if (!now.handed_over && !now.pending) look_at_request();
    e = event_in(request->body);
    now.handed_over = false;
    now.in_send = true;
    w_point();
    answer = answer_of(request);
    w_event(&now.wire_hash, true);
    now.pending = answer.http_status == VIT_HTTP_PENDING;
    if (answer.http_status == 201) e->delivered++;
    now.in_send = false;
    return answer;
}

#define NAP_NS (20u * (uint64_t)VITP_MS)

/* All wait for time to pass. Nobody who waits for the consumer should have to where the server
   takes all at once: somebody was not woken. But what was forgotten is no answer, and tells nobody:
   who waits looks again after 20 ms. */
X_OURS static void look_at_idle(uint64_t ns)
{
    uint32_t t;
    for (t = 0; t < now.hosts; t++) {
        if (!now.is->thread || now.is->server != TAKES || !now.doing[t]) continue;
        if (ns <= NAP_NS && now.naps++ < now.turn_count) continue;
        x_fail("a wake-up is lost: nobody goes on, and thread %u waits in call %c", (unsigned)t,
               now.doing[t]);
    }
}

X_OURS static void check_end(void)
{
    vit_stats s = vit_get_stats(now.client); /* its memory is still there */
    uint64_t  gone = s.delivered + s.queued + s.spooled + s.handed_over;
    uint32_t  i, accepted = 0, delivered = 0;
    for (i = 0; i < VIT_DROP_COUNT; i++) gone += s.dropped[i];
    if (s.accepted + s.adopted != gone)
        x_fail("the books: %u accepted, %u gone or there", (unsigned)s.accepted, (unsigned)gone);
    for (i = 0; i < EVENTS; i++) {
        const event *e = &now.events[i];
        accepted += e->accepted;
        delivered += e->delivered;
        if (e->delivered && !e->accepted) x_fail("event %c was refused, and comes", name_of(e));
        if (e->accepted && !e->delivered && now.turn_count == 0 && now.in_time &&
            now.is->server == TAKES && w.expired == 0)
            x_fail("event %c is lost", name_of(e));
    }
    if (accepted != s.accepted)
        x_fail("%u accepted by count, not %u", (unsigned)s.accepted, accepted);
    if (s.delivered > delivered || (now.turn_count == 0 && s.delivered != delivered))
        x_fail("%u delivered by count, not %u", (unsigned)s.delivered, delivered);
    for (i = 0; i < block_count; i++)
        if (!blocks[i].gone) x_fail("memory is not given back");
}

/* ---- threads ----------------------------------------------------------------------------- */

X_OURS static void record(char name)
{
    event     *e = &now.events[name - 'a'];
    char       text[2] = { name, 0 };
    vit_event  v;
    vit_status status;
    e->begin = tick();
    vit_event_begin(&v, now.client, text, NULL);
    status = vit_event_send(&v);
    e->accepted = status == VIT_OK;
    e->end = tick();
    if (status != VIT_OK && status != VIT_DISABLED)
        x_fail("event %c: status %d", name, (int)status);
    if (e->accepted && is_refused(e->begin, e->end))
        x_fail("event %c is taken under a refusal", name);
    if (!e->accepted && now.turn_count == 0) x_fail("event %c is refused", name);
}

X_OURS static void take_turn(char what)
{
    turn *n = &now.turns[now.turn_count++];
    n->begin = tick();
    n->refuses = what == 'N';
    n->grants = what == 'G';
    n->forgets = what != 'G';
    switch (what) {
    case 'N': vit_set_consent(now.client, VIT_CONSENT_DENIED); break;
    case 'G': vit_set_consent(now.client, VIT_CONSENT_GRANTED); break;
    case 'x': vit_purge(now.client); break;
    default: vit_reset_identity(now.client); break;
    }
    n->end = tick();
}

/* Within the time that it has, and what a transport that does not listen makes of it. */
X_OURS static void destroy(uint32_t ms)
{
    uint32_t tries = 0;
    uint64_t begin_ns = w.s.now_ns, most_ns = (ms + 48u + 2000u) * (uint64_t)VITP_MS;
    (void)tick();
    while (!vit_destroy(now.client, ms)) {
        if (++tries == 3) x_fail("vit_destroy does not end");
        if (w.expired == 0 && w.s.now_ns - begin_ns > most_ns) x_fail("vit_destroy takes long");
        if (now.is->server != IS_DEAF && w.expired == 0) x_fail("vit_destroy says no");
        now.doing[x.self] = 0;
        wait_for_time(100u * VITP_MS);
    }
    now.destroyed = true;
    now.in_time = ms > 0;
    (void)tick();
}

X_OURS static bool are_others_over(uint32_t self)
{
    (void)self;
    return now.hosts_over + 1u == now.hosts;
}

X_OURS static void check_flushed(uint32_t self, uint32_t ms)
{
    uint32_t i, before = tick();
    bool     done = vit_flush(now.client, ms);
    (void)tick();
    (void)self;
    for (i = 0; done && now.turn_count == 0 && i < EVENTS; i++) {
        const event *e = &now.events[i];
        if (e->accepted && e->end < before && !e->delivered)
            x_fail("vit_flush is true, and event %c is not delivered", name_of(e));
    }
    if (!done && ms && now.is->server == TAKES && now.turn_count == 0 && w.expired == 0)
        x_fail("vit_flush is false");
}

X_OURS static void check_sent(void)
{
    uint32_t i;
    wait_for_time(2u * VITP_CLIENT_FLUSH_MS * (uint64_t)VITP_MS);
    for (i = 0; i < EVENTS; i++)
        if (now.events[i].accepted && !now.events[i].delivered)
            x_fail("event %c waits, and the consumer sleeps", name_of(&now.events[i]));
}

X_OURS static void call(uint32_t self, char what)
{
    now.doing[self] = strchr("fDd", what) ? what : 0;
    if (what >= 'a' && what < 'a' + (char)EVENTS && what != 'd' && what != 'f') record(what);
    else if (strchr("NGxi", what)) take_turn(what);
    else if (what == 'f' || what == '0') check_flushed(self, what == 'f' ? 1000u : 0u);
    else if (what == 'p') x_learn(vit_pump(now.client));
    else if (what == 'D' || what == 'd') destroy(what == 'D' ? 1000u : 0u);
    else if (what == 't') wait_for_time(VITP_CLIENT_FLUSH_MS * (uint64_t)VITP_MS);
    else if (what == 's') check_sent();
    else if (what == 'w') x_wait(are_others_over);
    else abort();
    now.doing[self] = 0;
}

X_OURS static void body(uint32_t self)
{
    const char *c;
    if (self == now.hosts) {
        w_started_thread();
        return;
    }
    for (c = now.is->calls[self]; *c; c++) {
        call(self, *c);
        x_yield();
    }
    if (self == 0 && !now.destroyed) {
        x_wait(are_others_over);
        call(0, 'd');
    }
    if (self > 0) now.hosts_over++;
}

/* ---- a scenario -------------------------------------------------------------------------- */

static void prepare(const scenario *s)
{
    vit_options o;
    uint32_t    t;
    memset(&now, 0, sizeof now);
    memset(&o, 0, sizeof o);
    w_begin();
    w.idle_check_fn = look_at_idle;
    w_memory_fn = take;
    w_gone_fn = give;
    memory_used = block_count = 0;
    x.running = false;
    x.self = 0;
    x.access_fn = look_at_access;
    x.body_fn = body;
    now.is = s;
    for (t = 0; t < X_THREADS && s->calls[t]; t++) now.hosts++;
    x.threads = now.hosts + (s->thread ? 1u : 0u);
    if (x.threads > X_THREADS) abort();
    o.data_dir = "";
    o.endpoint = "https://example.com/";
    o.consent = VIT_CONSENT_GRANTED;
    o.no_thread = !s->thread;
    o.queue_bytes = 1;
    o.transport.send_fn = send_fn;
    o.allocator.alloc_fn = take_fn;
    o.allocator.free_fn = give_fn;
    memset(memory, 0, sizeof memory);
    now.client = vit_create(&o);
    if (!now.client) abort();
    w_save();
    memcpy(fresh, memory, memory_used);
    x_begin(memory, memory_used);
}

X_OURS static x_outcome run_once(void)
{
    const scenario *is = now.is;
    vit_client     *client = now.client;
    uint32_t        hosts = now.hosts, i;
    x_outcome       outcome;
    memset(&now, 0, sizeof now);
    now.is = is;
    now.client = client;
    now.hosts = hosts;
    memcpy(memory, fresh, memory_used);
    for (i = 0; i < block_count; i++) blocks[i].gone = false;
    w_restore(0);
    outcome = x_run();
    if (outcome != X_COMPLETE || _setjmp(x.end)) return outcome == X_COMPLETE ? X_FAILED : outcome;
    check_end();
    return X_COMPLETE;
}

#include "explore_main.h"
