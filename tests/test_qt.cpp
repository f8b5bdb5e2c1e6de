/* test_qt.cpp: install_qt_handler, with Qt 5 or 6. Built and run by tests/check_qt.sh. */

#define QT_MESSAGELOGCONTEXT
#define VITELEMETRY_QT
#ifdef ALONE
#define VITELEMETRY_IMPLEMENTATION
#endif
#include "../vitelemetry.h"

#include "check.h"

#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>
#include <QtCore/QLoggingCategory>
#include <string>
#include <thread>

#include <string.h>

/* ---- what arrives, and what other handlers see ----------------------------------------------- */

typedef struct place { /* a client, and what it sent */
    vit_client *t;
    std::string sent;
} place;

static std::string before_saw, top_saw;

static vit_response keep(const vit_request *request, void *user)
{
    vit_response stored = { 201, 0 };
    static_cast<place *>(user)->sent.append(request->body, request->body_size).append("\n");
    return stored;
}

static void create(place *p)
{
    vit_options o = vit_options();
    o.data_dir = "";
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.transport.send_fn = keep;
    o.transport.user = p;
    p->t = vit_create(&o);
}

static std::string deliver(place *p)
{
    check(vit_flush(p->t, 20000), "delivered");
    std::string all;
    all.swap(p->sent);
    return all;
}

static std::string taken(std::string *saw)
{
    std::string all;
    all.swap(*saw);
    return all;
}

static size_t lines(const std::string &all)
{
    size_t n = 0;
    for (char c : all) n += c == '\n';
    return n;
}

static bool has(const std::string &all, const char *text)
{
    if (strstr(all.c_str(), text)) return true;
    printf("     no %s in %s\n", text, all.c_str());
    return false;
}

static void before(QtMsgType type, const QMessageLogContext &context, const QString &text)
{
    before_saw += std::to_string(static_cast<int>(type)) + " " + context.category + " " +
                  text.toUtf8().constData() + "\n";
    if (text.startsWith(QLatin1String("again"))) qCritical("again, from within");
}

static QtMessageHandler below;

static void on_top(QtMsgType type, const QMessageLogContext &context, const QString &text)
{
    top_saw += "top\n";
    below(type, context, text);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void messages(place *p)
{
    QLoggingCategory mine("app.mine");
    check(vit::install_qt_handler(p->t), "installed");
    qDebug("one");
    qInfo("two");
    qWarning("three");
    check(deliver(p).empty(), "debug, info and warning are not sent");
    check(taken(&before_saw) == "0 default one\n4 default two\n1 default three\n",
          "the handler before sees them");
    qCCritical(mine, "four \"%s\"", "\303\251t\303\251");
    std::string all = deliver(p);
    check(lines(all) == 1 && has(all, "\"event_name\":\"QtError\""), "critical is sent");
    check(has(all, "\"message\":\"four \\\"\303\251t\303\251\\\"\""), "in UTF-8");
    check(has(all, "\"msg_type\":\"critical\""), "its type");
    check(has(all, "\"file\":\"test_qt.cpp\"") && all.find("\"line\":0") == all.npos,
          "its file and line");
    check(has(all, "\"function\":\""), "its function");
    check(has(taken(&before_saw), "2 app.mine four"), "and seen, with its category");
    qCritical("again");
    check(lines(deliver(p)) == 1, "a message from within is not sent, nor endless");
    check(taken(&before_saw) == "2 default again\n", "nor seen");
    std::thread([] { qCritical("elsewhere"); }).join();
    check(has(deliver(p), "elsewhere"), "from another thread");
    taken(&before_saw);
}

static void clients(place *p)
{
    place other;
    create(&other);
    check(vit::install_qt_handler(other.t), "another client");
    qCritical("five");
    check(deliver(p).empty() && lines(deliver(&other)) == 1, "has it alone");
    check(vit::install_qt_handler(nullptr), "NULL");
    qCritical("six");
    check(deliver(p).empty() && deliver(&other).empty(), "nothing is sent any more");
    check(taken(&before_saw) == "2 default five\n2 default six\n", "each is seen once");
    check(qInstallMessageHandler(before) == before, "the handler before is back");
    check(vit::install_qt_handler(nullptr), "NULL again");
    check(qInstallMessageHandler(before) == before, "changes nothing");
    vit_destroy(other.t, 1000);
}

/* Another handler stands over ours: ours stays, and passes on. */
static void covered(place *p)
{
    vit::install_qt_handler(p->t);
    below = qInstallMessageHandler(on_top);
    check(!vit::install_qt_handler(nullptr), "NULL below another says so");
    qCritical("seven");
    check(deliver(p).empty() && taken(&top_saw) == "top\n", "the other stays");
    check(taken(&before_saw) == "2 default seven\n", "and it is passed on");
    check(vit::install_qt_handler(p->t), "and again");
    qCritical("eight");
    check(lines(deliver(p)) == 1 && taken(&top_saw) == "top\n", "it is sent once");
    check(taken(&before_saw) == "2 default eight\n", "and passed on once");
    check(qInstallMessageHandler(below) == on_top, "the other goes");
    check(vit::install_qt_handler(nullptr), "NULL");
    check(qInstallMessageHandler(nullptr) == before, "the handler before is back");
}

/* The host puts a handler that knows nothing of ours in its place: it is installed anew above. */
static void taken_out(place *p, QtMessageHandler by)
{
    qInstallMessageHandler(before);
    vit::install_qt_handler(p->t);
    qInstallMessageHandler(by);
    check(vit::install_qt_handler(p->t), "taken out, and installed anew");
    qCritical("nine");
    check(lines(deliver(p)) == 1, "it is sent again");
    check(taken(&before_saw) == (by ? "2 default nine\n" : ""), "and seen once");
    qInstallMessageHandler(by);
    check(vit::install_qt_handler(nullptr), "taken out, and NULL");
    qCritical("ten");
    check(deliver(p).empty(), "nothing is sent any more");
    check(taken(&before_saw) == (by ? "2 default ten\n" : ""), "the handler stays");
    qInstallMessageHandler(nullptr);
}

/* Without one before: Qt's own. */
static void by_default(place *p)
{
    vit::install_qt_handler(p->t);
    qCritical("to stderr, by Qt");
    check(lines(deliver(p)) == 1 && before_saw.empty(), "Qt's own handler is before ours");
    check(vit::install_qt_handler(nullptr), "NULL");
}

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    place            p;
    create(&p);
    qInstallMessageHandler(before);
    messages(&p);
    clients(&p);
    covered(&p);
    taken_out(&p, before);
    taken_out(&p, nullptr);
    by_default(&p);
    vit_destroy(p.t, 1000);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
