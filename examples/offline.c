/* offline.c: events outlive a server that is away: offline [ENDPOINT]

   Run it without a server as often as you like: each run leaves its event on the disk. Start one
   (build/examples/collector --port 8080 --dir build/offline) and run it again: all of them arrive.

   Build: cc -I. examples/offline.c examples/http.c -o offline -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <stdio.h>

vit_response http_send(const vit_request *request, void *user); /* http.c */

int main(int argc, char **argv)
{
    vit_options options = { 0 };
    vit_client *t;
    vit_stats   stats;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry";
    options.client_type = "offline-example";
    options.consent = VIT_CONSENT_GRANTED;
    options.spool_bytes_max = 1024 * 1024; /* at most so much waits, */
    options.spool_days_max = 14;           /* and no longer than this */
    options.transport.send_fn = http_send;
    t = vit_create(&options);
    if (!t) return 1;
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "dark_mode" });
    vit_flush(t, 2000); /* a real program does without: vit_destroy sends or keeps what waits */
    stats = vit_get_stats(t);
    printf("found %lu, delivered %lu, waiting %lu\n", (unsigned long)stats.adopted,
           (unsigned long)stats.delivered, (unsigned long)(stats.queued + stats.spooled));
    vit_destroy(t, 0);
    return 0;
}
