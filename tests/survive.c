/* survive.c: one process records and is killed, or ends without a server; the next one delivers.
   For machines without fork.

   Usage: survive FOLDER die       records three events and kills itself
          survive FOLDER leave     records three events and ends
          survive FOLDER next      ends with 0 when it delivered them as they were recorded

   Build: cc -std=c99 -I. tests/survive.c -o survive -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <string.h>

static int delivered, wrong;

static vit_response receive(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    char         body[2048];
    (void)user;
    snprintf(body, sizeof body, "%.*s", (int)request->body_size, request->body);
    if (!strstr(body, "\"app_version\":\"die\"") && !strstr(body, "\"app_version\":\"leave\""))
        wrong++;
    if (!strstr(body, "\"session_id\":\"first\""))
        wrong++;
    delivered++;
    puts(body);
    return answer;
}

static void die(void)
{
#if defined(_WIN32)
    (void)TerminateProcess(GetCurrentProcess(), 9);
#else
    (void)raise(SIGKILL);
#endif
}

int main(int argc, char **argv)
{
    vit_options        o;
    vit_client        *t;
    vit_clustering_run run;
    bool               dies, leaves;
    if (argc != 3) return 2;
    dies = strcmp(argv[2], "die") == 0;
    leaves = strcmp(argv[2], "leave") == 0;
    memset(&o, 0, sizeof o);
    o.endpoint = "https://telemetry.example";
    o.app_version = argv[2];
    o.data_dir = argv[1];
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.no_thread = true;
    if (!leaves) o.transport.send_fn = receive;
    t = vit_create(&o);
    if (!vit_get_stats(t).crash_surviving) {
        puts("no pool that outlives the process");
        return 1;
    }
    if (dies || leaves) {
        memset(&run, 0, sizeof run);
        run.algorithm = "kmeans";
        vit_session_begin(t, "first", NULL);
        (void)vit_track_clustering_run(t, &run);
        (void)vit_fail(t, NULL, NULL, "test", 2);
        if (dies) die();
        return vit_destroy(t, 0) ? 0 : 1;
    }
    while (vit_pump(t)) {}
    (void)vit_destroy(t, 0);
    return delivered == 3 && !wrong ? 0 : 1;
}
