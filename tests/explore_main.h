/* explore_main.h: what the explorers have in common: the search through a scenario, the bounds from
   the environment, and main. Included last, behind `scenarios`, prepare and run_once.

   Run:     explore_... [scenario ...]                all of them, or those numbers
            DEPTH=n       preemptions of each scenario, instead of what its line says
            MOST=n        no more than so many
            STALE=n       stale loads likewise, where memory is looked at
            TRACE=1       shows each operation of a run that failed
   Output:  a line a scenario; last `N passed, N failed`. It is the same each time.

   With -DEXPLORE_HEADER='"..."' and -DEXPLORE_BUG='"..."' a changed copy of the header is explored
   until the bug is found: tests/explore_plant.sh plants them. */

#ifdef EXPLORE_BUG
#define RUNS_MAX 300000u /* of a scenario: a bug is found before, or not at all */
#else
#define RUNS_MAX UINT64_MAX
#endif

/* True: nothing that should not be. */
static bool explore(const scenario *s, x_bounds bounds)
{
    bool ok;
    prepare(s);
    x.bounds = bounds;
    do {
        ok = run_once() != X_FAILED;
        if (x.counts.runs + x.counts.cut >= RUNS_MAX) break;
        if (x.warmer) x_restart(); /* what failed fails again, and can be repeated */
        else if (!ok || !x_next_schedule()) break;
    } while (true);
    if (!ok && (getenv)("TRACE")) {
        x.trace = true;
        run_once();
        x.trace = false;
    }
    return ok;
}

static uint32_t setting(const char *name, uint32_t otherwise)
{
    const char *text = (getenv)(name);
    uint32_t    n = text && *text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
    return n > 7 ? 7 : n;
}

#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

/* All are, or those whose numbers are given. */
static bool is_wanted(uint32_t scenario_number, int argc, char **argv)
{
    int  a;
    bool wanted = argc < 2;
    for (a = 1; a < argc; a++) wanted = wanted || strtoul(argv[a], NULL, 10) == scenario_number;
    return wanted;
}

#ifndef EXPLORE_BUG

static bool report(uint32_t i)
{
    x_bounds bounds = scenarios[i].bounds;
    bool     ok;
    bounds.preemptions = setting("DEPTH", bounds.preemptions);
    if (bounds.preemptions > setting("MOST", 7)) bounds.preemptions = setting("MOST", 7);
    bounds.stale = setting("STALE", bounds.stale);
    ok = explore(&scenarios[i], bounds);
    printf("%2u %-34s %u %u %u %10llu %10llu %10llu %12llu  %s%s\n", (unsigned)i, scenarios[i].name,
           (unsigned)bounds.preemptions, (unsigned)bounds.stale, (unsigned)bounds.signals,
           (unsigned long long)x.counts.runs, (unsigned long long)x.counts.cut,
           (unsigned long long)x.counts.states, (unsigned long long)x.counts.steps,
           ok ? "ok" : "FAIL: ", ok ? "" : x.failure);
    if (x.counts.forgotten)
        printf("   %llu times an older store could have been read than is kept\n",
               (unsigned long long)x.counts.forgotten);
    fflush(stdout);
    return ok;
}

int main(int argc, char **argv)
{
    uint32_t i, passed = 0, failed = 0;
    (void)vitp_os_heavy_barrier; /* the explorer has its own */
    x_catch_crashes();
    printf("   %-34s P S I %10s %10s %10s %12s\n"
           "   P preemptions, S stale loads, I signals: at most so many a run\n",
           "scenario", "complete", "cut short", "states", "operations");
    for (i = 0; i < SCENARIOS; i++) {
        if (!is_wanted(i, argc, argv)) continue;
        if (report(i)) passed++;
        else failed++;
    }
    printf("%u passed, %u failed\n", (unsigned)passed, (unsigned)failed);
    return failed != 0;
}

#else

/* The scenarios with no preemption, then with one, and so on, until one of them fails. */
int main(int argc, char **argv)
{
    uint64_t runs = 0;
    uint32_t i, p, most = setting("DEPTH", 2);
    (void)vitp_os_heavy_barrier; /* the explorer has its own */
    x_catch_crashes();
    for (p = 0; p <= most; p++)
        for (i = 0; i < SCENARIOS; i++) {
            x_bounds bounds = scenarios[i].bounds;
            bool     ok;
            if (!is_wanted(i, argc, argv)) continue;
            bounds.preemptions = p;
            bounds.stale = setting("STALE", bounds.stale);
            ok = explore(&scenarios[i], bounds);
            runs += x.counts.runs + x.counts.cut;
            if (ok) continue;
            printf("found  %-36s after %7llu runs, %u preemptions, %s: %s\n", EXPLORE_BUG,
                   (unsigned long long)runs, (unsigned)p, scenarios[i].name, x.failure);
            return 0;
        }
    printf("FAIL   %s: not found in %llu runs\n", EXPLORE_BUG, (unsigned long long)runs);
    return 1;
}

#endif
