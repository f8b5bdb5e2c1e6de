/* send.c - events of every kind into ClickHouse, by the NDJSON wire

    send ENDPOINT FILE

ENDPOINT: the HTTP interface with an INSERT, as the head of schema.sql says. Three clients, each an
installation of its own, record every event of the catalogue, with texts and numbers that are hard
to carry, and one more event with a member of its own (size_kb). FILE gets each event as it is about
to be sent. Status 0: the server has taken all.

Public domain by the Unlicense, as vitelemetry.h. */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"
#include <stdio.h>

#define INSTALLATIONS 3
#define ROUNDS        10

vit_response http_send(const vit_request *request, void *user); /* examples/http.c */

static const char *text(unsigned n)
{
    static const char *const texts[] = {
        "plain",
        "say \"yes\" or 'no'",
        "back\\slash \\n \\u0041 \\",
        "line one\nline two\r\n\tthird",
        "caf\xc3\xa9 \xe2\x82\xac \xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x9a\x80",
        "",
        NULL,
        "{\"a\":[1,null,true]}",
        "\x01\x02\b\f\x1b\x1f\x7f",
        "null",
        "separators \xe2\x80\xa8 and \xe2\x80\xa9",
        "no UTF-8: \xff\xc3(",
        "<tag> & 100% /slash/ ; -- DROP TABLE x",
    };
    return texts[n % (sizeof texts / sizeof texts[0])];
}

static int64_t number(unsigned n)
{
    static const int64_t numbers[] = {
        0, 1, -1, INT64_MAX, INT64_MIN, 9007199254740993, 4294967296, -2147483648LL, 42,
    };
    return numbers[n % (sizeof numbers / sizeof numbers[0])];
}

static const char *long_text(void)
{
    static char words[4001];
    size_t      i;
    for (i = 0; i + 1 < sizeof words; i++) words[i] = "word \"and\" \\ "[i % 13];
    return words;
}

static void record_work(vit_client *t, const vit_op *op, unsigned n)
{
    vit_track_app_launch(t, &(vit_app_launch){ .cpu_arch = text(n) });
    vit_track_feature_toggled(
        t, &(vit_feature_toggled){ .feature_name = text(n + 1), .new_value = n & 1 });
    vit_track_db_connection_attempt(
        t, &(vit_db_connection_attempt){
               .op = op, .db_type = text(n + 2), .host = text(n + 3), .connection_id = text(n) });
    vit_track_db_connection_result(t, &(vit_db_connection_result){ .op = op,
                                                                   .success = n & 1,
                                                                   .db_type = text(n + 2),
                                                                   .error_code = text(n + 4),
                                                                   .error_class = text(n + 5),
                                                                   .duration_ms = number(n) });
    vit_track_sample_db_create_started(
        t, &(vit_sample_db_create_started){ .db_type = text(n + 6),
                                            .sample_db_id = text(n + 7),
                                            .estimated_rows = number(n + 1) });
    vit_track_sample_db_create_completed(
        t, &(vit_sample_db_create_completed){ .success = true,
                                              .sample_db_id = text(n + 8),
                                              .rows_created = number(n + 2),
                                              .duration_ms = number(n + 3) });
    vit_track_query_executed(t, &(vit_query_executed){ .op = op,
                                                       .query_type = text(n + 9),
                                                       .db_type = text(n + 10),
                                                       .result_count = number(n + 4),
                                                       .latency_ms = VIT_SINCE_OP,
                                                       .filters_applied = text(n + 11),
                                                       .success = true });
    vit_track_embedding_request(t, &(vit_embedding_request){ .provider = text(n + 12),
                                                             .model_id = text(n),
                                                             .batch_size = number(n + 5),
                                                             .error_code = text(n + 1) });
    vit_track_clustering_run(t, &(vit_clustering_run){ .algorithm = text(n + 2),
                                                       .params = text(n + 7),
                                                       .dataset_size = number(n + 6),
                                                       .cluster_count = number(n + 7),
                                                       .noise_count = number(n + 8),
                                                       .success = n & 1 });
    vit_track_visualization_generated(
        t, &(vit_visualization_generated){
               .method = text(n + 3), .dims = 2, .points_rendered = number(n) });
}

