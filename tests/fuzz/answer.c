/* answer.c: what a server sends back: examples/http.c reads any bytes, in pieces of any size, and
   the client reads any reply to a request by OTLP (partialSuccess). And examples/http.c on any
   URL. The first byte chooses. */

#include "header.h"
#include "examples/http.c"

enum {
    ANSWER_REPLY = 1,
    ANSWER_PARTIAL = 2,
    ANSWER_URL = 4
};

static struct {
    char text[VITP_REPLY_MAX], guard[FUZZ_GUARD];
} answer_reply;
static struct {
    char text[HTTP_ANSWER_SIZE], guard[FUZZ_GUARD];
} answer_in;

/* As http_read puts it together. */
static void answer_http(fuzz_feed *f, bool wants_reply)
{
    vit_request  request;
    vit_response response;
    size_t       size = 0, piece = fuzz_u8(f) + 1u, n;
    char        *text;
    memset(&request, 0, sizeof request);
    request.reply = wants_reply ? answer_reply.text : NULL;
    request.reply_size = wants_reply ? 1u + fuzz_u16(f) % VITP_REPLY_MAX : 0;
    answer_reply.text[0] = 0;
    answer_in.text[HTTP_ANSWER_SIZE - 1] = 0;
    n = f->left < HTTP_ANSWER_SIZE - 1 ? f->left : HTTP_ANSWER_SIZE - 1;
    text = answer_in.text + HTTP_ANSWER_SIZE - 1 - n; /* its NUL is the last byte */
    text[0] = 0;
    while (f->left > 0 && size < n && !http_complete(&request, text)) {
        if (piece > n - size) piece = n - size;
        fuzz_take(f, text + size, piece);
        size += piece;
        text[size] = 0;
        size = http_skip_interim(text, size);
    }
    response = http_answer(&request, text);
    demand(response.http_status == 0 || (response.http_status >= 200 && response.http_status < 600),
           "a final status, or none");
    demand(response.retry_after_s <= 86400, "no longer than a day");
    demand(!wants_reply || memchr(answer_reply.text, 0, request.reply_size) != NULL,
           "the reply ends within its room");
}

/* A reply that says how many were refused, in one of the ways that JSON has. */
static size_t answer_partial(fuzz_feed *f, char *out, size_t room)
{
    static const char *const blanks[] = { "", " ", "\t", " \r\n " };
    unsigned                 what = fuzz_u8(f);
    size_t                   n = (size_t)(what & 64u ? fuzz_u64(f) : fuzz_u8(f));
    const char              *quote = what & 1u ? "\"" : "";
    snprintf(out, room, "{\"partialSuccess\":{%s\"rejectedLogRecords\"%s:%s%s%llu%s%s}}",
             what & 2u ? "\"errorMessage\":\"no\"," : "", blanks[what >> 2 & 3u],
             blanks[what >> 4 & 3u], quote, (unsigned long long)n, quote,
             what & 128u ? ",\"errorMessage\":\"3\"" : "");
    return n;
}

static void answer_otlp(fuzz_feed *f, bool made)
{
    static vit_client client;
    size_t            refused, wanted = 0, n = VITP_REPLY_MAX - 1;
    client.form = VIT_WIRE_OTLP;
    client.batch.events = 1u + fuzz_u8(f);
    memset(client.reply, 0, sizeof client.reply);
    if (made) wanted = answer_partial(f, client.reply, sizeof client.reply);
    else memcpy(client.reply, fuzz_bytes(f, &n), n);
    refused = vitp_worker_refused(&client);
    demand(refused <= client.batch.events, "not more were refused than sent");
    if (wanted > client.batch.events) wanted = client.batch.events;
    demand(!made || refused == wanted, "as many as it says");
    client.form = VIT_WIRE_NDJSON;
    demand(vitp_worker_refused(&client) == 0, "another server says nothing of the kind");
}

static void answer_url(fuzz_feed *f)
{
    static char text[257];
    http_url    url;
    size_t      n = sizeof text - 1;
    memcpy(text, fuzz_bytes(f, &n), n);
    text[n] = 0;
    if (!http_parse(&url, text)) return;
    demand(strlen(url.host) > 0 && strlen(url.host) < sizeof url.host, "a host");
    demand(strlen(url.port) > 0 && strlen(url.port) < sizeof url.port, "a port");
    demand(url.authority > text && url.path >= url.authority && url.path <= text + strlen(text),
           "its parts lie in it");
    demand(!strpbrk(text, " \r\n\t"), "nothing that ends a line");
}

static void fuzz_answer(const uint8_t *data, size_t size)
{
    fuzz_feed f = { data, size };
    unsigned  what = fuzz_u8(&f);
    fuzz_guard(answer_reply.guard);
    fuzz_guard(answer_in.guard);
    if (what & ANSWER_URL) answer_url(&f);
    else if (what & ANSWER_PARTIAL) answer_otlp(&f, (what & ANSWER_REPLY) != 0);
    else answer_http(&f, (what & ANSWER_REPLY) != 0);
    fuzz_guarded(answer_reply.guard);
    fuzz_guarded(answer_in.guard);
}

FUZZ_TARGET(answer)
