/* explore_files.c: what processes do with each other's files: adoption of the pool of a killed
   process, its last words, the spool, the settings. Each process is a thread with a client of its
   own, and all the interleavings of their calls on files are tried up to a bound, with one of them
   killed before any of these calls. What runs is the implementation's own code, on the system of
   explore_world.h; its memory is no matter here.

   Build:   cc -std=gnu11 -O1 -I. tests/explore_files.c -o explore_files
   Run:     explore_files [scenario ...]    see explore_main.h */

#define _GNU_SOURCE
#include "explore.h"

#include "explore_world.h"

#ifndef EXPLORE_HEADER
#define EXPLORE_HEADER "../vitelemetry.h"
#endif
#define VITP_HOLD_MS       1u
#define VITP_HOLD_GRANT_MS 1u
#define VITP_TYPES_MAX    4u
#define VITP_CONTEXTS_MAX 4u
#define VITP_QUEUE_SLOTS  4u
#define VITP_QUEUE_PROBES 1u
#define VITELEMETRY_NO_CRASH
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include EXPLORE_HEADER

/* ---- scenarios --------------------------------------------------------------------------- */

/* What a process does, a letter a call:
     C        vit_create
     a to g   record the event of that name
     S        vit_session_begin
     P        vit_pump as long as there is something to do
     N G      vit_set_consent: denied, granted
     R        vit_reset_identity; where it is called time passes at once, so that nobody waits long
              enough for another who holds the settings
     d        vit_destroy, without time
     K        is killed
     w        wait until all processes before it are over
     t        a minute passes
   The first lives before the others do: what stands before `|` in its calls is over when the search
   begins. When all is over, one more start delivers whatever is left. */
typedef struct scenario {
    const char *name;
    const char *calls[X_THREADS - 1u];
    uint32_t    victim; /* process that may be killed, + 1; 0: none */
    bool        plain;  /* queues are in plain memory */
    bool        away;   /* the server is, before the search begins */
    x_bounds    bounds; /* signals: kills */
} scenario;

static const scenario scenarios[] = {
    { "two adopt one pool", { "CabK|", "CPd", "CPd" }, 0, false, false, { 1, 0, 0 } },
    { "its owner lives", { "Cab|Pd", "CPd" }, 0, false, false, { 2, 0, 0 } },
    { "its owner ends", { "Cab|d", "CPd" }, 0, false, false, { 2, 0, 0 } },
    { "its owner is killed", { "C|abP", "CPd" }, 1, false, false, { 1, 0, 1 } },
    { "the adopter is killed", { "CabK|", "CP", "wCPd" }, 2, false, false, { 1, 0, 1 } },
    { "one of two adopters is killed", { "CaK|", "CPd", "CP" }, 3, false, false, { 0, 0, 1 } },
    { "last words, two starts", { "CSaK|", "CPd", "CPd" }, 0, false, false, { 1, 0, 0 } },
    { "last words, one is killed", { "CSK|", "CP", "wCPd" }, 2, false, false, { 0, 0, 1 } },
    { "last words of a plain queue", { "CSK|", "CPd", "CPd" }, 0, true, false, { 1, 0, 0 } },
    { "the same, one is killed", { "CSK|", "CP", "wCPd" }, 2, true, false, { 0, 0, 1 } },
    { "spool, two deliver", { "Cabd|", "CPd", "CPd" }, 0, true, true, { 1, 0, 0 } },
    { "spool, one is killed", { "Cabd|", "CP", "wCPd" }, 2, true, true, { 0, 0, 1 } },
    { "spool, two write", { "C|ad", "Cbd" }, 0, true, true, { 1, 0, 0 } },
    { "another refuses", { "Ca|PbPd", "CN" }, 0, false, false, { 1, 0, 0 } },
    { "another refuses and grants", { "Ca|PbPd", "CNGd" }, 0, false, false, { 1, 0, 0 } },
    { "a refusal beside new identities", { "CG|RR", "CN" }, 0, false, false, { 2, 0, 0 } },
    { "two first starts", { "|CaPd", "CbPd" }, 0, false, false, { 1, 0, 0 } },
    { "new identity, a pool is left", { "Ca|bPd", "CRcd" }, 0, false, false, { 1, 0, 0 } },
    { "new identity, a file is left", { "Ca|bPd", "CRcd" }, 0, true, false, { 1, 0, 0 } },
    { "the same, amid three", { "Ca|Pd", "CRcd", "CPd" }, 0, true, false, { 0, 0, 0 } },
};

