/* test_consent.c: who may refuse, what a refusal takes away, and where the identity is kept.

   Build:   cc -std=c99 -I. tests/test_consent.c -o build/tests/test_consent -lcmocka -pthread */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "common.h"

#include "bench.h"

#define SETTINGS "telemetry.conf"

/* ---- environment ----------------------------------------------------------------------------- */

static const char *fake_name[4], *fake_value[4];

static const char *fake_env(const char *name)
{
    size_t i;
    for (i = 0; i < COUNT_OF(fake_name); i++)
        if (fake_name[i] && strcmp(fake_name[i], name) == 0) return fake_value[i];
    return NULL;
}

static void fake_set(const char *name, const char *value, const char *name2, const char *value2)
{
    memset(fake_name, 0, sizeof fake_name);
    fake_name[0] = name, fake_value[0] = value;
    fake_name[1] = name2, fake_value[1] = value2;
}

static const struct {
    const char *value;
    bool        on;
} values[] = {
    { "1", true },      { "true", true },   { "TRUE", true },   { "yes", true },
    { "on", true },     { "2", true },      { "x", true },      { "anything at all", true },
    { " ", true },      { "00", true },     { "", false },      { "0", false },
    { "false", false }, { "False", false }, { "FALSE", false }, { "no", false },
    { "No", false },    { "off", false },   { "OFF", false },   { "falsehood", true },
    { "nope", true }
};

static void test_environment(void **state)
{
    static const struct {
        const char *client, *name;
    } own[] = {
        { "vector-inspector", "VECTOR_INSPECTOR_TELEMETRY_OPTOUT" },
        { "app", "APP_TELEMETRY_OPTOUT" },
        { "My.App-2", "MY_APP_2_TELEMETRY_OPTOUT" },
    };
    size_t i, j;
    (void)state;
    for (i = 0; i < COUNT_OF(values); i++) {
        fake_set("DO_NOT_TRACK", values[i].value, NULL, NULL);
        assert_int_equal(vitp_consent_environment(fake_env, "app"), values[i].on);
        fake_set("VI_NO_TELEMETRY", values[i].value, NULL, NULL);
        assert_int_equal(vitp_consent_environment(fake_env, "app"), values[i].on);
        for (j = 0; j < COUNT_OF(own); j++) {
            fake_set(own[j].name, values[i].value, NULL, NULL);
            assert_int_equal(vitp_consent_environment(fake_env, own[j].client), values[i].on);
        }
        fake_set("VITELEMETRY_OPTOUT", values[i].value, NULL, NULL);
        assert_int_equal(vitp_consent_environment(fake_env, "app"), values[i].on);
        fake_set("CI", values[i].value, NULL, NULL);
        assert_int_equal(vitp_consent_ci(fake_env), values[i].on);
    }
    fake_set(NULL, NULL, NULL, NULL);
    assert_false(vitp_consent_environment(fake_env, "app"));
    fake_set("APP_TELEMETRY_OPTOUT", "1", NULL, NULL); /* of another client */
    assert_false(vitp_consent_environment(fake_env, "other"));
    fake_set("DO_NOT_TRACK", "0", "VI_NO_TELEMETRY", "1"); /* one is enough */
    assert_true(vitp_consent_environment(fake_env, "app"));
}

/* Other products' opt-outs: one is about that product, two are about the user. */
static void test_neighbours(void **state)
{
    static const struct {
        const char *name, *off, *on; /* off: telemetry of that product */
    } neighbours[] = {
        { "DOTNET_CLI_TELEMETRY_OPTOUT", "1", "0" },
        { "HOMEBREW_NO_ANALYTICS", "1", "" },
        { "POWERSHELL_TELEMETRY_OPTOUT", "yes", "no" },
        { "NEXT_TELEMETRY_DISABLED", "1", "false" },
        { "GATSBY_TELEMETRY_DISABLED", "true", "0" },
        { "AZURE_CORE_COLLECT_TELEMETRY", "0", "1" },
        { "SAM_CLI_TELEMETRY", "False", "" },
    };
    size_t i, j;
    (void)state;
    for (i = 0; i < COUNT_OF(neighbours); i++) {
        fake_set(neighbours[i].name, neighbours[i].off, NULL, NULL);
        assert_false(vitp_consent_environment(fake_env, "app"));
        for (j = 0; j < COUNT_OF(neighbours); j++) {
            if (i == j) continue;
            fake_set(neighbours[i].name, neighbours[i].off, neighbours[j].name, neighbours[j].off);
            assert_true(vitp_consent_environment(fake_env, "app"));
            fake_set(neighbours[i].name, neighbours[i].off, neighbours[j].name, neighbours[j].on);
            assert_false(vitp_consent_environment(fake_env, "app"));
        }
    }
}

static void test_ci(void **state)
{
    static const char *const alone[] = { "CI",
                                         "TF_BUILD",
                                         "GITHUB_ACTIONS",
                                         "GITLAB_CI",
                                         "APPVEYOR",
                                         "TRAVIS",
                                         "CIRCLECI",
                                         "BUILDKITE",
                                         "DRONE",
                                         "NETLIFY",
                                         "TEAMCITY_VERSION",
                                         "JB_SPACE_API_URL",
                                         "JENKINS_URL",
                                         "BITBUCKET_COMMIT",
                                         "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
                                         "bamboo_planKey",
                                         "PYTEST_CURRENT_TEST" };
    static const char *const pairs[][2] = { { "CODEBUILD_BUILD_ID", "AWS_REGION" },
                                            { "BUILD_ID", "BUILD_URL" },
                                            { "BUILD_ID", "PROJECT_ID" },
                                            { "TASK_ID", "RUN_ID" } };
    size_t                   i;
    (void)state;
    fake_set(NULL, NULL, NULL, NULL);
    assert_false(vitp_consent_ci(fake_env));
    for (i = 0; i < COUNT_OF(alone); i++) {
        fake_set(alone[i], "true", NULL, NULL);
        assert_true(vitp_consent_ci(fake_env));
        fake_set(alone[i], "", NULL, NULL);
        assert_false(vitp_consent_ci(fake_env));
        fake_set(alone[i], "false", NULL, NULL); /* of a switch: off; of a thing: a name */
        assert_int_equal(vitp_consent_ci(fake_env), i >= 10);
    }
    for (i = 0; i < COUNT_OF(pairs); i++) {
        fake_set(pairs[i][0], "x", NULL, NULL);
        assert_false(vitp_consent_ci(fake_env));
        fake_set(pairs[i][1], "x", NULL, NULL);
        assert_false(vitp_consent_ci(fake_env));
        fake_set(pairs[i][0], "0", pairs[i][1], "y"); /* builds are counted from 0, too */
        assert_true(vitp_consent_ci(fake_env));
        fake_set(pairs[i][0], "", pairs[i][1], "y");
        assert_false(vitp_consent_ci(fake_env));
    }
}

/* ---- a client and its folder ----------------------------------------------------------------- */

static void settings_write(bench *b, const char *text)
{
    file_write(b->path, text, strlen(text), 0600);
}

static void assert_gate(const vit_client *t, vit_consent consent, vit_gate gate)
{
    vit_gate why = VIT_GATE_BUILD;
    assert_int_equal(vit_get_consent(t, &why), consent);
    assert_int_equal(why, gate);
    assert_int_equal(vit_get_consent(t, NULL), consent);
}

