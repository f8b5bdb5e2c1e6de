/* test_gates.c: each gate of consent by a fixture, all of them together against a model, and the
   readers of other programs' files on hostile bytes.

   Build:   cc -std=c99 -I. tests/test_gates.c -o build/tests/test_gates -lcmocka -pthread */

#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Another process that is faster: it stores this right before a file gets its name. */
static const char *link_text;
static bool        unlink_fails;
static bool        no_links; /* as FAT has none */

static int late_link(const char *from, const char *to)
{
    const char *text = link_text;
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    int         file = text ? open(to, O_WRONLY | O_CREAT | O_EXCL, 0600) : -1;
    link_text = NULL;
    if (file >= 0) {
        if (write(file, text, strlen(text)) < 0) perror(to);
        close(file);
    }
    return link(from, to);
}

static int late_unlink(const char *path) { return unlink_fails ? -1 : unlink(path); }

/* Called once, right before the rename_turn-th file from now takes its place. Behind that this
   process is killed. */
static unsigned rename_turn;
static void (*rename_fn)(void);
static bool rename_kills;

static int late_rename(const char *from, const char *to)
{
    bool now = rename_turn > 0 && --rename_turn == 0;
    int  result;
    if (now) rename_fn();
    result = rename(from, to);
    if (now && rename_kills) (void)raise(SIGKILL);
    return result;
}

/* And right before a file or folder with this end of its name is opened. */
static const char *open_name;
static unsigned    open_turn;
static void (*open_fn)(void);

static int late_open(const char *path, int flags, ...)
{
    size_t n = strlen(path), end = open_name ? strlen(open_name) : 0;
    if (end > 0 && n >= end && strcmp(path + n - end, open_name) == 0 && open_turn > 0 &&
        --open_turn == 0)
        open_fn();
    return open(path, flags, 0600);
}

#define link   late_link
#define unlink late_unlink
#define rename late_rename
#define open   late_open

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_OS_SETTINGS
#define VITELEMETRY_CONSENT_VERSION 2
#define VITP_OS_ETC                 "build/tests/etc"
#define VITP_OS_ADMIN               geteuid()
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"
#undef open

#include "common.h"

#include "bench.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- the rule -------------------------------------------------------------------------------- */

/* "Any refusal wins, and the first is named", told another way: each gate votes on two kinds of
   events. Returns the kinds that may be recorded: 1 usage, 2 errors. */
static unsigned vote(const vitp_consent_inputs *in, vit_consent *consent, vit_gate *why)
{
    const bool     ci = in->ci == VITP_ANSWER_REFUSES && !in->allow_in_ci;
    const unsigned system = (in->usage == VITP_ANSWER_REFUSES ? 1u : 0u) |
                            (in->errors == VITP_ANSWER_REFUSES ? 2u : 0u);
    const bool no = in->host_default == VIT_CONSENT_DENIED ||
                    (in->has_stored && in->stored == VIT_CONSENT_DENIED);
    const struct {
        unsigned taken;
        vit_gate gate;
    } gates[] = {
        { in->admin == VITP_ANSWER_NONE ? 0 : 3, VIT_GATE_ADMIN },
        { in->environment == VITP_ANSWER_REFUSES ? 3 : 0, VIT_GATE_ENVIRONMENT },
        { ci ? 3 : 0, VIT_GATE_CI },
        { system, VIT_GATE_SYSTEM },
        { in->setting == VITP_ANSWER_NONE ? 0 : 3, VIT_GATE_SETTING },
        { no ? 3 : 0, VIT_GATE_CONSENT },
    };
    unsigned kinds = 3;
    size_t   i;
    *why = VIT_GATE_NONE;
    *consent = in->has_stored ? in->stored : in->host_default;
    for (i = COUNT_OF(gates); i-- > 0;) {
        kinds &= ~gates[i].taken;
        if (gates[i].taken == 3) *why = gates[i].gate;
    }
    if (kinds == 0) *consent = VIT_CONSENT_DENIED;
    else if (*consent == VIT_CONSENT_UNKNOWN) *why = VIT_GATE_CONSENT;
    else if (kinds != 3) *why = VIT_GATE_SYSTEM;
    return kinds;
}

static void decide_one(const vitp_consent_inputs *in, unsigned *granted)
{
    vit_gate    why = VIT_GATE_BUILD, wanted_why;
    vit_consent consent, wanted;
    uint32_t    may = 0xFFFFu;
    unsigned    kinds = vote(in, &wanted, &wanted_why);
    consent = vitp_consent_decide(in, &why, &may);
    if (consent != wanted || why != wanted_why)
        fail_msg("consent %d by %d, not %d by %d", (int)consent, (int)why, (int)wanted,
                 (int)wanted_why);
    assert_int_equal((may & VITP_MAY_USAGE) != 0, (kinds & 1) != 0);
    assert_int_equal((may & VITP_MAY_ERRORS) != 0, (kinds & 2) != 0);
    assert_int_equal((may & VITP_MAY_SEND) != 0, wanted >= VIT_CONSENT_GRANTED);
    assert_int_equal((may & VITP_MAY_TRACE) != 0, wanted == VIT_CONSENT_VERBOSE);
    *granted += wanted >= VIT_CONSENT_GRANTED ? 1u : 0u;
}

static void test_decide(void **state)
{
    unsigned gates, rest, granted = 0;
    (void)state;
    for (gates = 0; gates < 729; gates++)
        for (rest = 0; rest < 64; rest++) {
            vitp_consent_inputs in;
            memset(&in, 0, sizeof in);
            in.admin = (vitp_answer)(gates % 3);
            in.environment = (vitp_answer)(gates / 3 % 3);
            in.ci = (vitp_answer)(gates / 9 % 3);
            in.usage = (vitp_answer)(gates / 27 % 3);
            in.errors = (vitp_answer)(gates / 81 % 3);
            in.setting = (vitp_answer)(gates / 243);
            in.allow_in_ci = (rest & 1) != 0;
            in.has_stored = (rest & 2) != 0;
            in.stored = (vit_consent)(rest >> 2 & 3);
            in.host_default = (vit_consent)(rest >> 4);
            decide_one(&in, &granted);
        }
    /* admin 1, environment 2, ci and allow_in_ci 5, usage and errors 8, setting 1; consent: stored
       2 * 3, or not stored 2 * 4 (whatever stands in `stored`) */
    assert_int_equal(granted, 1 * 2 * 5 * 8 * 1 * (2 * 3 + 2 * 4));
}

/* ---- a client and its fixtures --------------------------------------------------------------- */

#define ETC    VITP_OS_ETC
#define CONFIG "build/tests/config"

static void fixtures_clear(void)
{
    folder_remove(ETC);
    folder_remove(CONFIG);
}

static void fixtures_make(bench *b)
{
    char config[PATH_MAX];
    fixtures_clear();
    bench_make(b);
    b->o.wire = VIT_WIRE_NDJSON;
    (void)mkdir(CONFIG, 0700);
    assert_non_null(realpath(CONFIG, config));
    setenv("XDG_CONFIG_HOME", config, 1);
}

static vit_client *fixtures_open(bench *b)
{
    fixtures_make(b);
    return bench_client(b);
}

/* The user is still to be asked. */
static vit_client *fixtures_unasked(bench *b)
{
    fixtures_make(b);
    b->o.consent = VIT_CONSENT_UNKNOWN;
    return bench_client(b);
}

static void fixtures_free(bench *b)
{
    unsetenv("XDG_CONFIG_HOME");
    fixtures_clear();
    bench_free(b);
}

static void fixtures_close(bench *b, vit_client *t)
{
    end(t);
    fixtures_free(b);
}

