/* errors.c: failures, a session, and a crash of which the next run tells: errors [crash]

   Build: cc -std=c99 -I. examples/errors.c -o errors -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* In place of a server: each event is a line on stdout. */
static vit_response print(const vit_request *request, void *user)
{
    vit_response done = { 200, 0 };
    (void)user;
    printf("%.*s\n", (int)request->body_size, request->body);
    fflush(stdout);
    return done;
}

/* One line at the place of the failure: it is reported, and its code returned. */
static int import_file(vit_client *t, const char *path)
{
    vit_op op = vit_op_begin();
    FILE  *file = fopen(path, "rb");
    if (!file) return vit_fail(t, &op, "DataImportError", "data_import", errno);
    fclose(file);
    return 0;
}

int main(int argc, char **argv)
{
    vit_options   options = { 0 };
    vit_client   *t;
    vit_error     error = { 0 };
    volatile int *nowhere = NULL;
    int           i;
    options.client_type = "errors-example";
    options.consent = VIT_CONSENT_GRANTED;
    options.transport.send_fn = print;
    options.crash_handler = true;
    t = vit_create(&options);
    if (vit_crashed_last_run(t)) puts("the last run crashed: safe mode?");
    vit_session_begin(t, NULL, "command line");

    (void)import_file(t, "/no/such/file");
    error.type = "TimeoutError";
    error.message = "no answer from db.example.org after 5000 ms"; /* scrubbed */
    error.function = "connect";
    for (i = 0; i < 100000; i++) (void)vit_track_error(t, &error); /* two events */

    if (argc > 1 && strcmp(argv[1], "crash") == 0) *nowhere = 1;
    vit_session_end(t, VIT_EXIT_NORMAL);
    vit_destroy(t, 1000);
    return 0;
}
