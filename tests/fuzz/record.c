/* record.c: what a killed process left, with anything in it: the pool, its ledger with contexts,
   schemas, journal, crashes and errors that came again, and the marker of a run. It is taken over
   as a file that was found is; its records become JSON in each form and records of the spool, and
   those JSON again. What leaves is JSON, each record is counted once, and the end comes soon.

   A file of this kind is large and mostly zeros. An input says what to do, has the server's answers
   in 8 bytes, and then changes to a file as a real run leaves it: a place of a table, an index in
   it, an offset, a size, bytes. So the empty input is such a file. */

#include "client.h"

#define RECORD_CAPACITY VITP_QUEUE_CAPACITY_MIN
#define RECORD_BYTES    (sizeof(vitp_ledger) + RECORD_CAPACITY + 16384u)
#define RECORD_POOL     FUZZ_FOLDER "/a.pool"

enum {
    RECORD_MARKER = 1,  /* it is the marker of a run, not a pool */
    RECORD_AGAIN = 2,   /* a request was under way */
    RECORD_SPOOLED = 4, /* records go into the spool, not to the server */
    RECORD_FORM = 8,    /* 2 bits */
    RECORD_DONE = 32,   /* and was answered */
    RECORD_TIGHT = 64   /* a request has little room */
};

static union {
    vitp_ledger   ledger;
    unsigned char bytes[RECORD_BYTES];
} record_then, record_now; /* as it was left, and changed */
static size_t record_size;

/* ---- what a run leaves ----------------------------------------------------------------------- */

typedef struct record_pen {
    vit_queue *queue;
    uint32_t   count;
} record_pen;

/* Some by the way of a thread's own chunk, some by that of a forked child's, the shared one. */
static bool record_copy(const void *record, uint32_t size, void *user)
{
    record_pen *pen = (record_pen *)user;
    if (pen->count++ % 2u) (void)vitp_queue_push_in_child(pen->queue, record, size, false);
    else (void)vit_queue_push(pen->queue, record, size);
    return true;
}

static void record_leave_run(vitp_ledger *l)
{
    vitp_crash *crash = &l->run.crashes[0];
    l->run.state = VITP_RUN_OPEN;
    l->run.handler = 1;
    l->run.session_ns = l->writer.begin_ns;
    l->run.alive_ns = l->writer.begin_ns + 5000000000u;
    crash->state = VITP_CRASH_THERE;
    crash->touched = VITP_TOUCHED_NULL;
    crash->context = l->context;
    crash->time_ns = l->run.alive_ns;
    crash->offset = 0x1234;
    memcpy(crash->type, "SIGSEGV", 8);
    memcpy(crash->module, "app", 4);
    l->repeats[0].word = VITP_REPEAT_WORD(5u, l->repeat_turn, VITP_REPEAT_READY);
    l->repeats[0].count = 2;
    l->writer.process = 0;
    l->writer.begin_s -= 60;
    memset(l->writer.run_id, 7, sizeof l->writer.run_id);
}

/* A request of it was under way. */
static void record_leave_request(vit_client *t, vitp_ledger *l, vit_queue *q)
{
    vitp_stock stock;
    memset(&stock, 0, sizeof stock);
    stock.ledger = l;
    stock.queue = q;
    demand(vitp_batch_build(t, &stock, vitp_os_now_ns()), "a request is under way");
    demand(l->batch_state == VITP_BATCH_SENT && l->batch_segments > 0, "and the ledger says so");
    memset(&t->batch, 0, sizeof t->batch);
}

/* Nothing waits for a full batch. */
static void record_hurry(vit_client *t)
{
    t->hurry = true;
    t->hurry_end = t->released + (uintptr_t)-1 / 2u;
}

