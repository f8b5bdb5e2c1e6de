/* What it costs to record an event, and how many arrive as text a second, beside others: the same
   event (query.executed: 6 members and a correlation id) for all, in the same run.

   burst       1,000 events on one thread into what is empty; drained untimed. ns an event
   latency     of each call in bursts on 1, 2 and 4 threads (1,000 events among them), net of the
               timer: p50, p99, p99.9
   sustained   1, 2 and 4 threads record as fast as they can and wait while it is full, until the
               last event was written to /dev/null: millions of events a second. Nothing is lost:
               each contestant's own counters are looked at
   refused     our calls that record nothing: sampled out, without consent, without a client

   Before that each contestant that writes JSON writes some events into a file, in which each line
   is read as JSON and counted. LTTng-UST takes part when its session is on (bench/events.sh);
   whether it discarded events is looked at there.

   All are at -O2, from Debian. Ours is called as from another source file. spdlog is header only,
   with an asynchronous logger that blocks when it is full; RapidJSON is as it comes (with
   RAPIDJSON_SSE2 it was slower); LTTng's channel blocks, and has 8 buffers of 1 MiB for each
   processor. Repetitions (REPEATS=n, 7) of all are interleaved, in an order that turns. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "../vitelemetry.h"

__attribute__((noinline)) vit_status vit_track_query_executed(vit_client               *t,
                                                              const vit_query_executed *e);

#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_WHITEBOX
#include "../vitelemetry.h"

#include "bench.h"
#include "../tests/json_strict.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#if __has_include(<spdlog/async.h>)
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#define WITH_SPDLOG
#endif
#if __has_include(<rapidjson/writer.h>)
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#define WITH_RAPIDJSON
#endif
#if __has_include(<lttng/tracepoint.h>)
#include "query_tp.h"
#define WITH_LTTNG
#endif

namespace
{

constexpr uint32_t BURST = 1000;
constexpr unsigned BURSTS = 30;
constexpr uint32_t SUSTAINED = 400000;
constexpr uint32_t CHECKED = 20000;
constexpr unsigned THREADS[] = { 1, 2, 4 };
constexpr unsigned THREADS_MAX = 4;

vit_op op;
char   op_text[37];

/* ---- contestants ---------------------------------------------------------------------------- */

class Peer
{
  public:
    virtual ~Peer() = default;
    virtual const char *name() const = 0;
    virtual const char *does() const = 0; /* and does not */
    virtual bool        is_json() const { return true; }
    /* Where its output goes. Between two runs. */
    virtual void open(const char *path) = 0;
    /* All that was recorded is written; called once behind each run. False: something was lost. */
    virtual bool close() = 0;
    virtual void drain() {}

    virtual double   burst() = 0;
    virtual void     timed(uint32_t events, bench_histogram &h) = 0;
    virtual uint32_t flood(uint32_t events) = 0; /* returns how often it was full */
};

/* The loops, around `bool record(uint32_t number)` of the contestant. */
template <class Self> class Common : public Peer
{
    bool one(uint32_t i) { return static_cast<Self *>(this)->record(i); }

  public:
    double burst() override
    {
        uint64_t begin = bench_ticks();
        uint32_t i, taken = 0;
        for (i = 0; i < BURST; i++) taken += one(i);
        double ns = double(bench_ticks() - begin) * bench_tick_ns / BURST;
        bench_check(taken == BURST, "each event of a burst is accepted");
        return ns;
    }
    void timed(uint32_t events, bench_histogram &h) override
    {
        for (uint32_t i = 0; i < events; i++) {
            uint64_t begin = bench_ticks();
            bool     taken = one(i);
            uint64_t end = bench_ticks();
            if (taken) bench_histogram_add(&h, end - begin);
        }
    }
    uint32_t flood(uint32_t events) override
    {
        uint32_t full = 0;
        for (uint32_t i = 0; i < events; i++)
            for (unsigned tries = 0; !one(i); full++) {
                if (++tries > 4) sched_yield();
                else
                    for (int k = 0; k < 64; k++) bench_relax();
            }
        return full;
    }
};

