/* qt_app.cpp: Qt's critical and fatal messages as events: qt_app [fatal]

   With `fatal` it ends by qFatal; the next run sends what was recorded until then.

   Build: c++ -std=c++17 -fPIC -I. $(pkg-config --cflags Qt6Core) examples/qt_app.cpp -o qt_app
          $(pkg-config --libs Qt6Core) -pthread
   With Qt 5: Qt5Core, and -std=c++11 or later. */

#define QT_MESSAGELOGCONTEXT /* file, line and function, in release builds too */
#define VITELEMETRY_QT
#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>
#include <cstdio>
#include <cstring>

/* In place of a server: each event is a line on stdout. */
static vit_response print(const vit_request *request, void *)
{
    vit_response done = { 200, 0 };
    std::printf("%.*s\n", static_cast<int>(request->body_size), request->body);
    std::fflush(stdout);
    return done;
}

/* The program's own log; it sees every message as before. */
static void log_message(QtMsgType, const QMessageLogContext &, const QString &text)
{
    std::fprintf(stderr, "log: %s\n", text.toUtf8().constData());
}

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    vit_options      options = vit_options();
    options.client_type = "qt-app-example";
    options.consent = VIT_CONSENT_GRANTED;
    options.transport.send_fn = print;
    vit_client *t = vit_create(&options);

    qInstallMessageHandler(log_message);
    vit::install_qt_handler(t); /* after the program's own */

    qDebug("loading %s", argv[0]);
    qInfo("3 tables");
    qWarning("table 2 is empty");
    qCritical("table 3 cannot be read");
    if (argc > 1 && std::strcmp(argv[1], "fatal") == 0) qFatal("no table is left");

    vit::install_qt_handler(nullptr);
    vit_destroy(t, 1000);
    return 0;
}
