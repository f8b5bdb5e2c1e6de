/* one.c: the file with the implementation, and with the host's own event. two.c uses both. Built by
   tests/forms.sh as C99, as C++11, mixed, static (ALONE: without two.c) and disabled. */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <string.h>

#define APP_FILE_OPENED(X) X(VIT_LABEL, format) X(VIT_INT, size_kb) X(VIT_MS, duration_ms)
VIT_EVENT_DECLARE(file_opened, APP_FILE_OPENED);
VIT_EVENT_DEFINE(file_opened, "file.opened", 1.0, APP_FILE_OPENED)

#define APP_IDLE(X) /* without members */
VIT_EVENT_DECLARE(app_idle, APP_IDLE);
VIT_EVENT_DEFINE(app_idle, "app.idle", 1.0, APP_IDLE)

static int failures;

static void check(int ok, const char *what)
{
    if (ok) return;
    printf("wrong: %s\n", what);
    failures++;
}

/* Each call as it is documented for no client, and what does not need one: all neutral. */
#ifdef VITELEMETRY_DISABLE

static vit_client *nobody; /* so that no compiler knows that it is NULL */

static bool keep_record(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size, (void)user;
    failures++; /* there is nothing to call it for */
    return true;
}

static void keep_line(const char *json, size_t size, void *user)
{
    (void)json, (void)size, (void)user;
    failures++;
}

static void check_client(void)
{
    vit_options options;
    vit_gate    why = VIT_GATE_NONE;
    vit_stats   stats, zero;
    memset(&options, 0, sizeof options);
    memset(&zero, 0, sizeof zero);
    check(vit_create(&options) == NULL && vit_create(NULL) == NULL, "vit_create");
    check(vit_flush(nobody, 1000), "vit_flush");
    check(!vit_pump(nobody), "vit_pump");
    check(vit_get_consent(nobody, &why) == VIT_CONSENT_DENIED && why == VIT_GATE_BUILD, "consent");
    check(vit_get_consent(nobody, NULL) == VIT_CONSENT_DENIED, "consent without why");
    check(!vit_register_secret(nobody, "secret", 0), "vit_register_secret");
    check(vit_export(nobody, keep_line, NULL) == 0, "vit_export");
    check(!vit_crashed_last_run(nobody), "vit_crashed_last_run");
    stats = vit_get_stats(nobody);
    check(stats.accepted == 0 && stats.refused_disabled == 0 && stats.bytes_sent == 0 &&
              !stats.crash_surviving &&
              memcmp(stats.dropped, zero.dropped, sizeof zero.dropped) == 0,
          "vit_get_stats");
    vit_session_begin(nobody, NULL, NULL);
    vit_session_end(nobody, VIT_EXIT_NORMAL);
    vit_qt_message(nobody, 2, "f", 1, "f", "c", "m");
    vit_set_consent(nobody, VIT_CONSENT_GRANTED);
    vit_set_context(nobody, "provider", "collection");
    vit_set_rate(nobody, "event", 1.0);
    vit_purge(nobody);
    vit_reset_identity(nobody);
    check(vit_destroy(nobody, 1000), "vit_destroy");
}

static void check_events(void)
{
    vit_event           e;
    vit_error           error;
    vit_feature_toggled toggled;
    vit_file_opened     opened;
    vit_app_idle        idle;
    vit_op              op = vit_op_begin();
    memset(&error, 0, sizeof error);
    memset(&toggled, 0, sizeof toggled);
    memset(&opened, 0, sizeof opened);
    memset(&idle, 0, sizeof idle);
    vit_event_begin(&e, nobody, "name", &op);
    vit_add_label(&e, "a", "b");
    vit_add_text(&e, "a", "b");
    vit_add_hash(&e, "a", "b");
    vit_add_group(&e, "a", "b");
    vit_add_row(&e, "a", "b");
    vit_add_file(&e, "a", "b");
    vit_add_uuid(&e, "a", "b");
    vit_add_int(&e, "a", 1);
    vit_add_ms(&e, "a", 1);
    vit_add_real(&e, "a", 1.0);
    vit_add_flag(&e, "a", true);
    vit_add_error(&e, "type", "message", "frame", "trace");
    check(vit_event_send(&e) == VIT_DISABLED, "vit_event_send");
    check(vit_track_error(nobody, &error) == VIT_DISABLED, "vit_track_error");
    check(vit_fail(nobody, &op, "name", "feature", 42) == 42, "vit_fail");
    check(vit_track_feature_toggled(nobody, &toggled) == VIT_DISABLED, "vit_track_feature_toggled");
    check(vit_track_file_opened(nobody, &opened) == VIT_DISABLED, "vit_track_file_opened");
    check(vit_track_app_idle(nobody, &idle) == VIT_DISABLED, "vit_track_app_idle");
    check(vit_schema_file_opened()->member_count == 0 && !vit_schema_app_idle()->name[0],
          "a schema is there, and empty");
    check(vit_track_schema(nobody, NULL, &opened) == VIT_DISABLED, "vit_track_schema");
#ifdef __cplusplus
    check(vit_track(nobody, toggled) == VIT_DISABLED, "vit_track of the catalogue");
    check(vit_track(nobody, opened) == VIT_DISABLED, "vit_track of the host");
#endif
}

