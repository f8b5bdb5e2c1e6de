/* plugin.h - what plugin.c exports and test_plugin.c looks up. After vitelemetry.h. */

#ifndef TESTS_PLUGIN_H
#define TESTS_PLUGIN_H

typedef struct plugin {
    vit_client *(*create_fn)(const vit_options *options);
    vit_status (*track_fn)(vit_client *t, const char *name);
    bool (*flush_fn)(vit_client *t, uint32_t timeout_ms);
    vit_stats (*stats_fn)(const vit_client *t);
    bool (*destroy_fn)(vit_client *t, uint32_t timeout_ms);
} plugin;

void plugin_get(plugin *p);

#endif
