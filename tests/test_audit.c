/* test_audit.c: what vit_export shows, what is sent and what options.audit lists are the same
   bytes; the list's caps, its privacy, and what removes it.

   Build:   cc -std=c99 -I. tests/test_audit.c -o build/tests/test_audit -lcmocka -pthread */

#define _GNU_SOURCE 1
#include <unistd.h>

static int late_unlink(const char *path);
#define unlink(path) late_unlink(path)

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#define VITP_AUDIT_MAX 8192u
#include "../vitelemetry.h"

#include "common.h"

#include <signal.h>
#include <sys/resource.h>

static char folder[64];
static char list[128], list_old[128], settings[128];
static wire the_wire;
static logs the_logs;

static int setup(void **state)
{
    (void)state;
    environment_clear();
    folder_make(folder);
    snprintf(list, sizeof list, "%s/sent.ndjson", folder);
    snprintf(list_old, sizeof list_old, "%s/sent.1.ndjson", folder);
    snprintf(settings, sizeof settings, "%s/telemetry.conf", folder);
    wire_init(&the_wire);
    logs_init(&the_logs);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wire_free(&the_wire);
    folder_remove(folder);
    return 0;
}

static vit_options audited(vit_wire form)
{
    vit_options o = options_of(&the_wire, &the_logs);
    o.data_dir = folder;
    o.audit = true;
    o.wire = form;
    o.group_salt = "project";
    return o;
}

/* Texts that a reader of JSON with a short memory would stumble over. */
static void track_some(vit_client *t, unsigned n)
{
    static const char *const texts[] = { "a}{b",      "say \"}\" twice", "back\\", "\\\"}]",
                                         "line\nend", "{\"hwid\":\"",    "],[",    "" };
    unsigned                 i;
    for (i = 0; i < n; i++) {
        vit_event e;
        vit_event_begin(&e, t, "audit.test", NULL);
        vit_add_text(&e, "text", texts[i % COUNT_OF(texts)]);
        vit_add_label(&e, "label", texts[(i + 3) % COUNT_OF(texts)]);
        vit_add_hash(&e, "host", "db-1");
        vit_add_group(&e, "team", "team-1");
        vit_add_row(&e, "row", "r");
        vit_add_int(&e, "n", (int64_t)i);
        vit_add_real(&e, "share", 0.25);
        assert_int_equal(vit_event_send(&e), VIT_OK);
    }
    vit_session_begin(t, NULL, "cli");
    vit_track_qt_error(t, &(vit_qt_error){ .message = "}", .file = "/a/b.cpp", .line = 3 });
    vit_session_end(t, VIT_EXIT_NORMAL);
}

/* What the transport was given, less what the form puts around the events. */
static void append(char *out, size_t size, const char *text, size_t text_size)
{
    size_t at = strlen(out);
    assert_true(at + text_size + 1 < size);
    memcpy(out + at, text, text_size);
    out[at + text_size] = 0;
}