class Ours : public Common<Ours>
{
    vit_client *client = nullptr;
    uint32_t    queue_bytes, batch_events;
    const char *title;
    int         file = -1;
    char        folder[64];

    /* What its thread took of the processor: where others use the machine, a better measure of how
       many it can deliver than how long it took. */
    void note_consumer(double delivered)
    {
        clockid_t clock;
        timespec  t;
        if (pthread_getcpuclockid(client->thread.id, &clock) != 0 || clock_gettime(clock, &t) != 0)
            return;
        bench_note("consumer, processor time an event", title,
                   (double(t.tv_sec) * 1e9 + double(t.tv_nsec)) / delivered, "ns");
    }

  public:
    Ours(const char *title_, uint32_t bytes, uint32_t events)
        : queue_bytes(bytes), batch_events(events), title(title_)
    {
        bench_folder(folder);
    }
    ~Ours() override
    {
        if (client) vit_destroy(client, 1000);
        bench_folder_remove(folder);
    }
    const char *name() const override { return title; }
    const char *does() const override
    {
        return batch_events == 0
                   ? "scans labels, survives kill -9, NDJSON requests of 100 by its thread"
                   : "the same, requests of 1,000";
    }
    void open(const char *path) override
    {
        file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        vit_options o = bench_options(folder, &file);
        o.queue_bytes = queue_bytes;
        o.batch_events = batch_events;
        client = vit_create(&o);
        if (!client || file < 0) abort();
        vit_set_rate(client, "query.executed", 1.0);
        if (!vit_get_stats(client).crash_surviving) printf("its queue is plain memory here\n");
    }
    bool record(uint32_t i)
    {
        vit_query_executed e = bench_event(&op, i);
        return vit_track_query_executed(client, &e) == VIT_OK;
    }
    void drain() override { (void)vit_flush(client, 60000); }
    bool close() override
    {
        bool      all = vit_flush(client, 60000);
        vit_stats s = vit_get_stats(client);
        all = all && s.delivered == s.accepted && bench_dropped(&s) == 0;
        if (s.delivered >= SUSTAINED) note_consumer(double(s.delivered));
        vit_destroy(client, 1000);
        client = nullptr;
        ::close(file);
        return all;
    }
};

/* A stdio file behind a mutex, with a buffer of 64 KiB. */
class Locked
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    FILE           *file = nullptr;

  public:
    void open(const char *path)
    {
        file = fopen(path, "w");
        if (!file || setvbuf(file, nullptr, _IOFBF, 65536) != 0) abort();
    }
    bool write(const char *text, size_t size)
    {
        pthread_mutex_lock(&lock);
        bool good = fwrite(text, 1, size, file) == size;
        pthread_mutex_unlock(&lock);
        return good;
    }
    bool close() { return fclose(file) == 0; }
};

class Snprintf : public Common<Snprintf>
{
    Locked file;

  public:
    const char *name() const override { return "snprintf + mutex + fwrite"; }
    const char *does() const override
    {
        return "no escapes, no scan, loses its buffer when killed";
    }
    void open(const char *path) override { file.open(path); }
    bool close() override { return file.close(); }
    bool record(uint32_t i)
    {
        char               text[512];
        vit_query_executed e = bench_event(&op, i);
        const char        *success = e.success ? "true" : "false";
        long long          count = e.result_count, ms = e.latency_ms;
        int n = snprintf(text, sizeof text, BENCH_FORMAT, e.query_type, e.db_type, count, ms,
                         e.filters_applied, success, op_text);
        return file.write(text, size_t(n));
    }
};

