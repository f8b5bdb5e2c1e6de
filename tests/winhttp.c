/* winhttp.c: the transport by WinHTTP against a server of its own on the loopback interface. For
   Windows, or wine; one line a check, then `N passed, N failed`.

   Usage: winhttp                     all that needs nothing else
          winhttp tls PORT [trusted]  https at localhost:PORT, by a certificate of its own
          winhttp resolver            the system's resolver asks 127.0.0.2, which never answers

   Build: x86_64-w64-mingw32-gcc -std=c99 -I. tests/winhttp.c -o winhttp.exe -static -lwinhttp \
              -lws2_32 */

#include <winsock2.h>
#include <windows.h>
#include <winhttp.h>
#include <ws2tcpip.h>

#include <stdlib.h>

/* What the transport opens and takes is counted. The memory that it gives back is kept, to see that
   nobody writes to it later. */
static long open_handles;
/* Before Windows 8.1 the system's proxies cannot be asked for. What is set is noted. */
static BOOL  old_system;
static DWORD set_protocols;
static BOOL  set_option(HINTERNET handle, DWORD option, void *value, DWORD size)
{
    if (option == WINHTTP_OPTION_SECURE_PROTOCOLS) set_protocols = *(const DWORD *)value;
    return WinHttpSetOption(handle, option, value, size);
}
#define WinHttpSetOption set_option
#define WinHttpOpen(a, b, c, d, e) \
    opened(old_system && (b) == 4u ? NULL : WinHttpOpen(a, b, c, d, e))
#define WinHttpConnect(a, b, c, d)              opened(WinHttpConnect(a, b, c, d))
#define WinHttpOpenRequest(a, b, c, d, e, f, g) opened(WinHttpOpenRequest(a, b, c, d, e, f, g))
#define WinHttpCloseHandle(handle)              (open_handles--, WinHttpCloseHandle(handle))
static HINTERNET opened(HINTERNET handle)
{
    if (handle) open_handles++;
    return handle;
}

static long  live;
static void *take(size_t size);
static void  give(void *memory);
#define malloc take
#define free   give
#define VITELEMETRY_WINHTTP
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "check.h"
#undef malloc
#undef free

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GIVEN_MAX 1024
static size_t *given[GIVEN_MAX]; /* each begins with its size */
static long    given_count;

static void *take(size_t size)
{
    size_t *block = (size_t *)malloc(16 + size);
    if (!block) exit(2);
    InterlockedIncrement(&live);
    block[0] = size;
    return (char *)block + 16;
}

static void give(void *memory)
{
    size_t *block;
    long    i;
    if (!memory) return;
    block = (size_t *)(void *)((char *)memory - 16);
    memset(memory, 0xDD, block[0]);
    i = InterlockedIncrement(&given_count) - 1;
    if (i < GIVEN_MAX) given[i] = block;
    InterlockedDecrement(&live);
}

static bool is_untouched(const size_t *block)
{
    const unsigned char *bytes = (const unsigned char *)block + 16;
    size_t               i;
    for (i = 0; i < block[0] && bytes[i] == 0xDD; i++) {}
    return i == block[0];
}

static uint32_t now_ms(void) { return (uint32_t)(vitp_os_now_ns() / VITP_MS); }

/* ---- the server: what it does with a request is in its path --------------------------------- */

static unsigned short port;
static LONG           connections, followed;
static uint32_t       over;        /* who hangs lets go */
static char           seen[65536]; /* the last request; written before its answer */

