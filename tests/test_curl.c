/* test_curl.c: the transport by libcurl when libcurl fails: each of its calls, in turn, in a
   libcurl of the test's own, which is linked in its place. What a real one does with real servers
   stands in test_servers.c.

   Build: cc -std=c99 -I. tests/test_curl.c -o build/tests/test_curl -lcmocka -pthread */

#define CURL_DISABLE_TYPECHECK
#define dl_iterate_phdr fake_dl_iterate_phdr
#define pthread_sigmask fake_pthread_sigmask
#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_CURL
#include "../vitelemetry.h"
#undef dl_iterate_phdr

#include "common.h"

/* ---- libcurl --------------------------------------------------------------------------------- */

static struct {
    const char        *fails;                         /* the name of the call that fails */
    unsigned           after;                         /* so many of them do not */
    int                handles, multis, lists, added; /* that are there */
    unsigned           polls, performs, quick_exits;
    char               sent[8][512]; /* header lines */
    unsigned           lines;
    size_t             longest;
    char              *multi; /* CURLOPT_PRIVATE */
    long               timeout_ms;
    void              *to; /* of the answer */
    const char        *head, *body;
    unsigned           turns; /* before the answer is there */
    CURLcode           result;
    CURLMSG            message;
    bool               no_library, linked; /* nothing has its code; the program has */
    bool               stays_open;         /* what dlopen says */
    const vit_request *cancel;             /* which is cancelled while it is waited for */
    bool               breaks;             /* it writes to a connection that is gone */
} fake;

static bool fails(const char *name)
{
    if (!fake.fails || strcmp(name, fake.fails) != 0) return false;
    if (fake.after == 0) return true;
    fake.after--;
    return false;
}

int fake_pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    if (before && fails("pthread_sigmask")) return EINVAL;
    return sigprocmask(how, set, before) == 0 ? 0 : errno;
}

/* As OpenSSL does, which writes without MSG_NOSIGNAL. */
static void write_to_nobody(void)
{
    if (fake.breaks) raise(SIGPIPE);
}

static char easy, multi; /* handles are their addresses */

CURL *curl_easy_init(void)
{
    if (fails("easy_init")) return NULL;
    fake.handles++;
    return &easy;
}
void curl_easy_cleanup(CURL *curl)
{
    assert_ptr_equal(curl, &easy);
    write_to_nobody();
    fake.handles--;
}
CURLM *curl_multi_init(void)
{
    if (fails("multi_init")) return NULL;
    fake.multis++;
    return (CURLM *)&multi;
}
CURLMcode curl_multi_cleanup(CURLM *m)
{
    assert_ptr_equal(m, &multi);
    assert_int_equal(fake.handles, 0); /* its handle first */
    fake.multis--;
    return CURLM_OK;
}

static void take_list(const struct curl_slist *list)
{
    for (fake.lines = 0; list && fake.lines < 8; list = list->next)
        snprintf(fake.sent[fake.lines++], sizeof fake.sent[0], "%s", list->data);
}

CURLcode(curl_easy_setopt)(CURL *curl, CURLoption option, ...)
{
    va_list more;
    assert_ptr_equal(curl, &easy);
    va_start(more, option);
    if (option == CURLOPT_PRIVATE) fake.multi = va_arg(more, char *);
    else if (option == CURLOPT_TIMEOUT_MS) fake.timeout_ms = va_arg(more, long);
    else if (option == CURLOPT_HTTPHEADER) take_list(va_arg(more, struct curl_slist *));
    else if (option == CURLOPT_WRITEDATA) fake.to = va_arg(more, void *);
    else if (option == CURLOPT_QUICK_EXIT) fake.quick_exits++;
    va_end(more);
    return CURLE_OK;
}
CURLcode(curl_easy_getinfo)(CURL *curl, CURLINFO info, ...)
{
    va_list  more;
    CURLcode result = CURLE_OK;
    assert_ptr_equal(curl, &easy);
    va_start(more, info);
    if (info == CURLINFO_PRIVATE) {
        if (fails("private")) result = CURLE_UNKNOWN_OPTION;
        else *va_arg(more, char **) = fake.multi;
    } else {
        assert_int_equal(info, CURLINFO_RESPONSE_CODE);
        if (fails("status")) result = CURLE_UNKNOWN_OPTION;
        else *va_arg(more, long *) = 201;
    }
    va_end(more);
    return result;
}
struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
    struct curl_slist *one, *last = list;
    if (fails("slist")) return NULL;
    one = (struct curl_slist *)calloc(1, sizeof *one);
    assert_non_null(one);
    one->data = (char *)malloc(strlen(text) + 1);
    assert_non_null(one->data);
    memcpy(one->data, text, strlen(text) + 1);
    if (strlen(text) > fake.longest) fake.longest = strlen(text);
    fake.lists++;
    while (last && last->next) last = last->next;
    if (last) last->next = one;
    return list ? list : one;
}
void curl_slist_free_all(struct curl_slist *list)
{
    while (list) {
        struct curl_slist *next = list->next;
        free(list->data);
        free(list);
        fake.lists--;
        list = next;
    }
}
curl_version_info_data *curl_version_info(CURLversion version)
{
    static curl_version_info_data v;
    (void)version;
    return &v;
}
CURLMcode curl_multi_add_handle(CURLM *m, CURL *curl)
{
    assert_ptr_equal(m, &multi);
    assert_ptr_equal(curl, &easy);
    if (fails("add")) return CURLM_OUT_OF_MEMORY;
    fake.added++;
    return CURLM_OK;
}
CURLMcode curl_multi_remove_handle(CURLM *m, CURL *curl)
{
    (void)m, (void)curl;
    fake.added--;
    return CURLM_OK;
}