static void same_on(vit_wire form, uint32_t batch_events)
{
    static char sent[1 << 18], shown[1 << 18];
    vit_options o = audited(form);
    vit_client *t;
    lines       l;
    size_t      i, at = 0;
    o.batch_events = batch_events;
    t = client_of(&o);
    track_some(t, 16);
    l = lines_of(t);
    assert_int_equal(l.count, 19);
    assert_true(vit_flush(t, 5000));
    sent[0] = shown[0] = 0;
    for (i = 0; i < the_wire.count; i++) {
        const call *c = &the_wire.calls[i];
        bool        array = form == VIT_WIRE_ARRAY, line = form == VIT_WIRE_NDJSON;
        assert_true(!array || (c->body[0] == '[' && c->body[c->size - 1] == ']'));
        assert_true(!line || c->body[c->size - 1] == '\n');
        append(sent, sizeof sent, c->body + (array ? 1 : 0), c->size - (array ? 2 : line ? 1 : 0));
        if (i + 1 < the_wire.count && form != VIT_WIRE_EVENT)
            append(sent, sizeof sent, array ? "," : "\n", 1);
    }
    for (i = 0; i < l.count; i++) { /* element by element, in this order */
        const char *separator = form == VIT_WIRE_EVENT ? "" : form == VIT_WIRE_ARRAY ? "," : "\n";
        append(shown, sizeof shown, l.text[i], strlen(l.text[i]));
        if (i + 1 < l.count) append(shown, sizeof shown, separator, strlen(separator));
    }
    assert_string_equal(sent, shown);
    shown[0] = 0;
    for (i = 0; i < l.count; i++) {
        append(shown, sizeof shown, l.text[i], strlen(l.text[i]));
        append(shown, sizeof shown, "\n", 1);
    }
    assert_true(strlen(file_read(list_old)) > 0 || strlen(shown) <= VITP_AUDIT_MAX);
    at = strlen(file_read(list_old));
    assert_memory_equal(file_read(list_old), shown, at);
    assert_string_equal(file_read(list), shown + at);
    lines_free(&l);
    assert_true(vit_destroy(t, 1000));
}

static void test_same_event(void **state) { (void)state, same_on(VIT_WIRE_EVENT, 0); }
static void test_same_array(void **state) { (void)state, same_on(VIT_WIRE_ARRAY, 0); }
static void test_same_array_of_few(void **state) { (void)state, same_on(VIT_WIRE_ARRAY, 3); }
static void test_same_ndjson(void **state) { (void)state, same_on(VIT_WIRE_NDJSON, 0); }
static void test_same_ndjson_of_few(void **state) { (void)state, same_on(VIT_WIRE_NDJSON, 4); }

static void flush_one(vit_client *t)
{
    assert_int_equal(vit_track_feature_toggled(t, &(vit_feature_toggled){ .new_value = true }),
                     VIT_OK);
    assert_true(vit_flush(t, 5000));
}

/* Two files of whole lines, none above its cap; the newest lines are there, in order. */
static void caps(vit_wire form, unsigned every)
{
    vit_options o = audited(form);
    vit_client *t;
    unsigned    i, n = 0;
    const char *text;
    char        number[32], both[3 * VITP_AUDIT_MAX];
    t = client_of(&o);
    for (i = 0; i < 400; i++) {
        vit_event e;
        vit_event_begin(&e, t, "audit.test", NULL);
        vit_add_int(&e, "n", (int64_t)i);
        assert_int_equal(vit_event_send(&e), VIT_OK);
        if (i % every == 0) assert_true(vit_flush(t, 5000));
    }
    assert_true(vit_flush(t, 5000));
    snprintf(both, sizeof both, "%s", file_read(list_old));
    assert_in_range(strlen(both), VITP_AUDIT_MAX - 400, VITP_AUDIT_MAX);
    assert_in_range(strlen(file_read(list)), 1, VITP_AUDIT_MAX);
    append(both, sizeof both, file_read(list), strlen(file_read(list)));
    for (text = both; *text; text = strchr(text, '\n') + 1, n++) {
        assert_non_null(strchr(text, '\n'));
        assert_true(json_is_valid(text, (size_t)(strchr(text, '\n') - text)));
    }
    for (text = both, i = 400 - n; i < 400; i++, text = strchr(text, '\n') + 1) {
        snprintf(number, sizeof number, "\"n\":%u", i);
        text = strstr(text, number);
        assert_non_null(text);
    }
    assert_balanced(t);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_AUDIT_NOT_WRITTEN), 0);
    assert_true(vit_destroy(t, 1000));
}

static void test_caps_event(void **state) { (void)state, caps(VIT_WIRE_EVENT, 7); }
static void test_caps_ndjson(void **state) { (void)state, caps(VIT_WIRE_NDJSON, 7); }
static void test_caps_array(void **state) { (void)state, caps(VIT_WIRE_ARRAY, 7); }
static void test_caps_large_batch(void **state) { (void)state, caps(VIT_WIRE_ARRAY, 150); }