#ifdef WITH_RAPIDJSON
template <class W> void write_rapidjson(W &w, const vit_query_executed &e)
{
    auto key = [&w](const char *k) { w.Key(k, rapidjson::SizeType(strlen(k))); };
    auto text = [&](const char *k, const char *v) {
        key(k);
        w.String(v, rapidjson::SizeType(strlen(v)));
    };
    w.StartObject();
    text("hwid", "3f2b8c1e-9a4d-4f6b-8e21-7c5d0a9b1e42");
    text("event_name", "query.executed");
    text("app_version", "1.2.3");
    text("client_type", "vector-inspector");
    key("metadata");
    w.StartObject();
    text("query_type", e.query_type);
    text("db_type", e.db_type);
    key("result_count");
    w.Int64(e.result_count);
    key("latency_ms");
    w.Int64(e.latency_ms);
    text("filters_applied", e.filters_applied);
    key("success");
    w.Bool(e.success);
    text("correlation_id", op_text);
    w.EndObject();
    w.EndObject();
}

class RapidJson : public Common<RapidJson>
{
    Locked file;

  public:
    const char *name() const override { return "RapidJSON + mutex + fwrite"; }
    const char *does() const override { return "escapes, no scan, loses its buffer when killed"; }
    void        open(const char *path) override { file.open(path); }
    bool        close() override { return file.close(); }
    bool        record(uint32_t i)
    {
        static thread_local rapidjson::StringBuffer buffer;
        buffer.Clear();
        rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
        write_rapidjson(w, bench_event(&op, i));
        buffer.Put('\n');
        return file.write(buffer.GetString(), buffer.GetSize());
    }
};
#endif

#ifdef WITH_SPDLOG
/* As its documentation has it: a pool of one thread, 8192 messages, a full queue blocks. */
class Spdlog : public Common<Spdlog>
{
    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<spdlog::async_logger>         logger;

  public:
    const char *name() const override { return "spdlog, async"; }
    const char *does() const override
    {
        return "formats on the caller, no escapes, no scan, loses its queue when killed";
    }
    void open(const char *path) override
    {
        pool = std::make_shared<spdlog::details::thread_pool>(8192, 1);
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, true);
        logger = std::make_shared<spdlog::async_logger>("events", sink, pool,
                                                        spdlog::async_overflow_policy::block);
        logger->set_pattern("%v");
    }
    void drain() override
    {
        while (pool->queue_size() > 0) sched_yield();
    }
    bool close() override
    {
        bool all = pool->overrun_counter() == 0;
        pool.reset(); /* its thread ends behind the last message */
        logger.reset();
        return all;
    }
    bool record(uint32_t i)
    {
        vit_query_executed e = bench_event(&op, i);
        logger->info(
            "{{\"hwid\":\"3f2b8c1e-9a4d-4f6b-8e21-7c5d0a9b1e42\",\"event_name\":\"query.executed\","
            "\"app_version\":\"1.2.3\",\"client_type\":\"vector-inspector\",\"metadata\":{{"
            "\"query_type\":\"{}\",\"db_type\":\"{}\",\"result_count\":{},\"latency_ms\":{},"
            "\"filters_applied\":\"{}\",\"success\":{},\"correlation_id\":\"{}\"}}}}",
            e.query_type, e.db_type, e.result_count, e.latency_ms, e.filters_applied, e.success,
            static_cast<const char *>(op_text));
        return true;
    }
};
#endif

#ifdef WITH_LTTNG
class Lttng : public Common<Lttng>
{
  public:
    static bool is_on() { return lttng_ust_tracepoint_enabled(vit_bench, query); }
    const char *name() const override { return "LTTng-UST, session on"; }
    const char *does() const override
    {
        return "binary CTF by a daemon of its own, no JSON, no scan, survives kill -9";
    }
    bool is_json() const override { return false; }
    void open(const char *) override {}
    bool close() override { return is_on(); }
    void drain() override { usleep(1000); }
    bool record(uint32_t i)
    {
        vit_query_executed e = bench_event(&op, i);
        lttng_ust_do_tracepoint(vit_bench, query, e.query_type, e.db_type, e.result_count,
                                e.latency_ms, e.filters_applied, uint8_t(e.success),
                                op.correlation_id);
        return true;
    }
};
#endif