/* Writes a file and the folders that it lies in. */
static void fixture(const char *path, const void *data, size_t size)
{
    char   part[256];
    size_t i;
    for (i = 1; path[i]; i++) {
        if (path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = 0;
        (void)mkdir(part, 0755);
    }
    file_write(path, data, size, 0644);
}

static void fixture_text(const char *path, const char *text) { fixture(path, text, strlen(text)); }

static vit_status track_error(vit_client *t, const char *function)
{
    vit_error error;
    memset(&error, 0, sizeof error);
    error.function = function;
    return vit_track_error(t, &error);
}

static void assert_gate(const vit_client *t, vit_consent consent, vit_gate gate)
{
    vit_gate    why = VIT_GATE_BUILD;
    vit_consent is = vit_get_consent(t, &why);
    if (is != consent || why != gate)
        fail_msg("consent %d by %d, not %d by %d", (int)is, (int)why, (int)consent, (int)gate);
}

/* Which kinds a client records and sends now: 1 usage, 2 errors. */
static unsigned kinds_of(bench *b, vit_client *t)
{
    unsigned kinds = 0;
    kinds |= track(t, "usage") == VIT_OK ? 1u : 0u;
    kinds |= track_error(t, "errors") == VIT_OK ? 2u : 0u;
    assert_int_equal(vit_flush(t, 5000), kinds != 0);
    assert_int_equal(wire_times(&b->w, "\"usage\""), kinds & 1 ? 1 : 0);
    assert_int_equal(wire_times(&b->w, "\"errors\""), kinds & 2 ? 1 : 0);
    return kinds;
}

/* A new client is left these kinds of events by this gate. */
static void assert_client(bench *b, unsigned kinds, vit_gate gate)
{
    vit_client *t = bench_client(b);
    assert_gate(t, kinds ? VIT_CONSENT_GRANTED : VIT_CONSENT_DENIED, gate);
    assert_int_equal(kinds_of(b, t), kinds);
    if (kinds == 0) assert_string_equal(setting_of(b->path, "hwid"), "");
    end(t);
}

/* ---- administrator --------------------------------------------------------------------------- */

static void test_admin_texts(void **state)
{
    static const struct {
        const char *text;
        vitp_answer answer;
    } cases[] = {
        { "", VITP_ANSWER_NONE },
        { "# disabled = 1\n; disabled = 1\n\n", VITP_ANSWER_NONE },
        { "disabled = 1\n", VITP_ANSWER_REFUSES },
        { "disabled=1", VITP_ANSWER_REFUSES },
        { "  disabled = TRUE  \r\n", VITP_ANSWER_REFUSES },
        { "\xEF\xBB\xBF"
          "disabled = on",
          VITP_ANSWER_REFUSES },
        { "# why\nother = 7\ndisabled = yes\n", VITP_ANSWER_REFUSES },
        { "disabled = 0\n", VITP_ANSWER_NONE },
        { "disabled = false\nfuture_key = x\n", VITP_ANSWER_UNREADABLE },
        { "Disabled = 1\n", VITP_ANSWER_REFUSES },
        { "DISABLED = 0\n", VITP_ANSWER_NONE },
        { "disable = 1\n", VITP_ANSWER_UNREADABLE }, /* misspelt */
        { "telemetry_enabled = false\n", VITP_ANSWER_UNREADABLE },
        { "disabled = no\ndisabled = yes\n", VITP_ANSWER_REFUSES },
        { "disabled = yes\ndisabled = no\n", VITP_ANSWER_REFUSES },
        { "disabled =\n", VITP_ANSWER_UNREADABLE },
        { "disabled\n", VITP_ANSWER_UNREADABLE },
        { "disabled = maybe\n", VITP_ANSWER_UNREADABLE },
        { "disabled = 1 # comment\n", VITP_ANSWER_UNREADABLE },
        { "disabled: 1\n", VITP_ANSWER_UNREADABLE },
        { "[section]\n", VITP_ANSWER_UNREADABLE },
        { "= 1\n", VITP_ANSWER_UNREADABLE },
        { "\x01\x02=\x03\n", VITP_ANSWER_UNREADABLE },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        if (vitp_consent_admin(cases[i].text, strlen(cases[i].text)) != cases[i].answer)
            fail_msg("%s", cases[i].text);
    assert_int_equal(vitp_consent_admin("\0\0\0", 3), VITP_ANSWER_UNREADABLE);
}

static void test_admin_files(void **state)
{
    static const char *const paths[] = { ETC "/vector-inspector/telemetry.conf",
                                         ETC "/vitelemetry.conf" };
    static char              huge[5000];
    size_t                   i;
    bench                    b;
    (void)state;
    memset(huge, '\n', sizeof huge);
    for (i = 0; i < COUNT_OF(paths); i++) {
        fixtures_make(&b);
        fixture_text(paths[i], "disabled = 0\n");
        assert_client(&b, 3, VIT_GATE_NONE);
        fixtures_free(&b);
        fixtures_make(&b);
        fixture_text(paths[i], "disabled = 1\n");
        assert_client(&b, 0, VIT_GATE_ADMIN);
        assert_int_equal(logs_of(&b.l, VIT_LOG_ADMIN_UNREADABLE), 0);
        fixtures_free(&b);
        fixtures_make(&b);
        fixture(paths[i], huge, sizeof huge);
        assert_client(&b, 0, VIT_GATE_ADMIN);
        assert_int_equal(logs_of(&b.l, VIT_LOG_ADMIN_UNREADABLE), 1);
        fixtures_free(&b);
    }
    fixtures_make(&b);
    fixture_text(ETC "/other/telemetry.conf", "disabled = 1\n"); /* of another product */
    assert_client(&b, 3, VIT_GATE_NONE);
    fixtures_free(&b);
    fixtures_make(&b);
    fixture_text(ETC "/other/telemetry.conf", "disabled = 1\n");
    b.o.client_type = "other";
    assert_client(&b, 0, VIT_GATE_ADMIN);
    fixtures_free(&b);
}

/* A file that others may write to, or that is no file, or another user's, says nothing of its own
   but refuses: it is a ceiling. So does one at the end of a link that leads nowhere now. */
static void test_admin_not_trusted(void **state)
{
    static const char path[] = ETC "/vitelemetry.conf";
    unsigned          i;
    (void)state;
    for (i = 0; i < 9; i++) {
        bench b;
        fixtures_make(&b);
        fixture_text(path, "disabled = 0\n");
        if (i == 0) assert_int_equal(chmod(path, 0664), 0);
        if (i == 1) assert_int_equal(chmod(path, 0646), 0);
        if (i >= 2) assert_int_equal(unlink(path), 0);
        if (i == 2) assert_int_equal(mkdir(path, 0755), 0);
        if (i == 3) assert_int_equal(mkfifo(path, 0644), 0);
        if (i == 4) assert_int_equal(symlink("vitelemetry.conf", path), 0); /* in a ring */
        if (i == 5 && geteuid() == 0) {
            fixture_text(path, "disabled = 0\n");
            assert_int_equal(chown(path, 65534, 65534), 0);
        }
        if (i == 5 && geteuid() != 0) fixture_text(path, "?");
        if (i == 6) assert_int_equal(symlink("/nonexistent/policy", path), 0);
        if (i == 7) {
            fixture_text(ETC "/vector-inspector/none", "");
            assert_int_equal(symlink("none.conf", ETC "/vector-inspector/telemetry.conf"), 0);
        }
        if (i == 8) assert_int_equal(symlink("nowhere", ETC "/vector-inspector"), 0);
        assert_client(&b, 0, VIT_GATE_ADMIN);
        assert_int_equal(logs_of(&b.l, VIT_LOG_ADMIN_UNREADABLE), 1);
        fixtures_free(&b);
    }
}

/* Turned off while a client runs: before the next bytes leave. The user may refuse under it. */
static void test_admin_while_running(void **state)
{
    bench       b;
    vit_client *t;
    char        hwid[64];
    (void)state;
    t = fixtures_open(&b);
    snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
    assert_int_equal(strlen(hwid), 36);
    assert_int_equal(track(t, "a"), VIT_OK);
    fixture_text(ETC "/vitelemetry.conf", "disabled = true\n");
    assert_false(vit_flush(t, 1000));
    assert_int_equal(wire_count(&b.w), 0);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_ADMIN);
    assert_int_equal(track(t, "b"), VIT_DISABLED);
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_string_equal(setting_of(b.path, "hwid"), hwid); /* it was not the user's refusal */
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_ADMIN);
    assert_string_equal(setting_of(b.path, "consent"), "");
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_string_equal(setting_of(b.path, "hwid"), "");
    assert_string_equal(setting_of(b.path, "salt"), "");
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    fixtures_clear();
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    assert_int_equal(kinds_of(&b, t), 3);
    fixtures_close(&b, t);
}

/* ---- the system's text files ----------------------------------------------------------------- */

static void test_hint_texts(void **state)
{
    static const vitp_os_hint plain = { VITP_OS_CONF, false, "", "", "enabled", 0 };
    static const vitp_os_hint group = { VITP_OS_CONF, false, "", "Group", "Enabled", 0 };
    static const struct {
        const vitp_os_hint *hint;
        const char         *text;
        bool                refuses;
    } cases[] = {
        { &plain, "", false },
        { &plain, "enabled=0\n", true },
        { &plain, "enabled=1\n", false },
        { &plain, "# enabled=0\n", false },
        { &plain, "enabled = No", true },
        { &plain, "enabled=\"no\"\n", true },
        { &plain, "enabled='off' # c\n", true },
        { &plain, "enabled=0 # c\n", true },
        { &plain, "enabled=0#c\n", true },
        { &plain, "enabled=\n", false },
        { &plain, "enabled=\"\n", false },
        { &plain, "enabled\n", false },
        { &plain, "Enabled=0\n", false },
        { &plain, "enabled2=0\n", false },
        { &plain, "enabled=01\n", false },
        { &plain, "enabled=nothing\n", false },
        { &plain, "enabled=1\nenabled=0\n", true },
        { &plain, "enabled=0\nenabled=1\n", true },
        { &group, "[Group]\nEnabled=false\n", true },
        { &group, "[Group]\nEnabled=true\n", false },
        { &group, "Enabled=false\n", false },
        { &group, "[Groups]\nEnabled=false\n", false },
        { &group, "[Grou]\nEnabled=false\n", false },
        { &group, "[Group]\n[Other]\nEnabled=false\n", false },
        { &group, "[Other]\nEnabled=false\n[Group]\nx=y\nEnabled=false", true },
        { &group, "[Group\nEnabled=false\n", false },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        vitp_answer answer = vitp_consent_hint(cases[i].hint, cases[i].text, strlen(cases[i].text));
        if (answer != (cases[i].refuses ? VITP_ANSWER_REFUSES : VITP_ANSWER_NONE))
            fail_msg("%s", cases[i].text);
    }
}

static const struct {
    const char *path, *off, *on;
    unsigned    left; /* 1 usage, 2 errors */
} hints[] = {
    { CONFIG "/KDE/UserFeedback.conf", "[UserFeedback]\nEnabled=false\n",
      "[UserFeedback]\nEnabled=true\n", 0 },
    { ETC "/default/apport", "# set this to 0 to disable apport\nenabled=0\n", "enabled=1\n", 1 },
    { ETC "/default/whoopsie", "[General]\nreport_crashes=false\n",
      "[General]\nreport_crashes=true\n", 1 },
    { ETC "/abrt/abrt.conf", "AutoreportingEnabled = no\n", "# AutoreportingEnabled = no\n", 1 },
    { ETC "/popularity-contest.conf", "PARTICIPATE=\"no\"\n", "PARTICIPATE=\"yes\"\n", 2 },
};

static void test_hint_files(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(hints); i++) {
        bench b;
        fixtures_make(&b);
        fixture_text(hints[i].path, hints[i].on);
        assert_client(&b, 3, VIT_GATE_NONE);
        fixtures_free(&b);
        fixtures_make(&b);
        fixture_text(hints[i].path, hints[i].off);
        assert_client(&b, hints[i].left, VIT_GATE_SYSTEM);
        assert_int_equal(logs_of(&b.l, VIT_LOG_PART_REFUSED), hints[i].left ? 1 : 0);
        fixtures_free(&b);
        fixtures_make(&b); /* a hint that cannot be read is none */
        fixture_text(hints[i].path, hints[i].off);
        assert_int_equal(unlink(hints[i].path), 0);
        assert_int_equal(mkdir(hints[i].path, 0700), 0);
        assert_client(&b, 3, VIT_GATE_NONE);
        fixtures_free(&b);
    }
}

/* Two hints that take one kind each take both. */
static void test_hints_add_up(void **state)
{
    bench b;
    (void)state;
    fixtures_make(&b);
    fixture_text(hints[1].path, hints[1].off);
    fixture_text(hints[4].path, hints[4].off);
    assert_client(&b, 0, VIT_GATE_SYSTEM);
    fixtures_free(&b);
}

/* ---- two kinds of events --------------------------------------------------------------------- */

static vit_status adhoc(vit_client *t, const char *name, bool error)
{
    vit_event e;
    vit_event_begin(&e, t, name, NULL);
    vit_add_int(&e, "n", 1);
    if (error) vit_add_error(&e, "T", "m", "f", NULL);
    return vit_event_send(&e);
}

static void test_kinds(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 2; i++) {
        vit_status usage = i ? VIT_OK : VIT_DISABLED, errors = i ? VIT_DISABLED : VIT_OK;
        vit_uncaught_exception      uncaught;
        vit_sample_db_create_failed failed;
        vit_stats                   stats;
        vit_client                 *t;
        bench                       b;
        fixtures_make(&b);
        fixture_text(hints[i ? 1 : 4].path, hints[i ? 1 : 4].off);
        t = bench_client(&b);
        memset(&uncaught, 0, sizeof uncaught);
        memset(&failed, 0, sizeof failed);
        assert_int_equal(track(t, "x"), usage);
        assert_int_equal(track_error(t, "x"), errors);
        assert_int_equal(vit_track_uncaught_exception(t, &uncaught), errors);
        assert_int_equal(vit_track_sample_db_create_failed(t, &failed), errors);
        assert_int_equal(adhoc(t, "own.usage", false), usage);
        assert_int_equal(adhoc(t, "own.usage", true), errors); /* it became an error */
        assert_int_equal(adhoc(t, "Error", false), errors);    /* the name of an error row */
        assert_int_equal(adhoc(t, "feature.toggled", false), usage);
        stats = vit_get_stats(t);
        vit_qt_message(t, 2, "f.c", 1, "fn", NULL, "m"); /* an error */
        vit_session_begin(t, NULL, NULL);                /* usage */
        assert_int_equal(vit_fail(t, NULL, NULL, "f", 2), 2);
        assert_int_equal(vit_get_stats(t).refused_disabled, stats.refused_disabled + (i ? 2 : 1));
        assert_int_equal(vit_get_stats(t).accepted, i ? 4 : 7);
        assert_int_equal(vit_get_stats(t).refused_disabled, i ? 7 : 4);
        fixtures_close(&b, t);
    }
}