/* ---- what must hold ---------------------------------------------------------------------- */

#define EVENTS   8u /* the last is session.end */
#define REQUESTS 24u

typedef struct event {
    bool     accepted, is_void;
    uint32_t times; /* it was taken, by keys */
    uint32_t turn;  /* recorded behind so many decisions, of which its process made the last */
} event;
typedef struct request {
    char     key[33];
    uint32_t events; /* a bit each */
    uint32_t process;
    bool     open, taken;
} request;

static struct {
    const scenario *is;
    vit_client     *clients[X_THREADS];
    event           events[EVENTS];
    request         requests[REQUESTS];
    uint32_t        request_count;
    uint64_t        wire_hash, calls_hash;
    char            hwid[40];
    bool            killed, refused, turned;
    uint32_t        turns, turner;
    bool            refused_before[X_THREADS]; /* the call that it is in began under a refusal */
    bool            over[X_THREADS];
} now, begun;

#define ARENA 1048576u
static unsigned char arenas[X_THREADS][ARENA] __attribute__((aligned(4096)));
static unsigned char fresh[ARENA];
static size_t        used[X_THREADS], used_before;

/* Its own for each, so that addresses are no matter of the interleaving. */
X_OURS static void *take(size_t size)
{
    unsigned char *p = arenas[x.self] + used[x.self];
    size = (size + 4095u) & ~(size_t)4095u;
    if (used[x.self] + size > ARENA) x_fail("no memory");
    used[x.self] += size;
    return p;
}

X_OURS static void *take_fn(size_t size, void *user)
{
    (void)user;
    return take(size);
}

X_OURS static void give(void *p) { (void)p; }
X_OURS static void give_fn(void *p, void *user) { (void)p, (void)user; }

X_OURS static uint32_t events_in(const char *body)
{
    uint32_t    events = 0;
    const char *at = body;
    while ((at = strstr(at, "\"event_name\":\"")) != NULL) {
        at += 14;
        if (at[1] == '"' && at[0] >= 'a' && at[0] < 'h') events |= 1u << (at[0] - 'a');
        if (strncmp(at, "session.end\"", 12) == 0) events |= 1u << (EVENTS - 1u);
    }
    return events;
}

/* A request goes to nobody twice at once, and what was taken is repeated under its key only, by
   whoever comes after one that was killed. */
X_OURS static void look_at_request(const request *r)
{
    uint32_t i;
    for (i = 0; i < now.request_count; i++) {
        const request *o = &now.requests[i];
        if (o == r || !(o->events & r->events)) continue;
        if (o->open && !w.s.dead[o->process])
            x_fail("processes %u and %u deliver the same", (unsigned)o->process,
                   (unsigned)r->process);
        if (o->taken && !now.killed)
            x_fail("process %u delivers what was delivered", (unsigned)r->process);
        if (strcmp(o->key, r->key) != 0 || o->events != r->events)
            x_fail("process %u repeats a request under another key", (unsigned)r->process);
    }
}

X_OURS static void note_request(request *r, const vit_request *sent)
{
    const char *hwid = strstr(sent->body, "\"hwid\":\"");
    memset(r, 0, sizeof *r);
    r->events = events_in(sent->body);
    r->process = x.self;
    r->open = true;
    if (sscanf(sent->headers, "Idempotency-Key: %32s", r->key) != 1) x_fail("no key");
    if (!hwid || (now.hwid[0] && memcmp(now.hwid, hwid + 8, 36) != 0 && !now.turned))
        x_fail("another hwid");
    memcpy(now.hwid, hwid + 8, 36);
}

/* A server that takes a key once. */
X_OURS static void take_request(request *r)
{
    uint32_t i;
    r->taken = true;
    for (i = 0; i < now.request_count; i++)
        if (&now.requests[i] != r && now.requests[i].taken &&
            strcmp(now.requests[i].key, r->key) == 0)
            return;
    for (i = 0; i < EVENTS; i++) now.events[i].times += r->events >> i & 1u;
}

