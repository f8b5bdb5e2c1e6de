/* bench.h - a client of a test with what is around it: a folder of its own, a wire, a log.

   After vitelemetry.h (with VITELEMETRY_IMPLEMENTATION) and common.h.

   BENCH_IN_MEMORY   without the folder */

#ifndef BENCH_H
#define BENCH_H

typedef struct bench {
#ifndef BENCH_IN_MEMORY
    char folder[64], path[128];
#endif
    wire        w;
    logs        l;
    vit_options o;
} bench;

static void bench_make(bench *b)
{
    wire_init(&b->w);
    logs_init(&b->l);
    b->o = options_of(&b->w, &b->l);
#ifdef BENCH_IN_MEMORY
    b->o.flush_ms = 20;
#else
    folder_make(b->folder);
    snprintf(b->path, sizeof b->path, "%s/telemetry.conf", b->folder);
    b->o.data_dir = b->folder;
    b->o.flush_ms = 50;
#endif
}

static void bench_free(bench *b)
{
    wire_free(&b->w);
#ifndef BENCH_IN_MEMORY
    folder_remove(b->folder);
#endif
}

TEST_FN vit_client *bench_client(bench *b) { return client_of(&b->o); }

/* Both at once, where no option is another one. */
TEST_FN vit_client *bench_open(bench *b)
{
    bench_make(b);
    return bench_client(b);
}

TEST_FN void offline(bench *b) { b->w.otherwise.http_status = 0; }
TEST_FN void online(bench *b) { b->w.otherwise.http_status = 201; }

/* The same while calls fail: some may be refused. In a child, too. */
TEST_FN void try_many(vit_client *t, unsigned first, unsigned count)
{
    unsigned i;
    char     name[24];
    for (i = first; i < first + count; i++) {
        snprintf(name, sizeof name, "f%u", i);
        (void)track(t, name);
    }
}

/* Each of form with 0, 1, ... arrived `times` times in requests that were answered by 2xx. */
TEST_FN void assert_each(wire *w, const char *form, unsigned count, unsigned times)
{
    unsigned i;
    char     name[24];
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, form, i);
        if (wire_times(w, name) != times)
            fail_msg("%s arrived %lu times", name, (unsigned long)wire_times(w, name));
    }
}

/* How many of the first f0, f1, ... arrived; none of them twice. */
TEST_FN unsigned arrived_of(wire *w, unsigned count)
{
    unsigned i, n = 0;
    char     name[24];
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "\"f%u\"", i);
        assert_true(wire_times(w, name) <= 1);
        n += (unsigned)wire_times(w, name);
    }
    return n;
}

/* Where calls fail it may go round. */
TEST_FN void pump_at_most(vit_client *t, unsigned steps)
{
    unsigned i;
    for (i = 0; i < steps && vit_pump(t); i++) {}
}

TEST_FN void end(vit_client *t)
{
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
}

/* The client ends, and all that is around it. */
TEST_FN void bench_close(bench *b, vit_client *t)
{
    end(t);
    bench_free(b);
}

/* All that a client has in the end goes to the disk, and comes back with the next one. */
TEST_FN vit_client *again(bench *b, vit_client *t)
{
    end(t);
    return bench_client(b);
}

#endif
