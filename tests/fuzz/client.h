/* client.h - a client for targets that read what another run left. It has no thread, no folder and
   no transport, and is put back to how it was made before each input. */

#ifndef TESTS_FUZZ_CLIENT_H
#define TESTS_FUZZ_CLIENT_H

#include "header.h"
#include "../environment.h"
#define JSON_TWICE true /* who writes what is hostile may give a key twice */
#include "../json_strict.h"
#include "../options.h"

/* Everything that the client asks the allocator for has one place each time, of exactly its size,
   so that a sanitizer sees each byte beyond it, and no input costs an allocation. */
typedef struct fuzz_block {
    void  *memory;
    size_t size;
    bool   used;
} fuzz_block;

#define FUZZ_BLOCKS 256u
static fuzz_block fuzz_blocks[FUZZ_BLOCKS];

static void *fuzz_alloc(size_t size, void *user)
{
    uint32_t i;
    (void)user;
    for (i = 0; i < FUZZ_BLOCKS && fuzz_blocks[i].memory; i++) {
        if (fuzz_blocks[i].used || fuzz_blocks[i].size != size) continue;
        fuzz_blocks[i].used = true;
        return fuzz_blocks[i].memory;
    }
    if (i == FUZZ_BLOCKS) return malloc(size);
    fuzz_blocks[i].memory = malloc(size);
    fuzz_blocks[i].size = size;
    fuzz_blocks[i].used = true;
    return fuzz_blocks[i].memory;
}

static void fuzz_free(void *memory, void *user)
{
    uint32_t i;
    (void)user;
    for (i = 0; i < FUZZ_BLOCKS && fuzz_blocks[i].memory; i++)
        if (fuzz_blocks[i].memory == memory) {
            fuzz_blocks[i].used = false;
            return;
        }
    free(memory);
}

static vit_response fuzz_send(const vit_request *request, void *user)
{
    vit_response none = { 0, 0 };
    (void)request, (void)user;
    return none;
}

#define FUZZ_SECRET "S3cr3t!x"

static vit_client *fuzz_client;
static vit_client  fuzz_client_then; /* how it was made */

/* Events of each kind in its queue. */
static void fuzz_client_record(vit_client *t)
{
    static const char *const keys[] = { "format", "path", "text", "count" };
    vit_error                error;
    vit_event                e;
    uint32_t                 i;
    vit_session_begin(t, NULL, "menu");
    vit_set_context(t, "sqlite", "a collection");
    for (i = 0; i < 3; i++) {
        vit_event_begin(&e, t, i ? "file.opened" : "a.name", NULL);
        vit_add_label(&e, keys[0], i ? "csv" : "a@b.cc");
        vit_add_text(&e, keys[2], "quoted \" \\ \xC3\xA9\n and more");
        vit_add_int(&e, keys[3], -123456789012345);
        vit_add_real(&e, "rate", 0.1 * i);
        vit_add_flag(&e, "flag", i == 1);
        vit_add_hash(&e, keys[1], "hashed");
        vit_add_uuid(&e, "some_id", "123e4567-e89b-42d3-a456-426614174000");
        vit_event_send(&e);
    }
    memset(&error, 0, sizeof error);
    error.type = "IOError";
    error.message = "cannot read";
    for (i = 0; i < 3; i++) (void)vit_track_error(t, &error);
}

/* In the way of the caller's: alive as long as the program. */
static void fuzz_client_make(void)
{
    vit_options o;
    if (fuzz_client) return;
    environment_forget();
    setenv("HOME", "/nonexistent/zq.tester", 1);
    setenv("USER", "zq.tester", 1);
    setenv("LOGNAME", "zq.tester", 1);
    o = options_granted("http://127.0.0.1:9/api/v1/telemetry", "");
    o.app_version = "1.2.3";
    o.no_thread = true;
    o.queue_bytes = 65536;
    o.wire = VIT_WIRE_NDJSON;
    o.batch_bytes = 16384;
    o.batch_events = 8;
    o.allocator.alloc_fn = fuzz_alloc;
    o.allocator.free_fn = fuzz_free;
    o.transport.send_fn = fuzz_send;
    fuzz_client = vit_create(&o);
    demand(fuzz_client != NULL, "a client is made");
    fuzz_client->recorder.ids->key[0] = fuzz_client->recorder.ids->key[1] = 1;
    fuzz_client->recorder.permission |= VITP_MAY_TRACE;
    demand(vit_register_secret(fuzz_client, FUZZ_SECRET, 0), "a secret is registered");
}

static void fuzz_client_keep(void) { fuzz_client_then = *fuzz_client; }
static void fuzz_client_reset(void)
{
    *fuzz_client = fuzz_client_then;
    fuzz_client->recorder.ids->count = 0;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

/* Is the body of the batch what its form says? */
static void fuzz_check_body(const vit_client *t)
{
    const char *at = t->body, *end = at + t->batch.size, *line;
    size_t      lines = 0;
    demand(t->batch.size <= t->body_capacity, "a body has its size");
    demand(!memmem(at, t->batch.size, FUZZ_SECRET, sizeof FUZZ_SECRET - 1), "no secret leaves");
    if (t->form != VIT_WIRE_NDJSON) {
        demand(json_is_valid(at, t->batch.size), "a body is JSON");
        demand(*at == (t->form == VIT_WIRE_ARRAY ? '[' : '{'), "of the type that it has");
        return;
    }
    for (; at < end; at = line + 1, lines++) {
        line = (const char *)memchr(at, '\n', (size_t)(end - at));
        demand(line != NULL && *at == '{', "each line is an object");
        demand(json_is_valid(at, (size_t)(line - at)), "and JSON");
    }
    demand(lines == t->batch.events, "as many lines as events");
}

/* A server's answers, in two bits each; behind them it takes everything. */
static unsigned fuzz_answer_of(uint64_t *answers)
{
    unsigned answer = (unsigned)(*answers & 3u);
    *answers >>= 2;
    return answer;
}

/* What the server says to the batch that was built, as the worker takes it. 1: no, 2: it is
   away, else yes. */
static void fuzz_answer_batch(vit_client *t, unsigned answer)
{
    uint32_t events = (uint32_t)t->batch.events;
    fuzz_reached++;
    if (answer == 1u) {
        vitp_worker_rejected(t);
    } else if (answer == 2u) {
        t->batch.attempts++;
        if (!t->batch.stock) t->spool.tried = true;
    } else {
        vitp_batch_finish(t, &t->delivered);
        vitp_worker_limit(t, events);
    }
}

static uint64_t fuzz_dropped(const vit_client *t)
{
    uint64_t n = 0;
    uint32_t i;
    for (i = 0; i < VIT_DROP_COUNT; i++) n += t->dropped[i] + t->spool.dropped[i];
    return n;
}

#endif /* TESTS_FUZZ_CLIENT_H */
