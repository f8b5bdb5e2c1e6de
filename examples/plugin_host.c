/* plugin_host.c: a program with telemetry of its own that loads a plugin which has another, uses it
   and unloads it, alone and beside another use of the same file: plugin_host PLUGIN [ENDPOINT]

   Build: cc -std=c99 -I. examples/plugin_host.c examples/http.c -o plugin_host -pthread -ldl
   Run:   ./plugin_host ./plugin.so http://127.0.0.1:8080/api/v1/telemetry */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <dlfcn.h>
#include <stdio.h>

vit_response http_send(const vit_request *request, void *user); /* http.c */

typedef void (*function)(void);

static function look_up(void *so, const char *name)
{
    function f = NULL;
    *(void **)&f = dlsym(so, name); /* as POSIX has it */
    return f;
}

static bool use(const char *path, const char *endpoint, int times)
{
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    int (*begin)(const char *) = so ? (int (*)(const char *))look_up(so, "plugin_begin") : NULL;
    function work = so ? look_up(so, "plugin_work") : NULL;
    int (*end)(void) = so ? (int (*)(void))look_up(so, "plugin_end") : NULL;
    if (!begin || !work || !end || !begin(endpoint)) return false;
    work();
    if (times > 1 && !use(path, endpoint, times - 1)) return false;
    while (!end()) {} /* its code is in use until then */
    return dlclose(so) == 0;
}

int main(int argc, char **argv)
{
    vit_options options = { 0 };
    vit_client *t;
    bool        used;
    options.endpoint = argc > 2 ? argv[2] : "http://127.0.0.1:8080/api/v1/telemetry";
    options.client_type = "plugin-host-example";
    options.consent = VIT_CONSENT_GRANTED;
    options.transport.send_fn = http_send;
    t = vit_create(&options);
    used = argc > 1 && use(argv[1], options.endpoint, 1) && use(argv[1], options.endpoint, 2);
    vit_track_feature_toggled(
        t, &(vit_feature_toggled){ .feature_name = "plugins", .new_value = used });
    puts(used ? "the plugin was used and unloaded three times" : "the plugin cannot be used");
    return vit_destroy(t, 2000) && used ? 0 : 1;
}
