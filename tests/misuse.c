/* misuse.c: what a newcomer does wrong, one mistake a run, and what he is told: misuse MISTAKE.
   Prints each log item that comes; tests/check_misuse.sh knows the sentences. `items` prints the
   texts of all. With VITELEMETRY_CURL, too. */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <stdio.h>
#include <string.h>

static unsigned long requests;

static void print(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)item, (void)user;
    printf("%s\n", text);
}

static vit_response forgotten(const vit_request *request, void *user)
{
    vit_response nothing = { 0, 0 }; /* it never says what became of the request */
    (void)request, (void)user;
    requests++;
    return nothing;
}

static vit_response refused(const vit_request *request, void *user)
{
    vit_response answer = { 0, 0 };
    (void)request;
    answer.http_status = *(const int *)user;
    requests++;
    return answer;
}

/* The program of the head comment, less what is wrong. */
static void begin(vit_options *o)
{
    memset(o, 0, sizeof *o);
    o->endpoint = "https://telemetry.example.org/";
    o->data_dir = "";
    o->consent = VIT_CONSENT_GRANTED;
    o->allow_in_ci = true;
    o->no_thread = true;
    o->transport.send_fn = forgotten;
    o->logger.log_fn = print;
}

static void track(vit_client *t, int n)
{
    vit_feature_toggled toggled;
    memset(&toggled, 0, sizeof toggled);
    toggled.feature_name = "dark_mode";
    while (n-- > 0) (void)vit_track_feature_toggled(t, &toggled);
}

/* Ends it, and says what became of the events. */
static int end(vit_client *t)
{
    vit_stats s = vit_get_stats(t);
    printf("requests %s, accepted %lu, waiting %lu\n", requests ? "some" : "none",
           (unsigned long)s.accepted, (unsigned long)(s.queued + s.spooled));
    return vit_destroy(t, 0) ? 0 : 1;
}

static void soil(void)
{
    volatile unsigned char stack[4096];
    size_t                 i;
    for (i = 0; i < sizeof stack; i++) stack[i] = 0xA5;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
static int uninitialised(void)
{
    vit_options o;
    vit_client *t;
    o.consent = VIT_CONSENT_GRANTED;
    t = vit_create(&o);
    track(t, 1);
    return t == NULL && vit_destroy(t, 0) ? 0 : 1;
}

static void purge(const char *json, size_t size, void *t)
{
    (void)json, (void)size;
    vit_purge((vit_client *)t);
}

static void wrong_events(vit_client *t)
{
    vit_event e;
    vit_event_begin(&e, t, "two words", NULL);
    (void)vit_event_send(&e);
    vit_event_begin(&e, t, "ok", NULL);
    vit_add_int(&e, "Size", 1);
    (void)vit_event_send(&e);
    vit_event_begin(&e, t, "ok", NULL);
    vit_add_uuid(&e, "id", "7");
    (void)vit_event_send(&e);
    vit_event_begin(&e, t, "ok", NULL);
    vit_add_group(&e, "team", "blue");
    vit_add_label(&e, "long", "a LABEL is a constant text of the program, of 64 bytes at the most");
    (void)vit_event_send(&e);
    (void)vit_register_secret(t, "abc", 0);
}

static int one(const char *what)
{
    vit_options o;
    vit_client *t;
    int         status = 0, i;
    begin(&o);
    if (strcmp(what, "consent") == 0) o.consent = VIT_CONSENT_UNKNOWN;
    if (strcmp(what, "transport") == 0 || strcmp(what, "endpoint") == 0) o.transport.send_fn = NULL;
    if (strcmp(what, "endpoint") == 0) o.endpoint = NULL;
    if (strcmp(what, "http") == 0) o.endpoint = "http://telemetry.example.org/";
    if (strcmp(what, "option") == 0) o.client_type = "my program";
    if (strcmp(what, "queue") == 0) o.queue_bytes = 1;
    if (what[0] >= '1' && what[0] <= '9') status = atoi(what);
    if (status) o.transport.send_fn = refused, o.transport.user = &status;
    t = vit_create(&o);
    if (strcmp(what, "events") == 0) wrong_events(t);
    else track(t, strcmp(what, "queue") == 0 ? 10000 : 3);
    if (strcmp(what, "callback") == 0) (void)vit_export(t, purge, t);
    for (i = 0; i < 50 && strcmp(what, "queue") != 0; i++) (void)vit_pump(t);
    return t ? end(t) : 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
#define ITEM(item, level, text) puts(#item ": " text);
    if (strcmp(what, "items") == 0) {
        VIT_LOG_ITEMS(ITEM)
        return 0;
    }
    if (strcmp(what, "uninitialised") != 0) return one(what);
    soil();
    return uninitialised();
}