/* Nothing lies in the folder. */
static void assert_folder_empty(const char *folder)
{
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
}

#define HWID     "123e4567-e89b-42d3-a456-426614174000"
#define SALT     "00112233445566778899aabbccddeeff"
#define IDENTITY "hwid = " HWID "\nsalt = " SALT "\n"

static void test_gates(void **state)
{
    static const struct {
        const char *name, *value;
        bool        refuses;
        vit_gate    gate;
    } cases[] = {
        { "DO_NOT_TRACK", "1", true, VIT_GATE_ENVIRONMENT },
        { "DO_NOT_TRACK", "0", false, VIT_GATE_NONE },
        { "VI_NO_TELEMETRY", "yes", true, VIT_GATE_ENVIRONMENT },
        { "VECTOR_INSPECTOR_TELEMETRY_OPTOUT", "1", true, VIT_GATE_ENVIRONMENT },
        { "OTHER_TELEMETRY_OPTOUT", "1", false, VIT_GATE_NONE },
        { "CI", "true", true, VIT_GATE_CI },
        { "CI", "false", false, VIT_GATE_NONE },
        { "GITHUB_ACTIONS", "true", true, VIT_GATE_CI },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        b.o.allow_in_ci = false;
        setenv(cases[i].name, cases[i].value, 1);
        t = bench_client(&b);
        unsetenv(cases[i].name);
        assert_gate(t, cases[i].refuses ? VIT_CONSENT_DENIED : VIT_CONSENT_GRANTED, cases[i].gate);
        assert_int_equal(track(t, "a"), cases[i].refuses ? VIT_DISABLED : VIT_OK);
        vit_set_consent(t, VIT_CONSENT_GRANTED); /* the user's consent does not overrule the gate */
        assert_gate(t, cases[i].refuses ? VIT_CONSENT_DENIED : VIT_CONSENT_GRANTED, cases[i].gate);
        assert_int_equal(vit_flush(t, 5000), !cases[i].refuses);
        assert_int_equal(wire_count(&b.w), cases[i].refuses ? 0 : 1);
        assert_int_equal(logs_of(&b.l, VIT_LOG_CONSENT_REFUSED), cases[i].refuses ? 1 : 0);
        end(t);
        if (cases[i].refuses) assert_string_equal(setting_of(b.path, "hwid"), "");
        bench_free(&b);
    }
}

/* A gate that is no wish to forget erases nothing: what an earlier run left waits behind it. */
static void test_gates_come_and_go(void **state)
{
    static const char *const names[] = { "DO_NOT_TRACK", "CI" };
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(names); i++) {
        bench       b;
        vit_client *t;
        char        hwid[64];
        bench_make(&b);
        b.o.no_thread = true;
        b.o.allow_in_ci = false;
        b.w.otherwise.http_status = 503;
        t = bench_client(&b);
        assert_int_equal(track(t, "earlier"), VIT_OK);
        end(t);
        snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
        assert_int_equal(strlen(hwid), 36);
        setenv(names[i], "1", 1);
        t = bench_client(&b);
        unsetenv(names[i]);
        assert_int_equal(vit_get_consent(t, NULL), VIT_CONSENT_DENIED);
        assert_int_equal(track(t, "behind"), VIT_DISABLED);
        assert_false(vit_flush(t, 100));
        end(t);
        assert_string_equal(setting_of(b.path, "hwid"), hwid);
        b.w.otherwise.http_status = 201;
        t = bench_client(&b);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(wire_times(&b.w, "earlier\""), 1);
        end(t);
        bench_free(&b);
    }
}

static void test_allow_in_ci(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    setenv("CI", "true", 1);
    t = bench_client(&b); /* allow_in_ci of options_of */
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    end(t);
    setenv("DO_NOT_TRACK", "1", 1);
    t = bench_client(&b); /* of the environment it says nothing */
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_ENVIRONMENT);
    end(t);
    unsetenv("CI");
    unsetenv("DO_NOT_TRACK");
    bench_free(&b);
}

/* ---- UNKNOWN --------------------------------------------------------------------------------- */

static void test_unknown_then_granted(void **state)
{
    bench       b;
    vit_client *t;
    char        hwid[64];
    lines       l;
    unsigned    threads;
    (void)state;
    for (threads = 0; threads < 2; threads++) {
        bench_make(&b);
        b.o.consent = VIT_CONSENT_UNKNOWN;
        b.o.no_thread = threads == 0;
        b.o.flush_ms = 1;
        t = bench_client(&b);
        assert_gate(t, VIT_CONSENT_UNKNOWN, VIT_GATE_CONSENT);
        vit_set_context(t, "qdrant", "customers");
        assert_int_equal(track(t, "first"), VIT_OK);
        assert_int_equal(track(t, "second"), VIT_OK);
        assert_false(vit_flush(t, 100));
        assert_false(vit_pump(t));
        sleep_ms(30);
        assert_int_equal(wire_count(&b.w), 0);
        assert_folder_empty(b.folder);
        assert_int_equal(logs_of(&b.l, VIT_LOG_CONSENT_UNKNOWN), 1);
        l = lines_of(t);
        assert_int_equal(l.count, 2);
        snprintf(hwid, sizeof hwid, "%s", json_at(l.text[0], "hwid") + 1);
        hwid[36] = 0;
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
        assert_string_equal(setting_of(b.path, "hwid"), hwid);
        assert_string_equal(setting_of(b.path, "consent"), "granted");
        assert_string_equal(setting_of(b.path, "telemetry_enabled"), "true");
        assert_true(is_hex(setting_of(b.path, "salt"), 32));
        assert_true(vit_flush(t, 20000));
        assert_int_equal(wire_count(&b.w), 2);
        assert_string_equal(b.w.calls[0].body, l.text[0]); /* the hashes were right already */
        assert_string_equal(b.w.calls[1].body, l.text[1]);
        lines_free(&l);
        end(t);
        t = bench_client(&b); /* the next run: granted, the same identity */
        assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
        assert_int_equal(track(t, "third"), VIT_OK);
        assert_true(vit_flush(t, 20000));
        assert_memory_equal(json_at(b.w.calls[2].body, "hwid") + 1, hwid, 36);
        end(t);
        bench_free(&b);
    }
}

static void test_unknown_to_the_end(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = bench_client(&b);
    assert_int_equal(track(t, "first"), VIT_OK);
    vit_session_begin(t, NULL, NULL);
    vit_set_rate(t, "x", 0.5);
    vit_reset_identity(t);
    vit_purge(t);
    (void)vit_register_secret(t, "topsecret", 0);
    end(t);
    assert_folder_empty(b.folder);
    assert_int_equal(wire_count(&b.w), 0);
    bench_free(&b);
}

/* ---- DENIED ---------------------------------------------------------------------------------- */

