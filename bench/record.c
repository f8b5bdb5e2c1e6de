/* What an event costs on the caller's thread, and its parts. Repetitions of all subjects are
   interleaved; the last column of the table is the ratio to U, an uncontended compare-and-swap and
   a copy of 64 bytes in the same run. Then lines for scripts:
   benchmark<TAB>subject<TAB>median<TAB>min<TAB>max<TAB>unit. */
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_WHITEBOX
#include "../vitelemetry.h"

#define REPETITIONS 11
#define BURST       1000

static vit_client   *client;
static vit_queue    *queue;
static vit_op        op;
static char          text[1024], out[2048];
static uint32_t      word, sink;
static unsigned char payload[64], target[64];

static bool forget(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size, (void)user;
    return true;
}

static void prepare_queue(void)
{
    while (vit_queue_drain(queue, forget, NULL, 100000)) {}
}

static void prepare_client(void) { vit_purge(client); }

static void nothing(void) {}

static void run_u(void)
{
    uint32_t old = word;
    (void)VITP_ATOMIC_CAS(&word, &old, old + 1u);
    memcpy(target, payload, sizeof target);
    *(volatile unsigned char *)target = 1;
}

static void run_push(void) { sink += vit_queue_push(queue, payload, sizeof payload); }

static void run_query(void)
{
    vit_query_executed e = { 0, 0, 0, 0, 0, 0, 0 };
    e.op = &op;
    e.query_type = "vector";
    e.db_type = "chromadb";
    e.result_count = 10;
    e.latency_ms = 12;
    e.filters_applied = "none";
    e.success = true;
    sink += (uint32_t)vit_track_query_executed(client, &e);
}

static void run_sampled_out(void)
{
    vit_embedding_request e = { 0, 0, 0, 0, 0, 0, 0 };
    sink += (uint32_t)vit_track_embedding_request(client, &e);
}

static void run_hash(void)
{
    vit_db_connection_attempt e = { 0, 0, 0, 0 };
    e.op = &op;
    e.db_type = "chromadb";
    e.host = "db.internal.example.org";
    sink += (uint32_t)vit_track_db_connection_attempt(client, &e);
}

static void run_adhoc(void)
{
    vit_event e;
    vit_event_begin(&e, client, "file.opened", &op);
    vit_add_label(&e, "format", "csv");
    vit_add_int(&e, "size_kb", 12);
    vit_add_flag(&e, "success", true);
    sink += (uint32_t)vit_event_send(&e);
}

/* The same failure again: 100 bytes of message, 60 of the others. */
static void run_repeated(void)
{
    static const vit_error error = {
        NULL,
        "DataImportError",
        "IOError",
        "cannot open the file customers.csv of the collection 'orders': "
        "No such file or directory (try 3)",
        "import.c:parse_header",
        NULL,
        "parse_header",
        "data_import",
        "ENOENT"
    };
    sink += (uint32_t)vit_track_error(client, &error);
}

static void run_scrub(void) { sink += (uint32_t)vit_scrub(out, sizeof out, text, sizeof text - 1); }

static void run_uuid(void)
{
    unsigned char id[16];
    vitp_id_next(client->recorder.ids, id);
    sink += id[0];
}

static void run_sha(void)
{
    unsigned char digest[32];
    vit_sha256(digest, payload, sizeof payload);
    sink += digest[0];
}

static void run_export_line(const char *json, size_t size, void *user)
{
    (void)json, (void)user;
    sink += (uint32_t)size;
}

static void prepare_export(void)
{
    vit_purge(client);
    run_query();
}

static void run_export(void) { sink += (uint32_t)vit_export(client, run_export_line, NULL); }

static const struct subject {
    const char *name;
    void (*prepare)(void);
    void (*run)(void);
} subjects[] = {
    { "U: compare-and-swap + 64 bytes", nothing, run_u },
    { "vit_queue_push of 64 bytes", prepare_queue, run_push },
    { "vit_track_query_executed", prepare_client, run_query },
    { "an event that is sampled out", prepare_client, run_sampled_out },
    { "an event with a HASH", prepare_client, run_hash },
    { "an ad-hoc event of 3 members", prepare_client, run_adhoc },
    { "a failure that came before", prepare_client, run_repeated },
    { "record to JSON (consumer)", prepare_export, run_export },
    { "UUID of the client's generator", nothing, run_uuid },
    { "SHA-256 of 64 bytes", nothing, run_sha },
    { "vit_scrub of 1 KiB of prose", nothing, run_scrub },
};
#define SUBJECTS (sizeof subjects / sizeof subjects[0])

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double measure(const struct subject *s)
{
    uint64_t begin;
    int      i;
    s->prepare();
    s->run();
    begin = vitp_os_now_ns();
    for (i = 0; i < BURST; i++) s->run();
    return (double)(vitp_os_now_ns() - begin) / BURST;
}

static vit_response refuse(const vit_request *request, void *user)
{
    vit_response none = { 0, 0 };
    (void)request, (void)user;
    return none;
}

static void set_up(void)
{
    static const char prose[] =
        "The index was built from the collection in the background and then read ";
    vit_options o;
    size_t      i;
    memset(&o, 0, sizeof o);
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.data_dir = "";
    o.no_thread = true;
    o.transport.send_fn = refuse;
    client = vit_create(&o);
    vit_set_rate(client, "query.executed", 1.0);
    vit_set_rate(client, "embedding.request", 0.0);
    queue =
        vit_queue_init(aligned_alloc(64, vit_queue_bytes(512 * 1024)), vit_queue_bytes(512 * 1024));
    op = vit_op_begin();
    for (i = 0; i < sizeof text - 1; i++) text[i] = prose[i % (sizeof prose - 1)];
}

int main(void)
{
    static double values[SUBJECTS][REPETITIONS];
    double        u = 0;
    size_t        s;
    int           r;
    set_up();
    for (r = 0; r < REPETITIONS; r++)
        for (s = 0; s < SUBJECTS; s++) values[s][r] = measure(&subjects[s]);
    printf("%-34s %10s %10s %8s\n", "ns per call", "median", "min", "U");
    for (s = 0; s < SUBJECTS; s++) {
        qsort(values[s], REPETITIONS, sizeof(double), by_value);
        if (s == 0) u = values[0][REPETITIONS / 2];
        printf("%-34s %10.1f %10.1f %8.2f\n", subjects[s].name, values[s][REPETITIONS / 2],
               values[s][0], values[s][REPETITIONS / 2] / u);
    }
    for (s = 0; s < SUBJECTS; s++)
        printf("%s\tvitelemetry\t%.2f\t%.2f\t%.2f\tns\n", subjects[s].name,
               values[s][REPETITIONS / 2], values[s][0], values[s][REPETITIONS - 1]);
    return vit_destroy(client, 0) && sink != 1 ? 0 : 1;
}