static void record_make(void)
{
    static uint64_t own[8192];
    vit_client     *t;
    vitp_ledger    *l = &record_then.ledger;
    vitp_pool      *pool;
    record_pen      pen = { NULL, 0 };
    if (record_size) return;
    fuzz_client_make();
    t = fuzz_client;
    t->spool.cap = 65536;
    t->spool.days = 14;
    fuzz_client_record(t);
    memcpy(l, t->own.ledger, sizeof *l);
    l->writer.capacity = RECORD_CAPACITY;
    record_size = vitp_ledger_bytes(RECORD_CAPACITY) + vitp_pool_bytes(RECORD_CAPACITY);
    demand(record_size <= sizeof record_then &&
               vitp_queue_own_bytes(RECORD_CAPACITY) < sizeof own - 64u,
           "there is room");
    pool = vitp_pool_init(vitp_ledger_pool(l, RECORD_CAPACITY), RECORD_CAPACITY);
    pen.queue = (vit_queue *)(void *)((char *)own + (64u - ((uintptr_t)own & 63u)));
    pen.queue = vitp_queue_attach(pen.queue, pool, RECORD_CAPACITY);
    (void)vit_queue_peek(t->own.queue, record_copy, &pen, (size_t)-1);
    demand(pen.count >= 5, "there are records");
    record_leave_request(t, l, pen.queue);
    record_leave_run(l);
    record_hurry(t);
    while (vitp_batch_build(t, &t->own, vitp_os_now_ns())) vitp_batch_finish(t, NULL);
    fuzz_client_keep();
}

/* ---- changes to it --------------------------------------------------------------------------- */

typedef struct record_place {
    size_t begin, stride, count; /* count: of pieces, one every stride bytes */
} record_place;

#define RECORD_PLACE(member)                                                 \
    {                                                                        \
        offsetof(vitp_ledger, member), sizeof(((vitp_ledger *)0)->member), 1 \
    }
#define RECORD_TABLE(member, n)                                                      \
    {                                                                                \
        offsetof(vitp_ledger, member[0]), sizeof(((vitp_ledger *)0)->member[0]), (n) \
    }

static const record_place record_places[] = {
    RECORD_PLACE(writer),       RECORD_PLACE(permission),
    RECORD_PLACE(batch_state),  RECORD_PLACE(batch_segments),
    RECORD_PLACE(batch_key),    RECORD_TABLE(contexts, VITP_CONTEXTS_MAX),
    RECORD_PLACE(run),          RECORD_TABLE(run.crashes, VITP_CRASHES_MAX),
    RECORD_TABLE(repeats, 4),   RECORD_TABLE(schemas, VITP_TYPES_MAX),
    RECORD_PLACE(schema_bytes),
};

enum { /* places behind those */
    RECORD_JOURNAL = sizeof record_places / sizeof record_places[0],
    RECORD_POOL_HEAD,
    RECORD_CHUNK,
    RECORD_CHUNK_DATA,
    RECORD_ANYWHERE,
    RECORD_FILLED, /* a chunk with records of any content */
    RECORD_HEADED, /* and with one that has a head; as often as two others */
    RECORD_CHANGES = RECORD_HEADED + 2
};

static vitp_pool *record_pool_then(void)
{
    return vitp_ledger_pool(&record_then.ledger, RECORD_CAPACITY);
}

/* In the file that is changed; its own pool's head may be anything by now. */
static unsigned char *record_chunk(unsigned index)
{
    vitp_pool  *pool = record_pool_then();
    const void *chunk = vitp_pool_chunk(pool, index % pool->chunk_count);
    return record_now.bytes + ((const unsigned char *)chunk - record_then.bytes);
}