/* The list's last lines, of both files, are the requests from this one on. */
static void assert_listed(const char *path, size_t from, size_t count)
{
    const char *text = file_read(path);
    size_t      i;
    for (i = from; i < from + count; i++) {
        const call *c = &the_wire.calls[i];
        assert_memory_equal(text, c->body, c->size);
        assert_int_equal(text[c->size], '\n');
        text += c->size + 1;
    }
    assert_string_equal(text, "");
}

/* Of OTLP each request is a line, also one that is larger than a file may be. */
static void test_otlp(void **state)
{
    static const unsigned counts[] = { 3, 60, 2, 70, 80, 1, 4 };
    vit_options           o = audited(VIT_WIRE_OTLP);
    vit_client           *t = client_of(&o);
    size_t                i;
    unsigned              k;
    (void)state;
    for (i = 0; i < COUNT_OF(counts); i++) {
        for (k = 0; k < counts[i]; k++)
            vit_track_feature_toggled(t, &(vit_feature_toggled){ .new_value = true });
        assert_true(vit_flush(t, 5000));
        assert_int_equal(the_wire.count, i + 1);
        assert_true((counts[i] < 50) == (the_wire.calls[i].size < VITP_AUDIT_MAX));
        if (i == 0) assert_listed(list, 0, 1);
        if (i > 0 && i < 5) assert_listed(list_old, i - 1, 1);
        if (i > 0 && i < 5) assert_listed(list, i, 1);
        if (i == 6) assert_listed(list_old, 4, 1);
        if (i == 6) assert_listed(list, 5, 2);
    }
    assert_int_equal(logs_of(&the_logs, VIT_LOG_AUDIT_NOT_WRITTEN), 0);
    assert_true(vit_destroy(t, 1000));
}

static void test_off_by_default(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t;
    (void)state;
    o.audit = false;
    t = client_of(&o);
    flush_one(t);
    assert_false(file_exists(list));
    assert_true(vit_destroy(t, 1000));
}

static void test_memory_only(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t;
    (void)state;
    o.data_dir = "";
    t = client_of(&o);
    flush_one(t);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_AUDIT_NOT_WRITTEN), 0);
    assert_false(file_exists("sent.ndjson"));
    assert_false(file_exists("/sent.ndjson"));
    assert_true(vit_destroy(t, 1000));
}

/* Only what the server took is listed; nothing twice. */
static void test_only_delivered(void **state)
{
    static const int statuses[] = { 503, 400, 201 };
    vit_options      o = audited(VIT_WIRE_EVENT);
    vit_client      *t = client_of(&o);
    (void)state;
    wire_script(&the_wire, statuses, COUNT_OF(statuses));
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "first" });
    assert_false(vit_flush(t, 1));
    assert_false(file_exists(list));
    assert_true(vit_flush(t, 5000)); /* refused for good: dropped */
    assert_false(file_exists(list));
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "second" });
    assert_true(vit_flush(t, 5000));
    assert_int_equal(count_of(file_read(list), "\n"), 1);
    assert_int_equal(count_of(file_read(list), "second"), 1);
    assert_true(vit_destroy(t, 1000));
}

