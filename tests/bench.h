/* bench.h - a client of a test with what is around it: a folder of its own, a wire, a log.

   After vitelemetry.h (with VITELEMETRY_IMPLEMENTATION) and common.h. */

#ifndef BENCH_H
#define BENCH_H

typedef struct bench {
    char        folder[64], path[128];
    wire        w;
    logs        l;
    vit_options o;
} bench;

static void bench_make(bench *b)
{
    wire_init(&b->w);
    logs_init(&b->l);
    folder_make(b->folder);
    snprintf(b->path, sizeof b->path, "%s/telemetry.conf", b->folder);
    b->o = options_of(&b->w, &b->l);
    b->o.data_dir = b->folder;
    b->o.flush_ms = 50;
}

static void bench_free(bench *b)
{
    wire_free(&b->w);
    folder_remove(b->folder);
}

TEST_FN vit_client *bench_client(bench *b)
{
    vit_client *t = vit_create(&b->o);
    assert_non_null(t);
    return t;
}

static vit_status track(vit_client *t, const char *name)
{
    vit_feature_toggled event;
    memset(&event, 0, sizeof event);
    event.feature_name = name;
    return vit_track_feature_toggled(t, &event);
}

/* Events f0, f1, ... of which each is found by its closing quote. */
TEST_FN void track_many(vit_client *t, unsigned first, unsigned count)
{
    unsigned i;
    char     name[24];
    for (i = first; i < first + count; i++) {
        snprintf(name, sizeof name, "f%u", i);
        assert_int_equal(track(t, name), VIT_OK);
    }
}

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

TEST_FN void end(vit_client *t)
{
    assert_balanced(t);
    assert_true(vit_destroy(t, 0));
}

#endif