/* ---- measurements --------------------------------------------------------------------------- */

/* Threads that all do one thing at a time. */
class Team
{
    std::vector<std::thread> threads;
    alignas(64) std::atomic<unsigned> turn{ 0 };
    alignas(64) std::atomic<unsigned> done{ 0 };
    bool over = false;

  public:
    template <class F> Team(unsigned count, F work)
    {
        for (unsigned id = 0; id < count; id++)
            threads.emplace_back([this, id, work] {
                for (unsigned seen = 0;;) {
                    while (turn.load(std::memory_order_acquire) == seen) sched_yield();
                    seen++;
                    if (over) return;
                    work(id);
                    done.fetch_add(1, std::memory_order_release);
                }
            });
    }
    void once()
    {
        done = 0;
        turn.fetch_add(1, std::memory_order_release);
        while (done.load(std::memory_order_acquire) < threads.size()) sched_yield();
    }
    ~Team()
    {
        over = true;
        turn.fetch_add(1, std::memory_order_release);
        for (std::thread &t : threads) t.join();
    }
};

std::string panel(const char *what, unsigned threads)
{
    return std::string(what) + ", " + std::to_string(threads) +
           (threads == 1 ? " thread" : " threads");
}

void measure_burst(Peer &p)
{
    double values[BURSTS];
    p.open("/dev/null");
    for (double &v : values) {
        v = p.burst();
        p.drain();
    }
    bench_check(p.close(), p.name());
    bench_note("burst, 1 thread", p.name(), bench_median(values, BURSTS), "ns");
}

void measure_latency(Peer &p, unsigned threads)
{
    static bench_histogram h[THREADS_MAX];
    memset(h, 0, sizeof h);
    p.open("/dev/null");
    {
        Team team(threads, [&](unsigned id) { p.timed(BURST / threads, h[id]); });
        for (unsigned i = 0; i < BURSTS; i++) {
            team.once();
            p.drain();
        }
    }
    bench_check(p.close(), p.name());
    for (unsigned i = 1; i < threads; i++) bench_histogram_join(&h[0], &h[i]);
    bench_check(h[0].total == uint64_t(BURST / threads) * threads * BURSTS,
                "each event of the timed bursts is accepted");
    bench_note(panel("latency p50", threads).c_str(), p.name(), bench_histogram_at(h, 0.5), "ns");
    bench_note(panel("latency p99", threads).c_str(), p.name(), bench_histogram_at(h, 0.99), "ns");
    bench_note(panel("latency p99.9", threads).c_str(), p.name(), bench_histogram_at(h, 0.999),
               "ns");
}

void measure_sustained(Peer &p, unsigned threads, uint64_t &full)
{
    std::atomic<uint32_t> refused{ 0 };
    uint64_t              begin, ns;
    p.open("/dev/null");
    {
        Team team(threads, [&](unsigned) { refused += p.flood(SUSTAINED / threads); });
        begin = bench_now_ns();
        team.once();
        bool all = p.close();
        ns = bench_now_ns() - begin;
        bench_check(all, p.name());
    }
    full += refused;
    bench_note(panel("sustained", threads).c_str(), p.name(),
               double(SUSTAINED / threads * threads) * 1000 / double(ns), "M/s");
}

