/* privacy.c: what a user may want to see: all that can be sent, what waits now, and who decides.
   Build: cc -std=c99 -I. examples/privacy.c -o privacy -pthread */
#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"
#include <stdio.h>
#include <string.h>
/* clang-format off */
static const char *const kinds[][3] = { /* by vit_kind: name, what the key ends with, what leaves */
    { "(made)", "", "a hash of the failure or a random id, made by the library" },
    { "LABEL", "", "short constant text of the program, 64 bytes at most, scanned like TEXT" },
    { "TEXT", "", "text without its addresses, paths, names and secrets, cut to 1 KiB" },
    { "HASH", "_hash", "16 hex digits of SHA-256 with this installation's secret salt" },
    { "GROUP", "_hash", "as HASH, with the project's salt: equal in all installations" },
    { "ROW", "_hash", "as HASH, 12 hex digits" },
    { "TRACE", "", "nothing; after consent to verbose reports lines of module:line" },
    { "FRAME", "", "nothing but its part in a hash that groups like failures" },
    { "FILE", "", "a file's name without its folders" }, { "INT", "", "a whole number" },
    { "REAL", "", "a number" }, { "FLAG", "", "true or false" }, { "MS", "", "milliseconds" },
    { "UUID", "", "the 36 characters" } };
static const char *const gates[] = { "nobody refuses", "the build", "the administrator",
    "the environment", "continuous integration", "the system", "the stored setting", "the user" };
static const char *const consents[] = { "not asked yet", "refused", "granted", "granted, verbose" };
/* clang-format on */

static void show_member(const char *key, unsigned kind, bool markdown)
{
    printf(markdown ? " `%s%s` %s;" : "    %s%s: %s\n", key, kinds[kind][1],
           kinds[kind][markdown ? 0 : 2]);
}

static void show_event(const vit_schema *s, bool markdown)
{
    printf(markdown ? "| `%s` | %g |" : "%s, rate %g\n", s->name, s->rate);
    for (const vit_member *m = s->members; m < s->members + s->member_count; m++)
        show_member(m->kind == VIT_FRAME ? "error_hash" : m->name, m->kind, markdown);
    if (s->flags & VIT_ROW_AT_LINE) show_member("error_hash", 0, markdown);
    if (s->flags & VIT_ROW_CORRELATED) show_member("correlation_id", 0, markdown);
    printf(markdown ? " |\n" : "");
}
static void show(const char *json, size_t n, void *u) { (void)u, printf("%.*s\n", (int)n, json); }

int main(int argc, char **argv)
{
    bool        markdown = argc > 1 && strcmp(argv[1], "--markdown") == 0;
    vit_options options = { .client_type = "privacy-example" };
    vit_client *t = markdown ? NULL : vit_create(&options);
    vit_gate    why = VIT_GATE_NONE;
    vit_consent consent = vit_get_consent(t, &why);
    if (markdown) printf("| event | rate | members |\n|---|---|---|\n");
#define SHOW(event, name, rate, flags, MEMBERS) show_event(vit_schema_##event(), markdown);
    VIT_CATALOGUE(SHOW)
    if (markdown) printf("\n| kind | what leaves the machine |\n|---|---|\n");
    else printf("\nConsent: %s (%s). What waits:\n", consents[consent], gates[why]);
    for (int i = 0; markdown && i <= VIT_UUID; i++)
        printf("| %s | %s |\n", kinds[i][0], kinds[i][2]);
    vit_track_db_connection_attempt(t, &(vit_db_connection_attempt){ .host = "db.example.org" });
    vit_export(t, show, NULL);
    return vit_destroy(t, 0) ? 0 : 1;
}