static size_t line_size(const char *at)
{
    const char *end = strstr(at, "\r\n");
    return end ? (size_t)(end - at) + 2 : strlen(at);
}

/* What a server sent: the head by lines, the body at once. */
static void arrive(void)
{
    char        line[256];
    const char *at = fake.head;
    size_t      n;
    for (; *at; at += n) {
        n = line_size(at);
        memcpy(line, at, n);
        assert_int_equal(vitp_curl_on_header(line, 1, n, fake.to), n);
    }
    n = strlen(fake.body);
    memcpy(line, fake.body, n);
    if (n) (void)vitp_curl_on_body(line, 1, n, fake.to);
}

CURLMcode curl_multi_perform(CURLM *m, int *running)
{
    (void)m;
    fake.performs++;
    write_to_nobody();
    if (fails("perform")) return CURLM_INTERNAL_ERROR;
    *running = fake.turns > 0;
    if (fake.turns > 0) fake.turns--;
    if (!*running) arrive();
    return CURLM_OK;
}

static uint32_t cancelled = VITP_CANCEL_WANTED;

CURLMcode curl_multi_poll(CURLM *m, struct curl_waitfd *more, unsigned count, int ms, int *ready)
{
    (void)m, (void)more, (void)count, (void)ready;
    assert_in_range(ms, 1, 20);
    fake.polls++;
    if (fake.cancel) *(uint32_t *)(uintptr_t)fake.cancel->vitp_cancel = cancelled;
    return CURLM_OK;
}
CURLMsg *curl_multi_info_read(CURLM *m, int *left)
{
    static CURLMsg message;
    (void)m;
    *left = 0;
    if (fake.message == CURLMSG_NONE) return NULL;
    message.msg = fake.message;
    message.data.result = fake.result;
    fake.message = CURLMSG_NONE;
    return &message;
}

/* In the place of libc's. */
int fake_dl_iterate_phdr(int (*module_fn)(struct dl_phdr_info *info, size_t size, void *user),
                         void *user)
{
    ElfW(Phdr) all, none;
    struct dl_phdr_info program, library;
    int                 found;
    memset(&none, 0, sizeof none);
    memset(&program, 0, sizeof program);
    all = none;
    all.p_type = none.p_type = PT_LOAD;
    all.p_memsz--; /* all addresses */
    program.dlpi_name = "";
    program.dlpi_phnum = 1;
    library = program;
    library.dlpi_name = "libcurl.so";
    program.dlpi_phdr = fake.linked ? &all : &none;
    library.dlpi_phdr = fake.no_library ? &none : &all;
    found = module_fn(&program, sizeof program, user);
    return found ? found : module_fn(&library, sizeof library, user);
}
void *dlopen(const char *name, int how);
void *dlopen(const char *name, int how)
{
    assert_string_equal(name, "libcurl.so");
    assert_true(how & RTLD_NOLOAD);
    return fake.stays_open ? &easy : NULL;
}

/* ---------------------------------------------------------------------------------------------- */

static vit_request request;
static char        reply[8];

