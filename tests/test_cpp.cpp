/* test_cpp.cpp: the C++ part: report_exceptions, operation, install_terminate_handler. No test
   library; C++11 and later, also with -fno-exceptions, -fno-rtti and VITELEMETRY_DISABLE.

   Build:   by tests/check_cpp.sh, which says in what forms. ALONE: with the implementation, else
            that is linked; THROWER: only what throws, for programs that cannot. */

#ifdef ALONE
#define VITELEMETRY_IMPLEMENTATION
#endif
#include "../vitelemetry.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#if defined(__cpp_exceptions)
#define THROWS 1
#else
#define THROWS 0
#endif

/* Where pthread_exit unwinds through C++ at all: not in Debian's libc++ with its own unwinder. */
#ifdef __GLIBCXX__
#define UNWINDS THROWS
#else
#define UNWINDS 0
#endif

/* A std::runtime_error "no such file", also where this file may not throw. */
[[noreturn]] void throw_error();

#if THROWS
void throw_error() { throw std::runtime_error("no such file"); }
#endif

#ifndef THROWER

#include "check.h"

/* ---- what arrives ---------------------------------------------------------------------------- */

static char   sent[65536]; /* the bodies since the last deliver(), a line each */
static size_t sent_size;
static int    sent_to = -1; /* a child: its parent's pipe */

static void put(const char *text, size_t size)
{
    if (sent_to >= 0 && write(sent_to, text, size) != static_cast<ssize_t>(size)) abort();
    if (sent_size + size >= sizeof sent) abort();
    memcpy(sent + sent_size, text, size);
    sent[sent_size += size] = 0;
}

static vit_response keep(const vit_request *request, void *)
{
    vit_response stored = { 201, 0 };
    put(request->body, request->body_size);
    put("\n", 1);
    return stored;
}

static vit_client *create(const char *folder)
{
    vit_options o = vit_options();
    o.data_dir = folder;
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.transport.send_fn = keep;
    return vit_create(&o);
}

/* What was sent since the last call. */
static std::string deliver(vit_client *t)
{
    check(vit_flush(t, 20000), "delivered");
    std::string all(sent, sent_size);
    sent_size = 0;
    return all;
}

static bool has(const std::string &all, const char *text)
{
    if (strstr(all.c_str(), text)) return true;
    printf("     no %s in %s\n", text, all.c_str());
    return false;
}

static bool lacks(const std::string &all, const char *text)
{
    if (!strstr(all.c_str(), text)) return true;
    printf("     %s in %s\n", text, all.c_str());
    return false;
}

#ifndef VITELEMETRY_DISABLE
static size_t lines(const std::string &all)
{
    size_t n = 0;
    for (char c : all) n += c == '\n';
    return n;
}

static std::string member(const std::string &all, const char *name)
{
    std::string key = std::string("\"") + name + "\":\"";
    size_t      at = all.find(key);
    if (at == std::string::npos) return "";
    at += key.size();
    return all.substr(at, all.find('"', at) - at);
}
#endif

/* ---- what report_exceptions returns ---------------------------------------------------------- */

struct adder {
    int        base;
    int        operator()() const        &{ return base; }
    int        operator()()        &&{ return base + 1; }
    static int seven() { return 7; }
};

static int global_int = 3;

static int &&move_int() { return std::move(global_int); }