X_OURS static vit_response send_fn(const vit_request *sent, void *user)
{
    vit_response answer = { 201, 0 };
    request     *r;
    (void)user;
    w_file_point(); /* it may not get there */
    w_event(&now.wire_hash, true);
    if (now.is->away && !x.running && x.self == 0) answer.http_status = 503;
    if (answer.http_status != 201) return answer;
    if (now.refused_before[x.self]) x_fail("process %u sends after a refusal", (unsigned)x.self);
    if (now.request_count == REQUESTS) x_fail("too many requests");
    r = &now.requests[now.request_count++];
    note_request(r, sent);
    look_at_request(r);
    take_request(r);
    w_file_point(); /* nor may the answer */
    r->open = false;
    return answer;
}

/* ---- processes --------------------------------------------------------------------------- */

X_OURS static void create(void)
{
    vit_options o;
    memset(&o, 0, sizeof o);
    o.data_dir = "/data";
    o.endpoint = "https://example.com/";
    o.consent = VIT_CONSENT_GRANTED;
    o.no_thread = true;
    o.queue_bytes = 1;
    o.transport.send_fn = send_fn;
    o.allocator.alloc_fn = take_fn;
    o.allocator.free_fn = give_fn;
    now.clients[x.self] = vit_create(&o);
    if (!now.clients[x.self]) x_fail("vit_create fails");
}

X_OURS static void record(char name)
{
    char       text[2] = { name, 0 };
    vit_event  v;
    vit_status status;
    vit_event_begin(&v, now.clients[x.self], text, NULL);
    status = vit_event_send(&v);
    now.events[name - 'a'].accepted = status == VIT_OK;
    if (now.turner == x.self + 1u) now.events[name - 'a'].turn = now.turns;
    if (status != VIT_OK && !now.turned) x_fail("event %c: status %d", name, (int)status);
}

/* Who has decided records under what is in force. */
X_OURS static void turn(void)
{
    now.turns++;
    now.turner = x.self + 1u;
}

/* In between either may be in force. */
X_OURS static void set_consent(vit_consent consent)
{
    w_event(&now.calls_hash, true);
    now.turned = true;
    now.refused = false;
    memset(now.refused_before, 0, sizeof now.refused_before);
    vit_set_consent(now.clients[x.self], consent);
    w_event(&now.calls_hash, true);
    now.refused = consent == VIT_CONSENT_DENIED;
    turn();
}

/* What waits is forgotten. */
X_OURS static void reset_identity(void)
{
    w_event(&now.calls_hash, true);
    now.turned = true;
    vit_reset_identity(now.clients[x.self]);
    turn();
}

X_OURS static void killed(uint32_t process)
{
    now.killed = true;
    now.over[process] = true;
}

/* One step: what was refused before it began is not sent. */
X_OURS static bool pump(void)
{
    bool more;
    w_event(&now.calls_hash, false);
    now.refused_before[x.self] = now.refused;
    more = vit_pump(now.clients[x.self]);
    now.refused_before[x.self] = false;
    return more;
}

X_OURS static void destroy(void)
{
    w_event(&now.calls_hash, false);
    now.refused_before[x.self] = now.refused;
    if (!vit_destroy(now.clients[x.self], 0)) x_fail("vit_destroy says no");
    now.refused_before[x.self] = false;
    w_process_ends(x.self);
}

X_OURS static bool are_before_over(uint32_t self)
{
    uint32_t i;
    for (i = 0; i < self; i++)
        if (!now.over[i]) return false;
    return true;
}

X_OURS static void call(char what)
{
    uint32_t steps = 0;
    if (what == 'C') create();
    else if (what == 'd') destroy();
    else if (what >= 'a' && what <= 'g') record(what);
    else if (what == 'S') vit_session_begin(now.clients[x.self], "session", NULL);
    else if (what == 'N' || what == 'G')
        set_consent(what == 'N' ? VIT_CONSENT_DENIED : VIT_CONSENT_GRANTED);
    else if (what == 'R') reset_identity();
    else if (what == 'w') x_wait(are_before_over);
    else if (what == 't') w_nanosleep(&(struct timespec){ 60, 0 });
    else if (what == 'K') w_process_ends(x.self);
    else if (what == 'P') {
        while (pump() && ++steps < 20u) {}
        (void)vit_flush(now.clients[x.self], 0);
        while (pump() && ++steps < 20u) {}
    } else abort();
}

