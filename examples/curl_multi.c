/* curl_multi.c: a transport that never waits, by libcurl's multi interface: #include it behind
   vitelemetry.h, as pump.c does. While the answer is not here it says VIT_HTTP_PENDING, and the
   same request is offered again at the next step, and in vit_destroy for the last time. */

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

typedef struct transfer {
    CURLM             *multi;
    CURL              *post;
    struct curl_slist *lines;
} transfer;

static size_t ignore(char *p, size_t size, size_t n, void *user)
{
    return (void)p, (void)user, size * n;
}

static void begin(transfer *x, const vit_request *request)
{
    char        line[1024];
    const char *at = request->headers; /* CRLF lines: X-Telemetry-Key, Idempotency-Key */
    snprintf(line, sizeof line, "Content-Type: %s", request->content_type);
    x->lines = curl_slist_append(NULL, line);
    for (; *at; at += strcspn(at, "\n") + 1) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\r"), at);
        x->lines = curl_slist_append(x->lines, line);
    }
    x->multi = curl_multi_init();
    x->post = curl_easy_init();
    curl_easy_setopt(x->post, CURLOPT_URL, request->url);
    curl_easy_setopt(x->post, CURLOPT_HTTPHEADER, x->lines);
    curl_easy_setopt(x->post, CURLOPT_POSTFIELDSIZE, (long)request->body_size);
    curl_easy_setopt(x->post, CURLOPT_COPYPOSTFIELDS, request->body);
    curl_easy_setopt(x->post, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(x->post, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(x->post, CURLOPT_WRITEFUNCTION, ignore);
    curl_multi_add_handle(x->multi, x->post);
}

/* As vit_transport.send_fn. user: a transfer, which is all zero between two requests. */
static vit_response multi_send(const vit_request *request, void *user)
{
    transfer    *x = (transfer *)user;
    vit_response answer = { VIT_HTTP_PENDING, 0 };
    int          running = 0, left;
    long         status = 0;  /* no answer, or one that was cut off */
    curl_off_t   pause_s = 0; /* Retry-After */
    CURLMsg     *end;
    if (!x->multi) begin(x, request);
    curl_multi_perform(x->multi, &running);
    if (running && !vit_request_cancelled(request)) return answer;
    end = curl_multi_info_read(x->multi, &left);
    if (end && end->data.result == CURLE_OK) {
        curl_easy_getinfo(x->post, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(x->post, CURLINFO_RETRY_AFTER, &pause_s);
    }
    curl_multi_remove_handle(x->multi, x->post);
    curl_easy_cleanup(x->post);
    curl_multi_cleanup(x->multi);
    curl_slist_free_all(x->lines);
    memset(x, 0, sizeof *x);
    answer.http_status = (int)status;
    answer.retry_after_s = pause_s < 86400 ? (uint32_t)pause_s : 86400u; /* a day at most */
    return answer;
}