static void returns(vit_client *t, const char *who)
{
    bool  called = false;
    adder add = { 40 };
    check(vit::report_exceptions(t, "E", "f", [] { return 41; }) == 41, "%s: a value", who);
    vit::report_exceptions(t, "E", "f", [&called] { called = true; });
    check(called, "%s: void", who);
    int &r = vit::report_exceptions(t, "E", "f", []() -> int & { return global_int; });
    check(&r == &global_int, "%s: a reference", who);
    const int &c = vit::report_exceptions(t, "E", "f", []() -> const int & { return global_int; });
    check(&c == &global_int, "%s: a reference to a constant", who);
    std::unique_ptr<int> p =
        vit::report_exceptions(t, "E", "f", [] { return std::unique_ptr<int>(new int(5)); });
    check(*p == 5, "%s: what can only be moved", who);
    check(vit::report_exceptions(t, "E", "f", add) == 40, "%s: an object's call", who);
    check(vit::report_exceptions(t, "E", "f", adder(add)) == 41, "%s: a temporary's call", who);
    check(vit::report_exceptions(t, "E", "f", adder::seven) == 7, "%s: a function", who);
    check(vit::report_exceptions(t, "E", "f", &adder::seven) == 7, "%s: a pointer to it", who);
    check(vit::report_exceptions(t, nullptr, "E", "f", adder::seven) == 7, "%s: NULL op", who);
    check(vit::report_exceptions(t, nullptr, nullptr, [] { return 2; }) == 2, "%s: no names", who);
    auto &&moved = vit::report_exceptions(t, "E", "f", move_int);
    static_assert(std::is_same<decltype(moved), int &&>::value, "the type is the callee's");
    check(&moved == &global_int, "%s: a reference that may be moved from", who);
}

#if UNWINDS

/* pthread_exit and pthread_cancel unwind the stack, and are no exceptions. */
static vit_client *thread_client;
static int         thread_unwound;

struct unwound {
    ~unwound() { thread_unwound++; }
};

static void *thread_exit(void *)
{
    vit::report_exceptions(thread_client, "Exit", "x", [] {
        unwound u;
        (void)u;
        pthread_exit(&thread_unwound);
    });
    return nullptr;
}

static void exits(vit_client *t)
{
    pthread_t thread;
    void     *result = nullptr;
    thread_client = t;
    check(!pthread_create(&thread, nullptr, thread_exit, nullptr), "a thread");
    pthread_join(thread, &result);
    check(result == &thread_unwound && thread_unwound == 1, "pthread_exit goes on");
}

#endif /* UNWINDS */

/* ---- exceptions ------------------------------------------------------------------------------ */

#if THROWS && !defined(VITELEMETRY_DISABLE)

namespace app
{
class parse_error : public std::runtime_error
{
  public:
    explicit parse_error(const char *text) : std::runtime_error(text) {}
    parse_error(const parse_error &) = default;
    ~parse_error() override;
};
parse_error::~parse_error() = default;

class mute : public std::exception
{
  public:
    mute() = default;
    mute(const mute &) = default;
    ~mute() override;
    const char *what() const noexcept override { return nullptr; }
};
mute::~mute() = default;

class own : std::runtime_error /* privately */
{
  public:
    own() : std::runtime_error("a secret of its own") {}
    own(const own &) = default;
    ~own() override;
};
own::~own() = default;
} // namespace app

struct hostile : std::exception { /* what() must not throw, and does: std::terminate */
    hostile() = default;
    hostile(const hostile &) = default;
    ~hostile() override;
    const char *what() const noexcept override
    {
        throw_error();
        return "";
    }
};
hostile::~hostile() = default;

struct vicious : std::exception { /* the same, without end */
    vicious() = default;
    vicious(const vicious &) = default;
    ~vicious() override;
    const char *what() const noexcept override;
};
vicious::~vicious() = default;

[[noreturn]] static void throw_vicious() { throw vicious(); }

const char *vicious::what() const noexcept
{
    throw_vicious();
    return "";
}

/* An exception of another language. */
static unsigned foreign_freed;

static void foreign_free(_Unwind_Reason_Code, _Unwind_Exception *e)
{
    foreign_freed++;
    free(e);
}

static void throw_foreign()
{
    void *memory = nullptr;
    if (posix_memalign(&memory, 64, sizeof(_Unwind_Exception))) abort();
    _Unwind_Exception *e = static_cast<_Unwind_Exception *>(memory);
    memset(e, 0, sizeof *e);
    e->exception_class = 0x4f54484552000000u;
    e->exception_cleanup = foreign_free;
    _Unwind_RaiseException(e);
    std::terminate(); /* nobody catches it */
}

