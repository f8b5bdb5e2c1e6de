/* operations.c: one operation, several threads: its events have one correlation id, and what took
   how long is measured from its beginning: operations [ENDPOINT]

   Build: cc -std=c99 -I. examples/operations.c examples/http.c -o operations -pthread
   Run:   ./operations http://127.0.0.1:8080/api/v1/telemetry */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <pthread.h>
#include <stdio.h>

vit_response http_send(const vit_request *request, void *user); /* http.c */

typedef struct job {
    vit_client *telemetry;
    vit_op      op; /* a plain value: it is copied from thread to thread */
    int         rows;
} job;

/* In the pool: no state of the caller's but the job. Any thread may track. */
static void *run_query(void *user)
{
    const job         *j = (const job *)user;
    vit_query_executed done = { 0 };
    done.op = &j->op;
    done.query_type = "vector";
    done.result_count = j->rows;
    done.latency_ms = VIT_SINCE_OP; /* since vit_op_begin, wherever that was */
    done.success = true;
    (void)vit_track_query_executed(j->telemetry, &done);
    return NULL;
}

int main(int argc, char **argv)
{
    vit_options options = { 0 };
    pthread_t   threads[3];
    job         jobs[3];
    char        id[37];
    int         i;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry";
    options.client_type = "operations-example";
    options.consent = VIT_CONSENT_GRANTED;
    options.transport.send_fn = http_send;
    vit_client *t = vit_create(&options);
    vit_op      op = vit_op_begin();
    vit_set_rate(t, "query.executed", 1.0); /* by default one in twenty sessions tells of them */
    vit_track_db_connection_attempt(t, &(vit_db_connection_attempt){ .op = &op, .host = "db" });

    for (i = 0; i < 3; i++) {
        jobs[i] = (job){ t, op, 10 * (i + 1) };
        if (pthread_create(&threads[i], NULL, run_query, &jobs[i]) != 0) return 1;
    }
    for (i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    vit_op_text(&op, id); /* for the program's own log */
    printf("correlation_id %s\n", id);
    return vit_destroy(t, 2000) ? 0 : 1; /* behind the last call */
}