static void test_private(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t;
    struct stat s;
    mode_t      before = umask(0);
    (void)state;
    t = client_of(&o);
    flush_one(t);
    assert_int_equal(lstat(list, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(chmod(list, 0666), 0); /* somebody opened it up */
    flush_one(t);
    assert_int_equal(lstat(list, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    umask(before);
    assert_int_equal(count_of(file_read(list), "\n"), 2);
    assert_true(vit_destroy(t, 1000));
}

/* A list that cannot be written is told once and disturbs nothing; no link is followed. */
static void refused(const char *other)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_of(&o);
    flush_one(t);
    flush_one(t);
    assert_int_equal(vit_get_stats(t).delivered, 2);
    assert_balanced(t);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_AUDIT_NOT_WRITTEN), 1);
    if (other) assert_string_equal(file_read(other), "mine\n");
    assert_true(vit_destroy(t, 1000));
}

static void test_symbolic_link(void **state)
{
    char other[128];
    (void)state;
    snprintf(other, sizeof other, "%s/other", folder);
    file_write(other, "mine\n", 5, 0600);
    assert_int_equal(symlink("other", list), 0);
    refused(other);
}

static void test_hard_link(void **state)
{
    char other[128];
    (void)state;
    snprintf(other, sizeof other, "%s/other", folder);
    file_write(other, "mine\n", 5, 0600);
    assert_int_equal(link(other, list), 0);
    refused(other);
}

static void test_folder_in_its_place(void **state)
{
    (void)state;
    assert_int_equal(mkdir(list, 0700), 0);
    refused(NULL);
}

static void test_pipe_in_its_place(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(list, 0600), 0);
    refused(NULL);
}

/* What a full disk took a part of is taken back: the lines that are there are whole. */
static void test_full_disk(void **state)
{
    vit_options   o = audited(VIT_WIRE_EVENT);
    vit_client   *t = client_of(&o);
    struct rlimit before, small;
    size_t        size;
    (void)state;
    flush_one(t);
    size = strlen(file_read(list));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = (rlim_t)size + 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    flush_one(t);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(strlen(file_read(list)), size);
    assert_int_equal(vit_get_stats(t).delivered, 2);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_AUDIT_NOT_WRITTEN), 1);
    flush_one(t);
    assert_int_equal(count_of(file_read(list), "\n"), 2);
    assert_true(vit_destroy(t, 1000));
}

/* ---- what removes it ------------------------------------------------------------------------- */

static void fill(vit_client *t)
{
    file_write(list_old, "{}\n", 3, 0600);
    flush_one(t);
    assert_true(file_exists(list));
}

/* A client whose list has something. */
static vit_client *client_with_list(const vit_options *o)
{
    vit_client *t = client_of(o);
    fill(t);
    return t;
}

static void assert_removed(void)
{
    assert_false(file_exists(list));
    assert_false(file_exists(list_old));
}

static void test_purge(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_with_list(&o);
    (void)state;
    vit_purge(t);
    assert_removed();
    flush_one(t);
    assert_int_equal(count_of(file_read(list), "\n"), 1);
    assert_true(vit_destroy(t, 1000));
}

static void test_reset_identity(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_with_list(&o);
    (void)state;
    vit_reset_identity(t);
    assert_removed();
    assert_true(vit_destroy(t, 1000));
}

static void test_denied(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_with_list(&o);
    (void)state;
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_removed();
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    fill(t);
    vit_set_consent(t, VIT_CONSENT_UNKNOWN); /* withdrawn */
    assert_removed();
    assert_true(vit_destroy(t, 1000));
}

/* .consent = DENIED takes what an earlier run left, also without .audit. */
static void test_denied_at_creation(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_with_list(&o);
    (void)state;
    assert_true(vit_destroy(t, 1000));
    o.audit = false;
    o.consent = VIT_CONSENT_DENIED;
    t = client_of(&o);
    assert_removed();
    assert_true(vit_destroy(t, 1000));
}

static void test_switched_off(void **state)
{
    static const char off[] = "telemetry_enabled = false\n";
    vit_options       o = audited(VIT_WIRE_EVENT);
    vit_client       *t = client_with_list(&o);
    (void)state;
    file_write(settings, off, sizeof off - 1, 0600);
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "f" });
    assert_false(vit_flush(t, 1000));
    assert_removed();
    assert_true(vit_destroy(t, 1000));
}