static record_place record_place_of(unsigned which)
{
    const vitp_pool *pool = record_pool_then();
    record_place     place = { 0, 0, 1 };
    if (which < RECORD_JOURNAL) return record_places[which];
    place.stride = record_size;
    switch (which) {
    case RECORD_JOURNAL:
        place.begin = VITP_QUEUE_ALIGN(sizeof(vitp_ledger));
        place.stride = sizeof(vitp_journal);
        place.count = 8;
        break;
    case RECORD_POOL_HEAD:
        place.begin = vitp_ledger_bytes(RECORD_CAPACITY);
        place.stride = sizeof *pool + pool->chunk_count * sizeof(uint32_t);
        break;
    case RECORD_CHUNK:
    case RECORD_CHUNK_DATA:
        place.begin = (size_t)(record_chunk(0) - record_now.bytes);
        place.begin += which == RECORD_CHUNK_DATA ? sizeof(vitp_chunk) : 0;
        place.stride = pool->chunk_bytes;
        place.count = pool->chunk_count;
        break;
    default: break;
    }
    return place;
}

static void record_overwrite(fuzz_feed *f, unsigned which, unsigned index)
{
    record_place place = record_place_of(which);
    size_t       offset = fuzz_u16(f), size = fuzz_u8(f) % 65u, at;
    const void  *data = fuzz_bytes(f, &size);
    if (which == RECORD_ANYWHERE) offset = offset << 8 | index;
    at = place.begin + index % place.count * place.stride + offset % place.stride;
    if (size > record_size - at) size = record_size - at;
    memcpy(record_now.bytes + at, data, size);
}

/* What a record's head says: a thread and how many of its records came before, from a byte, and
   whether it is done. */
static uint32_t record_mark(unsigned mark, bool shared)
{
    uint32_t what = (uint32_t)(mark & 3u) << 16;
    what |= mark & 4u ? VITP_HEAD_COUNT_ONE : 0u;
    what |= mark & 8u ? VITP_HEAD_INSIDE : 0u;
    what |= (mark & 48u) == 48u ? VITP_HEAD_SKIP : 0u;
    return what | (shared && (mark & 192u) != 192u ? VITP_HEAD_DONE : 0u);
}

/* Lays the input's bytes into a chunk, as records that the chunk counts. */
static void record_fill(fuzz_feed *f, unsigned index)
{
    vitp_chunk *c = (vitp_chunk *)(void *)record_chunk(index);
    bool        shared = (index & 128u) != 0;
    uint32_t    at = 0, need;
    while (f->left > 0) {
        size_t      size = 1u + fuzz_u8(f) % 250u;
        uint32_t    what = record_mark(fuzz_u8(f), shared), number = fuzz_u8(f) % 16u;
        const void *data = fuzz_bytes(f, &size);
        vitp_head  *head = vitp_queue_head(c, at);
        need = vitp_queue_need((uint32_t)size);
        if (size == 0 || need > record_pool_then()->data_bytes - at) break;
        head->what = what | (uint32_t)size;
        head->number = number;
        memcpy(head + 1, data, size);
        at += need;
    }
    c->word = at | (shared ? VITP_WORD_SHARED : 0u);
    c->released = 0;
}

/* The same with one record, whose head is right as far as it must be for the rest to be looked
   at. */
static void record_fill_headed(fuzz_feed *f, unsigned index)
{
    struct {
        uint8_t       size, mark, number;
        unsigned char bytes[sizeof(vitp_record_head) + 191u];
    } one;
    fuzz_feed        made = { (const uint8_t *)&one, 0 };
    vitp_record_head head;
    size_t           size = fuzz_u8(f) % 192u;
    const void      *data;
    memset(&head, 0, sizeof head);
    head.time_ns = 999000000000u;
    head.rate = 1.0;
    head.context = fuzz_u8(f) % 10u;
    head.type =
        (uint16_t)(fuzz_u8(f) & 1u ? VITP_RECORD_ADHOC : fuzz_u8(f) % (VITP_TYPES_MAX + 1u));
    head.flags = fuzz_u8(f) & 15u;
    head.name_size = fuzz_u8(f) % 70u;
    head.seed_kind = fuzz_u8(f);
    head.identity = (uint16_t)record_then.ledger.identity;
    data = fuzz_bytes(f, &size);
    one.size = (uint8_t)(sizeof head + size - 1u);
    one.mark = fuzz_u8(f);
    one.number = fuzz_u8(f);
    memcpy(one.bytes, &head, sizeof head);
    if (size) memcpy(one.bytes + sizeof head, data, size);
    made.left = 3u + sizeof head + size;
    record_fill(&made, index);
}