/* Events into a file: each is a line of JSON, and all are there. */
void check_lines(Peer &p)
{
    const char *path = "build/bench/events.lines";
    static char line[65536];
    unsigned    good = 0, lines = 0, told = 0; /* of what ours refused while it was full */
    p.open(path);
    p.flood(CHECKED);
    bench_check(p.close(), p.name());
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        bool json = json_is_valid(line, strlen(line) - 1);
        lines++;
        told += json && strstr(line, "\"event_name\":\"telemetry.report\"");
        good += json && strstr(line, "\"query_type\":\"similarity\"") && strstr(line, op_text);
    }
    if (f) fclose(f);
    (void)unlink(path);
    bench_check(good == CHECKED && lines == CHECKED + told, "each event is a line of JSON");
    if (good != CHECKED || lines != CHECKED + told)
        printf("      %s: %u lines, %u good ones, of %u\n", p.name(), lines, good, CHECKED);
}

/* ---- what one atomic costs, and what refusals do --------------------------------------------- */

template <class F> void measure_loop(const char *panel_name, const char *subject, F call)
{
    double values[BURSTS];
    for (double &v : values) {
        uint64_t begin = bench_ticks();
        for (uint32_t i = 0; i < BURST; i++) call(i);
        v = double(bench_ticks() - begin) * bench_tick_ns / BURST;
    }
    bench_note(panel_name, subject, bench_median(values, BURSTS), "ns");
}

void measure_cas()
{
    alignas(64) static uint32_t word;
    measure_loop("one atomic operation", "lock cmpxchg, uncontended", [](uint32_t) {
        uint32_t old = word;
        __atomic_compare_exchange_n(&word, &old, old + 1, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    });
}

vit_client *no_client(vit_consent consent)
{
    vit_options o = bench_options("", nullptr);
    o.consent = consent;
    o.no_thread = true;
    vit_client *t = vit_create(&o);
    if (!t) abort();
    vit_set_rate(t, "query.executed", 0.0);
    return t;
}

void measure_refused(vit_client *client, const char *subject, vit_status wanted)
{
    vit_query_executed e = bench_event(&op, 1);
    uint32_t           right = 0;
    measure_loop("refused", subject,
                 [&](uint32_t) { right += vit_track_query_executed(client, &e) == wanted; });
    bench_check(right == BURST * BURSTS, subject);
}

/* ---- the report ----------------------------------------------------------------------------- */

/* The best median of the others in a panel; only_json: of those that make JSON. */
const char *best_of(const std::vector<std::unique_ptr<Peer>> &peers, const char *in, bool only_json)
{
    const char *best = "";
    for (auto &p : peers) {
        if (strncmp(p->name(), "vitelemetry", 11) == 0 || (only_json && !p->is_json())) continue;
        if (!*best || bench_better(in, p->name(), best) > 1) best = p->name();
    }
    return best;
}

void print_ratios(const std::vector<std::unique_ptr<Peer>> &peers)
{
    const char *us = "vitelemetry", *large = "vitelemetry, 4 MiB", *burst = "burst, 1 thread";
    double      cas = bench_of("one atomic operation", "lock cmpxchg, uncontended");
    printf("ratios\n");
    bench_ratio("vit_track_query_executed / lock cmpxchg", bench_of(burst, us) / cas,
                "2.3 or less");
    bench_ratio("the best other / ours, in a burst",
                bench_better(burst, us, best_of(peers, burst, false)), "above 1");
    bench_ratio("LTTng-UST / ours, in a burst", bench_better(burst, us, "LTTng-UST, session on"),
                "5 or more");
    for (unsigned threads : THREADS) {
        std::string in = panel("sustained", threads), best = best_of(peers, in.c_str(), true);
        for (std::string ours : { us, large }) {
            bench_ratio((ours + " / " + best + ", " + in).c_str(),
                        bench_better(in.c_str(), ours.c_str(), best.c_str()), "2 or more");
            bench_ratio((ours + ", its slowest round / its median, " + in).c_str(),
                        bench_find(in.c_str(), ours.c_str(), 0)->values[0] /
                            bench_of(in.c_str(), ours.c_str()),
                        "above 0.5");
        }
    }
    printf("absolute\n");
    printf("  p99.9: %.0f ns on 1 thread (aim: under 1000), %.0f ns on 4 (aim: under 5000)\n",
           bench_of("latency p99.9, 1 thread", us), bench_of("latency p99.9, 4 threads", us));
    for (const char *ours : { us, large })
        printf("  sustained, %s: %.1f M events/s (aim: 8); its thread alone could do %.1f\n", ours,
               bench_of("sustained, 1 thread", ours),
               1000 / bench_of("consumer, processor time an event", ours));
    printf("  sampled out %.1f ns, without consent %.1f ns (aim: 2 or less)\n",
           bench_of("refused", "sampled out"), bench_of("refused", "without consent"));
}

std::vector<std::unique_ptr<Peer>> contestants()
{
    std::vector<std::unique_ptr<Peer>> peers;
    peers.emplace_back(new Ours("vitelemetry", 0, 0));
    peers.emplace_back(new Ours("vitelemetry, 4 MiB", 4u << 20, 1000));
    peers.emplace_back(new Snprintf);
#ifdef WITH_RAPIDJSON
    peers.emplace_back(new RapidJson);
#else
    printf("not here: RapidJSON\n");
#endif
#ifdef WITH_SPDLOG
    peers.emplace_back(new Spdlog);
#else
    printf("not here: spdlog\n");
#endif
#ifdef WITH_LTTNG
    if (Lttng::is_on()) peers.emplace_back(new Lttng);
    else printf("not here: LTTng-UST (no session is on)\n");
#else
    printf("not here: LTTng-UST\n");
#endif
    return peers;
}

void measure(const std::vector<std::unique_ptr<Peer>> &peers, int round, uint64_t &full)
{
    for (size_t k = 0; k < peers.size(); k++) {
        Peer &p = *peers[(k + (round > 0 ? size_t(round) : 0)) % peers.size()];
        measure_burst(p);
    }
    for (unsigned threads : THREADS)
        for (size_t k = 0; k < peers.size(); k++) {
            Peer    &p = *peers[(k + size_t(round)) % peers.size()];
            uint64_t none = 0;
            measure_latency(p, threads);
            measure_sustained(p, threads, strcmp(p.name(), "vitelemetry") == 0 ? full : none);
        }
}

} // namespace