static void test_denied_by_option(void **state)
{
    bench       b;
    vit_client *t;
    char        missing[96];
    (void)state;
    bench_make(&b);
    snprintf(missing, sizeof missing, "%s/new", b.folder);
    b.o.consent = VIT_CONSENT_DENIED;
    b.o.data_dir = missing;
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_int_equal(track(t, "a"), VIT_DISABLED);
    assert_false(vit_flush(t, 100));
    end(t);
    assert_false(file_exists(missing)); /* not even the folder */
    b.o.data_dir = b.folder;
    settings_write(&b, "telemetry_enabled = true\nconsent = granted\n" IDENTITY);
    t = bench_client(&b); /* an earlier run left an identity */
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    end(t);
    assert_null(strstr(file_read(b.path), HWID));
    assert_null(strstr(file_read(b.path), SALT));
    settings_write(&b, IDENTITY);
    t = bench_client(&b);
    end(t);
    assert_null(strstr(file_read(b.path), HWID));
    assert_int_equal(wire_count(&b.w), 0);
    settings_write(&b, "consent = perhaps\n" IDENTITY); /* a refusal, until the user agrees */
    t = bench_client(&b);
    end(t);
    assert_null(strstr(file_read(b.path), HWID));
    b.o.consent = VIT_CONSENT_GRANTED;
    t = bench_client(&b);
    assert_int_equal(vit_get_consent(t, NULL), VIT_CONSENT_DENIED);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    end(t);
    bench_free(&b);
}

/* Nothing but the settings file was in the folder, so a copy of the identity would be seen here. */
static void assert_no_identity(bench *b, const char *hwid)
{
    char command[256];
    snprintf(command, sizeof command, "grep -rq '%s' '%s'", hwid, b->folder);
    assert_int_not_equal(system(command), 0);
    assert_string_equal(setting_of(b->path, "hwid"), "");
    assert_string_equal(setting_of(b->path, "salt"), "");
}

static uint32_t hanging, let_go; /* 1: a request is in the transport; the test lets it end */

static vit_response hang_until_cancelled(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 0, 0 };
    uint64_t     end_ms = now_ms() + 2 * WAIT_MS;
    (void)w, (void)number;
    __atomic_store_n(&hanging, 1u, __ATOMIC_SEQ_CST);
    while (!vit_request_cancelled(r) && !__atomic_load_n(&let_go, __ATOMIC_SEQ_CST) &&
           now_ms() < end_ms)
        sleep_ms(1);
    __atomic_store_n(&hanging, vit_request_cancelled(r) ? 2u : 3u, __ATOMIC_SEQ_CST);
    answer.http_status = 201; /* too late: it must not count */
    return answer;
}

static void test_denied_in_flight(void **state)
{
    bench       b;
    vit_client *t;
    uint64_t    begin_ms;
    char        hwid[64];
    size_t      sent;
    (void)state;
    bench_make(&b);
    b.o.no_thread = false;
    b.o.flush_ms = 1;
    b.w.answer_fn = hang_until_cancelled;
    hanging = let_go = 0;
    t = bench_client(&b);
    snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
    assert_int_equal(strlen(hwid), 36);
    assert_int_equal(track(t, "first"), VIT_OK);
    assert_int_equal(track(t, "second"), VIT_OK);
    WAIT_FOR(__atomic_load_n(&hanging, __ATOMIC_SEQ_CST) == 1u);
    begin_ms = now_ms();
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_true(now_ms() - begin_ms < 5000); /* did not wait for the transport */
    sent = wire_count(&b.w);
    assert_int_equal(sent, 1);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_no_identity(&b, hwid);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    assert_int_equal(track(t, "third"), VIT_DISABLED);
    WAIT_FOR(__atomic_load_n(&hanging, __ATOMIC_SEQ_CST) == 2u);
    sleep_ms(50);
    assert_false(vit_flush(t, 50));
    assert_int_equal(wire_count(&b.w), sent);
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_int_equal(vit_get_stats(t).delivered, 0);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 2);
    assert_balanced(t);
    b.w.answer_fn = NULL;
    vit_set_consent(t,
                    VIT_CONSENT_GRANTED); /* a new identity; what was before does not come back */
    assert_int_equal(track(t, "fourth"), VIT_OK);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_count(&b.w), 2);
    assert_int_equal(strlen(setting_of(b.path, "hwid")), 36);
    assert_string_not_equal(setting_of(b.path, "hwid"), hwid);
    assert_null(strstr(b.w.calls[1].body, hwid));
    assert_non_null(strstr(b.w.calls[1].body, setting_of(b.path, "hwid")));
    assert_non_null(strstr(b.w.calls[1].body, "fourth"));
    end(t);
    bench_free(&b);
}

/* From inside the transport, too. */
static vit_client *inside;

static vit_response deny_inside(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    (void)w, (void)number;
    vit_set_consent(inside, VIT_CONSENT_DENIED);
    if (!vit_request_cancelled(r)) answer.http_status = 999;
    return answer;
}

static void test_denied_inside(void **state)
{
    bench b;
    (void)state;
    bench_make(&b);
    b.w.answer_fn = deny_inside;
    inside = bench_client(&b);
    assert_int_equal(track(inside, "a"), VIT_OK);
    assert_int_equal(track(inside, "b"), VIT_OK);
    assert_false(vit_flush(inside, 1000));
    assert_int_equal(wire_count(&b.w), 1);
    assert_int_equal(b.w.calls[0].status, 201);
    assert_int_equal(vit_get_stats(inside).dropped[VIT_DROP_CONSENT], 2);
    end(inside);
    bench_free(&b);
}

static void test_stored_refusal_wins(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    end(t);
    b.o.consent = VIT_CONSENT_GRANTED;
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_int_equal(track(t, "a"), VIT_DISABLED);
    assert_string_equal(setting_of(b.path, "hwid"), "");
    vit_set_consent(t, VIT_CONSENT_VERBOSE);
    assert_gate(t, VIT_CONSENT_VERBOSE, VIT_GATE_NONE);
    end(t);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_VERBOSE, VIT_GATE_NONE);
    vit_set_consent(t, (vit_consent)77); /* no consent at all: changes nothing */
    vit_set_consent(t, (vit_consent)-1);
    assert_gate(t, VIT_CONSENT_VERBOSE, VIT_GATE_NONE);
    end(t);
    bench_free(&b);
}

/* ---- the switch in the file ------------------------------------------------------------------ */

static void test_switched_off_while_running(void **state)
{
    bench       b;
    vit_client *t;
    char        text[512], hwid[64];
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    assert_int_equal(track(t, "first"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_count(&b.w), 1);
    snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
    snprintf(text, sizeof text, "telemetry_enabled = false\nhwid = %s\nsalt = %s\n", hwid, SALT);
    settings_write(&b, text);
    assert_int_equal(track(t, "second"), VIT_OK); /* not looked at yet */
    assert_false(vit_flush(t, 1000));
    assert_int_equal(wire_count(&b.w), 1);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    assert_int_equal(track(t, "third"), VIT_DISABLED);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 1);
    assert_no_identity(&b, hwid);
    assert_string_equal(setting_of(b.path, "telemetry_enabled"), "false");
    end(t);
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    vit_set_consent(t, VIT_CONSENT_GRANTED); /* the switch is a gate of its own */
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    end(t);
    assert_string_equal(setting_of(b.path, "telemetry_enabled"), "false");
    bench_free(&b);
}

