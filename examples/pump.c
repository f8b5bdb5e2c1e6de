/* pump.c: a program with a loop of its own, such as a game, and no thread of ours: vit_pump once a
   frame does one step of delivery, which with this transport never waits: pump [ENDPOINT]

   Build: cc -std=c99 -I. examples/pump.c -o pump -pthread -lcurl
   Run:   ./pump http://127.0.0.1:8080/api/v1/telemetry */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include "curl_multi.c"

#include <time.h>

/* In place of input, physics and drawing. */
static void frame(vit_client *t, int number)
{
    struct timespec pause = { 0, 5000000 };
    if (number % 20 == 0)
        vit_track_feature_toggled(
            t, &(vit_feature_toggled){ .feature_name = "pause", .new_value = number % 40 == 0 });
    nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
    vit_options options = { 0 };
    vit_client *t;
    vit_stats   stats;
    transfer    http = { NULL, NULL, NULL };
    int         i;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry";
    options.client_type = "pump-example";
    options.consent = VIT_CONSENT_GRANTED;
    options.no_thread = true; /* other threads may track all the same */
    options.transport.send_fn = multi_send;
    options.transport.user = &http;
    t = vit_create(&options);
    for (i = 0; i < 200; i++) {
        frame(t, i);
        vit_pump(t);
    }
    stats = vit_get_stats(t);
    printf("%lu of %lu events were delivered while the game ran\n", (unsigned long)stats.delivered,
           (unsigned long)stats.accepted);
    return vit_destroy(t, 2000) ? 0 : 1; /* what is left is sent, or kept on the disk */
}
