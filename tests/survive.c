/* survive.c: one process records and is killed, crashes, or ends without a server; the next one
   delivers. For machines without fork.

   Usage: survive FOLDER die       records three events and kills itself
          survive FOLDER null      the same, and touches a null pointer
          survive FOLDER stack     and overflows its stack
          survive FOLDER abort     and calls abort()
          survive FOLDER raise     and calls raise(SIGABRT)
          survive FOLDER returns   calls abort(), and its handler of SIGABRT returns
          survive FOLDER filter    touches a null pointer, and a filter of its own calls abort()
          survive FOLDER repair    a filter of its own repairs a fault; then it kills itself
          survive FOLDER leave     records three events and ends
          survive FOLDER next      prints what it delivers

   Build: cc -std=c99 -I. tests/survive.c -o survive -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <string.h>

static vit_response receive(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    (void)user;
    printf("%.*s\n", (int)request->body_size, request->body);
    return answer;
}

static void die(void)
{
#if defined(_WIN32)
    (void)TerminateProcess(GetCurrentProcess(), 9);
#else
    (void)raise(SIGKILL);
#endif
}

static volatile int *volatile target; /* what is touched */
static volatile int somewhere;

static int overflow(volatile char *before)
{
    volatile char here[4096];
    here[0] = before[0];
    here[4095] = 1;
    return somewhere ? 0 : overflow(here) + here[4095];
}

#if defined(_WIN32)
/* With little of the stack. */
static void host_says(const char *text)
{
    DWORD written;
    (void)WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), text, (DWORD)strlen(text), &written, NULL);
}

/* Of the host, installed before the client's. */
static LONG WINAPI host_filter(EXCEPTION_POINTERS *info)
{
    (void)info;
    host_says("host filter\n");
    return EXCEPTION_CONTINUE_SEARCH;
}

/* Ends the program itself, more than a tick of the clock later: it is no second crash. */
static LONG WINAPI host_abort(EXCEPTION_POINTERS *info)
{
    (void)info;
    host_says("host filter\n");
    Sleep(40);
    abort();
}

/* Makes room where the fault was. */
static LONG WINAPI host_repair(EXCEPTION_POINTERS *info)
{
    void *at = (void *)info->ExceptionRecord->ExceptionInformation[1];
    DWORD old;
    host_says("host repair\n");
    return VirtualProtect(at, 4, PAGE_READWRITE, &old) ? EXCEPTION_CONTINUE_EXECUTION
                                                       : EXCEPTION_CONTINUE_SEARCH;
}

static void host_returns(int number)
{
    (void)number;
    host_says("host handler\n");
}

static void host_begin(const char *how)
{
    if (strcmp(how, "returns") == 0) (void)signal(SIGABRT, host_returns);
    if (strcmp(how, "repair") == 0) (void)SetUnhandledExceptionFilter(host_repair);
    else if (strcmp(how, "filter") == 0) (void)SetUnhandledExceptionFilter(host_abort);
    else (void)SetUnhandledExceptionFilter(host_filter);
    if (strcmp(how, "repair") == 0)
        target = (int *)VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_NOACCESS);
}
#else
static void host_begin(const char *how)
{
    (void)how;
    target = &somewhere;
}
#endif

static void come_to_an_end(const char *how)
{
    char none[1] = { 0 };
    bool touches = strcmp(how, "null") == 0 || strcmp(how, "filter") == 0;
    if (touches) target = (int *)(uintptr_t)8;
    if (touches || strcmp(how, "repair") == 0) *target = 1;
    if (strcmp(how, "stack") == 0) somewhere = overflow(none);
    if (strcmp(how, "abort") == 0 || strcmp(how, "returns") == 0) abort();
    if (strcmp(how, "raise") == 0) {
        (void)raise(SIGABRT);
        puts("it goes on");
        fflush(stdout);
    }
    die();
}

int main(int argc, char **argv)
{
    vit_options        o;
    vit_client        *t;
    vit_clustering_run run;
    bool               next;
    if (argc != 3) return 2;
    next = strcmp(argv[2], "next") == 0;
    memset(&o, 0, sizeof o);
    o.endpoint = "https://telemetry.example";
    o.app_version = argv[2];
    o.data_dir = argv[1];
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.no_thread = true;
    o.crash_handler = true;
    if (next) o.transport.send_fn = receive;
    host_begin(argv[2]);
    t = vit_create(&o);
    if (!vit_get_stats(t).crash_surviving) {
        puts("no pool that outlives the process");
        return 1;
    }
    if (next) {
        while (vit_pump(t)) {}
        return vit_destroy(t, 0) ? 0 : 1;
    }
    memset(&run, 0, sizeof run);
    run.algorithm = "kmeans";
    vit_session_begin(t, "first", NULL);
    (void)vit_track_clustering_run(t, &run);
    (void)vit_fail(t, NULL, NULL, "test", 2);
    if (strcmp(argv[2], "leave") != 0) come_to_an_end(argv[2]);
    return vit_destroy(t, 0) ? 0 : 1;
}
