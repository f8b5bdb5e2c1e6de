/* spool.c: the reader of the spool on any file, and on one that is whole but for what it says: of
   every other input the checks are repaired, so that what is behind them is reached. What is built
   of it is JSON in each form, whatever the server answers; a request that got no answer is repeated
   as it was; each record is counted once; a head that cannot be right hides none; and the end comes
   soon.

   An input: what to do, the server's answers in 8 bytes, the file. */

#include "client.h"

#define SPOOL_ROOM 32768u
#define SPOOL_NAME FUZZ_FOLDER "/vector-inspector.6b49d200-u-1-0123456789abcdef.spool"

enum {
    SPOOL_REPAIR = 1, /* checks are put right */
    SPOOL_MARK = 2,   /* and the identity */
    SPOOL_TIGHT = 4,  /* the spool is small */
    SPOOL_FORM = 8,   /* 2 bits */
    SPOOL_SHORT = 32  /* a request has little room */
};

static unsigned char spool_room[SPOOL_ROOM];

/* Gives each record and each batch that could be one its check, and its identity. */
static void spool_repair(unsigned char *bytes, size_t size, bool mark)
{
    vitp_spool_head  head;
    vitp_spool_frame frame;
    vitp_spool_batch batch;
    size_t           at = sizeof head;
    if (size < sizeof head) return;
    memcpy(&head, bytes, sizeof head);
    head.check = vitp_spool_crc(0, &head, offsetof(vitp_spool_head, check));
    memcpy(bytes, &head, sizeof head);
    while (size - at >= sizeof frame) {
        memcpy(&frame, bytes + at, sizeof frame);
        memcpy(&batch.magic, bytes + at, sizeof batch.magic);
        if (frame.magic == VITP_SPOOL_RECORD && frame.size <= size - at - sizeof frame) {
            if (mark) frame.mark = fuzz_client->spool.mark;
            frame.check = vitp_spool_check_record(&frame, bytes + at + sizeof frame);
            memcpy(bytes + at, &frame, sizeof frame);
            at += sizeof frame + frame.size;
        } else if (batch.magic == VITP_SPOOL_BATCH && size - at >= sizeof batch) {
            memcpy(&batch, bytes + at, sizeof batch);
            batch.check = vitp_spool_crc(0, &batch, offsetof(vitp_spool_batch, check));
            memcpy(bytes + at, &batch, sizeof batch);
            at += sizeof batch;
        } else {
            at++;
        }
    }
}

/* As vitp_spool_open_next leaves it: found, and locked. */
static void spool_put(vitp_spool *s, const uint8_t *data, size_t size)
{
    if (size > SPOOL_ROOM) size = SPOOL_ROOM;
    fuzz_disk.bytes = spool_room;
    fuzz_disk.size = size;
    if (size) memcpy(spool_room, data, size);
    memset(&s->in, 0, sizeof s->in);
    s->in.file.file = FUZZ_FD;
    s->in.file.inode = 1;
    s->in.file.open = true;
    s->in.file.size = size;
    s->in.file.changed_s = vitp_os_wall_s();
    memcpy(s->in.file.path, SPOOL_NAME, sizeof SPOOL_NAME);
}

/* A head whose positions cannot be right, before a whole record, and none of another machine. */
static bool spool_is_hidden(const unsigned char *bytes, size_t size, size_t cap)
{
    vitp_spool_head  head;
    vitp_spool_frame frame;
    vitp_spool_batch batch;
    size_t           at = sizeof head;
    if (size < sizeof head) return false;
    memcpy(&head, bytes, sizeof head);
    if (vitp_spool_head_is_foreign(&head)) return false;
    if (head.begin >= sizeof head && head.begin <= head.end && head.end <= size) return false;
    if (size > cap) size = cap;
    if (vitp_spool_batch_at((const char *)bytes, at, size, &batch)) at += sizeof batch;
    return vitp_spool_record_at((const char *)bytes, at, size, &frame) != NULL;
}

static void spool_check_balance(const vit_client *t)
{
    demand(t->spool.records == 0, "nothing waits");
    demand(t->spool.adopted + t->adopted_records == t->delivered + fuzz_dropped(t),
           "each record is counted once");
}

/* A request that is made again after no answer. */
static void spool_check_again(const vit_client *t, const char *key, size_t size, uint32_t crc)
{
    demand(t->batch.size == size && vitp_spool_crc(0, t->body, size) == crc, "repeated as it was");
    demand(strcmp(t->batch.key, key) == 0, "under its key");
}

static void spool_deliver(vit_client *t, uint64_t answers)
{
    uint32_t turns = 64u + 64u * t->spool.in.records, crc = 0;
    char     key[33] = "";
    size_t   size = 0;
    unsigned answer = 0;
    while (vitp_batch_build_spooled(t)) {
        demand(turns-- > 0, "an end comes");
        fuzz_check_body(t);
        demand(vitp_text_is_hex(t->batch.key, 32), "a request has a key");
        if (answer == 2u) spool_check_again(t, key, size, crc);
        answer = fuzz_answer_of(&answers);
        size = t->batch.size;
        crc = vitp_spool_crc(0, t->body, size);
        memcpy(key, t->batch.key, sizeof key);
        fuzz_answer_batch(t, answer);
    }
}

