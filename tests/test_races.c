/* test_races.c: races that are lost. Right before a chosen atomic operation something else happens,
   as if another thread did it: who was too late must see that, and do the right thing. What all
   interleavings of some threads come to stands in explore_queue.c and explore_client.c.

   Build: cc -std=c99 -I. tests/test_races.c -o build/tests/test_races -lcmocka -pthread */

/* An operation is known by its name and by the text of what it is done to. */
static void meet(const char *name, const char *place);
#define MEET(name, p)                   meet(name, #p)
#define VITP_ATOMIC_LOAD(p)             (MEET("load", p), __atomic_load_n((p), __ATOMIC_RELAXED))
#define VITP_ATOMIC_LOAD_ACQUIRE(p)     (MEET("acquire", p), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define VITP_ATOMIC_STORE(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define VITP_ATOMIC_ADD(p, v)           ((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define VITP_ATOMIC_OR(p, v)            __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_EXCHANGE(p, v) \
    (MEET("exchange", p), __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL))
#define VITP_ATOMIC_CAS(p, expected, v) \
    (MEET("cas", p),                    \
     __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#define VITP_ATOMIC_LOAD_PTR(p)             __atomic_load_n((p), __ATOMIC_RELAXED)
#define VITP_ATOMIC_LOAD_PTR_ACQUIRE(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define VITP_ATOMIC_STORE_PTR(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_STORE_PTR_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define VITP_ATOMIC_ADD_PTR(p, v)           __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_CAS_PTR(p, expected, v) \
    (MEET("cas", p),                        \
     __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#define VITP_ATOMIC_LIGHT_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define VITP_ATOMIC_HEAVY_BARRIER() true /* there is one thread, which plays the others */

#define VITP_OS_THREAD_POINTER() ((uintptr_t)thread_now)
static unsigned long thread_now = 65536; /* which thread is played */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "common.h"

#define RACE_ONE(X)   X(VIT_INT, n)
#define RACE_OTHER(X) X(VIT_INT, other_key)
VIT_EVENT_DECLARE(race_one, RACE_ONE);
VIT_EVENT_DECLARE(race_other, RACE_OTHER);
VIT_EVENT_DEFINE(race_one, "race.one", 1.0, RACE_ONE)
VIT_EVENT_DEFINE(race_other, "race.other", 1.0, RACE_OTHER)

/* ---- what happens meanwhile ------------------------------------------------------------------ */

static struct {
    const char *name, *place;
    unsigned    after; /* so many such operations go by */
    void (*fn)(void);
} race;

static void meet(const char *name, const char *place)
{
    void (*fn)(void) = race.fn;
    if (!fn || strcmp(name, race.name) != 0 || strcmp(place, race.place) != 0) return;
    if (race.after-- > 0) return;
    race.fn = NULL;
    fn();
}

static void before(const char *name, const char *place, unsigned after, void (*fn)(void))
{
    race.name = name;
    race.place = place;
    race.after = after;
    race.fn = fn;
}

static void assert_met(void) { assert_true(race.fn == NULL); }

/* ---- the queue ------------------------------------------------------------------------------- */

#define ME    65536u
#define OTHER 131072u

static void       *memory;
static vit_queue  *q;
static vitp_chunk *chunk, *others;
static vitp_head  *head;
static vitp_slot  *slot;
static uint32_t    word;

static int queue_begin(void **state)
{
    size_t bytes = vit_queue_bytes(65536);
    (void)state;
    memory = NULL;
    if (posix_memalign(&memory, 64, bytes) != 0) return 1;
    q = vit_queue_init(memory, bytes);
    thread_now = ME;
    race.fn = NULL;
    chunk = others = NULL;
    head = NULL;
    return q == NULL;
}

static int queue_end(void **state)
{
    (void)state;
    free(memory);
    thread_now = ME;
    return 0;
}

/* How many records there are; each is of one byte. */
static bool count_one(const void *record, uint32_t size, void *user)
{
    (void)record;
    assert_int_equal(size, 1);
    ++*(size_t *)user;
    return true;
}

static size_t records(void)
{
    size_t n = 0, drained = vit_queue_drain(q, count_one, &n, (size_t)-1);
    assert_int_equal(drained, n);
    return n;
}

static void push_as(unsigned long thread)
{
    unsigned long before_it = thread_now;
    thread_now = thread;
    assert_true(vit_queue_push(q, "x", 1));
    thread_now = before_it;
}

static void others_take(void) { others = vitp_pool_take(q->pool, 0); }

static void test_take(void **state)
{
    uint32_t taken = q->pool->taken;
    (void)state;
    before("cas", "&p->taken", 0, others_take);
    chunk = vitp_pool_take(q->pool, 0);
    assert_met();
    assert_non_null(chunk);
    assert_non_null(others);
    assert_ptr_not_equal(chunk, others);
    assert_int_equal(q->pool->taken, taken + 2);
}

/* A shared chunk that is open. */
static void share(void)
{
    assert_true(vitp_queue_open_shared(q, 0, false));
    chunk = vitp_pool_chunk(q->pool, (q->pool->shared & 0xFFFFu) - 1u);
}

static void others_append(void)
{
    head = vitp_queue_append(q->pool, q->pool->shared, vitp_queue_need(1), false);
    assert_non_null(head);
}

/* It is closed behind the record that came in between. */
static void test_close(void **state)
{
    (void)state;
    share();
    before("cas", "&c->word", 0, others_append);
    vitp_pool_close(chunk);
    assert_met();
    assert_true(chunk->word & VITP_WORD_SEALED);
    assert_int_equal(VITP_WORD_BYTES(chunk->word), vitp_queue_need(1));
    assert_null(vitp_queue_append(q->pool, q->pool->shared, vitp_queue_need(1), false));
}

static void others_close(void) { vitp_pool_close(chunk); }

static void test_append(void **state)
{
    vitp_head *own;
    (void)state;
    share();
    before("cas", "&c->word", 0, others_append);
    own = vitp_queue_append(q->pool, q->pool->shared, vitp_queue_need(1), false);
    assert_met();
    assert_ptr_equal(head, vitp_queue_head(chunk, 0));
    assert_ptr_equal(own, vitp_queue_head(chunk, vitp_queue_need(1)));
    before("cas", "&c->word", 0, others_close);
    assert_null(vitp_queue_append(q->pool, q->pool->shared, vitp_queue_need(1), false));
    assert_met();
    assert_int_equal(VITP_WORD_BYTES(chunk->word), 2 * vitp_queue_need(1));
}

static void others_open(void) { share(); }

/* The one that was opened in vain is closed, and empty: the other is the shared one. */
static void test_open(void **state)
{
    uint32_t taken = q->pool->taken;
    (void)state;
    before("cas", "&p->shared", 0, others_open);
    assert_true(vitp_queue_open_shared(q, 0, false));
    assert_met();
    assert_int_equal(q->pool->taken, taken + 2);
    assert_int_equal((q->pool->shared & 0xFFFFu) - 1u, vitp_pool_index(q->pool, chunk));
    assert_false(chunk->word & VITP_WORD_SEALED);
    others =
        vitp_pool_chunk(q->pool, vitp_pool_free_list(q->pool)[taken & (q->pool->chunk_count - 1u)]);
    assert_ptr_not_equal(others, chunk);
    assert_true(others->word & VITP_WORD_SEALED);
    assert_int_equal(VITP_WORD_BYTES(others->word), 0);
}

/* A thread's slot with a chunk in it. */
static void own(void)
{
    push_as(ME);
    slot = vitp_queue_slot(q, ME);
    assert_ptr_equal(slot->owner, ME);
    assert_non_null(slot->chunk);
    word = slot->limit;
}

static void consumer_seals(void) { slot->limit = VITP_LIMIT_SEALING; }
static void consumer_wants(void) { slot->limit = VITP_LIMIT_WANTED; }
static void consumer_is_done(void) { slot->limit = VITP_LIMIT_NONE; }

/* The consumer takes the chunk away: before it is asked to leave it, and before the next one is
   made known to it. */
static void test_next(void **state)
{
    (void)state;
    own();
    consumer_wants();
    before("cas", "&s->limit", 0, consumer_seals);
    assert_false(vitp_queue_next(q, slot, vitp_queue_need(1)));
    assert_met();
    assert_int_equal(slot->limit, VITP_LIMIT_SEALING);
    slot->limit = VITP_LIMIT_NONE;
    before("cas", "&s->limit", 0, consumer_seals);
    assert_false(vitp_queue_next(q, slot, vitp_queue_need(1)));
    assert_met();
    assert_int_equal(slot->limit, VITP_LIMIT_SEALING);
    slot->limit = VITP_LIMIT_NONE; /* it only wants it: that it is in use ends the wish */
    before("cas", "&s->limit", 0, consumer_wants);
    assert_true(vitp_queue_next(q, slot, vitp_queue_need(1)));
    assert_met();
    assert_int_equal(slot->limit, word);
    assert_true(vitp_queue_next(q, slot, vitp_queue_need(1))); /* as it is */
    assert_int_equal(slot->limit, word);
}

static void others_claim(void) { vitp_queue_slot(q, ME)->owner = OTHER; }

static void test_claim(void **state)
{
    (void)state;
    before("cas", "&s->owner", 0, others_claim);
    push_as(ME);
    assert_met();
    assert_ptr_equal(vitp_queue_slot(q, ME)->owner, OTHER);
    assert_null(vitp_queue_slot(q, ME)->chunk);
    assert_int_equal(records(), 1);
}

static void owner_goes_on(void) { slot->limit = word; }

/* The thread begins its next record while its chunk is being taken away: it keeps it. */
static void test_revoke(void **state)
{
    vitp_chunk *kept;
    (void)state;
    own();
    kept = slot->chunk;
    assert_int_equal(records(), 1);
    before("cas", "&s->limit", 0, consumer_is_done); /* before it is wanted */
    vitp_queue_revoke(q);
    assert_met();
    assert_ptr_equal(slot->chunk, kept);
    assert_false(kept->word & VITP_WORD_SEALED);
    slot->limit = word;
    before("cas", "&s->limit", 1, owner_goes_on); /* after it */
    vitp_queue_revoke(q);
    assert_met();
    assert_ptr_equal(slot->chunk, kept);
    assert_int_equal(slot->limit, word);
    vitp_queue_revoke(q); /* and idle: it goes */
    assert_null(slot->chunk);
    assert_true(kept->word & VITP_WORD_SEALED);
}

static const char secret[8] = "SECRET-1";

static bool take_eight(const void *record, uint32_t size, void *user)
{
    (void)user;
    assert_int_equal(size, 8);
    assert_memory_equal(record, secret, 8);
    return true;
}

/* What was taken from behind a record that is still being written is overwritten, and that one is
   not. */
static void test_wipe(void **state)
{
    vitp_head *open, *done;
    (void)state;
    open = vitp_queue_reserve_shared(q, 8, NULL, false, false);
    done = vitp_queue_reserve_shared(q, 8, NULL, false, false);
    assert_true(open && done);
    memcpy(open + 1, secret, 8);
    memcpy(done + 1, secret, 8);
    vitp_queue_commit_shared(q, done, 8);
    assert_int_equal(vit_queue_drain(q, take_eight, NULL, (size_t)-1), 1);
    vitp_queue_wipe(q);
    assert_memory_not_equal(done + 1, secret, 8);
    vitp_queue_commit_shared(q, open, 8);
    assert_int_equal(vit_queue_drain(q, take_eight, NULL, (size_t)-1), 1);
    assert_int_equal(vit_queue_drain(q, take_eight, NULL, (size_t)-1), 0);
}

/* Without an order that could be known a record waits some passes; one more than a second, none. */
static void test_stalled(void **state)
{
    vitp_cursor *cursor;
    (void)state;
    own();
    vitp_queue_look(q, 1);
    cursor = &q->cursors[q->active[0]];
    cursor->gap = true;
    q->blocked = true; /* what it waits for may just not have been looked at */
    vitp_queue_wait(q);
    assert_int_equal(cursor->waiting, 0);
    q->gap_since_ns = 1;
    vitp_queue_wait(q);
    assert_int_equal(cursor->waiting, VITP_QUEUE_PATIENCE);
    cursor->gap = false;
}

/* Of one thread: by number; of one number, those that were pushed inside of the record first, and
   in their order, of which five bits are known. */
static void test_order(void **state)
{
    static const struct {
        uint32_t what, number, other_what, other_number;
        bool     before_it;
    } rows[] = { { 0, 1, 0, 2, true },
                 { 0, 2, 0, 1, false },
                 { 0, UINT32_MAX, 0, 0, true },
                 { VITP_HEAD_INSIDE, 1, 0, 1, true },
                 { 0, 1, VITP_HEAD_INSIDE, 1, false },
                 { VITP_HEAD_INSIDE, 1, VITP_HEAD_INSIDE, 1, false } };
    uint32_t  i, count;
    vitp_head other;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        other.what = rows[i].other_what;
        other.number = rows[i].other_number;
        assert_int_equal(vitp_queue_is_before(rows[i].what, rows[i].number, &other),
                         rows[i].before_it);
    }
    for (count = 0; count < 32; count++) {
        other.what = VITP_HEAD_INSIDE | count * VITP_HEAD_COUNT_ONE;
        other.number = 1;
        assert_int_equal(vitp_queue_is_before(VITP_HEAD_INSIDE, 1, &other),
                         count > 0 && count < 16);
    }
}

/* A forked child's records: none of no bytes, none that is too large, and none when there is no
   room. */
static void test_child(void **state)
{
    static char large[65536];
    size_t      pushed = 0;
    (void)state;
    assert_false(vitp_queue_push_in_child(q, "x", 0, false));
    assert_false(vitp_queue_push_in_child(q, large, q->record_max + 1u, false));
    while (vitp_queue_push_in_child(q, "x", 1, false)) pushed++;
    assert_true(pushed > 100);
    assert_int_equal(records(), pushed);
    assert_true(vitp_queue_push_in_child(q, large, q->record_max, false));
}

/* In a file that nobody can be trusted with a chunk says that it follows one which is not there. */
static void test_chunk_before(void **state)
{
    vitp_pool *p = q->pool;
    (void)state;
    share();
    chunk->before = 0xFFFFu;
    assert_int_equal(vitp_recover_before(p, chunk), 0);
    chunk->before = p->chunk_count + 1u;
    assert_int_equal(vitp_recover_before(p, chunk), 0);
    chunk->before = 0;
    assert_int_equal(vitp_recover_before(p, chunk), 0);
}

/* ---- what lies beside it --------------------------------------------------------------------- */

static vit_client    *t;
static vitp_recorder *r;
static vitp_ledger   *l;
static wire           w;

static int client_begin(void **state)
{
    vit_options o;
    (void)state;
    thread_now = ME;
    race.fn = NULL;
    wire_init(&w);
    o = options_of(&w, NULL);
    o.queue_bytes = 65536;
    o.wire = VIT_WIRE_NDJSON;
    o.flush_ms = 1;
    t = vit_create(&o);
    if (!t) return 1;
    r = &t->recorder;
    l = r->ledger;
    return 0;
}

static int client_end(void **state)
{
    (void)state;
    race.fn = NULL;
    (void)vit_destroy(t, 0);
    wire_free(&w);
    return 0;
}

#define TYPE (VITP_TYPES_MAX - 1u)

static void others_use_room(void) { l->schemas_used += 100; }
static void others_use_all(void) { l->schemas_used = VITP_LEDGER_SCHEMAS - 3u; }

static void test_room(void **state)
{
    uint32_t used = l->schemas_used;
    (void)state;
    before("cas", "&l->schemas_used", 0, others_use_room);
    assert_int_equal(vitp_ledger_room(l, 50), used + 101);
    assert_met();
    assert_int_equal(l->schemas_used, used + 150);
    before("cas", "&l->schemas_used", 0, others_use_all);
    assert_int_equal(vitp_ledger_room(l, 50), 0);
    assert_met();
    assert_int_equal(l->schemas_used, VITP_LEDGER_SCHEMAS - 3u);
}

static void others_publish(void)
{
    assert_int_equal(vitp_ledger_publish(l, TYPE, vit_schema_race_one()), VITP_PUBLISHED);
}

/* The first one's stands, whoever it was; the same schema is as good. */
static void test_publish(void **state)
{
    uint32_t at;
    (void)state;
    before("cas", "&l->schemas[type]", 0, others_publish);
    assert_int_equal(vitp_ledger_publish(l, TYPE, vit_schema_race_one()), VITP_PUBLISHED);
    assert_met();
    at = l->schemas[TYPE];
    l->schemas[TYPE] = 0;
    before("cas", "&l->schemas[type]", 0, others_publish);
    assert_int_equal(vitp_ledger_publish(l, TYPE, vit_schema_race_other()), VITP_PUBLISHED_OTHER);
    assert_met();
    assert_true(l->schemas[TYPE] > at);
    l->schemas[TYPE] = VITP_LEDGER_SCHEMAS; /* of a process that has gone mad: nothing is there */
    assert_int_equal(vitp_ledger_publish(l, TYPE, vit_schema_race_one()), VITP_PUBLISHED_OTHER);
}

static const char new_text[8] = "newnew!";
static vitp_cell  cell;

static void others_write(void) { vitp_cell_write(&cell, new_text, sizeof new_text); }
static void others_write_twice(void) { others_write(), others_write(); }

/* Never a part of the old and a part of the new. */
static void test_cell(void **state)
{
    char     out[8];
    uint32_t turn;
    (void)state;
    memset(&cell, 0, sizeof cell);
    vitp_cell_write(&cell, "oldold!", 8);
    turn = vitp_cell_read(&cell, out, sizeof out);
    assert_string_equal(out, "oldold!");
    before("acquire", "&c->words[turn & 1u][i]", 1, others_write_twice);
    assert_int_equal(vitp_cell_read(&cell, out, sizeof out), turn + 2);
    assert_met();
    assert_string_equal(out, "newnew!");
}

static vitp_type *type;

static void others_take_type(void)
{
    type->schema = (uintptr_t)vit_schema_race_one();
    type->bound = 12345;
}

/* The slot is the other thread's, who knows the same schema. */
static void test_type(void **state)
{
    (void)state;
    type = &r->types[TYPE];
    memset(type, 0, sizeof *type);
    l->schemas[TYPE] = 0;
    before("cas", "&type->schema", 0, others_take_type);
    assert_true(vitp_type_take(r, type, vit_schema_race_one()));
    assert_met();
    assert_int_equal(type->bound, 12345);
}

static void others_wake(void) { l->sleep = VITP_SLEEP_NONE; }

/* One of them wakes the consumer. */
static void test_wake(void **state)
{
    (void)state;
    while (!vitp_queue_is_filling(r->queue)) assert_true(vit_queue_push(r->queue, "x", 1));
    l->wake = 0;
    vitp_os_wake_at(&r->wake, &l->wake);
    l->sleep = VITP_SLEEP_LIGHT;
    before("exchange", "&r->ledger->sleep", 0, others_wake);
    vitp_record_wake(r);
    assert_met();
    assert_int_equal(l->wake, 0);
    l->sleep = VITP_SLEEP_LIGHT;
    vitp_record_wake(r);
    assert_int_equal(l->wake, 1);
    assert_int_equal(l->sleep, VITP_SLEEP_NONE);
}

/* ---- errors that come again ------------------------------------------------------------------ */

static const vit_error failure = {
    NULL, NULL, "IOError", "it is bad", "f", NULL, "fn", NULL, "E1"
};

/* How many events of that error, and how often it came again by what was told. */
static void assert_told(unsigned events, const char *occurrences)
{
    assert_true(vit_flush(t, 1000));
    assert_int_equal(wire_times(&w, "\"event_name\":\"Error\""), events);
    assert_int_equal(wire_times(&w, occurrences), 1);
}

static vitp_seen *seen_of(void)
{
    uint32_t i;
    for (i = 0; i < VITP_REPEATS_MAX; i++)
        if (r->seen[i].word) return &r->seen[i];
    fail();
    return NULL;
}

static vitp_repeat *repeat_of(void)
{
    uint32_t i;
    for (i = 0; i < VITP_REPEATS_MAX; i++)
        if (l->repeats[i].word) return &l->repeats[i];
    fail();
    return NULL;
}

static void others_remember(void) { seen_of()->word += 1u << 12; }

/* What it was known by is another's while it is read: it is found the long way. */
static void test_seen(void **state)
{
    (void)state;
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    before("load", "&seen->word", 0, others_remember);
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    assert_met();
    assert_told(1, "\"occurrences\":1");
}

static void others_renew(void) { vitp_repeat_renew(l); }

/* Another session begins in the middle: the error is new in it. */
static void test_seen_before(void **state)
{
    (void)state;
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    before("acquire", "&l->repeats[index].word", 0, others_renew);
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    assert_met();
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    assert_told(2, "\"occurrences\":1");
}

static void others_are_at_it(void)
{
    vitp_seen *s = &r->seen[3];
    s->word = VITP_REPEAT_WORD(7u, 0u, VITP_REPEAT_BUSY);
    memset(s->print, 0xAB, sizeof s->print);
}

/* Of two that note what they have seen in one place, one does. */
static void test_remember(void **state)
{
    const uint32_t print[4] = { 3, 1, 1, 1 };
    (void)state;
    before("cas", "&seen->word", 0, others_are_at_it);
    vitp_repeat_remember(r, print, 5, VITP_REPEAT_WORD(1u, 0u, VITP_REPEAT_BUSY));
    assert_met();
    assert_int_equal(r->seen[3].print[0], 0xABABABABu);
    vitp_repeat_remember(r, print, 5, VITP_REPEAT_WORD(1u, 0u, VITP_REPEAT_BUSY)); /* it is busy */
    assert_int_equal(r->seen[3].print[0], 0xABABABABu);
    r->seen[3].word = 0;
    vitp_repeat_remember(r, print, 5, VITP_REPEAT_WORD(1u, 0u, VITP_REPEAT_BUSY));
    assert_int_equal(r->seen[3].print[0], 3);
    assert_int_equal(r->seen[3].index, 5);
}

static uint32_t hash_one[2] = { 0x111, 40 }, hash_two[2] = { 0x222, 40 };
static uint32_t other_claim, other_index;
static bool     other_fresh;

static void others_find_it(void)
{
    other_index = vitp_repeat_find(l, hash_one, 9, &other_claim, &other_fresh);
}
static void others_find_another(void)
{
    other_index = vitp_repeat_find(l, hash_two, 9, &other_claim, &other_fresh);
}

/* The same error in two threads at once: one records it, the other counts it. Two errors: each has
   a place. */
static void test_find(void **state)
{
    uint32_t claim;
    bool     fresh;
    (void)state;
    before("cas", "&repeat->word", 0, others_find_it);
    assert_int_equal(vitp_repeat_find(l, hash_one, 9, &claim, &fresh), 40);
    assert_met();
    assert_int_equal(other_index, 40);
    assert_true(other_fresh);
    assert_false(fresh);
    vitp_repeat_settle(r, 40, claim, false);
    before("cas", "&repeat->word", 0, others_find_another);
    assert_int_equal(vitp_repeat_find(l, hash_one, 9, &claim, &fresh), 41);
    assert_met();
    assert_true(fresh && other_fresh);
    assert_int_equal(other_index, 40);
}

/* Errors of which only the high bits of the hash, or the labels, differ. */
static void test_alike(void **state)
{
    const uint32_t hash[2] = { 0x111, 40 }, first[2] = { 0x333, 39 }, from_39[2] = { 0x111, 39 };
    uint32_t       claim;
    bool           fresh;
    (void)state;
    assert_int_equal(vitp_repeat_find(l, first, 9, &claim, &fresh), 39);
    vitp_repeat_settle(r, 39, claim, true);
    assert_int_equal(vitp_repeat_find(l, hash, 9, &claim, &fresh), 40);
    vitp_repeat_settle(r, 40, claim, true);
    assert_int_equal(vitp_repeat_find(l, hash, 9, &claim, &fresh), 40);
    assert_false(fresh);
    assert_int_equal(vitp_repeat_find(l, from_39, 9, &claim, &fresh), 41);
    assert_true(fresh);
    vitp_repeat_settle(r, 41, claim, true);
    assert_int_equal(vitp_repeat_find(l, hash, 9u ^ 0x80000000u, &claim, &fresh), 42);
    assert_true(fresh);
}

/* Of a session before: its place is another's when all of it is told, and not before. */
static void test_place_of_before(void **state)
{
    uint32_t claim;
    bool     fresh;
    (void)state;
    assert_int_equal(vitp_repeat_find(l, hash_one, 9, &claim, &fresh), 40);
    vitp_repeat_settle(r, 40, claim, true);
    vitp_repeat_count(r, 40);
    vitp_repeat_renew(l);
    assert_int_equal(vitp_repeat_find(l, hash_two, 9, &claim, &fresh), 41);
    vitp_repeat_tell(r);
    assert_int_equal(l->repeats[40].count, 0);
    assert_int_equal(vitp_repeat_find(l, hash_two, 8, &claim, &fresh), 40);
    assert_told(0, "\"occurrences\":1");
}

/* What cannot be told is told later: the queue is full, the error is just being recorded, or usage
   alone may be recorded. */
static void test_tell(void **state)
{
    vitp_repeat *repeat;
    uint32_t     may = r->permission, i;
    (void)state;
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    repeat = repeat_of();
    assert_int_equal(repeat->count, 1);
    r->permission &= ~(uint32_t)VITP_MAY_ERRORS;
    vitp_repeat_tell(r);
    assert_int_equal(repeat->count, 1);
    r->permission = may;
    repeat->word ^= VITP_REPEAT_READY ^ VITP_REPEAT_BUSY;
    vitp_repeat_tell(r);
    assert_int_equal(repeat->count, 1);
    repeat->word ^= VITP_REPEAT_READY ^ VITP_REPEAT_BUSY;
    l->repeat_some = 1;
    while (vit_queue_push_important(r->queue, "x", 1)) {}
    vitp_repeat_tell(r);
    assert_int_equal(repeat->count, 1);
    assert_int_equal(l->repeat_some, 1);
    vit_purge(t); /* now there is room, and the error is new */
    for (i = 0; i < 4; i++) assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    vitp_repeat_tell(r);
    assert_int_equal(repeat->count, 0);
    assert_told(1, "\"occurrences\":3");
}

static void tell_first(void)
{
    l->repeat_some = 1;
    vitp_repeat_tell(r);
}

/* Two tell at once: the second has nothing left to tell. */
static void test_tell_twice(void **state)
{
    (void)state;
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    assert_int_equal(vit_track_error(t, &failure), VIT_OK);
    before("exchange", "&repeat->count", 0, tell_first);
    vitp_repeat_tell(r);
    assert_met();
    assert_int_equal(vit_get_stats(t).accepted, 2);
    assert_told(1, "\"occurrences\":1");
}

static void end_session(void) { vit_session_end(t, VIT_EXIT_NORMAL); }
static void begin_session(void) { vit_session_begin(t, "another", NULL); }

/* Two end a session at once, or one begins another meanwhile: it ends once, and as what it was. */
static void test_session_end(void **state)
{
    lines    all;
    unsigned i;
    (void)state;
    for (i = 0; i < 2; i++) {
        vit_session_begin(t, "one", NULL);
        vit_purge(t);
        before("load", "&r->permission", 0, i == 0 ? end_session : begin_session);
        vit_session_end(t, VIT_EXIT_NORMAL);
        assert_met();
        all = lines_of(t);
        assert_int_equal(all.count, 1);
        assert_json(all.text[0], "event_name", "\"session.end\"");
        assert_json(all.text[0], "metadata/session_id", "\"one\"");
        lines_free(&all);
    }
}

/* Last words that find no room in the queue: it is known that some are missing. */
static void test_last_words(void **state)
{
    vitp_teller teller;
    vitp_draft  d;
    (void)state;
    memset(&teller, 0, sizeof teller);
    teller.client = t;
    vitp_draft_begin(&d, r, "session.end", 0, NULL);
    vitp_teller_put(&teller, &d);
    assert_int_equal(teller.count, 1);
    assert_false(teller.failed);
    while (vit_queue_push_important(r->queue, "x", 1)) {}
    vitp_teller_put(&teller, &d);
    assert_int_equal(teller.count, 1);
    assert_true(teller.failed);
}

/* Last words that are older than the clock are the first there are. */
static void test_old_words(void **state)
{
    vitp_teller teller;
    vitp_marker m;
    vitp_draft  d;
    (void)state;
    memset(&teller, 0, sizeof teller);
    memset(&m, 0, sizeof m);
    teller.client = t;
    teller.marker = &m;
    teller.age_ns = 1;
    vitp_teller_begin(&teller, &d, "session.end", 0, 0);
    assert_true(d.memory.head.time_ns > 1);
    teller.age_ns = UINT64_MAX / 2;
    vitp_teller_begin(&teller, &d, "session.end", 0, 0);
    assert_int_equal(d.memory.head.time_ns, 1);
}

/* The thread's rest: at once where another run's pool is to be gone through. */
static void test_rest(void **state)
{
    (void)state;
    t->flush_ms = 5000;
    assert_int_equal(vitp_worker_rest_ms(t), 5000);
    t->adopted.queue = r->queue;
    assert_int_equal(vitp_worker_rest_ms(t), 1);
    t->adopted.queue = NULL;
    t->pending = true;
    assert_int_equal(vitp_worker_rest_ms(t), VITP_WORKER_PENDING_MS);
    t->pending = false;
    t->later = true;
    assert_int_equal(vitp_worker_rest_ms(t), VITP_WORKER_LATER_MS);
    t->later = false;
}

/* Usage is refused, errors are not: nobody is told how much was dropped. */
static void test_report(void **state)
{
    const uint64_t counts[3] = { 1, 2, 3 };
    uint32_t       may = r->permission;
    (void)state;
    r->permission = VITP_MAY_ERRORS | VITP_MAY_SEND;
    assert_false(vitp_record_report(r, counts));
    assert_int_equal(vit_get_stats(t).queued, 0);
    r->permission = may;
    assert_true(vitp_record_report(r, counts));
    assert_int_equal(vit_get_stats(t).queued, 1);
}

int main(void)
{
#define QUEUE(name)  cmocka_unit_test_setup_teardown(name, queue_begin, queue_end)
#define CLIENT(name) cmocka_unit_test_setup_teardown(name, client_begin, client_end)
    static const struct CMUnitTest tests[] = { QUEUE(test_take),
                                               QUEUE(test_close),
                                               QUEUE(test_append),
                                               QUEUE(test_open),
                                               QUEUE(test_next),
                                               QUEUE(test_claim),
                                               QUEUE(test_revoke),
                                               QUEUE(test_wipe),
                                               QUEUE(test_stalled),
                                               QUEUE(test_order),
                                               QUEUE(test_child),
                                               QUEUE(test_chunk_before),
                                               CLIENT(test_room),
                                               CLIENT(test_publish),
                                               CLIENT(test_cell),
                                               CLIENT(test_type),
                                               CLIENT(test_wake),
                                               CLIENT(test_seen),
                                               CLIENT(test_seen_before),
                                               CLIENT(test_remember),
                                               CLIENT(test_find),
                                               CLIENT(test_alike),
                                               CLIENT(test_place_of_before),
                                               CLIENT(test_tell),
                                               CLIENT(test_tell_twice),
                                               CLIENT(test_session_end),
                                               CLIENT(test_last_words),
                                               CLIENT(test_old_words),
                                               CLIENT(test_rest),
                                               CLIENT(test_report) };
    (void)vitp_os_heavy_barrier;
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