static int begin(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    fake.head = "HTTP/1.1 201 Created\r\n\r\n";
    fake.body = "";
    fake.message = CURLMSG_DONE;
    fake.stays_open = true;
    memset(&request, 0, sizeof request);
    request.url = "http://127.0.0.1:9/";
    request.content_type = "text/plain";
    request.headers = "A: 1\r\nB: 2\r\n";
    request.body = "{}";
    request.body_size = 2;
    request.reply = reply;
    request.reply_size = sizeof reply;
    request.timeout_ms = 1000;
    memset(reply, 'x', sizeof reply);
    return 0;
}

/* Nothing is left, whatever failed. */
static int end(void **state)
{
    (void)state;
    return fake.handles || fake.multis || fake.lists || fake.added;
}

static void test_answer(void **state)
{
    vit_response r;
    (void)state;
    fake.turns = 2;
    fake.body = "taken, all of it";
    r = vit_curl_send(&request, NULL);
    assert_int_equal(r.http_status, 201);
    assert_string_equal(reply, "taken, ");
    assert_int_equal(fake.performs, 3);
    assert_int_equal(fake.polls, 2);
    assert_int_equal(fake.lines, 4);
    assert_string_equal(fake.sent[0], "Content-Type: text/plain");
    assert_string_equal(fake.sent[2], "A: 1");
    assert_string_equal(fake.sent[3], "B: 2");
    assert_int_equal(fake.timeout_ms, 1000);
    assert_int_equal(fake.quick_exits, LIBCURL_VERSION_NUM >= 0x075700 ? 1 : 0);
}

/* Any of libcurl's calls: no answer, and the events stay. */
static void test_each_call(void **state)
{
    static const struct {
        const char *name;
        unsigned    after;
    } rows[] = { { "easy_init", 0 }, { "multi_init", 0 }, { "slist", 0 },
                 { "slist", 1 },     { "slist", 2 },      { "slist", 3 },
                 { "add", 0 },       { "status", 0 },     { "perform", 0 },
                 { "perform", 1 } };
    size_t i;
    for (i = 0; i < COUNT_OF(rows); i++) {
        vit_response r;
        (void)begin(state);
        fake.fails = rows[i].name;
        fake.after = rows[i].after;
        fake.turns = 2;
        if (strcmp(rows[i].name, "status") != 0) fake.message = CURLMSG_NONE;
        r = vit_curl_send(&request, NULL);
        if (r.http_status || r.retry_after_s || end(state)) fail_msg("%s", rows[i].name);
        assert_string_equal(reply, "");
    }
}

/* Nor is there one without connections, which then are nobody's to free. */
static void test_no_connections(void **state)
{
    vit_response r;
    void        *kept = NULL;
    (void)state;
    fake.fails = "private";
    r = vit_curl_send(&request, &kept);
    assert_int_equal(r.http_status, 0);
    assert_int_equal(fake.added, 0);
    assert_ptr_equal(kept, &easy);
    fake.fails = NULL;
    r = vit_curl_send(&request, &kept); /* the handle serves the next one */
    assert_int_equal(r.http_status, 201);
    (void)vit_curl_send(NULL, &kept);
    assert_null(kept);
}

/* What libcurl says of a transfer counts only when it is over. */
static void test_messages(void **state)
{
    (void)state;
    fake.message = (CURLMSG)2;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 0);
    (void)begin(state);
    fake.result = CURLE_RECV_ERROR;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 0);
    (void)begin(state);
    fake.head = "HTTP/1.1 201 Created\r\n"; /* the rest never came */
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 0);
}

static void test_cancelled(void **state)
{
    uint32_t word = VITP_CANCEL_FREE;
    (void)state;
    request.vitp_cancel = &word;
    fake.cancel = &request;
    fake.turns = 1000;
    fake.message = CURLMSG_NONE;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 0);
    assert_int_equal(fake.polls, 1);
    (void)begin(state); /* before it began: the server is not asked */
    request.vitp_cancel = &word;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 0);
    assert_int_equal(fake.performs, 0);
}

static void test_nothing_to_end(void **state)
{
    void *kept = NULL;
    (void)state;
    assert_int_equal(vit_curl_send(NULL, NULL).http_status, 0);
    assert_int_equal(vit_curl_send(NULL, &kept).http_status, 0);
    assert_null(kept);
}

static void test_reply(void **state)
{
    (void)state;
    fake.body = "text";
    request.reply_size = 0; /* nothing is written */
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
    assert_int_equal(reply[0], 'x');
    (void)begin(state);
    fake.body = "text";
    request.reply = NULL;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
}