/* What was recorded before the system refused its kind does not leave, and is not shown. */
static void test_kinds_in_the_queue(void **state)
{
    bench       b;
    vit_client *t;
    lines       l;
    (void)state;
    t = fixtures_open(&b);
    assert_int_equal(track(t, "usage"), VIT_OK);
    assert_int_equal(track_error(t, "errors"), VIT_OK);
    assert_int_equal(track(t, "usage"), VIT_OK);
    l = lines_of(t);
    assert_int_equal(l.count, 3);
    lines_free(&l);
    fixture_text(hints[4].path, hints[4].off);
    assert_true(vit_flush(t, 5000));
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_SYSTEM);
    assert_int_equal(wire_times(&b.w, "\"usage\""), 0);
    assert_int_equal(wire_times(&b.w, "\"errors\""), 1);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 2);
    assert_int_equal(vit_get_stats(t).queued, 0);
    assert_balanced(t);
    assert_int_equal(unlink(hints[4].path), 0); /* and back */
    assert_int_equal(track_error(t, "more"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    assert_int_equal(track(t, "later"), VIT_OK);
    fixture_text(hints[1].path,
                 hints[1].off); /* errors, while one usage event and one error wait */
    assert_int_equal(track_error(t, "last"), VIT_OK);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    l = lines_of(t);
    assert_int_equal(l.count, 1);
    assert_non_null(strstr(l.text[0], "later"));
    lines_free(&l);
    fixtures_close(&b, t);
}

/* The same with what an earlier run left. */
static void test_kinds_adopted(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    fixtures_make(&b);
    b.w.otherwise.http_status = 503;
    t = bench_client(&b);
    if (!vit_get_stats(t).crash_surviving) {
        fixtures_close(&b, t);
        skip();
    }
    assert_int_equal(track(t, "usage"), VIT_OK);
    assert_int_equal(track_error(t, "errors"), VIT_OK);
    assert_true(vit_destroy(t, 0));
    b.w.otherwise.http_status = 201;
    fixture_text(hints[4].path, hints[4].off);
    t = bench_client(&b);
    assert_int_equal(vit_get_stats(t).adopted, 2);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_times(&b.w, "\"usage\""), 0);
    assert_int_equal(wire_times(&b.w, "\"errors\""), 1);
    assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 1);
    fixtures_close(&b, t);
}

/* Under UNKNOWN the system's refusal takes its kind, and the user is still to be asked. */
static void test_kinds_unknown(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    fixtures_make(&b);
    b.o.consent = VIT_CONSENT_UNKNOWN;
    fixture_text(hints[4].path, hints[4].off);
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_UNKNOWN, VIT_GATE_CONSENT);
    assert_int_equal(track(t, "usage"), VIT_DISABLED);
    assert_int_equal(track_error(t, "errors"), VIT_OK);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_SYSTEM);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    fixtures_close(&b, t);
}

/* ---- Windows: numbers of the registry -------------------------------------------------------- */

static const vitp_os_number absent = { VITP_OS_READ_ABSENT, 0 };

static vitp_os_policy policy_none(void)
{
    vitp_os_policy p;
    size_t         i;
    p.product = absent;
    for (i = 0; i < COUNT_OF(p.levels); i++) p.levels[i] = absent;
    for (i = 0; i < COUNT_OF(p.reports); i++) p.reports[i] = absent;
    return p;
}

static vitp_consent_inputs policy_of(const vitp_os_policy *p)
{
    vitp_consent_inputs in;
    memset(&in, 0, sizeof in);
    vitp_consent_policy(&in, p);
    return in;
}

static vitp_os_number number(uint32_t value)
{
    vitp_os_number n;
    n.how = VITP_OS_READ_OK;
    n.value = value;
    return n;
}

static void test_policy_product(void **state)
{
    vitp_os_policy p = policy_none();
    uint32_t       value;
    (void)state;
    assert_int_equal(policy_of(&p).admin, VITP_ANSWER_NONE);
    for (value = 0; value < 6; value++) {
        p.product = number(value);
        assert_int_equal(policy_of(&p).admin, value == 3 ? VITP_ANSWER_NONE : VITP_ANSWER_REFUSES);
        assert_int_equal(policy_of(&p).usage, VITP_ANSWER_NONE);
    }
    p.product = number(3);
    p.product.how = VITP_OS_READ_REFUSED; /* a text, for example */
    assert_int_equal(policy_of(&p).admin, VITP_ANSWER_UNREADABLE);
    p.product.how = VITP_OS_READ_LATER;
    assert_int_equal(policy_of(&p).admin, VITP_ANSWER_LATER);
}

static void test_policy_level(void **state)
{
    unsigned i, j, k;
    (void)state;
    for (i = 0; i < 6; i++) /* 4: wrong type; 5: absent */
        for (j = 0; j < 6; j++)
            for (k = 0; k < 6; k++) {
                vitp_os_policy      p = policy_none();
                vitp_consent_inputs in;
                unsigned            least = 3;
                if (i < 4 && i < least) least = i;
                if (j < 4 && j < least) least = j;
                if (k < 4 && k < least) least = k;
                p.levels[0] = number(i), p.levels[1] = number(j), p.levels[2] = number(k);
                if (i >= 4) p.levels[0].how = i == 4 ? VITP_OS_READ_REFUSED : VITP_OS_READ_ABSENT;
                if (j >= 4) p.levels[1].how = j == 4 ? VITP_OS_READ_REFUSED : VITP_OS_READ_ABSENT;
                if (k >= 4) p.levels[2].how = k == 4 ? VITP_OS_READ_REFUSED : VITP_OS_READ_ABSENT;
                in = policy_of(&p);
                assert_int_equal(in.admin, VITP_ANSWER_NONE);
                assert_int_equal(in.usage == VITP_ANSWER_REFUSES, least < 3);
                assert_int_equal(in.errors == VITP_ANSWER_REFUSES, least == 0);
            }
}

static void test_policy_reports(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 4; i++) {
        vitp_os_policy p = policy_none();
        p.reports[i] = number(1);
        assert_int_equal(policy_of(&p).errors, VITP_ANSWER_REFUSES);
        assert_int_equal(policy_of(&p).usage, VITP_ANSWER_NONE);
        p.reports[i] = number(0);
        assert_int_equal(policy_of(&p).errors, VITP_ANSWER_NONE);
        p.reports[i] = number(1);
        p.reports[i].how = VITP_OS_READ_REFUSED;
        assert_int_equal(policy_of(&p).errors, VITP_ANSWER_NONE);
    }
}

/* ---- dconf ----------------------------------------------------------------------------------- */

#define TECHNICAL "/org/gnome/desktop/privacy/report-technical-problems"
#define USAGE     "/org/gnome/desktop/privacy/send-software-usage-stats"

/* What `dconf compile` made of
       [org/gnome/desktop/privacy] report-technical-problems=false send-software-usage-stats=true
       [org/gnome/desktop/interface] clock-show-seconds=true */
static const unsigned char dconf_user[] = {
    0x47, 0x56, 0x61, 0x72, 0x69, 0x61, 0x6e, 0x74, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x18, 0x00, 0x00, 0x00, 0x1c, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x28, 0x09, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
    0x03, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
    0x09, 0x00, 0x00, 0x00, 0xb9, 0x88, 0xfd, 0xda, 0x02, 0x00, 0x00, 0x00, 0x1c, 0x01, 0x00, 0x00,
    0x08, 0x00, 0x4c, 0x00, 0x24, 0x01, 0x00, 0x00, 0x2c, 0x01, 0x00, 0x00, 0x4b, 0x50, 0x90, 0x0b,
    0x05, 0x00, 0x00, 0x00, 0x2c, 0x01, 0x00, 0x00, 0x04, 0x00, 0x4c, 0x00, 0x30, 0x01, 0x00, 0x00,
    0x34, 0x01, 0x00, 0x00, 0xb0, 0xb7, 0x24, 0x30, 0x01, 0x00, 0x00, 0x00, 0x34, 0x01, 0x00, 0x00,
    0x06, 0x00, 0x4c, 0x00, 0x3c, 0x01, 0x00, 0x00, 0x40, 0x01, 0x00, 0x00, 0x8f, 0xf5, 0x3a, 0x5f,
    0x06, 0x00, 0x00, 0x00, 0x40, 0x01, 0x00, 0x00, 0x12, 0x00, 0x76, 0x00, 0x58, 0x01, 0x00, 0x00,
    0x5b, 0x01, 0x00, 0x00, 0x0b, 0x9d, 0x47, 0x1d, 0x07, 0x00, 0x00, 0x00, 0x5b, 0x01, 0x00, 0x00,
    0x19, 0x00, 0x76, 0x00, 0x78, 0x01, 0x00, 0x00, 0x7b, 0x01, 0x00, 0x00, 0xd4, 0xb5, 0x02, 0x00,
    0xff, 0xff, 0xff, 0xff, 0x7b, 0x01, 0x00, 0x00, 0x01, 0x00, 0x4c, 0x00, 0x7c, 0x01, 0x00, 0x00,
    0x80, 0x01, 0x00, 0x00, 0x39, 0xc5, 0x3b, 0x4f, 0x00, 0x00, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00,
    0x0a, 0x00, 0x4c, 0x00, 0x8c, 0x01, 0x00, 0x00, 0x90, 0x01, 0x00, 0x00, 0x46, 0x3d, 0xab, 0x73,
    0x00, 0x00, 0x00, 0x00, 0x90, 0x01, 0x00, 0x00, 0x08, 0x00, 0x4c, 0x00, 0x98, 0x01, 0x00, 0x00,
    0xa0, 0x01, 0x00, 0x00, 0x46, 0x88, 0x32, 0x0f, 0x07, 0x00, 0x00, 0x00, 0xa0, 0x01, 0x00, 0x00,
    0x19, 0x00, 0x76, 0x00, 0xc0, 0x01, 0x00, 0x00, 0xc3, 0x01, 0x00, 0x00, 0x64, 0x65, 0x73, 0x6b,
    0x74, 0x6f, 0x70, 0x2f, 0x06, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x6f, 0x72, 0x67, 0x2f,
    0x02, 0x00, 0x00, 0x00, 0x67, 0x6e, 0x6f, 0x6d, 0x65, 0x2f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x63, 0x6c, 0x6f, 0x63, 0x6b, 0x2d, 0x73, 0x68, 0x6f, 0x77, 0x2d, 0x73, 0x65, 0x63, 0x6f, 0x6e,
    0x64, 0x73, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x62, 0x72, 0x65, 0x70, 0x6f, 0x72,
    0x74, 0x2d, 0x74, 0x65, 0x63, 0x68, 0x6e, 0x69, 0x63, 0x61, 0x6c, 0x2d, 0x70, 0x72, 0x6f, 0x62,
    0x6c, 0x65, 0x6d, 0x73, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x62, 0x2f, 0x01, 0x00, 0x00, 0x00,
    0x69, 0x6e, 0x74, 0x65, 0x72, 0x66, 0x61, 0x63, 0x65, 0x2f, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
    0x70, 0x72, 0x69, 0x76, 0x61, 0x63, 0x79, 0x2f, 0x04, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
    0x73, 0x65, 0x6e, 0x64, 0x2d, 0x73, 0x6f, 0x66, 0x74, 0x77, 0x61, 0x72, 0x65, 0x2d, 0x75, 0x73,
    0x61, 0x67, 0x65, 0x2d, 0x73, 0x74, 0x61, 0x74, 0x73, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x62,
};

/* A small writer of one key, each piece of the name an item of its own; flags: what is wrong. */
typedef struct dconf_file {
    unsigned char bytes[1024];
    size_t        size;
} dconf_file;

static void put32(unsigned char *p, size_t value)
{
    size_t i;
    for (i = 0; i < 4; i++) p[i] = (unsigned char)(value >> (8 * i));
}