static bool put(SOCKET s, const char *data, size_t size)
{
    while (size > 0) {
        int n = send(s, data, size < 65536 ? (int)size : 65536, 0);
        if (n <= 0) return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static bool say(SOCKET s, const char *text) { return put(s, text, strlen(text)); }

static size_t content_length(const char *head)
{
    static const char name[] = "\r\ncontent-length:";
    size_t            i;
    for (; *head; head++) {
        for (i = 0; name[i] && vitp_text_lower(head[i]) == name[i]; i++) {}
        if (!name[i]) return (size_t)atoi(head + i);
    }
    return 0;
}

/* Reads a request and puts it into `seen`. False: the client has gone. */
static bool hear(SOCKET s)
{
    char        request[sizeof seen];
    size_t      used = 0, all = 0;
    const char *end;
    while (all == 0 || used < all) {
        int n = recv(s, request + used, (int)(sizeof request - 1 - used), 0);
        if (n <= 0) return false;
        used += (size_t)n;
        request[used] = 0;
        end = all == 0 ? strstr(request, "\r\n\r\n") : NULL;
        if (end) all = (size_t)(end - request) + 4 + content_length(request);
    }
    memcpy(seen, request, used + 1);
    return true;
}

/* Until the end of the run, whatever the client does. */
static void hang(void)
{
    while (!VITP_ATOMIC_LOAD(&over)) Sleep(50);
}

static void drip(SOCKET s, const char *text)
{
    int i;
    for (; *text && put(s, text, 1); text++)
        for (i = 0; i < 20 && !VITP_ATOMIC_LOAD(&over); i++) Sleep(50);
}

static void reset(SOCKET s)
{
    struct linger hard = { 1, 0 };
    setsockopt(s, SOL_SOCKET, SO_LINGER, (const char *)&hard, sizeof hard);
}

static void many_headers(SOCKET s)
{
    char line[64];
    int  i;
    say(s, "HTTP/1.1 200 OK\r\n");
    for (i = 0; i < 100; i++) {
        snprintf(line, sizeof line, "X-Header-%d: value of %d\r\n", i, i);
        say(s, line);
    }
    say(s, "Retry-After: 3\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
}

/* n bytes between two texts; it ends when the client closes. */
static void flood(SOCKET s, const char *before, size_t n, const char *after)
{
    static char block[65536];
    memset(block, 'x', sizeof block);
    say(s, before);
    for (; n > 0 && put(s, block, n < sizeof block ? n : sizeof block);
         n -= n < sizeof block ? n : sizeof block) {}
    say(s, after);
}

#define KEPT 11u
static const struct {
    const char *path, *answer;
} rows[] = {
    /* the first KEPT ones leave the connection as it should be */
    { "/200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" },
    { "/201", "HTTP/1.1 201 Created\r\nContent-Length: 11\r\n\r\nhello world" },
    { "/empty", "HTTP/1.1 204 No Content\r\n\r\n" },
    { "/429", "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n" },
    { "/503", "HTTP/1.1 503 Away\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n"
              "Content-Length: 0\r\n\r\n" },
    { "/odd", "HTTP/1.1 503 Away\r\nRetry-After: 99999999999999999999999999999999999999999999"
              "9999999999999999999999999999\r\nContent-Length: 0\r\n\r\n" },
    { "/302", "HTTP/1.1 302 Found\r\nLocation: /followed\r\nContent-Length: 0\r\n\r\n" },
    { "/307", "HTTP/1.1 307 Again\r\nLocation: /followed\r\nContent-Length: 0\r\n\r\n" },
    { "/401", "HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n"
              "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n" },
    { "/cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: id=1; Path=/\r\nContent-Length: 0\r\n\r\n" },
    { "/chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n" },
    { "/long", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more than it said" },
    { "/short", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this" },
    { "/minus", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nonly this" },
    { "/big", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nonly this" },
    { "/garbage", "220 mail.example.com ESMTP\r\n\r\n" },
    { "/nothing", "" },
};

static bool is_path(const char *path)
{
    size_t size = strlen(path);
    return strncmp(seen, "POST ", 5) == 0 && strncmp(seen + 5, path, size) == 0 &&
           (seen[5 + size] == ' ' || seen[5 + size] == '?');
}

/* True: the connection is kept. */
static bool answer(SOCKET s)
{
    size_t i;
    if (strstr(seen, "/followed")) InterlockedIncrement(&followed);
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (is_path(rows[i].path)) return say(s, rows[i].answer) && i < KEPT;
    if (is_path("/hang")) hang();
    if (is_path("/drip")) drip(s, rows[0].answer);
    if (is_path("/drip-body")) {
        say(s, "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
        drip(s, "one byte a second, one byte a second, one byte a second, one");
    }
    if (is_path("/reset")) reset(s);
    if (is_path("/headers")) many_headers(s);
    if (is_path("/header"))
        flood(s, "HTTP/1.1 200 OK\r\nX-Huge: ", 4u << 20, "\r\nContent-Length: 0\r\n\r\n");
    if (is_path("/endless")) flood(s, "HTTP/1.1 200 OK\r\n\r\n", 1u << 30, "");
    return false;
}

static DWORD WINAPI serve_one(void *argument)
{
    SOCKET s = (SOCKET)(uintptr_t)argument;
    while (hear(s) && answer(s)) {}
    closesocket(s);
    return 0;
}

static DWORD WINAPI serve(void *argument)
{
    SOCKET listener = (SOCKET)(uintptr_t)argument, s;
    while ((s = accept(listener, NULL, NULL)) != INVALID_SOCKET) {
        InterlockedIncrement(&connections);
        CloseHandle(CreateThread(NULL, 0, serve_one, (void *)(uintptr_t)s, 0, NULL));
    }
    return 0;
}

/* A socket on a port of the system's choice, which is put into *at. */
static SOCKET listen_at(unsigned short *at)
{
    struct sockaddr_in address;
    int                size = sizeof address;
    SOCKET             s = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(s, (struct sockaddr *)&address, sizeof address) != 0 || listen(s, 16) != 0 ||
        getsockname(s, (struct sockaddr *)&address, &size) != 0)
        exit(2);
    *at = ntohs(address.sin_port);
    return s;
}

/* ---- one request ----------------------------------------------------------------------------- */

static char     reply[64];
static uint32_t took_ms, wanted = VITP_CANCEL_FREE;
static void    *kept;

static vit_response ask(const char *url, uint32_t timeout_ms, const char *body, size_t size)
{
    vit_request  r;
    vit_response response;
    uint32_t     begin = now_ms();
    memset(&r, 0, sizeof r);
    memset(reply, '?', sizeof reply);
    r.url = url;
    r.content_type = "application/json";
    r.headers = "X-Telemetry-Key: open sesame\r\nIdempotency-Key: 0123456789abcdef\r\n";
    r.body = body;
    r.body_size = size;
    r.timeout_ms = timeout_ms;
    r.reply = reply;
    r.reply_size = sizeof reply;
    r.vitp_cancel = &wanted;
    response = vit_winhttp_send(&r, &kept);
    took_ms = now_ms() - begin;
    return response;
}

static vit_response get(const char *path, uint32_t timeout_ms)
{
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)port, path);
    return ask(url, timeout_ms, "{\"a\":1}", 7);
}

static bool is(vit_response r, int status, uint32_t retry_after_s)
{
    return r.http_status == status && r.retry_after_s == retry_after_s;
}

static bool replied(const char *text) { return strcmp(reply, text) == 0; }

#define SHOW(r) (r).http_status, (unsigned)(r).retry_after_s, (unsigned)took_ms
#define SHOWN   " (status %d, retry after %u, %u ms)"

static void expect(const char *path, int status, uint32_t retry_after_s)
{
    vit_response r = get(path, 5000);
    check(is(r, status, retry_after_s), "%s" SHOWN, path, SHOW(r));
}

/* ---- answers --------------------------------------------------------------------------------- */

static void test_answers(void)
{
    vit_response r = get("/200", 5000);
    check(is(r, 200, 0) && replied("ok"), "/200" SHOWN, SHOW(r));
    r = get("/201", 5000);
    check(is(r, 201, 0) && replied("hello world"), "/201" SHOWN, SHOW(r));
    r = get("/empty", 5000);
    check(is(r, 204, 0) && replied(""), "/empty" SHOWN, SHOW(r));
    check(InterlockedCompareExchange(&connections, 0, 0) == 1, "one connection for all three");
    expect("/429", 429, 7);
    expect("/503", 503, 86400);
    expect("/odd", 503, 0); /* longer than any date or number of seconds */
    expect("/302", 302, 0);
    expect("/307", 307, 0);
    check(followed == 0, "no redirect was followed");
    expect("/401", 401, 0);
    check(!strstr(seen, "uthorization"), "no log-in was sent");
    r = get("/chunks", 5000);
    check(is(r, 200, 0) && replied("abcdefg"), "/chunks" SHOWN, SHOW(r));
}

static void test_request(void)
{
    vit_response r = get("/cookie", 5000);
    check(is(r, 200, 0), "/cookie" SHOWN, SHOW(r));
    r = get("/200?a=b%20c&d=%2F#part", 5000);
    check(is(r, 200, 0), "path with query and fragment" SHOWN, SHOW(r));
    check(strncmp(seen, "POST /200?a=b%20c&d=%2F HTTP/1.1\r\n", 34) == 0, "it is sent as it is");
    check(strstr(seen, "\r\nContent-Type: application/json\r\n") != NULL, "content type");
    check(strstr(seen, "\r\nX-Telemetry-Key: open sesame\r\n") != NULL &&
              strstr(seen, "\r\nIdempotency-Key: 0123456789abcdef\r\n") != NULL,
          "the caller's headers");
    check(strstr(seen, "\r\nContent-Length: 7\r\n") != NULL && strstr(seen, "\r\n\r\n{\"a\":1}"),
          "body and its length");
    check(!strstr(seen, "Cookie") && !strstr(seen, "User-Agent") && !strstr(seen, "Accept"),
          "no cookie, no agent, nothing that was not asked for");
}

static void test_urls(void)
{
    char         url[4096];
    vit_response r;
    snprintf(url, sizeof url, "http://bob:secret@127.0.0.1:%u?q", (unsigned)port);
    r = ask(url, 3000, "x", 1);
    check(strncmp(seen, "POST /?q HTTP/1.1\r\n", 19) == 0, "no path is /" SHOWN, SHOW(r));
    check(!strstr(seen, "bob") && !strstr(seen, "uthorization"), "name and password stay here");
    r = ask("ftp://127.0.0.1/200", 3000, "x", 1);
    check(is(r, 0, 0), "ftp" SHOWN, SHOW(r));
    r = ask("file:///c:/windows/win.ini", 3000, "x", 1);
    check(is(r, 0, 0), "file" SHOWN, SHOW(r));
    r = ask("", 3000, "x", 1);
    check(is(r, 0, 0), "no URL" SHOWN, SHOW(r));
    r = ask("http://", 3000, "x", 1);
    check(is(r, 0, 0), "no host" SHOWN, SHOW(r));
    memset(url, 'a', sizeof url - 1);
    url[sizeof url - 1] = 0;
    memcpy(url, "http://127.0.0.1/", 17);
    r = ask(url, 3000, "x", 1);
    check(is(r, 0, 0), "a URL of 4095 characters" SHOWN, SHOW(r));
    memcpy(url, "http://aaaaaaaaaa", 17);
    url[600] = 0;
    r = ask(url, 3000, "x", 1);
    check(is(r, 0, 0), "a host of 593 characters" SHOWN, SHOW(r));
}

static void test_bodies(void)
{
    char        *body = (char *)malloc(60000);
    vit_response r;
    char         url[64];
    if (!body) exit(2);
    memset(body, 'b', 60000);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/200", (unsigned)port);
    r = ask(url, 5000, body, 60000);
    check(is(r, 200, 0) && strstr(seen, "\r\nContent-Length: 60000\r\n"), "60 kB" SHOWN, SHOW(r));
    r = ask(url, 5000, NULL, 0);
    check(is(r, 200, 0) && strstr(seen, "\r\nContent-Length: 0\r\n"), "no body" SHOWN, SHOW(r));
    free(body);
}

/* ---- servers that do not behave -------------------------------------------------------------- */

/* Ends with this status or, where the system sees what is wrong, without one; in time, and with a
   reply that ends. */
static void endures(const char *path, uint32_t timeout_ms, int status)
{
    vit_response r = get(path, timeout_ms);
    check((r.http_status == status || r.http_status == 0) && took_ms <= timeout_ms + 250u &&
              memchr(reply, 0, sizeof reply),
          "%s" SHOWN, path, SHOW(r));
}

static void test_hostile(void)
{
    SOCKET         none;
    vit_response   r;
    unsigned short ours = port;
    endures("/hang", 1000, 0);
    endures("/drip", 2500, 0);
    endures("/drip-body", 2500, 0);
    endures("/reset", 2000, 0);
    endures("/nothing", 2000, 0);
    endures("/garbage", 2000, 0);
    endures("/long", 2000, 200);
    endures("/short", 2000, 200);
    endures("/minus", 2000, 200);
    endures("/big", 2000, 200);
    endures("/header", 5000, 200);
    endures("/endless", 5000, 200);
    expect("/headers", 200, 3);
    none = listen_at(&port);
    closesocket(none);
    endures("/closed", 4000, 0);
    none = listen_at(&port); /* connects, by the system; nobody accepts */
    endures("/never-accepted", 1000, 0);
    closesocket(none);
    port = ours;
    r = ask("http://no-such-host.invalid/200", 5000, "x", 1);
    check(is(r, 0, 0) && took_ms <= 5250u, "a host that does not resolve" SHOWN, SHOW(r));
    r = get("/200", 0);
    check(is(r, 0, 0) && took_ms <= 250u, "no time at all" SHOWN, SHOW(r));
    expect("/200", 200, 0);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

static uint32_t cancelled_ms;

static DWORD WINAPI cancel_later(void *argument)
{
    Sleep(*(const DWORD *)argument);
    cancelled_ms = now_ms();
    VITP_ATOMIC_STORE(&wanted, (uint32_t)VITP_CANCEL_WANTED);
    return 0;
}

static void cancels(const char *url, DWORD after_ms)
{
    HANDLE       thread = CreateThread(NULL, 0, cancel_later, &after_ms, 0, NULL);
    vit_response r = ask(url, 20000, "x", 1);
    uint32_t     end = now_ms();
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    check(is(r, 0, 0) && end - cancelled_ms <= 250u, "cancelled: %s, ends %u ms later", url,
          (unsigned)(end - cancelled_ms));
    VITP_ATOMIC_STORE(&wanted, (uint32_t)VITP_CANCEL_FREE);
}

static void test_cancel(void)
{
    static const char *const paths[] = { "/hang", "/drip", "/drip-body" };
    char                     url[64];
    size_t                   i;
    vit_response             r;
    for (i = 0; i < 3; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)port, paths[i]);
        cancels(url, 400);
    }
    VITP_ATOMIC_STORE(&wanted, (uint32_t)VITP_CANCEL_WANTED);
    memset(seen, 0, sizeof seen);
    r = get("/200", 5000);
    check(is(r, 0, 0) && seen[0] == 0, "cancelled before it began: nothing is sent");
    VITP_ATOMIC_STORE(&wanted, (uint32_t)VITP_CANCEL_FREE);
    expect("/200", 200, 0);
}

/* ---- what it takes, it gives back ------------------------------------------------------------ */

static void test_leaks(void)
{
    void    *ours = kept;
    uint32_t begin;
    int      i, bad = 0;
    for (i = 0; i < 100; i++) { /* with a session of its own each */
        kept = NULL;
        if (!is(get("/429", 5000), 429, 7)) bad++;
        WinHttpCloseHandle(kept);
    }
    kept = ours;
    check(bad == 0, "100 sessions, each for one request: %d without an answer", bad);
    check(open_handles == 1, "one handle is open, that of the session: %ld", open_handles);
    VITP_ATOMIC_STORE(&over, 1u);
    for (begin = now_ms(); InterlockedCompareExchange(&live, 0, 0) > 0 && now_ms() - begin < 25000;)
        Sleep(50);
    check(live == 0, "no memory is left behind: %ld blocks after %u ms", live,
          (unsigned)(now_ms() - begin));
    for (i = 0; i < given_count && i < GIVEN_MAX && is_untouched(given[i]); i++) {}
    check(i > 100 && i == given_count, "nor written to later: %d of %ld blocks", i, given_count);
}

/* ---- a client that has no transport but this ------------------------------------------------- */

static vit_client *client(const char *path)
{
    static char url[64];
    vit_options o;
    memset(&o, 0, sizeof o);
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)port, path);
    o.endpoint = url;
    o.data_dir = "";
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.flush_ms = 50;
    return vit_create(&o);
}

static void test_client(void)
{
    vit_client         *t = client("/201");
    vit_feature_toggled toggled;
    vit_stats           stats;
    uint32_t            begin;
    int                 i;
    bool                ok;
    memset(&toggled, 0, sizeof toggled);
    toggled.feature_name = "dark_mode";
    for (i = 0; i < 20; i++) (void)vit_track_feature_toggled(t, &toggled);
    ok = vit_flush(t, 10000);
    stats = vit_get_stats(t);
    check(ok && stats.delivered == 20 && stats.requests == 20,
          "a client delivers: %u events, %u requests", (unsigned)stats.delivered,
          (unsigned)stats.requests);
    check(strstr(seen, "\"event_name\":\"feature.toggled\"") != NULL, "and these are its events");
    check(vit_destroy(t, 1000), "and ends");
    t = client("/hang");
    (void)vit_track_feature_toggled(t, &toggled);
    (void)vit_flush(t, 500);
    begin = now_ms();
    ok = vit_destroy(t, 0);
    check(ok && now_ms() - begin <= 250u, "a client ends %u ms after it asks, in mid-request",
          (unsigned)(now_ms() - begin));
}

/* ---- with the help of others ----------------------------------------------------------------- */

static void test_tls(const char *tls_port, bool trusted)
{
    char         url[64];
    vit_response r;
    snprintf(url, sizeof url, "https://localhost:%s/200", tls_port);
    r = ask(url, 8000, "{}", 2);
    check(is(r, trusted ? 200 : 0, 0), "https, certificate %s" SHOWN,
          trusted ? "trusted" : "unknown", SHOW(r));
    snprintf(url, sizeof url, "https://127.0.0.1:%s/200", tls_port);
    r = ask(url, 8000, "{}", 2);
    check(is(r, 0, 0), "https, certificate of another host" SHOWN, SHOW(r));
    snprintf(url, sizeof url, "http://localhost:%s/200", tls_port);
    r = ask(url, 3000, "{}", 2);
    check(r.http_status != 200, "http where https is spoken" SHOWN, SHOW(r));
}

static void test_resolver(void)
{
    struct sockaddr_in address;
    SOCKET             s = socket(AF_INET, SOCK_DGRAM, 0);
    vit_response       r;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(0x7F000002);
    address.sin_port = htons(53);
    check(bind(s, (struct sockaddr *)&address, sizeof address) == 0, "a resolver without answers");
    r = ask("http://host.example/200", 1000, "x", 1);
    check(is(r, 0, 0) && took_ms >= 900u && took_ms <= 1250u, "it hangs" SHOWN, SHOW(r));
    cancels("http://host.example/200", 300);
    closesocket(s);
}

static void test_old_system(void)
{
    HINTERNET session = vitp_winhttp_session();
    check(session && set_protocols == 0, "the system knows what to speak");
    if (session) WinHttpCloseHandle(session);
    old_system = TRUE;
    session = vitp_winhttp_session();
    check(session && (set_protocols & WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2), "an old one is told");
    if (session) WinHttpCloseHandle(session);
    old_system = FALSE;
}

int main(int argc, char **argv)
{
    WSADATA data;
    SOCKET  listener;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0) return 2;
    listener = listen_at(&port);
    CloseHandle(CreateThread(NULL, 0, serve, (void *)(uintptr_t)listener, 0, NULL));
    if (argc > 2 && strcmp(argv[1], "tls") == 0) {
        test_tls(argv[2], argc > 3);
    } else if (argc > 1) {
        test_resolver();
    } else {
        test_answers();
        test_request();
        test_urls();
        test_bodies();
        test_hostile();
        test_cancel();
        test_client();
        test_old_system();
        test_leaks();
    }
    if (kept) WinHttpCloseHandle(kept);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