/* The environment's refusal comes and goes: the list stays. */
static void test_environment_keeps(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_with_list(&o);
    (void)state;
    assert_true(vit_destroy(t, 1000));
    setenv("DO_NOT_TRACK", "1", 1);
    t = client_of(&o);
    unsetenv("DO_NOT_TRACK");
    assert_int_equal(vit_get_consent(t, NULL), VIT_CONSENT_DENIED);
    assert_true(file_exists(list));
    assert_true(vit_destroy(t, 1000));
}

/* Never before consent. */
static void test_unknown(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t;
    (void)state;
    o.consent = VIT_CONSENT_UNKNOWN;
    t = client_of(&o);
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "f" });
    assert_false(vit_flush(t, 10));
    assert_removed();
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_true(vit_flush(t, 1000));
    assert_int_equal(count_of(file_read(list), "\n"), 1);
    assert_true(vit_destroy(t, 1000));
}

/* ---- two clients of one folder --------------------------------------------------------------- */

static vit_client *other_client;

static vit_response other_refuses(wire *w, const vit_request *request, size_t number)
{
    vit_response answer = { 201, 0 };
    (void)w, (void)request, (void)number;
    vit_set_consent(other_client, VIT_CONSENT_DENIED);
    return answer;
}

static vit_response other_resets(wire *w, const vit_request *request, size_t number)
{
    vit_response answer = { 201, 0 };
    (void)w, (void)request, (void)number;
    vit_reset_identity(other_client);
    return answer;
}

/* What is under way while another process withdraws is delivered, and listed no more. */
static void withdrawn_by(vit_response (*answer_fn)(wire *, const vit_request *, size_t))
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_of(&o);
    other_client = client_of(&o);
    fill(t);
    the_wire.answer_fn = answer_fn;
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "f" });
    (void)vit_flush(t, 1000);
    the_wire.answer_fn = NULL;
    assert_removed();
    assert_int_equal(vit_get_stats(t).delivered, 2);
    assert_balanced(t);
    assert_true(vit_destroy(t, 1000));
    assert_true(vit_destroy(other_client, 1000));
}

static void test_other_refuses(void **state) { (void)state, withdrawn_by(other_refuses); }
static void test_other_resets(void **state) { (void)state, withdrawn_by(other_resets); }

static vit_client *sender;
static unsigned    armed; /* the n-th unlink from now on */

static int late_unlink(const char *path)
{
    int result = (unlink)(path);
    if (armed > 0 && strstr(path, "sent.ndjson") && --armed == 0) {
        vit_track_feature_toggled(sender, &(vit_feature_toggled){ .feature_name = "late" });
        (void)vit_flush(sender, 1000);
    }
    return result;
}

/* Another process delivers right behind the erasing: nothing is listed again. */
static void test_other_is_late(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    vit_client *t = client_of(&o);
    (void)state;
    sender = client_of(&o);
    fill(sender);
    armed = 2;
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_int_equal(armed, 0);
    assert_removed();
    assert_true(vit_destroy(t, 1000));
    assert_true(vit_destroy(sender, 1000));
}

/* A folder that is not the client's own: nothing in it is deleted. */
static void test_folder_is_a_link(void **state)
{
    char        link[128];
    vit_options o = audited(VIT_WIRE_EVENT);
    (void)state;
    file_write(list, "kept\n", 5, 0600);
    snprintf(link, sizeof link, "%s.link", folder);
    assert_int_equal(symlink(strrchr(folder, '/') + 1, link), 0);
    o.data_dir = link;
    o.consent = VIT_CONSENT_DENIED;
    assert_true(vit_destroy(client_of(&o), 0));
    assert_int_equal(unlink(link), 0);
    assert_string_equal(file_read(list), "kept\n");
}

typedef struct load {
    vit_client *client;
    unsigned    number;
} load;