static dconf_file dconf_make(const char *const *pieces, size_t count, const void *value,
                             size_t size, bool big)
{
    dconf_file     f;
    unsigned char *item = f.bytes + 24 + 8 + 4;
    size_t         i, j, at = 24 + 8 + 4 + 24 * count;
    uint32_t       hash = 5381;
    memset(&f, 0, sizeof f);
    memcpy(f.bytes, big ? "raVGtnai" : "GVariant", 8);
    put32(f.bytes + 16, 24);
    put32(f.bytes + 20, at);
    put32(f.bytes + 28, 1); /* buckets */
    for (i = 0; i < count; i++, item += 24) {
        for (j = 0; pieces[i][j]; j++) hash = hash * 33u + (unsigned char)pieces[i][j];
        put32(item, hash);
        put32(item + 4, i ? i - 1 : 0xFFFFFFFFu);
        put32(item + 8, at);
        put32(item + 12, strlen(pieces[i]));
        memcpy(f.bytes + at, pieces[i], strlen(pieces[i]));
        at += strlen(pieces[i]);
        item[14] = i + 1 < count ? 'L' : 'v';
        put32(item + 16, at);
        put32(item + 20, at + (i + 1 < count ? 0 : size));
    }
    memcpy(f.bytes + at, value, size);
    f.size = at + size;
    return f;
}

typedef vitp_answer (*answer_fn)(const void *bytes, size_t size, const char *key);

/* Each answer over a copy of exactly that size, so that a byte beyond it is seen. */
static vitp_answer answer_of(answer_fn fn, const void *bytes, size_t size, const char *key)
{
    void       *copy = malloc(size ? size : 1);
    vitp_answer answer;
    assert_non_null(copy);
    if (size) memcpy(copy, bytes, size);
    answer = fn(copy, size, key);
    free(copy);
    return answer;
}

static vitp_answer dconf_answer(const void *bytes, size_t size, const char *key)
{
    return answer_of(vitp_consent_dconf, bytes, size, key);
}

static void test_dconf(void **state)
{
    static const char *const pieces[] = { "/",        "org/",     "gnome/",
                                          "desktop/", "privacy/", "report-technical-problems" };
    static const char *const whole[] = { TECHNICAL };
    static const char        off[] = { 0, 0, 'b' }, on[] = { 1, 0, 'b' };
    unsigned                 i;
    (void)state;
    assert_int_equal(dconf_answer(dconf_user, sizeof dconf_user, TECHNICAL), VITP_ANSWER_REFUSES);
    assert_int_equal(dconf_answer(dconf_user, sizeof dconf_user, USAGE), VITP_ANSWER_NONE);
    assert_int_equal(dconf_answer(dconf_user, sizeof dconf_user, TECHNICAL "x"), VITP_ANSWER_NONE);
    assert_int_equal(dconf_answer(dconf_user, sizeof dconf_user, "/org/"), VITP_ANSWER_NONE);
    for (i = 0; i < 4; i++) {
        dconf_file f = i & 1 ? dconf_make(whole, 1, off, 3, i >= 2)
                             : dconf_make(pieces, COUNT_OF(pieces), off, 3, i >= 2);
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_REFUSES);
        assert_int_equal(dconf_answer(f.bytes, f.size, USAGE), VITP_ANSWER_NONE);
        f = dconf_make(pieces, COUNT_OF(pieces), on, 3, i >= 2);
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_NONE);
        f = dconf_make(pieces, COUNT_OF(pieces), "\0\0i", 3, false); /* no boolean */
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_UNREADABLE);
        f = dconf_make(pieces, COUNT_OF(pieces), "\2\0b", 3, false);
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_UNREADABLE);
        f = dconf_make(pieces, COUNT_OF(pieces), "\0\0bb", 4, false);
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_UNREADABLE);
        f = dconf_make(pieces, COUNT_OF(pieces), off, 3, false);
        put32(f.bytes + 36 + 4, 5); /* the first item's parent is the last: a ring */
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_NONE);
        f = dconf_make(pieces, COUNT_OF(pieces), off, 3, false);
        f.bytes[36 + 24 * 5 + 14] = 'L'; /* a folder of that name */
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_NONE);
        f = dconf_make(pieces, COUNT_OF(pieces), off, 3, false);
        f.bytes[8] = 1; /* another version */
        assert_int_equal(dconf_answer(f.bytes, f.size, TECHNICAL), VITP_ANSWER_UNREADABLE);
    }
    assert_int_equal(dconf_answer("", 0, TECHNICAL), VITP_ANSWER_UNREADABLE);
}

static void test_dconf_hostile(void **state)
{
    static const char *const whole[] = { TECHNICAL };
    unsigned char            bytes[sizeof dconf_user];
    size_t                   i;
    unsigned                 value, refused = 0;
    dconf_file               one = dconf_make(whole, 1, "\0\0b", 3, false);
    (void)state;
    for (i = 0; i < sizeof dconf_user; i++) {
        vitp_answer answer = dconf_answer(dconf_user, i, TECHNICAL);
        assert_true(answer <= VITP_ANSWER_UNREADABLE);
        if (i < 24) assert_int_equal(answer, VITP_ANSWER_UNREADABLE);
    }
    for (i = 0; i < one.size; i++) /* in this one the value comes last */
        assert_int_equal(dconf_answer(one.bytes, i, TECHNICAL),
                         i + 3 >= one.size   ? VITP_ANSWER_UNREADABLE
                         : i >= 24 + 12 + 24 ? VITP_ANSWER_NONE
                                             : VITP_ANSWER_UNREADABLE);
    memcpy(bytes, dconf_user, sizeof bytes);
    for (i = 0; i < sizeof dconf_user; i++) {
        for (value = 0; value < 256; value++) {
            bytes[i] = (unsigned char)value;
            refused += dconf_answer(bytes, sizeof bytes, TECHNICAL) == VITP_ANSWER_REFUSES;
            assert_true(dconf_answer(bytes, sizeof bytes, USAGE) <= VITP_ANSWER_UNREADABLE);
        }
        bytes[i] = dconf_user[i];
    }
    assert_true(refused > sizeof dconf_user); /* most flips do not touch the key */
}

static void test_dconf_file(void **state)
{
    static const char        off[] = { 0, 0, 'b' };
    static const char *const usage[] = { USAGE }, *const technical[] = { TECHNICAL };
    static unsigned char large[400000];
    dconf_file           f;
    bench                b;
    (void)state;
    fixtures_make(&b);
    fixture(CONFIG "/dconf/user", dconf_user, sizeof dconf_user);
    assert_client(&b, 1, VIT_GATE_SYSTEM); /* no reports of technical problems */
    fixtures_free(&b);
    fixtures_make(&b);
    f = dconf_make(usage, 1, off, 3, false);
    fixture(CONFIG "/dconf/user", f.bytes, f.size);
    assert_client(&b, 2, VIT_GATE_SYSTEM);
    fixtures_free(&b);
    fixtures_make(&b); /* larger than what the client has at hand */
    f = dconf_make(technical, 1, off, 3, true);
    memcpy(large, f.bytes, f.size);
    fixture(CONFIG "/dconf/user", large, sizeof large);
    assert_client(&b, 1, VIT_GATE_SYSTEM);
    fixtures_free(&b);
    fixtures_make(&b);
    fixture(CONFIG "/dconf/user", dconf_user, 200);
    assert_client(&b, 3, VIT_GATE_NONE);
    fixtures_free(&b);
    fixtures_make(&b); /* without XDG_CONFIG_HOME: below the home */
    {
        char home[PATH_MAX], before[256];
        snprintf(before, sizeof before, "%s", getenv("HOME"));
        unsetenv("XDG_CONFIG_HOME");
        fixture(CONFIG "/.config/dconf/user", dconf_user, sizeof dconf_user);
        assert_non_null(realpath(CONFIG, home));
        setenv("HOME", home, 1);
        assert_client(&b, 1, VIT_GATE_SYSTEM);
        setenv("HOME", before, 1);
    }
    fixtures_free(&b);
}

/* A host's memory in which there is not much room. */
static size_t room;
static void  *small_alloc(size_t size, void *user)
{
    (void)user;
    return size <= room ? malloc(size) : NULL;
}
static void small_free(void *memory, void *user)
{
    (void)user;
    free(memory);
}