static void test_headers(void **state)
{
    static char long_line[VITP_HEADERS_MAX + 16];
    (void)state;
    request.headers = "A: 1\r\nB: 2"; /* the last has no end */
    (void)vit_curl_send(&request, NULL);
    assert_int_equal(fake.lines, 4);
    assert_string_equal(fake.sent[1], "Expect:"); /* none: a large body would wait for 100 */
    assert_string_equal(fake.sent[3], "B: 2");
    (void)begin(state);
    memset(long_line, 'x', sizeof long_line - 1); /* no header of ours: it is not sent */
    request.headers = long_line;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
    assert_int_equal(fake.lines, 2);
    assert_true(fake.longest < VITP_HEADERS_MAX);
}

static void test_timeout(void **state)
{
    (void)state;
    request.timeout_ms = 0; /* 0 would be for ever */
    (void)vit_curl_send(&request, NULL);
    assert_int_equal(fake.timeout_ms, 1);
    request.timeout_ms = UINT32_MAX;
    fake.message = CURLMSG_DONE;
    (void)vit_curl_send(&request, NULL);
    assert_int_equal(fake.timeout_ms, 0x7FFFFFFF);
}

static void test_head(void **state)
{
    char      line[] = "Retry-After: 7\r\n", none[] = "";
    vitp_curl c;
    (void)state;
    memset(&c, 0, sizeof c);
    c.request = &request;
    assert_int_equal(vitp_curl_on_header(none, 1, 0, &c), 0);
    assert_false(c.complete);
    assert_int_equal(vitp_curl_on_header(line, 1, 11, &c), 11); /* cut within its name */
    assert_int_equal(c.retry_after_s, 0);
    assert_int_equal(vitp_curl_on_header(line, 1, sizeof line - 1, &c), sizeof line - 1);
    assert_int_equal(c.retry_after_s, 7);
    snprintf(line, sizeof line, "\n");
    assert_int_equal(vitp_curl_on_header(line, 1, 1, &c), 1); /* a server that sends no \r */
    assert_true(c.complete);
}

/* Where libcurl cannot be kept, a look-up that hangs is waited for. */
static void test_resolver(void **state)
{
    (void)state;
    fake.no_library = true;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
    assert_int_equal(fake.quick_exits, 0);
    (void)begin(state);
    fake.linked = true;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
    assert_int_equal(fake.quick_exits, 0);
    (void)begin(state);
    fake.stays_open = false;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
    assert_int_equal(fake.quick_exits, 0);
}

static volatile sig_atomic_t piped;

static void note_pipe(int number)
{
    (void)number;
    piped++;
}

static bool is_pending(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

/* In a thread of the host's, which pumps or ends the client, SIGPIPE would end the program. */
static void test_broken_pipe(void **state)
{
    void    *kept = NULL;
    sigset_t one, before, after;
    (void)state;
    signal(SIGPIPE, note_pipe);
    fake.breaks = true;
    assert_int_equal(vit_curl_send(&request, &kept).http_status, 201);
    (void)vit_curl_send(NULL, &kept);
    assert_int_equal(piped, 0);
    sigemptyset(&one);
    sigaddset(&one, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &one, &before);
    assert_false(sigismember(&before, SIGPIPE)); /* as it was */
    assert_false(is_pending());
    raise(SIGPIPE); /* the host's own stays its own */
    fake.message = CURLMSG_DONE;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
    assert_true(is_pending());
    pthread_sigmask(SIG_SETMASK, &before, &after);
    assert_true(sigismember(&after, SIGPIPE));
    assert_int_equal(piped, 1);
    fake.breaks = false;
    fake.fails = "pthread_sigmask"; /* then as it is, and none is put back */
    sigprocmask(SIG_SETMASK, NULL, &before);
    fake.message = CURLMSG_DONE;
    assert_int_equal(vit_curl_send(&request, NULL).http_status, 201);
    sigprocmask(SIG_SETMASK, NULL, &after);
    assert_memory_equal(&after, &before, 8); /* the kernel's own */
    signal(SIGPIPE, SIG_DFL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    static const struct CMUnitTest tests[] = { TEST(test_answer),
                                               TEST(test_each_call),
                                               TEST(test_messages),
                                               TEST(test_cancelled),
                                               TEST(test_reply),
                                               TEST(test_nothing_to_end),
                                               TEST(test_headers),
                                               TEST(test_timeout),
                                               TEST(test_head),
                                               TEST(test_resolver),
                                               TEST(test_broken_pipe),
                                               cmocka_unit_test_setup(test_no_connections, begin) };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