static void throw_value(const char *what)
{
    static char text[] = "a text that changes";
    if (!strcmp(what, "int")) throw 42;
    if (!strcmp(what, "text")) throw "no such table";
    if (!strcmp(what, "char *")) throw static_cast<char *>(text);
    if (!strcmp(what, "NULL")) throw static_cast<const char *>(nullptr);
    if (!strcmp(what, "nullptr")) throw nullptr;
    if (!strcmp(what, "string")) throw std::string("a string");
    if (!strcmp(what, "runtime")) throw std::runtime_error("no such file");
    if (!strcmp(what, "own")) throw app::own();
    if (!strcmp(what, "mute")) throw app::mute();
    if (!strcmp(what, "parse")) throw app::parse_error("line 3");
    throw_foreign();
}

static std::string report(vit_client *t, const char *what)
{
    bool caught = false;
    try {
        vit::report_exceptions(t, "ImportError", "import", [what] { throw_value(what); });
    } catch (...) {
        caught = true;
    }
    check(caught, "%s goes on", what);
    return deliver(t);
}

static void exceptions_std(vit_client *t)
{
    std::string all = report(t, "runtime");
    check(lines(all) == 1 && has(all, "\"event_name\":\"ImportError\""), "the event's name");
    check(has(all, "\"message\":\"no such file\""), "what() is the message");
    check(has(all, "\"exception_type\":\"std::runtime_error\""), "the type is there");
    check(has(all, "\"function\":\"report\""), "the caller is the function");
    check(has(all, "\"feature\":\"import\""), "the feature is there");
    check(has(all, "\"error_hash\":\"") && has(all, "\"correlation_id\":\""), "hash and id");
    all = report(t, "parse");
    check(has(all, "\"exception_type\":\"app::parse_error\""), "the type is the dynamic one");
    check(has(all, "\"message\":\"line 3\""), "what() of a base");
    all = report(t, "mute");
    check(has(all, "\"exception_type\":\"app::mute\""), "what() is NULL: the type");
    check(lines(all) == 1 && lacks(all, "\"message\""), "what() is NULL: no message");
    all = report(t, "own");
    check(has(all, "\"exception_type\":\"app::own\""), "a private base: the type");
    check(lacks(all, "secret"), "a private base: no message");
}

static void exceptions_other(vit_client *t)
{
    std::string all = report(t, "int");
    check(has(all, "\"exception_type\":\"int\"") && lacks(all, "\"message\""), "an int");
    all = report(t, "text");
    check(has(all, "\"message\":\"no such table\""), "a text is the message");
    check(has(all, "\"exception_type\":\"char const*\""), "a text: the type");
    all = report(t, "char *");
    check(has(all, "\"message\":\"a text that changes\""), "a char * is the message");
    all = report(t, "NULL");
    check(lines(all) == 1 && lacks(all, "\"message\""), "a text that is NULL");
    all = report(t, "nullptr");
    check(has(all, "nullptr"), "nullptr: the type");
    all = report(t, "string");
    check(has(all, "\"exception_type\":\"std::") && lacks(all, "\"message\""), "a std::string");
}

static void exceptions_foreign(vit_client *t)
{
    std::string all = report(t, "foreign");
    check(lines(all) == 1 && has(all, "\"exception_type\":\"foreign\""), "foreign: the type");
    check(lacks(all, "\"message\"") && foreign_freed == 1, "foreign: freed once");
    try {
        vit::report_exceptions(t, "Outer", "x", [t] {
            vit::report_exceptions(t, "Inner", "x", [] { throw_foreign(); });
        });
    } catch (...) {
        check(foreign_freed == 1, "foreign: lives as long as it is handled");
    }
    all = deliver(t);
    check(lines(all) == 2 && has(all, "Inner") && has(all, "Outer"), "foreign: twice reported");
    check(foreign_freed == 2, "foreign: freed once again");
}