/* A large database takes as much memory as it has bytes; without that, what it said holds. */
static void test_dconf_in_little_memory(void **state)
{
    static const char        off[] = { 0, 0, 'b' };
    static const char *const technical[] = { TECHNICAL };
    static unsigned char     large[1200000];
    dconf_file               f = dconf_make(technical, 1, off, 3, true);
    bench                    b;
    vit_client              *t;
    (void)state;
    memcpy(large, f.bytes, f.size);
    fixtures_make(&b);
    fixture(CONFIG "/dconf/user", large, sizeof large);
    b.o.allocator.alloc_fn = small_alloc;
    b.o.allocator.free_fn = small_free;
    room = 2000000;
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_SYSTEM);
    assert_int_equal(track_error(t, "errors"), VIT_DISABLED);
    fixture(CONFIG "/dconf/user", large, sizeof large - 24); /* another setting was changed */
    room = 1000;
    assert_int_equal(track(t, "usage"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_SYSTEM);
    assert_int_equal(track_error(t, "errors"), VIT_DISABLED);
    room = 2000000;
    f = dconf_make(technical, 1, "\1\0b", 3, true);
    fixture(CONFIG "/dconf/user", f.bytes, f.size);
    assert_int_equal(track(t, "usage"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE); /* the user's change is heard */
    fixtures_close(&b, t);
}

/* ---- property lists -------------------------------------------------------------------------- */

#define THIRD "ThirdPartyDataSubmit"

/* {AutoSubmit: true, ThirdPartyDataSubmit: false, SeedAutoSubmit: false, AutoSubmitVersion: 4} */
static const unsigned char plist_binary[] = {
    0x62, 0x70, 0x6c, 0x69, 0x73, 0x74, 0x30, 0x30, 0xd4, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
    0x07, 0x07, 0x5a, 0x41, 0x75, 0x74, 0x6f, 0x53, 0x75, 0x62, 0x6d, 0x69, 0x74, 0x5f, 0x10,
    0x11, 0x41, 0x75, 0x74, 0x6f, 0x53, 0x75, 0x62, 0x6d, 0x69, 0x74, 0x56, 0x65, 0x72, 0x73,
    0x69, 0x6f, 0x6e, 0x5e, 0x53, 0x65, 0x65, 0x64, 0x41, 0x75, 0x74, 0x6f, 0x53, 0x75, 0x62,
    0x6d, 0x69, 0x74, 0x5f, 0x10, 0x14, 0x54, 0x68, 0x69, 0x72, 0x64, 0x50, 0x61, 0x72, 0x74,
    0x79, 0x44, 0x61, 0x74, 0x61, 0x53, 0x75, 0x62, 0x6d, 0x69, 0x74, 0x09, 0x10, 0x04, 0x08,
    0x08, 0x11, 0x1c, 0x30, 0x3f, 0x56, 0x57, 0x59, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5a,
};

#define XML_HEAD                                                                                \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST " \
    "1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n"
#define XML(inside) XML_HEAD "<dict>\n" inside "</dict>\n</plist>\n"

static vitp_answer plist_answer(const void *bytes, size_t size, const char *key)
{
    return answer_of(vitp_consent_plist, bytes, size, key);
}

static void test_plist_xml(void **state)
{
    static const struct {
        const char *text;
        vitp_answer answer;
    } cases[] = {
        { XML("<key>ThirdPartyDataSubmit</key>\n\t<false/>\n"), VITP_ANSWER_REFUSES },
        { XML("<key>ThirdPartyDataSubmit</key><false />"), VITP_ANSWER_REFUSES },
        { XML("<key>ThirdPartyDataSubmit</key><false></false>"), VITP_ANSWER_REFUSES },
        { XML("<key>ThirdPartyDataSubmit</key><!-- x --><false/>"), VITP_ANSWER_REFUSES },
        { XML("<key>ThirdPartyDataSubmit</key><true/>"), VITP_ANSWER_NONE },
        { XML("<key>A</key><true/><key>ThirdPartyDataSubmit</key><false/>"), VITP_ANSWER_REFUSES },
        { XML("<key>A</key><array/><key>ThirdPartyDataSubmit</key><false/>"), VITP_ANSWER_REFUSES },
        { XML("<key>A</key><dict><key>B</key><true/></dict><key>" THIRD "</key><false/>"),
          VITP_ANSWER_REFUSES },
        { XML("<key>ThirdPartyDataSubmit</key><true/><key>B</key><false/>"), VITP_ANSWER_NONE },
        { XML("<!-- <key>ThirdPartyDataSubmit</key><false/> -->"), VITP_ANSWER_NONE },
        { XML("<key>A</key><dict><key>" THIRD "</key><false/></dict>"), VITP_ANSWER_NONE },
        { XML("<key>A</key><string>" THIRD "</string><key>B</key><false/>"), VITP_ANSWER_NONE },
        { XML("<key>ThirdPartyDataSubmit </key><false/>"), VITP_ANSWER_NONE },
        { XML(""), VITP_ANSWER_NONE },
        { XML_HEAD "<dict><key>A</key>", VITP_ANSWER_UNREADABLE },
        { XML("<key>A</key><array><string>" THIRD "</string></array><key>" THIRD "</key><false/>"),
          VITP_ANSWER_REFUSES },
        { XML_HEAD "<array><false/></array>", VITP_ANSWER_NONE },
        { XML_HEAD "<array>", VITP_ANSWER_UNREADABLE },
        { XML_HEAD "</array><array>", VITP_ANSWER_UNREADABLE },
        { "</dict><dict>", VITP_ANSWER_UNREADABLE },
        { "no property list", VITP_ANSWER_UNREADABLE },
        { "<!-- never closed", VITP_ANSWER_UNREADABLE },
        { "<dict", VITP_ANSWER_UNREADABLE },
        { "", VITP_ANSWER_UNREADABLE },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        if (plist_answer(cases[i].text, strlen(cases[i].text), THIRD) != cases[i].answer)
            fail_msg("%s", cases[i].text);
}

static void test_plist_binary(void **state)
{
    unsigned char bytes[sizeof plist_binary], many[2048];
    size_t        i, n = 0;
    (void)state;
    memcpy(bytes, plist_binary, sizeof bytes);
    assert_int_equal(plist_answer(bytes, sizeof bytes, THIRD), VITP_ANSWER_REFUSES);
    assert_int_equal(plist_answer(bytes, sizeof bytes, "SeedAutoSubmit"), VITP_ANSWER_REFUSES);
    assert_int_equal(plist_answer(bytes, sizeof bytes, "AutoSubmit"), VITP_ANSWER_NONE);
    assert_int_equal(plist_answer(bytes, sizeof bytes, "AutoSubmitVersion"), VITP_ANSWER_NONE);
    assert_int_equal(plist_answer(bytes, sizeof bytes, "Nothing"), VITP_ANSWER_NONE);
    /* twenty keys: a count that does not fit the marker, and references of two bytes */
    memcpy(many, "bplist00", n = 8);
    many[n++] = 0xDF, many[n++] = 0x10, many[n++] = 20;
    for (i = 0; i < 40; i++) many[n++] = 0, many[n++] = (unsigned char)(i < 20 ? i + 1 : 21);
    for (i = 0; i < 20; i++) many[n++] = 0x51, many[n++] = (unsigned char)('a' + i);
    many[n++] = 0x08;
    for (i = 0; i < 22; i++) {
        size_t at = i == 0 ? 8 : 91 + 2 * (i - 1);
        many[n++] = (unsigned char)(at >> 8), many[n++] = (unsigned char)at;
    }
    memset(many + n, 0, 32);
    many[n + 6] = 2, many[n + 7] = 2, many[n + 15] = 22, many[n + 31] = 91 + 41;
    n += 32;
    assert_int_equal(plist_answer(many, n, "t"), VITP_ANSWER_REFUSES);
    assert_int_equal(plist_answer(many, n, "u"), VITP_ANSWER_NONE);
    many[8 + 2] = 21; /* one more than there are */
    assert_true(plist_answer(many, n, "t") <= VITP_ANSWER_UNREADABLE);
}

/* More entries than any file holds. */
static void test_plist_count(void **state)
{
    unsigned char bytes[8 + 10 + 1 + 32];
    (void)state;
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "bplist00\xDF\x13", 10);
    memset(bytes + 10, 0x7F, 8);
    bytes[18] = 8;                           /* the table: the one object begins there */
    bytes[19 + 6] = bytes[19 + 7] = 1;       /* sizes of its entries, and of references */
    bytes[19 + 15] = 1, bytes[19 + 31] = 18; /* objects; where the table is */
    assert_int_equal(plist_answer(bytes, sizeof bytes, THIRD), VITP_ANSWER_UNREADABLE);
}

/* A count that is cut off: it begins behind the last object's marker, or ends in the table. */
static void test_plist_cut(void **state)
{
    static const unsigned char objects[] = { 0xDF, 0x13, 0, 0, 0, 0, 0, 0, 0, 0 };
    size_t                     size;
    (void)state;
    for (size = 1; size < sizeof objects; size++) {
        unsigned char bytes[8 + sizeof objects + 1 + 32];
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, "bplist00", 8);
        memcpy(bytes + 8, objects, size);
        bytes[8 + size] = 8;
        bytes[9 + size + 6] = bytes[9 + size + 7] = bytes[9 + size + 15] = 1;
        bytes[9 + size + 31] = (unsigned char)(8 + size);
        assert_int_equal(plist_answer(bytes, 9 + size + 32, THIRD), VITP_ANSWER_UNREADABLE);
    }
}

static void hostile(const void *fixture_bytes, size_t size)
{
    unsigned char *bytes = (unsigned char *)malloc(size);
    size_t         i;
    unsigned       value;
    assert_non_null(bytes);
    memcpy(bytes, fixture_bytes, size);
    for (i = 0; i < size; i++) {
        unsigned char before = bytes[i];
        assert_true(plist_answer(bytes, i, THIRD) <= VITP_ANSWER_UNREADABLE);
        for (value = 0; value < 256; value++) {
            bytes[i] = (unsigned char)value;
            assert_true(plist_answer(bytes, size, THIRD) <= VITP_ANSWER_UNREADABLE);
        }
        bytes[i] = before;
    }
    free(bytes);
}

static void test_plist_hostile(void **state)
{
    static const char xml[] = XML("<key>A</key><dict/><key>ThirdPartyDataSubmit</key><false/>");
    (void)state;
    hostile(plist_binary, sizeof plist_binary);
    hostile(xml, sizeof xml - 1);
}

/* The row of the table that macOS has, by way of the reader. */
static void test_plist_hint(void **state)
{
    static const vitp_os_hint row = { VITP_OS_PLIST, false, "", "", THIRD, VITP_OS_TAKES_ERRORS };
    (void)state;
    assert_int_equal(vitp_consent_hint(&row, plist_binary, sizeof plist_binary),
                     VITP_ANSWER_REFUSES);
}

/* ---- version of the consent ------------------------------------------------------------------ */

#define IDENTITY \
    "hwid = 123e4567-e89b-42d3-a456-426614174000\nsalt = 00112233445566778899aabbccddeeff\n"

