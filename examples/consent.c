/* consent.c: the user is asked, once; what happened before he answers waits: consent [ENDPOINT]

   Build: cc -std=c99 -I. examples/consent.c examples/http.c -o consent -pthread
   Run:   ./consent http://127.0.0.1:8080/api/v1/telemetry, and answer y or n; the next run does not
          ask again. DO_NOT_TRACK=1 ./consent: nobody is asked. */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <stdio.h>

vit_response http_send(const vit_request *request, void *user); /* http.c */

static const char *const gates[] = { "nobody", /* by vit_gate */
                                     "this build",      "the administrator",
                                     "the environment", "continuous integration",
                                     "the system",      "the settings",
                                     "the user" };

static void show(const char *json, size_t size, void *user)
{
    (void)user;
    printf("    %.*s\n", (int)size, json);
}

/* An answer that is neither leaves consent UNKNOWN: the next run asks again. */
static void ask(vit_client *t)
{
    char answer[16] = "";
    puts("May this program tell its authors how it is used? This is all that would be sent now:");
    vit_export(t, show, NULL);
    fputs("[y/n] ", stdout);
    if (!fgets(answer, sizeof answer, stdin)) return;
    if (answer[0] == 'y') vit_set_consent(t, VIT_CONSENT_GRANTED); /* stored; what waits is sent */
    if (answer[0] == 'n') vit_set_consent(t, VIT_CONSENT_DENIED);  /* stored; what waits is gone */
}

int main(int argc, char **argv)
{
    vit_options options = { 0 }; /* consent: UNKNOWN, unless an earlier answer is stored */
    vit_client *t;
    vit_gate    why;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry";
    options.client_type = "consent-example";
    options.transport.send_fn = http_send;
    t = vit_create(&options);
    vit_track_app_launch(t, &(vit_app_launch){ .os = NULL }); /* waits in memory */
    if (vit_get_consent(t, &why) == VIT_CONSENT_UNKNOWN) ask(t);
    if (vit_get_consent(t, &why) >= VIT_CONSENT_GRANTED) puts("telemetry is on");
    else printf("telemetry is off: %s\n", gates[why]);
    return vit_destroy(t, 2000) ? 0 : 1;
}