/* The same object goes on, and with the op its id. */
static void exceptions_same(vit_client *t)
{
    vit_op      op = vit_op_begin();
    char        id[37];
    const void *first = nullptr, *last = nullptr;
    try {
        vit::report_exceptions(t, &op, "E", nullptr, [&first] {
            try {
                throw app::parse_error("x");
            } catch (const app::parse_error &e) {
                first = &e;
                throw;
            }
        });
    } catch (const app::parse_error &e) {
        last = &e;
    }
    check(first && first == last, "it is the same object");
    std::string all = deliver(t);
    vit_op_text(&op, id);
    check(member(all, "correlation_id") == id, "op: its correlation id");
    check(has(all, "\"function\":\"exceptions_same\""), "op: the caller is the function");
    check(lacks(all, "\"feature\""), "no feature");
    try {
        vit::report_exceptions(t, nullptr, "f", throw_error, "my_function");
    } catch (const std::runtime_error &) {
    }
    all = deliver(t);
    check(has(all, "\"event_name\":\"Error\""), "no name: Error");
    check(has(all, "\"function\":\"my_function\""), "a function that is given");
}

struct at_exit { /* reports from a destructor that runs because of another exception */
    vit_client *t;
    explicit at_exit(vit_client *client) : t(client) {}
    ~at_exit()
    {
        try {
            vit::report_exceptions(t, "Within", "x", [] { throw_value("int"); });
        } catch (int) {
        }
    }
};

static void exceptions_nested(vit_client *t)
{
    try {
        vit::report_exceptions(t, "Outer", "x", [t] {
            vit::report_exceptions(t, "Inner", "x", [] { throw_value("runtime"); });
        });
    } catch (const std::runtime_error &) {
    }
    std::string all = deliver(t);
    check(lines(all) == 2 && has(all, "Inner") && has(all, "Outer"), "nested: both report");
    try {
        throw 1;
    } catch (int) {
        try {
            vit::report_exceptions(t, "Handler", "x", [] { throw_value("parse"); });
        } catch (const app::parse_error &) {
        }
    }
    all = deliver(t);
    check(has(all, "app::parse_error"), "in a handler: the inner exception");
    try {
        at_exit a(t);
        throw_value("runtime");
    } catch (const std::runtime_error &e) {
        check(!strcmp(e.what(), "no such file"), "in a destructor: the outer exception goes on");
    }
    all = deliver(t);
    check(has(all, "\"exception_type\":\"int\""), "in a destructor: the inner exception");
    try {
        vit::report_exceptions(nullptr, "E", "f", throw_error);
        check(false, "NULL client: it goes on");
    } catch (const std::runtime_error &) {
        check(true, "NULL client: it goes on");
    }
}

#if UNWINDS

static void *thread_wait(void *)
{
    vit::report_exceptions(thread_client, "Cancel", "x", [] {
        unwound u;
        (void)u;
        for (;;) pause();
    });
    return nullptr;
}