static void record_change(fuzz_feed *f)
{
    unsigned which = fuzz_u8(f) % RECORD_CHANGES, index = fuzz_u8(f);
    if (which >= RECORD_HEADED) record_fill_headed(f, index);
    else if (which == RECORD_FILLED) record_fill(f, index);
    else record_overwrite(f, which, index);
}

/* ---- taking it over -------------------------------------------------------------------------- */

static void record_client(unsigned what)
{
    record_make();
    fuzz_client_reset();
    fuzz_client->form = (vit_wire)(what / RECORD_FORM & 3u);
    fuzz_client->batch_events = fuzz_client->form == VIT_WIRE_EVENT ? 1u : 8u;
    fuzz_client->batch_limit = fuzz_client->batch_events;
    fuzz_client->crashed_s = 0; /* as in vit_create */
    if (what & RECORD_TIGHT) fuzz_client->body_capacity = 1024;
}

static void record_put(vitp_stock *s, size_t size)
{
    fuzz_disk.bytes = record_now.bytes;
    fuzz_disk.size = size;
    memset(s, 0, sizeof *s);
    s->file.file = FUZZ_FD;
    s->file.inode = 1;
    s->file.open = true;
    s->file.size = size;
    s->file.changed_s = vitp_os_wall_s();
    memcpy(s->file.path, RECORD_POOL, sizeof RECORD_POOL);
}

/* What the spool would hold of a record is read again. */
static bool record_respool(const void *record, uint32_t size, void *user)
{
    static char           room[VITP_SPOOL_RECORD_MAX], text[VITP_EVENT_JSON_MAX];
    vit_client           *t = fuzz_client;
    const vitp_stock     *s = (const vitp_stock *)user;
    const vitp_wire_form *form = vitp_wire_form_of(t->form);
    vitp_wire_job         job = vitp_stock_job(s, VITP_SHAPE_RECORD, vitp_os_now_ns());
    vitp_json        json = { NULL, 0, sizeof room, false }, out = { NULL, 0, sizeof text, false };
    vitp_wire_result result;
    json.data = room;
    out.data = text;
    if (vitp_wire_event(&t->wire, &job, &json, "", record, size) != VITP_WIRE_WRITTEN) return true;
    job = vitp_wire_spool_job(form->shape);
    vitp_json_text(&out, form->shape == VITP_SHAPE_OTLP ? "" : form->open);
    result = vitp_wire_event(&t->wire, &job, &out, "", room, (uint32_t)json.size);
    demand(result == VITP_WIRE_WRITTEN || result == VITP_WIRE_FULL || result == VITP_WIRE_SECRET,
           "what went into the spool can be read");
    vitp_json_text(&out, form->shape == VITP_SHAPE_OTLP ? form->close
                         : t->form == VIT_WIRE_ARRAY    ? "]"
                                                        : "");
    if (result == VITP_WIRE_WRITTEN && !out.full)
        demand(json_is_valid(text, out.size), "and is JSON");
    return true;
}

static void record_deliver(vit_client *t, vitp_stock *s, uint64_t answers)
{
    uint32_t turns = 4096, more = 0;
    while (s->queue && more++ < 64u) {
        while (vitp_batch_build(t, s, vitp_os_now_ns())) {
            demand(turns-- > 0, "an end comes");
            fuzz_check_body(t);
            demand(vitp_text_is_hex(t->batch.key, 32), "a request has a key");
            fuzz_answer_batch(t, fuzz_answer_of(&answers));
        }
        if (vitp_stock_is_empty(s)) break;
    }
    demand(!s->queue || vitp_stock_is_empty(s), "nothing is left");
}

