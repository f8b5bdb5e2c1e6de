/* c++98.cpp: a C++98 program has the declarations; the implementation is in a C file, which may be
   the header itself: c++98 [ENDPOINT]

   Build: cc -std=c99 -c -x c -DVITELEMETRY_IMPLEMENTATION vitelemetry.h -o vitelemetry.o
          cc -std=c99 -c -I. examples/http.c -o http.o
          c++ -std=c++98 -I. examples/c++98.cpp vitelemetry.o http.o -o c++98 -pthread
   Run:   ./c++98 http://127.0.0.1:8080/api/v1/telemetry */

#include "vitelemetry.h"

#include <iostream>
#include <string>

extern "C" vit_response http_send(const vit_request *request, void *user); /* http.c */

/* The client's life is a scope; it is neither copied nor shared. */
class telemetry
{
  public:
    explicit telemetry(const std::string &endpoint)
    {
        vit_options options = vit_options(); /* all zero: the defaults */
        options.endpoint = endpoint.c_str(); /* texts in the options are copied */
        options.client_type = "cxx98-example";
        options.consent = VIT_CONSENT_GRANTED;
        options.transport.send_fn = http_send;
        client_ = vit_create(&options);
    }
    ~telemetry() { vit_destroy(client_, 2000); }

    /* There are no designated initialisers here: a struct of zeros, and what is known. */
    void connected(const std::string &database, bool success)
    {
        vit_db_connection_result event = vit_db_connection_result();
        event.db_type = database.c_str();
        event.success = success;
        vit_track(client_, event); /* one overload an event, as in newer C++ */
    }
    unsigned long accepted() const
    {
        return static_cast<unsigned long>(vit_get_stats(client_).accepted);
    }

  private:
    telemetry(const telemetry &);
    telemetry &operator=(const telemetry &);

    vit_client *client_;
};

int main(int argc, char **argv)
{
    telemetry t(argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry");
    t.connected("chroma", true);
    t.connected("qdrant", false);
    std::cout << t.accepted() << " events\n";
    return 0;
}
