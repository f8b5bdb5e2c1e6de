/* otlp.c - one session of events to an OpenTelemetry Collector

    otlp [ENDPOINT]      http://127.0.0.1:4318/v1/logs; collector.yaml is a collector for it

Public domain by the Unlicense, as vitelemetry.h. */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"
#include <stdio.h>

vit_response http_send(const vit_request *request, void *user); /* examples/http.c */

static void log_line(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)item, (void)user;
    fprintf(stderr, "otlp: %s\n", text);
}

int main(int argc, char **argv)
{
    vit_options options = { .consent = VIT_CONSENT_GRANTED, .wire = VIT_WIRE_OTLP };
    vit_client *t;
    vit_stats   stats;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:4318/v1/logs";
    options.data_dir = "";
    options.transport.send_fn = http_send;
    options.logger.log_fn = log_line;
    t = vit_create(&options);
    if (!t) return 1;
    vit_session_begin(t, NULL, "example");
    vit_track_feature_toggled(
        t, &(vit_feature_toggled){ .feature_name = "dark_mode", .new_value = true });
    vit_track_db_connection_result(
        t, &(vit_db_connection_result){ .success = true, .db_type = "qdrant", .duration_ms = 42 });
    vit_fail(t, NULL, "Error", "example", 2);
    vit_session_end(t, VIT_EXIT_NORMAL);
    vit_flush(t, 5000);
    stats = vit_get_stats(t);
    vit_destroy(t, 1000);
    printf("%lu of %lu events delivered\n", (unsigned long)stats.delivered,
           (unsigned long)stats.accepted);
    return stats.delivered == stats.accepted ? 0 : 1;
}
