/* plugin.c: a plugin with a copy of the library of its own, whatever its host or another plugin
   uses: static, so that none of its names is seen, and with another client_type, so that its
   consent, its identity and what waits are its own. plugin_host.c loads and unloads it.

   Build: cc -std=c99 -I. -fPIC -fvisibility=hidden -shared examples/plugin.c -o plugin.so
          -pthread */

#define VITELEMETRY_STATIC
#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include "http.c"

static vit_client *telemetry;
static int         users; /* a host that loads one file twice has one copy of it */

/* What the host looks up, and nothing else. */
#define EXPORT __attribute__((visibility("default")))
EXPORT int  plugin_begin(const char *endpoint);
EXPORT void plugin_work(void);
EXPORT int  plugin_end(void);

int plugin_begin(const char *endpoint)
{
    vit_options options = { 0 };
    if (users++ > 0) return telemetry != NULL;
    options.endpoint = endpoint;
    options.client_type = "plugin-example";
    options.app_version = "0.9.0";
    options.consent = VIT_CONSENT_GRANTED;
    options.transport.send_fn = http_send;
    telemetry = vit_create(&options);
    return telemetry != NULL;
}

void plugin_work(void)
{
    vit_track_visualization_generated(
        telemetry, &(vit_visualization_generated){ .method = "umap", .dims = 2, .success = true });
}

/* 1: it may be unloaded. 0: a callback has not returned: the host calls again before it unloads the
   code that the callback runs. Not in a destructor or DllMain, where no thread can be awaited. */
int plugin_end(void)
{
    if (users == 1) {
        if (!vit_destroy(telemetry, 1000)) return 0;
        telemetry = NULL;
    }
    users--;
    return 1;
}