static void spool_client(unsigned what)
{
    vit_client *t;
    if (!fuzz_client || fuzz_client->spool.cap == 0) {
        fuzz_client_make();
        fuzz_client->spool.cap = SPOOL_ROOM;
        fuzz_client->spool.days = 14;
        fuzz_client_keep();
    }
    fuzz_client_reset();
    t = fuzz_client;
    t->form = (vit_wire)(what / SPOOL_FORM & 3u);
    t->batch_events = t->batch_limit = t->form == VIT_WIRE_EVENT ? 1u : 8u;
    if (what & SPOOL_TIGHT) t->spool.cap = 1024;
    if (what & SPOOL_SHORT) t->body_capacity = 1024;
}

static void fuzz_spool(const uint8_t *data, size_t size)
{
    fuzz_feed   f = { data, size };
    unsigned    what = fuzz_u8(&f);
    uint64_t    answers = fuzz_u64(&f);
    vitp_spool *s;
    bool        hidden;
    spool_client(what);
    s = &fuzz_client->spool;
    spool_put(s, f.at, f.left);
    if (what & SPOOL_REPAIR) spool_repair(spool_room, fuzz_disk.size, (what & SPOOL_MARK) != 0);
    s->folder = FUZZ_FOLDER;
    hidden = spool_is_hidden(spool_room, fuzz_disk.size, (size_t)s->cap);
    if (vitp_spool_take(s)) {
        demand(!hidden || s->in.records > 0, "a head that cannot be right hides nothing");
        s->folder = ""; /* no other file is looked for */
        if (s->in.records == 0) vitp_spool_finish_in(s);
        spool_deliver(fuzz_client, answers);
    }
    demand(!s->bytes, "the file is let go");
    spool_check_balance(fuzz_client);
}

/* ---- seeds: files as the client writes them -------------------------------------------------- */

typedef struct spool_pen {
    uint8_t *out;
    size_t   size, room;
    uint32_t records;
} spool_pen;

static void spool_put_bytes(spool_pen *pen, const void *data, size_t size)
{
    demand(size <= pen->room - pen->size, "a seed has room");
    memcpy(pen->out + pen->size, data, size);
    pen->size += size;
}

static bool spool_write_record(const void *record, uint32_t size, void *user)
{
    spool_pen       *pen = (spool_pen *)user;
    char             room[VITP_SPOOL_RECORD_MAX];
    vitp_json        json = { NULL, 0, sizeof room, false };
    vitp_wire_job    job = vitp_stock_job(&fuzz_client->own, VITP_SHAPE_RECORD, vitp_os_now_ns());
    vitp_spool_frame frame;
    json.data = room;
    if (vitp_wire_event(&fuzz_client->wire, &job, &json, "", record, size) != VITP_WIRE_WRITTEN)
        return true;
    frame.magic = VITP_SPOOL_RECORD;
    frame.size = (uint32_t)json.size;
    frame.mark = fuzz_client->spool.mark;
    frame.check = vitp_spool_check_record(&frame, room);
    spool_put_bytes(pen, &frame, sizeof frame);
    spool_put_bytes(pen, room, json.size);
    pen->records++;
    return true;
}

static void spool_write_batch(spool_pen *pen, size_t most)
{
    vitp_spool_batch batch;
    size_t           at = pen->size;
    memset(&batch, 0, sizeof batch);
    spool_put_bytes(pen, &batch, sizeof batch);
    pen->records = 0;
    (void)vit_queue_drain(fuzz_client->own.queue, spool_write_record, pen, most);
    batch.magic = VITP_SPOOL_BATCH;
    batch.records = pen->records;
    memset(batch.key, 'a', sizeof batch.key);
    batch.check = vitp_spool_crc(0, &batch, offsetof(vitp_spool_batch, check));
    memcpy(pen->out + at, &batch, sizeof batch);
}

/* Two batches, in each form, with and without repair; then with a begin beyond the end, and an end
   beyond the file. */
static size_t seed_spool(unsigned number, uint8_t *out, size_t room)
{
    spool_pen       pen = { NULL, 9, 0, 0 };
    vitp_spool_head head;
    if (number >= 12) return 0;
    spool_client(0);
    fuzz_client_record(fuzz_client);
    pen.out = out;
    pen.room = room;
    memset(out, 0, pen.size);
    out[0] = (uint8_t)(number * 4u + (number & 1u ? SPOOL_REPAIR | SPOOL_MARK : 0));
    out[1] = (uint8_t)(number * 37u);
    vitp_spool_init_head(&head);
    spool_put_bytes(&pen, &head, sizeof head);
    spool_write_batch(&pen, 3);
    spool_write_batch(&pen, (size_t)-1);
    head.end = pen.size - 9u;
    if (number >= 8 && number < 10) head.begin = head.end + 1u;
    if (number >= 10) head.end++;
    head.check = vitp_spool_crc(0, &head, offsetof(vitp_spool_head, check));
    memcpy(out + 9, &head, sizeof head);
    return pen.size;
}

FUZZ_TARGET_SEEDED(spool)
