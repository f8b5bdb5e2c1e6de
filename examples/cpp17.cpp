/* cpp17.cpp: the C++ side: overloads, a scope that is one event, exceptions that are reported.

   Build: c++ -std=c++17 -I. examples/cpp17.cpp -o cpp17 -pthread */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <cstdio>
#include <stdexcept>
#include <string>

static vit_response print(const vit_request *request, void *)
{
    std::printf("%.*s\n", static_cast<int>(request->body_size), request->body);
    return { 200, 0 };
}

static int import_file(vit_client *t, const std::string &name)
{
    vit::operation import(t, "import.run", "import"); /* one event when the scope is left */
    if (name.empty()) {
        import.fail("no_name");
        return 0;
    }
    /* What f throws becomes an ImportError event with the same correlation id, and goes on. */
    return vit::report_exceptions(t, import.op(), "ImportError", "import", [&name] {
        if (name == "bad.csv") throw std::runtime_error("line 3: unexpected end");
        return 100; /* rows */
    });
}

int main()
{
    vit_options options{}; /* zero is the default of every member */
    options.consent = VIT_CONSENT_GRANTED;
    options.data_dir = ""; /* nothing on disk */
    options.transport.send_fn = print;
    vit_client *t = vit_create(&options);
    vit::install_terminate_handler(t); /* what nobody catches becomes UncaughtException */

    vit_feature_toggled toggled{};
    toggled.feature_name = "dark_mode";
    toggled.new_value = true;
    vit_track(t, toggled); /* one overload an event */

    int rows = import_file(t, "good.csv") + import_file(t, "");
    try {
        rows += import_file(t, "bad.csv");
    } catch (const std::exception &e) {
        std::fprintf(stderr, "not imported: %s\n", e.what());
    }
    vit::install_terminate_handler(nullptr);
    vit_destroy(t, 1000);
    return rows == 100 ? 0 : 1;
}