int main(int argc, char **argv)
{
    int      rounds = bench_rounds(7);
    uint64_t full = 0;
    environment_forget();
    bench_clock_init();
    op = vit_op_begin();
    vit_op_text(&op, op_text);
    if (argc == 3 && strcmp(argv[1], "lttng") == 0) {
#ifdef WITH_LTTNG
        return Lttng().flood(uint32_t(atoi(argv[2]))) == 0 ? 0 : 1;
#else
        return 2; /* it has no tracepoint */
#endif
    }
    auto        peers = contestants();
    vit_client *sampled = no_client(VIT_CONSENT_GRANTED), *denied = no_client(VIT_CONSENT_DENIED);
    for (auto &p : peers)
        if (p->is_json()) check_lines(*p);
    for (int round = 0; round < rounds; round++) {
        measure_cas();
        measure_refused(sampled, "sampled out", VIT_SAMPLED_OUT);
        measure_refused(denied, "without consent", VIT_DISABLED);
        measure_refused(nullptr, "without a client", VIT_DISABLED);
        measure(peers, round, full);
    }
    print_ratios(peers);
    printf("\nwhat they do\n");
    for (auto &p : peers) printf("  %-28s %s\n", p->name(), p->does());
    bench_print();
    printf("\nthe timer reads %.1f ns, which percentiles are net of; our queue of 512 KiB was full "
           "%llu times while sustained\n",
           bench_timer_ns, static_cast<unsigned long long>(full));
    bench_write("build/bench/events.tsv", false);
    vit_destroy(sampled, 0);
    vit_destroy(denied, 0);
    peers.clear();
    return bench_end();
}