static void test_version(void **state)
{
    static const struct {
        const char *text;
        vit_consent consent;
        vit_gate    gate;
    } cases[] = {
        { "consent = granted\nconsent_version = 2\n", VIT_CONSENT_GRANTED, VIT_GATE_NONE },
        { "consent_version = 2\nconsent = verbose\n", VIT_CONSENT_VERBOSE, VIT_GATE_NONE },
        { "consent = granted\nconsent_version = 1\n", VIT_CONSENT_UNKNOWN, VIT_GATE_CONSENT },
        { "consent = granted\n", VIT_CONSENT_UNKNOWN, VIT_GATE_CONSENT }, /* of version 1 */
        { "consent = verbose\n", VIT_CONSENT_UNKNOWN, VIT_GATE_CONSENT },
        { "consent = verbose\nconsent_version = 3\n", VIT_CONSENT_UNKNOWN, VIT_GATE_CONSENT },
        { "consent = denied\nconsent_version = 1\n", VIT_CONSENT_DENIED, VIT_GATE_CONSENT },
        { "consent = denied\n", VIT_CONSENT_DENIED, VIT_GATE_CONSENT },
        { "consent = granted\nconsent_version = two\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING },
        { "consent = granted\nconsent_version = 2x\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING },
        { "consent = granted\nconsent_version =\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING },
        { "consent = granted\nconsent_version\n", VIT_CONSENT_DENIED, VIT_GATE_SETTING },
        { "consent = granted\nconsent_version = 4294967298\n", VIT_CONSENT_DENIED,
          VIT_GATE_SETTING },
        { "consent = granted\nconsent_version = 2\nconsent_version = 1\n", VIT_CONSENT_DENIED,
          VIT_GATE_SETTING },
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        bench       b;
        vit_client *t;
        char        text[512];
        fixtures_make(&b);
        b.o.consent = VIT_CONSENT_UNKNOWN;
        snprintf(text, sizeof text, "telemetry_enabled = true\n%s" IDENTITY, cases[i].text);
        file_write(b.path, text, strlen(text), 0600);
        t = bench_client(&b);
        assert_gate(t, cases[i].consent, cases[i].gate);
        if (cases[i].consent == VIT_CONSENT_UNKNOWN) { /* asked again, and answered */
            assert_int_equal(track(t, "a"), VIT_OK);
            assert_false(vit_flush(t, 100));
            assert_int_equal(wire_count(&b.w), 0);
            vit_set_consent(t, VIT_CONSENT_GRANTED);
            assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
            assert_string_equal(setting_of(b.path, "consent"), "granted");
            assert_string_equal(setting_of(b.path, "consent_version"), "2");
            assert_true(vit_flush(t, 5000));
            assert_int_equal(wire_count(&b.w), 1);
        }
        fixtures_close(&b, t);
    }
}

/* A process of another version of the program is granted its own consent: ours stays; a refusal is
   for all versions. */
static void test_version_elsewhere(void **state)
{
    bench       b;
    vit_client *t;
    char        text[512];
    unsigned    i;
    (void)state;
    t = fixtures_unasked(&b);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    for (i = 0; i < 2; i++) {
        char hwid[64], salt[64];
        snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
        snprintf(salt, sizeof salt, "%s", setting_of(b.path, "salt"));
        snprintf(
            text, sizeof text,
            "telemetry_enabled = true\nconsent = %s\nconsent_version = 3\nhwid = %s\nsalt = %s\n",
            i ? "denied" : "granted", hwid, salt);
        file_write(b.path, text, strlen(text), 0600);
        assert_int_equal(track(t, "a"), VIT_OK);
        assert_int_equal(vit_flush(t, 5000), i == 0);
        assert_gate(t, i ? VIT_CONSENT_DENIED : VIT_CONSENT_GRANTED,
                    i ? VIT_GATE_CONSENT : VIT_GATE_NONE);
    }
    assert_int_equal(wire_count(&b.w), 1);
    fixtures_close(&b, t);
}

/* ---- other processes ------------------------------------------------------------------------- */

/* Runs in a child of its own; returns what the child returned. */
static int in_child(int (*child_fn)(void *), void *argument)
{
    int   status = 0;
    pid_t child;
    fflush(NULL);
    child = fork();
    if (child == 0) _exit(child_fn(argument));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* A client of a child: options are its parent's, who keeps its log. */
static vit_client *client_of_child(const void *options)
{
    vit_options o = *(const vit_options *)options;
    memset(&o.logger, 0, sizeof o.logger);
    o.no_thread = true;
    return vit_create(&o);
}

static int deny_in_child(void *argument)
{
    vit_client *t = client_of_child(argument);
    if (!t) return 1;
    vit_set_consent(t, VIT_CONSENT_DENIED);
    return vit_destroy(t, 20000) ? 0 : 2;
}

/* It is killed amid a session, with an event that waits. */
static int session_and_die(void *argument)
{
    vit_client *t = client_of_child(argument);
    if (!t) return 1;
    vit_session_begin(t, NULL, NULL);
    (void)raise(SIGKILL);
    return 2;
}

static int undecide_in_child(void *argument)
{
    vit_client *t = vit_create((vit_options *)argument);
    if (!t) return 1;
    vit_set_consent(t, VIT_CONSENT_UNKNOWN);
    return vit_destroy(t, 20000) ? 0 : 2;
}

/* Pools lie in a folder of the test's own: in pools, which is made by the first of them. */
static void fixture_run(const bench *b, char pools[PATH_MAX + 64])
{
    char run[PATH_MAX + 32];
    assert_non_null(realpath(b->folder, run));
    strcat(run, "/run");
    snprintf(pools, PATH_MAX + 64, "%s/vitelemetry", run);
    assert_int_equal(mkdir(run, 0700), 0);
    setenv("XDG_RUNTIME_DIR", run, 1);
}

/* The user opts out in a second instance of the program: nothing leaves the first any more, and
   what it held is gone. */
static void test_denied_by_another_process(void **state)
{
    unsigned threads;
    (void)state;
    for (threads = 0; threads < 2; threads++) {
        bench       b;
        vit_client *t;
        char        pools[PATH_MAX + 64], hwid[64];
        fixtures_make(&b);
        fixture_run(&b, pools);
        b.o.consent = VIT_CONSENT_UNKNOWN;
        b.o.no_thread = threads == 0;
        t = bench_client(&b);
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_true(vit_destroy(t, 0));
        t = bench_client(&b);
        snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
        assert_int_equal(track(t, "before"), VIT_OK);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(wire_count(&b.w), 1);
        assert_int_equal(in_child(deny_in_child, &b.o), 0);
        assert_string_equal(setting_of(b.path, "consent"), "denied");
        (void)track(t, "after"); /* accepted or not, it does not leave */
        assert_false(vit_flush(t, 1000));
        WAIT_FOR(vit_get_consent(t, NULL) == VIT_CONSENT_DENIED);
        assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
        assert_int_equal(wire_count(&b.w), 1);
        assert_int_equal(vit_get_stats(t).queued, 0);
        assert_int_equal(count_files(pools, "", NULL), 0);
        assert_int_equal(track(t, "later"), VIT_DISABLED);
        vit_reset_identity(t);
        assert_string_equal(setting_of(b.path, "consent"), "denied");
        assert_string_equal(setting_of(b.path, "hwid"), "");
        end(t);
        setenv("XDG_RUNTIME_DIR", folder_run(), 1);
        fixtures_free(&b);
    }
}

/* It is not asked any more what the user said, or the file is taken away: nothing leaves. */
static void test_undecided_by_another_process(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 2; i++) {
        bench       b;
        vit_client *t;
        t = fixtures_unasked(&b);
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_int_equal(track(t, "a"), VIT_OK);
        if (i == 0) {
            vit_options o = b.o;
            memset(&o.logger, 0, sizeof o.logger);
            assert_int_equal(in_child(undecide_in_child, &o), 0);
        } else {
            assert_int_equal(unlink(b.path), 0);
        }
        assert_false(vit_flush(t, 500));
        assert_int_equal(wire_count(&b.w), 0);
        assert_gate(t, VIT_CONSENT_UNKNOWN, VIT_GATE_CONSENT);
        fixtures_close(&b, t);
    }
}

static int reset_in_child(void *argument)
{
    vit_client *t = vit_create((vit_options *)argument);
    int         i;
    if (!t) return 1;
    for (i = 0; i < 30; i++) {
        vit_reset_identity(t);
        sleep_ms(2); /* else it holds the settings nearly all the time */
    }
    return vit_destroy(t, 20000) ? 0 : 2;
}

/* Another process writes the settings all the time: the refusal is not lost between its reading
   and its writing. */
static void test_refusal_is_not_lost(void **state)
{
    unsigned round;
    (void)state;
    for (round = 0; round < 40; round++) {
        bench       b;
        vit_client *t;
        vit_options o;
        pid_t       child;
        int         status = 0;
        fixtures_make(&b);
        o = b.o;
        memset(&o.logger, 0, sizeof o.logger);
        t = bench_client(&b);
        fflush(NULL);
        child = fork();
        if (child == 0) _exit(reset_in_child(&o));
        sleep_ms(5 + round);
        vit_set_consent(t, VIT_CONSENT_DENIED);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (strcmp(setting_of(b.path, "consent"), "denied") != 0)
            fail_msg("round %u: the refusal is gone: %s", round, file_read(b.path));
        assert_string_equal(setting_of(b.path, "hwid"), "");
        fixtures_close(&b, t);
    }
}

static vit_client *refuser;

static void refuse(void) { vit_set_consent(refuser, VIT_CONSENT_DENIED); }

static const char *refusal_file(const bench *b)
{
    static char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/telemetry.refused", b->folder);
    return path;
}

/* A refusal does not wait for another process that is about to write what it read before, and is
   not undone by it: a new identity is two files that take their places. */
static void test_refusal_amid_writing(void **state)
{
    unsigned turn;
    (void)state;
    for (turn = 1; turn <= 2; turn++) {
        bench       b;
        vit_client *t;
        t = fixtures_open(&b);
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        refuser = bench_client(&b);
        rename_fn = refuse;
        rename_turn = turn;
        vit_reset_identity(t);
        assert_int_equal(rename_turn, 0);
        assert_string_equal(setting_of(b.path, "consent"), "denied");
        assert_string_equal(setting_of(b.path, "hwid"), "");
        assert_false(file_exists(refusal_file(&b)));
        (void)track(t, "a");
        assert_false(vit_flush(t, 1000));
        assert_int_equal(wire_count(&b.w), 0);
        assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
        end(refuser);
        fixtures_close(&b, t);
    }
}

static int reset_and_die(void *argument)
{
    vit_options *o = (vit_options *)argument;
    vit_client  *t = vit_create(o);
    refuser = vit_create(o);
    if (!t || !refuser) return 1;
    rename_fn = refuse;
    rename_turn = 2;
    rename_kills = true;
    vit_reset_identity(t);
    return 2;
}

/* The same where the other process is killed right behind its writing: the refusal is what counts,
   for whoever looks, and then it is in the settings. */
static void test_refusal_amid_a_death(void **state)
{
    bench       b;
    vit_client *t;
    vit_options o;
    (void)state;
    t = fixtures_open(&b);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    o = b.o;
    memset(&o.logger, 0, sizeof o.logger);
    assert_int_equal(in_child(reset_and_die, &o), 255);
    assert_string_equal(setting_of(b.path, "consent"), "granted");
    assert_true(file_exists(refusal_file(&b)));
    (void)track(t, "a");
    assert_false(vit_flush(t, 1000));
    assert_int_equal(wire_count(&b.w), 0);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    assert_false(file_exists(refusal_file(&b)));
    fixtures_close(&b, t);
}

/* What a process writes of events while another one refuses goes with the refusal: its spool, its
   list of what was sent, the end of a run before. */
static void test_refusal_amid_events(void **state)
{
    unsigned which;
    (void)state;
    for (which = 0; which < 3; which++) {
        bench       b;
        vit_client *t;
        fixtures_make(&b);
        b.o.no_thread = true;
        b.o.audit = true;
        if (which == 0) b.w.otherwise.http_status = 503;
        refuser = bench_client(&b);
        if (which == 2) assert_int_equal(in_child(session_and_die, &b.o), 255);
        open_name = which == 1 ? "sent.ndjson" : strrchr(b.folder, '/');
        open_fn = rename_fn = refuse;
        open_turn = which;
        t = bench_client(&b);
        (void)track(t, "a");
        if (which > 0) sleep_ms(60);
        while (which > 0 && vit_pump(t)) {}
        rename_turn = which == 0;
        end(t);
        assert_int_equal(rename_turn + open_turn, 0);
        end(refuser);
        assert_string_equal(setting_of(b.path, "consent"), "denied");
        assert_int_equal(count_files(b.folder, "", NULL), 1);
        open_name = NULL;
        fixtures_free(&b);
    }
}

/* A second name for the folder changes nothing: what a killed process left goes with a refusal. */
static void test_refusal_in_a_folder_with_slashes(void **state)
{
    bench b;
    char  with_slashes[80], made[80], run[PATH_MAX + 32];
    (void)state;
    fixtures_make(&b);
    snprintf(made, sizeof made, "%s/run", b.folder);
    assert_int_equal(mkdir(made, 0700), 0);
    assert_non_null(realpath(made, run));
    setenv("XDG_RUNTIME_DIR", run, 1);
    assert_int_equal(in_child(session_and_die, &b.o), 255);
    snprintf(with_slashes, sizeof with_slashes, "%s//", b.folder);
    b.o.data_dir = with_slashes;
    assert_int_equal(in_child(deny_in_child, &b.o), 0);
    snprintf(run + strlen(run), 32, "/vitelemetry");
    assert_int_equal(count_files(run, "", NULL), 0);
    setenv("XDG_RUNTIME_DIR", folder_run(), 1);
    fixtures_free(&b);
}

static bench *newcomers;

static void refuse_first(void)
{
    no_links = false;
    (void)in_child(deny_in_child, &newcomers->o);
    no_links = true;
}

/* A first start does not write over what another one decided, also where there are no links. */
static void test_refusal_before_the_first_write(void **state)
{
    bench       b;
    vit_client *t;
    (void)state;
    fixtures_make(&b);
    newcomers = &b;
    no_links = true;
    open_name = ".conf";
    open_turn = 2; /* it has read that there is none, and is about to make one */
    open_fn = refuse_first;
    t = bench_client(&b);
    assert_int_equal(open_turn, 0);
    no_links = false;
    open_name = NULL;
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    fixtures_close(&b, t);
}

/* As another process that has the settings; vitp_os_release_folder ends it. */
static intptr_t hold_settings(const bench *b)
{
    bool     held;
    intptr_t hold = vitp_os_hold_folder(b->folder, VITP_HOLD_MS, &held);
    assert_true(hold != 0 && held);
    return hold;
}

/* A host that refuses erases the identity when another process has had the settings for too long,
   too. */
static void test_erased_in_the_end(void **state)
{
    bench       b;
    vit_client *t;
    intptr_t    hold;
    (void)state;
    fixtures_make(&b);
    end(bench_client(&b));
    assert_int_equal(strlen(setting_of(b.path, "hwid")), 36);
    hold = hold_settings(&b);
    b.o.consent = VIT_CONSENT_DENIED;
    t = vit_create(&b.o);
    vitp_os_release_folder(hold);
    assert_non_null(t);
    end(t);
    assert_int_equal(access(b.path, F_OK), -1);
    fixtures_free(&b);
}

/* Nothing but a refusal is written while another process holds the settings. */
static void test_grant_waits(void **state)
{
    bench       b;
    vit_client *t;
    intptr_t    hold;
    (void)state;
    t = fixtures_unasked(&b);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    hold = hold_settings(&b);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    vitp_os_release_folder(hold);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_NOT_SAVED), 1);
    assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_string_equal(setting_of(b.path, "consent"), "granted");
    fixtures_close(&b, t);
}

/* Nor is the list of what was sent, which the other may be about to remove. */
static void test_list_waits(void **state)
{
    bench       b;
    vit_client *t;
    char        list[128];
    intptr_t    hold;
    bool        sent;
    (void)state;
    fixtures_make(&b);
    b.o.audit = true;
    t = bench_client(&b);
    hold = hold_settings(&b);
    (void)track(t, "a");
    sent = vit_flush(t, 5000);
    vitp_os_release_folder(hold);
    assert_true(sent);
    assert_int_equal(wire_count(&b.w), 1);
    snprintf(list, sizeof list, "%s/sent.ndjson", b.folder);
    assert_false(file_exists(list));
    assert_int_equal(logs_of(&b.l, VIT_LOG_AUDIT_NOT_WRITTEN), 1);
    fixtures_close(&b, t);
}

/* A process that hangs while it holds the settings does not stop the user's refusal, and what says
   so to that process is gone with the next that looks. */
static void test_hold_is_not_for_ever(void **state)
{
    bench       b;
    vit_client *t;
    intptr_t    hold;
    uint64_t    begin_ms;
    (void)state;
    t = fixtures_open(&b);
    hold = hold_settings(&b);
    begin_ms = now_ms();
    vit_set_consent(t, VIT_CONSENT_DENIED);
    vitp_os_release_folder(hold);
    assert_true(now_ms() - begin_ms < 10000);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    assert_true(file_exists(refusal_file(&b)));
    end(t);
    end(bench_client(&b));
    assert_false(file_exists(refusal_file(&b)));
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    fixtures_free(&b);
}

/* ---- withdrawal while a request hangs -------------------------------------------------------- */

static uint32_t hanging, let_go; /* hanging: 1 from its begin, 2 from its end */

static vit_response hang(wire *w, const vit_request *r, size_t number)
{
    vit_response answer = { 201, 0 };
    uint64_t     end_ms = now_ms() + 2 * WAIT_MS;
    (void)w, (void)r, (void)number;
    __atomic_store_n(&hanging, 1u, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&let_go, __ATOMIC_SEQ_CST) && now_ms() < end_ms)
        sleep_ms(1); /* whatever is cancelled */
    __atomic_store_n(&hanging, 2u, __ATOMIC_SEQ_CST);
    return answer;
}