X_OURS static void body(uint32_t self)
{
    const char *c = now.is->calls[self], *begin = strchr(c, '|');
    for (c = begin ? begin + 1 : c; *c; c++) {
        call(*c);
        x_yield();
    }
    now.over[self] = true;
}

X_OURS static bool is_refusal_stored(void)
{
    char   text[VITP_SETTINGS_MAX];
    size_t size = 0;
    (void)vitp_os_read_file("/data/telemetry.conf", VITP_OS_MINE, text, sizeof text - 1u, &size);
    text[size] = 0;
    return strstr(text, "consent = denied") != NULL;
}

X_OURS static void check_end(void)
{
    uint32_t i;
    x.self = X_THREADS - 1u;
    for (i = 0; i < x.threads; i++)
        if (!w.s.dead[i]) w_process_ends(i);
    w.s.now_ns += 4000u * W_SECOND; /* what the spool is spread over */
    if (now.refused && !is_refusal_stored()) x_fail("a refusal is lost");
    create();
    for (i = 0; i < 3u; i++) call('P');
    (void)vit_destroy(now.clients[x.self], 0);
    w_process_ends(x.self);
    for (i = 0; i < EVENTS; i++) {
        event *e = &now.events[i];
        bool   expected = i < EVENTS - 1u ? e->accepted : strchr(now.is->calls[0], 'S') != NULL;
        if (now.turned && (e->turn == 0 || e->turn != now.turns)) continue;
        if (e->times > 1u)
            x_fail("event %c is delivered under %u keys", (char)('a' + i), (unsigned)e->times);
        if (expected && e->times == 0) x_fail("event %c is lost", (char)('a' + i));
        if (!expected && e->times > 0) x_fail("event %c comes from nowhere", (char)('a' + i));
    }
    for (i = 0; i < W_NAMES; i++)
        if (w.s.names[i].inode && !w.s.inodes[w.s.names[i].inode - 1u].folder &&
            !strstr(w.s.names[i].path, "telemetry.conf"))
            x_fail("a file is left: %s", w.s.names[i].path);
}

/* ---- a scenario -------------------------------------------------------------------------- */

static void prepare(const scenario *s)
{
    const char *c;
    memset(&now, 0, sizeof now);
    memset(used, 0, sizeof used);
    now.is = s;
    w_begin();
    w.points = true;
    w.victim = s->victim;
    w.killed_fn = killed;
    w_memory_fn = take;
    w_gone_fn = give;
    w_plain = s->plain;
    w_hasty = strchr(s->calls[0], 'R') != NULL;
    for (x.self = 0; x.self < X_THREADS; x.self++) w.process_of[x.self] = x.self;
    x.running = false;
    x.self = 0;
    x.body_fn = body;
    (void)w_make("/data", 0700, true);
    (void)w_make("/dev/shm/vitelemetry-1000", 0700, true);
    for (x.threads = 0; x.threads < X_THREADS - 1u && s->calls[x.threads];) x.threads++;
    if (_setjmp(x.end)) {
        printf("before the search: %s\n", x.failure);
        abort();
    }
    if (strchr(s->calls[0], '|'))
        for (c = s->calls[0]; *c != '|'; c++) call(*c);
    w_save();
    used_before = used[0];
    memcpy(fresh, arenas[0], used_before);
    begun = now;
    x_begin(arenas, 0);
}

X_OURS static x_outcome run_once(void)
{
    x_outcome outcome;
    now = begun;
    memset(used, 0, sizeof used);
    used[0] = used_before;
    memcpy(arenas[0], fresh, used_before);
    w_restore(x.bounds.signals);
    outcome = x_run();
    if (outcome != X_COMPLETE || _setjmp(x.end)) return outcome == X_COMPLETE ? X_FAILED : outcome;
    check_end();
    return X_COMPLETE;
}

#include "explore_main.h"