/* What the user wrote into the file is never overwritten by what a client remembers. */
static void test_switch_survives(void **state)
{
    static const vit_consent consents[] = { VIT_CONSENT_GRANTED, VIT_CONSENT_DENIED };
    unsigned                 i;
    (void)state;
    for (i = 0; i < 6; i++) {
        bench       b;
        vit_client *t;
        bench_make(&b);
        t = bench_client(&b);
        settings_write(&b, "telemetry_enabled = false\n");
        if (i & 1) { /* noticed before the call, or not */
            assert_int_equal(track(t, "a"), VIT_OK);
            assert_false(vit_flush(t, 1000));
        }
        if (i < 4) vit_set_consent(t, consents[i / 2]);
        else vit_reset_identity(t);
        if (strcmp(setting_of(b.path, "telemetry_enabled"), "false") != 0)
            fail_msg("round %u: the file says telemetry_enabled = %s", i,
                     setting_of(b.path, "telemetry_enabled"));
        (void)track(t, "b");
        assert_false(vit_flush(t, 1000));
        assert_int_equal(wire_count(&b.w), 0);
        if (i < 2 || i == 5) assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
        end(t);
        bench_free(&b);
    }
}

/* Another process of this user withdraws its consent. */
static void test_denied_elsewhere(void **state)
{
    bench       b;
    vit_client *one, *two;
    (void)state;
    bench_make(&b);
    one = bench_client(&b);
    two = bench_client(&b);
    assert_int_equal(track(two, "a"), VIT_OK);
    vit_set_consent(one, VIT_CONSENT_DENIED);
    assert_false(vit_flush(two, 1000));
    assert_int_equal(wire_count(&b.w), 0);
    assert_gate(two, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_string_equal(setting_of(b.path, "hwid"), "");
    end(one);
    end(two);
    bench_free(&b);
}

/* ---- purge and identity ---------------------------------------------------------------------- */

/* A call that had begun before a refusal puts its event in behind it: a later grant does not send
   it. */
static void test_denied_amid(void **state)
{
    bench               b;
    vit_client         *t;
    vit_feature_toggled event;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    memset(&event, 0, sizeof event);
    event.feature_name = "late";
    assert_int_equal(vitp_record_event(&t->recorder, vit_schema_feature_toggled(), &event), VIT_OK);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_int_equal(vit_get_stats(t).queued, 0);
    track_many(t, 0, 1);
    assert_true(vit_flush(t, 20000));
    assert_each(&b.w, "\"f%u\"", 1, 1);
    assert_int_equal(wire_times(&b.w, "\"late\""), 0);
    end(t);
    bench_free(&b);
}

static void test_purge(void **state)
{
    bench       b;
    vit_client *t;
    char        hwid[64];
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
    assert_int_equal(track(t, "a"), VIT_OK);
    assert_int_equal(track(t, "b"), VIT_OK);
    vit_purge(t);
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 2);
    assert_true(vit_flush(t, 100));
    assert_int_equal(wire_count(&b.w), 0);
    assert_int_equal(track(t, "c"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_count(&b.w), 1);
    assert_string_equal(setting_of(b.path, "hwid"), hwid);
    /* one that waits to be tried again is forgotten as well */
    b.w.otherwise.http_status = 503;
    assert_int_equal(track(t, "d"), VIT_OK);
    (void)vit_flush(t, 0);
    assert_false(vit_pump(t));
    assert_int_equal(wire_count(&b.w), 2);
    vit_purge(t);
    b.w.otherwise.http_status = 201;
    assert_int_equal(track(t, "e"), VIT_OK);
    assert_true(vit_flush(t, 20000));
    assert_int_equal(wire_times(&b.w, "\"d\""), 0);
    assert_int_equal(wire_times(&b.w, "\"e\""), 1);
    end(t);
    bench_free(&b);
}

static void test_reset_identity(void **state)
{
    bench       b;
    vit_client *t;
    char        hwid[64], salt[64];
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
    snprintf(salt, sizeof salt, "%s", setting_of(b.path, "salt"));
    assert_int_equal(hwid[14], '4');
    assert_int_equal(track(t, "a"), VIT_OK);
    vit_set_context(t, "qdrant", "customers");
    vit_reset_identity(t);
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_int_equal(strlen(setting_of(b.path, "hwid")), 36);
    assert_string_not_equal(setting_of(b.path, "hwid"), hwid);
    assert_true(is_hex(setting_of(b.path, "salt"), 32));
    assert_string_not_equal(setting_of(b.path, "salt"), salt);
    assert_int_equal(track(t, "b"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_count(&b.w), 1);
    assert_non_null(strstr(b.w.calls[0].body, setting_of(b.path, "hwid")));
    assert_null(strstr(b.w.calls[0].body, hwid));
    end(t);
    bench_free(&b);
}

static vit_status fail_once(vit_client *t)
{
    vit_error e;
    memset(&e, 0, sizeof e);
    return vit_track_error(t, &e);
}

/* Nor do the ids of events tell that two identities are of one installation: they are not of one
   sequence, which can be told from a few of them. */
static void test_ids_of_identities(void **state)
{
    bench          b;
    vit_client    *t;
    vitp_id_source old;
    unsigned char  id[16];
    char           text[37];
    unsigned       way, i;
    (void)state;
    for (way = 0; way < 2; way++) {
        bench_make(&b);
        t = bench_client(&b);
        assert_int_equal(fail_once(t), VIT_OK);
        old = *t->recorder.ids;
        old.count = 0; /* what names the requests is not of it, either */
        for (i = 0; i < 1000; i++) {
            vitp_id_next(&old, id);
            assert_memory_not_equal(t->own.ledger->writer.run_id, id, sizeof id);
        }
        old = *t->recorder.ids;
        if (way == 0) vit_reset_identity(t);
        else vit_set_consent(t, VIT_CONSENT_DENIED), vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_int_equal(fail_once(t), VIT_OK);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(wire_count(&b.w), 1);
        for (i = 0; i < 1000; i++) {
            vitp_id_next(&old, id);
            vitp_text_uuid(text, id);
            assert_null(strstr(b.w.calls[0].body, text));
        }
        end(t);
        bench_free(&b);
    }
}

typedef struct racer {
    bench             *b;
    vit_client        *t;
    pthread_barrier_t *start;
} racer;

static void *racer_run(void *argument)
{
    racer *r = (racer *)argument;
    pthread_barrier_wait(r->start);
    r->t = vit_create(&r->b->o);
    return NULL;
}

/* Of clients that are made at one moment for one folder one makes the identity, and all have it. */
static void test_one_identity(void **state)
{
    unsigned round, i;
    (void)state;
    for (round = 0; round < 50; round++) {
        bench             b;
        racer             r[4];
        pthread_t         threads[4];
        pthread_barrier_t start;
        bench_make(&b);
        pthread_barrier_init(&start, NULL, 4);
        for (i = 0; i < 4; i++) {
            r[i].b = &b, r[i].t = NULL, r[i].start = &start;
            assert_int_equal(pthread_create(&threads[i], NULL, racer_run, &r[i]), 0);
        }
        for (i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&start);
        for (i = 0; i < 4; i++) {
            assert_non_null(r[i].t);
            assert_int_equal(track(r[i].t, "a"), VIT_OK);
            assert_memory_equal(json_at(line_of(r[i].t), "hwid") + 1, setting_of(b.path, "hwid"),
                                36);
            end(r[i].t);
        }
        assert_int_equal(unlink(b.path), 0);
        assert_folder_empty(b.folder); /* no temporary file is left */
        bench_free(&b);
    }
}

/* ---- settings -------------------------------------------------------------------------------- */

static void assert_mode(const char *path, mode_t mode)
{
    struct stat s;
    assert_int_equal(lstat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, mode);
}

static void test_modes(void **state)
{
    static const mode_t masks[] = { 0, 022, 077, 0177 };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(masks); i++) {
        bench       b;
        vit_client *t;
        char        deep[96], middle[96], path[160];
        mode_t      before;
        bench_make(&b);
        snprintf(middle, sizeof middle, "%s/a", b.folder);
        snprintf(deep, sizeof deep, "%s/a/b", b.folder);
        snprintf(path, sizeof path, "%s/" SETTINGS, deep);
        b.o.data_dir = deep;
        before = umask(masks[i] == 0177 ? 077 : masks[i]);
        t = bench_client(&b);
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        umask(before);
        end(t);
        assert_mode(path, 0600);
        assert_mode(deep, 0700);
        assert_mode(middle, 0700);
        bench_free(&b);
    }
}

/* What the next client makes of a file of these bytes, when the host's default is GRANTED. */
static void with_file(const void *data, size_t size, vit_consent consent, vit_gate gate)
{
    bench       b;
    vit_client *t;
    bool        sends = consent >= VIT_CONSENT_GRANTED;
    bench_make(&b);
    file_write(b.path, data, size, 0600);
    t = bench_client(&b);
    assert_gate(t, consent, gate);
    assert_int_equal(track(t, "a"), sends ? VIT_OK : VIT_DISABLED);
    assert_int_equal(vit_flush(t, 2000), sends);
    assert_int_equal(wire_count(&b.w), sends ? 1 : 0);
    end(t);
    bench_free(&b);
}

static void with_text(const char *text, vit_consent consent, vit_gate gate)
{
    with_file(text, strlen(text), consent, gate);
}

static void test_settings_texts(void **state)
{
    static const char *const misspelt[] = {
        IDENTITY "Telemetry_Enabled = false\n",
        IDENTITY "telemetry-enabled = false",
        IDENTITY "telemetry.enabled = false\r\n",
        IDENTITY "telemetry_enabled := false\n",
        IDENTITY "\"telemetry_enabled\" = false\n",
        IDENTITY "export telemetry_enabled=false\n",
        IDENTITY "TELEMETRY = off\n",
        IDENTITY "no telemetry\n",
        IDENTITY "Consent = denied\n",
        IDENTITY "consent: denied\n",
        "telemetry_enabled = true\nmy_consent = denied\n" IDENTITY,
    };
    size_t i;
    (void)state;
    with_text("", VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("telemetry_enabled = true\n" IDENTITY, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("telemetry_enabled = true\r\nconsent = verbose\r\n", VIT_CONSENT_VERBOSE,
              VIT_GATE_NONE);
    with_text("  telemetry_enabled=true  \n\tconsent =granted", VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("# telemetry_enabled = false\ntelemetry_enabled = true\n", VIT_CONSENT_GRANTED,
              VIT_GATE_NONE);
    with_text("telemetry_enabled = false", VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("telemetry_enabled = false\r\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("telemetry_enabled = False\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("telemetry_enabled = 0\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("telemetry_enabled =\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("telemetry_enabled = true\ntelemetry_enabled = false\n", VIT_CONSENT_DENIED,
              VIT_GATE_SETTING);
    with_text("telemetry_enabled = false\ntelemetry_enabled = true\n", VIT_CONSENT_DENIED,
              VIT_GATE_SETTING);
    for (i = 0; i < COUNT_OF(misspelt); i++)
        with_text(misspelt[i], VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("consents = 1\n" IDENTITY "consen = denied\ntelemetr = 0\n", VIT_CONSENT_DENIED,
              VIT_GATE_SETTING);
    with_text("other = 1\nconsen = denied\ntelemetr = 0\nnone\n" IDENTITY, VIT_CONSENT_GRANTED,
              VIT_GATE_NONE);
    with_text("consent = denied\n" IDENTITY, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    with_text("consent = perhaps\n" IDENTITY, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("hwid = nonsense\nsalt = short\nconsent = granted\n", VIT_CONSENT_GRANTED,
              VIT_GATE_NONE);
}

/* A version that cannot be read, or of which two are given, makes the consent a refusal. */
static void test_settings_versions(void **state)
{
    static const char *const refused[] = {
        "consent = granted\nconsent_version = 0\n",
        "consent = granted\nconsent_version = 1x\n",
        "consent = granted\nconsent_version = -1\n",
        "consent = granted\nconsent_version =\n",
        "consent = granted\nconsent_version = 1000000000\n",
        "consent = granted\nconsent_version = 00000000001\n",
        "consent = granted\nconsent_version = 1\nconsent_version = 2\n",
        "consent_version = 2\nconsent = granted\nconsent_version = 1\n",
        "consent = granted\nconsent = perhaps\n",
        "telemetry_enabled\n",
        "consent = granted\ntelemetry_enabled\n",
        "consent = granted\nconsent\n",
        "consent = granted\nconsent_version\n",
        "nothing\n",
        "nothing = 1\n",
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(refused); i++)
        with_text(refused[i], VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("consent = granted\nconsent_version = 1\n", VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("consent = granted\nconsent_version = 000000001\n", VIT_CONSENT_GRANTED,
              VIT_GATE_NONE);
    with_text("consent_version = 1\nconsent = granted\nconsent_version = 1\n", VIT_CONSENT_GRANTED,
              VIT_GATE_NONE);
    with_text("consent = granted\nnothing\nelse = 1\n", VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("salt = short\n", VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("hwid = short\n", VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("consent = granted\nhwid = 0000000g-0000-4000-8000-00000000000z\n"
              "salt = 0123456789abcdef0123456789abcdeg\n",
              VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    with_text("consent = granted\nhwid = 0g000000-0000-4000-8000-000000000000\n",
              VIT_CONSENT_GRANTED, VIT_GATE_NONE);
}

/* Two files say the same when they agree in all that counts. */
static void test_settings_same(void **state)
{
    vitp_settings a, b;
    unsigned      i;
    (void)state;
    memset(&a, 0, sizeof a);
    a.has_consent = a.has_hwid = a.has_salt = true;
    a.consent = VIT_CONSENT_GRANTED;
    memcpy(a.hwid, "h", 2);
    memcpy(a.salt, "s", 2);
    assert_true(vitp_settings_same(&a, &a));
    for (i = 0; i < 8; i++) {
        b = a;
        switch (i) {
        case 0: b.later = true; break;
        case 1: b.off = true; break;
        case 2: b.unreadable = true; break;
        case 3: b.outdated = true; break;
        case 4: b.has_consent = false; break;
        case 5: b.consent = VIT_CONSENT_DENIED; break;
        case 6: b.hwid[0] = 'i'; break;
        default: b.salt[0] = 't'; break;
        }
        assert_false(vitp_settings_same(&a, &b));
        assert_false(vitp_settings_same(&b, &a));
    }
}

/* A half of an identity is none: another is made, and stored as a whole. One that another process
   stores meanwhile is not taken over by halves either. */
static void test_half_an_identity(void **state)
{
    static const char hwid[] = "11111111-2222-4333-8444-555555555555";
    static const char salt[] = "0123456789abcdef0123456789abcdef";
    unsigned          i;
    (void)state;
    for (i = 0; i < 2; i++) {
        bench       b;
        vit_client *t;
        char        text[200], own[64];
        bench_make(&b);
        snprintf(text, sizeof text, "consent = granted\nconsent_version = 1\n%s%s\n",
                 i == 0 ? "hwid = " : "salt = ", i == 0 ? hwid : salt);
        settings_write(&b, text);
        t = bench_client(&b);
        assert_int_equal(vit_get_consent(t, NULL), VIT_CONSENT_GRANTED);
        snprintf(own, sizeof own, "%s", setting_of(b.path, "hwid"));
        assert_int_equal(strlen(own), 36);
        assert_int_equal(strlen(setting_of(b.path, "salt")), 32);
        settings_write(&b, text);
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_int_equal(track(t, "a"), VIT_OK);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(wire_times(&b.w, own), 1);
        end(t);
        bench_free(&b);
    }
}

/* Not asked, and nothing was stored: nothing is. */
static void test_unknown_stores_nothing(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    t = bench_client(&b);
    vit_set_consent(t, VIT_CONSENT_UNKNOWN);
    assert_false(file_exists(b.path));
    end(t);
    assert_false(file_exists(b.path));
    bench_free(&b);
}

/* The number of a context is never 0, which means that there is none. */
static void test_context_wraps(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    t->context.number = UINT32_MAX;
    vit_set_context(t, "qdrant", NULL);
    assert_int_equal(t->context.number, 1);
    assert_int_equal(track(t, "a"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_times(&b.w, "\"db_provider\":\"qdrant\""), 1);
    end(t);
    bench_free(&b);
}

/* Any refusal wins, also of two lines. */
static void test_settings_twice(void **state)
{
    vit_gate    why = VIT_GATE_NONE;
    bench       b;
    vit_client *t;
    (void)state;
    with_text("consent = denied\nconsent = granted\n", VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    bench_make(&b);
    settings_write(&b, "consent = granted\nconsent = denied\n");
    t = bench_client(&b);
    assert_int_equal(vit_get_consent(t, &why), VIT_CONSENT_DENIED);
    assert_true(why == VIT_GATE_CONSENT || why == VIT_GATE_SETTING);
    end(t);
    bench_free(&b);
}

/* A setting that cannot be read is a refusal. */
static void test_settings_unreadable(void **state)
{
    static char huge[1 << 16];
    (void)state;
    memset(huge, 'x', sizeof huge);
    with_file(huge, sizeof huge, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    memset(huge, '\n', sizeof huge);
    memcpy(huge, "consent = granted\n", 18);
    with_file(huge, sizeof huge, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_text("\xEF\xBB\xBFtelemetry_enabled = false\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING);
}

static void test_settings_binary(void **state)
{
    static const unsigned char binary[] = { 0,    1,    2,   0xFF, 0xFE, '=', 0,
                                            '\n', 0x80, '=', 0x80, 0,    0,   0 };
    static const char          zeros[512];
    (void)state;
    with_file(binary, sizeof binary, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    with_file(zeros, sizeof zeros, VIT_CONSENT_DENIED, VIT_GATE_SETTING); /* after a power loss */
    with_text("<?xml version=\"1.0\"?><telemetry enabled=\"false\"/>\n", VIT_CONSENT_DENIED,
              VIT_GATE_SETTING);
}

/* An identity that is malformed is made anew and stored. */
static void test_settings_repaired(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    settings_write(&b, "telemetry_enabled = true\nconsent = granted\nhwid = nonsense\nsalt = " SALT
                       "\n");
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    assert_int_equal(strlen(setting_of(b.path, "hwid")), 36);
    assert_string_equal(setting_of(b.path, "salt"), SALT);
    assert_string_equal(setting_of(b.path, "consent"), "granted");
    end(t);
    bench_free(&b);
}

/* What stands in place of the file is neither followed, nor waited for, nor believed. */
static void test_settings_not_a_file(void **state)
{
    char     target[128];
    unsigned i;
    (void)state;
    for (i = 0; i < 5; i++) {
        bench       b;
        vit_client *t;
        struct stat s;
        bench_make(&b);
        snprintf(target, sizeof target, "%s/target", b.folder);
        file_write(target, "consent = granted\n", 18, 0600);
        if (i == 0) assert_int_equal(symlink("target", b.path), 0);
        if (i == 1) assert_int_equal(symlink("nowhere", b.path), 0);
        if (i == 2) assert_int_equal(mkfifo(b.path, 0600), 0);
        if (i == 3) assert_int_equal(mkdir(b.path, 0700), 0);
        if (i == 4)
            file_write(b.path, "consent = granted\n", 18, 0660); /* others may write to it */
        t = bench_client(&b);
        assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
        assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_UNREADABLE), 1);
        assert_int_equal(track(t, "a"), VIT_DISABLED);
        vit_set_consent(t, VIT_CONSENT_GRANTED); /* the user decides anew */
        assert_string_equal(file_read(target), "consent = granted\n");
        if (i != 3) { /* a file has taken its place */
            assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
            assert_int_equal(lstat(b.path, &s), 0);
            assert_true(S_ISREG(s.st_mode));
            assert_mode(b.path, 0600);
        }
        end(t);
        bench_free(&b);
    }
}

/* Without a usable folder: memory only, and a word in the log. */
static void memory_only(bench *b, vit_log_item item)
{
    vit_client *t = bench_client(b);
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    assert_int_equal(logs_of(&b->l, item), 1);
    assert_int_equal(track(t, "a"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_count(&b->w), 1);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_int_equal(track(t, "a"), VIT_DISABLED);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    vit_reset_identity(t);
    assert_int_equal(track(t, "a"), VIT_OK);
    end(t);
}

static void test_folder_is_a_file(void **state)
{
    bench b;
    char  file[128], below[160];
    (void)state;
    bench_make(&b);
    snprintf(file, sizeof file, "%s/file", b.folder);
    file_write(file, "x", 1, 0600);
    b.o.data_dir = file;
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    assert_string_equal(file_read(file), "x");
    bench_free(&b);
    bench_make(&b);
    snprintf(file, sizeof file, "%s/file", b.folder);
    snprintf(below, sizeof below, "%s/file/folder", b.folder);
    file_write(file, "x", 1, 0600);
    b.o.data_dir = below;
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    bench_free(&b);
}

static void test_folder_is_a_link(void **state)
{
    bench b;
    char  link_path[128];
    (void)state;
    bench_make(&b);
    snprintf(link_path, sizeof link_path, "%s/link", b.folder);
    assert_int_equal(symlink(".", link_path), 0);
    b.o.data_dir = link_path;
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    assert_false(file_exists(b.path));
    bench_free(&b);
}

static void test_folder_of_others(void **state)
{
    static const mode_t modes[] = { 0777, 0770, 0720, 01777 };
    size_t              i;
    (void)state;
    for (i = 0; i < COUNT_OF(modes); i++) { /* where others write nothing private may lie */
        bench b;
        bench_make(&b);
        assert_int_equal(chmod(b.folder, modes[i]), 0);
        memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
        assert_false(file_exists(b.path));
        bench_free(&b);
    }
}

/* As root only: a folder, or a file, of another user is neither used nor believed. */
static void test_folder_of_another_user(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    if (geteuid() != 0) skip();
    bench_make(&b);
    assert_int_equal(chown(b.folder, 65534, 65534), 0);
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    assert_false(file_exists(b.path));
    bench_free(&b);
    bench_make(&b);
    settings_write(&b, "consent = granted\n" IDENTITY);
    assert_int_equal(chown(b.path, 65534, 65534), 0);
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
    end(t);
    bench_free(&b);
}

/* As sudo may leave HOME and XDG_RUNTIME_DIR: root leaves nothing in them. */
static void test_home_of_another_user(void **state)
{
    static const char *const names[] = { "XDG_STATE_HOME", "XDG_RUNTIME_DIR" };
    bench                    b;
    char                     absolute[PATH_MAX];
    size_t                   i;
    (void)state;
    if (geteuid() != 0) skip();
    bench_make(&b);
    assert_non_null(realpath(b.folder, absolute));
    assert_int_equal(chown(b.folder, 65534, 65534), 0);
    for (i = 0; i < COUNT_OF(names); i++) assert_int_equal(setenv(names[i], absolute, 1), 0);
    b.o.data_dir = NULL;
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    assert_folder_empty(b.folder);
    for (i = 0; i < COUNT_OF(names); i++) assert_int_equal(unsetenv(names[i]), 0);
    bench_free(&b);
}

static void test_folder_read_only(void **state)
{
    bench b;
    (void)state;
    if (geteuid() == 0) skip();
    bench_make(&b);
    assert_int_equal(chmod(b.folder, 0500), 0);
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    bench_free(&b);
}

static void test_folder_name_long(void **state)
{
    static char long_name[3000];
    bench       b;
    (void)state;
    bench_make(&b);
    memset(long_name, 'a', sizeof long_name - 1);
    b.o.data_dir = long_name;
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    bench_free(&b);
}

static void test_default_folder(void **state)
{
    bench       b;
    char        absolute[PATH_MAX], path[PATH_MAX + 64], home[128];
    vit_client *t;
    (void)state;
    bench_make(&b);
    assert_non_null(realpath(b.folder, absolute));
    snprintf(path, sizeof path, "%s/vector-inspector/" SETTINGS, absolute);
    setenv("XDG_STATE_HOME", absolute, 1);
    b.o.data_dir = NULL;
    t = bench_client(&b);
    assert_int_equal(strlen(setting_of(path, "hwid")), 36);
    assert_mode(path, 0600);
    end(t);
    b.o.client_type = "my-tool";
    t = bench_client(&b);
    snprintf(path, sizeof path, "%s/my-tool/" SETTINGS, absolute);
    assert_int_equal(strlen(setting_of(path, "hwid")), 36);
    end(t);
    /* relative: not valid by the XDG rules, so HOME counts */
    snprintf(home, sizeof home, "%s", getenv("HOME"));
    setenv("XDG_STATE_HOME", b.folder, 1);
    setenv("HOME", absolute, 1);
    b.o.client_type = "other-tool";
    t = bench_client(&b);
    snprintf(path, sizeof path, "%s/.local/state/other-tool/" SETTINGS, absolute);
    assert_int_equal(strlen(setting_of(path, "hwid")), 36);
    end(t);
    snprintf(path, sizeof path, "%s/other-tool", b.folder);
    assert_false(file_exists(path));
    unsetenv("XDG_STATE_HOME"); /* no HOME, or one that is no absolute path: memory only */
    unsetenv("HOME");
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    setenv("HOME", b.folder, 1);
    logs_init(&b.l);
    wire_free(&b.w);
    wire_init(&b.w);
    memory_only(&b, VIT_LOG_NO_DATA_FOLDER);
    setenv("HOME", home, 1);
    bench_free(&b);
}

/* data_dir "" is no file at all. */
static void test_memory_only(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    bench_make(&b);
    b.o.data_dir = "";
    setenv("XDG_STATE_HOME", b.folder, 1);
    t = bench_client(&b);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_int_equal(b.l.count[VIT_LOG_NO_DATA_FOLDER], 0);
    end(t);
    unsetenv("XDG_STATE_HOME");
    assert_folder_empty(b.folder);
    assert_false(file_exists("/" SETTINGS));
    bench_free(&b);
}

/* ---- secrets --------------------------------------------------------------------------------- */

#define SECRET "hunter2-Zebra"

static void test_secret(void **state)
{
    bench       b;
    vit_client *t;
    vit_event   e;
    const char *line;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    assert_true(vit_register_secret(t, SECRET, 0));
    vit_event_begin(&e, t, "x", NULL);
    vit_add_text(&e, "m", "login with " SECRET " failed, x" SECRET "x too");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_null(strstr(line, "hunter2"));
    assert_non_null(strstr(line, "login with [secret] failed"));
    assert_int_equal(track(t, "see " SECRET), VIT_OK); /* a label: the event goes */
    assert_int_equal(track(t, "good"), VIT_OK);
    assert_int_equal(track(t, "again " SECRET), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_count(&b.w), 2); /* and what was dropped is reported */
    assert_int_equal(wire_times(&b.w, "good"), 1);
    assert_int_equal(wire_times(&b.w, "\"telemetry.report\""), 1);
    assert_int_equal(wire_times(&b.w, "hunter2"), 0);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_SECRET], 2);
    assert_int_equal(logs_of(&b.l, VIT_LOG_SECRET_STOPPED), 1);
    end(t);
    bench_free(&b);
}

/* In each kind of member, in the session's id and in the context. */
static void test_secret_everywhere(void **state)
{
    bench       b;
    vit_client *t;
    vit_event   e;
    vit_error   error;
    size_t      i;
    (void)state;
    bench_make(&b);
    b.o.consent = VIT_CONSENT_VERBOSE;
    b.o.wire = VIT_WIRE_NDJSON;
    t = bench_client(&b);
    assert_int_equal(track(t, SECRET), VIT_OK); /* scanned and found clean before it is one */
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_times(&b.w, SECRET), 1);
    assert_true(vit_register_secret(t, SECRET "and more", strlen(SECRET)));
    assert_int_equal(track(t, SECRET), VIT_OK);
    vit_event_begin(&e, t, "x", NULL);
    vit_add_file(&e, "f", "/a/" SECRET ".txt");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    memset(&error, 0, sizeof error);
    error.message = "m " SECRET;
    error.trace = "/a/" SECRET ".c:12";
    error.function = SECRET;
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    error.function = NULL;
    assert_int_equal(vit_track_error(t, &error), VIT_OK);
    vit_set_context(t, SECRET, NULL);
    assert_int_equal(track(t, "a"), VIT_OK);
    vit_set_context(t, NULL, NULL);
    vit_session_begin(t, "id-" SECRET, NULL);
    (void)vit_flush(t, 5000);
    for (i = 1; i < b.w.count; i++) assert_null(strstr(b.w.calls[i].body, "hunter2"));
    assert_true(b.w.count >= 2); /* the error without the label went out, scrubbed */
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_SECRET], 4); /* in the path it is replaced */
    end(t);
    bench_free(&b);
}

/* Registered while an event that holds it waits to be tried again. */
static void test_secret_in_retry(void **state)
{
    static const int first[] = { 503 };
    bench            b;
    vit_client      *t;
    size_t           i;
    (void)state;
    bench_make(&b);
    wire_script(&b.w, first, 1);
    t = bench_client(&b);
    assert_int_equal(track(t, SECRET), VIT_OK);
    assert_int_equal(track(t, "good"), VIT_OK);
    (void)vit_flush(t, 0);
    (void)vit_pump(t);
    assert_int_equal(wire_count(&b.w), 1); /* not known as a secret yet */
    assert_true(vit_register_secret(t, SECRET, 0));
    assert_true(vit_flush(t, 20000));
    for (i = 1; i < b.w.count; i++) assert_null(strstr(b.w.calls[i].body, SECRET));
    assert_int_equal(wire_times(&b.w, "good"), 1);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_SECRET], 1);
    end(t);
    bench_free(&b);
}

static void test_secret_limits(void **state)
{
    bench       b;
    vit_client *t;
    char        text[200];
    unsigned    i;
    (void)state;
    bench_make(&b);
    t = bench_client(&b);
    assert_false(vit_register_secret(t, NULL, 0));
    assert_false(vit_register_secret(t, "", 0));
    assert_false(vit_register_secret(t, "abc", 0));
    memset(text, 'k', sizeof text - 1), text[sizeof text - 1] = 0;
    assert_false(vit_register_secret(t, text, 129));
    assert_false(vit_register_secret(t, text, 0));
    assert_int_equal(logs_of(&b.l, VIT_LOG_SECRET_REFUSED), 1);
    assert_true(vit_register_secret(t, text, 128));
    for (i = 1; i < 16; i++) {
        snprintf(text, sizeof text, "secret-number-%02u", i);
        assert_true(vit_register_secret(t, text, 0));
    }
    assert_false(vit_register_secret(t, "one too many", 0));
    assert_true(vit_register_secret(t, "secret-number-07", 0)); /* it is watched */
    assert_int_equal(track(t, "secret-number-15"), VIT_OK);
    assert_int_equal(track(t, "one too many"), VIT_OK);
    (void)vit_flush(t, 5000);
    assert_int_equal(wire_times(&b.w, "secret-number"), 0);
    assert_int_equal(wire_times(&b.w, "one too many"), 1);
    end(t);
    bench_free(&b);
}

/* This machine's user and home do not leave, whole words only. */
static void test_known_values(void **state)
{
    bench       b;
    vit_client *t;
    vit_event   e;
    const char *line;
    (void)state;
    bench_make(&b);
    t = bench_client(&b); /* USER is zq.tester, see environment_clear */
    vit_event_begin(&e, t, "x", NULL);
    vit_add_text(&e, "t", "user zq.tester is not zq.testers");
    vit_add_label(&e, "l", "of zq.tester");
    assert_int_equal(vit_event_send(&e), VIT_OK);
    line = line_of(t);
    assert_json(line, "metadata/t", "\"user [user] is not zq.testers\"");
    assert_json(line, "metadata/l", "\"of [user]\"");
    end(t);
    bench_free(&b);
}

/* A key that is the user's name becomes that of another member: no object has two of one name, in
   any form, nor what comes from the disk. */
static void test_known_keys(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 2u * 4u; i++) {
        bench       b;
        vit_client *t;
        vit_event   e;
        const char *body, *found;
        bench_make(&b);
        b.o.wire = (vit_wire)(i / 2u);
        t = bench_client(&b);
        vit_event_begin(&e, t, "x", NULL);
        vit_add_text(&e, "zq.tester", NULL);
        vit_add_int(&e, "a", 1);
        vit_add_int(&e, "user", 2);
        vit_add_label(&e, "zq.tester.a", "c");
        vit_add_label(&e, "user.a", "d");
        vit_add_int(&e, "b", 3);
        assert_int_equal(vit_event_send(&e), VIT_OK);
        if (i & 1u) {
            assert_true(vit_destroy(t, 0));
            t = bench_client(&b);
        }
        assert_true(vit_flush(t, 5000));
        assert_true(wire_count(&b.w) > 0);
        body = b.w.calls[0].body;
        found = strstr(body, "\"user.a\"");
        assert_non_null(found);
        assert_null(strstr(found + 1, "\"user.a\""));
        assert_non_null(strstr(body, "\"c\""));
        assert_null(strstr(body, "\"d\""));
        found = strstr(body, "\"user\"");
        assert_non_null(found);
        assert_null(strstr(found + 1, "\"user\""));
        assert_non_null(strstr(body, "\"b\""));
        assert_null(strstr(body, "tester"));
        end(t);
        bench_free(&b);
    }
}

/* A home folder that is written with separators behind it is known without them. */
static void test_known_folders(void **state)
{
    static const char *const homes[] = { "/zqhome1", "/zqhome1/", "/zqhome1///" };
    size_t                   i;
    (void)state;
    for (i = 0; i < COUNT_OF(homes); i++) {
        bench       b;
        vit_client *t;
        vit_event   e;
        setenv("HOME", homes[i], 1);
        bench_make(&b);
        t = bench_client(&b);
        vit_event_begin(&e, t, "x", NULL);
        vit_add_text(&e, "t", "at /zqhome1 it ends");
        assert_int_equal(vit_event_send(&e), VIT_OK);
        assert_json(line_of(t), "metadata/t", "\"at [path] it ends\"");
        end(t);
        bench_free(&b);
    }
    setenv("HOME", "/nonexistent/zq.tester", 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_ci),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_gates_come_and_go),
        cmocka_unit_test(test_allow_in_ci),
        cmocka_unit_test(test_unknown_then_granted),
        cmocka_unit_test(test_unknown_to_the_end),
        cmocka_unit_test(test_denied_by_option),
        cmocka_unit_test(test_denied_in_flight),
        cmocka_unit_test(test_denied_inside),
        cmocka_unit_test(test_stored_refusal_wins),
        cmocka_unit_test(test_switched_off_while_running),
        cmocka_unit_test(test_switch_survives),
        cmocka_unit_test(test_denied_elsewhere),
        cmocka_unit_test(test_denied_amid),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_reset_identity),
        cmocka_unit_test(test_ids_of_identities),
        cmocka_unit_test(test_one_identity),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_settings_texts),
        cmocka_unit_test(test_settings_versions),
        cmocka_unit_test(test_settings_same),
        cmocka_unit_test(test_half_an_identity),
        cmocka_unit_test(test_unknown_stores_nothing),
        cmocka_unit_test(test_context_wraps),
        cmocka_unit_test(test_settings_twice),
        cmocka_unit_test(test_settings_unreadable),
        cmocka_unit_test(test_settings_binary),
        cmocka_unit_test(test_settings_repaired),
        cmocka_unit_test(test_settings_not_a_file),
        cmocka_unit_test(test_folder_is_a_file),
        cmocka_unit_test(test_folder_is_a_link),
        cmocka_unit_test(test_folder_of_others),
        cmocka_unit_test(test_folder_of_another_user),
        cmocka_unit_test(test_home_of_another_user),
        cmocka_unit_test(test_folder_read_only),
        cmocka_unit_test(test_folder_name_long),
        cmocka_unit_test(test_default_folder),
        cmocka_unit_test(test_memory_only),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_secret_everywhere),
        cmocka_unit_test(test_secret_in_retry),
        cmocka_unit_test(test_secret_limits),
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_known_keys),
        cmocka_unit_test(test_known_folders),
    };
    environment_clear();
    return cmocka_run_group_tests_name("consent", tests, NULL, NULL);
}
