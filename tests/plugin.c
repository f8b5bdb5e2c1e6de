/* plugin.c - a plugin with a copy of the library of its own, for test_plugin.c.

   Build:   cc -std=c99 -I. -fPIC -shared tests/plugin.c -o build/tests/plugin_a.so -pthread
   With -DPLUGIN_AUTO it makes its client when it is loaded and destroys it when it is unloaded;
   $PLUGIN_FOLDER is then the data folder, and what was sent is appended to `sent` in it. With
   -DVITELEMETRY_CURL and -lcurl it can send by libcurl, which comes and goes with it. */

#define VITELEMETRY_STATIC
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "plugin.h"

static vit_status plugin_track(vit_client *t, const char *name)
{
    vit_feature_toggled event;
    memset(&event, 0, sizeof event);
    event.feature_name = name;
    return vit_track_feature_toggled(t, &event);
}

void plugin_get(plugin *p)
{
    p->create_fn = vit_create;
    p->track_fn = plugin_track;
    p->flush_fn = vit_flush;
    p->stats_fn = vit_get_stats;
    p->destroy_fn = vit_destroy;
}

#ifdef PLUGIN_AUTO
static vit_client *plugin_client;
static char        plugin_path[512];

static void plugin_note(const char *text, size_t size)
{
    FILE *f = fopen(plugin_path, "ab");
    if (!f) abort();
    fwrite(text, 1, size, f);
    fclose(f);
}

static vit_response plugin_send(const vit_request *request, void *user)
{
    vit_response stored = { 201, 0 };
    (void)user;
    plugin_note(request->body, request->body_size);
    return stored;
}

__attribute__((constructor)) static void plugin_load(void)
{
    vit_options o;
    const char *folder = getenv("PLUGIN_FOLDER");
    memset(&o, 0, sizeof o);
    if (!folder) return;
    snprintf(plugin_path, sizeof plugin_path, "%s/sent", folder);
    o.data_dir = folder;
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.flush_ms = 10;
    o.transport.send_fn = plugin_send;
    plugin_client = vit_create(&o);
    if (plugin_track(plugin_client, "loaded") != VIT_OK) abort();
}

__attribute__((destructor)) static void plugin_unload(void)
{
    if (!plugin_client) return;
    if (plugin_track(plugin_client, "unloaded") != VIT_OK) abort();
    if (vit_destroy(plugin_client, 15000)) plugin_note("destroyed\n", 10);
}
#endif
