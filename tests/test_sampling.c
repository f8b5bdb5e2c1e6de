/* test_sampling.c: which events are recorded, and what they say of it.

   Build:   cc -std=c99 -I. tests/test_sampling.c -o build/tests/test_sampling -lcmocka -pthread */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "common.h"

#include <pthread.h>
#include <signal.h>

static logs the_logs;

static vit_client *client(vit_sampling sampling)
{
    vit_options o = options_of(NULL, &the_logs);
    logs_init(&the_logs);
    o.sampling = sampling;
    return client_of(&o);
}

static void end(vit_client *t)
{
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
}

static vit_status track_query(vit_client *t, const vit_op *op)
{
    vit_query_executed event;
    memset(&event, 0, sizeof event);
    event.op = op;
    return vit_track_query_executed(t, &event);
}

static vit_status track_name(vit_client *t, const char *name, const vit_op *op)
{
    vit_event e;
    vit_event_begin(&e, t, name, op);
    vit_add_int(&e, "n", 1);
    return vit_event_send(&e);
}

/* The rule, written anew: first 8 hex digits of sha256(seed:event) over 0xFFFFFFFF. */
static bool rule(const char *event, double rate, const char *seed)
{
    unsigned char digest[32];
    char          text[256], hex[9];
    double        share;
    if (rate >= 1.0) return true;
    if (!(rate > 0.0)) return false;
    snprintf(text, sizeof text, "%s:%s", seed, event);
    vit_sha256(digest, text, strlen(text));
    snprintf(hex, sizeof hex, "%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
    share = (double)strtoul(hex, NULL, 16) / 4294967295.0;
    return share < rate;
}

static void test_rule(void **state)
{
    static const double rates[] = { -1.0, 0.0, 1e-9, 0.05, 0.25, 0.5, 0.75, 0.999999, 1.0, 2.0 };
    unsigned            kept = 0, i, j;
    char                seed[32];
    (void)state;
    for (i = 0; i < 5000; i++) {
        snprintf(seed, sizeof seed, "session-%u", i);
        for (j = 0; j < COUNT_OF(rates); j++)
            assert_int_equal(vit_should_sample("query.executed", rates[j], seed),
                             rule("query.executed", rates[j], seed));
        kept += vit_should_sample("query.executed", 0.25, seed) ? 1u : 0u;
    }
    assert_true(kept > 1100 && kept < 1400);
    assert_int_equal(vit_should_sample("e", 0.5, NULL), rule("e", 0.5, ""));
    assert_int_equal(vit_should_sample(NULL, 0.5, "s"), rule("", 0.5, "s"));
    assert_false(vit_should_sample("e", strtod("nan", NULL), "s"));
    assert_true(vit_should_sample("e", strtod("inf", NULL), "s"));
}

/* By coreutils sha256 of session-1:query.executed begins with de6ffbb4. */
static void test_rule_known(void **state)
{
    unsigned char digest[32];
    char          hex[65];
    size_t        i;
    (void)state;
    vit_sha256(digest, "abc", 3);
    for (i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(vit_should_sample("query.executed", 0.868906, "session-1"));
    assert_false(vit_should_sample("query.executed", 0.868886, "session-1"));
}

/* A session keeps all of its events of a name or none, as vit_should_sample says of its id. */
static void test_session_all_or_none(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    unsigned    i, j, kept = 0;
    char        session[32];
    (void)state;
    for (i = 0; i < 300; i++) {
        bool query, embedding;
        snprintf(session, sizeof session, "s-%u", i);
        vit_session_begin(t, session, NULL);
        query = rule("query.executed", 0.05, session);
        embedding = rule("embedding.request", 0.05, session);
        for (j = 0; j < 5; j++) {
            vit_embedding_request event;
            memset(&event, 0, sizeof event);
            assert_int_equal(track_query(t, NULL), query ? VIT_OK : VIT_SAMPLED_OUT);
            assert_int_equal(vit_track_embedding_request(t, &event),
                             embedding ? VIT_OK : VIT_SAMPLED_OUT);
        }
        kept += (query ? 1u : 0u) + (embedding ? 1u : 0u);
        vit_session_end(t, VIT_EXIT_NORMAL);
        vit_purge(t);
    }
    assert_true(kept > 5); /* both answers occurred */
    assert_int_equal(vit_get_stats(t).refused_sampled, 5u * (600u - kept));
    end(t);
}

/* Without a session the hwid decides. */
static void test_hwid(void **state)
{
    unsigned i, kept = 0;
    (void)state;
    for (i = 0; i < 40; i++) {
        vit_client *t = client(VIT_SAMPLE_SESSION);
        char        hwid[64];
        bool        keep;
        assert_int_equal(track_name(t, "probe", NULL), VIT_OK);
        snprintf(hwid, sizeof hwid, "%s", json_at(line_of(t), "hwid") + 1);
        hwid[36] = 0;
        vit_set_rate(t, "query.executed", 0.5);
        keep = rule("query.executed", 0.5, hwid);
        assert_int_equal(track_query(t, NULL), keep ? VIT_OK : VIT_SAMPLED_OUT);
        if (keep) assert_json(line_of(t), "metadata/sampling_seed_type", "\"hwid\"");
        kept += keep ? 1u : 0u;
        vit_reset_identity(t); /* another hwid decides anew */
        assert_int_equal(track_name(t, "probe", NULL), VIT_OK);
        snprintf(hwid, sizeof hwid, "%s", json_at(line_of(t), "hwid") + 1);
        hwid[36] = 0;
        assert_int_equal(track_query(t, NULL),
                         rule("query.executed", 0.5, hwid) ? VIT_OK : VIT_SAMPLED_OUT);
        end(t);
    }
    assert_true(kept > 5 && kept < 35);
}

/* An event that is put together in one session and sent in the next is of the next one. */
static void test_over_sessions(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    unsigned    i;
    char        session[32], quoted[40];
    vit_event   e;
    (void)state;
    vit_set_rate(t, "probe", 0.5);
    for (i = 0; i < 20; i++) {
        vit_event_begin(&e, t, "probe", NULL);
        vit_add_int(&e, "n", 1);
        snprintf(session, sizeof session, "s-%u", i);
        snprintf(quoted, sizeof quoted, "\"%s\"", session);
        vit_session_begin(t, session, NULL);
        vit_purge(t);
        assert_int_equal(vit_event_send(&e),
                         rule("probe", 0.5, session) ? VIT_OK : VIT_SAMPLED_OUT);
        if (rule("probe", 0.5, session))
            assert_json(line_of(t), "metadata/session_id", quoted);
    }
    end(t);
}

static void test_members(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    const char *line;
    (void)state;
    vit_set_rate(t, "query.executed", 0.999999);
    vit_session_begin(t, "s-1", NULL);
    vit_purge(t);
    assert_int_equal(track_query(t, NULL), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/sampling_rate", "0.999999");
    assert_json(line, "metadata/sampling_seed_type", "\"session\"");
    assert_json(line, "metadata/sampling_version", "\"1\"");
    vit_set_rate(t, "query.executed", 1.0); /* not sampled: says nothing */
    assert_int_equal(track_query(t, NULL), VIT_OK);
    assert_json(line_of(t), "metadata/sampling_rate", "");
    vit_set_rate(t, "query.executed", 7.0);
    assert_int_equal(track_query(t, NULL), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/sampling_rate", "");
    assert_json(line, "metadata/sampling_seed_type", "");
    assert_json(line, "metadata/sampling_version", "");
    end(t);
}

static void test_default_rates(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    unsigned    i;
    char        session[32];
    const char *line;
    (void)state;
    for (i = 0;; i++) { /* a session that keeps queries at 0.05 */
        snprintf(session, sizeof session, "s-%u", i);
        if (rule("query.executed", 0.05, session)) break;
    }
    vit_session_begin(t, session, NULL);
    vit_purge(t);
    assert_int_equal(track_query(t, NULL), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/sampling_rate", "0.05");
    end(t);
}

static void test_set_rate(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    (void)state;
    vit_session_begin(t, "s-1", NULL);
    vit_set_rate(t, "query.executed", 1.0);
    assert_int_equal(track_query(t, NULL), VIT_OK);
    vit_set_rate(t, "query.executed", 0.0);
    assert_int_equal(track_query(t, NULL), VIT_SAMPLED_OUT);
    vit_set_rate(t, "query.executed", 1.0);
    assert_int_equal(track_query(t, NULL), VIT_OK);
    vit_set_rate(t, "query.executed", -3.0);
    assert_int_equal(track_query(t, NULL), VIT_SAMPLED_OUT);
    vit_set_rate(t, "query.executed", strtod("nan", NULL));
    assert_int_equal(track_query(t, NULL), VIT_SAMPLED_OUT);
    vit_set_rate(t, "embedding.request", 1.0); /* of another name: changes nothing */
    assert_int_equal(track_query(t, NULL), VIT_SAMPLED_OUT);
    vit_set_rate(t, NULL, 1.0);
    vit_set_rate(t, "", 1.0);
    vit_set_rate(t, "no name", 1.0);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_NAME_INVALID), 1);
    assert_int_equal(track_query(t, NULL), VIT_SAMPLED_OUT);
    end(t);
}

static void test_adhoc(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    unsigned    i, kept = 0;
    char        session[32];
    (void)state;
    assert_int_equal(track_name(t, "file.opened", NULL), VIT_OK); /* 1 by default */
    assert_json(line_of(t), "metadata/sampling_rate", "");
    vit_set_rate(t, "file.opened", 0.5);
    for (i = 0; i < 100; i++) {
        bool keep;
        snprintf(session, sizeof session, "s-%u", i);
        keep = rule("file.opened", 0.5, session);
        vit_session_begin(t, session, NULL);
        vit_purge(t);
        assert_int_equal(track_name(t, "file.opened", NULL), keep ? VIT_OK : VIT_SAMPLED_OUT);
        assert_int_equal(track_name(t, "file.opened", NULL), keep ? VIT_OK : VIT_SAMPLED_OUT);
        assert_int_equal(track_name(t, "file.other", NULL), VIT_OK);
        kept += keep ? 1u : 0u;
        if (keep) {
            lines l = lines_of(t);
            assert_json(l.text[0], "metadata/sampling_rate", "0.5");
            assert_json(l.text[0], "metadata/sampling_seed_type", "\"session\"");
            lines_free(&l);
        }
    }
    assert_true(kept > 30 && kept < 70);
    end(t);
}

/* Within a client, one after the other: two names are decided by themselves. */
static void test_names_differ(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    unsigned    i, differ = 0;
    char        name[32];
    (void)state;
    vit_session_begin(t, "s-1", NULL);
    for (i = 0; i < 60; i++) {
        bool keep;
        snprintf(name, sizeof name, "event.%u", i);
        vit_set_rate(t, name, 0.5);
        keep = rule(name, 0.5, "s-1");
        assert_int_equal(track_name(t, name, NULL), keep ? VIT_OK : VIT_SAMPLED_OUT);
        differ += keep ? 1u : 0u;
    }
    assert_true(differ > 15 && differ < 45);
    end(t);
}

/* FLOW: the correlation id decides, the same for all events of an op and each in turn. */
static void test_flow(void **state)
{
    vit_client *t = client(VIT_SAMPLE_FLOW);
    unsigned    i, kept = 0;
    (void)state;
    vit_session_begin(t, "s-1", NULL);
    vit_purge(t);
    vit_set_rate(t, "query.executed", 0.5);
    vit_set_rate(t, "file.opened", 0.5);
    for (i = 0; i < 200; i++) {
        vit_op op = vit_op_begin();
        char   id[37];
        bool   keep;
        vit_op_text(&op, id);
        keep = rule("query.executed", 0.5, id);
        assert_int_equal(track_query(t, &op), keep ? VIT_OK : VIT_SAMPLED_OUT);
        assert_int_equal(track_query(t, &op), keep ? VIT_OK : VIT_SAMPLED_OUT);
        if (keep) {
            lines l = lines_of(t);
            assert_json(l.text[0], "metadata/sampling_seed_type", "\"correlation\"");
            assert_json(l.text[0], "metadata/sampling_rate", "0.5");
            lines_free(&l);
        }
        vit_purge(t);
        keep = rule("file.opened", 0.5, id);
        assert_int_equal(track_name(t, "file.opened", &op), keep ? VIT_OK : VIT_SAMPLED_OUT);
        kept += keep ? 1u : 0u;
        vit_purge(t);
    }
    assert_true(kept > 60 && kept < 140);
    end(t);
}

/* FLOW without .op: the id that the client makes decides, and is the one that is sent. */
static void test_flow_own_id(void **state)
{
    vit_client *t = client(VIT_SAMPLE_FLOW);
    unsigned    i, kept = 0;
    (void)state;
    vit_set_rate(t, "query.executed", 0.5);
    for (i = 0; i < 200; i++) {
        char        id[64];
        const char *line;
        if (track_query(t, NULL) != VIT_OK) continue;
        kept++;
        line = line_of(t);
        snprintf(id, sizeof id, "%s", json_at(line, "metadata/correlation_id") + 1);
        id[36] = 0;
        assert_true(rule("query.executed", 0.5, id));
    }
    assert_true(kept > 60 && kept < 140);
    end(t);
}

/* Errors are never sampled, whatever the host sets; nor by which way they come. */
static void test_errors(void **state)
{
    static const char *const names[] = {
        "UncaughtException",       "QtError",        "Error", "error.repeated",
        "sample_db.create_failed", "DataImportError"
    };
    vit_client                 *t = client(VIT_SAMPLE_SESSION);
    vit_uncaught_exception      uncaught;
    vit_qt_error                qt;
    vit_error_event             error;
    vit_error_repeated          repeated;
    vit_sample_db_create_failed failed;
    vit_error                   e;
    vit_event                   builder;
    lines                       l;
    size_t                      i;
    (void)state;
    for (i = 0; i < COUNT_OF(names); i++) vit_set_rate(t, names[i], 0.0);
    memset(&uncaught, 0, sizeof uncaught);
    memset(&qt, 0, sizeof qt);
    memset(&error, 0, sizeof error);
    memset(&repeated, 0, sizeof repeated);
    memset(&failed, 0, sizeof failed);
    memset(&e, 0, sizeof e);
    assert_int_equal(vit_track_uncaught_exception(t, &uncaught), VIT_OK);
    assert_int_equal(vit_track_qt_error(t, &qt), VIT_OK);
    assert_int_equal(vit_track_error_event(t, &error), VIT_OK);
    assert_int_equal(vit_track_error_repeated(t, &repeated), VIT_OK);
    assert_int_equal(vit_track_sample_db_create_failed(t, &failed), VIT_OK);
    assert_int_equal(vit_track_error(t, &e), VIT_OK);
    e.event_name = "DataImportError";
    assert_int_equal(vit_track_error(t, &e), VIT_OK);
    vit_event_begin(&builder, t, "DataImportError", NULL);
    vit_add_error(&builder, "T", "m", NULL, NULL);
    assert_int_equal(vit_event_send(&builder), VIT_OK);
    l = lines_of(t);
    assert_int_equal(l.count, 8);
    for (i = 0; i < l.count; i++) assert_json(l.text[i], "metadata/sampling_rate", "");
    lines_free(&l);
    assert_int_equal(track_name(t, "DataImportError", NULL),
                     VIT_SAMPLED_OUT); /* no error: only named so */
    end(t);
}

/* The names of the specification's error events are at 1 from the builder, too. */
static void test_errors_by_name(void **state)
{
    static const char *const names[] = { "UncaughtException", "QtError", "Error", "error.repeated",
                                         "sample_db.create_failed" };
    vit_client              *t = client(VIT_SAMPLE_SESSION);
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(names); i++) {
        vit_set_rate(t, names[i], 0.0);
        assert_int_equal(track_name(t, names[i], NULL), VIT_OK);
    }
    end(t);
}

/* The high-volume names have their default rate from the builder, too. */
static void test_default_rate_by_name(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    unsigned    i;
    char        session[32];
    (void)state;
    for (i = 0; i < 50; i++) {
        snprintf(session, sizeof session, "s-%u", i);
        vit_session_begin(t, session, NULL);
        vit_purge(t);
        assert_int_equal(track_name(t, "query.executed", NULL),
                         rule("query.executed", 0.05, session) ? VIT_OK : VIT_SAMPLED_OUT);
    }
    end(t);
}

/* Under UNKNOWN the provisional hwid decides, and stays when the user agrees. */
static void test_unknown(void **state)
{
    vit_options o = options_of(NULL, NULL);
    unsigned    i;
    (void)state;
    o.consent = VIT_CONSENT_UNKNOWN;
    for (i = 0; i < 20; i++) {
        vit_client *t = vit_create(&o);
        char        hwid[64];
        vit_status  before;
        assert_int_equal(track_name(t, "probe", NULL), VIT_OK);
        snprintf(hwid, sizeof hwid, "%s", json_at(line_of(t), "hwid") + 1);
        hwid[36] = 0;
        vit_set_rate(t, "query.executed", 0.5);
        before = track_query(t, NULL);
        assert_int_equal(before, rule("query.executed", 0.5, hwid) ? VIT_OK : VIT_SAMPLED_OUT);
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_int_equal(track_query(t, NULL), before);
        end(t);
    }
}

/* 64 names have a rate; the 65th is refused and logged, and the others keep theirs. */
static void test_65_names(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    char        name[32];
    unsigned    i;
    (void)state;
    for (i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "event.%u", i);
        vit_set_rate(t, name, 0.0);
    }
    assert_int_equal(logs_of(&the_logs, VIT_LOG_RATES_FULL), 0);
    vit_set_rate(t, "event.64", 0.0);
    vit_set_rate(t, "event.65", 0.0);
    assert_int_equal(logs_of(&the_logs, VIT_LOG_RATES_FULL), 1);
    assert_int_equal(track_name(t, "event.64", NULL), VIT_OK);
    for (i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "event.%u", i);
        assert_int_equal(track_name(t, name, NULL), VIT_SAMPLED_OUT);
    }
    vit_set_rate(t, "event.63", 1.0); /* a known name may still change */
    assert_int_equal(track_name(t, "event.63", NULL), VIT_OK);
    end(t);
}

