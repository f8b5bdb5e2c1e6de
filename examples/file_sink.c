/* file_sink.c: events as lines of JSON in a file, in place of a server: file_sink [FILE]

   Build: cc -I. examples/file_sink.c -o file_sink -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <stdio.h>

/* The whole transport: a batch is lines already, and counts as delivered once it is written. */
static vit_response write_lines(const vit_request *request, void *file)
{
    vit_response done = { 200, 0 }, failed = { 0, 0 };
    bool ok = fwrite(request->body, 1, request->body_size, (FILE *)file) == request->body_size;
    return ok && fflush((FILE *)file) == 0 ? done : failed;
}

int main(int argc, char **argv)
{
    FILE       *file = argc > 1 ? fopen(argv[1], "a") : stdout;
    vit_options options = { 0 };
    vit_client *t;
    if (!file) return 1;
    options.consent = VIT_CONSENT_GRANTED;
    options.wire = VIT_WIRE_NDJSON;
    options.data_dir = ""; /* nothing else on disk; NULL keeps what could not be written */
    options.transport.send_fn = write_lines;
    options.transport.user = file;
    t = vit_create(&options);
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "dark_mode" });
    vit_track_query_executed(t,
                             &(vit_query_executed){ .query_type = "vector", .result_count = 10 });
    vit_destroy(t, 1000);
    return argc > 1 && fclose(file) != 0;
}
