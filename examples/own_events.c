/* own_events.c: a program's own events, in the same form as the catalogue: own_events [ENDPOINT]

   Build: cc -std=c99 -I. examples/own_events.c examples/http.c -o own_events -pthread
   Run:   ./own_events http://127.0.0.1:8080/api/v1/telemetry */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

/* The members of each event: kind and name. The kind says what leaves the machine (see KINDS at the
   top of vitelemetry.h): of the path below only a salted hash does. */
#define APP_FILE_OPENED(X) \
    X(VIT_LABEL, format) X(VIT_HASH, path) X(VIT_INT, size_kb) X(VIT_MS, duration_ms)
#define APP_UNDO(X) X(VIT_LABEL, command) X(VIT_INT, depth)

VIT_EVENT_DECLARE(file_opened, APP_FILE_OPENED); /* in a header of yours */
VIT_EVENT_DECLARE(undo, APP_UNDO);

VIT_EVENT_DEFINE(file_opened, "file.opened", 1.0, APP_FILE_OPENED) /* in one C file */
VIT_EVENT_DEFINE(undo, "edit.undo", 0.1, APP_UNDO) /* one session in ten tells of it */

vit_response http_send(const vit_request *request, void *user); /* http.c */

/* Without a declaration, for what is tried out or comes from a script: a builder on the stack. */
static void record_export(vit_client *t, const char *file)
{
    vit_event e;
    vit_event_begin(&e, t, "export.finished", NULL);
    vit_add_label(&e, "format", "pdf");
    vit_add_file(&e, "file", file); /* its name, without the folders */
    vit_add_real(&e, "scale", 1.5);
    (void)vit_event_send(&e);
}

int main(int argc, char **argv)
{
    vit_options options = { 0 };
    vit_client *t;
    int         i;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry";
    options.app_version = "2.1.0";
    options.client_type = "own-events-example";
    options.consent = VIT_CONSENT_GRANTED;
    options.transport.send_fn = http_send;
    t = vit_create(&options);
    vit_set_rate(t, "edit.undo", 1.0); /* in a beta: all of them */

    vit_track_file_opened(
        t, &(vit_file_opened){ .format = "csv", .path = "/home/me/salaries.csv", .size_kb = 12 });
    for (i = 1; i <= 3; i++) vit_track_undo(t, &(vit_undo){ .command = "paste", .depth = i });
    record_export(t, "/home/me/report.pdf");
    return vit_destroy(t, 2000) ? 0 : 1;
}
