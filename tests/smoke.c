/* smoke.c: for every toolchain: one client, one member of each kind, and what arrives. No test
   library; C99 and C++11; prints "smoke: ok" or what is wrong.

   Build:   cc -std=c99 -I. tests/smoke.c -o build/tests/smoke -pthread
            and with -DVITELEMETRY_NO_THREADS, -DVITELEMETRY_NO_FILES or -DVITELEMETRY_STATIC; as
            C++ by c++ -std=c++11 -x c++ */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <string.h>

#define APP_EVERYTHING(X)                                                          \
    X(VIT_LABEL, label)                                                            \
    X(VIT_TEXT, text)                                                              \
    X(VIT_HASH, host) X(VIT_GROUP, team) X(VIT_ROW, record) X(VIT_TRACE, trace)    \
        X(VIT_FRAME, frame) X(VIT_FILE, file) X(VIT_INT, whole) X(VIT_REAL, share) \
            X(VIT_FLAG, flag) X(VIT_MS, took_ms) X(VIT_UUID, uuid)
VIT_EVENT_DECLARE(everything, APP_EVERYTHING);
VIT_EVENT_DEFINE(everything, "every.thing", 1.0, APP_EVERYTHING)

static char     bodies[8][4096]; /* of the requests, with a NUL */
static unsigned requests, failures;

static vit_response keep(const vit_request *request, void *user)
{
    vit_response answer = { 201, 0 };
    (void)user;
    if (requests < 8 && request->body_size < sizeof bodies[0])
        memcpy(bodies[requests], request->body, request->body_size);
    requests++;
    return answer;
}

static void check(int good, const char *what)
{
    if (good) return;
    failures++;
    printf("smoke: %s\n", what);
}

#define CHECK(condition) check((condition) ? 1 : 0, #condition)
#define HAS(body, text)  check(strstr(bodies[body], text) != NULL, "no " text)

static unsigned not_built; /* how often the log said that there is no crash handler */

static void note(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)text, (void)user;
    if (item == VIT_LOG_CRASH_NOT_BUILT) not_built++;
}

static vit_client *client(void)
{
    vit_options o;
    memset(&o, 0, sizeof o);
    o.endpoint = "http://127.0.0.1:9/";
    o.data_dir = "";
    o.group_salt = "salt";
    o.consent = VIT_CONSENT_VERBOSE;
    o.allow_in_ci = true;
    o.transport.send_fn = keep;
    o.logger.log_fn = note;
    o.crash_handler = true;
    return vit_create(&o);
}

static void track_declared(vit_client *t)
{
    vit_everything e;
    memset(&e, 0, sizeof e);
    e.label = "csv";
    e.text = "mail bob@example.com now";
    e.host = "db.example.com";
    e.team = "team";
    e.record = "record";
    e.trace = "/home/bob/src/x.c:14";
    e.frame = "main.c:run";
    e.file = "/home/bob/data.csv";
    e.whole = -5;
    e.share = 0.5;
    e.flag = true;
    e.took_ms = 250;
    e.uuid = "123e4567-e89b-42d3-a456-426614174000";
#ifdef __cplusplus
    CHECK(vit_track(t, e) == VIT_OK);
#else
    CHECK(vit_track_everything(t, &e) == VIT_OK);
#endif
}

static void track_others(vit_client *t)
{
    vit_op              op = vit_op_begin();
    vit_feature_toggled toggled;
    vit_event           e;
    memset(&toggled, 0, sizeof toggled);
    toggled.op = &op;
    toggled.feature_name = "dark_mode";
    CHECK(vit_track_feature_toggled(t, &toggled) == VIT_OK);
    vit_event_begin(&e, t, "file.opened", &op);
    vit_add_label(&e, "format", "csv");
    vit_add_int(&e, "size_kb", 12);
    vit_add_real(&e, "most", 9007199254740991.0);
    CHECK(vit_event_send(&e) == VIT_OK);
    CHECK(vit_event_send(&e) == VIT_INVALID);
    CHECK(vit_fail(t, &op, "ImportFailed", "import", -12345) == -12345);
}

static void check_bodies(void)
{
    HAS(0, "{\"hwid\":\"");
    HAS(0, "\"event_name\":\"every.thing\",\"app_version\":\"0.0.0\",\"client_type\":\"vector-"
           "inspector\"");
    HAS(0, "\"metadata\":{\"label\":\"csv\",\"text\":\"mail [email] now\",\"host_hash\":\"");
    HAS(0, "\",\"team_hash\":\"");
    HAS(0, "\",\"record_hash\":\"");
    HAS(0, "\",\"trace\":\"x.c:14\",\"error_hash\":\"");
    HAS(0, "\",\"file\":\"data.csv\",\"whole\":-5,\"share\":0.5,\"flag\":true,\"took_ms\":250,");
    HAS(0, "\"uuid\":\"123e4567-e89b-42d3-a456-426614174000\"}}");
    CHECK(strstr(bodies[0], "bob") == NULL);
    CHECK(strstr(bodies[0], "db.example") == NULL);
    HAS(1,
        "\"metadata\":{\"feature_name\":\"dark_mode\",\"new_value\":false,\"correlation_id\":\"");
    HAS(2, "\"event_name\":\"file.opened\"");
    HAS(2, "\"metadata\":{\"format\":\"csv\",\"size_kb\":12,\"most\":9007199254740991,"
           "\"correlation_id\":\"");
    HAS(3, "\"event_name\":\"ImportFailed\"");
    HAS(3, "\"error_code\":\"-12345\"");
    CHECK(bodies[0][strlen(bodies[0]) - 1] == '}');
}

int main(void)
{
    vit_client *t = client();
    vit_stats   stats;
    char        hash[17];
    vit_gate    why = VIT_GATE_NONE;
    CHECK(t != NULL);
    CHECK(vit_get_consent(t, &why) == VIT_CONSENT_VERBOSE);
    CHECK(why != VIT_GATE_ENVIRONMENT); /* unset DO_NOT_TRACK to run this */
    track_declared(t);
    track_others(t);
    CHECK(vit_flush(t, 20000));
    while (vit_pump(t)) {}
    stats = vit_get_stats(t);
    CHECK(stats.accepted == 4 && stats.delivered == 4 && stats.queued == 0);
    CHECK(vit_destroy(t, 1000));
    CHECK(requests == 4);
    check_bodies();
    vit_error_hash(hash, "T", "m 1", "f");
    CHECK(strlen(hash) == 16);
    CHECK(vit_should_sample("e", 1.0, "s") && !vit_should_sample("e", 0.0, "s"));
    CHECK(strcmp(vit_version(), VITELEMETRY_VERSION) == 0);
    CHECK(vit_track_feature_toggled(NULL, NULL) == VIT_DISABLED);
#ifdef VITELEMETRY_NO_CRASH
    CHECK(not_built == 1);
#else
    CHECK(not_built == 0);
#endif
    if (failures == 0) printf("smoke: ok\n");
    return failures ? 1 : 0;
}
