/* curl.c: libcurl, with what a real program adds to hello.c: batches, a key, a log, and an eye on
   what goes out: curl [ENDPOINT]

   Build: cc -std=c99 -I. examples/curl.c -o curl -pthread -lcurl
   Run:   ./curl http://127.0.0.1:8080/api/v1/telemetry */

#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_CURL
#include "vitelemetry.h"

#include <stdio.h>

/* Around the default transport: vit_curl_send does the POST, this looks on. Proxy and certificates
   are those of libcurl: https_proxy and SSL_CERT_FILE in the environment. */
static vit_response watch(const vit_request *request, void *handles)
{
    vit_response response = vit_curl_send(request, handles);
    printf("POST %s: %lu bytes, status %d\n", request->url, (unsigned long)request->body_size,
           response.http_status);
    return response;
}

/* Each item comes once; its text says what to do. */
static void print(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)item, (void)user;
    printf("%s: %s\n", level == VIT_LOG_LEVEL_ERROR ? "error" : "telemetry", text);
}

int main(int argc, char **argv)
{
    vit_options options = { 0 };
    vit_client *t;
    void       *handles = NULL; /* libcurl's: the connection is kept between requests */
    bool        done;
    int         i;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry";
    options.app_version = "1.4.0";
    options.client_type = "curl-example";
    options.telemetry_key = "not-a-secret"; /* X-Telemetry-Key: keeps strangers' noise out */
    options.consent = VIT_CONSENT_GRANTED;
    options.wire = VIT_WIRE_ARRAY; /* up to 100 events a request */
    options.transport.send_fn = watch;
    options.transport.user = &handles;
    options.logger.log_fn = print;
    t = vit_create(&options);
    if (!t) return 1;
    for (i = 0; i < 10; i++)
        vit_track_feature_toggled(
            t, &(vit_feature_toggled){ .feature_name = "dark_mode", .new_value = i % 2 == 0 });
    vit_flush(t, 2000);
    printf("delivered %lu\n", (unsigned long)vit_get_stats(t).delivered);
    done = vit_destroy(t, 2000);
    if (done) vit_curl_send(NULL, &handles); /* frees them, behind the client */
    return done ? 0 : 1;
}