static void test_withdrawal_does_not_wait(void **state)
{
    bench       b;
    vit_client *t;
    char        pools[PATH_MAX + 64];
    uint64_t    begin_ns, took_us;
    size_t      queued, left, requests;
    vit_status  after;
    bool        denied, forgotten, hangs_still;
    unsigned    i;
    (void)state;
    fixtures_make(&b);
    fixture_run(&b, pools);
    b.o.no_thread = false;
    b.o.wire = VIT_WIRE_EVENT;
    b.o.flush_ms = 1;
    b.w.answer_fn = hang;
    hanging = let_go = 0;
    t = bench_client(&b);
    for (i = 0; i < 500; i++) (void)track(t, "x");
    WAIT_FOR(__atomic_load_n(&hanging, __ATOMIC_SEQ_CST) == 1u);
    begin_ns = vitp_os_now_ns();
    vit_set_consent(t, VIT_CONSENT_DENIED);
    took_us = (vitp_os_now_ns() - begin_ns) / 1000u;
    printf("withdrawn during a hanging request: %lu us\n", (unsigned long)took_us);
    requests = wire_count(&b.w);
    queued = vit_get_stats(t).queued;
    left = count_files(pools, "", NULL);
    after = track(t, "y");
    denied = strcmp(setting_of(b.path, "consent"), "denied") == 0;
    forgotten = !*setting_of(b.path, "hwid") && !*setting_of(b.path, "salt");
    hangs_still = __atomic_load_n(&hanging, __ATOMIC_SEQ_CST) == 1u;
    __atomic_store_n(&let_go, 1u, __ATOMIC_SEQ_CST);
    assert_false(vit_flush(t, 50));
    assert_true(vit_destroy(t, 2000));
    assert_true(took_us < 2000000u);
    assert_true(hangs_still);
    assert_int_equal(requests, 1);
    assert_int_equal(wire_count(&b.w), 1);
    assert_int_equal(queued, 0);
    assert_int_equal(left, 0);
    assert_true(denied);
    assert_true(forgotten);
    assert_int_equal(after, VIT_DISABLED);
    setenv("XDG_RUNTIME_DIR", folder_run(), 1);
    fixtures_free(&b);
}

static void *deny(void *client)
{
    vit_set_consent((vit_client *)client, VIT_CONSENT_DENIED);
    return NULL;
}

/* Nothing is recorded while a refusal waits for another process's hold on the settings. */
static void test_refusal_at_once(void **state)
{
    uint64_t best_ms = VITP_HOLD_MS;
    unsigned round;
    (void)state;
    for (round = 0; round < 20 && best_ms >= VITP_HOLD_MS / 2; round++) {
        bench       b;
        vit_client *t;
        intptr_t    hold;
        pthread_t   thread;
        uint64_t    begin_ms, ms;
        t = fixtures_open(&b);
        hold = hold_settings(&b);
        begin_ms = now_ms();
        assert_int_equal(pthread_create(&thread, NULL, deny, t), 0);
        while (track(t, "a") != VIT_DISABLED) sleep_ms(1);
        ms = now_ms() - begin_ms;
        if (ms < best_ms) best_ms = ms;
        assert_int_equal(pthread_join(thread, NULL), 0);
        vitp_os_release_folder(hold);
        fixtures_close(&b, t);
    }
    assert_true(best_ms < VITP_HOLD_MS / 2);
}

/* ---- what fails for a while ------------------------------------------------------------------ */

/* Limits a resource of this process; RLIM_INFINITY: as much as there may be. */
static void limit(int resource, rlim_t most)
{
    struct rlimit l;
    assert_int_equal(getrlimit((__typeof__(RLIMIT_NOFILE))resource, &l), 0);
    l.rlim_cur = most < l.rlim_max ? most : l.rlim_max;
    assert_int_equal(setrlimit((__typeof__(RLIMIT_NOFILE))resource, &l), 0);
}

static rlim_t limit_of(int resource)
{
    struct rlimit l;
    assert_int_equal(getrlimit((__typeof__(RLIMIT_NOFILE))resource, &l), 0);
    return l.rlim_cur;
}

/* No file can be opened: nothing leaves meanwhile, and nothing is taken for a refusal. */
static void test_no_descriptor(void **state)
{
    unsigned admin;
    (void)state;
    for (admin = 0; admin < 2; admin++) {
        rlim_t      files = limit_of(RLIMIT_NOFILE);
        bench       b;
        vit_client *t;
        char        hwid[64], list[128];
        fixtures_make(&b);
        snprintf(list, sizeof list, "%s/sent.ndjson", b.folder);
        b.o.audit = true;
        b.o.consent = VIT_CONSENT_UNKNOWN;
        if (admin) fixture_text(ETC "/vitelemetry.conf", "disabled = 0\n");
        t = bench_client(&b);
        vit_set_consent(t, VIT_CONSENT_GRANTED);
        assert_int_equal(track(t, "a"), VIT_OK);
        assert_true(vit_flush(t, 5000));
        snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
        assert_int_equal(track(t, "b"), VIT_OK);
        limit(RLIMIT_NOFILE, 0);
        assert_false(vit_flush(t, 200));
        limit(RLIMIT_NOFILE, files);
        assert_int_equal(wire_count(&b.w), 1);
        assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
        assert_int_equal(vit_get_stats(t).queued, 1);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(wire_count(&b.w), 2);
        assert_int_equal(wire_times(&b.w, hwid), 2);
        end(t);
        limit(RLIMIT_NOFILE, 0);
        t = vit_create(&b.o);
        limit(RLIMIT_NOFILE, files);
        if (t) {
            assert_gate(t, VIT_CONSENT_DENIED, admin ? VIT_GATE_ADMIN : VIT_GATE_SETTING);
            end(t);
        }
        assert_string_equal(setting_of(b.path, "hwid"), hwid);
        assert_string_equal(setting_of(b.path, "consent"), "granted");
        assert_int_equal(access(list, F_OK), 0);
        t = bench_client(&b);
        assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
        fixtures_close(&b, t);
    }
}

/* A refusal that cannot be written is one for the next start all the same: on a full disk there is
   room for an empty file, and without descriptors it is tried again. */
static void test_refusal_without_descriptors(void **state)
{
    rlim_t      files = limit_of(RLIMIT_NOFILE);
    bench       b;
    vit_client *t;
    (void)state;
    t = fixtures_open(&b);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    limit(RLIMIT_NOFILE, 0);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    limit(RLIMIT_NOFILE, files);
    end(t);
    assert_client(&b, 0, VIT_GATE_CONSENT);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    assert_string_equal(setting_of(b.path, "hwid"), "");
    fixtures_free(&b);
}

/* A file that could not be looked at is no other process's: the identity is this run's alone, the
   log says so, and nothing is kept for a next one, which has another. */
static void test_identity_without_descriptors(void **state)
{
    rlim_t   files = limit_of(RLIMIT_NOFILE);
    unsigned spare, stored = 0, granted = 0;
    (void)state;
    for (spare = 0; spare < 8; spare++) {
        bench       b;
        vit_client *t;
        bool        has;
        int         next;
        fixtures_make(&b);
        next = dup(0);
        close(next);
        limit(RLIMIT_NOFILE, (rlim_t)next + spare);
        t = vit_create(&b.o);
        limit(RLIMIT_NOFILE, files);
        assert_non_null(t);
        if (vit_get_consent(t, NULL) == VIT_CONSENT_GRANTED) {
            has = setting_of(b.path, "hwid")[0] != 0;
            assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_NOT_SAVED), !has);
            if (!has) assert_false(vit_get_stats(t).crash_surviving);
            granted++;
            stored += has;
            offline(&b);
            assert_int_equal(track(t, "a"), VIT_OK);
            (void)vit_flush(t, 100);
            assert_int_equal(vit_get_stats(t).spooled, has);
        }
        t = again(&b, t);
        assert_int_equal(vit_get_stats(t).dropped[VIT_DROP_CONSENT], 0);
        fixtures_close(&b, t);
    }
    assert_true(stored > 0 && stored < granted);
}

static void test_refusal_on_a_full_disk(void **state)
{
    rlim_t      bytes = limit_of(RLIMIT_FSIZE);
    bench       b;
    vit_client *t;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    t = fixtures_unasked(&b);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    assert_int_equal(strlen(setting_of(b.path, "hwid")), 36);
    limit(RLIMIT_FSIZE, 0);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    limit(RLIMIT_FSIZE, bytes);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_NOT_SAVED), 1);
    assert_int_equal(access(b.path, F_OK), -1);
    end(t);
    t = bench_client(&b);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    fixtures_close(&b, t);
}

/* A grant that could not be stored is good while the file says what it said then: another process's
   refusal counts. */
static void test_unsaved_grant(void **state)
{
    rlim_t      bytes = limit_of(RLIMIT_FSIZE);
    bench       b;
    vit_client *t;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    t = fixtures_unasked(&b);
    limit(RLIMIT_FSIZE, 0);
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    limit(RLIMIT_FSIZE, bytes);
    assert_int_equal(track(t, "a"), VIT_OK);
    assert_true(vit_flush(t, 5000));
    assert_int_equal(wire_count(&b.w), 1);
    assert_int_equal(in_child(deny_in_child, &b.o), 0);
    assert_int_equal(track(t, "b"), VIT_OK);
    assert_false(vit_flush(t, 1000));
    assert_int_equal(wire_count(&b.w), 1);
    assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_CONSENT);
    assert_string_equal(setting_of(b.path, "consent"), "denied");
    fixtures_close(&b, t);
}