static void record_failures(vit_client *t, const vit_op *op, unsigned n)
{
    vit_event e;
    vit_track_sample_db_create_failed(t, &(vit_sample_db_create_failed){ .op = op,
                                                                         .error_code = text(n + 4),
                                                                         .retriable = n & 1,
                                                                         .message = text(n + 5),
                                                                         .exception_type = text(n),
                                                                         .top_frame = "f" });
    vit_track_uncaught_exception(t, &(vit_uncaught_exception){ .message = long_text(),
                                                               .traceback = "main.c:42\nx.c:7",
                                                               .exception_type = text(n + 6) });
    vit_track_qt_error(t, &(vit_qt_error){ .message = text(n + 7),
                                           .msg_type = "critical",
                                           .file = "src/view.cpp",
                                           .line = number(n),
                                           .function = text(n + 8) });
    vit_track_error(t, &(vit_error){ .op = op,
                                     .event_name = n & 1 ? "DataImportError" : NULL,
                                     .message = text(n + 9),
                                     .function = text(n + 10),
                                     .feature = text(n + 11) });
    vit_fail(t, op, "db.connection_failed", "connection", (int)n);
    vit_track_error_repeated(
        t, &(vit_error_repeated){ .error_hash = "0123456789abcdef", .occurrences = number(n) });
    vit_track_telemetry_report(t, &(vit_telemetry_report){ .accepted = number(n + 1),
                                                           .dropped = number(n + 2),
                                                           .refused_full = number(n + 3) });
    vit_event_begin(&e, t, "import.finished", op);
    vit_add_label(&e, "method", text(n + 12));
    vit_add_int(&e, "size_kb", number(n + 4));
    vit_add_flag(&e, "success", n & 1);
    vit_event_send(&e);
}

static void write_line(const char *json, size_t size, void *user)
{
    fwrite(json, 1, size, (FILE *)user);
    putc('\n', (FILE *)user);
}

/* One installation: what it sent, 0 when the server did not take all. */
static unsigned long run(const char *endpoint, FILE *file, unsigned first)
{
    vit_options options = { .consent = VIT_CONSENT_VERBOSE, .wire = VIT_WIRE_NDJSON };
    vit_client *t;
    vit_stats   stats;
    bool        sent;
    unsigned    n;
    options.endpoint = endpoint;
    options.app_version = first ? "1.1.0" : "1.0.0";
    options.data_dir = ""; /* in memory: each client has an id of its own */
    options.sampling = VIT_SAMPLE_FLOW;
    options.transport.send_fn = http_send;
    options.no_thread = options.allow_in_ci = true;
    t = vit_create(&options);
    vit_set_rate(t, "query.executed", 1);
    vit_set_rate(t, "embedding.request", 0.25);
    for (n = first; n < first + ROUNDS; n++) {
        vit_op op = vit_op_begin();
        vit_session_begin(t, n & 1 ? text(n) : NULL, text(n + 1));
        vit_set_context(t, text(n), text(n + 2));
        record_work(t, &op, n);
        record_failures(t, &op, n);
        vit_session_end(t, VIT_EXIT_NORMAL);
    }
    vit_export(t, write_line, file);
    sent = vit_flush(t, 20000);
    stats = vit_get_stats(t);
    vit_destroy(t, 0);
    return sent && stats.delivered == stats.accepted ? (unsigned long)stats.delivered : 0;
}

int main(int argc, char **argv)
{
    FILE         *file = argc == 3 ? fopen(argv[2], "wb") : NULL;
    unsigned long all = 0, sent;
    unsigned      i;
    if (!file) return fprintf(stderr, "usage: send ENDPOINT FILE\n"), 2;
    for (i = 0; i < INSTALLATIONS; i++, all += sent) {
        sent = run(argv[1], file, i * ROUNDS);
        if (sent == 0) return fprintf(stderr, "send: not all events were taken\n"), 1;
    }
    printf("%lu events of %d installations sent\n", all, INSTALLATIONS);
    return fclose(file) == 0 ? 0 : 1;
}