static void exceptions_forced(vit_client *t)
{
    pthread_t thread;
    void     *result = nullptr;
    exits(t);
    check(!pthread_create(&thread, nullptr, thread_wait, nullptr), "a thread");
    usleep(20000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    check(result == PTHREAD_CANCELED && thread_unwound == 2, "pthread_cancel goes on");
    check(deliver(t).empty(), "neither is reported");
}

#endif /* UNWINDS */

static void exceptions(vit_client *t)
{
    exceptions_std(t);
    exceptions_other(t);
    exceptions_same(t);
    exceptions_nested(t);
#if UNWINDS
    exceptions_forced(t);
#endif
}

#endif /* THROWS */

/* ---- operation ------------------------------------------------------------------------------- */

static_assert(!std::is_copy_constructible<vit::operation>::value, "not copyable");
static_assert(!std::is_copy_assignable<vit::operation>::value, "not copyable");
static_assert(std::is_nothrow_destructible<vit::operation>::value, "never throws");
static_assert(!std::is_convertible<vit_client *, vit::operation>::value, "explicit");

#ifndef VITELEMETRY_DISABLE

static void operations(vit_client *t)
{
    char        id[37];
    std::string all;
    {
        vit::operation o(t, "import.run", "import");
        vit_op_text(o.op(), id);
        vit_fail(t, o.op(), "ImportError", "import", 2);
        usleep(3000);
    }
    all = deliver(t);
    check(lines(all) == 2, "operation: one event, and the other's");
    std::string last = all.substr(all.find('\n') + 1);
    check(has(last, "\"event_name\":\"import.run\""), "operation: its name");
    check(has(last, "{\"feature\":\"import\",\"success\":true,\"duration_ms\":"), "its members");
    check(atoi(last.c_str() + last.find("duration_ms") + 13) >= 3, "operation: its time");
    check(member(last, "correlation_id") == id && member(all, "correlation_id") == id,
          "operation: its id, and another event's");
    check(lacks(last, "error_code"), "operation: no error code");
    {
        vit::operation o(nullptr, "import.run");
    }
    check(deliver(t).empty(), "operation: NULL client");
}

static void operations_fail(vit_client *t)
{
    std::string all, code(200, 'y');
    {
        vit::operation o(t, "import.run");
        std::string    gone = "E42";
        o.fail(gone.c_str());
        gone = "???";
    }
    all = deliver(t);
    check(has(all, "\"success\":false,\"error_code\":\"E42\",\"duration_ms\":"), "fail");
    check(lacks(all, "\"feature\""), "no feature");
    {
        vit::operation o(t, "import.run");
        o.fail(nullptr);
    }
    all = deliver(t);
    check(has(all, "{\"success\":false,\"duration_ms\":"), "fail without a code");
    {
        vit::operation o(t, "import.run");
        o.fail("E12345");
        o.fail("E2");
    }
    all = deliver(t);
    check(has(all, "\"E2\"") && lacks(all, "E12345"), "fail: the last code");
    {
        vit::operation o(t, "import.run");
        o.fail(("a " + code).c_str());
    }
    all = deliver(t);
    check(has(all, ("\"a " + code.substr(0, 62) + "\"").c_str()), "fail: a long code is cut");
}

/* It is not cut in the middle of a secret, the rest of which nobody would know. */
static void operations_secret(vit_client *t)
{
    const std::string secret = "correct horse battery staple and some more words than a label has";
    check(vit_register_secret(t, secret.c_str(), secret.size()), "a secret");
    {
        vit::operation o(t, "import.run");
        o.fail(("refused: " + secret).c_str());
        vit::operation none(nullptr, "import.run");
        none.fail("of no client");
        vit::operation untold(t, "import.untold");
        untold.fail(nullptr);
    }
    std::string all = deliver(t);
    check(has(all, "\"error_code\":\"refused: [secret]\""), "fail: a secret in a long code");
    check(has(all, "import.untold") && lacks(all, "of no client"), "fail: no code, no client");
    check(lacks(all, "horse"), "fail: no part of a secret");
}

#if THROWS

struct cleaner { /* an operation in a destructor that runs because of an exception */
    vit_client *t;
    bool        throws;
    cleaner(vit_client *client, bool fails) : t(client), throws(fails) {}
    ~cleaner()
    {
        try {
            vit::operation o(t, "clean.up");
            if (throws) throw_error();
        } catch (const std::runtime_error &) {
        }
    }
};

static std::string clean(vit_client *t, bool throws)
{
    try {
        cleaner c(t, throws);
        throw 1;
    } catch (int) {
    }
    return deliver(t);
}

static void operations_thrown(vit_client *t)
{
    try {
        vit::operation o(t, "import.run", "import");
        throw_error();
    } catch (const std::runtime_error &) {
    }
    check(has(deliver(t), "\"success\":false,\"duration_ms\":"), "left by an exception");
    {
        vit::operation o(t, "import.run");
        try {
            throw_error();
        } catch (const std::runtime_error &) {
        }
    }
    check(has(deliver(t), "\"success\":true"), "an exception that is caught within");
    check(has(clean(t, false), "\"success\":true"), "in a destructor, on the way");
    if (__cplusplus >= 201703L)
        check(has(clean(t, true), "\"success\":false"), "the same, left by an exception");
    else check(lines(clean(t, true)) == 1, "the same, left by an exception: an event");
    try {
        vit::operation o(t, "import.run", "import");
        vit::report_exceptions(t, o.op(), "ImportError", "import", throw_error);
    } catch (const std::runtime_error &) {
    }
    std::string all = deliver(t), first = all.substr(0, all.find('\n'));
    check(lines(all) == 2 && has(all, "\"success\":false"), "report_exceptions within");
    check(member(first, "correlation_id") == member(all.substr(first.size()), "correlation_id"),
          "report_exceptions within: one id");
}

#endif /* THROWS */

/* ---- std::terminate, in children ------------------------------------------------------------- */

typedef struct death {
    int         status;
    std::string said;
} death;

static vit_client *dying; /* the child's */

static void before() /* the handler that was there before ours; returns */
{
    check(vit_flush(dying, 20000), "a dying program's events");
    put("before\n", 7);
}

static void after() /* one that is installed after ours, and ends there */
{
    put("after\n", 6);
    _exit(9);
}

/* The child has a client whose events come here, and the handler before(); what is left of its life
   is how(). */
static death die(void (*how)(), const char *folder = "")
{
    static const struct rlimit none = { 0, 0 };
    death                      d = { 0, "" };
    char                       part[512];
    ssize_t                    size;
    int                        ends[2];
    fflush(stdout);
    if (pipe(ends)) abort();
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        sent_to = ends[1];
        setrlimit(RLIMIT_CORE, &none);
        alarm(60);
        dying = create(folder);
        std::set_terminate(before);
        how();
        _exit(7);
    }
    close(ends[1]);
    while ((size = read(ends[0], part, sizeof part)) > 0)
        d.said.append(part, static_cast<size_t>(size));
    close(ends[0]);
    waitpid(child, &d.status, 0);
    return d;
}