static void record_adopt(vit_client *t, unsigned what, uint64_t answers)
{
    vitp_stock *s = &t->adopted;
    record_put(s, record_size);
    vitp_worker_adopt_file(t, FUZZ_FOLDER);
    if (s->queue && (what & RECORD_SPOOLED)) (void)vitp_stock_peek(s, record_respool, s);
    record_deliver(t, s, answers);
    if (s->queue) vitp_worker_put_down(t, true);
    demand(!s->file.open && !s->block, "the file is let go");
    demand(t->adopted_records == t->adopted_released, "each record is released");
    demand(t->adopted_records == t->delivered + fuzz_dropped(t), "and counted once");
}

static void record_hear(vit_client *t)
{
    vitp_marker marker;
    marker.writer = record_now.ledger.writer;
    marker.run = record_now.ledger.run;
    marker.context =
        record_now.ledger.contexts[record_now.ledger.context & (VITP_CONTEXTS_MAX - 1u)];
    memcpy(record_now.bytes, &marker, sizeof marker);
    record_put(&t->adopted, sizeof marker);
    vitp_worker_hear_marker(t);
    demand(!t->adopted.file.open, "the file is let go");
}

static void fuzz_record(const uint8_t *data, size_t size)
{
    fuzz_feed   f = { data, size };
    unsigned    what = fuzz_u8(&f);
    uint64_t    answers = fuzz_u64(&f), waiting;
    vit_client *t;
    record_client(what);
    t = fuzz_client;
    memcpy(record_now.bytes, record_then.bytes, record_size);
    if (!(what & RECORD_AGAIN)) record_now.ledger.batch_state = VITP_BATCH_NONE;
    else if (what & RECORD_DONE) record_now.ledger.batch_state = VITP_BATCH_DONE;
    while (f.left > 0) record_change(&f);
    if (what & RECORD_MARKER) record_hear(t);
    else record_adopt(t, what, answers);
    t->delivered = 0; /* and what is told of the run */
    waiting = vitp_queue_pushed(t->own.queue) - t->released;
    record_hurry(t);
    record_deliver(t, &t->own, answers);
    demand(t->delivered <= waiting, "no more is told than there is");
    fuzz_client_then.released = t->released;
}

/* Each way of what is done with the file, and a change of each kind. */
static size_t seed_record(unsigned number, uint8_t *out, size_t room)
{
    static const uint8_t changes[][24] = {
        { RECORD_CHUNK, 15, 0, 0, 4, 0xF8, 0xFF, 0, 0x40 },   /* a shared one, of 65528 bytes */
        { RECORD_JOURNAL, 0, 0, 0, 4, 0xFF, 0xFF, 0, 0 },     /* of no chunk */
        { RECORD_JOURNAL - 2, 0, 0, 0, 4, 0xFF, 0xFF, 0, 0 }, /* a schema beyond the end */
        { RECORD_FILLED, 3, 4, 1, 1, 'a', 'b', 'c', 'd', 4, 2, 2, 'e', 'f', 'g', 'h' },
        /* an ad-hoc event a.b with the flag k */
        { RECORD_HEADED, 2, 7, 0, 1, 4, 3, 0, 'a', '.', 'b', VIT_FLAG, 1, 'k', 1 },
    };
    const unsigned ways = 128;
    size_t         size = 9;
    if (number >= ways + sizeof changes / sizeof changes[0] || room < 64) return 0;
    memset(out, 0, 64);
    if (number >= ways) {
        memcpy(out + size, changes[number - ways], sizeof changes[0]);
        out[0] = RECORD_AGAIN;
        return size + sizeof changes[0];
    }
    out[0] = (uint8_t)number;
    out[1] = (uint8_t)(number * 5u);
    return size;
}

FUZZ_TARGET_SEEDED(record)