/* A rate that a host turns up and down for ever: every change counts, or is logged. */
static void test_many_rates(void **state)
{
    vit_client *t = client(VIT_SAMPLE_SESSION);
    unsigned    i;
    (void)state;
    for (i = 1; i <= 2000 && logs_of(&the_logs, VIT_LOG_RATES_FULL) == 0; i++) {
        vit_set_rate(t, "file.opened", 0.9 + (double)i * 1e-6);
        vit_set_rate(t, "file.opened", 0.0);
        assert_int_equal(track_name(t, "file.opened", NULL), VIT_SAMPLED_OUT);
    }
    assert_true(i >= 399);
    vit_set_rate(t, "file.opened", 0.0); /* a value that is known may still be set */
    assert_int_equal(track_name(t, "file.opened", NULL), VIT_SAMPLED_OUT);
    end(t);
}

/* ---- how many were refused is counted exactly, by whatever threads and handlers -------------- */

#define REFUSED_EACH    300000u
#define REFUSED_THREADS 40u /* more than there are tallies */

static vit_client           *refused_client;
static volatile sig_atomic_t refused_in_handler;
static uint32_t              refused_done;

static void on_signal(int number)
{
    (void)number;
    if (track_query(refused_client, NULL) == VIT_SAMPLED_OUT) refused_in_handler++;
}