/* No text is left without its end, and no digest without its bytes. */
static void check_texts(void)
{
    char          text[64];
    unsigned char digest[32];
    unsigned      i;
    vit_op        op = vit_op_begin();
    check(op.begin_ns == 0, "vit_op_begin");
    memset(text, '?', sizeof text);
    vit_op_text(&op, text);
    check(memchr(text, 0, 37) != NULL, "vit_op_text");
    memset(text, '?', sizeof text);
    vit_uuid4(text);
    check(memchr(text, 0, 37) != NULL, "vit_uuid4");
    memset(text, '?', sizeof text);
    vit_error_hash(text, "type", "message", "frame");
    check(memchr(text, 0, 17) != NULL, "vit_error_hash");
    memset(text, '?', sizeof text);
    check(vit_scrub(text, sizeof text, "text", 4) == 0 && text[0] == 0, "vit_scrub");
    check(vit_scrub(NULL, 4, "text", 4) == 0, "vit_scrub without out");
    memset(digest, 0xA5, sizeof digest);
    vit_sha256(digest, "abc", 3);
    for (i = 0; i < 32 && digest[i] == 0; i++) { }
    check(i == 32, "vit_sha256: all 32 bytes are written");
    check(vit_version() != NULL && vit_status_text(VIT_OK) != NULL, "texts");
    check(!vit_should_sample("event", 0.5, "seed"), "vit_should_sample");
}

static void check_queue(void)
{
    static uint64_t memory[1024];
    vit_queue      *q = vit_queue_init(memory, sizeof memory);
    check(vit_queue_bytes(1024) == 0 && q == NULL, "vit_queue_init");
    check(vit_queue_record_max(q) == 0, "vit_queue_record_max");
    check(!vit_queue_push(q, "a", 1) && !vit_queue_push_important(q, "a", 1), "vit_queue_push");
    check(vit_queue_reserve(q, 1) == NULL, "vit_queue_reserve");
    vit_queue_commit(q, NULL, 1);
    check(vit_queue_drain(q, keep_record, NULL, 9) == 0, "vit_queue_drain");
    check(vit_queue_peek(q, keep_record, NULL, 9) == 0, "vit_queue_peek");
    vit_queue_release(q, 1);
    check(vit_retry_after("5", 0) == 0, "vit_retry_after");
    (void)vit_request_cancelled(NULL);
}

static int run(void)
{
    check_client();
    check_events();
    check_texts();
    check_queue();
    return failures;
}

#else

static char lines[8192];

static void keep_line(const char *json, size_t size, void *user)
{
    (void)user;
    strncat(lines, json, size < sizeof lines - strlen(lines) ? size : 0);
    strcat(lines, "\n");
}

static vit_response no_server(const vit_request *request, void *user)
{
    vit_response none = { 0, 0 };
    (void)request, (void)user;
    return none;
}

#ifndef ALONE
VIT_EXTERN_C int two_run(vit_client *t);
VIT_EXTERN_C const vit_schema *two_schema(void);
#endif

static int run(void)
{
    vit_options     options;
    vit_file_opened opened;
    vit_app_idle    idle;
    vit_gate        why;
    vit_client     *t;
    memset(&options, 0, sizeof options);
    memset(&opened, 0, sizeof opened);
    memset(&idle, 0, sizeof idle);
    options.data_dir          = "";
    options.consent           = VIT_CONSENT_GRANTED;
    options.allow_in_ci       = true;
    options.no_thread         = true;
    options.transport.send_fn = no_server;
    opened.format             = "one";
    opened.size_kb            = 1;
    t                         = vit_create(&options);
    check(t != NULL, "vit_create");
    check(vit_get_consent(t, &why) == VIT_CONSENT_GRANTED, "consent: is telemetry off here?");
    check(vit_track_file_opened(t, &opened) == VIT_OK, "own event of one.c");
    check(vit_track_app_idle(t, &idle) == VIT_OK, "own event without members");
    check(vit_schema_app_idle()->member_count == 0, "it has none");
#ifndef ALONE
    check(two_run(t) == 0, "calls of two.c");
    check(two_schema() == vit_schema_file_opened(), "one schema in both files");
#endif
    (void)vit_export(t, keep_line, NULL);
    check(strstr(lines, "\"format\":\"one\",\"size_kb\":1,\"duration_ms\":0") != NULL, "one.c");
    check(strstr(lines, "\"event_name\":\"app.idle\"") != NULL, "own event without members");
#ifndef ALONE
    check(strstr(lines, "\"event_name\":\"feature.toggled\"") != NULL, "catalogue event of two.c");
    check(strstr(lines, "\"feature_name\":\"dark_mode\",\"new_value\":true") != NULL, "members");
    check(strstr(lines, "\"event_name\":\"file.opened\"") != NULL, "own event of two.c");
    check(strstr(lines, "\"format\":\"csv\",\"size_kb\":12,\"duration_ms\":7") != NULL, "two.c");
    check(strstr(lines, "\"event_name\":\"two.built\"") != NULL, "ad-hoc event of two.c");
#endif
    check(vit_destroy(t, 0), "vit_destroy");
    if (failures) printf("%s", lines);
    return failures;
}

#endif

int main(void)
{
    if (run() != 0) return 1;
    printf("ok\n");
    return 0;
}