/* What another process stores while a first client is made decides: a refusal, or a file without
   an identity, which gets one. */
static void test_faster_process(void **state)
{
    unsigned i;
    (void)state;
    for (i = 0; i < 2; i++) {
        bench       b;
        vit_client *t;
        fixtures_make(&b);
        link_text =
            i == 0 ? "consent = denied\nconsent_version = 2\n" : "telemetry_enabled = true\n";
        t = bench_client(&b);
        assert_null(link_text);
        assert_gate(t, i == 0 ? VIT_CONSENT_DENIED : VIT_CONSENT_GRANTED,
                    i == 0 ? VIT_GATE_CONSENT : VIT_GATE_NONE);
        assert_int_equal(track(t, "a"), i == 0 ? VIT_DISABLED : VIT_OK);
        assert_int_equal(vit_flush(t, 5000), i == 1);
        assert_int_equal(wire_count(&b.w), i);
        assert_int_equal(strlen(setting_of(b.path, "hwid")), i == 0 ? 0 : 36);
        fixtures_close(&b, t);
    }
}

/* The other process has an identity: it is ours, too. A half of one is none. */
static void test_faster_identity(void **state)
{
    static const char hwid[] = "11111111-2222-4333-8444-555555555555";
    static const char salt[] = "0123456789abcdef0123456789abcdef";
    unsigned          i;
    (void)state;
    for (i = 0; i < 3; i++) {
        bench         b;
        vit_client   *t;
        vit_event     e;
        char          text[200], sent[64], hex[17];
        unsigned char digest[32];
        fixtures_make(&b);
        snprintf(text, sizeof text, "consent = granted\nconsent_version = 2\n%s%s\n%s%s\n",
                 i == 1 ? "# " : "hwid = ", hwid, i == 2 ? "# " : "salt = ", salt);
        link_text = text;
        t = bench_client(&b);
        assert_null(link_text);
        assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
        assert_int_equal(track(t, "a"), VIT_OK);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(wire_times(&b.w, hwid), i == 0 ? 1 : 0);
        snprintf(sent, sizeof sent, "\"hwid\":\"%s\"", setting_of(b.path, "hwid"));
        assert_int_equal(wire_times(&b.w, sent), 1); /* what is stored is what is sent */
        assert_int_equal(strcmp(setting_of(b.path, "salt"), salt) == 0, i == 0);
        vit_event_begin(&e, t, "x", NULL);
        vit_add_hash(&e, "m", "value");
        assert_int_equal(vit_event_send(&e), VIT_OK);
        assert_true(vit_flush(t, 5000));
        snprintf(text, sizeof text, "value%s", setting_of(b.path, "salt"));
        vit_sha256(digest, text, strlen(text));
        vitp_text_hex(hex, digest, 8);
        snprintf(text, sizeof text, "\"m_hash\":\"%s\"", hex);
        assert_int_equal(wire_times(&b.w, text), 1); /* and so is the salt */
        assert_int_equal(strlen(setting_of(b.path, "salt")), 32);
        fixtures_close(&b, t);
    }
}

/* The identity goes, and a refusal stays: also where nothing can be written, then with the identity
   and a word in the log. */
static void test_refusal_outlives_identity(void **state)
{
    static const char identity[] = "hwid = 11111111-2222-4333-8444-555555555555\n"
                                   "salt = 0123456789abcdef0123456789abcdef\n";
    static const struct {
        const char *line, *name, *value; /* what is left of it */
        bool        refuses;
    } rows[] = {
        { "telemetry_enabled = false\n", "telemetry_enabled", "false", true },
        { "consent = denied\nconsent_version = 2\n", "consent", "denied", true },
        { "consent = granted\nconsent_version = 2\n", "consent", "granted", false },
        { "telemetry_enabled = perhaps\n", "telemetry_enabled", "false", true },
        { "consent = perhaps\n", "consent", "denied", true }, /* until the user decides anew */
    };
    rlim_t bytes = limit_of(RLIMIT_FSIZE);
    size_t i, full;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (full = 0; full < 2; full++)
        for (i = 0; i < COUNT_OF(rows); i++) {
            bench       b;
            vit_client *t;
            char        text[300];
            t = fixtures_open(&b);
            snprintf(text, sizeof text, "%s%s", rows[i].line, identity);
            file_write(b.path, text, strlen(text), 0600);
            if (full) limit(RLIMIT_FSIZE, 0);
            vitp_worker_remove_identity(t);
            limit(RLIMIT_FSIZE, bytes);
            assert_int_equal(file_exists(b.path), !full || rows[i].refuses);
            if (!full) assert_string_equal(setting_of(b.path, rows[i].name), rows[i].value);
            if (full && rows[i].refuses) assert_string_equal(file_read(b.path), text);
            if (!full) assert_string_equal(setting_of(b.path, "hwid"), "");
            assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_NOT_SAVED), 0);
            vit_purge(t); /* what was noted is told behind a call */
            assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_NOT_SAVED), full && rows[i].refuses);
            fixtures_close(&b, t);
        }
}

/* A new identity that could not be stored is the one that is sent. */
static void test_unsaved_identity(void **state)
{
    rlim_t      bytes = limit_of(RLIMIT_FSIZE);
    bench       b;
    vit_client *t;
    char        hwid[64], again[64];
    unsigned    i;
    (void)state;
    fixtures_make(&b);
    signal(SIGXFSZ, SIG_IGN);
    t = bench_client(&b);
    snprintf(hwid, sizeof hwid, "%s", setting_of(b.path, "hwid"));
    assert_true(hwid[0]);
    limit(RLIMIT_FSIZE, 0);
    unlink_fails = true; /* the old file stays */
    vit_reset_identity(t);
    unlink_fails = false;
    limit(RLIMIT_FSIZE, bytes);
    assert_string_equal(setting_of(b.path, "hwid"), hwid);
    snprintf(again, sizeof again, "%s", t->settings.hwid);
    assert_string_not_equal(again, hwid);
    for (i = 0; i < 2; i++) {
        assert_int_equal(track(t, "a"), VIT_OK);
        assert_true(vit_flush(t, 5000));
    }
    assert_int_equal(wire_times(&b.w, hwid), 0);
    assert_int_equal(wire_times(&b.w, again), 2);
    fixtures_close(&b, t);
}

/* ---- whose files ----------------------------------------------------------------------------- */

/* A grant that lies in a folder that others may write to may be theirs. */
static void test_settings_in_a_foreign_folder(void **state)
{
    static const char text[] = "consent = granted\nconsent_version = 2\n" IDENTITY;
    unsigned          i;
    (void)state;
    for (i = 0; i < 2; i++) {
        bench       b;
        vit_client *t;
        if (i == 1 && geteuid() != 0) break;
        fixtures_make(&b);
        file_write(b.path, text, sizeof text - 1, 0600);
        file_write(refusal_file(&b), "", 0, 0600);
        if (i == 0) assert_int_equal(chmod(b.folder, 0777), 0);
        if (i == 1) assert_int_equal(chown(b.folder, 65534, 65534), 0);
        t = bench_client(&b);
        assert_gate(t, VIT_CONSENT_DENIED, VIT_GATE_SETTING);
        assert_int_equal(logs_of(&b.l, VIT_LOG_SETTINGS_UNREADABLE), 1);
        vit_set_consent(t, VIT_CONSENT_GRANTED); /* for this run */
        assert_gate(t, VIT_CONSENT_GRANTED, VIT_GATE_NONE);
        assert_string_equal(file_read(b.path), text);
        assert_int_equal(track(t, "a"), VIT_OK);
        assert_true(vit_flush(t, 5000));
        assert_int_equal(wire_times(&b.w, "123e4567"), 0); /* nor is the identity */
        fixtures_close(&b, t);
    }
}

static int other_user_in_child(void *argument)
{
    vit_options *o = (vit_options *)argument;
    vit_gate     why = VIT_GATE_BUILD;
    vit_client  *t;
    int          bad = 0;
    setenv("DO_NOT_TRACK", "1", 1); /* of the caller's environment nothing is read */
    if (seteuid(65534) != 0) return 1;
    t = vit_create(o);
    if (!t) return 2;
    bad |= vit_get_consent(t, &why) != VIT_CONSENT_DENIED ? 4 : 0;
    bad |= why != VIT_GATE_SYSTEM ? 8 : 0;
    bad |= track(t, "a") != VIT_DISABLED || track_error(t, "a") != VIT_DISABLED ? 16 : 0;
    bad |= vitp_os_env("DO_NOT_TRACK") ? 32 : 0;
    (void)vit_destroy(t, 0);
    return bad;
}

/* A program that runs as another user than its caller. */
static void test_other_user(void **state)
{
    bench       b;
    vit_options o;
    (void)state;
    if (geteuid() != 0) skip();
    fixtures_make(&b);
    o = b.o;
    o.data_dir = "";
    memset(&o.logger, 0, sizeof o.logger);
    assert_int_equal(in_child(other_user_in_child, &o), 0);
    fixtures_free(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_admin_texts),
        cmocka_unit_test(test_admin_files),
        cmocka_unit_test(test_admin_not_trusted),
        cmocka_unit_test(test_admin_while_running),
        cmocka_unit_test(test_hint_texts),
        cmocka_unit_test(test_hint_files),
        cmocka_unit_test(test_hints_add_up),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_kinds_in_the_queue),
        cmocka_unit_test(test_kinds_adopted),
        cmocka_unit_test(test_kinds_unknown),
        cmocka_unit_test(test_policy_product),
        cmocka_unit_test(test_policy_level),
        cmocka_unit_test(test_policy_reports),
        cmocka_unit_test(test_dconf),
        cmocka_unit_test(test_dconf_hostile),
        cmocka_unit_test(test_dconf_file),
        cmocka_unit_test(test_dconf_in_little_memory),
        cmocka_unit_test(test_plist_xml),
        cmocka_unit_test(test_plist_binary),
        cmocka_unit_test(test_plist_count),
        cmocka_unit_test(test_plist_cut),
        cmocka_unit_test(test_plist_hostile),
        cmocka_unit_test(test_plist_hint),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_version_elsewhere),
        cmocka_unit_test(test_denied_by_another_process),
        cmocka_unit_test(test_undecided_by_another_process),
        cmocka_unit_test(test_refusal_is_not_lost),
        cmocka_unit_test(test_refusal_amid_writing),
        cmocka_unit_test(test_refusal_amid_a_death),
        cmocka_unit_test(test_refusal_amid_events),
        cmocka_unit_test(test_refusal_in_a_folder_with_slashes),
        cmocka_unit_test(test_refusal_before_the_first_write),
        cmocka_unit_test(test_erased_in_the_end),
        cmocka_unit_test(test_grant_waits),
        cmocka_unit_test(test_list_waits),
        cmocka_unit_test(test_hold_is_not_for_ever),
        cmocka_unit_test(test_withdrawal_does_not_wait),
        cmocka_unit_test(test_refusal_at_once),
        cmocka_unit_test(test_no_descriptor),
        cmocka_unit_test(test_refusal_without_descriptors),
        cmocka_unit_test(test_identity_without_descriptors),
        cmocka_unit_test(test_refusal_on_a_full_disk),
        cmocka_unit_test(test_unsaved_grant),
        cmocka_unit_test(test_faster_process),
        cmocka_unit_test(test_faster_identity),
        cmocka_unit_test(test_refusal_outlives_identity),
        cmocka_unit_test(test_unsaved_identity),
        cmocka_unit_test(test_settings_in_a_foreign_folder),
        cmocka_unit_test(test_other_user),
    };
    environment_clear();
    return cmocka_run_group_tests_name("gates", tests, NULL, NULL);
}
