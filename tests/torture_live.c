/* torture_live.c - one life of a client, again and again, while the n-th call of the system fails,
   once or from then on, in this process: for machines that have no fork or no test library
   (Windows, emulated ones). tests/torture.c does the same to every unit test.

   Usage: torture_live FOLDER [STEP [FIRST [MOST]]]
     every STEP-th call fails (1), the first is FIRST (1); ends after MOST bad runs (10)
   Last line: `N passed, N failed`, of runs. */

#include <stddef.h>

#include "torture.h"

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <stdlib.h>

#include "options.h"

/* ---- calls that fail, and what is held ------------------------------------------------------ */

static unsigned calls, fails_at; /* 0: none */
static bool     for_ever, armed;
static unsigned failed_line;

int torture_fails(const char *call, int line)
{
    unsigned n;
    (void)call;
    if (!armed) return 0;
    n = __atomic_add_fetch(&calls, 1u, __ATOMIC_RELAXED);
    if (fails_at == 0 || (for_ever ? n < fails_at : n != fails_at)) return 0;
    if (failed_line == 0) failed_line = (unsigned)line;
    errno = EIO;
    return 1;
}

unsigned long torture_part(const char *call, unsigned long size, int line)
{
    return size > 1 && torture_fails(call, line) ? size / 2 : size;
}

#define HELD_MAX 512
static struct held {
    enum torture_kind  kind;
    unsigned long long key;
    int                line;
} held[HELD_MAX];
static unsigned held_count, held_busy;

static void held_lock(void)
{
    while (__atomic_exchange_n(&held_busy, 1u, __ATOMIC_ACQUIRE)) {}
}

static void held_unlock(void) { __atomic_store_n(&held_busy, 0u, __ATOMIC_RELEASE); }

static void hold(enum torture_kind kind, unsigned long long key, int line)
{
    held_lock();
    if (held_count < HELD_MAX) {
        held[held_count].kind = kind;
        held[held_count].key = key;
        held[held_count++].line = line;
    }
    held_unlock();
}

long long torture_number(enum torture_kind kind, long long number, int line)
{
    if (kind == TORTURE_THREAD || number >= 0) hold(kind, (unsigned long long)number, line);
    return number;
}

void *torture_pointer(enum torture_kind kind, void *pointer, int line)
{
    if (pointer && pointer != (void *)-1) hold(kind, (uintptr_t)pointer, line);
    return pointer;
}

void torture_let_go(enum torture_kind kind, unsigned long long key)
{
    unsigned i;
    held_lock();
    for (i = held_count; i-- > 0;) {
        if (held[i].kind != kind || held[i].key != key) continue;
        held[i] = held[--held_count];
        break;
    }
    held_unlock();
}

/* ---- a life --------------------------------------------------------------------------------- */

static unsigned failures, status_now, delivered;

static vit_response answer(const vit_request *request, void *user)
{
    vit_response a = { (int)status_now, 0 };
    (void)user;
    if (status_now == 201 && request->body_size > 0) delivered++;
    return a;
}

static void no_line(const char *json, size_t size, void *user)
{
    (void)json, (void)size, (void)user;
}

static void blame(const char *what)
{
    unsigned i;
    failures++;
    printf("FAIL call %u fails%s, line %u: %s\n", fails_at, for_ever ? " and all behind it" : "",
           failed_line, what);
    for (i = 0; i < held_count; i++)
        printf("      held: kind %d of line %d\n", (int)held[i].kind, held[i].line);
}

static void act(vit_client *t)
{
    vit_feature_toggled e;
    vit_error           error;
    unsigned            i;
    memset(&e, 0, sizeof e);
    memset(&error, 0, sizeof error);
    e.feature_name = "life";
    error.message = "it broke";
    vit_session_begin(t, "normal", NULL);
    for (i = 0; i < 5; i++) (void)vit_track_feature_toggled(t, &e);
    (void)vit_track_error(t, &error);
    (void)vit_track_error(t, &error);
}

static vit_client *born(const char *folder, bool thread)
{
    vit_options o = options_granted("http://127.0.0.1:9/", folder);
    o.audit = true;
    o.crash_handler = true;
    o.flush_ms = 1;
    o.queue_bytes = 65536;
    o.no_thread = !thread;
    o.transport.send_fn = answer;
    return vit_create(&o);
}

static void dies(vit_client *t, bool quiet)
{
    unsigned i;
    if (quiet && t && !is_balanced(t)) blame("the books do not balance");
    for (i = 0; i < 50 && vit_pump(t); i++) {}
    if (quiet && t && !is_balanced(t)) blame("the books do not balance at the end");
    (void)vit_destroy(t, 200);
}

/* Away, a restart, back, refused, granted again. */
static void live(const char *folder)
{
    vit_client *t;
    status_now = 503;
    t = born(folder, false);
    act(t);
    (void)vit_flush(t, 0);
    dies(t, true);
    status_now = 201;
    t = born(folder, true);
    act(t);
    (void)vit_flush(t, 50);
    (void)vit_export(t, no_line, NULL);
    vit_reset_identity(t);
    act(t);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    act(t);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    act(t);
    vit_session_end(t, VIT_EXIT_NORMAL);
    dies(t, false);
}

/* False: no call failed. */
static bool run(const char *folder, unsigned at, bool ever)
{
    unsigned    before;
    vit_client *t;
    fails_at = at;
    for_ever = ever;
    calls = failed_line = 0;
    armed = true;
    live(folder);
    armed = false;
    if (held_count > 0) blame("not all was let go");
    held_count = 0;
    before = delivered;
    t = born(folder, false);                 /* the failures are over: an event arrives, */
    vit_set_consent(t, VIT_CONSENT_GRANTED); /* where the grant before could not be stored, too */
    act(t);
    if (!t || !vit_flush(t, 20000) || delivered == before) blame("nothing arrives afterwards");
    vit_purge(t);
    dies(t, true);
    if (held_count > 0) blame("not all was let go afterwards");
    held_count = 0;
    return failed_line != 0;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "torture_live.data";
    unsigned    step = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1, runs = 0, at, ever;
    unsigned    first = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    unsigned    most = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 10;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (step < 1) step = 1;
    (void)run(folder, 0, false);
    if (failures) return 1;
    printf("%u calls can fail\n", calls);
    for (ever = 0; ever < 2 && failures < most; ever++)
        for (at = first + ever * (step / 2); failures < most; at += step) {
            runs++;
            if (!run(folder, at, ever != 0)) break; /* untouched */
        }
    printf("%u passed, %u failed\n", runs - (failures < runs ? failures : runs), failures);
    return failures ? 1 : 0;
}