static bool aborted(const death &d)
{
    if (WIFSIGNALED(d.status) && WTERMSIG(d.status) == SIGABRT) return true;
    printf("     status %x\n", static_cast<unsigned>(d.status));
    return false;
}

static void uncaught() noexcept
{
    vit::install_terminate_handler(dying);
    throw_error();
}

/* A forked child that has ended its parent's client. */
static void uncaught_in_child() noexcept
{
    int status = 0;
    vit::install_terminate_handler(dying);
    pid_t child = fork();
    if (child == 0) {
        vit_destroy(dying, 0);
        dying = nullptr;
        throw_error();
    }
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) put("not aborted\n", 12);
}

static void terminate_in_child()
{
    death d = die(uncaught_in_child);
    check(d.said == "before\n", "terminate: a forked child, behind the end of its client");
}

static void terminate_type()
{
    death d = die(uncaught);
    check(aborted(d), "terminate: SIGABRT");
    check(lines(d.said) == 2, "terminate: one event, and the handler before");
    check(has(d.said, "\"event_name\":\"UncaughtException\""), "terminate: the event's name");
    check(has(d.said, "\"exception_type\":\"std::runtime_error\""), "terminate: the type");
    check(has(d.said, "}\nbefore\n"), "terminate: the handler before came after");
#if THROWS
    check(has(d.said, "\"message\":\"no such file\""), "terminate: the message");
#else
    check(lacks(d.said, "\"message\""), "terminate: no message without exceptions");
#endif
}

static void none_before()
{
    std::set_terminate(nullptr);
    vit::install_terminate_handler(dying);
    throw_error();
}

static void without()
{
    vit::install_terminate_handler(dying);
    std::terminate();
}

static void two_clients()
{
    vit_client *first = create("");
    bool        ok = vit::install_terminate_handler(first);
    ok = vit::install_terminate_handler(dying) && ok;
    if (ok) throw_error();
}

static void stopped()
{
    vit::install_terminate_handler(dying);
    bool ok = vit::install_terminate_handler(nullptr);
    if (std::get_terminate() == before && ok) throw_error();
}

