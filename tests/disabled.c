/* disabled.c: a program that calls all that the header declares, for a build with
   VITELEMETRY_DISABLE: of it nothing may be left, no symbol and no text (tests/check_packaging.sh
   looks, and that no function is missing here). As C99, C++98 and C++11. */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <string.h>

/* What a host writes into its calls; none of it may be found in the object. */
#define T "DISABLED_TEXT"

#define APP_FILE_OPENED(X) X(VIT_LABEL, format) X(VIT_TEXT, note)
VIT_EVENT_DECLARE(file_opened, APP_FILE_OPENED);
VIT_EVENT_DEFINE(file_opened, "DISABLED_TEXT.event", 1.0, APP_FILE_OPENED)

int main(void);

static void on_line(const char *json, size_t size, void *user)
{
    (void)json, (void)size, (void)user;
}

static bool on_record(const void *record, uint32_t size, void *user)
{
    (void)record, (void)user;
    return size != 0;
}

static unsigned client(vit_client *t)
{
    vit_gate  why;
    vit_error error;
    unsigned  n = 0;
    memset(&error, 0, sizeof error);
    error.message = T;
    n += (unsigned)(vit_flush(t, 1) + vit_pump(t) + vit_crashed_last_run(t));
    n += (unsigned)vit_track_error(t, &error);
    n += (unsigned)vit_fail(t, NULL, T, T, 0);
    n += (unsigned)vit_get_consent(t, &why) + (unsigned)why;
    n += vit_register_secret(t, T, 0);
    n += (unsigned)vit_export(t, on_line, NULL);
    n += (unsigned)vit_get_stats(t).accepted;
    vit_session_begin(t, T, T);
    vit_session_end(t, VIT_EXIT_NORMAL);
    vit_qt_message(t, 2, T, 1, T, T, T);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    vit_set_context(t, T, T);
    vit_set_rate(t, T, 1.0);
    vit_purge(t);
    vit_reset_identity(t);
    return n;
}

static unsigned events(vit_client *t)
{
    vit_op          op = vit_op_begin();
    vit_event       e;
    vit_file_opened opened;
    unsigned        n = 0;
    memset(&opened, 0, sizeof opened);
    opened.op = &op;
    opened.format = opened.note = T;
    n += (unsigned)vit_track_file_opened(t, &opened) + (vit_schema_file_opened() != NULL);
    n += (unsigned)vit_track_schema(t, NULL, &opened);
    vit_event_begin(&e, t, T, &op);
    vit_add_label(&e, T, T);
    vit_add_text(&e, T, T);
    vit_add_hash(&e, T, T);
    vit_add_group(&e, T, T);
    vit_add_row(&e, T, T);
    vit_add_file(&e, T, T);
    vit_add_uuid(&e, T, T);
    vit_add_int(&e, T, 1);
    vit_add_ms(&e, T, 1);
    vit_add_real(&e, T, 1.0);
    vit_add_flag(&e, T, true);
    vit_add_error(&e, T, T, T, T);
    n += (unsigned)vit_event_send(&e);
#define CALL(event, name, rate, flags, MEMBERS)                                  \
    {                                                                            \
        vit_##event row;                                                         \
        memset(&row, 0, sizeof row);                                             \
        n += (unsigned)vit_track_##event(t, &row) + (vit_schema_##event() != 0); \
    }
    VIT_CATALOGUE(CALL)
    return n;
}

static unsigned alone(void)
{
    char          text[64];
    unsigned char digest[32];
    vit_op        op = vit_op_begin();
    unsigned      n = 0;
    vit_op_text(&op, text);
    vit_uuid4(text);
    vit_error_hash(text, T, T, T);
    n += (unsigned)vit_scrub(text, sizeof text, T, 4) + (unsigned char)text[0];
    vit_sha256(digest, T, 3);
    n += vit_should_sample(T, 0.5, T) + digest[0];
    n += vit_retry_after(T, 0) + vit_request_cancelled(NULL);
    return n + (unsigned char)vit_version()[0] + (unsigned char)vit_status_text(VIT_OK)[0];
}

static unsigned queue(void)
{
    vit_queue *q = vit_queue_init(NULL, vit_queue_bytes(1));
    unsigned   n = vit_queue_record_max(q);
    n += (unsigned)(vit_queue_push(q, T, 1) + vit_queue_push_important(q, T, 1));
    n += vit_queue_reserve(q, 1) != NULL;
    vit_queue_commit(q, NULL, 1);
    n += (unsigned)vit_queue_drain(q, on_record, NULL, 1);
    n += (unsigned)vit_queue_peek(q, on_record, NULL, 1);
    vit_queue_release(q, 1);
    return n;
}

#if defined(__cplusplus) && __cplusplus >= 201103L
static unsigned classes(vit_client *t)
{
    vit::operation work(t, T, T);
    work.fail(T);
    vit::install_terminate_handler(t);
    return vit::report_exceptions(t, work.op(), T, T, [] { return 0u; }) +
           vit::report_exceptions(t, T, T, [] { return 0u; });
}
#else
static unsigned classes(vit_client *t) { return t != NULL; }
#endif

int main(void)
{
    vit_options options;
    vit_client *t;
    unsigned    n;
    memset(&options, 0, sizeof options);
    options.endpoint = options.client_type = T;
    t = vit_create(&options);
    n = client(t) + events(t) + alone() + queue() + classes(t);
    vit_destroy(t, 1);
    return n == 0xFFFFu; /* what came back is used */
}