static void *signal_often(void *thread)
{
    while (!VITP_ATOMIC_LOAD(&refused_done)) pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

static void *refuse_many(void *argument)
{
    unsigned i;
    (void)argument;
    for (i = 0; i < REFUSED_EACH; i++) (void)track_query(refused_client, NULL);
    return NULL;
}

static void test_refused_by_many(void **state)
{
    struct sigaction action, before;
    pthread_t        threads[REFUSED_THREADS], self = pthread_self();
    uint64_t         all = 0;
    unsigned         i;
    (void)state;
#ifdef VITELEMETRY_NO_THREADS
    skip(); /* one thread may call */
#endif
    refused_client = client(VIT_SAMPLE_SESSION);
    vit_set_rate(refused_client, "query.executed", 0.0);
    for (i = 0; i < REFUSED_THREADS; i++, all += REFUSED_EACH)
        assert_int_equal(pthread_create(&threads[i], NULL, refuse_many, NULL), 0);
    for (i = 0; i < REFUSED_THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(vit_get_stats(refused_client).refused_sampled, all);

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    refused_in_handler = 0;
    refused_done = 0;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, signal_often, &self), 0);
    for (i = 0; i < 4 || refused_in_handler < 1000; i++, all += REFUSED_EACH) refuse_many(NULL);
    VITP_ATOMIC_STORE(&refused_done, 1u);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    all += (uint64_t)refused_in_handler;
    assert_int_equal(vit_get_stats(refused_client).refused_sampled, all);

    vit_set_consent(refused_client, VIT_CONSENT_DENIED);
    refuse_many(NULL);
    assert_int_equal(vit_get_stats(refused_client).refused_disabled, REFUSED_EACH);
    end(refused_client);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_rule_known),
        cmocka_unit_test(test_session_all_or_none),
        cmocka_unit_test(test_hwid),
        cmocka_unit_test(test_over_sessions),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_default_rates),
        cmocka_unit_test(test_set_rate),
        cmocka_unit_test(test_adhoc),
        cmocka_unit_test(test_names_differ),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_flow_own_id),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_errors_by_name),
        cmocka_unit_test(test_default_rate_by_name),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_65_names),
        cmocka_unit_test(test_many_rates),
        cmocka_unit_test(test_refused_by_many),
    };
    environment_clear();
    return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