static void restarted()
{
    vit::install_terminate_handler(dying);
    vit::install_terminate_handler(nullptr);
    vit::install_terminate_handler(nullptr);
    vit::install_terminate_handler(dying);
    throw_error();
}

static std::terminate_handler below;

static void on_top()
{
    put("top\n", 4);
    below();
}

static void covered() /* another handler stands over ours: it stays, and passes on */
{
    vit::install_terminate_handler(dying);
    below = std::set_terminate(on_top);
    bool ok = !vit::install_terminate_handler(nullptr);
    if (std::get_terminate() == on_top && ok) throw_error();
}

static void covered_again()
{
    vit::install_terminate_handler(dying);
    below = std::set_terminate(on_top);
    vit::install_terminate_handler(nullptr);
    if (vit::install_terminate_handler(dying)) throw_error();
}

static void replaced()
{
    vit::install_terminate_handler(dying);
    std::set_terminate(after);
    throw_error();
}

static void taken_out() /* by the host, who puts the handler before back */
{
    vit::install_terminate_handler(dying);
    std::set_terminate(before);
    if (vit::install_terminate_handler(dying)) throw_error();
}

static void taken_out_stopped()
{
    vit::install_terminate_handler(dying);
    std::set_terminate(before);
    bool ok = vit::install_terminate_handler(nullptr);
    if (std::get_terminate() == before && ok) throw_error();
}

static void no_client()
{
    if (vit::install_terminate_handler(nullptr) && std::get_terminate() == before) throw_error();
}

static void terminate_handlers()
{
    static const char event[] = "UncaughtException";
    death             d = die(without);
    check(aborted(d) && d.said == "before\n", "no exception: nothing is recorded");
    check(aborted(die(none_before)), "no handler was there before: the program aborts");
    d = die(two_clients);
    check(aborted(d) && lines(d.said) == 2 && has(d.said, event), "the second client has it");
    d = die(stopped);
    check(aborted(d) && d.said == "before\n", "stopped: the handler before is back");
    d = die(restarted);
    check(aborted(d) && lines(d.said) == 2 && has(d.said, event), "stopped and started");
    d = die(covered);
    check(aborted(d) && d.said == "top\nbefore\n", "stopped below another: it passes on");
    d = die(covered_again);
    check(aborted(d) && d.said.find("top\n") == 0 && has(d.said, event), "and started again");
    check(lines(d.said) == 3 && has(d.said, "}\nbefore\n"), "and started again: once");
    d = die(replaced);
    check(WIFEXITED(d.status) && WEXITSTATUS(d.status) == 9 && d.said == "after\n", "replaced");
    d = die(taken_out);
    check(aborted(d) && lines(d.said) == 2 && has(d.said, event), "taken out: installed anew");
    d = die(taken_out_stopped);
    check(aborted(d) && d.said == "before\n", "taken out, and stopped");
    d = die(no_client);
    check(aborted(d) && d.said == "before\n", "NULL where there is none");
}

#if THROWS

static const char *thrown;

static void uncaught_value()
{
    vit::install_terminate_handler(dying);
    throw_value(thrown);
}

static death die_of(const char *what)
{
    thrown = what;
    death d = die(uncaught_value);
    check(aborted(d) && has(d.said, "before\n"), "uncaught %s: SIGABRT", what);
    return d;
}

static void uncaught_hostile()
{
    vit::install_terminate_handler(dying);
    throw hostile();
}

static void uncaught_vicious()
{
    vit::install_terminate_handler(dying);
    throw vicious();
}

static void foreign_stopped() noexcept
{
    vit::install_terminate_handler(dying);
    throw_foreign();
}

static void reported_hostile()
{
    vit::install_terminate_handler(dying);
    try {
        vit::report_exceptions(dying, "E", "f", [] { throw hostile(); });
    } catch (...) {
    }
}

static void uncaught_in_thread()
{
    vit::install_terminate_handler(dying);
    std::thread([] { throw_value("parse"); }).join();
}