static void *deliver(void *user)
{
    const load *l = (const load *)user;
    unsigned    i;
    for (i = 0; i < 200; i++) {
        vit_event e;
        vit_event_begin(&e, l->client, "audit.test", NULL);
        vit_add_int(&e, "who", (int64_t)l->number);
        vit_add_int(&e, "n", (int64_t)i);
        vit_event_send(&e);
        vit_flush(l->client, 5000);
    }
    return NULL;
}

/* Whole lines, whoever writes them. */
static void test_shared(void **state)
{
    vit_options o = audited(VIT_WIRE_EVENT);
    load        loads[3];
    pthread_t   threads[3];
    char        both[4 * VITP_AUDIT_MAX];
    const char *text;
    unsigned    i;
    (void)state;
    for (i = 0; i < 3; i++) {
        loads[i].client = client_of(&o);
        loads[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, deliver, &loads[i]), 0);
    }
    for (i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    snprintf(both, sizeof both, "%s", file_read(list_old));
    append(both, sizeof both, file_read(list), strlen(file_read(list)));
    for (text = both; *text; text = strchr(text, '\n') + 1) {
        assert_non_null(strchr(text, '\n'));
        assert_true(json_is_valid(text, (size_t)(strchr(text, '\n') - text)));
    }
    assert_int_equal(logs_of(&the_logs, VIT_LOG_AUDIT_NOT_WRITTEN), 0);
    for (i = 0; i < 3; i++) assert_true(vit_destroy(loads[i].client, 1000));
    assert_true(both[0] != 0);
}

/* Where an event ends, whatever its texts hold. One that does not end takes all there is. */
static void test_objects(void **state)
{
    static const struct {
        const char *text;
        size_t      size;
    } rows[] = { { "{},{}", 2 },
                 { "{\"a\":{\"b\":1}}\n{", 13 },
                 { "{\"a}\":\"}{\"},", 11 },
                 { "{\"\\\"}\":1}]", 9 },
                 { "{\"a\":1", 6 },
                 { "{\"a", 3 },
                 { "", 0 } };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++)
        if (vitp_audit_object(rows[i].text, strlen(rows[i].text)) != rows[i].size)
            fail_msg("%s: %lu", rows[i].text,
                     (unsigned long)vitp_audit_object(rows[i].text, strlen(rows[i].text)));
}

/* What the list holds already may be more than it may hold by now. */
static void test_objects_of_before(void **state)
{
    static char text[VITP_AUDIT_MAX + 4096];
    char        where[64], path[96];
    (void)state;
    folder_make(where);
    snprintf(path, sizeof path, "%s/sent.ndjson", where);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\n';
    file_write(path, text, sizeof text, 0600);
    assert_true(vitp_audit_append(where, "{}\n", 3));
    assert_string_equal(file_read(path), "{}\n");
    snprintf(path, sizeof path, "%s/sent.1.ndjson", where);
    assert_int_equal(strlen(file_read(path)), sizeof text);
    folder_remove(where);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_same_event),
        TEST(test_same_array),
        TEST(test_same_array_of_few),
        TEST(test_same_ndjson),
        TEST(test_same_ndjson_of_few),
        TEST(test_caps_event),
        TEST(test_caps_ndjson),
        TEST(test_caps_array),
        TEST(test_caps_large_batch),
        TEST(test_otlp),
        TEST(test_off_by_default),
        TEST(test_memory_only),
        TEST(test_only_delivered),
        TEST(test_private),
        TEST(test_symbolic_link),
        TEST(test_hard_link),
        TEST(test_folder_in_its_place),
        TEST(test_pipe_in_its_place),
        TEST(test_full_disk),
        TEST(test_purge),
        TEST(test_reset_identity),
        TEST(test_denied),
        TEST(test_denied_at_creation),
        TEST(test_switched_off),
        TEST(test_environment_keeps),
        TEST(test_unknown),
        TEST(test_other_refuses),
        TEST(test_other_resets),
        TEST(test_other_is_late),
        TEST(test_folder_is_a_link),
        TEST(test_shared),
        TEST(test_objects),
        TEST(test_objects_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
