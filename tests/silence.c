/* silence.c: a client that is used in every way, for check_silence.sh, which counts the files and
   the sockets that it makes.

   Use: silence unknown|denied|granted|stored FOLDER URL
        stored: the host grants, and what lies in the folder decides */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <string.h>

vit_response http_send(const vit_request *request, void *user); /* examples/http.c */

static vit_consent consent_of(const char *name)
{
    return strcmp(name, "unknown") == 0  ? VIT_CONSENT_UNKNOWN
           : strcmp(name, "denied") == 0 ? VIT_CONSENT_DENIED
                                         : VIT_CONSENT_GRANTED;
}

static void use(vit_client *t)
{
    vit_feature_toggled toggled = { 0, 0, 0 };
    vit_app_launch      launch = { 0, 0, 0, 0, 0 };
    vit_event           e;
    toggled.feature_name = "dark_mode";
    vit_set_context(t, "qdrant", "customers");
    vit_session_begin(t, NULL, "cli");
    (void)vit_track_app_launch(t, &launch);
    (void)vit_track_feature_toggled(t, &toggled);
    (void)vit_fail(t, NULL, NULL, "import", 2);
    vit_event_begin(&e, t, "own.event", NULL);
    vit_add_hash(&e, "host", "localhost");
    (void)vit_event_send(&e);
    vit_set_rate(t, "own.event", 0.5);
    (void)vit_register_secret(t, "a-live-secret", 0);
    (void)vit_flush(t, 300);
    vit_purge(t);
    vit_reset_identity(t);
    (void)vit_track_feature_toggled(t, &toggled);
    (void)vit_flush(t, 300);
    vit_session_end(t, VIT_EXIT_NORMAL);
}

int main(int argc, char **argv)
{
    vit_options o;
    vit_client *t;
    if (argc != 4) return 2;
    memset(&o, 0, sizeof o);
    o.consent = consent_of(argv[1]);
    o.data_dir = argv[2];
    o.endpoint = argv[3];
    o.allow_in_ci = true;
    o.flush_ms = 20;
    o.transport.send_fn = http_send;
    t = vit_create(&o);
    if (!t) return 3;
    use(t);
    printf("consent %d\n", (int)vit_get_consent(t, NULL));
    return vit_destroy(t, 300) ? 0 : 4;
}