static void terminate_values()
{
    death d = die_of("int");
    check(has(d.said, "\"exception_type\":\"int\""), "uncaught int: the type");
    d = die_of("text");
    check(has(d.said, "\"message\":\"no such table\""), "uncaught text: the message");
    d = die_of("mute");
    check(has(d.said, "app::mute") && lacks(d.said, "\"message\""), "uncaught mute: the type");
    d = die_of("foreign");
    check(d.said == "before\n", "uncaught foreign: nothing is recorded");
    d = die(foreign_stopped);
    check(aborted(d) && d.said == "before\n", "foreign and noexcept: nothing is recorded");
    d = die(uncaught_vicious);
    check(aborted(d) && d.said == "before\n", "what() that throws its like: SIGABRT");
    d = die(uncaught_hostile);
    check(aborted(d) && has(d.said, "before\n"), "what() that throws: SIGABRT, no endless loop");
    d = die(reported_hostile);
    check(aborted(d) && has(d.said, "\"std::runtime_error\""), "what() that throws: is recorded");
    d = die(uncaught_in_thread);
    check(aborted(d) && has(d.said, "app::parse_error"), "uncaught in a thread");
}

#endif /* THROWS */

static void uncaught_by_default()
{
    std::set_terminate(&abort); /* nothing is sent any more */
    uncaught();
}

/* What the dead program recorded is sent by the next run. */
static void terminate_adopted()
{
    char folder[] = "/tmp/vit_cpp_XXXXXX";
    if (!mkdtemp(folder)) abort();
    vit_client *probe = create(folder);
    bool        survives = vit_get_stats(probe).crash_surviving;
    vit_destroy(probe, 1000);
    sent_size = 0;
    death       d = die(uncaught_by_default, folder);
    vit_client *t = create(folder);
    check(aborted(d), "the next run: SIGABRT");
    std::string all = d.said + deliver(t);
    if (survives) check(has(all, "UncaughtException"), "the next run sends it");
    vit_purge(t);
    vit_destroy(t, 1000);
    check(system((std::string("rm -r ") + folder).c_str()) == 0, "cleaned up");
}

int main()
{
    terminate_in_child();
    terminate_type(); /* children first: there is no other client yet */
    terminate_handlers();
    terminate_adopted();
#if THROWS
    terminate_values();
#endif
    vit_client *t = create("");
    check(t != nullptr, "a client");
    returns(nullptr, "NULL client");
    returns(t, "client");
    check(deliver(t).empty(), "nothing to report");
    operations(t);
    operations_fail(t);
    operations_secret(t);
#ifdef __GNUC__
    char *owned = nullptr;
    check(!vit::exception_type_(&owned) && !owned, "no exception is in hand");
#endif
#if THROWS
    exceptions(t);
    operations_thrown(t);
    exceptions_foreign(t); /* last: the library then counts one too many on its way */
#endif
    check(vit_destroy(t, 1000), "the client's end");
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#else /* VITELEMETRY_DISABLE: what the host does goes on, and nothing else */

static void disabled_throws()
{
#if THROWS
    try {
        vit::operation o(nullptr, "import.run");
        vit::report_exceptions(nullptr, o.op(), "E", "f", throw_error);
        check(false, "an exception goes on");
    } catch (const std::runtime_error &e) {
        check(!strcmp(e.what(), "no such file"), "an exception goes on");
    }
#endif
#if UNWINDS
    exits(nullptr);
#endif
}

int main()
{
    vit_client            *t = create("");
    std::terminate_handler handler = std::get_terminate();
    returns(t, "disabled");
    {
        vit::operation o(t, "import.run", "import");
        o.fail("E42");
        check(o.op() != nullptr, "op is there");
    }
    check(vit::install_terminate_handler(t) && vit::install_terminate_handler(nullptr) &&
              std::get_terminate() == handler,
          "the terminate handler is as it was");
    disabled_throws();
    std::string all = deliver(t);
    check(lacks(all, "event_name") && !has(all, "x"), "nothing is sent");
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#endif /* VITELEMETRY_DISABLE */
#endif /* THROWER */
